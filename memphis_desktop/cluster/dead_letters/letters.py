"""What a dead letter is, and how letters are read from advisories and from dead-letter stations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from memphis_desktop.inspect.decode import decode
from memphis_desktop.inspect.decode.text import preview
from memphis_desktop.inspect.message import Headers, InspectedMessage
from memphis_desktop.language import tr

from ..times import parse_time

PREVIEW_BYTES = 256
SHAPE_BYTES = 32 << 10  # of larger payloads only the encoding is told
SHAPE_KEYS = 6

# What copies that are sent again carry, so that the next failure knows what came before.
HEADER_STREAM = "Memphis-Dead-Letter-Stream"
HEADER_SEQUENCE = "Memphis-Dead-Letter-Sequence"
HEADER_CONSUMER = "Memphis-Dead-Letter-Consumer"
HEADER_SUBJECT = "Memphis-Dead-Letter-Subject"
HEADER_REASON = "Memphis-Dead-Letter-Reason"
HEADER_ATTEMPT = "Memphis-Dead-Letter-Attempt"
PROVENANCE = (
    HEADER_STREAM,
    HEADER_SEQUENCE,
    HEADER_CONSUMER,
    HEADER_SUBJECT,
    HEADER_REASON,
    HEADER_ATTEMPT,
)

# How applications and other programs name the same facts when they move a message to a station of their own.
_SUBJECT_HEADERS = (HEADER_SUBJECT, "Original-Subject", "X-Original-Subject", "dlq-original-subject")
_STREAM_HEADERS = (HEADER_STREAM, "Original-Stream", "X-Original-Stream", "station")
_CONSUMER_HEADERS = (HEADER_CONSUMER, "Original-Consumer", "X-Original-Consumer", "consumer", "cg")
_REASON_HEADERS = (HEADER_REASON, "Reason", "X-Reason", "Error", "X-Error", "x-death-reason", "type")
_PRODUCER_HEADERS = ("$memphis_producedBy", "Producer", "X-Producer")


class LetterKind(Enum):
    """Why a message is a dead letter; the value is what screens say."""

    MAX_DELIVERIES = "delivery limit"
    TERMINATED = "terminated"
    STATION = "dead-letter station"
    UNACKED = "unacknowledged"  # of Memphis: past the limit, or terminated
    SCHEMA = "schema violation"  # of Memphis


class Presence(Enum):
    """Whether the message itself is still to be had."""

    UNREAD = "not read yet"
    THERE = "in the station"
    GONE = "gone"


LetterKey = tuple[str, str, str, int]  # kind's name or `GIVEN_UP`, stream, consumer, sequence
GIVEN_UP = "GIVEN_UP"  # out of deliveries and terminated: advisories about one letter, the last one counts


def letter_key(kind: str, stream: str, consumer: str, sequence: int) -> LetterKey:
    """Return what tells a letter from others.

    A message that ran out of deliveries may still be terminated by a client that holds it: that is the same
    letter, which the server tells of twice.
    """
    given_up = kind in (LetterKind.MAX_DELIVERIES.name, LetterKind.TERMINATED.name)
    return GIVEN_UP if given_up else kind, stream, consumer, sequence


@dataclass(frozen=True, slots=True)
class Failure:
    """One advisory: a consumer gave a message up.

    Attributes:
        id: Of the advisory; told live and captured, it is the same.
        kind: Out of deliveries, or terminated.
        stream, consumer, sequence: Which message, and who gave it up.
        deliveries: How often it was delivered to the consumer.
        reason: What the consumer said when it terminated the message; often empty.
        time_ns: When.
        record: Sequence of the advisory in the capture stream, 0 when it is not captured.
    """

    id: str
    kind: LetterKind
    stream: str
    consumer: str
    sequence: int
    deliveries: int
    reason: str
    time_ns: int
    record: int = 0

    @property
    def key(self) -> LetterKey:
        """What tells the dead letter from others; several advisories may be about one."""
        return letter_key(self.kind.name, self.stream, self.consumer, self.sequence)


@dataclass(frozen=True, slots=True)
class Resent:
    """A copy of a dead letter that was sent.

    Attributes:
        time_ns: When it was stored or handed over.
        attempt: Its number, also in the copy's header.
        subject: Where it was published.
        stream, sequence: Where the copy is stored; empty and 0 when it went straight to a consumer.
    """

    time_ns: int
    attempt: int
    subject: str
    stream: str = ""
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody wrote about a letter.

    Attributes:
        text: In words; may be empty when there are tags.
        tags: Short words to find it by, such as who looks after it.
        by: Who wrote it.
        time_ns: When.
    """

    text: str
    tags: tuple[str, ...] = ()
    by: str = ""
    time_ns: int = 0

    def __bool__(self) -> bool:
        return bool(self.text or self.tags)


