"""The configuration of a station, as it is."""

from __future__ import annotations

import json

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from memphis_desktop.cluster.model import ClusterSnapshot, StreamSnapshot
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.station_actions import StationActions
from memphis_desktop.ui.screens.station_detail.tab import StationTab
from memphis_desktop.ui.screens.station_facts import Facts
from memphis_desktop.ui.screens.station_fields import STREAM_FIELDS, get_value, sections, value_text
from memphis_desktop.ui.screens.station_parts import panel


class ConfigurationTab(StationTab):
    """Every setting in words at the left, the JSON as the broker gives it at the right."""

    key = "configuration"
    title = "Configuration"

    def __init__(
        self, context: ScreenContext, actions: StationActions, stream: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(context, actions, stream, parent)
        self._snapshot: StreamSnapshot | None = None
        self._shown: object = None
        self.facts: dict[str, Facts] = {}
        holder = QWidget()
        holder.setObjectName("scrolled")
        column = QVBoxLayout(holder)
        column.setContentsMargins(theme.SPACE_4, theme.SPACE_4, theme.SPACE_4, theme.SPACE_4)
        column.setSpacing(theme.SPACE_2)
        for section in sections(STREAM_FIELDS):
            column.addWidget(PlainLabel(section, "strong"))
            self.facts[section] = Facts(1, name_width=160)
            column.addWidget(self.facts[section])
            column.addSpacing(theme.SPACE_3)
        column.addStretch()
        area = QScrollArea()
        area.setWidget(holder)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.code = CodeBlock(lines=0)
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE_4)
        row.addWidget(panel(area), 1)
        row.addWidget(self.code, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE_4, 0, 0)
        layout.addLayout(row, 1)

    def show_station(self, stream: StreamSnapshot, snapshot: ClusterSnapshot) -> None:
        """Show the configuration when it is another one."""
        self._snapshot = stream
        if stream.config is self._shown:
            return
        self._shown = stream.config
        for section, facts in self.facts.items():
            facts.set_facts(
                [
                    (field.label, value_text(field, get_value(stream.config, field.key)))
                    for field in STREAM_FIELDS
                    if field.section == section
                ]
            )
        self.code.set_text(json.dumps(dict(stream.config), indent=2, ensure_ascii=False))

    def edit(self) -> None:
        """Open the form."""
        if self._snapshot is not None:
            self.context.run(self.changes.edit_station(self._snapshot), "change the station")

    def commands(self) -> list[Command]:
        """Edit."""
        refusal = self.changes.refusal
        return [
            Command(
                "Edit configuration",
                keymap.key("station.edit"),
                self.edit,
                "pencil-simple",
                not refusal,
                refusal,
            )
        ]
