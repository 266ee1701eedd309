"""A schema that bodies for a subject have to fit: of a decoder rule, or of a station."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memphis_desktop.inspect.decode import DecodeError
from memphis_desktop.inspect.decode.json_schema import JsonSchema, JsonSchemaError
from memphis_desktop.inspect.decode.rules import DecoderRule, Decoders
from memphis_desktop.inspect.decode.schemas import AvroSchema, ProtobufTypes, SchemaError
from memphis_desktop.inspect.encode import encode_json
from memphis_desktop.inspect.forms import Field, avro, json_types, protobuf
from memphis_desktop.inspect.message import Headers, InspectedMessage
from memphis_desktop.inspect.registry import wire
from memphis_desktop.inspect.registry.schemas import RegistrySchema
from memphis_desktop.language import tr


@dataclass(frozen=True)
class AttachedSchema:
    """What a body is checked against before it is sent.

    Attributes:
        kind: "protobuf", "avro" or "json".
        schema: The type's or schema's name in `decoders`.
        decoders: Where it is loaded.
        title: What it is, and why it holds here, in words.
        frame: What stands before the bytes: the mark of a schema registry.
    """

    kind: str
    schema: str
    decoders: Decoders
    title: str
    frame: bytes = b""

    def encode(self, text: str) -> bytes:
        """Return the bytes of a body written as JSON; raises ValueError when it does not fit."""
        return self.frame + encode_json(text, self.kind, self.schema, self.decoders)

    def field(self) -> Field | None:
        """Return the fields of the body, None when the schema is not loaded."""
        return schema_field(self.kind, self.schema, self.decoders)

    def problem(self, payload: bytes) -> str:
        """Return why a payload does not fit, or nothing."""
        if not payload.startswith(self.frame):
            return tr("This does not begin with the mark of {title}", title=self.title)
        try:
            value = self.decoders.parser(self.kind, self.schema)(payload[len(self.frame) :])
        except (DecodeError, SchemaError, ValueError, OverflowError, RecursionError) as error:
            return tr("This is no {title}: {error}", title=self.title, error=error)
        if self.kind != "json":
            return ""
        problems = self.decoders.json_schemas[self.schema].problems(value)
        if len(problems) > 1:
            return tr(
                "This does not fit {title}. {problem}, and {count} more",
                title=self.title, problem=problems[0], count=len(problems) - 1,
            )  # fmt: skip
        return (
            tr("This does not fit {title}. {problem}", title=self.title, problem=problems[0])
            if problems
            else ""
        )


def schema_field(kind: str, schema: str, decoders: Decoders) -> Field | None:
    """Return the fields of a loaded type or schema, None when there is none such."""
    if kind == "protobuf":
        found = decoders.protobuf.get(schema)
        return None if found is None else protobuf.message_field(found.descriptor)
    if kind == "avro":
        avro_schema = decoders.avro.get(schema)
        return None if avro_schema is None else avro.schema_field(avro_schema.parsed)
    json_schema = decoders.json_schemas.get(schema) if kind == "json" else None
    return None if json_schema is None else json_types.schema_field(json_schema.schema)


def rule_of_draft(
    decoders: Decoders, stream: str, subject: str, headers: Sequence[tuple[str, str]]
) -> DecoderRule | None:
    """Return the decoder rule that a message being written would fall under."""
    try:
        block = Headers(headers).encode()
    except ValueError:
        block = b""
    return decoders.rule_for(InspectedMessage(stream, 0, 0, subject, block, b""))


def schema_of_rule(decoders: Decoders, rule: DecoderRule | None) -> AttachedSchema | None:
    """Return the schema of a decoder rule, if it has one that bodies can be written by."""
    if rule is None or not rule.schema or schema_field(rule.kind, rule.schema, decoders) is None:
        return None
    return AttachedSchema(
        rule.kind,
        rule.schema,
        decoders,
        tr("{schema} (rule for {messages})", schema=rule.schema, messages=rule.description()),
    )


def schema_of_registry(found: RegistrySchema, message: str, title: str) -> AttachedSchema:
    """Return a schema of a registry, by which bodies are written with their mark.

    Args:
        found: The schema.
        message: Protobuf: the full name of one of its file's messages; the first when empty.
        title: What it is, in words.

    Raises:
        SchemaError: its file has no such message.
    """
    decoders, frame = Decoders(), wire.mark(found.fetched.id)
    schema = found.schema
    if isinstance(schema, ProtobufTypes):
        file = schema.file(found.file)
        path = wire.path_of(file, message) if message else (0,)
        if path is None or not file.message_type:
            raise SchemaError(
                tr("The schema has no message {name}", name=message)
                if message
                else tr("The schema has no message at all")
            )
        decoders.protobuf.add_types(schema)
        name = wire.message_name(file, path)
        frame += wire.write_path(path)
    elif isinstance(schema, AvroSchema):
        decoders.avro[schema.name] = schema
        name = schema.name
    else:
        decoders.json_schemas[schema.name] = schema
        name = schema.name
    return AttachedSchema(found.kind, name, decoders, title, frame)


def schema_of_text(kind: str, content: str, message: str, title: str) -> AttachedSchema | None:
    """Return a schema given as text, None for a kind that bodies cannot be written in here (GraphQL).

    Args:
        kind: "protobuf" (the text of a .proto file), "json" or "avro".
        content: The schema.
        message: Protobuf: which of its types; the only one when empty.
        title: What it is, in words.

    Raises:
        SchemaError: It cannot be used; says why.
    """
    decoders = Decoders()
    if kind == "protobuf":
        decoders.protobuf.add_text(content)
        names = decoders.protobuf.names()
        found = decoders.protobuf.get(message) if message else None
        name = found.name if found is not None else names[0] if len(names) == 1 else ""
    elif kind == "avro":
        schema = AvroSchema.from_text(content)
        decoders.avro[schema.name] = schema
        name = schema.name
    elif kind == "json":
        try:
            checked = JsonSchema.from_bytes(content.encode())
        except JsonSchemaError as error:
            raise SchemaError(str(error)) from None
        decoders.json_schemas[checked.name] = checked
        name = checked.name
    else:
        return None
    return AttachedSchema(kind, name, decoders, title) if name else None
