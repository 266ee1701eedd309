"""Reading a bucket: names by pages, records of those that are looked at, and the bytes of one object."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from memphis_desktop.inspect import words
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.files import WholeFile, not_written
from memphis_desktop.inspect.last_values import last_values
from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.language import tr

from . import names
from .model import ObjectInfo, ObjectProblem, digest_bytes, read_info

if TYPE_CHECKING:
    from memphis_desktop.cluster.session import Session

MOST_NAMES = 1_000_000
HEAD_BYTES = 64 << 10
_CHUNKS_AT_ONCE = 32  # of 128 KiB as a rule; a batch ends early when its messages are large
_LINKS_DEEP = 8
_FAR = 2_000_000_000  # beyond all subjects: the answer tells how many there are and lists none
_LIST_TIMEOUT = 20.0


@dataclass(slots=True)
class NameList:
    """The names of a bucket.

    Attributes:
        names: Those that could be read.
        total: How many records there are.
        unreadable: How many subjects among those read are no names.
    """

    names: list[str] = field(default_factory=list)
    total: int = 0
    unreadable: int = 0

    @property
    def complete(self) -> bool:
        """Whether these are all."""
        return len(self.names) + self.unreadable >= self.total


async def list_names(
    reader: MessageReader, bucket: str, progress: Callable[[NameList], None] = lambda found: None
) -> NameList:
    """Read the names of all objects, deleted ones too, but no record: up to `MOST_NAMES`.

    The server lists its subjects by pages; each is decoded in a thread.

    Raises:
        ReadError: The server did not answer or refused.
    """
    found = NameList()
    subject = f"{reader.api_prefix}.STREAM.INFO.{reader.stream}"
    offset = 0
    while True:
        asked = orjson.dumps({"subjects_filter": names.all_infos(bucket), "offset": offset})
        _, payload = await reader.connection.request(subject, asked, _LIST_TIMEOUT)
        page, unreadable, total = await asyncio.to_thread(_names_of, payload, bucket)
        found.names += page
        found.unreadable += unreadable
        found.total = total
        offset += len(page) + unreadable
        progress(found)
        if not (page or unreadable) or offset >= min(total, MOST_NAMES):
            return found


def _names_of(payload: bytes, bucket: str) -> tuple[list[str], int, int]:
    answer = orjson.loads(payload)
    failure = answer.get("error")
    if failure:
        raise ReadError(
            int(failure.get("code") or 0),
            int(failure.get("err_code") or 0),
            str(failure.get("description") or ""),
        )
    subjects = (answer.get("state") or {}).get("subjects") or {}
    found = [names.object_name(subject, bucket) for subject in subjects]
    readable = [name for name in found if name is not None]
    return readable, len(found) - len(readable), int(answer.get("total") or len(found))


async def count_names(session: Session, bucket: str) -> int:
    """How many records a bucket has, deleted ones too; raises `ClusterError`."""
    asked = {"subjects_filter": names.all_infos(bucket), "offset": _FAR}
    answer = await session.api(f"STREAM.INFO.{names.stream_name(bucket)}", asked)
    return int(answer.get("total") or len((answer.get("state") or {}).get("subjects") or {}))


async def read_infos(
    reader: MessageReader, bucket: str, wanted: Sequence[str]
) -> AsyncIterator[list[ObjectInfo]]:
    """Yield the records of these names, some at a time; names that are gone are left out.

    Raises:
        ReadError: The server did not answer or refused.
    """
    subjects = [names.info_subject(bucket, name) for name in wanted]
    async for messages in last_values(reader, subjects):
        yield [read_info(message, bucket) for message in messages]


async def read_one(reader: MessageReader, bucket: str, name: str) -> ObjectInfo | None:
    """The record of one object, deleted or not; None when there is none. Raises `ReadError`."""
    message = await reader.last_on(names.info_subject(bucket, name))
    return read_info(message, bucket) if message is not None else None


async def follow(session: Session, info: ObjectInfo) -> tuple[MessageReader, ObjectInfo]:
    """Go along links to what has the bytes; returns it with a reader of its bucket, to be closed.

    Raises:
        ObjectProblem: The link leads nowhere, to a bucket, or in a circle.
        ReadError: The server did not answer or refused.
    """
    for _ in range(_LINKS_DEEP):
        if info.link is not None and not info.link.name:
            raise ObjectProblem(
                tr("{name} leads to the whole bucket {bucket}.", name=info.name, bucket=info.link.bucket)
            )
        bucket, name = (info.bucket, info.name) if info.link is None else (info.link.bucket, info.link.name)
        if names.check_bucket(bucket):
            raise ObjectProblem(tr("The link {name} leads to no bucket.", name=info.name))
        reader = await open_reader(session, bucket)
        if info.link is None:
            return reader, info
        try:
            found = await read_one(reader, bucket, name)
        finally:
            await reader.close()
        if found is None or found.deleted:
            raise ObjectProblem(
                tr("The link leads to {name} in {bucket}, which is not there.", name=name, bucket=bucket)
            )
        info = found
    raise ObjectProblem(tr("The links lead on and on: more than {count}.", count=_LINKS_DEEP))


async def open_reader(session: Session, bucket: str) -> MessageReader:
    """A reader of a bucket's stream with a connection of its own; raises `ReadError`."""
    return await MessageReader.open(
        session,
        names.stream_name(bucket),
        api_prefix=session.profile.api_prefix,
        cache_bytes=1,  # chunks pass once
        timeout=max(5.0, session.profile.request_timeout),
    )


