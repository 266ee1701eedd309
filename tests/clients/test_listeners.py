"""What a configuration says of TLS, WebSocket and proxies, on our broker and on nats-server."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats.errors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from memphis_desktop.broker import nkeys
from memphis_desktop.server_process import ServerProcess
from tests.clients.test_core_tls import Certificates, write_certificate
from tests.clients.wire import session
from tests.conftest import Connect, Starter
from tests.operators import Key

QUIET = pytest.mark.filterwarnings(  # of the client: an old way to name a timeout, a session it leaves open
    "ignore:.*timeout.*:DeprecationWarning",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    authority = write_certificate(folder, "ca", [], None)
    for name in ("server", "second", "client", "stranger"):
        write_certificate(folder, name, [x509.DNSName(f"{name}.test"), x509.DNSName("localhost")], authority)
    return Certificates(folder)


@pytest.fixture(params=["nats-server", "memphis-desktop"])
def start(request: pytest.FixtureRequest) -> Starter:
    name = "start_nats_server" if request.param == "nats-server" else "start_broker"
    starter: Callable[..., object] = request.getfixturevalue(name)
    return lambda config: starter(config=config, jetstream=False)


def handshake(server: ServerProcess, context: ssl.SSLContext, name: str = "server.test") -> ssl.SSLSocket:
    """Connect as a client does, up to the end of TLS."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    line = b""
    while not line.endswith(b"\r\n"):
        line += connection.recv(4096)
    return context.wrap_socket(connection, server_hostname=name)


def key_hash(path: Path) -> str:
    key = x509.load_pem_x509_certificate(path.read_bytes()).public_key()
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).hexdigest()


def test_only_pinned_certificates_come_in(start: Starter, certificates: Certificates) -> None:
    pin = key_hash(certificates.folder / "client.pem").upper()
    server = start(certificates.block(f'verify: true, pinned_certs: ["{pin}"]'))
    with handshake(server, certificates.context()) as connection:
        connection.sendall(b'CONNECT {"verbose":false}\r\nPING\r\n')
        assert connection.recv(100).startswith(b"PONG")
    stranger = ssl.create_default_context(cafile=certificates.folder / "ca.pem")
    stranger.load_cert_chain(certificates.folder / "stranger.pem", certificates.folder / "stranger-key.pem")
    with handshake(server, stranger) as connection:
        connection.sendall(b'CONNECT {"verbose":false}\r\nPING\r\n')
        with contextlib.suppress(OSError):
            assert connection.recv(100) == b""


def test_cipher_suites_and_curves(start: Starter, certificates: Certificates) -> None:
    name = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
    server = start(certificates.block(f'cipher_suites: ["{name}"], curve_preferences: ["CurveP384"]'))
    context = certificates.context(client=False)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with handshake(server, context) as connection:
        assert connection.cipher() == ("ECDHE-ECDSA-AES256-GCM-SHA384", "TLSv1.2", 256)
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    with pytest.raises(OSError):
        handshake(server, context)
    other = certificates.context(client=False)
    other.set_ecdh_curve("X25519")
    with pytest.raises(OSError):
        handshake(server, other)


def test_the_certificate_is_chosen_by_name(start: Starter, certificates: Certificates) -> None:
    def pair(name: str) -> str:
        path = certificates.folder / name
        return f'{{ cert_file: "{path}.pem", key_file: "{path}-key.pem" }}'

    pairs = f"{pair('server')}, {pair('second')}"
    server = start(f"tls {{ certs: [ {pairs} ] }}")
    context = certificates.context(client=False)
    for name in ("second.test", "server.test", "localhost"):
        with handshake(server, context, name) as connection:
            names = [value for _, value in connection.getpeercert()["subjectAltName"]]  # type: ignore[index]
            assert name in names
            assert (name != "localhost") or "server.test" in names  # the first serves whom none names


def test_connections_a_second_are_limited(start: Starter, certificates: Certificates) -> None:
    server = start(certificates.block("connection_rate_limit: 2"))
    throttled = 0
    for _ in range(60):  # some are closed before what they were told has arrived
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            throttled += b"Connection throttling is active" in connection.recv(4096)
        if throttled == 4:
            break
    assert throttled == 4


