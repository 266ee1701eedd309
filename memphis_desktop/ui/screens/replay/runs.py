"""Where the screens find the replays of a session."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from memphis_desktop import folders
from memphis_desktop.inspect.replay.records import RecordStore
from memphis_desktop.inspect.replay.runs import ReplayRuns

_RUNS: WeakKeyDictionary[Any, ReplayRuns] = WeakKeyDictionary()


def runs_of(session: Any) -> ReplayRuns:
    """Return the replays started on a session."""
    runs = _RUNS.get(session)
    if runs is None:
        store = RecordStore(folders.data_folder() / "replays")
        runs = _RUNS[session] = ReplayRuns(store, session.profile.id)
    return runs
