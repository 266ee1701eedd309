"""Sending what the composer holds: one message, many, or a request, and what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer
from shiboken6 import isValid

from memphis_desktop.inspect.draft import Draft
from memphis_desktop.inspect.publishing import Acknowledgement, PublishError, Reply, publish, request_many
from memphis_desktop.inspect.series import Series
from memphis_desktop.inspect.templates import Template
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.screen import Action, Route, ScreenContext
from memphis_desktop.ui.screens.composer import history

if TYPE_CHECKING:
    from memphis_desktop.ui.screens.composer.dialog import Composer

_PROGRESS_MS = 200


async def send_one(
    context: ScreenContext, draft: Draft, payload: bytes, written: Draft | None, timeout: float
) -> Acknowledgement:
    """Publish a message and wait until it is stored; `written` joins the history, None leaves that out.

    Raises:
        PublishError: It was not stored, or nobody confirmed it in time.
    """
    nats = context.session.nats
    ack = await publish(nats, draft.subject, payload, draft.header_list(), timeout=timeout)
    if written is not None:
        history.remember(written)
    return ack


def stored_text(ack: Acknowledgement) -> tuple[str, str]:
    """What became of a message that a station took, as the kind of a banner and its words."""
    took = figures.duration(ack.seconds)
    where = tr("{stream} as #{sequence}", stream=ack.stream, sequence=figures.integer(ack.sequence))
    if ack.duplicate:
        return "warning", tr("Not stored again: a message with this id is already in {where}.", where=where)
    if ack.value:
        return "good", tr(
            "Stored in {where} after {took}. The counter is now {value}.",
            where=where, took=took, value=ack.value,
        )  # fmt: skip
    return "good", tr("Stored in {where} after {took}.", where=where, took=took)


class Sending(QObject):
    """Sends for a composer; one thing at a time."""

    def __init__(self, composer: Composer) -> None:
        super().__init__(composer)
        self._composer = composer
        self._context = composer.context
        self.busy = False
        self.series: Series | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_PROGRESS_MS)
        self._timer.timeout.connect(self._show_series)

    @property
    def running(self) -> bool:
        """Whether many messages are being sent."""
        return self.series is not None and not self.series.progress.done

    def publish(self) -> None:
        """Publish to a station and show the acknowledgement; again while many are sent stops them."""
        if self.running:
            self.cancel()
        elif self._composer.count_box.value() > 1:
            self._send(self._publish_many, tr("publish the messages"))
        else:
            self._send(self._publish, tr("publish the message"))

    def request(self) -> None:
        """Send a request and show the replies."""
        self._send(self._request, tr("send the request"))

    def cancel(self) -> None:
        """Send no more of many."""
        if self.series is not None:
            self.series.cancel()

    def label_button(self) -> None:
        """Say on the button what it does."""
        button = self._composer.publish_button
        if self.running:
            button.setText(tr("Stop"))
            button.setEnabled(True)
            return
        count = self._composer.count_box.value()
        button.setText(tr("Publish") if count == 1 else tr("Publish {count}", count=figures.integer(count)))

    def _send(self, send: Callable[[Draft], Awaitable[None]], description: str) -> None:
        composer = self._composer
        composer.check()
        problem = composer.problem()
        if problem:
            composer.show_outcome("bad", problem)
        elif not self.busy and not composer.refusal():
            self._context.run(self._checked(send), description)

    async def _checked(self, send: Callable[[Draft], Awaitable[None]]) -> None:
        """Ask the station's own check first, where it has a schema."""
        composer = self._composer
        self._set_busy(True)
        try:
            draft = composer.filled(0)
            problem = ""
            if composer.schema_check.isChecked():
                problem = await composer.schemas.station_problem(composer.target(), composer.payload(draft))
            if not isValid(composer):
                return
            if problem:
                composer.show_outcome("bad", problem)
            else:
                await send(draft)
        except PublishError as error:
            if isValid(composer):
                self._show_failure(error)
        finally:
            if isValid(composer):
                self._set_busy(False)

    def _remember(self, draft: Draft) -> None:
        if not isValid(self._composer) or self._composer.body.held is None:
            history.remember(draft)

    def _set_busy(self, busy: bool) -> None:
        self.busy = busy
        self._composer.check()

    async def _publish(self, draft: Draft) -> None:
        composer = self._composer
        written = composer.draft()  # with its placeholders, for the next time
        ack = await send_one(
            self._context,
            draft,
            composer.payload(draft),
            written if composer.body.held is None else None,
            composer.timeout_box.value(),
        )
        if isValid(composer):
            composer.load_subjects()
            self._show_stored(ack)

    async def _request(self, draft: Draft) -> None:
        composer = self._composer
        written = composer.draft()
        composer.replies.begin(draft.subject)
        count = composer.replies_box.value()
        replies = await request_many(
            self._context.session.nats,
            draft.subject,
            composer.payload(draft),
            draft.header_list(),
            count=count,
            timeout=composer.timeout_box.value(),
            arrived=self._reply_arrived,
        )
        self._remember(written)
        if not isValid(composer):
            return
        composer.load_subjects()
        if count == 1:
            size = figures.bytes_size(len(replies[0].payload))
            text = tr(
                "Reply after {seconds}, {size}.", seconds=figures.duration(replies[0].seconds), size=size
            )
        else:
            came = tr_count(
                "{count} reply", "{count} replies", len(replies), count=figures.integer(len(replies))
            )
            text = tr(
                "{came} of {count}, the last after {seconds}.",
                came=came,
                count=count,
                seconds=figures.duration(replies[-1].seconds),
            )
        composer.show_outcome("good", text)

    def _reply_arrived(self, reply: Reply) -> None:
        if isValid(self._composer):
            self._composer.replies.add(reply)
            self._composer.show_replies()

    def _show_stored(self, ack: Acknowledgement) -> None:
        composer = self._composer
        composer.replies.hide()
        composer.show_outcome(*stored_text(ack), self._show_action(ack))
        if not ack.duplicate:
            composer.published.emit(ack)

    def _show_action(self, ack: Acknowledgement) -> Action:
        route = Route("messages", {"stream": ack.stream, "sequence": str(ack.sequence)})
        return (tr("Show"), lambda: self._context.navigate(route))

    def _show_failure(self, error: PublishError) -> None:
        text = str(error)
        if error.kind == "no stream":
            text = tr("{problem}. Create one with this subject, or use Request.", problem=error)
        self._composer.show_outcome("bad", text)

    # Many ---------------------------------------------------------------------------------------

    async def _publish_many(self, _: Draft) -> None:
        composer = self._composer
        draft = composer.draft()
        template = Template(draft) if composer.template_check.isChecked() else _Fixed(draft)
        self.series = Series(
            self._context.session.nats,
            template,
            composer.count_box.value(),
            composer.rate_box.value() or None,
            composer.payload,
            max_in_flight=composer.many.flight_box.value(),
        )
        self._timer.start()
        self.label_button()
        await self.series.run()
        self._remember(draft)
        if isValid(composer):
            self._timer.stop()
            self._show_series()

    def _show_series(self) -> None:
        if self.series is None:
            return
        progress = self.series.progress
        parts = [
            tr(
                "{sent} of {count} sent",
                sent=figures.integer(progress.sent),
                count=figures.integer(progress.count),
            ),
            tr("{stored} stored", stored=figures.integer(progress.stored)),
        ]
        if progress.duplicates:
            parts.append(
                tr_count(
                    "{count} duplicate not stored again",
                    "{count} duplicates not stored again",
                    progress.duplicates,
                    count=figures.integer(progress.duplicates),
                )
            )
        if progress.failed:
            sample = next(iter(progress.errors))
            parts.append(
                tr("{failed} failed: {sample}", failed=figures.integer(progress.failed), sample=sample)
            )
        parts.append(figures.rate(progress.rate))
        if progress.reason:
            parts.append(progress.reason)
        kind = "bad" if progress.failed or (progress.done and not progress.stored) else "good"
        last = progress.last
        action = self._show_action(last) if progress.done and last is not None else None
        self._composer.show_outcome(kind if progress.done else "information", "  ·  ".join(parts), action)


class _Fixed(Template):
    """The same message every time: nothing in it is a placeholder."""

    def make(self, index: int) -> Draft:
        """The draft as it is."""
        return self.draft
