"""“Connect your code”: programs that publish to a station or consume from it, to copy."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QComboBox, QPushButton, QVBoxLayout, QWidget

from memphis_desktop.cluster.connection import resolve
from memphis_desktop.cluster.failures import ConnectionFailure
from memphis_desktop.cluster.nsc import find_user
from memphis_desktop.cluster.profiles import ConnectionProfile, CredentialKind, without_secret
from memphis_desktop.inspect.client_code import (
    CONSUME,
    KEY_VALUE,
    LANGUAGES,
    PUBLISH,
    CodeTarget,
    bucket_of,
    program,
    subject_of,
)
from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.dialogs import Dialog
from memphis_desktop.ui.components.flow_layout import FlowLayout
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.segments import Segments
from memphis_desktop.ui.screen import ScreenContext

_NEW_GROUP = "my-group"
_EXAMPLE_BUCKET = "settings"
_EXAMPLE = "orders"  # the station of the programs where there is none yet


class LanguageBox(QComboBox):
    """The language of the programs."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName(tr("Language"))
        self.addItems(list(LANGUAGES))

    def set_choice(self, name: str) -> None:
        """Choose a language."""
        self.setCurrentText(name)

    def choice(self) -> str:
        """The language that is chosen."""
        return self.currentText()


class StationCode(QWidget):
    """A language, what to do (publish, consume, use the bucket), the group, and the program.

    Args:
        context: Of the screen; its connection's address and login are in the programs.
        profile: The connection, where the screen has none or means another.
        group: The one group that consumes; empty offers a new one and those that there are.
    """

    def __init__(
        self,
        context: ScreenContext,
        group: str = "",
        parent: QWidget | None = None,
        *,
        profile: ConnectionProfile | None = None,
    ) -> None:
        super().__init__(parent)
        self._context = context
        self._given_profile = profile
        self._group = group
        self._stream = ""
        self._bucket = ""
        self._config: Mapping[str, Any] | None = None
        self.languages = LanguageBox()
        self.directions = Segments(
            [(PUBLISH, tr("Publish")), (CONSUME, tr("Consume")), (KEY_VALUE, tr("Key-value"))]
        )
        self.directions.set_choice(CONSUME if group else PUBLISH)
        self.directions.setVisible(not group)
        self.groups = QComboBox()
        self.groups.setAccessibleName(tr("Group"))
        self.groups.addItem(tr("{group}, made anew", group=_NEW_GROUP), "")
        self.groups.currentIndexChanged.connect(self.show_code)
        self.languages.currentIndexChanged.connect(self.show_code)
        self.directions.chosen.connect(lambda _: self.show_code())
        self.secret_button = QPushButton(tr("Copy with the secret"))
        self.secret_button.setToolTip(tr("Copies the program with the connection's password or token in it."))
        self.secret_button.clicked.connect(
            lambda: context.run(self._copy_with_secret(), tr("copy the program"))
        )
        self.code = CodeBlock(lines=0)
        self.note = PlainLabel("", "caption", wrap=True)
        line = FlowLayout(spacing=theme.SPACE_3)
        for widget in (self.languages, self.directions, self.groups, self.secret_button):
            line.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_3)
        layout.addLayout(line)
        layout.addWidget(self.code, 1)
        layout.addWidget(self.note)

    @property
    def _profile(self) -> ConnectionProfile:
        return self._given_profile or self._context.session.profile

    def set_group(self, group: str) -> None:
        """Another one group that consumes."""
        self._group = group
        self.directions.set_choice("consume" if group else "publish")
        self.directions.setVisible(not group)

    def show_station(
        self, stream: str, config: Mapping[str, Any], groups: Sequence[str] = (), *, bucket: str = ""
    ) -> None:
        """Show the programs of a station; `groups` are those that can be chosen.

        What is done with a bucket is shown for the stream of one, or for `bucket`.
        """
        if stream != self._stream:
            held = bucket_of(stream)
            self._bucket = held or bucket
            self.directions._buttons[KEY_VALUE].setVisible(bool(self._bucket))
            if held and not self._group:
                self.directions.set_choice(KEY_VALUE)
            elif self.directions.choice() == KEY_VALUE:
                self.directions.set_choice(PUBLISH)
        self._stream, self._config = stream, config
        names = sorted(groups)
        if names != [self.groups.itemData(index) for index in range(1, self.groups.count())]:
            chosen = self.groups.currentData()
            self.groups.blockSignals(True)
            while self.groups.count() > 1:
                self.groups.removeItem(1)
            for name in names:
                self.groups.addItem(name, name)
            self.groups.setCurrentIndex(max(0, self.groups.findData(chosen)) if chosen else 0)
            self.groups.blockSignals(False)
        self.show_code()

    def show_code(self) -> None:
        """Write the program that is chosen."""
        if self._config is None:
            return
        what = self.directions.choice()
        self.groups.setVisible(what == CONSUME and not self._group)
        target = self._target(self._config)
        self.secret_button.setVisible(bool(target.user or target.token))
        text = self._program(target)
        if text != self.code.text():
            self.code.set_text(text)
        if target.user:
            self.note.setText(tr("Put the password in its place."))
        else:
            self.note.setText(tr("Put the token in its place.") if target.token else "")
        self.note.setVisible(bool(target.user or target.token))

    def _program(self, target: CodeTarget) -> str:
        what = self.directions.choice()
        if what == PUBLISH and not target.subject:
            return f"# {self._stream} takes messages from other streams only: nothing is published to it.\n"
        return program(self.languages.choice(), target, what)

    async def _copy_with_secret(self) -> None:
        """Put the program on the clipboard with the secret, which is not shown."""
        if self._config is None:
            return
        try:
            secret = await asyncio.to_thread(_secret, self._profile)
        except ConnectionFailure as failure:
            self._context.notify(str(failure), "bad")
            return
        target = replace(self._target(self._config), secret=secret)
        QGuiApplication.clipboard().setText(self._program(target))
        self._context.notify(tr("The program is on the clipboard, with the secret in it."), "warning")

    def _target(self, config: Mapping[str, Any]) -> CodeTarget:
        profile = self._profile
        group = self._group or self.groups.currentData()
        return CodeTarget(
            ",".join(without_secret(url) for url in profile.urls),
            self._stream,
            subject_of(config),
            group or _NEW_GROUP,
            not group,
            bucket=self._bucket,
            **_login(profile),
        )


