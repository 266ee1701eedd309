"""Garbage is collected by the clock, and Python's own schedule comes back at the end."""

from __future__ import annotations

import gc
import weakref

import pytest
from pytestqt.qtbot import QtBot

from memphis_desktop.ui import collector
from memphis_desktop.ui.collector import Collector


class Knot:
    """Refers to itself, so that only a collection ends it."""

    def __init__(self) -> None:
        self.self = self


def test_knots_go_and_the_schedule_comes_back(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "YOUNG_MS", 5)
    monkeypatch.setattr(collector, "LATEST_SECONDS", 0.0)  # full ones at once
    ours = Collector()
    try:
        assert not gc.isenabled()
        old = Knot()
        gc.collect()  # it is old now: only a full collection looks at it
        young, gone = weakref.ref(Knot()), weakref.ref(old)
        del old
        qtbot.waitUntil(lambda: young() is None and gone() is None, timeout=10_000)
    finally:
        ours.end()
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
