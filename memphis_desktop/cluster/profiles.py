"""Connection profiles: how to reach a broker, with what credentials, and how careful to be there.

Profiles live as one JSON file in the user's configuration folder. The file is replaced atomically and only
its owner may read it, since it can hold secrets. Paths of credential files are references: their contents
are read at each connection and never copied.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from memphis_desktop.folders import config_folder
from memphis_desktop.language import tr

DEFAULT_URL = "nats://127.0.0.1:4222"
FILE_VERSION = 1
_URL_SCHEMES = ("nats://", "tls://", "ws://", "wss://")


class Environment(Enum):
    """What is at stake on a connection; each has its colour and its word in the window."""

    LOCAL = "local"
    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"


class CredentialKind(Enum):
    """The ways to log in."""

    NONE = "none"
    TOKEN = "token"
    PASSWORD = "password"
    NKEY = "nkey"
    CREDS = "creds"
    JWT = "jwt"
    NSC = "nsc"
    MEMPHIS = "memphis"
    MEMPHIS_TOKEN = "memphis-token"


@dataclass(frozen=True, slots=True)
class Credentials:
    """One login. Values may be references (``file://path``, ``env://NAME``, ``data:;base64,…``).

    Attributes:
        kind: Which of the fields count.
        token: The token, for `CredentialKind.TOKEN`; for `CredentialKind.MEMPHIS_TOKEN` the connection token.
        user: User name, for `CredentialKind.PASSWORD`, `CredentialKind.MEMPHIS` and its token.
        password: Password, for `CredentialKind.PASSWORD` and `CredentialKind.MEMPHIS`.
        nkey_path: File with a user seed, for `CredentialKind.NKEY`.
        nkey_seed: The seed itself, when there is no file.
        creds_path: Creds file (JWT and seed), for `CredentialKind.CREDS`.
        user_jwt: JWT, for `CredentialKind.JWT`.
        user_seed: The seed that belongs to it.
        nsc: ``nsc://operator/account/user`` for `CredentialKind.NSC`: whose creds file is used.
        account_id: Of the Memphis user; empty for 1, that of a broker without tenants.
    """

    kind: CredentialKind = CredentialKind.NONE
    token: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)
    nkey_path: str = ""
    nkey_seed: str = field(default="", repr=False)
    creds_path: str = ""
    user_jwt: str = field(default="", repr=False)
    user_seed: str = field(default="", repr=False)
    nsc: str = ""
    account_id: str = ""

    @property
    def memphis_user(self) -> str:
        """The user name that Memphis wants in ``CONNECT``: with the number of its account."""
        return self.user if "$" in self.user else f"{self.user}${self.account_id or 1}"


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """How TLS is spoken; without any of it the system's authorities are trusted when the server asks for TLS.

    Attributes:
        ca_path: PEM file of the authorities to trust instead of the system's.
        cert_path: Client certificate (PEM).
        key_path: Its key; empty when it is in the certificate file.
        server_name: Name to check in the server's certificate, when it is not the host of the URL.
        handshake_first: TLS before INFO, for servers set up so.
        skip_verify: Accept any certificate. Shown as a danger.
    """

    ca_path: str = ""
    cert_path: str = ""
    key_path: str = ""
    server_name: str = ""
    handshake_first: bool = False
    skip_verify: bool = False


@dataclass(frozen=True, slots=True)
class ProxyOptions:
    """The proxy on the way to the servers; empty for none.

    Attributes:
        url: ``socks5://host:port``, ``http://host:port`` or ``https://host:port``; no scheme means SOCKS5.
        user: User name, when the proxy wants a login.
        password: Its password, which may be a reference as in `Credentials`.
    """

    url: str = ""
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ConnectionProfile:
    """Everything needed to open one connection.

    Attributes:
        name: What the user calls it; unique in a store, case ignored.
        urls: Server URLs in the order they are tried.
        credentials: The login for the account that is watched.
        system_credentials: A second login for the system account, for cluster screens; None without.
        tls: TLS options.
        proxy: The proxy that connections go through.
        inbox_prefix: Replaces ``_INBOX``.
        jetstream_domain: JetStream domain; the API is at ``$JS.<domain>.API``.
        jetstream_api_prefix: Another prefix of the API; wins over the domain.
        environment: Colour and caution.
        colour: A colour of its own, to tell it from others (``blue``, ``orange`` …); empty for none.
        read_only: Refuse every change, in the client layer.
        poll_budget: Requests a second this console may make.
        request_timeout: Seconds to wait for an answer.
        tags: Words to sort and find connections by.
        origin: Where it was imported from, empty when made by hand.
        id: Stable key, kept across renames.
    """

    name: str
    urls: tuple[str, ...] = (DEFAULT_URL,)
    credentials: Credentials = Credentials()
    system_credentials: Credentials | None = None
    tls: TlsOptions = TlsOptions()
    proxy: ProxyOptions = ProxyOptions()
    inbox_prefix: str = ""
    jetstream_domain: str = ""
    jetstream_api_prefix: str = ""
    environment: Environment = Environment.LOCAL
    colour: str = ""
    read_only: bool = False
    poll_budget: float = 20.0
    request_timeout: float = 5.0
    description: str = ""
    tags: tuple[str, ...] = ()
    origin: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def api_prefix(self) -> str:
        """The subject prefix of the JetStream API, without the last dot."""
        if self.jetstream_api_prefix:
            return self.jetstream_api_prefix.rstrip(".")
        if self.jetstream_domain:
            return f"$JS.{self.jetstream_domain}.API"
        return "$JS.API"

    @property
    def address(self) -> str:
        """The first URL without any secret in it, fit to show."""
        return without_secret(self.urls[0]) if self.urls else ""


class ProfileError(Exception):
    """A profile or a file of profiles cannot be used; the text says why and what to do."""


def without_secret(url: str) -> str:
    """Return a URL without the password or token it may carry."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "nats", url
    login, at, host = rest.rpartition("@")
    if not at:
        return f"{scheme}://{rest}"
    user, colon, _ = login.partition(":")
    return f"{scheme}://{user}@{host}" if colon else f"{scheme}://{host}"


def login_apart(profile: ConnectionProfile) -> ConnectionProfile:
    """Return a profile whose URLs hold no login: ``nats://user:password@host`` and ``nats://token@host``, as
    clients take them, become its credentials. It stays as it is when it has other credentials, or when its
    URLs have different logins.
    """
    parts = [url.partition("://") for url in profile.urls]
    logins = {rest.rpartition("@")[0] for _scheme, _separator, rest in parts} - {""}
    if profile.credentials.kind is not CredentialKind.NONE or len(logins) != 1:
        return profile
    user, colon, password = logins.pop().partition(":")
    credentials = (
        Credentials(CredentialKind.PASSWORD, user=unquote(user), password=unquote(password))
        if colon
        else Credentials(CredentialKind.TOKEN, token=unquote(user))
    )
    urls = tuple(scheme + separator + rest.rpartition("@")[2] for scheme, separator, rest in parts)
    return replace(profile, urls=urls, credentials=credentials)


def proxy_for(text: str) -> ProxyOptions:
    """A proxy from its URL, as ``socks_proxy`` of a context gives it: a login in it is taken out."""
    text = text.strip()
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "socks5", text
    login, at, host = rest.rpartition("@")
    if not text or not at:
        return ProxyOptions(text)
    user, _, password = login.partition(":")
    return ProxyOptions(f"{scheme}://{host}", unquote(user), unquote(password))


def profile_for(text: str) -> ConnectionProfile:
    """A profile from what a user types: one or several URLs, the scheme may be left away."""
    urls = []
    for part in text.replace(",", " ").split():
        urls.append(part if part.startswith(_URL_SCHEMES) else f"nats://{part}")
    name = urls[0].split("://", 1)[1].rpartition("@")[2]
    near = name.startswith(("127.", "localhost", "[::1]"))
    environment = Environment.LOCAL if near else Environment.DEVELOPMENT
    # The same address is the same connection next time, with its history.
    return login_apart(
        ConnectionProfile(name=name, urls=tuple(urls), environment=environment, id=f"address-{name}")
    )


def to_json(profile: ConnectionProfile) -> dict[str, Any]:
    """Return the profile as JSON values; everything that has its default is left away."""
    defaults = asdict(ConnectionProfile(name="", id=""))
    values = {key: value for key, value in asdict(profile).items() if value != defaults.get(key)}
    values["name"], values["id"] = profile.name, profile.id
    values["urls"] = list(profile.urls)
    if profile.tags:
        values["tags"] = list(profile.tags)
    values["environment"] = profile.environment.value
    values["credentials"] = _credentials_to_json(profile.credentials)
    if profile.system_credentials is not None:
        values["system_credentials"] = _credentials_to_json(profile.system_credentials)
    for name in ("tls", "proxy"):
        if name in values:
            values[name] = {key: value for key, value in values[name].items() if value}
    return values


def from_json(values: Mapping[str, Any]) -> ConnectionProfile:
    """Return the profile in `values`; keys of a later version are ignored. Raises `ProfileError`."""
    try:
        known = {item.name for item in fields(ConnectionProfile)}
        simple = {key: value for key, value in values.items() if key in known}
        simple["urls"] = tuple(str(url) for url in values.get("urls") or [DEFAULT_URL])
        simple["tags"] = tuple(str(tag) for tag in values.get("tags") or ())
        simple["environment"] = Environment(values.get("environment", "local"))
        simple["credentials"] = _credentials_from_json(values.get("credentials") or {})
        simple["colour"] = str(values.get("colour") or "")
        system = values.get("system_credentials")
        simple["system_credentials"] = _credentials_from_json(system) if system else None
        tls = values.get("tls") or {}
        simple["tls"] = TlsOptions(**{k: v for k, v in tls.items() if k in TlsOptions.__slots__})
        proxy = values.get("proxy") or {}
        simple["proxy"] = ProxyOptions(
            **{key: str(value) for key, value in proxy.items() if key in ProxyOptions.__slots__}
        )
        return ConnectionProfile(**simple)
    except (TypeError, ValueError, AttributeError) as error:
        raise ProfileError(tr("This connection profile cannot be read: {error}", error=error)) from error


def _credentials_to_json(credentials: Credentials) -> dict[str, Any]:
    values = {key: value for key, value in asdict(credentials).items() if value and key != "kind"}
    return {"kind": credentials.kind.value, **values}


def _credentials_from_json(values: Mapping[str, Any]) -> Credentials:
    known = {key: str(value) for key, value in values.items() if key in Credentials.__slots__}
    known.pop("kind", None)
    return Credentials(kind=CredentialKind(values.get("kind", "none")), **known)


def text_of(profiles: Sequence[ConnectionProfile]) -> str:
    """Return the text of a file of profiles."""
    document = {"version": FILE_VERSION, "connections": [to_json(profile) for profile in profiles]}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def profiles_of(text: str) -> list[ConnectionProfile]:
    """Return the profiles in the text of such a file; raises what tells that it is none."""
    entries = json.loads(text)["connections"]
    if not isinstance(entries, list):
        raise TypeError("connections is not a list")
    return [from_json(entry) for entry in entries]


def without_secrets(profile: ConnectionProfile) -> ConnectionProfile:
    """Return a profile fit to give away: without secrets, but with paths and references to them."""
    system = profile.system_credentials
    return replace(
        profile,
        urls=tuple(without_secret(url) for url in profile.urls),
        credentials=_bare(profile.credentials),
        system_credentials=None if system is None else _bare(system),
        proxy=replace(profile.proxy, password=_reference(profile.proxy.password)),
    )


def _reference(value: str) -> str:
    return value if value.startswith(("env://", "file://")) else ""


def _bare(credentials: Credentials) -> Credentials:
    return replace(
        credentials,
        token=_reference(credentials.token),
        password=_reference(credentials.password),
        nkey_seed=_reference(credentials.nkey_seed),
        user_jwt=_reference(credentials.user_jwt),
        user_seed=_reference(credentials.user_seed),
    )


class ProfileStore:
    """The profiles of this user, in one file.

    Calls read and write the file at once (a few kilobytes); two copies of the program see each other's
    changes at the next `load`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Use `folder`, by default the application's configuration folder."""
        self.folder = folder or config_folder()
        self.path = self.folder / "connections.json"

    def load(self) -> list[ConnectionProfile]:
        """Return the profiles in their order; an empty list without a file. Raises `ProfileError`."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ProfileError(
                tr(
                    "The connections in {path} cannot be read: {strerror}.",
                    path=self.path,
                    strerror=error.strerror,
                )
            ) from error
        try:
            return profiles_of(text)
        except (ValueError, KeyError, TypeError) as error:
            raise ProfileError(
                tr(
                    "The connections in {path} are damaged ({error}). Mend the file or move it away.",
                    path=self.path,
                    error=error,
                )
            ) from error

    def save(self, profiles: Sequence[ConnectionProfile]) -> None:
        """Replace the file by these profiles; raises `ProfileError` when names repeat or writing fails."""
        names = [profile.name.casefold() for profile in profiles]
        for name, lowered in zip((p.name for p in profiles), names, strict=True):
            if not name.strip():
                raise ProfileError(tr("A connection needs a name."))
            if names.count(lowered) > 1:
                raise ProfileError(
                    tr("There is another connection named {name}. Choose a different name.", name=name)
                )
        try:
            write_private(self.path, text_of(profiles))
        except OSError as error:
            reason = error.strerror
            raise ProfileError(
                tr("The connections cannot be saved to {path}: {reason}.", path=self.path, reason=reason)
            ) from error

    def put(self, profile: ConnectionProfile) -> None:
        """Add a profile, or replace the one with its id."""
        profiles = self.load()
        for position, present in enumerate(profiles):
            if present.id == profile.id:
                profiles[position] = profile
                break
        else:
            profiles.append(profile)
        self.save(profiles)

    def remove(self, profile_id: str) -> None:
        """Remove a profile; nothing happens when there is none with this id."""
        profiles = self.load()
        remaining = [profile for profile in profiles if profile.id != profile_id]
        if len(remaining) != len(profiles):
            self.save(remaining)

    def move(self, profile_id: str, by: int) -> None:
        """Move a profile up (negative) or down in the order; no further than the end."""
        profiles = self.load()
        place = next((at for at, one in enumerate(profiles) if one.id == profile_id), None)
        if place is not None:
            target = min(max(0, place + by), len(profiles) - 1)
            if target != place:
                profiles.insert(target, profiles.pop(place))
                self.save(profiles)

    def free_name(self, wanted: str) -> str:
        """Return `wanted`, with a number behind it when that name is taken."""
        taken = {profile.name.casefold() for profile in self.load()}
        name, number = wanted, 1
        while name.casefold() in taken:
            number += 1
            name = f"{wanted} {number}"
        return name

    def copy_of(self, profile: ConnectionProfile) -> ConnectionProfile:
        """Return a copy of a profile under a free name, with a key of its own; it is not stored yet."""
        return replace(profile, name=self.free_name(profile.name), id=uuid.uuid4().hex, origin="")


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; only its owner may read it. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
