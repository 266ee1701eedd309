"""What a user may publish and subscribe to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from memphis_desktop.broker.options import PermissionRules, SubjectRule
from memphis_desktop.protocol import subjects
from memphis_desktop.protocol.message import Message

_CACHE_LIMIT = 4096
# Requests whose answer is still allowed; beyond this the oldest are forgotten.
_MAX_RESPONSES = 65536


class Permissions:
    """The rules of one connection, and the answers it owes."""

    def __init__(self, rules: PermissionRules, monotonic: Callable[[], float]) -> None:
        self.rules = rules
        self._publish = _Patterns(rules.publish)
        self._subscribe = _Patterns(rules.subscribe)
        self._decisions: dict[bytes, bool] = {}
        self._monotonic = monotonic
        self._responses: dict[bytes, tuple[int, float]] = {}  # how many are left, until when

    # -- publishing ------------------------------------------------------------------------------------------
    def may_publish(self, subject: bytes) -> bool:
        """Return whether this may be published to; the answer to a request is used up by asking."""
        decision = self._decisions.get(subject)
        if decision is None:
            decision = self._publish.allows(subject)
            if len(self._decisions) >= _CACHE_LIMIT:
                self._decisions.clear()
            self._decisions[subject] = decision
        return decision or (bool(self._responses) and self._answers(subject))

    def _answers(self, subject: bytes) -> bool:
        left = self._responses.get(subject)
        rule = self.rules.responses
        if left is None or rule is None:
            return False
        count, deadline = left
        if 0 < deadline < self._monotonic():
            del self._responses[subject]
            return False
        if rule.max_messages > 0:
            if count <= 1:
                del self._responses[subject]
            else:
                self._responses[subject] = (count - 1, deadline)
        return True

    def requests_received(self, messages: Sequence[Message]) -> None:
        """Note the reply subjects of messages that are delivered to the connection."""
        rule = self.rules.responses
        if rule is None:
            return
        deadline = self._monotonic() + rule.expires if rule.expires > 0 else 0.0
        for message in messages:
            if message[1]:
                self._responses[message[1]] = (rule.max_messages, deadline)
        while len(self._responses) > _MAX_RESPONSES:
            del self._responses[next(iter(self._responses))]

    def describe(self) -> dict[str, Any]:
        """Return the rules as ``$SYS.REQ.USER.INFO`` shows them."""
        described: dict[str, Any] = {}
        for name, rule in (("publish", self.rules.publish), ("subscribe", self.rules.subscribe)):
            shown: dict[str, Any] = {}
            if rule.allow is not None:
                shown["allow"] = list(rule.allow)
            if rule.deny:
                shown["deny"] = list(rule.deny)
            described[name] = shown
        if self.rules.responses is not None:
            described["responses"] = {
                "max": self.rules.responses.max_messages,
                "ttl": int(self.rules.responses.expires * 1e9),
            }
        return described

    # -- subscribing -----------------------------------------------------------------------------------------
    def may_subscribe(self, pattern: bytes, queue: bytes) -> bool:
        """Return whether this subscription may be made; a part of what it matches may still be denied."""
        return self._subscribe.allows(pattern, queue)

    def denied_inside(self, pattern: bytes) -> tuple[bytes, ...]:
        """Return the denied patterns that a subscription overlaps: their messages are not delivered to it."""
        if not subjects.has_wildcards(pattern):
            return ()
        return tuple(
            [deny for deny, queue in self._subscribe.deny if not queue and subjects.overlaps(deny, pattern)]
        )


class _Patterns:
    """Allowed and denied patterns; those of subscriptions may name queues."""

    def __init__(self, rule: SubjectRule) -> None:
        self.allow = None if rule.allow is None else [_split(entry) for entry in rule.allow]
        self.deny = [_split(entry) for entry in rule.deny]

    def allows(self, subject: bytes, queue: bytes = b"") -> bool:
        if self.allow is not None and not _listed(self.allow, subject, queue):
            return False
        return not _listed(self.deny, subject, queue)


def _split(entry: str) -> tuple[bytes, bytes]:
    subject, _, queue = entry.encode().partition(b" ")
    return subject, queue


def _listed(patterns: list[tuple[bytes, bytes]], subject: bytes, queue: bytes) -> bool:
    """Return whether a pattern covers the subject; where some name queues, one of these has to match."""
    covering = [named for pattern, named in patterns if subjects.is_subset(subject, pattern)]
    if not covering:
        return False
    queues = [named for named in covering if named]
    if queue and queues:
        return any(subjects.is_subset(queue, named) for named in queues)
    return b"" in covering
