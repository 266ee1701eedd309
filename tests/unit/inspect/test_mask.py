"""Masking rules, and commands as decoders."""

from __future__ import annotations

import gzip
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.inspect.decode import DecodeError
from memphis_desktop.inspect.decode.command import CommandDecoder
from memphis_desktop.inspect.decode.rules import DecoderRule, Decoders, DecoderSettings
from memphis_desktop.inspect.files import json_line
from memphis_desktop.inspect.mask import MASK, MaskedMessage, Masker, MaskRule
from memphis_desktop.inspect.message import Headers, InspectedMessage
from memphis_desktop.inspect.snippets import as_curl, as_json, as_nats_pub, as_python

SECRET = "4000-1234"


def message(payload: bytes, subject: str = "orders.x", stream: str = "S") -> InspectedMessage:
    headers = Headers([("Authorization", SECRET), ("Type", "sale")]).encode()
    return InspectedMessage(stream, 1, 1_700_000_000_000_000_000, subject, headers, payload)


def masked(payload: bytes, *rules: MaskRule) -> InspectedMessage:
    return Masker(rules, Decoders().decode).mask(message(payload))


def test_paths_headers_and_expressions_hide_everywhere() -> None:
    rules = (
        MaskRule("path", "$.card"), MaskRule("path", "$.items[*].card"), MaskRule("header", "authorization"),
        MaskRule("regex", r"\d{4}-\d{4}"),
    )  # fmt: skip
    body = (
        b'{"id": 9007199254740993, "card": "4000-1234", "items": [{"card": "4000-1234", "n": 1.10}],'
        b' "note": "pay 4000-1234"}'
    )
    found = masked(body, *rules)
    assert isinstance(found, MaskedMessage)
    assert found.is_masked
    for text in (
        found.payload.decode(), as_json(found), as_nats_pub(found), as_curl(found, "S"), as_python(found, ""),
        json_line(found).decode(), found.header_bytes.decode(), repr(found.headers),
    ):  # fmt: skip
        assert SECRET not in text
    assert b"9007199254740993" in found.payload
    assert b"1.10" in found.payload
    assert found.headers.get("Type") == "sale"
    assert found.identity == ("S", 1)
    assert found.size == message(body).size


def test_what_is_compressed_or_binary_is_masked_in_its_decoded_form() -> None:
    rule = MaskRule("path", "$.card")
    found = masked(gzip.compress(b'{"card": "4000-1234", "n": 1}'), rule)
    assert found.payload == f'{{"card": "{MASK}", "n": 1}}'.encode()
    packed = b"\x82\xa4card\xa94000-1234\xa1n\x01"
    assert masked(packed, rule).payload == f'{{"card": "{MASK}", "n": 1}}'.encode()
    decoders = Decoders(DecoderSettings(rules=[DecoderRule("msgpack")]))
    shown = Masker([rule], decoders.decode).mask(message(packed))
    assert decoders.decode(shown).value == {"card": MASK, "n": 1}  # the rule does not hold for the new form
    assert b"4000-1234" not in masked(b"\x00\xff4000-1234\x01", MaskRule("regex", "4000-1234")).payload
    bomb = gzip.compress(b"4000-1234" * 2_000_000)
    assert b"could not be looked through" in masked(bomb, MaskRule("regex", "4000")).payload


def test_rules_hold_where_they_say_and_the_rest_is_untouched() -> None:
    body = b'{"card":  "4000-1234"}'
    for rule in (MaskRule("path", "$.card", "T"), MaskRule("path", "$.card", "", "other.>")):
        plain = message(body)
        assert Masker([rule], Decoders().decode).mask(plain) is plain
    untouched = masked(b'{"other":  1}', MaskRule("path", "$.card", "S*", "orders.*"))
    assert untouched.payload == b'{"other":  1}'  # the bytes as they are stored
    assert masked(b"", MaskRule("path", "$.card")).payload == b""
    deep = b"[" * 100_000 + b"]" * 100_000
    assert masked(deep, MaskRule("path", "$[0][0]")).payload.startswith(b"[")
    for kind, what in (("path", "$"), ("path", "$..x"), ("regex", "(a+"), ("header", " "), ("?", "x")):
        assert MaskRule(kind, what).problem()
    assert MaskRule.from_record({"kind": "path", "what": "$.a"}) == MaskRule("path", "$.a")
    assert MaskRule.from_record({"kind": "path"}) is None


@given(st.binary(max_size=200))
def test_masking_never_fails(payload: bytes) -> None:
    rules = (MaskRule("path", "$.a[*].b"), MaskRule("regex", "secret"), MaskRule("header", "Type"))
    assert b"secret" not in masked(payload + b"secret", *rules).payload


def command(tmp_path: Path, body: str, seconds: float = 20.0) -> CommandDecoder:
    script = tmp_path / "decoder.py"
    script.write_text(f"import sys, time, json\ndata = sys.stdin.buffer.read()\n{body}\n")
    return CommandDecoder("mine", f"{sys.executable} {script}", seconds)


def test_a_command_decodes_within_its_bounds(tmp_path: Path) -> None:
    good = command(tmp_path, "print(json.dumps({'size': len(data), 'big': 2**64}))")
    assert good.parse(b"x" * 300_000) == {"size": 300_000, "big": 2**64}
    assert command(tmp_path, "print('words')").parse(b"") == "words\n"
    with pytest.raises(DecodeError, match="failed: no such thing"):
        command(tmp_path, "sys.exit('no such thing')").parse(b"x")
    with pytest.raises(DecodeError, match="wrote more than"):
        command(tmp_path, "while True: sys.stdout.write('x' * 65536)").parse(b"x")
    started = time.monotonic()
    with pytest.raises(DecodeError, match="took longer"):
        command(tmp_path, "time.sleep(60)", 0.5).parse(b"x")
    assert time.monotonic() - started < 20
    with pytest.raises(DecodeError, match="could not be started"):
        CommandDecoder("gone", "/no/such/program").parse(b"x")
    assert CommandDecoder("bad", "'").problem()


def test_commands_are_off_until_turned_on(tmp_path: Path) -> None:
    settings = DecoderSettings(
        rules=[DecoderRule("command", "mine")], commands=[command(tmp_path, "print(1)")]
    )
    decoders = Decoders(DecoderSettings.from_record(settings.record()))
    assert "turned off" in decoders.decode(message(b"x")).truncated
    assert not list(decoders.schemas())
    decoders.settings.commands_on = True
    assert decoders.decode(message(b"x")).value == 1
    assert decoders.slow_for(message(b"x"))
