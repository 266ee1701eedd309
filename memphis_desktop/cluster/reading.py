"""From the broker's JSON to snapshots. No input or output here; unknown keys and missing ones are fine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .model import AccountSnapshot, ConsumerSnapshot, StreamSnapshot
from .raft.reading import peers_of
from .times import parse_time

Json = Mapping[str, Any]


def is_moving(cluster: Json, config: Json) -> bool:
    """Whether an asset is on its way to other servers: more members than replicas, or the server says so."""
    if cluster.get("desired"):
        return True
    replicas = int(config.get("num_replicas") or 0)
    return replicas > 0 and len(cluster.get("replicas") or ()) + bool(cluster.get("leader")) > replicas


def destination_of(cluster: Json) -> tuple[str, ...]:
    """The members an asset is to have, while servers from 2.15 on work towards that; else nobody."""
    replicas = (cluster.get("desired") or {}).get("replicas") or ()
    return tuple(sorted(str(replica.get("name") or replica.get("peer") or "") for replica in replicas))


def progress_of(cluster: Json) -> str:
    """What that waits for, in the server's words."""
    return str(((cluster.get("desired") or {}).get("status") or {}).get("description") or "")


def stream(
    info: Json,
    previous: StreamSnapshot | None,
    messages_in: float | None,
    bytes_in: float | None,
    messages_out: float | None,
    read_at_ns: int,
) -> StreamSnapshot:
    """Return the snapshot of a StreamInfo; the configuration object is shared with `previous` when equal."""
    state = info.get("state") or {}
    config = info["config"]
    if previous is not None and previous.config == config:
        config = previous.config
    cluster = info.get("cluster") or {}
    return StreamSnapshot(
        name=config["name"],
        config=config,
        created=str(info.get("created", "")),
        messages=int(state.get("messages") or 0),
        bytes=int(state.get("bytes") or 0),
        first_sequence=int(state.get("first_seq") or 0),
        last_sequence=int(state.get("last_seq") or 0),
        first_time_ns=parse_time(state.get("first_ts")),
        last_time_ns=parse_time(state.get("last_ts")),
        subject_count=int(state.get("num_subjects") or 0),
        deleted_count=int(state.get("num_deleted") or 0),
        consumer_count=int(state.get("consumer_count") or 0),
        in_messages_rate=messages_in,
        in_bytes_rate=bytes_in,
        out_messages_rate=messages_out,
        leader=cluster.get("leader") or None,
        peers=peers_of(cluster.get("replicas") or ()),
        read_at_ns=read_at_ns,
        clustered="name" in cluster,
        mirror=info.get("mirror"),
        sources=tuple(info.get("sources") or ()),
        raft_group=str(cluster.get("raft_group") or ""),
        leader_since_ns=parse_time(cluster.get("leader_since")),
        moving=is_moving(cluster, config),
        destination=destination_of(cluster),
        progress=progress_of(cluster),
    )


def unread_stream(name: str) -> StreamSnapshot:
    """Return the snapshot of a stream of which only the name is known yet."""
    return StreamSnapshot(
        name=name,
        config={"name": name},
        created="",
        messages=0,
        bytes=0,
        first_sequence=0,
        last_sequence=0,
        first_time_ns=None,
        last_time_ns=None,
        subject_count=0,
        deleted_count=0,
        consumer_count=0,
        in_messages_rate=None,
        in_bytes_rate=None,
        out_messages_rate=None,
    )


def consumer(
    info: Json,
    previous: ConsumerSnapshot | None,
    delivered_rate: float | None,
    acked_rate: float | None,
    lag_seconds: float | None,
    drain_seconds: float | None,
    lag_at_edge: bool,
    read_at_ns: int,
) -> ConsumerSnapshot:
    """Return the snapshot of a ConsumerInfo."""
    delivered = info.get("delivered") or {}
    floor = info.get("ack_floor") or {}
    config = info.get("config") or {}
    if previous is not None and previous.config == config:
        config = previous.config
    cluster = info.get("cluster") or {}
    return ConsumerSnapshot(
        stream=str(info["stream_name"]),
        name=str(info["name"]),
        config=config,
        created=str(info.get("created", "")),
        delivered_consumer=int(delivered.get("consumer_seq") or 0),
        delivered_stream=int(delivered.get("stream_seq") or 0),
        ack_floor_consumer=int(floor.get("consumer_seq") or 0),
        ack_floor_stream=int(floor.get("stream_seq") or 0),
        last_delivered_ns=parse_time(delivered.get("last_active")),
        last_acked_ns=parse_time(floor.get("last_active")),
        num_pending=int(info.get("num_pending") or 0),
        num_ack_pending=int(info.get("num_ack_pending") or 0),
        num_redelivered=int(info.get("num_redelivered") or 0),
        num_waiting=int(info.get("num_waiting") or 0),
        push_bound=bool(info.get("push_bound")),
        paused=bool(info.get("paused")),
        delivered_rate=delivered_rate,
        acked_rate=acked_rate,
        lag_seconds=lag_seconds,
        drain_seconds=drain_seconds,
        leader=cluster.get("leader") or None,
        peers=peers_of(cluster.get("replicas") or ()),
        read_at_ns=read_at_ns,
        clustered="name" in cluster,
        pause_remaining_ns=info.get("pause_remaining") or None,
        lag_at_edge=lag_at_edge,
        pinned={
            str(group["group"]): str(group["pinned_client_id"])
            for group in info.get("priority_groups") or ()
            if group.get("pinned_client_id")
        },
        raft_group=str(cluster.get("raft_group") or ""),
        leader_since_ns=parse_time(cluster.get("leader_since")),
        moving=is_moving(cluster, config),
        destination=destination_of(cluster),
        progress=progress_of(cluster),
    )


def account(info: Json, api_errors_rate: float | None) -> AccountSnapshot:
    """Return the snapshot of an account info answer; tiers are added up."""
    limits = info.get("limits") or {}
    memory, storage = int(info.get("memory") or 0), int(info.get("storage") or 0)
    max_memory, max_storage = int(limits.get("max_memory", -1)), int(limits.get("max_storage", -1))
    tiers = info.get("tiers") or {}
    if tiers:  # the top level holds zeros then
        tier_limits = [tier.get("limits") or {} for tier in tiers.values()]
        max_memory = _sum_of_limits(tier_limits, "max_memory")
        max_storage = _sum_of_limits(tier_limits, "max_storage")
    api = info.get("api") or {}
    return AccountSnapshot(
        enabled=True,
        memory=memory,
        storage=storage,
        streams=int(info.get("streams") or 0),
        consumers=int(info.get("consumers") or 0),
        max_memory=max_memory,
        max_storage=max_storage,
        api_total=int(api.get("total") or 0),
        api_errors=int(api.get("errors") or 0),
        api_errors_rate=api_errors_rate,
        api_level=int(api.get("level") or 0),
        max_streams=int(limits.get("max_streams", -1)),
        max_consumers=int(limits.get("max_consumers", -1)),
        domain=info.get("domain"),
    )


def _sum_of_limits(limits: list[Json], key: str) -> int:
    values = [int(limit.get(key, -1)) for limit in limits]
    return -1 if any(value < 0 for value in values) else sum(values)
