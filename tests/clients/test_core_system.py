"""The requests and events of the system account: the same fields as nats-server gives."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect, Starter

CONFIG = """
accounts {
  $SYS { users: [ {user: sys, password: sys} ] }
  A { jetstream: enabled, users: [ {user: a, password: a} ] }
}
no_auth_user: a
"""

# What only the reference has: its build, its runtime, links between servers, switches of its own.
ONLY_THEIRS = {
    "git_commit",
    "feature_flags",
    "disk_io_wait_stats",
    "default_max_consumers",
    "imports",
    "name_tag",
    "cache_hit_rate",
}

REQUESTS = [
    ("app", "$SYS.REQ.USER.INFO"),
    ("app", "$SYS.REQ.ACCOUNT.PING.CONNZ"),
    ("app", "$SYS.REQ.SERVER.PING.CONNZ"),
    ("app", "$SYS.REQ.ACCOUNT.PING.STATZ"),
    *[
        ("sys", f"$SYS.REQ.SERVER.PING{kind}")
        for kind in ("", ".IDZ", ".STATSZ", ".VARZ", ".SUBSZ", ".CONNZ", ".ROUTEZ", ".GATEWAYZ", ".LEAFZ")
    ],
    *[("sys", f"$SYS.REQ.SERVER.PING.{kind}") for kind in ("ACCOUNTZ", "JSZ", "HEALTHZ")],
    *[
        ("sys", f"$SYS.REQ.ACCOUNT.A.{kind}")
        for kind in ("CONNZ", "SUBSZ", "LEAFZ", "JSZ", "INFO", "STATZ", "CONNS")
    ],
    ("sys", "$SYS.REQ.ACCOUNT.GHOST.INFO"),
    ("sys", "$SYS.REQ.USER.INFO"),
]


def shape(document: Any) -> Any:
    """Return the keys and kinds of a document, whatever the values."""
    if isinstance(document, dict):
        return {key: shape(value) for key, value in sorted(document.items()) if key not in ONLY_THEIRS}
    if isinstance(document, list) and document and isinstance(document[0], dict):
        everywhere = set.intersection(*[set(one) for one in document])
        return [shape({key: value for key, value in document[0].items() if key in everywhere})]
    if isinstance(document, list):
        return [shape(document[0])] if document else []
    if isinstance(document, (int, float)) and not isinstance(document, bool):
        return "number"
    return type(document).__name__


async def ask_all(server: ServerProcess, connect: Connect) -> dict[str, Any]:
    app = await connect(server, name="app")
    system = await connect(server, user="sys", password="sys", name="sys")
    answers: dict[str, Any] = {}
    for who, subject in REQUESTS:
        client = app if who == "app" else system
        answers[f"{who} {subject}"] = json.loads((await client.request(subject, b"", timeout=5)).data)
    server_id = app._server_info["server_id"]
    for command, body in (("KICK", b'{"cid":9999}'), ("LDM", b'{"cid":9999}')):
        subject = f"$SYS.REQ.SERVER.{server_id}.{command}"
        answers[command] = json.loads((await system.request(subject, body, timeout=5)).data)
    await app.close()
    await system.close()
    return answers


@pytest.fixture
def both(start_nats_server: Starter, start_broker: Starter) -> tuple[ServerProcess, ServerProcess]:
    return start_nats_server(config=CONFIG), start_broker(config=CONFIG)


async def test_answers_have_the_fields_of_the_reference(
    both: tuple[ServerProcess, ServerProcess], connect: Connect
) -> None:
    theirs, ours = [await ask_all(server, connect) for server in both]
    missing: dict[str, Any] = {}
    for request, answer in theirs.items():
        lacking = differences(shape(answer), shape(ours[request]))
        if lacking:
            missing[request] = lacking
    assert missing == {}


def differences(theirs: Any, ours: Any, path: str = "") -> list[str]:
    """Return the paths that are missing or of another kind in ours."""
    if isinstance(theirs, dict):
        if not isinstance(ours, dict):
            return [f"{path}: {type(ours).__name__}"]
        found = [f"{path}.{key} is missing" for key in theirs if key not in ours]
        for key in theirs.keys() & ours.keys():
            found += differences(theirs[key], ours[key], f"{path}.{key}")
        return found
    if isinstance(theirs, list):
        if not isinstance(ours, list):
            return [f"{path} is no list"]
        if not theirs:
            return []
        return differences(theirs[0], ours[0], f"{path}[]") if ours else [f"{path} is empty"]
    return [] if theirs == ours else [f"{path}: {ours}, not {theirs}"]


async def test_an_ordinary_user_reaches_nothing_else(
    both: tuple[ServerProcess, ServerProcess], connect: Connect
) -> None:
    import nats.errors

    for server in both:
        client = await connect(server)
        for subject in ("$SYS.REQ.SERVER.PING", "$SYS.REQ.SERVER.PING.VARZ", "$SYS.REQ.ACCOUNT.A.CONNZ"):
            with pytest.raises(nats.errors.NoRespondersError):
                await client.request(subject, b"", timeout=5)


async def events_of(server: ServerProcess, connect: Connect) -> list[tuple[str, Any]]:
    system = await connect(server, user="sys", password="sys")
    found: list[tuple[str, Any]] = []
    complete = asyncio.Event()

    async def heard(message: Any) -> None:
        found.append((message.subject, json.loads(message.data)))
        if message.subject.endswith(".DISCONNECT"):
            complete.set()

    await system.subscribe("$SYS.ACCOUNT.A.*", cb=heard)
    await system.flush()
    client = await connect(server, name="visitor")
    await client.flush()
    await client.close()
    await asyncio.wait_for(complete.wait(), 5)
    return found


async def test_events_have_the_fields_of_the_reference(
    both: tuple[ServerProcess, ServerProcess], connect: Connect
) -> None:
    theirs, ours = [await events_of(server, connect) for server in both]
    assert [subject for subject, _ in ours] == [subject for subject, _ in theirs]
    for (subject, expected), (_, event) in zip(theirs, ours, strict=True):
        assert differences(shape(expected), shape(event)) == [], subject
        assert event["type"] == expected["type"]
    assert ours[-1][1]["reason"] == "Client Closed"


async def test_a_kicked_client_hears_why(both: tuple[ServerProcess, ServerProcess], connect: Connect) -> None:
    for server in both:
        system = await connect(server, user="sys", password="sys")
        gone = asyncio.Event()

        async def closed(gone: asyncio.Event = gone) -> None:
            gone.set()

        client = await connect(server, closed_cb=closed)
        info = client._server_info
        subject, body = (
            f"$SYS.REQ.SERVER.{info['server_id']}.KICK",
            json.dumps({"cid": info["client_id"]}).encode(),
        )
        await system.request(subject, body, timeout=5)
        await asyncio.wait_for(gone.wait(), 5)


async def test_monitoring_over_http_has_the_fields_of_the_reference(
    start_nats_server: Starter, start_broker: Starter, connect: Connect
) -> None:
    import urllib.request

    def get(server: ServerProcess, path: str) -> Any:
        with urllib.request.urlopen(server.monitoring_url + path, timeout=5) as answer:
            return json.loads(answer.read())

    servers = [start(monitoring=True) for start in (start_nats_server, start_broker)]
    for server in servers:
        client = await connect(server, name="app")
        await client.subscribe("a.*", queue="q")
        stream = client.jetstream()
        await stream.add_stream(name="S", subjects=["s.*"])
        await stream.publish("s.1", b"abc")
        await stream.pull_subscribe("s.*", durable="D")
        await client.flush()
    paths = [
        "/varz",
        "/connz?subs=detail&auth=1",
        "/subsz?subs=1",
        "/accountz?acc=$G",
        "/accstatz",
        "/healthz",
    ]
    paths += ["/jsz?acc=$G&consumers=1&config=1", "/jsz", "/routez", "/gatewayz", "/leafz"]
    lacking = {}
    for path in paths:
        theirs, ours = [shape(await asyncio.to_thread(get, server, path)) for server in servers]
        found = differences(theirs, ours)
        if found:
            lacking[path] = found
    assert lacking == {}
