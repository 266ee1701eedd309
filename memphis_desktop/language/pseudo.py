"""Made-up languages for developers: what was not given to `tr`, or does not fit, catches the eye.

`LONGER` has accents on its letters and is about a third longer, as German or Finnish would be, between
brackets that show where a text was cut off. `MIRRORED` runs from right to left as Arabic and Hebrew do.
"""

from __future__ import annotations

import gettext
import re

LONGER, MIRRORED = "pseudo", "pseudo-rtl"

_ACCENTS = str.maketrans("ACDEGIKLNORSTUYZacdegiklnorstuyz", "ÅÇÐÉĜÎĶĻÑÖŔŠŢÛÝŽåçðéĝîķļñöŕšţûýž")
_FILLING = "one two three four five six seven eight nine ten eleven twelve "
_FIELD = re.compile(r"(\{[^{}]*\})")
_HEBREW = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "אבגדהוזחטיכלמנסעפצקרשתךםןף" * 2
)


class Catalog(gettext.NullTranslations):
    """Answers each text with what the made-up language makes of it."""

    def __init__(self, code: str) -> None:
        super().__init__()
        self._change = mirrored if code == MIRRORED else longer

    def gettext(self, message: str) -> str:
        """Every text is translated."""
        return self._change(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """The plural forms of English."""
        return self._change(msgid1 if n == 1 else msgid2)

    def pgettext(self, context: str, message: str) -> str:
        """The context makes no difference."""
        return self._change(message)


def longer(text: str) -> str:
    """Return a text with accents, a third longer; fields stay as they are."""
    parts = _FIELD.split(text)
    words = "".join(part if _FIELD.fullmatch(part) else part.translate(_ACCENTS) for part in parts)
    letters = sum(len(part) for part in parts if not _FIELD.fullmatch(part))
    more = letters // 3 + 1
    return f"[{words} {(_FILLING * (more // len(_FILLING) + 1))[:more]}]"


def mirrored(text: str) -> str:
    """Return a text in letters that run from right to left, one for one; fields stay as they are."""
    parts = _FIELD.split(text)
    return "".join(part if _FIELD.fullmatch(part) else part.translate(_HEBREW) for part in parts)
