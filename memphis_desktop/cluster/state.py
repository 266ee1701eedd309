"""All that was read of a broker so far: answers go in, snapshots come out. No input or output here."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from . import reading
from .counter import MINIMUM_INTERVAL, Counter
from .failures import ApiError, NotPermitted
from .history import CONSUMER, SERVER, STREAM, ConsumerKey, History, ServerKey, StreamKey
from .history_store import HistoryStore
from .lag import FirstUndelivered, SequenceClock, filters, time_to_drain
from .model import (
    AccountSnapshot,
    ClusterSnapshot,
    ConnectionState,
    ConsumerSnapshot,
    Expiry,
    FailedPage,
    FirstReading,
    ServerSnapshot,
    StreamSnapshot,
)
from .raft.model import NOTHING, GroupKey, GroupKind, PeerSnapshot
from .times import parse_time

Json = Mapping[str, Any]
ConsumerName = tuple[str, str]

DRAIN_SPAN = 300.0
LOST_LATELY = 20.0
TURN_SPAN = 20.0  # what tells that a lag that grew shrinks now
TREND_SPAN = 60.0  # what the arrows beside a lag look at
HOLD_LAG = 10.0  # seconds for which a lag in seconds is shown on while a new answer is not there


class _StreamCounters:
    __slots__ = ("bytes", "clock", "first_sequence", "last_bytes_at", "messages_in")

    def __init__(self) -> None:
        self.messages_in = Counter()
        self.bytes: int | None = None
        self.first_sequence = 0
        self.last_bytes_at = 0.0
        self.clock = SequenceClock()


class _ConsumerCounters:
    __slots__ = ("acked", "delivered", "first_undelivered", "known", "lag", "lag_at")

    def __init__(self) -> None:
        self.delivered = Counter()
        self.acked = Counter()
        self.first_undelivered: FirstUndelivered | None = None
        self.lag: float | None = None  # in seconds, as last known
        self.lag_at = float("-inf")
        self.known = True  # whether the lag in seconds follows from what was read


class ClusterState:
    """What is known of one connection's broker. Used on the event loop only."""

    def __init__(self, history: History, store: HistoryStore | None = None) -> None:
        self.history = history
        self._store = store
        self.streams: dict[str, StreamSnapshot] = {}
        self.consumers: dict[ConsumerName, ConsumerSnapshot] = {}
        self.consumers_of: dict[str, set[str]] = {}
        self.consumers_read_at: dict[str, float] = {}
        self.account: AccountSnapshot | None = None
        self.server: ServerSnapshot | None = None
        self.errors: dict[str, str] = {}
        self._refused: set[str] = set()
        self._said: dict[str, str] = {}
        self.read_at: dict[str, int] = {}
        self.expiries: tuple[Expiry, ...] = ()
        self.first_reading: FirstReading | None = None
        self.complete = False
        self.failed_pages: dict[tuple[str, int], FailedPage] = {}
        self._stream_counters: dict[str, _StreamCounters] = {}
        self._consumer_counters: dict[ConsumerName, _ConsumerCounters] = {}
        self._api_errors = Counter()
        self.raft = NOTHING
        self.lost: dict[str, float] = {}  # streams of which nothing new can be read, and since when
        self.on_group: Callable[[StreamSnapshot | ConsumerSnapshot], None] | None = None
        self.on_gone: Callable[[GroupKey], None] | None = None

    # Failures

    def fail(self, part: str, error: Exception) -> None:
        """A part could not be read; what the server itself said of it is kept apart from our own words."""
        self.errors[part] = str(error)
        (self._refused.add if isinstance(error, NotPermitted) else self._refused.discard)(part)
        if isinstance(error, ApiError):
            self._said[part] = self.errors[part]

    def server_said(self, part: str) -> bool:
        """Whether a part cannot be read for a reason that the server gave."""
        return part in self.errors and self._said.get(part) == self.errors[part]

    # Answers

    def take_account(self, info: Json, now: float) -> None:
        """Take an account info answer, read at `now` (monotonic seconds)."""
        errors = int((info.get("api") or {}).get("errors") or 0)
        self.account = reading.account(info, self._api_errors.read(errors, now))

    def take_stream(self, info: Json, now: float) -> str:
        """Take a StreamInfo and return the stream's name."""
        name = str(info["config"]["name"])
        previous = self.streams.get(name)
        if previous is not None and previous.created != info.get("created"):
            if previous.is_read:
                self.remove_stream(name)
            previous = None
        counters = self._stream_counters.get(name)
        if counters is None:
            counters = self._stream_counters[name] = _StreamCounters()
            if self._store is not None:
                self._store.watch(StreamKey(name), str(info.get("created", "")))
        state = info.get("state") or {}
        last_sequence = int(state.get("last_seq") or 0)
        rate = counters.messages_in.read(last_sequence, now)
        bytes_rate = self._bytes_rate(counters, previous, state, rate, now)
        snapshot = reading.stream(info, previous, rate, bytes_rate, self._out_rate(name), time.time_ns())
        self.streams[name] = snapshot
        self.lost.pop(name, None)
        self._tell_group(snapshot, previous)
        if snapshot.messages and snapshot.first_time_ns and snapshot.last_time_ns:
            counters.clock.add(snapshot.first_sequence, snapshot.first_time_ns)
            counters.clock.add(snapshot.last_sequence, snapshot.last_time_ns)
            counters.clock.forget_below(snapshot.first_sequence)
        self.history.record(
            StreamKey(name),
            time.time(),
            (rate, bytes_rate, snapshot.out_messages_rate, snapshot.messages, snapshot.bytes),
        )
        return name

    def take_names(self, names: Iterable[str]) -> None:
        """Take names of streams of which nothing else is known yet."""
        for name in names:
            if name not in self.streams:
                self.streams[name] = reading.unread_stream(name)

    @staticmethod
    def _bytes_rate(
        counters: _StreamCounters,
        previous: StreamSnapshot | None,
        state: Json,
        rate: float | None,
        now: float,
    ) -> float | None:
        """Return bytes stored a second: exact while nothing is removed, else from the mean message size."""
        size, first = int(state.get("bytes") or 0), int(state.get("first_seq") or 0)
        before, seconds = counters.bytes, now - counters.last_bytes_at
        if previous is not None and seconds < MINIMUM_INTERVAL:
            return previous.in_bytes_rate
        untouched = (
            previous is not None
            and first == counters.first_sequence
            and int(state.get("num_deleted") or 0) == previous.deleted_count
        )
        counters.bytes, counters.first_sequence, counters.last_bytes_at = size, first, now
        if rate is None or before is None:
            return None
        if untouched and size >= before:
            return (size - before) / seconds
        messages = int(state.get("messages") or 0)
        if rate == 0:
            return 0.0
        return rate * size / messages if messages else None

    def _out_rate(self, stream: str) -> float | None:
        """Return the sum of what the stream's consumers are given; None until they were read twice."""
        names = self.consumers_of.get(stream)
        if names is None:
            known = self.streams.get(stream)
            return 0.0 if known is not None and not known.consumer_count else None
        rates = [self.consumers[stream, name].delivered_rate for name in names]
        known_rates = [rate for rate in rates if rate is not None]
        return sum(known_rates) if known_rates or not rates else None

    def take_consumer(self, info: Json, now: float) -> None:
        """Take a ConsumerInfo."""
        key = (str(info["stream_name"]), str(info["name"]))
        previous = self.consumers.get(key)
        if previous is not None and previous.created != info.get("created"):
            self.remove_consumer(*key)
            previous = None
        counters = self._consumer_counters.get(key)
        if counters is None:
            counters = self._consumer_counters[key] = _ConsumerCounters()
            if self._store is not None:
                self._store.watch(ConsumerKey(*key), str(info.get("created", "")))
        delivered = info.get("delivered") or {}
        floor = info.get("ack_floor") or {}
        delivered_rate = counters.delivered.read(int(delivered.get("consumer_seq") or 0), now)
        acked_rate = counters.acked.read(int(floor.get("consumer_seq") or 0), now)
        lag = int(info.get("num_pending") or 0)
        lag_seconds, edge = self._lag_seconds(key, info, counters)
        if lag_seconds is not None:
            counters.lag, counters.lag_at = lag_seconds, now
        elif now - counters.lag_at <= HOLD_LAG:
            lag_seconds = counters.lag  # it moves on between the readings: the last answer still serves
        history_key = ConsumerKey(*key)
        self.history.record(
            history_key,
            time.time(),
            (
                lag,
                lag_seconds,
                int(info.get("num_ack_pending") or 0),
                int(info.get("num_redelivered") or 0),
                int(info.get("num_waiting") or 0),
                delivered_rate,
                acked_rate,
            ),
        )
        spans = (
            (DRAIN_SPAN, TREND_SPAN, TURN_SPAN) if lag else ()
        )  # most have none, and looking back is not free
        changes = [self.history.change(history_key, "lag", span) for span in spans]
        drain = time_to_drain(lag, lag_seconds, changes) if lag else 0.0
        self.consumers[key] = reading.consumer(
            info, previous, delivered_rate, acked_rate, lag_seconds, drain, edge, time.time_ns()
        )
        self.consumers_of.setdefault(key[0], set()).add(key[1])
        self._tell_group(self.consumers[key], previous)

    def _tell_group(
        self,
        now: StreamSnapshot | ConsumerSnapshot,
        before: StreamSnapshot | ConsumerSnapshot | None,
    ) -> None:
        """Tell of a leader or members that are others than at the reading before."""
        if self.on_group is None or not now.clustered:
            return
        if (
            before is None
            or now.leader != before.leader
            or now.leader_since_ns != before.leader_since_ns
            or len(now.peers) != len(before.peers)
            or any(a.name != b.name for a, b in zip(now.peers, before.peers, strict=True))
        ):
            self.on_group(now)

    def take_leader(self, key: GroupKey, leader: str, peers: tuple[PeerSnapshot, ...]) -> bool:
        """Take who was elected from an advisory; False when the stream or consumer is not known."""
        followers = tuple(peer for peer in peers if peer.name != leader)
        now_ns = time.time_ns()
        if key.consumer:
            consumer = self.consumers.get((key.stream, key.consumer))
            if consumer is None:
                return False
            self.consumers[key.stream, key.consumer] = replace(
                consumer, leader=leader, peers=followers, leader_since_ns=now_ns, leader_lost=False
            )
            return True
        stream = self.streams.get(key.stream)
        if stream is None or not stream.is_read:
            return False
        self.streams[key.stream] = replace(
            stream, leader=leader, peers=followers, leader_since_ns=now_ns, leader_lost=False
        )
        return True

    def _lag_seconds(
        self, key: ConsumerName, info: Json, counters: _ConsumerCounters
    ) -> tuple[float | None, bool]:
        """Return the age of the first undelivered message and whether removal overtook the consumer."""
        if not info.get("num_pending"):
            return 0.0, False
        delivered = int((info.get("delivered") or {}).get("stream_seq") or 0)
        stream = self.streams.get(key[0])
        edge = stream is not None and delivered > 0 and delivered + 1 < stream.first_sequence
        now_ns = parse_time(info.get("ts")) or time.time_ns()
        first = counters.first_undelivered
        first_ns: int | None = None
        if first is not None and first.after <= delivered < first.sequence:
            first_ns = first.time_ns
            edge = edge or (stream is not None and first.sequence < stream.first_sequence)
        stream_counters = self._stream_counters.get(key[0])
        if first_ns is None and stream_counters is not None and stream is not None:
            wanted, clock = max(delivered + 1, stream.first_sequence), stream_counters.clock
            # With a filter the next matching message may be much younger than the next one.
            known = clock.recent if filters(info.get("config") or {}) else clock.estimate
            first_ns = known(wanted, now_ns)
        counters.known = first_ns is not None
        return (max(0.0, (now_ns - first_ns) / 1e9) if first_ns is not None else None), edge

    def needs_first_undelivered(self, key: ConsumerName) -> bool:
        """Return whether the next message of a consumer should be read to know its lag in seconds."""
        consumer, counters = self.consumers.get(key), self._consumer_counters.get(key)
        return (
            consumer is not None and counters is not None and consumer.num_pending > 0 and not counters.known
        )

    def take_first_undelivered(self, key: ConsumerName, first: FirstUndelivered) -> None:
        """Take the message that a consumer will be given next."""
        counters = self._consumer_counters.get(key)
        if counters is None:
            return
        counters.first_undelivered = first
        consumer = self.consumers.get(key)
        if consumer is not None and consumer.delivered_stream == first.after:
            counters.lag = max(0.0, (time.time_ns() - first.time_ns) / 1e9)
            counters.lag_at = time.monotonic()
            counters.known = True
            self.consumers[key] = replace(consumer, lag_seconds=counters.lag)
        stream_counters = self._stream_counters.get(key[0])
        if stream_counters is not None:
            stream_counters.clock.add(first.sequence, first.time_ns)

    def take_consumers(self, stream: str, infos: list[Json], now: float, *, all_of_them: bool) -> None:
        """Take a page of CONSUMER.LIST; with `all_of_them`, those not in it are gone."""
        self.consumers_of.setdefault(stream, set())
        for info in infos:
            self.take_consumer(info, now)
        if all_of_them:
            self.keep_consumers(stream, {str(info["name"]) for info in infos})
        self.consumers_read_at[stream] = now

    # Loss

    def lose(self, names: Iterable[str]) -> None:
        """Nothing new can be read of these streams: their rates are not known, their graphs have a gap."""
        now = time.time()
        for name in names:
            stream = self.streams.get(name)
            if stream is None or not stream.is_read or name in self.lost:
                continue
            self.lost[name] = now
            self.streams[name] = replace(
                stream, in_messages_rate=None, in_bytes_rate=None, out_messages_rate=None
            )
            self.history.record(StreamKey(name), now, (None,) * len(STREAM))
            for consumer in self.consumers_of.get(name, ()):
                known = self.consumers[name, consumer]
                self.consumers[name, consumer] = replace(known, delivered_rate=None, acked_rate=None)
                self.history.record(ConsumerKey(name, consumer), now, (None,) * len(CONSUMER))

    def take_absence(self, gone: Collection[str]) -> None:
        """Servers went away: what they led has no leader, and they do not follow, until it is read anew."""
        for name, stream in list(self.streams.items()):
            if stream.clustered and (changed := _without(stream, gone)) is not stream:
                self.streams[name] = changed
        for key, consumer in list(self.consumers.items()):
            if consumer.clustered and (less := _without(consumer, gone)) is not consumer:
                self.consumers[key] = less
        self.lose([name for name, stream in self.streams.items() if stream.leader_lost])

    @property
    def lost_lately(self) -> bool:
        """Whether a stream went missing a moment ago, so that sums over all streams tell less than before."""
        horizon = time.time() - LOST_LATELY
        return any(since > horizon for since in self.lost.values())

    def record_gap(self) -> None:
        """The connection as a whole tells nothing at this moment."""
        self.history.record(ServerKey(), time.time(), (None,) * len(SERVER))

    # Removal

    def keep_consumers(self, stream: str, names: Collection[str]) -> None:
        """Forget a stream's consumers that are not among `names`."""
        for name in self.consumers_of.get(stream, set()) - set(names):
            self.remove_consumer(stream, name)

    def remove_consumer(self, stream: str, name: str) -> None:
        """Forget a consumer that was deleted."""
        self.consumers.pop((stream, name), None)
        self._consumer_counters.pop((stream, name), None)
        self.consumers_of.get(stream, set()).discard(name)
        self._forget(ConsumerKey(stream, name))
        if self.on_gone is not None:
            self.on_gone(GroupKey(GroupKind.CONSUMER, stream, name))

    def remove_stream(self, name: str) -> None:
        """Forget a stream that was deleted, and its consumers."""
        self.streams.pop(name, None)
        self.lost.pop(name, None)
        self._stream_counters.pop(name, None)
        for consumer in list(self.consumers_of.pop(name, ())):
            self.consumers.pop((name, consumer), None)
            self._consumer_counters.pop((name, consumer), None)
            self._forget(ConsumerKey(name, consumer))
            if self.on_gone is not None:
                self.on_gone(GroupKey(GroupKind.CONSUMER, name, consumer))
        self.consumers_read_at.pop(name, None)
        self._forget(StreamKey(name))
        if self.on_gone is not None:
            self.on_gone(GroupKey(GroupKind.STREAM, name))

    def _forget(self, key: StreamKey | ConsumerKey) -> None:
        self.history.forget(key)
        if self._store is not None:
            self._store.forget(key)

    # Out

    def record_totals(self) -> None:
        """Add the sample of the connection as a whole: what all streams take in and give out, and so on."""
        in_rates = [s.in_messages_rate for s in self.streams.values() if s.in_messages_rate is not None]
        byte_rates = [s.in_bytes_rate for s in self.streams.values() if s.in_bytes_rate is not None]
        out_rates = [c.delivered_rate for c in self.consumers.values() if c.delivered_rate is not None]
        server, account = self.server, self.account
        no_consumers = self.complete and not any(s.consumer_count for s in self.streams.values())
        self.history.record(
            ServerKey(),
            time.time(),
            (
                sum(in_rates) if in_rates or (self.complete and not self.streams) else None,
                sum(out_rates) if out_rates or no_consumers else None,
                server.in_messages_rate if server else None,
                server.out_messages_rate if server else None,
                server.in_bytes_rate if server else None,
                server.out_bytes_rate if server else None,
                sum(byte_rates) if byte_rates or (self.complete and not self.streams) else None,
                server.connections if server else None,
                account.storage if account else None,
                account.api_errors_rate if account else None,
                server.slow_consumers if server else None,
                server.rtt_seconds if server else None,
            ),
        )

    def snapshot(self, state: ConnectionState, detail: str, poll_rate: float) -> ClusterSnapshot:
        """Return everything as it is now; later readings do not change it."""
        return ClusterSnapshot(
            taken_at_ns=time.time_ns(),
            state=state,
            detail=detail,
            server=self.server,
            account=self.account,
            streams=dict(self.streams),
            consumers=dict(self.consumers),
            poll_rate=poll_rate,
            errors=dict(self.errors),
            refused=frozenset(self._refused & self.errors.keys()),
            complete=self.complete,
            read_at=dict(self.read_at),
            raft=self.raft,
            expiries=self.expiries,
            first_reading=self.first_reading,
            failed_pages=tuple(sorted(self.failed_pages.values(), key=lambda page: page.offset)),
        )


Asset = TypeVar("Asset", StreamSnapshot, ConsumerSnapshot)


def _without(asset: Asset, gone: Collection[str]) -> Asset:
    """A stream or consumer without the servers that went away; the same object when that changes nothing."""
    lost = asset.leader_lost or (asset.leader or "") in gone
    touched = any(peer.name in gone and not peer.offline for peer in asset.peers)
    if lost == asset.leader_lost and not touched:
        return asset
    peers = tuple(
        replace(peer, offline=True, current=False) if peer.name in gone else peer for peer in asset.peers
    )
    return replace(asset, peers=peers, leader_lost=lost)
