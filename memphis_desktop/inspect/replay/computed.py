"""Values that a replay works out from each message: an expression, whose value goes into JSON or a header.

An expression sees the message as it was recorded, whatever other lines change. It sees what the user may
see: where a masked value would get into a copy, the message fails instead, so that neither the mask's text
is stored in place of the value nor the value shown under another name.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from memphis_desktop.inspect.decode.exact_json import parse, write_parts
from memphis_desktop.inspect.decode.model import DecodeError
from memphis_desktop.inspect.filter import FilterError, LazyMessage
from memphis_desktop.inspect.filter.expression import compile_value
from memphis_desktop.inspect.filter.paths import MISSING
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr

MAX_VALUE = 8 << 20  # characters of JSON that an expression may give


class ComputeError(ValueError):
    """An expression is not understood, or fails on a message; the text says why.

    Attributes:
        position: The character in the expression, None when there is none to name.
    """

    def __init__(self, text: str, position: int | None = None) -> None:
        super().__init__(text)
        self.position = position


class Seen:
    """One message as expressions see it, read once for all of them."""

    def __init__(self, message: InspectedMessage, masked: InspectedMessage | None) -> None:
        """`masked` is what may be seen of it, None when that is all."""
        self.whole = LazyMessage.exactly(message)
        same = masked is None or (
            masked.payload == message.payload and masked.header_bytes == message.header_bytes
        )
        self.masked = None if same or masked is None else LazyMessage.exactly(masked)


class Computed:
    """A compiled expression."""

    def __init__(self, source: str) -> None:
        """Understand an expression; raises `ComputeError`."""
        self.source = source
        if not source.strip():
            raise ComputeError(tr("An expression is expected"), 0)
        try:
            self._value = compile_value(source)
        except FilterError as error:
            raise ComputeError(str(error), error.position) from None

    def json_text(self, seen: Seen) -> str | None:
        """Return the value as JSON text; None when there is nothing.

        Raises:
            ComputeError: it cannot be worked out, is no JSON, or uses what is masked.
        """
        text = self._text(seen.whole)
        if seen.masked is not None and self._text(seen.masked) != text:
            raise ComputeError(tr("it uses a masked value, which is not copied elsewhere"))
        return text

    def value(self, seen: Seen) -> Any:
        """Return the value of its own, with exact numbers; None when there is nothing; raises as above."""
        text = self.json_text(seen)
        return None if text is None else parse(text.encode("utf-8", "surrogatepass"))

    def header(self, seen: Seen) -> str | None:
        """Return the value as text for a header; None when there is nothing; raises as above."""
        text = self.json_text(seen)
        if text is None or text == "null":
            return None
        if text[0] == '"':
            value = str(parse(text.encode("utf-8", "surrogatepass")))
            if "\r" in value or "\n" in value:
                raise ComputeError(tr("a header cannot hold a line break"))
            return value
        return text

    def _text(self, message: LazyMessage) -> str | None:
        try:
            value = self._value(message)
        except FilterError as error:
            raise ComputeError(str(error), error.position) from None
        except (ArithmeticError, ValueError, TypeError, RecursionError) as error:
            raise ComputeError(str(error)) from None
        return None if value is MISSING else _bounded_json(value)


def _bounded_json(value: Any) -> str:
    if isinstance(value, float | Decimal) and not math.isfinite(value):
        raise ComputeError(tr("the value is no JSON: a number without end"))
    parts, length = [], 0
    for part in write_parts(_without_missing(value), None):
        length += len(part)
        if length > MAX_VALUE:
            raise ComputeError(tr("the value is larger than {limit:,} characters", limit=MAX_VALUE))
        parts.append(part)
    text = "".join(parts)
    try:
        parse(text.encode("utf-8", "surrogatepass"))
    except DecodeError:
        raise ComputeError(tr("the value is no JSON")) from None
    return text


def _without_missing(value: Any) -> Any:
    """What is missing in a list that was written in the expression is null there."""
    if isinstance(value, list) and MISSING in value:
        return [None if item is MISSING else item for item in value]
    return value
