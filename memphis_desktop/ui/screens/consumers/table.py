"""The table of consumer groups and what can be done with its rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from memphis_desktop.cluster.health import Severity, consumer_findings
from memphis_desktop.cluster.history import History
from memphis_desktop.cluster.model import ConsumerSnapshot
from memphis_desktop.cluster.raft.groups import group_of
from memphis_desktop.cluster.times import parse_time
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.screen import Command, Route, ScreenContext
from memphis_desktop.ui.screens.cluster.steering import Steering
from memphis_desktop.ui.screens.consumers.actions import GroupActions
from memphis_desktop.ui.screens.dead_letters.move_dialog import open_move
from memphis_desktop.ui.screens.station_parts import (
    SEVERITY_TOKEN,
    consumer_kind,
    consumer_route,
    consumer_sparkline,
    filter_text,
    station_route,
    trend,
)

_KEPT = 500  # consumers: more than can be seen at once
_KEPT_SECONDS = 10.0  # history goes on while a consumer stays the same


def consumer_columns(history: History, *, with_station: bool) -> list[Column]:
    """The columns of c.6, those that tell most first."""
    station = (
        [Column("station", tr("Station"), lambda c: c.stream, "mono", 132, cut_middle=True)]
        if with_station
        else []
    )
    return [
        Column(
            "health",
            "",
            _kept(lambda c: _health(c, history)),
            "dot",
            28,
            sort_value=lambda c: _severity(c, history),
        ),
        Column("name", tr("Group"), lambda c: c.name, "mono", 140, stretch=True, cut_middle=True),
        *station,
        Column(
            "seconds",
            tr("Behind"),
            lambda c: c.lag_seconds,
            "duration",
            88,
            tr("Age of the first message not delivered yet"),
            text=figures.lag_seconds,
            token=lambda c: "warning" if (c.lag_seconds or 0) >= 60 else None,
        ),
        Column("lag", tr("Lag"), lambda c: c.num_pending, "number", 76, tr("Messages not delivered yet")),
        Column(
            "line",
            tr("Lag over time"),
            _kept(lambda c: consumer_sparkline(history, c.stream, c.name)),
            "sparkline",
            102,
            sort_value=lambda c: c.num_pending,
        ),
        Column(
            "trend",
            tr("Trend"),
            _kept(lambda c: _trend(c, history)),
            "badge",
            90,
            tr("Where its lag goes. At the edge: the station's limits removed what it was not given"),
            sort_value=lambda c: trend(history, c.stream, c.name)[0],
        ),
        Column(
            "drain",
            tr("Done in"),
            lambda c: c.drain_seconds,
            "duration",
            84,
            tr("At the rates of the last five minutes"),
        ),
        Column("delivered", tr("Delivered"), lambda c: c.delivered_rate, "rate", 78),
        Column("acked", tr("Acked"), lambda c: c.acked_rate, "rate", 72),
        Column(
            "pending",
            tr("Unacked"),
            _pending,
            "bar",
            110,
            tr("Delivered and not acknowledged, of what is allowed"),
            sort_value=lambda c: c.num_ack_pending,
        ),
        Column(
            "redelivered",
            tr("Redelivered"),
            lambda c: c.num_redelivered,
            "number",
            88,
            tr("Messages out that were delivered more than once"),
            False,
        ),
        Column(
            "waiting", tr("Waiting"), lambda c: c.num_waiting, "number", 70, tr("Open pull requests"), False
        ),
        Column("kind", tr("Kind"), consumer_kind, "text", 104, "", False),
        Column("filter", tr("Subjects"), filter_text, "mono", 140, "", False),
        Column("ack", tr("Ack policy"), lambda c: c.config.get("ack_policy", ""), "text", 80, "", False),
        Column("floor", tr("Ack floor"), lambda c: c.ack_floor_stream, "number", 90, "", False),
        Column("sequence", tr("Delivered up to"), lambda c: c.delivered_stream, "number", 110, "", False),
        Column(
            "active",
            tr("Last active"),
            lambda c: max(filter(None, (c.last_delivered_ns, c.last_acked_ns)), default=None),
            "time",
            100,
            tr("The last delivery or acknowledgement"),
            False,
        ),
        Column("last_delivery", tr("Last delivery"), lambda c: c.last_delivered_ns, "time", 100, "", False),
        Column(
            "queue", tr("Queue group"), lambda c: c.config.get("deliver_group", ""), "mono", 100, "", False
        ),
        Column("paused", tr("Paused"), _paused, "badge", 100, "", False),
        Column(
            "paused_until",
            tr("Paused until"),
            lambda c: parse_time(c.config.get("pause_until")) if c.paused else None,
            "time",
            110,
            "",
            False,
        ),
        Column(
            "pinned",
            tr("Pinned client"),
            lambda c: ", ".join(c.pinned.values()),
            "mono",
            140,
            "",
            False,
            cut_middle=True,
        ),
        Column("replicas", tr("Replicas"), lambda c: c.config.get("num_replicas"), "number", 70, "", False),
        Column("leader", tr("Leader"), lambda c: c.leader or "–", "mono", 120, "", False, cut_middle=True),
        Column("created", tr("Created"), lambda c: parse_time(c.created), "time", 110, "", False),
        Column(
            "read",
            tr("Read"),
            lambda c: c.read_at_ns or None,
            "time",
            90,
            tr("When these figures were read"),
            False,
        ),
        Column(
            "description",
            tr("Description"),
            lambda c: c.config.get("description", ""),
            "text",
            160,
            "",
            False,
        ),
    ]


def _kept(work_out: Callable[[ConsumerSnapshot], Any]) -> Callable[[ConsumerSnapshot], Any]:
    """What is worked out of a consumer's history stays for a while, until it tells something else."""
    kept: dict[tuple[str, str], tuple[ConsumerSnapshot, Any, float]] = {}

    def take(consumer: ConsumerSnapshot) -> Any:
        key = (consumer.stream, consumer.name)
        known = kept.get(key)
        now = time.monotonic()
        if known is not None and known[0] is consumer and now - known[2] < _KEPT_SECONDS:
            return known[1]
        if len(kept) >= _KEPT:
            kept.clear()
        value = work_out(consumer)
        kept[key] = (consumer, value, now)
        return value

    return take


