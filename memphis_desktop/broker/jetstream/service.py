"""JetStream as the node runs it: one per node, for all accounts that have it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.jetstream import metadata, reports
from memphis_desktop.broker.jetstream.account import AccountStreams
from memphis_desktop.broker.jetstream.api import RefusedApi
from memphis_desktop.broker.jetstream.limits import AccountLimits

if TYPE_CHECKING:
    from memphis_desktop.broker.contracts import Account, Node
    from memphis_desktop.broker.jetstream.contracts import ConsumerFactory
    from memphis_desktop.broker.store.interface import StoreRoot

_log = logging.getLogger(__name__)


class JetStream:
    """The streams of a node, over one data folder."""

    def __init__(self, node: Node, root: StoreRoot, consumer_factory: ConsumerFactory | None = None) -> None:
        """Prepare JetStream; `enable` the accounts, then `recover`.

        Args:
            node: what it runs in.
            root: where it stores.
            consumer_factory: makes consumers; `jetstream.consumer.create_consumer` when left out.
        """
        if consumer_factory is None:
            from memphis_desktop.broker.jetstream.consumer import create_consumer

            consumer_factory = create_consumer
        self._node = node
        self._root = root
        self._consumer_factory = consumer_factory
        self.accounts: dict[str, AccountStreams] = {}
        self._refused: dict[str, RefusedApi] = {}
        self._recovered = False

    def enable(self, account: Account, limits: AccountLimits | None = None) -> None:
        """Give an account JetStream, or change its limits.

        The streams it has on disk come with `recover`, or at once when that has happened already.
        """
        refused = self._refused.pop(account.name, None)
        if refused is not None:
            refused.stop()
        known = self.accounts.get(account.name)
        if known is not None:
            known.change_limits(limits or AccountLimits())
            return
        self.accounts[account.name] = AccountStreams(
            self._node, self._root, account, limits or AccountLimits(), self._consumer_factory
        )
        account.jetstream_enabled = True
        if self._recovered:  # an account that came to be known while running
            self.accounts[account.name].recover()
            self.accounts[account.name].start()

    def refuse(self, account: Account) -> None:
        """Have requests of an account without JetStream answered with error 10039."""
        if account.name not in self.accounts and account.name not in self._refused:
            self._refused[account.name] = RefusedApi(account)

    def recover(self) -> None:
        """Open what is stored of the enabled accounts and begin to answer; call before clients connect."""
        for name in self._root.accounts():
            if name not in self.accounts:
                _log.warning("The store has streams of account '%s', which has no JetStream", name)
        self._recovered = True
        for streams in self.accounts.values():
            streams.recover()
            streams.start()
        for account in self._node.accounts.values():
            if account is not self._node.system_account:
                self.refuse(account)

    def shutdown(self) -> None:
        """End all consumers and streams in order; the store itself is the node's to close."""
        for streams in self.accounts.values():
            streams.stop()
        for refused in self._refused.values():
            refused.stop()
        self._refused.clear()
        self.accounts.clear()

    def statistics(self) -> dict[str, Any]:
        """Return the ``stats`` of JetStream in varz, statsz and jsz."""
        accounts = self.accounts.values()
        memory, storage = self._root.usage()
        return {
            "memory": memory,
            "storage": storage,
            "reserved_memory": sum(streams.reserved("memory") for streams in accounts),
            "reserved_storage": sum(streams.reserved("file") for streams in accounts),
            "accounts": len(self.accounts),
            "ha_assets": 0,
            "api": {
                "level": metadata.API_LEVEL,
                "total": sum(streams.api.requests for streams in accounts),
                "errors": sum(streams.api.errors for streams in accounts),
            },
        }

    def totals(self) -> dict[str, int]:
        """Return how many streams, consumers, messages and bytes there are."""
        streams = [stream for account in self.accounts.values() for stream in account.streams.values()]
        return {
            "streams": len(streams),
            "consumers": sum(len(stream.consumers) for stream in streams),
            "messages": sum(stream.messages.message_count for stream in streams),
            "bytes": sum(stream.messages.byte_count for stream in streams),
        }

    def account_details(
        self,
        account: str = "",
        *,
        streams: bool = False,
        consumers: bool = False,
        config: bool = False,
        direct: bool = False,
    ) -> list[dict[str, Any]]:
        """Return the rows of jsz: every account with JetStream, or only `account`."""
        return [
            reports.account_detail(owner, streams=streams, consumers=consumers, config=config, direct=direct)
            for name, owner in sorted(self.accounts.items())
            if account in ("", name)
        ]

    def check_health(self, account: str = "", stream: str = "", consumer: str = "") -> str:
        """Return what is wrong, in the words of ``/healthz``; "" when nothing is."""
        return reports.health(self.accounts.values(), account, stream, consumer)
