"""Run a client library's own tests against our broker and against nats-server, and compare.

Such suites start a program called ``nats-server``. This puts a folder with a link of that name first in the
path, once to the real one and once to ours, and reads the JUnit reports::

    python -m tests.clients.run_suite --in ../nats.py/nats -- \\
        python -m pytest tests -q --junitxml={report}
    python -m tests.clients.run_suite --in ../nats.js -- \\
        deno test -A --no-check --junit-path={report} jetstream/tests

``{report}`` stands for the file that the suite has to write. With ``--alone`` (Linux, as root) each run has a
network of its own, so that suites with fixed ports disturb nobody. Tests that need a cluster, leaf nodes or
the internet fail on ours or on both; what counts is printed: of the tests that pass on nats-server, how many
pass on ours. A test that failed on ours alone may be tried again with the options of the suite's own runner:
many wait for fixed times, and a busy machine is enough to miss them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from memphis_desktop.server_process import nats_server_command

OURS, THEIRS = "memphis-desktop", "nats-server"


def program(name: str) -> Path:
    """Return the program to which the link leads."""
    if name == THEIRS:
        return Path(nats_server_command()[0])
    return Path(sys.executable).with_name("memphis-desktop")


def run(name: str, command: list[str], folder: Path, work: Path, *, alone: bool) -> dict[str, bool]:
    """Run the suite with one of the servers; return whether each test passed (skipped ones are left out)."""
    shim = work / name
    shim.mkdir()
    (shim / "nats-server").symlink_to(program(name))
    report = work / f"{name}.xml"
    words = [word.replace("{report}", str(report)) for word in command]
    if alone:
        words = ["unshare", "-n", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", *words]
    temporary = work / f"{name}-tmp"
    temporary.mkdir()
    environment = os.environ | {
        "PATH": f"{shim}{os.pathsep}{os.environ['PATH']}",
        "TMPDIR": str(temporary),
    }
    print(f"--- {name}: {' '.join(words)}", flush=True)
    subprocess.run(words, cwd=folder, env=environment, check=False)
    if not report.is_file():
        raise SystemExit(f"run_suite: the suite has written no report for {name}")
    return outcomes(report)


def outcomes(report: Path) -> dict[str, bool]:
    """Return whether each test of a JUnit report passed."""
    found: dict[str, bool] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        if case.find("skipped") is None:
            failed = case.find("failure") is not None or case.find("error") is not None
            found[f"{case.get('classname', '')}::{case.get('name', '')}"] = not failed
    return found


def compare(theirs: dict[str, bool], ours: dict[str, bool]) -> float:
    """Print what passes there and not here; return the part that does, 1 when nothing passes there."""
    passed = [name for name, good in theirs.items() if good]
    missing = [name for name in passed if not ours.get(name, False)]
    for name in missing:
        print(f"only on {THEIRS}: {name}")
    for name in [name for name, good in ours.items() if good and not theirs.get(name, False)]:
        print(f"only on {OURS}: {name}")
    ratio = 1 - len(missing) / len(passed) if passed else 1.0
    print(f"{len(passed) - len(missing)} of {len(passed)} tests that pass on {THEIRS}: {ratio:.1%}")
    return ratio


def main() -> int:
    """Run both and compare; the exit code is 0 when at least 98 % agree."""
    parser = argparse.ArgumentParser(description="Run a client's tests against both servers and compare.")
    parser.add_argument("--in", dest="folder", type=Path, required=True, help="the suite's folder")
    parser.add_argument("--alone", action="store_true", help="a network namespace for each run")
    parser.add_argument("command", nargs="+", help="behind --, with {report} for the JUnit file")
    options = parser.parse_args()
    if not any("{report}" in word for word in options.command):
        parser.error("the command has no {report}")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        results = [
            run(name, options.command, options.folder, work, alone=options.alone) for name in (THEIRS, OURS)
        ]
    return 0 if compare(*results) >= 0.98 else 1


if __name__ == "__main__":
    raise SystemExit(main())
