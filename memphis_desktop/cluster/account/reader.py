"""Asking about the account of a connection while somebody looks, on the session's budget of requests.

Any account is told of itself: as whom it is taken (USER.INFO), its connections (STATZ), its JetStream. Its
exports, imports and JWT are told to the system account only.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from memphis_desktop.cluster.budget import PollBudget
from memphis_desktop.cluster.failures import ClusterError

from . import reading
from .model import AccountFacts, Sharing, Usage, User
from .token import TokenFacts, decode, of_login

if TYPE_CHECKING:
    from memphis_desktop.cluster.session import Session

log = logging.getLogger(__name__)

STATISTICS = "$SYS.REQ.ACCOUNT.PING.STATZ"
USER = "$SYS.REQ.USER.INFO"
EVERY = 3.0
SELDOM = 15.0  # what changes with the configuration only
FORGET_AFTER = 10.0
Listener = Callable[[], None]


class AccountReader:
    """The account of one session.

    Attributes:
        facts: What is known now; replaced as a whole.
    """

    def __init__(self, session: Session, budget: PollBudget) -> None:
        self._session = session
        self._budget = budget
        self.facts = AccountFacts()
        self._owners: set[Hashable] = set()
        self._listeners: list[Listener] = []
        self._task: asyncio.Task[None] | None = None
        self._subscription: Subscription | None = None
        self._client: Client | None = None
        self._inbox = ""
        self._seldom_at = float("-inf")
        self._statistics: dict[str, tuple[float, Mapping[str, Any]]] = {}
        self._user: User | None = None
        self._jetstream: tuple[Usage, ...] = ()
        self._api: Mapping[str, Any] = {}
        self._enabled: bool | None = None
        self._token: TokenFacts | None = None
        self._token_problem = ""
        self._account_token: TokenFacts | None = None
        self._sharings: tuple[Sharing, ...] | None = None
        self._problems: dict[str, str] = {}
        self._read_at_ns = 0

    def watch(self, owner: Hashable, watching: bool) -> None:
        """Read while at least one looks."""
        (self._owners.add if watching else self._owners.discard)(owner)
        if watching and (self._task is None or self._task.done()):
            self._seldom_at = float("-inf")
            self._task = asyncio.get_running_loop().create_task(self._run(), name="read the account")
        elif not self._owners and self._task is not None:
            self._task.cancel()
            self._task = None

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` when something new is known; the result ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def refresh(self) -> None:
        """Ask for everything anew."""
        self._seldom_at = float("-inf")
        if self._owners and self._task is not None:
            self._task.cancel()
            self._task = asyncio.get_running_loop().create_task(self._run(), name="read the account")

    async def stop(self) -> None:
        """End what is under way."""
        self._owners.clear()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        await self._session.raft.wait_ready()
        try:
            while True:
                if self._session.connected:
                    try:
                        await self._round(time.monotonic())
                    except (NatsError, ClusterError) as error:
                        log.debug("reading the account: %s", error)
                    except Exception:
                        log.exception("reading the account failed")
                await asyncio.sleep(EVERY)
        finally:
            subscription, self._subscription, self._client = self._subscription, None, None
            if subscription is not None:
                with contextlib.suppress(NatsError):
                    await subscription.unsubscribe()

    async def _round(self, now: float) -> None:
        await self._listen()
        if self._client is not None and (account := self._account):
            self._budget.spend()
            question = orjson.dumps({"accounts": [account], "include_unused": True})
            await self._client.publish(STATISTICS, question, reply=self._inbox)
        await self._read_jetstream()
        if now - self._seldom_at >= SELDOM:
            self._seldom_at = now
            await self._read_user()
            await self._read_token()
            await self._read_detail()
        self._tell()

    @property
    def _account(self) -> str:
        """The account's key; the server may not tell it to a login with few permissions."""
        return self._user.account if self._user is not None else self._session.raft.account

    async def _listen(self) -> None:
        client: Client = self._session.raft.system_client or self._session.nats
        if client is not self._client:
            self._client, self._inbox = client, client.new_inbox()
            self._subscription = await client.subscribe(self._inbox, cb=self._take_statistics)

    async def _take_statistics(self, message: Msg) -> None:
        if message.headers and message.headers.get("Status"):
            return
        with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError):
            answer = orjson.loads(message.data)
            first = not self._statistics
            self._statistics[str(answer["server"]["id"])] = (time.monotonic(), answer)
            self._read_at_ns = time.time_ns()
            if first:
                self._tell()

    async def _ask(self, subject: str) -> Mapping[str, Any]:
        self._budget.spend()
        message = await self._session.request(subject, timeout=3.0)
        answer = orjson.loads(message.data)
        return answer if isinstance(answer, dict) else {}

    async def _read_jetstream(self) -> None:
        self._budget.spend()
        try:
            info = await self._session.api("INFO")
            self._jetstream = tuple(reading.jetstream(info))
            self._api, self._enabled = info.get("api") or {}, True
            self._problems.pop("jetstream", None)
            self._read_at_ns = time.time_ns()
        except ClusterError as error:
            self._problems["jetstream"] = str(error)
            self._enabled = False if not self._jetstream else self._enabled
        except (TypeError, ValueError, AttributeError) as error:
            log.info("the account's JetStream makes no sense: %s", error)

    async def _read_user(self) -> None:
        try:
            self._user = reading.user((await self._ask(USER)).get("data") or {})
            self._problems.pop("user", None)
        except ClusterError as error:
            self._problems["user"] = str(error)
        except (TypeError, ValueError, AttributeError) as error:
            log.info("the answer to %s makes no sense: %s", USER, error)

    async def _read_token(self) -> None:
        self._token_problem = ""
        try:
            self._token = await asyncio.to_thread(of_login, self._session.profile.credentials)
        except ClusterError as error:
            self._token_problem = str(error)

    async def _read_detail(self) -> None:
        account = self._account
        if self._session.raft.system_client is None or not account:
            return
        self._budget.spend()
        try:
            subject = f"$SYS.REQ.ACCOUNT.{account}.INFO"
            message = await self._session.system_request(subject, b"", 3.0)
            detail = (orjson.loads(message.data) or {}).get("data") or {}
            self._sharings = reading.sharings(detail)
            token = detail.get("jwt")
            self._account_token = decode(str(token)) if token else None
            self._problems.pop("detail", None)
        except ClusterError as error:
            self._problems["detail"] = str(error)
        except (TypeError, ValueError, AttributeError) as error:
            log.info("the account's details make no sense: %s", error)

    def _tell(self) -> None:
        now = time.monotonic()
        fresh = [answer for at, answer in self._statistics.values() if now - at <= FORGET_AFTER]
        totals = {}
        with contextlib.suppress(TypeError, ValueError, AttributeError):
            totals = reading.statistics(fresh) if fresh else {}
        payload = self._session.server_info.get("max_payload")
        self.facts = AccountFacts(
            user=self._user,
            usages=(
                *self._jetstream,
                *reading.account_limits(totals, self._account_token),
                *reading.user_limits(self._token, int(payload) if payload else None),
            ),
            sharings=self._sharings,
            token=self._token,
            token_problem=self._token_problem,
            account_token=self._account_token,
            jetstream=self._enabled,
            api_errors=self._api.get("errors"),
            api_total=self._api.get("total"),
            slow_consumers=totals.get("slow_consumers"),
            totals=totals,
            problems=dict(self._problems),
            read_at_ns=self._read_at_ns,
        )
        for listener in tuple(self._listeners):
            listener()
