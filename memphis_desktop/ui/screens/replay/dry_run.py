"""The first messages of a replay as they would be sent."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from memphis_desktop.inspect.decode.text import preview
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.replay import PROVENANCE, Rehearsed
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import FittingDialog
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screens.decoders.store import mask
from memphis_desktop.ui.screens.station_parts import panel


class DryRunDialog(FittingDialog):
    """The first messages of a replay as they would be sent."""

    def __init__(self, parent: QWidget | None, rehearsed: list[Rehearsed]) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Dry run"))
        self.resize(900, 520)
        problems = sum(bool(row.problem) for row in rehearsed)
        text = tr_count(
            "The first {count} message as they would be sent. Nothing was sent.",
            "The first {count} messages as they would be sent. Nothing was sent.",
            len(rehearsed),
            count=figures.integer(len(rehearsed)),
        )
        if problems:
            failing = tr_count(
                "{count} message would fail.",
                "{count} messages would fail.",
                problems,
                count=figures.integer(problems),
            )
            text = f"{text} {failing}"
        self.table = DataTable(
            [
                Column("state", tr("Result"), _rehearsed_state, kind="dot", width=110),
                Column(
                    "sequence", tr("Sequence"), lambda row: row.original.sequence, kind="number", width=90
                ),
                Column("from", tr("Subject"), lambda row: row.original.subject, kind="mono", width=190),
                Column("to", tr("Sent to"), lambda row: row.subject or row.problem, kind="mono", width=220),
                Column(
                    "id",
                    tr("Message id"),
                    lambda row: _as_shown(row).headers.get("Nats-Msg-Id") or "",
                    kind="mono",
                ),
                Column("headers", tr("Headers changed"), _changed_headers, kind="mono", width=150),
                Column(
                    "payload",
                    tr("Payload"),
                    lambda row: preview(_as_shown(row).payload, 256),
                    kind="mono",
                    width=240,
                    stretch=True,
                ),
                Column("size", tr("Size"), lambda row: len(row.payload), kind="bytes", width=80),
            ],
            lambda row: row.original.identity,
            "replay_dry_run",
        )
        self.problem = PlainLabel("", "bad", wrap=True, selectable=True)
        self.table.current_changed.connect(self._show_problem)
        self.table.set_rows(rehearsed)
        self._show_problem(self.table.current_row())
        if not rehearsed:
            self.table.set_state("empty", tr("There is nothing to replay."))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_4, theme.SPACE_4, theme.SPACE_4, theme.SPACE_4)
        layout.setSpacing(theme.SPACE_3)
        layout.addWidget(PlainLabel(text, "muted", wrap=True))
        layout.addWidget(panel(self.table), 1)
        layout.addWidget(self.problem)

    def _show_problem(self, row: Rehearsed | None) -> None:
        """Say in full why a message would fail: its column is too narrow for that."""
        self.problem.setText(row.problem if row is not None else "")
        self.problem.setVisible(row is not None and bool(row.problem))


def _changed_headers(row: Rehearsed) -> str:
    """The headers that edits, options or the target gave the copy, apart from where it comes from."""
    before = row.original.headers.items()
    return ", ".join(
        f"{name}: {value}"
        for name, value in _as_shown(row).headers
        if (name, value) not in before and name not in (*PROVENANCE, "Nats-Msg-Id")
    )


def _as_shown(row: Rehearsed) -> InspectedMessage:
    """What would be sent, as far as it may be shown."""
    original = row.original
    copied = InspectedMessage(
        original.stream,
        original.sequence,
        original.time_ns,
        original.subject,
        row.headers.encode(),
        row.payload,
    )
    return mask(copied)


def _rehearsed_state(row: Rehearsed) -> tuple[str, str]:
    return ("bad", tr("would fail")) if row.problem else ("good", tr("ready"))
