"""Testing a connection step by step: where exactly it fails, what was seen until then, and what to do.

Each step ends before the next begins; after one that failed the rest is not tried.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlparse

from nats.errors import NoRespondersError

from .connection import GuardedClient, _client_options, close_client, open_client, tls_context
from .failures import ConnectionFailure, Stage, explain
from .profiles import ConnectionProfile, without_secret

_TIMEOUT = 5.0
_DEFAULT_PORTS = {"nats": 4222, "tls": 4222, "ws": 80, "wss": 443}
_ROUND_TRIPS = 5

TITLES = {
    "profile": "Read the credentials",
    "resolve": "Find the host",
    "connect": "Reach the port",
    "greeting": "Greeting",
    "tls": "TLS",
    "login": "Log in",
    "round_trip": "Round trip",
    "jetstream": "JetStream",
    "streams": "List streams",
    "system": "System account",
}
PENDING, RUNNING, PASSED, FAILED, SKIPPED = "pending", "running", "passed", "failed", "skipped"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: ``state`` is pending, running, passed, failed or skipped; ``detail`` is fit to show."""

    key: str
    title: str
    state: str = PENDING
    detail: str = ""
    seconds: float | None = None


class _Skip(Exception):
    """The step does not apply; the text says why."""


class Diagnosis:
    """One run over a profile. ``on_change`` is called with all steps whenever one of them changes."""

    def __init__(
        self, profile: ConnectionProfile, on_change: Callable[[Sequence[Step]], None] = lambda _: None
    ) -> None:
        self.profile = profile
        self.steps = [Step(key, title) for key, title in TITLES.items()]
        self._on_change = on_change
        url = profile.urls[0] if profile.urls else ""
        parsed = urlparse(url if "://" in url else f"nats://{url}")
        self._scheme = parsed.scheme
        self._host = parsed.hostname or ""
        self._port = parsed.port or _DEFAULT_PORTS.get(parsed.scheme, 4222)
        self._address = without_secret(url)
        self._addresses: list[str] = []
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._greeting: dict[str, Any] = {}
        self._client: GuardedClient | None = None

    @property
    def passed(self) -> bool:
        """Whether nothing failed and everything was tried."""
        return all(step.state in (PASSED, SKIPPED) for step in self.steps)

    async def run(self) -> Sequence[Step]:
        """Carry out the steps; returns them all."""
        work: dict[str, Callable[[], Awaitable[str]]] = {
            "profile": self._read_profile,
            "resolve": self._resolve,
            "connect": self._connect,
            "greeting": self._greet,
            "tls": self._secure,
            "login": self._log_in,
            "round_trip": self._measure,
            "jetstream": self._ask_jetstream,
            "streams": self._list_streams,
            "system": self._ask_system,
        }
        try:
            for index, step in enumerate(self.steps):
                if not await self._do(index, work[step.key]):
                    break
        finally:
            self._close_socket()
            if self._client is not None:
                await close_client(self._client)
        return self.steps

    async def _do(self, index: int, work: Callable[[], Awaitable[str]]) -> bool:
        self._set(index, state=RUNNING)
        started = time.perf_counter()
        try:
            detail = await work()
        except _Skip as skip:
            self._set(index, state=SKIPPED, detail=str(skip))
            return True
        except Exception as error:
            failure = explain(error, self._address)
            self._set(index, state=FAILED, detail=str(failure), seconds=time.perf_counter() - started)
            return False
        self._set(index, state=PASSED, detail=detail, seconds=time.perf_counter() - started)
        return True

    def _set(self, index: int, **changes: Any) -> None:
        self.steps[index] = replace(self.steps[index], **changes)
        self._on_change(tuple(self.steps))

    # The steps --------------------------------------------------------------------------------

    async def _read_profile(self) -> str:
        if not self.profile.urls or not self._host:
            raise ConnectionFailure(Stage.PROFILE, "The connection has no server URL.", "Add one.")
        await asyncio.to_thread(_client_options, self.profile, self.profile.credentials)
        kind = self.profile.credentials.kind.value
        return "no credentials needed" if kind == "none" else f"logs in with {kind}"

    async def _resolve(self) -> str:
        found = await asyncio.get_running_loop().getaddrinfo(self._host, self._port)
        self._addresses = sorted({str(entry[4][0]) for entry in found})
        return ", ".join(self._addresses[:4])

    async def _connect(self) -> str:
        async with asyncio.timeout(_TIMEOUT):
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        return f"port {self._port} answers"

    async def _greet(self) -> str:
        if self._scheme in ("ws", "wss"):
            raise _Skip("comes after the WebSocket handshake")
        if self.profile.tls.handshake_first:
            raise _Skip("comes after TLS")
        assert self._reader is not None
        async with asyncio.timeout(_TIMEOUT):
            line = await self._reader.readline()
        if not line.startswith(b"INFO "):
            raise ConnectionFailure(
                Stage.GREETING,
                f"What listens at {self._address} does not greet like a NATS server.",
                "Check the port; with “TLS first” servers switch that option on.",
            )
        self._greeting = json.loads(line[5:])
        parts = [f"server {self._greeting.get('version', '?')}"]
        name = str(self._greeting.get("server_name") or "")
        if name and name != self._greeting.get("server_id"):
            parts.append(name)
        if self._greeting.get("auth_required"):
            parts.append("wants a login")
        if self._greeting.get("tls_required"):
            parts.append("wants TLS")
        return ", ".join(parts)

    async def _secure(self) -> str:
        first = self.profile.tls.handshake_first
        wanted = self._scheme in ("tls", "wss") or first or bool(self._greeting.get("tls_required"))
        if not wanted:
            self._close_socket()
            raise _Skip("not used")
        if self._scheme == "wss":
            self._close_socket()
            raise _Skip("done with the WebSocket handshake")
        context = await asyncio.to_thread(tls_context, self.profile.tls, self.profile.urls)
        assert self._writer is not None
        name = self.profile.tls.server_name or self._host
        async with asyncio.timeout(_TIMEOUT):
            await self._writer.start_tls(context or ssl.create_default_context(), server_hostname=name)
        detail = _tls_detail(self._writer)
        self._close_socket()
        return detail

    async def _log_in(self) -> str:
        async def ignore(*_: object) -> None:
            return

        self._client = await open_client(
            self.profile,
            self.profile.credentials,
            on_error=ignore,
            on_disconnected=ignore,
            on_reconnected=ignore,
            on_closed=ignore,
        )
        info = self._client._server_info
        account = info.get("account") or ""
        return f"accepted, account {account}" if account else "accepted"

    async def _measure(self) -> str:
        client = self._connected()
        trips = []
        for _ in range(_ROUND_TRIPS):
            started = time.perf_counter()
            await client.flush(timeout=round(_TIMEOUT))
            trips.append(time.perf_counter() - started)
        return f"{min(trips) * 1000:.1f} ms at best, {max(trips) * 1000:.1f} ms at worst"

    async def _ask_jetstream(self) -> str:
        answer = await self._api("INFO")
        limits = answer.get("limits", {})
        parts = [f"{answer.get('streams', 0)} streams, {answer.get('consumers', 0)} consumers"]
        store = limits.get("max_storage", -1)
        parts.append("no limit of storage" if store < 0 else f"{store / 2**30:.1f} GiB of storage allowed")
        return ", ".join(parts)

    async def _list_streams(self) -> str:
        answer = await self._api("STREAM.NAMES")
        return f"allowed, {answer.get('total', 0)} found"

    async def _ask_system(self) -> str:
        credentials = self.profile.system_credentials
        if credentials is None:
            raise _Skip("no credentials for it; cluster screens show the account's own view")

        async def ignore(*_: object) -> None:
            return

        client = await open_client(
            self.profile,
            credentials,
            on_error=ignore,
            on_disconnected=ignore,
            on_reconnected=ignore,
            on_closed=ignore,
        )
        try:
            answer = await client.request("$SYS.REQ.SERVER.PING", b"", timeout=_TIMEOUT)
            return f"accepted, server {json.loads(answer.data)['server']['name']} answers"
        except NoRespondersError as error:
            raise ConnectionFailure(
                Stage.LOGIN, "The login works, but it is not the system account.", "Use its credentials."
            ) from error
        finally:
            await close_client(client)

    # Helpers ----------------------------------------------------------------------------------

    def _connected(self) -> GuardedClient:
        assert self._client is not None
        return self._client

    async def _api(self, suffix: str) -> dict[str, Any]:
        subject = f"{self.profile.api_prefix}.{suffix}"
        try:
            message = await self._connected().request(subject, b"", timeout=_TIMEOUT)
        except NoRespondersError as error:
            raise ConnectionFailure(
                Stage.JETSTREAM,
                f"Nothing answers {subject}.",
                "Enable JetStream for this account, or set its domain or API prefix.",
            ) from error
        except TimeoutError as error:
            raise ConnectionFailure(
                Stage.JETSTREAM,
                f"No answer to {subject} within {_TIMEOUT:g} s.",
                "The user may not have permission to publish there, or to read the answer.",
            ) from error
        answer: dict[str, Any] = json.loads(message.data)
        problem = answer.get("error")
        if problem:
            text = str(problem.get("description", "refused"))
            raise ConnectionFailure(
                Stage.JETSTREAM, f"{text[:1].upper()}{text[1:]} (error {problem.get('err_code')}).", ""
            )
        return answer

    def _close_socket(self) -> None:
        if self._writer is not None:
            with contextlib.suppress(Exception):  # the peer may be gone already
                self._writer.close()
            self._writer = None


def _tls_detail(writer: asyncio.StreamWriter) -> str:
    secure = writer.get_extra_info("ssl_object")
    parts = [str(secure.version())] if secure is not None else []
    certificate = writer.get_extra_info("peercert")
    if certificate:
        expires = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
        days = (expires - datetime.now(UTC)).days
        names = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
        if names:
            parts.append(f"certificate for {', '.join(names[:3])}")
        parts.append(f"valid for {days} days more")
    else:
        parts.append("certificate not checked")
    return ", ".join(parts)


def report(profile: ConnectionProfile, steps: Sequence[Step]) -> str:
    """The outcome as text without secrets, to copy into a ticket."""
    lines = [f"Connection test of {profile.name} ({profile.address}), {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"]
    for step in steps:
        took = f" [{step.seconds * 1000:.0f} ms]" if step.seconds is not None else ""
        lines.append(f"{step.state:8} {step.title}{took}: {step.detail}".rstrip(": "))
    return "\n".join(lines)
