"""The cluster in one line: a cell a server, a crown on the meta leader, and what is wrong."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFontMetrics,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.cluster.raft.groups import leaders_of, meta_group
from memphis_desktop.cluster.raft.model import ServerState
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.table_delegate import paint_status_mark
from memphis_desktop.ui.screens.cluster.parts import CROWN, presence_mark
from memphis_desktop.ui.theme import fonts
from memphis_desktop.ui.theme.icons import paint_icon

HEIGHT = 40
GAP = theme.SPACE_3
NARROW = 150  # a cell below this width shows its name only
MOST_CELLS = 12


class ClusterStrip(QWidget):
    """Cells side by side; Left and Right walk through them, Enter or a click opens the server."""

    server_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._servers: list[ServerState] = []
        self._leader = ""
        self._held: dict[str, tuple[int, int, int]] = {}
        self._current = 0
        self.setFixedHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setMouseTracking(True)
        self.setAccessibleName(tr("Servers of the cluster"))
        theme.manager().changed.connect(self.update)
        self.hide()

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """Show the servers; nothing for a single one."""
        raft = snapshot.raft
        servers = list(raft.servers.values())[:MOST_CELLS]
        meta = meta_group(raft)
        leader = meta.leader if meta is not None else ""
        held = leaders_of(snapshot)
        changed = (servers, leader, held) != (self._servers, self._leader, self._held)
        self._servers, self._leader, self._held = servers, leader, held
        self.setVisible(len(raft.servers) > 1)
        if changed:
            self.setAccessibleDescription(self.summary())
            self.update()

    def summary(self) -> str:
        """What is shown, in words."""
        parts = []
        for server in self._servers:
            words = [presence_mark(server)[1]]
            if server.name == self._leader:
                words.append(tr("leads the cluster"))
            parts.append(f"{server.name}: {', '.join(words)}")
        return "; ".join(parts)

    def sizeHint(self) -> QSize:
        """As wide as there is room."""
        return QSize(400, HEIGHT)

    def cell(self, index: int) -> QRect:
        """Where a server's cell is."""
        count = max(1, len(self._servers))
        width = (self.width() - GAP * (count - 1)) // count
        return QRect(index * (width + GAP), 0, width, HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The cells."""
        look = theme.manager().current
        painter = QPainter(self)
        for index, server in enumerate(self._servers):
            self._paint_cell(painter, self.cell(index), server, look, index == self._current)

    def _paint_cell(
        self, painter: QPainter, rect: QRect, server: ServerState, look: theme.Theme, current: bool
    ) -> None:
        token, word = presence_mark(server)
        focused = current and self.hasFocus()
        edge = look.accent if focused else look.line if token == "good" else look.colour(token)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(edge), look.focus_width if focused else look.line_width))
        painter.setBrush(QColor(look.surface))
        painter.drawRoundedRect(rect.adjusted(1, 1, -1, -1), theme.RADIUS_CARD, theme.RADIUS_CARD)
        painter.restore()
        left = rect.left() + theme.SPACE_4
        middle = rect.center().y()
        paint_status_mark(painter, QRect(left, middle - 4, 9, 9), token, look)
        left += 18
        if server.name == self._leader:
            paint_icon(painter, QRect(left, middle - 8, 16, 16), CROWN, look.accent)
            left += 22
        bold = fonts.interface(theme.SIZE_BODY, fonts.MEDIUM)
        metrics = QFontMetrics(bold)
        room = rect.right() - left - theme.SPACE_3
        painter.setFont(bold)
        painter.setPen(QColor(look.text))
        name = metrics.elidedText(server.name, Qt.TextElideMode.ElideMiddle, room)
        painter.drawText(QRect(left, rect.top(), room, HEIGHT), _SIDE, name)
        left += metrics.horizontalAdvance(name) + theme.SPACE_3
        room = rect.right() - left - theme.SPACE_4
        if rect.width() < NARROW or room < 40:
            return
        caption = fonts.interface(theme.SIZE_CAPTION)
        painter.setFont(caption)
        painter.setPen(QColor(look.muted if token == "good" else look.colour(token)))
        text = self._figures(server) if token == "good" else word
        painter.drawText(
            QRect(left, rect.top(), room, HEIGHT),
            int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter),
            QFontMetrics(caption).elidedText(text, Qt.TextElideMode.ElideRight, room),
        )

    def _figures(self, server: ServerState) -> str:
        meta, streams, consumers = self._held.get(server.name, (0, 0, 0))
        parts = []
        if server.cpu_percent is not None:
            parts.append(f"{server.cpu_percent:.0f} %")
        if server.memory is not None:
            parts.append(figures.bytes_size(server.memory))
        parts.append(tr("leads {count}", count=figures.integer(meta + streams + consumers)))
        return "  ".join(parts)

    # Pointer and keys

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Open the server under the pointer."""
        for index, server in enumerate(self._servers):
            if self.cell(index).contains(event.position().toPoint()):
                self._current = index
                self.server_chosen.emit(server.name)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left and Right walk, Enter opens."""
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if step is not None and self._servers:
            self._current = (self._current + step) % len(self._servers)
            self.update()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._servers:
            self.server_chosen.emit(self._servers[min(self._current, len(self._servers) - 1)].name)
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show where the cursor is."""
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """No more."""
        super().focusOutEvent(event)
        self.update()


_SIDE = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
