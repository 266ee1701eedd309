"""Moving a consumer to another place in its stream, with a preview of what will come again.

Servers from API level 4 on can move a consumer. On older ones it is deleted and made again with the same
configuration; what it had delivered and not seen acknowledged is lost then, and the preview says so.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from . import actions
from .actions import Action
from .failures import CONSUMER_NOT_FOUND, MESSAGE_NOT_FOUND, ApiError, ClusterError
from .lag import filters
from .model import ConsumerSnapshot, StreamSnapshot

if TYPE_CHECKING:
    from .session import Session

NATIVE_LEVEL = 4
_PROBE_LIFE = 5_000_000_000  # nanoseconds a probing consumer lives when its deletion is lost


@dataclass(frozen=True, slots=True)
class ResetPreview:
    """What a reset would do.

    Attributes:
        sequence: The first stream sequence that would be delivered.
        pending: Messages that would wait then.
        again: Messages among them that were delivered before.
        skipped: Messages waiting now that would not be delivered any more.
        exact: Whether the broker counted; otherwise gaps and filters make it less.
        native: Whether the broker moves the consumer; otherwise it is made anew.
        lost_pending: Delivered and unacknowledged messages whose delivery counts are lost.
    """

    sequence: int
    pending: int
    again: int
    skipped: int
    exact: bool
    native: bool
    lost_pending: int


def moves_natively(session: Session) -> bool:
    """Return whether the broker can move a consumer itself."""
    account = session.snapshot.account
    return account is not None and account.api_level >= NATIVE_LEVEL


async def sequence_at(session: Session, stream: StreamSnapshot, time_ns: int) -> int:
    """Return the sequence of the first message stored at or after a time; behind the last one if none is.

    Raises:
        ClusterError: The broker could not be asked.
    """
    body = {"start_time": rfc3339(time_ns), "next_by_subj": ">"}
    try:
        answer = await session.api(f"STREAM.MSG.GET.{stream.name}", body)
    except ApiError as error:
        if error.err_code == MESSAGE_NOT_FOUND:
            return stream.last_sequence + 1
        return await _position_of(session, stream.name, {"deliver_policy": "by_start_time", **_time(time_ns)})
    return int(answer["message"]["seq"])


def rfc3339(time_ns: int) -> str:
    """Return a time as the broker reads it, with nanoseconds."""
    seconds, fraction = divmod(time_ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def _time(time_ns: int) -> dict[str, str]:
    return {"opt_start_time": rfc3339(time_ns)}


async def _position_of(session: Session, stream: str, start: Mapping[str, Any]) -> int:
    info = await _probe(session, stream, start)
    return int(info["delivered"]["stream_seq"]) + 1


async def _probe(session: Session, stream: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Make a consumer that never delivers, to have the broker count, and delete it at once."""
    name = f"preview-{secrets.token_hex(6)}"
    body = {
        "stream_name": stream,
        "config": {
            "name": name,
            "ack_policy": "none",
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": _PROBE_LIFE,
            **config,
        },
        "action": "create",
    }
    info = await session.api(f"CONSUMER.CREATE.{stream}.{name}", body)
    with contextlib.suppress(ClusterError):
        await session.api(f"CONSUMER.DELETE.{stream}.{name}")
    return info


async def preview(
    session: Session, stream: StreamSnapshot, consumer: ConsumerSnapshot, sequence: int
) -> ResetPreview:
    """Return what moving a consumer to a sequence would do.

    The broker counts with a short-lived consumer where that is allowed (not on work queues, and not on
    read-only connections); elsewhere the numbers come from the sequences alone.
    """
    sequence = max(1, min(sequence, stream.last_sequence + 1))
    native = moves_natively(session)
    exact = True
    start: dict[str, Any] = {"deliver_policy": "by_start_sequence", "opt_start_seq": sequence}
    subjects = filters(consumer.config)
    if len(subjects) == 1:
        start["filter_subject"] = subjects[0]
    elif subjects:
        start["filter_subjects"] = list(subjects)
    try:
        if stream.config.get("retention") == "workqueue":
            raise ClusterError("a work queue takes one consumer only")  # untranslated: caught below
        pending = int((await _probe(session, stream.name, start)).get("num_pending") or 0)
    except ClusterError:
        exact = False
        pending = max(0, stream.last_sequence - max(sequence, stream.first_sequence) + 1)
        pending = min(pending, stream.messages)
    return ResetPreview(
        sequence=sequence,
        pending=pending,
        again=max(0, pending - consumer.num_pending),
        skipped=max(0, consumer.num_pending - pending),
        exact=exact,
        native=native,
        lost_pending=0 if native else consumer.num_ack_pending,
    )


def reset_actions(
    session: Session, stream: str, consumer: ConsumerSnapshot, sequence: int
) -> tuple[Action, ...]:
    """Return what a reset sends: one request, or deletion and creation."""
    if moves_natively(session):
        return (actions.reset_consumer(stream, consumer.name, sequence),)
    config = {
        key: value
        for key, value in consumer.config.items()
        if key not in ("opt_start_time", "opt_start_seq", "deliver_policy", "pause_until")
    }
    given = config.pop("metadata", None) or {}
    own = "_nats."  # untranslated: the server's keys
    metadata = {key: value for key, value in given.items() if not key.startswith(own)}
    if metadata:
        config["metadata"] = metadata
    config |= {"deliver_policy": "by_start_sequence", "opt_start_seq": sequence}
    return (
        actions.delete_consumer(stream, consumer.name, consumer.config),
        actions.create_consumer(stream, config),
    )


async def reset(session: Session, stream: str, consumer: ConsumerSnapshot, sequence: int) -> None:
    """Move a consumer to a sequence.

    When it was deleted and cannot be made anew, it is made again as it was before the error is raised.

    Raises:
        ClusterError: Refused, or not answered.
    """
    steps = reset_actions(session, stream, consumer, sequence)
    if len(steps) == 1:
        await steps[0].run(session)
        return
    delete, create = steps
    try:
        await delete.run(session)
    except ApiError as error:
        if error.err_code != CONSUMER_NOT_FOUND:
            raise
    try:
        await create.run(session)
    except ClusterError:
        with contextlib.suppress(ClusterError):
            await actions.create_consumer(stream, consumer.config, purpose="").run(session)
        raise
