"""Sending to one consumer only, where the server has no such thing: what is possible, and what it changes.

A push consumer is reached on its deliver subject. A pull consumer gets what its stream stores, and so does
every other consumer whose filter fits. So either the subjects of the copies reach nobody else, or the stream
gets one more subject that only this consumer takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memphis_desktop.language import tr
from memphis_desktop.protocol.subjects import is_subset, overlaps

from .actions import Action, update_consumer, update_stream
from .lag import filters
from .model import ClusterSnapshot

if TYPE_CHECKING:
    from .session import Session

Config = Mapping[str, Any]

PRIVATE_PREFIX = "memphis-desktop.resend"


@dataclass(frozen=True, slots=True)
class ConsumerPlan:
    """How one consumer is reached.

    Attributes:
        stream, consumer: Who.
        subject: Where copies are published; empty for each message's original subject.
        direct: Whether they go to clients at once, without being stored.
        explanation: What happens, in a sentence or two.
        changes: What has to be changed first, in order.
    """

    stream: str
    consumer: str
    subject: str
    direct: bool
    explanation: str
    changes: tuple[Action, ...] = ()

    async def prepare(self, session: Session) -> None:
        """Make the changes; raises `ClusterError` when one is refused."""
        for change in self.changes:
            await change.run(session)


class NotPossible(Exception):
    """Others would get the message too; the text says who and what to do."""


def plan_for(snapshot: ClusterSnapshot, stream: str, consumer: str, subjects: Sequence[str]) -> ConsumerPlan:
    """Return how to reach one consumer, as far as a snapshot tells; arguments and errors as `plan`."""
    station = snapshot.streams.get(stream)
    configs = {one.name: one.config for one in snapshot.consumers.values() if one.stream == stream}
    return plan(station.config if station is not None else None, stream, configs, consumer, subjects)


async def read_plan(session: Session, stream: str, consumer: str, subjects: Sequence[str]) -> ConsumerPlan:
    """Return how to reach one consumer, with every consumer read from the server now.

    Raises:
        NotPossible: It cannot be reached alone.
        ClusterError: The server did not answer, or there is no such station.
    """
    info = await session.api(f"STREAM.INFO.{stream}")
    configs: dict[str, Config] = {}
    while True:
        answer = await session.api(f"CONSUMER.LIST.{stream}", {"offset": len(configs)})
        page = answer.get("consumers") or []
        configs |= {str(one["name"]): one.get("config") or {} for one in page}
        if not page or len(configs) >= int(answer.get("total") or 0):
            break
    return plan(info.get("config") or {}, stream, configs, consumer, subjects)


def plan(
    station: Config | None,
    stream: str,
    consumers: Mapping[str, Config],
    consumer: str,
    subjects: Sequence[str],
) -> ConsumerPlan:
    """Return how to reach one consumer with messages of these subjects.

    Args:
        station: The configuration of the consumer's stream; None when there is none.
        stream: The stream's name.
        consumers: The configurations of all its consumers, by name.
        consumer: The one to reach.
        subjects: Of the messages, or patterns that cover them.

    Raises:
        NotPossible: It cannot be reached alone.
    """
    target = consumers.get(consumer)
    if target is None or station is None:
        raise NotPossible(tr("The consumer {consumer} does not exist any more.", consumer=consumer))
    if target.get("deliver_subject"):
        deliver = str(target["deliver_subject"])
        text = tr(
            "{consumer} is a push consumer: copies are published to {deliver}, where its clients listen. "
            "They are not stored, so an ack of them has no effect and nobody delivers them again.",
            consumer=consumer,
            deliver=deliver,
        )
        return ConsumerPlan(stream, consumer, deliver, True, text)
    others = {name: config for name, config in consumers.items() if name != consumer}
    stored = _all_within(subjects, station.get("subjects") or ())
    taken = not filters(target) or _all_within(subjects, filters(target))
    if subjects and stored and taken and not any(_takes(one, subjects) for one in others.values()):
        text = tr(
            "No other consumer of {stream} takes these subjects: only {consumer} gets the copies.",
            stream=stream,
            consumer=consumer,
        )
        return ConsumerPlan(stream, consumer, "", False, text)
    return _private_subject(station, stream, consumer, target, others)


def _takes(config: Config, subjects: Sequence[str]) -> bool:
    """Whether a consumer may get one of these subjects."""
    wanted = filters(config)
    return not wanted or any(
        overlaps(pattern.encode(), subject.encode()) for pattern in wanted for subject in subjects
    )


def _all_within(subjects: Sequence[str], patterns: Sequence[str]) -> bool:
    """Whether each of the subjects lies within one of the patterns."""
    return all(
        any(is_subset(subject.encode(), pattern.encode()) for pattern in patterns) for subject in subjects
    )


def _private_subject(
    station: Config, stream: str, consumer: str, target: Config, others: Mapping[str, Config]
) -> ConsumerPlan:
    private = f"{PRIVATE_PREFIX}.{stream}.{consumer}"
    unfiltered = sorted(name for name, config in others.items() if _takes(config, [private]))
    if unfiltered:
        names = ", ".join(unfiltered[:4]) + (" …" if len(unfiltered) > 4 else "")
        raise NotPossible(
            tr(
                "{names} take every subject of {stream}, so they would get the copies too. "
                "Give them filters, or send to all.",
                names=names,
                stream=stream,
            )
            if len(unfiltered) > 1
            else tr(
                "{names} takes every subject of {stream}, so it would get the copies too. "
                "Give it a filter, or send to all.",
                names=names,
                stream=stream,
            )
        )
    if station.get("mirror") or station.get("sealed"):
        raise NotPossible(
            tr("{stream} is a mirror or sealed: nothing can be published to it.", stream=stream)
        )
    changes: list[Action] = []
    own = [str(subject) for subject in station.get("subjects") or ()]
    if not any(is_subset(private.encode(), subject.encode()) for subject in own):
        changes.append(update_stream({**station, "subjects": [*own, private]}, station))
    wanted = list(filters(target))
    if wanted and private not in wanted:
        after = {key: value for key, value in target.items() if key != "filter_subject"}
        after["filter_subjects"] = [*wanted, private]
        changes.append(update_consumer(stream, after, target))
    text = tr(
        "Copies go to {private}, which only {name} takes; a header has the original subject.",
        private=private,
        name=consumer,
    )
    if changes:
        text = f"{text} {_told(changes)}"
    return ConsumerPlan(stream, consumer, private, False, text, tuple(changes))


def _told(changes: Sequence[Action]) -> str:
    """What is changed before anything can be sent."""
    if len(changes) > 1:
        return tr("Before that, it is added to the station's subjects and the consumer's filters, to stay.")
    if "CONSUMER" in changes[0].suffix:
        return tr("Before that, it is added to the consumer's filters, and stays there.")
    return tr("Before that, it is added to the station's subjects, and stays there.")


__all__ = ["ConsumerPlan", "NotPossible", "plan", "plan_for", "read_plan"]
