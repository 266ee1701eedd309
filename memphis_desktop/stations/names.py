"""Names: what is allowed, and how a Memphis name becomes a stream, a durable, a subject or a key.

An *external* name is lower case and may have dots (``my.orders``). Its *internal* form has ``#`` for each dot
(``my#orders``), so that it is one token of a subject. Partition 2 of that station is the stream
``my#orders$2`` with the subjects ``my#orders$2.>``; messages go to ``my#orders$2.final``.
"""

from __future__ import annotations

import re

from memphis_desktop.stations.errors import Refusal

MAX_NAME_LENGTH = 128
MAX_USER_NAME_LENGTH = 60
MAX_TAG_LENGTH = 20

_ALLOWED = re.compile(r"[a-z0-9_.-]*")
_PARTITION_STREAM = re.compile(r"(?s)(.+)\$(0|[1-9][0-9]*)")  # 0: see `streams`
_KEY_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def checked_name(kind: str, name: object) -> str:
    """Return a name in lower case if it is allowed.

    Args:
        kind: ``Station``, ``Producer``, ``Consumer`` or ``Schema``, as it stands in the message.
        name: What the client sent.

    Raises:
        Refusal: With Memphis's own words.
    """
    text = name.lower() if isinstance(name, str) else ""
    if not text:
        raise Refusal(f"{kind} name can not be empty")
    if len(text) > MAX_NAME_LENGTH:
        raise Refusal(f"{kind} should be under {MAX_NAME_LENGTH} characters")
    if _ALLOWED.fullmatch(text) is None:
        raise Refusal(f"Only alphanumeric and the '_', '-', '.' characters are allowed in {kind}")
    if text[0] in "._-" or text[-1] in "._-":
        raise Refusal(f"{kind} name can not start or end with non alphanumeric character")
    return text


def internal_name(name: str) -> str:
    """Return the form used in subjects, streams and durables."""
    return name.lower().replace(".", "#")


def external_name(internal: str) -> str:
    """Return the form that users see."""
    return internal.replace("#", ".")


def partition_stream(station: str, partition: int) -> str:
    """Return the stream of a partition; partitions are numbered from 1."""
    return f"{internal_name(station)}${partition}"


def station_of_stream(stream: str) -> tuple[str, int]:
    """Return the external station name and the partition that a stream's name stands for.

    A stream without a partition number gives its own name and -1: a stream of a plain JetStream client.
    """
    match = _PARTITION_STREAM.fullmatch(stream)
    return (external_name(match[1]), int(match[2])) if match else (stream, -1)


def message_subject(stream: str) -> str:
    """Return where SDKs publish messages of a partition."""
    return f"{stream}.final"


def dead_letter_subject(station: str, group: str) -> str:
    """Return where the members of a group listen for dead letters sent to them again."""
    return f"$memphis_dls_{internal_name(station)}.{internal_name(group)}"


def old_dead_letter_subject(station: str, group: str) -> str:
    """Return where SDKs of earlier versions listen for them."""
    return f"$memphis_dls_{internal_name(station)}_{internal_name(group)}"


def schema_updates_subject(station: str) -> str:
    """Return where the clients of a station learn of a change of its schema."""
    return f"$memphis_schema_updates_{internal_name(station)}"


def key_token(name: str) -> str:
    """Return any name as one token of a bucket's key, where only ``A-Z a-z 0-9 _ - / =`` are allowed.

    A dot becomes a slash, so that Memphis names stay readable; other characters become ``=`` and their bytes
    in hexadecimal, so that names of any stream can be keys; no name at all becomes ``=``. Reversed by
    `name_of_token`.
    """
    if not name:
        return "="
    if name.isascii() and name.replace(".", "").replace("_", "").replace("-", "").isalnum():
        return name.replace(".", "/")
    return "".join(
        c if c in _KEY_SAFE else "/" if c == "." else "=" + c.encode("utf-8", "surrogateescape").hex() + "="
        for c in name
    )


def name_of_token(token: str) -> str:
    """Return the name that `key_token` made a key of."""
    plain = token.replace("/", ".")
    if "=" not in plain:
        return plain
    if token == "=":
        return ""
    return re.sub(
        r"=((?:[0-9a-f]{2})+)=", lambda m: bytes.fromhex(m[1]).decode("utf-8", "surrogateescape"), plain
    )
