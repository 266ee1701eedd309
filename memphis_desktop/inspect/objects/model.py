"""The record of an object as it stands in the stream: read from whoever wrote it, written for everyone."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from memphis_desktop.errors import Failure
from memphis_desktop.inspect.message import InspectedMessage, format_time
from memphis_desktop.language import tr

from . import names

CHUNK_SIZE = 128 << 10  # as all clients do by default
DIGEST = "SHA-256="
_MOST_PAIRS = 1000


class ObjectProblem(Failure):
    """Something about an object that the user can act on; the text is fit to show."""


@dataclass(frozen=True, slots=True)
class Link:
    """Where a link leads: to an object, or without `name` to a whole bucket."""

    bucket: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What is known of an object.

    Attributes:
        bucket, name: Where it is.
        nuid: Part of the subject of its chunks.
        size: Bytes.
        chunks: How many messages hold them.
        digest: As it is written, ``SHA-256=`` and base64; empty without content.
        modified_ns: When its record was stored, which is when it changed last.
        sequence: Of the record in the stream; 0 before it is stored.
        description: The user's.
        headers: Lines of headers, in order.
        metadata: The user's keys and values.
        chunk_size: What the writer cut it into; 0 when it did not say.
        link: Where it leads, when it is a link.
        deleted: Whether only the record that it was deleted is left.
        problem: Why the record cannot be read; empty when it can.
    """

    bucket: str
    name: str
    nuid: str = ""
    size: int = 0
    chunks: int = 0
    digest: str = ""
    modified_ns: int = 0
    sequence: int = 0
    description: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    chunk_size: int = 0
    link: Link | None = None
    deleted: bool = False
    problem: str = ""

    @property
    def has_content(self) -> bool:
        """Whether there are bytes to read here."""
        return not self.deleted and self.link is None and not self.problem

    def record(self) -> dict[str, Any]:
        """The record as JSON, with the keys that all clients know."""
        made: dict[str, Any] = {"name": self.name}
        if self.description:
            made["description"] = self.description
        if self.headers:
            lines: dict[str, list[str]] = {}
            for key, value in self.headers:
                lines.setdefault(key, []).append(value)
            made["headers"] = lines
        if self.metadata:
            made["metadata"] = dict(self.metadata)
        options: dict[str, Any] = {}
        if self.link is not None:
            options["link"] = {"bucket": self.link.bucket}
            if self.link.name:
                options["link"]["name"] = self.link.name
        if self.chunk_size:
            options["max_chunk_size"] = self.chunk_size
        if options:
            made["options"] = options
        made |= {"bucket": self.bucket, "nuid": self.nuid, "size": self.size}
        made["mtime"] = format_time(self.modified_ns) if self.modified_ns else "0001-01-01T00:00:00Z"
        made["chunks"] = self.chunks
        if self.digest:
            made["digest"] = self.digest
        if self.deleted:
            made["deleted"] = True
        return made

    def as_deleted(self) -> ObjectInfo:
        """The record that stays when it is deleted."""
        return replace(self, deleted=True, size=0, chunks=0, digest="", modified_ns=0)


def read_info(message: InspectedMessage, bucket: str) -> ObjectInfo:
    """The record in a message. What cannot be read is told in `problem`: one bad record hides no others."""
    name = names.object_name(message.subject, bucket) or message.subject
    bare = ObjectInfo(bucket, name, modified_ns=message.time_ns, sequence=message.sequence)
    try:
        made = orjson.loads(message.payload)
    except orjson.JSONDecodeError:
        return replace(bare, problem=tr("The record of this object is not JSON."))
    if not isinstance(made, dict):
        return replace(bare, problem=tr("The record of this object is not a JSON object."))
    options = made.get("options") if isinstance(made.get("options"), dict) else {}
    assert isinstance(options, dict)
    nuid = _text(made.get("nuid"))
    if any(character in nuid for character in ".*> \t\r\n"):
        return replace(bare, problem=tr("The record of this object names chunks that cannot be."))
    return replace(
        bare,
        nuid=nuid,
        size=_count(made.get("size")),
        chunks=_count(made.get("chunks")),
        digest=_text(made.get("digest")),
        description=_text(made.get("description")),
        headers=tuple(_header_lines(made.get("headers"))),
        metadata=_pairs(made.get("metadata")),
        chunk_size=_count(options.get("max_chunk_size")),
        link=_link(options.get("link")),
        deleted=made.get("deleted") is True,
    )


def digest_text(digest: bytes) -> str:
    """How a SHA-256 is written in a record."""
    return DIGEST + base64.urlsafe_b64encode(digest).decode()


def digest_bytes(text: str) -> bytes | None:
    """The SHA-256 in a record, with or without padding; None when it is none."""
    kind, _, value = text.partition("=")
    if kind.upper() != "SHA-256":
        return None
    try:
        found = base64.b64decode(value.rstrip("=") + "=" * (-len(value.rstrip("=")) % 4), altchars=b"-_")
    except (binascii.Error, ValueError):
        return None
    return found if len(found) == hashlib.sha256().digest_size else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63 else 0


def _header_lines(value: object) -> Iterable[tuple[str, str]]:
    if not isinstance(value, dict):
        return
    left = _MOST_PAIRS
    for key, lines in value.items():
        for line in lines if isinstance(lines, list) else [lines]:
            if left and isinstance(line, str):
                left -= 1
                yield key, line


def _pairs(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict):
        return {}
    return {key: item for key, item in list(value.items())[:_MOST_PAIRS] if isinstance(item, str)}


def _link(value: object) -> Link | None:
    if not isinstance(value, dict) or not _text(value.get("bucket")):
        return None
    return Link(_text(value.get("bucket")), _text(value.get("name")))
