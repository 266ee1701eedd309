"""A message of which only what a filter asks for is worked out."""

from __future__ import annotations

from typing import Any

import orjson

from memphis_desktop.inspect.decode import DecodeError, decode, exact_json
from memphis_desktop.inspect.decode.compression import recognise, unwrap
from memphis_desktop.inspect.filter.paths import follow
from memphis_desktop.inspect.message import Headers, InspectedMessage, parse_time

_EXACT_FLOAT = float(1 << 53)  # above this a float may stand for a whole number that it does not hold
COMPRESSED = frozenset((0x1F, 0x28, 0x04, 0xFF, 0x78))  # what a compressed payload begins with
TEXT_LIMIT = 8 << 20

_UNSET: Any = object()


class LazyMessage:
    """Sequence, time, subject, headers, size, text and value of a message, each made at the first use.

    Made from the answer of a direct get (`header` still has the headers the server added), or from a message.
    """

    __slots__ = (
        "_data",
        "_headers",
        "_message",
        "_stream",
        "_text",
        "_value",
        "_values",
        "header",
        "payload",
    )

    def __init__(self, header: bytes, payload: bytes, stream: str = "") -> None:
        self.header = header
        self.payload = payload
        self._stream = stream
        self._message: InspectedMessage | None = None
        self._values: dict[bytes, bytes] | None = None
        self._headers: Headers | None = None
        self._data: bytes | None = None
        self._text: str | None = None
        self._value: Any = _UNSET

    @classmethod
    def of(cls, message: InspectedMessage) -> LazyMessage:
        """Wrap a message that was read."""
        lazy = cls(message.header_bytes, message.payload, message.stream)
        lazy._message = message
        return lazy

    @classmethod
    def exactly(cls, message: InspectedMessage) -> LazyMessage:
        """Wrap a message whose JSON is read with exact numbers throughout, which takes longer."""
        lazy = cls.of(message)
        exact = lazy.exact_value()
        if exact is not None:
            lazy._value = exact
        return lazy

    def _added(self, name: bytes) -> bytes:
        if self._values is None:
            cut = self.header.rfind(b"\r\nNats-Stream: ")
            lines = self.header[cut + 2 :].split(b"\r\n")
            self._values = dict(line.split(b": ", 1) for line in lines if b": " in line)
        return self._values.get(name, b"")

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self._stream

    @property
    def sequence(self) -> int:
        """Its sequence."""
        return self._message.sequence if self._message else int(self._added(b"Nats-Sequence"))

    @property
    def time_ns(self) -> int:
        """When it was stored."""
        return (
            self._message.time_ns if self._message else parse_time(self._added(b"Nats-Time-Stamp").decode())
        )

    @property
    def subject(self) -> str:
        """Its subject."""
        if self._message:
            return self._message.subject
        return self._added(b"Nats-Subject").decode("utf-8", "surrogateescape")

    @property
    def is_read(self) -> bool:
        """Whether it was made from a message; then the subject is not among the headers."""
        return self._message is not None

    @property
    def stored_header(self) -> bytes:
        """The header block as stored, without what the server added."""
        if self._message:
            return self._message.header_bytes
        block = self.header[: self.header.rfind(b"\r\nNats-Stream: ")] + b"\r\n\r\n"
        return b"" if block == b"NATS/1.0\r\n\r\n" else block

    @property
    def headers(self) -> Headers:
        """Its headers."""
        if self._headers is None:
            self._headers = Headers.parse(self.stored_header)
        return self._headers

    @property
    def size(self) -> int:
        """Header and payload bytes as stored."""
        return len(self.stored_header) + len(self.payload)

    @property
    def data(self) -> bytes:
        """The payload with compression taken off."""
        if self._data is None:
            payload = self.payload
            if payload and payload[0] in COMPRESSED and recognise(payload):
                payload = unwrap(payload)[0]
            self._data = payload
        return self._data

    @property
    def text(self) -> str:
        """The payload as text; bytes that are none stand as lone surrogates."""
        if self._text is None:
            self._text = self.data[:TEXT_LIMIT].decode("utf-8", "surrogateescape")
        return self._text

    @property
    def value(self) -> Any:
        """The payload decoded (JSON, MsgPack, …), None when it has no structure."""
        if self._value is _UNSET:
            self._value = self._decode()
        return self._value

    def _decode(self) -> Any:
        data = self.data
        if data[:1] in (b"{", b"["):
            try:
                return orjson.loads(data)
            except orjson.JSONDecodeError:
                return self.exact_value()  # perhaps only deeper than orjson goes
        decoded = decode(self.payload)
        return decoded.value if decoded.has_value else None

    def exact_value(self) -> Any:
        """The payload as JSON with exact numbers, None when it is none."""
        try:
            return exact_json.parse(self.data)
        except DecodeError:
            return None

    def find(self, steps: tuple[str | int | None, ...]) -> Any:
        """What a path leads to in the decoded payload, large numbers exactly."""
        found = follow(self.value, steps)
        if type(found) is float and abs(found) >= _EXACT_FLOAT:
            self._value = self.exact_value()
            found = follow(self._value, steps)
        return found

    def message(self) -> InspectedMessage:
        """Return the whole message."""
        if self._message is None:
            self._message = InspectedMessage(
                self._stream, self.sequence, self.time_ns, self.subject, self.stored_header, self.payload
            )
        return self._message
