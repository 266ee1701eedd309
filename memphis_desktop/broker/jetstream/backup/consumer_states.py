"""Consumers as snapshots hold them: configuration and state as JSON."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from memphis_desktop.broker.jetstream.config import ConsumerConfig
from memphis_desktop.broker.jetstream.typed_json import encode_json, lenient_from_json, to_json
from memphis_desktop.broker.store.interface import ConsumerState, PendingDelivery


class SavedConsumer(NamedTuple):
    """A consumer out of a snapshot."""

    name: str
    config: ConsumerConfig
    state: ConsumerState


def encode_consumer(config: ConsumerConfig, state: ConsumerState, last_sequence: int) -> bytes:
    """Return a consumer's JSON; nothing in it is past the snapshot's last sequence."""
    pending = {
        str(sequence): {"Sequence": one.consumer_sequence, "Timestamp": one.time_ns}
        for sequence, one in state.pending.items()
        if sequence <= last_sequence
    }
    counts = {sequence: one.deliveries for sequence, one in state.pending.items()} | state.exhausted
    redelivered = {
        str(sequence): count - 1
        for sequence, count in sorted(counts.items())
        if count > 1 and sequence <= last_sequence
    }
    shown: dict[str, Any] = {
        "delivered": _pair(state.delivered_consumer, min(state.delivered_stream, last_sequence)),
        "ack_floor": _pair(state.ack_floor_consumer, min(state.ack_floor_stream, last_sequence)),
    }
    if pending:
        shown["pending"] = pending
    if redelivered:
        shown["redelivered"] = redelivered
    return encode_json({"config": to_json(config), "state": shown})


def decode_consumer(name: str, document: bytes) -> SavedConsumer:
    """Read a consumer's JSON.

    Raises:
        ValueError: it is not one; the text says why.
    """
    try:
        content = json.loads(document)
        config_content, state_content = content["config"], content["state"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError(f'failed to decode consumer "{name}" state') from None
    config = read_consumer_config(config_content)
    if config is None:
        raise ValueError(f'consumer "{name}" is missing config')
    try:
        state = _decode_state(state_content)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f'consumer "{name}" is missing state') from None
    return SavedConsumer(name, config, state)


def read_consumer_config(content: Any) -> ConsumerConfig | None:
    """Return a consumer's configuration out of JSON that may hold other keys too; None when it is none."""
    if not isinstance(content, dict):
        return None
    return lenient_from_json(ConsumerConfig, json.dumps(content).encode())


def make_state(
    delivered: tuple[int, int],
    floor: tuple[int, int],
    pending: dict[int, tuple[int, int]],
    redelivered: dict[int, int],
) -> ConsumerState:
    """Return a state.

    Args:
        delivered: consumer and stream sequence of the last delivery.
        floor: consumer and stream sequence of the ack floor.
        pending: by stream sequence, consumer sequence and time of the last delivery.
        redelivered: by stream sequence, how often it was delivered again.
    """
    return ConsumerState(
        delivered_consumer=delivered[0],
        delivered_stream=delivered[1],
        ack_floor_consumer=floor[0],
        ack_floor_stream=floor[1],
        pending={
            sequence: PendingDelivery(*pending[sequence], redelivered.get(sequence, 0) + 1)
            for sequence in sorted(pending)
        },
        exhausted={
            sequence: count + 1 for sequence, count in sorted(redelivered.items()) if sequence not in pending
        },
    )


def _decode_state(content: Any) -> ConsumerState:
    pending = {
        _number(key): (_number(one["Sequence"]), int(one["Timestamp"]))
        for key, one in (content.get("pending") or {}).items()
    }
    redelivered = {_number(key): _number(one) for key, one in (content.get("redelivered") or {}).items()}
    delivered, floor = content["delivered"], content["ack_floor"]
    return make_state(_read_pair(delivered), _read_pair(floor), pending, redelivered)


def _pair(consumer_sequence: int, stream_sequence: int) -> dict[str, int]:
    return {"consumer_seq": consumer_sequence, "stream_seq": stream_sequence}


def _read_pair(content: dict[str, Any]) -> tuple[int, int]:
    return _number(content["consumer_seq"]), _number(content["stream_seq"])


def _number(value: Any) -> int:
    number = int(value)
    if not 0 <= number < 1 << 63:
        raise ValueError("out of range")
    return number
