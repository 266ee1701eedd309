"""One decoder rule: for which messages, what is done first, which decoder, and what if that fails."""

from __future__ import annotations

import base64
import binascii
import fnmatch
from dataclasses import dataclass

from memphis_desktop.inspect.decode.model import MAX_OUTPUT, DecodeError, Step
from memphis_desktop.inspect.draft import matches
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr

PLAIN_KINDS = ("json", "msgpack", "cbor", "protobuf", "text", "binary")
KINDS = (*PLAIN_KINDS, "avro", "command", "registry", "schemaverse", "plugin")
SHOW, NEXT = "", "next"  # what is done when the decoder does not apply: show the bytes, or try the next rule
MAX_STEPS = 8


@dataclass(frozen=True)
class DecoderRule:
    """A decoder for the messages of a station, subject or header.

    Attributes:
        kind: One of `KINDS`.
        schema: What the kind reads with: message type (protobuf), schema (Avro; JSON Schema, which JSON is
            checked against; Schemaverse), the name of a command, plug-in or schema registry. After a
            registry's name, behind a slash, the subject that bodies being written are made by.
        stream: Name of the station, with ``*`` for any run of characters; empty for all.
        subject: Subject pattern; empty for all.
        header: ``Name`` or ``Name=value`` that the message must have; empty for none.
        before: What is done with the payload first, in order and with commas between: ``skip 4``, ``base64``,
            ``hex``. What is compressed is unwrapped after that.
        failing: `SHOW` or `NEXT`.
    """

    kind: str
    schema: str = ""
    stream: str = ""
    subject: str = ""
    header: str = ""
    before: str = ""
    failing: str = SHOW

    def applies(self, message: InspectedMessage) -> bool:
        """Whether this rule is for a message."""
        if self.stream and not fnmatch.fnmatchcase(message.stream, self.stream):
            return False
        if self.subject and not matches(self.subject, message.subject):
            return False
        if self.header:
            name, equals, value = self.header.partition("=")
            values = message.headers.all(name.strip())
            return value.strip() in values if equals else bool(values)
        return True

    def description(self) -> str:
        """For whom it is, in words."""
        parts = [
            self.stream and tr("station {name}", name=self.stream),
            self.subject and tr("subject {name}", name=self.subject),
            self.header and tr("header {name}", name=self.header),
        ]
        return ", ".join(part for part in parts if part) or tr("every message")

    def same_messages(self, other: DecoderRule) -> bool:
        """Whether it is for the same messages as another."""
        return (self.stream, self.subject, self.header) == (other.stream, other.subject, other.header)

    def problem(self) -> str:
        """Return why it cannot be used, or nothing."""
        try:
            steps = read_steps(self.before)
        except ValueError as error:
            return str(error)
        return (
            ""
            if len(steps) <= MAX_STEPS
            else tr("At most {max_steps} steps can be done first", max_steps=MAX_STEPS)
        )

    def prepare(self, payload: bytes) -> tuple[bytes, list[Step]]:
        """Return what the decoder gets, and the steps to there; raises DecodeError."""
        steps: list[Step] = []
        data = payload
        for name, count in read_steps(self.before):
            before = len(data)
            if name == "skip":
                if count > before:
                    raise DecodeError(
                        tr("has fewer than the {count} bytes that are to be skipped", count=count), before
                    )
                data = data[count:]
            elif name == "base64":
                data = _unbase64(data)
            else:
                data = _unhex(data)
            title = f"skip {count}" if name == "skip" else name
            steps.append(Step(title, before, len(data)))
        return data, steps


def read_steps(text: str) -> list[tuple[str, int]]:
    """Return (name, number) of each step; raises ValueError for what is none."""
    steps = []
    for part in text.split(","):
        words = part.split()
        if not words and not text.strip():
            continue
        if words and words[0] == "skip" and len(words) == 2 and words[1].isascii() and words[1].isdecimal():
            if int(words[1]) > MAX_OUTPUT:
                raise ValueError(tr("At most {max_output:,} bytes can be skipped", max_output=MAX_OUTPUT))
            steps.append(("skip", int(words[1])))
        elif words in (["base64"], ["hex"]):
            steps.append((words[0], 0))
        else:
            raise ValueError(
                tr("{part!r} is no step: write skip and a number, base64 or hex", part=part.strip()[:40])
            )
    return steps


def _unbase64(data: bytes) -> bytes:
    plain = data.translate(bytes.maketrans(b"-_", b"+/"), b" \t\r\n")
    try:
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise DecodeError(tr("is no base64")) from None


def _unhex(data: bytes) -> bytes:
    try:
        return bytes.fromhex(data.decode("ascii"))
    except ValueError:
        raise DecodeError(tr("is no hex")) from None
