"""Making and removing a station so that it is there wholly or not at all.

A station's record says where it stands. *creating* is written first, by compare-and-set, so that of many that
race to make one station a single one does and the others wait for it. Its streams follow, then the record
becomes *ready*. Removing goes the other way round. Every step can be done again: when the copy of the service
at work dies, its record stops changing, and whoever meets it next (a request, or another copy's housekeeping)
takes it over and goes on. A creation that fails for good is undone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

from memphis_desktop.stations import model, streams
from memphis_desktop.stations.buckets import Bucket
from memphis_desktop.stations.control.routes import Context
from memphis_desktop.stations.errors import Conflict, Refusal, StationsError, StorageError
from memphis_desktop.stations.metadata import Versioned, new_id, pattern_for, replace
from memphis_desktop.stations.model import Station, StationState
from memphis_desktop.stations.tasks import end_task

log = logging.getLogger(__name__)

_SIGN_OF_LIFE = 1.5  # seconds between two while at work
STALE = timedelta(seconds=6)
_SHORTEST_POLL, _LONGEST_POLL = 0.02, 0.4  # seconds
_PATIENCE = 18.0  # SDKs repeat a creation after 20 s
_DELETES_AT_ONCE = 64


class _Claim:
    """A station's record while one copy works on it."""

    def __init__(self, context: Context, station: Station, revision: int) -> None:
        self.context = context
        self.station = station
        self.revision = revision
        self._lock = asyncio.Lock()

    async def write(self, **changes: object) -> None:
        """Write the record; raises `Conflict` when another copy took it over."""
        async with self._lock:
            self.station = replace(self.station, updated_at=model.now(), **changes)
            self.revision = await self.context.metadata.stations.replace(self.station, self.revision)

    async def forget(self) -> None:
        """Delete the record."""
        async with self._lock:
            await self.context.metadata.stations.delete(self.station, self.revision)

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Give signs of life meanwhile, so that nobody else takes over."""

        async def signs_of_life() -> None:
            while True:
                await asyncio.sleep(_SIGN_OF_LIFE)
                with contextlib.suppress(StationsError):  # the next write of the work itself tells
                    await self.write()

        task = asyncio.get_running_loop().create_task(signs_of_life())
        try:
            yield
        finally:
            await end_task(task)


async def create_station(context: Context, wanted: Station) -> tuple[Station, bool]:
    """Make a station unless it exists.

    Returns:
        The station, and whether it was made by this call.

    Raises:
        Refusal: It can not be made; nothing is left of it.
        StorageError: JetStream does not answer; it will be finished or undone later.
    """
    stations = context.metadata.stations
    async with _patience(wanted.name):
        while True:
            found = await stations.get(wanted.name)
            if found is None:
                record = replace(wanted, id=new_id(), state=StationState.CREATING)
                with contextlib.suppress(Conflict):  # another was faster
                    claim = _Claim(context, record, await stations.add(record))
                    return await _finish_creation(claim), True
            elif found.record.state is StationState.READY:
                return found.record, False
            else:
                await _wait_or_take_over(context, found)


async def ready_station(context: Context, name: str) -> Station | None:
    """Return a station that is ready, with its streams: what somebody deleted behind its back is made again.

    Raises:
        Refusal: A stream can not be made.
        StorageError: JetStream does not answer.
    """
    while True:
        found = await context.metadata.stations.get(name)
        if found is None or found.record.state is not StationState.READY:
            return None
        if await streams.are_there(context.jetstream, found.record) or await _repair(context, found):
            return found.record


async def _repair(context: Context, found: Versioned[Station]) -> bool:
    """Make the streams of a station that are missing; False when it was changed or removed meanwhile."""
    claim = _Claim(context, found.record, found.revision)
    try:
        await claim.write()  # of those who notice at once one makes them
        await streams.make_streams(context.jetstream, found.record)
        await claim.write()
    except Conflict:
        now = await context.metadata.stations.find(found.record.name)
        if now is None or now.id != found.record.id or now.state is not StationState.READY:
            # They are missing because the station is being removed, which may not see those made just now.
            await streams.delete_streams(context.jetstream, found.record, only_own=True)
        return False
    log.info("Station %s had lost a stream; it was made anew", found.record.name)
    return True


async def remove_station(context: Context, name: str) -> Station | None:
    """Remove a station with all that belongs to it; returns what it was, or None when there was none."""
    stations = context.metadata.stations
    async with _patience(name):
        while True:
            found = await stations.get(name)
            if found is None:
                return None
            if found.record.state is StationState.READY:
                claim = _Claim(context, found.record, found.revision)
                with contextlib.suppress(Conflict):
                    await claim.write(state=StationState.REMOVING)
                    await _finish_removal(claim)
                    return found.record
            else:
                await _wait_or_take_over(context, found)


async def resume_stale(context: Context) -> int:
    """Finish what copies of the service left half done; returns how many stations that were."""
    resumed = 0
    for station in await context.metadata.stations.all():
        if station.state is StationState.READY or model.now() - station.updated_at < STALE:
            continue
        found = await context.metadata.stations.get(station.name)
        if found is not None and found.record == station:
            with contextlib.suppress(StationsError):
                await _take_over(context, found)
                resumed += 1
    return resumed


@contextlib.asynccontextmanager
async def _patience(name: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_PATIENCE):
            yield
    except TimeoutError:
        raise StorageError(f"Station {name} is still being made or removed; try again", 0, 408) from None


async def _wait_or_take_over(context: Context, found: Versioned[Station]) -> None:
    """Return once another copy got on with a station; when it no longer does, do its work."""
    loop = asyncio.get_running_loop()
    end = loop.time() + STALE.total_seconds()
    pause = _SHORTEST_POLL
    while loop.time() < end:
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_POLL)
        now = await context.metadata.stations.get(found.record.name)
        if now is None or now.revision != found.revision:
            return
    with contextlib.suppress(Refusal, Conflict):  # whoever waits tries again by itself and is told
        await _take_over(context, found)


async def _take_over(context: Context, found: Versioned[Station]) -> None:
    claim = _Claim(context, found.record, found.revision)
    try:
        await claim.write()
    except Conflict:
        return
    log.info("Station %s was left %s; going on with it", found.record.name, found.record.state)
    if found.record.state is StationState.CREATING:
        await _finish_creation(claim)
    else:
        await _finish_removal(claim)


async def _finish_creation(claim: _Claim) -> Station:
    context, station = claim.context, claim.station
    async with claim.at_work():
        try:
            await streams.make_streams(context.jetstream, station)
        except StationsError as error:
            if isinstance(error, StorageError) and error.status in (0, 408, 503) and not error.err_code:
                raise  # no answer: what is there stays, to be gone on with
            await claim.write(state=StationState.REMOVING)
            await streams.delete_streams(context.jetstream, station, only_own=True)
            await claim.forget()
            raise
    await claim.write(state=StationState.READY)
    by = f" by user {station.created_by}" if station.created_by else ""
    await context.audit(
        f"Station {station.name} has been created{by}", username=station.created_by, station=station.name
    )
    return claim.station


async def _finish_removal(claim: _Claim) -> None:
    context, station = claim.context, claim.station
    metadata = context.metadata
    async with claim.at_work():
        await streams.delete_streams(context.jetstream, station, only_own=False)
        rows = pattern_for(station.name)
        await delete_keys(metadata.producers.bucket, rows)
        await delete_keys(metadata.consumers.bucket, rows)
        await delete_keys(metadata.dead_letters.bucket, rows)
        await metadata.jetstream.request(
            f"STREAM.PURGE.{metadata.payloads.stream}", {"filter": metadata.payloads.prefix + rows}
        )
        for other in await metadata.stations.all():
            if other.dls_station == station.name and other.name != station.name:
                await metadata.stations.change((other.name,), _without_dls_station(station.name))
    await claim.forget()


def _without_dls_station(name: str) -> Callable[[Station | None], Station | None]:
    def change(station: Station | None) -> Station | None:
        if station is None or station.dls_station != name:
            return station
        return replace(station, dls_station="", updated_at=model.now())

    return change


async def delete_keys(bucket: Bucket, pattern: str) -> None:
    """Delete all keys that match."""
    keys = [key async for key in bucket.matching(pattern)]
    for start in range(0, len(keys), _DELETES_AT_ONCE):
        await asyncio.gather(*(bucket.delete(key) for key in keys[start : start + _DELETES_AT_ONCE]))