def make_table(
    context: ScreenContext,
    settings_name: str,
    commands: Callable[[list[Any]], list[Command]],
    *,
    with_station: bool,
) -> DataTable:
    """A table of consumers whose rows open them."""
    table = DataTable(
        consumer_columns(context.session.history, with_station=with_station),
        lambda c: (c.stream, c.name),
        settings_name,
        context_actions=commands,
        default_sort=("seconds", True),
    )
    table.set_zone(context.zone)
    table.row_activated.connect(lambda c: context.navigate(consumer_route(c.stream, c.name)))
    return table


def row_commands(
    context: ScreenContext,
    actions: GroupActions,
    consumers: Sequence[ConsumerSnapshot],
    *,
    within: bool = False,
) -> list[Command]:
    """What can be done with the selected consumers; `within` the page of one it opens and deletes itself."""
    refusal = actions.refusal
    one = consumers[0] if len(consumers) == 1 else None
    missing = tr("Select one group first.") if one is None else ""

    def go(make: Callable[[ConsumerSnapshot], Route]) -> None:
        if one is not None:
            context.navigate(make(one))

    def start(make: Any, description: str) -> None:
        if one is not None:
            context.run(make(one), description)

    def command(
        title: str, key: str, callback: Any, icon: str, reason: str, danger: bool = False, name: str = ""
    ) -> Command:
        return Command(title, key, callback, icon, not reason, reason, danger, name)

    made = []
    if not within:
        made.append(
            command(
                tr("Open"),
                "",
                lambda: go(lambda c: consumer_route(c.stream, c.name)),
                "arrow-square-out",
                missing,
            )
        )
        made.append(
            command(
                tr("Show the lag over time"),
                keymap.key("consumers.lag"),
                lambda: go(lambda c: consumer_route(c.stream, c.name)),
                "chart-line",
                missing,
            )
        )
    pushed = tr("Messages are pushed to this group's clients.") if one is not None and not one.is_pull else ""
    unpinned = "" if one is not None and one.pinned else tr("No client of this group is pinned.")
    steering = Steering(context, actions.parent)
    group = group_of(one, context.session.snapshot.raft.gone) if one is not None else None

    def reset() -> None:
        if one is not None and (stream := context.session.snapshot.streams.get(one.stream)) is not None:
            context.run(actions.reset_consumer(stream, one), tr("reset the group"))

    def step_down() -> None:
        if group is not None:
            context.run(steering.step_down(group), tr("hand the leadership over"))

    made += [
        command(
            tr("Reset group"),
            keymap.key("consumers.reset"),
            reset,
            "arrow-counter-clockwise",
            missing or refusal,
        ),
        command(
            tr("Fetch by hand"),
            keymap.key("consumers.fetch"),
            lambda: start(actions.fetch, tr("fetch messages")),
            "tray",
            missing or pushed or refusal,
        ),
        command(
            tr("Browse the station's messages"),
            keymap.key("consumers.browse"),
            lambda: go(lambda c: station_route(c.stream, "messages")),
            "list-bullets",
            missing,
        ),
        command(
            tr("Resume") if one is not None and one.paused else tr("Pause"),
            keymap.key("consumers.pause"),
            lambda: start(actions.pause_consumer, tr("pause the group")),
            "play" if one is not None and one.paused else "pause",
            missing or refusal,
        ),
        command(
            tr("Unpin client"),
            "",
            lambda: start(actions.unpin_consumer, tr("unpin the client")),
            "push-pin-slash",
            missing or unpinned or refusal,
        ),
        command(
            tr("Step down the leader"),
            "",
            step_down,
            "arrows-down-up",
            missing or steering.step_down_refusal(group),
        ),
        command(
            tr("Edit group"),
            keymap.key("consumers.edit"),
            lambda: start(actions.edit_consumer, tr("change the group")),
            "pencil-simple",
            missing or refusal,
        ),
        command(
            tr("Create from this"),
            "",
            lambda: start(lambda c: actions.create_consumer(c.stream, c.config), tr("create the group")),
            "copy",
            missing or refusal,
        ),
        command(
            tr("Move all to a dead-letter station"),
            "",
            lambda: one is not None and open_move(context, actions.parent, one),
            "archive-tray",
            missing or refusal,
            name="move_to_dead_letter_station",
        ),
    ]
    if not within:
        made.append(
            command(
                tr("Delete"),
                keymap.key("consumers.delete"),
                lambda: context.run(actions.delete_consumers(list(consumers)), tr("delete the group")),
                "trash",
                ("" if consumers else tr("Select a group first.")) or refusal,
                True,
            )
        )
    return made


