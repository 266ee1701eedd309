"""The fields of a JSON Schema, and of JSON without any schema."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from memphis_desktop.inspect.forms.fields import Field, FieldKind

MAX_REFERENCES = 64
_KINDS = {
    "object": FieldKind.OBJECT, "array": FieldKind.LIST, "string": FieldKind.TEXT,
    "integer": FieldKind.INTEGER, "number": FieldKind.NUMBER, "boolean": FieldKind.BOOLEAN,
    "null": FieldKind.NULL,
}  # fmt: skip
FREE_KINDS = tuple(
    FieldKind[name] for name in ("TEXT", "INTEGER", "NUMBER", "BOOLEAN", "NULL", "OBJECT", "LIST")
)


def schema_field(schema: Any, name: str = "") -> Field:
    """Return the field that holds a value of a JSON Schema; only references within it are followed."""
    return _Builder(schema).field(schema, name)


class _Builder:
    def __init__(self, root: Any) -> None:
        self.root = root

    def field(self, schema: Any, name: str, required: bool = False) -> Field:
        schema = self._resolved(schema)
        if not isinstance(schema, Mapping):
            return Field(name, FieldKind.ANY, required=required)
        help_text = str(schema.get("description") or schema.get("title") or "")
        initial = schema.get("default", schema.get("const"))
        options = schema.get("enum")
        if isinstance(options, list) and options and all(isinstance(entry, str) for entry in options):
            return Field(
                name, FieldKind.CHOICE, "", required, options=tuple(options), help=help_text, initial=initial
            )
        branches = schema.get("oneOf") or schema.get("anyOf")
        kinds = schema.get("type")
        if isinstance(kinds, list):
            branches = [{**schema, "type": kind} for kind in kinds]
        if isinstance(branches, list) and branches:
            return Field(
                name, FieldKind.UNION, "", required, help=help_text, initial=initial,
                children=lambda: tuple(self.field(branch, "") for branch in branches),
            )  # fmt: skip
        kind = _KINDS.get(str(kinds), self._guess(schema))
        if kind is FieldKind.OBJECT:
            return self._object(schema, name, required, help_text)
        if kind is FieldKind.LIST:
            items = schema.get("items", {})
            return Field(
                name, kind, "", required, item=lambda: self.field(items, ""), help=help_text, initial=initial
            )
        low, high = _whole(schema.get("minimum")), _whole(schema.get("maximum"))
        type_name = str(schema.get("format") or "")
        return Field(name, kind, type_name, required, low, high, help=help_text, initial=initial)

    def _object(self, schema: Mapping[str, Any], name: str, required: bool, help_text: str) -> Field:
        properties = schema.get("properties")
        further = schema.get("additionalProperties", True)
        if not isinstance(properties, Mapping) or not properties:
            if isinstance(further, Mapping):
                return Field(
                    name, FieldKind.MAP, "", required, item=lambda: self.field(further, ""), help=help_text
                )
            properties = {}
        needed = schema.get("required")
        names = {str(entry) for entry in needed} if isinstance(needed, list) else set()
        return Field(
            name, FieldKind.OBJECT, "", required, help=help_text, open=further is not False,
            children=lambda: tuple(
                self.field(entry, str(key), str(key) in names) for key, entry in properties.items()
            ),
        )  # fmt: skip

    def _guess(self, schema: Mapping[str, Any]) -> FieldKind:
        if "properties" in schema or "required" in schema:
            return FieldKind.OBJECT
        return FieldKind.LIST if "items" in schema else FieldKind.ANY

    def _resolved(self, schema: Any) -> Any:
        for _ in range(MAX_REFERENCES):
            if not isinstance(schema, Mapping):
                return schema
            reference = schema.get("$ref")
            if isinstance(reference, str):
                schema = self._find(reference)
            elif isinstance(schema.get("allOf"), list) and len(schema["allOf"]) == 1:
                schema = schema["allOf"][0]
            else:
                return schema
        return {}

    def _find(self, reference: str) -> Any:
        if not reference.startswith("#"):
            return {}
        place = self.root
        for step in reference.removeprefix("#").strip("/").split("/"):
            if not step:
                continue
            key = step.replace("~1", "/").replace("~0", "~")
            place = place.get(key) if isinstance(place, Mapping) else None
            if place is None:
                return {}
        return place


def _whole(value: Any) -> int | None:
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def value_field(value: Any, name: str = "") -> Field:
    """Return the field for a value of which nothing is known but itself."""
    if isinstance(value, Mapping):
        return Field(name, FieldKind.OBJECT, open=True)
    if isinstance(value, list):
        return Field(name, FieldKind.LIST, item=lambda: Field("", FieldKind.ANY))
    if isinstance(value, bool):
        return Field(name, FieldKind.BOOLEAN)
    if isinstance(value, int):
        return Field(name, FieldKind.INTEGER)
    if isinstance(value, float | Decimal):
        return Field(name, FieldKind.NUMBER)
    return Field(name, FieldKind.NULL if value is None else FieldKind.TEXT)