async def read_chunks(reader: MessageReader, info: ObjectInfo) -> AsyncIterator[bytes]:
    """Yield the bytes of an object, chunk by chunk, a few megabytes in memory at most.

    Raises:
        ObjectProblem: Chunks are missing, or there are more bytes than the record says.
        ReadError: The server did not answer or refused.
    """
    await reader.refresh()
    subject = names.chunk_subject(info.bucket, info.nuid)
    position, chunks, size = 0, 0, 0
    while chunks < info.chunks:
        count = min(_CHUNKS_AT_ONCE, info.chunks - chunks)
        page = await reader.forward(position, count, subject)
        if not page.messages:
            break
        for message in page.messages[:count]:
            chunks += 1
            size += len(message.payload)
            yield message.payload
        position = page.messages[:count][-1].sequence + 1
    if chunks < info.chunks or size != info.size:
        raise ObjectProblem(
            tr(
                "{name} is not whole: its record tells of {wanted} bytes, and there are {found}.",
                name=info.name,
                wanted=words.integer(info.size),
                found=words.integer(size),
            )
        )


async def read_head(reader: MessageReader, info: ObjectInfo, limit: int = HEAD_BYTES) -> bytes:
    """The first bytes of an object; raises `ReadError`."""
    if not info.chunks:
        return b""
    subject = names.chunk_subject(info.bucket, info.nuid)
    data = b""
    position = 0
    await reader.refresh()
    while len(data) < limit:
        page = await reader.forward(position, 1, subject)
        if not page.messages:
            break
        data += page.messages[0].payload[: limit - len(data)]
        position = page.messages[0].sequence + 1
    return data


async def download(
    session: Session, info: ObjectInfo, path: Path, progress: Callable[[int], None] = lambda done: None
) -> ObjectInfo:
    """Write an object to a file that appears under its name when all is there and its digest is right.

    Links are followed. Returns what was read.

    Raises:
        ObjectProblem: It is not whole, or its digest is another.
        FileProblem: The file cannot be written.
        ReadError: The server did not answer or refused.
    """
    reader, info = await follow(session, info)
    try:
        digest = hashlib.sha256()
        async with WholeFile(path) as whole:
            done = 0

            def write(data: bytes) -> None:
                digest.update(data)
                whole.file.write(data)

            async for data in read_chunks(reader, info):
                try:
                    await asyncio.to_thread(write, data)
                except OSError as error:
                    raise not_written(path, error) from None
                done += len(data)
                progress(done)
            check_digest(info, digest.digest())
            whole.complete = True
    finally:
        await reader.close()
    return info


async def verify(
    session: Session, info: ObjectInfo, progress: Callable[[int], None] = lambda done: None
) -> ObjectInfo:
    """Read all bytes and compare their digest with the record's; raises as `download` does."""
    reader, info = await follow(session, info)
    try:
        digest = hashlib.sha256()
        done = 0
        async for data in read_chunks(reader, info):
            await asyncio.to_thread(digest.update, data)
            done += len(data)
            progress(done)
        check_digest(info, digest.digest())
    finally:
        await reader.close()
    return info


def check_digest(info: ObjectInfo, found: bytes) -> None:
    """Raise `ObjectProblem` when bytes with this SHA-256 are not the object."""
    wanted = digest_bytes(info.digest)
    if wanted is None and not info.size:
        return  # some clients write none for an empty object
    if wanted is None:
        raise ObjectProblem(tr("{name} has no digest that can be checked.", name=info.name))
    if wanted != found:
        raise ObjectProblem(
            tr("The bytes of {name} do not fit its digest: they are damaged.", name=info.name)
        )


def file_digest(path: Path) -> tuple[bytes, int]:
    """SHA-256 and size of a file; blocks, so it belongs in a thread. Raises `OSError`."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return digest.digest(), file.tell()
