"""The memory store: the same index and rules as the file store, bodies in lists, nothing on disk."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence

from memphis_desktop.broker.clock import Clock
from memphis_desktop.broker.store.commit import TurnCallbacks
from memphis_desktop.broker.store.consumer_state import copy_state
from memphis_desktop.broker.store.index import Segment
from memphis_desktop.broker.store.indexed import IndexedStore, Run
from memphis_desktop.broker.store.interface import (
    ConsumerState,
    ConsumerStore,
    DurableCallback,
    Limits,
    MessageBlock,
    NewMessage,
    StorageError,
    StoredMessage,
    StoreRoot,
    StreamStorage,
)
from memphis_desktop.broker.store.records import message_id

_CHUNK = 8192  # messages in one segment: what is freed together


class _Chunk:
    """The bodies of one segment."""

    __slots__ = ("messages", "times")

    def __init__(self) -> None:
        self.messages: list[NewMessage | None] = []
        self.times = array("Q")


class MemoryMessageStore(IndexedStore):
    """A stream's messages in memory."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        super().__init__(limits)
        self._callbacks = TurnCallbacks(clock)

    def append(
        self,
        messages: Sequence[NewMessage],
        time_ns: int,
        written: Callable[[int], None] | None = None,
    ) -> int:
        """Keep the messages."""
        self._check_new(messages)
        time_ns = max(time_ns, self.last_time_ns)
        segment = self._segment_for(time_ns)
        names = [message[0] for message in messages]
        subjects, only = self._subjects_for(names)
        sizes = [16 + len(subject) + len(body) for subject, _, body in messages]
        first = self._index(segment, subjects, only, sizes, None, time_ns)
        segment.file.messages.extend(messages)
        segment.file.times.extend(range(time_ns, time_ns + len(sizes)))
        self.durable_sequence = self.last_sequence
        if self.limits.max_messages_per_subject > 0:
            self._limit_subjects(set(subjects))
        self._limit_whole()
        return first

    def when_durable(self, callback: DurableCallback) -> None:
        """Call back in the next turn."""
        self._callbacks.add(callback)

    def skip_to(self, sequence: int) -> None:
        """Make the next message get this sequence."""
        if sequence <= self.last_sequence:
            raise ValueError("a sequence is never reused")
        self.last_sequence = self.durable_sequence = sequence - 1
        if not self.message_count:
            self.first_sequence = sequence

    def _needs_new_segment(self, segment: Segment, time_ns: int) -> bool:
        return len(segment) >= _CHUNK or super()._needs_new_segment(segment, time_ns)

    def _begin_segment(self, base: int) -> None:
        segments = self._table.segments
        if segments and not segments[-1].live:
            self._table.drop(segments[-1])
        self._table.add(Segment(base, _Chunk()))

    def _accounted(self, subject: bytes, size: int) -> int:
        return 16 + len(subject) + size

    def _time_of(self, segment: Segment, at: int) -> int:
        return int(segment.file.times[at])

    def _write_removal(self, runs: list[Run], *, erase: bool) -> None:
        for first, last in runs:
            for segment in self._table.segments[max(self._table.at(first), 0) :]:
                if segment.base > last:
                    break
                start, end = segment.position(first), segment.position(last + 1)
                segment.file.messages[start:end] = [None] * (end - start)

    def _emptied(self, segment: Segment) -> None:
        if segment is not self._table.segments[-1]:
            self._table.drop(segment)

    def read(self, sequence: int) -> StoredMessage | None:
        """Return the message, None when there is none."""
        found = self._table.find(sequence)
        if found is None:
            return None
        segment, at = found
        subject, header_size, body = segment.file.messages[at]
        return StoredMessage(sequence, segment.file.times[at], subject, header_size, body)

    def read_many(self, sequences: Sequence[int], max_bytes: int = 0) -> list[StoredMessage]:
        """Return those that exist."""
        found = []
        size = 0
        for sequence in sequences:
            message = self.read(sequence)
            if message is None:
                continue
            found.append(message)
            size += len(message.subject) + len(message.body)
            if 0 < max_bytes <= size:
                break
        return found

    def read_block(self, sequences: Sequence[int], max_bytes: int) -> MessageBlock | None:
        """Return the first of `sequences` in columns."""
        found = self.read_many(sequences, max_bytes)
        if not found or found[-1].sequence != sequences[len(found) - 1]:
            return None
        return MessageBlock._make(zip(*found, strict=True))

    def recent_ids(self, since_ns: int) -> Iterator[tuple[bytes, int, int]]:
        """Yield the ids of what is there: memory is empty after a restart, so nothing has to be recalled."""
        for segment in self._table.segments:
            for at, message in enumerate(segment.file.messages):
                if message is None or not message[1] or segment.file.times[at] < since_ns:
                    continue
                found = message_id(message[2][: message[1]])
                if found:
                    yield found, segment.sequence(at), segment.file.times[at]

    def close(self) -> None:
        """Call back who waits, and let go of everything."""
        self._callbacks.run()
        self.failure = StorageError("the store is closed")