# -- WebSocket -----------------------------------------------------------------------------------------------
def web_port(server: ServerProcess) -> int:
    found = re.search(r"Listening for websocket clients on wss?://127\.0\.0\.1:(\d+)", server.log())
    assert found is not None
    return int(found[1])


def upgrade(server: ServerProcess, **fields: str) -> bytes:
    """Ask for a WebSocket and return the head of the answer."""
    lines = {
        "Host": "127.0.0.1",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(b"x" * 16).decode(),
        "Sec-WebSocket-Version": "13",
        **{name.replace("_", "-"): value for name, value in fields.items()},
    }
    text = "GET / HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
    with socket.create_connection(("127.0.0.1", web_port(server)), timeout=10) as connection:
        connection.sendall(text.encode())
        received = b""
        while b"\r\n\r\n" not in received:
            piece = connection.recv(4096)
            if not piece:
                break
            received += piece
    return received.partition(b"\r\n\r\n")[0]


def test_headers_and_origins_of_the_handshake(start: Starter) -> None:
    server = start(
        'websocket { listen: "127.0.0.1:-1", no_tls: true, headers { X-Here: "a b" }, '
        'allowed_origins: ["https://good.test"] }'
    )
    answer = upgrade(server)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"\r\nX-Here: a b" in answer
    assert upgrade(server, Origin="https://good.test").startswith(b"HTTP/1.1 101 ")
    assert upgrade(server, Origin="https://bad.test").startswith(b"HTTP/1.1 403 ")


@QUIET
@pytest.mark.parametrize("login", [{"user": "web", "password": "w"}, {"token": "t"}])
async def test_logins_of_its_own(start: Starter, connect: Connect, login: dict[str, str]) -> None:
    word = "user: web, password: w" if "user" in login else "token: t"
    server = start(f'websocket {{ listen: "127.0.0.1:-1", no_tls: true, authorization {{ {word} }} }}')
    url = f"ws://127.0.0.1:{web_port(server)}"
    client = await connect(url, **login)
    assert client._server_info["auth_required"] is True
    for wrong in ({}, {"user": "web", "password": "x"}, {"token": "x"}):
        with pytest.raises(nats.errors.Error):
            await connect(url, error_cb=ignore, **wrong)
    await connect(server.url)  # nobody is asked there


@QUIET
async def test_every_listener_tells_its_own_address(start: Starter, connect: Connect) -> None:
    server = start(
        'client_advertise: "192.0.2.1:1"\n'
        'websocket { listen: "127.0.0.1:-1", no_tls: true, advertise: "192.0.2.2:2" }'
    )
    port = web_port(server)
    told = [(await connect(url))._server_info for url in (server.url, f"ws://127.0.0.1:{port}")]
    assert [(info["host"], info["port"]) for info in told] == [("192.0.2.1", 1), ("127.0.0.1", port)]
    assert not any("connect_urls" in info for info in told)


@QUIET
async def test_a_nameless_user_of_its_own(start: Starter, connect: Connect) -> None:
    server = start(
        "accounts { A { users: [{ user: web, password: w }] }, B { users: [{ user: b, password: b }] } }\n"
        'websocket { listen: "127.0.0.1:-1", no_tls: true, no_auth_user: web }'
    )
    client = await connect(f"ws://127.0.0.1:{web_port(server)}")
    assert (await described(client))["user"] == "web"
    with pytest.raises(nats.errors.Error):
        await connect(server.url, error_cb=ignore)


async def ignore(error: Exception) -> None:
    pass


async def described(client: Any) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((await client.request("$SYS.REQ.USER.INFO", timeout=30)).data)["data"]
    return data


# -- who comes in --------------------------------------------------------------------------------------------
async def test_users_of_the_system_account_alone_lock_nobody_out(start: Starter, connect: Connect) -> None:
    server = start("accounts { $SYS { users: [{ user: admin, password: a }] } }")
    assert (await described(await connect(server)))["account"] == "$G"
    assert (await described(await connect(server, user="admin", password="a")))["account"] == "$SYS"
    with pytest.raises(nats.errors.Error):
        await connect(server, user="other", password="a", error_cb=ignore)


