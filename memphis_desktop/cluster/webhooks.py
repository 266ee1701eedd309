"""Webhooks: alerts sent as JSON to addresses that the user gave, beside everything else and never in its way.

Each hook has a bounded queue and one task that empties it. A request is tried three times where trying again
can help (no answer, 429, 5xx), never redirected, and its answer is not read. What was given up is counted and
said. The address and the token may be secrets both (many services put theirs into the address), so they are
kept together in the keychain where the system has one.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import orjson

from memphis_desktop.language import tr

from . import keychain
from .alerts import BAD, SIGNALS, WARNING, Alert

log = logging.getLogger(__name__)

ANSWER_SECONDS = 10.0
RETRY_SECONDS = (2.0, 10.0)
QUEUED = 100  # alerts that wait for one hook; the oldest go first
BEGAN, ENDED, TEST = "began", "ended", "test"


class WebhookError(Exception):
    """An alert was not taken; the text says why, and never holds the address's path or the token."""

    def __init__(self, text: str, *, passing: bool = False) -> None:
        super().__init__(text)
        self.passing = passing  # trying again can help


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where alerts are sent.

    Attributes:
        name: What the user calls it.
        url: ``http`` or ``https``; or a reference to the keychain, which then holds url and token.
        token: Sent as ``Authorization: Bearer …``; empty for none.
        host: Of the address, to show.
        severe_only: Leave out warnings.
        ended: Tell of the end of alerts as well.
    """

    name: str
    url: str
    token: str = ""
    host: str = ""
    severe_only: bool = False
    ended: bool = True
    enabled: bool = True
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def wants(self, alert: Alert, event: str) -> bool:
        """Whether an alert's beginning or end is sent to it."""
        if not self.enabled or (self.severe_only and alert.rule.severity != BAD):
            return False
        return event != ENDED or self.ended


def check_address(url: str) -> str:
    """Return what is wrong with an address, in a sentence; empty when nothing is."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port  # raises for what is no number
    except ValueError:
        return tr("This is not an address.")
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return tr("The address begins with https:// or http:// and names a host.")
    if parts.username or parts.password:
        return tr("Leave the login out of the address: give a token instead.")
    return ""


def put_away(hook: Webhook) -> Webhook:
    """Move address and token into the keychain; without one the hook stays as it is. May wait for the user.

    Raises:
        KeychainError: The keychain refused.
    """
    hook = replace(hook, host=urlsplit(hook.url).netloc)
    if hook.url.startswith(keychain.SCHEME) or not keychain.available():
        return hook
    secret = orjson.dumps([hook.url, hook.token]).decode()
    return replace(hook, url=keychain.keep(f"webhook/{hook.id}", secret), token="")


def opened(hook: Webhook) -> Webhook:
    """Return the hook with its address and token; may wait for the user to unlock the keychain.

    Raises:
        KeychainError: The keychain is locked, or has forgotten them.
    """
    if not hook.url.startswith(keychain.SCHEME):
        return hook
    url, token = orjson.loads(keychain.look_up(hook.url))
    return replace(hook, url=url, token=token)


def forget(hook: Webhook) -> None:
    """Remove a deleted hook's secrets from the keychain."""
    if hook.url.startswith(keychain.SCHEME):
        keychain.remove(hook.url)


def webhook_to_json(hook: Webhook) -> dict[str, Any]:
    """The hook as JSON values."""
    return {name: getattr(hook, name) for name in Webhook.__dataclass_fields__}


def webhook_from_json(values: Mapping[str, Any]) -> Webhook | None:
    """The hook in `values`; None when they are none."""
    known = {key: value for key, value in values.items() if key in Webhook.__dataclass_fields__}
    flags = ("severe_only", "ended", "enabled")
    if any(not isinstance(value, bool if key in flags else str) for key, value in known.items()):
        return None
    try:
        return Webhook(**known)
    except TypeError:
        return None


def message(alert: Alert, event: str, text: str) -> dict[str, Any]:
    """Return what is sent of an alert. ``text`` is where chat services look for what to show.

    Args:
        alert: The alert.
        event: ``began``, ``ended`` or ``test``.
        text: The alert in a sentence.
    """
    rule, signal = alert.rule, SIGNALS[alert.rule.signal]
    return {
        "text": text,
        "event": event,
        "signal": rule.signal,
        "title": signal.title,
        "severity": rule.severity,
        "connection": alert.connection,
        "stream": alert.subject.stream,
        "consumer": alert.subject.consumer,
        "value": alert.value,
        "threshold": rule.threshold,
        "unit": signal.unit,
        "for_seconds": rule.for_seconds,
        "since": _iso(alert.since),
        "sent": _iso(time.time()),
        "sender": "memphis-desktop",
    }


def sample_message() -> dict[str, Any]:
    """Return what the test button sends: of the same form, and said to be a test."""
    now = _iso(time.time())
    return {
        "text": tr("Test of a webhook of Memphis Desktop: alerts will look like this."),
        "event": TEST,
        "signal": "lag_seconds",
        "title": SIGNALS["lag_seconds"].title,
        "severity": WARNING,
        "connection": "test",
        "stream": "orders",
        "consumer": "billing",
        "value": 301.0,
        "threshold": 300.0,
        "unit": "s",
        "for_seconds": 60.0,
        "since": now,
        "sent": now,
        "sender": "memphis-desktop",
    }


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")


