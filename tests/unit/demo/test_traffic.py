"""The rhythm and the content of the sample traffic."""

from __future__ import annotations

import json
import time
from unittest.mock import Mock

import msgpack
import pytest
from google.protobuf.message import DecodeError

from memphis_desktop.demo import stations
from memphis_desktop.demo.payments import payment_class
from memphis_desktop.demo.traffic import Traffic, pace


@pytest.fixture
def traffic() -> Traffic:
    return Traffic(Mock(), seed=1)


async def test_pace_keeps_the_rate() -> None:
    start, events = time.monotonic(), 0
    async for count in pace(lambda _: 1000, ticks=50):
        events += count
        if events >= 300:
            break
    assert 0.25 <= time.monotonic() - start < 30


def test_orders_have_ids_beyond_javascript_and_headers(traffic: Traffic) -> None:
    seen = set()
    for _ in range(300):
        subject, body, headers = traffic._order_event()
        order = json.loads(body)
        assert order["order_id"] > 2**53
        assert order["order_id"] < 2**63
        assert headers is not None
        assert headers["Nats-Msg-Id"] not in seen
        seen.add(headers["Nats-Msg-Id"])
        assert subject.removeprefix(f"{stations.ORDERS}.") in stations.ORDER_EVENTS


def test_every_kind_of_order_event_occurs(traffic: Traffic) -> None:
    subjects = {traffic._order_event()[0] for _ in range(300)}
    assert subjects == {f"{stations.ORDERS}.{event}" for event in stations.ORDER_EVENTS}


def test_readings_are_msgpack_on_their_devices_subject(traffic: Traffic) -> None:
    subject, body, _ = traffic._reading()
    reading = msgpack.unpackb(body)
    assert subject == f"{stations.TELEMETRY}.{reading['device']}"
    assert reading["device"] in stations.DEVICES


def test_a_spoilt_payment_cannot_be_decoded(traffic: Traffic) -> None:
    for _ in range(500):
        payment_class().FromString(traffic._payment())
        with pytest.raises(DecodeError):
            payment_class().FromString(traffic._spoilt_payment())
