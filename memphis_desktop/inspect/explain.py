"""Why a consumer has not got a message, or what became of it: read off the consumer's state, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from memphis_desktop.cluster.lag import filters
from memphis_desktop.inspect import words
from memphis_desktop.inspect.draft import matches
from memphis_desktop.inspect.message import InspectedMessage, parse_time
from memphis_desktop.inspect.reader import MessageReader, ReadingMethod
from memphis_desktop.language import tr, tr_count, tr_in


class Fate(Enum):
    """What became of a message at one consumer; `text` is how it is called."""

    NEVER = "never"
    WAITING = "waiting"
    PENDING = "pending"
    MAYBE_PENDING = "maybe pending"
    SETTLED = "settled"

    @property
    def text(self) -> str:
        """What the screen says."""
        return {
            Fate.NEVER: tr("never gets it"),
            Fate.WAITING: tr("not delivered yet"),
            Fate.PENDING: tr("delivered, waiting for its acknowledgement"),
            Fate.MAYBE_PENDING: tr("delivered, acknowledged or waiting for it"),
            Fate.SETTLED: tr("delivered and settled"),
        }[self]


@dataclass(frozen=True, slots=True)
class Finding:
    """One step of the explanation: "good", "warning", "bad" or "muted", what was looked at, what it says."""

    kind: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of a message at a consumer.

    Attributes:
        consumer: The consumer's name.
        fate: In one word.
        sentence: In one sentence.
        findings: What was looked at, in order.
    """

    consumer: str
    fate: Fate
    sentence: str
    findings: tuple[Finding, ...]


def explain(
    info: Mapping[str, Any],
    message: InspectedMessage,
    *,
    ahead: int | None = None,
    candidates: int | None = None,
) -> Explanation:
    """Explain from a consumer's info.

    Args:
        info: The answer of CONSUMER.INFO.
        message: A message of the consumer's stream.
        ahead: How many messages that the consumer takes lie between its last delivery and this one.
        candidates: How many messages that it takes lie between its ack floor and its last delivery.
    """
    name = str(info.get("name", ""))
    config: Mapping[str, Any] = info.get("config") or {}
    findings: list[Finding] = []
    refused = _filter(config, message, findings) or _start(info, config, message, findings)
    if refused:
        return Explanation(name, Fate.NEVER, refused, tuple(findings))
    delivered = int((info.get("delivered") or {}).get("stream_seq") or 0)
    floor = int((info.get("ack_floor") or {}).get("stream_seq") or 0)
    sequence = message.sequence
    if sequence > delivered:
        text = tr(
            "it has come as far as #{delivered:,}; this is #{sequence:,}",
            delivered=delivered,
            sequence=sequence,
        )
        findings.append(Finding("warning", tr("Delivered"), text))
        return Explanation(name, Fate.WAITING, _waiting(info, config, ahead, findings), tuple(findings))
    findings.append(
        Finding("good", tr("Delivered"), tr("it has come as far as #{delivered:,}", delivered=delivered))
    )
    return _delivered(name, info, config, sequence, floor, candidates, findings)


def _filter(config: Mapping[str, Any], message: InspectedMessage, findings: list[Finding]) -> str:
    wanted = filters(config)
    if not wanted:
        findings.append(Finding("good", tr("Filter"), tr("it has none and takes every subject")))
        return ""
    found = [pattern for pattern in wanted if matches(pattern, message.subject)]
    if found:
        findings.append(
            Finding(
                "good",
                tr("Filter"),
                tr("{filter} matches {subject}", filter=found[0], subject=message.subject),
            )
        )
        return ""
    named = {"filter": ", ".join(wanted), "subject": message.subject}
    text = tr("{filter} does not match {subject}", **named)
    findings.append(Finding("bad", tr("Filter"), text))
    return tr("Its filter {filter} does not match {subject}.", **named)


