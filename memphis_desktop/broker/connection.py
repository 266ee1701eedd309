"""One client connection: commands in, frames out.

A chunk from the socket is parsed and routed in one pass. What it causes is collected in the out-buffers of
the connections concerned and leaves in one write each when the chunk is done (`BrokerNode.flush`). If a chunk
is more work than one time slice, reading pauses and the rest is done in the next turns of the loop.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import secrets
import time
from typing import TYPE_CHECKING, Any, cast

from memphis_desktop.broker.authentication import REFUSED, Identity, Login, Refusal
from memphis_desktop.broker.jetstream.times import format_time
from memphis_desktop.broker.layers import TLS_HANDSHAKE, Layer, LayerError, Stack, TlsLayer
from memphis_desktop.broker.options import TlsOptions, WebSocketOptions
from memphis_desktop.broker.permissions import Permissions
from memphis_desktop.broker.websocket import WebSocketLayer
from memphis_desktop.protocol import framing, subjects
from memphis_desktop.protocol.commands import (
    CONNECT,
    FAILURE,
    PEER_ERROR,
    PING,
    PONG,
    PUBLISH,
    SUBSCRIBE,
    UNSUBSCRIBE,
)
from memphis_desktop.protocol.connect import ConnectOptions, info_line
from memphis_desktop.protocol.errors import CloseReason, ProtocolError
from memphis_desktop.protocol.message import Message
from memphis_desktop.protocol.parser import ClientParser

if TYPE_CHECKING:
    from memphis_desktop.broker.accounts import Account
    from memphis_desktop.broker.node import BrokerNode
    from memphis_desktop.broker.routing import Pending, Publisher

log = logging.getLogger(__name__)

# A connection works this long (seconds) on what it received before the others get their turn.
TIME_SLICE = 0.004
# Frames for one connection are joined and written when they exceed this, even in the middle of a chunk.
_WRITE_THRESHOLD = 512 * 1024
# Answers there mean something to the server; a user with limited rights must not have others send them.
_RESERVED_REPLIES = (b"$JS.ACK.", b"_R_.", b"$GR.", b"_GR_.")
# How long a publisher waits when a subscriber of it has fallen behind (seconds).
_STALL_TIME = 0.005


def _text(subject: bytes) -> str:
    return subject.decode("utf-8", "replace")


def _fill_from_cookies(options: ConnectOptions, web: WebSocketOptions, cookies: dict[str, str]) -> None:
    """Take credentials from cookies where CONNECT has none."""
    options.jwt = options.jwt or cookies.get(web.jwt_cookie, "")
    options.user = options.user or cookies.get(web.user_cookie, "")
    options.password = options.password or cookies.get(web.password_cookie, "")
    options.auth_token = options.auth_token or cookies.get(web.token_cookie, "")


class ClientSubscription:
    """A subscription of a connection."""

    __slots__ = ("connection", "delivered", "denied", "maximum", "order", "pattern", "queue", "sid")

    def __init__(self, connection: ClientConnection, pattern: bytes, queue: bytes, sid: bytes) -> None:
        self.connection = connection
        self.pattern = pattern
        self.queue = queue
        self.sid = sid
        self.maximum = 0  # auto-unsubscribe after that many deliveries; 0: never
        self.delivered = 0
        self.denied: tuple[bytes, ...] = ()  # what a wildcard matches and permissions do not
        self.order = 0

    def belongs_to(self, sender: object) -> bool:
        """Return whether `sender` is the connection of this subscription."""
        return self.connection is sender

    def backlog(self) -> int:
        """Return the bytes that wait for the connection's peer."""
        return self.connection.pending_bytes

    def figures(self) -> tuple[bytes, int, int, int]:
        """Return what monitoring shows."""
        return self.sid, self.delivered, self.maximum, self.connection.client_id

    def take(self, messages: list[Message], sender: Publisher | None, pending: Pending) -> None:
        """Put messages into the connection's out-buffer."""
        connection = self.connection
        if self.denied:
            messages = [one for one in messages if not subjects.matches_any(self.denied, one[0])]
            if not messages:
                return
        if self.maximum:
            left = self.maximum - self.delivered
            if left <= 0:
                return
            if len(messages) >= left:
                messages = messages[:left]
                connection.end_subscription(self)
        self.delivered += len(messages)
        connection.send_messages(self.sid, messages)
        if connection.permissions is not None:
            connection.permissions.requests_received(messages)
        if connection.congested and sender is not None:
            sender.stall()


