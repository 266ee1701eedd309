"""Home: the local broker, the connections, and for a newcomer the three ways to begin."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from memphis_desktop.ui import theme
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Screen, ScreenContext
from memphis_desktop.ui.screens.first_run import FirstRun
from memphis_desktop.ui.shell.logo import Logo


class HomeScreen(Screen):
    """See the module."""

    title = "Home"
    route_name = "home"

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.first_run = FirstRun(context)
        self.first_run.setMaximumWidth(1040)
        column = QVBoxLayout()
        column.setSpacing(theme.SPACE_3)
        column.setContentsMargins(theme.SPACE_6, theme.SPACE_6, theme.SPACE_6, theme.SPACE_6)
        column.addStretch(2)
        column.addWidget(Logo(56), 0, Qt.AlignmentFlag.AlignHCenter)
        heading = PlainLabel("Memphis Desktop", "vital")
        heading.setAlignment(Qt.AlignmentFlag.AlignCenter)
        column.addWidget(heading)
        line = PlainLabel("See, search and replay what flows through your message streams.", "muted")
        line.setAlignment(Qt.AlignmentFlag.AlignCenter)
        column.addWidget(line)
        column.addSpacing(theme.SPACE_4)
        column.addWidget(self.first_run)
        column.setAlignment(self.first_run, Qt.AlignmentFlag(0))
        column.addStretch(3)
        holder = QWidget()
        holder.setObjectName("scrolled")
        holder.setLayout(column)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(holder)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area)

    def activated(self) -> None:
        """Look again for contexts; the first button has the focus."""
        self.first_run.refresh()
        self.first_run.broker_card.button.setFocus()
