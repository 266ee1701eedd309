"""The last message of each subject, by every method, against a real server."""

from __future__ import annotations

import pytest
from nats.js.api import StreamConfig

from memphis_desktop.inspect.last_values import last_values
from memphis_desktop.inspect.reader import PAGE_BYTES, MessageReader, ReadingMethod
from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect


@pytest.mark.parametrize("method", list(ReadingMethod))
async def test_every_subject_gives_its_newest_message(
    any_server: ServerProcess, connect: Connect, method: ReadingMethod
) -> None:
    client = await connect(any_server)
    jetstream = client.jetstream()
    await jetstream.add_stream(StreamConfig(name="S", subjects=["S.>"], storage="memory", allow_direct=True))
    for turn in range(2):
        for number in range(250):
            await client.publish(f"S.{number}", b"%d" % turn, headers={"Turn": str(turn)})
    await client.publish("S.249", b"latest")
    await client.flush()

    class Source:
        nats = client

    reader = await MessageReader.open(Source(), "S")
    try:
        reader._refused = {other for other in ReadingMethod if other is not method}
        await reader.refresh()
        assert reader.method is method
        before = reader.requests
        subjects = [f"S.{number}" for number in range(250)]
        found = [one async for some in last_values(reader, ["S.nothing", *subjects]) for one in some]
        assert sorted(one.subject for one in found) == sorted(subjects)
        assert {one.payload for one in found if one.subject != "S.249"} == {b"1"}
        assert next(one for one in found if one.subject == "S.249").payload == b"latest"
        assert found[0].headers.get("Turn") == "1"
        if method is ReadingMethod.BATCH:
            assert reader.requests - before == 3
        newest = await reader.last_on("S.>")
        assert newest is not None
        assert newest.payload == b"latest"
        info = await jetstream.stream_info("S")
        assert info.state.consumer_count == 0
    finally:
        await reader.close()


async def test_a_batch_that_ends_early_for_its_size_is_gone_on_with(
    any_server: ServerProcess, connect: Connect
) -> None:
    client = await connect(any_server)
    jetstream = client.jetstream()
    await jetstream.add_stream(StreamConfig(name="S", subjects=["S.>"], storage="memory", allow_direct=True))
    large = b"x" * (PAGE_BYTES // 10)
    for number in range(25):
        await jetstream.publish(f"S.{number}", large)

    class Source:
        nats = client

    reader = await MessageReader.open(Source(), "S")
    try:
        subjects = [f"S.{number}" for number in range(25)]
        parts = [some async for some in last_values(reader, subjects)]
        assert sorted(one.subject for some in parts for one in some) == sorted(subjects)
        assert len(parts) >= 3
    finally:
        await reader.close()
