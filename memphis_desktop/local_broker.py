"""The broker in this process, started and stopped for a user: by the window, or by the terminal view.

Knows nothing of Qt. It carries out what `memphis_desktop.ui.broker_control` lets the window ask for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from memphis_desktop import folders
from memphis_desktop.broker.node import BrokerNode
from memphis_desktop.broker.options import ANY_PORT, BrokerOptions, StartError
from memphis_desktop.broker.store.interface import FolderInUse, StorageError
from memphis_desktop.demo import SampleTraffic
from memphis_desktop.errors import Failure
from memphis_desktop.language import tr
from memphis_desktop.node_stations import NodeStations
from memphis_desktop.port_holder import holder_of
from memphis_desktop.stations.gateways import GatewayOptions
from memphis_desktop.ui.broker_control import BrokerChoice, BrokerStartError, BrokerState, Doors, Served

log = logging.getLogger(__name__)

_HOST = "127.0.0.1"
_SYSTEM_USER = "memphis-desktop-console"
_PORTS_TRIED = 50
_MOST_DAMAGE = 200  # lines that are told


def free_port(first: int) -> int | None:
    """Return the first port from `first` on that is free on loopback; None when fifty are taken."""
    for port in range(first, min(first + _PORTS_TRIED, 65536)):
        with socket.socket() as probe:
            if os.name == "posix":  # as the listener does: a port just left by another program is free
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((_HOST, port))
                return port
    return None


@contextlib.contextmanager
def _damage_told() -> Iterator[list[str]]:
    """Give what the store says of damage meanwhile: it sets that aside, and goes on with what is whole."""
    found: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if len(found) < _MOST_DAMAGE:
                found.append(record.getMessage())

    listener = Listener(logging.ERROR)
    store = logging.getLogger("memphis_desktop.broker")
    store.addHandler(listener)
    try:
        yield found
    finally:
        store.removeHandler(listener)


class LocalBroker:
    """Implements `BrokerControl`."""

    def __init__(self, ports_folder: Path | None = None) -> None:
        """Prepare; nothing runs yet.

        Args:
            ports_folder: Where to write the ports file while the broker runs, for programs that wait for it.
        """
        self.state = BrokerState.STOPPED
        self.detail = ""
        self.choice = BrokerChoice()
        self.node: BrokerNode | None = None
        self._system_login = (_SYSTEM_USER, secrets.token_urlsafe(24))
        self._ports_folder = ports_folder
        self._stations: NodeStations | None = None
        self._stations_start: asyncio.Task[None] | None = None
        self._traffic: SampleTraffic | None = None
        self.damage: tuple[str, ...] = ()
        self._temporary: Path | None = None
        self._ports_file: Path | None = None
        self._listeners: list[Callable[[], None]] = []

    @property
    def url(self) -> str:
        """Where clients connect while it runs; empty otherwise."""
        return self.node.urls[0] if self.node is not None and self.state is BrokerState.RUNNING else ""

    @property
    def system_login(self) -> tuple[str, str] | None:
        """User and password of its system account, known to this program only; None while it does not run."""
        return self._system_login if self.url else None

    @property
    def served(self) -> Served:
        """Who can come in besides NATS clients, while it runs."""
        node, stations = self.node, self._stations
        if node is None or stations is None:
            return Served()
        start = self._stations_start
        return Served(
            node.memphis_port,
            node.rest_port,
            stations.streaming_cluster,
            self._notes(node),
            tuple(stations.failures),
            start is not None and start.done(),
        )

    def set_data_aside(self) -> Path | None:
        """Rename the data folder, so that the next start begins with a fresh one; see `BrokerControl`."""
        folder = folders.data_folder() / "broker"
        if self.node is not None or not folder.exists():
            return None
        aside = folder.with_name(f"{folder.name}-{datetime.now():%Y-%m-%d-%H%M%S}")
        folder.rename(aside)
        return aside

    def problem_with(self, doors: Doors) -> str:
        """Return one sentence why these ways in cannot be, empty when they can."""
        try:
            GatewayOptions(doors.rest_port, streaming_cluster=doors.streaming_cluster)
        except Failure as failure:
            return f"{str(failure)[:1].upper()}{str(failure)[1:]}."
        if doors.memphis_port and doors.memphis_port == doors.rest_port:
            return tr("Port {port} cannot be for Memphis SDKs and REST at once.", port=doors.rest_port)
        return ""

    @property
    def data_folder(self) -> Path | None:
        """Where its data is; None when nothing is kept."""
        return folders.data_folder() / "broker" if self.choice.persistent else None

    @property
    def sample_traffic(self) -> bool:
        """Whether the sample clients are at work."""
        return self._traffic is not None and self._traffic.running

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` on each change of state; the result ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def _set_state(self, state: BrokerState, detail: str = "") -> None:
        self.state, self.detail = state, detail
        for listener in tuple(self._listeners):
            listener()

    async def start(self, choice: BrokerChoice) -> None:
        """Start it, and sample traffic if chosen; returns when clients can connect.

        Raises:
            BrokerStartError: The port is taken, or the data folder is not usable.
        """
        if self.state in (BrokerState.STARTING, BrokerState.RUNNING, BrokerState.STOPPING):
            raise BrokerStartError(tr("the broker is running already, or on its way"))
        self.choice = choice
        self._set_state(BrokerState.STARTING)
        try:
            await self._start_node(choice)
        except BaseException as error:
            self._remove_temporary()
            self._set_state(BrokerState.FAILED, str(error))
            raise
        self._set_state(BrokerState.RUNNING)
        if self.node is not None and self.node.options.serves_stations:
            self._stations = NodeStations(self.node, tolerant=True, spare_ports=_PORTS_TRIED)
            starting = self._start_stations(self._stations)
            self._stations_start = asyncio.get_running_loop().create_task(starting)
        if choice.sample_traffic:
            await self.start_sample_traffic()

    async def _start_node(self, choice: BrokerChoice) -> None:
        folder = self.data_folder
        if folder is None:
            folder = self._temporary = Path(tempfile.mkdtemp(prefix="memphis-desktop-"))
        options = BrokerOptions(
            host=_HOST,
            port=choice.port or ANY_PORT,
            jetstream=True,
            store_dir=folder,
            memphis_port=choice.doors.memphis_port,
            rest_port=choice.doors.rest_port,
            streaming_cluster_id=choice.doors.streaming_cluster,
            system_login=self._system_login,
        )
        node = BrokerNode(options)
        self.damage = ()
        try:
            with _damage_told() as found:
                await node.start()
        except StartError as error:
            taken = free_port(choice.port) != choice.port if choice.port else False
            text = str(error)
            if taken and (holder := await asyncio.to_thread(holder_of, choice.port)):
                text = tr("port {port} is taken by {program}", port=choice.port, program=holder)
            in_use = isinstance(error.__cause__, FolderInUse)
            raise BrokerStartError(
                text,
                next_port=free_port(choice.port + 1) if taken else None,
                folder_in_use=in_use,
                folder_unusable=isinstance(error.__cause__, StorageError) and not in_use,
            ) from error
        self.damage = tuple(found)
        self.node = node
        self._write_ports_file(node)

    def _notes(self, node: BrokerNode) -> tuple[str, ...]:
        """Which ports are others than those chosen, because those were taken."""
        doors = self.choice.doors
        found = []
        wanted, port = doors.memphis_port, node.memphis_port
        if port and 0 < wanted != port:
            text = tr(
                "Port {wanted} is taken by another program: Memphis SDKs connect on {port}.",
                wanted=wanted,
                port=port,
            )
            found.append(text)
        wanted, port = doors.rest_port, node.rest_port
        if port and 0 < wanted != port:
            text = tr(
                "Port {wanted} is taken by another program: REST is on {port}.", wanted=wanted, port=port
            )
            found.append(text)
        return tuple(found)

    async def _start_stations(self, stations: NodeStations) -> None:
        """Let others than NATS clients in. That this fails is no reason to be without a broker."""
        await stations.start()
        for failure in stations.failures:
            log.warning("the local broker: %s", failure)
        asyncio.get_running_loop().call_soon(self._tell_of_doors)

    def _tell_of_doors(self) -> None:
        if self.state is BrokerState.RUNNING:
            self._set_state(self.state)

    def _write_ports_file(self, node: BrokerNode) -> None:
        """Tell who waits for it where the broker listens, in the manner of nats-server's ports file."""
        if self._ports_folder is not None:
            path = self._ports_folder / f"memphis-desktop_{os.getpid()}.ports"
            beside = path.with_suffix(".writing")
            beside.write_text(json.dumps(node.ports()), encoding="utf-8")
            beside.replace(path)  # readers never see half of it
            self._ports_file = path

    async def stop(self) -> None:
        """Stop sample traffic and broker in order; everything acknowledged is on disk."""
        await self.stop_sample_traffic()
        if self.node is None:
            return
        self._set_state(BrokerState.STOPPING)
        if self._ports_file is not None:
            self._ports_file.unlink(missing_ok=True)
            self._ports_file = None
        try:
            await self._stop_stations()
            await self.node.stop()
        finally:
            self.node = None
            self._remove_temporary()
            self._set_state(BrokerState.STOPPED)

    async def _stop_stations(self) -> None:
        stations, self._stations = self._stations, None
        start, self._stations_start = self._stations_start, None
        if start is not None:
            await start  # not to be called off: nats-py does not bear that while it connects
        if stations is not None:
            await stations.stop()

    def _remove_temporary(self) -> None:
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    async def start_sample_traffic(self) -> None:
        """Make the sample stations where missing, and start the clients that keep them busy."""
        if self.node is None or self.sample_traffic:
            return
        self._traffic = SampleTraffic(self.url)
        self._traffic.start()
        self._set_state(self.state)

    async def stop_sample_traffic(self) -> None:
        """Stop these clients; the data stays."""
        traffic, self._traffic = self._traffic, None
        if traffic is not None:
            await asyncio.to_thread(traffic.stop)
            self._set_state(self.state)

    async def remove_sample_data(self) -> int:
        """Stop the clients and delete the sample stations; returns how many streams were removed.

        Raises:
            Failure: The broker refused or did not answer.
        """
        from memphis_desktop.demo.command import remove

        await self.stop_sample_traffic()
        return len(await remove(self.url)) if self.url else 0

    def data_size(self) -> int | None:
        """Return the bytes in the data folder; None when nothing is kept."""
        folder = self.data_folder
        return None if folder is None else folder_size(folder)


def folder_size(folder: Path | str) -> int:
    """Return the bytes of all files below a folder; what vanishes meanwhile counts as nothing."""
    total = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # dropped by retention meanwhile
                if entry.is_dir(follow_symlinks=False):
                    total += folder_size(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total
