"""Who may come in, and as whom.

`Authenticator.identify` answers at once wherever it can. What takes long, comparing a bcrypt hash or asking a
resolver over the network, is returned as a piece of work for another thread, after which it is asked again.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from memphis_desktop.broker import tokens
from memphis_desktop.broker.account_resolver import AccountResolver, Work
from memphis_desktop.broker.options import (
    GLOBAL_ACCOUNT,
    SYSTEM_ACCOUNT,
    AccountOptions,
    BrokerOptions,
    CalloutOptions,
    PermissionRules,
    StartError,
    User,
    WebSocketOptions,
)
from memphis_desktop.broker.user_claims import fill_template, may_come_at, may_come_from
from memphis_desktop.protocol.connect import ConnectOptions
from memphis_desktop.protocol.errors import CloseReason

log = logging.getLogger(__name__)

STANDARD, WEBSOCKET = "STANDARD", "WEBSOCKET"


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom a client comes in. Times are seconds since 1970, 0 is never; limits of -1 are none."""

    user: str = ""
    account: str = ""  # "" is the default account
    credential: str = field(default="", repr=False)  # the stored password it was compared with
    permissions: PermissionRules | None = None
    expires_at: int = 0
    expires: str = "User"  # what it is that ends then: User or Account
    max_subscriptions: int = -1
    max_payload: int = -1
    issuer: str = ""
    token: str = field(default="", repr=False)
    name_tag: str = ""
    tags: tuple[str, ...] = ()
    callout: CalloutOptions | None = None  # the rule by which a service let it in
    proxy_required: bool = False
    proxy: str = ""  # the key of the trusted proxy it came through


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a client does not come in."""

    text: str = "Authorization Violation"
    reason: str = CloseReason.AUTHENTICATION_FAILURE


@dataclass(frozen=True, slots=True)
class Login:
    """What a client shows: its CONNECT, how it came, what it was challenged with, its certificate's names."""

    given: ConnectOptions
    kind: str = STANDARD
    nonce: bytes = b""
    certificate_names: tuple[str, ...] = ()
    address: str = ""

    @property
    def user(self) -> str:
        """The user that the client names itself, as monitoring shows it."""
        given = self.given
        return given.nkey or given.user or ("[REDACTED]" if given.auth_token else "")


Outcome: TypeAlias = "Identity | Refusal | Work"

REFUSED = Refusal()


