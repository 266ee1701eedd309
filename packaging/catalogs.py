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
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "memphis_desktop"
CATALOGS = PACKAGE / "language" / "catalogs"
KEYWORDS = {"tr": None, "tr_count": (1, 2), "tr_in": ((1, "c"), 2)}
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
        for _, ids, comments, context in extract_from_file(
            "python", str(path), keywords=KEYWORDS, comment_tags=[NOTE], strip_comment_tags=True
        ):
            found.add(ids, None, [(name, 1)], auto_comments=comments, context=context)
    return found


def not_literal() -> list[str]:
    """Return where `tr` is given something else than a literal text, which nobody could translate."""
    places = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_bytes())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            count = {"tr": 1, "tr_count": 2, "tr_in": 2}.get(node.func.id, 0)
            texts = node.args[:count]
            literal = [isinstance(text, ast.Constant) and isinstance(text.value, str) for text in texts]
            if count and (len(texts) < count or not all(literal)):
                places.append(f"{path.relative_to(ROOT).as_posix()}:{node.lineno}")
    return places


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
