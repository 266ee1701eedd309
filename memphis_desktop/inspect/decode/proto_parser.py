"""Reads .proto files into descriptors: messages, enums, maps and oneofs of proto2 and proto3.

Services, options and extensions are skipped; they do not change how a message is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from memphis_desktop.language import tr

MAX_NESTING = 32

_SCALARS = {
    "double": 1, "float": 2, "int64": 3, "uint64": 4, "int32": 5, "fixed64": 6, "fixed32": 7, "bool": 8,
    "string": 9, "bytes": 12, "uint32": 13, "sfixed32": 15, "sfixed64": 16, "sint32": 17, "sint64": 18,
}  # fmt: skip
_LABELS = {"optional": 1, "required": 2, "repeated": 3}
_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<word>\.?[A-Za-z_][\w.]*)
      | (?P<number>[-+]?(?:0[xX][0-9a-fA-F]+|[\d.]+(?:[eE][-+]?\d+)?))
      | (?P<sign>[{}()\[\]<>=;,:+-])""",
    re.VERBOSE | re.DOTALL,
)


class ProtoSyntaxError(Exception):
    """A .proto file that is not understood; the text says the line."""


def parse_proto(text: str, name: str) -> FileDescriptorProto:
    """Return the descriptor of one file. Type names are left as written, for `resolve_types`.

    Raises:
        ProtoSyntaxError: the text is not understood.
    """
    return _Parser(text, name).file()


class _Parser:
    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.tokens: list[tuple[str, int]] = []
        self.index = 0
        position, line = 0, 1
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise ProtoSyntaxError(
                    tr(
                        "{name}, line {line}: {text!r} is not understood",
                        name=name,
                        line=line,
                        text=text[position],
                    )
                )
            if match.lastgroup != "space":
                self.tokens.append((match.group(), line))
            line += match.group().count("\n")
            position = match.end()
        self.proto3 = False

    def error(self, text: str) -> ProtoSyntaxError:
        line = self.tokens[min(self.index, len(self.tokens) - 1)][1] if self.tokens else 1
        return ProtoSyntaxError(tr("{name}, line {line}: {text}", name=self.name, line=line, text=text))

    def peek(self) -> str:
        return self.tokens[self.index][0] if self.index < len(self.tokens) else ""

    def next(self) -> str:
        if self.index >= len(self.tokens):
            raise self.error(tr("the file ends too early"))
        self.index += 1
        return self.tokens[self.index - 1][0]

    def need(self, *wanted: str) -> str:
        found = self.next()
        if found not in wanted:
            self.index -= 1
            raise self.error(
                tr("{wanted} expected, not {found!r}", wanted=tr(" or ").join(wanted), found=found)
            )
        return found

    def number(self) -> int:
        text = self.next()
        try:
            return int(text, 0)
        except ValueError:
            raise self.error(tr("a whole number expected, not {text!r}", text=text)) from None

    def skip_statement(self) -> None:
        """Skip to the end of a statement or block."""
        depth = 0
        while True:
            token = self.next()
            if token in "{[(" and token:
                depth += 1
            elif token in ")]}" and token:
                depth -= 1
                if depth == 0 and token == "}":
                    return
            elif token == ";" and depth == 0:
                return

    def file(self) -> FileDescriptorProto:
        result = FileDescriptorProto(name=self.name, syntax="proto2")
        while self.index < len(self.tokens):
            word = self.next()
            if word in ("syntax", "edition"):
                self.need("=")
                self.proto3 = self.next().strip("\"'") != "proto2"
                result.syntax = "proto3" if self.proto3 else "proto2"
                self.need(";")
            elif word == "package":
                result.package = self.next()
                self.need(";")
            elif word == "import":
                if self.peek() in ("public", "weak"):
                    self.next()
                result.dependency.append(self.next().strip("\"'"))
                self.need(";")
            elif word == "message":
                self.message(result.message_type.add(), 0)
            elif word == "enum":
                self.enum(result.enum_type.add())
            elif word in ("option", "service", "extend"):
                self.skip_statement()
            elif word != ";":
                self.index -= 1
                raise self.error(tr("{word!r} is not understood", word=word))
        return result

    def message(self, result: DescriptorProto, depth: int) -> None:
        if depth > MAX_NESTING:
            raise self.error(tr("nested too deep"))
        result.name = self.next()
        self.need("{")
        while (word := self.next()) != "}":
            if word == "message":
                self.message(result.nested_type.add(), depth + 1)
            elif word == "enum":
                self.enum(result.enum_type.add())
            elif word == "oneof":
                self.oneof(result)
            elif word in ("option", "reserved", "extensions", "extend"):
                self.skip_statement()
            elif word == "map":
                self.map_field(result)
            elif word != ";":
                self.index -= 1
                self.field(result)
        for field in result.field:  # presence of proto3 optional fields hangs on a oneof of their own
            if field.proto3_optional:
                result.oneof_decl.add(name=f"_{field.name}")
                field.oneof_index = len(result.oneof_decl) - 1

    def oneof(self, result: DescriptorProto) -> None:
        result.oneof_decl.add(name=self.next())
        index = len(result.oneof_decl) - 1
        self.need("{")
        while (word := self.next()) != "}":
            if word == "option":
                self.skip_statement()
            elif word != ";":
                self.index -= 1
                self.field(result, oneof=index)

    def field(self, result: DescriptorProto, *, oneof: int | None = None) -> None:
        field = result.field.add(label=1)
        word = self.next()
        if word in _LABELS:
            field.label = _LABELS[word]  # type: ignore[assignment]
            if self.proto3 and word == "optional":
                field.proto3_optional = True
            word = self.next()
        if word == "group":
            raise self.error(tr("groups are not supported"))
        self.set_type(field, word)
        field.name = self.next()
        self.need("=")
        field.number = self.number()
        self.field_options(field)
        if oneof is not None:
            field.oneof_index = oneof

    def field_options(self, field: FieldDescriptorProto) -> None:
        """Only what changes reading matters: packed."""
        if self.peek() == "[":
            depth = 0
            while True:
                token = self.next()
                depth += (token == "[") - (token == "]")
                if token == "packed" and self.peek() == "=":
                    self.next()
                    field.options.packed = self.next() == "true"
                if depth == 0:
                    break
        self.need(";")

    def set_type(self, field: FieldDescriptorProto, word: str) -> None:
        if word in _SCALARS:
            field.type = _SCALARS[word]  # type: ignore[assignment]
        else:
            field.type_name = word  # message or enum: known once all files are read

    def map_field(self, result: DescriptorProto) -> None:
        self.need("<")
        key = self.next()
        self.need(",")
        value = self.next()
        self.need(">")
        name = self.next()
        self.need("=")
        camel = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
        entry_name = camel + "Entry"  # untranslated: a name
        entry = result.nested_type.add(name=entry_name)
        entry.options.map_entry = True
        for number, (part, word) in enumerate((("key", key), ("value", value)), 1):
            self.set_type(entry.field.add(name=part, number=number, label=1), word)
        field = result.field.add(name=name, number=self.number(), label=3, type_name=entry_name, type=11)
        self.field_options(field)

    def enum(self, result: EnumDescriptorProto) -> None:
        result.name = self.next()
        self.need("{")
        while (word := self.next()) != "}":
            if word in ("option", "reserved"):
                if word == "option" and self.peek() == "allow_alias":
                    result.options.allow_alias = True
                self.skip_statement()
            elif word != ";":
                self.need("=")
                result.value.add(name=word, number=self.number())
                if self.peek() == "[":
                    while self.next() != "]":
                        pass
                self.need(";")


