"""Opening one client connection from a profile: credentials, TLS, and the guard of read-only connections."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlparse

from nats.aio.client import Client

from memphis_desktop import proxy
from memphis_desktop.language import tr
from memphis_desktop.proxy import ProxiedClient, Proxy, ProxyFailure

from . import keychain
from .contexts import expand_path
from .failures import ConnectionFailure, ReadOnlyConnection, Stage, explain, refused_login
from .nsc import find_user
from .profiles import (
    ConnectionProfile,
    CredentialKind,
    Credentials,
    ProxyOptions,
    TlsOptions,
    without_secret,
)

log = logging.getLogger(__name__)

CLIENT_NAME = "Memphis Desktop"
CONNECT_TIMEOUT = 5
RECONNECT_WAIT = 1
PING_INTERVAL = 4  # a server that hangs is left after three times this, for another of the cluster
CLOSE_TIMEOUT = 2.0
_CANCEL_AGAIN = 0.1

ErrorCallback = Callable[[Exception], Awaitable[None]]
Callback = Callable[[], Awaitable[None]]

# What a read-only connection may send: requests that only ask. Everything else is refused in this process.
# Following a bucket of the Memphis layer takes a short-lived consumer that acknowledges nothing.
_READING_API = re.compile(
    r"(INFO|STREAM\.(INFO|MSG\.GET|SNAPSHOT)\..+|STREAM\.(NAMES|LIST)|CONSUMER\.(INFO|NAMES|LIST)\..+"
    r"|DIRECT\.GET\..+|CONSUMER\.CREATE\.KV_memphis_[a-z_]+)"
)
_READING_SYSTEM = re.compile(
    r"\$SYS\.REQ\.(USER\.INFO|(SERVER|ACCOUNT)\.[^.]+(\.(IDZ|STATSZ|STATZ|VARZ|SUBSZ|CONNZ|CONNS|ROUTEZ|GATEWAYZ"
    r"|LEAFZ|ACCOUNTZ|JSZ|HEALTHZ|EXPVARZ|IPQUEUESZ|RAFTZ|INFO))?)"
)
_READING_SERVICES = re.compile(r"\$SRV\.(PING|INFO|STATS)(\.[^.*>]+){0,2}")
_SNAPSHOT_FLOW = ("$JS.SNAPSHOT.ACK.", "$JS.FC.KV_memphis_")


class GuardedClient(ProxiedClient):
    """A nats-py client that refuses to send anything that changes something, when told so."""

    read_only = False
    profile_name = ""
    api_prefix = "$JS.API"

    async def publish(
        self, subject: str, payload: bytes = b"", reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Publish, unless the connection is read-only and this is no mere question."""
        if self.read_only and not self._only_asks(subject):
            raise ReadOnlyConnection(self.profile_name)
        await super().publish(subject, payload, reply, headers)

    def _only_asks(self, subject: str) -> bool:
        for prefix in (f"{self.api_prefix}.", "$JS.API."):
            if subject.startswith(prefix):
                return _READING_API.fullmatch(subject, len(prefix)) is not None
        return (
            _READING_SYSTEM.fullmatch(subject) is not None
            or _READING_SERVICES.fullmatch(subject) is not None
            or subject.startswith(_SNAPSHOT_FLOW)
        )


