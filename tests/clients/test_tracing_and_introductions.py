"""What the server tells of messages: traces of their way, and who asks a service of another account."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import nkeys
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.aio.client import Client

from memphis_desktop.protocol import headers
from tests.conftest import Connect, Starter

TIMEOUT = 30.0

CONFIG = """
accounts {
  A {
    users: [ { user: a, password: a } ]
    jetstream: true
    exports: [ { service: "svc" }, { service: "open" }, { stream: "st.>" } ]
    mappings: { "m.*": "n.$1" }
  }
  B {
    users: [
      { user: b, password: b }
      { user: c, password: c, permissions: { publish: { deny: "no" }, subscribe: { deny: "x.b" } } }
    ]
    imports: [
      { service: { account: A, subject: "svc" }, to: "q" }
      { service: { account: A, subject: "open" }, share: true }
      { stream: { account: A, subject: "st.>" } }
    ]
  }
}
"""


@pytest.fixture(params=["nats-server", "memphis-desktop"])
def accounts(request: pytest.FixtureRequest, start_nats_server: Starter, start_broker: Starter) -> Any:
    start = start_nats_server if request.param == "nats-server" else start_broker
    return start(config=CONFIG)


async def trace(client: Client, subject: str, size: int = 2, **fields: str) -> list[dict[str, Any]]:
    """Publish a message that asks to be traced, and return the events."""
    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox, max_msgs=1)
    named = {"Nats-Trace-Dest": inbox} | {name.replace("_", "-"): value for name, value in fields.items()}
    await client.publish(subject, b"x" * size, headers=named)
    told = json.loads((await subscription.next_msg(timeout=TIMEOUT)).data)
    assert set(told) == {"server", "request", "events"}
    assert told["request"]["header"] == {name: [value] for name, value in named.items()}
    assert told["request"]["msgsize"] == len(headers.encode(named)) + size
    assert told["server"]["name"]
    for event in told["events"]:
        assert event.pop("ts")
    return list(told["events"])


async def test_the_way_of_a_message_is_told(accounts: Any, connect: Connect) -> None:
    a = await connect(accounts, user="a", password="a", name="Ada")
    b, c = await connect(accounts, user="b", password="b"), await connect(accounts, user="c", password="c")
    await a.jetstream(timeout=TIMEOUT).add_stream(name="S", subjects=["s.*"], max_msg_size=500)
    heard = await a.subscribe("n.>")
    grouped = await a.subscribe("f", queue="g")
    wild = await c.subscribe("x.*")
    imported = await b.subscribe("st.x")
    for client in (a, b, c):
        await client.flush(timeout=TIMEOUT)

    def ingress(subject: str, client: Client = a, account: str = "A", **more: str) -> dict[str, Any]:
        named = {"name": "Ada"} if client is a else {}
        shown = {"type": "in", "kind": 0, "cid": client.client_id, **named, "acc": account, "subj": subject}
        return shown | more

    def egress(subject: str, client: Client = a, **more: str) -> dict[str, Any]:
        named = {"name": "Ada"} if client is a else {}
        return {"type": "eg", "kind": 0, "cid": client.client_id, **named, "sub": subject, **more}

    assert await trace(a, "nobody") == [ingress("nobody")]
    mapping = {"type": "sm", "to": "n.1"}
    assert await trace(a, "m.1") == [ingress("m.1"), mapping, egress("n.>")]
    assert (await heard.next_msg(timeout=TIMEOUT)).subject == "n.1"
    assert await trace(a, "f") == [ingress("f"), egress("f", queue="g")]
    assert (await grouped.next_msg(timeout=TIMEOUT)).data == b"xx"
    stored = {"type": "js", "stream": "S", "subject": "s.1"}
    assert await trace(a, "s.1") == [ingress("s.1"), stored]
    assert await trace(a, "s.1", Nats_Trace_Only="true") == [ingress("s.1"), stored]
    assert (await a.jetstream(timeout=TIMEOUT).stream_info("S")).state.messages == 1
    failed = (await trace(a, "s.1", size=600))[1]
    assert failed.pop("error")
    assert failed == {"type": "js", "stream": "S"}
    assert await trace(a, "st.x") == [ingress("st.x"), {"type": "se", "acc": "B", "to": "st.x"}]
    assert (await imported.next_msg(timeout=TIMEOUT)).subject == "st.x"

    denied = "Not delivered because subscription denies this subject"
    assert await trace(b, "x.b") == [ingress("x.b", b, "B"), egress("x.*", c, error=denied)]
    assert await trace(b, "x.a", Nats_Trace_Only="1") == [ingress("x.a", b, "B"), egress("x.*", c)]
    assert not wild.pending_msgs
    refused = await trace(c, "no")
    assert refused == [ingress("no", c, "B", error='Permissions Violation for Publish to "no"')]


async def test_a_compressed_trace(accounts: Any, connect: Connect) -> None:
    client = await connect(accounts, user="a", password="a")
    inbox = await client.subscribe("trace", max_msgs=1)
    asked = {"Nats-Trace-Dest": "trace", "Accept-Encoding": "gzip"}
    await client.publish("anything", b"", headers=asked)
    message = await inbox.next_msg(timeout=TIMEOUT)
    assert message.headers
    assert message.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(message.data))["events"][0]["subj"] == "anything"


async def test_a_service_learns_who_asks(accounts: Any, connect: Connect) -> None:
    a = await connect(accounts, user="a", password="a")
    b = await connect(accounts, user="b", password="b", name="Bea")

    async def introduction(subject: str, asked: str) -> dict[str, Any]:
        subscription = await a.subscribe(subject, max_msgs=1)
        await a.flush(timeout=TIMEOUT)
        await b.publish(asked, b"", reply="answers", headers={"Nats-Request-Info": "forged", "Own": "1"})
        message = await subscription.next_msg(timeout=TIMEOUT)
        assert message.headers
        assert message.headers["Own"] == "1"
        return dict(json.loads(message.headers["Nats-Request-Info"]))

    short = await introduction("svc", "q")
    assert set(short) == {"acc", "rtt"}
    assert short["acc"] == "B"
    long = await introduction("open", "open")
    assert {"acc": "B", "user": "b", "name": "Bea", "id": b.client_id}.items() <= long.items()
    assert {"start", "host", "lang", "ver", "rtt", "server", "kind", "client_type"} <= set(long)


# -- activation tokens ---------------------------------------------------------------------------------------
class Key:
    """An nkey that signs JWTs."""

    def __init__(self, kind: int) -> None:
        self._private = Ed25519PrivateKey.generate()
        seed = nkeys.encode_seed(self._private.private_bytes_raw(), kind)
        pair = nkeys.from_seed(bytearray(seed))
        self.public = pair.public_key.decode()
        self.seed = bytes(seed).decode()

    def issue(self, subject: str, name: str, body: dict[str, Any], **further: int) -> str:
        """Return a signed JWT."""
        claims: dict[str, Any] = {
            "jti": "x",
            "iat": 1700000000,
            "iss": self.public,
            "name": name,
            "sub": subject,
        }
        claims |= {"nats": body | {"version": 2}, **further}
        parts = [_encode(one) for one in ({"typ": "JWT", "alg": "ed25519-nkey"}, claims)]
        signature = self._private.sign(".".join(parts).encode())
        return ".".join([*parts, base64.urlsafe_b64encode(signature).decode().rstrip("=")])


def _encode(content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


LIMITS = {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": True, "conn": -1}


@pytest.mark.parametrize("activated", [True, False])
@pytest.mark.parametrize("server", ["nats-server", "memphis-desktop"])
async def test_a_private_export_needs_an_activation(
    server: str, activated: bool, start_nats_server: Starter, start_broker: Starter, connect: Connect
) -> None:
    start = start_nats_server if server == "nats-server" else start_broker
    operator, exporter, importer = (
        Key(nkeys.PREFIX_BYTE_OPERATOR),
        *(Key(nkeys.PREFIX_BYTE_ACCOUNT) for _ in range(2)),
    )
    user, other = Key(nkeys.PREFIX_BYTE_USER), Key(nkeys.PREFIX_BYTE_USER)
    grant = {"type": "activation", "subject": "secret.>", "kind": "stream"}
    expiry = {} if activated else {"exp": 1700000001}
    token = exporter.issue(importer.public, "secret.>", grant, **expiry)
    exports = [{"name": "s", "type": "stream", "subject": "secret.>", "token_req": True}]
    imports = [
        {"name": "s", "type": "stream", "subject": "secret.>", "account": exporter.public, "token": token}
    ]
    account = {"type": "account", "limits": LIMITS}
    resolver = {
        exporter.public: operator.issue(exporter.public, "E", account | {"exports": exports}),
        importer.public: operator.issue(importer.public, "I", account | {"imports": imports}),
    }
    issued = operator.issue(operator.public, "O", {"type": "operator"})
    config = f"operator: {issued}\nresolver: MEMORY\nresolver_preload: {json.dumps(resolver)}\n"
    running = start(config=config, jetstream=False)

    async def login(account: Key, user: Key) -> Client:
        body = {"type": "user", "subs": -1, "data": -1, "payload": -1, "bearer_token": True}
        jwt = account.issue(user.public, "U", body).encode()
        client: Client = await connect(
            running, user_jwt_cb=lambda: bytearray(jwt), signature_cb=lambda _: b""
        )
        return client

    inside, outside = await login(importer, user), await login(exporter, other)
    subscription = await inside.subscribe("secret.>")
    await inside.flush(timeout=TIMEOUT)
    await outside.publish("secret.plan", b"now")
    await outside.flush(timeout=TIMEOUT)
    await inside.flush(timeout=TIMEOUT)
    assert subscription.pending_msgs == (1 if activated else 0)


PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-"


@pytest.mark.parametrize("starter", ["start_nats_server", "start_broker"])
async def test_an_account_has_sampled_messages_traced(
    starter: str, request: pytest.FixtureRequest, connect: Connect
) -> None:
    config = """
        accounts {
          A { users: [{ user: a, password: a }], msg_trace: "traces.a" }
          B { users: [{ user: b, password: b }] }
        }
    """
    server = request.getfixturevalue(starter)(config=config, jetstream=False)
    client = await connect(server, user="a", password="a")
    traces = await client.subscribe("traces.a")
    heard = await client.subscribe("s.*")
    asked = await client.subscribe("asked")
    sent: list[tuple[str, dict[str, str] | None]] = [
        ("s.sampled", {"traceparent": PARENT + "01"}),
        ("s.not", {"traceparent": PARENT + "00"}),
        ("s.capitals", {"TraceParent": PARENT + "03"}),
        ("s.broken", {"traceparent": PARENT + "zz"}),
        ("s.plain", None),
        ("s.own", {"traceparent": PARENT + "01", "Nats-Trace-Dest": "asked"}),
        ("s.only", {"traceparent": PARENT + "01", "Nats-Trace-Only": "true"}),
        ("s.disabled", {"traceparent": PARENT + "01", "Nats-Trace-Dest": "trace disabled"}),
    ]
    for subject, fields in sent:
        await client.publish(subject, b"x", headers=fields)
    told = [json.loads((await traces.next_msg(timeout=TIMEOUT)).data) for _ in range(3)]
    assert [one["events"][0]["subj"] for one in told] == ["s.sampled", "s.capitals", "s.only"]
    assert [len(one["events"]) for one in told] == [2, 2, 2]
    await asked.next_msg(timeout=TIMEOUT)
    await client.flush(timeout=TIMEOUT)
    assert (traces.pending_msgs, asked.pending_msgs) == (0, 0)
    delivered = [(await heard.next_msg(timeout=TIMEOUT)).subject for _ in range(heard.pending_msgs)]
    assert delivered == [subject for subject, _ in sent]  # only who names a destination may have no more
    other = await connect(server, user="b", password="b")
    nothing = await other.subscribe("traces.a")
    await other.publish("s.b", b"x", headers={"traceparent": PARENT + "01"})
    await other.flush(timeout=TIMEOUT)
    assert nothing.pending_msgs == 0
