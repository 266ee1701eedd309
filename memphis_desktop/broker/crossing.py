"""What crosses between accounts: streams of messages and services, as exports and imports allow it.

A *stream import* puts a shadow of each matching subscription of the importing account into the exporting one,
so interest, queue groups and delivery are those of the real subscription. A *service import* stands in the
importing account as a responder; requests appear in the exporting account with a reply below ``_R_.``, and
the answers travel back.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from memphis_desktop.broker.contracts import Publisher, Subscriber
from memphis_desktop.broker.handlers import Pending
from memphis_desktop.broker.options import AccountOptions, Export, Import
from memphis_desktop.broker.routing import Watch
from memphis_desktop.broker.service_latency import LatencyTracker
from memphis_desktop.broker.subject_mapping import SubjectMapping, intersection
from memphis_desktop.broker.tokens import activates
from memphis_desktop.protocol import headers, subjects
from memphis_desktop.protocol.message import Message

if TYPE_CHECKING:
    from memphis_desktop.broker.accounts import Account

log = logging.getLogger(__name__)

_OWN_LINE = (headers.REQUEST_INFO + b":",)
REPLY_PREFIX = b"_R_."
# Requests that wait for their answer, per service import; beyond this the oldest are given up.
_MAX_WAITING = 100_000


class StreamShadow:
    """A subscription of the importing account, standing in the exporting one."""

    __slots__ = ("mapping", "order", "original", "pattern", "queue")

    def __init__(self, original: Subscriber, pattern: bytes, mapping: SubjectMapping) -> None:
        self.original = original
        self.pattern = pattern
        self.queue = original.queue
        self.mapping = mapping
        self.order = 0

    def belongs_to(self, sender: object) -> bool:
        """Return whether the real subscription is one of `sender`."""
        return self.original.belongs_to(sender)

    def backlog(self) -> int:
        """Return what waits for the real subscription's reader."""
        return self.original.backlog()

    def figures(self) -> tuple[bytes, int, int, int]:
        """Return the real subscription's figures."""
        return self.original.figures()

    def take(self, messages: list[Message], sender: Publisher | None, pending: Pending) -> None:
        """Hand the messages on under their subject in the importing account."""
        apply = self.mapping.apply
        pattern = self.original.pattern
        if pending.inbox:  # what a consumer delivers shows its own subject in every account
            if subjects.matches(pattern, apply(pending.inbox)):
                self.original.take(messages, sender, pending)
            return
        mapped = [(apply(one[0]), one[1], one[2], one[3]) for one in messages]
        mapped = [one for one in mapped if subjects.matches(pattern, one[0])]
        if mapped:
            self.original.take(mapped, sender, pending)


class StreamImport:
    """One stream import of an account."""

    def __init__(self, exporter: Account, imported: Import) -> None:
        self._exporter = exporter
        source = imported.subject.encode()
        local = (imported.to or imported.subject).encode()
        self._outward = SubjectMapping(source, local)  # from the exporting to the importing account
        self.local = _plain_pattern(source, local)
        self._inward = _inverse(source, local)
        self._shadows: dict[int, StreamShadow] = {}

    def subscribed(self, subscription: Subscriber) -> None:
        """A subscription was made in the importing account."""
        common = intersection(subscription.pattern, self.local)
        if common is None:
            return
        shadow = StreamShadow(subscription, self._inward(common), self._outward)
        self._shadows[id(subscription)] = shadow
        self._exporter.insert(shadow)

    def unsubscribed(self, subscription: Subscriber) -> None:
        """A subscription of the importing account ended."""
        shadow = self._shadows.pop(id(subscription), None)
        if shadow is not None:
            self._exporter.remove(shadow)

    def end(self) -> None:
        """Take all shadows away."""
        for shadow in self._shadows.values():
            self._exporter.remove(shadow)
        self._shadows.clear()


def _plain_pattern(source: bytes, local: bytes) -> bytes:
    """Return the importing side as a pattern: named wildcards are ``*``."""
    return b".".join([b"*" if token.startswith((b"$", b"{{")) else token for token in local.split(b".")])


def _inverse(source: bytes, local: bytes) -> Callable[[bytes], bytes]:
    """Return how a pattern of the importing side is written on the exporting side."""
    source_tokens, local_tokens = source.split(b"."), local.split(b".")
    places: list[int] = []  # for each wildcard of the source: where it stands in `local`
    stars = iter([index for index, token in enumerate(local_tokens) if token == b"*"])
    for number, _ in enumerate([token for token in source_tokens if token == b"*"], 1):
        named = [
            index
            for index, token in enumerate(local_tokens)
            if token in (b"$%d" % number, b"{{wildcard(%d)}}" % number)
        ]
        places.append(named[0] if named else next(stars, -1))

    def inverse(pattern: bytes) -> bytes:
        tokens = pattern.split(b".")
        found: list[bytes] = []
        wildcards = iter(places)
        for token in source_tokens:
            if token == b"*":
                place = next(wildcards)
                found.append(tokens[place] if 0 <= place < len(tokens) and tokens[place] != b">" else b"*")
            elif token == b">":
                tail = tokens[len(local_tokens) - 1 :]
                found += tail or [b">"]
            else:
                found.append(token)
        return b".".join(found)

    return inverse


