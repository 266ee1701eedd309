"""How long services take that are used from other accounts: a metric for each sampled request.

The exporter names a subject and how many requests are sampled, or leaves that to the trace headers of the
request itself. Times are nanoseconds; a service's own time is what is left without both ways to and fro.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.jetstream.times import format_time
from memphis_desktop.broker.jetstream.typed_json import encode_json
from memphis_desktop.broker.nuid import next_id
from memphis_desktop.broker.options import Latency
from memphis_desktop.protocol import headers

if TYPE_CHECKING:
    from memphis_desktop.broker.accounts import Account
    from memphis_desktop.broker.contracts import Publisher

_TYPE = "io.nats.server.metric.v1.service_latency"
_UNAVAILABLE, _TIMEOUT = (503, "Service Unavailable"), (504, "Service Timeout")
_LOST, _NO_REPLY = (408, "Request Timeout"), (400, "Bad Request")

_UBER, _TRACE_PARENT = b"uber-trace-id", b"traceparent"
_B3, _B3_SAMPLED, _B3_ID = b"b3", b"x-b3-sampled", b"x-b3-traceid"
_B3_FIELDS = (_B3_SAMPLED, _B3_ID, b"x-b3-spanid", b"x-b3-parentspanid")
_Fields = dict[bytes, str]


@dataclass(slots=True)
class _Asked:
    """A sampled request on its way."""

    requester: Publisher | None
    header: dict[str, list[str]]
    start_ns: int
    timer: asyncio.TimerHandle | None = None


class LatencyTracker:
    """Measures the requests of one service import."""

    def __init__(self, exporter: Account, latency: Latency, *, threshold: float, detailed: bool) -> None:
        """`threshold` is how long an answer may take, `detailed` whether the requester is told in full."""
        self._exporter = exporter
        self._latency = latency
        self._threshold = threshold
        self._detailed = detailed
        self._asked: dict[bytes, _Asked] = {}

    def asked(self, token: bytes, block: bytes, requester: Publisher | None) -> None:
        """A request was sent on; `token` stands for its answer, b"" when none is wanted."""
        sampled = self._sample(block)
        if sampled is None:
            return
        request = _Asked(requester, sampled, time.time_ns())
        if not token:
            self._report(request, _NO_REPLY)
            return
        loop = asyncio.get_running_loop()
        request.timer = loop.call_later(self._threshold, self._ended, token, _TIMEOUT)
        self._asked[token] = request

    def unavailable(self, block: bytes, requester: Publisher | None) -> None:
        """Nobody is there to answer a request."""
        sampled = self._sample(block)
        if sampled is not None:
            self._report(_Asked(requester, sampled, time.time_ns()), _UNAVAILABLE)

    def lost(self, token: bytes) -> None:
        """An answer came, and nobody waits for it any more."""
        self._ended(token, _LOST)

    def answered(self, token: bytes, responder: object) -> None:
        """An answer came."""
        request = self._asked.pop(token, None)
        if request is None:
            return
        elapsed = time.time_ns() - request.start_ns
        if request.timer is not None:
            request.timer.cancel()
        told = responder.request_info(detailed=True) if hasattr(responder, "request_info") else None
        requester_time, responder_time = self._round_trip(request), int((told or {}).get("rtt", 0))
        service = max(elapsed - responder_time, 0)
        system = max(time.time_ns() - request.start_ns - elapsed, 0)
        times = {
            "service": service,
            "system": system,
            "total": service + system + requester_time + responder_time,
        }
        self._publish(request, (200, ""), {"responder": told} if told else {}, times)

    def end(self) -> None:
        """Measure nothing any more."""
        for request in self._asked.values():
            if request.timer is not None:
                request.timer.cancel()
        self._asked.clear()

    # -- sampling --------------------------------------------------------------------------------------------
    def _sample(self, block: bytes) -> dict[str, list[str]] | None:
        """Return the headers that made a request a sample, {} when it is one anyway, None when it is none."""
        share = self._latency.sampling
        if share >= 100 or random.random() * 100 < share:
            return {}
        return _traced(block) if block else None

    # -- reports ---------------------------------------------------------------------------------------------
    def _ended(self, token: bytes, status: tuple[int, str]) -> None:
        request = self._asked.pop(token, None)
        if request is not None:
            if request.timer is not None:
                request.timer.cancel()
            self._report(request, status)

    def _report(self, request: _Asked, status: tuple[int, str]) -> None:
        self._publish(request, status, {}, {"service": 0, "system": 0, "total": 0})

    def _round_trip(self, request: _Asked) -> int:
        requester = request.requester
        return int(requester.request_info(detailed=False).get("rtt", 0)) if requester is not None else 0

    def _publish(
        self, request: _Asked, status: tuple[int, str], responder: dict[str, Any], times: dict[str, int]
    ) -> None:
        metric: dict[str, Any] = {
            "type": _TYPE,
            "id": next_id(),
            "timestamp": format_time(time.time_ns()),
            "status": status[0],
        }
        if status[1]:
            metric["description"] = status[1]
        if request.requester is not None:
            metric["requestor"] = request.requester.request_info(detailed=self._detailed)
        metric |= responder
        if request.header:
            metric["header"] = request.header
        metric["start"] = format_time(request.start_ns - self._round_trip(request))
        self._exporter.publish((self._latency.subject.encode(), b"", 0, encode_json(metric | times)))


def _traced(block: bytes) -> dict[str, list[str]] | None:
    """Return the trace headers of a request whose sender wants it traced, else None."""
    try:
        pairs = headers.parse(block).fields
    except ValueError:
        return None
    fields: _Fields = {name.lower(): value.decode("utf-8", "replace") for name, value in pairs}
    uber = fields.get(_UBER)
    if uber is not None:
        return _shown(fields, _UBER) if _flagged(uber.split(":")[3:]) else None
    sampled = fields.get(_B3_SAMPLED)
    if sampled == "1" or (sampled != "0" and _B3_ID in fields):
        return _shown(fields, *_B3_FIELDS)
    if sampled == "0":
        return None
    single = fields.get(_B3)
    if single is not None:
        parts = single.split("-")
        return None if parts == ["0"] or parts[2:3] == ["0"] else _shown(fields, _B3)
    flags = fields.get(_TRACE_PARENT, "").split("-")[3:]
    return _shown(fields, _TRACE_PARENT, b"tracestate") if _flagged(flags) else None


def _flagged(parts: list[str]) -> bool:
    """Return whether the flags, in hexadecimal, say that a trace is sampled."""
    try:
        return len(parts) == 1 and len(parts[0]) <= 2 and bool(int(parts[0], 16) & 1)
    except ValueError:
        return False


def _shown(fields: _Fields, *names: bytes) -> dict[str, list[str]]:
    return {name.decode().title(): [fields[name]] for name in names if name in fields}
