"""JSON with exact numbers, safe against nesting of any depth.

Whole numbers become `int` of any size, others `decimal.Decimal` as written. Small texts go through the
standard library; large or deep ones through a parser with a stack of its own, which runs in a thread without
holding others up for long, and never recurses. Writing is without recursion too.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from memphis_desktop.inspect.decode.model import DecodeError, RawNumber
from memphis_desktop.language import tr

FAST_LIMIT = 128 << 10  # the standard library's parser holds the interpreter for its whole run
MAX_INDENT = 32  # levels that are indented; deeper ones stay at this margin, or the text would grow squared

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_LITERALS = {"t": ("true", True), "f": ("false", False), "n": ("null", None)}

# What the standard library's parser says.
_REASONS = {
    "expecting value": tr("expecting value"),
    "expecting property name enclosed in double quotes": tr(  # untranslated: the library's
        "expecting property name enclosed in double quotes"
    ),
    "expecting ':' delimiter": tr("expecting ':' delimiter"),
    "expecting ',' delimiter": tr("expecting ',' delimiter"),
    "extra data": tr("extra data"),
    "unterminated string starting at": tr("unterminated string starting at"),  # untranslated: the library's
    "invalid control character at": tr("invalid control character at"),  # untranslated: the library's
}


def parse(data: bytes) -> Any:
    """Return the value of a JSON text in UTF-8 (or UTF-16/32 with a mark).

    Raises:
        DecodeError: it is not JSON; says why and at which byte.
    """
    text = _text(data)
    if len(text) <= FAST_LIMIT:
        try:
            return json.loads(
                text, parse_int=whole_number, parse_float=fraction, parse_constant=_refuse_constant
            )
        except RecursionError:
            pass
        except json.JSONDecodeError as error:
            raise DecodeError(_reason(error), _byte_offset(text, error.pos)) from None
    return _Parser(text).parse()


def _text(data: bytes) -> str:
    encoding = json.detect_encoding(data) if data[:1] != b"\xef" else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise DecodeError(tr("not valid UTF-8"), error.start) from None


def whole_number(text: str) -> int | str:
    """Return a whole number exactly; one of more than 4,000 digits stays as written."""
    return int(text) if len(text) <= 4000 else RawNumber(text)


def fraction(text: str) -> Decimal | str:
    """Return a number with a fraction or exponent exactly as written."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return RawNumber(text)


def _refuse_constant(name: str) -> Any:
    raise DecodeError(tr("{name} is not JSON", name=name))


def _reason(error: json.JSONDecodeError) -> str:
    reason = error.msg.lower()
    return _REASONS.get(reason, reason)


def _byte_offset(text: str, position: int) -> int:
    return len(text[:position].encode("utf-8", "surrogatepass"))


class _Parser:
    """A JSON parser with its own stack."""

    def __init__(self, text: str) -> None:
        self.text = text

    def error(self, reason: str, position: int) -> DecodeError:
        return DecodeError(reason, _byte_offset(self.text, position))

    def scalar(self, position: int) -> tuple[Any, int]:
        """Read a string, number or literal that begins at `position`."""
        text = self.text
        character = text[position : position + 1]
        if character == '"':
            try:
                value, end = scanstring(text, position + 1, True)
            except json.JSONDecodeError as error:
                raise self.error(_reason(error), error.pos) from None
            return value, end
        if character in _LITERALS and character:
            word, literal = _LITERALS[character]
            if text.startswith(word, position):
                return literal, position + len(word)
        match = _NUMBER.match(text, position)
        if match is None:
            raise self.error(tr("expecting value"), position)
        written = match.group()
        exact = fraction(written) if match.group(1) or match.group(2) else whole_number(written)
        return exact, match.end()

    def key(self, position: int) -> tuple[str, int]:
        """Read ``"name" :`` and return the name and the place after the colon."""
        if self.text[position : position + 1] != '"':
            raise self.error(tr("expecting property name enclosed in double quotes"), position)
        name, position = self.scalar(position)
        position = self.skip(position)
        if self.text[position : position + 1] != ":":
            raise self.error(tr("expecting ':' delimiter"), position)
        return name, self.skip(position + 1)

    def skip(self, position: int) -> int:
        match = _SPACE.match(self.text, position)
        return match.end() if match else position

    def parse(self) -> Any:
        text = self.text
        stack: list[tuple[Any, str]] = []  # open containers, with the key under which each one's child goes
        container: Any = None
        name = ""
        position = self.skip(0)
        while True:
            character = text[position : position + 1]
            if character in "{[" and character:
                opened: Any = {} if character == "{" else []
                position = self.skip(position + 1)
                if text[position : position + 1] == ("}" if character == "{" else "]"):
                    value, position = opened, position + 1
                else:
                    stack.append((container, name))
                    container = opened
                    if character == "{":
                        name, position = self.key(position)
                    continue
            else:
                value, position = self.scalar(position)
            while True:  # put the value where it belongs, closing containers as they end
                if container is None:
                    position = self.skip(position)
                    if position != len(text):
                        raise self.error(tr("extra data"), position)
                    return value
                is_object = type(container) is dict
                if is_object:
                    container[name] = value
                else:
                    container.append(value)
                position = self.skip(position)
                character = text[position : position + 1]
                if character == ",":
                    position = self.skip(position + 1)
                    if is_object:
                        name, position = self.key(position)
                    break
                if character != ("}" if is_object else "]") or not character:
                    raise self.error(tr("expecting ',' delimiter"), position)
                value, position = container, position + 1
                container, name = stack.pop()


