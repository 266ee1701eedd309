"""Profiles and contexts: what is saved comes back, what is on disk is found, nothing leaks."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from memphis_desktop.cluster import keychain
from memphis_desktop.cluster.connection import parse_creds, resolve
from memphis_desktop.cluster.context_file import context_of, left_out
from memphis_desktop.cluster.contexts import environment_profile, find_contexts, read_context, split_urls
from memphis_desktop.cluster.failures import ConnectionFailure
from memphis_desktop.cluster.profiles import (
    ConnectionProfile,
    CredentialKind,
    Credentials,
    Environment,
    ProfileError,
    ProfileStore,
    ProxyOptions,
    TlsOptions,
    login_apart,
    profile_for,
    without_secret,
    without_secrets,
)


@pytest.fixture
def store(tmp_path: Path) -> ProfileStore:
    return ProfileStore(tmp_path / "config")


FULL = ConnectionProfile(
    name="prod",
    urls=("tls://a:4222", "tls://b:4222"),
    credentials=Credentials(CredentialKind.PASSWORD, user="ada", password="geheim"),
    system_credentials=Credentials(CredentialKind.CREDS, creds_path="/keys/sys.creds"),
    tls=TlsOptions(ca_path="/keys/ca.pem", handshake_first=True),
    proxy=ProxyOptions("socks5://p:1080", "ada", "gehe1m"),
    tags=("shop", "eu"),
    jetstream_domain="hub",
    environment=Environment.PRODUCTION,
    read_only=True,
)


def test_what_is_saved_comes_back(store: ProfileStore) -> None:
    local = ConnectionProfile(name="local")
    store.save([FULL, local])
    assert store.load() == [FULL, local]


def test_the_file_is_for_its_owner_only(store: ProfileStore) -> None:
    store.save([FULL])
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert [path.name for path in store.folder.iterdir()] == ["connections.json"]


def test_a_failed_save_keeps_the_old_file(store: ProfileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.save([FULL])

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(ProfileError, match="No space left"):
        store.save([])
    assert store.load() == [FULL]
    assert len(list(store.folder.iterdir())) == 1


def test_put_replaces_by_id_and_remove_removes(store: ProfileStore) -> None:
    store.put(FULL)
    renamed = ConnectionProfile(name="production", id=FULL.id)
    store.put(renamed)
    assert store.load() == [renamed]
    copy = store.copy_of(renamed)
    assert copy.name == "production 2"
    assert copy.id != renamed.id
    store.put(copy)
    store.remove(renamed.id)
    assert store.load() == [copy]


def test_names_are_unique_whatever_their_case(store: ProfileStore) -> None:
    with pytest.raises(ProfileError, match="another connection named"):
        store.save([ConnectionProfile(name="Prod"), ConnectionProfile(name="prod")])
    with pytest.raises(ProfileError, match="needs a name"):
        store.save([ConnectionProfile(name=" ")])


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"connections": 3}', '{"connections": [{"environment": "moon"}]}']
)
def test_a_damaged_file_is_told_and_left_alone(store: ProfileStore, text: str) -> None:
    store.folder.mkdir(parents=True)
    store.path.write_text(text)
    with pytest.raises(ProfileError):
        store.load()
    assert store.path.read_text() == text


def test_keys_of_a_later_version_are_ignored(store: ProfileStore) -> None:
    store.save([FULL])
    document = json.loads(store.path.read_text())
    document["connections"][0]["hologram"] = True
    store.path.write_text(json.dumps(document))
    assert store.load() == [FULL]


def test_secrets_are_not_in_what_is_shown() -> None:
    assert "geheim" not in repr(FULL)
    assert without_secret("nats://ada:geheim@host:4222") == "nats://ada@host:4222"
    assert without_secret("nats://token@host") == "nats://host"
    assert without_secret("host:4222") == "nats://host:4222"


def test_a_login_in_an_address_becomes_credentials() -> None:
    made = profile_for("nats://ada:ge%3Aheim@a:1 nats://b:2")
    assert made.urls == ("nats://a:1", "nats://b:2")
    assert made.credentials == Credentials(CredentialKind.PASSWORD, user="ada", password="ge:heim")
    assert made.name == "a:1"
    assert profile_for("wss://t0ken@a").credentials == Credentials(CredentialKind.TOKEN, token="t0ken")
    assert profile_for("wss://t0ken@a").urls == ("wss://a",)
    several = ConnectionProfile("x", urls=("nats://a:1@h", "nats://b:2@h"))
    assert login_apart(several) == several
    given = ConnectionProfile("x", urls=("nats://a:1@h",), credentials=Credentials(CredentialKind.NSC))
    assert login_apart(given) == given


def test_api_prefixes() -> None:
    assert ConnectionProfile(name="a").api_prefix == "$JS.API"
    assert FULL.api_prefix == "$JS.hub.API"
    assert ConnectionProfile(name="a", jetstream_api_prefix="JS.acc.").api_prefix == "JS.acc"


def test_contexts_are_found_as_they_lie_on_disk(tmp_path: Path) -> None:
    folder = tmp_path / "nats" / "context"
    folder.mkdir(parents=True)
    (tmp_path / "nats" / "context.txt").write_text("prod\n")
    (folder / "prod.json").write_text(
        json.dumps(
            {
                "description": "the real one",
                "url": "tls://a:4222, tls://b:4222",
                "creds": "$KEYS/prod.creds",
                "ca": "~/ca.pem",
                "tls_first": True,
                "jetstream_domain": "hub",
                "token": "",
            }
        )
    )
    (folder / "user.json").write_text(json.dumps({"user": "ada", "password": "x", "creds": "/y"}))
    (folder / "broken.json").write_text("{")
    (folder / "nsc.json").write_text(json.dumps({"nsc": "nsc://op/acc/user"}))
    environment = {"XDG_CONFIG_HOME": str(tmp_path), "KEYS": "/keys", "HOME": str(tmp_path)}
    found = {context.name: context for context in find_contexts(environment)}
    prod = found["prod"].profile
    assert found["prod"].selected
    assert prod is not None
    assert prod.urls == ("tls://a:4222", "tls://b:4222")
    assert prod.credentials == Credentials(CredentialKind.CREDS, creds_path="/keys/prod.creds")
    assert prod.tls.handshake_first
    assert not prod.tls.ca_path.startswith("~")
    assert prod.api_prefix == "$JS.hub.API"
    user = found["user"].profile
    assert user is not None
    assert user.credentials == Credentials(CredentialKind.PASSWORD, user="ada", password="x")
    assert found["broken"].profile is None
    assert "JSON" in found["broken"].problem
    assert "nsc" in found["nsc"].problem
    assert not find_contexts({**environment, "NATS_CONTEXT": "user"})[1].selected
    assert find_contexts({**environment, "NATS_CONTEXT": "user"})[0].name == "user", "the selected one first"


def test_every_field_of_a_context_counts(tmp_path: Path) -> None:
    path = tmp_path / "all.json"
    values = {
        "url": "nats://a:4222",
        "user_jwt": "eyJ",
        "user_seed": "SUA",
        "cert": "/c.pem",
        "key": "/k.pem",
        "ca": "/ca.pem",
        "inbox_prefix": "_INBOX_me",
        "jetstream_api_prefix": "JS.hub",
        "jetstream_event_prefix": "",
        "color_scheme": "red",
        "windows_cert_store": "",
        "unheard_of": {"a": 1},
    }
    path.write_text(json.dumps(values))
    profile = read_context(path, environment={}).profile
    assert profile is not None
    assert profile.credentials == Credentials(CredentialKind.JWT, user_jwt="eyJ", user_seed="SUA")
    assert profile.tls == TlsOptions(ca_path="/ca.pem", cert_path="/c.pem", key_path="/k.pem")
    assert (profile.inbox_prefix, profile.api_prefix) == ("_INBOX_me", "JS.hub")
    for key, value, kind in (("nkey", "/u.nk", CredentialKind.NKEY), ("token", "t", CredentialKind.TOKEN)):
        path.write_text(json.dumps({key: value}))
        made = read_context(path, environment={}).profile
        assert made is not None
        assert made.credentials.kind is kind
        assert made.urls == ("nats://127.0.0.1:4222",)
    path.write_text(json.dumps({"url": "nats://a", "socks_proxy": "socks5://ada:ge%40heim@p:1080"}))
    made = read_context(path, environment={}).profile
    assert made is not None
    assert made.proxy == ProxyOptions("socks5://p:1080", "ada", "ge@heim")
    assert context_of(made)["socks_proxy"] == "socks5://ada@p:1080"
    assert left_out(made) == "proxy's password"
    other = replace(made, proxy=ProxyOptions("http://p:8080"))
    assert "socks_proxy" not in context_of(other)
    assert "HTTP proxy" in left_out(other)


def test_the_environment_makes_a_profile_that_holds_no_secret() -> None:
    assert environment_profile({}) is None
    profile = environment_profile({"NATS_URL": "nats://h:1", "NATS_USER": "ada", "NATS_PASSWORD": "geheim"})
    assert profile is not None
    assert profile.credentials.password == "env://NATS_PASSWORD"
    creds = environment_profile({"NATS_CREDS": "/keys/a.creds"})
    assert creds is not None
    assert creds.credentials.kind is CredentialKind.CREDS
    assert split_urls("") == ("nats://127.0.0.1:4222",)


def test_references_are_resolved_when_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_text("geheim\n")
    monkeypatch.setenv("A_SECRET", "wert")
    assert resolve("plain") == "plain"
    assert resolve(f"file://{secret}") == "geheim"
    assert resolve("env://A_SECRET") == "wert"
    assert resolve("data:;base64,Z2VoZWlt") == "geheim"
    for reference in ("env://NOT_THERE_AT_ALL", "file:///no/such/file", "op://vault/item"):
        with pytest.raises(ConnectionFailure):
            resolve(reference)


def test_creds_files_are_parsed_and_wrong_ones_told() -> None:
    text = (
        "-----BEGIN NATS USER JWT-----\neyJ.abc\n------END NATS USER JWT------\n\n"
        "************************* IMPORTANT *************************\n\n"
        "-----BEGIN USER NKEY SEED-----\nSUAEXAMPLE\n------END USER NKEY SEED------\n"
    )
    assert parse_creds(text) == ("eyJ.abc", "SUAEXAMPLE")
    with pytest.raises(ConnectionFailure, match="no JWT and seed"):
        parse_creds("hello")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The secrets in a keychain that stands in for the system's."""
    kept: dict[str, str] = {}
    monkeypatch.setattr(keychain, "available", lambda: True)
    monkeypatch.setattr(
        keychain, "keep", lambda name, secret: kept.update({name: secret}) or f"keychain://{name}"
    )
    monkeypatch.setattr(keychain, "look_up", lambda reference: kept[reference.removeprefix("keychain://")])
    monkeypatch.setattr(keychain, "remove", lambda reference: kept.pop(reference.removeprefix("keychain://")))
    return kept


