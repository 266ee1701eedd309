"""Dead letters."""

import contextlib
import json
import pathlib

from common import case, connect, managing, refused, text, texts, until
from memphis import Headers, MemphisError
from memphis.exceptions import MemphisSchemaError


@case
async def keeps_and_resends_what_ran_out_of_deliveries():
    memphis = await connect()
    manager = await managing()
    await memphis.station("poison")
    producer = await memphis.producer("poison", "p")
    consumer = await memphis.consumer("poison", "c", "g.dots", max_ack_time_ms=1000, max_msg_deliveries=2)
    headers = Headers()
    headers.add("Key", "Value")
    await producer.produce("bad apple", headers=headers)
    for _ in range(2):
        assert [text(each) for each in await consumer.fetch(1)] == ["bad apple"]
    await consumer.fetch(1)  # makes any server look: the message would be delivered once too often

    async def one():
        return await manager.letters("poison")

    (letter,) = await until(one, "the dead letter")
    assert (letter["sequence"], letter["partition"], letter["producer"]) == (1, 1, "p"), letter
    assert [(each["name"], each["deliveries"]) for each in letter["groups"]] == [("g.dots", 2)]
    assert bytes.fromhex(letter["preview"]) == b"bad apple"
    assert ["Key", "Value"] in letter["headers"]
    assert [step["what"] for step in letter["journey"]] == ["stored", "failed"]
    result = await manager.ask("dead_letters.resend", station="poison", ids=[letter["id"]])
    assert result == {"sent": 1, "failed": {}}
    await until(lambda: consumer.dls_messages, "the letter sent again")
    (message,) = await consumer.fetch(10)
    assert text(message) == "bad apple"
    await message.ack()

    async def none():
        return not await manager.letters("poison")

    await until(none, "the acknowledged letter's removal")
    await memphis.close()
    await manager.client.close()


@case
async def resends_edited_and_drops():
    memphis = await connect()
    manager = await managing()
    await memphis.station("edit", dls_station="edit-letters")
    producer = await memphis.producer("edit", "p")
    consumer = await memphis.consumer("edit", "c", max_ack_time_ms=1000, max_msg_deliveries=1)
    await producer.produce("wrong")
    await producer.produce("hopeless")
    assert len(await consumer.fetch(2)) == 2
    await consumer.fetch(1)

    async def both():
        found = await manager.letters("edit")
        return len(found) == 2 and found

    letters = {each["sequence"]: each for each in await until(both, "two dead letters")}
    await manager.ask(
        "dead_letters.resend_edited",
        station="edit",
        id=letters[1]["id"],
        payload_hex=b"right".hex(),
        headers={"Edited": "yes"},
    )
    await until(lambda: consumer.dls_messages, "the letter sent again")
    (message,) = await consumer.fetch(10)
    assert text(message) == "right"
    assert message.get_headers()["Edited"] == "yes"
    await message.ack()
    assert await manager.ask("dead_letters.drop", station="edit", ids=[letters[2]["id"]]) == 1

    async def none():
        return not await manager.letters("edit")

    await until(none, "their removal")
    copies = await memphis.consumer("edit-letters", "c")
    found = []
    while len(found) < 2:
        found += await copies.fetch(2)
    assert {text(each) for each in found} == {"wrong", "hopeless"}
    assert found[0].get_headers()["station"] == "edit"
    assert found[0].get_headers()["type"] == "unacked"
    await memphis.close()
    await manager.client.close()


@case
async def keeps_what_was_terminated_until_its_group_goes():
    memphis = await connect()
    manager = await managing()
    await memphis.station("term")
    producer = await memphis.producer("term", "p")
    consumer = await memphis.consumer("term", "c", "g")
    await producer.produce("no use")
    (message,) = await consumer.fetch(1)
    with contextlib.suppress(MemphisError):  # memphis-py 1.3.1 terminates the message, then fails by itself
        await message.dead_letter("it is no use")

    async def one():
        return await manager.letters("term")

    (letter,) = await until(one, "the dead letter")
    assert [step["what"] for step in letter["journey"]] == ["stored", "terminated"]
    await consumer.destroy()

    async def none():
        return not await manager.letters("term")

    await until(none, "its removal with the group")
    await memphis.close()
    await manager.client.close()


@case
async def wants_no_dead_letters():
    memphis = await connect()
    manager = await managing()
    await memphis.station("careless", send_poison_msg_to_dls=False)
    await memphis.station("careful")
    for name in ("careless", "careful"):
        producer = await memphis.producer(name, "p")
        consumer = await memphis.consumer(name, "c", max_ack_time_ms=1000, max_msg_deliveries=1)
        await producer.produce("lost")
        await consumer.fetch(1)
        await consumer.fetch(1)

    async def one():
        return await manager.letters("careful")

    await until(one, "the careful one's letter")
    assert await manager.letters("careless") == []
    await memphis.close()
    await manager.client.close()


@case
async def keeps_what_its_schema_refused():
    memphis = await connect()
    manager = await managing()
    await memphis.station("typed")
    schema = {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]}
    pathlib.Path("schema.json").write_text(json.dumps(schema))  # noqa: ASYNC240
    await memphis.create_schema("number-a", "json", "schema.json")
    await memphis.enforce_schema("number-a", "typed")
    producer = await memphis.producer("typed", "p")
    await producer.produce({"a": 1})
    await refused(producer.produce({"a": "x"}), "Schema validation has failed", MemphisSchemaError)

    async def one():
        return await manager.letters("typed")

    (letter,) = await until(one, "the dead letter")
    assert (letter["kind"], letter["producer"], letter["groups"]) == ("schema", "p", [])
    assert "Schema validation has failed" in letter["validation_error"]
    await manager.ask(
        "dead_letters.resend_edited",
        station="typed",
        id=letter["id"],
        payload_hex=b'{"a": 2}'.hex(),
        headers={},
    )
    consumer = await memphis.consumer("typed", "c")
    assert await texts(consumer, 2) == ['{"a": 1}', '{"a": 2}']
    await memphis.close()
    await manager.client.close()
