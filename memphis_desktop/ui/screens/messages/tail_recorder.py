"""Writing what arrives in a station to a file while its end is followed: every message, shown or not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QFileDialog
from shiboken6 import isValid

from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.files import SUFFIXES, Exporter, FileProblem
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.inspect.replay import MessageRange
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.screens.decoders.store import current_decoders

if TYPE_CHECKING:
    from memphis_desktop.ui.screens.messages.browser import MessageBrowser

INTERVAL = 0.25  # seconds between looks for new messages


class TailRecorder(QObject):
    """One recording at a time. Nothing is left out: what is too fast for the list is read all the same."""

    def __init__(self, browser: MessageBrowser) -> None:
        super().__init__(browser)
        self._browser = browser
        self._stopped = asyncio.Event()
        self._exporter: Exporter | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def active(self) -> bool:
        """Whether a file is being written."""
        return self._exporter is not None

    def text(self) -> str:
        """How far it is, or nothing."""
        if self._exporter is None:
            return ""
        done = self._exporter.progress
        return tr(
            "recording: {messages} written, {bytes}",
            messages=figures.integer(done.messages),
            bytes=figures.bytes_size(done.bytes),
        )

    def toggle(self, on: bool) -> None:
        """The button was pressed: ask for a file and begin, or end."""
        if not on:
            self.stop()
            return
        button = self._browser.toolbar.record_button
        button.setChecked(False)
        kinds = tr("Messages (*.ndjson *.csv *.mdump)")
        suggested = f"{self._browser.stream}.ndjson"
        path, _ = QFileDialog.getSaveFileName(self._browser, tr("Record what arrives to"), suggested, kinds)
        if path:
            self.start(Path(path))

    def start(self, path: Path) -> None:
        """Write what arrives from now on to a file; its suffix tells the form."""
        reader = self._browser.reader
        if reader is None or self._exporter is not None:
            return
        form = next((form for form, suffix in SUFFIXES.items() if path.suffix == suffix), "ndjson")
        self._stopped.clear()
        self._exporter = Exporter(path, form, decoder=current_decoders().decode)
        self._browser.toolbar.record_button.setChecked(True)
        self._task = self._browser.context.run(
            self._record(self._exporter, reader), tr("record the messages")
        )

    def stop(self) -> None:
        """Write what has arrived by now and close the file."""
        self._stopped.set()

    async def finish(self) -> None:
        """The browser closes: stop, and wait for the file."""
        self.stop()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _record(self, exporter: Exporter, reader: MessageReader) -> None:
        arriving = self._arriving(reader, reader.bounds.last + 1, self._browser.subject)
        writing = asyncio.ensure_future(exporter.run(arriving))
        try:
            progress = await asyncio.shield(writing)
        except asyncio.CancelledError:  # the window closes: what was read until now is kept
            self.stop()
            await writing
            raise
        except FileProblem as problem:
            self._browser.context.notify(str(problem), "bad")
        else:
            count = tr_count(
                "{count} message",
                "{count} messages",
                progress.messages,
                count=figures.integer(progress.messages),
            )
            self._browser.context.notify(
                tr("Recorded {messages} to {path}.", messages=count, path=exporter.path), "good"
            )
        finally:
            self._exporter = self._task = None
            if isValid(self._browser):
                self._browser.toolbar.record_button.setChecked(False)
                self._browser.update_foot()

    async def _arriving(
        self, reader: MessageReader, start: int, subject: str | None
    ) -> AsyncIterator[InspectedMessage]:
        stopped = False
        while not stopped:
            stopped = self._stopped.is_set()  # then this round is the last one
            try:
                last = (await reader.refresh()).last
                async for message in MessageRange(reader, start, last, subject).read(0):
                    yield message
                    start = message.sequence + 1
            except ReadError:  # the connection is lost for now: what was read stays, and the rest follows
                last = start - 1
            start = max(start, last + 1)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), INTERVAL)
