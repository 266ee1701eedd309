"""Message tracing: a message says where to tell what the server does with it (nats-server 2.11).

``Nats-Trace-Dest`` names a subject. The event published there has the message's way in, its mapping, the
stream that stores it, the subscriptions it goes to, and why one of them does not get it. With
``Nats-Trace-Only`` nothing is delivered or stored.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from random import random
from typing import TYPE_CHECKING, Any

import cramjam

from memphis_desktop.broker.contracts import Subscriber
from memphis_desktop.broker.crossing import ServiceImport, StreamShadow
from memphis_desktop.broker.handlers import HandlerSubscription, Pending
from memphis_desktop.broker.jetstream.times import format_time
from memphis_desktop.broker.jetstream.typed_json import encode_json
from memphis_desktop.broker.options import AccountTrace
from memphis_desktop.broker.subscription import ClientSubscription
from memphis_desktop.protocol import headers, subjects
from memphis_desktop.protocol.message import Message

if TYPE_CHECKING:
    from memphis_desktop.broker.connection import ClientConnection

DESTINATION = b"Nats-Trace-Dest"
_MARK = b"\r\nNats-Trace-Dest:"
_PARENT = re.compile(rb"\r\ntraceparent:([^\r\n]*)", re.IGNORECASE)
_ONLY = b"Nats-Trace-Only"
_DISABLED = b"trace disabled"
_LEAST_HEADERS = len(b"NATS/1.0") + len(_MARK) + len(b"x\r\n\r\n")
_CLIENT = 0  # the kind of a connection, as events number them

_NO_ECHO = "Not delivered because of no echo"
_DENIED = "Not delivered because subscription denies this subject"


def is_traced(message: Message, trace: AccountTrace | None = None) -> bool:
    """Return whether a message asks to be traced, or its account has it traced by its ``traceparent``."""
    size = message[2]
    if size < _LEAST_HEADERS:
        return False
    return message[3].find(_MARK, 0, size) >= 0 or (trace is not None and _is_sampled(message[3][:size]))


def any_traced(messages: Sequence[Message], trace: AccountTrace | None = None) -> bool:
    """Return whether one of them asks to be traced, or its account has it traced by its ``traceparent``."""
    if trace is not None:
        return any(is_traced(message, trace) for message in messages)
    # Looking for the mark anywhere is cheap, and hardly ever finds it.
    marked = [_MARK in message[3] for message in messages]
    return True in marked and any(map(is_traced, messages))


def _is_sampled(block: bytes) -> bool:
    """Return whether a ``traceparent``, however it is written, says that its trace is sampled."""
    for value in _PARENT.findall(block):
        parts = value.strip().split(b"-")
        if len(parts) == 4 and len(parts[3]) == 2:
            try:
                if int(parts[3], 16) & 1:
                    return True
            except ValueError:
                continue
    return False


def publish_traced(message: Message, sender: ClientConnection, refusal: str = "") -> None:
    """Publish one message that asks to be traced, and tell about it.

    Args:
        message: as it was published.
        sender: who published it.
        refusal: why it may not be published at all.
    """
    subject, _, header_size, body = message
    block = body[:header_size]
    destination = headers.get(block, DESTINATION) or b""
    only = bool(destination) and (headers.get(block, _ONLY) or b"").lower() in (b"1", b"true", b"on")
    of_account = sender.account.options.trace
    if not destination and of_account is not None and random() * 100 < of_account.sampling:
        destination = of_account.destination.encode()
    if destination == _DISABLED or not subjects.is_literal(destination):
        if not only and not refusal:
            sender.account.publish_from((message,), sender)
        return
    if sender.permissions is not None and not sender.permissions.may_publish(destination):
        sender.send_error(f'Permissions Violation for Publish to "{_text(destination)}"')
        return
    trace = _Trace(message, sender, only=only)
    if refusal:
        trace.events[0]["error"] = refusal
    else:
        trace.follow(subject)
    trace.send(destination, headers.get(block, b"Accept-Encoding") or b"")


class _Trace:
    """What happens to one message."""

    def __init__(self, message: Message, sender: ClientConnection, *, only: bool) -> None:
        self._message = message
        self._sender = sender
        self._only = only
        self.events: list[dict[str, Any]] = []
        ingress: dict[str, Any] = {"kind": _CLIENT, "cid": sender.client_id}
        if sender.options.name:
            ingress["name"] = sender.options.name
        self._add("in", ingress | {"acc": sender.account.name, "subj": _text(message[0])})

    def _add(self, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        event = {"type": kind, "ts": format_time(self._sender.node.clock.time_ns())} | fields
        self.events.append(event)
        return event

    def follow(self, subject: bytes) -> None:
        """Route the message as any other, one subscription at a time, and note what becomes of it."""
        account, sender = self._sender.account, self._sender
        mapped = account.mapped(subject)
        if mapped != subject:
            self._add("sm", {"to": _text(mapped)})
        message = (mapped, *self._message[1:])
        route = account.router.route(mapped)
        taken = 0
        for subscription in route.members:
            taken += self._deliver(subscription, message)
        for group in route.groups:
            willing = [one for one in group if sender.echo or not one.belongs_to(sender)]
            if willing:
                taken += self._deliver(willing[int(random() * len(willing))], message)
        if not taken and not self._only and message[1] and sender.no_responders:
            sender.tell_no_responders(message)

    def _deliver(self, subscription: Subscriber, message: Message) -> int:
        """Hand the message to one subscription; return whether there was somebody to take it."""
        if isinstance(subscription, ClientSubscription):
            return self._deliver_to_client(subscription, message)
        if isinstance(subscription, HandlerSubscription):
            return self._deliver_to_handler(subscription, message)
        if isinstance(subscription, ServiceImport):
            to = {"from": _text(message[0]), "to": _text(subscription.target_of(message[0]))}
            self._add("si", {"acc": subscription.exporter_name} | to)
            # What the other account does with it is not told; it goes there untraced.
            return self._hand_over(subscription, _untraced(message))
        if isinstance(subscription, StreamShadow):
            original = subscription.original
            if isinstance(original, ClientSubscription):
                to_subject = subscription.mapping.apply(message[0])
                self._add("se", {"acc": original.connection.account.name, "to": _text(to_subject)})
        return self._hand_over(subscription, message)

    def _deliver_to_client(self, subscription: ClientSubscription, message: Message) -> int:
        connection = subscription.connection
        fields: dict[str, Any] = {"kind": _CLIENT, "cid": connection.client_id}
        if connection.options.name:
            fields["name"] = connection.options.name
        fields["sub"] = _text(subscription.pattern)
        if subscription.queue:
            fields["queue"] = _text(subscription.queue)
        event = self._add("eg", fields)
        if connection is self._sender and not self._sender.echo:
            event["error"] = _NO_ECHO
            return 0
        if subscription.denied and subjects.matches_any(subscription.denied, message[0]):
            event["error"] = _DENIED
            return 0
        return self._hand_over(subscription, message)

    def _deliver_to_handler(self, subscription: HandlerSubscription, message: Message) -> int:
        taker: Any = getattr(subscription.handler, "__self__", None)
        stream = getattr(taker, "traced_stream", None)
        if stream is None:
            return self._hand_over(subscription, message)
        event = self._add("js", {"stream": stream})
        if self._only:
            event["subject"] = _text(message[0])
            return 1
        taker.last_refusal = ""
        taken = self._hand_over(subscription, message)
        self._sender.node.turn.run()
        if taker.last_refusal:
            event["error"] = taker.last_refusal
        else:
            event["subject"] = _text(message[0])
        return taken

    def _hand_over(self, subscription: Subscriber, message: Message) -> int:
        if self._only:
            return 1
        pending = Pending(self._sender, self._sender.node.turn)
        taken = subscription.take([message], self._sender, pending) is not False
        pending.run()
        return taken

    def send(self, destination: bytes, encodings: bytes) -> None:
        """Publish the event, compressed if the message's headers ask for that."""
        sender = self._sender
        block, size = self._message[3][: self._message[2]], len(self._message[3])
        document = encode_json(
            {
                "server": sender.node.server_info(),
                "request": {"header": _as_map(block), "msgsize": size},
                "events": self.events,
            }
        )
        encodings = encodings.lower()
        head = b""
        if b"snappy" in encodings or b"s2" in encodings:
            document, head = bytes(cramjam.snappy.compress(document)), b"snappy"
        elif b"gzip" in encodings:
            packer = zlib.compressobj(wbits=31)
            document, head = packer.compress(document) + packer.flush(), b"gzip"
        if head:
            head = headers.encode([(b"Content-Encoding", head)])
        sender.account.publish((destination, b"", len(head), head + document))


def _untraced(message: Message) -> Message:
    """Return the message with its tracing turned off, for what other accounts do with it."""
    subject, reply, header_size, body = message
    block = headers.without(body[:header_size], (DESTINATION + b":",))
    block = headers.extend(block, [(DESTINATION, _DISABLED)])
    return subject, reply, len(block), block + body[header_size:]


def _as_map(block: bytes) -> dict[str, list[str]]:
    shown: dict[str, list[str]] = {}
    for line in block.split(headers.CRLF)[1:]:
        key, colon, value = line.partition(b":")
        value = value.strip(b" \t")
        if colon and key and value:
            shown.setdefault(_text(key), []).append(_text(value))
    return dict(sorted(shown.items()))


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
