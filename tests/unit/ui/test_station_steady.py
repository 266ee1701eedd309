"""Rows stay the objects they were while nothing they tell is another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from memphis_desktop.cluster.model import ConsumerSnapshot
from memphis_desktop.cluster.reading import unread_stream
from memphis_desktop.ui.screens.station_detail.summary import removed
from memphis_desktop.ui.screens.station_steady import Steady, WorstLags


def consumer(stream: str, name: str, lag: int = 0, seconds: float | None = None) -> ConsumerSnapshot:
    return ConsumerSnapshot(
        stream, name, {}, "", 0, 0, 0, 0, None, None, lag, 0, 0, 0, False, False, None, None, seconds, None
    )


def test_another_time_of_reading_is_no_change() -> None:
    a, b = unread_stream("a"), unread_stream("b")
    rows: Steady[str, object] = Steady()  # type: ignore[type-var]
    assert rows.take({"a": a, "b": b}) == {"a", "b"}
    assert rows.take({"a": replace(a, read_at_ns=5), "b": b}) == set()
    assert rows.shown["a"] is a
    now = replace(a, messages=1, read_at_ns=6)
    assert rows.take({"a": now, "b": b}) == {"a"}
    assert rows.shown["a"] is now
    c = unread_stream("c")
    assert rows.take({"a": now, "c": c}) == {"b", "c"}
    assert rows.shown.keys() == {"a", "c"}
    rows.exact = True
    later = replace(now, read_at_ns=7)
    assert rows.take({"a": later, "c": c}) == {"a"}


def test_worst_lags_follow_what_changes_comes_and_goes() -> None:
    lags = WorstLags()
    one, two, other = consumer("s", "1", 3, 1.0), consumer("s", "2", 1, 5.0), consumer("t", "1")
    read = {("s", "1"): one, ("s", "2"): two, ("t", "1"): other}
    assert lags.take(read) == {"s", "t"}
    assert lags.of == {"s": (3, 5.0), "t": (0, None)}
    assert lags.take({**read, ("t", "1"): replace(other, read_at_ns=9)}) == set()
    assert lags.take({**read, ("s", "1"): replace(one, num_pending=9)}) == {"s"}
    assert lags.of["s"] == (9, 5.0)
    assert lags.take({("s", "2"): two, ("t", "1"): other}) == {"s"}
    assert lags.of["s"] == (1, 5.0)
    assert lags.take({("s", "2"): two, ("u", "1"): consumer("u", "1")}) == {"t", "u"}
    assert lags.of.keys() == {"s", "u"}


def test_what_was_removed_is_what_came_and_is_not_there() -> None:
    times = np.arange(20, dtype=np.float64)
    came = np.full(20, 50.0)
    assert np.nanmax(removed(times, came, 1000 + 50 * times)) == 0.0
    full = removed(times, came, np.full(20, 1000.0))
    assert np.isnan(full[:4]).all()
    assert np.allclose(full[4:], 50.0)
    purged = removed(times, np.zeros(20), np.where(times < 10, 400.0, 0.0))
    assert np.isclose(np.nansum(purged), 400.0)
    assert not removed(times[:3], came[:3], came[:3])[0] > 0
