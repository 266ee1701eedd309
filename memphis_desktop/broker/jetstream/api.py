"""The ``$JS.API`` of one account: finds the handler of a request and sends its answer (2.1, 2.2)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from memphis_desktop.broker.jetstream import consumer_requests, message_requests, stream_requests
from memphis_desktop.broker.jetstream.api_request import ApiRequest, Handler
from memphis_desktop.broker.jetstream.direct_get import level_refused
from memphis_desktop.broker.jetstream.errors import BAD_REQUEST, NOT_ENABLED_FOR_ACCOUNT, ApiError
from memphis_desktop.broker.jetstream.typed_json import encode_json

if TYPE_CHECKING:
    from memphis_desktop.broker.contracts import Account, Client, Subscription
    from memphis_desktop.broker.jetstream.account import AccountStreams
    from memphis_desktop.protocol.message import Message

_log = logging.getLogger(__name__)

_TYPE = "io.nats.jetstream.api.v1."
_PREFIX = "$JS.API."
# What is subscribed to. Consumers and direct gets have subjects of their own, so that a request to one that
# does not exist finds nobody; unknown subjects below these get no answer, as on the reference server.
_SUBSCRIBED = (
    b"$JS.API.INFO",
    b"$JS.API.STREAM.>",
    b"$JS.API.CONSUMER.CREATE.>",
    b"$JS.API.CONSUMER.DURABLE.>",
    b"$JS.API.CONSUMER.NAMES.>",
    b"$JS.API.CONSUMER.LIST.>",
    b"$JS.API.CONSUMER.INFO.>",
    b"$JS.API.CONSUMER.DELETE.>",
    b"$JS.API.CONSUMER.PAUSE.>",
    b"$JS.API.CONSUMER.UNPIN.>",
    b"$JS.API.CONSUMER.RESET.>",
    b"$JS.API.CONSUMER.LEADER.>",
    b"$JS.API.CONSUMER.PEER.>",
    b"$JS.API.META.>",
    b"$JS.API.SERVER.>",
    b"$JS.API.ACCOUNT.>",
)


class _Endpoint(NamedTuple):
    """What answers requests of one kind, and how many tokens follow its words (at least, at most)."""

    answer: str
    handler: Handler
    least: int = 1
    most: int = 1


def _clustered_only(request: ApiRequest) -> dict[str, Any]:
    raise ApiError(10010)


_ENDPOINTS: dict[str, _Endpoint] = {
    "INFO": _Endpoint("account_info", stream_requests.account_info, 0, 0),
    "STREAM.CREATE": _Endpoint("stream_create", stream_requests.create),
    "STREAM.UPDATE": _Endpoint("stream_update", stream_requests.update),
    "STREAM.INFO": _Endpoint("stream_info", stream_requests.info),
    "STREAM.NAMES": _Endpoint("stream_names", stream_requests.names, 0, 0),
    "STREAM.LIST": _Endpoint("stream_list", stream_requests.list_streams, 0, 0),
    "STREAM.DELETE": _Endpoint("stream_delete", stream_requests.delete),
    "STREAM.PURGE": _Endpoint("stream_purge", stream_requests.purge),
    "STREAM.SNAPSHOT": _Endpoint("stream_snapshot", stream_requests.snapshot),
    "STREAM.RESTORE": _Endpoint("stream_restore", stream_requests.restore),
    "STREAM.MSG.GET": _Endpoint("stream_msg_get", message_requests.get),
    "STREAM.MSG.DELETE": _Endpoint("stream_msg_delete", message_requests.delete),
    "STREAM.LEADER.STEPDOWN": _Endpoint("stream_leader_stepdown", _clustered_only),
    "STREAM.PEER.REMOVE": _Endpoint("stream_remove_peer", _clustered_only),
    "STREAM.PEER.EVACUATE": _Endpoint("stream_evacuate_peer", _clustered_only),
    "STREAM.CANCEL_MOVE": _Endpoint("stream_cancel_move", _clustered_only),
    "CONSUMER.CREATE": _Endpoint("consumer_create", consumer_requests.create, 1, 1 << 30),
    "CONSUMER.DURABLE.CREATE": _Endpoint("consumer_create", consumer_requests.create_durable, 2, 2),
    "CONSUMER.NAMES": _Endpoint("consumer_names", consumer_requests.names),
    "CONSUMER.LIST": _Endpoint("consumer_list", consumer_requests.list_consumers),
    "CONSUMER.INFO": _Endpoint("consumer_info", consumer_requests.info, 2, 2),
    "CONSUMER.DELETE": _Endpoint("consumer_delete", consumer_requests.delete, 2, 2),
    "CONSUMER.PAUSE": _Endpoint("consumer_pause", consumer_requests.pause, 2, 2),
    "CONSUMER.UNPIN": _Endpoint("consumer_unpin", consumer_requests.unpin, 2, 2),
    "CONSUMER.LEADER.STEPDOWN": _Endpoint("consumer_leader_stepdown", _clustered_only, 2, 2),
    "CONSUMER.PEER.REMOVE": _Endpoint("consumer_remove_peer", _clustered_only, 2, 2),
    "CONSUMER.PEER.EVACUATE": _Endpoint("consumer_evacuate_peer", _clustered_only, 2, 2),
}

# Fields that paged answers have even when they are errors.
_PAGE = {"total": 0, "offset": 0, "limit": 0}
_ERROR_FIELDS: dict[str, dict[str, Any]] = {
    "stream_names": {**_PAGE, "streams": None},
    "stream_list": {**_PAGE, "streams": []},
    "stream_info": _PAGE,
    "consumer_names": {**_PAGE, "consumers": []},
    "consumer_list": {**_PAGE, "consumers": []},
    "stream_purge": {"purged": 0},
    "stream_restore": {"deliver_subject": ""},
    "consumer_pause": {"paused": False, "pause_until": "0001-01-01T00:00:00Z"},
}


class Api:
    """Serves the API of one account.

    Attributes:
        requests: how many were answered.
        errors: how many of them with an error.
    """

    def __init__(self, streams: AccountStreams) -> None:
        self.requests = 0
        self.errors = 0
        self._streams = streams
        self._subscriptions: list[Subscription] = []

    def start(self) -> None:
        """Subscribe to the API's subjects."""
        handler = self._receive
        account = self._streams.account
        self._subscriptions = [account.subscribe(pattern, handler) for pattern in _SUBSCRIBED]
        if self._streams.domain:
            prefix = f"$JS.{self._streams.domain}.API.".encode()
            self._subscriptions.append(account.subscribe(prefix + b">", self._receive_for_domain))

    def stop(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._streams.account.unsubscribe(subscription)
        self._subscriptions.clear()

    def send(self, request: ApiRequest, subject: bytes, fields: dict[str, Any]) -> None:
        """Answer a request with `fields`, count it and tell the auditors."""
        self.requests += 1
        if "error" in fields:
            self.errors += 1
        answer = encode_json({"type": request.answer_type} | fields)
        if request.reply:
            self._streams.account.publish((request.reply, b"", 0, answer))
        self._streams.advisor.audit(
            lambda: {
                "server": self._streams.node.server_name,
                "client": request.client.describe() if request.client is not None else {},
                "subject": subject.decode("utf-8", "replace"),
                "request": request.body.decode("utf-8", "replace"),
                "response": answer.decode(),
            }
        )

    def _receive(self, messages: list[Message], sender: Client | None) -> None:
        for message in messages:
            self._serve(message, sender)

    def _receive_for_domain(self, messages: list[Message], sender: Client | None) -> None:
        """Hand on what was sent with the domain in the subject: requests, and publishes to buckets."""
        handed_on: list[Message] = []
        for subject, reply, header_size, body in messages:
            rest = subject.split(b".", 3)[3]
            if not rest.startswith((b"$KV.", b"$O.")):
                rest = b"$JS.API." + rest
            handed_on.append((rest, reply, header_size, body))
        self._streams.account.publish_many(handed_on)

    def _serve(self, message: Message, sender: Client | None) -> None:
        subject, reply, header_size, body = message
        found = _find(subject.decode("utf-8", "replace")[len(_PREFIX) :])
        if found is None:
            return
        endpoint, tokens = found
        answer_type = f"{_TYPE}{endpoint.answer}_response"
        request = ApiRequest(self._streams, tokens, body[header_size:], sender, answer_type, reply)
        request.respond = lambda fields: self.send(request, subject, fields)
        try:
            if header_size and level_refused(body[:header_size]):
                raise ApiError(10185)
            fields = endpoint.handler(request)
        except ApiError as error:
            fields = {"error": error.to_json()} | _ERROR_FIELDS.get(endpoint.answer, {})
        except Exception:
            # A request that finds a fault of ours must not take the connection, and all it carries, with it.
            _log.exception("The request %s failed: %r", subject, request.body[:1000])
            fields = {"error": ApiError(BAD_REQUEST).to_json()}
        if fields is not None:
            self.send(request, subject, fields)


class RefusedApi:
    """Answers every request of an account that has no JetStream, on a node where others have it."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._subscriptions = [account.subscribe(pattern, self._receive) for pattern in _SUBSCRIBED]

    def stop(self) -> None:
        """Unsubscribe: the account has JetStream now, or the node ends."""
        for subscription in self._subscriptions:
            self._account.unsubscribe(subscription)

    def _receive(self, messages: list[Message], sender: Client | None) -> None:
        error = {"error": ApiError(NOT_ENABLED_FOR_ACCOUNT).to_json()}
        for subject, reply, _, _ in messages:
            found = _find(subject.decode("utf-8", "replace")[len(_PREFIX) :])
            if found is not None and reply:
                kind = found[0].answer
                fields = {"type": f"{_TYPE}{kind}_response"} | error | _ERROR_FIELDS.get(kind, {})
                self._account.publish((reply, b"", 0, encode_json(fields)))


def _find(path: str) -> tuple[_Endpoint, list[str]] | None:
    """Return what serves a request and the tokens behind its words."""
    tokens = path.split(".")
    for words in (3, 2, 1):
        endpoint = _ENDPOINTS.get(".".join(tokens[:words]))
        if endpoint is not None:
            rest = tokens[words:]
            return (endpoint, rest) if endpoint.least <= len(rest) <= endpoint.most else None
    return None
