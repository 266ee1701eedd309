"""The look holds the contrast it promises."""

from __future__ import annotations

import re

import pytest

from memphis_desktop.ui.theme import tokens
from memphis_desktop.ui.theme.stylesheet import stylesheet
from memphis_desktop.ui.theme.variants import ACCENTS, varied

THEMES = [tokens.DARK, tokens.LIGHT, tokens.CONTRAST_DARK, tokens.CONTRAST_LIGHT]


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_text_is_readable_on_every_surface(theme: tokens.Theme) -> None:
    least = 7.0 if theme.name.startswith("contrast") else 4.5
    for surface in (theme.window, theme.surface, theme.raised, theme.hover, theme.selection, theme.sunken):
        assert tokens.contrast_ratio(theme.text, surface) >= least
    for token in ("muted", "good", "warning", "bad", "information", "accent"):
        for surface in (theme.window, theme.surface, theme.raised):
            assert tokens.contrast_ratio(theme.colour(token), surface) >= least, (token, surface)
    for token in ("good", "warning", "bad", "information"):
        assert tokens.contrast_ratio(theme.colour(token), theme.colour(f"{token}_soft")) >= least, token
        assert tokens.contrast_ratio(theme.text, theme.colour(f"{token}_soft")) >= least
    assert tokens.contrast_ratio(theme.on_accent, theme.accent) >= least
    assert tokens.contrast_ratio(theme.muted, theme.selection) >= 4.5


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_lines_of_graphs_are_visible(theme: tokens.Theme) -> None:
    for colour in theme.series:
        assert tokens.contrast_ratio(colour, theme.surface) >= 3.0


@pytest.mark.parametrize("name", sorted(tokens.ENVIRONMENT_COLOURS))
def test_the_word_of_an_environment_is_readable(name: str) -> None:
    ground, word = tokens.ENVIRONMENT_COLOURS[name]
    assert tokens.contrast_ratio(ground, word) >= 4.5


def test_mix_is_between() -> None:
    assert tokens.mix("#FFFFFF", "#000000", 0.5) == "#808080"


_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_GROUND = re.compile(r"(?:^|[;\s])background: (#\w{6})")
_TEXT = re.compile(r"(?:^|[;\s])color: (#\w{6})")
_CHOSEN_GROUND = re.compile(r"selection-background-color: (#\w{6})")
_CHOSEN_TEXT = re.compile(r"selection-color: (#\w{6})")


@pytest.mark.parametrize("told_apart", [False, True])
@pytest.mark.parametrize("accent", sorted(ACCENTS))
@pytest.mark.parametrize("base", THEMES, ids=lambda theme: theme.name)
def test_every_pair_in_use_is_readable_in_every_variant(
    base: tokens.Theme, accent: str, told_apart: bool
) -> None:
    """What rules of the stylesheet pair, and what painters put on the grounds of rows, chips and messages."""
    theme = varied(base, accent, told_apart)
    least = 7.0 if base.name.startswith("contrast") else 4.5
    pairs = []
    for rule in _RULE.finditer(stylesheet(theme, tokens.DENSITIES["normal"], "Mono")):
        if ":disabled" in rule[1]:
            continue  # what cannot be used is exempt, and says why in its tooltip
        for text, ground in ((_TEXT, _GROUND), (_CHOSEN_TEXT, _CHOSEN_GROUND)):
            first, second = text.search(rule[2]), ground.search(rule[2])
            if first and second:
                pairs.append((rule[1].strip(), first[1], second[1], least))
    assert len(pairs) > 20
    texts = ("text", "muted", "good", "warning", "bad", "information")
    for ground in ("window", "surface", "raised", "sunken", "selection", "hover", "accent_soft"):
        plain = ground in ("window", "surface", "raised", "sunken")
        for token in texts:
            pairs.append((ground, theme.colour(token), theme.colour(ground), least if plain else 4.5))
        # Links and marks in the accent's colour; on rows these are icons.
        pairs.append((ground, theme.accent, theme.colour(ground), least if plain else 3.0))
    for kind in ("good", "warning", "bad", "information"):
        soft = theme.colour(f"{kind}_soft")
        pairs += [(kind, theme.colour(kind), soft, 4.5), (kind, theme.text, soft, least)]
    pairs.append(("button", theme.on_accent, theme.accent, 4.5))
    unreadable = {
        (where, text, ground)
        for where, text, ground, wanted in pairs
        if tokens.contrast_ratio(text, ground) < wanted
    }
    assert unreadable == set()
    assert theme.selection != theme.surface
