"""What SDKs and servers tell without waiting for an answer: failed messages, dead-letter acks, connections.

A work-queue stream takes all of it, so nothing is lost while no copy of the service runs, and the copies
share the work through one durable consumer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import nats.errors
import orjson
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext

from memphis_desktop.stations import connections, dead_letters, model
from memphis_desktop.stations.control.routes import Context
from memphis_desktop.stations.dead_letters import Failure
from memphis_desktop.stations.errors import StationsError, StorageError
from memphis_desktop.stations.jetstream import SUBJECTS_OVERLAP, JetStream
from memphis_desktop.stations.model import DeadLetter, DeadLetterKind, JourneyStep
from memphis_desktop.stations.names import external_name, internal_name, partition_stream
from memphis_desktop.stations.tasks import end_task

log = logging.getLogger(__name__)

STREAM, DURABLE = connections.EVENTS, "service"
MAX_DELIVERIES = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES."
TERMINATED = "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED."

_NEXT = f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{DURABLE}"
_TIME_IS_OVER = "408"
_BATCH, _WAIT = 64, 5.0
_AT_ONCE = 16
_DAY = 86_400_000_000_000
_ACK_WAIT = 30_000_000_000
_MOST_MESSAGES = 1_000_000
_MOST_ATTEMPTS, _LATER = 10, 2.0
_PATIENCE = 2.0  # at the end

Event = dict[str, Any]


async def create(context: Context) -> None:
    """Make the stream and its durable, if they are missing."""
    jetstream = context.jetstream
    try:
        await _make_stream(context, {})
    except StorageError as error:
        if error.err_code != SUBJECTS_OVERLAP:
            raise
        await _make_stream(context, await _advisories_kept_elsewhere(jetstream))
    durable = {
        "durable_name": DURABLE,
        "ack_policy": "explicit",
        "ack_wait": _ACK_WAIT,
        "max_deliver": -1,
        "max_ack_pending": 1000,
    }
    await jetstream.create_durable(STREAM, durable)


async def _make_stream(context: Context, elsewhere: dict[str, str]) -> None:
    """Make the stream, or change its subjects.

    Args:
        context: Where.
        elsewhere: Subjects that another stream has, each with that stream: copied from there, since no two
            streams may have the same; "" for one that can not be copied from.
    """
    told = [subject for subject in HANDLERS if subject[-1] != "."]
    advisories = [f"{prefix}>" for prefix in (MAX_DELIVERIES, TERMINATED)]
    config: dict[str, Any] = {
        "name": STREAM,
        "description": "Memphis: what the stations service has to hear of",
        "subjects": [subject for subject in (*advisories, *told) if subject not in elsewhere],
        "retention": "workqueue",
        "storage": "file",
        "max_age": _DAY,
        "max_msgs": _MOST_MESSAGES,
        "discard": "old",
        "num_replicas": context.replicas,
    }
    sources = [
        {"name": name, "filter_subject": subject, "opt_start_time": model.now().isoformat()}
        for subject, name in elsewhere.items()
        if name
    ]
    present = await context.jetstream.stream_info(STREAM)
    if present is None:
        await context.jetstream.create_stream(config | ({"sources": sources} if sources else {}))
    elif set(present["config"]["subjects"]) != set(config["subjects"]):
        changed = {**present["config"], "subjects": config["subjects"], "sources": sources}
        await context.jetstream.update_stream(changed)


async def _advisories_kept_elsewhere(jetstream: JetStream) -> dict[str, str]:
    """Return which advisories other streams keep, each with a stream to copy them from, or ""."""
    kept: dict[str, str] = {}
    for prefix in (MAX_DELIVERIES, TERMINATED):
        subject = f"{prefix}>"
        names = (await jetstream.request("STREAM.NAMES", {"subject": subject})).get("streams") or []
        for name in names:
            if name == STREAM:
                continue
            info = await jetstream.stream_info(name)
            shared = info is not None and info["config"].get("retention", "limits") == "limits"
            kept[subject] = name if shared else kept.get(subject, "")
        if kept.get(subject) == "":
            log.warning("%s takes the advisories of failed messages: they make no dead letters", names)
    return kept


class EventReader:
    """Takes events from the stream and sees to them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._task: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Take no more and end; what is not done within a moment is done again by another copy."""
        task, self._task = self._task, None
        await end_task(task)
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_PATIENCE)
        await asyncio.gather(*map(end_task, tuple(self._under_way)))

    async def _run(self) -> None:
        client = self._context.client
        while True:
            subscription: Subscription | None = None
            try:
                subscription = await client.subscribe(client.new_inbox())
                while True:
                    await self._pull(subscription, await self._room())
            except (nats.errors.Error, OSError) as error:
                log.debug("reading events: %s", error)
                await asyncio.sleep(_LATER)
            finally:
                if subscription is not None:
                    with contextlib.suppress(Exception):  # the connection may be gone
                        await subscription.unsubscribe()

    async def _pull(self, subscription: Subscription, most: int) -> None:
        """Ask for events once and see to each when it comes.

        Not with nats-py's `fetch`, which sometimes hands over what it got only when as many came as there is
        room for, or the time is over.
        """
        request = orjson.dumps({"batch": most, "expires": int(_WAIT * 1e9)})
        await self._context.client.publish(_NEXT, request, reply=subscription.subject)
        loop = asyncio.get_running_loop()
        end = loop.time() + _WAIT + _LATER  # the server may be gone without a word
        while most and (left := end - loop.time()) > 0:
            try:
                message = await subscription.next_msg(timeout=left)
            except nats.errors.TimeoutError:
                return
            if not JetStreamContext.is_status_msg(message):
                self._begin(message)
                most -= 1
                continue
            if (message.header or {}).get("Status") != _TIME_IS_OVER:
                log.debug("reading events: %s", message.header)
                await asyncio.sleep(_LATER)  # nobody answers, or the leader changes
            return

    async def _room(self) -> int:
        """Return for how many more events there is room; one that takes long does not hold up the others."""
        while len(self._under_way) >= _BATCH:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
        return _BATCH - len(self._under_way)

    def _begin(self, message: Msg) -> None:
        task = asyncio.get_running_loop().create_task(self._see_to(message))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _see_to(self, message: Msg) -> None:
        with contextlib.suppress(nats.errors.Error):  # the connection is gone: it comes again, to some copy
            await self._handled(message)

    async def _handled(self, message: Msg) -> None:
        async with self._free:
            try:
                await _handle(self._context, message)
            except StorageError as error:
                if message.metadata.num_delivered < _MOST_ATTEMPTS:
                    await message.nak(delay=_LATER)
                    return
                log.error("an event of %s was given up: %s", message.subject, error)
            except (StationsError, ValueError, KeyError, TypeError, AttributeError) as error:
                log.warning("an event of %s makes no sense: %s", message.subject, error)
            except Exception:
                log.exception("an event of %s failed", message.subject)
            await message.ack()


async def _handle(context: Context, message: Msg) -> None:
    subject = message.subject
    for prefix in (MAX_DELIVERIES, TERMINATED):
        if subject.startswith(prefix):
            subject = prefix
    event = {key.lower(): value for key, value in orjson.loads(message.data).items()}
    event["_sequence"], event["_time"] = message.metadata.sequence.stream, message.metadata.timestamp
    await HANDLERS[subject](context, event)


async def _deliveries_exceeded(context: Context, event: Event) -> None:
    failure = Failure(
        event["stream"],
        event["consumer"],
        event["stream_seq"],
        event.get("deliveries", 0),
        time=event["_time"],
    )
    await dead_letters.record_failure(context, failure)


async def _terminated(context: Context, event: Event) -> None:
    failure = Failure(
        event["stream"],
        event["consumer"],
        event["stream_seq"],
        event.get("deliveries", 0),
        event.get("reason", ""),
        terminated=True,
        time=event["_time"],
    )
    await dead_letters.record_failure(context, failure)


async def _nacked(context: Context, event: Event) -> None:
    """An SDK gave a message up, with a reason (3.12)."""
    failure = Failure(
        partition_stream(event["station_name"], int(event["partition"])),
        internal_name(event["cg_name"]),
        int(event["seq"]),
        reason=str(event.get("error", "")),
        terminated=True,
        time=event["_time"],
    )
    await dead_letters.record_failure(context, failure)


async def _refused(context: Context, event: Event) -> None:
    """An SDK refused to produce a message that does not fit its schema (3.11)."""
    message = {key.lower(): value for key, value in event["message"].items()}
    producer = event.get("producer") or {}
    data = _from_hex(message.get("data", ""))
    station = external_name(event["station_name"])
    name, error = str(producer.get("name", "")) or "unknown", str(event.get("validation_error", ""))
    time: datetime = event["_time"]
    letter = DeadLetter(
        dead_letters.letter_id(station, "schema", event["_sequence"], time.isoformat()),
        station,
        DeadLetterKind.SCHEMA,
        partition=int(event.get("partition_number", 0)),
        producer=name,
        connection_id=str(producer.get("connection_id", "")),
        validation_error=error,
        created_at=time.astimezone(UTC),
        updated_at=time.astimezone(UTC),
        headers=tuple((str(k), str(v)) for k, v in (message.get("headers") or {}).items()),
        size=len(data),
        preview=data[:80].hex(),
        journey=(JourneyStep("refused", time.astimezone(UTC), who=name, detail=error),),
    )
    await dead_letters.record_refusal(context, letter, data)


def _from_hex(text: str) -> bytes:
    """Return the bytes of hexadecimal text; memphis-dev writes bytes below 16 as one digit: no hex."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return text.encode()


async def _letter_acknowledged(context: Context, event: Event) -> None:
    await dead_letters.acknowledged(context.metadata, int(event["id"]), str(event["cg_name"]).lower())


async def _notified(context: Context, event: Event) -> None:
    await context.audit(f"{event.get('title', '')}: {event.get('msg', '')}")


async def _connection_changed(context: Context, event: Event) -> None:
    await connections.changed(context, event, event["_time"], event["_sequence"])


HANDLERS: dict[str, Callable[[Context, Event], Awaitable[None]]] = {
    MAX_DELIVERIES: _deliveries_exceeded,
    TERMINATED: _terminated,
    "$memphis_nacked_dls": _nacked,
    "$memphis_schemaverse_dls": _refused,
    "$memphis_pm_acks": _letter_acknowledged,
    "$memphis_notifications": _notified,
    connections.SUBJECT: _connection_changed,
}
