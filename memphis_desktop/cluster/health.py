"""What is wrong, or soon will be: checks over one snapshot and the recent past, as a list to act on."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from memphis_desktop.language import tr, tr_count

from .history import ConsumerKey, History
from .model import ClusterSnapshot, ConnectionState, ConsumerSnapshot, StreamSnapshot, is_machinery
from .raft.groups import group_of, meta_group
from .raft.model import Presence, Quorum

NEAR_LIMIT = 0.8
AT_LIMIT = 0.95
REDELIVERY_SPAN = 60.0
IDLE_SPAN = 5.0
EXAMINED = 200  # consumers whose past is looked at
EXPIRY_DAYS = 14.0
FAR_BEHIND = 1000  # Raft operations a follower may be behind


class Severity(IntEnum):
    """How bad; larger is worse."""

    GOOD = 0
    WARNING = 1
    BAD = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at.

    Attributes:
        severity: How bad.
        text: What is the matter.
        advice: What it means or what helps.
        stream: The stream concerned, empty when none.
        consumer: The consumer concerned, empty when none.
        check: Which check found it; with stream and consumer it names the finding.
    """

    severity: Severity
    text: str
    advice: str
    stream: str = ""
    consumer: str = ""
    check: str = ""


def findings(snapshot: ClusterSnapshot, history: History) -> list[Finding]:
    """Return everything found, the worst first."""
    found: list[Finding] = []
    found.extend(_connection(snapshot))
    found.extend(_account(snapshot))
    found.extend(_expiries(snapshot))
    found.extend(_servers(snapshot))
    gone = snapshot.raft.gone
    for stream in snapshot.streams.values():
        found.extend(stream_findings(stream, gone))
    consumers = {key: one for key, one in snapshot.consumers.items() if not is_machinery(one.stream)}
    # What the past tells is looked up for those furthest behind: of thousands nobody reads more.
    far = heapq.nlargest(EXAMINED, consumers.values(), key=lambda consumer: consumer.num_pending)
    examined = {(consumer.stream, consumer.name) for consumer in far}
    for key, consumer in consumers.items():
        if key in examined:
            found.extend(consumer_findings(consumer, history, gone))
        elif _conspicuous(consumer, gone):
            found.extend(consumer_findings(consumer, None, gone))
    found.sort(key=lambda finding: (-finding.severity, finding.stream, finding.consumer, finding.check))
    return found


def _conspicuous(consumer: ConsumerSnapshot, gone: Collection[str]) -> bool:
    """Whether a consumer's own figures hint at trouble; most are fine, and there may be thousands."""
    if consumer.paused or consumer.lag_at_edge or consumer.leader_lost:
        return True
    if consumer.clustered and (not consumer.leader or consumer.leader in gone):
        return True
    if any(peer.offline or peer.lag > FAR_BEHIND for peer in consumer.peers):
        return True
    return 0 < int(consumer.config.get("max_ack_pending") or 0) <= consumer.num_ack_pending


def _connection(snapshot: ClusterSnapshot) -> list[Finding]:
    found = []
    if snapshot.state is ConnectionState.RECONNECTING:
        found.append(Finding(Severity.BAD, tr("No connection"), snapshot.detail, check="connection"))
    for part, reason in snapshot.errors.items():
        if part != "jetstream":
            text = _unread_text(part)
            found.append(Finding(Severity.WARNING, text, reason, check=f"read {part}"))
    server = snapshot.server
    if server is not None and server.slow_consumers:
        count = server.slow_consumers
        text = tr_count(
            "{count} slow consumer cut off since the server started",
            "{count} slow consumers cut off since the server started",
            count,
        )
        found.append(
            Finding(Severity.WARNING, text, tr("Clients read slower than messages came."), check="slow")
        )
    return found


def _unread_text(part: str) -> str:
    """What is missing when a part of a round cannot be read."""
    return {
        "account": tr("Account not readable"),
        "round": tr("Streams not readable"),
        "streams": tr("Streams not readable"),
        "consumers": tr("Groups not readable"),
        "permissions": tr("A permission is missing"),
        "advisories": tr("Advisories not heard"),
        "lag in seconds": tr("Lag in seconds unknown"),  # untranslated: a key
        "system account": tr("System account fails"),
    }.get(part) or tr("Not read: {part}", part=part)


def _expiries(snapshot: ClusterSnapshot) -> list[Finding]:
    """What of the connection ends soon, or has ended while it stands."""
    found = []
    for expiry in snapshot.expiries:
        days = (expiry.at_ns - snapshot.taken_at_ns) / 86_400e9
        if days > EXPIRY_DAYS:
            continue
        severity = Severity.BAD if days < 2 else Severity.WARNING
        if days < 0:
            text = tr("{what} has expired", what=expiry.what)
        elif days < 2:
            text = tr("{what} ends in {hours} h", what=expiry.what, hours=f"{days * 24:.0f}")
        else:
            text = tr_count(
                "{what} ends in {count} day", "{what} ends in {count} days", round(days), what=expiry.what
            )
        advice = tr("Afterwards this connection is refused.")
        found.append(Finding(severity, text, advice, check=f"expiry {expiry.what}"))
    return found