def test_the_login_in_an_address_goes_to_the_keychain(kept: dict[str, str]) -> None:
    saved = keychain.put_away(ConnectionProfile("far", urls=("nats://ada:geheim@h",), id="far"))
    assert saved.urls == ("nats://h",)
    assert saved.credentials.password == "keychain://far/password"
    assert kept == {"far/password": "geheim"}


def test_a_copy_has_secrets_of_its_own(kept: dict[str, str], store: ProfileStore) -> None:
    first = keychain.put_away(
        ConnectionProfile(
            "far",
            credentials=Credentials(CredentialKind.PASSWORD, user="ada", password="geheim"),
            system_credentials=Credentials(CredentialKind.TOKEN, token="env://A_TOKEN"),
            proxy=ProxyOptions("socks5://p:1080", "ada", "offen"),
            id="far",
        )
    )
    copy = keychain.own_copy(store.copy_of(first), first)
    assert copy.system_credentials == first.system_credentials
    keychain.forget(first)
    assert keychain.look_up(copy.credentials.password) == "geheim"
    assert keychain.look_up(copy.proxy.password) == "offen"
    assert len(kept) == 2


def test_the_password_of_a_proxy_goes_to_the_keychain_and_leaves_with_the_profile(
    kept: dict[str, str],
) -> None:
    profile = ConnectionProfile("far", proxy=ProxyOptions("socks5://p:1080", "ada", "geheim"), id="far")
    saved = keychain.put_away(profile)
    assert saved.proxy.password == "keychain://far/proxy-password"
    assert kept == {"far/proxy-password": "geheim"}
    assert keychain.put_away(saved) == saved
    assert without_secrets(saved).proxy == ProxyOptions("socks5://p:1080", "ada")
    assert "geheim" not in repr(profile)
    keychain.forget(saved)
    assert kept == {}
