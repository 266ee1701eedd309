"""The names under which the program's own settings are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memphis_desktop.ui.settings import Settings

THEME = "look/theme"
DENSITY = "look/density"
TEXT = "look/text"  # per cent
ACCENT = "look/accent"
TOLD_APART = "look/told_apart"  # colours for colour-blind eyes
SCALE = "look/scale"  # per cent, from the next start
LANGUAGE = "language"  # a code, from the next start; without it the system's
RESTORE_TABS = "start/restore_tabs"
START_BROKER = "start/local_broker"
BROKER_DOORS = "broker/doors"  # who can come in besides NATS clients
CHECK_UPDATES = "start/check_updates"  # off unless the user turns it on
POLL_BUDGET = "connections/poll_budget"  # requests a second, of new connections and the local broker
PROXY = "connections/proxy"  # the address that new connections begin with
HISTORY_DAYS = "history/days"
HISTORY_MEBIBYTES = "history/mebibytes"  # of one connection
LIVE_ROWS = "live/rows"  # messages kept while one follows what comes
LIVE_MEBIBYTES = "live/mebibytes"

USUAL_POLL_BUDGET = 20.0
USUAL_HISTORY_DAYS, USUAL_HISTORY_MEBIBYTES = 30, 200
USUAL_LIVE_ROWS, USUAL_LIVE_MEBIBYTES = 50_000, 64


def poll_budget(store: Settings) -> float:
    """Requests a second of connections for which nobody chose otherwise."""
    return _number(store, POLL_BUDGET, USUAL_POLL_BUDGET, 1, 200)


def history_keep(store: Settings) -> tuple[float, int]:
    """How long figures are kept, in seconds, and how many bytes of them for one connection."""
    days = _number(store, HISTORY_DAYS, USUAL_HISTORY_DAYS, 1, USUAL_HISTORY_DAYS)
    mebibytes = _number(store, HISTORY_MEBIBYTES, USUAL_HISTORY_MEBIBYTES, 10, 10_000)
    return days * 86400.0, round(mebibytes) << 20


def proxy(store: Settings) -> str:
    """The address of the proxy that new connections begin with; empty for none."""
    found = store.get(PROXY, "")
    return found if isinstance(found, str) else ""


def live_limits(store: Settings) -> tuple[int, int]:
    """How many messages are kept while one follows what comes, and how many bytes of them."""
    rows = _number(store, LIVE_ROWS, USUAL_LIVE_ROWS, 1_000, 1_000_000)
    mebibytes = _number(store, LIVE_MEBIBYTES, USUAL_LIVE_MEBIBYTES, 8, 1_024)
    return round(rows), round(mebibytes) << 20


def _number(store: Settings, key: str, usual: float, least: float, most: float) -> float:
    """A number as the settings have it; what another program wrote there is no reason to fail."""
    value = store.get(key, usual)
    return min(max(float(value), least), most) if isinstance(value, (int, float)) else usual
