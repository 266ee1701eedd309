"""The HTTP monitoring endpoints: paths and parameters to reports."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker import reports
from memphis_desktop.broker.http_server import Answer, Query, plain_text

if TYPE_CHECKING:
    from memphis_desktop.broker.node import BrokerNode

_UNCOUNTED = ("/raftz", "/ipqueuesz", "/stacksz", "/debug/vars")
_CALLBACK = re.compile(r"[\w$.]+\Z", re.ASCII)


def respond(node: BrokerNode, path: str, query: Query) -> Answer:
    """Answer a monitoring request.

    Raises:
        ValueError: a parameter has an impossible value.
    """
    base = node.options.http_base_path.rstrip("/")
    name = path.removeprefix(base).rstrip("/") if path.startswith(base) else None
    if name is None or name not in _ENDPOINTS:
        return plain_text(HTTPStatus.NOT_FOUND, "404 page not found\n")
    if name not in _UNCOUNTED:
        counted = "/subsz" if name == "/subscriptionsz" else name or "/"
        node.http_requests[counted] = node.http_requests.get(counted, 0) + 1
    try:
        answer = _ENDPOINTS[name](node, query)
    except reports.NotFound as missing:
        return plain_text(HTTPStatus.BAD_REQUEST, str(missing))
    callback = query.get("callback", "")
    if callback and _CALLBACK.match(callback) and answer.content_type == "application/json":
        return Answer(callback.encode() + b"(" + answer.body + b")", answer.status, "application/javascript")
    return answer


def _json(report: Any, status: HTTPStatus = HTTPStatus.OK, indent: int | None = 2) -> Answer:
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(report, indent=indent, separators=separators, ensure_ascii=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Answer(text.encode(), status)


def _flag(query: Query, name: str) -> bool:
    text = query.get(name, "")
    if text == "":
        return False
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise ValueError(
        f"Error decoding boolean for '{name}': strconv.ParseBool: parsing \"{text}\": invalid syntax"
    )


def _number(query: Query, name: str, default: int = 0) -> int:
    text = query.get(name, "")
    if text == "":
        return default
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise ValueError(f"Error decoding int for '{name}': strconv.Atoi: parsing \"{text}\": invalid syntax")
    return int(text)


def _varz(node: BrokerNode, query: Query) -> Answer:
    return _json(reports.varz(node))


def _connz(node: BrokerNode, query: Query) -> Answer:
    state = query.get("state", "").lower() or "open"
    if state not in ("open", "closed", "all", "any"):
        raise ValueError(f"Error decoding state for {query['state']}")
    listed = query.get("subs", "").lower()
    asked = reports.ConnectionsQuery(
        sort=query.get("sort", ""),
        state="all" if state == "any" else state,
        auth=_flag(query, "auth"),
        subscriptions="detail" if listed == "detail" else "list" if _flag(query, "subs") else "",
        offset=max(_number(query, "offset"), 0),
        limit=_number(query, "limit", reports.DEFAULT_LIMIT),
        cid=_number(query, "cid"),
        account=query.get("acc", ""),
        user=query.get("user", ""),
        filter_subject=query.get("filter_subject", ""),
        mqtt_client=query.get("mqtt_client", ""),
    )
    return _json(reports.connz(node, asked))


def _subsz(node: BrokerNode, query: Query) -> Answer:
    asked = reports.SubscriptionsQuery(
        listed=_flag(query, "subs"),
        account=query.get("acc", ""),
        test=query.get("test", ""),
        offset=max(_number(query, "offset"), 0),
        limit=_number(query, "limit", reports.DEFAULT_LIMIT),
    )
    return _json(reports.subsz(node, asked))


def _jsz(node: BrokerNode, query: Query) -> Answer:
    asked = reports.JetStreamQuery(
        account=query.get("acc", ""),
        accounts=_flag(query, "accounts"),
        streams=_flag(query, "streams"),
        consumers=_flag(query, "consumers"),
        config=_flag(query, "config"),
        raft=_flag(query, "raft"),
        direct=_flag(query, "direct-consumers"),
        offset=max(_number(query, "offset"), 0),
        limit=_number(query, "limit", reports.DEFAULT_LIMIT),
    )
    return _json(reports.jsz(node, asked))


def _healthz(node: BrokerNode, query: Query) -> Answer:
    code, error = reports.healthz(
        node, query.get("account", ""), query.get("stream", ""), query.get("consumer", "")
    )
    if code == 200:
        return _json({"status": "ok"}, indent=None)
    detailed = _flag(query, "details")
    report: dict[str, Any] = {"status": "error" if detailed or code == 400 else "unavailable"}
    if detailed:
        named = {key: query[key] for key in ("account", "stream", "consumer") if query.get(key)}
        kind = (
            list(named)[-1].upper()
            if named and code == 404
            else "BAD_REQUEST"
            if code == 400
            else "JETSTREAM"
        )
        report["errors"] = [{"type": kind} | named | {"error": error}]
    else:
        report["error"] = error
    return _json(report, HTTPStatus(code), indent=None)


def _accstatz(node: BrokerNode, query: Query) -> Answer:
    return _json(reports.accstatz(node, reports.AccountStatisticsQuery(unused=_flag(query, "unused"))))


def _index(node: BrokerNode, query: Query) -> Answer:
    links = "".join(f'<li><a href=".{path}">{path}</a></li>' for path in _ENDPOINTS if path)
    page = f"<!doctype html><html lang=en><title>Memphis Desktop</title><ul>{links}</ul></html>"
    return Answer(page.encode(), content_type="text/html; charset=utf-8")


def _raftz(node: BrokerNode, query: Query) -> Answer:
    return plain_text(HTTPStatus.NOT_FOUND, "No Raft nodes registered")


_ENDPOINTS: dict[str, Callable[[BrokerNode, Query], Answer]] = {
    "": _index,
    "/varz": _varz,
    "/jsz": _jsz,
    "/connz": _connz,
    "/accountz": lambda node, query: _json(reports.accountz(node, query.get("acc", ""))),
    "/accstatz": _accstatz,
    "/subsz": _subsz,
    "/subscriptionsz": _subsz,
    "/routez": lambda node, query: _json(reports.routez(node)),
    "/leafz": lambda node, query: _json(reports.leafz(node)),
    "/gatewayz": lambda node, query: _json(reports.gatewayz(node)),
    "/raftz": _raftz,
    "/healthz": _healthz,
    "/ipqueuesz": lambda node, query: _json({}),
    "/stacksz": lambda node, query: plain_text(HTTPStatus.OK, reports.stacks()),
    "/debug/vars": lambda node, query: _json(reports.process_variables()),
}
