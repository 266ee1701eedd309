"""Stored configurations of streams and consumers, whole and damaged."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.broker.jetstream import documents
from memphis_desktop.broker.jetstream.config import ConsumerConfig, StreamConfig, StreamSource
from memphis_desktop.broker.jetstream.documents import StoredPin


def test_a_stream_reads_back_as_it_was_written() -> None:
    config = StreamConfig(name="S", subjects=["s.*"], sources=[StreamSource(name="O", opt_start_time=5)])
    written = documents.write_stream(config, 17, {"O > >": 4})
    assert documents.read_stream(written) == (config, 17, {"O > >": 4}, False)
    half = documents.write_stream(config, 17, restoring=True)
    assert documents.read_stream(half) == (config, 17, {}, True)


def test_a_consumer_reads_back_as_it_was_written() -> None:
    config = ConsumerConfig(durable_name="C", backoff=[1, 2], pause_until=-1)
    assert documents.read_consumer(documents.write_consumer(config, 3)) == (config, 3, None)
    pin = StoredPin("id", "group", 5)
    assert documents.read_consumer(documents.write_consumer(config, 3, pin)) == (config, 3, pin)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"created":null,"config":{}}',
        b'{"created":1,"config":[]}',
        b'{"created":1,"config":{"max_msgs":"x"}}',
        b'{"created":1,"config":{"of_a_later_version":1}}',
        b'{"created":1,"config":{},"positions":[]}',
    ],
)
def test_what_is_no_document_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError):
        documents.read_stream(document)


@given(st.integers(0, 200), st.binary(min_size=1, max_size=3))
def test_any_damage_is_read_or_refused(position: int, damage: bytes) -> None:
    written = documents.write_stream(StreamConfig(name="S", subjects=["s.*"]), 1_700_000_000)
    damaged = written[:position] + damage + written[position + len(damage) :]
    with contextlib.suppress(ValueError):
        assert isinstance(documents.read_stream(damaged).config, StreamConfig)


def test_documents_are_plain_json() -> None:
    written = documents.write_stream(StreamConfig(name="S"), 1)
    assert json.loads(written)["config"]["name"] == "S"
