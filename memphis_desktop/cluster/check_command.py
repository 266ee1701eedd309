"""``memphis-desktop check``: the staged test of a connection on the command line."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from memphis_desktop.cluster.diagnosis import FAILED, PASSED, SKIPPED, Diagnosis, Step
from memphis_desktop.cluster.profiles import ConnectionProfile

_MARKS = {PASSED: "ok", FAILED: "FAILED", SKIPPED: "–", "pending": "not tried"}


def run(profile: ConnectionProfile, *, require: Sequence[str], as_json: bool, quiet: bool) -> int:
    """Go through the steps and print them; the exit code is 0 when everything that is used works.

    Args:
        profile: The connection.
        require: Keys of steps that must not be left out (``system``, ``memphis``).
        as_json: Print JSON instead.
        quiet: Print only what failed, on standard error.
    """
    diagnosis = Diagnosis(profile)
    steps = asyncio.run(diagnosis.run())
    missing = [step for step in steps if step.key in require and step.state == SKIPPED]
    good = diagnosis.passed and not missing
    if as_json:
        print(json.dumps({"ok": good, "steps": [asdict(step) for step in steps]}, indent=2))
    elif quiet:
        for step in steps:
            if step.state == FAILED or step in missing:
                print(f"{step.title}: {step.detail}", file=sys.stderr)
    else:
        for step in steps:
            print(_line(step, step in missing))
    return 0 if good else 1


def _line(step: Step, missing: bool) -> str:
    mark = "MISSING" if missing else _MARKS.get(step.state, step.state)
    took = f"{step.seconds * 1000:6.0f} ms" if step.seconds is not None else " " * 9
    return f"{mark:9} {step.title:20} {took}  {step.detail}".rstrip()
