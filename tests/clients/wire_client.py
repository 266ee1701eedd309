"""A client that shows every byte a server sends, and the masks that make two servers' answers comparable."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from typing import Any

from tests.waiting import PATIENCE

# Keys whose values differ from run to run.
_TIMES = frozenset(
    ("created", "ts", "time", "timestamp", "last_active", "first_ts", "last_ts", "ack_time", "active")
)
_IDS = frozenset(("id", "leader", "pinned_client_id", "pinned_id", "server_id"))
_ACK = re.compile(r"(\$JS\.ACK\.[^.]+\.[^.]+\.\d+\.\d+\.\d+)\.\d+\.(\d+)")
_FLOW = re.compile(r"(\$JS\.FC\.[^.]+\.[^.]+)\.\w+")
_PIN = re.compile(r"(Nats-Pin-Id: )\w+")


class Frame:
    """A message as it came: subject, sid, reply, headers, payload."""

    def __init__(self, subject: str, sid: str, reply: str, head: bytes, payload: bytes) -> None:
        self.subject, self.sid, self.reply, self.head, self.payload = subject, sid, reply, head, payload

    def masked(self) -> str:
        """Return it as a line of text without what differs from run to run."""
        head = self.head.decode("utf-8", "replace")
        text = f"{self.subject} [{self.reply}] {head!r} {masked_payload(self.payload)}"
        for pattern, replacement in ((_ACK, r"\1.T.\2"), (_FLOW, r"\1.R"), (_PIN, r"\1P")):
            text = pattern.sub(replacement, text)
        return text


def masked_payload(payload: bytes) -> str:
    """Return a payload as text; in JSON, values that differ from run to run are replaced."""
    if payload[:1] in (b"{", b"["):
        try:
            return json.dumps(_masked(json.loads(payload)))
        except ValueError:
            pass
    return repr(payload)


def _masked(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _masked(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner, key) for inner in value]
    if key in _TIMES and value not in (0, "0001-01-01T00:00:00Z"):
        return "T"
    if key in _IDS:
        return "ID"
    if key == "pinned_ts" and not value.startswith("0001"):
        return "T"
    if key == "pause_remaining":
        return value // 10**15  # eleven days
    return value


class WireClient:
    """Speaks the protocol by hand. Frames are kept in `frames` in the order they came."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.frames: list[Frame] = []
        self._sids: dict[str, str] = {}
        self._next_sid = 1
        self._pongs = 0
        self._arrived = asyncio.Event()
        self._reading = asyncio.ensure_future(self._read())

    @classmethod
    async def connect(cls, host: str, port: int) -> WireClient:
        """Connect, with headers and no-responders on."""
        reader, writer = await asyncio.open_connection(host, port)
        await reader.readline()
        client = cls(reader, writer)
        writer.write(
            b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,'
            b'"protocol":0,"echo":true,"lang":"wire","version":"1","name":"wire"}\r\n'
        )
        await client.ping()
        client.subscribe("_R.*")
        return client

    async def close(self) -> None:
        """Close the connection."""
        self._reading.cancel()
        self._writer.close()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await self._reading

    def subscribe(self, subject: str, queue: str = "") -> None:
        """Subscribe."""
        sid = str(self._next_sid)
        self._next_sid += 1
        self._sids[subject] = sid
        self._writer.write(f"SUB {subject} {queue + ' ' if queue else ''}{sid}\r\n".encode())

    def unsubscribe(self, subject: str) -> None:
        """Unsubscribe."""
        self._writer.write(f"UNSUB {self._sids.pop(subject)}\r\n".encode())

    def publish(self, subject: str, payload: bytes = b"", reply: str = "", head: bytes = b"") -> None:
        """Publish; `head` is a header block."""
        target = f"{subject} {reply}".strip()
        if head:
            line = f"HPUB {target} {len(head)} {len(head) + len(payload)}\r\n"
        else:
            line = f"PUB {target} {len(payload)}\r\n"
        self._writer.write(line.encode() + head + payload + b"\r\n")

    async def ping(self) -> None:
        """Wait until the server has read everything written before."""
        before = self._pongs
        self._writer.write(b"PING\r\n")
        while self._pongs == before:
            self._arrived.clear()
            await asyncio.wait_for(self._arrived.wait(), PATIENCE)

    async def request(self, subject: str, payload: bytes = b"", head: bytes = b"") -> Frame:
        """Publish with a reply subject and return the first answer; it is not kept in `frames`."""
        reply = f"_R.{self._next_sid}"
        self._next_sid += 1
        self.publish(subject, payload, reply, head)
        for _ in range(1000):
            for frame in self.frames:
                if frame.subject == reply:
                    self.frames.remove(frame)
                    return frame
            await self.more()
        raise AssertionError("no answer")

    async def more(self) -> None:
        """Wait until something comes."""
        self._arrived.clear()
        await asyncio.wait_for(self._arrived.wait(), PATIENCE)

    async def settle(self, quiet: float = 0.045) -> list[Frame]:
        """Wait until nothing has come for `quiet` seconds; return and forget what has come."""
        await self.ping()
        count = -1
        while count != len(self.frames):
            count = len(self.frames)
            await asyncio.sleep(quiet)
        frames, self.frames = self.frames, []
        return frames

    async def _read(self) -> None:
        reader = self._reader
        while True:
            line = (await reader.readline()).strip()
            verb, _, rest = line.partition(b" ")
            if verb == b"MSG" or verb == b"HMSG":
                fields = rest.decode().split()
                size = int(fields[-1])
                head_size = int(fields[-2]) if verb == b"HMSG" else 0
                names = fields[: -2 if verb == b"HMSG" else -1]
                body = await reader.readexactly(size)
                await reader.readexactly(2)
                reply = names[2] if len(names) > 2 else ""
                self.frames.append(Frame(names[0], names[1], reply, body[:head_size], body[head_size:]))
            elif verb == b"PING":
                self._writer.write(b"PONG\r\n")
            elif verb == b"PONG":
                self._pongs += 1
            elif not line:
                return
            self._arrived.set()
