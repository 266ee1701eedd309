"""What a user may publish and subscribe to, told from the subject alone: which station it is about, and how.

The node's Memphis port and the front door enforce it for application users. Those without permissions of
their own may use everything but the layer's own streams; those with permissions only the stations these name.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from memphis_desktop.protocol import subjects
from memphis_desktop.stations.errors import Refusal
from memphis_desktop.stations.model import Permissions, User
from memphis_desktop.stations.names import external_name, station_of_stream

ROOT, MANAGEMENT, APPLICATION = "root", "management", "application"

MAX_PATTERN_LENGTH = 120
_MAX_DECISIONS = 4096
_PATTERN = re.compile(r"[a-z0-9_.*-]+")
_WILDCARD = re.compile(r"(?:\.?\*)+")

# The layer's own streams begin like this; what is in them is for the service and for those who manage.
_OWN_STREAMS = ("KV_memphis_", "$memphis")
_OWN_BUCKETS = (
    "stations",
    "producers",
    "consumers",
    "connections",
    "schemas",
    "users",
    "settings",
    "audit",
    "dead_letters",
    "dead_letter_payloads",
    "rest",
)
_OWN_SUBJECTS = (*(f"$KV.memphis_{name}.>".encode() for name in _OWN_BUCKETS), b"$memphis_manage.>")
# What SDKs ask the service for. Everything else that begins with $memphis is said by servers.
_REQUESTS = frozenset(
    f"$memphis_{name}"
    for name in (
        "station_creations",
        "station_destructions",
        "producer_creations",
        "producer_destructions",
        "consumer_creations",
        "consumer_destructions",
        "schema_creations",
        "schema_attachments",
        "schema_detachments",
        "notifications",
        "schemaverse_dls",
        "nacked_dls",
        "pm_acks",
    )
)
_USER_KEYS = ("username", "created_by_username")
_SCHEMA_UPDATES, _FUNCTION_UPDATES = "$memphis_schema_updates_", "$memphis_functions_updates_"
_DEAD_LETTERS, _CLIENT_UPDATES = "$memphis_dls_", "$memphis_sdk_clients_updates"
_PLAIN_REQUESTS = frozenset(("$JS.API.INFO", "$JS.API.STREAM.NAMES", "$SYS.REQ.USER.INFO"))
_ACK, _FLOW, _API, _KV = "$JS.ACK.", "$JS.FC.", "$JS.API.", "$KV."
_ACK_DOTS = 8  # of an acknowledgement without domain and account
_INBOX = "_INBOX."
_CREATES = ("CREATE", "UPDATE", "RESTORE")


def checked_pattern(pattern: str) -> str:
    """Return a pattern of station names in lower case; raises `Refusal` when it is none."""
    text = pattern.lower()
    if len(text) > MAX_PATTERN_LENGTH or _PATTERN.fullmatch(text) is None:
        raise Refusal(f"{pattern!r} is no name or pattern of stations")
    return text


def matches(pattern: str, name: str) -> bool:
    """Return whether a station's name fits: exactly, or with ``*`` (also ``.*``) for any run of characters.

    Takes time in proportion to both lengths, whatever they are.
    """
    parts = _WILDCARD.split(pattern)
    if len(parts) == 1:
        return pattern == name
    first, *middle, last = parts
    if len(name) < len(first) + len(last) or not (name.startswith(first) and name.endswith(last)):
        return False
    at, end = len(first), len(name) - len(last)
    for part in middle:
        at = name.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def may(permissions: Permissions | None, station: str, *, write: bool) -> bool:
    """Return whether permissions, or none, let a station be written or read. Denials win."""
    if permissions is None:
        return True
    allow = permissions.allow_write if write else permissions.allow_read
    deny = permissions.deny_write if write else permissions.deny_read
    return any(matches(one, station) for one in allow) and not any(matches(one, station) for one in deny)


class UserAccess:
    """What one connection's user may do. Implements `protocol.memphis.Access`.

    Attributes:
        limited: Whether there is anything this user may not do; others need not be asked about.
        revoked: The user is gone or has another password: the connection has to end with an error.
        outdated: The user's permissions have changed: the connection has to end, and may come back.
    """

    def __init__(self, user: User) -> None:
        self.user = user
        self.limited = user.type != ROOT
        self.revoked = False
        self.outdated = False
        self._publish: dict[bytes, bool] = {}
        self._acknowledge: dict[bytes, bool] = {}  # by stream
        self._stations: dict[tuple[str, bool], bool] = {}

    def follow(self, user: User | None) -> None:
        """Take note of what has become of the user."""
        if user is None or user.password_hash != self.user.password_hash or user.type == MANAGEMENT:
            self.revoked = True
        elif (user.permissions, user.type) != (self.user.permissions, self.user.type):
            self.outdated = True

    # -- publishing ------------------------------------------------------------------------------------------
    def may_publish(self, subject: bytes) -> bool:
        """Return whether something may be published to this literal subject."""
        if subject.startswith(b"$JS.ACK.") and subject.count(b".") <= _ACK_DOTS:  # no two are the same
            return self._may_acknowledge(subject[len(_ACK) :].partition(b".")[0])
        decision = self._publish.get(subject)
        if decision is None:
            decision = self._decide(subject.decode("utf-8", "surrogateescape"))
            if len(self._publish) >= _MAX_DECISIONS:
                self._publish.clear()
            self._publish[subject] = decision
        return decision

    def _may_acknowledge(self, stream: bytes) -> bool:
        decision = self._acknowledge.get(stream)
        if decision is None:
            decision = self._decide(f"{_ACK}{stream.decode('utf-8', 'surrogateescape')}.")
            if len(self._acknowledge) >= _MAX_DECISIONS:
                self._acknowledge.clear()
            self._acknowledge[stream] = decision
        return decision

    def may_receive(self, reply: bytes) -> bool:
        """Return whether answers may be sent to this reply subject: else others could be made to write."""
        return not reply or reply.startswith(b"_INBOX.") or self.may_publish(reply)

    def _decide(self, subject: str) -> bool:
        if not self.limited or subject.startswith(_INBOX):
            return True
        if not subject.startswith("$"):
            return self._may(subject.partition(".")[0], write=True)
        if subject.startswith("$memphis_"):
            return subject in _REQUESTS
        if subject in _PLAIN_REQUESTS:
            return True
        if subject.startswith(_API):
            return self._may_ask(subject.split(".")[2:])
        if subject.startswith((_ACK, _FLOW)):
            tokens = subject.split(".")
            # With domain and account before the stream there are more tokens than the usual nine.
            return self._may(tokens[4 if len(tokens) > 9 else 2], write=False)
        if self.user.permissions is not None:
            return False
        return not subject.startswith(f"{_KV}memphis_")

    def _may_ask(self, request: list[str]) -> bool:
        """Return whether this request of the JetStream API may be sent (its tokens after ``$JS.API``)."""
        kind, operation = request[0], request[1] if len(request) > 1 else ""
        stream = _stream_of(request)
        if stream.startswith(_OWN_STREAMS):
            return False
        if kind in ("CONSUMER", "DIRECT") or (
            kind == "STREAM" and operation == "MSG" and request[2:3] == ["GET"]
        ):
            return bool(stream) and self._may(stream, write=False)
        if kind == "STREAM" and operation == "INFO":
            return self._may(stream, write=False) or self._may(stream, write=True)
        return self.user.permissions is None

    def may_send(self, subject: bytes, content: bytes) -> bool:
        """Return whether a request with this content may be sent to a subject that `may_publish` allows."""
        if not self.limited:
            return True
        if subject.startswith(b"$memphis_"):
            return self._speaks_for_itself(content)
        if b"KV_memphis_" in content or b"$memphis" in content:
            return False  # a mirror, a source or a republication of what is not for this user
        if self.user.permissions is None or b"deliver_subject" not in content:
            return True
        # A push consumer publishes in the server's name.
        target = _find(_parsed(content), "deliver_subject")
        return isinstance(target, str) and target.startswith(_INBOX)

    def _speaks_for_itself(self, content: bytes) -> bool:
        document = _parsed(content)
        if not isinstance(document, dict):
            return True  # the service tells what is wrong with it
        for key, value in document.items():
            if isinstance(key, str) and key.lower() in _USER_KEYS and isinstance(value, str):
                name = value.partition("$")[0].lower()
                if name and name != self.user.name:
                    return False
        return True

    # -- subscribing -----------------------------------------------------------------------------------------
    def may_subscribe(self, pattern: bytes) -> bool:
        """Return whether this may be subscribed to."""
        if not self.limited:
            return True
        text = pattern.decode("utf-8", "surrogateescape")
        if text.startswith((_INBOX, _CLIENT_UPDATES)):
            return True
        if any(subjects.is_subset(pattern, own) for own in _OWN_SUBJECTS):
            return False
        for prefix in (_SCHEMA_UPDATES, _FUNCTION_UPDATES):
            if text.startswith(prefix):
                station = external_name(text.removeprefix(prefix))
                return self._may_station(station, write=False) or self._may_station(station, write=True)
        if text.startswith(_DEAD_LETTERS):
            station = external_name(text.removeprefix(_DEAD_LETTERS).partition(".")[0])
            return self._may_station(station, write=False)
        if self.user.permissions is None:
            return True
        first = text.partition(".")[0]
        return not first.startswith(("*", ">", "$")) and self._may(first, write=False)

    def denied_inside(self, pattern: bytes) -> tuple[bytes, ...]:
        """Return patterns whose messages an allowed subscription must not get."""
        if not self.limited or not subjects.has_wildcards(pattern):
            return ()
        return tuple([own for own in _OWN_SUBJECTS if subjects.overlaps(own, pattern)])

    # -- stations --------------------------------------------------------------------------------------------
    def _may(self, stream: str, *, write: bool) -> bool:
        return self._may_station(station_of_stream(stream)[0], write=write)

    def _may_station(self, station: str, *, write: bool) -> bool:
        key = (station, write)
        decision = self._stations.get(key)
        if decision is None:
            decision = may(self.user.permissions, station, write=write)
            if len(self._stations) >= _MAX_DECISIONS:
                self._stations.clear()
            self._stations[key] = decision
        return decision


def _stream_of(request: list[str]) -> str:
    """Return the stream that a request of the API names, "" when it names none there."""
    kind, rest = request[0], request[1:]
    if kind == "DIRECT":  # DIRECT.GET.<stream>…
        return rest[1] if len(rest) > 1 else ""
    if kind == "CONSUMER" and rest[:2] in (["MSG", "NEXT"], ["DURABLE", "CREATE"]):
        return rest[2] if len(rest) > 2 else ""
    if kind == "STREAM" and rest[:1] in (["MSG"], ["PEER"], ["LEADER"]):
        return rest[2] if len(rest) > 2 else ""
    return rest[1] if len(rest) > 1 else ""


def _parsed(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None


def _find(document: Any, key: str) -> Any:
    """Return what stands under a key at the top of a document or in its ``config``, whatever its case."""
    if not isinstance(document, dict):
        return None
    found = {str(name).lower(): value for name, value in document.items()}
    return found[key] if key in found else _find(found.get("config"), key)
