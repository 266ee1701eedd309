"""Plain acknowledgements in bulk.

A reader of a pull consumer acknowledges hundreds of messages at once, each with a publish of its own:
``PUB $JS.ACK.STREAM.CONSUMER.1.sequence.number.time.pending 0``, without a payload (or with ``+ACK``) and
without a reply. Of all that only the sequences matter. They are found in a few passes of C code, at a tenth
of the cost of making a message of each.
"""

from __future__ import annotations

import re

import orjson

from memphis_desktop.protocol.message import Message

ACK_BEGINNING = b"PUB $JS.ACK."
_FIRST = re.compile(
    rb"PUB (\$JS\.ACK\.[^ .\t\r\n]+\.[^ .\t\r\n]+\.[0-9]{1,19}\.)"
    rb"[0-9]{1,20}\.[0-9]{1,20}\.[0-9]{1,20}\.[0-9]{1,20} (?:0\r\n|4\r\n(\+ACK))\r\n"
).match
_DIGITS = b"0123456789"
_LINE = 100  # the most bytes that a line has beside the prefix
_LEAST = 8  # fewer are taken one by one
_MOST_BYTES = 256 * 1024  # of one run, so that others get their turn


class AckRun:
    """Neighbouring acks for one consumer.

    Attributes:
        prefix: Of their subjects, up to the sequence.
        sequences: What they acknowledge, in the order they came.
        body: Of each: nothing, or ``+ACK``.
    """

    __slots__ = ("_numbers", "body", "prefix", "sequences")

    def __init__(self, prefix: bytes, sequences: list[int], body: bytes, numbers: bytes) -> None:
        """`numbers` is what follows the prefix in each subject, with commas between them."""
        self.prefix = prefix
        self.sequences = sequences
        self.body = body
        self._numbers = numbers

    @property
    def subject(self) -> bytes:
        """The first one's subject."""
        return self.prefix + self._numbers.partition(b",")[0]

    def messages(self) -> list[Message]:
        """Return them as the messages that they are."""
        prefix, body = self.prefix, self.body
        return [(prefix + numbers, b"", 0, body) for numbers in self._numbers.split(b",")]


def take_acks(
    data: bytes, position: int, max_control_line: int, max_payload: int
) -> tuple[AckRun, int] | None:
    """Return the acks that stand at `position`, and where they end; None when there are few, or others.

    What is left out of a run, such as its last one, is to be read as the publishes that they are. `data` has
    `ACK_BEGINNING` there; the limits are those of `ClientParser`.
    """
    match = _FIRST(data, position)
    if match is None:
        return None
    prefix, body = match[1], match[2] or b""
    between = (b" 4\r\n+ACK\r\nPUB " if body else b" 0\r\n\r\nPUB ") + prefix
    last = data.rfind(between, match.start(1), position + _MOST_BYTES)
    if last < 0 or len(prefix) + _LINE > max_control_line or 0 < max_payload < len(body):
        return None
    numbers = data[match.end(1) : last].replace(between, b",")
    count = numbers.count(b",") + 1
    # Between them is nothing else: what is left without the digits are the dots of each, and the commas.
    if count < _LEAST or numbers.translate(None, _DIGITS) != (b"...," * count)[:-1]:
        return None
    try:
        flat = orjson.loads(b"[" + numbers.replace(b".", b",") + b"]")
    except ValueError:  # an empty number, or one that begins with 0
        return None
    if set(map(type, flat)) != {int}:  # larger than 64 bits
        return None
    return AckRun(prefix, flat[::4], body, numbers), last + len(between) - len(prefix) - 4
