"""What a local cluster consists of on disk and on the network; no processes here.

A cluster's folder holds ``cluster.json`` (what runs, readable by its owner only), ``lock`` (held by the
supervisor while it lives), ``system.nk`` (the seed of the system account's user) and one folder a node with
its configuration, log and JetStream store.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import socket
import sys
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from memphis_desktop.cluster.profiles import write_private
from memphis_desktop.errors import Failure
from memphis_desktop.language import tr

HOST = "127.0.0.1"
CLUSTER_NAME = "local"
NODE_NAMES = ("n1", "n2", "n3")
FIRST_PORT = 4301
STATE_FILE = "cluster.json"
LOCK_FILE = "lock"
SEED_FILE = "system.nk"

# Below the range from which systems pick ports of outgoing connections, so that a stopped node finds its own
# port free again.
_QUIET_PORTS = range(20_000, 32_000)
_MEMORY_LIMIT, _FILE_LIMIT = "256MB", "8GB"


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One server: its name and where it listens on loopback for clients, for its peers, for monitoring."""

    name: str
    port: int
    route_port: int
    monitoring_port: int

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://{HOST}:{self.port}"

    @property
    def monitoring_url(self) -> str:
        """The base of the HTTP monitoring endpoints."""
        return f"http://{HOST}:{self.monitoring_port}"

    @property
    def ports(self) -> tuple[int, int, int]:
        """All three."""
        return self.port, self.route_port, self.monitoring_port


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """Everything the supervisor needs to run a cluster, and others to reach it.

    Attributes:
        instance: A random name of this run; the servers carry it as a tag, to be told from others.
        folder: Where configurations, logs and stores are.
        temporary: Whether that folder goes when the cluster ends.
        program: The path of ``nats-server``.
        nodes: The servers.
        system_key: The public key of the system account's user.
    """

    instance: str
    folder: str
    temporary: bool
    program: str
    nodes: tuple[NodePlan, ...]
    system_key: str

    @property
    def tag(self) -> str:
        """The tag that the servers of this run carry."""
        return f"memphis-desktop:{self.instance}"

    def node_folder(self, name: str) -> Path:
        """Where a node's configuration, log and store are."""
        return Path(self.folder) / name

    def config_file(self, name: str) -> Path:
        """A node's configuration file."""
        return self.node_folder(name) / "nats-server.conf"

    def log_file(self, name: str) -> Path:
        """A node's log, of all its starts."""
        return self.node_folder(name) / "nats-server.log"

    @property
    def seed_file(self) -> Path:
        """The seed of the system account's user."""
        return Path(self.folder) / SEED_FILE


def plan_to_json(plan: ClusterPlan) -> dict[str, Any]:
    """Return a plan as JSON values."""
    return asdict(plan)


def plan_from_json(values: dict[str, Any]) -> ClusterPlan:
    """Return the plan in `values`; raises `ValueError`, `TypeError` or `KeyError` when it is none."""
    nodes = tuple(NodePlan(**node) for node in values["nodes"])
    return ClusterPlan(**{**values, "nodes": nodes})


def new_instance() -> str:
    """Return a random name for one run."""
    return secrets.token_hex(8)


def node_config(plan: ClusterPlan, node: NodePlan, isolated: Collection[str] = ()) -> str:
    """Return the nats-server configuration of a node.

    Clients need no login and get the account ``$G``; the system account has one user, an nkey. Everything is
    bound to loopback. An isolated node and the others have no routes to each other; a server that is told so
    while it runs breaks those it has.
    """
    peers = [peer for peer in plan.nodes if peer is node or not {peer.name, node.name} & set(isolated)]
    routes = ", ".join(json.dumps(f"nats://{HOST}:{peer.route_port}") for peer in peers)
    store = json.dumps(str(plan.node_folder(node.name)))
    return f"""\
server_name: {node.name}
server_tags: [{json.dumps(plan.tag)}]
listen: {json.dumps(f"{HOST}:{node.port}")}
http: {json.dumps(f"{HOST}:{node.monitoring_port}")}
jetstream {{ store_dir: {store}, max_memory_store: {_MEMORY_LIMIT}, max_file_store: {_FILE_LIMIT} }}
cluster {{
  name: {CLUSTER_NAME}
  listen: {json.dumps(f"{HOST}:{node.route_port}")}
  routes: [{routes}]
}}
accounts {{ $SYS {{ users: [{{ nkey: {plan.system_key} }}] }} }}
"""


