"""Pages of messages already read, bounded by bytes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from dataclasses import dataclass

from memphis_desktop.inspect.message import InspectedMessage

CACHE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """A stretch of a stream: every matching message from `first` to `last` (both inclusive), oldest first."""

    messages: tuple[InspectedMessage, ...]
    first: int
    last: int

    @property
    def cost(self) -> int:
        """Bytes of memory held, near enough."""
        return sum(message.cost for message in self.messages) + 200


class PageCache:
    """Least recently used pages go first when the bytes pass the bound. Pages are kept per subject filter."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self.limit = limit
        self.bytes = 0
        self._pages: OrderedDict[tuple[str | None, int], Page] = OrderedDict()
        self._starts: dict[str | None, list[int]] = {}

    def __len__(self) -> int:
        return len(self._pages)

    def add(self, page: Page, subject: str | None) -> None:
        """Keep a page; one larger than the whole bound is not kept."""
        cost = page.cost
        if page.last < page.first or cost > self.limit:
            return
        key = (subject, page.first)
        self._drop(key)
        self._pages[key] = page
        self.bytes += cost
        starts = self._starts.setdefault(subject, [])
        starts.insert(bisect_left(starts, page.first), page.first)
        while self.bytes > self.limit:
            self._drop(next(iter(self._pages)))

    def forward(self, sequence: int, count: int, subject: str | None) -> Page | None:
        """Return what is known from `sequence` on, or None when that place is not cached."""
        page = self._covering(sequence, subject)
        if page is None:
            return None
        index = bisect_left(page.messages, sequence, key=lambda message: message.sequence)
        messages = page.messages[index : index + count]
        if not messages:
            return None
        whole = index + count >= len(page.messages)
        return Page(messages, sequence, page.last if whole else messages[-1].sequence)

    def backward(self, sequence: int, count: int, subject: str | None) -> Page | None:
        """Return what is known up to `sequence`, or None when that place is not cached."""
        page = self._covering(sequence, subject)
        if page is None:
            return None
        index = bisect_right(page.messages, sequence, key=lambda message: message.sequence)
        messages = page.messages[max(0, index - count) : index]
        if not messages:
            return None
        whole = index <= count
        return Page(messages, page.first if whole else messages[0].sequence, sequence)

    def message(self, sequence: int) -> InspectedMessage | None:
        """Return one message from any page."""
        for subject in self._starts:
            page = self._covering(sequence, subject)
            if page is not None:
                index = bisect_left(page.messages, sequence, key=lambda message: message.sequence)
                if index < len(page.messages) and page.messages[index].sequence == sequence:
                    return page.messages[index]
        return None

    def forget_below(self, sequence: int) -> None:
        """Drop pages that reach below a stream's new beginning."""
        for key in [key for key in self._pages if key[1] < sequence]:
            self._drop(key)

    def clear(self) -> None:
        """Drop everything."""
        self._pages.clear()
        self._starts.clear()
        self.bytes = 0

    def _covering(self, sequence: int, subject: str | None) -> Page | None:
        starts = self._starts.get(subject, [])
        index = bisect_right(starts, sequence) - 1
        if index < 0:
            return None
        key = (subject, starts[index])
        page = self._pages[key]
        if page.last < sequence:
            return None
        self._pages.move_to_end(key)
        return page

    def _drop(self, key: tuple[str | None, int]) -> None:
        page = self._pages.pop(key, None)
        if page is not None:
            self.bytes -= page.cost
            starts = self._starts[key[0]]
            del starts[bisect_left(starts, key[1])]
