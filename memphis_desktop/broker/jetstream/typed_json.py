"""JSON requests bound to typed records, with the rules and the error texts of the reference server.

JetStream decodes strictly: unknown keys, wrong types and out-of-range numbers are refused with a sentence
that names the field, and tools show that sentence. Records are dataclasses whose fields are made with
`attribute`; the key in JSON is the field's name.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import orjson

from memphis_desktop.broker.jetstream.json_syntax import InvalidJson, decode_documents
from memphis_desktop.broker.jetstream.times import format_time, parse_time

T = TypeVar("T")

_KEEP: Any = object()  # "leave the field as it is"
_NUMERIC = frozenset(("int", "int32", "int64", "uint64", "time.Duration"))
_ESCAPES = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))


class Decoding:
    """One decode: the first soft error is remembered and reported when all is read."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.error: str | None = None

    def note(self, text: str) -> None:
        """Remember an error unless there is an earlier one."""
        if self.error is None:
            self.error = text

    def mismatch(self, value: Any, path: tuple[str, ...], type_name: str, in_struct: bool) -> None:
        """Remember that a value of the wrong type stood at `path`."""
        what = _kind_name(value)
        if not path:
            self.note(f"json: cannot unmarshal {what} into Go value of type server.{self.root}")
            return
        if what == "number" and type_name in _NUMERIC:
            what = f"number {value}"
        where = ".".join((self.root, *path))
        place = f"Go struct field {where}" if in_struct else where
        self.note(f"json: cannot unmarshal {what} into {place} of type {type_name}")


class Kind:
    """What a field may hold."""

    type_name: str = ""

    def decode(self, value: Any, path: tuple[str, ...], decoding: Decoding, in_struct: bool) -> Any:
        """Return the value to store, or `_KEEP` after noting an error."""
        raise NotImplementedError

    def encode(self, value: Any) -> Any:
        """Return what orjson can write."""
        return value

    def is_empty(self, value: Any) -> bool:
        """Return whether the key is left out when it may be."""
        return not value


class _String(Kind):
    type_name = "string"

    def decode(self, value: Any, path: tuple[str, ...], decoding: Decoding, in_struct: bool) -> Any:
        if isinstance(value, str) and not isinstance(value, NumberText):
            return value
        if value is not None:
            decoding.mismatch(value, path, self.type_name, in_struct)
        return _KEEP


class _Boolean(Kind):
    type_name = "bool"

    def decode(self, value: Any, path: tuple[str, ...], decoding: Decoding, in_struct: bool) -> Any:
        if isinstance(value, bool):
            return value
        if value is not None:
            decoding.mismatch(value, path, self.type_name, in_struct)
        return _KEEP


class _Integer(Kind):
    def __init__(self, type_name: str, lowest: int, highest: int) -> None:
        self.type_name = type_name
        self.lowest = lowest
        self.highest = highest

    def decode(self, value: Any, path: tuple[str, ...], decoding: Decoding, in_struct: bool) -> Any:
        if type(value) is int and self.lowest <= value <= self.highest:
            return value
        if value is None:
            return _KEEP
        decoding.mismatch(value, path, self.type_name, in_struct)
        return _KEEP


class _Time(Kind):
    """An optional time; None when unset."""

    type_name = "time.Time"

    def decode(self, value: Any, path: tuple[str, ...], decoding: Decoding, in_struct: bool) -> Any:
        if value is None:
            return None
        if not isinstance(value, str) or isinstance(value, NumberText):
            raise InvalidJson("Time.UnmarshalJSON: input is not a JSON string")
        try:
            return parse_time(value)
        except ValueError:
            layout = "2006-01-02T15:04:05Z07:00"
            rest = value if not value[:4].isdigit() else value[4:]
            part = "2006" if rest is value else "-"
            raise InvalidJson(
                f'parsing time {json.dumps(value)} as "{layout}": cannot parse {json.dumps(rest)} as "{part}"'
            ) from None

    def encode(self, value: Any) -> Any:
        return format_time(value)

    def is_empty(self, value: Any) -> bool:
        return value is None


class Choice(Kind):
    """One of a few words. `wrong` makes the error text out of the raw JSON."""

    def __init__(
        self,
        words: Mapping[str, str],
        wrong: Callable[[str], str] = lambda raw: f"can not unmarshal {json.dumps(raw)}",
        ignore_case: bool = False,
    ) -> None:
        self.words = words
        self.wrong = wrong
        self.ignore_case = ignore_case

    def decode(self, value: Any, path: tuple[str, ...], decoding: Decoding, in_struct: bool) -> Any:
        if isinstance(value, str) and not isinstance(value, NumberText):
            word = self.words.get(value.lower() if self.ignore_case else value)
            if word is not None:
                return word
        raise InvalidJson(self.wrong(raw_text(value)))

    def is_empty(self, value: Any) -> bool:
        return bool(value == next(iter(self.words.values())))


