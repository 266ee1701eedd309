"""Consumers coming and going, and with them their groups (3.5 and 3.6 of the Memphis protocol)."""

from __future__ import annotations

import orjson

from memphis_desktop.stations import groups, membership
from memphis_desktop.stations.control import replies
from memphis_desktop.stations.control.producers import (
    OLD_SDK,
    TYPES,
    VERSION_WITH_PARTITIONS,
)
from memphis_desktop.stations.control.routes import EMPTY, Context, Request, control
from memphis_desktop.stations.control.stations import create_default
from memphis_desktop.stations.errors import Refusal
from memphis_desktop.stations.metadata import key_for
from memphis_desktop.stations.model import Consumer
from memphis_desktop.stations.names import checked_name

_VERSION_WITH_APP_ID = 4


async def create(context: Context, request: Request) -> bytes:
    """Note a member of a group, make the station and the group if they are missing, say what to consume."""
    wanted = _wanted(request)
    if wanted.request_version < VERSION_WITH_PARTITIONS:
        raise Refusal(OLD_SDK.replace("produce to", "consume from"))
    username = wanted.username
    await _check_user(context, username)
    station = await create_default(context, wanted.station, username)
    if not await context.access.may_read(username, wanted.station):
        raise Refusal(f"user {username} is not allowed to access station {wanted.station}", "forbidden")
    await membership.join(context, station, wanted)
    await context.audit(f"Consumer {wanted.name} connected", username=username, station=station.name)
    answer = {
        "schema_update": await replies.schema_of(context, station),
        "partitions_update": {"partitions_list": station.partitions},
        "error": "",
    }
    return orjson.dumps(answer)


def _wanted(request: Request) -> Consumer:
    """Return the consumer that a request describes, with Memphis's defaults and its order of checks."""
    name = checked_name("Consumer", request.text("name"))
    station = checked_name("Station", request.text("station_name"))
    group = request.text("consumers_group")
    group = checked_name("Consumer", group) if group else name
    kind = request.text("consumer_type", TYPES[0]).lower()
    if kind not in TYPES:
        raise Refusal("consumer type has to be one of the following application/connector")
    version = request.number("req_version")
    start = request.number("start_consume_from_sequence", 1)
    last = request.number("last_messages", -1)
    if start <= 0:
        raise Refusal("startConsumeFromSequence has to be a positive number")
    if last < -1:
        raise Refusal("min value for LastMessages is -1")
    if start > 1 and last > -1:
        raise Refusal(
            "consumer creation options can't contain both startConsumeFromSequence and lastMessages"
        )
    ack_time, deliveries = request.number("max_ack_time_ms"), request.number("max_msg_deliveries")
    connection = request.text("connection_id")
    return Consumer(
        name,
        station,
        group,
        connection,
        type=kind,
        max_ack_time_ms=ack_time if ack_time > 0 else groups.DEFAULT_ACK_TIME,
        max_msg_deliveries=deliveries if 0 < deliveries <= groups.MOST_DELIVERIES else groups.MOST_DELIVERIES,
        start_consume_from_sequence=start,
        last_messages=last,
        app_id=request.text("app_id") if version >= _VERSION_WITH_APP_ID else connection,
        sdk=request.text("sdk_lang"),
        request_version=version,
        username=request.username,
    )


async def _check_user(context: Context, username: str) -> None:
    try:
        await context.access.check(username)
    except Refusal:
        raise Refusal("user does not exist", "forbidden") from None  # consumers are told without the name


async def destroy(context: Context, request: Request) -> bytes:
    """Forget a member of a group; with the last active one the group goes, and its dead letters."""
    name, station_name = request.text("name").lower(), request.text("station_name").lower()
    connection = request.text("connection_id")
    message = f"Consumer {name} at station {station_name} does not exist"
    metadata = context.metadata
    rows = await metadata.consumers.select(f"{key_for(station_name)}.*.{key_for(name, connection)}")
    if not rows:
        raise Refusal(message, "not_found")
    await membership.leave(context, rows[0], message)
    await context.audit(
        f"Consumer {name} has been destroyed", username=request.username, station=station_name
    )
    return EMPTY


ROUTES = (
    control("consumer_creations", create, counts=True),
    control("consumer_destructions", destroy, counts=True),
)
