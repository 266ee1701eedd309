"""The connection that is marked on the Home page: its facts, what can be done, and its test."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QGuiApplication, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QPushButton, QScrollArea, QVBoxLayout, QWidget

from memphis_desktop.cluster.diagnosis import FAILED, PASSED, RUNNING, SKIPPED, Diagnosis, Step, report
from memphis_desktop.cluster.failures import ConnectionFailure
from memphis_desktop.cluster.model import ClusterSnapshot, ConnectionState
from memphis_desktop.cluster.profiles import ConnectionProfile, CredentialKind, TlsOptions, without_secret
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.flow_layout import FlowLayout
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.home.connection_form import ENVIRONMENTS
from memphis_desktop.ui.screens.home.login_fields import KINDS
from memphis_desktop.ui.shell.attempts import STAGES
from memphis_desktop.ui.shell.connection_colours import colour_words
from memphis_desktop.ui.shell.status_bar import STATE_WORDS
from memphis_desktop.ui.theme import fonts
from memphis_desktop.ui.theme.icons import paint_icon

_BESIDE_FROM = 320  # pixels
_FAILED_AT = tr("Failed at")
_STATES = {PASSED: tr("passed"), FAILED: tr("failed")}
_MARKS = {
    PASSED: ("check-circle", "good"),
    FAILED: ("x-circle", "bad"),
    SKIPPED: ("minus-circle", "faint"),
    RUNNING: ("circle-dashed", "information"),
}


class StepList(QWidget):
    """The steps of a test, one below the other, each with its mark, its time and what was seen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._steps: Sequence[Step] = ()
        self.setAccessibleName(tr("Steps of the connection test"))

    def set_steps(self, steps: Sequence[Step]) -> None:
        """Show other steps."""
        self._steps = steps
        done = [
            f"{step.title}: {_STATES[step.state]} {step.detail}" for step in steps if step.state in _STATES
        ]
        self.setAccessibleDescription("; ".join(done))
        self.setMinimumHeight(self._height(self.width()))
        self.update()

    def sizeHint(self) -> QSize:
        """As tall as the steps."""
        return QSize(280, self._height(self.width() or 280))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw them."""
        look = theme.manager().current
        painter = QPainter(self)
        y = 0
        for step in self._steps:
            name, token = _MARKS.get(step.state, ("circle", "faint"))
            paint_icon(painter, QRect(0, y + 2, 16, 16), name, look.colour(token))
            painter.setFont(fonts.interface(theme.SIZE_BODY))
            quiet = step.state not in (PASSED, FAILED, RUNNING)
            painter.setPen(QColor(look.faint if quiet else look.text))
            painter.drawText(QRect(24, y, self.width() - 24, 20), Qt.AlignmentFlag.AlignVCenter, step.title)
            if step.seconds is not None:
                painter.setFont(fonts.interface(theme.SIZE_CAPTION))
                painter.setPen(QColor(look.muted))
                place = QRect(24, y, self.width() - 24, 20)
                align = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
                painter.drawText(place, int(align), figures.duration(step.seconds))
            y += 20
            if step.detail:
                painter.setFont(fonts.interface(theme.SIZE_CAPTION))
                painter.setPen(QColor(look.bad if step.state == FAILED else look.muted))
                place = QRect(24, y, self.width() - 24, 400)
                painter.drawText(place, int(Qt.TextFlag.TextWordWrap), figures.visible_text(step.detail, 400))
                y += self._detail_height(step, self.width())
            y += theme.SPACE_2

    def span(self, key: str) -> tuple[int, int]:
        """Where a step begins and ends, in pixels from the top."""
        y = 0
        for step in self._steps:
            height = 20 + theme.SPACE_2 + self._detail_height(step, self.width())
            if step.key == key:
                return y, y + height
            y += height
        return 0, 0

    def _height(self, width: int) -> int:
        return sum(20 + theme.SPACE_2 + self._detail_height(step, width) for step in self._steps)

    def _detail_height(self, step: Step, width: int) -> int:
        if not step.detail:
            return 0
        text = figures.visible_text(step.detail, 400)
        area = QRect(0, 0, max(120, width - 24), 1000)
        return (
            QFontMetrics(QFont(fonts.interface(theme.SIZE_CAPTION)))
            .boundingRect(area, int(Qt.TextFlag.TextWordWrap), text)
            .height()
        )


class ConnectionDetails(QFrame):
    """Facts and actions of one profile."""

    connect_requested = Signal(object)
    edit_requested = Signal(object)
    disconnect_requested = Signal(object)

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("panel", "surface")
        self._context = context
        self._profile: ConnectionProfile | None = None
        self._snapshot: ClusterSnapshot | None = None
        self._failure: ConnectionFailure | None = None
        self._last_connected: int | None = None
        self._stacked = False
        self._test: asyncio.Task[Any] | None = None
        self._steps: Sequence[Step] = ()
        self._name = PlainLabel("", "section", elide=Qt.TextElideMode.ElideRight)
        self._facts = QGridLayout()
        self._facts.setHorizontalSpacing(theme.SPACE_3)
        self._facts.setVerticalSpacing(theme.SPACE_2)
        self._facts.setColumnStretch(1, 1)
        self.connect_button = QPushButton(tr("Connect"))
        self.connect_button.setProperty("kind", "primary")
        self.connect_button.clicked.connect(lambda: self._emit(self.connect_requested))
        self.disconnect_button = QPushButton(tr("Disconnect"))
        self.disconnect_button.clicked.connect(lambda: self._emit(self.disconnect_requested))
        self.edit_button = QPushButton(tr("Edit"))
        self.edit_button.clicked.connect(lambda: self._emit(self.edit_requested))
        self.test_button = QPushButton(tr("Test"))
        self.test_button.clicked.connect(self.test)
        self.copy_button = QPushButton(tr("Copy report"))
        self.copy_button.setProperty("kind", "link")
        self.copy_button.clicked.connect(self._copy_report)
        self.copy_button.hide()
        buttons = FlowLayout(spacing=theme.SPACE_2)
        for button in (self.connect_button, self.disconnect_button, self.edit_button, self.test_button):
            buttons.addWidget(button)
        self.steps = StepList()
        inner = QVBoxLayout()
        inner.setContentsMargins(theme.SPACE_4, theme.SPACE_4, theme.SPACE_4, theme.SPACE_4)
        inner.setSpacing(theme.SPACE_4)
        inner.addWidget(self._name)
        inner.addLayout(buttons)
        inner.addWidget(self.steps)
        inner.addWidget(self.copy_button, 0, Qt.AlignmentFlag.AlignLeft)
        inner.addLayout(self._facts)
        inner.addStretch()
        holder = QWidget()
        holder.setObjectName("scrolled")
        holder.setLayout(inner)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(holder)
        self._area = area
        layout = QVBoxLayout(self)
        layout.setContentsMargins(1, 1, 1, 1)
        layout.addWidget(area)

    @property
    def profile(self) -> ConnectionProfile | None:
        """What is shown."""
        return self._profile

    def is_trying(self) -> bool:
        """Whether the connection was lost, and the program tries to get it back."""
        snapshot = self._snapshot
        return snapshot is not None and snapshot.state is ConnectionState.RECONNECTING

    def show_profile(
        self,
        profile: ConnectionProfile | None,
        snapshot: ClusterSnapshot | None,
        failure: ConnectionFailure | None = None,
        last_connected: int | None = None,
    ) -> None:
        """Show a connection: what is known when it is open, else how the last attempt to open it went."""
        if profile is None or self._profile is None or profile.id != self._profile.id:
            self._clear_test()
        self._profile = profile
        self._snapshot = snapshot
        self._failure, self._last_connected = failure, last_connected
        self.setVisible(profile is not None)
        if profile is None:
            return
        self._name.setText(profile.name)
        self.disconnect_button.setVisible(snapshot is not None)
        self.disconnect_button.setText(tr("Stop trying") if self.is_trying() else tr("Disconnect"))
        self.connect_button.setText(tr("Show") if snapshot is not None else tr("Connect"))
        while (item := self._facts.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        known = facts(profile, snapshot)
        if snapshot is None and failure is not None:
            known.insert(0, (_FAILED_AT, f"{STAGES[failure.stage]}. {failure}"))
        if last_connected is not None and snapshot is None:
            known.append(
                (tr("Last connected"), figures.timestamp(last_connected, self._context.zone, digits=0))
            )
        self._stacked = self.width() < _BESIDE_FROM
        for row, (name, value) in enumerate(known):
            label = PlainLabel(name, "caption")
            label.setAlignment(Qt.AlignmentFlag.AlignTop)
            bad = name == _FAILED_AT or (name == "TLS" and profile.tls.skip_verify)
            danger = "bad" if bad else ""
            text = PlainLabel(value, danger, wrap=True, selectable=True)
            if self._stacked:  # the name above what it names, where there is no room beside it
                self._facts.addWidget(label, 2 * row, 0, 1, 2)
                self._facts.addWidget(text, 2 * row + 1, 0, 1, 2)
            else:
                self._facts.addWidget(label, row, 0)
                self._facts.addWidget(text, row, 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Facts stand beside their names, or below them."""
        super().resizeEvent(event)
        if self._stacked != (self.width() < _BESIDE_FROM):
            self.show_profile(self._profile, self._snapshot, self._failure, self._last_connected)

    def test(self) -> None:
        """Try the connection step by step."""
        profile = self._profile
        if profile is None or (self._test is not None and not self._test.done()):
            return
        self.test_button.setEnabled(False)
        diagnosis = Diagnosis(profile, self._show_steps)

        async def run() -> None:
            try:
                await diagnosis.run()
            finally:
                self.test_button.setEnabled(True)
            self.copy_button.show()

        self._show_steps(diagnosis.steps)
        self._test = self._context.run(run(), tr("test the connection"))

    def _show_steps(self, steps: Sequence[Step]) -> None:
        self._steps = tuple(steps)
        self.steps.set_steps(self._steps)
        self.steps.setVisible(bool(steps))
        at = next((step for step in reversed(steps) if step.state in (RUNNING, FAILED)), None)
        if at is not None:
            top, bottom = self.steps.span(at.key)
            self._area.ensureVisible(0, self.steps.y() + bottom, 0, min(bottom - top, 80))

    def _clear_test(self) -> None:
        if self._test is not None:
            self._test.cancel()
            self._test = None
        self.test_button.setEnabled(True)
        self._show_steps(())
        self.copy_button.hide()

    def _copy_report(self) -> None:
        if self._profile is not None:
            QGuiApplication.clipboard().setText(report(self._profile, self._steps))
            self._context.notify(tr("The report is on the clipboard. It holds no secrets."), "good")

    def _emit(self, signal: Any) -> None:
        if self._profile is not None:
            signal.emit(self._profile)


