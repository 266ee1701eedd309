"""Connections through SOCKS5 and HTTP proxies to a real nats-server, over every kind of transport."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from memphis_desktop.cluster.diagnosis import FAILED, PASSED, SKIPPED
from memphis_desktop.cluster.failures import Stage
from memphis_desktop.cluster.model import ConnectionState
from memphis_desktop.cluster.profiles import ConnectionProfile, ProxyOptions
from memphis_desktop.cluster.session import Session
from memphis_desktop.folders import HOME_VARIABLE
from memphis_desktop.inspect.connection import ReadConnection
from memphis_desktop.server_process import program_command
from tests.clients.attach.kinds import (
    World,
    diagnosed,
    mutual_tls,
    no_login,
    refused,
    secure_websocket,
    tls_first,
    websocket,
)
from tests.proxies import Proxy
from tests.waiting import PATIENCE

pytestmark = pytest.mark.filterwarnings("ignore:parameter 'timeout':DeprecationWarning")  # nats-py's aiohttp

BEHIND = "localhost"  # what is in the certificates; only its spelling tells who resolved it
KINDS = {
    "plain": no_login,
    "tls": mutual_tls,
    "tls first": tls_first,
    "websocket": websocket,
    "secure websocket": secure_websocket,
}


def behind(profile: ConnectionProfile, proxy: Proxy, host: str = BEHIND) -> ConnectionProfile:
    """The profile with its servers named as only the proxy can find them."""
    urls = tuple(url.replace("127.0.0.1", host) for url in profile.urls)
    return replace(profile, urls=urls, proxy=ProxyOptions(proxy.url, proxy.user, proxy.password))


@pytest.mark.parametrize("kind", ["socks5", "http"])
@pytest.mark.parametrize("transport", KINDS)
async def test_sessions_readers_and_the_test_go_through_a_proxy(
    transport: str, kind: str, world: World
) -> None:
    async with Proxy(kind, "ada", "geheim", names={"behind.invalid": "127.0.0.1"}) as proxy:
        host = "behind.invalid" if transport in ("plain", "websocket") else BEHIND
        profile = behind(KINDS[transport](world), proxy, host)
        session = Session(profile)
        try:
            await session.connect()
            reader = await ReadConnection.like(session.nats)
            _, payload = await reader.request("$JS.API.INFO")
            assert "streams" in json.loads(payload)
            await reader.close()
            await session.nats.flush()
        finally:
            await session.close()
        assert proxy.asked == [f"{host}:{urlsplit(profile.urls[0]).port}"] * 2
        steps = await diagnosed(profile)
        assert {step.state for step in steps.values()} <= {PASSED, SKIPPED}, steps
        assert steps["proxy"].detail == f"{proxy.url} answers at 127.0.0.1, accepted as ada"
        assert steps["resolve"].detail == "left to the proxy"


@pytest.mark.parametrize("transport", KINDS)
async def test_a_proxy_with_tls_is_gone_through(transport: str, world: World) -> None:
    """TLS to the proxy, and where the server wants it TLS to the server within."""
    files = tuple(Path(world.certificates.path(name)) for name in ("server", "server-key"))
    async with Proxy("https", "ada", "geheim", certificate=(files[0], files[1])) as proxy:
        profile = behind(KINDS[transport](world), proxy)
        profile = replace(profile, tls=replace(profile.tls, ca_path=world.certificates.path("ca")))
        session = Session(profile)
        try:
            await session.connect()
            await session.nats.flush()
            reader = await ReadConnection.like(session.nats)
            _, payload = await reader.request("$JS.API.INFO")
            assert "streams" in json.loads(payload)
            await reader.close()
        finally:
            await session.close()
        assert proxy.asked == [f"{BEHIND}:{urlsplit(profile.urls[0]).port}"] * 2
        steps = await diagnosed(profile)
        assert {step.state for step in steps.values()} <= {PASSED, SKIPPED}, steps
        assert f"{proxy.url} answers at 127.0.0.1, TLSv1.3, certificate for " in steps["proxy"].detail
        # Its certificate is checked, and a proxy without TLS is none of this kind.
        distrusting = replace(profile, tls=replace(profile.tls, ca_path=""))
        failure = await refused(distrusting)
        assert failure.stage is Stage.PROXY
        assert f"certificate of the proxy {proxy.url} is not accepted" in str(failure)
        failed = [one for one in (await diagnosed(distrusting)).values() if one.state == FAILED]
        assert [one.key for one in failed] == ["proxy"]
    async with Proxy("http") as bare:
        options = ProxyOptions(bare.url.replace("http://", "https://"))
        failure = await refused(replace(profile, proxy=options))
        assert failure.stage is Stage.PROXY
        assert "does not speak TLS" in str(failure)
        assert bare.asked == []


async def test_a_session_comes_back_through_the_proxy(world: World) -> None:
    async with Proxy() as proxy:
        session = Session(behind(no_login(world), proxy))
        lost = asyncio.Event()
        back = asyncio.Event()
        try:
            await session.connect()
            session.subscribe(
                lambda snapshot: (back if snapshot.state is ConnectionState.CONNECTED else lost).set()
            )
            back.clear()
            proxy.cut()
            await asyncio.wait_for(lost.wait(), PATIENCE)
            await asyncio.wait_for(back.wait(), PATIENCE)
            assert len(proxy.asked) == 2
        finally:
            await session.close()


async def broken(kind: str, what: str, world: World) -> tuple[Stage, str, list[str]]:
    """Connect in a way that cannot work; returns stage and text of it, and which step of the test failed."""
    login = ("ada", "geheim") if what in ("no login", "wrong password") else ("", "")
    async with Proxy(kind, *login, forbidden=("127.0.0.1",) if what == "rules" else ()) as proxy:
        profile = behind(no_login(world), proxy, "127.0.0.1")
        options, urls = profile.proxy, profile.urls
        match what:
            case "no login":
                options = replace(options, user="", password="")
            case "wrong password":
                options = replace(options, password="falsch")
            case "no such proxy":
                options = replace(options, url=f"{kind}://no-such-proxy.invalid:1")
            case "nobody listens":
                options = replace(options, url=f"{kind}://127.0.0.1:1")
            case "no proxy":
                options = replace(options, url=f"{kind}://{urlsplit(urls[0]).netloc}")  # the nats-server
            case "no server":
                urls = ("nats://127.0.0.1:1",)
            case "no address":
                options = replace(options, url="ftp://127.0.0.1:1")
        profile = replace(profile, urls=urls, proxy=options)
        failure = await refused(profile)
        steps = await diagnosed(profile)
        failed = [step for step in steps.values() if step.state == FAILED]
        assert str(failure) in failed[0].detail
        return failure.stage, str(failure), [step.key for step in failed]


@pytest.mark.parametrize("kind", ["socks5", "http"])
@pytest.mark.parametrize(
    ("what", "stage", "words"),
    [
        ("no login", Stage.PROXY, "wants a login, and none was given"),
        ("wrong password", Stage.PROXY, "refused the login of ada"),
        ("rules", Stage.PROXY, "does not allow connections to 127.0.0.1:"),
        ("no such proxy", Stage.PROXY, "host name no-such-proxy.invalid is not known"),
        ("nobody listens", Stage.PROXY, "No proxy listens at"),
        ("no proxy", Stage.PROXY, "does not answer like a proxy"),
        ("no server", Stage.CONNECT, "cannot reach 127.0.0.1:1"),
        ("no address", Stage.PROFILE, "is no address of a proxy"),
    ],
)
async def test_what_fails_on_the_way_is_named_with_the_mend(
    kind: str, what: str, stage: Stage, words: str, world: World
) -> None:
    found = await broken(kind, what, world)
    assert found[0] is stage
    assert words in found[1]
    assert found[2] == [stage.value]


async def test_a_silent_proxy_and_lost_secrets_are_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: kept.append(writer), "127.0.0.1", 0)
    async with silent:
        port = silent.sockets[0].getsockname()[1]
        profile = replace(no_login(world), proxy=ProxyOptions(f"127.0.0.1:{port}"))
        monkeypatch.setattr("memphis_desktop.cluster.probe.TIMEOUT", 0.3)
        steps = await diagnosed(profile)
        assert steps["proxy"].state == PASSED  # it is there; more is not known
        assert steps["connect"].state == FAILED
        assert "opened no way to 127.0.0.1:" in steps["connect"].detail
        for writer in kept:
            writer.close()
    profile = replace(profile, proxy=ProxyOptions("localhost", "ada", "env://NO_SUCH_VARIABLE"))
    assert "NO_SUCH_VARIABLE" in str(await refused(profile))


async def test_the_command_line_takes_a_proxy(world: World) -> None:
    server = no_login(world)
    async with Proxy("socks5", "ada", "geheim", names={"behind.invalid": "127.0.0.1"}) as proxy:
        url = server.urls[0].replace("127.0.0.1", "behind.invalid")
        command = program_command(
            *("check", "--connect", url, "--proxy", f"ada@127.0.0.1:{proxy.port}"),
            *("--proxy-password", "env://WORD"),
        )
        environment = {**os.environ, "WORD": "geheim", HOME_VARIABLE: str(world.folder / "home")}
        done = await asyncio.create_subprocess_exec(
            *command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
        )
        told, _ = await done.communicate()
    assert done.returncode == 0, told.decode()
    assert "accepted as ada" in told.decode()
    assert "geheim" not in told.decode()
