"""Schemas: making, changing, attaching and removing them, for SDKs (3.7, 3.8, 7 of the Memphis protocol) and
the window; and checking a message before it is produced by something that does not check it itself."""

from __future__ import annotations

import orjson

from memphis_desktop.stations import model
from memphis_desktop.stations.control.replies import schema_update
from memphis_desktop.stations.control.routes import (
    EMPTY,
    Context,
    Request,
    control,
    json_error,
    manage,
    management_answer,
)
from memphis_desktop.stations.errors import Refusal
from memphis_desktop.stations.metadata import replace
from memphis_desktop.stations.model import Schema, SchemaReference, SchemaVersion, Station
from memphis_desktop.stations.names import checked_name, schema_updates_subject
from memphis_desktop.stations.schemas.violations import TYPES, Content, ContentError
from memphis_desktop.stations.schemas.worker import WorkerBusy

_ATTACHED, _DETACHED = 1, 2
_NO_ERROR = orjson.dumps({"error": ""})
_MAX_VERSIONS = 200
_MAX_RECORD = 900_000  # bytes: all versions are one record, which has to fit into a message


# Making -----------------------------------------------------------------------------------------------------
async def create_for_sdk(context: Context, request: Request) -> bytes:
    """Create a schema, or a new version of it that is not active yet."""
    await _create(context, request, request.text("created_by_username").partition("$")[0].lower())
    return _NO_ERROR


async def create(context: Context, request: Request) -> bytes:
    """Create a schema for the window; one that exists is refused."""
    name = checked_name("Schema", request.text("name"))
    if await context.metadata.schemas.find(name) is not None:
        raise Refusal(f"Schema {name} already exists", "exists")
    return management_answer(await _create(context, request, request.username))


async def create_version(context: Context, request: Request) -> bytes:
    """Add a version to a schema; on request it becomes the active one."""
    schema = await _existing(context, request.text("name"))
    request.fields.setdefault("type", schema.type)
    changed = await _create(context, request, request.username)
    if request.flag("activate"):
        changed = await _activate(context, schema.name, changed.versions[-1].number, request.username)
    return management_answer(changed)


async def _create(context: Context, request: Request, username: str) -> Schema:
    name = checked_name("Schema", request.text("name"))
    kind = request.text("type").lower()
    if kind not in TYPES:
        raise Refusal("unsupported schema type")
    content, message = request.text("schema_content"), request.text("message_struct_name")
    present = await context.metadata.schemas.find(name)
    _refuse_repetition(present, name, kind, content)
    number = len(present.versions) + 1 if present is not None else 1
    checked = await _checked(context, kind, content, f"{name}_{number}.proto", message)
    tags = tuple(tag.lower() for tag in request.texts("tags")) or ("default",)

    def decide(before: Schema | None) -> Schema:
        _refuse_repetition(before, name, kind, content)
        if before is None:
            version = _version(1, content, checked, username)
            return Schema(name, kind, (version,), 1, tags, username)
        version = _version(before.versions[-1].number + 1, content, checked, username)
        return replace(before, versions=(*before.versions, version))

    def within_bounds(before: Schema | None) -> Schema:
        after = decide(before)
        if len(after.versions) > _MAX_VERSIONS or len(model.to_json(after)) > _MAX_RECORD:
            raise Refusal(f"Schema {name} is full: it has {len(after.versions) - 1} versions", "failed")
        return after

    schema = await context.metadata.schemas.change((name,), within_bounds)
    assert schema is not None
    last = schema.versions[-1].number
    what = "has been created" if last == 1 else f"has a new version {last}, made"
    await context.audit(f"Schema {name} {what} by user {username}", username=username)
    return schema


def _refuse_repetition(present: Schema | None, name: str, kind: str, content: str) -> None:
    if present is None:
        return
    if present.type != kind:
        raise Refusal(f"{name} already exist with type - {present.type}", "exists")
    if present.versions and present.versions[-1].content == content:
        raise Refusal(f"{name} already exists in the db with the same schema content", "exists")


def _version(number: int, content: str, checked: Content, username: str) -> SchemaVersion:
    return SchemaVersion(number, content, checked.message_struct_name, checked.descriptor, username)


async def _checked(
    context: Context, kind: str, content: str, file_name: str = "", message: str = ""
) -> Content:
    try:
        return await context.schemas.check(kind, content, file_name, message)
    except ContentError as error:
        raise Refusal(str(error)) from None
    except WorkerBusy as error:
        raise Refusal(str(error), "failed") from None


# Versions ---------------------------------------------------------------------------------------------------
async def activate(context: Context, request: Request) -> bytes:
    """Make a version the one that new producers are given; stations are told when it is attached again."""
    schema = await _existing(context, request.text("name"))
    number = request.number("version_number")
    return management_answer(await _activate(context, schema.name, number, request.username))


async def _activate(context: Context, name: str, number: int, username: str) -> Schema:
    def decide(before: Schema | None) -> Schema:
        if before is None:
            raise Refusal(f"Schema {name} does not exist", "not_found")
        if before.version(number) is None:
            raise Refusal(f"Schema {name} has no version {number}", "not_found")
        return before if before.active_version == number else replace(before, active_version=number)

    schema = await context.metadata.schemas.change((name,), decide)
    assert schema is not None
    await context.audit(f"Version {number} of schema {name} is active now", username=username)
    return schema


