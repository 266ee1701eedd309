"""Pieces that the overview, stations and consumers screens share: rows, lines of history, states, marks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from memphis_desktop.cluster.health import Finding, Severity
from memphis_desktop.cluster.history import (
    FINE_SPAN,
    ConsumerKey,
    FloatArray,
    History,
    SeriesKey,
    StreamKey,
)
from memphis_desktop.cluster.model import (
    ClusterSnapshot,
    ConnectionState,
    ConsumerSnapshot,
    FailedPage,
    StreamSnapshot,
)
from memphis_desktop.cluster.state import TREND_SPAN
from memphis_desktop.cluster.stream_reading import LIST as STREAM_LIST
from memphis_desktop.language import tr
from memphis_desktop.stations.model import Station
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.graph import Series
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.time_range import TimeRange
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.shell.staleness import staleness

SEVERITY_TOKEN = {Severity.GOOD: "good", Severity.WARNING: "warning", Severity.BAD: "bad"}
SPARKLINE_POINTS = 60
SHORTEST_SPARKLINE = 60.0
PAGE_MARGINS = (24, 20, 24, 20)
LONGEST = 30 * 86400.0  # seconds of history that graphs can show


@dataclass(frozen=True, slots=True)
class StationRow:
    """A line of a list of stations."""

    stream: StreamSnapshot
    severity: Severity
    problem: str
    worst_lag: int | None
    worst_lag_seconds: float | None
    dead_letters: int = 0
    memphis: Station | None = None  # the Memphis station whose partitions this line adds up
    part_of: StationRow | None = None  # the line it stands below: of a Memphis station, or of a branch
    branch: str = ""  # of a line that adds up stations whose names begin alike: how they begin
    members: tuple[str, ...] = ()  # of such a line: the streams it adds up

    @property
    def key(self) -> str:
        """What tells the line from others; no stream's name has a space."""
        if self.branch:
            return f"branch {self.branch}"
        return f"memphis {self.stream.name}" if self.memphis is not None else self.stream.name

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.stream.name

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams it stands for."""
        if self.branch:
            return self.members
        return tuple(self.memphis.streams) if self.memphis is not None else (self.name,)

    @property
    def depth(self) -> int:
        """How many lines it stands below."""
        return 0 if self.part_of is None else 1 + self.part_of.depth

    @property
    def root(self) -> StationRow:
        """The outermost line it belongs to, by which it is ordered."""
        return self if self.part_of is None else self.part_of.root


def station_route(stream: str, tab: str = "") -> Route:
    """The place of a station, or of one of its tabs."""
    parameters = {"stream": stream}
    if tab:
        parameters["tab"] = tab
    return Route("station", parameters)


def consumer_route(stream: str, consumer: str) -> Route:
    """The place of a consumer."""
    return Route("consumer", {"stream": stream, "consumer": consumer})


def finding_route(finding: Finding) -> Route | None:
    """Where to act on a finding."""
    if finding.consumer:
        return consumer_route(finding.stream, finding.consumer)
    return station_route(finding.stream) if finding.stream else None


def history_line(
    history: History,
    key: SeriesKey,
    metric: str,
    name: str,
    time_range: TimeRange,
    *,
    fill: bool = False,
    token: str = "",
) -> Series:
    """A graph's line for the page's time range."""
    start, _ = time_range.bounds()
    times, values = history.series(key, metric, max(60.0, time.time() - start + 5.0))
    return Series(name, times, values, fill=fill, token=token, gaps_marked=True)


def sparkline(history: History, key: SeriesKey, metric: str) -> FloatArray:
    """Values for a small line: up to the last hour, evenly spaced."""
    times, _ = history.series(key, metric, FINE_SPAN)
    if len(times) < 2:
        return np.empty(0)
    span = min(FINE_SPAN, max(SHORTEST_SPARKLINE, float(times[-1] - times[0])))
    return history.sampled(key, metric, span, SPARKLINE_POINTS)


def stream_sparkline(history: History, name: str, metric: str = "messages_in") -> FloatArray:
    """The small line of a station."""
    return sparkline(history, StreamKey(name), metric)


def consumer_sparkline(history: History, stream: str, name: str, metric: str = "lag") -> FloatArray:
    """The small line of a consumer."""
    return sparkline(history, ConsumerKey(stream, name), metric)


def trend(history: History, stream: str, name: str, span: float = TREND_SPAN) -> tuple[str, str]:
    """Which way a consumer's lag goes, as (words, token)."""
    change = history.change(ConsumerKey(stream, name), "lag", span)
    return ("", "muted") if change is None else trend_of(*change)


def trend_of(change: float, seconds: float) -> tuple[str, str]:
    """Which way a lag goes that changed by so much in so many seconds, as (words, token)."""
    if seconds < 3:
        return "", "muted"
    per_second = change / seconds
    if abs(change) < 1:
        return tr("steady"), "muted"
    if per_second > 0:
        return f"↑ {figures.rate(per_second)}", "warning"
    return f"↓ {figures.rate(-per_second)}", "good"


