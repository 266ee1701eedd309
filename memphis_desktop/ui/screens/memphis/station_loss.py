"""Deleting a Memphis station: the request, and what is lost with it."""

from __future__ import annotations

from memphis_desktop.cluster.session import Session
from memphis_desktop.stations.model import Station
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.memphis.changes import MemphisChange
from memphis_desktop.ui.memphis.link import MemphisView, streams_of
from memphis_desktop.ui.screens.memphis.station_form import station_values


def destruction(station: Station) -> MemphisChange:
    """Return the request that deletes a station."""
    return MemphisChange(
        f"Delete station {station.name}",
        "stations.destroy",
        {"name": station.name},
        station.name,
        before=dict(station_values(station)),
        destroys=True,
    )


def destruction_text(station: Station, session: Session, view: MemphisView) -> str:
    """Return what is lost with a station, in a sentence."""
    streams = streams_of(station, session.snapshot.streams.values())
    size = figures.bytes_size(sum(stream.bytes for stream in streams))
    letters = sum(letter.station == station.name for letter in view.dead_letters)
    parts = [
        figures.count_noun(sum(stream.messages for stream in streams), "message"),
        figures.count_noun(len(station.partitions), "partition"),
        figures.count_noun(letters, "dead letter"),
    ]
    return (
        f"{station.name}: {', '.join(parts)} ({size}) will be lost for good, "
        "and its producers and consumers forgotten."
    )
