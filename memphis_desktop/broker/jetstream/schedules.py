"""Scheduled messages: templates in the stream that produce messages at their times (2.13)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from memphis_desktop.broker.jetstream.cron import CronPattern
from memphis_desktop.broker.jetstream.errors import ApiError
from memphis_desktop.broker.jetstream.message_headers import (
    SCHEDULE,
    SCHEDULE_NEXT,
    SCHEDULE_ROLLUP,
    SCHEDULE_SOURCE,
    SCHEDULE_TARGET,
    SCHEDULE_TIME_ZONE,
    SCHEDULE_TTL,
    SCHEDULER,
    nats_fields,
    parse_ttl,
)
from memphis_desktop.broker.jetstream.times import (
    SECOND_NS,
    format_time,
    parse_duration,
    parse_time,
)
from memphis_desktop.broker.store.interface import StorageError, StoredMessage
from memphis_desktop.protocol import headers, subjects

if TYPE_CHECKING:
    from memphis_desktop.broker.clock import Timer
    from memphis_desktop.broker.jetstream.stream import Stream

_log = logging.getLogger(__name__)

PURGE = b"purge"
_NAMED = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
}
# Schedules that are due fire together, not more often than this.
_LEAST_DELAY = 0.25
# Templates are looked for at the start of a stream, so many in one turn of the loop.
_SLICE = 2000
# What a produced message does not take over from its template.
_NOT_COPIED = (b"Nats-Schedule", b"Nats-Expected-", b"Nats-Msg-Id:", b"Nats-TTL:", b"Nats-Rollup:")


class Schedule:
    """When a template's messages are due."""

    def __init__(self, pattern: str, time_zone: bytes | None) -> None:
        """Read a ``Nats-Schedule`` value and its time zone.

        Raises:
            ApiError: 10189 for the pattern, 10223 for the time zone.
        """
        self.once_ns: int | None = None
        self._every_ns = 0
        self._cron: CronPattern | None = None
        zone = _time_zone(time_zone)
        try:
            if pattern.startswith(("@at ", "@every ")):
                if zone is not None:
                    raise ValueError("a time zone is for cron patterns only")
                if pattern.startswith("@at "):
                    self.once_ns = parse_time(pattern[4:])
                else:
                    self._every_ns = parse_duration(pattern[7:])
                    if self._every_ns < SECOND_NS:
                        raise ValueError("an interval is a second or more")
            else:
                fields = _NAMED.get(pattern, pattern)
                self._cron = CronPattern(fields, zone) if zone is not None else CronPattern(fields)
                self._cron.next_after(0)
        except (ValueError, OverflowError):
            raise ApiError(10189) from None

    @property
    def repeats(self) -> bool:
        """Whether it is due again and again."""
        return self.once_ns is None

    def next_after(self, time_ns: int, now_ns: int) -> int:
        """Return when it is due next, after it was due at `time_ns`; what was missed until now is skipped."""
        if self.once_ns is not None:
            return self.once_ns
        if self._cron is not None:
            due = self._cron.next_after(time_ns)
            return due if due >= now_ns else self._cron.next_after(_round(now_ns))
        due = _round(time_ns) + self._every_ns
        return due if due >= now_ns else _round(now_ns) + self._every_ns


@dataclass(slots=True)
class _Template:
    sequence: int
    due_ns: int
    schedule: Schedule


