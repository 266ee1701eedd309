"""Where a schema registry is, and how to log in there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from memphis_desktop.language import tr

NONE, BASIC, BEARER = "none", "basic", "bearer"
LOGINS = (NONE, BASIC, BEARER)


@dataclass(frozen=True)
class RegistrySource:
    """One registry. Nothing is asked of a registry that no person has described here.

    Attributes:
        name: How rules call it.
        url: ``http`` or ``https``, with the path under which it answers.
        login: One of `LOGINS`.
        user: Name for "basic".
        secret: Password or token; or a reference to the keychain (``keychain://…``), ``env://`` or ``file://``.
        ca_file: Certificates to trust instead of the system's; empty for those.
        automatic: Read every payload that begins with the registry's mark and that no rule claims.
    """

    name: str
    url: str
    login: str = NONE
    user: str = ""
    secret: str = ""
    ca_file: str = ""
    automatic: bool = True

    def problem(self) -> str:
        """Return why it cannot be used, or nothing."""
        if not self.name.strip() or "/" in self.name:
            return tr("Give the registry a name without a slash")
        try:
            parts = urlsplit(self.url)
            port = parts.port  # raises for what is no number
        except ValueError:
            return tr("This is not an address")
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            return tr("The address begins with https:// or http:// and names a host")
        if parts.username is not None or parts.password is not None:
            return tr("Write user and password into their own fields, not into the address")
        if parts.query or parts.fragment:
            return tr("The address ends with its path")
        if self.login not in LOGINS:
            return tr("{login!r} is no way to log in", login=self.login)
        if self.login == BASIC and not self.user:
            return tr("Type the user, or the API key")
        if self.login == BEARER and not self.secret:
            return tr("Type the token")
        if self.ca_file and not Path(self.ca_file).expanduser().is_file():
            return tr("There is no file {ca_file}", ca_file=self.ca_file)
        return ""

    def record(self) -> dict[str, Any]:
        """Return plain data to keep."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: object) -> RegistrySource | None:
        """Read what was kept; None when it is damaged."""
        try:
            found = cls(**record) if isinstance(record, Mapping) else None
        except TypeError:
            return None
        if found is None or not all(isinstance(text, str) for text in (found.name, found.url, found.secret)):
            return None
        return found
