"""Routing against a plain model, and the promises to server-side handlers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from memphis_desktop.broker import routing
from memphis_desktop.broker.accounts import Account
from memphis_desktop.broker.contracts import Publisher
from memphis_desktop.broker.handlers import Pending, Turn
from memphis_desktop.broker.options import AccountOptions, Mapping
from memphis_desktop.broker.routing import NOWHERE
from memphis_desktop.protocol import subjects
from memphis_desktop.protocol.acks import AckRun
from memphis_desktop.protocol.message import Message


class Sink:
    """A client's subscription that remembers what it took."""

    def __init__(self, pattern: bytes, queue: bytes = b"", owner: object = None, waiting: int = 0) -> None:
        self.pattern = pattern
        self.queue = queue
        self.order = 0
        self.owner = owner
        self.waiting = waiting
        self.taken: list[bytes] = []

    def belongs_to(self, sender: object) -> bool:
        return sender is self.owner

    def backlog(self) -> int:
        return self.waiting

    def figures(self) -> tuple[bytes, int, int, int]:
        return b"1", len(self.taken), 0, 1

    def take(self, messages: list[Message], sender: Publisher | None, pending: Pending) -> None:
        self.taken += [message[0] for message in messages]


class Sender:
    """A connection that publishes."""

    def __init__(self, *, echo: bool = True, no_responders: bool = True) -> None:
        self.echo = echo
        self.no_responders = no_responders
        self.unheard: list[bytes] = []

    def tell_no_responders(self, message: Message) -> None:
        self.unheard.append(message[0])

    def stall(self) -> None:
        raise AssertionError("nobody is behind")


def message(subject: bytes, reply: bytes = b"") -> Message:
    return (subject, reply, 0, b"x")


@pytest.fixture
def account() -> Account:
    return Account("A", Turn(lambda callback: None))


def sinks(account: Account, *patterns: bytes, **options: Any) -> list[Sink]:
    made = [Sink(pattern, **options) for pattern in patterns]
    for one in made:
        account.insert(one)
    return made


def test_everybody_whose_pattern_matches_gets_it(account: Account) -> None:
    made = sinks(account, b"a.b", b"a.*", b"a.>", b">", b"*.b", b"a", b"a.b.c", b"a.c")
    account.publish(message(b"a.b"))
    assert [one.pattern for one in made if one.taken] == [b"a.b", b"a.*", b"a.>", b">", b"*.b"]


@pytest.mark.parametrize("subject", [b"a..b", b".a", b"a.", b"", b"."])
def test_empty_tokens_lead_nowhere(account: Account, subject: bytes) -> None:
    (everything, below) = sinks(account, b">", b"a.*")
    account.publish(message(b"a.b"))
    account.publish(message(subject))
    assert (everything.taken, below.taken) == ([b"a.b"], [b"a.b"])


def test_more_subjects_than_are_remembered_lead_where_they_did(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "_CACHE_LIMIT", 4)
    (below, star, other) = sinks(account, b"a.>", b"b.*", b"c.5")
    names = [b"%b.%d" % (letter, number) for number in range(20) for letter in (b"a", b"b", b"c", b"d")]
    names += [b"a..x", b"a.x.", b"b.x.y"]
    for start in range(0, len(names), 10):
        account.publish_from([message(name) for name in names[start : start + 10]], Sender())
    assert below.taken == [b"a.%d" % number for number in range(20)]
    assert star.taken == [b"b.%d" % number for number in range(20)]
    assert other.taken == [b"c.5"]
    sinks(account, b"a.*")
    (late,) = sinks(account, b"a.7")
    account.publish_from([message(b"a.6"), message(b"a.7")], Sender())
    assert late.taken == [b"a.7"]


def test_a_queue_group_gets_one_copy_even_across_patterns(account: Account) -> None:
    group = sinks(account, b"a.*", b"a.b", b">", queue=b"q")
    (plain,) = sinks(account, b"a.b")
    for _ in range(300):
        account.publish(message(b"a.b"))
    assert sum(len(one.taken) for one in group) == 300
    assert all(one.taken for one in group)
    assert len(plain.taken) == 300


def test_a_chunk_for_a_group_is_shared_and_each_share_keeps_order(account: Account) -> None:
    group = sinks(account, b"a.*", b"a.*", queue=b"q")
    account.publish_many([message(b"a.%03d" % number) for number in range(200)])
    assert sorted(group[0].taken + group[1].taken) == [b"a.%03d" % number for number in range(200)]
    assert group[0].taken == sorted(group[0].taken)


