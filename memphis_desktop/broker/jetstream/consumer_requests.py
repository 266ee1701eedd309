"""Requests about the consumers of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.jetstream import metadata
from memphis_desktop.broker.jetstream.api_request import ApiRequest
from memphis_desktop.broker.jetstream.config import ConsumerConfig, CreateConsumerRequest
from memphis_desktop.broker.jetstream.consumer_config import (
    ConsumerCaps,
    check_consumer,
    check_update,
    same_config,
)
from memphis_desktop.broker.jetstream.errors import (
    CONSUMER_NOT_FOUND,
    INVALID_JSON,
    STREAM_NAME_MISMATCH,
    ApiError,
)
from memphis_desktop.broker.jetstream.requests import PageRequest, PauseRequest, UnpinRequest
from memphis_desktop.broker.jetstream.times import UNSET_TIME_NS, format_time
from memphis_desktop.broker.nuid import random_name
from memphis_desktop.broker.store.interface import StorageError

if TYPE_CHECKING:
    from memphis_desktop.broker.jetstream.contracts import StreamConsumer
    from memphis_desktop.broker.jetstream.stream import Stream

_NAMES_PER_PAGE = 1024
_CONSUMERS_PER_PAGE = 256
_INVENTED_NAME_LENGTH = 8


def create(request: ApiRequest) -> dict[str, Any]:
    """CONSUMER.CREATE.S, CONSUMER.CREATE.S.C and CONSUMER.CREATE.S.C.<filter>"""
    asked = request.read(CreateConsumerRequest, "CreateConsumerRequest")
    stream_name, *rest = request.tokens
    config = asked.config
    name = rest[0] if rest else config.name
    _check_target(asked, stream_name, name)
    if rest:
        if config.durable_name and config.durable_name != name:
            raise ApiError(10017)
        config.name = name
    elif config.durable_name:
        raise ApiError(10020)
    filter_subject = ".".join(rest[1:])
    if filter_subject and config.filter_subjects:
        raise ApiError(10137)
    if filter_subject and config.filter_subject != filter_subject:
        raise ApiError(10131)
    return _create(request, asked, name)


def create_durable(request: ApiRequest) -> dict[str, Any]:
    """CONSUMER.DURABLE.CREATE.S.C"""
    asked = request.read(CreateConsumerRequest, "CreateConsumerRequest")
    stream_name, name = request.tokens
    config = asked.config
    _check_target(asked, stream_name, name)
    if not config.durable_name:
        raise ApiError(10018)
    if config.durable_name != name:
        raise ApiError(10017)
    config.name = name
    return _create(request, asked, name)


def names(request: ApiRequest) -> dict[str, Any]:
    """CONSUMER.NAMES.S"""
    asked = request.read_optional(PageRequest, "JSApiConsumersRequest")
    found = _public(request.streams.find(request.tokens[0]))
    offset = min(max(asked.offset, 0), len(found))
    page = [consumer.name for consumer in found[offset : offset + _NAMES_PER_PAGE]]
    return {"total": len(found), "offset": offset, "limit": _NAMES_PER_PAGE, "consumers": page}


def list_consumers(request: ApiRequest) -> dict[str, Any]:
    """CONSUMER.LIST.S"""
    asked = request.read_optional(PageRequest, "JSApiConsumersRequest")
    found = _public(request.streams.find(request.tokens[0]))
    offset = min(max(asked.offset, 0), len(found))
    page = [consumer.info() for consumer in found[offset : offset + _CONSUMERS_PER_PAGE]]
    return {"total": len(found), "offset": offset, "limit": _CONSUMERS_PER_PAGE, "consumers": page}


def info(request: ApiRequest) -> dict[str, Any]:
    """CONSUMER.INFO.S.C"""
    request.demand_empty()
    stream, consumer = _find(request)
    return _shown(stream, consumer)


def delete(request: ApiRequest) -> None:
    """CONSUMER.DELETE.S.C; answered after the acks that still wait for the disk."""
    request.demand_empty()
    stream, consumer = _find(request)
    try:
        stream.remove_consumer(consumer.name)
    except StorageError as error:
        raise ApiError(10051, error) from None

    def answer(_: StorageError | None) -> None:
        request.respond({"success": True})
        request.streams.node.flush()

    consumer.when_durable(answer)


def pause(request: ApiRequest) -> dict[str, Any]:
    """CONSUMER.PAUSE.S.C: until a time, or resume when that is missing or past."""
    asked = request.read_optional(PauseRequest, "JSApiConsumerPauseRequest")
    stream, consumer = _find(request)
    until = asked.pause_until
    if until == UNSET_TIME_NS:
        until = None
    consumer.pause(until or 0)
    metadata.set_static(consumer.config)
    try:
        stream.write_consumer(consumer)
    except StorageError as error:
        raise ApiError(10104, error) from None
    now = stream.node.clock.time_ns()
    answer: dict[str, Any] = {
        "paused": until is not None and now < until,
        "pause_until": format_time(UNSET_TIME_NS if until is None else until),
    }
    if until is not None and now < until:
        answer["pause_remaining"] = until - now
    return answer


def unpin(request: ApiRequest) -> dict[str, Any]:
    """CONSUMER.UNPIN.S.C"""
    if not request.body:
        raise ApiError(INVALID_JSON, "unexpected end of JSON input")
    asked = request.read(UnpinRequest, "JSApiConsumerUnpinRequest")
    if not asked.group:
        raise ApiError(INVALID_JSON, "consumer group not specified")
    _, consumer = _find(request)
    consumer.unpin(asked.group)
    return {}


def _check_target(asked: CreateConsumerRequest, stream_name: str, name: str) -> None:
    if asked.stream_name != stream_name:
        raise ApiError(STREAM_NAME_MISMATCH)
    if "\\" in name or "/" in name:
        raise ApiError(10127)


def _create(request: ApiRequest, asked: CreateConsumerRequest, name: str) -> dict[str, Any]:
    config = asked.config
    if config.num_replicas > 1:
        raise ApiError(10074)
    streams = request.streams
    stream = streams.find(asked.stream_name)
    if config.direct and config.sourcing and config.name:
        name = config.name = f"{config.name}-{random_name(_INVENTED_NAME_LENGTH)}"
    existing = stream.consumers.get(name) if name else None
    if existing is not None:
        config.pause_until = existing.config.pause_until
    metadata.set_static(config)
    caps = ConsumerCaps(
        server_max_ack_pending=streams.limits.server_max_ack_pending,
        server_max_batch=streams.limits.server_max_batch,
        account_max_ack_pending=streams.limits.max_ack_pending,
        account_max_consumers=streams.limits.max_consumers,
    )
    known = {
        one.name: one.config
        for one in stream.consumers.values()
        if not (one.config.direct and one is not existing)
    }
    had_threshold = bool(config.durable_name) or config.inactive_threshold > 0
    check_consumer(config, stream.config, name=name, existing=known, caps=caps, pedantic=asked.pedantic)
    if existing is not None:
        if asked.action == "create" and not had_threshold:
            raise ApiError(10148)  # the reference server compares before it fills in the threshold
        return _shown(stream, _update(stream, existing, config, asked.action))
    if asked.action == "update":
        raise ApiError(10149)
    if not name:
        name = _invent_name(stream)
        config.name = name
    return _shown(stream, stream.add_consumer(name, config, request.client))


def _update(stream: Stream, consumer: StreamConsumer, config: ConsumerConfig, action: str) -> StreamConsumer:
    """Bring an existing consumer to `config`, if that is allowed."""
    current = consumer.config
    same = same_config(current, config)
    if action == "create" and not same:
        raise ApiError(10148)
    if same:
        return consumer
    target = current.deliver_subject.encode()
    check_update(current, config, deliver_interest=bool(target) and stream.account.has_interest(target))
    try:
        stream.write_consumer(consumer, config)
    except StorageError as error:
        raise ApiError(10104, error) from None
    consumer.update(config)
    stream.interest_changed()
    return consumer


def _invent_name(stream: Stream) -> str:
    while (name := random_name(_INVENTED_NAME_LENGTH)) in stream.consumers:
        pass
    return name


def _find(request: ApiRequest) -> tuple[Stream, StreamConsumer]:
    stream_name, name = request.tokens
    stream = request.streams.find(stream_name)
    consumer = stream.consumers.get(name)
    if consumer is None:
        raise ApiError(CONSUMER_NOT_FOUND)
    return stream, consumer


def _public(stream: Stream) -> list[StreamConsumer]:
    """Return the consumers that are not the inner ones of mirrors and sources, by name."""
    found = [consumer for consumer in stream.consumers.values() if not consumer.config.direct]
    return sorted(found, key=lambda consumer: consumer.name)


def _shown(stream: Stream, consumer: StreamConsumer) -> dict[str, Any]:
    """Return ConsumerInfo with the server's version in the metadata."""
    answer = consumer.info()
    config = dict(answer["config"])
    config["metadata"] = metadata.with_dynamic(config.get("metadata", {}), stream.node.version)
    return answer | {"config": config}