class Scheduler:
    """Produces the messages of one stream's schedules."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._templates: dict[bytes, _Template] = {}
        self._due: list[tuple[int, int, bytes]] = []  # heap of (due, sequence, subject); may hold old ones
        self._timer: Timer | None = None

    # -- life ------------------------------------------------------------------------------------------------
    def recover(self) -> None:
        """Find the templates of a stream that was opened, a slice per turn of the loop."""
        names = list(self._stream.messages.subjects())
        self._recover_slice(names)

    def stop(self) -> None:
        """Produce nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._templates.clear()
        self._due.clear()

    # -- what the stream tells -------------------------------------------------------------------------------
    def stored(self, subject: bytes, sequence: int, time_ns: int, fields: dict[bytes, bytes]) -> None:
        """Take a template that was just stored, or forget one that another message has replaced."""
        if SCHEDULE not in fields:
            self._templates.pop(subject, None)
            return
        schedule = _schedule_of(fields)
        due = schedule.next_after(time_ns, self._stream.node.clock.time_ns())
        self._templates[subject] = _Template(sequence, due, schedule)
        heappush(self._due, (due, sequence, subject))
        if self._due[0][1] == sequence:
            self._plan()

    # -- inside ----------------------------------------------------------------------------------------------
    def _recover_slice(self, names: list[bytes]) -> None:
        stream = self._stream
        if stream.closed:
            return
        part, rest = names[:_SLICE], names[_SLICE:]
        sequences = sorted(
            sequence for name in part if (sequence := stream.messages.last_of_subject(name)) is not None
        )
        for message in stream.messages.read_many(sequences):
            fields = nats_fields(message.body, message.header_size) if message.header_size else {}
            if SCHEDULE in fields and message.subject not in self._templates:
                try:
                    self.stored(message.subject, message.sequence, message.time_ns, fields)
                except ApiError as error:
                    _log.warning("The schedule '%s' is left alone: %s", message.subject.decode(), error)
        if rest:
            stream.node.clock.call_soon(lambda: self._recover_slice(rest))

    def _plan(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._due or self._stream.closed:
            return
        delay = max((self._due[0][0] - self._stream.node.clock.time_ns()) / SECOND_NS, _LEAST_DELAY)
        self._timer = self._stream.node.clock.call_later(delay, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = self._stream.node.clock.time_ns()
        ripe = []
        while self._due and self._due[0][0] <= now:
            due, sequence, subject = heappop(self._due)
            template = self._templates.get(subject)
            if template is not None and (template.sequence, template.due_ns) == (sequence, due):
                ripe.append((sequence, subject, template))
        for _, subject, template in sorted(ripe, key=lambda one: one[0]):
            try:
                self._produce(subject, template, now)
            except StorageError as error:
                _log.error("The schedule '%s' can not be served: %s", subject.decode(), error)
                template.due_ns = now + SECOND_NS
                heappush(self._due, (template.due_ns, template.sequence, subject))
        self._plan()
        self._stream.node.flush()

    def _produce(self, subject: bytes, template: _Template, now: int) -> None:
        """Publish what is due into the stream; the schedule itself goes when that was its only time."""
        stream = self._stream
        message = stream.messages.read(template.sequence)
        if message is None:
            del self._templates[subject]  # purged or deleted meanwhile
            return
        fields = nats_fields(message.body, message.header_size)
        content = self._content(message, fields)
        repeats = template.schedule.repeats
        following = template.schedule.next_after(template.due_ns, now) if repeats else 0
        added = [(SCHEDULER, subject), (SCHEDULE_NEXT, format_time(following).encode() if repeats else PURGE)]
        if fields.get(SCHEDULE_TTL):
            added.append((b"Nats-TTL", fields[SCHEDULE_TTL]))
        if fields.get(SCHEDULE_ROLLUP):
            added.append((b"Nats-Rollup", fields[SCHEDULE_ROLLUP]))
        kept = (
            headers.without(content.body[: content.header_size], _NOT_COPIED) if content.header_size else b""
        )
        block = headers.extend(kept, added)
        stream.store_own(fields[SCHEDULE_TARGET], len(block), block + content.body[content.header_size :])
        if repeats:
            template.due_ns = following
            heappush(self._due, (following, template.sequence, subject))
        else:
            self._templates.pop(subject, None)

    def _content(self, template: StoredMessage, fields: dict[bytes, bytes]) -> StoredMessage:
        """Return the message whose headers and payload are taken: the template or the last of its source."""
        source = fields.get(SCHEDULE_SOURCE)
        if source:
            last = self._stream.messages.last_of_subject(source)
            message = self._stream.messages.read(last) if last is not None else None
            if message is not None:
                return message
        return template


def check_schedule(subject: bytes, fields: dict[bytes, bytes], stream: Stream) -> bool:
    """Check a message with a ``Nats-Schedule`` or ``Nats-Schedule-Time-Zone`` header.

    Returns whether it is a template.

    Raises:
        ApiError: it may not be stored.
    """
    config = stream.config
    try:
        _time_zone(fields.get(SCHEDULE_TIME_ZONE))
        if not fields.get(SCHEDULE):
            return False
        _schedule_of(fields)
    except ApiError:
        if config.allow_msg_schedules:
            raise
        raise ApiError(10188) from None
    if not config.allow_msg_schedules:
        raise ApiError(10188)
    ttl = fields.get(SCHEDULE_TTL, b"")
    if parse_ttl(ttl) is None:
        raise ApiError(10191)
    if fields.get(SCHEDULE_ROLLUP, b"sub") != b"sub":
        raise ApiError(10192)
    if ttl and not config.allow_msg_ttl:
        raise ApiError(10166)
    target = fields.get(SCHEDULE_TARGET, b"")
    if not target or target == subject or not subjects.is_literal(target):
        raise ApiError(10190)
    source = fields.get(SCHEDULE_SOURCE, b"")
    if source and (source in (target, subject) or not subjects.is_literal(source)):
        raise ApiError(10203)
    patterns = [pattern.encode() for pattern in config.subjects]
    if not any(subjects.matches(pattern, target) for pattern in patterns):
        raise ApiError(10190)
    if source and not any(subjects.matches(pattern, source) for pattern in patterns):
        raise ApiError(10203)
    return True


def check_scheduler(
    subject: bytes, fields: dict[bytes, bytes], stream: Stream, *, staged: bool = False
) -> None:
    """Check the headers with which a client ends a schedule.

    Args:
        subject: the message's.
        fields: its ``Nats-`` headers.
        stream: where it goes.
        staged: the schedule is known to be one from the same batch.

    Raises:
        ApiError: 10212, or 10188 when the stream has no schedules.
    """
    following = fields.get(SCHEDULE_NEXT)
    scheduler = fields.get(SCHEDULER, b"")
    if not following:
        if scheduler:
            raise ApiError(10212)
        return
    if following != PURGE or not scheduler or scheduler == subject or not subjects.is_literal(scheduler):
        raise ApiError(10212)
    if not stream.config.allow_msg_schedules:
        raise ApiError(10188)
    last = stream.messages.last_of_subject(scheduler)
    message = stream.messages.read(last) if last is not None and not staged else None
    if message is not None and SCHEDULE not in nats_fields(message.body, message.header_size):
        raise ApiError(10212)


def _schedule_of(fields: dict[bytes, bytes]) -> Schedule:
    pattern = fields[SCHEDULE].decode("utf-8", "replace")
    return Schedule(pattern, fields.get(SCHEDULE_TIME_ZONE))


def _time_zone(name: bytes | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        if not name:
            raise ValueError("an empty time zone")
        return ZoneInfo(name.decode())
    except (ValueError, OSError, KeyError):
        raise ApiError(10223) from None


def _round(time_ns: int) -> int:
    """Return the nearest full second."""
    return (time_ns + SECOND_NS // 2) // SECOND_NS * SECOND_NS
