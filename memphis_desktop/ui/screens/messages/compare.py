"""The difference of two messages, place by place."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from memphis_desktop.inspect.decode.chain import INLINE_LIMIT
from memphis_desktop.inspect.diff import Change, ChangeKind, Difference, compare_messages
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.text_diff import MAX_LINES, LinePair, compare_texts
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import FittingDialog
from memphis_desktop.ui.components.json_tree import preview
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screens.decoders.store import current_decoders
from memphis_desktop.ui.screens.station_parts import panel
from memphis_desktop.ui.shell import first_steps

_WORDS = {
    ChangeKind.CHANGED: tr("changed"),
    ChangeKind.ADDED: tr("only right"),
    ChangeKind.REMOVED: tr("only left"),
}
_DOTS = {ChangeKind.CHANGED: "warning", ChangeKind.ADDED: "good", ChangeKind.REMOVED: "bad"}


class CompareDialog(FittingDialog):
    """Left and right with every place that differs."""

    def __init__(
        self,
        parent: QWidget | None,
        left: InspectedMessage,
        right: InspectedMessage,
        connections: tuple[str, str] | None = None,
        *,
        choices: Sequence[tuple[str, InspectedMessage]] = (),
    ) -> None:
        """Compare two messages.

        Args:
            parent: The window.
            left, right: The messages.
            connections: Names where each is from, when that is not the same place.
            choices: With more than two, each side can be any of these (name of the connection, message).
        """
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Compare messages"))
        self.resize(980, 560)
        self._left, self._right = left, right
        self._comparing: asyncio.Task[None] | None = None
        names = [_name(left), _name(right)]
        if connections is not None:
            names = [f"{place}: {name}" for place, name in zip(connections, names, strict=True)]
        self.title = PlainLabel(f"{names[0]}  ↔  {names[1]}", "section", elide=Qt.TextElideMode.ElideMiddle)
        self.side_boxes = self._boxes(choices)
        if self.side_boxes:
            names = [tr("Left"), tr("Right")]
        self.order_check = QCheckBox(tr("Ignore the order of lists"))
        self.order_check.toggled.connect(self.refresh)
        self.text_check = QCheckBox(tr("As text"))
        self.text_check.setToolTip(
            tr("Compare line by line, as the messages read, instead of place by place")
        )
        self.text_check.toggled.connect(self.refresh)
        self.summary = PlainLabel("", "caption")
        self.lines = self._lines_table(names)
        self.table = DataTable(
            [
                Column(
                    "kind",
                    tr("Difference"),
                    lambda row: (_DOTS[row.kind], _WORDS[row.kind]),
                    kind="dot",
                    width=120,
                ),
                Column("path", tr("Path"), lambda row: row.path, kind="mono", width=240),
                Column(
                    "left",
                    names[0],
                    lambda row: _side(row, ChangeKind.ADDED, row.left),
                    kind="mono",
                    width=250,
                ),
                Column(
                    "right",
                    names[1],
                    lambda row: _side(row, ChangeKind.REMOVED, row.right),
                    kind="mono",
                    width=250,
                    stretch=True,
                ),
            ],
            lambda row: (row.path, row.kind),
            "compare",
        )
        head = QHBoxLayout()
        if self.side_boxes:
            self.title.setText(tr("Compare"))
            for box in self.side_boxes:
                head.addWidget(box, 1)
        else:
            head.addWidget(self.title, 1)
        head.addWidget(self.order_check)
        head.addWidget(self.text_check)
        head.setSpacing(theme.SPACE_3)
        self._tables = QStackedWidget()
        self._tables.addWidget(self.table)
        self._tables.addWidget(self.lines)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_4, theme.SPACE_4, theme.SPACE_4, theme.SPACE_3)
        layout.setSpacing(theme.SPACE_3)
        layout.addLayout(head)
        layout.addWidget(panel(self._tables), 1)
        layout.addWidget(self.summary)
        self.refresh()

    @classmethod
    def of(cls, parent: QWidget | None, choices: Sequence[tuple[str, InspectedMessage]]) -> CompareDialog:
        """Compare the last two of some messages, each with the name of its connection; offer the others."""
        (left_place, left), (right_place, right) = choices[-2:]
        places = (left_place, right_place) if left_place != right_place else None
        return cls(parent, left, right, places, choices=choices if len(choices) > 2 else ())

    def _boxes(self, choices: Sequence[tuple[str, InspectedMessage]]) -> list[QComboBox]:
        """What chooses the sides, when there is a choice."""
        if not choices:
            return []
        several = len({place for place, _ in choices}) > 1
        boxes = []
        for name, chosen in ((tr("Left message"), self._left), (tr("Right message"), self._right)):
            box = QComboBox(self)
            box.setAccessibleName(name)
            for place, message in choices:
                box.addItem(f"{place}: {_name(message)}" if several else _name(message), message)
            box.setCurrentIndex(next(i for i, (_, each) in enumerate(choices) if each is chosen))
            box.currentIndexChanged.connect(lambda _: self._take_sides())
            boxes.append(box)
        return boxes

    def _take_sides(self) -> None:
        self._left, self._right = (box.currentData() for box in self.side_boxes)
        self.refresh()

    def _lines_table(self, names: list[str]) -> DataTable:
        return DataTable(
            [
                Column("kind", tr("Difference"), _line_state, kind="dot", width=120),
                Column("left_number", tr("Line"), lambda row: row[1].left_number, kind="number", width=56),
                Column("left", names[0], lambda row: row[1].left, kind="mono", width=360),
                Column("right_number", tr("Line"), lambda row: row[1].right_number, kind="number", width=56),
                Column("right", names[1], lambda row: row[1].right, kind="mono", width=300, stretch=True),
            ],
            lambda row: row[0],
            "compare_lines",
        )

    def refresh(self) -> None:
        """Compare again: small messages at once, large ones beside the loop."""
        as_text = self.text_check.isChecked()
        self.order_check.setEnabled(not as_text)
        self._tables.setCurrentIndex(int(as_text))
        if as_text:
            self._start(self._compare_lines())
            return
        ignore = self.order_check.isChecked()
        decoders = current_decoders()
        slow = decoders.slow_for(self._left) or decoders.slow_for(self._right)
        if not slow and len(self._left.payload) + len(self._right.payload) <= INLINE_LIMIT:
            self._show(self._compare(ignore))
            return
        self.table.set_state("loading")
        self._start(self._compare_beside(ignore))

    def _start(self, comparing: Coroutine[Any, Any, None]) -> None:
        if self._comparing is not None:
            self._comparing.cancel()
        self._comparing = asyncio.get_running_loop().create_task(comparing)

    def _compare(self, ignore_order: bool) -> Difference:
        decoders = current_decoders()
        return compare_messages(self._left, self._right, ignore_order=ignore_order, decoder=decoders.decode)

    async def _compare_beside(self, ignore_order: bool) -> None:
        difference = await asyncio.to_thread(self._compare, ignore_order)
        if isValid(self):
            self._show(difference)

    async def _compare_lines(self) -> None:
        self.lines.set_state("loading")
        decode = current_decoders().decode
        difference = await asyncio.to_thread(compare_texts, self._left, self._right, decoder=decode)
        if not isValid(self):
            return
        self.lines.set_rows(list(enumerate(difference.lines)))
        if difference.lines:
            self.lines.set_state("ready")
        else:
            self.lines.set_state("empty", tr("These messages read the same, line by line."))
        text = tr_count(
            "{count} line differs",
            "{count} lines differ",
            difference.count,
            count=figures.integer(difference.count),
        )
        if not difference.complete:
            text = tr(
                "{differences}; only the first {most} lines were compared",
                differences=text,
                most=figures.integer(MAX_LINES),
            )
        self.summary.setText(text)

    def _show(self, difference: Difference) -> None:
        first_steps.reach(first_steps.COMPARE)
        self.table.set_rows(list(difference.changes))
        if difference.changes:
            self.table.set_state("ready")
        else:
            self.table.set_state("empty", tr("These messages are the same in subject, headers and payload."))
        text = tr_count(
            "{count} difference",
            "{count} differences",
            len(difference.changes),
            count=figures.integer(len(difference.changes)),
        )
        if not difference.complete:
            text = tr("{differences}; there are more, only the first are shown", differences=text)
        apart = abs(self._right.time_ns - self._left.time_ns) / 1e9
        self.summary.setText(
            tr("{differences}  ·  {apart} apart", differences=text, apart=figures.duration(apart))
        )


def _side(change: Change, absent: ChangeKind, value: Any) -> str:
    return "" if change.kind is absent else preview(value, 200)


def _line_state(row: tuple[int, LinePair]) -> tuple[str, str]:
    kind = row[1].kind
    return (_DOTS[kind], _WORDS[kind]) if kind is not None else ("muted", tr("same"))


def _name(message: InspectedMessage) -> str:
    return f"{message.stream} #{figures.integer(message.sequence)}"
