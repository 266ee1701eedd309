"""Where the JWTs of accounts come from: the configuration, a folder, or a URL."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Set
from pathlib import Path
from typing import TypeAlias

from memphis_desktop.broker import tokens
from memphis_desktop.broker.options import BrokerOptions

log = logging.getLogger(__name__)

_TIMEOUT = 2.0
_MAX_TOKEN = 1 << 20

# Something slow to do in a thread, whose outcome is there when it is asked for again.
Work: TypeAlias = Callable[[], None]


class AccountResolver:
    """Finds accounts' JWTs, and trusts those that an operator issued."""

    def __init__(self, options: BrokerOptions, operator_keys: Set[str]) -> None:
        self._options = options
        self._operator_keys = operator_keys
        self._claims: dict[str, tokens.Claims | None] = {}

    def known(self, name: str) -> tokens.Claims | None:
        """Return what has been found of an account."""
        return self._claims.get(name)

    def find(self, name: str) -> tokens.Claims | None:
        """Return an account's claims if they are at hand."""
        self.look_up(name)
        return self.known(name)

    def forget(self, name: str) -> None:
        """Look again the next time."""
        self._claims.pop(name, None)

    def look_up(self, name: str) -> Work | None:
        """Find an account's JWT, at once when it is at hand; else return the work that fetches it."""
        if name in self._claims:
            return None
        options = self._options
        text = options.account_tokens.get(name)
        if text is None and options.resolver_folder is not None and name.isalnum():
            text = _read_token(options.resolver_folder / f"{name}.jwt")
        if text is not None:
            self._claims[name] = self._checked(name, text)
            return None
        if options.resolver_url and name.isalnum():
            return lambda: self._fetch(name)
        self._claims[name] = None
        return None

    def _fetch(self, name: str) -> None:
        import urllib.request  # takes long to load, and few need it

        url = self._options.resolver_url + name
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT, context=self._tls_context()) as answer:
                text = answer.read(_MAX_TOKEN).decode()
        except (OSError, ValueError) as error:
            log.warning("Could not fetch the JWT of account %s: %s", name, error)
            self._claims[name] = None
            return
        self._claims[name] = self._checked(name, text)

    def _tls_context(self) -> ssl.SSLContext | None:
        tls = self._options.resolver_tls
        if tls is None:
            return None
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file)
        if tls.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _checked(self, name: str, text: str) -> tokens.Claims | None:
        try:
            claims = tokens.decode(text)
        except tokens.TokenError as error:
            log.warning("The JWT of account %s is not valid: %s", name, error)
            return None
        if claims.kind != "account" or claims.subject != name or claims.issuer not in self._operator_keys:
            log.warning("The JWT of account %s is not one that a trusted operator issued", name)
            return None
        return claims


def _read_token(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
