"""The bytes of a connection: its socket, what lies between it and the protocol, what waits to be written."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.layers import TLS_HANDSHAKE, Layer, LayerError, Stack, TlsLayer
from memphis_desktop.broker.options import TlsOptions, WebSocketOptions
from memphis_desktop.broker.websocket import WebSocketLayer
from memphis_desktop.protocol.errors import CloseReason
from memphis_desktop.protocol.parser import ClientParser

if TYPE_CHECKING:
    from memphis_desktop.broker.node import BrokerNode

log = logging.getLogger(__name__)


class Channel(asyncio.Protocol):
    """A client's socket behind TLS and WebSocket, as its listener wants it, with an out-buffer.

    Attributes:
        congested: the peer takes less than is sent to it.
        closed, close_reason: whether and why the connection has ended.
    """

    secured = True  # whether the TLS of the options is asked for

    def __init__(self, node: BrokerNode, websocket: WebSocketOptions | None) -> None:
        """`websocket` has the options of its listener when the client came to that one."""
        self.node = node
        self.client_type = "nats" if websocket is None else "websocket"
        self.address: tuple[str, int] = ("", 0)
        self.transport: asyncio.Transport | None = None
        self.parser: ClientParser = ClientParser(node.options.max_payload, node.options.max_control_line)
        self.closed = False
        self.close_reason: str = ""
        self.congested = False
        self.handshake_deadline = 0.0
        self.last_received = 0.0
        self.last_activity_ns: int = 0
        self._websocket = websocket
        self._layer: Layer | None = None
        self._tls: TlsLayer | None = None
        self._web: WebSocketLayer | None = None
        self._session: tuple[str, str] | None = None
        self._maybe_tls = False  # the client's first byte decides whether it speaks TLS
        self._greeted = False
        self._out: list[bytes] = []
        self._out_size = 0
        self._descriptor = -1  # the socket's descriptor, where the system writes to it like to a file
        self._written = 0
        self._progress = (0, 0.0)  # how much had been taken by the peer, and since when

    # -- what the protocol adds ------------------------------------------------------------------------------
    @abstractmethod
    def _greet(self) -> None:
        """Send INFO."""

    @abstractmethod
    def _work(self, data: bytes) -> None:
        """Handle bytes of the protocol."""

    @abstractmethod
    def _leave(self, reason: str) -> None:
        """The connection has ended."""

    @abstractmethod
    def _fell_behind(self, reason: str) -> None:
        """The peer has not taken what it should have."""

    # -- handshakes ------------------------------------------------------------------------------------------
    def _begin(self, now: float) -> None:
        """Greet, or wait for the handshake that comes first."""
        inner = self.transport.get_extra_info("socket") if self.transport is not None else None
        if inner is not None and sys.platform != "win32":
            self._descriptor = inner.fileno()
        web, tls = self._websocket, self.node.options.tls if self.secured else None
        if web is not None:
            self._web = WebSocketLayer(
                web, lambda: self.parser.max_payload + 65536, secure=web.tls is not None
            )
            self._layer = self._web
            if web.tls is not None:
                self._tls = TlsLayer(self.node.tls_context(web.tls), web.tls.pinned_certificates)
                self._layer = Stack(self._tls, self._web)
            self.handshake_deadline = now + web.handshake_timeout
        elif tls is None:
            self._greet()
        elif tls.handshake_first is None:
            self._greet()
            self._maybe_tls = self.node.options.allow_non_tls
            if not self._maybe_tls:
                self._start_tls(tls, now)
        elif tls.handshake_first == 0:
            self._start_tls(tls, now)
        else:
            self._maybe_tls = True
            self.handshake_deadline = now + tls.timeout
            self.node.clock.call_later(tls.handshake_first, self._no_hello)

    def _start_tls(self, tls: TlsOptions, now: float) -> None:
        self._tls = TlsLayer(self.node.tls_context(tls), tls.pinned_certificates)
        self._layer = self._tls
        self.handshake_deadline = now + tls.timeout

    def _no_hello(self) -> None:
        """The client did not begin with TLS in time: INFO comes first."""
        tls = self.node.options.tls
        if not self._greeted and self._layer is None and not self.closed and tls is not None:
            self._greet()
            self._maybe_tls = self.node.options.allow_non_tls
            if not self._maybe_tls:
                self._start_tls(tls, self.node.clock.monotonic())

    def _first_byte(self, data: bytes) -> None:
        """Decide by the first byte whether the client speaks TLS."""
        self._maybe_tls = False
        tls = self.node.options.tls
        if tls is not None and (data[0] == TLS_HANDSHAKE or not self.node.options.allow_non_tls):
            self._start_tls(tls, self.node.clock.monotonic())
            return
        self.handshake_deadline = 0.0
        if not self._greeted:
            self._greet()

    def _through_layer(self, layer: Layer, data: bytes) -> bytes:
        """Take bytes of the socket through TLS and WebSocket."""
        try:
            inside = layer.receive(data)
        except LayerError as error:
            log.debug("%s - %s: %s", self, error.reason, error)
            self._write_raw(layer.outgoing())
            self.close(error.reason)
            return b""
        self._write_raw(layer.outgoing())
        if layer.ready and self.handshake_deadline:
            self.handshake_deadline = 0.0
            self._came_through()
            if not self._greeted:
                self._greet()
        return inside

    def _came_through(self) -> None:
        """The handshakes are complete."""
        if self._web is not None and self._web.forwarded_for:
            self.address = (self._web.forwarded_for, self.address[1])

    def _write_raw(self, data: bytes) -> None:
        if data and self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    # -- life ------------------------------------------------------------------------------------------------
    def connection_lost(self, exc: Exception | None) -> None:
        """The peer went away, or closing is complete."""
        if not self.closed:
            self._leave(CloseReason.READ_ERROR if exc else CloseReason.CLIENT_CLOSED)
        # What monitoring shows of closed connections stays; buffers and sessions go.
        self._session = self.tls_session
        self._layer = self._tls = self._web = None
        self.parser.take_rest()
        self._out.clear()
        self.transport = None
        self._descriptor = -1

    def close(self, reason: str) -> None:
        """Write out what is buffered, and close; `reason` is shown by monitoring."""
        if self.closed:
            return
        self.flush()
        if self.closed:  # it had fallen too far behind
            return
        if self._layer is not None:
            self._write_raw(self._layer.closing(reason))
        self._leave(reason)
        if self.transport is not None:
            self.transport.close()

    def abort(self, reason: str) -> None:
        """Close at once and drop what is buffered."""
        if self.closed:
            return
        self._out.clear()
        self._leave(reason)
        if self.transport is not None:
            self.transport.abort()

    # -- reading ---------------------------------------------------------------------------------------------
    def data_received(self, data: bytes) -> None:
        """Handle what the socket brought."""
        if self.closed:
            return
        self.last_received = self.node.clock.monotonic()
        self.last_activity_ns = self.node.clock.time_ns()
        if self._maybe_tls:
            self._first_byte(data)
        layer = self._layer
        if layer is not None:
            data = self._through_layer(layer, data)
            if data:
                self._work(data)
            if layer.ended:
                self.close(CloseReason.CLIENT_CLOSED)
            return
        self._work(data)

    # -- writing ---------------------------------------------------------------------------------------------
    def _put(self, frame: bytes) -> None:
        if not self._out:
            self.node.has_output(self)
        self._out.append(frame)
        self._out_size += len(frame)

    def _write_now(self, data: bytes) -> bool:
        """Give the socket something in this very moment; False when that cannot be, and nothing was done.

        Other transports write when the turn of the loop ends. Nothing is called back from here.
        """
        transport = self.transport
        if (
            self._out
            or self._descriptor < 0
            or self._layer is not None
            or transport is None
            or transport.is_closing()
            or transport.get_write_buffer_size()
        ):
            return False
        try:
            taken = os.write(self._descriptor, data)
        except OSError:  # it would block; the transport will see itself what is worse
            return False
        self._written += len(data)
        if taken < len(data):
            transport.write(data[taken:])
        return True

    def flush(self) -> None:
        """Write what was collected, in one call; cut the connection off when it has fallen too far behind."""
        out = self._out
        transport = self.transport
        if not out or transport is None:
            return
        data = b"".join(out) if len(out) > 1 else out[0]
        out.clear()
        self._out_size = 0
        if transport.is_closing():
            return
        if self._layer is not None and self._layer.ready:
            data = self._layer.send(data)
        self._written += len(data)
        transport.write(data)
        if transport.get_write_buffer_size() > self.node.options.max_pending:
            self._fell_behind(CloseReason.SLOW_PENDING)

    @property
    def pending_bytes(self) -> int:
        """Bytes that wait to be taken by the peer."""
        return (self.transport.get_write_buffer_size() if self.transport else 0) + self._out_size

    def pause_writing(self) -> None:
        """The peer takes less than we send: publishers to it are slowed down from now on."""
        self.congested = True

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self.congested = False

    def _check_progress(self, now: float) -> None:
        """Notice a peer that takes nothing for too long."""
        transport = self.transport
        if transport is None:
            return
        waiting = transport.get_write_buffer_size()
        if waiting:
            gone = self._written - waiting
            if gone != self._progress[0] or not self._progress[1]:
                self._progress = (gone, now)
            elif now - self._progress[1] >= self.node.options.write_deadline:
                self._fell_behind(CloseReason.SLOW_WRITE)
        else:
            self._progress = (0, 0.0)

    # -- about the session -----------------------------------------------------------------------------------
    @property
    def certificate_names(self) -> tuple[str, ...]:
        """The names in the certificate the client showed."""
        return self._tls.certificate_names() if self._tls is not None else ()

    def tls_report(self) -> dict[str, Any] | None:
        """What is known of the client's end of TLS; None without TLS."""
        return self._tls.report() if self._tls is not None else None

    @property
    def tls_session(self) -> tuple[str, str] | None:
        """Version and cipher suite of a secured connection."""
        tls = self._tls
        return (tls.version, tls.cipher) if tls is not None and tls.ready else self._session
