"""Testing a connection step by step: where exactly it fails, what was seen until then, and what to do.

Each step ends before the next begins; after one that failed the rest is not tried.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError

from memphis_desktop.language import tr, tr_count
from memphis_desktop.proxy import Proxy

from .connection import GuardedClient, client_options, close_client, jwt_expiry, open_client, proxy_of
from .failures import JETSTREAM_NOT_ENABLED, ConnectionFailure, Stage, explain
from .permitted import UserInfo, abilities, expiry, user_info
from .probe import Probe, Target, describe
from .profiles import ConnectionProfile, Credentials

_TIMEOUT = 5.0
_MEMPHIS_TIMEOUT = 2.0
_ROUND_TRIPS = 5
# What the Memphis layer answers on; the constant lives in a package that this one does not know.
_MEMPHIS_STATUS = "$memphis_manage.status"

TITLES = {
    "profile": tr("Read the credentials"),
    "proxy": tr("Proxy"),
    "resolve": tr("Find the host"),
    "connect": tr("Reach the port"),
    "greeting": tr("Greeting"),
    "tls": "TLS",
    "login": tr("Log in"),
    "round_trip": tr("Round trip"),
    "jetstream": "JetStream",
    "permissions": tr("Permissions"),
    "system": tr("System account"),
    "memphis": tr("Memphis layer"),
}
PENDING, RUNNING, PASSED, FAILED, SKIPPED = "pending", "running", "passed", "failed", "skipped"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: ``state`` is pending, running, passed, failed or skipped; ``detail`` is fit to show."""

    key: str
    title: str
    state: str = PENDING
    detail: str = ""
    seconds: float | None = None


class _Skip(Exception):
    """The step does not apply; the text says why."""


