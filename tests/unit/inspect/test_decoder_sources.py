"""What decoders are made of besides single schemas: folders, Schemaverse, plug-ins; and the rules' steps."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import fastavro
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop import folders
from memphis_desktop.inspect.decode import DecodeError
from memphis_desktop.inspect.decode.plugins import Plugin, PluginHost, installed, plugin_folder
from memphis_desktop.inspect.decode.proto_parser import parse_proto
from memphis_desktop.inspect.decode.rules import DecoderRule, Decoders, DecoderSettings
from memphis_desktop.inspect.decode.schemaverse import SchemaverseSource, VersionedSchema, VersionText
from memphis_desktop.inspect.message import InspectedMessage

PROTO = 'syntax = "proto3"; package {}; message Thing {{ uint64 id = 1; }}'


def _message(payload: bytes, stream: str = "ORDERS") -> InspectedMessage:
    return InspectedMessage(stream, 1, 0, "orders.new", b"", payload)


def test_a_folder_of_descriptor_sets_and_schemas(tmp_path: Path) -> None:
    for number, suffix in enumerate(("pb", "desc", "protoset", "binpb")):
        files = [parse_proto(PROTO.format(f"p{number}"), f"{number}.proto")]
        files[0].message_type[0].field[0].ClearField("type_name")
        (tmp_path / f"set{number}.{suffix}").write_bytes(FileDescriptorSet(file=files).SerializeToString())
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "more.proto").write_text(PROTO.format("more"))
    (tmp_path / "order.avsc").write_text('{"type": "record", "name": "Order", "fields": []}')
    (tmp_path / "other.json").write_text('{"some": "data"}')
    decoders = Decoders(DecoderSettings(sources=[str(tmp_path)]))
    assert decoders.problems == {}
    assert decoders.protobuf.names() == ["more.Thing", "p0.Thing", "p1.Thing", "p2.Thing", "p3.Thing"]
    assert list(decoders.avro) == ["Order"]
    # One file that cannot be used is said, and does not keep out the others.
    (tmp_path / "broken.desc").write_bytes(b"nothing")
    (tmp_path / "broken.avsc").write_bytes(b"{")
    decoders.load_sources()
    assert "broken" in decoders.problems[str(tmp_path)]
    assert len(decoders.protobuf.names()) == 5
    assert list(decoders.avro) == ["Order"]


def test_steps_before_the_decoder() -> None:
    settings = DecoderSettings([DecoderRule("json", before="skip 2, base64")])
    decoded = Decoders(settings).decode(_message(b"AB" + base64.b64encode(b'{"a": 1}')))
    assert decoded.value == {"a": 1}
    assert [step.name for step in decoded.steps] == ["skip 2", "base64", "JSON"]
    settings.rules = [DecoderRule("json", before="hex")]
    assert Decoders(settings).decode(_message(b"7b 7d\n")).value == {}
    settings.rules = [DecoderRule("json", before="skip 90")]
    decoded = Decoders(settings).decode(_message(b"{}"))
    assert not decoded.has_value
    assert "fewer than the 90 bytes" in decoded.notes[0]
    for text, words in (("skip", "is no step"), ("skip -1", "is no step"), ("gunzip", "is no step"),
                        (",", "is no step"), (", ".join(["hex"] * 9), "At most 8 steps")):  # fmt: skip
        assert words in DecoderRule("json", before=text).problem()
    assert DecoderRule("json", before="skip 4,hex").problem() == ""


@given(st.sampled_from(["skip 3", "base64", "hex", "skip 1, base64", "hex, hex"]), st.binary(max_size=200))
def test_steps_never_fail_otherwise(before: str, payload: bytes) -> None:
    decoded = Decoders(DecoderSettings([DecoderRule("json", before=before)])).decode(_message(payload))
    assert decoded.report


def test_a_rule_that_does_not_apply_may_leave_it_to_the_next() -> None:
    rules = [DecoderRule("msgpack", failing="next"), DecoderRule("cbor", failing="next")]
    decoded = Decoders(DecoderSettings(rules)).decode(_message(b'{"a": 1}'))
    assert decoded.kind == "json"
    assert [verdict.decoder for verdict in decoded.report] == ["msgpack", "cbor", "compression", "json"]
    decoded = Decoders(DecoderSettings([DecoderRule("msgpack"), *rules])).decode(_message(b'{"a": 1}'))
    assert (decoded.kind, decoded.has_value) == ("text", False)


def _avro(schema: object, value: object) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), value)
    return stream.getvalue()


V1 = {"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}]}
V2 = {"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"},
      {"name": "n", "type": "double"}]}  # fmt: skip


@pytest.fixture
def source() -> SchemaverseSource:
    avro = (VersionText(1, json.dumps(V1)), VersionText(2, json.dumps(V2)), VersionText(3, "damaged"))
    checks = (VersionText(1, '{"required": ["a"], "type": "object"}'),)
    return SchemaverseSource(
        "profile-1", "local / dev",
        (VersionedSchema("order", "avro", 2, avro), VersionedSchema("check", "json", 1, checks),
         VersionedSchema("query", "graphql", 1, (VersionText(1, "type Query { a: Int }"),))),
        {"orders$1": ("order", 1), "checks$1": ("check", 1)},
    )  # fmt: skip


def test_versions_of_schemaverse(source: SchemaverseSource) -> None:
    kept = SchemaverseSource.from_record(json.loads(json.dumps(source.record())))
    assert kept == source
    settings = DecoderSettings(schemaverses=[source])
    decoders = Decoders(DecoderSettings.from_record(json.loads(json.dumps(settings.record()))))
    assert list(decoders.schemas()) == [
        ("schemaverse", "local / dev/order"),
        ("schemaverse", "local / dev/check"),
    ]
    first, second = _avro(V1, {"id": "a"}), _avro(V2, {"id": "a", "n": 1.5})
    decoded = decoders.decode(_message(first, "orders$1"))  # what the station enforces
    assert (decoded.value, decoded.steps[-1].name) == ({"id": "a"}, "order version 1")
    decoded = decoders.decode(_message(second, "orders$1"))  # an older message, of another version
    assert (decoded.value, decoded.steps[-1].name) == ({"id": "a", "n": 1.5}, "order version 2")
    reasons = {verdict.decoder: verdict.reason for verdict in decoded.report}
    assert "data follows" in reasons["order version 1"]
    assert "no Avro schema" in reasons["order version 3"]
    assert "the active one" in reasons["order version 2"]
    decoded = decoders.decode_as(second, "schemaverse", "local / dev/order")
    assert decoded.steps[-1].name == "order version 2"  # the active one comes first
    assert decoders.decode(_message(first, "others$1")).kind == "binary"  # no station of these
    report = decoders.decode(_message(b"\x99", "orders$1")).report
    assert any("no version of order fits" in verdict.reason for verdict in report)


def test_json_that_does_not_fit_schemaverse_is_shown_and_said(source: SchemaverseSource) -> None:
    decoders = Decoders(DecoderSettings(schemaverses=[source]))
    decoded = decoders.decode(_message(b'{"b": 1}', "checks$1"))
    assert decoded.value == {"b": 1}
    assert "'a' is a required property" in decoded.notes[0]
    assert decoders.decode(_message(b'{"a": 1}', "checks$1")).notes == ()
    assert SchemaverseSource.from_record({"id": "x", "title": "y", "schemas": [{"name": 1}]}) is None


PLUGIN = """
import decimal, os, time
def decode(data):
    if data == b"hang":
        while True:
            time.sleep(1)
    if data == b"die":
        os._exit(3)
    if data == b"much":
        return [str(number) * 1000 for number in range(20_000)]
    if not data.startswith(b"ok"):
        raise ValueError("begins with no ok")
    return {"length": len(data), 3: (1, decimal.Decimal("1.50")), "raw": data, "odd": object}
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugin:
    monkeypatch.setenv(folders.HOME_VARIABLE, str(tmp_path / "home"))
    package = plugin_folder() / "our_decoder-1.2.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: our-decoder\nVersion: 1.2\n")
    (package / "entry_points.txt").write_text(
        "[memphis_desktop.decoders]\nours = our_decoder:decode\nbroken = our_decoder:nothing\n"
    )
    (plugin_folder() / "our_decoder.py").write_text(PLUGIN)
    return next(entry for entry in installed() if entry.name == "ours")


