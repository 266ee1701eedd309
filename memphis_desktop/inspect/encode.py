"""Bodies written as JSON and sent as something else; bytes are written as ``base64:…`` in it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import cbor2
import msgpack  # type: ignore[import-untyped]

from memphis_desktop.inspect.decode import DecodeError, exact_json
from memphis_desktop.inspect.decode.rules import Decoders
from memphis_desktop.inspect.decode.schemas import SchemaError
from memphis_desktop.inspect.forms import avro as avro_fields
from memphis_desktop.inspect.forms import protobuf
from memphis_desktop.inspect.forms.fields import BASE64, Field, FieldKind
from memphis_desktop.inspect.forms.matching import branch_of
from memphis_desktop.language import tr

PLAIN = ("json", "msgpack", "cbor")
MAX_DEPTH = 200


def encode_json(text: str, kind: str, schema: str, decoders: Decoders) -> bytes:
    """Return the bytes of a JSON text in another form: msgpack, cbor, protobuf or avro with a schema.

    Raises:
        ValueError: the text is no JSON, or does not fit; says why.
    """
    data = text.encode("utf-8", "surrogateescape")
    if kind == "json":
        return data
    try:
        value = exact_json.parse(data)
        if kind == "msgpack":
            return bytes(msgpack.packb(_plain(value, exact=False)))
        if kind == "cbor":
            return bytes(cbor2.dumps(_plain(value, exact=True)))
        if kind == "protobuf":
            found = decoders.protobuf.get(schema)
            if found is None:
                raise SchemaError(tr("The message type {schema} is not loaded", schema=schema))
            fitting = _Fitting(lambda text: base64.b64encode(_bytes(text)).decode())
            return found.encode(fitting.fit(value, protobuf.message_field(found.descriptor)))
        avro = decoders.avro.get(schema)
        if avro is None:
            raise SchemaError(tr("The Avro schema {schema} is not loaded", schema=schema))
        fitting = _Fitting(lambda text: _bytes(text) if text.startswith(BASE64) else text.encode())
        return avro.encode(fitting.fit(value, avro_fields.schema_field(avro.parsed)))
    except DecodeError as error:
        raise ValueError(tr("Not JSON: {error}", error=error)) from None
    except SchemaError as error:
        raise ValueError(str(error)) from None
    except (OverflowError, TypeError, RecursionError) as error:
        raise ValueError(tr("This cannot be written as {kind}: {error}", kind=kind, error=error)) from None


def _plain(value: Any, *, exact: bool, depth: int = 0) -> Any:
    """Return a value with bytes as bytes, and without decimals where the form has none."""
    _check(depth)
    if isinstance(value, dict):
        return {key: _plain(item, exact=exact, depth=depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, exact=exact, depth=depth + 1) for item in value]
    if isinstance(value, str) and value.startswith(BASE64):
        return _bytes(value)
    return float(value) if isinstance(value, Decimal) and not exact else value


def _check(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(tr("The body is nested too deep for this form"))


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text.removeprefix(BASE64), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(tr("{text!r} is no base64", text=text[:40])) from None


class _Fitting:
    """Turns JSON values into what a library expects for the fields of a type; what does not fit stays."""

    def __init__(self, write_bytes: Callable[[str], Any]) -> None:
        self._write_bytes = write_bytes

    def fit(self, value: Any, field: Field, depth: int = 0) -> Any:
        _check(depth)
        kind = field.kind
        if kind is FieldKind.UNION:
            return self._union(value, field.children(), depth)
        if isinstance(value, dict):
            if kind is FieldKind.OBJECT:
                children = {child.name: child for child in field.children()}
                return {
                    key: self.fit(item, children.get(key, _ANY), depth + 1) for key, item in value.items()
                }
            item_field = field.item() if field.item is not None else _ANY
            return {key: self.fit(item, item_field, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            item_field = field.item() if kind is FieldKind.LIST and field.item is not None else _ANY
            return [self.fit(item, item_field, depth + 1) for item in value]
        if kind is FieldKind.BYTES and isinstance(value, str):
            return self._write_bytes(value)
        if kind is FieldKind.NUMBER and field.type_name.startswith(_DECIMAL):
            return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if isinstance(value, Decimal):
            return float(value)
        return value

    def _union(self, value: Any, branches: tuple[Field, ...], depth: int) -> Any:
        """Take the first branch a value looks like."""
        return self.fit(value, branch_of(value, branches) or _ANY, depth + 1)


_ANY = Field("", FieldKind.ANY)
_DECIMAL = "decimal"
