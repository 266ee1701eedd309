"""The fields of a protobuf message."""

from __future__ import annotations

from dataclasses import replace

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from memphis_desktop.inspect.forms.fields import Field, FieldKind
from memphis_desktop.language import tr

_INTEGERS = {
    FieldDescriptor.TYPE_INT32: ("int32", 32, True), FieldDescriptor.TYPE_SINT32: ("sint32", 32, True),
    FieldDescriptor.TYPE_SFIXED32: ("sfixed32", 32, True), FieldDescriptor.TYPE_UINT32: ("uint32", 32, False),
    FieldDescriptor.TYPE_FIXED32: ("fixed32", 32, False), FieldDescriptor.TYPE_INT64: ("int64", 64, True),
    FieldDescriptor.TYPE_SINT64: ("sint64", 64, True), FieldDescriptor.TYPE_SFIXED64: ("sfixed64", 64, True),
    FieldDescriptor.TYPE_UINT64: ("uint64", 64, False), FieldDescriptor.TYPE_FIXED64: ("fixed64", 64, False),
}  # fmt: skip
_PLAIN = {
    FieldDescriptor.TYPE_DOUBLE: ("double", FieldKind.NUMBER),
    FieldDescriptor.TYPE_FLOAT: ("float", FieldKind.NUMBER),
    FieldDescriptor.TYPE_BOOL: ("bool", FieldKind.BOOLEAN),
    FieldDescriptor.TYPE_STRING: ("string", FieldKind.TEXT),
    FieldDescriptor.TYPE_BYTES: ("bytes", FieldKind.BYTES),
}
# Types that protobuf's own JSON form writes as something simpler.
_WELL_KNOWN = {
    "google.protobuf.Timestamp": (
        FieldKind.TEXT,
        tr("A time such as 2026-11-28T10:00:00Z"),
        "1970-01-01T00:00:00Z",
    ),
    "google.protobuf.Duration": (FieldKind.TEXT, tr("A span such as 1.5s"), "0s"),
    "google.protobuf.FieldMask": (FieldKind.TEXT, tr("Field names joined by commas"), ""),
    "google.protobuf.Struct": (FieldKind.ANY, tr("Any JSON object"), {}),
    "google.protobuf.Value": (FieldKind.ANY, tr("Any JSON"), None),
    "google.protobuf.ListValue": (FieldKind.ANY, tr("Any JSON list"), []),
    "google.protobuf.Any": (FieldKind.ANY, tr('An object with "@type"'), {}),
    "google.protobuf.BoolValue": (FieldKind.BOOLEAN, "", None),
    "google.protobuf.StringValue": (FieldKind.TEXT, "", None),
    "google.protobuf.BytesValue": (FieldKind.BYTES, "", None),
    "google.protobuf.DoubleValue": (FieldKind.NUMBER, "", None),
    "google.protobuf.FloatValue": (FieldKind.NUMBER, "", None),
}
_WELL_KNOWN_INTEGERS = {"Int32Value": (32, True), "UInt32Value": (32, False), "Int64Value": (64, True),
                        "UInt64Value": (64, False)}  # fmt: skip


def bounds(bits: int, signed: bool) -> tuple[int, int]:
    """Return the least and the greatest whole number of so many bits."""
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)


def message_field(descriptor: Descriptor, name: str = "") -> Field:
    """Return the field that holds a message of a type."""
    full = descriptor.full_name
    if full in _WELL_KNOWN:
        kind, help_text, initial = _WELL_KNOWN[full]
        return Field(name, kind, full.rpartition(".")[2], help=help_text, initial=initial)
    short = full.removeprefix("google.protobuf.")  # untranslated: a name
    if short != full and short in _WELL_KNOWN_INTEGERS:
        low, high = bounds(*_WELL_KNOWN_INTEGERS[short])
        return Field(name, FieldKind.INTEGER, short, low=low, high=high)
    return Field(name, FieldKind.OBJECT, full, children=lambda: tuple(map(_field, descriptor.fields)))


def _field(field: FieldDescriptor) -> Field:
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        key = _single(entry.fields_by_name["key"]).type_name
        value = entry.fields_by_name["value"]
        kind_name = f"map<{key}, {_single(value).title()}>"
        return Field(field.name, FieldKind.MAP, kind_name, item=lambda: _single(value).named(""))
    if field.is_repeated:
        one = _single(field)
        return Field(field.name, FieldKind.LIST, f"repeated {one.title()}", item=lambda: one.named(""))
    return _single(field)


def _single(field: FieldDescriptor) -> Field:
    group = ""
    oneof = field.containing_oneof
    if oneof is not None and len(oneof.fields) > 1:  # a lone field is proto3's optional
        group = oneof.name
    required = bool(field.is_required)
    if field.message_type is not None:
        made = message_field(field.message_type, field.name)
    elif field.enum_type is not None:
        names = tuple(value.name for value in field.enum_type.values)
        made = Field(field.name, FieldKind.CHOICE, field.enum_type.full_name, options=names)
    elif field.type in _INTEGERS:
        type_name, bits, signed = _INTEGERS[field.type]
        low, high = bounds(bits, signed)
        made = Field(field.name, FieldKind.INTEGER, type_name, low=low, high=high)
    else:
        type_name, kind = _PLAIN[field.type]
        made = Field(field.name, kind, type_name)
    return replace(made, required=required, group=group)
