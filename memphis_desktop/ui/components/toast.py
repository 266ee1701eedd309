"""Short messages at the lower right that go by themselves; trouble stays until it is dismissed."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QEnterEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton, QVBoxLayout, QWidget

from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.banner import ICONS
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Action
from memphis_desktop.ui.theme.icons import icon

_WIDTH = 400
_MARGIN = 16
_SHOWN_MS = {"information": 5000, "good": 4000, "warning": 8000, "bad": 0}  # 0: until dismissed
_WITH_ACTION_MS = 10000
_AT_MOST = 4
_TEXT_LIMIT = 400


class Toast(QFrame):
    """One message."""

    dismissed = Signal()

    def __init__(self, text: str, kind: str, action: Action | None, parent: QWidget, topic: str = "") -> None:
        super().__init__(parent)
        self.kind = kind
        self.topic = topic
        self.text = _shortened(text)
        self.count = 1
        self._action = action
        self._label = PlainLabel(self.text, wrap=True)
        self._picture = QLabel()
        close = QToolButton()
        close.setIcon(icon("x", "muted"))
        close.setToolTip(tr("Dismiss"))
        close.setAccessibleName(tr("Dismiss"))
        close.clicked.connect(self.dismissed)
        line = QHBoxLayout()
        line.setSpacing(theme.SPACE_2)
        line.addWidget(self._picture, 0, Qt.AlignmentFlag.AlignTop)
        words = QVBoxLayout()
        words.addWidget(self._label)
        line.addLayout(words, 1)
        line.addWidget(close, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_3, theme.SPACE_2, theme.SPACE_2, theme.SPACE_2)
        layout.addLayout(line)
        if action is not None:
            button = QPushButton(action[0].replace("&", "&&"))
            button.setProperty("kind", "link")
            button.clicked.connect(self._act)
            words.addWidget(button, 0, Qt.AlignmentFlag.AlignLeft)
        self.setFixedWidth(_WIDTH)
        self.setAccessibleName(f"{kind}: {self.text}")
        self._restyle()
        theme.manager().follow(self, self._restyle)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.dismissed)
        self._milliseconds = _WITH_ACTION_MS if action is not None and kind != "bad" else _SHOWN_MS[kind]
        self._rearm()

    def repeat(self) -> None:
        """The same message came again: count it instead of stacking it."""
        self.count += 1
        self._label.setText(f"{self.text}  ×{self.count}")
        self._rearm()

    def renew(self, text: str, action: Action | None) -> None:
        """There is more to say of the same topic."""
        self.text = _shortened(text)
        self._action = action
        self._label.setText(self.text)
        self.setAccessibleName(f"{self.kind}: {self.text}")
        self._rearm()

    def enterEvent(self, event: QEnterEvent) -> None:
        """Being read: do not go away."""
        self._timer.stop()
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        """Read: go on counting."""
        self._rearm()
        super().leaveEvent(event)

    def _act(self) -> None:
        self.dismissed.emit()
        if self._action is not None:
            self._action[1]()

    def _rearm(self) -> None:
        if self._milliseconds:
            self._timer.start(self._milliseconds)

    def _restyle(self) -> None:
        look = theme.manager().current
        self.setStyleSheet(
            f"Toast {{ background: {look.raised}; border: {look.line_width}px solid {look.line_strong};"
            f" border-left: 3px solid {look.colour(self.kind)}; border-radius: {theme.RADIUS_CONTROL}px; }}"
        )
        self._picture.setPixmap(
            icon(ICONS[self.kind], self.kind).pixmap(QSize(18, 18), self.devicePixelRatioF())
        )


def _shortened(text: str) -> str:
    return text if len(text) <= _TEXT_LIMIT else text[:_TEXT_LIMIT] + "…"


class ToastStack(QObject):
    """Keeps the toasts of a window in a column above its lower right corner."""

    def __init__(self, window: QWidget, bottom_margin: int = 0) -> None:
        super().__init__(window)
        self._window = window
        self._bottom = bottom_margin
        self._toasts: list[Toast] = []
        window.installEventFilter(self)

    def show(
        self, text: str, kind: str = "information", action: Action | None = None, topic: str = ""
    ) -> Toast:
        """Add a message; one that is already there is counted up, one of the same topic renewed instead."""
        for toast in self._toasts:
            if topic and toast.topic == topic and toast.kind == kind:
                toast.renew(text, action)
                self._place()
                return toast
            if toast.text == text and toast.kind == kind:
                toast.repeat()
                return toast
        while len(self._toasts) >= _AT_MOST:
            self._drop(self._toasts[0])
        toast = Toast(text, kind, action, self._window, topic)
        toast.dismissed.connect(lambda: self._drop(toast))
        self._toasts.append(toast)
        toast.show()
        self._place()
        return toast

    def end(self, topic: str) -> None:
        """Take away what is said of a topic: it holds no longer."""
        for toast in [one for one in self._toasts if one.topic == topic]:
            self._drop(toast)

    def texts(self) -> list[str]:
        """What is shown, oldest first."""
        return [toast.text for toast in self._toasts]

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay in the corner when the window changes its size."""
        if event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def _drop(self, toast: Toast) -> None:
        if toast in self._toasts:
            self._toasts.remove(toast)
            toast.hide()
            toast.deleteLater()
            self._place()

    def _place(self) -> None:
        bottom = self._window.height() - _MARGIN - self._bottom
        for toast in reversed(self._toasts):
            toast.adjustSize()
            bottom -= toast.height()
            toast.move(self._window.width() - toast.width() - _MARGIN, bottom)
            toast.raise_()
            bottom -= theme.SPACE_2