def names(file: FileDescriptorProto) -> Iterator[tuple[str, bool]]:
    """Yield the full name of each message (True) and enum (False) of a file."""
    prefix = f".{file.package}" if file.package else ""

    def walk(message: DescriptorProto, scope: str) -> Iterator[tuple[str, bool]]:
        full = f"{scope}.{message.name}"
        yield full, True
        for inner in message.nested_type:
            yield from walk(inner, full)
        for enum in message.enum_type:
            yield f"{full}.{enum.name}", False

    for message in file.message_type:
        yield from walk(message, prefix)
    for enum in file.enum_type:
        yield f"{prefix}.{enum.name}", False


def resolve_types(file: FileDescriptorProto, known: dict[str, bool]) -> None:
    """Fill in what the type names mean, looking outward from where each is used.

    Raises:
        ProtoSyntaxError: a type is nowhere.
    """
    prefix = f".{file.package}" if file.package else ""

    def find(name: str, scope: str) -> str:
        if name.startswith("."):
            if name in known:
                return name
        else:
            while True:
                candidate = f"{scope}.{name}"
                if candidate in known:
                    return candidate
                if not scope:
                    break
                scope = scope.rpartition(".")[0]
        raise ProtoSyntaxError(
            tr("{name}: the type {type} is not known; is a file missing?", name=file.name, type=name)
        )

    def walk(message: DescriptorProto, scope: str) -> None:
        full = f"{scope}.{message.name}"
        for field in message.field:
            if field.type_name:
                field.type_name = find(field.type_name, full)
                field.type = 11 if known[field.type_name] else 14  # type: ignore[assignment]
        for inner in message.nested_type:
            walk(inner, full)

    for message in file.message_type:
        walk(message, prefix)
