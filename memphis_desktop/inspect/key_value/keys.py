"""Reading a bucket without consuming it: names page by page, branches, values, history, and a former state.

Names come from the stream's subject details, filtered at the server, and are never all kept.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.last_values import AT_ONCE, PARALLEL, last_values
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.reader import MessageReader, ReadingMethod
from memphis_desktop.language import tr

from .bucket import Bucket
from .entry import Entry
from .names import MAX_HISTORY, next_branch, subject_filter
from .pages import PageHead, slices

MAX_BRANCHES = 20_000  # shown below one branch
PAGE_TIMEOUT = 30.0  # seconds; the server sorts all names for each page


@dataclass(slots=True)
class Branches:
    """The branches one level below a place.

    Attributes:
        keys: Keys in each, by how they begin.
        total: Keys below the place.
        read: How many of them were looked at so far.
        complete: Whether all branches are there; not when there are more than `MAX_BRANCHES`.
    """

    keys: dict[str, int] = field(default_factory=dict)
    total: int = 0
    read: int = 0
    complete: bool = True


class KeyReader:
    """Reads a bucket through a `MessageReader`, which it closes."""

    def __init__(self, reader: MessageReader, bucket: Bucket) -> None:
        self.reader = reader
        self.bucket = bucket

    @classmethod
    async def open(cls, source: Any, bucket: Bucket) -> KeyReader:
        """Open with a connection of its own.

        Args:
            source: A session: its client, and the API prefix of its profile.
            bucket: Whose keys.

        Raises:
            ReadError: The server is not reachable or has no such bucket.
        """
        prefix = source.profile.api_prefix
        return cls(await MessageReader.open(source, bucket.stream, api_prefix=prefix), bucket)

    async def close(self) -> None:
        """Close the connection."""
        await self.reader.close()

    # Names

    async def names(self, within: str = "", head: PageHead | None = None) -> AsyncGenerator[list[str], None]:
        """Yield the keys that begin with a text, in their order, some hundreds or thousands at a time.

        `head` gets the number of all that the server's filter lets through.

        Raises:
            ReadError: The server did not answer or refused.
        """
        head = head if head is not None else PageHead()
        pattern = subject_filter(self.bucket.prefix, within)
        skip, start = len(self.bucket.prefix), self.bucket.prefix + within
        offset = 0
        while True:
            payload = await self._page(pattern, offset)
            page = PageHead()
            try:
                for part in slices(payload, page):
                    found = [name[skip:] for name in part if name.startswith(start)]
                    if found:
                        yield found
                    await asyncio.sleep(0)
            except ValueError as error:
                raise ReadError(0, 0, tr("the answer is not JSON")) from error
            if page.error is not None:
                failure = page.error
                raise ReadError(
                    int(failure.get("code", 0)),
                    int(failure.get("err_code", 0)),
                    str(failure.get("description", "")),
                )
            offset += page.count
            head.total, head.state, head.count = page.total, page.state, offset
            if not page.count or offset >= page.total:
                return

    async def _page(self, pattern: str, offset: int) -> bytes:
        body = json.dumps({"subjects_filter": pattern, "offset": offset}).encode()
        subject = f"{self.reader.api_prefix}.STREAM.INFO.{self.bucket.stream}"
        _, payload = await self.reader.connection.request(subject, body, PAGE_TIMEOUT)
        return payload

    async def branches(self, within: str, separators: str) -> AsyncIterator[Branches]:
        """Yield the branches below a place as they are found; the last one is whole.

        Raises:
            ReadError: The server did not answer or refused.
        """
        found, head = Branches(), PageHead()
        keys = found.keys
        told = time.monotonic()
        async with aclosing(self.names(within, head)) as parts:
            async for part in parts:
                for key in part:
                    branch = next_branch(key, within, separators)
                    if not branch:
                        continue
                    if branch in keys:
                        keys[branch] += 1
                    elif len(keys) < MAX_BRANCHES:
                        keys[branch] = 1
                    else:
                        found.complete = False
                found.read += len(part)
                found.total = max(head.total, found.read)
                if time.monotonic() - told > 0.25:
                    told = time.monotonic()
                    yield found
        found.total = found.read
        yield found

    # Values

    async def entries(self, keys: Sequence[str]) -> AsyncIterator[list[Entry]]:
        """Yield the newest revisions of keys, some at a time; those that are gone are left out.

        Raises:
            ReadError: The server did not answer or refused.
        """
        subjects = [self.bucket.subject(key) for key in keys]
        async for messages in last_values(self.reader, subjects):
            yield [Entry.of(self.bucket, message) for message in messages]

    async def entries_of(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return the newest revisions of not very many keys, by key; raises as `entries` does."""
        found: dict[str, Entry] = {}
        async for part in self.entries(keys):
            found.update((entry.key, entry) for entry in part)
        return found

    async def entry(self, key: str) -> Entry | None:
        """Return the newest revision of a key; None when there is none. Raises ReadError."""
        message = await self.reader.last_on(self.bucket.subject(key))
        return Entry.of(self.bucket, message) if message is not None else None

    async def revision(self, revision: int) -> Entry | None:
        """Return one revision; None when it is not kept any more. Raises ReadError."""
        message = await self.reader.message(revision)
        return Entry.of(self.bucket, message) if message is not None else None

    async def history(self, key: str) -> list[Entry]:
        """Return the revisions of a key that are kept, oldest first. Raises ReadError."""
        bounds = await self.reader.refresh()
        found: list[Entry] = []
        position = bounds.first
        while position <= bounds.last and len(found) < MAX_HISTORY:
            page = await self.reader.forward(position, MAX_HISTORY, self.bucket.subject(key))
            found += [Entry.of(self.bucket, message) for message in page.messages]
            if page.last < position:
                break
            position = page.last + 1
        return found

    # A former state

    async def entries_before(self, keys: Sequence[str], sequence: int) -> dict[str, Entry]:
        """Return the newest kept revisions of keys before a sequence, by key. Raises ReadError."""
        found: dict[str, Entry] = {}
        for start in range(0, len(keys), AT_ONCE):
            part = [self.bucket.subject(key) for key in keys[start : start + AT_ONCE]]
            for message in await self._before(part, sequence):
                entry = Entry.of(self.bucket, message)
                found[entry.key] = entry
        return found

    async def _before(self, subjects: list[str], sequence: int) -> list[InspectedMessage]:
        reader = self.reader
        if sequence <= 1:
            return []
        messages: list[InspectedMessage] = []
        if reader.method is ReadingMethod.BATCH:
            left = subjects
            while left:
                try:
                    answered, pending = await reader.last_of_each(left, up_to=sequence - 1)
                except ReadError as error:
                    if not reader.fall_back(error):
                        raise
                    break
                messages += answered
                known = {message.subject for message in answered}
                left = [subject for subject in left if subject not in known] if pending and answered else []
            else:
                return messages
        messages = []
        for start in range(0, len(subjects), PARALLEL):
            pages = await asyncio.gather(
                *(reader.backward(sequence - 1, 1, one) for one in subjects[start : start + PARALLEL])
            )
            messages += [page.messages[-1] for page in pages if page.messages]
        return messages


