"""Auth callout: a service, itself a client, is asked who a client is and where it belongs.

The question is a JWT that the server signs, on ``$SYS.REQ.USER.AUTH`` in the service's account; the answer a
JWT with the JWT of a user inside, made for the one key of this question, so that no answer serves twice.
Both may be sealed for each other.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker import nkeys, tokens
from memphis_desktop.broker.authentication import REFUSED, Identity, Login, Refusal
from memphis_desktop.broker.key_pairs import SigningKey
from memphis_desktop.broker.options import GLOBAL_ACCOUNT, CalloutOptions, PermissionRules
from memphis_desktop.protocol import headers

if TYPE_CHECKING:
    from memphis_desktop.broker.connection import ClientConnection
    from memphis_desktop.broker.contracts import Client
    from memphis_desktop.broker.node import BrokerNode
    from memphis_desktop.protocol.message import Message

log = logging.getLogger(__name__)

SUBJECT = "$SYS.REQ.USER.AUTH"
_AUDIENCE = "nats-authorization-request"
_CURVE_HEADER = "Nats-Server-Xkey"
_TOKEN_START = b"eyJ"  # what every JWT begins with, and nothing that is sealed
_MAX_ANSWER = 1 << 20

Answered = Callable[[Identity | Refusal], None]


class Question:
    """One question about one client."""

    def __init__(self, node: BrokerNode, login: Login, rule: CalloutOptions, known: Identity) -> None:
        """Prepare a question.

        Args:
            node: who asks.
            login: what the client shows.
            rule: whom to ask, and how.
            known: as whom the client would come in without the question; the JWT it has shown names it.
        """
        self._node = node
        self._known = known
        self._login = login
        self._rule = rule
        self._user = ""
        self._end: Callable[[Identity | Refusal], None] = lambda outcome: None

    def ask(self, client: ClientConnection, answered: Answered) -> None:
        """Send the question; `answered` is called once, with who the client is or that it is refused."""
        node, rule = self._node, self._rule
        account = node.account(rule.account)
        if account is None:
            log.warning("No valid account %r for auth callout request", rule.account)
            node.clock.call_soon(lambda: answered(REFUSED))
            return
        self._user = SigningKey(nkeys.USER).public
        reply = f"$SYS._INBOX.{secrets.token_hex(4)}.{secrets.token_hex(8)}".encode()
        subscription = account.subscribe(reply, self._receive)
        timer = node.clock.call_later(
            node.options.auth_timeout, lambda: self._refuse("response not received in time")
        )
        waiting = True

        def end(outcome: Identity | Refusal) -> None:
            nonlocal waiting
            if waiting:
                waiting = False
                timer.cancel()
                account.unsubscribe(subscription)
                answered(outcome)

        self._end = end
        payload = node.keys.signing.issue(self._claims(client)).encode()
        block = b""
        if rule.xkey:
            payload = node.keys.curve.seal(payload, rule.xkey)
            block = headers.encode({_CURVE_HEADER: node.keys.curve.public})
        account.publish((SUBJECT.encode(), reply, len(block), block + payload))
        node.flush()

    # -- the question ----------------------------------------------------------------------------------------
    def _claims(self, client: ClientConnection) -> dict[str, Any]:
        now = self._node.clock.time_ns() // 1_000_000_000
        body: dict[str, Any] = {
            "server_id": self._server(),
            "user_nkey": self._user,
            "client_info": self._client(client),
            "connect_opts": self._connect_options(),
        }
        secured = client.tls_report()
        if secured is not None:
            body["client_tls"] = secured
        return {
            "aud": _AUDIENCE,
            "exp": now + max(int(self._node.options.auth_timeout), 1),
            "iat": now,
            "sub": self._rule.issuer,
            "nats": body | {"type": "authorization_request", "version": 2},
        }

    def _server(self) -> dict[str, Any]:
        node = self._node
        described: dict[str, Any] = {
            "name": node.server_name,
            "host": node.host,
            "id": node.server_id,
            "version": node.version,
        }
        if node.options.tags:
            described["tags"] = list(node.options.tags)
        if self._rule.xkey:
            described["xkey"] = node.keys.curve.public
        return described

    def _client(self, client: ClientConnection) -> dict[str, Any]:
        described = {
            "host": client.address[0],
            "id": client.client_id,
            "user": self._login.user,
            "name": self._login.given.name,
            "tags": list(self._known.tags),
            "name_tag": self._known.name_tag,
            "kind": client.kind,
            "type": client.client_type,
            "nonce": self._login.nonce.decode() if self._login.given.sig else "",
        }
        return {key: value for key, value in described.items() if value}

    def _connect_options(self) -> dict[str, Any]:
        given = self._login.given
        shown = {
            "jwt": given.jwt or self._node.options.default_sentinel,
            "nkey": given.nkey,
            "sig": given.sig,
            "auth_token": given.auth_token,
            "user": given.user,
            "pass": given.password,
            "name": given.name,
            "lang": given.lang,
            "version": given.version,
        }
        return {key: value for key, value in shown.items() if value} | {"protocol": given.protocol}

    # -- the answer ------------------------------------------------------------------------------------------
    def _receive(self, messages: list[Message], sender: Client | None) -> None:
        _, _, header_size, body = messages[0]
        try:
            identity = self._judge(bytes(body[header_size:]))
        except (tokens.TokenError, ValueError) as error:
            self._refuse(str(error))
            return
        self._end(replace(without_asking(identity, self._rule), name_tag=self._known.name_tag))

    def _refuse(self, why: str) -> None:
        log.warning("Auth callout on account %r: %s", self._rule.account, why)
        self._end(REFUSED)

    def _judge(self, answer: bytes) -> Identity:
        """Return as whom the client comes in.

        Raises:
            TokenError, ValueError: why it does not.
        """
        rule, node = self._rule, self._node
        if not answer or len(answer) > _MAX_ANSWER:
            raise ValueError("no reason supplied")
        sealed = bool(rule.xkey) and not answer.startswith(_TOKEN_START)
        if sealed:
            answer = node.keys.curve.open(answer, rule.xkey)
        now = node.clock.time_ns() / 1e9
        response = tokens.decode(answer.decode("ascii"))
        if response.kind != "authorization_response" or not response.valid_at(now):
            raise ValueError("the response is no authorization response, or out of date")
        if response.subject != self._user:
            raise ValueError("auth callout response is not for expected user")
        if response.audience != node.server_id:
            raise ValueError("auth callout response is not for server")
        if response.body.get("error"):
            raise ValueError(f"auth callout service returned an error: {response.body['error']}")
        if not sealed and not node.authenticator.may_answer(rule, response):
            raise ValueError("auth callout signing key is unknown")
        user = tokens.decode(str(response.body.get("jwt", "")))
        if user.kind != "user" or user.subject != self._user or not user.valid_at(now):
            raise ValueError("the user is not the expected one, or out of date")
        return node.authenticator.called_out(rule, user, self._login)


def without_asking(identity: Identity, rule: CalloutOptions) -> Identity:
    """Return an identity, in the service's account without the right to ask: that is the server's."""
    if (identity.account or GLOBAL_ACCOUNT) != rule.account:
        return identity
    rules = identity.permissions or PermissionRules()
    publish = replace(rules.publish, deny=(*rules.publish.deny, SUBJECT))
    return replace(identity, permissions=replace(rules, publish=publish))
