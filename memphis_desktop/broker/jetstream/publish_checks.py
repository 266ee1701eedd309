"""What has to hold of a published message before it is stored (2.5, 2.12 and 2.13 of the protocol notes)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from memphis_desktop.broker.jetstream import counters
from memphis_desktop.broker.jetstream.errors import (
    STREAM_STORE_FAILED,
    WRONG_LAST_SEQUENCE,
    ApiError,
)
from memphis_desktop.broker.jetstream.message_headers import (
    EXPECTED_LAST_MESSAGE_ID,
    EXPECTED_LAST_SEQUENCE,
    EXPECTED_LAST_SUBJECT_SEQUENCE,
    EXPECTED_LAST_SUBJECT_SEQUENCE_SUBJECT,
    EXPECTED_STREAM,
    MESSAGE_ID,
    MESSAGE_TTL,
    ROLLUP,
    SCHEDULE,
    SCHEDULE_NEXT,
    SCHEDULE_TIME_ZONE,
    SCHEDULER,
    STREAM_SOURCE,
    nats_fields,
    parse_sequence,
    parse_ttl,
    replace_field,
)
from memphis_desktop.broker.jetstream.schedules import check_schedule, check_scheduler
from memphis_desktop.broker.jetstream.times import SECOND_NS
from memphis_desktop.protocol import headers, subjects

if TYPE_CHECKING:
    from memphis_desktop.broker.jetstream.stream import Stream

MAX_HEADER_SIZE = 65535
_WRONG_LAST_SEQUENCE_IN_BATCH = 10164


class DuplicateMessage(Exception):
    """The message's id was seen before; not an error, but answered differently."""

    def __init__(self, message_id: bytes) -> None:
        super().__init__(message_id)
        self.message_id = message_id


@dataclass(slots=True)
class Publication:
    """A message on its way into a stream; checks may change it.

    Attributes:
        fields: its ``Nats-`` headers.
        message_id: the id to remember, b"" for none.
        rollup: b"sub", b"all" or b"".
        value: what a counter has become, "" for other messages.
        sourced: it comes from another stream, whose server checked it.
    """

    subject: bytes
    header_size: int
    body: bytes
    fields: dict[bytes, bytes] = field(default_factory=dict)
    message_id: bytes = b""
    rollup: bytes = b""
    value: str = ""
    sourced: bool = False

    def __post_init__(self) -> None:
        if self.header_size:
            self.fields = nats_fields(self.body, self.header_size)

    def set_header(self, key: bytes, value: bytes) -> None:
        """Give a header this value, in place of an older one."""
        block = self.body[: self.header_size]
        block = replace_field(block, key, value) if block else headers.extend(b"", [(key, value)])
        self.body = block + self.body[self.header_size :]
        self.header_size = len(block)
        self.fields[key] = value

    def remove_header(self, key: bytes) -> None:
        """Take a header out, and the whole block when nothing is left in it."""
        block = headers.without(self.body[: self.header_size], (key + b":",))
        self.body = block + self.body[self.header_size :]
        self.header_size = len(block)
        self.fields.pop(key, None)


@dataclass(slots=True)
class StagedSubject:
    """What a batch does to one subject."""

    messages: int = 0
    size: int = 0
    is_schedule: bool = False


@dataclass(slots=True)
class StagedBatch:
    """What the messages of a batch would change, while the stream is still as it was before the batch."""

    messages: int = 0
    size: int = 0
    message_ids: set[bytes] = field(default_factory=set)
    subjects: dict[bytes, StagedSubject] = field(default_factory=dict)
    expected: dict[bytes, int] = field(default_factory=dict)
    counters: dict[bytes, counters.Counter] = field(default_factory=dict)


