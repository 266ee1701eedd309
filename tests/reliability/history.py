"""What clients saw, and the judge of it: rules 1 to 8 of docs/reliability.md, "Judging a run".

Clients write one JSON object per line, before an operation and after its answer. Times are of the system's
monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OK, FAILED, UNKNOWN = "ok", "failed", "unknown"


@dataclass
class Publish:
    """One publish: `value` is unique, `identifier` its message id or empty."""

    stream: str
    value: str
    identifier: str
    began: float
    ended: float = float("inf")
    result: str = UNKNOWN
    sequence: int = 0
    duplicate: bool = False


@dataclass
class Delivery:
    """One message that a group received."""

    stream: str
    group: str
    sequence: int
    value: str
    deliveries: int
    at: float


@dataclass
class Ack:
    """One acknowledgement with a request for an answer."""

    stream: str
    group: str
    sequence: int
    began: float
    ended: float = float("inf")
    result: str = UNKNOWN


@dataclass
class History:
    """All that the clients of a run logged."""

    publishes: list[Publish] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    acks: list[Ack] = field(default_factory=list)

    @classmethod
    def read(cls, paths: Iterable[Path]) -> History:
        """Read the logs of several clients; an operation without its answer is unknown."""
        history = cls()
        for path in paths:
            open_operations: dict[int, Publish | Ack] = {}
            for line in path.read_text().splitlines():
                try:
                    entry: dict[str, Any] = json.loads(line)
                except ValueError:
                    continue  # the last line of a client that was killed
                kind, number = entry.pop("kind"), entry.pop("number", 0)
                if kind == "publish":
                    publish = open_operations[number] = Publish(**entry)
                    history.publishes.append(publish)
                elif kind == "ack":
                    ack = open_operations[number] = Ack(**entry)
                    history.acks.append(ack)
                elif kind == "answer":
                    operation = open_operations.pop(number)
                    for name, value in entry.items():
                        setattr(operation, name, value)
                else:
                    history.deliveries.append(Delivery(**entry))
        return history


@dataclass
class Rules:
    """What the streams of a run were set to."""

    ack_wait: float
    work_queues: frozenset[str] = frozenset()
    # How late a client may have seen a delivery: a redelivery may seem that much too early.
    tolerance: float = 1.0


Contents = dict[str, dict[int, str]]  # stream -> sequence -> value


def judge(
    history: History, contents: Contents, again: Contents, counted: dict[str, int], rules: Rules
) -> list[str]:
    """Return every broken rule in words; an empty list is a good run.

    Args:
        history: what the clients saw.
        contents: what the streams held at the end, after all groups were drained.
        again: the same, read once more after a restart.
        counted: how many messages each stream says it has.
        rules: what the streams were set to.
    """
    faults: list[str] = []
    _judge_publishes(history, contents, rules, faults)
    _judge_order(history, faults)
    _judge_ids(history, contents, faults)
    _judge_groups(history, contents, rules, faults)
    for stream, messages in contents.items():
        if again.get(stream) != messages:
            faults.append(f"{stream}: a restart changed what it holds")
        if counted.get(stream) != len(messages):
            faults.append(f"{stream}: says it has {counted.get(stream)} messages, and has {len(messages)}")
    return faults


def _acked(history: History) -> set[tuple[str, int]]:
    """Return (stream, sequence) of everything that may have left a work queue."""
    return {(ack.stream, ack.sequence) for ack in history.acks}


def _judge_publishes(history: History, contents: Contents, rules: Rules, faults: list[str]) -> None:
    left = _acked(history)
    sent = defaultdict(set)
    possible = defaultdict(set)
    for publish in history.publishes:
        sent[publish.stream].add(publish.value)
        if publish.result != FAILED:
            possible[publish.stream].add(publish.value)
        if publish.result != OK:
            continue
        found = contents[publish.stream].get(publish.sequence)
        if found == publish.value:
            continue
        if found is None:
            if publish.stream in rules.work_queues and (publish.stream, publish.sequence) in left:
                continue
            faults.append(
                f"{publish.stream}: {publish.value} was acknowledged as {publish.sequence} and is lost"
            )
        else:
            faults.append(
                f"{publish.stream}: {publish.sequence} was acknowledged for {publish.value} and holds {found}"
            )
    for stream, messages in contents.items():
        for sequence, value in messages.items():
            if value not in sent[stream]:
                faults.append(f"{stream}: {sequence} holds {value}, which nobody sent")
            elif value not in possible[stream]:
                faults.append(f"{stream}: {sequence} holds {value}, whose publish had failed")


def _judge_order(history: History, faults: list[str]) -> None:
    by_stream = defaultdict(list)
    for publish in history.publishes:
        if publish.result == OK and not publish.duplicate:
            by_stream[publish.stream].append(publish)
    for stream, publishes in by_stream.items():
        highest = (0, "")
        ended = sorted(publishes, key=lambda publish: publish.ended)
        at = 0
        for publish in sorted(publishes, key=lambda publish: publish.began):
            while ended[at].ended < publish.began:
                highest = max(highest, (ended[at].sequence, ended[at].value))
                at += 1
            if publish.sequence <= highest[0] and publish.value != highest[1]:
                faults.append(
                    f"{stream}: {publish.value} got {publish.sequence}, but {highest[1]} before {highest[0]}"
                )


def _judge_ids(history: History, contents: Contents, faults: list[str]) -> None:
    for stream, messages in contents.items():
        places = defaultdict(list)
        for sequence, value in messages.items():
            places[value].append(sequence)
        for value, sequences in places.items():
            if len(sequences) > 1:
                faults.append(f"{stream}: {value} is there {len(sequences)} times, at {sequences}")
    first: dict[tuple[str, str], Publish] = {}
    for publish in sorted(history.publishes, key=lambda publish: publish.ended):
        if publish.result != OK or not publish.identifier:
            continue
        known = first.setdefault((publish.stream, publish.identifier), publish)
        if known.sequence != publish.sequence:
            both = f"{known.sequence} and then {publish.sequence}"
            faults.append(f"{publish.stream}: the id {publish.identifier} got {both}")
        if publish.began > known.ended and not publish.duplicate:
            faults.append(f"{publish.stream}: the id {publish.identifier} was taken twice")


def _judge_groups(history: History, contents: Contents, rules: Rules, faults: list[str]) -> None:
    confirmed: dict[tuple[str, str, int], float] = {}
    for ack in history.acks:
        if ack.result == OK:
            key = (ack.stream, ack.group, ack.sequence)
            confirmed[key] = min(ack.ended, confirmed.get(key, float("inf")))
    values: dict[tuple[str, int], str] = {
        (stream, sequence): value
        for stream, messages in contents.items()
        for sequence, value in messages.items()
    }
    last: dict[tuple[str, str, int], Delivery] = {}
    highest: dict[tuple[str, str], int] = defaultdict(int)
    received: dict[tuple[str, str], set[int]] = defaultdict(set)
    for delivery in sorted(history.deliveries, key=lambda delivery: delivery.at):
        key = (delivery.stream, delivery.group, delivery.sequence)
        name = f"{delivery.stream} > {delivery.group}: {delivery.sequence}"
        value = values.setdefault((delivery.stream, delivery.sequence), delivery.value)
        if value != delivery.value:
            faults.append(f"{name} was delivered as {delivery.value} and is {value}")
        if confirmed.get(key, float("inf")) < delivery.at:
            faults.append(f"{name} was delivered after its ack was confirmed")
        group = (delivery.stream, delivery.group)
        before = last.get(key)
        if before is not None:
            if delivery.deliveries <= before.deliveries:
                faults.append(
                    f"{name} was delivered as number {before.deliveries}, then {delivery.deliveries}"
                )
            if delivery.at - before.at < rules.ack_wait - rules.tolerance:
                faults.append(f"{name} came again after {delivery.at - before.at:.2f} s")
        elif delivery.deliveries == 1:
            if delivery.sequence < highest[group]:
                faults.append(f"{name} was first delivered after {highest[group]}")
            highest[group] = max(highest[group], delivery.sequence)
        last[key] = delivery
        received[group].add(delivery.sequence)
    for (stream, group), sequences in received.items():
        skipped = sorted(set(contents[stream]) - sequences)
        if skipped:
            faults.append(f"{stream} > {group}: never delivered {skipped[:10]} ({len(skipped)})")
    for stream in rules.work_queues:
        kept = [key for key in confirmed if key[0] == stream and key[2] in contents[stream]]
        if kept:
            faults.append(f"{stream}: {len(kept)} messages are there after their ack was confirmed")
