"""What a stream and its consumers promise each other.

A consumer sees a message when it is durable, never before: a message handed out and then lost in a crash
would give its sequence to another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from memphis_desktop.broker.contracts import Account, Client, Node
    from memphis_desktop.broker.jetstream.config import ConsumerConfig, StreamConfig
    from memphis_desktop.broker.jetstream.documents import StoredPin
    from memphis_desktop.broker.store.interface import (
        ConsumerState,
        ConsumerStore,
        DurableCallback,
        MessageStore,
    )


class StreamHost(Protocol):
    """The stream, as its consumers see it."""

    name: str
    config: StreamConfig
    messages: MessageStore
    account: Account
    node: Node
    closed: bool

    @property
    def visible_sequence(self) -> int:
        """The highest durable sequence: consumers deliver up to here."""

    def consumed(self, consumer: StreamConsumer, sequences: Sequence[int]) -> None:
        """Called when `consumer` is done with these; interest and work-queue streams drop them if all are."""

    def advise(self, kind: str, subject_suffix: str, fields: dict[str, Any]) -> None:
        """Publish an advisory of type ``io.nats.jetstream.advisory.v1.<kind>`` on
        ``$JS.EVENT.ADVISORY.<subject_suffix>``; costs nothing when nobody listens."""

    def metric(self, kind: str, subject_suffix: str, fields: dict[str, Any]) -> None:
        """Publish a metric of type ``io.nats.jetstream.metric.v1.<kind>`` on
        ``$JS.EVENT.METRIC.<subject_suffix>``; costs nothing when nobody listens."""

    def note_consumer(self, consumer: StreamConsumer) -> None:
        """Store what changed of a consumer besides its journal; a failure is logged."""

    def interest_changed(self) -> None:
        """Called when a consumer wants other messages than before, as after CONSUMER.RESET."""

    def remove_consumer(self, name: str) -> None:
        """Delete a consumer that came to the end of its inactive threshold (with its advisory)."""


class StreamConsumer(Protocol):
    """A consumer, as its stream and the API see it."""

    name: str
    config: ConsumerConfig

    def start(self) -> None:
        """Subscribe to its subjects (``$JS.API.CONSUMER.MSG.NEXT.S.C``, ``$JS.ACK.S.C.>``) and begin."""

    def messages_visible(self, first: int, last: int) -> None:
        """New messages became durable; called once per commit."""

    def messages_removed(self, removed: Sequence[tuple[int, bytes]], reason: str) -> None:
        """These left the stream, whatever the cause (a RemovalReason)."""

    def purged(self, *, filtered: bool = False) -> None:
        """The stream was purged; recompute what is pending and where the floors stand.

        With `filtered` it was for some subjects only: pending messages that are gone are terminated.
        """

    def wants(self, sequence: int, subject: bytes) -> bool:
        """Return whether this message still has to be delivered to or acknowledged by this consumer."""

    def update(self, config: ConsumerConfig) -> None:
        """Take a changed configuration that validation has accepted."""

    def pause(self, until_ns: int) -> None:
        """Pause until then; 0 resumes."""

    def unpin(self, group: str) -> None:
        """Take the pin from the client that has it (CONSUMER.UNPIN).

        Raises:
            ApiError: there is no such group.
        """

    def info(self) -> dict[str, Any]:
        """Return ConsumerInfo (2.6 of the protocol notes), without ``type``."""

    def saved_state(self) -> ConsumerState:
        """Return all that it remembers across a restart, its pin apart."""

    def saved_pin(self) -> StoredPin | None:
        """Return who has the pin, to be remembered across a restart."""

    def restore_pin(self, pin: StoredPin) -> None:
        """Give the pin to who had it before the restart."""

    def when_durable(self, callback: DurableCallback) -> None:
        """Call back once all acks until now are on disk, after those who wait for that already."""

    def stop(self, *, deleted: bool) -> None:
        """End: tell waiting pull requests ``409 Consumer Deleted`` or ``Server Shutdown``; write state."""


class ConsumerFactory(Protocol):
    """How a stream makes a consumer: implemented by ``jetstream.consumer.create_consumer``."""

    def __call__(
        self,
        stream: StreamHost,
        name: str,
        config: ConsumerConfig,
        store: ConsumerStore,
        created_ns: int,
        requester: Client | None,
    ) -> StreamConsumer:
        """Build (not start) the consumer; a new one computes its start from the deliver policy."""
