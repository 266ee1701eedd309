"""Attaching to real nats-servers of every kind: logins, TLS, WebSocket, domains; what the staged test says.

Each kind is a server with its configuration and the profile that gets in. The same profile serves a session,
which reads streams, and the staged test, which must pass.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

import nkeys
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from memphis_desktop.cluster.diagnosis import FAILED, PASSED, SKIPPED, Diagnosis, Step
from memphis_desktop.cluster.failures import ConnectionFailure, NoResponder, Stage
from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.cluster.profiles import (
    ConnectionProfile,
    CredentialKind,
    Credentials,
    ProfileStore,
    TlsOptions,
)
from memphis_desktop.cluster.session import Session
from memphis_desktop.folders import HOME_VARIABLE
from memphis_desktop.server_process import ServerProcess, program_command
from memphis_desktop.ui.screens.home.connection_form import ConnectionForm
from tests.clients.test_core_tls import write_certificate
from tests.conftest import Starter
from tests.operators import Operator, write_creds

pytestmark = pytest.mark.filterwarnings("ignore:parameter 'timeout':DeprecationWarning")  # nats-py's aiohttp

PATIENCE = 30.0


@dataclass(frozen=True)
class Certificates:
    """An authority, a server's certificate for loopback, a client's, all as PEM files."""

    folder: Path

    def path(self, name: str) -> str:
        return str(self.folder / f"{name}.pem")

    def block(self, more: str = "", server: str = "server") -> str:
        return (
            f'tls {{ cert_file: "{self.path(server)}", key_file: "{self.path(server + "-key")}",'
            f' ca_file: "{self.path("ca")}", timeout: 5, {more} }}'
        )

    @property
    def trust(self) -> TlsOptions:
        return TlsOptions(ca_path=self.path("ca"))

    @property
    def mutual(self) -> TlsOptions:
        return replace(self.trust, cert_path=self.path("client"), key_path=self.path("client-key"))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    authority = write_certificate(folder, "ca", [], None)
    here = [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")]
    write_certificate(folder, "server", here, authority)
    write_certificate(folder, "elsewhere", [x509.DNSName("nats.example.org")], authority)
    write_certificate(folder, "client", [x509.RFC822Name("someone@example.org")], authority)
    write_certificate(folder, "old", here, authority, days=-2)
    write_certificate(folder, "old-client", [x509.RFC822Name("someone@example.org")], authority, days=-2)
    other = write_certificate(folder, "other-ca", [], None)
    write_certificate(folder, "other-client", [x509.RFC822Name("someone@example.org")], other)
    return Certificates(folder)


@dataclass
class World:
    """What a kind needs to build its server and its profile."""

    start: Starter
    folder: Path
    certificates: Certificates
    patch: pytest.MonkeyPatch

    def serve(self, config: str, **profile: object) -> ConnectionProfile:
        """Start a server; returns the profile for it."""
        server = self.start(config=config)
        assert isinstance(server, ServerProcess)
        values = {"name": "test", "urls": (server.url,), **profile}
        return ConnectionProfile(**values)  # type: ignore[arg-type]

    def websocket(self, config: str, scheme: str, **profile: object) -> ConnectionProfile:
        """The same over WebSocket."""
        server = self.start(config=config)
        assert isinstance(server, ServerProcess)
        found = re.search(r"Listening for websocket clients on wss?://127\.0\.0\.1:(\d+)", server.log())
        assert found is not None
        values = {"name": "test", "urls": (f"{scheme}://127.0.0.1:{found[1]}",), **profile}
        return ConnectionProfile(**values)  # type: ignore[arg-type]


@pytest.fixture
def world(
    start_nats_server: Starter, tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> World:
    return World(start_nats_server, tmp_path, certificates, monkeypatch)


def password(user: str, word: str) -> Credentials:
    return Credentials(CredentialKind.PASSWORD, user=user, password=word)


def new_user_key() -> tuple[str, str]:
    """A seed and its public key."""
    seed = nkeys.encode_seed(b"0123456789abcdef0123456789abcdef", nkeys.PREFIX_BYTE_USER)
    return bytes(seed).decode(), bytes(nkeys.from_seed(bytearray(seed)).public_key).decode()


# The kinds ------------------------------------------------------------------------------------

Kind = Callable[[World], ConnectionProfile]
ACCOUNTS = """accounts {
    APP { jetstream: enabled, users: [{ user: app, password: geheim }] }
    $SYS { users: [{ user: sys, password: geheim }] }
}"""


def no_login(world: World) -> ConnectionProfile:
    return world.serve("")


def token(world: World) -> ConnectionProfile:
    return world.serve(
        "authorization { token: geheim }", credentials=Credentials(CredentialKind.TOKEN, token="geheim")
    )


def token_in_url(world: World) -> ConnectionProfile:
    profile = world.serve("authorization { token: geheim }")
    return replace(profile, urls=(profile.urls[0].replace("//", "//geheim@"),))


def user_in_url(world: World) -> ConnectionProfile:
    profile = world.serve("authorization { users: [{ user: ada, password: geheim }] }")
    return replace(profile, urls=(profile.urls[0].replace("//", "//ada:geheim@"),))


def user_and_system(world: World) -> ConnectionProfile:
    return world.serve(
        ACCOUNTS, credentials=password("app", "geheim"), system_credentials=password("sys", "geheim")
    )


def nkey(world: World) -> ConnectionProfile:
    seed, public = new_user_key()
    path = world.folder / "user.nk"
    path.write_text(seed + "\n")
    return world.serve(
        f"authorization {{ users: [{{ nkey: {public} }}] }}",
        credentials=Credentials(CredentialKind.NKEY, nkey_path=str(path)),
    )


def creds_and_system_creds(world: World) -> ConnectionProfile:
    operator = Operator()
    files = [
        write_creds(world.folder / f"{name}.creds", *account.user(name))
        for name, account in (("app", operator.application), ("sys", operator.system))
    ]
    application, system = (Credentials(CredentialKind.CREDS, creds_path=str(path)) for path in files)
    return world.serve(operator.config(), credentials=application, system_credentials=system)


def jwt_and_seed(world: World) -> ConnectionProfile:
    operator = Operator()
    jwt, seed = operator.application.user("app")
    return world.serve(
        operator.config(),
        credentials=Credentials(CredentialKind.JWT, user_jwt=jwt, user_seed=f"data:,{seed}"),
    )


def tls(world: World) -> ConnectionProfile:
    return world.serve(world.certificates.block(), tls=world.certificates.trust)


def tls_scheme(world: World) -> ConnectionProfile:
    profile = tls(world)
    return replace(profile, urls=(profile.urls[0].replace("nats://", "tls://"),))


def tls_unverified(world: World) -> ConnectionProfile:
    return world.serve(world.certificates.block(), tls=TlsOptions(skip_verify=True))


def tls_other_name(world: World) -> ConnectionProfile:
    block = world.certificates.block(server="elsewhere")
    return world.serve(block, tls=replace(world.certificates.trust, server_name="nats.example.org"))


def mutual_tls(world: World) -> ConnectionProfile:
    return world.serve(world.certificates.block("verify: true"), tls=world.certificates.mutual)


def user_of_the_certificate(world: World) -> ConnectionProfile:
    block = world.certificates.block("verify_and_map: true")
    users = 'authorization { users: [{ user: "someone@example.org" }] }'
    return world.serve(f"{block}\n{users}", tls=world.certificates.mutual)


def tls_first(world: World) -> ConnectionProfile:
    return world.serve(
        world.certificates.block("handshake_first: true"),
        tls=replace(world.certificates.trust, handshake_first=True),
    )


def websocket(world: World) -> ConnectionProfile:
    return world.websocket('websocket { listen: "127.0.0.1:-1", no_tls: true }', "ws")


def secure_websocket(world: World) -> ConnectionProfile:
    block = f'websocket {{ listen: "127.0.0.1:-1", {world.certificates.block()} }}'
    return world.websocket(block, "wss", tls=world.certificates.trust)


def secure_websocket_other_name(world: World) -> ConnectionProfile:
    block = f'websocket {{ listen: "127.0.0.1:-1", {world.certificates.block(server="elsewhere")} }}'
    trust = replace(world.certificates.trust, server_name="nats.example.org")
    return world.websocket(block, "wss", tls=trust)


def secure_websocket_with_login(world: World) -> ConnectionProfile:
    block = f'websocket {{ listen: "127.0.0.1:-1", {world.certificates.block("verify: true")} }}'
    return world.websocket(
        f"{block}\n{ACCOUNTS}",
        "wss",
        tls=world.certificates.mutual,
        credentials=password("app", "geheim"),
        system_credentials=password("sys", "geheim"),
    )


def own_inbox(world: World) -> ConnectionProfile:
    users = """authorization { users: [{ user: ada, password: geheim, permissions: {
        publish: ">", subscribe: { allow: ["_INBOX_ada.>", "$JS.EVENT.>", "$SYS.>"] } } }] }"""
    return world.serve(users, credentials=password("ada", "geheim"), inbox_prefix="_INBOX_ada")


def nsc_user(world: World) -> ConnectionProfile:
    operator = Operator()
    folder = world.folder / "data" / "nats" / "nsc" / "keys" / "creds" / "OP" / "APP"
    folder.mkdir(parents=True)
    write_creds(folder / "ada.creds", *operator.application.user("ada"))
    world.patch.setenv("XDG_DATA_HOME", str(world.folder / "data"))
    return world.serve(operator.config(), credentials=Credentials(CredentialKind.NSC, nsc="nsc://OP/APP/ada"))


def own_domain(world: World) -> ConnectionProfile:
    return world.serve("jetstream { domain: hub }", jetstream_domain="hub")


def domain_behind_a_leaf(world: World) -> ConnectionProfile:
    hub = world.start(
        config='jetstream { domain: hub }\nleafnodes { listen: "127.0.0.1:-1" }\nserver_name: hub',
    )
    assert isinstance(hub, ServerProcess)
    found = re.search(r"Listening for leafnode connections on 127\.0\.0\.1:(\d+)", hub.log())
    assert found is not None
    leaf = f'leafnodes {{ remotes: [{{ url: "nats://127.0.0.1:{found[1]}" }}] }}\nserver_name: leaf'
    return world.serve(f"jetstream {{ domain: leaf }}\n{leaf}", jetstream_domain="hub")


def other_prefix(world: World) -> ConnectionProfile:
    accounts = """accounts {
        OWNER { jetstream: enabled, users: [{ user: owner, password: geheim }], exports: [
            { service: "$JS.API.>", response_type: stream }, { service: orders } ] }
        APP { users: [{ user: app, password: geheim }], imports: [
            { service: { account: OWNER, subject: "$JS.API.>" }, to: "owner.API.>" },
            { service: { account: OWNER, subject: orders } } ] }
    }"""
    return world.serve(accounts, credentials=password("app", "geheim"), jetstream_api_prefix="owner.API")


KINDS: list[Kind] = [
    no_login,
    token,
    token_in_url,
    user_in_url,
    user_and_system,
    nkey,
    creds_and_system_creds,
    jwt_and_seed,
    tls,
    tls_scheme,
    tls_unverified,
    tls_other_name,
    mutual_tls,
    user_of_the_certificate,
    tls_first,
    websocket,
    secure_websocket,
    secure_websocket_other_name,
    secure_websocket_with_login,
    own_inbox,
    nsc_user,
    own_domain,
    domain_behind_a_leaf,
    other_prefix,
]


async def seen(session: Session, condition: Callable[[ClusterSnapshot], object]) -> ClusterSnapshot:
    """Wait for a snapshot that fits."""
    found: asyncio.Future[ClusterSnapshot] = asyncio.get_running_loop().create_future()

    def look(snapshot: ClusterSnapshot) -> None:
        if not found.done() and condition(snapshot):
            found.set_result(snapshot)

    unsubscribe = session.subscribe(look)
    look(session.snapshot)
    try:
        return await asyncio.wait_for(found, PATIENCE)
    finally:
        unsubscribe()


async def test_it(profile: ConnectionProfile) -> dict[str, Step]:
    """Run the staged test of a connection."""
    return {step.key: step for step in await Diagnosis(profile).run()}


test_it.__test__ = False  # type: ignore[attr-defined]


async def make_stream(session: Session) -> None:
    """Make a stream as soon as the API can be reached: through a leaf node that takes a moment."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            await session.api("STREAM.CREATE.orders", {"name": "orders", "subjects": ["orders"]})
        except NoResponder:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)  # polls; the deadline is what counts
        else:
            return