def worst_lags(consumers: Iterable[ConsumerSnapshot]) -> dict[str, tuple[int, float | None]]:
    """The largest lag of each stream, in messages and in seconds."""
    worst: dict[str, tuple[int, float | None]] = {}
    for consumer in consumers:
        lag, seconds = worst.get(consumer.stream, (0, None))
        both = [value for value in (seconds, consumer.lag_seconds) if value is not None]
        worst[consumer.stream] = (max(lag, consumer.num_pending), max(both) if both else None)
    return worst


def consumer_kind(consumer: ConsumerSnapshot) -> str:
    """How a consumer works, in a word or two."""
    if consumer.is_durable:
        return tr("pull") if consumer.is_pull else tr("push")
    # What clients make to read in order: nothing is acknowledged, and nothing is kept of it.
    ordered = consumer.config.get("ack_policy") == "none" and consumer.config.get("mem_storage")
    if ordered:
        return tr("pull, ordered") if consumer.is_pull else tr("push, ordered")
    return tr("pull, ephemeral") if consumer.is_pull else tr("push, ephemeral")


def filter_text(consumer: ConsumerSnapshot) -> str:
    """The subjects a consumer takes."""
    several = consumer.config.get("filter_subjects")
    if several:
        return ", ".join(map(str, several))
    return str(consumer.config.get("filter_subject") or tr("all"))


def limit_share(used: float, limit: object) -> float | None:
    """The used part of a limit; None without one."""
    return used / limit if isinstance(limit, (int, float)) and limit > 0 else None


def panel(*widgets: QWidget, title: str = "", margins: int = 0, tabular: bool = False) -> QFrame:
    """A surface with an optional title and widgets below each other.

    With `tabular` the title begins where the first column of a table does.
    """
    frame = QFrame()
    frame.setProperty("panel", "surface")
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(1 + margins, 1 + margins, 1 + margins, 1 + margins)
    layout.setSpacing(0)
    if title:
        label = PlainLabel(title, "strong")
        left = theme.SPACE_2 if tabular else theme.SPACE_4 - margins
        label.setContentsMargins(left, theme.SPACE_3, theme.SPACE_4, theme.SPACE_2)
        layout.addWidget(label)
    for widget in widgets:
        layout.addWidget(widget)
    return frame


class StateBanner(Banner):
    """Says what cannot be read on a connection that stands; a lost one is told by the tab."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("warning", parent=parent)
        self.hide()

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """Follow what can be read."""
        told = staleness(snapshot, time.time_ns()) is not None  # by the tab, in the same words
        text = "" if told else unreadable(snapshot)
        if text != self.text() or self.isHidden() == bool(text):
            self.set_content("warning", text)
            self.setVisible(bool(text))


_MOST_RANGES = 6


class PagesBanner(Banner):
    """Says which pages of the list of stations could not be read; its button asks for just those again."""

    def __init__(self, retry: Callable[[], object], parent: QWidget | None = None) -> None:
        super().__init__("warning", parent=parent)
        self._retry = retry
        self._shown: tuple[FailedPage, ...] = ()
        self.hide()

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """Follow what can be read."""
        pages = snapshot.failed_pages if snapshot.state is ConnectionState.CONNECTED else ()
        if pages != self._shown:
            self._shown = pages
            self.set_content("warning", failed_pages_text(pages), (tr("Retry"), self._retry))
            self.setVisible(bool(pages))


def failed_pages_text(pages: Sequence[FailedPage]) -> str:
    """Which part of the list is missing and why, in a sentence; empty for none."""
    lists = [page for page in pages if page.listing == STREAM_LIST] or list(pages)
    if not lists:
        return ""
    ranges = [
        tr(
            "{first} to {last}",
            first=figures.integer(page.offset + 1),
            last=figures.integer(min(page.offset + page.size, max(page.total, page.offset + 1))),
        )
        for page in lists[:_MOST_RANGES]
    ]
    if len(lists) > _MOST_RANGES:
        ranges.append("…")
    return tr(
        "Stations {ranges} of {total} could not be read: {reason} What else was read stays.",
        ranges=", ".join(ranges),
        total=figures.integer(max(page.total for page in lists)),
        reason=sentence(lists[0].reason),
    )


def sentence(text: str) -> str:
    """A reason with a full stop, whoever wrote it."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def unreadable(snapshot: ClusterSnapshot) -> str:
    """Why a part of the connection cannot be read; empty when all can.

    What was read before and is too old by now is told by the tab, see `shell.staleness`.
    """
    if snapshot.state is not ConnectionState.CONNECTED:
        return ""
    parts = ("jetstream", "account", "round", "streams", "consumers")
    return next((why for part in parts if (why := why_unread(snapshot, part))), "")


def why_unread(snapshot: ClusterSnapshot, *parts: str) -> str:
    """Why nothing of these parts (``streams``, ``consumers`` …) was ever read; empty when something was.

    A list then says so instead of waiting for ever.
    """
    if "jetstream" in snapshot.errors:
        return snapshot.errors["jetstream"]
    for part in parts:
        read = snapshot.complete if part == "round" else part in snapshot.read_at
        if part in snapshot.errors and not read:
            return snapshot.errors[part]
    return ""
