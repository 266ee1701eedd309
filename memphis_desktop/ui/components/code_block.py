"""A block of code or configuration with a button that copies it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QFrame, QPlainTextEdit, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.code_colours import CodeColours
from memphis_desktop.ui.theme import fonts
from memphis_desktop.ui.theme.icons import icon

_COPIED_MS = 1500


class CodeBlock(QFrame):
    """Read-only monospace text. As tall as its text up to ``lines``, then it scrolls.

    Args:
        text: what is shown.
        copy: whether there is a copy button.
        lines: the greatest height in lines; 0 takes the room it gets.
        wrap: break long lines.
    """

    def __init__(
        self,
        text: str = "",
        copy: bool = True,
        parent: QWidget | None = None,
        *,
        lines: int = 12,
        wrap: bool = False,
    ) -> None:
        super().__init__(parent)
        self.setProperty("panel", "sunken")
        self._lines = lines
        self._wrap = wrap
        self.editor = QPlainTextEdit()
        self.editor.setReadOnly(True)
        self.editor.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        self.editor.setFrameShape(QFrame.Shape.NoFrame)
        self.editor.setFont(fonts.monospace())
        self.editor.setProperty("panel", "code")
        self.editor.setProperty("role", "mono")
        self.editor.setLineWrapMode(
            QPlainTextEdit.LineWrapMode.WidgetWidth if wrap else QPlainTextEdit.LineWrapMode.NoWrap
        )
        self.editor.setTabChangesFocus(True)
        self.editor.setAccessibleName(tr("Code"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2, 2, 2, 2)
        layout.addWidget(self.editor)
        self._colours = CodeColours(self.editor.document())
        theme.manager().follow(self, self._colours.restyle)
        self._button = QToolButton(self)
        self._button.setIcon(icon("copy", "muted"))
        self._button.setIconSize(QSize(16, 16))
        self._button.setToolTip(tr("Copy"))
        self._button.setAccessibleName(tr("Copy"))
        self._button.clicked.connect(self.copy)
        self._button.setVisible(copy)
        self.editor.verticalScrollBar().rangeChanged.connect(self._place_button)
        if lines:
            self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_text(text)

    def set_text(self, text: str) -> None:
        """Show other text, keeping the place when it is the same."""
        if text != self.editor.toPlainText():
            self.editor.setPlainText(text)
        self._fit()

    def text(self) -> str:
        """What is shown."""
        return self.editor.toPlainText()

    def copy(self) -> None:
        """Put the text on the clipboard and show that it is there."""
        QGuiApplication.clipboard().setText(self.text())
        self._button.setIcon(icon("check", "good"))
        QTimer.singleShot(_COPIED_MS, self._button, lambda: self._button.setIcon(icon("copy", "muted")))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The button stays at the upper right."""
        super().resizeEvent(event)
        self._place_button()
        if self._wrap and self._lines and event.size().width() != event.oldSize().width():
            QTimer.singleShot(0, self, self._fit)  # it may be broken into other lines now

    def _place_button(self) -> None:
        bar = self.editor.verticalScrollBar()
        beside = bar.sizeHint().width() if bar.maximum() > 0 else 0
        self._button.adjustSize()
        self._button.move(self.width() - self._button.width() - theme.SPACE_1 - beside, theme.SPACE_1)
        self._button.raise_()

    def changeEvent(self, event: QEvent) -> None:
        """Fit again when the font follows a new style."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.StyleChange and hasattr(self, "editor"):
            self._fit()

    def _fit(self) -> None:
        if not self._lines:
            return
        count = self.editor.document().blockCount()
        if self._wrap and self.isVisible():
            count = max(count, round(self.editor.document().size().height()))  # of a plain text: in lines
        rows = max(1, min(self._lines, count))
        line = self.editor.fontMetrics().lineSpacing()
        bar = self.editor.horizontalScrollBar().sizeHint().height()
        self.setFixedHeight(rows * line + 2 * theme.SPACE_3 + bar)
        if count <= self._lines:
            self.editor.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        else:
            self.editor.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
