"""The dead letters that the Memphis layer keeps, as the dead letters of a connection show them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from memphis_desktop.cluster.dead_letters.journey import Step
from memphis_desktop.cluster.dead_letters.letters import (
    DeadLetter,
    LetterKind,
    Note,
    Original,
    Presence,
    Resent,
    describe,
)
from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.message import Headers, InspectedMessage
from memphis_desktop.language import tr, tr_count
from memphis_desktop.stations import model
from memphis_desktop.stations.errors import StationsError
from memphis_desktop.stations.model import DeadLetterKind
from memphis_desktop.ui import format as figures

from .changes import MemphisChange
from .link import MemphisLink

_KINDS = {DeadLetterKind.UNACKED: LetterKind.UNACKED, DeadLetterKind.SCHEMA: LetterKind.SCHEMA}
_PREVIEW_BYTES = 80  # a letter's record holds so many bytes of its payload
_KEPT, _READ_AT_ONCE = 4000, 8
_PREFIX = "memphis: Schema validation has failed: "  # untranslated: what SDKs say
_LOST = tr("Retention had removed the message before it could be kept")
_STEPS = {
    "stored": ("stored", "good", tr("Stored")),
    "failed": ("consumer", "bad", tr("Given up")),
    "terminated": ("consumer", "bad", tr("Terminated")),
    "refused": ("dead", "bad", tr("Refused")),
    "resent": ("resent", "information", tr("Sent again")),
    "edited": ("resent", "information", tr("Sent again, edited")),
    "acknowledged": ("consumer", "good", tr("Acknowledged")),
    "forwarded": ("stored", "information", tr("Copied")),
}


class MemphisLetters:
    """Implements `LetterSource`."""

    def __init__(self, link: MemphisLink) -> None:
        self._link = link
        self._listeners: list[Callable[[], None]] = []
        self._records: dict[int, model.DeadLetter] = {}
        self._letters: tuple[DeadLetter, ...] = ()
        self._originals: OrderedDict[int, Original] = OrderedDict()
        self._reading: asyncio.Task[None] | None = None
        self._seen: tuple[model.DeadLetter, ...] | None = None
        link.changed.connect(self._changed)

    @property
    def available(self) -> bool:
        """Whether the connection has the Memphis layer."""
        return self._link.available

    @property
    def service(self) -> bool | None:
        """Whether a copy of the service answers; None when that is not known."""
        return self._link.view.service

    def use(self) -> Callable[[], None]:
        """Follow the letters until the result is called."""
        return self._link.use()

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` when the letters are others."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def letters(self) -> Sequence[DeadLetter]:
        """The letters."""
        return self._letters

    def record(self, letter: DeadLetter) -> model.DeadLetter | None:
        """Return the record of a letter."""
        return self._records.get(letter.external)

    def _changed(self) -> None:
        records = self._link.view.dead_letters
        if records == self._seen:
            return
        self._seen = records
        self._records = {record.id: record for record in records}
        self._build()
        if self._reading is None or self._reading.done():
            with contextlib.suppress(RuntimeError):  # told while the loop ends: nobody looks any more
                loop = asyncio.get_running_loop()
                self._reading = loop.create_task(self._read_payloads())

    def _build(self) -> None:
        self._letters = tuple(self._letter(record) for record in self._records.values())
        for listener in tuple(self._listeners):
            listener()

    def _letter(self, record: model.DeadLetter) -> DeadLetter:
        groups = tuple(group.name for group in record.groups)
        failed = max((group.failed_at for group in record.groups), default=record.updated_at)
        reason = record.validation_error.removeprefix(_PREFIX) or next(
            (group.reason for group in record.groups if group.reason), ""
        )
        return DeadLetter(
            kind=_KINDS[record.kind],
            stream=record.stream or record.station,
            sequence=record.sequence,
            consumer=", ".join(groups),
            deliveries=max((group.deliveries for group in record.groups), default=0) or None,
            reason=reason,
            first_ns=_ns(record.created_at),
            failed_ns=_ns(failed),
            resent=_resends(record),
            original=self._original(record),
            home=record.station,
            home_subject=record.subject,
            external=record.id,
            groups=groups if record.partition >= 0 else (),
            note=_note(record),
        )

    def _original(self, record: model.DeadLetter) -> Original:
        if record.payload_lost:
            return Original(Presence.GONE, _LOST)
        known = self._originals.get(record.id)
        if known is None:
            head = _from_hex(record.preview)
            known = describe(message_from(record, head))
            if record.size > len(head):
                known = Original(
                    Presence.THERE, "", known.subject, known.time_ns, record.size, known.preview, "",
                    0, record.producer,
                )  # fmt: skip
            else:
                self._originals[record.id] = known
        return known

    async def _read_payloads(self) -> None:
        """Read the payloads whose record holds only their beginning: groups need to know their shape."""
        wanted = [
            record
            for record in self._records.values()
            if record.size > _PREVIEW_BYTES and not record.payload_lost and record.id not in self._originals
        ][:_KEPT]
        for start in range(0, len(wanted), _READ_AT_ONCE):
            await asyncio.gather(*(self._read_payload(one) for one in wanted[start : start + _READ_AT_ONCE]))
        while len(self._originals) > 2 * _KEPT:
            self._originals.popitem(last=False)
        if wanted:
            self._build()

    async def _read_payload(self, record: model.DeadLetter) -> None:
        try:
            payload = await self._link.client.dead_letter_payload(record.station, record.id)
        except (StationsError, ClusterError):
            return
        if payload is not None:
            self._originals[record.id] = describe(message_from(record, payload))

    async def message_of(self, letter: DeadLetter) -> InspectedMessage | None:
        """The message that is kept with the letter."""
        record = self._records.get(letter.external)
        if record is None or record.payload_lost:
            return None
        try:
            payload = await self._link.client.dead_letter_payload(record.station, record.id)
        except (StationsError, ClusterError) as error:
            raise ReadError(0, 0, str(error)) from None
        return None if payload is None else message_from(record, payload)

    async def drop(self, letters: Sequence[DeadLetter]) -> int:
        """Ask the service to drop letters."""
        count = 0
        for change in drop_changes(letters):
            answer = await change.run(self._link.session)
            result = answer.get("result")
            count += result if isinstance(result, int) else 0
        return count

    async def resend(self, letters: Sequence[DeadLetter], group: str) -> tuple[int, str]:
        """Ask the service to send letters to the groups that gave them up."""
        sent, failed = 0, []
        for change in resend_changes(letters, group):
            answer = await change.run(self._link.session)
            sent += int(answer.get("sent") or 0)
            failed += list((answer.get("failed") or {}).values())
        if not failed:
            return sent, ""
        count, first = len(failed), failed[0]
        return sent, tr_count(
            "{count} was not sent: {reason}.",
            "{count} were not sent: {reason}.",
            count,
            count=figures.integer(count),
            reason=first,
        )

    async def write_note(self, letters: Sequence[DeadLetter], note: Note) -> None:
        """Ask the service to keep a note with letters."""
        for change in note_changes(letters, note):
            await change.run(self._link.session)

    def journey(self, letter: DeadLetter) -> list[Step]:
        """What the record tells of the message's way."""
        record = self._records.get(letter.external)
        if record is None:
            return []
        who = tr("By {name}.", name=record.producer) if record.producer else tr("Nobody knows by whom.")
        steps = [Step("published", "good", tr("Published"), who)]
        steps += [self._step(record, one) for one in record.journey]
        if not any(step.kind == "stored" for step in steps) and record.stored_at is not None:
            text = tr(
                "Sequence {sequence} in {stream}.",
                sequence=figures.integer(record.sequence),
                stream=record.stream,
            )
            steps.insert(
                1,
                Step(
                    "stored",
                    "good",
                    tr("Stored in {station}", station=record.station),
                    text,
                    _ns(record.stored_at),
                ),
            )
        for group in record.groups:
            if not any(step.consumer == group.name for step in steps):
                text = group.reason or tr(
                    "Delivered {deliveries} times without an ack.", deliveries=group.deliveries
                )
                steps.append(
                    Step("consumer", "bad", group.name, text, _ns(group.failed_at), consumer=group.name)
                )
        kept = tr("Its payload was lost.") if record.payload_lost else tr("Kept with its payload.")
        steps.append(Step("dead", "bad", tr("Dead letter"), kept, _ns(record.created_at)))
        return steps

    def _step(self, record: model.DeadLetter, one: model.JourneyStep) -> Step:
        kind, token, title = _STEPS.get(one.what, ("resent", "muted", one.what))
        name = one.group or (record.station if kind == "stored" else "")
        words = [tr("By {name}.", name=one.who) if one.who and kind == "resent" else "", one.detail]
        text = " ".join(word for word in words if word) or f"{title}."
        return Step(kind, token, f"{title} · {name}" if name else title, text, _ns(one.time), one.group)


