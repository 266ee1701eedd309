"""The fields of a Memphis station, and what a filled form asks of the service."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from memphis_desktop.language import tr
from memphis_desktop.stations.model import RetentionType, Schema, Station
from memphis_desktop.ui.memphis.changes import MemphisChange
from memphis_desktop.ui.screens.field_values import Field, FieldError
from memphis_desktop.ui.screens.station_form import ConfigurationDialog, difference

_MS = 1_000_000
_S = 1_000_000_000

RETENTIONS = (
    ("message_age_sec", tr("By age")),
    ("messages", tr("By number of messages")),
    ("bytes", tr("By size")),
    ("ack_based", tr("Until every group acknowledged")),
)
_LIMITS = {"retention_age": "message_age_sec", "retention_messages": "messages", "retention_bytes": "bytes"}
_STORAGES = (("file", tr("File")), ("memory", tr("Memory: lost when the server stops")))
_UNITS = {RetentionType.AGE: "retention_age", RetentionType.MESSAGES: "retention_messages"}

NEW_STATION: dict[str, Any] = {
    "name": "",
    "retention_type": "message_age_sec",
    "retention_age": 3600 * _S,
    "retention_messages": 10_000,
    "retention_bytes": 1024**3,
    "storage_type": "file",
    "replicas": 1,
    "partitions_number": 1,
    "idempotency_window": 120_000 * _MS,
    "schema_name": "",
    "dls_configuration": {"poison": True, "schemaverse": True},
    "dls_station": "",
    "tags": [],
}


def station_fields(schemas: Sequence[Schema]) -> tuple[Field, ...]:
    """Return every field, the schemas of the connection among the choices."""
    names = (("", tr("None")), *((schema.name, f"{schema.name} ({schema.type})") for schema in schemas))
    return (
        Field(
            "name", tr("Name"), "text", tr("Station"), tr("Letters, digits, dots, dashes, underscores."),
            fixed=True,
        ),
        Field("tags", tr("Tags"), "subjects", tr("Station"), tr("One a line, up to 20 characters each.")),
        Field(
            "partitions_number",
            tr("Partitions"),
            "count",
            tr("Station"),
            tr("1 to 10 000; each is a stream of its own, ordered by itself."),
            fixed=True,
        ),
        Field("retention_type", tr("Keep messages"), "choice", tr("Retention"), choices=RETENTIONS),
        Field("retention_age", tr("For"), "duration", tr("Retention"), tr("Such as 1h or 7d."), danger=True),
        Field(
            "retention_messages", tr("At most"), "count", tr("Retention"), tr("Messages in each partition."),
            danger=True,
        ),
        Field("retention_bytes", tr("Up to"), "size", tr("Retention"), tr("In each partition."), danger=True),
        Field("storage_type", tr("Storage"), "choice", tr("Storage"), choices=_STORAGES, fixed=True),
        Field(
            "replicas", tr("Replicas"), "count", tr("Storage"), tr("1, 3 or 5; more than 1 needs a cluster.")
        ),
        Field(
            "idempotency_window",
            tr("Idempotency window"),
            "duration",
            tr("Producing"),
            tr("How long message ids are remembered; 100ms to 24h, not longer than messages are kept."),
        ),
        Field(
            "schema_name", tr("Schema"), "choice", tr("Producing"), tr("What messages look like."), names,
            fixed=True,
        ),
        Field(
            "dls_configuration.poison",
            tr("Keep unacknowledged"),
            "switch",
            tr("Dead letters"),
            tr("Messages past the delivery limit, or terminated."),
        ),
        Field(
            "dls_configuration.schemaverse",
            tr("Keep what its schema refused"),
            "switch",
            tr("Dead letters"),
            tr("As told by producers."),
        ),
        Field(
            "dls_station", tr("Copy to station"), "text", tr("Dead letters"),
            tr("Gets each; made if missing."),
        ),
    )  # fmt: skip


def station_values(station: Station) -> dict[str, Any]:
    """Return a station as its form shows it."""
    values = {
        **NEW_STATION,
        "name": station.name,
        "retention_type": str(station.retention_type),
        "storage_type": str(station.storage_type),
        "replicas": station.replicas,
        "partitions_number": len(station.partitions),
        "idempotency_window": station.idempotency_window_ms * _MS,
        "schema_name": station.schema.name if station.schema is not None else "",
        "dls_configuration": {
            "poison": station.dead_letters.poison,
            "schemaverse": station.dead_letters.schema,
        },
        "dls_station": station.dls_station,
        "tags": list(station.tags),
    }
    if station.retention_type is RetentionType.AGE:
        values["retention_age"] = station.retention_value * _S
    elif station.retention_type is RetentionType.MESSAGES:
        values["retention_messages"] = station.retention_value
    elif station.retention_type is RetentionType.BYTES:
        values["retention_bytes"] = station.retention_value
    return values


def _body(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request that a filled form is, in the protocol's own words."""
    name = str(values.get("name") or "").strip()
    if not name:
        raise FieldError(tr("Name: a station needs a name."))
    kind = str(values["retention_type"])
    value = {
        "message_age_sec": int(values.get("retention_age") or 0) // _S,
        "messages": int(values.get("retention_messages") or 0),
        "bytes": int(values.get("retention_bytes") or 0),
        "ack_based": 0,
    }[kind]
    if kind != "ack_based" and value <= 0:
        raise FieldError(tr("Retention: how much is kept has to be more than nothing."))
    window = int(values.get("idempotency_window") or 0) // _MS
    if window < 100:
        raise FieldError(tr("Idempotency window: 100ms at least."))
    return {
        "name": name,
        "retention_type": kind,
        "retention_value": value,
        "storage_type": values["storage_type"],
        "replicas": int(values.get("replicas") or 1),
        "partitions_number": int(values.get("partitions_number") or 1),
        "idempotency_window_in_ms": window,
        "schema_name": values.get("schema_name") or "",
        "dls_configuration": dict(values.get("dls_configuration") or {}),
        "dls_station": str(values.get("dls_station") or "").strip(),
        "tags": list(values.get("tags") or []),
    }


