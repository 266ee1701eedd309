"""The door for a service that runs in the node's own process, such as the one for Memphis stations.

It speaks the client protocol like everybody, but over a listener of its own on loopback, with a token made
for this one run: so it needs no user in the options, and no TLS.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.authentication import REFUSED, Identity, Login, Outcome
from memphis_desktop.broker.connection import ClientConnection

if TYPE_CHECKING:
    from memphis_desktop.broker.node import BrokerNode


class ServiceConnection(ClientConnection):
    """The server's end of a service's connection."""

    secured = False

    def __init__(self, node: BrokerNode, token: str) -> None:
        super().__init__(node)
        self.authenticated = False
        self._token = token.encode()

    def info_fields(self) -> dict[str, Any]:
        """Return what INFO has beside or instead of the usual fields."""
        return {"auth_required": True}

    def _identify(self, login: Login, checked: dict[str, bool]) -> Outcome:
        given = login.given
        if given.account or given.new_account:
            return REFUSED
        identity = Identity(account=self.node.options.stations_account)
        return identity if hmac.compare_digest(self._token, given.auth_token.encode()) else REFUSED

    def _anonymous(self) -> Identity | None:
        return None

    def reidentify(self) -> None:
        """After a reload: services stay, whatever became of the users."""
        self.parser.max_payload = self.node.options.max_payload
