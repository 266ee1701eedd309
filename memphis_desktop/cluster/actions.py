"""Everything the console can change, each as an object that shows itself before it acts.

An action knows its JetStream API subject, its JSON body and the ``nats`` command that does the same, so that
the user can review, copy or automate it. It runs through the session, which refuses on read-only connections.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .session import Session

Config = Mapping[str, Any]

_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Action:
    """One change.

    Attributes:
        title: What it does, as a verb and its object: ``Purge stream ORDERS``.
        suffix: The API subject behind the prefix.
        body: The request; None sends an empty one.
        command: The equivalent ``nats`` command line; empty when the tool has none.
        stream: The stream it concerns, read again afterwards.
        before: The configuration it replaces or removes, for the record and for going back.
        destroys: Whether messages or state are lost for good.
        system: Whether it goes through the system account, at the API's own prefix.
        shown_as: What it used, when that is not one API request: fit to show, nothing to send to.
    """

    title: str
    suffix: str
    body: Mapping[str, Any] | None
    command: str
    stream: str
    before: Config | None = None
    destroys: bool = False
    system: bool = False
    shown_as: str = ""

    def subject(self, session: Session) -> str:
        """Return the whole API subject."""
        if self.shown_as:
            return self.shown_as
        return f"$JS.API.{self.suffix}" if self.system else session.api_subject(self.suffix)

    async def run(self, session: Session) -> dict[str, Any]:
        """Do it and return the broker's answer.

        Raises:
            ClusterError: Refused by the broker (`ApiError`), by a read-only connection, or not answered.
        """
        started = time.monotonic()
        answer: dict[str, Any] | None = None
        problem = ""
        try:
            session.require_writable()
            ask = session.system_api if self.system else session.api
            answer = await ask(self.suffix, self.body)
            return answer
        except Exception as error:
            problem = str(error)
            raise
        finally:
            session.hand_on_action(
                ActionRecord(time.time_ns(), self, answer, problem, time.monotonic() - started)
            )
            session.refresh(self.stream or None)

    def equivalent(self, session: Session) -> str:
        """Return the command line, the API subject and the body, fit to copy."""
        lines = [self.command, ""] if self.command else []
        lines.append(self.subject(session))
        if self.body is not None:
            lines.append(json.dumps(self.body, indent=2, ensure_ascii=False))
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class ActionRecord:
    """An action that was tried.

    Attributes:
        time_ns: When it ended.
        action: What was asked.
        answer: The broker's answer, None when it failed.
        problem: Why it failed, empty otherwise.
        seconds: How long it took.
    """

    time_ns: int
    action: Action
    answer: Mapping[str, Any] | None
    problem: str
    seconds: float


# Streams


def create_stream(config: Config) -> Action:
    """Make a stream."""
    name = str(config["name"])
    flags = _flags(config, _STREAM_FLAGS, {})
    command = _command("nats", "stream", "add", name, *flags, "--defaults")
    return Action(f"Create stream {name}", f"STREAM.CREATE.{name}", dict(config), command, name)


def update_stream(config: Config, before: Config) -> Action:
    """Change a stream's configuration; the broker wants the whole of it."""
    name = str(config["name"])
    command = _command("nats", "stream", "edit", name, *_flags(config, _STREAM_FLAGS, before), "--force")
    body = {key: value for key, value in config.items() if value is not None}
    return Action(f"Change stream {name}", f"STREAM.UPDATE.{name}", body, command, name, before)


def seal_stream(config: Config) -> Action:
    """Close a stream for good: nothing is added, removed or changed any more."""
    name = str(config["name"])
    command = _command("nats", "stream", "seal", name, "--force")
    body = {**config, "sealed": True}
    return Action(f"Seal stream {name}", f"STREAM.UPDATE.{name}", body, command, name, config, True)


