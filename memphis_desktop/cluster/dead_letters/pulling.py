"""Taking messages of a pull consumer as bytes, a batch at a time, each with what acknowledges it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from memphis_desktop.inspect.connection import ReadConnection, ReadError
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr

BATCH = 256
BATCH_BYTES = 8 << 20
WAIT_SECONDS = 1.0  # for the first message of a batch
_GRACE = 2.0  # what a server may be late with the end of a batch
_STATUS = b"NATS/1.0 "
_TOO_LARGE = "Message Size Exceeds MaxBytes"
_ORDINARY_ENDS = (_TOO_LARGE, "Batch Completed", "Leadership Change")
PIN_HEADER = "Nats-Pin-Id"

Delivery = tuple[InspectedMessage, str]  # the message, and the subject that acknowledges it


class Pull:
    """Asks a pull consumer for batches over a connection of its own."""

    def __init__(
        self, connection: ReadConnection, subject: str, stream: str, config: Mapping[str, Any]
    ) -> None:
        """Describe what is asked.

        Args:
            connection: Where it is asked; nothing else is changed there.
            subject: The API subject of the consumer's next messages.
            stream: Its stream.
            config: The consumer's configuration, whose limits for requests hold.
        """
        self._connection = connection
        self._subject = subject
        self._stream = stream
        self._config = config
        self._groups = [str(name) for name in config.get("priority_groups") or ()] or [""]
        self._pins: dict[str, str] = {}
        self._taken: list[Delivery] = []
        self._ended = ""
        self._changed = asyncio.Event()
        self._inbox = ""
        self._end: Callable[[], Awaitable[None]] | None = None

    async def __aenter__(self) -> Pull:
        self._inbox = self._connection.client.new_inbox()
        self._end = await self._connection.listen(self._inbox, self._take)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._end is not None:
            await self._end()

    async def next(self, *, wait: bool) -> list[Delivery]:
        """Return the next messages; none when there are none now, or with `wait` within a second.

        Raises:
            ReadError: The server refused, or did not answer.
        """
        for group in self._groups:
            batch = await self._ask(group, BATCH, BATCH_BYTES, wait)
            if not batch and _TOO_LARGE in self._ended:
                batch = await self._ask(group, 1, 0, wait)  # one that is larger than a whole batch may be
            if batch:
                return batch
        return []

    async def _ask(self, group: str, most: int, size: int, wait: bool) -> list[Delivery]:
        self._ended = ""
        wanted = min(most, int(self._config.get("max_batch") or 0) or most)
        self._changed.clear()
        await self._connection.client.publish(
            self._subject, orjson.dumps(self._request(group, wanted, size, wait)), reply=self._inbox
        )
        try:
            async with asyncio.timeout(WAIT_SECONDS + _GRACE):
                while len(self._taken) < wanted and not self._ended:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            if not self._taken and self._connection.closed:
                raise ReadError(0, 0, tr("the connection is closed")) from None
        self._check()
        batch, self._taken = self._taken, []
        for message, _ in batch:
            if (pin := message.headers.get(PIN_HEADER)) is not None:
                self._pins[group] = pin
        return batch

    def _request(self, group: str, wanted: int, size: int, wait: bool) -> dict[str, Any]:
        longest = int(self._config.get("max_expires") or 0)
        expires = round(WAIT_SECONDS * 1e9)
        request: dict[str, Any] = {"batch": wanted, "expires": min(expires, longest) if longest else expires}
        if not wait:
            request = {"batch": wanted, "no_wait": True}
        if size:
            request["max_bytes"] = min(size, int(self._config.get("max_bytes") or 0) or size)
        if group:
            request["group"] = group
            if group in self._pins:
                request["id"] = self._pins[group]
        return request

    def _take(self, subject: bytes, reply: bytes, header: bytes, payload: bytes) -> None:
        if header.startswith(_STATUS) and not reply:
            words = header[len(_STATUS) :].split(b"\r\n", 1)[0].decode("utf-8", "replace")
            if not words.startswith("100"):
                self._ended = words
        elif (found := _delivery(self._stream, subject, reply, header, payload)) is not None:
            self._taken.append(found)
        self._changed.set()

    def _check(self) -> None:
        """Raise ReadError for an end that is no ordinary one."""
        code, _, text = self._ended.partition(" ")
        if code in ("", "404", "408") or self._taken:
            return
        if code == "409" and any(word in text for word in _ORDINARY_ENDS):
            return
        if code == "423":  # the pin is somebody else's now
            self._pins.clear()
            return
        raise ReadError(int(code) if code.isdigit() else 0, 0, text or self._ended)


def _delivery(stream: str, subject: bytes, reply: bytes, header: bytes, payload: bytes) -> Delivery | None:
    """Return a delivery; None for what is none.

    Ack subjects end in stream sequence, consumer sequence, time and the number that waits; those of the long
    form have domain and account in front, and may have one more token behind.
    """
    tokens = reply.split(b".")
    if len(tokens) < 9 or tokens[:2] != [b"$JS", b"ACK"]:
        return None
    first = 5 if len(tokens) == 9 else 7
    try:
        sequence, time_ns = int(tokens[first]), int(tokens[first + 2])
    except (ValueError, IndexError):
        return None
    name = subject.decode("utf-8", "surrogateescape")
    message = InspectedMessage(stream, sequence, time_ns, name, header, payload)
    return message, reply.decode("utf-8", "surrogateescape")
