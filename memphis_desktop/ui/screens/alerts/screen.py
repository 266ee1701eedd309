"""The alerts screen: what holds now above; the rules and the webhooks below."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QFrame, QLineEdit, QSplitter, QTabWidget, QVBoxLayout, QWidget

from memphis_desktop.cluster.alert_export import prometheus_rules
from memphis_desktop.cluster.alerts import SIGNALS, Alert, Rule
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import FormDialog
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.screen import Command, Screen, ScreenContext
from memphis_desktop.ui.screens.alerts.rule_form import SEVERITIES, RuleForm
from memphis_desktop.ui.screens.alerts.webhooks import WebhooksTable
from memphis_desktop.ui.shell.alert_center import LONGEST_NOTE, rule_text, value_text

_SNOOZES = (
    (tr("Silence for an hour"), tr("Silent for an hour."), keymap.key("alerts.silence_hour"), 3600.0),
    (tr("Silence for a day"), tr("Silent for a day."), keymap.key("alerts.silence_day"), 86_400.0),
    (tr("Silence for a week"), tr("Silent for a week."), "", 7 * 86_400.0),
)


def _state(alert: Alert) -> tuple[str, str]:
    return (
        ("muted", tr("Seen"))
        if alert.acknowledged
        else (alert.rule.severity, SEVERITIES[alert.rule.severity])
    )


def alert_columns(note: Callable[[Alert], str]) -> list[Column]:
    """Return the columns of what holds now; `note` gives what somebody wrote about an alert."""
    return [
        Column("state", tr("State"), _state, "dot", 94),
        Column("title", tr("Alert"), lambda alert: SIGNALS[alert.rule.signal].title, "text", 322),
        Column("where", tr("Where"), lambda alert: alert.subject.label, "mono", 210, stretch=True),
        Column("connection", tr("Connection"), lambda alert: alert.connection, "text", 116),
        Column(
            "value",
            tr("Value"),
            lambda alert: value_text(alert.rule.signal, alert.value),
            "number",
            84,
            text=str,
            sort_value=lambda alert: alert.value,
        ),
        Column("since", tr("Since"), lambda alert: int(alert.since * 1e9), "time", 88),
        Column("note", tr("Note"), note, "text", 120, tr("What somebody wrote about it  ( T )")),
    ]


def _told(rule: Rule) -> str:
    every = (
        (tr("desktop"), rule.desktop),
        (tr("webhooks"), rule.webhook),
        (tr("bell"), rule.sound),
        (tr("command"), bool(rule.command)),
    )
    ways = [name for name, used in every if used]
    return ", ".join(ways) or tr("here only")


RULE_COLUMNS = [
    Column(
        "enabled",
        tr("State"),
        lambda rule: ("good", tr("On")) if rule.enabled else ("muted", tr("Off")),
        "dot",
        80,
    ),
    Column("rule", tr("Rule"), rule_text, "text", 320, stretch=True),
    Column("pattern", tr("Of"), lambda rule: rule.pattern, "mono", 140),
    Column("severity", tr("Severity"), lambda rule: (SEVERITIES[rule.severity], rule.severity), "badge", 110),
    Column("desktop", tr("Told"), _told, "text", 150),
]


class AlertsScreen(Screen):
    """Above what holds, below the rules and where they are sent."""

    title = tr("Alerts")
    route_name = "alerts"
    stale_with = frozenset()

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._center = context.shell.alerts
        self.table = DataTable(
            alert_columns(self._center.note_of),
            lambda alert: alert.key,
            "alerts",
            context_actions=lambda _: self._alert_commands(),
        )
        self.rules = DataTable(
            RULE_COLUMNS, lambda rule: rule.id, "alert_rules", context_actions=lambda _: self._rule_commands()
        )
        self.table.row_activated.connect(lambda alert: self._center.show_subject(alert))
        self.rules.row_activated.connect(self.edit)
        self._center.changed.connect(self.refresh)
        header = PageHeader(tr("Alerts"))
        header.set_title(
            tr("Alerts"), tr("Rules are watched while this program runs, on every connection that is open.")
        )
        header.add_icon_action("export", tr("Export the rules for Prometheus"), self.export)
        header.add_action(tr("New rule"), self.new, icon_name="plus", kind="primary", tooltip="N")
        halves = QSplitter(Qt.Orientation.Vertical)
        halves.setHandleWidth(theme.SPACE_2)
        halves.setChildrenCollapsible(False)
        halves.addWidget(_panel(tr("Now"), self.table))
        self.webhooks = WebhooksTable(context)
        self.webhooks.commands_changed.connect(self.commands_changed)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(self.rules, tr("Rules"))
        self.tabs.addTab(self.webhooks, tr("Webhooks"))
        self.tabs.currentChanged.connect(lambda _: self.commands_changed.emit())
        halves.addWidget(_surface(self.tabs))
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

    def refresh(self) -> None:
        """Show what holds now, and the rules."""
        alerts = self._center.alerts()
        self.table.set_rows(alerts)
        self.table.set_state("ready" if alerts else "empty", tr("No rule is broken."), icon="check-circle")
        self.webhooks.refresh()
        rules = self._center.rules()
        self.rules.set_rows(rules)
        self.rules.set_state(
            "ready" if rules else "empty", tr("No rules yet."), (tr("New rule"), self.new), icon="bell"
        )

    # Doing ------------------------------------------------------------------------------------

    def new(self) -> None:
        """Add a rule."""
        self.context.run(self._edit(None), tr("add the rule"))

    def edit(self, rule: Rule) -> None:
        """Change a rule."""
        self.context.run(self._edit(rule), tr("save the rule"))

    async def _edit(self, rule: Rule | None) -> None:
        form = RuleForm(self.window(), rule, self._center.preview)
        if await form.ask():
            entered = form.rule()
            rules = [entered if one.id == entered.id else one for one in self._center.rules()]
            self._center.set_rules(rules if rule is not None else [*rules, entered])
            self.rules.select_key(entered.id)

    def export(self) -> None:
        """Write the rules to a file for Prometheus, which watches while this program does not run."""
        path, _ = QFileDialog.getSaveFileName(self, tr("Export for Prometheus"), "memphis-desktop.rules.yml")
        if path:
            self.context.run(self.write_rules(Path(path)), tr("export the rules"))

    async def write_rules(self, path: Path) -> None:
        """Write them, and say which have no counterpart there."""
        rules = self._center.rules()
        text, left_out = prometheus_rules(rules)
        await asyncio.to_thread(path.write_text, text, encoding="utf-8")
        number = len(rules) - len(left_out)
        told = tr_count(
            "Exported {count} rule to {path}, for the figures of prometheus-nats-exporter.",
            "Exported {count} rules to {path}, for the figures of prometheus-nats-exporter.",
            number,
            count=figures.integer(number),
            path=path,
        )
        if left_out:
            titles = ", ".join(SIGNALS[rule.signal].title for rule in left_out[:3])
            missing = tr("Not in it: {titles}.", titles=titles)
            self.context.notify(f"{told} {missing}", "warning")
        else:
            self.context.notify(told, "good")

    def write_note(self, alert: Alert) -> None:
        """Write about an alert; it is there again when the alert comes again."""
        self.context.run(self._write_note(alert), tr("write the note"))

    async def _write_note(self, alert: Alert) -> None:
        form = FormDialog(self.window(), tr("Note about an alert"), tr("Save note"), width=480)
        field = QLineEdit(self._center.note_of(alert))
        field.setMaxLength(LONGEST_NOTE)
        field.setPlaceholderText(tr("What it was, what helped"))
        form.add_row(
            tr("Note"),
            field,
            tr("{label}: shown whenever this alert holds. Empty takes it back.", label=alert.subject.label),
        )
        if await form.ask():
            self._center.write_note(alert, field.text())

    def new_webhook(self) -> None:
        """Add an address to which alerts are sent."""
        self.tabs.setCurrentWidget(self.webhooks)
        self.webhooks.new()

    def _silence(self, alert: Alert, told: str, seconds: float) -> None:
        """Silent for a while; it can be taken back."""
        self._center.snooze(alert, seconds)
        self.context.notify(told, "good", (tr("Undo"), lambda: self._center.wake(alert)))

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
        self.context.notify(
            tr("Deleted the rule."), "good", (tr("Undo"), lambda: self._center.set_rules(before))
        )

    def _alert_commands(self) -> list[Command]:
        alert = self.table.current_row()
        if alert is None:
            return []
        return [
            Command(
                tr("Show what it is about"),
                "",
                lambda: self._center.show_subject(alert),
                "arrow-right",
                name="show_subject",
            ),
            Command(
                tr("Mark as seen"),
                keymap.key("alerts.seen"),
                lambda: self._center.acknowledge(alert),
                "check",
            ),
            *(
                Command(
                    title,
                    key,
                    partial(self._silence, alert, told, seconds),
                    "bell-slash",
                )
                for title, told, key, seconds in _SNOOZES
            ),
            Command(
                tr("Write a note"), keymap.key("alerts.note"), lambda: self.write_note(alert), "note-pencil"
            ),
        ]

    def _rule_commands(self) -> list[Command]:
        rule = self.rules.current_row()
        if rule is None:
            return []
        switch = tr("Switch rule off") if rule.enabled else tr("Switch rule on")
        return [
            Command(
                tr("Edit rule"), keymap.key("alert_rules.edit"), lambda: self.edit(rule), "pencil-simple"
            ),
            Command(
                switch,
                keymap.key("alert_rules.switch"),
                lambda: self.toggle(rule),
                "power",
            ),
            Command(
                tr("Delete rule"),
                keymap.key("alert_rules.delete"),
                lambda: self.delete(rule),
                "trash",
                danger=True,
            ),
        ]

    def commands(self) -> list[Command]:
        """For the palette, the keys and the context menus."""
        below = (
            self.webhooks.commands() if self.tabs.currentWidget() is self.webhooks else self._rule_commands()
        )
        return [
            Command(tr("New rule"), keymap.key("alerts.new_rule"), self.new, "plus"),
            Command(tr("Export the rules for Prometheus"), "", self.export, "export", name="export_rules"),
            Command(tr("New webhook"), keymap.key("alerts.new_webhook"), self.new_webhook, "plus"),
            *self._alert_commands(),
            *below,
        ]


def _surface(content: QWidget) -> QFrame:
    panel = QFrame()
    panel.setProperty("panel", "surface")
    layout = QVBoxLayout(panel)
    layout.setContentsMargins(1, theme.SPACE_1, 1, 1)
    layout.addWidget(content)
    return panel


def _panel(title: str, table: QWidget) -> QFrame:
    panel = QFrame()
    panel.setProperty("panel", "surface")
    layout = QVBoxLayout(panel)
    layout.setContentsMargins(1, theme.SPACE_3, 1, 1)
    layout.setSpacing(theme.SPACE_2)
    heading = PlainLabel(title, "section")
    heading.setContentsMargins(theme.SPACE_2, 0, 0, 0)  # as the first column
    layout.addWidget(heading)
    layout.addWidget(table, 1)
    return panel
