"""Where a stream stands with its sources: what it noted at its end, and what its messages say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from memphis_desktop.broker.jetstream.message_headers import STREAM_SOURCE
from memphis_desktop.broker.store.interface import StorageError
from memphis_desktop.protocol import headers

if TYPE_CHECKING:
    from memphis_desktop.broker.jetstream.sourcing import SourceReader
    from memphis_desktop.broker.jetstream.stream import Stream

_SLICE = 1000


class PositionSearch:
    """Looks through a stream from its end for the last message of each source, a slice per turn."""

    def __init__(
        self, stream: Stream, readers: Sequence[SourceReader], noted: dict[str, int], done: Callable[[], None]
    ) -> None:
        """Prepare the search.

        Args:
            stream: where to look.
            readers: whose positions are wanted; they are set when `done` is called.
            noted: positions noted earlier, by index name. A message says more when it is later.
            done: called at the end.
        """
        self._stream = stream
        self._missing = {reader.index_name: reader for reader in readers}
        self._noted = noted
        self._done = done
        self._before = stream.messages.last_sequence + 1

    def run(self) -> None:
        """Look at the next slice."""
        stream = self._stream
        if stream.closed:
            return
        first = stream.messages.first_sequence
        if not self._missing or not stream.messages.message_count or self._before <= first:
            self._finish()
            return
        start = max(self._before - _SLICE, first)
        sequences = stream.messages.next_sequences(start, self._before - start)
        sequences = [sequence for sequence in sequences if sequence < self._before]
        self._before = start
        try:
            for message in reversed(stream.messages.read_many(sequences)):
                self._look_at(message.body[: message.header_size])
        except StorageError:
            pass  # what can not be read says nothing
        stream.node.clock.call_soon(self.run)

    def _look_at(self, block: bytes) -> None:
        origin = headers.get(block, STREAM_SOURCE) if block else None
        parts = origin.decode("utf-8", "replace").split(" ") if origin else []
        if len(parts) < 4 or not parts[1].isdigit():
            return
        reader = self._missing.pop(f"{parts[0]} {parts[2]} {parts[3]}", None)
        if reader is not None:
            reader.position = max(int(parts[1]), self._noted.get(reader.index_name, 0))
            reader.identity = parts[5] if len(parts) > 5 else ""

    def _finish(self) -> None:
        for name, reader in self._missing.items():
            noted = self._noted.get(name)
            if noted is not None:
                reader.position = noted
        self._done()
