"""Which consumer configurations are accepted, what is filled in, and what may change later (2.6).

The order of the checks is the reference server's: with several faults in one request, its error is given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from memphis_desktop.broker.jetstream.errors import STREAM_INVALID_CONFIG, ApiError
from memphis_desktop.broker.jetstream.times import MILLISECOND_NS, SECOND_NS, format_duration
from memphis_desktop.protocol.subjects import has_wildcards, is_subset, is_valid, overlaps

if TYPE_CHECKING:
    from memphis_desktop.broker.jetstream.config import ConsumerConfig, StreamConfig

DEFAULT_ACK_WAIT_NS = 30 * SECOND_NS
DEFAULT_INACTIVE_THRESHOLD_NS = 5 * SECOND_NS
DEFAULT_MAX_ACK_PENDING = 1000
DEFAULT_MAX_WAITING = 512
DEFAULT_PRIORITY_TIMEOUT_NS = 120 * SECOND_NS
FLOW_CONTROL_ACK_HEARTBEAT_NS = SECOND_NS
MAX_DESCRIPTION = 4096
MAX_METADATA = 128 * 1024
MAX_NAME = 255

GROUP_NAME = re.compile(r"[a-zA-Z0-9/_=-]{1,16}\Z")
_BAD_NAME = re.compile(r"[ \t\r\n\f.*>/\\]")
_SAMPLE = re.compile(r"[+-]?[0-9]+\Z")

# Words that error texts use for the deliver policies.
_POLICY_WORDS = {
    "all": "all",
    "last": "last",
    "last_per_subject": "last per subject",
    "new": "new",
    "by_start_sequence": "by start sequence",
    "by_start_time": "by start time",
}

# What can not be updated and the sentence that says so, in the order in which it is checked.
_FIXED_BEFORE_SUBJECT = (
    ("deliver_policy", "deliver policy can not be updated"),
    ("mem_storage", "storage type can not be updated"),
    ("direct", "direct can not be updated"),
    ("sourcing", "sourcing can not be updated"),
    ("opt_start_seq", "start sequence can not be updated"),
    ("opt_start_time", "start time can not be updated"),
    ("ack_policy", "ack policy can not be updated"),
    ("replay_policy", "replay policy can not be updated"),
    ("idle_heartbeat", "heart beats can not be updated"),
    ("flow_control", "flow control can not be updated"),
)


@dataclass(frozen=True, slots=True)
class ConsumerCaps:
    """Limits that the server and the account set on consumers; 0 or -1 is none."""

    server_max_ack_pending: int = 0
    server_max_batch: int = 0
    account_max_ack_pending: int = 0
    account_max_consumers: int = 0


NO_CAPS = ConsumerCaps()


def filters_of(config: ConsumerConfig) -> list[str]:
    """Return the filter subjects, whichever way they were given; none means every message."""
    return [config.filter_subject] if config.filter_subject else list(config.filter_subjects)


def is_valid_name(name: str) -> bool:
    """Return whether a stream or consumer may be called so (apart from its length)."""
    return bool(name) and _BAD_NAME.search(name) is None


def same_config(first: ConsumerConfig, second: ConsumerConfig) -> bool:
    """Return whether two configurations (defaults filled in) mean the same, server metadata aside."""
    for field in fields(first):
        one, other = getattr(first, field.name), getattr(second, field.name)
        if field.name == "metadata":
            one, other = _own_metadata(one), _own_metadata(other)
        if one != other:
            return False
    return True


def check_consumer(
    config: ConsumerConfig,
    stream: StreamConfig,
    *,
    name: str = "",
    existing: Mapping[str, ConsumerConfig] | None = None,
    caps: ConsumerCaps = NO_CAPS,
    pedantic: bool = False,
) -> None:
    """Fill in the defaults of a requested configuration and check it.

    Args:
        config: what was asked for; changed in place.
        stream: of the stream it is for.
        name: the consumer's name; empty when the server is yet to invent one.
        existing: the stream's consumers by name. When `name` is among them this is an update, and
            `check_update` has to be asked as well.
        caps: limits of server and account.
        pedantic: refuse instead of correcting (10157).

    Raises:
        ApiError: it is refused.
    """
    _fill_defaults(config, stream, caps, pedantic)
    _check_names(config)
    _check_replicas(config, stream)
    _check_acks(config)
    if config.deliver_subject:
        _check_push(config, stream)
    else:
        _check_pull(config, stream, caps)
    _check_limits(config, stream, caps)
    _check_filters(config)
    _check_start(config)
    _check_rest(config)
    _check_priorities(config)
    _check_among(config, stream, name, existing or {}, caps)
    if not config.durable_name and config.inactive_threshold <= 0:
        config.inactive_threshold = DEFAULT_INACTIVE_THRESHOLD_NS


def check_update(current: ConsumerConfig, wanted: ConsumerConfig, *, deliver_interest: bool) -> None:
    """Check whether an existing consumer may take a new configuration (both with defaults filled in).

    Args:
        current: what it has.
        wanted: what was asked for; `check_consumer` has accepted it.
        deliver_interest: whether somebody subscribes to the current deliver subject.

    Raises:
        ApiError: something fixed would change.
    """
    for attribute, sentence in _FIXED_BEFORE_SUBJECT:
        if getattr(current, attribute) != getattr(wanted, attribute):
            raise ApiError(10012, err=sentence)
    if current.deliver_subject != wanted.deliver_subject:
        if not current.deliver_subject:
            raise ApiError(10012, err="can not update pull consumer to push based")
        if not wanted.deliver_subject:
            raise ApiError(10012, err="can not update push consumer to pull based")
        if deliver_interest:
            raise ApiError(10013)
    if current.max_waiting != wanted.max_waiting:
        raise ApiError(10012, err="max waiting can not be updated")
    if wanted.backoff and wanted.max_deliver != -1 and len(wanted.backoff) > wanted.max_deliver:
        raise ApiError(10116)


def _own_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if not key.startswith("_nats.")}


def _fill_defaults(config: ConsumerConfig, stream: StreamConfig, caps: ConsumerCaps, pedantic: bool) -> None:
    def correct(attribute: str, value: int, complaint: str) -> None:
        if pedantic:
            raise ApiError(10157, err=complaint)
        setattr(config, attribute, value)

    if config.max_deliver < -1:
        correct("max_deliver", -1, "max_deliver must be set to -1")
    if config.max_deliver == 0:
        config.max_deliver = -1
    if config.max_waiting < 0:
        correct("max_waiting", 0, "max_waiting must not be negative")
    if config.max_ack_pending < -1:
        correct("max_ack_pending", -1, "max_ack_pending must be set to -1")
    for attribute in (
        "max_batch",
        "max_expires",
        "max_bytes",
        "idle_heartbeat",
        "inactive_threshold",
        "priority_timeout",
    ):
        if getattr(config, attribute) < 0:
            correct(attribute, 0, f"{attribute} must not be negative")

    if not config.deliver_subject and config.max_waiting == 0:
        config.max_waiting = DEFAULT_MAX_WAITING
    if config.ack_wait == 0 and config.ack_policy in ("explicit", "all"):
        config.ack_wait = DEFAULT_ACK_WAIT_NS
    if config.backoff:
        if pedantic and config.ack_wait != config.backoff[0]:
            raise ApiError(10157, err="first backoff value has to equal batch AckWait")
        config.ack_wait = config.backoff[0]
    _fill_from_limits(config, stream, caps, pedantic)
    if config.priority_policy == "pinned_client" and config.priority_timeout == 0:
        config.priority_timeout = DEFAULT_PRIORITY_TIMEOUT_NS
    if config.ack_policy == "flow_control" and not pedantic:
        config.flow_control = True
        config.idle_heartbeat = FLOW_CONTROL_ACK_HEARTBEAT_NS


def _fill_from_limits(
    config: ConsumerConfig, stream: StreamConfig, caps: ConsumerCaps, pedantic: bool
) -> None:
    limits = stream.consumer_limits
    for attribute in ("max_ack_pending", "inactive_threshold"):
        if getattr(config, attribute) == 0:
            limit = getattr(limits, attribute)
            if pedantic and limit > 0:
                raise ApiError(10157, err=f"{attribute} must be set if it's configured in stream limits")
            setattr(config, attribute, limit)
    if config.max_ack_pending == 0 and config.ack_policy != "none":
        config.max_ack_pending = min(
            cap
            for cap in (DEFAULT_MAX_ACK_PENDING, caps.server_max_ack_pending, caps.account_max_ack_pending)
            if cap > 0
        )
    if not config.deliver_subject and config.max_batch == 0 and caps.server_max_batch > 0:
        if pedantic:
            raise ApiError(10157, err="max_request_batch must be set if it's JetStream limits are set")
        config.max_batch = caps.server_max_batch


def _check_names(config: ConsumerConfig) -> None:
    if config.name and not is_valid_name(config.name):
        raise ApiError(STREAM_INVALID_CONFIG, err=r"consumer name can not contain '.', '*', '>', '\', '/'")
    if config.durable_name and not is_valid_name(config.durable_name):
        raise ApiError(
            STREAM_INVALID_CONFIG, err=r"consumer durable name can not contain '.', '*', '>', '\', '/'"
        )


def _check_replicas(config: ConsumerConfig, stream: StreamConfig) -> None:
    if config.num_replicas > 0 and config.num_replicas > stream.num_replicas:
        raise ApiError(10126)
    if config.num_replicas < 0:
        raise ApiError(10133)
    if stream.retention in ("interest", "workqueue") and config.num_replicas not in (0, stream.num_replicas):
        raise ApiError(10134)


def _check_acks(config: ConsumerConfig) -> None:
    if any(delay < 0 for delay in config.backoff):
        raise ApiError(10184)
    if config.ack_wait < 0:
        raise ApiError(10183)
    if config.ack_policy == "flow_control":
        _check_flow_control_acks(config)
    if config.backoff and config.max_deliver != -1 and len(config.backoff) > config.max_deliver:
        raise ApiError(10116)
    if len(config.description.encode()) > MAX_DESCRIPTION:
        raise ApiError(10107, max=MAX_DESCRIPTION)


def _check_flow_control_acks(config: ConsumerConfig) -> None:
    if not config.deliver_subject:
        raise ApiError(10218)
    if not config.flow_control:
        raise ApiError(10219)
    if config.idle_heartbeat != FLOW_CONTROL_ACK_HEARTBEAT_NS:
        raise ApiError(STREAM_INVALID_CONFIG, err="flow control ack policy heartbeat needs to be 1s")
    if config.max_ack_pending <= 0:
        raise ApiError(10220)
    if config.ack_wait != 0 or config.backoff:
        raise ApiError(10221)
    if config.max_deliver > 0:
        raise ApiError(10222)


def _check_push(config: ConsumerConfig, stream: StreamConfig) -> None:
    subject = config.deliver_subject.encode()
    if has_wildcards(subject):
        raise ApiError(10079)
    if not is_valid(subject):
        raise ApiError(10112)
    if any(is_subset(subject, pattern.encode()) for pattern in stream.subjects):
        raise ApiError(10081)
    if config.max_waiting != 0:
        raise ApiError(10080)
    if config.max_ack_pending > 0 and config.ack_policy == "none":
        raise ApiError(10082)
    if 0 < config.idle_heartbeat < 100 * MILLISECOND_NS:
        raise ApiError(10083)


def _check_pull(config: ConsumerConfig, stream: StreamConfig, caps: ConsumerCaps) -> None:
    if config.ack_policy == "none" and stream.retention == "workqueue":
        raise ApiError(10084)
    if config.rate_limit_bps > 0:
        raise ApiError(10086)
    if config.idle_heartbeat > 0:
        raise ApiError(10088)
    if config.flow_control:
        raise ApiError(10089)
    if 0 < config.max_expires < MILLISECOND_NS:
        raise ApiError(10115)
    if 0 < caps.server_max_batch < config.max_batch:
        raise ApiError(10125, limit=caps.server_max_batch)


def _check_limits(config: ConsumerConfig, stream: StreamConfig, caps: ConsumerCaps) -> None:
    for cap in (
        caps.server_max_ack_pending,
        caps.account_max_ack_pending,
        stream.consumer_limits.max_ack_pending,
    ):
        if 0 < cap < config.max_ack_pending:
            raise ApiError(10121, limit=cap)
    if 0 < stream.consumer_limits.inactive_threshold < config.inactive_threshold:
        raise ApiError(10153, limit=format_duration(stream.consumer_limits.inactive_threshold))
    if config.direct:
        if not config.deliver_subject:
            raise ApiError(10090)
        if config.durable_name:
            raise ApiError(10091)


def _check_filters(config: ConsumerConfig) -> None:
    if config.filter_subject and config.filter_subjects:
        raise ApiError(10136)
    if config.filter_subject and not is_valid(config.filter_subject.encode()):
        raise ApiError(STREAM_INVALID_CONFIG, err="invalid subject")
    if any(not pattern for pattern in config.filter_subjects):
        raise ApiError(10139)
    patterns = [pattern.encode() for pattern in filters_of(config)]
    for position, pattern in enumerate(patterns):
        if not is_valid(pattern):
            raise ApiError(STREAM_INVALID_CONFIG, err="invalid subject")
        for other_position, other in enumerate(patterns):
            if other_position != position and is_subset(pattern, other):
                raise ApiError(10138)


def _check_start(config: ConsumerConfig) -> None:
    policy = config.deliver_policy
    words = _POLICY_WORDS[policy]

    def refuse(what: str) -> ApiError:
        return ApiError(10094, err=f"consumer delivery policy is deliver {words}, but optional {what}")

    has_sequence, has_time = config.opt_start_seq > 0, config.opt_start_time is not None
    if policy == "by_start_sequence":
        if not has_sequence:
            raise refuse("start sequence is not set")
        if has_time:
            raise refuse("start time is also set")
    elif policy == "by_start_time":
        if not has_time:
            raise refuse("start time is not set")
        if has_sequence:
            raise refuse("start start sequence is also set")
    else:
        if has_sequence:
            raise refuse("start sequence is also set")
        if has_time:
            raise refuse("start time is also set")
        if policy == "last_per_subject" and not filters_of(config):
            raise refuse("filter subject is not set")


def _check_rest(config: ConsumerConfig) -> None:
    if config.sample_freq:
        text = config.sample_freq.removesuffix("%")
        if not _SAMPLE.match(text):
            raise ApiError(10095, err=f'strconv.Atoi: parsing "{text}": invalid syntax')
        if int(text) < 0:
            raise ApiError(10095, err="<nil>")
    if config.flow_control and config.idle_heartbeat == 0:
        raise ApiError(10108)
    if config.durable_name and config.name and config.name != config.durable_name:
        raise ApiError(10132)
    size = sum(len(key.encode()) + len(value.encode()) for key, value in config.metadata.items())
    if size > MAX_METADATA:
        raise ApiError(10135, limit=f"{MAX_METADATA // 1024}KB")


def _check_priorities(config: ConsumerConfig) -> None:
    if config.priority_policy == "none":
        if config.priority_groups:
            raise ApiError(10196)
        if config.priority_timeout > 0:
            raise ApiError(10197)
        return
    if config.deliver_subject:
        raise ApiError(10178)
    if not config.priority_groups:
        raise ApiError(10159)
    for group in config.priority_groups:
        if not group:
            raise ApiError(10161)
        if not GROUP_NAME.match(group):
            raise ApiError(10162)


def _check_among(
    config: ConsumerConfig,
    stream: StreamConfig,
    name: str,
    existing: Mapping[str, ConsumerConfig],
    caps: ConsumerCaps,
) -> None:
    """Check what depends on the other consumers of the stream."""
    filters = filters_of(config)
    if name and name in existing:
        if stream.retention == "workqueue" and not _is_unique(filters, name, existing):
            raise ApiError(10100)
        return
    limitable = sum(1 for other in existing.values() if not (other.direct or other.sourcing))
    most = stream.max_consumers
    if most <= 0 or 0 < caps.account_max_consumers < most:
        most = caps.account_max_consumers
    if 0 < most <= limitable:
        raise ApiError(10026)
    if stream.retention == "workqueue" and not (config.direct or config.sourcing):
        if config.ack_policy not in ("explicit", "flow_control"):
            raise ApiError(10098)
        if config.deliver_policy != "all":
            raise ApiError(10101)
        if limitable > 0:
            if not filters:
                raise ApiError(10099)
            if not _is_unique(filters, name, existing):
                raise ApiError(10100)
    if len(config.durable_name.encode()) > MAX_NAME:
        raise ApiError(10102, max=MAX_NAME)


def _is_unique(filters: Sequence[str], name: str, existing: Mapping[str, ConsumerConfig]) -> bool:
    """Return whether no other consumer of a work queue takes any message that these filters take."""
    for pattern in filters:
        for other_name, other in existing.items():
            if other_name == name or other.direct or other.sourcing:
                continue
            other_filters = filters_of(other)
            if not other_filters:
                return False
            if any(overlaps(pattern.encode(), taken.encode()) for taken in other_filters):
                return False
    return True
