"""Schemas for binary payloads: protobuf types from files or descriptor sets, and Avro schemas."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cramjam
import fastavro
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import DecodeError as ProtobufError
from google.protobuf.message import Message

from memphis_desktop.inspect.decode.compression import unwrap_one
from memphis_desktop.inspect.decode.model import AVRO_MARK, MAX_OUTPUT, DecodeError
from memphis_desktop.inspect.decode.proto_parser import ProtoSyntaxError, names, parse_proto, resolve_types
from memphis_desktop.inspect.message import format_time
from memphis_desktop.language import tr

MAX_FILES = 2_000
MAX_FILE = 4 << 20
MAX_DESCRIPTOR_SET = 64 << 20
DESCRIPTOR_SETS = (".pb", ".desc", ".protoset", ".binpb", ".fds")  # what they are called by their makers
MAX_RECORDS = 10_000


class SchemaError(Exception):
    """A schema cannot be used; the text says why."""


@dataclass(frozen=True)
class ProtobufType:
    """One message type that payloads can be read with."""

    name: str
    cls: type[Message]

    def parse(self, data: bytes) -> Any:
        """Return the message as plain data; raises DecodeError when the bytes are none."""
        message = self.cls()
        try:
            message.ParseFromString(data)
        except ProtobufError as error:
            raise DecodeError(tr("not a {name}: {error}", name=self.name, error=error)) from None
        return _plain(message)

    def encode(self, value: Any) -> bytes:
        """Return the bytes of a message given as plain data.

        Raises:
            SchemaError: the data does not fit the type.
        """
        try:
            message = json_format.ParseDict(value, self.cls())
            return bytes(message.SerializeToString())
        except (json_format.ParseError, ProtobufError, ValueError, TypeError) as error:
            raise SchemaError(tr("This does not fit {name}: {error}", name=self.name, error=error)) from None

    @property
    def descriptor(self) -> Descriptor:
        """What fields the type has."""
        return cast(Descriptor, self.cls.DESCRIPTOR)

    def example(self) -> Any:
        """Return plain data with every field at its default, to begin with."""
        return json_format.MessageToDict(
            self.cls(), preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )


class ProtobufTypes:
    """The message types of a set of .proto files or descriptors."""

    def __init__(self) -> None:
        self._files: dict[str, FileDescriptorProto] = {}
        self._types: dict[str, ProtobufType] = {}

    def names(self) -> list[str]:
        """Full names of all message types."""
        return sorted(self._types)

    def get(self, name: str) -> ProtobufType | None:
        """Return a type by its full name, or by its last part where that is unique."""
        found = self._types.get(name)
        if found is None:
            ends = [known for known in self._types if known.rpartition(".")[2] == name]
            found = self._types[ends[0]] if len(ends) == 1 else None
        return found

    def file(self, name: str) -> FileDescriptorProto:
        """Return a file by its name; raises KeyError when there is none."""
        return self._files[name]

    def add_source(self, path: Path) -> None:
        """Read a .proto file, a descriptor set, or a folder of them.

        Raises:
            SchemaError: nothing there can be read; says why.
        """
        try:
            if path.is_dir():
                self._add_folder(path)
            elif path.suffix == ".proto":
                self.add_files(self._with_imports(path))
            else:
                self.add_files(_descriptor_set(path))
        except ProtoSyntaxError as error:
            raise SchemaError(str(error)) from None
        except OSError as error:
            raise SchemaError(
                tr("{path} cannot be read: {strerror}", path=path, strerror=error.strerror)
            ) from None

    def _add_folder(self, path: Path) -> None:
        """Read everything in a folder; a descriptor set that cannot be used does not keep out the others."""
        files = sorted(path.rglob("*.proto"))[:MAX_FILES]
        sets = sorted(file for file in path.rglob("*") if file.suffix in DESCRIPTOR_SETS)[:MAX_FILES]
        if not files and not sets:
            raise SchemaError(tr("There are no .proto files and no descriptor sets in {path}", path=path))
        if files:
            self.add_files(parse_proto(_read(file), file.relative_to(path).as_posix()) for file in files)
        problems = []
        for file in sets:
            try:
                self.add_files(_descriptor_set(file))
            except SchemaError as error:
                problems.append(f"{file.name}: {error}")
        if problems:
            raise SchemaError(
                tr("{problem}, and {count} more", problem=problems[0], count=len(problems) - 1)
                if len(problems) > 1
                else problems[0]
            )

    def add_types(self, other: ProtobufTypes) -> None:
        """Take over everything another has, as it is."""
        self._files.update(other._files)
        self._types.update(other._types)

    def add_text(self, text: str, name: str = "schema.proto") -> None:
        """Read the text of one .proto file; raises SchemaError when it cannot be used."""
        try:
            self.add_files([parse_proto(text, name)])
        except ProtoSyntaxError as error:
            raise SchemaError(str(error)) from None

    def _with_imports(self, path: Path) -> list[FileDescriptorProto]:
        """Read a file and what it imports from the same folder or above."""
        parsed = {path.name: parse_proto(_read(path), path.name)}
        waiting = [path.name]
        while waiting:
            for name in parsed[waiting.pop()].dependency:
                if name in parsed or name.startswith("google/protobuf/"):
                    continue
                place = next(
                    (base / name for base in (path.parent, *path.parents[1:4]) if (base / name).exists()),
                    None,
                )
                if place is None:
                    raise SchemaError(
                        tr("{file} imports {name}, which is not beside it", file=path.name, name=name)
                    )
                parsed[name] = parse_proto(_read(place), name)
                waiting.append(name)
        return list(parsed.values())

    def add_files(self, files: Iterable[FileDescriptorProto]) -> None:
        """Add descriptors; raises SchemaError when they do not hold together."""
        merged = dict(self._files)
        merged.update((file.name, file) for file in files)
        pool = descriptor_pool.DescriptorPool()
        known: dict[str, bool] = {}
        builtin = _builtin_files(merged.values())
        for file in (*builtin, *merged.values()):
            known.update(names(file))
        added: set[str] = set()

        def add(name: str, trail: tuple[str, ...]) -> None:
            if name in added:
                return
            if name in trail:
                raise SchemaError(tr("{name} imports itself", name=name))
            file = merged.get(name) or next((entry for entry in builtin if entry.name == name), None)
            if file is None:
                raise SchemaError(
                    tr(
                        "{file} imports {name}, which is missing",
                        file=trail[-1] if trail else name,
                        name=name,
                    )
                )
            for dependency in file.dependency:
                add(dependency, (*trail, name))
            if name in merged:
                resolve_types(file, known)
            pool.Add(file)
            added.add(name)

        types: dict[str, ProtobufType] = {}
        try:
            for name in merged:
                add(name, ())
            for file in merged.values():
                for full, is_message in names(file):
                    descriptor = pool.FindMessageTypeByName(full[1:]) if is_message else None
                    if descriptor is not None and not descriptor.GetOptions().map_entry:
                        types[full[1:]] = ProtobufType(full[1:], message_factory.GetMessageClass(descriptor))
        except ProtoSyntaxError as error:
            raise SchemaError(str(error)) from None
        except (TypeError, KeyError, ValueError) as error:
            raise SchemaError(tr("The files do not fit together: {error}", error=error)) from None
        self._files, self._types = merged, types


def _read(path: Path) -> str:
    if path.stat().st_size > MAX_FILE:
        raise SchemaError(tr("{name} is too large to be a .proto file", name=path.name))
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SchemaError(tr("{name} is not UTF-8 text", name=path.name)) from None


def holds_protobuf(folder: Path) -> bool:
    """Whether a folder holds .proto files or descriptor sets."""
    return any(file.suffix == ".proto" or file.suffix in DESCRIPTOR_SETS for file in folder.rglob("*"))


def _descriptor_set(path: Path) -> list[FileDescriptorProto]:
    """Return the files of a descriptor set; raises SchemaError when it is none."""
    if path.stat().st_size > MAX_DESCRIPTOR_SET:
        raise SchemaError(tr("{name} is too large to be a descriptor set", name=path.name))
    try:
        parsed = list(FileDescriptorSet.FromString(path.read_bytes()).file)
    except ProtobufError:
        parsed = []
    if not parsed:
        raise SchemaError(tr("{name} is no descriptor set", name=path.name))
    return parsed


def _builtin_files(files: Iterable[FileDescriptorProto]) -> list[FileDescriptorProto]:
    """Google's own files that are imported, from the library."""
    wanted = {name for file in files for name in file.dependency if name.startswith("google/protobuf/")}
    if not wanted:
        return []
    from google.protobuf import (
        any_pb2,
        duration_pb2,
        empty_pb2,
        field_mask_pb2,
        struct_pb2,
        timestamp_pb2,
        wrappers_pb2,
    )

    modules = (any_pb2, duration_pb2, empty_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
    return [
        FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
        for module in modules
        if module.DESCRIPTOR.name in wanted
    ]


def _plain(message: Message) -> Any:
    """Return a message as plain data: exact numbers, enum names, bytes as bytes."""
    name = message.DESCRIPTOR.full_name
    if name == "google.protobuf.Timestamp":
        fields = {field.name: value for field, value in message.ListFields()}
        try:
            return format_time(int(fields.get("seconds", 0)) * 10**9 + int(fields.get("nanos", 0)))
        except (OverflowError, ValueError):
            return fields
    result: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            inner = field.message_type.fields_by_name["value"]
            result[field.name] = {str(key): _one(inner, value[key]) for key in value}
        elif field.is_repeated:
            result[field.name] = [_one(field, item) for item in value]
        else:
            result[field.name] = _one(field, value)
    return result


def _one(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None:
        return _plain(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known is not None else value
    return value


# Avro -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AvroSchema:
    """One Avro schema that payloads can be read with."""

    name: str
    parsed: Any

    @classmethod
    def from_text(cls, text: str, name: str = "") -> AvroSchema:
        """Read a schema; raises SchemaError when it is none."""
        try:
            schema = json.loads(text)
            parsed = fastavro.parse_schema(schema)
        except Exception as error:
            raise SchemaError(tr("This is no Avro schema: {error}", error=error)[:300]) from None
        title = schema.get("name") if isinstance(schema, dict) else None
        return cls(name or str(title or "schema"), parsed)

    @classmethod
    def from_texts(cls, text: str, references: Sequence[str]) -> AvroSchema:
        """Read a schema that names types of others, which come in order; raises SchemaError."""
        named: dict[str, Any] = {}
        try:
            for reference in references:
                fastavro.parse_schema(json.loads(reference), named_schemas=named)
            schema = json.loads(text)
            parsed = fastavro.parse_schema(schema, named_schemas=named)
            if references:
                parsed = fastavro.parse_schema(_with_types_within(parsed, named))
        except Exception as error:
            raise SchemaError(tr("This is no Avro schema: {error}", error=error)[:300]) from None
        title = schema.get("name") if isinstance(schema, dict) else None
        return cls(str(title or "schema"), parsed)

    @classmethod
    def from_file(cls, path: Path) -> AvroSchema:
        """Read a schema file; raises SchemaError when it cannot be used."""
        try:
            return cls.from_text(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise SchemaError(tr("{path} cannot be read: {error}", path=path, error=error)) from None

    def parse(self, data: bytes) -> Any:
        """Return the one value the bytes hold (a Confluent mark before it is left out).

        Raises:
            DecodeError: the bytes do not fit the schema, or some are left over.
        """
        start = 5 if len(data) > 5 and data[0] == 0 and self._fails_at(data, 0) else 0
        return self.parse_exactly(data, start)

    def parse_exactly(self, data: bytes, start: int = 0) -> Any:
        """Return the one value that the bytes from `start` hold; raises DecodeError."""
        stream = io.BytesIO(data)
        stream.seek(start)
        value = self._read(stream)
        if stream.tell() != len(data):
            raise DecodeError(tr("data follows the value"), stream.tell())
        return value

    def _fails_at(self, data: bytes, start: int) -> bool:
        stream = io.BytesIO(data)
        stream.seek(start)
        try:
            self._read(stream)
        except DecodeError:
            return True
        return stream.tell() != len(data)

    def _read(self, stream: io.BytesIO) -> Any:
        try:
            return fastavro.schemaless_reader(stream, self.parsed, None)
        except Exception as error:
            raise DecodeError(
                tr("does not fit {name}: {error}", name=self.name, error=str(error) or type(error).__name__),
                stream.tell(),
            ) from None

    def encode(self, value: Any) -> bytes:
        """Return the bytes of a value; raises SchemaError when it does not fit."""
        stream = io.BytesIO()
        try:
            fastavro.schemaless_writer(stream, self.parsed, value)
        except Exception as error:
            raise SchemaError(
                tr("This does not fit {name}: {error}", name=self.name, error=error)[:300]
            ) from None
        return stream.getvalue()


def _with_types_within(schema: Any, named: dict[str, Any]) -> Any:
    """Return a schema that can be read by itself: each type it names stands where it is first named."""
    defined: set[str] = set()

    def walk(part: Any) -> Any:
        if isinstance(part, str):
            return part if part in defined or part not in named else walk(named[part])
        if isinstance(part, list):
            return [walk(branch) for branch in part]
        if not isinstance(part, dict):
            return part
        if part.get("type") in ("record", "error", "enum", "fixed"):
            defined.add(part["name"])
        result = {key: value for key, value in part.items() if not key.startswith("__")}
        if "fields" in part:
            result["fields"] = [{**field, "type": walk(field["type"])} for field in part["fields"]]
        for key in ("items", "values"):
            if key in part:
                result[key] = walk(part[key])
        if isinstance(part.get("type"), dict | list) or part.get("type") in named:
            result["type"] = walk(part["type"])
        return result

    return walk(schema)


def parse_container(data: bytes, limit: int = MAX_OUTPUT) -> Any:
    """Return the records of an Avro object container, each block unwrapped within a bound.

    Raises:
        DecodeError: it is none, damaged, or grows beyond the bound.
    """
    if not data.startswith(AVRO_MARK):
        raise DecodeError(tr("begins with no Avro mark"), 0)
    stream = io.BytesIO(data)
    stream.seek(4)
    metadata: dict[str, bytes] = {}
    while count := _long(stream):
        if count < 0:
            _long(stream)
        for _ in range(min(abs(count), 1000)):
            key = _bytes(stream).decode("utf-8", "replace")
            metadata[key] = _bytes(stream)
    sync = stream.read(16)
    codec = metadata.get("avro.codec", b"null").decode("ascii", "replace")
    try:
        schema = AvroSchema.from_text(metadata["avro.schema"].decode("utf-8"))
    except (KeyError, UnicodeDecodeError, SchemaError) as error:
        raise DecodeError(tr("the container's schema cannot be used: {error}", error=error), 4) from None
    records: list[Any] = []
    grown = 0
    while stream.tell() < len(data) and len(records) < MAX_RECORDS:
        start = stream.tell()
        count = _long(stream)
        block = _unpack(codec, _bytes(stream), limit - grown, start)
        grown += len(block)
        inner = io.BytesIO(block)
        for _ in range(min(count, MAX_RECORDS - len(records))):
            records.append(schema._read(inner))
        if stream.read(16) != sync:
            raise DecodeError(tr("a block does not end with the container's mark"), stream.tell())
    return records


def _unpack(codec: str, block: bytes, limit: int, offset: int) -> bytes:
    if codec == "null":
        return block
    over = False
    if codec == "deflate":
        engine = zlib.decompressobj(-15)
        try:
            output = engine.decompress(block, limit + 1)
        except zlib.error as error:
            raise DecodeError(tr("damaged block: {error}", error=error), offset) from None
        over = len(output) > limit
    elif codec == "snappy":
        if cramjam.snappy.decompress_raw_len(block[:-4]) > limit:
            over, output = True, b""
        else:
            output = bytes(cramjam.snappy.decompress_raw(block[:-4]))
    elif codec == "zstandard":
        output, over = unwrap_one("zstd", block, limit)
    else:
        raise DecodeError(tr("the compression {codec} is not known", codec=codec), offset)
    if over:
        raise DecodeError(tr("grows beyond {limit:,} bytes", limit=limit), offset)
    return output


def _long(stream: io.BytesIO) -> int:
    result = shift = 0
    while True:
        byte = stream.read(1)
        if not byte or shift > 63:
            raise DecodeError(tr("a number is cut off"), stream.tell())
        result |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return (result >> 1) ^ -(result & 1)
        shift += 7


def _bytes(stream: io.BytesIO) -> bytes:
    size = _long(stream)
    start = stream.tell()
    data = stream.read(size) if 0 <= size <= len(stream.getbuffer()) - start else b""
    if len(data) != size:
        raise DecodeError(tr("{size} bytes announced, fewer left", size=size), start)
    return data
