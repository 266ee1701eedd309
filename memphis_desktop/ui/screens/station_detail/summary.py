"""The summary of a station: what flows, what it holds, how long its limits last."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.history import ConsumerKey, FloatArray, History, StreamKey
from memphis_desktop.cluster.model import ClusterSnapshot, StreamSnapshot
from memphis_desktop.cluster.raft.groups import group_of, stream_key
from memphis_desktop.cluster.raft.model import Quorum
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.current_page import PageStack
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.graph import Mark, Series, TimeSeriesGraph
from memphis_desktop.ui.components.sign_grid import SignGrid
from memphis_desktop.ui.components.time_range import TimeRange
from memphis_desktop.ui.components.vital_sign import VitalSign
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.cluster.timeline import graph_marks
from memphis_desktop.ui.screens.station_actions import StationActions
from memphis_desktop.ui.screens.station_detail.first_message import FirstMessage, never_had_one
from memphis_desktop.ui.screens.station_detail.tab import StationTab
from memphis_desktop.ui.screens.station_facts import Facts, keeps_text, origin_text, storage_text
from memphis_desktop.ui.screens.station_parts import (
    history_line,
    panel,
    station_route,
    stream_sparkline,
    worst_lags,
)
from memphis_desktop.ui.shell.staleness import shows

SUBJECTS_EVERY = 5.0  # seconds between readings of the subjects while the tab is shown
MAX_SUBJECTS = 5000  # more are not read here: the Subjects tab goes branch by branch
TOP_SUBJECTS = 50
LAG_LINES = 3
_GROWTH_SPAN = 300.0
_QUIET_NS = 20_000_000_000  # an origin that is well is heard from more often
MOST_CHANGES = 100  # marked on the graph
_REMOVED_OVER = 4  # readings over which what was removed is told from what came
_REMOVED_SHARE = 0.1  # of what came: less than that may be no more than two clocks


@dataclass(frozen=True, slots=True)
class SubjectCount:
    """A line of the list of subjects."""

    subject: str
    messages: int
    share: float


class SummaryTab(StationTab):
    """See the module."""

    key = "summary"
    title = tr("Summary")

    def __init__(
        self,
        context: ScreenContext,
        actions: StationActions,
        stream: str,
        time_range: TimeRange,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(context, actions, stream, parent)
        self.time_range = time_range
        self._subjects_read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._active = False
        self.figure = "flow"  # what the graph shows
        self.first: FirstMessage | None = None  # stands where the graphs will be before there is a message
        self.signs = {
            "in": VitalSign(tr("In"), beside=True),
            "out": VitalSign(tr("Out"), token="series1", beside=True),
            "messages": VitalSign(tr("Messages"), token="series2", beside=True),
            "bytes": VitalSign(tr("Size"), token="series2", beside=True),
            "lag": VitalSign(tr("Worst lag"), token="series3", beside=True),
        }
        self.graph = TimeSeriesGraph(tr("Throughput"), "messages/s", time_range, zone=context.zone)
        self.lag_graph = TimeSeriesGraph(tr("Lag of the groups"), "messages", time_range, zone=context.zone)
        self.facts = Facts(1)
        self.subjects = DataTable(
            [
                Column(
                    "subject", tr("Subject"), lambda s: s.subject, "mono", 150, stretch=True, cut_middle=True
                ),
                Column("messages", tr("Messages"), lambda s: s.messages, "number", 108),
                Column("share", tr("Share"), lambda s: s.share, "bar", 76),
            ],
            lambda s: s.subject,
            "station_subjects",
            default_sort=("messages", True),
        )
        self.subjects.set_state("loading")
        self._arrange()
        time_range.changed.connect(self._draw)

    def _arrange(self) -> None:
        for key, sign in self.signs.items():
            shows(sign, "consumers" if key == "lag" else "streams")
        drawn = QWidget()
        graphs = QVBoxLayout(drawn)
        graphs.setContentsMargins(0, 0, 0, 0)
        graphs.setSpacing(theme.SPACE_4)
        graphs.addWidget(shows(self.graph, "streams"), 3)
        graphs.addWidget(shows(self.lag_graph, "consumers"), 2)
        facts = QWidget()
        facts_layout = QVBoxLayout(facts)
        facts_layout.setContentsMargins(theme.SPACE_4, 0, theme.SPACE_4, theme.SPACE_3)
        facts_layout.addWidget(self.facts)
        side = QVBoxLayout()
        side.setSpacing(theme.SPACE_4)
        side.addWidget(shows(panel(facts, title=tr("Limits and state")), "streams"))
        side.addWidget(shows(panel(self.subjects, title=tr("Top subjects"), tabular=True), "streams"), 1)
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE_4)
        self.left = PageStack()
        self.left.addWidget(drawn)
        row.addWidget(self.left, 13)
        row.addLayout(side, 7)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE_4, 0, 0)
        layout.setSpacing(theme.SPACE_4)
        for key, tooltip in (
            ("in", tr("Show what flows on the graph")),
            ("out", tr("Show what flows on the graph")),
            ("messages", tr("Show the messages it holds on the graph")),
            ("bytes", tr("Show its size on the graph")),
            ("lag", tr("Show the groups")),
        ):
            self.signs[key].setToolTip(tooltip)
            self.signs[key].clicked.connect(lambda key=key: self._open_sign(key))
        layout.addWidget(SignGrid(list(self.signs.values()), opening=True))
        layout.addLayout(row, 1)

    def activated(self) -> None:
        """Draw what came while hidden."""
        self._active = True
        self._subjects_read_at = float("-inf")
        self._draw()

    def deactivated(self) -> None:
        """Rest."""
        self._active = False

    async def shut_down(self) -> None:
        """Let a reading of subjects end."""
        if self._reading is not None:
            self._reading.cancel()
        if self.first is not None:
            await self.first.shut_down()

    def show_station(self, stream: StreamSnapshot, snapshot: ClusterSnapshot) -> None:
        """Show the round's figures."""
        history = self.context.session.history
        for key, rate in (("in", stream.in_messages_rate), ("out", stream.out_messages_rate)):
            if rate is None:
                self.signs[key].set_value(figures.UNKNOWN)
            else:
                number, unit = figures.compact_parts(rate)
                self.signs[key].set_value(number, f"{unit}/s")
        self.signs["in"].set_change(
            figures.bytes_rate(stream.in_bytes_rate) if stream.in_bytes_rate is not None else ""
        )
        self.signs["messages"].set_value(*figures.compact_parts(stream.messages))
        self.signs["bytes"].set_value(*figures.bytes_parts(stream.bytes))
        lag, seconds = worst_lags(c for c in snapshot.consumers.values() if c.stream == stream.name).get(
            stream.name, (None, None)
        )
        self.signs["lag"].set_value(figures.lag_seconds(seconds))
        words = (
            tr_count("{count} message", "{count} messages", lag, count=figures.integer(lag))
            if lag and lag < 10_000
            else figures.compact(lag)
        )
        self.signs["lag"].set_change(words if lag else "")
        for key, metric in (
            ("in", "messages_in"),
            ("out", "messages_out"),
            ("messages", "messages"),
            ("bytes", "bytes"),
        ):
            self.signs[key].set_series(stream_sparkline(history, stream.name, metric).tolist())
        self.facts.set_facts(summary_facts(stream, history))
        self._show_first(stream)
        if self._active:
            self._read_subjects(stream, snapshot)
            self._draw()

    def _show_first(self, stream: StreamSnapshot) -> None:
        waits = never_had_one(stream)
        if waits and self.first is None:
            self.first = FirstMessage(self.context, self.changes, self.stream)
            self.left.addWidget(self.first)
        if waits and self.first is not None:
            self.first.show_station(stream)
        shown = self.first if waits and self.first is not None else self.left.widget(0)
        if shown is not None and self.left.currentWidget() is not shown:
            self.left.setCurrentWidget(shown)

    def _open_sign(self, key: str) -> None:
        """A tile puts its figure on the graph; that of the lag leads to the groups."""
        if key == "lag":
            self.context.navigate(station_route(self.stream, "groups"))
        else:
            self.show_figure(key if key in ("messages", "bytes") else "flow")

    def show_figure(self, figure: str) -> None:
        """Have the graph show ``flow``, ``messages`` or ``bytes``."""
        self.figure = figure
        title, unit = {
            "flow": (tr("Throughput"), "messages/s"),
            "messages": (tr("Messages"), "messages"),
            "bytes": (tr("Size"), "bytes"),
        }[figure]
        self.graph.set_title(title)
        self.graph.set_unit(unit)
        self._draw()
        self.commands_changed.emit()

    def commands(self) -> list[Command]:
        """What the graph can show."""
        figures_of = (
            ("flow", tr("Show what flows on the graph")),
            ("messages", tr("Show the messages it holds on the graph")),
            ("bytes", tr("Show its size on the graph")),
        )
        return [
            Command(title, "", partial(self.show_figure, figure), "chart-line", name=f"graph_{figure}")
            for figure, title in figures_of
            if figure != self.figure
        ]

    def _lines(self) -> list[Series]:
        history, key = self.context.session.history, StreamKey(self.stream)
        if self.figure == "messages":
            return [history_line(history, key, "messages", tr("Messages"), self.time_range, token="series2")]
        if self.figure == "bytes":
            return [history_line(history, key, "bytes", tr("Size"), self.time_range, token="series2")]
        return [
            history_line(history, key, "messages_in", tr("In"), self.time_range, fill=True),
            history_line(history, key, "messages_out", tr("Out"), self.time_range),
            removed_line(history, key, self.time_range),
        ]

    def _draw(self) -> None:
        if not self._active:
            return
        history = self.context.session.history
        self.graph.set_series(self._lines())
        consumers = [c for c in self.context.session.snapshot.consumers.values() if c.stream == self.stream]
        consumers.sort(key=lambda c: (-c.num_pending, c.name))
        chosen = sorted(consumers[:LAG_LINES], key=lambda c: c.name)  # a line keeps its colour
        self.lag_graph.set_series(
            [
                history_line(history, ConsumerKey(c.stream, c.name), "lag", c.name, self.time_range)
                for c in chosen
            ]
        )
        start, end = self.time_range.bounds()
        marks = graph_marks(
            self.context.session.raft.timeline.marks(stream_key(self.stream), start, end), named=False
        )
        marks += self._changes(start, end)
        self.graph.set_marks(marks)
        self.lag_graph.set_marks(marks)

    def _changes(self, start: float, end: float) -> list[Mark]:
        """What was changed about the station, as the record of activity has it."""
        profile_id = self.context.session.profile.id
        return [
            Mark(entry.time_ns / 1e9, entry.title, "good")
            for entry in self.context.shell.activity.entries()
            if (entry.profile_id, entry.stream) == (profile_id, self.stream)
            and start <= entry.time_ns / 1e9 <= end
            and not entry.problem
        ][-MOST_CHANGES:]

    # Subjects

    def _read_subjects(self, stream: StreamSnapshot, snapshot: ClusterSnapshot) -> None:
        if never_had_one(stream):
            self.subjects.set_state("empty", tr("Waiting for the first message."), icon="tray")
            return
        group = group_of(stream, snapshot.raft.gone)
        if stream.clustered and group.quorum is not Quorum.HELD:
            # Nobody would answer, and the list would wait for ever.
            text = tr("The subjects cannot be read: the station has {problem}.", problem=group.problem)
            self._subject_failure(text)
            return
        now = time.monotonic()
        if self._reading is not None or now - self._subjects_read_at < SUBJECTS_EVERY:
            return
        if stream.subject_count > MAX_SUBJECTS:
            count = figures.integer(stream.subject_count)
            text = tr("{count} subjects: see the Subjects tab.", count=count)
            self.subjects.set_state("empty", text, icon="tree-structure")
            return
        self._subjects_read_at = now
        self._reading = self.context.run(self._take_subjects(), tr("read the subjects"))
        self._reading.add_done_callback(lambda _: setattr(self, "_reading", None))

    def _subject_failure(self, text: str) -> None:
        """What was read before stays; with nothing of it, the cause stands where it would be."""
        if not self.subjects.rows():
            self.subjects.set_state("error", text, (tr("Try again"), self._subjects_again))

    def _subjects_again(self) -> None:
        self._subjects_read_at = float("-inf")
        self.subjects.set_state("loading")
        self.context.session.refresh(self.stream)

    async def _take_subjects(self) -> None:
        try:
            info = await self.context.session.api(f"STREAM.INFO.{self.stream}", {"subjects_filter": ">"})
        except ClusterError as error:
            self._subject_failure(str(error))
            return
        counts = (info.get("state") or {}).get("subjects") or {}
        total = sum(counts.values()) or 1
        top = sorted(counts.items(), key=lambda item: item[1], reverse=True)[:TOP_SUBJECTS]
        self.subjects.set_rows(SubjectCount(subject, count, count / total) for subject, count in top)
        if counts:
            self.subjects.set_state("ready")
        else:
            self.subjects.set_state("empty", tr("Waiting for the first message."), icon="tray")


