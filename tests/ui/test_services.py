"""Services as a user finds and tries them, on a real broker with services of nats-py."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import nats.micro
import pytest
from nats.aio.client import Client
from nats.micro.request import Request, ServiceError
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.cluster.profiles import ConnectionProfile, CredentialKind, Credentials
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.screen import Command, Route, Screen
from memphis_desktop.ui.screens.services import ServiceScreen, ServicesScreen
from memphis_desktop.ui.screens.services.code import ServiceCodeDialog
from memphis_desktop.ui.screens.services.code import program as service_program
from memphis_desktop.ui.screens.services.rows import service_route
from tests.conftest import Connect, Starter

Until = Callable[..., Awaitable[Any]]


def command(screen: Screen, title: str) -> Command:
    return next(one for one in screen.commands() if one.title == title)


async def serve(client: Client, name: str = "pricing") -> Any:
    async def price(request: Request) -> None:
        if request.data == b'{"no": 1}':
            raise ServiceError("404", "no such product")
        await request.respond(b'{"price": 5}')

    service = await nats.micro.add_service(client, name=name, version="1.0.0", description="Prices")
    schema = {"request_schema": '{"type": "object"}'}
    await service.add_endpoint(name="price", subject=f"{name}.price", handler=price, metadata=schema)
    await service.add_endpoint(name="list", subject=f"{name}.list", handler=price)
    return service


async def test_services_are_listed_grouped_and_told_when_they_go(
    program: Program, broker: ServerProcess, connect: Connect, until: Until, qtbot: QtBot
) -> None:
    workspace = await program.window.open_profile(
        ConnectionProfile(name="live", urls=(broker.url,)), Route("services")
    )
    screen = workspace.current_screen
    assert isinstance(screen, ServicesScreen)
    await until(lambda: screen.table.state() == "empty", "that nobody answers")
    assert "No services answered" in screen.table._message.sentence()
    screen.table._message.buttons()[0].click()
    code = next(w for w in QApplication.topLevelWidgets() if isinstance(w, ServiceCodeDialog))
    assert broker.url in code.code.text()
    code.reject()
    client = await connect(broker)
    services = [await serve(client), await serve(client), await serve(client, "mail")]
    await until(lambda: sorted(row.name for row in screen.table.rows()) == ["mail", "pricing"], "both")
    pricing = next(row for row in screen.table.rows() if row.name == "pricing")
    await until(lambda: len(screen.context.session.services.instances) == 3, "three instances")
    screen.filter.set_chips({"single"})
    await until(lambda: len(screen.table.rows()) == 3, "a row for each instance")
    screen.filter.set_chips(set())
    for _ in range(6):
        await client.request("pricing.price", b"{}")
    screen._refresh()
    await until(lambda: sum(row.requests for row in screen.table.rows()) == 6, "the requests")
    screen.table.select_key("pricing")
    qtbot.keyClick(screen.table.view, Qt.Key.Key_Return)
    detail = await until(
        lambda: workspace.current_screen if isinstance(workspace.current_screen, ServiceScreen) else None,
        "the service",
    )
    assert pricing.versions == "1.0.0"
    await until(lambda: len(detail.endpoints.rows()) == 2, "the endpoints")
    await until(lambda: len(detail.instances.rows()) == 2, "the instances")
    await until(lambda: len(detail.rate_graph.table_rows()) > 0, "a line")
    detail.endpoints.select_key(("price", "pricing.price"))
    assert detail._only.name == "price"
    detail.tab_bar.setCurrentIndex(2)
    assert detail.json_code.text().startswith("$SRV.STATS.pricing.")
    assert '"num_requests": ' in detail.json_code.text()
    detail.json_kind.button("INFO").click()
    assert '"description": "Prices"' in detail.json_code.text()
    for service in services[:2]:
        await service.stop()
    await until(lambda: detail.gone.isVisible(), "that it is gone")
    assert "No instance" in detail.gone.text()
    watch = detail.context.session.services
    screen.context.navigate(Route("overview"))
    await until(lambda: watch._task is None, "that nobody is asked any more")


async def test_a_request_is_tried_and_refused(
    program: Program, broker: ServerProcess, connect: Connect, until: Until, qtbot: QtBot
) -> None:
    await serve(await connect(broker))
    workspace = await program.window.open_profile(
        ConnectionProfile(name="live", urls=(broker.url,)), service_route("pricing", "try")
    )
    screen = workspace.current_screen
    assert isinstance(screen, ServiceScreen)
    panel = screen.trying
    await until(lambda: panel.endpoint_box.count() == 2, "the endpoints")
    await until(lambda: not panel._schema_line.isHidden(), "the schema")
    assert panel.subject_field.text() == "pricing.price"
    panel.body.editor.setPlainText('{"a"')
    assert not panel.send_button.isEnabled()
    assert panel.problem.text()
    panel.body.editor.setPlainText('{"a": 1}')
    panel.headers.set_headers([("X", "1")])
    assert "nats request pricing.price '{\"a\": 1}' --header=X:1" in panel.command.text()
    command(screen, "Send request").callback()
    await until(lambda: "Answered after" in panel.outcome.text(), "the answer")
    assert '"price": 5' in panel.replies.text.editor.toPlainText()
    panel.body.editor.setPlainText('{"no": 1}')
    qtbot.mouseClick(panel.send_button, Qt.MouseButton.LeftButton)
    await until(lambda: "no such product (404)" in panel.outcome.text(), "the refusal")
    assert "Nats-Service-Error-Code: 404" in panel.replies.text.editor.toPlainText()
    panel.subject_field.setText("nobody.here")
    panel.send()
    await until(lambda: "Nobody listens" in panel.outcome.text(), "that nobody listens")


async def test_a_read_only_connection_sends_nothing(
    program: Program, broker: ServerProcess, connect: Connect, until: Until
) -> None:
    await serve(await connect(broker))
    workspace = await program.window.open_profile(
        ConnectionProfile(name="live", urls=(broker.url,), read_only=True), service_route("pricing", "try")
    )
    screen = workspace.current_screen
    assert isinstance(screen, ServiceScreen)
    await until(lambda: screen.trying.endpoint_box.count() == 2, "the endpoints")
    assert not screen.trying.send_button.isEnabled()
    assert "read-only" in screen.trying.problem.text()


async def test_who_may_not_ask_is_told_so(program: Program, start_broker: Starter, until: Until) -> None:
    server = start_broker(
        config='authorization { users = [{user: a, password: b, permissions: {publish: {deny: "$SRV.>"}}}] }'
    )
    login = Credentials(CredentialKind.PASSWORD, user="a", password="b")
    profile = ConnectionProfile(name="live", urls=(server.url,), credentials=login)
    workspace = await program.window.open_profile(profile, Route("services"))
    screen = workspace.current_screen
    assert isinstance(screen, ServicesScreen)
    await until(lambda: screen.table.state() == "error", "the refusal")
    assert "may not ask for services" in screen.table._message.sentence()


async def test_the_example_is_a_service(
    broker: ServerProcess, connect: Connect, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Python program that is offered runs as it stands."""
    text = service_program("Python", broker.url).replace("asyncio.run(main())", "")
    names: dict[str, Any] = {}
    exec(compile(text, "example", "exec"), names)
    opened: list[Client] = []

    async def note(url: str) -> Client:
        opened.append(await connect(url))
        return opened[0]

    monkeypatch.setattr(names["nats"], "connect", note)
    running = asyncio.ensure_future(names["main"]())
    client = await connect(broker)

    async def answered() -> bool:
        try:
            return (await client.request("greeter.hello", b"you", timeout=5)).data == b"hello you"
        except Exception:
            return False

    await until(answered, "the answer")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
