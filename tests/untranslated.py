"""Finds texts that people read and that were not given to `tr`: ``python -m tests.untranslated FOLDER``.

Two kinds are found: what is given to a known setter of text (`setText`, `QLabel`, `add_row` …), and what
reads like a sentence or title wherever it stands. A line that is right as it is ends
with ``# untranslated: why``.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "memphis_desktop"

# What is called -> which of its positional arguments people read.
SETTERS = {
    "QLabel": (0,),
    "QPushButton": (0, 1),
    "QToolButton": (0,),
    "QCheckBox": (0,),
    "QRadioButton": (0,),
    "QGroupBox": (0,),
    "QAction": (0, 1),
    "QMenu": (0,),
    "setText": (0, 1),
    "setToolTip": (0, 1),
    "setStatusTip": (0,),
    "setPlaceholderText": (0,),
    "setWindowTitle": (0,),
    "setAccessibleName": (0,),
    "setAccessibleDescription": (0,),
    "setTitle": (0,),
    "setSuffix": (0,),
    "setPrefix": (0,),
    "setSpecialValueText": (0,),
    "addAction": (0, 1),
    "addMenu": (0,),
    "addItem": (0,),
    "addTab": (1, 2),
    "addRow": (0,),
    "PlainLabel": (0,),
    "PageHeader": (0,),
    "EmptyState": (1,),
    "Banner": (1,),
    "FilterBar": (0,),
    "Command": (0,),
    "Section": (0,),
    "add_row": (0, 2),
    "add_check": (0, 3),
    "add_choice": (0, 4),
    "add_button": (0, 1, 3),
    "add_chip": (1, 2),
    "add_action": (0,),
    "add_icon_action": (1,),
    "add_form_row": (1, 3),
    "notify": (0,),
    "run": (1,),
    "confirm": (0, 1, 2),
    "set_content": (1,),
    "set_title": (0, 1),
    "set_reason": (0,),
}
NAMED = {
    "text", "title", "tooltip", "hint", "reason", "sentence", "help_text", "verb", "label", "subtitle",
    "introduction", "placeholder", "caption", "unit",
}  # fmt: skip
TRANSLATORS = {"tr", "tr_count", "tr_in"}
# Calls whose texts nobody reads in the window.
SILENT = {
    "setObjectName", "setProperty", "objectName", "property", "getLogger", "debug", "info", "warning",
    "error", "exception", "critical", "compile", "cast", "TypeVar", "getattr", "hasattr", "isinstance",
    "ValueError", "KeyError", "TypeError", "RuntimeError", "AssertionError", "NotImplementedError",
}  # fmt: skip
# Names and units that are the same in every language.
SAME = {"Memphis Desktop", "Memphis", "NATS", "JetStream", "Kubernetes", "GitHub", "nats-server",
        "UTC", "ISO 8601"}  # fmt: skip
_SENTENCE = re.compile(r"^[A-Z][\w’'-]* [\w(“‘{]|[a-z]{2,}[.:!?…]$|^[A-Z][a-z]+(?:…)?$|[a-z] [a-z]+ [a-z]")
_WORD = re.compile(r"[A-Za-z]{2,}")
_PROGRAM = re.compile(r"\n.*\n", re.DOTALL)  # texts of several lines are programs to copy
_STYLE = re.compile(
    r"\{.*[a-z-]+: .*;.*\}|^[#$]|^[a-z0-9-]+:(?://\S*)?$|^(?:SELECT|INSERT|DELETE|CREATE|PRAGMA) ", re.DOTALL
)
_ADDRESS = re.compile(
    r"^(?:\w+://\S+\s*)+$|^(?:(?:Ctrl|Shift|Alt)\+)+\w+$|PRIVATE KEY-----$"
    r"|^(?:Up|Down|Left|Right|PgUp|PgDown|Return|Space|Del|Ins|Esc|Tab|Backspace)$"
)
_UNIT = re.compile(r"^\s*(?:[kMGT]?i?B(?:/s)?|ms|µs|s|min|h|d|px|%|/s)?\s*$")


def unswept(path: Path) -> list[str]:
    """Return the places of a file where a text is not translated, as ``file:line: text``."""
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    found = []
    for node, text in _texts(ast.parse(source)):
        marked = any(
            "# untranslated" in lines[at - 1] for at in {node.lineno, node.end_lineno or node.lineno}
        )
        if not marked and text not in SAME:
            found.append(
                (node.lineno, f"{path.relative_to(PACKAGE.parent).as_posix()}:{node.lineno}: {text}")
            )
    return [place for _, place in sorted(set(found))]


def _texts(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    return _Finder().find(tree)


class _Finder:
    """Walks a file; what stands inside `tr`, docstrings, annotations and logging is passed over."""

    def find(self, node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return  # a docstring
        if isinstance(node, ast.Assign) and any(_name(target) == "__all__" for target in node.targets):
            return
        if isinstance(node, (ast.AnnAssign, ast.arg)):
            children: list[ast.AST] = [node.value] if isinstance(node, ast.AnnAssign) and node.value else []
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            children = [*node.args.defaults, *(d for d in node.args.kw_defaults if d), *node.body]
        elif isinstance(node, ast.Call):
            name = _name(node.func)
            if name in SILENT:
                children = [argument for argument in node.args if not _is_text(argument)]
            elif name in TRANSLATORS:
                children = [*node.args[1:], *(keyword.value for keyword in node.keywords)]
                children = [child for child in children if not isinstance(child, ast.Constant)]
            else:
                yield from self._given(node, name)
                children = list(ast.iter_child_nodes(node))
        else:
            children = list(ast.iter_child_nodes(node))
        text = _text(node) if isinstance(node, ast.expr) else None
        if text is not None:
            assert isinstance(node, ast.expr)
            if (
                _SENTENCE.search(text)
                and not _ADDRESS.match(text)
                and not _PROGRAM.search(text)
                and not _STYLE.search(text)
            ):
                yield node, text
            return
        for child in children:
            yield from self.find(child)

    def _given(self, call: ast.Call, name: str) -> Iterator[tuple[ast.expr, str]]:
        """What a setter of text is given, in branches and sums too."""
        wanted = [call.args[at] for at in SETTERS.get(name, ()) if at < len(call.args)]
        wanted += [keyword.value for keyword in call.keywords if keyword.arg in NAMED]
        for argument in wanted:
            for node in _parts(argument):
                text = _text(node)
                words = text is not None and _WORD.search(re.sub(r"\{\}", "", text))
                if text is not None and words and not _UNIT.match(text) and not _ADDRESS.match(text):
                    yield node, text


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.IfExp):
        yield from _parts(node.body)
        yield from _parts(node.orelse)
    elif isinstance(node, ast.BinOp):
        yield from _parts(node.left)
        yield from _parts(node.right)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from _parts(value)
    else:
        yield node


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _text(node: ast.AST) -> str | None:
    """The text of a literal; the fields of an f-string are ``{}``."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def files_of(place: str) -> list[Path]:
    """Return the Python files of a folder, or the one file, under the package."""
    path = PACKAGE / place
    return [path] if path.suffix == ".py" else sorted(path.rglob("*.py"))


def main() -> int:
    """Print what is left in the folders named."""
    places = [place for name in sys.argv[1:] for path in files_of(name) for place in unswept(path)]
    print(*places, sep="\n")
    return 1 if places else 0


if __name__ == "__main__":
    sys.exit(main())
