"""What a server sends, on its way to the client: watched for the places where a line may be put in."""

from __future__ import annotations

import re

_MESSAGE = re.compile(rb"H?MSG [^\r\n]* ([0-9]{1,10})\r\n")
_END = b"\r\n"
_MAX_LINE = 1 << 20


class ServerStream:
    """Knows where operations of the server end, so that an error can be told to the client between them."""

    def __init__(self) -> None:
        self._line = b""  # the beginning of an operation, of which the end is to come
        self._payload = 0  # bytes of a payload that are still to come

    @property
    def between(self) -> bool:
        """Whether all that was fed is whole operations."""
        return not self._line and not self._payload

    def feed(self, data: bytes) -> int:
        """Take a chunk; return the place in it where its last whole operation ends, 0 when none does."""
        size = len(data)
        held = len(self._line)
        text = self._line + data if held else data
        at = min(self._payload, size)
        self._payload -= at
        boundary = at if at and not self._payload else 0
        end = held + size
        at = 0 if held else at
        while at < end and not self._payload:
            match = _MESSAGE.match(text, at)
            if match is not None:
                at = match.end() + int(match[1]) + 2
                if at > end:
                    self._payload = at - end
                    at = end
                    break
            else:
                line_end = text.find(_END, at)
                if line_end < 0:
                    break
                at = line_end + 2
            boundary = at - held
        self._line = text[at:][:_MAX_LINE]
        return max(boundary, 0)
