"""The arithmetic: rates, lag in seconds, time to drain, times of the broker, the poll budget."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.cluster.budget import PollBudget
from memphis_desktop.cluster.counter import Counter
from memphis_desktop.cluster.history import History
from memphis_desktop.cluster.lag import MAX_POINTS, SequenceClock, drain_time, filters, time_to_drain
from memphis_desktop.cluster.state import ClusterState
from memphis_desktop.cluster.times import parse_time

SECOND = 1_000_000_000


def test_a_rate_is_growth_over_time() -> None:
    counter = Counter()
    assert counter.read(100, 10.0) is None
    assert counter.read(150, 10.5) == pytest.approx(100)
    assert counter.read(150, 11.5) == 0
    assert counter.read(160, 11.6) == 0  # too soon to tell: the rate before stays
    assert counter.read(20, 13.0) is None  # made anew
    assert counter.read(30, 14.0) == pytest.approx(10)


def test_a_known_sequence_has_its_time() -> None:
    clock = SequenceClock()
    clock.add(10, 100 * SECOND)
    assert clock.estimate(10, 200 * SECOND) == 100 * SECOND
    assert clock.estimate(9, 200 * SECOND) is None
    assert clock.estimate(11, 200 * SECOND) is None
    assert clock.estimate(11, 102 * SECOND) == 100 * SECOND  # younger than that, which is a moment ago


def test_times_between_near_readings_are_interpolated() -> None:
    clock = SequenceClock()
    clock.add(100, 10 * SECOND)
    clock.add(200, 11 * SECOND)
    assert clock.estimate(150, 20 * SECOND) == 10.5 * SECOND
    clock.add(300, 500 * SECOND)
    assert clock.estimate(250, 510 * SECOND) is None  # anything between 11 and 500 seconds
    assert clock.estimate(250, 100_000 * SECOND) is not None  # good enough for a lag of a day


def test_another_time_for_a_sequence_means_another_stream() -> None:
    clock = SequenceClock()
    clock.add(1, SECOND)
    clock.add(2, 2 * SECOND)
    clock.add(2, 50 * SECOND)
    assert clock.estimate(1, 60 * SECOND) is None
    assert clock.estimate(2, 60 * SECOND) == 50 * SECOND


@given(st.lists(st.integers(1, 50), min_size=2, max_size=3000))
def test_the_clock_is_bounded_and_keeps_its_ends(steps: list[int]) -> None:
    clock = SequenceClock()
    sequence = 0
    for step in steps:
        sequence += step
        clock.add(sequence, sequence * SECOND)
    assert len(clock._points) <= MAX_POINTS
    assert clock.estimate(steps[0], 10**18) == steps[0] * SECOND
    assert clock.estimate(sequence, 10**18) == sequence * SECOND


def test_time_to_drain() -> None:
    assert drain_time(0, None) == 0
    assert drain_time(100, None) is None
    assert drain_time(100, (-10, 2)) is None  # watched too briefly
    assert drain_time(100, (-50, 10)) == 20
    assert drain_time(100, (0, 10)) == math.inf
    assert drain_time(100, (5, 10)) == math.inf


@pytest.mark.parametrize(
    ("lag", "seconds", "changes", "expected"),
    [
        (100, 60.0, [(-50, 10), (5, 10)], 20),
        (100, 60.0, [(500, 300), (-100, 50)], 50),  # grew over the minutes, falls now
        (100, 60.0, [(500, 300), (5, 50)], math.inf),
        (3, 1.2, [(2, 300), (1, 50)], 1.2),  # keeps up
        (1000, 60.0, [(2000, 300), (500, 60), (-400, 20)], 50),  # has turned
        (1000, 60.0, [(2000, 300), (500, 60), (-100, 20)], math.inf),  # a batch, perhaps
        (1000, 60.0, [(-300, 300), (-60, 60), (-400, 20)], 50),  # goes faster now
        (2, 0.4, [(-3, 300), (-100, 60), (-50, 20)], 0.4),  # as good as there
        (3, None, [(2, 300), (1, 50)], math.inf),
        (3, 1.2, [None, None], None),
        (0, 0.0, [None, None], 0),
    ],
)
def test_when_a_lag_is_gone(
    lag: int, seconds: float | None, changes: list[tuple[float, float] | None], expected: float | None
) -> None:
    assert time_to_drain(lag, seconds, changes) == expected


def test_filters_of_a_consumer() -> None:
    assert filters({}) == ()
    assert filters({"filter_subject": ">"}) == ()
    assert filters({"filter_subject": "a.*"}) == ("a.*",)
    assert filters({"filter_subjects": ["a", "b"]}) == ("a", "b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23T10:41:41.131354899Z", 1795430501131354899),
        ("2026-11-23T12:41:41.1+02:00", 1795430501100000000),
        ("2026-11-23T10:41:41Z", 1795430501000000000),
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        (None, None),
        ("yesterday", None),
    ],
)
def test_times_of_the_broker(text: str | None, expected: int | None) -> None:
    assert parse_time(text) == expected


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)))
def test_any_time_is_read_exactly(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    expected = round((aware - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 0
    delta = aware - datetime(1970, 1, 1, tzinfo=UTC)
    expected = (delta.days * 86400 + delta.seconds) * SECOND + delta.microseconds * 1000
    assert parse_time(moment.isoformat() + "Z") == expected


def test_the_budget_counts_a_sliding_second() -> None:
    now = 0.0
    budget = PollBudget(20, clock=lambda: now)
    for _ in range(15):
        budget.spend()
    assert budget.left == 5
    now = 0.5
    budget.spend()
    assert budget.left == 4
    now = 1.01
    assert budget.left == 19


def test_the_budget_tells_when_there_is_room_again() -> None:
    now = 0.0
    budget = PollBudget(20, clock=lambda: now)
    assert budget.seconds_until(4) == 0
    for step in range(20):
        now = step / 40
        budget.spend()
    assert budget.seconds_until(4) == pytest.approx(3 / 40 + 1 - now, abs=0.01)
    now += budget.seconds_until(4)
    assert budget.left == 4
    poor = PollBudget(2, clock=lambda: now)
    poor.spend()
    poor.spend()
    assert poor.seconds_until(4) == pytest.approx(1.0, abs=0.01)  # it will never have four


def test_what_somebody_looks_at_may_go_ahead_while_little_is_owed() -> None:
    now = 0.0
    budget = PollBudget(20, clock=lambda: now)
    asked = 0
    while budget.left_ahead:
        budget.spend()
        asked += 1
    assert 25 <= asked <= 40
    assert budget.left == 0
    now = 1.5
    assert budget.left_ahead < 40  # what is owed counts
    now = 30.0
    assert budget.left_ahead == 40


def test_what_went_beyond_the_budget_is_paid_back() -> None:
    now = 0.0
    budget = PollBudget(20, clock=lambda: now)
    for _ in range(60):  # 40 too many
        budget.spend()
    spent = 60
    for second in range(1, 60):
        now = second * 1.001
        assert budget.left == (18 if now < 20 else 20)
        for _ in range(budget.left):
            budget.spend()
            spent += 1
    assert spent <= 20 * 60 + 2  # whole requests in whole seconds
    assert budget.left_of_half == 0


def test_slow_answers_halve_the_budget_and_quick_ones_restore_it() -> None:
    budget = PollBudget(20)
    budget.answered(0.01)
    budget.answered(1.0)
    assert budget.allowed == 10
    budget.answered(1.0)
    assert budget.allowed == 5
    for _ in range(50):
        budget.answered(0.01)
    assert budget.allowed == 20


def test_a_broker_far_away_is_not_a_slow_one() -> None:
    budget = PollBudget(20)
    for _ in range(10):
        budget.answered(0.3)
    assert budget.allowed == 20


def stream_info(
    last: int, *, first: int = 1, size: int | None = None, created: str = "2026-01-01T00:00:00Z"
) -> dict[str, object]:
    return {
        "config": {"name": "A", "subjects": ["a"]},
        "created": created,
        "state": {
            "messages": last - first + 1,
            "bytes": 100 * (last - first + 1) if size is None else size,
            "first_seq": first,
            "last_seq": last,
            "first_ts": "2026-01-01T00:00:01Z",
            "last_ts": f"2026-01-01T00:{last // 60:02d}:{last % 60:02d}Z",
            "consumer_count": 0,
        },
    }


def test_rates_of_a_stream() -> None:
    state = ClusterState(History())
    state.take_stream(stream_info(10), 1.0)
    assert state.streams["A"].in_messages_rate is None
    assert state.streams["A"].in_bytes_rate is None
    state.take_stream(stream_info(30), 2.0)
    assert state.streams["A"].in_messages_rate == pytest.approx(20)
    assert state.streams["A"].in_bytes_rate == pytest.approx(2000)
    assert state.streams["A"].out_messages_rate == 0
    # Removal at the other end hides what came in: the mean size tells.
    state.take_stream(stream_info(50, first=41), 3.0)
    assert state.streams["A"].in_messages_rate == pytest.approx(20)
    assert state.streams["A"].in_bytes_rate == pytest.approx(2000)


def test_a_stream_made_anew_starts_over() -> None:
    state = ClusterState(History())
    state.take_stream(stream_info(10), 1.0)
    state.take_stream(stream_info(30), 2.0)
    state.take_stream(stream_info(31, created="2026-02-02T00:00:00Z"), 3.0)
    assert state.streams["A"].in_messages_rate is None


def test_an_equal_configuration_stays_the_same_object() -> None:
    state = ClusterState(History())
    state.take_stream(stream_info(10), 1.0)
    config = state.streams["A"].config
    state.take_stream(stream_info(11), 2.0)
    assert state.streams["A"].config is config


def consumer_info(delivered: int, pending: int, **more: object) -> dict[str, object]:
    return {
        "stream_name": "A",
        "name": "c",
        "created": "2026-01-01T00:00:00Z",
        "config": {"durable_name": "c", "ack_policy": "explicit"},
        "delivered": {"consumer_seq": delivered, "stream_seq": delivered},
        "ack_floor": {"consumer_seq": delivered, "stream_seq": delivered},
        "num_pending": pending,
        "ts": "2026-01-01T00:01:00Z",
        **more,
    }


def test_lag_in_seconds_is_interpolated_where_the_time_is_known() -> None:
    state = ClusterState(History())
    for last in (10, 20, 30, 31, 40):
        state.take_stream(stream_info(last), float(last))
    state.take_consumers("A", [consumer_info(30, 10)], 50.0, all_of_them=True)
    # Message 31 is known to be from second 31; the consumer was read at second 60.
    assert state.consumers["A", "c"].lag_seconds == pytest.approx(29)
    state.take_consumers("A", [consumer_info(40, 0)], 51.0, all_of_them=True)
    assert state.consumers["A", "c"].lag_seconds == 0
    assert state.consumers["A", "c"].delivered_rate == pytest.approx(10)


def test_a_consumer_that_removal_overtook_is_at_the_edge() -> None:
    state = ClusterState(History())
    state.take_stream(stream_info(100, first=50), 1.0)
    state.take_consumers("A", [consumer_info(20, 51)], 1.0, all_of_them=True)
    assert state.consumers["A", "c"].lag_at_edge


def test_consumers_that_are_gone_are_forgotten() -> None:
    state = ClusterState(History())
    state.take_stream(stream_info(10), 1.0)
    state.take_consumers("A", [consumer_info(1, 9)], 1.0, all_of_them=True)
    state.take_consumers("A", [], 2.0, all_of_them=True)
    assert not state.consumers
    assert len(state.history.keys()) == 1
    state.take_consumers("A", [consumer_info(1, 9)], 3.0, all_of_them=True)
    state.remove_stream("A")
    assert not state.consumers
    assert not state.history.keys()
