"""Power loss and kills between any two operations, on simulated files: promises P1, P3, P4 and P6.

A seed decides what a client does, how far syncs have come, when the power fails, and what of the unsynced
writes is left. What was confirmed has to be there; nothing else than what was sent may be.
"""

from __future__ import annotations

import contextlib
import random

import pytest

from memphis_desktop.broker.store.interface import (
    ConsumerState,
    ConsumerStore,
    DamagedRecord,
    Limits,
    MessageStore,
    RemovalReason,
    StorageError,
    StreamStorage,
)
from memphis_desktop.broker.store.log_file import FILE_HEADER_SIZE
from tests.reliability.simulated_files import Inode, SimulatedFileSystem
from tests.reliability.simulated_node import SimulatedNode

SUBJECTS = (b"a", b"b.c", b"b.d")


class History:
    """What a client sent, and what it was told, over all crashes."""

    def __init__(self) -> None:
        self.sent: dict[int, set[bytes]] = {}  # by sequence: every body that may have been given it
        self.confirmed: dict[int, bytes] = {}
        self.removal_asked: set[int] = set()
        self.removal_confirmed: set[int] = set()
        self.ids: dict[bytes, int] = {}  # confirmed
        self.delivered: set[int] = set()
        self.acked: set[int] = set()  # confirmed
        self.floor = 0
        self.counter = 0


