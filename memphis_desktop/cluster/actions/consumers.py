"""Changes to consumers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from memphis_desktop.language import tr

from . import command_line
from .action import Action, Config


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
    flags = command_line.consumer_flags(config, {})
    kind = f"--target={config['deliver_subject']}" if config.get("deliver_subject") else "--pull"
    command = command_line.join("nats", "consumer", "add", stream, name, kind, *flags, "--defaults")
    if name:
        title = tr("Create consumer {name} on {stream}", name=name, stream=stream)
    else:
        title = tr("Create a consumer without a name on {stream}", stream=stream)
    return Action(title, suffix, body, command, stream)


def update_consumer(stream: str, config: Config, before: Config) -> Action:
    """Change a consumer's configuration."""
    made = create_consumer(stream, config, purpose="update")
    name = str(config.get("durable_name") or config.get("name"))
    flags = command_line.consumer_flags(config, before)
    command = command_line.join("nats", "consumer", "edit", stream, name, *flags, "--force")
    return replace(
        made,
        title=tr("Change consumer {name} on {stream}", name=name, stream=stream),
        command=command,
        before=before,
    )


def delete_consumer(stream: str, name: str, before: Config | None = None) -> Action:
    """Delete a consumer with its position and everything pending."""
    command = command_line.join("nats", "consumer", "rm", stream, name, "--force")
    title = tr("Delete consumer {name} on {stream}", name=name, stream=stream)
    return Action(title, f"CONSUMER.DELETE.{stream}.{name}", None, command, stream, before, True)


def pause_consumer(stream: str, name: str, until: str) -> Action:
    """Stop deliveries until a time (RFC 3339)."""
    command = command_line.join("nats", "consumer", "pause", stream, name, until, "--force")
    title = tr("Pause consumer {name} on {stream}", name=name, stream=stream)
    return Action(title, f"CONSUMER.PAUSE.{stream}.{name}", {"pause_until": until}, command, stream)


def resume_consumer(stream: str, name: str) -> Action:
    """Let a paused consumer go on."""
    command = command_line.join("nats", "consumer", "resume", stream, name, "--force")
    title = tr("Resume consumer {name} on {stream}", name=name, stream=stream)
    return Action(title, f"CONSUMER.PAUSE.{stream}.{name}", None, command, stream)


def unpin_consumer(stream: str, name: str, group: str) -> Action:
    """Take the pin from the client that holds it, so that another gets a turn."""
    command = command_line.join("nats", "consumer", "unpin", stream, name, group, "--force")
    title = tr("Unpin group {group} of consumer {name} on {stream}", group=group, name=name, stream=stream)
    return Action(title, f"CONSUMER.UNPIN.{stream}.{name}", {"group": group}, command, stream)


def reset_consumer(stream: str, name: str, sequence: int | None) -> Action:
    """Move a consumer to a sequence, or without one back to its ack floor (servers from 2.14 on)."""
    arguments = [f"--seq={sequence}"] if sequence else []
    command = command_line.join("nats", "consumer", "reset", stream, name, *arguments, "--force")
    body = {"seq": sequence} if sequence else None
    title = tr("Reset consumer {name} on {stream}", name=name, stream=stream)
    return Action(title, f"CONSUMER.RESET.{stream}.{name}", body, command, stream, destroys=True)
