"""The language of the window: every text that people read is asked for here.

The texts in the code are English and are the keys of gettext catalogs: `tr` for a text, `tr_count` for one
that has a number in it, because languages differ in how many plural forms they have. What is filled in are
named values; a text is never put together from translated halves, since the order of words differs too. Where
one English word stands for two things that other languages tell apart, `tr_in` says which is meant.

`use` chooses the language once, before the window's modules are imported: many of them hold texts in
constants. Nothing of a message, of a server's answer or of the protocol goes through here.

The catalogs are `catalogs/CODE.po`; `python3 dev.py translate` brings them up to the texts in the code.
"""

from __future__ import annotations

import gettext
import re
import string

from memphis_desktop.language import figures

ENGLISH = "en"

_FORMAT = re.compile(r"\{\w+:")  # a value with a format of its own

_catalog: gettext.NullTranslations = gettext.NullTranslations()
_code = ENGLISH
_right_to_left = False
_ISOLATE, _END = "\u2068", "\u2069"  # Unicode's first strong isolate, and the end of one
_MARKS = str.maketrans("", "", _ISOLATE + _END)


def use(catalog: gettext.NullTranslations, code: str = ENGLISH, *, right_to_left: bool = False) -> None:
    """Take the texts from this catalog from now on; `gettext.NullTranslations()` is English."""
    global _catalog, _code, _right_to_left
    _catalog, _code, _right_to_left = catalog, code, right_to_left


def isolated(text: str) -> str:
    """Return a text that keeps its own direction among others.

    Beside words that run from right to left, ``568 /s`` would be shown as ``/s 568`` and a name with a dash
    in pieces. In languages that run from left to right it stays as it is.
    """
    return f"{_ISOLATE}{text}{_END}" if _right_to_left and text else text


def without_marks(text: str) -> str:
    """Return a text as it is copied or written to a file."""
    return text.translate(_MARKS) if _right_to_left else text


def current() -> str:
    """Return the code of the chosen language."""
    return _code


def tr(text: str, /, **values: object) -> str:
    """Return a text in the chosen language, with `{name}` in it replaced by the value of that name.

    Without values the text is taken as it is, braces included. Values are put in as they are: whatever
    braces or percent signs they have stay what they are.
    """
    found = _catalog.gettext(text)
    return _filled(found, values) if values else found


def tr_count(one: str, many: str, count: int, /, **values: object) -> str:
    """Return the form of a text that fits a number, in the chosen language.

    `{count}` in it is the number, or what `values` gives under that name when it is to be written another
    way (``tr_count("{count} message", "{count} messages", n, count=integer(n))``).
    """
    return _filled(_catalog.ngettext(one, many, count), {"count": count, **values})


def tr_in(context: str, text: str, /, **values: object) -> str:
    """Return a text in the chosen language where its English has more than one meaning.

    `context` tells translators which: ``tr_in("state", "Open")`` beside ``tr("Open")`` on a button.
    """
    found = _catalog.pgettext(context, text)
    return _filled(found, values) if values else found


def _filled(text: str, values: dict[str, object]) -> str:
    """A text with its values put in; numbers with a format are written in the style of `figures`."""
    if _right_to_left:
        values = {
            name: isolated(value) if isinstance(value, str) else value for name, value in values.items()
        }
    if _FORMAT.search(text):
        return _FIGURES.vformat(text, (), values)
    return text.format(**values)


class _Figures(string.Formatter):
    """Formats as Python does, but for the signs between thousands and before a fraction."""

    def format_field(self, value: object, spec: str) -> str:
        if spec == "," and isinstance(value, int):
            return figures.integer(value)
        written = str(format(value, spec))
        return figures.decimal(written) if isinstance(value, float) else written


_FIGURES = _Figures()
