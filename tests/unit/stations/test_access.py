"""What application users may do: patterns of stations, and the subjects that are about each."""

from __future__ import annotations

import fnmatch
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.stations import logins
from memphis_desktop.stations.access import UserAccess, checked_pattern, matches
from memphis_desktop.stations.errors import Refusal
from memphis_desktop.stations.logins import FailureLimit, PasswordCheck
from memphis_desktop.stations.metadata import replace
from memphis_desktop.stations.model import Permissions, User
from memphis_desktop.stations.users import checked_password, checked_user_name, hash_now

READER = Permissions(allow_read=("orders", "my.*"))
WRITER = Permissions(allow_write=("orders",), deny_write=("*.secret",))
BOTH = Permissions(allow_read=("*",), allow_write=("*",), deny_read=("secret*",), deny_write=("secret*",))


def access(permissions: Permissions | None = None, kind: str = "application") -> UserAccess:
    return UserAccess(User("app", kind, "hash", permissions))


# -- patterns ------------------------------------------------------------------------------------------------
_NAMES = st.text("ab.", max_size=12)


@given(st.text("ab*", min_size=1, max_size=12), _NAMES)
def test_patterns_match_any_run(pattern: str, name: str) -> None:
    assert matches(pattern, name) == fnmatch.fnmatchcase(name, pattern)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*", "anything", True),
        (".*", "anything", True),
        ("orders.*", "orders.eu", True),
        ("orders.*", "orders", True),  # as the regular expression that Memphis takes it for
        ("orders", "orders.eu", False),
        ("a*b", "ab", True),
        ("ab*ba", "aba", False),
    ],
)
def test_patterns_as_memphis_has_them(pattern: str, name: str, expected: bool) -> None:
    assert matches(pattern, name) is expected


def test_patterns_never_take_long() -> None:
    assert not matches("a*" * 60 + "b", "a" * 128)


@pytest.mark.parametrize("pattern", ["", "a b", "a>b", "x" * 121, "(a+)+"])
def test_patterns_are_checked(pattern: str) -> None:
    with pytest.raises(Refusal):
        checked_pattern(pattern)


# -- subjects ------------------------------------------------------------------------------------------------
MAY_PUBLISH = [
    (READER, "$JS.API.CONSUMER.MSG.NEXT.orders$1.g", True),
    (READER, "$JS.API.CONSUMER.MSG.NEXT.my#own$2.g", True),
    (READER, "$JS.API.CONSUMER.MSG.NEXT.other$1.g", False),
    (READER, "$JS.API.CONSUMER.INFO.orders$1.g", True),
    (READER, "$JS.API.CONSUMER.CREATE.orders$1.g.orders$1.final", True),
    (READER, "$JS.API.CONSUMER.DURABLE.CREATE.orders$1.g", True),
    (READER, "$JS.API.CONSUMER.DURABLE.CREATE.other$1.g", False),
    (READER, "$JS.API.STREAM.INFO.orders$1", True),
    (READER, "$JS.API.STREAM.INFO.other$1", False),
    (READER, "$JS.API.STREAM.MSG.GET.orders$1", True),
    (READER, "$JS.API.STREAM.MSG.DELETE.orders$1", False),
    (READER, "$JS.API.STREAM.PURGE.orders$1", False),
    (READER, "$JS.API.STREAM.DELETE.orders$1", False),
    (READER, "$JS.API.STREAM.CREATE.new", False),
    (READER, "$JS.API.DIRECT.GET.orders$1.orders$1.final", True),
    (READER, "$JS.API.DIRECT.GET.KV_memphis_users", False),
    (READER, "$JS.API.STREAM.NAMES", True),
    (READER, "$JS.API.INFO", True),
    (READER, "$JS.API.ACCOUNT.PURGE.x", False),
    (READER, "$JS.ACK.orders$1.g.1.2.3.4.5", True),
    (READER, "$JS.ACK.other$1.g.1.2.3.4.5", False),
    (READER, "$JS.ACK._.hash.orders$1.g.1.2.3.4.5.token", True),
    (READER, "$JS.ACK._.hash.other$1.g.1.2.3.4.5.token", False),
    (READER, "orders$1.final", False),
    (READER, "$memphis_consumer_creations", True),
    (READER, "$memphis_sdk_clients_updates", False),
    (READER, "$memphis_schema_updates_orders", False),
    (READER, "$memphis_dls_orders.g", False),
    (READER, "$memphis_manage.users.add", False),
    (READER, "$memphis_connections", False),
    (READER, "$KV.memphis_users.root", False),
    (READER, "$KV.mine.key", False),
    (READER, "_INBOX.a.b", True),
    (READER, "$SYS.REQ.SERVER.PING", False),
    (READER, "$SYS.REQ.USER.INFO", True),
    (WRITER, "orders$1.final", True),
    (WRITER, "orders$2.final", True),
    (WRITER, "other$1.final", False),
    (WRITER, "$JS.API.CONSUMER.MSG.NEXT.orders$1.g", False),
    (BOTH, "anything$1.final", True),
    (BOTH, "secret#one$1.final", False),
    (None, "anything.at.all", True),
    (None, "$JS.API.STREAM.CREATE.mine", True),
    (None, "$JS.API.STREAM.DELETE.KV_memphis_users", False),
    (None, "$JS.API.STREAM.MSG.GET.KV_memphis_users", False),
    (None, "$JS.API.STREAM.INFO.KV_memphis_users", False),
    (None, "$JS.API.CONSUMER.CREATE.KV_memphis_users.x", False),
    (None, "$JS.API.CONSUMER.MSG.NEXT.$memphis_events.service", False),
    (None, "$JS.API.CONSUMER", False),
    (None, "$KV.memphis_users.root", False),
    (None, "$KV.mine.key", True),
    (None, "$memphis_manage.users.add", False),
]


