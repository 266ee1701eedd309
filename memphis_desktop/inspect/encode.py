"""Bodies written as JSON and sent as something else."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import cbor2
import msgpack  # type: ignore[import-untyped]

from memphis_desktop.inspect.decode import DecodeError, exact_json
from memphis_desktop.inspect.decode.rules import Decoders
from memphis_desktop.inspect.decode.schemas import SchemaError

PLAIN = ("json", "msgpack", "cbor")


def encode_json(text: str, kind: str, schema: str, decoders: Decoders) -> bytes:
    """Return the bytes of a JSON text in another form: msgpack, cbor, protobuf or avro with a schema.

    Raises:
        ValueError: the text is no JSON, or does not fit; says why.
    """
    data = text.encode("utf-8", "surrogateescape")
    if kind == "json":
        return data
    try:
        value = _plain(exact_json.parse(data), exact=kind == "cbor")
        if kind == "msgpack":
            return bytes(msgpack.packb(value))
        if kind == "cbor":
            return bytes(cbor2.dumps(value))
        if kind == "protobuf":
            found = decoders.protobuf.get(schema)
            if found is None:
                raise SchemaError(f"The message type {schema} is not loaded")
            return found.encode(value)
        avro = decoders.avro.get(schema)
        if avro is None:
            raise SchemaError(f"The Avro schema {schema} is not loaded")
        return avro.encode(value)
    except DecodeError as error:
        raise ValueError(f"Not JSON: {error}") from None
    except SchemaError as error:
        raise ValueError(str(error)) from None
    except (OverflowError, TypeError, RecursionError) as error:
        raise ValueError(f"This cannot be written as {kind}: {error}") from None


def _plain(value: Any, *, exact: bool, depth: int = 0) -> Any:
    """Return a value without decimals where the form has none."""
    if depth > 200:
        raise ValueError("The body is nested too deep for this form")
    if isinstance(value, dict):
        return {key: _plain(item, exact=exact, depth=depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, exact=exact, depth=depth + 1) for item in value]
    return float(value) if isinstance(value, Decimal) and not exact else value
