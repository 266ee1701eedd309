"""Texts in the chosen language."""

from __future__ import annotations

import gettext
import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest

from memphis_desktop import language, start_language
from memphis_desktop.language import figures, languages, pseudo, tr, tr_count, tr_in
from memphis_desktop.language.child import in_language
from memphis_desktop.ui.format import bytes_rate, bytes_size, duration, percent, rate, timestamp
from tests.waiting import PATIENCE


class Polish(gettext.NullTranslations):
    """A language with three plural forms."""

    def gettext(self, message: str) -> str:
        return {"Delete {name}": "Usuń {name}"}.get(message, message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        few = n % 10 in (2, 3, 4) and n % 100 not in (12, 13, 14)
        return "{count} wiadomość" if n == 1 else "{count} wiadomości" if few else "{count} wiadomość…"


@pytest.fixture
def polish() -> Iterator[None]:
    language.use(Polish())
    yield
    language.use(gettext.NullTranslations())


def test_english_is_what_the_code_says() -> None:
    assert tr("Delete {name}", name="ORDERS") == "Delete ORDERS"
    assert tr_count("{count} message", "{count} messages", 1) == "1 message"
    assert tr_count("{count} message", "{count} messages", 1200, count="1,200") == "1,200 messages"


def test_values_are_never_read_as_templates() -> None:
    assert tr("Delete {name}", name="{name!r} %s {0}") == "Delete {name!r} %s {0}"
    assert tr("A template has {braces}") == "A template has {braces}"


def test_numbers_in_a_text_are_written_in_the_chosen_style() -> None:
    before = figures.style()
    figures.use(figures.Style(decimal=",", group="."))
    try:
        assert tr("At most {limit:,} bytes", limit=1_234_567) == "At most 1.234.567 bytes"
        assert tr_count("{count:,} message", "{count:,} messages", 1200) == "1.200 messages"
        assert tr("No answer in {seconds:g} s of {name!r}", seconds=1.5, name="a.b") == (
            "No answer in 1,5 s of 'a.b'"
        )
        assert tr("{a:g} {b}", a=1, b="{a:,}") == "1 {a:,}"
    finally:
        figures.use(before)


@pytest.mark.usefixtures("polish")
def test_another_language_has_its_own_plural_forms() -> None:
    assert tr("Delete {name}", name="ORDERS") == "Usuń ORDERS"
    assert tr("Not translated yet") == "Not translated yet"
    assert [tr_count("{count} message", "{count} messages", n) for n in (1, 3, 12)] == [
        "1 wiadomość",
        "3 wiadomości",
        "12 wiadomość…",
    ]


def test_a_word_with_two_meanings_says_which_is_meant() -> None:
    assert tr_in("state", "Open") == "Open"
    assert tr_in("state", "Open {count}", count=3) == "Open 3"


def test_the_setting_and_the_environment_choose_the_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "settings.json"
    monkeypatch.delenv(start_language.VARIABLE, raising=False)
    try:
        start_language.choose(file)
        assert language.current() == "en"
        file.write_text('{"language": "pseudo"}')
        start_language.choose(file)
        assert language.current() == "pseudo"
        assert tr("Delete") != "Delete"
        monkeypatch.setenv(start_language.VARIABLE, "en")
        start_language.choose(file)
        assert tr("Delete") == "Delete"
        file.write_text('{"language": ["no", "language"]}')
        monkeypatch.delenv(start_language.VARIABLE)
        start_language.choose(file)
        assert language.current() == "en"
    finally:
        language.use(gettext.NullTranslations())


def test_values_keep_their_direction_among_words_from_right_to_left() -> None:
    languages.use_code(pseudo.MIRRORED)
    try:
        assert tr("Delete {name}", name="a-b").endswith("\u2068a-b\u2069")
        assert tr_count("{count} message", "{count} messages", 5, count="5/s").startswith("\u2068")
        for figure in (
            rate(568),
            bytes_size(3 << 20),
            bytes_rate(9),
            duration(75),
            duration(0.2),
            percent(0.5),
        ):
            assert (figure[0], figure[-1]) == ("\u2068", "\u2069")
        assert timestamp(0).startswith("\u2068")
        assert rate(None) == "–"
        assert language.without_marks(rate(568)) == "568/s"
    finally:
        languages.use_code("en")
    assert rate(568) == "568/s"
    assert tr("Delete {name}", name="a-b") == "Delete a-b"
    assert language.without_marks("\u2068") == "\u2068"  # what a message holds is not ours to change


def test_texts_in_constants_of_other_processes_are_translated() -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=in_language, args=("pseudo", "tests.unit.spoken:tell", theirs))
    process.start()
    try:
        assert ours.poll(PATIENCE)
        assert ours.recv() == pseudo.longer("Cancel")
    finally:
        process.join(PATIENCE)
        process.close()
        ours.close()
        theirs.close()
