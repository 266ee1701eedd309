"""An inline banner: what happened, why, and the next step."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton, QWidget

from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Action
from memphis_desktop.ui.theme.icons import icon

ICONS = {"information": "info", "good": "check-circle", "warning": "warning", "bad": "warning-circle"}
_KINDS = {
    "information": tr("Information"),
    "good": tr("Success"),
    "warning": tr("Warning"),
    "bad": tr("Error"),
}


def spoken(kind: str, text: str) -> str:
    """A message as a screen reader says it: what kind of message, then its words."""
    return tr("{kind}: {text}", kind=_KINDS[kind], text=text)


class Banner(QFrame):
    """``kind`` is information, good, warning or bad."""

    dismissed = Signal()

    def __init__(
        self,
        kind: str = "information",
        text: str = "",
        action: Action | None = None,
        parent: QWidget | None = None,
        *,
        closable: bool = False,
    ) -> None:
        super().__init__(parent)
        self._kind = kind
        self._action: Action | None = None
        self._picture = QLabel()
        self._text = PlainLabel(wrap=True, selectable=True)
        self._button = QPushButton()
        self._button.clicked.connect(self._act)
        self._close = QToolButton()
        self._close.setIcon(icon("x", "muted"))
        self._close.setToolTip(tr("Dismiss"))
        self._close.setAccessibleName(tr("Dismiss"))
        self._close.clicked.connect(self._dismiss)
        self._close.setVisible(closable)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_3, theme.SPACE_2, theme.SPACE_2, theme.SPACE_2)
        layout.setSpacing(theme.SPACE_2)
        layout.addWidget(self._picture, 0, Qt.AlignmentFlag.AlignVCenter)
        layout.addWidget(self._text, 1)
        layout.addWidget(self._button)
        layout.addWidget(self._close)
        self.set_content(kind, text, action)
        theme.manager().follow(self, self._restyle)

    def set_content(self, kind: str, text: str, action: Action | None = None) -> None:
        """Other words, another kind."""
        self._kind = kind
        self._action = action
        self._text.setText(text)
        self._button.setVisible(action is not None)
        if action is not None:
            self._button.setText(action[0].replace("&", "&&"))
        self.setAccessibleName(spoken(kind, text))
        self._restyle()

    def text(self) -> str:
        """What is shown."""
        return self._text.text()

    def button(self) -> QPushButton:
        """The action's button."""
        return self._button

    def _restyle(self) -> None:
        if self.property("banner") != self._kind:
            self.setProperty("banner", self._kind)
            self.style().unpolish(self)
            self.style().polish(self)
        ratio = self.devicePixelRatioF()
        picture = icon(ICONS[self._kind], self._kind)
        self._picture.setPixmap(picture.pixmap(QSize(18, 18), ratio))

    def _act(self) -> None:
        if self._action is not None:
            self._action[1]()

    def _dismiss(self) -> None:
        self.hide()
        self.dismissed.emit()
