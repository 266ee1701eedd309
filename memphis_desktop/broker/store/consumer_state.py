"""What a consumer remembers, as journal records: one codec and one set of rules for applying them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from struct import Struct

from memphis_desktop.broker.store.interface import ConsumerState, PendingDelivery
from memphis_desktop.broker.store.records import (
    CONSUMER_ACKED,
    CONSUMER_AGAIN,
    CONSUMER_EXHAUSTED,
    CONSUMER_FIRST,
    CONSUMER_STATE,
    from_bytes,
    to_bytes,
)

_STATE = Struct("<QQQQQQQII")
_FLOORS = Struct("<QQ")
_AGAIN = Struct("<QQQI")
_EXHAUSTED = Struct("<QQQI")


def copy_state(state: ConsumerState) -> ConsumerState:
    """Return a deep copy."""
    return ConsumerState(
        state.delivered_consumer,
        state.delivered_stream,
        state.ack_floor_consumer,
        state.ack_floor_stream,
        state.last_delivered_ns,
        state.last_acked_ns,
        {
            sequence: PendingDelivery(entry.consumer_sequence, entry.time_ns, entry.deliveries)
            for sequence, entry in state.pending.items()
        },
        dict(state.exhausted),
        state.skip_until,
    )


def encode_state(state: ConsumerState) -> bytes:
    """Return a whole state as the body of a CONSUMER_STATE record."""
    pending = sorted(state.pending.items())
    head = _STATE.pack(
        state.delivered_consumer,
        state.delivered_stream,
        state.ack_floor_consumer,
        state.ack_floor_stream,
        state.last_delivered_ns,
        state.last_acked_ns,
        state.skip_until,
        len(pending),
        len(state.exhausted),
    )
    entries = [entry for _, entry in pending]
    return b"".join(
        (
            head,
            to_bytes(array("Q", [sequence for sequence, _ in pending])),
            to_bytes(array("Q", [entry.consumer_sequence for entry in entries])),
            to_bytes(array("Q", [entry.time_ns for entry in entries])),
            to_bytes(array("I", [entry.deliveries for entry in entries])),
            to_bytes(array("Q", state.exhausted.keys())),
            to_bytes(array("I", state.exhausted.values())),
        )
    )


def decode_state(body: bytes) -> ConsumerState:
    """Return the state that `encode_state` wrote."""
    *fields, count, exhausted = _STATE.unpack_from(body)
    at = _STATE.size
    columns = []
    for typecode, size, rows in (("Q", 8, count), ("Q", 8, count), ("Q", 8, count), ("I", 4, count)):
        columns.append(from_bytes(typecode, body[at : at + size * rows]))
        at += size * rows
    keys = from_bytes("Q", body[at : at + 8 * exhausted])
    values = from_bytes("I", body[at + 8 * exhausted : at + 12 * exhausted])
    pending = {
        sequence: PendingDelivery(consumer_sequence, time_ns, deliveries)
        for sequence, consumer_sequence, time_ns, deliveries in zip(*columns, strict=True)
    }
    state = ConsumerState(*fields[:6])
    state.pending = pending
    state.exhausted = dict(zip(keys, values, strict=True))
    state.skip_until = fields[6]
    return state


def encode_first(stream_sequences: Sequence[int], consumer_sequence: int) -> bytes:
    """Return the body of CONSUMER_FIRST; the record's time is that of the delivery."""
    return consumer_sequence.to_bytes(8, "little") + to_bytes(array("Q", stream_sequences))


def encode_again(stream_sequence: int, consumer_sequence: int, deliveries: int, time_ns: int) -> bytes:
    """Return one entry of a CONSUMER_AGAIN body; several stand one behind the other."""
    return _AGAIN.pack(stream_sequence, consumer_sequence, time_ns, deliveries)


def encode_acked(stream_sequences: Sequence[int], consumer_floor: int, stream_floor: int) -> bytes:
    """Return the body of CONSUMER_ACKED; the record's time is that of the ack."""
    return _FLOORS.pack(consumer_floor, stream_floor) + to_bytes(array("Q", stream_sequences))


def encode_exhausted(stream_sequence: int, deliveries: int, consumer_floor: int, stream_floor: int) -> bytes:
    """Return the body of CONSUMER_EXHAUSTED."""
    return _EXHAUSTED.pack(stream_sequence, consumer_floor, stream_floor, deliveries)


def apply(state: ConsumerState, kind: int, time_ns: int, body: bytes) -> ConsumerState:
    """Return the state after a record. It may be the same object, changed."""
    if kind == CONSUMER_STATE:
        return decode_state(body)
    if kind == CONSUMER_FIRST:
        _apply_first(state, time_ns, body)
    elif kind == CONSUMER_AGAIN:
        for stream, consumer, moment, deliveries in _AGAIN.iter_unpack(body):
            entry = state.pending.get(stream)
            if entry is None:
                state.pending[stream] = PendingDelivery(consumer, moment, deliveries)
            else:
                entry.time_ns, entry.deliveries = moment, deliveries
            state.delivered_consumer = max(state.delivered_consumer, consumer)
            state.delivered_stream = max(state.delivered_stream, stream)
            state.last_delivered_ns = max(state.last_delivered_ns, moment)
    elif kind == CONSUMER_ACKED:
        state.ack_floor_consumer, state.ack_floor_stream = _FLOORS.unpack_from(body)
        state.last_acked_ns = time_ns
        for stream in from_bytes("Q", body[_FLOORS.size :]):
            state.pending.pop(stream, None)
            state.exhausted.pop(stream, None)
    elif kind == CONSUMER_EXHAUSTED:
        stream, state.ack_floor_consumer, state.ack_floor_stream, deliveries = _EXHAUSTED.unpack(body)
        state.pending.pop(stream, None)
        state.exhausted[stream] = deliveries
    return state


def _apply_first(state: ConsumerState, time_ns: int, body: bytes) -> None:
    consumer = int.from_bytes(body[:8], "little")
    sequences = from_bytes("Q", body[8:])
    for stream in sequences:
        state.pending[stream] = PendingDelivery(consumer, time_ns)
        consumer += 1
    state.delivered_consumer = max(state.delivered_consumer, consumer - 1)
    if len(sequences):
        state.delivered_stream = max(state.delivered_stream, sequences[-1])
    state.last_delivered_ns = max(state.last_delivered_ns, time_ns)


def settle(state: ConsumerState) -> None:
    """Drop what the ack floor covers and put pending in order, at the end of a recovery.

    A damaged ack record may have left entries below a later floor.
    """
    floor = state.ack_floor_stream
    state.pending = {
        sequence: state.pending[sequence] for sequence in sorted(state.pending) if sequence > floor
    }
