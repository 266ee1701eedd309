"""Logins by nkey and JWT, from the key to the open connection."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from memphis_desktop.broker import nkeys, tokens
from memphis_desktop.broker.options import (
    BrokerOptions,
    PermissionRules,
    ReloadError,
    ResponseRule,
    StartError,
    SubjectRule,
    User,
)
from memphis_desktop.broker.permissions import Permissions
from tests.operators import Key
from tests.unit.broker.conftest import OpenClient, RawClient, StartNode


def operator() -> Key:
    return Key(nkeys.OPERATOR)


class World:
    """An operator, an account and a user."""

    def __init__(self, **account: Any) -> None:
        self.operator, self.account, self.user = operator(), Key(nkeys.ACCOUNT), Key(nkeys.USER)
        self.signing = Key(nkeys.ACCOUNT)
        body = {"type": "account", "version": 2, "signing_keys": [self.signing.public], **account}
        self.account_token = self.operator.issue(self.account.public, body)

    @property
    def options(self) -> dict[str, Any]:
        return {
            "operators": [self.operator.issue(self.operator.public, {"type": "operator", "version": 2})],
            "account_tokens": {self.account.public: self.account_token},
        }

    def user_token(self, issuer: Key | None = None, expires: int = 0, **body: Any) -> str:
        claims = {"exp": expires} if expires else {}
        return (issuer or self.account).issue(
            self.user.public, {"type": "user", "version": 2, **body}, name="somebody", **claims
        )


async def login(client: RawClient, token: str, signer: Key | None) -> bytes:
    """Send CONNECT and return what comes back before the PONG or the end."""
    fields = {"verbose": False, "pedantic": False, "protocol": 0, "jwt": token}
    if signer is not None:
        fields["sig"] = signer.sign(client.info["nonce"].encode())
    client.send(b"CONNECT " + orjson.dumps(fields) + b"\r\nPING\r\n")
    return await client.line()


REFUSED = b"-ERR 'Authorization Violation'"


async def test_a_user_of_a_trusted_account_comes_in(start_node: StartNode, open_client: OpenClient) -> None:
    world = World()
    node = await start_node(**world.options)
    client = await open_client(node, None)
    assert client.info["auth_required"] is True
    assert len(client.info["nonce"]) == 15
    assert await login(client, world.user_token(), world.user) == b"PONG"
    (connection,) = node.connections.values()
    assert connection.account.name == world.account.public
    assert connection.user_name == world.user.public


@pytest.mark.parametrize(
    "wrong", ["signature", "no signature", "issuer", "expired", "forged", "stranger", "no jwt"]
)
async def test_others_stay_outside(start_node: StartNode, open_client: OpenClient, wrong: str) -> None:
    world = World()
    node = await start_node(**world.options)
    client = await open_client(node, None)
    token, signer = world.user_token(), world.user
    if wrong == "signature":
        signer = Key(nkeys.USER)
    elif wrong == "issuer":
        token = world.user_token(issuer=Key(nkeys.ACCOUNT), issuer_account=world.account.public)
    elif wrong == "expired":
        token = world.user_token(expires=int(time.time()) - 1)
    elif wrong == "forged":
        head, body, signature = token.split(".")
        changed = orjson.loads(tokens.decode_base64(body)) | {"name": "other"}
        token = ".".join(
            [head, base64.urlsafe_b64encode(orjson.dumps(changed)).decode().rstrip("="), signature]
        )
    elif wrong == "stranger":
        token = World().user_token()
    elif wrong == "no jwt":
        token = ""
    assert await login(client, token, None if wrong == "no signature" else signer) == REFUSED


async def test_an_account_of_another_operator_is_not_trusted(
    start_node: StartNode, open_client: OpenClient
) -> None:
    world = World()
    world.account_token = operator().issue(world.account.public, {"type": "account"})
    node = await start_node(**world.options)
    assert await login(await open_client(node, None), world.user_token(), world.user) == REFUSED


async def test_a_signing_key_may_issue_and_a_scope_rules(
    start_node: StartNode, open_client: OpenClient
) -> None:
    scoped = Key(nkeys.ACCOUNT)
    scope = {"kind": "user_scope", "key": scoped.public, "template": {"pub": {"allow": ["only.this"]}}}
    world = World()
    world.account_token = world.operator.issue(
        world.account.public, {"type": "account", "signing_keys": [world.signing.public, scope]}
    )
    node = await start_node(**world.options)
    for issuer in (world.signing, scoped):
        client = await open_client(node, None)
        token = world.user_token(issuer=issuer, issuer_account=world.account.public)
        assert await login(client, token, world.user) == b"PONG"
    client.send(b"PUB other 1\r\nx\r\nPUB only.this 1\r\nx\r\n")
    assert await client.synchronise() == b"-ERR 'Permissions Violation for Publish to \"other\"'\r\n"


async def test_a_bearer_needs_no_signature(start_node: StartNode, open_client: OpenClient) -> None:
    world = World()
    node = await start_node(**world.options)
    assert await login(await open_client(node, None), world.user_token(bearer_token=True), None) == b"PONG"


@pytest.mark.parametrize("name", ["user", "*"])
async def test_a_revoked_user_stays_outside(
    start_node: StartNode, open_client: OpenClient, name: str
) -> None:
    world = World()
    revoked = world.user.public if name == "user" else "*"
    world.account_token = world.operator.issue(
        world.account.public, {"type": "account", "revocations": {revoked: int(time.time()) + 5}}
    )
    node = await start_node(**world.options)
    assert await login(await open_client(node, None), world.user_token(), world.user) == REFUSED


async def test_an_expiring_user_is_sent_away(start_node: StartNode, open_client: OpenClient) -> None:
    world = World()
    node = await start_node(**world.options)
    client = await open_client(node, None)
    assert await login(client, world.user_token(expires=int(time.time()) + 2), world.user) == b"PONG"
    assert b"-ERR 'User Authentication Expired'" in await client.rest()


async def test_accounts_are_found_in_a_folder(
    start_node: StartNode, open_client: OpenClient, tmp_path: Path
) -> None:
    world = World()
    node = await start_node(operators=world.options["operators"], resolver_folder=tmp_path)
    assert await login(await open_client(node, None), world.user_token(), world.user) == REFUSED
    (tmp_path / f"{world.account.public}.jwt").write_text(world.account_token, encoding="utf-8")
    assert await login(await open_client(node, None), world.user_token(), world.user) == b"PONG"


async def test_an_operator_that_did_not_sign_itself(start_node: StartNode) -> None:
    with pytest.raises(StartError, match="signed by itself"):
        await start_node(operators=[operator().issue(operator().public, {"type": "operator"})])


async def test_nkey(start_node: StartNode, open_client: OpenClient) -> None:
    key = Key(nkeys.USER)
    node = await start_node(users=[User(nkey=key.public)])
    for signer, answer in ((key, b"PONG"), (Key(nkeys.USER), REFUSED)):
        client = await open_client(node, None)
        signature = signer.sign(client.info["nonce"].encode())
        fields = {"verbose": False, "nkey": key.public, "sig": signature}
        client.send(b"CONNECT " + orjson.dumps(fields) + b"\r\nPING\r\n")
        assert await client.line() == answer


async def test_a_signature_serves_once(start_node: StartNode, open_client: OpenClient) -> None:
    key = Key(nkeys.USER)
    node = await start_node(users=[User(nkey=key.public)])
    first, second = await open_client(node, None), await open_client(node, None)
    signature = key.sign(first.info["nonce"].encode())
    second.send(b"CONNECT " + orjson.dumps({"nkey": key.public, "sig": signature}) + b"\r\n")
    assert await second.line() == REFUSED


def test_keys_are_checked() -> None:
    public = Key(nkeys.USER).public
    assert public.startswith("U")
    assert len(nkeys.decode_public(nkeys.USER, public)) == 32
    for wrong in (
        public[:-1],
        public[:-1] + ("A" if public[-1] != "A" else "B"),
        "",
        "!!",
        Key(nkeys.ACCOUNT).public,
    ):
        with pytest.raises(ValueError, match="key"):
            nkeys.decode_public(nkeys.USER, wrong)


async def test_a_reload_sends_away_whose_user_is_gone(start_node: StartNode, open_client: OpenClient) -> None:
    node = await start_node(users=[User("a", "a"), User("b", "b")])
    hello = b'CONNECT {"verbose":false,"pedantic":false,"user":"%b","pass":"%b"}\r\n'
    stays, goes = await open_client(node, hello % (b"a", b"a")), await open_client(node, hello % (b"b", b"b"))
    stays.send(b"SUB x 1\r\nSUB y 2\r\n")
    await stays.synchronise()
    rules = PermissionRules(subscribe=SubjectRule(allow=("x",)))
    node.apply_options(BrokerOptions(port=-1, users=[User("a", "a", permissions=rules)]))
    assert await goes.rest() == REFUSED + b"\r\n"
    assert (
        await stays.synchronise() == b'-ERR \'Permissions Violation for Subscription to "y" (sid "2")\'\r\n'
    )
    stays.send(b"PUB x 1\r\n1\r\nPUB y 1\r\n2\r\n")
    assert await stays.synchronise() == b"MSG x 1 1\r\n1\r\n"


async def test_a_reload_cannot_move_the_listener(start_node: StartNode) -> None:
    node = await start_node()
    with pytest.raises(ReloadError, match="host"):
        node.apply_options(BrokerOptions(port=-1, host="localhost"))
    with pytest.raises(ReloadError, match="no configuration file"):
        node.reload()


def test_answers_to_requests_are_allowed_so_often_and_so_long() -> None:
    permissions = Permissions(
        PermissionRules(publish=SubjectRule(allow=()), responses=ResponseRule(2, 10.0)), lambda: now[0]
    )
    now = [100.0]
    assert not permissions.may_publish(b"in.1")
    permissions.requests_received(
        [(b"svc", b"in.1", 0, b""), (b"svc", b"in.2", 0, b""), (b"svc", b"", 0, b"")]
    )
    assert [permissions.may_publish(b"in.1") for _ in range(3)] == [True, True, False]
    now[0] = 111.0
    assert not permissions.may_publish(b"in.2")


async def test_bcrypt_is_compared_in_a_thread(start_node: StartNode, open_client: OpenClient) -> None:
    import bcrypt

    stored = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    node = await start_node(users=[User("a", stored)])
    client = await open_client(node, None)
    client.send(
        b'CONNECT {"verbose":false,"pedantic":false,"user":"a","pass":"secret"}\r\n'
        b"SUB x 1\r\nPUB x 1\r\ny\r\n"
    )
    assert await client.synchronise() == b"MSG x 1 1\r\ny\r\n"
    patient = await open_client(node, None)
    patient.send(b'CONNECT {"verbose":false,"pedantic":false,"user":"a","pass":"secret"}\r\n')
    await patient.writer.drain()
    await client.synchronise()  # what follows comes in a chunk of its own, while the thread compares
    assert await patient.synchronise() == b""
    refused = await open_client(node, None)
    refused.send(b'CONNECT {"user":"a","pass":"wrong"}\r\nPUB x 1\r\nz\r\nPING\r\n')
    assert await refused.rest() == REFUSED + b"\r\n"
    assert await client.synchronise() == b""
