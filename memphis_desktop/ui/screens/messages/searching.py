"""The search of a browser: one job at a time, its matches in the list, its progress in a line."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from shiboken6 import isValid

from memphis_desktop.inspect.filter.query import parse_filter
from memphis_desktop.inspect.histogram import read_histogram
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.page_cache import Page
from memphis_desktop.inspect.scan import ScanRequest
from memphis_desktop.inspect.search import SearchJob, SearchProgress, SearchState
from memphis_desktop.inspect.seek import Seek, SeekKind, parse_seek, place
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import settings
from memphis_desktop.ui.screens.decoders.store import mask, masking
from memphis_desktop.ui.screens.messages.rows import WINDOW_BYTES, WINDOW_ROWS
from memphis_desktop.ui.shell import first_steps
from memphis_desktop.ui.shell.setting_keys import live_limits

if TYPE_CHECKING:
    from memphis_desktop.ui.screens.messages.browser import MessageBrowser


HISTOGRAM_SECONDS = 5.0


class Searching(QObject):
    """Runs searches for a browser."""

    def __init__(self, browser: MessageBrowser) -> None:
        super().__init__(browser)
        self._browser = browser
        self.job: SearchJob | None = None
        self.active = False  # whether the list shows matches
        self._counted = 0.0  # when the histogram was read

    def start(self) -> None:
        """Search for what is typed."""
        browser = self._browser
        problem = browser.search_bar.problem()
        browser.search_bar.show_problem(problem)
        if problem:
            browser.context.notify(problem, "warning")
            return
        if not browser.search_bar.text() and browser.subject is None and self._whole_range():
            self.close()
            return
        browser.run(self._start(), tr("search the station"))

    @property
    def has_matches(self) -> bool:
        """Whether a search is shown that found something."""
        return self.active and self.job is not None and self.job.progress.matched > 0

    @property
    def complete(self) -> bool:
        """Whether the list holds everything that matches."""
        job = self.job
        return (
            job is not None
            and job.progress.state is SearchState.DONE
            and job.progress.matched == len(self._browser.list.model.rows)
        )

    def _whole_range(self) -> bool:
        bar = self._browser.search_bar
        return bar.from_field.text().strip() in ("", "first") and bar.to_field.text().strip() in ("", "last")

    async def _start(self) -> None:
        browser = self._browser
        reader = browser.reader
        if reader is None:
            return
        await reader.refresh()
        now = time.time_ns()
        try:
            first_seek = parse_seek(
                browser.search_bar.from_field.text() or "first", browser.context.zone, now
            )
            last_seek = parse_seek(browser.search_bar.to_field.text() or "last", browser.context.zone, now)
        except ValueError as error:
            browser.context.notify(str(error), "warning")
            return
        first = await place(reader, first_seek, end=False)
        last = await place(reader, last_seek, end=True)
        matches, scanned = browser.search_bar.limits()
        request = ScanRequest(
            stream=browser.stream,
            first=first,
            last=last,
            filter=browser.search_bar.text(),
            subject=browser.subject,
            newest_first=bool(browser.search_bar.order_box.currentData()),
            max_matches=matches,
            max_scanned=scanned,
            api_prefix=reader.api_prefix,
            masking=masking(),
        )
        self._stop_job()
        session = browser.context.session
        self.job = SearchJob(session.nats, session.profile, request, self._changed)
        self._enter()
        self.job.start()
        browser.search_status.show_progress(self.job.progress)

    def _enter(self) -> None:
        browser = self._browser
        browser.places.forget_reads()
        self.active = True
        browser.live_button.setChecked(False)
        browser.live_button.setEnabled(False)
        browser.pane.show_message(None)
        model = browser.list.model
        model.clear()
        model.show_gaps = False
        model.max_rows, model.max_bytes = live_limits(settings.current())
        browser.list.set_bounds(1, 0)
        browser.histogram.clear_matches()
        browser.states.show_waiting()

    def _changed(self, progress: SearchProgress, messages: list[InspectedMessage]) -> None:
        browser = self._browser
        if not isValid(browser):
            return
        if messages:
            messages = [mask(message) for message in messages]
            self._add(progress, messages)
            browser.histogram.add_matches(messages)
            if parse_filter(progress.request.filter).kind == "expression":
                first_steps.reach(first_steps.FIND)
        browser.search_status.show_progress(progress)
        browser.update_foot()
        if progress.state.ended and not browser.list.model.rows:
            if progress.state is SearchState.FAILED:
                browser.states.show_search_message(
                    tr("The search failed: {reason}.", reason=progress.reason), bad=True
                )
                return
            text = f"{progress.sentence()[:1].upper()}{progress.sentence()[1:]}."
            browser.states.show_search_message(text, bad=False)
            if progress.state is SearchState.DONE and not self._whole_range():
                browser.run(self._offer_nearest(progress, text), tr("look outside the range"))

    async def _offer_nearest(self, progress: SearchProgress, text: str) -> None:
        """Nothing in the range: say where the nearest message is, or offer to search everything.

        With a filter the nearest match could only be found by searching on; with a subject alone the server
        tells.
        """
        browser, request = self._browser, progress.request
        reader = browser.reader
        if reader is None or self.job is None or self.job.progress is not progress:
            return
        if request.filter.strip():
            browser.states.show_search_message(
                text, bad=False, action=(tr("Search the whole station"), self._search_all)
            )
            return
        before = await reader.backward(request.first - 1, 1, request.subject)
        after = await reader.forward(request.last + 1, 1, request.subject)
        if self.job is None or self.job.progress is not progress:
            return  # another search meanwhile
        earlier = before.messages[-1] if before.messages else None
        later = after.messages[0] if after.messages else None
        edge = await self._edge_times(request)
        nearest, words = _nearest(earlier, later, edge)
        if nearest is not None:
            browser.states.show_search_message(
                tr(
                    "Nothing on {subject} in this range; the nearest is {place}.",
                    subject=request.subject,
                    place=words,
                )
                if request.subject
                else tr("Nothing in this range; the nearest is {place}.", place=words),
                bad=False,
                action=(
                    tr("Go there"),
                    lambda: browser.places.go_to(Seek(SeekKind.SEQUENCE, nearest.sequence)),
                ),
            )

    async def _edge_times(self, request: ScanRequest) -> tuple[int | None, int | None]:
        """When the first and the last message of the range were stored, of any subject."""
        reader = self._browser.reader
        if reader is None:
            return None, None
        first = await reader.forward(request.first, 1)
        last = await reader.backward(request.last, 1)
        return (
            first.messages[0].time_ns if first.messages else None,
            last.messages[-1].time_ns if last.messages else None,
        )

    def _search_all(self) -> None:
        self._browser.search_bar.set_range("first", "last")
        self.start()

    def _add(self, progress: SearchProgress, messages: list[InspectedMessage]) -> None:
        """Matches stand in the order of the station, whichever way the search goes."""
        listed = self._browser.list
        ordered = tuple(reversed(messages)) if progress.request.newest_first else tuple(messages)
        page = Page(ordered, ordered[0].sequence, ordered[-1].sequence)
        if not listed.model.rows:
            listed.show_page(page, at_bottom=progress.request.newest_first)
            self._browser.states.show_list()
        elif progress.request.newest_first:
            listed.add_older(page)
        else:
            listed.add_newer(page)
        listed.set_bounds(listed.model.first, listed.model.last)
        self._browser.update_foot()

    def toggle_pause(self) -> None:
        """Pause, or go on."""
        if self.job is not None:
            if self.job.progress.state is SearchState.PAUSED:
                self.job.resume()
            else:
                self.job.pause()

    def stop(self) -> None:
        """End the search; its matches stay."""
        if self.job is not None:
            self.job.stop()

    def close(self) -> None:
        """Back to the whole station, at the message with the cursor."""
        self._stop_job()
        browser = self._browser
        browser.search_status.hide()
        if not self.active:
            return
        self.active = False
        message = browser.list.current_message()
        model = browser.list.model
        model.max_rows, model.max_bytes = WINDOW_ROWS, WINDOW_BYTES
        browser.live_button.setEnabled(True)
        browser.histogram.clear_matches()
        if message is not None:
            browser.places.go_to(Seek(SeekKind.SEQUENCE, message.sequence))
        else:
            browser.places.go_last()

    def _stop_job(self) -> None:
        if self.job is not None:
            self.job.close()
            self.job = None

    def refresh_histogram(self) -> None:
        """The station has grown: count again, now and then, while nobody drags over the histogram."""
        view = self._browser.histogram
        due = time.monotonic() - self._counted > HISTOGRAM_SECONDS
        if due and not view.isHidden() and not view.dragging and not self.active:
            self._counted = time.monotonic()
            self._browser.run(self.load_histogram(), tr("count the messages"))

    async def load_histogram(self) -> None:
        """Count the messages over time, of the subject filter where there is one."""
        browser = self._browser
        if browser.reader is not None:
            await browser.reader.refresh()
            histogram = await read_histogram(browser.reader, subject=browser.subject)
            browser.histogram.show_histogram(histogram)
            if self.active:
                browser.histogram.add_matches(browser.list.model.messages())

    def choose_range(self, first_ns: int, last_ns: int) -> None:
        """Take a range dragged over the histogram."""
        zone = self._browser.context.zone
        texts = [figures.typed_time(moment, zone) for moment in (first_ns, last_ns)]
        self._browser.search_bar.set_range(*texts)
        self._browser.histogram.show_range(first_ns, last_ns)
        if self.active or self._browser.search_bar.text():
            self.start()
        else:
            self._browser.places.go_to(Seek(SeekKind.TIME, first_ns))


def _nearest(
    earlier: InspectedMessage | None, later: InspectedMessage | None, edge: tuple[int | None, int | None]
) -> tuple[InspectedMessage | None, str]:
    """Return the message nearer in time to the range, and how far it is in words."""
    choices: list[tuple[float, InspectedMessage, str]] = []
    if earlier is not None:
        gap = max(0.0, ((edge[0] or earlier.time_ns) - earlier.time_ns) / 1e9)
        choices.append(
            (
                gap,
                earlier,
                tr(
                    "{gap} earlier, #{sequence}",
                    gap=figures.duration(gap),
                    sequence=figures.integer(earlier.sequence),
                ),
            )
        )
    if later is not None:
        gap = max(0.0, (later.time_ns - (edge[1] or later.time_ns)) / 1e9)
        words = tr(
            "{gap} later, #{sequence}", gap=figures.duration(gap), sequence=figures.integer(later.sequence)
        )
        choices.append((gap, later, words))
    if not choices:
        return None, ""
    _, message, words = min(choices, key=lambda choice: choice[0])
    return message, words
