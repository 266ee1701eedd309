"""The Memphis layer of one connection, for screens: found by its buckets, followed while somebody looks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from PySide6.QtCore import QObject, QTimer, Signal

from memphis_desktop.cluster.activity import identity
from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.model import ClusterSnapshot, ConnectionState, StreamSnapshot
from memphis_desktop.cluster.session import Session
from memphis_desktop.language import tr
from memphis_desktop.stations.errors import StationsError
from memphis_desktop.stations.model import Consumer, DeadLetter, Producer, Schema, Station, StationState, User

if TYPE_CHECKING:
    from memphis_desktop.stations.client import LiveMetadata, StationsClient
    from memphis_desktop.stations.view import BucketView

STATIONS_BUCKET, ALERTS_SUBJECT = "KV_memphis_stations", "$memphis_alerts"
_COALESCE_MS = 120
_STATUS_MS = 5000
_STATUS_AGAIN_MS = 500
_LATE_MS = 15_000
OWN_NAME = "memphis-desktop"  # in the audit log, when the login has no name


@dataclass(frozen=True, slots=True)
class MemphisView:
    """What is known of the Memphis layer at one moment.

    Attributes:
        complete: Whether everything was read once.
        service: Whether a copy of the service answers; None before it was asked.
        stations: Those that are ready, by name.
        producers, consumers: Every one, also of closed connections.
        closed: Ids of the connections that are closed.
        dead_letters: The newest first.
        schemas, users: By name.
        problem: Why the buckets could not be read; empty when they could, or it is too early to tell.
    """

    complete: bool = False
    service: bool | None = None
    stations: dict[str, Station] | None = None
    producers: tuple[Producer, ...] = ()
    consumers: tuple[Consumer, ...] = ()
    closed: frozenset[str] = frozenset()
    dead_letters: tuple[DeadLetter, ...] = ()
    schemas: tuple[Schema, ...] = ()
    users: tuple[User, ...] = ()
    problem: str = ""

    def station(self, name: str) -> Station | None:
        """Return a station that is ready."""
        return (self.stations or {}).get(name)

    def all_stations(self) -> list[Station]:
        """Return the stations, by name."""
        return [station for _, station in sorted((self.stations or {}).items())]

    def using(self, schema: str) -> list[str]:
        """Return the names of the stations that enforce a schema."""
        return [
            one.name for one in self.all_stations() if one.schema is not None and one.schema.name == schema
        ]


class MemphisLink(QObject):
    """Follows the buckets of one connection while it is in use."""

    changed = Signal()  # the view is another
    told = Signal(object)  # what the stations service tells of: type, station, who, message

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.view = MemphisView()
        self._live: LiveMetadata | None = None
        self._client: StationsClient | None = None
        self._client_of: object = None
        self._heard_on: object = None  # the client that listens for what the service tells
        self._users = 0
        self._service: bool | None = None
        self._silent = 0  # times in a row that no copy of the service answered
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: set[asyncio.Task[None]] = set()  # never cancelled: they end what follows the buckets
        self._ends: list[Callable[[], None]] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_COALESCE_MS)
        self._timer.timeout.connect(self._publish)
        self._late_timer = QTimer(self)
        self._late_timer.setSingleShot(True)
        self._late_timer.setInterval(_LATE_MS)
        self._late_timer.timeout.connect(self._late)
        self._status_timer = QTimer(self)
        self._status_timer.setInterval(_STATUS_MS)
        self._status_timer.timeout.connect(self._ask_status)
        self._status_again = QTimer(self)
        self._status_again.setSingleShot(True)
        self._status_again.setInterval(_STATUS_AGAIN_MS)
        self._status_again.timeout.connect(self._ask_status)
        self._unsubscribe: Callable[[], None] | None = session.subscribe(self._on_snapshot)

    @property
    def available(self) -> bool:
        """Whether this connection has the Memphis layer: its buckets are there."""
        return STATIONS_BUCKET in self.session.snapshot.streams

    @property
    def reading(self) -> bool:
        """Whether somebody looks and waits for the buckets, which are being read for the first time."""
        return bool(self.available and self._users and not self.view.complete and not self.view.problem)

    @property
    def client(self) -> StationsClient:
        """The client; raises `NotConnected` without a connection."""
        from memphis_desktop.stations.client import StationsClient  # not before it is needed: loaded ahead

        nats = self.session.nats
        if self._client is None or self._client_of is not nats:
            profile = self.session.profile
            username = identity(profile).split("$")[0] or OWN_NAME
            self._client = StationsClient(nats, username=username, api_prefix=profile.api_prefix)
            self._client_of = nats
        return self._client

    def use(self) -> Callable[[], None]:
        """Follow the buckets until the result is called."""
        self._users += 1
        self._ensure_following()
        released = False

        def release() -> None:
            nonlocal released
            if not released:
                released = True
                self._users -= 1
                if not self._users:
                    self._stop_following()

        return release

    def _on_snapshot(self, snapshot: ClusterSnapshot) -> None:
        if self.available and self.session.state is ConnectionState.CONNECTED:
            nats = self.session.nats
            if self._heard_on is not nats:
                self._heard_on = nats
                self._keep(self._ending, partial(self._listen, nats))
        if self._users:
            self._ensure_following()

    async def _listen(self, nats: Client) -> None:
        """Hear what the service tells, once for the life of a client."""
        with contextlib.suppress(NatsError):
            await nats.subscribe(ALERTS_SUBJECT, cb=self._hear)

    async def _hear(self, message: Msg) -> None:
        with contextlib.suppress(orjson.JSONDecodeError):
            alert = orjson.loads(message.data)
            if isinstance(alert, dict):
                self.told.emit(alert)

    def _ensure_following(self) -> None:
        if self._live is not None or not self.available:
            return
        if self.session.state is not ConnectionState.CONNECTED:
            return
        live = self._live = self.client.live()
        views = (live.stations, live.producers, live.consumers, live.connections,
                 live.dead_letters, live.schemas, live.users)  # fmt: skip
        self._ends = [view.subscribe(self._changed_soon) for view in views]
        live.start()
        self._status_timer.start()
        self._late_timer.start()
        self._ask_status()
        self._run(lambda: self._wait_complete(live))

    async def _wait_complete(self, live: LiveMetadata) -> None:
        """Empty buckets tell nothing: their being complete is news as well."""
        for view in (live.stations, live.producers, live.consumers, live.connections,
                     live.dead_letters, live.schemas, live.users):  # fmt: skip
            await view.complete.wait()
        self._changed_soon()

    def _stop_following(self) -> None:
        live, self._live = self._live, None
        for end in self._ends:
            end()
        self._ends = []
        self._timer.stop()
        self._status_timer.stop()
        self._status_again.stop()
        self._late_timer.stop()
        for task in self._tasks:
            task.cancel()
        if live is not None:
            self._keep(self._ending, live.stop)

    def _run(self, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._keep(self._tasks, make)

    def _keep(self, tasks: set[asyncio.Task[None]], make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.get_running_loop().create_task(_quietly(make))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _ask_status(self) -> None:
        if self.session.state is ConnectionState.CONNECTED:
            self._run(self._read_status)

    async def _read_status(self) -> None:
        running = await self.client.service_running() if not self.session.profile.read_only else None
        self._silent = self._silent + 1 if running is False else 0
        if self._silent == 1:  # it may only be busy: asked again at once, before anybody is told
            self._status_again.start()
            return
        if running != self._service:
            self._service = running
            self._changed_soon()

    def _changed_soon(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _publish(self) -> None:
        live = self._live
        if live is None:
            return
        tables = (live.stations, live.producers, live.consumers, live.connections,
                  live.dead_letters, live.schemas, live.users)  # fmt: skip
        if not all(table.complete.is_set() for table in tables):
            return  # half of it would be taken for all of it; what was known before stays meanwhile
        self._late_timer.stop()
        self.view = MemphisView(
            complete=True,
            service=self._service,
            stations={one.name: one for one in live.stations.records if one.state is StationState.READY},
            producers=tuple(live.producers.records),
            consumers=tuple(live.consumers.records),
            closed=frozenset(one.id for one in live.connections.records if not one.active),
            dead_letters=tuple(
                sorted(live.dead_letters.records, key=lambda letter: letter.updated_at, reverse=True)
            ),
            schemas=tuple(sorted(live.schemas.records, key=lambda schema: schema.name)),
            users=tuple(sorted(live.users.records, key=lambda user: user.name)),
        )
        self.changed.emit()

    def _late(self) -> None:
        """The buckets did not come: say so."""
        live = self._live
        if live is None or self.view.complete:
            return
        views: dict[str, BucketView] = {
            "stations": live.stations, "producers": live.producers, "consumers": live.consumers,
            "connections": live.connections, "dead letters": live.dead_letters, "schemas": live.schemas,
            "users": live.users,
        }  # fmt: skip
        missing = ", ".join(name for name, view in views.items() if not view.complete.is_set())
        text = tr(
            "The buckets of Memphis can not be read with this login, or not in time: {missing}.",
            missing=missing,
        )
        self.view = replace(self.view, problem=text)
        self.changed.emit()

    async def close(self) -> None:
        """Follow no more; the connection ends."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        self._users = 0
        self._stop_following()
        left = self._tasks | self._ending
        if left:
            await asyncio.wait(left, timeout=2)
        if self._client is not None:
            await self._client.close()


async def _quietly(make: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with contextlib.suppress(StationsError, ClusterError):
        await make()  # made only now: a task that is cancelled before it began leaves nothing behind


def streams_of(station: Station, streams: Iterable[StreamSnapshot]) -> list[StreamSnapshot]:
    """Return the streams of a station's partitions, in order."""
    wanted = {name: place for place, name in enumerate(station.streams)}
    found = [stream for stream in streams if stream.name in wanted]
    return sorted(found, key=lambda stream: wanted[stream.name])
