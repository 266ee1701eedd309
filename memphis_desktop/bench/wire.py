"""A NATS connection with as little between it and the socket as possible, for generating load.

A general client would be the bottleneck: it makes an object of every message. Here chunks of commands are
made beforehand, and answers are counted in the raw bytes.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from typing import Any, ClassVar

from memphis_desktop.errors import Failure

TIMEOUT_SECONDS = 30.0
_READ_SIZE = 1 << 20


class Wire:
    """One connection. Blocking; fit for setting things up and for latency of single requests.

    Attributes:
        login: fields of CONNECT that every connection of this process shows, such as ``user`` and ``pass``.
    """

    login: ClassVar[dict[str, str]] = {}

    def __init__(self, port: int) -> None:
        """Connect to a server on this machine."""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._data = b""
        self._requests = 0
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "protocol": 1}
        self.send(
            b"CONNECT "
            + json.dumps({**options, "lang": "bench", "version": "1", **self.login}).encode()
            + b"\r\n"
        )
        self.ping()

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Write all of `data`."""
        self.socket.sendall(data)

    def _read_line(self) -> bytes:
        while b"\r\n" not in self._data:
            self._read_more()
        line, _, self._data = self._data.partition(b"\r\n")
        if line.startswith(b"-ERR"):
            raise Failure(f"the server refused the load: {line.decode(errors='replace')}")
        if line == b"PING":
            self.send(b"PONG\r\n")
        return line

    def _read_more(self) -> None:
        chunk = self.socket.recv(_READ_SIZE)
        if not chunk:
            raise Failure("the server closed the connection of the load generator")
        self._data += chunk

    def ping(self) -> None:
        """Wait until the server has worked through everything sent so far. Drops messages on the way."""
        self.send(b"PING\r\n")
        while self._read_line() != b"PONG":
            pass

    def read_message(self) -> tuple[bytes, bytes]:
        """Return subject and payload (headers included) of the next message."""
        while True:
            words = self._read_line().split(b" ")
            if words[0] in (b"MSG", b"HMSG"):
                size = int(words[-1])
                while len(self._data) < size + 2:
                    self._read_more()
                payload, self._data = self._data[:size], self._data[size + 2 :]
                return words[1], payload

    def request(self, subject: str, body: dict[str, Any] | bytes = b"") -> dict[str, Any]:
        """Ask the JetStream API and return its answer; raises `Failure` when it is an error."""
        if not self._requests:
            self.send(b"SUB _INBOX.bench.api.* api\r\n")
        self._requests += 1
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send(
            b"PUB %s _INBOX.bench.api.%d %d\r\n%s\r\n"
            % (
                subject.encode(),
                self._requests,
                len(payload),
                payload,
            )
        )
        answer: dict[str, Any] = json.loads(self.read_message()[1] or b"{}")
        if "error" in answer:
            raise Failure(f"{subject}: {answer['error'].get('description', answer['error'])}")
        return answer


class Counter:
    """Counts a byte pattern in a stream of chunks, also where a chunk ends within the pattern."""

    def __init__(self, pattern: bytes) -> None:
        self.pattern = pattern
        self.count = 0
        self._tail = b""

    def feed(self, buffer: bytearray, size: int) -> None:
        """Count in the first `size` bytes of `buffer`, which follow what was fed before."""
        rest = len(self.pattern) - 1
        self.count += buffer.count(self.pattern, 0, size)
        seam = self._tail + buffer[: min(rest, size)]
        self.count += seam.count(self.pattern)
        self._tail = bytes(buffer[size - rest : size]) if size >= rest else seam[-rest:]


def publish_chunk(subjects: Iterable[bytes], reply: bytes, payload: bytes) -> bytes:
    """Return PUB commands, one for each subject, ready to be written at once."""
    middle = b" " + reply if reply else b""
    tail = b"%s %d\r\n%s\r\n" % (middle, len(payload), payload)
    return b"".join(b"PUB " + subject + tail for subject in subjects)


def publish_with_ids(
    subject: bytes, reply: bytes, payload: bytes, ids: Iterable[bytes], header: bytes = b"Nats-Msg-Id"
) -> bytes:
    """Return HPUB commands, one for each message id."""
    parts = []
    for message_id in ids:
        headers = b"NATS/1.0\r\n" + header + b": " + message_id + b"\r\n\r\n"
        total = len(headers) + len(payload)
        parts.append(
            b"HPUB %s %s %d %d\r\n%s%s\r\n" % (subject, reply, len(headers), total, headers, payload)
        )
    return b"".join(parts)
