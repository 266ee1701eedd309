"""Creating, editing and removing stations: for SDKs (3.1, 3.2 of the Memphis protocol) and the window."""

from __future__ import annotations

from memphis_desktop.stations import lifecycle, model, streams
from memphis_desktop.stations.control.routes import (
    EMPTY,
    Context,
    Request,
    control,
    manage,
    management_answer,
)
from memphis_desktop.stations.errors import Refusal
from memphis_desktop.stations.metadata import replace
from memphis_desktop.stations.model import (
    DeadLetterConfig,
    RetentionType,
    SchemaReference,
    Station,
    StorageType,
)
from memphis_desktop.stations.names import MAX_TAG_LENGTH, checked_name, internal_name

CLIENT_UPDATES = "$memphis_sdk_clients_updates"

MAX_PARTITIONS = 10_000
_DEFAULT_AGE = 3600  # seconds
_DEFAULT_WINDOW, _SHORTEST_WINDOW, _LONGEST_WINDOW = 120_000, 100, 86_400_000  # milliseconds
_EDITABLE_RETENTION = (RetentionType.AGE, RetentionType.MESSAGES, RetentionType.BYTES)


async def create_for_sdk(context: Context, request: Request) -> bytes:
    """Create a station; one that exists already is left as it is, and that is a success."""
    name = checked_name("Station", request.text("name"))
    if await lifecycle.ready_station(context, name) is None:
        await _create(context, request, name)
    return EMPTY


async def _create(context: Context, request: Request, name: str) -> tuple[Station, bool]:
    username = request.username
    if not await context.access.may_write(username, name):
        raise Refusal(f"user {username} is not allowed to create station {name}", "forbidden")
    station = await _wanted(context, request, name)
    if station.dls_station and station.dls_station != name:
        await create_default(context, station.dls_station, username)
    return await lifecycle.create_station(context, station)


async def create_default(context: Context, name: str, username: str) -> Station:
    """Return a station, made with default options if it is missing: for producers, consumers, dead letters.

    Raises:
        Refusal: The user may not create it.
    """
    station = await lifecycle.ready_station(context, name)
    if station is not None:
        return station
    if not await context.access.may_write(username, name):
        raise Refusal(f"user {username} is not allowed to create station {name}", "forbidden")
    station, _ = await lifecycle.create_station(context, Station(name, created_by=username))
    return station


async def _wanted(context: Context, request: Request, name: str) -> Station:
    """Return the station that a request describes, with Memphis's defaults and its order of checks."""
    partitions = request.number("partitions_number")
    if partitions == 0:
        raise Refusal("you are using an old SDK, make sure to update your SDK")
    if not 1 <= partitions <= MAX_PARTITIONS:
        raise Refusal(
            f"cannot create station with {partitions} partitions (max:{MAX_PARTITIONS} min:1): "
            f"Station -  {name}, "
        )
    schema = await _schema(context, request.text("schema_name"))
    kind, value = _retention(request.text("retention_type"), request.number("retention_value"))
    storage = _storage(request.text("storage_type"))
    replicas = _replicas(request.number("replicas"))
    window = _window(request.number("idempotency_window_in_ms"), kind, value)
    dls_station = request.text("dls_station")
    letters = request.part("dls_configuration")
    return Station(
        name,
        retention_type=kind,
        retention_value=value,
        storage_type=storage,
        replicas=replicas,
        idempotency_window_ms=window,
        partitions=tuple(range(1, partitions + 1)),
        dead_letters=DeadLetterConfig(letters.get("poison") is True, letters.get("schemaverse") is True),
        dls_station=checked_name("Station", dls_station) if dls_station else "",
        schema=schema,
        tiered_storage_enabled=request.flag("tiered_storage_enabled"),
        tags=_tags(request),
        created_by=request.username,
    )


async def _schema(context: Context, name: str) -> SchemaReference | None:
    if not name:
        return None
    schema = await context.metadata.schemas.find(name.lower())
    if schema is None:
        raise Refusal(f"Schema {name} does not exist", "not_found")
    return SchemaReference(schema.name, schema.active_version)


def _retention(name: str, value: int) -> tuple[RetentionType, int]:
    if not name:
        return RetentionType.AGE, _DEFAULT_AGE
    try:
        kind = RetentionType(name.lower())
    except ValueError:
        raise Refusal(
            "retention type can be one of the following message_age_sec/messages/bytes/ack_based"
        ) from None
    if kind is RetentionType.ACKS:
        return kind, 0
    return (kind, value) if value > 0 else (RetentionType.AGE, _DEFAULT_AGE)


def _storage(name: str) -> StorageType:
    try:
        return StorageType(name.lower()) if name else StorageType.FILE
    except ValueError:
        raise Refusal("storage type can be one of the following file/memory") from None


def _replicas(number: int) -> int:
    """Return how many replicas there will be: an odd number of servers can vote."""
    if number <= 0:
        return 1
    return {2: 3, 4: 5}.get(number, min(number, 5))


def _window(milliseconds: int, kind: RetentionType, value: int) -> int:
    if milliseconds <= 0:
        milliseconds = _DEFAULT_WINDOW
    milliseconds = max(milliseconds, _SHORTEST_WINDOW)
    if milliseconds > _LONGEST_WINDOW:
        raise Refusal("idempotency window can not exceed 24 hours")
    if kind is RetentionType.AGE and value * 1000 < milliseconds:
        raise Refusal("idempotency window cannot be greater than the station retention")
    return milliseconds


