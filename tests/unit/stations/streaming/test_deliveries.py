"""Who gets which message, and what is out: on an imagined clock, against a simple model."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from memphis_desktop.stations.streaming.deliveries import Deliveries, Member


def member(name: str, max_in_flight: int = 10, ack_wait: float = 30) -> Member:
    return Member(name, name, "orders", f"_INBOX.{name}", max_in_flight, ack_wait)


def names(deliveries: Deliveries, sequences: range) -> str:
    assigned = (deliveries.assign(sequence, f"ack.{sequence}", 0) for sequence in sequences)
    return "".join(each.id for each in assigned if each)


def test_members_take_turns() -> None:
    deliveries = Deliveries()
    for name in "abc":
        deliveries.join(member(name))
    assert names(deliveries, range(6)) == "abcabc"


def test_who_has_less_gets_more_and_a_stalled_or_silent_one_nothing() -> None:
    deliveries = Deliveries()
    slow, silent, quick = member("s", 1), member("x"), member("q")
    silent.silent = True
    for each in (slow, silent, quick):
        deliveries.join(each)
    assert names(deliveries, range(4)) == "sqqq"
    assert deliveries.acknowledge(0) == "ack.0"
    assert names(deliveries, range(4, 5)) == "s"


def test_a_redelivery_is_sent_even_when_all_are_stalled() -> None:
    deliveries = Deliveries()
    deliveries.join(member("a", 1))
    assert names(deliveries, range(2)) == "aa"


def test_redelivery_to_another_member_takes_the_message_from_the_first() -> None:
    deliveries = Deliveries()
    a, b = member("a"), member("b")
    deliveries.join(a)
    deliveries.assign(1, "first", 0)
    deliveries.join(b)
    a.silent = True
    assert deliveries.assign(1, "second", 40) is b
    assert (list(a.out), list(b.out)) == ([], [1])
    assert deliveries.acknowledge(1) == "second"
    assert deliveries.acknowledge(1) is None


def test_a_leaving_member_gives_back_what_it_had() -> None:
    deliveries = Deliveries()
    for name in "ab":
        deliveries.join(member(name))
    names(deliveries, range(4))
    assert deliveries.leave("a") == ["ack.0", "ack.2"]
    assert deliveries.leave("a") == []
    assert len(deliveries) == 2
    assert deliveries.capacity == 10


def test_a_member_of_less_patience_than_the_consumer_gets_its_messages_again_earlier() -> None:
    deliveries = Deliveries()
    deliveries.join(member("a", ack_wait=5))
    deliveries.join(member("b", ack_wait=30))
    names(deliveries, range(2))
    assert deliveries.ack_wait == 30
    assert deliveries.overdue(4.9) == []
    assert deliveries.overdue(5.1) == ["ack.0"]
    assert deliveries.overdue(40) == []  # JetStream itself redelivers the other one
    assert deliveries.overdue(1000) == []
    assert len(deliveries) == 0  # and it never did, so the stream no longer has it


class Model(RuleBasedStateMachine):
    """Any order of events leaves the book consistent."""

    def __init__(self) -> None:
        super().__init__()
        self.deliveries = Deliveries()
        self.now = 0.0
        self.out: set[int] = set()

    @rule(name=st.sampled_from("abcd"), size=st.integers(1, 3), wait=st.sampled_from([1.0, 5.0]))
    def join(self, name: str, size: int, wait: float) -> None:
        if name not in self.deliveries.members:
            self.deliveries.join(member(name, size, wait))

    @precondition(lambda self: self.deliveries.members)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.deliveries.members)))
        had = set(self.deliveries.members[name].out)
        assert len(self.deliveries.leave(name)) == len(had)
        self.out -= had

    @rule(sequence=st.integers(1, 12))
    def deliver(self, sequence: int) -> None:
        assigned = self.deliveries.assign(sequence, f"ack.{sequence}", self.now)
        assert (assigned is None) is (not self.deliveries.members)
        if assigned:
            self.out.add(sequence)

    @rule(sequence=st.integers(1, 12))
    def acknowledge(self, sequence: int) -> None:
        known = sequence in self.out
        assert self.deliveries.acknowledge(sequence) == (f"ack.{sequence}" if known else None)
        self.out.discard(sequence)

    @rule(seconds=st.floats(0, 200))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        before = len(self.out)
        self.deliveries.overdue(self.now)
        self.out = {sequence for each in self.deliveries.members.values() for sequence in each.out}
        assert len(self.out) <= before

    @invariant()
    def consistent(self) -> None:
        held = [sequence for each in self.deliveries.members.values() for sequence in each.out]
        assert sorted(held) == sorted(self.out)
        assert len(self.deliveries) == len(self.out)


Model.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestModel = Model.TestCase
