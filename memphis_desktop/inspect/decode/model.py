"""What decoding yields: a value, how it was reached, and why the other ways were not taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from memphis_desktop.language import tr

AVRO_MARK = b"Obj\x01"
MAX_OUTPUT = 8 << 20  # bytes a payload may grow to when unwrapped
MAX_DEPTH = 1 << 20  # nesting kept; deeper is refused


class DecodeError(Exception):
    """A payload is not what a decoder expects.

    Attributes:
        reason: A sentence part fit to show ("expected a comma").
        offset: The byte at which it went wrong, None when there is no one place.
    """

    def __init__(self, reason: str, offset: int | None = None) -> None:
        super().__init__(
            reason if offset is None else tr("{reason} at byte {offset}", reason=reason, offset=offset)
        )
        self.reason = reason
        self.offset = offset


class RawNumber(str):
    """A number no Python number can hold (millions of digits, an absurd exponent), as it was written."""

    __slots__ = ()


class SchemaMissing(DecodeError):
    """The schema that a payload names is not to be had.

    Attributes:
        pending: It is only just being asked for: soon it may be.
    """

    def __init__(self, reason: str, offset: int | None = None, *, pending: bool = False) -> None:
        super().__init__(reason, offset)
        self.pending = pending


@dataclass(frozen=True, slots=True)
class Step:
    """One link of the chain from stored bytes to value: ``gzip 812 B → 2.1 KiB``."""

    name: str
    input_size: int
    output_size: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why one decoder did or did not apply."""

    decoder: str
    applied: bool
    reason: str
    offset: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A payload as understood.

    Attributes:
        kind: Name of the decoder that applied last: "json", "text", "msgpack", … or "binary", "empty".
        value: The value (Python data: dict, list, str, int, Decimal, bytes, bool, None) when `has_value`.
        has_value: Whether there is a structure to show; text and binary have none.
        text: Readable text of the payload when there is any.
        data: The bytes after unwrapping (equal to the payload when nothing was unwrapped).
        steps: The chain.
        report: A verdict of every decoder that was asked, in order.
        truncated: Why this is only a part, or "".
        notes: What there is to say about the value, such as why it does not fit its schema.
        pending: A schema is being asked for: decoding again later may give more.
    """

    kind: str
    value: Any
    has_value: bool
    text: str | None
    data: bytes
    steps: tuple[Step, ...]
    report: tuple[Verdict, ...]
    truncated: str = ""
    notes: tuple[str, ...] = field(default_factory=tuple)
    pending: bool = False
