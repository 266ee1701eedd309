"""What stands on the command line, and what another start hands over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from memphis_desktop.errors import Failure
from memphis_desktop.opening import MOST, Opening, from_json, opening


def test_links_and_files_are_told_apart(tmp_path: Path) -> None:
    """Relative paths, file URLs and addresses, in one line."""
    (tmp_path / "a b.ndjson").write_text("{}")
    (tmp_path / "tabs.mworkspace").write_text("{}")
    words = ["nats://demo:4222", "a b.ndjson", (tmp_path / "tabs.mworkspace").as_uri(), "WSS://host"]
    found = opening(words, folder=tmp_path)
    assert found.links == ("nats://demo:4222", "WSS://host")
    assert found.files == (str(tmp_path / "a b.ndjson"), str(tmp_path / "tabs.mworkspace"))
    assert from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("missing.mdump", "no such file"),
        ("http://host/x", "not known"),
        ("notes.txt", "not known"),
        (".", "holds no backup"),
        ("kept.s2", "not known"),
    ],
)
def test_a_mistake_gets_one_sentence(tmp_path: Path, word: str, says: str) -> None:
    """Nothing half-known is let through."""
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "kept.s2").write_text("no backup")
    with pytest.raises(Failure, match=says):
        opening([word], folder=tmp_path)


def test_too_many_are_refused(tmp_path: Path) -> None:
    """Nobody means to open that many."""
    with pytest.raises(Failure, match=str(MOST)):
        opening(["nats://a"] * (MOST + 1))


def test_backups_may_be_folders(tmp_path: Path) -> None:
    """A folder, or a file in it, as long as it is a backup."""
    folder = tmp_path / "ORDERS"
    folder.mkdir()
    (folder / "backup.json").write_text('{"config":{"name":"ORDERS"}}')
    (folder / "stream.arc.s2").write_bytes(b"\xff\x06\x00\x00S2sTwO")
    files = [str(folder), str(folder / "stream.arc.s2"), str(folder / "backup.json")]
    found = opening(files)
    assert found.files == tuple(files)
    assert from_json(found.to_json()) == found


@pytest.mark.parametrize(
    "document",
    [
        None,
        7,
        [],
        {"links": "nats://a", "files": {"a": 1}, "demo": "yes"},
        {"links": ["javascript:alert(1)", 3], "files": ["relative.mdump", "/etc/passwd", "/no/such.mdump"]},
    ],
)
def test_what_is_handed_over_is_not_believed(document: object) -> None:
    """Another program of the user may write anything."""
    assert from_json(document) == Opening()
