"""Start positions and names of consumers."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.stations.streaming import nats_streaming_pb2 as pb
from memphis_desktop.stations.streaming.channels import stream_of
from memphis_desktop.stations.streaming.feeds import ack_subject, parse_ack_subject
from memphis_desktop.stations.streaming.positions import Group, group_of, resumed_start, start_of

NOW = 1_700_000_000_123_456_789
ALL = {"deliver_policy": "all"}


def at(sequence: int) -> dict[str, object]:
    return {"deliver_policy": "by_start_sequence", "opt_start_seq": sequence}


@pytest.mark.parametrize(
    ("request_", "first", "last", "start"),
    [
        (pb.SubscriptionRequest(), 1, 0, at(1)),
        (pb.SubscriptionRequest(), 3, 9, at(10)),
        (pb.SubscriptionRequest(start_position=pb.LAST_RECEIVED), 1, 0, at(1)),
        (pb.SubscriptionRequest(start_position=pb.LAST_RECEIVED), 3, 9, at(9)),
        (pb.SubscriptionRequest(start_position=pb.LAST_RECEIVED), 10, 9, at(10)),
        (pb.SubscriptionRequest(start_position=pb.FIRST), 3, 9, ALL),
        (pb.SubscriptionRequest(start_position=pb.SEQUENCE_START), 3, 9, ALL),
        (pb.SubscriptionRequest(start_position=pb.SEQUENCE_START, start_sequence=2), 3, 9, ALL),
        (pb.SubscriptionRequest(start_position=pb.SEQUENCE_START, start_sequence=5), 3, 9, at(5)),
        (pb.SubscriptionRequest(start_position=pb.SEQUENCE_START, start_sequence=50), 3, 9, at(10)),
        (pb.SubscriptionRequest(start_position=pb.TIME_DELTA_START), 3, 9, at(10)),
        (pb.SubscriptionRequest(start_position=pb.TIME_DELTA_START, start_time_delta=-5), 3, 9, at(10)),
        (pb.SubscriptionRequest(start_position=pb.TIME_DELTA_START, start_time_delta=NOW), 3, 9, ALL),
        (
            pb.SubscriptionRequest(start_position=pb.TIME_DELTA_START, start_time_delta=3_600_000_000_000),
            3,
            9,
            {"deliver_policy": "by_start_time", "opt_start_time": "2023-11-14T21:13:20.123456789Z"},
        ),
    ],
)
def test_start_positions(
    request_: pb.SubscriptionRequest, first: int, last: int, start: dict[str, object]
) -> None:
    assert start_of(request_, first, last, NOW) == start


@given(
    st.sampled_from(range(5)),
    st.integers(0, 2**64 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**40),
    st.integers(0, 5),
)
def test_any_position_is_one(position: int, sequence: int, delta: int, last: int, behind: int) -> None:
    first = max(1, last + 1 - behind)
    request = pb.SubscriptionRequest(
        start_position=position,  # type: ignore[arg-type]
        start_sequence=sequence,
        start_time_delta=delta,
    )
    start = start_of(request, first, last, NOW)
    assert 1 <= start.get("opt_start_seq", 1) <= last + 1


texts = st.text(max_size=20)


@given(st.tuples(texts, texts, texts), st.tuples(texts, texts, texts))
def test_consumers_of_different_groups_have_different_names(one, other) -> None:
    def group(channel: str, queue: str, durable: str) -> Group:
        return Group(channel, "client", queue, durable)

    first, second = group(*one).consumer, group(*other).consumer
    assert (first == second) is (one == other)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,200}", first)


def test_which_requests_mean_the_same_consumer() -> None:
    def group(client: str, queue: str = "", durable: str = "", subscription: str = "1") -> Group:
        request = pb.SubscriptionRequest(
            client_id=client, channel="c", queue_group=queue, durable_name=durable
        )
        return group_of(request, subscription)

    assert group("a") != group("a", subscription="2")
    assert group("a", durable="d") == group("a", durable="d", subscription="2")
    assert group("a", durable="d") != group("b", durable="d")
    assert group("a", "q") == group("b", "q", subscription="2")
    assert group("a", "q", "d") == group("b", "q", "d")
    assert group("a", "q", "d") != group("a", "q")
    assert not group("a", "q").durable
    assert group("a", "q", "d").durable


def test_a_deleted_consumer_goes_on_where_it_was() -> None:
    assert resumed_start(5, 9) == at(6)
    assert resumed_start(0, 9) == ALL
    assert resumed_start(5, 2) == ALL  # the stream is another one


def test_ack_subjects_in_both_forms() -> None:
    assert parse_ack_subject("$JS.ACK.s.c.2.7.5.1700000000.3") == (2, 7, 1700000000)
    assert parse_ack_subject("$JS.ACK.domain.hash.s.c.2.7.5.1700000000.3.rnd") == (2, 7, 1700000000)
    assert parse_ack_subject(ack_subject("s", "c", 9))[1] == 9
    for bad in ("", "$JS.ACK", "a.b.c.d.e.f.g.h.i", "$JS.ACK.s.c.x.7.5.1.3"):
        with pytest.raises(ValueError):
            parse_ack_subject(bad)


@pytest.mark.parametrize(
    ("channel", "station", "stream"),
    [
        ("orders", "orders", "orders$1"),
        ("Orders.New", "orders.new", "orders#new$1"),
        ("foo:bar", "", "channel-foo=3a=bar"),
        ("foo_", "", "channel-foo_"),
        ("a.b:", "", "channel-a#b=3a="),
        ("größe", "", "channel-gr=c3b6==c39f=e"),
    ],
)
def test_channels_as_stations(channel: str, station: str, stream: str) -> None:
    assert stream_of(channel) == (station, stream)
