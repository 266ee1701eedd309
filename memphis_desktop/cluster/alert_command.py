"""Alerts given to a command of the user's own, which is started with the alert as JSON on its input."""

from __future__ import annotations

import asyncio
import logging
import shlex
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from memphis_desktop.language import tr

log = logging.getLogger(__name__)

SECONDS = 10.0  # so long a command may take
AT_ONCE = 4  # commands that run at the same moment; what comes beyond is not given to any
MOST_KEPT = 4096  # bytes of what it wrote to its error output


class CommandProblem(Exception):
    """The command was not started, failed, or took too long; the text says which."""


def check_command(line: str) -> str:
    """Say what is wrong with a command line; empty when nothing is, or there is none."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        return tr("The command line is not understood: {error}.", error=error)
    return "" if words or not line.strip() else tr("Write a command line.")


class CommandRunner:
    """Starts commands beside everything else, a few at a time, and tells what failed."""

    def __init__(self, failed: Callable[[str], None]) -> None:
        """Tell failures to `failed`, in a sentence."""
        self._failed = failed
        self._running: set[asyncio.Task[None]] = set()

    def offer(self, line: str, contents: Mapping[str, Any]) -> None:
        """Run a command with a message on its input."""
        if len(self._running) >= AT_ONCE:
            log.warning("an alert was not given to its command: %d of them are running", AT_ONCE)
            return
        task = asyncio.get_running_loop().create_task(self._run(line, contents), name="alert command")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, line: str, contents: Mapping[str, Any]) -> None:
        try:
            await asyncio.to_thread(run, line, orjson.dumps(contents, default=str))
        except CommandProblem as problem:
            self._failed(tr("The command of an alert failed: {problem}.", problem=problem))


def run(line: str, data: bytes) -> None:
    """Run a command line, without a shell, and wait for its end; raises `CommandProblem`. Blocks."""
    try:
        words = shlex.split(line)
        done = subprocess.run(
            words,
            input=data,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CommandProblem(tr("it took longer than {seconds} s", seconds=format(SECONDS, "g"))) from None
    except (OSError, ValueError, IndexError) as error:
        raise CommandProblem(tr("it could not be started ({error})", error=error)) from None
    if done.returncode:
        lines = done.stderr[-MOST_KEPT:].decode("utf-8", "replace").strip().splitlines()
        text = tr("it ended with code {code}", code=done.returncode)
        raise CommandProblem(f"{text}: {lines[-1][:200]}" if lines else text)
