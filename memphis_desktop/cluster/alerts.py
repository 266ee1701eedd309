"""Alerts: rules over what a session knows, and when they begin and cease to hold.

Pure of time and input: the engine is told the moment and the snapshot, and answers with what changed. It
works only while somebody tells it, which the window does for each open connection.
"""

from __future__ import annotations

import fnmatch
import math
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from memphis_desktop.language import tr

from .dead_letters.names import DEFAULT_PATTERNS as DEAD_LETTER_PATTERNS
from .dead_letters.names import station_matches
from .model import ClusterSnapshot, ConnectionState, is_machinery

WARNING, BAD = "warning", "bad"
_WINDOW = 300.0
_EVENTS_KEPT = 10_000

# Signals that are counted as they are told, and what the stations service calls them.
COUNTED = ("dead_letters", "schema_violations", "disconnections")
_MEMPHIS = {
    "schema_validation_fail_alert": "schema_violations",
    "disconnection_events_alert": "disconnections",
}

Measured = Iterable[tuple["Subject", float]]  # untranslated: a type


@dataclass(frozen=True, slots=True)
class Subject:
    """What a value belongs to: a consumer (stream and name), a stream, or the account (neither)."""

    stream: str = ""
    consumer: str = ""

    @property
    def label(self) -> str:
        """Fit to show."""
        return self.path if self.stream else tr("account")

    @property
    def path(self) -> str:
        """What a rule's pattern is compared with, the same in every language."""
        return f"{self.stream} › {self.consumer}" if self.consumer else self.stream or "account"

    @property
    def name(self) -> str:
        """The innermost name."""
        return self.consumer or self.stream


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that can be measured.

    Attributes:
        title: What it is.
        unit: ``s``, ``d``, ``messages``, ``/s``, ``%`` or empty; the threshold is in it. A key, sent to
            webhooks as it is; the window has words for it.
        measure: Takes a snapshot, gives the values.
        below: The rule holds below the threshold instead of above.
    """

    title: str
    unit: str
    measure: Callable[[ClusterSnapshot], Measured]
    below: bool = False


def _consumers(pick: Callable[[Any], float | None]) -> Callable[[ClusterSnapshot], Measured]:
    def measure(snapshot: ClusterSnapshot) -> Measured:
        for (stream, name), consumer in snapshot.consumers.items():
            if is_machinery(stream):
                continue
            value = pick(consumer)
            if value:  # nothing is below a threshold here: zero raises no alert
                yield Subject(stream, name), value

    return measure


def _streams(pick: Callable[[Any], float | None]) -> Callable[[ClusterSnapshot], Measured]:
    def measure(snapshot: ClusterSnapshot) -> Measured:
        for name, stream in snapshot.streams.items():
            value = pick(stream)
            if value is not None:
                yield Subject(name), value

    return measure


def _stream_used(stream: Any) -> float | None:
    shares = [
        used / limit
        for used, limit in (
            (stream.bytes, stream.config.get("max_bytes") or -1),
            (stream.messages, stream.config.get("max_msgs") or -1),
        )
        if limit > 0
    ]
    # A stream that drops its oldest is full by design; only one that refuses new messages is in trouble.
    refuses = stream.config.get("discard") == "new"
    return max(shares) * 100 if shares and refuses else None


def _dead_letter_station(stream: Any) -> float | None:
    subjects = stream.config.get("subjects") or ()
    return float(stream.messages) if station_matches(stream.name, subjects, DEAD_LETTER_PATTERNS) else None


def _account_used(snapshot: ClusterSnapshot) -> Measured:
    account = snapshot.account
    if account is not None and account.max_storage > 0:
        yield Subject(), account.storage / account.max_storage * 100


def _api_errors(snapshot: ClusterSnapshot) -> Measured:
    account = snapshot.account
    if account is not None and account.api_errors_rate is not None:
        yield Subject(), account.api_errors_rate


def _slow_clients(snapshot: ClusterSnapshot) -> Measured:
    if snapshot.server is not None and snapshot.server.slow_consumers is not None:
        yield Subject(), float(snapshot.server.slow_consumers)


def _expiries(snapshot: ClusterSnapshot) -> Measured:
    ends = [expiry.at_ns for expiry in snapshot.expiries]
    if ends:
        yield Subject(), (min(ends) - snapshot.taken_at_ns) / 86_400e9


def _redelivered_share(consumer: Any) -> float | None:
    """Percent of the messages that wait for their acknowledgement and were delivered more than once."""
    waiting: int = consumer.num_ack_pending
    return min(100.0, consumer.num_redelivered / waiting * 100) if waiting else None


def _growing(consumer: Any) -> float | None:
    """Messages not delivered of a group that falls further behind."""
    never = consumer.drain_seconds is not None and math.isinf(consumer.drain_seconds)
    return float(consumer.num_pending) if never else None


def _nothing(_: ClusterSnapshot) -> Measured:
    return ()


def _leaderless(snapshot: ClusterSnapshot) -> Measured:
    gone = snapshot.raft.gone
    for name, stream in snapshot.streams.items():
        lost = not stream.leader or stream.leader_lost or stream.leader in gone
        if lost and stream.clustered and stream.is_read:
            yield Subject(name), 1.0


SIGNALS: Mapping[str, Signal] = {
    "lag_seconds": Signal(tr("A group is behind"), "s", _consumers(lambda one: one.lag_seconds)),
    "lag_messages": Signal(
        tr("Messages not delivered"), "messages", _consumers(lambda one: float(one.num_pending))
    ),
    "lag_growing": Signal(tr("A group falls further and further behind"), "messages", _consumers(_growing)),
    "unacked": Signal(
        tr("Messages not acknowledged"), "messages", _consumers(lambda one: float(one.num_ack_pending))
    ),
    "redelivered": Signal(
        tr("Messages redelivered"), "messages", _consumers(lambda one: float(one.num_redelivered))
    ),
    "redelivered_share": Signal(tr("Share of messages redelivered"), "%", _consumers(_redelivered_share)),
    "dead_letters": Signal(tr("Dead letters in five minutes"), "messages", _nothing),
    "schema_violations": Signal(tr("Messages refused by their schema in five minutes"), "messages", _nothing),
    "disconnections": Signal(tr("Memphis clients gone in five minutes"), "", _nothing),
    "dead_letter_stations": Signal(
        tr("Messages in a dead-letter station"), "messages", _streams(_dead_letter_station)
    ),
    "rate_low": Signal(
        tr("A station receives too little"), "/s", _streams(lambda one: one.in_messages_rate), below=True
    ),
    "rate_high": Signal(tr("A station receives too much"), "/s", _streams(lambda one: one.in_messages_rate)),
    "stream_used": Signal(tr("A station that refuses when full is full"), "%", _streams(_stream_used)),
    "no_leader": Signal(tr("A station has no leader"), "", _leaderless),
    "replica_lag": Signal(
        tr("A replica is behind"),
        "messages",
        _streams(lambda one: float(max((peer.lag for peer in one.peers), default=0))),
    ),
    "store_used": Signal(tr("The account's store is full"), "%", _account_used),
    "api_errors": Signal(tr("JetStream requests fail"), "/s", _api_errors),
    "expiry": Signal(tr("A certificate or login ends soon"), "d", _expiries, below=True),
    "slow_clients": Signal(tr("Clients are too slow"), "", _slow_clients),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """When to raise an alert.

    Attributes:
        signal: A key of `SIGNALS`.
        threshold: In the signal's unit; exceeded, or fallen below.
        pattern: ``orders*`` and the like over the station's or group's name; ``*`` for all.
        for_seconds: How long it must hold first.
        severity: ``warning`` or ``bad``.
        desktop: Whether the desktop tells it too.
        webhook: Whether the webhooks are sent it too.
        sound: Whether the system's bell is rung.
        command: A command line that is started with the alert on its input; empty for none.
    """

    signal: str
    threshold: float
    pattern: str = "*"
    for_seconds: float = 30.0
    severity: str = WARNING
    enabled: bool = True
    desktop: bool = True
    webhook: bool = True
    sound: bool = False
    command: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def matches(self, subject: Subject) -> bool:
        """Whether the rule looks at this."""
        pattern = self.pattern.strip() or "*"
        names = (subject.name, subject.stream, subject.path)
        return any(fnmatch.fnmatchcase(name, pattern) for name in names)

    def exceeded(self, value: float) -> bool:
        """Whether a value is beyond the threshold."""
        if math.isnan(value):
            return False
        return value < self.threshold if SIGNALS[self.signal].below else value > self.threshold


def default_rules() -> list[Rule]:
    """What a new user is warned of."""
    return [
        Rule("lag_seconds", 300.0, for_seconds=60.0, id="default-lag"),
        Rule("dead_letters", 0.0, for_seconds=0.0, id="default-dead-letters"),
        Rule("schema_violations", 0.0, for_seconds=0.0, id="default-schema-violations"),
        Rule("no_leader", 0.0, for_seconds=10.0, severity=BAD, id="default-no-leader"),
    ]


def rule_to_json(rule: Rule) -> dict[str, Any]:
    """The rule as JSON values."""
    return asdict(rule)


def rule_from_json(values: Mapping[str, Any]) -> Rule | None:
    """The rule in `values`; None when a later version wrote what this one does not know."""
    known = {item.name for item in fields(Rule)}
    try:
        rule = Rule(**{key: value for key, value in values.items() if key in known})
        return rule if rule.signal in SIGNALS and math.isfinite(float(rule.threshold)) else None
    except (TypeError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule that holds for something on a connection."""

    rule: Rule
    profile_id: str
    connection: str
    subject: Subject
    value: float
    since: float  # seconds since 1970
    acknowledged: bool = False

    @property
    def key(self) -> tuple[str, str, Subject]:
        """What tells it from others."""
        return self.rule.id, self.profile_id, self.subject


