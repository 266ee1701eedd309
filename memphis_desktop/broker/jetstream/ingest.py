"""From a chunk of published messages to stored messages and their acknowledgements.

The checks and their order are those of 2.5 of the protocol notes. What most streams get, messages without
``Nats-`` headers or with ``Nats-Msg-Id`` alone, takes a way on which nothing is done per message but to put
it on a list; everything else goes through `_take_special`.
"""

from __future__ import annotations

import logging
from collections import deque
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

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
    STREAM_SOURCE,
    nats_fields,
    parse_sequence,
    parse_ttl,
    without_status,
)
from memphis_desktop.broker.jetstream.typed_json import encode_json
from memphis_desktop.broker.store.interface import NewMessage, StorageError
from memphis_desktop.protocol import subjects
from memphis_desktop.protocol.message import HEADER_SIZE, REPLY, Message

if TYPE_CHECKING:
    from memphis_desktop.broker.contracts import Client
    from memphis_desktop.broker.jetstream.stream import Stream

_log = logging.getLogger(__name__)

_header_size = itemgetter(HEADER_SIZE)
_reply = itemgetter(REPLY)

_NATS_FIELD = b"\r\nNats-"
_ID_FIELD = b"\r\nNats-Msg-Id:"
_CRLF = b"\r\n"
_MAX_HEADER_SIZE = 65535


class _Outstanding(NamedTuple):
    """Acknowledgements that wait until `last` is durable, in sequence order."""

    last: int
    first: int  # sequence of the message that replies[0] is for
    replies: list[bytes]
    answers: list[Message]  # finished ones that speak of stored messages


