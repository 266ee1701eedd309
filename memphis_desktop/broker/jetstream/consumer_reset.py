"""CONSUMER.RESET: making a consumer start over at a sequence, or at its ack floor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.jetstream.errors import INVALID_JSON, ApiError
from memphis_desktop.broker.jetstream.json_syntax import InvalidJson
from memphis_desktop.broker.jetstream.message_headers import REQUIRED_API_LEVEL
from memphis_desktop.broker.jetstream.metadata import API_LEVEL, with_dynamic
from memphis_desktop.broker.jetstream.typed_json import UINT64, attribute, encode_json, from_json
from memphis_desktop.protocol.headers import get

if TYPE_CHECKING:
    from memphis_desktop.broker.contracts import Client
    from memphis_desktop.broker.jetstream.consumer_base import BaseConsumer
    from memphis_desktop.protocol.message import Message

_TYPE = "io.nats.jetstream.api.v1.consumer_reset_response"


@dataclass(slots=True)
class ResetRequest:
    """The body of CONSUMER.RESET."""

    seq: int = attribute(UINT64)


def needs_newer_server(header_block: bytes) -> bool:
    """Return whether a request's ``Nats-Required-Api-Level`` is above ours, or no number."""
    level = get(header_block, REQUIRED_API_LEVEL)
    if not level:
        return False
    try:
        return int(level) > API_LEVEL
    except ValueError:
        return True


class ResetHandler:
    """Answers the reset requests of one consumer."""

    def __init__(self, consumer: BaseConsumer) -> None:
        self._consumer = consumer

    def handle(self, messages: list[Message], client: Client | None) -> None:
        """Answer each request that has a reply subject."""
        consumer = self._consumer
        for _, reply, header_size, body in messages:
            if not reply or consumer.stopped:
                continue
            answer: dict[str, Any] = {"type": _TYPE}
            try:
                sequence = self._reset(body[:header_size], body[header_size:])
            except ApiError as error:
                answer["error"] = error.to_json()
                answer["reset_seq"] = 0
            else:
                answer |= consumer.info()
                answer["config"]["metadata"] = with_dynamic(
                    consumer.config.metadata, consumer.stream.node.version
                )
                answer["reset_seq"] = sequence
            consumer.account.publish((reply, b"", 0, encode_json(answer)))

    def _reset(self, header_block: bytes, body: bytes) -> int:
        if header_block and needs_newer_server(header_block):
            raise ApiError(10185)
        try:
            request = from_json(ResetRequest, body, "JSApiConsumerResetRequest")
        except InvalidJson as fault:
            raise ApiError(INVALID_JSON, err=str(fault)) from None
        consumer = self._consumer
        sequence = request.seq
        if sequence == 0:
            sequence = consumer.deliveries.floor_stream + 1
        else:
            self._check(sequence)
        consumer.restart_at(max(sequence, 1))
        return max(sequence, 1)

    def _check(self, sequence: int) -> None:
        config = self._consumer.config
        if config.deliver_policy == "all":
            return
        if config.deliver_policy == "by_start_sequence":
            if sequence < config.opt_start_seq:
                raise ApiError(10204, err="below start seq")
            return
        if config.deliver_policy == "by_start_time" and config.opt_start_time is not None:
            if sequence < self._consumer.stream.messages.sequence_at(config.opt_start_time):
                raise ApiError(10204, err="below start time")
            return
        raise ApiError(10204, err="not allowed")
