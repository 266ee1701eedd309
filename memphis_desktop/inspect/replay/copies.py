"""What the copies of a replay are like: their subject, their headers, their message id; and a rehearsal."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from enum import Enum

from memphis_desktop.inspect.mask import Mask
from memphis_desktop.inspect.message import Headers, InspectedMessage, format_time
from memphis_desktop.inspect.publishing import check_subject
from memphis_desktop.inspect.replay.edits import Edits
from memphis_desktop.inspect.replay.order import ReplayOrder
from memphis_desktop.inspect.replay.sources import ReplaySource
from memphis_desktop.language import tr

HEADER_RUN = "Memphis-Replay-Run"
HEADER_STREAM = "Memphis-Replay-Stream"
HEADER_SEQUENCE = "Memphis-Replay-Sequence"
HEADER_TIME = "Memphis-Replay-Time"
HEADER_SUBJECT = "Memphis-Replay-Subject"  # of copies that go to one consumer's own subject
PROVENANCE = (HEADER_RUN, HEADER_STREAM, HEADER_SEQUENCE, HEADER_TIME, HEADER_SUBJECT)
MESSAGE_ID = "Nats-Msg-Id"

# Headers that made sense for the original publish only, or that would remove or hold back other messages.
NEVER_COPIED = (
    "Nats-Expected-Stream", "Nats-Expected-Last-Sequence", "Nats-Expected-Last-Subject-Sequence",
    "Nats-Expected-Last-Subject-Sequence-Subject", "Nats-Expected-Last-Msg-Id", "Nats-Rollup",
    "Nats-Batch-Id", "Nats-Batch-Sequence", "Nats-Batch-Commit", "Nats-Stream-Source", "Nats-Scheduler",
    "Nats-Schedule", "Nats-Schedule-Next", "Nats-Schedule-Target", "Nats-Schedule-TTL", "Nats-Marker-Reason",
    "Nats-Incr", "Nats-Counter-Sources", "Nats-Required-Api-Level", "Nats-Trace-Dest", "Nats-Trace-Only",
)  # fmt: skip

# A dry run with a filter that hardly anything passes ends after so many messages.
LOOKED_AT = 20_000

_PLACEHOLDER = re.compile(r"\{(subject|stream|sequence|\d+)\}")


class MessageIds(Enum):
    """Which message id the copies carry."""

    STABLE = "stable"  # from origin and target: repeating within the duplicate window stores nothing twice
    FRESH = "fresh"  # also from the run: every run stores its copies
    KEEP = "keep"  # the original's id
    NONE = "none"


@dataclass(frozen=True, slots=True)
class OnlyConsumer:
    """Copies go to one consumer and to nobody else, in the way `cluster.one_consumer` worked out.

    Attributes:
        stream, consumer: Who.
        subject: Where the copies are published instead of the template's subject; empty for that one.
        direct: They are handed to the consumer's clients at once and stored nowhere.
    """

    stream: str
    consumer: str
    subject: str = ""
    direct: bool = False


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How a run changes and sends messages.

    Attributes:
        subject: Template of the target subject: {subject}, {stream}, {sequence}, {1} … for its tokens.
        rate: Messages a second at most; None for as fast as the target takes them.
        bytes_rate: Bytes of messages a second at most, besides `rate`; None for no such limit.
        file: Write the copies to this file instead of publishing them; empty publishes.
        original_pace: Keep the spacing of the originals, this many times faster; None to ignore it.
        keep_headers: Copy the originals' headers (except those in `NEVER_COPIED`).
        set_headers: Headers set on every copy.
        drop_headers: Names never copied.
        edits: What is changed in payloads, and which messages are left out.
        ids: Message ids of the copies.
        provenance: Add the Memphis-Replay-… headers; without them the run can only be undone by its record.
        max_in_flight: Publishes awaiting their acknowledgement.
        timeout: Seconds to wait for an acknowledgement.
        stop_after_errors: Stop when this many failed; None goes on to the end.
        order: Which message comes first; of a station's range.
        only: The one consumer that gets the copies; None for whoever takes their subject.
    """

    subject: str = "{subject}"
    rate: float | None = None
    original_pace: float | None = None
    keep_headers: bool = True
    set_headers: tuple[tuple[str, str], ...] = ()
    drop_headers: tuple[str, ...] = ()
    edits: Edits = field(default_factory=Edits)
    ids: MessageIds = MessageIds.STABLE
    provenance: bool = True
    max_in_flight: int = 512
    timeout: float = 5.0
    stop_after_errors: int | None = 100
    bytes_rate: float | None = None
    file: str = ""
    order: ReplayOrder = ReplayOrder.OLDEST
    only: OnlyConsumer | None = None


