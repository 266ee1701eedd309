"""Who may log in the Memphis way: the users of the metadata, followed as they change."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from weakref import WeakSet

from nats.aio.client import Client

from memphis_desktop.protocol.memphis import Admission, ClientName, LoginAttempt, Session, Work
from memphis_desktop.stations.access import MANAGEMENT, UserAccess
from memphis_desktop.stations.errors import StationsError
from memphis_desktop.stations.known_users import KnownUsers
from memphis_desktop.stations.logins import FailureLimit, PasswordCheck
from memphis_desktop.stations.metadata import Metadata
from memphis_desktop.stations.model import User
from memphis_desktop.stations.presence import Presence

log = logging.getLogger(__name__)

_ACCOUNTS = ("", "1")  # behind a user's name; there is one tenant
_READ_TIMEOUT = 2.0
_READ = "read"
_ANY_TOKEN = "::token"  # no user's name: there is one token for all


class UserDirectory:
    """Implements `protocol.memphis.Directory`."""

    def __init__(
        self, metadata: Metadata, presence: Presence, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            metadata: Where the users are.
            presence: Who tells which connections are open.
            monotonic: The clock.
        """
        self._presence = presence
        self._users = KnownUsers(metadata)
        self._passwords = PasswordCheck()
        self._limit = FailureLimit(monotonic)
        self._admitted: WeakSet[UserAccess] = WeakSet()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._users.subscribe(self._tell_admitted)

    @classmethod
    def beside(cls, client: Client, server: str) -> UserDirectory:
        """Return the directory of a node or front door that is called `server`, over a connection."""
        return cls(Metadata(client), Presence(client, server))

    async def start(self) -> None:
        """Read the users and follow them; returns when they are known.

        Raises:
            StationsError: The server did not deliver them.
        """
        self._loop = asyncio.get_running_loop()
        self._presence.start()
        await self._users.start()

    async def stop(self) -> None:
        """End it."""
        await self._users.stop()
        await self._presence.stop()

    def _tell_admitted(self) -> None:
        for access in list(self._admitted):
            access.follow(self._users.get(access.user.name))

    # -- logins ----------------------------------------------------------------------------------------------
    def identify(self, attempt: LoginAttempt) -> Admission | Work | None:
        """Return as whom a client comes in, None when it does not, or work to be done first in a thread."""
        given = attempt.given
        name = ClientName.parse(given.name)
        if name is None:
            return None
        if given.auth_token and not given.user:
            user, secret = name.user, given.auth_token
            if not name.connection_id:  # a plain NATS client
                user, _, secret = given.auth_token.rpartition("::")
            return self._by_token(attempt, _user_name(user), secret)
        return self._by_password(attempt, _user_name(given.user), given.password)

    def _by_token(self, attempt: LoginAttempt, name: str, token: str) -> Admission | Work | None:
        if self._limit.refuses(attempt.address, _ANY_TOKEN):
            return None
        if not self._users.is_token(token):
            return self._failure(attempt, _ANY_TOKEN)
        user = self._users.get(name)
        if user is None:
            return self._read_again(attempt, name) or self._failure(attempt, name)
        return self._admit(user)

    def _by_password(self, attempt: LoginAttempt, name: str, password: str) -> Admission | Work | None:
        user = self._users.get(name)
        known = user is not None and self._passwords.known(user.password_hash, password)
        if self._limit.refuses(attempt.address, name, known=known):
            return None
        if user is not None and known:
            return self._admit(user)
        if user is None:
            return self._read_again(attempt, name) or self._failure(attempt, name)
        stored, checked = user.password_hash, attempt.checked
        if stored not in checked:

            def work() -> None:
                checked[stored] = self._passwords.matches(stored, password)

            return work
        if checked[stored]:
            return self._admit(user)
        return self._read_again(attempt, name) or self._failure(attempt, name)

    def _read_again(self, attempt: LoginAttempt, name: str) -> Work | None:
        """Return the work of reading a user who was made or changed just now, unless that was done."""
        loop = self._loop
        if _READ in attempt.checked or loop is None or not name:
            return None

        def work() -> None:
            reading = asyncio.run_coroutine_threadsafe(self._read(name), loop)
            try:
                attempt.checked[_READ] = reading.result(_READ_TIMEOUT)
            except TimeoutError:
                reading.cancel()
                attempt.checked[_READ] = False

        return work

    async def _read(self, name: str) -> bool:
        try:
            return await self._users.read(name) is not None
        except StationsError as error:
            log.debug("reading user %s: %s", name, error)
            return False

    def _admit(self, user: User) -> Admission | None:
        if user.type == MANAGEMENT:
            return None
        access = UserAccess(user)
        self._admitted.add(access)
        return Admission(user.name, access)

    def _failure(self, attempt: LoginAttempt, name: str) -> Admission | Work | None:
        self._limit.failed(attempt.address, name)
        return None

    # -- who is there ----------------------------------------------------------------------------------------
    def connected(self, session: Session) -> None:
        """A client has logged in."""
        self._presence.connected(session)

    def disconnected(self, session: Session) -> None:
        """That connection has ended."""
        self._presence.disconnected(session)


def _user_name(text: str) -> str:
    """Return the user's name without the account, "" when the account is unknown."""
    name, _, account = text.partition("$")
    return name.lower() if account in _ACCOUNTS else ""
