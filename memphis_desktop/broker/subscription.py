"""A subscription of a client's connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memphis_desktop.protocol import subjects
from memphis_desktop.protocol.message import Message

if TYPE_CHECKING:
    from memphis_desktop.broker.connection import ClientConnection
    from memphis_desktop.broker.contracts import Publisher
    from memphis_desktop.broker.handlers import Pending
    from memphis_desktop.protocol.deliveries import DeliveryBlock


class ClientSubscription:
    """A subscription of a connection."""

    __slots__ = ("connection", "delivered", "denied", "maximum", "order", "pattern", "queue", "sid")

    def __init__(self, connection: ClientConnection, pattern: bytes, queue: bytes, sid: bytes) -> None:
        self.connection = connection
        self.pattern = pattern
        self.queue = queue
        self.sid = sid
        self.maximum = 0  # auto-unsubscribe after that many deliveries; 0: never
        self.delivered = 0
        self.denied: tuple[bytes, ...] = ()  # what a wildcard matches and permissions do not
        self.order = 0

    def belongs_to(self, sender: object) -> bool:
        """Return whether `sender` is the connection of this subscription."""
        return self.connection is sender

    def backlog(self) -> int:
        """Return the bytes that wait for the connection's peer."""
        return self.connection.pending_bytes

    def figures(self) -> tuple[bytes, int, int, int]:
        """Return what monitoring shows."""
        return self.sid, self.delivered, self.maximum, self.connection.client_id

    def send_now(self, subject: bytes, payload: bytes) -> bool:
        """Send a message without headers at once; False when it has to be taken like all others."""
        if self.maximum or self.denied:
            return False
        size = len(payload)
        frame = b"MSG %b %b %d\r\n%b\r\n" % (subject, self.sid, size, payload)
        if not self.connection.send_now(frame, size):
            return False
        self.delivered += 1
        return True

    def take(self, messages: list[Message], sender: Publisher | None, pending: Pending | None = None) -> None:
        """Put messages into the connection's out-buffer."""
        connection = self.connection
        if self.denied:
            messages = [one for one in messages if not subjects.matches_any(self.denied, one[0])]
            if not messages:
                return
        if self.maximum:
            left = self.maximum - self.delivered
            if left <= 0:
                return
            if len(messages) >= left:
                messages = messages[:left]
                connection.end_subscription(self)
        self.delivered += len(messages)
        connection.send_messages(self.sid, messages)
        if connection.permissions is not None:
            connection.permissions.requests_received(messages)
        if connection.congested and sender is not None:
            sender.stall()

    def take_block(self, block: DeliveryBlock) -> None:
        """Put a consumer's messages into the connection's out-buffer."""
        connection = self.connection
        if self.denied or self.maximum or connection.permissions is not None:
            self.take(block.messages(), None)
            return
        self.delivered += len(block)
        connection.send_block(self.sid, block)
