"""Checks a schema's text, and checks messages against it.

All of this runs in a process of its own (`worker`), because text from outside may be made to take for ever.
Nothing here fetches anything: a reference that leaves the schema is an error.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, TypeAlias

import orjson

from memphis_desktop.stations.schemas.violations import (
    AVRO,
    GRAPHQL,
    JSON,
    PROTOBUF,
    Content,
    ContentError,
    Violation,
    shortened,
)

# Raises Violation when the message does not fit.
Validate: TypeAlias = Callable[[bytes], None]

_MAX_TOKENS = 50_000  # of a GraphQL document


def check_content(kind: str, content: str, file_name: str = "", message: str = "") -> Content:
    """Return what there is to know about a schema's text.

    Args:
        kind: One of `violations.TYPES`.
        content: The text.
        file_name: Protobuf: the name the descriptor shows for the file.
        message: Protobuf: the message that producers send; the first one of the file if left out.

    Raises:
        ContentError: It is none of that type.
    """
    if not content.strip():
        raise ContentError("your schema content is invalid")
    if kind == PROTOBUF:
        return _check_protobuf(content, file_name or "schema.proto", message)
    if kind == JSON:
        _json_validator(content)
    elif kind == AVRO:
        _avro_schema(content)
    elif kind == GRAPHQL:
        _graphql_schema(content)
    else:
        raise ContentError(f"unsupported schema type {kind}")
    return Content()


def compile_validator(kind: str, content: str, message: str = "") -> Validate:
    """Return the function that checks messages against a schema.

    Raises:
        ContentError: The schema's text is none of its type.
    """
    if kind == PROTOBUF:
        return _validate_protobuf(content, message)
    if kind == JSON:
        return _validate_json(content)
    if kind == AVRO:
        return _validate_avro(content)
    if kind == GRAPHQL:
        return _validate_graphql(content)
    raise ContentError(f"unsupported schema type {kind}")


def _parse_json(payload: bytes) -> Any:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise Violation(f"the message is no JSON: {shortened(error)}") from None


# Protobuf ---------------------------------------------------------------------------------------------------


def _check_protobuf(content: str, file_name: str, message: str) -> Content:
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    from memphis_desktop.inspect.decode.proto_parser import names

    file, types = _protobuf_types(content, file_name)
    prefix = f".{file.package}." if file.package else "."
    found = tuple(
        full.removeprefix(prefix) for full, is_message in names(file) if is_message and types.get(full[1:])
    )
    if not found:
        raise ContentError("your Proto file is invalid: it has no message")
    chosen = message or found[0]
    if chosen not in found:
        raise ContentError(f"your Proto file is invalid: it has no message {shortened(chosen)}")
    described = FileDescriptorSet(file=[file]).SerializeToString()
    return Content(chosen, base64.b64encode(described).decode(), found)


def _protobuf_types(content: str, file_name: str) -> tuple[Any, Any]:
    from memphis_desktop.inspect.decode.proto_parser import ProtoSyntaxError, parse_proto
    from memphis_desktop.inspect.decode.schemas import ProtobufTypes, SchemaError

    try:
        file = parse_proto(content, file_name)
        if file.dependency:
            # SDKs are given this one file, so they could not use what it imports.
            raise ContentError("your Proto file is invalid: imports are not supported")
        types = ProtobufTypes()
        types.add_files([file])
    except (ProtoSyntaxError, SchemaError) as error:
        raise ContentError(f"your Proto file is invalid: {shortened(error)}") from None
    return file, types


def _validate_protobuf(content: str, message: str) -> Validate:
    from google.protobuf.message import DecodeError, EncodeError

    file, types = _protobuf_types(content, "schema.proto")
    chosen = message or (file.message_type[0].name if file.message_type else "")
    known = types.get(f"{file.package}.{chosen}" if file.package else chosen)
    if known is None:
        raise ContentError(f"your Proto file is invalid: it has no message {shortened(chosen)}")
    message_class = known.cls

    def validate(payload: bytes) -> None:
        parsed = message_class()
        try:
            parsed.ParseFromString(payload)
            parsed.SerializeToString()  # notices required fields that are missing
        except (DecodeError, EncodeError) as error:
            raise Violation(f"the message is no {chosen}: {shortened(error)}") from None

    return validate


# JSON Schema ------------------------------------------------------------------------------------------------


def _json_validator(content: str) -> Any:
    import jsonschema
    from referencing import Registry

    try:
        document = orjson.loads(content)
        if not isinstance(document, dict | bool):
            raise ContentError("your json schema is invalid")
        chosen = jsonschema.validators.validator_for(document, default=jsonschema.Draft202012Validator)
        chosen.check_schema(document)  # type: ignore[arg-type]  # true and false are schemas, too
    except (orjson.JSONDecodeError, jsonschema.SchemaError, RecursionError):
        raise ContentError("your json schema is invalid") from None
    return chosen(document, registry=Registry())  # an empty registry: it knows no way to fetch anything


def _validate_json(content: str) -> Validate:
    from jsonschema.exceptions import best_match
    from referencing.exceptions import Unresolvable

    validator = _json_validator(content)

    def validate(payload: bytes) -> None:
        document = _parse_json(payload)
        try:
            error = best_match(validator.iter_errors(document))
        except Unresolvable as unresolvable:
            raise Violation(f"the schema refers to {shortened(unresolvable)}, which is not in it") from None
        if error is not None:
            place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.path)
            where = f"{place.removeprefix('.')}: " if place else ""
            raise Violation(shortened(where + error.message))

    return validate


# Avro -------------------------------------------------------------------------------------------------------


def _avro_schema(content: str) -> Any:
    import fastavro

    try:
        return fastavro.parse_schema(orjson.loads(content))
    except Exception as error:  # the library lets many kinds through
        raise ContentError(f"your Avro file is invalid: {shortened(error) or type(error).__name__}") from None


def _validate_avro(content: str) -> Validate:
    """SDKs store the JSON text of a record, not Avro's binary form."""
    from fastavro.validation import ValidationError
    from fastavro.validation import validate as check

    schema = _avro_schema(content)

    def validate(payload: bytes) -> None:
        document = _parse_json(payload)
        try:
            check(document, schema, raise_errors=True)
        except ValidationError as error:
            raise Violation(shortened(error)) from None
        except (TypeError, ValueError, AttributeError, KeyError, OverflowError) as error:
            raise Violation(f"the message does not fit: {shortened(error)}") from None

    return validate


