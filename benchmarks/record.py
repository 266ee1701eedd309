#!/usr/bin/env python3
"""Measure and write down: ``benchmarks/results.json``, and from it ``docs/performance.md``.

    python benchmarks/record.py                    # everything, in about half an hour
    python benchmarks/record.py browser window     # some parts; the others stay as they were measured

On a machine that has nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memphis_desktop import folders
from memphis_desktop.bench import report
from memphis_desktop.bench.console import MESSAGES, measure_console
from memphis_desktop.bench.desktop import measure_desktop
from memphis_desktop.bench.front_door import measure_front_door
from memphis_desktop.bench.rows import ROWS
from memphis_desktop.bench.runner import Settings, measure
from memphis_desktop.bench.window import measure_window

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results.json"
DOCUMENT = ROOT / "docs" / "performance.md"

Figures = tuple[str, dict[str, Any]]  # a Markdown table, and the same as JSON


@dataclass(frozen=True)
class Part:
    """One measurement: how its chapter begins, what repeats it, and how it is made."""

    title: str
    words: str
    command: str
    measure: Callable[[Settings], Figures]


def tell(text: str) -> None:
    """Say what is being done."""
    print(text, file=sys.stderr, flush=True)


def _server(settings: Settings) -> Figures:
    outcomes = measure(ROWS, settings, progress=tell)
    return report.as_table(outcomes), report.as_json(outcomes, settings, report.machine(_folder(settings)))


def _door(settings: Settings) -> Figures:
    outcomes = measure_front_door([], settings, progress=tell)
    return report.as_table(outcomes), report.as_json(outcomes, settings, report.machine(_folder(settings)))


def _window(settings: Settings) -> Figures:
    figures = measure_window(30.0)
    return figures.as_table(), figures.as_json()


def _browser(settings: Settings) -> Figures:
    figures = measure_console(MESSAGES, progress=tell)
    return figures.as_table(), figures.as_json()


def _desktop(settings: Settings) -> Figures:
    figures = measure_desktop(progress=tell)
    return figures.as_table(), figures.as_json()


def _folder(settings: Settings) -> Path:
    return settings.folder or Path(tempfile.gettempdir())


PARTS = {
    "server": Part(
        "Beside nats-server",
        "The same load, from the same generator, on both servers in turns; the median of the rounds. Ours "
        "acknowledges a message when it is on disk, unless the row says otherwise; nats-server by default "
        'acknowledges first and syncs within two minutes ("lazy sync"). Rates must be at least, latencies at '
        "most, the ratio promised.",
        "memphis-desktop bench --against nats-server",
        _server,
    ),
    "window": Part(
        "The window and its broker share one loop",
        "A client outside measures round trips of PING while another publishes 128-byte messages at full "
        "speed into the broker inside an open window (drawn off-screen) with the sample stations.",
        "memphis-desktop bench --window --seconds 30",
        _window,
    ),
    "browser": Part(
        "The message browser on a large station",
        "A station in the broker inside the window (drawn off-screen), and what a user does with it: open a "
        "place in the middle, jump anywhere, search everything, follow the end. A heartbeat on the loop "
        "they share tells how long it did not answer.",
        "memphis-desktop bench --console",
        _browser,
    ),
    "desktop": Part(
        "Start, memory, long lists, many curves",
        "Each in a process of its own, drawn off-screen.",
        "memphis-desktop bench --desktop",
        _desktop,
    ),
    "door": Part(
        "Through the front door",
        "The same load on one nats-server, directly and through the front door.",
        "memphis-desktop bench --front-door",
        _door,
    ),
}

HEAD = """# Performance

Every table below was printed by the command under it and written here by `python benchmarks/record.py`; the
figures are in `benchmarks/results.json`. How it is measured is told in `benchmarks/README.md`.
"""


def about_line(about: dict[str, Any]) -> str:
    """What it was measured on."""
    return (
        f"{about['system']}, {about['processor']}, {about['cores']} cores, Python {about['python']}, "
        f"nats-server {about['nats_server']}; syncing 4 KiB to this disk takes "
        f"{about['disk_sync_us']['p50']} µs in the median"
    )


def document(results: dict[str, Any]) -> str:
    """Return the text of the document."""
    chapters = [HEAD]
    for name, part in PARTS.items():
        chapters.append(f"## {part.title}\n\n{part.words}\n")
        found = results.get(name)
        if found is None:
            chapters.append("Not measured yet.\n")
        else:
            chapters.append(f"{found['table']}\n")
            chapters.append(f"Measured {found['date'][:10]}: {about_line(found['machine'])}.\n")
        chapters.append(f"```sh\n{part.command}\n```\n")
    return "\n".join(chapters)


def elsewhere() -> str:
    """The part of the present document that another benchmark has written; see `benchmarks.cluster_scale`."""
    _, mark, rest = DOCUMENT.read_text(encoding="utf-8").partition("\n## A cluster of thousands")
    return f"{mark}{rest.partition(chr(10) + '## ')[0].rstrip()}\n" if mark else ""


def main() -> int:
    """Carry out the command line."""
    parser = argparse.ArgumentParser(description="Measure everything and write it down.")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="these only")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    base = folders.data_folder() / "bench"
    base.mkdir(parents=True, exist_ok=True)
    for name in options.parts or PARTS:
        tell(f"-- {PARTS[name].title}")
        with tempfile.TemporaryDirectory(dir=base) as folder:
            settings = Settings(options.rounds, options.seconds, against=True, folder=Path(folder))
            about = report.machine(_folder(settings))
            table, figures = PARTS[name].measure(settings)
        results[name] = {"date": report.now(), "machine": about, "table": table, "figures": figures}
        print(table, flush=True)
        RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        DOCUMENT.write_text(document(results) + elsewhere(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
