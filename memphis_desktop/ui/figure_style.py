"""The style of figures and times that the settings ask for, from what Qt knows of the language."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QLocale

from memphis_desktop import language
from memphis_desktop.language import figures, languages
from memphis_desktop.ui.settings import Settings

NUMBERS = "figures/style"  # AS_LANGUAGE or ISO
CLOCK = "figures/clock"  # AS_LANGUAGE, 24 or 12 hours
DIGITS = "figures/digits"  # of a second
RELATIVE = "figures/relative"  # whether tables say how long ago
SETTINGS = frozenset({NUMBERS, CLOCK, DIGITS, RELATIVE})

AS_LANGUAGE, ISO = "language", "iso"
HOURS_24, HOURS_12 = "24", "12"
SECOND_DIGITS = (0, 3, 6, 9)


def chosen(store: Settings, system: QLocale | None = None) -> figures.Style:
    """The style that the settings ask for; `system` is the system's locale."""
    style = figures.ISO
    if store.get(NUMBERS, AS_LANGUAGE) != ISO:
        style = of_locale(locale(language.current(), system or QLocale.system()))
    hours = store.get(CLOCK, AS_LANGUAGE)
    if hours in (HOURS_24, HOURS_12):
        style = replace(style, twelve_hours=hours == HOURS_12)
    digits = store.get(DIGITS, style.digits)
    return replace(
        style,
        digits=digits if digits in SECOND_DIGITS else style.digits,
        relative=store.get(RELATIVE, True) is not False,
    )


def locale(code: str, system: QLocale) -> QLocale:
    """The locale of a language, in the system's country where the system speaks that language.

    English elsewhere is nobody's in particular, and so are the made-up languages: these have the C locale.
    """
    found = QLocale(code)
    if languages.is_made_up(code):
        return QLocale.c()
    if system.language() == found.language():
        return system
    return QLocale.c() if code == language.ENGLISH else found


def of_locale(found: QLocale) -> figures.Style:
    """How a locale writes; the C locale, which a system without a choice has, is ISO."""
    if found.language() == QLocale.Language.C:
        return figures.ISO
    short = QLocale.FormatType.ShortFormat
    date, day = figures.date_patterns(found.dateFormat(short))
    months = tuple(found.standaloneMonthName(month, short).rstrip(".") for month in range(1, 13))
    return figures.Style(
        decimal=found.decimalPoint(),
        group=found.groupSeparator(),
        date=date,
        day=day,
        month_first=day.startswith("%m"),
        twelve_hours="a" in found.timeFormat(short).lower().replace("'", ""),
        halves=(found.amText(), found.pmText()),
        months=months,
    )


def apply(store: Settings, system: QLocale | None = None) -> None:
    """Write as the settings ask, from now on."""
    figures.use(chosen(store, system))
