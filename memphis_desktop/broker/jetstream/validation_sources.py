"""The rules for mirrors and sources of streams (2.14 of the protocol notes)."""

from __future__ import annotations

from collections.abc import Callable

from memphis_desktop.broker.jetstream.config import ExternalStream, StreamConfig, StreamSource
from memphis_desktop.broker.jetstream.errors import STREAM_INVALID_CONFIG, ApiError
from memphis_desktop.broker.subject_transform import TransformError, check_mapping
from memphis_desktop.protocol import subjects

FindStream = Callable[[str], StreamConfig | None]

_FORBIDDEN_IN_NAMES = frozenset(" \t\r\n\f.*>\\/")


def check_mirror(config: StreamConfig, find: FindStream, pedantic: bool) -> None:
    """Check a stream that mirrors another one, and take mirror_direct from the origin.

    Raises:
        ApiError: a rule is broken.
    """
    mirror = config.mirror
    assert mirror is not None
    for broken, err_code in (
        (config.first_seq > 0, 10143),
        (config.subjects, 10034),
        (config.sources, 10031),
        (config.allow_msg_counter, 10173),
        (config.allow_atomic, 10198),
        (config.allow_batched, 10209),
        (config.allow_msg_schedules, 10186),
        (mirror.consumer is not None and not _consumer_fits(mirror), 10213),
        (mirror.filter_subject and mirror.subject_transforms, 10150),
    ):
        if broken:
            raise ApiError(err_code)
    if config.subject_delete_marker_ttl > 0:
        raise ApiError(STREAM_INVALID_CONFIG, "subject delete markers forbidden on mirrors")
    for index, transform in enumerate(mirror.subject_transforms):
        _check_transform(transform.src, transform.dest, 10151, 10154)
        for other_index, other in enumerate(mirror.subject_transforms):
            if index != other_index and subjects.overlaps(transform.src.encode(), other.src.encode()):
                raise ApiError(10152)
    if mirror.external is not None:
        _check_external([mirror.external], [])
        return
    if not _is_name(mirror.name):
        raise ApiError(10142)
    origin = find(mirror.name)
    if origin is not None:
        if 0 < config.max_msg_size < origin.max_msg_size:
            raise ApiError(10030)
        if pedantic and config.mirror_direct != origin.allow_direct:
            raise ApiError(10157, "origin stream has direct get set, mirror has it disabled")
        config.mirror_direct = origin.allow_direct


def check_sources(config: StreamConfig, find: FindStream) -> None:
    """Check the sources of a stream.

    Raises:
        ApiError: a rule is broken.
    """
    if config.sources and config.allow_msg_schedules:
        raise ApiError(10187)
    seen: set[object] = set()
    consumers: set[object] = set()
    externals: list[ExternalStream] = []
    origin_subjects: list[str] = []
    for source in config.sources:
        if not _is_name(source.name):
            raise ApiError(10141)
        key = _identity(source)
        if key in seen:
            raise ApiError(10140)
        seen.add(key)
        if source.filter_subject and source.subject_transforms:
            raise ApiError(10144)
        _check_source_transforms(source)
        if source.consumer is not None:
            if not _consumer_fits(source):
                raise ApiError(10215)
            consumer = (source.name, source.external and source.external.api, source.consumer.name)
            if consumer in consumers:
                raise ApiError(10216)
            consumers.add(consumer)
        if source.external is not None:
            externals.append(source.external)
            continue
        origin = find(source.name)
        if origin is not None:
            origin_subjects += origin.subjects
            if 0 < config.max_msg_size < origin.max_msg_size:
                raise ApiError(10046)
    _check_external(externals, origin_subjects)


def check_cycles(config: StreamConfig, find: FindStream) -> None:
    """Refuse a stream that would get its own messages back through sources and mirrors.

    Raises:
        ApiError: 10052 ``detected cycle``.
    """
    to_visit, visited = [config], set[str]()
    while to_visit:
        current = to_visit.pop(0)
        visited.add(current.name)
        for source in current.sources:
            if source.external is not None:
                continue
            if source.name in visited:
                if not source.filter_subject or any(
                    subjects.overlaps(subject.encode(), source.filter_subject.encode())
                    for subject in current.subjects
                ):
                    raise ApiError(STREAM_INVALID_CONFIG, "detected cycle")
            elif (origin := find(source.name)) is not None:
                to_visit.append(origin)
        mirror = current.mirror
        if mirror is not None and mirror.external is None:
            if mirror.name in visited:
                raise ApiError(STREAM_INVALID_CONFIG, "detected cycle")
            if (origin := find(mirror.name)) is not None:
                to_visit.append(origin)


def _is_name(name: str) -> bool:
    return bool(name) and not _FORBIDDEN_IN_NAMES.intersection(name)


def _identity(source: StreamSource) -> object:
    """Return what makes two sources the same one."""
    external = source.external.api if source.external is not None else ""
    transforms = tuple((transform.src, transform.dest) for transform in source.subject_transforms)
    return source.name, external, source.filter_subject, transforms


def _consumer_fits(source: StreamSource) -> bool:
    consumer = source.consumer
    assert consumer is not None
    return (
        _is_name(consumer.name)
        and subjects.is_literal(consumer.deliver_subject.encode())
        and source.opt_start_seq == 0
        and source.opt_start_time is None
        and not source.filter_subject
    )


def _check_transform(source: str, destination: str, source_error: int, mapping_error: int) -> None:
    if source and not subjects.is_valid(source.encode()):
        raise ApiError(source_error, f"invalid subject {source}")
    try:
        check_mapping(source, destination)
    except TransformError as error:
        raise ApiError(mapping_error, error) from None


def _check_source_transforms(source: StreamSource) -> None:
    for transform in source.subject_transforms:
        _check_transform(transform.src, transform.dest, 10145, 10146)
    for index, transform in enumerate(source.subject_transforms):
        for other_index, other in enumerate(source.subject_transforms):
            if index != other_index and subjects.is_subset(transform.src.encode(), other.src.encode()):
                raise ApiError(10147)


def _check_external(externals: list[ExternalStream], origin_subjects: list[str]) -> None:
    for external in externals:
        prefix = external.deliver
        if not prefix:
            continue
        if not subjects.is_literal(prefix.encode()):
            raise ApiError(10024, prefix=prefix)
        for subject in origin_subjects:
            if subjects.overlaps(subject.encode(), f"{prefix}.{subject}".encode()):
                raise ApiError(10022, prefix=prefix, subject=subject)
    for external in externals:
        if not external.api:
            continue
        if not subjects.is_literal(external.api.encode()):
            raise ApiError(
                STREAM_INVALID_CONFIG,
                f'stream external api prefix "{external.api}" must be a valid subject without wildcards',
            )
        if subjects.overlaps(external.api.encode(), b"$JS.API"):
            raise ApiError(10021, prefix=external.api, subject="$JS.API")
