"""The line above the live list: the pattern, what is left out, and what is done with what passes by."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QCheckBox, QMenu, QPushButton, QWidget

from memphis_desktop.inspect.live import INTERNAL
from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.filter_bar import FilterField
from memphis_desktop.ui.components.wrap_layout import WrapLayout

_KINDS = {
    "inboxes": tr("Inboxes (_INBOX)"),
    "jetstream": tr("JetStream API and acknowledgements ($JS)"),
    "system": tr("Servers ($SYS)"),
    "buckets": tr("Key-value and objects ($KV, $O)"),
    "memphis": tr("Memphis ($memphis)"),
}


class LiveToolbar(QWidget):
    """Fields and buttons; the screen connects them."""

    hidden_changed = Signal(object)  # frozenset of the kinds of internal subjects that are left out

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.pattern_field = FilterField(tr("Subject pattern, such as orders.>  ( S )"))
        self.listen_button = QPushButton(tr("Listen"))
        self.listen_button.setProperty("kind", "primary")
        self.internal_button = QPushButton()
        self.internal_button.setProperty("menu", "true")
        self.internal_button.setToolTip(tr("Which subjects of servers and libraries are shown too"))
        self.internal_menu = QMenu(self.internal_button)
        self.internal_actions: dict[str, QAction] = {}
        for kind in INTERNAL:
            action = self.internal_menu.addAction(_KINDS[kind].replace("&", "&&"))
            action.setCheckable(True)
            action.toggled.connect(lambda _: self._internal_toggled())
            self.internal_actions[kind] = action
        self.internal_button.setMenu(self.internal_menu)
        self.fold_check = QCheckBox(tr("Fold replies"))
        self.fold_check.setToolTip(
            tr("Listen to inboxes: each request shows its reply, and how long it waited")
        )
        self.pause_button = _chip(tr("Pause"), tr("Hold the list; listening goes on  ( T )"))
        self.record_button = _chip(
            tr("Record"), tr("Write what passes by to a file, also while paused  ( Ctrl+R )")
        )
        self.station_button = QPushButton(tr("Keep in a station"))
        self.station_button.setToolTip(tr("Make a station that stores what these patterns match from now on"))
        self.clear_button = QPushButton(tr("Clear"))
        self.clear_button.setProperty("kind", "ghost")
        line = WrapLayout(self, theme.SPACE_2)
        line.setContentsMargins(theme.SPACE_3, theme.SPACE_2, theme.SPACE_3, theme.SPACE_2)
        self.pattern_field.setMinimumWidth(220)
        line.add(self.pattern_field, 1)
        for widget in (
            self.listen_button, self.internal_button, self.fold_check, self.pause_button, self.record_button,
            self.station_button, self.clear_button,
        ):  # fmt: skip
            line.add(widget)
        self._internal_toggled()

    def hidden_kinds(self) -> frozenset[str]:
        """The kinds of internal subjects that are left out."""
        return frozenset(kind for kind, action in self.internal_actions.items() if not action.isChecked())

    def _internal_toggled(self) -> None:
        hidden = self.hidden_kinds()
        shown = len(INTERNAL) - len(hidden)
        self.internal_button.setText(
            tr("Internal {shown}/{count}", shown=shown, count=len(INTERNAL)) if shown else tr("Internal off")
        )
        self.hidden_changed.emit(hidden)


def _chip(title: str, tooltip: str) -> QPushButton:
    button = QPushButton(title)
    button.setCheckable(True)
    button.setProperty("kind", "chip")
    button.setToolTip(tooltip)
    return button
