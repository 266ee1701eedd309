"""What holds for all of these pages: the smallest window, logins without permissions."""

from __future__ import annotations

from typing import Any

from nats.aio.client import Client
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.ui.screen import Route
from tests.conftest import Starter
from tests.ui.stations.steps import Show, Until, fill


async def test_pages_fit_the_smallest_window(client: Client, show: Show, until: Until, qtbot: QtBot) -> None:
    """At twice the scale a common screen has room for 880 by 560; nothing is scrolled sideways then."""
    await fill(client)
    await client.jetstream().add_consumer("orders", durable_name="billing", ack_policy="explicit")
    screen = await show(Route("overview"))
    window = screen.window()
    await until(lambda: "orders" in screen.context.session.snapshot.streams, "the stations")
    window.resize(880, 560)
    routes = [Route(name) for name in ("overview", "stations", "consumers", "dead_letters", "replay")]
    routes += [
        Route("station", {"stream": "orders"}),
        Route("consumer", {"stream": "orders", "consumer": "billing"}),
    ]
    for route in routes:
        window.navigate(route)
        page = window.current_workspace().current_screen
        await until(lambda page=page: page.width() > 0 and page.isVisible(), route.name)
        assert page.minimumSizeHint().width() <= 700, route.name
    bar = page.range_bar
    await until(lambda: bar._chosen.isVisible() and not bar._segments.isVisible(), "the menu of ranges")
    next(action for action in bar._chosen.menu().actions() if action.text() == "1 h").trigger()
    assert (page.time_range.span, bar._chosen.text()) == (3600.0, "1 h")
    window.resize(1280, 800)
    await until(lambda: bar._segments.isVisible() and not bar._chosen.isVisible(), "the ranges side by side")


async def test_a_login_without_permissions_is_told_what_is_missing(
    program: Program, start_nats_server: Starter, until: Until
) -> None:
    config = """
    accounts { A { jetstream: enabled, users: [
      { user: ada, password: pw, permissions: { publish: { deny: ["$JS.API.CONSUMER.>"] } } },
      { user: bob, password: pw, permissions: { publish: { allow: ["x"] } } } ] } }
    """
    server = start_nats_server(config=config)

    def as_(user: str) -> ConnectionProfile:
        url = server.url.replace("nats://", f"nats://{user}:pw@")
        # No time limit has to pass: the server says at once what it refuses.
        return ConnectionProfile(name=user, urls=(url,), request_timeout=600.0)

    workspace = await program.window.open_profile(as_("ada"))
    await fill_through(workspace)
    workspace.navigate(Route("consumers"))
    table = workspace.current_screen.table
    await until(lambda: table.state() == "error", "the error")
    assert table._message.sentence() == "This login may not publish to $JS.API.CONSUMER.LIST.orders."
    workspace.navigate(Route("overview"))
    overview = workspace.current_screen
    await until(lambda: overview.lag_board.state() == "error", "the error of one panel")
    assert overview.stations.state() == "ready"
    assert "Groups not readable" in [finding.text for finding in overview.health.rows()]

    workspace = await program.window.open_profile(as_("bob"), Route("stations"))
    page = workspace._unavailable
    await until(page.isVisible, "the page that says what is missing")
    assert page.sentence() == (
        "You may not see this here. This login may not publish to $JS.API.STREAM.LIST."
        " Ask for that permission, or connect with another login."
    )
    assert [button.text() for button in page.buttons()] == ["Try again"]
    workspace.navigate(Route("overview"))
    assert not page.isVisible()


async def fill_through(workspace: Any) -> None:
    """Make a station with a group count over the connection that is shown."""
    session = workspace.connection.session
    await session.api("STREAM.CREATE.orders", {"name": "orders", "subjects": ["orders.>"]})
    session.refresh()
