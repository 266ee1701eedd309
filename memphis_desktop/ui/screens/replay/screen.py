"""The replay screen: every run, and the one that is looked at with its controls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QMenu,
    QProgressBar,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.inspect.replay import ReplayState
from memphis_desktop.inspect.replay.command_line import command_line
from memphis_desktop.inspect.replay.runs import RunEntry
from memphis_desktop.inspect.replay.undo import Undo, UndoProgress
from memphis_desktop.language import tr, tr_count
from memphis_desktop.opening import BACKUP_NAMES, MESSAGE_SUFFIXES, holds_messages
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import pad_numbers
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.screen import Command, Route, Screen, ScreenContext
from memphis_desktop.ui.screens.replay.dialog import open_again, open_file_replay
from memphis_desktop.ui.screens.replay.runs import runs_of
from memphis_desktop.ui.screens.replay.starting import resume_replay, target_session_of
from memphis_desktop.ui.theme.icons import beside_text, icon

_REFRESH_MS = 200
_STATES = {
    ReplayState.READY: ("muted", tr("ready")),
    ReplayState.RUNNING: ("information", tr("running")),
    ReplayState.PAUSED: ("warning", tr("paused")),
    ReplayState.DONE: ("good", tr("done")),
    ReplayState.CANCELLED: ("muted", tr("cancelled")),
    ReplayState.FAILED: ("bad", tr("failed")),
    ReplayState.UNDONE: ("muted", tr("undone")),
    ReplayState.INTERRUPTED: ("warning", tr("interrupted")),
}


def _share(entry: RunEntry) -> tuple[float | None, str]:
    progress = entry.progress
    if progress.total:
        share = min(1.0, progress.taken / progress.total)
        return share, figures.percent(share)
    if progress.state is ReplayState.DONE:
        return 1.0, figures.percent(1.0)
    return None, figures.compact(progress.taken)


def _dot(entry: RunEntry) -> tuple[str, str]:
    progress = entry.progress
    token, word = _STATES[progress.state]
    if progress.state is ReplayState.DONE and progress.failed:
        return "warning", tr("done with errors")
    return token, word


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
                Column("state", tr("State"), _dot, kind="dot", width=104),
                Column("source", tr("Source"), lambda entry: entry.source, width=170, stretch=True),
                Column("target", tr("To"), lambda entry: entry.target, kind="mono", width=140),
                Column(
                    "progress",
                    tr("Progress"),
                    _share,
                    kind="bar",
                    width=116,
                    token=lambda entry: _STATES[entry.progress.state][0],
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
        )
        self.table.model.zone = context.zone
        self.table.current_changed.connect(self._show_entry)
        self.panel = RunPanel()
        self.panel.undo_requested.connect(self.undo)
        self.panel.resume_requested.connect(self.resume)
        self.panel.again_requested.connect(self.again)
        self.panel.command_requested.connect(self.copy_command)
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

    def commands(self) -> list[Command]:
        """Steering the run that is shown."""
        return [
            Command(
                tr("Pause or resume the replay"), keymap.key("replay.pause"), self.panel.toggle_pause, "pause"
            ),
            Command(tr("Cancel the replay"), keymap.key("replay.cancel"), self.panel.cancel, "stop"),
            Command(tr("Run the replay again"), keymap.key("replay.again"), self.again, "repeat"),
            Command(tr("Copy the command of the replay"), "", self.copy_command, "copy", name="copy_command"),
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


def _figures(entry: RunEntry) -> list[str]:
    """How far a run is, figure by figure."""
    progress = entry.progress
    taken = figures.integer(progress.taken)
    if progress.total is not None:
        taken = tr("{taken} of {total}", taken=taken, total=figures.integer(progress.total))
    parts = [_dot(entry)[1], taken]
    stored, twice = progress.stored, progress.duplicates
    parts.append(tr_count("{count} stored", "{count} stored", stored, count=figures.integer(stored)))
    if twice:
        parts.append(
            tr_count(
                "{count} duplicate not stored again",
                "{count} duplicates not stored again",
                twice,
                count=figures.integer(twice),
            )
        )
    if out := progress.left_out:
        parts.append(
            tr_count(
                "{count} left out by the filter",
                "{count} left out by the filter",
                out,
                count=figures.integer(out),
            )
        )
    if failed := progress.failed:
        parts.append(tr_count("{count} failed", "{count} failed", failed, count=figures.integer(failed)))
    parts.append(figures.rate(progress.rate))
    parts.append(figures.bytes_size(progress.sent_bytes))
    if progress.ack_seconds is not None:
        parts.append(tr("acknowledged in {duration}", duration=figures.duration(progress.ack_seconds)))
    if progress.remaining_seconds is not None:
        parts.append(tr("{duration} left", duration=figures.duration(progress.remaining_seconds)))
    if entry.undo is not None:
        undone = entry.undo.progress
        parts.append(
            tr(
                "undone: {done} of {total}",
                done=figures.integer(undone.done),
                total=figures.integer(undone.total),
            )
        )
    return parts


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


class RunPanel(QFrame):
    """One run: progress, figures, throttle, pause, cancel, errors, undo."""

    undo_requested = Signal()
    again_requested = Signal()
    command_requested = Signal()
    resume_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("panel", "surface")
        self.entry: RunEntry | None = None
        self.title_label = PlainLabel("", "section", elide=Qt.TextElideMode.ElideMiddle)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(tr("Progress"))
        self.figures_label = PlainLabel("", "muted", wrap=True)
        self.ids_label = PlainLabel("", "caption", selectable=True)
        self.pause_button = QPushButton(tr("Pause"))
        beside_text(self.pause_button, icon("pause"))
        self.cancel_button = QPushButton(tr("Cancel replay"))
        beside_text(self.cancel_button, icon("stop"))
        self.rate_box = QDoubleSpinBox()
        self.rate_box.setRange(0, 1_000_000)
        self.rate_box.setDecimals(0)
        self.rate_box.setSpecialValueText(tr("no limit"))
        self.rate_box.setSuffix(tr(" messages/s"))
        self.rate_box.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
        self.rate_box.setAccessibleName(tr("Highest rate"))
        self.rate_box.setToolTip(tr("Highest rate; takes hold at once"))
        self.rate_box.setKeyboardTracking(False)
        pad_numbers(self.rate_box)
        self.pause_button.clicked.connect(self.toggle_pause)
        self.cancel_button.clicked.connect(self.cancel)
        self.rate_box.valueChanged.connect(self._rate_changed)
        self.problem = Banner("bad")
        self.problem.hide()
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE_2)
        head.addWidget(self.title_label, 1)
        head.addWidget(PlainLabel(tr("at most"), "caption"))
        self.undo_button = QPushButton(tr("Undo"))
        beside_text(self.undo_button, icon("arrow-counter-clockwise"))
        self.undo_button.setToolTip(tr("Remove exactly the messages this replay stored"))
        self.undo_button.clicked.connect(self.undo_requested)
        self.again_button = QPushButton(tr("Run again"))
        beside_text(self.again_button, icon("repeat"))
        self.again_button.setToolTip(tr("Describe the same replay once more  ( A )"))
        self.again_button.clicked.connect(self.again_requested)
        self.command_button = QToolButton()
        self.command_button.setIcon(icon("copy", "muted"))
        self.command_button.setToolTip(tr("Copy the command that does the same, to run in a job"))
        self.command_button.setAccessibleName(tr("Copy the command"))
        self.command_button.clicked.connect(self.command_requested)
        for widget in (
            self.rate_box,
            self.command_button,
            self.pause_button,
            self.cancel_button,
            self.again_button,
            self.undo_button,
        ):
            head.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_4, theme.SPACE_3, theme.SPACE_4, theme.SPACE_3)
        layout.setSpacing(theme.SPACE_2)
        layout.addLayout(head)
        layout.addWidget(self.bar)
        layout.addWidget(self.figures_label)
        layout.addWidget(self.ids_label)
        layout.addWidget(self.problem)
        self.hide()

    def show_entry(self, entry: RunEntry | None) -> None:
        """Show another run."""
        self.entry = entry
        self.setVisible(entry is not None)
        if entry is not None:
            before = self.rate_box.blockSignals(True)
            self.rate_box.setValue(entry.run.rate or 0)
            self.rate_box.blockSignals(before)
        self.refresh()

    def toggle_pause(self) -> None:
        """Pause, or go on."""
        if self.entry is not None:
            run = self.entry.run
            if run.progress.state.resumable:
                if not self.entry.options.file:
                    self.resume_requested.emit()
            elif run.progress.state is ReplayState.PAUSED:
                run.resume()
            else:
                run.pause()
            self.refresh()

    def cancel(self) -> None:
        """End the run; what was sent stays."""
        if self.entry is not None:
            self.entry.run.cancel()
            self.refresh()

    def _rate_changed(self, value: float) -> None:
        if self.entry is not None:
            self.entry.run.set_rate(value or None)

    def refresh(self) -> None:
        """Show the figures of now."""
        entry = self.entry
        if entry is None:
            return
        progress = entry.progress
        self.title_label.setText(f"{entry.source} → {entry.target}")
        share, _ = _share(entry)
        self.bar.setValue(round((share or 0) * 1000))
        self.figures_label.setText("  ·  ".join(_figures(entry)))
        stored = [
            f"{stream} #{figures.integer(first)} – #{figures.integer(last)}"
            for stream, sequences in entry.run.stored_in.items()
            for first, last in sequences.ranges()[:3]
        ]
        run = tr("Run {id}", id=entry.run_id)
        if stored:
            run = tr("Run {id}   stored as {places}", id=entry.run_id, places=", ".join(stored[:4]))
        self.ids_label.setText(run)
        running = not progress.state.ended
        # A file is not gone on with: nothing is left of one that was not finished.
        resumable = progress.state.resumable and entry.record is not None and not entry.options.file
        self.again_button.setVisible(not running)
        self.again_button.setEnabled(entry.record is not None)
        self.pause_button.setEnabled(running or resumable)
        paused = progress.state is ReplayState.PAUSED or resumable
        self.pause_button.setText(tr("Resume") if paused else tr("Pause"))
        self.pause_button.setIcon(icon("play" if paused else "pause"))
        self.cancel_button.setEnabled(running)
        self.rate_box.setEnabled(running)
        self.undo_button.setEnabled(not running and bool(entry.run.stored_in) and entry.undo is None)
        self._show_problem(entry)

    def _show_problem(self, entry: RunEntry) -> None:
        progress = entry.progress
        texts = [f"{count} × {sample}" for _, count, sample in progress.errors[:3]]
        if progress.reason:
            texts.insert(0, progress.reason[:1].upper() + progress.reason[1:])
        self.problem.setVisible(bool(texts))
        if texts:
            self.problem.set_content("bad" if progress.reason else "warning", "\n".join(texts))
