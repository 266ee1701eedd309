"""What a user may publish and subscribe to, judged as servers do. No input or output.

``allow`` and ``deny`` are lists of patterns. Deny wins; without an allow list everything is allowed that is
not denied. An entry for subscriptions may name a queue group beside its subject (``work.> crew.*``): where
entries that cover a subject name queues, they alone decide about a subscription with a queue, and entries
without one about a subscription without. A subscription that covers more than one subject is allowed as a
whole; messages on denied subjects inside it are not delivered. ``responses`` allows so many answers to each
request that was received, for so long, though nothing else allows to publish them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from memphis_desktop.protocol.subjects import has_wildcards, is_subset, is_valid, matches, overlaps

Json = Mapping[str, Any]


class Verdict(Enum):
    """Whether something may be done."""

    ALLOWED = "allowed"
    PARTLY = "partly"
    DENIED = "denied"
    INVALID = "invalid"


class Reason(Enum):
    """What decided it."""

    UNLIMITED = "no permissions are set"
    NOT_DENIED = "no allow list, and not denied"
    ALLOWED_BY = "an allow entry covers it"
    DENIED_BY = "a deny entry covers it"
    NOT_LISTED = "no allow entry covers it"
    QUEUE_NOT_LISTED = "allow entries name other queue groups"
    NO_SUBJECT = "it is no valid subject"


@dataclass(frozen=True, slots=True)
class Answer:
    """A judgement.

    Attributes:
        verdict: Whether it may be done.
        reason: What decided it.
        rule: The entry that decided it; empty when none did.
        withheld: Denied patterns inside what is allowed: such messages are not delivered, or are refused.
        answers: Whether it is allowed after all where it answers a request.
    """

    verdict: Verdict
    reason: Reason
    rule: str = ""
    withheld: tuple[str, ...] = ()
    answers: bool = False


@dataclass(frozen=True, slots=True)
class RuleList:
    """One direction. `allow` None allows everything that is not denied; an empty one nothing at all."""

    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()

    @property
    def unlimited(self) -> bool:
        """Whether nothing is forbidden."""
        return self.allow is None and not self.deny


@dataclass(frozen=True, slots=True)
class Responses:
    """Answers to requests: at most `most` to each (0 for any number), within `seconds` (0 for ever)."""

    most: int
    seconds: float


@dataclass(frozen=True, slots=True)
class UserRules:
    """The permissions of a user."""

    publish: RuleList = RuleList()
    subscribe: RuleList = RuleList()
    responses: Responses | None = None

    @property
    def unlimited(self) -> bool:
        """Whether nothing is forbidden."""
        return self.publish.unlimited and self.subscribe.unlimited

    def may_publish(self, subject: str) -> Answer:
        """Judge a publish; for a pattern, whether all, some or none of its subjects may be published to."""
        if not is_valid(subject.encode()):
            return Answer(Verdict.INVALID, Reason.NO_SUBJECT)
        rules = self.publish
        if self.unlimited:
            return Answer(Verdict.ALLOWED, Reason.UNLIMITED)
        if has_wildcards(subject.encode()):
            return self._publish_pattern(subject)
        answers = self.responses is not None
        if rules.allow is not None:
            allowed = _covering(rules.allow, subject)
            if not allowed:
                return Answer(Verdict.DENIED, Reason.NOT_LISTED, answers=answers)
        else:
            allowed = ()
        if denied := _covering(rules.deny, subject):
            return Answer(Verdict.DENIED, Reason.DENIED_BY, denied[0], answers=answers)
        if allowed:
            return Answer(Verdict.ALLOWED, Reason.ALLOWED_BY, allowed[0])
        return Answer(Verdict.ALLOWED, Reason.NOT_DENIED)

    def _publish_pattern(self, pattern: str) -> Answer:
        rules, answers = self.publish, self.responses is not None
        wanted = pattern.encode()
        if whole := next((one for one in rules.deny if is_subset(wanted, one.encode())), ""):
            return Answer(Verdict.DENIED, Reason.DENIED_BY, whole, answers=answers)
        withheld = tuple(one for one in rules.deny if overlaps(one.encode(), wanted))
        if rules.allow is None:
            verdict = Verdict.PARTLY if withheld else Verdict.ALLOWED
            return Answer(verdict, Reason.NOT_DENIED, "", withheld)
        if rule := next((one for one in rules.allow if is_subset(wanted, one.encode())), ""):
            return Answer(Verdict.PARTLY if withheld else Verdict.ALLOWED, Reason.ALLOWED_BY, rule, withheld)
        if rule := next((one for one in rules.allow if overlaps(one.encode(), wanted)), ""):
            return Answer(Verdict.PARTLY, Reason.ALLOWED_BY, rule, withheld)
        return Answer(Verdict.DENIED, Reason.NOT_LISTED, answers=answers)

    def may_subscribe(self, subject: str, queue: str = "", *, strict: bool = False) -> Answer:
        """Judge a subscription.

        nats-server compares it word by word, so that an allowed ``orders.*`` allows ``orders.>`` too;
        `strict` is for servers that take the pattern for what it means, as the local broker does.
        """
        if not is_valid(subject.encode()) or (queue and not is_valid(queue.encode())):
            return Answer(Verdict.INVALID, Reason.NO_SUBJECT)
        rules = self.subscribe
        if self.unlimited:
            return Answer(Verdict.ALLOWED, Reason.UNLIMITED)
        rule, reason = "", Reason.NOT_DENIED
        if rules.allow is not None:
            listed, rule, named = _listed(rules.allow, subject, queue, strict)
            if not listed:
                return Answer(Verdict.DENIED, Reason.QUEUE_NOT_LISTED if named else Reason.NOT_LISTED, rule)
            reason = Reason.ALLOWED_BY
        denied, why, _ = _listed(rules.deny, subject, queue, strict)
        if denied:
            return Answer(Verdict.DENIED, Reason.DENIED_BY, why)
        withheld: tuple[str, ...] = ()
        if has_wildcards(subject.encode()):
            withheld = tuple(
                one for one in rules.deny if " " not in one and overlaps(one.encode(), subject.encode())
            )
        return Answer(Verdict.PARTLY if withheld else Verdict.ALLOWED, reason, rule, withheld)


def of_server(told: Json | None) -> UserRules:
    """The permissions in an answer to ``$SYS.REQ.USER.INFO``; raises `TypeError`, `AttributeError`."""
    told = told or {}
    return _rules(told.get("publish"), told.get("subscribe"), told.get("responses"))


def of_token(body: Json) -> UserRules:
    """The permissions in the body of a user's JWT, or of an account's defaults; raises as `of_server`."""
    return _rules(body.get("pub"), body.get("sub"), body.get("resp"))


def _rules(publish: Json | None, subscribe: Json | None, responses: Json | None) -> UserRules:
    sending, answers = _rule_list(publish), _responses(responses)
    if answers is not None and sending.allow is None:
        sending = RuleList((), sending.deny)  # who may answer may publish nothing else, unless it is listed
    return UserRules(sending, _rule_list(subscribe), answers)


def _rule_list(told: Json | None) -> RuleList:
    told = told or {}
    # Servers tell them in any order, each time another.
    allow, deny = (tuple(sorted(map(str, told.get(key) or ()))) for key in ("allow", "deny"))
    return RuleList(allow or None, deny)


def _responses(told: Json | None) -> Responses | None:
    if not told:
        return None
    return Responses(max(0, int(told.get("max") or 0)), max(0.0, float(told.get("ttl") or 0) / 1e9))


def _covering(patterns: Iterable[str], subject: str) -> tuple[str, ...]:
    literal = subject.encode()
    return tuple(one for one in patterns if matches(one.encode(), literal))


def _covers(pattern: str, subject: str, strict: bool) -> bool:
    if strict:
        return is_subset(subject.encode(), pattern.encode())
    return matches(pattern.encode(), subject.encode())  # word by word: wildcards of the subject are words


def _listed(patterns: Iterable[str], subject: str, queue: str, strict: bool) -> tuple[bool, str, bool]:
    """Whether entries cover a subscription, the entry that decides, and whether entries name queues only."""
    plain: list[str] = []
    queued: list[tuple[str, str]] = []
    for entry in patterns:
        pattern, _, named = entry.partition(" ")
        if _covers(pattern, subject, strict):
            if named:
                queued.append((entry, named.strip()))
            else:
                plain.append(entry)
    if queue and queued:
        for entry, named in queued:
            if is_subset(queue.encode(), named.encode()):
                return True, entry, True
        return False, queued[0][0], True
    if plain:
        return True, plain[0], False
    return False, queued[0][0] if queued else "", bool(queued)
