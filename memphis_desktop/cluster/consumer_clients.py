"""The clients of a push consumer: who subscribes to the subject that it delivers to.

Every account may ask the servers about its own connections (nats-server 2.10 and later). Of a pull consumer
servers tell only how many requests wait, and which client is pinned: a request leaves no subscription that
names the consumer.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import orjson
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from .clients.model import ClientRecord
from .clients.reading import connection, entries
from .model import ConsumerSnapshot

if TYPE_CHECKING:
    from .session import Session

_PING = "$SYS.REQ.SERVER.PING.CONNZ"
_FIRST_WITHIN = 2.0  # seconds for the first server's answer
_QUIET = 0.3  # seconds after the last answer in which another server's may come
MOST = 64  # clients that are told of


async def clients_of(session: Session, consumer: ConsumerSnapshot) -> tuple[ClientRecord, ...] | None:
    """Return the clients that messages are pushed to, by name; None where no server tells.

    Raises:
        NotConnected: There is no connection.
    """
    subject = str(consumer.config.get("deliver_subject") or "")
    if not subject:
        return None
    client = session.nats
    answers: asyncio.Queue[Msg] = asyncio.Queue()
    inbox = client.new_inbox()
    options = {"filter_subject": subject, "limit": MOST, "auth": True}
    found: dict[tuple[str, int], ClientRecord] = {}
    told = False
    try:
        subscription = await client.subscribe(inbox, cb=answers.put)
        try:
            await client.publish(_PING, orjson.dumps(options), reply=inbox)
            wait = _FIRST_WITHIN
            while True:
                message = await asyncio.wait_for(answers.get(), wait)
                if message.headers and message.headers.get("Status"):
                    break  # nobody answers
                told |= _take(message.data, found)
                wait = _QUIET
        except TimeoutError:
            pass
        finally:
            with contextlib.suppress(NatsError):
                await subscription.unsubscribe()
    except NatsError:
        return None
    records = sorted(found.values(), key=lambda record: (record.title, record.key))
    return tuple(records[:MOST]) if told else None


def _take(data: bytes, found: dict[tuple[str, int], ClientRecord]) -> bool:
    """Take one server's answer; whether it was one."""
    try:
        answer = orjson.loads(data)
        if "error" in answer:
            return False
        server = answer["server"]
        for told in entries(answer):
            record = connection(told, str(server["id"]), str(server["name"]), time.time_ns())
            found[record.key] = record
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        return False
    return True
