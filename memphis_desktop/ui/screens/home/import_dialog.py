"""Choosing among the connections found on this machine."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QScrollArea, QVBoxLayout, QWidget

from memphis_desktop.cluster.contexts import FoundContext
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.dialogs import Dialog
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.format import visible_text
from memphis_desktop.ui.screens.home.login_fields import KINDS


def summary(profile: ConnectionProfile) -> str:
    """Where it goes and how it logs in, in a line."""
    parts = [profile.address, KINDS[profile.credentials.kind]]
    if len(profile.urls) > 1:
        more = len(profile.urls) - 1
        parts[0] = tr_count(
            "{address} and {count} more", "{address} and {count} more", more, address=parts[0]
        )
    if profile.system_credentials is not None:
        parts.append(tr("with the system account"))
    return " · ".join(parts)


_BELOW_BOX = 28  # in line with the words of the box above


class ImportDialog(Dialog):
    """A list with a box for each; those that are here already are left out of the choice."""

    def __init__(
        self, parent: QWidget | None, found: Sequence[FoundContext], present: Sequence[ConnectionProfile]
    ) -> None:
        super().__init__(parent, tr("Import connections"), tr("Import"), width=560)
        self._boxes: list[tuple[QCheckBox, ConnectionProfile]] = []
        origins = {profile.origin for profile in present if profile.origin}
        self.body.addWidget(
            PlainLabel(
                tr(
                    "Contexts of the nats command line, NATS_URL, and users of nsc. Their files are read,"
                    " never changed; credentials stay where they are."
                ),
                "muted",
                wrap=True,
            )
        )
        column = QVBoxLayout()
        column.setSpacing(theme.SPACE_2)
        for one in found:
            column.addWidget(self._row(one, origins))
        if not found:
            column.addWidget(
                PlainLabel(
                    tr("None were found in ~/.config/nats/context, NATS_URL or nsc's stores."), wrap=True
                )
            )
        column.addStretch()
        holder = QWidget()
        holder.setObjectName("scrolled")
        holder.setLayout(column)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(holder)
        area.setMinimumHeight(min(320, 40 + 44 * max(1, len(found))))
        self.body.addWidget(area, 1)
        self._count()

    def chosen(self) -> list[ConnectionProfile]:
        """The profiles that are ticked."""
        return [profile for box, profile in self._boxes if box.isChecked()]

    def _row(self, one: FoundContext, origins: set[str]) -> QWidget:
        row = QWidget()
        layout = QVBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        below = QVBoxLayout()
        below.setContentsMargins(_BELOW_BOX, 0, 0, 0)
        name = visible_text(one.name, 60)
        if one.selected:
            name = tr("{name}  (selected in nats)", name=name)
        box = QCheckBox(name.replace("&", "&&"))
        layout.addWidget(box)
        layout.addLayout(below)
        if one.profile is None:
            box.setEnabled(False)
            below.addWidget(PlainLabel(one.problem, "warning", wrap=True))
        elif one.profile.origin in origins:
            box.setEnabled(False)
            below.addWidget(PlainLabel(tr("imported already"), "caption"))
        else:
            box.setChecked(True)
            box.toggled.connect(self._count)
            self._boxes.append((box, one.profile))
            below.addWidget(PlainLabel(summary(one.profile), "caption", elide=Qt.TextElideMode.ElideMiddle))
        return row

    def _count(self) -> None:
        self.verb_button.setEnabled(bool(self.chosen()))
