"""The stations service: answers SDKs and the window, captures dead letters, keeps house.

It is an ordinary client of a server with JetStream. Any number of copies may run: requests go to one of them
through queue groups, and all they know is in the buckets of `metadata`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from memphis_desktop.stations import control, events
from memphis_desktop.stations.control.routes import Access, Context, Request, Route
from memphis_desktop.stations.errors import StationsError, StorageError
from memphis_desktop.stations.events import EventReader
from memphis_desktop.stations.housekeeping import Housekeeping
from memphis_desktop.stations.jetstream import NOT_ENABLED
from memphis_desktop.stations.metadata import Metadata
from memphis_desktop.stations.users import StoredUsers, make_root

log = logging.getLogger(__name__)

_QUEUE = "memphis_stations"
_MOST_AT_ONCE = 50  # requests being answered; more wait in their subscriptions
_LEADER_WAIT, _ATTEMPTS = 1.0, 60  # while a cluster starts and elects leaders
_REPLICAS, _PEERS_ATTEMPTS = 3, 20


class StationsService:
    """One copy of the service, on a connection that its caller opened and closes."""

    def __init__(
        self, client: Client, *, access: Access | None = None, routes: Iterable[Route] | None = None
    ) -> None:
        """Prepare a copy.

        Args:
            client: A connection that may use JetStream and subjects that begin with ``$memphis``.
            access: Who may do what; the users in the metadata say so if left out.
            routes: What is answered; all there is if left out.
        """
        metadata = Metadata(client)
        self.context = Context(client, metadata, access or StoredUsers(metadata))
        self._routes = tuple(control.all_routes() if routes is None else routes)
        self._subscriptions: list[Subscription] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._free = asyncio.Semaphore(_MOST_AT_ONCE)
        self._counting: dict[tuple[str, bytes], asyncio.Task[bytes]] = {}
        self._events = EventReader(self.context)
        self._housekeeping = Housekeeping(self.context)

    async def start(self) -> None:
        """Make the buckets that are missing and begin to answer.

        Raises:
            StorageError: The account has no JetStream.
        """
        await self._make_buckets()
        await make_root(self.context.metadata)
        for route in self._routes:
            subscription = await self.context.client.subscribe(
                route.subject, queue=_QUEUE, cb=self._receiver(route)
            )
            self._subscriptions.append(subscription)
        self._events.start()
        self._housekeeping.start()
        await self.context.jetstream.request("INFO")  # answered after the subscriptions were made
        log.info("Stations service is ready")

    async def _make_buckets(self) -> None:
        """Make the missing buckets and streams, on three servers where there are as many."""
        metadata = self.context.metadata
        clustered = bool(self.context.client._server_info.get("cluster"))
        for attempt in range(_ATTEMPTS):
            try:
                replicas = await metadata.replicas() or (_REPLICAS if clustered else 1)
                await metadata.create(replicas)
                self.context.replicas = replicas
                await events.create(self.context)
                return
            except StorageError as error:
                if attempt == _ATTEMPTS - 1 or not self._may_pass(error):
                    raise
                if error.status != 408 and clustered and attempt >= _PEERS_ATTEMPTS:
                    clustered = False  # a cluster of less than three
                await asyncio.sleep(_LEADER_WAIT)

    def _may_pass(self, error: StorageError) -> bool:
        """Return whether what failed at the start may work in a while: not without JetStream."""
        if error.status not in (400, 408, 503) or error.err_code in NOT_ENABLED:
            return False
        answered = error.status != 503 or bool(error.err_code)
        return answered or bool(self.context.client._server_info.get("jetstream"))

    async def stop(self) -> None:
        """Take no further request, finish those being answered, end."""
        for subscription in self._subscriptions:
            with contextlib.suppress(nats.errors.Error):  # the connection may be gone
                await subscription.unsubscribe()
        self._subscriptions.clear()
        await self._events.stop()
        await self._housekeeping.stop()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=5)
            for task in late:
                task.cancel()
        await self.context.schemas.close()

    def _receiver(self, route: Route) -> Callable[[Msg], Awaitable[None]]:
        async def receive(message: Msg) -> None:
            await self._free.acquire()
            task = asyncio.get_running_loop().create_task(self._answer(route, message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return receive

    async def _answer(self, route: Route, message: Msg) -> None:
        try:
            answer = await self._handled(route, message)
            if message.reply:
                await self.context.client.publish(message.reply, answer)
        except nats.errors.Error as error:
            log.warning("%s could not be answered: %s", route.subject, error)
        finally:
            self._free.release()

    async def _handled(self, route: Route, message: Msg) -> bytes:
        if not route.counts:
            return await _handled(self.context, route, message)
        key = (message.subject, message.data)
        task = self._counting.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(_handled(self.context, route, message))
            self._counting[key] = task
            task.add_done_callback(lambda _: self._counting.pop(key, None))
        return await task


async def _handled(context: Context, route: Route, message: Msg) -> bytes:
    try:
        return await route.handler(context, Request(message.subject, message.data))
    except StationsError as error:
        log.info("%s refused: %s", route.subject, error)
        return route.failure(error)
    except Exception:
        log.exception("%s failed", route.subject)
        return route.failure(StationsError("the stations service failed; its log says why"))
