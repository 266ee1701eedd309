"""The fields of an Avro schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from memphis_desktop.inspect.forms.fields import Field, FieldKind
from memphis_desktop.inspect.forms.protobuf import bounds
from memphis_desktop.language import tr

_PLAIN = {
    "null": FieldKind.NULL, "boolean": FieldKind.BOOLEAN, "float": FieldKind.NUMBER,
    "double": FieldKind.NUMBER, "bytes": FieldKind.BYTES, "string": FieldKind.TEXT,
}  # fmt: skip


def schema_field(schema: Any, name: str = "") -> Field:
    """Return the field that holds a value of a schema (as fastavro parses it, or as it was written)."""
    named: dict[str, Any] = {}
    _collect(schema, named)
    return _Builder(named).field(schema, name)


def _collect(schema: Any, named: dict[str, Any]) -> None:
    """Note every named type, however it is nested."""
    waiting = [schema]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, list):
            waiting += entry
        elif isinstance(entry, Mapping):
            if "name" in entry and entry.get("type") in ("record", "error", "enum", "fixed"):
                full = str(entry["name"])
                space = entry.get("namespace")
                named[full if not space or "." in full else f"{space}.{full}"] = entry
                named.setdefault(full.rpartition(".")[2], entry)
            for field in entry.get("fields") or []:
                waiting.append(field.get("type"))
            waiting += [entry[key] for key in ("items", "values") if key in entry]
            if isinstance(entry.get("type"), dict | list):
                waiting.append(entry["type"])


class _Builder:
    def __init__(self, named: dict[str, Any]) -> None:
        self.named = named

    def field(self, schema: Any, name: str) -> Field:
        if isinstance(schema, str):
            return self._by_name(schema, name)
        if isinstance(schema, list):
            titles = " or ".join(_title(branch) for branch in schema)
            return Field(
                name,
                FieldKind.UNION,
                titles,
                children=lambda: tuple(self.field(branch, "") for branch in schema),
            )
        kind = schema["type"]
        help_text = str(schema.get("doc") or "")
        logical = str(schema.get("logicalType") or "")
        if kind in ("record", "error"):
            return Field(
                name,
                FieldKind.OBJECT,
                str(schema["name"]),
                children=lambda: tuple(self._record_field(field) for field in schema["fields"]),
                help=help_text,
            )
        if kind == "enum":
            options = tuple(map(str, schema["symbols"]))
            return Field(name, FieldKind.CHOICE, str(schema["name"]), options=options, help=help_text)
        if kind == "array":
            items = schema["items"]
            title = tr("array of {type}", type=_title(items))
            return Field(name, FieldKind.LIST, title, item=lambda: self.field(items, ""))
        if kind == "map":
            values = schema["values"]
            title = tr("map of {type}", type=_title(values))
            return Field(name, FieldKind.MAP, title, item=lambda: self.field(values, ""))
        if kind == "fixed":
            size = tr("{name}, {size} bytes", name=schema["name"], size=schema["size"])
            return Field(name, FieldKind.NUMBER if logical == "decimal" else FieldKind.BYTES, size)
        if logical == "decimal":
            return Field(
                name,
                FieldKind.NUMBER,
                tr("decimal, {count} places", count=schema.get("scale", 0)),
                help=help_text,
            )
        if isinstance(kind, dict | list) or kind in self.named:
            return self.field(kind, name)
        made = self._by_name(str(kind), name)
        return made if not logical else Field(
            name, made.kind, f"{kind}, {logical}", low=made.low, high=made.high, help=help_text
        )  # fmt: skip

    def _by_name(self, kind: str, name: str) -> Field:
        if kind in ("int", "long"):
            low, high = bounds(32 if kind == "int" else 64, True)
            return Field(name, FieldKind.INTEGER, kind, low=low, high=high)
        if kind in _PLAIN:
            return Field(name, _PLAIN[kind], kind)
        found = self.named.get(kind)
        return Field(name, FieldKind.ANY, kind) if found is None else self.field(found, name)

    def _record_field(self, field: Mapping[str, Any]) -> Field:
        made = self.field(field["type"], str(field["name"]))
        help_text = str(field.get("doc") or made.help)
        return replace(made, required="default" not in field, help=help_text)


def _title(schema: Any) -> str:
    if isinstance(schema, str):
        return schema.rpartition(".")[2]
    if isinstance(schema, list):
        return "union"
    return str(schema.get("name") or schema.get("type")).rpartition(".")[2]
