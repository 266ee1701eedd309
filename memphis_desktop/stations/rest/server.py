"""The HTTP side of the REST gateway: reading requests within bounds, and answering in Memphis's manner."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from memphis_desktop.errors import Failure
from memphis_desktop.stations.errors import StationsError, StorageError
from memphis_desktop.stations.model import User
from memphis_desktop.stations.names import checked_name
from memphis_desktop.stations.rest import requests
from memphis_desktop.stations.rest.budget import Budget, OutOfMemory, Reservation
from memphis_desktop.stations.rest.consuming import MAX_BYTES, Consuming, GroupMissing
from memphis_desktop.stations.rest.logins import Logins, TooManyFailures, Unauthorized, allowed
from memphis_desktop.stations.rest.options import RestOptions
from memphis_desktop.stations.rest.producing import Outcome, Producing, TooLarge
from memphis_desktop.stations.rest.requests import BadRequest, Fetch, Route, failure
from memphis_desktop.stations.rest.stations import Stations
from memphis_desktop.stations.rest.tokens import Tokens

log = logging.getLogger(__name__)

_KEEPALIVE = 30.0
"""Seconds a connection may be without a whole request head: idle ones and those that drip it."""
_MAX_CONNECTIONS = 1_000
_LINGER = 1.0
"""Seconds that the rest of a refused body is read, so that its sender gets to read the answer."""
_SHUTDOWN = 3.0
"""Seconds that requests under way have to finish."""
_CHUNK = 64 << 10
_LARGE = 256 << 10  # JSON of this size is read and written in a thread
_METHODS = "GET,POST,HEAD,PUT,DELETE,PATCH"
_UNAUTHORIZED = {"message": "Unauthorized"}
_SERVER_ERROR = {"message": "Server error"}
_BUSY = {"success": False, "error": "too many requests at once; try again"}
_SUCCESS = {"success": True, "error": None}
_OVERHEAD = 2  # how much memory a body takes beside its own size, while it is worked on

Handler = Callable[[web.BaseRequest, Route, Reservation], Awaitable[web.StreamResponse]]


def _is_ours(record: logging.LogRecord) -> bool:
    """Leave out requests that are no HTTP: their sender is told, and could fill the log with them."""
    return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)


_http_log = logging.getLogger(f"{__name__}.http")
_http_log.addFilter(_is_ours)


class _BoundedServer(web.Server):
    """Hangs up on connections past the limit."""

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Count a connection in, or end it."""
        super().connection_made(handler, transport)
        if len(self.connections) > _MAX_CONNECTIONS:
            transport.abort()


