"""Changes to who leads and who is a member, in the groups of streams and consumers and in the meta group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from . import command_line
from .action import Action, Config
from .streams import update_stream


def step_down(stream: str, consumer: str | None = None, preferred: str = "") -> Action:
    """Make the leader of a stream or a consumer hand over."""
    body = {"placement": {"preferred": preferred}} if preferred else None
    flags = [f"--preferred={preferred}"] if preferred else []
    if consumer is None:
        command = command_line.join("nats", "stream", "cluster", "step-down", stream, *flags)
        return Action(
            f"Step down leader of {stream}", f"STREAM.LEADER.STEPDOWN.{stream}", body, command, stream
        )
    command = command_line.join("nats", "consumer", "cluster", "step-down", stream, consumer, *flags)
    title = f"Step down leader of consumer {consumer} on {stream}"
    return Action(title, f"CONSUMER.LEADER.STEPDOWN.{stream}.{consumer}", body, command, stream)


def step_down_meta(preferred: str = "") -> Action:
    """Make the leader of the meta group hand over; needs the system account."""
    body = {"placement": {"preferred": preferred}} if preferred else None
    host = [f"--host={preferred}"] if preferred else []
    command = command_line.join("nats", "server", "cluster", "step-down", *host, "--force")
    return Action("Step down the meta leader", "META.LEADER.STEPDOWN", body, command, "", system=True)


def remove_peer(stream: str, peer: str) -> Action:
    """Take a server out of a stream's group; the cluster puts another in its place when it has one."""
    command = command_line.join("nats", "stream", "cluster", "peer-remove", stream, peer, "--force")
    title = f"Remove {peer} from {stream}"
    return Action(title, f"STREAM.PEER.REMOVE.{stream}", {"peer": peer}, command, stream)


def evacuate_peer(stream: str, peer: str) -> Action:
    """Copy a stream to a spare server, then take `peer` out of its group (servers from 2.15 on)."""
    suffix, body = f"STREAM.PEER.EVACUATE.{stream}", {"peer": peer}
    return Action(f"Evacuate {stream} from {peer}", suffix, body, command_line.request(suffix, body), stream)


def evacuate_server(name: str, peer_id: str) -> Action:
    """Move every stream and consumer off a server (from 2.15 on); needs the system account."""
    body = {"peer": name, **({"peer_id": peer_id} if peer_id else {})}
    return Action(
        f"Evacuate server {name}",
        "SERVER.EVACUATE",
        body,
        command_line.request("SERVER.EVACUATE", body),
        "",
        system=True,
    )


def remove_server(name: str, peer_id: str) -> Action:
    """Take a server that is gone for good out of the meta group; needs the system account."""
    body = {"peer": name, **({"peer_id": peer_id} if peer_id else {})}
    command = command_line.join("nats", "server", "cluster", "peer-remove", peer_id or name, "--force")
    return Action(f"Remove server {name}", "SERVER.REMOVE", body, command, "", destroys=True, system=True)


def scale_stream(config: Config, replicas: int) -> Action:
    """Change how many copies of a stream there are."""
    made = update_stream({**config, "num_replicas": replicas}, config)
    return replace(made, title=f"Scale {config['name']} to {replicas} replicas")


def move_stream(config: Config, cluster: str, tags: Sequence[str]) -> Action:
    """Move a stream to servers of a cluster or with tags; with neither, to wherever there is room."""
    placement: dict[str, Any] = {}
    if cluster:
        placement["cluster"] = cluster
    if tags:
        placement["tags"] = list(tags)
    changed = {**config, "placement": placement} if placement else {**config}
    if not placement:
        changed.pop("placement", None)
    made = update_stream(changed, config)
    where = " ".join([cluster, *tags]) or "anywhere"
    return replace(made, title=f"Move {config['name']} to {where}")


def cancel_move(stream: str, account: str = "") -> Action:
    """Leave a stream where it is; with `account` through the system account, for servers before 2.15."""
    suffix = f"ACCOUNT.STREAM.CANCEL_MOVE.{account}.{stream}" if account else f"STREAM.CANCEL_MOVE.{stream}"
    command = command_line.request(suffix)
    return Action(f"Cancel the move of {stream}", suffix, None, command, stream, system=bool(account))
