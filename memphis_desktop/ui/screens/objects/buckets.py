"""Buckets as rows of a list and as fields of a form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memphis_desktop.cluster.actions.action import SERVERS_OWN
from memphis_desktop.cluster.model import StreamSnapshot
from memphis_desktop.cluster.times import parse_time
from memphis_desktop.inspect.objects import names
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.data_table import Column
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.field_values import Field
from memphis_desktop.ui.screens.station_facts import storage_word
from memphis_desktop.ui.screens.station_fields import DESCRIPTION, PLACEMENT, REPLICAS, STORAGE
from memphis_desktop.ui.screens.station_parts import limit_share

NEW_BUCKET: dict[str, Any] = {
    "name": "",
    "max_age": 0,
    "max_bytes": -1,
    "storage": "file",
    "compression": "none",
    "num_replicas": 1,
    "discard": "new",
    "allow_rollup_hdrs": True,
    "allow_direct": True,
    "max_msgs": -1,
    "max_consumers": -1,
    "max_msg_size": -1,
}

BUCKET_FIELDS: tuple[Field, ...] = (
    Field(
        "name",
        tr("Name"),
        "text",
        tr("Identity"),
        tr("Letters, digits, dashes and underscores."),
        fixed=True,
    ),
    DESCRIPTION,
    Field("metadata", tr("Metadata"), "pairs", tr("Identity"), tr("One “key: value” on each line.")),
    Field(
        "max_age",
        tr("Keep for"),
        "duration",
        tr("Limits"),
        tr("7d, 12h, 30min; empty keeps for ever."),
        danger=True,
    ),
    Field(
        "max_bytes",
        tr("Size limit"),
        "size",
        tr("Limits"),
        tr("Of the whole bucket; when it is full, nothing is stored any more."),
        unlimited=-1,
    ),
    STORAGE,
    Field(
        "compression",
        tr("Compression"),
        "choice",
        tr("Storage"),
        choices=(("none", tr("None")), ("s2", "S2")),
    ),
    REPLICAS,
    PLACEMENT,
)


@dataclass(frozen=True, slots=True)
class BucketRow:
    """A line of the list.

    Attributes:
        bucket: Its name.
        stream: What holds it.
        records: Names in it, deleted ones too; None when they were not counted yet.
    """

    bucket: str
    stream: StreamSnapshot
    records: int | None = None

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration of its stream."""
        return self.stream.config

    @property
    def sealed(self) -> bool:
        """Whether nothing can be changed in it any more."""
        return self.config.get("sealed") is True

    @property
    def with_content(self) -> int | None:
        """Objects with bytes in them: each has its own subject for its chunks."""
        if self.records is None:
            return None
        return max(0, self.stream.subject_count - self.records)


def bucket_route(bucket: str, folder: str = "", name: str = "") -> Route:
    """The place of a bucket, of a folder in it, or of an object."""
    parameters = {"bucket": bucket}
    if folder:
        parameters["folder"] = folder
    if name:
        parameters["object"] = name
    return Route("object_bucket", parameters)


def metadata_text(row: BucketRow) -> str:
    """The user's keys and values in one line."""
    pairs = (row.config.get("metadata") or {}).items()
    return ", ".join(f"{key}: {value}" for key, value in pairs if not key.startswith(SERVERS_OWN))


def age_text(config: Mapping[str, Any]) -> str:
    """How long objects are kept."""
    age = int(config.get("max_age") or 0)
    return figures.duration(age / 1e9) if age else tr("for ever")


def _limit(row: BucketRow) -> Any:
    limit = int(row.config.get("max_bytes") or -1)
    if limit <= 0:
        return None
    share = limit_share(row.stream.bytes, limit)
    return (share, tr("{share} of {limit}", share=figures.percent(share), limit=figures.bytes_size(limit)))


def bucket_columns() -> list[Column]:
    """The columns of the list."""
    return [
        Column(
            "name",
            tr("Name"),
            lambda r: r.bucket,
            "mono",
            170,
            stretch=True,
            token=lambda r: "muted" if r.sealed else None,
        ),
        Column(
            "objects",
            tr("Objects"),
            lambda r: r.with_content,
            "number",
            84,
            tr("Objects with content. Links and empty ones are not among them."),
        ),
        Column("bytes", tr("Size"), lambda r: r.stream.bytes, "bytes", 88, tr("With the records of objects")),
        Column(
            "limit",
            tr("Of its limit"),
            _limit,
            "bar",
            120,
            tr("How much of the bucket's size limit is used"),
            sort_value=lambda r: limit_share(r.stream.bytes, r.config.get("max_bytes")) or 0.0,
        ),
        Column(
            "ttl",
            tr("Keeps"),
            lambda r: age_text(r.config),
            "text",
            80,
            sort_value=lambda r: int(r.config.get("max_age") or 0) or float("inf"),
        ),
        Column("replicas", tr("Replicas"), lambda r: int(r.config.get("num_replicas") or 1), "number", 76),
        Column("storage", tr("Storage"), lambda r: storage_word(r.config), "text", 76),
        Column(
            "compression",
            tr("Compression"),
            lambda r: "S2" if r.config.get("compression") == "s2" else tr("none"),
            "text",
            98,
            visible=False,
        ),
        Column(
            "state",
            tr("State"),
            lambda r: (tr("sealed"), "warning") if r.sealed else "",
            "badge",
            80,
            tr("A sealed bucket is never changed again"),
        ),
        Column(
            "written",
            tr("Last write"),
            lambda r: r.stream.last_time_ns if r.stream.last_sequence else None,
            "time",
            104,
        ),
        Column("created", tr("Created"), lambda r: parse_time(r.stream.created), "time", 104),
        Column(
            "records",
            tr("Names"),
            lambda r: r.records,
            "number",
            80,
            tr("Records in the bucket, of deleted objects too"),
            False,
        ),
        Column("leader", tr("Leader"), lambda r: r.stream.leader or "", "text", 90, visible=False),
        Column("metadata", tr("Metadata"), metadata_text, "text", 140, visible=False),
        Column(
            "description",
            tr("Description"),
            lambda r: r.config.get("description") or "",
            "text",
            160,
            stretch=True,
        ),
    ]


def stream_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """What was entered in the form as the configuration of the bucket's stream."""
    bucket = str(config.get("name") or "").strip()
    made = {key: value for key, value in config.items() if value not in ("", [], {})}
    made["name"] = names.stream_name(bucket)
    made["subjects"] = names.subjects(bucket)
    return made
