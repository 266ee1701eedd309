"""The axes of graphs: round times of day in a zone, and values in the words of their unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo

import numpy as np
import pyqtgraph as pg

from memphis_desktop.language import figures

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_STEPS: tuple[int, ...] = (1, 2, 5, 10, 15, 30)  # seconds
_STEPS += tuple(count * _MINUTE for count in (1, 2, 5, 10, 15, 30))
_STEPS += tuple(count * _HOUR for count in (1, 2, 3, 6, 12))
_STEPS += tuple(count * _DAY for count in (1, 2, 7))


def tick_times(start: float, end: float, room: int, zone: tzinfo) -> list[tuple[float, str]]:
    """Round times of day between two moments, about one in ``room``, with their labels in a zone."""
    span = max(1.0, end - start)
    step = next((step for step in _STEPS if span / step <= max(1, room)), _STEPS[-1] * 4)
    offset = datetime.fromtimestamp(start, UTC).astimezone(zone).utcoffset() or timedelta(0)
    shift = offset.total_seconds()
    first = np.ceil((start + shift) / step) * step - shift
    result = []
    for moment in np.arange(first, end + 1e-6, step):
        local = datetime.fromtimestamp(float(moment), UTC).astimezone(zone)
        midnight = local.hour == local.minute == local.second == 0
        result.append((float(moment), _label(local, _DAY if midnight else step)))
    return result


def _label(moment: datetime, step: float) -> str:
    """What a tick says when the next is so many seconds away."""
    return figures.named_day(moment) if step >= _DAY else figures.clock(moment, seconds=step < _MINUTE)


class _Axis(pg.AxisItem):  # type: ignore[misc]
    """An axis without a label."""

    def __init__(self, orientation: str) -> None:
        super().__init__(orientation)
        self.enableAutoSIPrefix(False)  # it lays out the empty label again with every change of the range


class TimeAxis(_Axis):
    """The time axis in the chosen zone."""

    def __init__(self) -> None:
        super().__init__("bottom")
        self.zone: tzinfo = UTC

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:
        """One level of ticks at round times of day."""
        ticks = tick_times(minVal, maxVal, int(size / 90), self.zone)
        spacing = ticks[1][0] - ticks[0][0] if len(ticks) > 1 else 1.0
        return [(spacing, [moment for moment, _ in ticks])]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:
        """Their labels."""
        if not values:
            return []
        labels = dict(
            tick_times(
                min(values),
                max(values),
                10**6 if spacing <= 0 else max(1, int((max(values) - min(values)) / spacing)),
                self.zone,
            )
        )
        return [labels.get(value) or self._at(value, spacing) for value in values]

    def _at(self, value: float, spacing: float) -> str:
        return _label(datetime.fromtimestamp(value, UTC).astimezone(self.zone), spacing)


class ValueAxis(_Axis):
    """The value axis, in the words of its unit."""

    def __init__(self, formatter: Callable[[float | None], str]) -> None:
        super().__init__("left")
        self.formatter = formatter

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:
        """Three to five round values."""
        span = maxVal - minVal
        if span <= 0 or size <= 0:
            return []
        step = nice_step(span / max(2, min(5, size / 36)))
        first = np.ceil(minVal / step) * step
        return [(step, [float(value) for value in np.arange(first, maxVal + step * 0.001, step)])]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:
        """Without the "/s" that the title says already."""
        return [self.formatter(value).removesuffix("/s") for value in values]


def nice_step(raw: float) -> float:
    """The next of 1, 2, 5 × 10ⁿ."""
    power = 10.0 ** np.floor(np.log10(raw))
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999))
