"""Searches over real stations: complete, in order, bounded, pausable, and stuck filters do not hang them."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.js.api import StreamConfig

from memphis_desktop.inspect.histogram import read_histogram
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.reader import MessageReader, ReadingMethod
from memphis_desktop.inspect.scan import ScanRequest
from memphis_desktop.inspect.scan_process import end_processes, give_back, take_process
from memphis_desktop.inspect.search import SearchJob, SearchProgress, SearchState
from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect
from tests.waiting import until

COUNT = 3_000


@pytest_asyncio.fixture
async def client(any_server: ServerProcess, connect: Connect) -> Client:
    opened = await connect(any_server)
    assert isinstance(opened, Client)
    jetstream = opened.jetstream(timeout=30)
    await jetstream.add_stream(StreamConfig(name="S", subjects=["S.>"], allow_direct=True))
    for index in range(1, COUNT + 1):
        await opened.publish(
            f"S.{'odd' if index % 2 else 'even'}", b'{"n": %d, "mod": %d}' % (index, index % 100)
        )
        if index % 1000 == 0:
            await opened.flush()
    async with asyncio.timeout(20):
        while (await jetstream.stream_info("S")).state.messages < COUNT:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return opened


async def search(
    client: Client, changed: Callable[..., None] | None = None, **options: Any
) -> tuple[Any, list[int]]:
    found: list[int] = []

    def note(progress: SearchProgress, messages: list[InspectedMessage]) -> None:
        found.extend(message.sequence for message in messages)
        if changed is not None:
            changed(job, progress)

    options = {"first": 1, "last": COUNT, **options}
    job = SearchJob(client, None, ScanRequest(stream="S", **options), note)
    job.start()
    async with asyncio.timeout(60):
        progress = await job.wait()
    job.close()
    return progress, found


async def test_searching_the_whole_station(client: Client) -> None:
    progress, found = await search(client, filter="json.mod == 7", newest_first=False)
    assert progress.state is SearchState.DONE
    assert found == list(range(7, COUNT + 1, 100))
    assert progress.scanned == COUNT
    assert "3\u202f000 messages read, 30 matches" in progress.sentence()

    progress, found = await search(client, filter="json.mod == 7", first=1000, last=2_000)
    assert found == list(range(1_907, 1000, -100))
    assert progress.scanned == 1_001

    progress, found = await search(client, filter="subject:S.even mod", first=1, last=300)
    assert found == list(range(300, 0, -2))
    assert progress.scanned == 150  # the server sent only those

    progress, found = await search(client, filter="nothing at all")
    assert (progress.state, found) == (SearchState.DONE, [])
    assert "nothing matched" in progress.sentence()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can be told to forget what it has read")
async def test_a_station_that_lies_on_the_disk_only_is_read_whole(
    client: Client, any_server: ServerProcess
) -> None:
    for path in any_server.store.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
    for options in ({}, {"subject": "S.odd"}, {"newest_first": False}):
        progress, found = await search(client, filter="json.mod == 7", **options)
        assert progress.state is SearchState.DONE
        assert sorted(found) == list(range(7, COUNT + 1, 100))


async def test_limits_are_said(client: Client) -> None:
    progress, found = await search(client, filter="json.n > 0", max_matches=10)
    assert progress.state is SearchState.STOPPED
    assert found == list(range(COUNT, COUNT - 10, -1))
    assert "part that was read" in progress.sentence()
    progress, found = await search(client, filter="zzz", max_scanned=1000)
    assert progress.state is SearchState.STOPPED
    assert progress.scanned >= 1000


async def test_errors_of_the_filter_are_counted_not_fatal(client: Client) -> None:
    progress, found = await search(client, filter="json.n > 'x' || json.mod == 1", last=1000)
    assert progress.state is SearchState.DONE
    assert progress.errors == 1000
    assert len(progress.error_samples) == 5
    assert found == []


async def test_pause_and_stop(client: Client) -> None:
    states: list[SearchState] = []

    def steer(job: SearchJob, progress: SearchProgress) -> None:
        states.append(progress.state)
        if states.count(SearchState.RUNNING) == 1 and SearchState.PAUSED not in states:
            job.pause()
            loop = asyncio.get_running_loop()
            loop.call_later(0.3, job.resume)
            loop.call_later(0.4, job.stop)

    # Long enough to be caught in the middle: each message costs a search through its text.
    slow = " || ".join(f'text =~ "x{index}[a-z]+y"' for index in range(40))
    progress, _ = await search(client, steer, filter=slow)
    assert SearchState.PAUSED in states
    assert progress.state in (SearchState.STOPPED, SearchState.DONE)


async def test_a_filter_that_takes_for_ever_is_given_up_message_by_message(client: Client) -> None:
    await client.jetstream().publish("S.even", b"a" * 26 + b"!")
    # Not nested, so it is let through; alternatives that overlap make it exponential all the same.
    slow = 'text =~ "^' + "(a|aa)" * 0 + '(?:a|a|a){25}(?:a|a|a){1}$"'
    progress, found = await search(client, filter=slow, first=COUNT + 1, last=COUNT + 1)
    assert progress.state is SearchState.DONE
    assert found == []
    assert progress.errors == 1
    assert "took longer" in progress.error_samples[0][1]


async def test_a_missing_station_and_a_dead_process_are_failures(client: Client) -> None:
    progress, _ = await search(client, filter="x")
    assert progress.state is SearchState.DONE
    job = SearchJob(client, None, ScanRequest("nowhere", 1, 10, "x"), lambda *_: None)
    job.start()
    async with asyncio.timeout(20):
        progress = await job.wait()
    assert progress.state is SearchState.FAILED
    assert "not found" in progress.reason
    job = SearchJob(client, None, ScanRequest("S", 1, COUNT, "x"), lambda *_: None)
    job.start()
    process = job._process
    assert process is not None
    async with asyncio.timeout(20):
        while process._process.pid is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        process._process.kill()
        progress = await job.wait()
    assert progress.state is SearchState.FAILED


async def test_a_process_is_ended_without_waiting_for_it(client: Client) -> None:
    for starting in (True, False):
        ended = asyncio.Event()
        process = take_process(client, None, lambda message, ended=ended: ended.set())  # type: ignore[misc]
        async with asyncio.timeout(30):
            while not starting and process.ready_at is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            own = process._process
            began = time.thread_time()
            process.kill()
            assert time.thread_time() - began < 0.05
            assert not process.alive
            await ended.wait()
            while own.pid is not None and own.is_alive():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("working", [False, True])
async def test_a_closing_connection_ends_what_was_kept_for_it(client: Client, working: bool) -> None:
    process = take_process(client, None, lambda message: None)
    await until(lambda: process.ready_at is not None, "the process")
    own = process._process
    give_back(client, process, working=working)
    assert process.alive
    end_processes(client)
    assert not process.alive
    await until(lambda: not own.is_alive(), "its end")


@pytest.mark.parametrize("method", list(ReadingMethod))
async def test_histograms_are_exact(client: Client, method: ReadingMethod) -> None:
    class Source:
        nats = client

    reader = await MessageReader.open(Source(), "S")
    reader._refused = {other for other in ReadingMethod if other is not method}
    await reader.refresh()
    histogram = await read_histogram(reader, buckets=20)
    assert histogram.total == COUNT
    assert len(histogram.counts) == 20
    first, last = reader.bounds.first_time_ns, reader.bounds.last_time_ns
    assert first is not None
    assert last is not None
    assert histogram.bucket(first) == 0
    assert histogram.bucket(last) == 19
    assert histogram.bucket(first - 1) is None
    if method is ReadingMethod.BATCH:
        assert (await read_histogram(reader, buckets=5, subject="S.even")).total == COUNT // 2
    await reader.close()
