"""The streams behind a station: one per partition, with the options of 6.1 of the Memphis protocol."""

from __future__ import annotations

import asyncio
from typing import Any

from memphis_desktop.protocol.memphis import STATION_METADATA
from memphis_desktop.stations import names
from memphis_desktop.stations.errors import Refusal, StorageError
from memphis_desktop.stations.jetstream import NOT_ENOUGH_PEERS, STREAM_NAME_IN_USE, JetStream
from memphis_desktop.stations.model import RetentionType, Station

_ID = "memphis.station.id"
_AT_ONCE = 16
_TOO_MANY_REPLICAS = (
    "station can not be created, probably since replicas count is larger than the cluster size"
)


def stream_config(station: Station, stream: str) -> dict[str, Any]:
    """Return the configuration of one of a station's streams; limits hold for each partition by itself."""
    kind, value = station.retention_type, station.retention_value
    return {
        "name": stream,
        "subjects": [f"{stream}.>"],
        "retention": "interest" if kind is RetentionType.ACKS else "limits",
        "max_consumers": -1,
        "max_msgs": value if kind is RetentionType.MESSAGES else -1,
        "max_bytes": value if kind is RetentionType.BYTES else -1,
        "max_age": value * 1_000_000_000 if kind is RetentionType.AGE else 0,
        "max_msgs_per_subject": -1,
        "max_msg_size": -1,
        "discard": "old",
        "storage": str(station.storage_type),
        "num_replicas": station.replicas,
        "duplicate_window": station.idempotency_window_ms * 1_000_000,
        "allow_direct": True,
        "metadata": {STATION_METADATA: station.name, _ID: station.id},
        **_taking_partition_zero(station, stream),
    }


def _taking_partition_zero(station: Station, stream: str) -> dict[str, Any]:
    """Return what makes a station's last stream store what is sent to partition 0; of others, nothing.

    Memphis's Node SDK takes the hash of a partition key modulo the number of partitions as the partition's
    number, 0 included. Partitions begin at 1, so those messages would reach nobody.
    """
    if len(station.partitions) < 2 or stream != station.streams[-1]:
        return {}
    zero = f"{names.partition_stream(station.name, 0)}.>"
    return {
        "subjects": [f"{stream}.>", zero],
        "subject_transform": {"src": zero, "dest": f"{stream}.>"},
    }


def _config_for(jetstream: JetStream, station: Station, stream: str) -> dict[str, Any]:
    """Return `stream_config` without what the server is too old for."""
    config = stream_config(station, stream)
    if not jetstream.transforms_subjects and config.pop("subject_transform", None):
        config["subjects"] = config["subjects"][:1]
    return config


async def make_stream(jetstream: JetStream, station: Station, stream: str) -> None:
    """Make one stream; one that this creation, or an earlier one of the station, left there is taken over.

    Raises:
        Refusal: The cluster is too small, or somebody else's stream has the name or the subjects.
        StorageError: JetStream did not answer, or has no room.
    """
    config = _config_for(jetstream, station, stream)
    try:
        await jetstream.create_stream(config)
    except StorageError as error:
        if error.err_code in NOT_ENOUGH_PEERS:
            raise Refusal(_TOO_MANY_REPLICAS) from None
        if error.err_code != STREAM_NAME_IN_USE:
            raise
        info = await jetstream.stream_info(stream)
        if owner(info) != station.name:
            raise Refusal(f"a stream named {stream} exists already and is no station's", "exists") from None
        await jetstream.update_stream(config)


async def make_streams(jetstream: JetStream, station: Station) -> None:
    """Make all streams of a station, several at once."""
    await _for_each(station.streams, lambda stream: make_stream(jetstream, station, stream))


async def are_there(jetstream: JetStream, station: Station) -> bool:
    """Return whether the streams of a station are there, the first few of them."""
    for stream in station.streams[:_AT_ONCE]:
        if await jetstream.stream_info(stream) is None:
            return False
    return True


async def delete_streams(jetstream: JetStream, station: Station, *, only_own: bool) -> None:
    """Delete the streams of a station that are there.

    Args:
        jetstream: Where.
        station: Which.
        only_own: Spare those that another creation made, or somebody else.
    """

    async def delete(stream: str) -> None:
        if only_own:
            info = await jetstream.stream_info(stream)
            if info is None or (info["config"].get("metadata") or {}).get(_ID) != station.id:
                return
        await jetstream.delete_stream(stream)

    await _for_each(station.streams, delete)


async def update_streams(jetstream: JetStream, before: Station, after: Station) -> None:
    """Give the streams of a station changed options; when one refuses, those changed already are set back.

    Raises:
        Refusal: JetStream does not allow the change.
        StorageError: It did not answer.
    """
    changed: list[str] = []
    try:
        for stream in after.streams:
            await jetstream.update_stream(_config_for(jetstream, after, stream))
            changed.append(stream)
    except StorageError as error:
        for stream in changed:
            await jetstream.update_stream(_config_for(jetstream, before, stream))
        if error.err_code:
            raise Refusal(f"the station can not be changed: {error}") from None
        raise


def owner(info: dict[str, Any] | None) -> str:
    """Return the station that a stream was made for, from its information; nothing for somebody else's."""
    return str(((info or {}).get("config", {}).get("metadata") or {}).get(STATION_METADATA, ""))


async def _for_each(streams: tuple[str, ...], work: Any) -> None:
    """Do something for each stream, several at once; the first failure ends it after those under way."""
    for start in range(0, len(streams), _AT_ONCE):
        results = await asyncio.gather(
            *(work(stream) for stream in streams[start : start + _AT_ONCE]), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