def _tags(request: Request) -> tuple[str, ...]:
    tags = tuple(dict.fromkeys(tag.strip().lower() for tag in request.texts("tags")))
    if any(not 1 <= len(tag) <= MAX_TAG_LENGTH for tag in tags):
        raise Refusal(f"a tag has 1 to {MAX_TAG_LENGTH} characters")
    return tags


async def destroy_for_sdk(context: Context, request: Request) -> bytes:
    """Remove a station with all that belongs to it."""
    name = request.text("station_name").lower()
    await _destroy(context, name, request.username, "Station  does not exist")
    return EMPTY


async def _destroy(context: Context, name: str, username: str, unknown: str) -> None:
    if await context.metadata.stations.find(name) is not None and not await context.access.may_write(
        username, name
    ):
        raise Refusal(f"user {username} is not allowed to access station {name}", "forbidden")
    if await lifecycle.remove_station(context, name) is None:
        raise Refusal(unknown, "not_found")
    by = f" by user {username}" if username else ""
    await context.audit(f"Station {name} has been removed{by}", username=username, station=name)


async def create(context: Context, request: Request) -> bytes:
    """Create a station for the window; one that exists is refused."""
    name = checked_name("Station", request.text("name"))
    request.fields.setdefault("partitions_number", 1)
    request.fields.setdefault("dls_configuration", {"poison": True, "schemaverse": True})
    station, made = await _create(context, request, name)
    if not made:
        raise Refusal(f"Station {name} already exists", "exists")
    return management_answer(station)


async def edit(context: Context, request: Request) -> bytes:
    """Change what can be changed of a station: retention, replicas, window, dead letters, tags.

    Keys that are missing stay as they are.
    """
    name = checked_name("Station", request.text("name"))
    before = await context.existing_station(name)
    after = _edited(before, request)
    if after.dls_station and after.dls_station not in (before.dls_station, name):
        await create_default(context, after.dls_station, request.username)
    if streams.stream_config(after, "") != streams.stream_config(before, ""):
        await streams.update_streams(context.jetstream, before, after)

    def decide(present: Station | None) -> Station | None:
        if present is None or present.id != before.id:
            raise Refusal(f"Station {name} does not exist", "not_found")
        return replace(_edited(present, request), updated_at=model.now())

    changed = await context.metadata.stations.change((name,), decide)
    assert changed is not None
    if streams.stream_config(changed, "") != streams.stream_config(after, ""):
        # Somebody else edited it at the same time: the streams get what both wanted.
        await streams.update_streams(context.jetstream, after, changed)
    if changed.dead_letters.schema != before.dead_letters.schema:
        await push_dead_letter_switch(context, changed)
    by = f" by user {request.username}" if request.username else ""
    await context.audit(f"Station {name} has been changed{by}", username=request.username, station=name)
    return management_answer(changed)


def _edited(station: Station, request: Request) -> Station:
    fields = request.fields
    changes: dict[str, object] = {}
    kind, value = station.retention_type, station.retention_value
    if "retention_type" in fields or "retention_value" in fields:
        kind, value = _retention(
            request.text("retention_type", str(kind)), request.number("retention_value", value)
        )
        if kind is not station.retention_type and not {kind, station.retention_type} <= {
            *_EDITABLE_RETENTION
        }:
            raise Refusal("retention by acks can only be chosen when a station is created")
        changes |= {"retention_type": kind, "retention_value": value}
    if "replicas" in fields:
        changes["replicas"] = _replicas(request.number("replicas"))
    if "idempotency_window_in_ms" in fields or "retention_value" in fields:
        window = request.number("idempotency_window_in_ms", station.idempotency_window_ms)
        changes["idempotency_window_ms"] = _window(window, kind, value)
    if "dls_configuration" in fields:
        letters, present = request.part("dls_configuration"), station.dead_letters
        changes["dead_letters"] = DeadLetterConfig(
            bool(letters.get("poison", present.poison)), bool(letters.get("schemaverse", present.schema))
        )
    if "dls_station" in fields:
        dls_station = request.text("dls_station")
        changes["dls_station"] = checked_name("Station", dls_station) if dls_station else ""
    if "tags" in fields:
        changes["tags"] = _tags(request)
    for key, present_value in (
        ("storage_type", str(station.storage_type)),
        ("partitions_number", len(station.partitions)),
    ):
        if key in fields and fields[key] != present_value:
            raise Refusal(f"{key} can not be changed once a station exists")
    return replace(station, **changes)


async def push_dead_letter_switch(context: Context, station: Station) -> None:
    """Tell producers whether they shall report what their schema refused."""
    await context.push(
        CLIENT_UPDATES,
        {
            "station_name": station.internal_name,
            "type": "schemaverse_to_dls",
            "update": station.dead_letters.schema,
        },
    )


async def destroy(context: Context, request: Request) -> bytes:
    """Remove a station for the window, and tell SDKs to forget it."""
    name = checked_name("Station", request.text("name"))
    await _destroy(context, name, request.username, f"Station {name} does not exist")
    await context.push(
        CLIENT_UPDATES, {"station_name": internal_name(name), "type": "remove_station", "update": None}
    )
    return management_answer()


ROUTES = (
    control("station_creations", create_for_sdk),
    control("station_destructions", destroy_for_sdk),
    manage("stations.create", create),
    manage("stations.edit", edit),
    manage("stations.destroy", destroy),
)
