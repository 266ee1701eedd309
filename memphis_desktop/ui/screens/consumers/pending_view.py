"""The pending inspector: what a group was given and has not acknowledged."""

from __future__ import annotations

import asyncio
import time

from PySide6.QtWidgets import QVBoxLayout, QWidget

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.model import ConsumerSnapshot
from memphis_desktop.cluster.pending import PendingMessage, PendingMessages, PendingReader
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Command, Route, ScreenContext
from memphis_desktop.ui.screens.station_parts import panel

REFRESH_SECONDS = 2.0


class PendingView(QWidget):
    """Reads while it is shown; a row opens the message in the browser."""

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._reader: PendingReader | None = None
        self._consumer: ConsumerSnapshot | None = None
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._active = False
        self.summary = PlainLabel("", "muted", wrap=True)
        self.table = DataTable(
            [
                Column("mark", "", _mark, "dot", 28, tr("Red looks poisonous, amber was refused")),
                Column("sequence", tr("Sequence"), lambda m: m.sequence, "number", 90),
                Column("subject", tr("Subject"), lambda m: m.subject, "mono", 150, stretch=True),
                Column("age", tr("Stored"), lambda m: m.time_ns, "time", 90),
                Column("size", tr("Size"), lambda m: m.size, "bytes", 76),
                Column(
                    "deliveries",
                    tr("Deliveries"),
                    lambda m: m.deliveries,
                    "number",
                    90,
                    tr("As advisories told since this page was opened"),
                ),
                Column("state", tr("State"), _state, "badge", 150),
            ],
            lambda m: m.sequence,
            "pending_messages",
            context_actions=self._commands,
        )
        self.table.set_zone(context.zone)
        self.table.row_activated.connect(self._open)
        self.table.set_state("loading")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_3)
        layout.addWidget(self.summary)
        layout.addWidget(panel(self.table), 1)

    def show_consumer(self, consumer: ConsumerSnapshot) -> None:
        """Follow a group; another one begins anew."""
        before, self._consumer = self._consumer, consumer
        if before is None or (before.stream, before.name) != (consumer.stream, consumer.name):
            self._drop_reader()
            self.table.set_rows([])
            self.table.set_state("loading")
            self._read_at = float("-inf")
        if self._active:
            self._refresh()

    def activated(self) -> None:
        """Read while in view."""
        self._active = True
        self._read_at = float("-inf")
        self._refresh()

    def deactivated(self) -> None:
        """Rest, and hear no advisories."""
        self._active = False
        self._drop_reader()

    def _drop_reader(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        if self._reader is not None:
            self._context.run(self._reader.close(), tr("end listening"))
            self._reader = None

    def _refresh(self) -> None:
        now = time.monotonic()
        consumer = self._consumer
        if consumer is None or self._reading is not None or now - self._read_at < REFRESH_SECONDS:
            return
        self._read_at = now
        self._reading = self._context.run(self._read(consumer), tr("read the pending messages"))
        self._reading.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._reading = None

    async def _read(self, consumer: ConsumerSnapshot) -> None:
        reader = self._reader
        if reader is None:
            reader = self._reader = PendingReader(self._context.session, consumer.stream, consumer.name)
            await reader.open()
        try:
            found = await reader.read(consumer)
        except ClusterError as error:
            self.table.set_state("error", str(error))
            self.summary.setText(str(error))
            return
        self.summary.setText(pending_text(found, time.time_ns()))
        self.table.set_rows(found.messages)
        if found.messages:
            self.table.set_state("ready")
        else:
            self.table.set_state("empty", tr("Everything delivered is acknowledged."), icon="check-circle")

    def _open(self, message: PendingMessage) -> None:
        if self._consumer is not None:
            self._context.navigate(
                Route("messages", {"stream": self._consumer.stream, "sequence": str(message.sequence)})
            )

    def _commands(self, rows: list[PendingMessage]) -> list[Command]:
        if len(rows) != 1:
            return []
        return [Command(tr("Show the message"), "", lambda: self._open(rows[0]), "envelope-open")]


def pending_text(found: PendingMessages, now_ns: int) -> str:
    """What the inspector found, in sentences."""
    if not found.pending:
        return ""
    oldest = found.messages[0].time_ns if found.messages else None
    count = figures.integer(found.pending)
    if oldest is not None:
        text = tr_count(
            "{count} message delivered and not acknowledged; the oldest was stored {when}.",
            "{count} messages delivered and not acknowledged; the oldest was stored {when}.",
            found.pending,
            count=count,
            when=figures.relative_time(oldest, now_ns),
        )
    else:
        text = tr_count(
            "{count} message delivered and not acknowledged.",
            "{count} messages delivered and not acknowledged.",
            found.pending,
            count=count,
        )
    sentences = [text]
    certain = all(message.certain for message in found.messages)
    if not certain:
        sentences.append(
            tr(
                "The broker does not say which ones: of the messages between ack floor and last delivery, "
                "those not marked pending may be acknowledged already."
            )
        )
    if not found.complete:
        sentences.append(tr("The first {count} are shown.", count=figures.integer(len(found.messages))))
    return " ".join(sentences)


def _mark(message: PendingMessage) -> str:
    if message.suspicious:
        return "bad"
    return "warning" if message.note else "information" if message.certain else "muted"


def _state(message: PendingMessage) -> list[tuple[str, str]]:
    badges = [(tr("pending"), "information") if message.certain else (tr("perhaps pending"), "muted")]
    if message.note:
        badges.append((_note(message.note), "bad" if message.suspicious else "warning"))
    elif message.suspicious:
        badges.append((tr("poisonous?"), "bad"))
    return badges


def _note(note: str) -> str:
    """What an advisory said of a message, as people read it."""
    return {
        "refused": tr("refused"),
        "out of deliveries": tr("out of deliveries"),  # untranslated: a key of ours
        "terminated": tr("terminated"),
    }.get(note, note)
