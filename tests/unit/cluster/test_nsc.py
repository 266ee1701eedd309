"""Users of nsc stores, found as they lie on disk."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memphis_desktop.broker import nkeys
from memphis_desktop.cluster.contexts import find_contexts
from memphis_desktop.cluster.nsc import find_user, find_users
from memphis_desktop.cluster.profiles import CredentialKind, Credentials
from tests.operators import Account, Key, write_creds


def make_store(home: Path) -> dict[str, str]:
    """A store with an operator OP, its accounts SYS and APP, a user in each; the environment to find it."""
    data = home / ".local" / "share" / "nats" / "nsc"
    operator = Key(nkeys.OPERATOR)
    accounts = {name: Account(operator, name) for name in ("APP", "SYS")}
    body = {
        "type": "operator",
        "version": 2,
        "system_account": accounts["SYS"].key.public,
        "operator_service_urls": ["tls://a:4222", "tls://b:4222"],
    }
    store = data / "stores" / "OP"
    store.mkdir(parents=True)
    (store / "OP.jwt").write_text(operator.issue(operator.public, body, name="OP"))
    for name, account in accounts.items():
        (store / "accounts" / name).mkdir(parents=True)
        (store / "accounts" / name / f"{name}.jwt").write_text(account.token)
        folder = data / "keys" / "creds" / "OP" / name
        folder.mkdir(parents=True)
        write_creds(folder / "ada.creds", *account.user("ada"))
    return {"HOME": str(home)}


def test_users_with_creds_come_with_their_servers_and_the_system_account(tmp_path: Path) -> None:
    environment = make_store(tmp_path)
    application, system = find_users(environment)
    assert application.reference == "nsc://OP/APP/ada"
    assert application.urls == ("tls://a:4222", "tls://b:4222")
    assert application.system_creds_path == system.creds_path
    assert system.system_creds_path == ""
    assert find_user("nsc://OP/APP/ada?store=x", environment) == application
    assert find_user("nsc://OP/APP/eve", environment) is None


def test_they_are_offered_unless_a_context_uses_them(tmp_path: Path) -> None:
    environment = make_store(tmp_path)
    found = {one.name: one for one in find_contexts(environment)}
    assert set(found) == {"APP/ada", "SYS/ada"}
    profile = found["APP/ada"].profile
    assert profile is not None
    assert profile.credentials.kind is CredentialKind.CREDS
    assert profile.system_credentials is not None
    contexts = tmp_path / ".config" / "nats" / "context"
    contexts.mkdir(parents=True)
    (contexts / "app.json").write_text(json.dumps({"nsc": "nsc://OP/APP/ada"}))
    found = {
        one.name: one for one in find_contexts({**environment, "XDG_CONFIG_HOME": str(tmp_path / ".config")})
    }
    assert set(found) == {"app", "SYS/ada"}
    other = found["app"].profile
    assert other is not None
    assert other.urls == ("tls://a:4222", "tls://b:4222")
    assert other.credentials == Credentials(CredentialKind.CREDS, creds_path=profile.credentials.creds_path)
    assert other.system_credentials == profile.system_credentials


def test_creds_without_a_store_are_found_too(tmp_path: Path) -> None:
    folder = tmp_path / "keys" / "creds" / "OP" / "APP"
    folder.mkdir(parents=True)
    (folder / "ada.creds").write_text("")
    [user] = find_users({"HOME": str(tmp_path), "NKEYS_PATH": str(tmp_path / "keys")})
    assert (user.urls, user.system_creds_path) == ((), "")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(st.binary(max_size=200))
def test_a_damaged_store_is_no_failure(tmp_path: Path, content: bytes) -> None:
    environment = {"HOME": str(tmp_path)}
    store = tmp_path / ".local" / "share" / "nats" / "nsc" / "stores" / "OP"
    if not store.exists():
        make_store(tmp_path)
    (store / "OP.jwt").write_bytes(content)
    assert len(find_users(environment)) == 2
