"""Sending to one consumer only, where the server has no such thing: what is possible, and what it changes.

A push consumer is reached on its deliver subject. A pull consumer gets what its stream stores, and so does
every other consumer whose filter fits. So either the original subject reaches nobody else, or the stream
gets one more subject that only this consumer takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memphis_desktop.language import tr
from memphis_desktop.protocol.subjects import overlaps

from ..actions import Action, update_consumer, update_stream
from ..lag import filters
from ..model import ClusterSnapshot, ConsumerSnapshot
from .journey import matched_by

if TYPE_CHECKING:
    from ..session import Session

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
    """Return how to reach one consumer with messages of these subjects.

    Raises:
        NotPossible: It cannot be reached alone.
    """
    target = snapshot.consumers.get((stream, consumer))
    station = snapshot.streams.get(stream)
    if target is None or station is None:
        raise NotPossible(tr("The consumer {consumer} does not exist any more.", consumer=consumer))
    if not target.is_pull:
        deliver = str(target.config["deliver_subject"])
        text = tr(
            "{consumer} is a push consumer: copies are published to {deliver}, where its clients listen. "
            "They are not stored, so an ack of them has no effect and nobody delivers them again.",
            consumer=consumer,
            deliver=deliver,
        )
        return ConsumerPlan(stream, consumer, deliver, True, text)
    others = [one for one in snapshot.consumers.values() if one.stream == stream and one.name != consumer]
    if subjects and not any(matched_by(one.config, subject) for one in others for subject in subjects):
        text = tr(
            "No other consumer of {stream} takes these subjects: only {consumer} gets the copies.",
            stream=stream,
            consumer=consumer,
        )
        return ConsumerPlan(stream, consumer, "", False, text)
    return _private_subject(station.config, target, others)


def _private_subject(
    config: Mapping[str, Any], target: ConsumerSnapshot, others: Sequence[ConsumerSnapshot]
) -> ConsumerPlan:
    private = f"{PRIVATE_PREFIX}.{target.stream}.{target.name}"
    unfiltered = [
        one.name
        for one in others
        if not filters(one.config)
        or any(overlaps(pattern.encode(), private.encode()) for pattern in filters(one.config))
    ]
    if unfiltered:
        names = ", ".join(sorted(unfiltered)[:4]) + (" …" if len(unfiltered) > 4 else "")
        raise NotPossible(
            tr(
                "{names} take every subject of {stream}, so they would get the copies too. "
                "Give them filters, or send to all.",
                names=names,
                stream=target.stream,
            )
            if len(unfiltered) > 1
            else tr(
                "{names} takes every subject of {stream}, so it would get the copies too. "
                "Give it a filter, or send to all.",
                names=names,
                stream=target.stream,
            )
        )
    if config.get("mirror") or config.get("sealed"):
        raise NotPossible(
            tr("{stream} is a mirror or sealed: nothing can be published to it.", stream=target.stream)
        )
    changes: list[Action] = []
    own = [str(subject) for subject in config.get("subjects") or ()]
    if private not in own:
        changes.append(update_stream({**config, "subjects": [*own, private]}, config))
    wanted = list(filters(target.config))
    if wanted and private not in wanted:
        after = {key: value for key, value in target.config.items() if key != "filter_subject"}
        after["filter_subjects"] = [*wanted, private]
        changes.append(update_consumer(target.stream, after, target.config))
    text = tr(
        "Copies go to {private}, which only {name} takes; a header has the original subject.",
        private=private,
        name=target.name,
    )
    if changes:
        places = " and ".join(_what(change) for change in changes)
        more = tr("Before that, it is added to {places}, and stays there.", places=places)
        text = f"{text} {more}"
    return ConsumerPlan(target.stream, target.name, private, False, text, tuple(changes))


def _what(change: Action) -> str:
    return "the consumer's filters" if "CONSUMER" in change.suffix else "the station's subjects"


__all__ = ["ConsumerPlan", "NotPossible", "plan_for"]
