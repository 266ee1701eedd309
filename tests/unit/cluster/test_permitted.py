"""What a server tells of a login, and what that allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.cluster.failures import ConnectionFailure
from memphis_desktop.cluster.permitted import Rules, abilities, expiry, parse
from memphis_desktop.cluster.probe import DEFAULT_PORTS, Target

READING = ("list streams", "list groups", "read messages")
CHANGING = ("create streams", "create groups", "delete streams")


def may(prefix: str = "$JS.API", **publish: list[str]) -> tuple[str, ...]:
    info = parse({"user": "ada", "account": "A", "permissions": {"publish": publish}})
    allowed, refused = abilities(info, prefix)
    assert set(allowed) | set(refused) == {*READING, *CHANGING}
    return tuple(allowed)


def test_without_rules_everything_is_allowed() -> None:
    assert may() == READING + CHANGING
    assert abilities(parse({}), "$JS.API")[1] == []


def test_what_is_not_allowed_is_not() -> None:
    assert may(allow=["orders.>"]) == ()
    assert may(allow=["$JS.API.STREAM.LIST", "$JS.API.DIRECT.GET.>"]) == ("list streams", "read messages")
    assert may(allow=["$JS.API.STREAM.MSG.GET.*"]) == ("read messages",)
    assert may(allow=["$JS.API.STREAM.CREATE.orders"]) == (), "of one stream is not of every stream"


def test_what_is_denied_is_not_allowed_whatever_else_is() -> None:
    assert may(deny=["$JS.API.STREAM.DELETE.orders"]) == READING + CHANGING[:-1]
    assert may(allow=[">"], deny=["$JS.API.*.CREATE.>"]) == (*READING, "delete streams")


def test_another_prefix_of_the_api_counts() -> None:
    assert may("$JS.hub.API", allow=["$JS.API.>"]) == ()
    assert may("$JS.hub.API", allow=["$JS.hub.API.>"]) == READING + CHANGING


def test_rules_of_queue_groups_say_nothing_of_others() -> None:
    assert Rules(("a",)) == parse({"permissions": {"subscribe": {"allow": ["a", "b workers"]}}}).subscribe


def test_the_end_of_a_login_is_said_in_the_unit_that_fits() -> None:
    assert expiry(None) == ""
    assert expiry(20 * 86400).endswith("in 20 days")
    assert expiry(7200).endswith("in 2 hours")
    assert parse({"expires": 5_000_000_000}).expires_seconds == 5


@pytest.mark.parametrize("scheme", DEFAULT_PORTS)
def test_a_url_has_its_schemes_port(scheme: str) -> None:
    target = Target(f"{scheme}://ada:geheim@host.example")
    assert (target.host, target.port) == ("host.example", DEFAULT_PORTS[scheme])
    assert "geheim" not in target.address


@given(st.text())
def test_any_text_is_a_url_or_told_to_be_none(text: str) -> None:
    try:
        target = Target(text)
    except ConnectionFailure:
        return
    assert target.host
    assert 0 < target.port < 65536
