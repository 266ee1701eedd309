"""Garbage is collected by the clock, and Python's own schedule comes back at the end."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from memphis_desktop.ui import collector
from memphis_desktop.ui.collector import Collector


class Knot:
    """Refers to itself, so that only a collection ends it."""

    def __init__(self) -> None:
        self.self = self


@pytest.fixture(params=[False, True], ids=["nothing frozen", "frozen by others"])
def frozen_before(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether somebody froze what there was before; the state of the run comes back."""
    was = gc.get_freeze_count() > 0
    gc.unfreeze()
    if request.param:
        gc.freeze()
    yield request.param
    gc.unfreeze()
    if was:
        gc.freeze()


@pytest.mark.parametrize("enabled", [True, False])
def test_knots_go_and_the_schedule_comes_back(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, frozen_before: bool, enabled: bool
) -> None:
    monkeypatch.setattr(collector, "YOUNG_MS", 5)
    monkeypatch.setattr(collector, "LATEST_SECONDS", 0.0)  # full ones at once
    if enabled:
        gc.enable()
    ours = Collector()
    try:
        assert not gc.isenabled()
        assert gc.get_freeze_count() > 0
        old = Knot()
        gc.collect()  # it is old now: only a full collection looks at it
        young, gone = weakref.ref(Knot()), weakref.ref(old)
        del old
        qtbot.waitUntil(lambda: young() is None and gone() is None, timeout=10_000)
    finally:
        ours.end()
    assert gc.isenabled() == enabled
    assert (gc.get_freeze_count() > 0) == frozen_before  # what others froze is theirs to let go
