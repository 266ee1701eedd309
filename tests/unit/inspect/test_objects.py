"""Objects without a server: names, records and the tree of names, from whoever wrote them."""

from __future__ import annotations

import json
import os

from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.objects import names
from memphis_desktop.inspect.objects.model import (
    Link,
    ObjectInfo,
    digest_bytes,
    digest_text,
    read_info,
)
from memphis_desktop.inspect.objects.tree import Folder, NameTree


def record(payload: bytes, name: str = "a") -> InspectedMessage:
    return InspectedMessage("OBJ_b", 7, 5, names.info_subject("b", name), b"", payload)


@given(st.text(min_size=1).filter(lambda name: not names.check_object(name)))
def test_a_name_comes_back_from_its_subject(name: str) -> None:
    subject = names.info_subject("files", name)
    assert names.object_name(subject, "files") == name
    assert len(subject.split(".")) == 4


def test_subjects_that_hold_no_name() -> None:
    for subject in ("$O.b.M.", "$O.b.M.???", "$O.b.M._w==", "$O.b.M.YQ", "$O.b.C.YQ==", "$O.c.M.YQ==", "x"):
        assert names.object_name(subject, "b") is None


@given(st.text())
def test_a_file_name_is_never_a_path(name: str) -> None:
    safe = names.safe_file_name(name)
    assert safe
    assert safe not in (".", "..")
    assert not set(safe) & set('/\\:*?"<>|\0\r\n\t')
    assert len(safe.encode()) <= 200
    assert os.path.basename(safe) == safe
    assert names.safe_file_name(safe) == safe
    for folder in names.safe_folders(name):
        assert os.path.basename(folder) == folder
        assert folder not in (".", "..")


def test_file_names_of_hostile_objects() -> None:
    assert names.safe_file_name("../../etc/passwd") == "passwd"
    assert names.safe_file_name("..") == "object"
    assert names.safe_file_name("a/") == "object"
    assert names.safe_file_name("C:\\Windows\\win.ini") == "win.ini"
    assert names.safe_file_name("C:") == "C_"
    assert names.safe_file_name("a\0b") == "a_b"
    assert names.safe_file_name("nul.txt") == "_nul.txt"
    assert names.safe_file_name("invoice\u202etxt.exe") == "invoice_txt.exe"
    long = names.safe_file_name("ü" * 5000 + ".pdf")
    assert long.endswith("ü.pdf")
    assert names.safe_folders("../a/../C:/b.txt") == ("a", "C_")


def test_names_of_buckets() -> None:
    assert names.bucket_name("OBJ_a-b_1") == "a-b_1"
    assert names.bucket_name("OBJ_") is None
    assert names.bucket_name("KV_a") is None
    assert names.check_bucket("a.b")
    assert names.check_bucket("")
    assert not names.check_bucket("a-b")


def test_a_record_comes_back() -> None:
    info = ObjectInfo(
        "b",
        "a",
        "N1",
        10,
        2,
        digest_text(bytes(32)),
        5,
        7,
        "words",
        (("X", "1"), ("X", "2"), ("Y", "3")),
        {"k": "v"},
        1024,
        Link("c", "d"),
    )
    assert read_info(record(json.dumps(info.record()).encode()), "b") == info
    gone = read_info(record(json.dumps(info.as_deleted().record()).encode()), "b")
    assert gone.deleted
    assert not gone.size
    assert not gone.has_content


def test_records_as_other_clients_write_them() -> None:
    """nats-py writes null for what is not there, and headers as one text each."""
    made = {
        "name": "a", "bucket": "b", "nuid": "N", "size": 3, "chunks": 1, "digest": "sha-256=" + "A" * 43,
        "description": None, "headers": {"Content-Type": "text/plain"}, "options": {"max_chunk_size": 131072},
        "mtime": "2024-01-01T00:00:00+00:00", "metadata": None, "deleted": None,
    }  # fmt: skip
    info = read_info(record(json.dumps(made).encode()), "b")
    assert info.headers == (("Content-Type", "text/plain"),)
    assert digest_bytes(info.digest) == bytes(32)
    assert info.has_content


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
_KEYS = st.sampled_from(
    ["nuid", "size", "chunks", "digest", "headers", "metadata", "options", "deleted", "description"]
)


@given(st.binary() | st.dictionaries(_KEYS, _JSON).map(lambda made: json.dumps(made).encode()))
def test_no_record_breaks_the_reader(payload: bytes) -> None:
    info = read_info(record(payload), "b")
    assert info.name == "a"
    assert 0 <= info.size < 1 << 63
    assert not set(info.nuid) & set(".*> ")
    json.dumps(info.record())
    digest_bytes(info.digest)


@given(st.lists(st.text("ab/", min_size=1, max_size=6), unique=True))
def test_the_tree_has_every_name_once(found: list[str]) -> None:
    tree = NameTree(found)
    seen: list[str] = []
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        folders, here, more = tree.children(prefix, 1000)
        assert not more
        seen += here
        waiting += [folder.prefix for folder in folders]
        assert sum(folder.count for folder in folders) + len(here) == tree.count(prefix)
    assert sorted(seen) == sorted(found)


def test_a_tree_of_many_names_is_looked_at_in_parts() -> None:
    tree = NameTree([f"year/{month}/file-{number}" for month in range(12) for number in range(500)] + ["top"])
    assert tree.children("", 10) == ([Folder("year/", 6000)], ["top"], False)
    folders, here, more = tree.children("year/", 5)
    assert (len(folders), here, more) == (5, [], True)
    assert folders[0].name == "0"
    assert tree.children("year/3/", 100)[2]
    assert tree.matching(["FILE-77", "year/3"], 100)[0] == ["year/3/file-77"]
    assert tree.below("year/3/", 10)[1]
    assert len(tree.below("year/3/", 10)[0]) == 10
    assert "top" in tree
    assert "year" not in tree
