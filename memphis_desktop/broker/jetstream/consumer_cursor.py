"""Where a consumer stands in its stream, and how many messages are still before it.

`num_pending` is exact at any time, yet costs nothing while nobody asks: messages that came since the last
question are counted with the next one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING

from memphis_desktop.broker.jetstream.consumer_config import filters_of
from memphis_desktop.protocol.subjects import has_wildcards, matches

if TYPE_CHECKING:
    from memphis_desktop.broker.jetstream.config import ConsumerConfig
    from memphis_desktop.broker.store.interface import MessageStore


class Cursor:
    """The next message to deliver for the first time.

    Attributes:
        position: all matching messages below this sequence were handed out.
        skip_until: up to here only the last message of each subject counts (last_per_subject); else 0.
    """

    __slots__ = (
        "_counted",
        "_literals",
        "_messages",
        "_pending",
        "_skip",
        "_skip_head",
        "_wildcards",
        "filters",
        "position",
        "skip_until",
    )

    def __init__(self, messages: MessageStore, filters: Sequence[str]) -> None:
        """Stand before the first message; `place` moves it."""
        self._messages = messages
        self.position = 1
        self.skip_until = 0
        self._skip: list[int] = []  # ascending; those from _skip_head on are still to come
        self._skip_head = 0
        self._counted = 0  # messages up to here are in _pending
        self._pending = 0
        self.filters: tuple[bytes, ...] = ()
        self._literals: frozenset[bytes] = frozenset()
        self._wildcards: tuple[bytes, ...] = ()
        self.refilter(filters)

    # -- placing ---------------------------------------------------------------------------------------------
    def refilter(self, filters: Sequence[str]) -> None:
        """Take other filters; the position stays."""
        encoded = tuple(pattern.encode() for pattern in filters)
        self.filters = () if b">" in encoded else encoded
        self._wildcards = tuple(pattern for pattern in self.filters if has_wildcards(pattern))
        self._literals = frozenset(self.filters).difference(self._wildcards)
        if self._skip:
            self._skip = [s for s in self._skip[self._skip_head :] if self._still_matches(s)]
            self._skip_head = 0
        self.recount()

    def place(self, position: int, skip_until: int = 0) -> None:
        """Stand before `position`; with `skip_until` only last messages per subject up to there."""
        self.position = position
        self.skip_until = skip_until
        self._skip = []
        self._skip_head = 0
        if skip_until >= position:
            self._skip = self._last_per_subject(position, skip_until)
        self.recount()

    def start(self, config: ConsumerConfig, max_messages_per_subject: int) -> None:
        """Place a new consumer by its deliver policy (2.6)."""
        messages = self._messages
        last = messages.last_sequence
        first = max(messages.first_sequence, 1) if last or messages.first_sequence else 0
        if config.opt_start_seq:
            self.place(max(config.opt_start_seq, first))
            return
        if first == 0:
            self.place(1)
            return
        policy = config.deliver_policy
        skip_until = 0
        position = first
        if policy == "last":
            position = (messages.previous_sequence(last, self.filters) or 0) if self.filters else last
        elif policy == "new":
            position = last + 1
        elif policy == "by_start_time" and config.opt_start_time is not None:
            position = self._nearest_first(messages.sequence_at(config.opt_start_time))
        elif policy == "last_per_subject" and max_messages_per_subject != 1:
            skip_until = last
        self.place(max(first, min(position, last + 1)), skip_until)
        if skip_until:
            # It stands before the first message it will deliver: that is what info shows.
            self.position = self._skip[0] if self._skip else last

    def _nearest_first(self, position: int) -> int:
        """Skip ahead to the first message of some filter, when all of them begin behind `position`."""
        last = self._messages.last_sequence
        nearest = last
        for pattern in self.filters:
            for sequence in self._messages.next_sequences(1, 1, (pattern,)):
                if position <= sequence < nearest:
                    nearest = sequence
        return nearest if self.filters and position < nearest < last else position

    def _last_per_subject(self, position: int, until: int) -> list[int]:
        messages = self._messages
        found = []
        for pattern in self.filters or (b">",):
            for subject, state in messages.subjects(pattern).items():
                sequence: int | None = state.last_sequence
                if state.last_sequence > until:
                    sequence = messages.previous_sequence(until, (subject,))
                if sequence is not None and sequence >= position:
                    found.append(sequence)
        return sorted(found)

    # -- reading ---------------------------------------------------------------------------------------------
    def peek(self, count: int, visible: int) -> list[int]:
        """Return up to `count` sequences that come next, none above `visible`."""
        if self._skip_head < len(self._skip):
            end = min(self._skip_head + count, bisect_right(self._skip, visible, self._skip_head))
            return self._skip[self._skip_head : end]
        start = max(self.position, self.skip_until + 1)
        if start > visible or count <= 0:
            return []
        sequences = self._messages.next_sequences(start, count, self.filters)
        if sequences and sequences[-1] > visible:
            del sequences[bisect_right(sequences, visible) :]
        return sequences

    def advance(self, sequences: Sequence[int], last: int) -> None:
        """Move past these: the first ones that `peek` returned. `last` is as for `count`."""
        if not sequences:
            return
        self.count(last)
        self._pending -= len(sequences)
        self.position = sequences[-1] + 1
        if self._skip_head < len(self._skip):
            self._skip_head += len(sequences)
            if self._skip_head >= len(self._skip):
                self._skip = []
                self._skip_head = 0
                self.position = max(self.position, self.skip_until + 1)
                self.skip_until = 0

    def pass_by(self, sequence: int) -> None:
        """Move past everything up to `sequence`: nothing is there for this consumer."""
        if self._skip_head >= len(self._skip) and sequence >= self.position:
            self.position = sequence + 1

    def matches(self, subject: bytes) -> bool:
        """Return whether messages of this subject are for this consumer."""
        if not self.filters or subject in self._literals:
            return True
        return any(matches(pattern, subject) for pattern in self._wildcards)

    # -- counting --------------------------------------------------------------------------------------------
    def count(self, last: int) -> int:
        """Return num_pending: how many messages up to `last` are still to be delivered."""
        if last > self._counted:
            self._pending += self._count_between(max(self._counted + 1, self._first_counted), last)
            self._counted = last
        return self._pending

    def recount(self) -> None:
        """Forget what was counted; the next `count` starts anew (after a purge, with other filters)."""
        if self._skip_head < len(self._skip):
            subject_of = self._messages.subject_of
            self._skip = [s for s in self._skip[self._skip_head :] if subject_of(s) is not None]
        else:
            self._skip = []
        self._skip_head = 0
        self._counted = 0
        self._pending = len(self._skip)

    def removed(self, removed: Sequence[tuple[int, bytes]]) -> None:
        """Take messages out of the count that left the stream before they were delivered."""
        if self._skip_head < len(self._skip):
            self._remove_skipped(removed)
        first = self._first_counted
        if not removed or removed[-1][0] < first:
            return
        if removed[0][0] < first:
            removed = removed[bisect_left(removed, first, key=_sequence_of) :]
        if removed[-1][0] > self._counted:
            removed = removed[: bisect_right(removed, self._counted, key=_sequence_of)]
        if not self.filters:
            self._pending -= len(removed)
        else:
            self._pending -= sum(1 for _, subject in removed if self.matches(subject))

    @property
    def _first_counted(self) -> int:
        """The first sequence that is counted by `_count_between` rather than by the skip list."""
        return max(self.position, self.skip_until + 1)

    def _count_between(self, first: int, last: int) -> int:
        messages = self._messages
        if first > last:
            return 0
        count = messages.count_from(first, self.filters)
        if count and messages.last_sequence > last:
            count -= messages.count_from(last + 1, self.filters)
        return count

    def _remove_skipped(self, removed: Sequence[tuple[int, bytes]]) -> None:
        skip = self._skip
        for sequence, _ in removed:
            if sequence > self.skip_until:
                break
            place = bisect_left(skip, sequence, self._skip_head)
            if place < len(skip) and skip[place] == sequence:
                del skip[place]
                self._pending -= 1
        if self._skip_head >= len(skip):
            self._skip = []
            self._skip_head = 0
            self.position = max(self.position, self.skip_until + 1)
            self.skip_until = 0

    def _still_matches(self, sequence: int) -> bool:
        subject = self._messages.subject_of(sequence)
        return subject is not None and self.matches(subject)


def _sequence_of(pair: tuple[int, bytes]) -> int:
    return pair[0]


def make_cursor(messages: MessageStore, config: ConsumerConfig) -> Cursor:
    """Return a cursor with the filters of this configuration, at the beginning."""
    return Cursor(messages, filters_of(config))
