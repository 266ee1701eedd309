"""What requests say: routes, fields, content types, headers and batches. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

MESSAGE_ID = "msg-id"
MAX_BATCH = 10_000
MAX_FETCH = 5_000

INVALID_FIELDS = (
    "Some of your fields are not valid it is usually because you are missing some fields or you are sending "
    "wrong data types, also please notice that account_id field should be sent as a number rather than a "
    "string"
)
UNSUPPORTED_TYPE = "unsupported content type"
UNSUPPORTED_REQUEST = "unsupported request"

_ROUTES = {
    ("POST", "auth", "authenticate"): "authenticate",
    ("POST", "auth", "refreshtoken"): "refresh",
    ("GET", "monitoring", "status"): "status",
}
_STATION_ROUTES = {
    ("produce", "single"): "produce_single",
    ("produce", "batch"): "produce_batch",
    ("consume", "batch"): "consume_batch",
}
OPEN_ROUTES = frozenset({"authenticate", "refresh", "status"})

# Request headers that are about the connection or the login do not become headers of a message, and those
# that a server acts on could make it do what the user may not.
_KEPT_BACK = frozenset({"authorization", "proxy-authorization", "cookie", MESSAGE_ID})
_KEPT_BACK_PREFIXES = ("nats-", "$memphis")


class BadRequest(Exception):
    """A request that cannot be met as it stands.

    Attributes:
        status: The HTTP status.
        document: The body of the answer: an object for JSON, a string for plain text.
    """

    def __init__(self, status: int, document: dict[str, Any] | str) -> None:
        super().__init__(str(document))
        self.status = status
        self.document = document


def failure(status: int, error: object) -> BadRequest:
    """Return a refusal in the manner of the station routes."""
    return BadRequest(status, {"success": False, "error": error})


@dataclass(frozen=True, slots=True)
class Route:
    """What a request is about: the name of its route, and the station where there is one."""

    name: str
    station: str = ""


def route_of(method: str, path: str) -> Route | None:
    """Return the route of a request; None for an unknown one. Letters' case and a last slash do not count."""
    parts = path.strip("/").split("/")
    lower = [part.lower() for part in parts]
    if len(parts) == 2:
        name = _ROUTES.get((method, *lower))  # type: ignore[arg-type]
        return Route(name) if name else None
    if len(parts) == 4 and lower[0] == "stations" and method == "POST":
        name = _STATION_ROUTES.get((lower[2], lower[3]))
        return Route(name, unquote(parts[1])) if name else None
    return None


def bearer_token(authorization: str | None, query: str) -> str:
    """Return the token of a request, from its header or ``?authorization=``; empty when there is none."""
    if authorization is None:
        return dict(parse_qsl(query)).get("authorization", "")
    parts = authorization.split(" ")
    return parts[1] if len(parts) == 2 else ""


def json_object(body: bytes) -> dict[str, Any]:
    """Return a body that is a JSON object; raises `ValueError`."""
    document = orjson.loads(body)
    if not isinstance(document, dict):
        raise ValueError("not an object")
    return document


@dataclass(frozen=True, slots=True)
class Login:
    """The body of a login."""

    username: str
    password: str
    connection_token: str
    account_id: int
    minutes: int
    refresh_minutes: int


def login_request(body: bytes, content_type: str, query: str) -> Login:
    """Return a login; raises `BadRequest` as Memphis tells it.

    The account may stand in the body, in the query, or behind the user's name.
    """
    fields = _fields(body, content_type)
    username = _text(fields, "username")
    account = _number(fields, "account_id")
    if not username:
        raise BadRequest(400, {"message": [{"field": "Username", "reason": "required"}]})
    if not account:
        digits = dict(parse_qsl(query)).get("accountId", "")
        if _is_number(digits):
            account = int(digits)
        elif "$" in username:
            username, _, digits = username.partition("$")
            account = int(digits) if _is_number(digits) else -1
    return Login(
        username.lower(),
        _text(fields, "password"),
        _text(fields, "connection_token"),
        account or 1,
        _number(fields, "token_expiry_in_minutes"),
        _number(fields, "refresh_token_expiry_in_minutes"),
    )


