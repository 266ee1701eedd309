"""The requests and events of the system account: the same fields as nats-server gives."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from nats.js.api import AckPolicy

from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect, Starter

CONFIG = """
server_tags: ["a:b", "c"]
server_metadata { m: n }
client_advertise: "192.0.2.1:4222"
max_subs: 1000
websocket {
  listen: "127.0.0.1:-1", no_tls: true, compression: true, allowed_origins: ["http://x.test"]
  handshake_timeout: "1s", advertise: "192.0.2.1:80", headers { X-A: b }
}
jetstream {
  domain: hub, unique_tag: a
  limits { max_ack_pending: 100, max_request_batch: 50, max_ha_assets: 10, duplicate_window: "3m" }
}
accounts {
  $SYS { users: [ {user: sys, password: sys} ] }
  A {
    jetstream: { max_mem: 1MB, max_file: 10MB }, users: [ {user: a, password: a} ]
    exports: [ { service: "svc.*", accounts: [B], response_type: stream }, { stream: "st.>" } ]
    mappings: { "x.*": [ { destination: "y.$1", weight: 50 } ] }
  }
  B {
    users: [ {user: b, password: b} ]
    imports: [
      { service: { account: A, subject: "svc.x" }, to: local }
      { stream: { account: A, subject: "st.>" } }
    ]
  }
}
no_auth_user: a
"""

# What only the reference has: its build, its runtime, links between servers, switches of its own.
ONLY_THEIRS = {
    "git_commit",
    "disk_io_wait_stats",
    "System recvQ",
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
    *[("sys", f"$SYS.REQ.ACCOUNT.{name}") for name in ("B.INFO", "GHOST.INFO", "GHOST.JSZ", "PING.SUBSZ")],
    *[("sys", f"$SYS.REQ.SERVER.PING.{kind}") for kind in ("PROFILEZ", "IPQUEUESZ", "RAFTZ")],
    ("sys", "$SYS.REQ.USER.INFO"),
]


# Imports that the reference makes by itself to serve its requests; ours need none.
OWN_IMPORTS = ("$SYS.", "$JS.")


def shape(document: Any) -> Any:
    """Return the keys and kinds of a document, whatever the values."""
    if isinstance(document, dict) and "imports" in document:
        kept = [one for one in document["imports"] if not one["subject"].startswith(OWN_IMPORTS)]
        document = {**document, "imports": kept}
        if not kept:
            del document["imports"]
    if isinstance(document, dict) and "mappings" in document:  # of the domain
        kept_mappings = {key: one for key, one in document["mappings"].items() if key[0] != "$"}
        document = {**document, "mappings": kept_mappings}
        if not kept_mappings:
            del document["mappings"]
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
        answers[f"{who} {subject}"] = json.loads((await client.request(subject, b"", timeout=30)).data)
    server_id = app._server_info["server_id"]
    for command, body in (("KICK", b'{"cid":9999}'), ("LDM", b'{"cid":9999}')):
        subject = f"$SYS.REQ.SERVER.{server_id}.{command}"
        answers[command] = json.loads((await system.request(subject, body, timeout=30)).data)
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
    await client.subscribe("seen")
    await client.publish("seen", b"12345")
    await client.publish("unseen", b"123")
    await client.flush()
    await client.close()
    await asyncio.wait_for(complete.wait(), 60)
    return found


async def test_events_have_the_fields_of_the_reference(
    both: tuple[ServerProcess, ServerProcess], connect: Connect
) -> None:
    theirs, ours = [await events_of(server, connect) for server in both]
    assert [subject for subject, _ in ours] == [subject for subject, _ in theirs]
    for (subject, expected), (_, event) in zip(theirs, ours, strict=True):
        assert differences(shape(expected), shape(event)) == [], subject
        assert event["type"] == expected["type"]
    assert ours[-1][1]["reason"] == theirs[-1][1]["reason"] == "Client Closed"
    for event in (ours[-1][1], theirs[-1][1]):  # as the client sees it
        assert (event["sent"], event["received"]) == ({"msgs": 2, "bytes": 8}, {"msgs": 1, "bytes": 5})


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
        await system.request(subject, body, timeout=30)
        await asyncio.wait_for(gone.wait(), 60)


async def test_monitoring_over_http_has_the_fields_of_the_reference(
    start_nats_server: Starter, start_broker: Starter, connect: Connect
) -> None:
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


# Paths, and where the values differ by nature: keys are compared, and that no other one is there.
QUERIES = [
    "/connz?subs=1",
    "/connz?auth=true&subs=1&sort=subs",
    "/connz?state=closed",
    "/connz?state=all",
    "/connz?limit=1&offset=1",
    "/connz?cid=999",
    "/connz?acc=A",
    "/connz?user=a&auth=1",
    "/connz?filter_subject=foo.bar&acc=A&subs=1",
    "/connz?filter_subject=foo.bar",
    "/subsz",
    "/subsz?test=foo.bar",
    "/subscriptionsz",
    "/accountz",
    "/accstatz?unused=1",
    "/jsz",
    "/jsz?accounts=1",
    "/jsz?acc=A&streams=1",
    "/jsz?acc=A&consumers=1",
    "/jsz?acc=A&consumers=1&config=1&raft=1",
    "/jsz?acc=NONE",
    "/jsz?accounts=1&offset=5",
    "/healthz?js-enabled-only=1",
    "/healthz?js-server-only=true",
    "/healthz?account=A&stream=S&consumer=C",
    "/ipqueuesz",
]
# These are answered in the same words.
WORDS = [
    "/connz?sort=nonsense",
    "/connz?sort=stop",
    "/connz?state=all&sort=stop",
    "/connz?state=x",
    "/connz?limit=x",
    "/subsz?test=foo.*",
    "/accountz?acc=NONE",
    "/healthz?account=NO",
    "/healthz?account=NO&details=1",
    "/healthz?account=A&stream=NO",
    "/healthz?account=A&stream=S&consumer=N",
    "/healthz?stream=S",
    "/healthz?consumer=x",
    "/raftz",
    "/nowhere",
]


def fetched(server: ServerProcess, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(server.monitoring_url + path, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


async def occupied(start: Starter, connect: Connect) -> ServerProcess:
    """Return a server with clients, one of them gone, a stream and a consumer."""
    config = """
      accounts {
        A { jetstream: enabled, users: [{user: a, password: a}] }
        B { users: [{user: b, password: b}] }
      }
    """
    server: ServerProcess = start(monitoring=True, config=config)
    client = await connect(server, user="a", password="a", name="named")
    await connect(server, user="b", password="b")
    gone = await connect(server, user="b", password="b")
    await client.subscribe("foo.*")
    await client.subscribe("foo.bar", queue="q")
    jetstream = client.jetstream(timeout=30)
    await jetstream.add_stream(name="S", subjects=["s.*"])
    await jetstream.publish("s.1", b"abc")
    await jetstream.add_consumer("S", durable_name="C", ack_policy=AckPolicy.EXPLICIT)
    await gone.close()
    async with asyncio.timeout(30):
        while '"stop"' not in (await asyncio.to_thread(fetched, server, "/connz?state=closed"))[1]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return server


async def test_query_options_are_those_of_the_reference(
    start_nats_server: Starter, start_broker: Starter, connect: Connect
) -> None:
    servers = [await occupied(start, connect) for start in (start_nats_server, start_broker)]
    for path in QUERIES:
        (code, theirs), (own_code, ours) = [
            await asyncio.to_thread(fetched, server, path) for server in servers
        ]
        assert own_code == code, path
        expected, found = shape(json.loads(theirs)), shape(json.loads(ours))
        for config in (found.get("config"), expected.get("config")):
            if isinstance(config, dict):
                config.pop("sync_always", None)
        if path.startswith("/ipqueuesz"):
            expected = {}
        assert found == expected, path
    for path in WORDS:
        expected, found = [await asyncio.to_thread(fetched, server, path) for server in servers]
        assert found == expected, path


async def test_what_exporters_and_nats_top_read(start_broker: Starter, connect: Connect) -> None:
    """The keys that prometheus-nats-exporter and nats-top look up, with values of the right kind."""
    server = await occupied(start_broker, connect)

    async def read(path: str) -> dict[str, Any]:
        content = json.loads((await asyncio.to_thread(fetched, server, path))[1])
        assert isinstance(content, dict)
        return content

    varz = await read("/varz")
    for key in (
        *("cpu", "mem", "in_msgs", "out_msgs", "in_bytes", "out_bytes", "slow_consumers", "connections"),
        *("total_connections", "subscriptions", "routes", "remotes", "leafnodes", "max_connections"),
        *("max_payload", "max_pending", "max_control_line", "ping_interval", "ping_max", "cores", "port"),
    ):
        assert isinstance(varz[key], (int, float)), key
    for key in ("server_id", "server_name", "version", "uptime", "start", "now"):
        assert varz[key], key
    assert {"clients", "routes", "gateways", "leafs"} <= varz["slow_consumer_stats"].keys()
    assert {"max_memory", "max_storage"} <= varz["jetstream"]["config"].keys()
    assert varz["jetstream"]["stats"]["api"].keys() >= {"total", "errors"}

    connz = await read("/connz?limit=1024&sort=cid&auth=1&subs=1")
    assert connz["num_connections"] == 2
    for key in (
        "cid",
        "port",
        "pending_bytes",
        "in_msgs",
        "out_msgs",
        "in_bytes",
        "out_bytes",
        "subscriptions",
    ):
        assert isinstance(connz["connections"][0][key], int), key
    for key in ("ip", "name", "lang", "version", "start", "last_activity", "uptime", "idle", "rtt"):
        assert connz["connections"][0][key], key
    assert connz["connections"][0]["authorized_user"] == "a"
    assert set(connz["connections"][0]["subscriptions_list"]) >= {"foo.*", "foo.bar"}

    jsz = await read("/jsz?consumers=true&config=true&raft=true&accounts=true")
    for key in ("memory", "storage", "streams", "consumers", "messages", "bytes"):
        assert isinstance(jsz[key], int), key
    (account,) = jsz["account_details"]
    (stream,) = account["stream_detail"]
    assert (stream["name"], stream["state"]["messages"], stream["cluster"]["leader"]) == (
        "S",
        1,
        varz["server_name"],
    )
    (consumer,) = stream["consumer_detail"]
    assert consumer["delivered"].keys() >= {"consumer_seq", "stream_seq"}
    for key in ("num_ack_pending", "num_redelivered", "num_waiting", "num_pending"):
        assert isinstance(consumer[key], int), key
    assert (await read("/healthz"))["status"] == "ok"
    assert (await read("/subsz"))["num_subscriptions"] > 0
    assert (await read("/accstatz?unused=1"))["account_statz"]
