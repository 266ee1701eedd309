"""Alerts in the window: a group that lags is told, shown, and silent once seen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.cluster.alerts import Rule
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.alerts import AlertsScreen, RuleForm

Until = Callable[..., Awaitable[Any]]


async def test_a_lagging_group_is_told_and_shown(
    program: Program, any_server: ServerProcess, connect: Callable[..., Any], until: Until, qtbot: QtBot
) -> None:
    window = program.window
    client = await connect(any_server)
    jetstream = client.jetstream()
    await jetstream.add_stream(name="orders", subjects=["orders"])
    await jetstream.add_consumer("orders", durable_name="billing", ack_policy="explicit")
    for _ in range(5):
        await jetstream.publish("orders", b"x")
    window.alerts.set_rules([Rule("lag_messages", 3, for_seconds=0, desktop=False)])
    await window.open_profile(ConnectionProfile("near", urls=(any_server.url,)))
    await until(lambda: window.alerts.open_count() == 1, "the alert")
    assert "orders › billing on near" in window.toasts.texts()[0]
    assert window.rail.items["alerts"].badge == "1"
    window.navigate(Route("alerts"))
    screen = window.current_workspace().current_screen
    assert isinstance(screen, AlertsScreen)
    [alert] = screen.table.rows()
    screen.table.select_key(alert.key)
    next(command for command in screen.commands() if command.title == "Mark as seen").callback()
    assert window.alerts.open_count() == 0
    assert window.rail.items["alerts"].badge == ""
    window.alerts.show_subject(alert)
    assert window.current_workspace().route == Route("consumer", {"stream": "orders", "consumer": "billing"})
    await jetstream.purge_stream("orders")
    await until(lambda: not window.alerts.alerts(), "the end of the alert", timeout=20)


async def test_rules_are_made_switched_and_deleted(program: Program, until: Until, qtbot: QtBot) -> None:
    window = program.window
    window.navigate(Route("alerts"))
    screen = window.current_workspace().current_screen
    assert isinstance(screen, AlertsScreen)
    count = len(screen.rules.rows())
    screen.new()
    form: RuleForm = await until(
        lambda: next(
            (w for w in QApplication.topLevelWidgets() if isinstance(w, RuleForm) and w.isVisible()), None
        ),
        "the form",
    )
    form.signal.setCurrentIndex(form.signal.findData("rate_low"))
    assert form.threshold.prefix() == "below "
    form.pattern.setText("orders*")
    qtbot.mouseClick(form.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: len(screen.rules.rows()) == count + 1, "the rule")
    rule = screen.rules.current_row()
    assert (rule.signal, rule.pattern) == ("rate_low", "orders*")
    screen.toggle(rule)
    assert not next(one for one in window.alerts.rules() if one.id == rule.id).enabled
    screen.delete(rule)
    assert len(window.alerts.rules()) == count
    window.toasts._toasts[-1]._act()
    assert len(window.alerts.rules()) == count + 1
