"""Producing and consuming over HTTP, on the real server and on ours."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil

import aiohttp
import jwt
import pytest
from nats.aio.client import Client

from memphis_desktop.server_process import ServerProcess
from memphis_desktop.stations.client import StationsClient
from memphis_desktop.stations.model import Permissions
from memphis_desktop.stations.rest.gateway import RestGateway
from memphis_desktop.ui.memphis.snippets import LANGUAGES, ROOT, ROOT_PASSWORD, Address, snippet
from tests.clients.rest.conftest import Http, StartRest
from tests.waiting import eventually

OK = (200, {"success": True, "error": None})
UNAUTHORIZED = (401, {"message": "Unauthorized"})


async def stored(nats: Client, stream: str) -> list[bytes]:
    jetstream = nats.jetstream(timeout=30)
    last = (await jetstream.stream_info(stream)).state.last_seq
    return [(await jetstream.get_msg(stream, number)).data or b"" for number in range(1, last + 1)]


async def test_produce_and_consume(http: Http, nats: Client) -> None:
    answer = await http.login()
    assert answer["expires_in"] == 15 * 60_000
    assert answer["refresh_token_expires_in"] == 300 * 60_000
    produce = "/stations/My.Orders/produce/single"
    assert await http(produce, {"message": "x"}, headers={"X-Trace": "t1"}) == OK
    assert await http(produce, b"plain", headers={"Content-Type": "text/plain"}) == OK
    assert await http(produce, b"\x08\x01", headers={"Content-Type": "application/x-protobuf"}) == OK
    batch = [{"message": "y"}, {"message": "z", "n": 2**53}]
    assert await http("/stations/My.Orders/produce/batch", batch) == OK
    expected = [
        b'{"message": "x"}',
        b"plain",
        b"\x08\x01",
        b'{"message":"y"}',
        b'{"message":"z","n":9007199254740992}',
    ]
    assert await stored(nats, "my#orders$1") == expected

    status, messages = await http(
        "/stations/my.orders/consume/batch", {"consumer_name": "c", "batch_size": 3}
    )
    assert status == 200
    assert [message["message"] for message in messages] == ['{"message": "x"}', "plain", "\x08\x01"]
    assert messages[0]["headers"]["X-Trace"] == "t1"
    assert messages[0]["headers"]["Content-Type"] == "application/json"
    status, messages = await http("/stations/my.orders/consume/batch", {"consumer_name": "c"})
    assert [json.loads(message["message"])["message"] for message in messages] == ["y", "z"]
    body = {"consumer_name": "c", "batch_max_wait_time_ms": 200}
    assert await http("/stations/my.orders/consume/batch", body) == (200, [])
    body["consumer_group"] = "another"  # sees everything, too
    status, messages = await http("/stations/my.orders/consume/batch", body)
    assert len(messages) == 5
    names = [info.name for info in await nats.jetstream(timeout=30).consumers_info("my#orders$1")]
    assert sorted(names) == ["another-rest-gateway", "rest-gateway"]


async def test_a_message_that_comes_while_one_waits(http: Http) -> None:
    await http.login()
    body = {"consumer_name": "c", "batch_size": 1, "batch_max_wait_time_ms": 30_000}
    waiting = asyncio.create_task(http("/stations/later/consume/batch", body))
    await http("/stations/later/produce/single", b"now", headers={"Content-Type": "text/plain"})
    status, messages = await waiting
    assert (status, [message["message"] for message in messages]) == (200, ["now"])


async def test_no_token_and_no_password_is_in_a_message(http: Http, nats: Client) -> None:
    answer = await http.login()
    token = answer["jwt"]
    headers = {"Cookie": "secret=1", "Nats-Rollup": "all", "$memphis_pm_id": "1", "X-Kept": "yes"}
    assert await http(f"/stations/s/produce/single?authorization={token}", {}, headers=headers) == OK
    message = await nats.jetstream(timeout=30).get_msg("s$1", 1)
    assert message.headers is not None
    names = {name.lower() for name in message.headers}
    assert {"x-kept", "content-type", "host", "$memphis_producedby", "$memphis_connectionid"} <= names
    assert not names & {"authorization", "cookie", "nats-rollup", "$memphis_pm_id"}
    assert token not in str(message.headers)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert "memphis" not in claims.values()


async def test_partitions_take_turns(http: Http, stations: StationsClient, nats: Client) -> None:
    await stations.create_station("wide", partitions_number=3)
    await http.login()
    for number in range(3):
        assert await http("/stations/wide/produce/single", {"n": number}) == OK
    assert await http("/stations/wide/produce/batch", [{"n": number} for number in range(3, 9)]) == OK
    for partition in (1, 2, 3):
        assert len(await stored(nats, f"wide${partition}")) == 3
    seen: list[int] = []
    for size in (4, 1, 1, 10):
        body = {"consumer_name": "c", "batch_size": size, "batch_max_wait_time_ms": 500}
        status, messages = await http("/stations/wide/consume/batch", body)
        assert status == 200
        assert len(messages) <= size
        seen += [json.loads(message["message"])["n"] for message in messages]
    assert sorted(seen) == list(range(9))


async def test_message_ids(http: Http, nats: Client) -> None:
    await http.login()
    for _ in range(3):
        assert await http("/stations/ids/produce/single", {"n": 1}, headers={"msg-id": "one"}) == OK
        assert (
            await http("/stations/ids/produce/batch", [{"n": 2}, {"n": 3}], headers={"Msg-Id": "two"}) == OK
        )
    assert await stored(nats, "ids$1") == [b'{"n": 1}', b'{"n":2}', b'{"n":3}']


SCHEMA = '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}'


async def test_schemas_are_enforced(http: Http, stations: StationsClient, nats: Client) -> None:
    await stations.create_station("strict")
    await stations.create_schema("numbers", "json", SCHEMA)
    await stations.attach_schema("numbers", ["strict"])
    await http.login()
    assert await http("/stations/strict/produce/single", {"n": 1}) == OK
    status, answer = await http("/stations/strict/produce/single", {"n": "one"})
    assert status == 400
    assert answer["success"] is False
    assert answer["error"].startswith("Schema validation has failed: ")
    status, answer = await http("/stations/strict/produce/batch", [{"n": 2}, {}, {"n": 3}, {"n": "x"}])
    assert (status, answer["sent"], answer["fail"], len(answer["errors"])) == (400, 2, 2, 2)
    assert await stored(nats, "strict$1") == [b'{"n": 1}', b'{"n":2}', b'{"n":3}']
    letters = await eventually(lambda: stations.dead_letters("strict"), lambda found: len(found) == 3)
    assert {letter.producer for letter in letters} == {"rest-gateway"}


async def test_logins(http: Http, gateway: RestGateway) -> None:
    login = "/auth/authenticate"
    assert await http(login, {"username": "root", "password": "wrong"}) == UNAUTHORIZED
    assert await http(login, {"username": "nobody", "password": "memphis"}) == UNAUTHORIZED
    assert await http(login, {"username": "root", "password": "memphis", "account_id": 7}) == UNAUTHORIZED
    assert await http(login, {"password": "memphis"}) == (
        400,
        {"message": [{"field": "Username", "reason": "required"}]},
    )
    for bad in ({"username": 5}, {"username": "root", "account_id": "x"}, [1], "x"):
        status, answer = await http(login, bad)
        assert (status, answer["message"][:28]) == (400, "Some of your fields are not ")
    assert (await http(login, b"{", headers={"Content-Type": "application/json"}))[0] == 400
    for good in (
        {"username": "ROOT", "password": "memphis"},
        {"username": "root$1", "password": "memphis"},
        {"username": "root", "password": "memphis", "account_id": 1},
        {"username": "root", "connection_token": "memphis"},
    ):
        assert (await http(login, good))[0] == 200
    form = {"username": "root", "password": "memphis"}
    assert (await http(login, data=form))[0] == 200


async def test_tokens(http: Http, stations: StationsClient) -> None:
    path = "/stations/s/produce/single"
    assert await http(path, {}) == UNAUTHORIZED
    for header in ("Bearer", "Bearer x", "Bearer a.b.c", "x y z", "Bearer " + "a" * 5000):
        assert await http(path, {}, headers={"Authorization": header}) == UNAUTHORIZED
    answer = await http.login(token_expiry_in_minutes=1, refresh_token_expiry_in_minutes=2)
    assert (answer["expires_in"], answer["refresh_token_expires_in"]) == (60_000, 120_000)
    refresh = answer["jwt_refresh_token"]
    assert await http(path, {}, headers={"Authorization": f"Bearer {refresh}"}) == UNAUTHORIZED
    status, renewed = await http("/auth/refreshToken", {"jwt_refresh_token": refresh})
    assert status == 200
    assert await http(path, {}, headers={"Authorization": f"Bearer {renewed['jwt']}"}) == OK
    assert await http("/auth/refreshToken", {"jwt_refresh_token": answer["jwt"]}) == UNAUTHORIZED
    assert await http("/auth/refreshToken", {}) == UNAUTHORIZED
    await stations.change_password("root", "Another-1!")
    # the token given for the old password ends with it
    await eventually(lambda: http(path, {}), lambda answer: answer == UNAUTHORIZED)
    assert (
        await http("/auth/refreshToken", {"jwt_refresh_token": renewed["jwt_refresh_token"]}) == UNAUTHORIZED
    )


async def test_two_copies_take_each_others_tokens(
    http: Http, any_server: ServerProcess, start_rest: StartRest
) -> None:
    await http.login()
    other = await start_rest(any_server)
    http.url = f"http://127.0.0.1:{other.port}"
    assert await http("/stations/s/produce/single", {}) == OK


async def test_permissions(http: Http, stations: StationsClient) -> None:
    permissions = Permissions(allow_read=("open.*",), allow_write=("open.*",))
    await stations.add_user("app", "Secret-1!", permissions=permissions)
    await http.login(username="app", password="Secret-1!")
    assert await http("/stations/open.s/produce/single", {}) == OK
    status, answer = await http("/stations/closed/produce/single", {})
    assert (status, answer["success"]) == (403, False)
    status, answer = await http("/stations/closed/consume/batch", {"consumer_name": "c"})
    assert (status, answer["success"]) == (403, False)
    assert await stations.station("closed") is None
    await stations.remove_user("app")
    await eventually(
        lambda: http("/stations/open.s/produce/single", {}), lambda answer: answer == UNAUTHORIZED
    )


async def test_wrong_logins_are_limited(http: Http) -> None:
    await http.login()  # whoever was in before gets in again
    wrong = {"username": "root", "password": "wrong"}
    answers = [await http("/auth/authenticate", wrong) for _ in range(11)]
    assert [status for status, _ in answers] == [401] * 10 + [429]
    assert (await http("/auth/authenticate", {"username": "root", "password": "memphis"}))[0] == 200
    # another user is heard
    assert (await http("/auth/authenticate", {"username": "x", "password": "y"}))[0] == 401


async def test_bad_requests(http: Http) -> None:
    await http.login()
    single, batch, consume = (
        "/stations/s/produce/single", "/stations/s/produce/batch", "/stations/s/consume/batch",
    )  # fmt: skip
    assert await http(single, b"x", headers={"Content-Type": "image/png"}) == (
        500,
        "unsupported content type",
    )
    assert await http(batch, b"x", headers={"Content-Type": "text/plain"}) == (
        500,
        "unsupported content type",
    )
    for body in (b"{}", b"[1]", b"[", b"", b"null"):
        answer = await http(batch, body, headers={"Content-Type": "application/json"})
        assert answer == (500, "unsupported request")
    assert await http(consume, {}) == (400, {"success": False, "error": "Consumer name is required"})
    assert (await http(consume, b"[", headers={"Content-Type": "application/json"})) == (
        400,
        {"success": False, "error": "Invalid request body"},
    )
    for bad in ({"batch_size": -1}, {"batch_size": 5001}, {"batch_max_wait_time_ms": 1}, {"batch_size": "x"}):
        assert (await http(consume, {"consumer_name": "c", **bad}))[0] == 400
    for name in ("bad name", "a%20b", "_x", "a" * 200, "%24JS", "..%2F..%2Fetc"):
        status, answer = await http(f"/stations/{name}/produce/single", {})
        assert (status, answer["success"]) == (400, False), name
    assert (await http("/nowhere", {}))[0] == 404
    assert (await http("/stations/s/produce/single", method="GET"))[0] == 404
    http.headers.clear()
    assert await http("/nowhere", {}) == UNAUTHORIZED
    assert await http("/monitoring/status", method="GET") == (200, {"status": "ok"})


async def test_bodies_are_bounded(http: Http, nats: Client) -> None:
    await http.login()
    path, kind = "/stations/s/produce/single", {"Content-Type": "text/plain"}
    assert (await http(path, b"x" * (5 << 20), headers=kind))[0] == 413

    async def endless():
        for _ in range(200):
            yield b"x" * 65536

    with contextlib.suppress(aiohttp.ClientConnectionError):  # hung up on while it was still sending
        status, _ = await http(path, headers=kind, data=endless())
        assert status == 413
    status, answer = await http(path, b"x" * (2 << 20), headers=kind)
    assert (status, answer["success"]) == (413, False)  # what the server itself takes is less
    assert await http(path, b"x" * (nats.max_payload - 4096), headers=kind) == OK


async def test_what_is_no_http_is_told_and_not_logged(
    gateway: RestGateway, caplog: pytest.LogCaptureFixture
) -> None:
    flood = b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 100) for n in range(2000)) + b"\r\n"
    for request in (flood, b"\x00\x01\x02\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(request)
        assert b" 400 " in await reader.readline()
        writer.close()
        with contextlib.suppress(ConnectionError):  # the rest of the flood was not read
            await writer.wait_closed()
    assert not caplog.records


async def test_slow_senders_are_cut_off(
    any_server: ServerProcess, start_rest: StartRest, http_session: aiohttp.ClientSession
) -> None:
    gateway = await start_rest(any_server, body_timeout=0.3)
    http = Http(http_session, f"http://127.0.0.1:{gateway.port}")
    token = (await http.login())["jwt"]
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    head = (
        "POST /stations/s/produce/single HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: 100\r\n\r\nabc"
    )
    writer.write(head.encode())
    answer = await asyncio.wait_for(reader.read(), 30)
    assert answer.startswith(b"HTTP/1.1 408 ")
    writer.close()
    await writer.wait_closed()


async def test_memory_is_bounded(
    any_server: ServerProcess, start_rest: StartRest, http_session: aiohttp.ClientSession
) -> None:
    gateway = await start_rest(any_server, memory=1 << 20)
    http = Http(http_session, f"http://127.0.0.1:{gateway.port}")
    await http.login()
    status, answer = await http(
        "/stations/s/produce/single", b"x" * 900_000, headers={"Content-Type": "text/plain"}
    )
    assert (status, answer["success"]) == (503, False)
    assert await http("/stations/s/produce/single", {}) == OK


async def test_browsers_may_send_from_any_page(http: Http) -> None:
    headers = {
        "Origin": "http://a.page",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    async with http.session.options(http.url + "/stations/s/produce/single", headers=headers) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["Access-Control-Allow-Headers"] == "authorization"
    async with http.session.post(http.url + "/x") as response:
        assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_a_server_that_is_away(http: Http, any_server: ServerProcess) -> None:
    await http.login()
    path = "/stations/s/produce/single"
    assert await http(path, {}) == OK
    await asyncio.to_thread(any_server.stop)
    status, answer = await eventually(lambda: http(path, {}), lambda answer: answer[0] != 200)
    assert status == 503
    assert answer["success"] is False
    status, answer = await http("/stations/s/consume/batch", {"consumer_name": "c"})
    assert status == 503
    assert (await http("/auth/authenticate", {"username": "root", "password": "memphis"}))[0] == 200
    await asyncio.to_thread(any_server.start)
    await eventually(lambda: http(path, {}), lambda answer: answer == OK)


async def test_a_group_that_somebody_deleted_is_made_anew(http: Http, nats: Client) -> None:
    await http.login()
    body = {"consumer_name": "c", "batch_max_wait_time_ms": 2000}
    await http("/stations/s/produce/single", {"n": 1})
    assert len((await http("/stations/s/consume/batch", body))[1]) == 1
    await nats.jetstream(timeout=30).delete_consumer("s$1", "rest-gateway")
    assert len((await http("/stations/s/consume/batch", body))[1]) == 1


async def test_curl(http: Http) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")

    async def run(path: str, body: str, *options: str) -> object:
        process = await asyncio.create_subprocess_exec(
            curl, "--silent", "--show-error", "--location", "--request", "POST", http.url + path,
            "--header", "Content-Type: application/json", "--data-raw", body, *options,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, _ = await process.communicate()
        return json.loads(output)

    answer = await run("/auth/authenticate", json.dumps({"username": "root", "password": "memphis"}))
    assert isinstance(answer, dict)
    bearer = ("--header", f"Authorization: Bearer {answer['jwt']}")
    assert await run("/stations/curl/produce/single", '{"message": "New Message"}', *bearer) == OK[1]
    assert await run("/stations/curl/produce/batch", '[{"message": "x"}, {"message": "y"}]', *bearer) == OK[1]
    messages = await run("/stations/curl/consume/batch", '{"consumer_name": "c"}', *bearer)
    assert isinstance(messages, list)
    assert [message["message"] for message in messages] == [
        '{"message": "New Message"}',
        '{"message":"x"}',
        '{"message":"y"}',
    ]


async def test_the_lines_offered_for_copying_run(gateway: RestGateway) -> None:
    """They log in with curl, produce, and consume what was produced."""
    if shutil.which("curl") is None or shutil.which("sh") is None:
        pytest.skip("there is no curl")
    address = Address("127.0.0.1", 0, ROOT, ROOT_PASSWORD, gateway.port)

    async def run(*, produce: bool) -> str:
        text = snippet(LANGUAGES[-1], address, "orders", produce=produce)
        done = await asyncio.create_subprocess_exec(
            "sh", "-c", text, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        return (await done.communicate())[0].decode()

    assert json.loads(await run(produce=True)) == {"error": None, "success": True}
    [message] = json.loads(await run(produce=False))
    assert json.loads(message["message"]) == {"id": 1}
