"""One run of a replay: how far it is, its throttle, and what can be done with it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QFrame,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.inspect.replay import ReplayState
from memphis_desktop.inspect.replay.runs import RunEntry
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.dialogs import pad_numbers
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screens.replay.rate_slider import RateSlider
from memphis_desktop.ui.theme.icons import beside_text, icon

STATES = {
    ReplayState.READY: ("muted", tr("ready")),
    ReplayState.RUNNING: ("information", tr("running")),
    ReplayState.PAUSED: ("warning", tr("paused")),
    ReplayState.DONE: ("good", tr("done")),
    ReplayState.CANCELLED: ("muted", tr("cancelled")),
    ReplayState.FAILED: ("bad", tr("failed")),
    ReplayState.UNDONE: ("muted", tr("undone")),
    ReplayState.INTERRUPTED: ("warning", tr("interrupted")),
}


def share_done(entry: RunEntry) -> tuple[float | None, str]:
    """How much of a run is done, for a bar."""
    progress = entry.progress
    if progress.total:
        share = min(1.0, progress.taken / progress.total)
        return share, figures.percent(share)
    if progress.state is ReplayState.DONE:
        return 1.0, figures.percent(1.0)
    return None, figures.compact(progress.taken)


def state_dot(entry: RunEntry) -> tuple[str, str]:
    """The state of a run: a colour and a word."""
    progress = entry.progress
    token, word = STATES[progress.state]
    if progress.state is ReplayState.DONE and progress.failed:
        return "warning", tr("done with errors")
    return token, word


def _figures(entry: RunEntry) -> list[str]:
    """How far a run is, figure by figure."""
    progress = entry.progress
    taken = figures.integer(progress.taken)
    if progress.total is not None:
        taken = tr("{taken} of {total}", taken=taken, total=figures.integer(progress.total))
    parts = [state_dot(entry)[1], taken]
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
    rate, limit = figures.rate(progress.rate), entry.run.rate
    if limit and not progress.state.ended:
        rate = tr("{rate} of {limit} at most", rate=rate, limit=figures.rate(limit))
    parts.append(rate)
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


class RunPanel(QFrame):
    """One run: progress, figures, throttle, pause, cancel, errors, undo."""

    undo_requested = Signal()
    again_requested = Signal()
    command_requested = Signal()
    resume_requested = Signal()
    report_requested = Signal()

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
        self.rate_slider = RateSlider()
        self.rate_slider.rate_chosen.connect(self._rate_chosen)
        self.problem = Banner("bad")
        self.problem.hide()
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE_2)
        head.addWidget(self.title_label, 1)
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
        self.report_button = QToolButton()
        self.report_button.setIcon(icon("export", "muted"))
        self.report_button.setToolTip(tr("Save a report of this replay to a file"))
        self.report_button.setAccessibleName(tr("Save the report"))
        self.report_button.clicked.connect(self.report_requested)
        for widget in (
            self.report_button,
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
        throttle = QHBoxLayout()
        throttle.setSpacing(theme.SPACE_2)
        throttle.addWidget(self.bar, 1)
        throttle.addSpacing(theme.SPACE_3)
        throttle.addWidget(PlainLabel(tr("at most"), "caption"))
        throttle.addWidget(self.rate_slider)
        throttle.addWidget(self.rate_box)
        layout.addLayout(throttle)
        layout.addWidget(self.figures_label)
        layout.addWidget(self.ids_label)
        layout.addWidget(self.problem)
        self.hide()

    def show_entry(self, entry: RunEntry | None) -> None:
        """Show another run."""
        self.entry = entry
        self.setVisible(entry is not None)
        if entry is not None:
            self._show_rate(entry.run.rate)
            self.rate_slider.show_rate(entry.run.rate)
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

    def _show_rate(self, rate: float | None) -> None:
        before = self.rate_box.blockSignals(True)
        self.rate_box.setValue(rate or 0)
        self.rate_box.blockSignals(before)

    def _rate_changed(self, value: float) -> None:
        self.rate_slider.show_rate(value or None)
        if self.entry is not None:
            self.entry.run.set_rate(value or None)

    def _rate_chosen(self, rate: float | None) -> None:
        self._show_rate(rate)
        if self.entry is not None:
            self.entry.run.set_rate(rate)

    def refresh(self) -> None:
        """Show the figures of now."""
        entry = self.entry
        if entry is None:
            return
        progress = entry.progress
        self.title_label.setText(f"{entry.source} → {entry.target}")
        share, _ = share_done(entry)
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
        self.rate_slider.setEnabled(running)
        self.report_button.setEnabled(entry.record is not None)
        self.undo_button.setEnabled(not running and bool(entry.run.stored_in) and entry.undo is None)
        self._show_problem(entry)

    def _show_problem(self, entry: RunEntry) -> None:
        progress = entry.progress
        texts = [f"{figures.integer(count)} × {sample}" for _, count, sample in progress.errors[:3]]
        if progress.reason:
            texts.insert(0, progress.reason[:1].upper() + progress.reason[1:])
        self.problem.setVisible(bool(texts))
        if texts:
            self.problem.set_content("bad" if progress.reason else "warning", "\n".join(texts))
