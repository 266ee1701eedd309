"""The Memphis layer as a user meets it: stations, schemas, users, audit, dead letters of both kinds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication, QDialog
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.cluster.alerts import Rule
from memphis_desktop.cluster.dead_letters.letters import LetterKind
from memphis_desktop.cluster.profiles import ConnectionProfile, Environment
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.stations.client import StationsClient
from memphis_desktop.stations.service import StationsService
from memphis_desktop.ui.components.dialogs import ConfirmDialog
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.memphis.changes import HIDDEN, MANAGE_PREFIX
from memphis_desktop.ui.screen import Route, Screen
from memphis_desktop.ui.screens.dead_letters import DeadLettersScreen
from memphis_desktop.ui.screens.dead_letters.dialogs import DropDialog
from memphis_desktop.ui.screens.dead_letters.group_dialogs import EditResendDialog, GroupResendDialog
from memphis_desktop.ui.screens.memphis.audit import AuditScreen
from memphis_desktop.ui.screens.memphis.schema_dialogs import AttachDialog, SchemaDialog
from memphis_desktop.ui.screens.memphis.schemas import SchemasScreen
from memphis_desktop.ui.screens.memphis.station import MemphisStationScreen
from memphis_desktop.ui.screens.memphis.station_form import StationDialog
from memphis_desktop.ui.screens.memphis.users import SecretDialog, UserDialog, UsersScreen, permission_text
from memphis_desktop.ui.screens.overview import OverviewScreen
from memphis_desktop.ui.screens.stations import StationsScreen
from tests.conftest import Connect

Until = Callable[..., Awaitable[Any]]
Show = Callable[..., Awaitable[Any]]

JSON_SCHEMA = '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}'
WIDER_SCHEMA = '{"type": "object", "properties": {"id": {"type": "integer"}}}'


@pytest_asyncio.fixture
async def client(any_server: ServerProcess, connect: Connect) -> Client:
    opened = await connect(any_server)
    assert isinstance(opened, Client)
    return opened


@pytest_asyncio.fixture
async def memphis(any_server: ServerProcess, connect: Connect) -> AsyncIterator[StationsClient]:
    """A copy of the stations service beside the server, and a client of it."""
    own = await connect(any_server)
    service = StationsService(own)
    await service.start()
    stations = StationsClient(own, username="root")
    yield stations
    await stations.close()
    await service.stop()


@pytest.fixture
def show(program: Program, any_server: ServerProcess, until: Until) -> Show:
    """Open a route on the server: ``screen = await show(Route("schemas"))``."""

    async def open_(route: Route, **options: Any) -> Screen:
        profile = ConnectionProfile(name="memphis", urls=(any_server.url,), id="memphis", **options)
        workspace = await program.window.open_profile(profile, route)
        screen = await until(lambda: workspace.current_screen, "the screen")
        assert isinstance(screen, Screen)
        for name in ("table", "versions", "producers", "consumers", "partitions"):
            table = getattr(screen, name, None)
            if table is not None and hasattr(table, "model"):
                QAbstractItemModelTester(table.model)
        return screen

    return open_


def dialog_of(kind: type[QDialog]) -> Any:
    found = [w for w in QApplication.topLevelWidgets() if isinstance(w, kind) and w.isVisible()]
    return found[-1] if found else None


def command(screen: Screen, beginning: str) -> Any:
    """The command that is called so; it can be used."""
    [found] = [one for one in screen.commands() if one.title.startswith(beginning)]
    assert found.enabled, found.reason
    return found


async def agree(until: Until, qtbot: QtBot, kind: type[QDialog] = ConfirmDialog) -> None:
    """Press the verb of the question that comes, and wait until it is gone."""
    dialog = await until(lambda: dialog_of(kind), "the question")
    await until(dialog.verb_button.isEnabled, "the verb")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: dialog_of(kind) is None, "the end")


async def register(client: Client, what: str, **body: Any) -> None:
    """Ask for a producer or a consumer as an SDK does."""
    common = {"connection_id": "c-1", "req_version": 4, "username": "root", "app_id": "app"}
    answer = await client.request(
        f"$memphis_{what}_creations", json.dumps({**common, **body}).encode(), timeout=20
    )
    assert not json.loads(answer.data)["error"]


async def add_consumer(client: Client, station: str, group: str) -> None:
    await register(
        client, "consumer", name="reader", station_name=station, consumers_group=group, sdk_lang="go",
        consumer_type="application", max_ack_time_ms=300, max_msg_deliveries=1,
        start_consume_from_sequence=1, last_messages=-1,
    )  # fmt: skip


async def add_producer(client: Client, station: str) -> None:
    await register(
        client, "producer", name="web", station_name=station, producer_type="application", sdk_lang="python"
    )


async def test_a_plain_server_says_what_is_missing_until_the_service_comes(
    program: Program, nats_server: ServerProcess, connect: Connect, until: Until
) -> None:
    window = program.window
    await window.open_profile(ConnectionProfile("plain", urls=(nats_server.url,)), Route("schemas"))
    item = window.rail.items["schemas"]
    await until(lambda: "memphis_stations" in item.reason, "the reason")
    workspace = window.current_workspace()
    await until(lambda: workspace.current_screen is None, "the page that says so")
    service = StationsService(await connect(nats_server))
    await service.start()
    try:
        await until(lambda: isinstance(workspace.current_screen, SchemasScreen), "the screen")
        assert item.reason == ""
    finally:
        await service.stop()


async def test_a_station_is_made_opened_changed_and_deleted(
    client: Client, memphis: StationsClient, show: Show, until: Until, qtbot: QtBot, program: Program
) -> None:
    await memphis.create_schema("order", "json", JSON_SCHEMA)
    screen = await show(Route("stations"), environment=Environment.PRODUCTION)
    assert isinstance(screen, StationsScreen)
    await until(lambda: screen.context.memphis.view.schemas, "the schemas")
    screen._beginnings.create()
    dialog: StationDialog = await until(lambda: dialog_of(StationDialog), "the form")
    form = dialog.form
    qtbot.keyClicks(form.field("name"), "My.Orders")
    form.field("partitions_number").setText("3")
    kinds = form.field("retention_type")
    for kind, limit in (
        ("bytes", "retention_bytes"),
        ("ack_based", ""),
        ("message_age_sec", "retention_age"),
    ):
        kinds.setCurrentIndex(kinds.findData(kind))
        limits = ("retention_age", "retention_messages", "retention_bytes")
        assert [key for key in limits if form.field(key).isVisibleTo(form)] == ([limit] if limit else [])
    form.field("retention_age").setText("2h")
    schemas = form.field("schema_name")
    schemas.setCurrentIndex(schemas.findData("order"))
    body = json.loads(dialog.json_view.text())
    assert (body["partitions_number"], body["retention_value"], body["schema_name"]) == (3, 7200, "order")
    assert "nats request '$memphis_manage.stations.create'" in dialog.command_view.text()
    await agree(until, qtbot, StationDialog)
    [row] = await until(
        lambda: [row for row in screen.table.rows() if row.memphis is not None and row.stream.is_read]
    )
    assert row.name == "my.orders"
    assert row.memphis.streams == ("my#orders$1", "my#orders$2", "my#orders$3")
    for number in range(1, 4):
        await client.jetstream().publish(f"my#orders${number}.final", b'{"id": 1}')
    await until(
        lambda: next(row for row in screen.table.rows() if row.memphis is not None).stream.messages == 3,
        "the sum of the partitions",
    )
    # P opens it to its partitions, and closes it again.
    screen.table.select_key(row.key)
    command(screen, "Show or hide partitions").callback()
    names = [row.name for row in screen.table.rows()]
    place = names.index("my.orders")
    assert names[place + 1 : place + 4] == ["my#orders$1", "my#orders$2", "my#orders$3"]
    screen.table.sort_by("name", True)
    names = [row.name for row in screen.table.rows()]
    assert names.index("my#orders$1") == names.index("my.orders") + 1
    command(screen, "Show or hide partitions").callback()
    assert "my#orders$1" not in [row.name for row in screen.table.rows()]
    # Enter opens its page.
    qtbot.keyClick(screen.table.view, Qt.Key.Key_Return)
    page = program.window.current_workspace().current_screen
    assert isinstance(page, MemphisStationScreen)
    await until(lambda: "schema order version 1" in page.facts.text(), "the facts")
    await until(lambda: len(page.partitions.rows()) == 3, "the partitions")
    page.edit()
    dialog = await until(lambda: dialog_of(StationDialog), "the form")
    assert not dialog.form.field("partitions_number").isEnabled()
    dialog.form.field("retention_age").setText("30min")
    assert "removed at once" in dialog.warning.text()
    dialog.form.field("dls_station").setText("failed-orders")
    await agree(until, qtbot, StationDialog)
    await until(lambda: "copies of them to failed-orders" in page.facts.text(), "the change")
    assert (await client.jetstream().stream_info("my#orders$2")).config.max_age == 1800
    command(page, "Delete this station").callback()
    question = await until(lambda: dialog_of(ConfirmDialog), "the question")
    words = "\n".join(label.text() for label in question.findChildren(PlainLabel))
    assert "3 messages, 3 partitions" in words
    assert not question.verb_button.isEnabled()
    qtbot.keyClicks(question.field, "my.orders")
    await agree(until, qtbot)
    await until(lambda: program.window.current_workspace().current_screen is screen, "the list")
    await until(lambda: [row.name for row in screen.table.rows() if row.memphis] == ["failed-orders"])
    titles = [entry.title for entry in program.window.activity.entries() if not entry.by_others]
    assert titles == ["Create station My.Orders", "Change station my.orders", "Delete station my.orders"]


async def test_the_overview_counts_partitions_as_one_station(
    memphis: StationsClient, show: Show, until: Until, qtbot: QtBot, program: Program
) -> None:
    await memphis.create_station("My.Orders", partitions_number=2)
    screen = await show(Route("overview"))
    assert isinstance(screen, OverviewScreen)
    [station] = await until(screen.stations.rows, "the station")
    assert (station.name, station.streams) == ("my.orders", ("my#orders$1", "my#orders$2"))
    screen.stations.select_key("my.orders")
    qtbot.keyClick(screen.stations.view, Qt.Key.Key_Return)
    page = program.window.current_workspace().current_screen
    assert isinstance(page, MemphisStationScreen)
    await until(lambda: len(page.partitions.rows()) == 2, "the partitions")


async def test_the_service_refuses_in_the_form(
    memphis: StationsClient, show: Show, until: Until, qtbot: QtBot
) -> None:
    await memphis.create_station("orders")
    screen = await show(Route("stations"))
    await until(lambda: screen.context.memphis.available, "the Memphis layer")
    screen._beginnings.create()
    dialog: StationDialog = await until(lambda: dialog_of(StationDialog), "the form")
    qtbot.keyClicks(dialog.form.field("name"), "orders")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: "already exists" in dialog.error.text(), "the refusal")
    dialog.form.field("idempotency_window").setText("2h")
    dialog.form.field("name").setText("other")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: "idempotency window" in dialog.error.text().lower(), "the refusal")
    dialog.reject()


async def test_producers_and_consumers_are_shown_with_their_sdk(
    client: Client, memphis: StationsClient, show: Show, until: Until
) -> None:
    await memphis.create_station("orders")
    await add_producer(client, "orders")
    await add_consumer(client, "orders", "billing")
    page = await show(Route("memphis_station", {"station": "orders", "tab": "producers"}))
    assert isinstance(page, MemphisStationScreen)
    [row] = await until(page.producers.rows, "the producer")
    columns = {column.key: column.display(row) for column in page.producers.model.columns}
    assert (columns["sdk"], columns["state"]) == ("python, protocol 4", "connected")
    [row] = await until(page.consumers.rows, "the consumer")
    assert (row.group, row.record.sdk, row.record.max_msg_deliveries) == ("billing", "go", 1)
    event = {
        "connection_id": "c-1",
        "event": "disconnected",
        "username": "root",
        "server": "s",
        "sessions": 0,
    }
    await client.publish("$memphis_connections", json.dumps(event).encode())
    await until(lambda: not page.producers.rows()[0].active, "the disconnection")
    page.show_tab("code")
    assert "from memphis import Memphis" in page.code.code.text()
    assert "station_name='orders'" in page.code.code.text()
    page.code.languages._buttons["JavaScript · memphis-dev"].click()
    page.code.directions._buttons["consume"].click()
    assert "stationName: 'orders'" in page.code.code.text()
    assert "fetch(" in page.code.code.text()


async def test_schemas_are_made_versioned_attached_and_removed(
    memphis: StationsClient, show: Show, until: Until, qtbot: QtBot, program: Program
) -> None:
    await memphis.create_station("orders")
    screen = await show(Route("schemas"))
    assert isinstance(screen, SchemasScreen)
    await until(lambda: screen.table.state() == "empty", "the empty state")
    screen.create_schema()
    dialog: SchemaDialog = await until(lambda: dialog_of(SchemaDialog), "the dialog")
    qtbot.keyClicks(dialog.name, "order")
    dialog.editor.setPlainText("{")
    await until(lambda: "invalid" in dialog.verdict.text(), "the verdict")
    dialog.editor.setPlainText(JSON_SCHEMA)
    await until(lambda: "This is a JSON Schema" in dialog.verdict.text(), "the verdict")
    await agree(until, qtbot, SchemaDialog)
    await until(screen.table.rows, "the schema")
    screen.table.select_key("order")
    assert screen.details.content.text() == JSON_SCHEMA
    command(screen, "New version").callback()
    dialog = await until(lambda: dialog_of(SchemaDialog), "the dialog")
    dialog.editor.setPlainText(WIDER_SCHEMA)
    await agree(until, qtbot, SchemaDialog)
    await until(lambda: len(screen.details.versions.rows()) == 2, "the version")
    screen.details.versions.select_key(2)
    assert "+" + WIDER_SCHEMA in screen.details.difference.text()
    # Attached while version 1 is active; then version 2 becomes active.
    command(screen, "Attach to stations").callback()
    attach: AttachDialog = await until(lambda: dialog_of(AttachDialog), "the dialog")
    attach.tick("orders")
    await agree(until, qtbot, AttachDialog)
    await until(lambda: [one.name for one in screen.details.stations.rows()] == ["orders"], "the station")
    screen.details.versions.select_key(2)
    command(screen, "Activate version 2").callback()
    await agree(until, qtbot)
    await until(lambda: screen.table.rows()[0].active_version == 2, "the activation")
    station = screen.details.stations.rows()[0]
    state = next(column for column in screen.details.stations.model.columns if column.key == "state")
    assert state.display(station) == "update available"
    command(screen, "Attach to stations").callback()
    attach = await until(lambda: dialog_of(AttachDialog), "the dialog")
    attach.again.setChecked(True)
    await agree(until, qtbot, AttachDialog)
    await until(lambda: screen.details.stations.rows()[0].schema.version == 2, "the update")
    command(screen, "Attach to stations").callback()
    attach = await until(lambda: dialog_of(AttachDialog), "the dialog")
    attach.tick("orders", False)
    await agree(until, qtbot, AttachDialog)
    await until(lambda: not screen.details.stations.rows(), "the detachment")
    screen.table.select_key("order")
    command(screen, "Remove schema").callback()
    await agree(until, qtbot)
    await until(lambda: screen.table.state() == "empty", "the removal")
    assert await memphis.schemas() == []


async def test_users_are_added_changed_and_removed(
    memphis: StationsClient, show: Show, until: Until, qtbot: QtBot, program: Program
) -> None:
    screen = await show(Route("memphis_users"))
    assert isinstance(screen, UsersScreen)
    await until(screen.table.rows, "the users")
    qtbot.mouseClick(screen.add_button, Qt.MouseButton.LeftButton)
    dialog: UserDialog = await until(lambda: dialog_of(UserDialog), "the form")
    qtbot.keyClicks(dialog.name, "shop")
    qtbot.keyClicks(dialog.password, "weak")
    dialog.patterns["allow_write_permissions"].setPlainText("orders*\npayments")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: "password" in dialog.error.text().lower(), "the refusal")
    dialog.password.setText("Str0ng-Secret!")
    await agree(until, qtbot, UserDialog)
    user = await until(lambda: next((u for u in screen.table.rows() if u.name == "shop"), None), "the user")
    assert (permission_text(user, "write"), permission_text(user, "read")) == ("orders*, payments", "nothing")
    screen.table.select_key("shop")
    command(screen, "Edit user and permissions").callback()
    dialog = await until(lambda: dialog_of(UserDialog), "the form")
    dialog.patterns["deny_write_permissions"].setPlainText("orders-secret")
    await agree(until, qtbot, UserDialog)
    await until(
        lambda: "!orders-secret" in permission_text(screen.table.current_row(), "write"), "the change"
    )
    command(screen, "Change password").callback()
    secret: SecretDialog = await until(lambda: dialog_of(SecretDialog), "the form")
    secret.first.setText("An0ther-Secret!")
    secret.second.setText("An0ther-Secret?")
    qtbot.mouseClick(secret.verb_button, Qt.MouseButton.LeftButton)
    assert "not the same" in secret.error.text()
    secret.second.setText("An0ther-Secret!")
    await agree(until, qtbot, SecretDialog)
    # No secret is in the record of activity.
    entries = [entry for entry in program.window.activity.entries() if "users." in entry.subject]
    assert all("Secret" not in json.dumps(entry.body, default=dict) + entry.command for entry in entries)
    assert entries[-1].body is not None
    assert entries[-1].body["password"] == HIDDEN
    command(screen, "Remove user").callback()
    await agree(until, qtbot)
    await until(lambda: "shop" not in [user.name for user in screen.table.rows()], "the removal")
    screen.table.select_key("root")
    assert not next(one for one in screen.commands() if one.title == "Remove user").enabled
    program.window.navigate(Route("memphis_audit"))
    audit = program.window.current_workspace().current_screen
    assert isinstance(audit, AuditScreen)
    await until(lambda: any("shop has been removed" in e.message for e in audit.table.rows()), "the line")


async def test_both_kinds_of_dead_letters_are_resent_edited_and_dropped(
    client: Client, memphis: StationsClient, show: Show, until: Until, qtbot: QtBot, program: Program
) -> None:
    await memphis.create_schema("order", "json", JSON_SCHEMA)
    await memphis.create_station("orders", schema_name="order")
    await add_consumer(client, "orders", "billing")
    jetstream = client.jetstream()
    headers = {"$memphis_producedBy": "web", "$memphis_connectionId": "c-1"}
    await jetstream.publish("orders$1.final", b'{"id": 1}', headers=headers)
    subscription = await jetstream.pull_subscribe_bind("billing", stream="orders$1")
    await subscription.fetch(1, timeout=5)
    refused = {
        "station_name": "orders",
        "producer": {"name": "web", "connection_id": "c-1"},
        "message": {"data": b'{"id": "x"}'.hex(), "headers": headers},
        "validation_error": "memphis: Schema validation has failed: 'x' is not of type 'integer'",
    }
    await client.publish("$memphis_schemaverse_dls", json.dumps(refused).encode())
    received: asyncio.Queue[Msg] = asyncio.Queue()
    await client.subscribe("$memphis_dls_orders.billing", cb=received.put)
    await client.flush()
    screen = await show(Route("dead_letters"))
    assert isinstance(screen, DeadLettersScreen)
    view = screen.view

    async def ask_again() -> None:  # the server tells of it when the consumer pulls after the ack time
        while True:
            try:
                await subscription.fetch(1, timeout=0.5)
            except TimeoutError:
                await asyncio.sleep(0.05)

    asking = asyncio.create_task(ask_again())
    try:
        await until(lambda: len(view.table.rows()) == 2, "the letters")
    finally:
        asking.cancel()
    assert view.banner.isHidden()
    assert screen.capture_button.isHidden()
    by_kind = {letter.kind: letter for letter in view.table.rows()}
    unacked, schema = by_kind[LetterKind.UNACKED], by_kind[LetterKind.SCHEMA]
    assert (unacked.station, unacked.consumer, unacked.deliveries) == ("orders", "billing", 1)
    assert schema.cause == "'x' is not of type 'integer'"
    assert {row.shape for row in view.groups.rows()} == {"", "JSON {id}"}
    # The unacknowledged one goes to its group, and stays until that acknowledges it.
    view.table.select_key(unacked.key)
    await until(lambda: view.pane.detail.message is not None, "the message")
    assert view.pane.detail.message.payload == b'{"id": 1}'
    view.show_journey()
    assert "Published" in view.pane.journey.text()
    view.resend()
    dialog: GroupResendDialog = await until(lambda: dialog_of(GroupResendDialog), "the dialog")
    assert "dead_letters.resend" in dialog._code.text()
    await agree(until, qtbot, GroupResendDialog)
    message = await asyncio.wait_for(received.get(), 60)
    assert message.data == b'{"id": 1}'
    await until(lambda: any(one.resent for one in view.table.rows()), "the mark")
    # The refused one can only be sent edited, and is stored when it fits.
    view.table.select_key(schema.key)
    await until(
        lambda: view.pane.detail.message is not None and view.pane.detail.message.payload == b'{"id": "x"}'
    )
    view.resend()
    assert "edited only" in program.window.toasts.texts()[-1]
    view.edit_and_resend()
    edit: EditResendDialog = await until(lambda: dialog_of(EditResendDialog), "the editor")
    edit.editor.setPlainText('{"id": 2}')
    await agree(until, qtbot, EditResendDialog)
    assert (await jetstream.stream_info("orders$1")).state.messages == 2
    view.select_all()
    view.drop()
    drop: DropDialog = await until(lambda: dialog_of(DropDialog), "the question")
    assert "dead_letters.drop" in drop._code.text()
    assert drop.messages.isHidden()
    await agree(until, qtbot, DropDialog)
    await until(lambda: not view.table.rows(), "the end")
    assert await memphis.dead_letters() == []


async def test_the_service_raises_alerts(
    client: Client, memphis: StationsClient, show: Show, until: Until, program: Program
) -> None:
    """A message that its schema refused, and producers whose connection has ended."""
    alerts = program.window.alerts
    alerts.set_rules(
        [Rule(signal, 0, for_seconds=0, desktop=False) for signal in ("schema_violations", "disconnections")]
    )
    await memphis.create_station("orders")
    producer = {"name": "web", "station_name": "orders", "connection_id": "c-1", "username": "root"}
    body = producer | {"producer_type": "application", "req_version": 4, "app_id": "a", "sdk_lang": "python"}
    answer = await client.request("$memphis_producer_creations", json.dumps(body).encode(), timeout=30)
    assert json.loads(answer.data)["error"] == ""
    await show(Route("stations"))
    connection = program.window.workspaces()[-1].connection
    assert connection is not None
    told: list[dict[str, str]] = []
    connection.memphis.told.connect(told.append)
    refused = {
        "station_name": "orders",
        "producer": {"name": "web", "connection_id": "c-1"},
        "message": {"data": b"x".hex(), "headers": {}},
        "validation_error": "no",
    }
    gone = {"connection_id": "c-1", "event": "disconnected", "username": "root", "server": "s", "sessions": 0}

    async def say() -> None:  # nobody listens before the layer was found
        while True:
            await client.publish("$memphis_schemaverse_dls", json.dumps(refused).encode())
            await client.publish("$memphis_connections", json.dumps(gone).encode())
            await asyncio.sleep(0.5)

    saying = asyncio.create_task(say())
    try:
        await until(lambda: alerts.open_count() == 2, "the alerts")
    finally:
        saying.cancel()
    assert {alert.subject.stream for alert in alerts.alerts()} == {"orders"}
    assert {(each["station"], each["who"]) for each in told} == {("orders", "web")}
    for alert in alerts.alerts():
        alerts.show_subject(alert)
        screen = program.window.current_workspace().current_screen
        assert isinstance(screen, DeadLettersScreen | MemphisStationScreen)


async def test_a_plain_consumers_letter_is_resent_at_a_pace(
    client: Client, memphis: StationsClient, show: Show, until: Until
) -> None:
    jetstream = client.jetstream()
    await jetstream.add_stream(name="plain", subjects=["plain"])
    await jetstream.add_consumer("plain", durable_name="worker", ack_policy="explicit")
    await jetstream.publish("plain", b"x")
    subscription = await jetstream.pull_subscribe_bind("worker", stream="plain")
    [message] = await subscription.fetch(1, timeout=5)
    await client.publish(message.reply, b"+TERM bad")
    screen = await show(Route("dead_letters"))
    assert isinstance(screen, DeadLettersScreen)
    [letter] = await until(screen.view.table.rows, "the letter")
    assert (letter.cause, letter.station, letter.managed) == ("bad", "plain", False)
    from memphis_desktop.ui.screens.dead_letters.resend_dialog import ResendDialog

    screen.view.table.select_key(letter.key)
    screen.view.resend()
    dialog = await until(lambda: dialog_of(ResendDialog), "the dialog")
    dialog.accept()
    await until(lambda: not screen.view.table.rows(), "the drop after the copy")
    assert (await jetstream.stream_info("plain")).state.messages == 2


async def test_a_read_only_connection_shows_and_changes_nothing(
    memphis: StationsClient, show: Show, until: Until
) -> None:
    await memphis.create_schema("order", "json", JSON_SCHEMA)
    await memphis.create_station("orders", partitions_number=2)
    screen = await show(Route("schemas"), read_only=True)
    assert isinstance(screen, SchemasScreen)
    await until(screen.table.rows, "the schema")
    assert not screen.create_button.isEnabled()
    screen.table.select_key("order")
    assert not any(one.enabled for one in screen.commands())
    screen.window().navigate(Route("memphis_audit"))
    audit = screen.window().current_workspace().current_screen
    assert isinstance(audit, AuditScreen)
    await until(audit.table.rows, "the audit log")


async def test_without_a_service_all_is_shown_and_nothing_changed(
    any_server: ServerProcess, connect: Connect, show: Show, until: Until
) -> None:
    service = StationsService(await connect(any_server))
    await service.start()
    await StationsClient(await connect(any_server), username="root").create_schema(
        "order", "json", JSON_SCHEMA
    )
    await service.stop()
    screen = await show(Route("schemas"))
    assert isinstance(screen, SchemasScreen)
    await until(screen.table.rows, "the schema")
    await until(screen.service.isVisible, "the banner")
    assert "No stations service answers" in screen.service.text()
    assert not screen.create_button.isEnabled()


def test_the_window_asks_where_the_service_listens() -> None:
    from memphis_desktop.stations.control import routes

    assert MANAGE_PREFIX == routes.MANAGE_PREFIX