async def send(hook: Webhook, contents: Mapping[str, Any]) -> None:
    """Send once.

    Raises:
        WebhookError: It was not taken.
        KeychainError: Its secrets are not to be had.
    """
    import aiohttp  # only who has a webhook pays for it

    hook = await asyncio.to_thread(opened, hook)
    problem = check_address(hook.url)
    if problem:
        raise WebhookError(problem)
    headers = {"Content-Type": "application/json", "User-Agent": "memphis-desktop"}
    if hook.token:
        headers["Authorization"] = f"Bearer {hook.token}"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS)) as session,
            session.post(
                hook.url, data=orjson.dumps(contents), headers=headers, allow_redirects=False
            ) as answer,
        ):
            if 200 <= answer.status < 300:
                return
            text = f"{urlsplit(hook.url).netloc} answered {answer.status} {answer.reason or ''}".strip()
            raise WebhookError(text, passing=answer.status == 429 or answer.status >= 500)
    except TimeoutError:
        raise WebhookError(
            tr("No answer within {seconds} s", seconds=format(ANSWER_SECONDS, ".0f")),
            passing=True,
        ) from None
    except aiohttp.ClientConnectorCertificateError as error:
        raise WebhookError(
            tr("The certificate is refused: {reason}", reason=error.certificate_error)
        ) from error
    except aiohttp.ClientConnectorError as error:
        raise WebhookError(
            tr("{host}:{port} cannot be reached", host=error.host, port=error.port), passing=True
        ) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise WebhookError(
            tr("The request failed ({name})", name=type(error).__name__), passing=True
        ) from error


@dataclass(slots=True)
class HookState:
    """How sending to a hook goes.

    Attributes:
        sent: Alerts that were taken since the program started.
        lost: Alerts given up or pushed out by newer ones.
        problem: Why the last one was not taken; empty when it was.
        at: When that was, seconds since 1970.
        retrying: Whether it is being tried again.
    """

    sent: int = 0
    lost: int = 0
    problem: str = ""
    at: float = 0.0
    retrying: bool = False


class WebhookSender:
    """Sends to all hooks, each by a task of its own that lives while there is something to send."""

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self._changed = changed
        self._hooks: dict[str, Webhook] = {}
        self._queues: dict[str, deque[dict[str, Any]]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._states: dict[str, HookState] = {}

    @property
    def hooks(self) -> list[Webhook]:
        """Where alerts are sent."""
        return list(self._hooks.values())

    def set_hooks(self, hooks: Sequence[Webhook]) -> None:
        """Send to these; what waits for others is forgotten."""
        self._hooks = {hook.id: hook for hook in hooks}
        for gone in self._queues.keys() - self._hooks.keys():
            del self._queues[gone]
            self._states.pop(gone, None)
            task = self._tasks.pop(gone, None)
            if task is not None:
                task.cancel()

    def state(self, hook: Webhook) -> HookState:
        """How it goes."""
        return self._states.setdefault(hook.id, HookState())

    def offer(self, alert: Alert, event: str, text: str) -> None:
        """Send an alert to the hooks that want it, soon."""
        for hook in self._hooks.values():
            if hook.wants(alert, event):
                self._queue(hook, message(alert, event, text))

    def _queue(self, hook: Webhook, contents: dict[str, Any]) -> None:
        queue = self._queues.setdefault(hook.id, deque())
        if len(queue) >= QUEUED:
            queue.popleft()
            self.state(hook).lost += 1
        queue.append(contents)
        task = self._tasks.get(hook.id)
        if task is None or task.done():
            self._tasks[hook.id] = asyncio.get_running_loop().create_task(
                self._empty(hook.id), name=f"webhook {hook.name}"
            )

    async def _empty(self, hook_id: str) -> None:
        while queue := self._queues.get(hook_id):
            hook = self._hooks[hook_id]
            contents = queue.popleft()
            try:
                problem = await self._deliver(hook, contents)
            except Exception as error:
                log.exception("sending to a webhook failed")
                problem = f"{type(error).__name__}: {error}"
            state = self.state(hook)
            state.problem, state.at, state.retrying = problem, time.time(), False
            if problem:
                state.lost += 1
                log.warning("webhook %s: %s", hook.name, problem)
            else:
                state.sent += 1
            self._changed()

    async def _deliver(self, hook: Webhook, contents: dict[str, Any]) -> str:
        """Try until it is taken or there is no point; returns the last problem, empty when it was taken."""
        for wait in (*RETRY_SECONDS, None):
            try:
                await send(hook, contents)
                return ""
            except keychain.KeychainError as error:
                return str(error)
            except WebhookError as error:
                if wait is None or not error.passing:
                    return f"{error}."
                state = self.state(hook)
                state.problem, state.at, state.retrying = f"{error}.", time.time(), True
                self._changed()
            await asyncio.sleep(wait)
        return ""

    async def close(self) -> None:
        """Send no more; what waits is lost."""
        tasks, self._tasks = list(self._tasks.values()), {}
        self._queues.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
