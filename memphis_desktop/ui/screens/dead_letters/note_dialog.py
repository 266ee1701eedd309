"""Writing about dead letters: a note and tags, kept where colleagues see them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QStringListModel, Qt
from PySide6.QtWidgets import QCompleter, QLineEdit, QPlainTextEdit, QWidget

from memphis_desktop.cluster.dead_letters.letters import DeadLetter
from memphis_desktop.cluster.dead_letters.marks import LONGEST_NOTE, clean_tags
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.dialogs import FormDialog


class NoteDialog(FormDialog):
    """One note for all the letters given; what they have in common already stands in it.

    Args:
        parent: Before which it stands.
        letters: What the note is about.
        known: Tags that are used already, to choose from while typing.
    """

    def __init__(self, parent: QWidget, letters: Sequence[DeadLetter], known: Sequence[str]) -> None:
        count = figures.integer(len(letters))
        super().__init__(
            parent,
            tr_count(
                "Note about {count} dead letter", "Note about {count} dead letters", len(letters), count=count
            ),
            tr("Save note"),
            introduction=tr(
                "Kept with the letter: everybody who looks at this station's dead letters sees it, "
                "with who wrote it and when."
            ),
        )
        notes = {letter.note for letter in letters}
        present = notes.pop() if len(notes) == 1 else None
        self.field = QPlainTextEdit(present.text if present is not None else "")
        self.field.setTabChangesFocus(True)
        self.field.setMinimumHeight(110)
        self.field.setPlaceholderText(tr("What is known about it, who looks after it, what was tried"))
        self.tag_field = QLineEdit(", ".join(present.tags) if present is not None else "")
        completer = QCompleter(self)
        completer.setModel(QStringListModel(list(known), completer))
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.tag_field.setCompleter(completer)
        self.tag_field.setPlaceholderText(tr("billing-team, bug-1234"))
        self.add_row(tr("Note"), self.field, tr("Leave both empty to take the note back."))
        self.add_row(
            tr("Tags"), self.tag_field, tr("Short words with commas between; the list's filter finds them.")
        )
        self.add_validator(self._too_long)

    def text(self) -> str:
        """The note."""
        return self.field.toPlainText().strip()

    def tags(self) -> tuple[str, ...]:
        """The tags."""
        return clean_tags(self.tag_field.text().split(","))

    def _too_long(self) -> str:
        length = len(self.text())
        return (
            tr(
                "A note has {most} characters at most, not {length}.",
                most=figures.integer(LONGEST_NOTE),
                length=figures.integer(length),
            )
            if length > LONGEST_NOTE
            else ""
        )
