"""What a node can be told, with nats-server's defaults."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ANY_PORT = -1
GLOBAL_ACCOUNT, SYSTEM_ACCOUNT = "$G", "$SYS"


class StartError(Exception):
    """The node cannot start; the text is one clear sentence for the user."""


class ReloadError(Exception):
    """A reload was refused and changed nothing; the text says why."""


class UsageError(Exception):
    """The command line is wrong; the text says what."""


@dataclass(frozen=True, slots=True)
class SubjectRule:
    """What may be published or subscribed to; `allow` None is everything that is not denied.

    A subscribe entry may be ``subject queue``.
    """

    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResponseRule:
    """How often and how long (seconds) a client may answer a request it received; 0 or less is unlimited."""

    max_messages: int = 1
    expires: float = 120.0


@dataclass(frozen=True, slots=True)
class PermissionRules:
    """A user's permissions."""

    publish: SubjectRule = SubjectRule()
    subscribe: SubjectRule = SubjectRule()
    responses: ResponseRule | None = None


@dataclass(frozen=True, slots=True)
class User:
    """A user who logs in with name and password (which may be a bcrypt hash), or with an nkey."""

    name: str = ""
    password: str = field(default="", repr=False)
    nkey: str = ""
    account: str = ""  # "" is the default account
    permissions: PermissionRules | None = None
    connection_types: tuple[str, ...] = ()  # in capitals; none is all
    proxy_required: bool = False  # comes through a trusted proxy only


@dataclass(frozen=True, slots=True)
class CalloutOptions:
    """A service, itself a client, that decides who comes in (auth callout).

    In the configuration `allowed_accounts` are those whose known users it decides about too, none for all; in
    an account's JWT those that it may let clients into.
    """

    issuer: str  # the public key of an account that signs its answers
    account: str = GLOBAL_ACCOUNT  # where the service listens
    auth_users: tuple[str, ...] = ()  # who come in without it
    xkey: str = ""  # its public curve key, when questions and answers are sealed
    allowed_accounts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Latency:
    """Where a service's latency is told, and of how many requests."""

    subject: str
    sampling: int = 100  # percent; 0: of those whose trace headers say so


@dataclass(frozen=True, slots=True)
class Export:
    """What an account lets others import: a stream of messages, or a service that answers requests."""

    kind: str  # "stream" or "service"
    subject: str
    accounts: tuple[str, ...] = ()  # none is public
    response_type: str = "singleton"  # of services: singleton, stream or chunked
    response_threshold: float = 120.0  # seconds a requester waits at most
    latency: Latency | None = None  # of services
    account_token_position: int = 0  # 1 and up: that token of the subject is the importer's name
    token_required: bool = False  # an importer shows an activation token of the exporter
    revocations: tuple[tuple[str, int], ...] = ()  # importers whose tokens issued until then do not hold


@dataclass(frozen=True, slots=True)
class Import:
    """What an account takes from another one."""

    kind: str  # "stream" or "service"
    account: str
    subject: str  # in the exporting account
    to: str = ""  # in this account; "" is the same
    share: bool = False  # of services: the exporter sees who asks, not just from which account
    token: str = field(default="", repr=False)  # the exporter's activation, a JWT


@dataclass(frozen=True, slots=True)
class Mapping:
    """Subjects that are rewritten when published: a pattern, and destinations with weights in percent."""

    source: str
    destinations: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class JetStreamAccountLimits:
    """What JetStream may hold for one account; -1 is no cap."""

    max_memory: int = -1
    max_storage: int = -1
    max_streams: int = -1
    max_consumers: int = -1
    max_ack_pending: int = -1
    memory_max_stream_bytes: int = -1
    storage_max_stream_bytes: int = -1
    max_bytes_required: bool = False
    # Limits by the number of replicas, "R1" and so on, which then stand in place of the ones above.
    tiers: tuple[tuple[str, JetStreamAccountLimits], ...] = ()


@dataclass(frozen=True, slots=True)
class JetStreamLimits:
    """What the server allows every stream and consumer; 0 is no cap. The window is in seconds."""

    max_ack_pending: int = 0
    max_request_batch: int = 0
    duplicate_window: float = 0.0
    max_ha_assets: int = 0  # shown only: a single node has none


@dataclass(frozen=True, slots=True)
class AccountTrace:
    """Where messages whose ``traceparent`` is sampled are traced to, and how many percent of them."""

    destination: str
    sampling: int = 100


