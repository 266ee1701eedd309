"""STREAM.RESTORE: a stream is made anew from the chunks of a snapshot (2.18).

Chunks are requests to a subject of the restore's own; each is answered, empty, when it was worked through,
and an empty one ends the restore. A stream that is being restored is marked as such on disk: what a crash or
a mistake leaves of it is removed.
"""

from __future__ import annotations

import logging
import tempfile
from collections import deque
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from memphis_desktop.broker.jetstream.backup.block_files import BackupFolder
from memphis_desktop.broker.jetstream.backup.consumer_states import SavedConsumer, decode_consumer
from memphis_desktop.broker.jetstream.errors import ApiError
from memphis_desktop.broker.jetstream.requests import SnapshotState
from memphis_desktop.broker.jetstream.times import format_time
from memphis_desktop.broker.jetstream.typed_json import encode_json, lenient_from_json
from memphis_desktop.broker.nuid import next_id
from memphis_desktop.broker.store.interface import StorageError, StreamStorage
from memphis_desktop.protocol.snapshot import archive
from memphis_desktop.protocol.snapshot.s2_frames import FrameReader

if TYPE_CHECKING:
    from memphis_desktop.broker.clock import Timer
    from memphis_desktop.broker.contracts import Client, Subscription
    from memphis_desktop.broker.jetstream.account import AccountStreams
    from memphis_desktop.broker.jetstream.config import StreamConfig
    from memphis_desktop.broker.jetstream.stream import Stream
    from memphis_desktop.protocol.message import Message

_log = logging.getLogger(__name__)

_RESTORE_FAILED, _NAME_EXISTS = 10062, 10130
_STALLED_SECONDS = 5.0
_TURN_SECONDS = 0.004
_MAX_QUEUED = 64 * 1024 * 1024  # bytes of chunks that wait; clients send one or a few at a time
_SPOOLED_IN_MEMORY = 8 * 1024 * 1024
_CREATE_ANSWER = "io.nats.jetstream.api.v1.stream_create_response"


class _Builder:
    """Fills a stream's storage with what a snapshot holds."""

    def __init__(self, streams: AccountStreams, config: StreamConfig) -> None:
        self._streams = streams
        self._config = config
        self.storage: StreamStorage | None = None
        self._first = self._last = 0
        self._stored = 0
        self._max_payload = streams.node.max_payload
        self._consumers: list[SavedConsumer] = []

    def begin(self, state: SnapshotState) -> None:
        """Make the storage for a stream whose messages begin at `state.first_seq`."""
        self._check_room(state.bytes)
        try:
            self.storage = self._streams.create_restoring(self._config)
        except ApiError as error:
            raise ValueError(f"error adding stream: {error} ({error.err_code})") from None
        self._last = state.last_seq
        if state.first_seq > 1:
            self.storage.messages.skip_to(state.first_seq)

    def add_consumer(self, saved: SavedConsumer) -> None:
        """Keep a consumer until the messages are there."""
        self._consumers.append(saved)

    def add_message(self, sequence: int, time_ns: int, subject: bytes, header_size: int, body: bytes) -> None:
        """Store a message under its sequence."""
        assert self.storage is not None
        messages, config = self.storage.messages, self._config
        if sequence <= messages.last_sequence:
            raise ValueError(f"message sequence {sequence} out of order")
        if len(body) > self._max_payload:
            raise ValueError(f"message sequence {sequence} exceeds maximum payload size")
        if 0 <= config.max_msg_size < len(body):
            raise ValueError(f"message sequence {sequence} exceeds maximum message size")
        self._stored += len(body)
        self._check_room(self._stored)
        if sequence > messages.last_sequence + 1:
            messages.skip_to(sequence)
        messages.append([(subject, header_size, body)], time_ns)

    def finish(self) -> Stream:
        """Make the stream of it, with its consumers, and start it."""
        assert self.storage is not None
        messages = self.storage.messages
        if self._last > messages.last_sequence:
            messages.skip_to(self._last + 1)
        storage, self.storage = self.storage, None
        return self._streams.activate_restored(storage, self._config, self._consumers)

    def reach(self, last: int) -> None:
        """Let the stream end at this sequence at least, whatever messages there are."""
        self._last = max(self._last, last)

    def abandon(self) -> None:
        """Remove everything again."""
        if self.storage is not None:
            self.storage = None
            self._streams.remove_restoring(self._config.name)

    def _check_room(self, size: int) -> None:
        streams, storage = self._streams, self._config.storage
        try:
            streams.limits.check_usage(storage, streams.usage(storage), size)
        except ApiError:
            raise ApiError(10028 if storage == "memory" else 10047) from None


