"""Mirrors and sources: streams that take over the messages of other streams of their account (2.14).

A `SourceReader` reads one origin through its store, as far as that is durable, in slices that leave the loop
time for others. The origin need not exist yet: the reader attaches when it appears.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.jetstream.errors import STREAM_NOT_FOUND, STREAM_STORE_FAILED, ApiError
from memphis_desktop.broker.jetstream.message_headers import STREAM_SOURCE
from memphis_desktop.broker.jetstream.publish_checks import Publication
from memphis_desktop.broker.jetstream.times import SECOND_NS, format_time
from memphis_desktop.broker.jetstream.typed_json import to_json
from memphis_desktop.broker.store.interface import StorageError, StoredMessage
from memphis_desktop.broker.subject_transform import SubjectTransform
from memphis_desktop.protocol import headers, subjects

if TYPE_CHECKING:
    from memphis_desktop.broker.clock import Timer
    from memphis_desktop.broker.jetstream.config import StreamSource
    from memphis_desktop.broker.jetstream.stream import Stream

_log = logging.getLogger(__name__)

_SLICE_MESSAGES = 512
_SLICE_BYTES = 1024 * 1024
_RETRY_SECONDS = 2.0
# Headers of the origin that a sourced message does not keep.
_NOT_KEPT = (b"Nats-Stream-Source:", b"Nats-Expected-", b"Nats-Batch-")
_HASH_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class SourceReader:
    """Brings the messages of one origin into a stream."""

    _shows_position = True

    def __init__(self, target: Stream, source: StreamSource) -> None:
        """Prepare the reader; `attach` gives it its origin.

        Args:
            target: where the messages go.
            source: which origin, from where on, and what of it.
        """
        self.source = source
        self.name = source.name
        self.index_name = index_name(source)
        self.origin: Stream | None = None
        self.missing = False  # the origin was looked for and does not exist
        self.position: int | None = None  # last sequence of the origin that was taken; None: not known yet
        self.identity = ""  # of the origin that `position` counts in
        self._target = target
        self._done = 0  # up to here the target has it durably
        self._last_contact_ns = 0  # 0: never yet
        self._planned = False
        self._retry: Timer | None = None
        self.filters, self._transforms = _filters_and_transforms(source)

    # -- life ------------------------------------------------------------------------------------------------
    def attach(self, origin: Stream) -> None:
        """Begin to read `origin`, which was created, or found at the start."""
        self.origin = origin
        self.missing = False
        origin.followers.append(self)
        identity = identity_of(origin)
        if self.position is None or self._starts_anew(identity):
            self.position = self._first_position(origin)
        self.identity = identity
        self._done = self.position
        self.wake()

    def detach(self) -> None:
        """Stop reading: the origin or the target ends, or the configuration has changed."""
        if self.origin is not None:
            self.origin.followers.remove(self)
            self._last_contact_ns = self._now()
            self.origin = None
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def wake(self) -> None:
        """Read on in the next turn: the origin has more."""
        if not self._planned and self.origin is not None and self._retry is None:
            self._planned = True
            self._target.node.clock.call_soon(self._run)

    # -- what the origin asks for its retention --------------------------------------------------------------
    def wants(self, sequence: int, subject: bytes) -> bool:
        """Return whether this message still has to be brought over."""
        return sequence > self._done and subjects.matches_any(self.filters, subject)

    # -- what is shown ---------------------------------------------------------------------------------------
    def info(self) -> dict[str, Any]:
        """Return the source info of StreamInfo."""
        source = self.source
        shown: dict[str, Any] = {"name": source.name}
        if source.external is not None:
            shown["external"] = to_json(source.external)
        shown["lag"] = self._lag()
        if self._shows_position and self.position and self._last_contact_ns:
            shown["seq"] = self.position
        shown["active"] = self._since_contact()
        if self.missing:
            shown["error"] = ApiError(STREAM_NOT_FOUND).to_json()
        if source.filter_subject:
            shown["filter_subject"] = source.filter_subject
        if source.subject_transforms:
            shown["subject_transforms"] = [to_json(transform) for transform in source.subject_transforms]
        return shown

    @property
    def safe_position(self) -> int:
        """The last sequence of the origin that the target has durably."""
        return self._done if self.origin is not None else self.position or 0

    def _since_contact(self) -> int:
        """Return the nanoseconds since the last sign of the origin, -1 when there was none."""
        if not self._last_contact_ns:
            return -1
        elapsed = self._now() - self._last_contact_ns
        # While attached we are in touch all the time; others would see a heartbeat each second.
        return elapsed if self.origin is None else min(elapsed, SECOND_NS)

    def _lag(self) -> int:
        if self.origin is None or self.position is None or not self._last_contact_ns:
            return 0
        return self.origin.messages.count_from(self.position + 1, self.filters)

    # -- reading ---------------------------------------------------------------------------------------------
    def _run(self) -> None:
        self._planned = False
        origin, target = self.origin, self._target
        if origin is None or target.closed or self.position is None:
            return
        visible = origin.visible_sequence
        wanted = origin.messages.next_sequences(self.position + 1, _SLICE_MESSAGES, self.filters)
        sequences = [sequence for sequence in wanted if sequence <= visible]
        try:
            found = origin.messages.read_many(sequences, _SLICE_BYTES)
            taken = self._take(found)
        except StorageError as error:
            _log.warning("Stream '%s' can not read on from '%s': %s", target.name, self.name, error)
            taken = False
        self._last_contact_ns = self._now()
        target.node.flush()
        if not taken:
            self._retry = target.node.clock.call_later(_RETRY_SECONDS, self._try_again)
        elif found:
            if found[-1].sequence == sequences[-1] and len(sequences) < len(wanted):
                return  # the rest is not durable yet: the origin wakes us
            self.wake()
        elif sequences:
            self.position = sequences[-1]  # all of them unreadable
            self.wake()

    def _try_again(self) -> None:
        self._retry = None
        self.wake()

    def _take(self, messages: Sequence[StoredMessage]) -> bool:
        """Bring messages into the target; return False when it can not take more now."""
        for message in messages:
            publication = self._publication(message)
            error = self._target.take_sourced(publication)
            if error is not None and error.err_code == STREAM_STORE_FAILED:
                self._finish()
                return False
            if error is not None:
                _log.warning(
                    "Stream '%s' skips message %d of '%s': %s",
                    self._target.name,
                    message.sequence,
                    self.name,
                    error,
                )
            self.position = message.sequence
        self._finish()
        return True

    def _finish(self) -> None:
        self._target.finish_sourced()
        position = self.position or 0
        origin = self.origin
        if position > self._done and origin is not None:
            self._target.messages.when_durable(lambda failure: self._now_durable(failure, position))

    def _now_durable(self, failure: StorageError | None, position: int) -> None:
        """Let the origin drop what the target has durably, if nobody else wants it."""
        origin = self.origin
        if failure is not None or origin is None or position <= self._done:
            return
        first, self._done = self._done + 1, position
        if origin.config.retention != "limits":
            count = position - first + 1
            sequences = origin.messages.next_sequences(first, count, self.filters)
            origin.retention.consumed(self, [one for one in sequences if one <= position])

    def _publication(self, message: StoredMessage) -> Publication:
        header_size, body = message.header_size, message.body
        kept = headers.without(body[:header_size], _NOT_KEPT) if header_size else b""
        block = headers.extend(kept, [(STREAM_SOURCE, self._origin_header(message))])
        subject = self.transformed(message.subject)
        return Publication(subject, len(block), block + body[header_size:], sourced=True)

    def _origin_header(self, message: StoredMessage) -> bytes:
        name, filters, destinations = self.index_name.split(" ")
        parts = (name, str(message.sequence), filters, destinations)
        identity = b" " + self.identity.encode() if self.identity else b""
        return " ".join(parts).encode() + b" " + message.subject + identity

    def transformed(self, subject: bytes) -> bytes:
        """Return the subject under which the target stores a message."""
        for transform in self._transforms:
            result = transform.apply(subject)
            if result is not None:
                return result
        return subject

    def _starts_anew(self, identity: str) -> bool:
        """Return whether the origin is another stream of the same name than before."""
        return self.identity not in ("", identity)

    def _first_position(self, origin: Stream) -> int:
        """Return the sequence before the first one wanted."""
        if self.source.opt_start_time is not None:
            return origin.messages.sequence_at(self.source.opt_start_time) - 1
        return max(self.source.opt_start_seq - 1, 0)

    def _now(self) -> int:
        return self._target.node.clock.time_ns()


class MirrorReader(SourceReader):
    """Brings the messages of one origin into its mirror, with their sequences and times."""

    _shows_position = False

    def _starts_anew(self, identity: str) -> bool:
        return False  # a mirror's sequences are its origin's: it can only go on

    def _first_position(self, origin: Stream) -> int:
        last = self._target.messages.last_sequence
        return last if last else super()._first_position(origin)

    def _take(self, messages: Sequence[StoredMessage]) -> bool:
        for run in _runs(messages):
            first = run[0]
            mirrored = [(self.transformed(one.subject), *_without_expectations(one)) for one in run]
            self._target.store_mirrored(mirrored, first.sequence, first.time_ns)
            self.position = run[-1].sequence
        self._finish()
        return True


def _without_expectations(message: StoredMessage) -> tuple[int, bytes]:
    """Return header size and body without what was expected of the origin only."""
    size, body = message.header_size, message.body
    if not size or body.find(b"\r\nNats-Expected-", 0, size) < 0:
        return size, body
    block = headers.without(body[:size], (b"Nats-Expected-",))
    return len(block), block + body[size:]


def _runs(messages: Sequence[StoredMessage]) -> Iterable[list[StoredMessage]]:
    """Divide messages into runs of consecutive sequences whose times are a nanosecond apart each."""
    run: list[StoredMessage] = []
    for message in messages:
        if run and (message.sequence, message.time_ns) != (run[-1].sequence + 1, run[-1].time_ns + 1):
            yield run
            run = []
        run.append(message)
    if run:
        yield run


def index_name(source: StreamSource) -> str:
    """Return what tells sources of one stream apart: ``name[:hash] filters destinations``."""
    name = source.name
    if source.external is not None:
        name += ":" + short_hash(source.external.api)
    if source.consumer is not None:
        name += ":C=" + short_hash(source.consumer.name)
    if not source.subject_transforms:
        return f"{name} {source.filter_subject or '>'} >"
    filters = "\f".join(transform.src or ">" for transform in source.subject_transforms)
    destinations = "\f".join(transform.dest or ">" for transform in source.subject_transforms)
    return f"{name} {filters} {destinations}"


def identity_of(stream: Stream) -> str:
    """Return what tells a stream from an earlier one of the same name."""
    return short_hash(format_time(stream.created_ns))


def short_hash(text: str) -> str:
    """Return the eight characters by which the reference server names streams, accounts and prefixes."""
    digest = hashlib.sha256(text.encode()).digest()
    return "".join(_HASH_DIGITS[byte % len(_HASH_DIGITS)] for byte in digest[:8])


def _filters_and_transforms(source: StreamSource) -> tuple[list[bytes], list[SubjectTransform]]:
    if not source.subject_transforms:
        return ([source.filter_subject.encode()] if source.filter_subject else []), []
    filters = [transform.src.encode() or b">" for transform in source.subject_transforms]
    transforms = [
        SubjectTransform(transform.src, transform.dest)
        for transform in source.subject_transforms
        if transform.dest
    ]
    return ([] if b">" in filters else filters), transforms
