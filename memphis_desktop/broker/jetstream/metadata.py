"""The ``_nats.`` keys that every returned configuration has in its metadata (2.1 of the protocol notes)."""

from __future__ import annotations

from memphis_desktop.broker.jetstream.config import ConsumerConfig, StreamConfig

# The JetStream API level whose features this node has.
API_LEVEL = 5

REQUIRED_LEVEL = "_nats.req.level"
SERVER_VERSION = "_nats.ver"
SERVER_LEVEL = "_nats.level"


def stream_level(config: StreamConfig) -> int:
    """Return the lowest API level able to hold this stream."""
    if config.allow_batched:
        return 4
    if (
        config.allow_msg_counter
        or config.allow_atomic
        or config.allow_msg_schedules
        or config.persist_mode == "async"
    ):
        return 2
    return 1 if config.allow_msg_ttl or config.subject_delete_marker_ttl > 0 else 0


def consumer_level(config: ConsumerConfig) -> int:
    """Return the lowest API level able to hold this consumer."""
    if config.ack_policy == "flow_control":
        return 4
    if config.pause_until is not None:
        return 1
    uses_groups = config.priority_policy != "none" or config.priority_timeout or config.priority_groups
    return 1 if uses_groups else 0


def set_static(config: StreamConfig | ConsumerConfig) -> None:
    """Replace the ``_nats.`` keys by the one that is stored: the required level."""
    level = stream_level(config) if isinstance(config, StreamConfig) else consumer_level(config)
    config.metadata = without_dynamic(config.metadata) | {REQUIRED_LEVEL: str(level)}


def without_dynamic(metadata: dict[str, str]) -> dict[str, str]:
    """Return `metadata` without the keys that only answers have."""
    return {key: value for key, value in metadata.items() if key not in (SERVER_VERSION, SERVER_LEVEL)}


def with_dynamic(metadata: dict[str, str], version: str) -> dict[str, str]:
    """Return `metadata` with the version and level of this server added, as answers show it."""
    return dict(sorted((metadata | {SERVER_VERSION: version, SERVER_LEVEL: str(API_LEVEL)}).items()))


def copy_required_level(config: StreamConfig | ConsumerConfig, previous: dict[str, str]) -> None:
    """Make the required level in `config` that of `previous`, so that the two can be compared."""
    metadata = without_dynamic(config.metadata)
    metadata.pop(REQUIRED_LEVEL, None)
    if REQUIRED_LEVEL in previous:
        metadata[REQUIRED_LEVEL] = previous[REQUIRED_LEVEL]
    config.metadata = metadata