class RestServer:
    """Listens, and handles requests."""

    def __init__(
        self,
        options: RestOptions,
        tokens: Tokens,
        logins: Logins,
        stations: Stations,
        producing: Producing,
        consuming: Consuming,
    ) -> None:
        self._options = options
        self._tokens = tokens
        self._logins = logins
        self._stations = stations
        self._producing = producing
        self._consuming = consuming
        self._budget = Budget(options.memory)
        self._runner: web.ServerRunner | None = None
        self.port = 0
        self._handlers: dict[str, Handler] = {
            "status": self._status,
            "authenticate": self._authenticate,
            "refresh": self._refresh,
            "produce_single": self._produce_single,
            "produce_batch": self._produce_batch,
            "consume_batch": self._consume_batch,
        }

    async def start(self) -> None:
        """Listen; raises `Failure` when the port is taken or the address is not this machine's."""
        server = _BoundedServer(
            self._handle,
            keepalive_timeout=_KEEPALIVE,
            lingering_time=_LINGER,
            access_log=None,
            logger=_http_log,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN)
        await self._runner.setup()
        host, port = self._options.host, self._options.port
        try:
            site = web.TCPSite(self._runner, host, port)
            await site.start()
        except (OSError, socket.gaierror) as error:
            await self.stop()
            if error.errno == errno.EADDRINUSE:
                text = (
                    f"port {port} on {host} is taken by another program; choose another for the REST gateway"
                )
                raise Failure(text) from None
            raise Failure(f"the REST gateway cannot listen on {host}:{port}: {error.strerror}") from None
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Finish the requests under way, and close."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    # One request

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return _preflight(request)
        try:
            with self._budget.reservation() as reservation:
                response = await self._answer(request, reservation)
        except BadRequest as refusal:
            response = _refusal(refusal)
        except OutOfMemory:
            response = _json(_BUSY, 503)
            response.headers["Retry-After"] = "1"
        except StationsError as error:
            response = _station_failure(error)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            response = _json(_SERVER_ERROR, 500)
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    async def _answer(self, request: web.BaseRequest, reservation: Reservation) -> web.StreamResponse:
        route = requests.route_of(request.method, request.rel_url.raw_path)
        if route is not None and route.name in requests.OPEN_ROUTES:
            return await self._handlers[route.name](request, route, reservation)
        self._user(request)  # a stranger is not told which routes there are
        if route is None:
            raise BadRequest(404, f"Cannot {request.method} {request.path}")
        return await self._handlers[route.name](request, route, reservation)

    def _user(self, request: web.BaseRequest) -> User:
        """Return whose request it is; raises `BadRequest` when its token is missing, wrong or outdated."""
        header = request.headers.get("Authorization")
        token = requests.bearer_token(header, request.rel_url.raw_query_string)
        bearer = self._tokens.read(token, time.time()) if token else None
        user = self._logins.user(bearer) if bearer is not None else None
        if user is None:
            raise BadRequest(401, _UNAUTHORIZED)
        return user

    async def _body(self, request: web.BaseRequest, reservation: Reservation) -> bytes:
        """Return the body; refuses one that is too large or comes too slowly."""
        limit = self._options.max_body
        if request.content_length is not None and request.content_length > limit:
            raise BadRequest(413, "Request Entity Too Large")
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._options.body_timeout):
                async for chunk in request.content.iter_chunked(_CHUNK):
                    size += len(chunk)
                    if size > limit:
                        raise BadRequest(413, "Request Entity Too Large")
                    reservation.add(_OVERHEAD * len(chunk))
                    chunks.append(chunk)
        except TimeoutError:
            raise BadRequest(408, "Request Timeout") from None
        except web.RequestPayloadError:
            raise BadRequest(400, "Bad Request") from None
        return b"".join(chunks)

    # Routes

    async def _status(self, request: web.BaseRequest, route: Route, held: Reservation) -> web.Response:
        return _json({"status": "ok"})

    async def _authenticate(self, request: web.BaseRequest, route: Route, held: Reservation) -> web.Response:
        body = await self._body(request, held)
        login = requests.login_request(
            body, request.headers.get("Content-Type", ""), request.rel_url.raw_query_string
        )
        try:
            bearer = await self._logins.login(request.remote or "", login)
        except Unauthorized:
            raise BadRequest(401, _UNAUTHORIZED) from None
        except TooManyFailures:
            raise BadRequest(429, {"message": "Too many failed logins; try again in a minute"}) from None
        except StationsError as error:
            log.warning("a login could not be checked: %s", error)
            raise BadRequest(500, _SERVER_ERROR) from None
        issued = self._tokens.issue(bearer, time.time(), login.minutes, login.refresh_minutes)
        return _json(issued.document())

    async def _refresh(self, request: web.BaseRequest, route: Route, held: Reservation) -> web.Response:
        body = await self._body(request, held)
        wanted = requests.refresh_request(body, request.headers.get("Content-Type", ""))
        bearer = self._tokens.read_refresh(wanted.token, time.time())
        if bearer is None or self._logins.user(bearer) is None:
            raise BadRequest(401, _UNAUTHORIZED)
        issued = self._tokens.issue(bearer, time.time(), wanted.minutes, wanted.refresh_minutes)
        return _json(issued.document())

    async def _produce_single(
        self, request: web.BaseRequest, route: Route, held: Reservation
    ) -> web.Response:
        requests.check_single_type(request.headers.get("Content-Type", ""))
        body = await self._body(request, held)
        outcome = await self._produce(request, route, [body])
        if outcome.failure is not None:
            raise outcome.failure
        if outcome.refused:
            raise failure(400, outcome.refused[0])
        return _json(_SUCCESS)

    async def _produce_batch(self, request: web.BaseRequest, route: Route, held: Reservation) -> web.Response:
        requests.check_batch_type(request.headers.get("Content-Type", ""))
        body = await self._body(request, held)
        if len(body) > _LARGE:
            payloads = await asyncio.to_thread(requests.batch_of, body)
        else:
            payloads = requests.batch_of(body)
        outcome = await self._produce(request, route, payloads)
        if outcome.failure is None and not outcome.refused:
            return _json(_SUCCESS)
        errors = [*outcome.refused, *([str(outcome.failure)] if outcome.failure is not None else [])]
        document = {
            "success": False,
            "error": errors,
            "errors": errors,
            "sent": outcome.sent,
            "fail": len(payloads) - outcome.sent,
        }
        return _json(document, 400 if outcome.failure is None else outcome.failure.status)

    async def _produce(self, request: web.BaseRequest, route: Route, payloads: list[bytes]) -> Outcome:
        user = self._user(request)
        name = checked_name("Station", route.station)
        if not allowed(user, name, write=True):
            raise failure(403, f"user {user.name} is not allowed to access station {name}")
        station = await self._stations.for_producer(user, name)
        headers = requests.message_headers(request.headers.items())
        message_id = requests.readable(request.headers.get(requests.MESSAGE_ID, ""))
        try:
            return await self._producing.produce(station, payloads, headers, message_id)
        except TooLarge as error:
            raise failure(413, str(error)) from None

    async def _consume_batch(self, request: web.BaseRequest, route: Route, held: Reservation) -> web.Response:
        user = self._user(request)
        body = await self._body(request, held)
        fetch = requests.fetch_request(body, request.headers.get("Content-Type", ""))
        held.add(_OVERHEAD * MAX_BYTES)
        name = checked_name("Station", route.station)
        if not allowed(user, name, write=False):
            raise failure(403, f"user {user.name} is not allowed to access station {name}")
        messages = await self._fetch(user, name, fetch)
        documents = [{"message": text, "headers": headers} for text, headers in messages]
        if sum(len(text) for text, _ in messages) > _LARGE:
            return _raw(await asyncio.to_thread(orjson.dumps, documents))
        return _json(documents)

    async def _fetch(self, user: User, name: str, fetch: Fetch) -> list[tuple[str, dict[str, str]]]:
        for _ in range(2):
            station = await self._stations.for_consumer(user, name, fetch)
            try:
                return await self._consuming.fetch(station, fetch)
            except GroupMissing:  # somebody deleted it
                self._stations.forget_consumer(name, fetch)
        raise StorageError("no response from stream", 0, 503)


