"""An open connection as the window holds it: a session, its news told to widgets at a bearable pace."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from memphis_desktop import folders
from memphis_desktop.cluster.actions import ActionRecord
from memphis_desktop.cluster.activity import ActivityLog, Entry
from memphis_desktop.cluster.failures import NotConnected
from memphis_desktop.cluster.model import ClusterSnapshot, ConnectionState, is_machinery
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.cluster.session import Session
from memphis_desktop.inspect.scan_process import end_processes
from memphis_desktop.language import tr
from memphis_desktop.ui import settings
from memphis_desktop.ui.memphis.letters import MemphisLetters
from memphis_desktop.ui.memphis.link import MemphisLink
from memphis_desktop.ui.memphis.schemas_taken import SchemaverseFollower
from memphis_desktop.ui.shell import setting_keys

_MINIMUM_MS = 100  # widgets are updated at most ten times a second
LOCAL_ID = "local-broker"
_ECHO_MS = 1000
_OWN_STREAMS = ("KV_memphis_", "$memphis")


def _change(action: str, stream: str, consumer: str) -> str:
    """What an advisory says was done to a stream, or to one of its groups."""
    if consumer:
        words = {
            "create": tr("Group {name} of {stream} made", name=consumer, stream=stream),
            "modify": tr("Group {name} of {stream} changed", name=consumer, stream=stream),
            "delete": tr("Group {name} of {stream} deleted", name=consumer, stream=stream),
        }
        return words.get(action, f"{action} {stream} {consumer}")
    words = {
        "create": tr("Stream {stream} made", stream=stream),
        "modify": tr("Stream {stream} changed", stream=stream),
        "delete": tr("Stream {stream} deleted", stream=stream),
    }
    return words.get(action, f"{action} {stream}")


class Connection(QObject):
    """One session, shared by all tabs that show it."""

    snapshot_changed = Signal(object)  # the latest ClusterSnapshot
    state_changed = Signal()
    closed = Signal()
    waited = Signal()  # nothing waits to be resent any more

    def __init__(
        self, profile: ConnectionProfile, activity: ActivityLog, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        keep = setting_keys.history_keep(settings.current())
        self.session = Session(profile, folders.data_folder(), keep)
        self.memphis = MemphisLink(self.session, self)
        self._schemaverse = SchemaverseFollower(self.memphis, profile, self)
        # Advisories are heard from now on, whether a screen looks or not.
        self.session.dead_letters.set_source(MemphisLetters(self.memphis))
        self.users = 0  # tabs that show it
        self.without_tab = False  # its last one was closed, and something waits to be resent still
        self._shown_state: tuple[ConnectionState, str] | None = None
        self._last_delivery = 0.0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._deliver)
        self._closing = False
        self._unsubscribe = self.session.subscribe(self._on_snapshot)
        self._connecting: asyncio.Task[None] | None = None
        self._activity = activity
        self._unsubscribe_activity = [
            self.session.subscribe_actions(self._on_action),
            self.session.subscribe_advisories(self._on_advisory),
            self.session.later.subscribe(self._on_later),
        ]

    @property
    def profile(self) -> ConnectionProfile:
        """What it was made from."""
        return self.session.profile

    @property
    def snapshot(self) -> ClusterSnapshot:
        """What is known now."""
        return self.session.snapshot

    @property
    def is_local(self) -> bool:
        """Whether this is the broker inside the program."""
        return self.profile.id == LOCAL_ID

    async def connect_now(self) -> None:
        """Connect; raises `ConnectionFailure`. A second caller waits for the first one's attempt."""
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.get_running_loop().create_task(self.session.connect())
        await asyncio.shield(self._connecting)

    async def close(self) -> None:
        """Disconnect and stop telling, for good: nothing of it stays behind."""
        if self._closing:
            return
        self._closing = True
        self._unsubscribe()
        for unsubscribe in self._unsubscribe_activity:
            unsubscribe()
        self._unsubscribe_activity = []
        self._timer.stop()
        if self._connecting is not None and not self._connecting.done():
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        self._schemaverse.stop()
        with contextlib.suppress(NotConnected):
            end_processes(self.session.nats)
        await self.memphis.close()
        await self.session.close()
        self.closed.emit()
        self.deleteLater()  # the window, its parent, would keep it for as long as it is open

    def _on_later(self) -> None:
        if not self.session.later.pending:
            self.waited.emit()

    def _on_action(self, record: ActionRecord) -> None:
        self._activity.add_action(self.profile, record.action.subject(self.session), record)

    def _on_advisory(self, subject: str, advisory: Mapping[str, Any]) -> None:
        """Somebody changed a stream, or deleted a durable group: note it, unless we did so ourselves."""
        kind = str(advisory.get("type", ""))
        stream, action = str(advisory.get("stream", "")), str(advisory.get("action", "changed"))
        consumer = str(advisory.get("consumer", "")) if kind.endswith("consumer_action") else ""
        if consumer:
            known = self.session.snapshot.consumers.get((stream, consumer))
            if action != "delete" or known is None or not known.is_durable or is_machinery(stream):
                return  # ephemeral ones come and go by the dozen
        elif not kind.endswith("stream_action"):
            return
        if action == "create" and stream.startswith(_OWN_STREAMS):
            return  # the Memphis layer makes these when it starts: nobody's change
        now = time.time_ns()
        # The news of our own change may come before the answer to it, which is when it is recorded.
        QTimer.singleShot(_ECHO_MS, self, lambda: self._note_others(now, subject, stream, action, consumer))

    def _note_others(self, now: int, subject: str, stream: str, action: str, consumer: str) -> None:
        if self._activity.did_lately(self.profile.id, stream, time.time_ns()):
            return
        profile = self.profile
        title = _change(action, stream, consumer)
        environment = profile.environment.value
        self._activity.add(
            Entry(now, profile.name, profile.id, environment, "", title, stream, subject, by_others=True)
        )

    def _on_snapshot(self, snapshot: ClusterSnapshot) -> None:
        if (snapshot.state, snapshot.detail) != self._shown_state:
            self._deliver()  # a change of state is told at once
        elif not self._timer.isActive():
            since = (time.monotonic() - self._last_delivery) * 1000
            self._timer.start(max(0, int(_MINIMUM_MS - since)))

    def _deliver(self) -> None:
        self._timer.stop()
        self._last_delivery = time.monotonic()
        snapshot = self.session.snapshot
        state = (snapshot.state, snapshot.detail)
        if state != self._shown_state:
            self._shown_state = state
            self.state_changed.emit()
        self.snapshot_changed.emit(snapshot)
