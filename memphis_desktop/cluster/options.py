"""A connection on the command line: the options of the ``nats`` command, and the profile they make."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace, _MutuallyExclusiveGroup
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from memphis_desktop.errors import Failure

from .contexts import contexts_folder, environment_profile, read_context
from .profiles import (
    ConnectionProfile,
    CredentialKind,
    Credentials,
    ProxyOptions,
    TlsOptions,
    profile_for,
    proxy_for,
)

_SECRETS = "env://NAME or file://PATH keep a secret off the command line"

# Option, its value's name, and its help; the names are those of the nats command where it has the option.
_OPTIONS = (
    ("user", "NAME", "user name, with --password"),
    ("password", "TEXT", f"password; {_SECRETS}"),
    ("token", "TEXT", f"token; {_SECRETS}"),
    ("memphis-account", "ID", "--user is a Memphis user of this account, which is 1 without tenants"),
    ("creds", "FILE", "credentials file (JWT and seed)"),
    ("nkey", "FILE", "file with a user's nkey seed"),
    ("tlsca", "FILE", "authorities to trust (PEM)"),
    ("tlscert", "FILE", "client certificate (PEM)"),
    ("tlskey", "FILE", "its key (PEM)"),
    ("tls-server-name", "NAME", "name in the server's certificate, when it is not the host's"),
    ("proxy", "URL", "socks5://, http:// or https://HOST:PORT on the way; names are resolved there"),
    ("proxy-user", "NAME", "user name for the proxy, with --proxy-password"),
    ("proxy-password", "TEXT", f"its password; {_SECRETS}"),
    ("js-domain", "NAME", "JetStream domain"),
    ("js-api-prefix", "SUBJECT", "prefix of the JetStream API"),
    ("inbox-prefix", "SUBJECT", "prefix of inboxes"),
    ("system-user", "NAME", "the same for the system account, with --system-password"),
    ("system-password", "TEXT", ""),
    ("system-creds", "FILE", ""),
    ("system-nkey", "FILE", ""),
)
_SWITCHES = (
    ("tlsfirst", "TLS before the server's greeting"),
    ("tls-skip-verify", "accept ANY certificate: dangerous"),
    ("read-only", "refuse every change before it leaves this program"),
)


def add_places(group: _MutuallyExclusiveGroup, connect: str) -> None:
    """Add the two options that say where to connect; `connect` is the help of the first."""
    group.add_argument("--connect", metavar="URL", help=connect)
    group.add_argument("--context", metavar="NAME", help="a context of the nats command line")


def add_options(parser: ArgumentParser) -> None:
    """Add the options that say how to connect; those of `add_places` go with them."""
    group = parser.add_argument_group("connection")
    for name, value, text in _OPTIONS:
        group.add_argument(f"--{name}", metavar=value, default="", help=text or None)
    for name, text in _SWITCHES:
        group.add_argument(f"--{name}", action="store_true", help=text)


def profile_from(options: Namespace, environment: Mapping[str, str] = os.environ) -> ConnectionProfile | None:
    """Return the connection that the options ask for; None when they ask for none.

    ``--connect`` takes URLs, ``--context`` the name of a context of the ``nats`` command. The other options
    change what that says, and are refused alone.

    Raises:
        Failure: There is no such context, or an option stands alone.
    """
    if options.connect:
        profile = profile_for(options.connect)
    elif options.context:
        profile = context_profile(options.context, environment)
    else:
        given = [name for name, *_ in (*_OPTIONS, *_SWITCHES) if getattr(options, name.replace("-", "_"))]
        if given:
            raise Failure(f"--{given[0]} needs --connect URL or --context NAME")
        return None
    login = _credentials(options, "")
    system = _credentials(options, "system_")
    return replace(
        profile,
        credentials=profile.credentials if login is None else login,
        system_credentials=profile.system_credentials if system is None else system,
        tls=_tls(options, profile.tls),
        proxy=_proxy(options, profile.proxy),
        jetstream_domain=options.js_domain or profile.jetstream_domain,
        jetstream_api_prefix=options.js_api_prefix or profile.jetstream_api_prefix,
        inbox_prefix=options.inbox_prefix or profile.inbox_prefix,
        read_only=options.read_only or profile.read_only,
    )


def context_profile(name: str, environment: Mapping[str, str] = os.environ) -> ConnectionProfile:
    """Return the connection of a context of the ``nats`` command; raises Failure when there is none."""
    folder = contexts_folder(environment) / "context"
    path = folder / f"{name}.json"
    if name == "environment":
        profile = environment_profile(environment)
        if profile is not None:
            return profile
    if Path(name).name != name or not path.is_file():
        known = ", ".join(sorted(one.stem for one in folder.glob("*.json"))) or "none"
        raise Failure(f"there is no context {name}; there are: {known}")
    found = read_context(path, environment=environment)
    if found.profile is None:
        raise Failure(f"the context {name} {found.problem}")
    return replace(found.profile, id=f"context-{name}")


def _credentials(options: Namespace, prefix: str) -> Credentials | None:
    values = vars(options)
    if not prefix and options.memphis_account:
        return _memphis_login(options)
    if values[f"{prefix}user"]:
        return Credentials(
            CredentialKind.PASSWORD,
            user=values[f"{prefix}user"],
            password=values[f"{prefix}password"],
        )
    if values[f"{prefix}creds"]:
        return Credentials(CredentialKind.CREDS, creds_path=values[f"{prefix}creds"])
    if values[f"{prefix}nkey"]:
        return Credentials(CredentialKind.NKEY, nkey_path=values[f"{prefix}nkey"])
    if not prefix and options.token:
        return Credentials(CredentialKind.TOKEN, token=options.token)
    if values[f"{prefix}password"]:
        word = prefix.replace("_", "-")
        raise Failure(f"--{word}password needs --{word}user")
    return None


def _memphis_login(options: Namespace) -> Credentials:
    if not options.user:
        raise Failure("--memphis-account needs --user")
    kind = CredentialKind.MEMPHIS_TOKEN if options.token else CredentialKind.MEMPHIS
    return Credentials(
        kind,
        token=options.token,
        user=options.user,
        password=options.password,
        account_id=options.memphis_account,
    )


def _proxy(options: Namespace, before: ProxyOptions) -> ProxyOptions:
    given = proxy_for(options.proxy) if options.proxy else before
    if (options.proxy_user or options.proxy_password) and not given.url:
        raise Failure("--proxy-user and --proxy-password need --proxy")
    return replace(
        given,
        user=options.proxy_user or given.user,
        password=options.proxy_password or given.password,
    )


def _tls(options: Namespace, before: TlsOptions) -> TlsOptions:
    return TlsOptions(
        ca_path=options.tlsca or before.ca_path,
        cert_path=options.tlscert or before.cert_path,
        key_path=options.tlskey or before.key_path,
        server_name=options.tls_server_name or before.server_name,
        handshake_first=options.tlsfirst or before.handshake_first,
        skip_verify=options.tls_skip_verify or before.skip_verify,
    )