class Session:
    """One life of the process."""

    def __init__(self, history: History, node: SimulatedNode, chance: random.Random) -> None:
        self.history = history
        self.node = node
        self.chance = chance
        found = node.root.open_streams("$G")
        self.stream: StreamStorage
        if found:
            (self.stream,) = found
        else:
            self.stream = node.root.create_stream("$G", "S", b"{}", memory=False, limits=Limits())
        if "c" not in self.stream.consumers():
            self.stream.write_consumer("c", b"{}")
        self.store: MessageStore = self.stream.messages
        self.consumer: ConsumerStore = self.stream.open_consumer("c", False)
        state = self.consumer.load()
        if state is None:
            self.consumer.reset(ConsumerState())
            state = ConsumerState()
        self.pending = set(state.pending)
        self.next_delivery = state.delivered_stream + 1
        self.next_consumer = state.delivered_consumer + 1

    def check(self) -> None:
        """Compare what is there with what was confirmed."""
        history, store = self.history, self.store
        present = set(store.next_sequences(0, 1_000_000))
        damaged = {n for first, last in store.damaged() for n in range(first, last + 1)}
        assert len(present) == store.message_count
        for sequence, body in history.confirmed.items():
            if sequence in history.removal_asked:
                continue
            assert sequence not in damaged, f"{sequence} was confirmed and is called damaged"
            message = store.read(sequence)
            assert message is not None, f"{sequence} was confirmed and is gone"
            assert message.body == body
        of_subjects: dict[bytes, list[int]] = {subject: [] for subject in SUBJECTS}
        for sequence in sorted(present):
            try:
                message = store.read(sequence)
            except DamagedRecord:
                assert sequence not in history.confirmed
                continue
            assert message is not None
            of_subjects[message.subject].append(sequence)
            assert message.body in history.sent[sequence], f"{sequence} holds what nobody sent"
            assert sequence not in history.removal_confirmed, f"{sequence} was removed and is back"
        for subject, sequences in of_subjects.items():
            assert store.next_sequences(0, 1_000_000, [subject]) == sequences
        highest = max([*history.confirmed, *history.removal_confirmed], default=0)
        assert store.last_sequence >= highest
        if present:
            assert store.first_sequence == min(store.next_sequences(0, 1))
        ids = {found[0]: found[1] for found in store.recent_ids(0)}
        for text, sequence in history.ids.items():
            assert ids.get(text) == sequence, f"the id {text!r} of {sequence} is forgotten"
        assert not self.pending & history.acked, "a confirmed ack is forgotten"
        if history.acked:
            assert self.next_delivery > max(history.acked)

    def step(self) -> None:
        """Do one thing that a client may do."""
        kind = self.chance.random()
        if kind < 0.45:
            self.append()
        elif kind < 0.55:
            self.remove()
        elif kind < 0.58:
            self.purge()
        elif kind < 0.62:
            self.deliver()
        elif kind < 0.68:
            self.ack()
        elif kind < 0.72:
            self.node.clock.advance(1.1)  # what is done now and then falls due
        else:
            self.node.work(self.chance)

    def append(self) -> None:
        history, chance = self.history, self.chance
        messages = []
        ids = []
        for _ in range(chance.choice((1, 1, 2, 5, 20))):
            history.counter += 1
            body = b"%d-" % history.counter + bytes(chance.choice((0, 3, 50, 700)))
            head = b""
            if chance.random() < 0.3:
                ids.append((b"id%d" % history.counter, len(messages)))
                head = b"NATS/1.0\r\nNats-Msg-Id: id%d\r\n\r\n" % history.counter
            messages.append((chance.choice(SUBJECTS), len(head), head + body))
        first = self.store.append(messages, self.node.clock.time_ns())
        for at, message in enumerate(messages):
            history.sent.setdefault(first + at, set()).add(message[2])
            assert first + at not in history.confirmed, "a confirmed sequence is given again"

        def confirmed(failure: StorageError | None) -> None:
            assert failure is None
            for at, message in enumerate(messages):
                history.confirmed[first + at] = message[2]
            for text, at in ids:
                history.ids[text] = first + at

        self.store.when_durable(confirmed)

    def remove(self) -> None:
        present = self.store.next_sequences(0, 10_000)
        if not present:
            return
        chosen = self.chance.sample(present, min(len(present), self.chance.choice((1, 3, 10))))
        if self.chance.random() < 0.3:
            chosen = present[: self.chance.choice((1, 20))]
        self._removed(chosen)
        self.store.remove(chosen, RemovalReason.DELETE, erase=self.chance.random() < 0.2)
        self._confirm_removal(chosen)

    def purge(self) -> None:
        present = self.store.next_sequences(0, 10_000)
        keep = self.chance.choice((0, 0, 3))
        gone = present[: max(len(present) - keep, 0)]
        self._removed(gone)
        assert self.store.purge(keep=keep) == len(gone)
        self._confirm_removal(gone)

    def _removed(self, sequences: list[int]) -> None:
        self.history.removal_asked.update(sequences)

    def _confirm_removal(self, sequences: list[int]) -> None:
        def confirmed(failure: StorageError | None) -> None:
            assert failure is None
            self.history.removal_confirmed.update(sequences)

        self.store.when_durable(confirmed)

    def deliver(self) -> None:
        durable = [
            n for n in self.store.next_sequences(self.next_delivery, 20) if n in self.history.confirmed
        ]
        if durable:
            self.consumer.delivered_first(durable, self.next_consumer, self.node.clock.time_ns())
            self.next_consumer += len(durable)
            self.next_delivery = durable[-1] + 1
            self.pending.update(durable)
            self.consumer.flush()

    def ack(self) -> None:
        if not self.pending:
            return
        chosen = self.chance.sample(sorted(self.pending), self.chance.randint(1, len(self.pending)))
        self.pending -= set(chosen)
        self.consumer.acked(chosen, 0, 0)
        self.consumer.flush()

        def confirmed(failure: StorageError | None) -> None:
            assert failure is None
            self.history.acked.update(chosen)

        self.consumer.when_durable(confirmed)


def run(seed: int, lives: int = 4, steps: int = 60) -> None:
    """Play one history."""
    chance = random.Random(seed)
    history = History()
    files = SimulatedFileSystem()
    options = {
        "segment_bytes": chance.choice((600, 3000, 100_000)),
        "index_bytes": chance.choice((300, 2000, 100_000)),
        "recent_bytes": chance.choice((0, 100_000)),
        "open_files": chance.choice((3, 100)),
        "sync_in_place": chance.random() < 0.5,
    }
    for life in range(lives):
        session = Session(history, SimulatedNode(files, **options), chance)
        session.check()
        for _ in range(chance.randrange(steps)):
            session.step()
        end = chance.random()
        if end < 0.15:
            session.node.root.close()
            files = files.after_kill()
        elif end < 0.3:
            session.node.settle()
            session.check()
            files = files.after_power_loss(seed * 100 + life)
        elif end < 0.5:
            files = files.after_kill()
        else:
            files = files.after_power_loss(seed * 100 + life)
        if chance.random() < 0.3:  # and once more, while recovering
            files.fail = _power_fails_at(chance.randrange(1, 30))
            with contextlib.suppress(_PowerFailed, StorageError):
                SimulatedNode(files, **options).root.open_streams("$G")
            files = files.after_power_loss(seed * 100 + life + 50)
    # Opening twice shows the same.
    shown = []
    for _ in range(2):
        session = Session(history, SimulatedNode(files, **options), chance)
        session.check()
        store = session.store
        shown.append(
            (store.next_sequences(0, 10_000), store.last_sequence, store.damaged(), store.byte_count)
        )
        files = files.after_kill()
    assert shown[0] == shown[1]


