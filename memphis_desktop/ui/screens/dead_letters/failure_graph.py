"""Failures over time, kind by kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from memphis_desktop.cluster.dead_letters.letters import DeadLetter, LetterKind
from memphis_desktop.language import tr
from memphis_desktop.ui.components.graph import Series, TimeSeriesGraph
from memphis_desktop.ui.components.time_range import TimeRange
from memphis_desktop.ui.screen import ScreenContext

_BUCKETS = 60
_WIDTH = 176  # at least
_NO_TIMES: NDArray[np.float64] = np.empty(0)
# Kinds that are drawn even where nothing failed: a line at zero says so.
_ALWAYS = (LetterKind.MAX_DELIVERIES, LetterKind.UNACKED)

Kinds = Mapping[LetterKind, tuple[str, str]]  # the title and the colour of each


class FailureGraph(TimeSeriesGraph):
    """The failure rate, a curve for each kind of dead letter."""

    def __init__(self, context: ScreenContext, time_range: TimeRange) -> None:
        super().__init__(tr("Failures"), tr("a minute"), time_range, zone=context.zone)
        self._range = time_range
        self._kinds: Kinds = {}
        self._times: dict[LetterKind, NDArray[np.float64]] = {}
        self.setMinimumWidth(_WIDTH)
        time_range.changed.connect(self.draw)

    def show_letters(self, letters: Iterable[DeadLetter], kinds: Kinds) -> None:
        """Draw the failures of these letters."""
        every = list(letters)
        self._kinds = kinds
        self._times = {
            kind: np.array([one.failed_ns for one in every if one.kind is kind], dtype=np.float64)
            for kind in kinds
        }
        self.draw()

    def draw(self) -> None:
        """Count anew: the range of time is another."""
        start, end = self._range.bounds()
        width = max(1.0, (end - start) / _BUCKETS)
        first = np.floor(start / width) * width
        edges = np.arange(first, end + width, width)
        series = []
        for kind, (title, token) in self._kinds.items():
            times = self._times.get(kind, _NO_TIMES)
            if not len(times) and kind not in _ALWAYS:
                continue
            counts, _ = np.histogram(times / 1e9, edges)
            middles = (edges[:-1] + edges[1:]) / 2
            series.append(
                Series(title, middles, counts * (60.0 / width), fill=True, token=token, gaps_marked=True)
            )
        self.set_series(series)
