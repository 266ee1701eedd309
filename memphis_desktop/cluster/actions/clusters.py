"""Changes to who leads and who is a member, in the groups of streams and consumers and in the meta group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from memphis_desktop.language import tr, tr_count

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
            tr("Step down leader of {stream}", stream=stream),
            f"STREAM.LEADER.STEPDOWN.{stream}",
            body,
            command,
            stream,
        )
    command = command_line.join("nats", "consumer", "cluster", "step-down", stream, consumer, *flags)
    title = tr("Step down leader of consumer {consumer} on {stream}", consumer=consumer, stream=stream)
    return Action(title, f"CONSUMER.LEADER.STEPDOWN.{stream}.{consumer}", body, command, stream)


def step_down_meta(preferred: str = "") -> Action:
    """Make the leader of the meta group hand over; needs the system account."""
    body = {"placement": {"preferred": preferred}} if preferred else None
    host = [f"--host={preferred}"] if preferred else []
    command = command_line.join("nats", "server", "cluster", "step-down", *host, "--force")
    return Action(tr("Step down the meta leader"), "META.LEADER.STEPDOWN", body, command, "", system=True)


def remove_peer(stream: str, peer: str) -> Action:
    """Take a server out of a stream's group; the cluster puts another in its place when it has one."""
    command = command_line.join("nats", "stream", "cluster", "peer-remove", stream, peer, "--force")
    title = tr("Remove {peer} from {stream}", peer=peer, stream=stream)
    return Action(title, f"STREAM.PEER.REMOVE.{stream}", {"peer": peer}, command, stream)


def evacuate_peer(stream: str, peer: str) -> Action:
    """Copy a stream to a spare server, then take `peer` out of its group (servers from 2.15 on)."""
    suffix, body = f"STREAM.PEER.EVACUATE.{stream}", {"peer": peer}
    return Action(
        tr("Evacuate {stream} from {peer}", stream=stream, peer=peer),
        suffix,
        body,
        command_line.request(suffix, body),
        stream,
    )


def evacuate_server(name: str, peer_id: str) -> Action:
    """Move every stream and consumer off a server (from 2.15 on); needs the system account."""
    body = {"peer": name, **({"peer_id": peer_id} if peer_id else {})}
    return Action(
        tr("Evacuate server {name}", name=name),
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
    return Action(
        tr("Remove server {name}", name=name), "SERVER.REMOVE", body, command, "", destroys=True, system=True
    )


def scale_stream(config: Config, replicas: int) -> Action:
    """Change how many copies of a stream there are."""
    made = update_stream({**config, "num_replicas": replicas}, config)
    title = tr_count(
        "Scale {name} to {count} replica", "Scale {name} to {count} replicas", replicas, name=config["name"]
    )
    return replace(made, title=title)


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
    return replace(made, title=tr("Move {name} to {where}", name=config["name"], where=where))


def cancel_move(stream: str, account: str = "") -> Action:
    """Leave a stream where it is; with `account` through the system account, for servers before 2.15."""
    suffix = f"ACCOUNT.STREAM.CANCEL_MOVE.{account}.{stream}" if account else f"STREAM.CANCEL_MOVE.{stream}"
    command = command_line.request(suffix)
    return Action(
        tr("Cancel the move of {stream}", stream=stream), suffix, None, command, stream, system=bool(account)
    )