def test_without_echo_another_member_is_picked(account: Account) -> None:
    sender = Sender(echo=False)
    own, other = Sink(b"a", b"q", owner=sender), Sink(b"a", b"q")
    plain = Sink(b"a", owner=sender)
    for one in (own, other, plain):
        account.insert(one)
    account.publish_from([message(b"a", b"r")] * 20, sender)
    assert (len(own.taken), len(other.taken), len(plain.taken)) == (0, 20, 0)
    assert sender.unheard == []


def test_the_publisher_is_told_that_nobody_listens(account: Account) -> None:
    sender = Sender()
    sinks(account, b"heard")
    account.publish_from(
        [message(b"x", b"r"), message(b"heard", b"r"), message(b"y"), message(b"z", b"r")], sender
    )
    assert sender.unheard == [b"x", b"z"]
    deaf = Sender(no_responders=False)
    account.publish_from([message(b"x", b"r")], deaf)
    assert deaf.unheard == []


def test_only_its_own_echo_counts_as_nobody(account: Account) -> None:
    sender = Sender(echo=False)
    account.insert(Sink(b"x", owner=sender))
    account.publish_from([message(b"x", b"r")], sender)
    assert sender.unheard == [b"x"]


def test_a_handler_gets_one_call_per_chunk_in_order(account: Account) -> None:
    calls: list[tuple[list[bytes], object]] = []

    def handler(messages: list[Message], sender: object) -> None:
        calls.append(([one[0] for one in messages], sender))

    account.subscribe(b"a.*", handler)
    account.subscribe(b"b", handler)  # the same handler: one stream with two subjects
    sender = Sender()
    account.publish_from([message(one) for one in (b"a.1", b"b", b"x", b"a.2", b"b")], sender)
    assert calls == [([b"a.1", b"b", b"a.2", b"b"], sender)]


def test_a_request_to_the_api_is_answered_at_its_place(account: Account) -> None:
    log: list[tuple[str, int]] = []
    account.subscribe(b"orders.*", lambda messages, _: log.append(("store", len(messages))))
    account.subscribe(b"$JS.API.INFO", lambda messages, _: log.append(("api", len(messages))))
    account.publish_many([message(one) for one in (b"orders.1", b"orders.2", b"$JS.API.INFO", b"orders.3")])
    assert log == [("store", 2), ("api", 1), ("store", 1)]


def test_handlers_that_publish_to_each_other_do_not_recurse(account: Account) -> None:
    depth = [0, 0]
    left = [2000]

    def handler(messages: list[Message], _: object) -> None:
        depth[0] += 1
        depth[1] = max(depth)
        if left[0]:
            left[0] -= 1
            account.publish(message(b"again"))
        depth[0] -= 1

    account.subscribe(b"again", handler)
    account.publish(message(b"again"))
    assert left == [0]
    assert depth == [0, 1]


class Turns:
    """A loop whose turns are ended by hand."""

    def __init__(self) -> None:
        self.planned: list[Callable[[], None]] = []
        self.turn = Turn(self.planned.append)
        self.account = Account("A", self.turn)
        self.calls: list[tuple[list[bytes], object]] = []
        self.account.subscribe(b"orders.*", self.handler, merge=True)
        self.time = 1.0

    def handler(self, messages: list[Message], sender: object) -> None:
        self.calls.append(([one[0] for one in messages], sender))

    def chunk(self, sender: Sender, *published: bytes) -> None:
        self.time += 0.0001
        self.turn.chunk_begins(sender, self.time)
        self.account.publish_from([message(one) for one in published], sender)

    def end(self) -> None:
        planned, self.planned[:] = list(self.planned), []
        for callback in planned:
            callback()


def test_a_lone_publisher_does_not_wait_for_the_end_of_the_turn() -> None:
    turns, alone = Turns(), Sender()
    turns.chunk(alone, b"orders.1")
    turns.chunk(alone, b"orders.2")
    assert turns.calls == [([b"orders.1"], alone), ([b"orders.2"], alone)]
    assert not turns.planned


def test_chunks_of_many_publishers_are_handed_over_together() -> None:
    turns, senders = Turns(), [Sender() for _ in range(4)]
    turns.chunk(senders[0], b"orders.0")
    for sender in senders[1:]:
        turns.chunk(sender, b"orders.1", b"orders.2")
    assert len(turns.calls) == 1
    turns.end()
    assert turns.calls[1:] == [([b"orders.1", b"orders.2"] * 3, None)]


def test_single_messages_are_collected_straight_away() -> None:
    turns, senders = Turns(), [Sender() for _ in range(4)]
    turns.account.subscribe(b"requests", lambda messages, _: turns.calls.append(([b"request"], None)))
    turns.chunk(senders[0], b"orders.0")
    turns.chunk(senders[1], b"orders.1", b"requests")
    collect = turns.account.collect
    assert not collect(message(b"requests"), senders[2])
    assert not collect(message(b"orders.never.seen"), senders[2])
    assert all(collect(message(b"orders.%d" % number), senders[number]) for number in (1, 0, 1))
    turns.end()
    assert turns.calls[-1] == ([b"orders.1", b"orders.1", b"orders.0", b"orders.1"], None)
    assert turns.turn.collects
    assert sum(collect(message(b"orders.1"), senders[0]) for _ in range(1500)) == 1500
    turns.end()
    assert sum(len(names) for names, _ in turns.calls[3:]) == 1500