def through_the_form(profile: ConnectionProfile, store: ProfileStore) -> ConnectionProfile:
    """A profile as the window's form gives it back, nothing taken but what its fields hold."""
    form = ConnectionForm(None, store, profile)
    form._before = ConnectionProfile("")
    assert form._problem() == ""
    made = form.profile()
    form.deleteLater()
    return made


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_a_session_reads_streams_and_the_test_passes(kind: Kind, world: World, qapp: object) -> None:
    profile = through_the_form(kind(world), ProfileStore(world.folder))
    session = Session(profile)
    try:
        await session.connect()
        await make_stream(session)
        await seen(session, lambda snapshot: "orders" in snapshot.streams)
        assert not session.snapshot.errors or kind is domain_behind_a_leaf
        assert (session.system is not None) == (profile.system_credentials is not None)
        stored = await session.jetstream.publish("orders", b"one", stream="orders", timeout=10)
        assert stored.seq == 1
        message = await session.jetstream.get_msg("orders", 1)
        assert message.data == b"one"
    finally:
        await session.close()
    steps = await test_it(profile)
    states = {key: step.state for key, step in steps.items()}
    assert set(states.values()) <= {PASSED, SKIPPED}, steps
    secured = profile.tls != TlsOptions()
    assert (states["tls"] == PASSED) == secured, steps["tls"]
    assert states["greeting"] == PASSED
    assert (states["system"] == PASSED) == (profile.system_credentials is not None)
    assert FAILED not in states.values()


