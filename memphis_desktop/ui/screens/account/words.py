"""What is known of an account, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from memphis_desktop.cluster.account.model import AccountFacts, Usage
from memphis_desktop.cluster.account.rules import Answer, Reason, RuleList, UserRules, Verdict
from memphis_desktop.cluster.account.token import TokenFacts
from memphis_desktop.cluster.profiles import ConnectionProfile, CredentialKind
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures

_BYTES = {
    "storage",
    "memory",
    "reserved_storage",
    "reserved_memory",
    "storage_max_stream_bytes",
    "memory_max_stream_bytes",
    "payload",
    "data",
}
_NAMES = {
    "storage": tr("Storage on disk"),
    "memory": tr("Storage in memory"),
    "reserved_storage": tr("Reserved on disk"),
    "reserved_memory": tr("Reserved in memory"),
    "streams": tr("Streams"),
    "consumers": tr("Consumers"),
    "max_ack_pending": tr("Unacknowledged messages of a consumer"),
    "storage_max_stream_bytes": tr("A stream's size on disk"),
    "memory_max_stream_bytes": tr("A stream's size in memory"),
    "connections": tr("Connections"),
    "leafnodes": tr("Leaf nodes"),
    "subscriptions": tr("Subscriptions"),
    "payload": tr("A message's size"),
    "data": tr("Data in all"),
    "imports": tr("Imports"),
    "exports": tr("Exports"),
}
_GROUPS = {"jetstream": tr("JetStream"), "account": tr("account"), "user": tr("this login")}
# What people do, and the subjects it takes: one of them is enough.
_ABILITIES = (
    (tr("List streams"), ("STREAM.NAMES", "STREAM.LIST")),
    (tr("Read messages of any stream"), ("DIRECT.GET.>", "STREAM.MSG.GET.*")),
    (tr("Create streams"), ("STREAM.CREATE.*",)),
    (tr("Change streams"), ("STREAM.UPDATE.*",)),
    (tr("Purge streams"), ("STREAM.PURGE.*",)),
    (tr("Delete streams"), ("STREAM.DELETE.*",)),
    (tr("Delete messages"), ("STREAM.MSG.DELETE.*",)),
    (tr("List consumer groups"), ("CONSUMER.NAMES.*", "CONSUMER.LIST.*")),
    (tr("Create consumer groups"), ("CONSUMER.CREATE.>", "CONSUMER.DURABLE.CREATE.*.*")),
    (tr("Pull messages of any group"), ("CONSUMER.MSG.NEXT.*.*",)),
    (tr("Delete consumer groups"), ("CONSUMER.DELETE.*.*",)),
)
_BESIDES = (
    (tr("Acknowledge messages"), "$JS.ACK.>"),
    (tr("Write to any key-value bucket"), "$KV.>"),
    (tr("Write to any object bucket"), "$O.>"),
    (tr("See the connections of the account"), "$SYS.REQ.SERVER.PING.CONNZ"),
)
VERDICT_MARK = {
    Verdict.ALLOWED: ("good", tr("may")),
    Verdict.PARTLY: ("warning", tr("partly")),
    Verdict.DENIED: ("bad", tr("may not")),
    Verdict.INVALID: ("muted", tr("no subject")),
}


def usage_name(usage: Usage) -> str:
    """What is used."""
    return _NAMES.get(usage.key, usage.key)


def usage_group(usage: Usage) -> str:
    """Whose limit it is."""
    group = _GROUPS.get(usage.group, usage.group)
    return f"{group} {usage.tier}" if usage.tier else group


def amount(usage: Usage, value: int | None) -> str:
    """So much of it."""
    if value is None:
        return figures.UNKNOWN
    return figures.bytes_size(value) if usage.key in _BYTES else figures.integer(value)


def limit_text(usage: Usage) -> str:
    """The limit; 0 lets nothing of it."""
    if usage.limit is None:
        return tr("not told")
    return tr("none") if usage.limit < 0 else amount(usage, usage.limit)


# Permissions


@dataclass(frozen=True, slots=True)
class Ability:
    """A line of what a user may do: `order` keeps them as they are told."""

    order: int
    verdict: Verdict
    what: str
    subject: str
    queue: str = ""
    note: str = ""


def abilities(rules: UserRules, api_prefix: str) -> list[Ability]:
    """What a user may do: what its rules say, then what that means for JetStream."""
    return [
        Ability(number, *line) for number, line in enumerate([*_rules(rules), *_means(rules, api_prefix)])
    ]


_Line = tuple[Verdict, str, str, str, str]


def _rules(rules: UserRules) -> Iterator[_Line]:
    if rules.unlimited:
        note = tr("No permissions are set for this user.")
        yield Verdict.ALLOWED, tr("Publish and subscribe to everything"), ">", "", note
        return
    yield from _side(rules.publish, tr("Publish"))
    if rules.responses is not None:
        most, seconds = rules.responses.most, rules.responses.seconds
        parts = [
            tr_count("{count} answer to each", "{count} answers to each", most, count=figures.integer(most))
            if most
            else tr("any number of answers"),
            tr("within {span}", span=figures.duration(seconds)) if seconds else tr("at any time"),
        ]
        yield Verdict.ALLOWED, tr("Answer requests that it receives"), "", "", ", ".join(parts)
    yield from _side(rules.subscribe, tr("Subscribe"))


def _side(rules: RuleList, what: str) -> Iterator[_Line]:
    if rules.allow is None:
        note = tr("There is no list of what is allowed.") if rules.deny else ""
        yield Verdict.PARTLY if rules.deny else Verdict.ALLOWED, what, ">", "", note
    elif not rules.allow:
        yield Verdict.DENIED, what, ">", "", tr("Nothing is allowed but answers.")
    for verdict, entries in ((Verdict.ALLOWED, rules.allow or ()), (Verdict.DENIED, rules.deny)):
        for entry in entries:
            subject, _, queue = entry.partition(" ")
            note = tr("Only with this queue group") if queue and verdict is Verdict.ALLOWED else ""
            yield verdict, what, subject, queue.strip(), note


def _means(rules: UserRules, api_prefix: str) -> Iterator[_Line]:
    for what, suffixes in _ABILITIES:
        yield _best(rules, what, [f"{api_prefix}.{suffix}" for suffix in suffixes])
    for what, subject in _BESIDES:
        yield _best(rules, what, [subject])


def _best(rules: UserRules, what: str, subjects: list[str]) -> _Line:
    order = (Verdict.ALLOWED, Verdict.PARTLY, Verdict.DENIED, Verdict.INVALID)
    answers = [(order.index(rules.may_publish(subject).verdict), subject) for subject in subjects]
    place, subject = min(answers)
    return order[place], what, subject, "", ""


def judgement(answer: Answer, subject: str, queue: str, *, publishing: bool) -> str:
    """An answer of the tester in a sentence or two."""
    if answer.verdict is Verdict.INVALID:
        return tr("{subject} is no valid subject: words divided by dots, none empty.", subject=subject or "–")
    sentences = [_verdict(answer, subject, queue, publishing), _reason(answer)]
    if answer.withheld:
        names = ", ".join(answer.withheld)
        sentences.append(
            tr("Refused inside it: {names}.", names=names)
            if publishing
            else tr("Messages on {names} are not delivered.", names=names)
        )
    if answer.answers:
        sentences.append(tr("As the answer to a request that it received it is allowed."))
    return " ".join(filter(None, sentences))


def _verdict(answer: Answer, subject: str, queue: str, publishing: bool) -> str:
    if publishing:
        return {
            Verdict.ALLOWED: tr("It may publish to {subject}.", subject=subject),
            Verdict.PARTLY: tr("It may publish to a part of {subject}.", subject=subject),
            Verdict.DENIED: tr("It may not publish to {subject}.", subject=subject),
        }[answer.verdict]
    allowed = answer.verdict is not Verdict.DENIED
    if queue:
        return (
            tr("It may subscribe to {subject} with the queue group {queue}.", subject=subject, queue=queue)
            if allowed
            else tr(
                "It may not subscribe to {subject} with the queue group {queue}.",
                subject=subject,
                queue=queue,
            )
        )
    if allowed:
        return tr("It may subscribe to {subject}.", subject=subject)
    return tr("It may not subscribe to {subject}.", subject=subject)


def _reason(answer: Answer) -> str:
    return {
        Reason.UNLIMITED: tr("No permissions are set for this user."),
        Reason.NOT_DENIED: tr("Everything is allowed that is not denied, and this is not."),
        Reason.ALLOWED_BY: tr("Allowed by {rule}.", rule=answer.rule),
        Reason.DENIED_BY: tr("Denied by {rule}.", rule=answer.rule),
        Reason.NOT_LISTED: tr("Nothing in the list of what is allowed covers it."),
        Reason.QUEUE_NOT_LISTED: tr("{rule} allows it to other queue groups only.", rule=answer.rule),
        Reason.NO_SUBJECT: "",
    }[answer.reason]


# The login

_KINDS = {
    CredentialKind.NONE: tr("none"),
    CredentialKind.TOKEN: tr("token"),
    CredentialKind.PASSWORD: tr("user and password"),
    CredentialKind.NKEY: tr("nkey"),
    CredentialKind.CREDS: tr("creds file"),
    CredentialKind.JWT: tr("JWT and seed"),
    CredentialKind.NSC: tr("nsc store"),
    CredentialKind.MEMPHIS: tr("Memphis user"),
    CredentialKind.MEMPHIS_TOKEN: tr("Memphis connection token"),
}


@dataclass(frozen=True, slots=True)
class LoginLine:
    """A fact of the login: `token` colours it."""

    section: str
    name: str
    value: str
    token: str = ""


def login_lines(profile: ConnectionProfile, facts: AccountFacts, now_ns: int) -> list[LoginLine]:
    """What is known of a login and of its account; no secret, and no JWT as a whole."""
    section = tr("Login")
    login = profile.credentials
    lines = [LoginLine(section, tr("Kind"), _KINDS[login.kind])]
    path = login.creds_path or login.nkey_path or login.nsc
    if path:
        lines.append(LoginLine(section, tr("From"), path))
    user = facts.user
    if user is not None:
        lines.append(LoginLine(section, tr("User"), user.name or tr("nameless")))
        lines.append(LoginLine(section, tr("Account"), user.account_name))
        if user.account != user.account_name:
            lines.append(LoginLine(section, tr("Account key"), user.account))
        lines.append(_end_line(section, tr("Ends"), user.expires_ns, now_ns))
    if facts.token is not None:
        lines += token_lines(tr("JWT of the user"), facts.token, now_ns)
    if facts.account_token is not None:
        lines += token_lines(tr("JWT of the account"), facts.account_token, now_ns)
    return lines


def token_lines(section: str, token: TokenFacts, now_ns: int) -> list[LoginLine]:
    """What a JWT says, line by line."""
    genuine = (tr("matches the issuer"), "good") if token.genuine else (tr("is not the issuer's"), "bad")
    lines = [
        LoginLine(section, tr("Name"), token.name or tr("nameless")),
        LoginLine(section, tr("Key"), token.subject),
        LoginLine(section, tr("Issuer"), token.issuer),
    ]
    if token.account and token.account != token.issuer:
        lines.append(LoginLine(section, tr("Account key"), token.account))
    lines.append(LoginLine(section, tr("Signature"), *genuine))
    if token.issued_ns is not None:
        lines.append(LoginLine(section, tr("Issued"), _when(token.issued_ns, now_ns)))
    if token.not_before_ns is not None:
        lines.append(LoginLine(section, tr("Not before"), _when(token.not_before_ns, now_ns)))
    lines.append(_end_line(section, tr("Expires"), token.expires_ns, now_ns))
    if token.bearer:
        text = tr("yes: who has the JWT needs no seed")
        lines.append(LoginLine(section, tr("Bearer"), text, "warning"))
    if token.scoped:
        text = tr("by the account's signing key, not in this JWT")
        lines.append(LoginLine(section, tr("Permissions"), text))
    for name, values in (
        (tr("Tags"), token.tags),
        (tr("From networks"), token.networks),
        (tr("At times"), token.times),
        (tr("Ways in"), token.connection_types),
        (tr("Signing keys"), token.signing_keys),
    ):
        if values:
            lines.append(LoginLine(section, name, ", ".join(values)))
    for key, limit in token.limits.items():
        lines.append(LoginLine(section, tr("Limit {name}", name=key), _limit(key, limit)))
    return lines


def _limit(key: str, limit: int) -> str:
    if limit < 0:
        return tr("none")
    sized = key.endswith(("storage", "data", "payload"))
    return figures.bytes_size(limit) if sized else figures.integer(limit)


def _when(at_ns: int, now_ns: int) -> str:
    return f"{figures.minute(at_ns)} UTC, {figures.relative_time(at_ns, now_ns)}"


def _end_line(section: str, name: str, at_ns: int | None, now_ns: int) -> LoginLine:
    if at_ns is None:
        return LoginLine(section, name, tr("never"))
    days = (at_ns - now_ns) / 86_400e9
    return LoginLine(
        section, name, _when(at_ns, now_ns), "bad" if days < 0 else "warning" if days < 7 else ""
    )
