"""The listener for Memphis SDKs: the NATS protocol with Memphis's greeting and Memphis's logins.

Users are not in the node's options: they are kept by the stations service, whose directory is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.authentication import REFUSED, Identity, Login, Outcome
from memphis_desktop.broker.connection import ClientConnection
from memphis_desktop.broker.options import PermissionRules
from memphis_desktop.broker.permissions import Permissions
from memphis_desktop.protocol.errors import CloseReason
from memphis_desktop.protocol.memphis import (
    ACCESS_VIOLATION,
    Access,
    Admission,
    ClientName,
    Directory,
    LoginAttempt,
    Session,
)
from memphis_desktop.protocol.message import Message

if TYPE_CHECKING:
    from memphis_desktop.broker.node import BrokerNode

# Requests that say in their body what they are about.
_REQUESTS = (b"$memphis_", b"$JS.API.")
# The pieces of work, one after the other, that a login may take: beyond this it is refused.
_MAX_STEPS = 4


class MemphisConnection(ClientConnection):
    """The server's end of a connection that came to the Memphis port."""

    def __init__(self, node: BrokerNode, directory: Directory) -> None:
        super().__init__(node)
        self.authenticated = False
        self._directory = directory
        self._attempt = LoginAttempt(self.options)
        self._access: Access | None = None
        self._visit: Session | None = None  # once logged in
        self._steps = 0

    def info_fields(self) -> dict[str, Any]:
        """Return what INFO has beside or instead of the usual fields."""
        return {"auth_required": True, "connection_id": self._visit.connection_id if self._visit else None}

    # -- login -----------------------------------------------------------------------------------------------
    def _identify(self, login: Login, checked: dict[str, bool]) -> Outcome:
        self._attempt = LoginAttempt(login.given, login.address, checked)
        self._steps += 1
        outcome = self._directory.identify(self._attempt)
        if outcome is None or login.given.account or login.given.new_account:
            return REFUSED
        if isinstance(outcome, Admission):
            self._access = outcome.access
            return Identity(user=outcome.user, account=self.node.options.stations_account)
        return outcome if self._steps <= _MAX_STEPS else REFUSED

    def _anonymous(self) -> Identity | None:
        return None

    def become(self, identity: Identity, account: Any) -> None:
        """Come in as this user; what it may do is asked from the directory each time."""
        super().become(identity, account)
        if self._access is not None and self._access.limited:
            self.permissions = StationPermissions(self._access, self.node.clock.monotonic)
        given = self._attempt.given
        name = ClientName.parse(given.name)
        connection_id = name.connection_id if name is not None else ""
        self._visit = Session(
            self.client_id, connection_id, identity.user, given.lang, given.version, self.address[0]
        )
        self._directory.connected(self._visit)

    def reidentify(self) -> None:
        """A reload of the options says nothing about Memphis's users."""

    def _leave(self, reason: str) -> None:
        super()._leave(reason)
        if self._visit is not None:
            self._directory.disconnected(self._visit)

    def tick(self, now: float) -> None:
        """Check deadlines, and whether the user is still welcome."""
        access = self._access
        if access is not None and (access.revoked or access.outdated):
            self.fail(REFUSED.text if access.revoked else None, CloseReason.REVOKED)
            return
        super().tick(now)

    # -- permissions -----------------------------------------------------------------------------------------
    def _permitted(self, messages: list[Message], permissions: Permissions) -> list[Message]:
        permitted = super()._permitted(messages, permissions)
        access = self._access
        if access is None:
            return permitted
        allowed = []
        for message in permitted:
            subject, reply, header_size, body = message
            if not access.may_receive(reply) or (
                subject.startswith(_REQUESTS) and not access.may_send(subject, body[header_size:])
            ):
                self._refuse_publish(message)
            else:
                allowed.append(message)
        return allowed

    def _refuse_publish(self, message: Message) -> None:
        self.send_error(ACCESS_VIOLATION)

    def _refuse_subscription(self, subject: bytes, queue: bytes) -> None:
        self.send_error(ACCESS_VIOLATION)


class StationPermissions(Permissions):
    """The permissions of a Memphis user: no fixed rules, but what the directory says at the time."""

    def __init__(self, access: Access, monotonic: Callable[[], float]) -> None:
        super().__init__(PermissionRules(), monotonic)
        self._access = access
        self.may_publish = access.may_publish  # type: ignore[method-assign]  # saves a call per message

    def may_subscribe(self, pattern: bytes, queue: bytes) -> bool:
        """Return whether this subscription may be made."""
        return self._access.may_subscribe(pattern)

    def denied_inside(self, pattern: bytes) -> tuple[bytes, ...]:
        """Return the patterns whose messages are not delivered to it."""
        return self._access.denied_inside(pattern)
