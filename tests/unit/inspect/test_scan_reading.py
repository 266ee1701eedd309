"""Batches of a scan: what they hold does not depend on how the bytes came, and no match is overlooked."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.js.api import StreamConfig

from memphis_desktop.inspect import scan_reading
from memphis_desktop.inspect.connection import Frames, ReadConnection, ReadError, _WireParser
from memphis_desktop.inspect.filter import parse_filter
from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.inspect.scan import Scan, ScanRequest
from memphis_desktop.inspect.scan_reading import RawBatch, read_batches
from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect

Stored = tuple[str, bytes, bytes]  # subject, header lines, payload

PAYLOADS = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [b"", b"an Apple", b"\r\n", b"HMSG _I.1 7 9 9\r\n", gzip.compress(b"apple inside"), b"app", b"le"]
    ),
)
STORED = st.tuples(
    st.sampled_from(["a.b", "apple.c", "x"]), st.sampled_from([b"", b"k: Apple\r\n"]), PAYLOADS
)


def frame(sequence: int, stored: Stored, inbox: bytes = b"_I.1") -> bytes:
    """What a server sends for one message of a batch."""
    subject, lines, payload = stored
    header = (
        b"NATS/1.0\r\n"
        + lines
        + b"Nats-Stream: S\r\nNats-Subject: %b\r\nNats-Sequence: %d\r\n" % (subject.encode(), sequence)
        + b"Nats-Time-Stamp: 2026-01-01T00:00:00Z\r\n\r\n"
    )
    return b"HMSG %b 7 %d %d\r\n%b%b\r\n" % (
        inbox, len(header), len(header) + len(payload), header, payload,
    )  # fmt: skip


class _Client:
    """What the parser needs when nothing but messages comes."""

    async def _process_pong(self) -> None:
        """The end of what was sent."""


def take(data: bytes, cuts: list[int]) -> list[Frames]:
    """Let the parser take the data in pieces."""
    chunks: list[Frames] = []
    parser = _WireParser(_Client(), {})  # type: ignore[arg-type]
    parser.frames[b"_I.1"] = lambda buffer, frames: chunks.append((buffer, frames))
    ends = sorted(cut % (len(data) + 1) for cut in cuts)

    async def feed() -> None:
        for start, stop in zip([0, *ends], [*ends, len(data)], strict=True):
            await parser.parse(data[start:stop])

    asyncio.run(feed())
    return chunks


@given(st.lists(STORED, max_size=12), st.lists(st.integers(0, 4_000), max_size=6), st.booleans())
def test_a_word_is_found_however_the_bytes_came(
    messages: list[Stored], cuts: list[int], backwards: bool
) -> None:
    data = b"".join(frame(sequence, stored) for sequence, stored in enumerate(messages, 1))
    batch = RawBatch("S", take(data + b"PONG\r\n", cuts))
    assert batch.count == len(messages)
    if messages:
        assert batch.last_sequence == len(messages)
    if backwards:
        batch.reverse()
    ordered = messages[::-1] if backwards else messages
    everything = list(batch.select(None))
    assert [index for index, _ in everything] == list(range(len(messages)))
    assert [message.payload for _, message in everything] == [stored[2] for stored in ordered]
    assert [message.subject for _, message in everything] == [stored[0] for stored in ordered]
    filter_ = parse_filter("aPPle")
    wanted = [index for index, message in everything if filter_.predicate(message)]
    found = [index for index, message in batch.select(filter_.needle) if filter_.predicate(message)]
    assert found == wanted
    for count in range(len(messages) + 1):
        assert batch.payload_bytes(count) == sum(len(stored[2]) for stored in ordered[:count])


@given(
    st.lists(STORED, min_size=1, max_size=12), st.lists(st.integers(0, 4_000), max_size=6), st.integers(0, 14)
)
def test_what_lies_behind_the_range_is_cut_off(messages: list[Stored], cuts: list[int], last: int) -> None:
    data = b"".join(frame(sequence, stored) for sequence, stored in enumerate(messages, 1))
    batch = RawBatch("S", take(data, cuts))
    batch.cut_behind(last)
    assert batch.count == min(last, len(messages))
    assert [message.sequence for _, message in batch.select(None)] == list(range(1, batch.count + 1))


def test_messages_for_several_inboxes_are_kept_apart() -> None:
    data = b"".join(
        frame(sequence, ("a", b"", b"x"), b"_I.1" if sequence % 3 else b"_I.2") for sequence in range(1, 10)
    )
    chunks: dict[bytes, list[Frames]] = {b"_I.1": [], b"_I.2": []}
    parser = _WireParser(_Client(), {})  # type: ignore[arg-type]
    for inbox, taken in chunks.items():
        parser.frames[inbox] = lambda buffer, frames, taken=taken: taken.append((buffer, frames))
    asyncio.run(parser.parse(data))
    found = {
        inbox: [message.sequence for _, message in RawBatch("S", taken).select(None)]
        for inbox, taken in chunks.items()
    }
    assert found == {b"_I.1": [1, 2, 4, 5, 7, 8], b"_I.2": [3, 6, 9]}


@pytest.mark.parametrize(
    ("text", "needle"),
    [
        ("Apple pie", b"apple"),
        ("-Apple", None),
        ("size>3", None),
        ("grün", None),
        ("text:apple", None),
        ('json.a == "apple"', None),
    ],
)
def test_what_a_filter_needs_to_see(text: str, needle: bytes | None) -> None:
    assert parse_filter(text).needle == needle


@pytest.mark.parametrize("newest_first", [False, True])
async def test_stations_with_holes_and_sparse_subjects(
    any_server: ServerProcess, connect: Connect, newest_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_reading, "BATCH", 50)  # many batches, windows that grow, answers beyond them
    client = await connect(any_server)
    assert isinstance(client, Client)
    jetstream = client.jetstream(timeout=30)
    await jetstream.add_stream(StreamConfig(name="S", subjects=["S.>"], allow_direct=True))
    rare = []
    for sequence in range(1, 1_501):
        kind = "rare" if sequence % 97 == 0 else "often"
        await client.publish(f"S.{kind}", b"%d %b" % (sequence, b"needle" if sequence % 70 == 3 else b"hay"))
        if kind == "rare":
            rare.append(sequence)
    await client.flush()
    async with asyncio.timeout(20):
        while (await jetstream.stream_info("S")).state.messages < 1_500:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    for sequence in (1, 3, 400, *range(700, 790), 1_500):
        await jetstream.delete_msg("S", sequence)
    gone = {1, 3, 400, *range(700, 790), 1_500}
    connection = await ReadConnection.like(client)
    try:
        for text, subject, wanted in (
            ("needle", None, [n for n in range(1, 1_501) if n % 70 == 3 and n not in gone]),
            ("", "S.rare", [n for n in rare if n not in gone]),
            ("", None, [n for n in range(1, 1_501) if n not in gone]),
            ("", "S.never", []),
        ):
            found: list[int] = []

            def note(state: Any, matches: Any, found: list[int] = found) -> None:
                found.extend(match[0] for match in matches)

            request = ScanRequest("S", 2, 1_600, text, subject, newest_first=newest_first)
            scan = Scan(request, note)
            assert await scan.run(connection) == ""
            assert found == (wanted[::-1] if newest_first else wanted)
            if text or subject is None:
                assert scan.state.scanned == 1_500 - len(gone)
    finally:
        await connection.close()


@pytest.mark.parametrize("newest_first", [False, True])
async def test_a_login_that_may_not_read_directly_reads_all_the_same(
    any_server: ServerProcess, connect: Connect, newest_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await connect(any_server)
    assert isinstance(client, Client)
    jetstream = client.jetstream(timeout=30)
    await jetstream.add_stream(StreamConfig(name="S", subjects=["S.>"], allow_direct=True))
    for number in range(30):
        await jetstream.publish("S.a", b"%d" % number)
    connection = await ReadConnection.like(client)
    asked = 0

    async def refused(*_: Any, **__: Any) -> list[Frames]:
        nonlocal asked
        asked += 1
        raise ReadError(403, 0, "This login may not publish to $JS.API.DIRECT.GET.S")

    monkeypatch.setattr(connection, "gather_frames", refused)
    reader = MessageReader(connection, "S", cache_bytes=0)
    await reader.refresh()
    found: list[int] = []
    async for batch, _ in read_batches(reader, 1, 30, None, newest_first=newest_first):
        found += [message.sequence for _, message in batch.select(b"no look at the bytes here")]
    await connection.close()
    assert asked
    assert found == (list(range(30, 0, -1)) if newest_first else list(range(1, 31)))


async def test_answers_behind_others_on_a_slow_line_are_waited_for(
    nats_server: ServerProcess, connect: Connect
) -> None:
    client = await connect(nats_server)
    assert isinstance(client, Client)
    connection = await ReadConnection.like(client)
    sender = await connect(nats_server)
    inboxes: list[str] = []

    async def note(message: Any) -> None:
        inboxes.append(message.reply)

    await sender.subscribe("slow", cb=note)
    await sender.flush()
    reading = [asyncio.ensure_future(connection.gather_frames("slow", b"", timeout=0.4)) for _ in range(2)]
    async with asyncio.timeout(20):
        while len(inboxes) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    header = {"A": "b"}
    for _ in range(8):  # the first answer takes longer than the second may be silent
        await sender.publish(inboxes[0], b"part", headers=header)
        await asyncio.sleep(0.1)
    ended = b"HPUB %b 16 16\r\nNATS/1.0 204 E\r\n\r\n\r\n"
    for inbox in inboxes:
        end = ended.replace(b"16 16", b"18 18") % inbox.encode()
        await sender._send_command(end)
    await sender.flush()
    first, second = await asyncio.gather(*reading)
    assert sum(len(frames) for _, frames in first) // 3 == 9
    assert sum(len(frames) for _, frames in second) // 3 == 1
    silent = asyncio.ensure_future(connection.gather_frames("slow", b"", timeout=0.2))
    with pytest.raises(ReadError, match="no answer"):
        await silent
    await connection.close()
