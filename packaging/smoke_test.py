"""Whether the bundle that was built works: ``python packaging/smoke_test.py``.

Runs the packed program as a user's machine would: its version, the broker inside under a real client, every
command's help, and the window of the demo drawn off-screen.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUFFIX = ".exe" if os.name == "nt" else ""
_COMMANDS = ("broker", "bench", "sample", "screenshot", "cluster", "stations")


def program() -> Path:
    """Return the packed program, the one with a console where there are two."""
    folder = ROOT / "build" / "bundle" / "memphis-desktop"
    console = folder / f"memphis-desktop-cli{SUFFIX}"
    return console if console.exists() else folder / f"memphis-desktop{SUFFIX}"


def run(*arguments: str, home: Path, seconds: float = 60) -> str:
    """Run the program to its end; what it said on standard output."""
    environment = {**os.environ, "MEMPHIS_DESKTOP_HOME": str(home), "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(
        [str(program()), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def commands_explain_themselves(home: Path) -> None:
    """Every command is in the bundle with what it imports."""
    assert run("--version", home=home).startswith("memphis-desktop ")
    for command in _COMMANDS:
        assert run(command, "--help", home=home)


def hear(client: socket.socket, wanted: bytes) -> None:
    """Read until the broker said something."""
    heard = b""
    while wanted not in heard:
        chunk = client.recv(65536)
        assert chunk, "the broker closed the connection"
        heard += chunk


def broker_stores(home: Path) -> None:
    """A client makes a stream and stores a message in the packed broker."""
    folder = home / "broker"
    command = [str(program()), "broker", "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", str(folder)]
    server = subprocess.Popen([*command, "--ports_file_dir", str(home)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not (files := list(home.glob("*.ports"))):
            assert time.monotonic() < deadline, "the broker did not start"
            assert server.poll() is None, "the broker ended"
            time.sleep(0.05)
        port = int(json.loads(files[0].read_text())["nats"][0].rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(b'CONNECT {"verbose":false}\r\nSUB answer 1\r\n')
            body = b'{"name":"SMOKE","subjects":["smoke"],"storage":"file"}'
            client.sendall(b"PUB $JS.API.STREAM.CREATE.SMOKE answer %d\r\n%s\r\n" % (len(body), body))
            hear(client, b'"created"')
            client.sendall(b"PUB smoke answer 2\r\nhi\r\n")
            hear(client, b'"seq":1')
    finally:
        server.terminate()
        server.wait(20)


def window_is_drawn(home: Path) -> None:
    """The demo's overview becomes a picture that is more than one colour."""
    run(
        "screenshot",
        str(home / "shots"),
        "--demo",
        "--only",
        "overview",
        "--history",
        "3",
        home=home,
        seconds=180,
    )
    sizes = [path.stat().st_size for path in (home / "shots").glob("*.png")]
    assert sizes, "no picture was made"
    assert min(sizes) > 20_000, f"the pictures are almost empty: {sizes}"


def main() -> int:
    """Run all of them; the first failure ends it."""
    checks: tuple[Callable[[Path], None], ...] = (commands_explain_themselves, broker_stores, window_is_drawn)
    for check in checks:
        with tempfile.TemporaryDirectory() as folder:
            check(Path(folder))
        print(f"ok: {check.__name__.replace('_', ' ')}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
