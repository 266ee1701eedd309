"""How a request reaches its handler and how the answer goes back.

A control file holds handlers, ``async def handler(context, request) -> bytes``, and lists them in `ROUTES`.
A handler returns the body of the answer; a `StationsError` it raises is told in the manner of its subject,
since SDKs want bare text from most of them and JSON from some.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson
from nats.aio.client import Client

from memphis_desktop.stations.errors import Refusal, StationsError
from memphis_desktop.stations.jetstream import JetStream
from memphis_desktop.stations.metadata import Metadata
from memphis_desktop.stations.model import Station
from memphis_desktop.stations.schemas.worker import SchemaWorker

CONTROL_PREFIX = "$memphis_"
MANAGE_PREFIX = "$memphis_manage."
EMPTY = b""


class Access(Protocol):
    """Who may do what. The users' part of the layer decides; see `OpenAccess` for what holds without it."""

    async def check(self, username: str) -> None:
        """Refuse an unknown user with ``User <u> does not exist``."""

    async def may_write(self, username: str, station: str) -> bool:
        """Return whether the user may create the station and produce to it."""

    async def may_read(self, username: str, station: str) -> bool:
        """Return whether the user may consume from the station."""


class OpenAccess:
    """Everybody may do everything: what holds on a server without users."""

    async def check(self, username: str) -> None:
        """Accept every user."""

    async def may_write(self, username: str, station: str) -> bool:
        """Return True."""
        return True

    async def may_read(self, username: str, station: str) -> bool:
        """Return True."""
        return True


@dataclass
class Context:
    """What a handler works with."""

    client: Client
    metadata: Metadata
    access: Access = field(default_factory=OpenAccess)
    replicas: int = 1  # of the layer's own streams
    schemas: SchemaWorker = field(default_factory=SchemaWorker)

    @property
    def jetstream(self) -> JetStream:
        """The JetStream API."""
        return self.metadata.jetstream

    async def audit(self, message: str, *, username: str = "", station: str = "") -> None:
        """Write a line of the audit log."""
        await self.metadata.add_audit(message, username=username, station=station)

    async def push(self, subject: str, document: Mapping[str, Any]) -> None:
        """Tell SDKs something."""
        await self.client.publish(subject, orjson.dumps(document))

    async def existing_station(self, name: str) -> Station:
        """Return a station that is ready, or refuse."""
        station = await self.metadata.station(name)
        if station is None:
            raise Refusal(f"Station {name} does not exist", "not_found")
        return station


class Request:
    """The JSON of a request. Keys are matched without regard to case, unknown ones are ignored."""

    def __init__(self, subject: str, body: bytes) -> None:
        """Read a request.

        Raises:
            Refusal: It is no JSON object.
        """
        self.subject = subject
        try:
            document = orjson.loads(body or b"{}")
        except orjson.JSONDecodeError:
            raise Refusal("the request is not valid JSON") from None
        if not isinstance(document, dict):
            raise Refusal("the request is not a JSON object")
        self.fields: dict[str, Any] = _lower(document)
        self.raw: dict[str, Any] = document  # as it was sent, for maps whose keys are names

    def text(self, key: str, default: str = "") -> str:
        """Return a string; refuses another type."""
        value = self.fields.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise Refusal(f"{key} has to be a string")
        return value

    def number(self, key: str, default: int = 0) -> int:
        """Return a whole number; refuses another type."""
        value = self.fields.get(key)
        if value is None:
            return default
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise Refusal(f"{key} has to be a whole number")
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        """Return true or false; refuses another type."""
        value = self.fields.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise Refusal(f"{key} has to be true or false")
        return value

    def part(self, key: str) -> dict[str, Any]:
        """Return an object, an empty one when it is missing; refuses another type."""
        value = self.fields.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise Refusal(f"{key} has to be an object")
        return value

    def texts(self, key: str) -> list[str]:
        """Return a list of strings, an empty one when it is missing; refuses another type."""
        value = self.fields.get(key) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise Refusal(f"{key} has to be a list of strings")
        return value

    @property
    def username(self) -> str:
        """Who asks, without the account that Memphis puts behind a dollar sign."""
        return self.text("username").partition("$")[0].lower()


def _lower(value: Any) -> Any:
    if isinstance(value, dict):
        return {key.lower(): _lower(item) for key, item in value.items()}
    return value


Handler = Callable[[Context, Request], Awaitable[bytes]]
FailureStyle = Callable[[StationsError], bytes]


def bare_text(error: StationsError) -> bytes:
    """Tell an error as most SDK requests want it."""
    return str(error).encode()


def json_error(error: StationsError) -> bytes:
    """Tell an error as an object with ``error``."""
    return orjson.dumps({"error": str(error)})


def management_error(error: StationsError) -> bytes:
    """Tell an error to `client.StationsClient`."""
    return orjson.dumps({"error": {"code": error.code, "message": str(error)}})


def management_answer(result: Any = None) -> bytes:
    """Return the answer that `client.StationsClient` unpacks; `result` may be a record."""
    return orjson.dumps({"result": result})


@dataclass(frozen=True, slots=True)
class Route:
    """A subject and what answers it.

    Attributes:
        counts: Whether a request counts, so that it may not be handled twice. SDKs send one again when it was
            not answered within some seconds: the same one, while it is handled, is answered with it.
    """

    subject: str
    handler: Handler
    failure: FailureStyle = bare_text
    counts: bool = False


def control(name: str, handler: Handler, failure: FailureStyle = bare_text, *, counts: bool = False) -> Route:
    """Return the route of an SDK's request ``$memphis_<name>``."""
    return Route(CONTROL_PREFIX + name, handler, failure, counts)


def manage(name: str, handler: Handler) -> Route:
    """Return the route of a management request ``$memphis_manage.<name>``, such as ``stations.create``."""
    return Route(MANAGE_PREFIX + name, handler, management_error)
