"""What was sent before: two hundred messages, those with a star for good."""

from __future__ import annotations

import time
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from memphis_desktop.inspect.draft import HISTORY_BODY, HISTORY_LENGTH, Draft
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import settings, theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import FittingDialog
from memphis_desktop.ui.components.filter_bar import FilterField
from memphis_desktop.ui.screen import Command

HISTORY_KEY = "composer/history"
Entry = dict[str, Any]


def entries() -> list[Entry]:
    """What is remembered, the newest first."""
    return [entry for entry in settings.current().get(HISTORY_KEY) or [] if isinstance(entry, dict)]


def remember(draft: Draft) -> None:
    """Put a draft first; the oldest without a star leave when there are too many. Large ones are not kept."""
    if len(draft.body) > HISTORY_BODY:
        return
    record: Entry = {**draft.record(), "sent_at_ns": time.time_ns()}
    same = [entry for entry in entries() if _same(entry, record)]
    if any(entry.get("star") for entry in same):
        record["star"] = True
    _keep([record, *(entry for entry in entries() if not _same(entry, record))])


def set_star(entry: Entry, star: bool) -> None:
    """Keep an entry for good, or no longer."""
    _keep([{**known, "star": star} if _same(known, entry) else known for known in entries()])


def forget(gone: list[Entry]) -> None:
    """Remember these no longer."""
    _keep([entry for entry in entries() if not any(_same(entry, other) for other in gone)])


def _keep(kept: list[Entry]) -> None:
    plain = 0
    result: list[Entry] = []
    for entry in kept:
        plain += not entry.get("star")
        if entry.get("star") or plain <= HISTORY_LENGTH:
            result.append(entry)
    settings.current().set(HISTORY_KEY, result or None)


def _same(left: Entry, right: Entry) -> bool:
    return all(left.get(key) == right.get(key) for key in ("subject", "headers", "form", "bytes"))


class HistoryDialog(FittingDialog):
    """The list: Enter takes one, S gives it a star."""

    chosen = Signal(object)  # Draft

    def __init__(self, parent: QWidget | None, zone: Any) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Sent before"))
        self.resize(760, 460)
        self.filter_field = FilterField(tr("Filter by subject or body"))
        self.table = DataTable(
            [
                Column("star", tr("Favourite"), lambda row: "★" if row[1].get("star") else "", width=76),
                Column("sent", tr("Sent"), lambda row: row[1].get("sent_at_ns"), kind="time", width=130),
                Column("subject", tr("Subject"), lambda row: row[2].subject, kind="mono", width=200),
                Column("body", tr("Body"), lambda row: _line(row[2]), kind="mono", width=190, stretch=True),
                Column("headers", tr("Headers"), lambda row: len(row[2].headers), kind="number", width=76),
            ],
            lambda row: row[0],
            "composer_history",
            context_actions=self._actions,
        )
        self.table.set_zone(zone)
        self.star_button = QPushButton(tr("Favourite"))
        self.star_button.setToolTip(tr("Favourites stay, however much is sent"))
        self.use_button = QPushButton(tr("Use"))
        self.use_button.setProperty("kind", "primary")
        self.clear_button = QPushButton(tr("Forget all but favourites"))
        self.clear_button.setProperty("kind", "ghost")
        foot = QHBoxLayout()
        foot.addWidget(self.clear_button)
        foot.addStretch()
        foot.addWidget(self.star_button)
        foot.addWidget(self.use_button)
        for button in (self.clear_button, self.star_button, self.use_button):
            button.setAutoDefault(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_4, theme.SPACE_4, theme.SPACE_4, theme.SPACE_3)
        layout.setSpacing(theme.SPACE_3)
        layout.addWidget(self.filter_field)
        layout.addWidget(self.table, 1)
        layout.addLayout(foot)
        self.filter_field.textChanged.connect(self.table.set_filter)
        self.filter_field.left.connect(self.table.view.setFocus)
        self.table.row_activated.connect(self._use)
        self.use_button.clicked.connect(lambda: self._use(self.table.current_row()))
        self.star_button.clicked.connect(self._toggle_star)
        self.clear_button.clicked.connect(self._forget_others)
        self.refresh()
        self.table.view.setFocus()

    def refresh(self) -> None:
        """Show what is remembered now."""
        rows = []
        for number, entry in enumerate(entries()):
            try:
                rows.append((number, entry, Draft.from_record(entry)))
            except ValueError:
                continue
        self.table.set_rows(rows)
        self.table.set_state(
            "ready" if rows else "empty",
            tr("Nothing was sent yet. Messages appear here once they are stored."),
        )

    def _use(self, row: Any) -> None:
        if row is not None:
            self.chosen.emit(row[2])
            self.accept()

    def _toggle_star(self) -> None:
        for row in self.table.selected_rows():
            set_star(row[1], not row[1].get("star"))
        self.refresh()

    def _forget_others(self) -> None:
        forget([entry for entry in entries() if not entry.get("star")])
        self.refresh()

    def _forget(self, rows: list[Any]) -> None:
        forget([row[1] for row in rows])
        self.refresh()

    def _actions(self, rows: list[Any]) -> list[Command]:
        return [
            Command(tr("Use"), "", lambda: self._use(rows[0]), enabled=len(rows) == 1),
            Command(tr("Favourite or not"), "", self._toggle_star, "star"),
            Command(tr("Forget"), "", lambda: self._forget(rows), "trash"),
        ]


def _line(draft: Draft) -> str:
    return figures.visible_text(" ".join(draft.body[:400].split()), 200)
