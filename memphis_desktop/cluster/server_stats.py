"""What servers say of themselves: connections and traffic of the own account, or of whole servers.

An ordinary account may ask ``$SYS.REQ.ACCOUNT.PING.STATZ``, which every server answers with the figures of
that account; their sum is shown. With system credentials the server in use is asked for its own figures.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import orjson
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from memphis_desktop.language import tr

from .counter import Counter
from .model import ServerSnapshot
from .state import ClusterState

if TYPE_CHECKING:
    from .session import Session

ACCOUNT_STATISTICS = "$SYS.REQ.ACCOUNT.PING.STATZ"
EVERY_SERVER = b'{"include_unused":true}'  # those without a client of the account answer too
FORGET_AFTER = 5.0  # seconds without an answer until a server's figures do not count any more
RETRY_AFTER = 30.0  # seconds until a broker that does not answer is asked again
RTT_EVERY = 3.0
RTT_LIMIT = 2.0

AnswerListener = Callable[[Mapping[str, Any], tuple[float | None, ...], int, int], None]


class _Figures:
    """The traffic of one server, with its rates."""

    def __init__(self) -> None:
        self.counters = [Counter() for _ in range(4)]
        self.rates: list[float | None] = [None] * 4
        self.connections = 0
        self.slow_consumers = 0
        self.memory: int | None = None
        self.cpu: float | None = None
        self.read_at = 0.0

    def take(self, received: Mapping[str, Any], sent: Mapping[str, Any], now: float) -> None:
        values = (received.get("msgs"), sent.get("msgs"), received.get("bytes"), sent.get("bytes"))
        self.rates = [
            counter.read(int(value or 0), now) for counter, value in zip(self.counters, values, strict=True)
        ]
        self.read_at = now


class ServerStatistics:
    """Asks for these figures without waiting: answers count from the next round on."""

    def __init__(self, session: Session, state: ClusterState, on_answer: AnswerListener) -> None:
        """Each server's answer is handed to `on_answer` with its rates, connections and slow consumers."""
        self._session = session
        self._state = state
        self._on_answer = on_answer
        self._inbox = ""
        self._system_inbox = ""
        self._servers: dict[str, _Figures] = {}
        self._own: _Figures | None = None
        self._refused_at = float("-inf")
        self._rtt: float | None = None
        self._rtt_at = float("-inf")
        self._measuring: asyncio.Task[None] | None = None

    async def listen(self) -> None:
        """Subscribe to the answers, once for the life of the connection."""
        client = self._session.nats
        self._inbox = client.new_inbox()
        with contextlib.suppress(NatsError):
            await client.subscribe(self._inbox, cb=self._take_account)
        system = self._session.system
        if system is not None:
            self._system_inbox = system.new_inbox()
            with contextlib.suppress(NatsError):
                await system.subscribe(self._system_inbox, cb=self._take_server)

    async def ask(self) -> None:
        """Send the question of this round, measure the round trip now and then, and update the server."""
        now = time.monotonic()
        if self._session.is_refused(ACCOUNT_STATISTICS):
            self._state.errors["servers"] = tr(
                "This login may not ask the servers ({subject}).", subject=ACCOUNT_STATISTICS
            )
        elif now - self._refused_at > RETRY_AFTER:
            await self._session.nats.publish(ACCOUNT_STATISTICS, EVERY_SERVER, reply=self._inbox)
        system = self._session.system
        if system is not None and system.is_connected:
            server_id = self._session.server_info.get("server_id", "")
            await system.publish(f"$SYS.REQ.SERVER.{server_id}.STATSZ", b"", reply=self._system_inbox)
        if now - self._rtt_at >= RTT_EVERY and (self._measuring is None or self._measuring.done()):
            self._measuring = asyncio.create_task(self._measure_rtt(now), name="measure the round trip")
        self._update(time.monotonic())

    async def stop(self) -> None:
        """End what is under way."""
        if self._measuring is not None:
            self._measuring.cancel()
            await asyncio.gather(self._measuring, return_exceptions=True)

    async def _measure_rtt(self, now: float) -> None:
        """Time a PING. Not with `flush`: a PONG that comes after its timeout would break the connection."""
        self._rtt_at = now
        answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        await self._session.nats._send_ping(answered)
        await asyncio.wait({answered}, timeout=RTT_LIMIT)
        self._rtt = time.monotonic() - now if answered.done() else None
        if answered.done():
            self._state.read_at["server"] = time.time_ns()

    async def _take_account(self, message: Msg) -> None:
        now = time.monotonic()
        if message.headers and message.headers.get("Status"):
            self._refused_at = now  # nobody answers: an older server, or not permitted
            return
        with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            answer = orjson.loads(message.data)
            self._state.errors.pop("servers", None)
            accounts = answer["data"]["account_statz"] or []
            figures = self._servers.setdefault(str(answer["server"]["id"]), _Figures())
            received: dict[str, int] = {"msgs": 0, "bytes": 0}
            sent: dict[str, int] = {"msgs": 0, "bytes": 0}
            figures.connections = figures.slow_consumers = 0
            for account in accounts:
                figures.connections += int(account.get("conns") or 0)
                figures.slow_consumers += int(account.get("slow_consumers") or 0)
                for total, part in ((received, account["received"]), (sent, account["sent"])):
                    total["msgs"] += int(part.get("msgs") or 0)
                    total["bytes"] += int(part.get("bytes") or 0)
            figures.take(received, sent, now)
            rates = tuple(figures.rates)
            self._on_answer(answer, rates, figures.connections, figures.slow_consumers)

    async def _take_server(self, message: Msg) -> None:
        if message.headers and message.headers.get("Status"):
            return
        with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            statistics = orjson.loads(message.data)["statsz"]
            figures = self._own = self._own or _Figures()
            figures.connections = int(statistics.get("connections") or 0)
            figures.slow_consumers = int(statistics.get("slow_consumers") or 0)
            figures.memory = int(statistics["mem"]) if "mem" in statistics else None
            figures.cpu = float(statistics["cpu"]) if "cpu" in statistics else None
            figures.take(statistics["received"], statistics["sent"], time.monotonic())

    def _update(self, now: float) -> None:
        for name in [n for n, figures in self._servers.items() if now - figures.read_at > FORGET_AFTER]:
            del self._servers[name]
        own = self._own if self._own is not None and now - self._own.read_at <= FORGET_AFTER else None
        counted = [own] if own is not None else list(self._servers.values())
        info = self._session.server_info
        self._state.server = ServerSnapshot(
            server_id=str(info.get("server_id", "")),
            name=str(info.get("server_name", "")),
            version=str(info.get("version", "")),
            url=self._session.server_url,
            cluster=info.get("cluster") or None,
            rtt_seconds=self._rtt,
            connections=sum(figures.connections for figures in counted) if counted else None,
            in_messages_rate=_sum_rates(counted, 0),
            out_messages_rate=_sum_rates(counted, 1),
            in_bytes_rate=_sum_rates(counted, 2),
            out_bytes_rate=_sum_rates(counted, 3),
            slow_consumers=sum(figures.slow_consumers for figures in counted) if counted else None,
            memory=own.memory if own else None,
            cpu_percent=own.cpu if own else None,
        )


def _sum_rates(figures: list[_Figures], position: int) -> float | None:
    rates = [known for item in figures if (known := item.rates[position]) is not None]
    return sum(rates) if rates else None
