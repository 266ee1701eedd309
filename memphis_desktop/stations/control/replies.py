"""Parts of answers that several requests have in common."""

from __future__ import annotations

from typing import Any

from memphis_desktop.stations.control.routes import Context
from memphis_desktop.stations.model import Schema, Station

NO_SCHEMA: dict[str, Any] = {
    "schema_name": "",
    "active_version": {
        "version_number": 0,
        "descriptor": "",
        "schema_content": "",
        "message_struct_name": "",
    },
    "type": "",
}


def schema_update(schema: Schema | None) -> dict[str, Any]:
    """Return what SDKs are told of a schema (7.3 of the Memphis protocol): always its active version."""
    active = schema.active if schema is not None else None
    if schema is None or active is None:
        return NO_SCHEMA
    return {
        "schema_name": schema.name,
        "active_version": {
            "version_number": active.number,
            "descriptor": active.descriptor,
            "schema_content": active.content,
            "message_struct_name": active.message_struct_name,
        },
        "type": schema.type,
    }


async def schema_of(context: Context, station: Station) -> dict[str, Any]:
    """Return what SDKs are told of a station's schema."""
    if station.schema is None:
        return NO_SCHEMA
    return schema_update(await context.metadata.schemas.find(station.schema.name))
