"""A stand-in for a service: answers every request on a subject, for trying out who asks."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from nats import errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from memphis_desktop.errors import Failure
from memphis_desktop.inspect.draft import Draft
from memphis_desktop.inspect.templates import Template
from memphis_desktop.language import tr

MAX_WAITING = 1_000  # requests whose answer is held back; more are left unanswered, and counted


class Responder:
    """Answers with a message whose placeholders are filled in anew each time.

    Attributes:
        answered: Requests answered.
        left_out: Requests not answered: too many at a time, or the answer could not be made.
        not_requests: Messages that wanted no answer.
        problem: Why the last one was left out.
    """

    def __init__(self, client: Client, pattern: str, draft: Draft, *, delay: float = 0.0) -> None:
        """Prepare.

        Args:
            client: The connected client.
            pattern: The subject or pattern listened to.
            draft: The answer; its subject is not used.
            delay: Seconds before each answer.

        Raises:
            TemplateError, ValueError: the answer cannot be made.
        """
        self._client = client
        self._pattern = pattern
        self._template = Template(draft)
        self._template.make(0).payload()
        self._delay = delay
        self._subscription: Any = None
        self._number = 0
        self._waiting: set[asyncio.TimerHandle] = set()
        self._sending: set[asyncio.Task[None]] = set()
        self.answered = self.left_out = self.not_requests = 0
        self.problem = ""

    async def start(self) -> None:
        """Begin to answer; raises Failure when nothing can be listened to."""
        try:
            self._subscription = await self._client.subscribe(self._pattern, cb=self._take)
            await self._client.flush(5)
        except (errors.Error, OSError, TimeoutError) as error:
            raise Failure(
                tr("Could not listen to {pattern}: {error}", pattern=self._pattern, error=error)
            ) from error

    async def stop(self) -> None:
        """Answer nothing any more; answers held back are dropped."""
        for handle in self._waiting:
            handle.cancel()
        self._waiting.clear()
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with suppress(errors.Error, OSError):
                await subscription.unsubscribe()

    async def _take(self, request: Msg) -> None:
        if not request.reply:
            self.not_requests += 1
        elif not self._delay:
            await self._answer(request.reply)
        elif len(self._waiting) >= MAX_WAITING:
            self.left_out += 1
            self.problem = tr("{max_waiting:,} answers are held back already", max_waiting=MAX_WAITING)
        else:
            loop = asyncio.get_running_loop()
            handle: asyncio.TimerHandle = loop.call_later(
                self._delay, lambda: self._late(handle, request.reply)
            )
            self._waiting.add(handle)

    def _late(self, handle: asyncio.TimerHandle, reply: str) -> None:
        self._waiting.discard(handle)
        task = asyncio.ensure_future(self._answer(reply))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _answer(self, reply: str) -> None:
        number, self._number = self._number, self._number + 1
        try:
            draft = self._template.make(number)
            headers = dict(draft.headers) or None
            await self._client.publish(reply, draft.payload(), headers=headers)
        except (ValueError, errors.Error, OSError) as error:
            self.left_out += 1
            self.problem = str(error)
        else:
            self.answered += 1
