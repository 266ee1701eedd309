"""One open connection to a broker: requests to it, what is known of it, and how that changes.

A session outlives lost connections: nats-py reconnects for ever, the last snapshot stays with its age and the
reason, and polling goes on when the broker is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError, ConnectionReconnectingError, NoRespondersError
from nats.js import JetStreamContext

from memphis_desktop.language import tr

from .actions import ActionRecord
from .connection import GuardedClient, close_client, open_client
from .expiry import expiries
from .failures import (
    ApiError,
    ConnectionFailure,
    NeedsSystemAccount,
    NoResponder,
    NotConnected,
    NotPermitted,
    ReadOnlyConnection,
    RequestTimeout,
    explain,
)
from .history import History
from .history_store import KEEP_SECONDS, MAX_BYTES, HistoryStore, history_path
from .model import ClusterSnapshot, ConnectionState
from .polling import Poller
from .profiles import ConnectionProfile, without_secret
from .raft.timeline import LeaderEvent
from .raft.watcher import RaftWatcher
from .state import ClusterState

if TYPE_CHECKING:
    from .account.reader import AccountReader
    from .clients.reader import ClientsReader
    from .dead_letters.engine import DeadLetters
    from .dead_letters.later import LaterResends
    from .service_watch import ServiceWatch

log = logging.getLogger(__name__)

_VIOLATION = re.compile(r'permissions violation for (publish|subscription) to "([^"]*)"', re.IGNORECASE)
_REFUSED_SECONDS = 30.0  # so long a refused request is not made again: permissions seldom change
_REFUSALS = 1000  # remembered at most
LEADERS_PATIENCE = 3.0  # seconds to wait for the leader events of earlier runs

Listener = Callable[[ClusterSnapshot], None]
AdvisoryListener = Callable[[str, Mapping[str, Any]], None]
ActionListener = Callable[[ActionRecord], None]


class Session:
    """A connection made from a profile.

    Attributes:
        profile: What it was made from.
        history: The figures of the past.
        nats: The client; usable once `connect` has returned.
        system: A client of the system account, when the profile has credentials for it and they work.
        raft: The watch over the cluster's servers and consensus, with the leader timeline.
        jetstream: nats-py's JetStream context with the profile's API prefix.
    """

    def __init__(
        self,
        profile: ConnectionProfile,
        history_folder: Path | None = None,
        history_keep: tuple[float, int] = (KEEP_SECONDS, MAX_BYTES),
    ) -> None:
        """Make a session; with `history_folder`, figures are kept there across restarts.

        `history_keep` says how long, in seconds, and in how many bytes at most.
        """
        self.profile = profile
        self._refused: dict[str, float] = {}  # subject in lower case -> when the server refused it
        self._asking: dict[str, list[asyncio.Timeout]] = {}  # subject in lower case -> who waits
        self.history = History()
        self._store: HistoryStore | None = None
        if history_folder is not None:
            seconds, most = history_keep
            path = history_path(history_folder, profile.id)
            self._store = HistoryStore(path, self.history, seconds=seconds, most_bytes=most)
        self.state = ConnectionState.CLOSED
        self.detail = tr("not connected")
        self.system: GuardedClient | None = None
        self._client: GuardedClient | None = None
        self._jetstream: JetStreamContext | None = None
        self._cluster = ClusterState(self.history, self._store)
        self._poller = Poller(self, self._cluster)
        self.raft = RaftWatcher(self, self._cluster, self._poller.budget)
        if self._store is not None:
            self.raft.timeline.on_event = self._store.keep_leader_event
        self._listeners: list[Listener] = []
        self._advisory_listeners: list[AdvisoryListener] = []
        self._action_listeners: list[ActionListener] = []
        self._failed_attempts = 0
        self._leaders_brought = False
        self.published_at = float("-inf")  # when the latest snapshot was made, monotonic
        self._dead_letters: DeadLetters | None = None
        self._later: LaterResends | None = None
        self._clients: ClientsReader | None = None
        self._account: AccountReader | None = None
        self._services: ServiceWatch | None = None
        self._folder = history_folder
        self.snapshot: ClusterSnapshot = self._cluster.snapshot(self.state, self.detail, 0.0)

    # The connection

    async def connect(self) -> None:
        """Connect and begin to poll.

        Raises:
            ConnectionFailure: With the step that failed and what to do. The session can be tried again.
        """
        if self._client is not None:
            return
        self._set_state(
            ConnectionState.CONNECTING, tr("connecting to {address}", address=self.profile.address)
        )
        try:
            client = await open_client(
                self.profile,
                self.profile.credentials,
                on_error=self._on_error,
                on_disconnected=self._on_disconnected,
                on_reconnected=self._on_reconnected,
                on_closed=self._on_closed,
            )
        except ConnectionFailure as failure:
            self._set_state(ConnectionState.FAILED, str(failure))
            raise
        except asyncio.CancelledError:
            self._set_state(ConnectionState.CLOSED, tr("connecting was stopped"))
            raise
        self._client = client
        self._jetstream = client.jetstream(
            prefix=self.profile.api_prefix, timeout=self.profile.request_timeout
        )
        self._cluster.expiries = await expiries(self.profile, client)
        await self._connect_system()
        if self._store is not None:
            self._store.start()
            self._bring_leaders(self._store)
        self._set_state(ConnectionState.CONNECTED, "")
        self._poller.start()
        self.raft.start()
        if self._folder is not None:
            await self.later.start()

    def _bring_leaders(self, store: HistoryStore) -> None:
        """Bring the leader events of earlier runs, once."""
        if self._leaders_brought:
            return
        self._leaders_brought = True
        loop = asyncio.get_running_loop()
        self.raft.timeline.hold()
        loop.call_later(
            LEADERS_PATIENCE, self.raft.timeline.release
        )  # a file that cannot be read holds up nothing

        def take(events: list[LeaderEvent], watched: list[tuple[float, float]]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(self.raft.timeline.load, events, watched)

        store.read_leaders(take)

    async def _connect_system(self) -> None:
        """Open the second connection when the profile asks for it; its failure is told, not raised."""
        credentials = self.profile.system_credentials
        if credentials is None:
            return
        self._cluster.errors.pop("system account", None)
        try:
            self.system = await open_client(
                self.profile,
                credentials,
                on_error=self._ignore,
                on_disconnected=self._nothing,
                on_reconnected=self._nothing,
                on_closed=self._nothing,
            )
        except ConnectionFailure as failure:
            self._cluster.errors["system account"] = str(failure)

    @property
    def dead_letters(self) -> DeadLetters:
        """The dead letters of this connection; they listen from the first time somebody asks for them."""
        if self._dead_letters is None:
            from .dead_letters.engine import DeadLetters  # here, since it needs what reads messages

            self._dead_letters = DeadLetters(self)
        return self._dead_letters

    @property
    def later(self) -> LaterResends:
        """Dead letters that wait to be sent again; with a folder, also those of an earlier run."""
        if self._later is None:
            from .dead_letters.later import LaterResends, later_path  # here, as above

            folder = self._folder
            path = later_path(folder, self.profile.id) if folder is not None else None
            self._later = LaterResends(self, path)
        return self._later

    @property
    def clients(self) -> ClientsReader:
        """Who is connected, read while somebody looks."""
        if self._clients is None:
            from .clients.reader import ClientsReader  # here, since few look

            self._clients = ClientsReader(self, self._poller.budget)
        return self._clients

    @property
    def account(self) -> AccountReader:
        """The account and the login of this connection, read while somebody looks."""
        if self._account is None:
            from .account.reader import AccountReader  # here, since few look

            self._account = AccountReader(self, self._poller.budget)
        return self._account

    @property
    def services(self) -> ServiceWatch:
        """The services that answer on this connection; they are asked while somebody uses the watch."""
        if self._services is None:
            from .service_watch import ServiceWatch  # here, since few look

            self._services = ServiceWatch(self, self._poller.budget)
        return self._services

    async def close(self) -> None:
        """Stop polling and close the connection; what is known stays readable."""
        if self._account is not None:
            await self._account.stop()
        if self._clients is not None:
            await self._clients.stop()
        if self._later is not None:
            await self._later.stop()
        await self.raft.stop()
        await self._poller.stop()
        if self._services is not None:
            await self._services.close()
        if self._dead_letters is not None:
            await self._dead_letters.close()
        clients = [client for client in (self._client, self.system) if client is not None]
        self._client = self.system = self._jetstream = None
        for client in clients:
            await close_client(client)
        if self._store is not None:
            await asyncio.to_thread(self._store.close)
        if self.state is not ConnectionState.FAILED:
            self._set_state(ConnectionState.CLOSED, tr("closed"))

    @property
    def store(self) -> HistoryStore | None:
        """What keeps the past on disk; None when nothing does."""
        return self._store

    @property
    def connected(self) -> bool:
        """Whether requests can go out now."""
        return self._client is not None and self._client.is_connected

    @property
    def nats(self) -> Client:
        """The client. Raises `NotConnected` before `connect` and after `close`."""
        if self._client is None:
            raise NotConnected
        return self._client

    @property
    def jetstream(self) -> JetStreamContext:
        """The JetStream context. Raises `NotConnected` before `connect` and after `close`."""
        if self._jetstream is None:
            raise NotConnected
        return self._jetstream

    @property
    def server_info(self) -> Mapping[str, Any]:
        """The INFO of the server this session is connected to; empty before."""
        return self._client._server_info if self._client is not None else {}

    @property
    def server_url(self) -> str:
        """The URL in use, without secrets."""
        url = self._client.connected_url if self._client is not None else None
        return without_secret(url.geturl()) if url is not None else self.profile.address

    async def _on_error(self, error: Exception) -> None:
        if self.state is ConnectionState.RECONNECTING:
            self._failed_attempts += 1
            failure = explain(error, self.profile.address)
            self._set_state(ConnectionState.RECONNECTING, _attempt_text(failure.text, self._failed_attempts))
        else:
            text = str(error).removeprefix("nats: ")
            if "permissions violation" in text.lower():
                self._cluster.errors["permissions"] = text
                self._note_violation(text)
            log.info("connection %s: %s", self.profile.name, text)

    def _note_violation(self, text: str) -> None:
        """Remember what the login may not do; nats-py tells it apart from the request that was refused."""
        found = _VIOLATION.search(text)
        if found is None:
            return
        what, subject = found.groups()
        if what.lower() == "publish":
            self._refused[subject.lower()] = time.monotonic()
            for request in self._asking.get(subject.lower(), ()):
                request.reschedule(asyncio.get_running_loop().time())  # no answer will come
            while len(self._refused) > _REFUSALS:
                self._refused.pop(next(iter(self._refused)))
        elif subject.lower().startswith("$js.event.advisory."):
            self._cluster.errors["advisories"] = tr(
                "This login may not subscribe to {subject}.", subject=subject
            )

    def is_refused(self, subject: str) -> bool:
        """Whether the server refused this subject a moment ago."""
        at = self._refused.get(subject.lower())
        return at is not None and time.monotonic() - at < _REFUSED_SECONDS

    async def _on_disconnected(self) -> None:
        if self._client is not None and not self._client.is_closed:
            self._failed_attempts = 0
            self._poller.interrupt(after=0.0)  # answers to what was asked will not come any more
            self._set_state(
                ConnectionState.RECONNECTING, tr("The connection was lost. Trying to reach it again.")
            )

    async def _on_reconnected(self) -> None:
        self._set_state(ConnectionState.CONNECTED, "")
        self._poller.wake()

    async def _on_closed(self) -> None:
        if self._client is not None:  # not by our own close
            self._client = self._jetstream = None
            await self.raft.stop()
            await self._poller.stop()
            reason = tr("The broker closed the connection.")
            self._set_state(ConnectionState.FAILED, reason)

    async def _ignore(self, error: Exception) -> None:
        log.info("system connection of %s: %s", self.profile.name, error)

    async def _nothing(self) -> None:
        return

    def _set_state(self, state: ConnectionState, detail: str) -> None:
        self.state, self.detail = state, detail
        self.publish_snapshot()

    # What is known

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each new snapshot, on the event loop; the result ends it."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def publish_snapshot(self) -> None:
        """Make a snapshot of what is known now and hand it to the listeners."""
        self.raft.update()
        self.published_at = time.monotonic()
        self.snapshot = self._cluster.snapshot(self.state, self.detail, self._poller.rate)
        for listener in tuple(self._listeners):
            try:
                listener(self.snapshot)
            except Exception:
                log.exception("a listener failed on a snapshot")

    def subscribe_advisories(self, listener: AdvisoryListener) -> Callable[[], None]:
        """Call `listener` with subject and contents of each stream and consumer advisory."""
        self._advisory_listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._advisory_listeners:
                self._advisory_listeners.remove(listener)

        return unsubscribe

    def hand_on_advisory(self, subject: str, advisory: Mapping[str, Any]) -> None:
        """Give an advisory to those who listen for them."""
        for listener in tuple(self._advisory_listeners):
            try:
                listener(subject, advisory)
            except Exception:
                log.exception("a listener failed on an advisory")

    def subscribe_actions(self, listener: ActionListener) -> Callable[[], None]:
        """Call `listener` with the record of each action that is tried on this connection."""
        self._action_listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._action_listeners:
                self._action_listeners.remove(listener)

        return unsubscribe

    def hand_on_action(self, record: ActionRecord) -> None:
        """Give the record of an action to those who listen for them."""
        for listener in tuple(self._action_listeners):
            try:
                listener(record)
            except Exception:
                log.exception("a listener failed on an action")

    def watch_detail(self, stream: str) -> Callable[[], None]:
        """Read this stream and its consumers in every round, until the result is called."""
        return self._poller.watch(stream)

    def set_visible_streams(self, owner: Hashable, streams: Iterable[str]) -> None:
        """Tell which streams a view shows now, so that these are read first; nothing when it is hidden."""
        self._poller.set_visible(owner, tuple(streams))

    def refresh(self, stream: str | None = None) -> None:
        """Read again soon: one stream and its consumers, or everything that is due."""
        self._poller.refresh(stream)

    def retry_pages(self) -> None:
        """Read those pages of the list of streams again that could not be read; the others stay."""
        self._poller.retry_pages()

    def interrupt_reading(self) -> None:
        """Begin a round anew that waits for long already: who should answer is another now."""
        self._poller.interrupt()

    # Requests

    def api_subject(self, suffix: str) -> str:
        """Return the JetStream API subject for ``STREAM.INFO.orders`` and the like."""
        return f"{self.profile.api_prefix}.{suffix}"

    async def api(
        self, suffix: str, body: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> dict[str, Any]:
        """Make a JetStream API request and return its answer.

        Args:
            suffix: The subject behind the API prefix.
            body: The request; None sends an empty one.
            timeout: Seconds to wait, by default the profile's.

        Raises:
            ApiError: The broker refused.
            NoResponder, RequestTimeout: It did not answer.
            ReadOnlyConnection: It would change something on a read-only connection.
            NotConnected: There is no connection.
        """
        return await self._api(self._client, self.api_subject(suffix), body, timeout)

    async def system_api(
        self, suffix: str, body: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> dict[str, Any]:
        """Make a request of the operator's API; raises as `api` does.

        Raises:
            NeedsSystemAccount: There is no login for the system account, or it does not work.
        """
        client = self.raft.system_client
        if client is None:
            raise NeedsSystemAccount
        return await self._api(client, f"$JS.API.{suffix}", body, timeout)

    async def system_command(self, subject: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Have a server do something, on a subject ``$SYS.REQ.SERVER…``; raises as `system_api` does."""
        client = self.raft.system_client
        if client is None:
            raise NeedsSystemAccount
        return await self._api(client, subject, body, None)

    async def _api(
        self, client: Client | None, subject: str, body: Mapping[str, Any] | None, timeout: float | None
    ) -> dict[str, Any]:
        payload = orjson.dumps(body) if body is not None else b""
        message = await self._request(client, subject, payload, None, timeout)
        try:
            answer = orjson.loads(message.data)
        except orjson.JSONDecodeError as error:
            raise ApiError(500, 0, tr("the answer is not JSON"), subject) from error
        if not isinstance(answer, dict):
            raise ApiError(500, 0, tr("the answer is not a JSON object"), subject)
        failure = answer.get("error")
        if failure:
            raise ApiError(
                int(failure.get("code") or 0),
                int(failure.get("err_code") or 0),
                str(failure.get("description") or "request failed"),
                subject,
            )
        return answer

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        *,
        headers: dict[str, str] | None = None,
        timeout: float | None = None,
    ) -> Msg:
        """Make any request; raises as `api` does, but for `ApiError`."""
        return await self._request(self._client, subject, payload, headers, timeout)

    async def system_request(self, subject: str, payload: bytes, timeout: float) -> Msg:
        """Ask a server something as the system account; raises as `system_api` does, but for `ApiError`."""
        client = self.raft.system_client
        if client is None:
            raise NeedsSystemAccount
        return await self._request(client, subject, payload, None, timeout)

    async def _request(
        self,
        client: Client | None,
        subject: str,
        payload: bytes,
        headers: dict[str, str] | None,
        timeout: float | None,
    ) -> Msg:
        if client is None or not client.is_connected:
            raise NotConnected
        seconds = self.profile.request_timeout if timeout is None else timeout
        if client is self._client and self.is_refused(subject):
            raise NotPermitted(subject)
        refusal = asyncio.timeout(None)  # comes about when the server refuses the subject
        key = subject.lower()
        waiting = self._asking.setdefault(key, []) if client is self._client else []
        try:
            async with refusal:
                waiting.append(refusal)
                return await client.request(subject, payload, timeout=seconds, headers=headers)
        except NoRespondersError as error:
            raise NoResponder(subject) from error
        except TimeoutError as error:
            if client is self._client and self.is_refused(subject):
                raise NotPermitted(subject) from error
            raise RequestTimeout(subject, seconds) from error
        except (ConnectionClosedError, ConnectionReconnectingError) as error:
            raise NotConnected from error
        except asyncio.CancelledError:
            if client.is_closed and not _being_cancelled():
                raise NotConnected from None  # nats-py cancels what waits when it closes
            raise
        finally:
            waiting.remove(refusal)
            if not waiting and self._asking.get(key) is waiting:
                del self._asking[key]

    async def publish(
        self, subject: str, payload: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        """Publish a core message; raises `ReadOnlyConnection` or `NotConnected`."""
        self.require_writable()
        try:
            await self.nats.publish(subject, payload, headers=headers)
        except (ConnectionClosedError, ConnectionReconnectingError) as error:
            raise NotConnected from error

    def require_writable(self) -> None:
        """Raise `ReadOnlyConnection` when this connection may not change anything."""
        if self.profile.read_only:
            raise ReadOnlyConnection(self.profile.name)


def _attempt_text(reason: str, attempts: int) -> str:
    count = tr("Attempt {count}, trying again.", count=attempts)
    return f"{reason} {count}"


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