def write(value: Any, indent: int | None = 2) -> str:
    """Return JSON text of a decoded value; what JSON lacks is written as a readable string.

    `indent` None gives one line. Never recurses.
    """
    return "".join(write_parts(value, indent))


def write_parts(value: Any, indent: int | None = 2) -> Iterator[str]:
    """Yield the JSON text of a value in pieces, so that a caller may stop or yield in between."""
    space = "" if indent is None else " " * indent
    margins = [
        "" if indent is None else "\n" + space * min(level, MAX_INDENT) for level in range(MAX_INDENT + 1)
    ]
    separator = ", " if indent is None else ","
    # each open container: iterator over its items, its closing bracket, whether an item was written
    stack: list[tuple[Iterator[Any], str]] = []
    pending: Any = value
    yield_value = True
    prefix = ""
    while True:
        if yield_value:
            if isinstance(pending, dict) and pending:
                yield prefix + "{"
                stack.append((iter(pending.items()), "}"))
                prefix = margins[min(len(stack), MAX_INDENT)]
            elif isinstance(pending, list) and pending:
                yield prefix + "["
                stack.append((iter(pending), "]"))
                prefix = margins[min(len(stack), MAX_INDENT)]
            else:
                yield prefix + scalar_text(pending)
                prefix = separator + margins[min(len(stack), MAX_INDENT)]
            yield_value = False
        if not stack:
            return
        items, closing = stack[-1]
        try:
            item = next(items)
        except StopIteration:
            stack.pop()
            yield margins[min(len(stack), MAX_INDENT)] + closing
            prefix = separator + margins[min(len(stack), MAX_INDENT)]
            continue
        if closing == "}":
            name, pending = item
            yield prefix + key_text(name) + ": "
            prefix = ""
        else:
            pending = item
        yield_value = True


def key_text(name: Any) -> str:
    """Return an object key as JSON; keys that are no strings (MsgPack, CBOR) are written as text."""
    return json.dumps(name if isinstance(name, str) else scalar_text(name).strip('"'), ensure_ascii=False)


def scalar_text(value: Any) -> str:
    """Return one value without children as JSON text."""
    if isinstance(value, RawNumber):
        return str.__str__(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if value is True:
        return "true"
    if value is False:
        return "false"
    if value is None:
        return "null"
    if isinstance(value, int):
        return str(value) if value.bit_length() < 13_000 else json.dumps(hex(value))
    if isinstance(value, Decimal):
        return str(value) if value.is_finite() else json.dumps(str(value))
    if isinstance(value, float):
        return repr(value) if value == value and abs(value) != float("inf") else json.dumps(repr(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return json.dumps("base64:" + base64.b64encode(value).decode())
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, list):
        return "[]"
    return json.dumps(str(value), ensure_ascii=False)
