"""Which program listens on a port of this machine, where the system tells."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_LISTENING = "0A"
_TABLES = ("net/tcp", "net/tcp6")


def holder_of(port: int, proc: Path = Path("/proc")) -> str:
    """Return name and process number of who listens on a TCP port; empty where the system does not tell.

    Linux tells of processes of the same user, and root of all. Looks through all processes, which takes some
    milliseconds.
    """
    inodes = {f"socket:[{inode}]" for table in _TABLES for inode in _inodes(proc / table, port)}
    if not inodes:
        return ""
    for process in proc.iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # gone meanwhile, or another user's
            for handle in (process / "fd").iterdir():
                if os.readlink(handle) in inodes:
                    name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
                    return f"{name} (process {process.name})"
    return ""


def _inodes(table: Path, port: int) -> list[str]:
    """The sockets that listen on a port, by the kernel's table of them."""
    wanted = f":{port:04X}"
    found = []
    with contextlib.suppress(OSError):
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[1].endswith(wanted) and fields[3] == _LISTENING:
                found.append(fields[9])
    return found
