"""What the REST gateway reads out of requests."""

from __future__ import annotations

import contextlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.stations.rest import requests
from memphis_desktop.stations.rest.budget import Budget, OutOfMemory
from memphis_desktop.stations.rest.requests import BadRequest, Route

JSON = "application/json"


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("POST", "/auth/authenticate", Route("authenticate")),
        ("POST", "/AUTH/refreshToken/", Route("refresh")),
        ("GET", "/auth/authenticate", None),
        ("GET", "/monitoring/status", Route("status")),
        ("POST", "/stations/My.Orders/produce/single", Route("produce_single", "My.Orders")),
        ("POST", "/Stations/a%2Fb/Produce/Batch", Route("produce_batch", "a/b")),
        ("POST", "/stations/s/consume/batch", Route("consume_batch", "s")),
        ("PUT", "/stations/s/consume/batch", None),
        ("POST", "/stations/s/consume", None),
        ("POST", "/stations//produce/single/x", None),
        ("GET", "/", None),
    ],
)
def test_routes(method: str, path: str, route: Route | None) -> None:
    assert requests.route_of(method, path) == route


@given(st.text(max_size=40), st.sampled_from(["GET", "POST", "X"]))
def test_any_path_has_a_route_or_none(path: str, method: str) -> None:
    requests.route_of(method, "/" + path)


@pytest.mark.parametrize(
    "read",
    [
        lambda body: requests.login_request(body, JSON, ""),
        lambda body: requests.refresh_request(body, JSON),
        lambda body: requests.fetch_request(body, JSON),
        requests.batch_of,
    ],
)
@given(
    body=st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers(-(2**70), 2**70) | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            "username",
                            "password",
                            "account_id",
                            "batch_size",
                            "consumer_name",
                            "jwt_refresh_token",
                        ]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=8,
        ),
    )
)
def test_any_body_is_read_or_refused(read, body: object) -> None:
    if not isinstance(body, bytes):
        with contextlib.suppress(TypeError):
            body = orjson.dumps(body)
    if isinstance(body, bytes):
        with contextlib.suppress(BadRequest):
            read(body)


@given(st.lists(st.tuples(st.text(min_size=1, max_size=20), st.text(max_size=20)), max_size=10))
def test_headers_of_messages_are_one_line_and_never_the_layers_own(pairs: list[tuple[str, str]]) -> None:
    for name, value in requests.message_headers(pairs).items():
        assert not name.lower().startswith(("nats-", "$memphis"))
        assert name.lower() not in ("authorization", "cookie", "msg-id")
        assert len(value.splitlines()) <= 1


def test_headers_have_their_usual_names_and_first_values() -> None:
    pairs = [("x-trace", "1"), ("X-TRACE", "2"), ("content-type", "text/plain"), ("nats-rollup", "all")]
    assert requests.message_headers(pairs) == {"X-Trace": "1", "Content-Type": "text/plain"}


@pytest.mark.parametrize(
    ("header", "query", "token"),
    [
        ("Bearer abc", "", "abc"),
        ("anything abc", "", "abc"),
        ("abc", "", ""),
        ("a b c", "", ""),
        (None, "authorization=abc", "abc"),
        (None, "x=1", ""),
        ("", "authorization=abc", ""),
    ],
)
def test_where_a_token_is(header: str | None, query: str, token: str) -> None:
    assert requests.bearer_token(header, query) == token


@pytest.mark.parametrize(
    ("fields", "query", "account", "name"),
    [
        ({"username": "Root"}, "", 1, "root"),
        ({"username": "root$7"}, "", 7, "root"),
        ({"username": "root$x"}, "", -1, "root"),
        ({"username": "root$7", "account_id": 3}, "", 3, "root$7"),
        ({"username": "root"}, "accountId=5", 5, "root"),
    ],
)
def test_where_an_account_is(fields: dict[str, object], query: str, account: int, name: str) -> None:
    login = requests.login_request(orjson.dumps(fields), JSON, query)
    assert (login.account_id, login.username) == (account, name)


@pytest.mark.parametrize(
    ("kind", "accepted"),
    [
        ("text/plain", True),
        ("text/html; charset=utf-8", True),
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("application/x-protobuf", True),
        ("application/x-protobuf; x=1", False),
        ("application/octet-stream", False),
        ("", False),
    ],
)
def test_content_types_of_one_message(kind: str, accepted: bool) -> None:
    with contextlib.nullcontext() if accepted else pytest.raises(BadRequest):
        requests.check_single_type(kind)


def test_a_batch_has_a_limit() -> None:
    many = orjson.dumps([{}] * (requests.MAX_BATCH + 1))
    with pytest.raises(BadRequest) as caught:
        requests.batch_of(many)
    assert caught.value.status == 413
    assert len(requests.batch_of(orjson.dumps([{}] * requests.MAX_BATCH))) == requests.MAX_BATCH


def test_a_budget_comes_back() -> None:
    budget = Budget(100)
    with budget.reservation() as one, budget.reservation() as other:
        one.add(60)
        with pytest.raises(OutOfMemory):
            other.add(60)
        other.add(40)
        assert budget.free == 0
    assert budget.free == 100
