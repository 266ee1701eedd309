"""What a login is told of itself and its account, and what it may do, by our broker and by nats-server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from memphis_desktop.broker import nkeys
from memphis_desktop.cluster.account.rules import Verdict
from memphis_desktop.cluster.account.trying import try_subscription
from memphis_desktop.cluster.failures import ApiError
from memphis_desktop.cluster.profiles import ConnectionProfile, CredentialKind, Credentials
from memphis_desktop.cluster.session import Session
from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect, Starter
from tests.operators import Account, Key, Operator, write_creds
from tests.waiting import until

USER = Key(nkeys.USER)
CONFIG = f"""
accounts {{
  $SYS {{ users: [{{user: sys, password: sys}}] }}
  A {{
    jetstream: {{max_mem: 10Mb, max_file: 100Mb, max_streams: 10, max_consumers: 20}}
    users: [
      {{user: a, password: a}}
      {{user: limited, password: limited, permissions: {{
        publish: {{allow: ["orders.>", "$JS.API.INFO", "$SYS.REQ.USER.INFO", "_INBOX.>"], deny: "orders.no"}}
        subscribe: {{
          allow: ["orders.*", "_INBOX.>", "work.> crew.*", "both.>", "both.> one", "deny.>"]
          deny: ["orders.bad", "deny.* dq", "deny.2"]
        }}
      }}}}
      {{user: answers, password: answers, permissions: {{
        subscribe: ["help.>", "_INBOX.>"], allow_responses: {{max: 2, expires: "1m"}}
      }}}}
      {{nkey: {USER.public}}}
    ]
    exports: [{{service: "help.>"}}, {{stream: "news.>"}}]
  }}
  B {{
    users: [{{user: b, password: b}}]
    imports: [{{service: {{account: A, subject: "help.>"}}, to: "aid.>"}}]
  }}
}}
"""
OpenSession = Callable[..., Awaitable[Session]]


@pytest.fixture(params=["nats-server", "memphis-desktop"])
def start(request: pytest.FixtureRequest, start_nats_server: Starter, start_broker: Starter) -> Starter:
    return start_nats_server if request.param == "nats-server" else start_broker


@pytest.fixture
def server(start: Starter) -> ServerProcess:
    return start(config=CONFIG)


def profile(url: str, credentials: Credentials, system: Credentials | None = None) -> ConnectionProfile:
    return ConnectionProfile(name="t", urls=(url,), credentials=credentials, system_credentials=system)


def login(name: str) -> Credentials:
    return Credentials(CredentialKind.PASSWORD, user=name, password=name)


@pytest_asyncio.fixture
async def session() -> AsyncIterator[OpenSession]:
    """Open a session of a profile whose account is looked at."""
    opened: list[Session] = []

    async def open_(wanted: ConnectionProfile) -> Session:
        one = Session(wanted)
        opened.append(one)
        await one.connect()
        one.account.watch("test", True)
        return one

    yield open_
    for one in opened:
        await one.close()


def usage(session: Session, key: str, group: str = "jetstream") -> Any:
    """What is used of something."""
    return next((one for one in session.account.facts.usages if (one.key, one.group) == (key, group)), None)


async def test_an_ordinary_account_sees_its_own_figures(
    server: ServerProcess, connect: Connect, session: OpenSession
) -> None:
    client = await connect(server, user="a", password="a")
    await client.jetstream().add_stream(name="S", subjects=["s"], storage="memory")
    await client.jetstream().publish("s", b"x" * 1000)
    one = await session(profile(server.url, login("a")))
    await until(lambda: usage(one, "connections", "account"), "figures of the account")
    await until(lambda: one.account.facts.user is not None, "the user")
    facts = one.account.facts
    assert facts.user is not None
    assert (facts.user.name, facts.user.account, facts.user.rules.unlimited) == ("a", "A", True)
    assert usage(one, "memory").used >= 1000
    assert usage(one, "memory").limit == 10 * 1024 * 1024
    assert (usage(one, "streams").used, usage(one, "streams").limit) == (1, 10)
    assert usage(one, "connections", "account").used == 2
    assert facts.sharings is None  # told to the system account only
    assert facts.token is None
    assert facts.api_errors is not None


async def test_the_system_account_is_told_more(server: ServerProcess, session: OpenSession) -> None:
    for name, expected in (
        ("a", [("export", "help.>", ""), ("export", "news.>", "")]),
        ("b", [("import", "help.>", "aid.>")]),
    ):
        one = await session(profile(server.url, login(name), login("sys")))
        await until(lambda o=one: o.account.facts.sharings is not None, "exports and imports")
        told = one.account.facts.sharings or ()
        assert sorted((s.direction, s.subject, s.local) for s in told) == expected


SUBSCRIPTIONS = [
    ("orders.*", ""),
    ("orders.x", ""),
    ("orders.x", "any"),
    ("orders.bad", ""),
    ("orders.>", ""),
    (">", ""),
    ("*", ""),
    ("work.1", ""),
    ("work.1", "crew.a"),
    ("work.1", "zz"),
    ("both.x", ""),
    ("both.x", "one"),
    ("both.x", "two"),
    ("deny.1", "dq"),
    ("deny.1", "other"),
    ("deny.2", ""),
    ("deny.>", ""),
    ("*.x", ""),
]


async def test_subscriptions_are_judged_as_the_server_does(
    server: ServerProcess, session: OpenSession
) -> None:
    wanted = profile(server.url, login("limited"))
    one = await session(wanted)
    await until(lambda: one.account.facts.user is not None, "the user")
    user = one.account.facts.user
    assert user is not None
    strict = str(one.server_info.get("go")).startswith("python")
    judged = {
        case: user.rules.may_subscribe(*case, strict=strict).verdict is not Verdict.DENIED
        for case in SUBSCRIPTIONS
    }
    tried = {case: (await try_subscription(wanted, *case)).allowed for case in SUBSCRIPTIONS}
    assert judged == tried
    assert "orders.bad" in (await try_subscription(wanted, "orders.bad")).words
    with pytest.raises(ApiError):
        await try_subscription(wanted, "a b")
    with pytest.raises(ApiError):
        await try_subscription(wanted, "a\r\nPING")


async def test_publishing_is_judged_as_the_server_does(
    server: ServerProcess, connect: Connect, session: OpenSession
) -> None:
    for name in ("limited", "answers"):
        one = await session(profile(server.url, login(name)))
        if name == "answers":  # it may not even ask who it is
            assert one.account.facts.user is None
            continue
        await until(lambda o=one: o.account.facts.user is not None, "the user")
        user = one.account.facts.user
        assert user is not None
        refused: list[str] = []

        async def note(error: Exception, refused: list[str] = refused) -> None:
            refused.append(str(error).lower())

        client = await connect(server, user=name, password=name, error_cb=note)
        for subject in ("orders.a", "orders.a.b", "orders.no", "other", "orders", "help.me"):
            await client.publish(subject, b"")
            await client.flush()
            await asyncio.sleep(0)
            allowed = user.rules.may_publish(subject).verdict is Verdict.ALLOWED
            assert allowed != any(f'"{subject}"' in one for one in refused), subject


async def test_a_login_that_may_not_ask_says_so(server: ServerProcess, session: OpenSession) -> None:
    one = await session(profile(server.url, login("answers")))
    await until(lambda: "user" in one.account.facts.problems, "why it is not known", 90)
    assert one.account.facts.user is None


async def test_an_nkey_of_the_configuration(
    server: ServerProcess, session: OpenSession, tmp_path: Path
) -> None:
    path = tmp_path / "user.nk"
    path.write_text(USER.seed)
    one = await session(profile(server.url, Credentials(CredentialKind.NKEY, nkey_path=str(path))))
    await until(lambda: one.account.facts.user is not None, "the user")
    assert one.account.facts.user is not None
    assert (one.account.facts.user.name, one.account.facts.user.account) == (USER.public, "A")


async def test_operator_mode(start: Starter, session: OpenSession, tmp_path: Path) -> None:
    operator = Operator()
    shop = Account(operator.key, "shop", conn=25, disk_storage=1_000_000, mem_storage=-1, streams=4)
    server = start(config=operator.config(shop))
    expires = int(time.time()) + 7200
    allowed = {"allow": ["orders.>", "$JS.API.INFO", "$SYS.REQ.USER.INFO", "_INBOX.>"]}
    text, seed = shop.user("carla", expires, pub=allowed, subs=30)
    creds = write_creds(tmp_path / "carla.creds", text, seed)
    system = write_creds(tmp_path / "sys.creds", *operator.system.user("sys"))
    one = await session(
        profile(
            server.url,
            Credentials(CredentialKind.CREDS, creds_path=str(creds)),
            Credentials(CredentialKind.CREDS, creds_path=str(system)),
        )
    )
    await until(lambda: one.account.facts.account_token is not None, "the account's JWT")
    await until(lambda: usage(one, "connections", "account"), "figures of the account")
    facts = one.account.facts
    assert facts.user is not None
    assert facts.token is not None
    assert facts.account_token is not None
    assert (facts.user.name, facts.user.account_name) == ("carla", "shop")
    assert facts.user.expires_ns is not None
    assert abs(facts.user.expires_ns / 1e9 - expires) < 60
    assert (facts.token.name, facts.token.expires_ns) == ("carla", expires * 10**9)
    assert facts.token.genuine
    assert facts.account_token.genuine
    assert usage(one, "connections", "account").limit == 25
    assert usage(one, "subscriptions", "user").limit == 30
    assert usage(one, "streams").limit == 4
    assert facts.user.rules.may_publish("orders.1").verdict is Verdict.ALLOWED
    assert facts.user.rules.may_publish("other").verdict is Verdict.DENIED
