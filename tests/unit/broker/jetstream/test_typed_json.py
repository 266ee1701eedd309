"""Strict JSON requests: what they become, and the sentences for those that are refused."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.broker.jetstream.config import (
    ConsumerConfig,
    CreateConsumerRequest,
    StreamConfig,
    StreamConfigRequest,
)
from memphis_desktop.broker.jetstream.json_syntax import InvalidJson
from memphis_desktop.broker.jetstream.requests import MessageGetRequest
from memphis_desktop.broker.jetstream.typed_json import (
    copy_record,
    encode_json,
    from_json,
    lenient_from_json,
    to_json,
)

# Taken from nats-server 2.15.1.
_WRONG_STREAMS = [
    (b'{"name":"S","foo":1}', 'json: unknown field "foo"'),
    (
        b'{"max_msgs":"x","foo":1}',
        "json: cannot unmarshal string into Go struct field StreamConfigRequest.max_msgs of type int64",
    ),
    (b'{"foo":1,"max_msgs":"x"}', 'json: unknown field "foo"'),
    (
        b'{"max_msgs":1.5}',
        "json: cannot unmarshal number 1.5 into Go struct field StreamConfigRequest.max_msgs of type int64",
    ),
    (b'{"retention":"zz"}', r'can not unmarshal "\"zz\""'),
    (b'{"retention":null,"foo":1}', 'can not unmarshal "null"'),
    (
        b'{"subjects":"x"}',
        "json: cannot unmarshal string into Go struct field StreamConfigRequest.subjects of type []string",
    ),
    (
        b'{"subjects":[1]}',
        "json: cannot unmarshal number into StreamConfigRequest.subjects.0 of type string",
    ),
    (
        b'{"mirror":{"name":2}}',
        "json: cannot unmarshal number into Go struct field StreamConfigRequest.mirror.name of type string",
    ),
    (
        b'{"sources":[{"name":2}]}',
        "json: cannot unmarshal number into Go struct field "
        "StreamConfigRequest.sources.0.name of type string",
    ),
    (
        b'{"max_msg_size":99999999999}',
        "json: cannot unmarshal number 99999999999 into Go struct field "
        "StreamConfigRequest.max_msg_size of type int32",
    ),
    (
        b'{"metadata":{"a":1}}',
        "json: cannot unmarshal number into Go struct field StreamConfigRequest.metadata.a of type string",
    ),
    (
        b'{"placement":"x"}',
        "json: cannot unmarshal string into Go struct field StreamConfigRequest.placement "
        "of type server.Placement",
    ),
    (
        b'{"mirror":{"opt_start_time":"yy"}}',
        'parsing time "yy" as "2006-01-02T15:04:05Z07:00": cannot parse "yy" as "2006"',
    ),
    (b'{"compression":"zz"}', "unknown compression algorithm"),
    (
        b'{"first_seq":-1}',
        "json: cannot unmarshal number -1 into Go struct field StreamConfigRequest.first_seq of type uint64",
    ),
    (b"[]", "json: cannot unmarshal array into Go value of type server.StreamConfigRequest"),
    (b"{", "unexpected EOF"),
    (b'{"name":"S"', "unexpected EOF"),
    (b"nul", "unexpected EOF"),
    (b'{"name":"S"}x', "invalid character 'x' looking for beginning of value at offset 13"),
    (b'{"name":}', "invalid character '}' looking for beginning of value at offset 9"),
    (b'{"name" "x"}', "invalid character '\"' after object key at offset 9"),
    (b'{"name":"S",}', "invalid character '}' looking for beginning of object key string at offset 13"),
    (b"\xff", "invalid character '\\xff' looking for beginning of value at offset 1"),
    (b'{"name":"a\nb"}', "invalid character '\\n' in string at offset 11"),
]


@pytest.mark.parametrize(("document", "sentence"), _WRONG_STREAMS)
def test_wrong_requests_get_the_reference_servers_sentence(document: bytes, sentence: str) -> None:
    with pytest.raises(InvalidJson) as caught:
        from_json(StreamConfigRequest, document, "StreamConfigRequest")
    assert str(caught.value) == sentence


def test_keys_match_without_regard_to_case_and_later_documents_win() -> None:
    config = from_json(StreamConfigRequest, b'{"NAME":"A","Max_Msgs":3} {"name":"B"}', "StreamConfigRequest")
    assert (config.name, config.max_msgs) == ("B", 3)


def test_null_leaves_the_default() -> None:
    config = from_json(StreamConfig, b'{"max_msgs":null,"subjects":null,"mirror":null}', "X")
    assert config == StreamConfig()


def test_an_empty_body_gives_the_defaults() -> None:
    assert from_json(StreamConfig, b"", "X") == StreamConfig()


def test_a_consumer_request_nests_its_configuration() -> None:
    request = from_json(
        CreateConsumerRequest,
        b'{"stream_name":"S","config":{"backoff":[1,2],"pause_until":"1970-01-01T00:00:01Z"},"action":"create"}',
        "CreateConsumerRequest",
    )
    assert request.action == "create"
    assert request.config == ConsumerConfig(backoff=[1, 2], pause_until=1_000_000_000)


def test_answers_escape_what_could_be_markup() -> None:
    assert encode_json({"a": "<b>&"}) == b'{"a":"\\u003cb\\u003e\\u0026"}'


def test_empty_values_are_left_out_unless_always_shown() -> None:
    shown = to_json(StreamConfig(name="S"))
    assert "description" not in shown
    assert "persist_mode" not in shown
    assert shown["max_age"] == 0
    assert shown["consumer_limits"] == {}


_TEXT = st.text(max_size=8)
_CONFIGS = st.builds(
    StreamConfig,
    name=_TEXT,
    subjects=st.lists(_TEXT, max_size=3),
    max_msgs=st.integers(-(1 << 63), (1 << 63) - 1),
    first_seq=st.integers(0, (1 << 64) - 1),
    retention=st.sampled_from(["limits", "interest", "workqueue"]),
    metadata=st.dictionaries(_TEXT, _TEXT, max_size=3),
    sealed=st.booleans(),
)


@given(_CONFIGS)
def test_a_written_configuration_reads_back_as_the_same(config: StreamConfig) -> None:
    assert from_json(StreamConfig, encode_json(to_json(config)), "X") == config


@given(_CONFIGS)
def test_a_copy_shares_nothing(config: StreamConfig) -> None:
    copied = copy_record(config)
    assert copied == config
    copied.subjects.append("new")
    copied.metadata["new"] = ""
    copied.consumer_limits.max_ack_pending = 7
    assert copied.subjects != config.subjects
    assert copied.metadata != config.metadata
    assert copied.consumer_limits != config.consumer_limits


@given(st.binary(max_size=60))
def test_any_bytes_are_decoded_or_refused(document: bytes) -> None:
    with contextlib.suppress(InvalidJson):
        assert isinstance(from_json(StreamConfig, document, "X"), StreamConfig)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | _TEXT,
        lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner),
    )
)
def test_any_json_value_is_decoded_or_refused(value: object) -> None:
    document = json.dumps({"subjects": value, "mirror": value, "metadata": value}).encode()
    with contextlib.suppress(InvalidJson):
        assert isinstance(from_json(StreamConfig, document, "X"), StreamConfig)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(InvalidJson):
        from_json(StreamConfig, b"[" * 200_000, "X")


def test_lenient_requests_ignore_unknown_keys_but_not_wrong_types() -> None:
    assert lenient_from_json(MessageGetRequest, b'{"seq":3,"zz":1}') == MessageGetRequest(seq=3)
    assert lenient_from_json(MessageGetRequest, b'{"seq":"x"}') is None
    assert lenient_from_json(MessageGetRequest, b"x") is None
    assert lenient_from_json(MessageGetRequest, b"[]") is None