class _Content:
    """Reads a snapshot's content, of either format, into a builder."""

    def __init__(self, builder: _Builder, name: str) -> None:
        self._builder = builder
        self._name = name
        self._archive = archive.ArchiveReader()
        self._head = b""
        self._spool: IO[bytes] | None = None  # of the older format, which can only be read as a whole
        self._is_archive = False
        self._consumers_to_come = -1
        self._ended = False

    def feed(self, block: bytes) -> Iterator[None]:
        """Take the next bytes; yields now and then, so that others get their turn."""
        if not self._is_archive and self._spool is None:
            self._head += block
            if len(self._head) < len(archive.MAGIC):
                return
            block, self._head = self._head, b""
            self._is_archive = block.startswith(archive.MAGIC)
        if not self._is_archive:
            if self._spool is None:
                self._spool = tempfile.SpooledTemporaryFile(_SPOOLED_IN_MEMORY)  # noqa: SIM115
            self._spool.write(block)
            return
        self._archive.feed(block)
        while (entry := self._archive.next_entry()) is not None:
            self._take(entry)
            yield

    def end(self) -> Iterator[None]:
        """Read what can be read only at the end, and check that all was there."""
        if self._spool is not None:
            yield from self._read_folder(self._spool)
        elif not self._ended:
            raise ValueError("EOF" if self._consumers_to_come < 0 else "backup was truncated")

    def close(self) -> None:
        """Let go of the temporary file."""
        if self._spool is not None:
            self._spool.close()

    def _take(self, entry: archive.Entry) -> None:
        builder = self._builder
        if self._consumers_to_come < 0:
            if entry.name != archive.STATE:
                raise ValueError("expected state.json first")
            state = lenient_from_json(SnapshotState, entry.body)
            if state is None:
                raise ValueError("error in state.json")
            builder.begin(state)
            self._consumers_to_come = state.consumer_count
        elif self._consumers_to_come:
            name = entry.name.decode("utf-8", "replace")
            if not entry.name.startswith(archive.CONSUMERS):
                raise ValueError(f'expected consumer, found "{name}"')
            self._consumers_to_come -= 1
            builder.add_consumer(decode_consumer(name.removeprefix("consumers/"), entry.body))
        elif entry.sequence:
            builder.add_message(entry.sequence, entry.time_ns, entry.name, entry.header_size, entry.body)
        elif entry.is_end:
            self._ended = True
        else:
            raise ValueError("expected message sequence")

    def _read_folder(self, file: IO[bytes]) -> Iterator[None]:
        file.seek(0)
        folder = BackupFolder(file)
        if folder.name != self._name:
            raise ValueError("stream names do not match")
        self._builder.begin(SnapshotState())
        for consumer in folder.consumers():
            self._builder.add_consumer(consumer)
        for message in folder.messages():
            self._builder.add_message(*message)
            yield
        self._builder.reach(folder.last_sequence)


