"""Backing up a stream into a folder, and making a stream from one, on any broker.

A backup holds the configuration, the consumers and every message byte for byte (``messages.mdump``, which the
message browser opens too). ``backup.json`` is written last: without it a folder is no backup. Brokers cannot
read each other's own snapshots; these folders go from one to another. What cannot be kept is said in
`RestoreReport`: messages get new times, and new sequences where there were gaps.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memphis_desktop.errors import Failure
from memphis_desktop.inspect.backup_reader import DESCRIPTION
from memphis_desktop.inspect.backup_reader import OWN_FORMAT as FORMAT
from memphis_desktop.inspect.backup_reader import OWN_MESSAGES as MESSAGES
from memphis_desktop.inspect.files import Exporter, messages_of
from memphis_desktop.inspect.message import Headers, InspectedMessage
from memphis_desktop.inspect.publishing import Acknowledgement, Publisher, PublishError
from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.inspect.replay import NEVER_COPIED, MessageRange
from memphis_desktop.language import tr

from . import actions
from .failures import ClusterError
from .profiles import write_private
from .times import parse_time

if TYPE_CHECKING:
    from .session import Session

VERSION = 1
_INSTRUCTIONS = frozenset(name.lower() for name in NEVER_COPIED)
# What would change or lose messages while they are put back; set again at the end.
_SET_LATER = ("sealed", "republish", "duplicate_window", "no_ack", "max_age")
_SHORT_WINDOW = 100_000_000  # nanoseconds, the shortest a broker takes

Progress = Callable[[int, int], None]


class BackupError(Failure):
    """A backup cannot be made, read or restored; the text says why."""


@dataclass(frozen=True)
class Backup:
    """What a backup folder says of itself.

    Attributes:
        folder: Where it is.
        stream: The stream's name.
        config: Its configuration.
        consumers: Its durable consumers: configuration, and the sequence of their ack floor.
        messages: How many messages there are.
        bytes: Size of the file of messages.
        first_sequence: Sequence of the first message, 0 without any.
        made: When, RFC 3339.
    """

    folder: Path
    stream: str
    config: Mapping[str, Any]
    consumers: tuple[Mapping[str, Any], ...]
    messages: int
    bytes: int
    first_sequence: int
    made: str

    @property
    def made_ns(self) -> int | None:
        """When it was made, nanoseconds since 1970."""
        return parse_time(self.made)


@dataclass
class RestoreReport:
    """What became of a restore.

    Attributes:
        stream: The stream that was made.
        messages: Messages stored.
        duplicates: Messages the broker took for repeats of another and did not store.
        refused: Messages it refused.
        problems: The first few reasons.
        renumbered: Whether sequences differ from those in the backup.
        consumers: Consumers made.
    """

    stream: str
    messages: int = 0
    duplicates: int = 0
    refused: int = 0
    problems: list[str] = field(default_factory=list)
    renumbered: bool = False
    consumers: int = 0


async def back_up(
    session: Session, stream: str, folder: Path, progress: Progress = lambda done, total: None
) -> Backup:
    """Write a backup of a stream as it is now into a new folder.

    Cancelling leaves no `DESCRIPTION`, so what is there is no backup.

    Raises:
        BackupError: The folder is not empty or cannot be written.
        ClusterError, ReadError: The broker could not be read.
    """
    await asyncio.to_thread(_make_folder, folder)
    info = await session.api(f"STREAM.INFO.{stream}")
    consumers = await _consumers(session, stream)
    state = info["state"]
    exporter = Exporter(folder / MESSAGES, "dump")
    first = 0
    reader = await MessageReader.open(session, stream, api_prefix=session.profile.api_prefix)
    try:
        bounds = reader.bounds
        total = int(state["messages"])

        async def read() -> AsyncIterator[InspectedMessage]:
            nonlocal first
            if not total:
                return
            async for message in MessageRange(reader, bounds.first, bounds.last).read(0):
                first = first or message.sequence
                yield message
                if exporter.progress.messages % 1000 == 0:
                    progress(exporter.progress.messages, total)

        written = await exporter.run(read())
    finally:
        await reader.close()
    progress(written.messages, written.messages)
    made = Backup(
        folder,
        stream,
        info["config"],
        tuple(consumers),
        written.messages,
        written.bytes,
        first,
        info.get("ts", ""),
    )
    description = {
        "format": FORMAT,
        "version": VERSION,
        "stream": stream,
        "config": made.config,
        "consumers": list(made.consumers),
        "messages": made.messages,
        "bytes": made.bytes,
        "first_sequence": first,
        "made": made.made,
    }
    text = json.dumps(description, indent=2, ensure_ascii=False)
    try:
        await asyncio.to_thread(write_private, folder / DESCRIPTION, text)
    except OSError as error:
        raise BackupError(
            tr("{path} cannot be written: {strerror}", path=folder, strerror=error.strerror)
        ) from error
    return made


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise BackupError(tr("{folder} is not empty. Choose a new folder for the backup", folder=folder))
    except OSError as error:
        raise BackupError(
            tr("{folder} cannot be made: {strerror}", folder=folder, strerror=error.strerror)
        ) from error


async def _consumers(session: Session, stream: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    seen = 0
    while True:
        answer = await session.api(f"CONSUMER.LIST.{stream}", {"offset": seen})
        page = answer.get("consumers") or []
        seen += len(page)
        found += [
            {"config": info["config"], "ack_floor": int((info.get("ack_floor") or {}).get("stream_seq") or 0)}
            for info in page
            if (info.get("config") or {}).get("durable_name")
        ]
        if not page or seen >= int(answer.get("total") or 0):
            return found


def read_backup(folder: Path) -> Backup:
    """Read what a backup folder says of itself. Raises `BackupError` when it is none, or not whole."""
    try:
        values = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        size = (folder / MESSAGES).stat().st_size
    except FileNotFoundError as error:
        raise BackupError(
            tr(
                "{folder} is no finished backup: {name} is missing",
                folder=folder,
                name=Path(error.filename).name,
            )
        ) from error
    except (OSError, ValueError) as error:
        raise BackupError(tr("{path} cannot be read: {error}", path=folder, error=error)) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise BackupError(tr("{folder} holds no backup of a station", folder=folder))
    if values.get("version") != VERSION:
        raise BackupError(tr("{folder} was made by a later version of the program", folder=folder))
    try:
        backup = Backup(
            folder,
            str(values["stream"]),
            dict(values["config"]),
            tuple(values["consumers"]),
            int(values["messages"]),
            int(values["bytes"]),
            int(values["first_sequence"]),
            str(values.get("made", "")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BackupError(
            tr("{folder} holds a damaged backup: {error}", folder=folder, error=error)
        ) from error
    if size < backup.bytes:
        raise BackupError(tr("The messages of the backup in {folder} are not whole", folder=folder))
    return backup


def restored_config(backup: Backup, name: str) -> dict[str, Any]:
    """Return the configuration the stream will have in the end. Raises `BackupError` when it cannot."""
    config = {key: value for key, value in backup.config.items() if key not in ("name", "first_seq")}
    for key, problem in (
        ("mirror", tr("{stream} is a mirror, and cannot be restored by publishing its messages")),
        (
            "sources",
            tr("{stream} is copied from other stations, and cannot be restored by publishing its messages"),
        ),
        (
            "subject_transform",
            tr(
                "{stream} is stored under changed subjects, and cannot be restored by publishing its messages"
            ),
        ),
        (
            "allow_msg_counter",
            tr("{stream} is made of counters, and cannot be restored by publishing its messages"),
        ),
    ):
        if config.get(key):
            raise BackupError(problem.format(stream=backup.stream))
    given = config.pop("metadata", None) or {}
    own = "_nats."  # untranslated: the server's keys
    metadata = {key: value for key, value in given.items() if not key.startswith(own)}
    if metadata:
        config["metadata"] = metadata
    return {"name": name, **config}


async def restore(
    session: Session, backup: Backup, name: str, progress: Progress = lambda done, total: None
) -> RestoreReport:
    """Make a stream from a backup, with its messages and durable consumers.

    A failure or a cancellation leaves the stream as far as it came; its name must be free.

    Raises:
        BackupError: The backup cannot be restored, or is damaged.
        ClusterError: The broker refused the stream.
    """
    final = restored_config(backup, name)
    config = {key: value for key, value in final.items() if key not in _SET_LATER}
    config["duplicate_window"] = _SHORT_WINDOW
    if backup.first_sequence > 1:
        config["first_seq"] = backup.first_sequence
    await actions.create_stream(config).run(session)
    report = RestoreReport(name)
    keeps_for_consumers = final.get("retention") in ("interest", "workqueue")
    if keeps_for_consumers:  # without them the messages would go at once
        await _make_consumers(session, backup, name, report, None)
    sequences = await _put_back(session, backup, report, progress)
    if not keeps_for_consumers:
        await _make_consumers(session, backup, name, report, sequences)
    if any(final.get(key) != config.get(key) for key in _SET_LATER):
        await actions.update_stream(final, config).run(session)
    return report


async def _put_back(
    session: Session, backup: Backup, report: RestoreReport, progress: Progress
) -> dict[int, int]:
    """Publish every message; return for each consumer's ack floor where it is now."""
    floors = sorted({int(consumer["ack_floor"]) for consumer in backup.consumers})
    now_at: dict[int, int] = dict.fromkeys(floors, 0)

    def settle(sequence: int, result: Acknowledgement | PublishError) -> None:
        if isinstance(result, PublishError):
            report.refused += 1
            if len(report.problems) < 5:
                report.problems.append(str(result))
            return
        if result.duplicate:
            report.duplicates += 1
            return
        report.messages += 1
        report.renumbered = report.renumbered or result.sequence != sequence
        for floor in floors:
            if sequence <= floor:
                now_at[floor] = max(now_at[floor], result.sequence)
        if report.messages % 1000 == 0:
            progress(report.messages, backup.messages)

    async with Publisher(session.nats, settle, timeout=session.profile.request_timeout) as publisher:
        async for message in messages_of(backup.folder / MESSAGES):
            await publisher.publish(
                message.sequence, message.subject, message.payload, without_instructions(message.headers)
            )
        await publisher.drain()
    progress(report.messages, backup.messages)
    return now_at


def without_instructions(headers: Headers) -> Headers:
    """Return headers without those that tell the broker what to do on publishing."""
    return Headers((name, value) for name, value in headers.items() if name.lower() not in _INSTRUCTIONS)


async def _make_consumers(
    session: Session, backup: Backup, stream: str, report: RestoreReport, sequences: Mapping[int, int] | None
) -> None:
    for consumer in backup.consumers:
        config = {
            key: value
            for key, value in consumer["config"].items()
            if key not in ("metadata", "pause_until", "opt_start_seq", "opt_start_time", "deliver_policy")
        }
        reached = (sequences or {}).get(int(consumer["ack_floor"]), 0)
        if reached:
            config |= {"deliver_policy": "by_start_sequence", "opt_start_seq": reached + 1}
        try:
            await actions.create_consumer(stream, config).run(session)
            report.consumers += 1
        except ClusterError as error:
            report.problems.append(tr("Group {name}: {error}", name=config.get("durable_name"), error=error))
