"""Choosing the language at start, before the window's modules are imported: many have texts in constants."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from memphis_desktop import language
from memphis_desktop.language import languages

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

VARIABLE = "MEMPHIS_DESKTOP_LANGUAGE"  # a language's code; goes before what the settings say


def choose(settings_file: Path) -> None:
    """Use the language that the environment, the settings or else the system ask for."""
    from PySide6.QtCore import QLocale

    from memphis_desktop.ui import figure_style
    from memphis_desktop.ui.settings import Settings
    from memphis_desktop.ui.shell import setting_keys

    store = Settings(settings_file)
    choice = os.environ.get(VARIABLE) or store.get(setting_keys.LANGUAGE, languages.AS_SYSTEM)
    code = languages.resolve(str(choice), QLocale.system().uiLanguages())
    languages.use_code(code)
    figure_style.apply(store)


def use_known(code: str) -> bool:
    """Use a language by its code, whatever was chosen; False when there is no such language.

    Figures are written as that language does, wherever the system is; in English in ISO style.
    """
    from PySide6.QtCore import QLocale

    from memphis_desktop.ui import figure_style
    from memphis_desktop.ui.settings import Settings

    if code not in languages.known():
        return False
    languages.use_code(code)
    figure_style.apply(Settings(), QLocale.c())
    return True


def dress(app: QApplication) -> None:
    """Give Qt's own texts (buttons of dialogs, menus of fields) and the direction of everything to Qt."""
    from PySide6.QtCore import QLibraryInfo, QLocale, Qt, QTranslator

    from memphis_desktop.ui import figure_style

    code = language.current()
    QLocale.setDefault(figure_style.locale(code, QLocale.system()))  # number fields write and read so
    right_to_left = languages.is_right_to_left(code)
    app.setLayoutDirection(
        Qt.LayoutDirection.RightToLeft if right_to_left else Qt.LayoutDirection.LeftToRight
    )
    if code == language.ENGLISH:
        return
    translator = QTranslator(app)
    folder = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    if translator.load(QLocale(code), "qtbase", "_", folder):
        app.installTranslator(translator)
