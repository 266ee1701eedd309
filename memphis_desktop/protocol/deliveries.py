"""A consumer's messages on their way to one reader, column by column, and as the bytes that are sent.

The reply subject of a delivery says all about it: ``PREFIX deliveries.sequence.number.time.pending``. First
deliveries of one moment are numbered in a row, so a format made for all of them writes the whole batch in
one pass of C code, at half the cost of making the subjects, the messages and the frames one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from memphis_desktop.protocol.framing import frame_messages
from memphis_desktop.protocol.message import Message


class DeliveryBlock:
    """First deliveries of one consumer.

    All columns have the same length, at least 1.

    Attributes:
        prefix: The beginning of the ack subjects, the number of deliveries (1) and its dot included.
        sequences, times: Of the messages in their stream.
        subjects, header_sizes, bodies: As in `Message`.
        number: The consumer sequence of the first one.
        pending: How many messages are still to be delivered after the first one.
    """

    __slots__ = ("bodies", "header_sizes", "number", "pending", "prefix", "sequences", "subjects", "times")

    def __init__(
        self,
        prefix: bytes,
        sequences: Sequence[int],
        times: Sequence[int],
        subjects: Sequence[bytes],
        header_sizes: Sequence[int],
        bodies: Sequence[bytes],
        number: int,
        pending: int,
    ) -> None:
        self.prefix = prefix
        self.sequences = sequences
        self.times = times
        self.subjects = subjects
        self.header_sizes = header_sizes
        self.bodies = bodies
        self.number = number
        self.pending = pending

    def __len__(self) -> int:
        return len(self.bodies)

    def messages(self) -> list[Message]:
        """Return them one by one, with their ack subjects as replies."""
        prefix, number, pending = self.prefix, self.number, self.pending
        columns = zip(self.subjects, self.sequences, self.times, self.header_sizes, self.bodies, strict=True)
        return [
            (subject, b"%b%d.%d.%d.%d" % (prefix, sequence, number + at, time, pending - at), size, body)
            for at, (subject, sequence, time, size, body) in enumerate(columns)
        ]

    def frame(self, sid: bytes, headers: bool) -> tuple[bytes, int]:
        """Return what a subscription is sent, as `frame_messages` would, and the bytes of all payloads."""
        header_sizes, bodies = self.header_sizes, self.bodies
        count = len(bodies)
        with_headers = count - header_sizes.count(0)
        if with_headers and (with_headers < count or not headers):
            parts: list[bytes] = []
            total = frame_messages(sid, self.messages(), headers, parts)
            return b"".join(parts), total
        sizes = list(map(len, bodies))
        columns: list[Sequence[Any]] = []
        subject = self.subjects[0]
        if self.subjects.count(subject) == count:
            subject = _plain(subject)
        else:
            subject = b"%b"
            columns.append(self.subjects)
        columns += (
            self.sequences,
            range(self.number, self.number + count),
            self.times,
            range(self.pending, self.pending - count, -1),
        )
        line_end = b""
        for column in (header_sizes, sizes) if with_headers else (sizes,):
            if column.count(column[0]) == count:
                line_end += b" %d" % column[0]
            else:
                line_end += b" %d"
                columns.append(column)
        columns.append(bodies)
        width = len(columns)
        values: list[Any] = [None] * (width * count)
        for at, column in enumerate(columns):
            values[at::width] = column
        verb = b"HMSG " if with_headers else b"MSG "
        start = verb + subject + b" " + _plain(sid) + b" " + _plain(self.prefix)
        frame = start + b"%d.%d.%d.%d" + line_end + b"\r\n%b\r\n"
        return (frame * count) % tuple(values), sum(sizes)


def _plain(text: bytes) -> bytes:
    """Return a text as a format has to show it to stand for itself."""
    return text.replace(b"%", b"%%")