def _start(
    info: Mapping[str, Any], config: Mapping[str, Any], message: InspectedMessage, findings: list[Finding]
) -> str:
    """Whether the consumer begins after the message."""
    policy = str(config.get("deliver_policy") or "all")
    created = _time(info.get("created"))
    problem = ""
    if policy == "by_start_sequence":
        first = int(config.get("opt_start_seq") or 0)
        text = tr("it begins at #{first:,}", first=first)
        if message.sequence < first:
            problem = tr("It begins at #{first:,}, after this message.", first=first)
    elif policy == "by_start_time":
        begin = _time(config.get("opt_start_time"))
        text = tr("it begins with what was stored at {time} or later", time=config.get("opt_start_time"))
        if begin is not None and message.time_ns < begin:
            problem = tr(
                "It begins with messages of {time}; this one is older.", time=config.get("opt_start_time")
            )
    elif policy in ("new", "last", "last_per_subject"):
        text = {
            "new": tr("it takes what is stored after it was made"),
            "last": tr("it begins with the newest message of when it was made"),
            "last_per_subject": tr("it begins with the newest message of each subject of when it was made"),
        }[policy]
        if created is not None and message.time_ns < created and policy == "new":
            problem = tr("It takes only messages that were stored after it was made; this one is older.")
        elif created is not None and message.time_ns < created:
            findings.append(
                Finding(
                    "warning",
                    tr_in("of a consumer", "Start"),
                    tr("{what}; this one is older, so perhaps it was left out", what=text),
                )
            )
            return ""
    else:
        text = tr("it begins with the first message")
    findings.append(Finding("bad" if problem else "good", tr_in("of a consumer", "Start"), text))
    return problem


def _waiting(
    info: Mapping[str, Any], config: Mapping[str, Any], ahead: int | None, findings: list[Finding]
) -> str:
    """Why a message that it takes was not delivered yet."""
    reasons: list[str] = []
    if info.get("paused"):
        findings.append(
            Finding(
                "bad",
                tr("Paused"),
                tr("until {time}", time=config["pause_until"])
                if config.get("pause_until")
                else tr("until it is resumed"),
            )
        )
        reasons.append(tr("it is paused"))
    pending = int(info.get("num_ack_pending") or 0)
    limit = int(config.get("max_ack_pending") or 0)
    if limit > 0 and str(config.get("ack_policy")) != "none":
        full = pending >= limit
        text = tr("{count:,} of {limit:,} wait for their acknowledgement", count=pending, limit=limit)
        findings.append(Finding("bad" if full else "good", tr("Room"), text))
        if full:
            reasons.append(
                tr_count(
                    "{count:,} messages wait for their acknowledgement, which is its limit",
                    "{count:,} messages wait for their acknowledgement, which is its limit",
                    limit,
                )
            )
    if config.get("deliver_subject"):
        if not info.get("push_bound"):
            findings.append(Finding("bad", tr("Client"), tr("nobody listens to its delivery subject")))
            reasons.append(tr("nobody listens to it"))
    elif not int(info.get("num_waiting") or 0):
        findings.append(Finding("warning", tr("Client"), tr("nobody is asking for messages at the moment")))
        reasons.append(tr("nobody is asking for messages"))
    else:
        asking = int(info["num_waiting"])
        text = tr_count(
            "{count} request for messages waiting",
            "{count} requests for messages waiting",
            asking,
            count=words.integer(asking),
        )
        findings.append(Finding("good", tr("Client"), text))
    if ahead is not None:
        findings.append(Finding("warning" if ahead else "good", tr("Before it"), _messages(ahead)))
    text = tr("It is on its way there.")
    if reasons:
        text = tr("It has not come so far: {reasons}.", reasons="; ".join(reasons))
    if ahead is None:
        return text
    queue = tr_count(
        "{count} message comes before it.",
        "{count} messages come before it.",
        ahead,
        count=words.integer(ahead),
    )
    return f"{text} {queue}"


