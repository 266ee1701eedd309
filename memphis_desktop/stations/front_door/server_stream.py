"""What a server sends, on its way to the client: watched for the places where a line may be put in."""

from __future__ import annotations

import re

from memphis_desktop.stations.front_door.runs import MAX_SIZE, THRESHOLD, delivered

_MESSAGE = re.compile(rb"H?MSG [^\r\n]* ([0-9]{1,10})\r\n")
_END = b"\r\n"
_MAX_LINE = 1 << 20


class ServerStream:
    """Knows where operations of the server end, so that an error can be told to the client between them."""

    def __init__(self) -> None:
        self._line = b""  # the beginning of an operation, of which the end is to come
        self._payload = 0  # bytes of a payload that are still to come
        self._size = 0  # of the message that came last
        self._neighbours = 0  # messages of that size that came one after the other

    @property
    def between(self) -> bool:
        """Whether all that was fed is whole operations."""
        return not self._line and not self._payload

    def feed(self, data: bytes) -> int:
        """Take a chunk; return the place in it where its last whole operation ends, 0 when none does."""
        length = len(data)
        held = len(self._line)
        text = self._line + data if held else data
        at = min(self._payload, length)
        self._payload -= at
        boundary = at if at and not self._payload else 0
        end = held + length
        at = 0 if held else at
        last, neighbours = self._size, self._neighbours
        while at < end and not self._payload:
            if neighbours >= THRESHOLD:
                run = delivered(last)(text, at)
                if run is not None:
                    at = run.end()
                    boundary = at - held
                    continue
                neighbours = 0
            match = _MESSAGE.match(text, at)
            if match is not None:
                size = int(match[1])
                neighbours = neighbours + 1 if size == last and size <= MAX_SIZE else 0
                last = size
                at = match.end() + size + 2
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
        self._size, self._neighbours = last, neighbours
        self._line = text[at:][:_MAX_LINE]
        return max(boundary, 0)
