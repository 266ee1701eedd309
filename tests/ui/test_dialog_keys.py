"""Keys of dialogs, lists and payloads: what they do, and that the user may choose others."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QPlainTextEdit, QWidget
from pytestqt.qtbot import QtBot

from memphis_desktop.ui import keymap
from memphis_desktop.ui.components import table_export
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import ConfirmDialog, Dialog, Disclosure
from memphis_desktop.ui.screens.messages.hex_view import HexView

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def dialog_of_text(qtbot: QtBot) -> tuple[Dialog, QPlainTextEdit]:
    dialog = Dialog(None, "Write a note", "Save note")
    field = QPlainTextEdit()
    dialog.body.addWidget(field)
    dialog.body.addWidget(Disclosure("Command", CodeBlock("nats stream info orders")))
    qtbot.addWidget(dialog)
    with qtbot.waitActive(dialog):
        dialog.show()
        dialog.activateWindow()
    field.setFocus()
    return dialog, field


def test_a_dialog_does_its_work_from_a_field_that_takes_enter(qtbot: QtBot) -> None:
    dialog, field = dialog_of_text(qtbot)
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert dialog.isVisible()
    assert keymap.native("Ctrl+Return") in dialog.verb_button.toolTip()
    with qtbot.waitSignal(dialog.accepted):
        qtbot.keyClick(field, Qt.Key.Key_Return, CTRL)


def test_the_command_is_shown_by_key(qtbot: QtBot) -> None:
    dialog, field = dialog_of_text(qtbot)
    [command] = dialog.findChildren(Disclosure)
    qtbot.keyClick(field, Qt.Key.Key_F4)
    assert command.content.isVisible()
    qtbot.keyClick(field, Qt.Key.Key_F4)
    assert not command.content.isVisible()


def test_other_keys_are_obeyed_and_a_locked_verb_stays_locked(qtbot: QtBot) -> None:
    keymap.choose("dialogs.do", "Alt+S")
    dialog, field = dialog_of_text(qtbot)
    qtbot.keyClick(field, Qt.Key.Key_Return, CTRL)
    assert dialog.isVisible()
    with qtbot.waitSignal(dialog.accepted):
        qtbot.keyClick(field, Qt.Key.Key_S, Qt.KeyboardModifier.AltModifier)
    keymap.reset()
    question = ConfirmDialog(None, "Delete orders", "All is lost.", "Delete", "orders")
    qtbot.addWidget(question)
    question.show()
    assert question.field is not None
    qtbot.keyClick(question.field, Qt.Key.Key_Return, CTRL)
    assert question.isVisible()


def test_hex_is_copied_with_the_keys_chosen(qtbot: QtBot) -> None:
    view = HexView()
    qtbot.addWidget(view)
    view.set_data(b"abc")
    view.show()
    qtbot.keyClick(view, Qt.Key.Key_A, CTRL)
    qtbot.keyClick(view, Qt.Key.Key_C, CTRL)
    assert QGuiApplication.clipboard().text() == "61 62 63"
    qtbot.keyClick(view, Qt.Key.Key_C, CTRL | SHIFT)
    assert "abc" in QGuiApplication.clipboard().text()
    keymap.choose("payload.copy", "Y")
    QGuiApplication.clipboard().clear()
    qtbot.keyClick(view, Qt.Key.Key_C, CTRL)
    assert QGuiApplication.clipboard().text() == ""
    qtbot.keyClick(view, Qt.Key.Key_Y)
    assert QGuiApplication.clipboard().text() == "61 62 63"


COLUMNS = [
    Column("name", "Name", lambda row: row[0]),
    Column("count", "Messages", lambda row: row[1], "number"),
    Column("rates", "Rate", lambda row: [1.0, 2.0], "sparkline"),
    Column("note", "Note", lambda row: row[2], visible=False),
]


@pytest.fixture
def table(qtbot: QtBot) -> DataTable:
    """Three rows, a column of which is hidden."""
    table = DataTable(COLUMNS, lambda row: row[0], "stations")
    table.set_rows([("b", 2**53 + 1, "=1+1"), ("a", 1_000, "two\nlines"), ("c", -3, "x")])
    qtbot.addWidget(table)
    table.resize(600, 300)
    table.show()
    table.view.setFocus()
    return table


def test_rows_are_selected_and_ordered_without_a_mouse(table: DataTable, qtbot: QtBot) -> None:
    table.select_key("b")
    qtbot.keyClick(table.view, Qt.Key.Key_J, SHIFT)
    assert [row[0] for row in table.selected_rows()] == ["b", "a"]
    qtbot.keyClick(table.view, Qt.Key.Key_A, CTRL)
    assert len(table.selected_rows()) == 3
    qtbot.keyClick(table.view, Qt.Key.Key_F10, SHIFT)
    rows = QApplication.activePopupWidget()
    assert rows is not None
    assert "Copy as JSON" in {action.text().split("\t")[0] for action in rows.actions()}
    rows.close()
    assert len(table.selected_rows()) == 3  # the menu is for all that is selected
    qtbot.keyClick(table.view, Qt.Key.Key_F9)
    menu = QApplication.activePopupWidget()
    assert menu is not None
    assert menu.activeAction().text().startswith("Choose columns")
    [order] = [action.menu() for action in menu.actions() if action.menu() is not None]
    order.actions()[0].trigger()
    menu.close()
    assert [row[0] for row in table.rows()] == ["a", "b", "c"]


@pytest.mark.parametrize("ending", ["csv", "json", "ndjson", "tsv"])
def test_what_is_shown_is_exported(table: DataTable, tmp_path: Path, qtbot: QtBot, ending: str) -> None:
    table.set_filter("b")
    dialog = table.export_shown()
    assert dialog.selectedFiles()[0].endswith("stations.csv")
    path = tmp_path / f"stations.{ending}"
    dialog.fileSelected.emit(str(path))
    dialog.reject()
    qtbot.waitUntil(path.exists)
    text = path.read_text(encoding="utf-8")
    if ending == "csv":
        assert list(csv.reader(text.splitlines())) == [["Name", "Messages"], ["b", "9007199254740993"]]
    elif ending == "tsv":
        assert text.splitlines()[1] == "b\t9007199254740993"
    else:
        found = json.loads(text)
        row = found[0] if ending == "json" else found
        assert row == {"name": "b", "count": 2**53 + 1, "rates": [1.0, 2.0]}
    assert list(tmp_path.glob("*.part")) == []


def test_all_is_exported_whatever_is_shown(table: DataTable, tmp_path: Path, qtbot: QtBot) -> None:
    table.set_filter("b")
    path = tmp_path / "all.csv"
    dialog = table.export_all()
    dialog.fileSelected.emit(str(path))
    dialog.reject()
    qtbot.waitUntil(path.exists)
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines(keepends=True)))
    assert [row["Name"] for row in rows] == ["b", "a", "c"]
    assert rows[0]["Note"] == "'=1+1"  # no spreadsheet computes it
    assert rows[1]["Note"] == "two\nlines"
    assert rows[2]["Messages"] == "-3"


def test_what_cannot_be_written_says_so_and_leaves_what_was_there(
    table: DataTable, tmp_path: Path, qtbot: QtBot
) -> None:
    told = []

    class Window(QWidget):
        def notify(self, text: str, kind: str) -> None:
            told.append((kind, text))

    window = Window()
    table.setParent(window)
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    (folder / "kept").touch()
    table_export.write(table, folder, table.rows(), COLUMNS, table.model.zone)
    qtbot.waitUntil(lambda: bool(told))
    assert told[0][0] == "bad"
    assert "folder.csv" in told[0][1]
    assert (folder / "kept").exists()
    assert list(tmp_path.glob("*.part")) == []
    table.setParent(None)
    window.deleteLater()
