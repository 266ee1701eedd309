"""A replay into a file: what would be published is written instead, with its new subject and headers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from memphis_desktop.inspect.files import DUMP_MAGIC, SUFFIXES, WholeFile, dump_frame, json_line, not_written
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
        self._whole: WholeFile | None = None
        self._written = 0

    async def __aenter__(self) -> FileTarget:
        self._whole = await WholeFile(self.path).__aenter__()
        if self._dump:
            self._whole.file.write(DUMP_MAGIC)
        return self

    async def __aexit__(self, *details: object) -> None:
        assert self._whole is not None
        self._whole.complete = self.complete
        await self._whole.__aexit__(*details)

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
        if not rows or self._whole is None:
            return
        try:
            await asyncio.to_thread(self._write, self._whole.file, [message for _, message in rows])
        except OSError as error:
            raise not_written(self.path, error) from None
        for key, _ in rows:
            self._written += 1
            self._settled(key, Acknowledgement("", self._written, False))

    def _write(self, file: IO[bytes], messages: list[InspectedMessage]) -> None:
        encode = dump_frame if self._dump else _line
        file.write(b"".join(encode(message) for message in messages))


def _line(message: InspectedMessage) -> bytes:
    return json_line(message, decoded=False)
