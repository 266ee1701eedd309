"""Sending dead letters again at a later time: what waits belongs to the connection, and survives its end.

It is kept in a file of the data folder, a record for each order. What came due while the program was not
running is not sent by surprise: past a grace it is held, and so is what was interrupted half-way, until
somebody says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from memphis_desktop.inspect import words
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.publishing import PublishError
from memphis_desktop.language import tr, tr_count

from ..failures import ClusterError
from ..model import ConnectionState
from ..one_consumer import NotPossible, plan_for
from ..profiles import write_private
from .letters import DeadLetter, LetterKey, LetterKind, Original, Presence, Resent
from .resend import Fate, ResendOptions, ResendProgress, ResendRun

if TYPE_CHECKING:
    from ..session import Session

log = logging.getLogger(__name__)

GRACE = 900.0  # seconds after which what is overdue at the start is held instead of sent
MOST_ORDERS = 200
_SAVE_SECONDS = 1.0
_LOOK_SECONDS = 5.0  # a machine that slept notices within so long
_VERSION = 1


class OrderState(Enum):
    """Where an order stands; the value is what screens say."""

    WAITING = "waiting"
    SENDING = "being sent"
    HELD = "held"  # it needs somebody's word: `Order.problem` says why
    DONE = "done"


@dataclass(slots=True, eq=False)
class Order:
    """Letters to be sent again at a time.

    Attributes:
        letters: What is left to be sent.
        due: When, in seconds since 1970.
        options: How; the way to one consumer is worked out anew when it is due.
        consumer: Only to this one (stream and name); None for all.
        group: Of letters that Memphis keeps: only to this group; empty for all that gave them up.
        total: How many letters there were at first.
        made: When it was ordered, in seconds since 1970.
        state: Where it stands.
        problem: Why it is held, or what went wrong.
        progress: How it went, of those sent by this program; None before, and for what Memphis sends.
        sent: Letters sent.
    """

    letters: list[DeadLetter]
    due: float
    options: ResendOptions = field(default_factory=ResendOptions)
    consumer: tuple[str, str] | None = None
    group: str = ""
    total: int = 0
    made: float = 0.0
    state: OrderState = OrderState.WAITING
    problem: str = ""
    progress: ResendProgress | None = None
    sent: int = 0
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        self.total = self.total or len(self.letters)

    @property
    def managed(self) -> bool:
        """Whether Memphis sends them."""
        return any(letter.managed for letter in self.letters)

    @property
    def open(self) -> bool:
        """Whether something of it is still to be sent."""
        return self.state is not OrderState.DONE


class LaterResends:
    """What waits on one connection. Times are by the clock on the wall: a machine that slept sends late."""

    def __init__(self, session: Session, path: Path | None = None) -> None:
        """Make it; with a path, orders are kept there."""
        self._session = session
        self._path = path
        self._orders: list[Order] = []
        self._listeners: list[Callable[[], None]] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._runs: dict[str, ResendRun] = {}
        self._writing = asyncio.Lock()
        self._loaded = path is None

    @property
    def orders(self) -> list[Order]:
        """All of them, the next one first; those done since the start last."""
        return sorted(self._orders, key=lambda one: (not one.open, one.due))

    @property
    def pending(self) -> bool:
        """Whether something will be sent without anybody's word."""
        return any(one.state in (OrderState.WAITING, OrderState.SENDING) for one in self._orders)

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` when an order is made, moves on or is gone; the result ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    # Running

    async def start(self) -> None:
        """Read what an earlier run left, and begin to wait."""
        if not self._loaded and self._path is not None:
            self._loaded = True
            self._orders += [
                held_if_missed(order, time.time()) for order in await asyncio.to_thread(_read, self._path)
            ]
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._wait(), name="later resends")
        if self._orders:
            self._tell()

    async def stop(self) -> None:
        """Send no more; what is being sent is held at the next start."""
        tasks = [*self._sending.values(), *([self._task] if self._task is not None else [])]
        self._task = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._save()

    async def add(self, order: Order) -> None:
        """Take an order, and keep it before anything else happens.

        Raises:
            ClusterError: Nothing may be changed on this connection, or too many wait already.
            OSError: It could not be written down.
        """
        self._session.require_writable()
        if sum(one.open for one in self._orders) >= MOST_ORDERS:
            raise ClusterError(tr("{number} resends wait already: cancel some first.", number=MOST_ORDERS))
        await self.start()
        order.made = order.made or time.time()
        self._orders.append(order)
        try:
            await self._write()
        except OSError:
            self._orders.remove(order)
            raise
        self._wake.set()
        self._tell()

    def send_now(self, order: Order) -> None:
        """Send what waits or is held at once."""
        if order.state in (OrderState.WAITING, OrderState.HELD):
            order.state, order.problem, order.due = OrderState.WAITING, "", time.time()
            self._wake.set()
            self._tell()

    async def cancel(self, order: Order) -> None:
        """Send nothing (more) of it, and forget it."""
        run = self._runs.get(order.id)
        if run is not None:
            run.stop()  # after the letter at hand
            return
        if order in self._orders:
            self._orders.remove(order)
            await self._save()
            self._tell()

    def forget_done(self) -> None:
        """Take what is done off the list."""
        self._orders = [one for one in self._orders if one.open]
        self._tell()

    async def _wait(self) -> None:
        while True:
            self._wake.clear()
            now = time.time()
            waiting = [one for one in self._orders if one.state is OrderState.WAITING]
            if self._session.state is ConnectionState.CONNECTED:
                for order in waiting:
                    if order.due <= now and order.id not in self._sending:
                        task = asyncio.get_running_loop().create_task(self._send(order), name="resend")
                        self._sending[order.id] = task
            left = min((one.due - now for one in waiting if one.due > now), default=_LOOK_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, _LOOK_SECONDS)):
                    await self._wake.wait()

    async def _send(self, order: Order) -> None:
        order.state = OrderState.SENDING
        self._tell()
        try:
            await self._save()
            if order.managed:
                await self._send_managed(order)
            else:
                await self._send_own(order)
        except (ClusterError, PublishError, ReadError, NotPossible) as error:
            order.state, order.problem = OrderState.HELD, str(error)
        finally:
            self._sending.pop(order.id, None)
            self._runs.pop(order.id, None)
        await self._save()
        self._tell()

    async def _send_managed(self, order: Order) -> None:
        source = self._session.dead_letters.source
        if source is None:
            raise ClusterError(tr("The Memphis layer is not there, which keeps these letters."))
        order.sent, order.problem = await source.resend(order.letters, order.group)
        order.state, order.letters = OrderState.DONE, []

    async def _send_own(self, order: Order) -> None:
        known = {letter.key: letter for letter in self._session.dead_letters.view.letters}
        letters = [known.get(letter.key, letter) for letter in order.letters]
        run = ResendRun(self._session, letters, self._options(order))
        self._runs[order.id] = run
        watching = asyncio.get_running_loop().create_task(self._watch(order, run))
        try:
            progress = await run.run()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            self._take_progress(order, run)
        failed = progress.fates[Fate.FAILED] + progress.fates[Fate.NO_SUBJECT]
        order.problem = progress.problem if failed else ""
        order.state, order.letters = OrderState.DONE, []

    def _options(self, order: Order) -> ResendOptions:
        options = order.options
        if order.consumer is None:
            return options
        subjects = sorted({one.original.subject for one in order.letters if one.original.subject})
        plan = plan_for(self._session.snapshot, *order.consumer, subjects)
        return ResendOptions(
            options.rate, options.cap, options.drop, options.subject, plan, options.stop_after
        )

    async def _watch(self, order: Order, run: ResendRun) -> None:
        """Write down what is left while it is being sent."""
        while True:
            await asyncio.sleep(_SAVE_SECONDS)  # a look at a counter
            self._take_progress(order, run)
            await self._save()
            self._tell()

    def _take_progress(self, order: Order, run: ResendRun) -> None:
        order.progress = run.progress
        order.sent = order.progress.sent
        order.letters = [letter for letter in order.letters if letter.key not in run.fates]

    # Keeping

    async def _save(self) -> None:
        """Write; a disk that is full stops nothing that is under way."""
        try:
            await self._write()
        except OSError as error:
            log.warning("what waits to be resent could not be written down: %s", error)

    async def _write(self) -> None:
        if self._path is None:
            return
        async with self._writing:
            records = [(order, list(order.letters), order.state) for order in self._orders if order.open]
            await asyncio.to_thread(_write, self._path, records)

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()


def later_path(folder: Path, profile_id: str) -> Path:
    """Return the file of what waits on a connection, below the data folder."""
    return folder / "resends" / f"{re.sub(r'[^A-Za-z0-9_-]', '_', profile_id)}.json"


def held_if_missed(order: Order, now: float) -> Order:
    """Hold an order of an earlier run that was interrupted, or whose time passed while nobody was there."""
    if order.state is OrderState.SENDING:
        order.state = OrderState.HELD
        order.problem = tr_count(
            "It was interrupted while it was sent. {count} of {total} are left. Of those, the last few may "
            "have been sent.",
            "It was interrupted while it was sent. {count} of {total} are left. Of those, the last few may "
            "have been sent.",
            len(order.letters),
            count=words.integer(len(order.letters)),
            total=words.integer(order.total),
        )
    elif order.state is OrderState.WAITING and order.due < now - GRACE:
        order.state = OrderState.HELD
        order.problem = tr("Its time passed while this connection was not open.")
    return order


# The file


def _write(path: Path, records: Sequence[tuple[Order, list[DeadLetter], OrderState]]) -> None:
    if not records:
        path.unlink(missing_ok=True)
        return
    values = {"version": _VERSION, "orders": [order_to_json(*record) for record in records]}
    write_private(path, orjson.dumps(values).decode())


def _read(path: Path) -> list[Order]:
    try:
        values = orjson.loads(path.read_bytes())
        found = values["orders"]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("what waits to be resent in %s could not be read: %s", path, error)
        return []
    orders = []
    for one in found if isinstance(found, list) else []:
        try:
            orders.append(order_from_json(one))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            log.warning("a resend in %s could not be read and is left out: %s", path, error)
    return orders


def order_to_json(order: Order, letters: Sequence[DeadLetter], state: OrderState) -> dict[str, Any]:
    """Return an order as JSON values."""
    options = order.options
    return {
        "id": order.id,
        "made": order.made,
        "due": order.due,
        "state": state.name,
        "problem": order.problem,
        "total": order.total,
        "sent": order.sent,
        "group": order.group,
        "consumer": order.consumer,
        "rate": options.rate,
        "cap": options.cap,
        "drop": options.drop,
        "subject": options.subject,
        "stop_after": options.stop_after,
        "letters": [_letter_to_json(letter) for letter in letters],
    }


def order_from_json(values: Mapping[str, Any]) -> Order:
    """Return the order in `values`; raises ValueError, KeyError or TypeError when there is none."""
    consumer = values.get("consumer")
    rate, cap, stop_after = (values.get(name) for name in ("rate", "cap", "stop_after"))
    return Order(
        letters=[_letter_from_json(one) for one in values["letters"]],
        due=float(values["due"]),
        options=ResendOptions(
            rate=None if rate is None else max(0.001, float(rate)),
            cap=None if cap is None else int(cap),
            drop=bool(values["drop"]),
            subject=str(values.get("subject") or ""),
            stop_after=None if stop_after is None else int(stop_after),
        ),
        consumer=(str(consumer[0]), str(consumer[1])) if consumer else None,
        group=str(values.get("group") or ""),
        total=int(values["total"]),
        made=float(values["made"]),
        state=OrderState[str(values["state"])],
        problem=str(values.get("problem") or ""),
        sent=int(values.get("sent") or 0),
        id=str(values["id"]),
    )


def _letter_to_json(letter: DeadLetter) -> dict[str, Any]:
    values = {
        "kind": letter.kind.name,
        "stream": letter.stream,
        "sequence": letter.sequence,
        "consumer": letter.consumer,
        "reason": letter.reason,
        "first_ns": letter.first_ns,
        "failed_ns": letter.failed_ns,
        "records": letter.records,
        "resent": [
            [one.time_ns, one.attempt, one.subject, one.stream, one.sequence] for one in letter.resent
        ],
        "home": letter.home,
        "home_subject": letter.home_subject,
        "external": letter.external,
        "groups": letter.groups,
        "subject": letter.original.subject,
        "time_ns": letter.original.time_ns,
        "attempt": letter.original.attempt,
    }
    return {key: value for key, value in values.items() if value}


def _letter_from_json(values: Mapping[str, Any]) -> DeadLetter:
    time_ns = values.get("time_ns")
    presence = Presence.THERE if time_ns else Presence.UNREAD
    return DeadLetter(
        kind=LetterKind[str(values["kind"])],
        stream=str(values.get("stream") or ""),
        sequence=int(values.get("sequence") or 0),
        consumer=str(values.get("consumer") or ""),
        deliveries=None,
        reason=str(values.get("reason") or ""),
        first_ns=int(values.get("first_ns") or 0),
        failed_ns=int(values.get("failed_ns") or 0),
        records=tuple(int(one) for one in values.get("records") or ()),
        resent=tuple(
            Resent(int(at), int(attempt), str(subject), str(stream), int(sequence))
            for at, attempt, subject, stream, sequence in values.get("resent") or ()
        ),
        original=Original(
            presence,
            subject=str(values.get("subject") or ""),
            time_ns=int(time_ns) if time_ns else None,
            attempt=int(values.get("attempt") or 0),
        ),
        home=str(values.get("home") or ""),
        home_subject=str(values.get("home_subject") or ""),
        external=int(values.get("external") or 0),
        groups=tuple(str(one) for one in values.get("groups") or ()),
    )


def keys_of(orders: Sequence[Order]) -> set[LetterKey]:
    """Return the keys of all letters that are still to be sent."""
    return {letter.key for order in orders if order.open for letter in order.letters}