def purge_stream(name: str, *, subject: str = "", below: int = 0, keep: int = 0) -> Action:
    """Remove messages.

    Args:
        name: The stream.
        subject: Only on this subject, wildcards allowed.
        below: Only those before this sequence.
        keep: All but so many of the newest; not together with `below`.
    """
    if below and keep:
        raise ValueError("either a sequence or a number to keep, not both")
    body: dict[str, Any] = {}
    flags: list[str] = []
    for key, flag, value in (
        ("filter", "--subject", subject),
        ("seq", "--seq", below),
        ("keep", "--keep", keep),
    ):
        if value:
            body[key] = value
            flags.append(f"{flag}={value}")
    command = _command("nats", "stream", "purge", name, *flags, "--force")
    return Action(f"Purge stream {name}", f"STREAM.PURGE.{name}", body or None, command, name, destroys=True)


def delete_stream(name: str, before: Config | None = None) -> Action:
    """Delete a stream with its messages and consumers."""
    command = _command("nats", "stream", "rm", name, "--force")
    return Action(f"Delete stream {name}", f"STREAM.DELETE.{name}", None, command, name, before, True)


def delete_message(stream: str, sequence: int, *, erase: bool = True) -> Action:
    """Delete one message; with `erase` its bytes are overwritten."""
    body: dict[str, Any] = {"seq": sequence}
    if not erase:
        body["no_erase"] = True
    command = _command("nats", "stream", "rmm", stream, str(sequence), "--force")
    return Action(
        f"Delete message {sequence} of stream {stream}",
        f"STREAM.MSG.DELETE.{stream}",
        body,
        command,
        stream,
        destroys=True,
    )


# Consumers


def create_consumer(stream: str, config: Config, *, purpose: str = "create") -> Action:
    """Make a consumer, or with `purpose` ``update`` change one; ``""`` does either.

    A single filter goes into the subject too, where permissions can see it.
    """
    name = str(config.get("durable_name") or config.get("name") or "")
    suffix = f"CONSUMER.CREATE.{stream}"
    single = config.get("filter_subject")
    if name:
        suffix += f".{name}"
        if single and not config.get("filter_subjects"):
            suffix += f".{single}"
    body: dict[str, Any] = {"stream_name": stream, "config": dict(config)}
    if purpose:
        body["action"] = purpose
    flags = _flags(config, _CONSUMER_FLAGS, {})
    kind = f"--target={config['deliver_subject']}" if config.get("deliver_subject") else "--pull"
    command = _command("nats", "consumer", "add", stream, name, kind, *flags, "--defaults")
    title = f"Create consumer {name or '(unnamed)'} on {stream}"
    return Action(title, suffix, body, command, stream)


def update_consumer(stream: str, config: Config, before: Config) -> Action:
    """Change a consumer's configuration."""
    made = create_consumer(stream, config, purpose="update")
    name = str(config.get("durable_name") or config.get("name"))
    flags = _flags(config, _CONSUMER_FLAGS, before)
    command = _command("nats", "consumer", "edit", stream, name, *flags, "--force")
    return replace(made, title=f"Change consumer {name} on {stream}", command=command, before=before)


def delete_consumer(stream: str, name: str, before: Config | None = None) -> Action:
    """Delete a consumer with its position and everything pending."""
    command = _command("nats", "consumer", "rm", stream, name, "--force")
    title = f"Delete consumer {name} on {stream}"
    return Action(title, f"CONSUMER.DELETE.{stream}.{name}", None, command, stream, before, True)


def pause_consumer(stream: str, name: str, until: str) -> Action:
    """Stop deliveries until a time (RFC 3339)."""
    command = _command("nats", "consumer", "pause", stream, name, until, "--force")
    title = f"Pause consumer {name} on {stream}"
    return Action(title, f"CONSUMER.PAUSE.{stream}.{name}", {"pause_until": until}, command, stream)


def resume_consumer(stream: str, name: str) -> Action:
    """Let a paused consumer go on."""
    command = _command("nats", "consumer", "resume", stream, name, "--force")
    title = f"Resume consumer {name} on {stream}"
    return Action(title, f"CONSUMER.PAUSE.{stream}.{name}", None, command, stream)


