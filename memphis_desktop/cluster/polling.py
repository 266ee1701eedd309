"""Reading a broker in rounds of a second, what is visible first, within a budget of requests.

A few hundred streams are read whole in each round. Of more, the visible ones are read each round and the rest
in turn; consumers likewise. Advisories tell of changes between rounds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from nats.errors import Error as NatsError

from memphis_desktop.language import tr

from .advisories import AdvisoryFeed
from .asking import Asker, Attention
from .budget import PollBudget
from .consumer_reading import ConsumerReader
from .failures import JETSTREAM_NOT_ENABLED, ApiError, ClusterError, NoResponder, NotConnected
from .model import ConnectionState
from .raft.groups import meta_group
from .raft.model import Quorum
from .state import ClusterState
from .stream_reading import SINGLE_TIMEOUT, WAKE_DELAY, StreamReader
from .sweep import ConsumerSweep

if TYPE_CHECKING:
    from .session import Session

log = logging.getLogger(__name__)

INTERVAL = 1.0
STUCK = 1.5  # seconds after which a round may be interrupted by news
REASON_EVERY = 5.0
SELDOM = 4.0  # seconds between what is asked each second, while all groups are read for the first time
LEAST_TO_BEGIN = 4  # requests that a round before its time must have left


class Poller:
    """The rounds of one session."""

    def __init__(self, session: Session, state: ClusterState) -> None:
        self._session = session
        self._state = state
        self._asker = Asker(session)
        self._attention = Attention()
        self._streams = StreamReader(self._asker, state, self._attention)
        self._sweep = ConsumerSweep(session, self._asker, state)
        self._consumers = ConsumerReader(self._asker, state, self._attention, self._streams, self._sweep)
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._feed = AdvisoryFeed(session, state, self)
        self._round_task: asyncio.Task[None] | None = None
        self._account_asked_at = float("-inf")
        self._turn_at = float("-inf")
        self.rate = 0.0  # requests a second, over the last rounds

    # Control

    @property
    def budget(self) -> PollBudget:
        """What this console may ask, shared with who else asks on the same connection."""
        return self._asker.budget

    def start(self) -> None:
        """Begin the rounds."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="poll rounds")

    async def stop(self) -> None:
        """End the rounds."""
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.interrupt(after=0.0)
        await self._consumers.catch_up.stop()
        await self._sweep.stop()

    def wake(self) -> None:
        """Begin the next round at once."""
        self._wake.set()

    def interrupt(self, after: float = STUCK) -> None:
        """Begin the round anew when it has run for so many seconds: what it waits for may never come now."""
        task = self._round_task
        if task is not None and not task.done() and time.monotonic() - self._asker.round_began >= after:
            task.cancel()
            self.wake()

    def watch(self, stream: str) -> Callable[[], None]:
        """Read a stream and its consumers each round until the result is called."""
        self._attention.watched[stream] += 1
        self.refresh(stream)
        released = False

        def release() -> None:
            nonlocal released
            if not released:
                released = True
                self._attention.watched[stream] -= 1
                if self._attention.watched[stream] <= 0:
                    del self._attention.watched[stream]

        return release

    def set_visible(self, owner: Hashable, streams: tuple[str, ...]) -> None:
        """Set what one view shows; an empty tuple when it shows nothing any more."""
        if not streams:
            self._attention.visible.pop(owner, None)
        elif self._attention.visible.get(owner) != streams:
            before = set(self._attention.visible.get(owner, ()))
            self._attention.visible[owner] = streams
            if not before.issuperset(streams):
                self.wake()

    def is_wanted(self, stream: str) -> bool:
        """Whether somebody looks at a stream."""
        return self._attention.is_wanted(stream)

    def retry_pages(self) -> None:
        """Read the pages of the list of streams that failed again, at once."""
        self._streams.retry()
        self.wake()

    def forget_stream(self, name: str) -> None:
        """A stream was deleted."""
        self._streams.remove(name)
        self.wake()

    def refresh(self, stream: str | None = None) -> None:
        """Read one stream, or whatever is due, as soon as the budget allows."""
        if stream is not None:
            self._attention.dirty.add(stream)
        self.wake()

    # Rounds

    async def _run(self) -> None:
        await self._feed.listen()
        # `stop` forgets the task too: wait_for may swallow a cancellation that meets an answer (until 3.12).
        while self._task is asyncio.current_task():
            started = time.monotonic()
            self._wake.clear()
            if self._session.connected:
                spent_before = self._asker.budget.spent_total
                read = await self._whole_round(started)
                seconds = max(INTERVAL, time.monotonic() - started)
                self.rate = (self._asker.budget.spent_total - spent_before) / seconds
                if read and self._session.state is ConnectionState.CONNECTED:
                    self._state.record_totals()
                else:
                    self._state.record_gap()
                self._session.publish_snapshot()
            else:
                self._state.record_gap()
            if self._task is asyncio.current_task():
                await self._pause(started)

    async def _whole_round(self, started: float) -> bool:
        """Do a round that can be interrupted; returns whether it told the present of all that matters."""
        self._asker.round_began = started
        self._round_task = task = asyncio.create_task(self._round(), name="poll round")
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
        if task.cancelled():
            return False  # interrupted: the next one begins at once
        error = task.exception()
        if error is None:
            return not self._state.lost_lately
        if isinstance(error, NotConnected):
            pass  # the state tells; the next round tries again
        elif isinstance(error, ClusterError | NatsError):
            self._state.fail("round", error)
        else:
            log.error("a polling round failed", exc_info=error)
        self._state.lose(self._streams.losable())
        return False

    async def _pause(self, started: float) -> None:
        """Wait for the rest of the interval; less when something asks to be read and the budget allows."""
        end = started + INTERVAL
        if end <= time.monotonic():
            await asyncio.sleep(0)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(end - time.monotonic()):
                await self._wake.wait()
                await asyncio.sleep(WAKE_DELAY)  # more wishes may come at once
                await asyncio.sleep(self._asker.budget.seconds_until(LEAST_TO_BEGIN))

    async def _round(self) -> None:
        self._state.errors.pop("round", None)
        self._streams.begin()
        headless = self._headless()
        if headless and time.monotonic() - self._account_asked_at >= REASON_EVERY:
            await self._read_account(SINGLE_TIMEOUT)  # for the servers' own words
        if headless or not (self._account_is_fresh() or await self._read_account()):
            if self._state.account is not None:
                await self._streams.read_singly()
            return
        if not (self._state.complete or self._streams.passed):
            await self._streams.first_pass()
        else:
            if self._state.failed_pages:
                await self._streams.read_failed()
            await self._streams.read(in_turn=self._in_turn())
        self._sweep.begin_if_due()
        await self._consumers.read()
        self._consumers.catch_up.begin_if_worth()
        await self._consumers.read_first_undelivered()

    def _account_is_fresh(self) -> bool:
        """Whether asking for the account can wait, since requests are scarce."""
        return (
            self._consumers.catch_up.under_way
            and "account" not in self._state.errors
            and time.monotonic() - self._account_asked_at < SELDOM
        )

    def _in_turn(self) -> bool:
        """Whether streams that nobody looks at have their turn: seldom while requests are scarce."""
        now = time.monotonic()
        if self._consumers.catch_up.under_way and now - self._turn_at < SELDOM:
            return False
        self._turn_at = now
        return True

    def _headless(self) -> bool:
        """Whether the cluster is known to have no meta leader, who answers for lists and the account."""
        meta = meta_group(self._state.raft)
        return self._state.complete and meta is not None and meta.quorum is not Quorum.HELD

    # The account

    async def _read_account(self, timeout: float | None = None) -> bool:
        """Read the account info; False when there is no JetStream to look at."""
        self._account_asked_at = time.monotonic()
        try:
            info, now = await self._asker.ask("INFO", timeout=timeout)
        except NoResponder as error:
            self._nobody_answers(error)
            return False
        except ApiError as error:
            if error.err_code in JETSTREAM_NOT_ENABLED:
                self._no_jetstream(tr("JetStream is not enabled for this account."))
                return False
            self._state.fail("account", error)
            self._state.lose(self._streams.losable())
            return False
        except NotConnected:
            raise
        except ClusterError as error:  # perhaps not permitted; streams may still be
            self._state.fail("account", error)
            return not self._state.complete or self._state.account is None
        for part in ("account", "jetstream"):
            self._state.errors.pop(part, None)
        self._state.take_account(info, now)
        self._state.read_at["account"] = time.time_ns()
        return True

    def _nobody_answers(self, error: NoResponder) -> None:
        """Nobody listens for the API: it is off, or it is elsewhere and the way there is interrupted.

        A domain behind a leaf node comes back with its link; what is known of it stays.
        """
        if self._session.profile.api_prefix == "$JS.API":
            self._no_jetstream(tr("JetStream is not enabled on this server."))
        elif self._state.account is None:
            why = tr("The domain or the API prefix is another, or cannot be reached now.")
            self._no_jetstream(f"{error} {why}")
        else:
            self._state.fail("account", error)
            self._state.lose(self._streams.losable())

    def _no_jetstream(self, reason: str) -> None:
        self._state.errors["jetstream"] = reason
        self._state.account = None
        self._streams.clear()
