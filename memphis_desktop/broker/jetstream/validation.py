"""Which stream configurations are allowed, and the defaults that are filled in (2.4 of the protocol notes).

The order of the checks is that of the reference server: when several rules are broken, clients see the same
first one.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from memphis_desktop.broker.jetstream.config import Placement, StreamConfig
from memphis_desktop.broker.jetstream.errors import STREAM_INVALID_CONFIG, ApiError
from memphis_desktop.broker.jetstream.limits import (
    MAX_DESCRIPTION_LENGTH,
    MAX_METADATA_LENGTH,
    MAX_NAME_LENGTH,
    AccountLimits,
)
from memphis_desktop.broker.jetstream.times import MILLISECOND_NS, SECOND_NS, format_duration
from memphis_desktop.broker.jetstream.typed_json import copy_record
from memphis_desktop.broker.jetstream.validation_sources import check_cycles, check_mirror, check_sources
from memphis_desktop.broker.subject_transform import SubjectTransform, TransformError, check_mapping
from memphis_desktop.protocol import subjects

FindStream = Callable[[str], StreamConfig | None]

DEFAULT_DUPLICATE_WINDOW_NS = 120 * SECOND_NS
_FORBIDDEN_IN_NAMES = frozenset(" \t\r\n\f.*>\\/")
_API_SUBJECTS = (b"$JS.>", b"$JSC.>", b"$NRG.>")


def is_valid_name(name: str) -> bool:
    """Return whether a stream or consumer may be called so."""
    return bool(name) and not _FORBIDDEN_IN_NAMES.intersection(name)


def quoted(text: str) -> str:
    """Return `text` in double quotes, as error sentences show it."""
    return json.dumps(text, ensure_ascii=False)


def invalid(sentence: str) -> ApiError:
    """Return error 10052 with `sentence`."""
    return ApiError(STREAM_INVALID_CONFIG, sentence)


def check_stream_config(
    requested: StreamConfig, find: FindStream, limits: AccountLimits, *, pedantic: bool = False
) -> StreamConfig:
    """Return `requested` with defaults filled in.

    Args:
        requested: what the client sent; left as it is.
        find: gives the configuration of another stream of the account.
        limits: the account's.
        pedantic: refuse what would otherwise be corrected silently.

    Raises:
        ApiError: a rule is broken.
    """
    _check_texts(requested)
    config = copy_record(requested)
    _check_replicas(config)
    _fill_limits(config, pedantic)
    _check_age_and_window(config, pedantic, limits.server_duplicate_window)
    if config.deny_purge and config.allow_rollup_hdrs:
        raise invalid("roll-ups require the purge permission")
    _check_counter(config)
    _check_discard_new_per_subject(config)
    _check_markers_and_schedules(config, pedantic)
    _check_persist_mode(config)
    if config.mirror is not None:
        check_mirror(config, find, pedantic)
    check_sources(config, find)
    check_cycles(config, find)
    _check_subjects(config)
    limits.check_stream_bytes(config)
    _check_transforms(config, pedantic)
    if config.placement == Placement():
        config.placement = None
    if config.placement is not None and config.placement.preferred:
        raise invalid("preferred server not permitted in placement")
    return config


def check_stream_update(
    old: StreamConfig,
    requested: StreamConfig,
    find: FindStream,
    limits: AccountLimits,
    *,
    pedantic: bool = False,
) -> StreamConfig:
    """Return the configuration that an update of `old` to `requested` leads to.

    Raises:
        ApiError: a rule is broken, or something would change that is fixed.
    """
    new = check_stream_config(requested, find, limits, pedantic=pedantic)
    if new.name != old.name:
        raise invalid("stream configuration name must match original")
    if new.num_replicas > 1:
        raise ApiError(10074)
    change = "stream configuration update can not "
    if new.storage != old.storage:
        raise invalid(change + "change storage type")
    if new.retention != old.retention and "workqueue" in (new.retention, old.retention):
        raise invalid(change + "change retention policy to/from workqueue")
    if old.sealed and not new.sealed:
        raise invalid(change + "unseal a sealed stream")
    if old.deny_delete and not new.deny_delete:
        raise invalid(change + "cancel deny message deletes")
    if old.deny_purge and not new.deny_purge:
        raise invalid(change + "cancel deny purge")
    if new.mirror is not None and new.mirror != old.mirror:
        raise ApiError(10055)
    if old.allow_msg_ttl and not new.allow_msg_ttl:
        raise invalid("message TTL status can not be disabled")
    if new.allow_msg_counter != old.allow_msg_counter:
        raise invalid(change + "change message counter setting")
    if old.allow_msg_schedules and not new.allow_msg_schedules:
        raise invalid("message schedules can not be disabled")
    if new.persist_mode != old.persist_mode:
        raise invalid(change + "change persist mode")
    if new.sealed:
        new.max_age = 0
        new.discard = "new"
        new.deny_delete = new.deny_purge = True
        new.allow_rollup_hdrs = False
    return new


def _check_texts(config: StreamConfig) -> None:
    if not is_valid_name(config.name):
        raise invalid("stream name is required and can not contain '.', '*', '>', '\\', '/'")
    if len(config.name.encode()) > MAX_NAME_LENGTH:
        raise invalid(f"stream name is too long, maximum allowed is {MAX_NAME_LENGTH}")
    if len(config.description.encode()) > MAX_DESCRIPTION_LENGTH:
        raise invalid(f"stream description is too long, maximum allowed is {MAX_DESCRIPTION_LENGTH}")
    size = sum(len(key.encode()) + len(value.encode()) for key, value in config.metadata.items())
    if size > MAX_METADATA_LENGTH:
        raise invalid(f"stream metadata exceeds maximum size of {MAX_METADATA_LENGTH} bytes")


def _check_replicas(config: StreamConfig) -> None:
    config.num_replicas = config.num_replicas or 1
    if config.num_replicas > 5:
        raise invalid("maximum replicas is 5")
    if config.num_replicas < 0:
        raise ApiError(10133)


def _fill_limits(config: StreamConfig, pedantic: bool) -> None:
    for key in ("max_msgs", "max_msgs_per_subject", "max_bytes", "max_msg_size", "max_consumers"):
        value = getattr(config, key)
        if value == 0 or value < -1:
            if pedantic and value < -1:
                raise ApiError(10157, f"{key} must be set to -1")
            setattr(config, key, -1)


def _check_age_and_window(config: StreamConfig, pedantic: bool, cap: int) -> None:
    if config.max_age < 0:
        raise invalid("max age can not be negative")
    if 0 < config.max_age < 100 * MILLISECOND_NS:
        raise invalid("max age needs to be >= 100ms")
    if config.duplicate_window == 0 and config.mirror is None and not config.sources:
        config.duplicate_window = DEFAULT_DUPLICATE_WINDOW_NS
        if 0 < cap < DEFAULT_DUPLICATE_WINDOW_NS:
            if pedantic:
                raise ApiError(10157, "duplicate window limits are higher than current limits")
            config.duplicate_window = cap
        if 0 < config.max_age < config.duplicate_window:
            if pedantic:
                raise ApiError(10157, "duplicate window cannot be bigger than max age")
            config.duplicate_window = config.max_age
    if config.duplicate_window < 0:
        raise invalid("duplicates window can not be negative")
    if 0 < config.max_age < config.duplicate_window:
        raise invalid("duplicates window can not be larger then max age")
    if 0 < cap < config.duplicate_window:
        text = format_duration(cap)
        raise invalid(f"duplicates window can not be larger then server limit of {text}")
    if 0 < config.duplicate_window < 100 * MILLISECOND_NS:
        raise invalid("duplicates window needs to be >= 100ms")


def _check_counter(config: StreamConfig) -> None:
    if not config.allow_msg_counter:
        return
    if config.discard == "new":
        raise invalid("counter stream cannot use discard new")
    if config.allow_msg_ttl:
        raise invalid("counter stream cannot use message TTLs")
    if config.allow_msg_schedules:
        raise invalid("counter stream cannot use message schedules")
    if config.retention != "limits":
        raise invalid("counter stream can only use limits retention")


def _check_discard_new_per_subject(config: StreamConfig) -> None:
    if config.discard_new_per_subject:
        if config.discard != "new":
            raise invalid("discard new per subject requires discard new policy to be set")
        if config.max_msgs_per_subject <= 0:
            raise invalid("discard new per subject requires max msgs per subject > 0")


def _check_markers_and_schedules(config: StreamConfig, pedantic: bool) -> None:
    if config.subject_delete_marker_ttl < 0:
        raise invalid("subject delete marker TTL must not be negative")
    if config.subject_delete_marker_ttl > 0:
        if config.subject_delete_marker_ttl < SECOND_NS:
            raise invalid("subject delete marker TTL must be at least 1 second")
        if not config.allow_msg_ttl:
            if pedantic:
                raise invalid("subject delete marker cannot be set if message TTLs are disabled")
            config.allow_msg_ttl = True
        if not config.allow_rollup_hdrs:
            if pedantic:
                raise invalid("subject delete marker cannot be set if roll-ups are disabled")
            config.allow_rollup_hdrs, config.deny_purge = True, False
    if config.allow_msg_schedules:
        if config.discard == "new":
            raise invalid("message scheduling cannot use discard new")
        if not config.allow_rollup_hdrs:
            if pedantic:
                raise invalid("message scheduling cannot be set if roll-ups are disabled")
            config.allow_rollup_hdrs, config.deny_purge = True, False


def _check_persist_mode(config: StreamConfig) -> None:
    if config.persist_mode != "async":
        return
    if config.storage != "file":
        raise invalid("async persist mode is only supported on file storage")
    if config.num_replicas > 1:
        raise invalid("async persist mode is not supported on replicated streams")
    if config.allow_atomic:
        raise invalid("async persist mode is not supported with atomic batch publish")


def _check_subjects(config: StreamConfig) -> None:
    if not config.subjects:
        if config.mirror is None and not config.sources:
            config.subjects = [config.name]
        return
    seen: set[bytes] = set()
    patterns = [subject.encode() for subject in config.subjects]
    for index, pattern in enumerate(patterns):
        if not subjects.is_valid(pattern):
            raise invalid("invalid subject")
        if pattern in seen:
            raise invalid("duplicate subjects detected")
        if pattern == b">":
            if not config.no_ack:
                raise invalid("capturing all subjects requires no-ack to be true")
            if config.num_replicas != 1:
                raise invalid("capturing all subjects requires replicas of 1")
        if not config.no_ack:
            _check_reserved(pattern)
        for other in patterns[index + 1 :]:
            if subjects.overlaps(other, pattern):
                first, second = quoted(pattern.decode()), quoted(other.decode())
                raise invalid(f"subject {first} overlaps with {second}")
        seen.add(pattern)


def _check_reserved(pattern: bytes) -> None:
    """Refuse subjects of the server's own that would make a stream answer requests."""
    for reserved in _API_SUBJECTS:
        if subjects.overlaps(pattern, reserved) and not subjects.is_subset(pattern, b"$JS.EVENT.>"):
            raise invalid("subjects that overlap with jetstream api require no-ack to be true")
    if subjects.overlaps(pattern, b"$SYS.>") and not subjects.is_subset(pattern, b"$SYS.ACCOUNT.>"):
        raise invalid("subjects that overlap with system api require no-ack to be true")


