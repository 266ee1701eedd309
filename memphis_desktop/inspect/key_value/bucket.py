"""A bucket's configuration, from and to that of its stream, by the rules clients make buckets by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .names import bucket_name, stream_name

_DUPLICATES = 120_000_000_000  # nanoseconds, what clients set at most
_OWN_METADATA = "_nats."  # untranslated: how the keys begin that servers add

Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket as its stream's configuration describes it.

    Attributes:
        name: Without the stream's prefix.
        stream: The stream's name.
        prefix: What the subjects of its keys begin with; a mirror keeps those of its origin.
        put_prefix: What subjects of new values begin with; a mirror's values are written to its origin.
        config: The stream's configuration.
    """

    name: str
    stream: str
    prefix: str
    put_prefix: str
    config: Config

    @classmethod
    def of(cls, config: Config, api_prefix: str = "$JS.API") -> Bucket:
        """Return the bucket of a stream's configuration.

        Args:
            config: Of the stream.
            api_prefix: Of the connection; through another than the standard one, values are written, too.
        """
        name = bucket_name(str(config["name"]))
        own = f"$KV.{name}."
        mirror = config.get("mirror") or {}
        through = "" if api_prefix == "$JS.API" else f"{api_prefix}."
        if not mirror:
            return cls(name, stream_name(name), own, through + own, config)
        origin = f"$KV.{bucket_name(str(mirror.get('name', '')))}."
        external = str((mirror.get("external") or {}).get("api") or "")
        put = f"{external}.{origin}" if external else through + origin
        read = own if mirror.get("subject_transforms") else origin
        return cls(name, stream_name(name), read, put, config)

    @property
    def history(self) -> int:
        """Values kept of each key."""
        return max(1, int(self.config.get("max_msgs_per_subject") or 1))

    @property
    def ttl_ns(self) -> int:
        """How long values are kept, nanoseconds; 0 for ever."""
        return int(self.config.get("max_age") or 0)

    @property
    def marker_ttl_ns(self) -> int:
        """How long markers of what ran out are kept, nanoseconds; 0 when none are left."""
        return int(self.config.get("subject_delete_marker_ttl") or 0)

    @property
    def takes_ttl(self) -> bool:
        """Whether a key can have a time to live of its own."""
        return bool(self.config.get("allow_msg_ttl"))

    @property
    def max_value(self) -> int:
        """Largest value in bytes; -1 for no limit."""
        return int(self.config.get("max_msg_size") or -1)

    @property
    def max_bytes(self) -> int:
        """Largest size of the bucket in bytes; -1 for no limit."""
        return int(self.config.get("max_bytes") or -1)

    @property
    def compressed(self) -> bool:
        """Whether it is stored compressed."""
        return self.config.get("compression", "none") not in ("", "none", None)

    @property
    def origins(self) -> list[str]:
        """The buckets it is copied from."""
        mirror = self.config.get("mirror") or {}
        several = [mirror] if mirror else self.config.get("sources") or []
        return [bucket_name(str(one.get("name", ""))) for one in several]

    def subject(self, key: str) -> str:
        """Return the subject a key's values are stored under."""
        return self.prefix + key

    def key(self, subject: str) -> str:
        """Return the key of a subject of this bucket."""
        return subject.removeprefix(self.prefix)


def bucket_config(config: Config) -> dict[str, Any]:
    """Return a stream's configuration in the terms of buckets: what a person sets."""
    found = Bucket.of(config)
    own = {k: v for k, v in (config.get("metadata") or {}).items() if not k.startswith(_OWN_METADATA)}
    result: dict[str, Any] = {
        "bucket": found.name,
        "description": config.get("description") or "",
        "metadata": own,
        "history": found.history,
        "ttl": found.ttl_ns,
        "limit_marker_ttl": found.marker_ttl_ns,
        "max_bytes": found.max_bytes,
        "max_value_size": found.max_value,
        "storage": config.get("storage") or "file",
        "num_replicas": int(config.get("num_replicas") or 1),
        "compression": found.compressed,
        "placement": config.get("placement"),
        "republish": config.get("republish"),
        "mirror": _named_by_bucket(config.get("mirror")),
        "sources": [_named_by_bucket(source) for source in config.get("sources") or []] or None,
    }
    return result


def stream_config(bucket: Config, before: Config | None = None) -> dict[str, Any]:
    """Return the stream's configuration that makes a bucket, or changes one.

    Args:
        bucket: In the terms of `bucket_config`.
        before: The stream's configuration until now; what buckets do not set stays as it is.
    """
    name = str(bucket["bucket"])
    ttl = int(bucket.get("ttl") or 0)
    config: dict[str, Any] = dict(before) if before is not None else _fixed(name, bucket)
    own = {k: v for k, v in (config.get("metadata") or {}).items() if k.startswith(_OWN_METADATA)}
    marker = int(bucket.get("limit_marker_ttl") or 0)
    config |= {
        "description": bucket.get("description") or "",
        "max_msgs_per_subject": int(bucket.get("history") or 1),
        "max_age": ttl,
        "max_bytes": int(bucket.get("max_bytes") or -1),
        "max_msg_size": int(bucket.get("max_value_size") or -1),
        "storage": bucket.get("storage") or "file",
        "num_replicas": int(bucket.get("num_replicas") or 1),
        "compression": "s2" if bucket.get("compression") else "none",
        "metadata": own | dict(bucket.get("metadata") or {}),
        "placement": bucket.get("placement"),
        "republish": bucket.get("republish"),
    }
    if before is None or ttl:
        window = int(config.get("duplicate_window") or _DUPLICATES)
        config["duplicate_window"] = min(window, ttl) if ttl else window
    if marker or config.get("subject_delete_marker_ttl"):
        config["subject_delete_marker_ttl"] = marker
    if marker:
        config["allow_msg_ttl"] = True
    _set_origins(config, name, bucket, before)
    return {key: value for key, value in config.items() if value not in (None, "", {}, [])}


def _fixed(name: str, bucket: Config) -> dict[str, Any]:
    """What every bucket has."""
    return {
        "name": stream_name(name),
        "subjects": [] if bucket.get("mirror") else [f"$KV.{name}.>"],
        "retention": "limits",
        "discard": "new",
        "max_msgs": -1,
        "max_consumers": -1,
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        "allow_direct": True,
        "mirror_direct": bool(bucket.get("mirror")),
        "duplicate_window": _DUPLICATES,
    }


def _set_origins(config: dict[str, Any], name: str, bucket: Config, before: Config | None) -> None:
    """Name the streams of the buckets it is copied from; their keys move under the bucket's own prefix."""
    mirror, sources = bucket.get("mirror"), bucket.get("sources") or []
    if before is not None and before.get("mirror"):
        return  # cannot be changed
    if mirror:
        config["mirror"] = {**mirror, "name": stream_name(bucket_name(str(mirror["name"])))}
        return
    made = []
    for source in sources:
        origin = bucket_name(str(source["name"]))
        moved = [{"src": f"$KV.{origin}.>", "dest": f"$KV.{name}.>"}]
        made.append({"subject_transforms": moved, **source, "name": stream_name(origin)})
    config["sources"] = made


def _named_by_bucket(source: Config | None) -> dict[str, Any] | None:
    if not source:
        return None
    return {**source, "name": bucket_name(str(source.get("name", "")))}
