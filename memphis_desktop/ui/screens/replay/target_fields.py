"""Where a replay's copies go: a connection or a file, a subject, perhaps one consumer only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.one_consumer import ConsumerPlan, NotPossible, read_plan
from memphis_desktop.cluster.profiles import Environment
from memphis_desktop.inspect.replay.records import RunRecord
from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.dialogs import FormDialog
from memphis_desktop.ui.components.labels import PlainLabel

_MOST_CONSUMERS = 1024  # offered by name: as many as the server tells at once

Consumer = tuple[str, str]  # stream and name


class TargetFields(QObject):
    """The fields, as rows of a form.

    Attributes:
        plan: How the chosen consumer is reached, once that is known.
    """

    changed = Signal()

    def __init__(self, form: FormDialog, sessions: list[tuple[str, Any]], name: str) -> None:
        """Add them to a form.

        Args:
            form: The form.
            sessions: The connections to choose from, this one first.
            name: What a file is called at first.
        """
        super().__init__(form)
        self._form = form
        self._sessions = sessions
        self._name = name
        self.plan: ConsumerPlan | None = None
        self._refusal = ""
        self._wanted: Consumer | None = None  # chosen in an earlier replay, not listed yet
        self._planned: tuple[object, ...] = ()
        self._build_place()
        self._build_subject()
        self._build_consumer()
        self._show()

    def _build_place(self) -> None:
        self.connection_box = QComboBox()
        for name, _ in self._sessions:
            self.connection_box.addItem(name)
        self.connection_box.addItem(tr("A file"))
        self._form.add_row(
            tr("To"), self.connection_box, tr("Any connection that is open in a tab, or a file.")
        )
        self.file_field = QLineEdit()
        self.file_field.setProperty("role", "mono")
        self.file_field.setPlaceholderText(tr("messages.ndjson, or .mdump for a binary dump"))
        self.file_field.setAccessibleName(tr("File to write"))
        choose = QPushButton(tr("Choose"))
        choose.setAutoDefault(False)
        choose.clicked.connect(self._choose_file)
        self._file_row = QWidget()
        row = QHBoxLayout(self._file_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.SPACE_2)
        row.addWidget(self.file_field, 1)
        row.addWidget(choose)
        self._form.add_row(tr("File"), self._file_row)
        self.connection_box.currentIndexChanged.connect(self._place_changed)

    def _build_subject(self) -> None:
        self.subject_field = QLineEdit("{subject}")
        self.subject_field.setProperty("role", "mono")
        self.subject_field.textChanged.connect(self._show)
        self.note = _caption()
        help_text = tr("{subject} is the original's, {1} its first part; also {stream} and {sequence}.")
        self._form.add_row(tr("To subject"), _column(self.subject_field, self.note), help_text)

    def _build_consumer(self) -> None:
        self.consumer_box = QComboBox()
        self.consumer_box.addItem(tr("Every consumer that takes them"), None)
        self.consumer_box.setAccessibleName(tr("Who gets the copies"))
        self.consumer_box.currentIndexChanged.connect(self._show)
        self.consumer_note = _caption()
        self._consumer_row = _column(self.consumer_box, self.consumer_note)
        self._form.add_row(tr("For"), self._consumer_row)

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self._form, tr("Write the messages to"), f"{self._name}.ndjson", tr("Messages (*.ndjson *.mdump)")
        )
        if path:
            self.file_field.setText(path)

    # What is chosen -----------------------------------------------------------------------------

    @property
    def into_file(self) -> bool:
        """Whether the copies go to a file."""
        return self.connection_box.currentIndex() == len(self._sessions)

    @property
    def file(self) -> str:
        """The file they go to; empty without one."""
        return str(Path(self.file_field.text().strip()).expanduser()) if self.into_file else ""

    @property
    def session(self) -> Any:
        """The connection the copies go to; this one, where they go to a file."""
        index = self.connection_box.currentIndex()
        return self._sessions[index if 0 <= index < len(self._sessions) else 0][1]

    @property
    def consumer(self) -> Consumer | None:
        """Who alone gets them."""
        return None if self.into_file else _consumer(self.consumer_box.currentData())

    @property
    def production(self) -> str:
        """The name to be typed when the copies go to production; empty when they do not."""
        profile = self.session.profile
        is_production = profile.environment is Environment.PRODUCTION and not self.into_file
        return profile.name if is_production else ""

    def take(self, record: RunRecord) -> None:
        """Those of an earlier replay."""
        options = record.options
        self.subject_field.setText(options.subject)
        if options.file:
            self.connection_box.setCurrentIndex(len(self._sessions))
            self.file_field.setText(options.file)
            return
        ids = [session.profile.id for _, session in self._sessions]
        if record.target_at.id in ids:
            self.connection_box.setCurrentIndex(ids.index(record.target_at.id))
        if options.only is not None:
            self._wanted = options.only.stream, options.only.consumer
            self.consumer_box.addItem(_title(self._wanted), "/".join(self._wanted))
            self.consumer_box.setCurrentIndex(self.consumer_box.count() - 1)

    # What is wrong ------------------------------------------------------------------------------

    def file_problem(self) -> str:
        """What is wrong with the file; empty when nothing is."""
        if not self.into_file:
            return ""
        path = Path(self.file)
        if not self.file_field.text().strip() or path.is_dir():
            return tr("Choose the file to write to.")
        return "" if path.parent.is_dir() else tr("There is no folder {path}.", path=path.parent)

    def consumer_problem(self) -> str:
        """Why the consumer cannot be reached alone; empty when it can."""
        if self.consumer is None:
            return ""
        if self._refusal:
            return self._refusal
        return "" if self.plan is not None else tr("How the consumer is reached is being looked up.")

    # Showing ------------------------------------------------------------------------------------

    def show_note(self, text: str, role: str) -> None:
        """Say below the subject where an example goes."""
        self.note.setText(text)
        self.note.setRole(role)

    def _place_changed(self) -> None:
        self._offer(None, ())
        self._show()

    def _show(self) -> None:
        self._form.form.setRowVisible(self._file_row, self.into_file)
        cell = self._consumer_row
        if self._form.form.indexOf(cell) >= 0:
            self._form.form.setRowVisible(cell, not self.into_file)
        if self.consumer is None:
            self.plan, self._refusal, self._planned = None, "", ()
            self.consumer_note.setText("")
        self.consumer_note.setVisible(bool(self.consumer_note.text()))
        self.changed.emit()

    async def look_up(self, stream: str | None, patterns: Sequence[str]) -> None:
        """Offer the consumers of the station that stores the copies, and find out how one is reached.

        Args:
            stream: The station; None when no station stores them.
            patterns: What covers the subjects of the copies.
        """
        if self.into_file:
            return
        session = self.session
        names: list[str] = []
        if stream is not None:
            try:
                names = (await session.api(f"CONSUMER.NAMES.{stream}")).get("consumers") or []
            except ClusterError:
                names = []  # who may not list them may not choose one
        if not isValid(self) or session is not self.session:
            return
        self._offer(stream, names[:_MOST_CONSUMERS])
        chosen = self.consumer
        if chosen is None or self._planned == (chosen, *patterns):
            return
        plan, refusal = None, ""
        try:
            plan = await read_plan(session, *chosen, patterns)
        except (NotPossible, ClusterError) as error:
            refusal = str(error)
        if isValid(self) and chosen == self.consumer:
            self._planned = (chosen, *patterns)
            self.plan, self._refusal = plan, refusal
            self.consumer_note.setText(refusal or (plan.explanation if plan is not None else ""))
            self.consumer_note.setRole("warning" if refusal else "caption")
            self.consumer_note.show()

    def _offer(self, stream: str | None, names: Sequence[str]) -> None:
        """List consumers; the one that is chosen stays."""
        offered: list[Consumer] = [(stream, name) for name in names] if stream is not None else []
        chosen = _consumer(self.consumer_box.currentData())
        if chosen is not None and chosen not in offered and chosen == self._wanted:
            offered.append(chosen)
        present = [_consumer(self.consumer_box.itemData(row)) for row in range(1, self.consumer_box.count())]
        if present == offered:
            return
        blocked = self.consumer_box.blockSignals(True)
        while self.consumer_box.count() > 1:
            self.consumer_box.removeItem(1)
        for one in offered:
            self.consumer_box.addItem(_title(one), "/".join(one))
        at = offered.index(chosen) + 1 if chosen in offered else 0
        self.consumer_box.setCurrentIndex(at)
        self.consumer_box.blockSignals(blocked)
        if chosen is not None and not at:
            self._show()


def _consumer(key: str | None) -> Consumer | None:
    """What an entry stands for; no name has a slash in it."""
    if not key:
        return None
    stream, _, name = key.partition("/")
    return stream, name


def _title(consumer: Consumer) -> str:
    return tr("Only {consumer} of {station}", consumer=consumer[1], station=consumer[0])


def _caption() -> PlainLabel:
    label = PlainLabel("", "caption", wrap=True)
    label.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    return label


def _column(*widgets: QWidget) -> QWidget:
    holder = QWidget()
    column = QVBoxLayout(holder)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(theme.SPACE_1)
    for widget in widgets:
        column.addWidget(widget)
    return holder
