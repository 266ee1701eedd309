"""The page of one station and its parts."""

from __future__ import annotations

from dataclasses import replace

from nats.aio.client import Client
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot

from memphis_desktop.cluster.raft.model import PeerSnapshot
from memphis_desktop.ui import settings
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.composer.dialog import Composer
from memphis_desktop.ui.screens.station_detail import StationDetailScreen
from memphis_desktop.ui.screens.station_detail.code import CodeTab
from memphis_desktop.ui.screens.station_detail.screen import TABS
from memphis_desktop.ui.screens.station_detail.summary import origin_state
from memphis_desktop.ui.screens.station_form import ConfigurationDialog
from memphis_desktop.ui.shell import time_zones
from tests.ui.stations.steps import Show, Until, dialog_of, fill, run, shown_text


async def test_a_station_shows_its_parts(client: Client, show: Show, until: Until, qtbot: QtBot) -> None:
    await fill(client, messages=9, max_msgs=100)
    await client.jetstream().add_consumer("orders", durable_name="g", ack_policy="explicit")
    screen = await show(Route("station", {"stream": "orders"}))
    assert isinstance(screen, StationDetailScreen)
    summary = await until(lambda: screen.current_tab, "the summary")
    await until(lambda: summary.facts.values().get("Message limit", "").startswith("9"), "the facts")
    await until(lambda: len(summary.subjects.rows()) == 3, "the subjects")
    assert {row.subject for row in summary.subjects.rows()} == {"orders.0", "orders.1", "orders.2"}
    await until(lambda: len(summary.graph.table_rows()) > 1, "the graph")
    for index in range(screen.tab_bar.count()):
        screen.tab_bar.setCurrentIndex(index)
        assert screen.current_tab is not None
        assert screen.current_tab.isVisible()
    groups = screen._tabs["groups"]
    screen.tab_bar.setCurrentIndex([tab.key for tab in TABS].index("groups"))
    await until(lambda: [c.name for c in groups.table.rows()] == ["g"], "the groups")
    configuration = screen._tabs["configuration"]
    assert '"name": "orders"' in configuration.view.code.text()
    await client.jetstream().delete_stream("orders")
    await until(lambda: "does not exist any more" in screen.notice.text(), "the notice")


async def test_every_part_follows_the_time_zone(client: Client, show: Show) -> None:
    await fill(client, messages=1)
    screen = await show(Route("station", {"stream": "orders"}))
    for index in range(screen.tab_bar.count()):
        screen.tab_bar.setCurrentIndex(index)
    settings.current().set(time_zones.SETTING, "Asia/Tokyo")
    letters = screen._tabs["dead-letters"].view
    assert str(screen.context.zone) == "Asia/Tokyo"
    for part in (letters.table, letters.groups, screen._tabs["groups"].table):
        assert part.model.zone is screen.context.zone


async def test_a_station_that_is_not_there_says_so(client: Client, show: Show, until: Until) -> None:
    screen = await show(Route("station", {"stream": "nothing"}))
    await until(lambda: screen.notice.isVisible(), "the notice")
    assert "nothing does not exist" in screen.notice.text()


async def test_subjects_are_a_tree_that_stays_open(client: Client, show: Show, until: Until) -> None:
    jetstream = client.jetstream()
    await jetstream.add_stream(name="orders", subjects=["orders.>"])
    for subject in ("orders.eu.new", "orders.eu.paid", "orders.us.new", "orders.us.new"):
        await jetstream.publish(subject, b"x")
    screen = await show(Route("station", {"stream": "orders", "tab": "subjects"}))
    tab = await until(lambda: screen.current_tab, "the tab")
    # What the view draws counts, not what the model answers when asked.
    await until(lambda: tab.tree.indexAt(QPoint(5, 5)).isValid(), "the tree on the screen")
    QAbstractItemModelTester(tab.model)
    top = tab.model.index(0, 0)
    assert [tab.model.index(0, column).data() for column in (0, 1, 5)] == ["orders", "4", "3"]
    await until(lambda: tab.tree.isExpanded(top), "the single branch open")
    assert [tab.model.index(row, 0, top).data() for row in range(2)] == ["eu", "us"]
    us = tab.model.index(1, 0, top)
    tab.tree.expand(us)
    tab.tree.setCurrentIndex(us)
    await jetstream.publish("orders.asia.new", b"x")
    await jetstream.publish("orders.us.new", b"x")
    tab._read_now()
    await until(lambda: tab.model.rowCount(top) == 3, "the new branch")
    us = tab.model.index(2, 0, top)
    assert us.siblingAtColumn(1).data() == "3"
    assert tab.tree.currentIndex() == us
    assert tab.tree.isExpanded(us)
    tab.filter.field.setText("orders.eu.>")
    await until(lambda: tab.model.rowCount(top) == 1, "the narrowed tree")
    purge = next(command for command in tab.commands() if command.title == "Purge this")
    tab.tree.setCurrentIndex(tab.model.index(0, 0, top))
    purge = next(command for command in tab.commands() if command.title == "Purge this")
    purge.callback()
    dialog = await until(dialog_of, "the question")
    assert "orders.eu.>" in shown_text(dialog)
    dialog.verb_button.click()
    await until(lambda: screen._snapshot.messages == 4, "the purge")


