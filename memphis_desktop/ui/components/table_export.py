"""Writing a table to a file: what is shown of it, or all it holds.

A file is written a slice at a time beside what else the loop does, under another name until it is whole.
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import tzinfo
from pathlib import Path
from typing import Any

from PySide6.QtCore import QBasicTimer, QObject, QTimerEvent, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.column_chooser import column_title
from memphis_desktop.ui.components.table_model import Column, copy_text, plain

SLICE_SECONDS = 0.003
_LOOK_AFTER = 32  # rows between two looks at the clock
FORMATS = ("csv", "tsv", "json", "ndjson")


def pieces(rows: Sequence[Any], columns: Sequence[Column], format_name: str, zone: tzinfo) -> Iterator[str]:
    """The text of a file, row by row.

    Tables (``csv``, ``tsv``) have the titles in their first line, times in ISO 8601 and figures without
    separators; ``json`` and ``ndjson`` have the exact values by the columns' keys.
    """
    if format_name in ("json", "ndjson"):
        yield from _json(rows, columns, whole=format_name == "json")
        return
    delimiter = "\t" if format_name == "tsv" else ","
    columns = [column for column in columns if column.kind != "sparkline"]
    yield _line([column_title(column) for column in columns], delimiter)
    for row in rows:
        yield _line([_harmless(_cell(column, row, zone)) for column in columns], delimiter)


def _json(rows: Sequence[Any], columns: Sequence[Column], *, whole: bool) -> Iterator[str]:
    between = ""
    for row in rows:
        record = {column.key: plain(column.value(row)) for column in columns}
        text = json.dumps(record, ensure_ascii=False)
        yield f"{between or '['}\n{text}" if whole else f"{text}\n"
        between = ","
    if whole:
        yield "\n]\n" if between else "[]\n"


def _line(cells: Sequence[str], delimiter: str) -> str:
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _cell(column: Column, row: Any, zone: tzinfo) -> str:
    value = column.value(row)
    if isinstance(value, str) and column.text is None:
        return value  # whole, where a list shows control characters as pictures and cuts it
    return copy_text(column, row, zone)


def _harmless(cell: str) -> str:
    """A cell that a spreadsheet would take for a formula begins with an apostrophe."""
    try:
        float(cell)
    except ValueError:
        return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
    return cell


class TableWriter(QObject):
    """Writes one file. A file of that name is replaced once the new one is whole."""

    finished = Signal(str)  # what went wrong; empty when nothing did

    def __init__(self, path: Path, texts: Iterator[str], parent: QObject) -> None:
        super().__init__(parent)
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self._texts = texts
        self._file: io.TextIOWrapper | None = None
        self._timer = QBasicTimer()

    def start(self) -> None:
        """Begin."""
        try:
            self._file = self._part.open("w", encoding="utf-8", newline="")
        except OSError as error:
            self._end(error)
            return
        self._timer.start(0, self)

    def timerEvent(self, event: QTimerEvent) -> None:
        """A slice."""
        assert self._file is not None
        end = time.perf_counter() + SLICE_SECONDS
        try:
            while time.perf_counter() < end:
                for _ in range(_LOOK_AFTER):
                    self._file.write(next(self._texts))
        except StopIteration:
            try:
                self._file.close()
                self._part.replace(self._path)
            except OSError as error:
                self._end(error)
            else:
                self._end(None)
        except OSError as error:
            self._end(error)

    def _end(self, error: OSError | None) -> None:
        self._timer.stop()
        if error is not None:
            with suppress(OSError):
                if self._file is not None:
                    self._file.close()
                self._part.unlink(missing_ok=True)
        self.finished.emit("" if error is None else error.strerror or str(error))
        self.deleteLater()


def ask_and_write(
    owner: QWidget, name: str, rows: Sequence[Any], columns: Sequence[Column], zone: tzinfo
) -> QFileDialog:
    """Ask for a file and write the rows to it; the window tells what became of it.

    Args:
        owner: the table.
        name: what the file is called at first, without its ending.
        rows: what is written, as they are now.
        columns: of which.
        zone: for times.
    """
    kinds = ";;".join(
        (
            tr("Table (*.csv)"),
            tr("Table with tabs (*.tsv)"),
            tr("JSON (*.json)"),
            tr("A JSON document a line (*.ndjson)"),
        )
    )
    dialog = QFileDialog(owner, tr("Export rows"), f"{name}.csv", kinds)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setDefaultSuffix(FORMATS[0])
    dialog.filterSelected.connect(lambda kind: dialog.setDefaultSuffix(kind.rpartition("*.")[2].rstrip(")")))
    dialog.fileSelected.connect(lambda path: write(owner, Path(path), rows, columns, zone))
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()
    return dialog


def write(
    owner: QWidget, path: Path, rows: Sequence[Any], columns: Sequence[Column], zone: tzinfo
) -> TableWriter:
    """Write rows to a file in the format that its ending names, CSV when it names none."""
    ending = path.suffix.lower().lstrip(".")
    texts = pieces(rows, columns, ending if ending in FORMATS else FORMATS[0], zone)
    writer = TableWriter(path, texts, owner)
    tell = _told_by(owner)

    def ended(problem: str) -> None:
        if problem:
            tell(tr("{name} could not be written: {problem}.", name=path.name, problem=problem), "bad")
            return
        count = figures.integer(len(rows))
        text = tr_count(
            "Exported {count} row to {name}.",
            "Exported {count} rows to {name}.",
            len(rows),
            count=count,
            name=path.name,
        )
        tell(text, "good")

    writer.finished.connect(ended)
    writer.start()
    return writer


def _told_by(owner: QWidget) -> Callable[[str, str], object]:
    """The window's way to tell, found through dialogs too."""
    window: QWidget | None = owner.window()
    while window is not None:
        notify = getattr(window, "notify", None)
        if notify is not None:
            return notify  # type: ignore[no-any-return]
        parent = window.parentWidget()
        window = parent.window() if parent is not None else None
    return lambda text, kind: None
