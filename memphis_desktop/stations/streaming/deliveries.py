"""Which subscriber gets a message, and what is out unacknowledged: the book of one JetStream consumer.

A plain or durable subscription is a consumer with one member; a queue group is one with many. JetStream does
the waiting and the redelivery: it holds back when as many messages are out as all members may have together,
and sends a message again when its ack wait is over. This book decides among the members. Pure bookkeeping,
the time is an argument.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

_FORGOTTEN = 120.0
"""Seconds past its ack wait after which a message that JetStream did not send again is no longer expected."""


@dataclass(slots=True)
class Member:
    """One subscription.

    Attributes:
        id: The subscription's id, unique for the cluster id.
        ack_wait: Seconds this member has for an acknowledgement.
        silent: Whether its client misses heartbeats at present.
        out: The unacknowledged messages it has: when each is overdue, the oldest delivery first.
    """

    id: str
    client_id: str
    channel: str
    inbox: str
    max_in_flight: int
    ack_wait: float
    silent: bool = False
    out: dict[int, float] = field(default_factory=dict)

    @property
    def stalled(self) -> bool:
        """Whether it has as many unacknowledged messages as it wants."""
        return len(self.out) >= self.max_in_flight


class Deliveries:
    """The members of one consumer and the messages that are out."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self._replies: dict[int, tuple[Member, str]] = {}

    def __len__(self) -> int:
        return len(self._replies)

    @property
    def capacity(self) -> int:
        """How many messages may be out at a time, over all members."""
        return sum(member.max_in_flight for member in self.members.values())

    @property
    def ack_wait(self) -> float:
        """The longest ack wait of a member is the consumer's; members with less are `overdue` earlier."""
        return max((member.ack_wait for member in self.members.values()), default=0.0)

    @property
    def listening(self) -> bool:
        """Whether a member is there whose client answers heartbeats."""
        return any(not member.silent for member in self.members.values())

    def join(self, member: Member) -> None:
        """Add a member."""
        self.members[member.id] = member

    def leave(self, member_id: str) -> list[str]:
        """Remove a member; return the ack subjects of what it still had, for others to get at once."""
        member = self.members.pop(member_id, None)
        if member is None:
            return []
        return [self._replies.pop(sequence)[1] for sequence in member.out if sequence in self._replies]

    def assign(self, sequence: int, reply: str, now: float) -> Member | None:
        """Choose who gets a message and note it as out.

        The member with the fewest unacknowledged messages gets it, among those that are not stalled or
        silent; when all are, the one that waited longest, for then JetStream sends it again. Redelivery to
        another member takes the message from the first.

        Args:
            sequence: Its sequence in the channel.
            reply: Its ack subject.
            now: The monotonic clock.

        Returns:
            The member, or None when there is none.
        """
        if not self.members:
            return None
        before = self._replies.get(sequence)
        if before is not None:
            before[0].out.pop(sequence, None)
        member = self._best()
        member.out[sequence] = now + member.ack_wait
        self._replies[sequence] = (member, reply)
        return member

    def _best(self) -> Member:
        members = self.members
        if len(members) == 1:
            return next(iter(members.values()))
        fit = [member for member in members.values() if not member.stalled and not member.silent]
        if fit:
            best = min(fit, key=lambda member: len(member.out))
        else:
            best = next((m for m in members.values() if not m.silent), next(iter(members.values())))
        members[best.id] = members.pop(best.id)  # to the end, so that equals take turns
        return best

    def acknowledge(self, sequence: int) -> str | None:
        """Take an acknowledgement, from whichever member; return the ack subject, None if it is not out."""
        entry = self._replies.pop(sequence, None)
        if entry is None:
            return None
        entry[0].out.pop(sequence, None)
        return entry[1]

    def overdue(self, now: float) -> list[str]:
        """Return ack subjects of messages to be sent again now, though the consumer's ack wait is longer.

        Messages that nobody will send again, since the stream no longer has them, are forgotten here.
        """
        longest = self.ack_wait
        replies = []
        for member in self.members.values():
            grace = _FORGOTTEN + longest if member.ack_wait >= longest else 0.0
            for sequence in _overdue(member, now - grace):
                del member.out[sequence]
                _, reply = self._replies.pop(sequence)
                if not grace:
                    replies.append(reply)
        return replies

    def forget(self) -> list[str]:
        """Take every message back; return their ack subjects."""
        replies = [reply for _, reply in self._replies.values()]
        self._replies.clear()
        for member in self.members.values():
            member.out.clear()
        return replies


def _overdue(member: Member, now: float) -> Iterable[int]:
    """Return the sequences that were due before `now`; the book is in the order of delivery."""
    found = []
    for sequence, due in member.out.items():
        if due > now:
            break
        found.append(sequence)
    return found
