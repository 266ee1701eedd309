"""What can be done with the messages of a browser: copying, publishing, comparing, deleting and the rest."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPoint, Qt
from PySide6.QtGui import QCursor, QGuiApplication
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from memphis_desktop.cluster.actions import delete_message
from memphis_desktop.inspect import snippets
from memphis_desktop.inspect.collection import CollectionFull
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr, tr_count
from memphis_desktop.stations.names import station_of_stream
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap
from memphis_desktop.ui.screens.decoders.store import current_decoders
from memphis_desktop.ui.screens.messages.collection_dialog import (
    MAX_MARKS,
    CollectionDialog,
    holder,
    keep,
    place_of,
)
from memphis_desktop.ui.screens.messages.columns import table_head, table_line
from memphis_desktop.ui.screens.messages.compare import CompareDialog
from memphis_desktop.ui.screens.messages.deletion_dialog import DeletionDialog
from memphis_desktop.ui.screens.messages.explain_dialog import ExplainDialog
from memphis_desktop.ui.screens.messages.export_dialog import ExportDialog
from memphis_desktop.ui.screens.messages.saving import save_bytes
from memphis_desktop.ui.shell.connection import LOCAL_ID
from memphis_desktop.ui.shell.links import link_to

if TYPE_CHECKING:
    from memphis_desktop.ui.screens.messages.browser import MessageBrowser

COPIED_AT_ONCE = 50  # more messages than this are put on the clipboard in slices
SLICE_SECONDS = 0.004
ASKED_PLAINLY = 20  # more messages than this are deleted with progress and a stop


class MessageActions(QObject):
    """Works on the selection of a browser, or on the message in its pane."""

    def __init__(self, browser: MessageBrowser) -> None:
        super().__init__(browser)
        self._browser = browser
        self._list = browser.list
        self._context = browser.context

    @property
    def _window(self) -> QWidget:
        return self._browser.window()

    def selected(self) -> list[InspectedMessage]:
        """The selected messages, or the one in the pane."""
        messages = self._list.selected_messages()
        if not messages and self._browser.pane.message is not None:
            messages = [self._browser.pane.message]
        return messages

    def copy_payload(self) -> None:
        """Put the payloads of the selection on the clipboard: text as it is, other bytes as hex."""
        messages = self.selected()
        if not messages:
            return
        what = tr_count("the payload", "{count} payloads", len(messages))
        self._copy_all(messages, _payload_text, "\n".join, what)

    def copy_rows(self) -> None:
        """Put the selected rows on the clipboard as a spreadsheet takes them: tabs between the cells."""
        messages = self._list.selected_messages()
        if messages:
            columns, zone = self._list.visible_columns(), self._context.zone
            self._copy_all(
                messages,
                lambda message: table_line(message, columns, zone),
                lambda lines: "\n".join([table_head(columns), *lines] if len(lines) > 1 else lines),
                tr_count("{count} row", "{count} rows", len(messages), count=figures.integer(len(messages))),
            )

    def copy_as(self, name: str) -> None:
        """Put the selection on the clipboard in one of the forms of the copy menu."""
        messages = self.selected()
        if not messages:
            return
        url = self._context.session.server_url
        station, _ = station_of_stream(self._browser.stream)
        makers: dict[str, Callable[[InspectedMessage], str]] = {
            "JSON": lambda message: snippets.as_json(message, current_decoders().decode(message)),
            "nats command": snippets.as_nats_pub,
            "cURL (Memphis REST)": lambda message: snippets.as_curl(message, station, self._rest_url()),
            "Python": lambda message: snippets.as_python(message, url),  # untranslated: a key
        }
        is_array = name == "JSON" and len(messages) > 1
        join: Callable[[list[str]], str] = (
            (lambda texts: "[" + ",\n".join(texts) + "]") if is_array else "\n".join
        )
        self._copy_all(messages, makers[name], join, tr("as {name}", name=name))

    def _rest_url(self) -> str:
        """Where the REST gateway of this server is: of the local broker that is known."""
        port = self._context.shell.broker.served.rest_port
        local = self._context.session.profile.id == LOCAL_ID
        return f"http://127.0.0.1:{port}" if local and port else snippets.REST_URL

    def copy_menu(self) -> None:
        """Offer every way to copy."""
        menu = QMenu(self._browser)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.fill_copy_menu(menu)
        menu.popup(QCursor.pos())

    def fill_copy_menu(self, menu: QMenu) -> None:
        menu.addAction(keymap.with_keys(tr("Payload"), "messages.copy"), self.copy_payload)
        menu.addAction(keymap.with_keys(tr("Rows as a table"), "lists.copy"), self.copy_rows)
        for name in ("JSON", "nats command", "cURL (Memphis REST)", "Python"):  # untranslated: names
            text = tr("Message as {name}", name=name)
            if name == "JSON":
                text = keymap.with_keys(text, "lists.copy_json")
            menu.addAction(text, partial(self.copy_as, name))
        menu.addAction(tr("Payload as base64"), lambda: self._copy_bytes("base64"))
        menu.addAction(tr("Payload as hex"), lambda: self._copy_bytes("hex"))
        menu.addSeparator()
        menu.addAction(keymap.with_keys(tr("Link to this view"), "messages.link"), self.copy_link)
        menu.addAction(
            tr("Subject"), lambda: self._copy_each(lambda message: message.subject, tr("the subject"))
        )
        menu.addAction(
            tr("Sequence"), lambda: self._copy_each(lambda one: str(one.sequence), tr("the sequence"))
        )

    def _copy_each(self, make: Callable[[InspectedMessage], str], what: str) -> None:
        """Put something of each selected message on the clipboard, a line for each."""
        self._copy_all(self.selected(), make, "\n".join, what)

    def _copy_bytes(self, form: str) -> None:
        """Put the payloads' bytes on the clipboard, one line for each."""

        def line(message: InspectedMessage) -> str:
            return base64.b64encode(message.payload).decode() if form == "base64" else message.payload.hex()

        self._copy_each(line, tr("as {name}", name=form))

    def _copy_all(
        self,
        messages: list[InspectedMessage],
        make: Callable[[InspectedMessage], str],
        join: Callable[[list[str]], str],
        what: str,
    ) -> None:
        """Put something of each message on the clipboard: a few at once, many in slices of time."""
        if len(messages) <= COPIED_AT_ONCE:
            self._copy(join([make(message) for message in messages]), what)
            return

        async def copy() -> None:
            texts: list[str] = []
            until = time.monotonic() + SLICE_SECONDS
            for message in messages:
                texts.append(make(message))
                if time.monotonic() > until:
                    await asyncio.sleep(0)
                    until = time.monotonic() + SLICE_SECONDS
            self._copy(join(texts), what)

        self._browser.run(copy(), tr("copy the messages"))

    def _copy(self, text: str, what: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self._context.notify(tr("Copied {what}.", what=what), "good")

    def copy_link(self) -> None:
        """Put a link to what is shown on the clipboard: the message, or the search with its range."""
        self._copy(link_to(self._connection, self._browser.route()), tr("a link to this view"))

    def edit_and_publish(self) -> None:
        """Open the composer with a copy of the message."""
        from memphis_desktop.ui.screens.composer import open_composer

        message = self._list.current_message() or self._browser.pane.message
        if message is not None:
            open_composer(self._context, self._window, message=message)

    def publish(self) -> None:
        """Open the composer for this station."""
        from memphis_desktop.ui.screens.composer import open_composer

        open_composer(self._context, self._window, stream=self._browser.stream)

    def replay(self) -> None:
        """Open the replay dialog for the selection or a range."""
        from memphis_desktop.ui.screens.replay import open_replay

        if self._browser.reader is not None:
            sequences = [message.sequence for message in self._list.selected_messages()]
            open_replay(self._context, self._window, self._browser.stream, sequences, self._browser.subject)

    def save_payload(self) -> None:
        """Write the payload's bytes, unchanged, to a file."""
        message = self._browser.pane.message
        if message is None:
            return
        suggested = f"{self._browser.stream}-{message.sequence}.bin"
        path, _ = QFileDialog.getSaveFileName(self._browser, tr("Save payload"), suggested)
        if path:
            self._browser.run(save_bytes(self._context, path, message.payload), tr("save the payload"))

    def delete(self, *, erase: bool = False) -> None:
        """Delete the selected messages after asking; with `erase` their bytes are overwritten too."""
        messages = self._list.selected_messages()
        if len(messages) > ASKED_PLAINLY:
            DeletionDialog(self._browser, messages=messages, erase=erase).open()
        elif messages:
            self._browser.run(self._delete(messages, erase), tr("delete the messages"))

    async def _delete(self, messages: list[InspectedMessage], erase: bool) -> None:
        stream, session = self._browser.stream, self._context.session
        count = tr_count(
            "{count} message", "{count} messages", len(messages), count=figures.integer(len(messages))
        )
        size = figures.bytes_size(sum(message.size for message in messages))
        text = tr(
            "{messages} ({size}) will be removed from {stream} for good. Their sequences stay empty.",
            messages=count,
            size=size,
            stream=stream,
        )
        if erase:
            text = f"{text} {tr('Their bytes on disk are overwritten with random ones.')}"
        verb = tr("Erase {messages}", messages=count) if erase else tr("Delete {messages}", messages=count)
        name = stream if session.profile.environment.value == "production" else None
        if not await self._context.confirm(f"{verb}?", text, verb, name):
            return
        for message in messages:
            await delete_message(stream, message.sequence, erase=erase).run(session)
            self._list.model.remove_message(message.sequence)
        await self._browser.places.refresh()
        self._context.notify(
            tr("Erased {messages} from {stream}.", messages=count, stream=stream)
            if erase
            else tr("Deleted {messages} from {stream}.", messages=count, stream=stream),
            "good",
        )

    def show_removed(self, sequences: Sequence[int]) -> None:
        """Take deleted messages out of the list; a search is done again, as far as it went."""
        if self._browser.searching.active:
            self._browser.searching.start()
            return
        gone = set(sequences)
        for message in self._list.model.messages():
            if message.sequence in gone:
                self._list.model.remove_message(message.sequence)

    # All matches --------------------------------------------------------------------------------

    def matches_menu(self) -> None:
        """Offer what can be done with everything that the search matches."""
        if not self._browser.searching.has_matches:
            return
        menu = QMenu(self._browser)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.fill_matches_menu(menu)
        button = self._browser.search_status.actions_button
        menu.popup(button.mapToGlobal(button.rect().bottomLeft()))

    def fill_matches_menu(self, menu: QMenu) -> None:
        """Put in what can be done with all matches."""
        menu.addAction(tr("Export all matches"), self.export)
        menu.addAction(tr("Replay all matches"), self.replay_matches)
        menu.addSeparator()
        config = self._browser.reader.bounds.config if self._browser.reader is not None else {}
        for title, erase in ((tr("Delete all matches"), False), (tr("Erase all matches securely"), True)):
            action = menu.addAction(title, partial(self.delete_matches, erase=erase))
            if self._context.session.profile.read_only:
                action.setEnabled(False)
                action.setText(tr("{title} (this connection is read-only)", title=title))
            elif config.get("deny_delete") or config.get("sealed"):
                action.setEnabled(False)
                action.setText(tr("{title} (the station does not allow it)", title=title))

    def delete_matches(self, *, erase: bool = False) -> None:
        """Open what deletes everything that the search matches."""
        job = self._browser.searching.job
        if job is not None:
            DeletionDialog(self._browser, request=job.request, erase=erase).open()

    def replay_matches(self) -> None:
        """Open the replay dialog for everything that the search matches."""
        from memphis_desktop.ui.screens.replay import open_replay

        job = self._browser.searching.job
        if job is not None:
            open_replay(self._context, self._window, self._browser.stream, search=job.request)

    def row_menu(self, point: QPoint) -> None:
        messages = self._list.selected_messages()
        if not messages:
            return
        menu = QMenu(self._browser)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.fill_copy_menu(menu.addMenu(tr("Copy")))
        menu.addSeparator()
        if len(messages) == 1:
            menu.addAction(keymap.with_keys(tr("Edit and publish"), "messages.edit"), self.edit_and_publish)
            menu.addAction(tr("Only this subject"), lambda: self._browser.set_subject(messages[0].subject))
        if len(messages) <= MAX_MARKS:
            menu.addAction(keymap.with_keys(self._compare_title(messages), "messages.compare"), self.compare)
            menu.addAction(keymap.with_keys(tr("Mark to compare"), "messages.mark"), self.mark)
        if holder().marks:
            menu.addAction(tr("Take all marks away"), holder().clear_marks)
        if len(messages) == 1:
            menu.addAction(
                keymap.with_keys(tr("Why has a consumer not got it"), "messages.explain"), self.explain
            )
        menu.addAction(keymap.with_keys(tr("Put aside"), "messages.put_aside"), self.keep)
        menu.addSeparator()
        menu.addAction(tr("Export"), self.export)
        text = tr_count(
            "Replay {count} message",
            "Replay {count} messages",
            len(messages),
            count=figures.integer(len(messages)),
        )
        menu.addAction(keymap.with_keys(text, "messages.replay"), self.replay)
        menu.addSeparator()
        count = tr_count(
            "{count} message", "{count} messages", len(messages), count=figures.integer(len(messages))
        )
        for action in (
            menu.addAction(tr("Delete {messages}", messages=count), self.delete),
            menu.addAction(tr("Erase {messages} securely", messages=count), partial(self.delete, erase=True)),
        ):
            action.setEnabled(not self._context.session.profile.read_only)
        menu.popup(point)

    def _compare_title(self, messages: list[InspectedMessage]) -> str:
        if len(messages) > 1:
            return tr("Compare these {messages}", messages=len(messages))
        here = (self._connection, messages[0].identity)
        marks = sum(place_of(mark) != here for mark in holder().marks)
        if marks:
            return tr_count("Compare with the one marked", "Compare with the {count} marked", marks)
        return tr("Compare with the one before")

    @property
    def _connection(self) -> str:
        return self._context.session.profile.name

    def mark(self) -> None:
        """Mark the selected messages, to compare them or others with them; again takes the marks away.

        Marks hold for the whole program: messages of two connections can be compared.
        """
        messages = self._list.selected_messages()
        if messages and not holder().toggle_marks([(self._connection, message) for message in messages]):
            self._context.notify(
                tr("{most} messages can be marked; unmark some first.", most=MAX_MARKS), "warning"
            )

    def show_marks(self) -> None:
        """Paint the marks that are in this list, and tell the time column what to count from."""
        marks = holder().marks
        self._list.delegate.marked = {
            message.sequence
            for connection, message in marks
            if connection == self._connection and message.stream == self._browser.stream
        }
        self._list.model.marked_ns = marks[-1][1].time_ns if marks else None
        self._list.table.viewport().update()

    def compare(self) -> None:
        """Compare the selected messages when they are several; or this one with those that are marked.

        With no mark, or on the only one that is marked, with the message before it on its subject.
        """
        selected = self._list.selected_messages()
        message = self._list.current_message() or self._browser.pane.message
        if len(selected) > 1:
            choices = [(self._connection, each) for each in selected[:MAX_MARKS]]
        elif message is None:
            return
        else:
            here = (self._connection, message)
            others = [mark for mark in holder().marks if place_of(mark) != place_of(here)]
            choices = [*others, here]
        if len(choices) > 1:
            CompareDialog.of(self._window, choices).show()
        elif message is not None:
            self._browser.run(self._compare_with_previous(message), tr("find the message before"))

    async def _compare_with_previous(self, message: InspectedMessage) -> None:
        if self._browser.reader is None:
            return
        page = await self._browser.reader.backward(message.sequence - 1, 1, message.subject)
        if page.messages:
            CompareDialog(self._window, page.messages[-1], message).show()
        else:
            self._context.notify(
                tr(
                    "There is no message before this one on {subject} to compare with.",
                    subject=message.subject,
                )
            )

    def explain(self) -> None:
        """Open what became of the message at each consumer."""
        message = self._list.current_message() or self._browser.pane.message
        if message is not None and self._browser.reader is not None:
            ExplainDialog(self._window, self._context, self._browser.reader, message).open()

    def keep(self) -> None:
        """Put the selection aside."""
        messages = self.selected()
        if not messages:
            return
        try:
            added = keep(self._connection, messages)
        except CollectionFull as problem:
            self._context.notify(str(problem), "warning")
            return
        text = (
            tr_count(
                "{count} message put aside.",
                "{count} messages put aside.",
                added,
                count=figures.integer(added),
            )
            if added
            else tr("Put aside already.")
        )
        self._context.notify(text, "good", (tr("Show"), self.show_collection))

    def show_collection(self) -> CollectionDialog:
        """Open the messages put aside."""
        dialog = CollectionDialog(self._window, self._context)
        dialog.open()
        return dialog

    def export(self) -> None:
        """Write messages to a file."""
        if self._browser.reader is not None and self._browser.reader.bounds.messages:
            ExportDialog(self._browser).open()


def _payload_text(message: InspectedMessage) -> str:
    text = snippets.plain_text(message.payload)
    return message.payload.hex() if text is None else text
