"""Connections that are on this machine already: contexts of ``nats``, its environment, users of ``nsc``.

The context files are read as they lie on disk and never written. A secret given by path or reference stays a
reference in the profile.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from memphis_desktop.language import tr

from .nsc import NscUser, find_user, find_users
from .profiles import DEFAULT_URL, ConnectionProfile, CredentialKind, Credentials, TlsOptions, proxy_for


@dataclass(frozen=True, slots=True)
class FoundContext:
    """A context on disk: the profile it makes, or why it cannot be used.

    Attributes:
        name: The context's name.
        path: Its file, or the name of the environment variable.
        profile: What it says; None when it cannot be used.
        problem: Why not, fit to show; empty otherwise.
        selected: Whether it is the one the ``nats`` command uses now.
    """

    name: str
    path: str
    profile: ConnectionProfile | None
    problem: str = ""
    selected: bool = False


def contexts_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the ``nats`` command line's settings."""
    base = environment.get("XDG_CONFIG_HOME")
    return Path(base) / "nats" if base else Path.home() / ".config" / "nats"


def find_contexts(environment: Mapping[str, str] = os.environ) -> list[FoundContext]:
    """Return every connection found on this machine.

    The environment's first, then the ``nats`` command's contexts (the selected one, then by name), then users
    of nsc stores that none of these uses.
    """
    found: list[FoundContext] = []
    from_environment = environment_profile(environment)
    if from_environment is not None:
        found.append(FoundContext("environment", "NATS_URL", from_environment))
    folder = contexts_folder(environment)
    selected = environment.get("NATS_CONTEXT", "")
    if not selected:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            selected = (folder / "context.txt").read_text(encoding="utf-8").strip()
    for path in sorted((folder / "context").glob("*.json"), key=lambda path: (path.stem != selected, path)):
        found.append(read_context(path, selected=path.stem == selected, environment=environment))
    used = {one.profile.credentials.creds_path for one in found if one.profile is not None}
    found += [_nsc_context(user) for user in find_users(environment) if user.creds_path not in used]
    return found


def _nsc_context(user: NscUser) -> FoundContext:
    """A user of an nsc store that no context uses."""
    name = f"{user.account}/{user.user}"
    profile = ConnectionProfile(
        name=name,
        urls=user.urls or (DEFAULT_URL,),
        credentials=Credentials(CredentialKind.CREDS, creds_path=user.creds_path),
        system_credentials=_system_of(user),
        description=tr(
            "user {user} of account {account}, operator {operator}",
            user=user.user,
            account=user.account,
            operator=user.operator,
        ),
        origin=user.reference,
    )
    return FoundContext(name, user.reference, profile)


def _system_of(user: NscUser) -> Credentials | None:
    if not user.system_creds_path:
        return None
    return Credentials(CredentialKind.CREDS, creds_path=user.system_creds_path)


def read_context(
    path: Path, *, selected: bool = False, environment: Mapping[str, str] = os.environ
) -> FoundContext:
    """Read one context file; a file that cannot be used is returned with its problem."""
    name = path.stem
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return FoundContext(
            name, str(path), None, tr("cannot be read: {strerror}", strerror=error.strerror), selected
        )
    except ValueError as error:
        return FoundContext(name, str(path), None, tr("is not valid JSON: {error}", error=error), selected)
    if not isinstance(values, dict):
        return FoundContext(name, str(path), None, tr("is not a JSON object"), selected)
    user = None
    if values.get("nsc") and not values.get("creds"):
        user = find_user(str(values["nsc"]), environment)
        if user is None:
            problem = tr(
                "refers to an nsc user without a creds file here; make one with `nsc generate creds`"
            )
            return FoundContext(name, str(path), None, problem, selected)
    profile = _context_profile(name, values, path, environment)
    if user is not None:
        profile = replace(
            profile,
            urls=profile.urls if values.get("url") else user.urls or profile.urls,
            credentials=Credentials(CredentialKind.CREDS, creds_path=user.creds_path),
            system_credentials=_system_of(user),
        )
    return FoundContext(name, str(path), profile, "", selected)


