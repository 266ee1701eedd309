"""Asking the server itself whether a subscription is allowed: by making it, and ending it at once."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from memphis_desktop.cluster.connection import close_client, open_client
from memphis_desktop.cluster.failures import ApiError, RequestTimeout
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.language import tr
from memphis_desktop.protocol.subjects import is_valid

_VIOLATION = re.compile(r"permissions violation for subscription", re.IGNORECASE)
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Trial:
    """What the server said: whether the subscription is allowed, and its words when it is not."""

    allowed: bool
    words: str = ""


async def try_subscription(profile: ConnectionProfile, subject: str, queue: str = "") -> Trial:
    """Subscribe as the user of a profile on a connection of its own, and end it in the same breath.

    Subscription and end go out as one, so that no message of a queue group is taken from others.

    Raises:
        ConnectionFailure: There is no connection.
        RequestTimeout: The server does not answer.
        ApiError: This is no subject.
    """
    if not is_valid(subject.encode()) or (queue and not is_valid(queue.encode())):
        raise ApiError(400, 0, tr("this is no valid subject"), subject)
    errors: list[str] = []

    async def note(error: Exception) -> None:
        errors.append(str(error))

    async def nothing() -> None:
        return

    client = await open_client(
        profile,
        profile.credentials,
        on_error=note,
        on_disconnected=nothing,
        on_reconnected=nothing,
        on_closed=nothing,
    )
    try:
        words = " ".join(filter(None, ("SUB", subject, queue, "9")))
        await client._send_command(f"{words}\r\nUNSUB 9\r\n".encode())
        for _ in range(2):  # the first PING may overtake what is still to be sent
            answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            await client._send_ping(answered)
            done, _ = await asyncio.wait({answered}, timeout=_PATIENCE)
            if not done:
                raise RequestTimeout(subject, _PATIENCE)
        await asyncio.sleep(0)  # errors are told in a task of their own
        refused = next((one for one in errors if _VIOLATION.search(one)), "")
        return Trial(not refused, refused.removeprefix("nats: "))
    finally:
        await close_client(client)
