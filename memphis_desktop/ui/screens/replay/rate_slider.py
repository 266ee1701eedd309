"""The throttle of a run as a slider: logarithmic, from one message a second to no limit at all."""

from __future__ import annotations

import math

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QSlider, QWidget

from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures

PER_TENFOLD = 20  # a step is a tenth more, or less
TENFOLDS = 6
NO_LIMIT = PER_TENFOLD * TENFOLDS + 1


def rate_at(position: int) -> float | None:
    """Return the messages a second at a position, a figure one would type; None at the end: no limit."""
    if position >= NO_LIMIT:
        return None
    exact = math.pow(10.0, position / PER_TENFOLD)
    unit = math.pow(10.0, max(0, math.floor(math.log10(exact)) - 1))
    return max(1.0, round(exact / unit) * unit)


def position_of(rate: float | None) -> int:
    """Return where a rate stands; what is slower than the slowest stands at the beginning."""
    if not rate:
        return NO_LIMIT
    return max(0, min(NO_LIMIT - 1, round(math.log10(max(rate, 1e-3)) * PER_TENFOLD)))


class RateSlider(QSlider):
    """Arrows change it by a tenth, Page up and down tenfold, End takes the limit away."""

    rate_chosen = Signal(object)  # messages a second, None for no limit; by the user only

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setRange(0, NO_LIMIT)
        self.setSingleStep(1)
        self.setPageStep(PER_TENFOLD)
        self.setValue(NO_LIMIT)
        self.setMinimumWidth(160)
        self.setAccessibleName(tr("Throttle"))
        self.valueChanged.connect(self._moved)
        self._describe()

    def show_rate(self, rate: float | None) -> None:
        """Stand at a rate, without choosing it."""
        blocked = self.blockSignals(True)
        self.setValue(position_of(rate))
        self.blockSignals(blocked)
        self._describe()

    def _moved(self, position: int) -> None:
        self._describe()
        self.rate_chosen.emit(rate_at(position))

    def _describe(self) -> None:
        rate = rate_at(self.value())
        text = tr("no limit") if rate is None else tr("{rate} messages/s", rate=figures.integer(round(rate)))
        self.setAccessibleDescription(text)
        self.setToolTip(tr("Throttle: {rate}; takes hold at once", rate=text))
