"""One consumer group: how far behind, why, what it does, and how it is set up."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QGridLayout, QTabBar, QVBoxLayout, QWidget
from shiboken6 import isValid

from memphis_desktop.cluster.clients.model import ClientRecord
from memphis_desktop.cluster.consumer_clients import clients_of
from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.health import why_behind
from memphis_desktop.cluster.history import ConsumerKey, StreamKey
from memphis_desktop.cluster.model import ClusterSnapshot, ConsumerSnapshot
from memphis_desktop.cluster.raft.groups import write_refusal
from memphis_desktop.cluster.times import parse_time
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.beside import Beside
from memphis_desktop.ui.components.current_page import PageStack
from memphis_desktop.ui.components.graph import Series, TimeSeriesGraph
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.components.sign_grid import SignGrid
from memphis_desktop.ui.components.time_range import TimeRange, TimeRangeBar
from memphis_desktop.ui.components.vital_sign import VitalSign
from memphis_desktop.ui.screen import SERVER, Command, Route, Screen, ScreenContext
from memphis_desktop.ui.screens.consumers.actions import GroupActions
from memphis_desktop.ui.screens.consumers.deleted import DeletedGroups
from memphis_desktop.ui.screens.consumers.fields import CONSUMER_FIELDS
from memphis_desktop.ui.screens.consumers.pending_view import PendingView
from memphis_desktop.ui.screens.consumers.table import row_commands
from memphis_desktop.ui.screens.field_values import ServerAge
from memphis_desktop.ui.screens.station_code import StationCode
from memphis_desktop.ui.screens.station_configuration import ConfigurationView
from memphis_desktop.ui.screens.station_facts import Facts
from memphis_desktop.ui.screens.station_parts import (
    LONGEST,
    PAGE_MARGINS,
    SEVERITY_TOKEN,
    StateBanner,
    consumer_kind,
    consumer_sparkline,
    filter_text,
    history_line,
    panel,
    station_route,
    trend,
)
from memphis_desktop.ui.shell import first_steps
from memphis_desktop.ui.shell.staleness import shows

_CLIENTS_EVERY = 5.0  # seconds
_WATCHED_MS = 4000  # a graph that was looked at for so long was watched


class ConsumerScreen(Screen):
    """See the module."""

    title = tr("Consumer")
    route_name = "consumer"
    stale_with = frozenset({SERVER, "streams", "consumers"})

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._actions = GroupActions(context, self)
        self._stream = ""
        self._name = ""
        self._consumer: ConsumerSnapshot | None = None
        self._clients: tuple[ClientRecord, ...] | None = None  # of a push consumer, where servers tell
        self._clients_asked_at = float("-inf")
        self._release: Callable[[], None] | None = None
        self._active = False
        self.time_range = TimeRange(300.0, self)
        self.header = PageHeader("")
        self.header.navigated.connect(context.navigate)
        self.range_bar = TimeRangeBar(self.time_range, longest=LONGEST)
        self.header.add_widget(self.range_bar)
        self.reset_button = self.header.add_action(
            tr("Reset"), self._reset, icon_name="arrow-counter-clockwise", tooltip="R"
        )
        self.fetch_button = self.header.add_action(tr("Fetch"), self._fetch, icon_name="tray", tooltip="F")
        self.pause_button = self.header.add_action(tr("Pause"), self._pause, icon_name="pause")
        self.delete_button = self.header.add_icon_action("trash", tr("Delete this group"), self._delete)
        buttons = (self.reset_button, self.fetch_button, self.pause_button, self.delete_button)
        self._tooltips = {button: button.toolTip() for button in buttons}
        for button in buttons:
            button.setEnabled(not self._actions.refusal)
        self.banner = StateBanner()
        self.deleted = DeletedGroups(context, self)
        self.deleted.changed.connect(self._news_of_deletion)
        self.gone = Banner("bad", "")
        self.gone.hide()
        self.unwritable = Banner("bad", "")
        self.unwritable.hide()
        self.reason = Banner("warning", "")
        self.reason.hide()
        self.signs = {
            "seconds": VitalSign(tr("Behind"), beside=True),
            "lag": VitalSign(tr("Lag"), beside=True),
            "drain": VitalSign(tr("Done in"), beside=True),
            "delivered": VitalSign(tr("Delivered"), token="series1", beside=True),
            "acked": VitalSign(tr("Acked"), token="series2", beside=True),
            "pending": VitalSign(tr("Unacked"), token="series3", beside=True),
        }
        self._arrange()
        self._watched = QTimer(self)
        self._watched.setSingleShot(True)
        self._watched.setInterval(_WATCHED_MS)
        self._watched.timeout.connect(self._note_watched)
        self.time_range.changed.connect(self._draw)

    def _arrange(self) -> None:
        zone = self.context.zone
        self.lag_graph = TimeSeriesGraph(tr("Lag"), "messages", self.time_range, zone=zone)
        self.seconds_graph = TimeSeriesGraph(tr("Behind"), "seconds", self.time_range, zone=zone)
        self.rate_graph = TimeSeriesGraph(tr("Rates"), "messages/s", self.time_range, zone=zone)
        self.pending_graph = TimeSeriesGraph(tr("Unacked"), "messages", self.time_range, zone=zone)
        for sign in self.signs.values():
            shows(sign, "consumers")
        graphs = QGridLayout()
        graphs.setSpacing(theme.SPACE_4)
        for index, graph in enumerate(
            (self.lag_graph, self.rate_graph, self.seconds_graph, self.pending_graph)
        ):
            graphs.addWidget(graph, *divmod(index, 2))
            graphs.setColumnStretch(index % 2, 1)
            graph.setMinimumWidth(176)
            shows(graph, "consumers")
        self.facts = Facts(1)
        self.configuration = ConfigurationView(CONSUMER_FIELDS)
        self.code = StationCode(self.context)
        self.pending = PendingView(self.context)
        facts_page = QWidget()
        facts_layout = QVBoxLayout(facts_page)
        facts_layout.setContentsMargins(theme.SPACE_4, 0, theme.SPACE_4, theme.SPACE_3)
        facts_layout.addWidget(self.facts)
        facts_layout.addStretch()
        side = shows(panel(facts_page, title=tr("State")), "consumers")
        side.setMinimumWidth(232)
        side.setMaximumWidth(304)
        graph_page = QWidget()
        graph_page.setLayout(graphs)
        graphs.setContentsMargins(0, 0, 0, 0)
        self.stack = PageStack()
        self.tab_bar = QTabBar()
        self.tab_bar.setExpanding(False)
        self.tab_bar.setDrawBase(False)
        self.tab_bar.setAccessibleName(tr("Parts of the group"))
        for title, page in (
            (tr("Over time"), graph_page),
            (tr("Unacknowledged"), shows(self.pending, "consumers")),
            (tr("Configuration"), self.configuration),
            (tr("Code"), self.code),
        ):
            self.tab_bar.addTab(title)
            self.stack.addWidget(page)
        self.tab_bar.currentChanged.connect(self._tab_chosen)
        main = QWidget()
        left = QVBoxLayout(main)
        left.setContentsMargins(0, 0, 0, 0)
        left.setSpacing(theme.SPACE_3)
        left.addWidget(self.tab_bar)
        left.addWidget(self.stack, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*PAGE_MARGINS)
        layout.setSpacing(theme.SPACE_4)
        for widget in (self.header, self.banner, self.gone, self.unwritable, self.reason):
            layout.addWidget(widget)
        layout.addWidget(SignGrid(list(self.signs.values())))
        layout.addWidget(Beside((main, 100), (side, 41)), 1)

    # Where

    def show_route(self, route: Route) -> None:
        """Show the consumer the route names."""
        self._stop_watching()
        self._stream, self._name = route.get("stream"), route.get("consumer")
        self.code.set_group(self._name)
        self._consumer = None
        self._clients, self._clients_asked_at = None, float("-inf")
        self.header.set_breadcrumb(self.breadcrumb())
        self.title_changed.emit()
        self.gone.hide()
        self.reason.hide()
        if self._active:
            self._watch()
        snapshot = self.context.session.snapshot
        self.show_snapshot(snapshot)

    def breadcrumb(self) -> list[tuple[str, Route | None]]:
        """Stations › station › this."""
        return [
            (tr("Stations"), Route("stations")),
            (self._stream, station_route(self._stream, "groups")),
            (self._name, None),
        ]

    def activated(self) -> None:
        """Read this station's consumers in each round."""
        self._active = True
        self._watch()
        self._draw()
        self._watched.start()
        if self.stack.currentWidget() is self.pending:
            self.pending.activated()

    def _note_watched(self) -> None:
        if self.stack.currentIndex() == 0:
            first_steps.reach(first_steps.LAG)

    def deactivated(self) -> None:
        """No more."""
        self._active = False
        self._watched.stop()
        self.pending.deactivated()
        self._stop_watching()

    def _tab_chosen(self, index: int) -> None:
        self.stack.setCurrentIndex(index)
        self.range_bar.setVisible(index == 0)
        if self.stack.currentWidget() is self.code:
            self.show_snapshot(self.context.session.snapshot)
        if self.stack.currentWidget() is self.pending and self._active:
            self.pending.activated()
        else:
            self.pending.deactivated()
        if not self.tab_bar.hasFocus():
            self.part_changed.emit()

    def _watch(self) -> None:
        if self._release is None and self._stream:
            self._release = self.context.session.watch_detail(self._stream)

    def _stop_watching(self) -> None:
        if self._release is not None:
            self._release()
            self._release = None

    def station_here(self) -> str:
        """The group's station."""
        return self._stream

    # Snapshots

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """Show the round's figures."""
        self.banner.show_snapshot(snapshot)
        consumer = snapshot.consumers.get((self._stream, self._name))
        self.deleted.take(snapshot.consumers)
        if consumer is None:
            if self._consumer is not None or (snapshot.complete and self._stream not in snapshot.streams):
                self._show_gone()
            return
        self.gone.hide()
        changed_pause = self._consumer is None or self._consumer.paused != consumer.paused
        self._consumer = consumer
        if changed_pause:
            self.pause_button.setText(tr("Resume") if consumer.paused else tr("Pause"))
            self.commands_changed.emit()
        refusal = self._actions.refusal_of(consumer.stream)
        for button, tooltip in self._tooltips.items():
            pushed = button is self.fetch_button and not consumer.is_pull
            why = refusal or (tr("Messages are pushed to this group's clients.") if pushed else "")
            button.setEnabled(not why)
            button.setToolTip(why or tooltip)
        unwritable = write_refusal(snapshot, self._stream)
        if unwritable and (unwritable != self.unwritable.text() or self.unwritable.isHidden()):
            self.unwritable.set_content("bad", unwritable)
        self.unwritable.setVisible(bool(unwritable))
        self._show_reasons(consumer)
        self._show_signs(consumer)
        self._read_clients(consumer)
        self.facts.set_facts(self._facts(consumer))
        self.pending.show_consumer(consumer)
        self.configuration.show_configuration(consumer.config, ServerAge.of(snapshot))
        stream = snapshot.streams.get(self._stream)
        if stream is not None and self.stack.currentWidget() is self.code:
            self.code.show_station(stream.name, stream.config)
        self._draw()

    def _read_clients(self, consumer: ConsumerSnapshot) -> None:
        """Ask now and then who a push consumer's messages go to."""
        now = time.monotonic()
        if consumer.is_pull or not self._active or now - self._clients_asked_at < _CLIENTS_EVERY:
            return
        self._clients_asked_at = now
        self.context.run(self._take_clients(consumer), tr("read the group's clients"))

    async def _take_clients(self, consumer: ConsumerSnapshot) -> None:
        try:
            clients = await clients_of(self.context.session, consumer)
        except ClusterError:
            return  # the state of the connection tells
        if isValid(self) and (consumer.stream, consumer.name) == (self._stream, self._name):
            self._clients = clients
            if self._consumer is not None:
                self.facts.set_facts(self._facts(self._consumer))

    def _show_gone(self) -> None:
        """Say that it is no more, and when and by whom it was deleted where that is known."""
        text = self.deleted.sentence_of((self._stream, self._name)) or (
            tr(
                "The group {name} on {stream} does not exist any more.",
                name=self._name,
                stream=self._stream,
            )
        )
        action = (
            tr("Open the station"),
            lambda: self.context.navigate(station_route(self._stream, "groups")),
        )
        if self._consumer is not None and self._stream in self.context.session.snapshot.streams:
            action = (tr("Create it again"), self._create_again)
        if text != self.gone.text() or self.gone.isHidden():
            self.gone.set_content("bad", text, action)
            self.gone.show()
        for button in (self.reset_button, self.fetch_button, self.pause_button, self.delete_button):
            button.setEnabled(False)

    def _create_again(self) -> None:
        one = self._consumer
        if one is not None:
            making = self._actions.create_consumer(one.stream, one.config, name=one.name)
            self.context.run(making, tr("create the group"))

    def _show_reasons(self, consumer: ConsumerSnapshot) -> None:
        reasons = why_behind(consumer, self.context.session.history)
        if not reasons or not (consumer.num_pending or consumer.num_redelivered):
            self.reason.hide()
            return
        worst = max(reasons, key=lambda reason: reason.severity)
        text = "  ".join(f"{reason.text}. {reason.advice}" for reason in reasons)
        kind = SEVERITY_TOKEN[worst.severity]
        action = (
            (tr("Resume"), self._pause) if worst.check == "paused" and not self._actions.refusal else None
        )
        if self.reason.text() != text or self.reason.isHidden():
            self.reason.set_content(kind, text, action)
            self.reason.show()

    def _show_signs(self, consumer: ConsumerSnapshot) -> None:
        signs, history = self.signs, self.context.session.history
        caught_up = consumer.lag_seconds is not None and consumer.lag_seconds < figures.CAUGHT_UP_SECONDS
        signs["seconds"].set_value("0 s" if caught_up else figures.duration(consumer.lag_seconds))
        if consumer.lag_at_edge:
            signs["seconds"].set_change(tr("at the edge"), "bad")
        else:
            signs["seconds"].set_change(tr("caught up") if caught_up else "", "good")
        number, unit = figures.compact_parts(consumer.num_pending)
        signs["lag"].set_value(number, unit)
        signs["lag"].set_change(*trend(history, consumer.stream, consumer.name))
        signs["drain"].set_value(figures.duration(consumer.drain_seconds))
        for name, rate in (("delivered", consumer.delivered_rate), ("acked", consumer.acked_rate)):
            if rate is None:
                signs[name].set_value(figures.UNKNOWN)
            else:
                number, unit = figures.compact_parts(rate)
                signs[name].set_value(number, f"{unit}/s")
        number, unit = figures.compact_parts(consumer.num_ack_pending)
        signs["pending"].set_value(number, unit)
        limit = int(consumer.config.get("max_ack_pending") or -1)
        full = limit > 0 and consumer.num_ack_pending >= limit
        signs["pending"].set_change(
            tr("of {limit}", limit=figures.compact(limit)) if limit > 0 else "", "bad" if full else "muted"
        )
        for name, metric in (
            ("seconds", "lag_seconds"),
            ("lag", "lag"),
            ("delivered", "delivered_rate"),
            ("acked", "acked_rate"),
            ("pending", "ack_pending"),
        ):
            line = consumer_sparkline(history, consumer.stream, consumer.name, metric)
            signs[name].set_series(line.tolist())

    def _facts(self, consumer: ConsumerSnapshot) -> list[tuple[str, str]]:
        now = time.time_ns()
        facts = [
            (tr("Kind"), consumer_kind(consumer)),
            (tr("Subjects"), filter_text(consumer)),
            (tr("Delivered up to"), figures.integer(consumer.delivered_stream)),
            (tr("Ack floor"), figures.integer(consumer.ack_floor_stream)),
            (tr("Redelivered"), figures.integer(consumer.num_redelivered)),
            (tr("Waiting pulls"), figures.integer(consumer.num_waiting)),
            (tr("Last delivery"), _ago(consumer.last_delivered_ns, now)),
            (tr("Last ack"), _ago(consumer.last_acked_ns, now)),
            (tr("Ack policy"), str(consumer.config.get("ack_policy", ""))),
            (tr("Ack wait"), figures.duration(int(consumer.config.get("ack_wait") or 0) / 1e9)),
            (tr("Max deliveries"), _limit(consumer.config.get("max_deliver"))),
            (tr("Created"), figures.minute(parse_time(consumer.created), self.context.zone)),
        ]
        if consumer.paused:
            rest = consumer.pause_remaining_ns
            facts.insert(0, (tr("Paused for"), figures.duration(rest / 1e9) if rest else "–"))
        if not consumer.is_pull and self._clients is not None:
            names = ", ".join(figures.visible_text(client.title, 60) for client in self._clients)
            facts.append((tr("Pushed to"), names or tr("nobody")))
        for group, client in consumer.pinned.items():
            facts.append((tr("Pinned ({group})", group=group), client))
        if consumer.leader:
            facts.append((tr("Leader"), tr("none") if consumer.leader_lost else consumer.leader))
        return facts

    def _draw(self) -> None:
        if not self._stream or not self._active:
            return
        history, key = self.context.session.history, ConsumerKey(self._stream, self._name)
        time_range = self.time_range

        def line(metric: str, name: str, *, fill: bool = False, token: str = "") -> Series:
            return history_line(history, key, metric, name, time_range, fill=fill, token=token)

        self.lag_graph.set_series([line("lag", tr("Not delivered"))])
        self.seconds_graph.set_series([line("lag_seconds", tr("Behind"))])
        station = history_line(history, StreamKey(self._stream), "messages_in", tr("In"), time_range)
        self.rate_graph.set_series(
            [line("delivered_rate", tr("Out"), fill=True), line("acked_rate", tr("Acked")), station]
        )
        self.pending_graph.set_series(
            [line("ack_pending", tr("Unacked")), line("redelivered", tr("Redelivered"), token="bad")]
        )

    def _news_of_deletion(self) -> None:
        if self._consumer is not None and self.deleted.is_gone(self._consumer):
            self._show_gone()

    # Doing

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space pauses, where nothing that has the focus takes it."""
        if event.key() == Qt.Key.Key_Space and not self._actions.refusal_of(self._stream):
            self._pause()
        else:
            super().keyPressEvent(event)

    def _pause(self) -> None:
        if self._consumer is not None:
            self.context.run(self._actions.pause_consumer(self._consumer), tr("pause the group"))

    def _reset(self) -> None:
        stream = self.context.session.snapshot.streams.get(self._stream)
        if self._consumer is not None and stream is not None:
            self.context.run(self._actions.reset_consumer(stream, self._consumer), tr("reset the group"))

    def _fetch(self) -> None:
        if self._consumer is not None and self._consumer.is_pull:
            self.context.run(self._actions.fetch(self._consumer), tr("fetch messages"))

    def _delete(self) -> None:
        self.context.run(self._delete_and_leave(), tr("delete the group"))

    async def _delete_and_leave(self) -> None:
        if self._consumer is not None and await self._actions.delete_consumers([self._consumer]):
            self.context.navigate(station_route(self._stream, "groups"))

    def commands(self) -> list[Command]:
        """What can be done with this group."""
        consumers = [self._consumer] if self._consumer is not None else []
        own = row_commands(self.context, self._actions, consumers, within=True)
        refusal = self._actions.refusal
        return [
            Command(
                tr("Show the lag over time"),
                keymap.key("consumers.lag"),
                lambda: self.tab_bar.setCurrentIndex(0),
                "chart-line",
            ),
            Command(
                tr("Show what is unacknowledged"),
                keymap.key("consumer.unacknowledged"),
                lambda: self.tab_bar.setCurrentIndex(1),
                "list-numbers",
            ),
            Command(tr("Next time range"), keymap.key("consumer.range"), self.range_bar.next_preset, "clock"),
            *own,
            Command(
                tr("Delete this group"),
                keymap.key("consumers.delete"),
                self._delete,
                "trash",
                not refusal,
                refusal,
                True,
            ),
        ]


def _ago(value: int | None, now: int) -> str:
    return tr("never") if value is None else figures.relative_time(value, now)


def _limit(value: object) -> str:
    return figures.integer(value) if isinstance(value, int) and value > 0 else tr("no limit")
