"""Exporting dead letters to a file, with headers that say how each failed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from PySide6.QtWidgets import QWidget

from memphis_desktop.cluster.dead_letters.letters import DeadLetter
from memphis_desktop.cluster.dead_letters.resend import copy_headers
from memphis_desktop.inspect.files import FileProgress
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.message_export import MessageExportDialog


class LettersExportDialog(MessageExportDialog):
    """Writes the messages of letters."""

    def __init__(self, context: ScreenContext, parent: QWidget, letters: Sequence[DeadLetter]) -> None:
        count = figures.integer(len(letters))
        title = tr_count(
            "Export {count} dead letter", "Export {count} dead letters", len(letters), count=count
        )
        super().__init__(context, parent, title, "dead-letters")
        self.letters = list(letters)
        self.missing = 0
        self.arrange(tr("Each message keeps its bytes; headers tell stream, sequence, consumer and reason."))

    async def messages(self) -> AsyncIterator[InspectedMessage]:
        """The messages that are still to be had."""
        self.missing = 0
        self.total = len(self.letters)
        return self._found()

    async def _found(self) -> AsyncIterator[InspectedMessage]:
        book = self.context.session.dead_letters
        for letter in self.letters:
            message = await book.message_of(letter)
            if message is None:
                self.missing += 1
                continue
            yield marked(letter, message)

    def outcome(self, progress: FileProgress, path: Path) -> tuple[str, str]:
        """What was written, and what was gone."""
        text, kind = super().outcome(progress, path)
        if not self.missing:
            return text, kind
        gone = tr_count(
            "{count} was gone.", "{count} were gone.", self.missing, count=figures.integer(self.missing)
        )
        return f"{text} {gone}", "warning"


def marked(letter: DeadLetter, message: InspectedMessage, attempt: int | None = None) -> InspectedMessage:
    """A letter's message with headers that say where it failed, as a copy that is sent would have."""
    number = letter.attempts if attempt is None else attempt
    headers = copy_headers(letter, message, message.subject, number).without(["Nats-Msg-Id"])
    return InspectedMessage(
        message.stream, message.sequence, message.time_ns, message.subject, headers.encode(), message.payload
    )
