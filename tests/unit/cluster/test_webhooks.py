"""Webhooks against a real HTTP server: what arrives, what is tried again, what is given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from memphis_desktop.cluster import keychain, webhooks
from memphis_desktop.cluster.alerts import BAD, WARNING, Alert, Rule, Subject
from memphis_desktop.cluster.webhooks import (
    QUEUED,
    Webhook,
    WebhookError,
    WebhookSender,
    check_address,
    opened,
    put_away,
    sample_message,
    send,
    webhook_from_json,
    webhook_to_json,
)
from tests.waiting import until


class Receiver:
    """Takes requests and answers as told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, Any], str]] = []
        self.answers: list[int] = []
        self.url = ""
        self.came = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        self.got.append((await request.json(), request.headers.get("Authorization", "")))
        self.came.set()
        status = self.answers.pop(0) if self.answers else 200
        return web.Response(status=status, headers={"Location": "/other"} if status == 302 else None)


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    application = web.Application()
    application.router.add_post("/{path:.*}", made.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    made.url = f"http://127.0.0.1:{port}/secret-path"
    yield made
    await runner.cleanup()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "RETRY_SECONDS", (0.01, 0.01))
    monkeypatch.setattr(keychain, "available", lambda: False)


def an_alert(severity: str = WARNING, consumer: str = "billing") -> Alert:
    rule = Rule("lag_seconds", 300.0, severity=severity)
    return Alert(rule, "p", "prod-eu", Subject("orders", consumer), 412.5, 1_700_000_000.0)


async def test_an_alert_arrives_as_json_with_its_token(receiver: Receiver) -> None:
    sender = WebhookSender()
    hook = Webhook("chat", receiver.url, token="s3cret")
    sender.set_hooks([hook])
    sender.offer(an_alert(), webhooks.BEGAN, "A group is behind: orders › billing on prod-eu (6 min).")
    await until(lambda: sender.state(hook).sent == 1)
    [(contents, authorization)] = receiver.got
    assert authorization == "Bearer s3cret"
    assert contents["text"].startswith("A group is behind")
    assert {
        key: contents[key] for key in ("event", "signal", "stream", "consumer", "value", "threshold")
    } == {
        "event": "began",
        "signal": "lag_seconds",
        "stream": "orders",
        "consumer": "billing",
        "value": 412.5,
        "threshold": 300.0,
    }
    assert contents["since"] == "2023-11-14T22:13:20.000+00:00"
    await sender.close()


async def test_what_may_pass_is_tried_again_and_what_may_not_is_not(receiver: Receiver) -> None:
    changes: list[bool] = []
    sender = WebhookSender(lambda: changes.append(sender.state(hook).retrying))
    hook = Webhook("chat", receiver.url)
    sender.set_hooks([hook])
    receiver.answers = [503, 429, 200]
    sender.offer(an_alert(), webhooks.BEGAN, "x")
    await until(lambda: sender.state(hook).sent == 1)
    assert changes == [True, True, False]
    assert len(receiver.got) == 3
    receiver.answers = [404]
    sender.offer(an_alert(), webhooks.BEGAN, "x")
    await until(lambda: sender.state(hook).lost == 1)
    assert sender.state(hook).problem.endswith("answered 404 Not Found.")
    assert "secret-path" not in sender.state(hook).problem
    assert len(receiver.got) == 4
    await sender.close()


async def test_three_attempts_are_all(receiver: Receiver) -> None:
    sender = WebhookSender()
    hook = Webhook("chat", receiver.url)
    sender.set_hooks([hook])
    receiver.answers = [500, 500, 500, 200]
    sender.offer(an_alert(), webhooks.BEGAN, "x")
    await until(lambda: sender.state(hook).lost == 1)
    assert len(receiver.got) == 3
    sender.offer(an_alert(), webhooks.ENDED, "y")
    await until(lambda: sender.state(hook).sent == 1)
    assert sender.state(hook).problem == ""
    await sender.close()


async def test_redirections_are_not_followed_and_nobody_there_is_said(receiver: Receiver) -> None:
    receiver.answers = [302]
    with pytest.raises(WebhookError, match="answered 302"):
        await send(Webhook("a", receiver.url), sample_message())
    assert len(receiver.got) == 1
    with pytest.raises(WebhookError, match=r"127\.0\.0\.1:1 cannot be reached") as caught:
        await send(Webhook("a", "http://127.0.0.1:1/secret"), sample_message())
    assert caught.value.passing
    assert "secret" not in str(caught.value)


async def test_a_hook_gets_what_it_wants_and_a_slow_one_holds_up_nobody(receiver: Receiver) -> None:
    sender = WebhookSender()
    all_, severe, off = (
        Webhook("all", receiver.url),
        Webhook("severe", receiver.url, severe_only=True, ended=False),
        Webhook("off", receiver.url, enabled=False),
    )
    sender.set_hooks([all_, severe, off])
    for index in range(QUEUED + 20):
        sender.offer(an_alert(consumer=str(index)), webhooks.BEGAN, "x")
    assert sender.state(all_).lost == 20  # the oldest
    sender.offer(an_alert(BAD), webhooks.ENDED, "x")
    sender.offer(an_alert(BAD), webhooks.BEGAN, "severe")
    await until(lambda: sender.state(all_).sent == QUEUED and sender.state(severe).sent == 1)
    assert sender.state(off).sent == 0
    await sender.close()


async def test_a_deleted_hook_sends_no_more(receiver: Receiver) -> None:
    sender = WebhookSender()
    sender.set_hooks([Webhook("chat", receiver.url)])
    for _ in range(50):
        sender.offer(an_alert(), webhooks.BEGAN, "x")
    await receiver.came.wait()
    sender.set_hooks([])
    count = len(receiver.got)
    assert count < 50
    await sender.close()


@pytest.mark.parametrize(
    "url",
    ["", "ftp://host/", "host/path", "https://", "http://user:word@host/", "http://host:99999/", "http://["],
)
def test_addresses_that_are_none(url: str) -> None:
    assert check_address(url).endswith(".")


def test_secrets_go_to_the_keychain(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, str] = {}
    monkeypatch.setattr(keychain, "available", lambda: True)
    monkeypatch.setattr("keyring.set_password", lambda _, name, value: kept.update({name: value}))
    monkeypatch.setattr("keyring.get_password", lambda _, name: kept.get(name))
    monkeypatch.setattr("keyring.delete_password", lambda _, name: kept.pop(name))
    hook = put_away(Webhook("chat", "https://hooks.example/T0/B1/xyz", token="s3cret"))
    assert hook.host == "hooks.example"
    saved = webhook_to_json(hook)
    assert "xyz" not in str(saved)
    assert "s3cret" not in str(saved)
    restored = webhook_from_json(saved)
    assert restored == hook
    assert (opened(hook).url, opened(hook).token) == ("https://hooks.example/T0/B1/xyz", "s3cret")
    webhooks.forget(hook)
    assert not kept


def test_what_is_no_webhook_is_left_out() -> None:
    assert webhook_from_json({"name": "x"}) is None
    assert webhook_from_json({"name": "x", "url": 5}) is None
    assert webhook_from_json({"name": "x", "url": "http://a", "later": 1}) is not None
