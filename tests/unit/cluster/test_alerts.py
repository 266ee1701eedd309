"""Rules over snapshots: when alerts begin, hold and end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from memphis_desktop.cluster.alerts import (
    SIGNALS,
    AlertEngine,
    Rule,
    Subject,
    default_rules,
    rule_from_json,
    rule_to_json,
)
from memphis_desktop.cluster.model import ClusterSnapshot, ConnectionState, ConsumerSnapshot, StreamSnapshot

CONSUMER = ConsumerSnapshot(
    stream="orders",
    name="billing",
    config={},
    created="",
    delivered_consumer=0,
    delivered_stream=0,
    ack_floor_consumer=0,
    ack_floor_stream=0,
    last_delivered_ns=None,
    last_acked_ns=None,
    num_pending=0,
    num_ack_pending=0,
    num_redelivered=0,
    num_waiting=0,
    push_bound=False,
    paused=False,
    delivered_rate=None,
    acked_rate=None,
    lag_seconds=None,
    drain_seconds=None,
)
STREAM = StreamSnapshot(
    name="orders",
    config={"max_bytes": 1000, "discard": "new"},
    created="",
    messages=10,
    bytes=500,
    first_sequence=1,
    last_sequence=10,
    first_time_ns=None,
    last_time_ns=None,
    subject_count=1,
    deleted_count=0,
    consumer_count=1,
    in_messages_rate=None,
    in_bytes_rate=None,
    out_messages_rate=None,
)


def snapshot(lag: float | None = None, **stream: object) -> ClusterSnapshot:
    consumer = replace(CONSUMER, lag_seconds=lag)
    return ClusterSnapshot(
        taken_at_ns=0,
        state=ConnectionState.CONNECTED,
        detail="",
        streams={"orders": replace(STREAM, **stream)},  # type: ignore[arg-type]
        consumers={("orders", "billing"): consumer},
    )


def test_an_alert_begins_after_its_time_and_ends_with_its_cause() -> None:
    engine = AlertEngine([Rule("lag_seconds", 10, for_seconds=30)])
    assert engine.evaluate("p", "near", snapshot(60), 100.0) == ([], [])
    assert engine.evaluate("p", "near", snapshot(61), 129.0) == ([], [])
    began, ended = engine.evaluate("p", "near", snapshot(62), 130.0)
    assert [alert.subject for alert in began] == [Subject("orders", "billing")]
    assert not ended
    assert engine.evaluate("p", "near", snapshot(70), 131.0) == ([], [])
    assert engine.alerts()[0].value == 70
    began, ended = engine.evaluate("p", "near", snapshot(1), 132.0)
    assert not began
    assert len(ended) == 1
    assert engine.alerts() == []


def test_a_pause_begins_the_time_anew() -> None:
    engine = AlertEngine([Rule("lag_seconds", 10, for_seconds=30)])
    engine.evaluate("p", "near", snapshot(60), 100.0)
    engine.evaluate("p", "near", snapshot(5), 110.0)
    assert engine.evaluate("p", "near", snapshot(60), 120.0) == ([], [])
    assert engine.evaluate("p", "near", snapshot(60), 131.0) == ([], [])


def test_nothing_is_concluded_from_a_lost_connection() -> None:
    engine = AlertEngine([Rule("lag_seconds", 10, for_seconds=0)])
    engine.evaluate("p", "near", snapshot(60), 100.0)
    lost = replace(snapshot(None), state=ConnectionState.RECONNECTING)
    assert engine.evaluate("p", "near", lost, 101.0) == ([], [])
    assert len(engine.alerts()) == 1


@pytest.mark.parametrize(
    ("pattern", "held"), [("*", True), ("bill*", True), ("orders", True), ("ship*", False), ("", True)]
)
def test_patterns_choose(pattern: str, held: bool) -> None:
    engine = AlertEngine([Rule("lag_seconds", 10, pattern=pattern, for_seconds=0)])
    began, _ = engine.evaluate("p", "near", snapshot(60), 0.0)
    assert bool(began) is held


def test_below_and_unknown() -> None:
    engine = AlertEngine([Rule("rate_low", 5, for_seconds=0)])
    assert engine.evaluate("p", "n", snapshot(in_messages_rate=None), 0.0)[0] == []
    assert engine.evaluate("p", "n", snapshot(in_messages_rate=float("nan")), 0.0)[0] == []
    assert engine.evaluate("p", "n", snapshot(in_messages_rate=9.0), 0.0)[0] == []
    assert len(engine.evaluate("p", "n", snapshot(in_messages_rate=1.0), 0.0)[0]) == 1


def test_the_share_of_redelivered_messages_is_one_of_those_that_wait() -> None:
    engine = AlertEngine([Rule("redelivered_share", 20, for_seconds=0)])
    consumer = replace(CONSUMER, num_ack_pending=10, num_redelivered=2)
    base = replace(snapshot(), consumers={("orders", "billing"): consumer})
    assert engine.evaluate("p", "n", base, 0.0)[0] == []
    base = replace(base, consumers={("orders", "billing"): replace(consumer, num_redelivered=3)})
    assert [alert.value for alert in engine.evaluate("p", "n", base, 1.0)[0]] == [30]
    base = replace(base, consumers={("orders", "billing"): replace(consumer, num_ack_pending=0)})
    assert len(engine.evaluate("p", "n", base, 2.0)[1]) == 1


def test_only_a_stream_that_refuses_counts_as_full() -> None:
    engine = AlertEngine([Rule("stream_used", 80, for_seconds=0)])
    assert engine.evaluate("p", "n", snapshot(bytes=900, config={"max_bytes": 1000}), 0.0)[0] == []
    assert len(engine.evaluate("p", "n", snapshot(bytes=900), 0.0)[0]) == 1


def test_dead_letters_are_counted_for_five_minutes() -> None:
    engine = AlertEngine([Rule("dead_letters", 1, for_seconds=0)])
    advisory = {
        "type": "io.nats.jetstream.advisory.v1.max_deliver",
        "stream": "orders",
        "consumer": "billing",
    }
    engine.note_advisory("p", {"type": "io.nats.jetstream.advisory.v1.stream_action"}, 0.0)
    engine.note_advisory("p", advisory, 0.0)
    assert engine.evaluate("p", "n", snapshot(), 1.0)[0] == []
    engine.note_advisory("p", advisory, 200.0)
    assert [alert.value for alert in engine.evaluate("p", "n", snapshot(), 201.0)[0]] == [2]
    assert len(engine.evaluate("p", "n", snapshot(), 301.0)[1]) == 1


def test_what_the_stations_service_tells_is_counted() -> None:
    engine = AlertEngine(
        [Rule("schema_violations", 1, for_seconds=0), Rule("disconnections", 0, for_seconds=0)]
    )
    for kind in (
        "schema_validation_fail_alert",
        "schema_validation_fail_alert",
        "poison_message_alert",
        None,
    ):
        engine.note_memphis("p", {"type": kind, "station": "orders"}, 0.0)
    [alert] = engine.evaluate("p", "n", snapshot(), 1.0)[0]
    assert (alert.rule.signal, alert.subject.label, alert.value) == ("schema_violations", "orders", 2)
    engine.note_memphis("p", {"type": "disconnection_events_alert", "station": "orders"}, 2.0)
    assert [alert.rule.signal for alert in engine.evaluate("p", "n", snapshot(), 2.0)[0]] == [
        "disconnections"
    ]
    engine.forget("p")
    assert engine.alerts() == []


def test_acknowledged_stays_and_silenced_comes_back() -> None:
    engine = AlertEngine([Rule("lag_seconds", 10, for_seconds=0)])
    [alert], _ = engine.evaluate("p", "n", snapshot(60), 0.0)
    engine.acknowledge(alert.key)
    engine.evaluate("p", "n", snapshot(61), 1.0)
    assert engine.alerts()[0].acknowledged
    engine.snooze(alert.key, 100.0)
    assert engine.alerts() == []
    assert engine.evaluate("p", "n", snapshot(61), 50.0)[0] == []
    assert len(engine.evaluate("p", "n", snapshot(61), 100.0)[0]) == 1
    engine.snooze(alert.key, 1e9)
    engine.wake(alert.key)
    assert len(engine.evaluate("p", "n", snapshot(61), 101.0)[0]) == 1


def test_changed_rules_begin_anew_and_closed_connections_are_forgotten() -> None:
    rule = Rule("lag_seconds", 10, for_seconds=0)
    engine = AlertEngine([rule])
    engine.evaluate("p", "n", snapshot(60), 0.0)
    engine.set_rules([replace(rule, threshold=100)])
    assert engine.alerts() == []
    engine.set_rules([rule])
    engine.evaluate("p", "n", snapshot(60), 0.0)
    engine.forget("p")
    assert engine.alerts() == []


def test_rules_survive_json_and_unknown_ones_are_left_out() -> None:
    for rule in default_rules():
        assert rule_from_json(rule_to_json(rule)) == rule
    assert rule_from_json({"signal": "of tomorrow", "threshold": 1}) is None
    assert rule_from_json({"threshold": 1}) is None
    assert rule_from_json({"signal": "lag_seconds", "threshold": "many"}) is None


@pytest.mark.parametrize("name", sorted(SIGNALS))
def test_every_signal_measures_a_plain_snapshot(name: str) -> None:
    assert list(SIGNALS[name].measure(snapshot(1.0))) is not None


def test_messages_in_a_dead_letter_station_are_measured() -> None:
    streams = {
        "orders": STREAM,
        "orders-dlq": replace(STREAM, name="orders-dlq", messages=3),
        "failed": replace(STREAM, name="failed", messages=2, config={"subjects": ["orders.DLQ"]}),
        "KV_dead_letters": replace(STREAM, name="KV_dead_letters"),
    }
    snapshot = ClusterSnapshot(1, ConnectionState.CONNECTED, "", streams=streams)
    measured = dict(SIGNALS["dead_letter_stations"].measure(snapshot))
    assert measured == {Subject("orders-dlq"): 3.0, Subject("failed"): 2.0}