def _check_transforms(config: StreamConfig, pedantic: bool) -> None:
    transform = config.subject_transform
    if transform is not None:
        if transform.src and not subjects.is_valid(transform.src.encode()):
            raise ApiError(10155, f"invalid subject {transform.src}")
        try:
            check_mapping(transform.src, transform.dest)
        except TransformError as error:
            raise ApiError(10156, error) from None
    if config.republish is not None:
        _check_republish(config, pedantic)


def _check_republish(config: StreamConfig, pedantic: bool) -> None:
    republish, transform = config.republish, config.subject_transform
    assert republish is not None
    if not republish.src:
        if pedantic:
            raise ApiError(10157, "republish source can not be empty")
        republish.src = ">"
    if (
        republish.src == republish.dest == ">"
        and transform is not None
        and config.subjects == [transform.src]
    ):
        if pedantic:
            raise ApiError(10157, "implicit republish based on subject transform")
        republish.src = republish.dest = transform.dest
    destination = republish.dest.encode()
    if any(subjects.overlaps(destination, subject.encode()) for subject in config.subjects):
        raise invalid("stream configuration for republish destination forms a cycle")
    try:
        SubjectTransform(republish.src, republish.dest)
    except TransformError:
        raise invalid(
            "stream configuration for republish with transform from "
            f"'{republish.src}' to '{republish.dest}' not valid"
        ) from None
