"""The history on disk: it comes back after a restart, for what it belongs to, and never gets in the way."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest

from memphis_desktop.cluster.history import ConsumerKey, History, ServerKey, StreamKey
from memphis_desktop.cluster.history_store import KEEP_SECONDS, HistoryStore, history_path

KEY = ConsumerKey("orders", "billing")


class Run:
    """One run of the program: a history and its file."""

    def __init__(self, path: Path) -> None:
        self.history = History()
        self.store = HistoryStore(path, self.history)
        self.store.start()

    def lag(self, moment: float, lag: float, key: ConsumerKey = KEY) -> None:
        self.history.record(key, moment, (lag, None, 0, 0, 0, 0, 0))

    def brought(self, key: ConsumerKey = KEY, created: str = "1") -> list[float]:
        """Watch a key and return its values once the thread is done."""
        self.store.watch(key, created)
        self.store.close()
        _, values = self.history.series(key, "lag", 10 * 86400)
        return [float(value) for value in values if not np.isnan(value)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return history_path(tmp_path, "profile/1")


def write(path: Path, lags: list[float], start: float, created: str = "1") -> None:
    run = Run(path)
    run.store.watch(KEY, created)
    for minute, lag in enumerate(lags):
        run.lag(start + 60 * minute, lag)
    run.store.close()


def test_minutes_come_back_after_a_restart(path: Path) -> None:
    start = time.time() - 3600
    write(path, [10, 20, 30, 40], start)
    assert Run(path).brought() == [10, 20, 30, 40]


def test_runs_follow_each_other_with_a_gap_between(path: Path) -> None:
    now = time.time()
    write(path, [10, 20], now - 7200)
    write(path, [30, 40], now - 3600)
    run = Run(path)
    run.store.watch(KEY, "1")
    run.lag(now, 50)
    assert run.brought() == [10, 20, 30, 40, 50]
    times, values = run.history.series(KEY, "lag", 10800)
    assert np.isnan(values).sum() == 2
    assert np.all(np.diff(times) >= 0)


def test_a_flat_run_is_kept_as_its_ends(path: Path) -> None:
    write(path, [7] * 30 + [8], time.time() - 7200)
    assert Run(path).brought() == [7, 7, 8]
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM consumer_minutes").fetchone() == (3,)
    connection.close()


def test_a_namesake_inherits_nothing(path: Path) -> None:
    write(path, [10, 20], time.time() - 3600)
    assert Run(path).brought(created="2") == []
    assert Run(path).brought(created="1") == [10, 20]


def test_what_was_not_watched_is_not_kept(path: Path) -> None:
    run = Run(path)
    run.history.record(StreamKey("a"), time.time(), (1, 1, 1, 1, 1))
    run.store.close()
    assert Run(path).brought() == []


def test_old_minutes_are_dropped(path: Path) -> None:
    now = time.time()
    write(path, [1, 2], now - KEEP_SECONDS - 3600)
    write(path, [3, 4], now - 3600)
    assert Run(path).brought() == [3, 4]
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM consumer_minutes").fetchone() == (2,)
    connection.close()


def test_a_damaged_file_is_put_aside(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this is no database" * 100)
    write(path, [1, 2], time.time() - 3600)
    assert Run(path).brought() == [1, 2]
    assert any(".damaged-" in found.name for found in path.parent.iterdir())
    assert "put aside" in caplog.text


def test_a_folder_that_cannot_be_written_harms_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    run = Run(blocked / "history" / "x.sqlite")
    run.lag(time.time(), 5)
    run.store.close()
    assert run.history.series(KEY, "lag")[1].tolist() == [5]


def test_the_connections_own_series_is_always_kept(path: Path) -> None:
    run = Run(path)
    run.history.record(ServerKey(), time.time() - 600, (5,) * 12)
    run.store.close()
    again = Run(path)
    again.store.close()
    assert again.history.series(ServerKey(), "published", 3600)[1].tolist() == [5]


def test_it_keeps_again_after_it_was_closed(tmp_path: Path) -> None:
    """A connection that was given up and made again goes on with its history."""
    history = History()
    store = HistoryStore(tmp_path / "h.sqlite", history)
    store.start()
    store.close()
    assert not store._thread.is_alive()
    store.start()
    try:
        assert store._thread.is_alive()
        assert history.on_minute is not None
    finally:
        store.close()
