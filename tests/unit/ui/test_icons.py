"""Every icon that the program names is one there is."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import qtawesome

import memphis_desktop

PROGRAM = Path(memphis_desktop.__file__).parent


def named_icons() -> Iterator[tuple[str, str]]:
    """Yield place and name: of commands, of the function ``icon``, and of arguments called so."""
    for path in PROGRAM.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            given = [word.value for word in node.keywords if word.arg == "icon"]
            if called == "Command":
                given += node.args[3:4]
            elif called == "icon":
                given += node.args[:1]
            for one in given:
                for part in ast.walk(one):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value:
                        yield f"{path.relative_to(PROGRAM)}:{node.lineno}", part.value


def test_every_icon_exists() -> None:
    (names,) = Path(qtawesome.__file__).parent.glob("fonts/phosphor-charmap*.json")
    known = json.loads(names.read_text(encoding="utf-8"))
    found = list(named_icons())
    assert len(found) > 100
    assert not [(place, name) for place, name in found if name not in known]
