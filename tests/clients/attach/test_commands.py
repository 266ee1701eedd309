"""Servers and logins on the command line, and the staged test for terminals and scripts."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest

from memphis_desktop.folders import HOME_VARIABLE
from memphis_desktop.server_process import program_command
from tests.clients.attach.kinds import World, creds_and_system_creds, user_and_system
from tests.waiting import PATIENCE

pytestmark = pytest.mark.filterwarnings("ignore:parameter 'timeout':DeprecationWarning")  # nats-py's aiohttp


def test_the_command_line_takes_servers_and_logins(world: World) -> None:
    """Without a display it shows in the terminal which server took it in."""
    profile = creds_and_system_creds(world)
    assert profile.system_credentials is not None
    arguments = ["--connect", f"nats://127.0.0.1:1,{profile.urls[0]}"]
    arguments += ["--creds", profile.credentials.creds_path]
    arguments += ["--system-creds", profile.system_credentials.creds_path]
    environment = {key: value for key, value in os.environ.items() if "DISPLAY" not in key}
    environment.pop("QT_QPA_PLATFORM", None)
    environment[HOME_VARIABLE] = str(world.folder / "home")
    with subprocess.Popen(
        program_command(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline().startswith(f"connected to {profile.urls[0]};")
        program.terminate()
        assert program.wait(PATIENCE) == 0
    refusal = subprocess.run(
        program_command(*arguments[:2]), capture_output=True, text=True, env=environment, check=False
    )
    assert refusal.returncode == 1
    assert "refused the login" in refusal.stderr


def test_check_prints_the_steps_and_tells_by_its_exit_code(world: World) -> None:
    """For a terminal, for scripts, and for the probes of a container."""
    profile = user_and_system(world)

    def check(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = program_command("check", "--connect", profile.urls[0], "--user", "app", *arguments)
        environment = {**os.environ, "WORD": "geheim", HOME_VARIABLE: str(world.folder / "home")}
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    good = check("--password", "env://WORD")
    assert good.returncode == 0, good.stdout
    assert re.search(r"^ok +Log in +\d+ ms  accepted as app, account APP$", good.stdout, re.MULTILINE)
    told = json.loads(check("--password", "env://WORD", "--json").stdout)
    assert told["ok"]
    bad = check("--password", "falsch", "--quiet")
    assert (bad.returncode, bad.stdout) == (1, "")
    assert bad.stderr.startswith("Log in: ")
    missing = check("--password", "env://WORD", "--require", "memphis")
    assert missing.returncode == 1
    assert re.search(r"^MISSING +Memphis layer", missing.stdout, re.MULTILINE)
