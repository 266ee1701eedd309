"""The fields of a bucket's configuration, and where a bucket is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memphis_desktop.cluster.actions import Action
from memphis_desktop.cluster.key_value.buckets import create_bucket, update_bucket
from memphis_desktop.inspect.key_value.names import MAX_HISTORY, bucket_problem
from memphis_desktop.language import tr
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.field_values import Field, FieldError
from memphis_desktop.ui.screens.station_fields import DESCRIPTION, PLACEMENT, REPLICAS, STORAGE

BUCKET_FIELDS: tuple[Field, ...] = (
    Field("bucket", tr("Name"), "text", tr("Identity"), tr("Letters a–z, digits, - and _ only."), fixed=True),
    DESCRIPTION,
    Field("metadata", tr("Metadata"), "pairs", tr("Identity"), tr("One “key: value” on each line.")),
    Field(
        "history",
        tr("History"),
        "count",
        tr("Values"),
        tr("Values kept of each key, 1 to 64."),
        danger=True,
    ),
    Field(
        "ttl",
        tr("Time to live"),
        "duration",
        tr("Values"),
        tr("How long every value is kept: 7d, 12h; empty keeps for ever."),
        danger=True,
    ),
    Field(
        "limit_marker_ttl",
        tr("Markers of what ran out"),
        "duration",
        tr("Values"),
        tr("How long a marker tells that a value ran out; also lets keys have a time to live of their own."),
        level=1,
    ),
    Field("max_value_size", tr("Largest value"), "size", tr("Values"), unlimited=-1),
    Field(
        "max_bytes",
        tr("Size limit"),
        "size",
        tr("Values"),
        tr("A full bucket refuses new values."),
        unlimited=-1,
    ),
    STORAGE,
    Field("compression", tr("Compression"), "switch", tr("Storage")),
    REPLICAS,
    PLACEMENT,
    Field(
        "republish",
        tr("Republish"),
        "json",
        tr("Copies"),
        tr('Publishes again after storing: {"src": ">", "dest": "copy.>", "headers_only": false}.'),
    ),
    Field(
        "mirror",
        tr("Mirror of"),
        "json",
        tr("Copies"),
        tr('A copy of another bucket: {"name": "ORIGIN"}. Its keys are written there.'),
        fixed=True,
    ),
    Field(
        "sources",
        tr("Sources"),
        "json",
        tr("Copies"),
        tr('Buckets copied into this one: [{"name": "A"}].'),
    ),
)

NEW_BUCKET: dict[str, Any] = {
    "bucket": "",
    "history": 1,
    "ttl": 0,
    "max_bytes": -1,
    "max_value_size": -1,
    "storage": "file",
    "compression": False,
    "num_replicas": 1,
}


def bucket_route(bucket: str, tab: str = "", key: str = "") -> Route:
    """The place of a bucket, of one of its parts, or of a key."""
    parameters = {"bucket": bucket}
    if tab:
        parameters["tab"] = tab
    if key:
        parameters["key"] = key
    return Route("bucket", parameters)


def new_bucket(config: Mapping[str, Any]) -> Action:
    """The action that makes a bucket as entered. Raises `FieldError`."""
    _check(config)
    return create_bucket(config)


def changed_bucket(config: Mapping[str, Any], before: Mapping[str, Any]) -> Action:
    """The action that changes the bucket of a stream with the configuration `before`. Raises `FieldError`."""
    _check(config)
    return update_bucket(config, before)


def _check(config: Mapping[str, Any]) -> None:
    problem = bucket_problem(str(config.get("bucket") or ""))
    if problem:
        raise FieldError(problem)
    if not 1 <= int(config.get("history") or 1) <= MAX_HISTORY:
        raise FieldError(tr("A bucket keeps 1 to {most} values of each key.", most=MAX_HISTORY))
    for key in ("mirror", "republish"):
        if config.get(key) and not isinstance(config[key], dict):
            raise FieldError(tr("{key} is an object in braces.", key=key))
    mirror, sources = config.get("mirror"), config.get("sources") or []
    named = [mirror] if mirror else []
    if not isinstance(sources, list):
        raise FieldError(tr("The sources are a list of objects."))
    for one in [*named, *sources]:
        if not isinstance(one, dict) or not one.get("name"):
            raise FieldError(tr('Name the bucket that is copied: {"name": "ORIGIN"}.'))
