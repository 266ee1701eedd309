"""A node and its connections: limits, timers, slow readers, fast publishers, order of what is written."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import time
from pathlib import Path

import pytest

from memphis_desktop.broker.connection import TIME_SLICE, ClientConnection
from memphis_desktop.broker.node import BrokerNode
from memphis_desktop.broker.options import BrokerOptions, StartError
from memphis_desktop.broker.subscription import ClientSubscription
from memphis_desktop.protocol.errors import CloseReason
from memphis_desktop.protocol.message import Message
from tests.unit.broker.conftest import QUIET, OpenClient, StartNode
from tests.waiting import until


def last_reason(node: BrokerNode) -> str:
    return node.closed_connections[-1].close_reason


# -- starting and stopping -----------------------------------------------------------------------------------
async def test_a_taken_port_is_one_clear_sentence(start_node: StartNode) -> None:
    first = await start_node()
    with pytest.raises(StartError, match=f"port {first.port} on 127.0.0.1 is taken by another program"):
        await start_node(port=first.port)


async def test_an_address_that_is_not_ours(start_node: StartNode) -> None:
    with pytest.raises(StartError, match=r"cannot listen on 192\.0\.2\.1:"):
        await start_node(host="192.0.2.1")


async def test_stop_closes_connections_and_may_be_repeated(
    start_node: StartNode, open_client: OpenClient
) -> None:
    node = await start_node()
    client = await open_client(node)
    await node.stop()
    await node.stop()
    assert await client.rest() == b""
    assert last_reason(node) == CloseReason.SERVER_SHUTDOWN
    with pytest.raises(OSError, match=r"refused|failed"):
        socket.create_connection(("127.0.0.1", node.port), timeout=1)


async def test_stop_is_not_held_up_by_a_reader_that_does_not_read(
    start_node: StartNode, open_client: OpenClient
) -> None:
    node = await start_node()
    client = await open_client(node)
    client.send(b"SUB a 1\r\n")
    await client.synchronise()
    client.writer.transport.pause_reading()
    for _ in range(40):
        node.default_account.publish((b"a", b"", 0, b"x" * 500_000))
    started = time.monotonic()
    await node.stop()
    assert time.monotonic() - started < 4


# -- greeting ------------------------------------------------------------------------------------------------
async def test_info(start_node: StartNode, open_client: OpenClient) -> None:
    node = await start_node(server_name="here")
    info = (await open_client(node, None)).info
    assert info["server_name"] == "here"
    assert len(info["server_id"]) == 56
    assert info["server_id"].startswith("N")
    assert (info["proto"], info["headers"], info["port"]) == (1, True, node.port)
    assert info["client_ip"] == "127.0.0.1"
    assert "auth_required" not in info
    assert "jetstream" not in info


async def test_a_second_info_follows_the_first_pong(start_node: StartNode, open_client: OpenClient) -> None:
    node = await start_node()
    client = await open_client(node, None)
    client.send(QUIET + b"PING\r\nPING\r\n")
    assert await client.line() == b"PONG"
    info = await client.read_info()
    assert info["connect_info"] is True
    assert info["remote_account"] == "$G"
    assert await client.line() == b"PONG"


# -- authentication ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "hello", "welcome"),
    [
        ({"token": "secret"}, b'CONNECT {"verbose":false,"auth_token":"secret"}\r\n', True),
        ({"token": "secret"}, b'CONNECT {"verbose":false,"auth_token":"wrong"}\r\n', False),
        ({"token": "secret"}, b'CONNECT {"verbose":false,"user":"secret"}\r\n', False),
        ({"token": "secret"}, b'CONNECT {"verbose":false}\r\n', False),
        ({"token": "secret"}, b"PING\r\n", False),
        ({"token": "secret"}, b"SUB a 1\r\n", False),
        ({"token": "secret"}, b"PUB a 1\r\nx\r\n", False),
        ({"token": "secret"}, b"FOO\r\n", False),
    ],
)
async def test_token(
    start_node: StartNode, open_client: OpenClient, options: dict[str, str], hello: bytes, welcome: bool
) -> None:
    node = await start_node(**options)
    client = await open_client(node, None)
    assert client.info["auth_required"] is True
    client.send(hello)
    if welcome:
        await client.synchronise()
        return
    assert await client.rest() == b"-ERR 'Authorization Violation'\r\n"
    assert last_reason(node) == CloseReason.AUTHENTICATION_FAILURE


async def test_nothing_gets_in_before_authentication(start_node: StartNode, open_client: OpenClient) -> None:
    node = await start_node(token="secret")
    got: list[Message] = []
    node.default_account.subscribe(b">", lambda messages, _: got.extend(messages))
    client = await open_client(node, None)
    client.send(b'PUB a 1\r\nx\r\nCONNECT {"auth_token":"secret"}\r\nPUB a 1\r\nx\r\n')
    assert b"Authorization Violation" in await client.rest()
    assert got == []


async def test_authentication_timeout(start_node: StartNode, open_client: OpenClient) -> None:
    node = await start_node(token="secret", auth_timeout=0.05)
    client = await open_client(node, None)
    assert await client.rest() == b"-ERR 'Authentication Timeout'\r\n"
    assert last_reason(node) == CloseReason.AUTHENTICATION_TIMEOUT


# -- limits --------------------------------------------------------------------------------------------------
async def test_maximum_connections(start_node: StartNode, open_client: OpenClient) -> None:
    node = await start_node(max_connections=1)
    await open_client(node)
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    assert await reader.read() == b"-ERR 'maximum connections exceeded'\r\n"
    writer.close()
    assert last_reason(node) == CloseReason.MAX_CONNECTIONS
    assert len(node.connections) == 1


async def test_maximum_subscriptions_refuses_only_that_one(
    start_node: StartNode, open_client: OpenClient
) -> None:
    node = await start_node(max_subscriptions=2)
    client = await open_client(node)
    client.send(b"SUB a 1\r\nSUB b 2\r\nSUB c 3\r\n")
    assert await client.synchronise() == b"-ERR 'maximum subscriptions exceeded'\r\n"
    client.send(b"UNSUB 1\r\nSUB c 3\r\nPUB c 1\r\nx\r\n")
    assert await client.synchronise() == b"MSG c 3 1\r\nx\r\n"


async def test_maximum_tokens_refuses_only_that_one(start_node: StartNode, open_client: OpenClient) -> None:
    node = await start_node(max_subject_tokens=2)
    client = await open_client(node)
    client.send(b"SUB a.b.c 1\r\nSUB a.b 2\r\nPUB a.b 1\r\nx\r\n")
    expected = (
        b"-ERR 'Permissions Violation for Subscription to \"a.b.c\", too many tokens'\r\nMSG a.b 2 1\r\nx\r\n"
    )
    assert await client.synchronise() == expected


async def test_maximum_payload_closes(start_node: StartNode, open_client: OpenClient) -> None:
    node = await start_node(max_payload=10)
    client = await open_client(node)
    assert client.info["max_payload"] == 10
    client.send(b"PUB a 11\r\n")
    assert await client.rest() == b"-ERR 'Maximum Payload Violation'\r\n"
    assert last_reason(node) == CloseReason.MAX_PAYLOAD


async def test_subscriptions_end_with_their_connection(
    start_node: StartNode, open_client: OpenClient
) -> None:
    node = await start_node()
    client = await open_client(node)
    client.send(b"SUB a.* 1\r\nSUB b q 2\r\n")
    await client.synchronise()
    assert node.default_account.has_interest(b"a.x")
    client.close()
    await until(lambda: not node.connections)
    assert not node.default_account.has_interest(b"a.x")
    assert not any(isinstance(one, ClientSubscription) for one in node.default_account.router)
    assert last_reason(node) == CloseReason.CLIENT_CLOSED


# -- timers --------------------------------------------------------------------------------------------------
async def test_a_silent_peer_becomes_stale(start_node: StartNode, open_client: OpenClient) -> None:
    node = await start_node(ping_interval=0.05, ping_max=2)
    client = await open_client(node)
    for connection in node.connections.values():
        connection.next_ping = 0.0
    assert await client.rest() == b"PING\r\nPING\r\n-ERR 'Stale Connection'\r\n"
    assert last_reason(node) == CloseReason.STALE
    assert node.counters.stale_connections == 1


async def test_a_busy_peer_that_never_answers_pings_is_no_stale_one(
    start_node: StartNode, open_client: OpenClient
) -> None:
    node = await start_node(ping_interval=60, ping_max=2)
    client = await open_client(node)
    (connection,) = node.connections.values()
    received = b""
    for _ in range(5):
        client.send(b"PUB a 1\r\nx\r\n")
        received += await client.synchronise()
        connection.next_ping = 0.0
        connection.tick(node.clock.monotonic())
    assert received == b"PING\r\n"  # the one that measures the round trip
    assert not connection.closed


async def test_pong_keeps_a_connection_and_measures_it(
    start_node: StartNode, open_client: OpenClient
) -> None:
    node = await start_node(ping_interval=0.05, ping_max=1)
    client = await open_client(node)
    (connection,) = node.connections.values()
    connection.next_ping = 0.0
    for _ in range(3):
        assert await client.line() == b"PING"
        client.send(b"PONG\r\n")
        await client.synchronise()
        await asyncio.sleep(0.06)  # longer than the interval, so that the next PING is due
    assert connection.round_trip > 0


# -- slow readers and fast publishers ------------------------------------------------------------------------
async def test_a_reader_that_falls_behind_is_cut_off_and_memory_stays_bounded(
    start_node: StartNode, open_client: OpenClient
) -> None:
    node = await start_node(max_pending=2_000_000)
    reader, publisher, other = [await open_client(node) for _ in range(3)]
    for one in (reader, other):
        one.send(b"SUB a 1\r\n")
        await one.synchronise()
    (slow, *_) = node.connections.values()
    reader.writer.transport.pause_reading()
    draining = asyncio.create_task(other.rest())
    body = b"PUB a 100000\r\n" + b"x" * 100_000 + b"\r\n"
    for _ in range(200):
        publisher.send(body)
        await publisher.writer.drain()
        assert slow.pending_bytes < 4_000_000
        if slow.closed:
            break
    await until(lambda: slow.closed)
    assert slow.close_reason == CloseReason.SLOW_PENDING
    assert node.statistics().slow_consumers == 1
    await publisher.synchronise()
    draining.cancel()


async def test_a_reader_that_makes_no_progress_is_cut_off_in_time(
    start_node: StartNode, open_client: OpenClient
) -> None:
    node = await start_node(write_deadline=0.1)
    reader = await open_client(node)
    reader.send(b"SUB a 1\r\n")
    await reader.synchronise()
    (slow,) = node.connections.values()
    reader.writer.transport.pause_reading()
    for _ in range(40):
        node.default_account.publish((b"a", b"", 0, b"x" * 500_000))
    await until(lambda: slow.closed)
    assert slow.close_reason == CloseReason.SLOW_WRITE


async def test_a_fast_publisher_is_slowed_before_its_reader_is_lost(
    start_node: StartNode, open_client: OpenClient
) -> None:
    node = await start_node(max_pending=20_000_000)
    reader, publisher = [await open_client(node) for _ in range(2)]
    reader.send(b"SUB a 1\r\n")
    await reader.synchronise()
    slow, fast = node.connections.values()
    reader.writer.transport.pause_reading()
    sent = 0
    while not slow.congested:
        publisher.send(b"PUB a 100000\r\n" + b"x" * 100_000 + b"\r\n")
        await publisher.synchronise()
        sent += 1
    publisher.send(b"PUB a 1\r\nx\r\n")
    await publisher.synchronise()
    assert fast.stalls > 0
    assert not slow.closed
    reader.writer.transport.resume_reading()
    received = 0
    while received < sent * 100_000:
        received += len(await asyncio.wait_for(reader.reader.read(2**20), 60))
    await until(lambda: not slow.congested)


async def test_many_tiny_messages_do_not_hold_the_loop(
    start_node: StartNode, open_client: OpenClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await start_node()
    got = [0]
    spent: list[float] = []
    work = ClientConnection._work

    def count(messages: list[Message], _: object) -> None:
        got[0] += len(messages)

    def measured(connection: ClientConnection, data: bytes) -> None:
        started = time.thread_time()
        work(connection, data)
        spent.append(time.thread_time() - started)

    node.default_account.subscribe(b"a", count)
    publisher = await open_client(node)
    monkeypatch.setattr(ClientConnection, "_work", measured)
    gc.collect()
    gc.freeze()  # a full collection over all that the test session has loaded is not the broker's time
    publisher.send(b"PUB a 0\r\n\r\n" * 200_000 + b"PING\r\n")
    await publisher.until(b"PONG\r\n")
    gc.unfreeze()
    assert got == [200_000]
    assert max(spent) < 2 * TIME_SLICE


# -- order ---------------------------------------------------------------------------------------------------
async def test_pong_stands_behind_everything_before_it(
    start_node: StartNode, open_client: OpenClient
) -> None:
    node = await start_node()
    account = node.default_account

    def answer(messages: list[Message], _: object) -> None:
        account.publish_many([(one[1], b"", 0, b"done") for one in messages])

    account.subscribe(b"service", answer)
    client = await open_client(node)
    client.send(b"SUB in 1\r\nPUB service in 0\r\n\r\nPING\r\nSUB a..b 2\r\nPING\r\n")
    assert await client.until(b"PONG\r\n") == b"MSG in 1 4\r\ndone\r\nPONG\r\n"
    assert await client.until(b"PONG\r\n") == b"-ERR 'Invalid Subject'\r\nPONG\r\n"


async def test_what_the_node_sends_by_itself_leaves_in_the_next_turn(
    start_node: StartNode, open_client: OpenClient
) -> None:
    node = await start_node()
    client = await open_client(node)
    client.send(b"SUB a 1\r\n")
    await client.synchronise()
    node.default_account.publish((b"a", b"r", 0, b"x"))
    assert await client.until(b"x\r\n") == b"MSG a 1 r 1\r\nx\r\n"


async def test_headers_are_cut_off_for_clients_without_them(
    start_node: StartNode, open_client: OpenClient
) -> None:
    node = await start_node()
    client = await open_client(node, b'CONNECT {"verbose":false,"pedantic":false}\r\n')
    client.send(b"SUB a 1\r\n")
    await client.synchronise()
    node.default_account.publish((b"a", b"", 12, b"NATS/1.0\r\n\r\nbody"))
    assert await client.until(b"body\r\n") == b"MSG a 1 4\r\nbody\r\n"


async def test_statistics_keep_what_closed_connections_did(
    start_node: StartNode, open_client: OpenClient
) -> None:
    node = await start_node()
    client = await open_client(node)
    client.send(b"SUB a 1\r\nPUB a 3\r\nabc\r\n")
    await client.synchronise()
    before = node.statistics()
    assert (before.in_messages, before.in_bytes, before.out_messages, before.out_bytes) == (1, 3, 1, 3)
    client.close()
    await until(lambda: not node.connections)
    after = node.statistics()
    assert (after.in_messages, after.out_bytes, after.connections) == (1, 3, 0)
    assert BrokerOptions().port == 4222


# -- acknowledgements ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("sync_always", [True, False], ids=["durable", "interval"])
async def test_acknowledgements_come_once_and_in_order_however_they_are_sent(
    start_node: StartNode, open_client: OpenClient, tmp_path: Path, sync_always: bool
) -> None:
    node = await start_node(jetstream=True, store_dir=str(tmp_path), sync_always=sync_always)
    client = await open_client(node)
    config = b'{"name":"S","subjects":["s.>"]}'
    client.send(b"SUB made 1\r\nPUB $JS.API.STREAM.CREATE.S made %d\r\n%b\r\n" % (len(config), config))
    await client.until(b"}\r\n")

    def publishes(*replies: bytes) -> bytes:
        return b"".join([b"PUB s.a %b 1\r\nx\r\n" % reply for reply in replies])

    async def acknowledged(sid: bytes) -> tuple[bytes, int]:
        head = (await client.line()).split()
        assert (head[0], head[2]) == (b"MSG", sid)
        return head[1], json.loads(await client.line())["seq"]

    client.send(b"SUB r.* 2\r\nSUB once 3\r\nUNSUB 3 1\r\n")
    await client.synchronise()
    client.send(publishes(b"r.1"))
    assert await acknowledged(b"2") == (b"r.1", 1)
    client.send(publishes(b"r.2", b"r.3"))
    assert [await acknowledged(b"2") for _ in range(2)] == [(b"r.2", 2), (b"r.3", 3)]
    client.send(publishes(b"once"))
    assert await acknowledged(b"3") == (b"once", 4)
    client.send(publishes(b"once"))  # nobody is there any more
    client.send(publishes(b"r.4"))
    assert await acknowledged(b"2") == (b"r.4", 6)
    (connection,) = node.connections.values()
    assert connection.out_messages == 6
    assert [one.delivered for one in connection.subscriptions.values()] == [1, 4]
    assert await client.synchronise() == b""


async def test_a_publisher_that_reads_no_acknowledgements_gets_them_all_later(
    start_node: StartNode, open_client: OpenClient, tmp_path: Path
) -> None:
    node = await start_node(jetstream=True, store_dir=str(tmp_path), sync_always=False)
    client = await open_client(node)
    config = b'{"name":"S","subjects":["s.>"]}'
    inbox = b"r." + b"x" * 3000  # so that the socket is soon full
    client.send(b"SUB made 1\r\nPUB $JS.API.STREAM.CREATE.S made %d\r\n%b\r\n" % (len(config), config))
    await client.until(b"}\r\n")
    client.send(b"SUB r.* 2\r\n")
    await client.synchronise()
    (connection,) = node.connections.values()
    assert connection.transport is not None
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    count = 0
    for _ in range(20_000):
        connection.data_received(b"PUB s.a %b 1\r\nx\r\n" % inbox)
        count += 1
        if connection.transport.get_write_buffer_size() > 100_000:
            break
    assert connection.transport.get_write_buffer_size() > 100_000
    client.writer.transport.resume_reading()  # type: ignore[attr-defined]
    sequences = []
    for _ in range(count):
        assert (await client.line()).startswith(b"MSG r.x")
        sequences.append(json.loads(await client.line())["seq"])
    assert sequences == list(range(1, count + 1))
