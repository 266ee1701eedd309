"""When messages leave a stream because of their age: the stream's max_age, their own TTL, and delete markers.

Plain max_age is the store's work: it drops whole slices. A stream that allows TTLs per message looks at each:
a message may live shorter than the others, or for ever, and what leaves last of a subject may leave a marker.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from memphis_desktop.broker.jetstream.message_headers import (
    MARKER_REASON,
    MESSAGE_TTL,
    nats_fields,
    parse_ttl,
)
from memphis_desktop.broker.jetstream.times import SECOND_NS, format_duration
from memphis_desktop.broker.store.interface import NewMessage, RemovalReason, StorageError, StoredMessage
from memphis_desktop.protocol import headers

if TYPE_CHECKING:
    from memphis_desktop.broker.clock import Timer
    from memphis_desktop.broker.jetstream.stream import Stream

_log = logging.getLogger(__name__)

# A timer that fires early or an age that just passed must not spin: the least time between two expiries.
_LEAST_DELAY = 0.01
_RETRY_NS = SECOND_NS
_SLICE = 1000
_TTL_FIELD = b"\r\nNats-TTL:"


class Expiry:
    """Removes messages of one stream at their time."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._timer: Timer | None = None
        self._planned_ns = 0
        # Of messages with a TTL: a heap of (when, sequence), and those that never go.
        self._due: list[tuple[int, int]] = []
        self._for_ever: set[int] = set()
        self._looked_through = False

    @property
    def by_message(self) -> bool:
        """Whether messages may have their own TTL, so that the store is not told of max_age."""
        return self._stream.config.allow_msg_ttl

    # -- life ------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Begin, or follow a changed configuration."""
        if self.by_message and not self._looked_through:
            self._looked_through = True
            self._find_ttls(self._stream.messages.first_sequence)
        self._plan()

    def stop(self) -> None:
        """Expire nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- what the stream tells -------------------------------------------------------------------------------
    def stored(self, messages: Sequence[NewMessage], first: int, time_ns: int) -> None:
        """Take note of messages that were just stored."""
        config = self._stream.config
        if self.by_message:
            for sequence, (_, header_size, body) in enumerate(messages, first):
                if header_size and body.find(_TTL_FIELD, 0, header_size) >= 0:
                    self._note(sequence, time_ns + sequence - first, header_size, body)
        if config.max_age and self._timer is None:
            self._set_timer(time_ns + config.max_age)

    def removed(self, removed: Sequence[tuple[int, bytes]]) -> None:
        """Forget messages that left the stream some other way."""
        if self._for_ever:
            self._for_ever.difference_update([sequence for sequence, _ in removed])

    # -- inside ----------------------------------------------------------------------------------------------
    def _note(self, sequence: int, time_ns: int, header_size: int, body: bytes) -> None:
        ttl = parse_ttl(nats_fields(body, header_size).get(MESSAGE_TTL, b""))
        if not ttl:
            return
        if ttl < 0:
            self._for_ever.add(sequence)
            return
        due = time_ns + ttl * SECOND_NS
        heappush(self._due, (due, sequence))
        if self._timer is None or due < self._planned_ns:
            self._set_timer(due)

    def _find_ttls(self, start: int) -> None:
        """Look for TTLs in what was there before, a slice per turn of the loop."""
        stream = self._stream
        if stream.closed or not stream.messages.message_count:
            return
        sequences = stream.messages.next_sequences(start, _SLICE)
        try:
            found = stream.messages.read_many(sequences)
        except StorageError:
            found = []
        for message in found:
            if message.header_size and message.body.find(_TTL_FIELD, 0, message.header_size) >= 0:
                self._note(message.sequence, message.time_ns, message.header_size, message.body)
        if len(sequences) == _SLICE:
            stream.node.clock.call_soon(lambda: self._find_ttls(sequences[-1] + 1))

    def _plan(self) -> None:
        """Set the timer for the first message to go, or none."""
        self.stop()
        stream = self._stream
        dues = [self._due[0][0]] if self._due else []
        if stream.config.max_age and stream.messages.message_count:
            first = self._first_mortal()
            if first is not None:
                dues.append(first + stream.config.max_age)
        if dues:
            self._set_timer(min(dues))

    def _first_mortal(self) -> int | None:
        """Return the time of the oldest message that max_age applies to."""
        messages = self._stream.messages
        if not self._for_ever:
            return messages.first_time_ns
        for sequence in messages.next_sequences(1, len(self._for_ever) + 1):
            if sequence not in self._for_ever:
                message = messages.read(sequence)
                return message.time_ns if message is not None else None
        return None

    def _set_timer(self, due_ns: int) -> None:
        self.stop()
        self._planned_ns = due_ns
        clock = self._stream.node.clock
        delay = max((due_ns - clock.time_ns()) / SECOND_NS, _LEAST_DELAY)
        self._timer = clock.call_later(delay, self._expire)

    def _expire(self) -> None:
        self._timer = None
        stream = self._stream
        if stream.closed:
            return
        now = stream.node.clock.time_ns()
        try:
            if not self.by_message:
                due = stream.messages.expire(now)
                if due is not None:
                    self._set_timer(due)
            else:
                self._expire_by_message(now)
                self._plan()
        except StorageError as error:
            _log.error(
                "Stream '%s > %s' can not expire messages: %s", stream.account.name, stream.name, error
            )
            self._set_timer(now + _RETRY_NS)
        stream.node.flush()

    def _expire_by_message(self, now: int) -> None:
        """Remove a slice of what is due; the rest is for the next turn."""
        messages, age = self._stream.messages, self._stream.config.max_age
        doomed: set[int] = set()
        while self._due and self._due[0][0] <= now and len(doomed) < _SLICE:
            doomed.add(heappop(self._due)[1])
        if age:
            end = messages.sequence_at(now - age)
            old = messages.next_sequences(1, _SLICE + len(self._for_ever))
            doomed.update(one for one in old if one < end and one not in self._for_ever)
        if not doomed:
            return
        found = messages.read_many(sorted(doomed))
        marked = self._to_be_marked(found)
        messages.remove(doomed, RemovalReason.AGE)
        for message in marked:
            self._store_marker(message.subject)

    def _to_be_marked(self, leaving: Sequence[StoredMessage]) -> list[StoredMessage]:
        """Return those that are the last of their subjects and no markers themselves."""
        if not self._stream.config.subject_delete_marker_ttl:
            return []
        counts: dict[bytes, int] = {}
        for message in leaving:
            counts[message.subject] = counts.get(message.subject, 0) + 1
        messages = self._stream.messages
        marked = []
        for message in leaving:
            state = messages.subjects(message.subject).get(message.subject)
            if state is None or state.last_sequence != message.sequence:
                continue
            if state.messages == counts[message.subject] and not _is_marker(message):
                marked.append(message)
        return marked

    def _store_marker(self, subject: bytes) -> None:
        ttl = self._stream.config.subject_delete_marker_ttl // SECOND_NS * SECOND_NS
        block = headers.encode(
            {
                "Nats-Marker-Reason": "MaxAge",
                "Nats-TTL": format_duration(ttl),
                "Nats-Rollup": "sub",
            }
        )
        self._stream.store_own(subject, len(block), block)


def _is_marker(message: StoredMessage) -> bool:
    """Return whether a message says already that its subject is deleted."""
    block = message.body[: message.header_size]
    return bool(headers.get(block, MARKER_REASON)) or headers.get(block, b"KV-Operation") == b"PURGE"
