"""Print what the program needs without its window, taken from the lock file with versions and hashes.

    python headless_requirements.py pyproject.toml requirements.lock > headless.lock

The window's libraries are left out, and whatever only they or the development tools brought in. Standard
library only: it runs in a bare Python image.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

# What only the window (and the search and graphs in it) imports.
WINDOW_ONLY = {"pyside6-essentials", "qasync", "pyqtgraph", "qtawesome", "numpy", "keyring"}

_ENTRY = re.compile(r"^([a-z0-9][a-z0-9._-]*)==", re.IGNORECASE)
_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]*", re.IGNORECASE)
_VIA = re.compile(r"^\s+#\s+(?:via\s+)?(\S+)")


def normal(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(pyproject: str) -> set[str]:
    """Return the project's own requirements that the program without a window has."""
    listed = tomllib.loads(pyproject)["project"]["dependencies"]
    names = {normal(match[0]) for match in map(_NAME.match, listed) if match is not None}
    missing = WINDOW_ONLY - names
    if missing:
        raise SystemExit(f"no longer required by the project: {', '.join(sorted(missing))}")
    return names - WINDOW_ONLY


def entries(lock: str) -> list[tuple[str, set[str], str]]:
    """Return the lock's entries: name, who requires it, and its text."""
    blocks: list[list[str]] = []
    for line in lock.splitlines():
        if _ENTRY.match(line):
            blocks.append([])
        if blocks:
            blocks[-1].append(line)
    found = []
    for block in blocks:
        match = _ENTRY.match(block[0])
        assert match is not None
        via = {normal(one[1]) for one in map(_VIA.match, block) if one is not None and one[1] != "via"}
        found.append((normal(match[1]), via, "\n".join(block)))
    return found


def headless(pyproject: str, lock: str) -> str:
    """Return the part of the lock that is needed."""
    roots = wanted(pyproject)
    listed = entries(lock)
    kept = set(roots)
    while True:
        more = {name for name, via, _ in listed if via & kept} - kept - WINDOW_ONLY
        if not more:
            break
        kept |= more
    absent = roots - {name for name, _, _ in listed}
    if absent:
        raise SystemExit(f"not in the lock file: {', '.join(sorted(absent))}")
    return "\n".join(text for name, _, text in listed if name in kept) + "\n"


if __name__ == "__main__":
    sys.stdout.write(headless(*(Path(path).read_text(encoding="utf-8") for path in sys.argv[1:3])))
