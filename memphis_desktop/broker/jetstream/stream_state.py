"""What a stream tells about its messages, and the limits it gives its store."""

from __future__ import annotations

from typing import Any

from memphis_desktop.broker.jetstream.config import StreamConfig
from memphis_desktop.broker.jetstream.times import UNSET_TIME_NS, format_time
from memphis_desktop.broker.store.interface import Limits, MessageStore

_UNSET = format_time(UNSET_TIME_NS)


def stream_limits(config: StreamConfig) -> Limits:
    """Return what the store has to hold to."""
    return Limits(
        max_messages=config.max_msgs,
        max_bytes=config.max_bytes,
        max_age_ns=0 if config.allow_msg_ttl else config.max_age,  # with TTLs the stream expires itself
        max_messages_per_subject=config.max_msgs_per_subject,
        discard_new=config.discard == "new",
        discard_new_per_subject=config.discard_new_per_subject,
    )


def state_of(
    messages: MessageStore, consumers: int, *, deleted: bool = False, subjects: dict[str, int] | None = None
) -> dict[str, Any]:
    """Return StreamState (2.4 of the protocol notes).

    Args:
        messages: the stream's store.
        consumers: how many consumers it has.
        deleted: list the sequences that are missing between the first and the last.
        subjects: how many messages subjects have, if that was asked for.
    """
    count = messages.message_count
    first, last = messages.first_sequence, messages.last_sequence
    state: dict[str, Any] = {
        "messages": count,
        "bytes": messages.byte_count,
        "first_seq": first,
        "first_ts": format_time(messages.first_time_ns) if count else _UNSET,
        "last_seq": last,
        "last_ts": format_time(messages.last_time_ns) if messages.last_time_ns else _UNSET,
    }
    if messages.subject_count:
        state["num_subjects"] = messages.subject_count
    if subjects:
        state["subjects"] = subjects
    missing = last - first + 1 - count if count else 0
    if missing > 0:
        state["num_deleted"] = missing
        if deleted:
            state["deleted"] = list(messages.removed_sequences())
    damaged = messages.damaged()
    if damaged:
        lost = [sequence for start, end in damaged for sequence in range(start, end + 1)]
        state["lost"] = {"msgs": lost, "bytes": 0}
    state["consumer_count"] = consumers
    return state
