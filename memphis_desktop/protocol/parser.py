"""The client side of the wire, sans-IO: bytes in, commands out.

Speed comes from doing per-chunk work in C. A publish is recognised by one regular expression; and when a
connection keeps sending messages of one *shape* (verb, reply or not, header size, size), a second expression
made for that shape takes a whole run of them in two calls. Its parts cannot overlap, so there is one way only
to match: it works in linear time and cuts exactly where the step-by-step parser would. (Possessive repeats
would say so more clearly, but those of groups are cut wrongly by the first releases of Python 3.11.)
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from memphis_desktop.protocol import errors
from memphis_desktop.protocol.acks import ACK_BEGINNING, take_acks
from memphis_desktop.protocol.commands import (
    ACKS,
    CONNECT,
    FAILURE,
    PEER_ERROR,
    PING,
    PONG,
    PUBLISH,
    SUBSCRIBE,
    UNSUBSCRIBE,
    Command,
)
from memphis_desktop.protocol.errors import ProtocolError
from memphis_desktop.protocol.message import Message

_PUB = re.compile(rb"PUB ([^ \t\r\n]+) (?:([^ \t\r\n]+) )?([0-9]{1,9})\r\n").match
_HPUB = re.compile(rb"HPUB ([^ \t\r\n]+) (?:([^ \t\r\n]+) )?([0-9]{1,9}) ([0-9]{1,9})\r\n").match
_VERBS = (b"PUB ", b"HPUB ", b"SUB ", b"UNSUB ", b"PING", b"PONG", b"CONNECT", b"+OK", b"-ERR ", b"INFO ")
_LONGEST_VERB = max(len(verb) for verb in _VERBS)
_VERBS_WITH_ARGUMENTS = (b"PUB", b"HPUB", b"SUB", b"UNSUB", b"-ERR")
_PUBLISH_VERBS = (b"PUB", b"HPUB")
_SIZE_DIGITS = 9  # more digits than that are refused, as nats-server does
_CR, _LF, _LETTER_H = 13, 10, 72

# The longest subject and reply a run may hold: together they stay below any usual max_control_line.
_RUN_TOKEN = 1500
# A run is worth an expression of its own when this many neighbours had the same shape.
_RUN_THRESHOLD = 128
_MAX_SHAPES = 256
# Messages above this are rare per chunk; the step-by-step way is as good.
_RUN_MAX_SIZE = 16 * 1024
# The parser pauses after so many messages, so that the caller can give others their turn.
MESSAGES_PER_STEP = 4096

Shape: TypeAlias = tuple[bool, int, int]  # (has reply, header size or -1 for PUB, total size)
_Run: TypeAlias = tuple[Any, Any]  # (match a run, find all in it)
_runs: dict[Shape, _Run] = {}


def _compile_run(shape: Shape) -> _Run:
    has_reply, header_size, size = shape
    token = rb"([^ \t\r\n]{1,%d}) " % _RUN_TOKEN
    sizes = b"%d" % size if header_size < 0 else b"%d %d" % (header_size, size)
    verb = b"PUB " if header_size < 0 else b"HPUB "
    one = verb + token * (2 if has_reply else 1) + sizes + rb"\r\n(.{%d})\r\n" % size
    several = rb"(?:" + one.replace(b"(", b"(?:") + rb"){1,%d}" % MESSAGES_PER_STEP
    return re.compile(several, re.DOTALL).match, re.compile(one, re.DOTALL).findall


def _run_of(shape: Shape) -> _Run:
    run = _runs.get(shape)
    if run is None:
        if len(_runs) >= _MAX_SHAPES:
            del _runs[next(iter(_runs))]
        run = _runs[shape] = _compile_run(shape)
    return run


def _words(arguments: bytes) -> list[bytes]:
    """Split at spaces only: the control characters that `bytes.split` takes too are part of a subject."""
    return [word for word in arguments.split(b" ") if word]


def parse_size(text: bytes) -> int:
    """Return a size or count of up to nine digits; -1 when it is anything else."""
    if not text.isdigit() or len(text) > _SIZE_DIGITS:
        return -1
    return int(text)


class ClientParser:
    """Cuts what one client sends into commands.

    Attributes:
        max_payload: bytes; a larger announcement fails before any of it is buffered. 0 is unlimited.
        max_control_line: bytes of a line's arguments.
        headers: whether HPUB was negotiated; set it when CONNECT has been handled.
        finds_acks: whether plain acks in bulk become commands of their own.
        has_used_headers: whether a message with headers was published so far.
        message_count, payload_bytes: how much was published so far, header blocks included.
    """

    def __init__(self, max_payload: int = 1024 * 1024, max_control_line: int = 4096) -> None:
        self.max_payload = max_payload
        self.max_control_line = max_control_line
        self.headers = False
        self.finds_acks = False
        self.has_used_headers = False
        self.failed = False
        self.message_count = 0
        self.payload_bytes = 0
        self._data = b""
        self._position = 0
        # While a message is incomplete: what came of it, and how many bytes it takes altogether.
        self._parts: list[bytes] = []
        self._have = 0
        self._need = 0
        # Size, header size and number of the neighbours of one shape that came last.
        self._last = (-1, -1, 0)
        self._step_done = False

    @property
    def runnable(self) -> bool:
        """Whether `feed(b"")` would find more commands in what has arrived already."""
        return self._step_done and not self.failed

    @property
    def buffered(self) -> int:
        """Bytes kept until more arrives."""
        return self._have if self._need else len(self._data) - self._position

    def take_rest(self) -> bytes:
        """Return and forget what is buffered: for a switch to another protocol, such as TLS."""
        rest = b"".join(self._parts) if self._need else self._data[self._position :]
        self._clear()
        return rest

    def _clear(self) -> None:
        self._data, self._position = b"", 0
        self._parts, self._have, self._need = [], 0, 0
        self._step_done = False

    def feed(self, chunk: bytes) -> list[Command]:
        """Take the next bytes and return the commands they complete.

        The parser stops behind a CONNECT, whose options decide how the rest is read, and after
        `MESSAGES_PER_STEP` messages. Call it again with b"" while `runnable`. An error is the last command.
        """
        if self.failed:
            return []
        lone = self.lone_publish(chunk)
        if lone is not None:
            return [(PUBLISH, [lone])]
        if self._need:
            self._parts.append(chunk)
            self._have += len(chunk)
            if self._have < self._need:
                return []
            self._data = b"".join(self._parts)
            self._parts, self._have, self._need = [], 0, 0
        elif self._position < len(self._data):
            self._data = self._data[self._position :] + chunk if self._position else self._data + chunk
        else:
            self._data = chunk
        self._position = 0
        self._step_done = False
        commands: list[Command] = []
        try:
            self._parse(commands)
        except ProtocolError as error:
            self.failed = True
            self._clear()
            commands.append((FAILURE, error))
        return commands

    def lone_publish(self, chunk: bytes) -> Message | None:
        """Take a chunk that is one plain publish and nothing else: what a client sends that waits for each
        acknowledgement. None, and nothing is done, when it is anything more, less or wrong: see `feed`."""
        if self._data or self._need or self.failed:
            return None
        match = _PUB(chunk)
        if match is None:
            return None
        start = match.end()
        subject, reply, size_text = match.groups(b"")
        size = int(size_text)
        if (
            start + size + 2 != len(chunk)
            or not chunk.endswith(b"\r\n")
            or start > self.max_control_line
            or size > self.max_payload > 0
        ):
            return None
        self._step_done = False
        self.message_count += 1
        self.payload_bytes += size
        return (subject, reply, 0, chunk[start:-2])

    def _parse(self, commands: list[Command]) -> None:
        data = self._data
        end = len(data)
        position = self._position
        messages: list[Message] | None = None  # the PUBLISH command that is being filled
        budget = MESSAGES_PER_STEP
        count = payload = 0  # what was taken one by one
        taken = self.message_count
        last_size, last_header_size, neighbours = self._last
        looks_for_acks = self.finds_acks
        try:
            while position < end:
                if looks_for_acks and data.startswith(ACK_BEGINNING, position):
                    found = take_acks(data, position, self.max_control_line, self.max_payload)
                    if found is None:
                        looks_for_acks = False  # one look at the chunk is what it may cost
                    else:
                        run, position = found
                        messages = None
                        commands.append((ACKS, run))
                        count += len(run.sequences)
                        payload += len(run.sequences) * len(run.body)
                        if count >= budget:
                            self._step_done = position < end
                            break
                        continue
                match = _PUB(data, position)
                if match is not None:
                    subject, reply, size_text = match.groups(b"")
                    header_size, size, start = -1, int(size_text), match.end()
                elif data[position] == _LETTER_H and (match := _HPUB(data, position)) is not None:
                    subject, reply, header_text, size_text = match.groups(b"")
                    header_size, size, start = int(header_text), int(size_text), match.end()
                else:
                    line_end = data.find(b"\n", position)
                    if line_end < 0:
                        self._check_unfinished(data[position : position + self.max_control_line + 16])
                        break
                    start = line_end + 1
                    verb, arguments = self._split_line(data, position, line_end)
                    if verb not in _PUBLISH_VERBS:
                        position = start
                        command = self._command(verb, arguments)
                        if command is None:
                            continue
                        messages = None
                        commands.append(command)
                        if command[0] == CONNECT:
                            self._step_done = position < end
                            break
                        continue
                    subject, reply, header_size, size = self._publish_arguments(verb, arguments)
                if start - position > self.max_control_line:
                    self._split_line(
                        data, position, start - 1
                    )  # raises when the arguments alone are too long
                if header_size >= 0 and (not self.headers or header_size > size):
                    raise errors.malformed()
                if size > self.max_payload > 0:
                    raise errors.payload_exceeded()
                stop = start + size
                if stop + 2 > end:
                    self._need = stop + 2 - position
                    break
                if data[stop] != _CR or data[stop + 1] != _LF:
                    raise errors.unknown_operation()
                if messages is None:
                    messages = []
                    commands.append((PUBLISH, messages))
                if header_size > 0:
                    self.has_used_headers = True
                    messages.append((subject, reply, header_size, data[start:stop]))
                else:
                    messages.append((subject, reply, 0, data[start:stop]))
                count += 1
                payload += size
                length = stop + 2 - position
                position = stop + 2
                if size == last_size and header_size == last_header_size:
                    neighbours += 1
                    if end - position > 4 * length and size <= _RUN_MAX_SIZE:
                        shape = (reply != b"", header_size, size)
                        if shape in _runs or neighbours > _RUN_THRESHOLD:
                            position = self._take_run(shape, position, messages)
                            budget -= self.message_count - taken
                            taken = self.message_count
                else:
                    last_size, last_header_size, neighbours = size, header_size, 0
                if count >= budget:
                    self._step_done = position < end
                    break
        finally:
            self.message_count += count
            self.payload_bytes += payload
        self._last = last_size, last_header_size, neighbours
        self._keep(position, end)

    def _take_run(self, shape: Shape, position: int, messages: list[Message]) -> int:
        """Take all neighbours of this shape from `position` on; return where they end."""
        match, find_all = _run_of(shape)
        run = match(self._data, position)
        if run is None:
            return position
        after: int = run.end()
        found = find_all(self._data, position, after)
        header_size = max(shape[1], 0)
        if shape[0]:
            messages += [(subject, reply, header_size, body) for subject, reply, body in found]
        else:
            messages += [(subject, b"", header_size, body) for subject, body in found]
        self.message_count += len(found)
        self.payload_bytes += len(found) * shape[2]
        return after

    def _keep(self, position: int, end: int) -> None:
        """Keep what was not taken; an unfinished message as parts, so that slow senders cost no copying."""
        if self._need:
            self._parts = [self._data[position:]]
            self._have = end - position
            self._data, self._position = b"", 0
        elif position >= end:
            self._data, self._position = b"", 0
        else:
            self._position = position

    def _check_unfinished(self, begun: bytes) -> None:
        """Refuse what can not become a command, however it goes on."""
        start = begun[:_LONGEST_VERB].upper().replace(b"\t", b" ")
        for verb in _VERBS:
            if start.startswith(verb):
                break
            if verb.startswith(start):
                return
        else:
            raise errors.unknown_operation()
        if len(begun) - len(verb) > self.max_control_line:
            raise errors.control_line_exceeded()

    def _split_line(self, data: bytes, position: int, line_end: int) -> tuple[bytes, bytes]:
        """Return the verb in capitals and the arguments of the line that ends before `line_end`."""
        if line_end > position and data[line_end - 1] == _CR:
            line_end -= 1
        if data[position : position + 7].upper() == b"CONNECT":
            if line_end - position - 8 > self.max_control_line:
                raise errors.control_line_exceeded()
            return b"CONNECT", data[position + 7 : line_end]
        verb, separator, arguments = data[position:line_end].replace(b"\t", b" ").partition(b" ")
        if len(arguments) > self.max_control_line:
            raise errors.control_line_exceeded()
        verb = verb.upper()
        if not separator and verb in _VERBS_WITH_ARGUMENTS:
            raise errors.unknown_operation()
        return verb, arguments

    def _publish_arguments(self, verb: bytes, arguments: bytes) -> tuple[bytes, bytes, int, int]:
        parts = _words(arguments)
        sizes = 1 if verb == b"PUB" else 2
        if not sizes + 1 <= len(parts) <= sizes + 2:
            raise errors.malformed()
        numbers = [parse_size(text) for text in parts[-sizes:]]
        if min(numbers) < 0:
            raise errors.malformed()
        reply = parts[1] if len(parts) == sizes + 2 else b""
        return parts[0], reply, numbers[0] if sizes == 2 else -1, numbers[-1]

    def _command(self, verb: bytes, arguments: bytes) -> Command | None:
        """Return the command of a line without payload; None when there is nothing to do for it."""
        if verb == b"SUB":
            parts = _words(arguments)
            if len(parts) == 2:
                return (SUBSCRIBE, parts[0], b"", parts[1])
            if len(parts) == 3:
                return (SUBSCRIBE, parts[0], parts[1], parts[2])
            raise errors.malformed()
        if verb == b"UNSUB":
            parts = _words(arguments)
            if len(parts) == 1:
                return (UNSUBSCRIBE, parts[0], 0)
            if len(parts) == 2:
                return (UNSUBSCRIBE, parts[0], max(parse_size(parts[1]), 0))
            raise errors.malformed()
        if verb.startswith(b"PING"):
            return (PING,)
        if verb.startswith(b"PONG"):
            return (PONG,)
        if verb == b"CONNECT":
            return (CONNECT, arguments.strip())
        if verb.startswith(b"+OK") or verb == b"INFO":
            return None
        if verb == b"-ERR":
            return (PEER_ERROR, arguments.strip())
        raise errors.unknown_operation()
