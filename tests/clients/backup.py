"""Stream backups as the ``nats`` command takes and restores them: over the API, chunk by chunk."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg

TIMEOUT = 30.0
CHUNK = 64 * 1024


@dataclass
class Backup:
    """A stream as it was saved."""

    config: dict[str, Any]
    state: dict[str, Any]
    data: bytes
    status: str = ""


async def take(client: Client, stream: str, **options: Any) -> Backup:
    """Back up a stream: subscribe, ask for the snapshot, acknowledge each chunk until the empty one."""
    inbox = client.new_inbox()
    chunks: asyncio.Queue[Msg] = asyncio.Queue()

    async def chunk_came(message: Msg) -> None:
        await chunks.put(message)

    subscription = await client.subscribe(inbox, cb=chunk_came)
    answer = await request(client, f"$JS.API.STREAM.SNAPSHOT.{stream}", {"deliver_subject": inbox, **options})
    assert "error" not in answer, answer
    data = bytearray()
    while True:
        async with asyncio.timeout(TIMEOUT):
            message = await chunks.get()
        if not message.data:
            break
        data += message.data
        if message.reply:
            await message.respond(b"")
    await subscription.unsubscribe()
    status = (message.headers or {}).get("Status", "")
    return Backup(answer["config"], answer["state"], bytes(data), status)


async def restore(client: Client, backup: Backup, stream: str = "") -> dict[str, Any]:
    """Restore a stream and return the last answer, which may be an error."""
    name = stream or backup.config["name"]
    config = backup.config | {"name": name}
    answer = await request(
        client, f"$JS.API.STREAM.RESTORE.{name}", {"config": config, "state": backup.state}
    )
    if "error" in answer:
        return answer
    subject = answer["deliver_subject"]
    for start in range(0, len(backup.data), CHUNK):
        reply = await client.request(subject, backup.data[start : start + CHUNK], timeout=TIMEOUT)
        if reply.data:
            return _json(reply.data)
    return _json((await client.request(subject, b"", timeout=TIMEOUT)).data)


async def request(client: Client, subject: str, body: object) -> dict[str, Any]:
    """Return the answer to an API request."""
    message = await client.request(subject, json.dumps(body).encode() if body else b"", timeout=TIMEOUT)
    return _json(message.data)


async def everything(client: Client, stream: str) -> list[tuple[Any, ...]]:
    """Return all messages of a stream: sequence, subject, headers, payload and time."""
    info = await request(client, f"$JS.API.STREAM.INFO.{stream}", None)
    found = []
    for sequence in range(info["state"]["first_seq"], info["state"]["last_seq"] + 1):
        answer = await request(client, f"$JS.API.STREAM.MSG.GET.{stream}", {"seq": sequence})
        if "error" not in answer:
            one = answer["message"]
            found.append((one["seq"], one["subject"], one.get("hdrs"), one.get("data"), one["time"]))
    return found


def _json(data: bytes) -> dict[str, Any]:
    content = json.loads(data)
    assert isinstance(content, dict)
    return content
