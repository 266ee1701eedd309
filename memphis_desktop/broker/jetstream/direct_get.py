"""Direct get: messages by sequence, subject or time; one, in batches, or the last of many subjects.

See 2.8 of the protocol notes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from memphis_desktop.broker.jetstream.message_headers import REQUIRED_API_LEVEL
from memphis_desktop.broker.jetstream.metadata import API_LEVEL
from memphis_desktop.broker.jetstream.requests import MessageGetRequest
from memphis_desktop.broker.jetstream.times import SECOND_NS, format_time
from memphis_desktop.broker.jetstream.typed_json import lenient_from_json
from memphis_desktop.broker.store.interface import StorageError, StoredMessage
from memphis_desktop.protocol import headers, subjects
from memphis_desktop.protocol.message import Message

if TYPE_CHECKING:
    from memphis_desktop.broker.contracts import Client, Subscription
    from memphis_desktop.broker.jetstream.stream import Stream

_PREFIX = b"$JS.API.DIRECT.GET."
# What one answer may hold when the request does not say: the connection's limit for waiting bytes.
_DEFAULT_MAX_BYTES = 64 * 1024 * 1024
_MAX_SUBJECTS = 1024
# A batch is read and sent in pieces of this size, so that a long one leaves time for others in between.
_SLICE_MESSAGES = 800
_SLICE_BYTES = 1024 * 1024
# While so much waits for the reader, the rest of a batch is not even read.
_MAX_BACKLOG = 8 * 1024 * 1024
_BACKLOG_DELAY = 0.01

_BATCH_BLOCK = (
    b"%bNats-Stream: %b\r\nNats-Subject: %b\r\nNats-Sequence: %d\r\nNats-Time-Stamp: %b%bZ\r\n"
    b"Nats-Num-Pending: %d\r\nNats-Last-Sequence: %d\r\n\r\n"
)

_EMPTY_REQUEST = b"408 Empty Request"
_MALFORMED_REQUEST = b"408 Malformed Request"
_BAD_REQUEST = b"408 Bad Request"
_NOT_FOUND = b"404 Message Not Found"
_NO_RESULTS = b"404 No Results"
_TOO_MANY_RESULTS = b"413 Too Many Results"
_REQUIRED_LEVEL = b"412 Required Api Level"


class DirectGet:
    """Answers the direct get requests of one stream."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._subscriptions: list[Subscription] = []
        self._queue = b""

    def start(self) -> None:
        """Subscribe, if the stream allows direct access."""
        self.configure()

    def configure(self) -> None:
        """Follow the stream's configuration."""
        config = self._stream.config
        names = []
        if config.allow_direct:
            names.append(self._stream.name)
        if config.mirror_direct and config.mirror is not None and config.mirror.external is None:
            names.append(config.mirror.name)
        wanted = {_PREFIX + name.encode() for name in names}
        if wanted == {one.pattern for one in self._subscriptions if not one.pattern.endswith(b".>")}:
            return
        self.stop()
        account = self._stream.account
        for pattern in wanted:
            self._subscriptions.append(account.subscribe(pattern, self._requests, b"_sys_"))
            self._subscriptions.append(account.subscribe(pattern + b".>", self._by_subject, b"_sys_"))

    def stop(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._stream.account.unsubscribe(subscription)
        self._subscriptions.clear()

    # -- requests --------------------------------------------------------------------------------------------
    def _requests(self, messages: list[Message], sender: Client | None) -> None:
        for _, reply, header_size, body in messages:
            if reply:
                self._request(reply, body[:header_size], body[header_size:])

    def _by_subject(self, messages: list[Message], sender: Client | None) -> None:
        for subject, reply, header_size, body in messages:
            if reply:
                key = subject.split(b".", 5)[5]
                self._request_by_subject(reply, key, body[:header_size], body[header_size:])

    def _request(self, reply: bytes, header_block: bytes, payload: bytes) -> None:
        if level_refused(header_block):
            return self._status(reply, _REQUIRED_LEVEL)
        if not payload:
            return self._status(reply, _EMPTY_REQUEST)
        request = lenient_from_json(MessageGetRequest, payload)
        if request is None:
            return self._status(reply, _MALFORMED_REQUEST)
        last, following, start = request.last_by_subj, request.next_by_subj, request.start_time
        if not (request.seq or last or following or request.multi_last or start is not None):
            return self._status(reply, _EMPTY_REQUEST)
        if (
            (request.seq and (last or start is not None))
            or (last and (start is not None or following or request.batch > 0 or request.multi_last))
            or (following and request.multi_last)
            or (request.up_to_seq and request.up_to_time is not None)
        ):
            return self._status(reply, _BAD_REQUEST)
        return self._answer(reply, request)

    def _request_by_subject(self, reply: bytes, key: bytes, header_block: bytes, payload: bytes) -> None:
        if level_refused(header_block):
            return self._status(reply, _REQUIRED_LEVEL)
        request = lenient_from_json(MessageGetRequest, payload) if payload else MessageGetRequest()
        if request is None:
            return self._status(reply, _MALFORMED_REQUEST)
        if request != MessageGetRequest(no_hdr=request.no_hdr, max_bytes=request.max_bytes):
            return self._status(reply, _BAD_REQUEST)
        request.last_by_subj = key.decode("utf-8", "surrogateescape")
        return self._answer(reply, request)

    def _answer(self, reply: bytes, request: MessageGetRequest) -> None:
        try:
            if request.multi_last:
                self._answer_multi(reply, request)
            elif request.batch > 0:
                self._answer_batch(reply, request)
            else:
                self._answer_single(reply, request)
        except StorageError:
            self._status(reply, _NOT_FOUND)

    # -- one message -----------------------------------------------------------------------------------------
    def _answer_single(self, reply: bytes, request: MessageGetRequest) -> None:
        message = find_message(self._stream, request)
        if message is None:
            return self._status(reply, _NOT_FOUND)
        if request.no_hdr:
            body = message.body[message.header_size :]
            return self._stream.account.publish((reply, b"", 0, body))
        return self._stream.account.publish(self._dressed(reply, message))

    # -- batches ---------------------------------------------------------------------------------------------
    def _answer_batch(self, reply: bytes, request: MessageGetRequest) -> None:
        messages = self._stream.messages
        start = request.seq
        if request.start_time is not None:
            start = messages.sequence_at(request.start_time)
        filters = [_encode(request.next_by_subj)] if request.next_by_subj else []
        start = max(start, 1)
        pending = messages.count_from(start, filters)
        if not pending:
            return self._status(reply, _NOT_FOUND)

        def sequences() -> Iterator[list[int]]:
            position, left = start, request.batch
            while left > 0:
                found = messages.next_sequences(position, min(left, _SLICE_MESSAGES), filters)
                if not found:
                    return
                left -= len(found)
                position = found[-1] + 1
                yield found

        _Batch(self._stream, reply, request, sequences(), pending).run()
        return None

    def _answer_multi(self, reply: bytes, request: MessageGetRequest) -> None:
        messages = self._stream.messages
        up_to = request.up_to_seq
        if request.up_to_time is not None:
            up_to = messages.sequence_at(request.up_to_time)
            if up_to <= messages.first_sequence:
                return self._status(reply, _NO_RESULTS)
            up_to -= 1
        up_to = up_to or messages.last_sequence
        last_sequences = self._last_of_each(request.multi_last, up_to)
        if last_sequences is None:
            return self._status(reply, _TOO_MANY_RESULTS)
        found = [sequence for sequence in sorted(last_sequences) if sequence >= request.seq]
        if not found:
            return self._status(reply, _NO_RESULTS)
        wanted = found[: request.batch] if request.batch > 0 else found
        slices = (wanted[start : start + _SLICE_MESSAGES] for start in range(0, len(wanted), _SLICE_MESSAGES))
        _Batch(self._stream, reply, request, slices, len(found), up_to).run()
        return None

    def _last_of_each(self, patterns: list[str], up_to: int) -> set[int] | None:
        """Return the last sequence ≤ `up_to` of each matching subject; None when there are too many."""
        messages = self._stream.messages
        found: set[int] = set()
        count = 0
        seen: set[bytes] = set()
        for pattern in patterns:
            for subject, state in messages.subjects(_encode(pattern)).items():
                if subject in seen:
                    continue
                seen.add(subject)
                sequence: int | None = state.last_sequence
                if state.last_sequence > up_to:
                    sequence = messages.previous_sequence(up_to, [subject])
                if sequence is None:
                    continue
                count += 1
                if count > _MAX_SUBJECTS:
                    return None
                found.add(sequence)
        return found

    # -- answers ---------------------------------------------------------------------------------------------
    def _dressed(self, reply: bytes, message: StoredMessage) -> Message:
        return dress(reply, self._stream.name.encode(), message)

    def _status(self, reply: bytes, status: bytes) -> None:
        block = headers.encode(status=status)
        self._stream.account.publish((reply, b"", len(block), block))


class _Batch:
    """An answer of many messages, sent in pieces so that a long one does not hold up the loop."""

    def __init__(
        self,
        stream: Stream,
        reply: bytes,
        request: MessageGetRequest,
        slices: Iterator[list[int]],
        pending: int,
        up_to: int = 0,
    ) -> None:
        """Prepare the answer.

        Args:
            stream: whose messages these are.
            reply: where to send them.
            request: for its limits.
            slices: the sequences to send, a list at a time.
            pending: how many messages match altogether.
            up_to: for a multi request the sequence it looks at, told at the end.
        """
        self._stream = stream
        self._reply = reply
        self._with_headers = not request.no_hdr or bool(request.multi_last)
        self._slices = slices
        self._pending = pending
        self._up_to = up_to
        self._bytes_left = request.max_bytes or _DEFAULT_MAX_BYTES
        self._last = 0
        self._brought = False  # the next piece has been asked of the medium
        self._rest: list[int] = []  # of the present slice, what did not fit into one piece

    def run(self) -> None:
        """Send the next piece, and plan the one after it."""
        stream = self._stream
        account = stream.account
        if not account.has_interest(self._reply):
            return  # the reader is gone
        if account.backlog(self._reply) > _MAX_BACKLOG:
            stream.node.clock.call_later(_BACKLOG_DELAY, self.run)
            return
        sequences = self._rest or next(self._slices, [])
        if not sequences or stream.closed:
            self._finish()
            return
        if not self._brought:
            self._rest, self._brought = sequences, True
            if not stream.messages.at_hand(sequences, min(self._bytes_left, _SLICE_BYTES), self.run):
                return  # goes on here when the medium has delivered: the loop does not wait for it
        self._brought = False
        try:
            found = stream.messages.read_many(sequences, min(self._bytes_left, _SLICE_BYTES))
        except StorageError:
            found = []
        self._rest = [one for one in sequences if one > found[-1].sequence] if found else []
        account.deliver(self._reply, self._answers(found))
        if self._bytes_left <= 0:
            self._finish()
            return
        stream.node.flush()
        stream.node.clock.call_soon(self.run)

    def _answers(self, found: Sequence[StoredMessage]) -> list[Message]:
        """Return the messages as answers; this is what a console's search spends its time on."""
        reply, last, pending, left = self._reply, self._last, self._pending, self._bytes_left
        name = self._stream.name.encode()
        answers: list[Message] = []
        known_second, second_text = -1, b""
        for sequence, time_ns, subject, size, body in found:
            pending -= pending > 0
            left -= len(subject) + len(body)
            if not self._with_headers:
                answers.append((reply, b"", 0, body[size:]))
            else:
                second, fraction = divmod(time_ns, SECOND_NS)
                if second != known_second:
                    known_second, second_text = second, format_time(second * SECOND_NS)[:-1].encode()
                block = _BATCH_BLOCK % (
                    body[: size - 2] if size else b"NATS/1.0\r\n",
                    name,
                    subject,
                    sequence,
                    second_text,
                    (b".%09d" % fraction).rstrip(b"0") if fraction else b"",
                    pending,
                    last,
                )
                answers.append((reply, b"", len(block), block + body[size:] if size else block + body))
            last = sequence
            if left <= 0:
                break
        self._last, self._pending, self._bytes_left = last, pending, left
        return answers

    def _finish(self) -> None:
        block = b"NATS/1.0 204 EOB\r\nNats-Num-Pending: %d\r\nNats-Last-Sequence: %d\r\n" % (
            self._pending,
            self._last,
        )
        if self._up_to:
            block += b"Nats-UpTo-Sequence: %d\r\n" % self._up_to
        block += b"\r\n"
        self._stream.account.publish((self._reply, b"", len(block), block))
        self._stream.node.flush()


def level_refused(header_block: bytes) -> bool:
    """Return whether a request demands a higher API level than this node has."""
    required = headers.get(header_block, REQUIRED_API_LEVEL) if header_block else None
    if not required:
        return False
    return not required.isdigit() or int(required) > API_LEVEL


def find_message(stream: Stream, request: MessageGetRequest) -> StoredMessage | None:
    """Return the one message that a request by sequence, time or subject means.

    Raises:
        StorageError: it is there but can not be read.
    """
    messages = stream.messages
    sequence: int | None = request.seq
    if request.start_time is not None:
        sequence = messages.sequence_at(request.start_time)
    if request.next_by_subj:
        found = messages.next_sequences(max(sequence or 0, 1), 1, [_encode(request.next_by_subj)])
        sequence = found[0] if found else None
    elif request.last_by_subj:
        pattern = _encode(request.last_by_subj)
        if subjects.has_wildcards(pattern):
            sequence = messages.previous_sequence(messages.last_sequence, [pattern])
        else:
            sequence = messages.last_of_subject(pattern)
    return messages.read(sequence) if sequence else None


def dress(reply: bytes, stream: bytes, message: StoredMessage) -> Message:
    """Return a stored message as an answer to `reply`, with the headers that tell where it is from."""
    time = format_time(message.time_ns).encode()
    fields = b"Nats-Stream: %b\r\nNats-Subject: %b\r\nNats-Sequence: %d\r\nNats-Time-Stamp: %b\r\n\r\n" % (
        stream,
        message.subject,
        message.sequence,
        time,
    )
    size = message.header_size
    block = message.body[: size - 2] + fields if size else b"NATS/1.0\r\n" + fields
    return reply, b"", len(block), block + message.body[size:]


def _encode(subject: str) -> bytes:
    return subject.encode("utf-8", "surrogateescape")
