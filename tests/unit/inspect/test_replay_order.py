"""Replays in other orders, to one consumer only, and their reports, on real servers."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, StreamConfig

from memphis_desktop.cluster.one_consumer import NotPossible, plan
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.inspect.replay import (
    Checkpoint,
    Edits,
    GivenMessages,
    MessageRange,
    OnlyConsumer,
    ReplayOptions,
    ReplayOrder,
    ReplayRun,
    ReplayState,
    SelectedMessages,
)
from memphis_desktop.inspect.replay.latency import Latencies
from memphis_desktop.inspect.replay.records import Place, RecordStore, RunRecord, SourceRecord, keep
from memphis_desktop.inspect.replay.report import report, report_page, write_report
from memphis_desktop.inspect.replay.resume import copy_patterns, reopened, resumed_run, source_record
from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect
from tests.waiting import until

COUNT = 1_200  # a few pages
HERE = Place("a", "here", "nats://127.0.0.1:4222")
IN_ORDER = {
    ReplayOrder.OLDEST: list(range(1, COUNT + 1)),
    ReplayOrder.NEWEST: list(range(COUNT, 0, -1)),
    ReplayOrder.SUBJECTS: sorted(range(1, COUNT + 1), key=lambda number: (number % 3, number)),
}


@pytest_asyncio.fixture
async def client(any_server: ServerProcess, connect: Connect) -> Client:
    opened = await connect(any_server)
    assert isinstance(opened, Client)
    jetstream = opened.jetstream(timeout=30)
    await jetstream.add_stream(StreamConfig(name="S", subjects=["S.>"], allow_direct=True))
    await jetstream.add_stream(StreamConfig(name="COPY", subjects=["copy.>"], allow_direct=True))
    acks = [await jetstream.publish_async(f"S.{index % 3}", b"{}") for index in range(1, COUNT + 1)]
    await asyncio.gather(*acks)
    return opened


async def open_reader(client: Client, stream: str = "S") -> MessageReader:
    class Source:
        nats = client

    return await MessageReader.open(Source(), stream)


async def copied(client: Client) -> list[int]:
    """The origins of the copies, in the order in which they are stored."""
    reader = await open_reader(client, "COPY")
    source = MessageRange(reader, reader.bounds.first, reader.bounds.last)
    found = [int(m.headers.get("Memphis-Replay-Sequence") or 0) async for m in source.read(0)]
    await reader.close()
    return found


@pytest.mark.parametrize("order", list(ReplayOrder))
async def test_an_order_is_kept_also_through_an_interruption(client: Client, order: ReplayOrder) -> None:
    """Cancelled half-way, resumed from its record: each message once, in the order asked for."""
    options = ReplayOptions(subject="copy.{subject}", order=order, rate=1500)
    reader = await open_reader(client)
    source = await MessageRange.counted(reader, 1, COUNT, None, order)
    run = ReplayRun(source, client, options, run_id="r")
    record = RunRecord("r", source_record(source), HERE, "copy", HERE, options)
    running = asyncio.create_task(run.run())
    await until(lambda: run.progress.stored >= 300, "the half of it")
    run.cancel()
    assert (await running).state is ReplayState.CANCELLED
    record = record.updated(run, time.time_ns())
    rest, after = await reopened(record, reader)
    resumed = resumed_run(record, rest, after, {}, client)
    progress = await resumed.run()
    assert (progress.state, progress.stored, progress.total) == (ReplayState.DONE, COUNT, COUNT)
    assert await copied(client) == IN_ORDER[order]
    record = record.updated(resumed, time.time_ns(), record.elapsed)
    told = report(record)
    assert told["sequences"]["source"] == {"first": 1, "last": COUNT}
    assert told["sequences"]["stored"]["COPY"]["ranges"] == [(1, COUNT)]
    assert told["acknowledgement"]["count"] == COUNT
    await reader.close()


@pytest.mark.parametrize("order", list(ReplayOrder))
async def test_nothing_is_left_after_the_last_one(client: Client, order: ReplayOrder) -> None:
    """A checkpoint behind the end yields nothing, not an error and not everything anew."""
    reader = await open_reader(client)
    source = await MessageRange.counted(reader, 1, COUNT, None, order)
    run = ReplayRun(source, client, ReplayOptions(subject="copy.x", order=order), run_id="r")
    await run.run()
    record = RunRecord("r", source_record(source), HERE, "copy", HERE, run.options)
    rest, after = await reopened(record.updated(run, 1), reader)
    assert [message async for message in rest.read(after)] == []
    await reader.close()


async def test_newest_first_with_a_subject_and_with_gaps(client: Client) -> None:
    """Pages backwards may hold nothing; the end of the range is kept."""
    jetstream = client.jetstream()
    await jetstream.purge_stream("S", subject="S.0")
    await jetstream.purge_stream("S", subject="S.1")
    for sequence in (3, 599, 1100):
        if sequence % 3 == 2:
            await jetstream.delete_msg("S", sequence)
    reader = await open_reader(client)
    source = await MessageRange.counted(reader, 10, 1190, "S.2", ReplayOrder.NEWEST)
    found = [message.sequence async for message in source.read(0)]
    expected = [n for n in range(10, 1191) if n % 3 == 2 and n not in (599, 1100)]
    assert found == expected[::-1]
    await reader.close()


async def test_a_selection_goes_on_newest_first(client: Client) -> None:
    """Its checkpoint counts down."""
    reader = await open_reader(client)
    sequences = (90, 40, 7)
    record = RunRecord(
        "r",
        source_record(SelectedMessages(reader, sequences)),
        HERE,
        "copy",
        HERE,
        ReplayOptions(order=ReplayOrder.NEWEST),
        checkpoint=Checkpoint(1, 89),
    )
    rest, after = await reopened(record, reader)
    assert [message.sequence async for message in rest.read(after)] == [40, 7]
    await reader.close()


def spaced(seconds: list[float], subjects: str) -> GivenMessages:
    """Messages with such times and one-letter subjects."""
    return GivenMessages(
        [
            InspectedMessage("S", index + 1, round(1e18 + at * 1e9), subject, b"", b"x")
            for index, (at, subject) in enumerate(zip(seconds, subjects, strict=True))
        ]
    )


@pytest.mark.parametrize(
    ("order", "source"),
    [
        (ReplayOrder.NEWEST, spaced([0.5, 0.4, 0.1, 0.0], "aaaa")),
        (ReplayOrder.SUBJECTS, spaced([0.0, 0.3, 0.1, 0.3], "aabb")),  # each subject from its own first
    ],
)
async def test_recorded_pauses_mean_something_in_each_order(
    client: Client, order: ReplayOrder, source: GivenMessages
) -> None:
    """Half a second altogether, backwards or within each subject."""
    options = ReplayOptions(subject="copy.x", order=order, original_pace=1)
    started = time.monotonic()
    progress = await ReplayRun(source, client, options, run_id="r").run()
    assert progress.stored == 4
    assert 0.45 <= time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("template", "originals", "patterns"),
    [
        ("{subject}", ["a.*", "b"], ["a.*", "b"]),
        ("copy.{subject}", ["a.>"], ["copy.a.>"]),
        ("{subject}.again", ["a.*"], ["a.*.again"]),
        ("{subject}.again", ["a.>"], [">"]),
        ("x.{1}", ["a.b"], ["x.*"]),
    ],
)
def test_copies_are_covered_by_patterns(template: str, originals: list[str], patterns: list[str]) -> None:
    """Closely where that can be told."""
    assert copy_patterns(template, originals) == patterns


def test_one_consumer_of_several_is_reached_by_a_subject_of_its_own() -> None:
    """Unless its subjects are its own already; never where another takes everything."""
    station = {"name": "S", "subjects": ["S.>"]}
    consumers = {"one": {"filter_subject": "S.1"}, "two": {"filter_subject": "S.*"}}
    alone = plan(station, "S", consumers, "one", ["S.1"])
    assert alone.subject == "memphis-desktop.resend.S.one"
    assert [change.suffix.split(".")[0] for change in alone.changes] == ["STREAM", "CONSUMER"]
    assert plan(station, "S", {"one": consumers["one"]}, "one", ["S.1"]).subject == ""
    outside = plan(station, "S", {"one": consumers["one"]}, "one", ["S.*"])
    assert outside.subject, "it does not take all of these itself"
    with pytest.raises(NotPossible, match="all takes every subject"):
        plan(station, "S", {**consumers, "all": {}}, "one", ["S.1"])


async def test_copies_reach_the_clients_of_a_push_consumer_only(client: Client) -> None:
    """Handed over, stored nowhere, with the subject they had in a header."""
    got: list[Msg] = []

    async def take(message: Msg) -> None:
        got.append(message)

    await client.subscribe("to.pushed", cb=take)
    only = OnlyConsumer("S", "pushed", "to.pushed", direct=True)
    reader = await open_reader(client)
    source = await MessageRange.counted(reader, 1, 20)
    run = ReplayRun(source, client, ReplayOptions(only=only, max_in_flight=8), run_id="r")
    progress = await run.run()
    await client.flush()
    assert (progress.stored, len(got), run.stored_in) == (20, 20, {})
    headers = got[0].headers or {}
    assert headers["Memphis-Replay-Subject"] == "S.1"
    assert "Nats-Msg-Id" not in headers
    assert (await client.jetstream().stream_info("S")).state.messages == COUNT
    await reader.close()


async def test_copies_for_one_consumer_pass_the_others_by(client: Client) -> None:
    """Through the subject that was made for it."""
    jetstream = client.jetstream()
    for name in ("one", "two"):
        await jetstream.add_consumer(
            "S", ConsumerConfig(durable_name=name, filter_subjects=["S.1", f"S.{name}"])
        )
    info = await jetstream.stream_info("S")
    config = info.config.as_dict() | {"subjects": ["S.>", "only.one"]}
    await client.request("$JS.API.STREAM.UPDATE.S", json.dumps(config).encode())
    await jetstream.add_consumer(
        "S", ConsumerConfig(durable_name="one", filter_subjects=["S.1", "S.one", "only.one"])
    )
    before = [(await jetstream.consumer_info("S", name)).num_pending for name in ("one", "two")]
    reader = await open_reader(client)
    source = await MessageRange.counted(reader, 1, 30)
    options = ReplayOptions(only=OnlyConsumer("S", "one", "only.one"))
    assert (await ReplayRun(source, client, options, run_id="r").run()).stored == 30
    after = [(await jetstream.consumer_info("S", name)).num_pending for name in ("one", "two")]
    assert [now - then for now, then in zip(after, before, strict=True)] == [30, 0]
    await reader.close()


def test_latencies_are_told_from_a_table_of_fixed_size() -> None:
    """Within a step of the truth, and exactly at the end."""
    latencies = Latencies()
    for milliseconds in range(1, 1001):
        latencies.add(milliseconds / 1000)
    assert len(latencies.steps()) < 200
    found = Latencies(latencies.steps(), latencies.total, latencies.longest).summary()
    assert found is not None
    assert found.median == pytest.approx(0.5, rel=0.06)
    assert found.most == pytest.approx(0.99, rel=0.06)
    assert (found.count, found.longest, found.mean) == (1000, 1.0, pytest.approx(0.5005))
    assert Latencies().summary() is None


async def test_a_slow_disk_does_not_undo_the_end_of_a_run(client: Client, tmp_path: Path) -> None:
    """What is being written when the run ends does not replace the last record."""

    class SlowStore(RecordStore):
        def save(self, record: RunRecord) -> None:
            if record.state is ReplayState.RUNNING and record.checkpoint.stored:
                time.sleep(0.5)  # a disk
            super().save(record)

    store = SlowStore(tmp_path)
    options = ReplayOptions(subject="copy.x", rate=100)
    run = ReplayRun(spaced([0.0] * 30, "a" * 30), client, options, run_id="20260101-000000-abcdef")
    record = RunRecord(run.run_id, SourceRecord("range", ""), HERE, "copy.x", HERE, options)
    assert (await keep(run, record, store, time.time_ns)).state is ReplayState.DONE
    await asyncio.sleep(0.6)  # as long as the disk might still take
    kept = store.find(run.run_id)
    assert kept is not None
    assert (kept.state, kept.checkpoint.stored) == (ReplayState.DONE, 30)


async def test_a_report_tells_all_of_a_run(client: Client, tmp_path: Path) -> None:
    """As JSON and as a page in which nothing from outside is markup."""
    messages = [
        InspectedMessage("S", number, 1, "S.1", b"", payload)
        for number, payload in enumerate([b'{"n":1}', b"\xff", b'{"n":"*x*"}', b'{"n":2}'], 1)
    ]
    options = ReplayOptions(
        subject="copy.x", edits=Edits.parse("$.m := json.n * 2", "seq != 4"), order=ReplayOrder.NEWEST
    )
    run = ReplayRun(GivenMessages(messages), client, options, run_id="20260101-000000-abcdef")
    reader = await open_reader(client)
    source = source_record(await MessageRange.counted(reader, 1, 4, "S.*"))
    await reader.close()
    record = RunRecord(run.run_id, source, replace(HERE, name="*prod*"), "copy.x", HERE, options)
    store = RecordStore(tmp_path)
    await keep(run, record, store, time.time_ns)
    kept = store.find(run.run_id)
    assert kept is not None
    assert kept.options == options
    told = report(kept)
    assert told["counts"] == {
        "taken": 4, "sent": 3, "stored": 1, "duplicates": 0, "failed": 2, "left_out": 1,
        "bytes": told["counts"]["bytes"],
    }  # fmt: skip
    assert told["errors"][0]["count"] == 2
    assert told["errors"][0]["sample"].startswith("message #2: ")
    assert told["state"] == "done"
    write_report(tmp_path / "run.json", kept)
    assert json.loads((tmp_path / "run.json").read_text())["run"] == run.run_id
    write_report(tmp_path / "run.md", kept)
    page = (tmp_path / "run.md").read_text()
    assert page == report_page(kept)
    assert "\\*prod\\*" in page
    assert "| Failed | 2 |" in page
    assert "| order | newest |" in page
