"""Activity: what was changed, by whom, what was there before; and the program's own log."""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Mapping
from datetime import datetime

from PySide6.QtCore import Qt, QTimer, qVersion
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QFrame, QPushButton, QScrollArea, QTabWidget, QVBoxLayout, QWidget

import memphis_desktop
from memphis_desktop.cluster import actions
from memphis_desktop.cluster.activity import Entry
from memphis_desktop.cluster.model import StreamSnapshot
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.screen import Command, Screen, ScreenContext
from memphis_desktop.ui.shell.log_memory import LogLine

_LOG_REFRESH_MS = 1000
_LEVELS = {"debug": "muted", "info": "information", "warning": "warning", "error": "bad", "critical": "bad"}


def _result(entry: Entry) -> tuple[str, str]:
    if entry.by_others:
        return "information", "By others"
    return ("bad", "Failed") if entry.problem else ("good", "Done")


COLUMNS = [
    Column("result", "Result", _result, "dot", 110),
    Column("time", "Time", lambda entry: entry.time_ns, "time", 120),
    Column("title", "Action", lambda entry: entry.title, "text", 220, stretch=True),
    Column("connection", "Connection", lambda entry: entry.connection, "text", 130),
    Column(
        "environment", "Environment", lambda entry: entry.environment.capitalize(), "text", 110, visible=False
    ),
    Column("identity", "As", lambda entry: entry.identity or None, "text", 110),
    Column("seconds", "Took", lambda entry: entry.seconds or None, "duration", 80),
    Column("subject", "Subject", lambda entry: entry.subject, "mono", 220, visible=False),
]

LOG_COLUMNS = [
    Column(
        "level", "Level", lambda line: (_LEVELS.get(line.level_name, "muted"), line.level_name), "dot", 100
    ),
    Column("time", "Time", lambda line: line.time_ns, "time", 120),
    Column("text", "Message", lambda line: line.text, "text", 400, stretch=True),
    Column("source", "Part", lambda line: line.source, "text", 180),
]


