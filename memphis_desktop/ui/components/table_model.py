"""The rows behind every table: plain records, ordered, filtered, and compared with what was there before."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from itertools import compress
from operator import is_not
from typing import Any, Literal, NamedTuple

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt

from memphis_desktop.language import tr, without_marks
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.labels import plain_tooltip

Index = QModelIndex | QPersistentModelIndex
Kind = Literal[
    "text", "number", "bytes", "rate", "time", "duration", "dot", "bar", "sparkline", "badge", "mono", "icon"
]
RIGHT_ALIGNED = {"number", "bytes", "rate", "duration"}
_NO_TEXT = {"sparkline"}
_SINGLY = 32  # rows that come or go one by one; more of them at once
_COMPARE_LIMIT = 2000  # above this many rows a new object counts as a change without comparing
_REORDER_EVERY = 3.0  # seconds, of many rows: rows that jump each second cannot be read
_LAST = 2  # the class of unknown values
_MANY = 1000  # above this many rows only those that changed are judged and put in their order


class IconText(NamedTuple):
    """A cell of kind ``icon``: a picture in a token's colour and its meaning, written beside it or not.

    Without a picture's name there is only the text.
    """

    icon: str
    token: str
    text: str
    written: bool = True


@dataclass(frozen=True)
class Column:
    """One column of a table of rows of any type.

    Attributes:
        key: stable name, for settings and JSON.
        title: the header; the unit goes here.
        value: takes the row, gives the value. By kind: number, bytes (bytes), rate (a second), time (ns),
            duration (s); dot gives a token (``good``) or (token, word); bar gives a share of one or
            (share, text); badge gives text, (text, token) or a list of them; sparkline gives the values;
            icon gives an `IconText`.
        width: the initial width.
        tooltip: says what the column means.
        visible: shown before the user chooses.
        sort_value: takes the row; the value itself when absent.
        text: formats the value instead of its kind's own way.
        token: takes the row, gives the colour token of the text (``bad``) or None.
        stretch: takes the room that is left over.
        cut_middle: what is too long loses its middle, as is best for names that begin alike.
        samples: texts that the first width has room for; times have room without that.
        chosen_in: the part of the chooser it is in, where there are many of a sort.
        searched: whether the filter looks into it, if its kind is one of text.
    """

    key: str
    title: str
    value: Callable[[Any], Any]
    kind: Kind = "text"
    width: int = 120
    tooltip: str = ""
    visible: bool = True
    sort_value: Callable[[Any], Any] | None = None
    text: Callable[[Any], str] | None = None
    token: Callable[[Any], str | None] | None = None
    stretch: bool = False
    cut_middle: bool = False
    samples: tuple[str, ...] = ()
    chosen_in: str = ""
    searched: bool = True

    def display(self, row: Any, zone: tzinfo = UTC, now_ns: int | None = None) -> str:
        """The cell's text."""
        value = self.value(row)
        if self.text is not None:
            return self.text(value)
        return display_value(self.kind, value, zone, now_ns)


def display_value(kind: Kind, value: Any, zone: tzinfo = UTC, now_ns: int | None = None) -> str:
    """The text of a value of a kind; times are absolute, or relative when ``now_ns`` is given."""
    if kind in _NO_TEXT:
        return ""
    if value is None:
        return figures.UNKNOWN
    if kind == "number":
        return figures.integer(value)
    if kind == "bytes":
        return figures.bytes_size(value)
    if kind == "rate":
        return figures.rate(value)
    if kind == "duration":
        return figures.duration(value)
    if kind == "time":
        return figures.timestamp(value, zone) if now_ns is None else figures.table_time(value, now_ns, zone)
    if kind == "dot":
        return str(value[1]) if isinstance(value, tuple) else ""
    if kind == "bar":
        if isinstance(value, tuple):
            return str(value[1])
        return figures.percent(value)
    if kind == "icon":
        return str(value.text) if isinstance(value, IconText) else figures.visible_text(str(value))
    if kind == "badge":
        return ", ".join(text for text, _ in badges(value))
    return figures.visible_text(str(value))


