"""Changes to object buckets and their objects.

A bucket is a stream, so that its making and changing are JetStream requests. Objects are changed by messages:
their actions show what is published, and `Publishing` hands on their record when it is done.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

from memphis_desktop.language import tr

from . import command_line
from .action import Action, ActionRecord, Config
from .streams import create_stream, delete_stream, seal_stream, update_stream

if TYPE_CHECKING:
    from memphis_desktop.cluster.session import Session

_PREFIX = "OBJ_"


def create_bucket(config: Config) -> Action:
    """Make a bucket from the configuration of its stream."""
    bucket = _bucket(config)
    flags = [
        f"{flag}={value}"
        for flag, value in (
            ("--description", config.get("description")),
            (
                "--ttl",
                command_line.go_duration(int(config.get("max_age") or 0)) if config.get("max_age") else "",
            ),
            ("--replicas", config.get("num_replicas")),
            ("--storage", config.get("storage")),
            ("--max-bucket-size", config["max_bytes"] if int(config.get("max_bytes") or -1) > 0 else ""),
        )
        if value
    ]
    if config.get("compression") == "s2":
        flags.append("--compress")
    flags += [f"--metadata={key}={value}" for key, value in (config.get("metadata") or {}).items()]
    placement = config.get("placement") or {}
    flags += [f"--cluster={placement['cluster']}"] if placement.get("cluster") else []
    flags += [f"--tags={tag}" for tag in placement.get("tags") or ()]
    command = command_line.join("nats", "object", "add", bucket, *flags)
    return replace(
        create_stream(config), title=tr("Create object bucket {bucket}", bucket=bucket), command=command
    )


def update_bucket(config: Config, before: Config) -> Action:
    """Change a bucket; the tool has no word for it but that for streams."""
    return replace(
        update_stream(config, before), title=tr("Change object bucket {bucket}", bucket=_bucket(config))
    )


def seal_bucket(config: Config) -> Action:
    """Close a bucket for good."""
    bucket = _bucket(config)
    command = command_line.join("nats", "object", "seal", bucket, "--force")
    return replace(
        seal_stream(config), title=tr("Seal object bucket {bucket}", bucket=bucket), command=command
    )


def delete_bucket(bucket: str, before: Config) -> Action:
    """Delete a bucket with all in it."""
    command = command_line.join("nats", "object", "rm", bucket, "--force")
    return replace(
        delete_stream(_PREFIX + bucket, before),
        title=tr("Delete object bucket {bucket}", bucket=bucket),
        command=command,
    )


def put_object(bucket: str, name: str, subject: str, file: str, description: str = "") -> Action:
    """Store a file as an object; `subject` is that of its record."""
    about = f"--description={description}" if description else ""
    command = command_line.join("nats", "object", "put", bucket, file, f"--name={name}", about, "--force")
    title = tr("Store object {name} in {bucket}", name=name, bucket=bucket)
    return Action(title, "", None, command, _PREFIX + bucket, shown_as=subject)


def change_object(title: str, bucket: str, subject: str, record: Mapping[str, Any], before: Config) -> Action:
    """Write another record of an object; the tool has no word for it."""
    return Action(title, "", record, "", _PREFIX + bucket, before, shown_as=subject)


def delete_object(bucket: str, name: str, subject: str, record: Mapping[str, Any], before: Config) -> Action:
    """Delete an object: a record that it is gone, and its chunks are purged."""
    command = command_line.join("nats", "object", "rm", bucket, name, "--force")
    title = tr("Delete object {name} of {bucket}", name=name, bucket=bucket)
    return Action(title, "", record, command, _PREFIX + bucket, before, True, shown_as=subject)


class Publishing:
    """``async with Publishing(session, action) as done``: refuses on read-only connections, and hands on the
    record at the end, with what `done` was given."""

    def __init__(self, session: Session, action: Action) -> None:
        self._session = session
        self.action = action
        self.answer: dict[str, Any] = {}
        self._started = 0.0

    async def __aenter__(self) -> Publishing:
        """Raises `ReadOnlyConnection`."""
        self._started = time.monotonic()
        try:
            self._session.require_writable()
        except Exception as error:
            self._hand_on(str(error))
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._hand_on("" if error is None else str(error) or tr("cancelled"))
        self._session.refresh(self.action.stream)

    def _hand_on(self, problem: str) -> None:
        answer = None if problem else self.answer
        seconds = time.monotonic() - self._started
        self._session.hand_on_action(ActionRecord(time.time_ns(), self.action, answer, problem, seconds))


def _bucket(config: Config) -> str:
    return str(config["name"]).removeprefix(_PREFIX)
