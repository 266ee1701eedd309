"""Telling that the service is there."""

from __future__ import annotations

from memphis_desktop import __version__
from memphis_desktop.stations.control.routes import Context, Request, manage, management_answer


async def status(context: Context, request: Request) -> bytes:
    """Say which version answers and how widely the metadata is replicated."""
    return management_answer({"version": __version__, "replicas": context.replicas})


ROUTES = (manage("status", status),)