def through_proxy(server: ServerProcess, proxy: Key | None) -> bytes:
    """Log in as user p, with the nonce signed by a proxy, and return what the server says."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        greeting = b""
        while not greeting.endswith(b"\r\n"):
            greeting += connection.recv(4096)
        nonce = json.loads(greeting[5:])["nonce"]
        login = {"verbose": False, "user": "p", "pass": "p"}
        if proxy is not None:
            login["proxy_sig"] = proxy.sign(nonce.encode())
        connection.sendall(f"CONNECT {json.dumps(login)}\r\nPING\r\n".encode())
        return connection.recv(4096)


def test_users_behind_a_trusted_proxy(start: Starter) -> None:
    proxy = Key(nkeys.USER)
    server = start(
        f"proxies {{ trusted: [{{ key: {proxy.public} }}] }}\n"
        "authorization { users: [{ user: p, password: p, proxy_required: true }] }"
    )
    assert through_proxy(server, proxy).startswith(b"PONG")
    assert b"Authorization Violation" in through_proxy(server, None)
    assert b"Authorization Violation" in through_proxy(server, Key(nkeys.USER))


V2 = b"\r\n\r\n\x00\r\nQUIT\n"
HEADERS = {
    "version 1": (b"PROXY TCP4 192.0.2.7 192.0.2.1 1234 4222\r\n", "192.0.2.7"),
    "version 1, IPv6": (b"PROXY TCP6 2001:db8::7 2001:db8::1 1234 4222\r\n", "2001:db8::7"),
    "version 1, unknown": (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    "version 2": (
        V2 + b"\x21\x11\x00\x0c" + bytes([192, 0, 2, 8, 192, 0, 2, 1, 4, 210, 16, 126]),
        "192.0.2.8",
    ),
    "version 2, with more": (
        V2 + b"\x21\x11\x00\x0f" + bytes([192, 0, 2, 9, 192, 0, 2, 1, 4, 210, 16, 126]) + b"abc",
        "192.0.2.9",
    ),
    "version 2, local": (V2 + b"\x20\x00\x00\x00", "127.0.0.1"),
    "none": (b"", "127.0.0.1"),
    "wrong words": (b"PROXY TCP4 192.0.2.7\r\n", ""),
    "wrong address": (b"PROXY TCP4 2001:db8::7 192.0.2.1 1 2\r\n", ""),
    "wrong signature": (b"\r\n\r\n\x00\rxQUIT\n\x21\x11\x00\x00", ""),
    "wrong family": (V2 + b"\x21\x12\x00\x0c" + bytes(12), ""),
    "wrong command": (V2 + b"\x25\x11\x00\x0c" + bytes(12), ""),
    "too short": (V2 + b"\x21\x11\x00\x04" + bytes(4), ""),
}


@pytest.mark.parametrize("pieces", [1, 1000], ids=["byte by byte", "at once"])
def test_the_proxy_protocol_tells_who_the_client_is(start: Starter, pieces: int) -> None:
    server = start("proxy_protocol: true")
    found = {}
    for name, (header, _) in HEADERS.items():
        sent = header + b'CONNECT {"verbose":false,"protocol":1}\r\nPING\r\n'
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            received = b""
            while not received.endswith(b"\r\n"):
                received += connection.recv(4096)
            with contextlib.suppress(ConnectionError):
                for start_at in range(0, len(sent), pieces):
                    connection.sendall(sent[start_at : start_at + pieces])
                while received.count(b"INFO ") < 2 or not received.endswith(b"\r\n"):
                    piece = connection.recv(4096)
                    if not piece:
                        break
                    received += piece
        told = [json.loads(line[5:]) for line in received.split(b"\r\n") if line.startswith(b"INFO ")]
        assert "client_ip" not in told[0]
        found[name] = told[1]["client_ip"] if len(told) > 1 else ""
    assert found == {name: address for name, (_, address) in HEADERS.items()}


def test_headers_can_be_switched_off(start: Starter) -> None:
    server = start("no_header_support: true")
    hello = b'CONNECT {"verbose":false,"headers":true}\r\nSUB a 1\r\n'
    assert session(server, hello + b"PUB a 1\r\nx\r\nPING\r\n", 1000) == (
        b"MSG a 1 1\r\nx\r\nPONG\r\n",
        False,
    )
    refused = session(server, hello + b"HPUB a 12 13\r\nNATS/1.0\r\n\r\nx\r\nPING\r\n", 1000)
    assert refused == (b"", True)
