"""Rules as rules of Prometheus."""

from __future__ import annotations

import fnmatch
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.cluster.alert_export import as_expression, prometheus_rules
from memphis_desktop.cluster.alerts import BAD, Rule


def exported(*rules: Rule) -> list[dict[str, Any]]:
    text, _ = prometheus_rules(rules)
    [group] = yaml.safe_load(text)["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def test_lag_becomes_a_rule() -> None:
    [rule] = exported(Rule("lag_messages", 1000, pattern="*", for_seconds=60, severity=BAD, id="abc-1"))
    assert rule == {
        "alert": "MemphisLagMessagesAbc1",
        "expr": "max by (stream_name, consumer_name) "
        '(jetstream_consumer_num_pending{is_consumer_leader="true"}) > 1000',
        "for": "60s",
        "labels": {"severity": "critical"},
        "annotations": {
            "summary": "Messages not delivered: {{ $labels.stream_name }} {{ $labels.consumer_name }} "
            "({{ $value }})"
        },
    }


def test_a_pattern_matches_consumer_or_stream() -> None:
    [rule] = exported(Rule("unacked", 10, pattern="orders.*"))
    assert 'consumer_name=~"orders\\\\..*"' in rule["expr"]
    assert " or " in rule["expr"]
    [rate] = exported(Rule("rate_low", 0.5, pattern="or?ers"))
    assert rate["expr"].endswith('stream_name=~"or.ers"}[1m])) < 0.5')


def test_a_share_is_one_of_two_figures() -> None:
    [rule] = exported(Rule("redelivered_share", 20))
    leader = '{is_consumer_leader="true"}'
    shares = [
        f"max by (stream_name, consumer_name) (jetstream_consumer_{figure}{leader})"
        for figure in ("num_redelivered", "num_ack_pending")
    ]
    assert rule["expr"] == f"100 * {shares[0]} / ({shares[1]} > 0) > 20"


def test_what_has_no_figure_is_left_out_and_said() -> None:
    rules = [Rule("lag_seconds", 300), Rule("slow_clients", 0), Rule("lag_messages", 1, enabled=False)]
    text, left_out = prometheus_rules(rules)
    assert left_out == [rules[0], rules[2]]
    assert "# Not exported, there is no such figure or it is off: A group is behind" in text
    assert len(exported(*rules)) == 1
    assert exported(Rule("lag_seconds", 300)) == []


@pytest.mark.parametrize(("pattern", "name"), [("a[0-9]*", "a5x"), ("a[!b]c", "axc"), ("a.b", "a.b")])
def test_patterns(pattern: str, name: str) -> None:
    assert re.fullmatch(as_expression(pattern), name)


@given(st.text(alphabet='ab.*?$"\\ (', max_size=8), st.text(alphabet='ab.$"\\ (', max_size=8))
def test_a_pattern_matches_the_same_names(pattern: str, name: str) -> None:
    assert bool(re.fullmatch(as_expression(pattern), name)) == fnmatch.fnmatchcase(name, pattern)
