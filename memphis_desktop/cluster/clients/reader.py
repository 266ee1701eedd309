"""Asking the servers who is connected, while somebody looks, on the session's budget of requests.

With the system account all servers tell of all accounts, and of who comes and goes; any other account is
told of its own connections only (``$SYS.REQ.SERVER.PING.CONNZ`` is imported into every account). Questions
are published with a reply subject and their answers taken when they come.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from memphis_desktop.cluster.budget import PollBudget
from memphis_desktop.cluster.failures import ClusterError, NoResponder, NotPermitted, RequestTimeout
from memphis_desktop.cluster.raft.watcher import CONNECTIONS

from .model import ClientDetail, ClientKey, ClientRecord, EventKind
from .table import CLOSED_KEPT, PAGE, ClientTable

if TYPE_CHECKING:
    from memphis_desktop.cluster.session import Session

log = logging.getLogger(__name__)

PING = CONNECTIONS
LEAFS = "$SYS.REQ.SERVER.PING.LEAFZ"
TICK = 0.25
TOP_EVERY = 2.0
DETAIL_EVERY = 1.0
CLOSED_EVERY = 5.0
LEAFS_EVERY = 5.0
TELL_EVERY = 0.5
TELL_OF_MANY_EVERY = 1.0
MANY = 2000  # connections
PATIENCE = 5.0  # seconds without any answer until that is told
SILENT = 15.0
SAMPLES = 900  # of one connection while it is looked at, one a second
EVENTS = {
    "$SYS.ACCOUNT.*.CONNECT": EventKind.CONNECTED,
    "$SYS.ACCOUNT.*.DISCONNECT": EventKind.DISCONNECTED,
    "$SYS.SERVER.*.CLIENT.AUTH.ERR": EventKind.REFUSED,
}
# Orders that servers know, and whether the largest comes first.
SORTS = {
    "cid": False,
    "start": False,
    "subs": True,
    "pending": True,
    "msgs_to": True,
    "msgs_from": True,
    "bytes_to": True,
    "bytes_from": True,
    "idle": True,
    "uptime": True,
    "rtt": False,
}
Listener = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Wants:
    """What a view looks at.

    Attributes:
        sort: The servers' order that comes nearest to the view's, of `SORTS`.
        descending: Whether the view has the largest first.
        visible: The connections that can be seen now.
        closed: Whether closed ones are looked at.
        detail: The connection that is looked at closely.
    """

    sort: str = "cid"
    descending: bool = False
    visible: tuple[ClientKey, ...] = ()
    closed: bool = False
    detail: ClientKey | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """The rates of one connection at a time, in seconds since 1970."""

    time: float
    record: ClientRecord


class ClientsReader:
    """The connections of one session's servers.

    Attributes:
        table: What is known.
        detail: The connection that is looked at closely, once it was read.
        samples: Its readings since it is looked at.
        problem: Why nothing can be read; None while it can.
        read_at_ns: When the last answer came.
    """

    def __init__(self, session: Session, budget: PollBudget) -> None:
        self._session = session
        self._budget = budget
        self.table = ClientTable()
        self.detail: ClientDetail | None = None
        self.samples: deque[Sample] = deque(maxlen=SAMPLES)
        self.problem: ClusterError | None = None
        self.read_at_ns = 0
        self._wants: dict[Hashable, Wants] = {}
        self._listeners: list[Listener] = []
        self._client: Client | None = None
        self._known_by: Client | None = None  # whose answers the table holds
        self._subscriptions: list[Subscription] = []
        self._inbox = ""
        self._task: asyncio.Task[None] | None = None
        self._due: dict[str, float] = {}
        self._asked_since = 0.0  # the first question that nothing came back to; 0 for none
        self._closed_at = PAGE  # the offset of the closed ones that comes next
        self._sweep_at: int | None = None  # the offset that comes next; None between two sweeps
        self._changed = False
        self._told_at = 0.0

    # Who looks

    @property
    def sees_all(self) -> bool:
        """Whether the system account can be asked: all accounts, and who comes and goes."""
        return self._session.raft.system_client is not None

    def want(self, owner: Hashable, wants: Wants | None) -> None:
        """Set what one view looks at; None when it is hidden."""
        before = self._wants.get(owner)
        if wants is None:
            self._wants.pop(owner, None)
            if not self._wants and self._task is not None:
                self._task.cancel()
                self._task = None
            return
        self._wants[owner] = wants
        if before is None or (before.sort, before.descending) != (wants.sort, wants.descending):
            self._due.pop("top", None)
        if before is None or before.closed != wants.closed:
            self._due.pop("closed", None)
        if before is None or before.detail != wants.detail:
            self._due.pop("detail", None)
            if self.detail is not None and self.detail.key != wants.detail:
                self.detail = None
                self.samples.clear()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="read the clients")

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` when something new is known, at most twice a second; the result ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def refresh(self) -> None:
        """Ask for everything that is looked at again, now."""
        self._due.clear()
        self.problem = None
        self._asked_since = 0.0

    async def stop(self) -> None:
        """End what is under way."""
        task, self._task = self._task, None
        self._wants.clear()
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def is_own(self, key: ClientKey) -> bool:
        """Whether a connection is one of this program's session."""
        session = self._session
        for client in (session._client, session.system):
            if client is not None:
                info = client._server_info
                if (info.get("server_id"), info.get("client_id")) == (key.server_id, key.cid):
                    return True
        return False

    # Rounds

    async def _run(self) -> None:
        await self._session.raft.wait_ready()
        try:
            while True:
                try:
                    await self._tick(time.monotonic())
                except (NatsError, ClusterError) as error:
                    log.debug("reading the clients: %s", error)
                except Exception:
                    log.exception("reading the clients failed")
                await asyncio.sleep(TICK)
        finally:
            await self._unsubscribe()

    async def _tick(self, now: float) -> None:
        if not self._session.connected:
            self._asked_since = 0.0
            return
        await self._listen()
        if self._is_due("top", TOP_EVERY, now):
            await self._ask_tops()
        if self._is_due("visible", TOP_EVERY, now) and self.table.paged:
            visible = [key for wants in self._wants.values() for key in wants.visible]
            for offset in self.table.pages_of(visible)[:3]:
                await self._ask_page("cid", offset, "page")
        await self._sweep(now)
        detail = next((one.detail for one in self._wants.values() if one.detail is not None), None)
        if detail is not None and self._is_due("detail", DETAIL_EVERY, now):
            await self._ask_detail(detail)
        if any(one.closed for one in self._wants.values()):
            await self._ask_closed(now)
        if self.sees_all and self._is_due("leafs", LEAFS_EVERY, now):
            await self._ask(LEAFS, {}, "leafs")
        if self.problem is None and self._asked_since and now - self._asked_since > PATIENCE:
            refused = self._session.is_refused(PING) and not self.sees_all
            self.problem = NotPermitted(PING) if refused else RequestTimeout(PING, PATIENCE)
            self._changed = True
        self.table.forget_silent(now, SILENT)
        every = TELL_EVERY if len(self.table.open) <= MANY else TELL_OF_MANY_EVERY
        if self._changed and now - self._told_at >= every:
            self._told_at, self._changed = now, False
            for listener in tuple(self._listeners):
                listener()

    def _is_due(self, name: str, every: float, now: float) -> bool:
        if now - self._due.get(name, float("-inf")) < every:
            return False
        self._due[name] = now
        return True

    async def _ask_tops(self) -> None:
        """The first page in the order of each view, or the last one where the view runs the other way."""
        asked = set()
        for wants in self._wants.values():
            offset = 0
            if wants.descending != SORTS[wants.sort]:
                offset = max(0, self.table.largest - PAGE)
            asked.add((wants.sort, offset))
        for sort, offset in asked:
            await self._ask_page(sort, offset, "page")

    async def _sweep(self, now: float) -> None:
        """One page more, while half of the budget is left for everything else."""
        if not self.table.paged or self._budget.left < self._budget.limit / 2:
            return
        if self._sweep_at is None or self._sweep_at >= self.table.largest:
            self.table.begin_sweep(now)
            self._sweep_at = 0
        await self._ask_page("cid", self._sweep_at, "sweep")
        self._sweep_at += PAGE

    async def _ask_closed(self, now: float) -> None:
        """The latest again and again; those before them once, page by page."""
        offset = None
        if self._is_due("closed", CLOSED_EVERY, now):
            offset = 0
        elif self._closed_at < min(self.table.closed_largest, CLOSED_KEPT):
            offset = self._closed_at
            self._closed_at += PAGE
        if offset is not None:
            options = {"state": 1, "sort": "stop", "offset": offset, "limit": PAGE, "auth": True}
            await self._ask(PING, options, "closed")

    async def _ask_page(self, sort: str, offset: int, kind: str) -> None:
        options = {"sort": sort, "offset": offset, "limit": PAGE, "auth": True}
        await self._ask(PING, options, f"{kind}-{offset}")

    async def _ask_detail(self, key: ClientKey) -> None:
        options: dict[str, Any] = {"cid": key.cid, "auth": True, "subscriptions_detail": True}
        if self.sees_all:
            subject = f"$SYS.REQ.SERVER.{key.server_id}.CONNZ"
        else:
            subject = PING
            known = self.table.open.get(key)
            if known is not None:  # numbers are each server's own
                options |= {"server_name": known.server, "exact_match": True}
        await self._ask(subject, options, f"detail-{key.server_id}-{key.cid}")

    async def _ask(self, subject: str, options: Mapping[str, Any], token: str) -> None:
        assert self._client is not None  # it listens
        self._budget.spend()
        self._asked_since = self._asked_since or time.monotonic()
        await self._client.publish(subject, orjson.dumps(options), reply=f"{self._inbox}.{token}")

    # Answers

    async def _listen(self) -> None:
        client = self._session.raft.system_client or self._session.nats
        if client is self._client:
            return
        await self._unsubscribe()
        if client is not self._known_by:
            self._closed_at = PAGE
            self.table.clear()  # another login may see others
            self._known_by = client
        self._client, self._inbox = client, client.new_inbox()
        self._subscriptions.append(await client.subscribe(f"{self._inbox}.*", cb=self._take))
        if self.sees_all:
            for subject in EVENTS:
                self._subscriptions.append(await client.subscribe(subject, cb=self._take_event))

    async def _unsubscribe(self) -> None:
        subscriptions, self._subscriptions, self._client = self._subscriptions, [], None
        for one in subscriptions:
            with contextlib.suppress(NatsError):
                await one.unsubscribe()

    async def _take(self, message: Msg) -> None:
        if message.headers and message.headers.get("Status"):
            self.problem = NoResponder(PING)
            self._changed = True
            return
        kind, _, rest = message.subject.rpartition(".")[2].partition("-")
        now = time.monotonic()
        with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
            answer = orjson.loads(message.data)
            if kind in ("page", "sweep"):
                self.table.take_page(answer, int(rest), sweeping=kind == "sweep", now=now)
            elif kind == "leafs":
                self.table.take_leafs(answer, now)
            elif kind == "closed":
                self.table.take_closed(answer)
            elif kind == "detail":
                server_id, _, cid = rest.rpartition("-")
                self._take_detail(answer, ClientKey(server_id, int(cid)), now)
            self.problem, self._asked_since, self.read_at_ns = None, 0.0, time.time_ns()
            self._changed = True

    def _take_detail(self, answer: Mapping[str, Any], key: ClientKey, now: float) -> None:
        wanted = any(one.detail == key for one in self._wants.values())
        if not wanted or (answer["server"]["id"] != key.server_id):
            return
        self.detail = self.table.take_detail(answer, key, now)
        record = self.detail.record
        if record is not None:
            at = record.read_at_ns / 1e9
            if not self.samples or at > self.samples[-1].time:
                self.samples.append(Sample(at, record))

    async def _take_event(self, message: Msg) -> None:
        end = message.subject.rpartition(".")[2]
        kinds = {"CONNECT": EventKind.CONNECTED, "DISCONNECT": EventKind.DISCONNECTED}
        with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
            told = orjson.loads(message.data)
            self.table.take_event(kinds.get(end, EventKind.REFUSED), told, time.time_ns(), time.monotonic())
            self._changed = True
