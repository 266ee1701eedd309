"""What a consumer was given and has not acknowledged: the messages, their age, and which look poisonous.

The broker tells how many there are and where the ack floor is, not which they are. So the messages between
floor and last delivery are candidates; the first of them is pending for certain, and when there are no more
candidates than pending ones, all are. Delivery counts come from advisories heard while this is open.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from .failures import MESSAGE_NOT_FOUND, ApiError, ClusterError
from .lag import filters
from .model import ConsumerSnapshot
from .times import parse_time

if TYPE_CHECKING:
    from .session import Session

log = logging.getLogger(__name__)

MAX_SHOWN = 100
POISON_DELIVERIES = 3
MAX_NOTES = 10_000
_EVENTS = {"MSG_NAKED": "refused", "MAX_DELIVERIES": "out of deliveries", "MSG_TERMINATED": "terminated"}


@dataclass(frozen=True, slots=True)
class PendingMessage:
    """A message between ack floor and last delivery.

    Attributes:
        sequence: Its stream sequence.
        subject: Its subject.
        time_ns: When it was stored.
        size: Bytes of its payload.
        certain: Whether it is pending for certain, rather than perhaps acknowledged out of order.
        deliveries: How often it was delivered, as far as advisories told; None when they did not.
        note: What an advisory said of it: refused, terminated, out of deliveries.
        suspicious: Whether it looks like one that can never be processed.
    """

    sequence: int
    subject: str
    time_ns: int | None
    size: int
    certain: bool
    deliveries: int | None
    note: str
    suspicious: bool


@dataclass(frozen=True, slots=True)
class PendingMessages:
    """What was found.

    Attributes:
        messages: The first of them, oldest first.
        candidates: Sequences between ack floor and last delivery, at most.
        pending: How many are pending, as the broker counts.
        complete: Whether `messages` holds every candidate.
    """

    messages: tuple[PendingMessage, ...]
    candidates: int
    pending: int
    complete: bool


class PendingReader:
    """Reads a consumer's pending messages again and again, each message from the broker once."""

    def __init__(self, session: Session, stream: str, consumer: str) -> None:
        self._session = session
        self._stream = stream
        self._consumer = consumer
        self._known: dict[int, tuple[str, int | None, int]] = {}
        self._notes: dict[int, tuple[str, int | None]] = {}
        self._subscriptions: list[Any] = []

    async def open(self) -> None:
        """Begin to hear advisories about single messages; without the permission it goes on without them."""
        for event in _EVENTS:
            subject = f"$JS.EVENT.ADVISORY.CONSUMER.{event}.{self._stream}.{self._consumer}"
            with contextlib.suppress(NatsError, ClusterError):
                self._subscriptions.append(await self._session.nats.subscribe(subject, cb=self._hear))

    async def close(self) -> None:
        """Hear no more."""
        subscriptions, self._subscriptions = self._subscriptions, []
        for subscription in subscriptions:
            with contextlib.suppress(NatsError):
                await subscription.unsubscribe()

    async def _hear(self, message: Msg) -> None:
        with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            advisory = orjson.loads(message.data)
            event = message.subject.split(".")[4]
            deliveries = advisory.get("deliveries")
            if len(self._notes) >= MAX_NOTES:
                self._notes.pop(next(iter(self._notes)))
            self._notes[int(advisory["stream_seq"])] = (
                _EVENTS.get(event, ""),
                int(deliveries) if deliveries is not None else None,
            )

    async def read(
        self, consumer: ConsumerSnapshot, progress: Callable[[int], None] | None = None
    ) -> PendingMessages:
        """Return the pending messages of a consumer as it is in a snapshot.

        Args:
            consumer: The consumer, with its floor and its last delivery.
            progress: Called with the number of messages read so far.

        Raises:
            ClusterError: The broker could not be asked.
        """
        floor, last = consumer.ack_floor_stream, consumer.delivered_stream
        candidates = max(0, last - floor)
        if not consumer.num_ack_pending:
            return PendingMessages((), candidates, 0, True)
        subjects = filters(consumer.config) or (">",)
        sequences: list[int] = []
        position = floor + 1
        while position <= last and len(sequences) < MAX_SHOWN:
            found = await self._next(position, subjects)
            if found is None or found > last:
                position = last + 1
                break
            sequences.append(found)
            position = found + 1
            if progress is not None:
                progress(len(sequences))
        complete = position > last
        self._known = {sequence: self._known[sequence] for sequence in sequences}
        all_pending = complete and len(sequences) <= consumer.num_ack_pending
        messages = tuple(
            self._message(sequence, certain=all_pending or index == 0)
            for index, sequence in enumerate(sequences)
        )
        return PendingMessages(messages, candidates, consumer.num_ack_pending, complete)

    async def _next(self, position: int, subjects: tuple[str, ...]) -> int | None:
        """Return the first matching sequence from a position on, reading its message when it is new."""
        if position in self._known:
            return position
        best: int | None = None
        for subject in subjects:
            try:
                answer = await self._session.api(
                    f"STREAM.MSG.GET.{self._stream}", {"seq": position, "next_by_subj": subject}
                )
            except ApiError as error:
                if error.err_code == MESSAGE_NOT_FOUND:
                    continue
                raise
            message = answer["message"]
            sequence = int(message["seq"])
            size = len(message.get("data") or "") * 3 // 4
            self._known[sequence] = (str(message["subject"]), parse_time(message.get("time")), size)
            best = sequence if best is None else min(best, sequence)
        return best

    def _message(self, sequence: int, *, certain: bool) -> PendingMessage:
        subject, time_ns, size = self._known[sequence]
        note, deliveries = self._notes.get(sequence, ("", None))
        suspicious = note in ("terminated", "out of deliveries") or (deliveries or 0) >= POISON_DELIVERIES
        return PendingMessage(sequence, subject, time_ns, size, certain, deliveries, note, suspicious)