def badges(value: Any) -> list[tuple[str, str]]:
    """A badge cell's value as (text, token) pairs."""
    if value is None or value == "":
        return []
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], str):
        return [(str(value[0]), value[1])] if value[0] else []
    if isinstance(value, (list, tuple)):
        return [pair for item in value for pair in badges(item)]
    return [(str(value), "muted")]


class TableModel(QAbstractTableModel):
    """Rows by key, in the order of the sort column, with only those that the filter lets through."""

    def __init__(self, columns: Sequence[Column], row_key: Callable[[Any], Hashable]) -> None:
        super().__init__()
        self.columns = list(columns)
        self.row_key = row_key
        self.zone: tzinfo = UTC
        self._all: dict[Hashable, Any] = {}
        self._shown: list[Hashable] = []
        self._rows: list[Any] = []  # the records of _shown, for painting
        self._sort: tuple[Column, bool] | None = None
        self._filter_words: list[str] = []
        self._predicate: Callable[[Any], bool] | None = None
        self.pinned: Callable[[Any], bool] | None = None  # rows that stay on top, whatever the order
        self._texts: dict[Hashable, tuple[Any, str]] = {}
        self._places: dict[Hashable, int] = {}  # of the shown rows, while they are many
        self._keys: dict[Hashable, tuple[int, Any]] = {}  # what they are ordered by, then
        self._astray: set[Hashable] = set()  # of which that has changed since they were put in order
        self._ordered_at = 0.0

    # What views ask ---------------------------------------------------------------------------

    def rowCount(self, parent: Index = QModelIndex()) -> int:
        """Shown rows."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:
        """All columns, hidden ones too."""
        return 0 if parent.isValid() else len(self.columns)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Text, tooltip and alignment; the delegate reads the records themselves."""
        if not index.isValid():
            return None
        column = self.columns[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.display(self._rows[index.row()], self.zone)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tooltip(column, self._rows[index.row()])
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return int(_alignment(column))
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Titles, with what the column means as tooltip."""
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(self.columns):
            return None
        column = self.columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tooltip(column.tooltip or column.title)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return int(_alignment(column))
        return None

    # What the table asks ----------------------------------------------------------------------

    def row_at(self, row: int) -> Any:
        """The record shown at ``row``."""
        return self._rows[row]

    def index_of(self, key: Hashable) -> int:
        """Where ``key`` is shown, or -1."""
        try:
            return self._shown.index(key)
        except ValueError:
            return -1

    def total(self) -> int:
        """Rows before filtering."""
        return len(self._all)

    def shown_rows(self) -> list[Any]:
        """The records as shown."""
        return list(self._rows)

    def all_rows(self) -> list[Any]:
        """The records as given."""
        return list(self._all.values())

    # Changes ----------------------------------------------------------------------------------

    def set_rows(self, rows: Iterable[Any] | Mapping[Any, Any]) -> None:
        """Replace the records; views hear only of what differs. The last row of a key wins.

        The keys of a mapping are taken for those of its rows.
        """
        before = self._all
        self._all = dict(rows) if isinstance(rows, Mapping) else {self.row_key(row): row for row in rows}
        if len(self._texts) > 2 * len(self._all) + 64:
            self._texts = {key: kept for key, kept in self._texts.items() if key in self._all}
        if not self._update(before):
            self._rearrange(before)

    def add_columns(self, columns: Sequence[Column]) -> None:
        """Have further columns behind the others."""
        first = len(self.columns)
        self.beginInsertColumns(QModelIndex(), first, first + len(columns) - 1)
        self.columns.extend(columns)
        self.endInsertColumns()
        if any(column.searched for column in columns):
            self._texts.clear()

    def set_sort(self, column: Column | None, descending: bool = False) -> None:
        """Order by a column; None keeps the order in which rows are given."""
        self._sort = (column, descending) if column is not None else None
        self._rearrange(self._all)

    def set_filter(self, text: str) -> None:
        """Show rows that hold every word of ``text`` in one of their text columns."""
        self._filter_words = text.lower().split()
        self._rearrange(self._all)

    def set_predicate(self, predicate: Callable[[Any], bool] | None) -> None:
        """Show only rows for which ``predicate`` holds, besides the text filter."""
        self._predicate = predicate
        self._rearrange(self._all)

    def set_zone(self, zone: tzinfo) -> None:
        """Show times in another zone."""
        self.zone = zone
        if self._rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._rows) - 1, len(self.columns) - 1))

    def _update(self, before: dict[Hashable, Any]) -> bool:
        """Take over the records that changed among many; False when too much else did.

        The others are taken to stand where they stood: a record that is the same object has the same value.
        """
        everything, shown = self._all, self._shown
        if self._sort is None or self.pinned is not None or len(everything) != len(before):
            return False
        if len(everything) <= _MANY or len(self._places) != len(shown):
            return False
        missing = object()
        # What stands where it stood and is the same object costs nothing; the others are looked up.
        others = compress(everything, map(is_not, before.values(), everything.values()))
        changed = [key for key in others if before.get(key, missing) is not everything[key]]
        if len(changed) > len(everything) // 4 or any(key not in before for key in changed):
            return False
        places = self._places
        moved: set[Hashable] = set()
        column, descending = self._sort
        pick = column.sort_value or column.value
        for key in changed:
            row = everything[key]
            place = places.get(key)
            if self._passes(key, row) != (place is not None):
                return False
            if place is not None:
                value = _sortable(pick(row))
                if value != self._keys[key]:
                    self._keys[key] = value
                    moved.add(key)
        self._astray |= moved
        now = time.monotonic()
        if now - self._ordered_at >= _REORDER_EVERY:
            self._astray.intersection_update(places)
            if not all(self._in_place(places[key], descending) for key in self._astray):
                self._take_order(self._put_in_order(self._astray, descending), everything)
                self._ordered_at = now
            self._astray.clear()
        touched = sorted(self._places[key] for key in changed if key in self._places)
        for place in touched:
            self._rows[place] = everything[self._shown[place]]
        last, start = len(self.columns) - 1, -1
        for number, place in enumerate(touched):
            if number == 0 or touched[number - 1] != place - 1:
                start = place
            if number + 1 == len(touched) or touched[number + 1] != place + 1:
                self.dataChanged.emit(self.index(start, 0), self.index(place, last))
        return True

    def _in_place(self, place: int, descending: bool) -> bool:
        """Whether a row stands right between its neighbours."""
        keys, shown = self._keys, self._shown
        own = keys[shown[place]]
        after_one = place == 0 or not _before(own, keys[shown[place - 1]], descending)
        return after_one and (place == len(shown) - 1 or not _before(keys[shown[place + 1]], own, descending))

    def _put_in_order(self, moved: set[Hashable], descending: bool) -> list[Hashable]:
        """The shown keys with some of them at their new places."""
        keys = self._keys
        order = [key for key in self._shown if key not in moved]
        for key in sorted(moved, key=self._places.__getitem__):
            low, high = 0, len(order)
            while low < high:
                middle = (low + high) // 2
                if _before(keys[key], keys[order[middle]], descending):
                    high = middle
                else:
                    low = middle + 1
            order.insert(low, key)
        return order

    def _rearrange(self, before: dict[Hashable, Any]) -> None:
        wanted = self._order()
        self._remove(set(wanted))
        self._append(wanted)
        self._permute(wanted)
        self._insert(wanted)
        self._refresh(before)
        self._astray.clear()
        many = len(self._all) > _MANY
        self._places = {key: place for place, key in enumerate(self._shown)} if many else {}

    def _append(self, wanted: list[Hashable]) -> None:
        """Put many new rows at the end at once, to be ordered with the others: one by one costs seconds."""
        present = set(self._shown)
        new = [key for key in wanted if key not in present]
        if len(new) <= _SINGLY:
            return
        first = len(self._shown)
        self.beginInsertRows(QModelIndex(), first, first + len(new) - 1)
        self._shown.extend(new)
        self._rows.extend(self._all[key] for key in new)
        self.endInsertRows()

    def _order(self) -> list[Hashable]:
        keys = [key for key, row in self._all.items() if self._passes(key, row)]
        if self._sort is not None:
            column, descending = self._sort
            pick = column.sort_value or column.value
            everything = self._all
            self._keys = {key: _sortable(pick(everything[key])) for key in keys}
            keys.sort(key=self._keys.__getitem__, reverse=descending)
            if descending:  # unknown values stay last in either direction
                known = next((i for i, key in enumerate(keys) if not _unknown(self._keys[key])), len(keys))
                keys = keys[known:] + keys[:known]
        if self.pinned is not None:
            first = [key for key in keys if self.pinned(self._all[key])]
            if first:
                on_top = set(first)
                keys = first + [key for key in keys if key not in on_top]
        return keys

    def _passes(self, key: Hashable, row: Any) -> bool:
        if self._predicate is not None and not self._predicate(row):
            return False
        if not self._filter_words:
            return True
        text = self._search_text(key, row)
        return all(word in text for word in self._filter_words)

    def _search_text(self, key: Hashable, row: Any) -> str:
        kept = self._texts.get(key)
        if kept is not None and kept[0] is row:
            return kept[1]
        searchable = ("text", "mono", "badge", "dot", "icon")
        parts = [
            column.display(row, self.zone)
            for column in self.columns
            if column.searched and column.kind in searchable
        ]
        text = "\n".join(parts).lower()
        self._texts[key] = (row, text)
        return text

    def _remove(self, wanted: set[Hashable]) -> None:
        if wanted.issuperset(self._shown):
            return
        gone = [key for key in self._shown if key not in wanted]
        if len(gone) > _SINGLY:  # many go at once, from the end
            self._permute([key for key in self._shown if key in wanted] + gone)
        end = len(self._shown)
        while end > 0:
            if self._shown[end - 1] in wanted:
                end -= 1
                continue
            start = end - 1
            while start > 0 and self._shown[start - 1] not in wanted:
                start -= 1
            self.beginRemoveRows(QModelIndex(), start, end - 1)
            del self._shown[start:end]
            del self._rows[start:end]
            self.endRemoveRows()
            end = start

    def _permute(self, wanted: list[Hashable]) -> None:
        if wanted == self._shown:
            return
        present = set(self._shown)
        target = [key for key in wanted if key in present]
        if target != self._shown:
            self._take_order(target, dict(zip(self._shown, self._rows, strict=True)))

    def _take_order(self, target: list[Hashable], record: Mapping[Hashable, Any]) -> None:
        """Put the shown rows into another order; `record` has their records."""
        self.layoutAboutToBeChanged.emit()
        position = {key: row for row, key in enumerate(target)}
        old = self.persistentIndexList()
        new = [self.createIndex(position[self._shown[index.row()]], index.column()) for index in old]
        self._shown = target
        self._rows = [record[key] for key in target]
        if self._places:
            self._places = position
        self.changePersistentIndexList(old, new)
        self.layoutChanged.emit()

    def _insert(self, wanted: list[Hashable]) -> None:
        if len(wanted) == len(self._shown):
            return  # the same rows, in their order by now
        row = 0
        while row < len(wanted):
            if row < len(self._shown) and self._shown[row] == wanted[row]:
                row += 1
                continue
            following = self._shown[row] if row < len(self._shown) else None
            end = row
            while end < len(wanted) and (row >= len(self._shown) or wanted[end] != following):
                end += 1
            self.beginInsertRows(QModelIndex(), row, end - 1)
            self._shown[row:row] = wanted[row:end]
            self._rows[row:row] = [self._all[key] for key in wanted[row:end]]
            self.endInsertRows()
            row = end

    def _refresh(self, before: dict[Hashable, Any]) -> None:
        if before is self._all:
            return
        compare = len(self._rows) <= _COMPARE_LIMIT
        last = len(self.columns) - 1
        start = -1
        for row, key in enumerate(self._shown):
            now = self._all[key]
            old = self._rows[row]
            self._rows[row] = now
            if now is not old and not (compare and now == old):
                if start < 0:
                    start = row
            elif start >= 0:
                self.dataChanged.emit(self.index(start, 0), self.index(row - 1, last))
                start = -1
        if start >= 0:
            self.dataChanged.emit(self.index(start, 0), self.index(len(self._shown) - 1, last))

    # Text out ---------------------------------------------------------------------------------

    def tab_separated(self, rows: Sequence[Any], columns: Sequence[Column]) -> str:
        """Cells as shown, tab-separated, with a header when there are several rows."""
        lines = ["\t".join(column.title for column in columns)] if len(rows) > 1 else []
        for row in rows:
            cells = (copy_text(column, row, self.zone) for column in columns)
            lines.append("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in cells))
        return "\n".join(lines)

    def json_text(self, rows: Sequence[Any], columns: Sequence[Column]) -> str:
        """Exact values by column key, as JSON."""
        records = [{column.key: plain(column.value(row)) for column in columns} for row in rows]
        return json.dumps(records if len(records) != 1 else records[0], indent=2, ensure_ascii=False)

    def _tooltip(self, column: Column, row: Any) -> str | None:
        value = column.value(row)
        if value is None or column.kind == "sparkline":
            return None
        if column.kind == "time":
            return figures.timestamp(value, self.zone, digits=9)
        if column.kind in ("bytes", "rate") and isinstance(value, (int, float)):
            exact = figures.integer(value) if value == int(value) else figures.fixed(value, 3)
            if column.kind == "bytes":
                return tr("{count} bytes", count=exact)
            return tr("{count} a second", count=exact)
        return plain_tooltip(column.display(row, self.zone)) or None


def _alignment(column: Column) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column.kind in RIGHT_ALIGNED else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter


def _unknown(key: tuple[int, Any]) -> bool:
    return key[0] == _LAST


def _before(one: tuple[int, Any], other: tuple[int, Any], descending: bool) -> bool:
    """Whether a row with this key stands before one with the other."""
    if not descending:
        return one < other
    if _unknown(one) or _unknown(other):
        return _unknown(other) and not _unknown(one)
    return other < one


def _sortable(value: Any) -> tuple[int, Any]:
    """A key that puts figures before texts before the unknown, so that mixed columns never raise."""
    if isinstance(value, tuple):
        value = value[0]
    if isinstance(value, (list, set)) or hasattr(value, "__array__"):
        value = value[-1] if len(value) else None
    if value is None or value != value:
        return (_LAST, 0)
    if isinstance(value, (int, float)):
        return (0, value)
    return (1, str(value).lower())


def copy_text(column: Column, row: Any, zone: tzinfo) -> str:
    """A cell for use elsewhere: times in ISO 8601, figures exact and without separators."""
    value = column.value(row)
    if column.kind == "time":
        return figures.iso_timestamp(value, zone)
    if column.kind in ("number", "bytes", "rate", "duration") and isinstance(value, (int, float)):
        return str(value)
    return without_marks(column.display(row, zone))


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else None  # JSON has neither infinity nor NaN
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)) or hasattr(value, "tolist"):
        items = value.tolist() if hasattr(value, "tolist") else value
        return [plain(item) for item in items] if isinstance(items, (list, tuple, set)) else items
    return str(value)
