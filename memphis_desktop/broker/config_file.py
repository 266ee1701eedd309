"""The configuration language of nats-server: text to a tree of values that know where they stand.

Keys and values are divided by ``:``, ``=`` or white space; items end with a newline, a comma or a semicolon;
``#`` and ``//`` begin comments. There are blocks, arrays, strings in three forms, numbers with units,
variables (an earlier key of this or an outer block, else the environment) and ``include``. JSON is a subset.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

# Nested deeper than any sensible file; a guard for the reader's own stack.
_MAX_DEPTH = 100

_SIZES: dict[str, int] = {
    "": 1,
    "k": 1000,
    "m": 1000**2,
    "g": 1000**3,
    "t": 1000**4,
    "p": 1000**5,
    "e": 1000**6,
}
_BINARY: dict[str, int] = {
    name + end: 1024**power for power, name in enumerate("kmgtpe", 1) for end in ("b", "i", "ib")
}
_INTEGER = re.compile(r"([+-]?[0-9]+)([kmgtpe]?(?:i?b|i)?)\Z", re.IGNORECASE | re.ASCII)
_FLOAT = re.compile(r"[+-]?[0-9]+\.[0-9]+\Z", re.ASCII)
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_VARIABLE = re.compile(r"\$[A-Za-z0-9_.-]+\Z", re.ASCII)
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", '"': '"', "\\": "\\"}
_SPACES = " \t\r"
_BLANKS = _SPACES + "\n"
_BARE_END = frozenset(_BLANKS + ",;]}")
_KEY_END = frozenset(_BLANKS + ":={")


class ConfigError(Exception):
    """A mistake in a configuration file; the text names the place: ``file:line:column: what``."""


Scalar: TypeAlias = "str | int | float | bool"
Content: TypeAlias = "Scalar | list[Value] | dict[str, Value]"


@dataclass(slots=True)
class Value:
    """A value, and where it stands. `key` keeps the writing of the key it belongs to.

    `referenced` says that a variable refers to it: such keys may have any name.
    """

    content: Content
    place: str
    key: str = ""
    referenced: bool = False

    def fail(self, text: str) -> ConfigError:
        """Return an error about this value."""
        return ConfigError(f"{self.place}: {text}")


@dataclass(slots=True)
class _Reader:
    text: str
    name: str
    folder: Path
    environment: Mapping[str, str]
    depth: int
    position: int = 0
    scopes: list[dict[str, Value]] = field(default_factory=list)
    line_starts: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.line_starts = [0, *(found.end() for found in re.finditer("\n", self.text))]

    # -- places and white space ------------------------------------------------------------------------------
    def place(self, position: int | None = None) -> str:
        at = self.position if position is None else position
        line = bisect_right(self.line_starts, at)
        return f"{self.name}:{line}:{at - self.line_starts[line - 1] + 1}"

    def fail(self, text: str, position: int | None = None) -> ConfigError:
        return ConfigError(f"{self.place(position)}: Parse error: {text}")

    def peek(self) -> str:
        return self.text[self.position : self.position + 1]

    def skip(self, characters: str) -> None:
        """Pass over these characters and comments."""
        text = self.text
        while self.position < len(text):
            if text[self.position] in characters:
                self.position += 1
            elif text[self.position] == "#" or text.startswith("//", self.position):
                end = text.find("\n", self.position)
                self.position = len(text) if end < 0 else end
            else:
                return

    # -- blocks and arrays -----------------------------------------------------------------------------------
    def items(self, end: str) -> dict[str, Value]:
        """Read keys and values up to `end` ("" for the end of the text)."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.fail("nested too deeply")
        scope: dict[str, Value] = {}
        self.scopes.append(scope)
        while True:
            self.skip(_BLANKS + ",;")
            if self.position >= len(self.text):
                if end:
                    raise self.fail(f"the block is not closed with '{end}'")
                break
            if self.peek() == end:
                self.position += 1
                break
            self.item(scope)
        self.scopes.pop()
        self.depth -= 1
        return scope

    def item(self, scope: dict[str, Value]) -> None:
        start = self.position
        key = self.key()
        if key.lower() == "include":
            self.skip(_SPACES)
            if self.peek() not in (":", "="):
                self.include(scope, start)
                return
        self.skip(_BLANKS)
        if self.peek() in (":", "="):
            self.position += 1
            self.skip(_BLANKS)
        elif self.position >= len(self.text) or self.peek() in "}],;":
            raise self.fail(f"the key '{key}' has no value", start)
        value = self.value()
        scope[key.lower()] = Value(value.content, self.place(start), key)

    def key(self) -> str:
        if self.peek() in ('"', "'"):
            return self.quoted()
        start = self.position
        while self.position < len(self.text) and self.text[self.position] not in _KEY_END:
            self.position += 1
        if self.position == start:
            raise self.fail(f"a key was expected, not '{self.peek()}'")
        return self.text[start : self.position]

    def array(self) -> list[Value]:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.fail("nested too deeply")
        values: list[Value] = []
        while True:
            self.skip(_BLANKS + ",")
            if self.position >= len(self.text):
                raise self.fail("the array is not closed with ']'")
            if self.peek() == "]":
                self.position += 1
                self.depth -= 1
                return values
            values.append(self.value())

    # -- values ----------------------------------------------------------------------------------------------
    def value(self) -> Value:
        place = self.place()
        character = self.peek()
        if character == "{":
            self.position += 1
            return Value(self.items("}"), place)
        if character == "[":
            self.position += 1
            return Value(self.array(), place)
        if character in ('"', "'") and character:
            return Value(self.quoted(), place)
        if character == "(":
            return Value(self.block_text(), place)
        return self.bare(place)

    def quoted(self) -> str:
        start = self.position
        quote = self.peek()
        self.position += 1
        parts: list[str] = []
        while self.position < len(self.text):
            character = self.text[self.position]
            self.position += 1
            if character == quote:
                return "".join(parts)
            if character == "\\" and quote == '"':
                character = self.escape()
            parts.append(character)
        raise self.fail("the text is not closed", start)

    def escape(self) -> str:
        code = self.peek()
        self.position += 1
        if code == "x":
            digits = self.text[self.position : self.position + 2]
            self.position += 2
            if re.fullmatch(r"[0-9A-Fa-f]{2}", digits):
                return chr(int(digits, 16))
        elif code in _ESCAPES:
            return _ESCAPES[code]
        raise self.fail(f"unknown escape '\\{code}'", self.position - 1)

    def block_text(self) -> str:
        start = self.position
        end = re.compile(r"\n[ \t]*\)").search(self.text, start)
        if end is None:
            raise self.fail("the block of text is not closed with ')' on a line of its own", start)
        self.position = end.end()
        return self.text[start + 1 : end.start()].lstrip(" \t").removeprefix("\n")

    def bare(self, place: str) -> Value:
        start = self.position
        text = self.text
        while self.position < len(text) and text[self.position] not in _BARE_END:
            self.position += 1
        word = text[start : self.position]
        if not word:
            raise self.fail("a value was expected", start)
        if _VARIABLE.match(word) and not word.startswith("$2a$"):
            return self.variable(word[1:], place)
        return Value(scalar(word), place)

    def variable(self, name: str, place: str) -> Value:
        for scope in reversed(self.scopes):
            if name.lower() in scope:
                scope[name.lower()].referenced = True
                return Value(scope[name.lower()].content, place)
        if name not in self.environment:
            raise ConfigError(f"{place}: variable reference for '{name}' can not be found")
        return Value(scalar(self.environment[name]), place)

    def include(self, scope: dict[str, Value], start: int) -> None:
        name = self.quoted() if self.peek() in ('"', "'") else str(self.bare(self.place()).content)
        path = self.folder / name
        if self.depth > 16:
            raise self.fail("files include each other", start)
        reader = _reader_of(path, self.environment, self.depth + 4, self.place(start))
        reader.scopes = self.scopes
        scope.update(reader.items(""))


