"""The account of a connection: permissions judged as servers do, JWTs, answers turned into records."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.broker import nkeys
from memphis_desktop.broker.options import PermissionRules, SubjectRule
from memphis_desktop.broker.permissions import Permissions
from memphis_desktop.cluster.account import reading, token
from memphis_desktop.cluster.account.model import Usage
from memphis_desktop.cluster.account.rules import (
    Reason,
    Responses,
    RuleList,
    UserRules,
    Verdict,
    of_server,
    of_token,
)
from memphis_desktop.cluster.failures import ConnectionFailure
from memphis_desktop.cluster.profiles import CredentialKind, Credentials
from memphis_desktop.protocol.subjects import matches
from tests.operators import Account, Key, write_creds

LIMITED = of_server(
    {
        "publish": {"allow": ["orders.>", "_INBOX.>"], "deny": ["orders.secret.>"]},
        "subscribe": {
            "allow": ["orders.*", "work.> crew.*", "both.>", "both.> one"],
            "deny": ["orders.bad", "deny.* dq"],
        },
    }
)


@pytest.mark.parametrize(
    ("subject", "verdict", "rule"),
    [
        ("orders.new", Verdict.ALLOWED, "orders.>"),
        ("orders.secret.1", Verdict.DENIED, "orders.secret.>"),
        ("orders", Verdict.DENIED, ""),
        ("orders.*", Verdict.ALLOWED, "orders.>"),
        ("orders.>", Verdict.PARTLY, "orders.>"),
        ("orders.secret.*", Verdict.DENIED, "orders.secret.>"),
        (">", Verdict.PARTLY, "_INBOX.>"),  # the first of those it overlaps
        ("other.*", Verdict.DENIED, ""),
        ("a..b", Verdict.INVALID, ""),
        ("", Verdict.INVALID, ""),
        ("a b", Verdict.INVALID, ""),
    ],
)
def test_publishing(subject: str, verdict: Verdict, rule: str) -> None:
    answer = LIMITED.may_publish(subject)
    assert (answer.verdict, answer.rule) == (verdict, rule)
    assert not answer.answers


@pytest.mark.parametrize(
    ("subject", "queue", "verdict", "rule"),
    [
        ("orders.new", "", Verdict.ALLOWED, "orders.*"),
        ("orders.new", "any", Verdict.ALLOWED, "orders.*"),
        ("orders.*", "", Verdict.PARTLY, "orders.*"),
        ("orders.bad", "", Verdict.DENIED, "orders.bad"),
        ("work.1", "", Verdict.DENIED, "work.> crew.*"),
        ("work.1", "crew.a", Verdict.ALLOWED, "work.> crew.*"),
        ("work.1", "zz", Verdict.DENIED, "work.> crew.*"),
        ("both.x", "", Verdict.ALLOWED, "both.>"),
        ("both.x", "one", Verdict.ALLOWED, "both.> one"),
        ("both.x", "two", Verdict.DENIED, "both.> one"),
        (">", "", Verdict.DENIED, ""),
        ("orders.new", "a b", Verdict.INVALID, ""),
    ],
)
def test_subscribing(subject: str, queue: str, verdict: Verdict, rule: str) -> None:
    answer = LIMITED.may_subscribe(subject, queue)
    assert (answer.verdict, answer.rule) == (verdict, rule)


def test_what_is_withheld_is_named() -> None:
    assert LIMITED.may_subscribe("orders.*").withheld == ("orders.bad",)
    assert LIMITED.may_publish("orders.>").withheld == ("orders.secret.>",)


def test_servers_differ_in_what_a_star_stands_for() -> None:
    assert LIMITED.may_subscribe("orders.>").verdict is Verdict.PARTLY  # nats-server: word by word
    assert LIMITED.may_subscribe("orders.>", strict=True).verdict is Verdict.DENIED


def test_without_permissions_everything_is_allowed() -> None:
    for answer in (UserRules().may_publish("a.b"), UserRules().may_subscribe(">", "q")):
        assert (answer.verdict, answer.reason) == (Verdict.ALLOWED, Reason.UNLIMITED)
    only_denied = of_server({"publish": {"deny": ["secret"]}})
    assert only_denied.may_publish("open").reason is Reason.NOT_DENIED


def test_who_may_answer_may_publish_nothing_else() -> None:
    rules = of_server({"responses": {"max": 3, "ttl": 60_000_000_000}})
    assert rules.responses == Responses(3, 60.0)
    assert rules.publish == RuleList((), ())
    answer = rules.may_publish("anything")
    assert (answer.verdict, answer.answers) == (Verdict.DENIED, True)
    assert rules.may_subscribe("anything").verdict is Verdict.ALLOWED
    assert of_token({"pub": {"allow": ["x"]}, "resp": {"max": 1}}).may_publish("x").verdict is Verdict.ALLOWED


_words = st.sampled_from(["a", "b", "c", "*"])
_patterns = st.builds(
    lambda words, end: ".".join([*words, ">"] if end else words),
    st.lists(_words, min_size=1, max_size=3),
    st.booleans(),
)
_queues = st.sampled_from(["", "q", "r", "q.x"])
_entries = st.builds(
    lambda pattern, queue: f"{pattern} {queue}" if queue else pattern,
    _patterns,
    st.sampled_from(["", "", "q", "q.*", ">"]),
)
_literals = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(".".join)
_allow = st.none() | st.lists(_patterns, max_size=3)


@given(allow=_allow, deny=st.lists(_patterns, max_size=3), subject=_literals)
def test_publishing_is_judged_as_matching_says(
    allow: list[str] | None, deny: list[str], subject: str
) -> None:
    rules = UserRules(publish=RuleList(tuple(allow) if allow is not None else None, tuple(deny)))
    literal = subject.encode()
    expected = (allow is None or any(matches(one.encode(), literal) for one in allow)) and not any(
        matches(one.encode(), literal) for one in deny
    )
    verdict = rules.may_publish(subject).verdict
    assert verdict is (Verdict.ALLOWED if expected else Verdict.DENIED)
    broker = Permissions(
        PermissionRules(publish=SubjectRule(tuple(allow) if allow is not None else None, tuple(deny))),
        time.monotonic,
    )
    assert broker.may_publish(literal) == expected


@given(
    allow=st.none() | st.lists(_entries, max_size=3),
    deny=st.lists(_entries, max_size=3),
    subject=_patterns,
    queue=_queues,
)
def test_subscribing_is_judged_as_the_broker_does(
    allow: list[str] | None, deny: list[str], subject: str, queue: str
) -> None:
    given_ = RuleList(tuple(allow) if allow is not None else None, tuple(deny))
    broker = Permissions(PermissionRules(subscribe=SubjectRule(given_.allow, given_.deny)), time.monotonic)
    answer = UserRules(subscribe=given_).may_subscribe(subject, queue, strict=True)
    assert (answer.verdict is not Verdict.DENIED) == broker.may_subscribe(subject.encode(), queue.encode())
    if answer.verdict is not Verdict.DENIED:
        withheld = tuple(one.decode() for one in broker.denied_inside(subject.encode()))
        assert answer.withheld == withheld


@given(
    allow=_allow,
    deny=st.lists(_patterns, max_size=3),
    pattern=_patterns,
    subjects=st.lists(_literals, max_size=12),
)
def test_a_pattern_is_judged_for_all_that_it_covers(
    allow: list[str] | None, deny: list[str], pattern: str, subjects: list[str]
) -> None:
    rules = UserRules(publish=RuleList(tuple(allow) if allow is not None else None, tuple(deny)))
    verdict = rules.may_publish(pattern).verdict
    for subject in subjects:
        if matches(pattern.encode(), subject.encode()):
            single = rules.may_publish(subject).verdict
            if verdict is Verdict.ALLOWED:
                assert single is Verdict.ALLOWED
            elif verdict is Verdict.DENIED:
                assert single is Verdict.DENIED


# -- JWTs ----------------------------------------------------------------------------------------------------


def test_a_users_token_says_what_it_may() -> None:
    operator = Key(nkeys.OPERATOR)
    account = Account(operator, "shop", conn=10)
    expires = int(time.time()) + 3600
    text, seed = account.user(
        "billing",
        expires,
        pub={"allow": ["orders.>"], "deny": ["orders.x"]},
        resp={"max": 2, "ttl": 1_000_000_000},
        subs=50,
        tags=["team:blue"],
        src=["10.0.0.0/8"],
        times=[{"start": "08:00:00", "end": "17:00:00"}],
        allowed_connection_types=["STANDARD"],
    )
    facts = token.decode(text)
    assert (facts.kind, facts.name, facts.account) == ("user", "billing", account.key.public)
    assert facts.issuer == account.key.public
    assert facts.expires_ns == expires * 1_000_000_000
    assert facts.limits == {"subs": 50, "data": -1, "payload": -1}
    assert facts.genuine
    assert not facts.scoped
    assert facts.rules.publish == RuleList(("orders.>",), ("orders.x",))
    assert facts.rules.responses == Responses(2, 1.0)
    assert (facts.networks, facts.times) == (("10.0.0.0/8",), ("08:00:00 – 17:00:00",))
    assert (facts.tags, facts.connection_types) == (("team:blue",), ("STANDARD",))
    assert text not in repr(facts)
    assert seed not in repr(facts)


def test_a_token_signed_by_another_is_not_genuine() -> None:
    text, _ = Account(Key(nkeys.OPERATOR), "a").user("u")
    other, _ = Account(Key(nkeys.OPERATOR), "a").user("u")
    assert not token.decode(".".join([*text.split(".")[:2], other.split(".")[2]])).genuine


def test_an_accounts_token_has_limits_by_tier() -> None:
    operator = Key(nkeys.OPERATOR)
    tiers = {"R1": {"disk_storage": 1000, "streams": 5}, "R3": {"disk_storage": 300}}
    facts = token.decode(Account(operator, "shop", conn=7, tiered_limits=tiers).token)
    assert (facts.kind, facts.limits["conn"]) == ("account", 7)
    assert facts.limits["R1 disk_storage"] == 1000
    assert facts.limits["R3 disk_storage"] == 300


def test_logins_are_read_from_where_they_lie(tmp_path: Path) -> None:
    text, seed = Account(Key(nkeys.OPERATOR), "a").user("carla")
    path = write_creds(tmp_path / "u.creds", text, seed)
    facts = token.of_login(Credentials(CredentialKind.CREDS, creds_path=str(path)))
    assert facts is not None
    assert facts.name == "carla"
    given_ = token.of_login(Credentials(CredentialKind.JWT, user_jwt=text, user_seed=seed))
    assert given_ == facts == token.of_file(str(path))
    (tmp_path / "u.jwt").write_text(text + "\n")
    assert token.of_file(str(tmp_path / "u.jwt")) == facts
    assert token.of_login(Credentials(CredentialKind.PASSWORD, user="x", password="y")) is None
    with pytest.raises(ConnectionFailure):
        token.of_login(Credentials(CredentialKind.CREDS, creds_path=str(tmp_path / "none.creds")))


def _made(claims: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


@pytest.mark.parametrize(
    "text", ["", "a.b", "a.b.c", "e30.e30.e30", _made([]), _made({"nats": {"type": "server"}})]
)
def test_what_is_no_token_is_said_to_be_none(text: str) -> None:
    with pytest.raises(token.TokenError):
        token.decode(text)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_claims = st.fixed_dictionaries(
    {
        "iss": _json,
        "sub": _json,
        "nats": st.fixed_dictionaries({"type": st.sampled_from(["user", "account"])}),
    },
    optional={"exp": _json, "iat": _json, "name": _json},
)


@given(
    claims=_claims, more=st.dictionaries(st.sampled_from(["pub", "limits", "src", "times", "resp"]), _json)
)
def test_a_hostile_token_raises_nothing_else(claims: dict[str, Any], more: dict[str, Any]) -> None:
    claims["nats"] |= more
    try:
        token.decode(_made(claims))
    except token.TokenError:
        return


@given(st.text(max_size=200))
def test_any_text_raises_nothing_else(text: str) -> None:
    with pytest.raises(token.TokenError):
        token.decode(text)


# -- answers -------------------------------------------------------------------------------------------------


def test_jetstream_is_told_by_tiers_where_there_are_any() -> None:
    plain = {"memory": 5, "storage": 10, "streams": 2, "consumers": 3, "limits": {"max_storage": 40}}
    usages = {one.key: one for one in reading.jetstream(plain)}
    assert usages["storage"] == Usage("storage", 10, 40, "jetstream")
    assert usages["storage"].share == 0.25
    assert usages["streams"].limit == -1
    assert usages["streams"].share is None
    tiered = {
        "limits": {"max_storage": 0},
        "tiers": {
            "R3": {"storage": 30, "limits": {"max_storage": 300, "max_streams": 5}},
            "R1": {"storage": 10, "reserved_storage": 20, "limits": {"max_storage": 100}},
        },
    }
    found = [(one.tier, one.key, one.used, one.limit) for one in reading.jetstream(tiered)]
    assert ("R1", "storage", 10, 100) in found
    assert ("R1", "reserved_storage", 20, 100) in found
    assert ("R3", "storage", 30, 300) in found
    assert [tier for tier, *_ in found] == sorted(tier for tier, *_ in found)


def test_the_servers_figures_are_added_up() -> None:
    part = {
        "conns": 2,
        "leafnodes": 1,
        "num_subscriptions": 5,
        "slow_consumers": 1,
        "sent": {"msgs": 3, "bytes": 30},
        "received": {"msgs": 4, "bytes": 40},
    }
    totals = reading.statistics([{"data": {"account_statz": [part]}}, {"data": {"account_statz": [part]}}])
    assert (totals["connections"], totals["leafnodes"], totals["bytes_in"]) == (4, 2, 80)
    limits = token.decode(Account(Key(nkeys.OPERATOR), "a", conn=8, payload=100).token)
    usages = {one.key: one for one in reading.account_limits(totals, limits)}
    assert usages["connections"].share == 0.5
    assert usages["payload"].limit == 100
    assert usages["subscriptions"].limit == -1
    assert {one.key for one in reading.account_limits({}, None)} == set()


def test_exports_and_imports_without_those_everybody_has() -> None:
    detail = {
        "exports": [
            {"subject": "help.>", "type": "service", "response_type": "Stream"},
            {"subject": "news.>", "type": "stream", "approved_accounts": ["B", "C"]},
        ],
        "imports": [
            {
                "subject": "$SYS.REQ.ACCOUNT.A.CONNZ",
                "local_subject": "$SYS.REQ.SERVER.PING.CONNZ",
                "account": "$SYS",
                "type": "service",
            },
            {"subject": "ask.>", "to": "frag.>", "account": "B", "type": "service", "invalid": True},
        ],
    }
    found = reading.sharings(detail)
    assert [(one.direction, one.subject, one.local, one.account) for one in found] == [
        ("export", "help.>", "", ""),
        ("export", "news.>", "", "B, C"),
        ("import", "ask.>", "frag.>", "B"),
    ]
    assert (found[0].note, found[2].invalid) == ("Stream", True)


def test_as_whom_the_server_takes_us() -> None:
    user = reading.user(
        {"user": "UABC", "user_name": "carla", "account": "AABC", "account_name": "shop", "expires": 10**9}
    )
    assert (user.name, user.account_name) == ("carla", "shop")
    assert user.rules.unlimited
    assert user.expires_ns is not None
    assert 0 < user.expires_ns - time.time_ns() <= 10**9
