"""Exporting messages of a station to a file: the selection, the matches of a search, or all."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QButtonGroup, QRadioButton, QVBoxLayout, QWidget

from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.matches import Matches
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.replay import MessageRange
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.dialogs import add_form_row
from memphis_desktop.ui.screens.decoders.store import mask
from memphis_desktop.ui.screens.message_export import MessageExportDialog

if TYPE_CHECKING:
    from memphis_desktop.ui.screens.messages.browser import MessageBrowser


class ExportDialog(MessageExportDialog):
    """Selection, matches or the whole station (with its subject filter) into one file."""

    def __init__(self, browser: MessageBrowser) -> None:
        title = tr("Export messages of {stream}", stream=browser.stream)
        super().__init__(browser.context, browser.window(), title, browser.stream)
        self.browser = browser
        self._selected = browser.list.selected_messages()
        searching = browser.searching
        self._matches = browser.list.model.messages() if searching.active else []
        job = searching.job if searching.has_matches and not searching.complete else None
        self._search = job.request if job is not None else None
        self._reading: Matches | None = None
        self.choices: dict[str, QRadioButton] = {}
        add_form_row(self.form, tr("What"), self._make_choices())
        self.arrange()

    def _make_choices(self) -> QWidget:
        browser = self.browser
        group = QButtonGroup(self)
        bounds = browser.reader.bounds if browser.reader is not None else None
        whole = _whole(browser.subject, bounds.messages) if bounds is not None else ""
        holder = QWidget()
        choices = QVBoxLayout(holder)
        choices.setContentsMargins(0, 0, 0, 0)
        for key, title, shown in (
            (
                "selection",
                tr_count(
                    "{count} selected message",
                    "{count} selected messages",
                    len(self._selected),
                    count=figures.integer(len(self._selected)),
                ),
                bool(self._selected),
            ),
            (
                "matches",
                tr_count(
                    "The {count} match of the search",
                    "The {count} matches of the search",
                    len(self._matches),
                    count=figures.integer(len(self._matches)),
                ),
                bool(self._matches) and self._search is None,
            ),
            ("all", tr("All matches of the search, listed or not"), self._search is not None),
            ("station", whole, bounds is not None),
        ):
            if shown:
                self.choices[key] = QRadioButton(title)
                group.addButton(self.choices[key])
                choices.addWidget(self.choices[key])
        found = "all" if self._search is not None else "matches"
        first = found if self._matches else "selection" if len(self._selected) > 1 else "station"
        self.choices.get(first, next(iter(self.choices.values()))).setChecked(True)
        return holder

    async def messages(self) -> AsyncIterator[InspectedMessage]:
        """What is chosen."""
        if "selection" in self.choices and self.choices["selection"].isChecked():
            self.total = len(self._selected)
            return _given(self._selected)
        if "matches" in self.choices and self.choices["matches"].isChecked():
            self.total = len(self._matches)
            return _given(self._matches)
        if self._search is not None and self.choices["all"].isChecked():
            session = self.context.session
            self._reading = Matches(session.nats, session.profile, self._search)
            return _masked(self._reading.read())
        reader = self.browser.reader
        if reader is None:
            raise ReadError(0, 0, tr("the station is not open"))
        bounds = await reader.refresh()
        source = await MessageRange.counted(reader, bounds.first, bounds.last, self.browser.subject)
        self.total = source.total
        return source.read(0)

    def share(self) -> float | None:
        """How much is done: of all matches, how far the search is."""
        return self._reading.progress.share if self._reading is not None else super().share()


async def _masked(messages: AsyncGenerator[InspectedMessage, None]) -> AsyncIterator[InspectedMessage]:
    async with aclosing(messages):
        async for message in messages:
            yield mask(message)


def _whole(subject: str | None, most: int) -> str:
    """How the choice of everything in view reads."""
    count = figures.integer(most)
    if subject is None:
        return tr_count(
            "The whole station, up to {count} message",
            "The whole station, up to {count} messages",
            most,
            count=count,
        )
    return tr_count(
        "Everything on {subject}, up to {count} message",
        "Everything on {subject}, up to {count} messages",
        most,
        count=count,
        subject=subject,
    )


async def _given(messages: list[InspectedMessage]) -> AsyncIterator[InspectedMessage]:
    for message in messages:
        yield message
