"""Priority groups: overflow, pinned clients, priorities."""

from __future__ import annotations

import json

import pytest

from memphis_desktop.broker.jetstream.errors import ApiError
from tests.unit.broker.jetstream.consumer_world import SECOND, World, sequences, statuses


def request(**fields: object) -> bytes:
    return json.dumps({"batch": 10, "expires": 60 * SECOND, "group": "A"} | fields).encode()


def grouped(policy: str, **config: object) -> World:
    world = World()
    world.consume(priority_groups=["A"], priority_policy=policy, **config)
    return world


def test_requests_must_name_a_group() -> None:
    world = grouped("overflow")
    assert statuses(world.pull("a", request(group=""))) == ["400 Bad Request - Priority Group missing"]
    assert statuses(world.pull("b", request(group="B"))) == ["400 Bad Request - Invalid Priority Group"]


def test_overflow_waits_for_its_thresholds() -> None:
    world = grouped("overflow")
    got = world.pull(body=request(min_pending=3))
    world.publish("s.a", "s.a")
    assert sequences(got) == []
    world.publish("s.a")
    assert sequences(got) == [1]
    other = world.pull("other", request(min_ack_pending=1))
    assert sequences(other) == [2, 3]


def test_the_pinned_client_gets_everything() -> None:
    world = grouped("pinned_client", priority_timeout=5 * SECOND)
    first = world.pull("first", request(batch=1))
    second = world.pull("second", request())
    world.publish("s.a", "s.b")
    pin = world.info()["priority_groups"][0]["pinned_client_id"]
    assert sequences(first) == [1]
    assert b"Nats-Pin-Id: " + pin.encode() in first[0][3]
    assert sequences(second) == []
    world.pull("first", request(id=pin))
    assert sequences(first) == [1, 2]
    assert statuses(world.pull("wrong", request(id="other"))) == ["423 Nats-Pin-Id mismatch"]
    world.clock.advance(5.1)
    world.publish("s.c", "s.d")
    # Its request still shows the old id, which is of no use any more.
    assert statuses(first) == ["423 Nats-Wrong-Pin-Id"]
    assert sequences(second) == [3, 4]
    events = [(kind, fields.get("reason")) for kind, _, fields in world.advisories]
    assert events == [
        ("consumer_group_pinned", None),
        ("consumer_group_unpinned", "timeout"),
        ("consumer_group_pinned", None),
    ]


def test_unpinning() -> None:
    world = grouped("pinned_client")
    first = world.pull("first", request())
    second = world.pull("second", request())
    world.publish("s.a")
    assert sequences(first) == [1]
    world.consumer.unpin("A")  # type: ignore[union-attr]
    assert world.advisories[-1][2]["reason"] == "admin"
    world.publish("s.b")
    assert sequences(second) == [2]
    with pytest.raises(ApiError) as caught:
        world.consumer.unpin("B")  # type: ignore[union-attr]
    assert caught.value.err_code == 10160


def test_lower_numbers_come_first() -> None:
    world = grouped("prioritized")
    late = world.pull("late", request(priority=5))
    one = world.pull("one", request(priority=1, batch=2))
    two = world.pull("two", request(priority=1, batch=1))
    world.publish(*["s.a"] * 4)
    assert sequences(one) == [1, 3]
    assert sequences(two) == [2]
    assert sequences(late) == [4]
