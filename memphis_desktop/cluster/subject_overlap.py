"""Which other streams take the subjects of a new configuration: servers refuse that two take the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from memphis_desktop.protocol.subjects import overlaps

from .model import StreamSnapshot


@dataclass(frozen=True, slots=True)
class Overlap:
    """A subject of a configuration and the one of another stream that it meets."""

    subject: str
    stream: str
    taken: str


def find_overlap(name: str, subjects: Iterable[str], streams: Mapping[str, StreamSnapshot]) -> Overlap | None:
    """Return the first overlap of a stream's subjects with those of another stream; None without one.

    Args:
        name: The stream they are for, which does not overlap itself.
        subjects: Its subjects.
        streams: All that are known.
    """
    wanted = [(subject, _first(subject), subject.encode()) for subject in subjects if subject]
    for stream in streams.values():
        if stream.name == name:
            continue
        for taken in stream.config.get("subjects") or ():
            first = _first(taken)
            for subject, head, encoded in wanted:
                if first and head and first != head:
                    continue  # most: this is asked at each key that is pressed, of thousands of streams
                if overlaps(encoded, str(taken).encode()):
                    return Overlap(subject, stream.name, str(taken))
    return None


def _first(subject: str) -> str:
    """The first token; empty for a wildcard."""
    token = subject.partition(".")[0]
    return "" if token in ("*", ">") else token
