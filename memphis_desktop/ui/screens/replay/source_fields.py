"""What a replay reads: a selection, or a range of a station; of a file there is nothing to choose."""

from __future__ import annotations

import time
from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QGridLayout, QHBoxLayout, QLineEdit, QRadioButton, QWidget

from memphis_desktop.inspect.replay.records import SourceRecord
from memphis_desktop.inspect.scan import ScanRequest
from memphis_desktop.inspect.seek import Seek, parse_seek
from memphis_desktop.language import tr, tr_count, tr_in
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext


class SourceFields(QWidget):
    """The selection or the ends of a range, and a subject.

    Args:
        context: Of the screen.
        sequences: What is selected; empty offers a range only.
        subject: What the range is narrowed to at first.
        of_file: Whether a file is read, so that neither counts.
    """

    changed = Signal()

    def __init__(
        self, context: ScreenContext, sequences: Sequence[int], subject: str | None, *, of_file: bool
    ) -> None:
        super().__init__()
        self._context = context
        self._of_file = of_file
        count = tr_count(
            "{count} selected message",
            "{count} selected messages",
            len(sequences),
            count=figures.integer(len(sequences)),
        )
        self.selection_choice = QRadioButton(count)
        self.range_choice = QRadioButton(tr("A range"))
        group = QButtonGroup(self)
        group.addButton(self.selection_choice)
        group.addButton(self.range_choice)
        self.from_field = QLineEdit("first")
        self.to_field = QLineEdit("last")
        self.subject_field = QLineEdit(subject or "")
        for field, name, hint in (
            (self.from_field, tr_in("beginning of a range", "From"), tr("first, #123456, 10:32, -15m")),
            (self.to_field, tr_in("end of a range", "To"), tr("last, #123456, 10:45, now")),
            (self.subject_field, tr("Only subjects"), tr("all")),
        ):
            field.setAccessibleName(name)
            field.setPlaceholderText(hint)
            field.setProperty("role", "mono")
            field.textChanged.connect(self.changed)
        self._arrange(bool(sequences))
        (self.selection_choice if sequences else self.range_choice).setChecked(True)
        for choice in (self.selection_choice, self.range_choice):
            choice.toggled.connect(self._choice_changed)
        self._choice_changed()

    def _arrange(self, selected: bool) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(theme.SPACE_2)
        grid.setVerticalSpacing(theme.SPACE_2)
        choices = QHBoxLayout()
        choices.setSpacing(theme.SPACE_4)
        if selected:
            choices.addWidget(self.selection_choice)
        else:
            self.selection_choice.hide()
        choices.addWidget(self.range_choice)
        choices.addStretch()
        grid.addLayout(choices, 0, 0, 1, 4)
        grid.addWidget(PlainLabel(tr("from"), "caption"), 1, 0)
        grid.addWidget(self.from_field, 1, 1)
        grid.addWidget(PlainLabel(tr("to"), "caption"), 1, 2)
        grid.addWidget(self.to_field, 1, 3)
        grid.addWidget(PlainLabel(tr("on"), "caption"), 2, 0)
        grid.addWidget(self.subject_field, 2, 1, 1, 3)

    def _choice_changed(self) -> None:
        for widget in (self.from_field, self.to_field, self.subject_field):
            widget.setEnabled(self.range_choice.isChecked())
        self.changed.emit()

    @property
    def by_range(self) -> bool:
        """Whether a range of a station is read."""
        return self.range_choice.isChecked() and not self._of_file

    @property
    def subject(self) -> str | None:
        """What the range is narrowed to."""
        return (self.subject_field.text().strip() or None) if self.by_range else None

    def ends(self) -> tuple[Seek, Seek] | tuple[None, None]:
        """The ends of the range; none when there is no range. Raises ValueError for what is no place."""
        if not self.by_range:
            return None, None
        return self._seek(self.from_field), self._seek(self.to_field)

    def _seek(self, field: QLineEdit) -> Seek:
        return parse_seek(field.text(), self._context.zone, time.time_ns())

    def problem(self) -> str:
        """What is wrong; empty when nothing is."""
        try:
            self.ends()
        except ValueError as error:
            return str(error)
        return ""

    def take_search(self, search: ScanRequest) -> None:
        """The range and the subject of a search."""
        self._take_range(search.first, search.last, search.subject)

    def take_record(self, source: SourceRecord) -> None:
        """The range of an earlier replay."""
        if source.kind == "range":
            self._take_range(source.first, source.last, source.subject)

    def _take_range(self, first: int, last: int, subject: str | None) -> None:
        self.range_choice.setChecked(True)
        self.from_field.setText(f"#{first}")
        self.to_field.setText(f"#{last}")
        self.subject_field.setText(subject or "")
