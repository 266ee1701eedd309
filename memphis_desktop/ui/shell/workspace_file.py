"""Workspaces as files: which places of which connections are open, to come back to or to give to somebody.

A file names connections; how to log in to them stays with the profiles of whoever opens it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.language import tr
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
        right: whether it is on the right side of the split.
        shown: whether it is in view.
        current: whether the keys go to it.
    """

    profile_id: str
    name: str
    route: Route
    right: bool = False
    shown: bool = False
    current: bool = False


@dataclass(frozen=True)
class SavedTabs:
    """What was open.

    Attributes:
        places: the tabs, in order.
        ratio: the right side's part of the room; None while the window is not split.
    """

    places: tuple[Place, ...] = ()
    ratio: float | None = None


def document_of(saved: SavedTabs) -> dict[str, Any]:
    """What was open as JSON."""
    tabs = []
    for place in saved.places:
        tab: dict[str, Any] = {
            "profile": place.profile_id,
            "name": place.name,
            "route": place.route.name,
            "parameters": dict(place.route.parameters),
        }
        marks = {"right": place.right, "shown": place.shown, "current": place.current}
        tabs.append(tab | {name: True for name, on in marks.items() if on})
    document: dict[str, Any] = {"tabs": tabs}
    if saved.ratio is not None:
        document["ratio"] = saved.ratio
    return document


def saved_tabs(document: object) -> SavedTabs:
    """What JSON says was open; what it does not say well is left out."""
    if not isinstance(document, Mapping):
        return SavedTabs()
    tabs, ratio = document.get("tabs"), document.get("ratio")
    places = [_place(tab) for tab in (tabs if isinstance(tabs, list) else [])[:_MOST_TABS]]
    share = float(ratio) if isinstance(ratio, (int, float)) and 0 < ratio < 1 else None
    return SavedTabs(tuple(place for place in places if place is not None), share)


def write_workspace(path: Path, saved: SavedTabs) -> None:
    """Write a file; raises OSError when that is not possible."""
    document = {"format": FORMAT, "version": 1, **document_of(saved)}
    beside = path.with_name(f".{path.name}.writing")
    beside.write_text(json.dumps(document, indent=1), encoding="utf-8")
    beside.replace(path)


def read_workspace(path: Path) -> SavedTabs:
    """Read a file.

    Raises:
        WorkspaceProblem: it cannot be read, or is something else.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise WorkspaceProblem(tr("{name} is too large for a workspace.", name=path.name))
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WorkspaceProblem(
            tr("{name} cannot be read: {reason}.", name=path.name, reason=error.strerror)
        ) from None
    except (ValueError, RecursionError):
        raise WorkspaceProblem(tr("{name} is not a workspace: it is not JSON.", name=path.name)) from None
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise WorkspaceProblem(tr("{name} is not a workspace of this program.", name=path.name))
    return saved_tabs(document)


def _place(tab: object) -> Place | None:
    if not isinstance(tab, Mapping):
        return None
    parameters = tab.get("parameters")
    texts = parameters.items() if isinstance(parameters, Mapping) else ()
    route = Route(str(tab.get("route", "")), {str(key): str(value) for key, value in texts})
    right, shown, current = (tab.get(mark) is True for mark in ("right", "shown", "current"))
    return Place(str(tab.get("profile", "")), str(tab.get("name", "")), route, right, shown, current)


def profile_of(place: Place, profiles: Sequence[ConnectionProfile]) -> ConnectionProfile | None:
    """The connection that a place means: the very one, or the one of that name."""
    for profile in profiles:
        if profile.id == place.profile_id:
            return profile
    return next((profile for profile in profiles if profile.name == place.name), None)
