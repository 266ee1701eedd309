"""Text of any size: bounded at first, the rest put in by slices, long lines broken to be laid out fast."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QKeyEvent, QTextCursor, QTextOption
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from memphis_desktop.inspect.decode.text import visible
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.filter_bar import FilterField
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.theme import fonts

FIRST_CHARACTERS = 64 << 10  # opened at once
MAX_CHARACTERS = 8 << 20  # on request; beyond that there is the file
SLICE = 48 << 10
MAX_LINE = 2_000  # characters before a line is broken: one endless line would hold up the layout


def breakable(text: str) -> str:
    """Return the text with no line longer than `MAX_LINE`, everything in it visible."""
    parts: list[str] = []
    for line in text.splitlines() if "\r" in text else text.split("\n"):
        while len(line) > MAX_LINE:
            parts.append(line[:MAX_LINE])
            line = line[MAX_LINE:]
        parts.append(line)
    return visible("\n".join(parts))


class TextView(QWidget):
    """Read-only monospace text. `set_text` shows the beginning; a bar below offers the rest."""

    save_requested = Signal()

    def __init__(self, name: str = tr("Text"), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = ""
        self._shown = 0
        self._goal = 0
        self.editor = QPlainTextEdit()
        self.editor.setReadOnly(True)
        self.editor.setAccessibleName(name)
        self.editor.setProperty("role", "mono")
        self.editor.setFont(fonts.monospace(theme.SIZE_CAPTION))
        self.editor.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.editor.setUndoRedoEnabled(False)
        self.editor.setFrameShape(QPlainTextEdit.Shape.NoFrame)
        self._note = PlainLabel("", "caption", wrap=True)
        self._more = QPushButton()
        self._more.clicked.connect(self._load_rest)
        self._save = QPushButton(tr("Save to file"))
        self._save.clicked.connect(self.save_requested)
        self._bar = QWidget()
        row = QHBoxLayout(self._bar)
        row.setContentsMargins(theme.SPACE_3, theme.SPACE_2, theme.SPACE_3, theme.SPACE_2)
        row.addWidget(self._note, 1)
        row.addWidget(self._more)
        row.addWidget(self._save)
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._put_slice)
        self.find_field = FilterField(tr("Find in this text"))
        self.find_field.hide()
        self.find_field.returnPressed.connect(lambda: self.find_next())
        self.find_field.textChanged.connect(lambda _: self.find_next(again=True))
        self.find_field.left.connect(self._end_finding)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.find_field)
        layout.addWidget(self.editor, 1)
        layout.addWidget(self._bar)
        self.setFocusProxy(self.editor)
        self._update_bar()

    def set_text(self, text: str) -> None:
        """Show another text, from its beginning."""
        self._timer.stop()
        self._text = text
        self._goal = self._shown = min(len(text), FIRST_CHARACTERS)
        self.editor.setPlainText(breakable(text[: self._shown]))
        self._update_bar()

    def text(self) -> str:
        """The whole text, shown or not."""
        return self._text

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """The keys of ``payload`` find in what is shown, and the next place."""
        meant = keymap.pressed("payload", event)
        if meant == "find":
            self.find_field.show()
            self.find_field.setFocus()
            self.find_field.selectAll()
        elif meant == "again":
            self.find_next()
        else:
            super().keyPressEvent(event)

    def find_next(self, *, again: bool = False) -> bool:
        """Mark the next place of what is typed, from the top after the last; `again` from the mark on."""
        wanted = self.find_field.text()
        if not wanted:
            return False
        if again:
            cursor = self.editor.textCursor()
            cursor.setPosition(cursor.selectionStart())
            self.editor.setTextCursor(cursor)
        if self.editor.find(wanted):
            return True
        self.editor.moveCursor(QTextCursor.MoveOperation.Start)
        return bool(self.editor.find(wanted))

    def _end_finding(self) -> None:
        self.find_field.hide()
        self.editor.setFocus()

    def _load_rest(self) -> None:
        self._goal = min(len(self._text), MAX_CHARACTERS)
        self._timer.start()
        self._update_bar()

    def _put_slice(self) -> None:
        end = min(self._goal, self._shown + SLICE)
        cursor = QTextCursor(self.editor.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.insertText(breakable(self._text[self._shown : end]))
        self._shown = end
        if end >= self._goal:
            self._timer.stop()
        self._update_bar()

    def _update_bar(self) -> None:
        rest = len(self._text) - self._shown
        self._bar.setVisible(rest > 0)
        if rest <= 0:
            return
        total = figures.compact(len(self._text))
        self._note.setText(
            tr("The first {shown} of {total} characters", shown=figures.compact(self._shown), total=total)
        )
        can = self._shown < MAX_CHARACTERS and not self._timer.isActive()
        self._more.setVisible(can)
        if can:
            rest_shown = min(len(self._text), MAX_CHARACTERS) - self._shown
            self._more.setText(tr("Show {rest_shown} more", rest_shown=figures.compact(rest_shown)))
        self._save.setVisible(len(self._text) > MAX_CHARACTERS)