async def open_client(
    profile: ConnectionProfile,
    credentials: Credentials,
    *,
    on_error: ErrorCallback,
    on_disconnected: Callback,
    on_reconnected: Callback,
    on_closed: Callback,
    timeout: float = CONNECT_TIMEOUT,
    client: GuardedClient | None = None,
) -> GuardedClient:
    """Connect and return the client; it reconnects by itself for ever after.

    Each URL is tried once, in order. The callbacks are coroutines, called only once the client is connected.
    `client` is connected, when given, in place of a plain one.

    Raises:
        ConnectionFailure: What the last URL failed with.
    """
    client = client or GuardedClient()
    client.read_only = profile.read_only
    client.profile_name = profile.name
    client.api_prefix = profile.api_prefix
    if not profile.urls:
        raise ConnectionFailure(Stage.PROFILE, tr("The connection has no server URL."), tr("Add one."))
    errors: list[Exception] = []
    exhausted = asyncio.Event()
    connected = False

    async def note_error(error: Exception) -> None:
        if connected:
            await on_error(error)
            return
        errors.append(error)
        if len(errors) >= len(profile.urls):
            exhausted.set()

    options = await asyncio.to_thread(client_options, profile, credentials)
    client.proxy = await asyncio.to_thread(proxy_of, profile.proxy, profile.tls)
    connecting = asyncio.create_task(
        client.connect(
            **options,
            name=CLIENT_NAME,
            error_cb=note_error,
            disconnected_cb=on_disconnected,
            reconnected_cb=on_reconnected,
            closed_cb=on_closed,
            dont_randomize=True,
            connect_timeout=max(1, round(timeout)),
            reconnect_time_wait=RECONNECT_WAIT,
            max_reconnect_attempts=-1,
            ping_interval=PING_INTERVAL,
        )
    )
    gave_up = asyncio.create_task(exhausted.wait())
    try:
        done, _ = await asyncio.wait(
            {connecting, gave_up},
            timeout=(timeout + RECONNECT_WAIT) * len(profile.urls) + 1,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if connecting in done:
            connecting.result()
            connected = True
            return client
        raise errors[-1] if errors else TimeoutError()
    except ConnectionFailure:
        raise
    except Exception as error:
        address = profile.urls[min(len(errors), len(profile.urls)) - 1] if errors else profile.urls[0]
        failure = explain(error, without_secret(address))
        if failure.stage is Stage.GREETING and client._server_info.get("auth_required"):
            # A server that refuses closes at once, and its reason can get lost with the connection.
            failure = refused_login(without_secret(address))
        if failure.stage is Stage.LOGIN:
            if credentials.kind is CredentialKind.NONE and without_secret(address) == address:
                failure = refused_login(without_secret(address), given=False)
            failure = expired_login(await asyncio.to_thread(jwt_expiry, credentials)) or failure
        raise failure from error
    finally:
        gave_up.cancel()
        if not connected:
            await _end(connecting)
            await close_client(client)


async def _end(connecting: asyncio.Task[None]) -> None:
    """Cancel an attempt to connect until it ends: inside, one that meets a timeout is swallowed."""
    deadline = asyncio.get_running_loop().time() + CLOSE_TIMEOUT
    while not connecting.done() and asyncio.get_running_loop().time() < deadline:
        connecting.cancel()
        await asyncio.wait({connecting}, timeout=_CANCEL_AGAIN)
    if connecting.done() and not connecting.cancelled():
        connecting.exception()  # looked at, so that nobody warns of it


async def close_client(client: Client) -> None:
    """Close a client, without the callbacks of a lost connection and without waiting for a dead peer."""
    client._closed_cb = client._disconnected_cb = None
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await client.close()
    except asyncio.CancelledError:
        # A reconnection that close ends takes the future with it on which close waits: not our cancellation.
        if task is not None and task.cancelling() > before:
            raise
    except Exception as error:
        log.debug("closing a client: %s", error)


def proxy_of(options: ProxyOptions, tls: TlsOptions) -> Proxy | None:
    """Return the proxy of a profile with its secret, None without one; may read files, so in a thread.

    Authorities that the profile trusts are trusted for a proxy with TLS as well, beside the system's.

    Raises:
        ConnectionFailure: Its address is none, or the secret cannot be read.
    """
    if not options.url:
        return None
    try:
        found = proxy.parse(options.url, options.user, resolve(options.password))
        if found.kind != "https":
            return found
        found = replace(found, ca_path=expand_path(tls.ca_path) if tls.ca_path else "")
        return replace(found, context=found.tls_context())
    except ProxyFailure as failure:
        raise explain(failure, options.url) from failure


def client_options(profile: ConnectionProfile, credentials: Credentials) -> dict[str, Any]:
    """Return the keyword arguments for nats-py; reads files, so it runs in a thread."""
    options: dict[str, Any] = {"servers": list(profile.urls)}
    options.update(_login_options(credentials))
    context = tls_context(profile.tls, profile.urls)
    if context is not None:
        options["tls"] = context
        if profile.tls.server_name:
            options["tls_hostname"] = profile.tls.server_name
        options["tls_handshake_first"] = profile.tls.handshake_first
    if profile.inbox_prefix:
        options["inbox_prefix"] = profile.inbox_prefix
    return options


def _login_options(credentials: Credentials) -> dict[str, Any]:
    match credentials.kind:
        case CredentialKind.NONE:
            return {}
        case CredentialKind.TOKEN:
            return {"token": resolve(credentials.token)}
        case CredentialKind.PASSWORD:
            return {"user": resolve(credentials.user), "password": resolve(credentials.password)}
        case CredentialKind.MEMPHIS:
            return {"user": credentials.memphis_user, "password": resolve(credentials.password)}
        case CredentialKind.MEMPHIS_TOKEN:  # as Memphis takes it from clients that are not its SDKs
            return {"token": f"{credentials.user}::{resolve(credentials.token)}"}
        case CredentialKind.NKEY:
            if credentials.nkey_path:
                text = read_text(expand_path(credentials.nkey_path), tr("nkey file"))
                seed = next((w for w in text.split() if w.startswith("SU")), text.strip())
            else:
                seed = resolve(credentials.nkey_seed).strip()
            _check_seed(seed, credentials.nkey_path)
            return {"nkeys_seed_str": seed}
        case CredentialKind.CREDS:
            jwt, seed = _read_creds(credentials.creds_path)
        case CredentialKind.NSC:
            jwt, seed = _read_creds(nsc_creds(credentials.nsc))
        case CredentialKind.JWT:
            jwt, seed = resolve(credentials.user_jwt).strip(), resolve(credentials.user_seed).strip()
    _check_seed(seed)
    return {"user_jwt_cb": lambda: bytearray(jwt.encode()), "signature_cb": _signer(seed)}


def jwt_expiry(credentials: Credentials) -> datetime | None:
    """Return when the JWT of a login ends, as it says itself; None without a JWT or an end.

    Reads files, so it belongs in a thread. Raises `ConnectionFailure` when they cannot be read.
    """
    if credentials.kind is CredentialKind.CREDS:
        jwt, _ = _read_creds(credentials.creds_path)
    elif credentials.kind is CredentialKind.NSC:
        jwt, _ = _read_creds(nsc_creds(credentials.nsc))
    elif credentials.kind is CredentialKind.JWT:
        jwt = resolve(credentials.user_jwt).strip()
    else:
        return None
    try:
        body = jwt.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return datetime.fromtimestamp(int(claims["exp"]), UTC)
    except (IndexError, ValueError, KeyError, TypeError, OverflowError, OSError):
        return None


def expired_login(expiry: datetime | None) -> ConnectionFailure | None:
    """The server says only that it refuses: say it when the JWT has ended."""
    if expiry is None or expiry > datetime.now(UTC):
        return None
    return ConnectionFailure(
        Stage.LOGIN,
        tr(
            "The server refused the login: its JWT has expired on {expiry} UTC.",
            expiry=f"{expiry:%Y-%m-%d %H:%M}",
        ),
        tr("Ask for new credentials."),
    )


def _signer(seed: str) -> Callable[[str], bytes]:
    def sign(nonce: str) -> bytes:
        import nkeys  # here, since few connections need it and it loads a native library

        pair = nkeys.from_seed(bytearray(seed.encode()))
        try:
            return base64.b64encode(pair.sign(nonce.encode()))
        finally:
            pair.wipe()

    return sign


def _check_seed(seed: str, path: str = "") -> None:
    import nkeys

    try:
        nkeys.from_seed(bytearray(seed.encode())).wipe()
    except Exception as error:
        raise ConnectionFailure(
            Stage.PROFILE,
            tr("The file {path} holds no nkey seed.", path=path)
            if path
            else tr("The seed is not a valid nkey seed."),
            tr("A user's seed begins with SU."),
        ) from error


def nsc_creds(reference: str) -> str:
    """Return the creds file of a user in an nsc store; raises `ConnectionFailure` when there is none."""
    user = find_user(reference)
    if user is None:
        raise ConnectionFailure(
            Stage.PROFILE,
            tr(
                "There is no creds file for {reference} in the nsc stores of this machine.",
                reference=reference,
            ),
            tr("Make one with `nsc generate creds`, and write the user as nsc://operator/account/user."),
        )
    return user.creds_path


def _read_creds(path: str) -> tuple[str, str]:
    return parse_creds(read_text(expand_path(path), tr("creds file")), path)


def parse_creds(text: str, path: str = "") -> tuple[str, str]:
    """Return JWT and seed of a creds file; raises `ConnectionFailure` when they are not in it.

    `path` is named then.
    """
    blocks = re.findall(r"-{3,}BEGIN [^-\n]*-{3,}\s+(\S+)\s+-{3,}END [^-\n]*-{3,}", text)
    if len(blocks) < 2:
        raise ConnectionFailure(
            Stage.PROFILE,
            tr("The credentials file {path} holds no JWT and seed.", path=path)
            if path
            else tr("The credentials file holds no JWT and seed."),
            tr("Choose a file made by `nsc generate creds`."),
        )
    return blocks[0], blocks[1]


def resolve(value: str) -> str:
    """Return the value behind a reference (``file:``, ``env:``, ``data:``, ``keychain:``), or the value."""
    if value.startswith("env://"):
        name = value.removeprefix("env://")
        found = os.environ.get(name)
        if found is None:
            raise ConnectionFailure(
                Stage.PROFILE, tr("The variable {name} is not set.", name=name), tr("Set it and try again.")
            )
        return found
    if value.startswith("file://"):
        return read_text(expand_path(value.removeprefix("file://")), tr("secret file")).strip()
    if value.startswith("data:"):
        head, _, body = value.partition(",")
        raw = base64.b64decode(body) if head.endswith(";base64") else unquote_to_bytes(body)
        return raw.decode()
    if value.startswith(keychain.SCHEME):
        try:
            return keychain.look_up(value)
        except keychain.KeychainError as error:
            raise ConnectionFailure(
                Stage.PROFILE, str(error), tr("Enter it again in the connection.")
            ) from error
    if value.startswith(("op://", "nsc://")):
        raise ConnectionFailure(
            Stage.PROFILE,
            tr("References such as {scheme}// cannot be resolved.", scheme=value.split("//")[0]),
            tr("Use file://."),
        )
    return value


def read_text(path: str, what: str) -> str:
    """Return the text of a file; raises `ConnectionFailure`, naming it and `what` it is."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or tr("it is not a text file")
        raise ConnectionFailure(
            Stage.PROFILE,
            tr("The {what} {path} cannot be read: {reason}.", what=what, path=path, reason=reason),
            tr("Choose it again in the connection."),
        ) from error


class _NamedContext(ssl.SSLContext):
    """A context that asks for a name of its own, also where a library would ask for the URL's (WebSocket)."""

    server_name = ""

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Begin a handshake in which the server's certificate must be for `server_name`."""
        return super().wrap_bio(incoming, outgoing, server_side, self.server_name, session)


def _new_context(tls: TlsOptions) -> ssl.SSLContext:
    ca_path = expand_path(tls.ca_path) or None
    if not tls.server_name:
        return ssl.create_default_context(cafile=ca_path)
    context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.server_name = tls.server_name
    if ca_path is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(ca_path)
    return context


def tls_context(tls: TlsOptions, urls: tuple[str, ...]) -> ssl.SSLContext | None:
    """Return the TLS context of a profile, or None when the client's default serves."""
    wanted = any(urlparse(url).scheme in ("tls", "wss") for url in urls)
    if tls == TlsOptions() and not wanted:
        return None
    try:
        context = _new_context(tls)
    except (OSError, ssl.SSLError) as error:
        raise ConnectionFailure(
            Stage.PROFILE,
            tr(
                "The authorities' file {ca_path} cannot be used: {error}.",
                ca_path=tls.ca_path,
                error=_tls_reason(error),
            ),
            tr("It must hold certificates in PEM form."),
        ) from error
    if tls.cert_path:
        _load_own_certificate(context, tls)
    if tls.skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _load_own_certificate(context: ssl.SSLContext, tls: TlsOptions) -> None:
    """Load the client's certificate and key; raises `ConnectionFailure` that names the file at fault."""
    certificate, key = expand_path(tls.cert_path), expand_path(tls.key_path)
    for path in filter(None, (certificate, key)):
        read_text(path, tr("TLS file"))

    def refuse() -> str:  # Python would ask at the terminal
        raise ConnectionFailure(
            Stage.PROFILE,
            tr("The key {key} is protected by a password.", key=key or certificate),
            tr("Name a copy without one: openssl pkey -in KEY -out COPY."),
        )

    try:
        context.load_cert_chain(certificate, key or None, password=refuse)
    except (OSError, ssl.SSLError) as error:
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            text = tr(
                "The key {key} does not belong to the certificate {certificate}.",
                key=key,
                certificate=certificate,
            )
        else:
            files = " and ".join(filter(None, (certificate, key)))
            text = tr(
                "{files} cannot be used as certificate and key: {error}.",
                files=files,
                error=_tls_reason(error),
            )
        raise ConnectionFailure(
            Stage.PROFILE, text, tr("Both must be PEM files, and the key that of the certificate.")
        ) from error


def _tls_reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return str(reason).replace("_", " ").lower() if str(reason).isupper() else str(reason)
