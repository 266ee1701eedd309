"""Configurations of streams and consumers, and their JSON (2.4 and 2.6 of the protocol notes).

Attributes bear the names of the JSON keys. Durations and times are integers of nanoseconds; a time that is
not set is None. Decoding fills in nothing: defaults that depend on other settings are the validation's.
"""

# `attribute` is `dataclasses.field` with a JSON kind, so calling it in a default is what dataclasses expect.
# ruff: noqa: RUF009

from __future__ import annotations

from dataclasses import dataclass

from memphis_desktop.broker.jetstream.typed_json import (
    BOOLEAN,
    DURATION,
    INT,
    INT32,
    INT64,
    METADATA,
    STRING,
    TIME,
    UINT64,
    Choice,
    ListOf,
    Record,
    attribute,
)


def _words(*words: str, **further: str) -> dict[str, str]:
    return {word: word for word in words} | further


@dataclass(slots=True)
class SubjectTransform:
    """Rewrites subjects that match `src` into `dest`."""

    src: str = attribute(STRING, always=True)
    dest: str = attribute(STRING, always=True)


@dataclass(slots=True)
class Republish:
    """Publishes what was stored again under another subject."""

    src: str = attribute(STRING)
    dest: str = attribute(STRING, always=True)
    headers_only: bool = attribute(BOOLEAN)


@dataclass(slots=True)
class Placement:
    """Where a cluster should put a stream; accepted and kept, without effect on one node."""

    cluster: str = attribute(STRING)
    tags: list[str] = attribute(ListOf(STRING))
    preferred: str = attribute(STRING)


@dataclass(slots=True)
class ExternalStream:
    """How a stream of another account or domain is reached."""

    api: str = attribute(STRING, always=True)
    deliver: str = attribute(STRING, always=True)


@dataclass(slots=True)
class SourceConsumer:
    """A durable consumer through which a source is read."""

    name: str = attribute(STRING)
    deliver_subject: str = attribute(STRING)


@dataclass(slots=True)
class StreamSource:
    """The origin of a mirror, or one of the sources of a stream."""

    name: str = attribute(STRING, always=True)
    opt_start_seq: int = attribute(UINT64)
    opt_start_time: int | None = attribute(TIME)
    filter_subject: str = attribute(STRING)
    subject_transforms: list[SubjectTransform] = attribute(
        ListOf(Record(SubjectTransform, "SubjectTransformConfig", optional=False))
    )
    external: ExternalStream | None = attribute(Record(ExternalStream, "ExternalStream"))
    consumer: SourceConsumer | None = attribute(Record(SourceConsumer, "StreamConsumerSource"))


@dataclass(slots=True)
class ConsumerLimits:
    """Caps and defaults that a stream gives its consumers."""

    inactive_threshold: int = attribute(DURATION)
    max_ack_pending: int = attribute(INT)


RETENTION = Choice(_words("limits", "interest", "workqueue"))
DISCARD = Choice(
    _words("old", "new"), wrong=lambda raw: f"can not unmarshal {_quoted(raw)}", ignore_case=True
)
STORAGE = Choice(_words("file", "memory"))
COMPRESSION = Choice(_words("none", "s2"), wrong=lambda raw: "unknown compression algorithm")
PERSIST_MODE = Choice({"default": "default", "": "default", "async": "async"})
DELIVER_POLICY = Choice(
    _words("all", "last", "new", "by_start_sequence", "by_start_time", "last_per_subject", undefined="all")
)
ACK_POLICY = Choice(_words("none", "all", "explicit", "flow_control"))
REPLAY_POLICY = Choice(_words("instant", "original"))
PRIORITY_POLICY = Choice(
    _words("none", "overflow", "pinned_client", "prioritized"),
    wrong=lambda raw: f"unknown priority policy: {raw}",
)
CONSUMER_ACTION = Choice(
    {"": "", "create": "create", "update": "update"}, wrong=lambda raw: f"unknown consumer action: {raw}"
)


def _quoted(raw: str) -> str:
    return '"' + raw.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(slots=True)
