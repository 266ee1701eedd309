"""The names under which the program's own settings are kept."""

from __future__ import annotations

THEME = "look/theme"
DENSITY = "look/density"
SCALE = "look/scale"  # per cent, from the next start
RESTORE_TABS = "start/restore_tabs"
START_BROKER = "start/local_broker"
BROKER_DOORS = "broker/doors"  # who can come in besides NATS clients
CHECK_UPDATES = "start/check_updates"  # off unless the user turns it on
