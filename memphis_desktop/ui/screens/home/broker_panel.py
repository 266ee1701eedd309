"""The local broker on the Home page: its state, its address, its data, and what can be done with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from PySide6.QtCore import QSize, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.broker_control import BrokerChoice, BrokerStartError, BrokerState, Doors, Served
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.beside import Beside
from memphis_desktop.ui.components.data_table import add_commands
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.wrap_layout import WrapLayout, together
from memphis_desktop.ui.memphis.snippets import ROOT, ROOT_PASSWORD, Address
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.home.doors_dialog import DoorsDialog
from memphis_desktop.ui.screens.memphis.code_view import CodeDialog
from memphis_desktop.ui.screens.station_code import StationCodeDialog
from memphis_desktop.ui.shell.connection import LOCAL_ID
from memphis_desktop.ui.shell.doors import load_doors, save_doors
from memphis_desktop.ui.shell.status_bar import StatusMark
from memphis_desktop.ui.theme.icons import icon

HOST = "127.0.0.1"
_STATES = {
    BrokerState.STOPPED: ("muted", tr("Stopped")),
    BrokerState.STARTING: ("information", tr("Starting")),
    BrokerState.RUNNING: ("good", tr("Running")),
    BrokerState.STOPPING: ("information", tr("Stopping")),
    BrokerState.FAILED: ("bad", tr("Did not start")),
}


_NOBODY = Doors(memphis_port=0)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


class BrokerPanel(QFrame):
    """One line: mark, name, facts; at the right Open, and Start or Stop with a menu of the rest."""

    changed = Signal()

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("panel", "surface")
        self.setAccessibleName(tr("Local broker"))
        self._context = context
        self._broker = context.shell.broker
        self._size: int | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._mark = StatusMark()
        self._state = PlainLabel("", "muted")
        self._facts = PlainLabel("", "caption", elide=Qt.TextElideMode.ElideRight)
        self._address = PlainLabel("", "mono", selectable=True)
        self.copy_button = QToolButton()
        self.copy_button.setIcon(icon("copy", "muted"))
        self.copy_button.setIconSize(QSize(14, 14))
        self.copy_button.setToolTip(tr("Copy the URL"))
        self.copy_button.setAccessibleName(tr("Copy the URL"))
        self.copy_button.clicked.connect(self.copy_url)
        self.memphis_button = QPushButton("")
        self.memphis_button.setProperty("kind", "link")
        self.memphis_button.setToolTip(tr("Where Memphis SDKs connect: programs to begin with"))
        self.memphis_button.clicked.connect(self.connect_code)
        self.rest_label = PlainLabel("", "mono", selectable=True)
        self.rest_label.setToolTip(tr("Where the REST gateway listens"))
        self.streaming_label = PlainLabel("", "mono", selectable=True)
        self.streaming_label.setToolTip(
            tr("NATS Streaming clients connect to the broker's address and name this id")
        )
        self.doors_state = PlainLabel("", "caption")
        self.open_button = QPushButton(tr("Open"))
        self.open_button.setProperty("kind", "primary")
        self.open_button.clicked.connect(lambda: self._context.run(self._open(), tr("open the local broker")))
        self.start_button = QPushButton(tr("Start"))
        self.start_button.clicked.connect(lambda: self.start())
        self.stop_button = QPushButton(tr("Stop"))
        self.stop_button.clicked.connect(
            lambda: self._context.run(self._broker.stop(), tr("stop the broker"))
        )
        self.more_button = QToolButton()
        self.more_button.setIcon(icon("dots-three", "muted"))
        self.more_button.setIconSize(QSize(18, 18))
        self.more_button.setToolTip(tr("More"))
        self.more_button.setAccessibleName(tr("More for the local broker"))
        self.more_button.clicked.connect(self._show_menu)
        self.banner = Banner("bad")
        self.banner.hide()
        first = QHBoxLayout()
        first.setSpacing(theme.SPACE_2)
        first.addWidget(PlainLabel(tr("Local broker"), "section"))
        first.addSpacing(theme.SPACE_2)
        first.addWidget(self._mark)
        first.addWidget(self._state)
        first.addSpacing(theme.SPACE_2)
        first.addWidget(self._address)
        first.addWidget(self.copy_button)
        first.addStretch()
        holder = QWidget()
        words = QVBoxLayout(holder)
        words.setContentsMargins(0, 0, 0, 0)
        words.setSpacing(2)
        words.addLayout(first)
        words.addWidget(self._build_doors())
        words.addWidget(self._facts)
        buttons = together(self.start_button, self.stop_button, self.open_button, self.more_button)
        buttons.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_4, theme.SPACE_3, theme.SPACE_3, theme.SPACE_3)
        layout.setSpacing(theme.SPACE_2)
        layout.addWidget(Beside((holder, 1), (buttons, 0), spacing=theme.SPACE_2))
        layout.addWidget(self.banner)
        self._show()

    def _build_doors(self) -> QWidget:
        """The line of addresses for clients that are no NATS clients."""
        self.doors = QWidget()
        line = WrapLayout(self.doors, theme.SPACE_4)
        line.setContentsMargins(0, 0, 0, 0)
        for widget in (self.memphis_button, self.rest_label, self.streaming_label, self.doors_state):
            line.add(widget)
        return self.doors

    # Showing ----------------------------------------------------------------------------------

    def watch(self, watching: bool) -> None:
        """Follow the broker while the page is visible."""
        if watching and self._unsubscribe is None:
            self._unsubscribe = self._broker.subscribe(self._show)
            self._show()
            self._context.run(self._measure(), tr("measure the data folder"))
        elif not watching and self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    async def _measure(self) -> None:
        self._size = await asyncio.to_thread(self._broker.data_size)
        self._show()

    def _show(self) -> None:
        broker = self._broker
        state = broker.state
        token, word = _STATES[state]
        running = state is BrokerState.RUNNING
        self._mark.set_token(token)
        self._state.setText(word)
        self._address.setText(broker.url)
        self._address.setVisible(running)
        self.copy_button.setVisible(running)
        self._show_doors(broker.served, running)
        self.open_button.setVisible(running)
        self.stop_button.setVisible(running)
        self.start_button.setVisible(state in (BrokerState.STOPPED, BrokerState.FAILED))
        self._facts.setText(" · ".join(self._words()))
        if state not in (BrokerState.FAILED, BrokerState.RUNNING):
            self.banner.hide()
        self.changed.emit()

    def _show_doors(self, served: Served, running: bool) -> None:
        """Who else can come in, what is not open yet, and what did not work."""
        broker = self._broker
        self.memphis_button.setText(
            tr("Memphis SDKs: {host}:{memphis_port}", host=HOST, memphis_port=served.memphis_port)
        )
        self.memphis_button.setVisible(bool(served.memphis_port))
        self.rest_label.setText(tr("REST: http://{host}:{rest_port}", host=HOST, rest_port=served.rest_port))
        self.rest_label.setVisible(bool(served.rest_port))
        self.streaming_label.setText(
            tr("NATS Streaming: cluster id {streaming_cluster}", streaming_cluster=served.streaming_cluster)
        )
        self.streaming_label.setVisible(bool(served.streaming_cluster))
        chosen = self._broker.choice.doors
        waiting = running and not served.complete and chosen != _NOBODY
        self.doors_state.setText(tr("Opening for other clients…") if waiting else "")
        self.doors_state.setVisible(waiting)
        self.doors.setVisible(running and chosen != _NOBODY)
        if running and served.failures:
            self.banner.set_content("bad", " ".join(_sentence(text) for text in served.failures), None)
            self.banner.show()
        elif running and broker.damage:
            text = tr_count(
                "A part of the data was found damaged and set aside; all that is whole is served.",
                "{count} parts of the data were found damaged and set aside; all that is whole is served.",
                len(broker.damage),
            )
            self.banner.set_content("warning", text, (tr("Copy the report"), self.copy_damage))
            self.banner.show()
        elif running and served.notes:
            self.banner.set_content("warning", " ".join(served.notes), None)
            self.banner.show()
        elif running:
            self.banner.hide()

    def _words(self) -> list[str]:
        broker = self._broker
        folder = broker.data_folder
        words = []
        if folder is not None:
            words.append(tr("Data in {folder}", folder=folder))
            if self._size is not None:
                words.append(figures.bytes_size(self._size))
        else:
            words.append(tr("Temporary: its data is forgotten at the end"))
        if broker.sample_traffic:
            words.append(tr("sample clients at work"))
        return words

    # Doing ------------------------------------------------------------------------------------

    def start(self, port: int | None = None) -> None:
        """Start as it was started last, on that port or another."""
        last = self._broker.choice
        choice = BrokerChoice(
            last.port if port is None else port, last.persistent, last.sample_traffic and not last.persistent
        )  # the window adds who else may come in
        self._context.run(self._start(choice), tr("start the broker"))

    async def _start(self, choice: BrokerChoice) -> None:
        try:
            await self._context.shell.start_local_broker(choice)
        except BrokerStartError as error:
            action = None
            if error.next_port is not None:
                port = error.next_port
                action = (tr("Start on {port}", port=port), lambda: self.start(port))
            elif error.folder_unusable:
                action = (tr("Set the data aside"), self.set_data_aside)
            self.banner.set_content("bad", _sentence(str(error)), action)
            self.banner.show()

    async def _open(self) -> None:
        await self._context.shell.open_local()

    def copy_url(self) -> None:
        """Put the URL on the clipboard."""
        QGuiApplication.clipboard().setText(self._broker.url)
        self._context.notify(tr("The broker's URL is on the clipboard."), "good")

    def copy_damage(self) -> None:
        """Put what was found damaged on the clipboard, with the place of the data."""
        head = f"{self._broker.data_folder} · {self._broker.url}"
        QGuiApplication.clipboard().setText("\n".join([head, *self._broker.damage]))
        self._context.notify(tr("The report of the damage is on the clipboard."), "good")

    def set_data_aside(self) -> None:
        """Rename the data folder after asking, so that the next start begins with a fresh one."""
        self._context.run(self._set_data_aside(), tr("set the data aside"))

    async def _set_data_aside(self) -> None:
        agreed = await self._context.confirm(
            tr("Set the data aside"),
            tr(
                "The data folder gets another name and stays on the disk; the broker starts next time"
                " without stations. Nothing is deleted."
            ),
            tr("Set data aside"),
        )
        if not agreed:
            return
        try:
            aside = self._broker.set_data_aside()
        except OSError as error:
            reason = error.strerror or str(error)
            self._context.notify(tr("The data folder cannot be renamed: {reason}.", reason=reason), "bad")
            return
        if aside is not None:
            self._context.notify(tr("The old data is kept in {folder}.", folder=aside), "good")
        self._context.run(self._measure(), tr("measure the data folder"))

    def connect_code(self) -> None:
        """Show programs that connect Memphis SDKs to this broker."""
        port = self._broker.served.memphis_port
        if port:
            CodeDialog(self.window(), Address(HOST, port, ROOT, ROOT_PASSWORD), "my-station").open()

    def nats_code(self) -> None:
        """Show programs that connect NATS clients to this broker."""
        profile = ConnectionProfile(tr("Local broker"), (self._broker.url,), id=LOCAL_ID)
        StationCodeDialog(self.window(), self._context, profile).open()

    async def _restart(self) -> None:
        choice = self._broker.choice
        await self._broker.stop()
        await self._start(choice)

    def change_doors(self) -> None:
        """Ask who else may come in, and restart the broker with that when it runs."""
        self._context.run(self._change_doors(), tr("change who may connect"))

    async def _change_doors(self) -> None:
        before = load_doors(self._context.settings)
        running = self._broker.state is BrokerState.RUNNING
        dialog = DoorsDialog(self.window(), before, self._broker.problem_with, running=running)
        agreed = await dialog.ask()
        if not agreed or (dialog.doors == before and not self._broker.served.failures):
            return
        save_doors(self._context.settings, dialog.doors)
        if self._broker.state is BrokerState.RUNNING:
            await self._restart()

    async def _remove_samples(self) -> None:
        agreed = await self._context.confirm(
            tr("Remove the sample data"),
            tr(
                "The sample clients are stopped, and every station whose name begins with sample- is deleted"
                " with its messages. Other stations are left alone."
            ),
            tr("Remove sample data"),
        )
        if agreed:
            count = await self._broker.remove_sample_data()
            self._context.notify(
                tr_count(
                    "Removed {count} stream of sample data.",
                    "Removed {count} streams of sample data.",
                    count,
                    count=figures.integer(count),
                ),
                "good",
            )

    def commands(self) -> list[Command]:
        """What can be done with the broker now."""
        broker = self._broker
        running = broker.state is BrokerState.RUNNING
        stopped = broker.state in (BrokerState.STOPPED, BrokerState.FAILED)
        run = self._context.run
        found: list[Command] = []
        if stopped:
            found.append(Command(tr("Start local broker"), "", self.start, "play", name="start_local_broker"))
            found.append(
                Command(
                    tr("Start a temporary broker with sample traffic"),
                    "",
                    self._start_demo,
                    "flask",
                    name="start_demo",
                )
            )
        if running:
            found.append(
                Command(
                    tr("Stop local broker"),
                    "",
                    lambda: run(broker.stop(), tr("stop the broker")),
                    "stop",
                    name="stop_local_broker",
                )
            )
            restart = lambda: run(self._restart(), tr("restart the broker"))  # noqa: E731
            found.append(
                Command(
                    tr("Restart local broker"), "", restart, "arrows-clockwise", name="restart_local_broker"
                )
            )
            found.append(Command(tr("Connect your code"), "", self.nats_code, "code", name="connect_code"))
            if broker.served.memphis_port:
                found.append(
                    Command(
                        tr("Connect your code with a Memphis SDK"),
                        "",
                        self.connect_code,
                        "code",
                        name="connect_memphis_code",
                    )
                )
            if broker.sample_traffic:
                stop = lambda: run(broker.stop_sample_traffic(), tr("stop the sample clients"))  # noqa: E731
                found.append(
                    Command(tr("Stop sample traffic"), "", stop, "pause", name="stop_sample_traffic")
                )
            else:
                begin = lambda: run(broker.start_sample_traffic(), tr("start the sample clients"))  # noqa: E731
                found.append(
                    Command(tr("Start sample traffic"), "", begin, "flask", name="start_sample_traffic")
                )
            remove = lambda: run(self._remove_samples(), tr("remove the sample data"))  # noqa: E731
            found.append(
                Command(tr("Remove sample data"), "", remove, "trash", danger=True, name="remove_sample_data")
            )
        if running or stopped:
            found.append(
                Command(
                    tr("Other clients of the local broker…"),
                    "",
                    self.change_doors,
                    "door",
                    name="change_doors",
                )
            )
        folder = broker.data_folder
        if running and broker.damage:
            found.append(
                Command(tr("Copy the report of damage"), "", self.copy_damage, "copy", name="copy_damage")
            )
        if stopped and folder is not None and folder.exists():
            found.append(
                Command(
                    tr("Set the data aside…"),
                    "",
                    self.set_data_aside,
                    "folder-minus",
                    danger=True,
                    name="set_data_aside",
                )
            )
        if folder is not None and folder.exists():
            url = QUrl.fromLocalFile(str(folder))
            found.append(
                Command(
                    tr("Open the data folder"),
                    "",
                    lambda: QDesktopServices.openUrl(url),
                    "folder-open",
                    name="open_data_folder",
                )
            )
        return found

    def _start_demo(self) -> None:
        self._context.run(
            self._start(BrokerChoice(port=0, persistent=False, sample_traffic=True)), tr("start the broker")
        )

    def _show_menu(self) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        add_commands(menu, self.commands())
        menu.popup(self.more_button.mapToGlobal(self.more_button.rect().bottomLeft()))
