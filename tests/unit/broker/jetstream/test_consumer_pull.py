"""Pull consumers: requests, statuses, acks, redelivery."""

from __future__ import annotations

import json

import pytest

from tests.unit.broker.jetstream.consumer_world import SECOND, World, ack_run, numbers, sequences, statuses


def request(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def test_a_batch_is_served_in_one_go() -> None:
    world = World()
    world.publish(*[f"s.{n}" for n in range(10)])
    world.consume()
    got = world.pull(body=request(batch=4))
    assert [numbers(m) for m in got] == [(1, 1, 1, 9), (1, 2, 2, 8), (1, 3, 3, 7), (1, 4, 4, 6)]
    assert [m[0] for m in got] == [b"s.0", b"s.1", b"s.2", b"s.3"]
    assert got[0][1].startswith(b"$JS.ACK.S.C.1.1.1.")
    info = world.info()
    assert info["num_pending"] == 6
    assert info["num_ack_pending"] == 4
    assert info["delivered"]["consumer_seq"] == 4
    assert info["num_waiting"] == 0


def test_a_request_waits_for_messages_to_come() -> None:
    world = World()
    world.consume()
    got = world.pull(body=request(batch=2, expires=5 * SECOND))
    assert world.info()["num_waiting"] == 1
    world.publish("s.a")
    assert sequences(got) == [1]
    world.clock.advance(4.9)
    assert statuses(got) == []
    world.clock.advance(0.2)
    assert statuses(got) == ["408 Request Timeout"]
    assert b"Nats-Pending-Messages: 1\r\nNats-Pending-Bytes: 0\r\n" in got[-1][3]
    assert world.info()["num_waiting"] == 0


def test_messages_that_are_not_durable_wait() -> None:
    world = World()
    world.consume()
    got = world.pull(body=request(batch=5, expires=SECOND))
    world.publish("s.a", "s.b", visible=False)
    assert world.info()["num_pending"] == 2
    assert sequences(got) == []
    world.hidden = 1
    world.consumer.messages_visible(1, 1)  # type: ignore[union-attr]
    assert sequences(got) == [1]


def test_no_wait_waits_for_what_is_on_its_way_to_the_disk() -> None:
    world = World()
    world.consume()
    world.publish("s.a", visible=False)
    got = world.pull(body=request(batch=5, no_wait=True))
    assert got == []
    world.hidden = 0
    world.consumer.messages_visible(1, 1)  # type: ignore[union-attr]
    assert sequences(got) == [1]
    assert statuses(got) == ["404 No Messages"]


def test_requests_take_turns_message_by_message() -> None:
    world = World()
    world.consume()
    first = world.pull("one", request(batch=3, expires=SECOND))
    second = world.pull("two", request(batch=3, expires=SECOND))
    world.publish(*["s.a"] * 4)
    assert sequences(first) == [1, 3]
    assert sequences(second) == [2, 4]


@pytest.mark.parametrize(
    ("body", "count"), [(b"", 1), (b"3", 3), (b"{}", 1), (request(batch=0), 1), (b"what", 1), (b"-2", 1)]
)
def test_how_many_messages_a_body_asks_for(body: bytes, count: int) -> None:
    world = World()
    world.publish(*["s.a"] * 5)
    world.consume()
    got = world.pull(body=body)
    assert sequences(got) == list(range(1, count + 1))
    assert world.info()["num_waiting"] == 0


def test_no_wait_takes_what_is_there() -> None:
    world = World()
    world.consume()
    assert statuses(world.pull("a", request(batch=3, no_wait=True))) == ["404 No Messages"]
    world.publish("s.a", "s.b")
    got = world.pull("b", request(batch=3, no_wait=True))
    assert sequences(got) == [1, 2]
    assert statuses(got) == ["404 No Messages"]


def test_no_wait_with_expires_waits_for_the_first_message_only() -> None:
    world = World()
    world.consume()
    got = world.pull(body=request(batch=3, no_wait=True, expires=SECOND))
    assert got == []
    world.publish("s.a")
    assert sequences(got) == [1]
    assert statuses(got) == ["404 No Messages"]


def test_no_wait_is_refused_when_others_claim_more_than_there_is() -> None:
    world = World()
    world.consume(max_ack_pending=1)
    world.publish("s.a", "s.b")
    first = world.pull("one", request(batch=10, expires=SECOND))
    assert sequences(first) == [1]
    assert statuses(world.pull("two", request(batch=1, no_wait=True))) == ["408 Requests Pending"]


def test_max_bytes_ends_a_request() -> None:
    world = World()
    world.publish(*["s.a"] * 5, body=b"x" * 100)
    world.consume()
    got = world.pull(body=request(batch=5, max_bytes=350))
    assert sequences(got) == [1, 2]
    assert statuses(got) == ["409 Message Size Exceeds MaxBytes"]
    assert b"Nats-Pending-Messages: 3\r\n" in got[-1][3]
    whole = world.pull("two", request(batch=2, max_bytes=10_000))
    assert sequences(whole) == [3, 4]
    assert statuses(whole) == ["409 Batch Completed"]
    assert b"Nats-Pending-Messages: 0\r\n" in whole[-1][3]


def test_idle_heartbeats() -> None:
    world = World()
    world.consume()
    got = world.pull(body=request(batch=5, expires=3 * SECOND, idle_heartbeat=SECOND))
    world.clock.advance(0.8)
    world.publish("s.a")
    world.clock.advance(0.9)
    assert statuses(got) == []
    world.clock.advance(0.2)
    assert statuses(got) == ["100 Idle Heartbeat"]
    assert b"Nats-Last-Consumer: 1\r\nNats-Last-Stream: 1\r\n" in got[-1][3]


@pytest.mark.parametrize(
    ("config", "body", "expected"),
    [
        ({}, request(expires=SECOND, idle_heartbeat=SECOND), "400 Bad Request - heartbeat value too large"),
        ({"max_batch": 2}, request(batch=3), "409 Exceeded MaxRequestBatch of 2"),
        ({"max_expires": SECOND}, request(expires=2 * SECOND), "409 Exceeded MaxRequestExpires of 1s"),
        ({"max_bytes": 10}, request(max_bytes=11), "409 Exceeded MaxRequestMaxBytes of 10"),
        ({}, request(id="x"), "400 Bad Request - Not a Pinned Client Priority consumer"),
        ({}, request(min_pending=1), "400 Bad Request - Not a Overflow Priority consumer"),
        ({}, request(priority=10), "400 Bad Request - Priority must be between 0 and 9"),
        ({}, b"{", "400 Bad Request - unexpected end of JSON input"),
    ],
)
def test_refused_requests(config: dict[str, object], body: bytes, expected: str) -> None:
    world = World()
    world.consume(**config)
    got = world.pull(body=body)
    assert statuses(got) == [expected]
    assert world.info()["num_waiting"] == 0


def test_a_full_queue() -> None:
    world = World()
    world.consume(max_waiting=1)
    world.pull("one", request(expires=5 * SECOND))
    assert statuses(world.pull("two", request(expires=SECOND))) == ["409 Exceeded MaxWaiting"]
    assert world.pull("three", request(expires=2 * SECOND, idle_heartbeat=SECOND)) == []


def test_a_request_whose_reader_left_uses_up_no_message() -> None:
    world = World()
    world.consume()
    world.pull("gone", request(batch=2, expires=SECOND))
    world.account.shut(b"gone")
    got = world.pull("here", request(batch=2, expires=SECOND))
    world.publish("s.a", "s.b")
    assert sequences(got) == [1, 2]
    assert world.info()["num_waiting"] == 0


def test_acks_in_one_chunk_are_answered_when_on_disk() -> None:
    world = World(retention="workqueue")
    world.publish(*["s.a"] * 4)
    world.consume()
    got = world.pull(body=b"4")
    world.account.send(*[(m[1], b"reply.%d" % n, 0, b"+ACK") for n, m in enumerate(got[:3])])
    assert world.info()["num_ack_pending"] == 1
    assert world.info()["ack_floor"]["stream_seq"] == 3
    assert world.done == [1, 2, 3]
    assert world.account.published == []
    world.journal.sync()
    assert [m[0] for m in world.account.published] == [b"reply.0", b"reply.1", b"reply.2"]


def test_many_acks_of_which_some_are_strange() -> None:
    world = World()
    world.publish(*["s.a"] * 40)
    world.consume(max_deliver=1, ack_wait=SECOND)
    got = world.pull(body=b"2")
    world.clock.advance(1.1)
    assert world.info()["num_ack_pending"] == 0
    got += world.pull("more", b"30")
    again = [(message[1], b"", 0, b"") for message in got]
    world.account.send(*again[:20], *again[:5])
    assert world.info()["num_ack_pending"] == 12
    assert world.journal.state is not None
    assert world.journal.state.exhausted == {}
    world.account.send(
        *again[20:31], (b"$JS.ACK.S.C.1.32", b"", 0, b""), (b"$JS.ACK.S.C.1.x.1.1.1", b"", 0, b"")
    )
    assert world.info()["num_ack_pending"] == 1
    world.account.send(*[again[31]] * 9, *[(b"$JS.ACK.S.C.1.39.39.1.1", b"", 0, b"")] * 3)
    info = world.info()
    assert (info["num_ack_pending"], info["ack_floor"]["stream_seq"]) == (0, 32)


def test_acks_in_bulk() -> None:
    world = World(retention="workqueue")
    world.publish(*["s.a"] * 60)
    world.consume(max_ack_pending=40)
    got = world.pull(body=b"60")
    assert len(got) == 40
    world.account.acknowledge(ack_run(got[10:30]))
    assert world.info()["num_ack_pending"] == 40  # 20 more were delivered at once
    assert world.info()["ack_floor"]["stream_seq"] == 0
    assert sequences(got)[40:] == list(range(41, 61))
    world.account.acknowledge(ack_run(got[:20]))
    assert world.info()["ack_floor"]["stream_seq"] == 30
    assert world.done == [*range(11, 31), *range(1, 11)]
    assert world.restart().info()["num_ack_pending"] == 30
    world.clock.advance(31)
    assert sequences(world.pull("more", b"60")) == list(range(31, 61))


def test_late_acks_in_bulk() -> None:
    world = World()
    world.publish(*["s.a"] * 20)
    world.consume(max_deliver=1, ack_wait=SECOND)
    got = world.pull(body=b"20")
    world.clock.advance(1.1)
    assert world.info()["num_ack_pending"] == 0
    assert world.journal.state is not None
    assert len(world.journal.state.exhausted) == 20
    world.account.acknowledge(ack_run(got[:15]))
    assert len(world.journal.state.exhausted) == 5


@pytest.mark.parametrize(("config", "left"), [({"ack_policy": "all"}, 0), ({"sample_freq": "100%"}, 8)])
def test_acks_in_bulk_for_which_each_message_counts(config: dict[str, str], left: int) -> None:
    world = World()
    world.publish(*["s.a"] * 20)
    world.consume(**config)
    got = world.pull(body=b"20")
    world.account.acknowledge(ack_run(got[8:]))
    assert world.info()["num_ack_pending"] == left
    assert len(world.metrics) == (12 if left else 0)


def test_acks_out_of_order_and_floors() -> None:
    world = World()
    world.publish(*["s.a"] * 4)
    world.consume()
    got = world.pull(body=b"4")
    world.answer(got[2])
    assert world.info()["ack_floor"]["stream_seq"] == 0
    world.answer(got[0])
    assert world.info()["ack_floor"]["consumer_seq"] == 1
    world.answer(got[1], b"+OK")
    assert world.info()["ack_floor"]["stream_seq"] == 3
    world.answer(got[3])
    assert world.info()["ack_floor"]["stream_seq"] == 4


def test_ack_policy_all() -> None:
    world = World(retention="interest")
    world.publish(*["s.a"] * 4)
    world.consume(ack_policy="all")
    got = world.pull(body=b"4")
    world.answer(got[2], reply=b"r")
    world.journal.sync()
    assert world.info()["num_ack_pending"] == 1
    assert world.info()["ack_floor"] | {"last_active": ""} == {
        "consumer_seq": 3,
        "stream_seq": 3,
        "last_active": "",
    }
    assert world.done == [1, 2, 3]
    assert len(world.account.published) == 1


def test_ack_policy_none_counts_as_acked() -> None:
    world = World(retention="interest")
    world.publish("s.a", "s.b")
    world.consume(ack_policy="none")
    world.pull(body=b"2")
    assert world.info()["num_ack_pending"] == 0
    assert world.info()["ack_floor"]["stream_seq"] == 2
    assert world.done == [1, 2]
    assert world.restart().info()["delivered"]["stream_seq"] == 2


def test_an_unacked_message_comes_again_after_its_wait_and_never_before() -> None:
    world = World()
    world.publish("s.a", "s.b")
    world.consume(ack_wait=2 * SECOND)
    world.pull(body=b"2")
    got = world.pull("again", request(batch=9, expires=60 * SECOND))
    world.clock.advance(1.999)
    assert sequences(got) == []
    world.clock.advance(0.01)
    assert [numbers(m)[:3] for m in got] == [(2, 1, 3), (2, 2, 4)]
    assert world.info()["num_redelivered"] == 2
    world.answer(got[0])
    assert world.info()["num_redelivered"] == 1
    assert world.info()["ack_floor"]["stream_seq"] == 1


def test_nak_and_its_delay() -> None:
    world = World()
    world.publish("s.a", "s.b", "s.c")
    world.consume()
    got = world.pull(body=request(batch=9, expires=60 * SECOND))
    world.answer(got[1], b"-NAK")
    assert numbers(got[-1])[:2] == (2, 2)
    world.answer(got[0], b"-NAK 5s")
    world.answer(got[2], b'-NAK {"delay": 7000000000}')
    world.clock.advance(4.9)
    assert len(got) == 4
    world.clock.advance(0.2)
    assert numbers(got[-1])[:2] == (2, 1)
    world.clock.advance(2)
    assert numbers(got[-1])[:2] == (2, 3)
    assert [a[0] for a in world.advisories] == ["nak"] * 3


def test_in_progress_starts_the_wait_again() -> None:
    world = World()
    world.publish("s.a")
    world.consume(ack_wait=2 * SECOND)
    got = world.pull(body=request(batch=2, expires=60 * SECOND))
    world.clock.advance(1.5)
    world.answer(got[0], b"+WPI")
    world.clock.advance(1.5)
    assert len(got) == 1
    world.clock.advance(0.6)
    assert numbers(got[-1])[:2] == (2, 1)


def test_term_ends_a_message() -> None:
    world = World()
    world.publish("s.a")
    world.consume(ack_wait=SECOND)
    got = world.pull(body=request(batch=2, expires=60 * SECOND))
    world.answer(got[0], b"+TERM no use", b"r")
    world.journal.sync()
    world.clock.advance(5)
    assert len(got) == 1
    kind, subject, fields = world.advisories[0]
    assert (kind, subject, fields["reason"]) == ("terminated", "CONSUMER.MSG_TERMINATED.S.C", "no use")
    assert len(world.account.published) == 1
    assert world.info()["num_ack_pending"] == 0


def test_next_acks_and_asks_for_more() -> None:
    world = World()
    world.publish(*["s.a"] * 4)
    world.consume()
    got = world.pull()
    more = world.account.open(b"more")
    world.answer(got[0], b"+NXT 2", b"more")
    assert sequences(more) == [2, 3]
    assert world.info()["ack_floor"]["stream_seq"] == 1


def test_backoff_and_max_deliver() -> None:
    world = World()
    world.publish("s.a")
    world.consume(backoff=[SECOND, 3 * SECOND], max_deliver=3)
    got = world.pull(body=request(batch=9, expires=60 * SECOND))
    world.clock.advance(1.01)
    assert [numbers(m)[0] for m in got] == [1, 2]
    world.clock.advance(2.9)
    assert len(got) == 2
    world.clock.advance(0.2)
    assert [numbers(m)[0] for m in got] == [1, 2, 3]
    assert world.advisories == []
    world.clock.advance(3.1)
    assert len(got) == 3
    fields = {"stream": "S", "consumer": "C", "stream_seq": 1, "deliveries": 3}
    assert world.advisories == [("max_deliver", "CONSUMER.MAX_DELIVERIES.S.C", fields)]
    info = world.info()
    assert (info["num_ack_pending"], info["num_redelivered"]) == (0, 1)
    assert world.consumer.wants(1, b"s.a")  # type: ignore[union-attr]
    info = world.restart().info()
    assert (info["num_ack_pending"], info["num_redelivered"]) == (0, 1)


def test_max_ack_pending_holds_new_messages_back() -> None:
    world = World()
    world.publish(*["s.a"] * 5)
    world.consume(max_ack_pending=2, ack_wait=SECOND)
    got = world.pull(body=request(batch=9, expires=60 * SECOND))
    assert sequences(got) == [1, 2]
    world.answer(got[0])
    assert sequences(got) == [1, 2, 3]
    world.clock.advance(1.1)
    assert sequences(got) == [1, 2, 3, 2, 3]


def test_everything_is_restored_after_a_kill() -> None:
    world = World()
    world.publish(*["s.a"] * 6)
    world.consume(ack_wait=4 * SECOND, max_deliver=5)
    got = world.pull(body=b"5")
    world.answer(got[0])
    world.answer(got[2])
    world.clock.advance(4.1)
    world.pull("again", b"1")
    before = world.info()
    world.clock.advance(1)
    world.restart()
    after = world.info()
    for info in (before, after):
        info["ack_floor"].pop("last_active", None)
    for key in ("delivered", "ack_floor", "num_ack_pending", "num_redelivered", "num_pending"):
        assert after[key] == before[key]
    rest = world.pull("rest", request(batch=9, expires=60 * SECOND))
    # 4 and 5 had run out before the kill; 2 was redelivered one second before it.
    assert sorted(numbers(m)[:2] for m in rest) == [(1, 6), (2, 4), (2, 5)]
    world.clock.advance(2.9)
    assert len(rest) == 3
    world.clock.advance(0.2)
    assert numbers(rest[-1])[:2] == (3, 2)


def test_a_nak_before_a_kill_is_not_forgotten() -> None:
    world = World()
    world.publish("s.a", "s.b")
    world.consume()
    got = world.pull(body=b"2")
    world.answer(got[0], b"-NAK")
    world.answer(got[1], b"-NAK 10s")
    world.restart()
    rest = world.pull("rest", request(batch=9, expires=60 * SECOND))
    world.clock.advance(0.1)
    assert sequences(rest) == [1]
    world.clock.advance(10)
    assert sequences(rest) == [1, 2]


def test_deletes_and_purges() -> None:
    world = World()
    world.publish(*["s.a", "s.b"] * 5)
    world.consume(filter_subject="s.a")
    got = world.pull(body=b"2")
    assert [numbers(m)[3] for m in got] == [4, 3]
    world.messages.remove([3, 7, 8], "delete")
    assert world.info()["num_pending"] == 2
    assert world.info()["num_ack_pending"] == 1
    assert world.advisories[0][2]["reason"] == "Unacknowledged message was deleted"
    world.messages.purge(below=9)
    world.consumer.purged()  # type: ignore[union-attr]
    info = world.info()
    assert (info["num_pending"], info["num_ack_pending"]) == (1, 0)
    assert info["ack_floor"]["stream_seq"] == 8
    assert sequences(world.pull("rest", b"5")) == [9]


def test_an_unused_consumer_goes_away() -> None:
    world = World()
    world.publish("s.a")
    world.consume(durable_name="", name="C", inactive_threshold=2 * SECOND, ack_wait=3 * SECOND)
    world.clock.advance(1.9)
    world.pull(body=request(batch=1))
    world.clock.advance(4.9)
    assert world.deleted == []  # its message may still be acked, then the threshold begins
    world.clock.advance(1.2)
    assert world.deleted == ["C"]


def test_a_waiting_request_keeps_a_consumer_alive() -> None:
    world = World()
    world.consume(durable_name="", name="C", inactive_threshold=SECOND)
    got = world.pull(body=request(batch=1, expires=30 * SECOND))
    world.clock.advance(29)
    assert world.deleted == []
    world.clock.advance(4)
    assert world.deleted == ["C"]
    assert statuses(got) == ["408 Request Timeout"]


def test_deletion_and_shutdown_tell_who_waits() -> None:
    world = World()
    consumer = world.consume()
    got = world.pull(body=request(batch=7, expires=30 * SECOND))
    consumer.stop(deleted=True)
    assert statuses(got) == ["409 Consumer Deleted"]
    world = World()
    consumer = world.consume()
    got = world.pull(body=request(batch=7, expires=30 * SECOND))
    consumer.stop(deleted=False)
    assert statuses(got) == ["409 Server Shutdown"]
    assert b"Nats-Pending-Messages: 7\r\n" in got[-1][3]


def test_last_per_subject() -> None:
    world = World()
    world.publish("s.a", "s.b", "s.a", "s.c", "s.b")
    world.consume(deliver_policy="last_per_subject", filter_subject="s.>")
    world.publish("s.a")
    assert world.info()["num_pending"] == 4
    got = world.pull(body=b"2")
    assert [numbers(m)[1::2] for m in got] == [(3, 3), (4, 2)]
    world.restart()
    assert world.info()["num_pending"] == 2
    assert sequences(world.pull("rest", b"9")) == [5, 6]


def test_pausing() -> None:
    world = World()
    consumer = world.consume()
    consumer.pause(world.clock.time_ns() + 5 * SECOND)
    got = world.pull(body=request(batch=2, expires=20 * SECOND))
    world.publish("s.a")
    assert got == []
    assert world.info()["paused"]
    assert world.info()["pause_remaining"] == 5 * SECOND
    world.clock.advance(5.1)
    assert sequences(got) == [1]
    assert [fields["paused"] for _, _, fields in world.advisories] == [True, False]


def test_a_large_batch_is_spread_over_turns_and_waits_for_a_slow_reader() -> None:
    world = World()
    world.publish(*["s.a"] * 3000)
    world.consume(max_ack_pending=-1)
    world.account.unsent[b"in"] = 100 << 20
    got = world.pull(body=request(batch=3000, expires=60 * SECOND))
    assert len(got) == 512
    world.clock.advance(5)
    assert len(got) == 512
    world.account.unsent.clear()
    world.clock.advance(1)
    assert sequences(got) == list(range(1, 3001))


def test_a_slow_reader_does_not_hold_up_the_others() -> None:
    world = World()
    world.consume(max_ack_pending=-1)
    world.account.unsent[b"slow"] = 100 << 20
    slow = world.pull("slow", request(batch=1000, expires=60 * SECOND))
    quick = world.pull("quick", request(batch=1000, expires=60 * SECOND))
    for _ in range(10):
        world.publish(*["s.a"] * 40)
        world.clock.advance(0.01)
    assert len(slow) < 50
    assert len(slow) + len(quick) == 400
    world.account.unsent.clear()
    world.publish("s.a", "s.a")
    assert len(slow) + len(quick) == 402


def test_headers_only() -> None:
    world = World()
    world.messages.append([(b"s.a", 0, b"12345"), (b"s.a", 16, b"NATS/1.0\r\nA: b\r\n\r\n12")], 1)
    world.consume(headers_only=True)
    got = world.pull(body=b"2")
    assert got[0][2:] == (len(got[0][3]), b"NATS/1.0\r\nNats-Msg-Size: 5\r\n\r\n")


def test_acks_of_the_long_form() -> None:
    world = World()
    world.publish("s.a")
    consumer = world.consume()
    got = world.pull()
    tail = got[0][1].removeprefix(b"$JS.ACK.S.C.")
    world.account.send((consumer.acks.long_prefix + tail + b".more", b"", 0, b""))
    assert world.info()["num_ack_pending"] == 0


def test_sampled_acks() -> None:
    world = World()
    world.publish("s.a")
    world.consume(sample_freq="100%")
    got = world.pull()
    world.clock.advance(0.5)
    world.answer(got[0])
    kind, subject, fields = world.metrics[0]
    assert (kind, subject) == ("consumer_ack", "CONSUMER.ACK.S.C")
    assert fields["ack_time"] == SECOND // 2
