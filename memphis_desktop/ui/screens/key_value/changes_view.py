"""What changed in a bucket since a moment: added, changed and removed keys, as far as that can be known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from PySide6.QtCore import QDateTime
from PySide6.QtWidgets import QComboBox, QDateTimeEdit, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.key_value.changes import MAX_KEYS, ChangeReport, KeyChange, Kind, changes_since
from memphis_desktop.inspect.key_value.keys import KeyReader
from memphis_desktop.language import tr, tr_count, tr_in
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.decoders.store import mask
from memphis_desktop.ui.screens.key_value.key_table import operation_column
from memphis_desktop.ui.screens.messages.compare import CompareDialog
from memphis_desktop.ui.screens.station_parts import panel

KIND_TOKENS = {Kind.ADDED: "good", Kind.CHANGED: "warning", Kind.REMOVED: "bad", Kind.WRITTEN: "information"}
_SPANS = (
    (tr("15 minutes ago"), timedelta(minutes=15)),
    (tr("1 hour ago"), timedelta(hours=1)),
    (tr("1 day ago"), timedelta(days=1)),
    (tr("7 days ago"), timedelta(days=7)),
)


class ChangesView(QWidget):
    """Looks through the revisions since the moment that is chosen."""

    def __init__(
        self, context: ScreenContext, show_key: Callable[[str], None], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._context = context
        self._show_key = show_key
        self._keys: KeyReader | None = None
        self._within: Callable[[], str] = lambda: ""
        self._task: asyncio.Task[None] | None = None
        self.report: ChangeReport | None = None
        self.span_box = QComboBox()
        self.span_box.setAccessibleName(tr("Since"))
        for title, span in _SPANS:
            self.span_box.addItem(title, span)
        self.span_box.addItem(tr("A moment"), None)
        self.span_box.setCurrentIndex(1)
        self.moment = QDateTimeEdit()
        self.moment.setDisplayFormat("yyyy-MM-dd HH:mm:ss")
        self.moment.setCalendarPopup(True)
        self.moment.setAccessibleName(tr("Moment"))
        self._set_moment(datetime.now(context.zone).replace(hour=9, minute=0, second=0))
        self.moment.hide()
        self.span_box.activated.connect(lambda _: self._span_chosen())
        self.moment.dateTimeChanged.connect(lambda _: self.read())
        self.read_button = QPushButton(tr("Read again"))
        self.read_button.clicked.connect(self.read)
        self.compare_button = QPushButton(tr("Show the difference"))
        self.compare_button.clicked.connect(self._compare)
        self.filter = FilterBar(tr("Filter changes"))
        for kind in Kind:
            self.filter.add_chip(kind.value, kind.text)
        self.notice = Banner("information", "")
        self.notice.hide()
        self.table = DataTable(
            [
                Column("kind", tr_in("noun", "Change"), _kind, "dot", 156),
                Column("key", tr("Key"), lambda c: c.key, "mono", 240, stretch=True),
                Column("before", tr("Revision then"), lambda c: c.before or None, "number", 100),
                Column("after", tr("Revision now"), lambda c: c.after, "number", 100),
                Column("writes", tr("Writes"), lambda c: c.writes, "number", 70, tr("Kept revisions since")),
                Column("time", tr("Last write"), lambda c: c.time_ns, "time", 110),
                operation_column(lambda c: c.operation),
                Column("size", tr("Size"), lambda c: c.size, "bytes", 80),
            ],
            lambda c: c.key,
            "key_changes",
        )
        self.table.set_zone(context.zone)
        self.table.row_activated.connect(lambda _: self._compare())
        self.table.preview_requested.connect(lambda c: show_key(c.key))
        self.table.current_changed.connect(lambda _: self._show_button())
        self.filter.text_changed.connect(self.table.set_filter)
        self.filter.chips_changed.connect(self._choose)
        self.filter.left.connect(self.table.setFocus)
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE_2)
        row.addWidget(self.span_box)
        row.addWidget(self.moment)
        row.addStretch(1)
        row.addWidget(self.compare_button)
        row.addWidget(self.read_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE_3, 0, 0)
        layout.setSpacing(theme.SPACE_3)
        layout.addLayout(row)
        layout.addWidget(self.filter)
        layout.addWidget(self.notice)
        layout.addWidget(panel(self.table), 1)
        self.table.set_state("loading")
        self._show_button()

    def set_reader(self, keys: KeyReader | None, within: Callable[[], str]) -> None:
        """Read through this the keys that begin like that."""
        self._keys = keys
        self._within = within

    async def shut_down(self) -> None:
        """Let a reading end."""
        self._keys = None
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _set_moment(self, local: datetime) -> None:
        self.moment.setDateTime(
            QDateTime(local.year, local.month, local.day, local.hour, local.minute, local.second)
        )

    def _span_chosen(self) -> None:
        self.moment.setVisible(self.span_box.currentData() is None)
        self.read()

    def since_ns(self) -> int:
        """The chosen moment, nanoseconds since 1970."""
        span: timedelta | None = self.span_box.currentData()
        if span is not None:
            return round((datetime.now(self._context.zone) - span).timestamp() * 1e9)
        shown = self.moment.dateTime().toPython()
        assert isinstance(shown, datetime)
        return round(shown.replace(tzinfo=self._context.zone).timestamp() * 1e9)

    def show_since(self, moment: datetime) -> None:
        """Choose a moment."""
        self.span_box.setCurrentIndex(self.span_box.count() - 1)
        self.moment.blockSignals(True)
        self._set_moment(moment.astimezone(self._context.zone))
        self.moment.blockSignals(False)
        self._span_chosen()

    def read(self) -> None:
        """Look through what was written since."""
        if self._keys is None or not self.isVisible():
            return
        if self._task is not None:
            self._task.cancel()
        self.table.set_state("loading")
        self._task = self._context.run(self._read(self._keys), tr("read what changed"))

    async def _read(self, keys: KeyReader) -> None:
        within = self._within()

        def progress(scanned: int) -> None:
            self.filter.set_count(
                tr_count(
                    "{count} revision read", "{count} revisions read", scanned, count=figures.integer(scanned)
                )
            )

        try:
            report = await changes_since(keys, self.since_ns(), within, progress)
        except ReadError as error:
            self.table.set_rows([])
            self.table.set_state("error", str(error), (tr("Try again"), self.read))
            return
        self.report = report
        self.table.set_rows(report.changes)
        if report.changes:
            self.table.set_state("ready")
        else:
            self.table.set_state(
                "empty", tr("Nothing changed since then, as far as kept revisions tell."), icon="equals"
            )
        self._tell(keys, report, within)

    def _tell(self, keys: KeyReader, report: ChangeReport, within: str) -> None:
        counts = {kind: sum(change.kind is kind for change in report.changes) for kind in Kind}
        self.filter.set_count(
            "  ·  ".join(f"{kind.text} {figures.integer(count)}" for kind, count in counts.items() if count)
        )
        told = []
        if within:
            told.append(tr("Only keys that begin with {begin}.", begin=within))
        if not report.complete:
            told.append(
                tr(
                    "Only the first {count} revisions, or {keys} keys, were looked through.",
                    count=figures.integer(report.scanned),
                    keys=figures.integer(MAX_KEYS),
                )
            )
        if counts[Kind.WRITTEN]:
            told.append(
                tr_count(
                    "The bucket keeps {count} value of each key: what was before is not always known.",
                    "The bucket keeps {count} values of each key: what was before is not always known.",
                    keys.bucket.history,
                    count=figures.integer(keys.bucket.history),
                )
            )
        if keys.bucket.ttl_ns and not keys.bucket.marker_ttl_ns:
            told.append(tr("What ran out meanwhile leaves no trace, and is not told here."))
        kind = "information" if report.complete else "warning"
        self.notice.set_content(kind, " ".join(told))
        self.notice.setVisible(bool(told))

    def _choose(self, chips: set[str]) -> None:
        self.table.set_predicate((lambda change: change.kind.value in chips) if chips else None)

    def _show_button(self) -> None:
        change: KeyChange | None = self.table.current_row()
        self.compare_button.setEnabled(change is not None)

    def _compare(self) -> None:
        change: KeyChange | None = self.table.current_row()
        if change is None or self._keys is None:
            return
        if change.kind is Kind.CHANGED and change.before:
            self._context.run(self._show_difference(self._keys, change), tr("compare the revisions"))
        else:
            self._show_key(change.key)

    async def _show_difference(self, keys: KeyReader, change: KeyChange) -> None:
        before, after = await keys.revision(change.before), await keys.revision(change.after)
        if before is None or after is None:
            self._context.notify(tr("One of the two revisions is not kept any more."), "warning")
            return
        CompareDialog(self.window(), mask(before.message), mask(after.message)).open()


def _kind(change: KeyChange) -> tuple[str, str]:
    return KIND_TOKENS[change.kind], change.kind.text
