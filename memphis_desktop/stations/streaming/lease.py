"""A lease: of several copies of a program, the one that holds it works.

It is an entry of a bucket whose entries vanish by themselves. The holder writes it again three times in that
time; whoever finds none writes its own, and compare-and-set lets only one of them succeed. A holder that
cannot renew stops before the entry can have vanished. The bucket is kept in memory: after a restart of its
servers whoever comes first holds the lease, and a holder from before finds its revision gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time

from memphis_desktop.stations.buckets import Bucket
from memphis_desktop.stations.errors import Conflict, StorageError
from memphis_desktop.stations.jetstream import JetStream

log = logging.getLogger(__name__)

_KEY = "holder"


class Lease:
    """One copy's view of a lease."""

    def __init__(self, jetstream: JetStream, name: str, seconds: float) -> None:
        """Prepare; `name` is the bucket's, `seconds` how long a silent holder keeps the lease."""
        self._bucket = Bucket(jetstream, name)
        self._seconds = seconds
        self._identity = secrets.token_hex(8).encode()
        self._replicas = 1
        self._revision = 0
        self._renewed = 0.0

    @property
    def held(self) -> bool:
        """Whether this copy holds it for sure."""
        return bool(self._revision) and time.monotonic() - self._renewed < self._seconds

    async def create(self, replicas: int) -> None:
        """Make the bucket when it is missing; raises `StorageError`."""
        self._replicas = replicas
        await self._bucket.create(
            replicas=replicas,
            max_age=self._seconds,
            description="who of several copies works",
            storage="memory",
        )

    async def acquire(self) -> None:
        """Wait until this copy holds it."""
        while True:
            started = time.monotonic()
            try:
                self._revision = await self._bucket.add(_KEY, self._identity)
                self._renewed = started
                return
            except Conflict:
                pass
            except StorageError as error:  # a lone server forgets streams in memory when it restarts
                log.debug("the lease %s could not be taken: %s", self._bucket.name, error)
                with contextlib.suppress(StorageError):
                    await self.create(self._replicas)
            await asyncio.sleep(self._seconds / 12)

    async def keep(self) -> None:
        """Renew it again and again; return when it is lost."""
        pause = self._seconds / 3
        while True:
            await asyncio.sleep(pause)
            pause = self._seconds / 12
            if time.monotonic() - self._renewed > self._seconds * 0.9:
                self._revision = 0
                return
            try:
                async with asyncio.timeout(self._seconds / 4):
                    if not await self._renew():
                        self._revision = 0
                        return
                pause = self._seconds / 3
            except (StorageError, TimeoutError) as error:
                log.debug("the lease %s could not be renewed: %s", self._bucket.name, error)

    async def _renew(self) -> bool:
        """Write the entry again; return whether it is still this copy's."""
        started = time.monotonic()
        try:
            self._revision = await self._bucket.replace(_KEY, self._identity, self._revision)
        except Conflict:  # another's, or this copy's own write whose answer was lost
            entry = await self._bucket.get(_KEY)
            if entry is None or entry.value != self._identity:
                return False
            self._revision = entry.revision
        self._renewed = started
        return True

    async def release(self) -> None:
        """Give it back, so that another copy can take it at once."""
        revision, self._revision = self._revision, 0
        if revision:
            with contextlib.suppress(Conflict, StorageError):
                await self._bucket.delete(_KEY, revision)
