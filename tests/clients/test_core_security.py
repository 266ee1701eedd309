"""Logins, permissions, accounts and mappings, with one configuration on our broker and on nats-server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import bcrypt
import pytest

from memphis_desktop.server_process import ServerProcess, broker_command, nats_server_command
from tests.clients.wire import session
from tests.conftest import Starter

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4, prefix=b"2a")).decode()

CONFIG = f"""
ADMIN: {{ publish: ">", subscribe: ">" }}
accounts {{
  A {{
    users: [
      {{ user: admin, password: admin, permissions: $ADMIN }}
      {{ user: hashed, password: "{HASH}" }}
      {{ user: limited, password: limited, permissions: {{
          publish: {{ allow: ["orders.>", "_INBOX.>"], deny: ["orders.secret"] }}
          subscribe: {{ allow: ["orders.*", "_INBOX.>", "work.> team.*"], deny: "orders.hidden" }}
      }} }}
      {{ user: denied, password: denied, permissions: {{
          publish: {{ deny: "a.*" }}, subscribe: {{ deny: "a.b" }}
      }} }}
      {{ user: service, password: service, permissions: {{
          subscribe: ["svc", "_INBOX.>"], allow_responses: {{ max: 1, expires: "1m" }}
      }} }}
      {{ user: webonly, password: webonly, allowed_connection_types: ["WEBSOCKET"] }}
    ]
    exports: [
      {{ service: "help.>" }}
      {{ stream: "news.>" }}
      {{ service: "private", accounts: [C] }}
    ]
  }}
  B {{
    users: [ {{ user: b, password: b }} ]
    imports: [
      {{ service: {{ account: A, subject: "help.>" }} }}
      {{ service: {{ account: A, subject: "help.me" }}, to: "local.help" }}
      {{ stream: {{ account: A, subject: "news.>" }}, prefix: "from_a" }}
    ]
  }}
  C {{ users: [ {{ user: c, password: c }} ] }}
}}
no_auth_user: c
"""

Servers = tuple[ServerProcess, ServerProcess]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder: Path = tmp_path_factory.mktemp("security")
    with (
        ServerProcess(nats_server_command(), folder / "real", jetstream=False, config=CONFIG) as real,
        ServerProcess(broker_command(), folder / "ours", jetstream=False, config=CONFIG) as ours,
    ):
        yield real, ours


def hello(user: str = "", password: str | None = None, more: str = "") -> bytes:
    login = f',"user":"{user}","pass":"{user if password is None else password}"' if user else ""
    return (
        (
            '{"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"protocol":1'
            + login
            + more
            + "}"
        )
        .join(["CONNECT ", "\r\n"])
        .encode()
    )


SESSIONS = {
    "right password": hello("admin"),
    "wrong password": hello("admin", "x"),
    "unknown user": hello("nobody"),
    "empty password": hello("admin", ""),
    "right hashed password": hello("hashed", "secret"),
    "wrong hashed password": hello("hashed", "wrong"),
    "the hash as password": hello("hashed", HASH),
    "nameless": hello() + b"SUB a 1\r\nPUB a 1\r\nx\r\n",
    "nameless without CONNECT": b"SUB a 1\r\nPUB a 1\r\nx\r\n",
    "not by this way": hello("webonly"),
    "publish allowed": hello("limited") + b"SUB orders.* 1\r\nPUB orders.new 1\r\nx\r\n",
    "publish refused": hello("limited") + b"PUB other 1\r\nx\r\n",
    "publish denied": hello("limited") + b"PUB orders.secret 1\r\nx\r\n",
    "publish refused with reply": hello("limited") + b"PUB other in 1\r\nx\r\n",
    "subscribe refused": hello("limited") + b"SUB other 1\r\n",
    "subscribe refused with queue": hello("limited") + b"SUB other q 1\r\n",
    "subscribe wider than allowed": hello("limited") + b"SUB > 2\r\n",
    "subscribe denied": hello("limited") + b"SUB orders.hidden 1\r\n",
    "queue allowed": hello("limited") + b"SUB work.a team.x 1\r\n",
    "queue refused": hello("limited") + b"SUB work.a other 1\r\n",
    "queue needed": hello("limited") + b"SUB work.a 1\r\n",
    "denied inside of a wildcard": hello("denied") + b"SUB a.> 1\r\nSUB * 2\r\nPUB b 1\r\nx\r\n",
    "deny list only": hello("denied") + b"PUB a.x 1\r\nx\r\nSUB c 1\r\nPUB c 1\r\ny\r\nSUB a.b 2\r\n",
    "responses only": hello("service") + b"PUB anything 1\r\nx\r\n",
    "no response without request": hello("service") + b"PUB _INBOX.x 1\r\nx\r\n",
    "reserved reply": hello("admin") + b"SUB a 1\r\nPUB a _R_.x 1\r\nx\r\n",
    "reply like an acknowledgement": hello("admin") + b"SUB a 1\r\nPUB a $JS.ACK.x 1\r\nx\r\n",
    "half a CONNECT": b"CONNECT {foo\r\n",
    "a CONNECT with a wrong type": b'CONNECT {"user":1}\r\n',
    "an unknown protocol": b'CONNECT {"protocol":99}\r\n',
    "no responders without headers": b'CONNECT {"no_responders":true}\r\n',
    "a token where users are asked for": hello(more=',"auth_token":"x"'),
    "a key where none is known": hello(more=',"nkey":"U"'),
    "a token of no issuer": hello(more=',"jwt":"x"'),
    "a service that nobody offers": hello("b") + b"SUB in 1\r\nPUB help.me in 1\r\nx\r\n",
    "a service that is not imported": hello("b") + b"SUB in 1\r\nPUB private in 1\r\nx\r\n",
}


@pytest.mark.parametrize("name", SESSIONS)
def test_both_servers_say_the_same(servers: Servers, name: str) -> None:
    real, ours = servers
    sent = SESSIONS[name] + b"PING\r\n"
    expected = session(real, sent, len(sent))
    assert session(ours, sent, len(sent)) == expected


MAPPINGS = """mappings: { "old.*": "new.$1", all.>: rest.>, "swap.*.*": "swapped.$2.$1", "half.*": [
  { destination: "third.$1", weight: 100% }
] }"""


@pytest.mark.parametrize(
    "sent",
    [
        b"SUB new.* 1\r\nPUB old.x 1\r\na\r\n",
        b"SUB rest.> 1\r\nPUB all.x.y.z 1\r\na\r\n",
        b"SUB swapped.> 1\r\nPUB swap.1.2 1\r\na\r\n",
        b"SUB old.* 1\r\nPUB old.x 1\r\na\r\n",
        b"SUB third.* 1\r\nPUB half.x 1\r\na\r\n",
    ],
)
def test_mappings(start_nats_server: Starter, start_broker: Starter, sent: bytes) -> None:
    servers = [start(config=MAPPINGS, jetstream=False) for start in (start_nats_server, start_broker)]
    sent = hello() + sent + b"PING\r\n"
    answers = [session(server, sent, len(sent)) for server in servers]
    assert answers[1] == answers[0]


async def on_both(servers: Servers, connect: object, scenario: Callable[..., object]) -> None:
    """Run a scenario on both servers and compare what it returns."""
    answers = [await scenario(server, connect) for server in servers]  # type: ignore[misc]
    assert answers[1] == answers[0]


async def test_a_service_is_reached_from_another_account(servers: Servers, connect: object) -> None:
    async def scenario(server: ServerProcess, connect: Callable[..., object]) -> object:
        offering = await connect(server, user="admin", password="admin")  # type: ignore[misc]
        asking = await connect(server, user="b", password="b")  # type: ignore[misc]
        seen = []

        async def answer(message: object) -> None:
            seen.append((message.subject, message.data, message.reply.startswith("_R_.")))  # type: ignore[attr-defined]
            await message.respond(b"answer to " + message.data)  # type: ignore[attr-defined]

        await offering.subscribe("help.*", cb=answer)
        await offering.flush()
        answers = [
            (await asking.request(subject, body, timeout=30)).data
            for subject, body in (("help.me", b"1"), ("help.you", b"2"), ("local.help", b"3"))
        ]
        return seen, answers

    await on_both(servers, connect, scenario)


async def test_a_stream_arrives_under_its_prefix(servers: Servers, connect: object) -> None:
    async def scenario(server: ServerProcess, connect: Callable[..., object]) -> object:
        giving = await connect(server, user="admin", password="admin")  # type: ignore[misc]
        taking = await connect(server, user="b", password="b")  # type: ignore[misc]
        wide = await taking.subscribe("from_a.>")
        narrow = await taking.subscribe("from_a.news.sport")
        other = await taking.subscribe("news.>")
        await taking.flush()
        for subject in ("news.sport", "news.weather", "other"):
            await giving.publish(subject, subject.encode())
        await giving.flush()
        found = [(await wide.next_msg(timeout=30)).subject for _ in range(2)]
        found.append((await narrow.next_msg(timeout=30)).subject)
        await narrow.unsubscribe()
        await taking.flush()
        await giving.publish("news.sport", b"")
        found.append((await wide.next_msg(timeout=30)).subject)
        return found, wide.pending_msgs, other.pending_msgs

    await on_both(servers, connect, scenario)


async def test_a_request_may_be_answered_once(servers: Servers, connect: object) -> None:
    async def scenario(server: ServerProcess, connect: Callable[..., object]) -> object:
        errors: list[str] = []

        async def failed(error: Exception) -> None:
            errors.append(str(error).lower())

        service = await connect(server, user="service", password="service", error_cb=failed)  # type: ignore[misc]
        asking = await connect(server, user="admin", password="admin")  # type: ignore[misc]

        async def answer(message: object) -> None:
            await service.publish(message.reply, b"first")  # type: ignore[attr-defined]
            await service.publish(message.reply, b"second")  # type: ignore[attr-defined]

        await service.subscribe("svc", cb=answer)
        await service.flush()
        inbox = await asking.subscribe("reply.here")
        await asking.publish("svc", b"", reply="reply.here")
        first = (await inbox.next_msg(timeout=30)).data
        await service.flush()
        return first, inbox.pending_msgs, errors

    await on_both(servers, connect, scenario)


async def test_denied_messages_are_left_out_of_a_wildcard(servers: Servers, connect: object) -> None:
    async def scenario(server: ServerProcess, connect: Callable[..., object]) -> object:
        reading = await connect(server, user="denied", password="denied")  # type: ignore[misc]
        writing = await connect(server, user="admin", password="admin")  # type: ignore[misc]
        got = await reading.subscribe("a.>")
        await reading.flush()
        for subject in ("a.a", "a.b", "a.c"):
            await writing.publish(subject, b"")
        await writing.flush()
        return [(await got.next_msg(timeout=30)).subject for _ in range(2)], got.pending_msgs

    await on_both(servers, connect, scenario)
