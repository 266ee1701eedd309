"""Keeps pull requests of stations waiting while their group has no leader.

When the server that leads a consumer dies, nobody listens for pull requests until another one is elected, and
a server answers ``503 No Responders`` to each. SDKs take that for the end: memphis-py's ``consume`` stops for
good, without a word. So the front doors listen too, and answer nothing. The requests run into their own time
limit, and the SDK asks again.
"""

from __future__ import annotations

import asyncio
import logging

from memphis_desktop.protocol import framing
from memphis_desktop.protocol.connect import ConnectOptions
from memphis_desktop.stations.front_door.upstream import Cluster, ClusterAway, Upstream
from memphis_desktop.stations.metadata import Metadata
from memphis_desktop.stations.tasks import end_task

log = logging.getLogger(__name__)

_NAME = "Memphis front door, pull requests"
_QUEUE = b"memphis_front_doors"  # one door hears of each request
_RETRY = 1.0


class PullKeeper:
    """Subscribes to the pull requests of every station, over a session of its own."""

    def __init__(self, metadata: Metadata, cluster: Cluster) -> None:
        """Prepare.

        Args:
            metadata: Where the stations are.
            cluster: Where the session is opened.
        """
        self._stations = metadata.stations.view()
        self._cluster = cluster
        self._upstream: Upstream | None = None
        self._numbers: dict[str, int] = {}  # the subscription of each stream
        self._next = 0
        self._lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stations.subscribe(self._follow)

    def start(self) -> None:
        """Begin."""
        self._stations.start()
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        """End."""
        task, self._task = self._task, None
        await end_task(task)
        await self._stations.stop()
        self._close()

    async def _keep(self) -> None:
        """Keep a session open."""
        options = ConnectOptions(verbose=False, pedantic=False, headers=True, name=_NAME, lang="python3")
        while True:
            self._lost.clear()
            try:
                self._upstream = upstream = await self._cluster.open_session(options)
            except ClusterAway as error:
                log.debug("%s: %s", _NAME, error)
                await asyncio.sleep(_RETRY)
                continue
            upstream.on_data, upstream.on_lost = self._receive, self._lost.set
            self._numbers.clear()
            self._follow()
            if not upstream.lost:
                await self._lost.wait()
            self._close()

    def _receive(self, data: bytes) -> None:
        """Take a request and leave it to whoever leads the group; a PING wants an answer."""
        if b"PING\r\n" in data and self._upstream is not None and self._upstream.transport is not None:
            self._upstream.transport.write(framing.PONG)  # one too many does no harm

    def _follow(self) -> None:
        """Subscribe for streams that are new, and unsubscribe for those that are gone."""
        if self._upstream is None or self._upstream.transport is None:
            return
        wanted = {stream for station in self._stations.records for stream in station.streams}
        lines: list[bytes] = []
        for stream in self._numbers.keys() - wanted:
            lines.append(b"UNSUB %d\r\n" % self._numbers.pop(stream))
        for stream in wanted - self._numbers.keys():
            self._next += 1
            self._numbers[stream] = self._next
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.*".encode()
            lines.append(b"SUB %b %b %d\r\n" % (subject, _QUEUE, self._next))
        if lines:
            self._upstream.transport.write(b"".join(lines))

    def _close(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None and upstream.transport is not None:
            upstream.on_lost = None
            upstream.transport.close()