def drop_changes(letters: Sequence[DeadLetter]) -> list[MemphisChange]:
    """Return the requests that drop letters, one for each station."""
    return [
        MemphisChange(
            tr_count(
                "Drop {count} dead letter of {station}",
                "Drop {count} dead letters of {station}",
                len(ids),
                station=station,
            ),
            "dead_letters.drop",
            {"station": station, "ids": ids},
            station,
            destroys=True,
        )
        for station, ids in _by_station(letters).items()
    ]


def resend_changes(letters: Sequence[DeadLetter], group: str = "") -> list[MemphisChange]:
    """Return the requests that send letters again, one for each station; to one group, or all that failed."""
    return [
        MemphisChange(
            tr_count(
                "Resend {count} dead letter of {station}",
                "Resend {count} dead letters of {station}",
                len(ids),
                station=station,
            ),
            "dead_letters.resend",
            {"station": station, "ids": ids, "group": group},
            station,
        )
        for station, ids in _by_station(letters).items()
    ]


def note_changes(letters: Sequence[DeadLetter], note: Note) -> list[MemphisChange]:
    """Return the requests that keep a note with letters, one for each station."""
    return [
        MemphisChange(
            tr_count(
                "Note about {count} dead letter of {station}",
                "Note about {count} dead letters of {station}",
                len(ids),
                station=station,
            ),
            "dead_letters.note",
            {"station": station, "ids": ids, "text": note.text, "tags": list(note.tags), "by": note.by},
            station,
        )
        for station, ids in _by_station(letters).items()
    ]


def _note(record: model.DeadLetter) -> Note | None:
    written = record.note
    if written is None or not (written.text or written.tags):
        return None
    return Note(written.text, written.tags, written.by, _ns(written.time))


def _by_station(letters: Sequence[DeadLetter]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for letter in letters:
        found.setdefault(letter.home, []).append(letter.external)
    return found


def message_from(record: model.DeadLetter, payload: bytes) -> InspectedMessage:
    """Return the message of a letter as the message views want it."""
    moment = record.stored_at or record.created_at
    try:
        block = Headers(record.headers).encode()
    except ValueError:
        block = b""
    return InspectedMessage(
        record.stream or record.station, record.sequence, _ns(moment), record.subject, block, payload
    )


def _resends(record: model.DeadLetter) -> tuple[Resent, ...]:
    """One entry for each time it was sent to a group; only the last time of each is known."""
    return tuple(
        Resent(_ns(group.resent_at), number + 1, tr("to {name}", name=group.name))
        for group in record.groups
        if group.resent_at is not None
        for number in range(group.resends)
    )


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _ns(moment: Any) -> int:
    return int(moment.timestamp() * 1e6) * 1000
