"""Changing what holds for all stations."""

from __future__ import annotations

from memphis_desktop.stations.control.routes import Context, Request, manage, management_answer
from memphis_desktop.stations.errors import Refusal
from memphis_desktop.stations.metadata import replace
from memphis_desktop.stations.model import Settings

# What each may be, at least and at most.
_RANGES = {"dead_letter_hours": (1, 720), "disconnected_hours": (1, 48), "audit_days": (1, 100)}


async def edit(context: Context, request: Request) -> bytes:
    """Change settings; those that are missing stay as they are."""
    changes = {}
    for name, (least, most) in _RANGES.items():
        if name in request.fields:
            changes[name] = request.number(name)
            if not least <= changes[name] <= most:
                raise Refusal(f"{name} has to be between {least} and {most}")
    settings = await context.metadata.settings.change(
        ("settings",), lambda present: replace(present or Settings(), **changes)
    )
    assert settings is not None
    await context.metadata.apply_limits(settings, context.replicas)
    if changes:
        told = ", ".join(f"{name} {value}" for name, value in changes.items())
        await context.audit(f"Settings have been changed: {told}", username=request.username)
    return management_answer(settings)


ROUTES = (manage("settings.edit", edit),)
