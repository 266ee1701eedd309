"""One client at the front door: login, a session on the cluster, and bytes both ways."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import TYPE_CHECKING

from memphis_desktop.protocol import framing
from memphis_desktop.protocol.connect import ConnectOptions, info_line
from memphis_desktop.protocol.errors import ProtocolError
from memphis_desktop.protocol.memphis import (
    AUTHORIZATION_VIOLATION,
    Access,
    Admission,
    ClientName,
    LoginAttempt,
    Session,
)
from memphis_desktop.stations.front_door.client_stream import ClientStream
from memphis_desktop.stations.front_door.server_stream import ServerStream
from memphis_desktop.stations.front_door.upstream import ClusterAway, Upstream

if TYPE_CHECKING:
    from memphis_desktop.stations.front_door.door import FrontDoor

log = logging.getLogger(__name__)

MAX_CONNECT_LINE = 8192
WRITE_BUFFER = 512 * 1024  # bytes that may wait for either side before the other one is paused
_MAX_EARLY = 64 * 1024  # bytes a client may send before it is let in
_MAX_ERRORS = 100  # that wait to be told
_MAX_STEPS = 4  # pieces of slow work that a login may take
_FAREWELL = 1.0  # seconds a client has to take an error and close
CLUSTER_AWAY = "The cluster is not available, try again later"
TOO_MANY = "maximum connections exceeded"


class ClientSession(asyncio.Protocol):
    """The front door's end of one client's connection."""

    def __init__(self, door: FrontDoor) -> None:
        self._door = door
        self.number = 0
        self.address = ""
        self.transport: asyncio.Transport | None = None
        self.access: Access | None = None
        self.session: Session | None = None
        self._early = b""
        self._login: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._upstream: Upstream | None = None
        self._to_server: ClientStream | None = None
        self._from_server: ServerStream | None = None  # of limited users, who are told errors in between
        self._errors: list[bytes] = []
        self._paused = False  # the client takes less than is sent to it
        self._closed = False

    # -- the client's connection -----------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client, which may have to secure the connection first."""
        if self.transport is not None:  # secured
            self.transport = transport  # type: ignore[assignment]
            return
        self.transport = transport  # type: ignore[assignment]
        assert self.transport is not None
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        entered = self._door.enter(self)
        self.transport.write(info_line(self._door.info(self)))  # clients expect it before any error
        if not entered:
            self.refuse(TOO_MANY)
            return
        self._deadline = asyncio.get_running_loop().call_later(self._door.login_timeout, self._too_late)
        if self._door.tls is not None:
            self.transport.pause_reading()
            self._login = asyncio.get_running_loop().create_task(self._secure(self._door.tls))

    async def _secure(self, context: ssl.SSLContext) -> None:
        assert self.transport is not None
        try:
            loop = asyncio.get_running_loop()
            secured = await loop.start_tls(self.transport, self, context, server_side=True)
        except (OSError, ssl.SSLError) as error:
            log.debug("%s: TLS failed: %s", self.address, error)
            self.close()
            return
        self._login = None
        if secured is None:
            self.close()
            return
        self.transport = secured
        secured.set_write_buffer_limits(high=WRITE_BUFFER)
        if self._early:
            self._begin_login()

    def data_received(self, data: bytes) -> None:
        """Take what the client sends."""
        if self._to_server is not None:
            self._forward(data)
            return
        if self._closed:
            return
        self._early += data
        if self._login is None:
            self._begin_login()
        elif len(self._early) > _MAX_EARLY and self.transport is not None:
            self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self.transport = None
        self._leave()
        self._door.leave(self)

    def pause_writing(self) -> None:
        """The client takes less than is sent to it: the server has to wait."""
        self._paused = True
        if self._upstream is not None and self._upstream.transport is not None:
            self._upstream.transport.pause_reading()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._paused = False
        if self._upstream is not None and self._upstream.transport is not None:
            self._upstream.transport.resume_reading()

    # -- login -----------------------------------------------------------------------------------------------
    def _too_late(self) -> None:
        if self._to_server is None:
            self.refuse("Authentication Timeout")

    def _begin_login(self) -> None:
        line, end, rest = self._early.partition(b"\n")
        if not end:
            if len(self._early) > MAX_CONNECT_LINE:
                self.refuse(AUTHORIZATION_VIOLATION)
            return
        self._early = rest
        verb, _, document = line.strip().partition(b" ")
        if verb.upper() != b"CONNECT" or len(line) > MAX_CONNECT_LINE:
            self.refuse(AUTHORIZATION_VIOLATION)
            return
        try:
            given = ConnectOptions.parse(document)
        except ProtocolError as error:
            self.refuse(error.text or AUTHORIZATION_VIOLATION)
            return
        self._login = asyncio.get_running_loop().create_task(self._log_in(given))

    async def _log_in(self, given: ConnectOptions) -> None:
        try:
            directory = self._door.directory
            if directory is None:
                raise ClusterAway("the users could not be read yet")
            admission = await self._identify(given)
            if admission is None:
                self.refuse(AUTHORIZATION_VIOLATION)
                return
            upstream = await self._door.cluster.open_session(given)
        except ClusterAway as error:
            log.warning("%s: no session on the cluster: %s", self.address, error)
            self.refuse(CLUSTER_AWAY)
            return
        except Exception:
            log.exception("%s: login failed", self.address)
            self.refuse(CLUSTER_AWAY)
            return
        if self._closed or self.transport is None or upstream.lost:  # one of the two is gone meanwhile
            self.close()
            if upstream.transport is not None:
                upstream.transport.close()
            return
        self._join(given, admission, upstream)

    async def _identify(self, given: ConnectOptions) -> Admission | None:
        directory = self._door.directory
        if directory is None or given.account or given.new_account:
            return None
        attempt = LoginAttempt(given, self.address)
        for _ in range(_MAX_STEPS):
            outcome = directory.identify(attempt)
            if outcome is None or isinstance(outcome, Admission):
                return outcome
            await asyncio.get_running_loop().run_in_executor(self._door.login_threads, outcome)
        return None

    def _join(self, given: ConnectOptions, admission: Admission, upstream: Upstream) -> None:
        """Connect the two sides."""
        assert self.transport is not None
        assert upstream.transport is not None
        assert self._door.directory is not None
        if self._deadline is not None:
            self._deadline.cancel()
        self._upstream, self.access = upstream, admission.access
        self._to_server = ClientStream(admission.access, int(upstream.info.get("max_payload") or 1 << 20))
        if admission.access.limited:
            self._from_server = ServerStream()
        upstream.on_lost, upstream.on_pause = self._server_lost, self._server_paused
        upstream.on_data = self._from_cluster if admission.access.limited else self.transport.write
        upstream.transport.set_write_buffer_limits(high=WRITE_BUFFER)
        name = ClientName.parse(given.name)
        self.session = Session(
            self.number,
            name.connection_id if name is not None else "",
            admission.user,
            given.lang,
            given.version,
            self.address,
        )
        self._door.directory.connected(self.session)
        if given.verbose:
            self.transport.write(framing.OK)
        rest = upstream.take_rest()
        if rest:
            upstream.on_data(rest)
        early, self._early = self._early, b""
        if early:
            self._forward(early)
        if self._paused:
            upstream.transport.pause_reading()
        if not self._closed and not upstream.paused:
            self.transport.resume_reading()

    # -- bytes both ways -------------------------------------------------------------------------------------
    def _forward(self, data: bytes) -> None:
        stream, upstream = self._to_server, self._upstream
        if stream is None or upstream is None or upstream.transport is None or self._closed:
            return
        try:
            passed = stream.feed(data)
        except ProtocolError as error:
            self.refuse(error.text)
            return
        if passed:
            upstream.transport.write(passed)
        if stream.errors:
            self._errors += stream.errors[: max(_MAX_ERRORS - len(self._errors), 0)]
            stream.errors.clear()
            if self._from_server is not None and self._from_server.between:
                self._tell_errors()

    def _tell_errors(self) -> None:
        if self.transport is not None:
            self.transport.write(b"".join(self._errors))
        self._errors.clear()

    def _from_cluster(self, data: bytes) -> None:
        """Pass on what the server sends to a limited user, with errors put in where they fit."""
        stream, transport = self._from_server, self.transport
        if stream is None or transport is None:
            return
        boundary = stream.feed(data)
        if not self._errors or not boundary:
            transport.write(data)
            return
        transport.write(data[:boundary])
        self._tell_errors()
        if boundary < len(data):
            transport.write(data[boundary:])

    def _server_paused(self, paused: bool) -> None:
        """The server takes less than the client sends: the client has to wait."""
        if self.transport is not None and not self._closed:
            if paused:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def _server_lost(self) -> None:
        """The server is gone: the client comes back, and to another one."""
        self.close()

    # -- the end ---------------------------------------------------------------------------------------------
    def refuse(self, text: str | None) -> None:
        """Tell the client an error, where one can be told, and close.

        What the client sends meanwhile is still read: closing with unread bytes would take the error with it.
        """
        transport = self.transport
        if self._closed or transport is None:
            return
        if text is None or (self._from_server is not None and not self._from_server.between):
            self.close()
            return
        transport.write(framing.error_line(text))
        if not transport.can_write_eof():  # TLS
            self.close()
            return
        transport.write_eof()
        transport.resume_reading()
        asyncio.get_running_loop().call_later(_FAREWELL, transport.close)
        self._leave()

    def close(self) -> None:
        """Close both sides once what is on its way has been written."""
        if self.transport is not None:
            self.transport.close()
        self._leave()

    def abort(self) -> None:
        """Close both sides at once."""
        if self.transport is not None:
            self.transport.abort()
        self._leave()

    def _leave(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._deadline is not None:
            self._deadline.cancel()
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.on_lost = upstream.on_pause = None
            if upstream.transport is not None:
                upstream.transport.close()
        if self.session is not None and self._door.directory is not None:
            self._door.directory.disconnected(self.session)
