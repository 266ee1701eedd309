"""The rows of the list of connections: what is known of each, and the columns that show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from memphis_desktop.cluster.failures import ConnectionFailure
from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.cluster.profiles import ConnectionProfile, Environment, TlsOptions
from memphis_desktop.language import tr
from memphis_desktop.ui.components.data_table import Column, IconText
from memphis_desktop.ui.format import bytes_size
from memphis_desktop.ui.memphis.link import STATIONS_BUCKET
from memphis_desktop.ui.screens.home.connection_form import ENVIRONMENTS
from memphis_desktop.ui.screens.home.details import safe_urls
from memphis_desktop.ui.screens.home.login_fields import KINDS, MEMPHIS_KINDS
from memphis_desktop.ui.screens.station_parts import limit_share
from memphis_desktop.ui.shell.attempts import STAGES
from memphis_desktop.ui.shell.connection_colours import TOKENS
from memphis_desktop.ui.shell.status_bar import STATE_WORDS

_ENVIRONMENT_TOKENS = {
    Environment.LOCAL: "good",
    Environment.DEVELOPMENT: "information",
    Environment.STAGING: "warning",
    Environment.PRODUCTION: "bad",
}


@dataclass(frozen=True)
class ConnectionRow:
    """A connection of the user: its profile, and what is known while it is open or of the last attempt."""

    profile: ConnectionProfile
    snapshot: ClusterSnapshot | None
    failure: ConnectionFailure | None = None
    last_connected: int | None = None

    def state(self) -> tuple[str, str]:
        if self.snapshot is None and self.failure is not None:
            return "bad", tr("Failed: {stage}", stage=STAGES[self.failure.stage])
        if self.snapshot is None:
            return "muted", tr("Not connected")
        return STATE_WORDS[self.snapshot.state]

    def version(self) -> str | None:
        server = self.snapshot.server if self.snapshot is not None else None
        return server.version if server is not None else None

    def store(self) -> Any:
        account = self.snapshot.account if self.snapshot is not None else None
        if account is None:
            return None
        used = bytes_size(account.storage)
        share = limit_share(account.storage, account.max_storage)
        return (
            (share, tr("{used} of {limit}", used=used, limit=bytes_size(account.max_storage)))
            if share is not None
            else (None, used)
        )

    def kind(self) -> str | None:
        """What it is a connection to, as far as it is known."""
        if self.profile.credentials.kind in MEMPHIS_KINDS:
            return "Memphis"
        if self.snapshot is None:
            return None
        if STATIONS_BUCKET in self.snapshot.streams:
            return "Memphis"
        account = self.snapshot.account
        return None if account is None else "JetStream" if account.enabled else "NATS"

    def rtt(self) -> float | None:
        server = self.snapshot.server if self.snapshot is not None else None
        return server.rtt_seconds if server is not None else None


def _name(row: ConnectionRow) -> IconText:
    token = TOKENS.get(row.profile.colour, "")
    return IconText("circle-fill" if token else "", token, row.profile.name)


def _environment(row: ConnectionRow) -> list[tuple[str, str]]:
    profile = row.profile
    badges = [(ENVIRONMENTS[profile.environment], _ENVIRONMENT_TOKENS[profile.environment])]
    if profile.tls.skip_verify:
        badges.append((tr("Unverified TLS"), "bad"))
    if profile.read_only:
        badges.append((tr("Read-only"), "muted"))
    return badges


def _tls(row: ConnectionRow) -> str:
    tls = row.profile.tls
    secure = tls != TlsOptions() or any(url.startswith(("tls://", "wss://")) for url in row.profile.urls)
    if not secure:
        return tr("when asked")  # as the server wishes
    return tr("unverified") if tls.skip_verify else tr("both sides") if tls.cert_path else tr("on")


COLUMNS = [
    Column("state", tr("State"), ConnectionRow.state, "dot", 134),
    Column(
        "name",
        tr("Name"),
        _name,
        "icon",
        100,
        sort_value=lambda row: row.profile.name.casefold(),
        stretch=True,
    ),
    Column("environment", tr("Environment"), _environment, "badge", 108),
    Column("url", tr("Servers"), lambda row: ", ".join(safe_urls(row.profile)), "mono", 122),
    Column("login", tr("Login"), lambda row: KINDS[row.profile.credentials.kind], "text", 150, visible=False),
    Column("kind", tr("Kind"), ConnectionRow.kind, "text", 84, visible=False),
    Column("rtt", tr("Round trip"), ConnectionRow.rtt, "duration", 80),
    Column("version", tr("Version"), ConnectionRow.version, "text", 72, visible=False),
    Column("last", tr("Last connected"), lambda row: row.last_connected, "time", 108),
    Column("tls", "TLS", _tls, "text", 110, visible=False),
    Column(
        "store",
        tr("JetStream store"),
        ConnectionRow.store,
        "bar",
        130,
        tr("Used, of what the account may"),
        visible=False,
    ),
    Column("tags", tr("Tags"), lambda row: " ".join(row.profile.tags) or None, "text", 110, visible=False),
    Column("origin", tr("Imported from"), lambda row: row.profile.origin or None, "text", 180, visible=False),
]
