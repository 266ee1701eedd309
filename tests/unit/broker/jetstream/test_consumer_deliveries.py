"""The state machine of deliveries, against a model that keeps everything in the plainest way."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from memphis_desktop.broker.jetstream.consumer_deliveries import Deliveries, Exhausted
from memphis_desktop.broker.jetstream.consumer_pending import NEVER, PendingTable

SECOND = 1_000_000_000


class DeliveriesMachine(RuleBasedStateMachine):
    """Deliver, answer, let time pass, restart; the floor and what comes again must be as the rules say."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.offset_ns = 1_700_000_000 * SECOND
        self.waits = (2.0, 5.0)
        self.max_deliver = 4
        self.deliveries = self.fresh()
        self.next_sequence = 1
        self.deadline: dict[int, float] = {}  # of every pending message that is not queued
        self.count: dict[int, int] = {}
        self.queue: list[int] = []
        self.first_number: dict[int, int] = {}
        self.numbers = 0
        self.past: set[int] = set()

    def fresh(self) -> Deliveries:
        made = Deliveries()
        made.configure(2 * SECOND, [2 * SECOND, 5 * SECOND], self.max_deliver)
        return made

    @property
    def now_ns(self) -> int:
        return self.offset_ns + round(self.now * SECOND)

    def wait(self, sequence: int) -> float:
        return self.waits[min(self.count[sequence] - 1, 1)]

    @property
    def pending(self) -> list[int]:
        return sorted([*self.deadline, *self.queue])

    @rule(gaps=st.lists(st.integers(1, 3), min_size=1, max_size=12))
    def deliver(self, gaps: list[int]) -> None:
        sequences = []
        for gap in gaps:
            self.next_sequence += gap
            sequences.append(self.next_sequence)
        first = self.deliveries.first_delivery(sequences, self.now, self.now_ns, tracked=True)
        for number, sequence in enumerate(sequences, first):
            self.count[sequence] = 1
            self.deadline[sequence] = self.now + self.wait(sequence)
            self.first_number[sequence] = number
        self.numbers += len(sequences)

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.sampled_from(self.pending), unique=True, max_size=4))
        assert self.deliveries.settle(chosen) == chosen
        self.deliveries.raise_floor()
        for sequence in chosen:
            self.deadline.pop(sequence, None)
            if sequence in self.queue:
                self.queue.remove(sequence)

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def ack_a_batch(self, data: st.DataObject) -> None:
        """Ack neighbours in one go, some of them a second time."""
        start = data.draw(st.integers(0, len(self.pending) - 1))
        chosen = self.pending[start : start + data.draw(st.integers(1, 15))]
        again = data.draw(st.sampled_from([[], chosen[:1], [self.next_sequence + 1]]))
        assert self.deliveries.table.take(chosen + again) == chosen
        self.deliveries.acked(chosen, self.now_ns)
        for sequence in chosen:
            self.deadline.pop(sequence, None)
            if sequence in self.queue:
                self.queue.remove(sequence)

    @precondition(lambda self: self.deadline)
    @rule(data=st.data(), delay=st.sampled_from([None, 0.5, 3.0, 30.0]))
    def nak(self, data: st.DataObject, delay: float | None) -> None:
        sequence = data.draw(st.sampled_from(sorted(self.deadline)))
        if delay is None:
            del self.deadline[sequence]
            self.queue.append(sequence)
            assert self.deliveries.requeue(sequence)
        else:
            self.deadline[sequence] = self.now + delay
            self.deliveries.postpone(sequence, delay, self.now, self.now_ns)

    @precondition(lambda self: self.deadline)
    @rule(data=st.data())
    def work_in_progress(self, data: st.DataObject) -> None:
        sequence = data.draw(st.sampled_from(sorted(self.deadline)))
        self.deliveries.touch(sequence, self.now, self.now_ns)
        self.deadline[sequence] = self.now + self.wait(sequence)

    @rule(seconds=st.sampled_from([0.25, 1.0, 2.5, 6.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.now += seconds
        due = sorted(sequence for sequence, deadline in self.deadline.items() if deadline <= self.now)
        assert (self.deliveries.next_deadline <= self.now) >= bool(due)
        expiry = self.deliveries.expire(self.now)
        assert expiry.queued == len(due)
        assert expiry.exhausted == []
        for sequence in due:
            del self.deadline[sequence]
            self.queue.append(sequence)

    @rule()
    def redeliver(self) -> None:
        taken = self.deliveries.take_redelivery()
        if not self.queue:
            assert taken is None
            return
        sequence = self.queue.pop(0)
        if self.count[sequence] == self.max_deliver:
            assert taken == Exhausted(sequence, self.max_deliver)
            self.deliveries.raise_floor()
            self.past.add(sequence)
            return
        self.count[sequence] += 1
        assert taken == (sequence, self.count[sequence])
        self.numbers += 1
        assert self.deliveries.redelivered(sequence, self.now, self.now_ns) == self.numbers
        self.deadline[sequence] = self.now + self.wait(sequence)

    @rule(jump=st.sampled_from([0, -3600, 3600]))
    def restart(self, jump: int) -> None:
        """Restart; the queue becomes due at once, and a jump of the clock shortens or lengthens no wait."""
        if jump < 0:
            # A clock set back makes deliveries look as if made in the future: their whole wait is kept.
            return
        state = self.deliveries.state()
        self.deliveries = self.fresh()
        self.deliveries.load(state, self.now, self.now_ns)
        for sequence in self.queue:
            # Without a nak written for it, a queued message had run out: its deadline has passed.
            self.deliveries.postpone(sequence, 0.0, self.now, self.now_ns)
            self.deadline[sequence] = self.now
        self.queue = []

    @rule()
    def look_at_each(self) -> None:
        assert list(self.deliveries.pending) == self.pending
        for sequence, deadline in self.deadline.items():
            assert abs(self.deliveries.pending[sequence][1] - deadline) < 1e-6

    @invariant()
    def it_agrees(self) -> None:
        table, pending = self.deliveries.table, self.pending
        assert len(table) == len(pending)
        assert [one for one in range(self.next_sequence + 2) if one in table] == pending
        assert table.up_to(self.next_sequence // 2) == [s for s in pending if s <= self.next_sequence // 2]
        lowest = table.lowest()
        assert (lowest and lowest[0]) == (pending[0] if pending else None)
        assert list(self.deliveries.queue) == self.queue
        assert self.deliveries.delivered_consumer == self.numbers
        again = {s for s in self.pending if self.count[s] > 1} | self.past
        assert set(self.deliveries.redeliveries) == again

    @invariant()
    def the_floor_is_below_everything_pending(self) -> None:
        if self.pending:
            lowest = self.pending[0]
            assert self.deliveries.floor_stream < lowest
            assert self.deliveries.floor_consumer < self.first_number[lowest]
        elif self.numbers:
            assert self.deliveries.floor_stream == self.deliveries.delivered_stream
            assert self.deliveries.floor_consumer == self.deliveries.delivered_consumer


DeliveriesMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestDeliveries = DeliveriesMachine.TestCase


def test_a_wait_is_neither_longer_nor_shorter_after_a_jump_of_the_clock() -> None:
    deliveries = Deliveries()
    deliveries.configure(10 * SECOND, [], -1)
    deliveries.first_delivery([1], 0.0, 1000 * SECOND, tracked=True)
    state = deliveries.state()
    for now_ns, expected in ((1003, 7.0), (1050, 0.0)):
        later = Deliveries()
        later.configure(10 * SECOND, [], -1)
        later.load(state, 100.0, now_ns * SECOND)
        assert later.pending[1][1] == 100.0 + expected


def test_deadlines_do_not_pile_up() -> None:
    deliveries = Deliveries()
    deliveries.configure(3600 * SECOND, [], -1)
    for start in range(0, 200_000, 500):
        batch = list(range(start + 1, start + 501))
        deliveries.first_delivery(batch, float(start), 0, tracked=True)
        for sequence in batch:
            del deliveries.pending[sequence]
        deliveries.acked(batch, 0)
    assert deliveries.next_deadline == NEVER or len(deliveries._deadlines) < 50
    assert deliveries.floor_stream == 200_000


def test_batches_stay_together_however_they_are_acked_in_order() -> None:
    table = PendingTable()
    for start in range(0, 10_000, 500):
        table.add(list(range(start + 1, start + 501)), start + 1, 1.0, 0)
    assert table.take(list(range(1, 751))) == list(range(1, 751))  # more than one batch
    assert [table.take_one(sequence) for sequence in range(751, 761)] == [True] * 10
    assert not table.take_one(5)
    assert table.take([900, 901, 5, 20_000, 902]) == [900, 901, 902]
    assert len(table._runs) == 20
    assert table.lowest() == (761, 761)
    assert len(table.entries) == len(table) == 10_000 - 763


def test_acks_in_no_order_do_not_make_ever_more_runs() -> None:
    table = PendingTable()
    table.add(list(range(1, 2001)), 1, 1.0, 0)
    odd = list(range(1, 2001, 2))
    assert table.take(odd) == odd
    assert not table._runs
    assert list(table.entries) == list(range(2, 2001, 2))
    assert table.entries[1000] == (1000, 1.0, 0)


def test_a_changed_ack_wait_moves_deadlines() -> None:
    deliveries = Deliveries()
    deliveries.configure(10 * SECOND, [], -1)
    deliveries.first_delivery([1, 2], 0.0, 0, tracked=True)
    deliveries.configure(3 * SECOND, [], -1)
    assert deliveries.expire(2.9).queued == 0
    assert deliveries.expire(3.0).queued == 2


def test_max_deliver_of_one_ends_at_the_first_wait() -> None:
    deliveries = Deliveries()
    deliveries.configure(SECOND, [], 1)
    deliveries.first_delivery([7], 0.0, 0, tracked=True)
    expiry = deliveries.expire(1.0)
    assert expiry.exhausted == [Exhausted(7, 1)]
    assert not deliveries.pending
