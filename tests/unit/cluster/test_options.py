"""A connection on the command line."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from memphis_desktop.cluster.options import add_options, profile_from
from memphis_desktop.cluster.profiles import ConnectionProfile, CredentialKind, Credentials
from memphis_desktop.errors import Failure


def parse(*arguments: str, environment: dict[str, str] | None = None) -> ConnectionProfile | None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--connect")
    parser.add_argument("--context")
    add_options(parser)
    return profile_from(parser.parse_args(arguments), environment or {})


def made(*arguments: str, environment: dict[str, str] | None = None) -> ConnectionProfile:
    profile = parse(*arguments, environment=environment)
    assert profile is not None
    return profile


def test_several_servers_and_every_option() -> None:
    profile = made(
        "--connect",
        "a:1,tls://b:2",
        *("--creds", "app.creds", "--system-nkey", "sys.nk"),
        *("--tlsca", "ca.pem", "--tlscert", "c.pem", "--tlskey", "k.pem", "--tlsfirst"),
        *("--tls-server-name", "nats.example", "--js-domain", "hub", "--inbox-prefix", "_I", "--read-only"),
    )
    assert profile.urls == ("nats://a:1", "tls://b:2")
    assert profile.credentials == Credentials(CredentialKind.CREDS, creds_path="app.creds")
    assert profile.system_credentials == Credentials(CredentialKind.NKEY, nkey_path="sys.nk")
    tls = profile.tls
    assert (tls.ca_path, tls.cert_path, tls.key_path) == ("ca.pem", "c.pem", "k.pem")
    assert (tls.server_name, tls.handshake_first, tls.skip_verify) == ("nats.example", True, False)
    assert (profile.api_prefix, profile.inbox_prefix, profile.read_only) == ("$JS.hub.API", "_I", True)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ("--user", "ada", "--password", "env://P"),
            Credentials(CredentialKind.PASSWORD, user="ada", password="env://P"),
        ),
        (("--token", "t"), Credentials(CredentialKind.TOKEN, token="t")),
        (("--nkey", "u.nk"), Credentials(CredentialKind.NKEY, nkey_path="u.nk")),
        ((), Credentials()),
    ],
)
def test_each_login(arguments: tuple[str, ...], expected: Credentials) -> None:
    assert made("--connect", "h", *arguments).credentials == expected


def test_a_context_is_taken_and_changed(tmp_path: Path) -> None:
    folder = tmp_path / "nats" / "context"
    folder.mkdir(parents=True)
    (folder / "prod.json").write_text(json.dumps({"url": "nats://p:4222", "user": "ada", "password": "x"}))
    (folder / "broken.json").write_text("{")
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    profile = made("--context", "prod", "--js-domain", "hub", environment=environment)
    assert (profile.urls, profile.credentials.user) == (("nats://p:4222",), "ada")
    assert profile.api_prefix == "$JS.hub.API"
    assert profile.id == made("--context", "prod", environment=environment).id, "the same history next time"
    for name, words in (
        ("dev", "there are: broken, prod"),
        ("../prod", "no context"),
        ("broken", "not valid JSON"),
    ):
        with pytest.raises(Failure, match=words):
            parse("--context", name, environment=environment)


def test_options_alone_are_refused() -> None:
    assert parse() is None
    with pytest.raises(Failure, match="--creds needs --connect URL"):
        parse("--creds", "x")
    with pytest.raises(Failure, match="--password needs --user"):
        parse("--connect", "h", "--password", "x")
