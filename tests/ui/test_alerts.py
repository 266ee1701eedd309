"""Alerts in the window: a group that lags is told, shown, and silent once seen."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication, QDialog, QLineEdit
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.cluster import keychain
from memphis_desktop.cluster.alert_command import CommandProblem, run
from memphis_desktop.cluster.alerts import Rule
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.components.dialogs import FormDialog
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.alerts import AlertsScreen, RuleForm
from memphis_desktop.ui.screens.alerts.webhooks import WebhookForm

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
    told = await window.alerts.preview(Rule("lag_messages", 3, for_seconds=0))
    assert told.startswith("Would have been told 1 time in the ")
    assert told.endswith("about 1 station or group.")
    [alert] = screen.table.rows()
    screen.table.select_key(alert.key)
    next(command for command in screen.commands() if command.title == "Mark as seen").callback()
    assert window.alerts.open_count() == 0
    assert window.rail.items["alerts"].badge == ""
    window.alerts.show_subject(alert)
    assert window.current_workspace().route == Route("consumer", {"stream": "orders", "consumer": "billing"})
    await jetstream.purge_stream("orders")
    await until(lambda: not window.alerts.alerts(), "the end of the alert")
    assert not window.toasts.texts()


async def test_an_alert_starts_a_command_and_keeps_its_note(
    program: Program,
    any_server: ServerProcess,
    connect: Callable[..., Any],
    until: Until,
    qtbot: QtBot,
    tmp_path: Path,
) -> None:
    window = program.window
    jetstream = (await connect(any_server)).jetstream()
    await jetstream.add_stream(name="orders", subjects=["orders"])
    await jetstream.add_consumer("orders", durable_name="billing", ack_policy="explicit")
    for _ in range(5):
        await jetstream.publish("orders", b"x")
    window.navigate(Route("alerts"))
    screen = window.current_workspace().current_screen
    assert isinstance(screen, AlertsScreen)
    QAbstractItemModelTester(screen.table.model)
    QAbstractItemModelTester(screen.rules.model)
    written = tmp_path / "alert.json"
    code = f"import sys; open({str(written)!r}, 'w').write(sys.stdin.read())"
    screen.new()
    form: RuleForm = await until(lambda: dialog_of(RuleForm), "the form")
    form.signal.setCurrentIndex(form.signal.findData("lag_messages"))
    form.threshold.setValue(3)
    form.duration.setValue(0)
    form.desktop.setChecked(False)
    form.sound.setChecked(True)
    form.command.setText('broken "')
    qtbot.mouseClick(form.verb_button, Qt.MouseButton.LeftButton)
    assert "command line is not understood" in form.error.text()
    form.command.setText(shlex.join([sys.executable, "-c", code]))
    qtbot.mouseClick(form.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: any(rule.command for rule in window.alerts.rules()), "the rule")
    await window.open_profile(ConnectionProfile("near", urls=(any_server.url,), id="near"))
    await until(lambda: window.alerts.open_count() == 1, "the alert")
    await until(lambda: written.exists() and written.stat().st_size, "the command")
    told = json.loads(written.read_text())
    assert (told["event"], told["stream"], told["consumer"]) == ("began", "orders", "billing")

    window.navigate(Route("alerts"))
    [alert] = screen.table.rows()
    screen.table.select_key(alert.key)
    next(command for command in screen.commands() if command.title == "Write a note").callback()
    note = await until(lambda: dialog_of(FormDialog), "the form of the note")
    qtbot.keyClicks(note.findChild(QLineEdit), "restart the billing pods")
    qtbot.mouseClick(note.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: window.alerts.note_of(alert) == "restart the billing pods", "the note")
    await jetstream.purge_stream("orders")
    await until(lambda: not window.alerts.alerts(), "the end of the alert")
    for _ in range(5):
        await jetstream.publish("orders", b"x")
    again = await until(window.alerts.alerts, "the alert again")
    assert window.alerts.note_of(again[0]) == "restart the billing pods"


def test_a_command_that_fails_says_why() -> None:
    for words, why in ((["false"], "code 1"), (["/nowhere/x"], "could not be started")):
        with pytest.raises(CommandProblem, match=why):
            run(shlex.join(words), b"{}")


def dialog_of(kind: type[QDialog]) -> Any:
    found = [w for w in QApplication.topLevelWidgets() if isinstance(w, kind) and w.isVisible()]
    return found[-1] if found else None


async def test_alerts_of_one_rule_share_a_toast(
    program: Program, any_server: ServerProcess, connect: Callable[..., Any], until: Until
) -> None:
    window = program.window
    jetstream = (await connect(any_server)).jetstream()
    window.alerts.set_rules([Rule("lag_messages", 3, for_seconds=0, desktop=False)])
    await window.open_profile(ConnectionProfile("near", urls=(any_server.url,)))
    await jetstream.add_stream(name="orders", subjects=["orders"])
    for _ in range(5):
        await jetstream.publish("orders", b"x")
    for name in ("billing", "audit", "search"):
        await jetstream.add_consumer("orders", durable_name=name, ack_policy="explicit")
    await until(lambda: window.alerts.open_count() == 3, "the alerts")
    [text] = window.toasts.texts()
    assert text.endswith("2 more alerts of this kind.")
    window.toasts._toasts[0]._act()
    assert window.current_workspace().route == Route("alerts")


async def test_rules_are_made_switched_and_deleted(
    program: Program, until: Until, qtbot: QtBot, tmp_path: Path
) -> None:
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
    await until(lambda: "Open a connection" in form.past.text(), "what it would have told")
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
    screen.toggle(next(one for one in window.alerts.rules() if one.id == rule.id))
    await screen.write_rules(tmp_path / "rules.yml")
    assert 'stream_name=~"orders.*"' in (tmp_path / "rules.yml").read_text().replace("\\", "")
    assert "Not in it: A group is behind" in window.toasts.texts()[-1]


async def test_alerts_are_sent_to_a_webhook(
    program: Program,
    any_server: ServerProcess,
    connect: Callable[..., Any],
    until: Until,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keychain, "available", lambda: False)
    got: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        got.append(await request.json())
        return web.Response(status=204)

    application = web.Application()
    application.router.add_post("/hook", take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    window = program.window
    window.navigate(Route("alerts"))
    screen = window.current_workspace().current_screen
    assert isinstance(screen, AlertsScreen)
    qtbot.keyClick(screen, "W")
    form: WebhookForm = await until(
        lambda: next((w for w in QApplication.topLevelWidgets() if isinstance(w, WebhookForm)), None),
        "the form",
    )
    form.url.setText("127.0.0.1/hook")
    qtbot.mouseClick(form.verb_button, Qt.MouseButton.LeftButton)
    assert form.isVisible()  # it says what is wrong with the address
    form.url.setText(f"http://127.0.0.1:{runner.addresses[0][1]}/hook")
    qtbot.mouseClick(form.test_button, Qt.MouseButton.LeftButton)
    await until(lambda: form.outcome.text() == "Taken.", "the test")
    assert got[0]["event"] == "test"
    qtbot.mouseClick(form.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: screen.webhooks.table.rows(), "the webhook")

    client = await connect(any_server)
    jetstream = client.jetstream()
    await jetstream.add_stream(name="orders", subjects=["orders"])
    await jetstream.add_consumer("orders", durable_name="billing", ack_policy="explicit")
    for _ in range(5):
        await jetstream.publish("orders", b"x")
    window.alerts.set_rules([Rule("lag_messages", 3, for_seconds=0, desktop=False)])
    await window.open_profile(ConnectionProfile("near", urls=(any_server.url,)))
    await until(lambda: len(got) == 2, "the alert")
    assert (got[1]["event"], got[1]["stream"], got[1]["consumer"], got[1]["value"]) == (
        "began",
        "orders",
        "billing",
        5.0,
    )
    await jetstream.purge_stream("orders")
    await until(lambda: len(got) == 3, "the end of the alert")
    assert got[2]["event"] == "ended"
    [hook] = window.alerts.webhooks.hooks
    await until(lambda: window.alerts.webhooks.state(hook).sent == 2, "the count")
    await runner.cleanup()
