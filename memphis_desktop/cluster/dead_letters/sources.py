"""Dead letters that somebody else keeps, such as the Memphis layer: what the engine asks of such a keeper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from memphis_desktop.inspect.message import InspectedMessage

from .journey import Step
from .letters import DeadLetter, Note


class LetterSource(Protocol):
    """Keeps dead letters with their messages, and hears every advisory itself."""

    @property
    def available(self) -> bool:
        """Whether this connection has it; advisories need not be captured then."""

    def use(self) -> Callable[[], None]:
        """Follow its letters until the result is called."""

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` when the letters are others; the result ends it."""

    def letters(self) -> Sequence[DeadLetter]:
        """Return the letters; their `external` is not zero."""

    async def message_of(self, letter: DeadLetter) -> InspectedMessage | None:
        """Return a letter's message, None when it is gone; raises ReadError."""

    async def drop(self, letters: Sequence[DeadLetter]) -> int:
        """Drop letters; returns how many. Raises `ClusterError`."""

    async def resend(self, letters: Sequence[DeadLetter], group: str) -> tuple[int, str]:
        """Send letters again, to one group or (empty) all that gave them up.

        Returns how many were sent, and why the others were not. Raises `ClusterError`.
        """

    async def write_note(self, letters: Sequence[DeadLetter], note: Note) -> None:
        """Keep a note with letters, for everybody to see. Raises `ClusterError`."""

    def journey(self, letter: DeadLetter) -> list[Step]:
        """Return the way of a letter's message."""
