"""Following the end of a station with bounded memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject

from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.language import tr
from memphis_desktop.ui import settings
from memphis_desktop.ui.screens.messages.rows import WINDOW_BYTES, WINDOW_ROWS
from memphis_desktop.ui.shell.setting_keys import live_limits

if TYPE_CHECKING:
    from memphis_desktop.ui.screens.messages.browser import MessageBrowser

INTERVAL = 0.2  # seconds between looks for new messages
COUNT_INTERVAL = 0.5  # the same while paused, when only the number is read
PAGE_ROWS = 500
FLOOD_PAGE = 200  # shown of a flood at a time: more could not be read anyway
FLOOD_ROWS = 10_000  # this far behind, the rest is left out and said so


class LiveTail(QObject):
    """Appends what is new while on; counts it while paused or while an older place is looked at."""

    def __init__(self, browser: MessageBrowser) -> None:
        super().__init__(browser)
        self._browser = browser
        self._live = False
        self._paused = False
        self._suspended = False
        self._task: asyncio.Task[Any] | None = None
        self._awake = asyncio.Event()
        self.skipped = 0

    @property
    def live(self) -> bool:
        """Whether new messages are followed."""
        return self._live

    @property
    def following(self) -> bool:
        """Whether the list shall stay at its end, whoever adds rows to it."""
        return self._live and not self._paused and self._browser.list.at_end

    def set_live(self, live: bool) -> None:
        """Begin or end following."""
        if live == self._live:
            return
        self._live = live
        self.skipped = 0
        model = self._browser.list.model
        model.max_rows, model.max_bytes = (
            live_limits(settings.current()) if live else (WINDOW_ROWS, WINDOW_BYTES)
        )
        self._browser.toolbar.show_new_count(0, 0)
        if live:
            self._browser.places.go_last()
            self._start()
        else:
            self.stop()

    def set_paused(self, paused: bool) -> None:
        """Count instead of showing."""
        self._paused = paused
        if paused:
            self._browser.places.forget_reads()  # the way to the end that following began with, perhaps
        listed = self._browser.list
        end = listed.model.last if listed.at_end else listed.scroll_bar.last
        listed.hold_from(end if paused else None)
        self._awake.set()

    def suspend_polling(self) -> None:
        """Read nothing while nobody looks."""
        self._suspended = True

    def resume_polling(self) -> None:
        """Somebody looks again."""
        self._suspended = False
        self._awake.set()

    def stop(self) -> None:
        """End for good or until `set_live`."""
        self._live = False
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = self._browser.context.run(self._follow(), tr("follow the station"))

    async def _follow(self) -> None:
        failures = 0
        while self._live:
            pause = INTERVAL
            if not self._suspended and self._browser.reader is not None:
                try:
                    pause = await self._look()
                    failures = 0
                except ReadError:
                    failures += 1
                    if failures >= 10:
                        raise
                    pause = 1.0
            self._awake.clear()
            try:
                await asyncio.wait_for(self._awake.wait(), pause)
            except TimeoutError:
                continue

    async def _look(self) -> float:
        """Take in what is new; return how long to wait before the next look."""
        browser = self._browser
        reader = browser.reader
        assert reader is not None
        listed = browser.list
        if self._paused or not listed.at_end:
            bounds = await reader.refresh()
            listed.set_bounds(bounds.first, bounds.last)
            browser.toolbar.show_new_count(max(0, bounds.last - listed.model.last), self.skipped)
            browser.update_foot()
            return COUNT_INTERVAL
        page = await reader.forward(listed.model.last + 1, PAGE_ROWS, browser.subject)
        if self._paused:  # meanwhile
            return 0.0
        if not page.messages or page.first != listed.model.last + 1 or not self._live:
            browser.toolbar.show_new_count(0, self.skipped)
            return INTERVAL
        full = len(page.messages) >= PAGE_ROWS
        if full:
            bounds = await reader.refresh()
            if self._paused:
                return 0.0
            behind = bounds.last - page.last
            if behind > FLOOD_ROWS:
                page = await reader.backward(bounds.last, FLOOD_PAGE, browser.subject)
                if self._paused:
                    return 0.0
                self.skipped += max(0, page.first - listed.model.last - 1)
                listed.show_page(page, at_bottom=True)
                listed.set_bounds(bounds.first, bounds.last)
                browser.toolbar.show_new_count(0, self.skipped)
                return INTERVAL
        listed.set_bounds(listed.scroll_bar.first, max(listed.scroll_bar.last, page.last))
        listed.add_newer(page, follow=True)
        browser.states.show_list()
        browser.toolbar.show_new_count(0, self.skipped)
        browser.update_foot()
        return 0.0 if full else INTERVAL