class ListOf(Kind):
    """An array."""

    def __init__(self, item: Kind) -> None:
        self.item = item
        self.type_name = "[]" + item.type_name

    def decode(self, value: Any, path: tuple[str, ...], decoding: Decoding, in_struct: bool) -> Any:
        if value is None:
            return []
        if not isinstance(value, list) or isinstance(value, JsonObject):
            decoding.mismatch(value, path, self.type_name, in_struct)
            return _KEEP
        result = []
        for index, element in enumerate(value):
            decoded = self.item.decode(element, (*path, str(index)), decoding, False)
            result.append(_zero(self.item) if decoded is _KEEP else decoded)
        return result

    def encode(self, value: Any) -> Any:
        return [self.item.encode(element) for element in value]


class _Metadata(Kind):
    """A map of texts, written with its keys in order."""

    type_name = "map[string]string"

    def decode(self, value: Any, path: tuple[str, ...], decoding: Decoding, in_struct: bool) -> Any:
        if value is None:
            return {}
        if not isinstance(value, JsonObject):
            decoding.mismatch(value, path, self.type_name, in_struct)
            return _KEEP
        result = {}
        for key, element in value:
            decoded = STRING.decode(element, (*path, key), decoding, True)
            result[key] = "" if decoded is _KEEP else decoded
        return result

    def encode(self, value: Any) -> Any:
        return dict(sorted(value.items()))


class _Anything(Kind):
    """A value that is taken as it is, and not looked into."""

    type_name = "interface {}"

    def decode(self, value: Any, path: tuple[str, ...], decoding: Decoding, in_struct: bool) -> Any:
        return value


class Record(Kind):
    """A nested record; `optional` ones are None until given."""

    def __init__(self, record: type[Any], type_name: str, optional: bool = True) -> None:
        self.record = record
        self.type_name = "server." + type_name
        self.optional = optional

    def decode(self, value: Any, path: tuple[str, ...], decoding: Decoding, in_struct: bool) -> Any:
        if value is None:
            return None if self.optional else _KEEP
        if not isinstance(value, JsonObject):
            decoding.mismatch(value, path, self.type_name, in_struct)
            return _KEEP
        instance = self.record()
        _fill(instance, value, path, decoding)
        return instance

    def encode(self, value: Any) -> Any:
        return to_json(value)

    def is_empty(self, value: Any) -> bool:
        return value is None


STRING = _String()
BOOLEAN = _Boolean()
INT = _Integer("int", -(1 << 63), (1 << 63) - 1)
INT32 = _Integer("int32", -(1 << 31), (1 << 31) - 1)
INT64 = _Integer("int64", -(1 << 63), (1 << 63) - 1)
UINT64 = _Integer("uint64", 0, (1 << 64) - 1)
DURATION = _Integer("time.Duration", -(1 << 63), (1 << 63) - 1)
TIME = _Time()
METADATA = _Metadata()
ANYTHING = _Anything()


class JsonObject(list[tuple[str, Any]]):
    """A decoded object: its pairs in the order they came, duplicates kept."""


class NumberText(str):
    """A number that is no integer of ours, as it was written."""

    __slots__ = ()


def attribute(kind: Kind, *, default: Any = _KEEP, always: bool = False) -> Any:
    """Make a dataclass field of `kind`; `always` writes the key even when the value is empty."""
    metadata = {"kind": kind, "always": always}
    if default is not _KEEP:
        return dataclasses.field(default=default, metadata=metadata)
    zero = _zero(kind)
    if isinstance(zero, list | dict) or (isinstance(kind, Record) and not kind.optional):
        return dataclasses.field(default_factory=lambda: _zero(kind), metadata=metadata)
    return dataclasses.field(default=zero, metadata=metadata)


