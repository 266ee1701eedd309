"""A connection written as a context of the ``nats`` command line, without its secrets.

The keys are those of natscli's context files (``nats context``); what a context cannot say, such as the
environment or the poll budget, stays with the profile.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from memphis_desktop.language import tr

from .profiles import ConnectionProfile, CredentialKind, without_secret, write_private

_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")


def context_name(profile: ConnectionProfile) -> str:
    """Return the name of the context: the profile's, without what is unfit for the name of a file."""
    return _UNFIT.sub("-", profile.name).strip("-.") or "context"


def context_of(profile: ConnectionProfile) -> dict[str, Any]:
    """Return the context as JSON values. Paths to secrets are in it, secrets are not."""
    login, tls = profile.credentials, profile.tls
    values: dict[str, Any] = {
        "description": profile.description or profile.name,
        "url": ",".join(without_secret(url) for url in profile.urls),
        "user": _user(profile),
        "nsc": login.nsc if login.kind is CredentialKind.NSC else "",
        "creds": login.creds_path if login.kind is CredentialKind.CREDS else "",
        "nkey": login.nkey_path if login.kind is CredentialKind.NKEY else "",
        "ca": tls.ca_path,
        "cert": tls.cert_path,
        "key": tls.key_path,
        "tls_first": tls.handshake_first,
        "socks_proxy": socks_proxy(profile),
        "inbox_prefix": profile.inbox_prefix,
        "jetstream_domain": profile.jetstream_domain,
        "jetstream_api_prefix": profile.jetstream_api_prefix,
    }
    return {key: value for key, value in values.items() if value}


def _user(profile: ConnectionProfile) -> str:
    login = profile.credentials
    if login.kind is CredentialKind.MEMPHIS:
        return login.memphis_user
    return login.user if login.kind is CredentialKind.PASSWORD else ""


def socks_proxy(profile: ConnectionProfile) -> str:
    """The proxy as the command takes it: SOCKS5 only, the user in the URL."""
    options = profile.proxy
    scheme, separator, host = options.url.rpartition("://")
    if not options.url or (separator and not scheme.startswith("socks5")):
        return ""
    user = f"{quote(options.user, safe='')}@" if options.user else ""
    return f"{scheme or 'socks5'}://{user}{host}"


def left_out(profile: ConnectionProfile) -> str:
    """Return what the user has to add to the context, in a few words; empty for nothing."""
    proxy = profile.proxy
    if proxy.url and not socks_proxy(profile):
        missing = tr("HTTP proxy, which the command does not know")
    else:
        missing = tr("proxy's password") if proxy.password else ""
    return ", ".join(filter(None, (_secret_left_out(profile), missing)))


def _secret_left_out(profile: ConnectionProfile) -> str:
    login = profile.credentials
    return {
        CredentialKind.PASSWORD: tr("password") if login.password else "",
        CredentialKind.MEMPHIS: tr("password") if login.password else "",
        CredentialKind.TOKEN: tr("token"),
        CredentialKind.MEMPHIS_TOKEN: tr("token"),
        CredentialKind.JWT: tr("JWT and seed"),
        CredentialKind.NKEY: "" if login.nkey_path else tr("seed"),
    }.get(login.kind, "")


def write_context(profile: ConnectionProfile, folder: Path, *, replacing: bool = False) -> Path:
    """Write the context into the folder of natscli's settings; returns its file.

    Raises:
        FileExistsError: There is a context of that name, and it is not to be replaced.
        OSError: The file cannot be written.
    """
    path = folder / "context" / f"{context_name(profile)}.json"
    if path.exists() and not replacing:
        raise FileExistsError(path)
    write_private(path, json.dumps(context_of(profile), indent=2) + "\n")
    return path
