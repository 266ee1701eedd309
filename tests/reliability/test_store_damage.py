"""Damage at rest: flipped bits, cut and zeroed files (promises P3 and P4).

Damage costs the record it hits and no other, is found when the record is read at the latest, is reported, and
never served; it takes no stream, no consumer, and no sequence is given twice because of it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from memphis_desktop.broker.store.interface import (
    ConsumerState,
    DamagedRecord,
    Limits,
    RemovalReason,
    StreamStorage,
)
from tests.reliability.simulated_files import Inode, SimulatedFileSystem
from tests.reliability.simulated_node import SimulatedNode

SUBJECTS = (b"orders.new", b"orders.paid", b"x")


class Made:
    """A store at rest, and what is in it."""

    def __init__(self, *, closed: bool, segment_bytes: int = 4000) -> None:
        self.options = {
            "segment_bytes": segment_bytes,
            "index_bytes": 1000,
            "recent_bytes": 0,
            "reserve_bytes": 0,
            "sync_in_place": not closed,  # then there is room behind the last record, too
        }
        node = SimulatedNode(**self.options)
        stream = node.root.create_stream("$G", "S", b'{"name":"S"}', memory=False, limits=Limits())
        stream.write_consumer("c", b'{"durable_name":"c"}')
        consumer = stream.open_consumer("c", False)
        consumer.reset(ConsumerState())
        store = stream.messages
        chance = random.Random(5)
        self.bodies: dict[int, bytes] = {}
        for _ in range(30):
            batch = []
            for _ in range(chance.choice((1, 3, 6))):
                batch.append((chance.choice(SUBJECTS), 0, chance.randbytes(chance.choice((0, 5, 60, 200)))))
            first = store.append(batch, node.clock.time_ns())
            self.bodies.update({first + at: message[2] for at, message in enumerate(batch)})
            node.settle()
        self.removed = {3, 17, 18, 40}
        store.remove(self.removed, RemovalReason.DELETE)
        consumer.delivered_first([1, 2, 4], 1, 5)
        consumer.acked([2], 0, 0)
        consumer.flush()
        consumer.when_durable(lambda failure: None)
        store.when_durable(lambda failure: None)
        node.settle()
        self.last = store.last_sequence
        if closed:
            node.root.close()
        self.files = node.files.after_kill()

    def paths(self) -> list[Path]:
        return sorted(path for path, inode in self.files.files.items() if inode.content)

    def damaged(self, path: Path, content: bytes) -> SimulatedFileSystem:
        """Return a copy whose file `path` has this content."""
        files = self.files.after_kill()
        files.files[path] = Inode(bytearray(content), content)
        return files

    def open(self, files: SimulatedFileSystem) -> tuple[SimulatedNode, StreamStorage]:
        node = SimulatedNode(files, **self.options)
        (stream,) = node.root.open_streams("$G")
        assert stream.name == "S"
        assert stream.configuration() == b'{"name":"S"}'
        assert stream.consumers() == {"c": b'{"durable_name":"c"}'}
        return node, stream

    def judge(
        self, files: SimulatedFileSystem, *, most_lost: int, removals_may_return: bool, at_end: bool = False
    ) -> None:
        """Open twice, read everything, and compare.

        With `at_end` the damage reaches the end of a log that was not closed in order: how many messages
        were there cannot be known, so that they need not be listed.
        """
        first_damage = None
        for _ in range(2):
            node, stream = self.open(files)
            store = stream.messages
            lost = set()
            for sequence, body in self.bodies.items():
                if sequence in self.removed and not removals_may_return:
                    assert store.read(sequence) is None
                    continue
                try:
                    message = store.read(sequence)
                except DamagedRecord:
                    lost.add(sequence)
                    continue
                if message is None:
                    assert sequence in self.removed or at_end
                else:
                    assert message.body == body
            assert len(lost - self.removed) <= most_lost
            node.settle()
            listed = {n for first, last in store.damaged() for n in range(first, last + 1)}
            assert lost <= listed, "lost and not reported"
            listed &= set(self.bodies)
            assert first_damage is None or first_damage <= listed
            first_damage = listed
            if not at_end:
                assert store.last_sequence >= self.last
                assert store.append([(b"a", 0, b"")], 5) > self.last
            files = self.files_before(node)

    @staticmethod
    def files_before(node: SimulatedNode) -> SimulatedFileSystem:
        return node.files.after_kill()


def bits(made: Made) -> Iterator[tuple[Path, int]]:
    for path in made.paths():
        for bit in range(8 * len(made.files.files[path].content)):
            yield path, bit


def flip_and_judge(made: Made, path: Path, bit: int, *, closed: bool) -> None:
    content = bytearray(made.files.files[path].content)
    content[bit // 8] ^= 1 << (bit % 8)
    in_log = path.suffix == ".log" and path.parent.name == "messages"
    try:
        made.judge(
            made.damaged(path, bytes(content)),
            most_lost=1 if in_log else 0,
            removals_may_return=not closed and in_log,
        )
    except BaseException as error:
        error.add_note(f"bit {bit} of {path}, closed {closed}")
        raise


@pytest.mark.parametrize("closed", [True, False])
def test_flipped_bits(closed: bool) -> None:
    made = Made(closed=closed)
    every = list(bits(made))
    for path, bit in random.Random(8).sample(every, 400):
        flip_and_judge(made, path, bit, closed=closed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("closed", [True, False])
def test_10000_flipped_bits(closed: bool) -> None:
    made = Made(closed=closed)
    for path, bit in random.Random(9).sample(list(bits(made)), 10_000):
        flip_and_judge(made, path, bit, closed=closed)


@pytest.mark.parametrize("closed", [True, False])
def test_truncation_of_the_last_file_at_every_byte(closed: bool) -> None:
    made = Made(closed=closed, segment_bytes=100_000)
    (path,) = [path for path in made.paths() if path.suffix == ".log" and path.parent.name == "messages"]
    content = bytes(made.files.files[path].content)
    step = 1 if closed else 3
    for length in range(len(content) - 1500, len(content), step):
        node, stream = made.open(made.damaged(path, content[:length]))
        store = stream.messages
        present = store.next_sequences(0, 10_000)
        for sequence in present:
            message = store.read(sequence)
            assert message is not None
            assert message.body == made.bodies[sequence]
        # A start of the log is left; what a checkpoint knew of is reported.
        assert set(present) | made.removed >= set(range(1, max(present) + 1)) - made.removed
        if closed:
            assert store.last_sequence >= made.last
            listed = {n for first, last in store.damaged() for n in range(first, last + 1)}
            assert listed | set(present) | made.removed == set(made.bodies)
        assert store.append([(b"a", 0, b"")], 5) > max(present)
        node.settle()


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("kind", ["zeroed", "garbage", "gone"])
def test_whole_blocks(closed: bool, kind: str) -> None:
    """512 bytes at a time: the records that they touch are lost, no other."""
    made = Made(closed=closed, segment_bytes=100_000)
    (path,) = [path for path in made.paths() if path.suffix == ".log" and path.parent.name == "messages"]
    content = bytes(made.files.files[path].content)
    chance = random.Random(3)
    for start in range(0, len(content), 512):
        if kind == "gone":
            changed = content[:start] + content[start + 512 :]
        else:
            filling = bytes(512) if kind == "zeroed" else chance.randbytes(512)
            changed = content[:start] + filling[: len(content) - start] + content[start + 512 :]
        at_end = not closed and (kind == "gone" or start + 512 >= len(content))
        made.judge(
            made.damaged(path, changed),
            most_lost=len(made.bodies) if kind == "gone" else 14,
            removals_may_return=not closed,
            at_end=at_end,
        )


@pytest.mark.parametrize("kind", ["empty", "garbage", "missing"])
def test_every_file_beside_the_log_may_be_lost_whole(kind: str) -> None:
    made = Made(closed=True)
    for path in made.paths():
        if path.parent.name in ("messages", "consumers") and path.suffix in (".log", ".doc"):
            continue
        files = made.damaged(path, b"" if kind == "empty" else random.Random(1).randbytes(500))
        if kind == "missing":
            del files.files[path]
        if path.name == "memphis-desktop.store" and kind == "missing":
            continue  # without it the folder is not known as ours, and nothing in it is touched
        made.judge(files, most_lost=0, removals_may_return=False)
