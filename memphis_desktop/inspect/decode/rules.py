"""Rules that say which decoder reads which messages."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from memphis_desktop.inspect.decode import cbor, exact_json, msgpack, protobuf_wire
from memphis_desktop.inspect.decode.chain import TITLES, decode
from memphis_desktop.inspect.decode.command import CommandDecoder
from memphis_desktop.inspect.decode.json_schema import (
    JsonSchema,
    JsonSchemaError,
    looks_like_avro,
    looks_like_json_schema,
    read_json,
)
from memphis_desktop.inspect.decode.model import Decoded, Verdict
from memphis_desktop.inspect.decode.schemas import MAX_FILES, AvroSchema, ProtobufTypes, SchemaError
from memphis_desktop.inspect.draft import matches
from memphis_desktop.inspect.message import InspectedMessage

KINDS = ("json", "msgpack", "cbor", "protobuf", "avro", "text", "binary", "command")


@dataclass(frozen=True)
class DecoderRule:
    """A decoder for the messages of a station, subject or header.

    Attributes:
        kind: One of `KINDS`.
        schema: Message type (protobuf) or schema name (Avro; JSON Schema, which JSON is checked against).
        stream: Name of the station, with ``*`` for any run of characters; empty for all.
        subject: Subject pattern; empty for all.
        header: ``Name`` or ``Name=value`` that the message must have; empty for none.
    """

    kind: str
    schema: str = ""
    stream: str = ""
    subject: str = ""
    header: str = ""

    def applies(self, message: InspectedMessage) -> bool:
        """Whether this rule is for a message."""
        if self.stream and not fnmatch.fnmatchcase(message.stream, self.stream):
            return False
        if self.subject and not matches(self.subject, message.subject):
            return False
        if self.header:
            name, equals, value = self.header.partition("=")
            values = message.headers.all(name.strip())
            return value.strip() in values if equals else bool(values)
        return True

    def description(self) -> str:
        """For whom it is, in words."""
        parts = [self.stream and f"station {self.stream}", self.subject and f"subject {self.subject}"]
        parts.append(self.header and f"header {self.header}")
        return ", ".join(part for part in parts if part) or "every message"


@dataclass
class DecoderSettings:
    """Rules in their order, where schemas come from (files and folders), and decoders of one's own.

    Commands run only while `commands_on`: they are off until a person turns them on.
    """

    rules: list[DecoderRule] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    commands: list[CommandDecoder] = field(default_factory=list)
    commands_on: bool = False

    def record(self) -> dict[str, Any]:
        """Return plain data to keep."""
        return {
            "rules": [asdict(rule) for rule in self.rules],
            "sources": self.sources,
            "commands": [asdict(command) for command in self.commands],
            "commands_on": self.commands_on,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any] | None) -> DecoderSettings:
        """Read what was kept; entries that are damaged are left out."""
        record = record or {}
        rules = []
        for entry in record.get("rules") or []:
            try:
                rule = DecoderRule(**entry)
            except TypeError:
                continue
            if rule.kind in KINDS:
                rules.append(rule)
        commands = []
        for entry in record.get("commands") or []:
            try:
                command = CommandDecoder(**entry)
            except TypeError:
                continue
            if not command.problem():
                commands.append(command)
        sources = [str(source) for source in record.get("sources") or []]
        return cls(rules, sources, commands, record.get("commands_on") is True)


Parse = Callable[[bytes], Any]


class Decoders:
    """Rules with their schemas loaded. `problems` says which sources could not be used."""

    def __init__(self, settings: DecoderSettings | None = None) -> None:
        self.settings = settings or DecoderSettings()
        self.protobuf = ProtobufTypes()
        self.avro: dict[str, AvroSchema] = {}
        self.json_schemas: dict[str, JsonSchema] = {}
        self.problems: dict[str, str] = {}
        self.load_sources()

    def load_sources(self) -> None:
        """Read every source again."""
        self.protobuf, self.avro, self.json_schemas, self.problems = ProtobufTypes(), {}, {}, {}
        for source in self.settings.sources:
            try:
                self._load(Path(source))
            except (SchemaError, JsonSchemaError) as error:
                self.problems[source] = str(error)

    def _load(self, path: Path) -> None:
        """Read a file, or a folder of .proto, .avsc and .json files."""
        if path.is_dir():
            schemas = sorted([*path.rglob("*.avsc"), *path.rglob("*.json")])[:MAX_FILES]
            for file in schemas:
                content = read_json(file)  # other JSON lies beside schemas, too
                if file.suffix == ".avsc" or looks_like_json_schema(content) or looks_like_avro(content):
                    self._load(file)
            if not schemas or any(path.rglob("*.proto")):
                self.protobuf.add_source(path)
        elif path.suffix == ".json" and looks_like_json_schema(read_json(path)):
            found = JsonSchema.from_file(path)
            self.json_schemas[found.name] = found
        elif path.suffix in (".avsc", ".json"):
            schema = AvroSchema.from_file(path)
            self.avro[schema.name] = schema
        else:
            self.protobuf.add_source(path)

    def rule_for(self, message: InspectedMessage) -> DecoderRule | None:
        """Return the first rule that is for a message."""
        if message.is_rewritten:
            return None
        return next((rule for rule in self.settings.rules if rule.applies(message)), None)

    def parser(self, kind: str, schema: str = "") -> Parse:
        """Return what reads bytes as a kind, with a schema where the kind has one.

        Raises:
            SchemaError: the schema is not loaded.
        """
        if kind == "protobuf" and schema:
            found = self.protobuf.get(schema)
            if found is None:
                raise SchemaError(f"The message type {schema} is not loaded")
            return found.parse
        if kind == "avro":
            avro = self.avro.get(schema)
            if avro is None:
                raise SchemaError(f"The Avro schema {schema or '(none chosen)'} is not loaded")
            return avro.parse
        if kind == "command":
            command = next((entry for entry in self.settings.commands if entry.name == schema), None)
            if command is None:
                raise SchemaError(f"There is no command {schema or '(none chosen)'}")
            if not self.settings.commands_on:
                raise SchemaError("Commands as decoders are turned off")
            return command.parse
        if kind == "json" and schema and schema not in self.json_schemas:
            raise SchemaError(f"The JSON Schema {schema} is not loaded")
        return _PLAIN[kind]

    def decode(self, message: InspectedMessage) -> Decoded:
        """Decode a message by the rule that is for it, else automatically; never fails."""
        rule = self.rule_for(message)
        return (
            decode(message.payload)
            if rule is None
            else self.decode_as(message.payload, rule.kind, rule.schema)
        )

    def decode_as(self, data: bytes, kind: str, schema: str = "") -> Decoded:
        """Decode with a kind and a schema; a schema that is not loaded is said in the report."""
        if kind in ("text", "binary"):
            return decode(data, decoder=kind)
        try:
            parse = self.parser(kind, schema)
        except SchemaError as error:
            plain = decode(data)
            missing = Verdict(f"{kind} {schema}", False, str(error))
            return replace(plain, report=(missing, *plain.report), truncated=plain.truncated or str(error))
        checked = self.json_schemas.get(schema) if kind == "json" else None
        title = f"{TITLES.get(kind, kind)} {schema}" if schema and checked is None else kind
        decoded = decode(data, parse=(title, parse))
        if checked is None or not decoded.has_value:
            return decoded
        problems = checked.problems(decoded.value)
        verdicts = [Verdict(f"JSON Schema {schema}", False, str(problem)) for problem in problems]
        if not problems:
            verdicts = [Verdict(f"JSON Schema {schema}", True, "the value fits")]
        note = f"Does not fit the JSON Schema {schema}. {problems[0]}" if problems else ""
        return replace(decoded, report=(*decoded.report, *verdicts), notes=(note,) if note else ())

    def is_slow(self, kind: str) -> bool:
        """Whether decoding with a kind has to happen beside the event loop."""
        return kind == "command"

    def slow_for(self, message: InspectedMessage) -> bool:
        """Whether the rule for a message is a slow one."""
        rule = self.rule_for(message)
        return rule is not None and self.is_slow(rule.kind)

    def schemas(self) -> Iterable[tuple[str, str]]:
        """Every (kind, schema) that can be chosen."""
        for name in self.protobuf.names():
            yield "protobuf", name
        for name in sorted(self.avro):
            yield "avro", name
        for name in sorted(self.json_schemas):
            yield "json", name
        if self.settings.commands_on:
            for command in self.settings.commands:
                yield "command", command.name


_PLAIN: dict[str, Parse] = {
    "json": exact_json.parse,
    "msgpack": msgpack.parse,
    "cbor": cbor.parse,
    "protobuf": lambda data: protobuf_wire.parse(data, strict=False),
}
