"""The fields of a consumer's configuration, as `station_fields` has those of a stream."""

from __future__ import annotations

from typing import Any

from memphis_desktop.language import tr
from memphis_desktop.ui.screens.field_values import Field
from memphis_desktop.ui.screens.station_fields import DESCRIPTION

CONSUMER_FIELDS: tuple[Field, ...] = (
    Field(
        "durable_name",
        tr("Name"),
        "text",
        tr("Identity"),
        tr("No spaces, dots, wildcards or slashes."),
        fixed=True,
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
        "deliver_policy",
        tr("Start with"),
        "choice",
        tr("Position"),
        choices=(
            ("all", tr("The first message")),
            ("new", tr("Messages from now on")),
            ("last", tr("The last message")),
            ("last_per_subject", tr("The last message of each subject")),
            ("by_start_sequence", tr("A sequence")),
            ("by_start_time", tr("A time")),
        ),
        fixed=True,
    ),
    Field("opt_start_seq", tr("Start sequence"), "count", tr("Position"), fixed=True),
    Field("opt_start_time", tr("Start time"), "text", tr("Position"), tr("2026-11-23T10:00:00Z"), fixed=True),
    Field(
        "filter_subjects",
        tr("Subjects"),
        "subjects",
        tr("Position"),
        tr("One on each line; empty takes all."),
    ),
    Field(
        "ack_policy",
        tr("Acknowledgement"),
        "choice",
        tr("Delivery"),
        choices=(
            ("explicit", tr("Each message")),
            ("all", tr("A message and all before it")),
            ("none", tr("None")),
            ("flow_control", tr("By flow control, for streams that source from this one")),
        ),
        choice_levels=(("flow_control", 4),),
        fixed=True,
    ),
    Field(
        "ack_wait", tr("Deliver again after"), "duration", tr("Delivery"), tr("Without an acknowledgement.")
    ),
    Field("max_deliver", tr("Deliveries at most"), "count", tr("Delivery"), unlimited=-1),
    Field(
        "backoff",
        tr("Back-off"),
        "durations",
        tr("Delivery"),
        tr("Delays before each redelivery: 1s, 10s, 1min."),
    ),
    Field("max_ack_pending", tr("Unacknowledged at most"), "count", tr("Delivery"), unlimited=-1),
    Field(
        "replay_policy",
        tr("Pace"),
        "choice",
        tr("Delivery"),
        choices=(("instant", tr("As fast as possible")), ("original", tr("As it was published"))),
        fixed=True,
    ),
    Field("headers_only", tr("Headers only"), "switch", tr("Delivery")),
    Field("sample_freq", tr("Sample acknowledgements"), "text", tr("Delivery"), tr("A share such as 10%.")),
    Field("max_waiting", tr("Waiting pulls at most"), "count", tr("Pulling"), fixed=True),
    Field("max_batch", tr("Batch at most"), "count", tr("Pulling")),
    Field("max_expires", tr("Pulls wait at most"), "duration", tr("Pulling")),
    Field("max_bytes", tr("Bytes a pull at most"), "size", tr("Pulling")),
    Field(
        "deliver_subject",
        tr("Deliver to"),
        "text",
        tr("Pushing"),
        tr("A subject makes it a push consumer."),
        fixed=True,
    ),
    Field("deliver_group", tr("Queue group"), "text", tr("Pushing"), fixed=True),
    Field("idle_heartbeat", tr("Heartbeat"), "duration", tr("Pushing"), fixed=True),
    Field("flow_control", tr("Flow control"), "switch", tr("Pushing"), fixed=True),
    Field("rate_limit_bps", tr("Rate limit (bits/s)"), "count", tr("Pushing")),
    Field("inactive_threshold", tr("Delete when idle for"), "duration", tr("Life")),
    Field("num_replicas", tr("Replicas"), "count", tr("Life"), tr("0 is the stream's number.")),
    Field("mem_storage", tr("Keep state in memory"), "switch", tr("Life"), fixed=True),
    Field(
        "priority_groups",
        tr("Priority groups"),
        "subjects",
        tr("Life"),
        tr("Names that pulling clients say, one on each line."),
        level=1,
    ),
    Field(
        "priority_policy",
        tr("Priority policy"),
        "choice",
        tr("Life"),
        choices=(
            ("", tr("None")),
            ("overflow", tr("Overflow")),
            ("pinned_client", tr("Pinned client")),
            ("prioritized", tr("Prioritized")),
        ),
        choice_levels=(("prioritized", 2),),
        level=1,
    ),
    Field(
        "priority_timeout",
        tr("Pin lasts"),
        "duration",
        tr("Life"),
        tr("2 minutes where nothing is said."),
        level=1,
    ),
    Field(
        "pause_until",
        tr("Paused until"),
        "text",
        tr("Life"),
        tr("2026-11-23T10:00:00Z: nothing is delivered before. Later it is paused by an action of its own."),
        fixed=True,
        level=1,
    ),
)

NEW_CONSUMER: dict[str, Any] = {
    "durable_name": "",
    "deliver_policy": "all",
    "ack_policy": "explicit",
    "ack_wait": 30_000_000_000,
    "max_deliver": -1,
    "max_ack_pending": 1000,
    "replay_policy": "instant",
    "max_waiting": 512,
}
