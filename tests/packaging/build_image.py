"""Carry out a Containerfile without a container engine: its steps, under a folder instead of ``/``.

It understands what our file uses: stages, COPY with ``--from`` and ``--chmod``, RUN, ENV, WORKDIR, USER.
Paths of the image are those below ``/opt``, ``/build`` and ``/data``; commands run on this machine with those
paths replaced, so a step that would change the system itself (users, groups) is only remembered.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dockerfile_parse import DockerfileParser

_IMAGE_PATHS = re.compile(r"(?<![\w.])/(opt|build|data)(?=[/\s\"':]|$)")
_SYSTEM_STEPS = ("groupadd", "useradd")


@dataclass
class Stage:
    """What the steps of a stage have set."""

    folder: Path
    workdir: str = "/"
    user: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


class ImageBuild:
    """The stages of a Containerfile, built under a folder of their own each."""

    def __init__(self, containerfile: Path, context: Path, folder: Path, python: str) -> None:
        """Prepare.

        Args:
            containerfile: The file.
            context: The folder that COPY takes from.
            folder: Where the stages are built.
            python: The interpreter that stands for that of the base image.
        """
        self._context = context
        self._tools = folder / "tools"
        self._tools.mkdir()
        (self._tools / "python").symlink_to(python)
        self._folder = folder
        self._stages: dict[str, Stage] = {}
        self.stage = Stage(folder)
        with containerfile.open("rb") as file:
            self._instructions: list[dict[str, Any]] = DockerfileParser(fileobj=file).structure

    def run(self) -> Stage:
        """Carry out all steps and return the last stage."""
        for step in self._instructions:
            value = step["value"]
            match step["instruction"]:
                case "FROM":
                    self._from(value)
                case "RUN":
                    self._run(value)
                case "COPY":
                    self._copy(value.split())
                case "ENV":
                    for name, setting in re.findall(r"(\w+)=(\S+)", value):
                        self.stage.environment[name] = setting
                case "WORKDIR":
                    self.stage.workdir = value
                    self.place(value).mkdir(parents=True, exist_ok=True)
                case "USER":
                    self.stage.user = value
                case "ENTRYPOINT":
                    self.stage.entrypoint = json.loads(value)
                case "CMD":
                    self.stage.command = json.loads(value)
                case "ARG" | "COMMENT" | "EXPOSE" | "VOLUME" | "STOPSIGNAL":
                    pass
                case other:
                    raise AssertionError(f"a step this does not know: {other}")
        return self.stage

    def place(self, path: str) -> Path:
        """Where a path of the image lies here."""
        absolute = path if path.startswith("/") else f"{self.stage.workdir.rstrip('/')}/{path}"
        return self.stage.folder / absolute.lstrip("/")

    def here(self, text: str) -> str:
        """A command with the image's paths replaced."""
        return _IMAGE_PATHS.sub(lambda match: f"{self.stage.folder}/{match[1]}", text)

    def _from(self, value: str) -> None:
        name = value.split(" AS ")[1] if " AS " in value else "final"
        self.stage = self._stages[name] = Stage(self._folder / name)
        self.stage.folder.mkdir(parents=True)

    def _run(self, value: str) -> None:
        if any(word in value for word in _SYSTEM_STEPS):
            self.stage.skipped.append(value)
            return
        folder = self.place(".")
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["sh", "-c", self.here(value)],
            cwd=folder,
            env={**os.environ, "PATH": f"{self._tools}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{value}\n{done.stdout}{done.stderr}"

    def _copy(self, words: list[str]) -> None:
        options = dict(word[2:].split("=", 1) for word in words if word.startswith("--"))
        *sources, target = [word for word in words if not word.startswith("--")]
        origin = self._stages[options["from"]].folder if "from" in options else self._context
        for source in sources:
            path = origin / source.lstrip("/")
            into = self.place(target)
            if path.is_dir():
                shutil.copytree(path, into, symlinks=True, dirs_exist_ok=True, ignore=_ignored)
                continue
            goal = into / path.name if target.endswith("/") else into
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, goal)
            if "chmod" in options:
                goal.chmod(int(options["chmod"], 8))


def _ignored(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "__pycache__"]


def environment_of(build: ImageBuild) -> dict[str, str]:
    """The environment of a container's process, with the image's paths replaced; nothing of this one's."""
    values = {name: build.here(value) for name, value in build.stage.environment.items()}
    values["PATH"] = f"{values['PATH']}:{os.environ['PATH']}"
    return values
