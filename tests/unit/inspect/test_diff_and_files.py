"""Comparing messages, and files that give back what went in."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.inspect.diff import ChangeKind, compare, compare_messages
from memphis_desktop.inspect.files import Exporter, FileProblem, dump_frame, messages_of, read_file
from memphis_desktop.inspect.message import Headers, InspectedMessage


def message(
    payload: bytes, sequence: int = 1, headers: list[tuple[str, str]] | None = None
) -> InspectedMessage:
    return InspectedMessage(
        "S", sequence, 1_700_000_000_123_456_789, "a.b", Headers(headers or []).encode(), payload
    )


def test_differences_by_path() -> None:
    left = {"a": 1, "b": [1, 2, 3], "c": {"d": "x"}, "gone": None}
    right = {"a": 1.0, "b": [1, 3], "c": {"d": "y", "e z": True}}
    found = {change.path: change.kind for change in compare(left, right).changes}
    assert found == {
        "$.a": ChangeKind.CHANGED,
        "$.b[1]": ChangeKind.CHANGED,
        "$.b[2]": ChangeKind.REMOVED,
        "$.c.d": ChangeKind.CHANGED,
        '$.c["e z"]': ChangeKind.ADDED,
        "$.gone": ChangeKind.REMOVED,
    }
    assert compare([1, 2, "x"], ["x", 2, 1], ignore_order=True).changes == ()
    assert len(compare([1, 2], [2, 3], ignore_order=True).changes) == 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=15,
)


@given(VALUES, VALUES)
def test_equal_values_have_no_difference_and_others_do(left: Any, right: Any) -> None:
    assert compare(left, left).changes == ()
    difference = compare(left, right)
    if repr(left) != repr(right) and left != right:
        assert difference.changes
    assert len(compare(right, left).changes) == len(difference.changes)


def test_deep_and_wide_values_are_bounded() -> None:
    deep: Any = 1
    other: Any = 2
    for _ in range(100_000):
        deep, other = [deep], [other]
    assert len(compare(deep, other).changes) == 1
    wide = compare(list(range(20_000)), list(range(1, 20_001)))
    assert not wide.complete


def test_messages_are_compared_in_all_their_parts() -> None:
    left = message(b'{"a": 1}', headers=[("K", "1"), ("Same", "x")])
    right = message(b'{"a": 2}', 2, headers=[("K", "2"), ("Same", "x")])
    assert [change.path for change in compare_messages(left, right).changes] == ["headers.K", "$.a"]
    assert [c.path for c in compare_messages(message(b"one\ntwo"), message(b"one\n2")).changes] == ["line[1]"]
    assert [c.path for c in compare_messages(message(b"\xff\x00"), message(b"\xff\x01")).changes] == [
        "payload"
    ]


EXAMPLES = [
    message(b'{"id": 9007199254740993, "price": 1.10}', 1, [("K", "1"), ("K", "2")]),
    message(b"\xff\x00 binary", 2),
    message(b"", 3),
    message('text, with "quotes",\nlines and ünïcode'.encode(), 4, [("a", "ü")]),
    message(b"=HYPERLINK(1)", 5),
    message(b'{"a":1}  ', 6),
]


async def source(messages: list[InspectedMessage]) -> AsyncIterator[InspectedMessage]:
    for one in messages:
        yield one


def same(left: InspectedMessage, right: InspectedMessage) -> bool:
    return (left.stream, left.sequence, left.time_ns, left.subject, left.headers, left.payload) == (
        right.stream, right.sequence, right.time_ns, right.subject, right.headers, right.payload,
    )  # fmt: skip


@pytest.mark.parametrize("form", ["ndjson", "csv", "dump"])
async def test_every_form_comes_back_byte_for_byte(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"out.{form}"
    many = [*EXAMPLES, *(message(b"%d" % index, index) for index in range(7, 1000))]
    progress = await Exporter(path, form).run(source(many))
    assert progress.messages == len(many)
    back = [one async for one in messages_of(path)]
    assert len(back) == len(many)
    assert all(same(before, after) for before, after in zip(many, back, strict=True))
    assert os.listdir(tmp_path) == [path.name]


async def test_a_cancelled_export_leaves_nothing(tmp_path: Path) -> None:
    exporter = Exporter(tmp_path / "out.csv", "csv")

    async def endless() -> AsyncIterator[InspectedMessage]:
        for index in range(10_000):
            exporter.cancelled = index > 500
            yield message(b"x", index)

    await exporter.run(endless())
    assert os.listdir(tmp_path) == []
    with pytest.raises(FileProblem):
        await Exporter(tmp_path / "no" / "out.csv", "csv").run(source([]))


def test_damage_is_found_and_named(tmp_path: Path) -> None:
    path = tmp_path / "x.mdump"
    frames = dump_frame(EXAMPLES[0]) + dump_frame(EXAMPLES[1])
    path.write_bytes(b"MEMDUMP1" + frames[:-3])
    with pytest.raises(FileProblem, match="ends in the middle of message 2"):
        list(read_file(path))
    broken = bytearray(frames)
    broken[-1] ^= 1
    path.write_bytes(b"MEMDUMP1" + broken)
    with pytest.raises(FileProblem, match="Message 2 of the dump is damaged"):
        list(read_file(path))
    path.write_text('{"subject": "a", "payload": "x"}\n{"subject"\n')
    with pytest.raises(FileProblem, match="Line 2"):
        list(read_file(path))
    path.write_text("a,b\r\n1,2\r\n")
    with pytest.raises(FileProblem, match="neither"):
        list(read_file(path))
    path.write_text("subject,payload\r\nx.y,hello\r\n")
    assert [(one.subject, one.payload) for one in read_file(path)] == [("x.y", b"hello")]


def test_a_folder_of_files_and_lines_that_are_payloads(tmp_path: Path) -> None:
    folder = tmp_path / "payloads"
    folder.mkdir()
    with pytest.raises(FileProblem, match="no files"):
        list(read_file(folder))
    (folder / "b.bin").write_bytes(b"\x00\xff")
    (folder / "a.json").write_bytes(b"{}")
    (folder / "inner").mkdir()
    assert [(m.sequence, m.subject, m.payload) for m in read_file(folder)] == [
        (1, "", b"{}"),
        (2, "", b"\x00\xff"),
    ]
    lines = tmp_path / "bare.ndjson"
    lines.write_text('{"id": 9007199254740993}\n{"subject": "a", "payload": {"id": 1}}\n')
    assert [(m.subject, m.payload) for m in read_file(lines)] == [
        ("", b'{"id": 9007199254740993}'),
        ("a", b'{"id": 1}'),
    ]
