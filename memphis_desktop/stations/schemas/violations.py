"""What is wrong with a schema or with a message, apart from the libraries that find it out."""

from __future__ import annotations

from dataclasses import dataclass

PROTOBUF, JSON, AVRO, GRAPHQL = "protobuf", "json", "avro", "graphql"
TYPES = (PROTOBUF, JSON, AVRO, GRAPHQL)

MAX_CONTENT = 256 * 1024  # bytes of a schema's text
_MAX_TEXT = 400


class ContentError(Exception):
    """A schema's text is none of its type; the words are Memphis's."""


class Violation(Exception):
    """A message does not fit the schema; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is found out about a schema's text.

    Attributes:
        message_struct_name: Protobuf: the message that producers send.
        descriptor: Protobuf: a FileDescriptorSet of the one file, in base64.
        messages: Protobuf: every message that could be chosen.
    """

    message_struct_name: str = ""
    descriptor: str = ""
    messages: tuple[str, ...] = ()


def shortened(text: object) -> str:
    """Return an error's text on one line, cut where it gets long."""
    line = " ".join(str(text).split())
    return line if len(line) <= _MAX_TEXT else line[:_MAX_TEXT] + "…"