@dataclass(frozen=True, slots=True)
class Original:
    """The message itself, as far as lists need it; the whole is read when it is looked at.

    Attributes:
        presence: Whether it is there; the other fields are known only then.
        why_gone: When it is gone, what became of it, in words.
        subject, time_ns, size: Of the stored message.
        preview: One line of its payload.
        shape: What the payload looks like: its encoding, and the names of its fields.
        attempt: How often it had been sent again before it failed this time.
        producer: Who published it, where a header says so.
    """

    presence: Presence = Presence.UNREAD
    why_gone: str = ""
    subject: str = ""
    time_ns: int | None = None
    size: int = 0
    preview: str = ""
    shape: str = ""
    attempt: int = 0
    producer: str = ""


UNREAD = Original()


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that a consumer gave up, or that lies in a dead-letter station.

    Attributes:
        kind: Why it is one.
        stream, sequence: Where the message is stored.
        consumer: Who gave it up; empty when nobody says.
        deliveries: How often it was delivered; None when nobody says.
        reason: In words; empty when nobody says.
        first_ns, failed_ns: When it failed for the first and the last time.
        times: How many advisories told of it.
        records: Their sequences in the capture stream; empty when they are not captured.
        resent: The copies sent, oldest first.
        original: The message.
        home: Of a letter in a dead-letter station: the station it came from, when a header says.
        home_subject: Of such a letter: its first subject, when a header says.
        external: Its id in a `LetterSource` that keeps it and its message; 0 for what is found here.
        groups: Of a letter of a Memphis station: the consumer groups that gave it up.
        note: What somebody wrote about it; None when nobody did.
    """

    kind: LetterKind
    stream: str
    sequence: int
    consumer: str
    deliveries: int | None
    reason: str
    first_ns: int
    failed_ns: int
    times: int = 1
    records: tuple[int, ...] = ()
    resent: tuple[Resent, ...] = ()
    original: Original = UNREAD
    home: str = ""
    home_subject: str = ""
    external: int = 0
    groups: tuple[str, ...] = ()
    note: Note | None = None

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags."""
        return self.note.tags if self.note is not None else ()

    @property
    def key(self) -> LetterKey:
        """What tells it from others."""
        if self.external:
            return self.kind.name, self.home, "", self.external
        return letter_key(self.kind.name, self.stream, self.consumer, self.sequence)

    @property
    def managed(self) -> bool:
        """Whether only its `LetterSource` can send it again: to its groups, or checked against a schema."""
        return bool(self.external) and (bool(self.groups) or self.kind is LetterKind.SCHEMA)

    @property
    def station(self) -> str:
        """The station it concerns: where it failed, not where it was put."""
        return self.home or self.stream

    @property
    def cause(self) -> str:
        """Why it is here, in a few words: the reason given, else the kind."""
        return self.reason or self.kind.value

    @property
    def attempts(self) -> int:
        """How often this message and the ones it is a copy of were sent again."""
        return self.original.attempt + len(self.resent)


