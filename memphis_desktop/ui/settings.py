"""What the user chose and what the program remembers of the window: one small JSON file.

Everything here may be lost without harm; profiles and secrets live elsewhere.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

log = logging.getLogger(__name__)

_WRITE_DELAY_MS = 500


class Settings(QObject):
    """Keys to JSON values. Changes are written together, shortly after, by renaming a new file into place."""

    changed = Signal(str)  # the key

    def __init__(self, path: Path | None = None) -> None:
        """Read ``path``; without one nothing outlives the object."""
        super().__init__()
        self.path = path
        self._values: dict[str, Any] = _read(path) if path else {}
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_WRITE_DELAY_MS)
        self._timer.timeout.connect(self.flush)

    def get(self, key: str, default: Any = None) -> Any:
        """The value under ``key``."""
        return self._values.get(key, default)

    def set(self, key: str, value: Any) -> None:
        """Remember a JSON value; None forgets the key."""
        if value is None:
            if self._values.pop(key, None) is None:
                return
        elif key in self._values and self._values[key] == value:
            return
        else:
            self._values[key] = value
        if self.path is not None:
            self._timer.start()
        self.changed.emit(key)

    def names(self) -> list[str]:
        """The keys that have a value."""
        return sorted(self._values)

    def flush(self) -> None:
        """Write now. A folder that cannot be written is logged, for these are only conveniences."""
        self._timer.stop()
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=".settings-")
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(self._values, file, indent=1, sort_keys=True)
            os.replace(name, self.path)
        except OSError as error:
            log.warning("settings were not saved: %s", error)


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.warning("settings in %s could not be read and start afresh: %s", path, error)
        return {}
    return values if isinstance(values, dict) else {}


_current: Settings | None = None


def current() -> Settings:
    """The program's settings; kept in memory only until ``use`` names a file."""
    global _current
    if _current is None:
        _current = Settings()
    return _current


def use(settings: Settings) -> None:
    """Make ``settings`` the program's."""
    global _current
    _current = settings
