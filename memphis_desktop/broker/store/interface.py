"""The storage contract that the file store and the memory store both meet, and both are tested against.

Rules (promises P1 to P9 of docs/reliability.md):

- `append` has handed everything to the operating system in one write when it returns; it is *durable* only
  once `when_durable` calls back. Nothing that a caller acknowledges may leave before that.
- Sequences are never reused: not after a crash, a purge, a removal or damage.
- A record whose checksum fails is never served; it is reported as damaged, and its neighbours are unharmed.
- A failed write or sync is final for that file: the store turns read-only (`failure` is set), and callbacks
  waiting for durability get the error.
- Everything here runs on the event loop's thread and returns quickly; syncs run in a worker thread.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias

# (subject, header_size, body): what is appended. See protocol.message for the meaning of the fields.
NewMessage: TypeAlias = tuple[bytes, int, bytes]

# Called with None once durable, or with the failure that made it impossible.
DurableCallback: TypeAlias = Callable[["StorageError | None"], None]


class StoredMessage(NamedTuple):
    """One message as it lies in a stream. Times are nanoseconds since 1970."""

    sequence: int
    time_ns: int
    subject: bytes
    header_size: int
    body: bytes


class MessageBlock(NamedTuple):
    """Messages that follow each other in a stream, column by column: what is read to be sent on at once.

    Making an object of every message costs more than reading it; who sends hundreds needs none. All columns
    have the same length, at least 1. The fields are those of `StoredMessage`.
    """

    sequences: Sequence[int]
    times: Sequence[int]
    subjects: Sequence[bytes]
    header_sizes: Sequence[int]
    bodies: Sequence[bytes]

    def messages(self) -> list[StoredMessage]:
        """Return them one by one."""
        return list(map(StoredMessage._make, zip(*self, strict=True)))


class CountedSubject(Protocol):
    """A subject with its number of messages, which follows what is stored and removed."""

    name: bytes
    count: int


class SubjectState(NamedTuple):
    """What a stream holds of one subject."""

    messages: int
    first_sequence: int
    last_sequence: int


class StorageError(Exception):
    """The store cannot do what was asked; the text is fit for a user."""


class FolderInUse(StorageError):
    """Another process has the data folder open."""


class DamagedRecord(StorageError):
    """The record of this sequence was found damaged; others are not affected."""


class LimitReached(StorageError):
    """A discard-new limit refuses the message. The text is nats-server's, as in error 10077."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a stream may hold; -1 or 0 is unlimited. Ages are nanoseconds."""

    max_messages: int = -1
    max_bytes: int = -1
    max_age_ns: int = 0
    max_messages_per_subject: int = -1
    discard_new: bool = False
    discard_new_per_subject: bool = False


class RemovalReason:
    """Why messages left a stream: values of the second argument of `on_removed`."""

    LIMITS = "limits"
    AGE = "age"
    PURGE = "purge"
    DELETE = "delete"
    CONSUMED = "consumed"
    DAMAGED = "damaged"  # found damaged when it was read


# Called with ``[(sequence, subject), ...]`` in ascending order and a RemovalReason, after the removal.
RemovedCallback: TypeAlias = Callable[[Sequence[tuple[int, bytes]], str], None]


