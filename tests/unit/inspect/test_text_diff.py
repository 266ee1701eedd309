"""Differences line by line: every line is accounted for, and long texts end soon."""

from __future__ import annotations

import json
import time

from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.inspect.decode import decode
from memphis_desktop.inspect.diff import ChangeKind
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.text_diff import MAX_LINE, MAX_LINES, compare_texts, message_lines


def message(payload: bytes, subject: str = "a.b") -> InspectedMessage:
    return InspectedMessage("S", 1, 0, subject, b"NATS/1.0\r\nKind: x\r\n\r\n", payload)


def differing(left: bytes, right: bytes) -> list[tuple[str, str]]:
    found = compare_texts(message(left), message(right), decoder=lambda one: decode(one.payload))
    return [(line.left, line.right) for line in found.lines if line.kind is not None]


LINES = st.lists(st.sampled_from(["red", "green", "blue", ""]), max_size=12)


@given(LINES, LINES)
def test_the_lines_of_each_side_are_those_that_are_not_the_same(left: list[str], right: list[str]) -> None:
    one, two = message("\n".join(left).encode()), message("\n".join(right).encode())
    found = compare_texts(one, two, decoder=lambda given: decode(given.payload))
    first, second = message_lines(one), message_lines(two)
    for line in found.lines:
        if line.left_number is not None:
            assert first[line.left_number - 1] == line.left
        if line.right_number is not None:
            assert second[line.right_number - 1] == line.right
        if line.kind is None:
            assert line.left == line.right
    removed = sum(line.kind is ChangeKind.REMOVED for line in found.lines)
    added = sum(line.kind is ChangeKind.ADDED for line in found.lines)
    assert len(first) - removed == len(second) - added
    assert bool(found.count) == (first != second)


def test_json_is_compared_as_it_reads() -> None:
    left = json.dumps({"id": 2**64 - 1, "name": "Ada"}).encode()
    right = json.dumps({"id": 2**64 - 2, "name": "Ada"}).encode()
    assert differing(left, right) == [(f'  "id": {2**64 - 1},', f'  "id": {2**64 - 2},')]
    assert differing(left, left.replace(b" ", b"")) == []


def test_long_and_hostile_texts_end_soon() -> None:
    started = time.process_time()
    alike = b"\n".join([b"x"] * 100_000)
    found = compare_texts(message(alike), message(b"y\n" + alike), decoder=lambda one: decode(one.payload))
    assert not found.complete
    mixed = b"\n".join(b"%d" % (n % 50) for n in range(MAX_LINES * 2))
    other = b"\n".join(b"%d" % (n % 49) for n in range(MAX_LINES * 2))
    assert differing(mixed, other)
    assert len(message_lines(message(b"z" * 1_000_000))[-1]) == MAX_LINE + 1
    assert differing(bytes(range(256)), bytes(range(255)) + b"\x00")
    assert time.process_time() - started < 10
