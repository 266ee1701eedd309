"""What wants attention on the overview: findings, alerts that hold, what was done lately; one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtWidgets import QFrame, QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from memphis_desktop.cluster.activity import Entry
from memphis_desktop.cluster.alerts import SIGNALS
from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.segments import Segments
from memphis_desktop.ui.screen import Route, ScreenContext
from memphis_desktop.ui.screens.station_parts import station_route

LATELY = 50  # changes that are listed


class Attention(QFrame):
    """A surface with three lists, of which one is shown.

    Args:
        context: Of the screen.
        health: The list of findings, which the screen fills.
    """

    def __init__(self, context: ScreenContext, health: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("panel", "surface")
        self._context = context
        self.choice = Segments(
            [("health", tr("Health")), ("alerts", tr("Alerts")), ("activity", tr("Activity"))]
        )
        self.choice.set_choice("health")
        self.alerts = DataTable(
            [
                Column(
                    "title", tr("Alert"), lambda a: SIGNALS[a.rule.signal].title, "text", 150, stretch=True
                ),
                Column("where", tr("Where"), lambda a: a.subject.label, "mono", 150, stretch=True),
                Column("since", tr("Since"), lambda a: int(a.since * 1e9), "time", 92),
            ],
            lambda a: a.key,
            "overview_alerts",
            default_sort=("since", True),
        )
        self.alerts.row_activated.connect(context.shell.alerts.show_subject)
        self.activity = DataTable(
            [
                Column("time", tr("When"), lambda e: e.time_ns, "time", 92),
                Column("title", tr("What"), lambda e: e.title, "text", 190, stretch=True),
                Column("result", tr("Result"), _result, "badge", 96),
            ],
            lambda e: e.number,
            "overview_activity",
            default_sort=("time", True),
        )
        self.activity.row_activated.connect(self._open_entry)
        self.lists = QStackedWidget()
        for table in (health, self.alerts, self.activity):
            self.lists.addWidget(table)
        self.choice.chosen.connect(self.show_list)
        head = QHBoxLayout()
        head.setContentsMargins(theme.SPACE_3, theme.SPACE_2, theme.SPACE_3, theme.SPACE_2)
        head.addWidget(self.choice)
        head.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(1, 1, 1, 1)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(self.lists, 1)
        self.destroyed.connect(_ender(context.shell.activity.subscribe(self.refresh)))
        context.shell.alerts.changed.connect(self.refresh)

    def show_list(self, key: str) -> None:
        """Show one of the lists."""
        self.choice.set_choice(key)
        self.lists.setCurrentIndex(("health", "alerts", "activity").index(key))
        self.refresh()

    def refresh(self) -> None:
        """Show what there is now in the list that is in view."""
        profile_id = self._context.session.profile.id
        if self.lists.currentWidget() is self.alerts:
            found = [one for one in self._context.shell.alerts.alerts() if one.profile_id == profile_id]
            self.alerts.set_zone(self._context.zone)
            self.alerts.set_rows(found)
            action = (tr("Open the alerts"), lambda: self._context.navigate(Route("alerts")))
            self.alerts.set_state(
                "ready" if found else "empty", tr("No alert holds on this connection."), action, "bell"
            )
        elif self.lists.currentWidget() is self.activity:
            entries = [one for one in self._context.shell.activity.entries() if one.profile_id == profile_id]
            self.activity.set_zone(self._context.zone)
            self.activity.set_rows(entries[-LATELY:])
            self.activity.set_state(
                "ready" if entries else "empty",
                tr("Nothing was changed here yet."),
                icon="clock-counter-clockwise",
            )

    def _open_entry(self, entry: Entry) -> None:
        known = entry.stream in self._context.session.snapshot.streams
        self._context.navigate(station_route(entry.stream, "activity") if known else Route("activity"))


def _result(entry: Entry) -> tuple[str, str]:
    if entry.problem:
        return tr("failed"), "bad"
    return (tr("by others"), "information") if entry.by_others else (tr("done"), "good")


def _ender(end: Callable[[], None]) -> Callable[..., Any]:
    return lambda *_: end()
