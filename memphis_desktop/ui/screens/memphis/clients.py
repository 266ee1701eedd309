"""Who produces to a station and who consumes from it, and its partitions: rows and tables."""

from __future__ import annotations

from dataclasses import dataclass

from memphis_desktop.language import tr
from memphis_desktop.stations.model import Consumer, Producer
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.memphis.link import MemphisView
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.memphis.base import nanoseconds
from memphis_desktop.ui.screens.station_parts import stream_sparkline

_NEWEST_REQUESTS = 4  # of SDKs; with an older one some features are missing


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A producer or a consumer, and whether its connection is open."""

    record: Producer | Consumer
    active: bool

    @property
    def group(self) -> str:
        """The consumer's group; empty for a producer."""
        return self.record.group if isinstance(self.record, Consumer) else ""


def producer_rows(station: str, view: MemphisView) -> list[ClientRow]:
    """Return the producers of a station."""
    return [
        ClientRow(one, one.connection_id not in view.closed)
        for one in view.producers
        if one.station == station
    ]


def group_rows(station: str, view: MemphisView) -> list[ClientRow]:
    """Return the members of a station's groups."""
    return [
        ClientRow(one, one.connection_id not in view.closed)
        for one in view.consumers
        if one.station == station
    ]


def _state(row: ClientRow) -> tuple[str, str]:
    return ("good", "connected") if row.active else ("muted", "gone")


def sdk_text(row: ClientRow) -> str:
    """The SDK and the version of its requests."""
    sdk = row.record.sdk or "unknown"
    return tr("{sdk}, protocol {request_version}", sdk=sdk, request_version=row.record.request_version)


def _sdk_token(row: ClientRow) -> str | None:
    return "warning" if row.record.request_version < _NEWEST_REQUESTS else None


def _common() -> list[Column]:
    return [
        Column("state", tr("State"), _state, "dot", 104),
        Column("name", tr("Name"), lambda r: r.record.name, "mono", 150, stretch=True),
    ]


def _rest() -> list[Column]:
    return [
        Column("sdk", tr("SDK and version"), sdk_text, "text", 150,
               tr("As the client says; below protocol 4 some features are missing"), token=_sdk_token),
        Column("username", tr("User"), lambda r: r.record.username or "–", "mono", 110),
        Column("count", tr("Count"), lambda r: r.record.count, "number", 64, tr("Made on this connection")),
        Column("created", tr("Since"), lambda r: nanoseconds(r.record.created_at), "time", 96),
        Column("connection", tr("Connection"), lambda r: r.record.connection_id, "mono", 150, "", False),
        Column("app", tr("Program"), lambda r: r.record.app_id, "mono", 150, "", False),
        Column("type", tr("Type"), lambda r: r.record.type, "text", 90, "", False),
    ]  # fmt: skip


def _key(row: ClientRow) -> tuple[str, ...]:
    return row.record.station, row.group, row.record.name, row.record.connection_id


def producers_table(context: ScreenContext) -> DataTable:
    """A table of producers."""
    table = DataTable([*_common(), *_rest()], _key, "memphis_producers", default_sort=("name", False))
    table.set_zone(context.zone)
    return table


def consumers_table(context: ScreenContext) -> DataTable:
    """A table of the members of groups."""
    columns = [
        *_common(),
        Column("group", tr("Group"), lambda r: r.group, "mono", 130),
        *_rest(),
        Column("ack", tr("Ack time"), lambda r: r.record.max_ack_time_ms / 1000, "duration", 76,
               tr("A message comes again when it is not acknowledged within this")),
        Column("deliveries", tr("Deliveries"), lambda r: r.record.max_msg_deliveries, "number", 76,
               tr("A message is a dead letter after so many")),
    ]  # fmt: skip
    table = DataTable(columns, _key, "memphis_consumers", default_sort=("group", False))
    table.set_zone(context.zone)
    return table


def partitions_table(context: ScreenContext) -> DataTable:
    """A table of the streams of a station."""
    history = context.session.history
    columns = [
        Column("name", tr("Stream"), lambda s: s.name, "mono", 150, tr("Enter opens it"), stretch=True),
        Column("in", tr("In"), lambda s: s.in_messages_rate, "rate", 80),
        Column("out", tr("Out"), lambda s: s.out_messages_rate, "rate", 80),
        Column("trend", tr("Last hour"), lambda s: stream_sparkline(history, s.name), "sparkline", 110,
               sort_value=lambda s: s.in_messages_rate),
        Column("messages", tr("Messages"), lambda s: s.messages if s.is_read else None, "number", 90),
        Column("bytes", tr("Size"), lambda s: s.bytes if s.is_read else None, "bytes", 84),
        Column("consumers", tr("Groups"), lambda s: s.consumer_count if s.is_read else None, "number", 70),
        Column("first", tr("First"), lambda s: s.first_time_ns, "time", 90),
        Column("last", tr("Last"), lambda s: s.last_time_ns, "time", 90),
        Column("leader", tr("Leader"), lambda s: s.leader or "–", "mono", 120, "", False),
    ]  # fmt: skip
    table = DataTable(columns, lambda s: s.name, "memphis_partitions", default_sort=("name", False))
    table.set_zone(context.zone)
    return table
