"""In which order a replay sends, and how fast."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from memphis_desktop.inspect.replay import ReplayOptions, ReplayOrder
from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.labels import PlainLabel

FAST, RATE, BYTES, RECORDED = range(4)
MIB = 1 << 20
_ORDERS = (
    (ReplayOrder.OLDEST, tr("Oldest first")),
    (ReplayOrder.NEWEST, tr("Newest first")),
    (ReplayOrder.SUBJECTS, tr("Subject by subject, each oldest first")),
)
_RECORDED_NOTES = {
    ReplayOrder.NEWEST: tr("The recorded pauses are kept, backwards."),
    ReplayOrder.SUBJECTS: tr("The recorded pauses are kept within each subject."),
}


class PaceFields(QWidget):
    """As fast as it goes, at a rate, or as recorded; and the order, in a box of its own (`order_box`)."""

    changed = Signal()

    def __init__(self, *, selected: bool, of_file: bool) -> None:
        """`selected` and `of_file` say what is read: it limits the orders there are."""
        super().__init__()
        self.pace_box = QComboBox()
        self.pace_box.addItems(
            [tr("As fast as it is stored"), tr("At most"), tr("At most, bytes"), tr("As recorded, times")]
        )
        self.pace_box.setAccessibleName(tr("Pace"))
        self.rate_box = _number(0.1, 1_000_000, 100, tr(" messages/s"), tr("Messages a second"))
        self.rate_box.setDecimals(1)
        self.bytes_box = _number(0.01, 10_000, 1, tr(" MiB/s"), tr("Mebibytes a second"))
        self.factor_box = _number(0.01, 10_000, 1, tr(" × as fast"), tr("Times as fast as recorded"))
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE_2)
        for widget in (self.pace_box, self.rate_box, self.bytes_box, self.factor_box):
            row.addWidget(widget)
        row.addStretch()
        self.order_box = QComboBox()
        for order, title in _ORDERS:
            if not (order is ReplayOrder.SUBJECTS and selected) and not (
                order is not ReplayOrder.OLDEST and of_file
            ):
                self.order_box.addItem(title, order)
        self.note = PlainLabel("", "caption", wrap=True)
        self.note.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.SPACE_1)
        column.addLayout(row)
        column.addWidget(self.note)
        self.pace_box.currentIndexChanged.connect(self._show)
        self.order_box.currentIndexChanged.connect(self._show)
        for box in (self.rate_box, self.bytes_box, self.factor_box):
            box.valueChanged.connect(self.changed)
        self._show()

    @property
    def order(self) -> ReplayOrder:
        """The order chosen."""
        chosen: ReplayOrder = self.order_box.currentData()
        return chosen

    def offer_subjects(self, by_range: bool) -> None:
        """A selection has no order by subject: its subjects are not known beforehand."""
        at = self.order_box.findData(ReplayOrder.SUBJECTS)
        if by_range and at < 0:
            self.order_box.addItem(_ORDERS[-1][1], ReplayOrder.SUBJECTS)
        elif not by_range and at >= 0:
            self.order_box.removeItem(at)

    def _show(self) -> None:
        pace = self.pace_box.currentIndex()
        for kind, box in ((RATE, self.rate_box), (BYTES, self.bytes_box), (RECORDED, self.factor_box)):
            box.setVisible(pace == kind)
        note = _RECORDED_NOTES.get(self.order, "") if pace == RECORDED else ""
        self.note.setText(note)
        self.note.setVisible(bool(note))
        self.changed.emit()

    def values(self) -> tuple[float | None, float | None, float | None]:
        """Messages a second, bytes a second, times as fast as recorded: one of them, or none."""
        pace = self.pace_box.currentIndex()
        return (
            self.rate_box.value() if pace == RATE else None,
            self.bytes_box.value() * MIB if pace == BYTES else None,
            self.factor_box.value() if pace == RECORDED else None,
        )

    def take(self, options: ReplayOptions) -> None:
        """Those of an earlier replay."""
        for pace, box, value in (
            (RATE, self.rate_box, options.rate),
            (BYTES, self.bytes_box, options.bytes_rate and options.bytes_rate / MIB),
            (RECORDED, self.factor_box, options.original_pace),
        ):
            if value:
                self.pace_box.setCurrentIndex(pace)
                box.setValue(value)
        self.order_box.setCurrentIndex(max(0, self.order_box.findData(options.order)))


def _number(least: float, most: float, value: float, suffix: str, name: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(least, most)
    box.setValue(value)
    box.setSuffix(suffix)
    box.setAccessibleName(name)
    return box
