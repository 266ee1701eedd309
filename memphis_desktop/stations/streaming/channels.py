"""Channels as stations: which stream keeps a channel, and making it with the first request that names it.

A channel whose name may be a station's is that station (in lower case, as all stations are), with one
partition; an SDK's station can be used as a channel, and a channel by SDKs. Other names, which the original
server allows too, get a plain stream of their own. As with the original server, two channels cannot differ in
case alone.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from memphis_desktop.stations.control.routes import Context
from memphis_desktop.stations.errors import Refusal, StorageError
from memphis_desktop.stations.jetstream import STREAM_NAME_IN_USE
from memphis_desktop.stations.lifecycle import create_station
from memphis_desktop.stations.model import RetentionType, Station
from memphis_desktop.stations.names import checked_name, key_token
from memphis_desktop.stations.streaming import wire
from memphis_desktop.stations.streaming.options import StreamingOptions
from memphis_desktop.stations.streaming.wire import StreamingError
from memphis_desktop.stations.streams import make_stream, stream_config

log = logging.getLogger(__name__)

_PLAIN_PREFIX = "channel-"
_LONGEST_STREAM = 240


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel that exists: `stream` keeps its messages."""

    name: str
    stream: str


def stream_of(name: str) -> tuple[str, str]:
    """Return the station (empty for a plain stream) and the stream that stand for a channel."""
    try:
        station = checked_name("Station", name)
    except Refusal:
        return "", _PLAIN_PREFIX + key_token(name).replace("/", "#")
    return station, Station(station).streams[0]


class Channels:
    """The channels of one cluster id that were used so far."""

    def __init__(self, context: Context, options: StreamingOptions) -> None:
        self._context = context
        self._options = options
        self._known: dict[str, Channel] = {}
        self._names: dict[str, str] = {}  # stream -> the channel's name, with its case
        self._opening: dict[str, asyncio.Task[Channel]] = {}

    def get(self, name: str) -> Channel | None:
        """Return a channel that was opened before; None otherwise, which says nothing of the stream."""
        return self._known.get(name)

    def forget(self, name: str) -> None:
        """Look a channel up anew the next time: its stream does not answer."""
        channel = self._known.pop(name, None)
        if channel is not None:
            self._names.pop(channel.stream, None)

    async def open(self, name: str) -> Channel:
        """Return a channel, made when it is missing.

        Args:
            name: A valid name of a channel.

        Raises:
            StreamingError: It cannot be used or made.
        """
        channel = self._known.get(name)
        if channel is not None:
            return channel
        task = self._opening.get(name)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._open(name))
            self._opening[name] = task
            task.add_done_callback(lambda done: self._opened(name, done))
        return await asyncio.shield(task)

    def _opened(self, name: str, task: asyncio.Task[Channel]) -> None:
        self._opening.pop(name, None)
        if not task.cancelled():
            task.exception()  # seen: those who waited may have given up

    async def _open(self, name: str) -> Channel:
        station, stream = stream_of(name)
        known = self._names.get(stream)
        if known is not None and known != name:
            raise StreamingError(
                f'rejecting channel "{name}" because channel "{known}" already exists '
                "(different cases not allowed)"
            )
        try:
            if station:
                await self._open_station(name, station)
            else:
                await self._open_stream(stream)
        except (Refusal, StorageError) as error:
            log.warning("channel %s cannot be opened: %s", name, error)
            raise StreamingError(f"stan: channel {name} cannot be opened: {error}") from None
        channel = Channel(name, stream)
        self._known[name] = channel
        self._names[stream] = name
        return channel

    async def _open_station(self, name: str, station: str) -> None:
        metadata = self._context.metadata
        found = await metadata.station(station)
        if found is None:
            self._check_room()
            wanted = Station(
                station,
                retention_type=RetentionType.MESSAGES,
                retention_value=self._options.channel_messages,
                replicas=self._context.replicas,
                created_by=name and "streaming",
            )
            found, _ = await create_station(self._context, wanted)
        if len(found.partitions) != 1:
            raise Refusal(f"it is a station of {len(found.partitions)} partitions")
        if await self._context.jetstream.stream_info(found.streams[0]) is None:
            await make_stream(self._context.jetstream, found, found.streams[0])  # somebody deleted it

    async def _open_stream(self, stream: str) -> None:
        jetstream = self._context.jetstream
        if await jetstream.stream_info(stream) is not None:
            return
        self._check_room()
        if len(stream) > _LONGEST_STREAM:
            raise Refusal("its name is too long")
        config = stream_config(
            Station(
                stream,
                retention_type=RetentionType.MESSAGES,
                retention_value=self._options.channel_messages,
                replicas=self._context.replicas,
            ),
            stream,
        )
        del config["metadata"]  # it is no station's
        try:
            await jetstream.create_stream(config)
        except StorageError as error:
            if error.err_code != STREAM_NAME_IN_USE:
                raise

    def _check_room(self) -> None:
        if len(self._known) >= self._options.max_channels:
            raise StreamingError(wire.TOO_MANY_CHANNELS)
