"""Producers coming and going (3.3 and 3.4 of the Memphis protocol)."""

from __future__ import annotations

from typing import Any

import orjson

from memphis_desktop.stations.control import replies
from memphis_desktop.stations.control.routes import EMPTY, Context, Request, bare_text, control
from memphis_desktop.stations.control.stations import create_default
from memphis_desktop.stations.errors import Refusal, StationsError
from memphis_desktop.stations.metadata import replace
from memphis_desktop.stations.model import Producer, Station
from memphis_desktop.stations.names import checked_name

TYPES = ("application", "connector")
OLD_SDK = "to produce to this station please upgrade your SDK version"
VERSION_WITH_PARTITIONS = 2
_VERSION_WITH_ANSWER, _VERSION_WITH_APP_ID = 1, 4


async def create(context: Context, request: Request) -> bytes:
    """Note a producer, and tell what the SDK needs to produce. The first SDKs want bare text."""
    if request.number("req_version") >= _VERSION_WITH_ANSWER:
        return await _create(context, request)
    try:
        await _create(context, request)
    except StationsError as error:
        return bare_text(error)
    return EMPTY


async def _create(context: Context, request: Request) -> bytes:
    """Note a producer, and make its station if it is missing."""
    name = checked_name("Producer", request.text("name"))
    station_name = checked_name("Station", request.text("station_name"))
    kind = request.text("producer_type", TYPES[0]).lower()
    if kind not in TYPES:
        raise Refusal("producer type has to be one of the following application/connector")
    username, version = request.username, request.number("req_version")
    if version < VERSION_WITH_PARTITIONS:
        raise Refusal(OLD_SDK)  # it would produce to a stream without a partition's number: there is none
    await context.access.check(username)
    station = await create_default(context, station_name, username)
    if not await context.access.may_write(username, station_name):
        raise Refusal(f"user {username} is not allowed to access station {station_name}", "forbidden")
    connection = request.text("connection_id")
    wanted = Producer(
        name,
        station_name,
        connection,
        type=kind,
        app_id=request.text("app_id") if version >= _VERSION_WITH_APP_ID else connection,
        sdk=request.text("sdk_lang"),
        request_version=version,
        username=username,
    )
    key = (station_name, name, connection)
    await context.metadata.producers.change(key, one_more(wanted), likely_new=True)
    if await context.metadata.station(station_name) is None:  # removed meanwhile, perhaps before the row came
        await context.metadata.producers.change(key, one_less_if_any)
        raise Refusal(f"Station {station_name} does not exist", "not_found")
    await context.audit(f"Producer {name} connected", username=username, station=station_name)
    return orjson.dumps(_answer(station, await replies.schema_of(context, station)))


def one_more(wanted: Any) -> Any:
    """Return the change that notes one more producer of a name on a connection."""

    def decide(present: Any) -> Any:
        return wanted if present is None else replace(wanted, count=present.count + 1)

    return decide


def one_less(message: str) -> Any:
    """Return the change that takes one away, refusing with `message` when there is none."""

    def decide(present: Any) -> Any:
        if present is None:
            raise Refusal(message, "not_found")
        return one_less_if_any(present)

    return decide


def one_less_if_any(present: Any) -> Any:
    """Take one producer away, if there is any."""
    return replace(present, count=present.count - 1) if present is not None and present.count > 1 else None


def _answer(station: Station, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "schema_update": schema,
        "partitions_update": {"partitions_list": station.partitions},
        "schemaverse_to_dls": station.dead_letters.schema,
        "send_notification": False,
        "station_version": station.version,
        "station_partitions_first_functions": {},
        "error": "",
    }


def failed(error: StationsError) -> bytes:
    """Tell an error as producers want it: the usual answer with the text in it and nothing else."""
    return orjson.dumps(
        {
            "schema_update": replies.NO_SCHEMA,
            "partitions_update": {"partitions_list": []},
            "schemaverse_to_dls": False,
            "send_notification": False,
            "station_version": 0,
            "station_partitions_first_functions": {},
            "error": str(error),
        }
    )


async def destroy(context: Context, request: Request) -> bytes:
    """Forget a producer."""
    name, station = request.text("name").lower(), request.text("station_name").lower()
    message = f"Producer {name} at station {station} does not exist"
    key = (station, name, request.text("connection_id"))
    await context.metadata.producers.change(key, one_less(message))
    await context.audit(f"Producer {name} has been destroyed", username=request.username, station=station)
    return EMPTY


ROUTES = (
    control("producer_creations", create, failed, counts=True),
    control("producer_destructions", destroy, counts=True),
)
