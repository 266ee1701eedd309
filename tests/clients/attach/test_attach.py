"""Attaching to real nats-servers of every kind: logins, TLS, WebSocket, domains.

Each kind is a server with its configuration and the profile that gets in. The same profile serves a session,
which reads streams, and the staged test, which must pass.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace

import pytest

from memphis_desktop.cluster.diagnosis import FAILED, PASSED, SKIPPED
from memphis_desktop.cluster.failures import NoResponder
from memphis_desktop.cluster.profiles import (
    ConnectionProfile,
    CredentialKind,
    Credentials,
    ProfileStore,
    TlsOptions,
)
from memphis_desktop.cluster.session import Session
from memphis_desktop.inspect.connection import ReadConnection
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.screens.home.connection_form import ConnectionForm
from tests.clients.attach.kinds import (
    KINDS,
    Kind,
    World,
    diagnosed,
    domain_behind_a_leaf,
    no_login,
    password,
    user_and_system,
)
from tests.operators import Operator, write_creds
from tests.waiting import PATIENCE, seen, until

pytestmark = pytest.mark.filterwarnings("ignore:parameter 'timeout':DeprecationWarning")  # nats-py's aiohttp


async def make_stream(session: Session) -> None:
    """Make a stream as soon as the API can be reached: through a leaf node that takes a moment."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            await session.api("STREAM.CREATE.orders", {"name": "orders", "subjects": ["orders"]})
        except NoResponder:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)  # polls; the deadline is what counts
        else:
            return


def through_the_form(profile: ConnectionProfile, store: ProfileStore) -> ConnectionProfile:
    """A profile as the window's form gives it back, nothing taken but what its fields hold."""
    form = ConnectionForm(None, store, profile)
    form._before = ConnectionProfile("")
    assert form._problem() == ""
    made = form.profile()
    form.deleteLater()
    return made


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_a_session_reads_streams_and_the_test_passes(kind: Kind, world: World, qapp: object) -> None:
    profile = through_the_form(kind(world), ProfileStore(world.folder))
    session = Session(profile)
    try:
        await session.connect()
        await make_stream(session)
        await seen(session, lambda snapshot: "orders" in snapshot.streams)
        assert not session.snapshot.errors or kind is domain_behind_a_leaf
        assert (session.system is not None) == (profile.system_credentials is not None)
        stored = await session.jetstream.publish("orders", b"one", stream="orders", timeout=10)
        assert stored.seq == 1
        message = await session.jetstream.get_msg("orders", 1)
        assert message.data == b"one"
    finally:
        await session.close()
    steps = await diagnosed(profile)
    states = {key: step.state for key, step in steps.items()}
    assert set(states.values()) <= {PASSED, SKIPPED}, steps
    secured = profile.tls != TlsOptions()
    assert (states["tls"] == PASSED) == secured, steps["tls"]
    assert states["greeting"] == PASSED
    assert (states["system"] == PASSED) == (profile.system_credentials is not None)
    assert FAILED not in states.values()


async def test_what_is_known_of_a_leaf_s_domain_stays_while_its_link_is_cut(world: World) -> None:
    here = world.start(
        config='jetstream { domain: here }\nleafnodes { listen: "127.0.0.1:-1" }\nserver_name: here'
    )
    assert isinstance(here, ServerProcess)
    found = re.search(r"Listening for leafnode connections on 127\.0\.0\.1:(\d+)", here.log())
    assert found is not None
    remote = f'leafnodes {{ reconnect: 1, remotes: [{{ url: "nats://127.0.0.1:{found[1]}" }}] }}'
    far = world.start(config=f"jetstream {{ domain: far }}\n{remote}\nserver_name: far")
    assert isinstance(far, ServerProcess)
    session = Session(
        ConnectionProfile("leaf", urls=(here.url,), jetstream_domain="far", request_timeout=2.0)
    )
    await session.connect()
    try:
        await make_stream(session)
        await seen(session, lambda s: "orders" in s.streams and s.streams["orders"].is_read)
        far.kill()
        cut = await seen(session, lambda s: "Nothing answers $JS.far.API" in s.errors.get("account", ""))
        assert cut.streams["orders"].is_read
        assert "jetstream" not in cut.errors
        far.start()
        again = await seen(session, lambda s: "account" not in s.errors)
        assert again.account is not None
        assert again.account.domain == "far"
        assert again.streams["orders"].is_read
    finally:
        await session.close()


