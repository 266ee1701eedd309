"""The look holds the contrast it promises."""

from __future__ import annotations

import pytest

from memphis_desktop.ui.theme import tokens

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
