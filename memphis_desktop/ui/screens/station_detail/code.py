"""“Connect your code”: programs that publish to the station or consume from it, to copy."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from memphis_desktop.cluster.model import ClusterSnapshot, StreamSnapshot
from memphis_desktop.cluster.nsc import find_user
from memphis_desktop.cluster.profiles import ConnectionProfile, CredentialKind, without_secret
from memphis_desktop.inspect.client_code import LANGUAGES, CodeTarget, program, subject_of
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.segments import Segments
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.station_actions import StationActions
from memphis_desktop.ui.screens.station_detail.tab import StationTab

_NEW_GROUP = "my-group"


class CodeTab(StationTab):
    """A language, publish or consume, the group, and the program."""

    key = "code"
    title = "Code"

    def __init__(
        self, context: ScreenContext, actions: StationActions, stream: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(context, actions, stream, parent)
        self._snapshot: StreamSnapshot | None = None
        self.languages = Segments([(name, name) for name in LANGUAGES])
        self.languages.set_choice(next(iter(LANGUAGES)))
        self.directions = Segments([("publish", "Publish"), ("consume", "Consume")])
        self.directions.set_choice("publish")
        self.groups = QComboBox()
        self.groups.setAccessibleName("Group")
        self.groups.addItem(f"{_NEW_GROUP}, made anew", "")
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
        layout.setContentsMargins(0, theme.SPACE_4, 0, 0)
        layout.setSpacing(theme.SPACE_3)
        layout.addLayout(line)
        layout.addWidget(self.code, 1)
        layout.addWidget(self.note)

    def show_station(self, stream: StreamSnapshot, snapshot: ClusterSnapshot) -> None:
        """Follow the station's groups and subjects."""
        self._snapshot = stream
        names = sorted(
            consumer.name
            for consumer in snapshot.consumers.values()
            if consumer.stream == stream.name and consumer.is_pull and consumer.is_durable
        )
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
        if self._snapshot is None:
            return
        publish = self.directions.choice() == "publish"
        self.groups.setVisible(not publish)
        target = self._target(self._snapshot)
        if publish and not target.subject:
            text = f"# {self.stream} takes messages from other streams only: nothing is published to it.\n"
        else:
            text = program(self.languages.choice(), target, publish=publish)
        if text != self.code.text():
            self.code.set_text(text)
        secret = "password" if target.user else "token" if target.token else ""
        self.note.setText(f"Put the {secret} in its place." if secret else "")

    def _target(self, stream: StreamSnapshot) -> CodeTarget:
        profile = self.context.session.profile
        return CodeTarget(
            ",".join(without_secret(url) for url in profile.urls),
            stream.name,
            subject_of(stream.config),
            self.groups.currentData() or _NEW_GROUP,
            not self.groups.currentData(),
            **_login(profile),
        )


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