def from_json(record: type[T], document: bytes, root: str) -> T:
    """Decode a request body into a new `record`. Empty bodies give the defaults.

    Several documents in one body are applied in order, as the reference server does.

    Args:
        record: a dataclass made of `attribute` fields.
        document: the body.
        root: the name that error texts give to the whole record.

    Raises:
        InvalidJson: the text to put behind ``invalid JSON: ``.
    """
    result = record()
    for value in decode_documents(document, JsonObject, NumberText):
        decoding = Decoding(root)
        if isinstance(value, JsonObject):
            _fill(result, value, (), decoding)
        elif value is not None:
            decoding.mismatch(value, (), "", True)
        if decoding.error is not None:
            raise InvalidJson(decoding.error)
    return result


def lenient_from_json(record: type[T], document: bytes) -> T | None:
    """Decode a body whose unknown keys do not matter, as of direct gets; None when it is bad."""
    try:
        values = list(decode_documents(document, JsonObject, NumberText))
        if len(values) != 1 or not isinstance(values[0], JsonObject):
            return None
        decoding = Decoding("")
        result = record()
        _fill(result, values[0], (), decoding, strict=False)
    except InvalidJson:
        return None
    return result if decoding.error is None else None


def to_json(record: Any) -> dict[str, Any]:
    """Return a record as the dict that `encode_json` writes, keys in order, empty ones left out."""
    result = {}
    for name, kind, always in _fields(type(record)):
        value = getattr(record, name)
        if always or not kind.is_empty(value):
            result[name] = kind.encode(value)
    return result


def encode_json(value: Any) -> bytes:
    """Write JSON with the characters escaped that the reference server escapes."""
    document = orjson.dumps(value)
    for character, escape in _ESCAPES:
        if character in document:
            document = document.replace(character, escape)
    return document


def copy_record(record: T) -> T:
    """Return a deep copy of a record."""
    values = {}
    for name, kind, _ in _fields(type(record)):
        value = getattr(record, name)
        if isinstance(value, dict):
            value = dict(value)
        elif isinstance(value, list):
            nested = isinstance(kind, ListOf) and isinstance(kind.item, Record)
            value = [copy_record(element) for element in value] if nested else list(value)
        elif value is not None and isinstance(kind, Record):
            value = copy_record(value)
        values[name] = value
    return type(record)(**values)


def raw_text(value: Any) -> str:
    """Return a decoded value as JSON text again, for error texts."""
    if isinstance(value, NumberText):
        return str(value)
    if isinstance(value, JsonObject):
        inner = ",".join(f"{json.dumps(key)}:{raw_text(element)}" for key, element in value)
        return "{" + inner + "}"
    if isinstance(value, list):
        return "[" + ",".join(raw_text(element) for element in value) + "]"
    return json.dumps(value, ensure_ascii=False)


class _FieldCache:
    fields: ClassVar[dict[type[Any], tuple[tuple[str, Kind, bool], ...]]] = {}
    by_key: ClassVar[dict[type[Any], dict[str, tuple[str, Kind]]]] = {}


def _fields(record: type[Any]) -> tuple[tuple[str, Kind, bool], ...]:
    known = _FieldCache.fields.get(record)
    if known is None:
        known = tuple(
            (field.name, field.metadata["kind"], field.metadata["always"])
            for field in dataclasses.fields(record)
            if "kind" in field.metadata
        )
        _FieldCache.fields[record] = known
        _FieldCache.by_key[record] = {name: (name, kind) for name, kind, _ in known}
    return known


def _fill(
    instance: Any, pairs: JsonObject, path: tuple[str, ...], decoding: Decoding, strict: bool = True
) -> None:
    """Set the fields of `instance` from `pairs`. Keys match without regard to case, as in Go."""
    _fields(type(instance))
    by_key = _FieldCache.by_key[type(instance)]
    for key, value in pairs:
        found = by_key.get(key) or by_key.get(key.lower())
        if found is None:
            if strict:
                decoding.note(f"json: unknown field {json.dumps(key, ensure_ascii=False)}")
            continue
        name, kind = found
        decoded = kind.decode(value, (*path, name), decoding, True)
        if decoded is not _KEEP:
            setattr(instance, name, decoded)


def _zero(kind: Kind) -> Any:
    if isinstance(kind, _String):
        return ""
    if isinstance(kind, _Boolean):
        return False
    if isinstance(kind, _Integer):
        return 0
    if isinstance(kind, ListOf):
        return []
    if isinstance(kind, _Metadata):
        return {}
    if isinstance(kind, Record) and not kind.optional:
        return kind.record()
    if isinstance(kind, Choice):
        return next(iter(kind.words.values()))
    return None


def _kind_name(value: Any) -> str:
    if isinstance(value, NumberText):
        return "number"
    if isinstance(value, JsonObject):
        return "object"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "number"
