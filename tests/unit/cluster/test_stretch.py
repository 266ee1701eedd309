"""What was in a stretch of time: averages, worst values, and rules that held."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.cluster.alerts import Rule, Subject
from memphis_desktop.cluster.history import (
    CONSUMER,
    SERVER,
    STREAM,
    ConsumerKey,
    History,
    ServerKey,
    StreamKey,
)
from memphis_desktop.cluster.stretch import Course, survey

START = 1_700_000_000.0
GROUP = ConsumerKey("orders", "slow")


def row(names: tuple[str, ...], **values: float) -> list[float | None]:
    return [values.get(name) for name in names]


def ramp(history: History, key: ConsumerKey, seconds: int, slope: float = 1.0, offset: float = 0.0) -> None:
    """A lag that rises by so much each second, its age with it."""
    for second in range(seconds):
        lag = offset + slope * second
        history.record(key, START + second, row(CONSUMER, lag=lag, lag_seconds=lag / 10))


def test_groups_are_told_by_their_worst_within_the_stretch() -> None:
    history = History()
    ramp(history, GROUP, 200)
    ramp(history, ConsumerKey("orders", "fast"), 200, 0.0)
    ramp(history, ConsumerKey("orders", "late"), 200, 0.0, 30.0)
    ramp(history, ConsumerKey("KV_settings", "watcher"), 200)  # machinery is left out as on the lag board
    found = survey(history, START + 50, START + 100)
    assert [(one.stream, one.name) for one in found.lags] == [("orders", "slow"), ("orders", "late")]
    slow, late = found.lags
    assert (slow.lag, slow.lag_seconds, slow.change, slow.seconds) == (100.0, 10.0, 50.0, 50.0)
    assert slow.mean == pytest.approx(75.0)
    assert (late.lag, late.mean, late.change) == (30.0, 30.0, 0.0)
    assert slow.line[0] == pytest.approx(50.0)
    assert slow.line[-1] == pytest.approx(100.0)
    assert found.groups == 3


def test_stations_are_told_by_what_was_written_to_them() -> None:
    history = History()
    for second in range(101):
        for stream, rate in (("orders$1", 10.0), ("orders$2", 30.0), ("quiet", 1.0)):
            busy = rate if second < 50 else 0.0
            history.record(
                StreamKey(stream), START + second, row(STREAM, messages_in=busy, bytes_in=2 * busy)
            )
    whole = survey(history, START, START + 100)
    assert [one.name for one in whole.stations] == ["orders$2", "orders$1", "quiet"]
    assert whole.stations[0].messages == pytest.approx(30 * 49.5)
    merged = survey(history, START, START + 100, station_of=lambda name: name.partition("$")[0])
    orders, quiet = merged.stations
    assert (orders.name, set(orders.streams)) == ("orders", {"orders$1", "orders$2"})
    assert orders.messages == pytest.approx(40 * 49.5)
    assert orders.in_messages_rate == pytest.approx(40 * 0.495)
    assert orders.in_bytes_rate == pytest.approx(80 * 0.495)
    assert orders.line[0] == pytest.approx(40.0)
    late = survey(history, START + 60, START + 90)
    assert all(one.in_messages_rate == 0 for one in late.stations)
    assert quiet.name == "quiet"


def test_signs_and_what_nothing_is_known_of() -> None:
    history = History()
    for second in range(61):
        values = row(SERVER, messages_in=second * 1.0, connections=3.0, slow_consumers=float(second >= 30))
        history.record(ServerKey(), START + second, values)
    found = survey(history, START + 20, START + 40)
    assert found.recorded
    assert found.signs["messages_in"].mean == pytest.approx(30.0)
    assert found.signs["messages_in"].most == pytest.approx(40.0)
    slow = found.signs["slow_consumers"]
    assert (slow.first, slow.last) == (0.0, 1.0)
    assert found.signs["storage"].mean is None
    before = survey(history, START - 500, START - 400)
    assert not before.recorded
    assert (before.lags, before.stations, before.groups) == ((), (), 0)


def test_rules_that_held_are_found_again() -> None:
    history = History()
    ramp(history, GROUP, 200)
    rules = [
        Rule("lag_messages", 99.5, for_seconds=10.0),
        Rule("lag_messages", 99.5, pattern="other", for_seconds=10.0),
        Rule("lag_messages", 10.0, for_seconds=0.0, enabled=False),
        Rule("no_leader", 0.0, for_seconds=0.0),  # not recorded
    ]
    [held] = survey(history, START, START + 150, rules).held
    assert held.subject == Subject("orders", "slow")
    assert (held.since, held.until, held.value) == (START + 100, START + 150, 150.0)
    assert survey(history, START, START + 105, rules).held == ()


def test_a_gap_counts_for_nothing() -> None:
    history = History()
    for second, lag in [(0, 10.0), (10, 10.0), (600, 50.0), (610, 50.0)]:
        history.record(GROUP, START + second, row(CONSUMER, lag=lag))
    [found] = survey(history, START, START + 610).lags
    assert found.mean == pytest.approx(30.0)
    assert np.isnan(found.line[20])


@given(
    st.lists(st.floats(0, 1e6), min_size=2, max_size=40),
    st.floats(0.0, 1.0),
    st.floats(0.0, 1.0),
)
def test_the_mean_lies_between_the_least_and_the_most(values: list[float], one: float, other: float) -> None:
    history = History()
    for second, value in enumerate(values):
        history.record(GROUP, START + second, row(CONSUMER, lag=value))
    span = len(values) - 1
    start, end = START + span * min(one, other), START + span * max(one, other)
    course = Course(GROUP, *history.between(GROUP, start, end))
    if not len(course.times):
        return
    known = course.values("lag")
    assert start - 1e-6 <= course.times[0] <= course.times[-1] <= end + 1e-6
    assert (np.diff(course.times) >= 0).all()
    mean, most = course.mean("lag"), course.most("lag")
    assert mean is not None
    assert most is not None
    assert known.min() - 1e-3 <= mean <= most + 1e-3
    assert most <= max(values) + 1e-3
    assert math.isclose(course.seconds("lag"), course.times[-1] - course.times[0], abs_tol=1e-5)
