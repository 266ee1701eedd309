"""The dialog that spreads leaders evenly: the plan to review, then its steps as they are done."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from PySide6.QtWidgets import QPushButton, QWidget

from memphis_desktop.cluster.raft.balance import (
    BalanceRun,
    Move,
    Step,
    StepState,
    counts,
    supports_preferred,
)
from memphis_desktop.cluster.raft.model import RaftGroup
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import ConfirmDialog, Disclosure
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.station_parts import panel

COMMANDS_SHOWN = 50
_MARKS = {
    StepState.WAITING: "muted",
    StepState.RUNNING: "information",
    StepState.DONE: "good",
    StepState.ELSEWHERE: "warning",
    StepState.FAILED: "bad",
    StepState.SKIPPED: "muted",
}


class BalanceDialog(ConfirmDialog):
    """Stays open while the steps are done; they can be held and ended."""

    def __init__(
        self,
        parent: QWidget,
        context: ScreenContext,
        groups: Sequence[RaftGroup],
        moves: Sequence[Move],
        servers: Sequence[str],
        typed: str | None,
    ) -> None:
        super().__init__(parent, tr("Balance leaders"), "", tr("Move leaders"), typed, danger=False)
        self.setMinimumSize(680, 480)
        self._context = context
        self._count = len(moves)
        server = context.session.snapshot.server
        preferred = server is not None and supports_preferred(server.version)
        self.run_ = BalanceRun(context.session, moves, preferred=preferred)
        self._task: asyncio.Task[Any] | None = None
        self.sentence = PlainLabel(_sentence(groups, moves, servers, preferred), wrap=True)
        self.table = DataTable(
            [
                Column("state", "", lambda s: (_MARKS[s.state], _word(s.state)), "dot", 130),
                Column("group", tr("Group"), lambda s: s.move.key.label, "mono", 190, stretch=True),
                Column("from", tr("From"), lambda s: s.move.origin, "mono", 90),
                Column("to", tr("To"), lambda s: s.move.target, "mono", 90),
                Column(
                    "seconds",
                    tr("Took"),
                    lambda s: s.seconds,
                    "duration",
                    76,
                    tr("Until the new leader was seen"),
                ),
                Column("text", "", lambda s: s.text, "text", 130),
            ],
            lambda s: s.move.key,
            "cluster_balance",
        )
        self.table.set_rows(self.run_.steps)
        self.hold_button = QPushButton(tr("Hold"))
        self.hold_button.clicked.connect(self._hold)
        self.hold_button.hide()
        self.buttons.insertWidget(0, self.hold_button)
        commands = [
            step.move.action(preferred=preferred).equivalent(context.session) for step in self.run_.steps
        ]
        text = "\n\n".join(commands[:COMMANDS_SHOWN])
        more = (
            "\n\n" + tr("… and {count} more", count=figures.integer(len(commands) - COMMANDS_SHOWN))
            if len(commands) > COMMANDS_SHOWN
            else ""
        )
        self.body.insertWidget(0, self.sentence)
        self.body.insertWidget(1, panel(self.table), 1)
        self.body.addWidget(Disclosure(tr("Commands"), CodeBlock(text + more, lines=8)))
        self.run_.on_change = self._show

    def accept(self) -> None:
        """Begin, or once all is done, close."""
        if self._task is None:
            self.verb_button.setEnabled(False)
            self.cancel_button.setText(tr("End"))
            self.hold_button.show()
            self._task = self._context.run(self.run_.run(), tr("balance the leaders"))
        elif self.run_.finished:
            super().accept()

    def reject(self) -> None:
        """Do no further step; the one under way is waited for."""
        if self._task is None or self.run_.finished:
            super().reject()
            return
        self.run_.end()
        self.cancel_button.setEnabled(False)
        self.hold_button.setEnabled(False)

    def _hold(self) -> None:
        if self.run_.held:
            self.run_.resume()
        else:
            self.run_.hold()

    def _show(self) -> None:
        steps: list[Step] = self.run_.steps
        self.table.set_rows(steps)
        self.hold_button.setText(tr("Go on") if self.run_.held else tr("Hold"))
        current = next((s for s in steps if s.state is StepState.RUNNING), None)
        if current is not None:
            self.table.select_key(current.move.key)
        if self.run_.finished:
            done = sum(s.state in (StepState.DONE, StepState.ELSEWHERE) for s in steps)
            self.sentence.setText(
                tr_count(
                    "{done} of {count} leader moved.",
                    "{done} of {count} leaders moved.",
                    self._count,
                    count=figures.integer(self._count),
                    done=figures.integer(done),
                )
            )
            self.hold_button.hide()
            self.cancel_button.hide()
            self.verb_button.setText(tr("Close"))
            self.verb_button.setEnabled(True)


def _word(state: StepState) -> str:
    return {
        StepState.WAITING: tr("waiting"),
        StepState.RUNNING: tr("running"),
        StepState.DONE: tr("done"),
        StepState.ELSEWHERE: tr("led by another"),
        StepState.FAILED: tr("failed"),
        StepState.SKIPPED: tr("skipped"),
    }[state]


def _sentence(
    groups: Sequence[RaftGroup], moves: Sequence[Move], servers: Sequence[str], preferred: bool
) -> str:
    held = counts(groups, servers)
    after = dict(held)
    for move in moves:
        after[move.origin] -= 1
        after[move.target] += 1
    now = ", ".join(f"{name} {held[name]}" for name in sorted(held))
    then = ", ".join(f"{name} {after[name]}" for name in sorted(after))
    text = tr_count(
        "{count} leader to move. Leaders now: {now}; then: {then}. Each station or group pauses for about "
        "0.3 s when its turn comes.",
        "{count} leaders to move, one after another. Leaders now: {now}; then: {then}. Each station or group "
        "pauses for about 0.3 s when its turn comes.",
        len(moves),
        count=figures.integer(len(moves)),
        now=now,
        then=then,
    )
    if preferred:
        return text
    return f"{text} {tr('These servers choose new leaders themselves: the outcome may differ.')}"
