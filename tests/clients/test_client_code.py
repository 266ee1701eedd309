"""The programs offered for copying run as they are, on the real server and on ours."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from memphis_desktop.inspect.client_code import (
    CONSUME,
    KEY_VALUE,
    LANGUAGES,
    PASSWORD,
    PUBLISH,
    TOKEN,
    CodeTarget,
    bucket_of,
    program,
    quoting,
    subject_of,
)
from memphis_desktop.server_process import ServerProcess
from tests.clients.test_node_clients import FOLDER
from tests.conftest import Connect, Starter
from tests.installed import npm_packages

# Those that the machines of the project have what it takes for; Ruby, where its client is installed.
BATCH = 10  # messages that the programs take at once
RUN = ["Python", "JavaScript", "C", "Ruby"]


def run(language: str, text: str, folder: Path) -> str:
    """Run a program that is offered; returns what it prints."""
    name = {"Python": "program.py", "C": "program.c", "Ruby": "program.rb"}.get(language, "program.mjs")
    path = folder / name
    match language:
        case "Python":
            command = [sys.executable, str(path)]
        case "C":
            command = [str(folder / "program")]
        case "Ruby":
            command = [_ruby(), str(path)]
        case _:
            path = FOLDER / f"offered-{folder.name}.mjs"  # beside the packages it imports
            command = [npm_packages(FOLDER), str(path)]
    path.write_text(text, encoding="utf-8")
    try:
        if language == "C":
            _compile(path, folder / "program")
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    finally:
        path.unlink()
    assert done.returncode == 0, done.stderr
    return done.stdout


def _compile(path: Path, to: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    command = [compiler, "-Wall", "-Wextra", "-Werror", str(path), "-lnats", "-o", str(to)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode and re.search(r"nats/nats\.h|-lnats", done.stderr):
        pytest.skip("the C client is not installed (Debian: libnats-dev)")
    assert done.returncode == 0, done.stderr


def _ruby() -> str:
    found = shutil.which("ruby")
    if (
        found is None
        or subprocess.run([found, "-e", "require 'nats/client'"], capture_output=True).returncode
    ):
        pytest.skip("Ruby and its client are not installed")
    return found


@pytest.mark.parametrize("language", RUN)
async def test_programs_publish_and_consume(
    language: str, any_server: ServerProcess, connect: Connect, tmp_path: Path
) -> None:
    jetstream = (await connect(any_server)).jetstream()
    info = await jetstream.add_stream(name="orders", subjects=["orders.*.>"])
    await jetstream.create_key_value(bucket="settings")
    subject = subject_of(info.config.as_dict())
    assert subject == "orders.new.new"
    target = CodeTarget(any_server.url, "orders", subject, bucket=bucket_of("KV_settings"))
    assert run(language, program(language, target, PUBLISH), tmp_path).split() == ["orders", "1"]
    for _ in range(BATCH - 1):  # a whole batch is not waited for
        await jetstream.publish("orders.a.b", b"more")
    assert "orders.new.new" in run(language, program(language, target, CONSUME), tmp_path)
    group = await jetstream.consumer_info("orders", "my-group")
    assert (group.num_pending, group.num_ack_pending) == (0, 0)
    for _ in range(BATCH):
        await jetstream.publish("orders.a.b", b"second")
    present = CodeTarget(any_server.url, "orders", subject, make_group=False)
    assert "second" in run(language, program(language, present, CONSUME), tmp_path)
    assert run(language, program(language, target, KEY_VALUE), tmp_path).split() == ["1", "hello"]


@pytest.mark.parametrize("language", RUN)
async def test_programs_log_in(language: str, start_nats_server: Starter, tmp_path: Path) -> None:
    config = r"""accounts { A { jetstream: enabled, users: [
        { user: "a\"b", password: "p\"w\\" }, { user: ada, password: "it's" }] } }"""
    server = start_nats_server(config=config)
    user, password = ("ada", "it's") if language in ("C", "Ruby") else ('a"b', 'p"w\\')  # they quote nothing
    target = CodeTarget(f"{server.url},{server.url}", "orders", "orders", user=user)
    assert PASSWORD in program(language, target, PUBLISH)
    text = program(language, replace(target, secret=password), PUBLISH)
    assert PASSWORD not in text
    with pytest.raises(AssertionError, match=r"(?i)no ?(response|responders|stream)|503|10077"):
        run(language, text, tmp_path)  # it is let in; there is no such stream


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("what", [PUBLISH, CONSUME, KEY_VALUE])
def test_names_cannot_break_out_of_their_quotes(what: str, language: str) -> None:
    name = "a\"; rm -rf $HOME `x` 'y #{z}"
    target = CodeTarget("nats://h", name, name, group=name, bucket=name, user=name, secret=name)
    text = program(language, target, what)
    # As it is, it is a literal only where neither of these quotes nor that of interpolation counts.
    assert 'a"; rm' not in text or language in ("nats", "Ruby")
    assert "#{z}" not in text.replace("\\#{z}", "") or language not in ("Elixir",)
    if language == "Python":
        ast.parse(text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_login_is_in_the_program(language: str) -> None:
    def text(**login: object) -> str:
        return program(language, CodeTarget("nats://h", "s", "s", **login), PUBLISH)  # type: ignore[arg-type]

    assert TOKEN in text(token=True)
    assert "geheim" in text(token=True, secret="geheim")
    assert "/a/b.creds" in text(creds="/a/b.creds")
    assert "/a/b.nk" in text(nkey="/a/b.nk")


def test_literals_are_read_back() -> None:
    nasty = "".join(map(chr, range(1, 128))) + "ü??/\u2028#{x}"
    assert json.loads(quoting.common(nasty)) == nasty
    assert "\n" not in quoting.rust(nasty) + quoting.c(nasty)
    assert "\\u{1}" in quoting.rust(nasty)
    assert "\\001" in quoting.c(nasty)
    assert quoting.c("??/") == '"\\?\\?/"'
    assert quoting.ruby("a'b\\") == "'a\\'b\\\\'"
    assert os.linesep not in quoting.elixir(nasty)
