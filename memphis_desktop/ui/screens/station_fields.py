"""The fields of a stream's configuration: what each is called, means, and may hold.

One table drives the forms, their help, and what may be changed after creation.
"""

from __future__ import annotations

from typing import Any

from memphis_desktop.language import tr
from memphis_desktop.ui.screens.field_values import Field

_RETENTIONS = (
    ("limits", tr("Limits: keep until a limit is reached")),
    ("interest", tr("Interest: keep until all groups have acknowledged")),
    ("workqueue", tr("Work queue: keep until one group has acknowledged")),
)

# What streams, and the buckets made of them, have alike.
DESCRIPTION = Field("description", tr("Description"), "text", tr("Identity"))
STORAGE = Field(
    "storage",
    tr("Storage"),
    "choice",
    tr("Storage"),
    choices=(("file", tr("File")), ("memory", tr("Memory: lost when the server stops"))),
    fixed=True,
)
REPLICAS = Field(
    "num_replicas", tr("Replicas"), "count", tr("Storage"), tr("1, 3 or 5; more than 1 needs a cluster.")
)
PLACEMENT = Field(
    "placement", tr("Placement"), "json", tr("Storage"), tr('{"cluster": "C1", "tags": ["ssd"]}.')
)

STREAM_FIELDS: tuple[Field, ...] = (
    Field(
        "name", tr("Name"), "text", tr("Identity"), tr("No spaces, dots, wildcards or slashes."), fixed=True
    ),
    DESCRIPTION,
    Field(
        "metadata",
        tr("Metadata"),
        "pairs",
        tr("Identity"),
        tr("One “key: value” on each line."),
        since="2.10",
    ),
    Field(
        "subjects",
        tr("Subjects"),
        "subjects",
        tr("Subjects"),
        tr("One on each line; * and > as wildcards."),
        danger=False,
    ),
    Field(
        "subject_transform",
        tr("Transform"),
        "json",
        tr("Subjects"),
        tr('Rewrites subjects before storing: {"src": "in.*", "dest": "kept.{{wildcard(1)}}"}.'),
        since="2.10",
    ),
    Field(
        "republish",
        tr("Republish"),
        "json",
        tr("Subjects"),
        tr('Publishes again after storing: {"src": ">", "dest": "copy.>", "headers_only": false}.'),
        since="2.9",
    ),
    Field(
        "mirror",
        tr("Mirror of"),
        "json",
        tr("Subjects"),
        tr('A copy of another stream: {"name": "ORIGIN"}, with the same keys as one of the sources.'),
        fixed=True,
    ),
    Field(
        "sources",
        tr("Sources"),
        "json",
        tr("Subjects"),
        tr(
            'Streams copied into this one: [{"name": "A"}]. Each may have "filter_subject", "opt_start_seq" '
            'or "opt_start_time", "subject_transforms": [{"src": "a.>", "dest": "b.>"}], and from another '
            'domain or account "external": {"api": "$JS.DOMAIN.API", "deliver": ""}.'
        ),
    ),
    Field("retention", tr("Retention"), "choice", tr("Retention"), choices=_RETENTIONS),
    Field(
        "max_age",
        tr("Keep for"),
        "duration",
        tr("Retention"),
        tr("7d, 12h, 30min; empty keeps for ever."),
        danger=True,
    ),
    Field(
        "max_bytes",
        tr("Size limit"),
        "size",
        tr("Retention"),
        tr("10 GiB, 512 MiB."),
        unlimited=-1,
        danger=True,
    ),
    Field("max_msgs", tr("Message limit"), "count", tr("Retention"), unlimited=-1, danger=True),
    Field(
        "max_msgs_per_subject",
        tr("Messages per subject"),
        "count",
        tr("Retention"),
        unlimited=-1,
        danger=True,
    ),
    Field("max_msg_size", tr("Largest message"), "size", tr("Retention"), unlimited=-1),
    Field("max_consumers", tr("Consumer limit"), "count", tr("Retention"), unlimited=-1, fixed=True),
    Field(
        "discard",
        tr("When full"),
        "choice",
        tr("Retention"),
        choices=(("old", tr("Remove the oldest messages")), ("new", tr("Refuse new messages"))),
    ),
    Field(
        "discard_new_per_subject",
        tr("Refuse per subject"),
        "switch",
        tr("Retention"),
        tr("With a limit per subject, refuse new messages of a full subject."),
        since="2.9",
    ),
    Field(
        "first_seq",
        tr("First sequence"),
        "count",
        tr("Retention"),
        tr("Number of the first message."),
        fixed=True,
        since="2.10",
    ),
    STORAGE,
    Field(
        "compression",
        tr("Compression"),
        "choice",
        tr("Storage"),
        choices=(("none", tr("None")), ("s2", "S2")),
        since="2.10",
    ),
    REPLICAS,
    PLACEMENT,
    Field(
        "persist_mode",
        tr("Write mode"),
        "choice",
        tr("Storage"),
        choices=(("", tr("Default")), ("async", tr("Asynchronous: faster, may lose the last messages"))),
        fixed=True,
        level=2,
    ),
    Field(
        "duplicate_window",
        tr("Duplicate window"),
        "duration",
        tr("Writing"),
        tr("How long message ids are remembered."),
    ),
    Field("no_ack", tr("No acknowledgements"), "switch", tr("Writing"), tr("Publishers get no answer.")),
    Field(
        "allow_direct",
        tr("Direct get"),
        "switch",
        tr("Writing"),
        tr("Any replica may answer reads of single messages."),
        since="2.9",
    ),
    Field("mirror_direct", tr("Direct get from mirrors"), "switch", tr("Writing"), since="2.9"),
    Field(
        "allow_rollup_hdrs",
        tr("Roll-ups"),
        "switch",
        tr("Writing"),
        tr("A message may replace all before it."),
    ),
    Field("deny_delete", tr("Deny deleting"), "switch", tr("Writing"), tr("Cannot be taken back.")),
    Field("deny_purge", tr("Deny purging"), "switch", tr("Writing"), tr("Cannot be taken back.")),
    Field(
        "allow_msg_ttl",
        tr("Time to live per message"),
        "switch",
        tr("Writing"),
        tr("Cannot be taken back."),
        level=1,
    ),
    Field("subject_delete_marker_ttl", tr("Delete markers live for"), "duration", tr("Writing"), level=1),
    Field("allow_msg_counter", tr("Counters"), "switch", tr("Writing"), fixed=True, level=2),
    Field("allow_atomic", tr("Atomic batches"), "switch", tr("Writing"), level=2),
    Field("allow_batched", tr("Fast batches"), "switch", tr("Writing"), level=4),
    Field(
        "allow_msg_schedules",
        tr("Scheduled messages"),
        "switch",
        tr("Writing"),
        tr("Cannot be taken back."),
        level=2,
    ),
    Field(
        "sealed",
        tr("Sealed"),
        "switch",
        tr("Writing"),
        tr("Sealing is an action of its own and cannot be taken back."),
        shown_only=True,
    ),
    Field(
        "consumer_limits.inactive_threshold",
        tr("Consumers idle at most"),
        "duration",
        tr("Groups"),
        since="2.10",
    ),
    Field(
        "consumer_limits.max_ack_pending", tr("Unacknowledged at most"), "count", tr("Groups"), since="2.10"
    ),
)

NEW_STREAM: dict[str, Any] = {
    "name": "",
    "subjects": [],
    "retention": "limits",
    "max_age": 0,
    "max_bytes": -1,
    "max_msgs": -1,
    "max_msgs_per_subject": -1,
    "max_msg_size": -1,
    "max_consumers": -1,
    "discard": "old",
    "storage": "file",
    "compression": "none",
    "num_replicas": 1,
    "duplicate_window": 120_000_000_000,
    "allow_direct": True,
}
