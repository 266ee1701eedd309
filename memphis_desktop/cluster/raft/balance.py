"""Spreading leaders evenly: a plan to review, and its execution step by step.

A server that came back leads nothing, and another does the work of two. The plan moves leaders one at a time
to members that are current, streams before consumers, until no two servers differ by more than one leader.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from memphis_desktop.cluster import actions
from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.language import tr

from .groups import group_of
from .model import GroupKey, GroupKind, PeerStatus, Quorum, RaftGroup

if TYPE_CHECKING:
    from memphis_desktop.cluster.session import Session

STEP_LIMIT = 15.0  # seconds until a step that shows no new leader has failed
PAUSE_BETWEEN = 0.3
LOOK_EVERY = 0.1


@dataclass(frozen=True, slots=True)
class Move:
    """One leader that goes to another server."""

    key: GroupKey
    origin: str
    target: str

    def action(self, *, preferred: bool) -> actions.Action:
        """What is asked of the cluster; without `preferred` it chooses the new leader itself."""
        target = self.target if preferred else ""
        return actions.step_down(self.key.stream, self.key.consumer or None, target)


def counts(groups: Iterable[RaftGroup], servers: Iterable[str]) -> dict[str, int]:
    """How many stream and consumer groups each server leads, of those that could be led elsewhere."""
    held = dict.fromkeys(servers, 0)
    for group in groups:
        if group.leader and group.key.kind is not GroupKind.META and len(group.peers) > 1:
            held[group.leader] = held.get(group.leader, 0) + 1
    return held


def is_unbalanced(groups: Iterable[RaftGroup], servers: Iterable[str]) -> bool:
    """Whether moving a leader would help."""
    held = counts(groups, servers)
    return bool(held) and max(held.values()) - min(held.values()) > 1


def plan(groups: Iterable[RaftGroup], servers: Iterable[str]) -> list[Move]:
    """Return the moves, in their order.

    Args:
        groups: All groups; those without quorum and of other accounts are left alone.
        servers: The servers that are there and may lead: none in lame duck mode.
    """
    movable = [
        group
        for group in groups
        if group.quorum is Quorum.HELD
        and group.key.kind is not GroupKind.META
        and not group.key.account
        and not group.moving
        and len(group.peers) > 1
    ]
    movable.sort(
        key=lambda group: (group.key.kind is GroupKind.CONSUMER, group.key.stream, group.key.consumer)
    )
    held = counts(movable, servers)
    allowed = set(held) & set(servers)
    leader = {group.key: group.leader for group in movable}
    moves: list[Move] = []
    while len(moves) < len(movable):
        move = _next_move(movable, leader, held, allowed)
        if move is None:
            break
        moves.append(move)
        leader[move.key] = move.target
        held[move.origin] -= 1
        held[move.target] += 1
    return moves


def _next_move(
    groups: list[RaftGroup], leader: dict[GroupKey, str], held: dict[str, int], allowed: set[str]
) -> Move | None:
    """The first group of the busiest server that a much less busy one can lead."""
    for origin in sorted(held, key=lambda name: (-held[name], name)):
        for group in groups:
            if leader[group.key] != origin or group.leader != origin:
                continue  # each leader moves once at most
            followers = [
                peer.server
                for peer in group.peers
                if peer.status is PeerStatus.CURRENT and peer.server in allowed
            ]
            targets = [name for name in followers if held[origin] - held[name] > 1]
            if targets:
                return Move(group.key, origin, min(targets, key=lambda name: (held[name], name)))
    return None


class StepState(Enum):
    """How far a step is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    ELSEWHERE = "led by another"  # the cluster chose another server than was wished
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Step:
    """One move and what became of it."""

    move: Move
    state: StepState = StepState.WAITING
    text: str = ""
    seconds: float | None = None  # without a leader


class BalanceRun:
    """Carries out a plan one step at a time; it can be held and ended between steps."""

    def __init__(self, session: Session, moves: Iterable[Move], *, preferred: bool) -> None:
        self._session = session
        self._preferred = preferred
        self.steps = [Step(move) for move in moves]
        self.on_change: Callable[[], None] = lambda: None
        self._go = asyncio.Event()
        self._go.set()
        self._ended = False
        self.finished = False

    @property
    def held(self) -> bool:
        """Whether it waits for `resume`."""
        return not self._go.is_set()

    def hold(self) -> None:
        """Stop after the step under way."""
        self._go.clear()
        self.on_change()

    def resume(self) -> None:
        """Go on."""
        self._go.set()
        self.on_change()

    def end(self) -> None:
        """Do no further step."""
        self._ended = True
        self._go.set()

    async def run(self) -> None:
        """Do all steps in turn; a step that fails is told and the next one begins."""
        try:
            for index in range(len(self.steps)):
                await self._go.wait()
                if self._ended:
                    self._set(index, StepState.SKIPPED)
                    continue
                await self._step(index)
                await asyncio.sleep(PAUSE_BETWEEN)
        finally:
            self.finished = True
            self.on_change()

    def _set(self, index: int, state: StepState, text: str = "", seconds: float | None = None) -> None:
        self.steps[index] = replace(self.steps[index], state=state, text=text, seconds=seconds)
        self.on_change()

    async def _step(self, index: int) -> None:
        move = self.steps[index].move
        before = self._leader(move.key)
        if before != move.origin:
            self._set(index, StepState.SKIPPED, _meanwhile(before))
            return
        self._set(index, StepState.RUNNING)
        started = time.monotonic()
        try:
            await move.action(preferred=self._preferred).run(self._session)
        except ClusterError as error:
            self._set(index, StepState.FAILED, str(error))
            return
        while time.monotonic() - started < STEP_LIMIT:
            now = self._leader(move.key)
            if now and now != move.origin:
                state = StepState.DONE if now == move.target else StepState.ELSEWHERE
                self._set(index, state, now, time.monotonic() - started)
                return
            with contextlib.suppress(ClusterError):
                self._session.refresh(move.key.stream)
            await asyncio.sleep(LOOK_EVERY)
        self._set(index, StepState.FAILED, tr("no other leader within {limit} s", limit=f"{STEP_LIMIT:g}"))

    def _leader(self, key: GroupKey) -> str:
        snapshot = self._session.snapshot
        asset = (
            snapshot.consumers.get((key.stream, key.consumer))
            if key.consumer
            else snapshot.streams.get(key.stream)
        )
        return group_of(asset, snapshot.raft.gone).leader if asset is not None else ""


def supports_preferred(version: str) -> bool:
    """Whether a server can be told who should lead (from 2.11 on)."""
    parts = version.split(".")[:2]
    return len(parts) == 2 and all(part.isdigit() for part in parts) and tuple(map(int, parts)) >= (2, 11)


def _meanwhile(leader: str) -> str:
    if not leader:
        return tr("led by nobody meanwhile")
    return tr("led by {leader} meanwhile", leader=leader)
