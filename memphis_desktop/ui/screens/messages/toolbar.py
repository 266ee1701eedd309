"""The first line of a browser: subject filter, jump box, following, and what can be done."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QFrame, QPushButton, QToolButton, QWidget

from memphis_desktop.inspect.seek import EXAMPLES
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.filter_bar import FilterField
from memphis_desktop.ui.components.wrap_layout import WrapLayout
from memphis_desktop.ui.screens.messages.partition_box import PartitionBox
from memphis_desktop.ui.theme.icons import beside_text, icon


class BrowserToolbar(QWidget):
    """Fields and buttons; the browser connects them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.partition_box = PartitionBox(self)
        self.subject_field = FilterField(tr("Subject, such as orders.>  ( / )"))
        self.subject_field.setMinimumWidth(150)
        self.subject_field.setToolTip(tr("The server sends only messages whose subject matches"))
        self.jump_field = FilterField(tr("Go to #123, -15m  ( G )"))
        self.jump_field.setAccessibleName(tr("Jump to"))
        self.jump_field.setToolTip(
            tr("A sequence, a time, a span back from now or a percentage:  {examples}", examples=EXAMPLES)
        )
        self.jump_field.setMinimumWidth(216)
        self.jump_field.setMaximumWidth(320)
        self.live_button = chip(tr("Live"), "broadcast", tr("Follow new messages  ( T )"))
        self.pause_button = QToolButton()
        self.pause_button.setCheckable(True)
        self.pause_button.setIcon(icon("pause", "muted", name_on="play", token_on="accent"))
        self.pause_button.setToolTip(tr("Pause: new messages are counted, not shown  ( P )"))
        self.pause_button.setAccessibleName(tr("Pause live"))
        self.pause_button.hide()
        self.record_button = tool_button(
            "record", tr("Record what arrives to a file, all of it"), checkable=True
        )
        self.record_button.hide()
        self.new_label = QPushButton()
        self.new_label.setProperty("kind", "link")
        self.new_label.hide()
        self.first_button = tool_button("arrow-line-up", tr("First message  ( Home )"))
        self.last_button = tool_button("arrow-line-down", tr("Last message  ( End )"))
        self.columns_button = tool_button("table", tr("Choose columns"))
        self.export_button = tool_button("export", tr("Export to a file  ( Ctrl+Shift+E )"))
        self.replay_button = QPushButton(tr("Replay"))
        beside_text(self.replay_button, icon("repeat"))
        self.replay_button.setToolTip(tr("Publish the selected messages, or a range, again  ( R )"))
        self.publish_button = QPushButton(tr("Publish"))
        beside_text(self.publish_button, icon("paper-plane-tilt"))
        line = WrapLayout(self, theme.SPACE_2)
        line.setContentsMargins(theme.SPACE_3, theme.SPACE_2, theme.SPACE_3, theme.SPACE_2)
        line.add(self.partition_box)
        line.add(self.subject_field, 3)
        line.add(self.jump_field, 2)
        for widget in (
            self.first_button,
            self.last_button,
            self.live_button,
            self.pause_button,
            self.record_button,
            self.new_label,
        ):
            line.add(widget)
        line.add_stretch()
        for button in (self.columns_button, self.export_button, self.replay_button, self.publish_button):
            line.add(button)

    def show_new_count(self, count: int, skipped: int) -> None:
        """How many messages came while paused, and how many a full flood made us leave out."""
        texts = []
        if count:
            texts.append(tr("{count} new", count=figures.integer(count)))
        if skipped:
            texts.append(tr("{skipped} not shown: too fast", skipped=figures.integer(skipped)))
        self.new_label.setText("  ·  ".join(texts))
        self.new_label.setVisible(bool(texts))


def subject_problem(text: str) -> str:
    """Return why a text is no subject filter, or nothing."""
    if not text:
        return ""
    tokens = text.split(".")
    if any(not token for token in tokens) or any(character.isspace() for character in text):
        return tr("{text} is no subject: parts are joined by single dots, without spaces.", text=repr(text))
    if ">" in tokens[:-1]:
        return tr("> stands for the rest and can only be the last part of a subject.")
    return ""


def chip(title: str, icon_name: str, tooltip: str) -> QPushButton:
    """Return a switch that looks like a chip."""
    button = QPushButton(title)
    button.setCheckable(True)
    button.setProperty("kind", "chip")
    beside_text(button, icon(icon_name, "muted", token_on="accent"), 14)
    button.setToolTip(tooltip)
    return button


def tool_button(
    icon_name: str, tooltip: str, callback: Callable[[], object] | None = None, *, checkable: bool = False
) -> QToolButton:
    """Return a button that is an icon; its name is the tooltip without the shortcut."""
    button = QToolButton()
    button.setCheckable(checkable)
    button.setIcon(icon(icon_name, "muted", token_on="accent") if checkable else icon(icon_name, "muted"))
    button.setIconSize(QSize(16, 16))
    button.setToolTip(tooltip)
    button.setAccessibleName(tooltip.split("  (")[0])
    if callback is not None:
        button.clicked.connect(lambda: callback())
    return button


def line() -> QFrame:
    """Return a faint line between parts."""
    frame = QFrame()
    frame.setProperty("panel", "line")
    return frame