def create_change(values: Mapping[str, Any]) -> MemphisChange:
    """Return the creation; raises `FieldError`."""
    body = _body(values)
    return MemphisChange(
        tr("Create station {name}", name=body["name"]), "stations.create", body, body["name"]
    )


def edit_change(values: Mapping[str, Any], before: Station) -> MemphisChange:
    """Return the change of a station: only what is different; raises `FieldError`."""
    body, present = _body(values), _body(station_values(before))
    changed = {key: value for key, value in body.items() if key == "name" or value != present[key]}
    changed.pop("schema_name", None)  # schemas are attached and detached by themselves
    if "retention_type" in changed:
        changed["retention_value"] = body["retention_value"]
    return MemphisChange(
        tr("Change station {name}", name=before.name),
        "stations.edit",
        changed,
        before.name,
        before=dict(present),
    )


class StationDialog(ConfigurationDialog):
    """The form of a station; beside it the request as the service gets it."""

    def _refresh(self) -> None:
        kind = self.form.config().get("retention_type")
        for key, matters in _LIMITS.items():
            self.form.show_field(key, kind == matters)
        super()._refresh()
        try:
            change = self._make_action(self.form.config())
        except (FieldError, KeyError, ValueError) as error:
            self.json_view.set_text(str(error) if isinstance(error, FieldError) else "")
            return
        body = dict(change.body or {})
        self.json_view.set_text(json.dumps(body, indent=2, ensure_ascii=False))
        if change.before is not None:
            after = {**change.before, **body}
            self.difference_view.set_text(difference(change.before, after) or tr("Nothing is changed."))


def loss(before: Station, values: Mapping[str, Any]) -> str:
    """Return what a changed retention would remove, in a sentence; empty when nothing."""
    try:
        body, present = _body(values), _body(station_values(before))
    except FieldError:
        return ""
    if body["retention_type"] != present["retention_type"] and body["retention_type"] != "ack_based":
        return tr("Messages beyond the new limit are removed at once.")
    same = body["retention_type"] == present["retention_type"]
    if same and 0 < body["retention_value"] < present["retention_value"]:
        return tr("The limit gets smaller: messages beyond it are removed at once.")
    return ""
