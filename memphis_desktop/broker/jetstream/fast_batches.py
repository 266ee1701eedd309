"""Fast ingest batches: a flow of messages acknowledged in groups (2.12 of the protocol notes).

The state of a batch travels in the reply subject: ``<prefix>.<id>.<flow>.<ok|fail>.<sequence>.<op>.$FI``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memphis_desktop.broker.jetstream.atomic_batches import BATCH_TIMEOUT, MAX_ID_LENGTH
from memphis_desktop.broker.jetstream.direct_get import level_refused
from memphis_desktop.broker.jetstream.errors import ApiError
from memphis_desktop.broker.jetstream.message_headers import REQUIRED_API_LEVEL
from memphis_desktop.broker.jetstream.publish_checks import DuplicateMessage, StagedBatch
from memphis_desktop.broker.jetstream.typed_json import encode_json
from memphis_desktop.protocol import headers

if TYPE_CHECKING:
    from memphis_desktop.broker.clock import Timer
    from memphis_desktop.broker.jetstream.ingest import Ingest
    from memphis_desktop.broker.jetstream.publish_checks import Publication, PublishChecks
    from memphis_desktop.broker.jetstream.stream import Stream

FAST_SUFFIX = b".$FI"
MAX_OPEN_BATCHES = 1000
_START, _APPEND, _COMMIT, _COMMIT_END, _PING = range(5)
_MOST_MESSAGES_PER_ACK = 500
_DEFAULT_FLOW = 10
_MAX_FLOW = 65535
_MAX_SEQUENCE = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class FastReply:
    """What a reply subject says."""

    batch_id: bytes
    flow: int
    gaps_allowed: bool
    sequence: int
    operation: int

    @property
    def commits(self) -> bool:
        """Whether the batch ends with this message."""
        return self.operation in (_COMMIT, _COMMIT_END)


def parse_reply(reply: bytes) -> FastReply | None:
    """Return what a reply subject that ends with the suffix says; None when it is malformed."""
    tokens = reply[: -len(FAST_SUFFIX)].split(b".")
    if len(tokens) < 6:
        return None
    batch_id, flow_text, gaps, sequence_text, operation_text = tokens[-5:]
    if not operation_text.isdigit() or not sequence_text.isdigit() or gaps not in (b"ok", b"fail"):
        return None
    operation, sequence = int(operation_text), int(sequence_text)
    if (
        operation > _PING
        or not 0 < sequence < _MAX_SEQUENCE
        or (operation == _COMMIT_END and sequence == 1)
        or (operation == _START and sequence != 1)
        or (operation == _APPEND and sequence == 1)
    ):
        return None
    flow = int(flow_text) if flow_text.isdigit() else 0
    return FastReply(batch_id, min(flow or _DEFAULT_FLOW, _MAX_FLOW), gaps == b"ok", sequence, operation)


@dataclass(slots=True)
class _Batch:
    """A batch under way."""

    timer: Timer
    gaps_allowed: bool
    most_per_ack: int
    per_ack: int
    last: int = 0  # highest sequence of the batch taken
    acked: int = 0  # up to where the sender was told
    stored: int = 0  # last sequence of the stream that the batch wrote


class FastBatches:
    """The fast batches of one stream."""

    def __init__(self, stream: Stream, ingest: Ingest, checks: PublishChecks) -> None:
        self._stream = stream
        self._ingest = ingest
        self._checks = checks
        self._open: dict[bytes, _Batch] = {}

    def forget_all(self) -> None:
        """Drop every open batch; what it stored stays."""
        for batch_id in list(self._open):
            self._forget(batch_id)

    def take(self, publication: Publication, reply: bytes) -> None:
        """Take a message whose reply subject has the suffix."""
        try:
            self._take(publication, reply)
        except ApiError as error:
            self._ingest.refuse(reply, error)

    def _take(self, publication: Publication, reply: bytes) -> None:
        config = self._stream.config
        if config.sealed:
            raise ApiError(10109)
        self._stream.check_account_usage(len(publication.subject) + len(publication.body))
        if 0 <= config.max_msg_size < len(publication.body):
            raise ApiError(10054)
        if not config.allow_batched:
            raise ApiError(10205)
        said = parse_reply(reply)
        if said is None:
            raise ApiError(10206)
        if len(said.batch_id) > MAX_ID_LENGTH:
            raise ApiError(10207)
        batch = self._open.get(said.batch_id) or self._begin(said)
        if publication.fields.get(REQUIRED_API_LEVEL):
            self._check_level(publication, said.batch_id)
        self._renew(said.batch_id, batch)
        if said.operation == _PING:
            self._ping(said, batch, reply)
        elif self._in_order(said, batch, reply):
            self._take_in_order(publication, said, batch, reply)

    def _begin(self, said: FastReply) -> _Batch:
        if said.sequence != 1:
            raise ApiError(10208)
        if len(self._open) >= MAX_OPEN_BATCHES:
            raise ApiError(10211)
        per_ack = 1 if self._open else min(_MOST_MESSAGES_PER_ACK, said.flow)
        batch = _Batch(self._start_timer(said.batch_id), said.gaps_allowed, said.flow, per_ack)
        self._open[said.batch_id] = batch
        return batch

    def _ping(self, said: FastReply, batch: _Batch, reply: bytes) -> None:
        """Tell again how far the batch is, and of a gap if messages are missing."""
        if said.sequence > batch.last:
            self._tell_gap(reply, batch.last + 1, said.sequence + 1)
            if not batch.gaps_allowed:
                self._finish(said.batch_id, batch, reply)
                return
            batch.last = said.sequence
            if self._acknowledge(batch, reply):
                return
        self._tell_flow(batch, reply, batch.acked)

    def _in_order(self, said: FastReply, batch: _Batch, reply: bytes) -> bool:
        """Advance the batch to this message; a gap that is not allowed ends the batch."""
        expected = batch.last + 1
        if said.sequence > expected:
            self._tell_gap(reply, expected, said.sequence)
        if said.sequence == expected or (batch.gaps_allowed and said.sequence > expected):
            batch.last = said.sequence
            return True
        self._finish(said.batch_id, batch, reply)
        return False

    def _take_in_order(self, publication: Publication, said: FastReply, batch: _Batch, reply: bytes) -> None:
        if said.operation == _COMMIT_END:
            batch.last -= 1
            self._finish(said.batch_id, batch, reply)
            return
        if said.sequence == 1 and not said.commits:
            self._tell_flow(batch, reply, 0)
        self._ingest.store()
        try:
            self._checks.check_staged(publication, StagedBatch())
        except DuplicateMessage as duplicate:
            self._took_duplicate(duplicate, said, batch, reply)
            return
        except ApiError as error:
            self._took_refused(error, said, batch, reply)
            return
        self._ingest.accept(publication, b"")
        self._ingest.store()
        batch.stored = self._stream.messages.last_sequence
        if said.commits:
            self._finish(said.batch_id, batch, reply)
        else:
            self._acknowledge(batch, reply)

    def _took_duplicate(
        self, duplicate: DuplicateMessage, said: FastReply, batch: _Batch, reply: bytes
    ) -> None:
        """A message that is there already counts as stored."""
        if not said.commits:
            self._acknowledge(batch, reply)
            return
        if not said.gaps_allowed and batch.last == 1:
            self._forget(said.batch_id)
            self._ingest.answer_duplicate(duplicate.message_id, reply, self._ending(said.batch_id, 1))
            return
        self._finish(said.batch_id, batch, reply)

    def _took_refused(self, error: ApiError, said: FastReply, batch: _Batch, reply: bytes) -> None:
        if not said.gaps_allowed and batch.last == 1:
            self._forget(said.batch_id)
            raise error
        told = {"type": "err", "seq": said.sequence, "error": error.to_json()}
        self._ingest.answer(reply, encode_json(told))
        if said.gaps_allowed and not said.commits:
            return
        batch.last -= 1
        self._finish(said.batch_id, batch, reply)

    # -- answers ---------------------------------------------------------------------------------------------
    def _acknowledge(self, batch: _Batch, reply: bytes) -> bool:
        """Tell the sender how far it is, if enough came since the last time; adapt the pace."""
        per_ack = batch.per_ack
        if batch.last < batch.acked + per_ack:
            return False
        batch.acked += (batch.last - batch.acked) // per_ack * per_ack
        most = min(max(_MOST_MESSAGES_PER_ACK // len(self._open), 1), batch.most_per_ack)
        batch.per_ack = min(per_ack * 2, most) if per_ack < most else max(per_ack // 2, most)
        self._tell_flow(batch, reply, batch.acked)
        return True

    def _tell_flow(self, batch: _Batch, reply: bytes, sequence: int) -> None:
        told = encode_json({"type": "ack", "seq": sequence, "msgs": batch.per_ack})
        if sequence:
            self._ingest.answer_when_durable(reply, told)
        else:
            self._ingest.answer(reply, told)

    def _tell_gap(self, reply: bytes, expected: int, current: int) -> None:
        self._ingest.answer(reply, encode_json({"type": "gap", "last_seq": expected, "seq": current}))

    def _finish(self, batch_id: bytes, batch: _Batch, reply: bytes) -> None:
        """End the batch with an acknowledgement of all that it stored."""
        self._forget(batch_id)
        ending = self._ending(batch_id, batch.last)
        self._ingest.answer_when_durable(reply, b"%b%d%b}" % (self._ingest.prefix, batch.stored, ending))

    def _ending(self, batch_id: bytes, count: int) -> bytes:
        return b',"batch":%b,"count":%d' % (encode_json(batch_id.decode("utf-8", "replace")), count)

    # -- life of a batch -------------------------------------------------------------------------------------
    def _check_level(self, publication: Publication, batch_id: bytes) -> None:
        block = publication.body[: publication.header_size]
        if level_refused(block):
            self._forget(batch_id)
            raise ApiError(10185)
        kept = headers.without(block, (REQUIRED_API_LEVEL + b":",))
        publication.body = kept + publication.body[publication.header_size :]
        publication.header_size = len(kept)

    def _start_timer(self, batch_id: bytes) -> Timer:
        return self._stream.node.clock.call_later(BATCH_TIMEOUT, lambda: self._forget(batch_id))

    def _renew(self, batch_id: bytes, batch: _Batch) -> None:
        if batch_id in self._open:
            batch.timer.cancel()
            batch.timer = self._start_timer(batch_id)

    def _forget(self, batch_id: bytes) -> None:
        batch = self._open.pop(batch_id, None)
        if batch is not None:
            batch.timer.cancel()