def test_mapped_messages_are_not_collected_straight_away() -> None:
    turns, senders = Turns(), [Sender() for _ in range(2)]
    for sender in senders:
        turns.chunk(sender, b"orders.1")
    assert turns.account.collect(message(b"orders.1"), senders[0])
    mapping = Mapping("orders.1", (("other", 100),))
    turns.account.configure(AccountOptions("A", mappings=(mapping,)))
    assert not turns.account.collect(message(b"orders.1"), senders[0])


def test_the_api_sees_what_was_collected_before() -> None:
    turns, senders = Turns(), [Sender() for _ in range(3)]
    turns.account.subscribe(b"$JS.API.INFO", lambda messages, _: turns.calls.append(([b"info"], None)))
    for sender in senders:
        turns.chunk(sender, b"orders.1")
    turns.chunk(senders[0], b"orders.2", b"$JS.API.INFO", b"orders.3")
    turns.end()
    assert [subject for names, _ in turns.calls[1:] for subject in names] == [
        b"orders.1",
        b"orders.1",
        b"orders.2",
        b"info",
        b"orders.3",
    ]


def test_collecting_ends_when_it_brings_nothing() -> None:
    turns, first, second = Turns(), Sender(), Sender()
    turns.chunk(first, b"orders.1")
    turns.chunk(second, b"orders.2")
    turns.end()
    assert not turns.turn.collects
    turns.chunk(first, b"orders.3")
    assert turns.calls[-1] == ([b"orders.3"], first)


def test_a_turn_does_not_collect_without_bound() -> None:
    turns, senders = Turns(), [Sender() for _ in range(3)]
    for sender in senders:
        turns.chunk(sender, *[b"orders.1"] * 600)
    assert sum(len(names) for names, _ in turns.calls) == 1800


def test_a_failing_handler_harms_nobody_else(account: Account, caplog: pytest.LogCaptureFixture) -> None:
    got: list[int] = []

    def broken(messages: list[Message], _: object) -> None:
        raise RuntimeError("broken")

    account.subscribe(b"a", broken)
    account.subscribe(b"a", lambda messages, _: got.append(len(messages)))
    with caplog.at_level(logging.ERROR):
        account.publish(message(b"a"))
    assert got == [1]
    assert "A handler of b'a' failed" in caplog.text


def ack_run(prefix: bytes = b"$JS.ACK.S.C.1.") -> AckRun:
    return AckRun(prefix, [5, 6], b"", b"5.1.2.3,6.2.2.3")


def test_acks_in_bulk_go_to_the_only_one_who_listens(account: Account) -> None:
    runs: list[AckRun] = []
    account.subscribe(b"$JS.ACK.S.C.>", lambda messages, sender: None, acks=runs.append)
    account.subscribe(b"$JS.ACK.S.D.>", lambda messages, sender: None)
    account.subscribe(b"orders.>", lambda messages, sender: None)
    run = ack_run()
    assert account.acknowledge(run)
    assert runs == [run]
    assert not account.acknowledge(ack_run(b"$JS.ACK.S.D.1."))
    assert not account.acknowledge(ack_run(b"$JS.ACK.S.E.1."))
    (listener,) = sinks(account, b"$JS.ACK.>")
    assert not account.acknowledge(run)
    account.remove(listener)
    assert account.acknowledge(run)
    (listener,) = sinks(account, b"$JS.ACK.S.C.1.6.2.2.3")
    assert not account.acknowledge(run)
    account.remove(listener)
    sinks(account, b"$JS.*.S.C.1.*.2.>")
    assert not account.acknowledge(run)
    assert runs == [run, run]


def test_a_failing_handler_of_acks_harms_nobody(account: Account, caplog: pytest.LogCaptureFixture) -> None:
    def fail(run: AckRun) -> None:
        raise RuntimeError("oh")

    account.subscribe(b"$JS.ACK.S.C.>", lambda messages, sender: None, acks=fail)
    assert account.acknowledge(ack_run())
    assert "A handler of b'$JS.ACK.S.C.>' failed" in caplog.text


def test_an_ended_handler_is_not_called(account: Account) -> None:
    calls: list[int] = []
    subscription = account.subscribe(b"a", lambda messages, _: calls.append(1))
    account.unsubscribe(subscription)
    account.unsubscribe(subscription)
    account.publish(message(b"a"))
    assert calls == []
    assert not account.has_interest(b"a")


