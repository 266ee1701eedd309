"""The gateway from outside: start it, stop it. It waits for the lease, works while it holds it, and so on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import nats.errors
from nats.aio.client import Client

from memphis_desktop.stations.control.routes import Context
from memphis_desktop.stations.errors import StorageError
from memphis_desktop.stations.metadata import Metadata
from memphis_desktop.stations.streaming.lease import Lease
from memphis_desktop.stations.streaming.options import StreamingOptions
from memphis_desktop.stations.streaming.records import Records
from memphis_desktop.stations.streaming.session import Session
from memphis_desktop.stations.tasks import end_task

log = logging.getLogger(__name__)

_RETRY = 1.0


class StreamingGateway:
    """One copy of the gateway for one cluster id, on a connection that its caller opened and closes."""

    def __init__(self, client: Client, options: StreamingOptions | None = None) -> None:
        """Prepare a copy.

        Args:
            client: A connection that may use JetStream, ``_STAN.>`` and the inboxes of clients.
            options: Its settings.
        """
        self.options = options or StreamingOptions()
        self.context = Context(client, Metadata(client))
        self._records = Records(self.context.jetstream, self.options.cluster)
        self._lease = Lease(
            self.context.jetstream, f"memphis_streaming_{self.options.cluster}_lease", self.options.lease
        )
        self._campaign: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()
        self.working = asyncio.Event()
        """Set while this copy is the one that works."""
        self.session: Session | None = None
        """Its state meanwhile."""

    async def start(self) -> None:
        """Make the buckets and begin; this copy works as soon as no other does.

        Raises:
            StorageError: The account has no JetStream, or it does not answer.
        """
        replicas = self.options.replicas or await self.context.metadata.replicas() or 1
        self.context.replicas = replicas
        await self.context.metadata.create(replicas)
        await self._records.create(replicas)
        await self._lease.create(replicas)
        self._campaign = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        """Finish what is under way, and let another copy take over at once."""
        campaign, self._campaign = self._campaign, None
        self._ended.set()
        if campaign is not None:
            await campaign

    async def _work(self) -> None:
        while not self._ended.is_set():
            await self._unless_ended(self._lease.acquire())
            if self._lease.held and not self._ended.is_set():
                await self._work_once()
            await self._lease.release()

    async def _work_once(self) -> None:
        """Work until the lease is lost, or the end."""
        session = Session(self.context, self._records, self.options)
        # Taking over can take longer than the lease lasts, while a cluster elects leaders.
        kept = asyncio.get_running_loop().create_task(self._lease.keep())
        try:
            if await self._started(session, kept):
                self.session = session
                self.working.set()
                log.info("Streaming gateway is ready: cluster id %s", self.options.cluster)
                await self._unless_ended(_end_of(kept))
            if not self._ended.is_set():
                log.warning("The streaming gateway lost its lease: the server is away, or another copy works")
        except (StorageError, nats.errors.Error, ExceptionGroup) as error:
            log.warning("The streaming gateway cannot work: %s", error)
            await self._unless_ended(asyncio.sleep(_RETRY))
        finally:
            self.working.clear()
            self.session = None
            await end_task(kept)
            await session.stop()

    async def _started(self, session: Session, kept: asyncio.Task[None]) -> bool:
        """Start a session; False when the lease was lost meanwhile."""
        starting = asyncio.get_running_loop().create_task(session.start())
        try:
            await asyncio.wait({starting, kept}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                return False
            starting.result()
            return not kept.done()
        finally:
            await end_task(starting)

    async def _unless_ended(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for something, or the end: only what waits is called off, never what cleans up."""
        loop = asyncio.get_running_loop()
        task, ended = loop.create_task(work), loop.create_task(self._ended.wait())
        await asyncio.wait({task, ended}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if task.done():
            task.result()
        else:
            await end_task(task)


async def _end_of(task: asyncio.Task[None]) -> None:
    await asyncio.wait({task})
