"""The figures for people and for programs, with the machine they were measured on."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memphis_desktop import __version__
from memphis_desktop.bench.rows import RATE
from memphis_desktop.bench.runner import Measured, Outcome, Settings, percentiles
from memphis_desktop.server_process import nats_server_program

GENERATOR_LIMIT = 0.9
"""A load generator busier than this may have been the limit itself."""


def now() -> str:
    """Return the date and time, UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def machine(folder: Path) -> dict[str, Any]:
    """Describe this machine and the disk under `folder`."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "memphis_desktop": __version__,
        "nats_server": _nats_server_version(),
        "disk_sync_us": {name: round(value) for name, value in disk_sync(folder).items()},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _nats_server_version() -> str | None:
    program = nats_server_program()
    if program is None:
        return None
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.strip().removeprefix("nats-server: ") or None


def disk_sync(folder: Path, times: int = 200) -> dict[str, float]:
    """Return percentiles, in µs, of appending 4 KiB to a file and syncing it: what durability costs here."""
    sync = getattr(os, "fdatasync", os.fsync)
    taken = []
    with tempfile.TemporaryFile(dir=folder) as file:
        handle = file.fileno()
        for _ in range(times):
            os.write(handle, b"x" * 4096)
            start = time.perf_counter()
            sync(handle)
            taken.append((time.perf_counter() - start) * 1e6)
    return percentiles(taken)


def as_json(outcomes: Sequence[Outcome], settings: Settings, about: dict[str, Any]) -> dict[str, Any]:
    """Return everything measured as one JSON document."""
    return {
        "date": now(),
        "machine": about,
        "settings": {"rounds": settings.rounds, "seconds": settings.seconds, "pinned": settings.pin},
        "rows": [
            {
                "name": outcome.row.name,
                "title": outcome.row.title,
                "unit": outcome.row.unit,
                "left": _side(outcome.left),
                "right": None if outcome.right is None else _side(outcome.right),
                "ratio": None if outcome.ratio is None else round(outcome.ratio, 3),
                "goal": outcome.row.goal,
                "met": None if outcome.ratio is None else outcome.row.met(outcome.ratio),
            }
            for outcome in outcomes
        ],
    }


def _side(measured: Measured) -> dict[str, Any]:
    return {
        "server": measured.side.server,
        "median": round(measured.median, 1),
        "rounds": [round(value, 1) for value in measured.values],
        "load_cpu": measured.load_cpu,
        **({"latency_us": measured.percentiles} if measured.percentiles else {}),
    }


def as_table(outcomes: Sequence[Outcome]) -> str:
    """Return the comparisons as a Markdown table."""
    header = ("Work (128 B unless said)", "Ours", "Against", "Ratio", "Promised", "Kept")
    lines = [header, tuple("---" for _ in header)]
    for outcome in outcomes:
        row, ratio = outcome.row, outcome.ratio
        bound = f"≥ {row.goal:g}" if row.unit == RATE else f"≤ {row.goal:g}"
        lines.append(
            (
                row.title,
                _figure(outcome.left, row.unit),
                "-" if outcome.right is None else _figure(outcome.right, row.unit),
                "-" if ratio is None else f"{ratio:.2f}",
                bound,
                "-" if ratio is None else ("yes" if row.met(ratio) else "no"),
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(_table_line(line, widths) for line in lines)


def _table_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"


def _figure(measured: Measured, unit: str) -> str:
    """Return for example ``340,123 messages/s (ours, durable)``; a star marks a generator at its limit."""
    star = "*" if measured.load_cpu > GENERATOR_LIMIT else ""
    return f"{measured.median:,.0f}{star} {unit} ({measured.side.server})"
