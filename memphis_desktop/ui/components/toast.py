"""Short messages at the lower right that go by themselves; trouble stays until it is dismissed.

They take at most a part of the window: the newest are shown, what has no room waits and comes back when there
is some. None goes while one is read (the mouse is over them) or has the keyboard.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QRect, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QEnterEvent, QFontMetrics, QKeyEvent
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.banner import ICONS, spoken
from memphis_desktop.ui.components.labels import PlainLabel, plain_tooltip
from memphis_desktop.ui.format import integer
from memphis_desktop.ui.screen import Action
from memphis_desktop.ui.theme import fonts
from memphis_desktop.ui.theme.direction import placed
from memphis_desktop.ui.theme.icons import icon

_WIDTH = 400
_LEAST_WIDTH = 240
_SHARE_ACROSS, _SHARE_DOWN = 0.36, 0.4  # of the window, beside the widths above and one message
_MARGIN = 16
_SHOWN_MS = {"information": 5000, "good": 4000, "warning": 8000, "bad": 0}  # 0: until dismissed
_WITH_ACTION_MS = 10000
_KEPT = 20  # messages, waiting ones included
_TEXT_LIMIT = 400
_LINES = 4  # of text; the rest is in the tooltip
_BESIDE_TEXT = 76  # of the width: icon, button, margins


class Toast(QFrame):
    """One message."""

    dismissed = Signal()
    held = Signal(bool)  # it is read, or not any more

    def __init__(self, text: str, kind: str, action: Action | None, parent: QWidget, topic: str = "") -> None:
        super().__init__(parent)
        self.kind = kind
        self.setProperty("toast", kind)
        self.topic = topic
        self.text = _shortened(text)
        self.count = 1
        self._action = action
        self._label = PlainLabel(wrap=True)
        self._picture = QLabel()
        self.close_button = QToolButton()
        self.close_button.setIcon(icon("x", "muted"))
        self.close_button.setToolTip(tr("Dismiss"))
        self.close_button.setAccessibleName(tr("Dismiss"))
        self.close_button.clicked.connect(self.dismissed)
        self.action_button = QPushButton()
        self.action_button.setProperty("kind", "link")
        self.action_button.clicked.connect(self._act)
        words = QVBoxLayout()
        words.addWidget(self._label)
        words.addWidget(self.action_button, 0, Qt.AlignmentFlag.AlignLeft)
        line = QHBoxLayout()
        line.setSpacing(theme.SPACE_2)
        line.addWidget(self._picture, 0, Qt.AlignmentFlag.AlignTop)
        line.addLayout(words, 1)
        line.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_3, theme.SPACE_2, theme.SPACE_2, theme.SPACE_2)
        layout.addLayout(line)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.dismissed)
        self._held = False
        self._restyle()
        self._say()
        theme.manager().follow(self, self._restyle)

    def repeat(self) -> None:
        """The same message came again: count it instead of stacking it."""
        self.count += 1
        self._say()

    def renew(self, text: str, action: Action | None) -> None:
        """There is more to say of the same topic."""
        self.text = _shortened(text)
        self._action = action
        self._say()

    def set_width(self, width: int) -> None:
        """Take so much room, and as many lines as that needs."""
        self.setFixedWidth(width)
        self._fit_text()
        layout = self.layout()
        assert layout is not None
        layout.activate()
        self.resize(width, layout.totalHeightForWidth(width))

    def set_held(self, held: bool) -> None:
        """Stay as long as it holds; then be there for the whole time once more."""
        if held != self._held:
            self._held = held
            self._rearm()

    def focus_first(self) -> None:
        """Give the keyboard to what it offers, or to what dismisses it."""
        button = self.close_button if self._action is None else self.action_button
        button.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def enterEvent(self, event: QEnterEvent) -> None:
        """Being read: do not go away."""
        self.held.emit(True)
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        """Read: go on counting."""
        self.held.emit(False)
        super().leaveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape dismisses it."""
        if event.key() == Qt.Key.Key_Escape:
            self.dismissed.emit()
        else:
            super().keyPressEvent(event)

    def _rearm(self) -> None:
        milliseconds = _SHOWN_MS[self.kind]
        if milliseconds and self._action is not None:
            milliseconds = _WITH_ACTION_MS
        if self._held or not milliseconds:
            self._timer.stop()
        else:
            self._timer.start(milliseconds)

    def _act(self) -> None:
        action = self._action
        self.dismissed.emit()
        if action is not None:
            action[1]()

    def _say(self) -> None:
        self.action_button.setVisible(self._action is not None)
        if self._action is not None:
            self.action_button.setText(self._action[0].replace("&", "&&"))
        said = spoken(self.kind, self.text)
        self.setAccessibleName(said)
        self._fit_text()
        self._rearm()
        if QAccessible.isActive():
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, said))

    def _fit_text(self) -> None:
        metrics = QFontMetrics(fonts.interface(theme.SIZE_BODY))
        times = f"  ×{self.count}" if self.count > 1 else ""
        shown = _clamped(self.text, times, metrics, max(40, self.width() - _BESIDE_TEXT))
        self._label.setText(shown)
        self._label.setToolTip(plain_tooltip(self.text) if not shown.startswith(self.text) else "")

    def _restyle(self) -> None:
        self._picture.setPixmap(
            icon(ICONS[self.kind], self.kind).pixmap(QSize(18, 18), self.devicePixelRatioF())
        )


