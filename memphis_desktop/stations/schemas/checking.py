"""Checks messages against the schema of their station, for whatever produces without doing so by itself."""

from __future__ import annotations

from collections.abc import Sequence

from memphis_desktop.stations.errors import StationsError
from memphis_desktop.stations.metadata import Metadata
from memphis_desktop.stations.model import Station
from memphis_desktop.stations.schemas.violations import ContentError
from memphis_desktop.stations.schemas.worker import SchemaWorker, WorkerBusy


async def violations(
    metadata: Metadata, worker: SchemaWorker, station: Station, payloads: Sequence[bytes]
) -> list[str | None]:
    """Return for each message what is wrong with it by the active version of the station's schema.

    None stands for nothing: it fits, or the station has no schema.

    Raises:
        StationsError: Too many messages wait to be checked, the schema cannot be used, or JetStream is away.
    """
    reference = station.schema
    schema = await metadata.schemas.find(reference.name) if reference is not None else None
    active = schema.active if schema is not None else None
    if schema is None or active is None:
        return [None] * len(payloads)
    try:
        return await worker.validate(schema.type, active.content, active.message_struct_name, payloads)
    except ContentError as error:
        raise StationsError(f"Schema {schema.name} can not be used: {error}") from None
    except WorkerBusy as error:
        raise StationsError(str(error)) from None
