"""The line below the messages: how many there are, how they are read, what is held in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QWidget

from memphis_desktop.inspect.reader import ReadingMethod
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.labels import PlainLabel

if TYPE_CHECKING:
    from memphis_desktop.ui.screens.messages.browser import MessageBrowser

_METHOD_HELP = {
    ReadingMethod.BATCH: tr("The station allows direct gets and the server answers many at once."),
    ReadingMethod.DIRECT: tr("The station allows direct gets; this server answers one at a time."),
    ReadingMethod.API: (
        tr(
            "The station does not allow direct gets (allow_direct), so each message is asked of its leader. "
            "Allow them in its configuration to read faster."
        )
    ),
}


class Foot(QWidget):
    """See the module."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._place = PlainLabel("", "caption", elide=Qt.TextElideMode.ElideRight)
        self._method = PlainLabel("", "caption")
        self.figures = PlainLabel("", "caption")
        line = QHBoxLayout(self)
        line.setContentsMargins(theme.SPACE_3, theme.SPACE_1, theme.SPACE_3, theme.SPACE_1)
        line.setSpacing(theme.SPACE_4)
        line.addWidget(self._place, 1)
        line.addWidget(self.figures)
        line.addWidget(self._method)

    def show_figures(self, browser: MessageBrowser) -> None:
        """Show the figures anew."""
        reader = browser.reader
        if reader is None:
            return
        bounds = reader.bounds
        parts = [
            tr_count(
                "{count} message", "{count} messages", bounds.messages, count=figures.integer(bounds.messages)
            )
        ]
        if bounds.messages:
            parts.append(f"#{figures.integer(bounds.first)} – #{figures.integer(bounds.last)}")
        if bounds.deleted:
            parts.append(tr("{deleted} removed", deleted=figures.integer(bounds.deleted)))
        selected = browser.list.selected_count()
        if selected > 1:
            parts.append(tr("{selected} selected", selected=figures.integer(selected)))
        self._place.setText("  ·  ".join(parts))
        self._method.setText(tr("Nothing is consumed: {method}", method=reader.method.text))
        self._method.setToolTip(_METHOD_HELP[reader.method])
        held = reader.cache.bytes + browser.list.model.bytes
        rows = tr_count(
            "{count} row",
            "{count} rows",
            len(browser.list.model.rows),
            count=figures.integer(len(browser.list.model.rows)),
        )
        texts = [
            browser.recorder.text(),
            tr("{rows}, {bytes} in memory", rows=rows, bytes=figures.bytes_size(held)),
        ]
        self.figures.setText("  ·  ".join(filter(None, texts)))