async def test_a_stations_code_follows_its_groups(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    await fill(client)
    await client.jetstream().add_consumer("orders", durable_name="billing", ack_policy="explicit")
    screen = await show(Route("station", {"stream": "orders", "tab": "code"}))
    tab = (await until(lambda: screen.findChild(CodeTab), "the tab")).view
    await until(lambda: 'publish("orders.new"' in tab.code.text(), "the program")
    assert client.connected_url.netloc in tab.code.text()
    tab.directions.set_choice("consume")
    tab.show_code()
    await until(lambda: tab.groups.findData("billing") > 0, "the group")
    assert 'durable="my-group"' in tab.code.text()
    tab.groups.setCurrentIndex(tab.groups.findData("billing"))
    assert 'pull_subscribe_bind("billing"' in tab.code.text()
    tab.languages.set_choice("Go")
    tab.show_code()
    assert 'js.Consumer(ctx, "orders", "billing")' in tab.code.text()


async def test_the_last_value_of_each_subject_is_shown(client: Client, show: Show, until: Until) -> None:
    jetstream = client.jetstream()
    await jetstream.add_stream(name="orders", subjects=["orders.>"], allow_direct=True)
    for number in range(3):
        await jetstream.publish("orders.eu.new", b'{\n "number": %d }' % number)
    await jetstream.publish("orders.us.new", b"\x82\xa2id\x01\xa4name\xa3ann")  # MsgPack
    await jetstream.publish("orders.us.<b>", b"<b>bold</b>")
    screen = await show(Route("station", {"stream": "orders", "tab": "subjects"}))
    tab = await until(lambda: screen.current_tab, "the tab")
    run(screen, "Last value of each subject")
    values = tab.last_values
    assert values.isVisible()
    QAbstractItemModelTester(values.table.model)

    def shown() -> dict[str, str]:
        return {row.subject: row.text for row in values.table.rows()}

    await until(lambda: len(shown()) == 3, "the values")
    assert shown()["orders.eu.new"] == '{"number": 2}'
    assert shown()["orders.us.new"] == '{"id": 1, "name": "ann"}'
    assert shown()["orders.us.<b>"] == "<b>bold</b>"
    assert values.title.text() == "Last values of all subjects"
    top = tab.model.index(0, 0)
    await until(lambda: tab.model.rowCount(top) == 2, "the branches")
    tab.tree.setCurrentIndex(tab.model.index(0, 0, top))
    await until(lambda: set(shown()) == {"orders.eu.new"}, "the values of a branch")
    assert values.title.text() == "Last values of orders.eu"
    await until(lambda: tab.model.index(0, 3, top).data() != "–", "when it was stored last")
    await jetstream.publish("orders.eu.new", b'{"number": 3}')
    await until(lambda: shown()["orders.eu.new"] == '{"number": 3}', "the value that came")
    await until(lambda: tab.model.index(0, 2, top).data() not in ("–", "0/s"), "what is more")
    values.table.select_key("orders.eu.new")
    sequence = values.table.current_row().sequence
    values.table._open()
    opened = await until(lambda: screen.window().current_workspace().current_screen, "the browser")
    assert (opened.route_name, sequence) == ("messages", 6)
    assert (await jetstream.stream_info("orders")).state.consumer_count == 0


async def test_the_first_message_is_published_where_the_list_will_be(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    await client.jetstream().add_stream(name="orders", subjects=["orders.*.created"])
    screen = await show(Route("station", {"stream": "orders"}))
    summary = await until(lambda: screen.current_tab, "the summary")
    await until(lambda: summary.first is not None and summary.first.isVisible(), "the box")
    assert summary.subjects._message.sentence() == "Waiting for the first message."
    screen.tab_bar.setCurrentIndex([tab.key for tab in TABS].index("messages"))
    tab = screen.current_tab
    assert tab.waits
    box = tab.first
    assert box.waiting.text() == "Waiting for the first message."
    assert (box.subject.text(), box.subject.selectedText()) == ("orders.new.created", "new")
    box.subject.setText("elsewhere")
    box.check()
    assert box.problem.text() == "This station does not store elsewhere."
    assert not box.publish_button.isEnabled()
    box.subject.setText("orders.eu.created")
    box.body.editor.setPlainText('{"id": }')
    box.check()
    assert "Not JSON" in box.problem.text()
    box.body.editor.setPlainText('{"id": 1}')
    box.headers.set_headers([("trace", "t1")])
    box.check()
    qtbot.mouseClick(box.publish_button, Qt.MouseButton.LeftButton)
    await until(lambda: not tab.waits, "the list")
    await until(lambda: tab.browser.isVisible(), "the list on the screen")
    assert box.outcome.text().startswith("Stored in orders as #1")
    message = await client.jetstream().get_msg("orders", seq=1)
    assert (message.subject, message.data, message.headers) == (
        "orders.eu.created",
        b'{"id": 1}',
        {"trace": "t1"},
    )
    await client.jetstream().purge_stream("orders")
    await until(lambda: screen._snapshot.messages == 0, "the purge")
    assert not tab.waits  # it had messages: work queues are empty most of the time


async def test_what_is_published_from_a_station_goes_there(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    await fill(client)
    screen = await show(Route("station", {"stream": "orders"}))
    await until(lambda: screen._snapshot is not None, "the station")
    window = screen.window()
    window.activateWindow()
    await until(window.isActiveWindow, "the active window")
    keys = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(window, Qt.Key.Key_P, keys)
    composer = await until(lambda: dialog_of(Composer), "the composer")
    assert composer.subject_field.text() == "orders.>"
    assert composer.subject_field.selectedText() == ">"
    composer.close()


async def test_the_tiles_put_their_figures_on_the_graph(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    await fill(client, messages=7)
    screen = await show(Route("station", {"stream": "orders"}))
    summary = await until(lambda: screen.current_tab, "the summary")
    await until(lambda: len(summary.graph.table_rows()) > 1, "the graph")
    qtbot.mouseClick(summary.signs["messages"], Qt.MouseButton.LeftButton)
    assert (summary.graph.title, summary.graph.unit) == ("Messages", "messages")
    assert summary.graph.table_rows()[0][1] == (7.0,)
    summary.signs["bytes"].setFocus()
    qtbot.keyClick(summary.signs["bytes"], Qt.Key.Key_Return)
    assert summary.graph.unit == "bytes"
    run(screen, "Show what flows on the graph")
    assert summary.graph.unit == "messages/s"
    assert len(summary.graph.table_rows()[0][1]) == 3


def test_copies_say_how_far_they_are_behind_their_origin() -> None:
    assert origin_state({"name": "A", "lag": 0, "active": 2_000_000_000}) == "0 behind"
    assert origin_state({"name": "A", "lag": 7, "active": 90_000_000_000}).startswith(
        "7 behind, heard from 1\u00a0min"
    )
    text = origin_state({"name": "A", "lag": 0, "active": -1, "error": {"description": "stream not found"}})
    assert text == "0 behind, never heard from, stream not found"


async def test_the_keys_of_the_page_go_through_its_parts_and_change_it(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    await fill(client)
    screen = await show(Route("station", {"stream": "orders"}))
    await until(lambda: screen._snapshot is not None, "the station")
    window = screen.window()
    window.activateWindow()
    await until(window.isActiveWindow, "the active window")
    control = Qt.KeyboardModifier.ControlModifier
    qtbot.keyClick(window, Qt.Key.Key_Tab, control)
    assert screen.current_tab.key == "messages"
    qtbot.keyClick(window, Qt.Key.Key_Tab, control | Qt.KeyboardModifier.ShiftModifier)
    assert screen.current_tab.key == "summary"
    qtbot.keyClick(window, Qt.Key.Key_E, control)
    dialog = await until(lambda: dialog_of(ConfigurationDialog), "the form")
    qtbot.keyClicks(dialog.form.field("description"), "all orders")
    dialog.activateWindow()
    await until(dialog.isActiveWindow, "the active window")
    qtbot.keyClick(dialog, Qt.Key.Key_S, control)
    await until(lambda: screen._snapshot.config.get("description") == "all orders", "the change")


async def test_without_quorum_the_top_subjects_say_why_there_are_none(
    client: Client, show: Show, until: Until
) -> None:
    await fill(client)
    screen = await show(Route("station", {"stream": "orders"}))
    summary = await until(lambda: screen.current_tab, "the summary")
    await until(lambda: len(summary.subjects.rows()) == 3, "the subjects")
    await until(lambda: summary._reading is None, "the end of the reading")
    gone = tuple(PeerSnapshot(name, False, True, 0, 0) for name in ("n2", "n3"))
    lost = replace(screen._snapshot, clustered=True, leader="", peers=gone)
    screen.deactivated()
    summary._active = True
    summary.show_station(lost, screen.context.session.snapshot)
    assert summary.subjects.state() == "ready"  # what was read stays
    summary.subjects.set_rows([])
    summary.subjects.set_state("loading")
    summary.show_station(lost, screen.context.session.snapshot)
    assert summary.subjects.state() == "error"
    assert summary.subjects._message.sentence().startswith("The subjects cannot be read: the station has no ")
