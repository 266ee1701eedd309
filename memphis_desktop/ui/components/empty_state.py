"""What stands where data would be: nothing there yet, an error, or still loading."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from memphis_desktop.ui import theme
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Action
from memphis_desktop.ui.theme.icons import icon

_ICON_SIZE = 40


class EmptyState(QWidget):
    """An icon, one sentence, one button."""

    def __init__(
        self, icon_name: str, sentence: str, button: Action | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._icon_name = icon_name
        self._token = "muted"
        self._action: Action | None = None
        self._picture = QLabel()
        self._picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._sentence = PlainLabel(role="muted", wrap=True)
        self._sentence.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._sentence.setMaximumWidth(440)
        self._sentence.setMinimumWidth(260)
        self._button = QPushButton()
        self._button.clicked.connect(self._act)
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
        layout.addStretch(3)
        self.set_content(icon_name, sentence, button)
        theme.manager().changed.connect(self._redraw)

    def set_content(self, icon_name: str, sentence: str, button: Action | None = None) -> None:
        """Other words."""
        self._icon_name = icon_name
        self._sentence.setText(sentence)
        self._action = button
        self._button.setVisible(button is not None)
        if button is not None:
            self._button.setText(button[0].replace("&", "&&"))
        self._redraw()

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


class SkeletonRows(QWidget):
    """Grey bars where rows will be; they stand still, for nothing that waits should move."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Loading")

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
