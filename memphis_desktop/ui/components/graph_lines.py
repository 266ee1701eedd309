"""What of a line is drawn: the part in view, no more samples than its pixels can show, gaps kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_GAP_FACTOR = 4.0  # a step this much longer than the usual one is a gap, not a line

_FEW = 4  # so many samples a pixel are drawn as they are: finding the peaks would take longer

Samples = NDArray[np.float64]


def with_gaps(times: Samples, values: Samples) -> tuple[Samples, Samples]:
    """Put a NaN where samples are missing, so that the line breaks there instead of joining."""
    if len(times) < 3:
        return times, values
    steps = np.diff(times)
    usual = float(np.median(steps))
    holes = np.nonzero(steps > max(_GAP_FACTOR * usual, 2.5))[0] if usual > 0 else np.array([], dtype=int)
    if not len(holes):
        return times, values
    return (
        np.insert(times, holes + 1, times[holes] + usual),
        np.insert(np.asarray(values, dtype=np.float64), holes + 1, np.nan),
    )


def in_view(
    times: Samples, values: Samples, start: float, end: float, pixels: int
) -> tuple[Samples, Samples]:
    """The samples between two moments and one more at each side; with many of them the peaks of each pixel.

    Of a pixel the lowest and the highest value stay, in the order of the way the line goes there, so that
    no spike is lost. Pixels are counted from 1970: while time moves on, a sample stays in its pixel and the
    line does not shimmer. A pixel with a gap is a gap.
    """
    first, last = np.searchsorted(times, (start, end), side="left")
    shown = slice(max(0, int(first) - 1), int(last) + 1)
    times, values = times[shown], values[shown]
    if pixels < 1 or end <= start or len(times) <= _FEW * pixels:
        return times, values
    pixel = np.floor(times * (pixels / (end - start)))
    begins = np.concatenate(([0], np.flatnonzero(pixel[1:] != pixel[:-1]) + 1))
    ends = np.append(begins[1:], len(times)) - 1
    low, high = np.minimum.reduceat(values, begins), np.maximum.reduceat(values, begins)
    rises = values[ends] >= values[begins]
    peaks = np.empty(2 * len(begins))
    peaks[0::2], peaks[1::2] = np.where(rises, low, high), np.where(rises, high, low)
    moments = np.empty(2 * len(begins))
    moments[0::2], moments[1::2] = times[begins], times[ends]
    return moments, peaks