@dataclass(slots=True)
class _Watch:
    exceeded_since: float
    alert: Alert | None = None


class AlertEngine:
    """Keeps what holds since when. Figures that are not known leave things as they are."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self.rules: list[Rule] = list(rules)
        self._watches: dict[tuple[str, str, Subject], _Watch] = {}
        self._events: dict[tuple[str, str], deque[tuple[float, Subject]]] = {}  # by connection and signal
        self._snoozed: dict[tuple[str, str, Subject], float] = {}

    def set_rules(self, rules: Sequence[Rule]) -> None:
        """Other rules; what no rule looks at any more is forgotten."""
        changed = {rule.id for rule in self.rules} ^ {rule.id for rule in rules}
        changed |= {new.id for new in rules for old in self.rules if new.id == old.id and new != old}
        self.rules = list(rules)
        self._watches = {key: watch for key, watch in self._watches.items() if key[0] not in changed}

    def note_advisory(self, profile_id: str, advisory: Mapping[str, Any], now: float) -> None:
        """Count a message that ran out of deliveries, or was terminated by its consumer."""
        kind = str(advisory.get("type", ""))
        if kind.endswith(("max_deliver", "terminated")):
            subject = Subject(str(advisory.get("stream", "")), str(advisory.get("consumer", "")))
            self._count(profile_id, "dead_letters", subject, now)

    def note_memphis(self, profile_id: str, alert: Mapping[str, Any], now: float) -> None:
        """Count what the stations service tells. Dead letters are not: their advisories have been."""
        signal = _MEMPHIS.get(str(alert.get("type", "")))
        if signal is not None:
            self._count(profile_id, signal, Subject(str(alert.get("station", ""))), now)

    def _count(self, profile_id: str, signal: str, subject: Subject, now: float) -> None:
        self._events.setdefault((profile_id, signal), deque(maxlen=_EVENTS_KEPT)).append((now, subject))

    def evaluate(
        self, profile_id: str, connection: str, snapshot: ClusterSnapshot, now: float
    ) -> tuple[list[Alert], list[Alert]]:
        """Compare the rules with what is known; returns the alerts that began and those that ended."""
        if snapshot.state is not ConnectionState.CONNECTED:
            return [], []
        began: list[Alert] = []
        ended: list[Alert] = []
        for rule in self.rules:
            if rule.enabled:
                self._evaluate_rule(rule, profile_id, connection, snapshot, now, began, ended)
        return began, ended

    def _evaluate_rule(
        self,
        rule: Rule,
        profile_id: str,
        connection: str,
        snapshot: ClusterSnapshot,
        now: float,
        began: list[Alert],
        ended: list[Alert],
    ) -> None:
        seen: set[tuple[str, str, Subject]] = set()
        for subject, value in self._measure(rule.signal, profile_id, snapshot, now):
            if not rule.exceeded(value) or not rule.matches(subject):
                continue
            key = (rule.id, profile_id, subject)
            seen.add(key)
            watch = self._watches.setdefault(key, _Watch(now))
            if watch.alert is not None:
                kept = watch.alert
                if kept.value != value:
                    watch.alert = Alert(
                        rule, profile_id, connection, subject, value, kept.since, kept.acknowledged
                    )
            elif now - watch.exceeded_since >= rule.for_seconds and now >= self._snoozed.get(key, 0.0):
                watch.alert = Alert(rule, profile_id, connection, subject, value, watch.exceeded_since)
                began.append(watch.alert)
        for key in [key for key in self._watches if key[0] == rule.id and key[1] == profile_id]:
            if key not in seen:
                watch = self._watches.pop(key)
                if watch.alert is not None:
                    ended.append(watch.alert)

    def _measure(self, signal: str, profile_id: str, snapshot: ClusterSnapshot, now: float) -> Measured:
        if signal not in COUNTED:
            return SIGNALS[signal].measure(snapshot)
        events = self._events.get((profile_id, signal))
        if not events:
            return ()
        while events and events[0][0] < now - _WINDOW:
            events.popleft()
        counts: dict[Subject, float] = {}
        for _, subject in events:
            counts[subject] = counts.get(subject, 0.0) + 1
        return counts.items()

    def alerts(self) -> list[Alert]:
        """What holds now, the latest first."""
        found = [watch.alert for watch in self._watches.values() if watch.alert is not None]
        return sorted(found, key=lambda alert: alert.since, reverse=True)

    def acknowledge(self, key: tuple[str, str, Subject]) -> None:
        """Seen: it no longer counts in the status bar, and ends by itself."""
        watch = self._watches.get(key)
        if watch is not None and watch.alert is not None:
            old = watch.alert
            watch.alert = Alert(
                old.rule, old.profile_id, old.connection, old.subject, old.value, old.since, True
            )

    def snooze(self, key: tuple[str, str, Subject], until: float) -> None:
        """Silent until a moment; it is told again if it still holds then."""
        self._snoozed[key] = until
        watch = self._watches.get(key)
        if watch is not None:
            watch.alert = None

    def wake(self, key: tuple[str, str, Subject]) -> None:
        """No longer silent: told again at once, as far as it holds."""
        self._snoozed.pop(key, None)

    def forget(self, profile_id: str) -> None:
        """The connection was closed: nothing is known of it any more."""
        self._watches = {key: watch for key, watch in self._watches.items() if key[1] != profile_id}
        self._events = {key: events for key, events in self._events.items() if key[0] != profile_id}
