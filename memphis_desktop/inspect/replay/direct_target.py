"""A replay straight to the clients of a push consumer: handed over, stored nowhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nats import errors
from nats.aio.client import Client

from memphis_desktop.inspect.message import Headers
from memphis_desktop.inspect.publishing import Acknowledgement, PublishError, send
from memphis_desktop.language import tr

Settled = Callable[[Any, Acknowledgement | PublishError], None]


class DirectTarget:
    """Stands in a `Publisher`'s place. A copy is settled once the server has it: nobody acknowledges it."""

    def __init__(self, client: Client, settled: Settled, *, at_once: int, timeout: float) -> None:
        """Publish with `client`; the server is asked after `at_once` messages whether it has them."""
        self._client = client
        self._settled = settled
        self._at_once = at_once
        self._timeout = timeout
        self._sent: list[Any] = []
        self._count = 0

    async def __aenter__(self) -> DirectTarget:
        return self

    async def __aexit__(self, *details: object) -> None:
        """There is nothing to put away."""

    async def publish(self, key: Any, subject: str, payload: bytes, headers: Headers) -> None:
        """Send one; errors go to `settled` too."""
        try:
            await send(self._client, subject, payload, headers)
        except PublishError as error:
            self._settled(key, error)
            return
        self._sent.append(key)
        if len(self._sent) >= self._at_once:
            await self.drain()

    async def drain(self) -> None:
        """Wait until the server has everything."""
        sent, self._sent = self._sent, []
        if not sent:
            return
        problem: PublishError | None = None
        try:
            await self._client.flush(timeout=round(self._timeout) or 1)
        except (errors.Error, OSError) as error:
            problem = PublishError("connection", tr("The connection refused it: {error}", error=error))
        for key in sent:
            self._count += 1
            self._settled(key, problem or Acknowledgement("", self._count, False))
