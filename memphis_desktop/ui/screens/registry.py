"""All screens, in the order of the navigation rail. Each owner adds a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from memphis_desktop.language import tr
from memphis_desktop.ui.screen import Screen, ScreenContext


@dataclass(frozen=True)
class ScreenEntry:
    """One screen: how it is called, and how it is made when first visited.

    Attributes:
        route_name: the name routes use.
        title: its name in the rail and the palette.
        icon: a Phosphor name.
        factory: makes the screen for a connection; ``lazy`` keeps the import until then.
        in_rail: whether the navigation rail shows it (a detail page is reached from its list).
        shortcut: an extra key sequence; the first nine of the rail get Ctrl+1…9 by themselves.
        parent: the route name whose rail item is lit while this one is shown.
        requires: "" or a capability of the connection: "jetstream", "system", "clients", "memphis".
        scope: "connection" for a screen of a connection, "window" for the Home tab only, "any" for both.
        at_bottom: the rail shows it at its lower end.
    """

    route_name: str
    title: str
    icon: str
    factory: Callable[[ScreenContext], Screen]
    in_rail: bool = True
    shortcut: str = ""
    parent: str = ""
    requires: str = ""
    scope: str = "connection"
    at_bottom: bool = False


@dataclass(frozen=True)
class lazy:
    """A factory that imports ``module:ClassName`` below ``ui.screens`` when the screen is first visited."""

    path: str

    def __call__(self, context: ScreenContext) -> Screen:
        """Make the screen."""
        screen: Screen = getattr(import_module(self.module), self.path.split(":")[1])(context)
        return screen

    @property
    def module(self) -> str:
        """The full name of the module."""
        return f"memphis_desktop.ui.screens.{self.path.split(':')[0]}"


# A line: ScreenEntry("stations", "Stations", "stack", lazy("stations:StationsScreen"), requires="jetstream")
SCREENS: list[ScreenEntry] = [
    ScreenEntry("home", tr("Home"), "house", lazy("home:HomeScreen"), scope="window"),
    ScreenEntry(
        "file",
        tr("File"),
        "file",
        lazy("message_file:MessageFileScreen"),
        in_rail=False,
        parent="home",
        scope="any",
    ),
    ScreenEntry("overview", tr("Overview"), "gauge", lazy("overview:OverviewScreen")),
    ScreenEntry("stations", tr("Stations"), "stack", lazy("stations:StationsScreen"), requires="jetstream"),
    ScreenEntry(
        "station",
        tr("Station"),
        "stack",
        lazy("station_detail:StationDetailScreen"),
        in_rail=False,
        parent="stations",
        requires="jetstream",
    ),
    ScreenEntry(
        "consumers", tr("Consumers"), "users-three", lazy("consumers:ConsumersScreen"), requires="jetstream"
    ),
    ScreenEntry(
        "consumer",
        tr("Consumer"),
        "users-three",
        lazy("consumers:ConsumerScreen"),
        in_rail=False,
        parent="consumers",
        requires="jetstream",
    ),
    ScreenEntry(
        "messages",
        tr("Messages"),
        "envelope-simple",
        lazy("messages:MessagesScreen"),
        in_rail=False,
        parent="stations",
        requires="jetstream",
    ),
    ScreenEntry("live", tr("Live"), "broadcast", lazy("live:LiveScreen")),
    ScreenEntry(
        "dead_letters",
        tr("Dead letters"),
        "warning-octagon",
        lazy("dead_letters:DeadLettersScreen"),
        requires="jetstream",
    ),
    ScreenEntry("replay", tr("Replay"), "repeat", lazy("replay:ReplayScreen"), requires="jetstream"),
    ScreenEntry("key_value", tr("Key-value"), "key", lazy("key_value:BucketsScreen"), requires="jetstream"),
    ScreenEntry(
        "bucket",
        tr("Bucket"),
        "key",
        lazy("key_value:BucketScreen"),
        in_rail=False,
        parent="key_value",
        requires="jetstream",
    ),
    ScreenEntry("objects", tr("Objects"), "package", lazy("objects:ObjectsScreen"), requires="jetstream"),
    ScreenEntry(
        "object_bucket",
        tr("Object bucket"),
        "package",
        lazy("objects:ObjectBucketScreen"),
        in_rail=False,
        parent="objects",
        requires="jetstream",
    ),
    ScreenEntry("cluster", tr("Cluster"), "tree-structure", lazy("cluster:ClusterScreen")),
    ScreenEntry("clients", tr("Clients"), "desktop", lazy("clients:ClientsScreen"), requires="clients"),
    ScreenEntry("account", tr("Account"), "identification-badge", lazy("account:AccountScreen")),
    ScreenEntry("services", tr("Services"), "handshake", lazy("services:ServicesScreen")),
    ScreenEntry(
        "service",
        tr("Service"),
        "handshake",
        lazy("services:ServiceScreen"),
        in_rail=False,
        parent="services",
    ),
    ScreenEntry("decoders", tr("Decoders"), "brackets-curly", lazy("decoders:DecodersScreen")),
    ScreenEntry(
        "memphis_station",
        tr("Station"),
        "stack",
        lazy("memphis.station:MemphisStationScreen"),
        in_rail=False,
        parent="stations",
        requires="memphis",
    ),
    ScreenEntry(
        "schemas",
        tr("Schemaverse"),
        "ruler",
        lazy("memphis.schemas:SchemasScreen"),
        requires="memphis",
    ),
    ScreenEntry(
        "memphis_users",
        tr("Users"),
        "identification-card",
        lazy("memphis.users:UsersScreen"),
        requires="memphis",
    ),
    ScreenEntry(
        "memphis_audit", tr("Audit"), "clipboard-text", lazy("memphis.audit:AuditScreen"), requires="memphis"
    ),
    ScreenEntry("alerts", tr("Alerts"), "bell", lazy("alerts:AlertsScreen"), scope="any", at_bottom=True),
    ScreenEntry(
        "activity",
        tr("Activity"),
        "clock-counter-clockwise",
        lazy("activity:ActivityScreen"),
        scope="any",
        at_bottom=True,
    ),
    ScreenEntry(
        "settings", tr("Settings"), "gear-six", lazy("settings:SettingsScreen"), scope="any", at_bottom=True
    ),
]


def find(route_name: str) -> ScreenEntry | None:
    """The entry of a route name."""
    return next((entry for entry in SCREENS if entry.route_name == route_name), None)


def modules() -> list[str]:
    """The modules of all screens, for loading them before they are visited."""
    return list(dict.fromkeys(entry.factory.module for entry in SCREENS if isinstance(entry.factory, lazy)))


def first_route() -> str:
    """Where a connection that was just opened is shown."""
    names = [entry.route_name for entry in SCREENS if entry.scope == "connection" and entry.in_rail]
    return "overview" if "overview" in names or not names else names[0]