class ServiceImport:
    """One service import: a responder in the importing account."""

    queue = b""
    # How many imports the request that is under way has come through already.
    _passed = 0

    def __init__(self, importer: Account, exporter: Account, imported: Import, export: Export) -> None:
        local = (imported.to or imported.subject).encode()
        self.pattern = _plain_pattern(imported.subject.encode(), local)
        self.order = 0
        self._importer = importer
        self._exporter = exporter
        self._export = export
        self._share = imported.share
        self._mapping = _service_mapping(local, imported.subject.encode())
        self._prefix = REPLY_PREFIX + secrets.token_hex(6).encode() + b"."
        self._waiting: dict[bytes, bytes] = {}  # our reply token: the requester's reply subject
        self._count = 0
        self._busy = False
        self._latency: LatencyTracker | None = None
        if export.latency is not None:
            self._latency = LatencyTracker(
                exporter, export.latency, threshold=export.response_threshold, detailed=imported.share
            )
        self._answers = exporter.subscribe(self._prefix + b"*", self._answered)
        exporter.services_asked[self._prefix] = self

    @property
    def exporter_name(self) -> str:
        """The account whose service this is."""
        return self._exporter.name

    def target_of(self, subject: bytes) -> bytes:
        """Return under which subject a request appears there."""
        return self._mapping.apply(subject)

    def belongs_to(self, sender: object) -> bool:
        """A service belongs to no connection."""
        return False

    def backlog(self) -> int:
        """Nothing waits for a service."""
        return 0

    def figures(self) -> tuple[bytes, int, int, int]:
        """A service has no sid and no connection."""
        return b"", 0, 0, 0

    def take(self, messages: list[Message], sender: Publisher | None, pending: Pending) -> bool:
        """Send requests on; returns False when nobody is there to answer them."""
        if self._busy:  # imports that lead in a circle
            return False
        self._busy = True
        try:
            return self._request(messages, sender)
        finally:
            self._busy = False

    def _request(self, messages: list[Message], sender: Publisher | None) -> bool:
        target = self._mapping.apply(messages[0][0])
        if not self._exporter.has_interest(target):
            if self._latency is not None:
                for _, _, header_size, body in messages:
                    self._latency.unavailable(body[:header_size], sender)
            return False
        requests: list[Message] = []
        for subject, reply, header_size, body in messages:
            block = self._introduced(body[:header_size], sender)
            token = self._await(reply)
            if self._latency is not None:
                self._latency.asked(token, body[:header_size], sender)
            body = block + body[header_size:]
            answer_to = self._prefix + token if token else b""
            requests.append((self._mapping.apply(subject), answer_to, len(block), body))
        ServiceImport._passed += 1
        try:
            self._exporter.publish_through(requests, sender)
        finally:
            ServiceImport._passed -= 1
        return True

    def _introduced(self, block: bytes, sender: Publisher | None) -> bytes:
        """Return a request's headers with who asks in them: its account, or all that is known of it.

        A request that has come through another import says that already; then the account in between is
        noted. What a client itself says there does not count.
        """
        known = headers.get(block, headers.REQUEST_INFO) if block and ServiceImport._passed else None
        info: dict[str, Any] | None = None
        if known is not None:
            try:
                info = orjson.loads(known) | {"svc": self._importer.name}
            except (ValueError, TypeError):
                info = None
        if info is None:
            if sender is None:
                return headers.without(block, _OWN_LINE) if block else block
            info = sender.request_info(detailed=self._share)
        if block:
            block = headers.without(block, _OWN_LINE)
        return headers.extend(block, [(headers.REQUEST_INFO, orjson.dumps(info))])

    def _await(self, reply: bytes) -> bytes:
        """Return the token that stands for the requester; b"" when no answer is wanted."""
        if not reply:
            return b""
        self._count += 1
        token = b"%d" % self._count
        self._waiting[token] = reply
        if len(self._waiting) > _MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]
        return token

    def _answered(self, messages: list[Message], sender: object) -> None:
        length = len(self._prefix)
        answers: list[Message] = []
        for subject, reply, header_size, body in messages:
            token = subject[length:]
            target = self._waiting.get(token)
            if target is None:
                continue
            last = self._export.response_type == "singleton" or (
                self._export.response_type == "chunked" and len(body) == header_size
            )
            asks = self._latency is not None or not last
            lost = asks and not self._importer.has_interest(target)
            if self._latency is not None:
                if lost:
                    self._latency.lost(token)
                else:
                    self._latency.answered(token, sender)
            if last or lost:
                del self._waiting[token]
            answers.append((target, reply, header_size, body))
        if answers:
            self._importer.publish_many(answers)

    # Answers that keep their own subject, as those of consumers do: what `reply` stands for is asked here.
    def _target(self, reply: bytes) -> bytes:
        return self._waiting.get(reply[len(self._prefix) :], b"")

    def deliver(self, reply: bytes, messages: Sequence[Message]) -> bool:
        """Deliver messages to the requester that `reply` stands for; a status shows their own inbox."""
        target = self._target(reply)
        if target:
            messages = [(target, *message[1:]) if message[0] == reply else message for message in messages]
        if not target or not self._importer.deliver(target, messages):
            self._waiting.pop(reply[len(self._prefix) :], None)
            return False
        if self._export.response_type == "singleton":
            del self._waiting[reply[len(self._prefix) :]]
        return True

    def is_awaited(self, reply: bytes) -> bool:
        """Return whether the requester still listens."""
        target = self._target(reply)
        return bool(target) and self._importer.has_interest(target)

    def backlog_of(self, reply: bytes) -> int:
        """Return the bytes that wait for the requester."""
        return self._importer.backlog(self._target(reply))

    def watch(self, reply: bytes, changed: Callable[[bool], None]) -> Watch | None:
        """Watch the requester's interest; None when nobody waits for this answer."""
        target = self._target(reply)
        return self._importer.watch_interest(target, changed) if target else None

    def end(self) -> None:
        """Answer nothing any more."""
        if self._latency is not None:
            self._latency.end()
        self._exporter.services_asked.pop(self._prefix, None)
        self._exporter.unsubscribe(self._answers)
        self._waiting.clear()