async def refused(profile: ConnectionProfile) -> ConnectionFailure:
    """Connect, and expect it to fail."""
    session = Session(profile)
    with pytest.raises(ConnectionFailure) as caught:
        await session.connect()
    await session.close()
    return caught.value


# What is wrong, and where --------------------------------------------------------------------


@dataclass(frozen=True)
class Wrong:
    """A profile that does not get in, or not everywhere: the step that fails, and words in what it says."""

    build: Kind
    step: str
    words: tuple[str, ...]


def expired_creds(world: World) -> ConnectionProfile:
    operator = Operator()
    path = write_creds(world.folder / "old.creds", *operator.application.user("old", int(time.time()) - 60))
    return world.serve(operator.config(), credentials=Credentials(CredentialKind.CREDS, creds_path=str(path)))


def creds_of_a_stranger(world: World) -> ConnectionProfile:
    path = write_creds(world.folder / "other.creds", *Operator().application.user("other"))
    return world.serve(
        Operator().config(), credentials=Credentials(CredentialKind.CREDS, creds_path=str(path))
    )


def no_jetstream_for_the_account(world: World) -> ConnectionProfile:
    accounts = """accounts {
        APP { jetstream: enabled, users: [{ user: app, password: geheim }] }
        OTHER { users: [{ user: other, password: geheim }] }
    }"""
    return world.serve(accounts, credentials=password("other", "geheim"))


