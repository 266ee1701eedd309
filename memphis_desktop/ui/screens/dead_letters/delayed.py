"""Resending later: the choice of when, and the list of what waits on the connection."""

from __future__ import annotations

import math
import time

from PySide6.QtCore import QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QComboBox, QPushButton, QWidget

from memphis_desktop.cluster.dead_letters.later import Order, OrderState
from memphis_desktop.cluster.dead_letters.resend import Fate, ResendProgress
from memphis_desktop.cluster.session import Session
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import Dialog
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.station_parts import panel

_DELAYS = (
    (0, tr("At once")),
    (10, tr("In 10 seconds")),
    (60, tr("In a minute")),
    (300, tr("In 5 minutes")),
    (900, tr("In 15 minutes")),
    (3600, tr("In an hour")),
    (6 * 3600, tr("In 6 hours")),
    (24 * 3600, tr("Tomorrow at this time")),
)
_TOKENS = {
    OrderState.WAITING: "information",
    OrderState.SENDING: "accent",
    OrderState.HELD: "warning",
    OrderState.DONE: "good",
}


_STATES = {
    OrderState.WAITING: tr("waiting"),
    OrderState.SENDING: tr("being sent"),
    OrderState.HELD: tr("held"),
    OrderState.DONE: tr("done"),
}
_FATES = {
    Fate.GONE: tr("message is gone"),
    Fate.CAPPED: tr("attempts used up"),
    Fate.NO_SUBJECT: tr("no subject known"),
    Fate.FAILED: tr("failed"),
}


def delay_box() -> QComboBox:
    """A choice of delays; its data are seconds."""
    box = QComboBox()
    for seconds, title in _DELAYS:
        box.addItem(title, seconds)
    box.setToolTip(tr("It waits with the connection, also while its tab is closed, and after a restart"))
    return box


def waiting_sentence(session: Session) -> tuple[str, str]:
    """What waits on a connection, in a sentence, and how to show it; empty when nothing does."""
    orders = [order for order in session.later.orders if order.open]
    held = [order for order in orders if order.state is OrderState.HELD]
    waiting = [order for order in orders if order.state is not OrderState.HELD]
    parts = []
    if waiting:
        number = sum(len(one.letters) for one in waiting)
        count = figures.integer(number)
        left = max(0.0, min(one.due for one in waiting) - time.time())
        if left:
            parts.append(
                tr_count(
                    "{count} dead letter will be sent again, beginning in {duration}.",
                    "{count} dead letters will be sent again, beginning in {duration}.",
                    number,
                    count=count,
                    duration=figures.duration(math.ceil(left)),
                )
            )
        else:
            parts.append(
                tr_count(
                    "{count} dead letter will be sent again, beginning now.",
                    "{count} dead letters will be sent again, beginning now.",
                    number,
                    count=count,
                )
            )
    if held:
        number = sum(len(one.letters) for one in held)
        sentence = tr_count(
            "{count} dead letter to be sent again waits for your word.",
            "{count} dead letters to be sent again wait for your word.",
            number,
            count=figures.integer(number),
        )
        parts.append(f"{sentence} {held[0].problem}")
    return " ".join(parts), "warning" if held else "information"


