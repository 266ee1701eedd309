"""Leaving a server that hangs while its connection stands, for another one of the cluster.

nats-py leaves it too, after three unanswered pings, which lasts. A client that is asked something each second
shows it sooner: nothing comes any more. A ping settles it, for that is answered whatever the login may do.
"""

from __future__ import annotations

import asyncio
import logging

from nats.aio.client import Client
from nats.errors import StaleConnectionError

log = logging.getLogger(__name__)

UNANSWERED = 3  # questions, a second apart
PING_PATIENCE = 1.5  # seconds


class Liveness:
    """The watch over one client's server."""

    def __init__(self) -> None:
        self._heard = -1
        self._unanswered = 0
        self._pinging: asyncio.Task[None] | None = None

    def asked(self, client: Client | None) -> None:
        """A question goes out; when several in a row brought nothing, see whether the server is alive."""
        heard = client.stats["in_msgs"] if client is not None and client.is_connected else -1
        self._unanswered = self._unanswered + 1 if heard == self._heard and heard >= 0 else 0
        self._heard = heard
        if client is None or self._unanswered < UNANSWERED or len(client._server_pool) < 2:
            return
        if self._pinging is None or self._pinging.done():
            self._pinging = asyncio.create_task(self._ping(client), name="does the server live")

    async def stop(self) -> None:
        """End what is under way."""
        if self._pinging is not None:
            self._pinging.cancel()
            await asyncio.gather(self._pinging, return_exceptions=True)

    async def _ping(self, client: Client) -> None:
        answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        heard, server = client.stats["in_msgs"], client._current_server
        await client._send_ping(answered)
        await asyncio.wait({answered}, timeout=PING_PATIENCE)
        if answered.done() or not client.is_connected or client._current_server is not server:
            return
        if client.stats["in_msgs"] == heard:
            log.info("a server does not answer: going to another")
            await client._process_op_err(StaleConnectionError())
