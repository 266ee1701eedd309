"""Rules that say which decoder reads which messages, and the decoders with everything they need."""

from __future__ import annotations

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
from memphis_desktop.inspect.decode.model import Decoded, DecodeError, SchemaMissing, Verdict
from memphis_desktop.inspect.decode.plugins import Plugin, PluginHost, installed
from memphis_desktop.inspect.decode.rule import KINDS, NEXT, DecoderRule
from memphis_desktop.inspect.decode.schemas import (
    MAX_FILES,
    AvroSchema,
    ProtobufTypes,
    SchemaError,
    holds_protobuf,
)
from memphis_desktop.inspect.decode.schemaverse import SchemaverseSchemas, SchemaverseSource
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.registry import RegistrySchemas, RegistrySource, wire
from memphis_desktop.language import tr

__all__ = ["KINDS", "DecoderRule", "DecoderSettings", "Decoders"]

SLOW = ("command", "plugin", "registry")  # what may have to wait for others: not for the event loop


@dataclass
class DecoderSettings:
    """Rules in their order, where schemas come from, and decoders of one's own.

    Attributes:
        rules: In the order they are asked.
        sources: Files and folders of schemas.
        commands: Run only while `commands_on`: they are off until a person turns them on.
        registries: Schema registries.
        schemaverses: Schemas of Memphis, one entry for each connection they were taken from.
        plugins_on: Names of the plug-ins that a person has turned on.
    """

    rules: list[DecoderRule] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    commands: list[CommandDecoder] = field(default_factory=list)
    commands_on: bool = False
    registries: list[RegistrySource] = field(default_factory=list)
    schemaverses: list[SchemaverseSource] = field(default_factory=list)
    plugins_on: list[str] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """Return plain data to keep."""
        return {
            "rules": [asdict(rule) for rule in self.rules],
            "sources": list(self.sources),
            "commands": [asdict(command) for command in self.commands],
            "commands_on": self.commands_on,
            "registries": [registry.record() for registry in self.registries],
            "schemaverses": [source.record() for source in self.schemaverses],
            "plugins_on": list(self.plugins_on),
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
            if rule.kind in KINDS and not rule.problem():
                rules.append(rule)
        commands = []
        for entry in record.get("commands") or []:
            try:
                command = CommandDecoder(**entry)
            except TypeError:
                continue
            if not command.problem():
                commands.append(command)
        registries = [RegistrySource.from_record(entry) for entry in record.get("registries") or []]
        schemaverses = [SchemaverseSource.from_record(entry) for entry in record.get("schemaverses") or []]
        return cls(
            rules,
            [str(source) for source in record.get("sources") or []],
            commands,
            record.get("commands_on") is True,
            [registry for registry in registries if registry is not None],
            [source for source in schemaverses if source is not None],
            [str(name) for name in record.get("plugins_on") or []],
        )


Parse = Callable[[bytes], Any]


@dataclass
class _Loaded:
    """What the sources gave."""

    protobuf: ProtobufTypes = field(default_factory=ProtobufTypes)
    avro: dict[str, AvroSchema] = field(default_factory=dict)
    json_schemas: dict[str, JsonSchema] = field(default_factory=dict)

    def count(self) -> int:
        """How many types and schemas there are."""
        return len(self.protobuf.names()) + len(self.avro) + len(self.json_schemas)

    def read(self, path: Path) -> None:
        """Read a file, or a folder with everything in it; raises SchemaError, JsonSchemaError."""
        if path.is_dir():
            self._read_folder(path)
        elif path.suffix == ".json" and looks_like_json_schema(read_json(path)):
            found = JsonSchema.from_file(path)
            self.json_schemas[found.name] = found
        elif path.suffix in (".avsc", ".json"):
            schema = AvroSchema.from_file(path)
            self.avro[schema.name] = schema
        else:
            self.protobuf.add_source(path)

    def _read_folder(self, path: Path) -> None:
        """One file that cannot be used does not keep out the others."""
        problems = []
        found = 0
        for file in sorted([*path.rglob("*.avsc"), *path.rglob("*.json")])[:MAX_FILES]:
            content = read_json(file)  # other JSON lies beside schemas, too
            if (
                file.suffix != ".avsc"
                and not looks_like_json_schema(content)
                and not looks_like_avro(content)
            ):
                continue
            found += 1
            try:
                self.read(file)
            except (SchemaError, JsonSchemaError) as error:
                problems.append(f"{file.name}: {error}")
        if not found or holds_protobuf(path):
            self.protobuf.add_source(path)
        if problems:
            raise SchemaError(
                tr("{problem}, and {count} more", problem=problems[0], count=len(problems) - 1)
                if len(problems) > 1
                else problems[0]
            )


class Decoders:
    """Rules with their schemas loaded. `problems` says which sources could not be used."""

    def __init__(
        self, settings: DecoderSettings | None = None, *, arrived: Callable[[], None] | None = None
    ) -> None:
        """Load the sources.

        Args:
            settings: What a person has set up.
            arrived: Called from a thread when a schema became known that decoding on an event loop could
                not wait for. Without, decoding waits wherever it is done.
        """
        self.settings = settings or DecoderSettings()
        self._arrived = arrived
        self._loaded = _Loaded()
        self.problems: dict[str, str] = {}
        self.counts: dict[str, int] = {}  # types and schemas, by source
        self.registries: dict[str, RegistrySchemas] = {}
        self._schemaverses: dict[str, SchemaverseSchemas] = {}
        self._plugins: dict[str, PluginHost] = {}
        self.connect_sources()
        self.load_sources()

    @property
    def protobuf(self) -> ProtobufTypes:
        """The message types of the files."""
        return self._loaded.protobuf

    @property
    def avro(self) -> dict[str, AvroSchema]:
        """The Avro schemas of the files, by name."""
        return self._loaded.avro

    @property
    def json_schemas(self) -> dict[str, JsonSchema]:
        """The JSON Schemas of the files, by name."""
        return self._loaded.json_schemas

    def load_sources(self) -> None:
        """Read every file and folder again. May take its time with many: then it belongs in a thread."""
        loaded, problems, counts = _Loaded(), {}, {}
        for source in self.settings.sources:
            before = loaded.count()
            try:
                loaded.read(Path(source))
            except (SchemaError, JsonSchemaError) as error:
                problems[source] = str(error)
            counts[source] = loaded.count() - before
        self._loaded, self.problems, self.counts = loaded, problems, counts

    def connect_sources(self) -> None:
        """Take registries, Schemaverse and plug-ins as the settings have them now; what stays is kept."""
        before = self.registries
        self.registries = {}
        for source in self.settings.registries:
            old = before.pop(source.name, None)
            same = old is not None and old.source == source
            self.registries[source.name] = (
                old if same and old is not None else RegistrySchemas(source, arrived=self._arrived)
            )
            if old is not None and not same:
                old.close()
        for gone in before.values():
            gone.close()
        known = self._schemaverses
        self._schemaverses = {
            entry.title: known[entry.title]
            if entry.title in known and known[entry.title].source is entry
            else SchemaverseSchemas(entry)
            for entry in self.settings.schemaverses
        }
        hosts, self._plugins = self._plugins, {}
        if self.settings.plugins_on:
            wanted = [plugin for plugin in installed() if plugin.name in self.settings.plugins_on]
            self._plugins = {plugin.name: self._host(hosts, plugin) for plugin in wanted}
        for host in hosts.values():
            if host not in self._plugins.values():
                host.end()

    @staticmethod
    def _host(hosts: dict[str, PluginHost], plugin: Plugin) -> PluginHost:
        host = hosts.get(plugin.name)
        return host if host is not None and host.plugin == plugin else PluginHost(plugin)

    def close(self) -> None:
        """End what runs for registries and plug-ins."""
        for registry in self.registries.values():
            registry.close()
        for host in self._plugins.values():
            host.end()

    # Which ------------------------------------------------------------------------------------------

    def rules_for(self, message: InspectedMessage) -> Iterable[DecoderRule]:
        """Yield the rules that are for a message, in their order; last what sources take by themselves."""
        if message.is_rewritten:
            return
        yield from (rule for rule in self.settings.rules if rule.applies(message))
        for entry in self.settings.schemaverses:
            use = entry.streams.get(message.stream) if entry.automatic else None
            if use is not None:
                yield DecoderRule("schemaverse", f"{entry.title}/{use[0]}@{use[1]}", message.stream)
        for registry in self.settings.registries:
            if registry.automatic and wire.has_mark(message.payload):
                yield DecoderRule("registry", registry.name, failing=NEXT)

    def rule_for(self, message: InspectedMessage) -> DecoderRule | None:
        """Return the first rule that is for a message."""
        return next(iter(self.rules_for(message)), None)

    def is_slow(self, kind: str) -> bool:
        """Whether decoding with a kind has to happen beside the event loop."""
        return kind in SLOW

    def slow_for(self, message: InspectedMessage) -> bool:
        """Whether decoding a message has to happen beside the event loop."""
        for rule in self.rules_for(message):
            if rule.kind == "registry" and not rule.before and wire.has_mark(message.payload):
                registry = self.registries.get(rule.schema.partition("/")[0])
                if registry is not None and registry.is_known(wire.schema_id(message.payload)):
                    continue
            if self.is_slow(rule.kind):
                return True
            if rule.failing != NEXT:
                return False
        return False

    def schemas(self) -> Iterable[tuple[str, str]]:
        """Every (kind, schema) that can be chosen."""
        for name in self.protobuf.names():
            yield "protobuf", name
        for name in sorted(self.avro):
            yield "avro", name
        for name in sorted(self.json_schemas):
            yield "json", name
        for entry in self.settings.schemaverses:
            for schema in entry.schemas:
                if schema.kind != "graphql":
                    yield "schemaverse", f"{entry.title}/{schema.name}"
        for name in self.registries:
            yield "registry", name
        if self.settings.commands_on:
            for command in self.settings.commands:
                yield "command", command.name
        for name in self._plugins:
            yield "plugin", name

    # Decoding ---------------------------------------------------------------------------------------

    def decode(self, message: InspectedMessage) -> Decoded:
        """Decode a message by the rules that are for it, else automatically; never fails."""
        report: list[Verdict] = []
        for rule in self.rules_for(message):
            decoded = self.decode_by(rule, message.payload)
            applied = decoded.has_value or decoded.kind == "empty" or rule.kind in ("text", "binary")
            if applied or decoded.pending or rule.failing != NEXT:
                return replace(decoded, report=(*report, *decoded.report)) if report else decoded
            report += [
                verdict for verdict in decoded.report if verdict.decoder not in ("compression", "text")
            ]
        plain = decode(message.payload)
        return replace(plain, report=(*report, *plain.report)) if report else plain

    def decode_by(self, rule: DecoderRule, payload: bytes) -> Decoded:
        """Decode as a rule says, whoever it is for."""
        if not rule.before or not payload:
            return self.decode_as(payload, rule.kind, rule.schema)
        try:
            data, steps = rule.prepare(payload)
        except DecodeError as error:
            plain = decode(payload, decoder="text")
            failed = Verdict(rule.before, False, error.reason, error.offset)
            return replace(
                plain,
                report=(failed, *plain.report),
                notes=(tr("The payload {reason}.", reason=error.reason),),
            )
        decoded = self.decode_as(data, rule.kind, rule.schema)
        return replace(decoded, steps=(*steps, *decoded.steps))

    def decode_as(self, data: bytes, kind: str, schema: str = "") -> Decoded:
        """Decode with a kind and a schema; a schema that is not loaded is said in the report."""
        if kind in ("text", "binary"):
            return decode(data, decoder=kind)
        try:
            if kind == "registry":
                return self._by_registry(data, schema)
            if kind == "schemaverse":
                return self._by_schemaverse(data, schema)
            parse = self.parser(kind, schema)
        except SchemaError as error:
            return _without(data, f"{kind} {schema}", str(error))
        checked = self.json_schemas.get(schema) if kind == "json" else None
        title = f"{TITLES.get(kind, kind)} {schema}" if schema and checked is None else kind
        decoded = decode(data, parse=(title, parse))
        return decoded if checked is None else _checked(decoded, checked, schema)

    def parser(self, kind: str, schema: str = "") -> Parse:
        """Return what reads bytes as a kind, with a schema where the kind has one.

        Raises:
            SchemaError: the schema is not loaded.
        """
        if kind == "protobuf" and schema:
            found = self.protobuf.get(schema)
            if found is None:
                raise SchemaError(tr("The message type {schema} is not loaded", schema=schema))
            return found.parse
        if kind == "avro":
            avro = self.avro.get(schema)
            if avro is None:
                raise SchemaError(
                    tr("The Avro schema {name} is not loaded", name=schema or tr("(none chosen)"))
                )
            return avro.parse
        if kind == "command":
            command = next((entry for entry in self.settings.commands if entry.name == schema), None)
            if command is None:
                raise SchemaError(tr("There is no command {name}", name=schema or tr("(none chosen)")))
            if not self.settings.commands_on:
                raise SchemaError(tr("Commands as decoders are turned off"))
            return command.parse
        if kind == "plugin":
            host = self._plugins.get(schema)
            if host is None:
                raise SchemaError(
                    tr(
                        "The plug-in {name} is not installed, or turned off",
                        name=schema or tr("(none chosen)"),
                    )
                )
            return host.parse
        if kind == "json" and schema and schema not in self.json_schemas:
            raise SchemaError(tr("The JSON Schema {schema} is not loaded", schema=schema))
        return _PLAIN[kind]

    def _by_registry(self, data: bytes, schema: str) -> Decoded:
        name = schema.partition("/")[0]
        registry = self.registries.get(name)
        if registry is None:
            raise SchemaError(tr("There is no schema registry {name}", name=name or tr("(none chosen)")))
        title, checked = "", None
        missing, pending = "", False

        def parse(payload: bytes) -> Any:
            nonlocal title, checked, missing, pending
            try:
                value, title, found = registry.read(payload)
            except SchemaMissing as error:
                # Not the error itself: its frames would keep alive the painter that all this may be for.
                missing, pending = error.reason, error.pending
                raise
            checked = found.schema if isinstance(found.schema, JsonSchema) else None
            return value

        decoded = decode(data, parse=("registry", parse))
        if missing:
            return replace(decoded, truncated=decoded.truncated or missing, pending=pending)
        decoded = _named(decoded, title)
        return decoded if checked is None else _checked(decoded, checked, checked.name)

    def _by_schemaverse(self, data: bytes, schema: str) -> Decoded:
        title, _, rest = schema.rpartition("/")
        name, _, version = rest.partition("@")
        known = self._schemaverses.get(title)
        if known is None:
            raise SchemaError(tr("The schemas of {title} are not taken any more", title=title))
        found_title = ""
        verdicts: list[Verdict] = []

        def parse(payload: bytes) -> Any:
            nonlocal found_title, verdicts
            value, found_title, verdicts = known.read(payload, name, int(version or 0))
            return value

        decoded = _named(decode(data, parse=("schemaverse", parse)), found_title)
        notes: tuple[str, ...] = ()
        if decoded.has_value and not verdicts[-1].applied:
            notes = (
                tr("Does not fit {name} of Schemaverse. {reason}", name=name, reason=verdicts[0].reason),
            )
        return replace(decoded, report=(*decoded.report, *verdicts), notes=notes)


def _without(data: bytes, decoder: str, reason: str) -> Decoded:
    """Decode automatically, and say what is missing for more."""
    plain = decode(data)
    missing = Verdict(decoder, False, reason)
    return replace(plain, report=(missing, *plain.report), truncated=plain.truncated or reason)


def _named(decoded: Decoded, title: str) -> Decoded:
    """Call the last step what it turned out to be."""
    if not decoded.has_value:
        return decoded
    return replace(decoded, steps=(*decoded.steps[:-1], replace(decoded.steps[-1], name=title)))


def _checked(decoded: Decoded, schema: JsonSchema, name: str) -> Decoded:
    """Add whether the value fits a JSON Schema."""
    if not decoded.has_value:
        return decoded
    problems = schema.problems(decoded.value)
    title = f"JSON Schema {name}"  # untranslated: a name
    verdicts = [Verdict(title, False, str(problem)) for problem in problems]
    if not problems:
        verdicts = [Verdict(title, True, tr("the value fits"))]
    note = (
        tr("Does not fit the JSON Schema {name}. {problem}", name=name, problem=problems[0])
        if problems
        else ""
    )
    return replace(decoded, report=(*decoded.report, *verdicts), notes=(note,) if note else ())


_PLAIN: dict[str, Parse] = {
    "json": exact_json.parse,
    "msgpack": msgpack.parse,
    "cbor": cbor.parse,
    "protobuf": lambda data: protobuf_wire.parse(data, strict=False),
}
