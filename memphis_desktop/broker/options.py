"""What a node can be told, with nats-server's defaults."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ANY_PORT = -1


class StartError(Exception):
    """The node cannot start; the text is one clear sentence for the user."""


class UsageError(Exception):
    """The command line is wrong; the text says what."""


@dataclass(slots=True)
class User:
    """A user who logs in with name and password; the password may be a bcrypt hash."""

    name: str
    password: str = field(repr=False)


@dataclass(slots=True)
class BrokerOptions:
    """Options of a node. Sizes are bytes, times seconds, ports -1 for any free one and 0 for none."""

    host: str = "127.0.0.1"
    port: int = 4222
    server_name: str = ""
    client_advertise: str = ""

    # Who may connect: at most one of users and token; neither means everybody.
    users: list[User] = field(default_factory=list)
    token: str = field(default="", repr=False)
    auth_timeout: float = 2.0

    max_connections: int = 65536
    max_subscriptions: int = 0
    max_payload: int = 1024 * 1024
    max_control_line: int = 4096
    max_pending: int = 64 * 1024 * 1024
    write_deadline: float = 10.0
    ping_interval: float = 120.0
    ping_max: int = 2
    max_closed_clients: int = 10_000
    lame_duck_duration: float = 120.0
    lame_duck_grace_period: float = 10.0

    http_host: str = ""
    http_port: int = 0
    http_base_path: str = "/"

    jetstream: bool = False
    store_dir: Path | None = None  # None: a folder of the system's temporary directory, as nats-server does
    in_memory: bool = False  # everything in memory: for tests and throw-away nodes
    sync_always: bool = True
    max_memory_store: int = -1
    max_file_store: int = -1
    domain: str = ""

    debug: bool = False
    trace: bool = False
    log_time: bool = True
    log_file: Path | None = None
    pid_file: Path | None = None
    ports_file_dir: Path | None = None

    memphis_port: int = 0
    rest_port: int = 0

    @property
    def auth_required(self) -> bool:
        """Whether a client has to prove who it is."""
        return bool(self.users or self.token)

    @property
    def store_folder(self) -> Path:
        """Where JetStream keeps its data."""
        base = self.store_dir or Path(tempfile.gettempdir()) / "memphis-desktop"
        return Path(os.path.abspath(base)) / "jetstream"
