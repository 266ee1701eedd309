"""Messages as data: what was stored, byte for byte, and how headers and times are read and written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from memphis_desktop.language import tr

HEADER_VERSION = b"NATS/1.0"
CRLF = b"\r\n"

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(?:[Zz]|([+-])(\d\d):?(\d\d))$"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_time(text: str) -> int:
    """Return nanoseconds since 1970 for an RFC 3339 time with up to nine fraction digits.

    Raises:
        ValueError: the text is no such time.
    """
    match = _TIME.match(text)
    if match is None:
        raise ValueError(f"not an RFC 3339 time: {text[:64]!r}")
    year, month, day, hour, minute, second, fraction, sign, zone_hour, zone_minute = match.groups()
    moment = datetime(
        int(year), int(month), int(day), int(hour), int(minute), min(int(second), 59), tzinfo=UTC
    )
    since = moment - _EPOCH
    seconds = since.days * 86_400 + since.seconds
    if sign:
        offset = int(zone_hour) * 3600 + int(zone_minute) * 60
        seconds -= offset if sign == "+" else -offset
    return seconds * 1_000_000_000 + int((fraction or "").ljust(9, "0"))


def format_time(time_ns: int) -> str:
    """Return the RFC 3339 form in UTC, to the nanosecond, trailing zeros removed as the server does."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    moment = _EPOCH + timedelta(seconds=seconds)
    text = moment.isoformat()[:19]
    return f"{text}.{nanoseconds:09d}".rstrip("0").rstrip(".") + "Z"


class Headers:
    """An ordered multi-dictionary of message headers: every line in its order, names with their case.

    Comparison of names ignores case only where the exact name is absent, as the server compares exactly.
    """

    __slots__ = ("_items",)

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items = tuple(items)

    @classmethod
    def parse(cls, block: bytes) -> Headers:
        """Read a header block (with or without its version line); unreadable lines are left out."""
        items: list[tuple[str, str]] = []
        for line in block.split(CRLF):
            name, colon, value = line.partition(b":")
            if not colon or not name or line.startswith(HEADER_VERSION):
                continue
            items.append(
                (name.decode("utf-8", "surrogateescape"), value.strip().decode("utf-8", "surrogateescape"))
            )
        return cls(items)

    def encode(self) -> bytes:
        """Return the block as it goes on the wire, or nothing when there are no headers.

        Raises:
            ValueError: a name or value cannot be carried (line breaks, an empty name, a colon in one).
        """
        if not self._items:
            return b""
        parts = [HEADER_VERSION + CRLF]
        for name, value in self._items:
            check_header(name, value)
            parts.append(f"{name}: {value}\r\n".encode("utf-8", "surrogateescape"))
        parts.append(CRLF)
        return b"".join(parts)

    def items(self) -> tuple[tuple[str, str], ...]:
        """Every (name, value) in order."""
        return self._items

    def get(self, name: str) -> str | None:
        """Return the first value of a header, or None."""
        values = self.all(name)
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        """Return every value of a header in order."""
        exact = [value for key, value in self._items if key == name]
        if exact:
            return exact
        folded = name.casefold()
        return [value for key, value in self._items if key.casefold() == folded]

    def without(self, names: Iterable[str]) -> Headers:
        """Return a copy that lacks these names (case ignored)."""
        gone = {name.casefold() for name in names}
        return Headers(item for item in self._items if item[0].casefold() not in gone)

    def with_set(self, name: str, value: str) -> Headers:
        """Return a copy in which this header has exactly one value, last in order."""
        return Headers((*self.without([name])._items, (name, value)))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.all(name))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._items == other._items

    def __hash__(self) -> int:
        return hash(self._items)

    def __repr__(self) -> str:
        return f"Headers({list(self._items)!r})"


def check_header(name: str, value: str) -> None:
    """Raise ValueError, with a sentence fit to show, when a header cannot be carried on the wire."""
    if not name or any(character in name for character in ":\r\n ") or not name.isprintable():
        raise ValueError(
            tr("{name!r} cannot be a header name: it may not be empty or hold spaces or a colon", name=name)
        )
    if "\r" in value or "\n" in value:
        raise ValueError(tr("the value of {name} may not hold a line break", name=name))


@dataclass(frozen=True, slots=True, eq=False)
class InspectedMessage:
    """One stored message, unchanged.

    Attributes:
        stream: Name of the stream it was read from.
        sequence: Its position there; 0 for a message that was never stored.
        time_ns: When it was stored (or received), nanoseconds since 1970.
        subject: The subject it is stored under.
        header_bytes: The header block as stored, empty when there are none.
        payload: The payload as stored.
    """

    stream: str
    sequence: int
    time_ns: int
    subject: str
    header_bytes: bytes
    payload: bytes
    _headers: Headers | None = field(default=None, repr=False)

    @property
    def headers(self) -> Headers:
        """The headers, parsed at the first use."""
        found = self._headers
        if found is None:
            found = Headers.parse(self.header_bytes)
            object.__setattr__(self, "_headers", found)  # kept, for parsing again would give the same
        return found

    @property
    def size(self) -> int:
        """Header and payload bytes."""
        return len(self.header_bytes) + len(self.payload)

    @property
    def cost(self) -> int:
        """Bytes of memory this record holds, near enough for cache bounds."""
        return len(self.header_bytes) + len(self.payload) + len(self.subject) + 350

    @property
    def is_rewritten(self) -> bool:
        """Whether the payload is not the stored one (masked), so that decoder rules do not hold for it."""
        return False

    @property
    def identity(self) -> tuple[str, int]:
        """What tells this message from any other of the same account."""
        return (self.stream, self.sequence)
