"""Backups: what is backed up comes back, on the same broker and on the other one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from nats.js import JetStreamContext

from memphis_desktop.cluster import backup
from memphis_desktop.cluster.backup import BackupError
from memphis_desktop.cluster.failures import ApiError
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.cluster.session import Session
from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect


@pytest_asyncio.fixture
async def jetstream(any_server: ServerProcess, connect: Connect) -> JetStreamContext:
    context = (await connect(any_server)).jetstream()
    assert isinstance(context, JetStreamContext)
    return context


async def open_session(server: ServerProcess) -> Session:
    session = Session(ConnectionProfile(name="test", urls=(server.url,)))
    await session.connect()
    return session


async def fill(jetstream: JetStreamContext, **config: Any) -> None:
    await jetstream.add_stream(name="A", subjects=["a.>"], description="kept", max_msgs=500, **config)
    for number in range(1, 301):
        headers = {"Nats-Msg-Id": f"id-{number}", "Nats-Expected-Last-Sequence": str(number - 1)}
        await jetstream.publish(f"a.{number % 3}", b"\x00\xff" + str(number).encode(), headers=headers)
    await jetstream.add_consumer("A", durable_name="g", ack_policy="explicit", ack_wait=60)
    subscription = await jetstream.pull_subscribe_bind("g", "A")
    for message in await subscription.fetch(100):
        await message.ack_sync(timeout=30)


async def test_a_station_comes_back(session: Session, jetstream: JetStreamContext, tmp_path: Path) -> None:
    await fill(jetstream)
    steps: list[tuple[int, int]] = []
    made = await backup.back_up(session, "A", tmp_path / "b", lambda *step: steps.append(step))
    assert (made.messages, len(made.consumers)) == (300, 1)
    assert steps[-1] == (300, 300)
    assert (await jetstream.consumer_info("A", "g")).num_pending == 200
    await jetstream.delete_stream("A")
    found = backup.read_backup(tmp_path / "b")
    assert found == made
    report = await backup.restore(session, found, "A")
    assert (report.messages, report.duplicates, report.refused, report.problems) == (300, 0, 0, [])
    assert not report.renumbered
    info = await jetstream.stream_info("A")
    assert (info.state.messages, info.state.first_seq, info.state.last_seq) == (300, 1, 300)
    assert (info.config.description, info.config.max_msgs) == ("kept", 500)
    assert info.config.duplicate_window == 120
    message = await jetstream.get_msg("A", seq=77)
    assert message.data == b"\x00\xff77"
    assert message.subject == "a.2"
    assert message.headers == {"Nats-Msg-Id": "id-77"}
    # The group goes on behind what it had acknowledged.
    group = await jetstream.consumer_info("A", "g")
    assert group.num_pending == 200
    [following] = await (await jetstream.pull_subscribe_bind("g", "A")).fetch(1)
    assert following.metadata.sequence.stream == 101


async def test_sequences_begin_where_they_did(
    session: Session, jetstream: JetStreamContext, tmp_path: Path
) -> None:
    await jetstream.add_stream(name="A", subjects=["a"], max_msgs=3)
    for number in range(10):
        await jetstream.publish("a", str(number).encode())
    made = await backup.back_up(session, "A", tmp_path / "b")
    assert (made.messages, made.first_sequence) == (3, 8)
    await jetstream.delete_stream("A")
    report = await backup.restore(session, made, "A")
    assert not report.renumbered
    assert (await jetstream.stream_info("A")).state.first_seq == 8


async def test_gaps_change_the_numbers_and_are_told(
    session: Session, jetstream: JetStreamContext, tmp_path: Path
) -> None:
    await jetstream.add_stream(name="A", subjects=["a"])
    for number in range(5):
        await jetstream.publish("a", str(number).encode())
    await jetstream.delete_msg("A", 3)
    made = await backup.back_up(session, "A", tmp_path / "b")
    await jetstream.delete_stream("A")
    report = await backup.restore(session, made, "A")
    assert (report.messages, report.renumbered) == (4, True)


async def test_an_empty_station_comes_back(
    session: Session, jetstream: JetStreamContext, tmp_path: Path
) -> None:
    await jetstream.add_stream(name="A", subjects=["a"])
    made = await backup.back_up(session, "A", tmp_path / "b")
    await jetstream.delete_stream("A")
    report = await backup.restore(session, made, "B")
    assert report.messages == 0
    assert (await jetstream.stream_info("B")).config.subjects == ["a"]


async def test_a_work_queue_comes_back(session: Session, jetstream: JetStreamContext, tmp_path: Path) -> None:
    await jetstream.add_stream(name="A", subjects=["a"], retention="workqueue")
    await jetstream.add_consumer("A", durable_name="g", ack_policy="explicit")
    for number in range(5):
        await jetstream.publish("a", str(number).encode())
    made = await backup.back_up(session, "A", tmp_path / "b")
    await jetstream.delete_stream("A")
    report = await backup.restore(session, made, "A")
    assert (report.messages, report.consumers) == (5, 1)
    assert len(await (await jetstream.pull_subscribe_bind("g", "A")).fetch(5)) == 5


async def test_what_is_no_whole_backup_is_refused(
    session: Session, jetstream: JetStreamContext, tmp_path: Path
) -> None:
    await jetstream.add_stream(name="A", subjects=["a"])
    await jetstream.publish("a", b"x")
    folder = tmp_path / "b"
    made = await backup.back_up(session, "A", folder)
    with pytest.raises(BackupError, match="not empty"):
        await backup.back_up(session, "A", folder)
    with pytest.raises(ApiError):
        await backup.restore(session, made, "A")  # it is there
    (folder / backup.MESSAGES).write_bytes(b"MEMDUMP1")
    with pytest.raises(BackupError, match="not whole"):
        backup.read_backup(folder)
    (folder / backup.DESCRIPTION).write_text("{}")
    with pytest.raises(BackupError, match="no backup"):
        backup.read_backup(folder)
    (folder / backup.DESCRIPTION).unlink()
    with pytest.raises(BackupError, match="no finished backup"):
        backup.read_backup(folder)


async def test_a_backup_of_nats_server_is_restored_on_ours(
    nats_server: ServerProcess, broker: ServerProcess, connect: Connect, tmp_path: Path
) -> None:
    await fill((await connect(nats_server)).jetstream())
    source, target = await open_session(nats_server), await open_session(broker)
    try:
        made = await backup.back_up(source, "A", tmp_path / "b")
        report = await backup.restore(target, made, "A")
        assert (report.messages, report.refused, report.problems) == (300, 0, [])
        jetstream = (await connect(broker)).jetstream()
        assert (await jetstream.stream_info("A")).state.messages == 300
        assert (await jetstream.consumer_info("A", "g")).num_pending == 200
    finally:
        await source.close()
        await target.close()