@dataclass(frozen=True, slots=True)
class AccountOptions:
    """One account; limits of -1 are none."""

    name: str
    name_tag: str = ""  # what a JWT calls the account, whose name is its key
    nkey: str = ""
    signing_keys: tuple[str, ...] = ()  # further keys that sign for it
    exports: tuple[Export, ...] = ()
    imports: tuple[Import, ...] = ()
    mappings: tuple[Mapping, ...] = ()
    jetstream: JetStreamAccountLimits | None = None
    max_connections: int = -1
    max_subscriptions: int = -1
    max_payload: int = -1
    default_permissions: PermissionRules | None = None
    trace: AccountTrace | None = None


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """How connections are secured; files are PEM."""

    cert_file: Path
    key_file: Path
    ca_file: Path | None = None
    verify: bool = False  # a client needs a certificate
    verify_and_map: bool = False  # and its user is named by it
    timeout: float = 2.0
    handshake_first: float | None = None  # None: INFO first; 0: handshake first; else wait that long for one
    minimum_version: str = "1.2"
    further: tuple[tuple[Path, Path], ...] = ()  # certificates and keys beside the first, chosen by name
    ciphers: tuple[str, ...] = ()  # of TLS 1.2, as OpenSSL names them; none is its own choice
    curve: str = ""  # the one that key agreement takes, as OpenSSL names it
    # SHA-256 of the public keys (SubjectPublicKeyInfo, DER) that clients' certificates may have; none is all.
    pinned_certificates: frozenset[str] = frozenset()
    connection_rate_limit: int = 0  # connections a second; 0 is no limit


