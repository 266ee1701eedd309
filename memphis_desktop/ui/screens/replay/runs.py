"""Where the screens find the replays of a session."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from memphis_desktop.inspect.replay_runs import ReplayRuns

_RUNS: WeakKeyDictionary[Any, ReplayRuns] = WeakKeyDictionary()


def runs_of(session: Any) -> ReplayRuns:
    """Return the replays started on a session."""
    runs = _RUNS.get(session)
    if runs is None:
        runs = _RUNS[session] = ReplayRuns()
    return runs
