"""Fields of a form, and the values that may stand in them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any

from memphis_desktop.inspect.draft import parse_hex
from memphis_desktop.language import tr

BASE64 = "base64:"
_HEX = "hex:"
_WHOLE = re.compile(r"[+-]?\d+")


class FieldKind(Enum):
    """What a field holds."""

    TEXT = "text"
    INTEGER = "whole number"
    NUMBER = "number"
    BOOLEAN = "true or false"  # untranslated: a key
    CHOICE = "choice"  # one of `options`
    BYTES = "bytes"
    OBJECT = "fields"
    LIST = "list"
    MAP = "map"
    UNION = "one of"  # one of `branches`
    NULL = "nothing"
    ANY = "any JSON"


_TITLES = {
    FieldKind.TEXT: tr("text"),
    FieldKind.INTEGER: tr("whole number"),
    FieldKind.NUMBER: tr("number"),
    FieldKind.BOOLEAN: tr("true or false"),
    FieldKind.CHOICE: tr("choice"),
    FieldKind.BYTES: tr("bytes"),
    FieldKind.OBJECT: tr("fields"),
    FieldKind.LIST: tr("list"),
    FieldKind.MAP: tr("map"),
    FieldKind.UNION: tr("one of"),
    FieldKind.NULL: tr("nothing"),
    FieldKind.ANY: tr("any JSON"),
}
SCALARS = frozenset(
    {
        FieldKind.TEXT,
        FieldKind.INTEGER,
        FieldKind.NUMBER,
        FieldKind.BOOLEAN,
        FieldKind.CHOICE,
        FieldKind.BYTES,
        FieldKind.NULL,
    }
)


class FieldProblem(ValueError):
    """A text that a field cannot hold; the error is a sentence."""


def _none() -> tuple[Field, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Field:
    """One field.

    Attributes:
        name: Its name in the object around it; empty for an item of a list.
        kind: What it holds.
        type_name: The type as the schema calls it ("uint64", "shop.Order").
        required: Whether it must be there.
        low, high: Bounds of a whole number.
        options: What a choice may be.
        children: The fields of an object or the branches of a union, made when asked for: types may contain
            themselves.
        item: The items of a list, or the values of a map, made when asked for.
        group: Fields of one object with the same group exclude each other (a oneof).
        help: What the schema says about it.
        initial: What it begins with; None for the usual.
        open: Whether an object may have further fields of any kind.
    """

    name: str
    kind: FieldKind
    type_name: str = ""
    required: bool = False
    low: int | None = None
    high: int | None = None
    options: tuple[str, ...] = ()
    children: Callable[[], tuple[Field, ...]] = _none
    item: Callable[[], Field] | None = None
    group: str = ""
    help: str = ""
    initial: Any = None
    open: bool = False

    def named(self, name: str) -> Field:
        """Return the same field under another name."""
        return replace(self, name=name)

    def title(self) -> str:
        """Return the type as shown."""
        return self.type_name or _TITLES[self.kind]


def default_value(field: Field, depth: int = 0) -> Any:
    """Return what a field begins with: objects with their required fields, lists empty.

    A type that requires itself ends after some levels; the schema's own check says what is missing then.
    """
    if field.initial is not None:
        return field.initial
    kind = field.kind
    if kind is FieldKind.OBJECT:
        if depth > 8:
            return {}
        return {child.name: default_value(child, depth + 1) for child in field.children() if child.required}
    if kind is FieldKind.UNION:
        branches = field.children()
        return default_value(branches[0], depth + 1) if branches and depth <= 8 else None
    if kind is FieldKind.CHOICE:
        return field.options[0] if field.options else ""
    if kind is FieldKind.INTEGER:
        return max(0, field.low or 0)
    plain = {
        FieldKind.TEXT: "", FieldKind.NUMBER: 0, FieldKind.BOOLEAN: False, FieldKind.BYTES: BASE64,
        FieldKind.LIST: [], FieldKind.MAP: {}, FieldKind.NULL: None, FieldKind.ANY: None,
    }  # fmt: skip
    value = plain[kind]
    return type(value)() if isinstance(value, list | dict) else value


def read_scalar(field: Field, text: str) -> Any:
    """Return the value a typed text means, numbers exactly.

    Raises:
        FieldProblem: the field cannot hold it; says why.
    """
    kind = field.kind
    if kind is FieldKind.TEXT:
        return text
    text = text.strip()
    if kind is FieldKind.INTEGER:
        digits = text.replace("_", "").replace(",", "")
        if not _WHOLE.fullmatch(digits) or len(digits) > 4000:
            raise FieldProblem(tr("{text!r} is no whole number", text=text[:40]))
        number = int(digits)
        if field.low is not None and number < field.low:
            raise FieldProblem(tr("{title} holds {low} at least", title=field.title(), low=field.low))
        if field.high is not None and number > field.high:
            raise FieldProblem(tr("{title} holds {high} at most", title=field.title(), high=field.high))
        return number
    if kind is FieldKind.NUMBER:
        return _number(text)
    if kind is FieldKind.BOOLEAN:
        folded = text.lower()
        if folded not in ("true", "false"):
            raise FieldProblem(tr("{text!r} is neither true nor false", text=text[:40]))
        return folded == "true"
    if kind is FieldKind.CHOICE:
        if text not in field.options:
            raise FieldProblem(
                tr("{text!r} is not one of {options}", text=text[:40], options=", ".join(field.options[:12]))
            )
        return text
    if kind is FieldKind.BYTES:
        return _bytes_text(text)
    if kind is FieldKind.NULL:
        return None
    raise FieldProblem(tr("{title} is not typed as a text", title=field.title()))


def _number(text: str) -> int | Decimal:
    if _WHOLE.fullmatch(text):
        return int(text)
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise FieldProblem(tr("{text!r} is no number", text=text[:40])) from None
    if not number.is_finite():
        raise FieldProblem(tr("JSON has no infinity and no NaN"))
    return number


def _bytes_text(text: str) -> str:
    """Bytes are written as ``base64:…``; ``hex:…`` is taken too."""
    if text.startswith(_HEX):
        try:
            return BASE64 + base64.b64encode(parse_hex(text[len(_HEX) :])).decode()
        except ValueError as error:
            raise FieldProblem(str(error)) from None
    try:
        base64.b64decode(text.removeprefix(BASE64), validate=True)
    except (binascii.Error, ValueError):
        raise FieldProblem(tr("Write bytes as base64:… or hex:…")) from None
    return text if text.startswith(BASE64) else BASE64 + text
