"""Publishing with acknowledgements: one message, a request, or a pipeline of many in flight."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nats import errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.errors import Failure
from memphis_desktop.inspect.message import Headers, check_header
from memphis_desktop.language import tr


class PublishError(Failure):
    """A message was not stored.

    Attributes:
        kind: "no stream", "refused", "timeout", "connection", "invalid": what errors are counted by.
        err_code: The stable JetStream error number, 0 when there is none.
    """

    def __init__(self, kind: str, text: str, err_code: int = 0) -> None:
        super().__init__(text)
        self.kind = kind
        self.err_code = err_code


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What the server said of a stored message."""

    stream: str
    sequence: int
    duplicate: bool
    domain: str = ""
    value: str = ""  # of a counter
    seconds: float = 0.0  # from sending to the answer


class _HeaderLines(dict[str, str]):
    """Headers as nats-py takes them, with repeated names kept: it only ever asks for the items."""

    def __init__(self, headers: Headers) -> None:
        super().__init__(headers.items())
        self._lines = headers.items()

    def items(self) -> Any:
        """Every line in order."""
        return self._lines


def check_subject(subject: str) -> None:
    """Raise ValueError, with a sentence fit to show, when a message cannot be published to this subject."""
    if not subject:
        raise ValueError(tr("A message needs a subject"))
    tokens = subject.split(".")
    if any(not token for token in tokens):
        raise ValueError(tr("{subject!r} has an empty part between its dots", subject=subject))
    if any(token in ("*", ">") for token in tokens):
        raise ValueError(tr("{subject!r} has a wildcard; a message goes to one subject", subject=subject))
    if any(character.isspace() or not character.isprintable() for character in subject):
        raise ValueError(tr("{subject!r} has a space or control character", subject=subject))


async def send(client: Client, subject: str, payload: bytes, headers: Headers, reply: str = "") -> None:
    """Publish once, headers line by line as given.

    Raises:
        PublishError: it could not be sent.
    """
    try:
        check_subject(subject)
        for name, value in headers:
            check_header(name, value)
        await client.publish(
            subject, payload, reply=reply, headers=_HeaderLines(headers) if headers else None
        )
    except errors.MaxPayloadError:
        limit = client.max_payload
        text = tr(
            "The payload has {size:,} bytes; this server takes {limit:,} at most",
            size=len(payload),
            limit=limit,
        )
        raise PublishError("invalid", text) from None
    except ValueError as error:
        raise PublishError("invalid", str(error)) from None
    except errors.BadHeaderError as error:
        raise PublishError("invalid", tr("A header name cannot be sent: {error}", error=error)) from None
    except ClusterError as error:
        raise PublishError("refused", str(error)) from None
    except (errors.Error, OSError) as error:
        raise PublishError("connection", tr("The connection refused it: {error}", error=error)) from error


def read_acknowledgement(message: Msg, subject: str, seconds: float) -> Acknowledgement:
    """Return what an answer to a publish says.

    Raises:
        PublishError: no stream has the subject, or the server refused.
    """
    headers = message.headers or {}
    if headers.get("Status") == "503":  # untranslated: a header
        raise PublishError("no stream", tr("No station stores {subject}", subject=subject))
    try:
        answer: dict[str, Any] = json.loads(message.data)
        failure = answer.get("error")
        if failure:
            code = int(failure.get("err_code", 0))
            raise PublishError("refused", f"{failure.get('description') or tr('refused')} ({code})", code)
        return Acknowledgement(
            str(answer["stream"]),
            int(answer["seq"]),
            bool(answer.get("duplicate", False)),
            str(answer.get("domain", "")),
            str(answer.get("val", "")),
            seconds,
        )
    except (ValueError, KeyError, AttributeError, TypeError):
        raise PublishError("refused", tr("The answer is no acknowledgement of a station")) from None