def _is_number(digits: str) -> bool:
    return digits.isascii() and digits.isdigit() and len(digits) < 16


@dataclass(frozen=True, slots=True)
class Refresh:
    """The body of a request for new tokens."""

    token: str
    minutes: int
    refresh_minutes: int


def refresh_request(body: bytes, content_type: str) -> Refresh:
    """Return a request for new tokens; raises `BadRequest` as Memphis tells it."""
    try:
        fields = _fields(body, content_type)
        request = Refresh(
            _text(fields, "jwt_refresh_token"),
            _number(fields, "token_expiry_in_minutes"),
            _number(fields, "refresh_token_expiry_in_minutes"),
        )
    except BadRequest:
        raise BadRequest(500, {"message": "Server error"}) from None
    if not request.token:
        raise BadRequest(401, {"message": "Unauthorized"})
    return request


def _fields(body: bytes, content_type: str) -> dict[str, Any]:
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if kind == "application/json":
            return json_object(body)
        if kind == "application/x-www-form-urlencoded":
            return dict(parse_qsl(body.decode(), max_num_fields=50))
    except ValueError:
        pass
    raise BadRequest(400, {"message": INVALID_FIELDS})


def _text(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRequest(400, {"message": INVALID_FIELDS})
    return value


def _number(fields: Mapping[str, Any], key: str) -> int:
    value = fields.get(key)
    if value is None:
        return 0
    if isinstance(value, str) and _is_number(value):  # of a form
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if type(value) is not int:
        raise BadRequest(400, {"message": INVALID_FIELDS})
    return value


def check_single_type(content_type: str) -> None:
    """Accept what Memphis takes for one message: any text, JSON, Protobuf; raises `BadRequest`."""
    if "text" in content_type or "application/json" in content_type:
        return
    if content_type != "application/x-protobuf":
        raise BadRequest(500, UNSUPPORTED_TYPE)


def batch_of(body: bytes) -> list[bytes]:
    """Return the messages of a batch, each a JSON object; raises `BadRequest`."""
    try:
        items = orjson.loads(body)
    except ValueError:
        raise BadRequest(500, UNSUPPORTED_REQUEST) from None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise BadRequest(500, UNSUPPORTED_REQUEST)
    if len(items) > MAX_BATCH:
        raise failure(413, [f"a batch can not have more than {MAX_BATCH:,} messages"])
    return [orjson.dumps(item) for item in items]


def check_batch_type(content_type: str) -> None:
    """Accept what Memphis takes for a batch: JSON; raises `BadRequest`."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise BadRequest(500, UNSUPPORTED_TYPE)


@dataclass(frozen=True, slots=True)
class Fetch:
    """The body of a request to consume; `wait` in seconds."""

    consumer: str
    group: str
    size: int
    wait: float


def fetch_request(body: bytes, content_type: str) -> Fetch:
    """Return a request to consume; raises `BadRequest` as Memphis tells it."""
    try:
        fields = _fields(body, content_type)
        consumer, group = _text(fields, "consumer_name"), _text(fields, "consumer_group")
        size, wait = _number(fields, "batch_size"), _number(fields, "batch_max_wait_time_ms")
    except BadRequest:
        raise failure(400, "Invalid request body") from None
    if not consumer:
        raise failure(400, "Consumer name is required")
    size, wait = size or 10, wait or 5000
    if not 1 <= size <= MAX_FETCH:
        raise failure(400, f"Batch size can not be greater than {MAX_FETCH} or less than 1")
    if not 100 <= wait <= 300_000:
        raise failure(400, "Batch max wait time has to be between 100 and 300000 milliseconds")
    return Fetch(consumer, f"{group}-rest-gateway" if group else "rest-gateway", size, wait / 1000)


def message_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return a request's headers as those of a message: by their usual names, the first of each."""
    found: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        if lower in _KEPT_BACK or lower.startswith(_KEPT_BACK_PREFIXES):
            continue
        usual = "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))
        found.setdefault(usual, readable(value))
    return found


def readable(value: str) -> str:
    """Return a header's value without bytes that are no text, and on one line."""
    text = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return " ".join(text.splitlines()).strip()