def test_deliver_shows_each_messages_own_subject(account: Account) -> None:
    (inbox,) = sinks(account, b"_INBOX.x.*")
    assert account.deliver(b"_INBOX.x.1", [message(b"orders.1"), message(b"orders.2")])
    assert inbox.taken == [b"orders.1", b"orders.2"]
    assert not account.deliver(b"_INBOX.y.1", [message(b"orders.1")])


def test_replies_below_one_inbox_are_not_remembered_one_by_one(account: Account) -> None:
    (inbox,) = sinks(account, b"_INBOX.abc.*")
    account.publish_many([message(b"_INBOX.abc.%d" % number) for number in range(1000)])
    assert len(inbox.taken) == 1000
    assert len(account.router.cache) == 0
    sinks(account, b"_INBOX.abc.7")
    account.publish_many([message(b"_INBOX.abc.%d" % number) for number in range(5, 9)])
    assert len(inbox.taken) == 1004
    (late,) = sinks(account, b"_INBOX.*.8")
    account.publish_many([message(b"_INBOX.abc.%d" % number) for number in range(5, 9)])
    assert late.taken == [b"_INBOX.abc.8"]


def test_the_cache_is_bounded(account: Account) -> None:
    sinks(account, b"a.*.z")
    sender = Sender()
    for start in range(0, 30_000, 1000):
        account.publish_from([message(b"a.%d.z" % number) for number in range(start, start + 1000)], sender)
    assert len(account.router.cache) <= 8192


def test_backlog_is_that_of_the_fullest_reader(account: Account) -> None:
    sinks(account, b"in.*", waiting=5)
    sinks(account, b"in.1", waiting=9, queue=b"q")
    assert account.backlog(b"in.1") == 9
    assert account.backlog(b"in.2") == 5
    assert account.backlog(b"out") == 0


def test_watches_hear_of_the_first_and_the_last(account: Account) -> None:
    heard: list[bool] = []
    watch = account.watch_interest(b"a.b", heard.append)
    first, second = Sink(b"a.*"), Sink(b"a.b")
    account.insert(first)
    account.insert(second)
    account.remove(first)
    account.insert(Sink(b"other"))
    assert heard == [True]
    account.remove(second)
    assert heard == [True, False]
    watch.cancel()
    watch.cancel()
    account.insert(second)
    assert heard == [True, False]


def test_removing_what_is_not_there(account: Account) -> None:
    for pattern in (b"a", b"a.*", b"a.>"):
        assert not account.router.remove(Sink(pattern))
        account.insert(Sink(pattern))
        assert not account.router.remove(Sink(pattern))


tokens = st.sampled_from([b"a", b"b", b"c"])
literals = st.lists(tokens, min_size=1, max_size=4).map(b".".join)
patterns = st.lists(st.sampled_from([b"a", b"b", b"*", b">"]), min_size=1, max_size=4).map(b".".join)


class RouterModel(RuleBasedStateMachine):
    """The router against a list of subscriptions that is searched from end to end."""

    def __init__(self) -> None:
        super().__init__()
        self.account = Account("A", Turn(lambda callback: None))
        self.there: list[Sink] = []

    @rule(pattern=patterns.filter(subjects.is_valid), queue=st.sampled_from([b"", b"", b"q"]))
    def subscribe(self, pattern: bytes, queue: bytes) -> None:
        sink = Sink(pattern, queue)
        self.there.append(sink)
        self.account.insert(sink)

    @rule(data=st.data())
    def unsubscribe(self, data: st.DataObject) -> None:
        if self.there:
            sink = self.there.pop(data.draw(st.integers(0, len(self.there) - 1)))
            self.account.remove(sink)

    @rule(published=st.lists(literals, min_size=1, max_size=6), remember=st.booleans())
    def publish(self, published: list[bytes], remember: bool) -> None:
        for sink in self.there:
            sink.taken.clear()
        batch = [message(subject) for subject in published]
        if remember:
            self.account.publish_from(batch, Sender())
        else:
            self.account.publish_many(batch)
        for sink in self.there:
            if not sink.queue:
                assert sink.taken == [one for one in published if subjects.matches(sink.pattern, one)]
        groups = [sink for sink in self.there if sink.queue]
        heard = [one for one in published if any(subjects.matches(sink.pattern, one) for sink in groups)]
        assert sorted(one for sink in groups for one in sink.taken) == sorted(heard)

    @invariant()
    def counts_agree(self) -> None:
        assert self.account.router.count == len(self.there)
        assert sorted(one.pattern for one in self.account.router) == sorted(one.pattern for one in self.there)
        if not self.there:
            assert self.account.router.route(b"a") is NOWHERE
            assert self.account.router._root.empty


TestRouterModel = RouterModel.TestCase
TestRouterModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