def _context_profile(
    name: str, values: Mapping[str, Any], path: Path, environment: Mapping[str, str]
) -> ConnectionProfile:
    def text(key: str) -> str:
        value = values.get(key)
        return value if isinstance(value, str) else ""

    def file(key: str) -> str:
        return expand_path(text(key), environment)

    return ConnectionProfile(
        name=name,
        urls=split_urls(text("url")),
        credentials=_credentials(text, file),
        tls=TlsOptions(
            ca_path=file("ca"),
            cert_path=file("cert"),
            key_path=file("key"),
            handshake_first=bool(values.get("tls_first")),
        ),
        proxy=proxy_for(text("socks_proxy")),
        inbox_prefix=text("inbox_prefix"),
        jetstream_domain=text("jetstream_domain"),
        jetstream_api_prefix=text("jetstream_api_prefix"),
        description=text("description"),
        origin=str(path),
    )


def _credentials(text: Any, file: Any) -> Credentials:
    """Pick the login in the order of the ``nats`` command; a token counts when there is no other."""
    if text("user"):
        return Credentials(CredentialKind.PASSWORD, user=text("user"), password=text("password"))
    if text("creds"):
        return Credentials(CredentialKind.CREDS, creds_path=file("creds"))
    if text("nkey"):
        return Credentials(CredentialKind.NKEY, nkey_path=file("nkey"))
    if text("user_jwt"):
        return Credentials(CredentialKind.JWT, user_jwt=text("user_jwt"), user_seed=text("user_seed"))
    if text("token"):
        return Credentials(CredentialKind.TOKEN, token=text("token"))
    return Credentials()


_VARIABLES = {
    "user": "NATS_USER",
    "password": "NATS_PASSWORD",
    "token": "NATS_TOKEN",
    "creds": "NATS_CREDS",
    "nkey": "NATS_NKEY",
    "user_jwt": "NATS_JWT",
    "user_seed": "NATS_SEED",
    "ca": "NATS_CA",
    "cert": "NATS_CERT",
    "key": "NATS_KEY",
}


def environment_profile(environment: Mapping[str, str] = os.environ) -> ConnectionProfile | None:
    """Return the connection that NATS_URL and the variables beside it describe; None without any."""
    if not environment.get("NATS_URL") and not environment.get("NATS_CREDS"):
        return None

    def text(key: str) -> str:
        return environment.get(_VARIABLES[key], "")

    def file(key: str) -> str:
        return expand_path(text(key), environment)

    # Secrets of the environment stay there: the profile keeps a reference, also when it is saved.
    def reference(key: str) -> str:
        if key in ("password", "token", "user_jwt", "user_seed") and text(key):
            return f"env://{_VARIABLES[key]}"
        return text(key)

    return ConnectionProfile(
        name="environment",
        urls=split_urls(environment.get("NATS_URL", "")),
        credentials=_credentials(reference, file),
        tls=TlsOptions(ca_path=file("ca"), cert_path=file("cert"), key_path=file("key")),
        proxy=proxy_for(environment.get("NATS_SOCKS_PROXY", "")),
        origin="NATS_URL",
    )


def split_urls(text: str) -> tuple[str, ...]:
    """Split a comma-separated list of server URLs; the default address when there is none."""
    urls = tuple(url.strip() for url in text.split(",") if url.strip())
    return urls or (DEFAULT_URL,)


def expand_path(path: str, environment: Mapping[str, str] = os.environ) -> str:
    """Expand ``~`` and ``$VARIABLES`` in a path; references with a scheme stay as they are."""
    if not path or "://" in path or path.startswith("data:"):
        return path
    for name in sorted(environment, key=len, reverse=True):
        path = path.replace(f"${{{name}}}", environment[name]).replace(f"${name}", environment[name])
    return os.path.expanduser(path)
