"""Judging Raft groups from what was read and who is there."""

from __future__ import annotations

import pytest

from memphis_desktop.cluster.raft.groups import leaders_held, make_group, stream_key, with_observers
from memphis_desktop.cluster.raft.model import PeerSnapshot, PeerStatus, Quorum, RaftGroup

KEY = stream_key("orders")


def peer(name: str, *, current: bool = True, offline: bool = False, lag: int = 0) -> PeerSnapshot:
    return PeerSnapshot(name, current, offline, 1_000_000, lag)


def group(leader: str, *followers: PeerSnapshot, gone: tuple[str, ...] = (), size: int = 0) -> RaftGroup:
    return make_group(KEY, "S-R3F-x", leader, followers, gone, configured=size)


def test_a_healthy_group_has_its_quorum_and_is_current() -> None:
    healthy = group("n1", peer("n2"), peer("n3"))
    assert healthy.quorum is Quorum.HELD
    assert healthy.all_current
    assert healthy.problem == ""
    assert [(p.server, p.status) for p in healthy.peers] == [
        ("n1", PeerStatus.LEADER),
        ("n2", PeerStatus.CURRENT),
        ("n3", PeerStatus.CURRENT),
    ]


@pytest.mark.parametrize(
    ("leader", "gone", "quorum", "shown"),
    [
        ("n1", ("n1",), Quorum.NO_LEADER, "no leader since n1 is gone"),
        ("", (), Quorum.NO_LEADER, "no leader"),
        ("n1", ("n2", "n3"), Quorum.LOST, "no quorum: 1 of 3 there, 2 needed"),
        ("n1", ("n1", "n3"), Quorum.LOST, "no quorum: 1 of 3 there, 2 needed"),
        ("n1", ("n3",), Quorum.HELD, "offline: n3"),
    ],
)
def test_servers_that_are_gone_decide_over_what_was_read(
    leader: str, gone: tuple[str, ...], quorum: Quorum, shown: str
) -> None:
    names = [name for name in ("n1", "n2", "n3") if name != leader]
    judged = group(leader, *map(peer, names), gone=gone)
    assert judged.quorum is quorum
    assert judged.problem == shown
    assert judged.leader == (leader if quorum is Quorum.HELD else "")
    assert not judged.all_current


def test_a_follower_that_is_not_current_is_behind() -> None:
    behind = group("n1", peer("n2", current=False, lag=70), peer("n3"))
    assert behind.on("n2") is not None
    assert behind.worst_lag == 70
    assert behind.problem == "behind: n2"


def test_a_single_replica_on_a_server_that_is_gone_has_no_quorum() -> None:
    assert group("n1", gone=("n1",), size=1).quorum is Quorum.LOST


def test_members_that_never_lead_are_marked() -> None:
    healthy = group("a", peer("b"), peer("c"))
    observers = {"S-R3F-x": frozenset({"b"})}
    marked = with_observers(healthy, observers)
    assert marked.on("b").status is PeerStatus.OBSERVER
    assert marked.on("c").status is PeerStatus.CURRENT
    assert marked.all_current
    assert with_observers(healthy, {"another": frozenset({"b"})}) is healthy
    gone = with_observers(group("a", peer("b"), peer("c"), gone=("b",)), observers)
    assert gone.on("b").status is PeerStatus.OFFLINE  # that matters more


def test_leaders_are_counted_by_kind() -> None:
    assert leaders_held([group("n1", peer("n2")), group("n1", peer("n3")), group("", peer("n1"))]) == {
        "n1": (0, 2, 0)
    }
