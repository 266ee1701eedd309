"""No text that people read slips past the translations, and every translation fits its English."""

from __future__ import annotations

import gettext
import string
import sys
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message

from memphis_desktop.language import languages, pseudo
from tests import untranslated

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "packaging"))
import catalogs  # noqa: E402

# Where every text is given to `tr`: all that the window shows, and what others say in it.
SWEPT: tuple[str, ...] = (
    "cluster/actions",
    "cluster/alerts.py",
    "cluster/backup.py",
    "cluster/connection.py",
    "cluster/consumer_reset.py",
    "cluster/context_file.py",
    "cluster/contexts.py",
    "cluster/diagnosis.py",
    "cluster/failures.py",
    "cluster/health.py",
    "cluster/keychain.py",
    "cluster/lab",
    "cluster/message_deletion.py",
    "cluster/permitted.py",
    "cluster/probe.py",
    "cluster/profiles.py",
    "inspect/attached.py",
    "inspect/decode",
    "inspect/draft.py",
    "inspect/encode.py",
    "inspect/filter",
    "inspect/forms",
    "inspect/mask.py",
    "inspect/registry",
    "inspect/backup_reader.py",
    "inspect/collection.py",
    "inspect/diff.py",
    "inspect/explain.py",
    "inspect/files.py",
    "inspect/live.py",
    "inspect/matches.py",
    "inspect/publishing.py",
    "inspect/reader.py",
    "inspect/replay/copies.py",
    "inspect/replay/edits.py",
    "inspect/replay/resume.py",
    "inspect/replay/run.py",
    "inspect/replay/runs.py",
    "inspect/replay/sources.py",
    "inspect/replay/undo.py",
    "inspect/responder.py",
    "inspect/scan.py",
    "inspect/scan_reading.py",
    "inspect/search.py",
    "inspect/seek.py",
    "inspect/series.py",
    "local_broker.py",
    "proxy.py",
    "ui/components",
    "ui/lab",
    "ui/memphis",
    "ui/screens",
    "ui/shell",
    "updates.py",
    *(f"ui/{path.name}" for path in untranslated.files_of("ui") if path.parent.name == "ui"),
)


@pytest.fixture(scope="module")
def template() -> Catalog:
    return catalogs.template()


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def ids(message: Message) -> tuple[str, ...]:
    return tuple(message.id) if isinstance(message.id, (tuple, list)) else (message.id,)


def forms(message: Message) -> tuple[str, ...]:
    return tuple(message.string) if isinstance(message.string, (tuple, list)) else (message.string,)


@pytest.mark.parametrize("place", SWEPT)
def test_every_text_is_given_to_tr(place: str) -> None:
    places = [found for path in untranslated.files_of(place) for found in untranslated.unswept(path)]
    assert not places, "\n".join(["these texts are not translated:", *places])


def test_texts_that_are_not_translated_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(untranslated, "PACKAGE", tmp_path)
    path = tmp_path / "screen.py"
    path.write_text(
        '"""Of the module: not read by anybody in the window."""\n'
        "label.setText(f'{count} messages')\n"
        "button = QPushButton(tr('Delete'))\n"
        "button.setToolTip('Delete' if one else tr('Delete all'))\n"
        "NAMES = {'a': 'Nothing was found here'}\n"
        "log.info('Nothing was found here')\n"
        "label.setText('JSON')  # untranslated: a name\n"
        "label.setObjectName('Some name here')\n"
        "raise ValueError('no such thing there')\n"
    )
    assert [place.partition(":")[2] for place in untranslated.unswept(path)] == [
        "2: {} messages",
        "4: Delete",
        "5: Nothing was found here",
    ]


def test_tr_is_given_literal_texts_only() -> None:
    assert not catalogs.not_literal()


def test_every_offered_language_is_complete(template: Catalog) -> None:
    """Where this fails: ``python3 dev.py translate``, then translate what the .po file lacks."""
    for language in languages.OFFERED[1:]:
        catalog = catalogs.read(catalogs.CATALOGS / f"{language.code}.po")
        lacking = [message.id for message in template if message.id and not _found(catalog, message)]
        assert not lacking, language.code
        assert not [message.id for message in catalogs.untranslated(catalog)], language.code


