"""Atomic batch publishing: all messages of a batch are stored, or none (2.12 of the protocol notes)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from memphis_desktop.broker.jetstream.direct_get import level_refused
from memphis_desktop.broker.jetstream.errors import STREAM_STORE_FAILED, ApiError
from memphis_desktop.broker.jetstream.message_headers import (
    BATCH_COMMIT,
    BATCH_ID,
    BATCH_SEQUENCE,
    EXPECTED_LAST_MESSAGE_ID,
    REQUIRED_API_LEVEL,
)
from memphis_desktop.broker.jetstream.publish_checks import DuplicateMessage, StagedBatch
from memphis_desktop.broker.jetstream.typed_json import encode_json
from memphis_desktop.broker.store.interface import StorageError
from memphis_desktop.protocol import headers

if TYPE_CHECKING:
    from memphis_desktop.broker.clock import Timer
    from memphis_desktop.broker.jetstream.ingest import Ingest
    from memphis_desktop.broker.jetstream.publish_checks import Publication, PublishChecks
    from memphis_desktop.broker.jetstream.stream import Stream

MAX_BATCH_MESSAGES = 1000
MAX_OPEN_BATCHES = 50
MAX_ID_LENGTH = 64
BATCH_TIMEOUT = 10.0
_END_OF_BATCH = b"eob"


@dataclass(slots=True)
class _Batch:
    """A batch that is not committed yet."""

    timer: Timer
    messages: list[Publication] = field(default_factory=list)
    last: int = 0


class AtomicBatches:
    """The open batches of one stream.

    They are held in memory: a batch that is not committed is lost with the node, as its sender expects.
    """

    def __init__(self, stream: Stream, ingest: Ingest, checks: PublishChecks) -> None:
        self._stream = stream
        self._ingest = ingest
        self._checks = checks
        self._open: dict[bytes, _Batch] = {}

    def forget_all(self) -> None:
        """Drop every open batch without a word."""
        for batch_id in list(self._open):
            self._forget(batch_id)

    def take(self, publication: Publication, reply: bytes) -> None:
        """Take a message of a batch; the last one stores them all."""
        try:
            self._take(publication, reply)
        except DuplicateMessage:
            self._ingest.refuse(reply, ApiError(10201))
        except ApiError as error:
            self._ingest.refuse(reply, error)
        except StorageError as error:
            self._ingest.refuse(reply, ApiError(STREAM_STORE_FAILED, error))

    def _take(self, publication: Publication, reply: bytes) -> None:
        config, fields = self._stream.config, publication.fields
        if config.sealed:
            raise ApiError(10109)
        self._stream.check_account_usage(len(publication.subject) + len(publication.body))
        if 0 <= config.max_msg_size < len(publication.body):
            raise ApiError(10054)
        if not config.allow_atomic:
            raise ApiError(10174)
        batch_id = fields[BATCH_ID]
        if len(batch_id) > MAX_ID_LENGTH:
            raise ApiError(10179)
        number = fields.get(BATCH_SEQUENCE, b"")
        if not number.isdigit() or len(number) > 19:
            raise ApiError(10175)
        sequence = int(number)
        commit = fields.get(BATCH_COMMIT)
        ends = commit == _END_OF_BATCH
        batch = self._open.get(batch_id) or self._begin(batch_id, sequence, ends)
        if commit is not None and commit not in (b"1", _END_OF_BATCH):
            self._forget(batch_id)
            raise ApiError(10200)
        if fields.get(REQUIRED_API_LEVEL):
            self._check_level(publication, batch_id)
        self._renew(batch_id, batch)
        batch.last += 1
        if batch.last != sequence or (sequence == 1 and ends):
            self._abandon(batch_id, "incomplete")
            raise ApiError(10176)
        if sequence - ends > MAX_BATCH_MESSAGES:
            self._abandon(batch_id, "large")
            raise ApiError(10199, size=MAX_BATCH_MESSAGES)
        if not ends:
            batch.messages.append(publication)
        if commit is None:
            self._ingest.answer(reply, b"")
            return
        self._forget(batch_id)
        if ends:
            batch.messages[-1].set_header(BATCH_COMMIT, b"1")
        self._commit(batch_id, batch.messages, reply)

    def _begin(self, batch_id: bytes, sequence: int, ends: bool) -> _Batch:
        if sequence != 1:
            if sequence - ends > MAX_BATCH_MESSAGES:
                raise ApiError(10199, size=MAX_BATCH_MESSAGES)
            raise ApiError(10176)
        if len(self._open) >= MAX_OPEN_BATCHES:
            raise ApiError(10210)
        batch = self._open[batch_id] = _Batch(self._start_timer(batch_id))
        return batch

    def _commit(self, batch_id: bytes, messages: list[Publication], reply: bytes) -> None:
        """Check all messages against the stream as it is, then store them with one write."""
        self._ingest.store()
        staged = StagedBatch()
        for publication in messages:
            if publication.fields.get(EXPECTED_LAST_MESSAGE_ID):
                raise ApiError(10177, header=EXPECTED_LAST_MESSAGE_ID.decode())
            self._checks.check_staged(publication, staged)
        last = len(messages) - 1
        ending = b',"batch":%b,"count":%d' % (encode_json(batch_id.decode("utf-8", "replace")), last + 1)
        self._ingest.accept_batch(messages, reply, ending)

    def _check_level(self, publication: Publication, batch_id: bytes) -> None:
        block = publication.body[: publication.header_size]
        if level_refused(block):
            self._abandon(batch_id, "unsupported")
            raise ApiError(10185)
        kept = headers.without(block, (REQUIRED_API_LEVEL + b":",))
        publication.body = kept + publication.body[publication.header_size :]
        publication.header_size = len(kept)

    def _start_timer(self, batch_id: bytes) -> Timer:
        return self._stream.node.clock.call_later(BATCH_TIMEOUT, lambda: self._abandon(batch_id, "timeout"))

    def _renew(self, batch_id: bytes, batch: _Batch) -> None:
        batch.timer.cancel()
        batch.timer = self._start_timer(batch_id)

    def _forget(self, batch_id: bytes) -> None:
        batch = self._open.pop(batch_id, None)
        if batch is not None:
            batch.timer.cancel()

    def _abandon(self, batch_id: bytes, reason: str) -> None:
        self._forget(batch_id)
        name = self._stream.name
        fields = {
            "account": self._stream.account.name,
            "stream": name,
            "batch": batch_id.decode("utf-8", "replace"),
            "reason": reason,
        }
        self._stream.advise("stream_batch_abandoned", f"STREAM.BATCH_ABANDONED.{name}", fields)
