"""What can be done with dead letters: each asks, shows its command, acts, and says that it did."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from memphis_desktop.cluster.dead_letters.capture import CAPTURE_STREAM, start_capture, stop_capture
from memphis_desktop.cluster.dead_letters.dropping import Dropped, drop_letters
from memphis_desktop.cluster.dead_letters.letters import DeadLetter, LetterKind, Resent
from memphis_desktop.cluster.dead_letters.names import station_matches
from memphis_desktop.cluster.profiles import Environment
from memphis_desktop.inspect import snippets
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.publishing import Acknowledgement
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import settings
from memphis_desktop.ui.components.dialogs import ConfirmDialog
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.composer import open_composer
from memphis_desktop.ui.screens.dead_letters.delayed import WaitingDialog
from memphis_desktop.ui.screens.dead_letters.dialogs import DropDialog, PatternsDialog, capture_dialog
from memphis_desktop.ui.screens.dead_letters.export_dialog import LettersExportDialog, marked
from memphis_desktop.ui.screens.dead_letters.group_dialogs import EditResendDialog, GroupResendDialog
from memphis_desktop.ui.screens.dead_letters.note_dialog import NoteDialog
from memphis_desktop.ui.screens.dead_letters.resend_dialog import ResendDialog
from memphis_desktop.ui.screens.messages.saving import save_bytes
from memphis_desktop.ui.screens.station_parts import station_route

PATTERNS_KEY = "dead_letters/patterns"


class LetterActions:
    """The actions of one view. `parent` is the widget their dialogs stand before."""

    def __init__(self, context: ScreenContext, parent: QWidget) -> None:
        self._context = context
        self._parent = parent
        self._book = context.session.dead_letters

    @property
    def refusal(self) -> str:
        """Why nothing can be changed here; empty when it can."""
        return tr("This connection is read-only.") if self._context.session.profile.read_only else ""

    def _typed(self, letters: Iterable[DeadLetter]) -> str | None:
        if self._context.session.profile.environment is not Environment.PRODUCTION:
            return None
        stations = {letter.stream for letter in letters}
        return stations.pop() if len(stations) == 1 else "dead letters"

    def start_capture(self) -> None:
        """Ask, then make the capture stream."""
        self._context.run(self._start_capture(), tr("start capturing"))

    async def _start_capture(self) -> None:
        session = self._context.session
        try:
            action = start_capture(session.snapshot)
        except ValueError as error:
            self._context.notify(f"{error}.", "warning")
            return
        if await capture_dialog(self._parent.window(), session, action).ask():
            await action.run(session)
            self._context.notify(
                tr(
                    "Dead letters are captured in {CAPTURE_STREAM} from now on.",
                    CAPTURE_STREAM=CAPTURE_STREAM,
                ),
                "good",
            )

    def stop_capture(self) -> None:
        """Ask, then delete the capture stream."""
        self._context.run(self._stop_capture(), tr("stop capturing"))

    async def _stop_capture(self) -> None:
        session = self._context.session
        action = stop_capture(session.snapshot)
        stream = session.snapshot.streams.get(CAPTURE_STREAM)
        if action is None or stream is None:
            self._context.notify(
                tr("What captures them was not made here: delete that station yourself."), "warning"
            )
            return
        text = tr_count(
            "The stream {stream} is deleted with its {count} record. Your messages stay where they are.",
            "The stream {stream} is deleted with its {count} records. Your messages stay where they are.",
            stream.messages,
            count=figures.integer(stream.messages),
            stream=CAPTURE_STREAM,
        )
        production = session.profile.environment is Environment.PRODUCTION
        dialog = ConfirmDialog(
            self._parent.window(),
            tr("Stop capturing dead letters?"),
            text,
            tr("Stop and delete records"),
            CAPTURE_STREAM if production else None,
            command=action.equivalent(session),
        )
        if await dialog.ask():
            await action.run(session)
            self._context.notify(tr("Dead letters are no longer captured."), "good")

    def edit_patterns(self) -> None:
        """Ask which stations hold dead letters."""
        self._context.run(self._edit_patterns(), tr("choose the dead-letter stations"))

    async def _edit_patterns(self) -> None:
        streams = self._context.session.snapshot.streams

        def matching(patterns: list[str]) -> list[str]:
            return [
                name
                for name, stream in streams.items()
                if name != CAPTURE_STREAM
                and station_matches(name, stream.config.get("subjects") or (), patterns)
            ]

        dialog = PatternsDialog(self._parent.window(), self._book.patterns, matching)
        if await dialog.ask():
            settings.current().set(PATTERNS_KEY, dialog.patterns())
            self._book.set_patterns(dialog.patterns())

    def resend(self, letters: list[DeadLetter]) -> None:
        """Send letters again, after asking how."""
        if not letters or self.refusal:
            return
        external = [letter for letter in letters if letter.managed]
        if external and len(external) < len(letters):
            self._context.notify(
                tr("Select letters of one sort: those Memphis keeps, or the others."), "warning"
            )
        elif external:
            self._resend_external(external)
        else:
            typed = self._typed(letters)
            ResendDialog(self._context, self._parent.window(), letters, typed).open()

    def show_waiting(self) -> None:
        """Show the resends that wait on this connection."""
        self._context.run(self._show_waiting(), tr("show what waits"))

    async def _show_waiting(self) -> None:
        await WaitingDialog(self._context, self._parent.window()).ask()
        self._context.session.later.forget_done()

    def _resend_external(self, letters: list[DeadLetter]) -> None:
        if all(letter.kind is LetterKind.SCHEMA for letter in letters):
            text = tr("Their schema refused these messages: they can be sent edited only ( E ).")
            self._context.notify(text, "warning")
            return
        typed = self._typed(letters)
        GroupResendDialog(self._parent.window(), self._context, letters, typed).open()

    def edit_and_resend(self, letter: DeadLetter | None, message: InspectedMessage | None) -> None:
        """Open the composer with the letter's message, marked as a copy."""
        if letter is None or message is None:
            self._context.notify(tr("The message is gone: there is nothing to edit."), "warning")
            return
        if letter.managed:
            if not self.refusal:
                EditResendDialog(self._parent.window(), self._context, letter, message).open()
            return
        copy = marked(letter, message, letter.attempts + 1)
        subject = letter.home_subject or message.headers.get("Memphis-Dead-Letter-Subject") or message.subject
        draft = InspectedMessage(
            copy.stream, copy.sequence, copy.time_ns, subject, copy.header_bytes, copy.payload
        )
        composer = open_composer(self._context, self._parent.window(), message=draft)
        composer.published.connect(lambda ack: self._edited(letter, subject, ack))

    def _edited(self, letter: DeadLetter, subject: str, ack: Acknowledgement) -> None:
        copy = Resent(time.time_ns(), letter.attempts + 1, subject, ack.stream, ack.sequence)
        self._context.run(self._book.record_resent(letter, copy), tr("note what was sent"))

    def why_no_notes(self, letters: list[DeadLetter]) -> str:
        """Why nothing can be written about letters; empty when it can."""
        return self._book.why_no_notes(letters)

    def write_note(self, letters: list[DeadLetter]) -> None:
        """Ask what to write about letters, and keep it where colleagues see it."""
        if letters and not self.why_no_notes(letters):
            self._context.run(self._write_note(letters), tr("write the note"))

    async def _write_note(self, letters: list[DeadLetter]) -> None:
        known = {tag for letter in self._book.view.letters for tag in letter.tags}
        dialog = NoteDialog(self._parent.window(), letters, sorted(known))
        if await dialog.ask():
            await self._book.write_note(letters, dialog.text(), dialog.tags())
            told = tr_count(
                "Noted about {count} dead letter.",
                "Noted about {count} dead letters.",
                len(letters),
                count=figures.integer(len(letters)),
            )
            self._context.notify(told, "good")

    def drop(self, letters: list[DeadLetter]) -> None:
        """Drop letters, after asking."""
        if letters and not self.refusal:
            self._context.run(self._drop(letters), tr("drop the dead letters"))

    async def _drop(self, letters: list[DeadLetter]) -> None:
        session = self._context.session
        dialog = DropDialog(self._parent.window(), session, letters, self._typed(letters))
        if not await dialog.ask():
            return
        dropped = await drop_letters(session, letters, messages=dialog.messages.isChecked())
        self._context.notify(_dropped_sentence(len(letters), dropped), "bad" if dropped.failed else "good")

    def export(self, letters: list[DeadLetter]) -> None:
        """Write letters to a file."""
        if letters:
            LettersExportDialog(self._context, self._parent.window(), letters).open()

    def copy_payload(self, message: InspectedMessage | None) -> None:
        """Put the payload on the clipboard: text as it is, other bytes as hex."""
        if message is not None:
            text = snippets.plain_text(message.payload)
            QGuiApplication.clipboard().setText(message.payload.hex() if text is None else text)
            self._context.notify(tr("Copied the payload."), "good")

    def save_payload(self, message: InspectedMessage | None) -> None:
        """Write the payload's bytes to a file."""
        if message is None:
            return
        suggested = f"{message.stream}-{message.sequence}.bin"
        path, _ = QFileDialog.getSaveFileName(self._parent, tr("Save payload"), suggested)
        if path:
            self._context.run(save_bytes(self._context, path, message.payload), tr("save the payload"))

    def fill_capture_menu(self, menu: QMenu) -> None:
        """What can be done about capturing."""
        status = self._book.status
        for name in status.streams:
            menu.addAction(tr("Open {name}", name=name), partial(self._context.navigate, station_route(name)))
        start = menu.addAction(tr("Start capturing"), self.start_capture)
        start.setEnabled(not self.refusal and not status.complete)
        stop = menu.addAction(tr("Stop capturing"), self.stop_capture)
        stop.setEnabled(not self.refusal and status.active)
        menu.addSeparator()
        menu.addAction(tr("Choose the dead-letter stations"), self.edit_patterns)


def _dropped_sentence(letters: int, dropped: Dropped) -> str:
    """What became of letters that were dropped."""
    if dropped.failed:
        failed = tr_count(
            "{count} deletion failed.",
            "{count} deletions failed.",
            dropped.failed,
            count=figures.integer(dropped.failed),
        )
        return f"{failed} {dropped.problem}"
    count = figures.integer(letters)
    if not dropped.messages:
        return tr_count("Dropped {count} dead letter.", "Dropped {count} dead letters.", letters, count=count)
    messages = tr_count(
        "{count} message", "{count} messages", dropped.messages, count=figures.integer(dropped.messages)
    )
    return tr_count(
        "Dropped {count} dead letter, {messages} deleted.",
        "Dropped {count} dead letters, {messages} deleted.",
        letters,
        count=count,
        messages=messages,
    )