def removed_line(history: History, key: StreamKey, time_range: TimeRange) -> Series:
    """The line of messages removed each second: what came and is not there."""
    came = history_line(history, key, "messages_in", tr("Removed"), time_range, token="series3")
    held = history_line(history, key, "messages", "", time_range)
    return replace(came, values=removed(came.times, came.values, held.values))


def removed(times: FloatArray, came: FloatArray, held: FloatArray) -> FloatArray:
    """Return messages removed each second at each time; NaN where that is not known.

    Args:
        times: Of the readings.
        came: Messages stored each second since the reading before.
        held: Messages in the station.
    """
    result = np.full(len(times), np.nan)
    if len(times) != len(held) or len(times) <= _REMOVED_OVER:
        return result
    lengths = np.diff(times, prepend=times[0])
    stored = np.cumsum(np.nan_to_num(came) * lengths)
    stored[np.isnan(came)] = np.nan
    span = times[_REMOVED_OVER:] - times[:-_REMOVED_OVER]
    more = stored[_REMOVED_OVER:] - stored[:-_REMOVED_OVER]
    gone = more - (held[_REMOVED_OVER:] - held[:-_REMOVED_OVER])
    gone[gone < np.maximum(1.0, _REMOVED_SHARE * more)] = 0.0
    result[_REMOVED_OVER:] = gone / np.maximum(span, 1e-9)
    return result


