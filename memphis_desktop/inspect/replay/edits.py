"""What a replay changes in a message before it is sent again, and which messages it leaves out.

Edits are plain text, one a line, so that the same words work in the window, on the command line and in a
record on disk::

    $.customer.name = "Anonymous"      sets a value, making objects on the way
    $.items[*].price = 0               in every item
    - $.customer.email                 removes
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from memphis_desktop.inspect.decode.exact_json import parse, write
from memphis_desktop.inspect.decode.model import DecodeError
from memphis_desktop.inspect.filter import FilterError, JsonPath, parse_filter
from memphis_desktop.inspect.filter.paths import MISSING, child
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr

Step = str | int | None


class EditError(ValueError):
    """An edit is not understood, or cannot be made in a message; the text says why."""


@dataclass(frozen=True)
class FieldEdit:
    """One line: a path, and the value it gets; `MISSING` removes it."""

    path: JsonPath
    value: Any

    def __str__(self) -> str:
        if self.value is MISSING:
            return f"- {self.path.source}"
        return f"{self.path.source} = {write(self.value, None)}"


def parse_edit(line: str) -> FieldEdit:
    """Read one line; raises EditError."""
    text = line.strip()
    removal = text.startswith("-")
    path_text, equals, value_text = (text[1:], "", "") if removal else _split(text)
    try:
        path = JsonPath.parse(path_text)
    except ValueError as error:
        raise EditError(str(error)) from None
    if not path.steps:
        raise EditError(tr("{text!r} names no field", text=text[:40]))
    if removal:
        return FieldEdit(path, MISSING)
    if not equals or not value_text.strip():
        raise EditError(
            tr(
                "{text!r} gives no value; write {source} = VALUE, or - {source}",
                text=text[:40],
                source=path.source,
            )
        )
    try:
        value = parse(value_text.strip().encode())
    except DecodeError as error:
        raise EditError(
            tr(
                "{value_text!r} is no JSON value ({error}); quote a text",
                value_text=value_text.strip()[:40],
                error=error,
            )
        ) from None
    return FieldEdit(path, value)


def _split(text: str) -> tuple[str, str, str]:
    """Split at the first ``=`` outside of a quoted step of the path."""
    quote = ""
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character == "=":
            return text[:position], "=", text[position + 1 :]
    return text, "", ""


@dataclass(frozen=True)
class Edits:
    """Everything a replay changes in payloads, and its filter.

    Attributes:
        where: only messages that this filter accepts are sent; empty for all.
        fields: the lines.
    """

    where: str = ""
    fields: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, where: str = "") -> Edits:
        """Read lines and a filter; raises EditError when one is not understood."""
        edits = cls(where.strip(), tuple(line.strip() for line in text.splitlines() if line.strip()))
        edits.check()
        return edits

    def check(self) -> None:
        """Raise EditError when something is not understood."""
        _ = self._parsed, self._accepts

    def __bool__(self) -> bool:
        return bool(self.where or self.fields)

    @cached_property
    def _parsed(self) -> tuple[FieldEdit, ...]:
        return tuple(parse_edit(line) for line in self.fields)

    @cached_property
    def _accepts(self) -> Callable[[InspectedMessage], bool]:
        try:
            return parse_filter(self.where).accepts
        except FilterError as error:
            raise EditError(tr("the filter is not understood: {error}", error=error)) from None

    def apply(
        self, message: InspectedMessage, seen: InspectedMessage | None = None
    ) -> InspectedMessage | None:
        """Return the message as changed; None when it is left out.

        Args:
            message: The message.
            seen: What the filter may see of it, where that is not all.

        Raises:
            EditError: the edit cannot be made: the payload is not JSON, or has no such place.
        """
        if self.where:
            try:
                if not self._accepts(seen or message):
                    return None
            except FilterError:
                return None  # what cannot be told is not what was asked for
        if not self.fields:
            return message
        try:
            value = parse(message.payload)
        except DecodeError as error:
            raise EditError(tr("the payload is no JSON to edit: {error}", error=error)) from None
        for edit in self._parsed:
            _edit(value, edit)
        return replace(message, payload=write(value, None).encode("utf-8", "surrogatepass"))


def _edit(value: Any, edit: FieldEdit) -> None:
    steps = edit.path.steps
    for holder in _holders(value, steps[:-1], make=edit.value is not MISSING):
        last = steps[-1]
        if last is None:
            _edit_all(holder, edit.value)
        elif edit.value is MISSING:
            _remove(holder, last)
        else:
            _set(holder, last, edit)


def _holders(value: Any, steps: tuple[Step, ...], *, make: bool) -> list[Any]:
    """Return the containers that the steps lead to, making missing objects when something is to be set."""
    holders = [value]
    for step in steps:
        following: list[Any] = []
        for holder in holders:
            if step is None:
                items = holder.values() if isinstance(holder, dict) else holder
                following.extend(items if isinstance(holder, dict | list) else ())
                continue
            found = child(holder, step)
            if found is MISSING and make and isinstance(holder, dict):
                found = holder[str(step)] = {}
            if found is not MISSING:
                following.append(found)
            elif make:
                raise EditError(tr("there is no place {step!r} in this payload", step=step))
        holders = following
    return holders


def _edit_all(holder: Any, new: Any) -> None:
    if isinstance(holder, dict):
        keys: list[Any] = list(holder)
    elif isinstance(holder, list):
        keys = list(range(len(holder)))
    else:
        return
    if new is MISSING:
        holder.clear()
    else:
        for key in keys:
            holder[key] = new


def _remove(holder: Any, step: Step) -> None:
    if isinstance(holder, dict):
        holder.pop(str(step), None)
    elif isinstance(holder, list) and isinstance(step, int) and -len(holder) <= step < len(holder):
        del holder[step]


def _set(holder: Any, step: Step, edit: FieldEdit) -> None:
    if isinstance(holder, dict):
        holder[str(step)] = edit.value
    elif isinstance(holder, list) and isinstance(step, int) and -len(holder) <= step < len(holder):
        holder[step] = edit.value
    else:
        raise EditError(tr("there is no place for {source} in this payload", source=edit.path.source))
