"""Activity: what was changed, by whom, what was there before; and the program's own log."""

from __future__ import annotations

import json
import logging
import platform
from datetime import datetime

from PySide6.QtCore import QTimer, qVersion
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QTabWidget, QVBoxLayout, QWidget

import memphis_desktop
from memphis_desktop.cluster.activity import Entry
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.screen import Command, Screen, ScreenContext
from memphis_desktop.ui.screens.activity_record import ActivityRecord, surface
from memphis_desktop.ui.shell.log_memory import LogLine

_LOG_REFRESH_MS = 1000
_LEVELS = {"debug": "muted", "info": "information", "warning": "warning", "error": "bad", "critical": "bad"}


LOG_COLUMNS = [
    Column(
        "level",
        tr("Level"),
        lambda line: (_LEVELS.get(line.level_name, "muted"), line.level_name),
        "dot",
        100,
    ),
    Column("time", tr("Time"), lambda line: line.time_ns, "time", 120),
    Column("text", tr("Message"), lambda line: line.text, "text", 400, stretch=True),
    Column("source", tr("Part"), lambda line: line.source, "text", 180),
]


class ActivityScreen(Screen):
    """Two tabs: the record, the log."""

    title = tr("Activity")
    route_name = "activity"
    stale_with = frozenset()

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._log_memory = context.shell.log_memory
        self.record = ActivityRecord(context)
        self.record.commands_changed.connect(self.commands_changed)
        self.table, self.details = self.record.table, self.record.details
        self.log_table = DataTable(
            LOG_COLUMNS, lambda line: line.number, "program_log", default_sort=("time", True)
        )
        self.log_table.current_changed.connect(lambda _: self._show_line())
        self.line_text = CodeBlock(lines=0, wrap=True)
        self._timer = QTimer(self)
        self._timer.setInterval(_LOG_REFRESH_MS)
        self._timer.timeout.connect(self._refresh_log)
        self._build()
        self.zone_changed()

    def _build(self) -> None:
        header = PageHeader(tr("Activity"))
        header.add_action(tr("Export"), self.export, icon_name="export")
        header.add_action(tr("Copy diagnostics"), self.copy_diagnostics, icon_name="first-aid-kit")
        self.log_filter = FilterBar(tr("Filter the log"))
        self.log_filter.add_chip("trouble", tr("Warnings and errors"))
        self.log_filter.text_changed.connect(self.log_table.set_filter)
        self.log_filter.chips_changed.connect(self._narrow_log)
        self.log_filter.left.connect(self.log_table.setFocus)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(self.record, tr("Changes"))
        self.tabs.addTab(
            _page(self.log_filter, SplitView(surface(self.log_table), self.line_text, "log", share=0.4)),
            tr("Program log"),
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
        self.record.refresh()
        self._tab_changed()

    def deactivated(self) -> None:
        """The log is not followed while hidden."""
        self._timer.stop()

    def focus_filter(self) -> None:
        """The filter of the tab that is shown."""
        (self.record.filter if self.tabs.currentIndex() == 0 else self.log_filter).focus()

    def _tab_changed(self) -> None:
        if self.tabs.currentIndex() == 1:
            self._refresh_log()
            self._timer.start()
        else:
            self._timer.stop()

    # The log ----------------------------------------------------------------------------------

    def _refresh_log(self) -> None:
        lines = self._log_memory.lines()
        self.log_table.set_rows(lines)
        self.log_table.set_state("ready" if lines else "empty", tr("The log is empty."), icon="list-dashes")
        count = figures.integer(len(lines))
        self.log_filter.set_count(tr_count("{count} line", "{count} lines", len(lines), count=count))

    def _narrow_log(self, chips: set[str]) -> None:
        self.log_table.set_predicate(_is_trouble if chips else None)

    def _show_line(self) -> None:
        line = self.log_table.current_row()
        self.line_text.set_text(line.text if line is not None else "")

    # Text out ---------------------------------------------------------------------------------

    def diagnostics(self) -> str:
        """What helps to understand trouble, without secrets; in English, for those who mend it."""
        lines = [
            f"Memphis Desktop {memphis_desktop.__version__}",  # untranslated
            f"Python {platform.python_version()}, Qt {qVersion()}, {platform.platform()}",  # untranslated
            f"Written {datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z}",  # untranslated
            "",
        ]
        for line in self._log_memory.lines()[-300:]:
            moment = figures.timestamp(line.time_ns, self.context.zone)
            lines.append(f"{moment} {line.level_name} {line.source}: {line.text}")
        return "\n".join(lines)

    def copy_diagnostics(self) -> None:
        """Put them on the clipboard."""
        QGuiApplication.clipboard().setText(self.diagnostics())
        self.context.notify(tr("Diagnostics are on the clipboard. They hold no secrets."), "good")

    def export(self) -> None:
        """Write the record to a file."""
        dialog = QFileDialog(
            self, tr("Export the record"), "memphis-desktop-activity.json", tr("JSON (*.json)")
        )
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("json")
        dialog.fileSelected.connect(self.export_to)
        dialog.open()

    def export_to(self, path: str) -> None:
        """Write the record as JSON."""
        names = [name for name in Entry.__slots__ if name != "number"]
        rows = [{name: getattr(entry, name) for name in names} for entry in self.record.entries()]
        try:
            with open(path, "w", encoding="utf-8") as file:
                json.dump(rows, file, indent=1, ensure_ascii=False, default=dict)
        except OSError as error:
            self.context.notify(tr("Could not export the record. {reason}.", reason=error.strerror), "bad")
            return
        told = tr_count(
            "Exported {count} entry.",
            "Exported {count} entries.",
            len(rows),
            count=figures.integer(len(rows)),
        )
        self.context.notify(told, "good")

    def commands(self) -> list[Command]:
        """For the palette, the keys and the context menu."""
        found = [
            Command(tr("Export the record"), keymap.key("activity.export"), self.export, "export"),
            Command(
                tr("Copy diagnostics"), "", self.copy_diagnostics, "first-aid-kit", name="copy_diagnostics"
            ),
        ]
        return found + (self.record.row_commands() if self.tabs.currentIndex() == 0 else [])


def _is_trouble(line: LogLine) -> bool:
    return line.level >= logging.WARNING


def _page(bar: QWidget, content: QWidget) -> QWidget:
    page = QWidget()
    layout = QVBoxLayout(page)
    layout.setContentsMargins(0, theme.SPACE_3, 0, 0)
    layout.setSpacing(theme.SPACE_3)
    layout.addWidget(bar)
    layout.addWidget(content, 1)
    return page
