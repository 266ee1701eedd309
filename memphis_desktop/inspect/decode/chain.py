"""From stored bytes to something readable: unwrap, try each decoder, and keep a report of every verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from memphis_desktop.inspect.decode import cbor, exact_json, msgpack, protobuf_wire
from memphis_desktop.inspect.decode.compression import unwrap
from memphis_desktop.inspect.decode.model import AVRO_MARK, MAX_OUTPUT, Decoded, DecodeError, Step, Verdict
from memphis_desktop.inspect.decode.text import control_at, decode_text
from memphis_desktop.language import tr, tr_count

INLINE_LIMIT = 32 << 10  # larger payloads are decoded in a thread
TREE_LIMIT = 8 << 20  # larger ones have no tree, only text and hex

Parse = Callable[[bytes], Any]

_JSON_BEGINS = tuple(bytes([code]) for code in b'{["-0123456789tfn \t\r\n\xef')


def _json(data: bytes) -> Any:
    if data[:1] not in _JSON_BEGINS and data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        raise DecodeError(tr("begins with no JSON value"), 0)
    return exact_json.parse(data)


def _avro_container(data: bytes) -> Any:
    if not data.startswith(AVRO_MARK):
        raise DecodeError(tr("begins with no Avro mark"), 0)
    from memphis_desktop.inspect.decode.schemas import parse_container  # a slow import for a rare need

    return parse_container(data)


def _msgpack(data: bytes) -> Any:
    if not msgpack.begins_with_container(data):
        raise DecodeError(tr("begins with no array or map"), 0)
    return msgpack.parse(data)


def _cbor(data: bytes) -> Any:
    if not cbor.begins_with_container(data):
        raise DecodeError(tr("begins with no array, map or tag"), 0)
    return cbor.parse(data)


# Tried in this order on bytes that no rule claims. JSON before text, text before the binary guesses.
AUTOMATIC: tuple[tuple[str, Parse], ...] = (
    ("json", _json),
    ("avro-container", _avro_container),
    ("msgpack", _msgpack),
    ("cbor", _cbor),
    ("protobuf", protobuf_wire.parse),
)

# What a person may ask for by name, without the doubts of the automatic choice.
BY_NAME: dict[str, Parse] = {
    "json": exact_json.parse,
    "avro-container": _avro_container,
    "msgpack": msgpack.parse,
    "cbor": cbor.parse,
    "protobuf": lambda data: protobuf_wire.parse(data, strict=False),
}

TITLES = {
    "json": "JSON", "msgpack": "MsgPack", "cbor": "CBOR", "protobuf": tr("Protobuf without schema"),
    "text": tr("Text"), "binary": tr("Binary"), "empty": tr("Empty"),
    "avro": "Avro", "avro-container": tr("Avro container"),  # untranslated: a name
    "command": tr("Command"), "registry": tr("Schema registry"), "plugin": tr("Plug-in"),
    "schemaverse": "Schemaverse",  # untranslated: a name
}  # fmt: skip


def decode(
    payload: bytes,
    *,
    decoder: str | None = None,
    parse: tuple[str, Parse] | None = None,
    limit: int = MAX_OUTPUT,
) -> Decoded:
    """Decode a payload; never fails, whatever the bytes.

    Args:
        payload: The bytes as stored.
        decoder: Ask for one decoder by name ("text" and "binary" too) instead of the automatic choice.
        parse: Ask for a decoder with a schema: its title, and what reads the bytes.
        limit: Bytes the payload may grow to when unwrapped.
    """
    if not payload:
        return Decoded(
            "empty", None, False, "", b"", (), (Verdict("empty", True, tr("the payload has no bytes")),)
        )
    if decoder == "binary":
        return Decoded("binary", None, False, None, payload, (), (Verdict("binary", True, tr("chosen")),))
    data, steps, report, cut = unwrap(payload, limit)
    text = decode_text(data)
    if not data:
        return Decoded("empty", None, False, "", b"", tuple(steps), tuple(report), cut)
    if parse is not None:
        kind, value, found = _first(data, [parse], report)
    elif decoder is not None and decoder != "text":
        kind, value, found = _first(data, [(decoder, BY_NAME[decoder])], report)
    elif decoder == "text":
        kind, value, found = "text", None, False
        report.append(Verdict("text", True, tr("chosen")))
        text = text or (data.decode("utf-8", "surrogateescape"), "utf-8")
    elif len(data) > TREE_LIMIT or cut:
        why = cut or tr("larger than {tree_limit:,} bytes: no tree is built", tree_limit=TREE_LIMIT)
        report += [Verdict(name, False, why) for name, _ in AUTOMATIC]
        kind, value, found = "", None, False
        cut = cut or why
    else:
        candidates = list(AUTOMATIC) if text is None else [AUTOMATIC[0]]
        kind, value, found = _first(data, candidates, report)
    if found:
        name = TITLES.get(kind, kind)
        steps.append(Step(name, len(data)))
        return Decoded(kind, value, True, text[0] if text else None, data, tuple(steps), tuple(report), cut)
    if text is not None:
        if decoder != "text":
            report.append(Verdict("text", True, tr("{text} without control characters", text=text[1])))
        steps.append(Step(tr("Text ({text})", text=text[1]), len(data)))
        return Decoded("text", None, False, text[0], data, tuple(steps), tuple(report), cut)
    report.append(Verdict("text", False, *_why_not_text(data)))
    steps.append(Step(tr("Binary"), len(data)))
    return Decoded("binary", None, False, None, data, tuple(steps), tuple(report), cut)


def _first(data: bytes, candidates: list[tuple[str, Parse]], report: list[Verdict]) -> tuple[str, Any, bool]:
    """Try decoders in order; report each."""
    for name, parse in candidates:
        try:
            value = parse(data)
        except DecodeError as error:
            report.append(Verdict(name, False, error.reason, error.offset))
        except (ValueError, OverflowError, MemoryError, RecursionError) as error:
            report.append(Verdict(name, False, tr("failed: {error}", error=error)[:200]))
        else:
            report.append(
                Verdict(
                    name, True, tr_count("read all {count:,} bytes", "read all {count:,} bytes", len(data))
                )
            )
            return name, value, True
    return "", None, False


def _why_not_text(data: bytes) -> tuple[str, int | None]:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return tr("not valid UTF-8"), error.start
    return tr("holds control characters"), control_at(data)


async def decode_soon(payload: bytes, **options: Any) -> Decoded:
    """Decode without holding up the loop: small payloads at once, others in a thread."""
    if len(payload) <= INLINE_LIMIT and not _may_grow(payload):
        return decode(payload, **options)
    return await asyncio.to_thread(decode, payload, **options)


def _may_grow(payload: bytes) -> bool:
    return payload[:1] in (b"\x1f", b"\x28", b"\x04", b"\xff", b"\x78") or payload[:4] == AVRO_MARK
