"""Changes to streams and their messages."""

from __future__ import annotations

from typing import Any

from memphis_desktop.language import tr

from . import command_line
from .action import Action, Config


def create_stream(config: Config) -> Action:
    """Make a stream."""
    name = str(config["name"])
    flags = command_line.stream_flags(config, {})
    command = command_line.join("nats", "stream", "add", name, *flags, "--defaults")
    return Action(tr("Create stream {name}", name=name), f"STREAM.CREATE.{name}", dict(config), command, name)


def update_stream(config: Config, before: Config) -> Action:
    """Change a stream's configuration; the broker wants the whole of it."""
    name = str(config["name"])
    command = command_line.join(
        "nats", "stream", "edit", name, *command_line.stream_flags(config, before), "--force"
    )
    body = {key: value for key, value in config.items() if value is not None}
    return Action(tr("Change stream {name}", name=name), f"STREAM.UPDATE.{name}", body, command, name, before)


def seal_stream(config: Config) -> Action:
    """Close a stream for good: nothing is added, removed or changed any more."""
    name = str(config["name"])
    command = command_line.join("nats", "stream", "seal", name, "--force")
    body = {**config, "sealed": True}
    return Action(
        tr("Seal stream {name}", name=name), f"STREAM.UPDATE.{name}", body, command, name, config, True
    )


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
    command = command_line.join("nats", "stream", "purge", name, *flags, "--force")
    return Action(
        tr("Purge stream {name}", name=name),
        f"STREAM.PURGE.{name}",
        body or None,
        command,
        name,
        destroys=True,
    )


def delete_stream(name: str, before: Config | None = None) -> Action:
    """Delete a stream with its messages and consumers."""
    command = command_line.join("nats", "stream", "rm", name, "--force")
    return Action(
        tr("Delete stream {name}", name=name), f"STREAM.DELETE.{name}", None, command, name, before, True
    )


def delete_message(stream: str, sequence: int, *, erase: bool = True) -> Action:
    """Delete one message; with `erase` its bytes are overwritten."""
    body: dict[str, Any] = {"seq": sequence}
    if not erase:
        body["no_erase"] = True
    command = command_line.join("nats", "stream", "rmm", stream, str(sequence), "--force")
    return Action(
        tr("Delete message {sequence} of stream {stream}", sequence=sequence, stream=stream),
        f"STREAM.MSG.DELETE.{stream}",
        body,
        command,
        stream,
        destroys=True,
    )