def scalar(word: str) -> Scalar:
    """Return what a bare word means: a truth value, a number with its unit, or the word itself."""
    known: bool | None = _WORDS.get(word.lower())
    if known is not None:
        return known
    integer = _INTEGER.match(word)
    if integer is not None:
        unit = integer[2].lower()
        if unit in _SIZES:
            return int(integer[1]) * _SIZES[unit]
        if unit in _BINARY:
            return int(integer[1]) * _BINARY[unit]
    if _FLOAT.match(word):
        return float(word)
    return word


def _reader_of(path: Path, environment: Mapping[str, str], depth: int, place: str = "") -> _Reader:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{place or path}: cannot read '{path}': {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}:1:1: the file is not text in UTF-8") from None
    return _Reader(
        text.removeprefix("\ufeff").replace("\r\n", "\n"), str(path), path.parent, environment, depth
    )


def read_file(path: Path, environment: Mapping[str, str] = os.environ) -> dict[str, Value]:
    """Read a configuration file; keys in small letters.

    Raises:
        ConfigError: the file cannot be read, or has a mistake; the text names the place.
    """
    return _document(_reader_of(path, environment, 0))


def read_text(
    text: str, name: str = "text", environment: Mapping[str, str] | None = None
) -> dict[str, Value]:
    """Read a configuration from a text; `name` stands for the file in errors.

    Raises:
        ConfigError: there is a mistake.
    """
    return _document(_Reader(text, name, Path(), environment if environment is not None else {}, 0))


def _document(reader: _Reader) -> dict[str, Value]:
    reader.skip(_BLANKS)
    if reader.peek() != "{":
        return reader.items("")
    reader.position += 1
    document = reader.items("}")
    reader.skip(_BLANKS)
    if reader.position < len(reader.text):
        raise reader.fail("something follows the end of the document")
    return document


def walk(value: Value) -> Iterator[Value]:
    """Yield a value and everything inside of it."""
    yield value
    if isinstance(value.content, list):
        for one in value.content:
            yield from walk(one)
    elif isinstance(value.content, dict):
        for one in value.content.values():
            yield from walk(one)
