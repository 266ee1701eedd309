"""What can be done everywhere, and the keys for it and for the screen in front."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtGui import QKeySequence, QShortcut

from memphis_desktop.language import tr
from memphis_desktop.ui import keymap, settings
from memphis_desktop.ui.screen import Command, Route, Screen
from memphis_desktop.ui.screens import registry
from memphis_desktop.ui.shell.key_editor import KeyEditor
from memphis_desktop.ui.shell.shortcut_sheet import ShortcutSheet

if TYPE_CHECKING:
    from memphis_desktop.ui.shell.workspace import Workspace
    from memphis_desktop.ui.window import MainWindow

HOME = Route("home")
_TOLD = "keys_told"  # of a screen: up to which change its tooltips know the keys


class WindowKeys(QObject):
    """Binds keys to commands: those of the window for good, those of a screen while it is in front."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._everywhere: list[QShortcut] = []
        self._of_screen: list[QShortcut] = []
        self._changes = 1 if settings.current().get(keymap.SETTING) else 0
        settings.current().changed.connect(self._setting_changed)
        self.bind()

    # What there is ----------------------------------------------------------------------------

    def commands(self) -> list[Command]:
        """What works everywhere, with the keys of now."""
        return keymap.resolved([*self._going(), *self._tab_commands(), *self._others()])

    def _going(self) -> list[Command]:
        window = self._window
        return [
            Command(
                tr("Search or run a command"),
                keymap.key("window.search"),
                window.command_palette.open,
                "magnifying-glass",
            ),
            Command(
                tr("Back"), keymap.key("window.back"), lambda: window.current_workspace().go(-1), "arrow-left"
            ),
            Command(
                tr("Forward"),
                keymap.key("window.forward"),
                lambda: window.current_workspace().go(1),
                "arrow-right",
            ),
            Command(tr("Home"), keymap.key("window.home"), lambda: window.navigate(HOME), "house"),
        ]

    def _tab_commands(self) -> list[Command]:
        tabs = self._window.tabs
        found = [
            Command(tr("New tab"), keymap.key("window.new_tab"), tabs.duplicate, "plus"),
            Command(tr("Close tab"), keymap.key("window.close_tab"), tabs.close, "x"),
            Command(tr("Next tab"), keymap.key("window.next_tab"), lambda: tabs.step(1), "caret-right"),
            Command(
                tr("Previous tab"), keymap.key("window.previous_tab"), lambda: tabs.step(-1), "caret-left"
            ),
            Command(tr("Open this tab in a split"), keymap.key("window.split"), tabs.open_beside, "columns"),
        ]
        split = tabs.is_split
        reason = "" if split else tr("The window is not split.")
        return [
            *found,
            Command(
                tr("Go to the other side of the split"),
                keymap.key("window.other_side"),
                tabs.other_side,
                "swap",
                split,
                reason,
            ),
            Command(
                tr("Move this tab to the other side"),
                keymap.key("window.move_across"),
                tabs.move_across,
                "arrows-left-right",
                split,
                reason,
            ),
            Command(
                tr("Close the split, keep its tabs"),
                "",
                tabs.join,
                "square",
                split,
                reason,
                name="close_split",
            ),
        ]

    def _others(self) -> list[Command]:
        window = self._window
        rail = window.rail
        return [
            Command(
                tr("Publish or request a message"),
                keymap.key("window.publish"),
                self._compose,
                "paper-plane-tilt",
            ),
            Command(
                tr("Open a file"), keymap.key("window.open_file"), window.opener.ask_for_file, "folder-open"
            ),
            Command(
                tr("Open the folder of a backup"),
                "",
                window.opener.ask_for_backup,
                "folder-open",
                name="open_backup",
            ),
            Command(
                tr("Save the tabs as a workspace"),
                "",
                window.opener.ask_where_to_save,
                "floppy-disk",
                name="save_workspace",
            ),
            Command(tr("Filter this list"), keymap.key("window.filter"), self._focus_filter, "funnel"),
            Command(
                tr("Go to the latest notice"),
                keymap.key("window.messages"),
                window.toasts.focus_latest,
                "chat-text",
                bool(window.toasts.texts()),
                tr("There is no notice."),
            ),
            Command(tr("Keyboard shortcuts"), keymap.key("window.shortcuts"), self.show_sheet, "keyboard"),
            Command(
                tr("Change keyboard shortcuts"), "", self.edit, "keyboard", name="change_keyboard_shortcuts"
            ),
            Command(
                tr("First steps again"),
                "",
                window.first_steps.begin_again,
                "check-circle",
                name="first_steps_again",
            ),
            Command(
                tr("Narrow or widen the rail"),
                keymap.key("window.rail"),
                lambda: rail.set_narrow(not rail.narrow),
                "columns",
            ),
            Command(tr("Quit"), keymap.key("window.quit"), window.close, "sign-out"),
        ]

    def places(self) -> list[tuple[str, registry.ScreenEntry]]:
        """The keys of the places that have some, and the places."""
        return [
            (keys, entry)
            for default, entry in self._window.rail.shortcuts()
            if (keys := keymap.keys_of(default.name))
        ]

    # Binding ----------------------------------------------------------------------------------

    def bind(self) -> None:
        """Bind what works everywhere."""
        _drop(self._everywhere)
        for command in self.commands():
            if command.shortcut:
                self._bind_everywhere(command.shortcut, partial(self._run, command.key))
        for keys, entry in self.places():
            self._bind_everywhere(keys, partial(self._window.navigate, Route(entry.route_name)))

    def _bind_everywhere(self, keys: str, callback: partial[None]) -> None:
        shortcut = QShortcut(QKeySequence(keys), self._window)
        shortcut.activated.connect(callback)
        self._everywhere.append(shortcut)

    def _run(self, key: str) -> None:
        """Ask again: what was true when the key was bound may not be now."""
        self._obey(next((command for command in self.commands() if command.key == key), None))

    def bind_screen(self, workspace: Workspace) -> None:
        """Bind what the screen in front can do, as far as the window does not want the keys."""
        _drop(self._of_screen)
        screen = workspace.current_screen
        if screen is None:
            return
        if self._changes:
            self._tell_later(screen)
        taken = {keymap.normal(command.shortcut) for command in self.commands()}
        for command in screen.keyed_commands():
            keys = keymap.normal(command.shortcut)
            if not keys or keys in taken:
                continue
            taken.add(keys)
            shortcut = QShortcut(QKeySequence(keys), screen)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(partial(self._run_of_screen, keys))
            self._of_screen.append(shortcut)

    def _run_of_screen(self, keys: str) -> None:
        """As in `_run`."""
        screen = self._window.current_workspace().current_screen
        for command in screen.keyed_commands() if screen is not None else []:
            if keymap.normal(command.shortcut) == keys:
                self._obey(command)
                return

    def _obey(self, command: Command | None) -> None:
        if command is not None and command.enabled:
            command.callback()
        elif command is not None and command.reason:
            self._window.notify(command.reason)

    def _setting_changed(self, key: str) -> None:
        if key == keymap.SETTING:
            self.bind()
            self.bind_screen(self._window.current_workspace())
            self._changes += 1
            keymap.tell_tooltips(self._window.top_bar)
            for screen in self._window.findChildren(Screen):
                if screen.isVisible():
                    self._tell(screen)
            self._window.rail.tell_keys()

    def _tell_later(self, screen: Screen) -> None:
        """A screen that comes into view names the keys of now, once it is there."""
        if screen.property(_TOLD) != self._changes:
            QTimer.singleShot(0, screen, lambda: self._tell(screen))

    def _tell(self, screen: Screen) -> None:
        screen.setProperty(_TOLD, self._changes)
        keymap.tell_tooltips(screen)

    # Doing ------------------------------------------------------------------------------------

    def _compose(self) -> None:
        """Open the composer for the connection of this tab."""
        from memphis_desktop.ui.screens.composer import open_composer  # loaded when it is first wanted

        workspace = self._window.current_workspace()
        screen = workspace.current_screen
        if screen is None or workspace.connection is None:
            self._window.notify(tr("Open a connection first: a message is published over one."))
        else:
            open_composer(screen.context, self._window, stream=screen.station_here())

    def _focus_filter(self) -> None:
        screen = self._window.current_workspace().current_screen
        if screen is not None:
            screen.focus_filter()

    def show_sheet(self) -> None:
        """The sheet of shortcuts."""
        screen = self._window.current_workspace().current_screen
        commands = screen.keyed_commands() if screen is not None else []
        here = [(c.shortcut, c.title) for c in commands if c.shortcut]
        places = [(keys, entry.title) for keys, entry in self.places()]
        everywhere = [(c.shortcut, c.title) for c in self.commands() if c.shortcut]
        lists = [(one.keys, one.title) for one in keymap.bindings() if one.where == keymap.LISTS and one.keys]
        groups = [
            (screen.title if screen is not None else "", here),
            (keymap.place_title(keymap.LISTS), lists),
        ]
        sheet = ShortcutSheet(self._window, [*groups, (tr("Places"), places), (tr("Everywhere"), everywhere)])
        sheet.change_requested.connect(self.edit)
        sheet.open()

    def edit(self) -> None:
        """The editor of shortcuts."""
        screen = self._window.current_workspace().current_screen
        KeyEditor(self._window, keymap.where_is(screen)).open()


def _drop(shortcuts: list[QShortcut]) -> None:
    for shortcut in shortcuts:
        shortcut.setEnabled(False)
        shortcut.deleteLater()
    shortcuts.clear()
