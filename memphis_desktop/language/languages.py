"""The languages there are, which of them are offered, and loading the catalog of one."""

from __future__ import annotations

import gettext
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from memphis_desktop.language import ENGLISH, pseudo, use

log = logging.getLogger(__name__)

FOLDER = Path(__file__).with_name("catalogs")
AS_SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Language:
    """A language: its code as in locale names (``de``, ``pt_BR``) and what its speakers call it."""

    code: str
    name: str
    right_to_left: bool = False


# Those whose catalogs are complete, in the order of the menu; a test holds each of them to that.
OFFERED = (Language(ENGLISH, "English"), Language("de", "Deutsch"))
# For developers: texts that were made from the English ones and show what is clipped or not translatable.
PSEUDO = (Language(pseudo.LONGER, "[Ļóñĝéŕ]"), Language(pseudo.MIRRORED, "[Mirrored]", right_to_left=True))


def known(folder: Path = FOLDER) -> dict[str, Language]:
    """Return every language that can be asked for by its code, those with unfinished catalogs included."""
    found = {code: Language(code, code) for code in sorted(path.stem for path in folder.glob("*.mo"))}
    found.update((language.code, language) for language in (*OFFERED, *PSEUDO))
    return found


def resolve(choice: str, system: Iterable[str]) -> str:
    """Return the code of the language to use.

    Args:
        choice: what the user chose, or `AS_SYSTEM`.
        system: what the system prefers, best first, as in ``de-AT`` or ``pt_BR``.
    """
    offered = {language.code for language in OFFERED}
    if choice != AS_SYSTEM:
        return choice if choice in known() else ENGLISH
    for wanted in system:
        code = wanted.replace("-", "_")
        while code:
            if code in offered:
                return code
            code = code.rpartition("_")[0]
    return ENGLISH


def load(code: str, folder: Path = FOLDER) -> gettext.NullTranslations:
    """Return the catalog of a language; English, and a note in the log, when it cannot be read."""
    if code == ENGLISH:
        return gettext.NullTranslations()
    if is_made_up(code):
        return pseudo.Catalog(code)
    try:
        with (folder / f"{code}.mo").open("rb") as file:
            return gettext.GNUTranslations(file)
    except (OSError, ValueError) as error:
        log.warning("the texts of language %r could not be read: %s", code, error)
        return gettext.NullTranslations()


def use_code(code: str) -> None:
    """Use a language by its code."""
    use(load(code), code, right_to_left=is_right_to_left(code))


def is_made_up(code: str) -> bool:
    """Return whether a language is one of those for developers."""
    return code in {language.code for language in PSEUDO}


def is_right_to_left(code: str) -> bool:
    """Return whether a language is written from right to left."""
    return code in known() and known()[code].right_to_left
