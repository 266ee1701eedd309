"""Connections put together from servers' answers."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.cluster.actions import close_connection, move_connection
from memphis_desktop.cluster.clients import reading
from memphis_desktop.cluster.clients.model import ClientKey, ClientKind, EventKind
from memphis_desktop.cluster.clients.table import CLOSED_KEPT, PAGE, ClientTable


def connection(cid: int, **more: Any) -> dict[str, Any]:
    """An entry of CONNZ as a server tells it."""
    return {
        "cid": cid,
        "kind": "Client",
        "type": "nats",
        "ip": "10.1.2.3",
        "port": 4000 + cid % 60000,
        "start": "2026-11-28T10:00:00Z",
        "last_activity": "2026-11-28T10:59:30.5Z",
        "rtt": "1.5ms",
        "pending_bytes": 0,
        "in_msgs": 0,
        "out_msgs": 0,
        "in_bytes": 0,
        "out_bytes": 0,
        "subscriptions": 2,
        "name": f"client-{cid}",
        "lang": "go",
        "version": "1.40.0",
        "authorized_user": "app",
        "account": "A",
        **more,
    }


def answer(
    connections: list[dict[str, Any]], *, second: float = 0.0, total: int | None = None, server: str = "N1"
) -> dict[str, Any]:
    """A server's answer to CONNZ, so many seconds after eleven."""
    return {
        "server": {"id": server, "name": server.lower()},
        "data": {
            "now": f"2026-11-28T11:00:{second:06.3f}Z",
            "total": len(connections) if total is None else total,
            "connections": connections,
        },
    }


def test_an_entry_is_read() -> None:
    told = connection(
        7, tls_version="1.3", tls_cipher_suite="TLS_AES_128_GCM_SHA256", type="websocket", stalls=3
    )
    table = ClientTable()
    table.take_page(answer([told]), 0, sweeping=False, now=1.0)
    record = table.open[ClientKey("N1", 7)]
    assert (record.title, record.server, record.address) == ("client-7", "n1", "10.1.2.3:4007")
    assert record.rtt_seconds == pytest.approx(0.0015)
    assert record.uptime_seconds == pytest.approx(3600)
    assert record.idle_seconds == pytest.approx(29.5)
    assert (record.kind, record.tls_version, record.stalls) == (ClientKind.WEBSOCKET, "1.3", 3)
    assert record.rates == (None, None, None, None)
    assert reading.connection(connection(1, ip="::1", name=""), "N1", "n1", 0).title == "app"
    assert reading.connection(connection(1, account=None), "N1", "n1", 0).account == "$G"  # not told
    assert reading.connection(connection(1, ip="::1"), "N1", "n1", 0).address == "[::1]:4001"


def test_rates_come_from_two_readings_by_the_servers_clock() -> None:
    table, key = ClientTable(), ClientKey("N1", 1)
    table.take_page(answer([connection(1, in_msgs=100, out_bytes=10)]), 0, sweeping=False, now=1.0)
    again = answer([connection(1, in_msgs=300, out_bytes=30)], second=2.0)
    table.take_page(again, 0, sweeping=False, now=99.0)
    assert table.open[key].rates == (100.0, 0.0, 0.0, 10.0)
    # A reading a moment later says nothing of a rate: the one known stays.
    table.take_page(answer([connection(1, in_msgs=301)], second=2.1), 0, sweeping=False, now=99.1)
    assert table.open[key].rates == (100.0, 0.0, 0.0, 10.0)
    # Another connection with the same number, after a restart of the server: figures that shrink.
    table.take_page(answer([connection(1, in_msgs=0)], second=4.0), 0, sweeping=False, now=101.0)
    assert table.open[key].rates[0] is None


def test_who_is_missing_in_a_whole_answer_is_gone() -> None:
    table = ClientTable()
    table.take_page(answer([connection(1), connection(2)]), 0, sweeping=False, now=1.0)
    table.take_page(answer([connection(5)], server="N2"), 0, sweeping=False, now=1.0)
    table.take_page(answer([connection(2)], second=2.0), 0, sweeping=False, now=3.0)
    assert set(table.open) == {ClientKey("N1", 2), ClientKey("N2", 5)}
    assert (table.total, table.paged) == (2, False)


