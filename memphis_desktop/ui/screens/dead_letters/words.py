"""How a cause is said: the reason that was given, in its own words, else the kind of the letter in ours."""

from __future__ import annotations

from memphis_desktop.cluster.dead_letters.letters import LetterKind
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures

KINDS = {
    LetterKind.MAX_DELIVERIES: tr("delivery limit"),
    LetterKind.TERMINATED: tr("terminated"),
    LetterKind.STATION: tr("dead-letter station"),
    LetterKind.UNACKED: tr("unacknowledged"),
    LetterKind.SCHEMA: tr("schema violation"),
}
_BY_VALUE = {kind.value: words for kind, words in KINDS.items()}


def cause_text(cause: str, longest: int = 0) -> str:
    """Return a letter's or a group's cause, fit to show."""
    words = _BY_VALUE.get(cause, cause)
    return figures.visible_text(words, longest) if longest else figures.visible_text(words)
