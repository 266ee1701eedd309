"""The consumers of thousands of streams, read from each server of a cluster in one request.

The JetStream API lists consumers stream by stream: two thousand streams are two thousand requests, minutes
within the budget. The system account may ask a server for all that it holds (JSZ). Of each consumer only what
its leader tells is taken; others know its position only roughly.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import orjson
from nats.errors import Error as NatsError

from .asking import Asker
from .failures import ClusterError
from .json_parts import EACH, parts
from .raft.model import ServerState
from .state import ClusterState

if TYPE_CHECKING:
    from .session import Session

log = logging.getLogger(__name__)

FEW = 40  # streams with consumers: lists bring these within seconds
EVERY = 60.0  # seconds between the begin of two sweeps, at least
SHARE = 0.03  # of a core, at most
RETRY = 120.0  # seconds after one that failed
TIMEOUT = 15.0
LARGEST = 24 * 2**20  # bytes of an answer; servers drop a client that 64 MiB wait for
CONSUMER_BYTES = 1100  # of an answer, about; with its configuration
SLICE_SECONDS = 0.004
ADDED = ("_nats.ver", "_nats.level")
_CONSUMERS = ("data", "account_details", EACH, "stream_detail", EACH, "consumer_detail", EACH)


class ConsumerSweep:
    """The sweeps of one session, beside its rounds."""

    def __init__(self, session: Session, asker: Asker, state: ClusterState) -> None:
        self._session = session
        self._asker = asker
        self._state = state
        self._task: asyncio.Task[None] | None = None
        self._due_at = float("-inf")
        self._done_at = float("-inf")
        self._failed = False

    @property
    def covers(self) -> bool:
        """Whether sweeps bring every consumer, so that lists are needed only for what is looked at."""
        if self._failed or not self._possible():
            return False
        return self._task is not None or time.monotonic() < self._due_at + EVERY

    def begin_if_due(self) -> None:
        """Begin one when it is time and it is worth it; it goes on beside the rounds."""
        if self._task is None and time.monotonic() >= self._due_at and self._possible():
            self._task = asyncio.create_task(self._run(), name="sweep consumers")
            self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """End the one under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed = True
            log.error("reading all consumers failed", exc_info=error)

    def _possible(self) -> bool:
        state, raft = self._state, self._session.raft
        if not state.complete or state.account is None or not raft.account or raft.system_client is None:
            return False
        own = f"$JS.{state.account.domain}.API" if state.account.domain else "$JS.API"
        if self._session.profile.api_prefix not in ("$JS.API", own):
            return False  # the streams of another account, perhaps
        if state.account.consumers * CONSUMER_BYTES > LARGEST or len(state.raft.servers) < 2:
            return False
        return sum(stream.consumer_count > 0 for stream in state.streams.values()) > FEW

    async def _run(self) -> None:
        started, began_ns = time.monotonic(), time.time_ns()
        names: dict[str, set[str]] = {}
        worked = 0.0
        self._due_at = started + RETRY
        try:
            servers = [one for one in self._state.raft.servers.values() if one.here and one.id]
            for server in servers:
                worked += await self._read(server, names)
        except (ClusterError, NatsError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._failed = True
            log.info("reading all consumers of %s: %s", self._session.profile.name, error)
            return
        if len(servers) == len(self._state.raft.servers):
            self._forget_others(names, began_ns)
        self._failed = False
        self._due_at = started + max(EVERY, worked / SHARE)
        self._state.read_at["consumers"] = time.time_ns()
        self._state.errors.pop("consumers", None)

    async def _read(self, server: ServerState, names: dict[str, set[str]]) -> float:
        """Take what a server leads, and note all names that it knows; returns the seconds of work."""
        body: dict[str, Any] = {"account": self._session.raft.account, "consumer": True, "config": True}
        if self._state.account is not None and self._state.account.domain:
            body["domain"] = self._state.account.domain
        asked, asked_ns = time.monotonic(), time.time_ns()
        self._asker.budget.spend()
        # Its other answers wait behind this one: that is no silence.
        with self._session.raft.occupied(server.name):
            message = await self._session.system_request(
                f"$SYS.REQ.SERVER.{server.id}.JSZ", orjson.dumps(body), TIMEOUT
            )
        began, worked = time.perf_counter(), 0.0
        for info in _consumers(message.data):
            self._take(server.name, info, names, asked, asked_ns)
            if (spent := time.perf_counter() - began) > SLICE_SECONDS:
                worked += spent
                await asyncio.sleep(0)
                began = time.perf_counter()
        return worked + time.perf_counter() - began

    def _take(
        self, server: str, info: dict[str, Any], names: dict[str, set[str]], asked: float, asked_ns: int
    ) -> None:
        stream, name = str(info["stream_name"]), str(info["name"])
        names.setdefault(stream, set()).add(name)
        known = self._state.consumers.get((stream, name))
        if (known is not None and known.read_at_ns > asked_ns) or stream not in self._state.streams:
            return  # read since, or deleted
        if ((info.get("cluster") or {}).get("leader") or server) == server:
            if known is not None and _stored(known.config) == info.get("config"):
                info["config"] = known.config
            self._state.take_consumer(info, asked)
            self._state.consumers_read_at[stream] = asked

    def _forget_others(self, names: dict[str, set[str]], began_ns: int) -> None:
        """Every server was asked: whom none of them knows is gone, unless it was read since."""
        for stream, known in list(self._state.consumers_of.items()):
            for name in known - names.get(stream, set()):
                consumer = self._state.consumers.get((stream, name))
                if consumer is not None and consumer.read_at_ns < began_ns:
                    self._state.remove_consumer(stream, name)


def _stored(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without what the API adds to it about the server that answers."""
    metadata = config.get("metadata") or {}
    return {**config, "metadata": {k: v for k, v in metadata.items() if k not in ADDED}}


def _consumers(answer: bytes) -> Iterator[dict[str, Any]]:
    with contextlib.suppress(RecursionError):  # no answer of a server
        for part in parts(answer.decode(), _CONSUMERS):
            if isinstance(part, dict):
                yield part
