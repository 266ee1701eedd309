"""What does not get in: the staged test names the step that fails, and the mend."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import nkeys
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from memphis_desktop.cluster.diagnosis import FAILED
from memphis_desktop.cluster.failures import Stage
from memphis_desktop.cluster.profiles import (
    ConnectionProfile,
    CredentialKind,
    Credentials,
    TlsOptions,
)
from memphis_desktop.server_process import ServerProcess
from tests.clients.attach.kinds import (
    Kind,
    World,
    diagnosed,
    mutual_tls,
    nkey,
    nsc_user,
    other_prefix,
    own_domain,
    own_inbox,
    password,
    refused,
    secure_websocket,
    secure_websocket_other_name,
    tls,
    tls_first,
    tls_other_name,
    token,
    user_and_system,
    websocket,
)
from tests.operators import Operator, write_creds

pytestmark = pytest.mark.filterwarnings("ignore:parameter 'timeout':DeprecationWarning")  # nats-py's aiohttp


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
    steps = await diagnosed(wrong.build(world))
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
