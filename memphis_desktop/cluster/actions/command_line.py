"""The `nats` command lines that do the same as an action."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .action import SERVERS_OWN, Config

_SECOND = 1_000_000_000


def go_duration(nanoseconds: int) -> str:
    """Return a duration as Go programs write it: ``1h30m``, ``250ms``, ``0s``."""
    if nanoseconds == 0:
        return "0s"
    sign = "-" if nanoseconds < 0 else ""
    rest = abs(nanoseconds)
    if rest < _SECOND:
        for unit, size in (("ms", 1_000_000), ("us", 1_000), ("ns", 1)):
            if rest >= size:
                return f"{sign}{rest / size:g}{unit}"
    hours, rest = divmod(rest, 3600 * _SECOND)
    minutes, rest = divmod(rest, 60 * _SECOND)
    seconds, fraction = divmod(rest, _SECOND)
    text = (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "")
    if seconds or fraction:
        decimals = f".{fraction:09d}".rstrip("0") if fraction else ""
        text += f"{seconds}{decimals}s"
    return sign + text


def join(*words: str) -> str:
    """The words as one line for a shell; empty ones are left out."""
    return shlex.join(word for word in words if word)


def request(suffix: str, body: Mapping[str, Any] | None = None) -> str:
    """The command of a request that the tool has no word of its own for."""
    text = json.dumps(body) if body is not None else ""
    return shlex.join(["nats", "request", f"$JS.API.{suffix}", text])


@dataclass(frozen=True, slots=True)
class _Flag:
    """How one configuration key is said on the command line."""

    name: str
    write: Callable[[str, Any], Sequence[str]] = field(default=lambda name, value: [f"{name}={value}"])


def _switch(name: str, value: Any) -> Sequence[str]:
    return [name if value else name.replace("--", "--no-", 1)]


def _several(name: str, value: Any) -> Sequence[str]:
    return [f"{name}={item}" for item in value or ()]


def _joined(name: str, value: Any) -> Sequence[str]:
    return [f"{name}={','.join(map(str, value))}"] if value else []


def _time(name: str, value: Any) -> Sequence[str]:
    return [f"{name}={go_duration(int(value))}"]


def _times(name: str, value: Any) -> Sequence[str]:
    return [f"{name}={','.join(go_duration(int(item)) for item in value)}"] if value else []


def _pairs(name: str, value: Any) -> Sequence[str]:
    shown = {key: item for key, item in (value or {}).items() if not str(key).startswith(SERVERS_OWN)}
    return [f"{name}={key}:{item}" for key, item in shown.items()]


def _retention(name: str, value: Any) -> Sequence[str]:
    return [f"{name}={'work' if value == 'workqueue' else value}"]


def _ack(name: str, value: Any) -> Sequence[str]:
    return ["--no-ack"] if value else ["--ack"]


def _republish(name: str, value: Any) -> Sequence[str]:
    if not value:
        return []
    flags = [
        f"--republish-source={value.get('src') or '>'}",
        f"--republish-destination={value.get('dest', '')}",
    ]
    return [*flags, "--republish-headers"] if value.get("headers_only") else flags


def _transform(name: str, value: Any) -> Sequence[str]:
    if not value:
        return []
    return [f"--transform-source={value.get('src', '')}", f"--transform-destination={value.get('dest', '')}"]


def _placement(name: str, value: Any) -> Sequence[str]:
    if not value:
        return []
    flags = [f"--cluster={value['cluster']}"] if value.get("cluster") else []
    return [*flags, *(f"--tag={tag}" for tag in value.get("tags") or ())]


def _consumer_limits(name: str, value: Any) -> Sequence[str]:
    flags = []
    if value and value.get("inactive_threshold"):
        flags.append(f"--limit-consumer-inactive={go_duration(int(value['inactive_threshold']))}")
    if value and value.get("max_ack_pending"):
        flags.append(f"--limit-consumer-max-pending={value['max_ack_pending']}")
    return flags


def _mirror(name: str, value: Any) -> Sequence[str]:
    return [f"--mirror={value['name']}"] if value else []


def _sources(name: str, value: Any) -> Sequence[str]:
    return [f"--source={item['name']}" for item in value or ()]


_STREAM_FLAGS: dict[str, _Flag] = {
    "description": _Flag("--description"),
    "subjects": _Flag("--subjects", _joined),
    "storage": _Flag("--storage"),
    "compression": _Flag("--compression"),
    "num_replicas": _Flag("--replicas"),
    "placement": _Flag("", _placement),
    "retention": _Flag("--retention", _retention),
    "discard": _Flag("--discard"),
    "discard_new_per_subject": _Flag("--discard-per-subject", _switch),
    "max_msgs": _Flag("--max-msgs"),
    "max_msgs_per_subject": _Flag("--max-msgs-per-subject"),
    "max_bytes": _Flag("--max-bytes"),
    "max_age": _Flag("--max-age", _time),
    "max_msg_size": _Flag("--max-msg-size"),
    "max_consumers": _Flag("--max-consumers"),
    "duplicate_window": _Flag("--dupe-window", _time),
    "no_ack": _Flag("", _ack),
    "first_seq": _Flag("--first-sequence"),
    "allow_rollup_hdrs": _Flag("--allow-rollup", _switch),
    "deny_delete": _Flag("--deny-delete", _switch),
    "deny_purge": _Flag("--deny-purge", _switch),
    "allow_direct": _Flag("--allow-direct", _switch),
    "allow_msg_ttl": _Flag("--allow-msg-ttl", _switch),
    "subject_delete_marker_ttl": _Flag("--subject-del-markers-ttl", _time),
    "allow_msg_counter": _Flag("--allow-counter", _switch),
    "allow_atomic": _Flag("--allow-batch", _switch),
    "allow_msg_schedules": _Flag("--allow-schedules", _switch),
    "persist_mode": _Flag("--persist-mode"),
    "republish": _Flag("", _republish),
    "subject_transform": _Flag("", _transform),
    "consumer_limits": _Flag("", _consumer_limits),
    "mirror": _Flag("", _mirror),
    "sources": _Flag("", _sources),
    "metadata": _Flag("--metadata", _pairs),
}

_CONSUMER_FLAGS: dict[str, _Flag] = {
    "description": _Flag("--description"),
    "deliver_policy": _Flag("--deliver"),
    "opt_start_seq": _Flag("--deliver"),
    "opt_start_time": _Flag("--deliver"),
    "filter_subject": _Flag("--filter"),
    "filter_subjects": _Flag("--filter", _several),
    "ack_policy": _Flag("--ack"),
    "ack_wait": _Flag("--wait", _time),
    "max_deliver": _Flag("--max-deliver"),
    "backoff": _Flag("--backoff", _times),
    "replay_policy": _Flag("--replay"),
    "sample_freq": _Flag("--sample"),
    "max_ack_pending": _Flag("--max-pending"),
    "max_waiting": _Flag("--max-waiting"),
    "headers_only": _Flag("--headers-only", _switch),
    "inactive_threshold": _Flag("--inactive-threshold", _time),
    "num_replicas": _Flag("--replicas"),
    "mem_storage": _Flag("--memory", _switch),
    "max_batch": _Flag("--max-pull-batch"),
    "max_expires": _Flag("--max-pull-expire", _time),
    "max_bytes": _Flag("--max-pull-bytes"),
    "deliver_group": _Flag("--deliver-group"),
    "idle_heartbeat": _Flag("--heartbeat", _time),
    "flow_control": _Flag("--flow-control", _switch),
    "rate_limit_bps": _Flag("--bps"),
    "pause_until": _Flag("--pause"),
    "metadata": _Flag("--metadata", _pairs),
}


def stream_flags(config: Config, before: Config) -> list[str]:
    """Return the flags for what differs from `before` in a stream's configuration."""
    return _flags(config, _STREAM_FLAGS, before)


def consumer_flags(config: Config, before: Config) -> list[str]:
    """Return the flags for what differs from `before` in a consumer's configuration."""
    return _flags(config, _CONSUMER_FLAGS, before)


def _flags(config: Config, flags: Mapping[str, _Flag], before: Config) -> list[str]:
    """Return the flags for what differs from `before`, in the order of the configuration's keys."""
    words: list[str] = []
    for key, flag in flags.items():
        value = config.get(key)
        if value == before.get(key) or (not before and value in (None, "", [], {}, False)):
            continue
        if key == "deliver_policy" and value in ("by_start_sequence", "by_start_time"):
            continue  # said by the sequence or the time itself
        words.extend(flag.write(flag.name, "" if value is None else value))
    return words