class MemoryConsumerStore(ConsumerStore):
    """A consumer's state that does not outlive the process."""

    def __init__(self, clock: Clock) -> None:
        self._callbacks = TurnCallbacks(clock)
        self.state_source: Callable[[], ConsumerState] | None = None
        self._state: ConsumerState | None = None

    def load(self) -> ConsumerState | None:
        """Return what `reset` wrote last: memory has nothing to recover."""
        return None if self._state is None else copy_state(self._state)

    def delivered_first(self, stream_sequences: Sequence[int], consumer_sequence: int, time_ns: int) -> None:
        """Nothing to keep."""

    def delivered(self, stream_sequence: int, consumer_sequence: int, deliveries: int, time_ns: int) -> None:
        """Nothing to keep."""

    def acked(self, stream_sequences: Iterable[int], consumer_floor: int, stream_floor: int) -> None:
        """Nothing to keep."""

    def exhausted(
        self, stream_sequence: int, deliveries: int, consumer_floor: int, stream_floor: int
    ) -> None:
        """Nothing to keep."""

    def reset(self, state: ConsumerState) -> None:
        """Remember that there is a state."""
        self._state = copy_state(state)

    def flush(self) -> None:
        """Nothing to write."""

    def when_durable(self, callback: DurableCallback) -> None:
        """Call back in the next turn."""
        self._callbacks.add(callback)

    def close(self) -> None:
        """Call back who waits."""
        self._callbacks.run()


class MemoryStream(StreamStorage):
    """A stream that does not outlive the process."""

    def __init__(self, name: str, document: bytes, limits: Limits, clock: Clock) -> None:
        self.name = name
        self.messages = MemoryMessageStore(limits, clock)
        self._clock = clock
        self._document = document
        self._consumers: dict[str, bytes] = {}
        self._stores: dict[str, MemoryConsumerStore] = {}

    def configuration(self) -> bytes:
        """Return the stream's JSON."""
        return self._document

    def write_configuration(self, document: bytes) -> None:
        """Replace the stream's JSON."""
        self._document = document

    def consumers(self) -> dict[str, bytes]:
        """Return the JSON of every consumer."""
        return dict(self._consumers)

    def write_consumer(self, name: str, document: bytes, *, synced: bool = True) -> None:
        """Create or replace a consumer's JSON."""
        self._consumers[name] = document

    def open_consumer(self, name: str, memory: bool) -> ConsumerStore:
        """Open the consumer's state."""
        return self._stores.setdefault(name, MemoryConsumerStore(self._clock))

    def delete_consumer(self, name: str) -> None:
        """Forget the consumer."""
        self._consumers.pop(name, None)
        self._stores.pop(name, None)

    def close(self) -> None:
        """Let go of everything."""
        self.messages.close()


class MemoryRoot(StoreRoot):
    """A node without a data folder: every stream is in memory, whatever its configuration says."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._streams: dict[tuple[str, str], MemoryStream] = {}

    def accounts(self) -> list[str]:
        """Return the accounts that have streams."""
        return sorted({account for account, _ in self._streams})

    def open_streams(self, account: str) -> list[StreamStorage]:
        """Return what is there: nothing after a start."""
        return [stream for (owner, _), stream in self._streams.items() if owner == account]

    def create_stream(
        self,
        account: str,
        name: str,
        document: bytes,
        *,
        memory: bool,
        limits: Limits,
        sync_always: bool | None = None,
    ) -> StreamStorage:
        """Create the stream."""
        if (account, name) in self._streams:
            raise StorageError(f"the stream {name} exists already")
        stream = self._streams[account, name] = MemoryStream(name, document, limits, self._clock)
        return stream

    def delete_stream(self, account: str, name: str) -> None:
        """Delete the stream."""
        stream = self._streams.pop((account, name), None)
        if stream is not None:
            stream.close()

    def usage(self) -> tuple[int, int]:
        """Return bytes of (memory, file) that messages use."""
        return sum(stream.messages.byte_count for stream in self._streams.values()), 0

    def close(self) -> None:
        """Close all streams."""
        for stream in self._streams.values():
            stream.close()
        self._streams.clear()
