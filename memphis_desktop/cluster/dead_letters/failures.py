"""What advisories told: which messages were given up, when, what was done and written about them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

import orjson

from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr

from ..model import ClusterSnapshot
from .letters import DeadLetter, Failure, LetterKey, Note, Presence, Resent, from_failures, parse_advisory
from .marks import NOTE_PREFIX, RESENT_PREFIX, LetterPlace, place_of, read_note, read_resent
from .originals import Originals

SLICE_SECONDS = 0.004


class FailureTable:
    """Advisories by the letter they tell of, and the letters, made anew when something about them changes.

    Attributes:
        changed: Whether anything is different since somebody set it to False.
    """

    def __init__(self, originals: Originals) -> None:
        self.changed = False
        self._originals = originals
        self._failures: dict[LetterKey, list[Failure]] = {}
        self._letters: dict[LetterKey, DeadLetter] = {}  # what the failures tell of, made when asked for
        self._of_message: dict[tuple[str, int], set[LetterKey]] = {}
        self._seen: set[str] = set()  # ids of advisories
        self._resent: dict[LetterPlace, list[Resent]] = {}
        self._notes: dict[LetterPlace, Note] = {}

    def __len__(self) -> int:
        return len(self._failures)

    # What comes in

    def take(self, failure: Failure) -> None:
        """Note an advisory; told live first and captured later, it counts once."""
        known = self._failures.setdefault(failure.key, [])
        if failure.id and failure.id in self._seen:
            if failure.record:
                known[:] = [failure if one.id == failure.id else one for one in known]
                self._letters.pop(failure.key, None)
            return
        if failure.id:
            self._seen.add(failure.id)
        known.append(failure)
        self._of_message.setdefault((failure.stream, failure.sequence), set()).add(failure.key)
        self._touch(failure.key)

    def take_captured(self, message: InspectedMessage) -> None:
        """Take what the capture stream holds: an advisory, or a mark of this program."""
        try:
            contents = orjson.loads(message.payload)
        except orjson.JSONDecodeError:
            return
        if not isinstance(contents, dict):
            return
        if message.subject.startswith(RESENT_PREFIX):
            if (resent := read_resent(contents, message.time_ns)) is not None:
                self.note_resent(*resent)
        elif message.subject.startswith(NOTE_PREFIX):
            if (noted := read_note(contents, message.time_ns)) is not None:
                self.set_note(*noted)
        elif (failure := parse_advisory(contents, message.sequence)) is not None:
            self.take(failure)

    def note_resent(self, place: LetterPlace, copy: Resent) -> None:
        """Note that a copy was sent; once for each attempt."""
        copies = self._resent.setdefault(place, [])
        if all((copy.attempt, copy.sequence) != (one.attempt, one.sequence) for one in copies):
            copies.append(copy)
            self._touch_message(place[0], place[2])

    def set_note(self, place: LetterPlace, note: Note) -> None:
        """Take somebody's note; the newest counts, and an empty one takes the others back."""
        known = self._notes.get(place)
        if known is None or known.time_ns <= note.time_ns:
            self._notes[place] = note
            self._touch_message(place[0], place[2])

    # What goes

    def remove(self, key: LetterKey) -> None:
        """Let go of a letter."""
        failures = self._failures.pop(key, [])
        self._seen.difference_update(failure.id for failure in failures)
        if failures:
            message = (failures[0].stream, failures[0].sequence)
            keys = self._of_message.get(message, set())
            keys.discard(key)
            if not keys:
                self._of_message.pop(message, None)
            self._touch(key)

    def clear(self) -> None:
        """Let go of every letter."""
        for key in list(self._failures):
            self.remove(key)

    def forget_captured(self) -> None:
        """Let go of everything captured; what was only heard stays."""
        for key, failures in list(self._failures.items()):
            self._keep(key, [failure for failure in failures if not failure.record], len(failures))
        self._resent.clear()
        self._notes.clear()
        self._letters.clear()
        self.changed = True

    def forget_below(self, first: int) -> None:
        """Let go of what the capture stream held below its first sequence."""
        for key, failures in list(self._failures.items()):
            left = [failure for failure in failures if not failure.record or failure.record >= first]
            self._keep(key, left, len(failures))

    def bound(self, most: int) -> int:
        """Let go of the oldest letters above so many; returns how many those were."""
        excess = len(self._failures) - most
        if excess <= 0:
            return 0
        for key in sorted(self._failures, key=lambda key: self._failures[key][-1].time_ns)[:excess]:
            self.remove(key)
        return excess

    def _keep(self, key: LetterKey, left: list[Failure], before: int) -> None:
        """Keep so many of a letter's advisories, or let go of it when none is left."""
        if not left:
            self.remove(key)
        elif len(left) != before:
            ids = {failure.id for failure in left}
            self._seen.difference_update(one.id for one in self._failures[key] if one.id not in ids)
            self._failures[key] = left
            self._touch(key)

    # Messages

    def messages(self, most: int) -> list[tuple[str, int]]:
        """Return the messages of so many letters, those that failed last first, each once."""
        newest = sorted(self._failures.values(), key=lambda failures: -failures[-1].time_ns)[:most]
        return list(dict.fromkeys((failures[-1].stream, failures[-1].sequence) for failures in newest))

    def first_failure(self, stream: str, sequence: int) -> int | None:
        """Return when a message failed at first, ns; None when it did not."""
        keys = self._of_message.get((stream, sequence), ())
        return min((self._failures[key][0].time_ns for key in keys), default=None)

    def original_changed(self, stream: str, sequence: int) -> None:
        """More is known of a message: its letters are made anew."""
        self._touch_message(stream, sequence)

    def _touch_message(self, stream: str, sequence: int) -> None:
        for key in self._of_message.get((stream, sequence), ()):
            self._letters.pop(key, None)
        self.changed = True

    def _touch(self, key: LetterKey) -> None:
        self._letters.pop(key, None)
        self.changed = True

    # Letters

    def letters(self, snapshot: ClusterSnapshot) -> Iterator[DeadLetter]:
        """Yield the letters; those whose message has expired meanwhile say so."""
        for key, failures in self._failures.items():
            if key not in self._letters:
                self._letters[key] = self._build(failures)
        self._forget_expired(snapshot)
        for key in self._failures:
            yield self._letters[key]

    def marked(self, letters: Iterable[DeadLetter]) -> Iterator[DeadLetter]:
        """Yield letters of dead-letter stations with what was done and written about them."""
        for letter in letters:
            place = place_of(letter)
            copies, note = self._resent.get(place), self._notes.get(place)
            if copies or note:
                letter = replace(letter, resent=tuple(copies or ()), note=note or None)
            yield letter

    async def build(self) -> None:
        """Make the letters that are missing, in slices; what is touched meanwhile is made when told."""
        started = time.perf_counter()
        for key in list(self._failures):
            failures = self._failures.get(key)
            if failures and key not in self._letters:
                self._letters[key] = self._build(failures)
                if time.perf_counter() - started > SLICE_SECONDS:
                    await asyncio.sleep(0)
                    started = time.perf_counter()

    def _build(self, failures: list[Failure]) -> DeadLetter:
        last = failures[-1]
        place = (last.stream, last.consumer, last.sequence)
        return from_failures(
            failures,
            tuple(self._resent.get(place, ())),
            self._originals.get(last.stream, last.sequence),
            self._notes.get(place) or None,
        )

    def _forget_expired(self, snapshot: ClusterSnapshot) -> None:
        """Messages below the first sequence of their station are gone: no reason to ask for them again."""
        for key, letter in self._letters.items():
            if letter.original.presence is Presence.THERE:
                stream = snapshot.streams.get(letter.stream)
                if stream is not None and stream.is_read and letter.sequence < stream.first_sequence:
                    why = tr("Removed by the station's limits since")
                    original = replace(letter.original, presence=Presence.GONE, why_gone=why)
                    self._originals.put(letter.stream, letter.sequence, original)
                    self._letters[key] = replace(letter, original=original)
