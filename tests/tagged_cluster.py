"""Five real nats-servers as one cluster, with tags to place streams by: for moves, spares and removals."""

from __future__ import annotations

import json
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from memphis_desktop.cluster.lab.layout import HOST, free_ports
from memphis_desktop.cluster.profiles import ConnectionProfile, CredentialKind, Credentials
from memphis_desktop.server_process import ServerProcess, nats_server_command

READY_SECONDS = 60.0
SYSTEM_USER, SYSTEM_PASSWORD = "system", "s-only-for-tests"
TAGS = {"n1": ["zone:a"], "n2": ["zone:a"], "n3": ["zone:a", "zone:b"], "n4": ["zone:b"], "n5": ["zone:b"]}


class TaggedCluster:
    """The servers ``n1`` … ``n5``: the first three are in zone a, the last three in zone b."""

    def __init__(self, folder: Path) -> None:
        ports = free_ports(len(TAGS))
        routes = ", ".join(f'"nats://{HOST}:{port}"' for port in ports)
        self.servers = {
            name: ServerProcess(
                nats_server_command(),
                folder / name,
                monitoring=True,
                config=_config(name, tags, port, routes),
            )
            for (name, tags), port in zip(TAGS.items(), ports, strict=True)
        }

    def start(self) -> None:
        """Start all, and wait for a meta leader that counts all of them."""
        with ThreadPoolExecutor(len(self.servers)) as pool:  # none is ready before its peers are there
            list(pool.map(ServerProcess.start, self.servers.values()))
        deadline = time.monotonic() + READY_SECONDS
        while not self._settled():
            if time.monotonic() > deadline:
                raise TimeoutError("the five servers did not settle")
            time.sleep(0.05)

    def _settled(self) -> bool:
        """Whether all are healthy and agree on a leader who counts all of them."""
        leaders = set()
        for server in self.servers.values():
            try:
                meta = _get(server, "jsz").get("meta_cluster") or {}
                if meta.get("cluster_size") != len(self.servers) or _get(server, "healthz")["status"] != "ok":
                    return False
            except (OSError, ValueError):
                return False
            leaders.add(meta.get("leader"))
        return len(leaders) == 1 and leaders != {None}

    def stop(self) -> None:
        """End all; one after another would have the rest elect and copy."""
        for server in self.servers.values():
            server.kill()

    @property
    def urls(self) -> tuple[str, ...]:
        """Where clients connect; they need no login."""
        return tuple(server.url for server in self.servers.values())

    def profile(self) -> ConnectionProfile:
        """A connection to it, the system account included."""
        return ConnectionProfile(
            name="five",
            urls=self.urls,
            system_credentials=Credentials(
                CredentialKind.PASSWORD, user=SYSTEM_USER, password=SYSTEM_PASSWORD
            ),
        )


def _get(server: ServerProcess, what: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{server.monitoring_url}/{what}", timeout=5) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def _config(name: str, tags: list[str], route_port: int, routes: str) -> str:
    return f"""\
server_name: {name}
server_tags: {json.dumps(tags)}
cluster {{ name: five, listen: "{HOST}:{route_port}", routes: [{routes}] }}
accounts {{ $SYS {{ users: [{{ user: {SYSTEM_USER}, password: "{SYSTEM_PASSWORD}" }}] }} }}
"""