def no_inbox(world: World) -> ConnectionProfile:
    profile = own_inbox(world)
    return replace(profile, inbox_prefix="")


def system_login_of_another_account(world: World) -> ConnectionProfile:
    profile = user_and_system(world)
    return replace(profile, system_credentials=password("app", "geheim"))


def wrong_system_password(world: World) -> ConnectionProfile:
    profile = user_and_system(world)
    return replace(profile, system_credentials=password("sys", "falsch"))


def plain(world: World, **changes: object) -> ConnectionProfile:
    return replace(world.serve(""), **changes)  # type: ignore[arg-type]


def missing_client_certificate(world: World) -> ConnectionProfile:
    return replace(mutual_tls(world), tls=world.certificates.trust)


def missing_client_certificate_first(world: World) -> ConnectionProfile:
    block = world.certificates.block("verify: true, handshake_first: true")
    return world.serve(block, tls=replace(world.certificates.trust, handshake_first=True))


def monitoring_port_as_websocket(world: World) -> ConnectionProfile:
    server = world.start(config="")
    assert isinstance(server, ServerProcess)
    return ConnectionProfile("test", urls=(f"ws://127.0.0.1:{server.monitoring_port}",))


def expired_certificate(world: World) -> ConnectionProfile:
    return world.serve(world.certificates.block(server="old"), tls=world.certificates.trust)


