"""Schema registries: the wire format, asking within bounds, and what payloads are read with."""

from __future__ import annotations

import asyncio
import io
import json
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.inspect.decode import DecodeError
from memphis_desktop.inspect.decode.proto_parser import parse_proto
from memphis_desktop.inspect.decode.rules import DecoderRule, Decoders, DecoderSettings
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.registry import (
    RegistryClient,
    RegistryError,
    RegistrySchemas,
    RegistrySource,
    wire,
)
from memphis_desktop.inspect.registry import client as registry_client
from memphis_desktop.inspect.registry import schemas as registry_schemas
from tests.schema_registry import SchemaRegistry, running
from tests.unit.cluster.certificates import make_certificate

ORDER = {
    "type": "record", "name": "Order", "namespace": "shop",
    "fields": [{"name": "id", "type": "long"}, {"name": "to", "type": "shop.Address"},
               {"name": "back", "type": ["null", "shop.Address"]}],
}  # fmt: skip
ADDRESS = {
    "type": "record",
    "name": "Address",
    "namespace": "shop",
    "fields": [{"name": "city", "type": "string"}],
}
PROTO = """
syntax = "proto3";
package shop;
import "money.proto";
import "confluent/meta.proto";
message First { string text = 1; }
message Order {
  map<string, int32> tags = 1;
  message Line { uint64 count = 1; shop.money.Money price = 2; }
  message Other { string text = 1; }
  Line line = 2;
}
"""
MONEY = 'syntax = "proto3"; package shop.money; message Money { string currency = 1; int64 cents = 2; }'


@pytest.fixture
def registry() -> Iterator[SchemaRegistry]:
    with running() as server:
        yield server


def _avro(schema: Any, value: Any, number: int) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), value)
    return wire.mark(number) + stream.getvalue()


def _schemas(server: SchemaRegistry, **fields: Any) -> RegistrySchemas:
    return RegistrySchemas(RegistrySource("main", server.url, **fields))


def _message(payload: bytes, subject: str = "orders.new") -> InspectedMessage:
    return InspectedMessage("ORDERS", 1, 0, subject, b"", payload)


@given(st.lists(st.integers(0, 2**31), min_size=1, max_size=wire.MAX_STEPS).map(tuple), st.binary())
def test_paths_come_back_as_written(path: tuple[int, ...], body: bytes) -> None:
    written = wire.write_path(path)
    assert wire.read_path(wire.mark(1) + written + body) == (path, wire.MARK_SIZE + len(written))


@given(st.binary(max_size=64))
def test_any_bytes_after_the_mark_are_read_or_refused(data: bytes) -> None:
    try:
        path, start = wire.read_path(b"\0\0\0\0\1" + data)
    except DecodeError:
        return
    assert wire.MARK_SIZE < start <= wire.MARK_SIZE + len(data)
    assert 0 < len(path) <= wire.MAX_STEPS
    assert min(path) >= 0


def test_the_wire_format_is_confluents() -> None:
    """The bytes of the documentation: one zero for the first message, else a count and zigzag numbers."""
    assert wire.write_path((0,)) == b"\0"
    assert wire.write_path((1, 0)) == b"\4\2\0"
    assert wire.read_path(b"\0\0\0\0\7\0rest") == ((0,), 6)
    assert wire.mark(42) == b"\0\0\0\0\x2a"
    file: FileDescriptorProto = parse_proto(PROTO, "order.proto")
    # The entry of the map is a type within the descriptor, which the text does not have.
    assert wire.message_name(file, (1, 0)) == "shop.Order.Line"
    assert wire.message_name(file, (1, 1)) == "shop.Order.Other"
    assert wire.path_of(file, "shop.Order.Other") == (1, 1)
    assert wire.path_of(file, "shop.Nothing") is None
    for path in ((2,), (1, 2), (0, 0)):
        with pytest.raises(DecodeError, match="no message number"):
            wire.message_name(file, path)


def test_avro_with_references_is_read(registry: SchemaRegistry) -> None:
    registry.register("address", ADDRESS)
    number = registry.register("orders-value", ORDER, references=[("shop.Address", "address", 1)])
    known = fastavro.parse_schema(ADDRESS, named_schemas=(named := {}))
    assert known
    stream = io.BytesIO()
    value = {"id": 2**62, "to": {"city": "Oslo"}, "back": {"city": "Lagos"}}
    fastavro.schemaless_writer(stream, fastavro.parse_schema(ORDER, named_schemas=named), value)
    schemas = _schemas(registry)
    payload = wire.mark(number) + stream.getvalue()
    assert schemas.read(payload)[:2] == (value, f"Avro Order (schema {number} of main)")
    asked = len(registry.asked)
    for _ in range(5):
        schemas.read(payload)
    assert len(registry.asked) == asked  # known now
    with pytest.raises(DecodeError, match="data follows"):
        schemas.read(payload + b"x")
    schemas.close()