class Authenticator:
    """Decides by the options. A reload makes a new one."""

    def __init__(self, options: BrokerOptions, wall_seconds: Callable[[], float]) -> None:
        """Read the operators' JWTs.

        Raises:
            StartError: one of them is not valid.
        """
        self._options = options
        self._wall_seconds = wall_seconds
        self._by_name = {user.name: user for user in options.users if user.name}
        self._by_key = {user.nkey: user for user in options.users if user.nkey}
        self._accounts = {account.name: account for account in options.accounts}
        self._operator_keys: set[str] = set(options.trusted_keys)
        self.system_account = options.system_account
        for text in options.operators:
            self._add_operator(text)
        self._resolver = AccountResolver(options, self._operator_keys)

    @property
    def needs_nonce(self) -> bool:
        """Whether some user proves possession of a key, so that INFO has to carry a nonce."""
        return bool(self._by_key or self._operator_keys or self._options.trusted_proxies)

    def _add_operator(self, text: str) -> None:
        try:
            claims = tokens.decode(text)
        except tokens.TokenError as error:
            raise StartError(f"the operator's JWT is not valid: {error}") from None
        if claims.kind != "operator" or claims.issuer not in tokens.signing_keys(claims):
            raise StartError(
                "the operator's JWT is not valid: it is not one of an operator, signed by itself"
            )
        self._operator_keys |= set(tokens.signing_keys(claims))
        named = claims.body.get("system_account")
        if isinstance(named, str) and named and not self.system_account:
            self.system_account = named

    # -- deciding --------------------------------------------------------------------------------------------
    def identify(self, login: Login, *, checked: dict[str, bool] | None = None) -> Outcome:
        """Return as whom the client comes in, a refusal, or work to be done first.

        `checked` keeps the outcome of such work between two calls for one login.
        """
        proxy = self._proxy(login) if login.given.proxy_sig and self._options.trusted_proxies else ""
        if proxy is None:
            return Refusal(reason=CloseReason.PROXY_NOT_TRUSTED)
        outcome = self._identify(login, checked)
        if not isinstance(outcome, Identity):
            return outcome
        if outcome.proxy_required and not proxy:
            return Refusal(reason=CloseReason.PROXY_REQUIRED)
        return replace(outcome, proxy=proxy) if proxy else outcome

    def _proxy(self, login: Login) -> str | None:
        """Return the key of the trusted proxy that a client came through; None when none of them signed."""
        try:
            signature = tokens.decode_base64(login.given.proxy_sig)
        except ValueError:
            return None
        trusted = self._options.trusted_proxies
        return next((key for key in trusted if tokens.verify(key, login.nonce, signature)), None)

    def _identify(self, login: Login, checked: dict[str, bool] | None) -> Outcome:
        options, given = self._options, login.given
        if options.system_login is not None and given.user == options.system_login[0]:
            return self._password(options.system_login[1], given.password, self._system_user(), checked)
        if self._operator_keys:
            return self._by_token(login)
        web = self._own_way(login.kind)
        if web is not None and web.token:
            return self._password(web.token, given.auth_token, Identity(), checked)
        if web is not None and web.user:
            if given.user != web.user:
                return REFUSED
            return self._password(web.password, given.password, Identity(user=web.user), checked)
        if self._maps_certificates(login.kind) and options.users:
            return self._by_certificate(login)
        if given.nkey and self._by_key:
            return self._by_nkey(login)
        if options.token:
            return self._password(options.token, given.auth_token, Identity(), checked)
        if options.users:
            nameless = not (given.user or given.password or given.auth_token)
            if nameless and self.nameless_user(login.kind):
                return self.anonymous(login.kind) or REFUSED
            user = self._by_name.get(given.user)
            if user is None or not _may_use(user, login.kind):
                return REFUSED
            return self._password(user.password, given.password, self._identity(user), checked)
        return Identity(name_tag="")

    def identify_again(self, login: Login, identity: Identity) -> Identity | None:
        """Return as whom a client stays after a reload; None when it has to go.

        A password that was right stays right as long as the stored one is the same; it is not asked again.
        """
        options = self._options
        if self._options.system_login is not None and identity == self._system_user():
            return identity
        if identity.callout is not None:  # stays as long as the one who let it in is trusted
            return identity if self._operator_keys or identity.callout == options.auth_callout else None
        if self._operator_keys:
            outcome = self._by_token(login)
            return outcome if isinstance(outcome, Identity) else None
        web = self._own_way(login.kind)
        if web is not None and (web.user or web.token):
            outcome = self.identify(login)
            return outcome if isinstance(outcome, Identity) else None
        if options.token:
            right = hmac.compare_digest(options.token.encode(), login.given.auth_token.encode())
            return Identity() if right else None
        if not options.users:
            return Identity()
        user = self._by_name.get(identity.user) or self._by_key.get(identity.user)
        if user is None or not _may_use(user, login.kind):
            return None
        if identity.credential and identity.credential != user.password:
            return None
        return self._identity(user)

    def _system_user(self) -> Identity:
        """Return as whom the program around the node comes in."""
        user, password = self._options.system_login or ("", "")
        return Identity(user=user, account=self.system_account or SYSTEM_ACCOUNT, credential=password)

    def _own_way(self, kind: str) -> WebSocketOptions | None:
        """Return the options of WebSocket for who comes that way, when they say who may."""
        web = self._options.websocket
        return web if kind == WEBSOCKET and web is not None and web.overrides_login else None

    def _maps_certificates(self, kind: str) -> bool:
        web = self._options.websocket
        tls = web.tls if kind == WEBSOCKET and web is not None else self._options.tls
        return tls is not None and tls.verify_and_map

    def nameless_user(self, kind: str) -> str:
        """Return the name of the user as whom clients without credentials come in; "" when there is none."""
        web = self._own_way(kind)
        return web.no_auth_user if web is not None else self._options.no_auth_user

    def anonymous(self, kind: str) -> Identity | None:
        """Return as whom a client without credentials comes in; None when it does not."""
        name = self.nameless_user(kind)
        user = self._by_name.get(name) or self._by_key.get(name)
        if user is None:
            return None
        identity = self._identity(user)
        rule = self._options.auth_callout
        return (
            None if rule is not None and is_delegated(rule, Login(ConnectOptions()), identity) else identity
        )

    def _identity(self, user: User) -> Identity:
        account = self._accounts.get(user.account, AccountOptions(user.account))
        permissions = user.permissions or account.default_permissions or self._options.default_permissions
        return Identity(
            user=user.name or user.nkey,
            account=user.account,
            credential=user.password,
            permissions=permissions,
            max_subscriptions=account.max_subscriptions,
            max_payload=account.max_payload,
            proxy_required=user.proxy_required,
        )

    def _password(
        self, stored: str, given: str, identity: Identity, checked: dict[str, bool] | None
    ) -> Outcome:
        if not stored.startswith("$2"):
            return identity if hmac.compare_digest(stored.encode(), given.encode()) else REFUSED
        if checked is None:
            return identity if _bcrypt_matches(stored, given) else REFUSED
        if "password" in checked:
            return identity if checked["password"] else REFUSED

        def work() -> None:
            checked["password"] = _bcrypt_matches(stored, given)

        return work

    def _by_nkey(self, login: Login) -> Outcome:
        user = self._by_key.get(login.given.nkey)
        if user is None or not _may_use(user, login.kind) or not _signed(login, login.given.nkey):
            return REFUSED
        return self._identity(user)

    def _by_certificate(self, login: Login) -> Outcome:
        for name in login.certificate_names:
            user = self._by_name.get(name)
            if user is not None and _may_use(user, login.kind):
                return self._identity(user)
        return REFUSED

    # -- JWT -------------------------------------------------------------------------------------------------
    def _by_token(self, login: Login) -> Outcome:
        try:
            user = tokens.decode(login.given.jwt or self._options.default_sentinel)
        except tokens.TokenError:
            return REFUSED
        if user.kind != "user" or not user.valid_at(self._wall_seconds()):
            return REFUSED
        account_name = str(user.body.get("issuer_account") or user.issuer)
        if self._options.pinned_accounts and account_name not in self._options.pinned_accounts:
            return REFUSED
        fetch = self._resolver.look_up(account_name)
        if fetch is not None:
            return fetch
        account = self._resolver.known(account_name)
        if account is None:
            self._resolver.forget(account_name)  # it may be there the next time
            return REFUSED
        body = _effective_body(user, account)
        if body is None:
            return REFUSED
        bearer = body.get("bearer_token") and not tokens.disallows_bearers(account)
        if not bearer and not _signed(login, user.subject):
            return REFUSED
        return self._of_token(user, account, body, login) or REFUSED

    def _of_token(
        self, user: tokens.Claims, account: tokens.Claims, body: dict[str, Any], login: Login
    ) -> Identity | None:
        """Return as whom a client comes in whose JWT is right; None when it may not now, or not this way."""
        now = self._wall_seconds()
        in_time, until = may_come_at(body, now)
        if not in_time or not may_come_from(body, login.address) or not account.valid_at(now):
            return None
        if tokens.revoked(account, user) or not tokens.may_use(body, login.kind):
            return None
        options = tokens.account_options(account)
        ends = [one for one in (user.expires_at, account.expires_at, until) if one]
        expires_at = min(ends, default=0)
        return Identity(
            user=user.subject,
            account=account.subject,
            permissions=tokens.permissions(body) or options.default_permissions,
            expires_at=expires_at,
            expires="Account" if expires_at and expires_at == account.expires_at else "User",
            max_subscriptions=_smaller(body.get("subs"), options.max_subscriptions),
            max_payload=_smaller(body.get("payload"), options.max_payload),
            issuer=user.issuer,
            token=login.given.jwt,
            name_tag=user.name,
            tags=tokens.tags(user),
            proxy_required=body.get("proxy_required") is True,
        )

    # -- auth callout ----------------------------------------------------------------------------------------
    def callout_rule(self, outcome: Identity | Refusal) -> CalloutOptions | None:
        """Return by which rule a service may have the last word about a client; None when there is none."""
        if not self._operator_keys:
            return self._options.auth_callout
        claims = self._resolver.known(outcome.account) if isinstance(outcome, Identity) else None
        return tokens.callout(claims) if claims is not None else None

    def may_answer(self, rule: CalloutOptions, response: tokens.Claims) -> bool:
        """Return whether an answer is from who is asked; in the configuration the user's JWT alone tells."""
        if not self._operator_keys:
            return True
        claims = self._resolver.known(rule.account)
        issuer = str(response.body.get("issuer_account") or response.issuer)
        return claims is not None and issuer in tokens.signing_keys(claims)

    def called_out(self, rule: CalloutOptions, user: tokens.Claims, login: Login) -> Identity:
        """Return as whom a client comes in for whom the service gave this JWT.

        Raises:
            TokenError: the service may not let it in so.
        """
        behalf = str(user.body.get("issuer_account") or "")
        if not self._operator_keys:
            return self._placed(rule, user, login, behalf)
        name = behalf or user.issuer
        if name != rule.issuer and not {name, "*"} & set(rule.allowed_accounts):
            raise tokens.TokenError(f"account {name!r} is not one the callout may let clients into")
        account = self._resolver.find(name)
        body = _effective_body(user, account) if account is not None else None
        if account is None or body is None:
            raise tokens.TokenError(f"user JWT issuer {user.issuer!r} is not known")
        identity = self._of_token(user, account, body, login)
        if identity is None:
            raise tokens.TokenError("the user may not come in now, or not this way")
        return replace(identity, user=user.name or login.user, callout=rule, token="")

    def _placed(self, rule: CalloutOptions, user: tokens.Claims, login: Login, behalf: str) -> Identity:
        """Return as whom a client comes in whom a service put into an account of the configuration."""
        if behalf:
            raise tokens.TokenError(f"error non operator mode account {rule.account!r}: used issuer_account")
        if user.issuer != rule.issuer:
            raise tokens.TokenError(
                f"wrong issuer for auth callout response on account {rule.account!r}, "
                f"expected {rule.issuer!r} got {user.issuer!r}"
            )
        name = user.audience
        account = self._accounts.get(name)
        if account is None and name != GLOBAL_ACCOUNT:
            raise tokens.TokenError(f"no valid account {name!r} for auth callout response")
        in_time, until = may_come_at(user.body, self._wall_seconds())
        if not in_time or not may_come_from(user.body, login.address):
            raise tokens.TokenError("the user may not come in now, or not from there")
        if not tokens.may_use(user.body, login.kind):
            raise tokens.TokenError("the user may not come in this way")
        account = account or AccountOptions(GLOBAL_ACCOUNT)
        return Identity(
            user=user.name or login.user,
            account=name,
            permissions=tokens.permissions(user.body) or account.default_permissions,
            expires_at=min((one for one in (user.expires_at, until) if one), default=0),
            max_subscriptions=account.max_subscriptions,
            max_payload=account.max_payload,
            callout=rule,
        )

    def account_options(self, name: str) -> AccountOptions | None:
        """Return what is known about an account: from the configuration or from its JWT."""
        configured = self._accounts.get(name)
        if configured is not None:
            return configured
        claims = self._resolver.find(name) if self._operator_keys else None
        return tokens.account_options(claims) if claims is not None else None

    def account_claims(self, name: str) -> tokens.Claims | None:
        """Return what the JWT of an account says that is in use; None for an account without."""
        return self._resolver.known(name) if self._operator_keys else None

    def known_accounts(self) -> list[str]:
        """Return the accounts whose JWTs are at hand from the start."""
        return list(self._options.account_tokens)


