"""What this program notes in the capture stream beside the advisories: copies sent, and notes of people.

Whoever reads the stream sees them: colleagues with this program, and its next start. The newest note of a
letter counts; an empty one takes it back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from .letters import DeadLetter, Note, Resent

PREFIX = "memphis-desktop.dead-letters"
RESENT_PREFIX = f"{PREFIX}.resent"
NOTE_PREFIX = f"{PREFIX}.note"
LONGEST_NOTE = 4_000  # characters
LONGEST_TAG, MOST_TAGS = 64, 16

LetterPlace = tuple[str, str, int]  # stream, consumer, sequence


def place_of(letter: DeadLetter) -> LetterPlace:
    """Return what a mark names its letter by."""
    return letter.stream, letter.consumer, letter.sequence


def read_resent(contents: Mapping[str, Any], time_ns: int) -> tuple[LetterPlace, Resent] | None:
    """Return which letter a copy was sent of, and the copy; None when it cannot be read."""
    try:
        mark = Resent(
            time_ns,
            int(contents["attempt"]),
            str(contents.get("subject") or ""),
            str(contents.get("stored_stream") or ""),
            int(contents.get("stored_sequence") or 0),
        )
        return _place(contents), mark
    except (KeyError, TypeError, ValueError):
        return None


def read_note(contents: Mapping[str, Any], time_ns: int) -> tuple[LetterPlace, Note] | None:
    """Return which letter a note is about, and the note; None when it cannot be read."""
    try:
        tags = contents.get("tags") or []
        note = Note(
            str(contents.get("text") or "")[:LONGEST_NOTE],
            clean_tags(map(str, tags if isinstance(tags, list) else [])),
            str(contents.get("by") or ""),
            time_ns,
        )
        return _place(contents), note
    except (KeyError, TypeError, ValueError):
        return None


def _place(contents: Mapping[str, Any]) -> LetterPlace:
    return str(contents["stream"]), str(contents["consumer"]), int(contents["sequence"])


def resent_contents(letter: DeadLetter, copy: Resent) -> bytes:
    """Return the mark that a copy of a letter was sent."""
    return orjson.dumps(
        {
            **_named(letter),
            "attempt": copy.attempt,
            "subject": copy.subject,
            "stored_stream": copy.stream,
            "stored_sequence": copy.sequence,
        }
    )


def note_contents(letter: DeadLetter, note: Note) -> bytes:
    """Return the mark that somebody noted something about a letter."""
    return orjson.dumps({**_named(letter), "text": note.text, "tags": list(note.tags), "by": note.by})


def _named(letter: DeadLetter) -> dict[str, Any]:
    return {"stream": letter.stream, "consumer": letter.consumer, "sequence": letter.sequence}


def clean_tags(tags: Sequence[str] | Any) -> tuple[str, ...]:
    """Return tags without blanks around them, none twice, within bounds."""
    found = (" ".join(tag.split())[:LONGEST_TAG] for tag in tags)
    return tuple(dict.fromkeys(tag for tag in found if tag))[:MOST_TAGS]
