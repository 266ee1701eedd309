"""Services, instances and endpoints as rows of tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from memphis_desktop.cluster.service_watch import Rates, ServiceWatch
from memphis_desktop.cluster.services import Endpoint, ServiceInstance
from memphis_desktop.language import tr
from memphis_desktop.ui.components.data_table import Column
from memphis_desktop.ui.screen import Route


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """All instances of one name, or one of them.

    Attributes:
        name: Of the service.
        instances: What it adds up.
        rates: What happens a second; None before that is known.
        single: Whether the row is one instance among others.
    """

    name: str
    instances: tuple[ServiceInstance, ...]
    rates: Rates | None
    single: bool = False

    @property
    def key(self) -> str:
        """What tells it from others."""
        return self.instances[0].id if self.single else self.name

    @property
    def versions(self) -> str:
        """The versions there are."""
        return ", ".join(sorted({one.version for one in self.instances if one.version}))

    @property
    def silent(self) -> int:
        """How many do not answer at the moment."""
        return sum(one.silent > 0 for one in self.instances)

    @property
    def requests(self) -> int:
        """Of all instances."""
        return sum(one.requests for one in self.instances)

    @property
    def errors(self) -> int:
        """Of all instances."""
        return sum(one.errors for one in self.instances)

    @property
    def average(self) -> float | None:
        """Seconds that a request took, over all there were."""
        requests = self.requests
        return sum(one.processing_ns for one in self.instances) / 1e9 / requests if requests else None

    @property
    def started_ns(self) -> int | None:
        """When the last of them began."""
        return max((one.started_ns for one in self.instances if one.started_ns), default=None)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoints, each once."""
        return tuple({one.key: one for instance in self.instances for one in instance.endpoints}.values())


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """An endpoint, added up over the instances that have it."""

    endpoint: Endpoint
    of: tuple[Endpoint, ...]
    rates: Rates | None

    @property
    def requests(self) -> int:
        """Of all instances."""
        return sum(one.requests for one in self.of)

    @property
    def errors(self) -> int:
        """Of all instances."""
        return sum(one.errors for one in self.of)

    @property
    def average(self) -> float | None:
        """Seconds that a request took."""
        requests = self.requests
        return sum(one.processing_ns for one in self.of) / 1e9 / requests if requests else None

    @property
    def last_error(self) -> str:
        """The first that an instance tells."""
        return next((one.last_error for one in self.of if one.last_error), "")


def service_rows(watch: ServiceWatch, *, single: bool = False) -> list[ServiceRow]:
    """A row for each name, or for each instance."""
    if single:
        return [ServiceRow(one.name, (one,), watch.rates([one.id]), True) for one in watch.instances.values()]
    named: dict[str, list[ServiceInstance]] = {}
    for instance in watch.instances.values():
        named.setdefault(instance.name, []).append(instance)
    return [service_row(name, instances, watch) for name, instances in named.items()]


def service_row(name: str, instances: Sequence[ServiceInstance], watch: ServiceWatch) -> ServiceRow:
    """All instances of a name."""
    ordered = tuple(sorted(instances, key=lambda one: (one.started_ns or 0, one.id)))
    return ServiceRow(name, ordered, watch.rates([one.id for one in ordered]))


def endpoint_rows(instances: Iterable[ServiceInstance], watch: ServiceWatch) -> list[EndpointRow]:
    """A row for each endpoint."""
    found: dict[tuple[str, str], list[Endpoint]] = {}
    ids = []
    for instance in instances:
        ids.append(instance.id)
        for endpoint in instance.endpoints:
            found.setdefault(endpoint.key, []).append(endpoint)
    return [EndpointRow(every[0], tuple(every), watch.rates(ids, key)) for key, every in found.items()]


def service_route(name: str, tab: str = "", instance: str = "") -> Route:
    """The place of a service."""
    parameters = {"service": name}
    if tab:
        parameters["tab"] = tab
    if instance:
        parameters["instance"] = instance
    return Route("service", parameters)


def _figures() -> list[Column]:
    return [
        Column("requests", tr("Requests"), lambda r: r.requests, "number", 88, tr("Since they began")),
        Column(
            "rate",
            tr("Requests/s"),
            lambda r: r.rates.requests if r.rates is not None else None,
            "rate",
            92,
        ),
        Column(
            "errors",
            tr("Errors"),
            lambda r: r.errors,
            "number",
            70,
            tr("Since they began"),
            token=lambda r: "bad" if r.errors else None,
        ),
        Column(
            "error_rate",
            tr("Errors/s"),
            lambda r: r.rates.errors if r.rates is not None else None,
            "rate",
            80,
            visible=False,
        ),
        Column(
            "average",
            tr("Average time"),
            lambda r: r.average,
            "duration",
            104,
            tr("How long a request takes, over all there were"),
        ),
        Column(
            "average_now",
            tr("Time now"),
            lambda r: r.rates.average if r.rates is not None else None,
            "duration",
            90,
            tr("How long a request took between the last two readings"),
            False,
        ),
    ]


