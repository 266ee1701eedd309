"""The judge of the crash runs finds every fault planted into a good history, and none in a good one."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from tests.reliability.history import (
    FAILED,
    OK,
    UNKNOWN,
    Ack,
    Contents,
    Delivery,
    History,
    Publish,
    Rules,
    judge,
)

RULES = Rules(ack_wait=3.0, work_queues=frozenset({"Q"}))


class Run:
    """A history with what the streams hold."""

    def __init__(self) -> None:
        self.history = History()
        self.contents: Contents = {"L": {}, "Q": {}}
        now = 0.0
        for number in range(1, 21):
            for stream in ("L", "Q"):
                value = f"{stream}-{number}"
                self.history.publishes.append(
                    Publish(stream, value, value if number % 2 else "", now, now + 0.1, OK, number)
                )
                self.contents[stream][number] = value
                now += 0.2
        # Sent again under its id, and one that stayed without an answer and is there.
        self.history.publishes.append(Publish("L", "L-3", "L-3", now, now + 0.1, OK, 3, True))
        self.history.publishes.append(Publish("L", "L-21", "", now + 1, result=UNKNOWN))
        self.contents["L"][21] = "L-21"
        for stream in ("L", "Q"):
            for number, value in list(self.contents[stream].items()):
                now += 0.2
                self.history.deliveries.append(Delivery(stream, "g", number, value, 1, now))
                self.history.acks.append(Ack(stream, "g", number, now + 0.01, now + 0.02, OK))
        # One whose ack stayed without an answer, and that came again.
        self.history.acks[4].result = UNKNOWN
        again = copy.copy(self.history.deliveries[4])
        again.at, again.deliveries = again.at + 4, 2
        self.history.deliveries.append(again)
        self.contents["Q"].clear()
        self.again = copy.deepcopy(self.contents)
        self.counted = {stream: len(messages) for stream, messages in self.contents.items()}

    def judge(self) -> list[str]:
        return judge(self.history, self.contents, self.again, self.counted, RULES)

    def hold(self, stream: str, sequence: int, value: str | None) -> None:
        """Change what a stream holds, in both readings."""
        for contents in (self.contents, self.again):
            if value is None:
                del contents[stream][sequence]
            else:
                contents[stream][sequence] = value
        self.counted[stream] = len(self.contents[stream])

    def deliver(self, stream: str, sequence: int, deliveries: int, at: float, value: str = "") -> None:
        value = value or f"{stream}-{sequence}"
        self.history.deliveries.append(Delivery(stream, "g", sequence, value, deliveries, at))


def test_a_good_run_is_found_good() -> None:
    assert Run().judge() == []


def _forget_deliveries(run: Run, sequence: int) -> None:
    run.history.deliveries = [
        delivery
        for delivery in run.history.deliveries
        if (delivery.stream, delivery.sequence) != ("L", sequence)
    ]


def _failed(run: Run) -> None:
    run.history.publishes[-1].result = FAILED


def _again_without_duplicate(run: Run) -> None:
    run.history.publishes[-2].duplicate = False


def _again_elsewhere(run: Run) -> None:
    run.hold("L", 22, "L-3")
    run.history.publishes[-2].sequence = 22
    run.deliver("L", 22, 1, 99, "L-3")


def _swap_sequences(run: Run) -> None:
    first, second = run.history.publishes[0], run.history.publishes[2]
    first.sequence, second.sequence = second.sequence, first.sequence
    run.hold("L", 1, second.value)
    run.hold("L", 2, first.value)
    for delivery in run.history.deliveries:
        if delivery.stream == "L" and delivery.sequence in (1, 2):
            delivery.value = run.contents["L"][delivery.sequence]


def _lost_from_the_queue(run: Run) -> None:
    run.history.acks = [ack for ack in run.history.acks if (ack.stream, ack.sequence) != ("Q", 7)]


def _out_of_order(run: Run) -> None:
    deliveries = [delivery for delivery in run.history.deliveries if delivery.stream == "L"]
    deliveries[8].at, deliveries[9].at = deliveries[9].at, deliveries[8].at
    for ack in run.history.acks:
        ack.ended = 1000


def _count_falls(run: Run) -> None:
    run.history.deliveries[-1].deliveries = 1


def _too_early(run: Run) -> None:
    run.history.deliveries[-1].at -= 3


def _restart_changes(run: Run) -> None:
    del run.again["L"][5]


def _restart_brings_back(run: Run) -> None:
    run.again["Q"][5] = "Q-5"


FAULTS: dict[str, tuple[Callable[[Run], None], str]] = {
    "an acknowledged message is lost": (lambda run: run.hold("L", 4, None), "is lost"),
    "the last one is lost": (lambda run: run.hold("L", 20, None), "is lost"),
    "a message holds another's value": (lambda run: run.hold("L", 4, "L-5"), "holds L-5"),
    "a message is garbage": (lambda run: run.hold("L", 4, "garbage"), "nobody sent"),
    "something nobody sent": (lambda run: run.hold("L", 22, "L-99"), "nobody sent"),
    "a failed publish is there": (_failed, "had failed"),
    "a value is there twice": (lambda run: run.hold("L", 22, "L-21"), "2 times"),
    "an id is taken twice": (_again_elsewhere, "the id L-3"),
    "a duplicate is not called one": (_again_without_duplicate, "taken twice"),
    "later publishes get lower sequences": (_swap_sequences, ", but "),
    "a queue loses what nobody acked": (_lost_from_the_queue, "is lost"),
    "delivered after a confirmed ack": (lambda run: run.deliver("L", 9, 2, 500), "after its ack"),
    "delivered after a confirmed ack in a queue": (lambda run: run.deliver("Q", 9, 2, 500), "after its ack"),
    "back in a queue after a confirmed ack": (lambda run: run.hold("Q", 9, "Q-9"), "after their ack"),
    "never delivered": (lambda run: _forget_deliveries(run, 12), "never delivered [12]"),
    "first deliveries out of order": (_out_of_order, "first delivered after"),
    "the delivery count falls": (_count_falls, "delivered as number 1, then 1"),
    "redelivered before the ack wait": (_too_early, "came again after"),
    "delivered with another value": (lambda run: run.deliver("L", 21, 5, 600, "L-1"), "was delivered as L-1"),
    "a restart loses a message": (_restart_changes, "a restart changed"),
    "a restart brings a message back": (_restart_brings_back, "a restart changed"),
    "the count is too high": (lambda run: run.counted.update(L=22), "says it has 22"),
    "the count is too low": (lambda run: run.counted.update(L=20), "says it has 20"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name: str) -> None:
    plant, words = FAULTS[name]
    run = Run()
    plant(run)
    assert any(words in fault for fault in run.judge()), run.judge()
