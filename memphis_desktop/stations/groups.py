"""Consumer groups: the durable consumers behind them, one on each partition (5.1 of the Memphis protocol).

Whether a group exists, JetStream says; who its members are, the consumers' bucket. `membership` is about
members that come and go.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from memphis_desktop.stations.errors import Refusal, StorageError
from memphis_desktop.stations.metadata import Metadata, pattern_for, replace
from memphis_desktop.stations.model import Consumer, Station
from memphis_desktop.stations.names import internal_name, key_token, message_subject

GROUP_METADATA = "memphis.group"
DEFAULT_ACK_TIME, MOST_DELIVERIES = 30_000, 10
_AT_ONCE = 16
_SHORTEST_POLL, _LONGEST_POLL = 0.02, 0.4  # seconds
LONGEST_LEAVING = timedelta(seconds=12)
"""After which a member that leaves is no longer waited for: the copy that saw to it is gone."""
_START_KEYS = ("deliver_policy", "opt_start_seq", "opt_start_time")


def durable_config(consumer: Consumer, stream: str, last_sequence: int) -> dict[str, Any]:
    """Return the configuration of a group's durable on one partition.

    Args:
        consumer: The member that asks for it.
        stream: The partition's stream.
        last_sequence: The stream's last sequence, from which `last_messages` counts back.
    """
    config: dict[str, Any] = {
        "durable_name": internal_name(consumer.group),
        "ack_policy": "explicit",
        "ack_wait": consumer.max_ack_time_ms * 1_000_000,
        "max_deliver": consumer.max_msg_deliveries,
        "filter_subject": message_subject(stream),
        "replay_policy": "instant",
        "max_ack_pending": -1,
        "deliver_policy": "all",
        "metadata": {GROUP_METADATA: consumer.group},
    }
    if consumer.last_messages > 0:
        start = max(1, last_sequence - consumer.last_messages + 1)
        config |= {"deliver_policy": "by_start_sequence", "opt_start_seq": start}
    elif consumer.last_messages == 0 and consumer.start_consume_from_sequence <= 1:
        config["deliver_policy"] = "new"
    elif consumer.start_consume_from_sequence > 1:
        start = consumer.start_consume_from_sequence
        config |= {"deliver_policy": "by_start_sequence", "opt_start_seq": start}
    return config


async def make_group(metadata: Metadata, station: Station, consumer: Consumer, *, joins: bool) -> None:
    """Make the durables of a group, or give those that exist the ack time and deliveries of `consumer`.

    Args:
        metadata: Where.
        station: Whose group.
        consumer: The member that asks.
        joins: Whether the group has another active member: then where it starts is settled, and a start that
            differs is not looked at.

    Raises:
        Refusal: JetStream does not take the options.
    """

    async def make(stream: str) -> None:
        info = await metadata.jetstream.stream_info(stream)
        if info is None:
            raise Refusal(f"Station {station.name} does not exist", "not_found")
        wanted = durable_config(consumer, stream, info["state"]["last_seq"])
        present = await metadata.jetstream.consumer_info(stream, wanted["durable_name"])
        if present is None:
            try:
                await metadata.jetstream.create_durable(stream, wanted)
                return
            except StorageError:
                present = await metadata.jetstream.consumer_info(stream, wanted["durable_name"])
                if present is None:
                    raise
            settled = True  # another member was faster
        else:
            # Counted back from a newer last message, a start would differ each time; and where a group was is
            # what an application wants that comes back.
            settled = joins or consumer.last_messages > 0
        await _update(metadata, stream, present["config"], wanted, keeps_start=settled)

    try:
        for start in range(0, len(station.streams), _AT_ONCE):
            await asyncio.gather(*(make(s) for s in station.streams[start : start + _AT_ONCE]))
    except StorageError as error:
        if not error.err_code:
            raise
        raise Refusal(str(error)) from None


async def _update(
    metadata: Metadata, stream: str, present: dict[str, Any], wanted: dict[str, Any], *, keeps_start: bool
) -> None:
    """Change a durable where it differs."""
    left_alone = {"metadata", *(_START_KEYS if keeps_start else ())}
    changes = {key: value for key, value in wanted.items() if key not in left_alone}
    if any(present.get(key) != value for key, value in changes.items()):
        await metadata.jetstream.create_durable(stream, {**present, **changes})


async def delete_group(metadata: Metadata, station: Station, group: str) -> None:
    """Delete the durables of a group."""
    durable = internal_name(group)
    for start in range(0, len(station.streams), _AT_ONCE):
        batch = station.streams[start : start + _AT_ONCE]
        await asyncio.gather(*(metadata.jetstream.delete_consumer(stream, durable) for stream in batch))


async def restore(metadata: Metadata, connection: str) -> None:
    """Make groups again that ended while a connection was closed: it has come back and wants to consume."""
    rows = await metadata.consumers.select(f"*.*.*.{key_token(connection)}")
    for member in {(row.station, row.group): row for row in rows if row.count}.values():
        station = await metadata.station(member.station)
        if station is None:
            continue
        # Groups end wholly, from the first partition on.
        durable = internal_name(member.group)
        if await metadata.jetstream.consumer_info(station.streams[0], durable) is None:
            await make_group(metadata, station, member, joins=True)


async def members(metadata: Metadata, station: str, group: str) -> list[Consumer]:
    """Return the rows of a group's members, with those whose connection is closed, and who just leaves."""
    return await metadata.consumers.select(pattern_for(station, group))


async def settled_members(metadata: Metadata, station: str, group: str) -> list[Consumer]:
    """Return the rows of a group's members once none of them is just leaving, perhaps with the group."""
    loop = asyncio.get_running_loop()
    end = loop.time() + LONGEST_LEAVING.total_seconds()
    pause = _SHORTEST_POLL
    while True:
        found = await members(metadata, station, group)
        leaving = [member for member in found if member.leaving_since is not None]
        if not leaving:
            return found
        if loop.time() >= end:
            for member in leaving:
                await left(metadata, member)
        else:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_POLL)


async def left(metadata: Metadata, gone: Consumer) -> None:
    """Remove the row of a member that has left, unless it came again or leaves once more."""

    def decide(present: Consumer | None) -> Consumer | None:
        if present is None or present.leaving_since != gone.leaving_since:
            return present
        return replace(present, leaving_since=None) if present.count else None

    await metadata.consumers.change(key_of(gone), decide)


def key_of(member: Consumer) -> tuple[str, ...]:
    """Return the names that make the key of a member's row."""
    return member.station, member.group, member.name, member.connection_id


async def active_members(metadata: Metadata, station: str, group: str) -> list[Consumer]:
    """Return the members of a group whose connection is open, as far as is known."""
    found = await members(metadata, station, group)
    return [member for member in found if await is_active(metadata, member)]


async def is_active(metadata: Metadata, member: Consumer) -> bool:
    """Return whether a member has not been destroyed and its connection is open, as far as is known."""
    if not member.count:
        return False
    connection = await metadata.connections.find(member.connection_id)
    return connection is None or connection.active