def _servers(snapshot: ClusterSnapshot) -> list[Finding]:
    """What is wrong with the cluster's servers and its meta group."""
    raft = snapshot.raft
    found: list[Finding] = []
    if not raft.clustered:
        return found
    meta = meta_group(raft)
    if meta is not None and not meta.leader:
        text = tr("The meta group has {problem}", problem=meta.problem)
        advice = tr("No station or group can be made, changed or deleted until one is elected.")
        found.append(Finding(Severity.BAD, text, advice, check="meta leader"))
    for name, server in raft.servers.items():
        if not server.here:
            text = _presence_text(name, server.presence)
            found.append(Finding(Severity.BAD, text, "", check=f"server {name}"))
        elif server.health not in (None, "ok"):
            text = tr("Server {name} is not healthy", name=name)
            found.append(Finding(Severity.WARNING, text, server.health or "", check=f"health {name}"))
        elif server.lame_duck:
            text = tr("Server {name} is about to stop", name=name)
            found.append(
                Finding(Severity.WARNING, text, tr("It is in lame duck mode."), check=f"lame {name}")
            )
    versions = {server.version for server in raft.servers.values() if server.version}
    if len(versions) > 1:
        text = tr("Servers of different versions: {names}", names=", ".join(sorted(versions)))
        found.append(Finding(Severity.WARNING, text, "", check="versions"))
    return found


def _presence_text(name: str, presence: Presence) -> str:
    if presence is Presence.SILENT:
        return tr("Server {name} does not answer", name=name)
    if presence is Presence.STOPPED:
        return tr("Server {name} stopped", name=name)
    return tr("Server {name} unknown", name=name)


def _leadership(asset: StreamSnapshot | ConsumerSnapshot, gone: Collection[str]) -> str:
    """Why nobody leads a stream or consumer; empty when somebody does."""
    if not asset.clustered or (asset.leader and not gone and not asset.leader_lost):
        return ""
    group = group_of(asset, gone)
    return "" if group.quorum is Quorum.HELD else group.problem


def _account(snapshot: ClusterSnapshot) -> list[Finding]:
    account = snapshot.account
    if account is None:
        return []
    found = []
    for check, what, used, limit in (
        ("storage", tr("File storage"), account.storage, account.max_storage),
        ("memory", tr("Memory storage"), account.memory, account.max_memory),
        ("streams", tr("Number of streams"), account.streams, account.max_streams),
        ("consumers", tr("Number of consumers"), account.consumers, account.max_consumers),
    ):
        severity = _against_limit(used, limit)
        if severity:
            share = f"{100 * used / limit:.0f} %"
            text = tr("{what}: {share} of the account's limit", what=what, share=share)
            found.append(Finding(severity, text, "", check=check))
    return found


def _against_limit(used: float, limit: float) -> Severity:
    if limit <= 0 or used < NEAR_LIMIT * limit:
        return Severity.GOOD
    return Severity.BAD if used >= AT_LIMIT * limit else Severity.WARNING


def stream_findings(stream: StreamSnapshot, gone: Collection[str] = ()) -> list[Finding]:
    """Return what is wrong with one stream."""
    name = stream.name
    found: list[Finding] = []
    refuses = stream.config.get("discard") == "new"
    if not (stream.clustered or refuses or stream.mirror or stream.sources):
        return found  # most, and there may be thousands
    problem = _leadership(stream, gone)
    if problem:
        text = f"{problem[:1].upper()}{problem[1:]}"
        advice = tr("Nothing can be written until one is elected.")
        found.append(Finding(Severity.BAD, text, advice, name, check="leader"))
    found.extend(_peers(stream, name, "", gone))
    config = stream.config
    for what, used, key in (("messages", stream.messages, "max_msgs"), ("bytes", stream.bytes, "max_bytes")):
        limit = int(config.get(key) or -1)
        severity = _against_limit(used, limit)
        # With discard old a full stream is a stream at work; only refusing new messages is a failure.
        if severity and refuses:
            share = f"{100 * used / limit:.0f}"
            text = (
                tr("{share} % of its limit of bytes", share=share)
                if what == "bytes"
                else tr("{share} % of its limit of messages", share=share)
            )
            advice = tr("New messages are refused when it is full.")
            found.append(Finding(severity, text, advice, name, check=f"limit {what}"))
    for source in (stream.mirror, *stream.sources):
        if source and source.get("error"):
            reason = str((source["error"] or {}).get("description") or "error")
            text = tr("Cannot copy from {name}", name=source.get("name"))
            found.append(Finding(Severity.BAD, text, reason, name, check=f"source {source.get('name')}"))
    return found


def _peers(
    asset: StreamSnapshot | ConsumerSnapshot, stream: str, consumer: str, gone: Collection[str]
) -> list[Finding]:
    found = []
    for peer in asset.peers:
        if peer.name in gone:
            continue  # told once for the server
        if peer.offline:
            text = tr("Replica on {name} is offline", name=peer.name)
            found.append(Finding(Severity.BAD, text, "", stream, consumer, f"offline {peer.name}"))
        elif peer.lag > FAR_BEHIND:
            text = tr_count(
                "Replica on {name} is {count} operation behind",
                "Replica on {name} is {count} operations behind",
                peer.lag,
                name=peer.name,
            )
            found.append(Finding(Severity.WARNING, text, "", stream, consumer, f"behind {peer.name}"))
    return found


