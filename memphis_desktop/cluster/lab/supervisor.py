"""The process that owns the servers of a local cluster, so that none of them is ever left behind.

It is started with one line of JSON on its standard input, answers with one on its standard output, and then
takes orders on a loopback port from whoever knows the token in the state file. It ends, and all servers with
it, when it is told to, on SIGTERM or SIGINT, and, when it is owned, as soon as the program that started it is
gone: the system then closes the pipe on standard input. Where the system can (Linux), the servers are killed
by the kernel should the supervisor itself be killed; elsewhere the next ``cluster`` command ends them, see
`memphis_desktop.cluster.lab.local`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memphis_desktop.cluster.lab.layout import (
    HOST,
    ClusterPlan,
    ClusterState,
    FolderLock,
    NodePlan,
    node_config,
    plan_from_json,
    remove_state,
    write_state,
)
from memphis_desktop.cluster.lab.refusals import ALREADY_RUNNING, Refused

RUNNING, PAUSED, STOPPED, KILLED, ENDED = "running", "paused", "stopped", "killed", "ended"
CAN_PAUSE = hasattr(signal, "SIGSTOP")
CAN_ISOLATE = hasattr(signal, "SIGHUP")  # which makes a server read its configuration again
STOP_SECONDS = 10.0
_LOCK_SECONDS = 3.0
_PARENT_SECONDS = 1.0
_LISTEN_SECONDS = 10.0
_LINE_LIMIT = 64 * 1024
_BY_HAND = "the supervisor is started by the cluster command, not by hand"  # untranslated: for terminals


class Node:
    """One server process and what was done to it last."""

    def __init__(self, plan: ClusterPlan, node: NodePlan, on_change: Callable[[], None]) -> None:
        self.name = node.name
        self.condition = STOPPED
        self.exit_code: int | None = None
        self._command = [plan.program, "-c", str(plan.config_file(node.name))]
        self._log = plan.log_file(node.name)
        self._monitoring_port = node.monitoring_port
        self._process: Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._on_change = on_change

    @property
    def pid(self) -> int | None:
        """The process id while there is a process."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start the server; raises `Refused` when it runs already, `OSError` when it cannot be started."""
        if self._process is not None:
            raise Refused("start", node=self.name, condition=self.condition)
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent(),
            )
        self._set(RUNNING)
        self._watcher = asyncio.create_task(self._watch(self._process))

    async def _watch(self, process: Process) -> None:
        code = await process.wait()
        self._process = None
        self.exit_code = code
        self._set(self.condition if self.condition in (STOPPED, KILLED) else ENDED)

    def pause(self) -> None:
        """Halt the process where it is (SIGSTOP): it holds its connections and answers nothing."""
        if not CAN_PAUSE:
            raise Refused("cannot pause")
        self._signal("pause", signal.SIGSTOP, RUNNING)
        self._set(PAUSED)

    def resume(self) -> None:
        """Let a paused process go on."""
        self._signal("resume", signal.SIGCONT, PAUSED)
        self._set(RUNNING)

    def _signal(self, order: str, number: signal.Signals, wanted: str) -> None:
        if self._process is None or self.condition != wanted:
            raise Refused(order, node=self.name, condition=self.condition)
        self._process.send_signal(number)

    async def reload(self) -> None:
        """Have the server, if it runs, read its configuration again."""
        process = self._process
        if process is None or not await self._listens(process):
            return  # it reads it when it starts
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGHUP)

    async def _listens(self, process: Process) -> bool:
        """Wait until it does: a server that has only begun to start is ended by the signal."""
        deadline = time.monotonic() + _LISTEN_SECONDS
        while process is self._process and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(HOST, self._monitoring_port)
                writer.close()
                return True
            await asyncio.sleep(0.05)
        return False

    async def kill(self) -> None:
        """End the process at once, as a crash would."""
        await self._end(KILLED, kill=True)

    async def stop(self) -> None:
        """End the process in order, by force when it takes longer than ten seconds."""
        await self._end(STOPPED, kill=False)

    async def _end(self, condition: str, *, kill: bool) -> None:
        process, watcher = self._process, self._watcher
        if process is None or watcher is None:
            raise Refused("end", node=self.name, condition=self.condition)
        paused = self.condition == PAUSED
        self.condition = condition
        if kill:
            process.kill()
        else:
            if paused:
                process.send_signal(signal.SIGCONT)
            process.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await asyncio.shield(watcher)
        if not watcher.done():
            process.kill()
            await watcher

    def _set(self, condition: str) -> None:
        self.condition = condition
        if condition in (RUNNING, PAUSED):
            self.exit_code = None
        self._on_change()

    def to_json(self) -> dict[str, Any]:
        """What others are told of it."""
        return {
            "name": self.name,
            "condition": self.condition,
            "pid": self.pid,
            "exit_code": self.exit_code if self._process is None else None,
        }