class MessageStore(ABC):
    """The messages of one stream."""

    limits: Limits
    on_removed: RemovedCallback | None
    failure: StorageError | None
    sync_always: bool | None  # None: as the node's default says. May be changed while open.
    id_window_ns: int  # how long the ids of removed messages are kept on disk; the caller sets it

    # -- state -----------------------------------------------------------------------------------------------
    first_sequence: int  # of the oldest message; last_sequence + 1 when empty after use (2.4 of the protocol)
    last_sequence: int  # highest sequence ever assigned
    durable_sequence: int  # everything up to here is on disk, or as safe as `interval` promises
    message_count: int
    last_time_ns: int

    @property
    @abstractmethod
    def byte_count(self) -> int:
        """The size of all messages as nats-server counts them (2.4)."""

    @property
    @abstractmethod
    def first_time_ns(self) -> int:
        """The time of the oldest message, 0 when there is none."""

    @abstractmethod
    def append(
        self,
        messages: Sequence[NewMessage],
        time_ns: int,
        written: Callable[[int], None] | None = None,
    ) -> int:
        """Store `messages` under consecutive sequences and return the first of these.

        The store may keep `messages` in memory for readers: the caller does not change it afterwards.

        Limits with discard old are enforced afterwards (`on_removed` is called); with discard new the caller
        asks `refusal` first. Message i gets time `time_ns + i`, and never one before the last message's.

        When `interval` mode makes a single message as good as durable by writing it, `written` is called with
        its sequence right then, before the index knows of it; it must not touch the store. Other stores and
        modes never call it.

        Raises:
            StorageError: the store is read-only, or the write failed; nothing was stored.
        """

    @abstractmethod
    def refusal(self, subject: bytes, size: int) -> str | None:
        """Return nats-server's text when a discard-new limit refuses a message of this subject and size.

        `size` is that of the headers and payload. What the caller has collected but not appended yet does
        not count: append it first.
        """

    @abstractmethod
    def enforce_limits(self) -> None:
        """Remove what `limits` do not allow (any more); after opening, and after they were made stricter."""

    @abstractmethod
    def when_durable(self, callback: DurableCallback) -> None:
        """Call `callback` on the loop once all that was written until now is on disk (group commit).

        Callbacks run in the order they were given. In interval mode they run in the next turn.
        """

    @abstractmethod
    def skip_to(self, sequence: int) -> None:
        """Make the next message get `sequence`, which must be above last_sequence (first_seq, mirrors)."""

    # -- reading ---------------------------------------------------------------------------------------------
    @abstractmethod
    def read(self, sequence: int) -> StoredMessage | None:
        """Return the message with this sequence, None when there is none (removed or never stored).

        Raises:
            DamagedRecord: it was there, but what is on disk does not match its checksum.
        """

    @abstractmethod
    def read_many(self, sequences: Sequence[int], max_bytes: int = 0) -> list[StoredMessage]:
        """Return the messages among `sequences` (ascending) that exist and are whole, in that order.

        Neighbours on disk are read together. With `max_bytes` > 0 stops after the message that reaches it.
        """

    def at_hand(self, sequences: Sequence[int], max_bytes: int, then: Callable[[], None]) -> bool:
        """Return whether `read_many` would find the first of `sequences` without waiting for the medium.

        If not, they are read ahead in a thread, and `then` is called on the loop; once, whether it helped
        or not.
        """
        return True

    def read_block(self, sequences: Sequence[int], max_bytes: int) -> MessageBlock | None:
        """Return the first of `sequences` (existing ones, ascending) as `read_many` would, in columns.

        It may hold fewer than `read_many` returns. None: this takes `read_many`, which also tells of damage.
        """
        return None

    @abstractmethod
    def next_sequences(self, start: int, count: int, filters: Sequence[bytes] = ()) -> list[int]:
        """Return up to `count` existing sequences ≥ `start`, ascending, matching any of `filters`.

        No filters means all. Filters are NATS patterns and do not overlap. The work is bounded by an index
        of subjects, not by the distance walked, when a filter is literal.
        """

    @abstractmethod
    def previous_sequence(self, start: int, filters: Sequence[bytes] = ()) -> int | None:
        """Return the highest existing matching sequence ≤ `start`."""

    @abstractmethod
    def count_from(self, start: int, filters: Sequence[bytes] = ()) -> int:
        """Return how many existing messages ≥ `start` match `filters`; exact (it becomes num_pending)."""

    @abstractmethod
    def sequence_at(self, time_ns: int) -> int:
        """Return the first existing sequence stored at or after `time_ns`; last_sequence + 1 when none."""

    @abstractmethod
    def subject_of(self, sequence: int) -> bytes | None:
        """Return the subject of an existing message without reading the disk."""

    @abstractmethod
    def last_of_subject(self, subject: bytes) -> int | None:
        """Return the last sequence of a literal subject."""

    @abstractmethod
    def subjects(self, pattern: bytes = b">") -> Mapping[bytes, SubjectState]:
        """Return the state of every subject that matches and has messages."""

    @abstractmethod
    def counted_subjects(self, pattern: bytes = b">") -> Sequence[CountedSubject]:
        """Return every subject that matches, with its name and present count, in no order."""

    @property
    @abstractmethod
    def subject_count(self) -> int:
        """Return how many subjects have messages."""

    @abstractmethod
    def removed_sequences(self) -> Iterator[int]:
        """Return the sequences missing between first and last, ascending (interior deletes)."""

    @abstractmethod
    def damaged(self) -> list[tuple[int, int]]:
        """Return the sequence ranges (first, last) found damaged."""

    # -- removing --------------------------------------------------------------------------------------------
    @abstractmethod
    def remove(self, sequences: Iterable[int], reason: str, erase: bool = False) -> int:
        """Remove messages and return how many were there; with `erase` their bytes are overwritten too.

        Written as records; durable with the next `when_durable`.
        """

    @abstractmethod
    def purge(self, pattern: bytes = b"", below: int = 0, keep: int = 0) -> int:
        """Purge what matches, below a sequence or all but `keep` (STREAM.PURGE); return how many.

        `on_removed` is not called: there may be millions, and who purges knows.
        """

    @abstractmethod
    def expire(self, now_ns: int) -> int | None:
        """Drop what is older than max_age, in one bounded slice; return when the next is due (ns) or None."""

    # -- message ids -----------------------------------------------------------------------------------------
    @abstractmethod
    def recent_ids(self, since_ns: int) -> Iterator[tuple[bytes, int, int]]:
        """Yield (message id, sequence, time_ns) stored since then, of removed messages too, oldest first.

        Ids are the values of ``Nats-Msg-Id``. They survive restart, consumption and purge (promise P6).
        `append` finds them in the header block itself.
        """

    # -- life ------------------------------------------------------------------------------------------------
    @abstractmethod
    def close(self) -> None:
        """Sync, write the index snapshot and let go of the files."""


