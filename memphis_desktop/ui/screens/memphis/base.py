"""What the screens of the Memphis layer have in common: they follow its buckets and say what is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtWidgets import QVBoxLayout, QWidget

from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.cluster.profiles import Environment
from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.data_table import DataTable
from memphis_desktop.ui.components.dialogs import ConfirmDialog
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.memphis.changes import MemphisChange
from memphis_desktop.ui.memphis.link import MemphisLink, MemphisView
from memphis_desktop.ui.screen import Command, Screen, ScreenContext
from memphis_desktop.ui.screens.station_parts import PAGE_MARGINS, StateBanner

NO_SERVICE = tr(
    "No stations service answers on this server, so nothing of Memphis can be changed here. "
    "Run `memphis-desktop stations --connect URL` beside it. Messages flow without it."
)


class MemphisScreen(Screen):
    """Header, banners, and below them what a subclass adds to `page`."""

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.link: MemphisLink = context.memphis
        self._release: Callable[[], None] | None = None
        self.header = PageHeader(self.title)
        self.header.navigated.connect(context.navigate)
        self.state = StateBanner()
        self.service = Banner("warning", NO_SERVICE)
        self.service.hide()
        self.page = QVBoxLayout(self)
        self.page.setContentsMargins(*PAGE_MARGINS)
        self.page.setSpacing(theme.SPACE_4)
        for widget in (self.header, self.state, self.service):
            self.page.addWidget(widget)
        self.link.changed.connect(self._view_changed)

    @property
    def refusal(self) -> str:
        """Why nothing can be changed now; empty when it can."""
        if self.context.session.profile.read_only:
            return tr("This connection is read-only.")
        return tr("No stations service answers on this server.") if self.link.view.service is False else ""

    def activated(self) -> None:
        """Follow the buckets."""
        if self._release is None:
            self._release = self.link.use()
        self._view_changed()

    def deactivated(self) -> None:
        """Follow them no more."""
        if self._release is not None:
            self._release()
            self._release = None

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """A round: the connection's state."""
        self.state.show_snapshot(snapshot)

    def _view_changed(self) -> None:
        if self._release is not None:
            self.service.setVisible(self.link.view.service is False)
            self.show_view(self.link.view)
            self.commands_changed.emit()

    def show_view(self, view: MemphisView) -> None:
        """Show what is known now."""

    def show_rows(self, table: DataTable, rows: list[Any], empty: str, action: Any, icon: str) -> None:
        """Fill a table, or say why it is empty."""
        table.set_rows(rows)
        if rows:
            table.set_state("ready")
        elif self.link.view.problem:
            table.set_state("error", self.link.view.problem)
        elif not self.link.view.complete:
            table.set_state("loading")
        else:
            table.set_state("empty", empty, None if self.refusal else action, icon)

    async def change(
        self, change: MemphisChange, *, title: str, text: str, verb: str, name: str, done: str
    ) -> dict[str, Any] | None:
        """Ask, make a change, say that it was made; None when the user declined.

        Args:
            change: What to do.
            title, text, verb: Of the question, which names what is lost.
            name: What has to be typed on production.
            done: What is said afterwards.
        """
        session = self.context.session
        production = session.profile.environment is Environment.PRODUCTION
        dialog = ConfirmDialog(
            self.window(),
            title,
            text,
            verb,
            name if production else None,
            command=change.equivalent(session),
            danger=change.destroys,
        )
        if not await dialog.ask():
            return None
        answer = await change.run(session)
        self.context.notify(done, "good")
        return answer

    def command(
        self,
        title: str,
        keys: str,
        callback: Callable[[], object],
        icon: str,
        why: str,
        danger: bool = False,
        name: str = "",
    ) -> Command:
        """A command that is dimmed with a reason."""
        return Command(title, keys, callback, icon, not why, why, danger, name)


def nanoseconds(moment: Any) -> int | None:
    """Return a time of a record as tables want it."""
    return None if moment is None else int(moment.timestamp() * 1e6) * 1000
