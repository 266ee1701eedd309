"""A replay into a file: what would be published is written instead, with its new subject and headers."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from memphis_desktop.inspect.files import SUFFIXES, FileProblem, dump_frame, json_line
from memphis_desktop.inspect.message import Headers, InspectedMessage
from memphis_desktop.inspect.publishing import Acknowledgement, PublishError

SLICE_ROWS = 200
Settled = Callable[[Any, Acknowledgement | PublishError], None]


class FileTarget:
    """Stands in a `Publisher`'s place. The file appears under its name once everything is in it."""

    def __init__(self, path: Path, settled: Settled) -> None:
        """Write to a path: a binary dump when its name says so, else JSON lines."""
        self.path = path
        self.complete = False  # set by whoever sent everything; else nothing is left behind
        self._settled = settled
        self._dump = path.suffix == SUFFIXES["dump"]
        self._rows: list[tuple[Any, InspectedMessage]] = []
        self._file: IO[bytes] | None = None
        self._name = ""
        self._written = 0

    async def __aenter__(self) -> FileTarget:
        try:
            descriptor, self._name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}-")
        except OSError as error:
            raise FileProblem(f"{self.path} cannot be written: {error.strerror}") from None
        self._file = os.fdopen(descriptor, "wb")
        if self._dump:
            self._file.write(b"MEMDUMP1")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._file is not None
        try:
            await asyncio.to_thread(self._end, self._file)
        except OSError as error:
            raise FileProblem(f"{self.path} cannot be written: {error.strerror}") from None
        finally:
            if self._name:
                with suppress(OSError):
                    await asyncio.to_thread(os.unlink, self._name)

    def _end(self, file: IO[bytes]) -> None:
        file.flush()
        os.fsync(file.fileno())
        file.close()
        if self.complete:
            os.replace(self._name, self.path)
            self._name = ""

    async def take(self, key: Any, original: InspectedMessage, subject: str, headers: Headers) -> None:
        """Write one; what it was settled with comes later, slice by slice."""
        copy = InspectedMessage(
            original.stream, original.sequence, original.time_ns, subject, headers.encode(), original.payload
        )
        self._rows.append((key, copy))
        if len(self._rows) >= SLICE_ROWS:
            await self.drain()

    async def drain(self) -> None:
        """Write what is left; raises `FileProblem`."""
        rows, self._rows = self._rows, []
        if not rows or self._file is None:
            return
        try:
            await asyncio.to_thread(self._write, self._file, [message for _, message in rows])
        except OSError as error:
            raise FileProblem(f"{self.path} cannot be written: {error.strerror}") from None
        for key, _ in rows:
            self._written += 1
            self._settled(key, Acknowledgement("", self._written, False))

    def _write(self, file: IO[bytes], messages: list[InspectedMessage]) -> None:
        encode = dump_frame if self._dump else _line
        file.write(b"".join(encode(message) for message in messages))


def _line(message: InspectedMessage) -> bytes:
    return json_line(message, decoded=False)
