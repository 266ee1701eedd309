"""Sessions as bytes, to compare what two servers answer."""

from __future__ import annotations

import re
import socket

from memphis_desktop.server_process import ServerProcess


def session(server: ServerProcess, sent: bytes, size: int) -> tuple[bytes, bool]:
    """Send bytes in pieces of `size`; return what came back and whether the server closed."""
    pongs = len(re.findall(rb"(?im)^ping", sent))
    received = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not received.endswith(b"\r\n"):
            received += connection.recv(4096)
        received = b""
        try:
            for start in range(0, len(sent), size):
                connection.sendall(sent[start : start + size])
            while received.count(b"PONG\r\n") < pongs or re.search(rb"INFO [^\n]*\Z", received):
                piece = connection.recv(65536)
                if not piece:
                    return masked(received), True
                received += piece
        except ConnectionError:
            return masked(received), True
    return masked(received), False


def masked(received: bytes) -> bytes:
    """Return the answer without INFO, whose contents differ, and whose arrival PONG does not wait for."""
    return re.sub(rb"INFO \{[^\n]*\n", b"", received)
