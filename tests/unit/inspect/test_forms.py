"""Forms of protobuf, Avro and JSON Schema types, and the bytes that come of them."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.inspect.decode.json_schema import JsonSchema, JsonSchemaError
from memphis_desktop.inspect.decode.rules import DecoderRule, Decoders, DecoderSettings
from memphis_desktop.inspect.encode import encode_json
from memphis_desktop.inspect.forms import (
    Field,
    FieldKind,
    FieldProblem,
    avro,
    default_value,
    json_types,
    protobuf,
    read_scalar,
)
from memphis_desktop.inspect.message import InspectedMessage

PROTO = """
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
enum State { NEW = 0; PAID = 1; }
message Line { string sku = 1; uint32 count = 2; }
message Order {
  uint64 id = 1; sint64 delta = 2; State state = 3; repeated Line lines = 4; map<string, int64> sums = 5;
  oneof payment { string card = 6; bytes token = 7; }
  google.protobuf.Timestamp at = 8; Order parent = 9; double rate = 10; optional bool gift = 11;
}
"""
AVRO = {
    "type": "record", "name": "AvroOrder", "namespace": "shop",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["NEW", "PAID"]}},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []},
        {"name": "raw", "type": ["null", "bytes"], "default": None},
        {"name": "next", "type": ["null", "AvroOrder"], "default": None},
        {"name": "rate", "type": ["null", "double"], "default": None},
    ],
}  # fmt: skip
SCHEMA: dict[str, Any] = {
    "title": "Order",
    "type": "object",
    "required": ["id", "state"],
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "state": {"enum": ["NEW", "PAID"]},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
        "either": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
    },
    "$defs": {"line": {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]}},
}


@pytest.fixture
def decoders(tmp_path: Path) -> Decoders:
    """Decoders with one type of every kind, all from one folder."""
    (tmp_path / "order.proto").write_text(PROTO)
    (tmp_path / "order.avsc").write_text(json.dumps(AVRO))
    (tmp_path / "order.json").write_text(json.dumps(SCHEMA))
    (tmp_path / "package.json").write_text('{"name": "something else"}')
    made = Decoders(DecoderSettings(sources=[str(tmp_path)]))
    assert made.problems == {}
    return made


def by_name(field: Field) -> dict[str, Field]:
    return {child.name: child for child in field.children()}


def test_the_fields_of_a_protobuf_type(decoders: Decoders) -> None:
    found = decoders.protobuf.get("shop.Order")
    assert found is not None
    fields = by_name(protobuf.message_field(found.descriptor))
    assert (fields["id"].kind, fields["id"].high) == (FieldKind.INTEGER, 2**64 - 1)
    assert fields["state"].options == ("NEW", "PAID")
    assert fields["lines"].kind is FieldKind.LIST
    assert fields["lines"].item is not None
    assert set(by_name(fields["lines"].item())) == {"sku", "count"}
    assert fields["sums"].kind is FieldKind.MAP
    assert (fields["card"].group, fields["token"].group, fields["gift"].group) == ("payment", "payment", "")
    assert fields["at"].kind is FieldKind.TEXT
    assert by_name(by_name(fields["parent"])["parent"])["id"].type_name == "uint64"  # contains itself
    assert default_value(protobuf.message_field(found.descriptor)) == {}


def test_protobuf_bodies_are_exact_and_come_back(decoders: Decoders) -> None:
    body = {
        "id": 2**64 - 1, "delta": -(2**63), "state": "PAID", "lines": [{"sku": "a", "count": 1}],
        "sums": {"x": 2**53 + 1}, "token": "base64:AAH/", "at": "2026-11-28T10:00:00Z", "parent": {"id": 7},
        "rate": 1.5, "gift": True,
    }  # fmt: skip
    data = encode_json(json.dumps(body), "protobuf", "shop.Order", decoders)
    decoded = decoders.decode_as(data, "protobuf", "shop.Order")
    assert decoded.value == {**body, "token": b"\x00\x01\xff"}
    with pytest.raises(ValueError, match=r"does not fit shop\.Order"):
        encode_json('{"id": -1}', "protobuf", "shop.Order", decoders)


def test_avro_bodies_with_unions_decimals_and_bytes(decoders: Decoders) -> None:
    field = avro.schema_field(AVRO)
    fields = by_name(field)
    assert default_value(field) == {"id": 0, "state": "NEW", "price": 0}
    assert fields["note"].kind is FieldKind.UNION
    assert [branch.kind for branch in fields["next"].children()] == [FieldKind.NULL, FieldKind.OBJECT]
    body = (
        '{"id": 9223372036854775807, "state": "PAID", "note": "hi", "price": 12.50, "tags": ["a"],'
        ' "raw": "base64:AAE=", "next": {"id": 1, "state": "NEW", "price": 1}, "rate": 0.25}'
    )
    data = encode_json(body, "avro", "AvroOrder", decoders)
    value = decoders.decode_as(data, "avro", "AvroOrder").value
    assert (value["id"], value["price"], value["raw"]) == (2**63 - 1, Decimal("12.50"), b"\x00\x01")
    assert (value["next"]["id"], value["rate"]) == (1, 0.25)
    with pytest.raises(ValueError, match="does not fit"):
        encode_json('{"id": "x"}', "avro", "AvroOrder", decoders)


def test_the_fields_of_a_json_schema_and_what_does_not_fit_it(decoders: Decoders) -> None:
    schema = decoders.json_schemas["Order"]
    field = json_types.schema_field(schema.schema)
    fields = by_name(field)
    assert default_value(field) == {"id": 1, "state": "NEW"}
    assert fields["lines"].item is not None
    assert default_value(fields["lines"].item()) == {"sku": ""}
    assert [branch.kind for branch in fields["either"].children()] == [FieldKind.TEXT, FieldKind.INTEGER]
    assert schema.problems({"id": 2**64, "state": "NEW", "lines": [{"sku": "a"}]}) == []
    problems = schema.problems({"id": Decimal("1.5"), "state": "GONE", "lines": [{}]})
    assert {problem.path for problem in problems} == {"$.id", "$.state", "$.lines[0]"}
    decoders.settings.rules.append(DecoderRule("json", "Order", subject="orders.>"))
    decoded = decoders.decode(InspectedMessage("S", 1, 1, "orders.x", b"", b'{"id": 0}'))
    assert decoded.value == {"id": 0}
    assert "Does not fit the JSON Schema Order" in decoded.notes[0]
    assert [verdict.applied for verdict in decoded.report if verdict.decoder.startswith("JSON Schema")] == [
        False,
        False,
    ]


def test_json_schemas_never_fetch_and_never_recurse_without_end() -> None:
    remote = JsonSchema.from_bytes(b'{"$ref": "http://127.0.0.1:1/x.json"}')
    assert "which is not in it" in str(remote.problems({})[0])
    loop = JsonSchema.from_bytes(b'{"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}')
    assert loop.problems(1)
    assert json_types.schema_field(loop.schema).kind is FieldKind.ANY
    for text in (b"[1]", b"{", b'{"type": 7}'):
        with pytest.raises(JsonSchemaError):
            JsonSchema.from_bytes(text)


def test_typed_texts_become_exact_values() -> None:
    whole = Field("n", FieldKind.INTEGER, "uint64", low=0, high=2**64 - 1)
    assert read_scalar(whole, "18446744073709551615") == 2**64 - 1
    assert read_scalar(Field("n", FieldKind.NUMBER), "1.10") == Decimal("1.10")
    assert read_scalar(Field("b", FieldKind.BYTES), "hex:00 ff") == "base64:AP8="
    assert read_scalar(Field("b", FieldKind.BOOLEAN), "True") is True
    for field, text in (
        (whole, "-1"),
        (whole, "1.5"),
        (Field("n", FieldKind.NUMBER), "NaN"),
        (Field("b", FieldKind.BYTES), "base64:?"),
        (Field("c", FieldKind.CHOICE, options=("A",)), "B"),
        (Field("b", FieldKind.BOOLEAN), "yes"),
    ):
        with pytest.raises(FieldProblem):
            read_scalar(field, text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_any_json_as_msgpack_and_cbor_comes_back(value: Any) -> None:
    decoders = Decoders()
    for kind in ("msgpack", "cbor"):
        data = encode_json(json.dumps(value), kind, "", decoders)
        assert decoders.decode_as(data, kind).value == value
