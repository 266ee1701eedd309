"""One dead letter: the facts of its failure, what was noted, its message and its journey."""

from __future__ import annotations

import time
from datetime import tzinfo

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QTabWidget, QVBoxLayout, QWidget

from memphis_desktop.cluster.dead_letters.journey import journey
from memphis_desktop.cluster.dead_letters.letters import DeadLetter, LetterKey
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.dead_letters.actions import LetterActions
from memphis_desktop.ui.screens.dead_letters.journey_view import JourneyView
from memphis_desktop.ui.screens.dead_letters.words import cause_text
from memphis_desktop.ui.screens.messages.detail import MessageDetail


class LetterPane(QFrame):
    """Beside the list."""

    edit_requested = Signal()
    closed = Signal()
    letter_requested = Signal(object)  # the LetterKey of another letter of the journey

    def __init__(self, context: ScreenContext, doing: LetterActions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._book = context.session.dead_letters
        self._shown: LetterKey | None = None
        self.message: InspectedMessage | None = None
        self.setProperty("panel", "surface")
        self.facts = PlainLabel(tr("Select a dead letter."), "muted", wrap=True)
        self.facts.setContentsMargins(theme.SPACE_3, theme.SPACE_2, theme.SPACE_3, theme.SPACE_2)
        self.note = PlainLabel("", wrap=True, selectable=True)
        self.note.setContentsMargins(theme.SPACE_3, 0, theme.SPACE_3, theme.SPACE_2)
        self.note.hide()
        self.gone = Banner("warning", "")
        self.gone.hide()
        self.detail = MessageDetail(context)
        self.detail.hide_station_actions()
        self.detail.edit_requested.connect(self.edit_requested)
        self.detail.copy_requested.connect(lambda: doing.copy_payload(self.message))
        self.detail.save_requested.connect(lambda: doing.save_payload(self.message))
        self.detail.closed.connect(self.closed)
        self.journey = JourneyView()
        self.journey.zone = context.zone
        self.journey.letter_requested.connect(self.letter_requested)
        message_page = QWidget()
        page = QVBoxLayout(message_page)
        page.setContentsMargins(0, 0, 0, 0)
        page.setSpacing(0)
        page.addWidget(self.gone)
        page.addWidget(self.detail, 1)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(message_page, tr("Message"))
        self.tabs.addTab(self.journey, tr("Journey"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(1, 1, 1, 1)
        layout.setSpacing(0)
        layout.addWidget(self.facts)
        layout.addWidget(self.note)
        layout.addWidget(self.tabs, 1)
        self.setMinimumWidth(320)

    def set_zone(self, zone: tzinfo) -> None:
        """Times in another zone."""
        self.journey.zone = zone

    def journey_shown(self) -> bool:
        """Whether the journey is in front."""
        return self.tabs.currentWidget() is self.journey

    def show_journey(self, shown: bool) -> None:
        """The journey in front, or the message."""
        self.tabs.setCurrentIndex(1 if shown else 0)

    def show_letter(self, letter: DeadLetter | None) -> None:
        """Show a letter; its message is read when it is another one than before."""
        if letter is None:
            if self._shown is not None:
                self._shown = self.message = None
                self.detail.show_message(None)
                self.journey.show_steps([])
                self.facts.setText(tr("Select a dead letter."))
                self.note.hide()
                self.gone.hide()
            return
        self.facts.setText(facts_sentence(letter))
        self.note.setText(note_text(letter))
        self.note.setVisible(bool(letter.note))
        if letter.key == self._shown:
            self._show_steps(letter)
            return
        self._shown = letter.key
        self.message = None
        self._context.run(self._read(letter), tr("read the message"))

    async def _read(self, letter: DeadLetter) -> None:
        try:
            message = await self._book.message_of(letter)
        except ReadError as error:
            if letter.key == self._shown:
                self._show_gone("bad", tr("The message cannot be read: {error}.", error=error))
                self.detail.show_message(None)
                self._show_steps(letter)
            return
        if letter.key != self._shown:
            return
        self.message = message
        self.detail.show_message(message)
        if message is None:
            present = next((one for one in self._book.view.letters if one.key == letter.key), letter)
            why = present.original.why_gone or tr("It is not in the station any more")
            self._show_gone("warning", tr("{why}. What is known of the failure stays.", why=why))
        else:
            self.gone.hide()
        self._show_steps(letter)

    def _show_gone(self, kind: str, text: str) -> None:
        self.gone.set_content(kind, text)
        self.gone.show()

    def _show_steps(self, letter: DeadLetter) -> None:
        if letter.external and self._book.source is not None:
            self.journey.show_steps(self._book.source.journey(letter))
            return
        snapshot = self._context.session.snapshot
        self.journey.show_steps(journey(letter, self.message, snapshot, self._related(letter)))

    def _related(self, letter: DeadLetter) -> list[DeadLetter]:
        """Letters of the same message, and of the copies of it."""
        wanted = {(letter.stream, letter.sequence), *((copy.stream, copy.sequence) for copy in letter.resent)}
        return [one for one in self._book.view.letters if (one.stream, one.sequence) in wanted]


def facts_sentence(letter: DeadLetter) -> str:
    """The facts of a failure, on a line or two."""
    number = f" #{figures.integer(letter.sequence)}" if letter.sequence else ""
    parts = [f"{letter.station}{number}"]
    if letter.consumer:
        parts.append(tr("given up by {consumer}", consumer=letter.consumer))
    if letter.deliveries:
        parts.append(tr("delivered {times} ×", times=figures.integer(letter.deliveries)))
    parts.append(cause_text(letter.cause))
    parts.append(figures.relative_time(letter.failed_ns, time.time_ns()))
    if letter.resent:
        parts.append(tr("resent {times} ×", times=figures.integer(len(letter.resent))))
    if letter.original.attempt:
        parts.append(tr("itself attempt {number}", number=figures.integer(letter.original.attempt)))
    return "  ·  ".join(parts)


def note_text(letter: DeadLetter) -> str:
    """What was noted about a letter: the note, its tags, who and when."""
    note = letter.note
    if not note:
        return ""
    who = f"{note.by or tr('somebody')}, {figures.relative_time(note.time_ns, time.time_ns())}"
    tags = f"  [{', '.join(note.tags)}]" if note.tags else ""
    return f"{note.text}{tags}  ({who})".strip()
