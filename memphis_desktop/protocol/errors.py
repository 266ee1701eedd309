"""What a peer did wrong on the wire, as exceptions.

Each carries the text of the ``-ERR`` line a NATS server sends for it (None when the server closes without a
word), whether the connection ends, and the reason shown for closed connections in monitoring.
"""

from __future__ import annotations


class CloseReason:
    """Why a connection was closed, in the words of nats-server's monitoring."""

    CLIENT_CLOSED = "Client Closed"
    AUTHENTICATION_TIMEOUT = "Authentication Timeout"
    AUTHENTICATION_FAILURE = "Authentication Failure"
    TLS_HANDSHAKE = "TLS Handshake Failure"
    SLOW_PENDING = "Slow Consumer (Pending Bytes)"
    SLOW_WRITE = "Slow Consumer (Write Deadline)"
    WRITE_ERROR = "Write Error"
    READ_ERROR = "Read Error"
    PARSE_ERROR = "Parse Error"
    STALE = "Stale Connection"
    PROTOCOL_VIOLATION = "Protocol Violation"
    BAD_PROTOCOL_VERSION = "Bad Client Protocol Version"
    MAX_CONNECTIONS = "Maximum Connections Exceeded"
    MAX_ACCOUNT_CONNECTIONS = "Maximum Account Connections Exceeded"
    MAX_PAYLOAD = "Maximum Message Payload Exceeded"
    MAX_CONTROL_LINE = "Maximum Control Line Exceeded"
    MAX_SUBSCRIPTIONS = "Maximum Subscriptions Exceeded"
    SERVER_SHUTDOWN = "Server Shutdown"
    AUTHENTICATION_EXPIRED = "Authentication Expired"
    MISSING_ACCOUNT = "Missing Account"
    REVOKED = "Credentials Revoked"
    HEADER_VIOLATION = "Message Header Violation"
    NO_RESPONDERS_NEEDS_HEADERS = "No Responders Requires Headers"
    KICKED = "Kicked"
    PROXY_NOT_TRUSTED = "Proxy Not Trusted"
    PROXY_REQUIRED = "Proxy Required"


class ProtocolError(Exception):
    """A violation of the protocol by the peer.

    Attributes:
        text: what stands between the quotes of ``-ERR '…'``; None when nothing is sent.
        closes: whether the connection ends.
        reason: the CloseReason when it does.
    """

    def __init__(
        self, text: str | None, reason: str = CloseReason.PROTOCOL_VIOLATION, *, closes: bool = True
    ):
        super().__init__(text or reason)
        self.text = text
        self.reason = reason
        self.closes = closes


def unknown_operation() -> ProtocolError:
    """Return the error for bytes that begin no known operation."""
    return ProtocolError("Unknown Protocol Operation")


def malformed() -> ProtocolError:
    """Return the error for wrong arguments of a known operation: closed without a text."""
    return ProtocolError(None)


def control_line_exceeded() -> ProtocolError:
    """Return the error for a control line above max_control_line."""
    return ProtocolError("maximum control line exceeded", CloseReason.MAX_CONTROL_LINE)


def payload_exceeded() -> ProtocolError:
    """Return the error for a payload above max_payload."""
    return ProtocolError("Maximum Payload Violation", CloseReason.MAX_PAYLOAD)
