"""What a rule would have told in the past."""

from __future__ import annotations

import numpy as np
import pytest

from memphis_desktop.cluster.alert_preview import episodes, preview
from memphis_desktop.cluster.alerts import SIGNALS, Rule
from memphis_desktop.cluster.history import ConsumerKey, History, StreamKey

NOW = 1_700_000_000.0
NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "for_seconds", "expected"),
    [
        ([0, 0, 0], 0, 0),
        ([5, 5, 5], 0, 1),
        ([5, 0, 5], 0, 2),
        ([5, 0, 5], 2, 0),
        ([5, 5, 5, 0, 5], 3, 1),
        ([5, NAN, 5], 0, 2),  # a gap ends it
        ([0, 5, 5], 1, 1),
        ([0, 5, 5], 2, 0),  # it has not lasted so long yet
        ([3, 3], 0, 0),  # at the threshold, not beyond
    ],
)
def test_episodes(values: list[float], for_seconds: float, expected: int) -> None:
    rule = Rule("lag_seconds", 3.0, for_seconds=for_seconds)
    assert episodes(rule, np.arange(len(values), dtype=float), np.array(values, dtype=float)) == expected


def test_a_rule_is_counted_over_what_it_looks_at() -> None:
    history = History()
    for second in range(120):
        lag = 100.0 if 20 <= second < 60 or second >= 90 else 0.0
        for stream, group in (("orders", "billing"), ("other", "x"), ("KV_settings", "watch")):
            history.record(ConsumerKey(stream, group), NOW + second, (lag, None, 0, 0, 0, None, None))
        history.record(StreamKey("orders"), NOW + second, (10.0 if second < 50 else 0.0, 0, 0, 0, 0))
    now = NOW + 120
    both = preview(Rule("lag_messages", 50.0, for_seconds=10.0), history, now)
    assert both is not None
    assert (both.alerts, both.subjects, round(both.seconds)) == (4, 2, 120)
    one = preview(Rule("lag_messages", 50.0, pattern="orders*", for_seconds=10.0), history, now)
    assert one is not None
    assert (one.alerts, one.subjects) == (2, 1)
    long = preview(Rule("lag_messages", 50.0, for_seconds=35.0), history, now)
    assert long is not None
    assert long.alerts == 2
    low = preview(Rule("rate_low", 5.0, for_seconds=30.0), history, now)
    assert low is not None
    assert (low.alerts, low.subjects) == (1, 1)
    assert preview(Rule("no_leader", 0.0), history, now) is None


def test_every_signal_that_is_recorded_is_known() -> None:
    from memphis_desktop.cluster.alert_preview import RECORDED

    assert RECORDED.keys() <= SIGNALS.keys()
    for signal in RECORDED:
        assert preview(Rule(signal, 1.0), History(), NOW) is not None
