"""The bodies of API requests about streams and messages."""

# `attribute` is `dataclasses.field` with a JSON kind, so calling it in a default is what dataclasses expect.
# ruff: noqa: RUF009

from __future__ import annotations

from dataclasses import dataclass

from memphis_desktop.broker.jetstream.config import StreamConfig
from memphis_desktop.broker.jetstream.typed_json import (
    ANYTHING,
    BOOLEAN,
    INT,
    STRING,
    TIME,
    UINT64,
    ListOf,
    Record,
    attribute,
)


@dataclass(slots=True)
class PageRequest:
    """CONSUMER.NAMES and CONSUMER.LIST."""

    offset: int = attribute(INT)


@dataclass(slots=True)
class StreamListRequest(PageRequest):
    """STREAM.NAMES and STREAM.LIST."""

    subject: str = attribute(STRING)


@dataclass(slots=True)
class StreamInfoRequest(PageRequest):
    """STREAM.INFO."""

    deleted_details: bool = attribute(BOOLEAN)
    subjects_filter: str = attribute(STRING)


@dataclass(slots=True)
class PurgeRequest:
    """STREAM.PURGE."""

    seq: int = attribute(UINT64)
    filter: str = attribute(STRING)
    keep: int = attribute(UINT64)


@dataclass(slots=True)
class MessageDeleteRequest:
    """STREAM.MSG.DELETE."""

    seq: int = attribute(UINT64)
    no_erase: bool = attribute(BOOLEAN)


@dataclass(slots=True)
class MessageGetRequest:
    """STREAM.MSG.GET and DIRECT.GET."""

    seq: int = attribute(UINT64)
    last_by_subj: str = attribute(STRING)
    next_by_subj: str = attribute(STRING)
    batch: int = attribute(INT)
    max_bytes: int = attribute(INT)
    start_time: int | None = attribute(TIME)
    multi_last: list[str] = attribute(ListOf(STRING))
    up_to_seq: int = attribute(UINT64)
    up_to_time: int | None = attribute(TIME)
    no_hdr: bool = attribute(BOOLEAN)


@dataclass(slots=True)
class PauseRequest:
    """CONSUMER.PAUSE."""

    pause_until: int | None = attribute(TIME)


@dataclass(slots=True)
class UnpinRequest:
    """CONSUMER.UNPIN."""

    group: str = attribute(STRING)


@dataclass(slots=True)
class SnapshotRequest:
    """STREAM.SNAPSHOT."""

    deliver_subject: str = attribute(STRING)
    no_consumers: bool = attribute(BOOLEAN)
    chunk_size: int = attribute(INT)
    window_size: int = attribute(INT)
    jsck: bool = attribute(BOOLEAN)


@dataclass(slots=True)
class SnapshotState:
    """A stream's state as snapshots hold it, and the clients that made them."""

    messages: int = attribute(UINT64)
    bytes: int = attribute(UINT64)
    first_seq: int = attribute(UINT64)
    first_ts: int | None = attribute(TIME)
    last_seq: int = attribute(UINT64)
    last_ts: int | None = attribute(TIME)
    num_subjects: int = attribute(INT)
    subjects: object = attribute(ANYTHING)
    num_deleted: int = attribute(INT)
    deleted: list[int] = attribute(ListOf(UINT64))
    lost: object = attribute(ANYTHING)
    consumer_count: int = attribute(INT)


@dataclass(slots=True)
class RestoreRequest:
    """STREAM.RESTORE."""

    config: StreamConfig = attribute(Record(StreamConfig, "StreamConfig", optional=False))
    state: SnapshotState = attribute(Record(SnapshotState, "StreamState", optional=False))
