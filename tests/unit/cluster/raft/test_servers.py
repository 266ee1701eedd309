"""Who is there, from who answers; and reading servers' answers."""

from __future__ import annotations

import pytest

from memphis_desktop.cluster.raft import reading
from memphis_desktop.cluster.raft.model import Presence
from memphis_desktop.cluster.raft.reading import Identity
from memphis_desktop.cluster.raft.servers import PATIENCE, LinkTable, ServerTable

A, B, C = (Identity(name, f"ID-{name}", "local", "2.15.1", ()) for name in ("a", "b", "c"))


def table_where_all_answered() -> ServerTable:
    table = ServerTable()
    table.asked(0.0)
    for one in (A, B, C):
        table.answered(one, 0.01, 1)
    return table


def test_who_does_not_answer_what_others_did_is_silent() -> None:
    table = table_where_all_answered()
    table.asked(1.0)
    table.answered(A, 1.01, 2)
    table.answered(B, 1.02, 2)
    assert not table.judge(1.0 + PATIENCE - 0.1)  # it may still come
    assert table.judge(1.0 + PATIENCE)
    assert table.servers["c"].presence is Presence.SILENT
    assert table.servers["a"].presence is Presence.HERE
    assert not table.judge(1.0 + PATIENCE + 0.1)  # no news
    table.answered(C, 2.5, 3)
    assert table.servers["c"].presence is Presence.HERE


def test_who_works_on_a_long_answer_may_be_late() -> None:
    table = table_where_all_answered()
    table.servers["c"].occupied_until = 3.0
    table.asked(1.0)
    table.answered(A, 1.01, 2)
    table.answered(B, 1.02, 2)
    assert not table.judge(2.9)
    assert table.judge(3.0)
    assert table.servers["c"].presence is Presence.SILENT


def test_when_nobody_answers_nothing_is_said_of_anybody() -> None:
    table = table_where_all_answered()
    table.asked(1.0)
    assert not table.judge(5.0)
    assert {server.presence for server in table.servers.values()} == {Presence.HERE}


def test_without_a_connection_all_are_unknown() -> None:
    table = table_where_all_answered()
    before = table.generation
    table.unknown()
    assert table.servers["a"].presence is Presence.UNKNOWN
    assert table.generation > before


def test_an_old_server_may_be_silent_because_nobody_uses_it() -> None:
    table = ServerTable()
    old = Identity("old", "ID", "local", "2.9.25", ())
    table.asked(0.0)
    table.answered(old, 0.01, 1)
    table.answered(A, 0.01, 1)
    table.asked(1.0)
    table.answered(A, 1.01, 1)
    assert not table.judge(3.0)


def test_a_restarted_server_begins_its_rates_anew() -> None:
    table = ServerTable()
    table.asked(0.0)
    server = table.answered(A, 0.1, 1)
    server.take_varz({"in_msgs": 100, "out_msgs": 0, "in_bytes": 0, "out_bytes": 0}, 0.1)
    server.take_varz({"in_msgs": 300, "out_msgs": 0, "in_bytes": 0, "out_bytes": 0}, 1.1)
    assert server.rates[0] == pytest.approx(200.0)
    table.answered(Identity("a", "ID-other", "local", "2.15.1", ()), 2.0, 2)
    server.take_varz({"in_msgs": 5, "out_msgs": 0, "in_bytes": 0, "out_bytes": 0}, 2.1)
    assert server.rates[0] is None


def test_a_member_that_was_never_heard_of_is_silent_and_kept() -> None:
    table = table_where_all_answered()
    table.expect("d", 0.0)
    table.forget_old(10_000.0, frozenset({"d"}))
    assert table.servers["d"].presence is Presence.SILENT
    table.forget_old(10_000.0, frozenset())
    assert "d" not in table.servers


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("417ms", 0.417),
        ("249µs", 0.000249),
        ("1d2h3m4s", 93784.0),
        ("1.5s", 1.5),
        ("soon", None),
        (None, None),
    ],
)
def test_durations_as_go_writes_them(text: str | None, seconds: float | None) -> None:
    assert reading.seconds_of(text) == (None if seconds is None else pytest.approx(seconds))


def test_the_meta_group_as_leader_and_follower_tell_it() -> None:
    replicas = [
        {"name": "a", "current": False, "active": 0, "peer": "pa"},
        {"name": "c", "current": True, "active": 5, "peer": "pc"},
    ]
    told = reading.meta_group(
        "b", {"leader": "c", "peer": "pc", "cluster_size": 3, "quorum_needed": 2, "replicas": replicas}, 1
    )
    assert told is not None
    assert not told.told_by_leader
    assert (told.leader, told.needed, {p.name for p in told.peers}) == ("c", 2, {"a", "b"})
    assert reading.meta_group("b", {}, 1) is None


def test_raft_state_of_a_group() -> None:
    answer = {
        "data": {
            "APP": {
                "S-R3F-x": {
                    "id": "pa",
                    "state": "LEADER",
                    "size": 3,
                    "quorum_needed": 2,
                    "committed": 101,
                    "applied": 100,
                    "leader": "pa",
                    "term": 4,
                    "pterm": 4,
                    "pindex": 102,
                    "wal": {"messages": 100, "bytes": 17200, "first_seq": 2},
                    "peers": {"pb": {"name": "b", "last_replicated_index": 101, "last_seen": "5ms"}},
                }
            }
        }
    }
    (node,) = reading.raft_nodes("a", answer, 1)
    assert (node.leader, node.term, node.committed, node.applied, node.log_bytes) == ("a", 4, 101, 100, 17200)
    assert node.peers[0].last_index == 101
    assert node.peers[0].last_seen_seconds == pytest.approx(0.005)


def test_groups_of_other_accounts_are_told_by_their_leader() -> None:
    def told(server: str, leader: str, replicas: list[dict[str, object]]) -> dict[str, object]:
        stream = {"name": "s", "cluster": {"leader": leader, "replicas": replicas}}
        details = [{"name": "ACC", "stream_detail": [stream]}]
        return {"server": {"name": server, "id": server}, "data": {"account_details": details}}

    follower = told("b", "a", [{"name": "a", "current": True}, {"name": "c", "current": False}])
    leader = told("a", "a", [{"name": "b", "current": True}, {"name": "c", "current": True}])
    (group,) = reading.foreign_groups([follower, leader], frozenset(), 1)
    assert group.key.label == "ACC: s"
    assert group.all_current


def test_links_of_all_kinds() -> None:
    links = LinkTable()
    links.take_routes("a", {"routes": [{"rid": 1, "remote_name": "b", "rtt": "1ms", "in_bytes": 5}]}, 1.0)
    links.take_gateways("a", {"outbound_gateways": {"far": {"connection": {"cid": 7}}}}, 1.0)
    links.take_leafs("a", {"leafs": [{"name": "edge", "ip": "::1", "port": 1}]}, 1.0)
    assert {(link.kind, link.remote) for link in links.all()} == {
        ("route", "b"),
        ("gateway", "far"),
        ("leaf node", "edge"),
    }
