"""The documents: they build, their links hold, their examples run, and they name what there is."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from memphis_desktop import cli
from memphis_desktop.server_process import ServerProcess, program_command
from tests.conftest import Starter
from tests.installed import python_environment

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]
_FENCE = re.compile(r"^( *)```(\S*)([^\n]*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    words: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """Every block of these languages, of all pages."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in _FENCE.finditer(text):
            if match[2] in languages:
                line = text.count("\n", 0, match.start()) + 1
                indent = len(match[1])
                body = "\n".join(row[indent:] for row in match[4].splitlines())
                found.append(Block(page, line, match[2], match[3].strip(), body))
    return found


PYTHON = [block for block in blocks("python") if not block.words]


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_an_example_in_python_runs(block: Block, broker: ServerProcess, tmp_path: Path) -> None:
    """As it stands in the page, on a fresh broker."""
    text = block.text.replace("nats://127.0.0.1:4222", broker.url)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", text],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


MEMPHIS = [block for block in blocks("python") if block.words == "memphis"]


@pytest.mark.parametrize("block", MEMPHIS, ids=str)
def test_an_example_for_memphis_runs(block: Block, start_broker: Starter) -> None:
    """With the unmodified SDK, on a fresh broker's Memphis port."""
    server = start_broker(memphis=True)
    text = block.text.replace('host="127.0.0.1",', f'host="127.0.0.1", port={server.memphis_port},')
    python = python_environment(ROOT / "tests" / "clients" / "memphis" / "requirements.txt")
    done = subprocess.run([python, "-c", text], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("order_id") == 1


def commands(block: Block) -> list[list[str]]:
    """The words of each call of the program in a block of shell; continued lines are one."""
    found = []
    for line in block.text.replace("\\\n", " ").splitlines():
        line = line.strip().removeprefix("python3 dev.py run").removeprefix("exec ")
        if line.startswith("memphis-desktop "):
            line = line.removeprefix("memphis-desktop")
        elif not block.text.strip().startswith("python3 dev.py run") or line.startswith("python3"):
            continue
        found.append(shlex.split(line.split("#")[0].split("| ")[0], posix=True))
    return found


CALLS = [(block, words) for block in blocks("sh") for words in commands(block) if words]


@cache
def help_text(command: str) -> str:
    """What a command says of itself."""
    words = [command] if command else []
    done = subprocess.run(
        program_command(*words, "--help"), capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


@pytest.mark.parametrize(
    ("block", "words"), CALLS, ids=lambda value: str(value) if isinstance(value, Block) else ""
)
def test_a_command_in_a_page_is_one(block: Block, words: list[str]) -> None:
    """The command exists, and so do its options."""
    command = words[0] if not words[0].startswith("-") and "://" not in words[0] else ""
    assert not command or command in cli.COMMANDS, f"{block}: there is no command {command}"
    known = help_text(command)
    for word in words:
        option = word.split("=")[0]
        if re.fullmatch(r"--?[a-z][\w-]*", option):
            assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", known), f"{block}: {option}"


def test_the_reference_says_what_the_commands_say() -> None:
    """`python docs/write_reference.py` writes it."""
    writer = runpy.run_path(str(ROOT / "docs" / "write_reference.py"))
    assert writer["PAGE"].read_text(encoding="utf-8") == writer["page"]()


def test_the_site_builds_and_every_link_holds(tmp_path: Path) -> None:
    """MkDocs, strictly."""
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "mkdocs",
            "build",
            "--strict",
            "--quiet",
            "-d",
            str(tmp_path / "site"),
        ],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "page", [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")], ids=str
)
def test_links_of_the_root_pages_hold(page: Path) -> None:
    """They point at files of the repository."""
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (ROOT / target).exists(), target
