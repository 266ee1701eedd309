"""What the user may change of a theme: its accent, and colours that colour-blind eyes tell apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from memphis_desktop.ui.theme.tokens import (
    CONTRAST_DARK,
    CONTRAST_LIGHT,
    DARK,
    LIGHT,
    Theme,
    contrast_ratio,
    mix,
)

STANDARD_ACCENT = "violet"
# By the names of the themes: the accent, and the same under the mouse. Violet is the themes' own.
ACCENTS: dict[str, dict[str, tuple[str, str]]] = {
    "violet": {},
    "blue": {
        "dark": ("#5AA9FF", "#7DBBFF"),
        "light": ("#1260C4", "#0D4FA3"),
        "contrast-dark": ("#8EC5FF", "#B5D9FF"),
        "contrast-light": ("#0A3F8A", "#062C63"),
    },
    "teal": {
        "dark": ("#2CC4B0", "#55D3C3"),
        "light": ("#0B6F7D", "#085A66"),
        "contrast-dark": ("#5FE0CE", "#93EBDF"),
        "contrast-light": ("#064C59", "#03343D"),
    },
    "pink": {
        "dark": ("#F272B6", "#F690C5"),
        "light": ("#B4237A", "#961A64"),
        "contrast-dark": ("#FFA3D4", "#FFC4E3"),
        "contrast-light": ("#7F1456", "#5E0D3F"),
    },
    "graphite": {
        "dark": ("#B4BECC", "#CBD3DE"),
        "light": ("#44505F", "#333D4A"),
        "contrast-dark": ("#E0E0E0", "#F5F5F5"),
        "contrast-light": ("#222B36", "#121820"),
    },
}
# Blue, yellow and orange instead of green, amber and red; graph lines in the order of how well they part.
_TOLD_APART: dict[bool, dict[str, str]] = {
    True: {"good": "#58B0FF", "warning": "#F0E442", "bad": "#FF9245", "information": "#C3B5E8"},
    False: {"good": "#0063A3", "warning": "#6E5D00", "bad": "#A63C00", "information": "#5B4B8A"},
}
_TOLD_APART_CONTRAST: dict[bool, dict[str, str]] = {
    True: {"good": "#8ECBFF", "warning": "#F7EE6A", "bad": "#FFB27D", "information": "#D6CCF2"},
    False: {"good": "#00406B", "warning": "#4D4200", "bad": "#7A2C00", "information": "#43366B"},
}
_LINES = {
    True: ("#56B4E9", "#E69F00", "#F0E442", "#CC79A7", "#E6EBF2", "#009E73"),
    False: ("#0072B2", "#B35C00", "#171D26", "#A0407A", "#7A6A00", "#00724F"),
}
_LINES_CONTRAST = {
    True: ("#7CC8F5", "#FFB52E", "#F7EE6A", "#F0A6CF", "#FFFFFF", "#3BD6A5"),
    False: ("#00598C", "#8A4600", "#000000", "#7F2A5E", "#5C5000", "#00593D"),
}
_ON_GROUNDS = ("text", "muted", "good", "warning", "bad", "information")
_LEAST = 4.5  # of contrast


def own_accent(theme_name: str) -> str:
    """The accent that a theme comes with."""
    return next(one.accent for one in (DARK, LIGHT, CONTRAST_DARK, CONTRAST_LIGHT) if one.name == theme_name)


def varied(theme: Theme, accent: str, told_apart: bool) -> Theme:
    """A theme with an accent of `ACCENTS`, and with colours for colour-blind eyes when ``told_apart``.

    Raises:
        KeyError: there is no such accent.
    """
    colours = ACCENTS[accent].get(theme.name)
    if colours is not None:
        chosen, over = colours
        theme = replace(
            theme,
            accent=chosen,
            accent_hover=over,
            accent_soft=mix(chosen, theme.surface, 0.12),
            selection=mix(chosen, theme.surface, 0.24),
        )
    if told_apart:
        contrast = theme.name.startswith("contrast")
        meanings = (_TOLD_APART_CONTRAST if contrast else _TOLD_APART)[theme.dark]
        soft = {f"{token}_soft": mix(colour, theme.surface, 0.13) for token, colour in meanings.items()}
        lines = (_LINES_CONTRAST if contrast else _LINES)[theme.dark]
        colours_by_meaning: dict[str, Any] = meanings | soft
        theme = replace(theme, **colours_by_meaning, series=lines)
    grounds: dict[str, Any] = {name: _ground(theme, name) for name in ("selection", "accent_soft", "hover")}
    return replace(theme, **grounds)


def _ground(theme: Theme, name: str) -> str:
    """A ground as strong as it may be with every text on it still readable: rows are full of colours."""
    ground = theme.colour(name)
    while any(contrast_ratio(theme.colour(token), ground) < _LEAST for token in _ON_GROUNDS):
        paler = mix(ground, theme.surface, 0.9)
        if paler == ground:
            break
        ground = paler
    return ground
