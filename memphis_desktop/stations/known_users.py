"""The users and the connection token of the metadata, followed as they change.

Once filled it needs nobody: while the service, or the whole cluster, is away, those known are known.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable

from memphis_desktop.stations.errors import StationsError
from memphis_desktop.stations.metadata import Metadata
from memphis_desktop.stations.model import User

_FILL_TIMEOUT = 30.0


class KnownUsers:
    """Who there is, for all who let somebody in."""

    def __init__(self, metadata: Metadata) -> None:
        """Prepare; nothing is read yet."""
        self._metadata = metadata
        self._users = metadata.users.view()
        self._token = metadata.connection_token.view(metadata.TOKEN_KEY)
        self._by_name: dict[str, User] = {}
        self._users.subscribe(self._take)

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` when users have changed; the result ends it."""
        return self._users.subscribe(listener)

    async def start(self) -> None:
        """Read the users and follow them; returns when they are known.

        Raises:
            StationsError: The server did not deliver them.
        """
        self._users.start()
        self._token.start()
        try:
            async with asyncio.timeout(_FILL_TIMEOUT):
                await self._users.complete.wait()
                await self._token.complete.wait()
        except TimeoutError:
            raise StationsError("the users could not be read from the server in time", "timeout") from None

    async def stop(self) -> None:
        """End it."""
        await self._users.stop()
        await self._token.stop()

    def _take(self) -> None:
        self._by_name = {user.name: user for user in self._users.records}

    def get(self, name: str) -> User | None:
        """Return a user who is known."""
        return self._by_name.get(name)

    async def read(self, name: str) -> User | None:
        """Read one user anew, who was made or changed just now. Raises `StationsError`."""
        user = await self._metadata.users.find(name)
        if user is None:
            self._by_name.pop(name, None)
        else:
            self._by_name[name] = user
        return user

    @property
    def token(self) -> str:
        """The connection token; empty when there is none."""
        record = next(iter(self._token.records), None)
        return record.token if record is not None else ""

    def is_token(self, given: str) -> bool:
        """Return whether this is the connection token."""
        return bool(self.token) and hmac.compare_digest(self.token.encode(), given.encode())
