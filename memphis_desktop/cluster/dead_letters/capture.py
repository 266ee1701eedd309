"""The capture stream: where advisories about dead letters are kept, made when the user asks for it.

One stream, two advisory subjects, and one on which this program notes what it has sent again and what people
write about letters (`marks`). It is an ordinary stream: bounded, readable by any client, and deleted like any
other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memphis_desktop.language import tr
from memphis_desktop.protocol.subjects import is_subset

from ..actions import Action, create_stream, delete_stream
from ..model import ClusterSnapshot, StreamSnapshot
from .letters import LetterKind
from .marks import NOTE_PREFIX, PREFIX, RESENT_PREFIX

CAPTURE_STREAM = "DEAD_LETTERS"
ADVISORY_SUBJECTS = (
    "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",
    "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>",
)
DAY_NS = 86_400 * 1_000_000_000
KEPT_DAYS = 30
KEPT_BYTES = 64 * 1024 * 1024
KEPT_MESSAGES = 200_000
_READING = "Kept by Memphis Desktop: which messages ran out of deliveries or were terminated"


@dataclass(frozen=True, slots=True)
class CaptureStatus:
    """Whether advisories are kept.

    Attributes:
        known: Whether the streams were read, so that the rest means anything.
        stream: Where advisories that ran out of deliveries are kept; None when they are not.
        terminated_stream: The same for terminated messages.
        marks: Whether what is sent again can be noted there.
        notes: Whether people's notes can be kept there.
        since: When the stream was made, as the server writes it.
    """

    known: bool = False
    stream: str | None = None
    terminated_stream: str | None = None
    marks: bool = False
    notes: bool = False
    since: str = ""

    def stream_of(self, kind: LetterKind) -> str | None:
        """Where advisories about letters of a kind are kept."""
        return self.terminated_stream if kind is LetterKind.TERMINATED else self.stream

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams to read, each once."""
        found = (self.stream, self.terminated_stream)
        return tuple(dict.fromkeys(name for name in found if name is not None))

    @property
    def complete(self) -> bool:
        """Whether both kinds of advisories are kept."""
        return self.stream is not None and self.terminated_stream is not None

    @property
    def active(self) -> bool:
        """Whether any are."""
        return bool(self.streams)


NOTHING_KNOWN = CaptureStatus()


def capture_status(snapshot: ClusterSnapshot) -> CaptureStatus:
    """Return what a snapshot tells of captured advisories.

    Any stream that keeps them will do, also one that somebody else made, unless it is a queue: what is
    read there by others is gone.
    """
    keeping: list[StreamSnapshot | None] = [None, None]
    for stream in snapshot.streams.values():
        if stream.config.get("retention", "limits") != "limits":
            continue
        for index, wanted in enumerate(ADVISORY_SUBJECTS):
            if _keeps(stream.config, wanted) and keeping[index] is None:
                keeping[index] = stream
    first, second = keeping
    return CaptureStatus(
        known=snapshot.complete,
        stream=first.name if first is not None else None,
        terminated_stream=second.name if second is not None else None,
        marks=first is not None and _keeps(first.config, f"{RESENT_PREFIX}.>"),
        notes=first is not None and _keeps(first.config, f"{NOTE_PREFIX}.>"),
        since=first.created if first is not None else "",
    )


def _keeps(config: Mapping[str, Any], subject: str) -> bool:
    return any(is_subset(subject.encode(), str(own).encode()) for own in config.get("subjects") or ())


def taken_subjects(snapshot: ClusterSnapshot) -> dict[str, str]:
    """Return the advisory subjects that a queue already takes for itself, each with that stream's name.

    The server lets no two streams have the same subject, so these cannot be captured as well.
    """
    return {
        wanted: stream.name
        for stream in snapshot.streams.values()
        for wanted in ADVISORY_SUBJECTS
        if stream.config.get("retention", "limits") != "limits" and _keeps(stream.config, wanted)
    }


def capture_config(snapshot: ClusterSnapshot) -> dict[str, Any]:
    """Return the configuration of the stream that starts capturing, for what is not captured yet.

    Raises:
        ValueError: Everything is captured, or taken by other streams; the text says which.
    """
    status, taken = capture_status(snapshot), taken_subjects(snapshot)
    kept = (status.stream, status.terminated_stream)
    subjects = [
        subject
        for subject, stream in zip(ADVISORY_SUBJECTS, kept, strict=True)
        if stream is None and subject not in taken
    ]
    if not subjects:
        names = ", ".join(sorted(set(taken.values()))) or ", ".join(status.streams)
        raise ValueError(tr("These advisories already go to {names}", names=names))
    clustered = any(stream.clustered for stream in snapshot.streams.values())
    return {
        "name": CAPTURE_STREAM,
        "description": _READING,
        "subjects": [*subjects, f"{PREFIX}.>"],
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "max_age": KEPT_DAYS * DAY_NS,
        "max_bytes": KEPT_BYTES,
        "max_msgs": KEPT_MESSAGES,
        "num_replicas": _replicas(snapshot) if clustered else 1,
        "allow_direct": True,
    }


def _replicas(snapshot: ClusterSnapshot) -> int:
    """As many replicas as the most careful stream has, three at most."""
    counts = [int(stream.config.get("num_replicas") or 1) for stream in snapshot.streams.values()]
    return min(3, max(counts, default=1))


def start_capture(snapshot: ClusterSnapshot) -> Action:
    """Return the action that makes the capture stream; raises ValueError as `capture_config` does."""
    return create_stream(capture_config(snapshot))


def stop_capture(snapshot: ClusterSnapshot) -> Action | None:
    """Return the action that deletes the capture stream with what it holds; None when we did not make it."""
    stream = snapshot.streams.get(CAPTURE_STREAM)
    return delete_stream(CAPTURE_STREAM, stream.config) if stream is not None else None
