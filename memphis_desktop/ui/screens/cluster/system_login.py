"""Asking for the system account's login right where it is missed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from PySide6.QtWidgets import QComboBox, QLineEdit, QWidget

from memphis_desktop.cluster import keychain
from memphis_desktop.cluster.profiles import CredentialKind, Credentials, ProfileError
from memphis_desktop.language import tr
from memphis_desktop.ui.components.dialogs import FormDialog
from memphis_desktop.ui.screen import Route, ScreenContext

INTRODUCTION = tr(
    "The system account sees all servers, their links and the inside of Raft, and steers the "
    "meta group. Its login is used beside the one of this connection."
)


class SystemLoginDialog(FormDialog):
    """User and password, or a creds file."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, tr("System account"), tr("Save and connect"), introduction=INTRODUCTION)
        self.kind = QComboBox()
        self.kind.addItem(tr("User and password"), CredentialKind.PASSWORD)
        self.kind.addItem(tr("Creds file"), CredentialKind.CREDS)
        self.kind.addItem(tr("Nkey seed file"), CredentialKind.NKEY)
        self.user = QLineEdit()
        self.password = QLineEdit()
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        self.path = QLineEdit()
        self.path.setProperty("role", "mono")
        self.add_row(tr("Login"), self.kind)
        self.add_row(tr("User"), self.user)
        self.add_row(tr("Password"), self.password)
        self.add_row(tr("File"), self.path, tr("Read at each connection, never copied."))
        self.add_validator(self._check)
        self.kind.currentIndexChanged.connect(self._choose)
        self._choose()

    def _choose(self) -> None:
        named = self.kind.currentData() is CredentialKind.PASSWORD
        for field in (self.user, self.password):
            self.form.setRowVisible(field, named)
        cell = self.path.parentWidget()  # the field with its help
        if cell is not None:
            self.form.setRowVisible(cell, not named)

    def _check(self) -> str:
        if self.kind.currentData() is CredentialKind.PASSWORD:
            return "" if self.user.text().strip() else tr("Enter the user.")
        return "" if self.path.text().strip() else tr("Enter the path of the file.")

    def credentials(self) -> Credentials:
        """What was entered."""
        kind: CredentialKind = self.kind.currentData()
        if kind is CredentialKind.PASSWORD:
            return Credentials(kind=kind, user=self.user.text().strip(), password=self.password.text())
        path = self.path.text().strip()
        if kind is CredentialKind.CREDS:
            return Credentials(kind=kind, creds_path=path)
        return Credentials(kind=kind, nkey_path=path)


async def ask_for_system_login(context: ScreenContext, parent: QWidget, route_name: str = "cluster") -> None:
    """Ask, keep it in the connection, connect anew with it, and show that screen again."""
    dialog = SystemLoginDialog(parent)
    if not await dialog.ask():
        return
    profile = replace(context.session.profile, system_credentials=dialog.credentials())
    try:
        if any(known.id == profile.id for known in context.shell.profiles.load()):
            context.shell.profiles.put(await asyncio.to_thread(keychain.put_away, profile))
    except ProfileError as error:
        context.notify(str(error), "bad")
        return
    await context.shell.open_profile(profile, Route(route_name))
