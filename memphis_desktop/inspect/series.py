"""Publishing many messages made from a template, at a pace."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from nats.aio.client import Client

from memphis_desktop.inspect.draft import Draft
from memphis_desktop.inspect.publishing import Acknowledgement, Publisher, PublishError
from memphis_desktop.inspect.templates import Template, TemplateError
from memphis_desktop.language import tr

BURST_SECONDS = 0.01
MAX_ERRORS = 100


@dataclass
class SeriesProgress:
    """How far a series is."""

    count: int
    sent: int = 0
    stored: int = 0
    duplicates: int = 0
    failed: int = 0
    seconds: float = 0.0
    last: Acknowledgement | None = None
    errors: Counter[str] = field(default_factory=Counter)
    done: bool = False
    reason: str = ""

    @property
    def rate(self) -> float:
        """Messages a second so far."""
        return self.sent / self.seconds if self.seconds > 0 else 0.0


class Series:
    """One run of `count` messages; `cancel` ends it after what is in flight."""

    def __init__(
        self,
        client: Client,
        template: Template,
        count: int,
        rate: float | None,
        payload: Callable[[Draft], bytes],
        *,
        max_in_flight: int = 512,
    ) -> None:
        self.progress = SeriesProgress(count)
        self._client = client
        self._template = template
        self._rate = rate
        self._payload = payload
        self._max_in_flight = max_in_flight
        self._cancelled = False

    def cancel(self) -> None:
        """Send no more."""
        self._cancelled = True

    async def run(self) -> SeriesProgress:
        """Send everything; errors are counted, and many of them end the run."""
        progress = self.progress
        started = time.monotonic()
        try:
            async with Publisher(self._client, self._settle, max_in_flight=self._max_in_flight) as publisher:
                for index in range(progress.count):
                    if self._rate is not None:
                        wait = started + index / self._rate - time.monotonic()
                        while wait > BURST_SECONDS and not self._cancelled:
                            await asyncio.sleep(min(wait, 0.1))
                            wait = started + index / self._rate - time.monotonic()
                    elif index % 64 == 63:
                        await asyncio.sleep(0)
                    if self._cancelled or progress.failed >= MAX_ERRORS:
                        break
                    draft = self._template.make(index)
                    await publisher.publish(index, draft.subject, self._payload(draft), draft.header_list())
                    progress.sent += 1
                    progress.seconds = time.monotonic() - started
                await publisher.drain()
        except (PublishError, TemplateError, ValueError) as error:
            progress.reason = str(error)
        progress.seconds = time.monotonic() - started
        if progress.failed >= MAX_ERRORS and not progress.reason:
            progress.reason = tr("stopped after {count} errors", count=progress.failed)
        elif self._cancelled and not progress.reason:
            progress.reason = tr("stopped by you")
        progress.done = True
        return progress

    def _settle(self, _: object, result: Acknowledgement | PublishError) -> None:
        progress = self.progress
        if isinstance(result, PublishError):
            progress.failed += 1
            progress.errors[str(result)] += 1
        else:
            progress.last = result
            if result.duplicate:
                progress.duplicates += 1
            else:
                progress.stored += 1
