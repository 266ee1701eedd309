"""What a replay that goes on finds of itself in the target."""

from __future__ import annotations

import time

import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig

from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.inspect.replay.copies import ReplayOptions
from memphis_desktop.inspect.replay.records import Place, RunRecord, SourceRecord
from memphis_desktop.inspect.replay.resume import copies_behind, subject_pattern
from memphis_desktop.inspect.sequences import SequenceSet
from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect

HERE = Place("id", "here")


@pytest.mark.parametrize(
    ("template", "pattern"),
    [
        ("{subject}", ">"),
        ("copy.{subject}", "copy.>"),
        ("copy.{subject}.{2}", "copy.>"),
        ("{1}.copy-{2}.x", "*.*.x"),
        ("copy.x", "copy.x"),
    ],
)
def test_a_template_is_covered_by_a_pattern(template: str, pattern: str) -> None:
    assert subject_pattern(template) == pattern


async def test_copies_in_a_station_that_is_not_in_the_record_are_found(
    any_server: ServerProcess, connect: Connect
) -> None:
    """The run was killed before the first copy in the second station was acknowledged."""
    client = await connect(any_server)
    assert isinstance(client, Client)
    jetstream = client.jetstream(timeout=30)
    for name in ("east", "west", "other"):
        await jetstream.add_stream(
            StreamConfig(name=name, subjects=[f"{name}.>" if name == "other" else f"copy.{name}.>"])
        )
    opened: list[str] = []

    class Source:
        nats = client

    async def open_reader(stream: str) -> MessageReader:
        opened.append(stream)
        return await MessageReader.open(Source(), stream)

    async def put(subject: str, origin: int, run: str = "r") -> None:
        headers = {
            "Memphis-Replay-Run": run,
            "Memphis-Replay-Stream": "S",
            "Memphis-Replay-Sequence": str(origin),
        }
        await jetstream.publish(subject, b"x", headers=headers)

    await put("copy.east.a", 1)
    await put("copy.east.a", 2)
    await put("copy.west.a", 3)
    await put("copy.west.a", 4, run="another")
    await put("other.a", 5)
    record = RunRecord(
        "r",
        SourceRecord("range", "", "S", 1, 100),
        HERE,
        "",
        HERE,
        ReplayOptions(subject="copy.{1}.{2}"),
        stored={"east": SequenceSet([(1, 1)])},
        started_ns=time.time_ns(),
    )
    found = await copies_behind(record, open_reader, client)
    assert found == {("S", 1): ("east", 1), ("S", 2): ("east", 2), ("S", 3): ("west", 1)}
    assert sorted(opened) == ["east", "west"]
