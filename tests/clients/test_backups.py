"""Backups of streams, taken from either server and restored to either."""

from __future__ import annotations

import asyncio
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import cramjam
import pytest
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig

from memphis_desktop.server_process import ServerProcess
from tests.clients import backup
from tests.clients.backup import request
from tests.conftest import Connect, Starter

STREAM = "ORDERS"


async def fill(client: Client, storage: str = "file") -> None:
    """Make a stream with gaps, headers, large messages, and a consumer with acks and redeliveries."""
    jetstream = client.jetstream(timeout=30)
    await jetstream.add_stream(name=STREAM, subjects=["orders.>"], storage=storage)
    for number in range(200):
        headers = {"Number": str(number)} if number % 3 else None
        await jetstream.publish(f"orders.{number % 7}", b"x%d " % number * (number % 40), headers=headers)
    await jetstream.publish("orders.random", os.urandom(300_000))
    await jetstream.publish("orders.same", b"abcabcd" * 40_000)
    for sequence in (1, 3, 50, 202):
        await jetstream.delete_msg(STREAM, sequence)
    config = ConsumerConfig(durable_name="billing", ack_policy=AckPolicy.EXPLICIT, ack_wait=300)
    await jetstream.add_consumer(STREAM, config)
    subscription = await jetstream.pull_subscribe_bind("billing", STREAM)
    messages = await subscription.fetch(20, timeout=30)
    for message in messages[:5] + messages[8:10]:
        await message.ack_sync(timeout=30)
    await messages[6].nak()
    while (await subscription.fetch(1, timeout=30))[0].metadata.num_delivered == 1:
        pass


async def consumer_figures(client: Client) -> dict[str, Any]:
    info = await request(client, f"$JS.API.CONSUMER.INFO.{STREAM}.billing", None)
    figures = {key: info[key] for key in ("num_ack_pending", "num_redelivered", "num_pending", "config")}
    for key in ("delivered", "ack_floor"):
        figures[key] = (info[key]["consumer_seq"], info[key]["stream_seq"])
    return figures


async def check_restored(
    client: Client, messages: list[Any], figures: dict[str, Any], saved: backup.Backup
) -> None:
    """Assert that the stream is what it was, and goes on."""
    assert await backup.everything(client, STREAM) == messages
    assert await consumer_figures(client) == figures
    jetstream = client.jetstream(timeout=30)
    info = await jetstream.stream_info(STREAM)
    assert (info.state.first_seq, info.state.last_seq) == (2, 202)
    assert info.state.bytes == saved.state["bytes"]
    subscription = await jetstream.pull_subscribe_bind("billing", STREAM)
    following = await subscription.fetch(1, timeout=30)
    assert following[0].metadata.sequence.stream == figures["delivered"][1] + 1
    assert (await jetstream.publish("orders.0", b"next")).seq == 203


@pytest.mark.parametrize(
    ("direction", "storage"),
    [("theirs to ours", "file"), ("ours to theirs", "file"), ("ours to ours", "memory")],
)
async def test_a_backup_restores_with_its_consumers(
    direction: str, storage: str, start_broker: Starter, start_nats_server: Starter, connect: Connect
) -> None:
    start = {"ours": start_broker, "theirs": start_nats_server}
    source, target = (start[name]() for name in direction.split(" to "))
    client = await connect(source)
    await fill(client, storage)
    messages, figures = await backup.everything(client, STREAM), await consumer_figures(client)
    saved = await backup.take(client, STREAM)
    assert saved.status == "204"
    other = await connect(target)
    answer = await backup.restore(other, saved)
    assert answer["type"] == "io.nats.jetstream.api.v1.stream_create_response", answer
    assert answer["state"]["messages"] == len(messages)
    await check_restored(other, messages, figures, saved)
    if direction == "theirs to ours":
        await asyncio.to_thread(target.restart, crash=True)
        again = await connect(target)
        assert (await backup.everything(again, STREAM))[:-1] == messages


async def test_a_backup_of_an_older_server_restores(
    start_broker: Starter, start_nats_server: Starter, connect: Connect
) -> None:
    """Before 2.15 a snapshot was a tar file of the stream's folder."""
    source = start_nats_server()
    client = await connect(source)
    await fill(client)
    messages, figures = await backup.everything(client, STREAM), await consumer_figures(client)
    info = await request(client, f"$JS.API.STREAM.INFO.{STREAM}", None)
    source.stop()
    saved = backup.Backup(info["config"], info["state"], older_snapshot(source.store))
    for target in (start_nats_server(), start_broker()):
        other = await connect(target)
        answer = await backup.restore(other, saved)
        assert "error" not in answer, answer
        await check_restored(other, messages, figures, saved)


