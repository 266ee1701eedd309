"""Buckets that nats-py made and wrote, read and changed through a session, on both servers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from nats.js.api import KeyValueConfig
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from memphis_desktop.cluster.actions import ActionRecord
from memphis_desktop.cluster.failures import ReadOnlyConnection
from memphis_desktop.cluster.key_value.buckets import create_bucket, delete_bucket, update_bucket
from memphis_desktop.cluster.key_value.bulk import KeyDeletion, KeyImport, MarkerClearing
from memphis_desktop.cluster.key_value.watching import KeyWatch
from memphis_desktop.cluster.key_value.writing import KeyWrite, RevisionConflict, ValueTooLarge
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.cluster.session import Session
from memphis_desktop.inspect.key_value.bucket import Bucket, bucket_config
from memphis_desktop.inspect.key_value.changes import Comparison, Kind, changes_since, compare_buckets
from memphis_desktop.inspect.key_value.entry import Entry, Operation
from memphis_desktop.inspect.key_value.keys import KeyPager, KeyReader
from memphis_desktop.inspect.reader import ReadingMethod
from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect
from tests.waiting import until


@pytest_asyncio.fixture
async def bucket(any_server: ServerProcess, connect: Connect) -> KeyValue:
    client = await connect(any_server)
    made: KeyValue = await client.jetstream(timeout=20).create_key_value(
        KeyValueConfig(bucket="b", history=5, direct=True)
    )
    return made


@pytest_asyncio.fixture
async def keys(session: Session, bucket: KeyValue) -> AsyncIterator[KeyReader]:
    info = await session.api("STREAM.INFO.KV_b")
    opened = await KeyReader.open(session, Bucket.of(info["config"]))
    yield opened
    await opened.close()


async def test_names_branches_values_and_history(keys: KeyReader, bucket: KeyValue) -> None:
    for key in ("app.db.host", "app.db.port", "app.name", "plain", "a/b/c", "with-dash_and=equals"):
        await bucket.put(key, key.encode())
    await bucket.put("plain", b"second")
    await bucket.delete("app.name")
    pager = KeyPager(keys)
    assert await pager.more(2) == ["a/b/c", "app.db.host"]
    assert await pager.more(20) == ["app.db.port", "app.name", "plain", "with-dash_and=equals"]
    assert pager.done
    assert (pager.total, pager.found) == (6, 6)
    assert await KeyPager(keys, "app.db.").more(9) == ["app.db.host", "app.db.port"]
    assert await KeyPager(keys, "", "PORT app").more(9) == ["app.db.port"]
    found = [branches async for branches in keys.branches("", "./")][-1]
    assert (found.keys, found.total, found.complete) == ({"a/": 1, "app.": 3}, 6, True)
    assert [b async for b in keys.branches("app.", ".")][-1].keys == {"app.db.": 2}
    entries = await keys.entries_of(["plain", "app.name", "nothing"])
    assert entries["plain"].message.payload == b"second"
    assert entries["app.name"].operation is Operation.DELETE
    assert "nothing" not in entries
    history = await keys.history("plain")
    assert [entry.message.payload for entry in history] == [b"plain", b"second"]
    assert (await keys.revision(history[0].revision)) is not None
    assert await keys.entry("nothing") is None


async def test_writes_are_guarded_by_the_revision_and_recorded(
    session: Session, keys: KeyReader, bucket: KeyValue
) -> None:
    records: list[ActionRecord] = []
    session.subscribe_actions(records.append)
    made = await KeyWrite(keys.bucket, "k", value=b"one", expected=0).run(session)
    with pytest.raises(RevisionConflict):
        await KeyWrite(keys.bucket, "k", value=b"again", expected=0).run(session)
    revision = await bucket.put("k", b"theirs")
    with pytest.raises(RevisionConflict):
        await KeyWrite(keys.bucket, "k", value=b"mine", expected=made["seq"]).run(session)
    before = await keys.entry("k")
    await KeyWrite(keys.bucket, "k", value=b"mine", expected=revision, replaces=before).run(session)
    assert (await bucket.get("k")).value == b"mine"
    latest = await keys.entry("k")
    assert latest is not None
    await KeyWrite(keys.bucket, "k", Operation.DELETE, expected=latest.revision).run(session)
    with pytest.raises(KeyNotFoundError):
        await bucket.get("k")
    await KeyWrite(keys.bucket, "k", Operation.PURGE).run(session)
    assert [entry.operation for entry in await keys.history("k")] == [Operation.PURGE]
    assert [bool(record.problem) for record in records] == [False, True, True, False, False, False]
    changed = records[3].action
    assert changed.before == {"revision": revision, "operation": "put", "value": "theirs"}
    assert changed.body is not None
    assert changed.body["value"] == "mine"
    assert changed.command == f"nats kv update b k mine {revision}"
    assert changed.subject(session) == "$KV.b.k"
    with pytest.raises(ValueTooLarge):
        await KeyWrite(keys.bucket, "k", value=b"x" * (session.nats.max_payload + 1)).run(session)


async def test_nothing_is_written_on_a_read_only_connection(
    any_server: ServerProcess, bucket: KeyValue
) -> None:
    profile = ConnectionProfile(name="test", urls=(any_server.url,), read_only=True)
    session = Session(profile)
    await session.connect()
    reader = await KeyReader.open(session, Bucket.of({"name": "KV_b"}))
    try:
        with pytest.raises(ReadOnlyConnection):
            await KeyWrite(reader.bucket, "k", value=b"x").run(session)
        with pytest.raises(ReadOnlyConnection):
            await KeyDeletion(session, reader).run()
        came: list[Entry] = []
        watch = KeyWatch(session, reader, "", came.extend)
        await watch.start()
        await bucket.put("k", b"v")
        await until(lambda: came, "what was written")
        assert not (await session.api("CONSUMER.NAMES.KV_b"))["consumers"]
        await watch.stop()
    finally:
        await reader.close()
        await session.close()


async def test_a_key_ends_by_its_own_time_to_live(session: Session, any_server: ServerProcess) -> None:
    config = {"bucket": "t", "history": 1, "limit_marker_ttl": 60_000_000_000}
    await create_bucket(config).run(session)
    info = await session.api("STREAM.INFO.KV_t")
    bucket = Bucket.of(info["config"])
    assert bucket.takes_ttl
    keys = await KeyReader.open(session, bucket)
    try:
        await KeyWrite(bucket, "k", value=b"v", expected=0, ttl=1).run(session)
        entry = await keys.entry("k")
        assert entry is not None
        assert entry.ttl == 1.0

        async def ended() -> bool:
            now = await keys.entry("k")
            return now is not None and now.operation is Operation.EXPIRED

        await until(ended, "the marker")
    finally:
        await keys.close()


async def test_buckets_are_made_changed_and_deleted(session: Session) -> None:
    asked = {"bucket": "n", "history": 3, "description": "d", "compression": True, "metadata": {"a": "b"}}
    await create_bucket(asked).run(session)
    before = (await session.api("STREAM.INFO.KV_n"))["config"]
    found = bucket_config(before)
    assert {key: found[key] for key in asked} == asked
    await update_bucket({**found, "ttl": 3_600_000_000_000, "history": 4}, before).run(session)
    after = (await session.api("STREAM.INFO.KV_n"))["config"]
    assert bucket_config(after) == {**found, "ttl": 3_600_000_000_000, "history": 4}
    assert after["allow_direct"]
    assert "kv add" in create_bucket({"bucket": "n", "history": 3}).command
    await delete_bucket(after).run(session)
    assert (await session.api("STREAM.NAMES"))["total"] == 0


async def test_watching_tells_in_order_and_leaves_nothing(
    session: Session, keys: KeyReader, bucket: KeyValue
) -> None:
    await bucket.put("before", b"x")
    before = (await session.api("CONSUMER.NAMES.KV_b"))["consumers"]
    came: list[Entry] = []
    watch = KeyWatch(session, keys, "app.", came.extend)
    await watch.start()

    async def made() -> Any:
        return (await session.api("CONSUMER.NAMES.KV_b"))["consumers"]

    (consumer,) = await until(made, "the consumer")
    for number in range(50):
        await bucket.put(f"app.{number}", b"%d" % number)
        await bucket.put("other", b"")
    await bucket.delete("app.3")
    await until(lambda: len(came) == 51, "all of them")
    assert [entry.key for entry in came] == [*(f"app.{number}" for number in range(50)), "app.3"]
    assert came[-1].operation is Operation.DELETE
    assert came[0].time_ns == (await keys.revision(came[0].revision)).message.time_ns  # type: ignore[union-attr]
    # A consumer that goes away is made anew, and nothing is missed or told twice.
    watch._heard = -1e9
    await session.api(f"CONSUMER.DELETE.KV_b.{consumer}")
    await bucket.put("app.late", b"")
    await until(lambda: len(came) == 52, "what came after")
    await watch.stop()
    assert (await session.api("CONSUMER.NAMES.KV_b"))["consumers"] == before


async def test_what_changed_since_a_moment(keys: KeyReader, bucket: KeyValue) -> None:
    for key in ("changed", "removed", "stays", "deleted"):
        await bucket.put(key, b"1")
    await bucket.delete("deleted")
    await asyncio.sleep(0.002)
    moment = time.time_ns()
    await bucket.put("changed", b"2")
    await bucket.put("changed", b"3")
    await bucket.delete("removed")
    await bucket.put("added", b"1")
    await bucket.put("deleted", b"again")
    for turn in range(6):
        await bucket.put("often", b"%d" % turn)
    for method in (ReadingMethod.BATCH, ReadingMethod.API):
        keys.reader._refused = {other for other in ReadingMethod if other is not method}
        keys.reader.cache.clear()
        report = await changes_since(keys, moment)
        assert {change.key: change.kind for change in report.changes} == {
            "added": Kind.ADDED,
            "changed": Kind.CHANGED,
            "deleted": Kind.ADDED,
            "often": Kind.WRITTEN,
            "removed": Kind.REMOVED,
        }
        assert next(change.writes for change in report.changes if change.key == "changed") == 2
        assert report.complete


async def test_two_buckets_are_compared(
    session: Session, keys: KeyReader, bucket: KeyValue, any_server: ServerProcess, connect: Connect
) -> None:
    client = await connect(any_server)
    other = await client.jetstream().create_key_value(bucket="c")
    for number in range(250):
        await bucket.put(f"k{number}", b"1")
        if number != 7:
            await other.put(f"k{number}", b"2" if number == 9 else b"1")
    await other.put("only", b"1")
    right = await KeyReader.open(session, Bucket.of({"name": "KV_c"}))
    tally = Comparison()
    try:
        found = [d async for part in compare_buckets(keys, right, "", tally) for d in part]
    finally:
        await right.close()
    assert {(one.key, one.kind) for one in found} == {
        ("k7", Kind.REMOVED),
        ("k9", Kind.CHANGED),
        ("only", Kind.ADDED),
    }
    assert (tally.equal, tally.differing) == (248, 3)


async def test_deleting_below_a_place_and_clearing_the_markers(
    session: Session, keys: KeyReader, bucket: KeyValue
) -> None:
    for number in range(5):
        await bucket.put(f"old.{number}", b"x")
    await bucket.put("new", b"x")
    deletion = KeyDeletion(session, keys, "old.")
    first = await deletion.look()
    assert [entry.key for entry in first] == [f"old.{number}" for number in range(5)]
    assert deletion.progress.done == 5
    assert await bucket.keys() == [*(f"old.{number}" for number in range(5)), "new"]
    done = await deletion.run()
    assert (done.done, done.failed) == (5, 0)
    assert await bucket.keys() == ["new"]
    clearing = MarkerClearing(session, keys, "", time.time_ns() + 10**9)
    assert len(await clearing.look()) == 5
    await bucket.put("old.2", b"back")  # written after the dry run: it stays
    assert (await clearing.run()).done == 5
    assert sorted(await bucket.keys()) == ["new", "old.2"]
    assert await KeyPager(keys).more(9) == ["new", "old.2"]


async def test_importing_says_first_what_it_would_do(
    session: Session, keys: KeyReader, bucket: KeyValue, tmp_path: Path
) -> None:
    await bucket.put("same", b"1")
    await bucket.put("other", b"mine")
    await bucket.delete("gone") if await bucket.put("gone", b"x") else None
    path = tmp_path / "keys.ndjson"
    lines = [
        {"key": "same", "value": 1},
        {"key": "other", "value": "theirs"},
        {"key": "new", "value": {"a": 1}},
        {"key": "gone", "value": "back"},
        {"key": "schlüssel", "value": "x"},
        {"key": "new", "value": "twice"},
    ]
    path.write_text("\n".join(json.dumps(line) for line in lines))
    counts = await KeyImport(session, keys, path).look()
    assert (counts.new, counts.same, counts.different, counts.refused) == (3, 1, 1, 1)
    with pytest.raises(KeyNotFoundError):
        await bucket.get("new")
    done = await KeyImport(session, keys, path).run()
    assert (done.done, done.skipped, done.failed) == (2, 3, 1)
    assert "schlüssel" in done.problem
    assert (await bucket.get("other")).value == b"mine"
    assert (await bucket.get("new")).value == b'{"a": 1}'
    done = await KeyImport(session, keys, path, overwrite=True).run()
    assert (await bucket.get("other")).value == b"theirs"
    assert (await bucket.get("new")).value == b"twice"
    assert (await bucket.get("gone")).value == b"back"


async def test_names_of_a_large_bucket_come_in_order_whatever_the_server_does_at_once(
    session: Session, keys: KeyReader, bucket: KeyValue, any_server: ServerProcess, connect: Connect
) -> None:
    client = await connect(any_server)
    names = sorted(f"app{number % 7}.k{number}" for number in range(5_000))
    for name in names[::-1]:
        await client.publish(f"$KV.b.{name}", b"x")
    await client.flush()

    async def stored() -> bool:
        return bool((await session.api("STREAM.INFO.KV_b"))["state"]["messages"] == len(names))

    await until(stored, "all keys")
    found: list[str] = []
    pager = KeyPager(keys)
    while not pager.done:
        found += await pager.more(700)
    assert found == names
    assert pager.total == 5_000
    assert len(await KeyPager(keys, "app3.").more(5_000)) == sum(name.startswith("app3.") for name in names)
    info = await session.api("STREAM.INFO.KV_b", {"subjects_filter": "$KV.b.>", "offset": 4_990})
    assert list(info["state"]["subjects"]) == [f"$KV.b.{name}" for name in names[4_990:]]
    assert (info["total"], info["offset"], info["limit"]) == (5_000, 4_990, 100_000)
