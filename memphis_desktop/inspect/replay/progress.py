"""How far a replay is, as a plain record."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class ReplayState(Enum):
    """Where a run stands."""

    READY = "ready"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"
    UNDONE = "undone"  # everything it stored was removed again
    INTERRUPTED = "interrupted"  # the program ended before the run did: it can be resumed

    @property
    def ended(self) -> bool:
        """Whether nothing more will be sent."""
        return self not in (ReplayState.READY, ReplayState.RUNNING, ReplayState.PAUSED)

    @property
    def resumable(self) -> bool:
        """Whether there may be messages left that a resumed run would send."""
        return self in (ReplayState.INTERRUPTED, ReplayState.CANCELLED, ReplayState.FAILED)


@dataclass(frozen=True, slots=True)
class ReplayProgress:
    """How far a run is. Counts are messages."""

    state: ReplayState
    total: int | None
    taken: int = 0
    sent: int = 0
    stored: int = 0
    duplicates: int = 0
    failed: int = 0
    left_out: int = 0  # by the filter
    sent_bytes: int = 0
    elapsed: float = 0.0
    rate: float = 0.0
    ack_seconds: float | None = None
    errors: tuple[tuple[str, int, str], ...] = ()  # kind, how many, a sample text
    reason: str = ""

    @property
    def settled(self) -> int:
        """Messages whose fate is known."""
        return self.stored + self.duplicates + self.failed + self.left_out

    @property
    def remaining_seconds(self) -> float | None:
        """Time left at the present rate, None when it cannot be told."""
        if self.total is None or self.rate <= 0 or self.state.ended:
            return None
        return max(0, self.total - self.settled) / self.rate