def consumer_findings(
    consumer: ConsumerSnapshot, history: History | None, gone: Collection[str] = ()
) -> list[Finding]:
    """Return what is wrong with one consumer; without `history`, what its figures of now tell."""
    stream, name = consumer.stream, consumer.name
    found: list[Finding] = []
    if not (consumer.num_pending or consumer.num_redelivered or consumer.clustered):
        return found

    def add(severity: Severity, text: str, advice: str, check: str) -> None:
        found.append(Finding(severity, text, advice, stream, name, check))

    problem = _leadership(consumer, gone)
    if problem:
        text = f"{problem[:1].upper()}{problem[1:]}"
        add(Severity.BAD, text, tr("Nothing is delivered until one is elected."), "leader")
    found.extend(_peers(consumer, stream, name, gone))
    reasons = why_behind(consumer, history)
    if consumer.num_pending:
        for reason in reasons:
            add(reason.severity, reason.text, reason.advice, reason.check)
    elif any(reason.check == "redelivery" for reason in reasons):
        reason = next(reason for reason in reasons if reason.check == "redelivery")
        add(reason.severity, reason.text, reason.advice, reason.check)
    return found


def _paused(consumer: ConsumerSnapshot, history: History | None) -> Finding | None:
    if not consumer.paused:
        return None
    return Finding(Severity.WARNING, tr("Paused"), tr("Resume it to deliver again."), check="paused")


def _ack_limit(consumer: ConsumerSnapshot, history: History | None) -> Finding | None:
    limit = int(consumer.config.get("max_ack_pending") or -1)
    if limit <= 0 or consumer.num_ack_pending < limit:
        return None
    text = tr("At its limit of {limit} unacked", limit=limit)
    advice = tr(
        "So many delivered messages wait for their acknowledgement: clients are too slow or "
        "hang, and nothing more is delivered until they acknowledge."
    )
    return Finding(Severity.BAD, text, advice, check="ack limit")


def _nobody_asks(consumer: ConsumerSnapshot, history: History | None) -> Finding | None:
    if history is None or consumer.paused or not consumer.num_pending:
        return None
    if consumer.is_pull:
        if consumer.num_waiting or consumer.delivered_rate or not _idle(consumer, history):
            return None
        advice = tr("No client has a pull request open: none is running, or all are busy.")
        return Finding(Severity.WARNING, tr("Nobody asks for messages"), advice, check="no puller")
    if consumer.push_bound:
        return None
    advice = tr("No client has subscribed to its deliver subject.")
    return Finding(Severity.WARNING, tr("Nobody listens"), advice, check="no puller")


def _idle(consumer: ConsumerSnapshot, history: History) -> bool:
    """Whether nothing was asked for or delivered for a few seconds: between two fetches that is normal."""
    key = ConsumerKey(consumer.stream, consumer.name)
    for metric in ("waiting", "delivered_rate"):
        times, values = history.series(key, metric, IDLE_SPAN)
        known = values[~np.isnan(values)]
        if not len(known) or times[-1] - times[0] < IDLE_SPAN - 1.5 or known.max() > 0:
            return False
    return True


def _redeliveries(consumer: ConsumerSnapshot, history: History | None) -> Finding | None:
    if history is None or not consumer.num_redelivered:
        return None
    change = history.change(ConsumerKey(consumer.stream, consumer.name), "redelivered", REDELIVERY_SPAN)
    if change is None or change[0] <= 0:
        return None
    text = tr("{num_redelivered} redelivered, rising", num_redelivered=consumer.num_redelivered)
    advice = tr("Messages are refused or not acknowledged in time; look for a poisonous one.")
    return Finding(Severity.WARNING, text, advice, check="redelivery")


def _edge(consumer: ConsumerSnapshot, history: History | None) -> Finding | None:
    if not consumer.lag_at_edge:
        return None
    text = tr("Removed before delivery")
    advice = tr("The stream's limits are overtaking this consumer.")
    return Finding(Severity.BAD, text, advice, check="edge")


_REASONS: tuple[Callable[[ConsumerSnapshot, History | None], Finding | None], ...] = (
    _paused,
    _ack_limit,
    _edge,
    _nobody_asks,
    _redeliveries,
)


_FROM_HISTORY = (_nobody_asks, _redeliveries)


def why_behind(consumer: ConsumerSnapshot, history: History | None) -> list[Finding]:
    """Return the reasons why a consumer lags, as far as the broker's figures tell; none when it does not."""
    found: list[Finding] = []
    for reason in _REASONS:
        if history is None and reason in _FROM_HISTORY:
            continue
        if reason is _nobody_asks and any(finding.check in ("paused", "ack limit") for finding in found):
            continue  # asking would help nothing
        finding = reason(consumer, history)
        if finding is not None:
            found.append(finding)
    return found
