"""What changed in a bucket since a moment, and how two buckets differ; what cannot be known is said."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from enum import Enum

from memphis_desktop.inspect.last_values import AT_ONCE
from memphis_desktop.language import tr

from .entry import Entry, Operation
from .keys import KeyPager, KeyReader
from .names import subject_filter

MAX_SCANNED = 200_000  # revisions looked through at most
MAX_KEYS = 20_000  # changed keys that are told
MAX_DIFFERENCES = 10_000
_PAGE = 500


class Kind(Enum):
    """How a key differs."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"
    WRITTEN = "written"  # added or changed: what was there before is not kept

    @property
    def text(self) -> str:
        """What the screen says."""
        return {
            Kind.ADDED: tr("added"),
            Kind.CHANGED: tr("changed"),
            Kind.REMOVED: tr("removed"),
            Kind.WRITTEN: tr("added or changed"),
        }[self]


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A key that is not as it was.

    Attributes:
        key: Which.
        kind: How.
        before: Revision it had, 0 when none is known.
        after: Its newest revision.
        writes: Revisions since.
        time_ns: When it was written last.
        operation: What the newest revision is.
        size: Bytes of the newest value.
    """

    key: str
    kind: Kind
    before: int
    after: int
    writes: int
    time_ns: int
    operation: Operation
    size: int


@dataclass(slots=True)
class ChangeReport:
    """What is known of the changes since a moment.

    Attributes:
        changes: Sorted by key.
        sequence: The first sequence of the time asked for.
        scanned: Revisions looked through.
        complete: Whether all were looked through.
        same: Keys that were written and are again as they were, or came and went.
    """

    changes: list[KeyChange] = field(default_factory=list)
    sequence: int = 0
    scanned: int = 0
    complete: bool = True
    same: int = 0


@dataclass(slots=True)
class _Seen:
    """What was seen of a key: its newest revision, and how many there were."""

    entry_operation: Operation
    revision: int
    time_ns: int
    size: int
    writes: int


async def changes_since(
    keys: KeyReader, time_ns: int, within: str = "", progress: Callable[[int], None] = lambda scanned: None
) -> ChangeReport:
    """Return what was added, changed and removed since a moment, as far as the kept revisions tell.

    What a limit removed without a marker leaves no trace and cannot be told.

    Raises:
        ReadError: The server did not answer or refused.
    """
    reader, bucket = keys.reader, keys.bucket
    bounds = await reader.refresh()
    report = ChangeReport(sequence=await reader.sequence_at(time_ns))
    seen: dict[str, _Seen] = {}
    position, start = report.sequence, bucket.prefix + within
    pattern = subject_filter(bucket.prefix, within)
    while position <= bounds.last:
        page = await reader.forward(position, _PAGE, pattern)
        for message in page.messages:
            if message.subject.startswith(start):
                _note(seen, Entry.of(bucket, message))
        report.scanned += len(page.messages)
        progress(report.scanned)
        if page.last < position:
            break
        position = page.last + 1
        if report.scanned >= MAX_SCANNED or len(seen) >= MAX_KEYS:
            report.complete = position > bounds.last
            break
    before = await keys.entries_before(list(seen), report.sequence)
    for key in sorted(seen):
        change = _judge(key, seen[key], before.get(key), bucket.history)
        if change is None:
            report.same += 1
        else:
            report.changes.append(change)
    return report


def _note(seen: dict[str, _Seen], entry: Entry) -> None:
    known = seen.get(entry.key)
    writes = known.writes + 1 if known is not None else 1
    seen[entry.key] = _Seen(entry.operation, entry.revision, entry.time_ns, entry.size, writes)


def _judge(key: str, now: _Seen, before: Entry | None, history: int) -> KeyChange | None:
    gone = now.entry_operation is not Operation.PUT
    if before is not None and before.is_value:
        kind = Kind.REMOVED if gone else Kind.CHANGED
    elif before is not None:  # it was deleted then
        if gone:
            return None
        kind = Kind.ADDED
    elif gone:
        # A purge and a full history leave nothing of what was before.
        kind = Kind.REMOVED
    else:
        kind = Kind.ADDED if now.writes < history else Kind.WRITTEN
    return KeyChange(
        key,
        kind,
        before.revision if before is not None else 0,
        now.revision,
        now.writes,
        now.time_ns,
        now.entry_operation,
        now.size,
    )


@dataclass(frozen=True, slots=True)
class BucketDifference:
    """A key that two buckets do not have alike: ADDED is only right, REMOVED only left."""

    key: str
    kind: Kind
    left: Entry | None
    right: Entry | None


@dataclass(slots=True)
class Comparison:
    """How far comparing two buckets is.

    Attributes:
        compared: Keys looked at.
        equal: Keys with the same value in both.
        added: Keys only in the right one.
        changed: Keys with another value.
        removed: Keys only in the left one.
        total: Names to look at, as far as known.
    """

    compared: int = 0
    equal: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    total: int = 0

    @property
    def differing(self) -> int:
        """Keys that differ."""
        return self.added + self.changed + self.removed


async def compare_buckets(
    left: KeyReader, right: KeyReader, within: str, tally: Comparison
) -> AsyncGenerator[list[BucketDifference], None]:
    """Yield the keys that differ, some at a time, in their order; `tally` is kept up to date.

    Both sides' names come in order, so that neither is ever kept whole.

    Raises:
        ReadError: A server did not answer or refused.
    """
    pagers = KeyPager(left, within), KeyPager(right, within)
    held: tuple[list[str], list[str]] = [], []
    try:
        while True:
            for pager, names in zip(pagers, held, strict=True):
                if len(names) < AT_ONCE and not pager.done:
                    names += await pager.more(AT_ONCE)
            tally.total = pagers[0].total + pagers[1].total
            if not held[0] and not held[1]:
                return
            keys = _next_keys(held, (pagers[0].done, pagers[1].done))
            ours, theirs = await left.entries_of(keys[0]), await right.entries_of(keys[1])
            differing = []
            for key in sorted({*keys[0], *keys[1]}):
                found = _differ(key, _value(ours.get(key)), _value(theirs.get(key)), tally)
                if found is not None:
                    differing.append(found)
            yield differing
    finally:
        for pager in pagers:
            await pager.close()


def _next_keys(held: tuple[list[str], list[str]], done: tuple[bool, bool]) -> tuple[list[str], list[str]]:
    """Take the names up to where both sides are known."""
    ends = [names[-1] for names, over in zip(held, done, strict=True) if names and not over]
    limit = min(ends, default=None)
    taken: tuple[list[str], list[str]] = [], []
    for side, names in enumerate(held):
        count = len(names) if limit is None else sum(name <= limit for name in names)
        taken[side].extend(names[:count])
        del names[:count]
    return taken


def _value(entry: Entry | None) -> Entry | None:
    return entry if entry is not None and entry.is_value else None


def _differ(key: str, left: Entry | None, right: Entry | None, tally: Comparison) -> BucketDifference | None:
    if left is None and right is None:
        return None
    tally.compared += 1
    if left is None:
        tally.added += 1
        return BucketDifference(key, Kind.ADDED, left, right)
    if right is None:
        tally.removed += 1
        return BucketDifference(key, Kind.REMOVED, left, right)
    if left.message.payload == right.message.payload:
        tally.equal += 1
        return None
    tally.changed += 1
    return BucketDifference(key, Kind.CHANGED, left, right)
