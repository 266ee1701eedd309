"""By what names stations for dead letters are known."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

DEFAULT_PATTERNS = ("*.dlq", "*-dlq", "*_dlq", "dlq-*", "dlq_*", "*dead-letter*", "*dead_letter*")
_BUCKETS = ("KV_", "OBJ_", "$")


def station_matches(name: str, subjects: Iterable[str], patterns: Iterable[str]) -> bool:
    """Whether a station is one for dead letters: its name or one of its subjects fits a pattern.

    Patterns are as in file names (``*.DLQ``, ``dead-*``); case does not count. Buckets are none.
    """
    if name.startswith(_BUCKETS):
        return False
    names = [name.casefold(), *(subject.casefold() for subject in subjects)]
    wanted = [pattern.strip().casefold() for pattern in patterns if pattern.strip()]
    return any(fnmatch.fnmatchcase(one, pattern) for pattern in wanted for one in names)