def _raw(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")


def _json(document: Any, status: int = 200) -> web.Response:
    return _raw(orjson.dumps(document, option=orjson.OPT_SORT_KEYS), status)


def _refusal(refusal: BadRequest) -> web.Response:
    """Return the answer to a refused request; a body that was not read ends the connection with it."""
    if isinstance(refusal.document, str):
        response = web.Response(text=refusal.document, status=refusal.status)
    else:
        response = _json(refusal.document, refusal.status)
    if refusal.status in (408, 413):
        response.force_close()
    if refusal.status == 429:
        response.headers["Retry-After"] = "60"
    return response


def _station_failure(error: StationsError) -> web.Response:
    """Return the answer to what the station layer refused, or could not do."""
    status = {"invalid": 400, "forbidden": 403, "timeout": 503, "storage": 503}.get(error.code, 500)
    if isinstance(error, StorageError) and error.status not in (0, 408, 503):
        status = 500
    response = _json({"success": False, "error": str(error)}, status)
    if status == 503:
        response.headers["Retry-After"] = "1"
    return response


def _preflight(request: web.BaseRequest) -> web.Response:
    """Answer a browser that asks whether a page may send a request: any page may that has a token."""
    headers = {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": _METHODS,
        "Vary": "Access-Control-Request-Method, Access-Control-Request-Headers",
    }
    wanted = request.headers.get("Access-Control-Request-Headers")
    if wanted:
        headers["Access-Control-Allow-Headers"] = requests.readable(wanted)
    return web.Response(status=204, headers=headers)
