"""Secrets of profiles in the keychain of the operating system.

A profile then holds a reference (``keychain://<profile id>/<field>``) instead of the secret. Where there is
no keychain the secret stays in the profile's file, which only its owner may read. Calls may wait for the user
to unlock the keychain, so they belong in a thread.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from typing import Any

from memphis_desktop.language import tr

from .profiles import ConnectionProfile, Credentials, login_apart

log = logging.getLogger(__name__)

SERVICE = "memphis-desktop"
SCHEME = "keychain://"
SECRET_FIELDS = ("token", "password", "nkey_seed", "user_jwt", "user_seed")
_REFERENCES = ("env://", "file://", "data:", "op://", "nsc://", SCHEME)


class KeychainError(Exception):
    """The keychain does not give what was asked; the text says why."""


def available() -> bool:
    """Whether this system has a keychain that keeps secrets safely."""
    try:
        import keyring
        from keyring.backends.fail import Keyring as NoKeyring
        from keyring.backends.null import Keyring as NullKeyring
    except ImportError:
        return False
    try:
        backend = keyring.get_keyring()
    except Exception as error:
        log.info("no keychain: %s", error)
        return False
    if isinstance(backend, (NoKeyring, NullKeyring)):
        return False
    return float(getattr(backend, "priority", 0)) >= 1


def put_away(profile: ConnectionProfile) -> ConnectionProfile:
    """Move the secrets of a profile into the keychain: what is done before it is stored.

    A login in its URLs is taken out of them; without a keychain nothing else changes.

    Raises:
        KeychainError: the keychain refused.
    """
    profile = login_apart(profile)
    if not available():
        return profile
    credentials = _put_away(profile.credentials, profile.id, "")
    system = profile.system_credentials
    if system is not None:
        system = _put_away(system, profile.id, "system-")
    proxy = profile.proxy
    if proxy.password and not proxy.password.startswith(_REFERENCES):
        proxy = replace(proxy, password=keep(f"{profile.id}/proxy-password", proxy.password))
    return replace(profile, credentials=credentials, system_credentials=system, proxy=proxy)


def own_copy(profile: ConnectionProfile, kept_by: ConnectionProfile) -> ConnectionProfile:
    """Give a copied profile secrets of its own, so that deleting either leaves the other's.

    Args:
        profile: The copy, which refers to the secrets of `kept_by`.
        kept_by: The profile it is a copy of.

    Raises:
        KeychainError: the keychain refused, or has forgotten a secret.
    """

    def owned(reference: str) -> str:
        name = reference.removeprefix(f"{SCHEME}{kept_by.id}/")
        return reference if name == reference else keep(f"{profile.id}/{name}", look_up(reference))

    def owned_credentials(credentials: Credentials) -> Credentials:
        secrets: dict[str, Any] = {field: owned(getattr(credentials, field)) for field in SECRET_FIELDS}
        return replace(credentials, **secrets)

    system = profile.system_credentials
    return replace(
        profile,
        credentials=owned_credentials(profile.credentials),
        system_credentials=None if system is None else owned_credentials(system),
        proxy=replace(profile.proxy, password=owned(profile.proxy.password)),
    )


def keep(name: str, secret: str) -> str:
    """Put a secret into the keychain; returns the reference to it.

    Raises:
        KeychainError: the keychain refused.
    """
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.set_password(SERVICE, name, secret)
    except KeyringError as error:
        raise KeychainError(tr("The keychain did not take the secret: {error}.", error=error)) from error
    return SCHEME + name


def _put_away(credentials: Credentials, profile_id: str, prefix: str) -> Credentials:
    changes: dict[str, Any] = {}
    for field in SECRET_FIELDS:
        value = getattr(credentials, field)
        if not value or value.startswith(_REFERENCES):
            continue
        changes[field] = keep(f"{profile_id}/{prefix}{field}", value)
    return replace(credentials, **changes)


def look_up(reference: str) -> str:
    """The secret behind a reference.

    Raises:
        KeychainError: the keychain is locked, or has forgotten it.
    """
    import keyring
    from keyring.errors import KeyringError

    name = reference.removeprefix(SCHEME)
    try:
        value = keyring.get_password(SERVICE, name)
    except KeyringError as error:
        raise KeychainError(tr("The keychain did not answer: {error}.", error=error)) from error
    if value is None:
        raise KeychainError(tr("The keychain no longer holds this secret: enter it again."))
    return value


def forget(profile: ConnectionProfile) -> None:
    """Remove the secrets of a profile that is deleted; what is not there is no failure."""
    for credentials in (profile.credentials, profile.system_credentials or Credentials()):
        for field in SECRET_FIELDS:
            value = getattr(credentials, field)
            if value.startswith(SCHEME):
                remove(value)
    if profile.proxy.password.startswith(SCHEME):
        remove(profile.proxy.password)


def remove(reference: str) -> None:
    """Remove the secret behind a reference; a locked or missing keychain is no failure."""
    with contextlib.suppress(Exception):  # it must not keep alive what the user deleted
        import keyring

        keyring.delete_password(SERVICE, reference.removeprefix(SCHEME))