async def publish(
    client: Client, subject: str, payload: bytes, headers: Headers, *, timeout: float = 5.0
) -> Acknowledgement:
    """Publish one message to a stream and return its acknowledgement.

    Raises:
        PublishError: it was not stored, or nobody confirmed it in time.
    """
    return read_acknowledgement(*await _ask(client, subject, payload, headers, timeout))


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to a request."""

    subject: str
    headers: Headers
    payload: bytes
    seconds: float


async def request(
    client: Client, subject: str, payload: bytes, headers: Headers, *, timeout: float = 5.0
) -> Reply:
    """Send a request and return the first reply; raises PublishError as `request_many` does."""
    return (await request_many(client, subject, payload, headers, count=1, timeout=timeout))[0]


async def request_many(
    client: Client,
    subject: str,
    payload: bytes,
    headers: Headers,
    *,
    count: int,
    timeout: float = 5.0,
    arrived: Callable[[Reply], None] = lambda reply: None,
) -> list[Reply]:
    """Send a request once and return its replies: up to `count`, or those that came within `timeout` seconds.

    `arrived` is told of each as it comes.

    Raises:
        PublishError: nobody listens, or nobody answered in time.
    """
    loop = asyncio.get_running_loop()
    inbox = client.new_inbox()
    replies: list[Reply] = []
    done: asyncio.Future[None] = loop.create_future()
    nobody = False
    started = loop.time()

    async def take(message: Msg) -> None:
        nonlocal nobody
        answered = message.headers or {}
        if answered.get("Status") == "503" and not message.data:  # untranslated: a header
            nobody = True
        elif len(replies) < count:
            reply = Reply(message.subject, Headers(answered.items()), message.data, loop.time() - started)
            replies.append(reply)
            arrived(reply)
        if (nobody or len(replies) >= count) and not done.done():
            done.set_result(None)

    try:
        subscription = await client.subscribe(inbox, cb=take)
    except (errors.Error, OSError) as error:
        raise PublishError("connection", tr("The connection refused it: {error}", error=error)) from error
    try:
        started = loop.time()
        await send(client, subject, payload, headers, reply=inbox)
        await asyncio.wait([done], timeout=timeout)
    finally:
        done.cancel()
        if not client.is_closed:
            await subscription.unsubscribe()
    if nobody:
        raise PublishError("no responder", tr("Nobody listens on {subject}", subject=subject))
    if not replies:
        raise PublishError("timeout", tr("No answer in {timeout:g} s", timeout=timeout))
    return replies


async def _ask(
    client: Client, subject: str, payload: bytes, headers: Headers, timeout: float
) -> tuple[Msg, str, float]:
    loop = asyncio.get_running_loop()
    inbox = client.new_inbox()
    arrived: asyncio.Future[Msg] = loop.create_future()

    async def take(message: Msg) -> None:
        if not arrived.done():
            arrived.set_result(message)

    try:
        subscription = await client.subscribe(inbox, cb=take)
    except (errors.Error, OSError) as error:
        raise PublishError("connection", tr("The connection refused it: {error}", error=error)) from error
    try:
        started = loop.time()
        await send(client, subject, payload, headers, reply=inbox)
        await asyncio.wait([arrived], timeout=timeout)
        if not arrived.done():
            raise PublishError("timeout", tr("No answer in {timeout:g} s", timeout=timeout))
        return arrived.result(), subject, loop.time() - started
    finally:
        arrived.cancel()
        if not client.is_closed:
            await subscription.unsubscribe()


@dataclass(slots=True)
class _Flight:
    key: Any
    subject: str
    sent_at: float


Settled = Callable[[Any, Acknowledgement | PublishError], None]


class Publisher:
    """Many publishes in flight at once, each settled by one call with its acknowledgement or error.

    `settled(key, result)` is called in the event loop. Use as ``async with``.
    """

    def __init__(
        self, client: Client, settled: Settled, *, max_in_flight: int = 512, timeout: float = 5.0
    ) -> None:
        self._client = client
        self._settled = settled
        self._max_in_flight = max_in_flight
        self._timeout = timeout
        self._flights: OrderedDict[str, _Flight] = OrderedDict()
        self._next = 0
        self._inbox = ""
        self._subscription: Any = None
        self._changed = asyncio.Event()

    @property
    def in_flight(self) -> int:
        """Messages sent and not yet answered."""
        return len(self._flights)

    async def __aenter__(self) -> Publisher:
        self._inbox = self._client.new_inbox()
        try:
            self._subscription = await self._client.subscribe(f"{self._inbox}.*", cb=self._answered)
        except (errors.Error, OSError) as error:
            raise PublishError("connection", tr("The connection refused it: {error}", error=error)) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._subscription is not None and not self._client.is_closed:
            await self._subscription.unsubscribe()

    async def publish(self, key: Any, subject: str, payload: bytes, headers: Headers) -> None:
        """Send one; waits while too many are in flight. Errors go to `settled` too."""
        while len(self._flights) >= self._max_in_flight:
            await self._wait_for_change()
        self._next += 1
        token = str(self._next)
        loop = asyncio.get_running_loop()
        self._flights[token] = _Flight(key, subject, loop.time())
        try:
            await send(self._client, subject, payload, headers, reply=f"{self._inbox}.{token}")
        except PublishError as error:
            del self._flights[token]
            self._settled(key, error)

    async def drain(self) -> None:
        """Wait until everything in flight is settled, by answer or timeout."""
        while self._flights:
            await self._wait_for_change()

    async def _wait_for_change(self) -> None:
        self._changed.clear()
        loop = asyncio.get_running_loop()
        oldest = next(iter(self._flights.values())).sent_at
        remaining = oldest + self._timeout - loop.time()
        if remaining > 0:
            try:
                await asyncio.wait_for(self._changed.wait(), remaining)
            except TimeoutError:
                pass
            else:
                return
        while self._flights:
            token, flight = next(iter(self._flights.items()))
            if flight.sent_at + self._timeout > loop.time():
                return
            del self._flights[token]
            text = tr("No acknowledgement in {timeout:g} s; it may be stored", timeout=self._timeout)
            self._settled(flight.key, PublishError("timeout", text))

    async def _answered(self, message: Msg) -> None:
        flight = self._flights.pop(message.subject[len(self._inbox) + 1 :], None)
        if flight is None:
            return
        seconds = asyncio.get_running_loop().time() - flight.sent_at
        result: Acknowledgement | PublishError
        try:
            result = read_acknowledgement(message, flight.subject, seconds)
        except PublishError as error:
            result = error
        self._settled(flight.key, result)
        self._changed.set()
