"""The store of dead letters: messages that a group gave up, or that their schema refused.

A letter is a row without its payload, which lies beside it as raw bytes: so a message of any size fits, and a
list of letters is read without them. The id follows from station, partition and sequence, so that a failure
that is told twice makes one letter.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from memphis_desktop.stations import alerts, model
from memphis_desktop.stations.control.routes import Context
from memphis_desktop.stations.errors import StorageError
from memphis_desktop.stations.jetstream import StoredMessage
from memphis_desktop.stations.metadata import Metadata, key_for, pattern_for, replace
from memphis_desktop.stations.model import DeadLetter, DeadLetterKind, FailedGroup, JourneyStep, Station
from memphis_desktop.stations.names import external_name, message_subject, station_of_stream

PRODUCED_BY, CONNECTION_ID = "$memphis_producedBy", "$memphis_connectionId"
RESENT = "$memphis_dls"  # the producer of a letter sent again
_OWN_STREAMS = ("$memphis", "KV_memphis_")
_ID_BITS = 52
_PREVIEW = 80  # bytes
_LONGEST_JOURNEY = 100


@dataclass(frozen=True, slots=True)
class Failure:
    """A consumer gave a message up."""

    stream: str
    consumer: str
    sequence: int
    deliveries: int = 0
    reason: str = ""
    terminated: bool = False
    time: datetime | None = None


def letter_id(*parts: object) -> int:
    """Return the id of the letter that these parts determine; never 0."""
    text = "\0".join(map(str, parts)).encode("utf-8", "surrogateescape")
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return int.from_bytes(digest) >> (64 - _ID_BITS) or 1


async def record_failure(context: Context, failure: Failure) -> DeadLetter | None:
    """Keep the message that a group gave up.

    Returns:
        The letter, or None when there is nothing to keep: the station does not want it, the message is a
        letter that was sent again, or the group is gone.

    Raises:
        StorageError: Try again later.
    """
    if failure.stream.startswith(_OWN_STREAMS):
        return None
    name, partition = station_of_stream(failure.stream)
    station = await context.metadata.station(name) if partition > 0 else None
    group = failure.consumer
    if station is not None:
        group = external_name(group)
        if not station.dead_letters.poison:
            return None
        if await context.jetstream.consumer_info(failure.stream, failure.consumer) is None:
            return None
    else:
        name, partition = failure.stream, -1
    message = await context.jetstream.message(failure.stream, sequence=failure.sequence)
    letter = _letter_of(failure, name, partition, message)
    if letter.producer == RESENT:
        return None
    payload = message.data if message is not None else b""
    await context.metadata.payloads.put(key_for(name, str(letter.id)), payload)
    return await _add(context, station, letter, payload, _failed(letter, failure, group))


def _letter_of(failure: Failure, name: str, partition: int, message: StoredMessage | None) -> DeadLetter:
    headers = message.headers if message is not None else ()
    named = dict(headers)
    producer = named.get(PRODUCED_BY, "") or "unknown"
    steps: tuple[JourneyStep, ...] = ()
    if message is not None:
        steps = (JourneyStep("stored", message.time, who=producer, detail=failure.stream),)
    data = message.data if message is not None else b""
    return DeadLetter(
        letter_id(name, failure.stream, failure.sequence),
        name,
        DeadLetterKind.UNACKED,
        stream=failure.stream,
        partition=partition,
        sequence=failure.sequence,
        subject=message.subject if message is not None else "",
        producer=producer,
        connection_id=named.get(CONNECTION_ID, ""),
        stored_at=message.time if message is not None else None,
        headers=headers,
        size=len(data),
        preview=data[:_PREVIEW].hex(),
        payload_lost=message is None,
        journey=steps,
    )


def _failed(
    fresh: DeadLetter, failure: Failure, group: str
) -> Callable[[DeadLetter | None], DeadLetter | None]:
    """Return the change that adds a group's failure to a letter, new or there already."""
    when = failure.time or model.now()
    step = JourneyStep("terminated" if failure.terminated else "failed", when, group, detail=failure.reason)

    def decide(present: DeadLetter | None) -> DeadLetter | None:
        letter = present or fresh
        known = next((each for each in letter.groups if each.name == group), None)
        failed = FailedGroup(group, failure.deliveries, failure.reason, when)
        if known is not None:
            # A consumer's termination is told by the server and, with the reason, by the SDK.
            failed = replace(
                known,
                deliveries=max(known.deliveries, failure.deliveries),
                reason=failure.reason or known.reason,
            )
            if failed == known:
                return present
        others = tuple(each for each in letter.groups if each.name != group)
        journey = letter.journey if known is not None and not failure.reason else (*letter.journey, step)
        return replace(
            letter,
            groups=(*others, failed),
            validation_error=failure.reason or letter.validation_error,
            updated_at=model.now(),
            journey=journey[:_LONGEST_JOURNEY],
        )

    return decide


