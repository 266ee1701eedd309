"""The connections of all servers, put together from pages of answers. No input or output.

A server tells up to a page at once. What fits into one page is told anew with each answer. Of more, a sweep
in the order of connection numbers comes by everything again and again; a connection that two sweeps have not
met is gone. In between, the page on top in the user's order and what is in view are read more often.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from memphis_desktop.cluster.raft.reading import identity
from memphis_desktop.cluster.times import parse_time

from . import reading
from .model import ClientDetail, ClientEvent, ClientKey, ClientKind, ClientRecord, EventKind

PAGE = 256  # as many are read and shown without anybody feeling it
MOST = 50_000  # connections kept
CLOSED_KEPT = 2_000
EVENTS_KEPT = 2_000


@dataclass(slots=True)
class _Server:
    """What is known of how one server tells its connections."""

    total: int = 0
    told_at: float = 0.0


class ClientTable:
    """Open and closed connections, and what happened to them."""

    def __init__(self) -> None:
        self.open: dict[ClientKey, ClientRecord] = {}
        self.closed: dict[ClientKey, ClientRecord] = {}
        self.events: deque[ClientEvent] = deque(maxlen=EVENTS_KEPT)
        self.closed_largest = 0  # closed connections that the server with most of them tells of
        self._closed_read: set[ClientKey] = set()  # as a server tells them, not from an event
        self._servers: dict[str, _Server] = {}
        self._ids: dict[str, str] = {}  # of the servers, by their names
        self._seen: dict[ClientKey, float] = {}  # when an answer last had it, monotonic
        self._places: dict[ClientKey, int] = {}  # its page in the sweep
        self._sweeps: deque[float] = deque(maxlen=2)  # when the last ones began
        self._events_heard = 0

    @property
    def total(self) -> int:
        """Open connections on all servers, known in full or not."""
        return max(len(self.open), sum(server.total for server in self._servers.values()))

    @property
    def largest(self) -> int:
        """Connections of the server with most of them."""
        return max((server.total for server in self._servers.values()), default=0)

    @property
    def paged(self) -> bool:
        """Whether a server has more than it tells at once."""
        return self.largest > PAGE

    def pages_of(self, keys: Iterable[ClientKey]) -> list[int]:
        """Offsets of the pages that these were on in the last sweep, each once."""
        return sorted({self._places[key] for key in keys if key in self._places})

    # Answers

    def take_page(self, answer: Mapping[str, Any], offset: int, *, sweeping: bool, now: float) -> None:
        """Take a page of open connections; raises `KeyError`, `TypeError`, `ValueError` for what is none."""
        server = identity(answer)
        data = answer["data"]
        now_ns = parse_time(data.get("now")) or 0
        self._note_restart(server.name, server.id)
        known = self._servers.setdefault(server.id, _Server())
        known.total, known.told_at = int(data.get("total") or 0), now
        met: set[ClientKey] = set()
        for told in reading.entries(answer):
            record = reading.connection(told, server.id, server.name, now_ns)
            met.add(record.key)
            if sweeping:
                self._places[record.key] = offset
            self._put(record, now)
        if offset == 0 and len(met) >= known.total:  # all of it
            gone = [
                key
                for key, one in self.open.items()
                if key.server_id == server.id and one.kind is not ClientKind.LEAF and key not in met
            ]
            for key in gone:
                self._forget(key)

    def _note_restart(self, name: str, server_id: str) -> None:
        """A server that comes back has another id, and none of the connections it had."""
        before = self._ids.get(name)
        self._ids[name] = server_id
        if before is not None and before != server_id:
            self._servers.pop(before, None)
            for key in [key for key in self.open if key.server_id == before]:
                self._forget(key)

    def take_leafs(self, answer: Mapping[str, Any], now: float) -> None:
        """Take the leaf nodes of a server; raises as `take_page` does."""
        server = identity(answer)
        now_ns = parse_time(answer["data"].get("now")) or 0
        met = set()
        for told in reading.entries(answer, "leafs"):
            record = reading.leaf(told, server.id, server.name, now_ns)
            met.add(record.key)
            self._put(record, now)
        for key in [k for k, one in self.open.items() if one.kind is ClientKind.LEAF]:
            if key.server_id == server.id and key not in met:
                self._forget(key)

    def take_detail(self, answer: Mapping[str, Any], key: ClientKey, now: float) -> ClientDetail:
        """Take the answer about one connection; raises as `take_page` does."""
        server = identity(answer)
        now_ns = parse_time(answer["data"].get("now")) or 0
        for told in reading.entries(answer):
            record = reading.connection(told, server.id, server.name, now_ns)
            if record.key == key:
                self._put(record, now)
                return ClientDetail(key, self.open.get(key, record), reading.subscriptions(told), now_ns)
        if (known := self.open.get(key)) is not None and known.kind is ClientKind.LEAF:
            return ClientDetail(key, known, (), now_ns)  # leaf nodes are told elsewhere
        self._forget(key)
        return ClientDetail(key, None, (), now_ns)

    def take_closed(self, answer: Mapping[str, Any]) -> None:
        """Take connections that were closed, the latest first; raises as `take_page` does."""
        server = identity(answer)
        data = answer["data"]
        self.closed_largest = max(self.closed_largest, int(data.get("total") or 0))
        now_ns = parse_time(data.get("now")) or 0
        for told in reading.entries(answer):
            key = ClientKey(server.id, int(told["cid"]))
            if key not in self._closed_read:  # an event says less
                self.closed[key] = reading.connection(told, server.id, server.name, now_ns)
                self._closed_read.add(key)
        self._trim_closed()

    def take_event(self, kind: EventKind, told: Mapping[str, Any], now_ns: int, now: float) -> ClientEvent:
        """Take the news that a client came, went or was refused; raises as `take_page` does."""
        record = reading.of_event(told, now_ns)
        at = parse_time(told.get("timestamp")) or now_ns
        if kind is EventKind.CONNECTED:
            if record.key not in self.open and len(self.open) < MOST:
                # No figures are known yet, so that the first reading gives no rate.
                self.open[record.key] = replace(record, last_activity_ns=at, read_at_ns=0)
                self._seen[record.key] = now
        elif kind is EventKind.DISCONNECTED:
            before = self.open.get(record.key)
            if before is not None:  # which says more than the event
                record = replace(
                    before,
                    stopped_ns=record.stopped_ns or at,
                    reason=record.reason,
                    in_messages=record.in_messages,
                    out_messages=record.out_messages,
                    in_bytes=record.in_bytes,
                    out_bytes=record.out_bytes,
                    pending_bytes=0,
                )
                self._forget(record.key)
            self.closed.setdefault(record.key, record)
            self._trim_closed()
        self._events_heard += 1
        event = ClientEvent(self._events_heard, at, kind, record)
        self.events.append(event)
        return event

    # Sweeps

    def begin_sweep(self, now: float) -> None:
        """A sweep through all pages begins; what the last two have not met is forgotten."""
        if len(self._sweeps) == 2:
            since = self._sweeps[0]
            for key in [key for key, at in self._seen.items() if at < since]:
                self._forget(key)
        self._sweeps.append(now)

    def forget_silent(self, now: float, seconds: float) -> None:
        """Forget the connections of servers that have not answered for so long while another has."""
        if any(now - one.told_at < seconds for one in self._servers.values()):
            for name in [name for name, one in self._servers.items() if now - one.told_at >= seconds]:
                del self._servers[name]
                for key in [key for key in self.open if key.server_id == name]:
                    self._forget(key)

    def clear(self) -> None:
        """Forget the open ones: they are asked for anew, by another login perhaps."""
        for held in (self.open, self._servers, self._ids, self._seen, self._places):
            held.clear()
        self._sweeps.clear()

    # Inside

    def _put(self, record: ClientRecord, now: float) -> None:
        before = self.open.get(record.key)
        if before is None:
            if len(self.open) >= MOST:
                return
        elif before.read_at_ns:
            soon = record.read_at_ns - before.read_at_ns < reading.SHORTEST * 1e9
            if soon:
                self._seen[record.key] = now
                return  # read a moment ago: what it says of rates is noise
            record = reading.with_rates(record, before)
        self.open[record.key] = record
        self._seen[record.key] = now

    def _forget(self, key: ClientKey) -> None:
        for held in (self.open, self._seen, self._places):
            held.pop(key, None)

    def _trim_closed(self) -> None:
        over = len(self.closed) - CLOSED_KEPT
        if over > 0:
            for key in sorted(self.closed, key=lambda k: self.closed[k].stopped_ns or 0)[:over]:
                del self.closed[key]
            if len(self._closed_read) > 2 * CLOSED_KEPT:
                self._closed_read &= self.closed.keys()