class PublishChecks:
    """The checks of one stream."""

    def __init__(self, stream: Stream, flush: Callable[[], object], last_id: Callable[[], bytes]) -> None:
        """Prepare the checks.

        Args:
            stream: whose messages these are.
            flush: stores what was taken before the message that is checked.
            last_id: returns the id of the message before it.
        """
        self._stream = stream
        self._flush = flush
        self._last_id = last_id

    # -- one message by itself -------------------------------------------------------------------------------
    def check(self, publication: Publication) -> None:
        """Check a message that was published by itself, against the stream as it is.

        Raises:
            ApiError: it is refused.
            DuplicateMessage: it was stored before.
        """
        stream = self._stream
        config = stream.config
        if config.sealed:
            raise ApiError(10109)
        if 0 <= config.max_msg_size < len(publication.body):
            raise ApiError(10054)
        fields = publication.fields
        increment = None
        if fields or config.allow_msg_counter or self._stream.refuses_when_full:
            self._flush()
        if fields:
            increment = self._increment_of(publication)
            self._check_stream_name(fields)
            if (
                not publication.sourced
                and not config.allow_msg_ttl
                and parse_ttl(fields.get(MESSAGE_TTL, b""))
            ):
                raise ApiError(10166)
            self._check_subject_sequence(publication.subject, fields)
            self._check_last_sequence(fields, stream.messages.last_sequence)
            if not publication.sourced:
                self._check_schedule(publication)
                check_scheduler(publication.subject, fields, stream)
                if fields.get(STREAM_SOURCE):
                    raise ApiError(10227)
            self._check_id(publication)
            expected_id = fields.get(EXPECTED_LAST_MESSAGE_ID)
            if expected_id and expected_id != self._last_id():
                raise ApiError(10070, id=self._last_id().decode("utf-8", "replace"))
            self._check_rollup(publication)
        if config.allow_msg_counter:
            if increment is None:
                raise ApiError(10169)
            counter = counters.load(stream.messages, publication.subject)
            publication.value = counter.add(publication, increment)
        # A counter's sum was put in meanwhile.
        if 0 <= config.max_msg_size < len(publication.body):
            raise ApiError(10054)
        if publication.header_size > MAX_HEADER_SIZE:
            raise ApiError(10097)
        stream.check_account_usage(len(publication.subject) + len(publication.body))
        self._adjust_ttl(publication)
        if stream.refuses_when_full:
            refusal = self._refusal(publication)
            if refusal is not None:
                raise ApiError(STREAM_STORE_FAILED, refusal)

    # -- one message of a batch ------------------------------------------------------------------------------
    def check_staged(self, publication: Publication, staged: StagedBatch) -> None:
        """Check a message of a batch against the stream as it was before it, and what the batch has so far.

        Raises:
            ApiError: the message, and with it the batch, is refused.
            DuplicateMessage: it was stored before, or is in the batch already.
        """
        stream = self._stream
        config = stream.config
        subject, fields = publication.subject, publication.fields
        increment = None
        if fields or publication.header_size:
            if publication.header_size > MAX_HEADER_SIZE:
                raise ApiError(10097)
            increment = self._increment_of(publication)
            self._check_stream_name(fields)
            ttl = parse_ttl(fields.get(MESSAGE_TTL, b""))
            if ttl != 0 and not config.allow_msg_ttl:
                raise ApiError(10166)
            if ttl is None:
                raise ApiError(10165)
            self._check_id(publication)
            if publication.message_id:
                if publication.message_id in staged.message_ids:
                    raise DuplicateMessage(publication.message_id)
                staged.message_ids.add(publication.message_id)
            if fields.get(STREAM_SOURCE):
                raise ApiError(10227)
        if config.allow_msg_counter:
            if increment is None:
                raise ApiError(10169)
            counter = staged.counters.get(subject) or counters.load(stream.messages, subject)
            publication.value = counter.add(publication, increment)
            staged.counters[subject] = counter
        if fields:
            if fields.get(EXPECTED_LAST_SEQUENCE) and staged.subjects:
                self._check_last_sequence(fields, stream.messages.last_sequence + staged.messages)
                raise ApiError(_WRONG_LAST_SEQUENCE_IN_BATCH)
            self._check_last_sequence(fields, stream.messages.last_sequence + staged.messages)
            self._check_staged_subject_sequence(subject, fields, staged)
            self._check_schedule(publication)
            self._check_staged_scheduler(subject, fields, staged)
            self._check_rollup(publication)
            if publication.rollup == b"sub" and subject in staged.subjects:
                raise ApiError(10111, "batch rollup sub invalid")
            if publication.rollup == b"all" and staged.subjects:
                raise ApiError(10111, "batch rollup all invalid")
        self._stage(publication, staged)
        self._adjust_ttl(publication)

    # -- parts -----------------------------------------------------------------------------------------------
    def _increment_of(self, publication: Publication) -> int | None:
        return counters.check_increment(
            publication.fields,
            len(publication.body) - publication.header_size,
            counter=self._stream.config.allow_msg_counter,
            sourced=publication.sourced,
        )

    def _check_stream_name(self, fields: dict[bytes, bytes]) -> None:
        expected = fields.get(EXPECTED_STREAM)
        if expected and expected != self._stream.name.encode():
            raise ApiError(10060)

    def _check_subject_sequence(self, subject: bytes, fields: dict[bytes, bytes]) -> None:
        other = fields.get(EXPECTED_LAST_SUBJECT_SEQUENCE_SUBJECT)
        expected = fields.get(EXPECTED_LAST_SUBJECT_SEQUENCE)
        if expected:
            actual = self._last_sequence_of(other or subject)
            if actual != parse_sequence(expected):
                raise ApiError(WRONG_LAST_SEQUENCE, seq=actual)
        elif other:
            raise ApiError(10193)

    def _check_staged_subject_sequence(
        self, subject: bytes, fields: dict[bytes, bytes], staged: StagedBatch
    ) -> None:
        checked = fields.get(EXPECTED_LAST_SUBJECT_SEQUENCE_SUBJECT)
        expected = fields.get(EXPECTED_LAST_SUBJECT_SEQUENCE)
        if not expected:
            if checked:
                raise ApiError(10193)
            return
        checked = checked or subject
        if checked in staged.subjects:
            raise ApiError(_WRONG_LAST_SEQUENCE_IN_BATCH)
        actual = staged.expected.get(checked)
        if actual is None:
            actual = self._last_sequence_of(checked)
        if actual != parse_sequence(expected):
            raise ApiError(WRONG_LAST_SEQUENCE, seq=actual)
        staged.expected[checked] = actual

    def _check_last_sequence(self, fields: dict[bytes, bytes], actual: int) -> None:
        expected = fields.get(EXPECTED_LAST_SEQUENCE)
        if expected and actual != parse_sequence(expected):
            raise ApiError(WRONG_LAST_SEQUENCE, seq=actual)

    def _check_schedule(self, publication: Publication) -> None:
        fields = publication.fields
        if SCHEDULE not in fields and SCHEDULE_TIME_ZONE not in fields:
            return
        if check_schedule(publication.subject, fields, self._stream):
            rollup = fields.get(ROLLUP, b"").lower()
            if not rollup:
                publication.set_header(ROLLUP, b"sub")
            elif rollup != b"sub":
                raise ApiError(10192)

    def _check_staged_scheduler(
        self, subject: bytes, fields: dict[bytes, bytes], staged: StagedBatch
    ) -> None:
        known = staged.subjects.get(fields.get(SCHEDULER, b""))
        if known is not None and fields.get(SCHEDULE_NEXT) and not known.is_schedule:
            raise ApiError(10212)
        check_scheduler(subject, fields, self._stream, staged=known is not None)

    def _check_id(self, publication: Publication) -> None:
        message_id = publication.fields.get(MESSAGE_ID, b"")
        if message_id:
            if message_id in self._stream.message_ids.sequences:
                raise DuplicateMessage(message_id)
            publication.message_id = message_id

    def _check_rollup(self, publication: Publication) -> None:
        rollup = publication.fields.get(ROLLUP, b"").lower()
        if not rollup:
            return
        config = self._stream.config
        if not publication.sourced and (not config.allow_rollup_hdrs or config.deny_purge):
            raise ApiError(10111, "rollup not permitted")
        if rollup not in (b"sub", b"all"):
            raise ApiError(10111, f'rollup value invalid: "{rollup.decode("utf-8", "replace")}"')
        publication.rollup = rollup

    def _refusal(self, publication: Publication) -> str | None:
        """Return why a full stream refuses the message."""
        messages = self._stream.messages
        limits = messages.limits
        if publication.rollup:
            # It replaces the older ones of its subject, so that limit is kept.
            messages.limits = replace(limits, discard_new_per_subject=False)
        size = len(publication.body)
        if publication.header_size and self._stream.config.storage == "file":
            size += 4  # what a header block costs there
        try:
            return messages.refusal(publication.subject, size)
        finally:
            messages.limits = limits

    def _adjust_ttl(self, publication: Publication) -> None:
        """Refuse an invalid TTL, and raise one that is shorter than that of delete markers."""
        ttl = parse_ttl(publication.fields.get(MESSAGE_TTL, b""))
        if ttl is None:
            raise ApiError(10165)
        config = self._stream.config
        least = config.subject_delete_marker_ttl // SECOND_NS
        if 0 < ttl < least and config.max_msgs_per_subject != 1:
            publication.set_header(MESSAGE_TTL, b"%d" % least)

    def _stage(self, publication: Publication, staged: StagedBatch) -> None:
        """Add the message to what the batch changes; refuse it when that would be too much."""
        stream = self._stream
        config = stream.config
        subject = publication.subject
        size = stream.accounted_size(subject, publication.header_size, len(publication.body))
        known = staged.subjects.setdefault(subject, StagedSubject())
        known.messages += 1
        known.size += size
        known.is_schedule = bool(publication.fields.get(SCHEDULE))
        staged.messages += 1
        staged.size += size
        if config.discard != "new":
            return
        if 0 < config.max_msgs < stream.messages.message_count + staged.messages:
            raise ApiError(STREAM_STORE_FAILED, "maximum messages exceeded")
        if 0 < config.max_bytes < stream.messages.byte_count + staged.size:
            raise ApiError(STREAM_STORE_FAILED, "maximum bytes exceeded")
        if config.discard_new_per_subject and ROLLUP not in publication.fields:
            state = stream.messages.subjects(subject).get(subject)
            stored = state.messages if state is not None else 0
            if stored + known.messages > config.max_msgs_per_subject:
                raise ApiError(STREAM_STORE_FAILED, "maximum messages per subject exceeded")

    def _last_sequence_of(self, pattern: bytes) -> int:
        messages = self._stream.messages
        if subjects.has_wildcards(pattern):
            return messages.previous_sequence(messages.last_sequence, [pattern]) or 0
        return messages.last_of_subject(pattern) or 0