def summary_facts(stream: StreamSnapshot, history: History) -> list[tuple[str, str]]:
    """The state and limits of a station, as (name, value)."""
    config = stream.config
    now = time.time_ns()
    empty = not stream.messages
    facts = [
        (tr("Subjects"), ", ".join(config.get("subjects") or ()) or origin_text(stream)),
        (tr("Keeps"), keeps_text(config)),
        (
            tr("When full"),
            tr("refuses new messages") if config.get("discard") == "new" else tr("removes the oldest"),
        ),
        (
            tr("Sequences"),
            tr(
                "{first} to {last}",
                first=figures.integer(stream.first_sequence),
                last=figures.integer(stream.last_sequence),
            ),
        ),
        (tr("First message"), tr("none") if empty else figures.relative_time(stream.first_time_ns, now)),
        (tr("Last message"), tr("none") if empty else figures.relative_time(stream.last_time_ns, now)),
        (tr("Subjects seen"), figures.integer(stream.subject_count)),
    ]
    for used, key, metric, name in (
        (stream.bytes, "max_bytes", "bytes", tr("Size limit")),
        (stream.messages, "max_msgs", "messages", tr("Message limit")),
    ):
        limit = int(config.get(key) or -1)
        if limit > 0:
            facts.append(
                (name, limit_text(used, limit, history.change(StreamKey(stream.name), metric, _GROWTH_SPAN)))
            )
    if stream.deleted_count:
        facts.append(
            (
                tr("Gaps"),
                tr_count(
                    "{count} message",
                    "{count} messages",
                    stream.deleted_count,
                    count=figures.integer(stream.deleted_count),
                ),
            )
        )
    replicas = int(config.get("num_replicas") or 1)
    facts.append((tr("Storage"), storage_text(config, replicas)))
    if stream.leader:
        facts.append((tr("Leader"), tr("none") if stream.leader_lost else stream.leader))
    for source in (stream.mirror, *stream.sources):
        if source:
            facts.append((tr("From {name}", name=source.get("name")), origin_state(source)))
    return facts


def origin_state(source: Mapping[str, Any]) -> str:
    """How far a copy is behind its origin, when that was heard from, and what is wrong between them."""
    parts = [tr("{count} behind", count=figures.integer(int(source.get("lag") or 0)))]
    active = int(source.get("active") or -1)  # nanoseconds since it was heard from; -1 for never
    if active < 0:
        parts.append(tr("never heard from"))
    elif active >= _QUIET_NS:
        parts.append(tr("heard from {time} ago", time=figures.duration(active / 1e9)))
    error = source.get("error")
    if isinstance(error, Mapping) and error.get("description"):
        parts.append(str(error["description"]))
    return ", ".join(parts)


def limit_text(used: int, limit: int, change: tuple[float, float] | None) -> str:
    """How much of a limit is used and when it is full at the present growth: ``43 %, full in 3 d``."""
    share = figures.percent(used / limit)
    if used >= limit * 0.999:
        return tr("{share}, full", share=share)
    if change is None or change[1] < 10 or change[0] <= 0:
        return share
    seconds = (limit - used) / (change[0] / change[1])
    return tr("{share}, full in {time}", share=share, time=figures.duration(seconds))