async def _existing(context: Context, name: str) -> Schema:
    schema = await context.metadata.schemas.find(name.lower()) if name else None
    if schema is None:
        raise Refusal(f"Schema {name} does not exist", "not_found")
    return schema


# Stations ---------------------------------------------------------------------------------------------------
async def attach_for_sdk(context: Context, request: Request) -> bytes:
    """Enforce a schema on a station."""
    station = request.text("station_name").lower()
    if await context.metadata.station(station) is None:
        raise Refusal(f"memphis: Station {station} does not exist", "not_found")
    schema = await _existing(context, request.text("name"))
    await _attach(context, schema, station, request.username)
    return EMPTY


async def attach(context: Context, request: Request) -> bytes:
    """Enforce a schema on stations, for the window; also brings them to its active version."""
    schema = await _existing(context, request.text("name"))
    stations = [name.lower() for name in request.texts("station_names")]
    for name in stations:
        await context.existing_station(name)
    return management_answer([await _attach(context, schema, name, request.username) for name in stations])


async def _attach(context: Context, schema: Schema, station: str, username: str) -> Station:
    await _check_write(context, username, station)
    reference = SchemaReference(schema.name, schema.active_version)
    changed = await _set_schema(context, station, reference)
    if await context.metadata.schemas.find(schema.name) is None:  # removed meanwhile
        await _set_schema(context, station, None, instead_of=reference)
        raise Refusal(f"Schema {schema.name} does not exist", "not_found")
    await context.push(schema_updates_subject(station), _update(_ATTACHED, schema))
    text = f"Schema {schema.name} has been attached to station {station} by user {username}"
    await context.audit(text, username=username, station=station)
    return changed


async def detach_for_sdk(context: Context, request: Request) -> bytes:
    """Take the schema off a station."""
    station = request.text("station_name").lower()
    if await context.metadata.station(station) is None:
        raise Refusal(f"station {station} does not exist", "not_found")
    await _detach(context, station, request.username)
    return EMPTY


async def detach(context: Context, request: Request) -> bytes:
    """Take the schema off a station, for the window."""
    station = (await context.existing_station(request.text("station_name").lower())).name
    return management_answer(await _detach(context, station, request.username))


async def _detach(
    context: Context, station: str, username: str, *, instead_of: SchemaReference | None = None
) -> Station:
    await _check_write(context, username, station)
    changed = await _set_schema(context, station, None, instead_of=instead_of)
    if changed.schema is not None:
        return changed  # it has another one by now
    await context.push(schema_updates_subject(station), _update(_DETACHED, None))
    text = f"Schema has been detached from station {station} by user {username}"
    await context.audit(text, username=username, station=station)
    return changed


def _update(kind: int, schema: Schema | None) -> dict[str, object]:
    return {"UpdateType": kind, "init": schema_update(schema)}


async def _check_write(context: Context, username: str, station: str) -> None:
    if not await context.access.may_write(username, station):
        raise Refusal(f"user {username} is not allowed to access station {station}", "forbidden")


async def _set_schema(
    context: Context,
    station: str,
    reference: SchemaReference | None,
    *,
    instead_of: SchemaReference | None = None,
) -> Station:
    """Set the schema of a station, or take it off; with `instead_of` only if it still has that one."""

    def decide(before: Station | None) -> Station:
        if before is None or before.state is not model.StationState.READY:
            raise Refusal(f"Station {station} does not exist", "not_found")
        if before.schema == reference or (instead_of is not None and before.schema != instead_of):
            return before
        return replace(before, schema=reference, updated_at=model.now())

    changed = await context.metadata.stations.change((station,), decide)
    assert changed is not None
    return changed


async def remove(context: Context, request: Request) -> bytes:
    """Remove a schema; stations that enforce it do so no more."""
    schema = await _existing(context, request.text("name"))
    await _detach_everywhere(context, schema, request.username)
    await context.metadata.schemas.delete(schema)
    await _detach_everywhere(context, schema, request.username)  # where it was attached meanwhile
    await context.audit(
        f"Schema {schema.name} has been removed by user {request.username}", username=request.username
    )
    return management_answer()


async def _detach_everywhere(context: Context, schema: Schema, username: str) -> None:
    for station in await context.metadata.stations.all():
        if station.schema is not None and station.schema.name == schema.name:
            try:
                await _detach(context, station.name, username, instead_of=station.schema)
            except Refusal as refusal:
                if refusal.code != "not_found":  # the station is going, too
                    raise


ROUTES = (
    control("schema_creations", create_for_sdk, json_error),
    control("schema_attachments", attach_for_sdk),
    control("schema_detachments", detach_for_sdk),
    manage("schemas.create", create),
    manage("schemas.create_version", create_version),
    manage("schemas.activate", activate),
    manage("schemas.attach", attach),
    manage("schemas.detach", detach),
    manage("schemas.remove", remove),
)
