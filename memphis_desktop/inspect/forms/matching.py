"""Which branch of a union a value belongs to."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from memphis_desktop.inspect.forms.fields import BASE64, Field, FieldKind


def branch_of(value: Any, branches: tuple[Field, ...]) -> Field | None:
    """Return the first branch a value looks like, None when it looks like none."""
    for branch in branches:
        if _looks_like(value, branch):
            return branch
    if isinstance(value, int) and not isinstance(value, bool):  # whole numbers are numbers, too
        return next((branch for branch in branches if branch.kind is FieldKind.NUMBER), None)
    return None


def _looks_like(value: Any, field: Field) -> bool:
    kind = field.kind
    if kind is FieldKind.UNION:
        return branch_of(value, field.children()) is not None
    if isinstance(value, dict):
        if kind is FieldKind.OBJECT:
            return field.open or set(value) - {"-type"} <= {child.name for child in field.children()}
        return kind is FieldKind.MAP
    if isinstance(value, list):
        return kind is FieldKind.LIST
    if isinstance(value, bool):
        return kind is FieldKind.BOOLEAN
    if isinstance(value, str):
        if kind is FieldKind.CHOICE:
            return value in field.options
        return kind is (FieldKind.BYTES if value.startswith(BASE64) else FieldKind.TEXT)
    if isinstance(value, int):
        return kind is FieldKind.INTEGER
    return kind is FieldKind.NUMBER if isinstance(value, Decimal | float) else kind is FieldKind.NULL
