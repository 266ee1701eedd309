"""What the parts of the node promise each other, as types without code.

The node implements `Node`, `Account` and `Client`; JetStream is written against them alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from memphis_desktop.protocol.message import Message

if TYPE_CHECKING:
    from memphis_desktop.broker.clock import Clock
    from memphis_desktop.broker.handlers import Pending
    from memphis_desktop.broker.jetstream.limits import AccountLimits
    from memphis_desktop.protocol.acks import AckRun
    from memphis_desktop.protocol.deliveries import DeliveryBlock

# A server-side subscriber. It gets, once per chunk read from one connection, everything of that chunk that
# its pattern matched, in order, and who sent it (None for the node itself). It must not block.
Handler: TypeAlias = Callable[[list[Message], "Client | None"], None]

# The same for plain acks in bulk.
AckHandler: TypeAlias = "Callable[[AckRun], None]"


class Client(Protocol):
    """The connection a message came from."""

    @property
    def client_id(self) -> int:
        """The connection's id, unique while the node runs."""

    def describe(self) -> dict[str, Any]:
        """Return the ``client`` object of JetStream advisories (3.6 of the protocol notes)."""


class Subscription(Protocol):
    """A server-side subscription, as `Account.subscribe` returns it."""

    pattern: bytes


class InterestWatch(Protocol):
    """A watch on whether anybody subscribes to a subject."""

    def cancel(self) -> None:
        """Stop watching."""


class Account(Protocol):
    """One subject space. Nothing in it sees another account's traffic."""

    name: str
    jetstream_enabled: bool

    def subscribe(
        self,
        pattern: bytes,
        handler: Handler,
        queue: bytes = b"",
        *,
        merge: bool = False,
        acks: AckHandler | None = None,
    ) -> Subscription:
        """Have `handler` called with what is published to `pattern`.

        Subscriptions with equal handlers get one call per chunk with all their messages in published order.
        With `merge` the handler does not care who published: while many connections publish at once, it gets
        the chunks of one turn of the loop in one call, with None as the client. Acks in bulk are given to
        `acks` where that is possible.
        """

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a server-side subscription."""

    def publish(self, message: Message) -> None:
        """Route a message from the node itself, as if a client had published it (echo on, no permissions).

        What it causes reaches sockets at the end of the present turn; see `Node.flush`.
        """

    def publish_many(self, messages: Sequence[Message]) -> None:
        """Publish each of `messages`, in order, as `publish` does.

        Made for the answers to a chunk: many replies that differ in their last token only.
        """

    def send_now(self, subject: bytes, payload: bytes) -> bool:
        """Send a message from the node itself on its way before this call returns.

        That works when it goes to one client which takes it at once. Nothing is called back meanwhile. False
        when it has to be published.
        """

    def deliver(self, inbox: bytes, messages: Sequence[Message]) -> bool:
        """Send `messages` to whoever subscribes to `inbox`, each showing its own subject, not the inbox.

        For a queue group each goes to one member. Returns False, having sent nothing, when nobody does.
        """

    def deliver_block(self, inbox: bytes, block: DeliveryBlock) -> bool:
        """Send a consumer's messages as `deliver` does, without making an object of each where that goes."""

    def has_interest(self, subject: bytes) -> bool:
        """Return whether any client or server-side subscription matches this literal subject."""

    def backlog(self, inbox: bytes) -> int:
        """Return the bytes waiting in the fullest connection among those that subscribe to `inbox`.

        A consumer with much to deliver holds back while its reader is behind; 0 when nobody subscribes.
        """

    def watch_interest(self, subject: bytes, changed: Callable[[bool], None]) -> InterestWatch:
        """Call `changed` when interest in a literal subject begins (True) or ends (False)."""


class Node(Protocol):
    """What JetStream may know of the node it runs in."""

    server_id: str
    server_name: str
    version: str
    clock: Clock

    @property
    def max_payload(self) -> int:
        """The largest message that clients may publish, in bytes."""

    @property
    def system_account(self) -> Account:
        """The ``$SYS`` account."""

    @property
    def accounts(self) -> Mapping[str, Account]:
        """Every account by name, the system account included."""

    def flush(self) -> None:
        """Write out what this turn has put into connections' buffers: one write per connection.

        Called by the node after every chunk it handled. Code that runs outside of that, such as a timer or a
        durability callback, calls it once at its end; if it forgets, the node flushes in the next turn.
        """

    def server_info(self) -> dict[str, Any]:
        """Return the ``server`` object of events and monitoring answers."""


class JetStreamService(Protocol):
    """JetStream as the node starts, ends and reports on it: what ``jetstream.service.JetStream`` is."""

    def enable(self, account: Account, limits: AccountLimits | None = None) -> object:
        """Serve the API in this account, within its limits."""

    def recover(self) -> None:
        """Open everything that is in the store; called once, before the node listens."""

    def shutdown(self) -> None:
        """End all consumers and streams in order; the store itself is closed by the node."""

    def statistics(self) -> dict[str, Any]:
        """Return memory, storage, reserved_memory, reserved_storage, accounts, ha_assets and api."""

    def totals(self) -> dict[str, int]:
        """Return the numbers of streams, consumers, messages and bytes."""

    def account_details(
        self,
        account: str = "",
        *,
        streams: bool = False,
        consumers: bool = False,
        config: bool = False,
        direct: bool = False,
    ) -> list[dict[str, Any]]:
        """Return the rows of JSZ: every account with JetStream, or only `account`."""

    def check_health(self, account: str = "", stream: str = "", consumer: str = "") -> str:
        """Return what is wrong, in the words of ``/healthz``; "" when nothing is."""


class Publisher(Protocol):
    """What routing needs to know of the connection that published."""

    @property
    def echo(self) -> bool:
        """Whether it gets its own messages."""

    @property
    def no_responders(self) -> bool:
        """Whether it wants to be told that nobody listens."""

    def tell_no_responders(self, message: Message) -> None:
        """Tell it so."""

    def stall(self) -> None:
        """Slow it down: a subscriber has fallen behind."""

    def request_info(self, *, detailed: bool) -> dict[str, Any]:
        """Return what a service in another account is told of it: its account, or all."""


class Subscriber(Protocol):
    """A subscription of a client or of the node itself."""

    pattern: bytes
    queue: bytes
    order: int  # when it was made, among all of the account; the router sets it

    def belongs_to(self, sender: object) -> bool:
        """Return whether this is a subscription of the connection `sender`."""

    def take(self, messages: list[Message], sender: Publisher | None, pending: Pending) -> bool | None:
        """Take messages, in order. The list belongs to the caller. False: nobody is there after all."""

    def backlog(self) -> int:
        """Return the bytes that wait for its reader; 0 for a handler."""

    def figures(self) -> tuple[bytes, int, int, int]:
        """Return sid, messages delivered, maximum (0 for none) and the connection's id, for monitoring."""
