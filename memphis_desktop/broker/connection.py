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
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from memphis_desktop.broker import connection_reports
from memphis_desktop.broker.auth_callout import Question
from memphis_desktop.broker.authentication import (
    REFUSED,
    STANDARD,
    WEBSOCKET,
    Identity,
    Login,
    Outcome,
    Refusal,
)
from memphis_desktop.broker.channel import Channel
from memphis_desktop.broker.message_trace import any_traced, is_traced, publish_traced
from memphis_desktop.broker.options import WebSocketOptions
from memphis_desktop.broker.permissions import Permissions
from memphis_desktop.broker.subscription import ClientSubscription
from memphis_desktop.broker.tracing import trace_commands, trace_messages
from memphis_desktop.protocol import framing, subjects
from memphis_desktop.protocol.commands import (
    ACKS,
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

if TYPE_CHECKING:
    from memphis_desktop.broker.accounts import Account
    from memphis_desktop.broker.node import BrokerNode
    from memphis_desktop.protocol.acks import AckRun
    from memphis_desktop.protocol.deliveries import DeliveryBlock

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


class ClientConnection(Channel):
    """The server's end of one client connection."""

    def __init__(self, node: BrokerNode, websocket: WebSocketOptions | None = None) -> None:
        """`websocket` has the options of its listener when the client came to that one."""
        super().__init__(node, websocket)
        options = node.options
        self.parser.finds_acks = True
        self.client_id: int = 0
        self.kind = "Client"
        self.options = ConnectOptions()
        self.connected = False  # CONNECT was accepted
        self.authenticated = not options.requires_login(websocket)
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
        self.start_ns: int = 0
        self.stop_ns: int = 0
        self.out_messages: int = 0
        self.out_bytes: int = 0
        self.stalls: int = 0
        self.round_trip: float = 0.0
        self._first_pong_sent = False
        # Timers, on the monotonic clock.
        self.auth_deadline = 0.0
        self.next_ping = 0.0
        self.pings_out = 0
        self._ping_sent = 0.0
        self._pinged = False  # whether a PING was ever sent: one is, to measure the round trip
        self._more_planned = False
        self._stalled = False

    def info_fields(self) -> dict[str, Any]:
        """Return what INFO has beside or instead of the usual fields."""
        return {}

    # -- life ------------------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client with INFO."""
        transport = cast(asyncio.Transport, transport)  # uvloop's do not derive from it
        self.transport = transport
        peer = transport.get_extra_info("peername") or ("", 0)
        # On a socket for both versions of IP, addresses of version 4 come in the dress of version 6.
        self.address = (peer[0].removeprefix("::ffff:"), peer[1]) if len(peer) >= 2 else ("", 0)
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

    def _greet(self) -> None:
        self._greeted = True
        self._put(info_line(self.node.info(self)))
        self.flush()

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
    def _work(self, data: bytes) -> None:
        node = self.node
        lone = None
        if node.turn.collects and self._is_plain:
            lone = self.parser.lone_publish(data)
            if lone is not None and self.account.collect(lone, self):
                return  # it is handled with others of this turn
        now = time.perf_counter()
        deadline = now + TIME_SLICE
        node.entered += 1
        outermost = node.clock.begin_chunk()
        node.turn.chunk_begins(self, now)
        try:
            commands = self.parser.feed(data) if lone is None else [(PUBLISH, [lone])]
            while True:
                self._handle(commands)
                if self._deciding and self.transport is not None:
                    self.transport.pause_reading()
                if self.closed or self._deciding or not self.parser.runnable:
                    break
                if self._stalled or time.perf_counter() >= deadline:
                    self._plan_more()
                    break
                commands = self.parser.feed(b"")
        finally:
            if outermost:
                node.clock.end_chunk()
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
        if not (self._more_planned or self._deciding or self.closed) and self.transport is not None:
            self.transport.resume_reading()

    def stall(self) -> None:
        """Slow this publisher down: one of its subscribers has fallen behind."""
        if not self._stalled:
            self._stalled = True
            self.stalls += 1

    def _handle(self, commands: list[tuple[Any, ...]]) -> None:
        if self.node.options.trace:
            trace_commands(self, commands)
        for command in commands:
            kind = command[0]
            if kind == PUBLISH:
                self._publish(command[1])
            elif kind == ACKS:
                self._acknowledge(command[1])
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
            elif kind == PEER_ERROR and not self._refuse_unauthenticated():
                self.close(CloseReason.PARSE_ERROR)
            if self.closed:
                return

    def _refuse_unauthenticated(self) -> bool:
        """Return whether a command came before its time; the first may still come from the nameless user."""
        if self.authenticated:
            return False
        anonymous = self._anonymous()
        refusal = self.node.admit(self, anonymous) if anonymous is not None else REFUSED
        if refusal is not None:
            self.node.refuse(self, refusal)
            return True
        self.node.client_connected(self)
        return False

    def _anonymous(self) -> Identity | None:
        return self.node.authenticator.anonymous(self.login_kind)

    # -- commands --------------------------------------------------------------------------------------------
    def _publish(self, messages: list[Message]) -> None:
        if not self.authenticated and self._refuse_unauthenticated():
            return
        options = self.options
        if self.parser.has_used_headers and any_traced(messages, self.account.options.trace):
            self._publish_with_traces(messages)
            return
        if self.permissions is not None:
            messages = self._permitted(messages, self.permissions)
        if options.verbose or options.pedantic:
            self._publish_checked(messages)
        else:
            self.account.publish_from(messages, self)

    @property
    def _is_plain(self) -> bool:
        """Whether what the client publishes may go on its way without a look at it."""
        options = self.options
        return (
            self.authenticated
            and self.permissions is None
            and not (options.verbose or options.pedantic or self.node.options.trace)
        )

    def _acknowledge(self, run: AckRun) -> None:
        """Take plain acks: as they are where nothing has to be known of each, else as publishes."""
        if not (self._is_plain and self.account.acknowledge(run)):
            self._publish(run.messages())

    def _publish_with_traces(self, messages: list[Message]) -> None:
        """Publish one by one: some ask to be traced."""
        for message in messages:
            permitted = [message]
            if self.permissions is not None:
                permitted = self._permitted(permitted, self.permissions)
            if is_traced(message, self.account.options.trace):
                refusal = f'Permissions Violation for Publish to "{_text(message[0])}"'
                publish_traced(message, self, "" if permitted else refusal)
                if self.options.verbose:
                    self._put(framing.OK)
            elif permitted:
                self._publish_checked(permitted)

    def _publish_checked(self, messages: list[Message]) -> None:
        """Publish with the answers that verbose and pedantic clients get, each at its place."""
        if self.options.verbose:
            for message in messages:
                if self.options.pedantic and not subjects.is_literal(message[0]):
                    self.send_error("Invalid Publish Subject")
                self._put(framing.OK)
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
                self._refuse_publish(message)
        return permitted

    def _refuse_publish(self, message: Message) -> None:
        self.send_error(f'Permissions Violation for Publish to "{_text(message[0])}"')

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
        tokens = self.node.options.max_subject_tokens
        if 0 < tokens <= subject.count(b"."):
            self.send_error(f'Permissions Violation for Subscription to "{_text(subject)}", too many tokens')
            return
        permissions = self.permissions
        if permissions is not None and not permissions.may_subscribe(subject, queue):
            self._refuse_subscription(subject, queue)
            return
        if sid not in self.subscriptions:  # a second one with a live sid is ignored, whatever it says
            if not self._may_have_another():
                self.send_error("maximum subscriptions exceeded")
                return
            if not subjects.is_valid(subject):
                self.send_error("Invalid Subject")
                return
            subscription = ClientSubscription(self, subject, queue, sid)
            if permissions is not None:
                subscription.denied = permissions.denied_inside(subject)
            self.subscriptions[sid] = subscription
            self.account.insert(subscription)
        if self.options.verbose:
            self._put(framing.OK)

    def _refuse_subscription(self, subject: bytes, queue: bytes) -> None:
        using = f' using queue "{_text(queue)}"' if queue else ""
        self.send_error(f'Permissions Violation for Subscription to "{_text(subject)}"{using}')

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
            self._ping_sent = 0.0

    def _connect(self, document: bytes) -> None:
        try:
            options = ConnectOptions.parse(document)
        except ProtocolError as error:  # said before anyone asks who it is
            self.fail(error.text, error.reason)
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
        outcome = self._identify(login, checked)
        if isinstance(outcome, (Identity, Refusal)):
            self._conclude(login, outcome)
            return
        self._deciding = True
        self.auth_deadline = 0.0  # the client has done its part; work ends, and a question has a deadline
        if isinstance(outcome, Question):
            outcome.ask(self, lambda answer: self._go_on(lambda: self._conclude(login, answer)))
        else:
            self.node.in_thread(outcome, lambda: self._go_on(lambda: self._decide(login, checked)))

    def _identify(self, login: Login, checked: dict[str, bool]) -> Outcome | Question:
        return self.node.identify(login, checked)

    def _conclude(self, login: Login, outcome: Identity | Refusal) -> None:
        """Let the client in, or not."""
        if isinstance(outcome, Identity):
            refusal = self.node.admit(self, outcome)
            if refusal is None:
                self._welcome(login.given)
                return
            outcome = refusal
        self.node.refuse(self, outcome)

    def _go_on(self, decide: Callable[[], None]) -> None:
        """Go on when a thread has checked what it had to, or a service has answered."""
        self._deciding = False
        if self.closed:
            return
        decide()
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
        self.headers = self.parser.headers = options.headers and not self.node.options.without_headers
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
        if self.node.options.trace:
            trace_messages(self, sid, messages)
        size = framing.frame_messages(sid, messages, self.headers, self._out)
        self.out_messages += len(messages)
        self.out_bytes += size
        self._out_size += size + 64 * len(messages)
        if self._out_size > _WRITE_THRESHOLD:
            self.flush()

    def send_block(self, sid: bytes, block: DeliveryBlock) -> None:
        """Put a consumer's messages for one subscription into the out-buffer."""
        if self.node.options.trace:
            self.send_messages(sid, block.messages())
        elif not self.closed:
            frames, size = block.frame(sid, self.headers)
            self._put(frames)
            self.out_messages += len(block)
            self.out_bytes += size
            if self._out_size > _WRITE_THRESHOLD:
                self.flush()

    def send_now(self, frame: bytes, size: int) -> bool:
        """Send the frame of one message with `size` bytes of payload at once, past the out-buffer.

        False when it has to go the usual way.
        """
        if self.closed or self.permissions is not None or self.node.options.trace:
            return False
        if not self._write_now(frame):
            return False
        self.out_messages += 1
        self.out_bytes += size
        return True

    # -- timers ----------------------------------------------------------------------------------------------
    def tick(self, now: float) -> None:
        """Check deadlines; called by the node's ticker."""
        if self.identity.expires_at and self.node.clock.time_ns() >= self.identity.expires_at * 1_000_000_000:
            self.fail(f"{self.identity.expires} Authentication Expired", CloseReason.AUTHENTICATION_EXPIRED)
            return
        if self.handshake_deadline and now >= self.handshake_deadline:
            self.abort(CloseReason.TLS_HANDSHAKE if self._tls is not None else CloseReason.PROTOCOL_VIOLATION)
            return
        if self.auth_deadline and now >= self.auth_deadline:
            self.fail("Authentication Timeout", CloseReason.AUTHENTICATION_TIMEOUT)
            return
        if now >= self.next_ping and self._greeted and not self.handshake_deadline:
            self._send_ping(now)
        self._check_progress(now)

    def _send_ping(self, now: float) -> None:
        options, web = self.node.options, self._websocket
        interval = web.ping_interval if web is not None and web.ping_interval else options.ping_interval
        self.next_ping = now + interval
        if self._pinged and now - self.last_received < interval:
            self.pings_out = 0
            return
        if self.pings_out >= options.ping_max:
            self.node.counters.stale_connections += 1
            self.fail("Stale Connection", CloseReason.STALE)
            return
        self.pings_out += 1
        self._pinged = True
        self._ping_sent = now
        self._put(framing.PING)

    def _fell_behind(self, reason: str) -> None:
        self.node.slow_consumer(self, reason)

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
        return WEBSOCKET if self.client_type == "websocket" else STANDARD

    def user_info(self) -> dict[str, Any]:
        """Return the answer to ``$SYS.REQ.USER.INFO``."""
        return connection_reports.user_info(self)

    def request_info(self, *, detailed: bool) -> dict[str, Any]:
        """Return what a service in another account is told of a requester: its account, or all."""
        return connection_reports.request_info(self, detailed=detailed)

    def describe(self) -> dict[str, Any]:
        """Return the ``client`` object of advisories."""
        return connection_reports.describe(self)
