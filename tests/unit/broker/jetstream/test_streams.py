"""Streams over time: ages, schedules, retention, sources, and the API around them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from memphis_desktop.broker.jetstream.config import StreamSource
from memphis_desktop.broker.jetstream.cron import CronPattern
from memphis_desktop.broker.jetstream.deduplication import MessageIds
from memphis_desktop.broker.jetstream.fast_batches import parse_reply
from memphis_desktop.broker.jetstream.limits import AccountLimits
from memphis_desktop.broker.jetstream.times import SECOND_NS
from tests.unit.broker.jetstream.stream_world import StreamWorld


@pytest.fixture
def world() -> StreamWorld:
    return StreamWorld()


def _subjects(stream: Any) -> list[bytes]:
    return sorted(stream.messages.subjects())


def test_messages_leave_at_max_age(world: StreamWorld) -> None:
    stream = world.create(max_age=10 * SECOND_NS, duplicate_window=SECOND_NS)
    world.publish("s.a")
    world.clock.advance(6)
    world.publish("s.b")
    world.clock.advance(4.1)
    assert _subjects(stream) == [b"s.b"]
    world.clock.advance(6.1)
    assert stream.messages.message_count == 0
    world.publish("s.c")
    world.clock.advance(10.1)
    assert stream.messages.message_count == 0


def test_a_wall_clock_that_jumps_back_keeps_messages_and_forward_removes_them(world: StreamWorld) -> None:
    stream = world.create(max_age=10 * SECOND_NS, duplicate_window=SECOND_NS)
    world.publish("s.a")
    world.clock.offset_ns -= 3600 * SECOND_NS
    world.clock.advance(11)
    assert stream.messages.message_count == 1
    world.clock.offset_ns += 3600 * SECOND_NS
    world.clock.advance(3700)
    assert stream.messages.message_count == 0


def test_own_lifetimes_beat_the_streams_age(world: StreamWorld) -> None:
    stream = world.create(max_age=10 * SECOND_NS, duplicate_window=SECOND_NS, allow_msg_ttl=True)
    world.publish("s.short", Nats_TTL="2")
    world.publish("s.plain")
    world.publish("s.ever", Nats_TTL="never")
    world.clock.advance(2.1)
    assert _subjects(stream) == [b"s.ever", b"s.plain"]
    world.clock.advance(8.1)
    assert _subjects(stream) == [b"s.ever"]
    world.publish("s.later")
    world.clock.advance(10.1)
    assert _subjects(stream) == [b"s.ever"]


def test_the_last_message_of_a_subject_leaves_a_marker(world: StreamWorld) -> None:
    stream = world.create(allow_msg_ttl=True, allow_rollup_hdrs=True, subject_delete_marker_ttl=5 * SECOND_NS)
    world.publish("s.a", Nats_TTL="6")
    world.publish("s.a", Nats_TTL="7")
    world.clock.advance(6.5)
    assert stream.messages.message_count == 1
    world.clock.advance(1)
    marker = stream.messages.read(3)
    assert marker is not None
    assert b"Nats-Marker-Reason: MaxAge" in marker.body
    world.clock.advance(6)
    assert stream.messages.message_count == 0  # the marker went without leaving another


def test_schedules_fire_at_their_times_and_once_after_a_pause(world: StreamWorld) -> None:
    stream = world.create(
        subjects=["s.*", "out.*"], allow_msg_schedules=True, allow_rollup_hdrs=True, allow_msg_ttl=True
    )
    world.publish("s.every", b"tick", Nats_Schedule="@every 10s", Nats_Schedule_Target="out.a")
    world.clock.advance(31)
    produced = stream.messages.subjects()[b"out.a"].messages
    assert produced == 3
    world.clock.offset_ns += 3600 * SECOND_NS  # as after a long sleep of the machine
    world.clock.advance(11)
    assert stream.messages.subjects()[b"out.a"].messages == produced + 1
    assert "error" not in world.request("STREAM.PURGE.S", {"filter": "s.every"})
    world.clock.advance(100)
    assert stream.messages.subjects()[b"out.a"].messages == produced + 1


def test_a_single_schedule_goes_with_its_message(world: StreamWorld) -> None:
    stream = world.create(subjects=["s.*", "out.*"], allow_msg_schedules=True, allow_rollup_hdrs=True)
    world.publish(
        "s.once", b"now", Nats_Schedule="@at 2000-01-01T00:00:00Z", Nats_Schedule_Target="out.a", Own="kept"
    )
    world.clock.advance(1)
    assert _subjects(stream) == [b"out.a"]
    last = stream.messages.read(stream.messages.last_sequence)
    assert last is not None
    assert b"Own: kept" in last.body
    assert b"Nats-Schedule-Next: purge" in last.body
    assert b"Nats-Schedule-Target" not in last.body


@pytest.mark.parametrize(
    ("pattern", "zone", "after", "expected"),
    [
        ("*/15 * * * * *", "UTC", "2024-01-01T00:00:01", "2024-01-01T00:00:15"),
        ("0 30 9 * * mon-fri", "UTC", "2024-01-05T10:00:00", "2024-01-08T09:30:00"),
        ("0 0 0 29 2 *", "UTC", "2024-03-01T00:00:00", "2028-02-29T00:00:00"),
        ("0 0 0 1 1 *", "UTC", "2024-01-01T00:00:00", "2025-01-01T00:00:00"),
        ("0 0 12 13 * fri", "UTC", "2024-01-01T00:00:00", "2024-01-05T12:00:00"),
        ("0 0 8 * * *", "Europe/Berlin", "2024-03-30T12:00:00", "2024-03-31T06:00:00"),
        ("0 30 2 * * *", "Europe/Berlin", "2024-03-30T12:00:00", "2024-04-01T00:30:00"),
        ("0 0 23 31 dec ?", "UTC", "2024-06-01T00:00:00", "2024-12-31T23:00:00"),
    ],
)
def test_cron_patterns(pattern: str, zone: str, after: str, expected: str) -> None:
    def nanoseconds(text: str) -> int:
        return int(datetime.fromisoformat(text + "+00:00").timestamp()) * SECOND_NS

    assert CronPattern(pattern, ZoneInfo(zone)).next_after(nanoseconds(after)) == nanoseconds(expected)


@pytest.mark.parametrize(
    "pattern",
    ["", "* * * * *", "60 * * * * *", "* * * 0 * *", "a * * * * *", "5-1 * * * * *", "*/0 * * * * *"],
)
def test_what_is_no_cron_pattern(pattern: str) -> None:
    with pytest.raises(ValueError):
        CronPattern(pattern).next_after(0)


def test_a_source_is_read_on_where_it_was_left(world: StreamWorld) -> None:
    world.create("O")
    target = world.create("T", subjects=[], sources=[StreamSource(name="O", filter_subject="o.a")])
    for number in range(1000):
        world.publish("o.a" if number % 2 else "o.b", b"%d" % number)
    world.clock.settle()
    assert target.messages.message_count == 500
    assert _subjects(target) == [b"o.a"]
    shown = world.request("STREAM.INFO.T")["sources"][0]
    assert (shown["lag"], shown["seq"], shown["filter_subject"]) == (0, 1000, "o.a")
    world.streams.delete(world.streams.find("O"))
    world.clock.advance(1)
    world.create("O")
    world.publish("o.a", b"of the new one")
    world.clock.settle()
    assert target.messages.message_count == 501


def test_a_mirror_keeps_sequences_and_times(world: StreamWorld) -> None:
    origin = world.create("O")
    for number in range(10):
        world.publish("o.a", b"%d" % number)
        world.clock.advance(1)
    origin.messages.remove([3, 4], "delete")
    mirror = world.create("M", subjects=[], duplicate_window=0, mirror=StreamSource(name="O"))
    world.clock.settle()
    theirs = [(one.sequence, one.time_ns, one.body) for one in origin.messages.read_many(range(1, 11))]
    assert [
        (one.sequence, one.time_ns, one.body) for one in mirror.messages.read_many(range(1, 11))
    ] == theirs


def test_a_work_queue_is_emptied_by_what_sources_it(world: StreamWorld) -> None:
    queue = world.create("Q", retention="workqueue")
    target = world.create("T", subjects=[], sources=[StreamSource(name="Q")])
    world.publish("q.a")
    world.clock.settle()
    assert (target.messages.message_count, queue.messages.message_count) == (1, 0)


def test_a_deleted_consumer_frees_what_only_it_wanted(world: StreamWorld) -> None:
    stream = world.create(retention="interest")
    for name in ("A", "B"):
        config = {"durable_name": name, "ack_policy": "explicit", "filter_subject": f"s.{name.lower()}"}
        world.request(f"CONSUMER.CREATE.S.{name}", {"stream_name": "S", "config": config})
    for _ in range(3000):
        world.publish("s.a")
    world.publish("s.b")
    world.clock.settle()
    assert stream.messages.message_count == 3001
    assert world.request("CONSUMER.DELETE.S.A") == {
        "type": "io.nats.jetstream.api.v1.consumer_delete_response",
        "success": True,
    }
    assert _subjects(stream) == [b"s.b"]


def test_advisories_tell_of_streams_and_requests(world: StreamWorld) -> None:
    world.listen(b"$JS.EVENT.ADVISORY.>")
    world.create()
    world.request("STREAM.UPDATE.S", {"name": "S", "storage": "memory", "subjects": ["s.b"]})
    world.request("STREAM.DELETE.S")
    subjects = [message[0].decode().removeprefix("$JS.EVENT.ADVISORY.") for message in world.heard]
    assert subjects == ["STREAM.CREATED.S", "STREAM.UPDATED.S", "API", "STREAM.DELETED.S", "API"]
    assert b'"action":"modify"' in world.heard[1][3]
    assert b'"subject":"$JS.API.STREAM.DELETE.S"' in world.heard[4][3]


def test_account_limits_bound_streams() -> None:
    world = StreamWorld(AccountLimits(max_streams=1, max_memory=1000, memory_max_stream_bytes=900))
    too_large = {"name": "S", "storage": "memory", "max_bytes": 950}
    assert world.request("STREAM.CREATE.S", too_large)["error"]["err_code"] == 10122
    assert "error" not in world.request("STREAM.CREATE.S", too_large | {"max_bytes": 800})
    assert world.request("STREAM.CREATE.T", {"name": "T", "storage": "memory"})["error"]["err_code"] == 10027
    world.streams.change_limits(AccountLimits(max_memory=1000))
    other = {"name": "T", "storage": "memory", "max_bytes": 300}
    assert world.request("STREAM.CREATE.T", other)["error"]["err_code"] == 10028
    shown = world.request("INFO")
    assert (shown["reserved_memory"], shown["streams"], shown["limits"]["max_memory"]) == (800, 1, 1000)
    assert shown["api"]["errors"] == 3


def test_an_account_without_jetstream_is_told_so(world: StreamWorld) -> None:
    heard: list[bytes] = []
    world.without.subscribe(b"reply", lambda messages, sender: heard.extend(one[3] for one in messages))
    world.without.publish((b"$JS.API.INFO", b"reply", 0, b""))
    world.without.publish((b"$JS.API.CONSUMER.MSG.NEXT.S.C", b"reply", 0, b""))
    assert heard == [
        b'{"type":"io.nats.jetstream.api.v1.account_info_response",'
        b'"error":{"code":503,"err_code":10039,"description":"JetStream not enabled for account"}}'
    ]
    assert not world.node.system_account.has_interest(b"$JS.API.INFO")
    world.service.enable(world.without)  # type: ignore[arg-type]
    world.without.publish((b"$JS.API.INFO", b"reply", 0, b""))
    assert len(heard) == 2
    assert b'"streams":0' in heard[-1]


def test_message_ids_are_forgotten_in_the_order_they_came() -> None:
    ids = MessageIds(10)
    ids.remember({b"a": 1}, 100)
    ids.remember({b"b": 2}, 105)
    ids.forget_old(109)
    assert ids.sequences == {b"a": 1, b"b": 2}
    ids.forget_old(110)
    assert ids.sequences == {b"b": 2}
    ids.remember({b"b": 3}, 111)
    ids.forget_old(116)
    assert ids.sequences == {b"b": 3}
    ids.forget_old(1000)
    assert len(ids) == 0


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"_INBOX.x.id.10.ok.1.0.$FI", (b"id", 10, True, 1, 0)),
        (b"_INBOX.x.id.0.fail.7.1.$FI", (b"id", 10, False, 7, 1)),
        (b"_INBOX.x.id.99999.ok.2.4.$FI", (b"id", 65535, True, 2, 4)),
        (b"_INBOX.x.id.10.ok.1.1.$FI", None),
        (b"_INBOX.x.id.10.maybe.1.0.$FI", None),
        (b"_INBOX.x.id.10.ok.1.5.$FI", None),
        (b"id.10.ok.1.0.$FI", None),
        (b".$FI", None),
    ],
)
def test_reply_subjects_of_fast_batches(reply: bytes, said: tuple[object, ...] | None) -> None:
    parsed = parse_reply(reply)
    found = None
    if parsed is not None:
        found = (parsed.batch_id, parsed.flow, parsed.gaps_allowed, parsed.sequence, parsed.operation)
    assert found == said