def test_many_are_read_page_by_page_and_missed_after_two_sweeps() -> None:
    table, everybody = ClientTable(), [connection(cid) for cid in range(1, 1001)]

    def sweep(present: list[dict[str, Any]], second: float) -> None:
        table.begin_sweep(second)
        for offset in range(0, len(present), PAGE):
            page = answer(present[offset : offset + PAGE], second=second, total=len(present))
            table.take_page(page, offset, sweeping=True, now=second + 0.1)

    sweep(everybody, 1.0)
    assert (len(table.open), table.total, table.paged) == (1000, 1000, True)
    assert table.pages_of([ClientKey("N1", 1), ClientKey("N1", 600), ClientKey("N1", 9999)]) == [0, 512]
    rest = everybody[:499] + everybody[500:]
    sweep(rest, 2.0)
    sweep(rest, 3.0)
    assert ClientKey("N1", 500) in table.open  # pages shift while they are read: one sweep proves nothing
    sweep(rest, 4.0)
    assert ClientKey("N1", 500) not in table.open
    assert len(table.open) == 999


def test_a_server_that_is_silent_takes_its_connections_with_it() -> None:
    table = ClientTable()
    table.take_page(answer([connection(1)]), 0, sweeping=False, now=1.0)
    table.take_page(answer([connection(1)], server="N2"), 0, sweeping=False, now=1.0)
    table.forget_silent(10.0, 15.0)
    assert len(table.open) == 2
    table.take_page(answer([connection(1)], server="N2", second=5.0), 0, sweeping=False, now=15.0)
    table.forget_silent(20.0, 15.0)
    assert set(table.open) == {ClientKey("N2", 1)}
    table.forget_silent(99.0, 15.0)  # nobody answers: the connection is away, and what is known stays
    assert set(table.open) == {ClientKey("N2", 1)}


def test_a_server_that_was_started_anew_has_none_of_its_clients() -> None:
    table = ClientTable()
    table.take_page(answer([connection(1), connection(2)]), 0, sweeping=False, now=1.0)
    again = answer([connection(1)], second=5.0)
    again["server"]["id"] = "N1anew"
    table.take_page(again, 0, sweeping=False, now=2.0)
    assert set(table.open) == {ClientKey("N1anew", 1)}


def test_a_closer_look_tells_subscriptions_and_misses_who_is_gone() -> None:
    table, key = ClientTable(), ClientKey("N1", 4)
    details = [
        {"subject": "orders.>", "qgroup": "workers", "sid": "3", "msgs": 12, "cid": 4},
        {"subject": "_INBOX.x", "sid": "4", "msgs": 0, "max": 1, "cid": 4},
    ]
    detail = table.take_detail(answer([connection(4, subscriptions_list_detail=details)]), key, 1.0)
    assert detail.record is table.open[key]
    assert [(s.subject, s.queue, s.messages, s.maximum) for s in detail.subscriptions] == [
        ("orders.>", "workers", 12, 0),
        ("_INBOX.x", "", 0, 1),
    ]
    assert table.take_detail(answer([], total=0), key, 2.0).record is None
    assert key not in table.open


def event(cid: int, kind: str, **more: Any) -> dict[str, Any]:
    """An event of the system account."""
    return {
        "type": f"io.nats.server.advisory.v1.client_{kind}",
        "timestamp": "2026-11-28T11:00:05Z",
        "server": {"id": "N1", "name": "n1"},
        "client": {
            "start": "2026-11-28T11:00:00Z",
            "host": "10.0.0.9",
            "id": cid,
            "acc": "A",
            "user": "app",
            "name": f"client-{cid}",
            "kind": "Client",
            "client_type": "mqtt",
            "rtt": 2_000_000,
        },
        **more,
    }


