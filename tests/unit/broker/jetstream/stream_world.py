"""JetStream in a small world: streams on a memory store, an account without sockets, time that is moved."""

from __future__ import annotations

import json
from typing import Any

from memphis_desktop.broker.accounts import Account
from memphis_desktop.broker.handlers import Turn
from memphis_desktop.broker.jetstream.account import AccountStreams
from memphis_desktop.broker.jetstream.config import StreamConfig
from memphis_desktop.broker.jetstream.limits import AccountLimits
from memphis_desktop.broker.jetstream.service import JetStream
from memphis_desktop.broker.jetstream.stream import Stream
from memphis_desktop.broker.store import MemoryRoot
from memphis_desktop.broker.store.interface import DurableCallback, StorageError
from memphis_desktop.protocol import headers
from memphis_desktop.protocol.message import Message
from tests.unit.broker.jetstream.consumer_world import MovedClock

INBOX = b"_INBOX.test."


class SmallNode:
    """What JetStream needs of a node."""

    server_id = server_name = "N" * 56
    version = "2.15.1"
    max_payload = 1 << 20

    def __init__(self) -> None:
        self.clock = MovedClock()
        self.flushes = 0
        self.turn = Turn(self.clock.call_soon)
        self.system_account = Account("$SYS", self.turn)
        self.accounts = {"$SYS": self.system_account}

    def flush(self) -> None:
        self.flushes += 1

    def server_info(self) -> dict[str, Any]:
        return {"name": self.server_name}


class StreamWorld:
    """One account with JetStream; what is answered and published lies in lists."""

    def __init__(self, limits: AccountLimits | None = None) -> None:
        self.node = SmallNode()
        self.clock = self.node.clock
        self.account = Account("$G", self.node.turn)
        self.without = Account("WITHOUT", self.node.turn)
        self.node.accounts |= {"$G": self.account, "WITHOUT": self.without}
        self.root = MemoryRoot(self.clock)  # type: ignore[arg-type]
        self.service = JetStream(self.node, self.root)  # type: ignore[arg-type]
        self.service.enable(self.account, limits)  # type: ignore[arg-type]
        self.service.recover()
        self.answers: dict[bytes, list[bytes]] = {}
        self.heard: list[Message] = []
        self.account.subscribe(INBOX + b">", self._answered)
        self._replies = 0

    @property
    def streams(self) -> AccountStreams:
        return self.service.accounts["$G"]

    def create(self, name: str = "S", **config: Any) -> Stream:
        """Create a stream in memory, with subjects ``<name in small letters>.*`` unless told otherwise."""
        config.setdefault("subjects", [f"{name.lower()}.*"])
        return self.streams.create(StreamConfig(name=name, storage="memory", **config))

    def listen(self, pattern: bytes) -> None:
        """Write down in `heard` what is published to `pattern`."""
        self.account.subscribe(pattern, lambda messages, sender: self.heard.extend(messages))

    def publish(self, subject: str, payload: bytes = b"x", **fields: str) -> bytes:
        """Publish with a reply; header names are written with underscores. Returns the reply subject."""
        self._replies += 1
        reply = INBOX + b"%d" % self._replies
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        block = headers.encode(named) if named else b""
        self.account.publish((subject.encode(), reply, len(block), block + payload))
        return reply

    def request(self, subject: str, body: Any = b"") -> dict[str, Any]:
        """Send an API request and return its answer."""
        self._replies += 1
        reply = INBOX + b"%d" % self._replies
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.account.publish((f"$JS.API.{subject}".encode(), reply, 0, payload))
        self.clock.settle()
        return self.answer(reply)

    def ack(self, subject: str, payload: bytes = b"x", **fields: str) -> dict[str, Any]:
        """Publish, let what is planned for now happen, and return the acknowledgement."""
        reply = self.publish(subject, payload, **fields)
        self.clock.settle()
        return self.answer(reply)

    def answer(self, reply: bytes) -> dict[str, Any]:
        """Return the one answer that came to `reply`."""
        (only,) = self.answers[reply]
        document = json.loads(only)
        assert isinstance(document, dict)
        return document

    def _answered(self, messages: list[Message], sender: object) -> None:
        for subject, _, header_size, body in messages:
            self.answers.setdefault(subject, []).append(body[header_size:])


class HeldDurability:
    """Keeps what a stream stores from becoming durable until a test lets it."""

    def __init__(self, stream: Stream) -> None:
        self._messages: Any = stream.messages
        self._durable = self._messages.durable_sequence
        self._waiting: list[DurableCallback] = []
        self._messages.when_durable = self._waiting.append
        self._append = self._messages.append
        self._messages.append = self._append_only

    def _append_only(self, *arguments: Any) -> Any:
        first = self._append(*arguments)
        self._messages.durable_sequence = self._durable
        return first

    def let_go(self) -> None:
        """Everything stored is durable now."""
        self._durable = self._messages.durable_sequence = self._messages.last_sequence
        self._call(None)

    def fail(self, text: str) -> None:
        """What was not durable never will be."""
        self._messages.failure = StorageError(text)
        self._call(self._messages.failure)

    def _call(self, failure: StorageError | None) -> None:
        waiting, self._waiting[:] = list(self._waiting), []
        for callback in waiting:
            callback(failure)
