"""Sends the same operations to two servers and compares what they answer.

Times, ids, versions and what depends on them are masked; everything else, the order of keys in JSON
included, has to be the same.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError, TimeoutError

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_UNSET_TIMES = ("0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z")
_SERVER_ID = re.compile(r"\bN[A-Z2-7]{55}\b")
_STREAM_IDENTITY = re.compile(r" [0-9A-Za-z]{8}\Z")
_MASKED_KEYS = frozenset(("leader", "_nats.ver", "id", "pause_remaining", "active"))
_TIMEOUT = 5.0
_NO_ANSWER_AFTER = 0.3


@dataclass(frozen=True)
class Operation:
    """Something to do on a server.

    Attributes:
        subject: where to publish.
        payload: JSON that is not bytes is encoded.
        headers: of the message.
        reply: a reply subject of its own, whose first answer is taken.
        until_status: collect messages until one has a status, instead of taking one answer.
        no_answer: none is expected.
        pause: seconds to wait instead of sending anything, for what a server does by itself.
    """

    subject: str
    payload: Any = b""
    headers: dict[str, str] | None = None
    reply: str = ""
    until_status: bool = False
    no_answer: bool = False
    pause: float = 0

    def body(self) -> bytes:
        """Return the payload as bytes."""
        return self.payload if isinstance(self.payload, bytes) else json.dumps(self.payload).encode()


def api(name: str, body: Any = b"", **options: Any) -> Operation:
    """Return a request to ``$JS.API.<name>``."""
    return Operation(f"$JS.API.{name}", body, **options)


def publish(subject: str, payload: bytes = b"", **headers: str) -> Operation:
    """Return a publish that is acknowledged; header names are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Operation(subject, payload, named or None)


@dataclass
class Difference:
    """Two answers to one operation that are not the same."""

    position: int
    operation: Operation
    expected: str
    actual: str

    def __str__(self) -> str:
        return (
            f"\n#{self.position} {self.operation.subject} {self.operation.body()[:300]!r} "
            f"{self.operation.headers or ''}\n  reference: {self.expected}\n  ours:      {self.actual}"
        )


@dataclass
class Comparison:
    """What came of running a script on both servers."""

    operations: int = 0
    differences: list[Difference] = field(default_factory=list)


async def compare(reference: Client, ours: Client, script: Sequence[Operation]) -> Comparison:
    """Run `script` on both servers, each operation after the one before it was answered."""
    result = Comparison()
    for position, operation in enumerate(script):
        expected, actual = await asyncio.gather(perform(reference, operation), perform(ours, operation))
        result.operations += 1
        if expected != actual:
            result.differences.append(Difference(position, operation, expected, actual))
    return result


async def perform(client: Client, operation: Operation) -> str:
    """Run one operation and return its masked answer as text."""
    if operation.pause:
        await asyncio.sleep(operation.pause)
        return ""
    if operation.until_status:
        return await _collect(client, operation)
    timeout = _NO_ANSWER_AFTER if operation.no_answer else _TIMEOUT
    try:
        if operation.reply:
            message = await _request_with_reply(client, operation, timeout)
        else:
            message = await client.request(
                operation.subject, operation.body(), timeout=timeout, headers=operation.headers
            )
    except NoRespondersError:
        return "no responders"
    except TimeoutError:
        return "no answer"
    return describe(message)


async def _request_with_reply(client: Client, operation: Operation, timeout: float) -> Msg:
    subscription = await client.subscribe(operation.reply)
    await client.publish(
        operation.subject, operation.body(), reply=operation.reply, headers=operation.headers
    )
    try:
        return await subscription.next_msg(timeout=timeout)
    finally:
        await subscription.unsubscribe()


async def _collect(client: Client, operation: Operation) -> str:
    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox)
    await client.publish(operation.subject, operation.body(), reply=inbox, headers=operation.headers)
    answers = []
    try:
        while True:
            message = await subscription.next_msg(timeout=_TIMEOUT)
            answers.append(describe(message))
            if (message.headers or {}).get("Status"):
                break
    except TimeoutError:
        answers.append("no status")
    await subscription.unsubscribe()
    return "\n".join(answers)


def describe(message: Msg) -> str:
    """Return headers and payload of an answer as masked text."""
    headers = {name: mask_text(value) for name, value in (message.headers or {}).items()}
    if "Nats-Stream-Source" in headers:
        headers["Nats-Stream-Source"] = _STREAM_IDENTITY.sub(" <identity>", headers["Nats-Stream-Source"])
    return f"{headers or ''} {mask(message.data)}"


def mask(payload: bytes) -> str:
    """Return a payload with what differs between two servers taken out."""
    try:
        document = json.loads(payload)
    except ValueError:
        return mask_text(payload.decode("utf-8", "replace"))
    return json.dumps(_mask_value("", document))


def mask_text(text: str) -> str:
    """Return a text with times and server ids taken out, unset times left in."""
    masked = _TIME.sub(lambda match: match[0] if match[0] in _UNSET_TIMES else "<time>", text)
    return _SERVER_ID.sub("<server>", masked)


def _mask_value(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        if "consumer_count" in value and value.get("last_seq") == 0:
            value = _unused_state(value)
        return {name: _mask_value(name, inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_mask_value(key, inner) for inner in value]
    if key in _MASKED_KEYS:
        return "<masked>"
    if key == "hdrs":
        return mask_text(base64.b64decode(value).decode("utf-8", "replace"))
    return mask_text(value) if isinstance(value, str) else value


def _unused_state(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a stream that never had a message without what the reference server makes of that.

    Asked for deleted messages it lists sequence 0, and after a purge the first sequence is 1.
    """
    return {key: value for key, value in state.items() if key not in ("num_deleted", "deleted", "first_seq")}
