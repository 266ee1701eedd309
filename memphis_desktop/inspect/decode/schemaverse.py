"""Memphis's Schemaverse as a source of decoders: what a connection's schemas were when they were last read.

Messages of Memphis carry no number of a schema's version. So they are read with the version that their
station enforces, else the active one, and if that does not fit with the others, the newest first; which one
it was is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from memphis_desktop.inspect.decode import exact_json
from memphis_desktop.inspect.decode.json_schema import JsonSchema, JsonSchemaError
from memphis_desktop.inspect.decode.model import DecodeError, Verdict
from memphis_desktop.inspect.decode.schemas import AvroSchema, ProtobufType, ProtobufTypes, SchemaError
from memphis_desktop.language import tr

MAX_TRIED = 20  # versions, for one payload


@dataclass(frozen=True)
class VersionText:
    """One version: its text, and for protobuf which of its messages producers send."""

    number: int
    content: str
    message: str = ""


@dataclass(frozen=True)
class VersionedSchema:
    """A schema with its versions; `kind` is "protobuf", "json", "avro" or "graphql"."""

    name: str
    kind: str
    active: int
    versions: tuple[VersionText, ...]


@dataclass(frozen=True)
class SchemaverseSource:
    """The schemas of one connection.

    Attributes:
        id: Of the connection's profile.
        title: The connection's name, as rules call it.
        schemas: Every schema with all its versions.
        streams: Which schema and version the stations enforce, by stream.
        automatic: Read the messages of those stations by it, when no rule claims them.
    """

    id: str
    title: str
    schemas: tuple[VersionedSchema, ...] = ()
    streams: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    automatic: bool = True

    def schema(self, name: str) -> VersionedSchema | None:
        """Return a schema by its name."""
        return next((schema for schema in self.schemas if schema.name == name), None)

    def record(self) -> dict[str, Any]:
        """Return plain data to keep."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: object) -> SchemaverseSource | None:
        """Read what was kept; None when it is damaged."""
        try:
            fields = dict(record) if isinstance(record, Mapping) else {}
            fields["schemas"] = tuple(
                VersionedSchema(
                    **{**schema, "versions": tuple(VersionText(**entry) for entry in schema["versions"])}
                )
                for schema in fields.get("schemas") or ()
            )
            streams = fields.get("streams") or {}
            fields["streams"] = {str(name): (str(use[0]), int(use[1])) for name, use in streams.items()}
            return cls(**fields)
        except (TypeError, KeyError, ValueError, IndexError, AttributeError):
            return None


class SchemaverseSchemas:
    """Reads payloads with the versions of a source's schemas; each is made ready when it is first needed."""

    def __init__(self, source: SchemaverseSource) -> None:
        self.source = source
        self._ready: dict[tuple[str, int], ProtobufType | AvroSchema | JsonSchema | str] = {}

    def read(self, payload: bytes, name: str, version: int = 0) -> tuple[Any, str, list[Verdict]]:
        """Return the value of a payload, what it is in words, and the verdict of every version tried.

        Args:
            payload: The bytes, unwrapped.
            name: The schema.
            version: The version to begin with; 0 for the active one.

        Raises:
            DecodeError: there is no such schema, or no version fits; says why the first did not.
        """
        schema = self.source.schema(name)
        if schema is None:
            raise DecodeError(tr("{title} has no schema {name}", title=self.source.title, name=name))
        if schema.kind == "graphql":
            raise DecodeError(tr("GraphQL requests are text"))
        first = version or schema.active
        order = sorted(schema.versions, key=lambda entry: (entry.number != first, -entry.number))
        verdicts: list[Verdict] = []
        for entry in order[:MAX_TRIED]:
            title = tr("{schema} version {number}", schema=schema.name, number=entry.number)
            try:
                value, problem = self._read(payload, schema, entry)
            except (DecodeError, SchemaError) as error:
                verdicts.append(Verdict(title, False, str(error), getattr(error, "offset", None)))
                continue
            if problem:
                verdicts.append(Verdict(title, False, problem))
                continue
            fits = (
                tr("the value fits, the active one")
                if entry.number == schema.active
                else tr("the value fits")
            )
            verdicts.append(Verdict(title, True, fits))
            return value, title, verdicts
        if schema.kind == "json":  # it can be read all the same, and what is wrong is worth saying
            value = exact_json.parse(payload)
            return value, tr("{schema}, which it does not fit", schema=schema.name), verdicts
        why = verdicts[0].reason if verdicts else tr("it has no version")
        raise DecodeError(tr("no version of {name} fits: {why}", name=name, why=why))

    def _read(self, payload: bytes, schema: VersionedSchema, entry: VersionText) -> tuple[Any, str]:
        """Return the value, and why it does not fit (JSON Schema); raises DecodeError, SchemaError."""
        key = (schema.name, entry.number)
        found = self._ready.get(key)
        if found is None:
            try:
                found = _made_ready(schema.kind, entry)
            except SchemaError as error:
                found = str(error)  # not the error, which keeps what called alive
            self._ready[key] = found
        if isinstance(found, str):
            raise SchemaError(found)
        if not isinstance(found, JsonSchema):
            return (
                found.parse_exactly(payload) if isinstance(found, AvroSchema) else found.parse(payload)
            ), ""
        value = exact_json.parse(payload)
        problems = found.problems(value)
        return value, str(problems[0]) if problems else ""


def _made_ready(kind: str, entry: VersionText) -> ProtobufType | AvroSchema | JsonSchema:
    if kind == "protobuf":
        types = ProtobufTypes()
        types.add_text(entry.content)
        names = types.names()
        found = types.get(entry.message or (names[0] if names else ""))
        if found is None:
            raise SchemaError(tr("it has no message {message}", message=entry.message))
        return found
    if kind == "avro":
        return AvroSchema.from_text(entry.content)
    if kind == "json":
        try:
            return JsonSchema.from_bytes(entry.content.encode())
        except JsonSchemaError as error:
            raise SchemaError(str(error)) from None
    raise SchemaError(tr("schemas of the type {kind} are not read here", kind=kind))
