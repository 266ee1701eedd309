"""Programs at work while what they work with is killed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

Events = dict[int, Callable[[], object]]


def run_under_fire(command: list[str], events: Events) -> dict[str, Any]:
    """Run a program; at each number of acknowledged messages (a multiple of 50) do what `events` says.

    Returns:
        What it tells at its end.
    """
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                word, _, number = line.partition(" ")
                if word == "progress":
                    events.pop(int(number), lambda: None)()
                else:
                    found: dict[str, Any] = json.loads(line)
                    assert not events
                    return found
        finally:
            process.kill()
    raise AssertionError("the program ended without a word")