def expired_certificate_over_websocket(world: World) -> ConnectionProfile:
    block = f'websocket {{ listen: "127.0.0.1:-1", {world.certificates.block(server="old")} }}'
    return world.websocket(block, "wss", tls=world.certificates.trust)


def client_certificate(name: str) -> Kind:
    """A client certificate that the server does not accept."""

    def build(world: World) -> ConnectionProfile:
        path = world.certificates.path
        own = replace(world.certificates.trust, cert_path=path(name), key_path=path(f"{name}-key"))
        return replace(mutual_tls(world), tls=own)

    return build


def key_of_another_certificate(world: World) -> ConnectionProfile:
    own = replace(world.certificates.mutual, key_path=world.certificates.path("server-key"))
    return replace(mutual_tls(world), tls=own)


def protected_key(world: World) -> ConnectionProfile:
    path = world.folder / "protected.pem"
    key = load_pem_private_key(Path(world.certificates.path("client-key")).read_bytes(), None)
    secret = BestAvailableEncryption(b"geheim")
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
    own = replace(world.certificates.mutual, key_path=str(path))
    return plain(world, tls=own)


def no_authority(world: World) -> ConnectionProfile:
    path = world.folder / "no-ca.pem"
    path.write_text("this is no certificate\n")
    return plain(world, tls=TlsOptions(ca_path=str(path)))


def unknown_nkey(world: World) -> ConnectionProfile:
    other = nkeys.encode_seed(b"another0123456789another01234567", nkeys.PREFIX_BYTE_USER).decode()
    return replace(nkey(world), credentials=Credentials(CredentialKind.NKEY, nkey_seed=f"data:,{other}"))


def no_seed(world: World) -> ConnectionProfile:
    path = world.folder / "no.nk"
    path.write_text("this is no seed\n")
    return plain(world, credentials=Credentials(CredentialKind.NKEY, nkey_path=str(path)))


def no_creds(world: World) -> ConnectionProfile:
    path = world.folder / "no.creds"
    path.write_text("this is no credentials file\n")
    return plain(world, credentials=Credentials(CredentialKind.CREDS, creds_path=str(path)))


