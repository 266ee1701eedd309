"""Message ids that were seen within a stream's duplicate window."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable


class MessageIds:
    """The ids of the window, with the sequence each was stored under.

    Ids are kept in the groups they came in too, so that forgetting looks at no single time.

    Attributes:
        window_ns: how long ids count; 0 for never.
        sequences: the sequence of the first message with each id; call `forget_old` before looking.
    """

    def __init__(self, window_ns: int) -> None:
        self.window_ns = window_ns
        self.sequences: dict[bytes, int] = {}
        self._groups: deque[tuple[int, dict[bytes, int]]] = deque()

    def __len__(self) -> int:
        return len(self.sequences)

    def remember(self, sequences: dict[bytes, int], time_ns: int) -> None:
        """Remember ids stored at `time_ns`. The dict becomes ours."""
        if self.window_ns > 0 and sequences:
            self.sequences |= sequences
            self._groups.append((time_ns, sequences))

    def load(self, stored: Iterable[tuple[bytes, int, int]]) -> None:
        """Take over what a store kept: (id, sequence, time), oldest first."""
        for message_id, sequence, time_ns in stored:
            if self._groups and self._groups[-1][0] == time_ns:
                self._groups[-1][1][message_id] = sequence
                self.sequences[message_id] = sequence
            else:
                self.remember({message_id: sequence}, time_ns)

    def forget_old(self, now_ns: int) -> None:
        """Forget what is older than the window."""
        groups = self._groups
        oldest = now_ns - self.window_ns
        while groups and groups[0][0] <= oldest:
            _, sequences = groups.popleft()
            known = self.sequences
            if not groups:
                known.clear()
                return
            for message_id, sequence in sequences.items():
                if known.get(message_id) == sequence:
                    del known[message_id]