@dataclass(frozen=True, slots=True)
class ResolverTls:
    """How the node asks a resolver over HTTPS: whom it trusts, and as whom it comes; files are PEM."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class WebSocketOptions:
    """The listener for WebSocket clients."""

    host: str = ""
    port: int = 0
    tls: TlsOptions | None = None
    same_origin: bool = False
    allowed_origins: tuple[str, ...] = ()
    compression: bool = False
    handshake_timeout: float = 2.0
    jwt_cookie: str = ""
    user_cookie: str = ""
    password_cookie: str = ""
    token_cookie: str = ""
    headers: tuple[tuple[str, str], ...] = ()  # of the answer to the handshake
    advertise: str = ""
    ping_interval: float = 0.0  # 0: as everywhere
    # Who may come this way; when one of these is given they stand in place of what holds elsewhere.
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    no_auth_user: str = ""
    auth_timeout: float = 0.0  # 0: as everywhere

    @property
    def overrides_login(self) -> bool:
        """Whether logins by this way are its own."""
        return bool(self.user or self.token or self.no_auth_user)


@dataclass(slots=True)
class BrokerOptions:
    """Options of a node. Sizes are bytes, times seconds, ports -1 for any free one and 0 for none."""

    host: str = "127.0.0.1"
    port: int = 4222
    server_name: str = ""
    config_file: Path | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    client_advertise: str = ""
    proxy_protocol: bool = False  # load balancers in front may tell who the client is

    # Who may connect: users, or a token, or users known by the JWTs of operators; none means everybody.
    users: list[User] = field(default_factory=list)
    token: str = field(default="", repr=False)
    auth_timeout: float = 2.0
    no_auth_user: str = ""
    has_authorization: bool = False  # the configuration has such a block, however empty
    made_up_user: str = ""  # as whom clients come where only the system account has users
    # A user of the system account for the program around the node, with its password; nobody else notices.
    system_login: tuple[str, str] | None = field(default=None, repr=False)
    auth_callout: CalloutOptions | None = None
    default_sentinel: str = field(default="", repr=False)  # the JWT of who shows none
    accounts: list[AccountOptions] = field(default_factory=list)
    system_account: str = ""
    default_permissions: PermissionRules | None = None
    mappings: list[Mapping] = field(default_factory=list)  # of the default account
    operators: list[str] = field(default_factory=list)  # JWTs
    trusted_keys: list[str] = field(default_factory=list)
    account_tokens: dict[str, str] = field(default_factory=dict)  # account JWTs by public key
    resolver_folder: Path | None = None
    resolver_url: str = ""
    resolver_tls: ResolverTls | None = None
    pinned_accounts: frozenset[str] = frozenset()  # the only ones whose users come in; none is all
    trusted_proxies: tuple[str, ...] = ()  # their public keys

    tls: TlsOptions | None = None
    allow_non_tls: bool = False
    websocket: WebSocketOptions | None = None

    without_headers: bool = False  # clients get and send none
    max_connections: int = 65536
    max_subscriptions: int = 0
    max_subject_tokens: int = 0
    max_payload: int = 1024 * 1024
    max_control_line: int = 4096
    max_pending: int = 64 * 1024 * 1024
    write_deadline: float = 10.0
    ping_interval: float = 120.0
    ping_max: int = 2
    max_closed_clients: int = 10_000
    lame_duck_duration: float = 120.0
    lame_duck_grace_period: float = 10.0

    http_host: str = ""
    http_port: int = 0
    https_host: str = ""
    https_port: int = 0
    http_base_path: str = "/"

    jetstream: bool = False
    store_dir: Path | None = None  # None: a folder of the system's temporary directory, as nats-server does
    in_memory: bool = False  # everything in memory: for tests and throw-away nodes
    sync_always: bool = True
    max_memory_store: int = -1
    max_file_store: int = -1
    jetstream_limits: JetStreamLimits = field(default_factory=lambda: JetStreamLimits())
    domain: str = ""
    unique_tag: str = ""  # shown only
    default_domains: dict[str, str] = field(default_factory=dict)  # of accounts without JetStream, by name
    sync_interval: float = 120.0  # seconds, where sync_always is off

    debug: bool = False
    trace: bool = False
    log_time: bool = True
    log_time_utc: bool = False
    log_file: Path | None = None
    log_size_limit: int = 0  # 0: one file for ever
    log_max_files: int = 0  # older ones are removed; 0: all are kept
    pid_file: Path | None = None
    ports_file_dir: Path | None = None

    memphis_port: int = 0
    rest_port: int = 0
    stations_account: str = ""  # the account that stations live in; "" is the default account
    streaming_cluster_id: str = ""  # of the gateway for NATS Streaming clients; empty for none

    # What the configuration asks for and this node does not do, told in the log when it starts.
    warnings: list[str] = field(default_factory=list)

    @property
    def advertised(self) -> tuple[str, int] | None:
        """Where clients are told to connect, when that is not where the node listens; port 0 is the same."""
        if not self.client_advertise:
            return None
        host, _, port = self.client_advertise.rpartition(":")
        if host and port.isdigit():
            return host.strip("[]"), int(port)
        return self.client_advertise, 0

    @property
    def serves_stations(self) -> bool:
        """Whether the Memphis layer, or one of its gateways, runs beside the node."""
        return bool(self.memphis_port or self.rest_port or self.streaming_cluster_id)

    @property
    def only_default_account(self) -> bool:
        """Whether clients have no account but the default one: no other is named, save the system account."""
        system = self.system_account or SYSTEM_ACCOUNT
        return all(account.name == system for account in self.accounts)

    def check_stations(self) -> None:
        """See to it that what serves stations finds the JetStream it needs.

        Raises:
            StartError: it does not.
        """
        if not self.serves_stations:
            return
        if not self.jetstream:
            raise StartError(
                "stations for Memphis SDKs and the gateways need JetStream: switch it on with -js"
            )
        able = [account.name for account in self.accounts if account.jetstream is not None]
        if self.only_default_account:
            able.append("")
        if self.stations_account in able:
            return
        if not self.stations_account:
            known = ", ".join(able) or "none has it yet"
            raise StartError(
                "stations need an account with JetStream, and the configuration has accounts of its own: "
                f"name one with --memphis_account ({known})"
            )
        raise StartError(f"--memphis_account: there is no account {self.stations_account!r} with JetStream")

    @property
    def may_call_out(self) -> bool:
        """Whether a service may have to be asked about a client, so that the node needs keys of its own."""
        return self.auth_callout is not None or bool(self.operators or self.trusted_keys)

    @property
    def auth_required(self) -> bool:
        """Whether a client has to prove who it is."""
        return bool(self.users or self.token or self.operators or self.trusted_keys)

    def requires_login(self, websocket: WebSocketOptions | None) -> bool:
        """Whether a client has to prove who it is that comes this way."""
        return self.auth_required or (websocket is not None and websocket.overrides_login)

    @property
    def store_folder(self) -> Path:
        """Where JetStream keeps its data."""
        base = self.store_dir or Path(tempfile.gettempdir()) / "memphis-desktop"
        return Path(os.path.abspath(base)) / "jetstream"
