"""Writing a key: an action that shows itself before it acts, guarded by the revision that was read."""

from __future__ import annotations

import base64
import json
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from nats.errors import MaxPayloadError

from memphis_desktop.cluster.actions import Action, ActionRecord, command_line
from memphis_desktop.cluster.failures import ApiError, ClusterError
from memphis_desktop.inspect.key_value.bucket import Bucket
from memphis_desktop.inspect.key_value.entry import EXPECTED, OPERATION, ROLLUP, TTL, Entry, Operation
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.snippets import plain_text
from memphis_desktop.language import tr

if TYPE_CHECKING:
    from memphis_desktop.cluster.session import Session

WRONG_REVISION = (10071, 10164)
_SHOWN = 4 << 10  # bytes of a value that commands and records hold
Mask = Callable[[InspectedMessage], InspectedMessage]


class RevisionConflict(ApiError):
    """Somebody else wrote the key since it was read."""


class ValueTooLarge(ClusterError):
    """The server takes no message of this size."""


@dataclass(frozen=True, slots=True)
class KeyWrite:
    """One write to a key.

    Attributes:
        bucket: Where.
        key: Which.
        operation: PUT stores `value`; DELETE leaves a marker; PURGE a marker and nothing of the history.
        value: The bytes to store.
        expected: The newest revision the key must have, 0 for none; None writes whatever is there.
        ttl: Seconds until the server removes it; None keeps it.
        replaces: What was there, for the record.
        reverts_to: The revision whose value it puts back, 0 for none.
        mask: What of a value may be shown and recorded.
    """

    bucket: Bucket
    key: str
    operation: Operation = Operation.PUT
    value: bytes = b""
    expected: int | None = None
    ttl: int | None = None
    replaces: Entry | None = None
    reverts_to: int = 0
    mask: Mask = field(default=lambda message: message, repr=False)

    @property
    def subject(self) -> str:
        """Where it is published."""
        return self.bucket.put_prefix + self.key

    @property
    def headers(self) -> dict[str, str]:
        """The headers that make it this write."""
        made: dict[str, str] = {}
        if self.operation is Operation.DELETE:
            made[OPERATION] = "DEL"
        elif self.operation is Operation.PURGE:
            made[OPERATION] = "PURGE"
            made[ROLLUP] = "sub"
        if self.expected is not None:
            made[EXPECTED] = str(self.expected)
        if self.ttl is not None:
            made[TTL] = f"{self.ttl}s"
        return made

    @property
    def body(self) -> Mapping[str, Any]:
        """What is published, fit to show."""
        shown: dict[str, Any] = {"headers": self.headers} if self.headers else {}
        if self.operation is Operation.PUT:
            shown |= self._shown(self.value)
        return shown

    @property
    def before(self) -> Mapping[str, Any] | None:
        """What it replaces, fit to show."""
        entry = self.replaces
        if entry is None:
            return None
        known: dict[str, Any] = {"revision": entry.revision, "operation": entry.operation.value}
        return known | (self._shown(entry.message.payload) if entry.is_value else {})

    def _shown(self, value: bytes) -> dict[str, Any]:
        message = InspectedMessage(self.bucket.stream, 0, 0, self.bucket.subject(self.key), b"", value)
        data = self.mask(message).payload
        if len(data) > _SHOWN:
            return {"bytes": len(data)}
        text = plain_text(data)
        return {"value": text} if text is not None else {"value_base64": base64.b64encode(data).decode()}

    @property
    def title(self) -> str:
        """What it does, in words."""
        names = {"key": self.key, "bucket": self.bucket.name}
        if self.operation is Operation.DELETE:
            return tr("Delete key {key} of bucket {bucket}", **names)
        if self.operation is Operation.PURGE:
            return tr("Purge key {key} of bucket {bucket}", **names)
        if self.reverts_to:
            return tr(
                "Restore revision {revision} of key {key} of bucket {bucket}",
                revision=self.reverts_to,
                **names,
            )
        if self.replaces is None or not self.replaces.is_value:
            return tr("Create key {key} in bucket {bucket}", **names)
        return tr("Change key {key} of bucket {bucket}", **names)

    @property
    def command(self) -> str:
        """The same as a line for a shell."""
        bucket, key = self.bucket.name, self.key
        guarded = self.ttl is not None or (self.operation is not Operation.PUT and self.expected is not None)
        if guarded:
            flags = [word for name, value in self.headers.items() for word in ("-H", f"{name}:{value}")]
            return self._with_value(["nats", "request", self.subject], flags)
        if self.operation is Operation.DELETE:
            return command_line.join("nats", "kv", "del", bucket, key, "--force")
        if self.operation is Operation.PURGE:
            return command_line.join("nats", "kv", "purge", bucket, key, "--force")
        if self.reverts_to:
            return command_line.join("nats", "kv", "revert", bucket, key, str(self.reverts_to), "--force")
        if self.expected is None:
            return self._with_value(["nats", "kv", "put", bucket, key], [])
        if self.replaces is None or not self.replaces.is_value:
            return self._with_value(["nats", "kv", "create", bucket, key], [])
        return self._with_value(["nats", "kv", "update", bucket, key], [str(self.expected)])

    def _with_value(self, words: list[str], after: list[str]) -> str:
        shown = self._shown(self.value)
        if "bytes" in shown:
            return shlex.join([*words, *after]) + " < value"
        if "value_base64" in shown:
            return f"printf %s {shown['value_base64']} | base64 -d | {shlex.join([*words, *after])}"
        return shlex.join([*words, shown["value"], *after])

    def equivalent(self, session: Session) -> str:
        """The command, the subject and what is published, fit to copy."""
        body = json.dumps(self.body, indent=2, ensure_ascii=False)
        return f"{self.command}\n\n{self.subject}\n{body}"

    async def run(self, session: Session) -> dict[str, Any]:
        """Do it and return the acknowledgement.

        Raises:
            RevisionConflict: The key has another revision than expected.
            ValueTooLarge: The server takes no message of this size.
            ClusterError: Refused, not answered, or the connection is read-only.
        """
        started = time.monotonic()
        answer: dict[str, Any] | None = None
        problem = ""
        try:
            session.require_writable()
            answer = await _publish(session, self)
            return answer
        except Exception as error:
            problem = str(error)
            raise
        finally:
            action = Action(
                self.title,
                "",
                self.body,
                self.command,
                self.bucket.stream,
                self.before,
                self.operation is Operation.PURGE,
                shown_as=self.subject,
            )
            seconds = time.monotonic() - started
            session.hand_on_action(ActionRecord(time.time_ns(), action, answer, problem, seconds))
            session.refresh(self.bucket.stream)


async def _publish(session: Session, write: KeyWrite) -> dict[str, Any]:
    payload = write.value if write.operation is Operation.PUT else b""
    try:
        reply = await session.request(write.subject, payload, headers=write.headers or None)
    except MaxPayloadError:
        text = tr(
            "The value has {size:,} bytes; this server takes {limit:,} at most.",
            size=len(payload),
            limit=session.nats.max_payload,
        )
        raise ValueTooLarge(text) from None
    try:
        answer = orjson.loads(reply.data)
    except orjson.JSONDecodeError as error:
        raise ApiError(500, 0, tr("the answer is not JSON"), write.subject) from error
    failure = answer.get("error") if isinstance(answer, dict) else {"description": tr("request failed")}
    if failure:
        code = int(failure.get("err_code") or 0)
        kind = RevisionConflict if code in WRONG_REVISION else ApiError
        raise kind(
            int(failure.get("code") or 0),
            code,
            str(failure.get("description") or tr("request failed")),
            write.subject,
        )
    found: dict[str, Any] = answer
    return found