def _service_mapping(local: bytes, remote: bytes) -> SubjectMapping:
    """Return the way from the importing to the exporting side of a service."""
    if b"$" in local:  # the local side reorders the wildcards of the remote one
        inverse = _inverse(remote, local)
        return _Callable(_plain_pattern(remote, local), remote, inverse)
    return SubjectMapping(local, remote)


class _Callable(SubjectMapping):
    """A mapping by function."""

    def __init__(self, source: bytes, destination: bytes, function: Callable[[bytes], bytes]) -> None:
        super().__init__(source, source)
        self.destination = destination
        self._function = function

    def apply(self, subject: bytes) -> bytes:
        """Rewrite a subject that matches the source."""
        return self._function(subject)


def allowed_export(exporter: AccountOptions, imported: Import, importer: str) -> Export | None:
    """Return the export that permits an import; None when there is none."""
    subject = imported.subject.encode()
    for export in exporter.exports:
        if export.kind != imported.kind or not subjects.is_subset(subject, export.subject.encode()):
            continue
        position = export.account_token_position
        if position > 0:
            tokens = imported.subject.split(".")
            if len(tokens) < position or tokens[position - 1] != importer:
                continue
        elif export.accounts and importer not in export.accounts:
            continue
        if export.token_required and not activates(exporter, export, imported, importer, time.time()):
            continue
        return export
    return None


class Crossings:
    """All imports of one account."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.streams: list[StreamImport] = []
        self._services: list[ServiceImport] = []

    def connect(self, imports: tuple[Import, ...], find_account: Callable[[str], Account | None]) -> None:
        """Replace the imports; one that its exporter does not permit is logged and left out."""
        self.end()
        account = self._account
        for imported in imports:
            exporter = find_account(imported.account)
            export = allowed_export(exporter.options, imported, account.name) if exporter else None
            if exporter is None or export is None or exporter is account:
                log.warning(
                    "Account %s may not import %r from %s", account.name, imported.subject, imported.account
                )
                continue
            try:
                if imported.kind == "stream":
                    self._add_stream(StreamImport(exporter, imported))
                else:
                    service = ServiceImport(account, exporter, imported, export)
                    self._services.append(service)
                    account.insert(service)
            except ValueError as error:
                log.warning("Account %s cannot import %r: %s", account.name, imported.subject, error)

    def _add_stream(self, stream: StreamImport) -> None:
        self.streams.append(stream)
        for subscription in list(self._own_subscriptions()):
            stream.subscribed(subscription)

    def _own_subscriptions(self) -> Iterator[Subscriber]:
        return (one for one in self._account.router if not isinstance(one, (StreamShadow, ServiceImport)))

    def end(self) -> None:
        """Take all imports away."""
        for stream in self.streams:
            stream.end()
        for service in self._services:
            service.end()
            self._account.remove(service)
        self.streams, self._services = [], []

    def subscribed(self, subscription: Subscriber) -> None:
        """A subscription was made in the account."""
        if not isinstance(subscription, (StreamShadow, ServiceImport)):
            for stream in self.streams:
                stream.subscribed(subscription)

    def unsubscribed(self, subscription: Subscriber) -> None:
        """A subscription of the account ended."""
        for stream in self.streams:
            stream.unsubscribed(subscription)
