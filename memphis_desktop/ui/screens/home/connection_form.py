"""The form of a connection: where, who, how carefully."""

from __future__ import annotations

import shlex
from dataclasses import replace

from PySide6.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QLineEdit, QWidget

from memphis_desktop.cluster import keychain
from memphis_desktop.cluster.context_file import socks_proxy
from memphis_desktop.cluster.profiles import (
    ConnectionProfile,
    CredentialKind,
    Credentials,
    Environment,
    ProfileError,
    ProfileStore,
    ProxyOptions,
    TlsOptions,
    login_apart,
    proxy_for,
)
from memphis_desktop.language import tr
from memphis_desktop.proxy import ProxyFailure, parse
from memphis_desktop.ui import settings
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.dialogs import Disclosure, FormDialog, add_form_row, form_layout
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screens.home.login_fields import (
    KINDS,
    MEMPHIS_KINDS,
    CredentialsFields,
    PathField,
    secret_field,
    secret_help,
    secret_value,
    tipped,
)
from memphis_desktop.ui.shell import setting_keys
from memphis_desktop.ui.shell.connection_colours import colour_words, swatch

ENVIRONMENTS = {
    Environment.LOCAL: tr("Local"),
    Environment.DEVELOPMENT: tr("Development"),
    Environment.STAGING: tr("Staging"),
    Environment.PRODUCTION: tr("Production"),
}


