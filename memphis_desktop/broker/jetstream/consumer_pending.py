"""The deliveries that wait for an answer.

Most are answered in the order, and by the hundred, in which they went out. So messages delivered together
stay together, as a *run* that costs next to nothing to make and to take out again. As soon as anything else
happens to one of them, all become entries of their own: `PendingTable.entries`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import repeat
from typing import TypeAlias

# (consumer sequence of the first delivery, deadline, time of the last delivery)
Entry: TypeAlias = tuple[int, float, int]

NEVER = float("inf")
_FEW = 4  # so many deliveries make no run
_MANY_RUNS = 64  # beyond this, they have to be
_LONG = 16  # so long on average


class _Run:
    """First deliveries of one moment: `sequences[start:stop]`, with numbers `base + start` and so on."""

    __slots__ = ("base", "deadline", "sequences", "start", "stop", "time_ns")

    def __init__(
        self, sequences: list[int], base: int, deadline: float, time_ns: int, start: int, stop: int
    ) -> None:
        self.sequences = sequences
        self.base = base
        self.deadline = deadline
        self.time_ns = time_ns
        self.start = start
        self.stop = stop


class PendingTable:
    """Pending messages by stream sequence, in ascending order."""

    __slots__ = ("_entries", "_in_runs", "_runs")

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._runs: list[_Run] = []  # ascending, above all entries
        self._in_runs = 0

    def __len__(self) -> int:
        return len(self._entries) + self._in_runs

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._entries or self._find(sequence) is not None

    @property
    def entries(self) -> dict[int, Entry]:
        """Every pending message with an entry of its own, to be read and changed."""
        if self._runs:
            self._unfold()
        return self._entries

    def add(self, sequences: list[int], number: int, deadline: float, time_ns: int) -> None:
        """Add first deliveries of one moment, all above what is there; the sequence is not changed later."""
        count = len(sequences)
        if self._runs or count > _FEW:
            self._runs.append(_Run(sequences, number, deadline, time_ns, 0, count))
            self._in_runs += count
            self._check()
            return
        for sequence in sequences:
            self._entries[sequence] = (number, deadline, time_ns)
            number += 1

    def take(self, sequences: list[int]) -> list[int]:
        """Take these out; return those that were there, in the order given."""
        count = len(sequences)
        at = 0
        taken: list[int] = []
        while at < count:
            length = self._take_run(sequences, at) if self._runs else 0
            if length == count:
                return sequences
            if length:
                taken += sequences[at : at + length]
                at += length
            elif not self._runs:
                pop = self._entries.pop
                return taken + [one for one in sequences[at:] if pop(one, None) is not None]
            else:
                if self._entries.pop(sequences[at], None) is not None:
                    taken.append(sequences[at])
                at += 1
        return taken

    def take_one(self, sequence: int) -> bool:
        """Take one out; return whether it was there."""
        if self._runs and self._take_run((sequence,), 0):
            return True
        return self._entries.pop(sequence, None) is not None

    def lowest(self) -> tuple[int, int] | None:
        """Return the lowest sequence and its consumer sequence; None when nothing is pending."""
        for sequence, entry in self._entries.items():
            return sequence, entry[0]
        if not self._runs:
            return None
        run = self._runs[0]
        return run.sequences[run.start], run.base + run.start

    def up_to(self, sequence: int) -> list[int]:
        """Return all up to `sequence`."""
        below: list[int] = []
        for candidate in self._entries:
            if candidate > sequence:
                return below
            below.append(candidate)
        for run in self._runs:
            end = bisect_right(run.sequences, sequence, run.start, run.stop)
            below += run.sequences[run.start : end]
            if end < run.stop:
                break
        return below

    def due(self, now: float) -> dict[int, Entry]:
        """Return the entries among which are all whose deadline has passed."""
        if any(run.deadline <= now for run in self._runs):
            self._unfold()
        return self._entries

    def last_deadline(self) -> float:
        """Return the latest deadline; -inf when nothing is pending."""
        last = max((run.deadline for run in self._runs), default=-NEVER)
        return max((entry[1] for entry in self._entries.values()), default=last)

    def by_deadline(self) -> dict[float, list[int]]:
        """Return what is pending by deadline."""
        together: dict[float, list[int]] = {}
        for sequence, entry in self._entries.items():
            together.setdefault(entry[1], []).append(sequence)
        for run in self._runs:
            together.setdefault(run.deadline, []).extend(run.sequences[run.start : run.stop])
        return together

    def pack(self) -> None:
        """Give back the room of what was taken out: the search for the lowest one would pass it."""
        self._entries = dict(self._entries)

    def clear(self) -> None:
        """Forget all."""
        self._entries = {}
        self._runs.clear()
        self._in_runs = 0

    def _unfold(self) -> None:
        """Give each message of the runs an entry of its own."""
        for run in self._runs:
            numbers = range(run.base + run.start, run.base + run.stop)
            entries = zip(numbers, repeat(run.deadline), repeat(run.time_ns), strict=False)
            self._entries.update(zip(run.sequences[run.start : run.stop], entries, strict=True))
        self._runs.clear()
        self._in_runs = 0

    def _find(self, sequence: int) -> tuple[int, int] | None:
        """Return the number of the run that has this sequence, and its place there."""
        number = bisect_left(self._runs, sequence, key=_last)
        if number == len(self._runs):
            return None
        run = self._runs[number]
        at = bisect_left(run.sequences, sequence, run.start, run.stop)
        return (number, at) if run.sequences[at] == sequence else None

    def _take_run(self, sequences: Sequence[int], at: int) -> int:
        """Take as many of `sequences[at:]` as follow each other in one run out of it; return how many."""
        found = self._find(sequences[at])
        if found is None:
            return 0
        index, start = found
        run = self._runs[index]
        own = run.sequences
        length = most = min(len(sequences) - at, run.stop - start)
        if length > 1 and own[start : start + length] != sequences[at : at + length]:
            length = 1
            while length < most and own[start + length] == sequences[at + length]:
                length += 1
        stop = start + length
        if start == run.start:
            run.start = stop
            if stop == run.stop:
                del self._runs[index]
        elif stop == run.stop:
            run.stop = start
        else:
            rest = _Run(own, run.base, run.deadline, run.time_ns, stop, run.stop)
            self._runs.insert(index + 1, rest)
            run.stop = start
        self._in_runs -= length
        self._check()
        return length

    def _check(self) -> None:
        """Give up the runs when they are many and short: what is answered is in no order worth following."""
        count = len(self._runs)
        if count > _MANY_RUNS and self._in_runs < _LONG * count:
            self._unfold()


def _last(run: _Run) -> int:
    return run.sequences[run.stop - 1]
