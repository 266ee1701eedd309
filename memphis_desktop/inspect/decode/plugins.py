"""Decoders that others have written in Python: entry points of the group ``memphis_desktop.decoders``.

An entry point names a function that takes the payload (bytes) and returns a value as JSON has them, bytes and
decimals too; what it raises is why it does not apply. It is found where Python finds packages, and in the
program's own folder for them (``pip install --target``), which an installed program without pip needs.
Nothing of it is imported before a person has turned it on, and then in a process of its own, which is ended
when it takes too long: the program cannot be held up or brought down by it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from importlib.metadata import Distribution, EntryPoint, distributions
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from memphis_desktop import folders
from memphis_desktop.child_process import end_child
from memphis_desktop.inspect.decode.model import MAX_OUTPUT, DecodeError
from memphis_desktop.language import current, tr
from memphis_desktop.language.child import in_language

GROUP = "memphis_desktop.decoders"
SECONDS = 2.0  # for one payload
START_SECONDS = 20.0  # for the process and the imports of the plug-in, on a busy machine
MAX_INPUT = 8 << 20
_MAX_VALUES = 1_000_000  # of one answer


@dataclass(frozen=True)
class Plugin:
    """A decoder that is installed.

    Attributes:
        name: The entry point's name, as rules call it.
        target: The module and function, ``package.module:function``.
        package: The package it came with, and its version.
    """

    name: str
    target: str
    package: str


def plugin_folder() -> Path:
    """Return the folder for plug-ins of this program alone; it need not be there."""
    return folders.data_folder() / "plugins"


def installed() -> list[Plugin]:
    """Return the decoders that are installed, by name, and import none; of two with one name the first."""
    found: dict[str, Plugin] = {}
    for distribution in _distributions():
        with contextlib.suppress(Exception):  # a damaged package is no decoder
            for point in distribution.entry_points.select(group=GROUP):
                package = f"{distribution.metadata['Name']} {distribution.version}"
                found.setdefault(point.name, Plugin(point.name, point.value, package))
    return [found[name] for name in sorted(found)]


def _distributions() -> list[Distribution]:
    folder = plugin_folder()
    own = distributions(path=[str(folder)]) if folder.is_dir() else ()
    return [*distributions(), *own]


class PluginHost:
    """Runs one plug-in in a process. Calls wait for their answer; they may come from any thread."""

    def __init__(self, plugin: Plugin, seconds: float = SECONDS) -> None:
        self.plugin = plugin
        self._seconds = seconds
        self._lock = threading.Lock()
        self._process: Any = None
        self._pipe: Connection | None = None
        self._here: Callable[[bytes], Any] | None = None

    def parse(self, data: bytes) -> Any:
        """Return what the plug-in makes of a payload.

        Raises:
            DecodeError: it does not apply, failed, or took too long.
        """
        if len(data) > MAX_INPUT:
            raise DecodeError(
                tr("larger than {max_input:,} bytes: not given to a plug-in", max_input=MAX_INPUT)
            )
        if (
            multiprocessing.current_process().daemon
        ):  # a process that can be ended itself, and has no children
            if self._here is None:
                self._here = _load(self.plugin.target, str(plugin_folder()))
            outcome, value = _call(self._here, data)
        else:
            with self._lock:
                outcome, value = pickle.loads(self._ask(data))
        if outcome != "value":
            raise DecodeError(f"{self.plugin.name}: {value}")
        return value

    def _ask(self, data: bytes) -> bytes:
        pipe = self._pipe if self._process is not None and self._process.is_alive() else None
        if pipe is None:
            pipe = self._start()
        try:
            pipe.send_bytes(data)
            if pipe.poll(self._seconds):
                return pipe.recv_bytes(2 * MAX_OUTPUT)
        except (OSError, EOFError):
            self.end()
            raise DecodeError(tr("{name} has ended itself", name=self.plugin.name)) from None
        self.end()
        raise DecodeError(
            tr("{name} took longer than {seconds:g} s", name=self.plugin.name, seconds=self._seconds)
        )

    def _start(self) -> Connection:
        self.end()
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        process = context.Process(
            target=in_language,
            args=(
                current(),
                f"{__name__}:{_child.__name__}",
                theirs,
                self.plugin.target,
                str(plugin_folder()),
            ),
            daemon=True,
            name="memphis-decoder",
        )
        try:
            process.start()
        except OSError as error:
            raise DecodeError(
                tr("{name} could not be started: {error}", name=self.plugin.name, error=error)
            ) from None
        finally:
            theirs.close()
        self._process = process
        problem = tr(
            "{name} was not ready within {start_seconds:g} s",
            name=self.plugin.name,
            start_seconds=START_SECONDS,
        )
        with contextlib.suppress(OSError, EOFError):
            if self._pipe.poll(START_SECONDS):
                problem = self._pipe.recv_bytes(4096).decode("utf-8", "replace")
        if problem:
            self.end()
            raise DecodeError(problem)
        return self._pipe

    def end(self) -> None:
        """End the process, if there is one; the next payload starts another."""
        process, self._process = self._process, None
        pipe, self._pipe = self._pipe, None
        end_child(process, pipe)


def _child(pipe: Connection, target: str, folder: str) -> None:
    """Main of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in a terminal ends the window, which ends this
    with contextlib.suppress(EOFError, OSError):
        try:
            decode = _load(target, folder)
        except DecodeError as error:
            pipe.send_bytes(error.reason.encode("utf-8", "replace")[:4096])
            return
        pipe.send_bytes(b"")
        while True:
            answer = pickle.dumps(_call(decode, pipe.recv_bytes()))
            if len(answer) > MAX_OUTPUT:
                answer = pickle.dumps(
                    ("error", tr("returned more than {max_output:,} bytes", max_output=MAX_OUTPUT))
                )
            pipe.send_bytes(answer)


def _load(target: str, folder: str) -> Callable[[bytes], Any]:
    """Import a plug-in; raises DecodeError when that fails."""
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        found = EntryPoint("decoder", target, GROUP).load()
    except BaseException as error:  # a module may even try to exit
        raise DecodeError(
            tr("{target} cannot be imported: {error}", target=target, error=error or type(error).__name__)[
                :300
            ]
        ) from None
    if not callable(found):
        raise DecodeError(tr("{target} is no function", target=target))
    decode: Callable[[bytes], Any] = found
    return decode


def _call(decode: Callable[[bytes], Any], data: bytes) -> tuple[str, Any]:
    try:
        return "value", _plain(decode(data))
    except BaseException as error:
        return "error", (str(error) or type(error).__name__)[:300]


def _plain(value: Any) -> Any:
    """Return a value with nothing in it but what a tree can show; raises ValueError when it is too much."""
    left = _MAX_VALUES

    def walk(part: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0 or depth > 500:
            raise ValueError(tr("returned too many values, or nested too deep"))
        if part is None or type(part) in (bool, int, float, str, bytes, Decimal):
            return part
        if isinstance(part, dict):
            return {str(key): walk(item, depth + 1) for key, item in part.items()}
        if isinstance(part, list | tuple | set | frozenset):
            return [walk(item, depth + 1) for item in part]
        return bytes(part) if isinstance(part, bytearray | memoryview) else str(part)

    return walk(value, 0)
