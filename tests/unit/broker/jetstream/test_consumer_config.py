"""Which consumer configurations are accepted, filled in and may change."""

from __future__ import annotations

from typing import Any

import pytest

from memphis_desktop.broker.jetstream.config import ConsumerConfig, StreamConfig
from memphis_desktop.broker.jetstream.consumer_config import (
    ConsumerCaps,
    check_consumer,
    check_update,
    same_config,
)
from memphis_desktop.broker.jetstream.errors import ApiError

SECOND = 1_000_000_000


def consumer(**fields: Any) -> ConsumerConfig:
    config = ConsumerConfig(durable_name="C", ack_policy="explicit")
    for name, value in fields.items():
        setattr(config, name, value)
    return config


def stream(**fields: Any) -> StreamConfig:
    config = StreamConfig(name="S", subjects=["s.>"], num_replicas=1)
    for name, value in fields.items():
        setattr(config, name, value)
    return config


def test_defaults_of_a_pull_consumer() -> None:
    config = consumer()
    check_consumer(config, stream())
    assert (config.ack_wait, config.max_deliver, config.max_ack_pending) == (30 * SECOND, -1, 1000)
    assert config.max_waiting == 512
    assert config.inactive_threshold == 0


def test_defaults_of_an_ephemeral_and_of_backoff() -> None:
    config = consumer(durable_name="", name="E", backoff=[3 * SECOND, 9 * SECOND])
    check_consumer(config, stream())
    assert config.ack_wait == 3 * SECOND
    assert config.inactive_threshold == 5 * SECOND


def test_limits_of_the_stream_are_defaults_and_caps() -> None:
    limited = stream()
    limited.consumer_limits.max_ack_pending = 7
    limited.consumer_limits.inactive_threshold = 60 * SECOND
    config = consumer()
    check_consumer(config, limited)
    assert (config.max_ack_pending, config.inactive_threshold) == (7, 60 * SECOND)
    with pytest.raises(ApiError, match="exceeds system limit of 7"):
        check_consumer(consumer(max_ack_pending=8), limited)
    with pytest.raises(ApiError, match="exceeds system limit of 1m0s"):
        check_consumer(consumer(inactive_threshold=61 * SECOND), limited)


def test_caps_of_server_and_account() -> None:
    caps = ConsumerCaps(server_max_ack_pending=50, server_max_batch=10, account_max_ack_pending=20)
    config = consumer()
    check_consumer(config, stream(), caps=caps)
    assert (config.max_ack_pending, config.max_batch) == (20, 10)
    with pytest.raises(ApiError) as caught:
        check_consumer(consumer(max_batch=11), stream(), caps=caps)
    assert caught.value.err_code == 10125


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"max_deliver": -3}, "max_deliver must be set to -1"),
        ({"max_waiting": -1}, "max_waiting must not be negative"),
        ({"max_ack_pending": -4}, "max_ack_pending must be set to -1"),
        ({"priority_timeout": -4}, "priority_timeout must not be negative"),
        ({"backoff": [5], "max_deliver": 3}, "first backoff value has to equal batch AckWait"),
    ],
)
def test_pedantic_requests_are_refused_instead_of_corrected(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ApiError) as caught:
        check_consumer(consumer(**fields), stream(), pedantic=True)
    assert (caught.value.err_code, caught.value.description) == (10157, f"pedantic mode: {complaint}")
    check_consumer(consumer(**fields), stream())