class StreamConfig:
    """Everything a stream can be told."""

    name: str = attribute(STRING, always=True)
    description: str = attribute(STRING)
    subjects: list[str] = attribute(ListOf(STRING))
    retention: str = attribute(RETENTION, always=True)
    max_consumers: int = attribute(INT, always=True)
    max_msgs: int = attribute(INT64, always=True)
    max_bytes: int = attribute(INT64, always=True)
    max_age: int = attribute(DURATION, always=True)
    max_msgs_per_subject: int = attribute(INT64, always=True)
    max_msg_size: int = attribute(INT32)
    discard: str = attribute(DISCARD, always=True)
    storage: str = attribute(STORAGE, always=True)
    num_replicas: int = attribute(INT, always=True)
    no_ack: bool = attribute(BOOLEAN)
    duplicate_window: int = attribute(DURATION)
    placement: Placement | None = attribute(Record(Placement, "Placement"))
    mirror: StreamSource | None = attribute(Record(StreamSource, "StreamSource"))
    sources: list[StreamSource] = attribute(ListOf(Record(StreamSource, "StreamSource", optional=False)))
    compression: str = attribute(COMPRESSION, always=True)
    first_seq: int = attribute(UINT64)
    subject_transform: SubjectTransform | None = attribute(Record(SubjectTransform, "SubjectTransformConfig"))
    republish: Republish | None = attribute(Record(Republish, "RePublish"))
    allow_direct: bool = attribute(BOOLEAN, always=True)
    mirror_direct: bool = attribute(BOOLEAN, always=True)
    discard_new_per_subject: bool = attribute(BOOLEAN)
    sealed: bool = attribute(BOOLEAN, always=True)
    deny_delete: bool = attribute(BOOLEAN, always=True)
    deny_purge: bool = attribute(BOOLEAN, always=True)
    allow_rollup_hdrs: bool = attribute(BOOLEAN, always=True)
    consumer_limits: ConsumerLimits = attribute(
        Record(ConsumerLimits, "StreamConsumerLimits", optional=False), always=True
    )
    allow_msg_ttl: bool = attribute(BOOLEAN, always=True)
    subject_delete_marker_ttl: int = attribute(DURATION)
    allow_msg_counter: bool = attribute(BOOLEAN)
    allow_atomic: bool = attribute(BOOLEAN)
    allow_msg_schedules: bool = attribute(BOOLEAN)
    persist_mode: str = attribute(PERSIST_MODE)
    allow_batched: bool = attribute(BOOLEAN)
    metadata: dict[str, str] = attribute(METADATA)


@dataclass(slots=True)
class StreamConfigRequest(StreamConfig):
    """The body of STREAM.CREATE and STREAM.UPDATE."""

    pedantic: bool = attribute(BOOLEAN)

    def stream_config(self) -> StreamConfig:
        """Return the configuration without what belongs to the request only."""
        return StreamConfig(**{name: getattr(self, name) for name in StreamConfig.__dataclass_fields__})


@dataclass(slots=True)
class ConsumerConfig:
    """Everything a consumer can be told."""

    durable_name: str = attribute(STRING)
    name: str = attribute(STRING)
    description: str = attribute(STRING)
    deliver_policy: str = attribute(DELIVER_POLICY, always=True)
    opt_start_seq: int = attribute(UINT64)
    opt_start_time: int | None = attribute(TIME)
    ack_policy: str = attribute(ACK_POLICY, always=True)
    ack_wait: int = attribute(DURATION)
    max_deliver: int = attribute(INT)
    backoff: list[int] = attribute(ListOf(DURATION))
    filter_subject: str = attribute(STRING)
    filter_subjects: list[str] = attribute(ListOf(STRING))
    replay_policy: str = attribute(REPLAY_POLICY, always=True)
    rate_limit_bps: int = attribute(UINT64)
    sample_freq: str = attribute(STRING)
    max_waiting: int = attribute(INT)
    max_ack_pending: int = attribute(INT)
    flow_control: bool = attribute(BOOLEAN)
    headers_only: bool = attribute(BOOLEAN)
    max_batch: int = attribute(INT)
    max_expires: int = attribute(DURATION)
    max_bytes: int = attribute(INT)
    deliver_subject: str = attribute(STRING)
    deliver_group: str = attribute(STRING)
    idle_heartbeat: int = attribute(DURATION)
    inactive_threshold: int = attribute(DURATION)
    num_replicas: int = attribute(INT, always=True)
    mem_storage: bool = attribute(BOOLEAN)
    direct: bool = attribute(BOOLEAN)
    sourcing: bool = attribute(BOOLEAN)
    metadata: dict[str, str] = attribute(METADATA)
    pause_until: int | None = attribute(TIME)
    priority_groups: list[str] = attribute(ListOf(STRING))
    priority_policy: str = attribute(PRIORITY_POLICY)
    priority_timeout: int = attribute(DURATION)


@dataclass(slots=True)
class CreateConsumerRequest:
    """The body of the three CONSUMER.CREATE subjects."""

    stream_name: str = attribute(STRING, always=True)
    config: ConsumerConfig = attribute(Record(ConsumerConfig, "ConsumerConfig", optional=False), always=True)
    action: str = attribute(CONSUMER_ACTION, always=True)
    pedantic: bool = attribute(BOOLEAN)
