"""Alerts: what holds now, and the rules that say when."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFrame,
    QLineEdit,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.cluster.alerts import BAD, SIGNALS, WARNING, Alert, Rule
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import FormDialog
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.screen import Command, Screen, ScreenContext
from memphis_desktop.ui.shell.alert_center import rule_text, value_text

_SNOOZE_SECONDS = 3600.0
_SEVERITIES = {WARNING: "Warning", BAD: "Severe"}


def _state(alert: Alert) -> tuple[str, str]:
    return (
        ("muted", "Seen") if alert.acknowledged else (alert.rule.severity, _SEVERITIES[alert.rule.severity])
    )


ALERT_COLUMNS = [
    Column("state", "State", _state, "dot", 100),
    Column("title", "Alert", lambda alert: SIGNALS[alert.rule.signal].title, "text", 190),
    Column("where", "Where", lambda alert: alert.subject.label, "mono", 220, stretch=True),
    Column("connection", "Connection", lambda alert: alert.connection, "text", 130),
    Column(
        "value",
        "Value",
        lambda alert: (value_text(alert.rule.signal, alert.value), alert.value),
        "text",
        110,
        text=lambda value: str(value[0]),
        sort_value=lambda alert: alert.value,
    ),
    Column("since", "Since", lambda alert: int(alert.since * 1e9), "time", 110),
]

RULE_COLUMNS = [
    Column(
        "enabled",
        "State",
        lambda rule: ("good", "On") if rule.enabled else ("muted", "Off"),
        "dot",
        80,
    ),
    Column("rule", "Rule", rule_text, "text", 320, stretch=True),
    Column("pattern", "Of", lambda rule: rule.pattern, "mono", 140),
    Column("severity", "Severity", lambda rule: (_SEVERITIES[rule.severity], rule.severity), "badge", 110),
    Column("desktop", "Desktop", lambda rule: "told" if rule.desktop else "silent", "text", 90),
]


class RuleForm(FormDialog):
    """Make or change a rule."""

    def __init__(self, parent: QWidget | None, rule: Rule | None = None) -> None:
        self._before = rule or Rule("lag_seconds", 300.0)
        super().__init__(
            parent, "Edit rule" if rule else "New rule", "Save rule" if rule else "Add rule", width=520
        )
        before = self._before
        self.signal = QComboBox()
        for key, signal in SIGNALS.items():
            self.signal.addItem(signal.title, key)
        self.signal.setCurrentIndex(list(SIGNALS).index(before.signal))
        self.threshold = QDoubleSpinBox()
        self.threshold.setRange(0, 1e12)
        self.threshold.setDecimals(1)
        self.threshold.setValue(before.threshold)
        self.pattern = QLineEdit(before.pattern)
        self.pattern.setProperty("role", "mono")
        self.duration = QDoubleSpinBox()
        self.duration.setRange(0, 86400)
        self.duration.setDecimals(0)
        self.duration.setSuffix(" s")
        self.duration.setValue(before.for_seconds)
        self.severity = QComboBox()
        for key, title in _SEVERITIES.items():
            self.severity.addItem(title, key)
        self.severity.setCurrentIndex(list(_SEVERITIES).index(before.severity))
        self.desktop = QCheckBox("Tell it on the desktop too")
        self.desktop.setChecked(before.desktop)
        self.add_row("When", self.signal)
        self.add_row("Threshold", self.threshold)
        self.add_row("Of", self.pattern, "A group's or station's name; * and ? stand for anything.")
        self.add_row("For at least", self.duration)
        self.add_row("Severity", self.severity)
        self.add_row("", self.desktop)
        self.signal.currentIndexChanged.connect(self._show_unit)
        self._show_unit()

    def rule(self) -> Rule:
        """The rule as entered."""
        return replace(
            self._before,
            signal=self.signal.currentData(),
            threshold=self.threshold.value(),
            pattern=self.pattern.text().strip() or "*",
            for_seconds=self.duration.value(),
            severity=self.severity.currentData(),
            desktop=self.desktop.isChecked(),
        )

    def _show_unit(self) -> None:
        signal = SIGNALS[self.signal.currentData()]
        self.threshold.setSuffix(f" {signal.unit}" if signal.unit else "")
        self.threshold.setPrefix("below " if signal.below else "above ")
        self.threshold.setEnabled(self.signal.currentData() != "no_leader")


class AlertsScreen(Screen):
    """Above what holds, below the rules."""

    title = "Alerts"
    route_name = "alerts"
    stale_with = frozenset()

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._center = context.shell.alerts
        self.table = DataTable(
            ALERT_COLUMNS, lambda alert: alert.key, "alerts", context_actions=lambda _: self._alert_commands()
        )
        self.rules = DataTable(
            RULE_COLUMNS, lambda rule: rule.id, "alert_rules", context_actions=lambda _: self._rule_commands()
        )
        self.table.row_activated.connect(lambda alert: self._center.show_subject(alert))
        self.rules.row_activated.connect(self.edit)
        self._center.changed.connect(self.refresh)
        header = PageHeader("Alerts")
        header.set_title(
            "Alerts", "Rules are watched while this program runs, on every connection that is open."
        )
        header.add_action("New rule", self.new, icon_name="plus", kind="primary", tooltip="N")
        halves = QSplitter(Qt.Orientation.Vertical)
        halves.setHandleWidth(theme.SPACE_2)
        halves.setChildrenCollapsible(False)
        halves.addWidget(_panel("Now", self.table))
        halves.addWidget(_panel("Rules", self.rules))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_5, 20, theme.SPACE_5, 20)
        layout.setSpacing(theme.SPACE_4)
        layout.addWidget(header)
        layout.addWidget(halves, 1)
        self.zone_changed()
        self.refresh()

    def activated(self) -> None:
        """Read again."""
        self.refresh()

    def zone_changed(self) -> None:
        """Times in the new zone."""
        self.table.set_zone(self.context.zone)

    def refresh(self) -> None:
        """Show what holds now, and the rules."""
        alerts = self._center.alerts()
        self.table.set_rows(alerts)
        self.table.set_state("ready" if alerts else "empty", "No rule is broken.", icon="check-circle")
        rules = self._center.rules()
        self.rules.set_rows(rules)
        self.rules.set_state(
            "ready" if rules else "empty", "No rules yet.", ("New rule", self.new), icon="bell"
        )

    # Doing ------------------------------------------------------------------------------------

    def new(self) -> None:
        """Add a rule."""
        self.context.run(self._edit(None), "add the rule")

    def edit(self, rule: Rule) -> None:
        """Change a rule."""
        self.context.run(self._edit(rule), "save the rule")

    async def _edit(self, rule: Rule | None) -> None:
        form = RuleForm(self.window(), rule)
        if await form.ask():
            entered = form.rule()
            rules = [entered if one.id == entered.id else one for one in self._center.rules()]
            self._center.set_rules(rules if rule is not None else [*rules, entered])
            self.rules.select_key(entered.id)

    def toggle(self, rule: Rule) -> None:
        """Switch a rule on or off."""
        self._center.set_rules(
            [
                replace(one, enabled=not one.enabled) if one.id == rule.id else one
                for one in self._center.rules()
            ]
        )

    def delete(self, rule: Rule) -> None:
        """Remove a rule; it can be taken back."""
        before = self._center.rules()
        self._center.set_rules([one for one in before if one.id != rule.id])
        self.context.notify("Deleted the rule.", "good", ("Undo", lambda: self._center.set_rules(before)))

    def _alert_commands(self) -> list[Command]:
        alert = self.table.current_row()
        if alert is None:
            return []
        return [
            Command("Show what it is about", "", lambda: self._center.show_subject(alert), "arrow-right"),
            Command("Mark as seen", "A", lambda: self._center.acknowledge(alert), "check"),
            Command(
                "Silence for an hour", "Z", lambda: self._center.snooze(alert, _SNOOZE_SECONDS), "bell-slash"
            ),
        ]

    def _rule_commands(self) -> list[Command]:
        rule = self.rules.current_row()
        if rule is None:
            return []
        verb = "off" if rule.enabled else "on"
        return [
            Command("Edit rule", "E", lambda: self.edit(rule), "pencil-simple"),
            Command(f"Switch rule {verb}", "O", lambda: self.toggle(rule), "power"),
            Command("Delete rule", "Del", lambda: self.delete(rule), "trash", danger=True),
        ]

    def commands(self) -> list[Command]:
        """For the palette, the keys and the context menus."""
        return [Command("New rule", "N", self.new, "plus"), *self._alert_commands(), *self._rule_commands()]


def _panel(title: str, table: QWidget) -> QFrame:
    panel = QFrame()
    panel.setProperty("panel", "surface")
    layout = QVBoxLayout(panel)
    layout.setContentsMargins(1, theme.SPACE_3, 1, 1)
    layout.setSpacing(theme.SPACE_2)
    heading = PlainLabel(title, "section")
    heading.setContentsMargins(theme.SPACE_4, 0, 0, 0)
    layout.addWidget(heading)
    layout.addWidget(table, 1)
    return panel
