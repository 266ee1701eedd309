"""How the servers of a local cluster are, asked of their monitoring ports.

Blocking calls over loopback, a few milliseconds for a whole cluster; in the window they belong in a thread.
"""

from __future__ import annotations

import http.client
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from memphis_desktop.cluster.lab.layout import HOST, ClusterPlan, NodePlan
from memphis_desktop.cluster.lab.supervisor import RUNNING
from memphis_desktop.language import tr

_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class NodeView:
    """One server now.

    Attributes:
        name: Its name in the cluster.
        url: Where clients connect.
        monitoring_url: The base of its HTTP monitoring endpoints.
        condition: What was done to its process: running, paused, stopped, killed, or ended by itself.
        isolated: Whether its links to the other servers are cut.
        pid: The process, while there is one.
        exit_code: How the process ended, when it did.
        answers: Whether it answers its monitoring port.
        healthy: Whether it says that it is, JetStream included.
        problem: What it says is wrong, when it is not healthy.
        version: Of nats-server.
        uptime: As the server words it, ``1h2m3s``.
        memory: Bytes of the process.
        cpu: Percent of one core.
        connections: Clients.
        streams: JetStream streams it holds a copy of; None when it does not say.
        streams_led: Of how many of them it is the leader; None with servers before 2.14.
        consumers_led: The same of consumers.
        leads_meta: Whether it is the leader of the meta group, by its own account.
        meta_leader: Whom it takes for that leader; empty when it knows none.
    """

    name: str
    url: str
    monitoring_url: str
    condition: str
    isolated: bool = False
    pid: int | None = None
    exit_code: int | None = None
    answers: bool = False
    healthy: bool = False
    problem: str = ""
    version: str = ""
    uptime: str = ""
    memory: int = 0
    cpu: float = 0.0
    connections: int = 0
    streams: int | None = None
    streams_led: int | None = None
    consumers_led: int | None = None
    leads_meta: bool = False
    meta_leader: str = ""


@dataclass(frozen=True, slots=True)
class ClusterView:
    """A local cluster that runs.

    Attributes:
        folder: Where its data, logs and credentials are.
        temporary: Whether that goes when it ends.
        owned: Whether it ends with the program that started it.
        seed_file: The nkey seed of the system account's user.
        nodes: The servers, in order.
    """

    folder: str
    temporary: bool
    owned: bool
    seed_file: str
    nodes: tuple[NodeView, ...]

    @property
    def urls(self) -> tuple[str, ...]:
        """Where clients connect, all servers."""
        return tuple(node.url for node in self.nodes)

    @property
    def meta_leader(self) -> str:
        """The leader of the meta group; empty while there is none.

        One that is cut off, or left alone, takes itself for it for some seconds more: whom most know, leads.
        """
        if not self.quorum:
            return ""
        known = Counter(node.meta_leader for node in self.nodes if node.meta_leader)
        leading = [node.name for node in self.nodes if node.leads_meta]
        return max(leading, key=lambda name: known[name], default="")

    @property
    def quorum(self) -> bool:
        """Whether more than half of the servers answer and reach each other, so that they can agree."""
        return 2 * sum(node.answers and not node.isolated for node in self.nodes) > len(self.nodes)

    @property
    def ready(self) -> bool:
        """Whether all servers are healthy, reach each other and agree on a meta leader."""
        leader = self.meta_leader
        return bool(leader) and all(
            node.healthy and node.meta_leader == leader and not node.isolated for node in self.nodes
        )


def look(plan: ClusterPlan, owned: bool, processes: Sequence[dict[str, Any]]) -> ClusterView:
    """Ask every server that runs; `processes` is what the supervisor says of them."""
    by_name = {str(process["name"]): process for process in processes}
    nodes = tuple(_look_at(node, by_name.get(node.name, {}), plan.tag) for node in plan.nodes)
    return ClusterView(plan.folder, plan.temporary, owned, str(plan.seed_file), nodes)


def _look_at(node: NodePlan, process: dict[str, Any], tag: str) -> NodeView:
    condition = str(process.get("condition", "ended"))
    known: dict[str, Any] = {
        "name": node.name,
        "url": node.url,
        "monitoring_url": node.monitoring_url,
        "condition": condition,
        "isolated": bool(process.get("isolated")),
        "pid": process.get("pid"),
        "exit_code": process.get("exit_code"),
    }
    if condition != RUNNING:
        return NodeView(**known)
    server = ask(node, "/varz")
    if server is None or tag not in (server.get("tags") or ()):
        return NodeView(**known, problem=tr("it does not answer"))
    health = ask(node, "/healthz") or {}
    jetstream = ask(node, "/jsz") or {}
    meta = jetstream.get("meta_cluster") or {}
    leader = str(meta.get("leader") or "")
    healthy = health.get("status") == "ok"
    return NodeView(
        **known,
        answers=True,
        healthy=healthy,
        problem="" if healthy else str(health.get("error") or tr("it does not say how it is")),
        version=str(server.get("version", "")),
        uptime=str(server.get("uptime", "")),
        memory=int(server.get("mem", 0)),
        cpu=float(server.get("cpu", 0)),
        connections=int(server.get("connections", 0)),
        streams=jetstream.get("streams"),
        streams_led=jetstream.get("streams_leader"),
        consumers_led=jetstream.get("consumers_leader"),
        leads_meta=leader == node.name,
        meta_leader=leader,
    )


def ask(node: NodePlan, path: str) -> dict[str, Any] | None:
    """Return the answer of a monitoring endpoint; None without an answer in two seconds."""
    connection = http.client.HTTPConnection(HOST, node.monitoring_port, timeout=_TIMEOUT)
    try:
        connection.request("GET", path)
        answer = json.loads(connection.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return answer if isinstance(answer, dict) else None
