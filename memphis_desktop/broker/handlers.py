"""Subscribers within the node: what a chunk or a turn of the loop holds for them, and the calls."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from memphis_desktop.broker.contracts import AckHandler, Handler, Publisher
    from memphis_desktop.protocol.acks import AckRun
    from memphis_desktop.protocol.message import Message

log = logging.getLogger(__name__)


class HandlerSubscription:
    """A server-side subscription. Its handler is called once for all that a chunk brought it.

    A *barrier* handler answers requests whose outcome depends on what was published before, so it is called
    at its place in the chunk, after the handlers of everything that stood in front of it. One that *merges*
    may be called later in the turn, for several connections at once: see `Turn`.
    """

    __slots__ = ("acks", "active", "barrier", "handler", "merge", "order", "pattern", "queue")

    def __init__(
        self,
        pattern: bytes,
        handler: Handler,
        queue: bytes = b"",
        *,
        merge: bool = False,
        acks: AckHandler | None = None,
    ) -> None:
        self.pattern = pattern
        self.queue = queue
        self.handler = handler
        self.barrier = pattern.startswith((b"$JS.API.", b"$SYS."))
        self.merge = merge
        self.acks = acks  # takes plain acks in bulk
        self.active = True
        self.order = 0

    def belongs_to(self, sender: object) -> bool:
        """A handler belongs to no connection."""
        return False

    def backlog(self) -> int:
        """Nothing waits for a handler."""
        return 0

    def figures(self) -> tuple[bytes, int, int, int]:
        """A handler has no sid, no count and no connection."""
        return b"", 0, 0, 0

    def take(self, messages: list[Message], sender: Publisher | None, pending: Pending) -> None:
        """Keep the messages until the handler's turn comes."""
        if self.merge and pending.turn.collects:
            pending.turn.add(self, messages)
            return
        if self.barrier:
            pending.turn.run()
            pending.run()
            pending.batches[self.handler] = (self, list(messages))
            pending.run()
            return
        there = pending.batches.get(self.handler)
        if there is None:
            pending.batches[self.handler] = (self, list(messages))
        else:
            there[1].extend(messages)


Batches: TypeAlias = "dict[Handler, tuple[HandlerSubscription, list[Message]]]"


def call_handlers(batches: Batches, sender: Publisher | None) -> None:
    """Call handlers with their messages; a failing one is logged and harms nobody else."""
    for subscription, batch in batches.values():
        call_handler(subscription, batch, sender)


def call_handler(
    subscription: HandlerSubscription, messages: list[Message], sender: Publisher | None
) -> None:
    """Call the handler of one subscription, as `call_handlers` does."""
    if subscription.active:
        try:
            subscription.handler(messages, sender)  # type: ignore[arg-type]
        except Exception:
            log.exception("A handler of %r failed", subscription.pattern)


def call_with_acks(subscription: HandlerSubscription, run: AckRun) -> None:
    """Give acks in bulk to the handler of one subscription, which takes them, as `call_handlers` does."""
    if subscription.active and subscription.acks is not None:
        try:
            subscription.acks(run)
        except Exception:
            log.exception("A handler of %r failed", subscription.pattern)


class Pending:
    """What one chunk holds for server-side handlers, until they are called: one list for each handler."""

    __slots__ = ("batches", "inbox", "sender", "turn")

    def __init__(self, sender: Publisher | None, turn: Turn, inbox: bytes = b"") -> None:
        """`inbox` is where messages go that keep their own subject."""
        self.inbox = inbox
        self.sender = sender
        self.turn = turn
        self.batches: Batches = {}

    def run(self) -> None:
        """Call the handlers."""
        while self.batches:
            batches, self.batches = self.batches, {}
            call_handlers(batches, self.sender)


class Turn:
    """What one turn of the loop holds for handlers that merge.

    A call of a stream's handler costs the same for one message as for a hundred. While many connections
    publish one message each, their chunks are collected and handed over together at the end of the turn.
    Whether that pays is seen from what it brings: when only one chunk was collected, it ends again.
    """

    # Chunks of different connections within this time (seconds) are the reason to try.
    _CLOSE_TOGETHER = 0.0005
    # After an attempt in vain so many chunks pass before the next.
    _PATIENCE = 32
    # More messages than that are handed over at once: the turn must stay short.
    _ENOUGH = 1024

    def __init__(self, call_soon: Callable[[Callable[[], None]], None]) -> None:
        """`call_soon` plans a call at the end of this turn of the loop or in the next."""
        self.collects = False
        self._call_soon = call_soon
        self._batches: Batches = {}
        self._messages = 0
        self._chunks = 0
        self._planned = False
        self._last_sender: object = None
        self._last_time = 0.0
        self._patience = 0

    def chunk_begins(self, sender: object, now: float) -> None:
        """A chunk of a connection is going to be routed."""
        self._chunks += 1
        if not self.collects and sender is not self._last_sender:
            self._patience -= 1
            if self._patience < 0 and now - self._last_time < self._CLOSE_TOGETHER:
                self.collects = True
                self._chunks = 1
        self._last_sender, self._last_time = sender, now

    def add(self, subscription: HandlerSubscription, messages: list[Message]) -> None:
        """Keep messages for a handler that merges, behind those it has to get already."""
        there = self._batches.get(subscription.handler)
        if there is None:
            self._batches[subscription.handler] = (subscription, list(messages))
        else:
            there[1].extend(messages)
        self._messages += len(messages)
        if self._messages > self._ENOUGH:
            self.run()
        elif not self._planned:
            self._planned = True
            self._call_soon(self._end)

    def add_chunk(self, subscription: HandlerSubscription, message: Message, sender: object) -> None:
        """Keep a message that is a connection's whole chunk, while `collects`."""
        self._chunks += 1
        self._last_sender = sender
        there = self._batches.get(subscription.handler)
        if there is None:
            self.add(subscription, [message])
            return
        there[1].append(message)
        self._messages += 1
        if self._messages > self._ENOUGH:
            self.run()

    def run(self) -> None:
        """Hand over what was collected."""
        self._messages = 0
        while self._batches:
            batches, self._batches = self._batches, {}
            call_handlers(batches, None)

    def _end(self) -> None:
        self._planned = False
        self.run()
        if self._chunks < 2:
            self.collects = False
            self._patience = self._PATIENCE
        self._chunks = 0
