"""Servers of every kind, each with the profile that gets in."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import nkeys
import pytest

from memphis_desktop.cluster.diagnosis import Diagnosis, Step
from memphis_desktop.cluster.failures import ConnectionFailure
from memphis_desktop.cluster.profiles import (
    ConnectionProfile,
    CredentialKind,
    Credentials,
    TlsOptions,
)
from memphis_desktop.cluster.session import Session
from memphis_desktop.server_process import ServerProcess
from tests.conftest import Starter
from tests.operators import Operator, write_creds


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


def password(user: str, word: str) -> Credentials:
    return Credentials(CredentialKind.PASSWORD, user=user, password=word)


def new_user_key() -> tuple[str, str]:
    """A seed and its public key."""
    seed = nkeys.encode_seed(b"0123456789abcdef0123456789abcdef", nkeys.PREFIX_BYTE_USER)
    return bytes(seed).decode(), bytes(nkeys.from_seed(bytearray(seed)).public_key).decode()


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


async def diagnosed(profile: ConnectionProfile) -> dict[str, Step]:
    """Run the staged test of a connection."""
    return {step.key: step for step in await Diagnosis(profile).run()}


async def refused(profile: ConnectionProfile) -> ConnectionFailure:
    """Connect, and expect it to fail."""
    session = Session(profile)
    with pytest.raises(ConnectionFailure) as caught:
        await session.connect()
    await session.close()
    return caught.value
