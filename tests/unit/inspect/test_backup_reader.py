"""Backups as files: damaged ones, ones cut short, and what is none."""

from __future__ import annotations

import contextlib
import io
import json
import struct
import tarfile
from pathlib import Path

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memphis_desktop.inspect.backup_reader import is_backup, read_backup, summary
from memphis_desktop.inspect.files import DUMP_MAGIC, FileProblem, dump_frame, messages_of, read_file
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.protocol.snapshot import archive
from memphis_desktop.protocol.snapshot.block_records import Sequences

HEADERS = b"NATS/1.0\r\nTrace: 1\r\n\r\n"
MESSAGES = [
    InspectedMessage(
        "ORDERS", number, 1_700_000_000_000_000_000 + number, f"orders.{number}", headers, payload
    )
    for number, headers, payload in ((2, b"", b"two " * 50), (3, HEADERS, b""), (7, HEADERS, b"seven"))
]


def facts(messages: list[InspectedMessage]) -> list[tuple[int, int, str, bytes, bytes]]:
    return [(one.sequence, one.time_ns, one.subject, one.header_bytes, one.payload) for one in messages]


def archived() -> bytes:
    data = archive.MAGIC + archive.encode_entry(archive.STATE, 1, 0, 0, b'{"consumer_count":1}')
    data += archive.encode_entry(archive.CONSUMERS + b"group", 1, 0, 0, b"{}")
    for one in MESSAGES:
        body = one.header_bytes + one.payload
        data += archive.encode_entry(
            one.subject.encode(), one.time_ns, one.sequence, len(one.header_bytes), body
        )
    return data + archive.END


def record(sequence: int, one: InspectedMessage) -> bytes:
    subject = one.subject.encode()
    headers = struct.pack("<I", len(one.header_bytes)) + one.header_bytes if one.header_bytes else b""
    length = 22 + len(subject) + len(headers) + len(one.payload) + 8
    flag = 1 << 31 if headers else 0
    head = struct.pack("<IQQH", length | flag, sequence, one.time_ns, len(subject))
    return head + subject + headers + one.payload + bytes(8)


