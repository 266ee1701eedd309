"""Tells the service which SDK connections are open, and answers when it asks."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import nats.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg

from memphis_desktop.protocol.memphis import Session
from memphis_desktop.stations.connections import CONNECTED, DISCONNECTED, STATUS_SUBJECT, SUBJECT
from memphis_desktop.stations.tasks import end_task

log = logging.getLogger(__name__)

_RETRY = 1.0
_PAGE = 10_000  # connections in one answer, to stay below the largest message


class Presence:
    """The connections of one node or front door.

    An SDK opens two sessions of one connection id in quick succession and closes the first, so sessions are
    counted, and only what has become of an id is told.
    """

    def __init__(self, client: Client, server: str) -> None:
        """Prepare.

        Args:
            client: How the service is reached.
            server: By which name this node or front door is told apart.
        """
        self._client = client
        self._server = server
        self._open: dict[str, dict[int, Session]] = {}
        self._changed: dict[str, Session] = {}  # what is still to be told, by connection id
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to tell, and to answer."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Tell what is still to be told, and end."""
        task, self._task = self._task, None
        if task is not None:
            await end_task(task)
            with contextlib.suppress(nats.errors.Error):
                await self._tell()

    def connected(self, session: Session) -> None:
        """Note that a client has logged in."""
        if session.connection_id:
            self._open.setdefault(session.connection_id, {})[session.number] = session
            self._note(session)

    def disconnected(self, session: Session) -> None:
        """Note that a connection has ended."""
        sessions = self._open.get(session.connection_id)
        if sessions is None or sessions.pop(session.number, None) is None:
            return
        if not sessions:
            del self._open[session.connection_id]
        self._note(session)

    @property
    def connection_ids(self) -> list[str]:
        """The ids that have at least one open connection here."""
        return list(self._open)

    def _note(self, session: Session) -> None:
        self._changed[session.connection_id] = session
        self._wake.set()

    async def _run(self) -> None:
        subscribed = False
        while True:
            try:
                if not subscribed:
                    await self._client.subscribe(STATUS_SUBJECT, cb=self._answer)
                    subscribed = True
                await self._wake.wait()
                self._wake.clear()
                await self._tell()
            except nats.errors.Error as error:
                log.debug("telling of connections: %s", error)
                self._wake.set()
                await asyncio.sleep(_RETRY)

    async def _tell(self) -> None:
        while self._changed:
            identifier, session = next(iter(self._changed.items()))
            sessions = len(self._open.get(identifier, ()))
            event = {
                "connection_id": identifier,
                "event": CONNECTED if sessions else DISCONNECTED,
                "username": session.user,
                "server": self._server,
                "sessions": sessions,
            }
            await self._client.publish(SUBJECT, orjson.dumps(event))
            if self._changed.get(identifier) is session:
                del self._changed[identifier]

    async def _answer(self, message: Msg) -> None:
        identifiers = self.connection_ids
        for start in range(0, max(len(identifiers), 1), _PAGE):
            page = {"server": self._server, "connections": identifiers[start : start + _PAGE]}
            await message.respond(orjson.dumps(page))
