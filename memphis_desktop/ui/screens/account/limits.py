"""What the account uses of what it may, and how that went."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from memphis_desktop.cluster.account.model import AccountFacts, Usage
from memphis_desktop.cluster.history import ServerKey
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.beside import Beside
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.graph import TimeSeriesGraph
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.components.time_range import TimeRange
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.account.words import amount, limit_text, usage_group, usage_name
from memphis_desktop.ui.screens.station_parts import history_line, panel, sparkline

TREND_SPAN = 3600.0
LEAST_GRAPH = 230  # pixels of width
_HISTORY = {"storage": "storage", "connections": "connections"}  # what the local history keeps


class LimitsView(QWidget):
    """The table of limits, and graphs of what changes."""

    def __init__(self, context: ScreenContext, time_range: TimeRange, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._time_range = time_range
        self.table = DataTable(
            [
                Column("name", tr("What"), usage_name, "text", 200, stretch=True),
                Column("group", tr("Of"), usage_group, "badge", 110, tr("Whose limit it is")),
                Column(
                    "used",
                    tr("Used"),
                    lambda u: u,
                    "text",
                    104,
                    sort_value=lambda u: u.used,
                    text=lambda u: amount(u, u.used),
                ),
                Column("share", tr("Share"), _share, "bar", 170, sort_value=lambda u: u.share or -1.0),
                Column(
                    "limit",
                    tr("Limit"),
                    lambda u: u,
                    "text",
                    104,
                    sort_value=lambda u: u.limit,
                    text=limit_text,
                ),
                Column("line", tr("Last hour"), self._line, "sparkline", 110),
                Column("trend", tr("Trend"), self._trend, "text", 110, tr("Over the last hour")),
                Column(
                    "full",
                    tr("Full in"),
                    self._full_in,
                    "duration",
                    90,
                    tr("If it goes on as in the last hour"),
                    token=lambda u: "warning" if (self._full_in(u) or 1e9) < 86_400 else None,
                ),
            ],
            lambda u: (u.group, u.tier, u.key),
            "account_limits",
        )
        self.table.set_state("loading")
        zone = context.zone
        self.storage = TimeSeriesGraph(tr("Storage on disk"), "bytes", time_range, zone=zone)
        self.connections = TimeSeriesGraph(tr("Connections"), "", time_range, zone=zone)
        self.errors = TimeSeriesGraph(tr("JetStream requests that failed"), "errors/s", time_range, zone=zone)
        graphs = Beside((self.storage, 1), (self.connections, 1), (self.errors, 1))
        for graph in (self.storage, self.connections, self.errors):
            graph.setMinimumWidth(LEAST_GRAPH)
        self.split = SplitView(
            panel(self.table), graphs, "account_limits", Qt.Orientation.Vertical, share=0.4
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.split)
        time_range.changed.connect(self._draw)

    def show_facts(self, facts: AccountFacts) -> None:
        """Show what is known now."""
        self.table.set_rows(facts.usages)
        if facts.usages:
            self.table.set_state("ready")
        elif facts.problems:
            self.table.set_state("error", next(iter(facts.problems.values())))
        self._draw()

    def _draw(self) -> None:
        history = self._context.session.history
        for graph, metric, name in (
            (self.storage, "storage", tr("used")),
            (
                self.connections,
                "connections",
                tr("all of the server") if self._of_server else tr("connections"),
            ),
            (self.errors, "api_errors_rate", tr("errors")),
        ):
            line = history_line(
                history, ServerKey(), metric, name, self._time_range, fill=metric == "storage"
            )
            graph.set_series([line])

    # Trends, of what the local history keeps

    @property
    def _of_server(self) -> bool:
        """Whether the connections of the history are the whole server's, not the account's."""
        return self._context.session.system is not None

    def _metric(self, usage: Usage) -> str | None:
        if usage.group == "user" or usage.tier or (usage.key == "connections" and self._of_server):
            return None
        return _HISTORY.get(usage.key)

    def _change(self, usage: Usage) -> tuple[float, float] | None:
        metric = self._metric(usage)
        if metric is None:
            return None
        return self._context.session.history.change(ServerKey(), metric, TREND_SPAN)

    def _line(self, usage: Usage) -> Any:
        metric = self._metric(usage)
        if metric is None:
            return None
        return sparkline(self._context.session.history, ServerKey(), metric)

    def _trend(self, usage: Usage) -> str:
        change = self._change(usage)
        if change is None or change[1] < 60:
            return ""
        difference = int(change[0])
        if not difference:
            return tr("steady")
        arrow = "↑" if difference > 0 else "↓"
        return f"{arrow} {amount(usage, abs(difference))}"

    def _full_in(self, usage: Usage) -> float | None:
        change = self._change(usage)
        if change is None or change[1] < 60 or change[0] <= 0 or not usage.limit or usage.limit < 0:
            return None
        return max(0.0, (usage.limit - (usage.used or 0)) / (change[0] / change[1]))


def _share(usage: Usage) -> Any:
    share = usage.share
    return (share, figures.percent(share)) if share is not None else (None, "")
