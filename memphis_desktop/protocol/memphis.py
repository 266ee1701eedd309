"""What Memphis adds to the NATS wire: its login, its message id, and the fields of its INFO.

Used by the node's own listener for Memphis SDKs and by the front door of a cluster, so that both speak alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from memphis_desktop.protocol.connect import ConnectOptions

# A stream with this key in its metadata belongs to a Memphis station; the value is the station's name.
STATION_METADATA = "memphis.station"

# What SDKs look for, in exactly these letters; they try the other form of the user's name on the first.
AUTHORIZATION_VIOLATION = "Authorization Violation"
ACCESS_VIOLATION = (
    "Permissions Violation - cant access the requested station, please contact your Memphis administrator"
)
# nats.js refuses its consumer API below 2.9.4; this is the version of the last Memphis broker.
SERVER_VERSION = "2.10.7"
SERVER_NAME = "memphis-0"

_MESSAGE_ID_LINE = b"\r\nmsg-id:"
_NATS_ID_LINE = b"\r\nNats-Msg-Id:"
_CRLF = b"\r\n"


def copy_message_id(header_size: int, body: bytes) -> tuple[int, bytes]:
    """Return header size and body of a message with its ``msg-id`` repeated as ``Nats-Msg-Id``.

    Memphis SDKs put the id that makes a message unique into the former, servers look at the latter. A message
    without the one, or that has the other already, comes back as it is.
    """
    at = body.find(_MESSAGE_ID_LINE, 0, header_size)
    if at < 0 or body.find(_NATS_ID_LINE, 0, header_size) >= 0:
        return header_size, body
    start = at + len(_MESSAGE_ID_LINE)
    value = body[start : body.find(_CRLF, start, header_size)].strip()
    if not value:
        return header_size, body
    added = b"Nats-Msg-Id: " + value + _CRLF
    end = header_size - 2
    return header_size + len(added), body[:end] + added + body[end:]


@dataclass(frozen=True, slots=True)
class ClientName:
    """The name in a CONNECT, as SDKs build it: ``<connection id>::<user>``; other clients have no id."""

    connection_id: str
    user: str

    @classmethod
    def parse(cls, name: str) -> ClientName | None:
        """Split a name; None when it has more parts than a client may have."""
        parts = name.split("::")
        if len(parts) == 2:
            return cls(parts[0], parts[1])
        return cls("", "") if len(parts) == 1 else None


class Access(Protocol):
    """What one user may do. Asked again for each message, so that changes hold at once."""

    @property
    def limited(self) -> bool:
        """Whether there is anything the user may not do; for others nothing has to be asked."""

    @property
    def revoked(self) -> bool:
        """Whether the user is gone or has another password: the connection has to end."""

    @property
    def outdated(self) -> bool:
        """Whether the user's rights have changed: the connection has to end, and may come back."""

    def may_publish(self, subject: bytes) -> bool:
        """Return whether something may be published to this literal subject."""

    def may_receive(self, reply: bytes) -> bool:
        """Return whether answers to the user's requests may be sent to this subject."""

    def may_send(self, subject: bytes, content: bytes) -> bool:
        """Return whether this request may be sent to a subject that `may_publish` allows.

        Asked for requests to the stations service and to the JetStream API, which say in their body what and
        whom they are about.
        """

    def may_subscribe(self, pattern: bytes) -> bool:
        """Return whether this may be subscribed to."""

    def denied_inside(self, pattern: bytes) -> tuple[bytes, ...]:
        """Return patterns whose messages an allowed subscription must not get."""


@dataclass(frozen=True, slots=True)
class Admission:
    """As whom a client comes in, and what it may do."""

    user: str
    access: Access


@dataclass(frozen=True, slots=True)
class Session:
    """One connection of a client that has logged in.

    Attributes:
        number: tells it from every other connection of the same server or front door.
        connection_id: the id that an SDK uses for all connections of one connection object, and in the
            requests that make its producers and consumers; "" for other clients.
    """

    number: int
    connection_id: str
    user: str
    lang: str = ""
    version: str = ""
    address: str = ""


# Something slow to do in a thread, whose outcome the next question will find.
Work: TypeAlias = Callable[[], None]


@dataclass(slots=True)
class LoginAttempt:
    """What a client shows; `checked` keeps the outcome of slow work between two questions for one login."""

    given: ConnectOptions
    address: str = ""
    checked: dict[str, bool] = field(default_factory=dict)


class Directory(Protocol):
    """Who may log in the Memphis way, and who is told who is there."""

    def identify(self, attempt: LoginAttempt) -> Admission | Work | None:
        """Return as whom a client comes in, None when it does not, or work to be done first in a thread."""

    def connected(self, session: Session) -> None:
        """A client has logged in. SDKs do so twice in quick succession, and close the first one."""

    def disconnected(self, session: Session) -> None:
        """That connection has ended, in whatever way."""
