"""Users: root, who is always there, management users, and application users that SDKs log in as."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re

import bcrypt

from memphis_desktop.stations.access import ROOT, may
from memphis_desktop.stations.errors import Conflict, Refusal
from memphis_desktop.stations.metadata import Metadata, replace
from memphis_desktop.stations.model import ConnectionToken, User
from memphis_desktop.stations.names import MAX_USER_NAME_LENGTH

log = logging.getLogger(__name__)

DEFAULT_PASSWORD = DEFAULT_TOKEN = "memphis"
ROOT_PASSWORD_VARIABLE, TOKEN_VARIABLE = "ROOT_PASSWORD", "CONNECTION_TOKEN"  # as in Memphis

_ROUNDS = 10
_MAX_BYTES = 72  # bcrypt looks at no more
_NAME = re.compile(r"[a-z0-9_.-]+")
_SIGNS = "!?-@#$%"


def checked_user_name(name: str) -> str:
    """Return a user's name in lower case; raises `Refusal` when it is none."""
    text = name.lower()
    if not text:
        raise Refusal("Username can not be empty")
    if len(text) > MAX_USER_NAME_LENGTH:
        raise Refusal(f"Username should be under {MAX_USER_NAME_LENGTH} characters")
    if _NAME.fullmatch(text) is None:
        raise Refusal("Only alphanumeric and the '_', '-', '.' characters are allowed in Username")
    return text


def checked_password(password: str) -> str:
    """Return a password that is hard enough; raises `Refusal` with the rule."""
    kinds = (str.isupper, str.islower, str.isdigit, _SIGNS.__contains__)
    if not 8 <= len(password) <= 20 or not all(any(map(kind, password)) for kind in kinds):
        raise Refusal(
            "Password has to be 8 to 20 characters long, with an upper case letter, a lower case letter, "
            f"a digit and one of {_SIGNS}"
        )
    return password


async def hashed(password: str) -> str:
    """Return the hash of a password; works in a thread."""
    return await asyncio.to_thread(hash_now, password)


def hash_now(password: str) -> str:
    """Return the hash of a password. Slow: for another thread."""
    return bcrypt.hashpw(password.encode()[:_MAX_BYTES], bcrypt.gensalt(_ROUNDS)).decode()


async def make_root(metadata: Metadata) -> None:
    """Make the user root and the connection token where they are missing.

    Their values come from the environment, by Memphis's names, or are Memphis's own. A password in the
    environment that has changed since is taken over.

    Raises:
        StorageError: The server did not answer.
    """
    given = os.environ.get(ROOT_PASSWORD_VARIABLE, "")
    root = await metadata.users.find(ROOT)
    if root is None:
        password_hash = await hashed(given or DEFAULT_PASSWORD)
        with contextlib.suppress(Conflict):  # another copy was faster
            await metadata.users.add(User(ROOT, ROOT, password_hash, full_name="Root"))
    elif given and not await asyncio.to_thread(
        bcrypt.checkpw, given.encode()[:_MAX_BYTES], root.password_hash.encode()
    ):
        await set_password(metadata, ROOT, given)
    token = os.environ.get(TOKEN_VARIABLE, "")
    present = await metadata.connection_token.find(metadata.TOKEN_KEY)
    if present is None or (token and token != present.token):
        await metadata.connection_token.put(ConnectionToken(token or DEFAULT_TOKEN))


async def set_password(metadata: Metadata, name: str, password: str) -> User:
    """Give a user another password; raises `Refusal` when there is none of that name."""
    password_hash = await hashed(password)

    def decide(present: User | None) -> User:
        if present is None:
            raise Refusal(f"User {name} does not exist", "not_found")
        return replace(present, password_hash=password_hash)

    user = await metadata.users.change((name,), decide)
    assert user is not None
    return user


class StoredUsers:
    """Who may do what, by the users in the metadata. Implements `control.routes.Access`.

    A name that nobody has, such as that of a window's user, is not restricted here: whether its requests
    reach the service at all is for the server or the front door to decide.
    """

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata

    async def check(self, username: str) -> None:
        """Refuse an unknown user."""
        if await self._metadata.users.find(username) is None:
            raise Refusal(f"User {username} does not exist", "forbidden")

    async def may_write(self, username: str, station: str) -> bool:
        """Return whether the user may create the station and produce to it."""
        return await self._may(username, station, write=True)

    async def may_read(self, username: str, station: str) -> bool:
        """Return whether the user may consume from the station."""
        return await self._may(username, station, write=False)

    async def _may(self, username: str, station: str, *, write: bool) -> bool:
        user = await self._metadata.users.find(username) if username else None
        return user is None or user.type == ROOT or may(user.permissions, station, write=write)
