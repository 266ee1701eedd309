"""Reading consumers, those of the streams in view first, and the age of what they are given next."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import orjson

from .asking import Asker, Attention
from .catching_up import CatchUp
from .failures import (
    CONSUMER_NOT_FOUND,
    MESSAGE_NOT_FOUND,
    STREAM_NOT_FOUND,
    ApiError,
    ClusterError,
    NotConnected,
)
from .lag import FirstUndelivered, filters
from .state import ClusterState, ConsumerName
from .stream_reading import StreamReader
from .sweep import ConsumerSweep
from .times import parse_time

FIRST_BURST = 60  # streams whose consumers are read at the very first, beyond the budget
ROUND_LIMIT = 0.8  # seconds in which a round begins to read consumers
OTHERS = 2  # requests of a second that are left to who watches the servers
MEANWHILE = 1  # streams in view read anew, and messages probed, in a round of the first reading
PROBES = 5  # first undelivered messages read in a round
MAX_FILTERS_PROBED = 4


class ConsumerReader:
    """The consumers of one session."""

    def __init__(
        self,
        asker: Asker,
        state: ClusterState,
        attention: Attention,
        streams: StreamReader,
        sweep: ConsumerSweep,
    ) -> None:
        self._asker = asker
        self._state = state
        self._attention = attention
        self._streams = streams
        self._sweep = sweep
        self.catch_up = CatchUp(asker, state, attention, sweep, self._read_of)
        self._read_at_sequence: dict[str, int] = {}
        self._lists_read = 0
        self._began = False

    async def read(self) -> None:
        """Read the consumers of the streams where it is most pressing, as many as the budget allows."""
        due = self._due()
        left = self._asker.budget.left
        room = max(1, left - min(PROBES, left // 4))
        if self.catch_up.under_way:
            room = max(1, min(room, MEANWHILE))
        elif any(name not in self._state.consumers_read_at for name in due):
            # An empty list helps nobody: at first many, then half of the budget also when answers are slow.
            room = max(left - OTHERS, self._asker.budget.left_of_half) if self._began else FIRST_BURST
            self._began = True
        before = self._lists_read
        try:
            await self._asker.together(self._read_of, due[:room], ROUND_LIMIT)
            if self._lists_read > before:  # a round that took too long has begun none
                self._state.errors.pop("consumers", None)
                self._state.read_at["consumers"] = time.time_ns()
        except NotConnected:
            raise
        except ClusterError as error:
            self._state.errors["consumers"] = str(error)

    def _due(self) -> list[str]:
        """Return streams whose consumers should be read, the most pressing first.

        What was changed or is watched comes first; of the rest, what is in view takes turns with what is
        not, so that a long list is read to its end while somebody looks at its beginning. What sweeps bring
        or the first reading brings is left to them.
        """
        streams, read_at = self._state.streams, self._state.consumers_read_at
        watched, dirty = self._attention.watched, self._attention.dirty
        wanted = set(self._attention.wanted())
        now = time.monotonic()
        swept, catching_up = self._sweep.covers, self.catch_up.under_way
        pressing: list[str] = []
        in_view: list[str] = []
        others: list[str] = []
        for name, snapshot in streams.items():
            if name in dirty or watched.get(name):
                pressing.append(name)
            elif snapshot.consumer_count or self._state.consumers_of.get(name):
                if catching_up and name not in read_at:
                    continue
                if name in wanted:
                    in_view.append(name)
                elif not swept and not catching_up:
                    others.append(name)

        def urgency(name: str) -> float:
            age = now - read_at.get(name, now - 3600.0)
            if name in dirty:
                return 1e9 + age
            moved = streams[name].last_sequence != self._read_at_sequence.get(name)
            return age * (4.0 if moved or name in wanted else 1.0)

        for names in (pressing, in_view, others):
            names.sort(key=urgency, reverse=True)
        if others and others[0] not in read_at:
            unread = [name for name in in_view if name not in read_at]
            return [*pressing, *unread, *_mixed(others, in_view[len(unread) :], 4)]
        return [*pressing, *_mixed(in_view, others, 3)]

    async def _read_of(self, stream: str) -> None:
        self._attention.dirty.discard(stream)
        snapshot = self._state.streams.get(stream)
        if snapshot is None:
            return
        infos: list[Mapping[str, Any]] = []
        missing: list[str] = []
        while True:
            try:
                answer, now = await self._asker.ask(f"CONSUMER.LIST.{stream}", {"offset": len(infos)})
            except ApiError as error:
                if error.err_code == STREAM_NOT_FOUND:
                    self._streams.remove(stream)
                    return
                if error.err_code == CONSUMER_NOT_FOUND:
                    return
                raise
            except ClusterError:
                self._attention.dirty.add(
                    stream
                )  # also one without consumers is asked again, until it answers
                raise
            page = answer.get("consumers") or []
            infos.extend(page)
            missing.extend(answer.get("missing") or ())
            if not page or len(infos) >= int(answer.get("total") or 0):
                break
        self._state.take_consumers(stream, infos, now, all_of_them=not missing)
        self._read_at_sequence[stream] = snapshot.last_sequence
        self._lists_read += 1

    # Lag in seconds

    async def read_first_undelivered(self) -> None:
        """Read the next message of a few consumers whose lag in seconds is not known exactly."""
        wanted = set(self._attention.wanted())
        due: list[tuple[tuple[bool, bool, int], ConsumerName]] = []
        for key, consumer in self._state.consumers.items():
            if consumer.num_pending and self._state.needs_first_undelivered(key):
                unknown = consumer.lag_seconds is None
                due.append(((key[0] in wanted, unknown, consumer.num_pending), key))
        due.sort(reverse=True)
        if self.catch_up.under_way:
            due = [one for one in due if one[0][0]][:MEANWHILE]
        room = min(PROBES, self._asker.budget.left)
        await self._asker.together(self._probe, [key for _, key in due[:room]])

    async def _probe(self, key: ConsumerName) -> None:
        consumer = self._state.consumers.get(key)
        if consumer is None:
            return  # deleted while others were looked at
        after = consumer.delivered_stream
        stream = self._state.streams.get(key[0])
        start = max(after + 1, stream.first_sequence if stream else 0)
        found: list[FirstUndelivered] = []
        direct = stream is not None and bool(stream.config.get("allow_direct"))
        for subject in (filters(consumer.config) or (">",))[:MAX_FILTERS_PROBED]:
            try:
                read = await self._time_of_next(key[0], start, subject, direct=direct)
            except NotConnected:
                raise
            except ClusterError as error:
                self._state.errors["lag in seconds"] = str(error)
                return
            if read is not None:
                found.append(FirstUndelivered(after, *read))
        self._state.errors.pop("lag in seconds", None)
        if found:
            self._state.take_first_undelivered(key, min(found, key=lambda first: first.sequence))

    async def _time_of_next(
        self, stream: str, start: int, subject: str, *, direct: bool
    ) -> tuple[int, int] | None:
        """Return sequence and time of the first message from a sequence on; None when there is none.

        A direct get is preferred where the stream allows it: one that finds nothing is no API error.
        """
        body = {"seq": start, "next_by_subj": subject}
        if direct:
            self._asker.budget.spend()
            message = await self._asker.session.request(
                self._asker.session.api_subject(f"DIRECT.GET.{stream}"), orjson.dumps(body)
            )
            headers = message.headers or {}
            sequence, moment = headers.get("Nats-Sequence"), parse_time(headers.get("Nats-Time-Stamp"))
            return (int(sequence), moment) if sequence and moment is not None else None
        try:
            answer, _ = await self._asker.ask(f"STREAM.MSG.GET.{stream}", body)
        except ApiError as error:
            if error.err_code in (MESSAGE_NOT_FOUND, STREAM_NOT_FOUND):
                return None
            raise
        found = answer.get("message") or {}
        moment = parse_time(found.get("time"))
        return (int(found["seq"]), moment) if moment is not None else None


def _mixed(first: list[str], second: list[str], every: int) -> list[str]:
    """Both lists as one, with a name of the second at every so many places, while both last."""
    mixed: list[str] = []
    start = 0
    for name in second:
        end = start + every - 1
        mixed.extend(first[start:end])
        mixed.append(name)
        start = end
    return [*mixed, *first[start:]]
