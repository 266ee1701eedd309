"""Reading a broker in rounds of a second, what is visible first, within a budget of requests.

A few hundred streams are read whole in each round. Of more, the visible ones are read each round and the rest
in turn; consumers likewise. Advisories tell of changes between rounds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from nats.errors import Error as NatsError

from .advisories import AdvisoryFeed
from .budget import PollBudget
from .failures import (
    CONSUMER_NOT_FOUND,
    JETSTREAM_NOT_ENABLED,
    MESSAGE_NOT_FOUND,
    STREAM_NOT_FOUND,
    ApiError,
    ClusterError,
    NoResponder,
    NotConnected,
)
from .lag import FirstUndelivered, filters
from .model import ConnectionState
from .raft.groups import meta_group
from .raft.model import Quorum
from .state import ClusterState, ConsumerName
from .times import parse_time

if TYPE_CHECKING:
    from .session import Session

log = logging.getLogger(__name__)

T = TypeVar("T")

INTERVAL = 1.0
WAKE_DELAY = 0.05
PAGE = 256
FULL_PASS_PAGES = 2  # so many pages are read in each round; longer lists go in turn
PAGES_IN_TURN = 1  # of a long list, in each round: a page makes work for every server of a cluster
SNAPSHOT_EVERY_PAGES = 8
FIRST_CONSUMERS = 60  # streams whose consumers are read in a round until all were read once
PARALLEL = 6
ROUND_LIMIT = 0.8  # seconds in which a round begins to read consumers
SLICE_SECONDS = 0.005  # work on the loop is interrupted after this
STUCK = 1.5  # seconds after which a round may be interrupted by news
SINGLES = 8  # streams read one by one when nobody looks at any
SINGLE_TIMEOUT = 2.0
REASON_EVERY = 5.0
CONSUMERS_SINGLY = 8
MANY_TO_LOSE = 500
PROBES = 5  # first undelivered messages read in a round
MAX_FILTERS_PROBED = 4


class Poller:
    """The rounds of one session."""

    def __init__(self, session: Session, state: ClusterState) -> None:
        self._session = session
        self._state = state
        self._budget = PollBudget(session.profile.poll_budget)
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._watched: Tally[str] = Tally()
        self._visible: dict[Hashable, tuple[str, ...]] = {}
        self._dirty: set[str] = set()
        self._names: list[str] = []
        self._total = 0
        self._cursor = 0
        self._seen: set[str] = set()
        self._missed: set[str] = set()
        self._read_now: set[str] = set()
        self._consumers_read_at_sequence: dict[str, int] = {}
        self._feed = AdvisoryFeed(session, state, self)
        self._round_task: asyncio.Task[None] | None = None
        self._round_began = 0.0
        self._account_asked_at = float("-inf")
        self.rate = 0.0  # requests a second, over the last rounds

    # Control

    @property
    def budget(self) -> PollBudget:
        """What this console may ask, shared with who else asks on the same connection."""
        return self._budget

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

    def wake(self) -> None:
        """Begin the next round at once."""
        self._wake.set()

    def interrupt(self, after: float = STUCK) -> None:
        """Begin the round anew when it has run for so many seconds: what it waits for may never come now."""
        task = self._round_task
        if task is not None and not task.done() and time.monotonic() - self._round_began >= after:
            task.cancel()
            self.wake()

    def watch(self, stream: str) -> Callable[[], None]:
        """Read a stream and its consumers each round until the result is called."""
        self._watched[stream] += 1
        self.refresh(stream)
        released = False

        def release() -> None:
            nonlocal released
            if not released:
                released = True
                self._watched[stream] -= 1
                if self._watched[stream] <= 0:
                    del self._watched[stream]

        return release

    def set_visible(self, owner: Hashable, streams: tuple[str, ...]) -> None:
        """Set what one view shows; an empty tuple when it shows nothing any more."""
        if not streams:
            self._visible.pop(owner, None)
        elif self._visible.get(owner) != streams:
            before = set(self._visible.get(owner, ()))
            self._visible[owner] = streams
            if not before.issuperset(streams):
                self.wake()

    def is_wanted(self, stream: str) -> bool:
        """Whether somebody looks at a stream."""
        return stream in self._watched or any(stream in shown for shown in self._visible.values())

    def forget_stream(self, name: str) -> None:
        """A stream was deleted."""
        self._remove_stream(name)
        self.wake()

    def refresh(self, stream: str | None = None) -> None:
        """Read one stream, or whatever is due, as soon as the budget allows."""
        if stream is not None:
            self._dirty.add(stream)
        self.wake()

    # Rounds

    async def _run(self) -> None:
        await self._feed.listen()
        # `stop` forgets the task too: wait_for may swallow a cancellation that meets an answer (until 3.12).
        while self._task is asyncio.current_task():
            started = time.monotonic()
            self._wake.clear()
            if self._session.connected:
                spent_before = self._budget.spent_total
                read = await self._whole_round(started)
                seconds = max(INTERVAL, time.monotonic() - started)
                self.rate = (self._budget.spent_total - spent_before) / seconds
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
        self._round_began = started
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
            self._state.errors["round"] = str(error)
        else:
            log.error("a polling round failed", exc_info=error)
        self._state.lose(self._losable())
        return False

    def _losable(self) -> list[str]:
        """The streams whose graphs get a gap when nothing can be read: of very many, those looked at."""
        streams = self._state.streams
        return list(streams) if len(streams) <= MANY_TO_LOSE else self._wanted_streams()

    async def _pause(self, started: float) -> None:
        """Wait for the rest of the interval, less when something asks to be read."""
        remaining = started + INTERVAL - time.monotonic()
        if remaining <= 0:
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(remaining):
                await self._wake.wait()
            await asyncio.sleep(WAKE_DELAY)  # more wishes may come at once
        except TimeoutError:
            pass

    async def _round(self) -> None:
        self._state.errors.pop("round", None)
        self._read_now.clear()
        headless = self._headless()
        if headless and time.monotonic() - self._account_asked_at >= REASON_EVERY:
            await self._read_account(SINGLE_TIMEOUT)  # for the servers' own words
        if headless or not await self._read_account():
            if self._state.account is not None:
                await self._read_singly()
            return
        if not self._state.complete:
            await self._first_pass()
        else:
            await self._read_streams()
        await self._read_consumers()
        await self._read_first_undelivered()

    def _headless(self) -> bool:
        """Whether the cluster is known to have no meta leader, who answers for lists and the account."""
        meta = meta_group(self._state.raft)
        return self._state.complete and meta is not None and meta.quorum is not Quorum.HELD

    async def _ask(
        self, suffix: str, body: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> tuple[dict[str, Any], float]:
        """Make a request on the budget; return the answer and the monotonic time it was asked.

        That is when the figures in it were true: an answer may have waited long for other parts of it.
        """
        self._budget.spend()
        started = time.monotonic()
        answer = await self._session.api(suffix, body, timeout)
        self._budget.answered(time.monotonic() - started)
        return answer, started

    async def _together(
        self, do: Callable[[T], Awaitable[None]], items: Iterable[T], within: float = float("inf")
    ) -> None:
        """Do the same with several items, a few at a time; then raise the first failure.

        None is begun when the round has lasted `within` seconds: what is looked at waits for the next one.
        """
        limit = asyncio.Semaphore(PARALLEL)

        async def one(item: T) -> None:
            async with limit:
                if time.monotonic() - self._round_began < within:
                    await do(item)

        results = await asyncio.gather(*map(one, items), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    # The account

    async def _read_account(self, timeout: float | None = None) -> bool:
        """Read the account info; False when there is no JetStream to look at."""
        self._account_asked_at = time.monotonic()
        try:
            info, now = await self._ask("INFO", timeout=timeout)
        except NoResponder:
            self._no_jetstream("JetStream is not enabled on this server.")
            return False
        except ApiError as error:
            if error.err_code in JETSTREAM_NOT_ENABLED:
                self._no_jetstream("JetStream is not enabled for this account.")
                return False
            self._state.errors["account"] = str(error)
            self._state.lose(self._losable())
            return False
        except NotConnected:
            raise
        except ClusterError as error:  # perhaps not permitted; streams may still be
            self._state.errors["account"] = str(error)
            return not self._state.complete or self._state.account is None
        for part in ("account", "jetstream"):
            self._state.errors.pop(part, None)
        self._state.take_account(info, now)
        self._state.read_at["account"] = time.time_ns()
        return True

    def _no_jetstream(self, reason: str) -> None:
        self._state.errors["jetstream"] = reason
        self._state.account = None
        for name in list(self._state.streams):
            self._state.remove_stream(name)
        self._names.clear()

    # Streams

    async def _read_page(self, offset: int, only: Collection[str] = ()) -> None:
        """Read one page of streams; with `only`, take those and leave the others to their turn."""
        answer, now = await self._ask("STREAM.LIST", {"offset": offset})
        sliced = time.perf_counter()
        for info in answer.get("streams") or []:
            if time.perf_counter() - sliced > SLICE_SECONDS:
                await asyncio.sleep(0)
                sliced = time.perf_counter()
            if only and info["config"]["name"] not in only:
                continue
            name = self._state.take_stream(info, now)
            self._seen.add(name)
            self._read_now.add(name)
        missing = [*(answer.get("missing") or ()), *(answer.get("offline") or ())]
        self._seen.update(missing)
        self._state.lose(missing)
        self._total = int(answer.get("total") or 0)
        self._state.errors.pop("streams", None)
        self._state.read_at["streams"] = time.time_ns()

    async def _first_pass(self) -> None:
        """Read every stream once, beyond the budget: an empty list helps nobody.

        Of a long list the names come first, then the streams that are in view, then the others.
        """
        self._seen.clear()
        await self._read_page(0)
        self._session.publish_snapshot()
        if self._total > PAGE * FULL_PASS_PAGES:
            await self._read_names()
            self._session.publish_snapshot()
            await asyncio.sleep(WAKE_DELAY)  # the view tells what it shows
            pages, singles = self._cover(self._wanted_streams())
            await self._together(self._read_page, [page for page in pages if page])
            await self._together(self._read_stream, singles[:PAGE])
            self._session.publish_snapshot()
        offsets = list(range(PAGE, self._total, PAGE))
        for position in range(0, len(offsets), SNAPSHOT_EVERY_PAGES):
            await self._together(self._read_page, offsets[position : position + SNAPSHOT_EVERY_PAGES])
            self._session.publish_snapshot()
        self._end_pass(atomic=not offsets)
        self._state.complete = True

    async def _read_names(self) -> None:
        offset = 0
        while True:
            answer, _ = await self._ask("STREAM.NAMES", {"offset": offset})
            names = answer.get("streams") or []
            self._state.take_names(names)
            offset += len(names)
            if not names or offset >= int(answer.get("total") or 0):
                break
            await asyncio.sleep(0)
        self._names = sorted(self._state.streams)

    async def _read_streams(self) -> None:
        try:
            if self._total <= PAGE * FULL_PASS_PAGES:
                await self._full_pass()
            else:
                await self._partial_pass()
            await self._read_dirty()
        except NotConnected:
            raise
        except ClusterError as error:
            self._state.errors["streams"] = str(error)

    async def _full_pass(self) -> None:
        self._seen.clear()
        await self._read_page(0)
        for offset in range(PAGE, self._total, PAGE):
            await self._read_page(offset)
        self._end_pass(atomic=self._total <= PAGE)

    async def _partial_pass(self) -> None:
        """Read the pages that hold what is visible, then go on where the last round ended."""
        wanted = self._wanted_streams()
        pages, singles = self._cover(wanted)
        room, seen = max(2, self._budget.left // 3), frozenset(wanted)
        await self._together(lambda page: self._read_page(page, seen), pages[:room])
        await self._together(self._read_stream, singles[:room])
        for _ in range(PAGES_IN_TURN):
            await self._read_page(self._cursor)
            self._cursor += PAGE
            if self._cursor >= self._total:
                self._cursor = 0
                self._end_pass(atomic=False)
                break

    def _wanted_streams(self) -> list[str]:
        """Return the names that somebody looks at, watched ones first, each once."""
        ordered = dict.fromkeys(self._watched)
        for streams in self._visible.values():
            ordered.update(dict.fromkeys(streams))
        return list(ordered)

    def _cover(self, wanted: list[str]) -> tuple[list[int], list[str]]:
        """Choose page offsets for names that lie near each other, and single requests for the others."""
        positions = []
        for name in wanted:
            position = bisect_left(self._names, name)
            if position < len(self._names) and self._names[position] == name:
                positions.append(position)
        positions.sort()
        pages: list[int] = []
        singles: list[str] = []
        index = 0
        while index < len(positions):
            inside = bisect_left(positions, positions[index] + PAGE) - index
            if inside > 2:
                pages.append(positions[index])
            else:
                singles.extend(self._names[p] for p in positions[index : index + inside])
            index += inside
        return pages, singles

    async def _read_singly(self) -> None:
        """Read what somebody looks at from its own leaders, while there is nobody to ask for lists."""
        names = self._wanted_streams() or sorted(self._state.streams)[:SINGLES]
        gone = self._state.raft.gone
        led = [n for n in names if n in self._state.streams and self._state.streams[n].leader not in gone]
        self._state.lose(name for name in self._losable() if name not in led)
        room = max(2, self._budget.left // 2)
        await self._together(self._read_single, led[:room])
        if led:
            self._state.errors.pop("streams", None)

    async def _read_single(self, name: str) -> None:
        try:
            await self._read_stream(name, timeout=SINGLE_TIMEOUT)
            for consumer in sorted(self._state.consumers_of.get(name, ()))[:CONSUMERS_SINGLY]:
                leader = self._state.consumers[name, consumer].leader
                if leader not in self._state.raft.gone and self._budget.left:
                    suffix = f"CONSUMER.INFO.{name}.{consumer}"
                    self._state.take_consumer(*await self._ask(suffix, timeout=SINGLE_TIMEOUT))
        except NotConnected:
            raise
        except ClusterError as error:
            self._state.errors["streams"] = str(error)
            self._state.lose((name,))

    async def _read_stream(self, name: str, timeout: float | None = None) -> None:
        try:
            info, now = await self._ask(f"STREAM.INFO.{name}", timeout=timeout)
        except ApiError as error:
            if error.err_code == STREAM_NOT_FOUND:
                self._remove_stream(name)
                self._dirty.discard(name)
                return
            raise
        self._read_now.add(self._state.take_stream(info, now))

    def _end_pass(self, *, atomic: bool) -> None:
        """Forget streams that are gone: at once after one page, else when two passes have missed them."""
        missed = self._state.streams.keys() - self._seen
        for name in missed if atomic else missed & self._missed:
            self._state.remove_stream(name)
        self._missed = set() if atomic else missed
        self._seen.clear()
        if len(self._names) != len(self._state.streams) or not atomic:
            self._names = sorted(self._state.streams)

    def _remove_stream(self, name: str) -> None:
        self._state.remove_stream(name)
        position = bisect_left(self._names, name)
        if position < len(self._names) and self._names[position] == name:
            del self._names[position]

    async def _read_dirty(self) -> None:
        """Read streams that were just made or changed and that no page brought."""
        unread = [name for name in self._dirty if name not in self._read_now]
        await self._together(self._read_stream, unread[: max(1, self._budget.left // 2)])

    # Consumers

    async def _read_consumers(self) -> None:
        due = self._consumers_due()
        room = max(1, self._budget.left - min(PROBES, self._budget.left // 4))
        if any(name not in self._state.consumers_read_at for name in due[:FIRST_CONSUMERS]):
            room = max(room, FIRST_CONSUMERS)  # like the streams: an empty list helps nobody
        try:
            await self._together(self._read_consumers_of, due[:room], ROUND_LIMIT)
            self._state.errors.pop("consumers", None)
            if due:
                self._state.read_at["consumers"] = time.time_ns()
        except NotConnected:
            raise
        except ClusterError as error:
            self._state.errors["consumers"] = str(error)

    def _consumers_due(self) -> list[str]:
        """Return streams whose consumers should be read, the most pressing first."""
        streams, read_at = self._state.streams, self._state.consumers_read_at
        wanted = set(self._wanted_streams())
        now = time.monotonic()

        def urgency(name: str) -> float:
            snapshot = streams[name]
            age = now - read_at.get(name, now - 3600.0)
            if name in self._dirty:
                return 1e9 + age
            if self._watched.get(name):
                return 1e8 + age
            if name in wanted:
                return 1e6 + age
            moved = snapshot.last_sequence != self._consumers_read_at_sequence.get(name)
            return age * (4.0 if moved else 1.0)

        candidates = [
            name
            for name, snapshot in streams.items()
            if snapshot.consumer_count or self._state.consumers_of.get(name) or name in self._dirty
        ]
        candidates.sort(key=urgency, reverse=True)
        return candidates

    async def _read_consumers_of(self, stream: str) -> None:
        self._dirty.discard(stream)
        snapshot = self._state.streams.get(stream)
        if snapshot is None:
            return
        infos: list[Mapping[str, Any]] = []
        missing: list[str] = []
        while True:
            try:
                answer, now = await self._ask(f"CONSUMER.LIST.{stream}", {"offset": len(infos)})
            except ApiError as error:
                if error.err_code == STREAM_NOT_FOUND:
                    self._remove_stream(stream)
                    return
                if error.err_code == CONSUMER_NOT_FOUND:
                    return
                raise
            page = answer.get("consumers") or []
            infos.extend(page)
            missing.extend(answer.get("missing") or ())
            if not page or len(infos) >= int(answer.get("total") or 0):
                break
        self._state.take_consumers(stream, infos, now, all_of_them=not missing)
        self._consumers_read_at_sequence[stream] = snapshot.last_sequence

    # Lag in seconds

    async def _read_first_undelivered(self) -> None:
        """Read the next message of a few consumers whose lag in seconds is not known exactly."""
        wanted = set(self._wanted_streams())
        due: list[tuple[tuple[bool, bool, int], ConsumerName]] = []
        for key, consumer in self._state.consumers.items():
            if consumer.num_pending and self._state.needs_first_undelivered(key):
                unknown = consumer.lag_seconds is None
                due.append(((key[0] in wanted, unknown, consumer.num_pending), key))
        due.sort(reverse=True)
        room = min(PROBES, self._budget.left)
        await self._together(self._probe, [key for _, key in due[:room]])

    async def _probe(self, key: ConsumerName) -> None:
        consumer = self._state.consumers.get(key)
        if consumer is None:
            return  # deleted while others were looked at
        after = consumer.delivered_stream
        stream = self._state.streams.get(key[0])
        start = max(after + 1, stream.first_sequence if stream else 0)
        found: list[FirstUndelivered] = []
        direct = stream is not None and bool(stream.config.get("allow_direct"))
        for subject in (filters(consumer.config) or (">",))[:MAX_FILTERS_PROBED]:
            try:
                read = await self._time_of_next(key[0], start, subject, direct=direct)
            except NotConnected:
                raise
            except ClusterError as error:
                self._state.errors["lag in seconds"] = str(error)
                return
            if read is not None:
                found.append(FirstUndelivered(after, *read))
        self._state.errors.pop("lag in seconds", None)
        if found:
            self._state.take_first_undelivered(key, min(found, key=lambda first: first.sequence))

    async def _time_of_next(
        self, stream: str, start: int, subject: str, *, direct: bool
    ) -> tuple[int, int] | None:
        """Return sequence and time of the first message from a sequence on; None when there is none.

        A direct get is preferred where the stream allows it: one that finds nothing is no API error.
        """
        body = {"seq": start, "next_by_subj": subject}
        if direct:
            self._budget.spend()
            message = await self._session.request(
                self._session.api_subject(f"DIRECT.GET.{stream}"), orjson.dumps(body)
            )
            headers = message.headers or {}
            sequence, moment = headers.get("Nats-Sequence"), parse_time(headers.get("Nats-Time-Stamp"))
            return (int(sequence), moment) if sequence and moment is not None else None
        try:
            answer, _ = await self._ask(f"STREAM.MSG.GET.{stream}", body)
        except ApiError as error:
            if error.err_code in (MESSAGE_NOT_FOUND, STREAM_NOT_FOUND):
                return None
            raise
        found = answer.get("message") or {}
        moment = parse_time(found.get("time"))
        return (int(found["seq"]), moment) if moment is not None else None
