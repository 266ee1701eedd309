"""Right to left: what is painted by hand is mirrored, and what belongs to servers stays as it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QGuiApplication, QImage, QPainter
from PySide6.QtWidgets import QStyleOptionViewItem
from pytestqt.qtbot import QtBot

from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.data_table import DataTable
from memphis_desktop.ui.components.graph import TimeSeriesGraph
from memphis_desktop.ui.components.json_tree import JsonTree
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.table_model import Column
from memphis_desktop.ui.components.vital_sign import VitalSign
from memphis_desktop.ui.screens import registry
from memphis_desktop.ui.screens.messages.hex_view import HexView
from memphis_desktop.ui.shell.rail import RailItem
from memphis_desktop.ui.theme.direction import placed, reads_right_to_left
from memphis_desktop.ui.theme.icons import paint_icon

LEFT_TO_RIGHT, RIGHT_TO_LEFT = Qt.LayoutDirection.LeftToRight, Qt.LayoutDirection.RightToLeft


@pytest.fixture
def mirrored(qtbot: QtBot) -> Iterator[None]:
    QGuiApplication.setLayoutDirection(RIGHT_TO_LEFT)
    yield
    QGuiApplication.setLayoutDirection(LEFT_TO_RIGHT)


def inked(image: QImage, top: int = 0) -> tuple[int, int]:
    """The first and the last column with something other than the ground in it."""
    ground = image.pixel(image.width() // 2, top)
    columns = [
        x
        for x in range(image.width())
        if any(image.pixel(x, y) != ground for y in range(top, image.height() - 2))
    ]
    return columns[0], columns[-1]


def drawn(name: str) -> QImage:
    image = QImage(32, 32, QImage.Format.Format_ARGB32)
    image.fill(QColor("white"))
    painter = QPainter(image)
    paint_icon(painter, image.rect(), name, "black")
    painter.end()
    return image


def test_the_direction_of_a_text_is_that_of_its_first_letter() -> None:
    assert reads_right_to_left("12 \u05e9\u05dc\u05d5\u05dd orders")
    assert not reads_right_to_left("orders.> \u05e9\u05dc\u05d5\u05dd")
    assert not reads_right_to_left("1 234")


@pytest.mark.usefixtures("mirrored")
def test_places_and_arrows_are_mirrored() -> None:
    assert placed(QRect(10, 0, 20, 5), QRect(0, 0, 100, 5)) == QRect(70, 0, 20, 5)
    back, house = drawn("arrow-left"), drawn("house")
    QGuiApplication.setLayoutDirection(LEFT_TO_RIGHT)
    assert back != drawn("arrow-left")
    assert house == drawn("house")


@pytest.mark.usefixtures("mirrored")
def test_the_rail_has_its_icons_at_the_right(qtbot: QtBot) -> None:
    item = RailItem(registry.SCREENS[0], None)
    qtbot.addWidget(item)
    item.resize(200, 34)
    first, last = inked(item.grab().toImage(), 3)
    assert first > 60
    assert last > 170


@pytest.mark.usefixtures("mirrored")
def test_a_figure_stands_at_the_right_below_its_name(qtbot: QtBot) -> None:
    tile = VitalSign("Messages", beside=True)
    qtbot.addWidget(tile)
    tile.resize(240, 80)
    tile.set_value("12", "/s")
    tile.show()
    figure = tile._figure.grab().toImage()
    assert inked(figure)[0] > figure.width() // 2


@pytest.mark.usefixtures("mirrored")
def test_a_subject_keeps_its_direction_at_the_right(qtbot: QtBot) -> None:
    label = PlainLabel("orders.>", "mono", elide=Qt.TextElideMode.ElideRight)
    qtbot.addWidget(label)
    label.resize(200, 24)
    shown = label.grab().toImage()
    label.setAlignment(Qt.AlignmentFlag.AlignRight)
    QGuiApplication.setLayoutDirection(LEFT_TO_RIGHT)
    assert label.layoutDirection() == LEFT_TO_RIGHT
    assert shown == label.grab().toImage()
    assert inked(shown)[0] > 100


@pytest.mark.usefixtures("mirrored")
def test_a_name_in_a_table_is_cut_off_at_its_end(qtbot: QtBot) -> None:
    name = "orders.created.in.a.far.away.country.of.which.nobody.knows.anything"
    cells = []
    for direction in (RIGHT_TO_LEFT, LEFT_TO_RIGHT):
        QGuiApplication.setLayoutDirection(direction)
        columns = [Column("name", "Name", lambda row: row, "mono", 120)]
        table: DataTable[str] = DataTable(columns, lambda row: row, "test_direction")
        qtbot.addWidget(table)
        table.set_rows([name])
        option = QStyleOptionViewItem()
        option.rect = QRect(0, 0, 120, 28)
        image = QImage(120, 28, QImage.Format.Format_ARGB32)
        image.fill(QColor("white"))
        painter = QPainter(image)
        painter.setLayoutDirection(direction)
        table.delegate.paint(painter, option, table.model.index(0, 0))
        painter.end()
        cells.append(inked(image.copy(0, 0, 120, 26), 2))
    (first, last), (first_as_before, last_as_before) = cells
    assert 0 <= first - first_as_before <= 8  # moved to the right by the room that is left
    assert 0 <= last - last_as_before <= 8


@pytest.mark.usefixtures("mirrored")
def test_graphs_code_json_and_hex_run_from_left_to_right(qtbot: QtBot) -> None:
    code, tree, pairs = CodeBlock("nats pub orders"), JsonTree(), HexView()
    graph = TimeSeriesGraph("Throughput")
    for widget in (code, tree, pairs, graph):
        qtbot.addWidget(widget)
    plot = graph._plot
    graph.resize(400, 300)
    graph.show()
    assert plot.getAxis("left").scenePos().x() < plot.getViewBox().scenePos().x()
    assert {one.layoutDirection() for one in (code.editor, tree.view, pairs)} == {LEFT_TO_RIGHT}
