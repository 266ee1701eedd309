"""Every decoder on good, damaged and hostile bytes."""

from __future__ import annotations

import gzip
import json
import math
import time
import zlib
from decimal import Decimal
from typing import Any

import cbor2
import cramjam
import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memphis_desktop.inspect.decode import (
    DecodeError,
    RawNumber,
    decode,
    decode_soon,
    exact_json,
    hexdump,
    protobuf_wire,
    text,
)
from memphis_desktop.inspect.decode import cbor as our_cbor
from memphis_desktop.inspect.decode import msgpack as our_msgpack
from tests.stalls import watch_stalls

DEEP = 100_000

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@pytest.mark.parametrize("number", [2**53 + 1, -(2**63), 2**64 - 1, 10**40])
def test_whole_numbers_are_exact(number: int) -> None:
    assert decode(b'{"n":%d}' % number).value == {"n": number}
    assert exact_json.write({"n": number}, None) == f'{{"n": {number}}}'


@pytest.mark.parametrize("written", ["1.10", "0.1", "3.141592653589793238462643383279", "1E+400", "-0.0"])
def test_decimals_are_exact(written: str) -> None:
    value = exact_json.parse(written.encode())
    assert isinstance(value, Decimal)
    assert str(value) == written


def test_numbers_beyond_any_type_stay_as_written() -> None:
    digits = "9" * 50_000
    assert exact_json.parse(digits.encode()) == digits
    assert isinstance(exact_json.parse(digits.encode()), RawNumber)
    huge = "1e" + "9" * 30
    assert exact_json.write(exact_json.parse(huge.encode()), None) == huge


@given(JSON_VALUES, st.booleans())
def test_both_json_parsers_agree_with_the_standard_library(value: Any, indented: bool) -> None:
    written = json.dumps(value, indent=2 if indented else None, ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )
    if "\\ud" in ascii(value):
        return
    plain = exact_json._Parser(written.decode()).parse()
    assert plain == exact_json.parse(written)
    assert json.loads(exact_json.write(plain)) == json.loads(written)
    assert json.loads(exact_json.write(plain, None)) == json.loads(written)


@given(st.text(alphabet='{}[]",:0123456789.eE+- \n\\tfnu"alser', max_size=40))
@example("[1,]")
@example('{"a":1,}')
@example("01")
@example("-")
def test_the_parser_of_its_own_accepts_exactly_what_the_standard_library_does(written: str) -> None:
    try:
        expected: Any = json.loads(written, parse_constant=exact_json._refuse_constant)
    except (json.JSONDecodeError, DecodeError):
        with pytest.raises(DecodeError):
            exact_json._Parser(written).parse()
    else:
        assert json.loads(exact_json.write(exact_json._Parser(written).parse())) == expected


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * DEEP + b"]" * DEEP,
        b'{"a":' * DEEP + b"1" + b"}" * DEEP,
        b"[" * DEEP,
        b"\x91" * DEEP + b"\x01",
        b"\x81" * DEEP + b"\x01",
        b"\xc1" * DEEP + b"\x01",
        b"\x9f" * DEEP,
        b"\x0a" * DEEP,
        b"\x0b" * DEEP,
    ],
    ids=["lists", "objects", "open lists", "msgpack", "cbor", "cbor tags", "cbor open", "protobuf", "groups"],
)
def test_nesting_bombs_neither_recurse_nor_take_long(payload: bytes) -> None:
    started = time.process_time()
    decoded = decode(payload)
    if decoded.has_value:
        assert exact_json.write(decoded.value)
    assert time.process_time() - started < 5