def unverified() -> str:
    """The danger of a certificate that nobody checks."""
    return tr(
        "Whoever sits between here and the server can pose as the server, read everything and change"
        " everything. Name the authority's file instead."
    )


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
            proxy=ProxyOptions(setting_keys.proxy(settings.current())),
        )
        before = self._before
        title = tr("New connection") if self._new else tr("Edit {name}", name=before.name)
        verb = tr("Add connection") if self._new else tr("Save connection")
        super().__init__(parent, title, verb, width=620)
        self._build_basics(before, profile is not None)
        self._build_tls(before.tls)
        self._build_proxy(before.proxy)
        self._build_advanced(before)
        kept = (
            tr("Secrets are kept in the system's keychain.")
            if keychain.available()
            else tr("Secrets are kept in a file that only you can read.")
        )
        self.form.addRow(PlainLabel(""), PlainLabel(kept, "caption"))
        self._code = CodeBlock(lines=4, wrap=True)
        command = Disclosure(tr("Command"), self._code)
        command._button.toggled.connect(self._show_command)
        self.form.addRow(PlainLabel(""), command)
        self.add_validator(self._problem)
        for fields in (self.login, self.system):
            fields.resized.connect(self.fit)
        (self.name if not before.name else self.urls).setFocus()

    def _build_basics(self, before: ConnectionProfile, known: bool) -> None:
        self.name = QLineEdit(before.name)
        self.name.setToolTip(tr("What you call it; no two connections have the same name."))
        self.urls = QLineEdit(" ".join(before.urls) if known else "")
        self.urls.setPlaceholderText("nats://host:4222 nats://other:4222")
        self.urls.setProperty("role", "mono")
        self.urls.setToolTip(
            tr(
                "Servers of one cluster: nats://, tls://, ws:// or wss://. The first that answers tells of"
                " the others. Without a port it is 4222, for WebSocket 80 or 443."
            )
        )
        self.urls.editingFinished.connect(self._take_login)
        self.environment = QComboBox()
        for environment, text in ENVIRONMENTS.items():
            self.environment.addItem(text, environment)
        self.environment.setCurrentIndex(list(ENVIRONMENTS).index(before.environment))
        self.environment.setToolTip(
            tr("Colours the window's frame. On production, what loses data is confirmed by typing its name.")
        )
        self.colour = QComboBox()
        for key, word in colour_words().items():
            self.colour.addItem(swatch(key), word, key)
        self.colour.setCurrentIndex(max(0, self.colour.findData(before.colour)))
        self.colour.setToolTip(
            tr("Of its own, to tell it from others in tabs, in the list and in the window's frame.")
        )
        self.read_only = QCheckBox(tr("Read-only"))
        self.read_only.setChecked(before.read_only)
        self.read_only.setToolTip(
            tr("Only requests that ask are sent. What the server permits this user stays as it is.")
        )
        self.tags = QLineEdit(" ".join(before.tags))
        self.tags.setToolTip(
            tr("Words to filter the list of connections by, for example a team or a region.")
        )
        self.login = CredentialsFields(before.credentials)
        self.add_row(tr("Name"), self.name)
        self.add_row(tr("Servers"), self.urls, tr("Tried in this order; several are set apart by spaces."))
        self.add_row(tr("Environment"), self.environment)
        self.add_row(tr("Colour"), self.colour)
        self.add_row("", self.read_only, tr("Refuses every change before it leaves this program."))
        self.add_row(tr("Tags"), self.tags)
        self.add_row(tr("Login"), self.login)

    def _build_tls(self, tls: TlsOptions) -> None:
        pem = tr("PEM files (*.pem *.crt *.cer *.key);;All files (*)")
        self.ca = PathField(tr("Authorities (CA)"), pem)
        self.ca.line.setText(tls.ca_path)
        self.certificate = PathField(tr("Client certificate"), pem)
        self.certificate.line.setText(tls.cert_path)
        self.key = PathField(tr("Its key"), pem)
        self.key.line.setText(tls.key_path)
        self.server_name = QLineEdit(tls.server_name)
        self.handshake_first = QCheckBox(tr("TLS before the server's greeting"))
        self.handshake_first.setChecked(tls.handshake_first)
        self.skip_verify = QCheckBox(tr("Accept any certificate (dangerous)"))
        self.skip_verify.setProperty("role", "bad")
        self.skip_verify.setChecked(tls.skip_verify)
        tipped(self.ca, tr("PEM file with the authorities that the server's certificate is verified with."))
        tipped(
            self.certificate,
            tr("PEM file shown to servers whose tls block has verify or verify_and_map."),
        )
        tipped(self.key, tr("PEM file with the certificate's private key, without a password."))
        tipped(self.server_name, tr("The name that must be in the server's certificate; sent as SNI, too."))
        tipped(
            self.handshake_first,
            tr("For servers whose tls block has handshake_first: the handshake comes before INFO."),
        )
        self.danger = Banner("bad", unverified())
        self.danger.setVisible(tls.skip_verify)
        self.skip_verify.toggled.connect(self.danger.setVisible)
        form = form_layout()
        add_form_row(form, tr("Authorities (CA)"), self.ca, tr("Instead of the system's."))
        add_form_row(form, tr("Certificate"), self.certificate)
        add_form_row(form, tr("Key"), self.key)
        add_form_row(form, tr("Server name"), self.server_name, tr("When it is not the host of the URL."))
        form.addRow(PlainLabel(""), self.handshake_first)
        form.addRow(PlainLabel(""), self.skip_verify)
        form.addRow(self.danger)
        self._add_section(tr("TLS"), form, tls != TlsOptions())

    def _build_proxy(self, proxy: ProxyOptions) -> None:
        self.proxy = QLineEdit(proxy.url)
        self.proxy.setPlaceholderText("socks5://host:1080")
        self.proxy.setProperty("role", "mono")
        self.proxy_user = QLineEdit(proxy.user)
        self.proxy_password = secret_field(tr("Password for the proxy"), proxy.password)
        tipped(
            self.proxy,
            tr(
                "All connections to the servers go through it: a SOCKS5 proxy (socks5://host:1080), such as"
                " ssh -D opens, or an HTTP proxy that takes CONNECT (http://host:8080, or https://host:443"
                " where TLS is spoken with the proxy)."
            ),
        )
        tipped(self.proxy_user, tr("Only for proxies that want a login."))
        tipped(self.proxy_password, tr("It goes to the proxy as it is: only https:// hides it on the way."))
        form = form_layout()
        add_form_row(
            form,
            tr("Address"),
            self.proxy,
            tr("socks5://, http:// or https://. The servers' names are resolved at the proxy."),
        )
        add_form_row(form, tr("User"), self.proxy_user)
        add_form_row(form, tr("Password"), self.proxy_password, secret_help())
        self._add_section(tr("Proxy"), form, proxy != ProxyOptions())

    def _build_advanced(self, before: ConnectionProfile) -> None:
        self.domain = QLineEdit(before.jetstream_domain)
        self.prefix = QLineEdit(before.jetstream_api_prefix)
        self.inbox = QLineEdit(before.inbox_prefix)
        self.budget = _number(before.poll_budget, 1, 200, tr(" requests a second"))
        self.timeout = _number(before.request_timeout, 0.5, 60, tr(" s"))
        self.system = CredentialsFields(
            before.system_credentials or Credentials(), [kind for kind in KINDS if kind not in MEMPHIS_KINDS]
        )
        tipped(
            self.domain,
            tr("The domain of the server's jetstream block; the API is then at $JS.<domain>.API."),
        )
        tipped(
            self.prefix,
            tr("The subject under which this account imports the JetStream API of another account."),
        )
        tipped(
            self.inbox,
            tr(
                "Answers come to subjects below it. For users who may subscribe to a prefix of their own"
                " only, for example _INBOX_me."
            ),
        )
        tipped(
            self.budget,
            tr("The most requests to JetStream's API that are sent to keep the screens up to date."),
        )
        tipped(self.timeout, tr("How long an answer of JetStream's API may take before it is given up."))
        self.system.setToolTip(
            tr(
                "The server's system_account sees every server, account and connection of the cluster;"
                " cluster screens ask it for Raft groups, routes and clients."
            )
        )
        form = form_layout()
        add_form_row(form, tr("JetStream domain"), self.domain)
        add_form_row(form, tr("API prefix"), self.prefix, tr("Instead of $JS.API; wins over the domain."))
        add_form_row(form, tr("Inbox prefix"), self.inbox, tr("Instead of _INBOX."))
        add_form_row(
            form, tr("Poll budget"), self.budget, tr("How much this program may ask to stay up to date.")
        )
        add_form_row(form, tr("Request timeout"), self.timeout)
        add_form_row(
            form,
            tr("System account"),
            self.system,
            tr("A second login, for what only the system account sees."),
        )
        used = bool(
            before.jetstream_domain
            or before.jetstream_api_prefix
            or before.inbox_prefix
            or before.system_credentials
        )
        self._add_section(tr("Advanced"), form, used)

    def _add_section(self, title: str, form: QWidget | object, open_: bool) -> None:
        holder = QWidget()
        holder.setLayout(form)  # type: ignore[arg-type]
        self.form.addRow(Disclosure(title, holder, open_=open_))

    # What was entered -------------------------------------------------------------------------

    def profile(self) -> ConnectionProfile:
        """The connection as entered; a login in an address goes where logins belong."""
        return login_apart(self._entered())

    def _take_login(self) -> None:
        """Move the login of a pasted address into its fields, before anybody reads it over a shoulder."""
        entered = self._entered()
        apart = login_apart(entered)
        if apart.urls != entered.urls:
            self.urls.setText(" ".join(apart.urls))
            self.login.show_login(apart.credentials)

    def _entered(self) -> ConnectionProfile:
        system = self.system.credentials()
        return replace(
            self._before,
            name=self.name.text().strip() or _name_of(self.urls.text()),
            urls=tuple(_with_scheme(part) for part in self.urls.text().replace(",", " ").split()),
            environment=self.environment.currentData(),
            colour=self.colour.currentData(),
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
            proxy=self._proxy(),
            tags=tuple(dict.fromkeys(self.tags.text().replace(",", " ").split())),
            jetstream_domain=self.domain.text().strip(),
            jetstream_api_prefix=self.prefix.text().strip(),
            inbox_prefix=self.inbox.text().strip(),
            poll_budget=self.budget.value(),
            request_timeout=self.timeout.value(),
        )

    def _proxy(self) -> ProxyOptions:
        """The proxy as entered; a login in its URL goes where logins belong."""
        found = proxy_for(self.proxy.text())
        return replace(
            found,
            user=self.proxy_user.text().strip() or found.user,
            password=secret_value(self.proxy_password) or found.password,
        )

    def _problem(self) -> str:
        if not self.urls.text().strip():
            return tr("Enter the address of a server, for example nats://host:4222.")
        for credentials in (self.login, self.system):
            if credentials.problem():
                return credentials.problem()
        entered = self.profile()
        if any("@" in url for url in entered.urls):
            return tr("An address has a login of its own. Take it out, and choose the login below.")
        if entered.proxy != ProxyOptions():
            try:
                parse(entered.proxy.url)
            except ProxyFailure as failure:
                return str(failure)
        try:
            others = [one for one in self._store.load() if one.id != entered.id]
        except ProfileError as error:
            return str(error)
        if any(one.name.casefold() == entered.name.casefold() for one in others):
            return tr("There is another connection named {name}. Choose a different name.", name=entered.name)
        return ""

    def _show_command(self) -> None:
        self._code.set_text(context_command(self.profile()))


def context_command(profile: ConnectionProfile) -> str:
    """The ``nats`` command that makes the same connection as a context; secrets are named, not shown."""
    words = ["nats", "context", "save", profile.name.replace(" ", "-"), "--server", ",".join(profile.urls)]
    login = profile.credentials
    options: tuple[tuple[str, str], ...] = (
        ("--user", login.memphis_user if login.kind is CredentialKind.MEMPHIS else login.user),
        ("--password", "$PASSWORD" if login.password else ""),
        ("--token", "$TOKEN" if login.token else ""),
        ("--creds", login.creds_path),
        ("--nkey", login.nkey_path),
        ("--nsc", login.nsc),
        ("--tlsca", profile.tls.ca_path),
        ("--tlscert", profile.tls.cert_path),
        ("--tlskey", profile.tls.key_path),
        ("--js-domain", profile.jetstream_domain),
        ("--js-api-prefix", profile.jetstream_api_prefix),
        ("--inbox-prefix", profile.inbox_prefix),
        ("--socks-proxy", socks_proxy(profile)),
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