def _state(row: ServiceRow) -> tuple[str, str]:
    if row.silent == len(row.instances):
        return "bad", tr("does not answer")
    if row.silent:
        return "warning", tr("some do not answer")
    return "good", tr("answers")


def _queues(row: ServiceRow) -> str:
    return ", ".join(sorted({one.queue_group for one in row.endpoints if one.queue_group}))


def service_columns() -> list[Column]:
    """The columns of services."""
    first: Callable[[ServiceRow], ServiceInstance] = lambda row: row.instances[-1]  # noqa: E731
    return [
        Column("state", "", _state, "dot", 28, tr("Whether it answers"), sort_value=lambda r: _state(r)[0]),
        Column("name", tr("Name"), lambda r: r.name, "mono", 140, stretch=True),
        Column("version", tr("Version"), lambda r: r.versions, "text", 76),
        Column("instances", tr("Instances"), lambda r: len(r.instances), "number", 80),
        Column("endpoints", tr("Endpoints"), lambda r: len(r.endpoints), "number", 84),
        *_figures(),
        Column(
            "last_error",
            tr("Last error"),
            lambda r: next((one.last_error for one in r.instances if one.last_error), ""),
            "text",
            130,
            stretch=True,
        ),
        Column(
            "started", tr("Started"), lambda r: r.started_ns, "time", 100, tr("The last of its instances")
        ),
        Column("description", tr("Description"), lambda r: first(r).description, "text", 140, visible=False),
        Column("queues", tr("Queue groups"), _queues, "mono", 100, visible=False),
        Column(
            "subjects",
            tr("Subjects"),
            lambda r: ", ".join(one.subject for one in r.endpoints),
            "mono",
            160,
            visible=False,
        ),
        Column(
            "id",
            tr("Instance"),
            lambda r: ", ".join(one.id for one in r.instances[:3]) + (" …" if len(r.instances) > 3 else ""),
            "mono",
            170,
            visible=False,
        ),
        Column(
            "metadata", tr("Metadata"), lambda r: pairs_text(first(r).metadata), "text", 140, visible=False
        ),
    ]


def instance_columns() -> list[Column]:
    """The columns of the instances of one service."""
    return [
        Column("state", "", _state, "dot", 28, tr("Whether it answers"), sort_value=lambda r: _state(r)[0]),
        Column("id", tr("Instance"), lambda r: r.instances[0].id, "mono", 190, stretch=True),
        Column("version", tr("Version"), lambda r: r.versions, "text", 76),
        *_figures(),
        Column(
            "answer",
            tr("Answered in"),
            lambda r: r.instances[0].seconds,
            "duration",
            96,
            tr("How long its last answer about itself took"),
        ),
        Column("started", tr("Started"), lambda r: r.started_ns, "time", 100),
        Column(
            "last_error", tr("Last error"), lambda r: r.instances[0].last_error, "text", 130, stretch=True
        ),
        Column(
            "metadata",
            tr("Metadata"),
            lambda r: pairs_text(r.instances[0].metadata),
            "text",
            140,
            visible=False,
        ),
    ]


def endpoint_columns() -> list[Column]:
    """The columns of endpoints."""
    return [
        Column("name", tr("Endpoint"), lambda r: r.endpoint.name, "mono", 120),
        Column("subject", tr("Subject"), lambda r: r.endpoint.subject, "mono", 170, stretch=True),
        Column("queue", tr("Queue group"), lambda r: r.endpoint.queue_group, "mono", 106),
        Column("instances", tr("Instances"), lambda r: len(r.of), "number", 80),
        *_figures(),
        Column("last_error", tr("Last error"), lambda r: r.last_error, "text", 130, stretch=True),
        Column(
            "metadata", tr("Metadata"), lambda r: pairs_text(r.endpoint.metadata), "text", 140, visible=False
        ),
        Column("data", tr("Own data"), _data, "mono", 140, tr("What the author counts"), False),
    ]


def _data(row: EndpointRow) -> Any:
    return next((str(one.data) for one in row.of if one.data is not None), "")


def pairs_text(pairs: Any) -> str:
    """Keys and values in one line."""
    return ", ".join(f"{key}: {value}" for key, value in pairs.items())