@pytest.mark.parametrize(
    ("fields", "err_code"),
    [
        ({"deliver_policy": "by_start_sequence"}, 10094),
        ({"deliver_policy": "all", "opt_start_seq": 3}, 10094),
        ({"deliver_policy": "last_per_subject"}, 10094),
        ({"deliver_subject": "to.*"}, 10079),
        ({"deliver_subject": "s.here"}, 10081),
        ({"deliver_subject": "to", "max_waiting": 3}, 10080),
        ({"deliver_subject": "to", "flow_control": True}, 10108),
        ({"rate_limit_bps": 5}, 10086),
        ({"idle_heartbeat": SECOND}, 10088),
        ({"max_expires": 5}, 10115),
        ({"filter_subject": "a", "filter_subjects": ["b"]}, 10136),
        ({"filter_subjects": ["a.*", "a.b"]}, 10138),
        ({"filter_subjects": [""]}, 10139),
        ({"sample_freq": "often"}, 10095),
        ({"backoff": [1, 2], "max_deliver": 1}, 10116),
        ({"num_replicas": 3}, 10126),
        ({"priority_policy": "overflow"}, 10159),
        ({"priority_groups": ["A"]}, 10196),
        ({"ack_policy": "flow_control"}, 10218),
        ({"durable_name": "a.b"}, 10052),
        ({"description": "x" * 4097}, 10107),
        ({"metadata": {"k": "v" * 140_000}}, 10135),
        ({"durable_name": "x" * 256}, 10102),
    ],
)
def test_refusals(fields: dict[str, Any], err_code: int) -> None:
    with pytest.raises(ApiError) as caught:
        check_consumer(consumer(**fields), stream())
    assert caught.value.err_code == err_code


def test_work_queues_have_one_owner_for_each_message() -> None:
    queue = stream(retention="workqueue")
    others = {"A": consumer(filter_subject="s.a"), "B": consumer(filter_subjects=["s.b.*", "s.c"])}

    def code(config: ConsumerConfig, name: str = "C") -> int:
        with pytest.raises(ApiError) as caught:
            check_consumer(config, queue, name=name, existing=others)
        return caught.value.err_code

    assert code(consumer()) == 10099
    assert code(consumer(filter_subject="s.*")) == 10100
    assert code(consumer(filter_subject="s.b.>")) == 10100
    assert code(consumer(filter_subject="s.c"), "A") == 10100
    assert code(consumer(ack_policy="all", filter_subject="s.x")) == 10098
    assert code(consumer(deliver_policy="new", filter_subject="s.x")) == 10101
    check_consumer(consumer(filter_subject="s.x"), queue, name="C", existing=others)
    check_consumer(consumer(filter_subject="s.a"), queue, name="A", existing=others)


def test_max_consumers() -> None:
    with pytest.raises(ApiError) as caught:
        check_consumer(consumer(), stream(max_consumers=1), name="D", existing={"C": consumer()})
    assert caught.value.err_code == 10026


@pytest.mark.parametrize(
    ("fields", "description"),
    [
        ({"deliver_policy": "new"}, "deliver policy can not be updated"),
        ({"ack_policy": "all"}, "ack policy can not be updated"),
        ({"deliver_subject": "to", "max_waiting": 512}, "can not update pull consumer to push based"),
        ({"max_waiting": 3}, "max waiting can not be updated"),
        ({"mem_storage": True}, "storage type can not be updated"),
    ],
)
def test_what_is_fixed(fields: dict[str, Any], description: str) -> None:
    current = consumer()
    check_consumer(current, stream())
    wanted = consumer()
    check_consumer(wanted, stream())
    for name, value in fields.items():
        setattr(wanted, name, value)
    with pytest.raises(ApiError) as caught:
        check_update(current, wanted, deliver_interest=False)
    assert (caught.value.err_code, caught.value.description) == (10012, description)


def test_a_deliver_subject_in_use_stays() -> None:
    current, wanted = consumer(deliver_subject="one"), consumer(deliver_subject="two")
    check_update(current, wanted, deliver_interest=False)
    with pytest.raises(ApiError) as caught:
        check_update(current, wanted, deliver_interest=True)
    assert caught.value.err_code == 10013


def test_what_the_server_notes_in_metadata_makes_no_difference() -> None:
    assert same_config(consumer(metadata={"a": "b", "_nats.ver": "1"}), consumer(metadata={"a": "b"}))
    assert not same_config(consumer(metadata={"a": "b"}), consumer())
    assert not same_config(consumer(max_batch=3), consumer())