def older_snapshot(store: Path) -> bytes:
    """Return the files that such a snapshot holds, in its order."""
    (folder,) = store.glob(f"**/streams/{STREAM}")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        paths = ["meta.inf", "meta.sum", *sorted(f"msgs/{one.name}" for one in folder.glob("msgs/*"))]
        paths += sorted(str(one.relative_to(folder)) for one in folder.glob("obs/*/*"))
        for path in paths:
            archive.add(folder / path, path)
    return bytes(cramjam.snappy.compress(buffer.getvalue()))


async def test_a_backup_without_consumers_in_small_chunks(
    any_server: ServerProcess, connect: Connect
) -> None:
    client = await connect(any_server)
    await fill(client)
    saved = await backup.take(client, STREAM, no_consumers=True, chunk_size=1024, window_size=2048)
    await request(client, f"$JS.API.STREAM.DELETE.{STREAM}", None)
    answer = await backup.restore(client, saved)
    assert answer["state"]["consumer_count"] == 0
    assert answer["state"]["last_seq"] == 202


async def test_refused_backups_and_restores(any_server: ServerProcess, connect: Connect) -> None:
    client = await connect(any_server)
    jetstream = client.jetstream()
    await jetstream.add_stream(name=STREAM, subjects=["orders.>"])
    await jetstream.publish("orders.1", b"one")
    saved = await backup.take(client, STREAM)
    config = saved.config
    refusals: list[tuple[str, object, int]] = [
        (f"SNAPSHOT.{STREAM}", None, 10003),
        ("SNAPSHOT.NONE", {"deliver_subject": "x"}, 10059),
        (f"SNAPSHOT.{STREAM}", {"deliver_subject": "a.*"}, 10015),
        (f"SNAPSHOT.{STREAM}", {"deliver_subject": ""}, 10015),
        (f"RESTORE.{STREAM}", None, 10003),
        (f"RESTORE.{STREAM}", {"config": config}, 10130),
        ("RESTORE.OTHER", {"config": config}, 10056),
        ("RESTORE.OTHER", {"config": {"name": "OTHER", "max_consumers": "many"}}, 10025),
    ]
    for subject, body, code in refusals:
        answer = await request(client, f"$JS.API.STREAM.{subject}", body)
        assert answer["error"]["err_code"] == code, (subject, body, answer)
    answer = await backup.restore(client, saved, "OTHER")
    assert answer["error"]["description"] == (
        "restore failed: error adding stream: subjects overlap with an existing stream (10065)"
    )


async def test_a_damaged_backup_leaves_nothing_behind(broker: ServerProcess, connect: Connect) -> None:
    client = await connect(broker)
    await fill(client)
    saved = await backup.take(client, STREAM)
    await request(client, f"$JS.API.STREAM.DELETE.{STREAM}", None)
    half = len(saved.data) // 2
    flipped = bytearray(saved.data)
    flipped[half] ^= 0xFF
    for data in (saved.data[:half], bytes(flipped), b"", os.urandom(5000)):
        answer = await backup.restore(client, backup.Backup(saved.config, saved.state, data))
        assert answer["error"]["err_code"] == 10062, answer
        names = json.loads((await client.request("$JS.API.STREAM.NAMES", b"")).data)
        assert names["streams"] is None
    assert "error" not in await backup.restore(client, saved)


async def test_a_restore_cut_off_by_a_crash_leaves_nothing_behind(
    broker: ServerProcess, connect: Connect
) -> None:
    client = await connect(broker)
    await fill(client)
    saved = await backup.take(client, STREAM)
    await request(client, f"$JS.API.STREAM.DELETE.{STREAM}", None)
    body = {"config": saved.config, "state": saved.state}
    answer = await request(client, f"$JS.API.STREAM.RESTORE.{STREAM}", body)
    await client.request(answer["deliver_subject"], saved.data[:100_000], timeout=30)
    await asyncio.to_thread(broker.restart, crash=True)
    again = await connect(broker)
    assert (await request(again, f"$JS.API.STREAM.INFO.{STREAM}", None))["error"]["err_code"] == 10059
    assert "error" not in await backup.restore(again, saved)
