"""Listening to core subjects: what passes by, in a bounded buffer, with replies folded into requests."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from memphis_desktop.inspect.connection import ReadConnection
from memphis_desktop.inspect.message import InspectedMessage

MAX_ROWS = 50_000
MAX_BYTES = 64 << 20
MAX_NODES = 20_000
MAX_WAITING = 10_000  # requests whose reply may still come
MAX_REPLIES = 16 << 20  # bytes of replies kept beside their requests
INBOXES = "_INBOX.>"

# What servers and libraries publish for themselves: by kind, how their subjects begin.
INTERNAL: dict[str, tuple[str, ...]] = {
    "inboxes": ("_INBOX.", "_R_."),
    "jetstream": ("$JS.",),
    "system": ("$SYS.",),
    "buckets": ("$KV.", "$O."),
    "memphis": ("$memphis",),
}


@dataclass(slots=True)
class SubjectNode:
    """One token of the subject tree."""

    name: str
    parent: SubjectNode | None = None
    children: dict[str, SubjectNode] = field(default_factory=dict)
    messages: int = 0
    bytes: int = 0
    counted: int = 0  # messages at the last measuring
    rate: float = 0.0

    def path(self) -> str:
        """The subject so far."""
        names: list[str] = []
        node: SubjectNode | None = self
        while node is not None and node.parent is not None:
            names.append(node.name)
            node = node.parent
        return ".".join(reversed(names))


class SubjectTree:
    """Subjects being discovered, with counts; bounded, and what did not fit is counted."""

    def __init__(self) -> None:
        self.root = SubjectNode("")
        self.nodes = 0
        self.not_kept = 0

    def add(self, subject: str, size: int) -> None:
        """Count one message."""
        node = self.root
        node.messages += 1
        node.bytes += size
        for token in subject.split("."):
            child = node.children.get(token)
            if child is None:
                if self.nodes >= MAX_NODES:
                    self.not_kept += 1
                    return
                child = node.children[token] = SubjectNode(token, node)
                self.nodes += 1
            child.messages += 1
            child.bytes += size
            node = child

    def measure(self, seconds: float) -> None:
        """Work out rates since the last measuring."""
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            node.rate = (node.messages - node.counted) / seconds if seconds > 0 else 0.0
            node.counted = node.messages
            waiting.extend(node.children.values())


@dataclass
class LivePattern:
    """One subscription."""

    pattern: str
    messages: int = 0
    muted: bool = False
    rate: float = 0.0
    counted: int = 0  # messages at the last measuring
    number: int = 0  # tells it from the others, by colour: the lowest that was free
    end: Callable[[], Awaitable[None]] | None = None


class LiveCapture:
    """Messages as they pass by. Times are when they arrived here; numbers count from 1.

    `take` gives what is new since the last call, so that a screen draws ten times a second at most, whatever
    the rate is.
    """

    def __init__(self, connection: ReadConnection) -> None:
        self.connection = connection
        self.patterns: dict[str, LivePattern] = {}
        self.tree = SubjectTree()
        self.received = 0
        self.dropped = 0
        self._hidden: frozenset[str] = frozenset()
        self._hidden_beginnings: tuple[str, ...] = ()
        self.hidden = frozenset(INTERNAL)
        self.latencies: OrderedDict[int, float] = OrderedDict()
        self.replies: OrderedDict[int, InspectedMessage] = OrderedDict()  # the first, by the request's number
        self._reply_bytes = 0
        self._came_by = bytearray(MAX_ROWS)  # the pattern's number of each of the last messages, in a ring
        self._answered: OrderedDict[str, None] = OrderedDict()  # inboxes whose reply was folded
        self._new: deque[InspectedMessage] = deque()
        self._new_bytes = 0
        self._waiting: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._inboxes: Callable[[], Awaitable[None]] | None = None
        self._number = 0
        self.recorder: LiveRecorder | None = None

    @property
    def hidden(self) -> frozenset[str]:
        """Which kinds of `INTERNAL` are left out where a pattern does not name them itself."""
        return self._hidden

    @hidden.setter
    def hidden(self, kinds: frozenset[str]) -> None:
        self._hidden = kinds
        self._hidden_beginnings = tuple(text for kind in sorted(kinds) for text in INTERNAL[kind])

    def pattern_of(self, number: int) -> int | None:
        """Return the number of the pattern by which a message came; None when that is forgotten."""
        known = max(0, self._number - MAX_ROWS) < number <= self._number
        return self._came_by[number % MAX_ROWS] if known else None

    @property
    def folding(self) -> bool:
        """Whether replies are listened to and folded into their requests."""
        return self._inboxes is not None

    async def add(self, pattern: str) -> LivePattern:
        """Listen to a pattern too; raises ReadError when that is refused."""
        if pattern in self.patterns:
            return self.patterns[pattern]
        taken = {known.number for known in self.patterns.values()}
        free = next(number for number in range(len(taken) + 1) if number not in taken)
        entry = LivePattern(pattern, number=free)
        self.patterns[pattern] = entry

        def take(subject: bytes, reply: bytes, header: bytes, payload: bytes) -> None:
            self._take(entry, subject, reply, header, payload)

        try:
            entry.end = await self.connection.listen(pattern, take)
        except BaseException:
            del self.patterns[pattern]
            raise
        return entry

    async def remove(self, pattern: str) -> None:
        """Listen to it no longer."""
        entry = self.patterns.pop(pattern, None)
        if entry is not None and entry.end is not None:
            await entry.end()

    async def fold_replies(self, on: bool) -> None:
        """Listen to inboxes, to give each request its latency."""
        if on and self._inboxes is None:
            self._inboxes = await self.connection.listen(INBOXES, self._replied)
        elif not on and self._inboxes is not None:
            end, self._inboxes = self._inboxes, None
            await end()

    async def close(self) -> None:
        """End everything."""
        for pattern in list(self.patterns):
            await self.remove(pattern)
        await self.fold_replies(False)

    def clear(self) -> None:
        """Forget what passed by."""
        self._new.clear()
        self._new_bytes = 0
        self.tree = SubjectTree()
        self.received = self.dropped = self._number = 0
        self.latencies.clear()
        self.replies.clear()
        self._reply_bytes = 0
        self._waiting.clear()
        self._answered.clear()

    def take(self, most: int = 2_000) -> list[InspectedMessage]:
        """Return what came since the last call, oldest first; of a flood only the newest `most`."""
        while len(self._new) > most:
            self._new_bytes -= self._new.popleft().cost
            self.dropped += 1
        messages = list(self._new)
        self._new.clear()
        self._new_bytes = 0
        return messages

    def measure(self, seconds: float) -> None:
        """Work out the rates of subjects and patterns since the last measuring."""
        self.tree.measure(seconds)
        for entry in self.patterns.values():
            entry.rate = (entry.messages - entry.counted) / seconds if seconds > 0 else 0.0
            entry.counted = entry.messages

    def _take(self, entry: LivePattern, subject: bytes, reply: bytes, header: bytes, payload: bytes) -> None:
        name = subject.decode("utf-8", "surrogateescape")
        hidden = self._hidden_beginnings
        if hidden and name.startswith(hidden) and not entry.pattern.startswith(hidden):
            return
        if self._inboxes is not None and (name in self._waiting or name in self._answered):
            return  # a reply: it stands beside its request
        entry.messages += 1
        self.received += 1
        self.tree.add(name, len(header) + len(payload))
        if entry.muted:
            return
        self._number += 1
        if reply:
            answer = reply.decode("utf-8", "surrogateescape")
            self._waiting[answer] = (self._number, time.perf_counter())
            if len(self._waiting) > MAX_WAITING:
                self._waiting.popitem(last=False)
        self._came_by[self._number % MAX_ROWS] = min(entry.number, 255)
        message = InspectedMessage("", self._number, time.time_ns(), name, header, payload)
        if self.recorder is not None:
            self.recorder.add(message)
        self._new.append(message)
        self._new_bytes += message.cost
        while len(self._new) > MAX_ROWS or self._new_bytes > MAX_BYTES:
            self._new_bytes -= self._new.popleft().cost
            self.dropped += 1

    def _replied(self, subject: bytes, _: bytes, header: bytes, payload: bytes) -> None:
        inbox = subject.decode("utf-8", "surrogateescape")
        waiting = self._waiting.pop(inbox, None)
        if waiting is None:
            return
        number, sent = waiting
        self._answered[inbox] = None
        if len(self._answered) > MAX_WAITING:
            self._answered.popitem(last=False)
        self.latencies[number] = time.perf_counter() - sent
        if len(self.latencies) > MAX_ROWS:
            self.latencies.popitem(last=False)
        reply = InspectedMessage("", number, time.time_ns(), inbox, header, payload)
        self.replies[number] = reply
        self._reply_bytes += reply.cost
        while self._reply_bytes > MAX_REPLIES and len(self.replies) > 1:
            self._reply_bytes -= self.replies.popitem(last=False)[1].cost


class LiveRecorder:
    """Hands what passes by to a file as it comes; when the file is too slow, the oldest are left out."""

    def __init__(
        self, mask: Callable[[InspectedMessage], InspectedMessage] = lambda message: message
    ) -> None:
        self.dropped = 0
        self._mask = mask
        self._waiting: deque[InspectedMessage] = deque()
        self._bytes = 0
        self._more = asyncio.Event()
        self._ended = False

    def add(self, message: InspectedMessage) -> None:
        """One more message."""
        if self._ended:
            return
        self._waiting.append(message)
        self._bytes += message.cost
        while self._bytes > MAX_BYTES and len(self._waiting) > 1:
            self._bytes -= self._waiting.popleft().cost
            self.dropped += 1
        self._more.set()

    def end(self) -> None:
        """No more will come; what waits is still handed on."""
        self._ended = True
        self._more.set()

    async def messages(self) -> AsyncIterator[InspectedMessage]:
        """Yield the messages until `end`."""
        while True:
            while self._waiting:
                message = self._waiting.popleft()
                self._bytes -= message.cost
                yield self._mask(message)
            if self._ended:
                return
            self._more.clear()
            await self._more.wait()
