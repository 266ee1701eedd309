#!/usr/bin/env python3
"""Measure everything and write it down: ``docs/performance.md`` and ``benchmarks/results.json``.

    python benchmarks/record.py [--rounds 3] [--seconds 3] [--window-seconds 30] [--messages 10000000]

On a machine that has nothing else to do; takes about twenty minutes and five gigabytes of disk.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from memphis_desktop import folders
from memphis_desktop.bench import report
from memphis_desktop.bench.console import MESSAGES, ConsoleFigures, measure_console
from memphis_desktop.bench.rows import ROWS
from memphis_desktop.bench.runner import Outcome, Settings, measure
from memphis_desktop.bench.window import WindowFigures, measure_window

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results.json"
DOCUMENT = ROOT / "docs" / "performance.md"

TEXT = """# Performance

Measured on {date} with `python benchmarks/record.py`, which wrote this file and `benchmarks/results.json`.

Machine: {system}, {processor}, {cores} cores, Python {python}. Memphis Desktop {memphis_desktop} beside
nats-server {nats_server}. Syncing 4 KiB to this disk takes {sync} µs in the median: that is what durability
costs at least.

## Beside nats-server

The same load, from the same generator, on both servers in turns; the median of {rounds} rounds of
{seconds:g} seconds each. Ours acknowledges a message when it is on disk, unless the row says otherwise;
nats-server in its default acknowledges first and syncs within two minutes ("lazy sync").
Rates must be at least, latencies at most, the ratio promised.

{table}

## The window and its broker share one loop

A client outside measures round trips of PING while another publishes 128-byte messages at full speed into the
broker inside an open window (drawn off-screen) with the sample stations.

{window}

## The message browser on a large station

A station in the broker inside the window (drawn off-screen), and what a user does with it: open a place in
the middle, jump anywhere, search everything, follow the end. A heartbeat on the event loop they share tells
how long it did not answer.

{console}

## Repeat it

```sh
memphis-desktop bench --against nats-server            # the first table
memphis-desktop bench --window --seconds 30            # the second
memphis-desktop bench --console                        # the third
python benchmarks/record.py                            # all, and writes this file
```

How it is measured is told in `benchmarks/README.md`.
"""


def document(
    outcomes: list[Outcome],
    figures: WindowFigures,
    console: ConsoleFigures,
    settings: Settings,
    about: dict[str, Any],
) -> str:
    """Return the text of the document."""
    return TEXT.format(
        date=report.now()[:10],
        table=report.as_table(outcomes),
        window=figures.as_table(),
        console=console.as_table(),
        rounds=settings.rounds,
        seconds=settings.seconds,
        sync=about["disk_sync_us"]["p50"],
        **about,
    )


def elsewhere() -> str:
    """The part of the present document that another benchmark has written; see `benchmarks.cluster_scale`."""
    _, mark, rest = DOCUMENT.read_text(encoding="utf-8").partition("\n## A cluster of thousands")
    return f"{mark}{rest.partition(chr(10) + '## ')[0].rstrip()}\n" if mark else ""


def main() -> int:
    """Carry out the command line."""
    parser = argparse.ArgumentParser(description="Measure everything and write it down.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--window-seconds", type=float, default=30.0)
    parser.add_argument("--messages", type=int, default=MESSAGES, help="in the browser's station")
    options = parser.parse_args()
    base = folders.data_folder() / "bench"
    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=base) as folder:
        settings = Settings(options.rounds, options.seconds, against=True, folder=Path(folder))
        about = report.machine(settings.folder or base)
        outcomes = measure(ROWS, settings, progress=lambda text: print(text, file=sys.stderr, flush=True))
    print("the window and its broker …", file=sys.stderr, flush=True)
    figures = measure_window(options.window_seconds)
    console = measure_console(
        options.messages, progress=lambda text: print(text, file=sys.stderr, flush=True)
    )
    results = {
        **report.as_json(outcomes, settings, about),
        "window": figures.as_json(),
        "console": console.as_json(),
    }
    RESULTS.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    text = document(outcomes, figures, console, settings, about) + elsewhere()
    DOCUMENT.write_text(text, encoding="utf-8")
    print(report.as_table(outcomes))
    print(figures.as_table())
    print(console.as_table())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
