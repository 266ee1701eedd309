"""The messages of NATS Streaming: what is accepted, what is refused, and in whose words."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.inspect.decode.proto_parser import parse_proto
from memphis_desktop.stations.streaming import checks, wire
from memphis_desktop.stations.streaming import nats_streaming_pb2 as pb
from memphis_desktop.stations.streaming.publishing import headers_of
from memphis_desktop.stations.streaming.wire import StreamingError

PROTO = Path(__file__).parents[4] / "resources" / "proto" / "nats_streaming.proto"
REQUESTS = [
    checks.connect_request,
    checks.subscription_request,
    lambda data: checks.publish_request(data, "orders"),
    lambda data: wire.decode(pb.UnsubscribeRequest, data, "refused"),
    lambda data: wire.decode(pb.CloseRequest, data, "refused"),
    lambda data: wire.decode(pb.Ack, data, "refused"),
    lambda data: wire.decode(pb.Ping, data, "refused"),
]


def test_the_generated_code_is_that_of_the_proto_file() -> None:
    """Somebody who changes the file runs ``dev.py proto``, too."""
    wanted = parse_proto(PROTO.read_text(), PROTO.name)
    assert pb.DESCRIPTOR.package == wanted.package
    assert set(pb.DESCRIPTOR.message_types_by_name) == {message.name for message in wanted.message_type}
    for message in wanted.message_type:
        fields = pb.DESCRIPTOR.message_types_by_name[message.name].fields
        assert {(field.name, field.number) for field in fields} == {
            (field.name, field.number) for field in message.field
        }
    assert [value.name for value in wanted.enum_type[0].value] == pb.StartPosition.keys()


@pytest.mark.parametrize("read", REQUESTS)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(read, data: bytes) -> None:
    with contextlib.suppress(StreamingError):
        read(data)


@given(data=st.binary(max_size=100), cut=st.integers(0, 100), flip=st.integers(0, 799))
def test_a_damaged_publish_is_read_or_refused(data: bytes, cut: int, flip: int) -> None:
    whole = bytearray(
        pb.PublishRequest(client_id="me", guid="g", channel="orders", data=data).SerializeToString()
    )
    whole[flip // 8 % len(whole)] ^= 1 << flip % 8
    damaged = bytes(whole[: max(1, len(whole) - cut)])
    with contextlib.suppress(StreamingError):
        assert checks.publish_request(damaged, "orders").channel == "orders"
    assert isinstance(checks.guid_of(damaged), str)


@given(st.text(max_size=30))
def test_a_valid_channel_can_be_part_of_a_subject(name: str) -> None:
    if checks.channel_is_valid(name):
        assert not set(name) & set(" \t\r\n\0*>/")
        assert "" not in name.split(".")


@given(st.text(alphabet="ab.$*> \r\n_STAN", max_size=20))
def test_a_safe_inbox_is_a_literal_subject(subject: str) -> None:
    if checks.inbox_is_safe(subject):
        assert not subject.startswith("$")
        assert not set(subject) & set("*> \r\n")
        assert "" not in subject.split(".")


@pytest.mark.parametrize(
    ("subject", "safe"),
    [
        ("_INBOX.abc", True),
        ("_STAN.acks.guid", True),
        ("inbox", True),
        ("", False),
        ("$JS.API.STREAM.DELETE.orders", False),
        ("$SYS.REQ.SERVER.PING", False),
        ("_STAN.close.test-cluster.requests", False),
        ("_STAN", False),
        ("a b", False),
        ("a\r\nPUB x 0\r\n", False),
        ("a.*", False),
        ("a..b", False),
        ("x" * 2000, False),
    ],
)
def test_where_answers_may_go(subject: str, safe: bool) -> None:
    assert checks.inbox_is_safe(subject) is safe


def subscription(**changes: object) -> bytes:
    fields: dict[str, object] = {
        "client_id": "me", "channel": "orders", "inbox": "_INBOX.1", "max_in_flight": 1, "ack_wait": 30,
    }  # fmt: skip
    return pb.SubscriptionRequest(**(fields | changes)).SerializeToString()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\xff", "stan: invalid subscription request"),
        (subscription(client_id=""), "stan: clientID missing"),
        (subscription(ack_wait=0), "stan: invalid ack wait time, should be >= 1s"),
        (subscription(ack_wait=-5), "stan: invalid ack wait time, should be >= 1s"),
        (subscription(max_in_flight=0), "stan: invalid MaxInflight, should be >= 1"),
        (subscription(channel=""), "stan: invalid subject"),
        (subscription(channel="a.>"), "stan: invalid subject"),
        (subscription(channel=".a"), "stan: invalid subject"),
        (subscription(channel="a/b"), "stan: invalid subject"),
        (subscription() + b"\x50\x09", "stan: invalid start position"),
        (subscription(inbox=""), "stan: invalid subscription request"),
        (subscription(inbox="$JS.API.STREAM.PURGE.x"), "stan: invalid subscription request"),
    ],
)
def test_refused_subscriptions(data: bytes, error: str) -> None:
    with pytest.raises(StreamingError) as caught:
        checks.subscription_request(data)
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (pb.ConnectRequest(client_id="me"), wire.INVALID_CONNECT_REQUEST),
        (pb.ConnectRequest(client_id="me", heartbeat_inbox="$SYS.x"), wire.INVALID_CONNECT_REQUEST),
        (pb.ConnectRequest(client_id="", heartbeat_inbox="_INBOX.1"), wire.INVALID_CLIENT_ID),
        (pb.ConnectRequest(client_id="a.b", heartbeat_inbox="_INBOX.1"), wire.INVALID_CLIENT_ID),
    ],
)
def test_refused_connections(request_: pb.ConnectRequest, error: str) -> None:
    with pytest.raises(StreamingError) as caught:
        checks.connect_request(request_.SerializeToString())
    assert str(caught.value) == error


def test_a_message_for_another_channel_than_its_subject_is_refused() -> None:
    data = pb.PublishRequest(client_id="me", guid="1", channel="other").SerializeToString()
    with pytest.raises(StreamingError):
        checks.publish_request(data, "orders")
    assert checks.guid_of(data) == "1"


@given(st.binary(max_size=30), st.text(max_size=10), st.text(max_size=10))
def test_no_line_of_a_header_comes_from_a_client(connection: bytes, guid: str, reply: str) -> None:
    request = pb.PublishRequest(
        client_id="me", guid=guid, channel="orders", connection_id=connection, reply=reply
    )
    with contextlib.suppress(StreamingError):
        checked = checks.publish_request(request.SerializeToString(), "orders")
        for value in headers_of("me", checked).values():
            assert not set(value) & set("\r\n\0")


def test_ping_settings_are_echoed_to_clients_that_know_pings() -> None:
    subjects = wire.Subjects("c")
    old = pb.ConnectResponse.FromString(wire.connect_response(subjects, pb.ConnectRequest(ping_interval=5)))
    assert old.ping_requests == ""
    request = pb.ConnectRequest(protocol=1, ping_interval=5, ping_max_out=3)
    new = pb.ConnectResponse.FromString(wire.connect_response(subjects, request))
    assert (new.ping_interval, new.ping_max_out, new.ping_requests) == (5, 3, "_STAN.discover.c.pings")


def test_answers_without_an_error_can_be_empty() -> None:
    """So they must never go to a subject that means something when it is empty; see `inbox_is_safe`."""
    assert wire.ping_response() == b""
    assert wire.subscription_response() == b""


@given(st.integers(1, 2**63), st.binary(max_size=50), st.integers(0, 5))
def test_delivered_messages_come_back(sequence: int, data: bytes, redeliveries: int) -> None:
    raw = wire.delivered_message(sequence, "orders", "", data, 5, redeliveries)
    message = pb.DeliveredMessage.FromString(raw)
    assert (message.sequence, message.data, message.timestamp) == (sequence, data, 5)
    assert (message.redelivered, message.redelivery_count) == (redeliveries > 0, redeliveries)
