"""Where the program keeps its things: the usual folders of the system, or all under ``MEMPHIS_DESKTOP_HOME``.

The variable serves tests, portable copies and second profiles: two programs with different homes share
nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

import appdirs

HOME_VARIABLE = "MEMPHIS_DESKTOP_HOME"
SETTINGS_FILE = "settings.json"  # in the folder for settings
_NAME = "memphis-desktop"


def _folder(kind: str, standard: str) -> Path:
    home = os.environ.get(HOME_VARIABLE)
    folder = Path(home).expanduser().absolute() / kind if home else Path(standard)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def config_folder() -> Path:
    """Return the folder for settings: connection profiles, window state. Made when missing."""
    return _folder("config", appdirs.user_config_dir(_NAME, appauthor=False))


def data_folder() -> Path:
    """Return the folder for data: the local broker's store, recorded history. Made when missing."""
    return _folder("data", appdirs.user_data_dir(_NAME, appauthor=False))


def log_folder() -> Path:
    """Return the folder for the program's own log files. Made when missing."""
    return _folder("log", appdirs.user_log_dir(_NAME, appauthor=False))
