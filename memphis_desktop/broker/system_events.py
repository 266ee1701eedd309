"""What happens on the server, published on the system account: connections, accounts, the heartbeat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memphis_desktop.broker import reports
from memphis_desktop.broker.jetstream.times import format_time
from memphis_desktop.broker.jetstream.typed_json import encode_json

if TYPE_CHECKING:
    from memphis_desktop.broker.accounts import Account
    from memphis_desktop.broker.clock import Timer
    from memphis_desktop.broker.connection import ClientConnection
    from memphis_desktop.broker.node import BrokerNode

HEARTBEAT_SECONDS = 10.0
ACCOUNT_SECONDS = 30.0


class SystemEvents:
    """Publishes events; each costs nothing while nobody listens."""

    def __init__(self, node: BrokerNode) -> None:
        self._node = node
        self._timers: list[Timer | None] = [None, None]

    def start(self) -> None:
        """Begin with the heartbeats."""
        self._heartbeat()
        self._account_heartbeat()

    def stop(self) -> None:
        """End the heartbeats and say that the server goes."""
        for timer in self._timers:
            if timer is not None:
                timer.cancel()
        self._publish(f"$SYS.SERVER.{self._node.server_id}.SHUTDOWN", self._node.server_info)

    def lame_duck(self) -> None:
        """The server has gone into lame duck mode."""
        self._publish(f"$SYS.SERVER.{self._node.server_id}.LAMEDUCK", self._node.server_info)

    def connected(self, connection: ClientConnection) -> None:
        """A client was let in."""
        account = connection.account
        self.account_changed(account)
        if account is self._node.system_account:
            return
        self._publish(
            f"$SYS.ACCOUNT.{account.name}.CONNECT",
            lambda: reports.advisory("client_connect", self._wrap({"client": _client(connection)})),
        )

    def disconnected(self, connection: ClientConnection) -> None:
        """A client that had been let in is gone."""
        account = connection.account
        self.account_changed(account)
        if account is not self._node.system_account:
            self._publish(f"$SYS.ACCOUNT.{account.name}.DISCONNECT", lambda: self._farewell(connection))

    def refused(self, connection: ClientConnection) -> None:
        """A client was refused."""
        name = self._node.server_id
        self._publish(f"$SYS.SERVER.{name}.CLIENT.AUTH.ERR", lambda: self._farewell(connection))
        self._publish("$SYS.ACCOUNT.CLIENT.AUTH.ERR", lambda: self._farewell(connection))

    def account_changed(self, account: Account) -> None:
        """The number of an account's connections changed, or it is time to repeat it."""

        def report() -> dict[str, Any]:
            return reports.advisory("account_connections", self._wrap(reports.account_statistics(account)))

        self._publish(f"$SYS.SERVER.ACCOUNT.{account.name}.CONNS", report)
        self._publish(f"$SYS.ACCOUNT.{account.name}.SERVER.CONNS", report)

    # -- inside ----------------------------------------------------------------------------------------------
    def _heartbeat(self) -> None:
        node = self._node
        self._publish(
            f"$SYS.SERVER.{node.server_id}.STATSZ", lambda: self._wrap({"statsz": reports.statsz(node)})
        )
        self._timers[0] = node.clock.call_later(HEARTBEAT_SECONDS, self._heartbeat)

    def _account_heartbeat(self) -> None:
        for account in list(self._node.accounts.values()):
            if account.connections:
                self.account_changed(account)
        self._timers[1] = self._node.clock.call_later(ACCOUNT_SECONDS, self._account_heartbeat)

    def _publish(self, subject: str, report: Any) -> None:
        account = self._node.system_account
        name = subject.encode()
        if account.has_interest(name):
            account.publish((name, b"", 0, encode_json(report())))

    def _wrap(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {"server": self._node.server_info()} | fields

    def _farewell(self, connection: ClientConnection) -> dict[str, Any]:
        parser = connection.parser
        fields = {
            "client": _client(connection),
            # What the client sent and received, as nats-server has it; not the server.
            "sent": {"msgs": parser.message_count, "bytes": parser.payload_bytes},
            "received": {"msgs": connection.out_messages, "bytes": connection.out_bytes},
            "reason": connection.close_reason,
        }
        return reports.advisory("client_disconnect", self._wrap(fields))


def _client(connection: ClientConnection) -> dict[str, Any]:
    described = connection.describe()
    del described["server"]
    described["name_tag"] = connection.account.options.name_tag or connection.account.name
    if connection.closed:
        described["stop"] = format_time(connection.stop_ns)
    return described
