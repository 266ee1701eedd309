"""STREAM.SNAPSHOT: a stream goes out as a compressed archive, in chunks that its receiver acknowledges.

The archive shows the stream as it was when asked for, but for messages that are removed before their turn.
It is made piece by piece, as the receiver takes it, in slices that leave the loop time for others.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.jetstream.backup.consumer_states import encode_consumer
from memphis_desktop.broker.jetstream.stream_state import state_of
from memphis_desktop.broker.jetstream.times import format_time
from memphis_desktop.broker.jetstream.typed_json import encode_json
from memphis_desktop.broker.nuid import next_id
from memphis_desktop.broker.store.interface import StorageError, StoredMessage
from memphis_desktop.protocol.snapshot import archive
from memphis_desktop.protocol.snapshot.s2_frames import FrameWriter

if TYPE_CHECKING:
    from memphis_desktop.broker.clock import Timer
    from memphis_desktop.broker.contracts import Client, InterestWatch, Subscription
    from memphis_desktop.broker.jetstream.requests import SnapshotRequest
    from memphis_desktop.broker.jetstream.stream import Stream
    from memphis_desktop.protocol.message import Message

_log = logging.getLogger(__name__)

_CHUNK, _LEAST_CHUNK, _MOST_CHUNK = 128 * 1024, 1024, 1024 * 1024
_WINDOW, _LEAST_WINDOW, _MOST_WINDOW = 8 * 1024 * 1024, 1024, 32 * 1024 * 1024
_INTEREST_SECONDS = 2.0  # how long the receiver may take to subscribe
_ACK_SECONDS = 5.0
_SLICE_MESSAGES = 256
_SLICE_BYTES = 128 * 1024
_TURN_SECONDS = 0.004

_COMPLETE = b"NATS/1.0 204\r\n\r\n"
_NO_INTEREST = b"NATS/1.0 408 No Interest\r\n\r\n"
_NO_FLOW = b"NATS/1.0 408 No Flow Response\r\n\r\n"


def archive_of(stream: Stream, *, consumers: bool) -> Iterator[bytes]:
    """Return the stream's archive piece by piece, as it is now.

    Raises:
        StorageError: while it is read, a message was found damaged.
    """
    messages = stream.messages
    now, first, last = stream.node.clock.time_ns(), messages.first_sequence, messages.last_sequence
    saved = [
        (one.name.encode(), encode_consumer(one.config, one.saved_state(), last))
        for one in (stream.consumers.values() if consumers else ())
        if not one.config.direct
    ]
    state = encode_json(state_of(messages, len(saved)))

    def pieces() -> Iterator[bytes]:
        yield archive.MAGIC + archive.encode_entry(archive.STATE, now, 0, 0, state)
        for name, document in saved:
            yield archive.encode_entry(archive.CONSUMERS + name, now, 0, 0, document)
        position = first
        while position <= last:
            wanted = messages.next_sequences(position, _SLICE_MESSAGES)
            wanted = [sequence for sequence in wanted if sequence <= last]
            if not wanted:
                break
            found = _read(stream, wanted)
            yield b"".join(
                archive.encode_entry(one.subject, one.time_ns, one.sequence, one.header_size, one.body)
                for one in found
            )
            position = found[-1].sequence + 1
        yield archive.END

    return pieces()


def _read(stream: Stream, wanted: list[int]) -> list[StoredMessage]:
    """Return the first of these messages, at least one; raises StorageError for a damaged one."""
    found = stream.messages.read_many(wanted, _SLICE_BYTES)
    for sequence, message in zip(wanted, found, strict=False):
        if message.sequence != sequence:
            raise StorageError(f"couldn't load next message after seq {sequence}: it is damaged")
    if not found:
        raise StorageError(f"couldn't load next message after seq {wanted[0]}: it is damaged")
    return found


class Snapshot:
    """One snapshot on its way to its receiver."""

    def __init__(self, stream: Stream, asked: SnapshotRequest, client: Client | None) -> None:
        self._stream = stream
        self._account = stream.account
        self._clock = stream.node.clock
        self._target = asked.deliver_subject.encode()
        self._client = client
        self._chunk = min(max(asked.chunk_size or _CHUNK, _LEAST_CHUNK), _MOST_CHUNK)
        window = min(max(asked.window_size or _WINDOW, _LEAST_WINDOW), _MOST_WINDOW)
        self._slots = max(window, self._chunk) // self._chunk
        self._pieces = archive_of(stream, consumers=not asked.no_consumers)
        self._frames = FrameWriter()
        self._ready = bytearray()
        self._all_read = False
        self._index = 0
        self._acks = f"$JS.SNAPSHOT.ACK.{stream.name}.{next_id()}".encode()
        self._subscription: Subscription | None = None
        self._watch: InterestWatch | None = None
        self._timer: Timer | None = None
        self._deadline = 0.0
        self._planned = False
        self._ended = False
        self._started_ns = self._clock.time_ns()
        self.state = state_of(stream.messages, len(stream.consumers))

    def start(self) -> None:
        """Begin to send, or wait a moment for the receiver to subscribe."""
        stream = self._stream
        fields: dict[str, Any] = {"stream": stream.name, "state": self.state, "client": self._described()}
        stream.advise("snapshot_create", f"STREAM.SNAPSHOT_CREATE.{stream.name}", fields)
        self._subscription = self._account.subscribe(self._acks + b".>", self._acknowledged)
        self._watch = self._account.watch_interest(self._target, self._interest_changed)
        if self._account.has_interest(self._target):
            self._begin()
        else:
            self._timer = self._clock.call_later(_INTEREST_SECONDS, self._begin)

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._ended:
            self._wait_for_acks()
            self._send_soon()

    def _interest_changed(self, interested: bool) -> None:
        if self._ended:
            return
        if interested and not self._index and not self._deadline:
            self._begin()
        elif not interested and self._deadline:
            self._end(_NO_INTEREST, "no interest")
            self._stream.node.flush()

    # -- sending ---------------------------------------------------------------------------------------------
    def _send_soon(self) -> None:
        if not self._planned:
            self._planned = True
            self._clock.call_soon(self._send)

    def _send(self) -> None:
        self._planned = False
        end = self._clock.monotonic() + _TURN_SECONDS
        try:
            while self._slots and not self._ended:
                if self._stream.closed:
                    self._end(b"NATS/1.0 500 stream closed\r\n\r\n", "stream closed")
                elif len(self._ready) >= self._chunk:
                    self._send_chunk()
                elif self._all_read:
                    self._send_last()
                else:
                    self._read_on()
                if self._clock.monotonic() > end:
                    self._send_soon()
                    break
        except StorageError as error:
            self._end(f"NATS/1.0 500 {error}\r\n\r\n".encode(), str(error))
        self._stream.node.flush()

    def _read_on(self) -> None:
        piece = next(self._pieces, None)
        if piece is None:
            self._all_read = True
        else:
            self._ready += self._frames.write(piece)

    def _send_chunk(self) -> None:
        chunk = bytes(self._ready[: self._chunk])
        del self._ready[: self._chunk]
        self._index += 1
        self._slots -= 1
        reply = b"%b.%d.%d" % (self._acks, len(chunk), self._index)
        self._account.publish((self._target, reply, 0, chunk))
        self._wait_for_acks()

    def _send_last(self) -> None:
        if self._ready:
            self._account.publish((self._target, b"", 0, bytes(self._ready)))
        # A snapshot that fits one chunk ends with an empty message without a status, as the reference does.
        self._end(_COMPLETE if self._index else b"", "")

    def _acknowledged(self, messages: list[Message], sender: Client | None) -> None:
        self._slots += len(messages)
        self._send_soon()

    # -- waiting and ending ----------------------------------------------------------------------------------
    def _wait_for_acks(self) -> None:
        self._deadline = self._clock.monotonic() + _ACK_SECONDS
        if self._timer is None:
            self._timer = self._clock.call_later(_ACK_SECONDS, self._check_time)

    def _check_time(self) -> None:
        self._timer = None
        if self._ended:
            return
        left = self._deadline - self._clock.monotonic()
        if left > 0:
            self._timer = self._clock.call_later(left, self._check_time)
            return
        self._end(_NO_FLOW, "no flow response")
        self._stream.node.flush()

    def _end(self, status: bytes, failure: str) -> None:
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        if self._subscription is not None:
            self._account.unsubscribe(self._subscription)
        if self._watch is not None:
            self._watch.cancel()
        self._account.publish((self._target, b"", len(status), status))
        stream = self._stream
        fields: dict[str, Any] = {
            "stream": stream.name,
            "start": format_time(self._started_ns),
            "end": format_time(self._clock.time_ns()),
            "client": self._described(),
        }
        if failure:
            fields["error"] = failure
            _log.warning("Snapshot of stream '%s > %s' failed: %s", self._account.name, stream.name, failure)
        stream.advise("snapshot_complete", f"STREAM.SNAPSHOT_COMPLETE.{stream.name}", fields)

    def _described(self) -> dict[str, Any]:
        return self._client.describe() if self._client is not None else {}
