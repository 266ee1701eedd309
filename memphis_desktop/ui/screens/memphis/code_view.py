"""“Connect your code”: programs for the Memphis SDKs and REST, with the true address, to copy."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtGui import QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.dialogs import Dialog
from memphis_desktop.ui.components.flow_layout import FlowLayout
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.segments import Segments
from memphis_desktop.ui.memphis.snippets import LANGUAGES, PASSWORD, Address, snippet
from memphis_desktop.ui.theme.icons import icon


class CodeView(QWidget):
    """The address, a language, produce or consume, and the program."""

    def __init__(self, address: Address, station: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.address = address
        self.station = station
        self.address_label = PlainLabel(address.text, "mono", selectable=True)
        copy = QToolButton()
        copy.setIcon(icon("copy", "muted"))
        copy.setIconSize(QSize(14, 14))
        copy.setToolTip(tr("Copy the address"))
        copy.setAccessibleName(tr("Copy the address"))
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.address.text))
        self.languages = Segments([(name, name) for name in LANGUAGES])
        self.languages.set_choice(LANGUAGES[0])
        self.directions = Segments([("produce", tr("Produce")), ("consume", tr("Consume"))])
        self.directions.set_choice("produce")
        self.code = CodeBlock(lines=0)
        for segments in (self.languages, self.directions):
            segments.chosen.connect(lambda _: self.show_code())
        line = FlowLayout(spacing=theme.SPACE_3)
        line.addWidget(self.languages)
        line.addWidget(self.directions)
        self._address = self._address_line(copy)
        line.addWidget(self._address)
        self.note = PlainLabel("", "caption", wrap=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE_2, 0, 0)
        layout.setSpacing(theme.SPACE_3)
        layout.addLayout(line)
        layout.addWidget(self.code, 1)
        layout.addWidget(self.note)
        self.show_code()

    def minimumSizeHint(self) -> QSize:
        """Wide enough for the languages in two rows."""
        least = super().minimumSizeHint()
        two_rows = self.languages.row_width() // 2 + theme.SPACE_5
        return QSize(min(least.width(), max(two_rows, self._address.sizeHint().width())), least.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The languages go in one row where there is room, else in two."""
        super().resizeEvent(event)
        fits = self.languages.row_width() <= self.width()
        self.languages.set_columns(len(LANGUAGES) if fits else -(-len(LANGUAGES) // 2))

    def _address_line(self, copy: QToolButton) -> QWidget:
        """The address and its button, as tall as the choices that stand beside it."""
        holder = QWidget()
        inside = QHBoxLayout(holder)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(theme.SPACE_2)
        inside.addWidget(PlainLabel(tr("Memphis address"), "caption"))
        inside.addWidget(self.address_label)
        inside.addWidget(copy)
        holder.setMinimumHeight(self.languages.sizeHint().height())
        return holder

    def set_address(self, address: Address) -> None:
        """Another address."""
        if address != self.address:
            self.address = address
            self.address_label.setText(address.text)
            self.show_code()

    def show_code(self) -> None:
        """Write the program that is chosen."""
        produce = self.directions.choice() == "produce"
        self.code.set_text(snippet(self.languages.choice(), self.address, self.station, produce=produce))
        notes = []
        if self.address.password == PASSWORD:
            notes.append(tr("Put the password of {user} in its place.", user=self.address.username))
        if self.languages.choice() == LANGUAGES[-1]:
            notes.append(
                tr("REST needs its gateway: Home, Other clients of the local broker, or --rest_port.")
            )
        self.note.setText(" ".join(notes))
        self.note.setVisible(bool(notes))


class CodeDialog(Dialog):
    """The same in a window of its own."""

    def __init__(self, parent: QWidget, address: Address, station: str) -> None:
        super().__init__(parent, tr("Connect your code"), tr("Close"), width=760)
        self.view = CodeView(address, station)
        self.view.code.setMinimumHeight(300)
        self.body.addWidget(self.view, 1)
        self.cancel_button.hide()
