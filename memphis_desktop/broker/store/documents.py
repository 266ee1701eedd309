"""Small documents (configurations) kept twice in one file, so that damage to either copy costs nothing."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from memphis_desktop.broker.store.files import FileSystem
from memphis_desktop.broker.store.records import CONFIGURATION, Record, pack_record, scan

_BLOCK = 4096  # the copies never share a block of the medium


class Document(NamedTuple):
    """What was written: the name it is about, the store's own notes, and the caller's bytes."""

    name: str
    notes: dict[str, Any]
    content: bytes
    revision: int


def encode_document(name: str, notes: dict[str, Any], content: bytes, revision: int = 0) -> bytes:
    """Return the bytes of a document file."""
    own = json.dumps(notes, separators=(",", ":")).encode()

    def copy(offset: int) -> bytes:
        return pack_record(
            CONFIGURATION,
            revision,
            0,
            own + content,
            0,
            offset,
            name.encode("utf-8", "surrogateescape"),
            len(own),
        )

    first = copy(0)
    start = -(-len(first) // _BLOCK) * _BLOCK
    return first.ljust(start, b"\x00") + copy(start)


def document_of(record: Record) -> Document:
    """Return the document in a CONFIGURATION record."""
    notes = json.loads(record.body[: record.header_size])
    name = record.subject.decode("utf-8", "surrogateescape")
    return Document(name, notes, record.body[record.header_size :], record.sequence)


def decode_document(data: bytes) -> tuple[Document | None, bool]:
    """Return the document in a file's bytes, None when no copy is whole; and whether both copies are."""
    found = [item for item in scan(data, 0, 0) if isinstance(item, Record) and item.kind == CONFIGURATION]
    if not found:
        return None, False
    return document_of(found[0]), len(found) == 2


def read_document(files: FileSystem, path: Path) -> tuple[Document | None, bool]:
    """Read a document file; a damaged or unreadable one is None."""
    try:
        data = files.read_whole(path)
    except OSError:
        return None, False
    return decode_document(data)


def write_document(files: FileSystem, path: Path, document: Document, *, synced: bool = True) -> None:
    """Replace a document file atomically and durably; without `synced`, durably once the system wrote it.

    Raises:
        OSError: the old one stays.
    """
    files.replace(path, encode_document(*document), synced=synced)


def folder_name(name: str) -> str:
    """Return the folder of something by name: readable, and safe on every file system.

    Names that differ in case only get different folders where the system ignores case; none can leave its
    parent, be reserved, or be too long.
    """
    readable = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "-_") else "_" for letter in name
    )
    digest = sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return f"{readable[:64]}-{digest}"
