"""Reading JSON documents, and saying what is wrong with one in the words of the reference server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

_SPACE = " \t\r\n"
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LITERALS = {"t": "true", "f": "false", "n": "null"}


class InvalidJson(Exception):
    """The request is not the JSON it has to be; the text goes behind ``invalid JSON: `` in error 10025."""


def decode_documents(
    document: bytes, make_object: Callable[[list[tuple[str, Any]]], Any], make_number: Callable[[str], Any]
) -> Iterator[Any]:
    """Yield the values of a body that holds any number of JSON documents, one after another.

    Args:
        document: the body; invalid UTF-8 inside strings is replaced.
        make_object: called with the pairs of each object.
        make_number: called with the text of each number that is not an integer.

    Raises:
        InvalidJson: with the sentence for the client.
    """
    text = document.decode("utf-8", "replace")
    decoder = json.JSONDecoder(
        object_pairs_hook=make_object, parse_float=make_number, parse_constant=_refuse_constant
    )
    position = 0
    while True:
        while position < len(text) and text[position] in _SPACE:
            position += 1
        if position >= len(text):
            return
        try:
            value, position = decoder.raw_decode(text, position)
            if _ESCAPED_SURROGATE.search(text):
                value = _without_surrogates(value)
        except RecursionError:
            raise InvalidJson("exceeded max depth") from None
        except ValueError:
            raise InvalidJson(_explain(document, text[:position])) from None
        yield value


def _without_surrogates(value: Any) -> Any:
    """Return a decoded value with halves of surrogate pairs replaced: they can not be written again."""
    if isinstance(value, str):
        return type(value)(_SURROGATE.sub("\ufffd", value))
    if isinstance(value, list | tuple):
        return type(value)(_without_surrogates(element) for element in value)
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _explain(document: bytes, already_read: str) -> str:
    """Return the sentence for the first syntax error behind what was read."""
    start = len(already_read.encode())
    try:
        _Scanner(document).value(start)
    except _SyntaxFault as fault:
        if fault.position >= len(document):
            return "unexpected EOF"
        character = _quote(document[fault.position])
        return f"invalid character {character} {fault.context} at offset {fault.position + 1}"
    return "unexpected EOF"


class _SyntaxFault(Exception):
    def __init__(self, position: int, context: str = "") -> None:
        super().__init__(context)
        self.position = position
        self.context = context


class _Scanner:
    """Walks over one value to find where it stops being JSON. Only used when decoding has failed."""

    def __init__(self, document: bytes) -> None:
        self.text = document.decode("latin-1")

    def at(self, position: int) -> str:
        if position >= len(self.text):
            raise _SyntaxFault(position)
        return self.text[position]

    def space(self, position: int) -> int:
        while self.at(position) in _SPACE:
            position += 1
        return position

    def value(self, position: int) -> int:
        """Return the position behind the value that begins at `position`. Nesting is kept in a list."""
        nesting: list[str] = []
        while True:
            position = self.space(position)
            character = self.at(position)
            if character in "{[":
                nesting.append(character)
                position = self.space(position + 1)
                if self.at(position) == "]}"[character == "{"]:
                    nesting.pop()
                    position += 1
                elif character == "{":
                    position = self.key(position, "looking for beginning of object key string")
                    continue
                else:
                    continue
            else:
                position = self.scalar(position)
            position = self.close(position, nesting)
            if not nesting:
                return position

    def close(self, position: int, nesting: list[str]) -> int:
        """Step over what may follow a value: the ends of what surrounds it, and one comma."""
        while nesting:
            position = self.space(position)
            inside = nesting[-1]
            character = self.at(position)
            if character == ",":
                position = self.space(position + 1)
                if inside == "{":
                    position = self.key(position, "looking for beginning of object key string")
                return position
            if character != "]}"[inside == "{"]:
                what = "object key:value pair" if inside == "{" else "array element"
                raise _SyntaxFault(position, f"after {what}")
            nesting.pop()
            position += 1
        return position

    def key(self, position: int, context: str) -> int:
        if self.at(position) != '"':
            raise _SyntaxFault(position, context)
        position = self.space(self.string(position))
        if self.at(position) != ":":
            raise _SyntaxFault(position, "after object key")
        return position + 1

    def scalar(self, position: int) -> int:
        character = self.text[position]
        if character == '"':
            return self.string(position)
        if character == "-" or character.isdigit():
            return self.number(position)
        literal = _LITERALS.get(character)
        if literal is None:
            raise _SyntaxFault(position, "looking for beginning of value")
        for offset, expected in enumerate(literal[1:], 1):
            if self.at(position + offset) != expected:
                raise _SyntaxFault(position + offset, f"in literal {literal} (expecting '{expected}')")
        return position + len(literal)

    def string(self, position: int) -> int:
        position += 1
        while (character := self.at(position)) != '"':
            if character < " ":
                raise _SyntaxFault(position, "in string")
            if character == "\\":
                position += 1
                escape = self.at(position)
                if escape == "u":
                    for _ in range(4):
                        position += 1
                        if self.at(position) not in "0123456789abcdefABCDEF":
                            raise _SyntaxFault(position, "in \\u hexadecimal character escape")
                elif escape not in 'bfnrt\\/"':
                    raise _SyntaxFault(position, "in string escape code")
            position += 1
        return position + 1

    def number(self, position: int) -> int:
        if self.text[position] == "-":
            position += 1
            if not self.at(position).isdigit():
                raise _SyntaxFault(position, "in numeric literal")
        if self.text[position] == "0":
            position += 1
        else:
            position = self.digits(position)
        if self.text[position : position + 1] == ".":
            if not self.at(position + 1).isdigit():
                raise _SyntaxFault(position + 1, "after decimal point in numeric literal")
            position = self.digits(position + 1)
        if self.text[position : position + 1] in ("e", "E"):
            position += 1
            if self.at(position) in "+-":
                position += 1
            if not self.at(position).isdigit():
                raise _SyntaxFault(position, "in exponent of numeric literal")
            position = self.digits(position)
        return position

    def digits(self, position: int) -> int:
        while self.text[position : position + 1].isdigit():
            position += 1
        return position


def _quote(byte: int) -> str:
    if byte == 0x27:
        return "'\\''"
    if byte == 0x22:
        return "'\"'"
    special = {0x07: "\\a", 0x08: "\\b", 0x0C: "\\f", 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x0B: "\\v"}
    if byte in special:
        return f"'{special[byte]}'"
    if byte == 0x5C:
        return "'\\\\'"
    if byte < 0x20 or byte == 0x7F:
        return f"'\\x{byte:02x}'"
    return f"'{chr(byte)}'" if byte < 0x80 else f"'\\x{byte:02x}'"
