"""One client in full: what it is, its rates while it is looked at, its subscriptions, what happened to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QTabBar, QVBoxLayout, QWidget

from memphis_desktop.cluster.clients import closing
from memphis_desktop.cluster.clients.model import (
    ClientDetail,
    ClientEvent,
    ClientKey,
    ClientRecord,
    EventKind,
)
from memphis_desktop.cluster.clients.reader import ClientsReader
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.empty_state import EmptyState
from memphis_desktop.ui.components.graph import Series, TimeSeriesGraph
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.segments import Segments
from memphis_desktop.ui.components.time_range import TimeRange
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.clients.parts import event_columns, kind_word, library, tls_text
from memphis_desktop.ui.screens.station_facts import Facts
from memphis_desktop.ui.screens.station_parts import panel
from memphis_desktop.ui.theme.icons import beside_text, icon

EVENTS_SHOWN = 200
LOOKED_AT = 60.0  # seconds that the graph shows at first: it begins when the client is chosen
UNITS = (("messages", tr("Messages")), ("bytes", tr("Bytes")))


class ClientPane(QWidget):
    """Follows the client that was chosen; `close` and `move` do what its buttons say."""

    def __init__(
        self,
        context: ScreenContext,
        close: Callable[[], object],
        move: Callable[[], object],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._context = context
        self.record: ClientRecord | None = None
        self.title = PlainLabel("", "section", elide=Qt.TextElideMode.ElideMiddle)
        self.gone = Banner("information")
        self.gone.hide()
        self.facts = Facts(2)
        self.facts.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.close_button = QPushButton(tr("Close connection"))
        beside_text(self.close_button, icon("link-break", "bad"))
        self.close_button.clicked.connect(lambda: close())
        self.move_button = QPushButton(tr("Move"))
        beside_text(self.move_button, icon("arrows-left-right"))
        self.move_button.clicked.connect(lambda: move())
        self.time_range = TimeRange(LOOKED_AT, self)
        self.unit = Segments(UNITS)
        self.unit.set_choice("messages")
        self.unit.chosen.connect(lambda _: self._draw())
        self.messages = TimeSeriesGraph(tr("Rates"), "messages/s", self.time_range, zone=context.zone)
        self.bytes = TimeSeriesGraph(tr("Rates"), "bytes/s", self.time_range, zone=context.zone)
        self.bytes.hide()
        for graph in (self.messages, self.bytes):
            graph.setMinimumHeight(176)
        self.subscriptions = DataTable(
            [
                Column("subject", tr("Subject"), lambda s: s.subject, "mono", 140, stretch=True),
                Column("queue", tr("Queue group"), lambda s: s.queue, "mono", 96),
                Column("messages", tr("Sent"), lambda s: s.messages, "number", 70, tr("Messages sent to it")),
                Column("sid", tr("sid"), lambda s: s.sid, "mono", 48, tr("The client's own number for it")),
                Column("maximum", tr("Ends after"), lambda s: s.maximum or None, "number", 84, "", False),
            ],
            lambda s: (s.sid, s.subject),
            "client_subscriptions",
        )
        self.events = DataTable(
            [one for one in event_columns() if one.key in ("time", "what", "reason", "address")],
            lambda e: e.number,
            "client_events",
        )
        self.lists = QTabBar()
        self.lists.setExpanding(False)
        self.lists.setDrawBase(False)
        self.lists.setAccessibleName(tr("Subscriptions or events"))
        self.lists.addTab(tr("Subscriptions"))
        self.lists.addTab(tr("Events"))
        self.lists.currentChanged.connect(self._choose_list)
        self.nothing = EmptyState("desktop", tr("Choose a client to see its subscriptions and its rates."))
        self._arrange()
        self._choose_list(0)
        self.show_client(None, None)

    def _arrange(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(theme.SPACE_2)
        buttons.addWidget(self.close_button)
        buttons.addWidget(self.move_button)
        buttons.addStretch()
        buttons.addWidget(self.unit)
        inner = QVBoxLayout()
        inner.setContentsMargins(theme.SPACE_4, theme.SPACE_3, theme.SPACE_4, theme.SPACE_2)
        inner.setSpacing(theme.SPACE_3)
        for widget in (self.title, self.gone, self.facts):
            inner.addWidget(widget)
        inner.addLayout(buttons)
        self.body = QWidget()
        column = QVBoxLayout(self.body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(inner)
        column.addWidget(self.messages, 2)
        column.addWidget(self.bytes, 2)
        column.addWidget(self.lists)
        column.addWidget(self.subscriptions, 3)
        column.addWidget(self.events, 3)
        self.subscriptions.setMinimumHeight(90)
        self.events.setMinimumHeight(90)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(panel(self.body, self.nothing))

    def set_zone(self, zone: tzinfo) -> None:
        """Tell times in another zone."""
        self.messages.set_zone(zone)
        self.bytes.set_zone(zone)
        self.events.set_zone(zone)

    def _choose_list(self, index: int) -> None:
        self.subscriptions.setVisible(index == 0)
        self.events.setVisible(index == 1)

    # News

    def show_client(self, record: ClientRecord | None, reader: ClientsReader | None) -> None:
        """Show a client as it is known now."""
        other = (record.key if record else None) != (self.record.key if self.record else None)
        self.record = record
        self.body.setVisible(record is not None)
        self.nothing.setVisible(record is None)
        if record is None or reader is None:
            return
        detail = reader.detail if reader.detail is not None and reader.detail.key == record.key else None
        if other:
            self.subscriptions.set_rows(())
            self.subscriptions.set_state("loading")
        self.title.setText(record.title)
        self.facts.set_facts(client_facts(record))
        self._show_gone(record, detail)
        self._show_subscriptions(record, detail)
        self._show_events(record.key, reader)
        self._draw(reader)
        session = self._context.session
        for button, why in (
            (self.close_button, closing.refusal(session, record)),
            (self.move_button, closing.move_refusal(session, record)),
        ):
            button.setEnabled(not why)
            button.setToolTip(why)

    def _show_gone(self, record: ClientRecord, detail: ClientDetail | None) -> None:
        if record.stopped_ns is not None:
            reason = record.reason or tr("no reason told")
            self.gone.set_content("information", tr("It is not connected any more: {reason}.", reason=reason))
        elif detail is not None and detail.record is None:
            self.gone.set_content("information", tr("It is not connected any more."))
        self.gone.setVisible(record.stopped_ns is not None or (detail is not None and detail.record is None))

    def _show_subscriptions(self, record: ClientRecord, detail: ClientDetail | None) -> None:
        if record.stopped_ns is not None or (detail is not None and detail.record is None):
            self.subscriptions.set_rows(())
            self.subscriptions.set_state("empty", tr("A closed connection has none."), icon="ear")
        elif detail is not None:
            self.subscriptions.set_rows(detail.subscriptions)
            if detail.subscriptions:
                self.subscriptions.set_state("ready")
            else:
                self.subscriptions.set_state("empty", tr("It is subscribed to nothing."), icon="ear")

    def _show_events(self, key: ClientKey, reader: ClientsReader) -> None:
        found = [event for event in reader.table.events if self._concerns(event, key)]
        self.events.set_rows(reversed(found[-EVENTS_SHOWN:]))
        if found:
            self.events.set_state("ready")
        elif reader.sees_all:
            self.events.set_state(
                "empty", tr("Nothing happened to it while this screen was looked at."), icon="clock"
            )
        else:
            self.events.set_state("empty", tr("Events are told to the system account only."), icon="lock-key")

    def _concerns(self, event: ClientEvent, key: ClientKey) -> bool:
        """Whether an event is about this connection, or an earlier one of who calls itself the same."""
        record = self.record
        if record is None or event.record.key == key:
            return record is not None
        if event.kind is EventKind.REFUSED and not event.record.name:
            return False
        same = (event.record.name, event.record.user, event.record.account)
        return bool(record.name) and same == (record.name, record.user, record.account)

    def _draw(self, reader: ClientsReader | None = None) -> None:
        in_bytes = self.unit.choice() == "bytes"
        self.bytes.setVisible(in_bytes)
        self.messages.setVisible(not in_bytes)
        samples = (reader or self._context.session.clients).samples
        times = np.array([one.time for one in samples])
        graph, first = (self.bytes, 2) if in_bytes else (self.messages, 0)
        series = []
        for name, position in ((tr("In"), first), (tr("Out"), first + 1)):
            rates = [one.record.rates[position] for one in samples]
            values = np.array([np.nan if rate is None else rate for rate in rates])
            series.append(Series(name, times, values))
        graph.set_series(series)


def client_facts(record: ClientRecord) -> list[tuple[str, str]]:
    """What a client is, as (name, value)."""
    rtt, idle = figures.duration(record.rtt_seconds), figures.duration(record.idle_seconds)
    found = [
        (tr("User"), record.user or figures.UNKNOWN),
        (tr("Account"), record.account or figures.UNKNOWN),
        (tr("Address"), record.address or figures.UNKNOWN),
        (tr("Server"), tr("{server}, number {cid}", server=record.server, cid=record.key.cid)),
        (tr("Library"), library(record) or figures.UNKNOWN),
        (tr("Kind"), kind_word(record.kind)),
        (tr("TLS"), " ".join(filter(None, (tls_text(record), record.tls_cipher))) or tr("none")),
        (tr("RTT"), rtt),
        (tr("Up"), figures.duration(record.uptime_seconds)),
        (tr("Idle"), idle),
        (tr("Pending"), figures.bytes_size(record.pending_bytes)),
        (tr("Stalls"), figures.integer(record.stalls)),
        (tr("Sent"), _carried(record.in_messages, record.in_bytes)),
        (tr("Received"), _carried(record.out_messages, record.out_bytes)),
    ]
    if record.tags:
        found.append((tr("Tags"), ", ".join(record.tags)))
    if record.mqtt_client:
        found.append((tr("MQTT client"), record.mqtt_client))
    return found


def _carried(messages: int, size: int) -> str:
    return f"{figures.compact(messages)}, {figures.bytes_size(size)}"
