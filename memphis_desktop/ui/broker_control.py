"""What the window may ask of the broker in this process. The program hands it an object of this shape.

The window knows nothing of how the broker works: it starts and stops it, and connects to ``url`` like to
any other server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

DEFAULT_PORT = 4222
MEMPHIS_PORT, REST_PORT = 6666, 4444
STREAMING_CLUSTER = "test-cluster"  # what NATS Streaming clients name unless told otherwise


class BrokerState(Enum):
    """Where the local broker stands."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    FAILED = "failed"


@dataclass(frozen=True)
class Doors:
    """The ways in for clients that are no NATS clients. A port that is taken gives way to the next free one.

    Attributes:
        memphis_port: where Memphis SDKs come in; 0 for nowhere.
        rest_port: the port of the REST gateway; 0 for no REST gateway.
        streaming_cluster: the cluster id that NATS Streaming clients name; empty for no gateway for them.
    """

    memphis_port: int = MEMPHIS_PORT
    rest_port: int = 0
    streaming_cluster: str = ""


@dataclass(frozen=True)
class Served:
    """Who can come in besides NATS clients; what is not open, or not yet, is 0 or empty.

    Attributes:
        memphis_port: where Memphis SDKs connect.
        rest_port: where the REST gateway listens.
        streaming_cluster: the cluster id under which NATS Streaming clients are served.
        notes: what is not as chosen, each a sentence: another port than the one that is taken.
        failures: why something does not work, each a sentence.
        complete: whether all that was chosen has been tried.
    """

    memphis_port: int = 0
    rest_port: int = 0
    streaming_cluster: str = ""
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    complete: bool = False


@dataclass(frozen=True)
class BrokerChoice:
    """How to start.

    Attributes:
        port: where to listen on loopback; 0 for any free one.
        persistent: keep data in the application's data folder; otherwise it is forgotten at the end.
        sample_traffic: make the sample stations and keep them busy.
        doors: who can come in besides NATS clients.
    """

    port: int = DEFAULT_PORT
    persistent: bool = True
    sample_traffic: bool = True
    doors: Doors = Doors()


class BrokerStartError(Exception):
    """The broker did not start; the text is one sentence.

    Attributes:
        next_port: a free port to offer when the wanted one was taken, else None.
        folder_in_use: another program has the data folder open.
        folder_unusable: what is in the data folder cannot be used.
    """

    def __init__(
        self,
        text: str,
        *,
        next_port: int | None = None,
        folder_in_use: bool = False,
        folder_unusable: bool = False,
    ) -> None:
        super().__init__(text)
        self.next_port = next_port
        self.folder_in_use = folder_in_use
        self.folder_unusable = folder_unusable


class BrokerControl(Protocol):
    """The local broker as the window sees it."""

    @property
    def state(self) -> BrokerState:
        """Where it stands."""

    @property
    def detail(self) -> str:
        """Why it failed, when it did."""

    @property
    def served(self) -> Served:
        """Who can come in besides NATS clients, while it runs."""

    @property
    def url(self) -> str:
        """Where clients connect while it runs; empty otherwise."""

    @property
    def system_login(self) -> tuple[str, str] | None:
        """User and password of its system account, known to this program only; None while it does not run."""

    @property
    def data_folder(self) -> Path | None:
        """Where its data is; None when nothing is kept."""

    @property
    def damage(self) -> tuple[str, ...]:
        """What was found damaged when its data was opened this time, a line each; all else is served."""

    def set_data_aside(self) -> Path | None:
        """Rename the data folder, so that the next start begins with a fresh one; it must not run.

        Returns where the data is now, None when there was none. Raises `OSError`.
        """

    @property
    def choice(self) -> BrokerChoice:
        """How it was started last."""

    @property
    def sample_traffic(self) -> bool:
        """Whether the sample clients are at work."""

    def problem_with(self, doors: Doors) -> str:
        """Return one sentence why these ways in cannot be, empty when they can."""

    async def start(self, choice: BrokerChoice) -> None:
        """Start it; returns when clients can connect. Raises `BrokerStartError`."""

    async def stop(self) -> None:
        """Stop sample traffic and broker in order; everything acknowledged is on disk."""

    async def start_sample_traffic(self) -> None:
        """Make the sample stations where missing, and start the clients that keep them busy."""

    async def stop_sample_traffic(self) -> None:
        """Stop these clients; the data stays."""

    async def remove_sample_data(self) -> int:
        """Stop the clients and delete the sample stations; the number of things removed."""

    def data_size(self) -> int | None:
        """Bytes in the data folder; None when nothing is kept."""

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` on each change of state; the result ends it."""
