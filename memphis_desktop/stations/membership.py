"""Members of consumer groups that come and go, and groups that begin and end with them.

A member's row is written before its group's durables are made. Of the last of a name the row is marked as
leaving first and removed last, after the group's durables when no active member is left; whoever joins waits
until no row of the group is marked. So of a member that comes while the last one goes either the row was
there when the leaving one looked, and the group stays, or it waits until the group is gone and makes it anew.
What a copy of the service that died left half done is gone on with: by the SDK that asks again, by whoever
joins, or by housekeeping. Rows and durables are in `groups`; here is what is done with them.
"""

from __future__ import annotations

import contextlib

from memphis_desktop.stations import connections, dead_letters, groups, model
from memphis_desktop.stations.control.routes import Context
from memphis_desktop.stations.errors import Refusal, StationsError
from memphis_desktop.stations.metadata import replace
from memphis_desktop.stations.model import Consumer, Station


async def join(context: Context, station: Station, wanted: Consumer) -> None:
    """Write a member's row and see to its group; what was written is taken back when the group can not be.

    Raises:
        Refusal: JetStream does not take the options, or the station has gone.
        StorageError: JetStream does not answer.
    """
    metadata = context.metadata

    def one_more(present: Consumer | None) -> Consumer:
        if present is None or not present.count:
            return replace(wanted, leaving_since=None if present is None else present.leaving_since)
        return replace(present, count=present.count + 1)

    mine = await metadata.consumers.change(groups.key_of(wanted), one_more, likely_new=True)
    assert mine is not None
    try:
        others = await groups.settled_members(metadata, wanted.station, wanted.group)
        joins = mine.count > 1
        for other in others:
            joins = joins or (
                groups.key_of(other) != groups.key_of(mine) and await groups.is_active(metadata, other)
            )
        await groups.make_group(metadata, station, wanted, joins=joins)
    except BaseException:
        await _take_back(context, wanted)
        raise


async def _take_back(context: Context, wanted: Consumer) -> None:
    """Forget a member whose group could not be made, and with the only one what was made of the group."""
    others = await groups.members(context.metadata, wanted.station, wanted.group)
    if any(groups.key_of(other) != groups.key_of(wanted) for other in others):

        def one_less(present: Consumer | None) -> Consumer | None:
            if present is None or not present.count:
                return present
            left = replace(present, count=present.count - 1)
            return left if left.count or left.leaving_since is not None else None

        await context.metadata.consumers.change(groups.key_of(wanted), one_less)
        return
    with contextlib.suppress(Refusal):
        await leave(context, wanted, "")


async def leave(context: Context, member: Consumer, unknown: str) -> None:
    """Take one away of a name on a connection; with the last active member the group ends.

    It can be asked for again when it failed or when there was no answer in time.

    Raises:
        Refusal: There is none; the text is `unknown`.
        StorageError: JetStream does not answer.
    """

    def one_less(present: Consumer | None) -> Consumer:
        if present is None:
            raise Refusal(unknown, "not_found")
        if present.count > 1:
            return replace(present, count=present.count - 1)
        return replace(present, count=0, leaving_since=model.now())

    row = await context.metadata.consumers.change(groups.key_of(member), one_less)
    assert row is not None
    if not row.count:
        await _finish(context, row)


async def finish_leaving(context: Context) -> None:
    """Go on with what copies of the service left half done."""
    limit = model.now() - 2 * groups.LONGEST_LEAVING
    for member in await context.metadata.consumers.all():
        if member.leaving_since is not None and member.leaving_since < limit:
            with contextlib.suppress(StationsError):
                await _resume(context, member)


async def _resume(context: Context, member: Consumer) -> None:
    def again(present: Consumer | None) -> Consumer | None:
        return replace(member, leaving_since=model.now()) if present == member else present

    row = await context.metadata.consumers.change(groups.key_of(member), again)
    if row is not None and row.leaving_since is not None:
        await _finish(context, row)


async def _finish(context: Context, gone: Consumer) -> None:
    """End the group of a row that is marked, if no active member is left, and remove the row."""
    metadata = context.metadata
    await connections.all_noted(metadata.jetstream)
    if not await groups.active_members(metadata, gone.station, gone.group):
        station = await metadata.station(gone.station)
        if station is not None:  # with one that is being removed everything goes
            await _end_group(context, station, gone.group)
    await groups.left(metadata, gone)


async def _end_group(context: Context, station: Station, group: str) -> None:
    metadata = context.metadata
    await groups.delete_group(metadata, station, group)
    await dead_letters.forget_group(metadata, station.name, group)
    for back in await groups.active_members(metadata, station.name, group):
        # Its connection came back meanwhile, or it would wait no longer.
        await groups.make_group(metadata, station, back, joins=True)
        return
