"""Opens in the window what the user asked for outside of it: links, exported messages, workspaces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFileDialog

from memphis_desktop.cluster.profiles import profile_for
from memphis_desktop.language import tr, tr_count
from memphis_desktop.opening import (
    BACKUP_NAMES,
    MESSAGE_SUFFIXES,
    PLACE_SCHEME,
    WORKSPACE_SUFFIX,
    Opening,
    holds_messages,
)
from memphis_desktop.ui.broker_control import BrokerChoice, BrokerState
from memphis_desktop.ui.format import integer
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens import registry
from memphis_desktop.ui.shell.links import LinkProblem, read_link
from memphis_desktop.ui.shell.workspace_file import (
    SavedTabs,
    WorkspaceProblem,
    profile_of,
    read_workspace,
    write_workspace,
)

if TYPE_CHECKING:
    from memphis_desktop.ui.window import MainWindow


class Opener:
    """One for the window."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window

    def open(self, asked: Opening) -> None:
        """Open everything asked for; what fails says so and does not keep the rest."""
        window = self._window
        if asked.demo and window.broker.state is BrokerState.RUNNING:
            window.tasks.run(self._show_demo(), tr("show the sample stations"))
        elif asked.demo:
            choice = BrokerChoice(port=0, persistent=False, sample_traffic=True)
            window.tasks.run(window.start_local_broker(choice), tr("start the demo"))
        for link in asked.links:
            if link.startswith(f"{PLACE_SCHEME}:"):
                self.open_place(link)
            else:
                window.tasks.run(window.open_profile(profile_for(link)), tr("connect to {name}", name=link))
        for path in asked.files:
            self.open_file(path)

    async def _show_demo(self) -> None:
        await self._window.open_local()
        await self._window.broker.start_sample_traffic()

    def open_place(self, link: str) -> None:
        """Show the place that a link means, in a tab of its own."""
        window = self._window
        try:
            place = read_link(link)
        except LinkProblem as problem:
            window.notify(str(problem), "bad")
            return
        open_now = [tab.connection.profile for tab in window.workspaces() if tab.connection is not None]
        profile = profile_of(place, [*open_now, *window.known_profiles()])
        if profile is None:
            window.notify(
                tr("This link needs the connection {name}, which is not here.", name=place.name), "warning"
            )
        elif registry.find(place.route.name) is None:
            window.notify(
                tr("This link leads to a page {name}, which is not known.", name=place.route.name), "warning"
            )
        else:
            window.tasks.run(
                window.open_profile(profile, place.route, new_tab=True),
                tr("connect to {name}", name=profile.name),
            )

    def open_file(self, path: str) -> bool:
        """Open a file, or the folder of a backup; False when nothing can be done with it."""
        suffix = Path(path).suffix.lower()
        if holds_messages(Path(path)):
            self._window.navigate(Route("home"))
            self._window.navigate(Route("file", {"path": path}))
            return True
        if suffix == WORKSPACE_SUFFIX:
            self.open_workspace(path)
            return True
        return self._window.offer_credentials(path)

    def open_workspace(self, path: str) -> None:
        """Open the tabs of a workspace file beside those that are there."""
        window = self._window
        try:
            saved = read_workspace(Path(path))
        except WorkspaceProblem as problem:
            window.notify(str(problem), "bad")
            return
        if saved.places:
            window.tasks.run(self._restore(saved), tr("open the workspace"))
        else:
            window.notify(tr("{name} holds no tabs.", name=Path(path).name), "warning")

    async def _restore(self, saved: SavedTabs) -> None:
        missing = await self._window.tabs.restore(saved, self._window.known_profiles())
        if missing:
            text = tr(
                "This workspace needs connections that are not here: {names}.", names=", ".join(missing)
            )
            self._window.notify(text, "warning")

    def ask_for_file(self) -> None:
        """Let the user choose a file to open."""
        names = (*(f"*{suffix}" for suffix in (*MESSAGE_SUFFIXES, WORKSPACE_SUFFIX)), *BACKUP_NAMES)
        kinds = tr("Messages, backups and workspaces ({names})", names=" ".join(names))
        dialog = QFileDialog(self._window, tr("Open a file"), "", kinds)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.open_file)
        dialog.open()

    def ask_for_backup(self) -> None:
        """Let the user choose the folder of a backup to look at."""
        dialog = QFileDialog(self._window, tr("Open the folder of a backup"), "")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(self._open_backup)
        dialog.open()

    def _open_backup(self, path: str) -> None:
        self._window.navigate(Route("home"))
        self._window.navigate(Route("file", {"path": path}))

    def ask_where_to_save(self) -> None:
        """Let the user choose where the open tabs are saved."""
        dialog = QFileDialog(
            self._window,
            tr("Save the tabs as a workspace"),
            f"workspace{WORKSPACE_SUFFIX}",
            tr("Workspace ({name})", name=f"*{WORKSPACE_SUFFIX}"),
        )
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(WORKSPACE_SUFFIX.removeprefix("."))
        dialog.fileSelected.connect(self.save_workspace)
        dialog.open()

    def save_workspace(self, path: str) -> None:
        """Write the open tabs to a file."""
        saved = self._window.tabs.saved()
        try:
            write_workspace(Path(path), saved)
        except OSError as error:
            self._window.notify(tr("Could not save the workspace. {reason}.", reason=error.strerror), "bad")
            return
        count = len(saved.places)
        told = tr_count("Saved {count} tab.", "Saved {count} tabs.", count, count=integer(count))
        self._window.notify(told, "good")
