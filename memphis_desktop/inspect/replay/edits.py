"""What a replay changes in a message before it is sent again, and which messages it leaves out.

Edits are plain text, one a line, so that the same words work in the window, on the command line and in a
record on disk::

    $.customer.name = "Anonymous"      sets a value, making objects on the way
    $.items[*].price = 0               in every item
    $.total := json.net * 1.19         sets what an expression over the recorded message gives
    headers.Region := part(subject, 2) the same for a header; nothing removes it
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
from memphis_desktop.inspect.message import InspectedMessage, check_header
from memphis_desktop.inspect.replay.computed import Computed, ComputeError, Seen
from memphis_desktop.language import tr

Step = str | int | None


class EditError(ValueError):
    """An edit is not understood, or cannot be made in a message; the text says why."""


@dataclass(frozen=True)
class FieldEdit:
    """One line.

    Attributes:
        path: Where, in the payload.
        value: What stands there afterwards; `MISSING` removes it.
        header: The header that is set instead; empty for a place in the payload.
        computed: What works the value out for each message; None when it is the same in all.
    """

    path: JsonPath
    value: Any
    header: str = ""
    computed: Computed | None = None

    def __str__(self) -> str:
        if self.computed is not None:
            return f"{self.path.source} := {self.computed.source}"
        if self.value is MISSING:
            return f"- {self.path.source}"
        return f"{self.path.source} = {write(self.value, None)}"


def parse_edit(line: str) -> FieldEdit:
    """Read one line; raises EditError."""
    text = line.strip()
    removal = text.startswith("-")
    path_text, sign, value_text = (text[1:], "", "") if removal else _split(text)
    try:
        path = JsonPath.parse(path_text)
    except ValueError as error:
        raise EditError(str(error)) from None
    header = _header_name(path)
    if not path.steps:
        raise EditError(tr("{text!r} names no field", text=text[:40]))
    if removal:
        return FieldEdit(path, MISSING, header)
    if not sign or not value_text.strip():
        raise EditError(
            tr(
                "{text!r} gives no value; write {source} = VALUE, or - {source}",
                text=text[:40],
                source=path.source,
            )
        )
    if sign == ":=":
        begins = len(text) - len(value_text.lstrip())
        return FieldEdit(path, MISSING, header, _computed(value_text.strip(), begins))
    value = _literal(value_text.strip())
    if header and not isinstance(value, str):
        raise EditError(
            tr("a header is a text: quote it, or write {source} := EXPRESSION", source=path.source)
        )
    if header:
        check_header(header, value)
    return FieldEdit(path, value, header)


def _header_name(path: JsonPath) -> str:
    """Return the header that a path names; empty for a place in the payload."""
    if path.source.startswith("$") or not path.steps or path.steps[0] not in ("headers", "header"):
        return ""
    if len(path.steps) != 2 or not isinstance(path.steps[1], str):
        raise EditError(tr("{source!r} names no header; write headers.NAME", source=path.source))
    try:
        check_header(path.steps[1], "")
    except ValueError as error:
        raise EditError(str(error)) from None
    return path.steps[1]


def _computed(source: str, begins: int) -> Computed:
    try:
        return Computed(source)
    except ComputeError as error:
        raise EditError(_at(str(error), error.position, begins)) from None


def _at(problem: str, position: int | None, begins: int) -> str:
    """A problem with the place in the line, counted from 1."""
    if position is None:
        return problem
    return tr("{problem} (at character {position})", problem=problem, position=begins + position + 1)


def _literal(text: str) -> Any:
    try:
        return parse(text.encode())
    except DecodeError as error:
        raise EditError(
            tr("{value_text!r} is no JSON value ({error}); quote a text", value_text=text[:40], error=error)
        ) from None


def _split(text: str) -> tuple[str, str, str]:
    """Split at the first ``=`` or ``:=`` outside of a quoted step of the path."""
    quote = ""
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character == "=":
            if text[position - 1 : position] == ":":
                return text[: position - 1], ":=", text[position + 1 :]
            return text[:position], "=", text[position + 1 :]
    return text, "", ""


@dataclass(frozen=True)
class Edits:
    """Everything a replay changes in payloads and headers line by line, and its filter.

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
        parsed = []
        for number, line in enumerate(self.fields):
            try:
                parsed.append(parse_edit(line))
            except ValueError as error:
                raise EditError(self._in_line(number, str(error))) from None
        return tuple(parsed)

    @property
    def headers(self) -> tuple[str, ...]:
        """The headers that lines set or remove."""
        return tuple(edit.header for edit in self._parsed if edit.header)

    def _in_line(self, number: int, problem: str) -> str:
        """A problem with the number of its line, where there is more than one."""
        if len(self.fields) == 1:
            return problem
        return tr("line {number}: {problem}", number=number + 1, problem=problem)

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
            seen: What the filter and expressions may see of it, where that is not all.

        Raises:
            EditError: an edit cannot be made: the payload is not JSON, has no such place, or the expression
                fails.
        """
        if self.where:
            try:
                if not self._accepts(seen or message):
                    return None
            except FilterError:
                return None  # what cannot be told is not what was asked for
        if not self.fields:
            return message
        values = self._values(message, seen)
        changed = message
        if any(not edit.header for edit in self._parsed):
            changed = replace(message, payload=self._edited(message, values))
        headers = message.headers
        for edit, value in zip(self._parsed, values, strict=True):
            if edit.header:
                without = headers.without((edit.header,))
                headers = without if value in (None, MISSING) else headers.with_set(edit.header, value)
        if headers is not message.headers:
            changed = replace(changed, header_bytes=headers.encode(), _headers=headers)
        return changed

    def _values(self, message: InspectedMessage, masked: InspectedMessage | None) -> list[Any]:
        """What each line sets; all expressions see the message as it was recorded."""
        if all(edit.computed is None for edit in self._parsed):
            return [edit.value for edit in self._parsed]
        seen, values = Seen(message, masked), []
        for number, edit in enumerate(self._parsed):
            if edit.computed is None:
                values.append(edit.value)
                continue
            try:
                values.append(edit.computed.header(seen) if edit.header else edit.computed.value(seen))
            except ComputeError as error:
                line = self.fields[number]
                begins = len(line) - len(edit.computed.source)
                problem = _at(f"{edit.path.source}: {error}", error.position, begins)
                raise EditError(self._in_line(number, problem)) from None
        return values

    def _edited(self, message: InspectedMessage, values: list[Any]) -> bytes:
        try:
            payload = parse(message.payload)
        except DecodeError as error:
            raise EditError(tr("the payload is no JSON to edit: {error}", error=error)) from None
        for edit, value in zip(self._parsed, values, strict=True):
            if not edit.header:
                _edit(payload, replace(edit, value=value) if edit.computed is not None else edit)
        return write(payload, None).encode("utf-8", "surrogatepass")


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
