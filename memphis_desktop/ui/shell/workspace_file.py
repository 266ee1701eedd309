"""Workspaces as files: which places of which connections are open, to come back to or to give to somebody.

A file names connections; how to log in to them stays with the profiles of whoever opens it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.ui.screen import Route

FORMAT = "memphis-desktop workspace"
_LARGEST = 1 << 20
_MOST_TABS = 64


class WorkspaceProblem(Exception):
    """A file is no workspace; the text says why."""


@dataclass(frozen=True)
class Place:
    """One tab.

    Attributes:
        profile_id: the connection, as this machine knows it.
        name: its name, by which it is found on another machine.
        route: what is shown.
    """

    profile_id: str
    name: str
    route: Route


def write_workspace(path: Path, places: Sequence[Place]) -> None:
    """Write a file; raises OSError when that is not possible."""
    tabs = [
        {
            "profile": place.profile_id,
            "name": place.name,
            "route": place.route.name,
            "parameters": dict(place.route.parameters),
        }
        for place in places
    ]
    document = {"format": FORMAT, "version": 1, "tabs": tabs}
    beside = path.with_name(f".{path.name}.writing")
    beside.write_text(json.dumps(document, indent=1), encoding="utf-8")
    beside.replace(path)


def read_workspace(path: Path) -> list[Place]:
    """Read a file.

    Raises:
        WorkspaceProblem: it cannot be read, or is something else.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise WorkspaceProblem(f"{path.name} is too large for a workspace.")
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WorkspaceProblem(f"{path.name} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise WorkspaceProblem(f"{path.name} is not a workspace: it is not JSON.") from None
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise WorkspaceProblem(f"{path.name} is not a workspace of this program.")
    tabs = document.get("tabs")
    places = [_place(tab) for tab in (tabs if isinstance(tabs, list) else [])[:_MOST_TABS]]
    return [place for place in places if place is not None]


def _place(tab: object) -> Place | None:
    if not isinstance(tab, Mapping):
        return None
    parameters = tab.get("parameters")
    texts = parameters.items() if isinstance(parameters, Mapping) else ()
    route = Route(str(tab.get("route", "")), {str(key): str(value) for key, value in texts})
    return Place(str(tab.get("profile", "")), str(tab.get("name", "")), route)


def profile_of(place: Place, profiles: Sequence[ConnectionProfile]) -> ConnectionProfile | None:
    """The connection that a place means: the very one, or the one of that name."""
    for profile in profiles:
        if profile.id == place.profile_id:
            return profile
    return next((profile for profile in profiles if profile.name == place.name), None)