class Diagnosis:
    """One run over a profile. ``on_change`` is called with all steps whenever one of them changes."""

    def __init__(
        self, profile: ConnectionProfile, on_change: Callable[[Sequence[Step]], None] = lambda _: None
    ) -> None:
        self.profile = profile
        self._on_change = on_change
        self._address = profile.address
        self._probes: list[Probe] = []
        self._proxy: Proxy | None = None
        self._behind_proxy: dict[str, ConnectionFailure] = {}  # URL -> why the proxy could not get there
        self._client: GuardedClient | None = None
        self._complaints: list[str] = []
        self._user: UserInfo | None = None
        self.steps = [Step(key, TITLES[key]) for key in self._order()]

    def _order(self) -> list[str]:
        """TLS comes before the greeting where the handshake is the first thing that happens."""
        keys = [key for key in TITLES if key != "proxy" or self.profile.proxy.url]
        secure = any(url.startswith("wss://") for url in self.profile.urls[:1])
        if secure or self.profile.tls.handshake_first:
            greeting, tls = keys.index("greeting"), keys.index("tls")
            keys[greeting], keys[tls] = keys[tls], keys[greeting]
        return keys

    @property
    def passed(self) -> bool:
        """Whether nothing failed and everything was tried."""
        return all(step.state in (PASSED, SKIPPED) for step in self.steps)

    async def run(self) -> Sequence[Step]:
        """Carry out the steps; returns them all."""
        work: dict[str, Callable[[], Awaitable[str]]] = {
            "profile": self._read_profile,
            "proxy": self._pass_proxy,
            "resolve": self._resolve,
            "connect": self._connect,
            "greeting": self._greet,
            "tls": self._secure,
            "login": self._log_in,
            "round_trip": self._measure,
            "jetstream": self._ask_jetstream,
            "permissions": self._ask_permissions,
            "system": self._ask_system,
            "memphis": self._ask_memphis,
        }
        try:
            for index, step in enumerate(self.steps):
                if not await self._do(index, work[step.key]):
                    break
        finally:
            for probe in self._probes:
                probe.close()
            if self._client is not None:
                await close_client(self._client)
        return self.steps

    async def _do(self, index: int, work: Callable[[], Awaitable[str]]) -> bool:
        self._set(index, state=RUNNING)
        started = time.perf_counter()
        try:
            detail = await work()
        except _Skip as skip:
            self._set(index, state=SKIPPED, detail=str(skip))
            return True
        except Exception as error:
            failure = explain(error, self._address)
            self._set(index, state=FAILED, detail=str(failure), seconds=time.perf_counter() - started)
            return False
        self._set(index, state=PASSED, detail=detail, seconds=time.perf_counter() - started)
        return True

    def _set(self, index: int, **changes: Any) -> None:
        self.steps[index] = replace(self.steps[index], **changes)
        self._on_change(tuple(self.steps))

    # The servers ------------------------------------------------------------------------------

    async def _read_profile(self) -> str:
        if not self.profile.urls:
            raise ConnectionFailure(Stage.PROFILE, tr("The connection has no server URL."), tr("Add one."))
        proxy = await asyncio.to_thread(proxy_of, self.profile.proxy, self.profile.tls)
        self._proxy = proxy
        self._probes = [Probe(Target(url), self.profile.tls, proxy) for url in self.profile.urls]
        if len({probe.target.websocket for probe in self._probes}) > 1:
            raise ConnectionFailure(
                Stage.PROFILE,
                tr("The URLs mix WebSocket and plain NATS."),
                tr("Use one kind in a connection."),
            )
        await asyncio.to_thread(client_options, self.profile, self.profile.credentials)
        if self.profile.system_credentials is not None:
            await asyncio.to_thread(client_options, self.profile, self.profile.system_credentials)
        kind = self.profile.credentials.kind.value
        if kind == "none":
            return tr("no credentials given")
        ends = await asyncio.to_thread(jwt_expiry, self.profile.credentials)
        if ends is None:
            return tr("logs in with {kind}", kind=kind)
        until = f"{ends:%Y-%m-%d %H:%M}"
        return tr("logs in with {kind}, good until {until} UTC", kind=kind, until=until)

    async def _pass_proxy(self) -> str:
        """Reach the proxy and have it open a way to every server; how that went is told by the next steps."""
        assert self._proxy is not None
        found = await self._proxy.reach(_TIMEOUT)
        outcomes = await asyncio.gather(*(probe.connect() for probe in self._probes), return_exceptions=True)
        refusals: list[ConnectionFailure] = []
        for probe, outcome in zip(self._probes, outcomes, strict=True):
            if isinstance(outcome, Exception):
                failure = explain(outcome, probe.target.address)
                self._behind_proxy[probe.target.url] = failure
                if failure.stage is Stage.PROXY:
                    refusals.append(failure)
            elif outcome is not None:
                raise outcome
        if len(refusals) == len(self._probes):
            raise refusals[0]
        parts = [tr("{address} answers at {found}", address=self._proxy.address, found=found.address)]
        if found.certificate:
            certificate = describe(x509.load_der_x509_certificate(found.certificate))
            parts.append(
                tr("{version}, certificate {certificate}", version=found.tls_version, certificate=certificate)
            )
        if self._proxy.user:
            parts.append(tr("accepted as {user}", user=self._proxy.user))
        return ", ".join(parts)

    async def _resolve(self) -> str:
        if self._proxy is not None:
            raise _Skip(tr("left to the proxy"))
        loop = asyncio.get_running_loop()

        async def resolve(probe: Probe) -> str:
            found = await loop.getaddrinfo(probe.target.host, probe.target.port)
            return ", ".join(sorted({str(entry[4][0]) for entry in found})[:4])

        return await self._try_all(resolve)

    async def _connect(self) -> str:
        async def connect(probe: Probe) -> str:
            if self._proxy is None:
                await probe.connect()
            elif probe.target.url in self._behind_proxy:
                raise self._behind_proxy[probe.target.url]
            return tr("port {port} answers", port=probe.target.port)

        return await self._try_all(connect)

    async def _try_all(self, work: Callable[[Probe], Awaitable[str]]) -> str:
        """Do it with every server at once; those that fail are told and left out, unless all do."""
        outcomes = await asyncio.gather(*(work(probe) for probe in self._probes), return_exceptions=True)
        good: list[tuple[Probe, str]] = []
        bad: list[ConnectionFailure] = []
        for probe, outcome in zip(self._probes, outcomes, strict=True):
            if isinstance(outcome, str):
                good.append((probe, outcome))
            elif isinstance(outcome, Exception):
                bad.append(explain(outcome, probe.target.address))
            elif isinstance(outcome, BaseException):
                raise outcome
        if not good:
            raise bad[0]
        self._probes = [probe for probe, _ in good]
        self._address = self._probes[0].target.address
        parts = [good[0][1]]
        if len(good) > 1:
            more = len(good) - 1
            parts.append(
                tr_count("and {count} more", "and {count} more", more)
                if more > 1
                else tr("and {server}", server=good[1][1])
            )
        return "; ".join([", ".join(parts), *(failure.text.rstrip(".") for failure in bad)])

    @property
    def _probe(self) -> Probe:
        """The first server that can be reached: that which a client takes too."""
        return self._probes[0]

    async def _greet(self) -> str:
        greeting = await self._probe.greet()
        parts = [tr("server {version}", version=greeting.get("version", "?"))]
        name = str(greeting.get("server_name") or "")
        if name and name != greeting.get("server_id"):
            parts.append(name)
        if greeting.get("cluster"):
            parts.append(tr("cluster {name}", name=greeting["cluster"]))
        if greeting.get("auth_required"):
            parts.append(tr("wants a login"))
        if greeting.get("tls_required"):
            parts.append(tr("wants TLS"))
        return ", ".join(parts)

    async def _secure(self) -> str:
        if not self._probe.tls_wanted:
            raise _Skip(tr("not used"))
        return await self._probe.secure()

    # The login --------------------------------------------------------------------------------

    async def _log_in(self) -> str:
        self._client = await self._open(self.profile.credentials)
        self._user = await user_info(self._client)
        if self._user is None:
            return tr("accepted")
        user = self._user.user
        parts = [tr("accepted as {user}", user=user) if user else tr("accepted")]
        parts.append(tr("account {account}", account=self._user.account))
        return ", ".join([*parts, *filter(None, [expiry(self._user.expires_seconds)])])

    async def _open(self, credentials: Credentials) -> GuardedClient:
        async def note(error: Exception) -> None:
            self._complaints.append(str(error).removeprefix("nats: "))

        async def ignore() -> None:
            return

        reachable = tuple(probe.target.url for probe in self._probes)
        return await open_client(
            replace(self.profile, urls=reachable),
            credentials,
            on_error=note,
            on_disconnected=ignore,
            on_reconnected=ignore,
            on_closed=ignore,
        )

    async def _measure(self) -> str:
        client = self._connected()
        trips = []
        for _ in range(_ROUND_TRIPS):
            started = time.perf_counter()
            await client.flush(timeout=round(_TIMEOUT))
            trips.append(time.perf_counter() - started)
        return tr(
            "{best} ms at best, {worst} ms at worst",
            best=f"{min(trips) * 1000:.1f}",
            worst=f"{max(trips) * 1000:.1f}",
        )

    async def _ask_jetstream(self) -> str:
        answer = await self._api("INFO")
        streams, consumers = int(answer.get("streams") or 0), int(answer.get("consumers") or 0)
        parts = [
            tr_count("{count} stream", "{count} streams", streams),
            tr_count("{count} consumer", "{count} consumers", consumers),
        ]
        parts.append(_limits(answer))
        if answer.get("domain"):
            parts.append(tr("domain {name}", name=answer["domain"]))
        return ", ".join(parts)

    async def _ask_permissions(self) -> str:
        """Try the list, which everything begins with, and work out the rest from the user's permissions."""
        await self._api("STREAM.NAMES")
        if self._user is None:
            return tr("may list streams; the server does not tell the rest")
        may, may_not = abilities(self._user, self.profile.api_prefix)
        if not may_not:
            return tr("everything")
        return tr(
            "may {allowed}; may not {denied}",
            allowed=", ".join(may) or tr("list streams"),
            denied=", ".join(may_not),
        )

    async def _ask_system(self) -> str:
        credentials = self.profile.system_credentials
        if credentials is None:
            raise _Skip(tr("no credentials for it; cluster screens show the account's own view"))

        client = await self._open(credentials)
        try:
            answer = await client.request("$SYS.REQ.SERVER.PING", b"", timeout=_TIMEOUT)
            name = json.loads(answer.data)["server"]["name"]
            return tr("accepted, server {name} answers", name=name)
        except NoRespondersError as error:
            raise ConnectionFailure(
                Stage.LOGIN,
                tr("The login works, but it is not the system account."),
                tr("Use its credentials."),
            ) from error
        except NatsTimeoutError as error:
            raise ConnectionFailure(
                Stage.LOGIN,
                tr(
                    "The login works, but no server answers within {seconds} s{complaint}.",
                    seconds=f"{_TIMEOUT:g}",
                    complaint=self._complaint(),
                ),
                tr("The user needs permission for $SYS.REQ.> and its inbox."),
            ) from error
        finally:
            await close_client(client)

    async def _ask_memphis(self) -> str:
        try:
            message = await self._connected().request(_MEMPHIS_STATUS, b"{}", timeout=_MEMPHIS_TIMEOUT)
            answer = json.loads(message.data)
        except (NoRespondersError, NatsTimeoutError, ValueError):
            raise _Skip(tr("nothing of Memphis answers here; plain JetStream works without it")) from None
        version = answer.get("version") if isinstance(answer, dict) else None
        return tr("answers, version {version}", version=version) if version else tr("answers")

    # Helpers ----------------------------------------------------------------------------------

    def _connected(self) -> GuardedClient:
        assert self._client is not None
        return self._client

    async def _api(self, suffix: str) -> dict[str, Any]:
        subject, patience = f"{self.profile.api_prefix}.{suffix}", self.profile.request_timeout
        try:
            message = await self._connected().request(subject, b"", timeout=patience)
        except NoRespondersError as error:
            raise ConnectionFailure(
                Stage.JETSTREAM,
                tr("Nothing answers {subject}.", subject=subject),
                self._domain_advice()
                or tr("Enable JetStream for this account, or set its domain or API prefix."),
            ) from error
        except NatsTimeoutError as error:
            raise ConnectionFailure(
                Stage.JETSTREAM,
                tr(
                    "No answer to {subject} within {seconds} s{complaint}.",
                    subject=subject,
                    seconds=f"{patience:g}",
                    complaint=self._complaint(),
                ),
                tr(
                    "The user needs permission to publish there and to subscribe to its inbox"
                    " (or set the inbox prefix it may use)."
                ),
            ) from error
        answer: dict[str, Any] = json.loads(message.data)
        problem = answer.get("error")
        if problem:
            text = str(problem.get("description", "refused"))
            code = problem.get("err_code")
            off = code in JETSTREAM_NOT_ENABLED
            advice = tr("Enable JetStream on the server and for this account.") if off else ""
            raise ConnectionFailure(
                Stage.JETSTREAM,
                tr("{problem} (error {code}).", problem=text[:1].upper() + text[1:], code=code),
                advice,
            )
        return answer

    def _domain_advice(self) -> str:
        """What the server says of its JetStream domain, when that may be why nothing answers."""
        domain = str(self._connected()._server_info.get("domain") or "")
        if domain and domain != self.profile.jetstream_domain:
            return tr("This server's JetStream domain is {domain}: set that, or none.", domain=domain)
        return ""

    def _complaint(self) -> str:
        """What the server complained of meanwhile, such as a missing permission."""
        return f" ({self._complaints[-1]})" if self._complaints else ""