def copy_subject(message: InspectedMessage, options: ReplayOptions) -> str:
    """Return the subject the copy of a message is published to; raises ValueError as `target_subject`."""
    if options.only is not None and options.only.subject:
        return options.only.subject
    return target_subject(options.subject, message)


def target_subject(template: str, message: InspectedMessage) -> str:
    """Return the subject a message is replayed to.

    Raises:
        ValueError: the template names a token the subject has not, or yields no subject to publish to.
    """
    tokens = message.subject.split(".")

    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        if name == "subject":
            return message.subject
        if name == "stream":
            return message.stream
        if name == "sequence":
            return str(message.sequence)
        index = int(name)
        if not 1 <= index <= len(tokens):
            raise ValueError(tr("{subject} has no part {number}", subject=message.subject, number=index))
        return tokens[index - 1]

    subject = _PLACEHOLDER.sub(fill, template.strip())
    if "{" in subject or "}" in subject:
        raise ValueError(tr("{template!r} has a placeholder that is not known", template=template))
    check_subject(subject)
    return subject


def copy_headers(message: InspectedMessage, subject: str, options: ReplayOptions, run_id: str) -> Headers:
    """Return the headers of a copy."""
    original = message.headers if options.keep_headers else Headers()
    headers = original.without((*NEVER_COPIED, *options.drop_headers, *PROVENANCE, MESSAGE_ID))
    for name in options.edits.headers:
        changed = message.headers.get(name)
        headers = headers.without((name,)) if changed is None else headers.with_set(name, changed)
    for name, value in options.set_headers:
        headers = headers.with_set(name, value)
    if options.ids is MessageIds.KEEP:
        kept = message.headers.get(MESSAGE_ID)
        if kept is not None:
            headers = headers.with_set(MESSAGE_ID, kept)
    elif options.ids is not MessageIds.NONE:
        origin = f"{message.stream}\0{message.sequence}\0{message.time_ns}\0{subject}"
        if options.ids is MessageIds.FRESH:
            origin += f"\0{run_id}"
        digest = hashlib.blake2b(origin.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()
        headers = headers.with_set(MESSAGE_ID, f"replay-{digest}")
    if options.provenance:
        for name, value in (
            (HEADER_RUN, run_id),
            (HEADER_STREAM, message.stream),
            (HEADER_SEQUENCE, str(message.sequence)),
            (HEADER_TIME, format_time(message.time_ns)),
        ):
            headers = headers.with_set(name, value)
    if options.only is not None and subject != message.subject:
        headers = headers.with_set(HEADER_SUBJECT, message.subject)
    return headers.without((MESSAGE_ID,)) if options.only is not None and options.only.direct else headers


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """One message of a dry run: what would be sent, or why it would not."""

    original: InspectedMessage
    subject: str
    headers: Headers
    problem: str = ""
    payload: bytes = b""


async def rehearse(
    source: ReplaySource, options: ReplayOptions, run_id: str, most: int = 100, *, mask: Mask | None = None
) -> list[Rehearsed]:
    """Return the first messages of a replay as they would be sent; nothing is sent.

    The filter sees what `mask` lets it see.

    Raises:
        ReadError: the source cannot be read.
    """
    rehearsed: list[Rehearsed] = []
    looked_at = 0
    messages = source.read(0)
    try:
        async for message in messages:
            looked_at += 1
            row = _rehearse_one(message, options, run_id, mask)
            if row is not None:
                rehearsed.append(row)
            if len(rehearsed) >= most or looked_at >= LOOKED_AT:
                break
    finally:
        await messages.aclose()  # type: ignore[attr-defined]
    return rehearsed


def _rehearse_one(
    message: InspectedMessage, options: ReplayOptions, run_id: str, mask: Mask | None
) -> Rehearsed | None:
    try:
        changed = options.edits.apply(message, mask(message) if mask is not None else None)
        if changed is None:
            return None
        subject = copy_subject(changed, options)
        headers = copy_headers(changed, subject, options, run_id)
    except ValueError as error:
        return Rehearsed(message, "", Headers(), str(error))
    return Rehearsed(message, subject, headers, "", changed.payload)
