"""Push consumers: interest, heartbeats, flow control, pace."""

from __future__ import annotations

from memphis_desktop.broker.jetstream.config import ConsumerConfig
from memphis_desktop.broker.jetstream.consumer_push import WINDOW_LIMIT, WINDOW_START, Window
from memphis_desktop.broker.jetstream.typed_json import copy_record
from tests.unit.broker.jetstream.consumer_world import SECOND, World, numbers, sequences, statuses


def test_it_waits_for_interest_and_starts_when_it_comes() -> None:
    world = World()
    world.publish("s.a", "s.b")
    world.consume(deliver_subject="to")
    assert "push_bound" not in world.info()
    got = world.account.open(b"to")
    assert sequences(got) == [1, 2]
    assert world.info()["push_bound"]
    world.publish("s.c")
    assert sequences(got) == [1, 2, 3]
    world.account.shut(b"to")
    world.publish("s.d")
    assert world.info()["num_pending"] == 1
    assert sequences(world.account.open(b"to")) == [4]


def test_pull_requests_are_refused() -> None:
    world = World()
    world.consume(deliver_subject="to")
    assert statuses(world.pull()) == ["409 Consumer is push based"]


def test_idle_heartbeats_come_while_nothing_is_sent() -> None:
    world = World()
    world.consume(deliver_subject="to", idle_heartbeat=SECOND)
    got = world.account.open(b"to")
    world.clock.advance(0.9)
    world.publish("s.a")
    world.clock.advance(0.9)
    assert statuses(got) == []
    world.clock.advance(1.2)
    assert statuses(got) == ["100 Idle Heartbeat"] * 2
    assert b"Nats-Last-Consumer: 1\r\nNats-Last-Stream: 1\r\n\r\n" in got[-1][3]
    assert got[-1][1] == b""


def test_flow_control_stops_and_goes_on() -> None:
    world = World()
    world.publish(*["s.a"] * 60, body=b"x" * 100_000)
    world.consume(deliver_subject="to", idle_heartbeat=SECOND, flow_control=True, max_ack_pending=-1)
    got = world.account.open(b"to")
    world.clock.settle()
    sent = len(sequences(got))
    assert WINDOW_START < sent * 100_000 < WINDOW_START + 150_000
    requests = [m for m in got if m[3].startswith(b"NATS/1.0 100 FlowControl Request")]
    assert len(requests) == 1
    # It stands among the messages where half of the window was sent.
    assert 10 <= got.index(requests[0]) <= 12
    world.clock.advance(1.1)
    assert b"Nats-Consumer-Stalled: " + requests[0][1] in got[-1][3]
    world.account.send((b"$JS.FC.S.C.wrong", b"", 0, b""))
    assert len(sequences(got)) == sent
    world.account.send((requests[0][1], b"", 0, b""))
    world.clock.settle()
    assert len(sequences(got)) > sent


def test_the_window_grows_to_its_limit() -> None:
    window = Window()
    for number in range(10):
        assert window.add(window.size // 2 + 1)
        window.ask(b"%d" % number)
        assert window.answer(b"%d" % number)
        assert window.sent == 0
    assert window.size == WINDOW_LIMIT
    assert not window.answer(b"")


def test_a_rate_limit_is_kept() -> None:
    world = World(max_msg_size=1000)
    world.publish(*["s.a"] * 11, body=b"x" * 900)
    world.consume(deliver_subject="to", rate_limit_bps=8000)  # 1000 bytes a second, one second at once
    got = world.account.open(b"to")
    assert len(got) == 1
    world.clock.advance(4.6)
    assert 4 <= len(got) <= 6
    world.clock.advance(10)
    assert len(got) == 11


def test_replay_original_keeps_the_gaps() -> None:
    world = World()
    for gap in (0.0, 1.0, 0.0, 2.0):
        world.clock.advance(gap)
        world.publish("s.a")
    world.consume(deliver_subject="to", replay_policy="original")
    got = world.account.open(b"to")
    world.clock.settle()
    assert len(got) == 1
    world.clock.advance(1.01)
    assert len(got) == 3
    world.clock.advance(1.9)
    assert len(got) == 3
    world.clock.advance(0.2)
    assert len(got) == 4
    world.publish("s.a", "s.a")
    assert len(got) == 6


def test_redelivery_and_max_ack_pending() -> None:
    world = World()
    world.publish(*["s.a"] * 4)
    world.consume(deliver_subject="to", ack_wait=SECOND, max_ack_pending=2)
    got = world.account.open(b"to")
    assert sequences(got) == [1, 2]
    world.clock.advance(1.1)
    assert [numbers(m)[:2] for m in got[2:]] == [(2, 1), (2, 2)]
    world.answer(got[0])
    assert sequences(got)[4:] == [3]


def test_a_new_deliver_subject_gets_what_is_pending_again() -> None:
    world = World()
    world.publish("s.a")
    consumer = world.consume(deliver_subject="to")
    world.account.open(b"to")
    new: ConsumerConfig = copy_record(consumer.config)
    new.deliver_subject = "elsewhere"
    consumer.update(new)
    assert [numbers(m)[:2] for m in world.account.open(b"elsewhere")] == [(2, 1)]


def test_an_ephemeral_ends_when_its_reader_stays_away() -> None:
    world = World()
    world.consume(durable_name="", name="C", deliver_subject="to", ack_policy="none")
    world.account.open(b"to")
    world.clock.advance(60)
    world.account.shut(b"to")
    world.clock.advance(4.9)
    assert world.deleted == []
    world.account.open(b"to")
    world.clock.advance(10)
    world.account.shut(b"to")
    world.clock.advance(5.1)
    assert world.deleted == ["C"]


def test_what_a_reader_that_left_had_in_hand_keeps_no_ephemeral() -> None:
    world = World()
    world.publish("s.a")
    world.consume(durable_name="", name="C", deliver_subject="to", inactive_threshold=SECOND)
    world.account.open(b"to")
    world.clock.advance(5)
    assert world.deleted == []
    world.account.shut(b"to")
    world.clock.advance(1.1)  # far less than the ack wait
    assert world.deleted == ["C"]


def test_acks_by_flow_control() -> None:
    world = World()
    world.publish(*["s.a"] * 3)
    world.consume(deliver_subject="to", ack_policy="flow_control", max_ack_pending=10)
    got = world.account.open(b"to")
    world.clock.advance(1.1)
    request = got[-1]
    assert request[3].startswith(b"NATS/1.0 100 FlowControl Request")
    block = b"NATS/1.0\r\nNats-Last-Consumer: 2\r\nNats-Last-Stream: 2\r\n\r\n"
    world.account.send((request[1], b"", len(block), block))
    assert world.info()["num_ack_pending"] == 1
    assert world.info()["ack_floor"]["stream_seq"] == 2


def test_a_slow_reader_is_waited_for() -> None:
    world = World()
    world.publish(*["s.a"] * 2000)
    world.account.unsent[b"to"] = 100 << 20
    world.consume(deliver_subject="to", ack_policy="none")
    got = world.account.open(b"to")
    world.clock.advance(5)
    assert len(got) == 512
    world.account.unsent.clear()
    world.clock.advance(0.1)
    assert len(got) == 2000
