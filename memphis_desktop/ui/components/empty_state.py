"""What stands where data would be: nothing there yet, an error, or still loading."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.flow_layout import FlowLayout
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Action
from memphis_desktop.ui.theme.icons import icon

_ICON_SIZE = 40
_NARROWEST, _WIDEST = 260, 440  # pixels of the sentence
_LEAST_WITH_PICTURE = 230  # pixels of height, where several buttons are offered


class EmptyState(QWidget):
    """An icon, one sentence, one button; further ones where there are several ways to begin."""

    def __init__(
        self, icon_name: str, sentence: str, button: Action | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._icon_name = icon_name
        self._token = "muted"
        self._action: Action | None = None
        self._offered: tuple[Action, ...] = ()
        self._picture = QLabel()
        self._picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._sentence = PlainLabel(role="muted", wrap=True)
        self._sentence.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._sentence.setMaximumWidth(_WIDEST)
        self._sentence.setMinimumWidth(_NARROWEST)
        self._button = QPushButton()
        self._button.clicked.connect(self._act)
        self._further: list[QPushButton] = []
        self._others = QWidget()
        self._others_flow = FlowLayout(self._others, spacing=theme.SPACE_2, centred=True)
        self._others_flow.setContentsMargins(0, 0, 0, 0)
        self._others.hide()
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self._sentence, 100)
        row.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_4, theme.SPACE_5, theme.SPACE_4, theme.SPACE_5)
        layout.setSpacing(theme.SPACE_3)
        layout.addStretch(2)
        layout.addWidget(self._picture)
        layout.addLayout(row)
        layout.addWidget(self._button, alignment=Qt.AlignmentFlag.AlignHCenter)
        layout.addWidget(self._others)
        layout.addStretch(3)
        self.set_content(icon_name, sentence, button)
        theme.manager().follow(self, self._redraw)

    def set_content(
        self, icon_name: str, sentence: str, button: Action | None = None, others: Sequence[Action] = ()
    ) -> None:
        """Other words, and what there is to do: `button` first, `others` in a line below it."""
        self._icon_name = icon_name
        self._sentence.setText(sentence)
        self._sentence.setMaximumWidth(balanced_width(self._sentence))
        self._action = button
        self._button.setVisible(button is not None)
        if button is not None:
            self._button.setText(button[0].replace("&", "&&"))
        self._offer(tuple(others))
        self._redraw()

    def _offer(self, others: tuple[Action, ...]) -> None:
        """Show further buttons; those that stay are not made anew."""
        if [title for title, _ in others] != [title for title, _ in self._offered]:
            for old in self._further:
                self._others_flow.removeWidget(old)
                old.deleteLater()
            self._further = []
            for number, (title, _) in enumerate(others):
                button = QPushButton(title.replace("&", "&&"))
                button.setProperty("kind", "ghost")
                button.clicked.connect(lambda _=False, number=number: self._offered[number][1]())
                self._others_flow.addWidget(button)
                self._further.append(button)
            self._others.setVisible(bool(others))
        self._offered = others

    def buttons(self) -> list[QPushButton]:
        """What can be pressed, in order."""
        first = [self._button] if self._action is not None else []
        return [*first, *self._further]

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where there is little room, words and buttons come before the picture."""
        super().resizeEvent(event)
        self._picture.setVisible(self.height() >= (_LEAST_WITH_PICTURE if self._offered else 0))

    def set_kind(self, token: str) -> None:
        """The colour of the icon: ``muted`` or ``bad``."""
        self._token = token
        self._redraw()

    def sentence(self) -> str:
        """What is shown."""
        return self._sentence.text()

    def _redraw(self) -> None:
        token = "faint" if self._token == "muted" else self._token
        size = QSize(_ICON_SIZE, _ICON_SIZE)
        self._picture.setPixmap(icon(self._icon_name, token).pixmap(size, self.devicePixelRatioF()))

    def _act(self) -> None:
        if self._action is not None:
            self._action[1]()


def balanced_width(label: QLabel) -> int:
    """The least width in which a sentence takes no more lines than it must: none has a last word alone."""
    metrics = label.fontMetrics()

    def height(width: int) -> int:
        return metrics.boundingRect(0, 0, width, 10_000, Qt.TextFlag.TextWordWrap, label.text()).height()

    low, high = _NARROWEST, _WIDEST
    needed = height(high)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if height(middle) <= needed else (middle + 1, high)
    return min(_WIDEST, high + theme.SPACE_2)


class SkeletonRows(QWidget):
    """Grey bars where rows will be; they stand still, for nothing that waits should move."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(tr("Loading"))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Rows fade out downwards."""
        look = theme.manager().current
        height = theme.manager().density.row
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        shares = (0.22, 0.14, 0.3, 0.1, 0.16)
        for row in range(min(12, self.height() // height)):
            colour = QColor(look.line)
            colour.setAlphaF(max(0.0, 0.9 - row * 0.075))
            painter.setBrush(colour)
            left = float(theme.SPACE_2)
            y = row * height + height + (height - 10) / 2
            for column, share in enumerate(shares):
                room = self.width() * share
                width = room * (0.5 + 0.35 * ((row * 7 + column * 5) % 4) / 3)
                painter.drawRoundedRect(QRectF(left, y, width, 10), 3, 3)
                left += room + theme.SPACE_4
