"""Home: making, testing, changing and deleting connections; the local broker's panel."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QColor, QDropEvent, QGuiApplication
from PySide6.QtWidgets import QApplication, QDialog, QFileDialog, QLabel, QLineEdit
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.cluster import keychain
from memphis_desktop.cluster.contexts import read_context
from memphis_desktop.cluster.lab.layout import free_ports
from memphis_desktop.cluster.profiles import (
    ConnectionProfile,
    CredentialKind,
    Credentials,
    Environment,
    ProxyOptions,
    TlsOptions,
)
from memphis_desktop.inspect.client_code import LANGUAGES
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui import theme
from memphis_desktop.ui.broker_control import BrokerChoice, BrokerState, Doors
from memphis_desktop.ui.components.dialogs import ConfirmDialog
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.home.connection_form import ConnectionForm, context_command
from memphis_desktop.ui.screens.home.doors_dialog import DoorsDialog
from memphis_desktop.ui.screens.home.import_dialog import ImportDialog
from memphis_desktop.ui.screens.home.login_fields import KINDS
from memphis_desktop.ui.screens.home.screen import HomeScreen
from memphis_desktop.ui.screens.station_code import StationCode, StationCodeDialog
from memphis_desktop.ui.theme.tokens import contrast_ratio
from tests.conftest import Starter
from tests.proxies import Proxy
from tests.unit.cluster.certificates import make_certificate

Until = Callable[..., Awaitable[Any]]


def home(program: Program) -> HomeScreen:
    screen = program.window.workspaces()[0].current_screen
    assert isinstance(screen, HomeScreen)
    return screen


def open_dialog(kind: type[QDialog]) -> Any:
    return next((w for w in QApplication.topLevelWidgets() if isinstance(w, kind) and w.isVisible()), None)


@pytest.fixture(autouse=True)
def no_keychain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keychain, "available", lambda: False)


async def test_a_newcomer_sees_three_ways_and_then_the_list(program: Program) -> None:
    screen = home(program)
    assert screen._pages.currentIndex() == 0
    program.window.profiles.put(ConnectionProfile("near"))
    screen.refresh()
    assert screen._pages.currentIndex() == 1
    assert screen.table.current_row().profile.name == "near"


async def test_a_connection_is_made_with_the_form(
    program: Program, nats_server: ServerProcess, until: Until, qtbot: QtBot
) -> None:
    screen = home(program)
    screen.new()
    form: ConnectionForm = await until(lambda: open_dialog(ConnectionForm), "the form")
    qtbot.mouseClick(form.verb_button, Qt.MouseButton.LeftButton)
    assert "address of a server" in form.error.text()
    qtbot.keyClicks(form.name, "orders")
    qtbot.keyClicks(form.urls, nats_server.url.removeprefix("nats://"))
    form.environment.setCurrentIndex(2)
    qtbot.mouseClick(form.verb_button, Qt.MouseButton.LeftButton)
    [profile] = await until(program.window.profiles.load, "the profile")
    assert profile.urls == (nats_server.url,)
    assert profile.environment is Environment.STAGING
    await until(lambda: screen.table.rows(), "the row")
    screen.table.view.setFocus()
    qtbot.keyClick(screen.table.view, Qt.Key.Key_Return)
    await until(lambda: len(program.window.workspaces()) == 2, "the tab")
    screen.refresh()
    assert screen.table.rows()[0].state()[1] == "Connected"


async def test_a_connection_has_a_colour_of_its_own_beside_its_environment(
    program: Program, nats_server: ServerProcess, until: Until, qtbot: QtBot
) -> None:
    before = ConnectionProfile("orders", urls=(nats_server.url,), environment=Environment.PRODUCTION)
    program.window.profiles.put(before)
    screen = home(program)
    screen.refresh()
    screen.edit(before)
    form: ConnectionForm = await until(lambda: open_dialog(ConnectionForm), "the form")
    form.colour.setCurrentIndex(form.colour.findText("Orange"))
    qtbot.mouseClick(form.verb_button, Qt.MouseButton.LeftButton)
    [profile] = await until(lambda: [p for p in program.window.profiles.load() if p.colour], "the colour")
    assert profile.colour == "orange"
    name = next(column for column in screen.table.model.columns if column.key == "name")
    assert name.value(screen.table.rows()[0]) == ("circle-fill", "series1", "orders", True)
    window = program.window
    await window.open_profile(profile)
    for mode in ("dark", "light", "contrast"):
        theme.manager().set_mode(mode)
        look = theme.manager().current
        orange = QColor(look.colour("series1"))
        assert contrast_ratio(orange.name(), look.window) >= 3.0  # what is no text, and tells something
        strip = window.strip.grab().toImage()
        assert strip.pixelColor(3, 10) == orange
        middle = strip.pixelColor(strip.width() // 2, 2)
        assert middle == QColor(theme.ENVIRONMENT_COLOURS["production"][0])  # where its word stands
        bar = window.top_bar.tabs
        area = bar.tabRect(bar.currentIndex())
        shown = bar.grab().toImage()
        ratio = bar.devicePixelRatioF()
        assert (
            shown.pixelColor(round(area.center().x() * ratio), round((area.bottom() - 1) * ratio)) == orange
        )
    window.navigate(Route("home"))
    assert window.strip.grab().toImage().pixelColor(3, 1) != orange


async def test_a_name_is_taken_once_only(program: Program, until: Until, qtbot: QtBot) -> None:
    program.window.profiles.put(ConnectionProfile("near"))
    home(program).new()
    form: ConnectionForm = await until(lambda: open_dialog(ConnectionForm), "the form")
    form.name.setText("NEAR")
    form.urls.setText("nats://a:4222")
    qtbot.mouseClick(form.verb_button, Qt.MouseButton.LeftButton)
    assert "another connection named NEAR" in form.error.text()
    form.reject()


async def test_changing_keeps_what_the_form_does_not_show(program: Program, until: Until) -> None:
    before = ConnectionProfile("near", urls=("nats://a:4222",), description="kept", origin="context x")
    program.window.profiles.put(before)
    screen = home(program)
    screen.refresh()
    screen.edit(before)
    form: ConnectionForm = await until(lambda: open_dialog(ConnectionForm), "the form")
    form.read_only.setChecked(True)
    form.login.kind.setCurrentIndex(list(CredentialKind).index(CredentialKind.NONE))
    form.accept()
    await until(lambda: program.window.profiles.load()[0].read_only, "the change")
    after = program.window.profiles.load()[0]
    assert (after.id, after.description, after.origin) == (before.id, "kept", "context x")


async def test_the_test_names_the_step_that_failed(
    program: Program, nats_server: ServerProcess, until: Until
) -> None:
    store = program.window.profiles
    store.put(ConnectionProfile("good", urls=(nats_server.url,)))
    store.put(ConnectionProfile("bad", urls=("nats://127.0.0.1:1",)))
    screen = home(program)
    screen.refresh()
    good, bad = store.load()
    screen.table.select_key(good.id)
    screen.details.test()
    await until(lambda: screen.details.test_button.isEnabled(), "the end of the test")
    assert {step.state for step in screen.details._steps} == {"passed", "skipped"}
    screen.table.select_key(bad.id)
    screen.details.test()
    await until(lambda: screen.details.test_button.isEnabled(), "the end of the test")
    failed = [step for step in screen.details._steps if step.state == "failed"]
    assert [step.key for step in failed] == ["connect"]
    screen.details._copy_report()
    assert "Nothing listens" in QGuiApplication.clipboard().text()


async def test_deleting_asks_and_can_be_undone(program: Program, until: Until, qtbot: QtBot) -> None:
    store = program.window.profiles
    store.put(ConnectionProfile("near"))
    screen = home(program)
    screen.refresh()
    screen.table.view.setFocus()
    screen.delete()
    dialog: ConfirmDialog = await until(lambda: open_dialog(ConfirmDialog), "the question")
    assert dialog.cancel_button.isDefault()
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: not store.load(), "the deletion")
    toast = program.window.toasts._toasts[-1]
    toast._act()
    assert [profile.name for profile in store.load()] == ["near"]


async def test_contexts_are_imported(program: Program, until: Until, tmp_path: Path, qtbot: QtBot) -> None:
    folder = tmp_path / "xdg" / "nats" / "context"
    folder.mkdir(parents=True)
    (folder / "prod.json").write_text(json.dumps({"url": "nats://prod:4222", "user": "ada"}))
    (folder / "broken.json").write_text("{")
    screen = home(program)
    screen.exchange.import_contexts()
    dialog: ImportDialog = await until(lambda: open_dialog(ImportDialog), "the dialog")
    assert [profile.name for profile in dialog.chosen()] == ["prod"]
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    [profile] = await until(program.window.profiles.load, "the import")
    assert profile.credentials.user == "ada"


async def test_connections_are_ordered_and_given_away_without_secrets(
    program: Program, tmp_path: Path, qtbot: QtBot
) -> None:
    secret = Credentials(CredentialKind.PASSWORD, user="ada", password="geheim")
    kept = Credentials(CredentialKind.TOKEN, token="env://TOKEN")
    store = program.window.profiles
    store.put(ConnectionProfile("first", urls=("nats://ada:geheim@a:4222",), credentials=secret))
    store.put(ConnectionProfile("second", urls=("tls://b:4222",), system_credentials=kept))
    screen = home(program)
    screen.refresh()
    screen.table.select_key(store.load()[1].id)
    command = next(one for one in screen.commands() if one.title == "Move up")
    command.callback()
    assert [one.name for one in store.load()] == ["second", "first"]
    command.callback()  # it is the first already
    assert [row.profile.name for row in screen.table.rows()] == ["second", "first"]
    assert [row.profile.name for row in screen.table.selected_rows()] == ["second"]

    path = tmp_path / "given.json"
    screen.exchange.export_to(str(path), store.load())
    text = path.read_text(encoding="utf-8")
    assert "geheim" not in text
    assert "env://TOKEN" in text
    screen.exchange.import_from(str(path))
    assert [one.name for one in store.load()] == ["second", "first", "second 2", "first 2"]
    assert len({one.id for one in store.load()}) == 4
    assert store.load()[3].credentials == Credentials(CredentialKind.PASSWORD, user="ada")
    path.write_text("{}", encoding="utf-8")
    screen.exchange.import_from(str(path))
    assert len(store.load()) == 4


async def test_a_dropped_credentials_file_begins_a_connection(
    program: Program, until: Until, tmp_path: Path
) -> None:
    path = tmp_path / "ada.creds"
    path.write_text("")
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    drop = QDropEvent(
        QPoint(10, 10).toPointF(),
        Qt.DropAction.CopyAction,
        mime,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    program.window.dropEvent(drop)
    form: ConnectionForm = await until(lambda: open_dialog(ConnectionForm), "the form")
    assert form.login.creds_path.text() == str(path)
    form.reject()
    assert not program.window.offer_file(str(tmp_path / "picture.png"))


async def test_certificates_and_contexts_begin_connections_too(
    program: Program, until: Until, tmp_path: Path
) -> None:
    certificate = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
    authority, own = tmp_path / "ca.pem", tmp_path / "me.pem"
    authority.write_text(certificate)
    own.write_text(certificate + "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n")
    context = tmp_path / "shop.json"
    context.write_text(json.dumps({"url": "nats://shop:4222", "user": "ada"}))
    other = tmp_path / "other.json"
    other.write_text("{}")
    for path, shown in (
        (authority, lambda form: form.ca.text()),
        (own, lambda form: form.certificate.text()),
        (context, lambda form: form.urls.text()),
    ):
        assert program.window.offer_file(str(path))
        form: ConnectionForm = await until(lambda: open_dialog(ConnectionForm), "the form")
        assert shown(form) == ("nats://shop:4222" if path is context else str(path))
        form.reject()
        await until(lambda: open_dialog(ConnectionForm) is None, "the form to close")
    assert not program.window.offer_file(str(other))


async def test_the_local_broker_is_stopped_and_started_from_its_panel(
    program: Program, until: Until, qtbot: QtBot
) -> None:
    await program.window.start_local_broker(BrokerChoice(0, persistent=False, sample_traffic=False))
    screen = home(program)
    program.window.top_bar.tabs.setCurrentIndex(0)
    panel = screen.broker_panel
    await until(lambda: not panel.stop_button.isHidden(), "the button")
    panel.copy_url()
    assert QGuiApplication.clipboard().text() == program.broker.url
    qtbot.mouseClick(panel.stop_button, Qt.MouseButton.LeftButton)
    await until(lambda: program.broker.state is BrokerState.STOPPED, "the stop")
    titles = [command.title for command in panel.commands()]
    assert "Start local broker" in titles
    assert "Stop local broker" not in titles


async def test_who_else_may_come_in_is_chosen_kept_and_shown(
    program: Program, until: Until, qtbot: QtBot
) -> None:
    sdk_port, rest_port = free_ports(2)
    await program.window.start_local_broker(
        BrokerChoice(0, persistent=False, sample_traffic=False, doors=Doors(sdk_port))
    )
    panel = home(program).broker_panel
    program.window.top_bar.tabs.setCurrentIndex(0)
    await until(lambda: not panel.memphis_button.isHidden(), "the port for SDKs")
    assert panel.rest_label.isHidden()
    assert panel.streaming_label.isHidden()
    panel.change_doors()
    form: DoorsDialog = await until(lambda: open_dialog(DoorsDialog), "the form")
    assert (form.memphis.isChecked(), form.rest.isChecked(), form.streaming.isChecked()) == (
        True,
        False,
        False,
    )
    form.memphis.click()
    form.rest.click()
    form.rest_port.setValue(rest_port)
    form.streaming.click()
    form.cluster.setText("no good")
    qtbot.mouseClick(form.verb_button, Qt.MouseButton.LeftButton)
    assert "cluster id" in form.error.text()
    form.cluster.setText("shop")
    qtbot.mouseClick(form.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: program.broker.served.rest_port, "REST")
    program.window.top_bar.tabs.setCurrentIndex(0)  # the restart shows the broker
    await until(lambda: not panel.streaming_label.isHidden(), "the addresses")
    assert panel.rest_label.text() == f"REST: http://127.0.0.1:{program.broker.served.rest_port}"
    assert panel.streaming_label.text() == "NATS Streaming: cluster id shop"
    assert panel.memphis_button.isHidden()
    assert program.broker.served.failures == ()
    panel.change_doors()
    form = await until(lambda: open_dialog(DoorsDialog), "the form again")
    assert form.doors == Doors(0, rest_port, "shop")
    form.reject()


def test_the_command_of_a_connection_shows_no_secret() -> None:
    from memphis_desktop.cluster.profiles import Credentials

    profile = ConnectionProfile(
        "orders eu",
        urls=("nats://a:4222", "nats://b:4222"),
        credentials=Credentials(CredentialKind.PASSWORD, user="ada", password="hidden"),
    )
    command = context_command(profile)
    assert command == (
        "nats context save orders-eu --server nats://a:4222,nats://b:4222 --user ada --password $PASSWORD"
    )


async def test_a_connection_with_everything_is_made_and_opened(
    program: Program,
    start_nats_server: Callable[..., ServerProcess],
    until: Until,
    qtbot: QtBot,
    tmp_path: Path,
) -> None:
    """Two servers, TLS with an authority, a login and one for the system account, all typed into the form."""
    certificate, key = make_certificate(tmp_path)
    accounts = """accounts {
        APP { jetstream: enabled, users: [{ user: ada, password: geheim }] }
        $SYS { users: [{ user: sys, password: system }] }
    }"""
    server = start_nats_server(config=f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}\n{accounts}')
    screen = home(program)
    screen.new()
    form: ConnectionForm = await until(lambda: open_dialog(ConnectionForm), "the form")
    qtbot.keyClicks(form.urls, f"nats://127.0.0.1:1 {server.url}")
    form.login.kind.setCurrentIndex(list(KINDS).index(CredentialKind.PASSWORD))
    qtbot.keyClicks(form.login.user, "ada")
    qtbot.keyClicks(form.login.password, "geheim")
    form.system.kind.setCurrentIndex(list(KINDS).index(CredentialKind.PASSWORD))
    qtbot.keyClicks(form.system.user, "sys")
    qtbot.keyClicks(form.system.password, "system")
    assert form.danger.isHidden()
    form.skip_verify.setChecked(True)
    assert not form.danger.isHidden(), "said in red what that means"
    form.skip_verify.setChecked(False)
    qtbot.keyClicks(form.ca.line, str(certificate))
    qtbot.mouseClick(form.verb_button, Qt.MouseButton.LeftButton)
    [profile] = await until(program.window.profiles.load, "the profile")
    assert profile.urls == ("nats://127.0.0.1:1", server.url)
    await until(lambda: screen.table.rows(), "the row")
    screen.details.test()
    await until(lambda: screen.details.test_button.isEnabled(), "the end of the test")
    states = {step.key: step.state for step in screen.details._steps}
    assert states == {**dict.fromkeys(states, "passed"), "memphis": "skipped"}
    screen.open(profile)
    await until(lambda: len(program.window.workspaces()) == 2, "the tab")
    connection = program.window.workspaces()[1].connection
    assert connection is not None
    assert connection.session.system is not None


async def test_several_connections_at_once_do_not_disturb_each_other(
    program: Program, start_nats_server: Callable[..., ServerProcess], until: Until
) -> None:
    """Each tab shows its own server; one that is lost leaves the other as it is."""
    servers = [start_nats_server(), start_nats_server()]
    workspaces = []
    for name, server in zip(("first", "second"), servers, strict=True):
        workspace = await program.window.open_profile(ConnectionProfile(name, urls=(server.url,)))
        workspaces.append(workspace)
        session = workspace.connection.session
        await session.api(f"STREAM.CREATE.{name}", {"name": name, "subjects": [name]})
        await until(lambda name=name, session=session: set(session.snapshot.streams) == {name}, "the stream")
    servers[0].kill()
    await until(lambda: not workspaces[0]._banner_holder.isHidden(), "the banner of the first")
    assert workspaces[1]._banner_holder.isHidden()
    second = workspaces[1].connection.session
    read = second.snapshot.read_at["streams"]
    await until(lambda: second.snapshot.read_at["streams"] > read, "the next round of the second")
    assert set(workspaces[0].connection.snapshot.streams) == {"first"}, "what was known stays"


async def test_a_row_says_where_connecting_failed_and_when_it_last_worked(
    program: Program, start_nats_server: Callable[..., ServerProcess], until: Until
) -> None:
    server = start_nats_server(arguments=["--user", "ada", "--pass", "right"])
    wrong = Credentials(CredentialKind.PASSWORD, user="ada", password="wrong")
    store = program.window.profiles
    store.put(ConnectionProfile("near", urls=(server.url,), credentials=wrong))
    screen = home(program)
    screen.refresh()
    [profile] = store.load()
    screen.open(profile)
    await until(lambda: program.window.attempts.failure(profile.id), "the failure")
    screen.refresh()
    [row] = screen.table.rows()
    assert row.state() == ("bad", "Failed: login")
    labels = [label.text() for label in screen.details.findChildren(QLabel)]
    assert "Failed at" in labels
    right = replace(profile, credentials=replace(wrong, password="right"))
    store.put(right)
    screen.open(right)
    await until(lambda: len(program.window.workspaces()) == 2, "the tab")
    screen.refresh()
    [row] = screen.table.rows()
    assert row.state() == ("good", "Connected")
    assert abs(row.last_connected - time.time_ns()) < 60e9
    await program.window.close_profile(profile.id)
    screen.refresh()
    assert screen.table.rows()[0].state() == ("muted", "Not connected")
    assert "Last connected" in [label.text() for label in screen.details.findChildren(QLabel)]


async def test_trying_is_stopped_from_the_row(
    program: Program, nats_server: ServerProcess, until: Until
) -> None:
    profile = ConnectionProfile("near", urls=(nats_server.url,))
    program.window.profiles.put(profile)
    await program.window.open_profile(profile)
    program.window.navigate(Route("home"))
    screen = home(program)
    nats_server.kill()
    await until(lambda: screen.details.disconnect_button.text() == "Stop trying", "the offer")
    [row] = screen.table.rows()
    assert row.state() == ("warning", "Reconnecting")
    [stop] = [command for command in screen.commands() if command.title == "Stop trying"]
    stop.callback()
    await until(lambda: program.window.session_of(profile.id) is None, "the end")
    screen.refresh()
    assert screen.table.rows()[0].state() == ("muted", "Not connected")


async def test_a_connection_is_written_as_a_context(
    program: Program, until: Until, tmp_path: Path, qtbot: QtBot
) -> None:
    login = Credentials(CredentialKind.PASSWORD, user="ada", password="geheim")
    tls = TlsOptions(ca_path="/etc/ca.pem", handshake_first=True)
    urls = ("tls://ada:geheim@one:4222", "tls://two:4222")
    made = ConnectionProfile("prod eu/1", urls=urls, credentials=login, tls=tls, jetstream_domain="hub")
    program.window.profiles.put(made)
    screen = home(program)
    screen.refresh()
    screen.exchange.write_context(screen.table.current_row().profile)
    path = tmp_path / "xdg" / "nats" / "context" / "prod-eu-1.json"
    await until(path.exists, "the file")
    assert "geheim" not in path.read_text()
    await until(lambda: program.window.toasts.texts(), "what was written")
    assert "without the password" in program.window.toasts.texts()[0]
    read = read_context(path).profile
    assert read is not None
    assert (read.urls, read.tls) == (("tls://ada@one:4222", "tls://two:4222"), tls)
    assert (read.credentials.user, read.jetstream_domain) == ("ada", "hub")
    path.write_text("{}")
    screen.exchange.write_context(screen.table.current_row().profile)
    dialog: ConfirmDialog = await until(lambda: open_dialog(ConfirmDialog), "the question")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: path.read_text() != "{}", "the new file")


async def test_a_connection_through_a_proxy_is_made_and_opened(
    program: Program, nats_server: ServerProcess, until: Until, qtbot: QtBot
) -> None:
    """On the window's own loop; the server's name is one that only the proxy knows."""
    screen = home(program)
    async with Proxy("socks5", "ada", "geheim", names={"behind.invalid": "127.0.0.1"}) as proxy:
        screen.new()
        form: ConnectionForm = await until(lambda: open_dialog(ConnectionForm), "the form")
        form.urls.setText(nats_server.url.replace("127.0.0.1", "behind.invalid"))
        form.tags.setText("shop, eu")
        form.proxy.setText("ftp://x")
        qtbot.mouseClick(form.verb_button, Qt.MouseButton.LeftButton)
        assert "no address of a proxy" in form.error.text()
        form.proxy.setText(f"socks5h://ada:geheim@127.0.0.1:{proxy.port}")
        assert "geheim" not in context_command(form.profile())
        qtbot.mouseClick(form.verb_button, Qt.MouseButton.LeftButton)
        [profile] = await until(program.window.profiles.load, "the profile")
        assert profile.proxy == ProxyOptions(f"socks5h://127.0.0.1:{proxy.port}", "ada", "geheim")
        screen.details.test()
        await until(lambda: screen.details.copy_button.isVisibleTo(screen), "the end of the test")
        assert {step.state for step in screen.details._steps} == {"passed", "skipped"}
        screen.open(profile)
        await until(lambda: len(program.window.workspaces()) == 2, "the tab")
        await until(lambda: screen.context.shell.connection_state(profile.id), "the connection")
        screen.refresh()
        await until(lambda: screen.table.rows()[0].state()[1] == "Connected", "the state")
        screen.filter.text_changed.emit("eu")
        assert len(screen.table.rows()) == 1
        await program.window.close_profile(profile.id)


async def test_every_kind_of_login_is_kept(program: Program, until: Until) -> None:
    store = program.window.profiles
    logins = [
        Credentials(CredentialKind.NSC, nsc="nsc://OP/APP/ada"),
        Credentials(CredentialKind.MEMPHIS, user="ada", password="geheim", account_id="2"),
        Credentials(CredentialKind.MEMPHIS_TOKEN, user="ada", token="geheim"),
        Credentials(CredentialKind.JWT, user_jwt="eyJ", user_seed="SU"),
        Credentials(CredentialKind.NKEY, nkey_path="/a.nk"),
    ]
    for login in logins:
        form = ConnectionForm(program.window, store, ConnectionProfile(login.kind.value, credentials=login))
        assert form.profile().credentials == login
        assert form.login.problem() == ""
        assert form.login.kind.toolTip()
        form.deleteLater()
    empty = ConnectionForm(program.window, store)
    for index in range(1, empty.login.kind.count()):
        empty.login.kind.setCurrentIndex(index)
        assert empty.login.problem(), empty.login.kind.currentText()
    assert empty.system.kind.findData(CredentialKind.MEMPHIS) == -1
    untold = [
        field.accessibleName()
        for field in empty.findChildren(QLineEdit)
        if not field.toolTip()
        and not field.parent().toolTip()
        and field.objectName() != "qt_spinbox_lineedit"
    ]
    assert untold == []
    empty.deleteLater()


async def test_a_login_in_a_pasted_address_moves_to_its_fields(
    program: Program, qtbot: QtBot, until: Until
) -> None:
    form = ConnectionForm(program.window, program.window.profiles)
    form.show()
    form.activateWindow()
    form.urls.setFocus()
    await until(form.urls.hasFocus, "the focus")
    qtbot.keyClicks(form.urls, "nats://ops:s3cret@127.0.0.1:4555 nats://b:4555")
    qtbot.keyClick(form.urls, Qt.Key.Key_Tab)
    assert form.urls.text() == "nats://127.0.0.1:4555 nats://b:4555"
    assert form.login.kind.currentData() is CredentialKind.PASSWORD
    assert (form.login.user.text(), form.login.password.text()) == ("ops", "s3cret")
    assert form.login.password.echoMode() is QLineEdit.EchoMode.Password
    made = form.profile()
    assert made.credentials == Credentials(CredentialKind.PASSWORD, user="ops", password="s3cret")
    assert "s3cret" not in context_command(made)
    form.urls.setText("nats://eve:x@b:4555")
    assert "login of its own" in form._problem()
    form.close()
    form.deleteLater()


async def test_programs_for_the_local_broker_are_offered_in_every_language(
    program: Program, until: Until
) -> None:
    await program.window.start_local_broker(BrokerChoice(0, persistent=False, sample_traffic=False))
    panel = home(program).broker_panel
    await until(lambda: "Connect your code" in [one.title for one in panel.commands()], "the command")
    panel.nats_code()
    dialog: StationCodeDialog = await until(lambda: open_dialog(StationCodeDialog), "the dialog")
    view = dialog.view
    for language in LANGUAGES:
        view.languages.set_choice(language)
        for what in ("publish", "consume", "kv"):
            view.directions._buttons[what].click()
            assert program.broker.url.rpartition(":")[2] in view.code.text(), language
    assert view.secret_button.isHidden()
    dialog.reject()
    secret = Credentials(CredentialKind.PASSWORD, user="ada", password="geheim")
    own = StationCode(panel._context, profile=ConnectionProfile("x", credentials=secret))
    own.show_station("KV_settings", {"subjects": ["$KV.settings.>"]})
    assert own.directions.choice() == "kv"
    assert 'key_value("settings")' in own.code.text()
    assert "geheim" not in own.code.text()
    own.secret_button.click()
    await until(lambda: "geheim" in QGuiApplication.clipboard().text(), "the copy")
    assert "geheim" not in own.code.text()
    own.deleteLater()


async def test_a_newcomer_may_open_a_file_or_a_backup(program: Program, until: Until, qtbot: QtBot) -> None:
    card = home(program).first_run.file_card
    for button in (card.button, card.backup_button):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        dialog: QFileDialog = await until(lambda: open_dialog(QFileDialog), "the choice of a file")
        dialog.reject()
        await until(lambda: open_dialog(QFileDialog) is None, "its end")


async def test_damage_is_told_on_the_panel_and_data_set_aside(
    program: Program, until: Until, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    await program.window.start_local_broker(BrokerChoice(0, persistent=True, sample_traffic=False))
    panel = home(program).broker_panel
    program.window.top_bar.tabs.setCurrentIndex(0)
    monkeypatch.setattr(program.broker, "damage", ("orders: messages 3 to 4 are damaged and lost",))
    panel._show()
    assert "damaged" in panel.banner.text()
    panel.copy_damage()
    assert "messages 3 to 4" in QGuiApplication.clipboard().text()
    await program.broker.stop()
    folder = program.broker.data_folder
    assert folder is not None
    panel.set_data_aside()
    dialog: ConfirmDialog = await until(lambda: open_dialog(ConfirmDialog), "the question")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: not folder.exists(), "the new name")
    assert list(folder.parent.glob("broker-*"))


async def test_keys_work_from_the_first_connection_on(program: Program, until: Until, qtbot: QtBot) -> None:
    screen, window = home(program), program.window
    window.activateWindow()
    await until(window.isActiveWindow, "the window in front")
    window.profiles.put(ConnectionProfile("near", urls=("nats://127.0.0.1:1",)))
    screen.refresh()
    screen.table.setFocus()
    qtbot.keyClick(screen.table.view, Qt.Key.Key_T)
    await until(screen.details.copy_button.isVisible, "the test")
    qtbot.keyClick(screen.table.view, Qt.Key.Key_F2)
    form: ConnectionForm = await until(lambda: open_dialog(ConnectionForm), "the form")
    assert form.name.text() == "near"
    form.reject()
    window.activateWindow()
    await until(window.isActiveWindow, "the window in front again")
    qtbot.keyClick(screen.table.view, Qt.Key.Key_D, Qt.KeyboardModifier.ControlModifier)
    await until(lambda: len(window.profiles.load()) == 2, "the copy")
    qtbot.keyClick(screen.table.view, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    form = await until(lambda: open_dialog(ConnectionForm), "another form")
    assert form.name.text() == ""
    form.reject()


async def test_what_the_keychain_forgot_is_asked_for_again(
    program: Program, start_nats_server: Starter, until: Until, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_nats_server(config="authorization { user: ada, password: geheim }")
    kept: dict[str, str] = {}

    def keep(name: str, secret: str) -> str:
        kept[name] = secret
        return keychain.SCHEME + name

    def look_up(reference: str) -> str:
        try:
            return kept[reference.removeprefix(keychain.SCHEME)]
        except KeyError:
            raise keychain.KeychainError("The keychain has forgotten this secret.") from None

    monkeypatch.setattr(keychain, "available", lambda: True)
    monkeypatch.setattr(keychain, "keep", keep)
    monkeypatch.setattr(keychain, "look_up", look_up)
    login = Credentials(CredentialKind.PASSWORD, user="ada", password="geheim")
    profile = keychain.put_away(ConnectionProfile("near", urls=(server.url,), credentials=login))
    program.window.profiles.put(profile)
    kept.clear()
    screen = home(program)
    screen.refresh()
    screen.open(profile)
    form: ConnectionForm = await until(lambda: open_dialog(ConnectionForm), "the form")
    assert "forgotten this secret" in form.error.text()
    assert form.login.user.text() == "ada"
    assert program.window.profiles.load() == [profile]  # nothing of it is lost
    qtbot.keyClicks(form.login.password, "geheim")
    qtbot.mouseClick(form.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: len(program.window.workspaces()) == 2, "the tab")
    assert list(kept.values()) == ["geheim"]
    assert program.window.profiles.load() == [profile]