class Restore:
    """One restore, from its request to its end."""

    def __init__(self, streams: AccountStreams, config: StreamConfig, client: Client | None) -> None:
        self._streams = streams
        self._account = streams.account
        self._clock = streams.node.clock
        self._name = config.name
        self._client = client
        self._builder = _Builder(streams, config)
        self._content = _Content(self._builder, config.name)
        self._frames = FrameReader()
        self.subject = f"$JS.SNAPSHOT.RESTORE.{config.name}.{next_id()}"
        self._subscription: Subscription | None = None
        self._queue: deque[tuple[bytes, bytes]] = deque()
        self._queued = self._total = 0
        self._work: Iterator[None] | None = None
        self._planned = self._ended = False
        self._timer: Timer | None = None
        self._last_activity = self._clock.monotonic()
        self._started_ns = self._clock.time_ns()

    def start(self) -> None:
        """Wait for chunks."""
        fields = {"stream": self._name, "client": self._described()}
        self._streams.advisor.advise("restore_create", f"STREAM.RESTORE_CREATE.{self._name}", fields)
        self._subscription = self._account.subscribe(self.subject.encode(), self._receive)
        self._timer = self._clock.call_later(_STALLED_SECONDS, self._check_time)

    def cancel(self) -> None:
        """End without an answer: the account's JetStream ends."""
        self._close()
        self._builder.abandon()

    # -- chunks ----------------------------------------------------------------------------------------------
    def _receive(self, messages: list[Message], sender: Client | None) -> None:
        self._last_activity = self._clock.monotonic()
        for _, reply, header_size, body in messages:
            chunk = body[header_size:]
            if not reply:
                stream = f"'{self._account.name} > {self._name}'"
                self._fail(ValueError(f"restore for stream {stream} requires reply subject for each chunk"))
                return
            self._queue.append((reply, chunk))
            self._queued += len(chunk)
        if self._queued > _MAX_QUEUED:
            self._fail(ValueError("too many chunks were sent without waiting for their answers"))
            return
        self._run_soon()

    def _run_soon(self) -> None:
        if not self._planned:
            self._planned = True
            self._clock.call_soon(self._run)

    def _run(self) -> None:
        """Work on what has come, for one turn's worth of time."""
        self._planned = False
        end = self._clock.monotonic() + _TURN_SECONDS
        try:
            while self._queue and not self._ended:
                reply, chunk = self._queue[0]
                if self._work is None:
                    self._work = self._work_on(chunk)
                for _ in self._work:
                    if self._clock.monotonic() > end:
                        self._run_soon()
                        return
                self._work = None
                self._queue.popleft()
                self._queued -= len(chunk)
                self._last_activity = self._clock.monotonic()
                if chunk:
                    self._account.publish((reply, b"", 0, b""))
                else:
                    self._finish(reply)
        except (ValueError, ApiError, StorageError) as error:
            self._fail(error)
        finally:
            self._streams.node.flush()

    def _work_on(self, chunk: bytes) -> Iterator[None]:
        self._total += len(chunk)
        if not chunk:
            if not self._frames.is_between_frames:
                raise ValueError("unexpected EOF")
            yield from self._content.end()
            return
        self._frames.feed(chunk)
        for block in self._frames.blocks():
            if block is not None:
                yield from self._content.feed(block)
            yield

    # -- the end ---------------------------------------------------------------------------------------------
    def _finish(self, reply: bytes) -> None:
        stream = self._builder.finish()
        self._close()
        self._advise_completed()

        def answer(failure: StorageError | None) -> None:
            if failure is not None:
                self._answer(reply, {"error": ApiError(_RESTORE_FAILED, failure).to_json()})
            else:
                shown = stream.info(domain=False)
                self._answer(reply, {**shown, "ts": format_time(self._clock.time_ns())})
            self._streams.node.flush()

        stream.messages.when_durable(answer)

    def _fail(self, error: Exception) -> None:
        _log.warning("Restore of stream '%s > %s' failed: %s", self._account.name, self._name, error)
        reply = self._queue[0][0] if self._queue else b""
        self._close()
        self._builder.abandon()
        if not isinstance(error, ApiError):
            error = ApiError(_RESTORE_FAILED, error)
        self._answer(reply, {"error": error.to_json()})
        self._advise_completed()

    def _answer(self, reply: bytes, fields: dict[str, Any]) -> None:
        if reply:
            self._account.publish((reply, b"", 0, encode_json({"type": _CREATE_ANSWER} | fields)))

    def _advise_completed(self) -> None:
        fields: dict[str, Any] = {
            "stream": self._name,
            "start": format_time(self._started_ns),
            "end": format_time(self._clock.time_ns()),
            "bytes": self._total,
            "client": self._described(),
        }
        self._streams.advisor.advise("restore_complete", f"STREAM.RESTORE_COMPLETE.{self._name}", fields)

    def _close(self) -> None:
        self._ended = True
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._subscription is not None:
            self._account.unsubscribe(self._subscription)
            self._subscription = None
        self._content.close()
        self._streams.restores.pop(self._name, None)

    def _check_time(self) -> None:
        idle = self._clock.monotonic() - self._last_activity
        if self._ended:
            return
        if idle < _STALLED_SECONDS or self._queue:
            self._timer = self._clock.call_later(max(_STALLED_SECONDS - idle, 0.1), self._check_time)
            return
        _log.warning("Restore of stream '%s > %s' is stalled", self._account.name, self._name)
        self._close()
        self._builder.abandon()

    def _described(self) -> dict[str, Any]:
        return self._client.describe() if self._client is not None else {}
