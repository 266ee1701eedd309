"""One program for each data folder: a second start hands over what it was asked for, and ends.

Two programs on one folder would both write its settings and history, and only one of them could have the
local broker's data.
"""

from __future__ import annotations

import hashlib
import json
import logging
import struct
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QLockFile, QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

log = logging.getLogger(__name__)

_LOCK = "memphis-desktop.lock"
_LENGTH = struct.Struct(">I")
_LARGEST = 256 * 1024
_WAIT_MS = 3000
_TAKEN = b"taken"


class Instance(QObject):
    """Holds the folder while this program runs, and hears of further starts."""

    asked = Signal(object)  # what the other start was asked for, as decoded JSON

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._lock = QLockFile(str(folder / _LOCK))
        self._lock.setStaleLockTime(0)  # a lock is as good as its process, however long that runs
        digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
        self._name = f"memphis-desktop-{digest}"
        self._server: QLocalServer | None = None

    def claim(self) -> bool:
        """Take the folder; False when another program has it."""
        if not self._lock.tryLock(0):
            return False
        QLocalServer.removeServer(self._name)  # of a program that crashed
        server = QLocalServer(self)
        server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        server.newConnection.connect(self._connected)
        if not server.listen(self._name):
            log.warning("further starts cannot hand over: %s", server.errorString())
        self._server = server
        return True

    def hand_over(self, request: dict[str, object]) -> bool:
        """Give a request to the program that has the folder; False when it does not answer."""
        socket = QLocalSocket()
        socket.connectToServer(self._name)
        if not socket.waitForConnected(_WAIT_MS):
            return False
        body = json.dumps(request).encode()
        socket.write(_LENGTH.pack(len(body)) + body)
        socket.flush()
        taken = socket.waitForReadyRead(_WAIT_MS) and bytes(socket.readAll().data()) == _TAKEN
        socket.disconnectFromServer()
        return bool(taken)

    def release(self) -> None:
        """Let the folder go."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._lock.unlock()

    def _connected(self) -> None:
        server = self._server
        while server is not None and (socket := server.nextPendingConnection()) is not None:
            incoming = _Incoming(socket, self.asked.emit)
            socket.disconnected.connect(incoming.deleteLater)
            socket.disconnected.connect(socket.deleteLater)


class _Incoming(QObject):
    """Reads one request."""

    def __init__(self, socket: QLocalSocket, deliver: Callable[[object], None]) -> None:
        super().__init__(socket)
        self._socket = socket
        self._deliver = deliver
        self._data = b""
        socket.readyRead.connect(self._read)
        self._read()

    def _read(self) -> None:
        self._data += bytes(self._socket.readAll().data())
        if len(self._data) < _LENGTH.size:
            return
        (size,) = _LENGTH.unpack_from(self._data)
        if size > _LARGEST:
            self._socket.abort()
            return
        body = self._data[_LENGTH.size :]
        if len(body) < size:
            return
        try:
            request = json.loads(body[:size])
        except ValueError:
            self._socket.abort()
            return
        self._socket.write(_TAKEN)
        self._socket.flush()
        self._deliver(request)
