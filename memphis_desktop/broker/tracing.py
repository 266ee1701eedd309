"""The protocol's lines in the log, as ``-V`` asks for them: ``<<-`` came in, ``->>`` goes out.

Credentials are left out, payloads too.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from memphis_desktop.broker.logfile import TRACE
from memphis_desktop.protocol.commands import (
    ACKS,
    CONNECT,
    PING,
    PONG,
    PUBLISH,
    SUBSCRIBE,
    UNSUBSCRIBE,
    Command,
)
from memphis_desktop.protocol.message import Message

log = logging.getLogger(__name__)

_NAMES = {SUBSCRIBE: "SUB", UNSUBSCRIBE: "UNSUB", PING: "PING", PONG: "PONG", CONNECT: "CONNECT"}


def trace_commands(connection: object, commands: Sequence[Command]) -> None:
    """Log what a client sent."""
    for command in commands:
        kind = command[0]
        if kind in (PUBLISH, ACKS):
            for message in command[1] if kind == PUBLISH else command[1].messages():
                log.log(
                    TRACE, "%s - <<- [%s %s]", connection, "HPUB" if message[2] else "PUB", _line(message)
                )
        elif kind in _NAMES:
            arguments = () if kind == CONNECT else command[1:]
            words = [_text(argument) for argument in arguments if argument not in (b"", 0)]
            log.log(TRACE, "%s - <<- [%s]", connection, " ".join([_NAMES[kind], *words]))


def trace_messages(connection: object, sid: bytes, messages: Sequence[Message]) -> None:
    """Log what is delivered to one subscription of a client."""
    for message in messages:
        name = "HMSG" if message[2] else "MSG"
        log.log(TRACE, "%s - ->> [%s %s]", connection, name, _line(message, sid))


def _line(message: Message, sid: bytes = b"") -> str:
    subject, reply, header_size, body = message
    sizes = f"{header_size} {len(body)}" if header_size else f"{len(body)}"
    return " ".join(part for part in (_text(subject), _text(sid), _text(reply), sizes) if part)


def _text(part: object) -> str:
    return part.decode("utf-8", "replace") if isinstance(part, bytes) else str(part)