def test_protobuf_messages_are_found_by_their_path(registry: SchemaRegistry) -> None:
    registry.register("money", MONEY, "PROTOBUF")
    number = registry.register("orders-value", PROTO, "PROTOBUF", [("money.proto", "money", 1)])
    schemas = _schemas(registry)
    line = b"\x08" + b"\xff" * 9 + b"\x01" + b"\x12\x07\x0a\x03EUR\x10\x63"
    value, title, _ = schemas.read(wire.mark(number) + wire.write_path((1, 0)) + line)
    assert value == {"count": 2**64 - 1, "price": {"currency": "EUR", "cents": 99}}
    assert title == f"Protobuf shop.Order.Line (schema {number} of main)"
    assert schemas.read(wire.mark(number) + b"\0\x0a\x02hi")[0] == {"text": "hi"}
    with pytest.raises(DecodeError, match="no message number 9"):
        schemas.read(wire.mark(number) + wire.write_path((9,)) + line)
    with pytest.raises(DecodeError, match="cut off"):
        schemas.read(wire.mark(number) + b"\x84")
    schemas.close()


def test_json_is_checked_against_its_schema(registry: SchemaRegistry) -> None:
    registry.register("city", {"title": "City", "type": "string", "minLength": 2}, "JSON")
    order = {
        "title": "Order", "type": "object", "required": ["id"],
        "properties": {"id": {"type": "integer"}, "city": {"$ref": "city.json"}},
    }  # fmt: skip
    number = registry.register("orders-value", order, "JSON", [("city.json", "city", 1)])
    decoders = Decoders(DecoderSettings(registries=[RegistrySource("main", registry.url)]))
    decoded = decoders.decode(_message(wire.mark(number) + b'{"id": 9007199254740993, "city": "Oslo"}'))
    assert decoded.value == {"id": 2**53 + 1, "city": "Oslo"}
    assert decoded.notes == ()
    assert decoded.steps[-1].name == f"JSON Order (schema {number} of main)"
    decoded = decoders.decode(_message(wire.mark(number) + b'{"city": "X"}'))
    assert "'id' is a required property" in " ".join(verdict.reason for verdict in decoded.report)
    assert "too short" in " ".join(verdict.reason for verdict in decoded.report)
    assert decoded.notes
    decoders.close()


def test_only_payloads_with_a_mark_are_taken_and_rules_come_first(registry: SchemaRegistry) -> None:
    number = registry.register("a", {"type": "string"})
    payload = _avro({"type": "string"}, "hello", number)
    settings = DecoderSettings(registries=[RegistrySource("main", registry.url)])
    decoders = Decoders(settings)
    assert decoders.decode(_message(payload)).value == "hello"
    asked = len(registry.asked)
    assert decoders.decode(_message(b'{"a": 1}')).kind == "json"
    assert decoders.decode(_message(b"\0\0\0\0\0abc")).kind == "binary"  # ids count from 1
    settings.rules = [DecoderRule("binary")]
    assert decoders.decode(_message(payload)).kind == "binary"
    settings.rules = [DecoderRule("protobuf", "not.Loaded", failing="next")]
    assert decoders.decode(_message(payload)).value == "hello"
    assert len(registry.asked) == asked
    settings.rules = []
    settings.registries = [RegistrySource("main", registry.url, automatic=False)]
    decoders.connect_sources()
    assert not decoders.decode(_message(payload)).has_value  # nobody has said to
    assert len(registry.asked) == asked
    settings.rules = [DecoderRule("registry", "main", subject="orders.>")]
    assert decoders.decode(_message(payload)).value == "hello"
    decoders.close()


