"""Connections that come through a load balancer which tells by the PROXY protocol who the client is."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, cast

from memphis_desktop.protocol import proxy_header
from memphis_desktop.protocol.errors import CloseReason

if TYPE_CHECKING:
    from memphis_desktop.broker.connection import ClientConnection

log = logging.getLogger(__name__)

# How long the rest of a header may take, in seconds.
_TIMEOUT = 5.0


class ProxiedConnection(asyncio.Protocol):
    """Reads the header, and hands the socket over to the client's connection, which has greeted already."""

    def __init__(self, client: ClientConnection) -> None:
        self._client = client
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the client be greeted: it may have come without a proxy, and waits for that."""
        self._transport = cast(asyncio.Transport, transport)
        self._client.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Take bytes until it is known who the client is."""
        self._received += data
        try:
            found = proxy_header.split(self._received)
        except ValueError as error:
            self._give_up(str(error))
            return
        if found is None:
            if self._timer is None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(_TIMEOUT, self._give_up, "the header has not come to its end")
            return
        self._stop_timer()
        address, rest = found
        if address is not None:
            self._client.address = (address.host, address.port)
        if self._transport is not None:
            self._transport.set_protocol(self._client)
        if rest:
            self._client.data_received(rest)

    def connection_lost(self, exc: Exception | None) -> None:
        """It ended before its header did."""
        self._stop_timer()
        self._client.connection_lost(exc)

    def pause_writing(self) -> None:
        """Tell the client's connection."""
        self._client.pause_writing()

    def resume_writing(self) -> None:
        """Tell the client's connection."""
        self._client.resume_writing()

    def _give_up(self, why: str) -> None:
        self._stop_timer()
        log.warning("Error reading PROXY protocol header from %s: %s", self._client.address[0], why)
        self._client.close(CloseReason.PROTOCOL_VIOLATION)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