class _PowerFailed(BaseException):
    """Ends a process in the middle of an operation."""


def _power_fails_at(number: int):  # type: ignore[no-untyped-def]
    left = number

    def fail(kind: str, path: object, count: int) -> int | None:
        nonlocal left
        left -= 1
        if left <= 0:
            raise _PowerFailed
        return None

    return fail


def test_messages_whose_removal_was_lost_come_back_on_their_own_subjects() -> None:
    """The index was written while they were gone, and their subjects' numbers belonged to others."""
    options = {"segment_bytes": 400, "index_bytes": 300, "recent_bytes": 0}
    node = SimulatedNode(**options)
    store = node.root.create_stream("$G", "S", b"{}", memory=False, limits=Limits()).messages
    written = [(b"a", 1), (b"b", 2), (b"b", 3), (b"a", 4), (b"c", 5), (b"a", 6)]
    for subject, _ in written:
        store.append([(subject, 0, bytes(60))], node.clock.time_ns())
    before = node.files.after_kill()
    store.remove([2, 3, 5], RemovalReason.DELETE)
    store.append([(b"d", 0, bytes(400))], node.clock.time_ns())  # gets a number that was another's
    store.append([(b"e", 0, bytes(400))], node.clock.time_ns())
    node.settle()  # indexes are written; the log's end is synced by nobody
    indexes = {path: inode for path, inode in node.files.files.items() if path.suffix == ".idx"}
    assert indexes
    before.files.update(indexes)  # on the medium by chance, unlike the log's end
    (stream,) = SimulatedNode(before, **options).root.open_streams("$G")
    for subject in (b"a", b"b", b"c"):
        expected = [sequence for name, sequence in written if name == subject]
        assert stream.messages.next_sequences(0, 10, [subject]) == expected
    assert stream.messages.subject_count == 3
    stream.messages.remove([2, 3, 5], RemovalReason.DELETE)
    assert stream.messages.next_sequences(0, 10) == [1, 4, 6]


def test_what_follows_a_torn_beginning_of_the_consumers_journal_is_kept() -> None:
    """The file's own beginning never reached the medium, and what came behind it was torn anywhere."""

    def opened(files: SimulatedFileSystem) -> tuple[SimulatedNode, ConsumerStore]:
        node = SimulatedNode(files)
        (stream,) = node.root.open_streams("$G")
        return node, stream.open_consumer("c", False)

    node = SimulatedNode()
    stream = node.root.create_stream("$G", "S", b"{}", memory=False, limits=Limits())
    stream.write_consumer("c", b"{}")
    consumer = stream.open_consumer("c", False)
    consumer.reset(ConsumerState())
    consumer.flush()
    (path,) = (path for path in node.files.files if path.parent.name == "consumers" and path.suffix == ".log")
    beginning = len(node.files.files[path].content)
    consumer.delivered_first([1, 2, 3, 4], 1, 5)
    consumer.flush()
    whole = bytes(node.files.files[path].content)
    for end in range(beginning, len(whole)):
        files = node.files.after_kill()
        left = bytearray(whole[:end])
        left[FILE_HEADER_SIZE:beginning] = bytes(beginning - FILE_HEADER_SIZE)
        files.files[path] = Inode(left, bytes(left))
        second, consumer = opened(files)
        consumer.delivered_first([1, 2, 3], 1, 5)
        consumer.acked([2], 0, 0)
        consumer.flush()
        confirmed: list[StorageError | None] = []
        consumer.when_durable(confirmed.append)
        second.settle()
        assert confirmed == [None]
        _, consumer = opened(second.files.after_power_loss(end))
        state = consumer.load()
        assert state is not None
        assert list(state.pending) == [1, 3]


@pytest.mark.parametrize("start", range(0, 300, 50))
def test_power_loss(start: int) -> None:
    for seed in range(start, start + 50):
        try:
            run(seed)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_power_loss_in_3000_histories() -> None:
    for seed in range(1000, 4000):  # of four lives each, and more
        try:
            run(seed)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
