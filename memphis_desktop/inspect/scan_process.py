"""The process a scan runs in, and the pipe to it."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection
from typing import Any
from weakref import WeakKeyDictionary

from nats.aio.client import Client

from memphis_desktop.inspect.connection import ReadConnection, ReadError, connection_options
from memphis_desktop.inspect.filter import FilterError
from memphis_desktop.inspect.scan import Scan, ScanRequest
from memphis_desktop.language import current, tr
from memphis_desktop.language.child import in_language

# What travels: ("open", options, tls), ("run", request), ("pause",), ("resume",), ("stop",), ("login", bytes)
# and back: ("ready",), ("login", "jwt" | "signature", nonce), ("report", state, matches), ("end", reason),
# ("failed", text)


def _child(pipe: Connection) -> None:
    """Main of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in a terminal ends the window, which ends this
    gc.disable()  # messages hold no cycles, and collections over batches of them cost a third of the time
    try:
        _run_fast(_serve(_Mailbox(pipe)))
    except (EOFError, BrokenPipeError, OSError):
        return


def _run_fast(serve: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve)
    else:
        uvloop.run(serve)


class _Mailbox:
    """Reads the pipe in a thread, so that pause and stop are heard while a scan works."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self.scan: Scan | None = None
        self.requests: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
        self._logins: Any = None
        self._answered = threading.Event()
        self._answer = b""
        self._paused = False

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop,), daemon=True).start()

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            try:
                message = self.pipe.recv()
            except (EOFError, OSError):
                os._exit(0)  # the window is gone; nothing here is worth keeping
            kind = message[0]
            scan = self.scan
            if kind == "login":
                self._answer = message[1]
                self._answered.set()
            elif kind in ("pause", "resume", "stop") and scan is not None:
                {"pause": scan.paused.set, "resume": scan.paused.clear, "stop": scan.stopped.set}[kind]()
            elif kind in ("open", "run"):
                loop.call_soon_threadsafe(self.requests.put_nowait, message)

    def ask_login(self, what: str, nonce: str = "") -> bytes:
        """Have the window answer for the login: keys never leave it."""
        self._answered.clear()
        self.pipe.send(("login", what, nonce))
        self._answered.wait(10)
        return self._answer

    def send(self, *message: Any) -> None:
        self.pipe.send(message)


async def _serve(mailbox: _Mailbox) -> None:
    mailbox.start()
    mailbox.send("ready")
    connection: ReadConnection | None = None
    options: dict[str, Any] = {}
    while True:
        message = await mailbox.requests.get()
        try:
            if message[0] == "open":
                options = _usable(message[1], message[2], mailbox)
                continue
            if connection is None or connection.closed:
                connection = await ReadConnection.open(options, "Memphis Desktop search")
            request: ScanRequest = message[1]
            scan = Scan(request, lambda state, matches: mailbox.send("report", state, matches))
            mailbox.scan = scan
            reason = await scan.run(connection)
            mailbox.send("end", tr("stopped") if scan.stopped.is_set() and not reason else reason)
        except (ReadError, FilterError) as error:
            mailbox.send("failed", str(error))
        finally:
            mailbox.scan = None
            gc.collect()


def _usable(options: dict[str, Any], tls: Any, mailbox: _Mailbox) -> dict[str, Any]:
    options = dict(options)
    if options.pop("ask_jwt", False):
        options["user_jwt_cb"] = lambda: bytearray(mailbox.ask_login("jwt"))
    if options.pop("ask_signature", False):
        options["signature_cb"] = lambda nonce: mailbox.ask_login("signature", nonce)
    if tls is not None:
        from memphis_desktop.cluster.connection import tls_context

        context = tls_context(*tls)
        if context is not None:
            options["tls"] = context
    return options


Receive = Callable[[tuple[Any, ...]], None]


class ScanProcess:
    """A process that scans, one request after another; what it says arrives at `receive` in the loop."""

    def __init__(self, client: Client, profile: Any, receive: Receive) -> None:
        self._client = client
        self._profile = profile
        self.receive = receive
        self.ready_at: float | None = None  # when it began to work, by the monotonic clock; None: not yet
        self._process: Any = None
        self._pipe: Connection | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()  # between starting and killing
        self._killed = False

    def start(self) -> None:
        """Start the process; requests may be sent at once (they wait in the pipe).

        Starting and ending a process take their time, which a thread spends.
        """
        self._loop = asyncio.get_running_loop()
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=in_language,
            args=(current(), f"{__name__}:{_child.__name__}", theirs),
            daemon=True,
            name="memphis-search",
        )
        self._pipe.send(("open", *self._options()))
        threading.Thread(
            target=self._live, args=(self._process, self._pipe, theirs), daemon=True, name="memphis-search"
        ).start()

    def _live(self, process: Any, pipe: Connection, theirs: Connection) -> None:
        """Start the process, hand on what it says, and take leave of it."""
        with self._lock:
            if not self._killed:
                process.start()
        theirs.close()
        if self._killed and process.pid is not None:  # meanwhile
            process.kill()
        try:
            self._read(pipe)
        finally:
            self._pipe = None
            pipe.close()
        if process.pid is not None:
            process.join()

    def _options(self) -> tuple[dict[str, Any], Any]:
        options = connection_options(self._client)
        options["ask_jwt"] = options.pop("user_jwt_cb", None) is not None
        options["ask_signature"] = options.pop("signature_cb", None) is not None
        has_tls = options.pop("tls", None) is not None
        tls = (self._profile.tls, self._profile.urls) if has_tls and self._profile is not None else None
        for name in ("user", "password", "token"):
            if callable(options.get(name)):
                options[name] = options[name]()
        return options, tls

    def _read(self, pipe: Connection) -> None:
        loop = self._loop
        assert loop is not None
        try:
            while True:
                message = pipe.recv()
                if message[0] == "login":
                    pipe.send(("login", self._login(*message[1:])))
                elif message[0] == "ready":
                    self.ready_at = time.monotonic()
                else:
                    loop.call_soon_threadsafe(self._hand_on, message)
        except (EOFError, OSError):
            pass
        except RuntimeError:
            return  # the loop has ended
        try:
            loop.call_soon_threadsafe(self._hand_on, ("gone",))
        except RuntimeError:
            return

    def _hand_on(self, message: tuple[Any, ...]) -> None:
        self.receive(message)

    def _login(self, what: str, nonce: str) -> bytes:
        client = self._client
        if what == "jwt" and client._user_jwt_cb is not None:
            return bytes(client._user_jwt_cb())
        if what == "signature" and client._signature_cb is not None:
            return bytes(client._signature_cb(nonce))
        return b""

    def send(self, *message: Any) -> None:
        """Send a command; nothing happens when the process is gone."""
        if self._pipe is not None:
            try:
                self._pipe.send(message)
            except (OSError, ValueError):
                self._pipe = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop its messages arrive in."""
        return self._loop

    @property
    def alive(self) -> bool:
        """Whether the process runs, or will in a moment."""
        return self._pipe is not None

    def kill(self) -> None:
        """End the process at once, without waiting for it; what it has sent stays."""
        process, self._process = self._process, None
        self._pipe = None  # the thread that reads closes it
        self._killed = True
        if process is None or not self._lock.acquire(blocking=False):
            return  # whoever is starting it just now sees to it
        try:
            if process.pid is not None:
                process.kill()
        finally:
            self._lock.release()


