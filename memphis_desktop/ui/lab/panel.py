"""The local cluster on a page: its state in a line, its three servers, and what happened last."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMenu, QPushButton, QToolButton, QVBoxLayout, QWidget

from memphis_desktop.errors import Failure
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.data_table import add_commands
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.lab.control import LabControl, LabState
from memphis_desktop.ui.lab.node_card import NodeCard
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.shell.status_bar import StatusMark
from memphis_desktop.ui.theme.icons import icon

_STATES = {
    LabState.STOPPED: ("muted", tr("Stopped")),
    LabState.STARTING: ("information", tr("Starting three servers…")),
    LabState.STOPPING: ("information", tr("Stopping…")),
    LabState.FAILED: ("bad", tr("Did not start")),
}
_EVENTS_SHOWN = 3
ABOUT = tr("Three real nats-servers on this machine: replicate streams, lose a node, watch the election")


class LabPanel(QFrame):
    """A line while it is stopped; with its servers below while it runs.

    Args:
        context: Of the screen it stands on.
        compact: Only a row with the servers, for a screen of the cluster's own connection.
    """

    def __init__(
        self, context: ScreenContext, parent: QWidget | None = None, *, compact: bool = False
    ) -> None:
        super().__init__(parent)
        self.setProperty("panel", "" if compact else "surface")
        self.setAccessibleName(tr("Local cluster"))
        self._context = context
        self._compact = compact
        self._lab: LabControl = context.shell.lab
        self._end_watch: Callable[[], None] | None = None
        self._mark = StatusMark()
        self.state = PlainLabel("", "muted")
        self._facts = PlainLabel("", "caption", elide=Qt.TextElideMode.ElideRight)
        self.cards = [NodeCard(compact=compact) for _ in range(3)]
        self._nodes = QWidget()
        self.events = PlainLabel("", "caption", elide=Qt.TextElideMode.ElideRight)
        self.banner = Banner("bad")
        self.banner.hide()
        self.start_button = QPushButton(tr("Start a local cluster"))
        self.start_button.clicked.connect(lambda: self.start())
        self.stop_button = QPushButton(tr("Stop"))
        self.stop_button.clicked.connect(self.stop)
        self.open_button = QPushButton(tr("Open"))
        self.open_button.setProperty("kind", "primary")
        self.open_button.clicked.connect(self.open)
        self.more_button = QToolButton()
        self.more_button.setIcon(icon("dots-three", "muted"))
        self.more_button.setIconSize(QSize(18, 18))
        self.more_button.setToolTip(tr("More"))
        self.more_button.setAccessibleName(tr("More for the local cluster"))
        self.more_button.clicked.connect(self._show_menu)
        self._build()
        self._show()

    def _build(self) -> None:
        first = QHBoxLayout()
        first.setSpacing(theme.SPACE_2)
        first.addWidget(PlainLabel(tr("Local cluster"), "section"))
        first.addSpacing(theme.SPACE_2)
        first.addWidget(self._mark)
        first.addWidget(self.state)
        first.addStretch()
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addLayout(first)
        words.addWidget(self._facts)
        head = QWidget()
        head.setVisible(not self._compact)
        line = QHBoxLayout(head)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(theme.SPACE_2)
        line.addLayout(words, 1)
        for button in (self.start_button, self.stop_button, self.open_button, self.more_button):
            line.addWidget(button)
        cards = QHBoxLayout(self._nodes)
        cards.setContentsMargins(0, 0, 0 if self._compact else theme.SPACE_1, 0)
        cards.setSpacing(theme.SPACE_3)
        for card in self.cards:
            card.order_requested.connect(self.order)
            cards.addWidget(card, 1)
        layout = QVBoxLayout(self)
        if self._compact:
            layout.setContentsMargins(0, 0, 0, 0)
        else:
            layout.setContentsMargins(theme.SPACE_4, theme.SPACE_3, theme.SPACE_3, theme.SPACE_3)
        layout.setSpacing(theme.SPACE_2)
        layout.addWidget(head)
        layout.addWidget(self._nodes)
        layout.addWidget(self.events)
        layout.addWidget(self.banner)

    # Showing --------------------------------------------------------------------------------------

    def watch(self, watching: bool) -> None:
        """Follow the cluster while the page is visible."""
        if watching and self._end_watch is None:
            self._lab.changed.connect(self._show)
            self._end_watch = self._lab.watch()
            self._show()
        elif not watching and self._end_watch is not None:
            self._lab.changed.disconnect(self._show)
            self._end_watch()
            self._end_watch = None

    def _show(self) -> None:
        lab, view = self._lab, self._lab.view
        running = lab.state is LabState.RUNNING and view is not None
        token, word = _STATES[lab.state] if not running else self._running_words()
        self._mark.set_token(token)
        self.state.setText(word)
        self.start_button.setVisible(lab.state in (LabState.STOPPED, LabState.FAILED))
        self.stop_button.setVisible(running)
        self.open_button.setVisible(running)
        self.more_button.setVisible(not lab.starting)
        self._nodes.setVisible(view is not None)
        if view is not None:
            for card, node in zip(self.cards, view.nodes, strict=True):
                card.show_node(node, lab.busy.get(node.name, ""))
        self._facts.setText(self._fact_words())
        self._show_events()
        failed = lab.state is LabState.FAILED
        if failed:
            text = lab.detail
            self.banner.set_content("bad", f"{text[:1].upper()}{text[1:]}.")
        self.banner.setVisible(failed and not self._compact)

    def _running_words(self) -> tuple[str, str]:
        view = self._lab.view
        assert view is not None
        if not view.quorum:
            return "bad", tr("No quorum: nothing replicated can be written")
        if not view.meta_leader:
            return "warning", tr("Electing a leader…")
        if not view.ready:
            return "warning", tr(
                "Running, {meta_leader} leads, not every server is current", meta_leader=view.meta_leader
            )
        return "good", tr("Running, {meta_leader} leads", meta_leader=view.meta_leader)

    def _fact_words(self) -> str:
        view = self._lab.view
        if view is None:
            return ABOUT
        where = (
            tr("Temporary: its data is forgotten at the end")
            if view.temporary
            else tr("Data in {folder}", folder=view.folder)
        )
        lasts = (
            tr("ends with this program")
            if self._lab.cluster.owned_here
            else tr("goes on without this program")
        )
        return f"{where} · {lasts}"

    def _show_events(self) -> None:
        events = list(self._lab.events)[-_EVENTS_SHOWN:] if self._lab.view is not None else []
        zone = self._context.zone
        words = [f"{figures.clock_time(event.at_ns, zone)}  {event.text}" for event in reversed(events)]
        self.events.setText("    ".join(words))
        self.events.setVisible(bool(words) and not self._compact)

    # Doing ----------------------------------------------------------------------------------------

    def start(self, *, temporary: bool = False) -> None:
        """Start it and open it."""
        self._context.run(self._start(temporary), tr("start the local cluster"))

    async def _start(self, temporary: bool) -> None:
        try:
            await self._lab.start(temporary=temporary)
        except Failure:
            return  # the banner says why
        await self._open()

    def stop(self) -> None:
        """End it."""
        self._context.run(self._lab.stop(), tr("stop the local cluster"))

    def open(self) -> None:
        """Show the connection to it."""
        self._context.run(self._open(), tr("open the local cluster"))

    async def _open(self) -> None:
        await self._context.shell.open_profile(self._lab.profile())

    def order(self, what: str, node: str) -> None:
        """Do something with a node."""
        self._context.run(self._lab.order(what, node), f"{what} {node}")

    def copy_urls(self) -> None:
        """Put all URLs on the clipboard, as clients take them."""
        if self._lab.view is not None:
            QGuiApplication.clipboard().setText(",".join(self._lab.view.urls))
            self._context.notify(tr("The URLs of all three servers are on the clipboard."), "good")

    def commands(self) -> list[Command]:
        """What can be done with it now."""
        lab = self._lab
        found: list[Command] = []
        if lab.state in (LabState.STOPPED, LabState.FAILED):
            found.append(
                Command(tr("Start local cluster"), "", self.start, "play", name="start_local_cluster")
            )
            temporary = lambda: self.start(temporary=True)  # noqa: E731
            found.append(
                Command(
                    tr("Start a temporary local cluster"),
                    "",
                    temporary,
                    "flask",
                    name="start_temporary_local_cluster",
                )
            )
        if lab.state is LabState.RUNNING:
            found.append(Command(tr("Stop local cluster"), "", self.stop, "stop", name="stop_local_cluster"))
            found.append(
                Command(
                    tr("Copy the URLs of the local cluster"),
                    "",
                    self.copy_urls,
                    "copy",
                    name="copy_cluster_urls",
                )
            )
        folder = lab.folder
        if folder.exists():
            url = QUrl.fromLocalFile(str(folder))
            show = lambda: QDesktopServices.openUrl(url)  # noqa: E731
            found.append(
                Command(
                    tr("Open the cluster's folder of data and logs"),
                    "",
                    show,
                    "folder-open",
                    name="open_cluster_folder",
                )
            )
        return found

    def _show_menu(self) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        add_commands(menu, self.commands())
        menu.popup(self.more_button.mapToGlobal(self.more_button.rect().bottomLeft()))
