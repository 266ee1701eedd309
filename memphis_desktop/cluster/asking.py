"""Requests of the polling rounds: on the budget, a few at a time, none begun when the round is over."""

from __future__ import annotations

import asyncio
import time
from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from .budget import PollBudget

if TYPE_CHECKING:
    from .session import Session

T = TypeVar("T")

PARALLEL = 6


class Asker:
    """What the readers of one session share: the budget, and when the round began."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.budget = PollBudget(session.profile.poll_budget)
        self.round_began = 0.0

    async def ask(
        self, suffix: str, body: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> tuple[dict[str, Any], float]:
        """Make a request on the budget; return the answer and the monotonic time it was asked.

        That is when the figures in it were true: an answer may have waited long for other parts of it.
        """
        self.budget.spend()
        started = time.monotonic()
        answer = await self.session.api(suffix, body, timeout)
        self.budget.answered(time.monotonic() - started)
        return answer, started

    async def together(
        self, do: Callable[[T], Awaitable[None]], items: Iterable[T], within: float = float("inf")
    ) -> None:
        """Do the same with several items, a few at a time; then raise the first failure.

        None is begun when the round has lasted `within` seconds: what is looked at waits for the next one.
        """
        limit = asyncio.Semaphore(PARALLEL)

        async def one(item: T) -> None:
            async with limit:
                if time.monotonic() - self.round_began < within:
                    await do(item)

        results = await asyncio.gather(*map(one, items), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result


class Attention:
    """What somebody looks at, and what was just changed."""

    def __init__(self) -> None:
        self.watched: Tally[str] = Tally()
        self.visible: dict[Hashable, tuple[str, ...]] = {}
        self.dirty: set[str] = set()

    def is_wanted(self, stream: str) -> bool:
        """Whether somebody looks at a stream."""
        return stream in self.watched or any(stream in shown for shown in self.visible.values())

    def wanted(self) -> list[str]:
        """Return the names that somebody looks at, watched ones first, each once."""
        ordered = dict.fromkeys(self.watched)
        for streams in self.visible.values():
            ordered.update(dict.fromkeys(streams))
        return list(ordered)
