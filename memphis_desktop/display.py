"""Whether a window can be opened here. No Qt: it would end the process where it cannot."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Mapping

# Where X servers listen on TCP, plus the display's number; and how long one may take to answer (seconds).
_X_PORT, _X_TIMEOUT = 6000, 2.0
# Platforms of Qt that draw without a display server.
_DISPLAYLESS_PLATFORMS = {"offscreen", "minimal", "minimalegl", "vnc", "linuxfb", "eglfs"}


def display_available(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Return whether a window can be opened: always outside Linux, there when a display is announced.

    Qt aborts the process when it cannot reach the display it was told of, so an X server is asked first.
    """
    if not platform.startswith("linux"):
        return True
    if environment.get("QT_QPA_PLATFORM", "").partition(":")[0] in _DISPLAYLESS_PLATFORMS:
        return True
    if environment.get("WAYLAND_DISPLAY"):
        return True
    return bool(environment.get("DISPLAY")) and x_server_answers(environment["DISPLAY"])


def x_server_answers(display: str) -> bool:
    """Return whether an X server takes connections at `display` (``[HOST]:NUMBER[.SCREEN]``)."""
    host, _, number = display.rpartition(":")
    number = number.partition(".")[0]
    if not number.isdigit():
        return True  # a form of its own, such as a launchd socket: Qt knows better
    addresses: list[tuple[int, str | tuple[str, int]]]
    if host in {"", "unix"}:
        path = f"/tmp/.X11-unix/X{number}"
        addresses = [(socket.AF_UNIX, path), (socket.AF_UNIX, "\0" + path)]
    else:
        addresses = [(socket.AF_INET, (host, _X_PORT + int(number)))]
    for family, address in addresses:
        with socket.socket(family, socket.SOCK_STREAM) as connection, contextlib.suppress(OSError):
            connection.settimeout(_X_TIMEOUT)
            connection.connect(address)
            return True
    return False