def test_events_bring_and_take_connections() -> None:
    table, now_ns = ClientTable(), time.time_ns()
    came = table.take_event(EventKind.CONNECTED, event(9, "connect"), now_ns, 1.0)
    key = ClientKey("N1", 9)
    assert table.open[key].kind is ClientKind.MQTT
    assert (came.record.user, came.number) == ("app", 1)
    first = answer([connection(9, in_msgs=50, subscriptions=4)], second=6.0)
    table.take_page(first, 0, sweeping=False, now=2.0)
    assert table.open[key].rates == (None,) * 4  # the event told no figures to compare with
    gone = event(9, "disconnect", reason="Slow Consumer (Pending Bytes)", sent={"msgs": 60, "bytes": 600})
    went = table.take_event(EventKind.DISCONNECTED, gone, now_ns, 3.0)
    assert key not in table.open
    closed = table.closed[key]
    assert (closed.reason, closed.in_messages, closed.subscriptions) == (went.record.reason, 60, 4)
    assert closed.is_slow
    refused = event(10, "disconnect", reason="Authentication Failure")
    table.take_event(EventKind.REFUSED, refused, now_ns, 4.0)
    assert ClientKey("N1", 10) not in table.closed  # it never was connected
    assert [one.kind for one in table.events] == [
        EventKind.CONNECTED,
        EventKind.DISCONNECTED,
        EventKind.REFUSED,
    ]


def test_closed_ones_are_bounded_the_latest_kept() -> None:
    table = ClientTable()
    for start in range(0, CLOSED_KEPT + 500, 500):
        closed = [
            connection(
                cid,
                stop=f"2026-11-28T10:{cid // 60 % 60:02}:{cid % 60:02}.{cid // 3600:03}Z",
                reason="Client Closed",
            )
            for cid in range(start, start + 500)
        ]
        table.take_closed(answer(closed, total=9000))
    assert (len(table.closed), table.closed_largest) == (CLOSED_KEPT, 9000)


def test_leaf_nodes_stand_among_them() -> None:
    table = ClientTable()
    leaf = {"id": 12, "name": "edge", "account": "A", "ip": "10.0.0.1", "port": 7422, "rtt": "3ms"}
    table.take_leafs({"server": {"id": "N1"}, "data": {"now": "2026-11-28T11:00:00Z", "leafs": [leaf]}}, 1.0)
    assert table.open[ClientKey("N1", 12)].kind is ClientKind.LEAF
    table.take_page(answer([connection(1)]), 0, sweeping=False, now=2.0)  # CONNZ does not tell of them
    assert ClientKey("N1", 12) in table.open
    table.take_leafs({"server": {"id": "N1"}, "data": {"leafs": []}}, 3.0)
    assert set(table.open) == {ClientKey("N1", 1)}


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["server", "data", "client", "reason"]), _json))
def test_nonsense_raises_what_the_reader_expects(told: dict[str, Any]) -> None:
    table = ClientTable()
    for take in (
        lambda: table.take_page(told, 0, sweeping=True, now=1.0),
        lambda: table.take_leafs(told, 1.0),
        lambda: table.take_closed(told),
        lambda: table.take_event(EventKind.CONNECTED, told, 1, 1.0),
    ):
        with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
            take()


def test_actions_show_what_they_ask() -> None:
    close = close_connection("NABC", 7, "billing")
    assert close.command == "nats server request kick 7 NABC"
    assert (close.system_subject, close.body) == ("$SYS.REQ.SERVER.NABC.KICK", {"cid": 7})
    move = move_connection("NABC", 7, "billing")
    assert move.command == """nats request '$SYS.REQ.SERVER.NABC.LDM' '{"cid": 7}'"""


def test_a_page_is_taken_within_a_slice_of_the_loop() -> None:
    table = ClientTable()
    pages = [
        answer([connection(cid) for cid in range(PAGE)], second=float(n), total=10_000) for n in range(9)
    ]
    spent = []
    for number, page in enumerate(pages):
        began = time.process_time()
        table.take_page(page, 0, sweeping=True, now=float(number))
        spent.append(time.process_time() - began)
    assert sorted(spent)[4] < 0.008  # seconds of a processor: the loop is nobody's for longer
