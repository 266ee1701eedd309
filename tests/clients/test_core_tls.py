"""TLS in all its ways, with nats-py on our broker and on nats-server."""

from __future__ import annotations

import asyncio
import datetime
import gc
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import nats.errors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.conftest import Connect, Starter


@dataclass(frozen=True)
class Certificates:
    """Files of an authority, of the server and of a client."""

    folder: Path

    def block(self, more: str = "") -> str:
        names = {"cert_file": "server", "key_file": "server-key", "ca_file": "ca"}
        files = ", ".join(f'{key}: "{self.folder / name}.pem"' for key, name in names.items())
        return f"tls {{ {files}, timeout: 3, {more} }}"

    def context(self, *, client: bool = True) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        if client:
            context.load_cert_chain(self.folder / "client.pem", self.folder / "client-key.pem")
        return context


def write_certificate(
    folder: Path,
    name: str,
    alternative_names: list[x509.GeneralName],
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
    *,
    days: float = 1,  # from now; the past when negative
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=10))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if alternative_names:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternative_names), critical=False)
    certificate = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}-key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate, key


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    authority = write_certificate(folder, "ca", [], None)
    here = [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")]
    write_certificate(folder, "server", here, authority)
    write_certificate(folder, "client", [x509.RFC822Name("someone@example.org")], authority)
    return Certificates(folder)


@pytest.fixture(params=["nats-server", "memphis-desktop"])
def start(request: pytest.FixtureRequest) -> Starter:
    name = "start_nats_server" if request.param == "nats-server" else "start_broker"
    starter: Callable[..., object] = request.getfixturevalue(name)
    return lambda config: starter(config=config, jetstream=False)


async def exchange(client: object) -> None:
    """Publish and receive more than one TLS record."""
    inbox = await client.subscribe("a.>")  # type: ignore[attr-defined]
    for size in (0, 10, 20_000, 300_000):
        await client.publish("a.b", b"x" * size)  # type: ignore[attr-defined]
        assert len((await inbox.next_msg(timeout=30)).data) == size


@pytest.mark.parametrize(
    ("more", "first"),
    [
        ("", False),
        ("verify: true", False),
        ("handshake_first: true", True),
        ("handshake_first: auto", False),
        ("handshake_first: auto", True),
        ('handshake_first: "200ms"', True),
    ],
)
async def test_secured(
    start: Starter, connect: Connect, certificates: Certificates, more: str, first: bool
) -> None:
    server = start(certificates.block(more))
    client = await connect(
        f"tls://127.0.0.1:{server.port}", tls=certificates.context(), tls_handshake_first=first
    )
    await exchange(client)
    assert client._server_info["tls_required"] is True


async def test_a_client_without_certificate_is_refused(
    start: Starter, connect: Connect, certificates: Certificates
) -> None:
    server = start(certificates.block("verify: true"))
    without = certificates.context(client=False)

    async def try_it() -> None:
        client = await connect(f"tls://127.0.0.1:{server.port}", tls=without, connect_timeout=3)
        await exchange(client)

    with pytest.raises((OSError, nats.errors.Error)):
        await try_it()


async def test_both_kinds_of_clients(start: Starter, connect: Connect, certificates: Certificates) -> None:
    server = start("allow_non_tls: true\n" + certificates.block())
    plain = await connect(server.url)
    secured = await connect(f"tls://127.0.0.1:{server.port}", tls=certificates.context())
    for client in (plain, secured):
        await exchange(client)
    assert plain._server_info["tls_available"] is True


async def test_the_certificate_names_the_user(
    start: Starter, connect: Connect, certificates: Certificates
) -> None:
    users = 'authorization { users: [ {user: "someone@example.org"}, {user: other} ] }\n'
    server = start(users + certificates.block("verify_and_map: true"))
    client = await connect(f"tls://127.0.0.1:{server.port}", tls=certificates.context())
    answer = await client.request("$SYS.REQ.USER.INFO", b"", timeout=30)
    assert b'"user":"someone@example.org"' in answer.data


@pytest.mark.filterwarnings(  # of the client: an old way to name a timeout, a session it leaves open
    "ignore:.*timeout.*:DeprecationWarning",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize("compression", ["false", "true"])
async def test_websocket(
    start: Starter, connect: Connect, certificates: Certificates, scheme: str, compression: str
) -> None:
    way = "no_tls: true" if scheme == "ws" else certificates.block()
    server = start(f'websocket {{ listen: "127.0.0.1:-1", compression: {compression}, {way} }}')
    found = [line for line in server.log().splitlines() if "Listening for websocket clients" in line]
    port = found[0].rsplit(":", 1)[1]
    options = {"tls": certificates.context()} if scheme == "wss" else {}
    client = await connect(f"{scheme}://127.0.0.1:{port}", **options)
    await exchange(client)
    other = await connect(server.url)
    inbox = await other.subscribe("from.web")
    await other.flush()
    await client.publish("from.web", b"hello")
    assert (await inbox.next_msg(timeout=30)).data == b"hello"
    await client.close()
    await asyncio.sleep(0)
    gc.collect()  # what the client left open is reported here, not in another test
