"""What is stored of streams and consumers besides messages and journals: JSON of their configurations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from memphis_desktop.broker.jetstream.config import ConsumerConfig, StreamConfig
from memphis_desktop.broker.jetstream.json_syntax import InvalidJson
from memphis_desktop.broker.jetstream.typed_json import encode_json, from_json, to_json

T = TypeVar("T")


class StreamDocument(NamedTuple):
    """A stream as it was stored; positions say where it stood with its sources."""

    config: StreamConfig
    created_ns: int
    positions: dict[str, int]
    restoring: bool  # it was being restored when the node ended: what there is of it is not whole


class StoredPin(NamedTuple):
    """Which client had a consumer's pin, of which group, since when."""

    client_id: str
    group: str
    since_ns: int


class ConsumerDocument(NamedTuple):
    """A consumer as it was stored."""

    config: ConsumerConfig
    created_ns: int
    pin: StoredPin | None = None


def write_stream(
    config: StreamConfig,
    created_ns: int,
    positions: Mapping[str, int] | None = None,
    *,
    restoring: bool = False,
) -> bytes:
    """Return the document of a stream."""
    document: dict[str, Any] = {"created": created_ns, "config": to_json(config)}
    if restoring:
        document["restoring"] = True
    if positions:
        document["positions"] = dict(positions)
    return encode_json(document)


def write_consumer(config: ConsumerConfig, created_ns: int, pin: StoredPin | None = None) -> bytes:
    """Return the document of a consumer."""
    document: dict[str, Any] = {"created": created_ns, "config": to_json(config)}
    if pin is not None:
        document["pin"] = list(pin)
    return encode_json(document)


def read_stream(document: bytes) -> StreamDocument:
    """Read a stream's document.

    Raises:
        ValueError: it is not one.
    """
    content = _read(document)
    positions = content.get("positions", {})
    if not isinstance(positions, dict):
        raise ValueError("its positions are no object")
    restoring = content.get("restoring") is True
    return StreamDocument(_config(StreamConfig, content), content["created"], positions, restoring)


def read_consumer(document: bytes) -> ConsumerDocument:
    """Read a consumer's document.

    Raises:
        ValueError: it is not one.
    """
    content = _read(document)
    return ConsumerDocument(_config(ConsumerConfig, content), content["created"], _pin(content.get("pin")))


def _pin(content: Any) -> StoredPin | None:
    if not isinstance(content, list) or [type(one) for one in content] != [str, str, int]:
        return None
    return StoredPin(*content)


def _read(document: bytes) -> dict[str, Any]:
    content = json.loads(document)
    if not isinstance(content, dict) or not {"config", "created"} <= content.keys():
        raise ValueError("it is not a stored configuration")
    if not isinstance(content["created"], int):
        raise ValueError("its time of creation is no number")
    return content


def _config(record: type[T], content: dict[str, Any]) -> T:
    try:
        return from_json(record, json.dumps(content["config"]).encode(), record.__name__)
    except InvalidJson as error:
        raise ValueError(str(error)) from None
