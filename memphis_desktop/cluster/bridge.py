"""A bridge by which streams of a broker mirror or source streams of another server.

The broker asks for consumers below a prefix; the bridge makes them on the remote server, through the
connection of a profile, and hands on what they deliver. A stream's source names it like this::

    {"name": "ORDERS", "external": {"api": "NAME.API", "deliver": "NAME.DELIVER"}}

A client can not publish a message to one subject that shows another, so the bridge puts what it can not keep
into headers, which the broker takes out again. Flow control is answered when the broker has taken what came.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error

from memphis_desktop.cluster.connection import GuardedClient
from memphis_desktop.cluster.failures import ReadOnlyConnection

log = logging.getLogger(__name__)

_PREFIX = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_REQUEST_TIMEOUT = 5.0
_NO_RESPONDER = {"code": 503, "err_code": 10008, "description": "JetStream system temporarily unavailable"}

RawHandler = Callable[[bytes, bytes, bytes, bytes], Awaitable[None]]


def valid_prefix(prefix: str) -> bool:
    """Return whether a bridge may be called so: literal tokens, and none of the server's own subjects."""
    return _PREFIX.fullmatch(prefix) is not None


class RemoteClient(GuardedClient):
    """A client some of whose subscriptions get messages as they are on the wire, headers unparsed."""

    def __init__(self) -> None:
        super().__init__()
        self._raw: dict[int, RawHandler] = {}

    async def subscribe_raw(self, subject: str, handler: RawHandler) -> int:
        """Subscribe; `handler` gets subject, reply, header block, payload. Returns the subscription's id."""
        subscription = await self.subscribe(subject, cb=_unused)
        self._raw[subscription._id] = handler
        return int(subscription._id)

    async def unsubscribe_raw(self, sid: int) -> None:
        """End such a subscription."""
        self._raw.pop(sid, None)
        subscription = self._subs.get(sid)
        if subscription is not None:
            await subscription.unsubscribe()

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        handler = self._raw.get(sid)
        if handler is None:
            await super()._process_msg(sid, subject, reply, data, headers)
        else:
            await handler(bytes(subject), bytes(reply or b""), bytes(headers or b""), bytes(data))


async def _unused(message: Msg) -> None:
    """Messages of raw subscriptions never get here."""


async def publish_raw(client: Client, subject: str, header: bytes, payload: bytes) -> None:
    """Publish a header block as it is."""
    line = b"HPUB %b %d %d\r\n" % (subject.encode(), len(header), len(header) + len(payload))
    await client._send_command(line + header + payload + b"\r\n")
    await client._flush_pending()


class Bridge:
    """Serves one prefix of a broker from one remote server."""

    def __init__(self, remote: RemoteClient, local: Client, prefix: str) -> None:
        """Prepare the bridge; both clients are connected.

        Args:
            remote: the server that has the origins.
            local: the broker that wants their messages.
            prefix: below which it asks.

        Raises:
            ValueError: the prefix is not one.
        """
        if not valid_prefix(prefix) or prefix.startswith(("$", "_")):
            raise ValueError(f"'{prefix}' is not a prefix: letters, digits, - and _ in one or more tokens")
        self._remote = remote
        self._local = local
        self._api = f"{prefix}.API"
        self._passages: dict[str, int] = {}  # consumer: the remote subscription
        self._subscriptions: list[Any] = []
        self._answers: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Serve from now on."""
        for subject, handler in (("CREATE", self._create), ("DELETE", self._delete)):
            pattern = f"{self._api}.CONSUMER.{subject}.>"
            self._subscriptions.append(await self._local.subscribe(pattern, cb=handler))
        await self._local.flush()

    async def stop(self) -> None:
        """Serve no more."""
        for subscription in self._subscriptions:
            await subscription.unsubscribe()
        self._subscriptions.clear()
        await self.forget()

    async def forget(self) -> None:
        """End all consumers: the broker has gone away, and will ask anew."""
        passages, self._passages = self._passages, {}
        for sid in passages.values():
            await self._remote.unsubscribe_raw(sid)

    # -- requests --------------------------------------------------------------------------------------------
    async def _create(self, message: Msg) -> None:
        try:
            body = json.loads(message.data)
            config = body["config"]
            name, deliver = str(config["name"]), str(config["deliver_subject"])
        except (ValueError, TypeError, KeyError):
            return
        inbox = self._remote.new_inbox()
        sid = await self._remote.subscribe_raw(inbox, self._passage(deliver))
        config["deliver_subject"] = inbox
        path = message.subject.removeprefix(self._api)
        try:
            subject = self._remote.api_prefix + path
            answer = await self._remote.request(subject, json.dumps(body).encode(), timeout=_REQUEST_TIMEOUT)
            data = answer.data
        except (Error, TimeoutError, ReadOnlyConnection) as error:
            log.warning("The remote server does not answer %s: %s", subject, error)
            data = json.dumps({"error": _NO_RESPONDER}).encode()
        if b'"error"' in data:
            await self._remote.unsubscribe_raw(sid)
        else:
            self._passages[name] = sid
        if message.reply:
            await self._local.publish(message.reply, data)

    async def _delete(self, message: Msg) -> None:
        sid = self._passages.pop(message.subject.rpartition(".")[2], None)
        if sid is not None:
            await self._remote.unsubscribe_raw(sid)

    # -- messages --------------------------------------------------------------------------------------------
    def _passage(self, deliver: str) -> RawHandler:
        async def passed(subject: bytes, reply: bytes, header: bytes, payload: bytes) -> None:
            if header.startswith(b"NATS/1.0 100"):
                for target in (reply, _value(header, b"Nats-Consumer-Stalled")):
                    if target:
                        self._answer_later(target.decode())
                last = _value(header, b"Nats-Last-Consumer")
                lines = b"Nats-Bridged-Status: 100\r\n"
                if last:
                    lines += b"Nats-Last-Consumer: %b\r\n" % last
                await publish_raw(self._local, deliver, b"NATS/1.0\r\n%b\r\n" % lines, b"")
                return
            block = header[:-2] if header else b"NATS/1.0\r\n"
            block += b"Nats-Bridged-Subject: %b\r\nNats-Bridged-Reply: %b\r\n\r\n" % (subject, reply)
            await publish_raw(self._local, deliver, block, payload)

        return passed

    def _answer_later(self, target: str) -> None:
        """Let the remote server go on when the broker has taken everything until here."""
        task = asyncio.create_task(self._answer(target))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _answer(self, target: str) -> None:
        try:
            await self._local.flush(timeout=30)
            await self._remote.publish(target, b"")
        except (Error, TimeoutError, OSError) as error:
            log.warning("Flow control could not be answered: %s", error)


def _value(header: bytes, key: bytes) -> bytes:
    found = re.search(rb"\r\n" + re.escape(key) + rb":[ \t]*([^\r]*)", header)
    return found[1].strip() if found else b""