WRONG = {
    "wrong token": Wrong(
        lambda world: replace(token(world), credentials=Credentials(CredentialKind.TOKEN, token="falsch")),
        "login",
        ("refused the login", "token"),
    ),
    "no login where one is wanted": Wrong(
        lambda world: replace(token(world), credentials=Credentials()),
        "login",
        ("refused the login", "none was given"),
    ),
    "a key nobody knows": Wrong(unknown_nkey, "login", ("refused the login",)),
    "no seed in the file": Wrong(no_seed, "profile", ("no.nk", "seed")),
    "no credentials in the file": Wrong(no_creds, "profile", ("no.creds",)),
    "an expired certificate": Wrong(
        expired_certificate, "tls", ("has expired", "expired on", "Renew the server's certificate")
    ),
    "an expired certificate over websocket": Wrong(
        expired_certificate_over_websocket, "tls", ("has expired", "Renew the server's certificate")
    ),
    "an expired client certificate": Wrong(
        client_certificate("old-client"), "tls", ("client certificate", "expired")
    ),
    "a client certificate of an unknown authority": Wrong(
        client_certificate("other-client"), "tls", ("client certificate",)
    ),
    "a key of another certificate": Wrong(
        key_of_another_certificate, "profile", ("server-key.pem does not belong to the certificate",)
    ),
    "a key with a password": Wrong(
        protected_key, "profile", ("protected.pem is protected by a password", "openssl pkey")
    ),
    "no authority in the file": Wrong(no_authority, "profile", ("no-ca.pem cannot be used",)),
    "websocket without tls at a secure one": Wrong(
        lambda world: replace(
            (made := secure_websocket(world)), urls=(made.urls[0].replace("wss://", "ws://"),)
        ),
        "greeting",
        ("wss://",),
    ),
    "secure websocket at a plain one": Wrong(
        lambda world: replace((made := websocket(world)), urls=(made.urls[0].replace("ws://", "wss://"),)),
        "tls",
        ("does not speak TLS", "ws://"),
    ),
    "wrong api prefix": Wrong(
        lambda world: replace(other_prefix(world), jetstream_api_prefix="owner.APL"),
        "jetstream",
        ("Nothing answers owner.APL.INFO", "API prefix"),
    ),
    "nobody listens": Wrong(
        lambda world: plain(world, urls=("nats://127.0.0.1:1",)), "connect", ("Nothing listens",)
    ),
    "no such host": Wrong(
        lambda world: plain(world, urls=("nats://no-such-host.invalid",)), "resolve", ("not known",)
    ),
    "no such scheme": Wrong(
        lambda world: plain(world, urls=("http://127.0.0.1:4222",)), "profile", ("nats://host:port",)
    ),
    "no nsc user": Wrong(
        lambda world: replace(
            nsc_user(world), credentials=Credentials(CredentialKind.NSC, nsc="nsc://OP/APP/bob")
        ),
        "profile",
        ("nsc://OP/APP/bob", "nsc generate creds"),
    ),
    "no file": Wrong(
        lambda world: plain(world, credentials=Credentials(CredentialKind.CREDS, creds_path="/none.creds")),
        "profile",
        ("/none.creds", "cannot be read"),
    ),
    "websocket at the monitoring port": Wrong(
        monitoring_port_as_websocket, "greeting", ("not as a WebSocket", "HTTP 200")
    ),
    "tls first with a server that greets": Wrong(
        lambda world: plain(world, tls=TlsOptions(handshake_first=True)), "tls", ("TLS first",)
    ),
    "greeting first with a server that wants tls": Wrong(
        lambda world: replace(tls_first(world), tls=world.certificates.trust), "greeting", ("TLS first",)
    ),
    "an authority nobody knows": Wrong(
        lambda world: replace(tls(world), tls=TlsOptions(server_name="localhost")),
        "tls",
        ("for localhost, 127.0.0.1, issued by ca, valid until", "authority's file"),
    ),
    "a certificate for another host": Wrong(
        lambda world: replace(tls_other_name(world), tls=world.certificates.trust),
        "tls",
        ("for nats.example.org, issued by ca", "set the server name"),
    ),
    "another host over websocket": Wrong(
        lambda world: replace(secure_websocket_other_name(world), tls=world.certificates.trust),
        "tls",
        ("for nats.example.org, issued by ca", "set the server name"),
    ),
    "no client certificate": Wrong(missing_client_certificate, "tls", ("client certificate",)),
    "no client certificate, tls first": Wrong(
        missing_client_certificate_first, "greeting", ("client certificate",)
    ),
    "wrong password": Wrong(
        lambda world: replace(user_and_system(world), credentials=password("app", "falsch")),
        "login",
        ("refused the login",),
    ),
    "expired": Wrong(expired_creds, "login", ("expired",)),
    "a stranger": Wrong(creds_of_a_stranger, "login", ("refused the login",)),
    "no jetstream": Wrong(no_jetstream_for_the_account, "jetstream", ("not enabled", "Enable JetStream")),
    "wrong domain": Wrong(
        lambda world: replace(own_domain(world), jetstream_domain="hup"),
        "jetstream",
        ("Nothing answers $JS.hup.API.INFO", "domain is hub"),
    ),
    "no inbox": Wrong(no_inbox, "jetstream", ("subscription to", "inbox prefix")),
    "system login of another account": Wrong(
        system_login_of_another_account, "system", ("not the system account",)
    ),
    "wrong system password": Wrong(wrong_system_password, "system", ("refused the login",)),
}