def _delivered(
    name: str,
    info: Mapping[str, Any],
    config: Mapping[str, Any],
    sequence: int,
    floor: int,
    candidates: int | None,
    findings: list[Finding],
) -> Explanation:
    pending = int(info.get("num_ack_pending") or 0)
    again = int(info.get("num_redelivered") or 0)
    tries = int(config.get("max_deliver") or -1)
    limit = _at_most(tries) if tries > 0 else tr("without a limit")
    if str(config.get("ack_policy")) == "none":
        findings.append(Finding("good", tr("Acknowledgement"), tr("it wants none: delivered is done")))
        return Explanation(
            name, Fate.SETTLED, tr("It was delivered, and no acknowledgement is asked for."), tuple(findings)
        )
    if sequence <= floor:
        findings.append(
            Finding("good", tr("Ack floor"), tr("#{floor:,}: everything up to there is settled", floor=floor))
        )
        text = tr(
            "It was delivered and settled: acknowledged, terminated, or given up (delivery {limit}).",
            limit=limit,
        )
        return Explanation(name, Fate.SETTLED, text, tuple(findings))
    findings.append(
        Finding("warning", tr("Ack floor"), tr("#{floor:,}: this message lies beyond it", floor=floor))
    )
    if not pending:
        findings.append(Finding("good", tr("Pending"), tr("nothing waits for an acknowledgement")))
        return Explanation(
            name, Fate.SETTLED, tr("It was delivered and settled: nothing is pending."), tuple(findings)
        )
    certain = candidates is not None and candidates <= pending
    text = tr("{count:,} pending", count=pending)
    if candidates is not None:
        text = tr(
            "{count:,} pending of {candidates:,} between ack floor and last delivery",
            count=pending,
            candidates=candidates,
        )
    findings.append(Finding("warning", tr("Pending"), text))
    findings.append(
        Finding(
            "warning" if again else "good",
            tr("Deliveries"),
            tr_count(
                "{count} pending message delivered more than once; delivery {limit}",
                "{count} pending messages delivered more than once; delivery {limit}",
                again,
                count=words.integer(again),
                limit=limit,
            ),
        )
    )
    if certain:
        sentence = tr("It was delivered and is not acknowledged yet; after the wait it is delivered again.")
        return Explanation(name, Fate.PENDING, sentence, tuple(findings))
    sentence = tr(
        "It was delivered; the broker does not tell whether it is acknowledged already, out of order, or "
        "still pending."
    )
    return Explanation(name, Fate.MAYBE_PENDING, sentence, tuple(findings))


def _messages(count: int) -> str:
    return tr_count("{count} message", "{count} messages", count, count=words.integer(count))


def _at_most(tries: int) -> str:
    return tr_count("at most {count} time", "at most {count} times", tries, count=words.integer(tries))


async def explain_with_counts(
    info: Mapping[str, Any], message: InspectedMessage, reader: MessageReader
) -> Explanation:
    """Explain, with the counts that only the station can tell where it can be asked for them."""
    if reader.method is not ReadingMethod.BATCH:
        return explain(info, message)
    subjects = filters(info.get("config") or {}) or (None,)

    async def between(first: int, last: int) -> int:
        """How many the consumer takes from `first` up to before `last`; its filters do not overlap."""
        total = 0
        for subject in subjects:
            total += await reader.matching_from(first, subject) - await reader.matching_from(last, subject)
        return max(0, total)

    delivered = int((info.get("delivered") or {}).get("stream_seq") or 0)
    floor = int((info.get("ack_floor") or {}).get("stream_seq") or 0)
    ahead = await between(delivered + 1, message.sequence) if message.sequence > delivered else None
    candidates = await between(floor + 1, delivered + 1) if floor < message.sequence <= delivered else None
    return explain(info, message, ahead=ahead, candidates=candidates)


def _time(text: object) -> int | None:
    try:
        return parse_time(str(text))
    except ValueError:
        return None
