"""The broker's command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from memphis_desktop.broker import command, flags
from memphis_desktop.broker.config_file import ConfigError
from memphis_desktop.broker.options import BrokerOptions, UsageError, User


def options(*arguments: str) -> BrokerOptions:
    return flags.parse(list(arguments)).options


@pytest.mark.parametrize(
    "arguments",
    [
        ("-p", "1234"),
        ("--p", "1234"),
        ("-port", "1234"),
        ("--port", "1234"),
        ("-p=1234",),
        ("--port=1234",),
    ],
)
def test_one_or_two_dashes_and_both_ways_to_give_a_value(arguments: tuple[str, ...]) -> None:
    assert options(*arguments).port == 1234


def test_the_flags_of_nats_server() -> None:
    made = options(
        *("-a", "0.0.0.0", "-p", "-1", "-m", "8222", "-js", "-sd=/data", "-n", "here", "-DV", "-l", "x.log"),
        *("--user", "me", "--pass=secret", "--max_payload", "10", "--ports_file_dir", "/run", "-P", "pid"),
        *("--sync", "interval", "-T=false"),
    )
    assert (made.host, made.port, made.http_port, made.jetstream) == ("0.0.0.0", -1, 8222, True)
    assert (made.store_dir, made.server_name, made.debug, made.trace) == (Path("/data"), "here", True, True)
    assert made.users == [User("me", "secret")]
    assert (made.max_payload, made.ports_file_dir, made.pid_file) == (10, Path("/run"), Path("pid"))
    assert (made.sync_always, made.log_time, made.log_file) == (False, False, Path("x.log"))
    assert options("--pass", "p", "--user", "u").users == [User("u", "p")]
    assert options("--auth", "t").token == "t"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--nonsense",), "unknown option '--nonsense'"),
        (("-p",), "needs a value"),
        (("-p", "x"), "whole number"),
        (("-p", "70000"), "-1 .* 65535"),
        (("--max_payload", "0"), "above 0"),
        (("--sync", "maybe"), "always"),
        (("-js=perhaps",), "true or false"),
        (("stray",), "unexpected argument"),
        (("--user", "a", "--auth", "t"), "exclude"),
        (("--pass", "p"), "needs '--user'"),
        (("-t",), "needs '-c FILE'"),
        (("--tls",), "--tlscert"),
        (("--tls", "--tlscert", "/nowhere", "--tlskey", "/nowhere"), "there is no file"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        options(*arguments)


def test_more_flags_of_nats_server() -> None:
    made = options("-DVV", "--logtime_utc", "-ms", "8443", "--log_size_limit", "1000", "-VV")
    assert (made.debug, made.trace, made.log_time_utc, made.https_port) == (True, True, True, 8443)
    assert made.log_size_limit == 1000
    assert flags.parse(["--signal", "reload=12"]).signal == "reload=12"
    assert flags.parse([], host="0.0.0.0").options.host == "0.0.0.0"


def test_flags_beat_the_file(tmp_path: Path) -> None:
    path = tmp_path / "server.conf"
    path.write_text("port: 1, server_name: file, max_payload: 5", encoding="utf-8")
    made = options("-p", "2", "-c", str(path), "-n", "flag")
    assert (made.port, made.server_name, made.max_payload) == (2, "flag", 5)


def test_every_flag_is_in_the_help() -> None:
    text = flags.help_text()
    for flag in flags.FLAGS:
        assert flag.summary in text


def test_a_mistake_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "server.conf"
    path.write_text("port: 1\nprot: 2", encoding="utf-8")
    with pytest.raises(ConfigError, match=r'server\.conf:2:1: unknown field "prot"'):
        options("-c", str(path))


def test_run_says_it_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "server.conf"
    path.write_text("prot: 2", encoding="utf-8")
    assert command.run(["--nonsense"]) == 2
    assert command.run(["-c", str(path)]) == 1
    path.write_text("port: 2", encoding="utf-8")
    assert command.run(["-c", str(path), "-t"]) == 0
    assert command.run(["--version"]) == 0
    assert command.run(["--help"]) == 0
    told = capsys.readouterr()
    lines = told.err.splitlines()
    assert len(lines) == 3
    assert "unknown option" in lines[0]
    assert "unknown field" in lines[1]
    assert "is valid (sha256:" in lines[2]
    assert "nats-server" in told.out
