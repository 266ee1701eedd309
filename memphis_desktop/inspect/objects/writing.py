"""Changing what a bucket holds: storing from a stream of bytes, new records, links, copies, deleting.

An object is there when its record is: chunks go first, under a subject of their own, and what does not come
to its end is purged. What the record named before is purged afterwards, so that readers find the one or the
other.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from nats.nuid import NUID

from memphis_desktop.cluster.actions import Action
from memphis_desktop.cluster.actions.objects import Publishing, change_object, delete_object, put_object
from memphis_desktop.cluster.failures import ApiError, ClusterError
from memphis_desktop.inspect import publishing
from memphis_desktop.inspect.message import Headers
from memphis_desktop.inspect.publishing import Acknowledgement, Publisher, PublishError
from memphis_desktop.inspect.reader import stored_message
from memphis_desktop.language import tr

from . import names, reading
from .model import CHUNK_SIZE, Link, ObjectInfo, ObjectProblem, digest_text, read_info

if TYPE_CHECKING:
    from memphis_desktop.cluster.session import Session

log = logging.getLogger(__name__)

_IN_FLIGHT = 2 << 20  # bytes sent and not confirmed
_PATIENCE = 60.0  # seconds for the confirmation of a chunk on a slow line
_SETTLING = 5.0  # seconds that breaking off may take
_CLEANING_TRIES, _CLEANING_PAUSE = 30, 2.0
_cleaning: set[asyncio.Task[None]] = set()
_ROLLUP = ("Nats-Rollup", "sub")
_WRONG_SEQUENCE = (10071, 10164)
_NOTHING = Headers()


@dataclass(frozen=True, slots=True)
class Description:
    """What the user says of an object."""

    description: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    metadata: Mapping[str, str] | None = None


async def file_chunks(path: Path, size: int) -> AsyncIterator[bytes]:
    """Yield a file in pieces, read in a thread; raises `ObjectProblem`."""
    try:
        file = await asyncio.to_thread(path.open, "rb")
        try:
            while data := await asyncio.to_thread(file.read, size):
                yield data
        finally:
            file.close()
    except OSError as error:
        raise ObjectProblem(
            tr("{path} cannot be read: {strerror}", path=path, strerror=error.strerror)
        ) from None


async def upload(
    session: Session,
    bucket: str,
    name: str,
    path: Path,
    about: Description = Description(),
    progress: Callable[[int], None] = lambda done: None,
) -> ObjectInfo:
    """Store a file; `progress` is told how many bytes are confirmed.

    Raises:
        ObjectProblem: The file cannot be read, or the server refused: nothing of it stays behind.
        ClusterError: As requests do.
    """
    action = put_object(bucket, name, names.info_subject(bucket, name), str(path), about.description)
    async with Publishing(session, action) as done:
        made = await store(session, bucket, name, file_chunks(path, chunk_size(session)), about, progress)
        done.answer = made.record()
    return made


def chunk_size(session: Session) -> int:
    """The size of chunks: the usual one, or less where the server takes no messages so large."""
    most = session.nats.max_payload
    return min(CHUNK_SIZE, most) if most > 0 else CHUNK_SIZE


async def store(
    session: Session,
    bucket: str,
    name: str,
    chunks: AsyncIterator[bytes],
    about: Description,
    progress: Callable[[int], None],
) -> ObjectInfo:
    """Store bytes as an object, in place of what has the name; raises as `upload` does."""
    if problem := names.check_object(name):
        raise ObjectProblem(problem)
    session.require_writable()
    before = await _current(session, bucket, name)
    nuid = _new_nuid()
    subject = names.chunk_subject(bucket, nuid)
    try:
        count, size, digest = await _send_chunks(session, subject, chunks, progress)
        made = ObjectInfo(
            bucket,
            name,
            nuid,
            size,
            count,
            digest_text(digest),
            description=about.description,
            headers=about.headers,
            metadata=dict(about.metadata or {}),
            chunk_size=chunk_size(session),
        )
        ack = await _unbroken(_write_record(session, made))
    except BaseException:
        await _clean_up(session, bucket, name, nuid)
        raise
    if before is not None and before.nuid and before.nuid != nuid:
        with suppress(ClusterError):  # the object is stored; what it replaced takes room only
            await _purge(session, bucket, names.chunk_subject(bucket, before.nuid))
    return replace(made, sequence=ack.sequence)


async def _send_chunks(
    session: Session, subject: str, chunks: AsyncIterator[bytes], progress: Callable[[int], None]
) -> tuple[int, int, bytes]:
    digest = hashlib.sha256()
    count = size = confirmed = 0
    failed: list[PublishError] = []

    def settled(length: int, result: Acknowledgement | PublishError) -> None:
        nonlocal confirmed
        if isinstance(result, PublishError):
            failed.append(result)
            return
        confirmed += length
        progress(confirmed)

    most = max(1, _IN_FLIGHT // chunk_size(session))
    try:
        async with Publisher(session.nats, settled, max_in_flight=most, timeout=_PATIENCE) as publisher:
            try:
                async for data in chunks:
                    if failed:
                        break
                    _heed_cancelling()
                    await asyncio.to_thread(digest.update, data)
                    count += 1
                    size += len(data)
                    await publisher.publish(len(data), subject, data, _NOTHING)
                if not failed:
                    await publisher.drain()
                _heed_cancelling()
            finally:
                await _settle(publisher)
    except PublishError as error:
        failed.append(error)
    if failed:
        raise ObjectProblem(_why(failed[0]))
    return count, size, digest.digest()


async def copy(
    session: Session,
    source: ObjectInfo,
    bucket: str,
    name: str,
    progress: Callable[[int], None] = lambda done: None,
) -> ObjectInfo:
    """Store the bytes of an object, or of what it links to, once more under another name or elsewhere.

    They pass through this program, and their digest is checked on the way.

    Raises:
        ObjectProblem, ReadError, ClusterError: As `upload` and `reading.follow`.
    """
    if (source.bucket, source.name) == (bucket, name):
        raise ObjectProblem(tr("An object is no copy of itself: choose another name."))
    title = tr("Copy object {name} to {target} in {bucket}", name=source.name, target=name, bucket=bucket)
    shown = change_object(title, bucket, names.info_subject(bucket, name), {}, {})
    async with Publishing(session, shown) as done:
        reader, content = await reading.follow(session, source)
        try:
            about = Description(content.description, content.headers, content.metadata)
            chunks = _checked(reading.read_chunks(reader, content), content)
            made = await store(session, bucket, name, chunks, about, progress)
        finally:
            await reader.close()
        done.answer = made.record()
    return made


async def _checked(chunks: AsyncIterator[bytes], info: ObjectInfo) -> AsyncIterator[bytes]:
    """Pass chunks on; raises `ObjectProblem` at the end when their digest is another."""
    digest = hashlib.sha256()
    async for data in chunks:
        digest.update(data)
        yield data
    reading.check_digest(info, digest.digest())


async def describe(session: Session, before: ObjectInfo, after: ObjectInfo) -> None:
    """Change description, headers and metadata, and the name where it is another.

    The record must be as it was read: who changed it meanwhile is not written over.

    Raises:
        ObjectProblem: It was changed meanwhile, or something has the new name.
        ClusterError: As requests do.
    """
    if problem := names.check_object(after.name):
        raise ObjectProblem(problem)
    renamed = after.name != before.name
    title = (
        tr("Rename object {name} to {target}", name=before.name, target=after.name)
        if renamed
        else tr("Change object {name} of {bucket}", name=before.name, bucket=before.bucket)
    )
    subject = names.info_subject(after.bucket, after.name)
    action = change_object(title, after.bucket, subject, after.record(), before.record())
    async with Publishing(session, action) as done:
        if not renamed:
            ack = await _write_record(session, after, expected=before.sequence)
        else:
            current = await _current(session, before.bucket, before.name)
            if current is None or current.sequence != before.sequence:
                raise ObjectProblem(_changed(before.name))
            there = await _current(session, after.bucket, after.name)
            if there is not None and not there.deleted:
                raise ObjectProblem(tr("There is an object with the name {name} already.", name=after.name))
            expected = there.sequence if there is not None else 0
            ack = await _write_record(session, after, expected=expected)
            await _purge(session, before.bucket, names.info_subject(before.bucket, before.name))
        done.answer = {"stream": ack.stream, "seq": ack.sequence}


async def link(session: Session, bucket: str, name: str, target: Link) -> None:
    """Make a name that leads to an object or a bucket.

    Raises:
        ObjectProblem: Something other than a link has the name.
        ClusterError: As requests do.
    """
    if problem := names.check_object(name) or names.check_bucket(target.bucket):
        raise ObjectProblem(problem)
    made = ObjectInfo(bucket, name, _new_nuid(), link=target)
    where = f"{target.bucket}/{target.name}" if target.name else target.bucket
    title = tr("Link {name} in {bucket} to {where}", name=name, bucket=bucket, where=where)
    action = change_object(title, bucket, names.info_subject(bucket, name), made.record(), {})
    async with Publishing(session, action) as done:
        there = await _current(session, bucket, name)
        if there is not None and not there.deleted and there.link is None:
            raise ObjectProblem(tr("There is an object with the name {name} already.", name=name))
        expected = there.sequence if there is not None else 0
        ack = await _write_record(session, made, expected=expected)
        done.answer = {"stream": ack.stream, "seq": ack.sequence}


def deletion(info: ObjectInfo) -> Action:
    """The action that deletes an object, fit to show."""
    subject = names.info_subject(info.bucket, info.name)
    return delete_object(info.bucket, info.name, subject, info.as_deleted().record(), info.record())


async def delete(session: Session, info: ObjectInfo) -> None:
    """Delete an object as it was read: a record that it is gone stays.

    Raises:
        ObjectProblem: It was changed meanwhile.
        ClusterError: As requests do.
    """
    async with Publishing(session, deletion(info)) as done:
        ack = await _write_record(session, info.as_deleted(), expected=info.sequence)
        if info.nuid:
            await _purge(session, info.bucket, names.chunk_subject(info.bucket, info.nuid))
        done.answer = {"stream": ack.stream, "seq": ack.sequence}


async def _current(session: Session, bucket: str, name: str) -> ObjectInfo | None:
    """The record as it is now; raises `ClusterError`."""
    stream, subject = names.stream_name(bucket), names.info_subject(bucket, name)
    # Asked for a message that there is not, a server would count an error.
    info = await session.api(f"STREAM.INFO.{stream}", {"subjects_filter": subject})
    if not (info.get("state") or {}).get("subjects"):
        return None
    try:
        answer = await session.api(f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject})
    except ApiError as error:
        if error.err_code == 10037:  # no message found
            return None
        raise
    return read_info(stored_message(stream, answer["message"]), bucket)


async def _write_record(session: Session, info: ObjectInfo, expected: int | None = None) -> Acknowledgement:
    """Store a record in place of the one before; with `expected`, only if that has this sequence."""
    lines = [_ROLLUP]
    if expected is not None:
        lines.append(("Nats-Expected-Last-Subject-Sequence", str(expected)))
    subject = names.info_subject(info.bucket, info.name)
    payload = orjson.dumps(info.record())
    try:
        return await publishing.publish(
            session.nats,
            subject,
            payload,
            Headers(lines),
            timeout=max(5.0, session.profile.request_timeout),
        )
    except PublishError as error:
        if error.err_code in _WRONG_SEQUENCE:
            raise ObjectProblem(_changed(info.name)) from None
        raise ObjectProblem(_why(error)) from None


def _changed(name: str) -> str:
    return tr("{name} was changed meanwhile, by another program. Look at it again first.", name=name)


def _why(error: PublishError) -> str:
    if error.kind == "no stream":
        return tr("The bucket is not there any more.")
    return tr("The server did not store it: {reason}", reason=str(error))


async def _purge(session: Session, bucket: str, subject: str) -> None:
    await session.api(f"STREAM.PURGE.{names.stream_name(bucket)}", {"filter": subject})


def _heed_cancelling() -> None:
    """Raise `CancelledError` when this task was cancelled.

    What it waited for may have ended just then; before Python 3.12 that hides the cancelling.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _settle(publisher: Publisher) -> None:
    """Wait, not for long, until what is on its way has arrived: stored after the purge, it would stay."""
    if publisher.in_flight:
        draining = asyncio.ensure_future(publisher.drain())
        with suppress(asyncio.CancelledError):
            await asyncio.wait([draining], timeout=_SETTLING)
        draining.cancel()