IDLE_SECONDS = 60.0  # a process without work is kept this long: the next search starts at once
STOP_SECONDS = 2.0  # a process told to stop has this long to say that it did

_IDLE: WeakKeyDictionary[Client, ScanProcess] = WeakKeyDictionary()
_STOPPING: WeakKeyDictionary[Client, set[ScanProcess]] = WeakKeyDictionary()


def take_process(client: Client, profile: Any, receive: Receive) -> ScanProcess:
    """Return a process for a connection: one that is idle, else a new one."""
    process = _IDLE.pop(client, None)
    if process is not None and process.alive and process.loop is asyncio.get_running_loop():
        process.receive = receive
        return process
    if process is not None:
        process.kill()
    process = ScanProcess(client, profile, receive)
    process.start()
    return process


def give_back(client: Client, process: ScanProcess, *, working: bool) -> None:
    """Keep a process for the next search; one that is `working` must say first that it has stopped."""
    loop = asyncio.get_running_loop()
    stopping = _STOPPING.setdefault(client, set())

    def keep() -> None:
        stopping.discard(process)
        process.receive = lambda message: None
        other = _IDLE.get(client)
        if other is not None or not process.alive or client.is_closed:
            process.kill()
            return
        _IDLE[client] = process
        loop.call_later(IDLE_SECONDS, let_go)

    def let_go() -> None:
        if _IDLE.get(client) is process:
            del _IDLE[client]
            process.kill()

    def end() -> None:
        stopping.discard(process)
        process.kill()

    if not working:
        keep()
        return
    stopping.add(process)
    late = loop.call_later(STOP_SECONDS, end)

    def ended(message: tuple[Any, ...]) -> None:
        if message[0] in ("end", "failed"):
            late.cancel()
            keep()

    process.receive = ended
    process.send("stop")


def end_processes(client: Client) -> None:
    """End the processes that are kept for a connection, or are about to stop: it closes."""
    kept = _IDLE.pop(client, None)
    for process in (*_STOPPING.pop(client, ()), *([kept] if kept is not None else ())):
        process.kill()