class WaitingDialog(Dialog):
    """Every resend that waits, is being sent, is held, or was done since the program began."""

    def __init__(self, context: ScreenContext, parent: QWidget) -> None:
        super().__init__(parent, tr("Resends that wait"), tr("Send now"), width=820)
        self.context = context
        self.later = context.session.later
        self.table = DataTable(
            [
                Column("state", tr("State"), _state, "dot", 104),
                Column("due", tr("Due"), lambda one: int(one.due * 1e9), "time", 104),
                Column("letters", tr("Letters"), lambda one: one.total, "number", 68),
                Column("sent", tr("Sent"), lambda one: one.sent, "number", 60),
                Column("from", tr("Of"), _stations, "mono", 130),
                Column("to", tr("To"), _target, "text", 150),
                Column("what", tr("What became of it"), _outcome, "text", 160, stretch=True),
            ],
            lambda order: order.id,
            "waiting_resends",
            context_actions=lambda _: self._commands(),
        )
        self.table.set_zone(context.zone)
        holder = panel(self.table)
        holder.setMinimumHeight(220)
        self.body.addWidget(
            PlainLabel(
                tr(
                    "They belong to the connection: they wait while its tab is closed and after a restart, "
                    "and are sent while the connection is open."
                ),
                "muted",
                wrap=True,
            )
        )
        self.body.addWidget(holder, 1)
        self.cancel_order_button = QPushButton(tr("Cancel resend"))
        self.cancel_order_button.setAutoDefault(False)
        self.cancel_order_button.clicked.connect(self.cancel_order)
        self.buttons.insertWidget(0, self.cancel_order_button)
        self.cancel_button.setText(tr("Close"))
        self.table.selection_changed.connect(lambda _: self._enable())
        self._timer = QTimer(self)
        self._timer.setInterval(1000)
        self._timer.timeout.connect(self._show)
        self._unsubscribe = self.later.subscribe(self._show)
        self.finished.connect(lambda _: self._unsubscribe())
        self._show()
        if self.table.rows():
            self.table.select_key(self.table.rows()[0].id)

    def showEvent(self, event: QShowEvent) -> None:
        """Times pass."""
        super().showEvent(event)
        self._timer.start()

    def hideEvent(self, event: QHideEvent) -> None:
        """Not while nobody looks."""
        super().hideEvent(event)
        self._timer.stop()

    def _show(self) -> None:
        orders = self.later.orders
        self.table.set_rows(orders)
        self.table.view.viewport().update()  # an order changes in place
        self.table.set_state(
            "ready" if orders else "empty", tr("Nothing waits to be sent again."), icon="clock"
        )
        self._enable()

    def _enable(self) -> None:
        order = self.table.current_row()
        read_only = self.context.session.profile.read_only
        can_send = order is not None and order.state in (OrderState.WAITING, OrderState.HELD)
        self.verb_button.setEnabled(can_send and not read_only)
        self.cancel_order_button.setEnabled(order is not None)
        done = order is not None and not order.open
        self.cancel_order_button.setText(tr("Take off the list") if done else tr("Cancel resend"))

    def _commands(self) -> list[Command]:
        return [
            Command(
                tr("Send now"),
                "",
                self.accept,
                "arrow-bend-up-right",
                self.verb_button.isEnabled(),
                name="send_now",
            ),
            Command(self.cancel_order_button.text(), "", self.cancel_order, "x", danger=True),
        ]

    def accept(self) -> None:
        """Send the marked one now; the dialog stays, to see how it goes."""
        order: Order | None = self.table.current_row()
        if order is not None and self.verb_button.isEnabled():
            self.later.send_now(order)

    def cancel_order(self) -> None:
        """Send nothing more of the marked one."""
        order: Order | None = self.table.current_row()
        if order is not None:
            self.context.run(self.later.cancel(order), tr("cancel the resend"))


def _state(order: Order) -> tuple[str, str]:
    if order.state is OrderState.DONE and order.problem:
        return "warning", tr("done, in part")
    return _TOKENS[order.state], _STATES[order.state]


def _stations(order: Order) -> str:
    return ", ".join(sorted({letter.station for letter in order.letters})) or "–"


def _target(order: Order) -> str:
    if order.consumer is not None:
        return tr("only {group}", group=order.consumer[1])
    if order.group:
        return tr("only {group}", group=order.group)
    return order.options.subject or (tr("their groups") if order.managed else tr("the original subject"))


def _outcome(order: Order) -> str:
    if order.progress is not None and not order.problem:
        return fates_sentence(order.progress)
    if order.state is OrderState.WAITING:
        left = figures.duration(math.ceil(max(0.0, order.due - time.time())))
        return tr("in {duration}", duration=left)
    return order.problem


def fates_sentence(progress: ResendProgress) -> str:
    """What became of letters, in a sentence."""
    parts = [
        tr_count(
            "{sent} of {count} dead letter resent",
            "{sent} of {count} dead letters resent",
            progress.total,
            count=figures.integer(progress.total),
            sent=figures.integer(progress.sent),
        )
    ]
    for fate, words in _FATES.items():
        if progress.fates[fate]:
            parts.append(f"{figures.integer(progress.fates[fate])}: {words}")
    return ", ".join(parts) + "."
