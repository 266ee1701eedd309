"""What became of a message at each consumer of its station, and why."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.explain import Explanation, Fate, explain_with_counts
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import FittingDialog
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.station_parts import consumer_route, panel

MAX_CONSUMERS = 500
_DOTS = {
    Fate.NEVER: "muted", Fate.WAITING: "warning", Fate.PENDING: "warning", Fate.MAYBE_PENDING: "information",
    Fate.SETTLED: "good",
}  # fmt: skip


class ExplainDialog(FittingDialog):
    """Consumers at the left, the findings for the one with the cursor at the right."""

    def __init__(
        self,
        parent: QWidget | None,
        context: ScreenContext,
        reader: MessageReader,
        message: InspectedMessage,
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("What became of this message"))
        self.resize(980, 480)
        self._context = context
        self._reader = reader
        self._message = message
        title = f"{message.stream} #{figures.integer(message.sequence)}  {message.subject}"
        self.title = PlainLabel(title, "section", elide=Qt.TextElideMode.ElideMiddle)
        self.consumers = DataTable(
            [
                Column("consumer", tr("Consumer"), lambda row: row.consumer, kind="mono", width=170),
                Column(
                    "fate", tr("This message"), lambda row: (_DOTS[row.fate], row.fate.text), kind="dot",
                    width=250, stretch=True,
                ),
            ],
            lambda row: row.consumer,
            "explain_consumers",
        )  # fmt: skip
        self.sentence = PlainLabel("", "strong", wrap=True)
        self.findings = DataTable(
            [
                Column(
                    "title", tr("Looked at"), lambda row: (row[1].kind, row[1].title), kind="dot", width=140
                ),
                Column("text", tr("Finding"), lambda row: row[1].text, width=240, stretch=True),
            ],
            lambda row: row[0],
            "explain_findings",
        )
        self.open_button = QPushButton(tr("Show consumer"))
        self.open_button.setAutoDefault(False)
        self.open_button.clicked.connect(self._open)
        right = QWidget()
        right_layout = QVBoxLayout(right)
        right_layout.setContentsMargins(theme.SPACE_3, 0, 0, 0)
        right_layout.addWidget(self.sentence)
        right_layout.addWidget(panel(self.findings), 1)
        foot = QHBoxLayout()
        foot.addStretch()
        foot.addWidget(self.open_button)
        right_layout.addLayout(foot)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_4, theme.SPACE_4, theme.SPACE_4, theme.SPACE_3)
        layout.setSpacing(theme.SPACE_3)
        layout.addWidget(self.title)
        layout.addWidget(SplitView(panel(self.consumers), right, "explain", share=0.55), 1)
        self.consumers.current_changed.connect(self._show)
        self.consumers.set_state("loading")
        self._show(None)
        context.run(self._read(), tr("ask the consumers"))

    async def _read(self) -> None:
        stream, session = self._message.stream, self._context.session
        rows: list[Explanation] = []
        try:
            names: list[str] = []
            while True:
                answer = await session.api(f"CONSUMER.NAMES.{stream}", {"offset": len(names)})
                page = [str(name) for name in answer.get("consumers") or []]
                names += page
                if not page or len(names) >= min(MAX_CONSUMERS, int(answer.get("total") or 0)):
                    break
            for name in names[:MAX_CONSUMERS]:
                try:
                    info: dict[str, Any] = await session.api(f"CONSUMER.INFO.{stream}.{name}")
                    rows.append(await explain_with_counts(info, self._message, self._reader))
                except ReadError:
                    continue
                except ClusterError as error:
                    if "not found" not in str(error):
                        raise
        except ClusterError as error:
            self.consumers.set_state("error", tr("The consumers cannot be read: {error}", error=error))
            return
        self.consumers.set_rows(rows)
        if rows:
            self.consumers.set_state("ready")
            self.consumers.select_key(rows[0].consumer)
        else:
            self.consumers.set_state(
                "empty", tr("{stream} has no consumers, so nobody was to get it.", stream=stream)
            )

    def _show(self, row: Explanation | None) -> None:
        self.open_button.setEnabled(row is not None)
        self.sentence.setText(row.sentence if row is not None else "")
        self.findings.set_rows(list(enumerate(row.findings)) if row is not None else [])

    def _open(self) -> None:
        row = self.consumers.current_row()
        if row is not None:
            self.close()
            self._context.navigate(consumer_route(self._message.stream, row.consumer))
