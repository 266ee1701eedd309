"""What the message browser takes on a station of ten million messages, beside the broker in its own process.

A load process fills the station of a headless broker; then the program with its window opens that data, in
a process of its own, and does what a user does: open a place, jump around, search, follow the end. A
heartbeat on the window's event loop tells how long it did not answer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from memphis_desktop import folders
from memphis_desktop.bench.runner import run_in_home
from memphis_desktop.bench.stall_causes import Stall
from memphis_desktop.server_process import ServerProcess, broker_command

MESSAGES = 10_000_000
SIZE = 200
OPEN_LIMIT_MS = 150.0
STALL_LIMIT_MS = 50.0
TEXT_GOAL, PATH_GOAL = 200_000, 60_000  # messages a second
TAIL_ROWS, TAIL_BYTES = 50_000, 64 << 20


@dataclass(frozen=True, slots=True)
class ConsoleFigures:
    """What was measured. Times in ms, rates in messages a second.

    Attributes:
        messages: How many the station held.
        open_ms: From asking for a page at a sequence in the middle to its rows painted, a new browser each
            time: percentiles.
        jump_ms: The same for a browser that is open, at places all over the station.
        text_rate, path_rate: Of a search for a word, and of one with a JSON path, from the click to the end.
        text_stall_ms, path_stall_ms: Longest stretch the event loop did not answer meanwhile, as percentiles.
        tail_stall_ms: The same while the end is followed and a client publishes at full speed.
        publish_rate: What that client published.
        tail_rows, tail_bytes: The most the followed list held.
        memory_bytes: What the process with window and broker held at the end.
    """

    messages: int
    open_ms: dict[str, float]
    jump_ms: dict[str, float]
    text_rate: float
    path_rate: float
    text_stall_ms: dict[str, float]
    path_stall_ms: dict[str, float]
    tail_stall_ms: dict[str, float]
    publish_rate: float
    tail_rows: int
    tail_bytes: int
    memory_bytes: int

    def promises(self) -> list[tuple[str, str, str, bool]]:
        """Return what is promised: what it is, what was measured, the limit, and whether it was kept."""
        places = [
            ("A place in the middle, in a browser newly opened", self.open_ms),
            ("A jump anywhere", self.jump_ms),
        ]
        rows = [
            (
                f"{name}: first rows",
                f"{figures['p50']:.0f} ms (worst {figures['max']:.0f})",
                f"≤ {OPEN_LIMIT_MS:.0f} ms",
                figures["max"] <= OPEN_LIMIT_MS,
            )
            for name, figures in places
        ]
        rates = [
            ("Search for a word", self.text_rate, TEXT_GOAL),
            ("Search with a JSON path", self.path_rate, PATH_GOAL),
        ]
        rows += [(name, f"{rate:,.0f}/s", f"≥ {goal:,}/s", rate >= goal) for name, rate, goal in rates]
        stalls = [
            ("Longest stall of the event loop during the search for a word", self.text_stall_ms),
            ("During the search with a JSON path", self.path_stall_ms),
            (f"While following the end at {self.publish_rate:,.0f} messages/s", self.tail_stall_ms),
        ]
        rows += [
            (
                name,
                f"{figures['max']:.0f} ms (p99.9 {figures['p99.9']:.0f})",
                f"≤ {STALL_LIMIT_MS:.0f} ms",
                figures["max"] <= STALL_LIMIT_MS,
            )
            for name, figures in stalls
        ]
        held = f"{self.tail_rows:,} rows, {self.tail_bytes / (1 << 20):.0f} MiB"
        kept = self.tail_rows <= TAIL_ROWS and self.tail_bytes <= TAIL_BYTES
        rows.append(("The followed list held at most", held, "≤ 50,000 rows and 64 MiB", kept))
        return rows

    @property
    def met(self) -> bool:
        """Whether everything that is promised was kept."""
        return all(kept for *_, kept in self.promises())

    def as_json(self) -> dict[str, Any]:
        """Return the figures as a JSON document."""
        return {**asdict(self), "met": self.met}

    def as_table(self) -> str:
        """Return the figures as a Markdown table with a line below."""
        lines = [
            f"| Message browser, {self.messages:,} messages of {SIZE} bytes | measured | promised | kept |",
            "| --- | --- | --- | --- |",
        ]
        for name, measured, promised, kept in self.promises():
            lines.append(f"| {name} | {measured} | {promised} | {'yes' if kept else 'no'} |")
        memory = f"{self.memory_bytes / (1 << 20):,.0f} MiB"
        lines += ["", f"memory of window and broker together at the end: {memory}"]
        for name, figures in (("word", self.text_stall_ms), ("JSON path", self.path_stall_ms)):
            stall = Stall(**{part.name: figures.get(f"worst_{part.name}", 0.0) for part in fields(Stall)})
            if stall.late > STALL_LIMIT_MS:
                lines += ["", f"longest stall during the search for a {name}: {stall.sentence()}"]
        return "\n".join(lines)


def measure_console(
    messages: int = MESSAGES,
    folder: Path | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> ConsoleFigures:
    """Fill a station and measure; takes minutes and some gigabytes of disk.

    Args:
        messages: How many messages the station gets.
        folder: Where the data lies meanwhile; None for the program's data folder.
        progress: Told what is being done.

    Raises:
        Failure: something does not start.
    """
    base = folder or folders.data_folder() / "bench"
    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="console-", dir=base) as text:
        home = Path(text)
        progress(f"filling a station with {messages:,} messages …")
        arguments = ["-sd", str(home / "data" / "broker")]
        with ServerProcess(broker_command(), home / "server", arguments=arguments) as server:
            run_in_home("fill", {"port": server.port, "messages": messages, "size": SIZE})
        progress("opening it in the window …")
        figures = run_in_home("console", {"messages": messages}, home)
    return ConsoleFigures(messages=messages, **figures)
