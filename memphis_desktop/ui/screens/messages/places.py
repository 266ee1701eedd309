"""Places of a station in the list of a browser: going somewhere, reading on at either end, keeping up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from shiboken6 import isValid

from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.page_cache import Page
from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.inspect.seek import Seek, SeekKind
from memphis_desktop.language import tr

if TYPE_CHECKING:
    from memphis_desktop.ui.screens.messages.browser import MessageBrowser

PAGE_ROWS = 200
CONTEXT_ROWS = 100  # read before the place jumped to


class Places(QObject):
    """Puts pages of the station into the list. A place asked for later wins over an earlier one."""

    def __init__(self, browser: MessageBrowser) -> None:
        super().__init__(browser)
        self._browser = browser
        self._list = browser.list
        self._generation = 0
        self._refreshing = asyncio.Lock()
        self._reads = 0
        self.wanted: Seek | None = None  # asked for before the station was open

    def go_first(self) -> None:
        """Show the oldest message, or the first match."""
        if self._browser.searching.active:
            self._list.select_row(0)
            return
        self._browser.run(self.seek(Seek(SeekKind.FIRST)), tr("read messages"))

    def go_last(self) -> None:
        """Show the newest message, or the last match."""
        if self._browser.searching.active:
            self._list.select_row(len(self._list.model.rows) - 1)
            return
        self._browser.run(self.show_last(), tr("read messages"))

    def go_to(self, seek: Seek) -> None:
        """Show a place, as soon as the station is open; a search is left for it."""
        if self._browser.searching.active:
            self._browser.searching.close()
        if self._browser.reader is None:
            self.wanted = seek
        else:
            self._browser.run(self.seek(seek), tr("read messages"))

    def go_related(self, direction: int) -> None:
        """Show the message before (-1) or after (1) on the same subject."""
        message = self._browser.pane.message
        if message is not None:
            self._browser.run(self._related(message, direction), tr("find the message"))

    async def seek(self, seek: Seek) -> None:
        """Find a place and show it."""
        reader = self._browser.reader
        if reader is None:
            return
        self._generation += 1  # a place asked for later wins, however long this one takes to find
        generation = self._generation
        await self.refresh()
        if seek.kind is SeekKind.LAST:
            await self.show_last()
            return
        if seek.kind is SeekKind.FIRST:
            sequence = reader.bounds.first
        elif seek.kind is SeekKind.PERCENT:
            sequence = reader.sequence_at_percent(seek.value)
        elif seek.kind is SeekKind.TIME:
            sequence = await reader.sequence_at(seek.time_ns)
        else:
            sequence = seek.sequence
        if generation == self._generation:
            await self.jump(sequence)

    async def jump(self, sequence: int, *, select: bool = True) -> None:
        """Show the messages around a sequence with it at the top."""
        reader = self._browser.reader
        if reader is None:
            return
        self._generation += 1
        generation = self._generation
        bounds = reader.bounds
        sequence = max(min(sequence, bounds.last), bounds.first)
        with self._asking():
            before, after = await asyncio.gather(
                reader.backward(sequence - 1, CONTEXT_ROWS, self._browser.subject),
                reader.forward(sequence, PAGE_ROWS, self._browser.subject),
            )
            if generation != self._generation:
                return
            page = Page((*before.messages, *after.messages), min(before.first, sequence), after.last)
            self.show_page(page, sequence=sequence)
            if select:
                self._list.select_sequence(sequence)

    async def show_last(self, *, select: bool = True) -> None:
        """Show the newest messages."""
        reader = self._browser.reader
        if reader is None:
            return
        self._generation += 1
        generation = self._generation
        await self.refresh()
        with self._asking():
            page = await reader.backward(reader.bounds.last, PAGE_ROWS, self._browser.subject)
            if generation != self._generation:
                return
            self.show_page(page, at_bottom=True)
            if select:
                self._list.select_row(len(self._list.model.rows) - 1)

    async def _related(self, message: InspectedMessage, direction: int) -> None:
        reader = self._browser.reader
        if reader is None:
            return
        if direction > 0:
            page = await reader.forward(message.sequence + 1, 1, message.subject)
            found = page.messages[0] if page.messages else None
        else:
            page = await reader.backward(message.sequence - 1, 1, message.subject)
            found = page.messages[-1] if page.messages else None
        if found is None:
            self._browser.context.notify(
                tr("There is no message after this one on {subject}.", subject=message.subject)
                if direction > 0
                else tr("There is no message before this one on {subject}.", subject=message.subject)
            )
        elif not self._list.select_sequence(found.sequence):
            await self.jump(found.sequence)

    async def load_older(self) -> None:
        """Read the page before the first row."""
        browser = self._browser
        if browser.reader is None or browser.searching.active:  # what was found has no neighbours to read
            self._list.asked(False)
            return
        generation = self._generation
        end = self._list.model.first - 1
        with self._asking():
            page = await browser.reader.backward(end, PAGE_ROWS, browser.subject)
            if self._still(generation) and self._list.model.first == end + 1:
                self._list.add_older(page)
                browser.update_foot()

    async def load_newer(self) -> None:
        """Read the page after the last row."""
        browser = self._browser
        if browser.reader is None or browser.searching.active:
            self._list.asked(False)
            return
        generation = self._generation
        start = self._list.model.last + 1
        with self._asking():
            page = await browser.reader.forward(start, PAGE_ROWS, browser.subject)
            held = self._list.is_held  # following was paused meanwhile
            if self._still(generation) and self._list.model.last == start - 1 and not held:
                self._list.add_newer(page, follow=browser.tail.following)
                browser.update_foot()

    def _still(self, generation: int) -> bool:
        """Whether the list shows the place that a page was read for."""
        return generation == self._generation and not self._browser.searching.active

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """While any page is on its way the list asks for no other."""
        self._reads += 1
        self._list.asked(True)
        try:
            yield
        finally:
            self._reads -= 1
            if not self._reads and isValid(self._list):  # the window may have closed meanwhile
                self._list.asked(False)

    @property
    def settled(self) -> bool:
        """Whether the station is open and no page is on its way."""
        return self._browser.reader is not None and not self._reads and not self._list.asks

    def show_page(self, page: Page, *, sequence: int | None = None, at_bottom: bool = False) -> None:
        self._list.model.show_gaps = self._browser.subject is None
        self._list.show_page(page, sequence=sequence, at_bottom=at_bottom)
        self._list.set_bounds(*self._span())
        if page.messages:
            self._browser.states.show_list()
        else:
            self._browser.states.show_empty()
        self._browser.update_foot()

    def _span(self) -> tuple[int, int]:
        assert self._browser.reader is not None
        bounds = self._browser.reader.bounds
        return bounds.first, bounds.last

    def refresh_soon(self) -> None:
        """Read the bounds again, unless that is being done."""
        if not self._refreshing.locked():
            self._browser.run(self.refresh(), tr("read the station"))

    async def refresh(self) -> None:
        """Read the bounds again; rows that are gone leave the list.

        Whoever waits for this gets bounds read after the call, never those of a reading under way.
        """
        async with self._refreshing:
            reader = self._browser.reader
            if reader is not None:
                await self._refresh(reader)

    async def _refresh(self, reader: MessageReader) -> None:
        before = reader.bounds
        after = await reader.refresh()
        if self._browser.searching.active:
            return
        self._list.set_bounds(after.first, after.last)
        if after.first > self._list.model.first:
            self._list.model.cut_below(after.first)
        if after.deleted > before.deleted:
            await self._mark_removed(reader)
        if self._browser.states.shows_sentence and after.messages and not before.messages:
            page = await reader.backward(after.last, PAGE_ROWS, self._browser.subject)
            self.show_page(page, at_bottom=True)
        if not self._list.model.rows and not after.messages:
            self._browser.states.show_empty()
        self._browser.update_foot()

    async def _mark_removed(self, reader: MessageReader) -> None:
        """Look again at what is in view: messages may have been deleted or consumed meanwhile."""
        top = self._list.top_sequence()
        if top is None:
            return
        page = await reader.forward(top, self._list.visible_rows() + 1, self._browser.subject)
        there = {message.sequence for message in page.messages}
        for message in self._list.model.messages():
            if top <= message.sequence <= page.last and message.sequence not in there:
                self._list.model.remove_message(message.sequence)

    def dragged_to(self, sequence: int) -> None:
        """The scroll bar was dragged: among matches scroll, in the station read."""
        if self._browser.searching.active:
            bar = self._list.table.verticalScrollBar()
            bar.setValue(self._list.model.row_of(int(sequence)) * self._list.row_height())
        else:
            self._browser.run(self.jump(int(sequence), select=False), tr("read messages"))

    def forget_reads(self) -> None:
        """Whatever is being read now shall not be shown any more."""
        self._generation += 1