@pytest.mark.parametrize("name", WRONG)
async def test_the_step_that_fails_is_named_with_the_mend(name: str, world: World) -> None:
    wrong = WRONG[name]
    steps = await test_it(wrong.build(world))
    failed = [step for step in steps.values() if step.state == FAILED]
    assert [step.key for step in failed] == [wrong.step], steps
    for words in wrong.words:
        assert words in failed[0].detail
    order = list(steps)
    later = order[order.index(wrong.step) + 1 :]
    assert all(steps[key].state == "pending" for key in later)


async def test_a_session_says_the_same_of_a_login_that_has_expired(world: World) -> None:
    failure = await refused(expired_creds(world))
    assert failure.stage is Stage.LOGIN
    assert "expired" in str(failure)


async def test_what_is_known_of_a_leaf_s_domain_stays_while_its_link_is_cut(world: World) -> None:
    here = world.start(
        config='jetstream { domain: here }\nleafnodes { listen: "127.0.0.1:-1" }\nserver_name: here'
    )
    assert isinstance(here, ServerProcess)
    found = re.search(r"Listening for leafnode connections on 127\.0\.0\.1:(\d+)", here.log())
    assert found is not None
    remote = f'leafnodes {{ reconnect: 1, remotes: [{{ url: "nats://127.0.0.1:{found[1]}" }}] }}'
    far = world.start(config=f"jetstream {{ domain: far }}\n{remote}\nserver_name: far")
    assert isinstance(far, ServerProcess)
    session = Session(
        ConnectionProfile("leaf", urls=(here.url,), jetstream_domain="far", request_timeout=2.0)
    )
    await session.connect()
    try:
        await make_stream(session)
        await seen(session, lambda s: "orders" in s.streams and s.streams["orders"].is_read)
        far.kill()
        cut = await seen(session, lambda s: "Nothing answers $JS.far.API" in s.errors.get("account", ""))
        assert cut.streams["orders"].is_read
        assert "jetstream" not in cut.errors
        far.start()
        again = await seen(session, lambda s: "account" not in s.errors)
        assert again.account is not None
        assert again.account.domain == "far"
        assert again.streams["orders"].is_read
    finally:
        await session.close()


async def test_of_several_servers_those_that_do_not_answer_are_told(world: World) -> None:
    profile = no_login(world)
    urls = ("nats://127.0.0.1:1", *profile.urls, "nats://no-such-host.invalid:4222")
    steps = await test_it(replace(profile, urls=urls))
    assert {step.state for step in steps.values()} <= {PASSED, SKIPPED}
    assert "no-such-host.invalid is not known" in steps["resolve"].detail
    assert "Nothing listens at nats://127.0.0.1:1" in steps["connect"].detail


