"""The journal of a stream's consumers: one file for all of them, so that one write and one sync serve all.

A new generation of the file begins with the whole state of every consumer, twice; once that is durable the
older generation goes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from memphis_desktop.broker.store.commit import Channel, SyncWork, TurnCallbacks, ignore
from memphis_desktop.broker.store.consumer_state import (
    apply,
    copy_state,
    encode_acked,
    encode_again,
    encode_exhausted,
    encode_first,
    encode_state,
    settle,
)
from memphis_desktop.broker.store.files import NO_DESCRIPTORS, NO_ROOM
from memphis_desktop.broker.store.interface import (
    ConsumerState,
    ConsumerStore,
    DurableCallback,
    StorageError,
)
from memphis_desktop.broker.store.log_file import FILE_HEADER_SIZE, LogFile
from memphis_desktop.broker.store.log_writer import StoreSettings
from memphis_desktop.broker.store.records import (
    CONSUMER_ACKED,
    CONSUMER_AGAIN,
    CONSUMER_DELETED,
    CONSUMER_EXHAUSTED,
    CONSUMER_FIRST,
    CONSUMER_STATE,
    PADDING,
    SNAPSHOT_END,
    Record,
    pack_record,
    scan,
)
from memphis_desktop.broker.store.recovery import keep_in_quarantine
from memphis_desktop.broker.store.reserve import NoRoom

logger = logging.getLogger(__name__)

# How long after a failure the next file is tried, in seconds.
_RETRY = 1.0
# A new generation begins when the file is this large and several times its own beginning.
_ROLL_BYTES = 4 * 1024 * 1024
_ROLL_FACTOR = 8
_BLOCK = 4096

_Entry = tuple[int, int, int, bytes]  # kind, consumer number, time, body


class ConsumerJournal:
    """The journal file of one stream."""

    def __init__(
        self, settings: StoreSettings, folder: Path, quarantine: Path, sync_always: bool | None
    ) -> None:
        self.sync_always = sync_always
        self.failure: StorageError | None = None
        self._settings = settings
        self._folder = folder
        self._quarantine = quarantine
        self._file: LogFile | None = None
        self._snapshot_end = 0
        self._synced_end = 0  # of the file, when the last sync began
        self._states: dict[int, ConsumerState] = {}  # as recovered, until the consumer is opened
        self._open: dict[int, FileConsumerStore] = {}
        self._entries: list[_Entry] = []
        self._unwritten: StorageError | None = None
        self._next_number = 1
        self.next_consumer = 1
        self._old: list[LogFile] = []  # generations to remove once the present one is durable
        self._syncing: LogFile | None = None
        self._dirty = False
        self._folder_changed = False
        self._channel = Channel(
            settings.workers,
            settings.pace,
            settings.clock,
            self._begin_sync,
            self._end_sync,
            self._unsynced_bytes,
        )
        self._callbacks = TurnCallbacks(settings.clock)
        self._timer_set = False
        self._closed = False

    # -- opening ---------------------------------------------------------------------------------------------
    def recover(self) -> None:
        """Read the newest generation whose beginning is whole."""
        files = self._settings.files
        found = []
        for name in files.list(self._folder):
            file = LogFile.parse_name(files, self._settings.descriptors, self._folder / name)
            if file is not None:
                found.append(file)
        found.sort(key=lambda file: file.number, reverse=True)
        for file in found:
            self._next_number = max(self._next_number, file.number + 1)
            if self._file is None and self._read(file, last=file is found[-1]):
                self._file = file
            else:
                self._old.append(file)
        if self._file is not None:
            # What a killed process wrote last may not be on the medium, though it can be read.
            try:
                self._file.handle().sync()
                files.sync_folder(self._folder)
            except OSError as error:
                self._fail(error)
            self._dirty = False
            if self._old:
                self._request_quietly()

    def _read(self, file: LogFile, *, last: bool) -> bool:
        """Take over the states of a generation; False when its beginning was never finished."""
        data = file.handle().read(file.handle().size(), 0)
        file.read_header(data[:FILE_HEADER_SIZE])
        states: dict[int, ConsumerState] = {}
        snapshot_seen: set[int] = set()
        complete = False
        damaged = False
        for item in scan(data, FILE_HEADER_SIZE, file.salt):
            if not isinstance(item, Record):
                damaged = True
                part = data[item.offset : item.offset + item.length]
                keep_in_quarantine(self._settings.files, self._quarantine, file, item.offset, part)
                if item.torn:
                    # Cut even in a beginning that was never finished: a header left there would claim a
                    # part of what is appended next.
                    logger.warning("%s: cut an incomplete record of %d bytes", file.path, item.length)
                else:
                    logger.error("%s: %d damaged bytes at %d", file.path, item.length, item.offset)
                    file.end = item.offset + item.length
                continue
            file.end = item.offset + item.length
            number = item.sequence
            if item.kind == SNAPSHOT_END:
                complete = True
                self._snapshot_end = file.end
                self.next_consumer = max(self.next_consumer, number)
            elif item.kind == CONSUMER_DELETED:
                states.pop(number, None)
            elif item.kind == CONSUMER_STATE and not complete:
                if number not in snapshot_seen:  # the second copy serves when the first is damaged
                    snapshot_seen.add(number)
                    states[number] = apply(ConsumerState(), item.kind, item.time_ns, item.body)
            elif item.kind != PADDING:
                states[number] = apply(
                    states.get(number) or ConsumerState(), item.kind, item.time_ns, item.body
                )
            self.next_consumer = max(self.next_consumer, number + 1)
        if not complete and not (last and (states or damaged)):
            return False
        for state in states.values():
            settle(state)
        self._states = states
        size = file.handle().size()
        if size > file.end:
            file.handle().truncate(file.end)
            self._dirty = True
        return True

    # -- consumers -------------------------------------------------------------------------------------------
    def open(self, number: int) -> FileConsumerStore:
        """Return the store of a consumer by its number."""
        store = self._open.get(number)
        if store is None:
            store = self._open[number] = FileConsumerStore(self, number, self._states.pop(number, None))
        self.next_consumer = max(self.next_consumer, number + 1)
        return store

    def delete(self, number: int) -> None:
        """Forget a consumer."""
        known = self._open.pop(number, None) is not None
        known = self._states.pop(number, None) is not None or known
        if known and self._file is not None:
            self._entries.append((CONSUMER_DELETED, number, self._settings.clock.time_ns(), b""))

    def now(self) -> int:
        """Return wall time in nanoseconds."""
        return self._settings.clock.time_ns()

    def add(self, kind: int, number: int, time_ns: int, body: bytes) -> None:
        """Collect an entry for the next flush."""
        self._entries.append((kind, number, time_ns, body))

    # -- writing ---------------------------------------------------------------------------------------------
    def flush(self) -> None:
        """Write what all consumers collected, with one call.

        What could not be written (a full disk) is kept and tried again with the next flush; until then
        `when_durable` gives the error.
        """
        for store in self._open.values():
            store.collect()
        if not self._entries or self.failure is not None:
            return
        try:
            self._write_entries()
        except StorageError as error:
            if self._unwritten is None:
                logger.error("%s: %s", self._folder, error)
            self._unwritten = error

    def _write_entries(self) -> None:
        file = self._file
        if file is None or file.end > max(_ROLL_BYTES, _ROLL_FACTOR * self._snapshot_end):
            try:
                self._begin_generation()
            except NoRoom:
                if file is None:
                    raise
                self._append(file, self._entries)
        else:
            self._append(file, self._entries)
        self._unwritten = None
        for kind, number, time_ns, body in self._entries:
            store = self._open.get(number)
            if store is not None:
                store.written(kind, time_ns, body)
        self._entries.clear()

    def _append(self, file: LogFile, entries: Iterable[_Entry]) -> None:
        offset = file.end
        parts = []
        for kind, number, time_ns, body in entries:
            part = pack_record(kind, number, time_ns, body, file.salt, offset)
            offset += len(part)
            parts.append(part)
        content = b"".join(parts)
        try:
            try:
                file.append(content)
            except OSError as error:
                # Acks have to go on when the disk is full.
                if error.errno not in NO_ROOM or not self._settings.reserve.release():
                    raise
                file.append(content)
        except OSError as error:
            raise self._explain(error) from error
        self._dirty = True

    def _begin_generation(self) -> None:
        """Begin a new file with the state of every consumer and what is to be written now."""
        clock = self._settings.clock
        now = clock.time_ns()
        try:
            file = LogFile.create(
                self._settings.files, self._settings.descriptors, self._folder, self._next_number, 0, now
            )
        except OSError as error:
            raise self._explain(error) from error
        states: list[_Entry] = [
            (CONSUMER_STATE, number, now, encode_state(state))
            for number, state in [
                *self._states.items(),
                *((n, s.durable_state()) for n, s in self._open.items()),
            ]
            if state is not None
        ]
        entries = list(states)
        if states:
            # The two copies never share a block of the medium.
            entries.append((PADDING, 0, now, bytes(_BLOCK)))
            entries.extend(states)
        entries.append((SNAPSHOT_END, self.next_consumer, now, b""))
        size = sum(len(entry[3]) + 36 for entry in entries)
        entries.extend(self._entries)
        try:
            self._append(file, entries)
        except StorageError:
            try:
                file.unlink()
            except OSError as error:
                logger.warning("%s: could not be removed: %s", file.path, error)
            raise
        self._next_number += 1
        self._folder_changed = True
        self._snapshot_end = FILE_HEADER_SIZE + size
        if self._file is not None:
            self._old.append(self._file)
        self._file = file
        self._request_quietly()

    def _explain(self, error: OSError) -> StorageError:
        if error.errno in NO_ROOM:
            return NoRoom("no space left on the disk: a consumer's state could not be written")
        if error.errno in NO_DESCRIPTORS:
            return StorageError("too many open files: a consumer's state could not be written")
        return self._fail(error)

    def _fail(self, error: BaseException) -> StorageError:
        if self.failure is None:
            self.failure = StorageError(f"the storage of the stream's consumers failed: {error}")
            logger.error("%s: %s", self._folder, self.failure)
            self._settings.clock.call_later(_RETRY, self._reopen)
        return self.failure

    def _reopen(self) -> None:
        """Begin a new file after a failure; the one that failed is never written or synced again."""
        if self._closed:
            return
        if not self._channel.idle:
            self._settings.clock.call_later(_RETRY, self._reopen)
            return
        self.failure = None
        try:
            self._begin_generation()
        except StorageError as error:
            logger.warning("%s: still failing: %s", self._folder, error)
            if self.failure is None:  # no room: not the medium's fault
                self._fail(error)
            return
        self._entries.clear()

    # -- durability ------------------------------------------------------------------------------------------
    @property
    def _syncs(self) -> bool:
        return self._settings.sync_always if self.sync_always is None else self.sync_always

    def when_durable(self, callback: DurableCallback) -> None:
        """Call back once all flushed until now is on disk."""
        if self._unwritten is not None:
            self.flush()
        failure = self.failure or self._unwritten
        if failure is not None:
            told = failure
            self._settings.clock.call_soon(lambda: callback(told))
        elif self._syncs:
            self._channel.request(callback)
        else:
            self._callbacks.add(callback)
            if not self._timer_set and not self._closed:
                self._timer_set = True
                self._settings.clock.call_later(self._settings.sync_interval, self._sync_now)

    def _sync_now(self) -> None:
        self._timer_set = False
        self._request_quietly()

    def _request_quietly(self) -> None:
        if not self._closed and self.failure is None:
            self._channel.request(ignore)

    def _begin_sync(self) -> SyncWork | None:
        if self.failure is not None:
            return self._refuse
        file = self._file
        if file is None or not (self._dirty or self._folder_changed or self._old):
            return None
        leaving, self._old = self._old, []
        self._dirty = False
        self._synced_end = file.end
        changed, self._folder_changed = self._folder_changed, False
        folder, files = self._folder, self._settings.files
        try:
            handle = file.handle()
        except OSError as error:
            trouble = error

            def fail() -> None:
                raise trouble

            return fail
        file.pins += 1
        self._syncing = file
        for old in leaving:
            old.release()

        def work() -> None:
            handle.sync()
            if changed:
                files.sync_folder(folder)
            for old in leaving:
                with suppress(FileNotFoundError):
                    files.unlink(old.path)

        return work

    def _unsynced_bytes(self) -> int:
        """Return how much the next sync has to bring to the medium."""
        if self._file is None or self._folder_changed or self._old:
            return 1 << 62
        return self._file.end - self._synced_end

    def _refuse(self) -> None:
        """Stand for the sync of a file that failed before: it is never tried again."""
        assert self.failure is not None
        raise self.failure

    def _end_sync(self, error: BaseException | None) -> StorageError | None:
        if self._syncing is not None:
            self._syncing.pins -= 1
            self._syncing = None
        if error is not None:
            return self._fail(error)
        return None

    def close(self) -> None:
        """Write everything, call back who waits for it, and let go of the file."""
        if self._closed:
            return
        self._closed = True
        if self.failure is None:
            self.flush()
            self._callbacks.run()
            self._channel.finish()
        if self._file is not None:
            self._file.release()
        if self.failure is None:
            self.failure = StorageError("the store is closed")


class FileConsumerStore(ConsumerStore):
    """One consumer in its stream's journal."""

    def __init__(self, journal: ConsumerJournal, number: int, state: ConsumerState | None) -> None:
        self._journal = journal
        self._number = number
        self.state_source: Callable[[], ConsumerState] | None = None
        self._state = state  # what the journal's file says: the base of the next generation
        self._acked: list[int] = []
        self._floors: tuple[int, int] | None = None
        self._again: list[bytes] = []

    def load(self) -> ConsumerState | None:
        """Return the state as recovered, None when none was ever written."""
        return None if self._state is None else copy_state(self._state)

    def durable_state(self) -> ConsumerState | None:
        """Return the state that the journal's records make, or a later one."""
        return self._state if self.state_source is None else self.state_source()

    def written(self, kind: int, time_ns: int, body: bytes) -> None:
        """Follow a record that was written, unless the consumer can be asked."""
        if self.state_source is None:
            self._state = apply(self._state or ConsumerState(), kind, time_ns, body)
        else:
            self._state = None

    def collect(self) -> None:
        """Hand over what was collected."""
        self._collect_again()
        self._collect_acked()

    def _collect_again(self) -> None:
        if self._again:
            self._journal.add(CONSUMER_AGAIN, self._number, 0, b"".join(self._again))
            self._again.clear()

    def _collect_acked(self) -> None:
        if self._floors is not None:
            body = encode_acked(self._acked, *self._floors)
            self._journal.add(CONSUMER_ACKED, self._number, self._journal.now(), body)
            self._floors = None
            self._acked = []

    def delivered_first(self, stream_sequences: Sequence[int], consumer_sequence: int, time_ns: int) -> None:
        """Note first deliveries."""
        self.collect()
        self._journal.add(
            CONSUMER_FIRST, self._number, time_ns, encode_first(stream_sequences, consumer_sequence)
        )

    def delivered(self, stream_sequence: int, consumer_sequence: int, deliveries: int, time_ns: int) -> None:
        """Note a further delivery."""
        self._collect_acked()
        self._again.append(encode_again(stream_sequence, consumer_sequence, deliveries, time_ns))

    def acked(self, stream_sequences: Iterable[int], consumer_floor: int, stream_floor: int) -> None:
        """Note acks."""
        self._collect_again()
        self._acked.extend(stream_sequences)
        self._floors = (consumer_floor, stream_floor)

    def exhausted(
        self, stream_sequence: int, deliveries: int, consumer_floor: int, stream_floor: int
    ) -> None:
        """Note that a message reached max_deliver."""
        self.collect()
        body = encode_exhausted(stream_sequence, deliveries, consumer_floor, stream_floor)
        self._journal.add(CONSUMER_EXHAUSTED, self._number, self._journal.now(), body)

    def reset(self, state: ConsumerState) -> None:
        """Replace everything."""
        self.collect()
        self._journal.add(CONSUMER_STATE, self._number, self._journal.now(), encode_state(state))

    def flush(self) -> None:
        """Write what was collected."""
        self._journal.flush()

    def when_durable(self, callback: DurableCallback) -> None:
        """Call back once all flushed until now is on disk."""
        self._journal.when_durable(callback)

    def close(self) -> None:
        """Flush."""
        self._journal.flush()
