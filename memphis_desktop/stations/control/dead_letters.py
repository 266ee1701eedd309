"""What the window does with dead letters: send them again, as they were or edited, and drop them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

import nats.errors

from memphis_desktop.stations import dead_letters, groups, model
from memphis_desktop.stations.control.routes import Context, Request, manage, management_answer
from memphis_desktop.stations.errors import Refusal, StationsError
from memphis_desktop.stations.metadata import pattern_for, replace
from memphis_desktop.stations.model import DeadLetter, DeadLetterKind, JourneyStep, Note, Station
from memphis_desktop.stations.names import dead_letter_subject, message_subject, old_dead_letter_subject

LETTER_ID, LETTER_GROUP = "$memphis_pm_id", "$memphis_pm_cg_name"
_RESENT_FROM = "Memphis-Resent-From"
_JETSTREAM_HEADERS = ("nats-", "msg-id")  # they would keep a copy from being stored, or act on it again
_LONGEST_JOURNEY = 100
_LONGEST_NOTE, _LONGEST_TAG, _MOST_TAGS = 4000, 64, 16
_RESEND_TIME = timedelta(minutes=5)  # a copy that died on the way does not hold it up for longer


async def resend(context: Context, request: Request) -> bytes:
    """Send letters again; with no ids all unacknowledged letters of a station, the oldest first."""
    station, group = request.text("station"), request.text("group")
    wanted = _ids(request)
    letters = await _letters(context, station, wanted)
    if not wanted:
        letters = [letter for letter in letters if letter.kind is DeadLetterKind.UNACKED]
    failed = {
        str(missing): "the dead letter is gone"
        for missing in sorted(wanted - {letter.id for letter in letters})
    }
    sent = 0
    async with _resend_disabled(context, station, everything=not wanted):
        for letter in letters:
            try:
                await _send(context, letter, group, request.username)
                sent += 1
            except StationsError as error:
                failed[str(letter.id)] = str(error)
    if sent:
        await context.audit(
            f"{sent} dead letters have been sent again", username=request.username, station=station
        )
    return management_answer({"sent": sent, "failed": failed})


async def resend_edited(context: Context, request: Request) -> bytes:
    """Send a letter again with another payload and other headers."""
    station, wanted = request.text("station"), request.number("id")
    letter = await context.metadata.dead_letters.find(station, str(wanted))
    if letter is None:
        raise Refusal("the dead letter is gone", "not_found")
    try:
        payload = bytes.fromhex(request.text("payload_hex"))
    except ValueError:
        raise Refusal("payload_hex has to be hexadecimal") from None
    headers = request.raw.get("headers") or {}
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise Refusal("headers has to be an object of strings")
    await _send(context, letter, request.text("group"), request.username, (payload, headers))
    await context.audit(
        f"Dead letter {letter.id} has been sent again, edited", username=request.username, station=station
    )
    return management_answer()


async def _send(
    context: Context,
    letter: DeadLetter,
    group: str,
    username: str,
    edited: tuple[bytes, Mapping[str, str]] | None = None,
) -> None:
    """Send one letter to the groups that failed it, or to one of them, and note that."""
    if edited is None:
        payload: bytes = await dead_letters.payload_of(context.metadata, letter)
        headers: Mapping[str, str] = dict(letter.headers)
    else:
        payload, headers = edited
    names = [each.name for each in letter.groups]
    if group and group not in names:
        raise Refusal(f"{group} is not among the groups that failed it", "not_found")
    targets = [group] if group else names
    station = await context.metadata.station(letter.station) if letter.partition >= 0 else None
    if station is None:
        await _publish_again(context, letter, payload, headers)
    elif letter.kind is DeadLetterKind.SCHEMA:
        if edited is None:
            raise Refusal("its schema refused this message; it can be sent again edited")
        await _produce(context, station, letter, payload, headers)
    else:
        await _send_to_groups(context, station, letter, payload, headers, targets)
    await _note(context, letter, targets, username, edited=edited is not None)


async def _send_to_groups(
    context: Context,
    station: Station,
    letter: DeadLetter,
    payload: bytes,
    headers: Mapping[str, str],
    targets: list[str],
) -> None:
    for target in targets:
        if not await groups.active_members(context.metadata, station.name, target):
            raise Refusal(f"no consumer of the group {target} is connected; the letter stays", "conflict")
    for target in targets:
        own = {
            dead_letters.PRODUCED_BY: dead_letters.RESENT,
            LETTER_ID: str(letter.id),
            LETTER_GROUP: target,
        }
        for subject in (
            dead_letter_subject(station.name, target),
            old_dead_letter_subject(station.name, target),
        ):
            # Without a reply subject: what makes an SDK report its ack is that an ordinary one fails.
            try:
                await context.client.publish(subject, payload, headers={**headers, **own})
            except nats.errors.Error as error:  # such as: with these headers it is larger than may be
                raise StationsError(f"it could not be sent: {error}") from error


async def _publish_again(
    context: Context, letter: DeadLetter, payload: bytes, headers: Mapping[str, str]
) -> None:
    """Publish a message of a plain JetStream client once more; nothing reaches a single consumer there."""
    if not letter.subject:
        raise Refusal("the subject of the message is not known", "not_found")
    origin = {_RESENT_FROM: f"{letter.stream}:{letter.sequence}"}
    await context.jetstream.publish(letter.subject, payload, {**_plain(headers), **origin})


async def _produce(
    context: Context, station: Station, letter: DeadLetter, payload: bytes, headers: Mapping[str, str]
) -> None:
    """Produce what a schema refused, in the form it was given now."""
    stream = station.streams[max(letter.partition, 1) - 1 if letter.partition <= len(station.streams) else 0]
    await context.jetstream.publish(message_subject(stream), payload, _plain(headers))


def _plain(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if not name.lower().startswith(_JETSTREAM_HEADERS)}


async def _note(
    context: Context, letter: DeadLetter, targets: list[str], username: str, *, edited: bool
) -> None:
    when = model.now()
    what = "edited" if edited else "resent"
    steps = tuple(JourneyStep(what, when, target, username) for target in targets or [""])

    def decide(present: DeadLetter | None) -> DeadLetter | None:
        if present is None:
            return None  # acknowledged already
        marked = tuple(
            replace(each, resends=each.resends + 1, resent_at=when) if each.name in targets else each
            for each in present.groups
        )
        journey = (*present.journey, *steps)[:_LONGEST_JOURNEY]
        return replace(present, groups=marked, journey=journey, updated_at=when)

    await context.metadata.dead_letters.change((letter.station, str(letter.id)), decide)


@asynccontextmanager
async def _resend_disabled(context: Context, station: str, *, everything: bool) -> AsyncIterator[None]:
    """While everything of a station is sent again, refuse to begin that a second time."""
    if not everything or await context.metadata.station(station) is None:
        yield
        return

    def begin(present: Station | None) -> Station | None:
        if (
            present is not None
            and present.resend_disabled
            and model.now() - present.updated_at < _RESEND_TIME
        ):
            raise Refusal("the dead letters of this station are being sent again already", "conflict")
        return present and replace(present, resend_disabled=True, updated_at=model.now())

    await context.metadata.stations.change((station,), begin)
    try:
        yield
    finally:
        await context.metadata.stations.change(
            (station,), lambda present: present and replace(present, resend_disabled=False)
        )


async def drop(context: Context, request: Request) -> bytes:
    """Drop letters; with no ids all of a station, of one kind if it is given."""
    station, wanted, kind = request.text("station"), _ids(request), request.text("kind")
    letters = await _letters(context, station, wanted)
    if not wanted and kind:
        letters = [letter for letter in letters if letter.kind == kind]
    for letter in letters:
        await dead_letters.delete(context.metadata, letter)
    if letters:
        await context.audit(
            f"{len(letters)} dead letters have been dropped", username=request.username, station=station
        )
    return management_answer(len(letters))


async def note(context: Context, request: Request) -> bytes:
    """Keep a note with letters, in place of the one they have; nothing written takes that back.

    Letters live as long as before: a note does not keep them.
    """
    station, wanted = request.text("station"), _ids(request)
    text, tags = request.text("text"), request.texts("tags")
    if len(text) > _LONGEST_NOTE or len(tags) > _MOST_TAGS or any(len(tag) > _LONGEST_TAG for tag in tags):
        raise Refusal(
            f"a note has up to {_LONGEST_NOTE} characters and {_MOST_TAGS} tags of up to {_LONGEST_TAG}"
        )
    if not station or not wanted:
        raise Refusal("station and ids have to be given")
    by = request.text("by")[:_LONGEST_TAG] or request.username
    written = Note(text, tuple(tags), by) if text or tags else None
    count = 0
    for each in sorted(wanted):
        changed = await context.metadata.dead_letters.change(
            (station, str(each)), lambda present: present and replace(present, note=written)
        )
        count += changed is not None
    return management_answer(count)


def _ids(request: Request) -> set[int]:
    ids = request.fields.get("ids") or []
    if not isinstance(ids, list) or not all(isinstance(each, int) for each in ids):
        raise Refusal("ids has to be a list of whole numbers")
    return set(ids)


async def _letters(context: Context, station: str, wanted: set[int]) -> list[DeadLetter]:
    """Return letters of a station, all when none is named, the oldest first."""
    if not station:
        raise Refusal("station has to be given")
    table = context.metadata.dead_letters
    if wanted:
        found = [await table.find(station, str(each)) for each in sorted(wanted)]
        letters = [letter for letter in found if letter is not None]
    else:
        letters = await table.all(pattern_for(station))
    return sorted(letters, key=lambda letter: (letter.created_at, letter.id))


ROUTES = (
    manage("dead_letters.resend", resend),
    manage("dead_letters.resend_edited", resend_edited),
    manage("dead_letters.drop", drop),
    manage("dead_letters.note", note),
)
