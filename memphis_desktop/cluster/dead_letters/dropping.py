"""Dropping dead letters: the record of the failure goes, and where asked the message too."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memphis_desktop.language import tr_count

from ..actions import Action, ActionRecord
from ..failures import MESSAGE_NOT_FOUND, ApiError, ClusterError
from .capture import CaptureStatus
from .letters import DeadLetter, LetterKind, Presence

if TYPE_CHECKING:
    from ..session import Session

PARALLEL = 16
COMMANDS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Removal:
    """A message to delete."""

    stream: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was removed.

    Attributes:
        records: Advisories deleted.
        messages: Messages deleted.
        gone: What was gone already.
        failed: What could not be deleted, and `problem` why.
    """

    records: int
    messages: int
    gone: int
    failed: int
    problem: str = ""


def removals(
    letters: Sequence[DeadLetter], capture: CaptureStatus, *, messages: bool = False
) -> tuple[list[Removal], list[Removal]]:
    """Return what dropping letters deletes: records in the capture stream, and messages.

    Args:
        letters: The letters.
        capture: Where advisories are kept.
        messages: Delete the messages too; those of dead-letter stations are what is dropped in any case.
    """
    records: list[Removal] = []
    found: dict[tuple[str, int], Removal] = {}
    for letter in letters:
        if letter.kind is LetterKind.STATION:
            found[letter.stream, letter.sequence] = Removal(letter.stream, letter.sequence)
            continue
        stream = capture.stream_of(letter.kind)
        if stream is not None:
            records += [Removal(stream, record) for record in letter.records]
        if messages and letter.original.presence is not Presence.GONE:
            found[letter.stream, letter.sequence] = Removal(letter.stream, letter.sequence)
    return records, list(found.values())


def drop_action(letters: Sequence[DeadLetter], capture: CaptureStatus, *, messages: bool = False) -> Action:
    """Return the action that dropping is recorded as: it shows every request that is made."""
    records, removed = removals(letters, capture, messages=messages)
    every = [*records, *removed]
    count = len(letters)
    lines = [
        shlex.join(["nats", "stream", "rmm", one.stream, str(one.sequence), "--force"])
        for one in every[:COMMANDS_SHOWN]
    ]
    if len(every) > COMMANDS_SHOWN:
        lines.append(f"# and so on for {len(every) - COMMANDS_SHOWN:,} more")
    streams = sorted({one.stream for one in every})
    by_stream = {name: [one.sequence for one in every if one.stream == name][:1000] for name in streams}
    return Action(
        tr_count("Drop {count} dead letter", "Drop {count} dead letters", count),
        f"STREAM.MSG.DELETE.{streams[0] if len(streams) == 1 else '*'}",
        {"seq": by_stream},
        "\n".join(lines),
        streams[0] if len(streams) == 1 else "",
        destroys=True,
    )


async def drop_letters(
    session: Session, letters: Sequence[DeadLetter], *, messages: bool = False, note: bool = True
) -> Dropped:
    """Delete the records of letters, and with `messages` the messages; what fails is counted.

    Args:
        session: The connection.
        letters: What to drop.
        messages: See `removals`.
        note: Whether the activity record tells of it.

    Raises:
        ClusterError: Nothing may be changed on this connection.
    """
    session.require_writable()
    book = session.dead_letters
    external = [letter for letter in letters if letter.external]
    kept = await book.source.drop(external) if external and book.source is not None else 0
    letters = [letter for letter in letters if not letter.external]
    if not letters:
        return Dropped(kept, 0, 0, 0)
    capture = book.status
    records, removed = removals(letters, capture, messages=messages)
    action = drop_action(letters, capture, messages=messages)
    started = time.monotonic()
    limit = asyncio.Semaphore(PARALLEL)
    counts = {"done": 0, "gone": 0, "failed": 0}
    problems: list[str] = []
    unfinished: set[tuple[str | None, int]] = set()

    async def delete(one: Removal) -> None:
        async with limit:
            try:
                await session.api(f"STREAM.MSG.DELETE.{one.stream}", {"seq": one.sequence, "no_erase": True})
                counts["done"] += 1
            except ApiError as error:
                if error.err_code in (MESSAGE_NOT_FOUND, 10057):  # gone: what was wanted
                    counts["gone"] += 1
                    return
                counts["failed"] += 1
                problems.append(str(error))
                unfinished.add((one.stream, one.sequence))
            except ClusterError as error:
                counts["failed"] += 1
                problems.append(str(error))
                unfinished.add((one.stream, one.sequence))

    for start in range(0, len(records) + len(removed), 256):
        await asyncio.gather(*map(delete, [*records, *removed][start : start + 256]))
    book.forget([letter for letter in letters if not _left(letter, capture, unfinished)])
    problem = problems[-1] if problems else ""
    if note:
        seconds = time.monotonic() - started
        session.hand_on_action(ActionRecord(time.time_ns(), action, None, problem, seconds))
    session.refresh(action.stream or None)
    deleted_messages = min(counts["done"], len(removed))
    return Dropped(
        counts["done"] - deleted_messages + kept, deleted_messages, counts["gone"], counts["failed"], problem
    )


def _left(letter: DeadLetter, capture: CaptureStatus, unfinished: set[tuple[str | None, int]]) -> bool:
    if letter.kind is LetterKind.STATION:
        return (letter.stream, letter.sequence) in unfinished
    return any((capture.stream_of(letter.kind), record) in unfinished for record in letter.records)
