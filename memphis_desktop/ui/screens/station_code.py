"""“Connect your code”: programs that publish to a station or consume from it, to copy."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from memphis_desktop.cluster.nsc import find_user
from memphis_desktop.cluster.profiles import ConnectionProfile, CredentialKind, without_secret
from memphis_desktop.inspect.client_code import LANGUAGES, CodeTarget, program, subject_of
from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.dialogs import Dialog
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.segments import Segments
from memphis_desktop.ui.screen import ScreenContext

_NEW_GROUP = "my-group"
_EXAMPLE = "orders"  # the station of the programs where there is none yet


class StationCode(QWidget):
    """A language, publish or consume, the group, and the program.

    Args:
        context: Of the screen; its connection's address and login are in the programs.
        group: The one group that consumes; empty offers a new one and those that there are.
    """

    def __init__(self, context: ScreenContext, group: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._group = group
        self._stream = ""
        self._config: Mapping[str, Any] | None = None
        self.languages = Segments([(name, name) for name in LANGUAGES])
        self.languages.set_choice(next(iter(LANGUAGES)))
        self.directions = Segments([("publish", tr("Publish")), ("consume", tr("Consume"))])
        self.directions.set_choice("consume" if group else "publish")
        self.directions.setVisible(not group)
        self.groups = QComboBox()
        self.groups.setAccessibleName(tr("Group"))
        self.groups.addItem(tr("{group}, made anew", group=_NEW_GROUP), "")
        self.groups.currentIndexChanged.connect(self.show_code)
        for segments in (self.languages, self.directions):
            segments.chosen.connect(lambda _: self.show_code())
        self.code = CodeBlock(lines=0)
        self.note = PlainLabel("", "caption", wrap=True)
        line = QHBoxLayout()
        line.setSpacing(theme.SPACE_3)
        line.addWidget(self.languages)
        line.addWidget(self.directions)
        line.addWidget(self.groups)
        line.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_3)
        layout.addLayout(line)
        layout.addWidget(self.code, 1)
        layout.addWidget(self.note)

    def set_group(self, group: str) -> None:
        """Another one group that consumes."""
        self._group = group
        self.directions.set_choice("consume" if group else "publish")
        self.directions.setVisible(not group)

    def show_station(self, stream: str, config: Mapping[str, Any], groups: Sequence[str] = ()) -> None:
        """Show the programs of a station; `groups` are those that can be chosen."""
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
        publish = self.directions.choice() == "publish"
        self.groups.setVisible(not publish and not self._group)
        target = self._target(self._config)
        if publish and not target.subject:
            text = f"# {self._stream} takes messages from other streams only: nothing is published to it.\n"
        else:
            text = program(self.languages.choice(), target, publish=publish)
        if text != self.code.text():
            self.code.set_text(text)
        if target.user:
            self.note.setText(tr("Put the password in its place."))
        else:
            self.note.setText(tr("Put the token in its place.") if target.token else "")

    def _target(self, config: Mapping[str, Any]) -> CodeTarget:
        profile = self._context.session.profile
        group = self._group or self.groups.currentData()
        return CodeTarget(
            ",".join(without_secret(url) for url in profile.urls),
            self._stream,
            subject_of(config),
            group or _NEW_GROUP,
            not group,
            **_login(profile),
        )


class StationCodeDialog(Dialog):
    """The same in a window of its own, for a connection that has no station yet."""

    def __init__(self, parent: QWidget, context: ScreenContext) -> None:
        super().__init__(parent, tr("Connect your code"), tr("Close"), width=760)
        subjects = f"{_EXAMPLE}.>"
        self.view = StationCode(context)
        self.view.code.setMinimumHeight(280)
        self.view.show_station(_EXAMPLE, {"subjects": [subjects]})
        make = ["nats", "stream", "add", _EXAMPLE, f"--subjects={subjects}", "--defaults"]
        self.command = CodeBlock(shlex.join(make), lines=2)
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
