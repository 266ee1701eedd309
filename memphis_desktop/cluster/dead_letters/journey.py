"""The way of one message: who published it, where it was stored, what each consumer did, how it ended.

A server keeps no record for each message and consumer. What can be said follows from the consumer's filter,
its ack floor and its last delivery; where that leaves a doubt, the step says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from memphis_desktop.inspect import words
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr, tr_count
from memphis_desktop.protocol.subjects import matches

from ..lag import filters
from ..model import ClusterSnapshot, ConsumerSnapshot
from ..times import parse_time
from .letters import (
    HEADER_CONSUMER,
    HEADER_SEQUENCE,
    HEADER_STREAM,
    DeadLetter,
    LetterKey,
    LetterKind,
    Presence,
    attempt_of,
)

_PRODUCERS = ("$memphis_producedBy", "Producer", "X-Producer")


@dataclass(frozen=True, slots=True)
class Step:
    """One station of the way.

    Attributes:
        kind: ``published``, ``stored``, ``consumer``, ``dead``, ``resent``.
        token: How it went: good, warning, bad, information, muted.
        title: Who or where.
        text: What happened, in a sentence.
        time_ns: When; None when nobody knows.
        consumer: The consumer it is about.
        letter: The key of another letter that this leads to.
    """

    kind: str
    token: str
    title: str
    text: str
    time_ns: int | None = None
    consumer: str = ""
    letter: LetterKey | None = None


def journey(
    letter: DeadLetter,
    message: InspectedMessage | None,
    snapshot: ClusterSnapshot,
    letters: Iterable[DeadLetter] = (),
) -> list[Step]:
    """Return the way of a letter's message, from its beginning to now.

    Args:
        letter: The letter.
        message: Its message, None when it is gone.
        snapshot: What is known of streams and consumers.
        letters: All dead letters, to tell what else became of the message and its copies.
    """
    known = {other.key: other for other in letters}
    same = [one for one in known.values() if (one.stream, one.sequence) == (letter.stream, letter.sequence)]
    failed = {one.consumer: one for one in same if one.kind is not LetterKind.STATION}
    if letter.kind is not LetterKind.STATION:
        failed.setdefault(letter.consumer, letter)
    steps = [_published(message), _stored(letter, message)]
    consumers = sorted(
        (one for one in snapshot.consumers.values() if one.stream == letter.stream), key=lambda one: one.name
    )
    subject = message.subject if message is not None else letter.original.subject
    for consumer in consumers:
        steps.append(_consumed(consumer, letter, subject, failed.get(consumer.name)))
    present = {consumer.name for consumer in consumers}
    for name, other in failed.items():
        if name and name not in present:
            steps.append(_gave_up(other, tr("The consumer does not exist any more.")))
    steps.append(_ended(letter))
    steps += _copies(letter, known)
    return steps


def _published(message: InspectedMessage | None) -> Step:
    if message is None:
        return Step(
            "published", "muted", tr("Published"), tr("The message is gone, and with it who published it.")
        )
    headers = message.headers
    attempt = attempt_of(headers)
    if attempt:
        origin = f"{headers.get(HEADER_STREAM) or '?'} #{headers.get(HEADER_SEQUENCE) or '?'}"
        consumer = headers.get(HEADER_CONSUMER)
        text = tr(
            "A dead letter sent again, attempt {attempt}: a copy of {origin}.", attempt=attempt, origin=origin
        )
        if consumer:
            text = tr(
                "A dead letter sent again, attempt {attempt}: a copy of {origin} of {consumer}.",
                attempt=attempt,
                origin=origin,
                consumer=consumer,
            )
        return Step("published", "information", tr("Published"), text)
    run = headers.get("Memphis-Replay-Run")
    if run:
        return Step("published", "information", tr("Published"), tr("A copy made by replay {run}.", run=run))
    source = headers.get("Nats-Stream-Source")
    if source:
        return Step(
            "published",
            "information",
            tr("Published"),
            tr("Copied from stream {stream}.", stream=source.split(" ")[0]),
        )
    producer = next((value for name in _PRODUCERS if (value := headers.get(name))), "")
    if producer:
        return Step("published", "good", tr("Published"), tr("By {producer}.", producer=producer))
    return Step("published", "good", tr("Published"), tr("Its headers do not say by whom."))


def _stored(letter: DeadLetter, message: InspectedMessage | None) -> Step:
    where = tr("Stored in {stream}", stream=letter.stream)
    if message is None:
        why = letter.original.why_gone or tr("It is gone")
        return Step(
            "stored",
            "warning",
            where,
            tr("It had sequence {sequence}. {why}.", sequence=format(letter.sequence, ","), why=why),
            None,
        )
    text = tr(
        "Sequence {sequence} on {subject}.", sequence=words.integer(message.sequence), subject=message.subject
    )
    return Step("stored", "good", where, text, message.time_ns)


def _consumed(
    consumer: ConsumerSnapshot, letter: DeadLetter, subject: str, failed: DeadLetter | None
) -> Step:
    if failed is not None:
        return _gave_up(failed)
    name, sequence = consumer.name, letter.sequence

    def step(token: str, text: str) -> Step:
        return Step("consumer", token, name, text, consumer=name)

    if subject and not matched_by(consumer.config, subject):
        return step("muted", tr("Its filter does not take this subject: never delivered."))
    if _begins_after(consumer, letter):
        return step("muted", tr("It was made to begin later: never delivered."))
    if sequence > consumer.delivered_stream:
        return step("information", tr("Not delivered yet."))
    if str(consumer.config.get("ack_policy") or "none") == "none":
        return step("good", tr("Delivered; this consumer does not acknowledge."))
    if sequence <= consumer.ack_floor_stream:
        return step("good", tr("Delivered and acknowledged."))
    if consumer.num_ack_pending == 0:
        return step("good", tr("Delivered and acknowledged."))
    text = tr_count(
        "Delivered; among the {count} that wait for an ack, or acknowledged already.",
        "Delivered; among the {count} that wait for an ack, or acknowledged already.",
        consumer.num_ack_pending,
        count=words.integer(consumer.num_ack_pending),
    )
    return step("warning", text)


def _gave_up(letter: DeadLetter, more: str = "") -> Step:
    if letter.kind is LetterKind.TERMINATED:
        said = tr('It said: "{reason}".', reason=letter.reason) if letter.reason else tr("It gave no reason.")
        text = f"{_then_terminated(letter.deliveries)} {said}"
    else:
        text = _never_acknowledged(letter.deliveries)
    text = f"{text} {more}".rstrip()
    return Step("consumer", "bad", letter.consumer, text, letter.failed_ns, letter.consumer)


def _then_terminated(deliveries: int | None) -> str:
    if not deliveries:
        return tr("Delivered several times, then terminated.")
    if deliveries == 1:
        return tr("Delivered once, then terminated.")
    return tr_count(
        "Delivered {count} time, then terminated.", "Delivered {count} times, then terminated.", deliveries
    )


def _never_acknowledged(deliveries: int | None) -> str:
    if not deliveries:
        return tr("Delivered several times and never acknowledged: the delivery limit was reached.")
    if deliveries == 1:
        return tr("Delivered once and never acknowledged: the delivery limit was reached.")
    return tr_count(
        "Delivered {count} time and never acknowledged: the delivery limit was reached.",
        "Delivered {count} times and never acknowledged: the delivery limit was reached.",
        deliveries,
    )


def _ended(letter: DeadLetter) -> Step:
    if letter.kind is LetterKind.STATION:
        parts = [tr("Put into the dead-letter station {station}.", station=letter.stream)]
        if letter.home and letter.home != letter.stream:
            parts.append(tr("It came from {station}.", station=letter.home))
        if letter.reason:
            parts.append(tr("Reason: {reason}.", reason=letter.reason))
    elif letter.records:
        parts = [tr("The advisory about it is captured.")]
    else:
        parts = [tr("Heard of while this program runs; nothing keeps it.")]
    if letter.original.presence is Presence.GONE:
        parts.append(tr("The message itself is gone: {why}.", why=letter.original.why_gone))
    return Step("dead", "bad", tr("Dead letter"), " ".join(parts), letter.failed_ns)


def _copies(letter: DeadLetter, known: Mapping[LetterKey, DeadLetter]) -> list[Step]:
    steps = []
    for copy in letter.resent:
        failed = next(
            (
                one
                for one in known.values()
                if copy.sequence and (one.stream, one.sequence) == (copy.stream, copy.sequence)
            ),
            None,
        )
        text = tr("On {subject}, handed to the consumer.", subject=copy.subject)
        if copy.sequence:
            place = f"{copy.stream} {words.sequence(copy.sequence)}"
            text = tr("On {subject}, stored as {place}.", subject=copy.subject, place=place)
        if failed is not None:
            again = tr(
                "It failed again at {consumer}: {cause}.",
                consumer=failed.consumer or failed.stream,
                cause=failed.cause,
            )
            text = f"{text} {again}"
        token = "bad" if failed is not None else "information"
        title = tr("Sent again, attempt {attempt}", attempt=copy.attempt)
        steps.append(
            Step(
                "resent", token, title, text, copy.time_ns, letter=failed.key if failed is not None else None
            )
        )
    return steps


def matched_by(config: Mapping[str, object], subject: str) -> bool:
    """Whether a consumer with this configuration takes messages on a subject."""
    wanted: Sequence[str] = filters(config)
    return not wanted or any(matches(pattern.encode(), subject.encode()) for pattern in wanted)


def _begins_after(consumer: ConsumerSnapshot, letter: DeadLetter) -> bool:
    config = consumer.config
    policy = config.get("deliver_policy")
    if policy == "by_start_sequence":
        return letter.sequence < int(config.get("opt_start_seq") or 0)
    stored = letter.original.time_ns
    if stored is None:
        return False
    if policy == "by_start_time":
        start = parse_time(str(config.get("opt_start_time") or ""))
        return start is not None and stored < start
    created = parse_time(consumer.created)
    return policy == "new" and created is not None and stored < created
