"""The settings page: one column of panels; everything takes effect at once unless it says otherwise."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from PySide6.QtCore import Qt, QUrl, qVersion
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QComboBox,
    QCompleter,
    QDoubleSpinBox,
    QHBoxLayout,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

import memphis_desktop
from memphis_desktop import folders
from memphis_desktop.language import languages
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.dialogs import pad_numbers
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.components.segments import Segments
from memphis_desktop.ui.screen import Command, Screen, ScreenContext
from memphis_desktop.ui.screens.settings.page import Section, Swatches
from memphis_desktop.ui.shell import setting_keys as keys
from memphis_desktop.ui.shell import time_zones, update_notice
from memphis_desktop.ui.theme.manager import PERCENTS

if TYPE_CHECKING:
    from memphis_desktop.ui.window import MainWindow

_WIDTH = 820
_SCALES = (100, 110, 125, 150, 175, 200)
_DAYS = ((1, "1 day"), (7, "7 days"), (14, "14 days"), (30, "30 days"))
_MEBIBYTES = ((50, "50 MiB"), (100, "100 MiB"), (200, "200 MiB"), (500, "500 MiB"))
_ARRANGED = ("table/", "split/")


class SettingsScreen(Screen):
    """See the module."""

    title = "Settings"
    route_name = "settings"
    stale_with = frozenset()

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._sections: list[Section] = []
        self._column = QVBoxLayout()
        self._column.setContentsMargins(theme.SPACE_5, 20, theme.SPACE_5, 20)
        self._column.setSpacing(theme.SPACE_4)
        self._column.addWidget(PageHeader("Settings"))
        for build in (
            self._build_look,
            self._build_colours,
            self._build_keys,
            self._build_language,
            self._build_times,
            self._build_connections,
            self._build_start,
            self._build_files,
            self._build_about,
        ):
            build()
        self._column.addStretch()
        self._put_in_scroll_area()
        context.settings.changed.connect(self._setting_changed)

    def _put_in_scroll_area(self) -> None:
        content = QWidget()
        content.setLayout(self._column)
        content.setMaximumWidth(_WIDTH)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(content, 1)
        row.addStretch(0)
        holder = QWidget()
        holder.setObjectName("scrolled")
        holder.setLayout(row)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(holder)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area)

    # Sections ---------------------------------------------------------------------------------

    def _section(self, title: str) -> Section:
        section = Section(title, self.context.settings)
        self._sections.append(section)
        self._column.addWidget(section)
        return section

    def _segments(self, section: Section, key: str, default: str, choices: list[tuple[str, str]]) -> Segments:
        field = Segments(choices)
        store = self.context.settings
        field.chosen.connect(lambda chosen: store.set(key, None if chosen == default else chosen))
        section.show_with(key, field, lambda: field.set_choice(str(store.get(key, default))))
        return field

    def _build_look(self) -> None:
        section = self._section("Look")
        modes = [("system", "System"), ("dark", "Dark"), ("light", "Light"), ("contrast", "High contrast")]
        self.theme_choice = self._segments(section, keys.THEME, "system", modes)
        section.add_row("Theme", self.theme_choice)
        densities = [("compact", "Compact"), ("normal", "Normal"), ("roomy", "Roomy")]
        self.density_choice = self._segments(section, keys.DENSITY, "normal", densities)
        section.add_row("Density", self.density_choice, "The height of rows and fields.")
        self.text_size = section.add_choice(
            "Size of text",
            keys.TEXT,
            [(percent, f"{percent} %") for percent in PERCENTS],
            100,
            "Rows and fields grow with it.",
        )
        self.scale = section.add_choice(
            "Size of everything",
            keys.SCALE,
            [(percent, f"{percent} %") for percent in _SCALES],
            100,
            "On top of the system's own. From the next start.",
        )
        self.scale.activated.connect(self._tell_scale)
        section.add_button(
            "Columns and splits",
            "Reset layout",
            self.reset_layout,
            "Back to the first order, widths and sizes.",
        )

    def _build_colours(self) -> None:
        section = self._section("Colours")
        store = self.context.settings
        self.accent = Swatches(list(theme.ACCENTS))
        standard = theme.STANDARD_ACCENT
        self.accent.chosen.connect(lambda name: store.set(keys.ACCENT, None if name == standard else name))
        section.show_with(
            keys.ACCENT, self.accent, lambda: self.accent.set_choice(str(store.get(keys.ACCENT, standard)))
        )
        section.add_row("Accent", self.accent, "Of what is chosen, what has the focus, and the main button.")
        self.told_apart = section.add_check(
            "For colour-blind eyes",
            keys.TOLD_APART,
            False,
            "Blue, yellow and orange instead of green, amber and red; graph lines that are told apart best.",
        )

    def _build_keys(self) -> None:
        section = self._section("Keyboard")
        self.keys_button = section.add_button(
            "Shortcuts", "Change", lambda: self._window().keys.edit(), "Press ? on any screen to see them."
        )
        self.keys_reset = section.add_button("Changed shortcuts", "Reset all", self.reset_keys)
        section.show_with(
            keymap.SETTING,
            self.keys_reset,
            lambda: self.keys_reset.setEnabled(bool(self.context.settings.get(keymap.SETTING))),
        )

    def _build_language(self) -> None:
        section = self._section("Language")
        chosen = [(languages.AS_SYSTEM, "As the system")]
        chosen += [(language.code, language.name) for language in languages.OFFERED]
        self.language = section.add_choice(
            "Language", keys.LANGUAGE, chosen, languages.AS_SYSTEM, "From the next start."
        )
        self.language.activated.connect(self._tell_language)

    def _build_times(self) -> None:
        section = self._section("Times")
        self.zone = QComboBox()
        self.zone.addItem("System time", time_zones.LOCAL)
        self.zone.addItem("UTC", time_zones.UTC_CHOICE)
        for name in time_zones.names():
            self.zone.addItem(name, name)
        self.zone.setEditable(True)
        self.zone.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.zone.setMinimumWidth(240)
        completer = self.zone.completer()
        if completer is not None:
            completer.setCompletionMode(QCompleter.CompletionMode.PopupCompletion)
            completer.setFilterMode(Qt.MatchFlag.MatchContains)
        self.zone.activated.connect(self._choose_zone)
        section.show_with(time_zones.SETTING, self.zone, self._show_zone)
        help_text = "For every time shown. What is copied is ISO 8601 with its offset."
        section.add_row("Time zone", self.zone, help_text)

    def _build_connections(self) -> None:
        section = self._section("Connections and history")
        store = self.context.settings
        self.budget = QDoubleSpinBox()
        self.budget.setRange(1, 200)
        self.budget.setDecimals(0)
        self.budget.setSuffix(" a second")
        pad_numbers(self.budget)
        self.budget.valueChanged.connect(
            lambda value: store.set(keys.POLL_BUDGET, None if value == keys.USUAL_POLL_BUDGET else value)
        )
        section.show_with(
            keys.POLL_BUDGET, self.budget, lambda: self.budget.setValue(keys.poll_budget(store))
        )
        section.add_row(
            "Requests to stay up to date",
            self.budget,
            "Of the local broker and of connections that are made from now on; each can have its own.",
        )
        then = "From the next time a connection is opened."
        self.history_days = section.add_choice("Keep figures for", keys.HISTORY_DAYS, _DAYS, 30, then)
        self.history_size = section.add_choice(
            "Room for figures",
            keys.HISTORY_MEBIBYTES,
            _MEBIBYTES,
            200,
            "Of one connection; the oldest go first.",
        )

    def _build_start(self) -> None:
        section = self._section("At start")
        self.restore = section.add_check("Open the tabs of the last time", keys.RESTORE_TABS, True)
        self.autostart = section.add_check(
            "Start the local broker", keys.START_BROKER, False, "With its kept data, on its usual port."
        )

    def _build_files(self) -> None:
        section = self._section("Files")
        places = (
            ("Settings and connections", folders.config_folder()),
            ("Data of the local broker, recorded history", folders.data_folder()),
            ("Logs", folders.log_folder()),
        )
        for title, folder in places:
            button = section.add_button(title, "Open", _opener(folder), str(folder))
            button.setAccessibleName(f"Open the folder: {title}")

    def _build_about(self) -> None:
        section = self._section("About")
        python = ".".join(str(part) for part in sys.version_info[:3])
        version = f"Memphis Desktop {memphis_desktop.__version__}, on Python {python} and Qt {qVersion()}."
        section.inside.addWidget(PlainLabel(version, selectable=True))
        privacy = (
            "This program sends nothing anywhere but to the servers you connect to: no telemetry,"
            " no account, reports of faults stay on this machine."
        )
        section.inside.addWidget(PlainLabel(privacy, "muted", wrap=True))
        self.updates = section.add_check(
            "Look for updates at start",
            keys.CHECK_UPDATES,
            False,
            "Asks the release page for the latest version number. Nothing is downloaded or sent along.",
        )
        section.add_button(
            "Look for updates now",
            "Look now",
            lambda: self.context.run(update_notice.check_now(self.context), "look for updates"),
        )

    # Doing ------------------------------------------------------------------------------------

    def _window(self) -> MainWindow:
        return cast("MainWindow", self.context.shell)

    def _setting_changed(self, key: str) -> None:
        for section in self._sections:
            if key in section.keys:
                section.refresh()

    def _tell_scale(self) -> None:
        percent = self.scale.currentData()
        self.context.notify(f"Everything will be drawn at {percent} % from the next start.")

    def _tell_language(self) -> None:
        name = self.language.currentText()
        system = self.language.currentData() == languages.AS_SYSTEM
        told = "the language of the system" if system else name
        self.context.notify(f"The program will speak {told} from the next start.")

    def _show_zone(self) -> None:
        choice = str(self.context.settings.get(time_zones.SETTING, time_zones.LOCAL))
        self.zone.setCurrentIndex(max(0, self.zone.findData(choice)))

    def _choose_zone(self) -> None:
        index = self.zone.findText(self.zone.currentText(), Qt.MatchFlag.MatchFixedString)
        if index >= 0:
            self.context.settings.set(time_zones.SETTING, self.zone.itemData(index))

    def reset_layout(self) -> None:
        """Forget how tables and splits were arranged; shown ones follow when they are opened again."""
        arranged = [key for key in self.context.settings.names() if key.startswith(_ARRANGED)]
        self._forget(arranged, "Columns and splits are back to their first order from the next start.")

    def reset_keys(self) -> None:
        """All commands have the keys they come with."""
        self._forget([keymap.SETTING], "All shortcuts are as they were at first.")

    def _forget(self, names: list[str], told: str) -> None:
        store = self.context.settings
        before = {key: store.get(key) for key in names}
        for key in names:
            store.set(key, None)

        def undo() -> None:
            for key, value in before.items():
                store.set(key, value)

        self.context.notify(told, "good", ("Undo", undo))

    def commands(self) -> list[Command]:
        """For the palette."""
        return [
            Command("Reset layout", "", self.reset_layout, "columns"),
            Command("Reset shortcuts", "", self.reset_keys, "keyboard"),
        ]


def _opener(folder: Path) -> Callable[[], object]:
    return lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
