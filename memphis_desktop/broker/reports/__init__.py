"""What monitoring tells about a node: the documents behind the HTTP endpoints and the system requests.

Field names and shapes are nats-server's, so that nats-top, exporters and consoles read them.
"""

from __future__ import annotations

from memphis_desktop.broker.reports.accounts import (
    AccountStatisticsQuery,
    account_detail,
    account_statistics,
    accountz,
    accstatz,
    find_account,
)
from memphis_desktop.broker.reports.common import (
    DEFAULT_LIMIT,
    NotFound,
    advisory,
    round_trip_text,
    short_duration,
)
from memphis_desktop.broker.reports.connections import (
    ConnectionsQuery,
    SubscriptionsQuery,
    connz,
    subscription_detail,
    subsz,
)
from memphis_desktop.broker.reports.jetstream import JetStreamQuery, healthz, jsz
from memphis_desktop.broker.reports.process import (
    ResourceMeter,
    physical_memory,
    process_variables,
    stacks,
)
from memphis_desktop.broker.reports.server import gatewayz, leafz, routez, statsz, varz

__all__ = [
    "DEFAULT_LIMIT",
    "AccountStatisticsQuery",
    "ConnectionsQuery",
    "JetStreamQuery",
    "NotFound",
    "ResourceMeter",
    "SubscriptionsQuery",
    "account_detail",
    "account_statistics",
    "accountz",
    "accstatz",
    "advisory",
    "connz",
    "find_account",
    "gatewayz",
    "healthz",
    "jsz",
    "leafz",
    "physical_memory",
    "process_variables",
    "round_trip_text",
    "routez",
    "short_duration",
    "stacks",
    "statsz",
    "subscription_detail",
    "subsz",
    "varz",
]