async def record_refusal(context: Context, letter: DeadLetter, payload: bytes) -> DeadLetter | None:
    """Keep a message that its schema refused; None when the station does not want it, or is unknown."""
    station = await context.metadata.station(letter.station)
    if station is None or not station.dead_letters.schema:
        return None
    await context.metadata.payloads.put(key_for(letter.station, str(letter.id)), payload)
    text = f"A message of producer {letter.producer} does not fit the schema: {letter.validation_error}"
    await alerts.tell(context, alerts.SCHEMA, letter.station, text, who=letter.producer)
    return await _add(context, station, letter, payload, lambda present: present or letter)


async def _add(
    context: Context,
    station: Station | None,
    letter: DeadLetter,
    payload: bytes,
    decide: Callable[[DeadLetter | None], DeadLetter | None],
) -> DeadLetter | None:
    """Write a letter, and pass a copy on to the station for dead letters if there is one."""
    key = (letter.station, str(letter.id))
    forwards = station is not None and station.dls_station and not letter.payload_lost
    if forwards and not await context.metadata.dead_letters.has(*key):
        assert station is not None
        await _forward(context, station.dls_station, letter, payload)
        step = JourneyStep("forwarded", detail=station.dls_station)

        def with_step(present: DeadLetter | None) -> DeadLetter | None:
            after = decide(present)
            if present is not None or after is None:
                return after
            return replace(after, journey=(*after.journey, step))

        return await context.metadata.dead_letters.change(key, with_step, likely_new=True)
    return await context.metadata.dead_letters.change(key, decide, likely_new=True)


async def _forward(context: Context, target: str, letter: DeadLetter, payload: bytes) -> None:
    """Publish a copy of a letter to another station, once, whatever happens on the way."""
    station = await context.metadata.station(target)
    if station is None:
        return
    kind = "failed_schema" if letter.kind is DeadLetterKind.SCHEMA else "unacked"
    headers = dict(letter.headers) | {
        "station": letter.station,
        "type": kind,
        "Nats-Msg-Id": f"dls-{letter.station}-{letter.id}",
    }
    await context.jetstream.publish(message_subject(random.choice(station.streams)), payload, headers)


async def find(metadata: Metadata, letter: int) -> DeadLetter | None:
    """Return the letter of an id, whatever its station."""
    found = await metadata.dead_letters.select(f"*.{letter}")
    return found[0] if found else None


async def delete(metadata: Metadata, letter: DeadLetter) -> None:
    """Delete a letter and its payload."""
    await metadata.dead_letters.delete(letter)
    await metadata.payloads.delete(key_for(letter.station, str(letter.id)))


async def acknowledged(metadata: Metadata, letter: int, group: str) -> None:
    """Note that a group has acknowledged a letter that was sent again; with the last group it goes."""
    found = await find(metadata, letter)
    if found is not None:
        await _without_group(metadata, found, group)


async def forget_group(metadata: Metadata, station: str, group: str) -> None:
    """Take a group that no longer exists off a station's letters."""
    for letter in await metadata.dead_letters.all(pattern_for(station)):
        if any(each.name == group for each in letter.groups):
            await _without_group(metadata, letter, group)


async def _without_group(metadata: Metadata, letter: DeadLetter, group: str) -> None:
    def decide(present: DeadLetter | None) -> DeadLetter | None:
        if present is None:
            return None
        left = tuple(each for each in present.groups if each.name != group)
        if left == present.groups:
            return present
        step = JourneyStep("acknowledged", group=group)
        journey = (*present.journey, step)[:_LONGEST_JOURNEY]
        return replace(present, groups=left, updated_at=model.now(), journey=journey) if left else None

    if await metadata.dead_letters.change((letter.station, str(letter.id)), decide) is None:
        await metadata.payloads.delete(key_for(letter.station, str(letter.id)))


async def remove_old(context: Context) -> None:
    """Delete the letters that are older than the settings allow."""
    settings = await context.metadata.read_settings()
    limit = model.now() - timedelta(hours=settings.dead_letter_hours)
    for letter in await context.metadata.dead_letters.all():
        if letter.updated_at < limit:
            await delete(context.metadata, letter)


async def payload_of(metadata: Metadata, letter: DeadLetter) -> bytes:
    """Return the payload of a letter; raises `StorageError` when it is gone."""
    entry = await metadata.payloads.get(key_for(letter.station, str(letter.id)))
    if entry is None or letter.payload_lost:
        raise StorageError("the message was removed from its station before it could be kept")
    return entry.value
