"""Describing a schema registry, and trying it before it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

from PySide6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLineEdit, QPushButton, QWidget
from shiboken6 import isValid

from memphis_desktop.cluster import keychain
from memphis_desktop.inspect.registry import RegistryClient, RegistryError, RegistrySource
from memphis_desktop.inspect.registry.source import BASIC, BEARER, NONE
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.dialogs import FormDialog
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.decoders.masking import mono_field
from memphis_desktop.ui.screens.home.login_fields import PathField, secret_field, secret_value

LOGINS = {NONE: tr("None"), BASIC: tr("User and password, or API key and secret"), BEARER: tr("Token")}


class RegistryDialog(FormDialog):
    """Address, login, certificates."""

    def __init__(
        self,
        parent: QWidget | None,
        context: ScreenContext,
        source: RegistrySource | None = None,
        taken: Sequence[str] = (),
    ) -> None:
        super().__init__(parent, tr("Schema registry"), tr("Save registry"), width=580)
        self._context = context
        self._taken = taken
        before = source or RegistrySource("", "")
        self.name_field = QLineEdit(before.name)
        self.url_field = mono_field(before.url, "https://registry.example.com:8081")
        self.login_box = QComboBox()
        for login, title in LOGINS.items():
            self.login_box.addItem(title, login)
        self.login_box.setCurrentIndex(list(LOGINS).index(before.login) if before.login in LOGINS else 0)
        self.user_field = QLineEdit(before.user)
        self.secret_field = secret_field(tr("Password or token"), before.secret)
        self.ca_field = PathField(
            tr("Certificates to trust"), tr("PEM files (*.pem *.crt *.cer);;All files (*)")
        )
        self.ca_field.line.setText(before.ca_file)
        self.ca_field.line.setPlaceholderText(tr("those of the system"))
        self.automatic_check = QCheckBox(tr("Read every payload that begins with a schema's id"))
        self.automatic_check.setChecked(before.automatic)
        self.test_button = QPushButton(tr("Test"))
        self.test_button.setAutoDefault(False)
        self.test_button.clicked.connect(self.test)
        self.test_note = PlainLabel("", "caption", wrap=True)
        test = QWidget()
        line = QHBoxLayout(test)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(theme.SPACE_3)
        line.addWidget(self.test_button)
        line.addWidget(self.test_note, 1)
        self.add_row(tr("Name"), self.name_field)
        self.add_row(
            tr("Address"), self.url_field, tr("Confluent's API: Confluent, Redpanda, Karapace, Apicurio.")
        )
        self.add_row(tr("Login"), self.login_box)
        self.add_row(tr("User"), self.user_field)
        where = tr("the system's keychain") if keychain.available() else tr("a file that only you can read")
        self.add_row(
            tr("Secret"),
            self.secret_field,
            tr("Kept in {where}; env:// and file:// are looked up.", where=where),
        )
        self.add_row(tr("Certificates"), self.ca_field)
        self.add_row(
            tr("Automatic"), self.automatic_check,
            tr("A zero byte and four of the id; rules come first. The registry is asked once for each id."),
        )  # fmt: skip
        self.add_row("", test)
        self.login_box.currentIndexChanged.connect(lambda _: self._login_changed())
        self.add_validator(self.problem)
        self._login_changed()

    def _login_changed(self) -> None:
        login = self.login_box.currentData()
        self.form.setRowVisible(self.user_field, login == BASIC)
        self.form.setRowVisible(self._secret_row(), login != NONE)
        self.fit()

    def _secret_row(self) -> QWidget:
        row = self.secret_field.parentWidget()
        return row if row is not None and self.form.indexOf(row) >= 0 else self.secret_field

    def source(self) -> RegistrySource:
        """What was described; the secret as it was typed, or the reference to it."""
        login = str(self.login_box.currentData())
        return RegistrySource(
            self.name_field.text().strip(),
            self.url_field.text().strip().rstrip("/"),
            login,
            self.user_field.text().strip() if login == BASIC else "",
            secret_value(self.secret_field) if login != NONE else "",
            self.ca_field.line.text().strip(),
            self.automatic_check.isChecked(),
        )

    def problem(self) -> str:
        """Why it cannot be kept, or nothing."""
        source = self.source()
        problem = source.problem()
        if not problem and source.name in self._taken:
            problem = tr("There is a registry {name} already", name=source.name)
        return f"{problem}." if problem else ""

    def test(self) -> None:
        """Ask for the subjects with what is typed."""
        problem = self.problem()
        if problem:
            self.show_error(problem)
            return
        self.show_error("")
        self.test_button.setEnabled(False)
        self._say(tr("Asking"), "caption")
        self._context.run(self._test(self.source()), tr("test the registry"))

    async def _test(self, source: RegistrySource) -> None:
        try:
            subjects = await asyncio.to_thread(RegistryClient(source).subjects)
        except RegistryError as error:
            text, role = f"{error}.", "bad"
        else:
            text, role = (
                tr_count(
                    "It answers: {count} subject.",
                    "It answers: {count} subjects.",
                    len(subjects),
                    count=figures.integer(len(subjects)),
                ),
                "good",
            )
        if isValid(self):
            self.test_button.setEnabled(True)
            self._say(text, role)

    def _say(self, text: str, role: str) -> None:
        self.test_note.setText(text)
        self.test_note.setRole(role)


async def put_away(source: RegistrySource) -> RegistrySource:
    """Return a source with its secret in the keychain, where there is one.

    Raises:
        KeychainError: the keychain refused.
    """
    if not source.secret or source.secret.startswith((keychain.SCHEME, "env://", "file://")):
        return source
    if not await asyncio.to_thread(keychain.available):
        return source
    name = f"schema-registry/{uuid4().hex}"
    return replace(source, secret=await asyncio.to_thread(keychain.keep, name, source.secret))