@pytest.mark.parametrize(("permissions", "subject", "expected"), MAY_PUBLISH)
def test_publishing(permissions: Permissions | None, subject: str, expected: bool) -> None:
    assert access(permissions).may_publish(subject.encode()) is expected
    assert access(kind="root").may_publish(subject.encode())


MAY_SUBSCRIBE = [
    (READER, "_INBOX.abc.*", True),
    (READER, "$memphis_sdk_clients_updates", True),
    (READER, "$memphis_schema_updates_orders", True),
    (READER, "$memphis_schema_updates_other", False),
    (READER, "$memphis_functions_updates_my#own", True),
    (READER, "$memphis_dls_orders.g", True),
    (READER, "$memphis_dls_other.g", False),
    (READER, "orders$1.>", True),
    (READER, "other$1.>", False),
    (READER, ">", False),
    (READER, "*.final", False),
    (READER, "$KV.mine.>", False),
    (WRITER, "$memphis_schema_updates_orders", True),
    (WRITER, "$memphis_dls_orders.g", False),
    (None, ">", True),
    (None, "$KV.memphis_users.>", False),
    (None, "$KV.memphis_users.root", False),
    (None, "$memphis_manage.users.add", False),
    (None, "$KV.mine.>", True),
]


@pytest.mark.parametrize(("permissions", "pattern", "expected"), MAY_SUBSCRIBE)
def test_subscribing(permissions: Permissions | None, pattern: str, expected: bool) -> None:
    assert access(permissions).may_subscribe(pattern.encode()) is expected
    assert access(kind="root").may_subscribe(pattern.encode())


def test_wide_subscriptions_leave_out_what_is_secret() -> None:
    assert b"$KV.memphis_users.>" in access().denied_inside(b">")
    assert access().denied_inside(b"$KV.*.root")
    assert access().denied_inside(b"orders.>") == ()
    assert access(kind="root").denied_inside(b">") == ()


@pytest.mark.parametrize(
    ("subject", "document", "expected"),
    [
        ("$memphis_station_creations", {"name": "s", "username": "app"}, True),
        ("$memphis_station_creations", {"name": "s", "username": "app$1"}, True),
        ("$memphis_station_creations", {"name": "s", "username": "root"}, False),
        ("$memphis_station_creations", {"name": "s", "UserName": "root"}, False),
        ("$memphis_schema_creations", {"name": "s", "created_by_username": "root"}, False),
        ("$memphis_pm_acks", {"id": 1, "cg_name": "g"}, True),
        ("$JS.API.STREAM.CREATE.x", {"mirror": {"name": "KV_memphis_users"}}, False),
        ("$JS.API.CONSUMER.CREATE.orders$1", {"config": {"deliver_subject": "other$1.final"}}, False),
        ("$JS.API.CONSUMER.CREATE.orders$1", {"config": {"deliver_subject": "_INBOX.x"}}, True),
    ],
)
def test_requests_speak_for_their_own_user_and_stations(
    subject: str, document: dict[str, object], expected: bool
) -> None:
    content = json.dumps(document).encode()
    assert access(READER).may_send(subject.encode(), content) is expected
    assert access(kind="root").may_send(subject.encode(), content)


