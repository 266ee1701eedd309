"""The console as a client of a Memphis broker: its users and its connection token, wherever it is served."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from memphis_desktop.cluster.diagnosis import FAILED, PASSED, SKIPPED, Diagnosis, Step
from memphis_desktop.cluster.profiles import ConnectionProfile, CredentialKind, Credentials
from memphis_desktop.cluster.session import Session
from memphis_desktop.ui.memphis.snippets import ROOT, ROOT_PASSWORD
from tests.clients.sdk_programs import EMBEDDED, FRONT_DOOR, place

TOKEN = "memphis"  # what Memphis begins with, as the password of its first user


@pytest.fixture(scope="module", params=[EMBEDDED, FRONT_DOOR])
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the port for Memphis clients."""
    with place(request.param, tmp_path_factory.mktemp("served")) as found:
        yield f"nats://127.0.0.1:{found.memphis_port}"


async def tried(profile: ConnectionProfile) -> dict[str, Step]:
    return {step.key: step for step in await Diagnosis(profile).run()}


@pytest.mark.parametrize(
    "login",
    [
        Credentials(CredentialKind.MEMPHIS, user=ROOT, password=ROOT_PASSWORD),
        Credentials(CredentialKind.MEMPHIS, user=ROOT, password=ROOT_PASSWORD, account_id="1"),
        Credentials(CredentialKind.MEMPHIS_TOKEN, user=ROOT, token=TOKEN),
    ],
    ids=["user", "user of an account", "connection token"],
)
async def test_memphis_logins_reach_the_stations(login: Credentials, door: str) -> None:
    profile = ConnectionProfile("memphis", urls=(door,), credentials=login)
    steps = await tried(profile)
    assert {step.state for step in steps.values()} <= {PASSED, SKIPPED}, steps
    assert steps["memphis"].state == PASSED
    session = Session(profile)
    try:
        await session.connect()
        assert "KV_memphis_stations" in (await session.api("STREAM.NAMES"))["streams"]
    finally:
        await session.close()
    secret = {"password": "falsch"} if login.password else {"token": "falsch"}
    refused = await tried(replace(profile, credentials=replace(login, **secret)))
    assert refused["login"].state == FAILED
    assert "refused the login" in refused["login"].detail
