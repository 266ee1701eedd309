#!/usr/bin/env python3
"""Bring the catalogs of translations up to the texts in the code, or make them ready for the program.

    python3 dev.py translate     # new texts into every .po file, those that are gone out of them

`compile_all` writes the .mo files that the program reads; the build (`build_hook.py`) and `dev.py` call it.
"""

from __future__ import annotations

import argparse
import ast
import io
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "memphis_desktop"
CATALOGS = PACKAGE / "language" / "catalogs"
TEXTS = {"tr": 1, "tr_count": 2, "tr_in": 2}  # how many of the first arguments are literal texts
HEAD = """\
msgid ""
msgstr ""
"Language: {language}\\n"
"Plural-Forms: {plurals}\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""
NOTE = "NOTE:"  # begins a comment for translators, in the line above


def sources() -> Iterator[Path]:
    """Yield the files of the program that have texts to translate."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.parent.name != "language" and b"memphis_desktop.language import" in path.read_bytes():
            yield path


def template() -> Catalog:
    """Return the texts of the code as a catalog without translations."""
    found = Catalog(project="Memphis Desktop", fuzzy=False)
    for path in sources():
        name = path.relative_to(ROOT).as_posix()
        lines = path.read_text(encoding="utf-8").splitlines()
        for call in calls(path):
            texts = literal_texts(call)
            if texts is None:
                continue  # `not_literal` tells
            above = lines[call.lineno - 2].strip() if call.lineno > 1 else ""
            notes = [above.partition(NOTE)[2].strip()] if above.startswith("#") and NOTE in above else []
            context = texts[0] if _name(call) == "tr_in" else None
            ids = texts if _name(call) == "tr_count" else texts[-1]
            found.add(ids, None, [(name, 1)], auto_comments=notes, context=context)
    return found


def calls(path: Path) -> Iterator[ast.Call]:
    """Yield the calls of a file that ask for a text, in their order."""
    tree = ast.parse(path.read_bytes())
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name(node) in TEXTS]
    yield from sorted(found, key=lambda call: (call.lineno, call.col_offset))


def literal_texts(call: ast.Call) -> tuple[str, ...] | None:
    """Return the texts that a call asks for; None when they are no literals: nobody could translate them."""
    first = call.args[: TEXTS[_name(call)]]
    texts = tuple(one.value for one in first if isinstance(one, ast.Constant) and isinstance(one.value, str))
    return texts if len(texts) == TEXTS[_name(call)] else None


def not_literal() -> list[str]:
    """Return where something else than a literal text is asked for."""
    return [
        f"{path.relative_to(ROOT).as_posix()}:{call.lineno}"
        for path in sources()
        for call in calls(path)
        if literal_texts(call) is None
    ]


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def read(path: Path) -> Catalog:
    """Return a catalog as its file has it."""
    with path.open("rb") as file:
        return read_po(file, locale=path.stem)


def write(catalog: Catalog, path: Path) -> None:
    """Write a catalog in order of the files of the code, without anything that changes from day to day."""
    body = io.BytesIO()
    write_po(body, catalog, width=110, include_lineno=False, sort_by_file=True, omit_header=True)
    head = HEAD.format(language=path.stem, plurals=catalog.plural_forms)
    path.write_bytes(head.encode() + body.getvalue())


def files() -> list[Path]:
    """Return the catalogs there are."""
    return sorted(CATALOGS.glob("*.po"))


def untranslated(catalog: Catalog) -> list[Message]:
    """Return the texts of a catalog that lack a translation, or a plural form of one."""

    def missing(message: Message) -> bool:
        forms = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
        wanted = catalog.num_plurals if message.pluralizable else 1
        return message.fuzzy or len(forms) < wanted or not all(forms)

    return [message for message in catalog if message.id and missing(message)]


def update() -> None:
    """Write every .po file anew from the texts of the code, with the translations it has."""
    texts = template()
    for path in files():
        catalog = read(path)
        catalog.update(texts, no_fuzzy_matching=True, update_creation_date=False)
        catalog.obsolete.clear()
        write(catalog, path)
        count = sum(1 for message in catalog if message.id)
        print(f"{path.relative_to(ROOT)}: {len(untranslated(catalog))} of {count} texts are missing")


def compile_all() -> None:
    """Write the .mo files that are missing or older than their .po."""
    for path in files():
        made = path.with_suffix(".mo")
        if not made.exists() or made.stat().st_mtime < path.stat().st_mtime:
            with made.open("wb") as file:
                write_mo(file, read(path))


def main() -> int:
    """Carry out the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=["update", "compile", "missing"])
    command = parser.parse_args().command
    if command == "update":
        if places := not_literal():
            print("tr takes literal texts only:", *places, sep="\n  ", file=sys.stderr)
            return 1
        update()
    if command == "missing":
        for path in files():
            for message in untranslated(read(path)):
                print(f"{path.stem}: {message.id!r}")
    compile_all()
    return 0


if __name__ == "__main__":
    sys.exit(main())
