"""The screen of all dead letters of a connection."""

from __future__ import annotations

from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QMenu, QPushButton, QVBoxLayout, QWidget

from memphis_desktop.cluster.dead_letters.capture import CaptureStatus
from memphis_desktop.cluster.dead_letters.letters import letter_key
from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.components.time_range import TimeRange, TimeRangeBar
from memphis_desktop.ui.screen import Command, Route, Screen, ScreenContext
from memphis_desktop.ui.screens.dead_letters.view import DeadLettersView
from memphis_desktop.ui.screens.station_parts import LONGEST, PAGE_MARGINS, StateBanner
from memphis_desktop.ui.theme.icons import beside_text, icon


class DeadLettersScreen(Screen):
    """Route parameters: ``kind``, ``stream``, ``consumer`` and ``sequence`` for one letter; ``filter`` for
    words to narrow the list with; ``newest`` puts the cursor on the latest."""

    title = tr("Dead letters")
    route_name = "dead_letters"

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.header = PageHeader(tr("Dead letters"))
        self.time_range = TimeRange(3600.0, self)
        self.header.add_widget(TimeRangeBar(self.time_range, longest=LONGEST))
        self.capture_button = QPushButton(tr("Capture"))
        self.capture_button.clicked.connect(self._show_capture_menu)
        self.header.add_widget(self.capture_button)
        self.state = StateBanner()
        self.view = DeadLettersView(context, time_range=self.time_range)
        self.view.commands_changed.connect(self.commands_changed)
        self.view.status_changed.connect(self._show_status)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*PAGE_MARGINS)
        layout.setSpacing(theme.SPACE_3)
        layout.addWidget(self.header)
        layout.addWidget(self.state)
        layout.addWidget(self.view, 1)

    def show_route(self, route: Route) -> None:
        """Put the cursor on the letter the route names."""
        sequence = route.get("sequence")
        if sequence.isdigit():
            place = route.get("stream"), route.get("consumer"), int(sequence)
            self.view.select_letter(letter_key(route.get("kind"), *place))
        if route.get("filter"):
            self.view.narrow_to(route.get("filter"))
        if route.get("newest"):
            self.view.select_newest()

    def activated(self) -> None:
        """Read while in view."""
        self.view.activated()

    def deactivated(self) -> None:
        """Read no more."""
        self.view.deactivated()

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """A round."""
        self.state.show_snapshot(snapshot)
        self.view.show_snapshot(snapshot)

    def focus_filter(self) -> None:
        """Into the filter."""
        self.view.focus_filter()

    def commands(self) -> list[Command]:
        """Those of the view."""
        return self.view.commands()

    def _show_status(self, status: CaptureStatus | None) -> None:
        self.capture_button.setVisible(status is not None)
        if status is None:
            self.header.set_title(
                tr("Dead letters"), tr("Kept by the Memphis layer, those of plain consumers too")
            )
            return
        text = (
            tr("Capturing")
            if status.complete
            else tr("Capturing in part")
            if status.active
            else tr("Not capturing")
        )
        token = "good" if status.complete else "warning" if status.active else "muted"
        if text != self.capture_button.text():
            self.capture_button.setText(text)
            beside_text(self.capture_button, icon("record", token))
            where = ", ".join(status.streams)
            self.capture_button.setToolTip(
                tr("Advisories are kept in {where}", where=where) if where else tr("Nothing is kept")
            )

    def _show_capture_menu(self) -> None:
        menu = QMenu(self)
        self.view.doing.fill_capture_menu(menu)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self.capture_button.mapToGlobal(QPoint(0, self.capture_button.height())))
