"""Commands as decoders: off until a person turns them on."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.inspect.decode.command import DEFAULT_SECONDS, MAX_SECONDS, CommandDecoder
from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import FormDialog
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.decoders.masking import mono_field
from memphis_desktop.ui.screens.decoders.store import current_decoders, save_decoders


class CommandTable(QWidget):
    """The switch, and the commands."""

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self.switch = QCheckBox(tr("Let these commands decode messages"))
        self.switch.setToolTip(tr("A rule can then hand payloads to a command; it runs with your rights"))
        self.switch.toggled.connect(self._switched)
        self.table = DataTable(
            [
                Column("name", tr("Name"), lambda row: row.name, width=150),
                Column(
                    "command", tr("Command"), lambda row: row.command, kind="mono", width=320, stretch=True
                ),
                Column("seconds", tr("Time limit"), lambda row: row.seconds, kind="duration", width=100),
            ],
            lambda row: row.name,
            "decoder_commands",
            context_actions=self._actions,
        )
        self.table.row_activated.connect(self._edit)
        add = QPushButton(tr("Add command"))
        add.clicked.connect(lambda: self.add())
        line = QHBoxLayout()
        line.setContentsMargins(theme.SPACE_3, theme.SPACE_2, theme.SPACE_3, theme.SPACE_2)
        line.setSpacing(theme.SPACE_3)
        line.addWidget(self.switch)
        text = tr("A command gets the payload on its input and answers with JSON or text.")
        line.addWidget(PlainLabel(text, "caption", elide=Qt.TextElideMode.ElideRight), 1)
        line.addWidget(add)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(line)
        layout.addWidget(self.table, 1)
        self.refresh()

    def refresh(self) -> None:
        """Show the commands as they are."""
        settings = current_decoders().settings
        before = self.switch.blockSignals(True)
        self.switch.setChecked(settings.commands_on)
        self.switch.blockSignals(before)
        self.table.set_rows(list(settings.commands))
        text = tr("No commands. Add one for a format that only your own program reads.")
        self.table.set_state("ready" if settings.commands else "empty", text, icon="terminal-window")

    def _switched(self, on: bool) -> None:
        current_decoders().settings.commands_on = on
        save_decoders()

    def add(self) -> CommandDialog:
        """Describe a command."""
        return self._edit(None)

    def _edit(self, command: CommandDecoder | None) -> CommandDialog:
        dialog = CommandDialog(self.window(), command)

        def take() -> None:
            made = dialog.command()
            settings = current_decoders().settings
            gone = {made.name, command.name if command is not None else made.name}
            settings.commands = [*(known for known in settings.commands if known.name not in gone), made]
            save_decoders()
            self.refresh()

        dialog.accepted.connect(take)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()
        return dialog

    def _actions(self, rows: list[Any]) -> list[Command]:
        edit = Command(tr("Edit"), "", lambda: self._edit(rows[0]), "pencil-simple", len(rows) == 1)
        return [edit, Command(tr("Remove"), "", lambda: self._remove(rows), "trash")]

    def _remove(self, rows: list[Any]) -> None:
        settings = current_decoders().settings
        settings.commands = [command for command in settings.commands if command not in rows]
        save_decoders()
        self.refresh()


class CommandDialog(FormDialog):
    """Name, command line, time limit."""

    def __init__(self, parent: QWidget | None, command: CommandDecoder | None = None) -> None:
        super().__init__(parent, tr("A command as decoder"), tr("Save command"), width=560)
        self.name_field = QLineEdit(command.name if command else "")
        self.command_field = mono_field(
            command.command if command else "", "/usr/local/bin/decode-order --json"
        )
        self.seconds_box = QDoubleSpinBox()
        self.seconds_box.setRange(0.1, MAX_SECONDS)
        self.seconds_box.setSuffix(" s")
        self.seconds_box.setValue(command.seconds if command else DEFAULT_SECONDS)
        self.add_row(tr("Name"), self.name_field)
        self.add_row(tr("Command"), self.command_field, tr("Started without a shell, once for each payload."))
        self.add_row(tr("Time limit"), self.seconds_box)
        self.add_validator(lambda: self.command().problem())

    def command(self) -> CommandDecoder:
        """What was described."""
        return CommandDecoder(
            self.name_field.text().strip(), self.command_field.text().strip(), self.seconds_box.value()
        )
