"""Tokens: given, read, expired, forged; on an imagined clock."""

from __future__ import annotations

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.errors import Failure
from memphis_desktop.stations.rest.options import RestOptions
from memphis_desktop.stations.rest.tokens import Bearer, Tokens, proof_of

SECRET, REFRESH = "s" * 40, "r" * 40
NOW = 1_700_000_000.0
BEARER = Bearer("root", 1, proof_of("hash"))
TOKENS = Tokens(SECRET, REFRESH, 15, 300)


def test_a_token_is_read_until_it_expires() -> None:
    issued = TOKENS.issue(BEARER, NOW)
    assert TOKENS.read(issued.jwt, NOW) == BEARER
    assert TOKENS.read(issued.jwt, NOW + 15 * 60 - 1) == BEARER
    assert TOKENS.read(issued.jwt, NOW + 15 * 60) is None
    assert TOKENS.read_refresh(issued.refresh, NOW + 300 * 60 - 1) == BEARER
    assert TOKENS.read_refresh(issued.refresh, NOW + 300 * 60) is None
    assert (issued.expires_in, issued.refresh_expires_in) == (900_000, 18_000_000)


def test_neither_token_stands_for_the_other() -> None:
    issued = TOKENS.issue(BEARER, NOW)
    assert TOKENS.read(issued.refresh, NOW) is None
    assert TOKENS.read_refresh(issued.jwt, NOW) is None


@pytest.mark.parametrize("minutes", [6_000_000, 10**12, 2**70])
def test_very_long_validities(minutes: int) -> None:
    issued = TOKENS.issue(BEARER, NOW, minutes, minutes)
    assert TOKENS.read(issued.jwt, NOW + 365 * 86400) == BEARER


def test_forged_tokens() -> None:
    good = TOKENS.issue(BEARER, NOW).jwt
    claims = jwt.decode(good, SECRET, algorithms=["HS256"], options={"verify_exp": False})
    head, body, signature = good.split(".")
    forged = [
        jwt.encode(claims, "x" * 40, algorithm="HS256"),
        jwt.encode(claims, "", algorithm="none"),
        jwt.encode(claims, "x" * 64, algorithm="HS512"),
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-2]}",
        f"{head}.{body}",
        "",
        jwt.encode({**claims, "username": 5}, SECRET, algorithm="HS256"),
        jwt.encode({key: claims[key] for key in claims if key != "exp"}, SECRET, algorithm="HS256"),
        jwt.encode({**claims, "exp": "soon"}, SECRET, algorithm="HS256"),
        jwt.encode({**claims, "account_id": True}, SECRET, algorithm="HS256"),
    ]
    assert [TOKENS.read(token, NOW) for token in forged] == [None] * len(forged)


@given(st.text(max_size=200))
def test_any_text_is_no_token(text: str) -> None:
    assert TOKENS.read(text, NOW) is None


def test_a_secret_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(Failure):
        RestOptions(jwt_secret="jwt_test_purpose")
