"""The protobuf type of the sample payments: ``resources/proto/sample_payment.proto`` as a live message class.

The descriptor is built here so that no protobuf compiler is needed; a test holds the two in step.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FILE_NAME = "sample_payment.proto"
PACKAGE = "memphis.sample"

METHODS = ("METHOD_UNSPECIFIED", "METHOD_CARD", "METHOD_TRANSFER", "METHOD_WALLET")
CARD_FIELDS = (("brand", "string"), ("last_digits", "string"))
PAYMENT_FIELDS = (
    ("payment_id", "uint64"),
    ("order_id", "uint64"),
    ("amount_cents", "sint64"),
    ("currency", "string"),
    ("method", "Method"),
    ("card", "Card"),
    ("paid_at_ms", "int64"),
    ("tags", "repeated string"),
)


def payment_file() -> descriptor_pb2.FileDescriptorProto:
    """Return the descriptor of the file, numbering fields from 1 in the order above."""
    file = descriptor_pb2.FileDescriptorProto(name=FILE_NAME, package=PACKAGE, syntax="proto3")
    method = file.enum_type.add(name="Method")
    for number, name in enumerate(METHODS):
        method.value.add(name=name, number=number)
    _add_message(file, "Card", CARD_FIELDS)
    _add_message(file, "Payment", PAYMENT_FIELDS)
    return file


def _add_message(
    file: descriptor_pb2.FileDescriptorProto, name: str, fields: tuple[tuple[str, str], ...]
) -> None:
    message = file.message_type.add(name=name)
    kinds = descriptor_pb2.FieldDescriptorProto
    for number, (field_name, kind) in enumerate(fields, start=1):
        label = kinds.LABEL_REPEATED if kind.startswith("repeated ") else kinds.LABEL_OPTIONAL
        field = message.field.add(name=field_name, number=number, label=label)
        kind = kind.removeprefix("repeated ")
        if kind == "Method":
            field.type, field.type_name = kinds.TYPE_ENUM, f".{PACKAGE}.Method"
        elif kind == "Card":
            field.type, field.type_name = kinds.TYPE_MESSAGE, f".{PACKAGE}.Card"
        else:
            field.type = kinds.Type.Value(f"TYPE_{kind.upper()}")


@cache
def payment_class() -> Any:
    """Return the message class of a payment."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(payment_file())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.Payment"))
