"""The ways to begin: a local broker, a server, the demo with data, or a local cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.cluster import keychain
from memphis_desktop.cluster.contexts import FoundContext, find_contexts
from memphis_desktop.cluster.failures import ConnectionFailure, Stage
from memphis_desktop.cluster.probe import Probe, Target
from memphis_desktop.cluster.profiles import (
    ConnectionProfile,
    Environment,
    ProxyOptions,
    TlsOptions,
    profile_for,
)
from memphis_desktop.errors import Failure
from memphis_desktop.language import tr
from memphis_desktop.ui import settings, theme
from memphis_desktop.ui.broker_control import DEFAULT_PORT, BrokerChoice, BrokerStartError
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.beside import Beside
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.format import visible_text
from memphis_desktop.ui.lab.panel import ABOUT
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.home.import_dialog import summary
from memphis_desktop.ui.shell import setting_keys
from memphis_desktop.ui.theme.icons import beside_text, icon

_CONTEXTS_SHOWN = 4
_LOCAL_URL = f"nats://127.0.0.1:{DEFAULT_PORT}"


class Card(QFrame):
    """One way to begin: a picture, a name, a sentence, its fields, its button, and its own failure."""

    def __init__(
        self, icon_name: str, title: str, text: str, verb: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setProperty("panel", "surface")
        self.setAccessibleName(title)
        self._icon_name = icon_name
        self._verb = verb
        self._picture = QLabel()
        self.fields = QVBoxLayout()
        self.fields.setSpacing(theme.SPACE_2)
        self.banner = Banner("bad")
        self.banner.hide()
        self.button = QPushButton(verb)
        self.button.setAutoDefault(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_5, theme.SPACE_5, theme.SPACE_5, theme.SPACE_5)
        layout.setSpacing(theme.SPACE_3)
        layout.addWidget(self._picture)
        layout.addWidget(PlainLabel(title, "section"))
        description = PlainLabel(text, "muted", wrap=True)
        description.setMinimumHeight(52)
        description.setAlignment(Qt.AlignmentFlag.AlignTop)
        layout.addWidget(description)
        layout.addLayout(self.fields)
        layout.addStretch()
        layout.addWidget(self.banner)
        layout.addWidget(self.button)
        theme.manager().changed.connect(self._redraw)
        self._redraw()

    def show_failure(self, text: str, action: tuple[str, Callable[[], object]] | None = None) -> None:
        """Say in the card what went wrong and what can be done; empty takes it away."""
        self.banner.set_content("bad", text, action)
        self.banner.setVisible(bool(text))

    def set_busy(self, text: str) -> None:
        """Show what is going on, on the button; empty when it is over."""
        self.button.setText(text or self._verb)
        self.setEnabled(not text)

    def _redraw(self) -> None:
        pixmap = icon(self._icon_name, "accent").pixmap(QSize(28, 28), self.devicePixelRatioF())
        self._picture.setPixmap(pixmap)


class ContextButton(QPushButton):
    """A connection found on this machine."""

    def __init__(self, found: FoundContext) -> None:
        super().__init__()
        self.found = found
        self.setProperty("kind", "ghost")
        beside_text(self, icon("link-simple", "muted"))
        address = found.profile.address if found.profile is not None else found.problem
        name = visible_text(found.name, 40)
        self.setText(f"{name}    {visible_text(address, 60)}".replace("&", "&&"))
        self.setStyleSheet("text-align: left;")
        self.setToolTip(
            tr("From {path}: {summary}", path=found.path, summary=summary(found.profile))
            if found.profile is not None
            else f"{name} {found.problem}"
        )
        self.setEnabled(found.profile is not None)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)


class ClusterCard(QFrame):
    """The way for those who want to see replication: a low card below the others."""

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("panel", "surface")
        self.setAccessibleName(tr("Start a local cluster"))
        self._context = context
        self._lab = context.shell.lab
        self._picture = QLabel()
        self.button = QPushButton(tr("Start cluster"))
        self.button.setAutoDefault(True)
        self.button.clicked.connect(self.start)
        self.banner = Banner("bad")
        self.banner.hide()
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(PlainLabel(tr("Start a local cluster"), "section"))
        words.addWidget(PlainLabel(f"{ABOUT}.", "muted", wrap=True))
        line = QHBoxLayout()
        line.setSpacing(theme.SPACE_4)
        line.addWidget(self._picture)
        line.addLayout(words, 1)
        line.addWidget(self.button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_5, theme.SPACE_4, theme.SPACE_5, theme.SPACE_4)
        layout.setSpacing(theme.SPACE_3)
        layout.addLayout(line)
        layout.addWidget(self.banner)
        theme.manager().changed.connect(self._redraw)
        self._redraw()

    def start(self) -> None:
        """Start it and show it."""
        self.banner.hide()
        self.button.setText(tr("Starting…"))
        self.setEnabled(False)
        self._context.run(self._start(), tr("start the local cluster"))

    async def _start(self) -> None:
        try:
            await self._lab.start()
            await self._context.shell.open_profile(self._lab.profile())
        except (Failure, ConnectionFailure) as failure:
            self.banner.set_content("bad", sentence(str(failure)))
            self.banner.show()
        finally:
            self.button.setText(tr("Start cluster"))
            self.setEnabled(True)

    def _redraw(self) -> None:
        pixmap = icon("tree-structure", "accent").pixmap(QSize(28, 28), self.devicePixelRatioF())
        self._picture.setPixmap(pixmap)


class FileCard(QFrame):
    """The way for those who were given a file: it is looked at without a server."""

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("panel", "surface")
        self.setAccessibleName(tr("Open a file"))
        self._picture = QLabel()
        self.button = QPushButton(tr("Open file"))
        self.button.setAutoDefault(True)
        self.button.clicked.connect(lambda: context.shell.ask_for_file())
        self.backup_button = QPushButton(tr("Open backup"))
        self.backup_button.setAutoDefault(True)
        self.backup_button.setToolTip(tr("The folder that a stream was backed up into"))
        self.backup_button.clicked.connect(lambda: context.shell.ask_for_file(backup=True))
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(PlainLabel(tr("Open a file"), "section"))
        about = tr("Exported messages, a stream's backup or a workspace; no server is needed.")
        words.addWidget(PlainLabel(about, "muted", wrap=True))
        buttons = QVBoxLayout()
        buttons.setSpacing(theme.SPACE_2)
        buttons.addWidget(self.button)
        buttons.addWidget(self.backup_button)
        line = QHBoxLayout(self)
        line.setContentsMargins(theme.SPACE_5, theme.SPACE_4, theme.SPACE_5, theme.SPACE_4)
        line.setSpacing(theme.SPACE_4)
        line.addWidget(self._picture)
        line.addLayout(words, 1)
        line.addLayout(buttons)
        theme.manager().changed.connect(self._redraw)
        self._redraw()

    def _redraw(self) -> None:
        pixmap = icon("folder-open", "accent").pixmap(QSize(28, 28), self.devicePixelRatioF())
        self._picture.setPixmap(pixmap)


class FirstRun(QWidget):
    """The cards. Says nothing of what it opened: the shell shows that."""

    credentials_wanted = Signal(object)  # a ConnectionProfile that was refused for its login

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._busy: asyncio.Task[Any] | None = None
        self.broker_card = self._make_broker_card()
        self.connect_card = self._make_connect_card()
        self.demo_card = Card(
            "presentation-chart",
            tr("See it with data"),
            tr(
                "A throw-away broker with orders, telemetry and payments: live producers, a group that lags,"
                " and a poison message now and then."
            ),
            tr("Open the demo"),
        )
        self.demo_card.fields.addWidget(
            PlainLabel(tr("Nothing is kept when you quit."), "caption", wrap=True)
        )
        self.demo_card.button.clicked.connect(self.open_demo)
        cards = Beside((self.broker_card, 1), (self.connect_card, 1), (self.demo_card, 1))
        self.cluster_card = ClusterCard(context)
        self.file_card = FileCard(context)
        low = Beside((self.cluster_card, 1), (self.file_card, 1))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_4)
        layout.addWidget(cards)
        layout.addWidget(low)
        self.refresh()

    # Building ---------------------------------------------------------------------------------

    def _make_broker_card(self) -> Card:
        card = Card(
            "rocket-launch",
            tr("Start a local broker"),
            tr("A NATS-compatible broker inside this program. Your clients connect to it on this machine."),
            tr("Start broker"),
        )
        card.button.setProperty("kind", "primary")
        card.button.clicked.connect(lambda: self.start_broker())
        self.keep = QRadioButton(tr("Keep the data"))
        self.keep.setChecked(True)
        self.forget = QRadioButton(tr("Temporary: forget it on quit"))
        self.samples = QCheckBox(tr("Sample stations with traffic"))
        self.samples.setChecked(True)
        for field in (self.keep, self.forget, self.samples):
            card.fields.addWidget(field)
        return card

    def _make_connect_card(self) -> Card:
        card = Card(
            "link-simple",
            tr("Connect to a server"),
            tr("Any NATS server or cluster with JetStream, near or far."),
            tr("Connect"),
        )
        self.url = QLineEdit()
        self.url.setPlaceholderText("nats://host:4222")
        self.url.setAccessibleName(tr("Server URL"))
        self.url.setProperty("role", "mono")
        self.url.returnPressed.connect(self.connect_url)
        card.button.clicked.connect(self.connect_url)
        card.fields.addWidget(self.url)
        card.fields.addWidget(
            PlainLabel(
                tr("Or drop a .creds, .nk, PEM or context file anywhere on the window."), "caption", wrap=True
            )
        )
        self._contexts = QVBoxLayout()
        self._contexts.setSpacing(0)
        card.fields.addLayout(self._contexts)
        return card

    def refresh(self) -> None:
        """Look again for connections on this machine."""
        while (item := self._contexts.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        found = find_contexts()
        if found:
            self._contexts.addWidget(PlainLabel(tr("Found on this machine"), "caption"))
        for one in found[:_CONTEXTS_SHOWN]:
            button = ContextButton(one)
            button.clicked.connect(lambda _checked=False, one=one: self.connect_found(one))
            self._contexts.addWidget(button)
        if len(found) > _CONTEXTS_SHOWN:
            more = len(found) - _CONTEXTS_SHOWN
            self._contexts.addWidget(
                PlainLabel(tr("and {more} more, under Home, Import", more=more), "caption")
            )

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter starts the broker, wherever the focus is among its fields."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.broker_card.isEnabled():
            self.start_broker()
        else:
            super().keyPressEvent(event)

    # Doing ------------------------------------------------------------------------------------

    def start_broker(self, port: int = DEFAULT_PORT) -> None:
        """Start with the choices of the card."""
        choice = BrokerChoice(port, self.keep.isChecked(), self.samples.isChecked())
        self._begin(self._start(self.broker_card, choice), self.broker_card, tr("Starting…"))

    def open_demo(self) -> None:
        """A temporary broker on any free port, with traffic."""
        choice = BrokerChoice(port=0, persistent=False, sample_traffic=True)
        self._begin(self._start(self.demo_card, choice), self.demo_card, tr("Starting…"))

    def connect_url(self) -> None:
        """Connect to what was typed."""
        text = self.url.text().strip()
        if not text:
            self.connect_card.show_failure(tr("Type the address of a server, for example nats://host:4222."))
            self.url.setFocus()
            return
        budget = setting_keys.poll_budget(settings.current())
        profile = replace(profile_for(text), poll_budget=budget)
        if profile.environment is not Environment.LOCAL:
            profile = replace(profile, proxy=ProxyOptions(setting_keys.proxy(settings.current())))
        self._begin(self._connect(profile, typed=True), self.connect_card, tr("Connecting…"))

    def connect_found(self, found: FoundContext) -> None:
        """Connect with a context of the ``nats`` command line."""
        if found.profile is not None:
            self._begin(self._connect(found.profile), self.connect_card, tr("Connecting…"))

    def _begin(self, work: Coroutine[Any, Any, None], card: Card, text: str) -> None:
        if self._busy is not None and not self._busy.done():
            work.close()
            return
        card.show_failure("")
        card.set_busy(text)

        async def guarded() -> None:
            try:
                await work
            finally:
                card.set_busy("")

        self._busy = self._context.run(guarded(), tr("begin"))

    async def _start(self, card: Card, choice: BrokerChoice) -> None:
        try:
            await self._context.shell.start_local_broker(choice)
        except BrokerStartError as error:
            text = sentence(str(error))
            if error.next_port is not None:
                port = error.next_port
                card.show_failure(text, (tr("Start on {port}", port=port), lambda: self.start_broker(port)))
            elif error.folder_in_use:
                text = tr("{problem} Another copy of the program may be running.", problem=text)
                if await answers(_LOCAL_URL):
                    card.show_failure(text, (tr("Connect to it"), self._attach))
                else:
                    card.show_failure(text, (tr("Start a temporary one"), self._start_temporary))
            elif error.folder_unusable:
                card.show_failure(text, (tr("Begin with a fresh folder"), self._start_afresh))
            else:
                card.show_failure(text)

    def _start_temporary(self) -> None:
        self.forget.setChecked(True)
        self.start_broker(0)

    def _attach(self) -> None:
        """Connect to the broker that has the data folder, at the port where brokers listen."""
        self.url.setText(_LOCAL_URL)
        self.connect_url()

    def _start_afresh(self) -> None:
        """Leave the data where it is under another name, and start without it."""
        try:
            aside = self._context.shell.broker.set_data_aside()
        except OSError as error:
            self.broker_card.show_failure(
                tr("The data folder cannot be renamed: {reason}.", reason=error.strerror or error)
            )
            return
        if aside is not None:
            self._context.notify(tr("The old data is kept in {folder}.", folder=aside), "information")
        self.start_broker()

    async def _connect(self, profile: ConnectionProfile, *, typed: bool = False) -> None:
        shell = self._context.shell
        try:
            await shell.open_profile(profile)
        except ConnectionFailure as failure:
            action = None
            if failure.stage is Stage.LOGIN:
                action = (tr("Add credentials"), lambda: self.credentials_wanted.emit(profile))
            self.connect_card.show_failure(str(failure), action)
            return
        present = shell.profiles.load()
        if not any(one.urls == profile.urls and one.origin == profile.origin for one in present):
            shell.profiles.put(await asyncio.to_thread(keychain.put_away, profile))


async def answers(url: str) -> bool:
    """Whether a NATS server greets there."""
    probe = Probe(Target(url), TlsOptions())
    try:
        await probe.connect()
        await probe.greet()
    except (OSError, ConnectionFailure):
        return False
    finally:
        probe.close()
    return True


def sentence(text: str) -> str:
    """Capital first, a stop at the end."""
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "?")) else text + "."