def test_what_a_registry_does_not_have_is_asked_for_once(
    registry: SchemaRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    schemas = _schemas(registry)
    for _ in range(3):
        with pytest.raises(DecodeError, match="has no such schema"):
            schemas.read(wire.mark(77) + b"x")
    assert registry.asked == ["/schemas/ids/77"]
    monkeypatch.setattr(registry_schemas, "MAX_UNKNOWN", 5)
    for number in range(1000, 1020):  # nonsense that looks like marks
        with pytest.raises(DecodeError, match=r"no such schema|too many payloads"):
            schemas.read(wire.mark(number) + b"x")
    assert len(registry.asked) == 5
    schemas.close()


def test_every_failure_is_one_clear_sentence(
    registry: SchemaRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_client, "MAX_ANSWER", 20_000)
    client = RegistryClient(RegistrySource("main", registry.url), seconds=5)
    json_type = {"Content-Type": "application/json"}
    for instead, words in (
        ((302, {"Location": "http://elsewhere.example/"}, b""), "points to http://elsewhere.example/"),
        ((200, {}, b"<html>"), "did not answer with JSON"),
        ((200, json_type, b"[1]"), "no schema: is this a schema registry"),
        ((200, json_type, b'{"schema": "' + b"x" * 30_000 + b'"}'), "more than 20\u202f000 bytes"),
        ((404, {}, b"<html>"), "is this the address of a schema registry"),
        ((403, json_type, b"{}"), "does not let this login"),
        (
            (500, json_type, b'{"error_code": 50001, "message": "Backend error"}'),
            "answered 500: Backend error",
        ),
    ):
        registry.instead = instead
        with pytest.raises(RegistryError, match=words):
            client.schema(1)
    registry.instead = None
    registry.delay = 2
    with pytest.raises(RegistryError, match="did not answer within"):
        RegistryClient(RegistrySource("main", registry.url), seconds=0.2).schema(1)
    with pytest.raises(RegistryError, match="cannot be reached"):
        RegistryClient(RegistrySource("main", "http://127.0.0.1:1")).subjects()


def test_logins_and_references_that_go_round(
    registry: SchemaRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.register("a/b c", {"type": "string"})
    registry.require_basic("key", "sécret")
    with pytest.raises(RegistryError, match="refuses this login"):
        RegistryClient(RegistrySource("main", registry.url)).subjects()
    monkeypatch.setenv("REGISTRY_SECRET", "sécret")
    source = RegistrySource("main", registry.url, "basic", "key", "env://REGISTRY_SECRET")
    assert RegistryClient(source).subjects() == ["a/b c"]
    registry.login = "Bearer abc"
    assert RegistryClient(RegistrySource("main", registry.url, "bearer", secret="abc")).subjects()
    with pytest.raises(RegistryError, match="line break"):
        RegistryClient(RegistrySource("main", registry.url, "bearer", secret="a\r\nX: y")).subjects()
    monkeypatch.delenv("REGISTRY_SECRET")
    with pytest.raises(RegistryError, match="REGISTRY_SECRET is not set"):
        RegistryClient(source).subjects()
    registry.login = ""
    number = registry.register("round", '"x"', references=[("x", "round", 1)])
    with pytest.raises(RegistryError, match="refers to itself"):
        RegistryClient(RegistrySource("main", registry.url)).schema(number)


def test_a_loop_is_not_held_up_and_hears_when_the_schema_is_there(registry: SchemaRegistry) -> None:
    number = registry.register("a", {"type": "string"})
    registry.delay = 0.3
    arrived = threading.Event()
    settings = DecoderSettings(registries=[RegistrySource("main", registry.url)])
    decoders = Decoders(settings, arrived=arrived.set)
    message = _message(_avro({"type": "string"}, "hello", number))

    async def on_a_loop() -> None:
        begun = time.thread_time()
        decoded = decoders.decode(message)
        assert time.thread_time() - begun < 0.25
        assert decoded.pending
        assert "being read" in decoded.truncated
        assert decoders.slow_for(message)
        assert await asyncio.to_thread(arrived.wait, 20)
        assert decoders.decode(message).value == "hello"
        assert not decoders.slow_for(message)

    asyncio.run(on_a_loop())
    decoders.close()


def test_certificates_are_verified(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    with running(context) as server:
        server.register("a", {"type": "string"})
        with pytest.raises(RegistryError, match=r"certificate of .* is refused"):
            RegistryClient(RegistrySource("main", server.url)).subjects()
        assert server.asked == []  # and the login was not sent
        trusting = RegistrySource("main", server.url, ca_file=str(certificate))
        assert RegistryClient(trusting).subjects() == ["a"]
        with pytest.raises(RegistryError, match="cannot be used"):
            RegistryClient(RegistrySource("main", server.url, ca_file=str(key))).subjects()
    with running() as server, pytest.raises(RegistryError, match="does not speak TLS"):
        RegistryClient(RegistrySource("main", server.url.replace("http:", "https:"))).subjects()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "a/b"}, "slash"),
        ({"url": "ftp://x"}, "https://"),
        ({"url": "http://user:secret@host"}, "own fields"),
        ({"url": "http://host:99999"}, "not an address"),
        ({"url": "http://host?x=1"}, "path"),
        ({"login": "basic"}, "user"),
        ({"login": "bearer"}, "token"),
        ({"ca_file": "/nowhere.pem"}, "no file"),
    ],
)
def test_what_cannot_be_a_registry_is_said(fields: dict[str, str], words: str) -> None:
    source = RegistrySource(**{"name": "main", "url": "http://host", **fields})
    assert words in source.problem()
    assert RegistrySource("main", "https://host:8081/registry").problem() == ""
    assert RegistrySource.from_record({"name": 1}) is None
    assert RegistrySource.from_record(json.loads(json.dumps(source.record()))) == source
