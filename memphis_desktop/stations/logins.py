"""Wrong passwords are answered a bounded number of times, right ones are worked out once.

A bcrypt hash takes a while to compare. An SDK opens two connections for each of its own, and all come back at
once when a server was away, so what was right before is known by a keyed digest in memory.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import bcrypt

_MAX_KNOWN = 10_000
_MAX_BYTES = 72  # bcrypt looks at no more
_KNOWN_MARGIN = 10


class PasswordCheck:
    """Compares passwords with hashes, and remembers which pairs belong together."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._guard = threading.Lock()
        self._being_checked: dict[bytes, threading.Lock] = {}

    def known(self, stored: str, given: str) -> bool:
        """Return at once whether this pair was found to belong together."""
        return self._digest(stored, given) in self._known

    def matches(self, stored: str, given: str) -> bool:
        """Return whether a password is the one that was hashed. Slow: for another thread.

        Of many that come with the same one at once, the first works it out and the others wait for it.
        """
        digest = self._digest(stored, given)
        if digest in self._known:
            return True
        with self._guard:
            turn = self._being_checked.setdefault(digest, threading.Lock())
        with turn:
            try:
                return digest in self._known or self._work_out(digest, stored, given)
            finally:
                with self._guard:
                    self._being_checked.pop(digest, None)

    def _work_out(self, digest: bytes, stored: str, given: str) -> bool:
        try:
            right = bcrypt.checkpw(given.encode()[:_MAX_BYTES], stored.encode())
        except ValueError:  # no hash
            return False
        if right:
            self._known[digest] = None
            if len(self._known) > _MAX_KNOWN:
                self._known.popitem(last=False)
        return right

    def _digest(self, stored: str, given: str) -> bytes:
        text = f"{len(stored)}:{stored}{given}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, text, hashlib.sha256)


@dataclass(slots=True)
class _Failures:
    count: int
    since: float


class FailureLimit:
    """Counts failed logins by where they come from, and by whom they claim to be."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        *,
        per_user: int = 10,
        per_address: int = 100,
        window: float = 60.0,
        most: int = 20_000,
    ) -> None:
        """Prepare.

        Args:
            monotonic: The clock.
            per_user: Failures of one user from one address, after which it is refused unheard.
            per_address: The same for all users from one address.
            window: Seconds.
            most: How many such pairs are remembered.
        """
        self._monotonic = monotonic
        self._limits = {True: per_user, False: per_address}
        self._window = window
        self._most = most
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()

    def refuses(self, address: str, user: str, *, known: bool = False) -> bool:
        """Return whether a login is not even looked at, since too many from there have failed of late.

        A refused one counts as failed. Those whose password is known to be right come in whatever others do
        behind the same address, up to ten times the limit: beyond, guessing what is known would cost nothing.
        """
        margin = _KNOWN_MARGIN if known else 1
        if (
            self._count((address, user)) < margin * self._limits[True]
            and self._count((address, "")) < margin * self._limits[False]
        ):
            return False
        self.failed(address, user)
        return True

    def failed(self, address: str, user: str) -> None:
        """Note a failure."""
        for key in ((address, user), (address, "")):
            if self._count(key):
                self._failures[key].count += 1
            else:
                self._failures[key] = _Failures(1, self._monotonic())
                self._failures.move_to_end(key)
        while len(self._failures) > self._most:
            self._failures.popitem(last=False)

    def _count(self, key: tuple[str, str]) -> int:
        found = self._failures.get(key)
        if found is None:
            return 0
        if self._monotonic() - found.since >= self._window:
            del self._failures[key]
            return 0
        return found.count
