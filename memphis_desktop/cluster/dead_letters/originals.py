"""The messages that dead letters are about: looked up by direct gets on a connection of their own."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from memphis_desktop.inspect.connection import ReadConnection, ReadError
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.language import tr

from .letters import UNREAD, Original, Presence, describe

if TYPE_CHECKING:
    from ..session import Session

PARALLEL = 24
TELL_SECONDS = 0.4  # between two views while messages are looked up
READERS = 64


class Originals:
    """Looks messages up and remembers a bounded number of them, as far as lists need it.

    Args:
        session: The connection.
        most: Messages that are remembered.
        first_failure: Tells when a message failed at first, ns; None when it did not.
    """

    def __init__(self, session: Session, most: int, first_failure: Callable[[str, int], int | None]) -> None:
        self._session = session
        self._most = most
        self._first_failure = first_failure
        self._known: OrderedDict[tuple[str, int], Original] = OrderedDict()
        self._connection: ReadConnection | None = None
        self._opening = asyncio.Lock()
        self._readers: OrderedDict[str, MessageReader] = OrderedDict()

    def get(self, stream: str, sequence: int) -> Original:
        """What is known of a message."""
        return self._known.get((stream, sequence), UNREAD)

    def put(self, stream: str, sequence: int, original: Original) -> bool:
        """Remember what a message is now; returns whether that is news."""
        news = self._known.get((stream, sequence)) != original
        if news:
            self._known[stream, sequence] = original
        return news

    # Reading

    async def reader(self, stream: str) -> MessageReader:
        """Return a reader of a stream with fresh bounds; raises ReadError when there is no such stream."""
        async with self._opening:  # many may ask at once; one connection serves them all
            if self._connection is None or self._connection.closed:
                self._readers.clear()
                self._connection = await ReadConnection.like(
                    self._session.nats, "Memphis Desktop dead letters"
                )
        reader = self._readers.get(stream)
        if reader is None:
            reader = MessageReader(
                self._connection, stream, api_prefix=self._session.profile.api_prefix, cache_bytes=1 << 20
            )
            await reader.refresh()
            self._readers[stream] = reader
            while len(self._readers) > READERS:
                self._readers.popitem(last=False)
        self._readers.move_to_end(stream)
        return reader

    def forget_reader(self, stream: str) -> None:
        """The stream is not read any more."""
        self._readers.pop(stream, None)

    async def close(self) -> None:
        """End the connection; it is made again when something is read."""
        connection, self._connection = self._connection, None
        self._readers.clear()
        if connection is not None:
            with contextlib.suppress(Exception):
                await connection.close()

    async def find(self, stream: str, sequence: int) -> InspectedMessage | None:
        """Return a message as it is stored now, or None when it is gone; raises ReadError."""
        reader = await self.reader(stream)
        return await reader.message(sequence)

    async def look_up(
        self,
        messages: Sequence[tuple[str, int]],
        found: Callable[[str, int], None],
        tell: Callable[[], Awaitable[None]],
        wanted: Callable[[], bool],
    ) -> None:
        """Look up the messages that are not known yet.

        Args:
            messages: Streams and sequences, the most wanted first.
            found: Called for each that was learnt.
            tell: Awaited now and then, to show what was found so far.
            wanted: Whether to go on.
        """
        unknown = [message for message in messages if message not in self._known]
        told = time.monotonic()
        for start in range(0, len(unknown), PARALLEL):
            if not wanted():
                return
            batch = unknown[start : start + PARALLEL]
            for stream in {stream for stream, _ in batch}:
                with contextlib.suppress(ReadError):
                    await self.reader(stream)  # opened once, before many ask for it
            await asyncio.gather(*(self._look_up(stream, sequence, found) for stream, sequence in batch))
            if time.monotonic() - told > TELL_SECONDS:
                await tell()
                told = time.monotonic()
        while len(self._known) > self._most:
            self._known.popitem(last=False)

    async def _look_up(self, stream: str, sequence: int, found: Callable[[str, int], None]) -> None:
        try:
            message = await self.find(stream, sequence)
        except ReadError as error:
            if error.code != 404:
                return  # it is asked for again
            original = Original(
                Presence.GONE, tr("The station {stream} does not exist any more", stream=stream)
            )
        else:
            original = self.described(stream, sequence, message)
        if self.put(stream, sequence, original):
            found(stream, sequence)

    def described(self, stream: str, sequence: int, message: InspectedMessage | None) -> Original:
        """Return what is known of a message from what stands at its sequence now."""
        config = self._session.snapshot.streams.get(stream)
        if message is None:
            retention = str(config.config.get("retention")) if config is not None else ""
            if retention == "workqueue":
                return Original(Presence.GONE, tr("Removed from the queue: a terminated message leaves it"))
            if retention == "interest":
                return Original(Presence.GONE, tr("Removed: every consumer was done with it"))
            return Original(Presence.GONE, tr("Removed by the station's limits, a purge or a deletion"))
        first = self._first_failure(stream, sequence)
        if first is not None and message.time_ns > first:
            why = tr("The station was made anew: another message has this sequence now")
            return Original(Presence.GONE, why)
        return describe(message)
