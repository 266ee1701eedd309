#!/usr/bin/env python3
"""Write ``docs/command-line.md`` from what each command says of itself: ``python docs/write_reference.py``.

A test compares the file with what this would write, so that it cannot fall behind.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from memphis_desktop.cli import COMMANDS
from memphis_desktop.server_process import program_command

PAGE = Path(__file__).with_name("command-line.md")

HEAD = """# Command line

`memphis-desktop` without a command opens the window; each command below does one thing without it.

| Exit code | |
| --- | --- |
| 0 | fine |
| 1 | a failure, told in one line on standard error |
| 2 | wrong usage |
| 130 | interrupted |

`MEMPHIS_DESKTOP_HOME` names a folder for settings and data instead of the system's usual ones.
Without a display on Linux the broker runs with a live view in the terminal instead of the window.
"""


def help_of(*command: str) -> str:
    """Return what ``--help`` of a command prints, eighty columns wide."""
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    done = subprocess.run(
        program_command(*command, "--help"), env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.rstrip()


def page() -> str:
    """Return the whole page."""
    parts = [HEAD, f"## The window\n\n```text\n{help_of()}\n```\n"]
    for name in sorted(COMMANDS):
        parts.append(f"## {name}\n\n```text\n{help_of(name)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.exit(0)