@dataclass(frozen=True, slots=True)
class LetterGroup:
    """Letters that failed alike.

    Attributes:
        consumer, cause, shape: What they have in common.
        station: Their station, ``several`` when there are several.
        count: How many.
        gone: How many of their messages are not to be had any more.
        first_ns, last_ns: The first and the last failure.
    """

    consumer: str
    cause: str
    shape: str
    station: str
    count: int
    gone: int
    first_ns: int
    last_ns: int

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from others."""
        return self.consumer, self.cause, self.shape


def parse_advisory(advisory: Mapping[str, Any], record: int = 0) -> Failure | None:
    """Return what an advisory says when it is about a dead letter; None for any other, or a broken one."""
    kind_text = str(advisory.get("type", ""))
    if kind_text.endswith(".max_deliver"):
        kind = LetterKind.MAX_DELIVERIES
    elif kind_text.endswith(".terminated"):
        kind = LetterKind.TERMINATED
    else:
        return None
    try:
        sequence = int(advisory["stream_seq"])
        deliveries = int(advisory.get("deliveries") or 0)
    except (KeyError, TypeError, ValueError):
        return None
    stream, consumer = str(advisory.get("stream") or ""), str(advisory.get("consumer") or "")
    time_ns = parse_time(str(advisory.get("timestamp") or ""))
    if not stream or not consumer or sequence < 1 or time_ns is None:
        return None
    reason = str(advisory.get("reason") or "")
    return Failure(
        str(advisory.get("id") or ""), kind, stream, consumer, sequence, deliveries, reason, time_ns, record
    )


def from_failures(
    failures: Sequence[Failure],
    resent: tuple[Resent, ...] = (),
    original: Original = UNREAD,
    note: Note | None = None,
) -> DeadLetter:
    """Return the letter that one or more advisories with one key tell of."""
    failures = sorted(failures, key=lambda failure: failure.time_ns)
    last = failures[-1]
    return DeadLetter(
        kind=last.kind,
        stream=last.stream,
        sequence=last.sequence,
        consumer=last.consumer,
        deliveries=max(failure.deliveries for failure in failures) or None,
        reason=next((failure.reason for failure in reversed(failures) if failure.reason), ""),
        first_ns=failures[0].time_ns,
        failed_ns=last.time_ns,
        times=len(failures),
        records=tuple(failure.record for failure in failures if failure.record),
        resent=resent,
        original=original,
        note=note,
    )


def from_station(message: InspectedMessage, resent: tuple[Resent, ...] = ()) -> DeadLetter:
    """Return the letter that a message of a dead-letter station is; its headers say where it came from."""
    headers = message.headers
    source = headers.get("Nats-Stream-Source")
    home = _first(headers, _STREAM_HEADERS) or (source.split(" ")[0] if source else "")
    return DeadLetter(
        kind=LetterKind.STATION,
        stream=message.stream,
        sequence=message.sequence,
        consumer=_first(headers, _CONSUMER_HEADERS),
        deliveries=None,
        reason=_first(headers, _REASON_HEADERS),
        first_ns=message.time_ns,
        failed_ns=message.time_ns,
        resent=resent,
        original=describe(message),
        home=home,
        home_subject=_first(headers, _SUBJECT_HEADERS),
    )


def describe(message: InspectedMessage) -> Original:
    """Return what lists show of a message."""
    return Original(
        Presence.THERE,
        subject=message.subject,
        time_ns=message.time_ns,
        size=message.size,
        preview=preview(message.payload, PREVIEW_BYTES),
        shape=payload_shape(message.payload),
        attempt=attempt_of(message.headers),
        producer=_first(message.headers, _PRODUCER_HEADERS),
    )


def attempt_of(headers: Headers) -> int:
    """Return how often a message had been sent again, as its header says; 0 without one."""
    text = headers.get(HEADER_ATTEMPT) or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0


def payload_shape(payload: bytes) -> str:
    """Return what a payload looks like, the same for payloads that differ in their values only."""
    if len(payload) > SHAPE_BYTES:
        return "large payload"
    decoded = decode(payload)
    name = {"json": "JSON", "msgpack": "MsgPack", "cbor": "CBOR", "protobuf": "protobuf"}.get(
        decoded.kind, decoded.kind
    )
    value = decoded.value if decoded.has_value else None
    if isinstance(value, dict):
        keys = sorted(str(key) for key in value)
        more = ", …" if len(keys) > SHAPE_KEYS else ""
        return f"{name} {{{', '.join(keys[:SHAPE_KEYS])}{more}}}"
    if isinstance(value, (list, tuple)):
        return f"{name} list"
    if decoded.has_value:
        return f"{name} {type(value).__name__ if value is not None else 'null'}"
    return name


def group_letters(letters: Iterable[DeadLetter]) -> list[LetterGroup]:
    """Return the letters grouped by consumer, cause and payload shape, the largest group first."""
    found: dict[tuple[str, str, str], list[DeadLetter]] = {}
    for letter in letters:
        found.setdefault(group_key(letter), []).append(letter)
    groups = []
    for (consumer, cause, shape), members in found.items():
        stations = {letter.station for letter in members}
        groups.append(
            LetterGroup(
                consumer,
                cause,
                shape,
                stations.pop() if len(stations) == 1 else tr("several"),
                len(members),
                sum(letter.original.presence is Presence.GONE for letter in members),
                min(letter.first_ns for letter in members),
                max(letter.failed_ns for letter in members),
            )
        )
    return sorted(groups, key=lambda group: (-group.count, group.key))


def group_key(letter: DeadLetter) -> tuple[str, str, str]:
    """Return the key of the group a letter belongs to."""
    original = letter.original
    shape = original.shape if original.presence is Presence.THERE else original.presence.value
    return letter.consumer, letter.cause, shape


def _first(headers: Headers, names: Iterable[str]) -> str:
    for name in names:
        value = headers.get(name)
        if value:
            return value
    return ""