def _worst(consumer: ConsumerSnapshot, history: History) -> Severity:
    return max((found.severity for found in consumer_findings(consumer, history)), default=Severity.GOOD)


def _severity(consumer: ConsumerSnapshot, history: History) -> int:
    return int(_worst(consumer, history))


def _health(consumer: ConsumerSnapshot, history: History) -> str:
    return SEVERITY_TOKEN[_worst(consumer, history)]


def _pending(consumer: ConsumerSnapshot) -> Any:
    limit = int(consumer.config.get("max_ack_pending") or -1)
    if limit <= 0:
        return (0.0, figures.integer(consumer.num_ack_pending))
    share = consumer.num_ack_pending / limit
    return (
        share,
        tr("{part} of {whole}", part=figures.compact(consumer.num_ack_pending), whole=figures.compact(limit)),
    )


def _trend(consumer: ConsumerSnapshot, history: History) -> list[tuple[str, str]]:
    edge = [(tr("at the edge"), "bad")] if consumer.lag_at_edge else []
    return [*edge, trend(history, consumer.stream, consumer.name)]


def _paused(consumer: ConsumerSnapshot) -> Any:
    if not consumer.paused:
        return None
    rest = consumer.pause_remaining_ns
    text = tr("for {span}", span=figures.duration(rest / 1e9)) if rest else tr("paused")
    return (text, "warning")