def _shortened(text: str) -> str:
    return text if len(text) <= _TEXT_LIMIT else text[:_TEXT_LIMIT] + "…"


def _clamped(text: str, tail: str, metrics: QFontMetrics, width: int) -> str:
    """As much of a text as some lines of that width hold, with its tail."""

    def fits(shown: str) -> bool:
        area = metrics.boundingRect(QRect(0, 0, width, 10_000), int(Qt.TextFlag.TextWordWrap), shown)
        return area.height() <= _LINES * metrics.lineSpacing()

    if fits(text + tail):
        return text + tail
    fitting, over = 0, len(text)
    while over - fitting > 1:
        middle = (fitting + over) // 2
        fitting, over = (middle, over) if fits(f"{text[:middle]}…{tail}") else (fitting, middle)
    return f"{text[:fitting].rstrip()}…{tail}"


class ToastStack(QObject):
    """Keeps the toasts of a window in a column above its lower right corner."""

    def __init__(self, window: QWidget, bottom_margin: int = 0) -> None:
        super().__init__(window)
        self._window = window
        self._bottom = bottom_margin
        self._toasts: list[Toast] = []
        self.above: QWidget | None = None  # what no message covers
        self._before: QWidget | None = None  # what had the keyboard before the toasts
        self._more = QPushButton(window)
        self._more.setProperty("kind", "chip")
        self._more.setToolTip(tr("Dismiss all messages"))
        self._more.clicked.connect(self.dismiss_all)
        self._more.hide()
        window.installEventFilter(self)
        application = QApplication.instance()
        if isinstance(application, QApplication):
            application.focusChanged.connect(self._focus_changed)

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
                self._place()
                return toast
        while len(self._toasts) >= _KEPT:
            self._drop(self._toasts[0])
        toast = Toast(text, kind, action, self._window, topic)
        toast.dismissed.connect(lambda: self._drop(toast))
        toast.held.connect(lambda _: self._hold())
        self._toasts.append(toast)
        self._place()
        return toast

    def end(self, topic: str) -> None:
        """Take away what is said of a topic: it holds no longer."""
        for toast in [one for one in self._toasts if one.topic == topic]:
            self._drop(toast)

    def dismiss_all(self) -> None:
        """Take away everything."""
        for toast in list(self._toasts):
            self._drop(toast)

    def texts(self) -> list[str]:
        """What is there, oldest first, waiting ones included."""
        return [toast.text for toast in self._toasts]

    def shown(self) -> list[Toast]:
        """Those in view, oldest first."""
        return [toast for toast in self._toasts if not toast.isHidden()]

    def focus_latest(self) -> None:
        """Give the keyboard to the newest message; it comes back when the messages are gone."""
        if self._toasts:
            if not self._has_focus():
                self._before = self._window.window().focusWidget()
            self._toasts[-1].focus_first()
            self._hold()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay in the corner when the window changes its size."""
        if event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def _focus_changed(self, *_: object) -> None:
        if self._toasts:
            self._hold()

    def _has_focus(self) -> bool:
        focused = self._window.window().focusWidget()
        return focused is not None and any(toast.isAncestorOf(focused) for toast in self._toasts)

    def _hold(self) -> None:
        """None in view goes while one of them is read; those that wait have not begun."""
        reading = self._has_focus() or any(toast.underMouse() for toast in self.shown())
        for toast in self._toasts:
            toast.set_held(reading or toast.isHidden())

    def _drop(self, toast: Toast) -> None:
        if toast not in self._toasts:
            return
        focused = self._window.window().focusWidget()
        had_focus = focused is not None and toast.isAncestorOf(focused)
        self._toasts.remove(toast)
        toast.hide()
        toast.deleteLater()
        self._place()
        if had_focus and self._toasts:
            self._toasts[-1].focus_first()
        elif had_focus and self._before is not None:
            self._before.setFocus()
        if not self._toasts:
            self._before = None
        self._hold()

    def _place(self) -> None:
        within = self._window.rect()
        width = min(_WIDTH, max(_LEAST_WIDTH, int(within.width() * _SHARE_ACROSS)))
        room = int(within.height() * _SHARE_DOWN)
        bottom = lowest = within.height() - _MARGIN - self._bottom
        waiting = 0
        for toast in reversed(self._toasts):
            toast.set_width(width)
            if waiting or (bottom < lowest and lowest - bottom + toast.height() > room):
                waiting += 1
                toast.hide()
                continue
            bottom -= toast.height()
            self._put(toast, QRect(within.width() - width - _MARGIN, bottom, width, toast.height()))
            bottom -= theme.SPACE_2
        self._more.setVisible(waiting > 0)
        if waiting:
            self._more.setText(
                tr_count(
                    "{count} more: dismiss all", "{count} more: dismiss all", waiting, count=integer(waiting)
                )
            )
            self._more.adjustSize()
            size = self._more.size()
            area = QRect(within.width() - size.width() - _MARGIN, bottom - size.height(), 0, 0)
            self._put(self._more, QRect(area.topLeft(), size))
        for toast in self._toasts:
            if toast.isHidden():
                toast.set_held(True)

    def _put(self, widget: QWidget, area: QRect) -> None:
        widget.setGeometry(placed(area, self._window.rect()))
        appears = widget.isHidden()
        widget.show()
        widget.raise_()
        if self.above is not None and self.above.isVisible():
            widget.stackUnder(self.above)
        if appears and isinstance(widget, Toast):
            widget.set_held(False)
