"""Objects written here and read by nats-py, and the other way round, on a real nats-server and our broker."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from nats.js import JetStreamContext
from nats.js.api import ObjectMeta, ObjectStoreConfig
from nats.js.object_store import ObjectStore

from memphis_desktop.cluster import actions
from memphis_desktop.cluster.actions import ActionRecord
from memphis_desktop.cluster.actions import objects as bucket_actions
from memphis_desktop.cluster.failures import ApiError, ReadOnlyConnection
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.cluster.session import Session
from memphis_desktop.inspect.objects import names, reading, writing
from memphis_desktop.inspect.objects.model import Link, ObjectInfo, ObjectProblem
from memphis_desktop.inspect.publishing import PublishError
from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect
from tests.waiting import eventually

SIZE = 700_001  # five chunks and a bit


@pytest_asyncio.fixture
async def jetstream(any_server: ServerProcess, connect: Connect) -> JetStreamContext:
    return (await connect(any_server)).jetstream()


@pytest_asyncio.fixture
async def bucket(jetstream: JetStreamContext) -> ObjectStore:
    return await jetstream.create_object_store("files", ObjectStoreConfig(description="d"))


async def info_of(session: Session, name: str, bucket: str = "files") -> ObjectInfo:
    reader = await reading.open_reader(session, bucket)
    try:
        found = await reading.read_one(reader, bucket, name)
    finally:
        await reader.close()
    assert found is not None
    return found


async def chunks_left(jetstream: JetStreamContext) -> int:
    info = await jetstream.stream_info("OBJ_files", subjects_filter="$O.files.C.>")
    return sum((info.state.subjects or {}).values())


async def test_what_is_stored_here_is_read_by_nats_py(
    session: Session, bucket: ObjectStore, jetstream: JetStreamContext, tmp_path: Path
) -> None:
    data = os.urandom(SIZE)
    path = tmp_path / "in"
    path.write_bytes(data)
    told: list[int] = []
    records: list[ActionRecord] = []
    session.subscribe_actions(records.append)
    about = writing.Description("words", (("Content-Type", "image/png"),), {"k": "v"})
    await writing.upload(session, "files", "a/ü b.png", path, about, told.append)
    assert told[-1] == SIZE
    assert told == sorted(told)
    got = await bucket.get("a/ü b.png")
    assert got.data == data
    assert got.info.description == "words"
    assert got.info.chunks == 6
    assert "--name=a/ü b.png" in records[-1].action.command.replace("'", "")
    assert not records[-1].problem
    path.write_bytes(b"other")
    await writing.upload(session, "files", "a/ü b.png", path)
    assert (await bucket.get("a/ü b.png")).data == b"other"
    assert await chunks_left(jetstream) == 1  # what it replaced is purged
    path.write_bytes(b"")
    await writing.upload(session, "files", "empty", path)
    assert (await bucket.get("empty")).data == b""


async def test_what_nats_py_stores_is_read_here(
    session: Session, bucket: ObjectStore, tmp_path: Path
) -> None:
    data = os.urandom(SIZE)
    await bucket.put("b/c.bin", io.BytesIO(data), ObjectMeta(description="theirs", headers={"X": "1"}))
    await bucket.put("gone", b"x")
    await bucket.delete("gone")
    reader = await reading.open_reader(session, "files")
    found = await reading.list_names(reader, "files")
    assert sorted(found.names) == ["b/c.bin", "gone"]
    assert found.complete
    assert await reading.count_names(session, "files") == 2
    infos = {one.name: one async for part in reading.read_infos(reader, "files", found.names) for one in part}
    assert infos["gone"].deleted
    assert not infos["b/c.bin"].deleted
    info = infos["b/c.bin"]
    assert (info.size, info.chunks, info.description, info.headers) == (SIZE, 6, "theirs", (("X", "1"),))
    assert await reading.read_head(reader, info, 1000) == data[:1000]
    assert await reading.read_head(reader, info, 200_000) == data[:200_000]
    await reader.close()
    target = tmp_path / "files" / "out"
    target.parent.mkdir()
    told: list[int] = []
    await reading.download(session, info, target, told.append)
    assert target.read_bytes() == data
    assert told[-1] == SIZE
    assert os.listdir(target.parent) == ["out"]
    await reading.verify(session, info)


async def test_damage_leaves_no_file(
    session: Session, bucket: ObjectStore, jetstream: JetStreamContext, tmp_path: Path
) -> None:
    await bucket.put("a", b"0123456789")
    info = await info_of(session, "a")
    with pytest.raises(ObjectProblem, match="damaged"):
        await reading.download(session, replace(info, digest="SHA-256=" + "A" * 43 + "="), tmp_path / "out")
    await jetstream.publish(names.chunk_subject("files", info.nuid), b"more")
    with pytest.raises(ObjectProblem, match=r"damaged|not whole"):
        await reading.download(session, replace(info, chunks=2), tmp_path / "out")
    await jetstream.purge_stream("OBJ_files", subject=names.chunk_subject("files", info.nuid))
    with pytest.raises(ObjectProblem, match="not whole"):
        await reading.verify(session, info)
    assert not [entry for entry in os.listdir(tmp_path) if "out" in entry]


async def test_a_cancelled_upload_leaves_nothing(
    session: Session, bucket: ObjectStore, jetstream: JetStreamContext, tmp_path: Path
) -> None:
    path = tmp_path / "in"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    begun = asyncio.Event()
    task = asyncio.ensure_future(
        writing.upload(session, "files", "big", path, progress=lambda done: begun.set() if done else None)
    )
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await eventually(lambda: chunks_left(jetstream), lambda count: count == 0) == 0
    assert await reading.count_names(session, "files") == 0


async def test_cancelled_while_its_record_is_written_an_object_is_whole_or_not_there(
    session: Session,
    bucket: ObjectStore,
    jetstream: JetStreamContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "in").write_bytes(b"content")
    publish = writing.publishing.publish
    lost = False

    async def cancelled_meanwhile(*arguments: Any, **options: Any) -> Any:
        task.cancel()
        ack = await publish(*arguments, **options)
        if lost:
            raise PublishError("timeout", "nobody heard")
        return ack

    monkeypatch.setattr(writing.publishing, "publish", cancelled_meanwhile)
    task = asyncio.ensure_future(writing.upload(session, "files", "a", tmp_path / "in"))
    assert (await task).name == "a"
    assert (await bucket.get("a")).data == b"content"
    lost = True
    task = asyncio.ensure_future(writing.upload(session, "files", "b", tmp_path / "in"))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await bucket.get("b")).data == b"content"  # it was stored: its chunks are left alone


async def test_links_copies_names_and_deletion(
    session: Session, bucket: ObjectStore, jetstream: JetStreamContext, tmp_path: Path
) -> None:
    await bucket.put("a", b"content", ObjectMeta(description="first"))
    await jetstream.create_object_store("other")
    await writing.link(session, "files", "to-a", Link("files", "a"))
    assert (await bucket.get("to-a")).data == b"content"
    await writing.link(session, "files", "to-other", Link("other"))
    link = await info_of(session, "to-a")
    await reading.download(session, link, tmp_path / "linked")
    assert (tmp_path / "linked").read_bytes() == b"content"
    with pytest.raises(ObjectProblem, match="whole bucket"):
        await reading.verify(session, await info_of(session, "to-other"))
    await writing.link(session, "files", "loop", Link("files", "loop"))
    with pytest.raises(ObjectProblem, match="on and on"):
        await reading.verify(session, await info_of(session, "loop"))
    with pytest.raises(ObjectProblem, match="already"):
        await writing.link(session, "files", "a", Link("other"))
    await writing.copy(session, link, "other", "copied")
    theirs = await jetstream.object_store("other")
    assert (await theirs.get("copied")).data == b"content"
    before = await info_of(session, "a")
    await writing.describe(session, before, replace(before, description="second", metadata={"k": "v"}))
    with pytest.raises(ObjectProblem, match="meanwhile"):  # `before` is not what there is any more
        await writing.describe(session, before, replace(before, description="third"))
    now = await info_of(session, "a")
    assert (now.description, now.metadata) == ("second", {"k": "v"})
    with pytest.raises(ObjectProblem, match="already"):
        await writing.describe(session, now, replace(now, name="to-a"))
    await writing.describe(session, now, replace(now, name="b/new"))
    assert (await bucket.get("b/new")).data == b"content"
    assert sorted(info.name for info in await bucket.list()) == ["b/new", "loop", "to-a", "to-other"]
    with pytest.raises(ObjectProblem, match="not there"):
        await reading.verify(session, link)
    await writing.delete(session, await info_of(session, "b/new"))
    assert await chunks_left(jetstream) == 0
    assert (await bucket.get_info("b/new", show_deleted=True)).deleted


async def test_buckets_are_made_sealed_and_deleted(session: Session, jetstream: JetStreamContext) -> None:
    config = {
        "name": "OBJ_made", "subjects": names.subjects("made"), "description": "d", "max_age": 0,
        "max_bytes": 10_000_000, "storage": "file", "num_replicas": 1, "discard": "new",
        "allow_rollup_hdrs": True, "allow_direct": True, "compression": "s2", "max_msgs": -1,
    }  # fmt: skip
    action = bucket_actions.create_bucket(config)
    assert action.command == (
        "nats object add made --description=d --replicas=1 --storage=file"
        " --max-bucket-size=10000000 --compress"
    )
    await action.run(session)
    store = await jetstream.object_store("made")
    await store.put("a", b"x")
    current = (await session.api("STREAM.INFO.OBJ_made"))["config"]
    await bucket_actions.update_bucket({**current, "description": "e"}, current).run(session)
    assert (await store.status()).description == "e"
    current = (await session.api("STREAM.INFO.OBJ_made"))["config"]
    await bucket_actions.seal_bucket(current).run(session)
    with pytest.raises(ObjectProblem):
        await writing.link(session, "made", "l", Link("made", "a"))
    await bucket_actions.delete_bucket("made", current).run(session)
    with pytest.raises(ApiError):
        await session.api("STREAM.INFO.OBJ_made")


async def test_a_read_only_connection_reads_and_changes_nothing(
    any_server: ServerProcess, bucket: ObjectStore, tmp_path: Path
) -> None:
    await bucket.put("a", b"content")
    session = Session(ConnectionProfile(name="test", urls=(any_server.url,), read_only=True))
    await session.connect()
    try:
        info = await info_of(session, "a")
        await reading.download(session, info, tmp_path / "out")
        assert hashlib.sha256((tmp_path / "out").read_bytes()).digest() == hashlib.sha256(b"content").digest()
        records: list[ActionRecord] = []
        session.subscribe_actions(records.append)
        for change in (
            writing.delete(session, info),
            writing.upload(session, "files", "b", tmp_path / "out"),
            writing.describe(session, info, replace(info, description="x")),
            writing.link(session, "files", "l", Link("files", "a")),
            writing.copy(session, info, "files", "c"),
            actions.delete_stream("OBJ_files").run(session),
        ):
            with pytest.raises(ReadOnlyConnection):
                await change
        assert len(records) == 6
        assert all("read-only" in record.problem for record in records)
    finally:
        await session.close()
    assert sorted(info.name for info in await bucket.list()) == ["a"]
