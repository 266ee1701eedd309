"""Two stations' configurations side by side, also across open connections."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PySide6.QtWidgets import QComboBox, QHBoxLayout, QTabWidget, QWidget

from memphis_desktop.cluster.actions.action import SERVERS_OWN
from memphis_desktop.cluster.model import StreamSnapshot, is_machinery
from memphis_desktop.cluster.profiles import ProfileError
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import Dialog
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.field_values import value_text
from memphis_desktop.ui.screens.station_fields import STREAM_FIELDS
from memphis_desktop.ui.screens.station_form import difference
from memphis_desktop.ui.screens.station_parts import panel

_FIELDS = {field.key: field for field in STREAM_FIELDS}


@dataclass(frozen=True)
class DifferentSetting:
    """A setting that two stations have otherwise."""

    key: str
    left: str
    right: str

    @property
    def label(self) -> str:
        """The setting's name in forms."""
        field = _FIELDS.get(self.key)
        return field.label if field is not None else self.key


def different_settings(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[DifferentSetting]:
    """Return what differs between two configurations, but for their names and what servers add."""
    rows = []
    for key in dict.fromkeys([*_FIELDS, *left, *right]):
        if "." in key or key == "name":
            continue
        first, second = _cleaned(key, left.get(key)), _cleaned(key, right.get(key))
        if first != second:
            rows.append(DifferentSetting(key, _text(key, left.get(key)), _text(key, right.get(key))))
    return rows


def _cleaned(key: str, value: Any) -> Any:
    if key == "metadata" and isinstance(value, Mapping):
        value = {k: v for k, v in value.items() if not k.startswith(SERVERS_OWN)}
    return None if value in ("", [], {}, False) else value


def _text(key: str, value: Any) -> str:
    field = _FIELDS.get(key)
    if field is not None:
        return value_text(field, value)
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class CompareDialog(Dialog):
    """See the module."""

    def __init__(
        self,
        parent: QWidget | None,
        context: ScreenContext,
        left: StreamSnapshot,
        right: StreamSnapshot | None = None,
    ) -> None:
        super().__init__(parent, tr("Compare {name}", name=left.name), tr("Done"), width=820)
        self.cancel_button.hide()
        self._left = left
        self._others = _others(context, left)
        self.other = QComboBox()
        self.other.setAccessibleName(tr("The station to compare with"))
        for label, _ in self._others:
            self.other.addItem(label)
        if right is not None:
            # By name: what was read anew since is another object.
            self.other.setCurrentIndex(max(0, self.other.findText(right.name)))
        self.summary = PlainLabel("", "muted")
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE_2)
        row.addWidget(PlainLabel(tr("{name} with", name=left.name)))
        row.addWidget(self.other, 1)
        row.addWidget(self.summary)
        self.body.addLayout(row)
        self.table = DataTable(
            [
                Column("label", tr("Setting"), lambda r: r.label, "text", 170),
                Column("left", left.name, lambda r: r.left, "mono", 220, stretch=True),
                Column("right", tr("Other"), lambda r: r.right, "mono", 220, stretch=True),
            ],
            lambda r: r.key,
            "compare_stations",
        )
        self.code = CodeBlock(lines=0)
        tabs = QTabWidget()
        tabs.addTab(panel(self.table), tr("Settings"))
        tabs.addTab(self.code, tr("JSON"))
        self.body.addWidget(tabs, 1)
        self.other.currentIndexChanged.connect(lambda _: self._compare())
        self.resize(860, 560)
        self._compare()

    def _compare(self) -> None:
        if not self._others:
            self.table.set_state("empty", tr("There is no other station to compare with."), icon="stack")
            return
        _, right = self._others[self.other.currentIndex()]
        rows = different_settings(self._left.config, right.config)
        self.table.set_rows(rows)
        if rows:
            self.table.set_state("ready")
        else:
            self.table.set_state("empty", tr("Their settings are the same."), icon="check-circle")
        self.summary.setText(
            tr_count("{count} difference", "{count} differences", len(rows), count=figures.integer(len(rows)))
        )
        self.code.set_text(difference(self._left.config, right.config))


def _others(context: ScreenContext, left: StreamSnapshot) -> list[tuple[str, StreamSnapshot]]:
    """Every other station: of this connection first, its buckets last; then of the other open ones."""
    own = context.session.snapshot.streams
    names = sorted((name for name in own if name != left.name), key=lambda name: (is_machinery(name), name))
    found = [(name, own[name]) for name in names]
    try:
        profiles = context.shell.profiles.load()
    except ProfileError:
        return found
    for profile in profiles:
        if profile.id == context.session.profile.id:
            continue
        snapshot = context.shell.connection_state(profile.id)
        if snapshot is not None:
            found += [
                (f"{profile.name}: {name}", stream) for name, stream in sorted(snapshot.streams.items())
            ]
    return found
