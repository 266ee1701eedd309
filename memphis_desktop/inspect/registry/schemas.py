"""The schemas of one registry, as they become known: each is asked for once and kept, and so are refusals."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

from memphis_desktop.inspect.decode import exact_json
from memphis_desktop.inspect.decode.json_schema import JsonSchema, JsonSchemaError
from memphis_desktop.inspect.decode.model import DecodeError, SchemaMissing
from memphis_desktop.inspect.decode.proto_parser import ProtoSyntaxError, parse_proto
from memphis_desktop.inspect.decode.schemas import AvroSchema, ProtobufTypes, SchemaError
from memphis_desktop.inspect.registry import wire
from memphis_desktop.inspect.registry.client import SECONDS, Fetched, RegistryClient, RegistryError
from memphis_desktop.inspect.registry.source import RegistrySource
from memphis_desktop.language import tr

MAX_KEPT = 2_000  # schemas of one registry
REFUSED_SECONDS = 300.0  # what the registry does not have is not asked for again so soon
FAILED_SECONDS = 15.0  # and what could not be asked for
MAX_UNKNOWN = 100  # payloads that name nothing but nonsense: then no number is asked for a while
_THREADS = 4

# Imports that every registry knows without being told: its serialisers come with them.
_DECIMAL = """syntax = "proto3"; package confluent.type;
message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }"""
_KNOWN = {"confluent/type/decimal.proto": _DECIMAL}


@dataclass(frozen=True)
class RegistrySchema:
    """One schema of a registry, ready to read payloads.

    Attributes:
        fetched: What the registry gave.
        schema: What reads a message: an `AvroSchema`, `JsonSchema`, or all types of a protobuf file.
        file: Protobuf: the name of the schema's own file among those.
    """

    fetched: Fetched
    schema: AvroSchema | JsonSchema | ProtobufTypes
    file: str = ""

    def read(self, payload: bytes) -> tuple[Any, str]:
        """Return the value of a payload with its mark, and what it is, in words; raises DecodeError."""
        schema = self.schema
        if isinstance(schema, ProtobufTypes):
            path, start = wire.read_path(payload)
            name = wire.message_name(schema.file(self.file), path)
            found = schema.get(name)
            if found is None:
                raise DecodeError(tr("its schema has no message {name}", name=name), wire.MARK_SIZE)
            return found.parse(payload[start:]), f"Protobuf {name}"  # untranslated: names
        if isinstance(schema, AvroSchema):
            return schema.parse_exactly(
                payload[wire.MARK_SIZE :]
            ), f"Avro {schema.name}"  # untranslated: names
        return exact_json.parse(payload[wire.MARK_SIZE :]), f"JSON {schema.name}"  # untranslated: names

    @property
    def kind(self) -> str:
        """The decoder it belongs to: "protobuf", "avro" or "json"."""
        return {"PROTOBUF": "protobuf", "AVRO": "avro"}.get(self.fetched.kind, "json")


def compiled(fetched: Fetched) -> RegistrySchema:
    """Make a schema ready to read payloads; raises SchemaError when it cannot be used."""
    if fetched.kind == "PROTOBUF":
        return _protobuf(fetched)
    if fetched.kind == "AVRO":
        references = [text for _, text in fetched.references]
        return RegistrySchema(fetched, AvroSchema.from_texts(fetched.text, references))
    if fetched.kind == "JSON":
        try:
            documents = {name: text.encode() for name, text in fetched.references}
            return RegistrySchema(fetched, JsonSchema.from_bytes(fetched.text.encode(), documents=documents))
        except JsonSchemaError as error:
            raise SchemaError(str(error)) from None
    raise SchemaError(tr("Schemas of the type {kind} cannot be read here", kind=fetched.kind[:40]))


def _protobuf(fetched: Fetched) -> RegistrySchema:
    own = f"schema {fetched.id}.proto"
    texts = {**_KNOWN, **dict(fetched.references), own: fetched.text}
    try:
        files = [parse_proto(text, name) for name, text in texts.items()]
    except ProtoSyntaxError as error:
        raise SchemaError(str(error)) from None
    for file in files:
        # Files that hold nothing but options are known to every serialiser and matter to none.
        kept = [name for name in file.dependency if name in texts or name.startswith("google/protobuf/")]
        del file.dependency[:]
        file.dependency.extend(kept)
    types = ProtobufTypes()
    types.add_files(files)
    return RegistrySchema(fetched, types, own)


_Kept: TypeAlias = "RegistrySchema | tuple[str, float]"  # a schema, or why there is none and until when


class RegistrySchemas:
    """What is known of one registry. Calls may come from any thread.

    `arrived` is called from a thread each time something became known that somebody could not wait for.
    """

    def __init__(
        self,
        source: RegistrySource,
        *,
        client: RegistryClient | None = None,
        arrived: Callable[[], None] | None = None,
    ) -> None:
        self.source = source
        self.arrived = arrived
        self._client = client or RegistryClient(source)
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._asked: dict[int, Future[RegistrySchema]] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._problem = ""
        self._unknown = 0  # numbers in a row that the registry does not have
        self._resting_until = 0.0

    def get(self, number: int, *, wait: bool = True) -> RegistrySchema:
        """Return a schema; asks for it when it is not known.

        Args:
            number: Its id.
            wait: Wait for the answer; without, it is asked for in the background.

        Raises:
            SchemaMissing: there is none, it cannot be used, or it is only just being asked for.
        """
        with self._lock:
            found = self._known(number)
            future = None if found is not None else self._ask(number)
        if isinstance(found, RegistrySchema):
            return found
        if isinstance(found, tuple):
            raise SchemaMissing(found[0], 1)
        assert future is not None
        if not wait:
            raise SchemaMissing(
                tr("schema {number} is being read from {name}", number=number, name=self.source.name),
                1,
                pending=True,
            )
        try:
            return future.result(SECONDS * 2)
        except (RegistryError, SchemaError) as error:
            raise SchemaMissing(tr("schema {number}: {error}", number=number, error=error), 1) from None
        except (TimeoutError, CancelledError):
            reason = tr(
                "schema {number}: {name} is asked for too much at once", number=number, name=self.source.name
            )
            raise SchemaMissing(reason, 1) from None

    def is_known(self, number: int) -> bool:
        """Whether asking for a schema would be answered at once."""
        with self._lock:
            return self._known(number) is not None

    def read(self, payload: bytes) -> tuple[Any, str, RegistrySchema]:
        """Return the value of a payload, what it is in words, and the schema; raises DecodeError."""
        number = wire.schema_id(payload)
        schema = self.get(number, wait=self.arrived is None or not _on_a_loop())
        value, title = schema.read(payload)
        return (
            value,
            tr("{title} (schema {number} of {name})", title=title, number=number, name=self.source.name),
            schema,
        )

    def latest(self, subject: str) -> RegistrySchema:
        """Return the newest schema of a subject, asked for anew; for a thread.

        Raises:
            RegistryError: it is not to be had.
            SchemaError: it cannot be used.
        """
        schema = compiled(self._client.latest(subject))
        with self._lock:
            self._keep(schema.fetched.id, schema)
        return schema

    def subjects(self) -> list[str]:
        """Return the names of all subjects; for a thread. Raises RegistryError."""
        return self._client.subjects()

    def state(self) -> tuple[int, str]:
        """Return how many schemas are known, and why asking failed last; empty when it did not."""
        with self._lock:
            return sum(isinstance(entry, RegistrySchema) for entry in self._kept.values()), self._problem

    def forget(self) -> None:
        """Ask for everything again when it is needed next."""
        with self._lock:
            self._kept.clear()
            self._problem = ""
            self._resting_until = 0.0

    def close(self) -> None:
        """Ask nothing more."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    # Within the lock ----------------------------------------------------------------------------

    def _known(self, number: int) -> _Kept | None:
        found = self._kept.get(number)
        now = time.monotonic()
        if isinstance(found, tuple) and now >= found[1]:
            del self._kept[number]
            found = None
        if found is None and number not in self._asked and now < self._resting_until:
            return (
                tr("too many payloads name schemas that {name} does not have", name=self.source.name),
                now,
            )
        return found

    def _ask(self, number: int) -> Future[RegistrySchema]:
        future = self._asked.get(number)
        if future is None:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_THREADS, "registry")
            future = self._asked[number] = self._pool.submit(self._fetch, number)
        return future

    def _keep(self, number: int, entry: _Kept) -> None:
        self._kept[number] = entry
        self._kept.move_to_end(number)
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)

    # In a thread --------------------------------------------------------------------------------

    def _fetch(self, number: int) -> RegistrySchema:
        entry: _Kept = (tr("schema {number} was not read", number=number), 0.0)
        unknown = False
        problem = ""
        try:
            entry = schema = compiled(self._client.schema(number))
            return schema
        except RegistryError as error:
            unknown = error.final
            problem = "" if error.final else str(error)
            seconds = REFUSED_SECONDS if error.final else FAILED_SECONDS
            entry = (tr("schema {number}: {error}", number=number, error=error), time.monotonic() + seconds)
            raise
        except SchemaError as error:
            entry = (
                tr("schema {number}: {error}", number=number, error=error),
                time.monotonic() + REFUSED_SECONDS,
            )
            raise
        except Exception as error:  # whatever a registry sends, it is no fault of the program
            entry = (
                tr("schema {number} cannot be used: {error}", number=number, error=error)[:300],
                time.monotonic() + REFUSED_SECONDS,
            )
            raise SchemaError(entry[0]) from error
        finally:
            with self._lock:
                self._keep(number, entry)
                self._asked.pop(number, None)
                self._problem = problem
                self._unknown = self._unknown + 1 if unknown else 0
                if self._unknown >= MAX_UNKNOWN:
                    self._unknown = 0
                    self._resting_until = time.monotonic() + REFUSED_SECONDS / 5
            if self.arrived is not None:
                self.arrived()


def _on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
