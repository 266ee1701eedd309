"""Actions show what they do: subject, body and a command that the nats tool takes."""

from __future__ import annotations

import shlex

import pytest

from memphis_desktop.cluster import actions


def test_creating_a_stream() -> None:
    config = {
        "name": "ORDERS",
        "subjects": ["orders.>", "returns.*"],
        "storage": "file",
        "retention": "workqueue",
        "max_age": 90_000_000_000,
        "max_msgs": -1,
        "deny_delete": True,
        "allow_direct": False,
    }
    action = actions.create_stream(config)
    assert action.suffix == "STREAM.CREATE.ORDERS"
    assert action.body == config
    words = shlex.split(action.command)
    assert words[:4] == ["nats", "stream", "add", "ORDERS"]
    for word in ("--subjects=orders.>,returns.*", "--retention=work", "--max-age=1m30s", "--deny-delete"):
        assert word in words
    assert "--no-allow-direct" not in words


def test_changing_a_stream_says_only_what_changes() -> None:
    before = {"name": "A", "subjects": ["a"], "max_msgs": 10, "max_bytes": -1, "deny_purge": True}
    after = {**before, "max_msgs": 20, "deny_purge": False}
    action = actions.update_stream(after, before)
    assert action.command == "nats stream edit A --max-msgs=20 --no-deny-purge --force"
    assert action.body == after
    assert action.before == before


def test_purging() -> None:
    assert actions.purge_stream("A").body is None
    action = actions.purge_stream("A", subject="a.*", keep=5)
    assert action.body == {"filter": "a.*", "keep": 5}
    assert action.command == "nats stream purge A '--subject=a.*' --keep=5 --force"
    with pytest.raises(ValueError, match="not both"):
        actions.purge_stream("A", below=3, keep=5)


def test_consumers() -> None:
    action = actions.create_consumer("A", {"durable_name": "c", "name": "c", "filter_subject": "a.b"})
    assert action.suffix == "CONSUMER.CREATE.A.c.a.b"
    assert action.body == {
        "stream_name": "A",
        "config": {"durable_name": "c", "name": "c", "filter_subject": "a.b"},
        "action": "create",
    }
    several = actions.create_consumer("A", {"durable_name": "c", "filter_subjects": ["a", "b"]})
    assert several.suffix == "CONSUMER.CREATE.A.c"
    assert several.command == "nats consumer add A c --pull --filter=a --filter=b --defaults"
    before = {"durable_name": "c", "ack_wait": 30_000_000_000, "backoff": [10**9, 60 * 10**9]}
    changed = actions.update_consumer("A", {**before, "ack_wait": 10**9}, before)
    assert changed.command == "nats consumer edit A c --wait=1s --force"
    assert changed.body is not None
    assert changed.body["action"] == "update"
    assert actions.pause_consumer("A", "c", "2026-01-01T00:00:00Z").body == {
        "pause_until": "2026-01-01T00:00:00Z"
    }
    assert actions.resume_consumer("A", "c").body is None
    assert actions.delete_consumer("A", "c").suffix == "CONSUMER.DELETE.A.c"
    assert actions.reset_consumer("A", "c", 5).body == {"seq": 5}
    assert actions.step_down("A", "c", "n2").body == {"placement": {"preferred": "n2"}}


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1_500_000_000, "1.5s"),
        (250_000_000, "250ms"),
        (90_000_000_000, "1m30s"),
        (86_400_000_000_000, "24h"),
        (3_661_000_000_000, "1h1m1s"),
        (1, "1ns"),
        (2_500, "2.5us"),
        (-1_000_000_000, "-1s"),
    ],
)
def test_durations_as_go_writes_them(nanoseconds: int, text: str) -> None:
    assert actions.go_duration(nanoseconds) == text
