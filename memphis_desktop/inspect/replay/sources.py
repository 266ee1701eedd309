"""Where the messages of a replay come from: a selection, a range of a station, a file, a backup."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from memphis_desktop.inspect import words
from memphis_desktop.inspect.backup_reader import is_backup, summary
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.files import messages_of
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.page_cache import Page
from memphis_desktop.inspect.reader import MessageReader, ReadingMethod
from memphis_desktop.inspect.replay.order import ReplayOrder
from memphis_desktop.language import tr, tr_count

READ_ROWS = 500
MAX_SUBJECTS = 100_000  # of a replay subject by subject: their names are held in memory
BACKUP = "backup of "  # begins the description of a backup


def selected_title(count: int, stream: str) -> str:
    """Messages chosen by hand, in the chosen language."""
    return tr_count(
        "{count} selected message of {stream}",
        "{count} selected messages of {stream}",
        count,
        count=words.integer(count),
        stream=stream,
    )


def file_title(name: str, stream: str = "") -> str:
    """A file, or the backup of a station, in the chosen language."""
    return tr("backup of {stream}", stream=stream) if stream else tr("file {name}", name=name)


def range_title(stream: str, first: int, last: int, subject: str | None) -> str:
    """A range of a station, in the chosen language."""
    ends = f"{stream} {words.sequence(first)} – {words.sequence(last)}"
    return tr("{range} on {subject}", range=ends, subject=subject) if subject else ends


class ReplaySource(Protocol):
    """Where the messages of a run come from."""

    @property
    def description(self) -> str:
        """What it is, in English: for records and commands."""

    @property
    def title(self) -> str:
        """What it is, in the chosen language."""

    @property
    def total(self) -> int | None:
        """How many messages there are, None when that is not known beforehand."""

    def read(self, after: int) -> AsyncIterator[InspectedMessage]:
        """Yield the messages in order, leaving out the first `after` of them."""


@dataclass(frozen=True)
class SelectedMessages:
    """Messages chosen by hand, read again one by one (they may have been evicted or removed meanwhile).

    Their order is that of `sequences`.
    """

    reader: MessageReader
    sequences: tuple[int, ...]
    count: int | None = None  # of the whole selection, where this is its rest

    @property
    def description(self) -> str:
        return f"{words.count(len(self.sequences), 'selected message')} of {self.reader.stream}"

    @property
    def title(self) -> str:
        return selected_title(len(self.sequences), self.reader.stream)

    @property
    def total(self) -> int | None:
        return len(self.sequences) if self.count is None else self.count

    async def read(self, after: int) -> AsyncIterator[InspectedMessage]:
        for sequence in self.sequences[after:]:
            message = await self.reader.message(sequence)
            if message is not None:
                yield message


@dataclass(frozen=True)
class GivenMessages:
    """Messages already in memory."""

    messages: Sequence[InspectedMessage]
    name: str = "messages"

    @property
    def description(self) -> str:
        return f"{words.integer(len(self.messages))} {self.name}"

    @property
    def title(self) -> str:
        return self.description

    @property
    def total(self) -> int | None:
        return len(self.messages)

    async def read(self, after: int) -> AsyncIterator[InspectedMessage]:
        for message in self.messages[after:]:
            yield message


@dataclass(frozen=True)
class FileMessages:
    """The messages of an export file, or of a backup of a stream."""

    path: Path
    count: int | None = None
    stream: str = ""  # of a backup

    @classmethod
    async def counted(cls, path: Path) -> FileMessages:
        """Return a file; a backup says itself what it is of and how much it holds.

        Raises:
            FileProblem: What it says is damaged.
        """

        def look() -> FileMessages:
            if not is_backup(path):
                return cls(path)
            found = summary(path)
            return cls(path, found.messages, found.stream or path.name)

        return await asyncio.to_thread(look)

    @property
    def description(self) -> str:
        return f"{BACKUP}{self.stream}" if self.stream else f"file {self.path.name}"

    @property
    def title(self) -> str:
        return file_title(self.path.name, self.stream)

    @property
    def total(self) -> int | None:
        return self.count

    async def read(self, after: int) -> AsyncIterator[InspectedMessage]:
        number = 0
        async for message in messages_of(self.path):
            number += 1
            if number > after:
                yield message


@dataclass(frozen=True)
class MessageRange:
    """Every message from one sequence to another, the server filtering by subject.

    Both ends are fixed when the range is made, so a replay into its own source ends. Subject by subject, what
    comes before `begin` (a subject and the sequence on it) is left out.
    """

    reader: MessageReader
    first: int
    last: int
    subject: str | None = None
    count: int | None = None
    order: ReplayOrder = ReplayOrder.OLDEST
    begin: tuple[str, int] | None = None

    @classmethod
    async def counted(
        cls,
        reader: MessageReader,
        first: int,
        last: int,
        subject: str | None = None,
        order: ReplayOrder = ReplayOrder.OLDEST,
    ) -> MessageRange:
        """Return a range within the stream's bounds that knows how many messages it holds, where the server
        can tell.

        Raises:
            ReadError: the server did not answer, or the range holds nothing.
        """
        bounds = reader.bounds
        first, last = max(first, bounds.first), min(last, bounds.last)
        if last < first:
            raise ReadError(404, 0, tr("there are no messages in this range"))
        count: int | None = None
        if reader.method is ReadingMethod.BATCH:
            count = await reader.matching_from(first, subject) - await reader.matching_from(last + 1, subject)
        elif subject is None and not bounds.deleted:
            count = last - first + 1
        return cls(reader, first, last, subject, count, order)

    @property
    def description(self) -> str:
        what = f" on {self.subject}" if self.subject else ""
        ends = f"{words.sequence(self.first)} – {words.sequence(self.last)}"
        return f"{self.reader.stream} {ends}{what}"

    @property
    def title(self) -> str:
        return range_title(self.reader.stream, self.first, self.last, self.subject)

    @property
    def total(self) -> int | None:
        return self.count

    async def read(self, after: int) -> AsyncIterator[InspectedMessage]:
        skipped = 0
        messages = self._in_order()
        try:
            async for message in messages:
                skipped += 1
                if skipped > after:
                    yield message
        finally:
            await messages.aclose()  # type: ignore[attr-defined]

    async def _in_order(self) -> AsyncIterator[InspectedMessage]:
        if self.order is not ReplayOrder.SUBJECTS:
            pages = self._pages(self.subject, self.first, self.last)
            try:
                async for message in pages:
                    yield message
            finally:
                await pages.aclose()  # type: ignore[attr-defined]
            return
        for subject in await self._subjects():
            first = self.first
            if self.begin is not None and subject == self.begin[0]:
                first = max(first, self.begin[1])
            pages = self._pages(subject, first, self.last)
            try:
                async for message in pages:
                    yield message
            finally:
                await pages.aclose()  # type: ignore[attr-defined]

    async def _subjects(self) -> list[str]:
        """The subjects of the range by name, from where it begins; raises ReadError for too many."""
        subjects = await self.reader.subjects(self.subject or ">", MAX_SUBJECTS)
        if subjects is None:
            limit = words.integer(MAX_SUBJECTS)
            text = tr("there are more than {limit} subjects: choose fewer, or another order", limit=limit)
            raise ReadError(0, 0, text)
        begin = self.begin[0] if self.begin is not None else ""
        return sorted(subject for subject in subjects if subject >= begin)

    async def _pages(self, subject: str | None, first: int, last: int) -> AsyncIterator[InspectedMessage]:
        backward = self.order is ReplayOrder.NEWEST
        position = last if backward else first
        pending: asyncio.Task[Page] | None = None
        try:
            pending = self._page(position, subject)
            while pending is not None:
                page = await pending
                pending = None
                position = page.first - 1 if backward else page.last + 1
                more = page.messages or (backward and page.first <= page.last)  # backward, some hold nothing
                if first <= position <= last and more:
                    pending = self._page(position, subject)  # travels while this one is sent
                for message in reversed(page.messages) if backward else page.messages:
                    if not first <= message.sequence <= last:
                        return
                    yield message
        finally:
            if pending is not None:
                pending.cancel()

    def _page(self, position: int, subject: str | None) -> asyncio.Task[Page]:
        read = self.reader.backward if self.order is ReplayOrder.NEWEST else self.reader.forward
        return asyncio.ensure_future(read(position, READ_ROWS, subject))