class KeyPager:
    """The keys below a place, page after page: what a list shows when it is scrolled.

    Attributes:
        read: Names looked at so far.
        total: Names that the server's filter lets through, known after the first page.
        found: Names that were handed out.
        done: Whether there are no more.
    """

    def __init__(self, reader: KeyReader, within: str = "", text: str = "") -> None:
        """Page through the keys that begin with `within` and hold every word of `text`, whatever the case."""
        self._words = text.lower().split()
        self._head = PageHead()
        self._parts = reader.names(within, self._head)
        self._left: list[str] = []
        self._at = 0
        self.read = 0
        self.found = 0
        self.done = False

    @property
    def total(self) -> int:
        """Names at the server, as far as known."""
        return max(self._head.total, self.read)

    async def more(self, count: int) -> list[str]:
        """Return the next keys, as many as asked for unless there are fewer left. Raises ReadError."""
        keys: list[str] = []
        while len(keys) < count and not self.done:
            if self._at >= len(self._left):
                await self._next()
                continue
            part = self._left[self._at : self._at + count - len(keys)]
            self._at += len(part)
            self.found += len(part)
            keys += part
        return keys

    async def _next(self) -> None:
        try:
            part = await anext(self._parts)
        except StopAsyncIteration:
            self.done = True
            return
        self.read += len(part)
        words = self._words
        self._left = [key for key in part if all(word in key.lower() for word in words)] if words else part
        self._at = 0

    async def close(self) -> None:
        """Read no more."""
        self.done = True
        await self._parts.aclose()
