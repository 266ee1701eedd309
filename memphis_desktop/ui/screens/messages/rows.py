"""The rows of a message list: a window onto a station, each a message or a run of removed sequences.

The window slides: pages are put on at either end and the far end is cut off, so any station costs the same.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, TypeAlias

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt

from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.page_cache import Page
from memphis_desktop.language import tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.labels import plain_tooltip
from memphis_desktop.ui.screens.messages.columns import MessageColumn

Index: TypeAlias = QModelIndex | QPersistentModelIndex

WINDOW_ROWS = 3_000
WINDOW_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Gap:
    """Sequences between two messages that are no more."""

    first: int
    last: int

    @property
    def count(self) -> int:
        """How many are gone."""
        return self.last - self.first + 1

    @property
    def sequence(self) -> int:
        """Where the gap begins."""
        return self.first

    @property
    def cost(self) -> int:
        """Bytes of memory, near enough."""
        return 100


Row: TypeAlias = InspectedMessage | Gap


def removed_text(gap: Gap) -> str:
    """What a gap's row says."""
    return tr_count(
        "{count} message removed", "{count} messages removed", gap.count, count=figures.integer(gap.count)
    )


class MessageListModel(QAbstractTableModel):
    """The window as a table. `first` and `last` are the sequences it covers, without holes."""

    def __init__(self, columns: Sequence[MessageColumn]) -> None:
        super().__init__()
        self.columns = list(columns)
        self.zone: tzinfo = UTC
        self.rows: list[Row] = []
        self.first = 1
        self.last = 0
        self.bytes = 0
        self.show_gaps = True
        self.max_rows = WINDOW_ROWS
        self.max_bytes = WINDOW_BYTES
        self.dropped = 0
        self.marked_ns: int | None = None  # time differences count from here; None: from the row before

    # What views ask -----------------------------------------------------------------------------

    def rowCount(self, parent: Index = QModelIndex()) -> int:
        """Rows in the window."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:
        """All columns, hidden ones too."""
        return 0 if parent.isValid() else len(self.columns)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Texts for accessibility and tooltips; the delegate paints from the rows themselves."""
        if not index.isValid() or index.row() >= len(self.rows):
            return None
        row = self.rows[index.row()]
        column = self.columns[index.column()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            if isinstance(row, Gap):
                return removed_text(row) if index.column() == 0 else ""
            return column.text(row, self.zone)
        if role == Qt.ItemDataRole.ToolTipRole and not isinstance(row, Gap):
            return plain_tooltip(column.tooltip(row, self.zone))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
            return int(side | Qt.AlignmentFlag.AlignVCenter)
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Titles."""
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(self.columns):
            return None
        column = self.columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tooltip(column.help or column.title)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
            return int(side | Qt.AlignmentFlag.AlignVCenter)
        return None

    # Places -------------------------------------------------------------------------------------

    def row_of(self, sequence: int) -> int:
        """The row that shows a sequence, or the next one after it; the row count when it lies beyond."""
        index = bisect_left(self.rows, sequence, key=lambda row: row.sequence)
        if index and isinstance(before := self.rows[index - 1], Gap) and before.last >= sequence:
            return index - 1
        return index

    def message_at(self, row: int) -> InspectedMessage | None:
        """The message of a row; None for a gap or no row."""
        if 0 <= row < len(self.rows) and not isinstance(found := self.rows[row], Gap):
            return found
        return None

    def delta_ns(self, message: InspectedMessage) -> int | None:
        """Time since the marked message, or since the message in the row before; None for the first row."""
        if self.marked_ns is not None:
            return message.time_ns - self.marked_ns
        row = self.row_of(message.sequence) - 1
        while row >= 0 and isinstance(self.rows[row], Gap):
            row -= 1
        before = self.message_at(row)
        return None if before is None else message.time_ns - before.time_ns

    def messages(self) -> list[InspectedMessage]:
        """All messages in the window."""
        return [row for row in self.rows if not isinstance(row, Gap)]

    # Changes ------------------------------------------------------------------------------------

    def set_columns(self, columns: Sequence[MessageColumn]) -> None:
        """Show other columns."""
        self.beginResetModel()
        self.columns = list(columns)
        self.endResetModel()

    def columns_changed(self) -> None:
        """Texts of all cells may differ (another time zone, a value decoded meanwhile)."""
        if self.rows:
            last = self.index(len(self.rows) - 1, len(self.columns) - 1)
            self.dataChanged.emit(self.index(0, 0), last, [Qt.ItemDataRole.DisplayRole])

    def clear(self) -> None:
        """Forget everything."""
        self.beginResetModel()
        self.rows = []
        self.first, self.last, self.bytes, self.dropped = 1, 0, 0, 0
        self.endResetModel()

    def reset(self, page: Page) -> None:
        """Show one page and nothing else."""
        self.beginResetModel()
        self.rows = self._with_gaps(page.messages, None, None)
        self.first, self.last = page.first, page.last
        self.bytes = sum(row.cost for row in self.rows)
        self.dropped = 0
        self.endResetModel()

    def append(self, page: Page) -> int:
        """Put a page on at the end and cut the beginning; return how many rows were cut."""
        if page.last <= self.last:
            return 0
        before = self.rows[-1].sequence if self.rows and not isinstance(self.rows[-1], Gap) else None
        rows = self._with_gaps(page.messages, before, None)
        self.last = page.last
        if rows:
            start = len(self.rows)
            self.beginInsertRows(QModelIndex(), start, start + len(rows) - 1)
            self.rows += rows
            self.bytes += sum(row.cost for row in rows)
            self.endInsertRows()
        return self._cut_front()

    def prepend(self, page: Page) -> int:
        """Put a page on at the beginning and cut the end; return how many rows were put on."""
        if page.first >= self.first:
            return 0
        after = self.rows[0].sequence if self.rows and not isinstance(self.rows[0], Gap) else None
        rows = self._with_gaps(page.messages, None, after)
        self.first = page.first
        if rows:
            self.beginInsertRows(QModelIndex(), 0, len(rows) - 1)
            self.rows[:0] = rows
            self.bytes += sum(row.cost for row in rows)
            self.endInsertRows()
        self._cut_back()
        return len(rows)

    def remove_message(self, sequence: int) -> None:
        """Show that a message is gone: its row becomes a gap."""
        row = self.row_of(sequence)
        if row < len(self.rows) and self.rows[row].sequence == sequence:
            self.rows[row] = Gap(sequence, sequence)
            self.dataChanged.emit(self.index(row, 0), self.index(row, len(self.columns) - 1))

    def cut_below(self, sequence: int) -> int:
        """Drop rows that the station no longer has at its beginning; return how many."""
        count = 0
        while count < len(self.rows) and self.rows[count].sequence < sequence:
            count += 1
        if count:
            self.beginRemoveRows(QModelIndex(), 0, count - 1)
            self.bytes -= sum(row.cost for row in self.rows[:count])
            del self.rows[:count]
            self.endRemoveRows()
        self.first = max(self.first, sequence)
        return count

    def _with_gaps(
        self, messages: Sequence[InspectedMessage], before: int | None, after: int | None
    ) -> list[Row]:
        if not self.show_gaps:
            return list(messages)
        rows: list[Row] = []
        for message in messages:
            if before is not None and message.sequence > before + 1:
                rows.append(Gap(before + 1, message.sequence - 1))
            rows.append(message)
            before = message.sequence
        if after is not None and before is not None and after > before + 1:
            rows.append(Gap(before + 1, after - 1))
        return rows

    def _cut_front(self) -> int:
        count, size = 0, self.bytes
        while len(self.rows) - count > self.max_rows or (
            size > self.max_bytes and len(self.rows) - count > 1
        ):
            size -= self.rows[count].cost
            count += 1
        if count and isinstance(self.rows[count], Gap):
            size -= self.rows[count].cost
            count += 1
        if not count or count >= len(self.rows):
            return 0
        self.beginRemoveRows(QModelIndex(), 0, count - 1)
        del self.rows[:count]
        self.bytes = size
        self.first = self.rows[0].sequence
        self.dropped += count
        self.endRemoveRows()
        return count

    def _cut_back(self) -> None:
        keep, size = len(self.rows), self.bytes
        while keep > self.max_rows or (size > self.max_bytes and keep > 1):
            keep -= 1
            size -= self.rows[keep].cost
        if keep < len(self.rows) and keep > 1 and isinstance(self.rows[keep - 1], Gap):
            keep -= 1
            size -= self.rows[keep].cost
        if keep == len(self.rows):
            return
        self.beginRemoveRows(QModelIndex(), keep, len(self.rows) - 1)
        del self.rows[keep:]
        self.bytes = size
        self.last = self.rows[-1].sequence
        self.endRemoveRows()
