"""The page of one station: breadcrumb, actions, and its tabs, each made when first visited."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtWidgets import QTabBar, QVBoxLayout, QWidget

from memphis_desktop.cluster.model import ClusterSnapshot, StreamSnapshot
from memphis_desktop.cluster.raft.groups import group_of
from memphis_desktop.cluster.raft.model import Quorum
from memphis_desktop.inspect.key_value.names import bucket_name, is_bucket
from memphis_desktop.language import tr
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.current_page import PageStack
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.components.time_range import TimeRange, TimeRangeBar
from memphis_desktop.ui.screen import Command, Route, Screen, ScreenContext
from memphis_desktop.ui.screens.key_value.fields import bucket_route
from memphis_desktop.ui.screens.station_actions import StationActions
from memphis_desktop.ui.screens.station_detail.activity import ActivityTab
from memphis_desktop.ui.screens.station_detail.code import CodeTab
from memphis_desktop.ui.screens.station_detail.configuration import ConfigurationTab
from memphis_desktop.ui.screens.station_detail.dead_letters import DeadLettersTab
from memphis_desktop.ui.screens.station_detail.first_message import FirstMessage
from memphis_desktop.ui.screens.station_detail.groups import GroupsTab
from memphis_desktop.ui.screens.station_detail.messages import MessagesTab
from memphis_desktop.ui.screens.station_detail.raft import RaftTab
from memphis_desktop.ui.screens.station_detail.subjects import SubjectsTab
from memphis_desktop.ui.screens.station_detail.summary import SummaryTab
from memphis_desktop.ui.screens.station_detail.tab import StationTab
from memphis_desktop.ui.screens.station_parts import LONGEST, PAGE_MARGINS, StateBanner

TABS: tuple[type[StationTab], ...] = (
    SummaryTab,
    MessagesTab,
    GroupsTab,
    SubjectsTab,
    DeadLettersTab,
    ConfigurationTab,
    RaftTab,
    CodeTab,
    ActivityTab,
)
_WITH_TIME = ("summary", "groups", "raft")


class StationDetailScreen(Screen):
    """Route parameters: `stream`, and `tab` for one of the tabs."""

    title = tr("Station")
    route_name = "station"

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._actions = StationActions(context, self)
        self._stream = ""
        self._snapshot: StreamSnapshot | None = None
        self._seen = False
        self._active = False
        self._release: Callable[[], None] | None = None
        self._tabs: dict[str, StationTab] = {}
        self.time_range = TimeRange(300.0, self)
        self.header = PageHeader("")
        self.header.navigated.connect(context.navigate)
        self.range_bar = TimeRangeBar(self.time_range, longest=LONGEST)
        self.header.add_widget(self.range_bar)
        self.edit_button = self.header.add_action(
            tr("Edit"),
            self._edit,
            icon_name="pencil-simple",
            tooltip="Ctrl+E",  # untranslated: a key
        )
        self.bucket_button = self.header.add_action(
            tr("Open as bucket"), self._open_bucket, icon_name="key", tooltip=tr("Its keys and values")
        )
        self.bucket_button.hide()
        self.header.add_icon_action("download-simple", tr("Back up this station"), self._back_up)
        self.purge_button = self.header.add_icon_action("eraser", tr("Remove messages"), self._purge)
        self.delete_button = self.header.add_icon_action("trash", tr("Delete this station"), self._delete)
        self._tooltips = {b: b.toolTip() for b in (self.edit_button, self.purge_button, self.delete_button)}
        self._show_refusal()
        self.banner = StateBanner()
        self.notice = Banner("bad", "")
        self.notice.hide()
        self.tab_bar = QTabBar()
        self.tab_bar.setExpanding(False)
        self.tab_bar.setDrawBase(False)
        self.tab_bar.setAccessibleName(tr("Parts of the station"))
        for tab in TABS:
            self.tab_bar.addTab(tab.title)
        self.stack = PageStack()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*PAGE_MARGINS)
        layout.setSpacing(theme.SPACE_3)
        for widget in (self.header, self.banner, self.notice, self.tab_bar):
            layout.addWidget(widget)
        layout.setSpacing(theme.SPACE_2)
        layout.addWidget(self.stack, 1)
        self.tab_bar.currentChanged.connect(self._tab_chosen)

    # Where

    def show_route(self, route: Route) -> None:
        """Show the station the route names, and its tab."""
        stream = route.get("stream") or route.get("name")
        if stream != self._stream:
            self._leave_station()
            self._stream = stream
            self._snapshot = None
            self._seen = False
            self.bucket_button.setVisible(is_bucket(stream))
            self.header.set_breadcrumb(self.breadcrumb())
            self.title_changed.emit()
            if self._active:
                self._watch()
        wanted = route.get("tab")
        index = next((i for i, tab in enumerate(TABS) if tab.key == wanted), self.tab_bar.currentIndex())
        if index != self.tab_bar.currentIndex():
            self.tab_bar.setCurrentIndex(index)
        else:
            self._show_tab()
        self.show_snapshot(self.context.session.snapshot)

    def _leave_station(self) -> None:
        self._stop_watching()
        for tab in self._tabs.values():
            tab.deactivated()
            self.context.run(tab.shut_down(), tr("close a tab"))
            self.stack.removeWidget(tab)
            tab.deleteLater()
        self._tabs.clear()

    def breadcrumb(self) -> list[tuple[str, Route | None]]:
        """Stations › this."""
        return [(tr("Stations"), Route("stations")), (self._stream or self.title, None)]

    @property
    def current_tab(self) -> StationTab | None:
        """The tab in view."""
        return self._tabs.get(TABS[self.tab_bar.currentIndex()].key)

    def _tab_chosen(self, index: int) -> None:
        if self._stream:
            self._show_tab()
            self.commands_changed.emit()

    def _show_tab(self) -> None:
        kind = TABS[self.tab_bar.currentIndex()]
        shown = self.stack.currentWidget()
        tab = self._tabs.get(kind.key)
        if tab is None:
            tab = self._make_tab(kind)
            self._tabs[kind.key] = tab
            self.stack.addWidget(tab)
        if shown is not tab and isinstance(shown, StationTab):
            shown.deactivated()
        self.stack.setCurrentWidget(tab)
        self.range_bar.setVisible(kind.key in _WITH_TIME)
        if self._active:
            tab.activated()
        if self._snapshot is not None:
            tab.show_station(self._snapshot, self.context.session.snapshot)
        if shown is not tab and shown is not None and not self.tab_bar.hasFocus():
            self.part_changed.emit()

    def _make_tab(self, kind: type[StationTab]) -> StationTab:
        if kind is SummaryTab or kind is GroupsTab or kind is RaftTab:
            tab: StationTab = kind(self.context, self._actions, self._stream, self.time_range)
        else:
            tab = kind(self.context, self._actions, self._stream)
        tab.commands_changed.connect(self.commands_changed)
        return tab

    # Life

    def activated(self) -> None:
        """Read this station in each round."""
        self._active = True
        self._watch()
        tab = self.current_tab
        if tab is not None:
            tab.activated()

    def deactivated(self) -> None:
        """No more."""
        self._active = False
        self._stop_watching()
        tab = self.current_tab
        if tab is not None:
            tab.deactivated()

    def _watch(self) -> None:
        if self._release is None and self._stream:
            self._release = self.context.session.watch_detail(self._stream)

    def _stop_watching(self) -> None:
        if self._release is not None:
            self._release()
            self._release = None

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """Hand the round to the tab in view."""
        self.banner.show_snapshot(snapshot)
        self.time_range.anchor = time.time()
        stream = snapshot.streams.get(self._stream)
        if stream is None:
            self._show_missing(snapshot)
            return
        self._seen = True
        self._snapshot = stream
        self._show_refusal()
        group = group_of(stream, snapshot.raft.gone)
        if stream.clustered and group.quorum is not Quorum.HELD:
            members = ", ".join(f"{peer.server} {peer.status.value}" for peer in group.peers) or tr("none")
            text = tr(
                "This station has {problem}: nothing can be written now. Members: {members}.",
                problem=group.problem,
                members=members,
            )
            if snapshot.raft.reason:
                said = tr("The server says: {reason}", reason=snapshot.raft.reason)
                text = f"{text} {said}"
            self._notify("bad", text)
        elif stream.config.get("sealed"):
            self._notify("information", tr("This station is sealed: it can be read, never changed."))
        else:
            self.notice.hide()
        tab = self.current_tab
        if tab is not None:
            tab.show_station(stream, snapshot)

    def _show_refusal(self) -> None:
        """The buttons say why they cannot be used now."""
        refusal = self._actions.refusal_of(self._stream)
        for button, tooltip in self._tooltips.items():
            button.setEnabled(not refusal)
            button.setToolTip(refusal or tooltip)

    def _notify(self, kind: str, text: str) -> None:
        if self.notice.text() != text or self.notice.isHidden():
            self.notice.set_content(kind, text)
            self.notice.show()

    def _show_missing(self, snapshot: ClusterSnapshot) -> None:
        if not self._stream or not snapshot.complete:
            return
        if self._seen:
            text = tr("The station {name} does not exist any more.", name=self._stream)
        else:
            text = tr("The station {name} does not exist.", name=self._stream)
        if self.notice.text() != text or self.notice.isHidden():
            action = (tr("Open the stations"), lambda: self.context.navigate(Route("stations")))
            self.notice.set_content("bad", text, action)
            self.notice.show()

    # Doing

    def _edit(self) -> None:
        if self._snapshot is not None:
            self.context.run(self._actions.edit_station(self._snapshot), tr("change the station"))

    def _purge(self) -> None:
        if self._snapshot is not None:
            self.context.run(self._actions.purge_station(self._snapshot), tr("purge the station"))

    def _compare(self) -> None:
        if self._snapshot is not None:
            self.context.run(self._actions.compare(self._snapshot), tr("compare the station"))

    def _open_bucket(self) -> None:
        self.context.navigate(bucket_route(bucket_name(self._stream)))

    def _back_up(self) -> None:
        if self._snapshot is not None:
            self.context.run(self._actions.back_up(self._snapshot), tr("back up the station"))

    def _seal(self) -> None:
        if self._snapshot is not None:
            self.context.run(self._actions.seal_station(self._snapshot), tr("seal the station"))

    def _delete(self) -> None:
        self.context.run(self._delete_and_leave(), tr("delete the station"))

    async def _delete_and_leave(self) -> None:
        if self._snapshot is not None and await self._actions.delete_stations([self._snapshot]):
            self.context.navigate(Route("stations"))

    def _next_tab(self, step: int) -> None:
        self.tab_bar.setCurrentIndex((self.tab_bar.currentIndex() + step) % len(TABS))

    def focus_start(self) -> bool:
        """Into the subject of the first message, where there is none yet."""
        first = getattr(self.current_tab, "first", None)
        if isinstance(first, FirstMessage) and first.subject.isVisibleTo(self):
            first.subject.setFocus()
            return True
        return super().focus_start()

    def station_here(self) -> str:
        """The station of the page."""
        return self._stream

    def focus_filter(self) -> None:
        """Into the filter of the tab in view."""
        tab = self.current_tab
        if tab is not None:
            tab.focus_filter()

    def commands(self) -> list[Command]:
        """The page's actions and those of the tab in view."""
        refusal = self._actions.refusal_of(self._stream)
        own = [
            Command(
                tr("Next part of the station"),
                keymap.key("station.next_part"),
                lambda: self._next_tab(1),
                "caret-right",
            ),
            Command(
                tr("Previous part of the station"),
                keymap.key("station.previous_part"),
                lambda: self._next_tab(-1),
                "caret-left",
            ),
            Command(tr("Compare this station"), keymap.key("station.compare"), self._compare, "columns"),
            Command(tr("Back up this station"), "", self._back_up, "download-simple", name="back_up_station"),
            Command(
                tr("Seal this station"),
                "",
                self._seal,
                "lock-simple",
                not refusal,
                refusal,
                True,
                name="seal_station",
            ),
            Command(
                tr("Purge this station"),
                "",
                self._purge,
                "eraser",
                not refusal,
                refusal,
                True,
                name="purge_station",
            ),
            Command(
                tr("Delete this station"),
                "",
                self._delete,
                "trash",
                not refusal,
                refusal,
                True,
                name="delete_station",
            ),
        ]
        if is_bucket(self._stream):
            own.append(Command(tr("Open as bucket"), "", self._open_bucket, "key", name="open_bucket"))
        tab = self.current_tab
        inner = tab.commands() if tab is not None else []
        taken = {command.shortcut for command in inner if command.shortcut}
        if "Ctrl+E" not in taken:
            own.insert(
                0,
                Command(
                    tr("Edit this station"),
                    keymap.key("station.edit"),
                    self._edit,
                    "pencil-simple",
                    not refusal,
                    refusal,
                ),
            )
        return [*own, *inner]