@dataclass(slots=True)
class PendingDelivery:
    """A message delivered and not yet acknowledged."""

    consumer_sequence: int  # of its first delivery, as ack floors count them
    time_ns: int  # of the last delivery
    deliveries: int = 1


@dataclass(slots=True)
class ConsumerState:
    """All that a consumer must remember across a restart."""

    delivered_consumer: int = 0
    delivered_stream: int = 0
    ack_floor_consumer: int = 0
    ack_floor_stream: int = 0
    last_delivered_ns: int = 0
    last_acked_ns: int = 0
    pending: dict[int, PendingDelivery] = field(default_factory=dict)  # by stream sequence, ascending
    # Deliveries of messages past max_deliver, by stream sequence: they are no longer pending, yet known.
    exhausted: dict[int, int] = field(default_factory=dict)
    # Up to here a last_per_subject consumer gets the last message of each subject only; 0 for others.
    skip_until: int = 0


class ConsumerStore(ABC):
    """The journal of one consumer. Methods collect; `flush` writes once; `when_durable` promises."""

    # Returns everything noted until now. The store asks when it rewrites the journal, from within any
    # consumer's `flush`. Without it the store has to follow every entry itself, which costs time and memory.
    state_source: Callable[[], ConsumerState] | None

    @abstractmethod
    def load(self) -> ConsumerState | None:
        """Return the state as recovered; None when none was ever written (`reset` writes the first)."""

    @abstractmethod
    def delivered_first(self, stream_sequences: Sequence[int], consumer_sequence: int, time_ns: int) -> None:
        """Note the first delivery of these (ascending), under `consumer_sequence` and the ones after it.

        All are pending from now on; delivered_consumer and delivered_stream follow the last one.
        """

    @abstractmethod
    def delivered(self, stream_sequence: int, consumer_sequence: int, deliveries: int, time_ns: int) -> None:
        """Note a further delivery, or another delivery time, of a pending message.

        delivered_consumer becomes `consumer_sequence` when that is higher; the pending entry keeps the
        consumer sequence of its first delivery.
        """

    @abstractmethod
    def acked(self, stream_sequences: Iterable[int], consumer_floor: int, stream_floor: int) -> None:
        """Note that these are done with (acked or terminated), and where the ack floor stands now.

        They leave `pending` and `exhausted`, if they are there.
        """

    @abstractmethod
    def exhausted(
        self, stream_sequence: int, deliveries: int, consumer_floor: int, stream_floor: int
    ) -> None:
        """Note that a pending message reached max_deliver: it moves from `pending` to `exhausted`."""

    @abstractmethod
    def reset(self, state: ConsumerState) -> None:
        """Replace everything, as after a purge or CONSUMER.RESET."""

    @abstractmethod
    def flush(self) -> None:
        """Hand what was collected to the operating system in one write (survives a kill of the process)."""

    @abstractmethod
    def when_durable(self, callback: DurableCallback) -> None:
        """Call back once all flushed until now is on disk (survives a power loss)."""

    @abstractmethod
    def close(self) -> None:
        """Flush and let go of the file; who waits for the medium is still called back."""


