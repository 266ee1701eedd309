"""Who led when: events, stretches, and what survives a restart."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.cluster.history import History
from memphis_desktop.cluster.history_store import HistoryStore
from memphis_desktop.cluster.raft.groups import consumer_key, stream_key
from memphis_desktop.cluster.raft.recorder import LeaderRecorder
from memphis_desktop.cluster.raft.timeline import EventKind, LeaderEvent, LeaderTimeline, Segment

KEY = stream_key("orders")
NOW = 2_000_000_000.0


def watched(start: float = 0.0, end: float = 1000.0) -> tuple[LeaderTimeline, LeaderRecorder]:
    timeline = LeaderTimeline()
    timeline.watch(NOW + start, NOW + end)
    return timeline, LeaderRecorder(timeline)


def spans(
    timeline: LeaderTimeline, start: float = 0.0, end: float = 1000.0
) -> list[tuple[float, float, str]]:
    found: list[Segment] = timeline.segments(KEY, NOW + start, NOW + end)
    return [(one.start - NOW, one.end - NOW, one.leader) for one in found]


def test_an_election_ends_one_stretch_and_begins_another() -> None:
    timeline, recorder = watched()
    recorder.leader(KEY, "n1", None, NOW + 10)
    recorder.lost(KEY, NOW + 50)
    recorder.elected(KEY, "n2", NOW + 55)
    assert spans(timeline) == [(10, 50, "n1"), (50, 55, ""), (55, 1000, "n2")]
    assert [event.kind for event in timeline.marks(KEY, NOW, NOW + 1000)] == [
        EventKind.LEADER_LOST,
        EventKind.ELECTED,
    ]


def test_advisory_and_reading_of_one_election_are_one_event() -> None:
    timeline, recorder = watched()
    recorder.leader(KEY, "n1", None, NOW + 10)
    recorder.elected(KEY, "n2", NOW + 55)
    recorder.leader(KEY, "n2", int((NOW + 54.9) * 1e9), NOW + 56)
    recorder.elected(KEY, "n2", NOW + 56)
    assert len(timeline.events(KEY)) == 2


def test_a_leader_says_since_when_it_leads() -> None:
    timeline, recorder = watched(start=100)
    recorder.leader(KEY, "n1", int((NOW + 20) * 1e9), NOW + 101)
    assert spans(timeline) == [(20, 1000, "n1")]  # before it was watched, by its own word
    assert timeline.marks(KEY, NOW, NOW + 1000) == []  # nothing was seen to happen


def test_what_was_not_watched_is_unknown() -> None:
    timeline, recorder = watched(end=200)
    recorder.leader(KEY, "n1", None, NOW + 10)
    timeline.watch(NOW + 500, NOW + 900)
    recorder.leader(KEY, "n1", None, NOW + 501)
    assert spans(timeline) == [(10, 200, "n1"), (500, 900, "n1")]


def test_the_same_leader_again_after_a_lost_quorum_is_an_election() -> None:
    timeline, recorder = watched()
    recorder.leader(KEY, "n1", None, NOW + 10)
    recorder.quorum_lost(KEY, NOW + 20)
    recorder.quorum_lost(KEY, NOW + 31)  # the server's own word comes later
    recorder.leader(KEY, "n1", int((NOW + 40) * 1e9), NOW + 41)
    assert [(event.kind, event.leader) for event in timeline.events(KEY)] == [
        (EventKind.SEEN, "n1"),
        (EventKind.QUORUM_LOST, ""),
        (EventKind.ELECTED, "n1"),
    ]
    assert timeline.segments(KEY, NOW, NOW + 1000)[1].no_quorum


def test_members_that_come_and_go_are_marked() -> None:
    timeline, recorder = watched()
    recorder.members(KEY, frozenset({"n1", "n2", "n3"}), NOW + 1, "n1")
    recorder.members(KEY, frozenset({"n1", "n2", "n4"}), NOW + 2, "n1")
    (event,) = timeline.events(KEY)
    assert (event.kind, event.text) == (EventKind.MEMBERS, "n4 joined, n3 left")


def test_terms_are_added_when_they_are_known() -> None:
    timeline, recorder = watched()
    recorder.leader(KEY, "n1", None, NOW + 10)
    recorder.term(KEY, "n1", 3, None)
    recorder.term(KEY, "n2", 4, None)  # not the leader as known here
    assert timeline.latest(KEY) == LeaderEvent(NOW + 10, KEY, EventKind.SEEN, "n1", 3)


@given(
    st.lists(
        st.tuples(st.sampled_from(["n1", "n2", "", "quorum"]), st.floats(0.5, 30.0)), min_size=1, max_size=40
    )
)
def test_stretches_never_overlap_and_follow_in_time(steps: list[tuple[str, float]]) -> None:
    timeline, recorder = watched(end=2000)
    moment = NOW
    for leader, wait in steps:
        moment += wait
        if leader == "quorum":
            recorder.quorum_lost(KEY, moment)
        else:
            recorder.leader(KEY, leader, None, moment)
    found = timeline.segments(KEY, NOW, NOW + 2000)
    assert all(one.start < one.end for one in found)
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))


def test_what_happened_is_kept_across_restarts(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    timeline, recorder = watched()
    store = HistoryStore(path, History())
    timeline.on_event = store.keep_leader_event
    store.start()
    store.keep_watched(NOW, NOW + 1000)
    recorder.leader(KEY, "n1", None, NOW + 10)
    recorder.elected(consumer_key("orders", "billing"), "n3", NOW + 20)
    recorder.elected(KEY, "n2", NOW + 55)
    recorder.term(KEY, "n2", 7, None)
    store.close()

    again, second = LeaderTimeline(), HistoryStore(path, History())
    done = threading.Event()

    def take(events: list[LeaderEvent], stretches: list[tuple[float, float]]) -> None:
        again.load(events, stretches)
        done.set()

    second.start()
    second.read_leaders(take)
    try:
        assert done.wait(20)
    finally:
        second.close()
    assert again.segments(KEY, NOW, NOW + 1000) == timeline.segments(KEY, NOW, NOW + 1000)
    assert again.latest(KEY) == LeaderEvent(NOW + 55, KEY, EventKind.ELECTED, "n2", 7)
    assert again.latest(consumer_key("orders", "billing")) is not None


def test_the_record_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memphis_desktop.cluster.raft.timeline.KEPT_OF_A_GROUP", 3)
    timeline, recorder = watched()
    for number in range(10):
        recorder.elected(KEY, f"n{number % 2}", NOW + 10 * number)
    assert len(timeline.events(KEY)) == 3