# GraphQL ----------------------------------------------------------------------------------------------------


def _graphql_text(error: Any) -> str:
    """Return a GraphQL error's text with its place, without the excerpt that the library adds."""
    place = error.locations[0] if getattr(error, "locations", None) else None
    where = f" (line {place.line}, column {place.column})" if place is not None else ""
    return shortened(getattr(error, "message", error)) + where


def _graphql_schema(content: str) -> Any:
    import graphql

    try:
        document = graphql.parse(content, max_tokens=_MAX_TOKENS)
        schema = graphql.build_ast_schema(document)
        errors = graphql.validate_schema(schema)
    except (graphql.GraphQLError, TypeError) as error:
        raise ContentError(_graphql_text(error)) from None
    if errors:
        raise ContentError(_graphql_text(errors[0]))
    return schema


def _validate_graphql(content: str) -> Validate:
    """A message is a query document that has to fit the schema."""
    import graphql

    schema = _graphql_schema(content)

    def validate(payload: bytes) -> None:
        try:
            document = graphql.parse(payload.decode("utf-8"), max_tokens=_MAX_TOKENS)
        except UnicodeDecodeError:
            raise Violation("the message is no UTF-8 text") from None
        except graphql.GraphQLError as error:
            raise Violation(_graphql_text(error)) from None
        errors = graphql.validate(schema, document, max_errors=1)
        if errors:
            raise Violation(_graphql_text(errors[0]))

    return validate
