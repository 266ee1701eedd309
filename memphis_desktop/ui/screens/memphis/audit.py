"""The audit log of the Memphis layer: who changed what, and when."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QWidget

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.language import tr, tr_count
from memphis_desktop.stations.errors import StationsError
from memphis_desktop.stations.model import AuditEntry
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.memphis.link import MemphisView
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.memphis.base import MemphisScreen, nanoseconds
from memphis_desktop.ui.screens.station_parts import panel

_REFRESH_MS = 3000


def audit_table(context: ScreenContext, settings_name: str) -> DataTable:
    """A table of entries, the newest first."""
    table = DataTable(
        [
            Column("time", tr("When"), lambda e: nanoseconds(e.time), "time", 110),
            Column("message", tr("What"), lambda e: e.message, "text", 320, stretch=True),
            Column("username", tr("Who"), lambda e: e.username or "–", "mono", 150),
            Column("station", tr("Station"), lambda e: e.station or "–", "mono", 170),
        ],
        lambda e: (e.time, e.station, e.message),
        settings_name,
        default_sort=("time", True),
    )
    table.set_zone(context.zone)
    return table


class AuditScreen(MemphisScreen):
    """See the module."""

    title = tr("Audit")
    route_name = "memphis_audit"

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.header.set_title(tr("Audit"), tr("Who changed what in the Memphis layer"))
        self.filter = FilterBar(tr("Filter"))
        self.table = audit_table(context, "memphis_audit")
        self.table.set_state("loading")
        self.filter.text_changed.connect(self._filter_changed)
        self.filter.left.connect(self.table.setFocus)
        self.page.addWidget(self.filter)
        self.page.addWidget(panel(self.table), 1)
        self._reading = False
        self._problem = ""
        self._timer = QTimer(self)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(self.read)

    def activated(self) -> None:
        """Read now and again and again."""
        super().activated()
        self._timer.start()
        self.read()

    def deactivated(self) -> None:
        """Read no more."""
        super().deactivated()
        self._timer.stop()

    def show_view(self, view: MemphisView) -> None:
        """Something changed: there may be new lines."""
        self.read()

    def read(self) -> None:
        """Read the log."""
        if not self._reading and self._release is not None and self.link.available:
            self._reading = True
            self.context.run(self._read(), tr("read the audit log"))

    async def _read(self) -> None:
        try:
            entries = await self.link.client.audit()
        except (StationsError, ClusterError) as error:
            if not self.table.model.total():
                self.table.set_state(
                    "error",
                    tr("The audit log cannot be read: {error}", error=error),
                    (tr("Try again"), self.read),
                )
            return
        finally:
            self._reading = False
        self._show(entries)

    def _show(self, entries: list[AuditEntry]) -> None:
        self.table.set_rows(entries)
        self.table.set_state(
            "ready" if entries else "empty", tr("Nothing was changed yet."), icon="clipboard-text"
        )
        self._count()

    def _filter_changed(self, text: str) -> None:
        self.table.set_filter(text)
        self._count()

    def _count(self) -> None:
        self.filter.set_count(
            tr_count(
                "{count} entry",
                "{count} entries",
                self.table.model.rowCount(),
                count=figures.integer(self.table.model.rowCount()),
            )
        )

    def focus_filter(self) -> None:
        """Into the filter."""
        self.filter.focus()

    def commands(self) -> list[Command]:
        """Read again."""
        return [Command(tr("Read again"), keymap.key("memphis_audit.read"), self.read, "arrow-clockwise")]
