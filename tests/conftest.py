"""Fixtures for every test: real servers as processes on free ports, and real clients.

``nats_server`` is a real ``nats-server``, ``broker`` is ours, and ``any_server`` is each of them in turn, for
what must work the same on both. ``three_node_cluster`` is a cluster of real ones. The ``start_…`` fixtures
start as many as a test wants, with its own arguments. All are ready when the test gets them, and ended after
it, whatever happens.
"""

from __future__ import annotations

import contextlib
import gc
import os
import time
import zlib
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from memphis_desktop.cluster.lab import LocalCluster
from memphis_desktop.cluster.lab.layout import quiet_nodes
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.server_process import ServerProcess, broker_command, nats_server_command
from tests.installed import npm_packages, python_environment
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from memphis_desktop.cluster.session import Session

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

# How long an example takes says more about what else the machine does than about the code.
hypothesis.settings.register_profile("memphis", deadline=None)
hypothesis.settings.load_profile("memphis")

TESTS = Path(__file__).parent
CLIENTS = TESTS / "clients"
SERVERS = ("nats-server", "memphis-desktop")

# Clients that are the console's own: what they ask of a server is tested elsewhere, on both.
CONSOLE_CLIENTS = {
    "test_backup_reader",
    "test_dead_letter_command",
    "test_demo",
    "test_key_value",
    "test_objects",
    "test_replay_command",
    "test_screenshot",
    "test_services",
}

LONG_TEST = 1.0  # seconds

Starter = Callable[..., ServerProcess]
Connect = Callable[..., Any]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the console run on one of the two servers, half of them on each; on the other with `slow`."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        server = callspec.params.get("any_server") if callspec is not None else None
        place = item.path.relative_to(TESTS)
        if server is None or (place.parts[0] == "clients" and place.stem not in CONSOLE_CLIENTS):
            continue
        assert isinstance(item, pytest.Function)
        turn = SERVERS[zlib.crc32(f"{place.stem}.{item.originalname}".encode()) % len(SERVERS)]
        if server != turn:
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """What was imported and collected stays: no collection of garbage needs to look through it again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, bool | None, bool | None]:
    """A long test may leave knots that are few and hold much, which Python's own schedule lets lie."""
    began = time.monotonic()
    try:
        return (yield)
    finally:
        if time.monotonic() - began > LONG_TEST:
            gc.collect()


@pytest.fixture(scope="session")
def memphis_python() -> str:
    """A Python with memphis-py and the versions of its dependencies that it works with."""
    return python_environment(CLIENTS / "memphis" / "requirements.txt")


@pytest.fixture(scope="session")
def memphis_node() -> str:
    """The node program, with memphis-dev installed from the lock file."""
    return npm_packages(CLIENTS / "memphis_node", "--ignore-scripts")


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Start a server from a command: ``start_server(command, **options of ServerProcess)``."""
    servers: list[ServerProcess] = []

    def start(command: list[str], **options: Any) -> ServerProcess:
        folder = options.pop("folder", None) or tmp_path / f"server-{len(servers)}"
        server = ServerProcess(command, folder, **options)
        servers.append(server)
        return server.start()

    yield start
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.callback(server.stop)


@pytest.fixture
def start_nats_server(start_server: Starter) -> Starter:
    """Start a real nats-server: ``start_nats_server(arguments=[…], config="…", jetstream=True)``."""
    return lambda **options: start_server(nats_server_command(), **{"monitoring": True, **options})


@pytest.fixture
def start_broker(start_server: Starter) -> Starter:
    """Start our broker as a process: ``start_broker(arguments=[…], config="…", jetstream=True)``."""
    return lambda **options: start_server(broker_command(), **options)


@pytest.fixture
def nats_server(start_nats_server: Starter) -> ServerProcess:
    """A real nats-server with JetStream."""
    return start_nats_server()


@pytest.fixture
def broker(start_broker: Starter) -> ServerProcess:
    """Our broker with JetStream, in its own process."""
    return start_broker()


@pytest.fixture(params=SERVERS)
def any_server(request: pytest.FixtureRequest) -> ServerProcess:
    """Each of the two servers in turn; see `pytest_collection_modifyitems`."""
    name = "nats_server" if request.param == "nats-server" else "broker"
    server = request.getfixturevalue(name)
    assert isinstance(server, ServerProcess)
    return server


@pytest_asyncio.fixture
async def session(any_server: ServerProcess) -> AsyncIterator[Session]:
    """A connection of the console to any of them."""
    from memphis_desktop.cluster.session import Session  # with numpy, which few tests need

    made = Session(ConnectionProfile(name="test", urls=(any_server.url,)))
    await made.connect()
    yield made
    await made.close()


@pytest.fixture
def three_node_cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    """Three real nats-servers as one cluster, with a meta leader when the test gets it.

    ``cluster.urls``, ``cluster.view()``, ``cluster.kill_node("n1")`` and so on; ``cluster.profile()`` holds
    the system account's credentials too. Calls block: asyncio tests put them in a thread.
    """
    cluster = LocalCluster(tmp_path / "cluster")
    cluster.start(nodes=quiet_nodes())
    yield cluster
    cluster.stop()


class OrderlyClient(Client):
    """A client whose `flush` waits for all that was sent before it, and which is patient.

    nats-py writes the PING at once, ahead of what its flusher still holds; a second PING goes behind that.
    Its own timeouts, half a second for a request, are too short for a machine with more to do.
    """

    async def flush(self, timeout: int = PATIENCE) -> None:
        """Return when the server has seen what was sent; raises as that of nats-py does."""
        await super().flush(timeout)
        await super().flush(timeout)

    async def request(
        self, subject: str, payload: bytes = b"", timeout: float = PATIENCE, *more: Any, **options: Any
    ) -> Msg:
        """Send a request and return its answer; raises as that of nats-py does."""
        return await super().request(subject, payload, timeout, *more, **options)

    def jetstream(self, **options: Any) -> JetStreamContext:
        """JetStream over this client."""
        return super().jetstream(**{"timeout": PATIENCE, **options})


@pytest_asyncio.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connect nats-py clients, ``await connect(server, **options of nats.connect)``; closed after the test.

    A client does not reconnect by itself unless asked to, so that a lost connection is a failure.
    """
    clients: list[Client] = []

    async def open_client(server: ServerProcess | str, **options: Any) -> Client:
        options.setdefault("allow_reconnect", False)
        options.setdefault("max_reconnect_attempts", 1)  # the first connection's tries, too
        options.setdefault("reconnect_time_wait", 0.02)  # not 0: that would keep a core busy
        options.setdefault("connect_timeout", PATIENCE)
        url = server.url if isinstance(server, ServerProcess) else server
        client = OrderlyClient()
        clients.append(client)  # before it connects: one that was refused must be closed, too
        await client.connect(url, **options)
        return client

    yield open_client
    for client in clients:
        await client.close()
