"""Reading stored messages without consuming them: by sequence, time or percent, forwards and backwards.

No consumer is ever made, so reading leaves no trace on any kind of retention. There are three ways to read,
and the best that the stream and the server allow is used: batched direct gets (servers from 2.11, streams
with allow_direct), single direct gets, and message gets through the JetStream API. The two single ways walk
many stretches at the same time.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from typing import Any, ParamSpec, Protocol, TypeVar

from nats.aio.client import Client

from memphis_desktop.inspect.connection import ReadConnection, ReadError
from memphis_desktop.inspect.message import InspectedMessage, format_time, parse_time
from memphis_desktop.inspect.page_cache import CACHE_BYTES, Page, PageCache
from memphis_desktop.language import tr

PAGE_ROWS = 200
PAGE_BYTES = 8 << 20  # a page ends early when its messages are this large together
BATCH_VERSION = (2, 11, 0)
START_TIME_VERSION = (2, 11, 0)
PARALLEL_WALKS = 48
_MAX_PROBES = 40

_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")


class ReadingMethod(Enum):
    """How messages are fetched; `text` says it in words."""

    BATCH = "batch"
    DIRECT = "direct"
    API = "api"

    @property
    def text(self) -> str:
        """What the screen says."""
        return {
            ReadingMethod.BATCH: tr("batched direct gets"),
            ReadingMethod.DIRECT: tr("single direct gets"),
            ReadingMethod.API: tr("message gets through the stream's leader"),
        }[self]


@dataclass(frozen=True, slots=True)
class StreamBounds:
    """Where a stream stands, as read from the server.

    Attributes:
        first: Sequence of the oldest message; last + 1 when the stream is empty.
        last: Sequence of the newest message ever stored.
        messages: How many there are.
        bytes: How large they are together.
        deleted: How many between first and last are gone.
        first_time_ns, last_time_ns: When those were stored; None when the stream is empty.
        config: The stream's configuration.
        read_at_ns: When this was read.
    """

    first: int
    last: int
    messages: int
    bytes: int
    deleted: int
    first_time_ns: int | None
    last_time_ns: int | None
    config: dict[str, Any] = field(repr=False, default_factory=dict)
    read_at_ns: int = 0

    @property
    def density(self) -> float:
        """Messages per sequence between first and last, in (0, 1]."""
        span = self.last - self.first + 1
        return min(1.0, max(self.messages / span, 1e-9)) if span > 0 and self.messages else 1.0


class ReaderSource(Protocol):
    """What a reader needs of a session."""

    @property
    def nats(self) -> Client:
        """The connected client whose servers and login the reading connection uses."""


class MessageReader:
    """Pages of one stream's messages.

    Use `open`, then `refresh` for the bounds. One reader may be asked for many pages at the same time.
    """

    def __init__(
        self,
        connection: ReadConnection,
        stream: str,
        *,
        api_prefix: str = "$JS.API",
        cache_bytes: int = CACHE_BYTES,
        timeout: float = 5.0,
        mask: Callable[[InspectedMessage], InspectedMessage] | None = None,
    ) -> None:
        """Read over a connection; what `mask` makes of each message is what is handed out and kept."""
        self.mask = mask
        self.connection = connection
        self.stream = stream
        self.cache = PageCache(cache_bytes)
        self.timeout = timeout
        self.requests = 0
        self.api_prefix = api_prefix
        self._bounds: StreamBounds | None = None
        self._method: ReadingMethod | None = None
        self._refused: set[ReadingMethod] = set()
        self._owns_connection = False

    @classmethod
    async def open(cls, source: ReaderSource, stream: str, **options: Any) -> MessageReader:
        """Open a reader with a connection of its own and read the stream's bounds.

        Raises:
            ReadError: the server is not reachable or has no such stream.
        """
        connection = await ReadConnection.like(source.nats)
        reader = cls(connection, stream, **options)
        reader._owns_connection = True
        try:
            await reader.refresh()
        except BaseException:
            await connection.close()
            raise
        return reader

    async def close(self) -> None:
        """Close the connection when it is this reader's own."""
        if self._owns_connection:
            await self.connection.close()

    @property
    def bounds(self) -> StreamBounds:
        """The bounds as last read; raises RuntimeError before the first `refresh`."""
        if self._bounds is None:
            raise RuntimeError("the reader was not refreshed yet")
        return self._bounds

    @property
    def method(self) -> ReadingMethod:
        """How messages are fetched."""
        return self._method or ReadingMethod.API

    # -- bounds ------------------------------------------------------------------------------------

    async def refresh(self) -> StreamBounds:
        """Read where the stream begins and ends; forget cached pages that no longer hold.

        Raises:
            ReadError: no answer, or no such stream (code 404).
        """
        answer = await self._api(f"STREAM.INFO.{self.stream}")
        state = answer["state"]
        first, last, messages = int(state["first_seq"]), int(state["last_seq"]), int(state["messages"])
        bounds = StreamBounds(
            first=first if messages else last + 1,
            last=last,
            messages=messages,
            bytes=int(state["bytes"]),
            deleted=int(state.get("num_deleted") or 0),
            first_time_ns=parse_time(state["first_ts"]) if messages else None,
            last_time_ns=parse_time(state["last_ts"]) if messages else None,
            config=answer["config"],
            read_at_ns=time.time_ns(),
        )
        before = self._bounds
        if before is not None:
            if bounds.deleted != before.deleted or bounds.last < before.last:
                self.cache.clear()
            elif bounds.first != before.first:
                self.cache.forget_below(bounds.first)
        self._bounds = bounds
        self._choose_method()
        return bounds

    def _choose_method(self) -> None:
        config = self.bounds.config
        direct = bool(config.get("mirror_direct") if config.get("mirror") else config.get("allow_direct"))
        candidates = [ReadingMethod.API]
        if direct:
            candidates.insert(0, ReadingMethod.DIRECT)
            if self.connection.server_version >= BATCH_VERSION:
                candidates.insert(0, ReadingMethod.BATCH)
        self._method = next((m for m in candidates if m not in self._refused), ReadingMethod.API)

    def fall_back(self, error: ReadError) -> bool:
        """Give up the present method when the server or the login refuses it; False when none is left."""
        if error.code not in (403, 503) or self.method is ReadingMethod.API:
            return False
        self._refused.add(self.method)
        if error.code == 403:  # both direct methods use the same subject
            self._refused |= {ReadingMethod.BATCH, ReadingMethod.DIRECT}
        self._choose_method()
        return True

    # -- pages -------------------------------------------------------------------------------------

    async def forward(self, sequence: int, count: int = PAGE_ROWS, subject: str | None = None) -> Page:
        """Return up to `count` messages from `sequence` on (inclusive), oldest first.

        The page covers at least one existing message unless none is left. `subject` filters at the server.

        Raises:
            ReadError: the server did not answer or refused.
        """
        bounds = self.bounds
        sequence = max(sequence, bounds.first, 1)
        cached = self.cache.forward(sequence, count, subject)
        if cached is not None:
            return cached
        page = await self._retrying(self._read_forward, sequence, count, subject)
        self.cache.add(page, subject)
        return page

    async def backward(self, sequence: int, count: int = PAGE_ROWS, subject: str | None = None) -> Page:
        """Return up to `count` messages up to `sequence` (inclusive), oldest first.

        Raises:
            ReadError: the server did not answer or refused.
        """
        bounds = self.bounds
        sequence = min(sequence, bounds.last)
        if sequence < max(bounds.first, 1):
            return Page((), max(sequence, 0) + 1, max(sequence, 0))
        cached = self.cache.backward(sequence, count, subject)
        if cached is not None:
            return cached
        page = await self._retrying(self._read_backward, sequence, count, subject)
        self.cache.add(page, subject)
        return page

    async def message(self, sequence: int) -> InspectedMessage | None:
        """Return one message, or None when it was removed or never stored."""
        cached = self.cache.message(sequence)
        return cached or await self._retrying(self._get, {"seq": sequence})

    async def _retrying(
        self,
        read: Callable[_Arguments, Awaitable[_Answer]],
        *arguments: _Arguments.args,
        **named: _Arguments.kwargs,
    ) -> _Answer:
        while True:
            try:
                return await read(*arguments, **named)
            except ReadError as error:
                if not self.fall_back(error):
                    raise

    async def _read_forward(self, start: int, count: int, subject: str | None) -> Page:
        if self.method is ReadingMethod.BATCH:
            known = self.bounds.last  # before asking: what is stored meanwhile is not covered by the answer
            messages, pending = await self._batch({"seq": start}, count, subject)
            if not messages:
                return Page((), start, max(start - 1, known))
            last = messages[-1].sequence
            return Page(tuple(messages), start, max(last, known) if not pending else last)
        return await self._walk_forward(start, count, subject)

    async def _read_backward(self, end: int, count: int, subject: str | None) -> Page:
        first = max(self.bounds.first, 1)
        if self.method is not ReadingMethod.BATCH:
            return await self._walk_backward(end, count, subject)
        start = max(first, end - count + 1)
        if subject is not None or self.bounds.deleted:
            start = await self._backward_start(end, count, subject)
        parts: list[list[InspectedMessage]] = []
        position, size = start, 0
        while position <= end:
            messages, pending = await self._batch({"seq": position}, count, subject)
            inside = [message for message in messages if message.sequence <= end]
            parts.append(inside)
            size += sum(message.size for message in inside)
            while len(parts) > 1 and size > 2 * PAGE_BYTES:  # very large messages: keep those next to `end`
                dropped = parts.pop(0)
                size -= sum(message.size for message in dropped)
                start = dropped[-1].sequence + 1 if dropped else start
            if len(inside) < len(messages) or not pending or not messages:
                break
            position = messages[-1].sequence + 1
        return Page(tuple(message for part in parts for message in part), start, end)

    async def _backward_start(self, end: int, count: int, subject: str | None) -> int:
        """Return a sequence from which about `count` matching messages lie up to `end`, never far more.

        The server counts what matches from a sequence on, so a few single probes find the place in any
        stream, however sparse.
        """
        first = max(self.bounds.first, 1)
        after = await self._matching_from(end + 1, subject)
        width = max(count, math.ceil(count / self.bounds.density))
        low, high = first, end  # the answer lies between
        start = max(first, end - width + 1)
        for _ in range(_MAX_PROBES):
            found = await self._matching_from(start, subject) - after
            if found > 2 * count and start < high:
                low = start
                estimate = end - math.ceil((end - start + 1) * 1.2 * count / found)
                start = min(high, max(estimate, start + (high - start) // 16, start + 1))
            elif found >= count or start <= first:
                break
            else:
                high = start - 1
                if start <= low:
                    break
                width *= 4
                start = max(low, end - width + 1) if low == first else (low + high) // 2
        return start

    async def matching_from(self, sequence: int, subject: str | None = None) -> int:
        """Return how many messages there are from `sequence` on that match; needs batched gets."""
        return await self._retrying(self._matching_from, sequence, subject)

    async def matching_since(self, start_time: str, subject: str | None = None) -> int:
        """Return how many messages there are from a time (RFC 3339) on that match; needs batched gets."""
        messages, pending = await self._retrying(self._batch, {"start_time": start_time}, 1, subject)
        return pending + len(messages)

    async def _matching_from(self, sequence: int, subject: str | None) -> int:
        if sequence > self.bounds.last and subject is None:
            return 0
        messages, pending = await self._batch({"seq": max(sequence, 1)}, 1, subject)
        return pending + len(messages)

    # -- places ------------------------------------------------------------------------------------

    async def subjects(self, pattern: str, most: int) -> list[str] | None:
        """Return the subjects in the stream that a pattern matches; None when there are more than `most`.

        Raises:
            ReadError: the server did not answer or refused.
        """
        found: dict[str, int] = {}
        while True:
            body = {"subjects_filter": pattern, "offset": len(found)}
            info = await self._api(f"STREAM.INFO.{self.stream}", body)
            page = (info.get("state") or {}).get("subjects") or {}
            found.update(page)
            total = int(info.get("total") or len(found))
            if max(total, len(found)) > most:
                return None
            if not page or len(found) >= total:
                return list(found)

    async def sequence_at(self, time_ns: int) -> int:
        """Return the sequence of the first message stored at or after a time; last + 1 when there is none.

        Raises:
            ReadError: the server did not answer or refused.
        """
        bounds = self.bounds
        if bounds.last_time_ns is None or bounds.first_time_ns is None:
            return bounds.last + 1
        if time_ns <= bounds.first_time_ns:
            return bounds.first
        if time_ns > bounds.last_time_ns and time_ns > time.time_ns():
            return bounds.last + 1
        return await self._retrying(self._sequence_at, time_ns)

    async def _sequence_at(self, time_ns: int) -> int:
        if self.connection.server_version >= START_TIME_VERSION:
            start_time = format_time(time_ns)
            if self.method is ReadingMethod.BATCH:
                messages, _ = await self._batch({"start_time": start_time}, 1, None)
                return messages[0].sequence if messages else self.bounds.last + 1
            found = await self._get({"start_time": start_time})
            return found.sequence if found else self.bounds.last + 1
        low, high = self.bounds.first, self.bounds.last + 1  # times never fall as sequences rise: bisect
        while low < high:
            middle = (low + high) // 2
            found = await self._get({"seq": middle, "next_by_subj": ">"})
            if found is None or found.time_ns >= time_ns:
                high = middle
            else:
                low = found.sequence + 1
        return low

    def sequence_at_percent(self, percent: float) -> int:
        """Return the sequence this far (0–100) between first and last."""
        bounds = self.bounds
        span = max(bounds.last - bounds.first, 0)
        return bounds.first + round(span * min(max(percent, 0.0), 100.0) / 100.0)

    # -- requests ----------------------------------------------------------------------------------

    async def _api(self, suffix: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        self.requests += 1
        data = json.dumps(body).encode() if body else b""
        try:
            _, payload = await self.connection.request(f"{self.api_prefix}.{suffix}", data, self.timeout)
        except ReadError as error:
            if error.code == 503:
                raise ReadError(503, 0, tr("JetStream is not available to this login")) from error
            raise
        answer: dict[str, Any] = json.loads(payload)
        if "error" in answer:
            failure = answer["error"]
            raise ReadError(
                int(failure.get("code", 0)),
                int(failure.get("err_code", 0)),
                str(failure.get("description", "")),
            )
        return answer

    async def _batch(
        self, place: dict[str, Any], count: int, subject: str | None
    ) -> tuple[list[InspectedMessage], int]:
        """Ask for a batch; return its messages and how many match after them."""
        return await self._run({**place, "batch": count, "next_by_subj": subject or ">"})

    async def last_of_each(
        self, subjects: Sequence[str], *, up_to: int = 0
    ) -> tuple[list[InspectedMessage], int]:
        """Return the last message of each of these subjects and how many more there are; needs batched gets.

        With `up_to`, the last that is not behind this sequence.

        Raises:
            ReadError: the server did not answer or refused; more than 1,024 subjects match (413).
        """
        bound = {"up_to_seq": up_to} if up_to else {}
        return await self._run({"multi_last": list(subjects), "batch": len(subjects), **bound})

    async def last_on(self, subject: str) -> InspectedMessage | None:
        """Return the newest message on a subject, or of all that a pattern matches; None without one.

        Raises:
            ReadError: the server did not answer or refused.
        """
        return await self._retrying(self._get, {"last_by_subj": subject})

    async def _run(self, body: dict[str, Any]) -> tuple[list[InspectedMessage], int]:
        self.requests += 1
        body = {**body, "max_bytes": PAGE_BYTES}
        subject_name = f"{self.api_prefix}.DIRECT.GET.{self.stream}"
        answers = await self.connection.gather(subject_name, json.dumps(body).encode(), timeout=self.timeout)
        header, payload = answers[-1]
        if header.startswith(b"NATS/1.0 ") and not payload:
            answers.pop()
            _check_status(header)
        messages, pending = [], 0
        for header, payload in answers:
            message, pending = direct_message(self.stream, header, payload)
            messages.append(self.mask(message) if self.mask is not None else message)
        return messages, pending

    async def _get(self, place: dict[str, Any]) -> InspectedMessage | None:
        """Get one message by the present method, or None when there is none."""
        message = await self._get_stored(place)
        return self.mask(message) if message is not None and self.mask is not None else message

    async def _get_stored(self, place: dict[str, Any]) -> InspectedMessage | None:
        if self.method is ReadingMethod.API:
            try:
                answer = await self._api(f"STREAM.MSG.GET.{self.stream}", place)
            except ReadError as error:
                if error.err_code == 10037:
                    return None
                raise
            return stored_message(self.stream, answer["message"])
        self.requests += 1
        subject = f"{self.api_prefix}.DIRECT.GET.{self.stream}"
        header, payload = await self.connection.request(subject, json.dumps(place).encode(), self.timeout)
        if header.startswith(b"NATS/1.0 ") and not payload:
            _check_status(header)
            return None
        return direct_message(self.stream, header, payload)[0]

    # -- single gets -------------------------------------------------------------------------------

    async def _walk_forward(self, start: int, count: int, subject: str | None) -> Page:
        messages: list[InspectedMessage] = []
        last = self.bounds.last
        position, width = start, max(count, math.ceil(count / self.bounds.density))
        while position <= last and len(messages) < count:
            end = min(last, position + width - 1)
            found, covered = await self._walk(position, end, count - len(messages), subject)
            messages += found
            position = covered + 1
            width *= 4 if len(found) < count // 4 else 1
        return Page(tuple(messages), start, max(position - 1, start - 1))

    async def _walk_backward(self, end: int, count: int, subject: str | None) -> Page:
        messages: list[InspectedMessage] = []
        first = max(self.bounds.first, 1)
        position, width = end, max(count, math.ceil(count / self.bounds.density))
        while position >= first and len(messages) < count:
            start = max(first, position - width + 1)
            part: list[InspectedMessage] = []
            cursor = start
            while cursor <= position:
                found, cursor = await self._walk(cursor, position, 4 * count, subject)
                part = (part + found)[-4 * count :]
                cursor += 1
            if len(part) == 4 * count:  # denser than thought: what was dropped is not covered
                start = part[0].sequence
            messages = part + messages
            position = start - 1
            width *= 4 if len(part) < count // 4 else 1
            if len(part) == 4 * count:
                break
        return Page(tuple(messages), position + 1, end)

    async def _walk(
        self, start: int, end: int, count: int, subject: str | None
    ) -> tuple[list[InspectedMessage], int]:
        """Return the messages from start to end by walks side by side, and up to where that is complete."""
        segments = min(PARALLEL_WALKS, end - start + 1)
        edges = [start + (end - start + 1) * i // segments for i in range(segments + 1)]
        enough = max(4, 4 * count // segments)

        async def walk(low: int, high: int) -> tuple[list[InspectedMessage], int]:
            found: list[InspectedMessage] = []
            while low <= high and len(found) < enough:
                message = await self._get({"seq": low, "next_by_subj": subject or ">"})
                if message is None:
                    return found, high
                if message.sequence > high:
                    return found, high
                found.append(message)
                low = message.sequence + 1
            return found, low - 1

        walks = [asyncio.ensure_future(walk(low, high - 1)) for low, high in pairwise(edges)]
        try:
            parts = await asyncio.gather(*walks)
        except BaseException:
            for task in walks:
                task.cancel()
            await asyncio.gather(*walks, return_exceptions=True)
            raise
        messages: list[InspectedMessage] = []
        for (found, covered), high in zip(parts, edges[1:], strict=True):
            messages += found
            if covered < high - 1:
                return messages, covered
        return messages, end


def _check_status(header: bytes) -> None:
    """Raise ReadError unless a status line means an ordinary end (204) or nothing found (404)."""
    status = header[9:].split(b"\r\n", 1)[0].decode("latin-1")
    code = int(status[:3]) if status[:3].isdigit() else 0
    if code not in (204, 404):
        raise ReadError(code, 0, status[4:] or (tr("Direct gets are not allowed") if code == 503 else status))


def direct_message(stream: str, header: bytes, payload: bytes) -> tuple[InspectedMessage, int]:
    """Turn the answer of a direct get into a message and the number of messages pending after it.

    The server adds its own headers after the stored ones; the stored block is given back as it was.
    """
    cut = header.rfind(b"\r\nNats-Stream: ")
    added = header[cut + 2 :].split(b"\r\n")
    values = dict(line.split(b": ", 1) for line in added if b": " in line)
    try:
        sequence = int(values[b"Nats-Sequence"])
        time_ns = parse_time(values[b"Nats-Time-Stamp"].decode())
        subject = values[b"Nats-Subject"].decode("utf-8", "surrogateescape")
    except (KeyError, ValueError):
        raise ReadError(0, 0, tr("the server's answer lacks the headers of a direct get")) from None
    block = header[:cut] + b"\r\n\r\n"
    stored = b"" if block == b"NATS/1.0\r\n\r\n" else block
    return InspectedMessage(stream, sequence, time_ns, subject, stored, payload), int(
        values.get(b"Nats-Num-Pending", b"0")
    )


def stored_message(stream: str, answer: dict[str, Any]) -> InspectedMessage:
    """Turn the answer of a message get through the API into a message."""
    return InspectedMessage(
        stream,
        int(answer["seq"]),
        parse_time(answer["time"]),
        str(answer["subject"]),
        base64.b64decode(answer.get("hdrs") or b""),
        base64.b64decode(answer.get("data") or b""),
    )
