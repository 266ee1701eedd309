"""Schemas, and users who are kept to their stations."""

import contextlib
import json
import pathlib

from common import case, connect, managing, refused, until
from memphis.exceptions import MemphisSchemaError

APP_PASSWORD = "Good-pass1"

JSON = json.dumps({"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]})
GRAPHQL = "type Query { order(id: ID!): Order } type Order { id: ID! }"
AVRO = '{"type":"record","name":"Order","fields":[{"name":"id","type":"string"}]}'
PROTO = 'syntax = "proto3"; package shop; message Order { string id = 1; } message Other { int32 n = 1; }'
PROTO_2 = 'syntax = "proto3"; package shop; message Order { string id = 1; int32 amount = 2; }'


async def make(memphis, name, kind, content):
    path = pathlib.Path(f"{name}.schema")
    path.write_text(content)  # noqa: ASYNC240
    await memphis.create_schema(name, kind, str(path))


async def enforce(memphis, kind, content, good, bad, wrong):
    """Enforce a schema on a station; what fits comes through, what does not is refused."""
    station = f"{kind}-station"
    await memphis.station(station)
    await make(memphis, f"{kind}-schema", kind, content)
    await memphis.enforce_schema(f"{kind}-schema", station)
    producer = await memphis.producer(station, "p")
    await refused(producer.produce(bad), wrong, MemphisSchemaError)
    await producer.produce(good)
    consumer = await memphis.consumer(station, "c")
    (message,) = await consumer.fetch(5)
    await message.ack()
    return message, producer


@case
async def enforces_json():
    memphis = await connect()
    message, _ = await enforce(memphis, "json", JSON, {"a": 1}, {"b": 1}, "'a' is a required property")
    assert await message.get_data_deserialized() == {"a": 1}
    await memphis.close()


@case
async def enforces_graphql():
    memphis = await connect()
    query = '{ order(id: "1") { id } }'
    message, _ = await enforce(
        memphis, "graphql", GRAPHQL, query, "{ nothing }", "Schema validation has failed"
    )
    assert bytes(message.get_data()).decode() == query
    await memphis.close()


@case
async def enforces_avro():
    memphis = await connect()
    message, _ = await enforce(memphis, "avro", AVRO, {"id": "1"}, {"id": 1}, "Schema validation has failed")
    assert json.loads(bytes(message.get_data())) == {"id": "1"}
    await memphis.close()


@case
async def enforces_protobuf_and_tells_running_producers():
    memphis = await connect()
    manager = await managing()
    good, bad = bytearray(b"\x0a\x01a"), bytearray(b"\x0a\x05a")
    message, producer = await enforce(memphis, "protobuf", PROTO, good, bad, "Schema validation has failed")
    assert (await message.get_data_deserialized()).id == "a"

    async def takes(document):
        with contextlib.suppress(MemphisSchemaError):
            await producer.produce(document)
            return True
        return False

    newer = {"id": "a", "amount": 3}
    assert not await takes(newer)
    await make(memphis, "protobuf-schema", "protobuf", PROTO_2)  # a second version, which is not active
    await memphis.enforce_schema("protobuf-schema", "protobuf-station")
    assert not await takes(newer)
    await manager.ask("schemas.activate", name="protobuf-schema", version_number=2)
    await memphis.enforce_schema("protobuf-schema", "protobuf-station")
    await until(lambda: takes(newer), "the new version")
    await manager.ask("schemas.activate", name="protobuf-schema", version_number=1)  # roll back
    await manager.ask("schemas.attach", name="protobuf-schema", station_names=["protobuf-station"])
    await until(lambda: not_(takes(newer)), "the old version")
    await memphis.detach_schema("protobuf-station")
    await until(lambda: takes("free text"), "no schema")
    await memphis.close()
    await manager.client.close()


async def not_(action):
    return not await action


@case
async def refuses_bad_schemas():
    memphis = await connect()
    await refused(make(memphis, "bad", "json", "{"), "your json schema is invalid")
    await refused(make(memphis, "bad", "protobuf", "{"), "your Proto file is invalid")
    await refused(make(memphis, "bad", "avro", "{"), "your Avro file is invalid")
    await refused(make(memphis, "bad", "graphql", "{"), "Syntax Error")
    await refused(make(memphis, "_bad", "json", JSON), "name")
    await make(memphis, "once", "json", JSON)
    await make(memphis, "once", "json", JSON)  # again is no error
    await refused(make(memphis, "once", "graphql", GRAPHQL), "already exist with type - json")
    await refused(memphis.enforce_schema("once", "no-station"), "Station no-station does not exist")
    await memphis.station("a-station")
    await refused(memphis.enforce_schema("no-schema", "a-station"), "Schema no-schema does not exist")
    await memphis.close()


@case
async def keeps_users_to_their_stations():
    root = await connect()
    manager = await managing()
    for name in ("open.one", "closed"):
        await root.station(name)
    permissions = {"allow_read_permissions": ["open.*"], "allow_write_permissions": ["open.*"]}
    await manager.ask("users.add", name="app", password=APP_PASSWORD, **permissions)
    app = await connect("app", password=APP_PASSWORD)
    producer = await app.producer("open.one", "p")
    await producer.produce("mine")
    consumer = await app.consumer("open.one", "c")
    (message,) = await consumer.fetch(5)
    await message.ack()
    await app.station("open.two")
    await refused(app.station("closed.two"), "user app is not allowed to create station closed.two")
    await refused(app.producer("closed", "p"), "user app is not allowed to access station closed")
    await refused(app.consumer("closed", "c"), "user app is not allowed to access station closed")
    await app.close()
    await manager.ask("users.remove", name="app")

    async def gone():
        try:
            await connect("app", password=APP_PASSWORD)
        except Exception as error:
            return "authorization violation" in str(error).lower()
        return False

    await until(gone, "the user's removal")
    await root.close()
    await manager.client.close()