async def _unbroken(writing: Coroutine[Any, Any, Acknowledgement]) -> Acknowledgement:
    """Wait for a record that is on its way: who is cancelled meanwhile has stored it, or has not."""
    task = asyncio.ensure_future(writing)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if task.cancelled() or task.exception() is not None:
            raise
        current = asyncio.current_task()
        if current is not None:
            current.uncancel()
        return task.result()


async def _clean_up(session: Session, bucket: str, name: str, nuid: str) -> None:
    """Purge what was begun, also while the task is being cancelled; while the broker is away, later."""
    task = asyncio.ensure_future(_purge_patiently(session, bucket, name, nuid))
    _cleaning.add(task)
    task.add_done_callback(_cleaning.discard)
    with suppress(asyncio.CancelledError):
        await asyncio.wait([task], timeout=_SETTLING)


async def _purge_patiently(session: Session, bucket: str, name: str, nuid: str) -> None:
    subject = names.chunk_subject(bucket, nuid)
    for _ in range(_CLEANING_TRIES):
        try:
            there = await _current(session, bucket, name)
            if there is not None and there.nuid == nuid:
                return  # its record was stored, though nobody heard of it
            await _purge(session, bucket, subject)
        except ApiError as error:  # the bucket is gone, or sealed
            log.info("chunks of an upload that was broken off stay: %s", error)
            return
        except ClusterError:
            await asyncio.sleep(_CLEANING_PAUSE)
        else:
            return
    log.warning("chunks of an upload that was broken off stay on %s", subject)


def _new_nuid() -> str:
    return str(NUID().next().decode())
