"""Answers of an auth callout service: nothing but the right one lets anybody in, whatever the bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memphis_desktop.broker import nkeys
from memphis_desktop.broker.auth_callout import SUBJECT, Question
from memphis_desktop.broker.authentication import Identity, Login
from memphis_desktop.broker.key_pairs import CurveKey, NodeKeys, SigningKey
from memphis_desktop.broker.node import BrokerNode
from memphis_desktop.broker.options import BrokerOptions, CalloutOptions, ReloadError, User
from memphis_desktop.broker.tokens import TokenError, decode
from memphis_desktop.protocol.connect import ConnectOptions
from tests.unit.broker.conftest import OpenClient, StartNode

ISSUER = SigningKey(nkeys.ACCOUNT)
RULE = CalloutOptions(ISSUER.public, auth_users=("auth",))


VALUES = st.text() | st.integers(-(2**63), 2**63 - 1) | st.lists(st.text(), max_size=2)


def hello(user: str) -> bytes:
    login = {"verbose": False, "protocol": 1, "headers": True, "user": user, "pass": user}
    return b"CONNECT " + json.dumps(login).encode() + b"\r\n"


@pytest_asyncio.fixture
async def node(start_node: StartNode) -> AsyncIterator[BrokerNode]:
    yield await start_node(users=[User("auth", "auth")], auth_callout=RULE, auth_timeout=0.4)


@pytest.fixture
def question() -> Question:
    node = BrokerNode(BrokerOptions(auth_callout=RULE))
    node.clock = FixedClock()  # type: ignore[assignment]
    asked = Question(node, Login(ConnectOptions(user="x")), RULE, Identity())
    asked._user = SigningKey(nkeys.USER).public
    return asked


class FixedClock:
    def time_ns(self) -> int:
        return 1_000_000_000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.binary(max_size=200) | st.text(max_size=80).map(lambda text: text.encode()))
def test_no_other_bytes_are_an_answer(question: Question, answer: bytes) -> None:
    with pytest.raises((TokenError, ValueError)):
        question._judge(answer)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.dictionaries(st.sampled_from(["jwt", "error", "type", "issuer_account"]), VALUES))
def test_no_other_claims_are_an_answer(question: Question, body: dict[str, object]) -> None:
    token = ISSUER.issue({"sub": question._user, "aud": question._node.server_id, "nats": body})
    with pytest.raises((TokenError, ValueError)):
        question._judge(token.encode())


def test_sealed_messages_open_for_their_reader_only() -> None:
    node, service, other = CurveKey(), CurveKey(), CurveKey()
    sealed = node.seal(b"question", service.public)
    assert service.open(sealed, node.public) == b"question"
    for key, sender in ((other, node.public), (service, other.public)):
        with pytest.raises(ValueError, match="not encrypted"):
            key.open(sealed, sender)
    with pytest.raises(ValueError, match="not an encrypted message"):
        service.open(b"question", node.public)


def test_a_key_that_comes_late_signs_all_the_same() -> None:
    keys = NodeKeys(needed=False)
    assert keys.server_id.startswith("N")
    assert keys.curve_name.startswith("X")
    token = keys.signing.issue({"sub": "x", "nats": {}})
    with pytest.raises(TokenError):  # a server's key issues no claims that others would trust
        decode(token)


async def test_who_goes_before_the_answer_leaves_nothing(node: BrokerNode, open_client: OpenClient) -> None:
    service = await open_client(node, hello("auth"))
    service.send(f"SUB {SUBJECT} 1\r\n".encode())
    await service.synchronise()
    before = node.default_account.router.count
    client = await open_client(node, None)
    client.send(hello("x"))
    await service.until(b"\r\n")  # the question
    client.close()
    async with asyncio.timeout(10):
        while node.default_account.router.count != before:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


async def test_a_reload_cannot_change_who_is_asked(node: BrokerNode) -> None:
    with pytest.raises(ReloadError, match="auth_callout cannot change without a restart"):
        node.apply_options(replace(node.options, auth_callout=None))