def test_plugins_run_once_turned_on_in_a_process_of_their_own(plugin: Plugin) -> None:
    assert plugin == Plugin("ours", "our_decoder:decode", "our-decoder 1.2")
    settings = DecoderSettings([DecoderRule("plugin", "ours")])
    decoders = Decoders(settings)
    assert "turned off" in decoders.decode(_message(b"ok")).truncated
    settings.plugins_on = ["ours", "broken", "gone"]
    decoders.connect_sources()
    assert [name for kind, name in decoders.schemas() if kind == "plugin"] == ["broken", "ours"]
    decoded = decoders.decode(_message(b"ok, then"))
    assert decoded.value["length"] == 8
    assert str(decoded.value["3"][1]) == "1.50"
    assert decoded.value["raw"] == b"ok, then"
    decoded = decoders.decode(_message(b"no"))
    assert decoded.kind == "text"
    assert decoded.report[-2].reason == "ours: begins with no ok"
    assert "cannot be imported" in decoders.decode_as(b"x", "plugin", "broken").report[-2].reason
    assert decoders.slow_for(_message(b"ok"))
    decoders.close()


def test_a_plugin_that_hangs_or_dies_is_ended(plugin: Plugin) -> None:
    host = PluginHost(plugin, seconds=1.0)
    assert host.parse(b"ok")["length"] == 2
    for payload, words in ((b"hang", "took longer than 1 s"), (b"die", "has ended itself"),
                           (b"much", "returned more than")):  # fmt: skip
        with pytest.raises(DecodeError, match=words):
            host.parse(payload)
        assert host.parse(b"ok!")["length"] == 3  # the next payload gets another process
    host.end()
