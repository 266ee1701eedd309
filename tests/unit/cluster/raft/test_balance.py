"""The plan that spreads leaders."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.cluster.raft.balance import Move, counts, is_unbalanced, plan, supports_preferred
from memphis_desktop.cluster.raft.groups import consumer_key, make_group, stream_key
from memphis_desktop.cluster.raft.model import PeerSnapshot, RaftGroup

SERVERS = ("n1", "n2", "n3")


def group(name: str, leader: str, consumer: str = "", gone: tuple[str, ...] = (), **flags: bool) -> RaftGroup:
    peers = [PeerSnapshot(server, True, False, 1, 0) for server in SERVERS if server != leader]
    key = consumer_key(name, consumer) if consumer else stream_key(name)
    return make_group(key, "S", leader, peers, gone, configured=3, **flags)


def test_leaders_of_one_server_go_to_the_others_one_each_at_most() -> None:
    groups = [group(f"s{number}", "n1") for number in range(6)]
    assert is_unbalanced(groups, SERVERS)
    moves = plan(groups, SERVERS)
    assert len(moves) == 4
    assert len({move.key for move in moves}) == len(moves)
    assert sorted(move.target for move in moves) == ["n2", "n2", "n3", "n3"]


def test_an_even_spread_needs_no_move() -> None:
    groups = [group(f"s{number}", SERVERS[number % 3]) for number in range(7)]
    assert not is_unbalanced(groups, SERVERS)
    assert plan(groups, SERVERS) == []


def test_groups_that_are_moving_or_without_quorum_are_left_alone() -> None:
    groups = [group("a", "n1", moving=True), group("b", "n1", gone=("n2", "n3")), group("c", "n1")]
    assert plan(groups, SERVERS) == []


def test_a_server_that_is_gone_gets_nothing() -> None:
    groups = [group(f"s{number}", "n1", gone=("n3",)) for number in range(4)]
    assert {move.target for move in plan(groups, ("n1", "n2"))} == {"n2"}


def test_a_step_asks_the_cluster_by_the_stream_s_api() -> None:
    move = Move(consumer_key("orders", "billing"), "n1", "n2")
    assert move.action(preferred=True).body == {"placement": {"preferred": "n2"}}
    assert move.action(preferred=True).suffix == "CONSUMER.LEADER.STEPDOWN.orders.billing"
    assert move.action(preferred=False).body is None
    assert supports_preferred("2.11.0")
    assert not supports_preferred("2.10.29")
    assert not supports_preferred("")


@given(st.lists(st.tuples(st.sampled_from(SERVERS), st.booleans()), max_size=30))
def test_a_plan_ends_even_when_every_server_is_a_member_everywhere(leaders: list[tuple[str, bool]]) -> None:
    groups = [group(f"s{i}", leader, "c" if consumer else "") for i, (leader, consumer) in enumerate(leaders)]
    held = counts(groups, SERVERS)
    for move in plan(groups, SERVERS):
        held[move.origin] -= 1
        held[move.target] += 1
    assert not held or max(held.values()) - min(held.values()) <= 1
