"""Ending a command in order on Ctrl+C or SIGTERM."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interrupts(stop: Callable[[], None]) -> Iterator[list[int]]:
    """Have `stop` called on Ctrl+C and SIGTERM while the block runs; what is given fills when that happened.

    On Windows these end the program at once: what is called so has to go on from wherever it was.
    """
    loop = asyncio.get_running_loop()
    heard: list[int] = []

    def end(number: int) -> None:
        heard.append(number)
        stop()

    try:
        for number in _NUMBERS:
            loop.add_signal_handler(number, end, number)
    except NotImplementedError:
        yield heard
        return
    try:
        yield heard
    finally:
        for number in _NUMBERS:
            loop.remove_signal_handler(number)
