"""``--signal``: tell a node that runs already to reload, stop, leave, or reopen its log."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

# The words of nats-server, and what a node understands by each signal.
SIGNALS = {
    "stop": "SIGKILL",
    "quit": "SIGINT",
    "term": "SIGTERM",
    "reopen": "SIGUSR1",
    "reload": "SIGHUP",
    "ldm": "SIGUSR2",
}


class SignalFailure(Exception):
    """The signal could not be sent; the text says why in one sentence."""


def send(text: str) -> None:
    """Send a signal.

    Args:
        text: ``SIGNAL`` when one node runs on this machine, ``SIGNAL=PID`` or ``SIGNAL=PID_FILE`` otherwise.

    Raises:
        SignalFailure: there is no such signal or process, or it may not be signalled.
    """
    word, given, target = text.partition("=")
    if word not in SIGNALS:
        raise SignalFailure(f'unknown signal "{word}"; it is one of {", ".join(SIGNALS)}')
    number = getattr(signal, SIGNALS[word], None)
    if number is None:
        raise SignalFailure(f"this system has no signal for {word}")
    process = _process_id(target) if given else _only_one()
    try:
        os.kill(process, number)
    except ProcessLookupError:
        raise SignalFailure(f"no process {process} is running") from None
    except OSError as error:
        raise SignalFailure(f"process {process} cannot be signalled: {error.strerror}") from None


def _process_id(target: str) -> int:
    """Return the process that a number, or a file with a number in it, names."""
    path = Path(target)
    if target and not target.isdigit():
        try:
            target = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise SignalFailure(f"invalid pid: {target}") from None
    if not target.isdigit() or int(target) <= 0:
        raise SignalFailure(f"invalid pid: {target}")
    return int(target)


def _only_one() -> int:
    found = running()
    if not found:
        raise SignalFailure("no memphis-desktop broker is running")
    if len(found) > 1:
        listed = ", ".join(map(str, sorted(found)))
        raise SignalFailure(f"several memphis-desktop brokers are running, say which: {listed}")
    return found[0]


def running() -> list[int]:
    """Return the processes of this user's machine that are nodes, this one left out."""
    own = {os.getpid(), os.getppid()}
    return [process for process, words in _processes() if process not in own and _is_node(words)]


def _is_node(words: list[str]) -> bool:
    """Return whether a command line runs a node: the program's name, and ``broker`` right behind it."""
    for place, word in enumerate(words[:4]):
        name = Path(word).name
        if name.startswith("memphis-desktop") or word == "memphis_desktop":
            following = words[place + 1 : place + 2]
            return following == ["broker"] and not any("signal" in one or one == "-sl" for one in words)
    return False


def _processes() -> list[tuple[int, list[str]]]:
    """Return every process with its command line."""
    root = Path("/proc")
    if root.is_dir():
        found = []
        for folder in root.iterdir():
            if folder.name.isdigit():
                try:
                    line = (folder / "cmdline").read_bytes()
                except OSError:
                    continue  # it has ended meanwhile, or is not ours to see
                found.append((int(folder.name), line.decode("utf-8", "replace").split("\0")))
        return found
    try:
        listing = subprocess.run(
            ["ps", "-axo", "pid=,command="], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        raise SignalFailure("the running processes cannot be listed; give the process id") from None
    split = [line.split() for line in listing.splitlines()]
    return [(int(words[0]), words[1:]) for words in split if words and words[0].isdigit()]
