"""What SDKs and the window ask the service for: one file per kind of request, each with its `ROUTES`."""

from __future__ import annotations

from memphis_desktop.stations.control import (
    consumers,
    dead_letters,
    producers,
    schemas,
    settings,
    stations,
    status,
    users,
)
from memphis_desktop.stations.control.routes import Route


def all_routes() -> tuple[Route, ...]:
    """Return everything the service answers."""
    return (
        *status.ROUTES,
        *settings.ROUTES,
        *stations.ROUTES,
        *producers.ROUTES,
        *consumers.ROUTES,
        *schemas.ROUTES,
        *dead_letters.ROUTES,
        *users.ROUTES,
    )
