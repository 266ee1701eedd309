"""What the page of dead letters says when there are none, or when not all of them can be known."""

from __future__ import annotations

from memphis_desktop.cluster.dead_letters.capture import CaptureStatus, taken_subjects
from memphis_desktop.cluster.dead_letters.engine import DeadLetterView
from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.ui.screen import Action, ScreenContext
from memphis_desktop.ui.screens.dead_letters.actions import LetterActions

_SERVICE_AWAY = (
    "No stations service answers: what fails now waits in the stream $memphis_events until one is back, and "
    "nothing can be resent or dropped meanwhile. Run `memphis-desktop stations --connect URL`."
)


def empty_state(
    context: ScreenContext, doing: LetterActions, view: DeadLetterView, station: str
) -> tuple[str, str, Action | None, str]:
    """Return the state of an empty list: its kind, a sentence, what can be done, and the icon."""
    book = context.session.dead_letters
    where = f" in {station}" if station else ""
    if view.problem:
        text = f"The dead letters cannot be read: {view.problem}"
        return "error", text, ("Try again", book.refresh), ""
    if view.loading or _waits_for_memphis(context):
        return "loading", "", None, ""
    if book.source is not None:
        text = f"No dead letters{where}. Memphis keeps those of every station, also of plain consumers."
        return "empty", text, None, "check-circle"
    if view.status.active:
        since = f" Captured in {view.status.streams[0]} since {view.status.since[:16].replace('T', ' ')}."
        return "empty", f"No dead letters{where}.{since}", None, "check-circle"
    if unheard := _unheard(context.session.snapshot):
        return "error", f"Which messages fail is not known here. {unheard}", None, ""
    text = "No message failed since this connection was opened. What failed before is not known."
    return "empty", text, _start(doing), "warning-octagon"


def _unheard(snapshot: ClusterSnapshot) -> str:
    """Why advisories are not heard; empty when they are."""
    return snapshot.errors.get("advisories", "")


def _waits_for_memphis(context: ScreenContext) -> bool:
    memphis = context.memphis.view
    waits = not memphis.complete and not memphis.problem
    return context.session.dead_letters.source is not None and waits


def _start(doing: LetterActions) -> Action | None:
    return None if doing.refusal else ("Start capturing", doing.start_capture)


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
        return "warning", f"This login hears no advisories, so failures are not seen: {advisories}", None
    if book.view.problem and shown:
        return "warning", f"Not up to date: {book.view.problem}", ("Try again", book.refresh)
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
        text = f"{names} takes advisories about the delivery limit as a queue: they are not kept here. "
        return "information", text + "Those heard while this window is open are listed.", None
    text = (
        "The server keeps no record of dead letters: only what fails while this connection is open is "
        "listed, and forgotten with it. Capture them in a small stream to keep them."
    )
    return "information", text + (f" {doing.refusal}" if doing.refusal else ""), _start(doing)
