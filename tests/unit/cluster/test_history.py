"""The history: what goes in comes out, gaps stay gaps, memory is bounded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.cluster.history import (
    COARSE_STEP,
    FINE_CAPACITY,
    FINE_GAP,
    ConsumerKey,
    History,
    ServerKey,
    StreamKey,
)

KEY = StreamKey("orders")
START = 1_700_000_000.0


def record(history: History, time: float, value: float | None, key: StreamKey = KEY) -> None:
    history.record(key, START + time, (value, 0, 0, 0, 0))


def test_samples_come_back_in_order() -> None:
    history = History()
    for second in range(10):
        record(history, second, second * 2)
    times, values = history.series(KEY, "messages_in")
    assert (times - START).tolist() == list(range(10))
    assert values.tolist() == [second * 2 for second in range(10)]


def test_a_time_that_does_not_advance_is_ignored() -> None:
    history = History()
    record(history, 5, 1)
    record(history, 5, 2)
    record(history, 4, 3)
    assert history.series(KEY, "messages_in")[1].tolist() == [1]


def test_a_flat_run_is_kept_as_its_ends() -> None:
    history = History()
    for second in range(500):
        record(history, second, 7)
    times, values = history.series(KEY, "messages_in")
    assert (times - START).tolist() == [0, 499]
    assert values.tolist() == [7, 7]


def test_unknown_values_are_nan_and_gaps_are_marked() -> None:
    history = History()
    record(history, 0, 1)
    record(history, 1, None)
    record(history, 2, 3)
    record(history, 2 + FINE_GAP + 10, 4)
    _, values = history.series(KEY, "messages_in")
    assert np.isnan(values).tolist() == [False, True, False, True, False]


def test_a_flat_run_is_not_joined_across_a_gap() -> None:
    history = History()
    for second in (0, 1, 2, 100, 101, 102):
        record(history, second, 7)
    times, values = history.series(KEY, "messages_in")
    assert (times - START).tolist() == [0, 2, 100, 100, 102]
    assert np.isnan(values).tolist() == [False, False, True, False, False]


def test_a_range_begins_inside_a_line() -> None:
    history = History()
    for second in range(0, 100, 10):
        record(history, second, second)
    times, values = history.series(KEY, "messages_in", span=25)
    assert (times - START).tolist() == [65, 70, 80, 90]
    assert values.tolist() == [65, 70, 80, 90]


def test_the_ring_forgets_the_oldest_and_means_remain() -> None:
    history = History()
    for second in range(FINE_CAPACITY + 1000):
        record(history, second, second % 100)
    times, _ = history.series(KEY, "messages_in", span=3000)
    assert times[-1] - times[0] <= 3000
    old_times, old_values = history.series(KEY, "messages_in", span=10 * 3600)
    assert old_times[0] - START < 2 * COARSE_STEP
    assert np.all(np.diff(old_times) >= 0)
    assert np.nanmin(old_values) >= 0
    assert np.nanmax(old_values) <= 99


def test_unknown_series_and_metrics() -> None:
    history = History()
    assert [len(part) for part in history.series(KEY, "messages_in")] == [0, 0]
    assert history.change(KEY, "messages_in", 60) is None
    assert len(history.sampled(KEY, "messages_in", 60, 10)) == 0
    record(history, 0, 1)
    with pytest.raises(ValueError):
        history.series(KEY, "lag")
    with pytest.raises(ValueError, match="values expected"):
        history.record(KEY, START + 1, (1, 2))


def test_change_is_over_the_span() -> None:
    history = History()
    for second in range(601):
        record(history, second, second)
    assert history.change(KEY, "messages_in", 300) == pytest.approx((300, 300))
    flat = ConsumerKey("a", "b")
    for second in range(601):
        history.record(flat, START + second, (50 if second < 590 else 40, 0, 0, 0, 0, 0, 0))
    change = history.change(flat, "lag", 60)
    assert change is not None
    assert change == pytest.approx((-10, 60))


def test_sampled_is_even_and_leaves_gaps() -> None:
    history = History()
    for second in (*range(30), *range(70, 101)):
        record(history, second, second)
    values = history.sampled(KEY, "messages_in", 100, 101)
    assert len(values) == 101
    assert values[10] == pytest.approx(10)
    assert np.isnan(values[31:69]).all()
    assert values[-1] == pytest.approx(100)


def test_thousands_of_quiet_streams_cost_little() -> None:
    history = History()
    keys = [StreamKey(f"s{number}") for number in range(3000)]
    for second in range(0, 300, 30):
        for key in keys:
            history.record(key, START + second, (0, 0, 0, 100, 100))
    assert history.nbytes / len(keys) < 9000


def test_memory_stays_within_its_budget() -> None:
    budget = 600_000
    history = History(memory_budget=budget)
    keys = [StreamKey(f"s{number}") for number in range(20)]
    for second in range(600):
        for key in keys:
            history.record(key, START + second, (second, second, 0, 0, 0))
    # Each series always has its smallest size; beyond it the budget decides.
    assert history.nbytes <= budget
    for key in keys:
        assert history.series(key, "messages_in")[1][-1] == 599


def test_what_is_looked_at_grows_at_the_cost_of_the_rest() -> None:
    history = History(memory_budget=300_000)
    keys = [StreamKey(f"s{number}") for number in range(20)]
    for second in range(1200):
        for key in keys:
            history.record(key, START + second, (second, second, 0, 0, 0))
        if second % 10 == 0:
            history.series(keys[0], "messages_in")
    assert history.nbytes <= 300_000
    looked_at = len(history.series(keys[0], "messages_in", 1000)[0])
    others = len(history.series(keys[5], "messages_in", 1000)[0])
    assert looked_at > others


def test_forgotten_series_give_their_memory_back() -> None:
    history = History()
    empty = history.nbytes
    for second in range(1000):
        record(history, second, second)
    assert history.nbytes > empty
    history.forget(KEY)
    assert history.nbytes == empty
    history.record(ServerKey(), START, (0,) * 12)
    assert history.keys() == [ServerKey()]


@given(st.lists(st.tuples(st.floats(0.1, 200), st.one_of(st.none(), st.integers(0, 5))), max_size=300))
def test_any_samples_come_back_as_a_line_through_them(steps: list[tuple[float, int | None]]) -> None:
    history = History()
    time = 0.0
    given_samples = []
    for step, value in steps:
        time += step
        record(history, time, value)
        given_samples.append((START + time, value))
    times, values = history.series(KEY, "messages_in", span=1e9)
    assert np.all(np.diff(times) >= 0)
    for moment, value in given_samples[-60:]:
        before = int(np.searchsorted(times, moment, side="right")) - 1
        if value is None:
            assert np.isnan(values[before])
        else:
            assert values[before] == value
