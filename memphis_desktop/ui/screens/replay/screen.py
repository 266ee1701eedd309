"""The replay screen: every run, and the one that is looked at with its controls."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QMenu,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.inspect.replay.command_line import command_line
from memphis_desktop.inspect.replay.report import suggested_name, write_report
from memphis_desktop.inspect.replay.runs import RunEntry
from memphis_desktop.inspect.replay.undo import Undo, UndoProgress
from memphis_desktop.language import tr, tr_count
from memphis_desktop.opening import BACKUP_NAMES, MESSAGE_SUFFIXES, holds_messages
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.screen import Command, Route, Screen, ScreenContext
from memphis_desktop.ui.screens.replay.dialog import open_again, open_file_replay
from memphis_desktop.ui.screens.replay.run_panel import STATES, RunPanel, share_done, state_dot
from memphis_desktop.ui.screens.replay.runs import runs_of
from memphis_desktop.ui.screens.replay.starting import resume_replay, target_session_of

_REFRESH_MS = 200


class ReplayScreen(Screen):
    """Runs in a table; below, the one with the cursor."""

    title = tr("Replay")
    route_name = "replay"

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.runs = runs_of(context.session)
        self.header = PageHeader(tr("Replay"))
        self.header.set_title(
            tr("Replay"), tr("Messages published again, with where they came from and what became of them")
        )
        self.file_button = self.header.add_action(tr("Replay a file"), self._show_file_menu)
        self.file_button.setToolTip(
            tr("Messages exported to a file, or a backup; it can be dropped here too")
        )
        self.forget_button = self.header.add_action(tr("Clear ended"), self._forget, kind="ghost")
        self.table = DataTable(
            [
                Column("state", tr("State"), state_dot, kind="dot", width=104),
                Column("source", tr("Source"), lambda entry: entry.source, width=170, stretch=True),
                Column("target", tr("To"), lambda entry: entry.target, kind="mono", width=140),
                Column(
                    "progress",
                    tr("Progress"),
                    share_done,
                    kind="bar",
                    width=116,
                    token=lambda entry: STATES[entry.progress.state][0],
                ),
                Column("stored", tr("Stored"), lambda entry: entry.progress.stored, kind="number", width=70),
                Column(
                    "duplicates",
                    tr("Duplicates"),
                    lambda entry: entry.progress.duplicates,
                    kind="number",
                    width=86,
                ),
                Column(
                    "failed",
                    tr("Failed"),
                    lambda entry: entry.progress.failed,
                    kind="number",
                    width=64,
                    token=lambda entry: "bad" if entry.progress.failed else None,
                ),
                Column("rate", tr("Rate"), lambda entry: entry.progress.rate, kind="rate", width=78),
                Column(
                    "elapsed", tr("Took"), lambda entry: entry.progress.elapsed, kind="duration", width=76
                ),
                Column("started", tr("Started"), lambda entry: entry.started_ns, kind="time", width=92),
            ],
            lambda entry: entry.run_id,
            "replays",
            context_actions=lambda _: self.row_commands(),
        )
        self.table.model.zone = context.zone
        self.table.current_changed.connect(self._show_entry)
        self.panel = RunPanel()
        self.panel.undo_requested.connect(self.undo)
        self.panel.resume_requested.connect(self.resume)
        self.panel.again_requested.connect(self.again)
        self.panel.command_requested.connect(self.copy_command)
        self.panel.report_requested.connect(self.save_report)
        self._timer = QTimer(self)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(self.refresh)
        frame = QFrame()
        frame.setProperty("panel", "surface")
        inner = QVBoxLayout(frame)
        inner.setContentsMargins(1, 1, 1, 1)
        inner.addWidget(self.table)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, theme.SPACE_4)
        layout.setSpacing(theme.SPACE_4)
        layout.addWidget(self.header)
        layout.addWidget(frame, 1)
        layout.addWidget(self.panel)
        self._wanted = ""
        self.refresh()

    def show_route(self, route: Route) -> None:
        """Put the cursor on a run."""
        self._wanted = route.get("run")
        self.refresh()

    def activated(self) -> None:
        """Keep the figures fresh while in view."""
        self._timer.start()
        self.refresh()

    def deactivated(self) -> None:
        """Runs go on; only their figures are no longer drawn."""
        self._timer.stop()

    def refresh(self) -> None:
        """Show the runs as they are now."""
        entries = self.runs.entries
        self.table.set_rows(list(entries))
        self.table.view.viewport().update()
        if entries:
            self.table.set_state("ready")
        else:
            action = (tr("Choose a station"), lambda: self.context.navigate(Route("stations")))
            text = tr("No replays yet. Select messages in a station and press R.")
            self.table.set_state("empty", text, action, "repeat")
        if self._wanted:
            entry = self.runs.find(self._wanted)
            if entry is not None:
                self._wanted = ""
                self.table.select_key(entry.run_id)
                self.panel.show_entry(entry)
        elif self.panel.entry is None and entries:
            self.panel.show_entry(entries[0])
        self.forget_button.setEnabled(any(entry.progress.state.ended for entry in entries))
        self.panel.refresh()

    def row_commands(self) -> list[Command]:
        """What can be done with the run that is shown."""
        return [
            Command(
                tr("Pause or resume the replay"), keymap.key("replay.pause"), self.panel.toggle_pause, "pause"
            ),
            Command(tr("Cancel the replay"), keymap.key("replay.cancel"), self.panel.cancel, "stop"),
            Command(tr("Run the replay again"), keymap.key("replay.again"), self.again, "repeat"),
            Command(tr("Copy the command of the replay"), "", self.copy_command, "copy", name="copy_command"),
            Command(tr("Save the report of the replay"), "", self.save_report, "export", name="save_report"),
        ]

    def commands(self) -> list[Command]:
        """Steering the run that is shown, and beginning another."""
        return [
            *self.row_commands(),
            Command(tr("Replay a file"), "", self._choose_file, "file", name="replay_file"),
            Command(tr("Replay a backup"), "", self._choose_backup, "archive-tray", name="replay_backup"),
        ]

    def accept_file(self, path: str) -> bool:
        """A file of messages or a backup that is dropped here is replayed."""
        if not holds_messages(Path(path)):
            return False
        open_file_replay(self.context, self.window(), path)
        return True

    def _show_file_menu(self) -> None:
        menu = QMenu(self)
        menu.addAction(tr("A file"), self._choose_file)
        menu.addAction(tr("The folder of a backup"), self._choose_backup)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self.file_button.mapToGlobal(QPoint(0, self.file_button.height())))

    def _choose_file(self) -> None:
        names = " ".join([*(f"*{suffix}" for suffix in MESSAGE_SUFFIXES), *BACKUP_NAMES])
        path, _ = QFileDialog.getOpenFileName(
            self, tr("Replay a file"), "", tr("Messages and backups ({names})", names=names)
        )
        if path:
            open_file_replay(self.context, self.window(), path)

    def _choose_backup(self) -> None:
        path = QFileDialog.getExistingDirectory(self, tr("Replay a backup"))
        if path:
            open_file_replay(self.context, self.window(), path)

    def resume(self) -> None:
        """Go on with the run that is shown, which ended before its source did."""
        if self.panel.entry is not None:
            self.context.run(self._resume(self.panel.entry), tr("resume the replay"))

    async def _resume(self, entry: RunEntry) -> None:
        resumed = await resume_replay(self.context, self.window(), entry)
        self.panel.show_entry(resumed)
        self.refresh()
        self.table.select_key(resumed.run_id)

    def again(self) -> None:
        """Describe the run that is shown once more, to be started again."""
        entry = self.panel.entry
        if entry is not None and entry.record is not None and entry.progress.state.ended:
            open_again(self.context, self.window(), entry.record)

    def copy_command(self) -> None:
        """Put the command that does the same as the run that is shown on the clipboard."""
        entry = self.panel.entry
        line = command_line(entry.record) if entry is not None and entry.record is not None else ""
        if not line:
            text = tr("Messages that were chosen one by one cannot be named in a command.")
            self.context.notify(text if entry is not None else tr("There is no replay."), "warning")
            return
        QGuiApplication.clipboard().setText(line)
        self.context.notify(tr("Copied the command. A login goes beside it, or into a context."), "good")

    def save_report(self) -> None:
        """Ask for a file, and write there what became of the run that is shown."""
        entry = self.panel.entry
        if entry is None or entry.record is None:
            self.context.notify(tr("There is no replay."), "warning")
            return
        path, _ = QFileDialog.getSaveFileName(
            self,
            tr("Save the report of the replay"),
            suggested_name(entry.record),
            tr("Reports (*.md *.json)"),
        )
        if path:
            self.context.run(self.write_report(entry, Path(path)), tr("save the report"))

    async def write_report(self, entry: RunEntry, path: Path) -> None:
        """Write what became of a run, or how far it is: JSON when the name says so, else a page."""
        record = entry.as_recorded()
        try:
            await asyncio.to_thread(write_report, path, record)
        except OSError as error:
            reason = error.strerror or str(error)
            self.context.notify(tr("The report could not be written: {reason}.", reason=reason), "bad")
            return
        self.context.notify(tr("Saved the report to {path}.", path=path), "good")

    def undo(self) -> None:
        """Remove the copies of the run that is shown, after asking."""
        if self.panel.entry is not None:
            self.context.run(self._undo(self.panel.entry), tr("undo the replay"))

    async def _undo(self, entry: RunEntry) -> None:
        stored = sum(len(sequences) for sequences in entry.run.stored_in.values())
        streams = ", ".join(entry.run.stored_in)
        count = figures.integer(stored)
        session = entry.session or target_session_of(self.context, self.window(), entry)
        text = tr_count(
            "{count} message that this replay stored in {streams} will be removed for good. Others stay.",
            "{count} messages that this replay stored in {streams} will be removed for good. Others stay.",
            stored,
            count=count,
            streams=streams,
        )
        verb = tr_count("Remove {count} message", "Remove {count} messages", stored, count=count)
        name = streams if session.profile.environment.value == "production" else None
        if not await self.context.confirm(tr("Undo this replay?"), text, verb, name):
            return
        entry.undo = Undo(session.nats, entry.run.stored_in, session.profile.api_prefix)
        progress = await entry.undo.run()
        if not progress.failed:
            await self.runs.note_undone(entry)
        self.context.notify(_undone_sentence(progress), "bad" if progress.failed else "good")
        self.refresh()

    def _show_entry(self, entry: Any) -> None:
        if entry is not None:
            self.panel.show_entry(entry)

    def _forget(self) -> None:
        self.runs.forget_ended()
        self.panel.show_entry(None)
        self.refresh()


def _undone_sentence(progress: UndoProgress) -> str:
    """What became of the copies of a run."""
    parts = [
        tr_count(
            "Removed {count} message.",
            "Removed {count} messages.",
            progress.removed,
            count=figures.integer(progress.removed),
        )
    ]
    if progress.gone:
        count = figures.integer(progress.gone)
        parts.append(
            tr_count("{count} was gone already.", "{count} were gone already.", progress.gone, count=count)
        )
    if progress.failed:
        parts.append(
            tr_count(
                "{count} failed: {reason}.",
                "{count} failed: {reason}.",
                progress.failed,
                count=figures.integer(progress.failed),
                reason=progress.reason,
            )
        )
    return " ".join(parts)
