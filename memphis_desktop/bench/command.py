"""``memphis-desktop bench``: measure, and print the table or the JSON document."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from memphis_desktop import folders
from memphis_desktop.bench import report
from memphis_desktop.bench.console import ConsoleFigures, measure_console
from memphis_desktop.bench.desktop import DesktopFigures, measure_desktop
from memphis_desktop.bench.front_door import measure_front_door
from memphis_desktop.bench.rows import ROWS
from memphis_desktop.bench.runner import Settings, measure
from memphis_desktop.bench.window import WindowFigures, measure_window
from memphis_desktop.errors import Failure
from memphis_desktop.server_process import nats_server_command


def run(settings: Settings, only: list[str], *, as_json: bool) -> int:
    """Carry out the command.

    Args:
        settings: How to measure. Without a folder the program's own data folder is used, because the broker
            keeps its data there and a temporary folder may lie in memory.
        only: Names of rows, or nothing for all.
        as_json: Print JSON instead of the table.
    """
    unknown = set(only) - {row.name for row in ROWS}
    if unknown:
        names = ", ".join(row.name for row in ROWS)
        raise Failure(f"unknown work {sorted(unknown)[0]!r}; there are: {names}")
    if settings.against:
        nats_server_command()  # fails at once, not after a minute of measuring ours
    folder = settings.folder or folders.data_folder() / "bench"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        about = report.machine(folder)
    except OSError as error:
        raise Failure(f"{error.filename or folder}: {error.strerror}") from None
    settings = Settings(settings.rounds, settings.seconds, settings.against, folder, settings.pin)
    rows = [row for row in ROWS if not only or row.name in only]
    outcomes = measure(rows, settings, progress=_tell)
    if as_json:
        json.dump(report.as_json(outcomes, settings, about), sys.stdout, indent=2, ensure_ascii=False)
        print()
    else:
        print(_about_line(about))
        print()
        print(report.as_table(outcomes))
    return 0


def run_front_door(settings: Settings, only: list[str], *, as_json: bool) -> int:
    """Measure what the front door costs, on a nats-server of its own; prints a table or JSON."""
    folder = settings.folder or Path(tempfile.gettempdir())
    outcomes = measure_front_door(only, settings, progress=_tell)
    about = report.machine(folder)
    if as_json:
        json.dump(report.as_json(outcomes, settings, about), sys.stdout, indent=2, ensure_ascii=False)
        print()
    else:
        print(_about_line(about))
        print()
        print(report.as_table(outcomes))
    return 0


def run_window(seconds: float, *, as_json: bool) -> int:
    """Measure how the window and its broker get on; prints a table or JSON."""
    _print(measure_window(seconds), Path(tempfile.gettempdir()), as_json)
    return 0


def run_console(messages: int, folder: Path | None, *, as_json: bool) -> int:
    """Measure the message browser on a station of so many messages; prints a table or JSON."""
    _print(measure_console(messages, folder, _tell), folder, as_json)
    return 0


def run_desktop(folder: Path | None, *, as_json: bool) -> int:
    """Measure what the window takes; prints a table or JSON."""
    _print(measure_desktop(folder=folder, progress=_tell), folder, as_json)
    return 0


def _print(
    figures: WindowFigures | ConsoleFigures | DesktopFigures, folder: Path | None, as_json: bool
) -> None:
    if as_json:
        about = report.machine(folder or folders.data_folder())
        json.dump({"date": report.now(), "machine": about, **figures.as_json()}, sys.stdout, indent=2)
        print()
    else:
        print(figures.as_table())


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _about_line(about: dict[str, object]) -> str:
    sync = about["disk_sync_us"]
    assert isinstance(sync, dict)
    return (
        f"{about['system']}, {about['processor']}, {about['cores']} cores, Python {about['python']}, "
        f"nats-server {about['nats_server'] or 'not found'}; disk sync {sync['p50']} µs (median)"
    )
