"""Which SDK connections are open, as told by those who take them: a node's Memphis port, or a front door.

Producers and consumers are active while their connection is; a reconnection revives them. What nobody tells
of, such as an SDK on a plain NATS port, counts as open until it is destroyed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import nats.errors
import orjson
from nats.aio.msg import Msg

from memphis_desktop.stations import alerts, groups, model
from memphis_desktop.stations.control.routes import Context
from memphis_desktop.stations.jetstream import JetStream
from memphis_desktop.stations.metadata import replace
from memphis_desktop.stations.model import Connection, Consumer, Producer
from memphis_desktop.stations.names import key_token

log = logging.getLogger(__name__)

EVENTS = "$memphis_events"  # the stream that takes what is told; see `events`
SUBJECT, STATUS_SUBJECT = "$memphis_connections", "$memphis_connection_status"
CONNECTED, DISCONNECTED = "connected", "disconnected"

_ANSWERS_WITHIN = 2.0
_ROUNDS = 3  # of asking, before a server that does not answer is taken for dead
_NOTED_WITHIN, _SHORTEST_POLL, _LONGEST_POLL = 8.0, 0.01, 0.2  # seconds
_GRACE = timedelta(seconds=60)  # a connection this young may not be in the answers


async def changed(context: Context, event: dict[str, Any], time: datetime, sequence: int) -> None:
    """Note that a connection was opened or closed.

    Args:
        context: Where.
        event: ``connection_id``, ``event``, ``username``, ``server``, and in ``sessions`` how many sessions
            of that id are left: an SDK opens two in quick succession and closes the first.
        time: When it was told; what was told later counts.
        sequence: The event's, which tells two of one moment apart.
    """
    identifier, kind = str(event.get("connection_id", "")), event.get("event")
    if not identifier or kind not in (CONNECTED, DISCONNECTED):
        return
    active = kind == CONNECTED or int(event.get("sessions", 0)) > 0
    told = Connection(
        identifier,
        active,
        time.astimezone(UTC),
        str(event.get("username", "")),
        str(event.get("server", "")),
        sequence,
    )

    before: Connection | None = None

    def decide(present: Connection | None) -> Connection | None:
        nonlocal before
        before = present
        if present is None or (present.changed_at, present.event) < (told.changed_at, told.event):
            return told
        return present

    noted = await context.metadata.connections.change((identifier,), decide, likely_new=active)
    if noted is not told:
        return
    if not active:
        await _tell_of_end(context, identifier)
    elif before is not None and not before.active:
        await groups.restore(context.metadata, identifier)


async def all_noted(jetstream: JetStream) -> None:
    """Wait until all that was told of connections before now has been noted, by whichever copy.

    It takes a moment while many come and go, and a decision taken meanwhile would rest on what was. Where it
    takes too long, what is known has to do.
    """
    info = await jetstream.stream_info(EVENTS, subjects_filter=SUBJECT)
    if info is None or not info["state"].get("subjects"):
        return  # the usual case
    newest = await jetstream.message(EVENTS, last_of=SUBJECT)
    loop = asyncio.get_running_loop()
    end, pause = loop.time() + _NOTED_WITHIN, _SHORTEST_POLL
    while newest is not None:
        oldest = await jetstream.message(EVENTS, first_of=SUBJECT)
        if oldest is None or oldest.sequence > newest.sequence:
            return
        if loop.time() >= end:
            log.info("it takes long to note which connections are open")
            return
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_POLL)


async def _tell_of_end(context: Context, identifier: str) -> None:
    """Tell each station whose producers or consumers were on a connection that has ended."""
    key = key_token(identifier)
    rows: list[Producer | Consumer] = [
        *await context.metadata.producers.select(f"*.*.{key}"),
        *await context.metadata.consumers.select(f"*.*.*.{key}"),
    ]
    for station in sorted({row.station for row in rows}):
        names = sorted({row.name for row in rows if row.station == station})
        text = f"The connection of {', '.join(names)} has ended"
        await alerts.tell(context, alerts.DISCONNECTION, station, text, who=", ".join(names))


async def reconcile(context: Context) -> None:
    """Ask who has which connections, and correct what was missed: a server that died tells of nobody.

    One that has a lot to do may answer late: only after several rounds its connections are taken for closed.
    """
    metadata = context.metadata
    asked_at = model.now()
    answers: dict[str, set[str]] = {}
    for _ in range(_ROUNDS):
        for server, identifiers in (await _ask_all(context)).items():
            answers.setdefault(server, set()).update(identifiers)
        if not answers:
            return  # nobody takes SDK connections, or nobody answers: nothing is known
        known = await metadata.connections.all()
        if {connection.server for connection in known if connection.active} - {"", *answers} == set():
            break
    live = set().union(*answers.values())
    for connection in known:
        is_live = connection.id in live
        if is_live == connection.active or asked_at - connection.changed_at < _GRACE:
            continue
        corrected = replace(connection, active=is_live, changed_at=asked_at)
        now = await metadata.connections.change((connection.id,), _instead_of(connection, corrected))
        if is_live and now is corrected:
            await groups.restore(metadata, connection.id)


def _instead_of(
    seen: Connection, corrected: Connection | None
) -> Callable[[Connection | None], Connection | None]:
    return lambda present: corrected if present == seen else present


async def _ask_all(context: Context) -> dict[str, set[str]]:
    """Return which connections each server has that answers."""
    answers: dict[str, set[str]] = {}

    async def note(message: Msg) -> None:
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            document = orjson.loads(message.data)
            identifiers = {str(each) for each in document["connections"]}
            answers.setdefault(str(document.get("server", "")), set()).update(identifiers)

    inbox = context.client.new_inbox()
    try:
        subscription = await context.client.subscribe(inbox, cb=note)
        await context.client.publish(STATUS_SUBJECT, b"", reply=inbox)
        await asyncio.sleep(_ANSWERS_WITHIN)
        await subscription.unsubscribe()
    except nats.errors.Error:
        return {}
    return answers


async def remove_old(context: Context) -> None:
    """Forget producers, consumers and connections that have been closed for as long as the settings allow.

    Of a group without any open connection one member stays: its durable lives on, and so shall its name.
    """
    metadata = context.metadata
    settings = await metadata.read_settings()
    limit = model.now() - timedelta(hours=settings.disconnected_hours)
    closed = {c.id: c for c in await metadata.connections.all() if not c.active}
    old = {identifier for identifier, connection in closed.items() if connection.changed_at < limit}
    if not old:
        return

    async def is_old(identifier: str) -> bool:
        """Return whether a connection is what it was read as; it may have come back meanwhile."""
        return identifier in old and await metadata.connections.find(identifier) == closed[identifier]

    for producer in await metadata.producers.all():
        if await is_old(producer.connection_id):
            await metadata.producers.delete(producer)
    consumers = await metadata.consumers.all()
    kept = _last_of_their_groups(consumers, old)
    for consumer in consumers:
        if consumer not in kept and await is_old(consumer.connection_id):
            await metadata.consumers.delete(consumer)
    for identifier in old - {consumer.connection_id for consumer in kept}:
        await metadata.connections.change((identifier,), _instead_of(closed[identifier], None))


def _last_of_their_groups(consumers: list[Consumer], old: set[str]) -> list[Consumer]:
    """Return the newest member of each group whose members are all long gone."""
    groups: dict[tuple[str, str], list[Consumer]] = {}
    for consumer in consumers:
        groups.setdefault((consumer.station, consumer.group), []).append(consumer)
    return [
        max(members, key=lambda member: member.created_at)
        for members in groups.values()
        if all(member.connection_id in old for member in members)
    ]
