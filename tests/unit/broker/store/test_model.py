"""Both stores against a list: a machine that appends, removes, purges, restarts and compares answers."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from memphis_desktop.broker.store import MemoryRoot
from memphis_desktop.broker.store.interface import Limits, MessageStore, RemovalReason, StoreRoot
from memphis_desktop.protocol.subjects import matches_any
from tests.reliability.simulated_files import SimulatedFileSystem
from tests.reliability.simulated_node import SimulatedClock, SimulatedNode

SUBJECTS = [b"a", b"a.b", b"a.c", b"b.c.d", *(b"n.%d" % number for number in range(30))]
FILTERS = [
    (),
    (b">",),
    (b"a",),
    (b"a.*",),
    (b"n.*",),
    (b"a.b", b"n.>"),
    (b"b.>", b"a.c"),
    (b"none",),
    (b"n.7",),
    (b"*.*.d",),
]


class StoreModel(RuleBasedStateMachine):
    """The rules; `files` tells which store."""

    files: SimulatedFileSystem | None = None

    def __init__(self) -> None:
        super().__init__()
        self.messages: dict[int, tuple[bytes, bytes]] = {}
        self.last = 0
        self.limits = Limits()
        self.node: SimulatedNode | None = None
        self.store: MessageStore

    @initialize(
        in_files=st.booleans(),
        segment=st.sampled_from([300, 2000, 1 << 20]),
        index=st.sampled_from([200, 1 << 20]),
        recent=st.sampled_from([0, 1 << 20]),
    )
    def begin(self, in_files: bool, segment: int, index: int, recent: int) -> None:
        root: StoreRoot
        if in_files:
            self.options: dict[str, Any] = {
                "segment_bytes": segment,
                "index_bytes": index,
                "recent_bytes": recent,
                "reserve_bytes": 0,
                "open_files": 4,
            }
            self.node = SimulatedNode(**self.options)
            root = self.node.root
        else:
            root = MemoryRoot(SimulatedClock())
        stream = root.create_stream("$G", "S", b"{}", memory=not in_files, limits=self.limits)
        self.store = stream.messages

    @rule(subjects=st.lists(st.sampled_from(SUBJECTS), min_size=1, max_size=40), size=st.integers(0, 90))
    def append(self, subjects: list[bytes], size: int) -> None:
        batch = [(subject, 0, bytes([number % 256]) * size) for number, subject in enumerate(subjects)]
        assert self.store.append(batch, 1_700_000_000 * 10**9) == self.last + 1
        for subject, _, body in batch:
            self.last += 1
            self.messages[self.last] = (subject, body)
        self.enforce()

    def enforce(self) -> None:
        most = self.limits.max_messages_per_subject
        if most > 0:
            kept: dict[bytes, int] = {}
            for sequence in sorted(self.messages, reverse=True):
                subject = self.messages[sequence][0]
                kept[subject] = kept.get(subject, 0) + 1
                if kept[subject] > most:
                    del self.messages[sequence]
        if self.limits.max_messages > 0:
            for sequence in sorted(self.messages)[: -self.limits.max_messages]:
                del self.messages[sequence]

    @rule(most=st.sampled_from([-1, 5, 50]), each=st.sampled_from([-1, 1, 2, 3]))
    def limit(self, most: int, each: int) -> None:
        self.limits = Limits(max_messages=most, max_messages_per_subject=each)
        self.store.limits = self.limits
        self.store.enforce_limits()
        self.enforce()

    @precondition(lambda self: self.messages)
    @rule(data=st.data(), erase=st.booleans())
    def remove(self, data: st.DataObject, erase: bool) -> None:
        chosen = data.draw(st.lists(st.integers(max(1, self.last - 80), self.last), max_size=40))
        there = {sequence for sequence in chosen if sequence in self.messages}
        assert self.store.remove(chosen, RemovalReason.DELETE, erase=erase) == len(there)
        for sequence in there:
            del self.messages[sequence]

    @precondition(lambda self: self.messages)
    @rule(count=st.integers(1, 60))
    def consume(self, count: int) -> None:
        chosen = sorted(self.messages)[:count]
        assert self.store.remove(chosen, RemovalReason.CONSUMED) == len(chosen)
        for sequence in chosen:
            del self.messages[sequence]

    @rule(pattern=st.sampled_from([b"", b"a", b"a.*", b"n.>"]), keep=st.sampled_from([0, 1, 4]))
    def purge(self, pattern: bytes, keep: int) -> None:
        matching = [
            s for s in sorted(self.messages) if not pattern or matches_any([pattern], self.messages[s][0])
        ]
        gone = matching[: max(len(matching) - keep, 0)]
        assert self.store.purge(pattern, keep=keep) == len(gone)
        for sequence in gone:
            del self.messages[sequence]

    @rule(back=st.integers(0, 60), pattern=st.sampled_from([b"", b"a.*"]))
    def purge_below(self, back: int, pattern: bytes) -> None:
        below = max(self.last - back, 1)
        gone = [
            s
            for s in self.messages
            if s < below and (not pattern or matches_any([pattern], self.messages[s][0]))
        ]
        assert self.store.purge(pattern, below=below) == len(gone)
        for sequence in gone:
            del self.messages[sequence]

    @rule(ahead=st.integers(1, 50))
    def skip(self, ahead: int) -> None:
        self.store.skip_to(self.last + ahead + 1)
        self.last += ahead

    @precondition(lambda self: self.node is not None)
    @rule(seconds=st.sampled_from([0.0, 0.01, 200.0]))
    def rest(self, seconds: float) -> None:
        assert self.node is not None
        self.store.when_durable(lambda failure: None)
        self.node.settle()
        if seconds:
            self.node.wait(seconds if seconds < 1 else 1.0)

    @precondition(lambda self: self.node is not None)
    @rule(in_order=st.booleans())
    def restart(self, in_order: bool) -> None:
        assert self.node is not None
        if in_order:
            self.node.root.close()
        else:
            self.store.when_durable(lambda failure: None)
            self.node.settle()
        self.node = SimulatedNode(self.node.files.after_kill(), **self.options)
        (stream,) = self.node.root.open_streams("$G")
        self.store = stream.messages
        self.store.limits = self.limits
        self.store.enforce_limits()
        assert self.store.damaged() == []

    @invariant()
    def same_figures(self) -> None:
        if not hasattr(self, "store"):
            return
        store = self.store
        assert store.last_sequence == self.last
        assert store.message_count == len(self.messages)
        subjects = {subject for subject, _ in self.messages.values()}
        assert store.subject_count == len(subjects)
        first = min(self.messages) if self.messages else (self.last + 1 if self.last else 0)
        assert store.first_sequence == first
        overhead = 30 if self.node is not None else 16
        assert store.byte_count == sum(overhead + len(s) + len(body) for s, body in self.messages.values())

    @rule(filters=st.sampled_from(FILTERS), data=st.data(), count=st.sampled_from([1, 7, 1000]))
    def ask(self, filters: tuple[bytes, ...], data: st.DataObject, count: int) -> None:
        store = self.store
        start = data.draw(st.integers(0, self.last + 2))
        matching = [s for s in sorted(self.messages) if matches_any(filters, self.messages[s][0])]
        after = [sequence for sequence in matching if sequence >= start]
        before = [sequence for sequence in matching if sequence <= start]
        assert store.next_sequences(start, count, filters) == after[:count]
        assert store.count_from(start, filters) == len(after)
        assert store.previous_sequence(start, filters) == (before[-1] if before else None)
        for subject, state in store.subjects().items():
            have = [s for s in sorted(self.messages) if self.messages[s][0] == subject]
            assert state == (len(have), have[0], have[-1])
            assert store.last_of_subject(subject) == have[-1]

    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        start = data.draw(st.integers(1, self.last + 1))
        wanted = list(range(start, min(start + 200, self.last + 2)))
        if data.draw(st.booleans()):
            wanted = wanted[::3]
        found = {m.sequence: (m.subject, m.body) for m in self.store.read_many(wanted)}
        assert found == {s: self.messages[s] for s in wanted if s in self.messages}
        self.read_block([s for s in wanted if s in self.messages], data.draw(st.integers(1, 2000)))
        one = self.store.read(start)
        assert (None if one is None else (one.subject, one.body)) == self.messages.get(start)
        assert self.store.subject_of(start) == (self.messages[start][0] if start in self.messages else None)
        if self.messages:
            span = range(min(self.messages), self.last + 1)
            assert list(self.store.removed_sequences()) == [s for s in span if s not in self.messages]

    def read_block(self, existing: list[int], most: int) -> None:
        block = self.store.read_block(existing, most)
        if not existing:
            assert block is None
            return
        assert block is not None
        read = block.messages()
        assert read == self.store.read_many(existing)[: len(read)]
        sizes = [len(message.subject) + len(message.body) for message in read]
        assert sum(sizes[:-1]) < most
        assert sum(sizes) >= most or len(read) == len(existing)


def _run(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        StoreModel,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_both_stores_behave_as_a_list_would() -> None:
    _run(100, 50)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_both_stores_behave_as_a_list_would_for_long() -> None:
    _run(1000, 100)
