"""The programs offered for copying run as they are, on the real server and on ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from memphis_desktop.inspect.client_code import LANGUAGES, PASSWORD, CodeTarget, program, subject_of
from memphis_desktop.server_process import ServerProcess
from tests.clients.test_node_clients import FOLDER
from tests.conftest import Connect, Starter
from tests.installed import npm_packages


def run(language: str, text: str, folder: Path) -> str:
    """Run a program that is offered; returns what it prints."""
    if language == "Python":
        path = folder / "program.py"
        command = [sys.executable, str(path)]
    else:
        path = FOLDER / f"offered-{folder.name}.mjs"  # beside the packages it imports
        command = [npm_packages(FOLDER), str(path)]
    path.write_text(text, encoding="utf-8")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    finally:
        path.unlink()
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("language", ["Python", "JavaScript"])
async def test_programs_publish_and_consume(
    language: str, any_server: ServerProcess, connect: Connect, tmp_path: Path
) -> None:
    jetstream = (await connect(any_server)).jetstream()
    info = await jetstream.add_stream(name="orders", subjects=["orders.*.>"])
    subject = subject_of(info.config.as_dict())
    assert subject == "orders.new.new"
    target = CodeTarget(any_server.url, "orders", subject)
    assert run(language, program(language, target, publish=True), tmp_path).split() == ["orders", "1"]
    assert "orders.new.new" in run(language, program(language, target, publish=False), tmp_path)
    group = await jetstream.consumer_info("orders", "my-group")
    assert (group.num_pending, group.num_ack_pending) == (0, 0)
    await jetstream.publish("orders.a.b", b"second")
    present = CodeTarget(any_server.url, "orders", subject, make_group=False)
    assert "second" in run(language, program(language, present, publish=False), tmp_path)


@pytest.mark.parametrize("language", ["Python", "JavaScript"])
async def test_programs_log_in(language: str, start_nats_server: Starter, tmp_path: Path) -> None:
    config = 'accounts { A { jetstream: enabled, users: [ { user: "a\\"b", password: pw } ] } }'
    server = start_nats_server(config=config)
    target = CodeTarget(server.url, "orders", "orders", user='a"b')
    text = program(language, target, publish=True)
    assert PASSWORD in text
    with pytest.raises(AssertionError, match=r"(?i)no ?(response|responders|stream)|503|10077"):
        run(language, text.replace(PASSWORD, "pw"), tmp_path)  # it is let in; there is no such stream


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_cannot_break_out_of_their_quotes(language: str) -> None:
    name = "a\"; rm -rf $HOME `x` 'y"
    text = program(language, CodeTarget("nats://h", name, name, group=name), publish=False)
    assert 'a"; rm' not in text or language == "nats"