def facts(profile: ConnectionProfile, snapshot: ClusterSnapshot | None) -> list[tuple[str, str]]:
    """What there is to say of a connection, without secrets."""
    found = [(tr("Servers"), "\n".join(safe_urls(profile)))]
    environment = ENVIRONMENTS[profile.environment]
    if profile.read_only:
        environment = tr("{environment}, read-only", environment=environment)
    found.append((tr("Environment"), environment))
    if profile.colour:
        found.append((tr("Colour"), colour_words().get(profile.colour, profile.colour)))
    login = profile.credentials
    who = {
        CredentialKind.PASSWORD: login.user,
        CredentialKind.CREDS: login.creds_path,
        CredentialKind.NKEY: login.nkey_path,
        CredentialKind.NSC: login.nsc.removeprefix("nsc://"),
        CredentialKind.MEMPHIS: login.memphis_user,
        CredentialKind.MEMPHIS_TOKEN: login.user,
    }.get(login.kind, "")
    found.append((tr("Login"), f"{KINDS[login.kind]}{f': {who}' if who else ''}"))
    if profile.tls.skip_verify:
        found.append(("TLS", tr("any certificate is accepted: nobody checks who the server is")))
    elif profile.tls != TlsOptions():
        found.append(("TLS", tls_words(profile.tls)))
    if profile.proxy.url:
        proxy = profile.proxy
        found.append(
            (tr("Proxy"), tr("{url}, as {user}", url=proxy.url, user=proxy.user) if proxy.user else proxy.url)
        )
    if profile.system_credentials is not None:
        found.append((tr("System account"), KINDS[profile.system_credentials.kind]))
    if profile.api_prefix != "$JS.API":
        found.append((tr("API prefix"), profile.api_prefix))
    if profile.inbox_prefix:
        found.append((tr("Inbox prefix"), profile.inbox_prefix))
    if profile.tags:
        found.append((tr("Tags"), ", ".join(profile.tags)))
    if profile.origin:
        found.append((tr("Imported from"), profile.origin))
    if snapshot is not None:
        _, word = STATE_WORDS[snapshot.state]
        found.append((tr("State"), f"{word}. {snapshot.detail}" if snapshot.detail else word))
        if snapshot.server is not None:
            server = snapshot.server
            named = server.name and server.name != server.server_id
            if named:
                text = tr("{name}, version {version}", name=server.name, version=server.version)
            else:
                text = tr("version {version}", version=server.version)
            found.append((tr("Server"), text))
            found.append((tr("Round trip"), figures.duration(snapshot.server.rtt_seconds)))
    return found


def tls_words(tls: TlsOptions) -> str:
    """What is set for TLS, in words."""
    words = [
        tr("trusts {ca_path}", ca_path=tls.ca_path) if tls.ca_path else tr("trusts the system's authorities")
    ]
    if tls.cert_path:
        words.append(tr("shows {cert_path}", cert_path=tls.cert_path))
    if tls.server_name:
        words.append(tr("expects {server_name}", server_name=tls.server_name))
    if tls.handshake_first:
        words.append(tr("before the greeting"))
    return ", ".join(words)


def safe_urls(profile: ConnectionProfile) -> list[str]:
    """The URLs without the secrets that may stand in them."""

    return [without_secret(url) for url in profile.urls]
