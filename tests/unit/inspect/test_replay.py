"""Replays on real servers: every copy accounted for, paced, paused, harmless to repeat, undone."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.js.api import StreamConfig

from memphis_desktop.inspect.files import read_file
from memphis_desktop.inspect.message import Headers, InspectedMessage
from memphis_desktop.inspect.publishing import PublishError, publish, request
from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.inspect.replay import (
    GivenMessages,
    MessageIds,
    MessageRange,
    ReplayOptions,
    ReplayRun,
    ReplayState,
    SelectedMessages,
    rehearse,
    target_subject,
)
from memphis_desktop.inspect.replay.undo import Undo
from memphis_desktop.inspect.sequences import SequenceSet
from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect
from tests.waiting import until


@pytest_asyncio.fixture
async def client(any_server: ServerProcess, connect: Connect) -> Client:
    opened = await connect(any_server)
    assert isinstance(opened, Client)
    jetstream = opened.jetstream(timeout=30)
    await jetstream.add_stream(StreamConfig(name="S", subjects=["S.>"], allow_direct=True))
    await jetstream.add_stream(StreamConfig(name="COPY", subjects=["copy.>"], allow_direct=True))
    acks = [
        await jetstream.publish_async(f"S.{index % 3}", b"%d" % index, headers={"K": str(index)})
        for index in range(1, 301)
    ]
    await asyncio.gather(*acks)
    return opened


async def open_reader(client: Client, stream: str = "S") -> MessageReader:
    class Source:
        nats = client

    return await MessageReader.open(Source(), stream)


async def test_a_range_is_copied_in_order_with_its_origin(client: Client) -> None:
    reader = await open_reader(client)
    source = await MessageRange.counted(reader, 100, 250, "S.1")
    assert source.total == 51
    run = ReplayRun(source, client, ReplayOptions(subject="copy.{subject}.{2}"), run_id="r1")
    progress = await run.run()
    assert (progress.state, progress.stored, progress.failed) == (ReplayState.DONE, 51, 0)
    assert run.stored_in["COPY"].ranges() == [(1, 51)]
    copies = await open_reader(client, "COPY")
    page = await copies.forward(1, 100)
    assert [message.payload for message in page.messages] == [b"%d" % n for n in range(100, 251, 3)]
    first = page.messages[0]
    assert first.subject == "copy.S.1.1"
    assert first.headers.get("K") == "100"
    assert first.headers.get("Memphis-Replay-Run") == "r1"
    assert first.headers.get("Memphis-Replay-Sequence") == "100"
    again = await ReplayRun(source, client, ReplayOptions(subject="copy.{subject}.{2}"), run_id="r2").run()
    assert (again.stored, again.duplicates) == (0, 51)  # repeating is harmless
    fresh = ReplayOptions(subject="copy.{subject}.{2}", ids=MessageIds.FRESH, provenance=False)
    assert (await ReplayRun(source, client, fresh, run_id="r3").run()).stored == 51

    undo = Undo(client, run.stored_in)
    done = await undo.run()
    assert (done.removed, done.gone, done.failed) == (51, 0, 0)
    info = await client.jetstream().stream_info("COPY")
    assert info.state.messages == 51
    assert info.state.first_seq == 52
    assert (await Undo(client, {"COPY": SequenceSet([(1, 3)])}).run()).gone == 3
    assert (await Undo(client, {"COPY": SequenceSet([(60, 61), (70, 70)])}).run()).removed == 3
    assert (await client.jetstream().stream_info("COPY")).state.messages == 48
    await reader.close()
    await copies.close()


async def test_a_replay_into_its_own_source_ends(client: Client) -> None:
    reader = await open_reader(client)
    source = await MessageRange.counted(reader, 1, 10_000)
    progress = await ReplayRun(source, client, ReplayOptions(), run_id="r").run()
    assert progress.stored == 300
    assert (await client.jetstream().stream_info("S")).state.messages == 600
    await reader.close()


async def test_selected_messages_that_are_gone_are_left_out(client: Client) -> None:
    await client.jetstream().delete_msg("S", 7)
    reader = await open_reader(client)
    source = SelectedMessages(reader, (5, 7, 9))
    assert source.description == "3 selected messages of S"
    progress = await ReplayRun(source, client, ReplayOptions(subject="copy.x"), run_id="r").run()
    assert progress.stored == 2
    await reader.close()


def given(count: int, spacing: float = 0.0) -> GivenMessages:
    return GivenMessages(
        [
            InspectedMessage("S", n, round(n * spacing * 1e9), "S.x", b"", b"%d" % n)
            for n in range(1, count + 1)
        ]
    )


async def test_the_rate_is_held_and_can_be_changed(client: Client) -> None:
    run = ReplayRun(given(200), client, ReplayOptions(subject="copy.x", rate=400), run_id="r")
    started = time.monotonic()
    await run.run()
    assert 0.45 <= time.monotonic() - started < 15
    run = ReplayRun(given(200), client, ReplayOptions(subject="copy.y", rate=5), run_id="r")
    asyncio.get_running_loop().call_later(0.2, run.set_rate, None)
    started = time.monotonic()
    assert (await run.run()).stored == 200
    assert time.monotonic() - started < 20


async def test_a_replay_goes_into_a_file_at_so_many_bytes_a_second(client: Client, tmp_path: Path) -> None:
    for name in ("kept.ndjson", "kept.mdump"):
        path = tmp_path / name
        options = ReplayOptions(subject="copy.{2}", file=str(path), bytes_rate=2000)
        originals = [
            InspectedMessage("S", n, n, f"S.{n}", Headers([("K", "v")]).encode(), b"\xff" * 100)
            for n in range(1, 11)
        ]
        run = ReplayRun(GivenMessages(originals), client, options, run_id="r")
        started = time.monotonic()
        progress = await run.run()
        assert 0.5 <= time.monotonic() - started < 20
        assert (progress.state, progress.stored, run.stored_in) == (ReplayState.DONE, 10, {})
        [first, *_] = read = list(read_file(path))
        assert len(read) == 10
        assert (first.subject, first.sequence, first.payload) == ("copy.1", 1, b"\xff" * 100)
        assert (first.headers.get("K"), first.headers.get("Memphis-Replay-Run")) == ("v", "r")
    left = ReplayOptions(subject="copy.x", file=str(tmp_path / "left.ndjson"), rate=50)
    run = ReplayRun(given(200), client, left, run_id="r")
    asyncio.get_running_loop().call_later(0.1, run.cancel)
    assert (await run.run()).state is ReplayState.CANCELLED
    names = {name for name in os.listdir(tmp_path) if "kept" in name or "left" in name}
    assert names == {"kept.mdump", "kept.ndjson"}
    nowhere = ReplayOptions(subject="copy.x", file=str(tmp_path / "no" / "x.ndjson"))
    failed = await ReplayRun(given(2), client, nowhere, run_id="r").run()
    assert failed.state is ReplayState.FAILED
    assert "cannot be written" in failed.reason


async def test_the_spacing_of_the_originals_can_be_kept(client: Client) -> None:
    run = ReplayRun(given(6, 0.2), client, ReplayOptions(subject="copy.x", original_pace=2), run_id="r")
    started = time.monotonic()
    await run.run()
    assert time.monotonic() - started >= 0.48


async def test_the_station_of_the_first_copy_is_kept_before_there_are_more(client: Client) -> None:
    """A run that is killed early finds its copies by its record."""
    run = ReplayRun(given(200), client, ReplayOptions(subject="copy.x"), run_id="r")
    kept: list[list[str]] = []
    go_on = asyncio.Event()

    async def keep_place() -> None:
        kept.append(list(run.stored_in))
        await go_on.wait()

    run.keep_place = keep_place
    running = asyncio.create_task(run.run())
    await until(lambda: kept, "the first copy")
    await client.flush()
    assert (await client.jetstream().stream_info("COPY")).state.messages == run.progress.sent == 1
    go_on.set()
    assert (await running).stored == 200
    assert kept == [["COPY"]]


async def test_pause_resume_and_cancel(client: Client) -> None:
    run = ReplayRun(given(1000), client, ReplayOptions(subject="copy.x", rate=500), run_id="r")
    task = asyncio.create_task(run.run())
    while run.progress.stored < 20:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    run.pause()
    assert run.progress.state is ReplayState.PAUSED
    await asyncio.sleep(0.2)
    stored = run.progress.stored
    await asyncio.sleep(0.3)
    assert run.progress.stored <= stored + 1
    run.resume()
    while run.progress.stored < stored + 20:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    run.cancel()
    progress = await task
    assert progress.state is ReplayState.CANCELLED
    assert progress.settled == progress.sent < 1000
    info = await client.jetstream().stream_info("COPY")
    assert info.state.messages == progress.stored


async def test_errors_are_counted_by_kind_and_many_end_the_run(client: Client) -> None:
    progress = await ReplayRun(given(500), client, ReplayOptions(subject="nowhere.x"), run_id="r").run()
    assert progress.state is ReplayState.FAILED
    assert progress.errors[0][0] == "no stream"
    assert "stopped after" in progress.reason
    progress = await ReplayRun(given(5), client, ReplayOptions(subject="copy.{9}"), run_id="r").run()
    assert (progress.failed, progress.errors[0][0]) == (5, "invalid")


async def test_a_dry_run_sends_nothing(client: Client) -> None:
    reader = await open_reader(client)
    source = await MessageRange.counted(reader, 1, 300)
    rows = await rehearse(source, ReplayOptions(subject="copy.{2}"), "r", most=50)
    assert len(rows) == 50
    assert rows[0].subject == "copy.1"
    assert rows[0].headers.get("Memphis-Replay-Sequence") == "1"
    assert "part 5" in (await rehearse(source, ReplayOptions(subject="{5}"), "r", most=1))[0].problem
    assert (await client.jetstream().stream_info("COPY")).state.messages == 0
    await reader.close()


@pytest.mark.parametrize(
    ("template", "result"),
    [("{subject}", "a.b"), ("x.{2}.{1}", "x.b.a"), ("{stream}.{sequence}", "S.7"), ("fixed", "fixed")],
)
def test_target_subjects(template: str, result: str) -> None:
    message = InspectedMessage("S", 7, 0, "a.b", b"", b"")
    assert target_subject(template, message) == result


@pytest.mark.parametrize("template", ["{3}", "{unknown}", "a b", "a.*", "a..b", "", "a.>"])
def test_targets_that_are_none(template: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        target_subject(template, InspectedMessage("S", 7, 0, "a.b", b"", b""))


def test_headers_that_would_do_harm_are_not_copied() -> None:
    from memphis_desktop.inspect.replay import copy_headers

    headers = Headers([("Nats-Rollup", "all"), ("Nats-Msg-Id", "1"), ("Keep", "a"), ("Keep", "b")])
    message = InspectedMessage("S", 7, 0, "a.b", headers.encode(), b"")
    copied = copy_headers(message, "x", ReplayOptions(), "r")
    assert copied.get("Nats-Rollup") is None
    assert copied.all("Keep") == ["a", "b"]
    assert str(copied.get("Nats-Msg-Id")).startswith("replay-")
    kept = copy_headers(message, "x", ReplayOptions(ids=MessageIds.KEEP, provenance=False), "r")
    assert kept.get("Nats-Msg-Id") == "1"


async def test_publishing_says_what_became_of_it(client: Client) -> None:
    headers = Headers([("Nats-Msg-Id", "1"), ("B", "x"), ("B", "y")])
    ack = await publish(client, "copy.a", b"x", headers)
    assert (ack.stream, ack.sequence, ack.duplicate) == ("COPY", 1, False)
    assert (await publish(client, "copy.a", b"x", headers)).duplicate
    reader = await open_reader(client, "COPY")
    message = await reader.message(1)
    assert message is not None
    assert message.headers.all("B") == ["x", "y"]
    await reader.close()
    cases: list[tuple[str, bytes, Headers, str]] = [
        ("nowhere", b"x", Headers(), "no stream"),
        ("copy.*", b"x", Headers(), "invalid"),
        ("copy.a", bytes(2 << 20), Headers(), "invalid"),
        ("copy.a", b"x", Headers([("Nats-Expected-Last-Sequence", "99")]), "refused"),
    ]
    for subject, payload, extra, kind in cases:
        with pytest.raises(PublishError) as caught:
            await publish(client, subject, payload, extra)
        assert caught.value.kind == kind

    async def silent(_: Any) -> None:
        """Never answers."""

    await client.subscribe("silent", cb=silent)
    await client.flush()
    with pytest.raises(PublishError) as caught:
        await request(client, "silent", b"", Headers(), timeout=0.2)
    assert caught.value.kind == "timeout"


def test_sequence_sets_join_neighbours() -> None:
    numbers = SequenceSet()
    for value in (5, 6, 7, 1, 3, 2, 10, 6):
        numbers.add(value)
    assert numbers.ranges() == [(1, 3), (5, 7), (10, 10)]
    assert len(numbers) == 7
    numbers.add_range(4, 9)
    assert numbers.ranges() == [(1, 10)]
    assert 4 in numbers
    assert 11 not in numbers
    assert list(SequenceSet([(2, 3), (7, 7)])) == [2, 3, 7]