class Supervisor:
    """The servers, the state file, and the port on which orders come in."""

    def __init__(self, state_folder: Path, plan: ClusterPlan, *, owned: bool) -> None:
        self.plan = plan
        self._folder = state_folder
        self._owned = owned
        self._token = secrets.token_hex(32)
        self._port = 0
        self._isolated: set[str] = set()
        self.nodes = {node.name: Node(plan, node, self._note_change) for node in plan.nodes}
        self.ended = asyncio.Event()
        self._orders = asyncio.Lock()
        self._starting = True

    async def start(self) -> asyncio.Server:
        """Write the configurations, start all servers and take orders; raises `OSError`."""
        for node in self.plan.nodes:
            self.plan.node_folder(node.name).mkdir(parents=True, exist_ok=True)
        self._write_configs()
        server = await asyncio.start_server(self._serve, HOST, 0, limit=_LINE_LIMIT)
        self._port = server.sockets[0].getsockname()[1]
        self._starting = False
        self._write()
        for started in self.nodes.values():
            await started.start()
        return server

    async def stop(self) -> None:
        """End all servers in order, and forget the cluster."""
        running = [node.stop() for node in self.nodes.values() if node.pid is not None]
        await asyncio.gather(*running, return_exceptions=True)  # one may end by itself meanwhile
        if self.plan.temporary:
            shutil.rmtree(self.plan.folder, ignore_errors=True)
        remove_state(self._folder)
        self._starting = True  # nothing is written any more

    def _write_configs(self) -> None:
        for node in self.plan.nodes:
            text = node_config(self.plan, node, self._isolated)
            self.plan.config_file(node.name).write_text(text, encoding="utf-8")

    async def isolate(self, name: str, isolated: bool) -> None:
        """Break the links between a server and the others, or let them be made again."""
        if not CAN_ISOLATE:
            raise Refused("cannot isolate")
        if (name in self._isolated) == isolated:
            raise Refused("isolated" if isolated else "not isolated", node=name)
        (self._isolated.add if isolated else self._isolated.discard)(name)
        self._write_configs()
        await asyncio.gather(*(node.reload() for node in self.nodes.values()))

    def _note_change(self) -> None:
        if not self._starting:
            self._write()

    def _write(self) -> None:
        pids = {name: node.pid for name, node in self.nodes.items() if node.pid is not None}
        write_state(
            self._folder,
            ClusterState(self.plan, self._port, self._token, os.getpid(), pids, self._owned),
        )

    # Orders ---------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one order a connection: a line of JSON each way."""
        try:
            async with asyncio.timeout(5):
                line = await reader.readline()
            order = json.loads(line)
            if not hmac.compare_digest(str(order.get("token", "")), self._token):
                return
            answer = await self._carry_out(str(order.get("order", "")), str(order.get("node", "")))
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (ValueError, AttributeError, TimeoutError, OSError):
            return  # not one of ours
        finally:
            writer.close()

    async def _carry_out(self, order: str, name: str) -> dict[str, Any]:
        if order == "state":
            return self._answer()
        if order == "down":
            self.ended.set()
            return self._answer()
        node = self.nodes.get(name)
        if node is None:
            return Refused("no node", node=name, others=", ".join(self.nodes)).to_json()
        async with self._orders:  # one after the other, so that none is refused for a half-done one
            try:
                if order in ("start", "stop", "kill"):
                    await {"start": node.start, "stop": node.stop, "kill": node.kill}[order]()
                elif order in ("pause", "resume"):
                    {"pause": node.pause, "resume": node.resume}[order]()
                elif order in ("isolate", "rejoin"):
                    await self.isolate(name, order == "isolate")
                else:
                    return {"error": f"unknown order {order}"}
            except Refused as refused:
                return refused.to_json()
            except OSError as error:
                return {"error": str(error)}
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        return {
            "nodes": [
                {**node.to_json(), "isolated": name in self._isolated} for name, node in self.nodes.items()
            ]
        }


def _die_with_parent() -> Callable[[], None] | None:
    """What a new server does first on Linux: ask the kernel to be killed when the supervisor is gone."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    library, parent, death_signal = ctypes.CDLL(None), os.getpid(), 1  # PR_SET_PDEATHSIG

    def ask() -> None:
        library.prctl(death_signal, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return ask


# The process ------------------------------------------------------------------------------------


def run() -> int:
    """Be a supervisor until told to end; the exit code."""
    line = sys.stdin.buffer.readline(_LINE_LIMIT)
    try:
        request = json.loads(line)
        folder, owned = Path(request["folder"]), bool(request["owned"])
        plan = plan_from_json(request["plan"])
    except (ValueError, TypeError, KeyError):
        _say({"error": _BY_HAND})
        return 2
    lock = FolderLock(folder)
    if not _take_lock(lock):
        _say({"error": ALREADY_RUNNING})
        return 1
    try:
        return asyncio.run(_run(folder, plan, owned))
    finally:
        lock.release()


def _take_lock(lock: FolderLock) -> bool:
    """Take the folder's lock; whoever only looks whether it is free gives it back at once."""
    deadline = time.monotonic() + _LOCK_SECONDS
    while not lock.take():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


async def _run(folder: Path, plan: ClusterPlan, owned: bool) -> int:
    supervisor = Supervisor(folder, plan, owned=owned)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(supervisor.ended.set))
    if owned:
        _end_with_input(loop, supervisor.ended)
        watcher = asyncio.create_task(_watch_parent(os.getppid(), supervisor.ended))
    try:
        server = await supervisor.start()
        _say({"started": plan.instance})
        await supervisor.ended.wait()
        server.close()
    except OSError as error:
        _say({"error": str(error)})
        return 1
    finally:
        await supervisor.stop()
        if owned:
            watcher.cancel()
    return 0


def _end_with_input(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    """Set `ended` when the owner closes the pipe on standard input, by intent or by dying."""

    def read() -> None:
        if not os.read(0, 4096):
            if sys.platform != "win32":
                loop.remove_reader(0)
            ended.set()

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            loop.call_soon_threadsafe(ended.set)

    if sys.platform == "win32":  # its loop cannot watch a pipe
        threading.Thread(target=wait, daemon=True).start()
    else:
        loop.add_reader(0, read)


async def _watch_parent(parent: int, ended: asyncio.Event) -> None:
    """Notice the owner's death too when a child of it has inherited the other end of the pipe."""
    while os.getppid() == parent and not ended.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), _PARENT_SECONDS)
    ended.set()


def _say(answer: dict[str, Any]) -> None:
    """Tell the starter how it went; nothing is written to standard output after that."""
    print(json.dumps(answer), flush=True)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
