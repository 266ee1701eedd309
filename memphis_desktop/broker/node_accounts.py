"""The accounts of a node: those of the configuration, and those that a JWT describes when they are needed."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.accounts import Account
from memphis_desktop.broker.options import (
    GLOBAL_ACCOUNT,
    SYSTEM_ACCOUNT,
    AccountOptions,
    BrokerOptions,
    JetStreamAccountLimits,
)
from memphis_desktop.broker.subject_mapping import mappings_to_domain

if TYPE_CHECKING:
    from memphis_desktop.broker.authentication import Authenticator
    from memphis_desktop.broker.contracts import JetStreamService
    from memphis_desktop.broker.handlers import Turn
    from memphis_desktop.broker.system_requests import SystemRequests


class NodeAccounts:
    """The part of a node that knows its accounts by name."""

    options: BrokerOptions
    turn: Turn
    authenticator: Authenticator
    system_requests: SystemRequests
    jetstream: JetStreamService | None

    def __init__(self) -> None:
        self.default_account = Account(GLOBAL_ACCOUNT, self.turn, self._default_account_options())
        self._system_account = Account(self.authenticator.system_account or SYSTEM_ACCOUNT, self.turn)
        self.accounts: dict[str, Account] = {
            GLOBAL_ACCOUNT: self.default_account,
            self._system_account.name: self._system_account,
        }

    @property
    def system_account(self) -> Account:
        """The ``$SYS`` account."""
        return self._system_account

    def _default_account_options(self) -> AccountOptions:
        return AccountOptions(GLOBAL_ACCOUNT, mappings=tuple(self.options.mappings))

    def _configure_accounts(self, options: list[AccountOptions]) -> None:
        """Make the accounts of the configuration, or let those that are there follow it."""
        for one in options:
            there = self.accounts.get(one.name)
            if there is None:
                self._add_account(one)
            else:
                there.configure(self._with_domain(one))
        self._connect_imports()

    def account(self, name: str) -> Account | None:
        """Return an account by name, made when a trusted JWT describes it; "" is the default account."""
        if not name:
            return self.default_account
        there = self.accounts.get(name)
        if there is None:
            options = self.authenticator.account_options(name)
            if options is None:
                return None
            there = self._add_account(options)
        return there

    def _add_account(self, options: AccountOptions) -> Account:
        options = self._with_domain(options)
        account = Account(options.name, self.turn, options)
        self.accounts[options.name] = account
        if options.name not in (configured.name for configured in self.options.accounts):
            account.connect_imports(self.account)  # described by a JWT that just came
        self.system_requests.add_account(account)
        if options.jetstream is not None and self.jetstream is not None:
            self._enable_jetstream(self.jetstream, account)
        return account

    def _with_domain(self, options: AccountOptions) -> AccountOptions:
        """Return an account's options with the JetStream domain that it uses when it names none."""
        domain = self.options.default_domains.get(options.name, "")
        if not domain or options.jetstream is not None:
            return options
        return replace(options, mappings=(*options.mappings, *mappings_to_domain(domain)))

    def _enable_jetstream(self, jetstream: JetStreamService, account: Account) -> None:
        from memphis_desktop.broker.jetstream.limits import SINGLE, AccountLimits

        given, server = account.options.jetstream, self.options.jetstream_limits
        tiers = tuple((name, AccountLimits(**_plain(one))) for name, one in given.tiers) if given else ()
        chosen = dict(given.tiers).get(SINGLE, given) if given else None
        limits = AccountLimits(
            **(_plain(chosen) if chosen is not None else {}),
            tiers=tiers,
            server_max_ack_pending=server.max_ack_pending,
            server_max_batch=server.max_request_batch,
            server_duplicate_window=int(server.duplicate_window * 1e9),
        )
        jetstream.enable(account, limits)

    def _connect_imports(self) -> None:
        for options in self.options.accounts:
            self.accounts[options.name].connect_imports(self.account)


def _plain(limits: JetStreamAccountLimits) -> dict[str, Any]:
    """Return the limits themselves, those by replicas left out."""
    return {key: value for key, value in asdict(limits).items() if key != "tiers"}
