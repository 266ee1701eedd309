"""What the palette offers: places, actions here, stations, consumers, connections, settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.language import tr
from memphis_desktop.ui import settings, theme
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens import registry
from memphis_desktop.ui.screens.settings.page import colour_name
from memphis_desktop.ui.shell import setting_keys, time_zones
from memphis_desktop.ui.shell.environments import environment_word
from memphis_desktop.ui.shell.palette import ACTION, OBJECT, PLACE, SETTING, Entry
from memphis_desktop.ui.theme.manager import MODES, PERCENTS
from memphis_desktop.ui.theme.tokens import DENSITIES

if TYPE_CHECKING:
    from memphis_desktop.ui.window import MainWindow


_MODES = {
    "system": tr("System"),
    "dark": tr("Dark"),
    "light": tr("Light"),
    "contrast": tr("High contrast"),
}
_DENSITIES = {"compact": tr("Compact"), "normal": tr("Normal"), "roomy": tr("Roomy")}
# What a stream's name begins with, the place that shows such a bucket, its icon, what it is.
_BUCKETS = (
    ("KV_", "bucket", "key", tr("key-value bucket")),
    ("OBJ_", "object_bucket", "package", tr("object bucket")),
)


def collect(window: MainWindow) -> list[Entry]:
    """Everything that can be chosen in the window now."""
    return [
        *_screen_actions(window),
        *_places(window),
        *_window_actions(window),
        *_objects(window),
        *_settings(),
    ]


def _screen_actions(window: MainWindow) -> list[Entry]:
    screen = window.current_workspace().current_screen
    if screen is None:
        return []
    return [
        Entry(
            f"action:{screen.route_name}:{command.key}",
            ACTION,
            command.title,
            command.callback,
            command.icon or "lightning",
            screen.title,
            command.shortcut,
            command.enabled,
            command.reason,
        )
        for command in screen.keyed_commands()
        if command.title
    ]


def _places(window: MainWindow) -> list[Entry]:
    connection = window.current_workspace().connection
    keys = {entry.route_name: sequence for sequence, entry in window.keys.places()}
    found = []
    for entry in registry.SCREENS:
        if not entry.in_rail:
            continue
        missing = window.missing_requirement(entry, connection)
        route = Route(entry.route_name)
        found.append(
            Entry(
                f"place:{entry.route_name}",
                PLACE,
                entry.title,
                partial(window.navigate, route),
                entry.icon,
                "",
                keys.get(entry.route_name, ""),
                not missing,
                missing,
            )
        )
    return found


def _window_actions(window: MainWindow) -> list[Entry]:
    return [
        Entry(
            f"action:window:{c.key}",
            ACTION,
            c.title,
            c.callback,
            c.icon,
            "",
            c.shortcut,
            c.enabled,
            c.reason,
        )
        for c in window.window_commands()
        if c.callback != window.command_palette.open
    ]


def _objects(window: MainWindow) -> list[Entry]:
    found: list[Entry] = []
    workspace = window.current_workspace()
    connection = workspace.connection
    if connection is not None:
        snapshot = connection.snapshot
        station = registry.find("station") is not None
        for name in snapshot.streams if station else ():
            found += _bucket(window, name)
            route = Route("station", {"stream": name})
            found.append(_object(window, f"station:{name}", name, tr("station stream"), "stack", route))
        consumer = registry.find("consumer") is not None
        for stream, name in snapshot.consumers if consumer else ():
            route = Route("consumer", {"stream": stream, "consumer": name})
            found.append(
                _object(
                    window,
                    f"consumer:{stream}:{name}",
                    name,
                    tr("consumer of {stream}", stream=stream),
                    "users-three",
                    route,
                )
            )
        for name in snapshot.raft.servers:
            route = Route("cluster", {"tab": "servers", "server": name})
            found.append(_object(window, f"server:{name}", name, tr("server"), "hard-drives", route))
    for profile in window.profiles.load():
        found.append(
            Entry(
                f"connection:{profile.id}",
                OBJECT,
                profile.name,
                partial(_connect, window, profile),
                "link-simple",
                tr("connection, {environment}", environment=environment_word(profile.environment.value)),
            )
        )
    return found


def _bucket(window: MainWindow, stream: str) -> list[Entry]:
    """The bucket that a stream holds, under its own name."""
    for prefix, place, icon, hint in _BUCKETS:
        if stream.startswith(prefix) and registry.find(place) is not None:
            name = stream.removeprefix(prefix)
            route = Route(place, {"bucket": name})
            return [_object(window, f"{place}:{name}", name, hint, icon, route)]
    return []


def _connect(window: MainWindow, profile: ConnectionProfile) -> None:
    window.tasks.run(window.open_profile(profile), tr("connect to {name}", name=profile.name))


def _object(window: MainWindow, key: str, title: str, hint: str, icon: str, route: Route) -> Entry:
    return Entry(key, OBJECT, title, lambda: window.navigate(route), icon, hint)


def _settings() -> list[Entry]:
    manager = theme.manager()
    store = settings.current()
    found = [
        Entry(
            f"setting:theme:{mode}",
            SETTING,
            tr("Theme: {name}", name=_MODES[mode]),
            _setter(setting_keys.THEME, mode),
            "moon",
        )
        for mode in MODES
        if mode != manager.mode
    ]
    found += [
        Entry(
            f"setting:density:{name}",
            SETTING,
            tr("Density: {name}", name=_DENSITIES[name]),
            _setter(setting_keys.DENSITY, name),
            "rows",
        )
        for name in DENSITIES
        if name != manager.density.name
    ]
    found += [
        Entry(
            f"setting:accent:{name}",
            SETTING,
            tr("Accent: {name}", name=colour_name(name)),
            _setter(setting_keys.ACCENT, name),
            "palette",
        )
        for name in theme.ACCENTS
        if name != manager.accent
    ]
    found += [
        Entry(
            f"setting:text:{percent}",
            SETTING,
            tr("Size of text: {percent} %", percent=percent),
            _setter(setting_keys.TEXT, percent),
            "text-aa",
        )
        for percent in PERCENTS
        if percent != manager.percent
    ]
    zone = store.get(time_zones.SETTING, time_zones.LOCAL)
    for choice, text in ((time_zones.LOCAL, tr("system time")), (time_zones.UTC_CHOICE, "UTC")):
        if choice != zone:
            found.append(
                Entry(
                    f"setting:zone:{choice}",
                    SETTING,
                    tr("Times in {zone}", zone=text),
                    _setter(time_zones.SETTING, choice),
                    "clock",
                )
            )
    return found


def _setter(key: str, value: str | int) -> Callable[[], None]:
    return lambda: settings.current().set(key, value)
