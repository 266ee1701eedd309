"""Who else may come in to the local broker, as the settings keep it."""

from __future__ import annotations

from memphis_desktop.ui.broker_control import Doors
from memphis_desktop.ui.settings import Settings
from memphis_desktop.ui.shell import setting_keys as keys


def load_doors(settings: Settings) -> Doors:
    """Return what the user chose; what cannot be read is as it is at first."""
    values = settings.get(keys.BROKER_DOORS, {})
    if not isinstance(values, dict):
        return Doors()
    memphis, rest, cluster = (values.get(name) for name in ("memphis_port", "rest_port", "streaming_cluster"))
    first = Doors()
    return Doors(
        memphis if isinstance(memphis, int) and 0 <= memphis < 65536 else first.memphis_port,
        rest if isinstance(rest, int) and 0 <= rest < 65536 else first.rest_port,
        cluster if isinstance(cluster, str) else first.streaming_cluster,
    )


def save_doors(settings: Settings, doors: Doors) -> None:
    """Keep what the user chose."""
    values = {
        "memphis_port": doors.memphis_port,
        "rest_port": doors.rest_port,
        "streaming_cluster": doors.streaming_cluster,
    }
    settings.set(keys.BROKER_DOORS, None if doors == Doors() else values)
