"""From a chunk of published messages to stored messages and their acknowledgements.

The checks and their order are those of 2.5 of the protocol notes. What most streams get, messages without
``Nats-`` headers or with ``Nats-Msg-Id`` alone, takes a way on which nothing is done per message but to put
it on a list; everything else becomes a `Publication` and goes through `PublishChecks`. The streams of Memphis
stations also know the id by its Memphis name.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

from memphis_desktop.broker.jetstream.atomic_batches import AtomicBatches
from memphis_desktop.broker.jetstream.errors import STREAM_STORE_FAILED, ApiError
from memphis_desktop.broker.jetstream.fast_batches import FAST_SUFFIX, FastBatches
from memphis_desktop.broker.jetstream.message_headers import BATCH_ID, without_status
from memphis_desktop.broker.jetstream.publish_checks import (
    MAX_HEADER_SIZE,
    DuplicateMessage,
    Publication,
    PublishChecks,
)
from memphis_desktop.broker.jetstream.republish import republished
from memphis_desktop.broker.jetstream.typed_json import encode_json
from memphis_desktop.broker.store.interface import NewMessage, StorageError
from memphis_desktop.protocol.headers import REQUEST_INFO
from memphis_desktop.protocol.memphis import STATION_METADATA, copy_message_id
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
# A header block with an id alone, as clients write it, begins and ends so.
_ID_LEAD = b"NATS/1.0\r\nNats-Msg-Id: "
_ID_START = len(_ID_LEAD)
_HEADERS_END = b"\r\n\r\n"
_ID_LENGTH = _ID_START + len(b"x") + len(_HEADERS_END)


@dataclass(slots=True)
class _Outstanding:
    """What has to be told once everything up to `last` is durable."""

    last: int
    first: int  # sequence of the message that replies[0] is for
    replies: Sequence[bytes] = ()
    endings: dict[int, bytes] | None = None  # by sequence what an ack has behind the number
    answers: Sequence[Message] = ()  # finished ones that speak of stored messages
    republished: Sequence[Message] = ()


class Ingest:
    """Takes what is published to one stream."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._checks = PublishChecks(stream, self.store, self._last_message_id)
        self._atomic = AtomicBatches(stream, self, self._checks)
        self._fast = FastBatches(stream, self, self._checks)
        self._outstanding: deque[_Outstanding] = deque()
        # What was taken and not stored yet.
        self._messages: list[NewMessage] = []
        self._replies: list[bytes] = []
        self._ids: dict[bytes, int] = {}  # by id the index in _messages
        self._endings: dict[int, bytes] = {}  # by index what the ack has behind the sequence
        self._last_id = b""
        self._answers: list[Message] = []
        self._waits = False
        # Of a message that may be acknowledged as soon as it is written: where that goes, and whether it did.
        self._early_reply = b""
        self._early_told = False
        self._written_callback = self._written
        self.traced_stream = stream.name  # what message tracing shows
        self.last_refusal = ""
        self.configure()

    def configure(self) -> None:
        """Work out from the configuration what has to be done; call when it has changed."""
        stream, config = self._stream, self._stream.config
        named = {"stream": stream.name} | ({"domain": stream.owner.domain} if stream.owner.domain else {})
        self.prefix = encode_json(named)[:-1] + b',"seq":'
        self._acknowledges = not config.no_ack
        self._copies_ids = STATION_METADATA in config.metadata
        self._plain = not (
            stream.refuses_when_full
            or stream.input_transform is not None
            or config.sealed
            or config.max_msg_size >= 0
            or config.republish is not None
            or config.allow_msg_counter
            or config.allow_msg_schedules
            or stream.account_limited
        )
        self._stream_follows = stream.follows_stored
        if not config.allow_atomic:
            self._atomic.forget_all()
        if not config.allow_batched:
            self._fast.forget_all()

    def stop(self) -> None:
        """Forget unfinished batches."""
        self._atomic.forget_all()
        self._fast.forget_all()

    # -- taking messages -------------------------------------------------------------------------------------
    def receive(self, messages: list[Message], sender: Client | None) -> None:
        """Take the messages of one chunk that match the stream's subjects."""
        if len(messages) == 1 and self._plain and not messages[0][HEADER_SIZE]:
            subject, reply, _, body = messages[0]
            if not reply.endswith(FAST_SUFFIX):
                self._messages, self._replies, self._last_id = [(subject, 0, body)], [reply], b""
                self.finish()
                return
        replies = list(map(_reply, messages))
        if self._copies_ids:
            messages = [(one[0], one[1], *copy_message_id(one[2], one[3])) for one in messages]
        if not self._plain or FAST_SUFFIX in b"\n".join((*replies, b"")):
            self._forget_old_ids()
            for message in messages:
                self._take_special(*message)
        elif any(map(_header_size, messages)):
            self._forget_old_ids()
            if not self._take_new_ids(messages, replies):
                self._take_plain(messages)
        else:
            self._messages = [(subject, 0, body) for subject, _, _, body in messages]
            self._replies = replies
            self._last_id = b""
        self.finish()

    def finish(self) -> None:
        """Store what was taken, and see to it that it is answered."""
        self.store()
        if self._answers:
            answers, self._answers = self._answers, []
            self._stream.account.publish_many(answers)
        if self._waits:
            self._waits = False
            self._stream.messages.when_durable(self._became_durable)

    def _take_new_ids(self, messages: list[Message], replies: list[bytes]) -> bool:
        """Take messages if each has an id of its own never seen before, and no other header.

        That is what publishers with ids send, but for a duplicate now and then. False: nothing was taken.
        """
        count = len(messages)
        sizes = list(map(_header_size, messages))
        if min(sizes) < _ID_LENGTH or max(sizes) > MAX_HEADER_SIZE:
            return False
        if [body[:_ID_START] for _, _, _, body in messages].count(_ID_LEAD) != count:
            return False
        if [body[size - 4 : size] for _, _, size, body in messages].count(_HEADERS_END) != count:
            return False
        ids = [body[_ID_START : size - 4] for _, _, size, body in messages]
        if b"\n".join(ids).split() != ids:  # one is empty, or has spaces or lines in it
            return False
        fresh = dict(zip(ids, range(count), strict=True))
        stream = self._stream
        if len(fresh) != count or not stream.message_ids.sequences.keys().isdisjoint(fresh):
            return False
        if stream.config.duplicate_window > 0:
            self._ids = fresh
        self._messages = [(subject, size, body) for subject, _, size, body in messages]
        self._replies = replies
        self._last_id = ids[-1]
        return True

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
            self.store()
            self.answer_duplicate(message_id, reply)
            return False
        if stream.config.duplicate_window > 0:
            self._ids[message_id] = len(self._messages)
        return True

    def _take_special(self, subject: bytes, reply: bytes, header_size: int, body: bytes) -> None:
        """Take a message that has headers to obey, or that the stream's configuration wants looked at."""
        if header_size and body[8] != 13:
            header_size, body = without_status(header_size, body)
        transform = self._stream.input_transform
        if transform is not None:
            subject = transform.apply(subject) or subject
        publication = Publication(subject, header_size, body)
        if REQUEST_INFO in publication.fields:  # it came from another account
            publication.remove_header(REQUEST_INFO)
        if reply.endswith(FAST_SUFFIX):
            self._fast.take(publication, reply)
        elif publication.fields.get(BATCH_ID):
            self._atomic.take(publication, reply)
        else:
            self.take(publication, reply)

    def take(self, publication: Publication, reply: bytes = b"") -> ApiError | None:
        """Check and take one message that is not part of a batch; `finish` has to follow.

        Returns why it was refused, None when it was taken or is there already.
        """
        try:
            self._checks.check(publication)
        except DuplicateMessage as duplicate:
            self.answer_duplicate(duplicate.message_id, reply)
        except ApiError as error:
            self.refuse(reply, error)
            return error
        except StorageError as error:
            failure = ApiError(STREAM_STORE_FAILED, error)
            self.refuse(reply, failure)
            return failure
        else:
            ending = b',"val":"%b"' % publication.value.encode() if publication.value else b""
            self.accept(publication, reply, ending)
        return None

    def store_mirrored(self, messages: list[NewMessage], time_ns: int) -> None:
        """Store messages of a mirror's origin with their times.

        Raises:
            StorageError: the store can not take them.
        """
        self.store()
        first = self._stream.messages.append(messages, time_ns)
        self._outstanding.append(_Outstanding(first + len(messages) - 1, first))
        self._waits = True
        self._stream.stored(messages, first, time_ns)

    def accept(self, publication: Publication, reply: bytes, ending: bytes = b"") -> None:
        """Take a message that was checked.

        Args:
            publication: the message.
            reply: where its acknowledgement goes.
            ending: what the acknowledgement has behind the sequence.
        """
        index = len(self._messages)
        self._last_id = publication.message_id
        if publication.message_id and self._stream.config.duplicate_window > 0:
            self._ids[publication.message_id] = index
        if ending:
            self._endings[index] = ending
        self._messages.append((publication.subject, publication.header_size, publication.body))
        self._replies.append(reply)
        if self._stream.has_effects(publication) and self.store():
            self._stream.apply_effects(publication)

    def accept_batch(self, publications: Sequence[Publication], reply: bytes, ending: bytes) -> None:
        """Take all messages of a checked batch, to be stored with one write.

        Args:
            publications: its messages.
            reply: where the one acknowledgement goes, which names the last sequence.
            ending: what it has behind that sequence.
        """
        self.store()
        for index, publication in enumerate(publications):
            if publication.message_id and self._stream.config.duplicate_window > 0:
                self._ids[publication.message_id] = index
            self._messages.append((publication.subject, publication.header_size, publication.body))
            self._replies.append(b"")
        self._replies[-1] = reply
        self._endings[len(publications) - 1] = ending
        self._last_id = publications[-1].message_id
        first = self._stream.messages.last_sequence + 1
        if self.store():
            for sequence, publication in enumerate(publications, first):
                self._stream.apply_effects(publication, sequence)

    # -- storing and answering -------------------------------------------------------------------------------
    def store(self) -> bool:
        """Store what was collected; return whether that worked."""
        if not self._messages:
            return True
        messages, self._messages = self._messages, []
        replies, self._replies = self._replies, []
        ids = endings = None
        if self._ids:
            ids, self._ids = self._ids, {}
        if self._endings:
            endings, self._endings = self._endings, {}
        stream = self._stream
        now = stream.node.clock.time_ns()
        previous = None if self._plain else stream.previous_sequences(messages)
        early = len(replies) == 1 and self._acknowledges and not self._outstanding and previous is None
        self._early_reply = replies[0] if early and endings is None else b""
        try:
            first = stream.messages.append(messages, now, self._written_callback)
        except StorageError as error:
            _log.error("Stream '%s > %s' can not store: %s", stream.account.name, stream.name, error)
            failure = ApiError(STREAM_STORE_FAILED, error)
            for reply in replies:
                self.refuse(reply, failure)
            return False
        stream.last_message_id = self._last_id
        if ids:
            stream.message_ids.remember({one: first + index for one, index in ids.items()}, now)
        outstanding = _Outstanding(first + len(messages) - 1, first)
        if self._early_told:
            self._early_told = False
        elif self._acknowledges:
            outstanding.replies = replies
            if endings:
                outstanding.endings = {first + index: ending for index, ending in endings.items()}
        if previous is not None:
            outstanding.republished = republished(stream, messages, first, now, previous)
        self._outstanding.append(outstanding)
        self._waits = True
        if self._stream_follows:
            stream.stored(messages, first, now)
        return True

    def _written(self, sequence: int) -> None:
        """Acknowledge the message that was just written, before the time that the index takes."""
        reply = self._early_reply
        if reply:
            answer = b"%b%d}" % (self.prefix, sequence)
            self._early_told = self._stream.account.send_now(reply, answer)

    def refuse(self, reply: bytes, error: ApiError) -> None:
        """Answer that a message is refused."""
        self.last_refusal = error.description
        if reply and self._acknowledges:
            answer = {"error": error.to_json(), "stream": self._stream.name, "seq": 0}
            self._answers.append((reply, b"", 0, encode_json(answer)))

    def answer(self, reply: bytes, payload: bytes) -> None:
        """Answer at once: nothing stored is spoken of."""
        if reply and self._acknowledges:
            self._answers.append((reply, b"", 0, payload))

    def answer_duplicate(self, message_id: bytes, reply: bytes, ending: bytes = b"") -> None:
        """Answer with the sequence of the first message that had this id."""
        self.store()
        sequence = self._stream.message_ids.sequences.get(message_id, 0)
        self.answer_when_durable(reply, b'%b%d,"duplicate": true%b}' % (self.prefix, sequence, ending))

    def answer_when_durable(self, reply: bytes, payload: bytes) -> None:
        """Send an answer that speaks of stored messages, once all of these are durable."""
        if not reply or not self._acknowledges:
            return
        self.store()
        messages = self._stream.messages
        answer = (reply, b"", 0, payload)
        if messages.durable_sequence >= messages.last_sequence:
            self._answers.append(answer)
        else:
            self._outstanding.append(_Outstanding(messages.last_sequence, 0, answers=[answer]))
            self._waits = True

    def _became_durable(self, failure: StorageError | None) -> None:
        """Acknowledge everything that is durable by now, and show it to the consumers."""
        stream = self._stream
        outstanding = self._outstanding
        durable = stream.messages.durable_sequence
        answers: list[Message] = []
        prefix = self.prefix
        while outstanding and outstanding[0].last <= durable:
            one = outstanding.popleft()
            if one.endings:
                ending_of = one.endings.get
                answers += [
                    (reply, b"", 0, b"%b%d%b}" % (prefix, sequence, ending_of(sequence, b"")))
                    for sequence, reply in enumerate(one.replies, one.first)
                    if reply
                ]
            else:
                answers += [
                    (reply, b"", 0, b"%b%d}" % (prefix, sequence))
                    for sequence, reply in enumerate(one.replies, one.first)
                    if reply
                ]
            if one.answers:
                answers += one.answers
            if one.republished:
                answers += one.republished
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
                self.refuse(reply, error)
        self._outstanding.clear()
        answers, self._answers = self._answers, []
        stream.account.publish_many(answers)

    # -- ids -------------------------------------------------------------------------------------------------
    def _forget_old_ids(self) -> None:
        self._stream.message_ids.forget_old(self._stream.node.clock.time_ns())

    def _last_message_id(self) -> bytes:
        """Return the id of the message before the one that is checked."""
        return self._last_id if self._messages else self._stream.last_message_id


def _only_id(header_size: int, body: bytes) -> bytes | None:
    """Return the id of a message that has no other headers for us, b"" for none, None when it has more."""
    if body[8] != 13 or header_size > MAX_HEADER_SIZE:
        return None
    start = body.find(_NATS_FIELD, 0, header_size)
    if start < 0:
        return b""
    if not body.startswith(_ID_FIELD, start) or body.find(_NATS_FIELD, start + 8, header_size) >= 0:
        return None
    start += len(_ID_FIELD)
    return body[start : body.find(_CRLF, start, header_size)].strip()
