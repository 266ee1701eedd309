"""What wants attention on the overview: findings, alerts that hold, what was done lately; one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtWidgets import QFrame, QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from memphis_desktop.cluster.activity import Entry
from memphis_desktop.cluster.alerts import SIGNALS
from memphis_desktop.cluster.stretch import Held, Survey
from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.segments import Segments
from memphis_desktop.ui.screen import Route, ScreenContext
from memphis_desktop.ui.screens.station_parts import consumer_route, station_route
from memphis_desktop.ui.shell.alert_center import value_text

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
        self.alerts_then = _alerts_of_stretch()
        self.alerts_then.row_activated.connect(self._open_subject)
        self._survey: Survey | None = None
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
        self._health = health
        for table in (health, self.alerts, self.activity, self.alerts_then):
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
        self.refresh()

    def show_stretch(self, survey: Survey | None) -> None:
        """What held and what was done in a stretch of time; None for now. Findings are always of now."""
        self._survey = survey
        self.refresh()

    def refresh(self) -> None:
        """Show what there is in the list that is in view."""
        alerts = self.alerts if self._survey is None else self.alerts_then
        tables = {"health": self._health, "alerts": alerts, "activity": self.activity}
        shown = tables[self.choice.choice()]
        self.lists.setCurrentWidget(shown)
        if shown is self.alerts_then and self._survey is not None:
            self._show_held(self._survey)
        elif shown is self.alerts:
            self._show_alerts()
        elif shown is self.activity:
            self._show_activity()

    def _show_alerts(self) -> None:
        profile_id = self._context.session.profile.id
        found = [one for one in self._context.shell.alerts.alerts() if one.profile_id == profile_id]
        self.alerts.set_zone(self._context.zone)
        self.alerts.set_rows(found)
        action = (tr("Open the alerts"), lambda: self._context.navigate(Route("alerts")))
        self.alerts.set_state(
            "ready" if found else "empty", tr("No alert holds on this connection."), action, "bell"
        )

    def _show_held(self, survey: Survey) -> None:
        self.alerts_then.set_zone(self._context.zone)
        self.alerts_then.set_rows(survey.held)
        action = (tr("Open the alerts"), lambda: self._context.navigate(Route("alerts")))
        text = tr("None of the rules of now held in this time, as far as it is recorded.")
        self.alerts_then.set_state("ready" if survey.held else "empty", text, action, "bell")

    def _show_activity(self) -> None:
        profile_id, survey = self._context.session.profile.id, self._survey
        entries = [one for one in self._context.shell.activity.entries() if one.profile_id == profile_id]
        nothing = tr("Nothing was changed here yet.")
        if survey is not None:
            start, end = survey.start * 1e9, survey.end * 1e9
            entries = [one for one in entries if start <= one.time_ns <= end]
            nothing = tr("Nothing was changed in this time.")
        self.activity.set_zone(self._context.zone)
        self.activity.set_rows(entries[-LATELY:])
        self.activity.set_state("ready" if entries else "empty", nothing, icon="clock-counter-clockwise")

    def _open_subject(self, held: Held) -> None:
        subject = held.subject
        if subject.consumer:
            self._context.navigate(consumer_route(subject.stream, subject.consumer))
        elif subject.stream:
            self._context.navigate(station_route(subject.stream))

    def _open_entry(self, entry: Entry) -> None:
        known = entry.stream in self._context.session.snapshot.streams
        self._context.navigate(station_route(entry.stream, "activity") if known else Route("activity"))


def _alerts_of_stretch() -> DataTable:
    return DataTable(
        [
            Column("title", tr("Alert"), lambda a: SIGNALS[a.rule.signal].title, "text", 150, stretch=True),
            Column("where", tr("Where"), lambda a: a.subject.label, "mono", 130, stretch=True),
            Column("since", tr("Since"), lambda a: int(a.since * 1e9), "time", 92),
            Column("lasted", tr("Held for"), lambda a: a.until - a.since, "duration", 80),
            Column("worst", tr("Worst"), lambda a: value_text(a.rule.signal, a.value), "text", 80),
        ],
        lambda a: a.key,
        "overview_alerts_stretch",
        default_sort=("since", True),
    )


def _result(entry: Entry) -> tuple[str, str]:
    if entry.problem:
        return tr("failed"), "bad"
    return (tr("by others"), "information") if entry.by_others else (tr("done"), "good")


def _ender(end: Callable[[], None]) -> Callable[..., Any]:
    return lambda *_: end()