class ActivityScreen(Screen):
    """Two tabs: the record, the log."""

    title = "Activity"
    route_name = "activity"
    stale_with = frozenset()

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._log_activity = context.shell.activity
        self._log_memory = context.shell.log_memory
        self.table = DataTable(
            COLUMNS,
            lambda entry: entry.number,
            "activity",
            default_sort=("time", True),
            context_actions=self._menu,
        )
        self.table.current_changed.connect(lambda _: self._show_entry())
        self.log_table = DataTable(
            LOG_COLUMNS, lambda line: line.number, "program_log", default_sort=("time", True)
        )
        self.log_table.current_changed.connect(lambda _: self._show_line())
        self.details = _EntryDetails()
        self.details.restore_button.clicked.connect(self.restore)
        self.line_text = CodeBlock(lines=0, wrap=True)
        self._unsubscribe = self._log_activity.subscribe(self._refresh_record)
        self.destroyed.connect(self._unsubscribe)
        self._timer = QTimer(self)
        self._timer.setInterval(_LOG_REFRESH_MS)
        self._timer.timeout.connect(self._refresh_log)
        self._build()
        self.zone_changed()

    def _build(self) -> None:
        header = PageHeader("Activity")
        header.add_action("Export", self.export, icon_name="export")
        header.add_action("Copy diagnostics", self.copy_diagnostics, icon_name="first-aid-kit")
        self.filter = FilterBar("Filter the record")
        self.filter.add_chip("failed", "Failed")
        self.filter.add_chip("others", "By others")
        self.filter.text_changed.connect(self.table.set_filter)
        self.filter.chips_changed.connect(self._narrow)
        self.filter.left.connect(self.table.setFocus)
        self.log_filter = FilterBar("Filter the log")
        self.log_filter.add_chip("trouble", "Warnings and errors")
        self.log_filter.text_changed.connect(self.log_table.set_filter)
        self.log_filter.chips_changed.connect(self._narrow_log)
        self.log_filter.left.connect(self.log_table.setFocus)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(
            _page(self.filter, SplitView(_panel(self.table), self.details, "activity")), "Changes"
        )
        self.tabs.addTab(
            _page(self.log_filter, SplitView(_panel(self.log_table), self.line_text, "log", share=0.4)),
            "Program log",
        )
        self.tabs.currentChanged.connect(self._tab_changed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_5, 20, theme.SPACE_5, 20)
        layout.setSpacing(theme.SPACE_3)
        layout.addWidget(header)
        layout.addWidget(self.tabs, 1)

    # Coming and going -------------------------------------------------------------------------

    def activated(self) -> None:
        """Read both."""
        self._refresh_record()
        self._tab_changed()

    def deactivated(self) -> None:
        """The log is not followed while hidden."""
        self._timer.stop()

    def zone_changed(self) -> None:
        """Times in the new zone."""
        for table in (self.table, self.log_table):
            table.set_zone(self.context.zone)

    def focus_filter(self) -> None:
        """The filter of the tab that is shown."""
        (self.filter if self.tabs.currentIndex() == 0 else self.log_filter).focus()

    def _tab_changed(self) -> None:
        if self.tabs.currentIndex() == 1:
            self._refresh_log()
            self._timer.start()
        else:
            self._timer.stop()

    # The record -------------------------------------------------------------------------------

    def _refresh_record(self) -> None:
        entries = self._log_activity.entries()
        self.table.set_rows(entries)
        self.table.set_state(
            "ready" if entries else "empty",
            "Nothing was changed yet. Every change made here is recorded, with what was there before.",
            icon="clock-counter-clockwise",
        )
        self.filter.set_count(figures.count_noun(len(entries), "entry", "entries"))
        self._show_entry()

    def _narrow(self, chips: set[str]) -> None:
        def fits(entry: Entry) -> bool:
            return ("failed" in chips and bool(entry.problem)) or ("others" in chips and entry.by_others)

        self.table.set_predicate(fits if chips else None)

    def _show_entry(self) -> None:
        entry = self.table.current_row()
        self.details.show_entry(entry, self.context)

    def _menu(self, entries: list[Entry]) -> list[Command]:
        return [command for command in self.commands() if command.title.startswith(("Copy the", "Restore"))]

    def restore(self) -> None:
        """Put the configuration back that the marked change replaced."""
        entry = self.table.current_row()
        if entry is not None and restorable(entry):
            self.context.run(self._restore(entry), "restore the configuration")

    async def _restore(self, entry: Entry) -> None:
        session = self.context.shell.session_of(entry.profile_id)
        if session is None:
            self.context.notify(f"Connect to {entry.connection} first: the change was made there.", "warning")
            return
        action = restoring_action(entry, session.snapshot.streams)
        moment = figures.timestamp(entry.time_ns, self.context.zone, digits=0)
        agreed = await self.context.confirm(
            "Restore this configuration",
            f"{action.title} on {entry.connection}, with the configuration from before {moment}.",
            "Restore configuration",
            entry.stream,
        )
        if agreed:
            await action.run(session)
            self.context.notify(f"{action.title}: done.", "good")

    # The log ----------------------------------------------------------------------------------

    def _refresh_log(self) -> None:
        lines = self._log_memory.lines()
        self.log_table.set_rows(lines)
        self.log_table.set_state("ready" if lines else "empty", "The log is empty.", icon="list-dashes")
        self.log_filter.set_count(figures.count_noun(len(lines), "line"))

    def _narrow_log(self, chips: set[str]) -> None:
        self.log_table.set_predicate(_is_trouble if chips else None)

    def _show_line(self) -> None:
        line = self.log_table.current_row()
        self.line_text.set_text(line.text if line is not None else "")

    # Text out ---------------------------------------------------------------------------------

    def diagnostics(self) -> str:
        """What helps to understand trouble, without secrets."""
        lines = [
            f"Memphis Desktop {memphis_desktop.__version__}",
            f"Python {platform.python_version()}, Qt {qVersion()}, {platform.platform()}",
            f"Written {datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z}",
            "",
        ]
        for line in self._log_memory.lines()[-300:]:
            moment = figures.timestamp(line.time_ns, self.context.zone)
            lines.append(f"{moment} {line.level_name} {line.source}: {line.text}")
        return "\n".join(lines)

    def copy_diagnostics(self) -> None:
        """Put them on the clipboard."""
        QGuiApplication.clipboard().setText(self.diagnostics())
        self.context.notify("Diagnostics are on the clipboard. They hold no secrets.", "good")

    def export(self) -> None:
        """Write the record to a file."""
        dialog = QFileDialog(self, "Export the record", "memphis-desktop-activity.json", "JSON (*.json)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("json")
        dialog.fileSelected.connect(self.export_to)
        dialog.open()

    def export_to(self, path: str) -> None:
        """Write the record as JSON."""
        names = [name for name in Entry.__slots__ if name != "number"]
        rows = [{name: getattr(entry, name) for name in names} for entry in self._log_activity.entries()]
        try:
            with open(path, "w", encoding="utf-8") as file:
                json.dump(rows, file, indent=1, ensure_ascii=False, default=dict)
        except OSError as error:
            self.context.notify(f"Could not export the record. {error.strerror}.", "bad")
            return
        self.context.notify(f"Exported {figures.count_noun(len(rows), 'entry', 'entries')}.", "good")

    def commands(self) -> list[Command]:
        """For the palette, the keys and the context menu."""
        entry = self.table.current_row() if self.tabs.currentIndex() == 0 else None
        found = [
            Command("Export the record", "Ctrl+S", self.export, "export"),
            Command("Copy diagnostics", "", self.copy_diagnostics, "first-aid-kit"),
        ]
        if entry is not None:
            command = entry.command

            def copy() -> None:
                QGuiApplication.clipboard().setText(command)

            if command:
                found.append(Command("Copy the command", "Y", copy, "copy"))
            if restorable(entry):
                found.append(
                    Command("Restore this configuration", "R", self.restore, "arrow-counter-clockwise")
                )
        return found


def restorable(entry: Entry) -> bool:
    """Whether the entry holds a configuration that can be put back."""
    return bool(entry.before) and not entry.problem and not entry.by_others


def restoring_action(entry: Entry, streams: Mapping[str, StreamSnapshot]) -> actions.Action:
    """The action that puts back what an entry replaced or removed."""
    before = dict(entry.before or {})
    if ".CONSUMER." in entry.subject:
        return actions.create_consumer(entry.stream, before, purpose="")
    present = streams.get(entry.stream)
    return (
        actions.update_stream(before, present.config)
        if present is not None
        else actions.create_stream(before)
    )


def _is_trouble(line: LogLine) -> bool:
    return line.level >= logging.WARNING


class _EntryDetails(QFrame):
    """One change in full: command, request, what was there before, what came of it."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("panel", "surface")
        self._title = PlainLabel("", "section", wrap=True)
        self._when = PlainLabel("", "muted", wrap=True)
        self._problem = PlainLabel("", "bad", wrap=True, selectable=True)
        self._parts: list[tuple[PlainLabel, CodeBlock]] = []
        self.restore_button = QPushButton("Restore this configuration")
        inner = QVBoxLayout()
        inner.setContentsMargins(theme.SPACE_4, theme.SPACE_4, theme.SPACE_4, theme.SPACE_4)
        inner.setSpacing(theme.SPACE_3)
        for label in (self._title, self._when, self._problem):
            inner.addWidget(label)
        for name in ("Command", "Request", "Before"):
            label, block = PlainLabel(name, "caption"), CodeBlock(lines=10, wrap=True)
            inner.addWidget(label)
            inner.addWidget(block)
            self._parts.append((label, block))
        inner.addWidget(self.restore_button, 0, Qt.AlignmentFlag.AlignLeft)
        inner.addStretch()
        holder = QWidget()
        holder.setObjectName("scrolled")
        holder.setLayout(inner)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(holder)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(1, 1, 1, 1)
        layout.addWidget(area)

    def show_entry(self, entry: Entry | None, context: ScreenContext) -> None:
        """Show an entry; nothing for none."""
        self.setVisible(entry is not None)
        if entry is None:
            return
        self._title.setText(entry.title)
        who = f" as {entry.identity}" if entry.identity else ""
        where = f"{entry.connection} ({entry.environment}){who}"
        self._when.setText(f"{figures.timestamp(entry.time_ns, context.zone, digits=0)} on {where}")
        self._problem.setText(entry.problem)
        self._problem.setVisible(bool(entry.problem))
        request = entry.subject
        if entry.body is not None:
            request += "\n" + json.dumps(entry.body, indent=2, ensure_ascii=False)
        before = json.dumps(entry.before, indent=2, ensure_ascii=False, default=dict) if entry.before else ""
        for (label, block), text in zip(self._parts, (entry.command, request, before), strict=True):
            block.set_text(text)
            block.setVisible(bool(text))
            label.setVisible(bool(text))
        self.restore_button.setVisible(restorable(entry))


def _panel(table: QWidget) -> QFrame:
    panel = QFrame()
    panel.setProperty("panel", "surface")
    layout = QVBoxLayout(panel)
    layout.setContentsMargins(1, 1, 1, 1)
    layout.addWidget(table)
    return panel


def _page(bar: QWidget, content: QWidget) -> QWidget:
    page = QWidget()
    layout = QVBoxLayout(page)
    layout.setContentsMargins(0, theme.SPACE_3, 0, 0)
    layout.setSpacing(theme.SPACE_3)
    layout.addWidget(bar)
    layout.addWidget(content, 1)
    return page
