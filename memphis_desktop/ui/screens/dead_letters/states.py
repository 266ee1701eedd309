"""What the page of dead letters says when there are none, or when not all of them can be known."""

from __future__ import annotations

import time

from memphis_desktop.cluster.dead_letters.capture import CaptureStatus, taken_subjects
from memphis_desktop.cluster.dead_letters.engine import DeadLetterView
from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.cluster.times import parse_time
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.screen import Action, ScreenContext
from memphis_desktop.ui.screens.dead_letters.actions import LetterActions

_WORTH_SAYING = 60.0  # seconds
_SERVICE_AWAY = tr(
    "No stations service answers: what fails now waits in the stream $memphis_events until one is back, and "
    "nothing can be resent or dropped meanwhile. Run `memphis-desktop stations --connect URL`."
)


def empty_state(
    context: ScreenContext, doing: LetterActions, view: DeadLetterView, station: str
) -> tuple[str, str, Action | None, str]:
    """Return the state of an empty list: its kind, a sentence, what can be done, and the icon."""
    book = context.session.dead_letters
    if view.problem:
        text = tr("The dead letters cannot be read: {problem}", problem=view.problem)
        return "error", text, (tr("Try again"), book.refresh), ""
    if view.loading or _waits_for_memphis(context):
        return "loading", "", None, ""
    if book.source is not None:
        kept = tr("Memphis keeps those of every station, also of plain consumers.")
        return "empty", f"{_none(station)} {kept}", None, "check-circle"
    if view.status.active:
        captured = tr(
            "Captured in {stream} since {time}.",
            stream=view.status.streams[0],
            time=_moment(context, view.status.since),
        )
        none = _none(station, _kept_seconds(context, view.status))
        return "empty", f"{none} {captured}", None, "check-circle"
    if unheard := _unheard(context.session.snapshot):
        return "error", f"{tr('Which messages fail is not known here.')} {unheard}", None, ""
    text = tr("No message failed since this connection was opened. What failed before is not known.")
    return "empty", text, _start(doing), "warning-octagon"


def _none(station: str, seconds: float | None = None) -> str:
    """That there are none, and over what time that is known."""
    if seconds is not None and seconds >= _WORTH_SAYING:
        span = figures.duration(round(seconds))
        if station:
            return tr("No dead letters of {station} in {span}.", station=station, span=span)
        return tr("No dead letters in {span}.", span=span)
    return tr("No dead letters in {station}.", station=station) if station else tr("No dead letters.")


def _moment(context: ScreenContext, written: str) -> str:
    """A time as the server wrote it, in the user's zone."""
    nanoseconds = parse_time(written)
    return figures.timestamp(nanoseconds, context.zone, digits=0) if nanoseconds is not None else written


def _kept_seconds(context: ScreenContext, status: CaptureStatus) -> float | None:
    """Over how many seconds what failed is captured: since it began, as long as it is kept."""
    began = parse_time(status.since)
    if began is None or not status.complete:
        return None
    seconds = time.time() - began / 1e9
    for name in status.streams:
        stream = context.session.snapshot.streams.get(name)
        kept = int((stream.config.get("max_age") if stream is not None else 0) or 0) / 1e9
        seconds = min(seconds, kept) if kept else seconds
    return seconds


def _unheard(snapshot: ClusterSnapshot) -> str:
    """Why advisories are not heard; empty when they are."""
    return snapshot.errors.get("advisories", "")


def _waits_for_memphis(context: ScreenContext) -> bool:
    memphis = context.memphis.view
    waits = not memphis.complete and not memphis.problem
    return context.session.dead_letters.source is not None and waits


def _start(doing: LetterActions) -> Action | None:
    return None if doing.refusal else (tr("Start capturing"), doing.start_capture)


def banner_for(
    context: ScreenContext,
    doing: LetterActions,
    status: CaptureStatus,
    snapshot: ClusterSnapshot,
    shown: bool,
) -> tuple[str, str, Action | None]:
    """Return what to say above the list: the kind, a sentence (empty for none), and what can be done.

    Args:
        context: Of the screen.
        doing: What can be done here.
        status: Whether dead letters are captured.
        snapshot: What is known of the connection.
        shown: Whether any letters are listed.
    """
    book = context.session.dead_letters
    if advisories := _unheard(snapshot):
        text = tr("This login hears no advisories, so failures are not seen: {reason}", reason=advisories)
        return "warning", text, None
    if book.view.problem and shown:
        text = tr("Not up to date: {problem}", problem=book.view.problem)
        return "warning", text, (tr("Try again"), book.refresh)
    if book.source is not None:
        if context.memphis.view.problem:
            return "warning", context.memphis.view.problem, None
        if context.memphis.view.service is False:
            return "warning", _SERVICE_AWAY, None
        return "information", "", None
    if not status.known or status.complete:
        return "information", "", None
    taken = taken_subjects(snapshot)
    if taken and status.terminated_stream is not None:
        names = ", ".join(sorted(set(taken.values())))
        text = tr(
            "{streams} takes advisories about the delivery limit as a queue: they are not kept here. Those "
            "heard while this window is open are listed.",
            streams=names,
        )
        return "information", text, None
    text = tr(
        "The server keeps no record of dead letters: only what fails while this connection is open is "
        "listed, and forgotten with it. Capture them in a small stream to keep them."
    )
    return "information", text + (f" {doing.refusal}" if doing.refusal else ""), _start(doing)