async def test_of_several_servers_those_that_do_not_answer_are_told(world: World) -> None:
    profile = no_login(world)
    urls = ("nats://127.0.0.1:1", *profile.urls, "nats://no-such-host.invalid:4222")
    steps = await diagnosed(replace(profile, urls=urls))
    assert {step.state for step in steps.values()} <= {PASSED, SKIPPED}
    assert "no-such-host.invalid is not known" in steps["resolve"].detail
    assert "Nothing listens at nats://127.0.0.1:1" in steps["connect"].detail


async def test_the_first_server_that_answers_is_taken_also_with_the_system_login(world: World) -> None:
    profile = user_and_system(world)
    session = Session(replace(profile, urls=("nats://127.0.0.1:1", *profile.urls)))
    try:
        await session.connect()
        await session.raft.wait_ready()
        assert session.raft.system_client is not None
        assert session.nats.connected_url is not None
        assert str(session.nats.connected_url.port) in profile.urls[0]
    finally:
        await session.close()


async def test_what_a_user_may_do_is_said(world: World) -> None:
    users = """authorization { users: [{ user: ada, password: geheim, permissions: { publish: { allow: [
        "$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.STREAM.INFO.*",
        "$JS.API.CONSUMER.LIST.*", "$JS.API.DIRECT.GET.>", "$SYS.REQ.USER.INFO" ] } } }] }"""
    steps = await diagnosed(world.serve(users, credentials=password("ada", "geheim")))
    assert steps["login"].detail == "accepted as ada, account $G"
    assert steps["permissions"].detail == (
        "may list streams, list groups, read messages; may not create streams, create groups, delete streams"
    )


async def test_when_a_login_ends_is_said(world: World) -> None:
    operator = Operator()
    soon = int(time.time()) + 3 * 86400 + 600
    path = write_creds(world.folder / "soon.creds", *operator.application.user("soon", soon))
    steps = await diagnosed(
        world.serve(operator.config(), credentials=Credentials(CredentialKind.CREDS, creds_path=str(path)))
    )
    assert "in 3 days" in steps["login"].detail


async def test_a_user_who_may_subscribe_to_its_own_inbox_only_reads_all_the_same(world: World) -> None:
    """What it does not hear of is told: advisories. The rest comes as answers, below the inbox prefix."""
    users = """authorization { users: [{ user: me, password: geheim, permissions: {
        publish: ">", subscribe: { allow: ["_INBOX_me.>"] } } }] }"""
    profile = world.serve(users, credentials=password("me", "geheim"), inbox_prefix="_INBOX_me")
    session = Session(profile)
    try:
        await session.connect()
        await make_stream(session)
        await session.jetstream.publish("orders", b"one", stream="orders", timeout=10)
        snapshot = await seen(session, lambda snapshot: snapshot.errors and "orders" in snapshot.streams)
        assert set(snapshot.errors) <= {"permissions", "advisories"}
        assert "ADVISORY" in snapshot.errors["advisories"]
        reader = await ReadConnection.like(session.nats)
        _, payload = await reader.request("$JS.API.STREAM.MSG.GET.orders", b'{"seq": 1}')
        assert b"b25l" in payload  # the message, in base64
        await reader.close()
    finally:
        await session.close()
    steps = await diagnosed(profile)
    assert {step.state for step in steps.values()} <= {PASSED, SKIPPED}, steps


async def test_the_account_whose_api_was_imported_is_asked_for_its_raft_groups(world: World) -> None:
    accounts = """accounts {
        SYS { users: [{ user: sys, password: geheim }] }
        OWNER { jetstream: enabled, exports: [{ service: "$JS.API.>", response_type: stream }] }
        APP { users: [{ user: app, password: geheim }], imports: [
            { service: { account: OWNER, subject: "$JS.API.>" }, to: "owner.API.>" } ] }
    }
    system_account: SYS"""
    profile = world.serve(
        accounts,
        credentials=password("app", "geheim"),
        system_credentials=password("sys", "geheim"),
        jetstream_api_prefix="owner.API",
    )
    session = Session(profile)
    try:
        await session.connect()
        await until(lambda: session.raft.system_client is not None, "the system account")
        assert (session.raft.account, session.raft.groups_of) == ("APP", "OWNER")
    finally:
        await session.close()
