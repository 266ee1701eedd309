"""Fetching messages by hand: take some, look at them, and answer each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeout
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QSpinBox, QSplitter, QWidget

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.model import ConsumerSnapshot
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import Dialog, pad_numbers
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.field_values import FieldError, parse_duration

MAX_BATCH = 100
FETCH_SECONDS = 2.0
SHOWN_BYTES = 4096
NAK_DELAYS = ((tr("at once"), 0), (tr("in 10 s"), 10), (tr("in 1 min"), 60), (tr("in 10 min"), 600))


@dataclass(frozen=True, eq=False)
class Fetched:
    """A message in hand, and what was answered."""

    message: Msg
    answer: str = ""

    @property
    def sequence(self) -> int:
        """Its stream sequence."""
        return int(self.message.metadata.sequence.stream)

    @property
    def key(self) -> tuple[int, int]:
        """What identifies this delivery."""
        return self.sequence, int(self.message.metadata.num_delivered)


class FetchDialog(Dialog):
    """See the module. What is not answered is handed back when the dialog closes."""

    def __init__(self, parent: QWidget | None, context: ScreenContext, consumer: ConsumerSnapshot) -> None:
        super().__init__(parent, tr("Fetch from group {name}", name=consumer.name), tr("Done"), width=820)
        self._context = context
        self._consumer = consumer
        self._acks = consumer.config.get("ack_policy") != "none"
        self._rows: dict[tuple[int, int], Fetched] = {}
        if self._acks:
            text = tr(
                "Messages fetched here are taken from the group's clients. "
                "What is left without an answer is handed back on closing."
            )
        else:
            text = tr(
                "Messages fetched here are taken from the group's clients. "
                "This group wants no acknowledgements, so they count as processed at once."
            )
        self.body.addWidget(PlainLabel(text, "muted", wrap=True))
        self.count = QSpinBox()
        self.count.setRange(1, MAX_BATCH)
        self.count.setValue(10)
        self.count.setAccessibleName(tr("Number of messages"))
        pad_numbers(self.count)
        self.fetch_button = QPushButton(tr("Fetch"))
        self.fetch_button.clicked.connect(self.fetch)
        self.status = PlainLabel("", "caption")
        self.delay = QComboBox()
        for label, _ in NAK_DELAYS:
            self.delay.addItem(label)
        self.delay.setAccessibleName(tr("Deliver again"))
        self.delay.setToolTip(tr("When it is delivered again: choose, or write a duration such as 90s or 2h"))
        self.delay.setEditable(True)
        self.delay.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.ack_button = QPushButton(tr("Acknowledge"))
        self.nak_button = QPushButton(tr("Hand back"))
        self.term_button = QPushButton(tr("Give up"))
        self.progress_button = QPushButton(tr("In progress"))
        for button, make, tooltip in (
            (self.ack_button, self._ack, tr("Ack: processed, never delivered again")),
            (self.nak_button, self._nak, tr("Nak: deliver again, when chosen at the right")),
            (self.progress_button, self._in_progress, tr("The clock for redelivery starts again")),
            (self.term_button, self._term, tr("Term: never deliver again, though not processed")),
        ):
            button.setToolTip(tooltip)
            button.setEnabled(False)
            button.setVisible(self._acks)
            button.clicked.connect(lambda _=False, make=make: self._answer_selected(make))
        self.delay.setVisible(self._acks)
        top = QHBoxLayout()
        top.setSpacing(theme.SPACE_2)
        before: tuple[QWidget, ...] = (self.count, self.fetch_button, self.status)
        for widget in before:
            top.addWidget(widget)
        top.addStretch()
        self.body.addLayout(top)
        below = QHBoxLayout()
        below.setSpacing(theme.SPACE_2)
        for button in (self.ack_button, self.progress_button, self.term_button, self.nak_button):
            below.addWidget(button)
        below.addWidget(self.delay)
        below.addStretch()
        self.table = DataTable(
            [
                Column("sequence", tr("Sequence"), lambda r: r.sequence, "number", 90),
                Column("subject", tr("Subject"), lambda r: r.message.subject, "mono", 160, stretch=True),
                Column(
                    "deliveries", tr("Delivered"), lambda r: r.message.metadata.num_delivered, "number", 80
                ),
                Column("size", tr("Size"), lambda r: len(r.message.data), "bytes", 80),
                Column("answer", tr("Answer"), lambda r: _word(r.answer or "none"), "badge", 110),
            ],
            lambda r: r.key,
            "fetched_messages",
            context_actions=lambda _: self._commands(),
        )
        self.table.set_state("empty", tr("Nothing fetched yet."), (tr("Fetch"), self.fetch), "tray")
        self.payload = CodeBlock(lines=0)
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(self.table)
        split.addWidget(self.payload)
        split.setSizes([260, 120])
        self.body.addWidget(split, 1)
        self.body.addLayout(below)
        self.cancel_button.hide()
        self.table.current_changed.connect(self._show_payload)
        self.table.selection_changed.connect(lambda _: self._enable())
        self.resize(860, 600)

    def fetch(self) -> None:
        """Take so many messages."""
        self.fetch_button.setEnabled(False)
        self._context.run(self._fetch(), tr("fetch messages"))

    async def _fetch(self) -> None:
        self.status.setText(tr("Fetching."))
        try:
            found = await self._take(self.count.value())
        except (ClusterError, NatsError) as error:
            self.show_error(str(error).removeprefix("nats: "))
            self.status.setText("")
            return
        finally:
            self.fetch_button.setEnabled(True)
        self.show_error("")
        for message in found:
            row = Fetched(message)
            self._rows[row.key] = row
        self.status.setText(
            tr_count(
                "{count} message fetched",
                "{count} messages fetched",
                len(found),
                count=figures.integer(len(found)),
            )
            if found
            else tr("No message came.")
        )
        self._show()
        if found and not self.table.selected_rows():  # the focus came to the table, which chooses no row
            self.table.select_key(Fetched(found[0]).key)

    async def _take(self, count: int) -> list[Msg]:
        session = self._context.session
        session.require_writable()
        subscription = await session.jetstream.pull_subscribe_bind(self._consumer.name, self._consumer.stream)
        try:
            return list(await subscription.fetch(count, timeout=FETCH_SECONDS))
        except NatsTimeout:
            return []
        finally:
            await subscription.unsubscribe()

    def _show(self) -> None:
        self.table.set_rows(self._rows.values())
        self.table.set_state("ready" if self._rows else "empty")
        self._enable()

    def _show_payload(self, row: Fetched | None) -> None:
        if row is None:
            self.payload.set_text("")
            return
        data = row.message.data
        lines = [f"{name}: {value}" for name, value in (row.message.headers or {}).items()]
        text = data[:SHOWN_BYTES].decode("utf-8", "replace")
        if len(data) > SHOWN_BYTES:
            text += "\n" + tr("… {size} more", size=figures.bytes_size(len(data) - SHOWN_BYTES))
        self.payload.set_text("\n".join([*lines, *([""] if lines else []), text]))

    def _enable(self) -> None:
        open_ = any(not row.answer for row in self.table.selected_rows())
        for button in (self.ack_button, self.nak_button, self.term_button, self.progress_button):
            button.setEnabled(open_)

    def _commands(self) -> list[Command]:
        if not self._acks:
            return []
        return [
            Command(tr("Acknowledge"), "", lambda: self._answer_selected(self._ack), "check"),
            Command(tr("In progress"), "", lambda: self._answer_selected(self._in_progress), "clock"),
            Command(tr("Hand back"), "", lambda: self._answer_selected(self._nak), "arrow-counter-clockwise"),
            Command(tr("Give up"), "", lambda: self._answer_selected(self._term), "x"),
        ]

    def _answer_selected(self, make: Callable[[Msg], tuple[str, Coroutine[Any, Any, None]]]) -> None:
        rows = [row for row in self.table.selected_rows() if not row.answer]
        if make == self._nak:
            try:
                self._delay()
            except FieldError as error:
                self.show_error(str(error))
                return
        self.show_error("")
        self._context.run(self._answer(rows, make), tr("answer the messages"))

    async def _answer(
        self, rows: list[Fetched], make: Callable[[Msg], tuple[str, Coroutine[Any, Any, None]]]
    ) -> None:
        for row in rows:
            word, sending = make(row.message)
            await sending
            if word != "in progress":
                self._rows[row.key] = replace(row, answer=word)
        self.status.setText(
            tr_count(
                "{count} message: {answers}",
                "{count} messages: {answers}",
                len(rows),
                count=figures.integer(len(rows)),
                answers=make_word(rows, self._rows),
            )
        )
        self._show()

    def _ack(self, message: Msg) -> tuple[str, Coroutine[Any, Any, None]]:
        return "acknowledged", _sync_ack(message)

    def _nak(self, message: Msg) -> tuple[str, Coroutine[Any, Any, None]]:
        return "handed back", message.nak(delay=self._delay() or None)

    def _delay(self) -> float:
        """Seconds until what is handed back comes again. Raises `FieldError` when that is no duration."""
        text = self.delay.currentText().strip()
        chosen = next((seconds for label, seconds in NAK_DELAYS if label == text), None)
        return parse_duration(text) / 1e9 if chosen is None else float(chosen)

    def _term(self, message: Msg) -> tuple[str, Coroutine[Any, Any, None]]:
        return "given up", message.term()

    def _in_progress(self, message: Msg) -> tuple[str, Coroutine[Any, Any, None]]:
        return "in progress", message.in_progress()

    def done(self, result: int) -> None:
        """Hand back what was not answered."""
        left = [row for row in self._rows.values() if not row.answer]
        if left and self._acks:
            self._context.run(_hand_back(left), tr("hand the messages back"))
        super().done(result)


def make_word(rows: list[Fetched], now: dict[tuple[int, int], Fetched]) -> str:
    """What was answered to these rows."""
    words = {now[row.key].answer or "in progress" for row in rows}
    return ", ".join(_word(word) for word in sorted(words))


def _word(answer: str) -> str:
    """An answer as people read it."""
    return {
        "acknowledged": tr("acknowledged"),
        "handed back": tr("handed back"),
        "given up": tr("given up"),
        "in progress": tr("in progress"),
    }.get(answer, tr("none"))


async def _sync_ack(message: Msg) -> None:
    await message.ack_sync(timeout=5)


async def _hand_back(rows: list[Fetched]) -> None:
    await asyncio.gather(*(row.message.nak() for row in rows))
