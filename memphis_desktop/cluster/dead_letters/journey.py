"""The way of one message: who published it, where it was stored, what each consumer did, how it ended.

A server keeps no record for each message and consumer. What can be said follows from the consumer's filter,
its ack floor and its last delivery; where that leaves a doubt, the step says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from memphis_desktop.inspect.message import InspectedMessage
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
            steps.append(_gave_up(other, " The consumer does not exist any more."))
    steps.append(_ended(letter))
    steps += _copies(letter, known)
    return steps


def _published(message: InspectedMessage | None) -> Step:
    if message is None:
        return Step("published", "muted", "Published", "The message is gone, and with it who published it.")
    headers = message.headers
    attempt = attempt_of(headers)
    if attempt:
        origin = f"{headers.get(HEADER_STREAM) or '?'} #{headers.get(HEADER_SEQUENCE) or '?'}"
        consumer = headers.get(HEADER_CONSUMER)
        text = f"A dead letter sent again, attempt {attempt}: a copy of {origin}"
        return Step(
            "published", "information", "Published", f"{text} of {consumer}." if consumer else f"{text}."
        )
    run = headers.get("Memphis-Replay-Run")
    if run:
        return Step("published", "information", "Published", f"A copy made by replay {run}.")
    source = headers.get("Nats-Stream-Source")
    if source:
        return Step("published", "information", "Published", f"Copied from stream {source.split(' ')[0]}.")
    producer = next((value for name in _PRODUCERS if (value := headers.get(name))), "")
    if producer:
        return Step("published", "good", "Published", f"By {producer}.")
    return Step("published", "good", "Published", "Its headers do not say by whom.")


def _stored(letter: DeadLetter, message: InspectedMessage | None) -> Step:
    where = f"Stored in {letter.stream}"
    if message is None:
        why = letter.original.why_gone or "It is gone"
        return Step("stored", "warning", where, f"It had sequence {letter.sequence:,}. {why}.", None)
    text = f"Sequence {message.sequence:,} on {message.subject}."
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
        return step("muted", "Its filter does not take this subject: never delivered.")
    if _begins_after(consumer, letter):
        return step("muted", "It was made to begin later: never delivered.")
    if sequence > consumer.delivered_stream:
        return step("information", "Not delivered yet.")
    if str(consumer.config.get("ack_policy") or "none") == "none":
        return step("good", "Delivered; this consumer does not acknowledge.")
    if sequence <= consumer.ack_floor_stream:
        return step("good", "Delivered and acknowledged.")
    if consumer.num_ack_pending == 0:
        return step("good", "Delivered and acknowledged.")
    text = f"Delivered; among the {consumer.num_ack_pending:,} that wait for an ack, or acknowledged already."
    return step("warning", text)


def _gave_up(letter: DeadLetter, more: str = "") -> Step:
    times = "once" if letter.deliveries == 1 else f"{letter.deliveries or 'several'} times"
    if letter.kind is LetterKind.TERMINATED:
        said = f' It said: "{letter.reason}".' if letter.reason else " It gave no reason."
        text = f"Delivered {times}, then terminated.{said}{more}"
    else:
        text = f"Delivered {times} and never acknowledged: the delivery limit was reached.{more}"
    return Step("consumer", "bad", letter.consumer, text, letter.failed_ns, letter.consumer)


def _ended(letter: DeadLetter) -> Step:
    if letter.kind is LetterKind.STATION:
        origin = f" It came from {letter.home}." if letter.home and letter.home != letter.stream else ""
        text = f"Put into the dead-letter station {letter.stream}.{origin}"
        if letter.reason:
            text += f" Reason: {letter.reason}."
    elif letter.records:
        text = "The advisory about it is captured."
    else:
        text = "Heard of while this program runs; nothing keeps it."
    if letter.original.presence is Presence.GONE:
        why = letter.original.why_gone
        text += f" The message itself is gone: {why[:1].lower()}{why[1:]}."
    return Step("dead", "bad", "Dead letter", text, letter.failed_ns)


def _copies(letter: DeadLetter, known: Mapping[LetterKey, DeadLetter]) -> list[Step]:
    steps = []
    for copy in letter.resent:
        where = f"stored as {copy.stream} #{copy.sequence:,}" if copy.sequence else "handed to the consumer"
        failed = next(
            (
                one
                for one in known.values()
                if copy.sequence and (one.stream, one.sequence) == (copy.stream, copy.sequence)
            ),
            None,
        )
        text = f"On {copy.subject}, {where}."
        if failed is not None:
            text += f" It failed again at {failed.consumer or failed.stream}: {failed.cause}."
        token = "bad" if failed is not None else "information"
        title = f"Sent again, attempt {copy.attempt}"
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
