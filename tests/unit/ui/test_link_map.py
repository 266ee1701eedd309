"""Links put together for the map."""

from __future__ import annotations

from dataclasses import replace

from memphis_desktop.cluster.raft.model import Link
from memphis_desktop.ui.screens.cluster.link_map import edges

LINK = Link(
    server="n1",
    remote="n2",
    kind="route",
    number="1",
    account="",
    address="",
    rtt_seconds=0.002,
    uptime="",
    in_messages_rate=1.0,
    out_messages_rate=1.0,
    in_bytes_rate=100.0,
    out_bytes_rate=50.0,
    in_bytes=0,
    out_bytes=0,
    pending=0,
    subscriptions=0,
    compression="",
)


def test_what_both_servers_tell_counts_once() -> None:
    back = replace(
        LINK, server="n2", remote="n1", rtt_seconds=0.001, in_bytes_rate=50.0, out_bytes_rate=100.0
    )
    pool = replace(LINK, number="2", rtt_seconds=0.001, in_bytes_rate=10.0, out_bytes_rate=None)
    (edge,) = edges([back, LINK, pool])
    assert edge.ends == ("n1", "n2")
    assert (edge.count, edge.rtt_seconds, edge.bytes_rate) == (2, 0.001, 160.0)
    assert edge.label.replace("\xa0", " ") == "1 ms  160 B/s"


def test_kinds_are_told_apart_and_what_says_nothing_has_no_rate() -> None:
    leaf = replace(LINK, kind="leaf node", remote="edge", in_bytes_rate=None, out_bytes_rate=None)
    itself = replace(LINK, remote="n1")
    assert [(edge.ends, edge.kind) for edge in edges([leaf, LINK, itself])] == [
        (("edge", "n1"), "leaf node"),
        (("n1", "n2"), "route"),
    ]
    assert edges([leaf])[0].bytes_rate is None
