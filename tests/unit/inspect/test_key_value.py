"""Buckets as data: names, configurations, pages of names, merging, files; all without a server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.inspect.files import FileProblem
from memphis_desktop.inspect.key_value.bucket import Bucket, bucket_config, stream_config
from memphis_desktop.inspect.key_value.entry import Entry, Operation, operation_of, parse_ttl
from memphis_desktop.inspect.key_value.importing import KeyExporter, read_entries
from memphis_desktop.inspect.key_value.merge import MARKS, Side, has_marks, merge, merge_lines
from memphis_desktop.inspect.key_value.names import (
    bucket_problem,
    is_bucket,
    is_exact,
    key_of_subject,
    key_problem,
    next_branch,
    subject_filter,
)
from memphis_desktop.inspect.key_value.pages import PageHead, slices
from memphis_desktop.inspect.message import Headers, InspectedMessage

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("key", ["a", "a.b/c", "_x-1=2", "-", "/", "=", "A/b=c_d-e.f"])
def test_keys_that_clients_take(key: str) -> None:
    assert key_problem(key) == ""


@pytest.mark.parametrize("key", ["", ".a", "a.", "a..b", "a b", "ä", "a*", ">", "a\n", "鍵"])
def test_keys_that_clients_refuse_are_told_why(key: str) -> None:
    assert key_problem(key)


def test_names_of_buckets() -> None:
    assert not bucket_problem("my_bucket-1")
    assert bucket_problem("a.b")
    assert bucket_problem("")
    assert is_bucket("KV_a")
    assert not is_bucket("KV_")
    assert not is_bucket("orders")
    assert key_of_subject("$JS.hub.API.$KV.b.a.b") == "a.b"
    assert key_of_subject("plain") == "plain"


def test_branches_and_what_the_server_narrows_to() -> None:
    assert next_branch("app.db.host", "", ".") == "app."
    assert next_branch("app.db.host", "app.", ".") == "app.db."
    assert next_branch("app.db.host", "app.db.", ".") == ""
    assert next_branch("a/b.c", "", "./") == "a/"
    assert next_branch("a/b.c", "", ".") == "a/b."
    assert subject_filter("$KV.b.", "app.db.") == "$KV.b.app.db.>"
    assert subject_filter("$KV.b.", "app.d") == "$KV.b.app.>"
    assert subject_filter("$KV.b.", "app") == "$KV.b.>"
    assert is_exact("app.")
    assert not is_exact("app")


def test_a_bucket_is_made_as_clients_make_it_and_read_back() -> None:
    asked = {"bucket": "b", "history": 5, "ttl": 60_000_000_000, "limit_marker_ttl": 30_000_000_000}
    config = stream_config(asked)
    assert config["name"] == "KV_b"
    assert config["subjects"] == ["$KV.b.>"]
    assert config["discard"] == "new"
    assert config["duplicate_window"] == 60_000_000_000
    assert config["allow_rollup_hdrs"] is True
    assert config["deny_delete"] is True
    assert config["allow_msg_ttl"] is True
    found = bucket_config(config)
    assert {key: found[key] for key in asked} == asked
    assert stream_config(found, config) == config
    changed = stream_config({**found, "ttl": 0, "description": "d"}, config)
    assert "max_age" not in changed or changed["max_age"] == 0
    assert changed["description"] == "d"


def test_a_mirror_reads_its_origins_subjects_and_writes_there() -> None:
    config = stream_config({"bucket": "m", "mirror": {"name": "o", "external": {"api": "$JS.hub.API"}}})
    assert config["mirror"]["name"] == "KV_o"
    assert "subjects" not in config
    bucket = Bucket.of(config)
    assert bucket.subject("a") == "$KV.o.a"
    assert bucket.put_prefix == "$JS.hub.API.$KV.o."
    assert bucket.origins == ["o"]
    assert Bucket.of({"name": "KV_b"}, "$JS.hub.API").put_prefix == "$JS.hub.API.$KV.b."
    sourced = stream_config({"bucket": "s", "sources": [{"name": "o"}]})
    assert sourced["sources"][0]["subject_transforms"] == [{"src": "$KV.o.>", "dest": "$KV.s.>"}]


def test_what_headers_say() -> None:
    assert operation_of(None, None) is Operation.PUT
    assert operation_of("DEL", None) is Operation.DELETE
    assert operation_of("PURGE", None) is Operation.PURGE
    assert operation_of(None, "MaxAge") is Operation.EXPIRED
    assert operation_of(None, "Remove") is Operation.DELETE
    assert parse_ttl("1h30m") == 5400
    assert parse_ttl("30") == 30
    assert parse_ttl("never") is None
    assert parse_ttl("1x") is None
    headers = Headers([("Nats-TTL", "10s")]).encode()
    entry = Entry.of(Bucket.of({"name": "KV_b"}), InspectedMessage("KV_b", 3, 5, "$KV.b.a.b", headers, b"x"))
    assert (entry.key, entry.revision, entry.ttl, entry.expires_ns) == ("a.b", 3, 10.0, 10_000_000_005)


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=9)
        | st.sampled_from(['1,"', "1},", ':"', '9,":', "}"]),
        st.integers(0, 99),
        max_size=40,
    ),
    st.integers(1, 60),
)
def test_pages_are_read_in_slices_whatever_the_names(subjects: dict[str, int], size: int) -> None:
    answer = {
        "total": 1000,
        "config": {"subjects": ["a"], "metadata": {"x": '"subjects":{"y":1,"'}},
        "state": {"messages": 1, "subjects": subjects, "num": 5, "consumer_count": 0},
        "ts": "2026",
    }
    payload = json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode()
    head = PageHead()
    found: dict[str, int] = {}
    for part in slices(payload, head, size):
        found |= part
    assert found == subjects
    assert list(found) == list(subjects)
    assert head.total == 1000
    assert head.count == len(subjects)
    assert head.state is not None
    assert head.state["num"] == 5


def test_a_page_without_names_and_an_error() -> None:
    head = PageHead()
    assert list(slices(b'{"state": {"messages": 0}}', head)) == []
    assert head.total == 0
    list(slices(b'{"error": {"code": 404, "description": "none"}}', head))
    assert head.error == {"code": 404, "description": "none"}
    with pytest.raises(ValueError, match="char"):
        list(slices(b"nonsense", head))


@given(JSON, JSON)
def test_merging_with_an_untouched_side_gives_the_other(base: object, other: object) -> None:
    one, two = json.dumps(base).encode(), json.dumps(other).encode()
    for mine, theirs in ((one, two), (two, one), (two, two)):
        merged = merge(one, mine, theirs)
        assert merged.conflicts == 0
        assert merged.value is not None
        assert json.loads(merged.value) == other
    assert merge(one, one, one).places == ()


def test_json_is_merged_place_by_place() -> None:
    base = b'{"a": 1, "b": {"c": 2, "d": 3}, "e": 9007199254740993}'
    mine = b'{"a": 5, "b": {"c": 2, "d": 4}, "e": 9007199254740993}'
    theirs = b'{"a": 6, "b": {"c": 7, "d": 3}, "e": 9007199254740993, "n": true}'
    merged = merge(base, mine, theirs)
    assert {place.path: place.side for place in merged.places} == {
        "$.a": Side.CONFLICT,
        "$.b.c": Side.THEIRS,
        "$.b.d": Side.MINE,
        "$.n": Side.THEIRS,
    }
    assert merged.value is not None
    assert json.loads(merged.value) == {"a": 5, "b": {"c": 7, "d": 4}, "e": 9007199254740993, "n": True}
    assert b"9007199254740993" in merged.value


LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n"]), max_size=7)


@given(LINES, LINES)
def test_lines_merge_like_values(base: list[str], other: list[str]) -> None:
    assert merge_lines(base, other, base)[0] == "".join(other)
    assert merge_lines(base, base, other)[0] == "".join(other)
    assert merge_lines(base, other, other)[0] == "".join(other)


def test_a_text_changed_at_two_places_and_at_one() -> None:
    base = b"one\ntwo\nthree\nfour\n"
    merged = merge(base, b"ONE\ntwo\nthree\nfour\n", b"one\ntwo\nthree\nFOUR\n")
    assert (merged.value, merged.conflicts, merged.is_text) == (b"ONE\ntwo\nthree\nFOUR\n", 0, True)
    merged = merge(base, b"one\nmine\nthree\nfour\n", b"one\ntheirs\nthree\nfour\n")
    assert merged.conflicts == 1
    assert merged.value is not None
    assert has_marks(merged.value.decode())
    assert all(mark in merged.value.decode() for mark in MARKS)
    assert merge(b"\xff", b"\xfe", b"\xfd").value is None


@pytest.mark.parametrize("form", ["ndjson", "json", "csv"])
async def test_files_come_back_as_they_were_written(tmp_path: Path, form: str) -> None:
    bucket = Bucket.of({"name": "KV_b"})
    deleted = Headers([("KV-Operation", "DEL")]).encode()
    stored = [
        InspectedMessage("KV_b", 1, 1_000, "$KV.b.a.b", b"", b'{"n": 9007199254740993}'),
        InspectedMessage("KV_b", 2, 2_000, "$KV.b.c", b"", b"\x00\xff"),
        InspectedMessage("KV_b", 3, 3_000, "$KV.b.d", deleted, b""),
        InspectedMessage("KV_b", 4, 4_000, "$KV.b.e", b"", 'ä,"\n'.encode()),
    ]

    async def messages() -> AsyncIterator[InspectedMessage]:
        for message in stored:
            yield message

    path = tmp_path / f"keys.{form}"
    await KeyExporter(path, form, lambda message: bucket.key(message.subject)).run(messages())
    if form == "json":
        assert [record["key"] for record in json.loads(path.read_bytes())] == ["a.b", "c", "d", "e"]
    found = list(read_entries(path))
    assert [(entry.key, entry.value, entry.gone) for entry in found] == [
        ("a.b", b'{"n": 9007199254740993}', False),
        ("c", b"\x00\xff", False),
        ("d", b"", True),
        ("e", 'ä,"\n'.encode(), False),
    ]


def test_a_plain_object_is_keys_and_values(tmp_path: Path) -> None:
    path = tmp_path / "plain.json"
    path.write_text('{\n "a.b": "text",\n "n": 9007199254740993,\n "o": {"x": [1]}\n}')
    assert [(entry.key, entry.value) for entry in read_entries(path)] == [
        ("a.b", b"text"),
        ("n", b"9007199254740993"),
        ("o", b'{"x": [1]}'),
    ]
    path.write_text("[1]")
    with pytest.raises(FileProblem, match="Entry 1"):
        list(read_entries(path))
    path.write_text('{"key": "a", "value": "b"}\nnonsense\n')
    with pytest.raises(FileProblem, match="Entry 2"):
        list(read_entries(path))
