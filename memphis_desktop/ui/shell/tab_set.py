"""The tabs of the window: what is open, on which side of the split, and which one the keys go to.

The bar holds them all: those of the left side first, Home before everything, then those of the right side.
The current tab of the bar is the one the keys go to; while the window is split another is shown beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPoint, Qt, Signal
from PySide6.QtWidgets import QMenu

from memphis_desktop.language import tr
from memphis_desktop.ui.components.data_table import add_commands
from memphis_desktop.ui.screen import Command, Route
from memphis_desktop.ui.screens import registry
from memphis_desktop.ui.shell.connection import Connection
from memphis_desktop.ui.shell.sides import LEFT, RIGHT, Sides
from memphis_desktop.ui.shell.status_bar import STATE_WORDS
from memphis_desktop.ui.shell.top_bar import Tabs
from memphis_desktop.ui.shell.workspace import Workspace
from memphis_desktop.ui.shell.workspace_file import Place, SavedTabs, profile_of

if TYPE_CHECKING:
    from memphis_desktop.cluster.profiles import ConnectionProfile
    from memphis_desktop.ui.window import MainWindow


class TabSet(QObject):
    """Opens, shows, moves and closes tabs. Home is the first, on the left, and stays."""

    current_changed = Signal()  # another tab has the keys, or the same one is shown anew
    place_changed = Signal(object)  # a Workspace shows another place, or calls it otherwise
    screen_changed = Signal(object)  # a Workspace shows another screen, or its commands changed

    def __init__(self, window: MainWindow, bar: Tabs, sides: Sides) -> None:
        super().__init__(window)
        self._window = window
        self._bar = bar
        self._sides = sides
        self._all: list[Workspace] = []
        self._side: dict[Workspace, int] = {}
        self._shown: list[Workspace | None] = [None, None]
        bar.currentChanged.connect(self._chosen)
        bar.closed.connect(self.close)
        bar.menu_requested.connect(self._show_menu)
        bar.dragged.connect(lambda _, place: sides.show_target(sides.target_at(place)))
        bar.dropped.connect(self._dropped)
        sides.side_entered.connect(self._entered)
        for number, side in enumerate(sides.sides):
            side.header.across_requested.connect(lambda number=number: self._across(number))
            side.header.close_requested.connect(self.join)

    # What there is ----------------------------------------------------------------------------

    def all(self) -> list[Workspace]:
        """Every tab, in the order of the bar."""
        return list(self._all)

    def current(self) -> Workspace:
        """The tab that the keys go to."""
        return self._all[max(0, self._bar.currentIndex())]

    def shown(self) -> list[Workspace]:
        """The tabs in view: one, or two of a split."""
        return [workspace for workspace in self._shown if workspace is not None]

    @property
    def is_split(self) -> bool:
        """Whether two tabs are in view."""
        return self._shown[RIGHT] is not None

    def side_of(self, workspace: Workspace) -> int:
        """``LEFT`` or ``RIGHT``."""
        return self._side[workspace]

    def of(self, connection: Connection) -> list[Workspace]:
        """The tabs of a connection."""
        return [workspace for workspace in self._all if workspace.connection is connection]

    # Opening and showing ----------------------------------------------------------------------

    def add(self, connection: Connection | None, side: int | None = None) -> Workspace:
        """A new tab, at the end of its side: that of the current tab unless another is named."""
        if side is None:
            side = self._side[self.current()] if self._all else LEFT
        workspace = Workspace(self._window, connection)
        index = self._end_of(side)
        self._all.insert(index, workspace)
        self._side[workspace] = side
        self._sides.sides[side].stack.addWidget(workspace)
        name = connection.profile.name if connection is not None else tr("Home")
        self._bar.blockSignals(True)  # the very first becomes the current one before it is known
        self._bar.insert_tab(index, name, home=connection is None)
        self._bar.blockSignals(False)
        workspace.route_changed.connect(lambda: self._place_changed(workspace))
        workspace.screen_changed.connect(lambda: self.screen_changed.emit(workspace))
        if connection is not None:
            connection.users += 1
            connection.without_tab = False
            self.tell_state(connection)
        return workspace

    def _end_of(self, side: int) -> int:
        return len([one for one in self._all if side == RIGHT or self._side[one] == LEFT])

    def select(self, workspace: Workspace) -> None:
        """Show a tab on its side and give it the keys."""
        index = self._all.index(workspace)
        if self._bar.currentIndex() != index:
            self._bar.setCurrentIndex(index)  # comes back through _chosen
        else:
            self._chosen(index)

    def _chosen(self, index: int) -> None:
        if not 0 <= index < len(self._all):
            return
        self._bring_forward(self._all[index])
        self._tell()

    def _bring_forward(self, workspace: Workspace) -> None:
        """Show a tab on its side, and only there where it belongs."""
        side = self._side[workspace]
        self._shown[side] = workspace
        for one in self._all:
            if one not in self._shown:
                one.set_active(False)
        self._sides.set_split(self.is_split)
        self._sides.sides[side].stack.setCurrentWidget(workspace)
        for one in self.shown():
            one.set_active(True)

    def _tell(self) -> None:
        """Bar and headers show which tabs are in view; the window follows."""
        current = self.current()
        beside = next((one for one in self.shown() if one is not current), None)
        first = self._end_of(LEFT) if self.is_split else None
        self._bar.set_split(first, self._all.index(beside) if beside is not None else None)
        for side, workspace in zip(self._sides.sides, self._shown, strict=True):
            side.header.tell(workspace, workspace is current)
        self.current_changed.emit()

    def step(self, by: int) -> None:
        """The next tab, or the one before."""
        self._bar.setCurrentIndex((self._bar.currentIndex() + by) % self._bar.count())

    def duplicate(self, side: int | None = None) -> None:
        """Another tab on the same connection, at the same place; from Home, choose a connection there."""
        workspace = self.current()
        if workspace.connection is None:
            self._window.navigate(Route("home"))
            return
        self._copy(workspace, side)

    def _copy(self, workspace: Workspace, side: int | None) -> None:
        copy = self.add(workspace.connection, side)
        copy.navigate(workspace.route or Route(registry.first_route()))
        self.select(copy)

    # The split --------------------------------------------------------------------------------

    def open_beside(self) -> None:
        """Show the place of the current tab on the other side as well."""
        workspace = self.current()
        if workspace.connection is None:
            self._window.notify(tr("Home stays in one place. Open a connection, then split the window."))
            return
        self.duplicate(RIGHT if self._side[workspace] == LEFT else LEFT)

    def open_on(self, workspace: Workspace, side: int) -> None:
        """Bring a tab to a side. The only one of the left stays there, and a second is opened."""
        if workspace.connection is None or self._side[workspace] == side:
            return
        alone = side == RIGHT and len(self._of_side(LEFT)) == 1
        if alone:
            self._copy(workspace, RIGHT)
        else:
            self.move(workspace, side)

    def move(self, workspace: Workspace, side: int) -> None:
        """Take a tab from its side to the other; a side that is left without tabs is no more."""
        if workspace.connection is None or self._side[workspace] == side:
            return
        before = self._all.index(workspace)
        old = self._side[workspace]
        self._all.remove(workspace)
        self._side[workspace] = side
        index = self._end_of(side)
        self._all.insert(index, workspace)
        self._bar.blockSignals(True)
        self._bar.moveTab(before, index)
        self._bar.blockSignals(False)
        self._put(workspace, side)
        self._settle(old)
        self.select(workspace)

    def move_across(self) -> None:
        """Take the current tab to the other side."""
        workspace = self.current()
        if workspace.connection is None:
            self._window.notify(tr("Home stays on the left."))
        elif self.is_split:
            self.move(workspace, RIGHT if self._side[workspace] == LEFT else LEFT)

    def _across(self, side: int) -> None:
        workspace = self._shown[side]
        if workspace is not None:
            self.move(workspace, RIGHT if side == LEFT else LEFT)

    def other_side(self) -> None:
        """The keys go to the other tab in view."""
        other = next((one for one in self.shown() if one is not self.current()), None)
        if other is not None:
            self.select(other)
            self._sides.sides[self._side[other]].take_focus()

    def join(self) -> None:
        """One side again; the tabs of the right one join those of the left."""
        current = self.current()
        for workspace in self._of_side(RIGHT):
            self._put(workspace, LEFT)
        if current in self._of_side(LEFT):
            self._shown[LEFT] = current
        self._shown[RIGHT] = None
        self.select(current)

    def _of_side(self, side: int) -> list[Workspace]:
        """The tabs of a side, Home aside."""
        return [one for one in self._all if self._side[one] == side and one.connection is not None]

    def _settle(self, side: int) -> None:
        """A tab went from a side: show another of it, or give the room to the other side."""
        left = self._of_side(side)
        now = self._shown[side]
        if now is None or self._side.get(now) != side:
            self._shown[side] = left[-1] if left else None if side == RIGHT else self._all[0]
        if side == LEFT and not left and self._of_side(RIGHT):
            # Only Home is left there: what is open on the right has all of the room.
            for workspace in self._of_side(RIGHT):
                self._put(workspace, LEFT)
            self._shown = [self._shown[RIGHT], None]
        shown = self._shown[side]
        if shown is not None:
            self._sides.sides[side].stack.setCurrentWidget(shown)

    def _put(self, workspace: Workspace, side: int) -> None:
        self._side[workspace] = side
        self._sides.sides[side].stack.addWidget(workspace)  # takes it from the other one

    def _entered(self, side: int) -> None:
        workspace = self._shown[side]
        if self.is_split and workspace is not None and workspace is not self.current():
            self.select(workspace)

    # The mouse --------------------------------------------------------------------------------

    def _dropped(self, index: int, place: QPoint) -> None:
        side = self._sides.target_at(place)
        self._sides.show_target(None)
        if side is not None and 0 < index < len(self._all):
            self.open_on(self._all[index], side)

    def menu_of(self, index: int) -> QMenu:
        """What can be done with a tab."""
        workspace = self._all[index]
        home = workspace.connection is None
        right = self._side[workspace] == RIGHT
        across = RIGHT if not right else LEFT
        menu = QMenu(self._bar)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        commands = [
            Command(
                tr("New tab here"), "", lambda: self._copy(workspace, self._side[workspace]), "plus", not home
            ),
            Command(tr("Open in split"), "", lambda: self._copy(workspace, across), "columns", not home),
        ]
        if self.is_split:
            title = tr("Move to the left side") if right else tr("Move to the right side")
            move = Command(title, "", lambda: self.move(workspace, across), "arrows-left-right", not home)
            commands += [move, Command(tr("Close the split, keep its tabs"), "", self.join, "square")]
        others = [one for one in self._all if one.connection is not None and one is not workspace]
        commands += [
            Command(""),
            Command(tr("Close tab"), "", lambda: self.close(self._all.index(workspace)), "x", not home),
            Command(
                tr("Close the other tabs"), "", lambda: self._close_all(others), "x-square", bool(others)
            ),
        ]
        add_commands(menu, commands)
        return menu

    def _show_menu(self, index: int, place: QPoint) -> None:
        if 0 <= index < len(self._all):
            self.menu_of(index).popup(place)

    # Closing ----------------------------------------------------------------------------------

    def close(self, index: int | None = None) -> None:
        """Close a tab; the connection goes with its last one. Home stays."""
        index = self._bar.currentIndex() if index is None else index
        if index > 0:
            self._close_all([self._all[index]])

    def _close_all(self, workspaces: Sequence[Workspace]) -> None:
        for workspace in workspaces:
            self._window.tasks.run(self._end(workspace), tr("close the tab"))

    async def _end(self, workspace: Workspace) -> None:
        connection = workspace.connection
        last = workspace in self._all and connection is not None and connection.users == 1
        if connection is not None and last and connection.session.later.pending:
            self._window.keep_open(connection)
            await self.remove(workspace)
        elif connection is not None and last:
            await self._window.close_profile(connection.profile.id)
        else:
            await self.remove(workspace)

    async def remove(self, workspace: Workspace) -> None:
        """Take a tab away and end what it started."""
        if workspace not in self._all:
            return
        index, side = self._all.index(workspace), self._side[workspace]
        was_shown, was_current = workspace in self._shown, workspace is self.current()
        following = self.current()
        if workspace.connection is not None:
            workspace.connection.users -= 1
        self._all.remove(workspace)
        del self._side[workspace]
        self._bar.blockSignals(True)
        self._bar.removeTab(index)
        self._bar.blockSignals(False)
        if was_shown:
            self._shown[side] = None
            self._settle(side)
        if was_current:
            following = self._shown[side] or self._shown[LEFT] or self._all[0]
        self.select(following)
        await workspace.close_now()
        self._sides.sides[side].stack.removeWidget(workspace)
        workspace.deleteLater()

    # What the bar says ------------------------------------------------------------------------

    def tell_state(self, connection: Connection) -> None:
        """The mark of a connection's state, on all of its tabs."""
        token, _ = STATE_WORDS[connection.snapshot.state]
        for workspace in self.of(connection):
            self._bar.set_state(self._all.index(workspace), token)

    def _place_changed(self, workspace: Workspace) -> None:
        if workspace not in self._all:
            return
        connection = workspace.connection
        if connection is not None:
            several = connection.users > 1
            place = workspace.title()
            title = f"{connection.profile.name} · {place}" if several and place else connection.profile.name
            index = self._all.index(workspace)
            self._bar.set_title(index, title, f"{connection.profile.name}\n{connection.profile.address}")
            self._bar.set_colour(index, connection.profile.colour)
        side = self._sides.sides[self._side[workspace]]
        if workspace in self._shown:
            side.header.tell(workspace, workspace is self.current())
        self.place_changed.emit(workspace)

    # Remembering ------------------------------------------------------------------------------

    def saved(self) -> SavedTabs:
        """What is open, to be opened again."""
        places = [
            Place(
                workspace.connection.profile.id,
                workspace.connection.profile.name,
                workspace.route,
                right=self._side[workspace] == RIGHT,
                shown=workspace in self._shown,
                current=workspace is self.current(),
            )
            for workspace in self._all
            if workspace.connection is not None and workspace.route is not None
        ]
        return SavedTabs(tuple(places), self._sides.ratio() if self.is_split else None)

    async def restore(self, saved: SavedTabs, profiles: Sequence[ConnectionProfile]) -> list[str]:
        """Open what was saved beside what is there; what cannot be reached says so and is left out.

        Returns:
            The names of connections that are not among ``profiles``.
        """
        window = self._window
        if saved.ratio is not None:
            self._sides.set_ratio(saved.ratio)
        missing, opening = [], []
        opened: dict[int, Workspace] = {}
        for number, place in enumerate(saved.places):
            profile = profile_of(place, profiles)
            if profile is None:
                missing.append(place.name or tr("a connection without a name"))
            elif registry.find(place.route.name) is not None:
                coroutine = self._open(number, place, profile, saved, opened)
                opening.append(window.tasks.run(coroutine, tr("connect to {name}", name=profile.name)))
        if opening:
            await asyncio.wait(opening)
        self._put_in_order([opened[number] for number in sorted(opened) if opened[number] in self._all])
        return sorted(set(missing))

    async def _open(
        self,
        number: int,
        place: Place,
        profile: ConnectionProfile,
        saved: SavedTabs,
        opened: dict[int, Workspace],
    ) -> None:
        connection = await self._window.connected(profile)
        workspace = opened[number] = self.add(connection, RIGHT if place.right else LEFT)
        workspace.navigate(place.route)
        if place.shown or self.current().connection is None:
            self._bring_forward(workspace)
            found = any(saved.places[other].current for other in opened if other != number)
            if place.current or not found:
                self.select(workspace)
            else:
                self._tell()

    def _put_in_order(self, wanted: list[Workspace]) -> None:
        """Connections answer in any order; their tabs stand as they stood."""
        for side in (LEFT, RIGHT):
            mine = [one for one in wanted if self._side[one] == side]
            places = sorted(self._all.index(one) for one in mine)
            for workspace, place in zip(mine, places, strict=True):
                at = self._all.index(workspace)
                if at != place:
                    self._all.insert(place, self._all.pop(at))
                    self._bar.blockSignals(True)
                    self._bar.moveTab(at, place)
                    self._bar.blockSignals(False)
        self._tell()
