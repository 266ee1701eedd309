"""A configuration as it is: each setting in words at the left, the JSON the broker gives at the right."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screens.field_values import (
    Field,
    ServerAge,
    bringing_version,
    get_value,
    sections,
    value_text,
)
from memphis_desktop.ui.screens.station_facts import Facts
from memphis_desktop.ui.screens.station_parts import panel

_NEWEST = ServerAge()


class ConfigurationView(QWidget):
    """See the module. `fields` are the settings, in sections."""

    def __init__(self, fields: Sequence[Field], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._fields = fields
        self._shown: object = None
        self._age = _NEWEST
        self.facts: dict[str, Facts] = {}
        holder = QWidget()
        holder.setObjectName("scrolled")
        column = QVBoxLayout(holder)
        column.setContentsMargins(theme.SPACE_4, theme.SPACE_4, theme.SPACE_4, theme.SPACE_4)
        column.setSpacing(theme.SPACE_2)
        for section in sections(fields):
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
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.SPACE_4)
        row.addWidget(panel(area), 1)
        row.addWidget(self.code, 1)

    def show_configuration(self, config: Mapping[str, Any], age: ServerAge = _NEWEST) -> None:
        """Show a configuration when it is another one; `age` tells which settings the server knows."""
        if config is self._shown and age == self._age:
            return
        self._shown, self._age = config, age
        shown = dict(config)
        if single := shown.get("filter_subject"):
            shown.setdefault("filter_subjects", [single])
        for section, facts in self.facts.items():
            facts.set_facts(
                [
                    (field.label, _text(field, get_value(shown, field.key), age))
                    for field in self._fields
                    if field.section == section
                ]
            )
        self.code.set_text(json.dumps(dict(config), indent=2, ensure_ascii=False))


def _text(field: Field, value: object, age: ServerAge) -> str:
    """A setting in words; which version brings it, where the server is too old."""
    if age.knows(field.level, field.since) or value:
        return value_text(field, value)
    version = bringing_version(field.level, field.since)
    return tr("from server version {version} on", version=version) if version else "–"
