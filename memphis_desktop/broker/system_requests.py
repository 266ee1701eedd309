"""The requests on ``$SYS.REQ…``: monitoring over messages.

A user of the system account may ask about everything. Users of other accounts reach four subjects, which
answer about their own account only. Answers are ``{"server": …, "data": …}`` or carry an ``error``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from memphis_desktop.broker import reports
from memphis_desktop.broker.jetstream.typed_json import encode_json
from memphis_desktop.broker.options import ReloadError
from memphis_desktop.protocol.message import Message

if TYPE_CHECKING:
    from memphis_desktop.broker.accounts import Account
    from memphis_desktop.broker.connection import ClientConnection
    from memphis_desktop.broker.contracts import Client
    from memphis_desktop.broker.node import BrokerNode

Body: TypeAlias = dict[str, Any]
_Answer: TypeAlias = dict[str, Any]

_UNREADABLE = 400
_STATES = {0: "open", 1: "closed", 2: "all"}


class RequestError(Exception):
    """A request that is answered with an error."""

    def __init__(self, description: str, code: int = 500) -> None:
        super().__init__(description)
        self.code = code


class CommandError(RequestError):
    """A command that could not be done: there is no report."""


class SystemRequests:
    """Answers on the system account and, for their own affairs, on every other one."""

    def __init__(self, node: BrokerNode) -> None:
        self._node = node
        server = b"$SYS.REQ.SERVER."
        system = node.system_account
        system.subscribe(b"$SYS.REQ.SERVER.PING", self._handler(lambda body: self.statsz()))
        for name, answer in self._server_answers().items():
            handler = self._handler(answer, filtered=True)
            system.subscribe(server + b"PING." + name, handler)
            system.subscribe(server + node.server_id.encode() + b"." + name, self._handler(answer))
        for name, command in {b"KICK": self._kick, b"LDM": self._lame_duck, b"RELOAD": self._reload}.items():
            system.subscribe(server + node.server_id.encode() + b"." + name, self._handler(command))
        system.subscribe(b"$SYS.REQ.ACCOUNT.*.*", self._account_request)
        system.subscribe(b"$SYS.REQ.USER.INFO", self._user_info)

    def add_account(self, account: Account) -> None:
        """Let the users of an ordinary account ask about it."""
        connections = self._handler(lambda body: self._connz(body | {"acc": account.name}))
        account.subscribe(b"$SYS.REQ.ACCOUNT.PING.CONNZ", connections)
        account.subscribe(b"$SYS.REQ.SERVER.PING.CONNZ", connections)
        account.subscribe(
            b"$SYS.REQ.ACCOUNT.PING.STATZ",
            self._handler(lambda body: self._accstatz({"accounts": [account.name], "include_unused": True})),
        )
        account.subscribe(b"$SYS.REQ.USER.INFO", self._user_info)

    # -- asking and answering --------------------------------------------------------------------------------
    def _handler(
        self, answer: Callable[[Body], _Answer | None], *, filtered: bool = False
    ) -> Callable[[list[Message], Client | None], None]:
        def handle(messages: list[Message], sender: Client | None) -> None:
            for message in messages:
                self._respond(message, sender, answer, filtered=filtered)

        return handle

    def _respond(
        self,
        message: Message,
        sender: Client | None,
        answer: Callable[[Body], _Answer | None],
        *,
        filtered: bool = False,
    ) -> None:
        reply = message[1]
        if not reply:
            return
        try:
            body = _body(message)
            if filtered and not self._is_meant(body):
                return
            answered = answer(body)
            if answered is None:
                return
        except (RequestError, reports.NotFound, ValueError) as error:
            code = error.code if isinstance(error, RequestError) else 500
            described = {"error": {"code": code, "description": str(error)}}
            # Where a report was tried there is a place for it.
            without = code == _UNREADABLE or isinstance(error, CommandError)
            answered = self._wrap(described if without else {"data": None} | described)
        account = sender.account if sender is not None else self._node.system_account  # type: ignore[attr-defined]
        account.publish((reply, b"", 0, encode_json(answered)))

    def _wrap(self, fields: _Answer) -> _Answer:
        return {"server": self._node.server_info()} | fields

    def _is_meant(self, body: Body) -> bool:
        """Return whether the request's filters (name, host, domain, tags) fit this server."""
        node = self._node
        exact = body.get("exact_match", False)
        for key, own in (
            ("server_name", node.server_name),
            ("host", node.host),
            ("cluster", ""),
            ("domain", node.options.domain),
        ):
            wanted = body.get(key) or ""
            if wanted and (wanted != own if exact else str(wanted) not in own):
                return False
        wanted_tags = body.get("tags") or []
        return isinstance(wanted_tags, list) and set(map(str, wanted_tags)) <= set(node.options.tags)

    # -- servers ---------------------------------------------------------------------------------------------
    def _server_answers(self) -> dict[bytes, Callable[[Body], _Answer | None]]:
        node = self._node

        def data(report: Callable[[Body], Any]) -> Callable[[Body], _Answer]:
            return lambda body: self._wrap({"data": report(body)})

        return {
            b"IDZ": lambda body: {"name": node.server_name, "host": node.host, "id": node.server_id},
            b"STATSZ": lambda body: self.statsz(),
            b"VARZ": data(lambda body: reports.varz(node)),
            b"SUBSZ": data(self._subsz),
            b"CONNZ": self._connz,
            b"ROUTEZ": data(lambda body: reports.routez(node)),
            b"GATEWAYZ": data(lambda body: reports.gatewayz(node)),
            b"LEAFZ": data(lambda body: reports.leafz(node)),
            b"ACCOUNTZ": data(lambda body: reports.accountz(node, _text(body, "account"))),
            b"JSZ": data(self._jsz),
            b"HEALTHZ": data(self._healthz),
            b"RAFTZ": data(lambda body: {}),
            b"IPQUEUESZ": data(lambda body: {}),
            b"PROFILEZ": data(_no_profile),
            b"EXPVARZ": data(lambda body: reports.process_variables()),
        }

    def statsz(self) -> _Answer:
        """Return the answer to STATSZ, which is the heartbeat too."""
        return self._wrap({"statsz": reports.statsz(self._node)})

    def _connz(self, body: Body) -> _Answer:
        query = reports.ConnectionsQuery(
            sort=_text(body, "sort"),
            state=_STATES.get(_number(body, "state"), "open"),
            auth=bool(body.get("auth")),
            subscriptions="detail"
            if body.get("subscriptions_detail")
            else "list"
            if body.get("subscriptions")
            else "",
            offset=max(_number(body, "offset"), 0),
            limit=_number(body, "limit"),
            cid=_number(body, "cid"),
            account=_text(body, "acc"),
            user=_text(body, "user"),
            filter_subject=_text(body, "filter_subject"),
        )
        return self._wrap({"data": reports.connz(self._node, query)})

    def _subsz(self, body: Body) -> Any:
        query = reports.SubscriptionsQuery(
            listed=bool(body.get("subscriptions")),
            account=_text(body, "account"),
            test=_text(body, "test"),
            offset=max(_number(body, "offset"), 0),
            limit=_number(body, "limit"),
        )
        return reports.subsz(self._node, query)

    def _jsz(self, body: Body) -> Any:
        query = reports.JetStreamQuery(
            account=_text(body, "account"),
            accounts=bool(body.get("accounts")),
            streams=bool(body.get("streams")),
            consumers=bool(body.get("consumer")),
            config=bool(body.get("config")),
            raft=bool(body.get("raft")),
            direct=bool(body.get("direct_consumer")),
            offset=max(_number(body, "offset"), 0),
            limit=_number(body, "limit") or reports.DEFAULT_LIMIT,
        )
        return reports.jsz(self._node, query)

    def _healthz(self, body: Body) -> Any:
        code, error = reports.healthz(
            self._node, _text(body, "account"), _text(body, "stream"), _text(body, "consumer")
        )
        if code == 200:
            return {"status": "ok", "status_code": 200}
        return {"status": "error" if code == 400 else "unavailable", "status_code": code, "error": error}

    # -- accounts and users ----------------------------------------------------------------------------------
    def _account_request(self, messages: list[Message], sender: Client | None) -> None:
        for message in messages:
            _, _, _, name, kind = message[0].decode("utf-8", "replace").split(".")
            if (name, kind) == ("PING", "STATZ"):
                self._respond(message, sender, self._accstatz)
                continue
            answer = self._account_answers().get(kind)
            if answer is not None:
                self._respond(message, sender, lambda body, name=name, answer=answer: answer(name, body))  # type: ignore[misc]

    def _account_answers(self) -> dict[str, Callable[[str, Body], _Answer]]:
        node = self._node

        def detail(name: str, body: Body) -> _Answer:
            return self._wrap({"data": reports.account_detail(node, reports.find_account(node, name))})

        def connections(name: str, body: Body) -> _Answer:
            account = reports.find_account(node, name)
            return reports.advisory("account_connections", self._wrap(reports.account_statistics(account)))

        return {
            "INFO": detail,
            "CONNZ": lambda name, body: self._connz(body | {"acc": name}),
            "SUBSZ": lambda name, body: self._wrap(
                {"data": self._subsz({"subscriptions": True} | body | {"account": name})}
            ),
            "LEAFZ": lambda name, body: self._wrap({"data": reports.leafz(node)}),
            "JSZ": self._account_jetstream,
            "STATZ": lambda name, body: self._accstatz({"accounts": [name], "include_unused": True}),
            "CONNS": connections,
        }

    def _account_jetstream(self, name: str, body: Body) -> _Answer:
        if name not in self._node.accounts:
            raise RequestError(f'account "{name}" not found')
        details = self._jsz(body | {"account": name}).get("account_details")
        if not details:
            raise RequestError(f"jetstream is not enabled for account {name!r}")
        return self._wrap({"data": details[0]})

    def _accstatz(self, body: Body) -> _Answer:
        accounts = body.get("accounts") or []
        if not isinstance(accounts, list):
            raise RequestError("accounts is a list of names")
        query = reports.AccountStatisticsQuery(
            accounts=[str(name) for name in accounts], unused=bool(body.get("include_unused"))
        )
        return self._wrap({"data": reports.accstatz(self._node, query)})

    def _user_info(self, messages: list[Message], sender: Client | None) -> None:
        if sender is None:
            return
        client: ClientConnection = sender  # type: ignore[assignment]
        for message in messages:
            self._respond(message, sender, lambda body: self._wrap({"data": client.user_info()}))

    # -- commands --------------------------------------------------------------------------------------------
    def _kick(self, body: Body) -> _Answer:
        connection = self._node.connections.get(_number(body, "cid"))
        if connection is None:
            raise CommandError("no such client or leafnode id")
        connection.kick()
        return self._wrap({})

    def _lame_duck(self, body: Body) -> _Answer:
        connection = self._node.connections.get(_number(body, "cid"))
        if connection is None:
            raise CommandError("no such client id")
        connection.send_info(ldm=True)
        return self._wrap({})

    def _reload(self, body: Body) -> _Answer:
        try:
            self._node.reload()
        except ReloadError as error:
            raise CommandError(str(error)) from None
        return self._wrap({})


def _no_profile(body: Body) -> Any:
    """Return the answer to PROFILEZ: the profiles are those of Go programs."""
    name = _text(body, "name")
    return {"profile": None, "error": f'Profile "{name}" not found' if name else "Profile name not specified"}


def _body(message: Message) -> Body:
    payload = message[3][message[2] :].strip()
    if not payload:
        return {}
    try:
        body = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise RequestError(str(error), _UNREADABLE) from None
    if not isinstance(body, dict):
        raise RequestError("the request is no JSON object", _UNREADABLE)
    return body


def _text(body: Body, key: str) -> str:
    value = body.get(key) or ""
    if not isinstance(value, str):
        raise RequestError(f"{key} is a text", _UNREADABLE)
    return value


def _number(body: Body, key: str) -> int:
    value = body.get(key) or 0
    if not isinstance(value, int):
        raise RequestError(f"{key} is a number", _UNREADABLE)
    return value