class StreamStorage(ABC):
    """Everything of one stream on its medium: its configuration, messages, consumers."""

    name: str
    messages: MessageStore

    @abstractmethod
    def configuration(self) -> bytes:
        """Return the JSON last written by `write_configuration`."""

    @abstractmethod
    def write_configuration(self, document: bytes) -> None:
        """Replace the stream's JSON atomically and durably (temporary file, sync, rename, directory sync)."""

    @abstractmethod
    def consumers(self) -> dict[str, bytes]:
        """Return the JSON of every consumer that was created and not deleted, by name."""

    @abstractmethod
    def write_consumer(self, name: str, document: bytes, *, synced: bool = True) -> None:
        """Create or replace the consumer's JSON, atomically and durably.

        Without `synced` it survives the end of the process, and power loss as soon as the system has written
        it: enough for an ephemeral consumer, whose clients make another one. A sync here holds the loop up
        for as long as the medium is busy.
        """

    @abstractmethod
    def open_consumer(self, name: str, memory: bool) -> ConsumerStore:
        """Open the consumer's journal, in memory when `memory` or the stream is in memory."""

    @abstractmethod
    def delete_consumer(self, name: str) -> None:
        """Forget the consumer; durably, unless it was written without a sync."""

    @abstractmethod
    def close(self) -> None:
        """Close messages and consumers."""


class StoreRoot(ABC):
    """A node's data folder, or its memory."""

    @abstractmethod
    def accounts(self) -> list[str]:
        """Return the accounts that have streams."""

    @abstractmethod
    def open_streams(self, account: str) -> list[StreamStorage]:
        """Recover every file stream of the account. Damage is contained and logged, never raised."""

    @abstractmethod
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
        """Create the stream's place; durable when this returns.

        `sync_always` None takes the node's default. Names are the caller's to validate, yet no name can
        leave the data folder.
        """

    @abstractmethod
    def delete_stream(self, account: str, name: str) -> None:
        """Delete it durably: after a crash it is gone whole or not at all."""

    @abstractmethod
    def usage(self) -> tuple[int, int]:
        """Return bytes of (memory, file) that messages use, over all accounts."""

    @abstractmethod
    def close(self) -> None:
        """Close all and give the folder free for another process."""
