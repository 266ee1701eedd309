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


class Fate(Enum):
    """What became of a message at one consumer; the value is how it is called."""

    NEVER = "never gets it"
    WAITING = "not delivered yet"
    PENDING = "delivered, waiting for its acknowledgement"
    MAYBE_PENDING = "delivered, acknowledged or waiting for it"
    SETTLED = "delivered and settled"


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
        text = f"it has come as far as #{delivered:,}; this is #{sequence:,}"
        findings.append(Finding("warning", "Delivered", text))
        return Explanation(name, Fate.WAITING, _waiting(info, config, ahead, findings), tuple(findings))
    findings.append(Finding("good", "Delivered", f"it has come as far as #{delivered:,}"))
    return _delivered(name, info, config, sequence, floor, candidates, findings)


def _filter(config: Mapping[str, Any], message: InspectedMessage, findings: list[Finding]) -> str:
    wanted = filters(config)
    if not wanted:
        findings.append(Finding("good", "Filter", "it has none and takes every subject"))
        return ""
    found = [pattern for pattern in wanted if matches(pattern, message.subject)]
    if found:
        findings.append(Finding("good", "Filter", f"{found[0]} matches {message.subject}"))
        return ""
    text = f"{', '.join(wanted)} does not match {message.subject}"
    findings.append(Finding("bad", "Filter", text))
    return f"Its filter {text}."


def _start(
    info: Mapping[str, Any], config: Mapping[str, Any], message: InspectedMessage, findings: list[Finding]
) -> str:
    """Whether the consumer begins after the message."""
    policy = str(config.get("deliver_policy") or "all")
    created = _time(info.get("created"))
    problem = ""
    if policy == "by_start_sequence":
        first = int(config.get("opt_start_seq") or 0)
        text = f"it begins at #{first:,}"
        if message.sequence < first:
            problem = f"It begins at #{first:,}, after this message."
    elif policy == "by_start_time":
        begin = _time(config.get("opt_start_time"))
        text = f"it begins with what was stored at {config.get('opt_start_time')} or later"
        if begin is not None and message.time_ns < begin:
            problem = f"It begins with messages of {config.get('opt_start_time')}; this one is older."
    elif policy in ("new", "last", "last_per_subject"):
        text = {
            "new": "it takes what is stored after it was made",
            "last": "it begins with the newest message of when it was made",
            "last_per_subject": "it begins with the newest message of each subject of when it was made",
        }[policy]
        if created is not None and message.time_ns < created and policy == "new":
            problem = "It takes only messages that were stored after it was made; this one is older."
        elif created is not None and message.time_ns < created:
            findings.append(
                Finding("warning", "Start", f"{text}; this one is older, so perhaps it was left out")
            )
            return ""
    else:
        text = "it begins with the first message"
    findings.append(Finding("bad" if problem else "good", "Start", text))
    return problem


def _waiting(
    info: Mapping[str, Any], config: Mapping[str, Any], ahead: int | None, findings: list[Finding]
) -> str:
    """Why a message that it takes was not delivered yet."""
    reasons: list[str] = []
    if info.get("paused"):
        findings.append(Finding("bad", "Paused", f"until {config.get('pause_until') or 'it is resumed'}"))
        reasons.append("it is paused")
    pending = int(info.get("num_ack_pending") or 0)
    limit = int(config.get("max_ack_pending") or 0)
    if limit > 0 and str(config.get("ack_policy")) != "none":
        full = pending >= limit
        text = f"{pending:,} of {limit:,} wait for their acknowledgement"
        findings.append(Finding("bad" if full else "good", "Room", text))
        if full:
            reasons.append(f"{limit:,} messages wait for their acknowledgement, which is its limit")
    if config.get("deliver_subject"):
        if not info.get("push_bound"):
            findings.append(Finding("bad", "Client", "nobody listens to its delivery subject"))
            reasons.append("nobody listens to it")
    elif not int(info.get("num_waiting") or 0):
        findings.append(Finding("warning", "Client", "nobody is asking for messages at the moment"))
        reasons.append("nobody is asking for messages")
    else:
        waiting = words.count(int(info["num_waiting"]), "request")
        findings.append(Finding("good", "Client", f"{waiting} for messages waiting"))
    if ahead is not None:
        findings.append(Finding("warning" if ahead else "good", "Before it", words.count(ahead, "message")))
    queue = "" if ahead is None else f" {words.count(ahead, 'message')} come before it."
    if reasons:
        return f"It has not come so far: {'; '.join(reasons)}.{queue}"
    return f"It is on its way there.{queue}"


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
    limit = f"at most {words.count(tries, 'time')}" if tries > 0 else "without a limit"
    if str(config.get("ack_policy")) == "none":
        findings.append(Finding("good", "Acknowledgement", "it wants none: delivered is done"))
        return Explanation(
            name, Fate.SETTLED, "It was delivered, and no acknowledgement is asked for.", tuple(findings)
        )
    if sequence <= floor:
        findings.append(Finding("good", "Ack floor", f"#{floor:,}: everything up to there is settled"))
        text = f"It was delivered and settled: acknowledged, terminated, or given up (delivery {limit})."
        return Explanation(name, Fate.SETTLED, text, tuple(findings))
    findings.append(Finding("warning", "Ack floor", f"#{floor:,}: this message lies beyond it"))
    if not pending:
        findings.append(Finding("good", "Pending", "nothing waits for an acknowledgement"))
        return Explanation(
            name, Fate.SETTLED, "It was delivered and settled: nothing is pending.", tuple(findings)
        )
    certain = candidates is not None and candidates <= pending
    text = f"{pending:,} pending"
    if candidates is not None:
        text += f" of {candidates:,} between ack floor and last delivery"
    findings.append(Finding("warning", "Pending", text))
    findings.append(
        Finding(
            "warning" if again else "good",
            "Deliveries",
            f"{words.count(again, 'pending message')} delivered more than once; delivery {limit}",
        )
    )
    if certain:
        sentence = "It was delivered and is not acknowledged yet; after the wait it is delivered again."
        return Explanation(name, Fate.PENDING, sentence, tuple(findings))
    sentence = (
        "It was delivered; the broker does not tell whether it is acknowledged already, out of order, or "
        "still pending."
    )
    return Explanation(name, Fate.MAYBE_PENDING, sentence, tuple(findings))


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
