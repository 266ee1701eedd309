"""Backups that real servers made, read without one."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

from nats.aio.client import Client

from memphis_desktop.inspect.backup_reader import is_backup, summary
from memphis_desktop.inspect.files import read_file
from memphis_desktop.inspect.message import format_time
from memphis_desktop.server_process import ServerProcess
from tests.clients import backup
from tests.clients.test_backups import STREAM, fill, older_snapshot
from tests.conftest import Connect


def read(path: Path) -> list[tuple[Any, ...]]:
    """Return what `backup.everything` would."""
    return [
        (
            message.sequence,
            message.subject,
            base64.b64encode(message.header_bytes).decode() or None,
            base64.b64encode(message.payload).decode() or None,
            format_time(message.time_ns),
        )
        for message in read_file(path)
    ]


def saved(folder: Path, made: backup.Backup, name: str) -> Path:
    """Write a backup as ``nats stream backup`` does."""
    folder.mkdir()
    (folder / "backup.json").write_text(json.dumps({"config": made.config, "state": made.state}))
    (folder / name).write_bytes(made.data)
    return folder


async def filled(client: Client) -> tuple[list[tuple[Any, ...]], backup.Backup]:
    await fill(client)
    return await backup.everything(client, STREAM), await backup.take(client, STREAM)


async def test_a_backup_holds_what_the_server_holds(
    any_server: ServerProcess, connect: Connect, tmp_path: Path
) -> None:
    messages, made = await filled(await connect(any_server))
    folder = saved(tmp_path / "backup", made, "stream.arc.s2")
    file = folder / "stream.arc.s2"
    for path in (folder, file, folder / "backup.json"):
        assert is_backup(path)
        assert read(path) == messages
        assert next(read_file(path)).stream == STREAM
    found = summary(folder)
    assert (found.stream, found.messages, found.first_sequence, found.last_sequence) == (STREAM, 198, 2, 202)


async def test_a_servers_folder_and_the_backup_of_an_older_server(
    nats_server: ServerProcess, connect: Connect, tmp_path: Path
) -> None:
    messages, made = await filled(await connect(nats_server))
    await asyncio.to_thread(nats_server.stop)
    (folder,) = nats_server.store.glob(f"**/streams/{STREAM}")
    made.data = older_snapshot(nats_server.store)
    older = saved(tmp_path / "older", made, "stream.tar.s2")
    for path in (folder, older, older / "stream.tar.s2"):
        assert is_backup(path)
        assert read(path) == messages
        assert summary(path).stream == STREAM


async def test_blocks_that_a_server_has_compressed(nats_server: ServerProcess, connect: Connect) -> None:
    client = await connect(nats_server)
    config = {"name": STREAM, "subjects": ["orders.>"], "compression": "s2", "retention": "limits"}
    await backup.request(client, f"$JS.API.STREAM.CREATE.{STREAM}", config)
    jetstream = client.jetstream(timeout=30)
    for number in range(10, 22):
        await jetstream.publish(f"orders.{number}", b"%d " % number * 300_000)
    await jetstream.delete_msg(STREAM, 5)
    messages = await backup.everything(client, STREAM)
    await asyncio.to_thread(nats_server.stop)
    (folder,) = nats_server.store.glob(f"**/streams/{STREAM}")
    assert any(block.read_bytes().startswith(b"cmp") for block in folder.glob("msgs/*.blk"))
    assert read(folder) == messages
