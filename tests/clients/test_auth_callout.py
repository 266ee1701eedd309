"""Auth callout: a service decides who comes in. The same on our broker as on a real nats-server.

The service is a plain nats-py client that reads and writes JWTs as the libraries for it do.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats
import pytest
from nacl.public import Box, PrivateKey, PublicKey
from nats.aio.client import Client
from nats.aio.msg import Msg

from memphis_desktop.broker import nkeys
from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect, Starter
from tests.operators import JETSTREAM, UNLIMITED, Account, Key, Operator, write_creds

SUBJECT = "$SYS.REQ.USER.AUTH"
MASKED = frozenset(("id", "time", "seq", "ver", "user_nkey", "xkey", "version", "name", "feature_flags"))


@dataclass
class Service:
    """Answers the questions. What it says of a client depends on the name the client gives."""

    issuer: Key
    curve: PrivateKey | None = None
    target: Key | None = None  # of an operator's account that clients come into
    seen: list[dict[str, Any]] = field(default_factory=list)
    last: str = ""

    async def listen(self, client: Client) -> None:
        await client.subscribe(SUBJECT, cb=self._answer)
        await client.flush()

    async def _answer(self, message: Msg) -> None:
        request, sender = message.data, None
        if self.curve is not None:
            assert message.headers is not None
            name = message.headers["Nats-Server-Xkey"]
            sender = Box(self.curve, PublicKey(nkeys.decode_public(nkeys.CURVE, name)))
            request = sender.decrypt(request.removeprefix(b"xkv1"))
        claims = json.loads(base64.urlsafe_b64decode(request.split(b".")[1] + b"=="))
        self.seen.append(claims)
        answer = self._decide(claims["nats"])
        if answer is not None:
            encoded = answer.encode()
            await message.respond(b"xkv1" + sender.encrypt(encoded) if sender and encoded else encoded)

    def _decide(self, asked: dict[str, Any]) -> str | None:
        who = asked["connect_opts"].get("user", "")
        user, server = asked["user_nkey"], asked["server_id"]["id"]
        if who == "silence":
            return None
        if who == "nothing":
            return ""
        if who == "error":
            return self._response({"error": "go away"}, user, server)
        body: dict[str, Any] = {"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1}
        claims: dict[str, Any] = {"exp": int(time.time()) + (-5 if who == "expired" else 3600)}
        if self.target is None:
            claims["aud"] = {"lost": "NOWHERE", "guest": "AUTH"}.get(who, "APP")
        if who == "limited":
            body["pub"] = {"allow": ["a.>", "$SYS.REQ.USER.INFO"], "deny": ["a.b"]}
            body["sub"] = {"allow": ["_INBOX.>"]}
        if who == "renamed":
            claims["name"] = "Nice Name"
        issuer = Key(nkeys.ACCOUNT) if who == "stranger" else self.target or self.issuer
        token = issuer.issue(Key(nkeys.USER).public if who == "other user" else user, body, **claims)
        if who == "replay" and self.last:
            return self.last
        if who == "other server":
            server = Key(nkeys.SERVER).public
        self.last = self._response({"jwt": token}, user, server)
        return self.last

    def _response(self, body: dict[str, Any], user: str, server: str) -> str:
        nested = {"type": "authorization_response", "version": 2, **body}
        return self.issuer.issue(user, nested, aud=server)


def masked(value: Any) -> Any:
    """Return an answer without what differs between two servers."""
    if isinstance(value, dict):
        return {key: "…" if key in MASKED else masked(one) for key, one in sorted(value.items())}
    return sorted(value) if isinstance(value, list) else value  # lists of subjects, in no order


async def come_in(server: ServerProcess, connect: Connect, **login: Any) -> str:
    """Return what becomes of a client: its own description, or why it is refused."""

    async def ignore(error: Exception) -> None:
        pass

    try:
        client = await connect(server, error_cb=ignore, **login)
    except nats.errors.Error as error:
        return str(error)
    answer = await client.request("$SYS.REQ.USER.INFO", timeout=30)
    data = json.loads(answer.data)["data"]
    data["expires"] = data.get("expires", 0) > 3500 * 10**9
    return json.dumps(masked(data))


WHO = [
    "anybody",
    "limited",
    "renamed",
    "guest",
    "lost",
    "nothing",
    "error",
    "expired",
    "stranger",
    "other user",
    "other server",
    "replay",
]


@pytest.mark.parametrize("sealed", [False, True], ids=["open", "sealed"])
async def test_a_service_decides_who_comes_in(
    start_nats_server: Starter, start_broker: Starter, connect: Connect, sealed: bool
) -> None:
    issuer, curve = Key(nkeys.ACCOUNT), PrivateKey.generate() if sealed else None
    xkey = f"xkey: {nkeys.encode_public(nkeys.CURVE, bytes(curve.public_key))}" if curve else ""
    config = f"""
        server_tags: ["a:b"]
        accounts {{
          AUTH {{ users: [{{ user: auth, password: auth }}] }}
          APP {{ users: [{{ user: known, password: known }}] }}
          FREE {{ users: [{{ user: free, password: free }}] }}
        }}
        authorization {{
          timeout: 10
          auth_callout {{
            issuer: {issuer.public}
            account: AUTH
            auth_users: [auth]
            allowed_accounts: [APP, AUTH]
            {xkey}
          }}
        }}
    """
    outcomes = []
    for start in (start_nats_server, start_broker):
        server = start(config=config, jetstream=False)
        service = Service(issuer, curve)
        await service.listen(await connect(server, user="auth", password="auth"))
        outcome = [await come_in(server, connect, user=who, password="p") for who in WHO]
        outcome += [
            await come_in(server, connect, user="auth", password="wrong"),
            await come_in(server, connect, user="auth", password="auth"),
            await come_in(server, connect, user="known", password="known"),
            await come_in(server, connect, user="free", password="free"),
            await come_in(server, connect, token="t"),
            await come_in(server, connect),
        ]
        asked = [json.dumps(masked(claims["nats"])) for claims in service.seen]
        outcomes.append(outcome + asked)
        first = service.seen[0]
        assert first["iss"] == first["nats"]["server_id"]["id"]
        assert first["aud"] == "nats-authorization-request"
        assert first["sub"] == issuer.public
        assert first["iat"] < first["exp"] <= first["iat"] + 11
    assert outcomes[0] == outcomes[1]
    assert sum("Violation" in one for one in outcomes[1]) == 9


async def test_only_the_server_asks_the_service(start_broker: Starter, connect: Connect) -> None:
    issuer = Key(nkeys.ACCOUNT)
    config = f"""
        authorization {{
          users: [{{ user: auth, password: auth }}]
          auth_callout {{ issuer: {issuer.public}, auth_users: [auth] }}
        }}
    """
    server = start_broker(config=config, jetstream=False)
    refused = asyncio.Event()

    async def note(error: Exception) -> None:
        assert f'permissions violation for publish to "{SUBJECT}"'.lower() in str(error).lower()
        refused.set()

    client = await connect(server, user="auth", password="auth", error_cb=note)
    await client.publish(SUBJECT, b"x")
    await asyncio.wait_for(refused.wait(), 60)


async def test_without_an_answer_the_client_is_refused_in_time(
    start_broker: Starter, connect: Connect
) -> None:
    issuer = Key(nkeys.ACCOUNT)
    config = f"""
        authorization {{
          timeout: 1
          users: [{{ user: auth, password: auth }}]
          auth_callout {{ issuer: {issuer.public}, auth_users: [auth] }}
        }}
    """
    server = start_broker(config=config, jetstream=False)
    assert "Authorization Violation" in await come_in(server, connect, user="x", password="x")
    service = Service(issuer)
    await service.listen(await connect(server, user="auth", password="auth"))
    assert "Authorization Violation" in await come_in(server, connect, user="silence", password="x")
    assert len(service.seen) == 1


async def test_a_service_of_an_operators_account_decides(
    start_nats_server: Starter, start_broker: Starter, connect: Connect, tmp_path: Path
) -> None:
    operator = Operator()
    target = Account(operator.key, "TARGET", **JETSTREAM)
    asking = Account(operator.key, "ASKING")
    auth_token, auth_seed = asking.user("auth")
    creds = write_creds(tmp_path / "auth.creds", auth_token, auth_seed)
    auth_key = json.loads(base64.urlsafe_b64decode(auth_token.split(".")[1] + "=="))["sub"]
    body = {
        "type": "account",
        "version": 2,
        "limits": UNLIMITED,
        "authorization": {"auth_users": [auth_key], "allowed_accounts": [target.key.public]},
    }
    asking.token = operator.key.issue(asking.key.public, body, name="ASKING")
    # Who has nothing but this JWT comes as nobody: the service tells who it is.
    sentinel, _ = asking.user("sentinel", bearer_token=True, tags=["t:1"], pub={"deny": [">"]})
    config = operator.config(target, asking) + f"default_sentinel: {sentinel}\n"
    outcomes = []
    for start in (start_nats_server, start_broker):
        server = start(config=config, jetstream=False)
        service = Service(asking.key, target=target.key)
        await service.listen(await connect(server, user_credentials=str(creds)))
        outcome = [await come_in(server, connect, user=who, password="p") for who in WHO]
        outcomes.append(outcome + [json.dumps(masked(one["nats"])) for one in service.seen])
    assert outcomes[0] == outcomes[1]
    assert sum("Violation" in one for one in outcomes[1]) == 7
