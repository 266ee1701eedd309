"""Many keys at once: deleting, clearing markers away, importing; with a dry run, a stop, and one record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memphis_desktop.cluster.actions import Action, ActionRecord, command_line
from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.inspect.key_value.entry import Entry, Operation
from memphis_desktop.inspect.key_value.importing import FileEntry, entry_slices
from memphis_desktop.inspect.key_value.keys import KeyPager, KeyReader
from memphis_desktop.inspect.key_value.names import is_exact, key_problem, subject_filter
from memphis_desktop.inspect.message import Headers
from memphis_desktop.inspect.publishing import Acknowledgement, Publisher, PublishError
from memphis_desktop.language import tr

from .writing import WRONG_REVISION, KeyWrite

if TYPE_CHECKING:
    from memphis_desktop.cluster.session import Session

LISTED = 200  # keys that a dry run shows
MAX_MARKERS = 200_000  # that are cleared away in one go
_BATCH = 200
_PARALLEL = 16


@dataclass(slots=True)
class BulkProgress:
    """How far something is.

    Attributes:
        read: Keys or entries looked at.
        total: How many there are, as far as known.
        done: Changed, or in a dry run: that would be.
        skipped: Left as they were.
        meanwhile: Left because somebody else wrote them meanwhile.
        failed: Refused, and `problem` why the last of them.
        stopped: Whether it ended before all were tried.
    """

    read: int = 0
    total: int = 0
    done: int = 0
    skipped: int = 0
    meanwhile: int = 0
    failed: int = 0
    problem: str = ""
    stopped: bool = False

    def settle(self, result: Acknowledgement | PublishError) -> None:
        """Count what became of a write."""
        if isinstance(result, Acknowledgement):
            self.done += 1
        elif result.err_code in WRONG_REVISION:
            self.meanwhile += 1
        else:
            self.failed += 1
            self.problem = str(result)

    def answer(self) -> dict[str, Any]:
        """What the record says came of it."""
        return {
            "done": self.done,
            "skipped": self.skipped,
            "written_meanwhile": self.meanwhile,
            "failed": self.failed,
        }


class _Bulk:
    """What all of them share: progress, a stop, and the record."""

    def __init__(self, session: Session, keys: KeyReader) -> None:
        self.session = session
        self.keys = keys
        self.progress = BulkProgress()

    def stop(self) -> None:
        """Try no more."""
        self.progress.stopped = True

    @property
    def action(self) -> Action:
        """What it is shown and recorded as."""
        raise NotImplementedError

    async def _change(self) -> None:
        raise NotImplementedError

    async def run(self) -> BulkProgress:
        """Do it; single refusals are counted, the record tells of a part, too.

        Raises:
            ReadOnlyConnection: Nothing may be changed on this connection.
            ReadError, ClusterError, PublishError, FileProblem: It could not go on.
        """
        self.session.require_writable()
        started = time.monotonic()
        problem = ""
        self.progress = BulkProgress(total=self.progress.total)
        try:
            await self._change()
            problem = self.progress.problem
        except Exception as error:
            problem = str(error)
            raise
        finally:
            seconds = time.monotonic() - started
            record = ActionRecord(time.time_ns(), self.action, self.progress.answer(), problem, seconds)
            self.session.hand_on_action(record)
            self.session.refresh(self.keys.bucket.stream)
        return self.progress

    def _publisher(self) -> Publisher:
        timeout = self.session.profile.request_timeout
        return Publisher(self.session.nats, lambda _, result: self.progress.settle(result), timeout=timeout)

    async def _write(self, publisher: Publisher, write: KeyWrite) -> None:
        payload = write.value if write.operation is Operation.PUT else b""
        await publisher.publish(write.key, write.subject, payload, Headers(write.headers.items()))


class KeyDeletion(_Bulk):
    """Deletes or purges the keys below a place, or those given by name."""

    def __init__(
        self,
        session: Session,
        keys: KeyReader,
        within: str = "",
        text: str = "",
        *,
        names: Sequence[str] | None = None,
        purge: bool = False,
    ) -> None:
        """Describe it.

        Args:
            session: Through which.
            keys: Of the bucket.
            within: How the keys begin.
            text: Words that they hold.
            names: Just these keys, instead.
            purge: Leave nothing of their history.
        """
        super().__init__(session, keys)
        self.within = within
        self.text = text
        self.names = names
        self.operation = Operation.PURGE if purge else Operation.DELETE

    @property
    def action(self) -> Action:
        """What it is shown and recorded as."""
        bucket = self.keys.bucket
        command = (
            f"nats kv {'purge' if self.operation is Operation.PURGE else 'del'} {bucket.name} KEY --force"
        )
        shown = list(self.names[:LISTED]) if self.names is not None else []
        body: dict[str, Any] = {"operation": self.operation.value}
        if self.names is not None:
            body["keys"] = shown
        else:
            body |= {"begin": self.within, **({"hold": self.text} if self.text else {})}
        if self.operation is Operation.PURGE:
            title = tr("Purge keys of bucket {bucket} that begin with {begin}", bucket=bucket.name,
                       begin=self.within or "*")  # fmt: skip
        else:
            title = tr("Delete keys of bucket {bucket} that begin with {begin}", bucket=bucket.name,
                       begin=self.within or "*")  # fmt: skip
        if self.names is not None:
            title = tr("Delete chosen keys of bucket {bucket}", bucket=bucket.name)
        subject = subject_filter(bucket.put_prefix, self.within)
        return Action(title, "", body, command, bucket.stream, destroys=True, shown_as=subject)

    async def look(self) -> list[Entry]:
        """Count what would be deleted; return the first of it. Raises ReadError."""
        progress = self.progress = BulkProgress()
        first: list[Entry] = []
        async with aclosing(self._found(progress)) as parts:
            async for part in parts:
                progress.done += len(part)
                first += part[: LISTED - len(first)]
        return first

    async def _found(self, progress: BulkProgress) -> Any:
        """Yield those that are to be deleted, some at a time."""
        if self.names is not None:
            progress.total = len(self.names)
            for start in range(0, len(self.names), _BATCH):
                yield await self._wanted(self.names[start : start + _BATCH], progress)
            return
        pager = KeyPager(self.keys, self.within, self.text)
        try:
            while not pager.done and not progress.stopped:
                names = await pager.more(_BATCH)
                progress.total = pager.total
                yield await self._wanted(names, progress)
                progress.read = pager.read
        finally:
            await pager.close()

    async def _wanted(self, names: Sequence[str], progress: BulkProgress) -> list[Entry]:
        entries = await self.keys.entries_of(names)
        progress.read += len(names)
        purge = self.operation is Operation.PURGE
        found = [
            entry
            for entry in entries.values()
            if entry.is_value or (purge and entry.operation is not Operation.PURGE)
        ]
        progress.skipped += len(names) - len(found)
        return found

    async def _change(self) -> None:
        progress = self.progress
        async with self._publisher() as publisher, aclosing(self._found(progress)) as parts:
            async for part in parts:
                for entry in part:
                    if progress.stopped:
                        break
                    await self._write(
                        publisher,
                        KeyWrite(self.keys.bucket, entry.key, self.operation, expected=entry.revision),
                    )
            await publisher.drain()

    @property
    def purges_whole(self) -> bool:
        """Whether the server could remove all of them with one request, markers and all."""
        return self.names is None and not self.text and is_exact(self.within)


class MarkerClearing(_Bulk):
    """Takes away the markers of keys deleted before a moment, and what is left of their history."""

    def __init__(self, session: Session, keys: KeyReader, within: str, older_than_ns: int) -> None:
        """Describe it; only markers stored before `older_than_ns` (since 1970) go."""
        super().__init__(session, keys)
        self.within = within
        self.older_than_ns = older_than_ns
        self.found: list[tuple[str, int]] = []  # key and revision of the marker

    @property
    def action(self) -> Action:
        """What it is shown and recorded as."""
        bucket = self.keys.bucket
        title = tr("Clear delete markers of bucket {bucket}", bucket=bucket.name)
        first = [
            {"filter": bucket.subject(key), "seq": revision + 1} for key, revision in self.found[:LISTED]
        ]
        command = command_line.join("nats", "kv", "compact", bucket.name, "--force")
        suffix = f"STREAM.PURGE.{bucket.stream}"
        return Action(title, suffix, {"requests": first}, command, bucket.stream, destroys=True)

    async def look(self) -> list[Entry]:
        """Find the markers; return the first of them. Raises ReadError."""
        progress = self.progress = BulkProgress()
        self.found = []
        first: list[Entry] = []
        pager = KeyPager(self.keys, self.within)
        try:
            while not pager.done and not progress.stopped and len(self.found) < MAX_MARKERS:
                entries = await self.keys.entries_of(await pager.more(_BATCH))
                gone = [
                    entry
                    for entry in entries.values()
                    if not entry.is_value and entry.time_ns < self.older_than_ns
                ]
                self.found += [(entry.key, entry.revision) for entry in gone]
                first += gone[: LISTED - len(first)]
                progress.read, progress.total = pager.read, pager.total
                progress.done = len(self.found)
        finally:
            await pager.close()
        return first

    async def _change(self) -> None:
        self.progress.total = len(self.found)
        waiting = iter(self.found)
        workers = [asyncio.ensure_future(self._work(waiting)) for _ in range(_PARALLEL)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()

    async def _work(self, waiting: Iterable[tuple[str, int]]) -> None:
        bucket, progress = self.keys.bucket, self.progress
        for key, revision in waiting:  # shared: whoever is free takes the next
            if progress.stopped:
                return
            # Up to the marker only: a value that was written since stays.
            body = {"filter": bucket.subject(key), "seq": revision + 1}
            progress.read += 1
            try:
                await self.session.api(f"STREAM.PURGE.{bucket.stream}", body)
                progress.done += 1
            except ClusterError as error:
                progress.failed += 1
                progress.problem = str(error)


@dataclass(frozen=True, slots=True)
class Planned:
    """What would become of an entry of a file.

    Attributes:
        entry: Of the file.
        kind: ``new``, ``same``, ``different``, ``delete`` or ``refused``.
        present: What the bucket has, None for nothing.
        problem: Why it cannot be stored; empty when it can.
    """

    entry: FileEntry
    kind: str
    present: Entry | None
    problem: str = ""


@dataclass(slots=True)
class ImportCounts:
    """How many entries of a file are of which kind."""

    new: int = 0
    same: int = 0
    different: int = 0
    delete: int = 0
    refused: int = 0
    first: list[Planned] = field(default_factory=list)


class KeyImport(_Bulk):
    """Writes the entries of a file into a bucket."""

    def __init__(self, session: Session, keys: KeyReader, path: Path, *, overwrite: bool = False) -> None:
        """Describe it; with `overwrite` keys that have another value get the file's, else they stay."""
        super().__init__(session, keys)
        self.path = path
        self.overwrite = overwrite
        self.counts = ImportCounts()

    @property
    def action(self) -> Action:
        """What it is shown and recorded as."""
        bucket = self.keys.bucket
        title = tr("Import keys into bucket {bucket}", bucket=bucket.name)
        body = {"file": self.path.name, "existing": "overwrite" if self.overwrite else "keep"}
        command = f"nats kv put {bucket.name} KEY VALUE"
        shown = f"{bucket.put_prefix}>"
        return Action(title, "", body, command, bucket.stream, destroys=self.overwrite, shown_as=shown)

    async def look(self) -> ImportCounts:
        """Say what would become of every entry. Raises ReadError, FileProblem."""
        counts = self.counts = ImportCounts()
        self.progress = BulkProgress()
        async for part in self._planned():
            for planned in part:
                setattr(counts, planned.kind, getattr(counts, planned.kind) + 1)
            counts.first += part[: LISTED - len(counts.first)]
        return counts

    async def _planned(self) -> Any:
        async with aclosing(entry_slices(self.path, lambda: self.progress.stopped)) as parts:
            async for part in parts:
                for batch in _without_repeats(part):
                    present = await self.keys.entries_of(
                        [entry.key for entry in batch if not key_problem(entry.key)]
                    )
                    self.progress.read += len(batch)
                    yield [self._judge(entry, present.get(entry.key)) for entry in batch]

    def _judge(self, entry: FileEntry, present: Entry | None) -> Planned:
        problem = key_problem(entry.key) or self._too_large(entry.value)
        if problem:
            return Planned(entry, "refused", present, problem)
        there = present is not None and present.is_value
        if entry.gone:
            return Planned(entry, "delete" if there else "same", present)
        if present is None or not there:
            return Planned(entry, "new", present)
        return Planned(entry, "same" if present.message.payload == entry.value else "different", present)

    def _too_large(self, value: bytes) -> str:
        most = self.keys.bucket.max_value
        if 0 < most < len(value):
            return tr("the value has {size:,} bytes; the bucket takes {limit:,}", size=len(value), limit=most)
        return ""

    async def _change(self) -> None:
        progress = self.progress
        async with self._publisher() as publisher:
            async for part in self._planned():
                for planned in part:
                    if progress.stopped:
                        break
                    await self._take(publisher, planned)
                await publisher.drain()  # the next part may hold the same keys again
            await publisher.drain()

    async def _take(self, publisher: Publisher, planned: Planned) -> None:
        entry, present = planned.entry, planned.present
        progress = self.progress
        if planned.kind == "refused":
            progress.failed += 1
            progress.problem = tr("{key}: {problem}", key=entry.key, problem=planned.problem)
            return
        if planned.kind == "same" or (planned.kind in ("different", "delete") and not self.overwrite):
            progress.skipped += 1
            return
        bucket = self.keys.bucket
        ttl = max(1, round(entry.ttl)) if entry.ttl is not None and bucket.takes_ttl else None
        await self._write(
            publisher,
            KeyWrite(
                bucket,
                entry.key,
                Operation.DELETE if planned.kind == "delete" else Operation.PUT,
                entry.value,
                expected=present.revision if present is not None else 0,
                ttl=None if planned.kind == "delete" else ttl,
            ),
        )


def _without_repeats(entries: Sequence[FileEntry]) -> list[list[FileEntry]]:
    """Cut where a key comes again: it is judged by what the one before it has written."""
    batches: list[list[FileEntry]] = [[]]
    seen: set[str] = set()
    for entry in entries:
        if entry.key in seen:
            batches.append([])
            seen.clear()
        seen.add(entry.key)
        batches[-1].append(entry)
    return [batch for batch in batches if batch]
