"""Requests for single messages of a stream."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.jetstream.api_request import ApiRequest
from memphis_desktop.broker.jetstream.direct_get import find_message
from memphis_desktop.broker.jetstream.errors import BAD_REQUEST, MESSAGE_NOT_FOUND, ApiError
from memphis_desktop.broker.jetstream.requests import MessageDeleteRequest, MessageGetRequest
from memphis_desktop.broker.jetstream.times import format_time
from memphis_desktop.broker.jetstream.typed_json import encode_json
from memphis_desktop.broker.store.interface import RemovalReason, StorageError

if TYPE_CHECKING:
    from memphis_desktop.broker.jetstream.stream import Stream


def get(request: ApiRequest) -> None:
    """STREAM.MSG.GET.S; answered here, because successful ones are neither counted nor audited."""
    asked = request.read_required(MessageGetRequest, "JSApiMsgGetRequest")
    last, following, start = asked.last_by_subj, asked.next_by_subj, asked.start_time
    if (
        asked.batch > 0
        or asked.max_bytes > 0
        or (asked.seq and (last or start is not None))
        or not (asked.seq or last or following or start is not None)
        or (last and (start is not None or following))
    ):
        raise ApiError(BAD_REQUEST)
    stream = request.streams.find(request.tokens[0])
    try:
        message = find_message(stream, asked)
    except StorageError:
        message = None
    if message is None:
        raise ApiError(MESSAGE_NOT_FOUND)
    shown: dict[str, Any] = {
        "subject": message.subject.decode("utf-8", "replace"),
        "seq": message.sequence,
    }
    header_block, payload = message.body[: message.header_size], message.body[message.header_size :]
    if header_block and not asked.no_hdr:
        shown["hdrs"] = b64encode(header_block).decode()
    if payload:
        shown["data"] = b64encode(payload).decode()
    shown["time"] = format_time(message.time_ns)
    answer = encode_json({"type": request.answer_type, "message": shown})
    request.streams.account.publish((request.reply, b"", 0, answer))


def delete(request: ApiRequest) -> None:
    """STREAM.MSG.DELETE.S; answered once the removal is durable."""
    asked = request.read_required(MessageDeleteRequest, "JSApiMsgDeleteRequest")
    stream = request.streams.find(request.tokens[0])
    if stream.config.sealed:
        raise ApiError(10109)
    if stream.config.deny_delete:
        raise ApiError(10057, "message delete not permitted")
    try:
        removed = stream.messages.remove([asked.seq], RemovalReason.DELETE, erase=not asked.no_erase)
    except StorageError as error:
        raise ApiError(10057, error) from None
    if not removed:
        raise _not_removed(stream, asked.seq)
    request.respond_when_durable(stream.messages, lambda: {"success": True}, 10057)


def _not_removed(stream: Stream, sequence: int) -> ApiError:
    """Return what the reference server says of a sequence that is not there, which depends on the storage."""
    messages = stream.messages
    if stream.config.storage == "file":
        if sequence > messages.last_sequence:
            return ApiError(10057, "stream store EOF")
        if sequence < messages.first_sequence:
            return ApiError(10057, "no message found")
    return ApiError(10043, seq=sequence)
