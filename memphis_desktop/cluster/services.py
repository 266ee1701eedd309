"""Services as NATS clients offer them (ADR-32): who answers, and what they tell of themselves.

Services are a convention of clients, no part of the server: each instance answers on ``$SRV.PING``, ``INFO``
and ``STATS``, for all, for its name, and for its id. How many there are, nobody knows before: answers are
collected until none comes any more.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from nats import errors
from nats.aio.msg import Msg

from memphis_desktop.language import tr

from .failures import ClusterError, NotConnected, NotPermitted
from .times import parse_time

if TYPE_CHECKING:
    from .session import Session

PREFIX = "$SRV"
PING, INFO, STATS = "PING", "INFO", "STATS"
FIRST_SECONDS = 2.0  # for the first answer
QUIET_SECONDS = 0.5  # after the last one
MOST_SECONDS = 6.0
MOST_ANSWERS = 5000
MOST_ENDPOINTS = 500  # of one instance
ERROR_HEADER = "Nats-Service-Error"
ERROR_CODE_HEADER = "Nats-Service-Error-Code"
_SLICE = 50  # answers read before the loop may do something else
_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint of one instance.

    Attributes:
        name, subject, queue_group: As the instance tells; instances of one queue group share the requests.
        metadata: The author's keys and values.
        requests, errors: Since the instance began, or was reset.
        last_error: In the author's words.
        processing_ns: All time spent on requests, nanoseconds.
        average_ns: The same for one request.
        data: What else the author counts, as JSON.
    """

    name: str
    subject: str
    queue_group: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    requests: int = 0
    errors: int = 0
    last_error: str = ""
    processing_ns: int = 0
    average_ns: int = 0
    data: Any = None

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from the others of its instance."""
        return (self.name, self.subject)


@dataclass(frozen=True, slots=True)
class ServiceInstance:
    """One program that answers for a service.

    Attributes:
        name: Of the service; instances that share it do the same.
        id: Of the instance, unique.
        version: As semantic versioning has it.
        description, metadata: The author's.
        started_ns: When it began; None when it does not tell.
        endpoints: What it answers on.
        info, stats: Its answers as they came.
        seconds: How long its answer took.
        silent: How many rounds it has not answered.
    """

    name: str
    id: str
    version: str = ""
    description: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    started_ns: int | None = None
    endpoints: tuple[Endpoint, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict)
    stats: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    silent: int = 0

    @property
    def requests(self) -> int:
        """Of all endpoints."""
        return sum(endpoint.requests for endpoint in self.endpoints)

    @property
    def errors(self) -> int:
        """Of all endpoints."""
        return sum(endpoint.errors for endpoint in self.endpoints)

    @property
    def processing_ns(self) -> int:
        """Of all endpoints."""
        return sum(endpoint.processing_ns for endpoint in self.endpoints)

    @property
    def last_error(self) -> str:
        """Of the first endpoint that tells one."""
        return next((endpoint.last_error for endpoint in self.endpoints if endpoint.last_error), "")


@dataclass(frozen=True, slots=True)
class Answer:
    """What an instance answered.

    Attributes:
        body: Its JSON.
        seconds: How long it took.
    """

    body: Mapping[str, Any]
    seconds: float


@dataclass(frozen=True, slots=True)
class Answers:
    """All that came.

    Attributes:
        found: What could be read, one of each instance.
        unreadable: How many could not be.
        nobody: Whether the server said that nobody listens.
        more: Whether more came than are taken.
    """

    found: tuple[Answer, ...] = ()
    unreadable: int = 0
    nobody: bool = False
    more: bool = False


def subject_of(verb: str, name: str = "", instance: str = "") -> str:
    """The subject that all, those of a name, or one instance answers on."""
    return ".".join(part for part in (PREFIX, verb, name, instance) if part)


async def ask(
    session: Session,
    verb: str,
    name: str = "",
    instance: str = "",
    *,
    first: float = FIRST_SECONDS,
    quiet: float = QUIET_SECONDS,
    most: float = MOST_SECONDS,
) -> Answers:
    """Ask services, and collect their answers until none comes any more.

    Args:
        session: The connection.
        verb: `PING`, `INFO` or `STATS`.
        name: Only of this name.
        instance: Only this one.
        first: Seconds to wait for the first answer.
        quiet: Seconds without an answer after which there are no more.
        most: Seconds altogether.

    Raises:
        NotPermitted: The login may not ask.
        NotConnected: There is no connection.
        ClusterError: The question could not be sent.
    """
    subject = subject_of(verb, name, instance)
    if session.is_refused(subject):
        raise NotPermitted(subject)
    client, loop = session.nats, asyncio.get_running_loop()
    collected: list[tuple[bytes, float]] = []
    changed = asyncio.Event()
    nobody = more = False
    started = loop.time()

    async def take(message: Msg) -> None:
        nonlocal nobody, more
        if (message.headers or {}).get("Status") == "503" and not message.data:  # untranslated: a header
            nobody = True
        elif len(collected) < MOST_ANSWERS:
            collected.append((message.data, loop.time() - started))
        else:
            more = True
        changed.set()

    inbox = client.new_inbox()
    try:
        subscription = await client.subscribe(inbox, cb=take)
        try:
            started = loop.time()
            await client.publish(subject, b"", reply=inbox)
            end = started + most
            until = min(end, started + first)
            while not (nobody or more) and (left := until - loop.time()) > 0:
                changed.clear()
                try:
                    await asyncio.wait_for(changed.wait(), left)
                except TimeoutError:
                    break
                until = min(end, loop.time() + quiet)
        finally:
            if not client.is_closed:
                await subscription.unsubscribe()
    except (errors.ConnectionClosedError, errors.ConnectionReconnectingError) as error:
        raise NotConnected from error
    except (errors.Error, OSError) as error:
        raise ClusterError(tr("The services could not be asked: {error}", error=error)) from error
    if not collected and not nobody and session.is_refused(subject):
        raise NotPermitted(subject)
    return await _read_all(collected, nobody=nobody, more=more)


async def _read_all(collected: list[tuple[bytes, float]], *, nobody: bool, more: bool) -> Answers:
    found: dict[tuple[str, str], Answer] = {}
    unreadable = 0
    for number, (payload, seconds) in enumerate(collected):
        body = read_answer(payload)
        if body is None:
            unreadable += 1
        else:
            found.setdefault((body["name"], body["id"]), Answer(body, seconds))
        if number % _SLICE == _SLICE - 1:
            await asyncio.sleep(0)
    return Answers(tuple(found.values()), unreadable, nobody, more)


def read_answer(payload: bytes) -> dict[str, Any] | None:
    """The JSON of an answer that has at least the name and the id of an instance; None for anything else."""
    try:
        body = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(body, dict):
        return None
    name, instance = body.get("name"), body.get("id")
    if not isinstance(name, str) or not isinstance(instance, str):
        return None
    if not _NAME.fullmatch(name) or not instance or len(instance) > 256:
        return None
    return body


def instance_of(info: Mapping[str, Any], stats: Mapping[str, Any], seconds: float | None) -> ServiceInstance:
    """What two answers tell of an instance; either may be missing, and each part of them too."""
    either = {**info, **stats}
    told = {_key(one): one for one in _endpoints(info)}
    counted = {_key(one): one for one in _endpoints(stats)}
    keys = list(dict.fromkeys([*told, *counted]))[:MOST_ENDPOINTS]
    started = stats.get("started")
    return ServiceInstance(
        name=str(either["name"]),
        id=str(either["id"]),
        version=_text(either.get("version")),
        description=_text(info.get("description")),
        metadata=_pairs(either.get("metadata")),
        started_ns=_time(started),
        endpoints=tuple(_endpoint(told.get(key, {}), counted.get(key, {})) for key in keys),
        info=info,
        stats=stats,
        seconds=seconds,
    )


def _endpoint(info: Mapping[str, Any], stats: Mapping[str, Any]) -> Endpoint:
    either = {**info, **stats}
    requests = _count(stats.get("num_requests"))
    processing = _count(stats.get("processing_time"))
    average = _count(stats.get("average_processing_time")) or (processing // requests if requests else 0)
    return Endpoint(
        _text(either.get("name")),
        _text(either.get("subject")),
        _text(either.get("queue_group")),
        _pairs(info.get("metadata")),
        requests,
        _count(stats.get("num_errors")),
        _text(stats.get("last_error")),
        processing,
        average,
        stats.get("data"),
    )


def _endpoints(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = answer.get("endpoints")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _key(endpoint: Mapping[str, Any]) -> tuple[str, str]:
    return (_text(endpoint.get("name")), _text(endpoint.get("subject")))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    """A count; some clients write times as fractions."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0
    return int(value) if 0 <= value < 1 << 63 else 0


def _pairs(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict):
        return {}
    return {key: item for key, item in value.items() if isinstance(item, str)}


def _time(value: object) -> int | None:
    """When it began: RFC 3339; without a zone, as some clients write it, it is UTC."""
    if not isinstance(value, str):
        return None
    try:
        return parse_time(value) or parse_time(f"{value}Z")
    except ValueError:  # digits that are no date
        return None


def schema_of(metadata: Mapping[str, str]) -> dict[str, str]:
    """The schemas that metadata tell, as authors put them there: keys that have ``schema`` in them."""
    return {key: value for key, value in metadata.items() if "schema" in key.lower()}