class Ingest:
    """Takes what is published to one stream."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._outstanding: deque[_Outstanding] = deque()
        self._messages: list[NewMessage] = []
        self._replies: list[bytes] = []
        self._ids: dict[bytes, int] = {}  # by id the index in _messages
        self._answers: list[Message] = []
        self._stored = False
        self._last_id = b""
        self.configure()

    def configure(self) -> None:
        """Work out from the configuration what has to be done; call when it has changed."""
        stream, config = self._stream, self._stream.config
        name = stream.name
        self._prefix = encode_json({"stream": name})[:-1] + b',"seq":'
        self._acknowledges = not config.no_ack
        self._refuses = config.discard == "new" and (
            config.max_msgs > 0 or config.max_bytes > 0 or config.discard_new_per_subject
        )
        self._transform = stream.input_transform
        self._plain = not (
            self._refuses
            or self._transform is not None
            or config.sealed
            or config.max_msg_size >= 0
            or config.republish is not None
            or config.allow_msg_counter
            or stream.account_limited
        )

    # -- taking messages -------------------------------------------------------------------------------------
    def receive(self, messages: list[Message], sender: Client | None) -> None:
        """Take the messages of one chunk that match the stream's subjects."""
        if self._plain and not any(map(_header_size, messages)):
            self._messages = [(subject, 0, body) for subject, _, _, body in messages]
            self._replies = list(map(_reply, messages))
            self._last_id = b""
        else:
            self._stream.message_ids.forget_old(self._stream.node.clock.time_ns())
            if self._plain:
                self._take_plain(messages)
            else:
                for message in messages:
                    self._take_special(*message)
        self._store()
        if self._answers:
            answers, self._answers = self._answers, []
            self._stream.account.publish_many(answers)
        if self._stored:
            self._stored = False
            self._stream.messages.when_durable(self._became_durable)

    def _take_plain(self, messages: list[Message]) -> None:
        """Take messages of a stream that wants nothing looked at but what their headers demand."""
        for message in messages:
            subject, reply, header_size, body = message
            if header_size:
                message_id = _only_id(header_size, body)
                if message_id is None:
                    self._take_special(*message)
                    continue
                if message_id and not self._is_new(message_id, reply):
                    continue
                self._last_id = message_id
            else:
                self._last_id = b""
            self._messages.append((subject, header_size, body))
            self._replies.append(reply)

    def _is_new(self, message_id: bytes, reply: bytes) -> bool:
        """Note the id of the message that comes next, or answer that it is a duplicate."""
        stream = self._stream
        if message_id in stream.message_ids.sequences or message_id in self._ids:
            self._answer_duplicate(message_id, reply)
            return False
        if stream.config.duplicate_window > 0:
            self._ids[message_id] = len(self._messages)
        return True

    def _answer_duplicate(self, message_id: bytes, reply: bytes) -> None:
        self._store()
        if reply and self._acknowledges:
            sequence = self._stream.message_ids.sequences.get(message_id, 0)
            self._answer_when_durable((reply, b"", 0, b'%b%d,"duplicate": true}' % (self._prefix, sequence)))

    # -- the long way ----------------------------------------------------------------------------------------
    def _take_special(self, subject: bytes, reply: bytes, header_size: int, body: bytes) -> None:
        """Take a message that has headers to obey, or that the stream's configuration wants looked at."""
        if self._transform is not None:
            subject = self._transform.apply(subject) or subject
        if header_size and body[8] != 13:
            header_size, body = without_status(header_size, body)
        try:
            self._check_and_take(subject, reply, header_size, body)
        except ApiError as error:
            self._refuse(reply, error)

    def _check_and_take(self, subject: bytes, reply: bytes, header_size: int, body: bytes) -> None:
        stream = self._stream
        config = stream.config
        if config.sealed:
            raise ApiError(10109)
        fields = nats_fields(body, header_size) if header_size else {}
        rollup = b""
        message_id = b""
        if fields:
            self._check_expectations(subject, fields)
            message_id = fields.get(MESSAGE_ID, b"")
            if message_id and not self._is_new(message_id, reply):
                return
            try:
                expected_id = fields.get(EXPECTED_LAST_MESSAGE_ID)
                if expected_id and expected_id != self._last_message_id():
                    raise ApiError(10070, id=self._last_message_id().decode("utf-8", "replace"))
                rollup = self._rollup_of(fields)
                self._check_size(subject, header_size, body, fields)
            except ApiError:
                self._ids.pop(message_id, None)
                raise
        else:
            self._check_size(subject, header_size, body, fields)
        self._last_id = message_id
        self._messages.append((subject, header_size, body))
        self._replies.append(reply)
        if rollup:
            self._store()
            stream.roll_up(subject, everything=rollup == b"all")
        elif config.republish is not None:
            self._store()

    def _check_expectations(self, subject: bytes, fields: dict[bytes, bytes]) -> None:
        stream = self._stream
        expected_stream = fields.get(EXPECTED_STREAM)
        if expected_stream and expected_stream != stream.name.encode():
            raise ApiError(10060)
        if not stream.config.allow_msg_ttl and parse_ttl(fields.get(MESSAGE_TTL, b"")):
            raise ApiError(10166)
        checked_subject = fields.get(EXPECTED_LAST_SUBJECT_SEQUENCE_SUBJECT)
        expected = fields.get(EXPECTED_LAST_SUBJECT_SEQUENCE)
        if expected:
            self._store()
            actual = self._last_sequence_of(checked_subject or subject)
            if actual != parse_sequence(expected):
                raise ApiError(WRONG_LAST_SEQUENCE, seq=actual)
        elif checked_subject:
            raise ApiError(10193)
        expected = fields.get(EXPECTED_LAST_SEQUENCE)
        if expected:
            actual = stream.messages.last_sequence + len(self._messages)
            if actual != parse_sequence(expected):
                raise ApiError(WRONG_LAST_SEQUENCE, seq=actual)
        if fields.get(STREAM_SOURCE):
            raise ApiError(10227)

    def _rollup_of(self, fields: dict[bytes, bytes]) -> bytes:
        rollup = fields.get(ROLLUP, b"").lower()
        if rollup:
            config = self._stream.config
            if not config.allow_rollup_hdrs or config.deny_purge:
                raise ApiError(10111, "rollup not permitted")
            if rollup not in (b"sub", b"all"):
                raise ApiError(10111, f'rollup value invalid: "{rollup.decode("utf-8", "replace")}"')
        return rollup

    def _check_size(self, subject: bytes, header_size: int, body: bytes, fields: dict[bytes, bytes]) -> None:
        stream = self._stream
        if 0 <= stream.config.max_msg_size < len(body):
            raise ApiError(10054)
        if header_size > _MAX_HEADER_SIZE:
            raise ApiError(10097)
        stream.check_account_usage(len(subject) + len(body))
        if MESSAGE_TTL in fields and parse_ttl(fields[MESSAGE_TTL]) is None:
            raise ApiError(10165)
        if self._refuses:
            self._store()
            refusal = stream.messages.refusal(subject, len(body))
            if refusal is not None:
                raise ApiError(STREAM_STORE_FAILED, refusal)

    def _last_sequence_of(self, pattern: bytes) -> int:
        messages = self._stream.messages
        if subjects.has_wildcards(pattern):
            return messages.previous_sequence(messages.last_sequence, [pattern]) or 0
        return messages.last_of_subject(pattern) or 0

    def _last_message_id(self) -> bytes:
        """Return the id of the message before this one."""
        return self._last_id if self._messages else self._stream.last_message_id

    # -- storing and answering -------------------------------------------------------------------------------
    def _store(self) -> None:
        """Store what was collected."""
        if not self._messages:
            return
        messages, self._messages = self._messages, []
        replies, self._replies = self._replies, []
        ids, self._ids = self._ids, {}
        stream = self._stream
        now = stream.node.clock.time_ns()
        try:
            first = stream.messages.append(messages, now)
        except StorageError as error:
            _log.error("Stream '%s > %s' can not store: %s", stream.account.name, stream.name, error)
            failure = ApiError(STREAM_STORE_FAILED, error)
            for reply in replies:
                self._refuse(reply, failure)
            return
        last = first + len(messages) - 1
        stream.last_message_id = self._last_id
        if ids:
            stream.message_ids.remember({one: first + index for one, index in ids.items()}, now)
        self._outstanding.append(_Outstanding(last, first, replies if self._acknowledges else [], []))
        self._stored = True
        stream.stored(messages, first, now)

    def _refuse(self, reply: bytes, error: ApiError) -> None:
        if reply and self._acknowledges:
            answer = {"error": error.to_json(), "stream": self._stream.name, "seq": 0}
            self._answers.append((reply, b"", 0, encode_json(answer)))

    def _answer_when_durable(self, answer: Message) -> None:
        """Send an answer that speaks of stored messages, once all of these are durable."""
        self._store()
        messages = self._stream.messages
        if messages.durable_sequence >= messages.last_sequence:
            self._answers.append(answer)
        else:
            self._outstanding.append(_Outstanding(messages.last_sequence, 0, [], [answer]))
            self._stored = True

    def _became_durable(self, failure: StorageError | None) -> None:
        """Acknowledge everything that is durable by now, and show it to the consumers."""
        stream = self._stream
        outstanding = self._outstanding
        durable = stream.messages.durable_sequence
        answers: list[Message] = []
        prefix = self._prefix
        while outstanding and outstanding[0][0] <= durable:
            _, first, replies, finished = outstanding.popleft()
            answers += [
                (reply, b"", 0, b"%b%d}" % (prefix, sequence))
                for sequence, reply in enumerate(replies, first)
                if reply
            ]
            answers += finished
        if failure is not None:
            self._fail_outstanding(failure)
        if answers:
            stream.account.publish_many(answers)
        stream.became_visible(durable)
        stream.node.flush()

    def _fail_outstanding(self, failure: StorageError) -> None:
        stream = self._stream
        _log.error("Stream '%s > %s' has failed: %s", stream.account.name, stream.name, failure)
        error = ApiError(STREAM_STORE_FAILED, failure)
        for one in self._outstanding:
            for reply in [*one.replies, *(answer[0] for answer in one.answers)]:
                self._refuse(reply, error)
        self._outstanding.clear()
        answers, self._answers = self._answers, []
        stream.account.publish_many(answers)


def _only_id(header_size: int, body: bytes) -> bytes | None:
    """Return the id of a message that has no other headers for us, b"" for none, None when it has more."""
    if body[8] != 13 or header_size > _MAX_HEADER_SIZE:
        return None
    start = body.find(_NATS_FIELD, 0, header_size)
    if start < 0:
        return b""
    if not body.startswith(_ID_FIELD, start) or body.find(_NATS_FIELD, start + 8, header_size) >= 0:
        return None
    start += len(_ID_FIELD)
    return body[start : body.find(_CRLF, start, header_size)].strip()
