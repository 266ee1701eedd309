"""The last message of each of many subjects, read without consuming anything.

Servers from 2.11 on answer for many subjects in one batch where the stream allows direct gets; elsewhere each
subject is one get, several of them under way at the same time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence

from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.reader import MessageReader, ReadingMethod

AT_ONCE = 100  # subjects of one batch; servers refuse more than 1,024
PARALLEL = 16
SUBJECT_BYTES = 48 << 10  # of the subjects named in one request


async def last_values(
    reader: MessageReader, subjects: Sequence[str]
) -> AsyncIterator[list[InspectedMessage]]:
    """Yield the last messages of literal subjects, some at a time; those without one are left out.

    Raises:
        ReadError: the server did not answer or refused.
    """
    left = list(subjects)
    while left:
        if reader.method is ReadingMethod.BATCH:
            part = _named_at_once(left)
            try:
                found, pending = await reader.last_of_each(part)
            except ReadError as error:
                if not reader.fall_back(error):
                    raise
                continue
            answered = {message.subject for message in found}
            # Large messages end a batch early; what it did not bring is asked for again.
            again = [subject for subject in part if subject not in answered] if pending and found else []
            left = [*again, *left[len(part) :]]
        else:
            part, left = left[:PARALLEL], left[PARALLEL:]
            answers = await asyncio.gather(*(reader.last_on(subject) for subject in part))
            found = [message for message in answers if message is not None]
        if found:
            yield found


def _named_at_once(subjects: Sequence[str]) -> list[str]:
    """As many of the subjects, from the first on, as one request may name."""
    part: list[str] = []
    size = 0
    for subject in subjects[:AT_ONCE]:
        size += len(json.dumps(subject)) + 1
        if part and size > SUBJECT_BYTES:
            break
        part.append(subject)
    return part
