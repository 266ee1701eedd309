"""The dialog that moves a group to another place, with a preview of what will come again."""

from __future__ import annotations

import asyncio
from datetime import datetime

from PySide6.QtCore import QDateTime, QTimer
from PySide6.QtWidgets import QComboBox, QDateTimeEdit, QLineEdit, QStackedWidget, QWidget

from memphis_desktop.cluster import consumer_reset
from memphis_desktop.cluster.consumer_reset import ResetPreview
from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.model import ConsumerSnapshot, StreamSnapshot
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.dialogs import (
    ConfirmDialog,
    Disclosure,
    add_form_row,
    form_layout,
    make_room,
)
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.field_values import FieldError, parse_count

_PREVIEW_DELAY_MS = 250
FIRST, END, SEQUENCE, TIME, BACK, FORWARD, FLOOR, OTHER, LAST = range(9)
_CHOICES = {
    FIRST: tr("To the first message"),
    LAST: tr("To the last message"),
    END: tr("Behind the last message"),
    SEQUENCE: tr("To a sequence"),
    TIME: tr("To a time"),
    BACK: tr("Back by a number of messages"),
    FORWARD: tr("On by a number of messages"),
    FLOOR: tr("Back to its ack floor"),
    OTHER: tr("To where another group is"),
}