async def test_the_first_server_that_answers_is_taken_also_with_the_system_login(world: World) -> None:
    profile = user_and_system(world)
    session = Session(replace(profile, urls=("nats://127.0.0.1:1", *profile.urls)))
    try:
        await session.connect()
        await session.raft.wait_ready()
        assert session.raft.system_client is not None
        assert session.nats.connected_url is not None
        assert str(session.nats.connected_url.port) in profile.urls[0]
    finally:
        await session.close()


async def test_what_a_user_may_do_is_said(world: World) -> None:
    users = """authorization { users: [{ user: ada, password: geheim, permissions: { publish: { allow: [
        "$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.STREAM.INFO.*",
        "$JS.API.CONSUMER.LIST.*", "$JS.API.DIRECT.GET.>", "$SYS.REQ.USER.INFO" ] } } }] }"""
    steps = await test_it(world.serve(users, credentials=password("ada", "geheim")))
    assert steps["login"].detail == "accepted as ada, account $G"
    assert steps["permissions"].detail == (
        "may list streams, list groups, read messages; may not create streams, create groups, delete streams"
    )


async def test_when_a_login_ends_is_said(world: World) -> None:
    operator = Operator()
    soon = int(time.time()) + 3 * 86400 + 600
    path = write_creds(world.folder / "soon.creds", *operator.application.user("soon", soon))
    steps = await test_it(
        world.serve(operator.config(), credentials=Credentials(CredentialKind.CREDS, creds_path=str(path)))
    )
    assert "in 3 days" in steps["login"].detail


def test_the_command_line_takes_servers_and_logins(world: World) -> None:
    """Without a display it shows in the terminal which server took it in."""
    profile = creds_and_system_creds(world)
    assert profile.system_credentials is not None
    arguments = ["--connect", f"nats://127.0.0.1:1,{profile.urls[0]}"]
    arguments += ["--creds", profile.credentials.creds_path]
    arguments += ["--system-creds", profile.system_credentials.creds_path]
    environment = {key: value for key, value in os.environ.items() if "DISPLAY" not in key}
    environment.pop("QT_QPA_PLATFORM", None)
    environment[HOME_VARIABLE] = str(world.folder / "home")
    with subprocess.Popen(
        program_command(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline().startswith(f"connected to {profile.urls[0]};")
        program.terminate()
        assert program.wait(PATIENCE) == 0
    refusal = subprocess.run(
        program_command(*arguments[:2]), capture_output=True, text=True, env=environment, check=False
    )
    assert refusal.returncode == 1
    assert "refused the login" in refusal.stderr


def test_check_prints_the_steps_and_tells_by_its_exit_code(world: World) -> None:
    """For a terminal, for scripts, and for the probes of a container."""
    profile = user_and_system(world)

    def check(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = program_command("check", "--connect", profile.urls[0], "--user", "app", *arguments)
        environment = {**os.environ, "WORD": "geheim", HOME_VARIABLE: str(world.folder / "home")}
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    good = check("--password", "env://WORD")
    assert good.returncode == 0, good.stdout
    assert re.search(r"^ok +Log in +\d+ ms  accepted as app, account APP$", good.stdout, re.MULTILINE)
    told = json.loads(check("--password", "env://WORD", "--json").stdout)
    assert told["ok"]
    bad = check("--password", "falsch", "--quiet")
    assert (bad.returncode, bad.stdout) == (1, "")
    assert bad.stderr.startswith("Log in: ")
    missing = check("--password", "env://WORD", "--require", "memphis")
    assert missing.returncode == 1
    assert re.search(r"^MISSING +Memphis layer", missing.stdout, re.MULTILINE)