def blocks() -> dict[str, bytes]:
    """Blocks in which 4 was erased, and 5 and 6 removed; 1 is before what the stream says is its first."""
    gone = InspectedMessage("", 0, 0, "orders.gone", b"", b"gone")
    first = record(1, gone) + record(2, MESSAGES[0]) + record(3, MESSAGES[1])
    first += record(4 | 1 << 63, gone) + record(5, gone)
    second = record(6, gone) + record(5 | 1 << 62, gone) + record(7, MESSAGES[2]) + record(6 | 1 << 62, gone)
    return {"msgs/1.blk": first, "msgs/2.blk": second}


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in {"meta.inf": b'{"name":"ORDERS"}', **blocks(), "obs/group/meta.inf": b"{}"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def backup_folder(folder: Path, name: str, data: bytes) -> Path:
    folder.mkdir(parents=True)
    state = {"messages": 3, "first_seq": 2, "last_seq": 7}
    (folder / "backup.json").write_text(json.dumps({"config": {"name": "ORDERS"}, "state": state}))
    (folder / name).write_bytes(data)
    return folder


KINDS = {
    "archive": ("stream.arc.s2", archived),
    "tar": ("stream.tar.s2", tarred),
    "compressed archive": ("stream.arc.s2", lambda: bytes(cramjam.snappy.compress(archived()))),
    "compressed tar": ("stream.tar.s2", lambda: bytes(cramjam.snappy.compress(tarred()))),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_every_form_gives_the_messages(kind: str, tmp_path: Path) -> None:
    name, make = KINDS[kind]
    folder = backup_folder(tmp_path / "backup", name, make())
    for path in (folder, folder / name, folder / "backup.json"):
        assert is_backup(path)
        assert facts([one async for one in messages_of(path)]) == facts(MESSAGES)
        assert {one.stream for one in read_file(path)} == {"ORDERS"}
        assert summary(path).messages == 3


def test_a_file_alone_gives_the_messages_too(tmp_path: Path) -> None:
    path = tmp_path / "kept.s2"
    path.write_bytes(bytes(cramjam.snappy.compress(archived())))
    assert is_backup(path)
    assert facts(list(read_file(path))) == facts(MESSAGES)
    assert summary(path).messages is None


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=60)
@given(cut=st.integers(0, 4000))
def test_what_was_cut_short_is_said(kind: str, cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    name, make = KINDS[kind]
    data = make()
    if cut >= len(data) or (kind == "tar" and len(data) - cut < 9000):  # only zeros were lost
        return
    folder = backup_folder(tmp_path_factory.mktemp("cut") / "backup", name, data[:cut])
    found: list[InspectedMessage] = []
    with pytest.raises(FileProblem):
        found.extend(read_backup(folder))  # what came before stays
    assert facts(found) == facts(MESSAGES)[: len(found)]


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=60)
@given(places=st.lists(st.tuples(st.integers(0, 4000), st.integers(1, 255)), min_size=1, max_size=4))
def test_any_damage_is_read_around_or_said(
    kind: str, places: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    name, make = KINDS[kind]
    data = bytearray(make())
    for place, change in places:
        data[place % len(data)] ^= change
    folder = backup_folder(tmp_path_factory.mktemp("damage") / "backup", name, bytes(data))
    with contextlib.suppress(FileProblem):
        list(read_backup(folder))


def test_a_damaged_frame_gives_the_messages_before_it_and_says_where(tmp_path: Path) -> None:
    whole = bytes(cramjam.snappy.compress(archived()[:-40]))
    rest = bytearray(bytes(cramjam.snappy.compress(archived()[-40:]))[10:])
    rest[-1] ^= 1
    folder = backup_folder(tmp_path / "backup", "stream.arc.s2", whole + bytes(rest))
    found: list[InspectedMessage] = []
    with pytest.raises(FileProblem, match="damaged after message 2, sequence 3"):
        found.extend(read_file(folder))
    assert [one.sequence for one in found] == [2, 3]


def test_a_servers_folder(tmp_path: Path) -> None:
    folder = tmp_path / "ORDERS"
    (folder / "msgs").mkdir(parents=True)
    (folder / "meta.inf").write_text('{"name":"ORDERS"}')
    for name, data in blocks().items():
        (folder / name).write_bytes(data)
    assert is_backup(folder)
    assert [one.sequence for one in read_file(folder)] == [1, 2, 3, 7]  # it does not tell its first
    (folder / "meta.key").write_bytes(b"key")
    (folder / "meta.inf").write_bytes(b"\x8c\xcf\x54\xdf")
    with pytest.raises(FileProblem, match="encrypted"):
        list(read_file(folder))
    with pytest.raises(FileProblem, match="encrypted"):
        summary(folder)


def test_a_backup_of_this_program(tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    folder.mkdir()
    values = {
        "format": "memphis-desktop station backup",
        "stream": "ORDERS",
        "config": {"name": "ORDERS"},
        "messages": 3,
        "first_sequence": 2,
        "made": "2026-01-02T03:04:05Z",
    }
    (folder / "backup.json").write_text(json.dumps(values))
    with pytest.raises(FileProblem, match=r"not whole: messages\.mdump is missing"):
        list(read_backup(folder))
    (folder / "messages.mdump").write_bytes(DUMP_MAGIC + b"".join(dump_frame(one) for one in MESSAGES))
    assert facts(list(read_file(folder))) == facts(MESSAGES)
    found = summary(folder)
    assert (found.stream, found.messages, found.first_sequence) == ("ORDERS", 3, 2)
    assert found.made_ns == 1_767_323_045_000_000_000


def test_what_is_no_backup_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match="holds no backup"):
        list(read_backup(tmp_path))
    backup_folder(tmp_path / "one", "stream.arc.s2", archived())
    backup_folder(tmp_path / "two", "stream.arc.s2", archived())
    for look in (read_file, read_backup):
        with pytest.raises(FileProblem, match=r"backups of several stations \(one, two\)"):
            list(look(tmp_path))
    other = tmp_path / "other"
    other.mkdir()
    (other / "backup.json").write_text("[1]")
    assert not is_backup(other)
    (other / "note.txt").write_text("hello")
    assert [one.payload for one in read_file(other)] == [b"[1]", b"hello"]
    (other / "backup.json").write_text("{")
    (other / "stream.arc.s2").write_bytes(archived())
    with pytest.raises(FileProblem, match=r"backup\.json is damaged"):
        list(read_file(other))
    note = tmp_path / "note.txt"
    note.write_text("hello")
    assert not is_backup(note)
    assert not is_backup(tmp_path / "missing")
    with pytest.raises(FileProblem, match="cannot be read"):
        summary(tmp_path / "missing")


@given(st.sets(st.integers(0, 1 << 40)), st.sets(st.integers(0, 1 << 40)))
def test_a_set_of_sequences(inside: set[int], asked: set[int]) -> None:
    sequences = Sequences()
    for one in inside:
        sequences.add(one)
    assert {one for one in inside | asked if one in sequences} == inside
    assert sequences.greatest == max(inside, default=0)