class ResetDialog(ConfirmDialog):
    """See the module. The verb answers once the preview is there."""

    def __init__(
        self,
        parent: QWidget | None,
        context: ScreenContext,
        stream: StreamSnapshot,
        consumer: ConsumerSnapshot,
        others: list[ConsumerSnapshot],
        typed_name: str | None,
    ) -> None:
        self._context = context
        self._session = context.session
        self._stream = stream
        self._consumer = consumer
        self._others = others
        self._task: asyncio.Task[None] | None = None
        self.preview: ResetPreview | None = None
        super().__init__(
            parent, tr("Reset group {name}?", name=consumer.name), "", tr("Reset group"), typed_name
        )
        self.where = QComboBox()
        for key, label in _CHOICES.items():
            if key != OTHER or others:
                self.where.addItem(label, key)
        self.number = QLineEdit()
        self.moment = QDateTimeEdit()
        self.moment.setDisplayFormat("yyyy-MM-dd HH:mm:ss")
        self.moment.setCalendarPopup(True)
        self._set_moment((stream.first_time_ns or 0) // 1_000_000_000)
        self.other = QComboBox()
        for other in others:
            self.other.addItem(other.name)
        self._values = QStackedWidget()
        for widget in (QWidget(), self.number, self.moment, self.other):
            self._values.addWidget(widget)
        self._values.setFixedHeight(self.number.sizeHint().height())
        self.result_label = PlainLabel("", wrap=True)
        self.command = CodeBlock(lines=8)
        form = form_layout()
        add_form_row(form, tr("Move"), self.where)
        add_form_row(form, tr("Place"), self._values)
        self._form = form
        self.body.insertLayout(0, form)
        self.body.insertWidget(1, self.result_label)
        self.body.addWidget(Disclosure(tr("Command"), self.command))
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PREVIEW_DELAY_MS)
        self._timer.timeout.connect(self._start_preview)
        self.where.currentIndexChanged.connect(lambda _: self._changed())
        self.number.textChanged.connect(lambda _: self._changed())
        self.moment.dateTimeChanged.connect(lambda _: self._changed())
        self.other.currentIndexChanged.connect(lambda _: self._changed())
        if self.field is not None:
            self.field.textChanged.connect(lambda _: self._enable())
        self._changed()

    def _set_moment(self, seconds: int) -> None:
        local = datetime.fromtimestamp(seconds, self._context.zone)
        self.moment.setDateTime(
            QDateTime(local.year, local.month, local.day, local.hour, local.minute, local.second)
        )

    def _changed(self) -> None:
        choice = self.where.currentData()
        page = {SEQUENCE: 1, BACK: 1, FORWARD: 1, TIME: 2, OTHER: 3}.get(choice, 0)
        self._values.setCurrentIndex(page)
        self._form.setRowVisible(self._values, page > 0)
        self.number.setPlaceholderText(tr("sequence") if choice == SEQUENCE else tr("messages"))
        self.preview = None
        self.result_label.setText(tr("Counting what will come again."))
        self._enable()
        self._timer.start()

    def _enable(self) -> None:
        typed = self.field is None or self.field.text() == self._consumer.name
        self.verb_button.setEnabled(self.preview is not None and typed)

    def _start_preview(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._task = self._context.run(self._make_preview(), tr("count what will come again"))

    async def _make_preview(self) -> None:
        try:
            sequence = await self._sequence()
            preview = await consumer_reset.preview(self._session, self._stream, self._consumer, sequence)
        except (FieldError, ClusterError) as error:
            self.result_label.setText(str(error))
            return
        self.preview = preview
        self.result_label.setText(preview_text(preview))
        make_room(self)
        steps = consumer_reset.reset_actions(
            self._session, self._stream.name, self._consumer, preview.sequence
        )
        self.command.set_text("\n\n".join(step.equivalent(self._session) for step in steps))
        self._enable()

    async def _sequence(self) -> int:
        """The chosen place as a sequence. Raises `FieldError` or `ClusterError`."""
        choice = self.where.currentData()
        stream, consumer = self._stream, self._consumer
        if choice == END:
            return stream.last_sequence + 1
        if choice == LAST:
            return stream.last_sequence
        if choice == FLOOR:
            return consumer.ack_floor_stream + 1
        if choice == OTHER:
            return self._others[self.other.currentIndex()].delivered_stream + 1
        if choice == TIME:
            shown = self.moment.dateTime().toPython()
            assert isinstance(shown, datetime)
            moment = shown.replace(tzinfo=self._context.zone)
            return await consumer_reset.sequence_at(
                self._session, stream, round(moment.timestamp()) * 1_000_000_000
            )
        if choice in (SEQUENCE, BACK, FORWARD):
            if not self.number.text().strip():
                raise FieldError(tr("Write a number."))
            number = parse_count(self.number.text())
            if number < 1:
                raise FieldError(tr("Write a number above 0."))
            if choice == FORWARD:
                return min(stream.last_sequence, consumer.delivered_stream + number) + 1
            return number if choice == SEQUENCE else max(1, consumer.delivered_stream + 1 - number)
        return stream.first_sequence or 1

    def done(self, result: int) -> None:
        """Let a count end."""
        if self._task is not None:
            self._task.cancel()
        super().done(result)


def preview_text(preview: ResetPreview) -> str:
    """What a reset would do, in sentences."""
    sequence = figures.integer(preview.sequence)
    parts = [tr("Delivery goes on with sequence {sequence}.", sequence=sequence)]
    if preview.again:
        parts.append(_will_come_again(preview.again, preview.exact))
    if preview.skipped:
        parts.append(_will_be_skipped(preview.skipped, preview.exact))
    if not preview.again and not preview.skipped:
        parts.append(tr("Nothing is delivered again and nothing is skipped."))
    parts.append(_will_wait(preview.pending, preview.exact))
    if not preview.native:
        parts.append(tr("This server cannot move a group, so it is deleted and made again."))
    if not preview.native and preview.lost_pending:
        parts.append(
            tr_count(
                "Delivery counts of {count} unacknowledged message are lost.",
                "Delivery counts of {count} unacknowledged messages are lost.",
                preview.lost_pending,
                count=figures.integer(preview.lost_pending),
            )
        )
    return " ".join(parts)


def _will_come_again(number: int, exact: bool) -> str:
    count = figures.integer(number)
    if exact:
        return tr_count(
            "{count} message will be delivered again.",
            "{count} messages will be delivered again.",
            number,
            count=count,
        )
    return tr_count(
        "About {count} message will be delivered again.",
        "About {count} messages will be delivered again.",
        number,
        count=count,
    )


def _will_be_skipped(number: int, exact: bool) -> str:
    count = figures.integer(number)
    if exact:
        return tr_count(
            "{count} message waiting now will be skipped.",
            "{count} messages waiting now will be skipped.",
            number,
            count=count,
        )
    return tr_count(
        "About {count} message waiting now will be skipped.",
        "About {count} messages waiting now will be skipped.",
        number,
        count=count,
    )


def _will_wait(number: int, exact: bool) -> str:
    count = figures.integer(number)
    if exact:
        return tr_count(
            "{count} message will wait then.", "{count} messages will wait then.", number, count=count
        )
    return tr_count(
        "About {count} message will wait then.", "About {count} messages will wait then.", number, count=count
    )
