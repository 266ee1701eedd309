"""Accounts: subject spaces that share nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from memphis_desktop.broker import routing
from memphis_desktop.broker.crossing import REPLY_PREFIX, Crossings, ServiceImport
from memphis_desktop.broker.handlers import HandlerSubscription, Pending, Turn, call_handler, call_with_acks
from memphis_desktop.broker.options import AccountOptions
from memphis_desktop.broker.routing import SubjectRouter, Watch
from memphis_desktop.broker.subject_mapping import AccountMappings
from memphis_desktop.broker.subscription import ClientSubscription
from memphis_desktop.protocol.message import HEADER_SIZE, REPLY, Message

if TYPE_CHECKING:
    from memphis_desktop.broker.connection import ClientConnection
    from memphis_desktop.broker.contracts import AckHandler, Handler, Publisher, Subscriber, Subscription
    from memphis_desktop.protocol.acks import AckRun
    from memphis_desktop.protocol.deliveries import DeliveryBlock

# More messages than that hardly go to a client each.
_FEW = 256


class Account:
    """One subject space. Nothing in it sees another account's traffic."""

    def __init__(self, name: str, turn: Turn, options: AccountOptions | None = None) -> None:
        self.name = name
        self.options = options or AccountOptions(name)
        self._mappings = AccountMappings(self.options.mappings)
        self._mapped = bool(self._mappings)
        self._crossings = Crossings(self)
        self.services_asked: dict[bytes, ServiceImport] = {}  # by the beginning of their reply subjects
        self.router = SubjectRouter()
        self._turn = turn
        self.connections: set[ClientConnection] = set()
        self.total_connections = 0
        self.jetstream_enabled = False
        # Messages and bytes of connections that are closed by now, and slow consumers among them.
        self._sent = self._received = (0, 0)
        self._slow_consumers = 0
        self._watches = routing.InterestWatches(self.router)
        self._nested: list[Pending] = []
        self._depth = 0

    def configure(self, options: AccountOptions) -> None:
        """Take changed options.

        Raises:
            ValueError: a mapping is impossible.
        """
        self._mappings = AccountMappings(options.mappings)
        self._mapped = bool(self._mappings)
        self.options = options

    def connect_imports(self, find_account: Callable[[str], Account | None]) -> None:
        """Make the imports work; called again after a reload."""
        self._crossings.connect(self.options.imports, find_account)

    # -- subscriptions ---------------------------------------------------------------------------------------
    def subscribe(
        self,
        pattern: bytes,
        handler: Handler,
        queue: bytes = b"",
        *,
        merge: bool = False,
        acks: AckHandler | None = None,
    ) -> HandlerSubscription:
        """Have `handler` called with what is published to `pattern`, once per chunk, or turn with `merge`."""
        subscription = HandlerSubscription(pattern, handler, queue, merge=merge, acks=acks)
        self.insert(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a server-side subscription; what waits for it is dropped."""
        assert isinstance(subscription, HandlerSubscription)
        subscription.active = False
        self.remove(subscription)

    def insert(self, subscription: Subscriber) -> None:
        """Add a subscription and tell the watches."""
        self.router.insert(subscription)
        if self._crossings.streams:
            self._crossings.subscribed(subscription)
        self._watches.pattern_changed(subscription.pattern)

    def remove(self, subscription: Subscriber) -> None:
        """Remove a subscription and tell the watches."""
        if self.router.remove(subscription):
            if self._crossings.streams:
                self._crossings.unsubscribed(subscription)
            self._watches.pattern_changed(subscription.pattern)

    # -- messages --------------------------------------------------------------------------------------------
    def publish_from(self, messages: Sequence[Message], sender: Publisher) -> None:
        """Route what a connection published, all neighbours of one chunk at once."""
        if self._mapped:
            rewrite = self._mappings.apply
            messages = [(rewrite(one[0]), one[1], one[2], one[3]) for one in messages]
        self.publish_through(messages, sender)

    def mapped(self, subject: bytes) -> bytes:
        """Return what the account's mappings make of a subject."""
        return self._mappings.apply(subject) if self._mapped else subject

    def publish_through(self, messages: Sequence[Message], sender: Publisher | None) -> None:
        """Route messages as they are, in the name of a connection, which may be one of another account."""
        if len(messages) == 1 and self._hand_over(messages, sender):
            return
        pending = Pending(sender, self._turn)
        routing.publish(self.router, messages, sender, pending)
        self._run(pending)

    def acknowledge(self, run: AckRun) -> bool:
        """Hand acks straight to the consumer they are for; False: they have to be published one by one."""
        if self._mapped or self._depth:
            return False
        route = self.router.route_below(run.prefix, run.subject)
        single = None if route is None else route.single
        if not isinstance(single, HandlerSubscription) or single.acks is None:
            return False
        self._call(call_with_acks, single, run)
        return True

    def publish(self, message: Message) -> None:
        """Route a message from the node itself."""
        self.publish_many((message,))

    def publish_many(self, messages: Sequence[Message]) -> None:
        """Route messages from the node itself, in order: the fast way for the answers to a chunk."""
        if len(messages) <= _FEW:
            messages = self._send_each(messages)
            if not messages or (len(messages) == 1 and self._hand_over(messages, None)):
                return
        pending = Pending(None, self._turn)
        routing.publish(self.router, messages, None, pending)
        if pending.batches:
            self._run(pending)

    def send_now(self, subject: bytes, payload: bytes) -> bool:
        """Send a message to the one client that it goes to, before this call returns; False if it cannot."""
        single = self.router.route(subject).single
        return isinstance(single, ClientSubscription) and single.send_now(subject, payload)

    def _send_each(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Send messages that go to one client each, and all to different ones; return what is left to do.

        That is how many publishers get their answers that wait for each: a buffer would gather nothing.
        """
        route = self.router.route
        chosen: dict[object, tuple[ClientSubscription, Message]] = {}
        for message in messages:
            single = route(message[0]).single
            if (
                not isinstance(single, ClientSubscription)
                or message[REPLY]
                or message[HEADER_SIZE]
                or single.connection in chosen
            ):
                return messages
            chosen[single.connection] = single, message
        return [one for single, one in chosen.values() if not single.send_now(one[0], one[3])]

    def collect(self, message: Message, sender: object) -> bool:
        """Leave the only message of a chunk to the end of the turn; False when it is not to wait for that."""
        route = self.router.cache.get(message[0])
        single = None if route is None else route.single
        if self._mapped or not isinstance(single, HandlerSubscription) or not single.merge or single.barrier:
            return False
        self._turn.add_chunk(single, message, sender)
        return True

    def _hand_over(self, messages: Sequence[Message], sender: Publisher | None) -> bool:
        """Hand a single message straight to the one subscription that gets it.

        That is the way of a publish by a client that waits for each acknowledgement, and of the answer to it.
        False: it has to take the usual way, whose outcome is the same.
        """
        route = self.router.cache.get(messages[0][0])
        single = None if route is None else route.single
        if isinstance(single, ClientSubscription):
            if sender is not None and not sender.echo:
                return False
            single.take(list(messages), sender)
            return True
        if isinstance(single, HandlerSubscription):
            if not single.merge or single.barrier:
                return False
            if self._turn.collects:
                self._turn.add(single, list(messages))
                return True
            if self._depth:
                return False
            self._call(call_handler, single, list(messages), sender)
            return True
        return False

    def deliver(self, inbox: bytes, messages: Sequence[Message]) -> bool:
        """Send `messages` to whoever subscribes to `inbox`, each showing its own subject."""
        if inbox.startswith(REPLY_PREFIX):
            asked = self.asked(inbox)
            if asked is not None:
                return asked.deliver(inbox, messages)
        route = self.router.route(inbox)
        if not route:
            return False
        pending = Pending(None, self._turn, inbox)
        routing.deliver(route, messages if isinstance(messages, list) else list(messages), None, pending)
        if pending.batches:
            self._run(pending)
        return True

    def deliver_block(self, inbox: bytes, block: DeliveryBlock) -> bool:
        """Send a consumer's messages to whoever subscribes to `inbox`."""
        if not inbox.startswith(REPLY_PREFIX):
            single = self.router.route(inbox).single
            if isinstance(single, ClientSubscription):
                single.take_block(block)
                return True
        return self.deliver(inbox, block.messages())

    def _run(self, pending: Pending) -> None:
        """Call handlers. What they publish to further handlers waits until they are done: no recursion."""
        if self._depth:
            self._nested.append(pending)
        else:
            self._call(pending.run)

    def _call(self, call: Callable[..., None], *arguments: object) -> None:
        """Call what calls handlers, then those that waited for it; only while nothing else does."""
        self._depth = 1
        try:
            call(*arguments)
            while self._nested:
                self._nested.pop(0).run()
        finally:
            self._depth = 0

    @property
    def client_subscriptions(self) -> int:
        """The number of subscriptions of clients."""
        return sum(len(connection.subscriptions) for connection in self.connections)

    # -- connections -----------------------------------------------------------------------------------------
    def connection_closed(self, connection: ClientConnection, *, slow: bool) -> None:
        """Let a connection go and keep its figures."""
        self.connections.discard(connection)
        self._sent, self._received = _plus(self._sent, self._received, connection)
        self._slow_consumers += slow

    def traffic(self) -> tuple[tuple[int, int], tuple[int, int], int]:
        """Return (messages, bytes) sent to clients, those received from them, and the slow consumers."""
        sent, received = self._sent, self._received
        for connection in self.connections:
            sent, received = _plus(sent, received, connection)
        return sent, received, self._slow_consumers

    def asked(self, reply: bytes) -> ServiceImport | None:
        """Return through which import a request came that is answered to `reply`; None for other subjects."""
        return self.services_asked.get(reply[: reply.rfind(b".") + 1])

    # -- interest --------------------------------------------------------------------------------------------
    def has_interest(self, subject: bytes) -> bool:
        """Return whether anybody subscribes to what matches this literal subject."""
        if subject.startswith(REPLY_PREFIX):
            asked = self.asked(subject)
            if asked is not None:
                return asked.is_awaited(subject)
        return bool(self.router.route(subject))

    def backlog(self, inbox: bytes) -> int:
        """Return the bytes waiting in the fullest connection among those that subscribe to `inbox`."""
        asked = self.asked(inbox) if inbox.startswith(REPLY_PREFIX) else None
        if asked is not None:
            return asked.backlog_of(inbox)
        route = self.router.route(inbox)
        return max((one.backlog() for group in (route.members, *route.groups) for one in group), default=0)

    def watch_interest(self, subject: bytes, changed: Callable[[bool], None]) -> Watch:
        """Call `changed` when interest in a literal subject begins (True) or ends (False)."""
        asked = self.asked(subject) if subject.startswith(REPLY_PREFIX) else None
        if asked is not None:
            watch = asked.watch(subject, changed)
            if watch is not None:
                return watch
        return self._watches.add(subject, changed)


def _plus(
    sent: tuple[int, int], received: tuple[int, int], connection: ClientConnection
) -> tuple[tuple[int, int], tuple[int, int]]:
    return (
        (sent[0] + connection.out_messages, sent[1] + connection.out_bytes),
        (received[0] + connection.parser.message_count, received[1] + connection.parser.payload_bytes),
    )
