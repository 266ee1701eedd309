"""Reading the streams of an account: a short list whole in a round, of a long one first what is in view."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Collection

from .asking import Asker, Attention
from .failures import STREAM_NOT_FOUND, ApiError, ClusterError, NotConnected
from .model import FailedPage
from .state import ClusterState

WAKE_DELAY = 0.05
PAGE = 256
NAMES_PAGE = 1024
AGAIN_AT_ONCE = 6
FAILED_AGAIN = 15.0  # seconds after which a page that failed is asked for again by itself
LIST, NAMES = "STREAM.LIST", "STREAM.NAMES"
FULL_PASS_PAGES = 2  # so many pages are read in each round; longer lists go in turn
PAGES_IN_TURN = 1  # of a long list, in each round: a page makes work for every server of a cluster
SNAPSHOT_EVERY_PAGES = 8
SLICE_SECONDS = 0.005  # work on the loop is interrupted after this
SINGLES = 8  # streams read one by one when nobody looks at any
SINGLE_TIMEOUT = 2.0
CONSUMERS_SINGLY = 8
MANY_TO_LOSE = 500


class StreamReader:
    """The streams of one session."""

    def __init__(self, asker: Asker, state: ClusterState, attention: Attention) -> None:
        self._asker = asker
        self._state = state
        self._attention = attention
        self._names: list[str] = []
        self._total = 0
        self._cursor = 0
        self._seen: set[str] = set()
        self._missed: set[str] = set()
        self._read_now: set[str] = set()
        self._passed = False  # whether every page was asked for once
        self._turn_failed = False  # whether a page failed since the list was gone through
        self._retry = False

    @property
    def passed(self) -> bool:
        """Whether the list was gone through once, be it that pages of it failed."""
        return self._passed

    def retry(self) -> None:
        """Ask for the pages that failed in the next round, however lately they did."""
        self._retry = True

    def begin(self) -> None:
        """A round begins."""
        self._read_now.clear()

    def clear(self) -> None:
        """There is no JetStream any more."""
        for name in list(self._state.streams):
            self._state.remove_stream(name)
        self._names.clear()
        self._state.failed_pages.clear()

    def losable(self) -> list[str]:
        """The streams whose graphs get a gap when nothing can be read: of very many, those looked at."""
        streams = self._state.streams
        return list(streams) if len(streams) <= MANY_TO_LOSE else self._attention.wanted()

    async def _read_page(self, offset: int, only: Collection[str] = ()) -> None:
        """Read one page of streams; with `only`, take those and leave the others to their turn."""
        answer, now = await self._asker.ask(LIST, {"offset": offset})
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
        self._state.take_names(missing)  # of those without a leader the first page may know no more
        self._state.lose(missing)
        self._total = int(answer.get("total") or 0)
        self._state.errors.pop("streams", None)
        self._state.read_at["streams"] = time.time_ns()
        self._state.failed_pages.pop((LIST, offset), None)

    async def _try_page(self, offset: int) -> None:
        """Read one page; when that fails, note why and keep what the others bring."""
        try:
            await self._read_page(offset)
        except NotConnected:
            raise
        except ClusterError as error:
            self._turn_failed = True
            self._note_failure(LIST, offset, PAGE, error)

    def _note_failure(self, listing: str, offset: int, size: int, error: ClusterError) -> None:
        total = max(self._total, offset + 1)
        page = FailedPage(listing, offset, size, total, str(error), time.time_ns())
        self._state.failed_pages[listing, offset] = page

    def _waits(self, offset: int) -> bool:
        """Whether a page failed a moment ago: asking each second for what times out would hold up all."""
        page = self._state.failed_pages.get((LIST, offset))
        return page is not None and time.time_ns() - page.at_ns < FAILED_AGAIN * 1e9

    async def read_failed(self) -> None:
        """Read the pages that failed again: those that did so some time ago, or all when told to `retry`."""
        retry, self._retry = self._retry, False
        due: list[int] = []
        for listing, offset in list(self._state.failed_pages):
            if offset >= self._total:
                self._state.failed_pages.pop((listing, offset))
            elif listing == NAMES and retry:
                await self._try_names(offset)
            elif listing == LIST and (retry or not self._waits(offset)):
                due.append(offset)
        await self._asker.together(self._try_page, due if retry else due[:AGAIN_AT_ONCE])
        if not any(listing == LIST for listing, _ in self._state.failed_pages):
            self._state.failed_pages.clear()  # the names came with the pages
            self._state.complete = True

    async def first_pass(self) -> None:
        """Read every stream once, beyond the budget: an empty list helps nobody.

        Of a long list the names come first, then the streams that are in view, then the others.
        """
        self._seen.clear()
        await self._read_page(0)
        self._asker.session.publish_snapshot()
        if self._total > PAGE * FULL_PASS_PAGES:
            await self._read_names()
            self._asker.session.publish_snapshot()
            await asyncio.sleep(WAKE_DELAY)  # the view tells what it shows
            pages, singles = self._cover(self._attention.wanted())
            try:
                await self._asker.together(self._read_page, [page for page in pages if page])
                await self._asker.together(self._read_stream, singles[:PAGE])
            except NotConnected:
                raise
            except ClusterError:
                pass  # they come again below
            self._asker.session.publish_snapshot()
        offsets = list(range(PAGE, self._total, PAGE))
        for position in range(0, len(offsets), SNAPSHOT_EVERY_PAGES):
            await self._asker.together(self._try_page, offsets[position : position + SNAPSHOT_EVERY_PAGES])
            self._asker.session.publish_snapshot()
        self._passed = True
        self._end_pass(atomic=not offsets)
        if not any(listing == LIST for listing, _ in self._state.failed_pages):
            self._state.failed_pages.clear()
            self._state.complete = True

    async def _read_names(self) -> None:
        offset = 0
        while offset < self._total:
            offset += await self._try_names(offset) or NAMES_PAGE
            await asyncio.sleep(0)
        self._names = sorted(self._state.streams)

    async def _try_names(self, offset: int) -> int:
        """Read one page of names; return how many came, which is none when that failed."""
        try:
            answer, _ = await self._asker.ask(NAMES, {"offset": offset})
        except NotConnected:
            raise
        except ClusterError as error:
            self._note_failure(NAMES, offset, NAMES_PAGE, error)
            return 0
        names = answer.get("streams") or []
        self._state.take_names(names)
        self._total = int(answer.get("total") or self._total)
        self._state.failed_pages.pop((NAMES, offset), None)
        return len(names)

    async def read(self, *, in_turn: bool = True) -> None:
        """Read streams again: all of a short list, else what is in view and, `in_turn`, one page more."""
        try:
            if self._total <= PAGE * FULL_PASS_PAGES:
                await self._full_pass()
            else:
                await self._partial_pass(PAGES_IN_TURN if in_turn else 0)
            await self._read_dirty()
        except NotConnected:
            raise
        except ClusterError as error:
            self._state.fail("streams", error)

    async def _full_pass(self) -> None:
        self._seen.clear()
        await self._read_page(0)
        for offset in range(PAGE, self._total, PAGE):
            if self._waits(offset):
                self._turn_failed = True
            else:
                await self._try_page(offset)
        self._end_pass(atomic=self._total <= PAGE)

    async def _partial_pass(self, in_turn: int) -> None:
        """Read the pages that hold what is visible, then go on where the last round ended."""
        wanted = self._attention.wanted()
        pages, singles = self._cover(wanted)
        room, seen = max(2, self._asker.budget.left // 3), frozenset(wanted)
        await self._asker.together(lambda page: self._read_page(page, seen), pages[:room])
        await self._asker.together(self._read_stream, singles[:room])
        for _ in range(in_turn):
            if self._waits(self._cursor):
                self._turn_failed = True
            else:
                await self._try_page(self._cursor)
            self._cursor += PAGE
            if self._cursor >= self._total:
                self._cursor = 0
                self._end_pass(atomic=False)
                break

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

    async def read_singly(self) -> None:
        """Read what somebody looks at from its own leaders, while there is nobody to ask for lists."""
        names = self._attention.wanted() or sorted(self._state.streams)[:SINGLES]
        gone = self._state.raft.gone
        led = [n for n in names if n in self._state.streams and self._state.streams[n].leader not in gone]
        self._state.lose(name for name in self.losable() if name not in led)
        room = max(2, self._asker.budget.left // 2)
        await self._asker.together(self._read_single, led[:room])
        if led:
            self._state.errors.pop("streams", None)

    async def _read_single(self, name: str) -> None:
        try:
            await self._read_stream(name, timeout=SINGLE_TIMEOUT)
            for consumer in sorted(self._state.consumers_of.get(name, ()))[:CONSUMERS_SINGLY]:
                known = self._state.consumers.get((name, consumer))  # it may be deleted meanwhile
                if (
                    known is not None
                    and known.leader not in self._state.raft.gone
                    and self._asker.budget.left
                ):
                    suffix = f"CONSUMER.INFO.{name}.{consumer}"
                    self._state.take_consumer(*await self._asker.ask(suffix, timeout=SINGLE_TIMEOUT))
        except NotConnected:
            raise
        except ClusterError as error:
            self._state.fail("streams", error)
            self._state.lose((name,))

    async def _read_stream(self, name: str, timeout: float | None = None) -> None:
        try:
            info, now = await self._asker.ask(f"STREAM.INFO.{name}", timeout=timeout)
        except ApiError as error:
            if error.err_code == STREAM_NOT_FOUND:
                self.remove(name)
                self._attention.dirty.discard(name)
                return
            raise
        self._read_now.add(self._state.take_stream(info, now))

    def _end_pass(self, *, atomic: bool) -> None:
        """Forget streams that are gone: at once after one page, else when two passes have missed them."""
        whole, self._turn_failed = not self._turn_failed, False
        missed = self._state.streams.keys() - self._seen if whole else set()
        for name in missed if atomic else missed & self._missed:
            self._state.remove_stream(name)
        self._missed = set() if atomic else missed
        self._seen.clear()
        if len(self._names) != len(self._state.streams) or not atomic:
            self._names = sorted(self._state.streams)

    def remove(self, name: str) -> None:
        """A stream is gone."""
        self._state.remove_stream(name)
        position = bisect_left(self._names, name)
        if position < len(self._names) and self._names[position] == name:
            del self._names[position]

    async def _read_dirty(self) -> None:
        """Read streams that were just made or changed and that no page brought."""
        unread = [name for name in self._attention.dirty if name not in self._read_now]
        await self._asker.together(self._read_stream, unread[: max(1, self._asker.budget.left // 2)])