def unpin_consumer(stream: str, name: str, group: str) -> Action:
    """Take the pin from the client that holds it, so that another gets a turn."""
    command = _command("nats", "consumer", "unpin", stream, name, group, "--force")
    title = f"Unpin group {group} of consumer {name} on {stream}"
    return Action(title, f"CONSUMER.UNPIN.{stream}.{name}", {"group": group}, command, stream)


def reset_consumer(stream: str, name: str, sequence: int | None) -> Action:
    """Move a consumer to a sequence, or without one back to its ack floor (servers from 2.14 on)."""
    arguments = [f"--seq={sequence}"] if sequence else []
    command = _command("nats", "consumer", "reset", stream, name, *arguments, "--force")
    body = {"seq": sequence} if sequence else None
    title = f"Reset consumer {name} on {stream}"
    return Action(title, f"CONSUMER.RESET.{stream}.{name}", body, command, stream, destroys=True)


def step_down(stream: str, consumer: str | None = None, preferred: str = "") -> Action:
    """Make the leader of a stream or a consumer hand over."""
    body = {"placement": {"preferred": preferred}} if preferred else None
    flags = [f"--preferred={preferred}"] if preferred else []
    if consumer is None:
        command = _command("nats", "stream", "cluster", "step-down", stream, *flags)
        return Action(
            f"Step down leader of {stream}", f"STREAM.LEADER.STEPDOWN.{stream}", body, command, stream
        )
    command = _command("nats", "consumer", "cluster", "step-down", stream, consumer, *flags)
    title = f"Step down leader of consumer {consumer} on {stream}"
    return Action(title, f"CONSUMER.LEADER.STEPDOWN.{stream}.{consumer}", body, command, stream)


# Clusters


def step_down_meta(preferred: str = "") -> Action:
    """Make the leader of the meta group hand over; needs the system account."""
    body = {"placement": {"preferred": preferred}} if preferred else None
    host = [f"--host={preferred}"] if preferred else []
    command = _command("nats", "server", "cluster", "step-down", *host, "--force")
    return Action("Step down the meta leader", "META.LEADER.STEPDOWN", body, command, "", system=True)


def remove_peer(stream: str, peer: str) -> Action:
    """Take a server out of a stream's group; the cluster puts another in its place when it has one."""
    command = _command("nats", "stream", "cluster", "peer-remove", stream, peer, "--force")
    title = f"Remove {peer} from {stream}"
    return Action(title, f"STREAM.PEER.REMOVE.{stream}", {"peer": peer}, command, stream)


def evacuate_peer(stream: str, peer: str) -> Action:
    """Copy a stream to a spare server, then take `peer` out of its group (servers from 2.15 on)."""
    suffix, body = f"STREAM.PEER.EVACUATE.{stream}", {"peer": peer}
    return Action(f"Evacuate {stream} from {peer}", suffix, body, _request(suffix, body), stream)


def evacuate_server(name: str, peer_id: str) -> Action:
    """Move every stream and consumer off a server (from 2.15 on); needs the system account."""
    body = {"peer": name, **({"peer_id": peer_id} if peer_id else {})}
    return Action(
        f"Evacuate server {name}",
        "SERVER.EVACUATE",
        body,
        _request("SERVER.EVACUATE", body),
        "",
        system=True,
    )


def remove_server(name: str, peer_id: str) -> Action:
    """Take a server that is gone for good out of the meta group; needs the system account."""
    body = {"peer": name, **({"peer_id": peer_id} if peer_id else {})}
    command = _command("nats", "server", "cluster", "peer-remove", peer_id or name, "--force")
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
    command = _request(suffix)
    return Action(f"Cancel the move of {stream}", suffix, None, command, stream, system=bool(account))


# Command lines


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


def _command(*words: str) -> str:
    return shlex.join(word for word in words if word)


def _request(suffix: str, body: Mapping[str, Any] | None = None) -> str:
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
    shown = {key: item for key, item in (value or {}).items() if not str(key).startswith("_nats.")}
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
