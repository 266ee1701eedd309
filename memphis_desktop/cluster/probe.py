"""Looking at one server through a bare socket: is it there, is it NATS, what of its certificate.

Used by the staged test, which wants to know more than whether a client gets in. Nothing is sent beyond what
TLS and WebSocket need.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlparse

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from memphis_desktop.language import tr, tr_count
from memphis_desktop.proxy import Proxy, end

from .connection import tls_context
from .failures import ConnectionFailure, Stage, explain
from .profiles import TlsOptions, without_secret

TIMEOUT = 5.0
DEFAULT_PORTS = {"nats": 4222, "tls": 4222, "ws": 80, "wss": 443}
_WEBSOCKET = ("ws", "wss")


@dataclass(frozen=True, slots=True)
class Target:
    """One URL of a profile, taken apart. Raises `ConnectionFailure` when it is none that can be used."""

    url: str

    def __post_init__(self) -> None:
        try:
            fit = bool(self.host) and 0 < self.port < 65536 and self.scheme in DEFAULT_PORTS
        except ValueError:  # a port that is no number
            fit = False
        if not fit:
            raise ConnectionFailure(
                Stage.PROFILE,
                tr("{address} is no address of a server.", address=self.address),
                tr("Write nats://host:port, or tls://, ws://, wss://."),
            )

    @property
    def _parsed(self) -> Any:
        return urlparse(self.url if "://" in self.url else f"nats://{self.url}")

    @property
    def scheme(self) -> str:
        """``nats``, ``tls``, ``ws`` or ``wss``."""
        return str(self._parsed.scheme)

    @property
    def host(self) -> str:
        """Name or address."""
        return str(self._parsed.hostname or "")

    @property
    def port(self) -> int:
        """The port, by default that of the scheme. Raises `ValueError`."""
        port = self._parsed.port
        return DEFAULT_PORTS.get(self.scheme, 4222) if port is None else int(port)

    @property
    def address(self) -> str:
        """The URL without secrets."""
        return without_secret(self.url)

    @property
    def websocket(self) -> bool:
        """Whether NATS is spoken inside a WebSocket."""
        return self.scheme in _WEBSOCKET


class Probe:
    """A socket to one server, taken from step to step."""

    def __init__(self, target: Target, tls: TlsOptions, proxy: Proxy | None = None) -> None:
        self.target = target
        self._proxy = proxy
        self.greeting: dict[str, Any] = {}
        self._tls = tls
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._round_trip = 0.0

    @property
    def tls_comes_first(self) -> bool:
        """Whether TLS begins before the server has said anything."""
        return self.target.scheme == "wss" or self._tls.handshake_first

    @property
    def tls_wanted(self) -> bool:
        """Whether TLS is used, as far as is known."""
        return self.tls_comes_first or self.target.scheme == "tls" or bool(self.greeting.get("tls_required"))

    async def connect(self) -> None:
        """Reach the port. Raises `OSError`, `TimeoutError` or `ProxyFailure`."""
        started = time.perf_counter()
        host, port = self.target.host, self.target.port
        if self._proxy is None:
            async with asyncio.timeout(TIMEOUT):
                self._reader, self._writer = await asyncio.open_connection(host, port)
        else:
            self._reader, self._writer = await self._proxy.open(host, port, TIMEOUT)
        self._round_trip = time.perf_counter() - started

    def close(self) -> None:
        """Close the socket, whatever its state."""
        if self._writer is not None:
            with contextlib.suppress(Exception):  # the peer may be gone already
                end(self._writer, self._proxy)
            self._reader = self._writer = None

    async def greet(self) -> dict[str, Any]:
        """Read the server's INFO; raises `ConnectionFailure` when it does not greet like one."""
        if self.target.websocket:
            line = await self._greet_websocket()
        else:
            assert self._reader is not None
            async with asyncio.timeout(TIMEOUT):
                line = await self._reader.readline()
        with contextlib.suppress(ValueError):
            if line.startswith(b"INFO "):
                greeting = json.loads(line[5:].partition(b"\r")[0])
                if isinstance(greeting, dict):
                    self.greeting = greeting
                    return greeting
        raise ConnectionFailure(
            Stage.GREETING,
            tr("What listens at {address} does not greet like a NATS server.", address=self.target.address),
            tr("Check the port; with “TLS first” servers switch that option on."),
        )

    async def _greet_websocket(self) -> bytes:
        import aiohttp

        self.close()  # the library opens its own
        context = await asyncio.to_thread(tls_context, self._tls, (self.target.url,))
        checks = context if context is not None else True
        connector = aiohttp.TCPConnector(ssl=checks) if self._proxy is None else self._proxy.connector(checks)
        try:
            async with (
                asyncio.timeout(TIMEOUT),
                aiohttp.ClientSession(connector=connector) as session,
                session.ws_connect(self.target.address) as socket,
            ):
                message = await socket.receive()
                return message.data if isinstance(message.data, bytes) else b""
        except aiohttp.WSServerHandshakeError as error:
            advice = tr("Check the port and path: it must be the server's websocket port, or a proxy to it.")
            if error.status == 400 and not self.target.address.startswith("wss"):
                advice = tr("Use wss:// if that port is secured.")  # so servers answer HTTP where TLS is due
            raise ConnectionFailure(
                Stage.GREETING,
                tr(
                    "{address} answers, but not as a WebSocket (HTTP {status}).",
                    address=self.target.address,
                    status=error.status,
                ),
                advice,
            ) from error
        except aiohttp.ClientError as error:
            cause = error.__cause__ or error
            raise explain(cause, self.target.address) from error

    async def secure(self) -> str:
        """Do the TLS handshake; returns what there is to say of it.

        Raises:
            ConnectionFailure: With the certificate's names, issuer and time when it is not accepted.
        """
        context = await asyncio.to_thread(tls_context, self._tls, (self.target.url,))
        assert self._writer is not None
        name = self._tls.server_name or self.target.host
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._writer.start_tls(context or ssl.create_default_context(), server_hostname=name)
                await self._await_verdict()
        except ssl.SSLCertVerificationError as error:
            failure = explain(error, self.target.address)
            shown = await self._certificate_shown()
            raise ConnectionFailure(failure.stage, f"{failure.text}{shown}", failure.advice) from error
        detail = _tls_detail(self._writer)
        if self._tls.skip_verify:
            detail = tr("{detail}; ANY certificate is accepted", detail=detail)
        return detail

    async def _await_verdict(self) -> None:
        """Wait as long as the server may take to say that it does not accept our certificate.

        In TLS 1.3 the handshake is over for us before the server has looked at it; its refusal is read like
        data. Where it greets after the handshake, its greeting says that all is well.
        """
        assert self._reader is not None
        if self.tls_comes_first and not self.target.websocket:
            return  # the greeting follows
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1 + 3 * self._round_trip):
                if not await self._reader.read(1):
                    raise ConnectionFailure(
                        Stage.TLS,
                        tr(
                            "{address} closed the connection after the TLS handshake.",
                            address=self.target.address,
                        ),
                        tr("It may want a client certificate: set certificate and key in the connection."),
                    )

    async def _certificate_shown(self) -> str:
        """Say what the certificate is that was not accepted; empty when that cannot be seen."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with contextlib.suppress(OSError, ValueError, TimeoutError):
            async with asyncio.timeout(TIMEOUT):
                self.close()
                await self.connect()
                assert self._reader is not None
                assert self._writer is not None
                if not self.tls_comes_first:
                    await self._reader.readline()
                await self._writer.start_tls(context, server_hostname=self.target.host)
                secure = self._writer.get_extra_info("ssl_object")
                raw = secure.getpeercert(binary_form=True)
            found = describe(x509.load_der_x509_certificate(raw))
            return " " + tr("It is {certificate}.", certificate=found)
        return ""


def describe(certificate: x509.Certificate) -> str:
    """Return the names, issuer and time of a certificate in words."""
    names: list[str] = []
    with contextlib.suppress(x509.ExtensionNotFound):
        extension = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
        assert isinstance(extension.value, x509.SubjectAlternativeName)
        names += extension.value.get_values_for_type(x509.DNSName)
        names += [str(address) for address in extension.value.get_values_for_type(x509.IPAddress)]
    shown = ", ".join(names[:4]) or _common_name(certificate.subject) or tr("no name")
    until = certificate.not_valid_after_utc
    since = certificate.not_valid_before_utc
    now = datetime.now(UTC)
    if until < now:
        valid = tr("expired on {day}", day=f"{until:%Y-%m-%d}")
    elif since > now:
        valid = tr("not valid before {day}", day=f"{since:%Y-%m-%d}")
    else:
        valid = tr("valid until {day}", day=f"{until:%Y-%m-%d}")
    issuer = _common_name(certificate.issuer) or tr("an unnamed authority")
    by = (
        tr("signed by itself")
        if certificate.issuer == certificate.subject
        else tr("issued by {issuer}", issuer=issuer)
    )
    return tr("for {names}, {issuer}, {validity}", names=shown, issuer=by, validity=valid)


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def _tls_detail(writer: asyncio.StreamWriter) -> str:
    secure = writer.get_extra_info("ssl_object")
    if secure is None:
        return ""
    parts = [str(secure.version())]
    raw = secure.getpeercert(binary_form=True)
    if raw:
        certificate = x509.load_der_x509_certificate(raw)
        days = (certificate.not_valid_after_utc - datetime.now(UTC)).days
        found = describe(certificate)
        if days < 30:
            text = tr_count(
                "certificate {certificate} ({count} day)",
                "certificate {certificate} ({count} days)",
                days,
                certificate=found,
            )
        else:
            text = tr("certificate {certificate}", certificate=found)
        parts.append(text)
    return ", ".join(parts)
