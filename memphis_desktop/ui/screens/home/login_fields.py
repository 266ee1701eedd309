"""The fields of a login: its kind, and what that kind needs; paths and secrets as fields of their own."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.cluster import keychain, nsc
from memphis_desktop.cluster.profiles import CredentialKind, Credentials
from memphis_desktop.language import tr
from memphis_desktop.ui.components.dialogs import add_form_row, form_layout
from memphis_desktop.ui.theme.icons import icon

KINDS = {
    CredentialKind.NONE: tr("No login"),
    CredentialKind.PASSWORD: tr("User and password"),
    CredentialKind.TOKEN: tr("Token"),
    CredentialKind.CREDS: tr("Credentials file (.creds)"),
    CredentialKind.NKEY: tr("NKey seed"),
    CredentialKind.JWT: tr("JWT and seed"),
    CredentialKind.NSC: tr("User of an nsc store"),
    CredentialKind.MEMPHIS: tr("Memphis user"),
    CredentialKind.MEMPHIS_TOKEN: tr("Memphis connection token"),
}
MEMPHIS_KINDS = (CredentialKind.MEMPHIS, CredentialKind.MEMPHIS_TOKEN)


def tipped(field: QWidget, text: str) -> QWidget:
    """Give a field its tooltip; returns it."""
    field.setToolTip(text)
    return field


class PathField(QWidget):
    """A path with a button that chooses it, and room for a file to be dropped."""

    def __init__(self, title: str, pattern: str) -> None:
        super().__init__()
        self._title, self._pattern = title, pattern
        self.line = QLineEdit()
        self.line.setProperty("role", "mono")
        self.line.setAccessibleName(title)
        choose = QToolButton()
        choose.setIcon(icon("folder-open", "muted"))
        choose.setIconSize(QSize(18, 18))
        choose.setToolTip(tr("Choose a file"))
        choose.setAccessibleName(tr("Choose a file: {title}", title=title))
        choose.clicked.connect(self._choose)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.line, 1)
        layout.addWidget(choose)
        self.setFocusProxy(self.line)

    def text(self) -> str:
        """The path."""
        return self.line.text().strip()

    def _choose(self) -> None:
        folder = str(Path(self.text()).expanduser().parent) if self.text() else str(Path.home())
        dialog = QFileDialog(self, self._title, folder, self._pattern)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.line.setText)
        dialog.open()


def secret_field(name: str, value: str) -> QLineEdit:
    """A covered field. A secret in the keychain shows as such and is kept unless it is replaced."""
    field = QLineEdit(value)
    field.setAccessibleName(name)
    if value.startswith(keychain.SCHEME):
        field.setText("")
        field.setPlaceholderText(tr("kept in the keychain; type to replace it"))
        field.setProperty("kept", value)
    if not value.startswith(("env://", "file://")):
        field.setEchoMode(QLineEdit.EchoMode.Password)
    return field


def secret_value(field: QLineEdit) -> str:
    """What a covered field stands for."""
    return field.text() or str(field.property("kept") or "")


def secret_help() -> str:
    """What is said below fields of secrets."""
    return tr("env://NAME or file://path are taken as references and resolved at each connection.")


class CredentialsFields(QWidget):
    """The kind of login, and the fields of that kind. `kinds` are those to choose from, by default all."""

    resized = Signal()  # another kind was chosen, which needs more room or less

    def __init__(self, credentials: Credentials, kinds: Collection[CredentialKind] = tuple(KINDS)) -> None:
        super().__init__()
        self.kind = QComboBox()
        self.kind.setAccessibleName(tr("Kind of login"))
        self.kind.setToolTip(
            tr("How the server's authorization, its accounts or its account resolver know this client.")
        )
        for kind, title in KINDS.items():
            if kind in kinds or kind is credentials.kind:
                self.kind.addItem(title, kind)
        self._make_fields(credentials)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._forms: dict[CredentialKind, QWidget] = {}
        self._pages = QStackedWidget()
        self._build_pages()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.kind)
        layout.addWidget(self._pages)
        self.kind.currentIndexChanged.connect(self._choose)
        self.kind.setCurrentIndex(self.kind.findData(credentials.kind))
        self._choose()
        self.setFocusProxy(self.kind)

    def _make_fields(self, credentials: Credentials) -> None:
        memphis = credentials.kind in MEMPHIS_KINDS
        self.user = QLineEdit("" if memphis else credentials.user)
        self.password = secret_field(tr("Password"), "" if memphis else credentials.password)
        self.token = secret_field(tr("Token"), "" if memphis else credentials.token)
        self.creds_path = PathField(tr("Credentials file"), tr("Credentials (*.creds);;All files (*)"))
        self.creds_path.line.setText(credentials.creds_path)
        self.nkey_path = PathField(tr("Seed file"), tr("Seeds (*.nk *.seed);;All files (*)"))
        self.nkey_path.line.setText(credentials.nkey_path)
        self.nkey_seed = secret_field(tr("Seed"), credentials.nkey_seed)
        self.jwt = secret_field(tr("JWT"), credentials.user_jwt)
        self.seed = secret_field(tr("Seed"), credentials.user_seed)
        self.nsc = QComboBox()
        self.nsc.setEditable(True)
        line = self.nsc.lineEdit()
        assert line is not None
        line.setPlaceholderText("nsc://operator/account/user")
        self.nsc.setCurrentText(credentials.nsc)
        self.nsc.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.memphis_user = QLineEdit(credentials.user if memphis else "")
        self.memphis_password = secret_field(tr("Password"), credentials.password if memphis else "")
        self.account = QLineEdit(credentials.account_id)
        self.account.setPlaceholderText("1")
        self.token_user = QLineEdit(credentials.user if memphis else "")
        self.connection_token = secret_field(tr("Connection token"), credentials.token if memphis else "")
        for field, text in (
            (self.user, tr("A user of the server's authorization or accounts block.")),
            (
                self.password,
                tr("Goes to the server in CONNECT; over plain nats:// anybody on the way reads it."),
            ),
            (self.token, tr("The token of the server's authorization block.")),
            (
                self.creds_path,
                tr("The user JWT and its NKey seed in one file, as nsc generate creds makes it."),
            ),
            (
                self.nkey_path,
                tr(
                    "A user's NKey seed, which begins with SU. The server knows the public key and has a"
                    " nonce signed; the seed stays on this machine."
                ),
            ),
            (self.nkey_seed, tr("A user's NKey seed, which begins with SU.")),
            (self.jwt, tr("The user JWT, signed by the account's key.")),
            (self.seed, tr("The NKey seed of the user whom the JWT names.")),
            (
                self.nsc,
                tr("Operator, account and user of an nsc store on this machine; its creds file logs in."),
            ),
            (self.memphis_user, tr("A Memphis user of type root or application.")),
            (self.memphis_password, tr("The Memphis user's password.")),
            (self.account, tr("The number of the Memphis account: 1 on a broker without tenants.")),
            (self.token_user, tr("The Memphis user the token is used as.")),
            (self.connection_token, tr("The broker's connection token, where it does not check passwords.")),
        ):
            field.setToolTip(text)

    def show_login(self, credentials: Credentials) -> None:
        """Fill in a login by user and password, or by token."""
        self.user.setText(credentials.user)
        self.password.setText(credentials.password)
        self.token.setText(credentials.token)
        self.kind.setCurrentIndex(self.kind.findData(credentials.kind))

    def _build_pages(self) -> None:
        kind, help_text = CredentialKind, secret_help()
        self._build_page(kind.NONE)
        self._build_page(
            kind.PASSWORD, (tr("User"), self.user, ""), (tr("Password"), self.password, help_text)
        )
        self._build_page(kind.TOKEN, (tr("Token"), self.token, help_text))
        self._build_page(
            kind.CREDS,
            (tr("File"), self.creds_path, tr("The file is read at each connection, never copied.")),
        )
        self._build_page(
            kind.NKEY,
            (tr("Seed file"), self.nkey_path, tr("Or the seed itself:")),
            (tr("Seed"), self.nkey_seed, ""),
        )
        self._build_page(kind.JWT, (tr("JWT"), self.jwt, ""), (tr("Seed"), self.seed, help_text))
        self._build_page(
            kind.NSC, (tr("User"), self.nsc, tr("Its creds file is looked up and read at each connection."))
        )
        self._build_page(
            kind.MEMPHIS,
            (tr("User"), self.memphis_user, ""),
            (tr("Password"), self.memphis_password, help_text),
            (tr("Account id"), self.account, ""),
        )
        self._build_page(
            kind.MEMPHIS_TOKEN,
            (tr("User"), self.token_user, ""),
            (tr("Token"), self.connection_token, help_text),
        )

    def _build_page(self, kind: CredentialKind, *rows: tuple[str, QWidget, str]) -> None:
        page = QWidget()
        form = form_layout()
        for label, field, help_text in rows:
            add_form_row(form, label, field, help_text)
        page.setLayout(form)
        self._forms[kind] = page
        self._pages.addWidget(page)

    def _choose(self) -> None:
        kind = self.kind.currentData()
        page = self._forms[kind]
        if kind is CredentialKind.NSC and not self.nsc.count():
            self._find_users()
        self._pages.setCurrentWidget(page)
        self._pages.setFixedHeight(page.sizeHint().height())
        self._pages.setVisible(kind is not CredentialKind.NONE)
        self.resized.emit()

    def _find_users(self) -> None:
        """Offer the users that are on this machine; the text that is there stays."""
        kept = self.nsc.currentText()
        self.nsc.addItems([user.reference for user in nsc.find_users()])
        self.nsc.setCurrentText(kept or self.nsc.itemText(0))

    def credentials(self) -> Credentials:
        """What is entered; fields of other kinds are dropped."""
        kind: CredentialKind = self.kind.currentData()
        match kind:
            case CredentialKind.PASSWORD:
                return Credentials(kind, user=self.user.text(), password=secret_value(self.password))
            case CredentialKind.TOKEN:
                return Credentials(kind, token=secret_value(self.token))
            case CredentialKind.CREDS:
                return Credentials(kind, creds_path=self.creds_path.text())
            case CredentialKind.NKEY:
                return Credentials(
                    kind, nkey_path=self.nkey_path.text(), nkey_seed=secret_value(self.nkey_seed)
                )
            case CredentialKind.JWT:
                return Credentials(kind, user_jwt=secret_value(self.jwt), user_seed=secret_value(self.seed))
            case CredentialKind.NSC:
                return Credentials(kind, nsc=self.nsc.currentText().strip())
            case CredentialKind.MEMPHIS:
                return Credentials(
                    kind,
                    user=self.memphis_user.text().strip(),
                    password=secret_value(self.memphis_password),
                    account_id=self.account.text().strip(),
                )
            case CredentialKind.MEMPHIS_TOKEN:
                return Credentials(
                    kind,
                    user=self.token_user.text().strip(),
                    token=secret_value(self.connection_token),
                )
        return Credentials()

    def problem(self) -> str:
        """What is missing, in a sentence; empty when nothing is."""
        entered = self.credentials()
        match entered.kind:
            case CredentialKind.PASSWORD | CredentialKind.MEMPHIS | CredentialKind.MEMPHIS_TOKEN if (
                not entered.user
            ):
                return tr("Enter the user's name.")
            case CredentialKind.TOKEN | CredentialKind.MEMPHIS_TOKEN if not entered.token:
                return tr("Enter the token.")
            case CredentialKind.CREDS if not entered.creds_path:
                return tr("Choose the credentials file.")
            case CredentialKind.NKEY if not (entered.nkey_path or entered.nkey_seed):
                return tr("Choose the seed's file.")
            case CredentialKind.JWT if not (entered.user_jwt and entered.user_seed):
                return tr("Enter the JWT and its seed.")
            case CredentialKind.NSC if entered.nsc.count("/") != 4:
                return tr("Write the user as nsc://operator/account/user.")
            case CredentialKind.MEMPHIS if entered.account_id and not entered.account_id.isdecimal():
                return tr("The account id is a number.")
        return ""
