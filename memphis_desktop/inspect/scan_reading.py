"""What a scan reads: the messages of a range in batches, as the server sent them, several under way at once.

A batch is looked at as a whole first: where a word can only be found as its bytes, one search over all of
them tells which messages are worth a closer look.
"""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Iterator, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from memphis_desktop.inspect.connection import Frames, ReadError
from memphis_desktop.inspect.filter.lazy import COMPRESSED, LazyMessage
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.reader import MessageReader, ReadingMethod
from memphis_desktop.language import tr

BATCH = 5_000
BATCH_BYTES = 8 << 20
UNDER_WAY = 3  # while one is tested the server sends the next, and knows already of the one after it
PAGE = 1_000  # where the server cannot batch
SPARSE = (
    0.5  # with fewer messages per sequence than this, the next request waits for where the last one ended
)


class Batch(Protocol):
    """Some messages of a stream, in the order of the scan."""

    @property
    def count(self) -> int:
        """How many there are."""

    def payload_bytes(self, count: int) -> int:
        """The bytes of the payloads of so many, from the start."""

    def select(self, needle: bytes | None) -> Iterator[tuple[int, LazyMessage]]:
        """Yield messages with their index: those that may hold `needle`, in any case; all without one."""


class RawBatch:
    """The answer to one batched direct get, as it came."""

    def __init__(self, stream: str, chunks: list[Frames]) -> None:
        self.stream = stream
        self.count = sum(len(frames) for _, frames in chunks) // 3
        self._chunks = chunks
        self._backwards = False

    def __add__(self, other: RawBatch) -> RawBatch:
        return RawBatch(self.stream, self._chunks + other._chunks)

    def reverse(self) -> None:
        """Put the last message first."""
        self._backwards = not self._backwards
        self._chunks.reverse()

    @property
    def last_sequence(self) -> int:
        """Sequence of the last message, while it has not been reversed; there must be one."""
        buffer, frames = self._chunks[-1]
        return self._message(buffer, frames, len(frames) - 3).sequence

    def cut_behind(self, sequence: int) -> None:
        """Leave out messages with greater sequences; not when it has been reversed."""
        while self.count and self.last_sequence > sequence:
            buffer, frames = self._chunks.pop()
            left = bisect_right(
                range(len(frames) // 3),
                sequence,
                key=lambda index: self._message(buffer, frames, 3 * index).sequence,
            )
            self.count -= len(frames) // 3 - left
            if left:
                self._chunks.append((buffer, frames[: 3 * left]))

    def payload_bytes(self, count: int) -> int:
        """See `Batch`."""
        total = 0
        for _, frames in self._chunks:
            here = len(frames) // 3
            if here > count:
                frames = frames[-3 * count :] if self._backwards else frames[: 3 * count]
                here = count
            if here <= 0:
                break
            total += sum(frames[2::3]) - sum(frames[1::3])
            count -= here
        return total

    def select(self, needle: bytes | None) -> Iterator[tuple[int, LazyMessage]]:
        """See `Batch`. Compressed payloads are yielded too: what they hold is not seen from outside."""
        before = 0
        backwards = self._backwards
        for buffer, frames in self._chunks:
            here = len(frames) // 3
            chosen: Sequence[int] = range(here) if needle is None else _holding(buffer, frames, needle)
            for index in reversed(chosen) if backwards else chosen:
                message = self._message(buffer, frames, 3 * index)
                yield before + (here - 1 - index if backwards else index), message
            before += here

    def _message(self, buffer: bytes, frames: list[int], at: int) -> LazyMessage:
        header, payload, stop = frames[at : at + 3]
        return LazyMessage(buffer[header:payload], buffer[payload:stop], self.stream)


def _holding(buffer: bytes, frames: list[int], needle: bytes) -> list[int]:
    """Return the indexes of messages with a word in their bytes, or whose payload may be compressed."""
    found = [index for index, payload in enumerate(frames[1::3]) if buffer[payload] in COMPRESSED]
    starts, ends = frames[::3], frames[2::3]
    text = buffer[: ends[-1]].lower()
    place = text.find(needle, starts[0])
    plain: list[int] = []
    while place >= 0:
        index = bisect_right(starts, place) - 1
        if place + len(needle) <= ends[index]:
            plain.append(index)
            place = ends[index]
        place = text.find(needle, place + 1)
    return sorted({*found, *plain}) if found else plain


class MessageBatch:
    """Messages that were read one by one."""

    def __init__(self, messages: Sequence[InspectedMessage]) -> None:
        self._messages = [LazyMessage.of(message) for message in messages]

    @property
    def count(self) -> int:
        """See `Batch`."""
        return len(self._messages)

    def payload_bytes(self, count: int) -> int:
        """See `Batch`."""
        return sum(len(message.payload) for message in self._messages[:count])

    def select(self, needle: bytes | None) -> Iterator[tuple[int, LazyMessage]]:
        """See `Batch`: all of them."""
        yield from enumerate(self._messages)


Batches = AsyncGenerator[tuple[Batch, int], None]


async def read_batches(
    reader: MessageReader, first: int, last: int, subject: str | None, *, newest_first: bool
) -> Batches:
    """Yield the messages of a range in batches, with the sequence each of them reaches to.

    Where batched direct gets turn out not to be allowed, the messages are read one by one.

    Args:
        reader: Reads the stream; refreshed.
        first, last: The range, both inclusive.
        subject: A pattern the server filters by.
        newest_first: Begin at the end.

    Raises:
        ReadError: they cannot be read.
    """
    while reader.method is ReadingMethod.BATCH and first <= last:
        if newest_first or (subject is None and reader.bounds.density > SPARSE):
            reading = _windows(reader, first, last, subject, newest_first)
        else:
            reading = _chain(reader, first, last, subject)
        try:
            async with aclosing(reading):
                async for batch, position in reading:
                    yield batch, position
                    if newest_first:
                        last = position - 1
                    else:
                        first = position + 1
            return
        except ReadError as error:
            if not reader.fall_back(error):
                raise
    pages = _pages_backwards if newest_first else _pages_forwards
    async with aclosing(pages(reader, first, last, subject)) as reading:
        async for batch, position in reading:
            yield batch, position


async def _pages_forwards(reader: MessageReader, first: int, last: int, subject: str | None) -> Batches:
    while first <= last:
        page = await reader.forward(first, PAGE, subject)
        yield MessageBatch([m for m in page.messages if m.sequence <= last]), min(page.last, last)
        if page.last < page.first:
            return
        first = page.last + 1


async def _pages_backwards(reader: MessageReader, first: int, last: int, subject: str | None) -> Batches:
    while last >= first:
        page = await reader.backward(last, PAGE, subject)
        yield (
            MessageBatch([m for m in reversed(page.messages) if m.sequence >= first]),
            max(page.first, first),
        )
        last = page.first - 1


async def _batch(reader: MessageReader, start: int, count: int, subject: str | None) -> RawBatch:
    body = {"seq": start, "batch": count, "max_bytes": BATCH_BYTES, "next_by_subj": subject or ">"}
    chunks = await reader.connection.gather_frames(
        f"{reader.api_prefix}.DIRECT.GET.{reader.stream}", json.dumps(body).encode(), timeout=reader.timeout
    )
    buffer, frames = chunks[-1]  # ends with the status
    if buffer.startswith(b"NATS/1.0 503", frames[-3]):
        raise ReadError(503, 0, tr("direct gets are not allowed"))
    del frames[-3:]
    if not frames:
        chunks.pop()
    return RawBatch(reader.stream, chunks)


async def _chain(reader: MessageReader, first: int, last: int, subject: str | None) -> Batches:
    """Each request begins where the answer before it ended: nothing is read twice, however few match."""
    answers: asyncio.Queue[RawBatch | BaseException] = asyncio.Queue(UNDER_WAY - 1)

    async def ask() -> None:
        start = first
        try:
            while start <= last:
                batch = await _batch(reader, start, BATCH, subject)
                start = batch.last_sequence + 1 if batch.count else last + 1
                await answers.put(batch)
        except ReadError as error:
            await answers.put(error)

    asking = asyncio.ensure_future(ask())
    try:
        end = first - 1
        while end < last:
            batch = await answers.get()
            if isinstance(batch, BaseException):
                raise batch
            end = batch.last_sequence if batch.count else last
            batch.cut_behind(last)
            yield batch, min(end, last)
    finally:
        asking.cancel()


class _Windows:
    """Stretches of sequences from one end to the other, wider where few messages match."""

    def __init__(self, first: int, last: int, width: int, *, newest_first: bool) -> None:
        self.first, self.last = first, last
        self.width = width
        self.expected = BATCH
        self._newest_first = newest_first

    def next(self) -> tuple[int, int]:
        """Return the next stretch, both ends inclusive; there must be one."""
        if self._newest_first:
            start, end = max(self.first, self.last - self.width + 1), self.last
            self.last = start - 1
        else:
            start, end = self.first, min(self.last, self.first + self.width - 1)
            self.first = end + 1
        return start, end

    @property
    def left(self) -> bool:
        """Whether there is one more."""
        return self.first <= self.last

    def adapt(self, found: int, width: int) -> None:
        """Learn from how many messages were found in a stretch of so many sequences."""
        if found < BATCH // 4 and width >= self.width:
            self.width = width * 2
        elif found > BATCH * 2 and width <= self.width and width > BATCH:
            self.width = width // 2
        self.expected = found * self.width // width


async def _windows(
    reader: MessageReader, first: int, last: int, subject: str | None, newest_first: bool
) -> Batches:
    """Stretches that are known beforehand, so that several can be under way."""
    windows = _Windows(first, last, round(BATCH / reader.bounds.density), newest_first=newest_first)
    under_way: deque[tuple[int, int, asyncio.Task[RawBatch]]] = deque()
    try:
        while windows.left or under_way:
            while windows.left and len(under_way) < UNDER_WAY:
                start, end = windows.next()
                reading = _window(reader, start, end, windows.expected, subject)
                under_way.append((start, end, _started(reading)))
            start, end, task = under_way[0]
            batch = await task
            under_way.popleft()
            windows.adapt(batch.count, end - start + 1)
            if newest_first:
                batch.reverse()
            yield batch, start if newest_first else end
    finally:
        for *_, task in under_way:
            task.cancel()


def _started(reading: Coroutine[Any, Any, RawBatch]) -> asyncio.Task[RawBatch]:
    task = asyncio.ensure_future(reading)
    task.add_done_callback(_looked_at)
    return task


def _looked_at(task: asyncio.Task[RawBatch]) -> None:
    """One that nobody waits for any more may fail without a word."""
    if not task.cancelled():
        task.exception()


async def _window(
    reader: MessageReader, start: int, end: int, expected: int, subject: str | None
) -> RawBatch:
    """Read all of a stretch; `expected` says how many messages there may be."""
    found = RawBatch(reader.stream, [])
    position = start
    while position <= end:
        # Never ask for many more than fit: what lies beyond the window is read by another request.
        count = min(BATCH, end - position + 1, max(expected * 5 // 4 - found.count, 100))
        part = await _batch(reader, position, count, subject)
        if not part.count:
            break
        position = part.last_sequence + 1
        part.cut_behind(end)
        found += part
    return found
