"""Protobuf from .proto files, Avro, and the rules that choose between decoders."""

from __future__ import annotations

import io
import json
from pathlib import Path

import fastavro
import pytest
from google.protobuf import descriptor_pb2

from memphis_desktop.inspect.decode import DecodeError, decode
from memphis_desktop.inspect.decode.rules import DecoderRule, Decoders, DecoderSettings
from memphis_desktop.inspect.decode.schemas import AvroSchema, ProtobufTypes, SchemaError, parse_container
from memphis_desktop.inspect.message import Headers, InspectedMessage

ORDER = """
syntax = "proto3";
package shop.v1;
import "common.proto";
import "google/protobuf/timestamp.proto";
option go_package = "example/shop;shop";
/* an order */
message Order {
  uint64 id = 1 [deprecated = true];
  string customer = 2; // who
  repeated Item items = 3;
  map<string, int32> tags = 4;
  oneof pay { shop.Money money = 5; string voucher = 6; }
  Kind kind = 7;
  google.protobuf.Timestamp at = 8;
  .shop.Status status = 9;
  optional sint32 n = 10;
  bytes raw = 11;
  message Item { string sku = 1; Deep deep = 2; message Deep { double x = 1; } }
  enum Kind { A = 0; B = -5; reserved 7; }
  reserved 20 to 30, 40;
}
service Orders { rpc Get (Order) returns (stream Order) { option (http) = { get: "/v1" }; } }
"""
COMMON = """
syntax = "proto3";
package shop;
enum Status { UNKNOWN = 0; PAID = 1; }
message Money { string currency = 1; int64 cents = 2; }
"""
AVRO = {
    "type": "record",
    "name": "Order",
    "fields": [{"name": "id", "type": "long"}, {"name": "note", "type": ["null", "string"]}],
}


@pytest.fixture
def protos(tmp_path: Path) -> Path:
    (tmp_path / "order.proto").write_text(ORDER)
    (tmp_path / "common.proto").write_text(COMMON)
    return tmp_path


def test_messages_are_read_with_their_types(protos: Path) -> None:
    types = ProtobufTypes()
    types.add_source(protos)
    assert "shop.v1.Order.Item.Deep" in types.names()
    order = types.get("Order")
    assert order is not None
    data = order.encode(
        {
            "id": 2**64 - 1,
            "items": [{"sku": "A", "deep": {"x": 1.5}}],
            "tags": {"k": 3},
            "money": {"currency": "EUR", "cents": 5},
            "kind": "B",
            "at": "2026-01-01T00:00:00.5Z",
            "status": "PAID",
            "n": 0,
            "raw": "AAE=",
        }
    )
    assert order.parse(data) == {
        "id": 2**64 - 1,
        "items": [{"sku": "A", "deep": {"x": 1.5}}],
        "tags": {"k": 3},
        "money": {"currency": "EUR", "cents": 5},
        "kind": "B",
        "at": "2026-01-01T00:00:00.5Z",
        "status": "PAID",
        "n": 0,
        "raw": b"\x00\x01",
    }
    with pytest.raises(DecodeError):
        order.parse(b"\xff\xff")
    with pytest.raises(SchemaError, match="does not fit"):
        order.encode({"id": "not a number"})


def test_one_file_with_imports_and_descriptor_sets(protos: Path, tmp_path: Path) -> None:
    types = ProtobufTypes()
    types.add_source(protos / "order.proto")
    files = descriptor_pb2.FileDescriptorSet(file=types._files.values())
    packed = tmp_path / "shop.pb"
    packed.write_bytes(files.SerializeToString())
    again = ProtobufTypes()
    again.add_source(packed)
    assert again.names() == types.names()


@pytest.mark.parametrize(
    "text",
    [
        "message A {",
        'syntax = "proto3"; message A { Missing x = 1; }',
        "nonsense",
        "message A { int32 x = y; }",
    ],
)
def test_broken_files_say_why(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.proto").write_text(text)
    with pytest.raises(SchemaError, match=r"bad\.proto"):
        ProtobufTypes().add_source(tmp_path / "bad.proto")


def test_avro_values_and_confluent_marks() -> None:
    schema = AvroSchema.from_text(json.dumps(AVRO))
    data = schema.encode({"id": 2**62, "note": None})
    assert schema.parse(data) == {"id": 2**62, "note": None}
    assert schema.parse(b"\x00\x00\x00\x00\x07" + data) == {"id": 2**62, "note": None}
    with pytest.raises(DecodeError):
        schema.parse(data + b"x")
    with pytest.raises(SchemaError):
        schema.encode({"id": "x"})
    with pytest.raises(SchemaError):
        AvroSchema.from_text("{}")


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy"])
def test_avro_containers_are_recognised(codec: str) -> None:
    stream = io.BytesIO()
    records = [{"id": index, "note": "x" * index} for index in range(50)]
    fastavro.writer(stream, fastavro.parse_schema(AVRO), records, codec=codec)
    decoded = decode(stream.getvalue())
    assert decoded.kind == "avro-container"
    assert decoded.value == records
    with pytest.raises(DecodeError):
        parse_container(stream.getvalue()[:-20])


def test_avro_bombs_are_bounded() -> None:
    stream = io.BytesIO()
    big = [{"id": 1, "note": "x" * (1 << 20)} for _ in range(20)]
    fastavro.writer(stream, fastavro.parse_schema(AVRO), big, codec="deflate", sync_interval=1 << 26)
    with pytest.raises(DecodeError, match="grows beyond"):
        parse_container(stream.getvalue(), limit=1 << 20)


def test_rules_choose_by_station_subject_and_header(protos: Path, tmp_path: Path) -> None:
    (tmp_path / "order.avsc").write_text(json.dumps(AVRO))
    rules = [
        DecoderRule("protobuf", "shop.v1.Order", subject="orders.*.pb"),
        DecoderRule("avro", "Order", header="Content-Type=avro"),
        DecoderRule("text", stream="logs-*"),
    ]
    settings = DecoderSettings(
        rules, [str(protos), str(tmp_path / "order.avsc"), str(tmp_path / "missing.avsc")]
    )
    decoders = Decoders(DecoderSettings.from_record(json.loads(json.dumps(settings.record()))))
    assert list(decoders.problems) == [str(tmp_path / "missing.avsc")]

    def message(stream: str, subject: str, header: str = "") -> InspectedMessage:
        block = Headers([("Content-Type", header)]).encode() if header else b""
        return InspectedMessage(stream, 1, 0, subject, block, b"")

    assert decoders.rule_for(message("S", "orders.eu.pb")) == rules[0]
    assert decoders.rule_for(message("S", "other", "avro")) == rules[1]
    assert decoders.rule_for(message("logs-eu", "other")) == rules[2]
    assert decoders.rule_for(message("S", "other", "json")) is None
    assert ("protobuf", "shop.v1.Order") in list(decoders.schemas())
    with pytest.raises(SchemaError):
        decoders.parser("avro", "unknown")
