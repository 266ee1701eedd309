"""Watching services while somebody looks: their statistics again and again, and what follows from them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .failures import ClusterError, NotPermitted
from .services import INFO, STATS, Answer, Answers, ServiceInstance, ask, instance_of

if TYPE_CHECKING:
    from .budget import PollBudget
    from .session import Session

log = logging.getLogger(__name__)

ROUND_SECONDS = 2.0
SECOND_ROUND = 0.7  # sooner at first, so that there are rates
SILENT_ROUNDS = 5  # after which an instance is no longer listed
KEPT_SECONDS = 3600.0
_MOST_SAMPLES = 400_000  # of all endpoints together
_LEAST_KEPT = 60  # rounds
_INFO_SECONDS = 60.0  # descriptions and metadata are read again after so long
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rates:
    """What happened a second, between two readings.

    Attributes:
        requests, errors: A second.
        average: Seconds that a request took; None without one.
    """

    requests: float
    errors: float
    average: float | None


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float  # seconds since 1970
    requests: int
    errors: int
    processing_ns: int


_SampleKey = tuple[str, str, str]  # instance, endpoint's name and subject


class ServiceWatch:
    """The services of a connection, as far as they answer.

    Attributes:
        instances: By id, as they were last told.
        problem: Why they cannot be asked; empty when they can.
        refused: Whether the login may not ask.
        ready: Whether they were asked at all.
        unreadable: Answers of the last round that could not be read.
        more: Whether more answered than are taken.
    """

    def __init__(self, session: Session, budget: PollBudget) -> None:
        self._session = session
        self._budget = budget
        self.instances: dict[str, ServiceInstance] = {}
        self.problem = ""
        self.refused = False
        self.ready = False
        self.unreadable = 0
        self.more = False
        self._users = 0
        self._task: asyncio.Task[None] | None = None
        self._soon = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        self._info: dict[str, Mapping[str, Any]] = {}
        self._info_read = float("-inf")
        self._samples: dict[_SampleKey, deque[_Sample]] = {}

    # Who looks

    def use(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Watch, and call `listener` after each round, until the result is called."""
        self._users += 1
        self._listeners.append(listener)
        if self._task is None:
            self._task = asyncio.ensure_future(self._watch())
        ended = False

        def release() -> None:
            nonlocal ended
            if not ended:
                ended = True
                self._users -= 1
                self._listeners.remove(listener)
                if not self._users and self._task is not None:
                    self._task.cancel()
                    self._task = None

        return release

    def refresh(self) -> None:
        """Ask again now."""
        self._info_read = float("-inf")
        self._soon.set()

    async def close(self) -> None:
        """Watch no more."""
        task, self._task = self._task, None
        self._users = 0
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    # Rounds

    async def _watch(self) -> None:
        while self._users:
            try:
                await self._round()
            except ClusterError as error:
                self.problem = str(error)
                self.refused = isinstance(error, NotPermitted)
            self._tell()
            self._soon.clear()
            with contextlib.suppress(TimeoutError):
                again = any(len(samples) > 1 for samples in self._samples.values())
                await asyncio.wait_for(self._soon.wait(), ROUND_SECONDS if again else SECOND_ROUND)

    async def _round(self) -> None:
        answers = await self._ask(STATS)
        at = time.time()
        unknown = any(answer.body["id"] not in self._info for answer in answers.found)
        if answers.found and (unknown or time.monotonic() - self._info_read > _INFO_SECONDS):
            told = await self._ask(INFO)
            self._info_read = time.monotonic()
            self._info = {answer.body["id"]: answer.body for answer in told.found}
        self._take(answers, at)

    async def _ask(self, verb: str) -> Answers:
        """A question on the budget of the connection: when that is spent, it waits for its turn."""
        if wait := self._budget.seconds_until(1):
            await asyncio.sleep(wait)
        self._budget.spend()
        return await ask(self._session, verb)

    def _take(self, answers: Answers, at: float) -> None:
        self.problem, self.refused, self.ready = "", False, True
        self.unreadable, self.more = answers.unreadable, answers.more
        found = {answer.body["id"]: self._instance(answer) for answer in answers.found}
        for key, before in self.instances.items():
            if key not in found and before.silent + 1 < SILENT_ROUNDS:
                found[key] = replace(before, silent=before.silent + 1)
        self.instances = found
        self._sample(found.values(), at)

    def _instance(self, answer: Answer) -> ServiceInstance:
        instance = str(answer.body["id"])
        return instance_of(self._info.get(instance, {}), answer.body, answer.seconds)

    def _sample(self, instances: Iterable[ServiceInstance], at: float) -> None:
        """Keep the counters, of as many rounds as there is room for."""
        answered = [one for one in instances if not one.silent]
        known = {one.id for one in instances}
        for key in [key for key in self._samples if key[0] not in known]:
            del self._samples[key]
        endpoints = max(1, sum(len(one.endpoints) for one in answered))
        most = max(_LEAST_KEPT, min(round(KEPT_SECONDS / ROUND_SECONDS), _MOST_SAMPLES // endpoints))
        for instance in answered:
            for endpoint in instance.endpoints:
                samples = self._samples.setdefault((instance.id, *endpoint.key), deque())
                samples.append(_Sample(at, endpoint.requests, endpoint.errors, endpoint.processing_ns))
                while len(samples) > most:
                    samples.popleft()

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            try:
                listener()
            except Exception:
                log.exception("a listener failed on services")

    # What follows from it

    def rates(self, instances: Iterable[str], endpoint: tuple[str, str] | None = None) -> Rates | None:
        """What happens a second on endpoints of some instances together; None before the second reading."""
        found = [
            rates
            for key, samples in self._of(instances, endpoint)
            if (rates := _between(samples)) is not None
        ]
        if not found:
            return None
        requests = sum(one.requests for one in found)
        spent = sum(one.requests * one.average for one in found if one.average is not None)
        return Rates(
            requests, sum(one.errors for one in found), spent / requests if requests and spent else None
        )

    def series(
        self, instances: Iterable[str], endpoint: tuple[str, str] | None = None
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Times, and at each the requests and errors a second and the seconds a request took (NaN for none).

        Rounds are added up over the endpoints; one that began anew in between counts from nothing.
        """
        sums: dict[float, list[float]] = {}
        for _, samples in self._of(instances, endpoint):
            for before, after in itertools.pairwise(samples):
                span = after.at - before.at
                requests, errors, spent = _difference(before, after)
                total = sums.setdefault(after.at, [0.0, 0.0, 0.0, 0.0])
                total[0] += requests / span if span > 0 else 0.0
                total[1] += errors / span if span > 0 else 0.0
                total[2] += requests
                total[3] += spent / 1e9
        times = sorted(sums)
        rows = np.array([sums[at] for at in times], np.float64).reshape(-1, 4)
        average = np.full(len(times), np.nan)
        np.divide(rows[:, 3], rows[:, 2], out=average, where=rows[:, 2] > 0)
        return np.array(times, np.float64), rows[:, 0], rows[:, 1], average

    def _of(
        self, instances: Iterable[str], endpoint: tuple[str, str] | None
    ) -> list[tuple[_SampleKey, deque[_Sample]]]:
        wanted = set(instances)
        return [
            (key, samples)
            for key, samples in self._samples.items()
            if key[0] in wanted and (endpoint is None or key[1:] == endpoint)
        ]


def _difference(before: _Sample, after: _Sample) -> tuple[int, int, int]:
    if after.requests < before.requests:  # counted anew
        return after.requests, after.errors, after.processing_ns
    return (
        after.requests - before.requests,
        max(0, after.errors - before.errors),
        max(0, after.processing_ns - before.processing_ns),
    )


def _between(samples: deque[_Sample]) -> Rates | None:
    """What the last two readings say."""
    if len(samples) < 2:
        return None
    before, after = samples[-2], samples[-1]
    span = after.at - before.at
    if span <= 0:
        return None
    requests, errors, spent = _difference(before, after)
    return Rates(requests / span, errors / span, spent / 1e9 / requests if requests else None)
