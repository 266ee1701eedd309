"""Making, changing and removing buckets: what streams do, with the commands buckets have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from memphis_desktop.cluster import actions
from memphis_desktop.cluster.actions import Action, Config, command_line, go_duration
from memphis_desktop.inspect.key_value.bucket import Bucket, stream_config
from memphis_desktop.language import tr


def create_bucket(bucket: Config) -> Action:
    """Make a bucket; its configuration is in the terms of `bucket_config`."""
    name = str(bucket["bucket"])
    made = actions.create_stream(stream_config(bucket))
    marker = int(bucket.get("limit_marker_ttl") or 0)
    if marker or bucket.get("metadata"):  # the tool has no words for these in buckets
        return replace(made, title=tr("Create bucket {bucket}", bucket=name))
    command = command_line.join("nats", "kv", "add", name, *_flags(bucket))
    return replace(made, title=tr("Create bucket {bucket}", bucket=name), command=command)


def update_bucket(bucket: Config, before: Config) -> Action:
    """Change a bucket whose stream has the configuration `before`."""
    made = actions.update_stream(stream_config(bucket, before), before)
    return replace(made, title=tr("Change bucket {bucket}", bucket=bucket["bucket"]))


def delete_bucket(config: Config) -> Action:
    """Delete the bucket of a stream with all its keys."""
    bucket = Bucket.of(config)
    command = command_line.join("nats", "kv", "del", bucket.name, "--force")
    made = actions.delete_stream(bucket.stream, config)
    return replace(made, title=tr("Delete bucket {bucket}", bucket=bucket.name), command=command)


def _flags(bucket: Config) -> list[str]:
    flags: list[str] = []

    def say(flag: str, value: Any) -> None:
        if value:
            flags.append(f"--{flag}={value}")

    say("description", bucket.get("description"))
    say("history", bucket.get("history"))
    say("ttl", go_duration(int(bucket["ttl"])) if bucket.get("ttl") else "")
    say("replicas", bucket.get("num_replicas"))
    say("max-value-size", max(0, int(bucket.get("max_value_size") or 0)))
    say("max-bucket-size", max(0, int(bucket.get("max_bytes") or 0)))
    say("storage", bucket.get("storage"))
    if bucket.get("compression"):
        flags.append("--compress")
    placement = bucket.get("placement") or {}
    say("cluster", placement.get("cluster"))
    for tag in placement.get("tags") or ():
        say("tags", tag)
    republish = bucket.get("republish") or {}
    say("republish-source", republish.get("src"))
    say("republish-destination", republish.get("dest"))
    if republish.get("headers_only"):
        flags.append("--republish-headers")
    mirror = bucket.get("mirror") or {}
    say("mirror", mirror.get("name"))
    for source in bucket.get("sources") or ():
        say("source", source.get("name"))
    return flags