def _found(catalog: Catalog, message: Message) -> bool:
    found = catalog.get(message.id, message.context)
    return found is not None and ids(found) == ids(message)


@pytest.mark.parametrize("path", catalogs.files(), ids=lambda path: path.stem)
def test_translations_have_the_fields_of_their_english(path: Path) -> None:
    wrong = []
    for message in catalogs.read(path):
        wanted = set().union(*(fields(text) for text in ids(message))) if message.id else set()
        for text in forms(message):
            named = fields(text)
            # "{count}" may be left out of the form for one: "one message".
            if message.id and text and not wanted - {"count"} <= named <= wanted:
                wrong.append(text)
    assert not wrong


@pytest.mark.parametrize("path", catalogs.files(), ids=lambda path: path.stem)
def test_translations_keep_what_surrounds_a_text(path: Path) -> None:
    """Spaces at the ends, a colon or an ellipsis say how a text is used."""
    wrong = []
    for message in catalogs.read(path):
        for english, text in zip(ids(message), forms(message), strict=False):
            ends = [end for end in (" ", "…", ":") if english.endswith(end) != text.endswith(end)]
            if english and text and (ends or english.startswith(" ") != text.startswith(" ")):
                wrong.append(text)
    assert not wrong


def test_a_catalog_is_read_back_as_it_was_translated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogs, "CATALOGS", tmp_path)
    (tmp_path / "pl.po").write_text(
        catalogs.HEAD.format(
            language="pl",
            plurals="nplurals=3; plural=(n==1 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);",
        )
        + 'msgid "Delete"\nmsgstr "Usuń"\n\n'
        + 'msgid "{count} message"\nmsgid_plural "{count} messages"\n'
        + 'msgstr[0] "{count} wiadomość"\nmsgstr[1] "{count} wiadomości"\nmsgstr[2] "{count} wiadomości…"\n\n'
        + 'msgctxt "state"\nmsgid "Open"\nmsgstr "otwarte"\n',
        encoding="utf-8",
    )
    catalogs.compile_all()
    polish = languages.load("pl", tmp_path)
    assert languages.known(tmp_path)["pl"].code == "pl"
    assert polish.gettext("Delete") == "Usuń"
    assert polish.pgettext("state", "Open") == "otwarte"
    assert polish.gettext("Open") == "Open"
    assert polish.ngettext("{count} message", "{count} messages", 5) == "{count} wiadomości…"


def test_a_damaged_catalog_leaves_english(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "de.mo").write_bytes(b"nothing of a catalog")
    assert type(languages.load("de", tmp_path)) is gettext.NullTranslations
    assert type(languages.load("fr", tmp_path)) is gettext.NullTranslations
    assert "could not be read" in caplog.text


@pytest.mark.parametrize(
    ("choice", "system", "code"),
    [
        ("system", ["en-US", "de-DE"], "en"),
        ("system", ["xx", "en"], "en"),
        ("system", [], "en"),
        ("system", ["de-AT", "en"], "de"),
        ("en", ["de"], "en"),
        ("pseudo", ["de"], "pseudo"),
        ("tlh", ["de"], "en"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_first_of_the_system_that_there_is(
    choice: str, system: list[str], code: str
) -> None:
    assert languages.resolve(choice, system) == code


def test_the_made_up_language_keeps_fields_and_is_longer() -> None:
    text = pseudo.longer("Delete {name} of {station}?")
    assert "{name}" in text
    assert "{station}" in text
    assert len(text) >= len("Delete {name} of {station}?") + len("Delete  of ?") // 3
    assert "{name}" in pseudo.mirrored("Delete {name}")
    catalog = languages.load(pseudo.LONGER)
    assert catalog.ngettext("{count} message", "{count} messages", 2).startswith("[{count} ")
