"""Who may come in: the users of the metadata, followed as they change, with wrong logins limited."""

from __future__ import annotations

import asyncio
import hmac
import time

from memphis_desktop.stations.access import MANAGEMENT, ROOT, may
from memphis_desktop.stations.known_users import KnownUsers
from memphis_desktop.stations.logins import FailureLimit, PasswordCheck
from memphis_desktop.stations.metadata import Metadata
from memphis_desktop.stations.model import User
from memphis_desktop.stations.rest.requests import Login
from memphis_desktop.stations.rest.tokens import Bearer, proof_of

ACCOUNT = 1
"""There is one tenant."""
_HASHES_AT_ONCE = 4
_HASHES_WAITING = 64


class Unauthorized(Exception):
    """A wrong name, password, connection token or account."""


class TooManyFailures(Exception):
    """Wrong logins came too often from there; not even looked at."""


class Logins:
    """The users, and what their logins are worth."""

    def __init__(self, metadata: Metadata) -> None:
        self._users = KnownUsers(metadata)
        self._limit = FailureLimit(time.monotonic)
        self._passwords = PasswordCheck()
        self._hashing = asyncio.Semaphore(_HASHES_AT_ONCE)
        self._waiting = 0

    async def start(self) -> None:
        """Read the users and follow them; raises `StationsError` when the server does not deliver them."""
        await self._users.start()

    async def stop(self) -> None:
        """End it."""
        await self._users.stop()

    async def login(self, address: str, login: Login) -> Bearer:
        """Return whom a login is for.

        Args:
            address: Where it comes from.
            login: The body of the request.

        Raises:
            Unauthorized: It is wrong.
            TooManyFailures: Too many were wrong before it.
            StationsError: A user who was just made could not be looked up.
        """
        user = self._users.get(login.username)
        known = user is not None and self._passwords.known(user.password_hash, login.password)
        if self._limit.refuses(address, login.username, known=known):
            raise TooManyFailures
        user = user or await self._users.read(login.username)
        proof = ""
        if user is not None and user.type != MANAGEMENT and login.account_id == ACCOUNT:
            proof = await self._proof(user, login)
        if user is None or not proof:
            self._limit.failed(address, login.username)
            raise Unauthorized
        return Bearer(user.name, ACCOUNT, proof)

    async def _proof(self, user: User, login: Login) -> str:
        """Return the proof that a login shows, empty when it shows none."""
        if login.connection_token and not login.password:
            return proof_of(self._users.token) if self._users.is_token(login.connection_token) else ""
        stored = user.password_hash
        if not login.password or not stored:
            return ""
        if not self._passwords.known(stored, login.password):
            if self._waiting >= _HASHES_WAITING:
                raise TooManyFailures
            self._waiting += 1
            try:
                async with self._hashing:
                    if not await asyncio.to_thread(self._passwords.matches, stored, login.password):
                        return ""
            finally:
                self._waiting -= 1
        return proof_of(stored)

    def user(self, bearer: Bearer) -> User | None:
        """Return the user a token is for; None when the user is gone or the login no longer holds."""
        user = self._users.get(bearer.username)
        if user is None or user.type == MANAGEMENT or bearer.account_id != ACCOUNT:
            return None
        proofs = (proof_of(user.password_hash), proof_of(self._users.token))
        return user if any(hmac.compare_digest(proof, bearer.proof) for proof in proofs) else None


def allowed(user: User, station: str, *, write: bool) -> bool:
    """Return whether a user may produce to a station, or consume from it."""
    return user.type == ROOT or may(user.permissions, station, write=write)
