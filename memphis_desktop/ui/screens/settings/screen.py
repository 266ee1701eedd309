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
    QLineEdit,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

import memphis_desktop
from memphis_desktop import folders
from memphis_desktop.language import languages, tr, tr_count
from memphis_desktop.proxy import ProxyFailure, parse
from memphis_desktop.ui import figure_style, format, keymap, theme
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
_DAYS = (1, 7, 14, 30)
_LIVE_MEBIBYTES = ((32, "32 MiB"), (64, "64 MiB"), (128, "128 MiB"), (256, "256 MiB"))
_MEBIBYTES = ((50, "50 MiB"), (100, "100 MiB"), (200, "200 MiB"), (500, "500 MiB"))
_ARRANGED = ("table/", "split/")


class SettingsScreen(Screen):
    """See the module."""

    title = tr("Settings")
    route_name = "settings"
    stale_with = frozenset()

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._sections: list[Section] = []
        self._column = QVBoxLayout()
        self._column.setContentsMargins(theme.SPACE_5, 20, theme.SPACE_5, 20)
        self._column.setSpacing(theme.SPACE_4)
        self._column.addWidget(PageHeader(tr("Settings")))
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
        section = self._section(tr("Look"))
        modes = [
            ("system", tr("System")),
            ("dark", tr("Dark")),
            ("light", tr("Light")),
            ("contrast", tr("High contrast")),
        ]
        self.theme_choice = self._segments(section, keys.THEME, "system", modes)
        section.add_row(tr("Theme"), self.theme_choice)
        densities = [("compact", tr("Compact")), ("normal", tr("Normal")), ("roomy", tr("Roomy"))]
        self.density_choice = self._segments(section, keys.DENSITY, "normal", densities)
        section.add_row(tr("Density"), self.density_choice, tr("The height of rows and fields."))
        self.text_size = section.add_choice(
            tr("Size of text"),
            keys.TEXT,
            [(percent, f"{percent} %") for percent in PERCENTS],
            100,
            tr("Rows and fields grow with it."),
        )
        self.scale = section.add_choice(
            tr("Size of everything"),
            keys.SCALE,
            [(percent, f"{percent} %") for percent in _SCALES],
            100,
            tr("On top of the system's own. From the next start."),
        )
        self.scale.activated.connect(self._tell_scale)
        section.add_button(
            tr("Columns and splits"),
            tr("Reset layout"),
            self.reset_layout,
            tr("Back to the first order, widths and sizes."),
        )

    def _build_colours(self) -> None:
        section = self._section(tr("Colours"))
        store = self.context.settings
        self.accent = Swatches(list(theme.ACCENTS))
        standard = theme.STANDARD_ACCENT
        self.accent.chosen.connect(lambda name: store.set(keys.ACCENT, None if name == standard else name))
        section.show_with(
            keys.ACCENT, self.accent, lambda: self.accent.set_choice(str(store.get(keys.ACCENT, standard)))
        )
        section.add_row(
            tr("Accent"), self.accent, tr("Of what is chosen, what has the focus, and the main button.")
        )
        self.told_apart = section.add_check(
            tr("For colour-blind eyes"),
            keys.TOLD_APART,
            False,
            tr(
                "Blue, yellow and orange instead of green, amber and red;"
                " graph lines that are told apart best."
            ),
        )

    def _build_keys(self) -> None:
        section = self._section(tr("Keyboard"))
        self.keys_button = section.add_button(
            tr("Shortcuts"),
            tr("Change"),
            lambda: self._window().keys.edit(),
            tr("Press ? on any screen to see them."),
        )
        self.keys_reset = section.add_button(tr("Changed shortcuts"), tr("Reset all"), self.reset_keys)
        section.show_with(
            keymap.SETTING,
            self.keys_reset,
            lambda: self.keys_reset.setEnabled(bool(self.context.settings.get(keymap.SETTING))),
        )

    def _build_language(self) -> None:
        section = self._section(tr("Language"))
        chosen = [(languages.AS_SYSTEM, tr("As the system"))]
        chosen += [(language.code, language.name) for language in languages.OFFERED]
        self.language = section.add_choice(
            tr("Language"), keys.LANGUAGE, chosen, languages.AS_SYSTEM, tr("From the next start.")
        )
        self.language.activated.connect(self._tell_language)

    def _build_times(self) -> None:
        section = self._section(tr("Numbers and times"))
        self._build_figures(section)
        self.zone = QComboBox()
        self.zone.addItem(tr("System time"), time_zones.LOCAL)
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
        help_text = tr("For every time shown. What is copied is ISO 8601 with its offset.")
        section.add_row(tr("Time zone"), self.zone, help_text)

    def _build_figures(self, section: Section) -> None:
        styles = [(figure_style.AS_LANGUAGE, tr("As the language")), (figure_style.ISO, "ISO 8601")]
        self.figures = self._segments(section, figure_style.NUMBERS, figure_style.AS_LANGUAGE, styles)
        section.add_row(
            tr("Numbers and dates"),
            self.figures,
            tr("Their signs and order; {example} in ISO 8601.", example="12 345.6 · 2026-11-23 10:32:07"),
        )
        hours = [
            (figure_style.AS_LANGUAGE, tr("As the language")),
            (figure_style.HOURS_24, tr("24 hours")),
            (figure_style.HOURS_12, tr("12 hours")),
        ]
        self.clock = self._segments(section, figure_style.CLOCK, figure_style.AS_LANGUAGE, hours)
        section.add_row(tr("Hours"), self.clock)
        digits = [
            (0, tr("Seconds")),
            (3, tr("Milliseconds")),
            (6, tr("Microseconds")),
            (9, tr("Nanoseconds")),
        ]
        self.digits = section.add_choice(tr("Times to the"), figure_style.DIGITS, digits, 3)
        self.relative = section.add_check(
            tr("Tables say how long ago"),
            figure_style.RELATIVE,
            True,
            tr("Instead of when. The tooltip has the time to the nanosecond."),
        )

    def _build_connections(self) -> None:
        section = self._section(tr("Connections and history"))
        store = self.context.settings
        self.budget = QDoubleSpinBox()
        self.budget.setRange(1, 200)
        self.budget.setDecimals(0)
        self.budget.setSuffix(tr(" a second"))
        pad_numbers(self.budget)
        self.budget.valueChanged.connect(
            lambda value: store.set(keys.POLL_BUDGET, None if value == keys.USUAL_POLL_BUDGET else value)
        )
        section.show_with(
            keys.POLL_BUDGET, self.budget, lambda: self.budget.setValue(keys.poll_budget(store))
        )
        section.add_row(
            tr("Requests to stay up to date"),
            self.budget,
            tr("Of the local broker and of connections that are made from now on; each can have its own."),
        )
        days = [(count, tr_count("{count} day", "{count} days", count)) for count in _DAYS]
        self.proxy = QLineEdit()
        self.proxy.setMinimumWidth(240)
        self.proxy.setPlaceholderText("socks5://host:1080")
        self.proxy.editingFinished.connect(self._choose_proxy)
        section.show_with(keys.PROXY, self.proxy, lambda: self.proxy.setText(keys.proxy(store)))
        section.add_row(
            tr("Proxy for new connections"),
            self.proxy,
            tr(
                "socks5://, http:// or https://; empty for none. Each connection can have its own, and a"
                " login for it."
            ),
        )
        then = tr("From the next time a connection is opened.")
        self.history_days = section.add_choice(tr("Keep figures for"), keys.HISTORY_DAYS, days, 30, then)
        self.history_size = section.add_choice(
            tr("Room for figures"),
            keys.HISTORY_MEBIBYTES,
            _MEBIBYTES,
            200,
            tr("Of one connection; the oldest go first."),
        )
        rows = [(count, format.integer(count)) for count in (10_000, 50_000, 200_000)]
        self.live_rows = section.add_choice(
            tr("Messages kept while following"),
            keys.LIVE_ROWS,
            rows,
            keys.USUAL_LIVE_ROWS,
            tr("In Live, in a followed station and in search results; the oldest go first."),
        )
        self.live_size = section.add_choice(
            tr("Room for these messages"), keys.LIVE_MEBIBYTES, _LIVE_MEBIBYTES, keys.USUAL_LIVE_MEBIBYTES
        )

    def _build_start(self) -> None:
        section = self._section(tr("At start"))
        self.restore = section.add_check(tr("Open the tabs of the last time"), keys.RESTORE_TABS, True)
        self.autostart = section.add_check(
            tr("Start the local broker"),
            keys.START_BROKER,
            False,
            tr("With its kept data, on its usual port."),
        )

    def _build_files(self) -> None:
        section = self._section(tr("Files"))
        places = (
            (tr("Settings and connections"), folders.config_folder()),
            (tr("Data of the local broker, recorded history"), folders.data_folder()),
            (tr("Logs"), folders.log_folder()),
        )
        for title, folder in places:
            button = section.add_button(title, tr("Open"), _opener(folder), str(folder))
            button.setAccessibleName(tr("Open the folder: {name}", name=title))

    def _build_about(self) -> None:
        section = self._section(tr("About"))
        python = ".".join(str(part) for part in sys.version_info[:3])
        version = tr(
            "Memphis Desktop {version}, on Python {python} and Qt {qt}.",
            version=memphis_desktop.__version__,
            python=python,
            qt=qVersion(),
        )
        section.inside.addWidget(PlainLabel(version, selectable=True))
        privacy = tr(
            "This program sends nothing anywhere but to the servers you connect to: no telemetry,"
            " no account, reports of faults stay on this machine."
        )
        section.inside.addWidget(PlainLabel(privacy, "muted", wrap=True))
        self.updates = section.add_check(
            tr("Look for updates at start"),
            keys.CHECK_UPDATES,
            False,
            tr("Asks the release page for the latest version number. Nothing is downloaded or sent along."),
        )
        section.add_button(
            tr("Look for updates now"),
            tr("Look now"),
            lambda: self.context.run(update_notice.check_now(self.context), tr("look for updates")),
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
        self._tell_next_start(
            tr("Everything will be drawn at {percent} % from the next start.", percent=percent)
        )

    def _tell_language(self) -> None:
        if self.language.currentData() == languages.AS_SYSTEM:
            told = tr("The program will speak the language of the system from the next start.")
        else:
            name = self.language.currentText()
            told = tr("The program will speak {language} from the next start.", language=name)
        self._tell_next_start(told)

    def _tell_next_start(self, told: str) -> None:
        self.context.notify(told, action=(tr("Restart now"), self._window().restart_requested.emit))

    def _choose_proxy(self) -> None:
        text = self.proxy.text().strip()
        problem = _problem_with_proxy(text)
        self.proxy.setProperty("invalid", bool(problem))
        self.proxy.setToolTip(problem)
        self.proxy.style().polish(self.proxy)
        if problem:
            self.context.notify(problem, "warning")
        else:
            self.context.settings.set(keys.PROXY, text or None)

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
        self._forget(arranged, tr("Columns and splits are back to their first order from the next start."))

    def reset_keys(self) -> None:
        """All commands have the keys they come with."""
        self._forget([keymap.SETTING], tr("All shortcuts are as they were at first."))

    def _forget(self, names: list[str], told: str) -> None:
        store = self.context.settings
        before = {key: store.get(key) for key in names}
        for key in names:
            store.set(key, None)

        def undo() -> None:
            for key, value in before.items():
                store.set(key, value)

        self.context.notify(told, "good", (tr("Undo"), undo))

    def commands(self) -> list[Command]:
        """For the palette."""
        return [
            Command(tr("Reset layout"), "", self.reset_layout, "columns", name="reset_layout"),
            Command(tr("Reset shortcuts"), "", self.reset_keys, "keyboard", name="reset_shortcuts"),
        ]


def _problem_with_proxy(text: str) -> str:
    """Why an address cannot be the proxy of new connections; empty when it can."""
    if "@" in text:
        return tr("Settings keep no secrets: give the login of a proxy in the connection.")
    if not text:
        return ""
    try:
        parse(text)
    except ProxyFailure as failure:
        return str(failure)
    return ""


def _opener(folder: Path) -> Callable[[], object]:
    return lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
