"""The local cluster as the window knows it: looked at while somebody watches, and steered by orders.

One object for the whole window, so that every panel shows the same and elections are noted once. Whatever
waits runs in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from memphis_desktop.cluster.lab import ClusterView, LocalCluster
from memphis_desktop.cluster.lab.local import NotRunning
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.errors import Failure
from memphis_desktop.language import tr

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_IDLE_SECONDS = 2.0
_EVENTS = 100


class LabState(Enum):
    """Where the cluster as a whole stands."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class LabEvent:
    """Something that was seen to happen: when (Unix nanoseconds), in words, and good, bad or information."""

    at_ns: int
    text: str
    kind: str


class LabControl(QObject):
    """The state of the local cluster, and what can be done with it."""

    changed = Signal()

    def __init__(self, cluster: LocalCluster | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._given = cluster
        self.state = LabState.STOPPED
        self.detail = ""  # why it failed
        self.view: ClusterView | None = None
        self.events: deque[LabEvent] = deque(maxlen=_EVENTS)
        self.busy: dict[str, str] = {}  # orders under way, by node
        self._watchers = 0
        self._looking: asyncio.Task[None] | None = None
        self._leader = ""

    @property
    def cluster(self) -> LocalCluster:
        """The cluster of this user; made when first asked for, since that makes a folder."""
        if self._given is None:
            self._given = LocalCluster()
        return self._given

    @property
    def starting(self) -> bool:
        """Whether it is on its way up or down."""
        return self.state in (LabState.STARTING, LabState.STOPPING)

    @property
    def folder(self) -> Path:
        """Where its data lies."""
        return Path(self.view.folder) if self.view is not None else self.cluster.folder

    def profile(self) -> ConnectionProfile:
        """A connection to all servers, with the system account; raises `Failure` when none runs."""
        return self.cluster.profile()

    # Looking --------------------------------------------------------------------------------------

    def watch(self) -> Callable[[], None]:
        """Keep looking, until the result is called."""
        self._watchers += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look_on())
        ended = False

        def end() -> None:
            nonlocal ended
            if not ended:
                ended = True
                self._watchers -= 1

        return end

    async def _look_on(self) -> None:
        while self._watchers:
            if not self.starting:
                await self.look()
            await asyncio.sleep(_LOOK_SECONDS if self.view is not None else _IDLE_SECONDS)

    async def look(self) -> None:
        """Look once, also at a cluster that was started elsewhere."""
        try:
            view = await asyncio.to_thread(self.cluster.view)
        except NotRunning:
            if self.starting:
                return
            if self.state is LabState.RUNNING:
                self._note(tr("The cluster has ended"), "information")
                self._set(LabState.STOPPED)
            return
        if self.state is LabState.STOPPING:
            return
        self._compare(view)
        if view != self.view or self.state is not LabState.RUNNING:
            self._set(LabState.RUNNING, view=view)

    def _compare(self, view: ClusterView) -> None:
        """Note what became of nodes and leadership since the last look."""
        known = self.view.nodes if self.view is not None else ()
        before = {node.name: node.condition for node in known}
        cut = {node.name: node.isolated for node in known}
        for node in view.nodes:
            old = before.get(node.name, node.condition)
            if old != node.condition:
                text, kind = _EVENT_WORDS.get(node.condition, ("{name}", "information"))
                self._note(text.replace("{name}", node.name), kind)
            if node.isolated != cut.get(node.name, node.isolated):
                if node.isolated:
                    self._note(tr("{name} is cut off from the others", name=node.name), "warning")
                else:
                    self._note(tr("{name} reaches the others again", name=node.name), "good")
        leader = view.meta_leader
        if leader != self._leader:
            if leader:
                self._note(tr("{leader} leads the meta group", leader=leader), "good")
            elif self._leader:
                self._note(tr("The meta group lost its leader {leader}", leader=self._leader), "warning")
            self._leader = leader

    def _note(self, text: str, kind: str) -> None:
        self.events.append(LabEvent(time.time_ns(), text, kind))

    def _set(self, state: LabState, detail: str = "", view: ClusterView | None = None) -> None:
        self.state, self.detail, self.view = state, detail, view
        if view is None:
            self._leader = ""
        self.changed.emit()

    # Doing ----------------------------------------------------------------------------------------

    async def start(self, *, temporary: bool = False) -> None:
        """Start three servers that end with this program; raises `Failure`."""
        if self.starting:
            raise Failure(tr("the local cluster is on its way already"))
        self._set(LabState.STARTING)
        try:
            view = await asyncio.to_thread(self.cluster.start, temporary=temporary)
        except BaseException as error:
            self._set(LabState.FAILED, str(error))
            raise
        self._compare(view)
        self._set(LabState.RUNNING, view=view)

    async def stop(self) -> None:
        """End it, whoever started it; raises `Failure`."""
        self._set(LabState.STOPPING, view=self.view)
        try:
            await asyncio.to_thread(self.cluster.stop)
        except Failure as failure:
            self._set(LabState.FAILED, str(failure))
            raise
        self._note(tr("The cluster was stopped"), "information")
        self._set(LabState.STOPPED)

    async def order(self, what: str, node: str) -> None:
        """Do something with a node: one of the orders of the command line. Raises `Failure`."""
        if node in self.busy:
            return
        self.busy[node] = what
        self.changed.emit()
        try:
            await asyncio.to_thread(self._carry_out, what, node)
        finally:
            del self.busy[node]
            self.changed.emit()
        await self.look()

    def _carry_out(self, what: str, node: str) -> None:
        cluster = self.cluster
        orders: dict[str, Callable[[str], Any]] = {
            "start": cluster.start_node,
            "stop": cluster.stop_node,
            "kill": cluster.kill_node,
            "pause": cluster.pause_node,
            "resume": cluster.resume_node,
            "isolate": cluster.isolate_node,
            "rejoin": cluster.rejoin_node,
        }
        orders[what](node)

    async def shut_down(self) -> None:
        """End the cluster if it is ours; one that was started on the command line goes on."""
        self._watchers = 0
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        if self._given is not None and self._given.owned_here:
            with contextlib.suppress(Failure):
                await asyncio.to_thread(self._given.stop)


_EVENT_WORDS = {
    "running": (tr("{name} runs"), "good"),
    "paused": (tr("{name} is paused"), "warning"),
    "stopped": (tr("{name} was stopped"), "information"),
    "killed": (tr("{name} was killed"), "bad"),
    "ended": (tr("{name} ended by itself"), "bad"),
}
