"""Backups of streams, looked at in the window without a server."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import cramjam

from memphis_desktop import app
from memphis_desktop.inspect.mask import MaskRule
from memphis_desktop.opening import Opening
from memphis_desktop.protocol.snapshot import archive
from memphis_desktop.ui.screens.decoders.store import save_mask_rules
from memphis_desktop.ui.screens.message_file import MessageFileScreen
from tests.ui.conftest import Until

OpenWindow = Callable[..., Awaitable[app.Program]]
COUNT = 3000


def make_backup(folder: Path, cut: int = 0) -> Path:
    """A backup as ``nats stream backup`` leaves it, without the last `cut` bytes."""
    data = [archive.MAGIC, archive.encode_entry(archive.STATE, 1, 0, 0, b"{}")]
    for number in range(1, COUNT + 1):
        body = json.dumps({"id": number, "card": f"4111-{number}"}).encode()
        data.append(archive.encode_entry(b"orders.%d" % (number % 10), number * 10**9, number, 0, body))
    folder.mkdir()
    state = {"messages": COUNT, "first_seq": 1, "last_seq": COUNT}
    (folder / "backup.json").write_text(json.dumps({"config": {"name": "ORDERS"}, "state": state}))
    whole = bytes(cramjam.snappy.compress(b"".join([*data, archive.END])))
    (folder / "stream.arc.s2").write_bytes(whole[: len(whole) - cut])
    return folder


def open_backup(program: app.Program, path: Path) -> MessageFileScreen:
    program.window.opener.open(Opening(files=(str(path),)))
    screen = program.window.current_workspace().current_screen
    assert isinstance(screen, MessageFileScreen)
    return screen


async def test_a_backup_is_browsed_and_filtered(
    open_window: OpenWindow, until: Until, tmp_path: Path
) -> None:
    """The filter's whole language goes through all of it, and does not find what is hidden."""
    screen = open_backup(await open_window(), make_backup(tmp_path / "backup"))
    await until(lambda: len(screen.table.rows()) == COUNT, "all rows")
    assert screen.header.title_label.text() == "ORDERS"
    assert "Backup · 3\u202f000 messages · #1 – #3\u202f000" in screen.header.subtitle_label.text()
    assert screen.detail.message is not None
    assert (screen.detail.message.stream, screen.detail.message.sequence) == ("ORDERS", 1)
    screen.filter.field.setText("json.id > 2990 && subject =~ 'orders.5'")
    await until(lambda: [row[0] for row in screen.table.rows()] == [2995], "what was asked for")
    screen.filter.field.setText("json.id >")
    await until(lambda: bool(screen.filter.field.property("invalid")), "the mistake")
    assert [row[0] for row in screen.table.rows()] == [2995]
    screen.filter.field.setText("4111-77")
    await until(lambda: [row[0] for row in screen.table.rows()][:2] == [77, 770], "the cards")
    try:
        save_mask_rules([MaskRule("path", "$.card")])
        await until(lambda: screen.table.state() == "empty", "nothing found of what is hidden")
        screen.filter.field.clear()
        await until(lambda: len(screen.table.rows()) == COUNT, "all rows")
        assert b"4111" not in screen.table.rows()[0][1].payload
    finally:
        save_mask_rules([])
    await until(lambda: any(b"4111" in row[1].payload for row in screen.table.rows()), "the card again")


async def test_a_backup_that_is_not_whole_shows_what_there_is(
    open_window: OpenWindow, until: Until, tmp_path: Path
) -> None:
    program = await open_window()
    screen = open_backup(program, make_backup(tmp_path / "backup", cut=40))
    await until(lambda: "not whole" in screen.banner.text(), "the sentence")
    assert 0 < len(screen.table.rows()) < COUNT
    path = tmp_path / "server"
    (path / "msgs").mkdir(parents=True)
    (path / "meta.inf").write_bytes(b"\x8c\xcf")
    (path / "meta.key").write_bytes(b"key")
    assert screen.accept_file(str(path))
    await until(lambda: "encrypted" in screen.banner.text(), "why it cannot be read")
    assert screen.table.rows() == []
