"""What a consumer has delivered and not yet heard of again: pending, ack floor, redelivery.

A state machine without input, output or clock: the time comes as an argument. Deadlines are on a monotonic
clock (seconds), times of delivery on the wall clock (nanoseconds).

Rules (2.7 of the protocol notes):

- A delivery is pending until it is acked, terminated or past max_deliver.
- When its wait is over it joins the redelivery queue: first in, first out, those whose wait ends together in
  stream order. In the queue it has no deadline; the next delivery gives it one.
- The ack floor does not pass a message past max_deliver, until nothing at all is pending after an answer.
- `redeliveries` counts the deliveries after the first. Its entries outlive pending for messages past
  max_deliver, which stay known (interest streams keep them) until they are acked or leave the stream.
- Keys of `pending` are always in ascending order: first deliveries ascend, and redelivery keeps the place.
  Who only wants to know how many there are, or whether one is, or to take some out, asks `table`: to look
  into `pending` costs as much as there is in it.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from memphis_desktop.broker.jetstream.consumer_pending import NEVER, Entry, PendingTable
from memphis_desktop.broker.store.interface import ConsumerState, PendingDelivery

_NS = 1_000_000_000
_SPARE = 4096  # planned deadlines that may outnumber twice the pending messages before they are rebuilt


class Exhausted(NamedTuple):
    """A message that reached max_deliver just now."""

    sequence: int
    deliveries: int


class Expiry(NamedTuple):
    """What came of the deadlines that have passed."""

    queued: int
    exhausted: list[Exhausted]


class Deliveries:
    """The pending messages of one consumer, its floors and its redelivery queue."""

    __slots__ = (
        "_deadlines",
        "_is_stuck",
        "_planned",
        "_removed",
        "_waits",
        "delivered_consumer",
        "delivered_stream",
        "floor_consumer",
        "floor_stream",
        "last_acked_ns",
        "last_delivered_ns",
        "max_deliver",
        "queue",
        "redeliveries",
        "table",
    )

    def __init__(self) -> None:
        """Make an empty one; `configure` sets the waits, `load` takes a recovered state."""
        self.table = PendingTable()
        self.redeliveries: dict[int, int] = {}
        self.queue: OrderedDict[int, None] = OrderedDict()
        self.delivered_consumer = 0
        self.delivered_stream = 0
        self.floor_consumer = 0
        self.floor_stream = 0
        self.last_delivered_ns = 0
        self.last_acked_ns = 0
        self.max_deliver = 0  # 0 is without limit
        self._waits: tuple[float, ...] = (NEVER,)
        self._deadlines: list[tuple[float, list[int]]] = []  # a heap; entries may be out of date
        self._planned = 0  # sequences in it
        # The message above the ack floor is past max_deliver: the floor stays until all others are answered.
        self._is_stuck = False
        self._removed = 0  # entries deleted from `pending` since it was last packed

    @property
    def pending(self) -> dict[int, Entry]:
        """What was delivered and not answered yet, by stream sequence."""
        return self.table.entries

    # -- configuration ---------------------------------------------------------------------------------------
    def configure(self, ack_wait_ns: int, backoff_ns: Sequence[int], max_deliver: int) -> None:
        """Set the rules; pending deadlines move by the difference when the waits change."""
        waits = tuple(delay / _NS for delay in backoff_ns) or ((ack_wait_ns / _NS) if ack_wait_ns else NEVER,)
        self.max_deliver = max(max_deliver, 0)
        if waits == self._waits:
            return
        former, self._waits = self._waits, waits
        pending = self.pending
        for sequence, (consumer_sequence, deadline, time_ns) in pending.items():
            if deadline != NEVER and sequence not in self.queue:
                count = self.redeliveries.get(sequence, 0)
                moved = deadline - former[min(count, len(former) - 1)] + waits[min(count, len(waits) - 1)]
                pending[sequence] = (consumer_sequence, moved, time_ns)
        self._plan_again()

    def wait(self, sequence: int) -> float:
        """Return how many seconds the latest delivery of a message may stay unanswered."""
        if len(self._waits) == 1:
            return self._waits[0]
        return self._waits[min(self.redeliveries.get(sequence, 0), len(self._waits) - 1)]

    # -- state -----------------------------------------------------------------------------------------------
    def load(self, state: ConsumerState, now: float, now_ns: int) -> None:
        """Take a recovered state. No wait becomes longer or shorter than it was by a jump of the clock."""
        self.delivered_consumer = state.delivered_consumer
        self.delivered_stream = state.delivered_stream
        self.floor_consumer = state.ack_floor_consumer
        self.floor_stream = state.ack_floor_stream
        self.last_delivered_ns = state.last_delivered_ns
        self.last_acked_ns = state.last_acked_ns
        self.redeliveries = {sequence: count - 1 for sequence, count in state.exhausted.items()}
        pending = self.pending
        for sequence in sorted(state.pending):
            delivery = state.pending[sequence]
            if delivery.deliveries > 1:
                self.redeliveries[sequence] = delivery.deliveries - 1
            wait = self.wait(sequence)
            deadline = NEVER
            if wait != NEVER:
                # A delayed nak leaves a time of delivery in the future; a clock set back does so as well.
                age = (now_ns - delivery.time_ns) / _NS
                deadline = now + max(0.0, wait - age)
            pending[sequence] = (delivery.consumer_sequence, deadline, delivery.time_ns)
        lowest = self.table.lowest()
        self._is_stuck = lowest is not None and lowest[1] != self.floor_consumer + 1
        self._plan_again()

    def state(self, skip_until: int = 0) -> ConsumerState:
        """Return everything that has to survive a restart."""
        counts, pending = self.redeliveries, self.pending
        return ConsumerState(
            delivered_consumer=self.delivered_consumer,
            delivered_stream=self.delivered_stream,
            ack_floor_consumer=self.floor_consumer,
            ack_floor_stream=self.floor_stream,
            last_delivered_ns=self.last_delivered_ns,
            last_acked_ns=self.last_acked_ns,
            pending={
                sequence: PendingDelivery(entry[0], entry[2], counts.get(sequence, 0) + 1)
                for sequence, entry in pending.items()
            },
            exhausted={s: count + 1 for s, count in counts.items() if s not in pending},
            skip_until=skip_until,
        )

    def reset(self, stream_sequence: int) -> None:
        """Forget everything and stand behind `stream_sequence`."""
        self.table.clear()
        self.redeliveries = {}
        self.queue.clear()
        self.delivered_consumer = self.floor_consumer = 0
        self.delivered_stream = self.floor_stream = stream_sequence
        self.last_delivered_ns = self.last_acked_ns = 0
        self._plan_again()

    # -- delivering ------------------------------------------------------------------------------------------
    def first_delivery(self, sequences: Sequence[int], now: float, now_ns: int, *, tracked: bool) -> int:
        """Note that these (ascending, above all before) go out; return the first consumer sequence.

        Args:
            sequences: stream sequences, at least one.
            now: monotonic seconds.
            now_ns: wall time.
            tracked: False for ack policy none, where delivered is as good as acked.
        """
        sequences = list(sequences)
        first = self.delivered_consumer + 1
        self.delivered_consumer += len(sequences)
        self.delivered_stream = sequences[-1]
        self.last_delivered_ns = now_ns
        if not tracked:
            self.floor_consumer = self.delivered_consumer
            self.floor_stream = self.delivered_stream
            return first
        wait = self._waits[0]
        deadline = now + wait
        if not len(self.table):
            self._is_stuck = self.floor_consumer + 1 != first
        self.table.add(sequences, first, deadline, now_ns)
        if wait != NEVER:
            heapq.heappush(self._deadlines, (deadline, sequences))
            self._planned += len(sequences)
        return first

    def take_redelivery(self) -> tuple[int, int] | Exhausted | None:
        """Take the next message of the redelivery queue.

        Returns:
            Its sequence and how many deliveries it will have had with the coming one; or that it is past
            max_deliver, and pending no more; None when the queue is empty.
        """
        if not self.queue:
            return None
        sequence, _ = self.queue.popitem(last=False)
        deliveries = self.redeliveries.get(sequence, 0) + 2
        if 0 < self.max_deliver < deliveries:
            return self._exhaust(sequence, deliveries - 1)
        return sequence, deliveries

    def put_back(self, sequence: int) -> None:
        """Return a message to the front of the redelivery queue: it was taken, and not delivered."""
        self.queue[sequence] = None
        self.queue.move_to_end(sequence, last=False)

    def redelivered(self, sequence: int, now: float, now_ns: int) -> int:
        """Note that a taken message goes out again; return its consumer sequence."""
        self.delivered_consumer += 1
        self.last_delivered_ns = now_ns
        self.redeliveries[sequence] = self.redeliveries.get(sequence, 0) + 1
        pending = self.pending
        entry = pending.get(sequence)
        deadline = now + self.wait(sequence)
        first = entry[0] if entry is not None else self.delivered_consumer
        pending[sequence] = (first, deadline, now_ns)
        self._plan(deadline, sequence)
        return self.delivered_consumer

    # -- answers ---------------------------------------------------------------------------------------------
    def settle(self, sequences: Iterable[int]) -> list[int]:
        """Take these out of everything; return those that were pending. Call `raise_floor` afterwards."""
        taken = []
        for sequence in sequences:
            if self.table.take_one(sequence):
                taken.append(sequence)
            if self.redeliveries:
                self.redeliveries.pop(sequence, None)
            if self.queue:
                self.queue.pop(sequence, None)
        self._removed += len(taken)
        return taken

    def acked(self, sequences: Sequence[int], now_ns: int) -> None:
        """Follow up acks that the caller has taken out of `table` itself, in one go."""
        if self.redeliveries or self.queue:
            for sequence in sequences:
                self.redeliveries.pop(sequence, None)
                self.queue.pop(sequence, None)
        self.last_acked_ns = now_ns
        if sequences:
            self._removed += len(sequences)
            self.raise_floor()

    def settle_up_to(self, sequence: int) -> list[int]:
        """Take everything up to `sequence` out (ack policy all); return what was pending, ascending."""
        taken = self.settle(self.table.up_to(sequence))
        for known in [known for known in self.redeliveries if known <= sequence]:
            del self.redeliveries[known]
        return taken

    def raise_floor(self) -> None:
        """Move the ack floor up to below the lowest pending message. Once per chunk of answers."""
        table = self.table
        if self._removed > 2 * len(table) + 1024:
            # Deleted entries stay in a dict's table; the search for the first live one would pass them.
            table.pack()
            self._removed = 0
        lowest = table.lowest()
        if lowest is None:
            self._is_stuck = False
            self.floor_consumer = self.delivered_consumer
            self.floor_stream = max(self.floor_stream, self.delivered_stream)
            if not self.queue and self._planned > _SPARE:
                self._plan_again()
            return
        sequence, number = lowest
        if number - 1 > self.floor_consumer and not self._is_stuck:
            self.floor_consumer = number - 1
            self.floor_stream = max(self.floor_stream, sequence - 1)
        if self._planned > 2 * len(table) + _SPARE:
            self._plan_again()

    def requeue(self, sequence: int) -> bool:
        """Queue a pending message for redelivery now (a nak); False when it already is."""
        if sequence in self.queue:
            return False
        self.queue[sequence] = None
        return True

    def postpone(self, sequence: int, delay: float, now: float, now_ns: int) -> int:
        """Redeliver a pending message after `delay` seconds (a delayed nak, or in-progress).

        Returns:
            The time of delivery to note for it: a restart then finds the same deadline.
        """
        deadline = now + delay
        wait = self.wait(sequence)
        time_ns = now_ns if wait == NEVER else now_ns - round((wait - delay) * _NS)
        pending = self.pending
        pending[sequence] = (pending[sequence][0], deadline, time_ns)
        self._plan(deadline, sequence)
        return time_ns

    def touch(self, sequence: int, now: float, now_ns: int) -> int:
        """Start the wait of a pending message again (in-progress); return the time to note for it."""
        wait = self.wait(sequence)
        if wait == NEVER:
            return now_ns
        return self.postpone(sequence, wait, now, now_ns)

    # -- time ------------------------------------------------------------------------------------------------
    def expire(self, now: float) -> Expiry:
        """Queue what waited long enough, and take out what may not be delivered again."""
        due: set[int] = set()
        heap = self._deadlines
        if not heap or heap[0][0] > now:
            return Expiry(0, [])
        pending = self.table.due(now)
        while heap and heap[0][0] <= now:
            _, sequences = heapq.heappop(heap)
            self._planned -= len(sequences)
            for sequence in sequences:
                entry = pending.get(sequence)
                if entry is not None and entry[1] <= now and sequence not in self.queue:
                    due.add(sequence)
        exhausted = []
        queued = 0
        for sequence in sorted(due):
            # With max_deliver above 1 the reference server finds out when the message's turn to be delivered
            # has come (`take_redelivery`), so not before somebody pulls.
            redeliveries = max(self.redeliveries.get(sequence, 0), 1)
            if 0 < self.max_deliver <= redeliveries:
                exhausted.append(self._exhaust(sequence, redeliveries))
            else:
                self.queue[sequence] = None
                queued += 1
        return Expiry(queued, exhausted)

    def queue_all(self) -> None:
        """Queue every pending message for redelivery, as when the deliver subject changes."""
        for sequence in self.pending:
            if sequence not in self.queue:
                self.queue[sequence] = None

    @property
    def next_deadline(self) -> float:
        """The earliest time at which `expire` may have something to do."""
        return self._deadlines[0][0] if self._deadlines else NEVER

    @property
    def last_deadline(self) -> float:
        """The time by which all pending deliveries will have been waited for; -inf when there are none."""
        return self.table.last_deadline()

    def _exhaust(self, sequence: int, deliveries: int) -> Exhausted:
        entry = self.pending.pop(sequence, None)
        if entry is not None:
            self._removed += 1
            if entry[0] == self.floor_consumer + 1:
                self._is_stuck = True
        self.redeliveries[sequence] = deliveries - 1 if deliveries > 1 else 0
        return Exhausted(sequence, deliveries)

    def _plan(self, deadline: float, sequence: int) -> None:
        if deadline != NEVER:
            heapq.heappush(self._deadlines, (deadline, [sequence]))
            self._planned += 1

    def _plan_again(self) -> None:
        """Build the heap anew from what is pending; deliveries of one moment share an entry."""
        together = self.table.by_deadline()
        together.pop(NEVER, None)
        if self.queue:
            queue = self.queue
            together = {
                deadline: left
                for deadline, sequences in together.items()
                if (left := [sequence for sequence in sequences if sequence not in queue])
            }
        self._deadlines = list(together.items())
        heapq.heapify(self._deadlines)
        self._planned = sum(len(sequences) for _, sequences in self._deadlines)
