"""Going from one partition of a Memphis station to another."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QWidget

from memphis_desktop.language import tr
from memphis_desktop.stations.names import station_of_stream


def partitions_of(stream: str, streams: Iterable[str]) -> list[str]:
    """Return the streams of the partitions of the station that a stream belongs to, in their order."""
    if station_of_stream(stream)[1] < 0:
        return []
    prefix = f"{stream.rpartition('$')[0]}$"
    numbered = ((station_of_stream(name)[1], name) for name in streams if name.startswith(prefix))
    return [
        name for number, name in sorted(numbered) if number >= 0 and name.rpartition("$")[0] == prefix[:-1]
    ]


class PartitionBox(QComboBox):
    """Hidden for stations that have one partition."""

    chosen = Signal(str)  # the stream of another partition

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(tr("Partition"))
        self.setToolTip(tr("Which partition of the station is shown"))
        self.activated.connect(lambda _: self.chosen.emit(self.currentData()))
        self.hide()

    def show_partitions(self, stream: str, streams: Iterable[str]) -> None:
        """Offer the partitions beside the one of `stream`."""
        found = partitions_of(stream, streams)
        if found != [self.itemData(index) for index in range(self.count())]:
            self.clear()
            for name in found:
                self.addItem(
                    tr("Partition {number} of {count}", number=station_of_stream(name)[1], count=len(found)),
                    name,
                )
            self.setCurrentIndex(found.index(stream) if stream in found else -1)
        self.setVisible(len(found) > 1)
