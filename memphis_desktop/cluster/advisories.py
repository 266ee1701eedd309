"""What the broker tells by itself: streams and consumers that were made, changed, lost or won a leader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from .failures import ClusterError
from .raft.model import GroupKey, GroupKind
from .raft.reading import peers_of
from .state import ClusterState

if TYPE_CHECKING:
    from .polling import Poller
    from .session import Session

ADVISORIES = (
    "$JS.EVENT.ADVISORY.STREAM.*.*",
    "$JS.EVENT.ADVISORY.CONSUMER.CREATED.*.*",
    "$JS.EVENT.ADVISORY.CONSUMER.DELETED.*.*",
    "$JS.EVENT.ADVISORY.CONSUMER.PAUSE.*.*",
    "$JS.EVENT.ADVISORY.CONSUMER.LEADER_ELECTED.*.*",
    "$JS.EVENT.ADVISORY.CONSUMER.QUORUM_LOST.*.*",
    "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.*.*",
    "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.*.*",
)


class AdvisoryFeed:
    """Listens for one session: the poller reads what changed, listeners are told."""

    def __init__(self, session: Session, state: ClusterState, poller: Poller) -> None:
        self._session = session
        self._state = state
        self._poller = poller

    async def listen(self) -> None:
        """Subscribe, once for the life of the connection."""
        try:
            for subject in ADVISORIES:
                await self._session.nats.subscribe(subject, cb=self._take)
        except (NatsError, ClusterError) as error:
            self._state.errors["advisories"] = str(error)

    async def _take(self, message: Msg) -> None:
        tokens = message.subject.split(".")
        # $JS.EVENT.ADVISORY.<kind>.<event>.<stream>[.<consumer>]
        kind, event, stream = tokens[3], tokens[4], tokens[5]
        if kind == "STREAM" and event == "DELETED":
            self._poller.forget_stream(stream)
        elif kind == "CONSUMER" and event == "DELETED":
            self._state.remove_consumer(stream, tokens[6])
            self._poller.refresh(stream)
        elif event not in ("MAX_DELIVERIES", "MSG_TERMINATED", "LEADER_ELECTED", "QUORUM_LOST"):
            self._poller.refresh(stream)  # many of the others may come; the next round shows them
        try:
            advisory = orjson.loads(message.data)
        except orjson.JSONDecodeError:
            return
        if not isinstance(advisory, dict):
            return
        if event == "LEADER_ELECTED":
            self._take_election(kind, advisory)
        self._session.hand_on_advisory(message.subject, advisory)

    def _take_election(self, kind: str, advisory: Mapping[str, Any]) -> None:
        """Take a new leader at once: readings may have to wait for the rest of the cluster."""
        stream, consumer = str(advisory.get("stream") or ""), str(advisory.get("consumer") or "")
        key = GroupKey(GroupKind[kind], stream, consumer)
        leader, peers = str(advisory.get("leader") or ""), peers_of(advisory.get("replicas") or ())
        if not self._state.take_leader(key, leader, peers) or self._poller.is_wanted(stream):
            self._poller.refresh(stream)
        self._poller.interrupt()
