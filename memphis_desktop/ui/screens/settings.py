"""Settings: the look, the time zone, what happens at start, where the files are."""

from __future__ import annotations

import sys
from pathlib import Path

from PySide6.QtCore import Qt, QUrl, qVersion
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QCompleter,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

import memphis_desktop
from memphis_desktop import folders
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.components.segments import Segments
from memphis_desktop.ui.screen import Command, Screen, ScreenContext
from memphis_desktop.ui.shell import setting_keys as keys
from memphis_desktop.ui.shell import time_zones, update_notice

_WIDTH = 820
_SCALES = (100, 110, 125, 150, 175, 200)


class SettingsScreen(Screen):
    """Everything takes effect at once, but for the scale, which says so."""

    title = "Settings"
    route_name = "settings"
    stale_with = frozenset()

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._column = QVBoxLayout()
        self._column.setContentsMargins(theme.SPACE_5, 20, theme.SPACE_5, 20)
        self._column.setSpacing(theme.SPACE_4)
        self._column.addWidget(PageHeader("Settings"))
        self._build_look()
        self._build_times()
        self._build_start()
        self._build_files()
        self._build_about()
        self._column.addStretch()
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
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(holder)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area)
        context.settings.changed.connect(self._setting_changed)
        self._refresh()

    # Sections ---------------------------------------------------------------------------------

    def _section(self, title: str) -> QVBoxLayout:
        panel = QFrame()
        panel.setProperty("panel", "surface")
        inside = QVBoxLayout(panel)
        inside.setContentsMargins(theme.SPACE_4, theme.SPACE_4, theme.SPACE_4, theme.SPACE_4)
        inside.setSpacing(theme.SPACE_3)
        inside.addWidget(PlainLabel(title, "section"))
        self._column.addWidget(panel)
        return inside

    def _row(self, section: QVBoxLayout, title: str, field: QWidget, help_text: str = "") -> None:
        words = QVBoxLayout()
        words.setSpacing(0)
        name = QLabel(title)
        name.setBuddy(field)
        words.addWidget(name)
        if help_text:
            words.addWidget(PlainLabel(help_text, "caption", wrap=True))
        if not field.accessibleName():
            field.setAccessibleName(title)
        field.setAccessibleDescription(help_text)
        line = QHBoxLayout()
        line.setSpacing(theme.SPACE_4)
        line.addLayout(words, 1)
        line.addWidget(field, 0, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)
        section.addLayout(line)

    def _build_look(self) -> None:
        section = self._section("Look")
        self.theme_choice = Segments(
            [("system", "System"), ("dark", "Dark"), ("light", "Light"), ("contrast", "High contrast")]
        )
        self.theme_choice.chosen.connect(lambda key: self.context.settings.set(keys.THEME, key))
        self._row(section, "Theme", self.theme_choice)
        self.density_choice = Segments([("compact", "Compact"), ("normal", "Normal"), ("roomy", "Roomy")])
        self.density_choice.chosen.connect(lambda key: self.context.settings.set(keys.DENSITY, key))
        self._row(section, "Density", self.density_choice, "The height of rows and fields.")
        self.scale = QComboBox()
        for percent in _SCALES:
            self.scale.addItem(f"{percent} %", percent)
        self.scale.currentIndexChanged.connect(self._choose_scale)
        self._row(
            section, "Size of everything", self.scale, "On top of the system's own. From the next start."
        )
        reset = QPushButton("Reset layout")
        reset.clicked.connect(self.reset_layout)
        self._row(section, "Columns and splits", reset, "Back to the first order, widths and sizes.")

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
        self._row(
            section,
            "Time zone",
            self.zone,
            "For every time shown. What is copied is ISO 8601 with its offset.",
        )

    def _build_start(self) -> None:
        section = self._section("At start")
        self.restore = QCheckBox()
        self.restore.toggled.connect(lambda on: self.context.settings.set(keys.RESTORE_TABS, on))
        self._row(section, "Open the tabs of the last time", self.restore)
        self.autostart = QCheckBox()
        self.autostart.toggled.connect(lambda on: self.context.settings.set(keys.START_BROKER, on or None))
        self._row(section, "Start the local broker", self.autostart, "With its kept data, on its usual port.")

    def _build_files(self) -> None:
        section = self._section("Files")
        places = (
            ("Settings and connections", folders.config_folder()),
            ("Data of the local broker, recorded history", folders.data_folder()),
            ("Logs", folders.log_folder()),
        )
        for title, folder in places:
            button = QPushButton("Open")
            button.clicked.connect(lambda _checked=False, folder=folder: _open(folder))
            button.setAccessibleName(f"Open the folder: {title}")
            self._row(section, title, button, str(folder))

    def _build_about(self) -> None:
        section = self._section("About")
        python = ".".join(str(part) for part in sys.version_info[:3])
        section.addWidget(
            PlainLabel(
                f"Memphis Desktop {memphis_desktop.__version__}, on Python {python} and Qt {qVersion()}.",
                selectable=True,
            )
        )
        section.addWidget(
            PlainLabel(
                "This program sends nothing anywhere but to the servers you connect to: no telemetry,"
                " no account, reports of faults stay on this machine.",
                "muted",
                wrap=True,
            )
        )
        self.updates = QCheckBox()
        self.updates.toggled.connect(lambda on: self.context.settings.set(keys.CHECK_UPDATES, on or None))
        self._row(
            section,
            "Look for updates at start",
            self.updates,
            "Asks the release page for the latest version number. Nothing is downloaded or sent along.",
        )
        look = QPushButton("Look now")
        look.clicked.connect(
            lambda: self.context.run(update_notice.check_now(self.context), "look for updates")
        )
        self._row(section, "Look for updates now", look)

    # Doing ------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        store = self.context.settings
        self.theme_choice.set_choice(str(store.get(keys.THEME, "system")))
        self.density_choice.set_choice(str(store.get(keys.DENSITY, "normal")))
        self._show_index(self.scale, self.scale.findData(int(store.get(keys.SCALE, 100))))
        self._show_index(self.zone, self.zone.findData(str(store.get(time_zones.SETTING, time_zones.LOCAL))))
        for box, key, default in (
            (self.restore, keys.RESTORE_TABS, True),
            (self.autostart, keys.START_BROKER, False),
            (self.updates, keys.CHECK_UPDATES, False),
        ):
            box.blockSignals(True)
            box.setChecked(bool(store.get(key, default)))
            box.blockSignals(False)

    @staticmethod
    def _show_index(box: QComboBox, index: int) -> None:
        box.blockSignals(True)
        box.setCurrentIndex(max(0, index))
        box.blockSignals(False)

    def _setting_changed(self, key: str) -> None:
        if key in (
            keys.THEME,
            keys.DENSITY,
            keys.SCALE,
            keys.RESTORE_TABS,
            keys.START_BROKER,
            keys.CHECK_UPDATES,
            time_zones.SETTING,
        ):
            self._refresh()

    def _choose_scale(self) -> None:
        percent = self.scale.currentData()
        self.context.settings.set(keys.SCALE, None if percent == 100 else percent)
        self.context.notify(f"Everything will be drawn at {percent} % from the next start.")

    def _choose_zone(self) -> None:
        index = self.zone.findText(self.zone.currentText(), Qt.MatchFlag.MatchFixedString)
        if index >= 0:
            self.context.settings.set(time_zones.SETTING, self.zone.itemData(index))

    def reset_layout(self) -> None:
        """Forget how tables and splits were arranged; shown ones follow when they are opened again."""
        store = self.context.settings
        arranged = [key for key in store.names() if key.startswith(("table/", "split/"))]
        before = {key: store.get(key) for key in arranged}
        for key in arranged:
            store.set(key, None)

        def undo() -> None:
            for key, value in before.items():
                store.set(key, value)

        self.context.notify(
            "Columns and splits are back to their first order from the next start.", "good", ("Undo", undo)
        )

    def commands(self) -> list[Command]:
        """For the palette."""
        return [Command("Reset layout", "", self.reset_layout, "columns")]


def _open(folder: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
