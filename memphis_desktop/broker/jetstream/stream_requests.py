"""Requests about the account and its streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.jetstream import metadata
from memphis_desktop.broker.jetstream.api_request import ApiRequest
from memphis_desktop.broker.jetstream.backup.snapshot import Snapshot
from memphis_desktop.broker.jetstream.config import StreamConfigRequest
from memphis_desktop.broker.jetstream.errors import (
    BAD_REQUEST,
    STREAM_INVALID_CONFIG,
    STREAM_NAME_MISMATCH,
    STREAM_STORE_FAILED,
    ApiError,
)
from memphis_desktop.broker.jetstream.requests import (
    PurgeRequest,
    RestoreRequest,
    SnapshotRequest,
    StreamInfoRequest,
    StreamListRequest,
)
from memphis_desktop.broker.jetstream.subject_details import SUBJECTS_PER_PAGE, SubjectDetails, is_prefix
from memphis_desktop.broker.jetstream.times import format_time
from memphis_desktop.broker.jetstream.typed_json import to_json
from memphis_desktop.broker.store.interface import StorageError
from memphis_desktop.protocol.subjects import is_literal

if TYPE_CHECKING:
    from memphis_desktop.broker.jetstream.stream import Stream

_NAMES_PER_PAGE = 1024
_STREAMS_PER_PAGE = 256


def account_info(request: ApiRequest) -> dict[str, Any]:
    """INFO: what the account uses and may use."""
    return request.streams.figures()


def create(request: ApiRequest) -> dict[str, Any] | None:
    """STREAM.CREATE.S"""
    asked = request.read(StreamConfigRequest, "StreamConfigRequest")
    config = asked.stream_config()
    metadata.set_static(config)
    name = request.tokens[0]
    if config.name != name:
        raise ApiError(STREAM_NAME_MISMATCH)
    if "\\" in name or "/" in name:
        raise ApiError(10128)
    if config.sealed:
        raise ApiError(STREAM_INVALID_CONFIG, "stream configuration for create can not be sealed")
    if config.mirror_direct and config.mirror is None:
        raise ApiError(STREAM_INVALID_CONFIG, "stream has no mirror but does have mirror direct")
    stream = request.streams.create(config, pedantic=asked.pedantic)
    answer = _with_time(stream, stream.info(domain=False)) | {"did_create": True}
    if not config.first_seq:
        return answer
    request.respond_when_durable(stream.messages, lambda: answer, STREAM_STORE_FAILED)
    return None


def update(request: ApiRequest) -> dict[str, Any]:
    """STREAM.UPDATE.S"""
    asked = request.read(StreamConfigRequest, "StreamConfigRequest")
    stream = request.streams.update(asked.stream_config(), request.tokens[0], pedantic=asked.pedantic)
    return _with_time(stream, stream.info())


def info(request: ApiRequest) -> dict[str, Any] | None:
    """STREAM.INFO.S"""
    asked = request.read_optional(StreamInfoRequest, "JSApiStreamInfoRequest")
    stream = request.streams.find(request.tokens[0])
    if not asked.subjects_filter:
        return _info(stream, asked, None)
    details = _subject_details(stream, asked)
    if details.is_short:
        details.at_once()
        return _info(stream, asked, details)

    def answer() -> None:
        request.respond(_info(stream, asked, details))
        request.streams.node.flush()

    details.in_slices(stream.node.clock, answer)
    return None


def _info(stream: Stream, asked: StreamInfoRequest, details: SubjectDetails | None) -> dict[str, Any]:
    page = {"total": 0, "offset": 0, "limit": 0}
    subjects = None
    if details is not None and details.total:
        page = {"total": details.total, "offset": details.offset, "limit": SUBJECTS_PER_PAGE}
        subjects = details.page
    answer = page | stream.info(deleted=asked.deleted_details, subjects=subjects, cluster=True)
    return _with_time(stream, answer)


def names(request: ApiRequest) -> dict[str, Any]:
    """STREAM.NAMES"""
    asked = request.read_optional(StreamListRequest, "JSApiStreamNamesRequest")
    found = request.streams.sorted_streams(asked.subject)
    offset = min(max(asked.offset, 0), len(found))
    page = [stream.name for stream in found[offset : offset + _NAMES_PER_PAGE]]
    return {"total": len(found), "offset": offset, "limit": _NAMES_PER_PAGE, "streams": page or None}


def list_streams(request: ApiRequest) -> dict[str, Any]:
    """STREAM.LIST"""
    asked = request.read_optional(StreamListRequest, "JSApiStreamListRequest")
    found = request.streams.sorted_streams(asked.subject)
    offset = min(max(asked.offset, 0), len(found))
    page = found[offset : offset + _STREAMS_PER_PAGE]
    return {
        "total": len(found),
        "offset": offset,
        "limit": _STREAMS_PER_PAGE,
        "streams": [_with_time(stream, stream.info(dynamic=False)) for stream in page],
    }


def delete(request: ApiRequest) -> dict[str, Any]:
    """STREAM.DELETE.S"""
    request.demand_empty()
    streams = request.streams
    streams.delete(streams.find(request.tokens[0]))
    return {"success": True}


def purge(request: ApiRequest) -> None:
    """STREAM.PURGE.S"""
    asked = request.read_optional(PurgeRequest, "JSApiStreamPurgeRequest")
    if asked.seq and asked.keep:
        raise ApiError(BAD_REQUEST)
    stream = request.streams.find(request.tokens[0])
    if stream.config.sealed:
        raise ApiError(10109)
    if stream.config.deny_purge:
        raise ApiError(10110, "stream purge not permitted")
    try:
        purged = stream.purge(asked.filter.encode(), asked.seq, asked.keep)
    except StorageError as error:
        raise ApiError(10051, error) from None
    request.respond_when_durable(stream.messages, lambda: {"success": True, "purged": purged}, 10051)


def snapshot(request: ApiRequest) -> None:
    """STREAM.SNAPSHOT.S: the answer, and then the snapshot in chunks to the deliver subject."""
    if request.is_empty():
        raise ApiError(BAD_REQUEST)
    stream = request.streams.find(request.tokens[0])
    asked = request.read(SnapshotRequest, "JSApiStreamSnapshotRequest")
    if not is_literal(asked.deliver_subject.encode("utf-8", "surrogateescape")):
        raise ApiError(10015)
    sending = Snapshot(stream, asked, request.client)
    request.respond({"config": to_json(stream.config), "state": sending.state})
    sending.start()


def restore(request: ApiRequest) -> dict[str, Any]:
    """STREAM.RESTORE.S: where to send the chunks of a snapshot."""
    asked = request.read_required(RestoreRequest, "JSApiStreamRestoreRequest")
    name, config = request.tokens[0], asked.config
    config.name = config.name or name
    if config.name != name:
        raise ApiError(STREAM_NAME_MISMATCH)
    if "\\" in name or "/" in name:
        raise ApiError(10128)
    restoring = request.streams.restore(config, request.client)
    restoring.start()
    return {"deliver_subject": restoring.subject}


def _with_time(stream: Stream, answer: dict[str, Any]) -> dict[str, Any]:
    answer["ts"] = format_time(stream.node.clock.time_ns())
    return answer


def _subject_details(stream: Stream, asked: StreamInfoRequest) -> SubjectDetails:
    """The subjects that match the filter."""
    pattern, offset = asked.subjects_filter.encode("utf-8", "surrogateescape"), max(asked.offset, 0)
    beginning = pattern[:-1]
    if [asked.subjects_filter] == stream.config.subjects and is_prefix(pattern):
        # About all there is: looking through it in slices is better than sorting out what matches at once.
        return SubjectDetails(stream.messages.counted_subjects(b">"), offset, beginning)
    return SubjectDetails(stream.messages.counted_subjects(pattern), offset)
