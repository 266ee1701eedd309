"""The record of what was changed through this program: who, where, what, and what was there before.

One JSON object a line, appended to a file in the data folder. At five megabytes the file is set aside as
``activity.1.jsonl`` and a new one begun, so that the record never grows without bound.
"""

from __future__ import annotations

import json
import logging
import os
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .actions import ActionRecord
from .profiles import ConnectionProfile, CredentialKind

log = logging.getLogger(__name__)

FILE = "activity.jsonl"
OLDER_FILE = "activity.1.jsonl"
_FILE_LIMIT = 5 * 1024 * 1024
_KEPT = 2000  # entries in memory
_BODY_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened.

    Attributes:
        time_ns: When it ended.
        connection: The connection's name, and ``profile_id`` its key.
        environment: Its environment's word.
        identity: Who this program was on the server, without secrets.
        title: What was done, as the action says it.
        stream: What it concerned.
        subject: The API subject.
        body: The request.
        command: The equivalent command line.
        before: The configuration that was replaced or removed.
        answer: The reply.
        problem: Why it failed; empty when it did not.
        seconds: How long it took.
        by_others: Seen through an advisory: somebody else did it.
        number: Rises with each entry of a run; tells entries of the same moment apart.
    """

    time_ns: int
    connection: str
    profile_id: str
    environment: str
    identity: str
    title: str
    stream: str
    subject: str = ""
    body: Mapping[str, Any] | None = None
    command: str = ""
    before: Mapping[str, Any] | None = None
    problem: str = ""
    seconds: float = 0.0
    by_others: bool = False
    answer: Mapping[str, Any] | None = None
    number: int = field(default=0, compare=False)


class ActivityLog:
    """Keeps the entries; ``folder`` None keeps them in memory only."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / FILE if folder is not None else None
        self._entries: deque[Entry] = deque(maxlen=_KEPT)
        self._listeners: list[Callable[[], None]] = []
        self._count = 0
        if folder is not None:
            for name in (OLDER_FILE, FILE):
                self._read(folder / name)

    def entries(self) -> list[Entry]:
        """All that are kept, oldest first."""
        return list(self._entries)

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after each new entry; the result ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def add_action(self, profile: ConnectionProfile, subject: str, record: ActionRecord) -> None:
        """Note an action that was tried."""
        action = record.action
        self.add(
            Entry(
                time_ns=record.time_ns,
                connection=profile.name,
                profile_id=profile.id,
                environment=profile.environment.value,
                identity=identity(profile),
                title=action.title,
                stream=action.stream,
                subject=subject,
                body=_bounded(action.body),
                command=action.command,
                before=action.before,
                problem=record.problem,
                seconds=record.seconds,
                answer=_bounded(record.answer),
            )
        )

    def add(self, entry: Entry) -> None:
        """Note an entry; writing fails without harm to what is going on, and is logged."""
        self._keep(entry)
        if self._path is not None and not entry.by_others:
            try:
                self._append(entry)
            except OSError as error:
                log.warning("the activity record could not be written: %s", error)
        for listener in tuple(self._listeners):
            listener()

    def did_lately(self, profile_id: str, stream: str, now_ns: int, seconds: float = 5.0) -> bool:
        """Whether this program itself acted on a stream a moment ago, so that an advisory is but its echo."""
        since = now_ns - int(seconds * 1e9)
        return any(
            entry.time_ns >= since and entry.stream == stream and entry.profile_id == profile_id
            for entry in reversed(self._entries)
            if not entry.by_others
        )

    def _keep(self, entry: Entry) -> None:
        self._count += 1
        values = {name: getattr(entry, name) for name in Entry.__slots__}
        values["number"] = self._count
        self._entries.append(Entry(**values))

    def _append(self, entry: Entry) -> None:
        assert self._path is not None
        self._path.parent.mkdir(parents=True, exist_ok=True)
        values = {key: value for key, value in asdict(entry).items() if value not in (None, "", 0, False)}
        values.pop("number", None)
        line = json.dumps(values, ensure_ascii=False, separators=(",", ":"), default=str) + "\n"
        if self._path.exists() and self._path.stat().st_size > _FILE_LIMIT:
            os.replace(self._path, self._path.with_name(OLDER_FILE))
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as file:
            file.write(line)

    def _read(self, path: Path) -> None:
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("the activity record in %s could not be read: %s", path, error)
            return
        known = set(Entry.__slots__)
        for line in lines[-_KEPT:]:
            try:
                values = {key: value for key, value in json.loads(line).items() if key in known}
                required = (
                    "time_ns",
                    "connection",
                    "profile_id",
                    "environment",
                    "identity",
                    "title",
                    "stream",
                )
                self._keep(Entry(**{name: "" for name in required if name != "time_ns"} | values))
            except (ValueError, TypeError, AttributeError):
                continue  # a line cut off by a crash; the others still tell their part


def identity(profile: ConnectionProfile) -> str:
    """Who the program is on a connection, without secrets."""
    login = profile.credentials
    match login.kind:
        case CredentialKind.PASSWORD | CredentialKind.MEMPHIS | CredentialKind.MEMPHIS_TOKEN:
            return login.user
        case CredentialKind.NSC:
            return login.nsc.removeprefix("nsc://")
        case CredentialKind.CREDS:
            return Path(login.creds_path).name
        case CredentialKind.NKEY:
            return Path(login.nkey_path).name or "nkey"
        case CredentialKind.TOKEN | CredentialKind.JWT:
            return str(login.kind.value)
    return ""


def _bounded(body: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if body is None or len(json.dumps(body, default=str)) <= _BODY_LIMIT:
        return body
    return {"note": "too large to be kept"}