def _limits(answer: dict[str, Any]) -> str:
    """The storage an account may use, over all tiers, in words."""
    tiers = answer.get("tiers") or {}
    limits = [tier.get("limits") or {} for tier in tiers.values()] or [answer.get("limits") or {}]
    allowed = [int(one.get("max_storage", -1)) for one in limits]
    if any(size < 0 for size in allowed):
        return tr("no limit of storage")
    return tr("{size} GiB of storage allowed", size=f"{sum(allowed) / 2**30:.1f}")


def report(profile: ConnectionProfile, steps: Sequence[Step]) -> str:
    """The outcome as text without secrets, to copy into a ticket."""
    lines = [
        tr(
            "Connection test of {name} ({address}), {time} UTC",
            name=profile.name,
            address=profile.address,
            time=f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        )
    ]
    words = {
        PASSED: tr("passed"),
        FAILED: tr("failed"),
        SKIPPED: tr("skipped"),
        PENDING: tr("not tried"),
        RUNNING: tr("running"),
    }
    width = max(map(len, words.values()))
    for step in steps:
        took = f" [{step.seconds * 1000:.0f} ms]" if step.seconds is not None else ""
        lines.append(
            f"{words.get(step.state, step.state):{width}} {step.title}{took}: {step.detail}".rstrip(": ")
        )
    return "\n".join(lines)
