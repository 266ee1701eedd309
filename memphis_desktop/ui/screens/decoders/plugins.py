"""Decoders that others have written in Python: what is installed, and which of it is turned on."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from memphis_desktop.inspect.decode.plugins import GROUP, Plugin, installed, plugin_folder
from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Command
from memphis_desktop.ui.screens.decoders.store import current_decoders, save_decoders


class PluginTable(QWidget):
    """The plug-ins. None of them is imported before it is turned on."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._found: list[Plugin] | None = None
        self.table = DataTable(
            [
                Column("state", tr("State"), self._state, kind="dot", width=110),
                Column("name", tr("Name"), lambda row: row.name, width=170),
                Column("package", tr("Package"), lambda row: row.package, width=200),
                Column(
                    "target", tr("Function"), lambda row: row.target, kind="mono", width=260, stretch=True
                ),
            ],
            lambda row: row.name,
            "decoder_plugins",
            context_actions=self._actions,
        )
        self.table.row_activated.connect(lambda row: self.turn([row], not self._is_on(row)))
        self.switch_button = QPushButton(tr("Turn on"))
        self.switch_button.setEnabled(False)
        self.switch_button.clicked.connect(self._switch)
        self.look_button = QPushButton(tr("Look again"))
        self.look_button.setProperty("kind", "ghost")
        self.look_button.clicked.connect(self.look)
        self.table.current_changed.connect(lambda _: self._label_button())
        line = QHBoxLayout()
        line.setContentsMargins(theme.SPACE_3, theme.SPACE_2, theme.SPACE_3, theme.SPACE_2)
        line.setSpacing(theme.SPACE_3)
        text = tr("A plug-in runs with your rights, in a process of its own, and only once you turn it on.")
        line.addWidget(PlainLabel(text, "caption", elide=Qt.TextElideMode.ElideRight), 1)
        line.addWidget(self.look_button)
        line.addWidget(self.switch_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(line)
        layout.addWidget(self.table, 1)

    def showEvent(self, event: Any) -> None:
        """What is installed is looked up when it is first looked at."""
        super().showEvent(event)
        if self._found is None:
            self.look()

    def look(self) -> None:
        """Look up again what is installed."""
        self._found = installed()
        self.refresh()

    def refresh(self) -> None:
        """Show what is installed and turned on."""
        if self._found is None:
            return
        self.table.set_rows(self._found)
        text = tr(
            "None is installed: Python packages with an entry point of the group {group},"
            " or installed with pip --target into {folder}.",
            group=GROUP,
            folder=plugin_folder(),
        )
        self.table.set_state("ready" if self._found else "empty", text, icon="puzzle-piece")
        self._label_button()

    def turn(self, plugins: list[Plugin], on: bool) -> None:
        """Have plug-ins decode, or no longer."""
        names = [plugin.name for plugin in plugins]
        settings = current_decoders().settings
        settings.plugins_on = [name for name in settings.plugins_on if name not in names]
        if on:
            settings.plugins_on += names
        save_decoders()

    def _is_on(self, plugin: Plugin) -> bool:
        return plugin.name in current_decoders().settings.plugins_on

    def _state(self, plugin: Plugin) -> tuple[str, str]:
        return ("good", "on") if self._is_on(plugin) else ("muted", "off")

    def _label_button(self) -> None:
        row = self.table.current_row()
        self.switch_button.setEnabled(row is not None)
        self.switch_button.setText(tr("Turn off") if row is not None and self._is_on(row) else tr("Turn on"))

    def _switch(self) -> None:
        row = self.table.current_row()
        if row is not None:
            self.turn([row], not self._is_on(row))

    def _actions(self, rows: list[Any]) -> list[Command]:
        return [
            Command(
                tr("Turn on"), "", lambda: self.turn(rows, True), "play", not all(map(self._is_on, rows))
            ),
            Command(tr("Turn off"), "", lambda: self.turn(rows, False), "stop", any(map(self._is_on, rows))),
        ]
