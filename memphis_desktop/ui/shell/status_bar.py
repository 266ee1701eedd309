"""The status bar: the health of the connection in one quiet line."""

from __future__ import annotations

import time
from datetime import tzinfo

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QWidget

from memphis_desktop.cluster.model import ClusterSnapshot, ConnectionState
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components import tab_order
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.table_delegate import paint_status_mark
from memphis_desktop.ui.theme.icons import beside_text, icon

HEIGHT = 26

STATE_WORDS = {
    ConnectionState.CONNECTING: ("information", tr("Connecting")),
    ConnectionState.CONNECTED: ("good", tr("Connected")),
    ConnectionState.RECONNECTING: ("warning", tr("Reconnecting")),
    ConnectionState.FAILED: ("bad", tr("Failed")),
    ConnectionState.CLOSED: ("muted", tr("Not connected")),
}
_MANY_ERRORS = 5.0  # a second; fewer are the looking up of keys that are not there


class StatusMark(QWidget):
    """The small mark of a state: its shape says it, and its colour."""

    def __init__(self, token: str = "muted", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._token = token
        self.setFixedSize(9, 9)

    def set_token(self, token: str) -> None:
        """Show another state."""
        if token != self._token:
            self._token = token
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it."""
        paint_status_mark(QPainter(self), QRect(0, 0, 9, 9), self._token, theme.manager().current)


class StatusBar(QFrame):
    """What is connected, how fast it answers, what flows, what fails, how much we ask."""

    zone_menu_requested = Signal()
    alerts_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("statusBar")
        self.setFixedHeight(HEIGHT)
        self._crowded = False
        self._shown: tuple[str, ClusterSnapshot] | None = None
        self._mark = StatusMark()
        self._state = PlainLabel(tr("Not connected"), "caption")
        self._server = self._field(tr("The server and its version"))
        self._rtt = self._field(tr("Round trip to the server"))
        self._in = self._field(tr("Messages published a second, and bytes"))
        self._out = self._field(tr("Messages delivered a second, and bytes"))
        self._errors = self._field(
            tr(
                "JetStream API requests that were refused, of all clients;"
                " asking for a key or message that is "
                "not there counts too"
            )
        )
        self._poll = self._field(tr("Requests a second that this program makes to stay up to date"))
        self._alerts = QPushButton()
        self._alerts.setProperty("kind", "ghost")
        beside_text(self._alerts, icon("bell-ringing", "warning"), 14)
        self._alerts.setToolTip(tr("Alerts that hold now and were not seen yet"))
        self._alerts.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._alerts.clicked.connect(self.alerts_clicked)
        self._alerts.hide()
        self._zone = QPushButton("UTC")
        self._zone.setProperty("kind", "ghost")
        self._zone.setToolTip(tr("Time zone of all times shown"))
        self._zone.setAccessibleName(tr("Time zone"))
        self._zone.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._zone.clicked.connect(self.zone_menu_requested)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_3, 0, theme.SPACE_1, 0)
        layout.setSpacing(theme.SPACE_4)
        first = QHBoxLayout()
        first.setSpacing(6)
        first.addWidget(self._mark)
        first.addWidget(self._state)
        layout.addLayout(first)
        for label in (self._server, self._rtt, self._in, self._out):
            layout.addWidget(label)
        layout.addStretch()
        layout.addWidget(self._alerts)
        for label in (self._errors, self._poll):
            layout.addWidget(label)
        layout.addWidget(self._zone)

    def set_crowded(self, crowded: bool) -> None:
        """There is little room: only who is connected, and what is wrong."""
        if crowded != self._crowded:
            self._crowded = crowded
            if self._shown is not None:
                self.show_snapshot(*self._shown)

    def come_last(self) -> None:
        """Be the last that Tab comes to: screens are made later, and would stand behind."""
        tab_order.put_last(self.window(), self._alerts, self._zone)

    def zone_button(self) -> QPushButton:
        """Where the menu of zones opens."""
        return self._zone

    def set_zone(self, zone: tzinfo, choice: str) -> None:
        """Name the zone."""
        name = figures.zone_name(zone, time.time_ns())
        self._zone.setText(name if choice in ("local", "utc") else f"{choice}")
        self._zone.setAccessibleDescription(name)

    def set_alerts(self, count: int) -> None:
        """How many alerts fire."""
        self._alerts.setText(
            tr_count("{count} alert", "{count} alerts", count, count=figures.integer(count)) if count else ""
        )
        self._alerts.setVisible(bool(count))

    def show_nothing(self) -> None:
        """No connection in this tab."""
        self._shown = None
        self._mark.set_token("muted")
        self._state.setText(tr("No connection"))
        for label in (self._server, self._rtt, self._in, self._out, self._errors, self._poll):
            label.hide()
        layout = self.layout()
        if layout is not None:
            layout.activate()  # at once: the next paint may come before the layout's own turn

    def show_snapshot(self, name: str, snapshot: ClusterSnapshot) -> None:
        """The figures of a connection."""
        self._shown = (name, snapshot)
        token, word = STATE_WORDS[snapshot.state]
        self._mark.set_token(token)
        self._state.setText(name if snapshot.state is ConnectionState.CONNECTED else f"{name} · {word}")
        self._state.setToolTip(snapshot.detail or word)
        self._state.setAccessibleName(f"{name}: {word}")
        server = snapshot.server
        live = snapshot.state is ConnectionState.CONNECTED and server is not None
        for label in (self._server, self._rtt, self._in, self._out, self._poll):
            label.setVisible(live and not self._crowded)
        if server is not None and live:
            self._server.setText(server.version)
            self._server.setToolTip(
                tr(
                    "Server {name}, version {version}, at {url}",
                    name=server.name,
                    version=server.version,
                    url=server.url,
                )
            )
            self._rtt.setText(tr("rtt {time}", time=figures.duration(server.rtt_seconds)))
            self._show_flow(self._in, server.in_messages_rate, server.in_bytes_rate)
            self._show_flow(self._out, server.out_messages_rate, server.out_bytes_rate)
            self._poll.setText(tr("poll {rate}/s", rate=f"{snapshot.poll_rate:.0f}"))
        account = snapshot.account
        errors = account.api_errors_rate if account is not None and live else None
        self._errors.setVisible(errors is not None)
        if errors is not None:
            self._errors.setText(tr("API errors {rate}", rate=figures.rate(errors)))
            self._errors.setRole("warning" if errors >= _MANY_ERRORS else "caption")

    def _show_flow(self, label: PlainLabel, messages: float | None, size: float | None) -> None:
        label.setVisible(
            messages is not None and not self._crowded
        )  # an account without statistics shows nothing, not a dash
        if messages is None:
            return
        rate, of_bytes = figures.rate(messages), figures.bytes_rate(size)
        if label is self._in:
            label.setText(tr("in {rate}", rate=rate))
            label.setToolTip(tr("{rate} messages, {bytes} to the server", rate=rate, bytes=of_bytes))
        else:
            label.setText(tr("out {rate}", rate=rate))
            label.setToolTip(tr("{rate} messages, {bytes} to clients", rate=rate, bytes=of_bytes))

    def sizeHint(self) -> QSize:
        """One line."""
        return QSize(400, HEIGHT)

    def _field(self, tooltip: str) -> PlainLabel:
        label = PlainLabel("", "caption")
        label.setToolTip(tooltip)
        label.hide()
        return label
