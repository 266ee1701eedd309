"""The command line: what it accepts, what it refuses, and that it refuses in one clear line."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from memphis_desktop import __version__, cli, display, folders
from memphis_desktop.errors import Failure
from memphis_desktop.server_process import program_command


def one_line(text: str) -> str:
    """Return the single line of `text`; fails when there are more, or none."""
    lines = text.splitlines()
    assert len(lines) == 1, text
    return lines[0]


def test_a_reader_that_has_had_enough_is_no_failure(tmp_path: Path) -> None:
    """As with ``| head``: its end of the pipe is closed."""
    environment = {**os.environ, folders.HOME_VARIABLE: str(tmp_path)}
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            program_command("cluster", "status", "--json"),
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            check=False,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"memphis-desktop {__version__}\n"


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    text = capsys.readouterr().out
    for name in cli.COMMANDS:
        assert f"\n  {name} " in text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["brokr"], "unknown command 'brokr'"),
        (["--dmeo"], "unrecognized arguments: --dmeo"),
        (["--demo", "--surplus"], "unrecognized arguments: --surplus"),
        (["--connect"], "argument --connect: expected one argument"),
        (["--demo", "--connect", "nats://h"], "not allowed with argument"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert expected in one_line(printed.err)


def test_a_failure_is_one_line_and_code_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: list[str]) -> int:
        raise Failure("the thing is not there")

    monkeypatch.setitem(cli.COMMANDS, "broker", fail)
    assert cli.run(["broker"]) == 1
    assert one_line(capsys.readouterr().err) == "memphis-desktop: the thing is not there"


def test_an_interruption_has_the_shells_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.COMMANDS, "broker", interrupt)
    assert cli.run(["broker"]) == 130


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ""}, False),
        ("linux", {"DISPLAY": ":64001"}, False),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("linux", {"QT_QPA_PLATFORM": "offscreen"}, True),
        ("linux", {"QT_QPA_PLATFORM": "offscreen:size=800x600"}, True),
        ("linux", {"QT_QPA_PLATFORM": "xcb"}, False),
        ("darwin", {}, True),
        ("win32", {}, True),
    ],
)
def test_display(platform: str, environment: dict[str, str], expected: bool) -> None:
    assert display.display_available(environment, platform) is expected


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="X servers listen there on Linux only")
def test_an_x_server_is_asked_whether_it_is_there(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0/tmp/.X11-unix/X64002")
        server.listen()
        assert display.display_available({"DISPLAY": ":64002.0"}, "linux")
        assert display.display_available({"DISPLAY": "unix:64002"}, "linux")
    assert not display.display_available({"DISPLAY": ":64002"}, "linux")


def test_the_command_line_imports_nothing_heavy() -> None:
    code = "import sys, memphis_desktop.cli; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"PySide6", "numpy", "nats", "qasync", "pyqtgraph", "rich", "asyncio"}


def test_folders_follow_the_home_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(folders.HOME_VARIABLE, str(tmp_path / "home"))
    assert folders.config_folder() == tmp_path / "home" / "config"
    assert folders.data_folder().is_dir()
    assert folders.log_folder().is_relative_to(tmp_path)


def test_the_stations_service_needs_a_server_and_usable_credentials(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.run(["stations"]) == 2
    assert "required: --connect" in one_line(capsys.readouterr().err)
    assert cli.run(["stations", "--connect", "nats://h", "--user", "u"]) == 2
    assert "--user and --password go together" in one_line(capsys.readouterr().err)
    missing = tmp_path / "none.creds"
    assert cli.run(["stations", "--connect", "nats://h", "--creds", str(missing)]) == 1
    assert one_line(capsys.readouterr().err) == f"memphis-desktop: there is no file {missing}"