class ClientConnection(asyncio.Protocol):
    """The server's end of one client connection."""

    def __init__(self, node: BrokerNode, websocket: WebSocketOptions | None = None) -> None:
        """`websocket` has the options of its listener when the client came to that one."""
        self.node = node
        self._websocket = websocket
        self._layer: Layer | None = None
        self._tls: TlsLayer | None = None
        self._web: WebSocketLayer | None = None
        self._maybe_tls = False  # the client's first byte decides whether it speaks TLS
        self._greeted = False
        self.handshake_deadline = 0.0
        options = node.options
        self.client_id: int = 0
        self.kind = "Client"
        self.client_type = "nats" if websocket is None else "websocket"
        self.address: tuple[str, int] = ("", 0)
        self.parser: ClientParser = ClientParser(options.max_payload, options.max_control_line)
        self.options = ConnectOptions()
        self.connected = False  # CONNECT was accepted
        self.authenticated = not options.auth_required
        self.identity = Identity()
        self.permissions: Permissions | None = None
        self.nonce = b""
        self._login = Login(self.options)
        self._deciding = False  # a login is being checked in a thread
        self.account: Account = node.default_account
        self.echo = True
        self.headers = False
        self.no_responders = False
        self.subscriptions: dict[bytes, ClientSubscription] = {}
        self.transport: asyncio.Transport | None = None
        self.closed = False
        self.close_reason: str = ""
        self.congested = False
        self.start_ns: int = 0
        self.stop_ns: int = 0
        self.last_activity_ns: int = 0
        self.out_messages: int = 0
        self.out_bytes: int = 0
        self.stalls: int = 0
        self.round_trip: float = 0.0
        self._out: list[bytes] = []
        self._out_size = 0
        self._written = 0
        self._first_pong_sent = False
        # Timers, on the monotonic clock.
        self.auth_deadline = 0.0
        self.next_ping = 0.0
        self.last_received = 0.0
        self.pings_out = 0
        self._ping_sent = 0.0
        self._measured = False  # whether a PING was answered
        self._progress = (0, 0.0)
        self._more_planned = False
        self._stalled = False
        self._step_limit = 0

    # -- life ------------------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client with INFO."""
        transport = cast(asyncio.Transport, transport)  # uvloop's do not derive from it
        self.transport = transport
        peer = transport.get_extra_info("peername") or ("", 0)
        self.address = (peer[0], peer[1]) if len(peer) >= 2 else ("", 0)
        transport.set_write_buffer_limits(high=max(self.node.options.max_pending * 3 // 4, 1))
        self.start_ns = self.last_activity_ns = self.node.clock.time_ns()
        now = self.node.clock.monotonic()
        self.last_received = now
        if self.node.authenticator.needs_nonce:
            self.nonce = base64.urlsafe_b64encode(secrets.token_bytes(11)).rstrip(b"=")
        self.node.register(self, now)
        if self.closed:
            return
        self._begin(now)

    def _begin(self, now: float) -> None:
        """Greet, or wait for the handshake that comes first."""
        web, tls = self._websocket, self.node.options.tls
        if web is not None:
            self._web = WebSocketLayer(
                web, lambda: self.parser.max_payload + 65536, secure=web.tls is not None
            )
            self._layer = self._web
            if web.tls is not None:
                self._tls = TlsLayer(self.node.tls_context(web.tls))
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
        self._tls = TlsLayer(self.node.tls_context(tls))
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

    def _greet(self) -> None:
        self._greeted = True
        self._put(info_line(self.node.info(self)))
        self.flush()

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

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer went away, or closing is complete."""
        if not self.closed:
            self._leave(CloseReason.READ_ERROR if exc else CloseReason.CLIENT_CLOSED)
        self._out.clear()
        self.transport = None

    def close(self, reason: str) -> None:
        """Write out what is buffered, and close; `reason` is shown by monitoring."""
        if self.closed:
            return
        self.flush()
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

    def _leave(self, reason: str) -> None:
        self.closed = True
        self.close_reason = reason
        self.stop_ns = self.node.clock.time_ns()
        for subscription in self.subscriptions.values():
            self.account.remove(subscription)
        self.node.unregister(self)

    def fail(self, text: str | None, reason: str) -> None:
        """Send ``-ERR`` with `text` (nothing when None) and close."""
        if self.closed:
            return
        if text is not None:
            self._put(framing.error_line(text))
        log.debug("%s - %s", self, text or reason)
        self.close(reason)

    def send_error(self, text: str) -> None:
        """Send ``-ERR`` and stay."""
        self._put(framing.error_line(text))

    def __str__(self) -> str:
        return f"{self.address[0]}:{self.address[1]} - cid:{self.client_id}"

    # -- reading ---------------------------------------------------------------------------------------------
    def data_received(self, data: bytes) -> None:
        """Handle what the socket brought."""
        if self.closed:
            return
        self.last_received = self.node.clock.monotonic()
        self.last_activity_ns = self.node.clock.time_ns()
        if self._maybe_tls:
            self._first_byte(data)
        if self._layer is not None:
            data = self._through_layer(self._layer, data)
            if data:
                self._work(data)
            if self._layer.ended:
                self.close(CloseReason.CLIENT_CLOSED)
            return
        self._work(data)

    def _work(self, data: bytes) -> None:
        now = time.perf_counter()
        deadline = now + TIME_SLICE
        node = self.node
        node.entered += 1
        node.turn.chunk_begins(self, now)
        try:
            commands = self.parser.feed(data)
            while True:
                self._handle(commands)
                if self.closed or not self.parser.runnable:
                    break
                if self._deciding:
                    if self.transport is not None:
                        self.transport.pause_reading()
                    break
                if self._stalled or time.perf_counter() >= deadline:
                    self._plan_more()
                    break
                commands = self.parser.feed(b"")
        finally:
            node.entered -= 1
            node.flush()
        if self._stalled and not self._more_planned:
            self._plan_more()

    def _plan_more(self) -> None:
        """Go on with what is buffered in a later turn; read nothing meanwhile."""
        if self._more_planned or self.transport is None:
            return
        self._more_planned = True
        self.transport.pause_reading()
        if self._stalled:
            self.node.clock.call_later(_STALL_TIME, self._continue)
        else:
            self.node.clock.call_soon(self._continue)

    def _continue(self) -> None:
        self._more_planned = self._stalled = False
        if self.closed or self.transport is None or self._deciding:
            return
        if self.parser.runnable:
            self._work(b"")
        if not self._more_planned and not self.closed and self.transport is not None:
            self.transport.resume_reading()

    def stall(self) -> None:
        """Slow this publisher down: one of its subscribers has fallen behind."""
        if not self._stalled:
            self._stalled = True
            self.stalls += 1

    def _handle(self, commands: list[tuple[Any, ...]]) -> None:
        for command in commands:
            kind = command[0]
            if kind == PUBLISH:
                self._publish(command[1])
            elif kind == SUBSCRIBE:
                self._subscribe(command[1], command[2], command[3])
            elif kind == UNSUBSCRIBE:
                self._unsubscribe(command[1], command[2])
            elif kind == PING:
                self._ping()
            elif kind == PONG:
                self._pong()
            elif kind == CONNECT:
                self._connect(command[1])
            elif kind == FAILURE:
                self._protocol_error(command[1])
            elif kind == PEER_ERROR:
                self.close(CloseReason.PARSE_ERROR)
            if self.closed:
                return

    def _refuse_unauthenticated(self) -> bool:
        """Return whether a command came before its time; the first may still come from the nameless user."""
        if self.authenticated:
            return False
        anonymous = self.node.authenticator.anonymous()
        refusal = self.node.admit(self, anonymous) if anonymous is not None else REFUSED
        if refusal is not None:
            self.node.refuse(self, refusal)
            return True
        self.node.client_connected(self)
        return False

    # -- commands --------------------------------------------------------------------------------------------
    def _publish(self, messages: list[Message]) -> None:
        if not self.authenticated and self._refuse_unauthenticated():
            return
        options = self.options
        if self.permissions is not None:
            messages = self._permitted(messages, self.permissions)
        if options.verbose or options.pedantic:
            self._publish_checked(messages)
        else:
            self.account.publish_from(messages, self)

    def _publish_checked(self, messages: list[Message]) -> None:
        """Publish with the answers that verbose and pedantic clients get, each at its place."""
        if self.options.verbose:
            for message in messages:
                self._put(framing.OK)
                if self.options.pedantic and not subjects.is_literal(message[0]):
                    self.send_error("Invalid Publish Subject")
                self.account.publish_from((message,), self)
            return
        start = 0
        for index, message in enumerate(messages):
            if not subjects.is_literal(message[0]):
                self.account.publish_from(messages[start:index], self)
                self.send_error("Invalid Publish Subject")
                start = index
        self.account.publish_from(messages[start:] if start else messages, self)

    def _permitted(self, messages: list[Message], permissions: Permissions) -> list[Message]:
        """Return what may be published; for the rest an error is sent."""
        may_publish = permissions.may_publish
        permitted = []
        for message in messages:
            if message[1].startswith(_RESERVED_REPLIES):
                self.send_error(f'Permissions Violation for Publish with Reply of "{_text(message[1])}"')
            elif may_publish(message[0]):
                permitted.append(message)
            else:
                self.send_error(f'Permissions Violation for Publish to "{_text(message[0])}"')
        return permitted

    def tell_no_responders(self, message: Message) -> None:
        """Send the 503 to this connection's own subscription to the reply subject, if there is one."""
        reply = message[1]
        route = self.account.router.route(reply)
        for subscription in route.members:
            if isinstance(subscription, ClientSubscription) and subscription.connection is self:
                self._put(framing.no_responders(reply, subscription.sid, message[0]))
                self.out_messages += 1
                return

    def _subscribe(self, subject: bytes, queue: bytes, sid: bytes) -> None:
        if self._refuse_unauthenticated():
            return
        if not subjects.is_valid(subject):
            self.send_error("Invalid Subject")
            return
        permissions = self.permissions
        if permissions is not None and not permissions.may_subscribe(subject, queue):
            using = f' using queue "{_text(queue)}"' if queue else ""
            self.send_error(f'Permissions Violation for Subscription to "{_text(subject)}"{using}')
            return
        if sid not in self.subscriptions:
            if not self._may_have_another():
                self.send_error("maximum subscriptions exceeded")
                return
            subscription = ClientSubscription(self, subject, queue, sid)
            if permissions is not None:
                subscription.denied = permissions.denied_inside(subject)
            self.subscriptions[sid] = subscription
            self.account.insert(subscription)
        if self.options.verbose:
            self._put(framing.OK)

    def _may_have_another(self) -> bool:
        """Return whether no limit of subscriptions, the server's, the user's or the account's, is reached."""
        server, own = self.node.options.max_subscriptions, self.identity.max_subscriptions
        account = self.account.options.max_subscriptions
        return (
            (server <= 0 or len(self.subscriptions) < server)
            and (own < 0 or len(self.subscriptions) < own)
            and (account < 0 or self.account.client_subscriptions < account)
        )

    def _unsubscribe(self, sid: bytes, maximum: int) -> None:
        if self._refuse_unauthenticated():
            return
        subscription = self.subscriptions.get(sid)
        if subscription is not None:
            subscription.maximum = maximum
            if not maximum or subscription.delivered >= maximum:
                self.end_subscription(subscription)
        if self.options.verbose:
            self._put(framing.OK)

    def end_subscription(self, subscription: ClientSubscription) -> None:
        """Remove one subscription."""
        if self.subscriptions.pop(subscription.sid, None) is not None:
            self.account.remove(subscription)

    def _ping(self) -> None:
        if self._refuse_unauthenticated():
            return
        self._put(framing.PONG)
        if self.connected and not self._first_pong_sent:
            self._first_pong_sent = True
            if self.options.protocol >= 1:
                self._put(info_line(self.node.info(self, after_connect=True)))

    def _pong(self) -> None:
        self.pings_out = 0
        if self._ping_sent:
            self.round_trip = self.node.clock.monotonic() - self._ping_sent
            self._measured = True
            self._ping_sent = 0.0

    def _connect(self, document: bytes) -> None:
        try:
            options = ConnectOptions.parse(document)
        except ProtocolError as error:
            self._protocol_error(error)
            return
        if self.connected:
            self._apply(options)
            return
        if self._web is not None and self._websocket is not None:
            _fill_from_cookies(options, self._websocket, self._web.cookies)
        self.options = options  # what monitoring shows, of a refused client too
        login = Login(options, self.login_kind, self.nonce, self.certificate_names, self.address[0])
        self._login = login
        self._decide(login, {})

    def _decide(self, login: Login, checked: dict[str, bool]) -> None:
        outcome = self.node.identify(login, checked)
        if isinstance(outcome, Identity):
            refusal = self.node.admit(self, outcome)
            if refusal is None:
                self._welcome(login.given)
                return
            outcome = refusal
        if isinstance(outcome, Refusal):
            self.node.refuse(self, outcome)
            return
        self._deciding = True
        self.node.in_thread(outcome, lambda: self._decided(login, checked))

    def _decided(self, login: Login, checked: dict[str, bool]) -> None:
        """Go on when a thread has checked what it had to."""
        self._deciding = False
        if self.closed:
            return
        self._decide(login, checked)
        if not self.closed and not self._deciding:
            self._continue()

    def become(self, identity: Identity, account: Account) -> None:
        """Come in as this user of this account."""
        self.identity = identity
        self.account = account
        if identity.permissions is not None:
            self.permissions = Permissions(identity.permissions, self.node.clock.monotonic)
        if identity.max_payload >= 0:
            self.parser.max_payload = min(identity.max_payload, self.parser.max_payload)
        self.authenticated = True
        self.auth_deadline = 0.0

    def reidentify(self) -> None:
        """After a reload: leave when the user is gone, and give up what is no longer permitted."""
        identity = self.node.authenticator.identify_again(self._login, self.identity)
        if identity is None or self.node.account(identity.account) is not self.account:
            self.node.authentication_failed(self)
            return
        self.permissions = None
        self.parser.max_payload = self.node.options.max_payload
        self.become(identity, self.account)
        permissions = self.permissions
        for subscription in list(self.subscriptions.values()):
            if permissions is None:
                subscription.denied = ()
            elif permissions.may_subscribe(subscription.pattern, subscription.queue):
                subscription.denied = permissions.denied_inside(subscription.pattern)
            else:
                name, sid = _text(subscription.pattern), _text(subscription.sid)
                self.send_error(f'Permissions Violation for Subscription to "{name}" (sid "{sid}")')
                self.end_subscription(subscription)

    def _welcome(self, options: ConnectOptions) -> None:
        self.connected = True
        if not self.round_trip:
            # The first impression; the first PING measures it better.
            self.round_trip = max((self.node.clock.time_ns() - self.start_ns) / 1e9, 1e-6)
        self._apply(options)
        self.node.client_connected(self)

    def _apply(self, options: ConnectOptions) -> None:
        self.options = options
        self.echo = options.echo
        self.headers = self.parser.headers = options.headers
        self.no_responders = options.no_responders
        if options.verbose:
            self._put(framing.OK)

    def _protocol_error(self, error: ProtocolError) -> None:
        if not self.authenticated:
            self.node.authentication_failed(self)
        elif error.closes:
            self.fail(error.text, error.reason)
        elif error.text is not None:
            self.send_error(error.text)

    # -- writing ---------------------------------------------------------------------------------------------
    def _put(self, frame: bytes) -> None:
        if not self._out:
            self.node.has_output(self)
        self._out.append(frame)
        self._out_size += len(frame)

    def send_info(self, **changes: Any) -> None:
        """Send a further INFO, to clients that take one."""
        if self.connected and self.options.protocol >= 1:
            self._put(info_line(self.node.info(self, after_connect=True) | changes))

    def send_messages(self, sid: bytes, messages: list[Message]) -> None:
        """Put messages for one subscription into the out-buffer."""
        if self.closed:
            return
        if not self._out:
            self.node.has_output(self)
        size = framing.frame_messages(sid, messages, self.headers, self._out)
        self.out_messages += len(messages)
        self.out_bytes += size
        self._out_size += size + 64 * len(messages)
        if self._out_size > _WRITE_THRESHOLD:
            self.flush()

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
            self.node.slow_consumer(self, CloseReason.SLOW_PENDING)

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

    # -- timers ----------------------------------------------------------------------------------------------
    def tick(self, now: float) -> None:
        """Check deadlines; called by the node's ticker."""
        if self.identity.expires_at and self.node.clock.time_ns() >= self.identity.expires_at * 1_000_000_000:
            self.fail("User Authentication Expired", CloseReason.AUTHENTICATION_EXPIRED)
            return
        if self.handshake_deadline and now >= self.handshake_deadline:
            self.abort(CloseReason.TLS_HANDSHAKE if self._tls is not None else CloseReason.PROTOCOL_VIOLATION)
            return
        if self.auth_deadline and now >= self.auth_deadline:
            self.fail("Authentication Timeout", CloseReason.AUTHENTICATION_TIMEOUT)
            return
        if now >= self.next_ping and self._greeted and not self.handshake_deadline:
            self._send_ping(now)
        transport = self.transport
        if transport is None:
            return
        waiting = transport.get_write_buffer_size()
        if waiting:
            gone = self._written - waiting
            if gone != self._progress[0] or not self._progress[1]:
                self._progress = (gone, now)
            elif now - self._progress[1] >= self.node.options.write_deadline:
                self.node.slow_consumer(self, CloseReason.SLOW_WRITE)
        else:
            self._progress = (0, 0.0)

    def _send_ping(self, now: float) -> None:
        options = self.node.options
        self.next_ping = now + options.ping_interval
        if self._measured and now - self.last_received < options.ping_interval:
            self.pings_out = 0
            return
        if self.pings_out >= options.ping_max:
            self.node.counters.stale_connections += 1
            self.fail("Stale Connection", CloseReason.STALE)
            return
        self.pings_out += 1
        self._ping_sent = now
        self._put(framing.PING)

    def kick(self) -> None:
        """Close on an administrator's wish."""
        self.close(CloseReason.KICKED)

    # -- for monitoring --------------------------------------------------------------------------------------
    @property
    def user_name(self) -> str:
        """The user the client came in as; of a refused one the name it gave."""
        return self.identity.user or self.options.user

    @property
    def login_kind(self) -> str:
        """How the client came, in the words of allowed_connection_types."""
        return "WEBSOCKET" if self.client_type == "websocket" else "STANDARD"

    @property
    def certificate_names(self) -> tuple[str, ...]:
        """The names in the certificate the client showed."""
        return self._tls.certificate_names() if self._tls is not None else ()

    @property
    def tls_session(self) -> tuple[str, str] | None:
        """Version and cipher suite of a secured connection."""
        tls = self._tls
        return (tls.version, tls.cipher) if tls is not None and tls.ready else None

    def user_info(self) -> dict[str, Any]:
        """Return the answer to ``$SYS.REQ.USER.INFO``."""
        info: dict[str, Any] = {
            "user": self.user_name,
            "account": self.account.name,
            "account_name": self.account.name,
        }
        if self.identity.name_tag:
            info["user_name"] = self.identity.name_tag
        if self.permissions is not None:
            info["permissions"] = self.permissions.describe()
        if self.identity.expires_at:
            info["expires"] = max(self.identity.expires_at * 1_000_000_000 - self.node.clock.time_ns(), 0)
        return info

    def describe(self) -> dict[str, Any]:
        """Return the ``client`` object of advisories."""
        described: dict[str, Any] = {
            "start": format_time(self.start_ns),
            "host": self.address[0],
            "id": self.client_id,
            "acc": self.account.name,
        }
        optional = {
            "user": self.user_name,
            "name": self.options.name,
            "lang": self.options.lang,
            "ver": self.options.version,
            "rtt": int(self.round_trip * 1e9),
        }
        described |= {key: value for key, value in optional.items() if value}
        return described | {
            "server": self.node.server_name,
            "kind": self.kind,
            "client_type": self.client_type,
        }
