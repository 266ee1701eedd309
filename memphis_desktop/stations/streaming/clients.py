"""Who is connected, and who must be asked for a sign of life: pure bookkeeping, the time is an argument."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

from memphis_desktop.stations.streaming import nats_streaming_pb2 as pb


@dataclass(frozen=True, slots=True)
class Heartbeats:
    """How the server looks after its clients; the defaults are the original server's."""

    interval: float = 30.0
    """Seconds between two heartbeats to a client."""
    timeout: float = 10.0
    """Seconds a client has to answer one."""
    max_failures: int = 10
    """A client that misses more than this many in a row is closed."""


@dataclass(slots=True)
class ClientState:
    """One connected client.

    Attributes:
        failures: Heartbeats in a row that it did not answer.
        due: When to act on it next, by the monotonic clock.
        asked: Whether it owes an answer to a heartbeat.
        generation: Rises with each heartbeat, so that late answers are told from the present one's.
    """

    id: str
    heartbeat_inbox: str
    connection_id: bytes = b""
    protocol: int = 0
    ping_interval: int = 0
    ping_max_out: int = 0
    failures: int = 0
    due: float = 0.0
    asked: bool = False
    generation: int = 0
    subscriptions: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, request: pb.ConnectRequest) -> ClientState:
        """Return the client that a connect request announces."""
        return cls(
            request.client_id,
            request.heartbeat_inbox,
            request.connection_id,
            request.protocol,
            request.ping_interval,
            request.ping_max_out,
        )


@dataclass(frozen=True, slots=True)
class HeartbeatRound:
    """What `ClientTable.advance` found to do.

    Attributes:
        ask: Clients that get a heartbeat now.
        lost: Clients that missed too many and are to be closed.
        silent: Clients that missed their first one: nothing more is sent to them for now.
    """

    ask: list[ClientState] = field(default_factory=list)
    lost: list[ClientState] = field(default_factory=list)
    silent: list[ClientState] = field(default_factory=list)


class ClientTable:
    """The connected clients, found by id or by connection id, and the timetable of their heartbeats."""

    def __init__(self, heartbeats: Heartbeats, limit: int) -> None:
        """Make an empty table; `limit` is how many clients it holds at most."""
        self.heartbeats = heartbeats
        self.limit = limit
        self._by_id: dict[str, ClientState] = {}
        self._by_connection: dict[bytes, ClientState] = {}
        self._timetable: list[tuple[float, int, str]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[ClientState]:
        return iter(list(self._by_id.values()))

    @property
    def full(self) -> bool:
        """Whether there is no room for another client."""
        return len(self._by_id) >= self.limit

    def add(self, client: ClientState, now: float, delay: float | None = None) -> None:
        """Register a client, replacing the one of its id; the first heartbeat is after `delay` seconds."""
        self.remove(client.id)
        self._by_id[client.id] = client
        if client.connection_id:
            self._by_connection[client.connection_id] = client
        self._schedule(client, now + (self.heartbeats.interval if delay is None else delay))

    def remove(self, client_id: str) -> ClientState | None:
        """Forget a client; None when it was not known."""
        client = self._by_id.pop(client_id, None)
        if client is not None and self._by_connection.get(client.connection_id) is client:
            del self._by_connection[client.connection_id]
        return client

    def get(self, client_id: str) -> ClientState | None:
        """Return a client by its id."""
        return self._by_id.get(client_id)

    def by_connection(self, connection_id: bytes) -> ClientState | None:
        """Return a client by the id of its connection."""
        return self._by_connection.get(connection_id)

    def sender(self, client_id: str, connection_id: bytes) -> ClientState | None:
        """Return who sent a message: found by connection id where there is one, else by client id."""
        return self._by_connection.get(connection_id) if connection_id else self._by_id.get(client_id)

    def advance(self, now: float) -> HeartbeatRound:
        """Return which clients are due; each is on the timetable again afterwards, unless it is lost."""
        found = HeartbeatRound()
        while self._timetable and self._timetable[0][0] <= now:
            due, _, client_id = heapq.heappop(self._timetable)
            client = self._by_id.get(client_id)
            if client is None or client.due != due:
                continue  # gone, or on the timetable anew
            if client.asked:
                self._miss(client, now, found)
            else:
                client.asked = True
                client.generation += 1
                found.ask.append(client)
                self._schedule(client, now + self.heartbeats.timeout)
        return found

    def _miss(self, client: ClientState, now: float, found: HeartbeatRound) -> None:
        client.asked = False
        client.failures += 1
        if client.failures > self.heartbeats.max_failures:
            found.lost.append(client)
            return
        if client.failures == 1:
            found.silent.append(client)
        self._schedule(client, now + self.heartbeats.interval)

    def answered(self, client_id: str, generation: int, now: float) -> ClientState | None:
        """Take the answer to a heartbeat; return the client if it had been silent before."""
        client = self._by_id.get(client_id)
        if client is None or client.generation != generation or not client.asked:
            return None
        client.asked = False
        was_silent = client.failures > 0
        client.failures = 0
        self._schedule(client, now + self.heartbeats.interval)
        return client if was_silent else None

    def pinged(self, connection_id: bytes, now: float) -> bool:
        """Take a ping: return whether its sender is known; one that seemed silent is asked at once."""
        client = self._by_connection.get(connection_id) if connection_id else None
        if client is None:
            return False
        if client.failures and not client.asked:
            self._schedule(client, now)
        return True

    def _schedule(self, client: ClientState, due: float) -> None:
        client.due = due
        self._count += 1
        heapq.heappush(self._timetable, (due, self._count, client.id))
        if len(self._timetable) > 4 * len(self._by_id) + 64:
            live = [entry for entry in self._timetable if self._is_live(entry)]
            heapq.heapify(live)
            self._timetable = live

    def _is_live(self, entry: tuple[float, int, str]) -> bool:
        client = self._by_id.get(entry[2])
        return client is not None and client.due == entry[0]
