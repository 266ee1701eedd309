"""Deleting a Memphis station: the request, and what is lost with it."""

from __future__ import annotations

from memphis_desktop.cluster.session import Session
from memphis_desktop.language import tr, tr_count
from memphis_desktop.stations.model import Station
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.memphis.changes import MemphisChange
from memphis_desktop.ui.memphis.link import MemphisView, streams_of
from memphis_desktop.ui.screens.memphis.station_form import station_values


def destruction(station: Station) -> MemphisChange:
    """Return the request that deletes a station."""
    return MemphisChange(
        tr("Delete station {name}", name=station.name),
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
        tr_count(
            "{count} message",
            "{count} messages",
            sum(stream.messages for stream in streams),
            count=figures.integer(sum(stream.messages for stream in streams)),
        ),
        tr_count(
            "{count} partition",
            "{count} partitions",
            len(station.partitions),
            count=figures.integer(len(station.partitions)),
        ),
        tr_count("{count} dead letter", "{count} dead letters", letters, count=figures.integer(letters)),
    ]
    return tr(
        "{name}: {parts} ({size}) will be lost for good, and its producers and consumers forgotten.",
        name=station.name,
        parts=", ".join(parts),
        size=size,
    )
