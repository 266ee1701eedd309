"""The subjects of a stream with their counts, a page of them in order, put together in slices.

A bucket may have a million keys; sorting their names at once would hold up everybody else for seconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING

from memphis_desktop.broker.store.interface import CountedSubject
from memphis_desktop.protocol.subjects import has_wildcards

if TYPE_CHECKING:
    from memphis_desktop.broker.clock import Clock

SUBJECTS_PER_PAGE = 100_000
AT_ONCE = 2_000  # subjects that are put in order without a pause
SLICE_SECONDS = 0.003
_SORTED_AT_ONCE = 2_048
_MERGED_AT_ONCE = 512


def is_prefix(pattern: bytes) -> bool:
    """Whether a pattern is literal up to a last token that stands for any others: ``$KV.settings.>``."""
    return pattern.endswith(b".>") and not has_wildcards(pattern[:-2])


class SubjectDetails:
    """A page of subjects.

    Attributes:
        page: The subjects from `offset` on, in order, with their numbers of messages; whole after `steps`.
        total: How many there are on all pages, known then too.
    """

    def __init__(self, subjects: Sequence[CountedSubject], offset: int, beginning: bytes = b"") -> None:
        """Of these subjects take those that begin so, and of them the page at an offset."""
        self.page: dict[str, int] = {}
        self.total = 0
        self.offset = offset
        self._subjects = subjects
        self._beginning = beginning

    @property
    def is_short(self) -> bool:
        """Whether the work is quickly done."""
        return len(self._subjects) <= AT_ONCE

    def steps(self) -> Iterator[None]:
        """Do the work, with a pause where others may go on."""
        name = attrgetter("name")
        parts: list[list[CountedSubject]] = []
        for start in range(0, len(self._subjects), _SORTED_AT_ONCE):
            part = self._subjects[start : start + _SORTED_AT_ONCE]
            if self._beginning:
                part = [subject for subject in part if subject.name.startswith(self._beginning)]
            parts.append(sorted(part, key=name))
            self.total += len(part)
            yield
        end = self.offset + SUBJECTS_PER_PAGE
        for number, subject in enumerate(heapq.merge(*parts, key=name)):
            if number >= end:
                break
            if number >= self.offset and subject.count:  # all may have been removed meanwhile
                self.page[subject.name.decode("utf-8", "replace")] = subject.count
            if not number % _MERGED_AT_ONCE:
                yield

    def at_once(self) -> None:
        """Do all of the work."""
        for _ in self.steps():
            pass

    def in_slices(self, clock: Clock, done: Callable[[], None]) -> None:
        """Do the work a few milliseconds at a time, then call `done`."""
        steps = self.steps()

        def go_on() -> None:
            until = clock.stopwatch() + SLICE_SECONDS
            for _ in steps:
                if clock.stopwatch() > until:
                    clock.call_soon(go_on)
                    return
            done()

        go_on()
