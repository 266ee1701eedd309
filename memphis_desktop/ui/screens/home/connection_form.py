"""The form of a connection: where, who, how carefully."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QSize
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.cluster import keychain
from memphis_desktop.cluster.profiles import (
    ConnectionProfile,
    CredentialKind,
    Credentials,
    Environment,
    ProfileError,
    ProfileStore,
    TlsOptions,
)
from memphis_desktop.ui import settings
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.dialogs import Disclosure, FormDialog, add_form_row, form_layout
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.shell import setting_keys
from memphis_desktop.ui.theme.icons import icon

ENVIRONMENTS = {
    Environment.LOCAL: "Local",
    Environment.DEVELOPMENT: "Development",
    Environment.STAGING: "Staging",
    Environment.PRODUCTION: "Production",
}
KINDS = {
    CredentialKind.NONE: "No login",
    CredentialKind.PASSWORD: "User and password",
    CredentialKind.TOKEN: "Token",
    CredentialKind.CREDS: "Credentials file (.creds)",
    CredentialKind.NKEY: "NKey seed",
    CredentialKind.JWT: "JWT and seed",
}
UNVERIFIED = (
    "Whoever sits between here and the server can pose as the server, read everything and change everything."
    " Name the authority's file instead."
)
_SECRET_HELP = "env://NAME or file://path are taken as references and resolved at each connection."


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
        choose.setToolTip("Choose a file")
        choose.setAccessibleName(f"Choose a file: {title}")
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
        field.setPlaceholderText("kept in the keychain; type to replace it")
        field.setProperty("kept", value)
    if not value.startswith(("env://", "file://")):
        field.setEchoMode(QLineEdit.EchoMode.Password)
    return field


def secret_value(field: QLineEdit) -> str:
    """What a covered field stands for."""
    return field.text() or str(field.property("kept") or "")


class CredentialsFields(QWidget):
    """The kind of login, and the fields of that kind."""

    def __init__(self, credentials: Credentials) -> None:
        super().__init__()
        self.kind = QComboBox()
        self.kind.setAccessibleName("Kind of login")
        for kind, title in KINDS.items():
            self.kind.addItem(title, kind)
        self.user = QLineEdit(credentials.user)
        self.password = secret_field("Password", credentials.password)
        self.token = secret_field("Token", credentials.token)
        self.creds_path = PathField("Credentials file", "Credentials (*.creds);;All files (*)")
        self.creds_path.line.setText(credentials.creds_path)
        self.nkey_path = PathField("Seed file", "Seeds (*.nk *.seed);;All files (*)")
        self.nkey_path.line.setText(credentials.nkey_path)
        self.nkey_seed = secret_field("Seed", credentials.nkey_seed)
        self.jwt = secret_field("JWT", credentials.user_jwt)
        self.seed = secret_field("Seed", credentials.user_seed)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._forms: dict[CredentialKind, QWidget] = {}
        self._pages = QStackedWidget()
        self._build_page(CredentialKind.NONE)
        self._build_page(
            CredentialKind.PASSWORD, ("User", self.user, ""), ("Password", self.password, _SECRET_HELP)
        )
        self._build_page(CredentialKind.TOKEN, ("Token", self.token, _SECRET_HELP))
        self._build_page(
            CredentialKind.CREDS,
            ("File", self.creds_path, "The file is read at each connection, never copied."),
        )
        self._build_page(
            CredentialKind.NKEY,
            ("Seed file", self.nkey_path, "Or the seed itself:"),
            ("Seed", self.nkey_seed, ""),
        )
        self._build_page(CredentialKind.JWT, ("JWT", self.jwt, ""), ("Seed", self.seed, _SECRET_HELP))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.kind)
        layout.addWidget(self._pages)
        self.kind.currentIndexChanged.connect(self._choose)
        self.kind.setCurrentIndex(list(KINDS).index(credentials.kind))
        self._choose()
        self.setFocusProxy(self.kind)

    def _build_page(self, kind: CredentialKind, *rows: tuple[str, QWidget, str]) -> None:
        page = QWidget()
        form = form_layout()
        for label, field, help_text in rows:
            add_form_row(form, label, field, help_text)
        page.setLayout(form)
        self._forms[kind] = page
        self._pages.addWidget(page)

    def _choose(self) -> None:
        page = self._forms[self.kind.currentData()]
        self._pages.setCurrentWidget(page)
        self._pages.setFixedHeight(page.sizeHint().height())
        self._pages.setVisible(self.kind.currentData() is not CredentialKind.NONE)

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
        return Credentials()

    def problem(self) -> str:
        """What is missing, in a sentence; empty when nothing is."""
        entered = self.credentials()
        missing = {
            CredentialKind.PASSWORD: not entered.user and "Enter the user's name.",
            CredentialKind.TOKEN: not entered.token and "Enter the token.",
            CredentialKind.CREDS: not entered.creds_path and "Choose the credentials file.",
            CredentialKind.NKEY: not (entered.nkey_path or entered.nkey_seed) and "Choose the seed's file.",
            CredentialKind.JWT: not (entered.user_jwt and entered.user_seed)
            and "Enter the JWT and its seed.",
        }
        return missing.get(entered.kind) or ""


class ConnectionForm(FormDialog):
    """Make or change a connection. ``profile()`` gives what was entered."""

    def __init__(
        self,
        parent: QWidget | None,
        store: ProfileStore,
        profile: ConnectionProfile | None = None,
        *,
        new: bool = False,
    ) -> None:
        self._new = new or profile is None
        self._store = store
        self._before = profile or ConnectionProfile(
            name="",
            environment=Environment.DEVELOPMENT,
            poll_budget=setting_keys.poll_budget(settings.current()),
        )
        before = self._before
        title = "New connection" if self._new else f"Edit {before.name}"
        super().__init__(parent, title, "Add connection" if self._new else "Save connection", width=620)
        self.name = QLineEdit(before.name)
        self.urls = QLineEdit(" ".join(before.urls) if profile is not None else "")
        self.urls.setPlaceholderText("nats://host:4222 nats://other:4222")
        self.urls.setProperty("role", "mono")
        self.environment = QComboBox()
        for environment, text in ENVIRONMENTS.items():
            self.environment.addItem(text, environment)
        self.environment.setCurrentIndex(list(ENVIRONMENTS).index(before.environment))
        self.read_only = QCheckBox("Read-only: refuse every change before it leaves this program")
        self.read_only.setChecked(before.read_only)
        self.login = CredentialsFields(before.credentials)
        self.add_row("Name", self.name)
        self.add_row("Servers", self.urls, "Tried in this order; several are set apart by spaces.")
        self.add_row("Environment", self.environment)
        self.add_row("", self.read_only)
        self.add_row("Login", self.login)
        self._build_tls(before.tls)
        self._build_advanced(before)
        where = "the system's keychain" if keychain.available() else "a file that only you can read"
        self.form.addRow(PlainLabel(""), PlainLabel(f"Secrets are kept in {where}.", "caption"))
        self._code = CodeBlock(lines=4, wrap=True)
        command = Disclosure("Command", self._code)
        command._button.toggled.connect(self._show_command)
        self.form.addRow(PlainLabel(""), command)
        self.add_validator(self._problem)
        (self.name if not before.name else self.urls).setFocus()

    def _build_tls(self, tls: TlsOptions) -> None:
        pem = "PEM files (*.pem *.crt *.cer *.key);;All files (*)"
        self.ca = PathField("Authorities (CA)", pem)
        self.ca.line.setText(tls.ca_path)
        self.certificate = PathField("Client certificate", pem)
        self.certificate.line.setText(tls.cert_path)
        self.key = PathField("Its key", pem)
        self.key.line.setText(tls.key_path)
        self.server_name = QLineEdit(tls.server_name)
        self.handshake_first = QCheckBox("TLS before the server's greeting")
        self.handshake_first.setChecked(tls.handshake_first)
        self.skip_verify = QCheckBox("Accept any certificate (dangerous)")
        self.skip_verify.setProperty("role", "bad")
        self.skip_verify.setChecked(tls.skip_verify)
        self.danger = Banner("bad", UNVERIFIED)
        self.danger.setVisible(tls.skip_verify)
        self.skip_verify.toggled.connect(self.danger.setVisible)
        form = form_layout()
        add_form_row(form, "Authorities (CA)", self.ca, "Instead of the system's.")
        add_form_row(form, "Certificate", self.certificate)
        add_form_row(form, "Key", self.key)
        add_form_row(form, "Server name", self.server_name, "When it is not the host of the URL.")
        form.addRow(PlainLabel(""), self.handshake_first)
        form.addRow(PlainLabel(""), self.skip_verify)
        form.addRow(self.danger)
        self._add_section("TLS", form, tls != TlsOptions())

    def _build_advanced(self, before: ConnectionProfile) -> None:
        self.domain = QLineEdit(before.jetstream_domain)
        self.prefix = QLineEdit(before.jetstream_api_prefix)
        self.inbox = QLineEdit(before.inbox_prefix)
        self.budget = _number(before.poll_budget, 1, 200, " requests a second")
        self.timeout = _number(before.request_timeout, 0.5, 60, " s")
        self.system = CredentialsFields(before.system_credentials or Credentials())
        form = form_layout()
        add_form_row(form, "JetStream domain", self.domain)
        add_form_row(form, "API prefix", self.prefix, "Instead of $JS.API; wins over the domain.")
        add_form_row(form, "Inbox prefix", self.inbox, "Instead of _INBOX.")
        add_form_row(form, "Poll budget", self.budget, "How much this program may ask to stay up to date.")
        add_form_row(form, "Request timeout", self.timeout)
        add_form_row(
            form, "System account", self.system, "A second login, for what only the system account sees."
        )
        used = bool(before.jetstream_domain or before.jetstream_api_prefix or before.system_credentials)
        self._add_section("Advanced", form, used)

    def _add_section(self, title: str, form: QWidget | object, open_: bool) -> None:
        holder = QWidget()
        holder.setLayout(form)  # type: ignore[arg-type]
        self.form.addRow(Disclosure(title, holder, open_=open_))

    # What was entered -------------------------------------------------------------------------

    def profile(self) -> ConnectionProfile:
        """The connection as entered."""
        system = self.system.credentials()
        return replace(
            self._before,
            name=self.name.text().strip() or _name_of(self.urls.text()),
            urls=tuple(_with_scheme(part) for part in self.urls.text().replace(",", " ").split()),
            environment=self.environment.currentData(),
            read_only=self.read_only.isChecked(),
            credentials=self.login.credentials(),
            system_credentials=None if system.kind is CredentialKind.NONE else system,
            tls=TlsOptions(
                ca_path=self.ca.text(),
                cert_path=self.certificate.text(),
                key_path=self.key.text(),
                server_name=self.server_name.text().strip(),
                handshake_first=self.handshake_first.isChecked(),
                skip_verify=self.skip_verify.isChecked(),
            ),
            jetstream_domain=self.domain.text().strip(),
            jetstream_api_prefix=self.prefix.text().strip(),
            inbox_prefix=self.inbox.text().strip(),
            poll_budget=self.budget.value(),
            request_timeout=self.timeout.value(),
        )

    def _problem(self) -> str:
        if not self.urls.text().strip():
            return "Enter the address of a server, for example nats://host:4222."
        for credentials in (self.login, self.system):
            if credentials.problem():
                return credentials.problem()
        entered = self.profile()
        try:
            others = [one for one in self._store.load() if one.id != entered.id]
        except ProfileError as error:
            return str(error)
        if any(one.name.casefold() == entered.name.casefold() for one in others):
            return f"There is another connection named {entered.name}. Choose a different name."
        return ""

    def _show_command(self) -> None:
        self._code.set_text(context_command(self.profile()))


def context_command(profile: ConnectionProfile) -> str:
    """The ``nats`` command that makes the same connection as a context; secrets are named, not shown."""
    words = ["nats", "context", "save", profile.name.replace(" ", "-"), "--server", ",".join(profile.urls)]
    login = profile.credentials
    options: tuple[tuple[str, str], ...] = (
        ("--user", login.user),
        ("--password", "$PASSWORD" if login.password else ""),
        ("--token", "$TOKEN" if login.token else ""),
        ("--creds", login.creds_path),
        ("--nkey", login.nkey_path),
        ("--tlsca", profile.tls.ca_path),
        ("--tlscert", profile.tls.cert_path),
        ("--tlskey", profile.tls.key_path),
        ("--js-domain", profile.jetstream_domain),
        ("--js-api-prefix", profile.jetstream_api_prefix),
        ("--inbox-prefix", profile.inbox_prefix),
    )
    for option, value in options:
        if value:
            words += [option, value]
    if profile.tls.handshake_first:
        words.append("--tlsfirst")
    return " ".join(word if word.startswith("$") else shlex.quote(word) for word in words)


def _number(value: float, low: float, high: float, suffix: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(low, high)
    box.setDecimals(1)
    box.setValue(value)
    box.setSuffix(suffix)
    return box


def _with_scheme(url: str) -> str:
    return url if "://" in url else f"nats://{url}"


def _name_of(urls: str) -> str:
    first = urls.replace(",", " ").split()
    return first[0].split("://")[-1].rpartition("@")[2] if first else ""
