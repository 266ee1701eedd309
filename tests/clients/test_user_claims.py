"""What JWTs say about users, on nats-server and on ours: whence, when, and templates of signing keys."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import nats
import nkeys as nkeys_library
import pytest

from memphis_desktop.broker import nkeys
from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect, Starter
from tests.operators import UNLIMITED, Account, Key, Operator

TEMPLATE = {
    "pub": {
        "allow": [
            "$SYS.REQ.USER.INFO",
            "own.{{name()}}.>",
            "team.{{tag(team)}}.{{tag(role)}}",
            "none.{{tag(missing)}}",
        ]
    },
    "sub": {
        "allow": ["_INBOX.>", "at.{{account-name()}}", "in.{{account-tag(zone)}}", "plain"],
        "deny": ["secret.{{name()}}"],
    },
    "subs": 10,
    "data": -1,
    "payload": -1,
}
NOW = datetime.now(UTC)


def around(start: timedelta, end: timedelta) -> dict[str, Any]:
    times = {name: f"{NOW + offset:%H:%M:%S}" for name, offset in (("start", start), ("end", end))}
    return {"times": [times], "times_location": "UTC"}


HOUR = timedelta(hours=1)
USERS: dict[str, dict[str, Any]] = {
    "plain": {"pub": {"deny": ["{{name()}}"]}},  # no template: the key is no scoped one
    "from here": {"src": ["192.0.2.0/24", "127.0.0.0/8"]},
    "from elsewhere": {"src": ["192.0.2.0/24"]},
    "in time": around(-HOUR, HOUR),
    "past its time": around(-2 * HOUR, -HOUR),
    "before its time": around(HOUR, 2 * HOUR),
    "another way": {"allowed_connection_types": ["WEBSOCKET"]},
    "bearer": {"bearer_token": True},
}


async def description(
    server: ServerProcess, connect: Connect, token: str, seed: str, *, signs: bool = True
) -> str:
    """Return how a server describes a user, or why it does not let the user in."""

    def sign(nonce: str) -> bytes:
        key = nkeys_library.from_seed(seed.encode())
        return base64.b64encode(key.sign(nonce.encode())) if signs else b""

    async def ignore(error: Exception) -> None:
        pass

    try:
        client = await connect(
            server, user_jwt_cb=lambda: bytearray(token.encode()), signature_cb=sign, error_cb=ignore
        )
    except nats.errors.Error as error:
        return str(error)
    data = json.loads((await client.request("$SYS.REQ.USER.INFO", timeout=30)).data)["data"]
    data["expires"] = data.get("expires", 0) > 0
    for rule in data.get("permissions", {}).values():
        for key in rule:
            rule[key] = sorted(rule[key])
    return json.dumps(data, sort_keys=True)


@pytest.mark.parametrize("bearers", [True, False], ids=["bearers allowed", "no bearers"])
async def test_users_are_let_in_as_their_tokens_say(
    start_nats_server: Starter, start_broker: Starter, connect: Connect, bearers: bool
) -> None:
    operator = Operator()
    account, scoped = Account(operator.key, "TEAM"), Key(nkeys.ACCOUNT)
    body = {
        "type": "account",
        "version": 2,
        "limits": {**UNLIMITED, "disallow_bearer": not bearers},
        "signing_keys": [{"kind": "user_scope", "key": scoped.public, "role": "r", "template": TEMPLATE}],
        "tags": ["zone:north"],
    }
    account.token = operator.key.issue(account.key.public, body, name="TEAM")
    users = {name: account.user(name, **claims) for name, claims in USERS.items()}
    for name, tags in (("scoped", ["team:a", "team:b", "role:x"]), ("bare", [])):
        key = Key(nkeys.USER)
        claims = {"type": "user", "version": 2, "issuer_account": account.key.public, "tags": tags}
        users[name] = (scoped.issue(key.public, claims, name=name), key.seed)
    outcomes = []
    for start in (start_nats_server, start_broker):
        server = start(config=operator.config(account), jetstream=False)
        found = {}
        for name, (token, seed) in users.items():
            found[name] = await description(server, connect, token, seed, signs=name != "bearer")
        outcomes.append(found)
    assert outcomes[0] == outcomes[1]
    refused = {name for name, text in outcomes[1].items() if "Violation" in text}
    wanted = {"from elsewhere", "past its time", "before its time", "another way"}
    assert refused == wanted | (set() if bearers else {"bearer"})