@pytest.mark.parametrize("kind", ["gzip", "zlib", "zstd", "lz4", "snappy"])
def test_compressed_payloads_are_unwrapped_and_bounded(kind: str) -> None:
    packers: dict[str, Any] = {
        "gzip": gzip.compress,
        "zlib": zlib.compress,
        "zstd": cramjam.zstd.compress,
        "lz4": cramjam.lz4.compress,
        "snappy": cramjam.snappy.compress,
    }
    body = json.dumps({"text": "x" * 5000}).encode()
    packed = bytes(packers[kind](body))
    decoded = decode(packed)
    assert decoded.kind == "json"
    assert [step.name for step in decoded.steps] == [kind, "JSON"]
    assert decoded.data == body
    bomb = bytes(packers[kind](bytes(64 << 20)))
    started = time.process_time()
    opened = decode(bomb, limit=1 << 20)
    assert len(opened.data) == 1 << 20
    assert "stopped" in opened.truncated
    assert time.process_time() - started < 2
    damaged = decode(packed[: len(packed) // 2])
    assert not damaged.steps or damaged.steps[0].name != kind
    assert damaged.report[0].decoder == kind
    assert not damaged.report[0].applied


def test_layers_are_taken_off_one_by_one() -> None:
    decoded = decode(gzip.compress(bytes(cramjam.zstd.compress(b'{"a":1}'))))
    assert [step.name for step in decoded.steps] == ["gzip", "zstd", "JSON"]
    assert decoded.value == {"a": 1}


BINARY_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text()
    | st.binary()
    | st.floats(width=64),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return type(left) is type(right) and bool(left == right)


@given(BINARY_VALUES)
def test_msgpack_reads_what_the_reference_writes(value: Any) -> None:
    assert _same(our_msgpack.parse(msgpack.packb(value)), value)


@given(BINARY_VALUES)
def test_cbor_reads_what_the_reference_writes(value: Any) -> None:
    assert _same(our_cbor.parse(cbor2.dumps(value)), value)


def test_cbor_numbers_tags_and_open_lengths() -> None:
    assert our_cbor.parse(cbor2.dumps(2**200)) == 2**200
    assert our_cbor.parse(cbor2.dumps(-(2**70))) == -(2**70)
    assert our_cbor.parse(cbor2.dumps(Decimal("1.10"))) == Decimal("1.10")
    assert our_cbor.parse(cbor2.dumps(cbor2.CBORTag(4711, ["x"]))) == {"@tag 4711": ["x"]}
    assert our_cbor.parse(bytes.fromhex("9f018202039f0405ffff")) == [1, [2, 3], [4, 5]]
    assert our_cbor.parse(bytes.fromhex("bf61610161629f0203ffff")) == {"a": 1, "b": [2, 3]}
    assert our_cbor.parse(bytes.fromhex("7f657374726561646d696e67ff")) == "streaming"


@given(st.binary(max_size=200))
def test_no_bytes_make_decoding_fail(payload: bytes) -> None:
    decoded = decode(payload)
    assert decoded.report
    for name in ("json", "msgpack", "cbor", "protobuf", "text", "binary"):
        decode(payload, decoder=name)
    if decoded.has_value:
        exact_json.write(decoded.value)
    assert "\n" not in text.preview(payload)


def test_protobuf_without_schema_shows_fields_by_number() -> None:
    payload = bytes.fromhex("089601120568656c6c6f1a0408011002220408011002")
    decoded = decode(payload)
    assert decoded.kind == "protobuf"
    assert decoded.value == {"1": 150, "2": "hello", "3": {"1": 1, "2": 2}, "4": {"1": 1, "2": 2}}
    assert protobuf_wire.parse(b"\x08\x01\x08\x02") == {"1": [1, 2]}
    with pytest.raises(DecodeError) as caught:
        protobuf_wire.parse(b"\x0a\x05ab")
    assert caught.value.offset == 2


def test_the_report_says_where_and_why() -> None:
    report = {verdict.decoder: verdict for verdict in decode(b'{"a": 1,, "b": 2}').report}
    assert not report["json"].applied
    assert report["json"].offset == 8
    assert report["text"].applied
    binary = {verdict.decoder: verdict for verdict in decode(b"\xff\xfe\x00").report}
    assert not binary["text"].applied
    assert all(verdict.reason for verdict in binary.values())


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (b"<b>bold</b>", "<b>bold</b>"),
        ("a\u202eb".encode(), "a\u2039RLO\u203ab"),
        (b"line\nnext\ttab", "line\u21b5next\u2192tab"),
        (b"\x00\x01\x02", "00 01 02"),
        (b"ok\xff text long enough", "ok\u2039FF\u203a text long enough"),
    ],
)
def test_previews_show_what_is_there(payload: bytes, shown: str) -> None:
    assert text.preview(payload) == shown


def test_previews_read_no_more_than_the_limit() -> None:
    payload = b"x" * (64 << 20)
    started = time.process_time()
    shown = text.preview(payload)
    assert len(shown) == 257
    assert time.process_time() - started < 0.01
    assert text.preview("é".encode() * 300).endswith("é\u2026")


def test_piled_up_marks_are_thinned() -> None:
    assert len(text.visible("a" + "\u0301" * 500)) < 10


def test_hex_rows_are_made_one_at_a_time() -> None:
    data = bytes(range(256)) * (1 << 12)
    assert hexdump.row_count(len(data)) == len(data) // 16
    offset, pairs, shown = hexdump.row(data, 2)
    assert (offset, shown) == ("00000020", " !\"#$%&'()*+,-./")
    assert pairs.split() == [f"{code:02x}" for code in range(32, 48)]
    assert hexdump.dump(b"abc").startswith("00000000  61 62 63")


async def test_large_payloads_are_decoded_beside_the_loop() -> None:
    payload = json.dumps([{"id": index, "text": "x" * 40} for index in range(40_000)]).encode()
    async with watch_stalls() as stalls:
        decoded = await decode_soon(payload)
    assert len(decoded.value) == 40_000
    assert stalls.longest < 0.1  # the promise is 50 ms; a busy machine makes computing itself slower
