"""What services answer, read from whoever wrote it; the rates that follow from counters."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.cluster.budget import PollBudget
from memphis_desktop.cluster.service_watch import SILENT_ROUNDS, ServiceWatch
from memphis_desktop.cluster.services import (
    Answer,
    Answers,
    instance_of,
    read_answer,
    schema_of,
    subject_of,
)

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)
_ENDPOINT = st.dictionaries(
    st.sampled_from(["name", "subject", "num_requests", "num_errors", "processing_time", "last_error"]), _JSON
)


def stats(requests: int = 0, *, instance: str = "A", spent: int = 0, errors: int = 0) -> dict[str, Any]:
    endpoint = {
        "name": "add", "subject": "math.add", "queue_group": "q", "num_requests": requests,
        "num_errors": errors, "processing_time": spent,
    }  # fmt: skip
    return {"name": "math", "id": instance, "version": "1.0.0", "endpoints": [endpoint]}


def watch() -> ServiceWatch:
    return ServiceWatch(SimpleNamespace(), PollBudget(20))  # type: ignore[arg-type]


def answers(*bodies: dict[str, Any]) -> Answers:
    return Answers(tuple(Answer(body, 0.001) for body in bodies))


@given(st.binary() | _JSON.map(lambda made: json.dumps(made).encode()))
def test_no_answer_breaks_the_reader(payload: bytes) -> None:
    body = read_answer(payload)
    assert body is None or (isinstance(body["name"], str) and isinstance(body["id"], str))


@given(_JSON, st.lists(_ENDPOINT), _JSON, _JSON)
def test_no_part_of_an_answer_breaks_what_is_made_of_it(
    metadata: Any, endpoints: list[Any], started: Any, version: Any
) -> None:
    body = {
        "name": "a", "id": "b", "metadata": metadata, "endpoints": endpoints, "started": started,
        "version": version,
    }  # fmt: skip
    for info, counted in ((body, {}), ({}, body), (body, body)):
        made = instance_of(info, counted, None)
        assert made.requests >= 0
        assert all(isinstance(value, str) for value in made.metadata.values())


def test_both_answers_make_one_instance() -> None:
    info = {
        "name": "math", "id": "A", "version": "1.0.0", "description": "d", "metadata": {"k": "v"},
        "endpoints": [{"name": "add", "subject": "math.add", "queue_group": "q",
                       "metadata": {"request_schema": "{}", "x": "y"}}],
    }  # fmt: skip
    made = instance_of(info, {**stats(4, spent=8000), "started": "2024-01-01T00:00:00.5"}, 0.1)
    (endpoint,) = made.endpoints
    assert (endpoint.requests, endpoint.average_ns, endpoint.queue_group) == (4, 2000, "q")
    assert schema_of(endpoint.metadata) == {"request_schema": "{}"}
    assert made.started_ns == 1_704_067_200_500_000_000
    assert instance_of({}, {**stats(), "started": "2024-13-01T00:00:00Z"}, None).started_ns is None


def test_subjects() -> None:
    assert subject_of("PING") == "$SRV.PING"
    assert subject_of("INFO", "a", "b") == "$SRV.INFO.a.b"


def test_rates_follow_from_two_readings_also_when_counting_begins_anew() -> None:
    made = watch()
    made._take(answers(stats(10, spent=1000), stats(100, instance="B")), 100.0)
    assert made.rates(["A", "B"]) is None
    made._take(answers(stats(30, spent=5_000_001_000, errors=2), stats(110, instance="B")), 102.0)
    rates = made.rates(["A"])
    assert rates is not None
    assert (rates.requests, rates.errors, rates.average) == (10.0, 1.0, 0.25)
    both = made.rates(["A", "B"])
    assert both is not None
    assert both.requests == 15.0
    made._take(answers(stats(4), stats(110, instance="B")), 104.0)  # A began anew
    times, requests, errors, _ = made.series(["A", "B"])
    assert list(times) == [102.0, 104.0]
    assert list(requests) == [15.0, 2.0]
    assert list(errors) == [1.0, 0.0]
    assert made.series(["A"], ("other", "x"))[0].size == 0


def test_who_falls_silent_is_listed_a_little_longer() -> None:
    made = watch()
    made._take(answers(stats(1), stats(1, instance="B")), 1.0)
    for number in range(1, SILENT_ROUNDS):
        made._take(answers(stats(1)), 1.0 + number)
        assert made.instances["B"].silent == number
    made._take(answers(stats(1)), 100.0)
    assert list(made.instances) == ["A"]
    made._take(answers(stats(1), stats(1, instance="B")), 101.0)
    assert made.instances["B"].silent == 0