def system_user(folder: Path) -> str:
    """Return the public key of the system account's user; its seed is made where missing."""
    import nkeys  # here, since it loads a native library

    path = folder / SEED_FILE
    with contextlib.suppress(OSError, ValueError, nkeys.NkeysError):
        return _public_key(path.read_text(encoding="ascii").strip())
    seed = nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER).decode()
    write_private(path, seed + "\n")
    return _public_key(seed)


def _public_key(seed: str) -> str:
    import nkeys

    pair = nkeys.from_seed(bytearray(seed.encode()))
    try:
        return bytes(pair.public_key).decode()
    finally:
        pair.wipe()


# Ports --------------------------------------------------------------------------------------


def port_free(port: int) -> bool:
    """Whether a server could listen on this port of loopback now."""
    with socket.socket() as probe:
        if os.name == "posix":  # as the servers do: a port just left by another program is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def plan_nodes(first_port: int | None, before: Iterable[NodePlan] = ()) -> tuple[NodePlan, ...]:
    """Return the nodes with ports that are free now.

    Args:
        first_port: Clients connect there and to the two ports behind it; None for any free ones.
        before: The nodes of the last time, whose ports are taken again when all of them are free.

    Raises:
        Failure: a wanted port is taken, or there are none.
    """
    known = tuple(before)
    if first_port is None:
        if len(known) == len(NODE_NAMES) and all(port_free(p) for node in known for p in node.ports):
            return known
        client_ports = _free_run(FIRST_PORT) or free_ports(len(NODE_NAMES))
    else:
        client_ports = list(range(first_port, first_port + len(NODE_NAMES)))
        taken = next((port for port in client_ports if not 0 < port < 65536 or not port_free(port)), None)
        if taken is not None:
            raise Failure(
                tr(
                    "port {port} is taken by another program; choose another with --port, or leave it away "
                    "for free ones",
                    port=taken,
                )
            )
    others = free_ports(2 * len(NODE_NAMES), client_ports)
    return tuple(
        NodePlan(name, client_ports[index], others[2 * index], others[2 * index + 1])
        for index, name in enumerate(NODE_NAMES)
    )


def quiet_nodes() -> tuple[NodePlan, ...]:
    """Return nodes on ports that nobody is likely to want: for tests, many at the same time."""
    ports = free_ports(3 * len(NODE_NAMES))
    return tuple(NodePlan(name, *ports[3 * i : 3 * i + 3]) for i, name in enumerate(NODE_NAMES))


def _free_run(first: int) -> list[int]:
    """Return the first free row of ports near `first`; empty when there is none."""
    step = len(NODE_NAMES)
    for start in range(first, first + 20 * step, step):
        ports = list(range(start, start + step))
        if all(port_free(port) for port in ports):
            return ports
    return []


def free_ports(count: int, taken: Collection[int] = ()) -> list[int]:
    """Return ports that are free now and none of `taken`; raises `Failure` when there are not enough."""
    found: list[int] = []
    for port in random.SystemRandom().sample(_QUIET_PORTS, 500):
        if port not in taken and port_free(port):
            found.append(port)
            if len(found) == count:
                return found
    raise Failure(tr("there are not enough free ports on loopback"))


# The state file -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClusterState:
    """What the state file says: a cluster that runs, or ran until something ended it badly.

    Attributes:
        plan: What it consists of.
        control_port: Where its supervisor takes orders; 0 before it does.
        token: What must be said to it with each order.
        supervisor: The supervisor's process id.
        pids: The servers' process ids, by name; only of those that ran when it was written.
        owned: Whether it ends with the program that started it.
    """

    plan: ClusterPlan
    control_port: int
    token: str
    supervisor: int
    pids: dict[str, int]
    owned: bool


def read_state(folder: Path) -> ClusterState | None:
    """Return what the state file in `folder` says; None without one, or when it is damaged."""
    try:
        values = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
        return ClusterState(**{**values, "plan": plan_from_json(values["plan"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_state(folder: Path, state: ClusterState) -> None:
    """Replace the state file in one step; only its owner may read it."""
    write_private(folder / STATE_FILE, json.dumps(asdict(state), indent=2) + "\n")


def remove_state(folder: Path) -> None:
    """Remove the state file, if there is one."""
    (folder / STATE_FILE).unlink(missing_ok=True)


class FolderLock:
    """A lock on a folder that the system lets go when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_FILE
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Take the lock; False when another process has it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            _lock(descriptor)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let go."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