def test_answers_go_nowhere_else() -> None:
    assert access(READER).may_receive(b"")
    assert access(READER).may_receive(b"_INBOX.a")
    assert not access(READER).may_receive(b"orders$1.final")


@given(st.text(), st.binary(), st.sampled_from([READER, None]))
def test_any_subject_is_decided(subject: str, content: bytes, permissions: Permissions | None) -> None:
    one, raw = access(permissions), subject.encode()
    assert one.may_publish(raw) in (True, False)
    assert one.may_subscribe(raw) in (True, False)
    assert one.may_send(raw, content) in (True, False)


def test_changes_of_the_user_are_noticed() -> None:
    one = access(READER)
    one.follow(replace(one.user, description="other words"))
    assert (one.revoked, one.outdated) == (False, False)
    one.follow(replace(one.user, permissions=WRITER))
    assert (one.revoked, one.outdated) == (False, True)
    for after in (None, replace(one.user, password_hash="new"), replace(one.user, type="management")):
        one = access(READER)
        one.follow(after)
        assert one.revoked


# -- logins --------------------------------------------------------------------------------------------------
def test_failures_are_limited_by_user_and_by_address() -> None:
    now = 0.0
    limit = FailureLimit(lambda: now, per_user=3, per_address=5, window=10)
    for _ in range(3):
        assert not limit.refuses("a", "root")
        limit.failed("a", "root")
    assert limit.refuses("a", "root")
    assert not limit.refuses("a", "other")
    assert not limit.refuses("b", "root")
    limit.failed("a", "x")
    limit.failed("a", "y")
    assert limit.refuses("a", "other")
    now = 10.0
    assert not limit.refuses("a", "root")


def test_known_passwords_come_in_beside_failures_but_are_not_for_guessing() -> None:
    limit = FailureLimit(lambda: 0.0, per_user=3, per_address=50)
    guesses = 0
    while not limit.refuses("a", "root", known=True):
        assert limit.refuses("a", "root") is (guesses >= 3)
        if guesses < 3:
            limit.failed("a", "root")
        guesses += 1
    assert guesses == 30
    assert not limit.refuses("b", "root", known=True)


def test_failures_are_bounded() -> None:
    limit = FailureLimit(lambda: 0.0, most=10)
    for number in range(100):
        limit.failed(f"10.0.0.{number}", "root")
    assert len(limit._failures) == 10


def test_many_logins_with_one_password_are_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    check, stored = PasswordCheck(), hash_now("memphis")
    compare, compared = logins.bcrypt.checkpw, []

    def counted(password: bytes, hashed: bytes) -> bool:
        compared.append(password)
        return compare(password, hashed)

    monkeypatch.setattr(logins.bcrypt, "checkpw", counted)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: check.matches(stored, "memphis"), range(24)))
    assert answers == [True] * 24
    assert compared == [b"memphis"]
    assert not check.matches(stored, "wrong")


def test_passwords_are_worked_out_once() -> None:
    check, stored = PasswordCheck(), hash_now("memphis")
    assert not check.known(stored, "memphis")
    assert check.matches(stored, "memphis")
    assert check.known(stored, "memphis")
    assert not check.matches(stored, "Memphis")
    assert not check.known(stored, "Memphis")
    assert not check.matches("no hash", "memphis")


@pytest.mark.parametrize("password", ["Aa1!aaa", "aaaa1!aa", "AAAA1!AA", "Aaaaa!aa", "Aaaaa1aa", "Aa1!" * 6])
def test_simple_passwords_are_refused(password: str) -> None:
    with pytest.raises(Refusal, match="Password has to be 8 to 20"):
        checked_password(password)


def test_names_and_passwords() -> None:
    assert checked_password("Aa1!aaaa") == "Aa1!aaaa"
    assert checked_user_name("My.App_1-x") == "my.app_1-x"
    for name in ("", "a b", "x" * 61, "root$1"):
        with pytest.raises(Refusal):
            checked_user_name(name)