class StationCodeDialog(Dialog):
    """The same in a window of its own, for a connection that has no station yet."""

    def __init__(
        self, parent: QWidget, context: ScreenContext, profile: ConnectionProfile | None = None
    ) -> None:
        super().__init__(parent, tr("Connect your code"), tr("Close"), width=760)
        subjects = f"{_EXAMPLE}.>"
        self.view = StationCode(context, profile=profile)
        self.view.code.setMinimumHeight(280)
        self.view.show_station(_EXAMPLE, {"subjects": [subjects]}, bucket=_EXAMPLE_BUCKET)
        make = ["nats", "stream", "add", _EXAMPLE, f"--subjects={subjects}", "--defaults"]
        bucket = ["nats", "kv", "add", _EXAMPLE_BUCKET]
        self.command = CodeBlock(f"{shlex.join(make)}\n{shlex.join(bucket)}", lines=2)
        self.body.addWidget(
            PlainLabel(
                tr("These programs use a station named {name}. Make it first, here or so:", name=_EXAMPLE),
                "muted",
                wrap=True,
            )
        )
        self.body.addWidget(self.command)
        self.body.addWidget(self.view, 1)
        self.cancel_button.hide()


def _secret(profile: ConnectionProfile) -> str:
    """The password or token of a connection; may ask the keychain, so in a thread."""
    login = profile.credentials
    match login.kind:
        case CredentialKind.PASSWORD | CredentialKind.MEMPHIS:
            return resolve(login.password)
        case CredentialKind.TOKEN:
            return resolve(login.token)
        case CredentialKind.MEMPHIS_TOKEN:
            return f"{login.user}::{resolve(login.token)}"
    return ""


def _login(profile: ConnectionProfile) -> dict[str, Any]:
    """How a program logs in as this connection does; secrets stay here."""
    login = profile.credentials
    match login.kind:
        case CredentialKind.PASSWORD:
            return {"user": login.user}
        case CredentialKind.MEMPHIS:
            return {"user": login.memphis_user}
        case CredentialKind.NSC:
            user = find_user(login.nsc)
            return {"creds": user.creds_path if user is not None else "user.creds"}
        case CredentialKind.TOKEN | CredentialKind.MEMPHIS_TOKEN:
            return {"token": True}
        case CredentialKind.CREDS:
            return {"creds": login.creds_path}
        case CredentialKind.NKEY:
            return {"nkey": login.nkey_path or "user.nk"}
        case CredentialKind.JWT:
            return {"creds": "user.creds"}
    return {}
