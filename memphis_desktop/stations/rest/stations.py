"""The stations as the REST gateway uses them: followed as they change, made when they are missing."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import orjson

from memphis_desktop.stations import control
from memphis_desktop.stations.control import consumers, producers
from memphis_desktop.stations.control.routes import Context, Request
from memphis_desktop.stations.errors import Refusal, StationsError
from memphis_desktop.stations.model import Station, StationState, User
from memphis_desktop.stations.names import checked_name
from memphis_desktop.stations.rest.requests import Fetch

PRODUCER = "rest-gateway"
SDK = "rest-gateway"
_REQUEST_VERSION = 4
_MAX_REMEMBERED = 10_000
_FILL_TIMEOUT = 30.0
_MAX_DELIVERIES = 1
"""A message is acknowledged before it is sent on, so it comes once; what a crash leaves is a dead letter."""


class Stations:
    """Stations, and the gateway's producers and consumers of them."""

    def __init__(self, context: Context, connection_id: str) -> None:
        self._context = context
        self._connection_id = connection_id
        self._view = context.metadata.stations.view()
        self._by_name: dict[str, Station] = {}
        self._made: OrderedDict[tuple[str, ...], None] = OrderedDict()  # producers and consumers
        self._view.subscribe(self._take)

    async def start(self) -> None:
        """Read the stations and follow them; raises `StationsError` when the server does not deliver them."""
        self._view.start()
        try:
            async with asyncio.timeout(_FILL_TIMEOUT):
                await self._view.complete.wait()
        except TimeoutError:
            raise StationsError("the stations could not be read from the server in time", "timeout") from None

    async def stop(self) -> None:
        """End it."""
        await self._view.stop()

    def _take(self) -> None:
        self._by_name = {
            station.name: station for station in self._view.records if station.state is StationState.READY
        }

    async def for_producer(self, user: User, name: str) -> Station:
        """Return the station that a user produces to, made with Memphis's defaults if it is missing.

        Raises:
            StationsError: It cannot be made.
        """
        station = checked_name("Station", name)
        body: dict[str, object] = {"name": PRODUCER, "station_name": station, "producer_type": "application"}

        async def make() -> None:
            await producers.create(self._context, self._request("producer_creations", user, body))

        return await self._station(station, (station, "p", user.name), make)

    async def for_consumer(self, user: User, name: str, fetch: Fetch) -> Station:
        """Return the station that a user consumes from, with the group made if it is missing.

        Raises:
            StationsError: It cannot be made.
        """
        station = checked_name("Station", name)
        body: dict[str, object] = {
            "name": fetch.consumer,
            "station_name": station,
            "consumer_type": "application",
            "consumers_group": fetch.group,
            "max_msg_deliveries": _MAX_DELIVERIES,
            "start_consume_from_sequence": 1,
            "last_messages": -1,
        }

        async def make() -> None:
            await consumers.create(self._context, self._request("consumer_creations", user, body))

        return await self._station(station, (station, fetch.group.lower(), fetch.consumer.lower()), make)

    def forget_consumer(self, station: str, fetch: Fetch) -> None:
        """Make a group anew the next time: somebody deleted it."""
        self._made.pop((station, fetch.group.lower(), fetch.consumer.lower()), None)

    async def _station(self, name: str, key: tuple[str, ...], make: Callable[[], Awaitable[None]]) -> Station:
        station = self._by_name.get(name)
        if station is None or key not in self._made:
            await make()
            self._made[key] = None
            if len(self._made) > _MAX_REMEMBERED:
                self._made.popitem(last=False)
            station = await self._context.metadata.station(name)
        if station is None:
            raise Refusal(f"Station {name} does not exist", "not_found")
        return station

    def _request(self, kind: str, user: User, body: dict[str, object]) -> Request:
        common = {
            "connection_id": self._connection_id,
            "username": user.name,
            "req_version": _REQUEST_VERSION,
            "app_id": self._connection_id,
            "sdk_lang": SDK,
        }
        subject = f"{control.routes.CONTROL_PREFIX}{kind}"
        return Request(subject, orjson.dumps({**body, **common}))
