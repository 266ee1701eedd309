"""The links between servers as a picture: who is linked with whom, how far away, and what it carries."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from memphis_desktop.cluster.raft.model import Link, ServerState
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.screens.cluster.parts import CROWN, link_word, presence_mark
from memphis_desktop.ui.theme import fonts
from memphis_desktop.ui.theme.icons import paint_icon

MOST_ENDS = 24  # more than that are told apart in the table only
NODE_HEIGHT = 32
WIDEST = 4.0  # pixels of the line that carries most
_DASHES = {"gateway": Qt.PenStyle.DashLine, "leaf node": Qt.PenStyle.DotLine}


@dataclass(frozen=True, slots=True)
class Edge:
    """All links of a kind between two ends, as one of them sees them.

    Attributes:
        ends: The two, by name.
        kind: route, gateway or leaf node.
        count: How many links that is.
        rtt_seconds: Of the quickest.
        bytes_rate: Both ways together; None while it is not known.
    """

    ends: tuple[str, str]
    kind: str
    count: int
    rtt_seconds: float | None
    bytes_rate: float | None

    @property
    def label(self) -> str:
        """What is written beside it."""
        parts = []
        if self.rtt_seconds is not None:
            parts.append(figures.duration(self.rtt_seconds))
        if self.bytes_rate is not None:
            parts.append(figures.bytes_rate(self.bytes_rate))
        return "  ".join(parts)


def edges(links: Iterable[Link]) -> list[Edge]:
    """Put links together by their ends; of two servers that both tell of a link one is believed."""
    found: dict[tuple[str, str, str], dict[str, list[Link]]] = {}
    for link in links:
        low, high = sorted((link.server, link.remote))
        if low and low != high:
            found.setdefault((low, high, link.kind), {}).setdefault(link.server, []).append(link)
    made = []
    for (low, high, kind), told in sorted(found.items()):
        seen = told[min(told)]
        trips = [link.rtt_seconds for link in seen if link.rtt_seconds is not None]
        rates = [r for link in seen for r in (link.in_bytes_rate, link.out_bytes_rate) if r is not None]
        made.append(
            Edge((low, high), kind, len(seen), min(trips, default=None), sum(rates) if rates else None)
        )
    return made


class LinkMap(QWidget):
    """Servers on a circle; a line is the wider the more it carries."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._edges: list[Edge] = []
        self._servers: Mapping[str, ServerState] = {}
        self._leader = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(320, 260)
        self.setAccessibleName(tr("Map of the links"))
        theme.manager().changed.connect(self.update)

    def sizeHint(self) -> QSize:
        """As large as there is room."""
        return QSize(640, 400)

    def show_links(self, links: Iterable[Link], servers: Mapping[str, ServerState], leader: str) -> None:
        """Show these; `leader` is the meta group's."""
        made = edges(links)
        if (made, servers, leader) != (self._edges, self._servers, self._leader):
            self._edges, self._servers, self._leader = made, servers, leader
            self.setAccessibleDescription(self.summary())
            self.update()

    def edges(self) -> list[Edge]:
        """What is drawn."""
        return list(self._edges)

    def summary(self) -> str:
        """What is shown, in words."""
        return "; ".join(
            f"{link_word(edge.kind)} {' – '.join(edge.ends)}: {edge.label}" for edge in self._edges
        )

    def ends(self) -> list[str]:
        """What stands on the circle: servers first, then what is linked from outside."""
        outside = {end for edge in self._edges for end in edge.ends} - self._servers.keys()
        return [*sorted(self._servers), *sorted(outside)][:MOST_ENDS]

    def _places(self) -> dict[str, QPointF]:
        ends = self.ends()
        middle = QPointF(self.width() / 2, self.height() / 2)
        wide, high = max(40.0, self.width() / 2 - 110), max(40.0, self.height() / 2 - 48)
        if len(ends) < 2:
            return dict.fromkeys(ends, middle)
        places = {}
        for number, end in enumerate(ends):
            angle = 2 * math.pi * number / len(ends) - math.pi / 2
            places[end] = middle + QPointF(wide * math.cos(angle), high * math.sin(angle))
        return places

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Lines below, then what is written beside them, then the ends."""
        look = theme.manager().current
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        places = self._places()
        drawn = [edge for edge in self._edges if all(end in places for end in edge.ends)]
        most = max((edge.bytes_rate or 0.0 for edge in drawn), default=0.0)
        for edge in drawn:
            share = math.sqrt((edge.bytes_rate or 0.0) / most) if most else 0.0
            line = look.accent if edge.bytes_rate else look.line
            pen = QPen(QColor(line), max(look.line_width, WIDEST * share))
            pen.setStyle(_DASHES.get(edge.kind, Qt.PenStyle.SolidLine))
            painter.setPen(pen)
            painter.drawLine(*(places[end] for end in edge.ends))
        for edge in drawn:
            first, second = (places[end] for end in edge.ends)
            self._paint_label(painter, (first + second) / 2, edge.label, look)
        for end, place in places.items():
            self._paint_end(painter, place, end, look)

    def _paint_label(self, painter: QPainter, place: QPointF, text: str, look: theme.Theme) -> None:
        font = fonts.interface(theme.SIZE_CAPTION)
        metrics = QFontMetrics(font)
        size = QSize(metrics.horizontalAdvance(text) + 2 * theme.SPACE_2, metrics.height() + theme.SPACE_1)
        rect = QRectF(place.x() - size.width() / 2, place.y() - size.height() / 2, *size.toTuple())
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(look.surface))
        painter.drawRoundedRect(rect, theme.RADIUS_CONTROL, theme.RADIUS_CONTROL)
        painter.setFont(font)
        painter.setPen(QColor(look.text))
        painter.drawText(rect, int(Qt.AlignmentFlag.AlignCenter), text)

    def _paint_end(self, painter: QPainter, place: QPointF, name: str, look: theme.Theme) -> None:
        server = self._servers.get(name)
        token, word = presence_mark(server) if server is not None else ("muted", tr("outside"))
        font = fonts.interface(theme.SIZE_BODY, fonts.MEDIUM)
        metrics = QFontMetrics(font)
        shown = name if token in ("good", "muted") else f"{name}, {word}"
        text = metrics.elidedText(shown, Qt.TextElideMode.ElideMiddle, 170)
        crowned = name == self._leader
        width = metrics.horizontalAdvance(text) + 2 * theme.SPACE_3 + (22 if crowned else 0)
        rect = QRectF(place.x() - width / 2, place.y() - NODE_HEIGHT / 2, width, NODE_HEIGHT)
        painter.setPen(QPen(QColor(look.line if token == "good" else look.colour(token)), look.line_width))
        painter.setBrush(QColor(look.raised))
        painter.drawRoundedRect(rect, theme.RADIUS_CARD, theme.RADIUS_CARD)
        if crowned:
            at = rect.toRect()
            paint_icon(
                painter,
                at.adjusted(theme.SPACE_3, 8, theme.SPACE_3 + 16 - at.width(), -8),
                CROWN,
                look.accent,
            )
            rect.adjust(22, 0, 0, 0)
        painter.setFont(font)
        painter.setPen(QColor(look.text if server is not None else look.muted))
        painter.drawText(rect, int(Qt.AlignmentFlag.AlignCenter), text)
