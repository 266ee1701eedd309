"""Alert rules as rules of Prometheus, for those who want to be warned while no console runs.

The figures are those of prometheus-nats-exporter (``-jsz=all -varz``). What it does not have is left out and
said. Only leaders count: followers tell their figures too, and later.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from .alerts import BAD, SIGNALS, Rule

_CONSUMER = {
    "lag_messages": "jetstream_consumer_num_pending",
    "unacked": "jetstream_consumer_num_ack_pending",
    "redelivered": "jetstream_consumer_num_redelivered",
}
_RATES = ("rate_low", "rate_high")


def prometheus_rules(rules: Sequence[Rule]) -> tuple[str, list[Rule]]:
    """Return a file of Prometheus rules, and the rules that are not in it: off, or without a figure there."""
    lines = ["groups:", "  - name: memphis-desktop", "    rules:"]
    left_out: list[Rule] = []
    for rule in rules:
        expression = _expression(rule) if rule.enabled else ""
        if not expression:
            left_out.append(rule)
            continue
        title = SIGNALS[rule.signal].title
        where = "{{ $labels.stream_name }} {{ $labels.consumer_name }}"
        where = "{{ $labels.server_id }}" if rule.signal == "slow_clients" else where
        lines += [
            f"      - alert: {_name(rule)}",
            f"        expr: {json.dumps(expression)}",
            f"        for: {rule.for_seconds:.0f}s",
            f"        labels: {{severity: {'critical' if rule.severity == BAD else 'warning'}}}",
            f"        annotations: {{summary: {json.dumps(f'{title}: {where} ({{{{ $value }}}})')}}}",
        ]
    if len(lines) == 3:
        lines[-1] += " []"
    lines += [f"# Not exported, there is no such figure or it is off: {_title(rule)}" for rule in left_out]
    return "\n".join(lines) + "\n", left_out


def _title(rule: Rule) -> str:
    return f"{SIGNALS[rule.signal].title} ({json.dumps(rule.pattern)})"


def _name(rule: Rule) -> str:
    words = [*rule.signal.split("_"), re.sub(r"\W", "", rule.id[:8], flags=re.ASCII)]
    return "Memphis" + "".join(word.capitalize() for word in words)


def _expression(rule: Rule) -> str:
    relation = "<" if SIGNALS[rule.signal].below else ">"
    compared = f"{relation} {rule.threshold:.10g}"
    if rule.signal in _CONSUMER:
        series = _of_consumers(rule, _CONSUMER[rule.signal])
        return f"max by (stream_name, consumer_name) ({series}) {compared}"
    if rule.signal == "redelivered_share":
        redelivered, unacked = (
            f"max by (stream_name, consumer_name) ({_of_consumers(rule, _CONSUMER[figure])})"
            for figure in ("redelivered", "unacked")
        )
        return f"100 * {redelivered} / ({unacked} > 0) {compared}"
    if rule.signal in _RATES:
        [match] = _matches(rule, ("stream_name",))
        series = f'jetstream_stream_last_seq{{is_stream_leader="true"{match}}}'
        return f"max by (stream_name) (rate({series}[1m])) {compared}"
    return f"gnatsd_varz_slow_consumers {compared}" if rule.signal == "slow_clients" else ""


def _of_consumers(rule: Rule, figure: str) -> str:
    """A figure of the consumers that a rule looks at."""
    return " or ".join(
        f'{figure}{{is_consumer_leader="true"{match}}}'
        for match in _matches(rule, ("consumer_name", "stream_name"))
    )


def _matches(rule: Rule, labels: tuple[str, ...]) -> list[str]:
    """Return the conditions on labels that a rule's pattern is; any of them may hold."""
    pattern = rule.pattern.strip() or "*"
    if pattern == "*":
        return [""]
    return [f",{label}=~{json.dumps(as_expression(pattern), ensure_ascii=False)}" for label in labels]


def as_expression(pattern: str) -> str:
    """Return a pattern such as ``orders*`` as a regular expression of Prometheus, which matches it whole."""
    parts: list[str] = []
    position = 0
    while position < len(pattern):
        letter = pattern[position]
        end = pattern.find("]", position + 2) if letter == "[" else -1
        if letter == "*":
            parts.append(".*")
        elif letter == "?":
            parts.append(".")
        elif end > 0:
            inside = pattern[position + 1 : end].replace("\\", r"\\")
            parts.append(f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]")
            position = end
        else:
            parts.append(re.escape(letter))
        position += 1
    return "".join(parts)