def _signed(login: Login, key: str) -> bool:
    try:
        signature = tokens.decode_base64(login.given.sig)
    except ValueError:
        return False
    return bool(login.nonce) and tokens.verify(key, login.nonce, signature)


def is_delegated(rule: CalloutOptions, login: Login, outcome: Identity | Refusal) -> bool:
    """Return whether the service is asked about this client."""
    if login.user in rule.auth_users:
        return False
    if isinstance(outcome, Refusal):
        return True
    if outcome.user in rule.auth_users:
        return False
    elsewhere = outcome.account not in ("", GLOBAL_ACCOUNT, rule.issuer)
    return not (elsewhere and rule.allowed_accounts and outcome.account not in rule.allowed_accounts)


def _effective_body(user: tokens.Claims, account: tokens.Claims) -> dict[str, Any] | None:
    """Return what counts of a user's claims: its own, or the template of the scoped key that signed them.

    None when no key of the account signed them.
    """
    keys = tokens.signing_keys(account)
    if user.issuer not in keys:
        return None
    template = keys[user.issuer]
    if template is None:
        return user.body
    try:
        return fill_template(template, user, account)
    except tokens.TokenError as error:
        log.warning("The JWT of user %s cannot be used: %s", user.subject, error)
        return None


def _bcrypt_matches(stored: str, given: str) -> bool:
    import bcrypt

    try:
        return bcrypt.checkpw(given.encode()[:72], stored.encode())
    except ValueError:
        return False


def _may_use(user: User, kind: str) -> bool:
    return not user.connection_types or kind in user.connection_types


def _smaller(given: object, other: int) -> int:
    limits = [limit for limit in (given, other) if isinstance(limit, int) and limit >= 0]
    return min(limits, default=-1)
