"""The line of the composer for many messages: placeholders, how many, how fast, and from a file."""

from __future__ import annotations

from PySide6.QtWidgets import QCheckBox, QDoubleSpinBox, QHBoxLayout, QMenu, QPushButton, QSpinBox, QWidget

from memphis_desktop.inspect.templates import HELP, MAX_COUNT
from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.dialogs import pad_numbers

MAX_IN_FLIGHT = 4_096


class ManyBar(QWidget):
    """Fields and buttons; the composer connects them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.template_check = QCheckBox(tr("Fill in {{placeholders}}"))
        self.template_check.setToolTip("\n".join(f"{name}  {meaning}" for name, meaning in HELP))
        self.preview_button = _ghost(
            tr("Preview three"), tr("Show the first three messages as they would be sent")
        )
        self.count_box = QSpinBox()
        self.count_box.setRange(1, MAX_COUNT)
        self.count_box.setPrefix("× ")
        self.count_box.setGroupSeparatorShown(True)
        self.count_box.setAccessibleName(tr("How many messages"))
        self.count_box.setToolTip(tr("How many messages to publish"))
        self.rate_box = QDoubleSpinBox()
        self.rate_box.setRange(0, 1_000_000)
        self.rate_box.setDecimals(1)
        self.rate_box.setSpecialValueText(tr("as fast as stored"))
        self.rate_box.setSuffix(tr(" messages/s"))
        self.rate_box.setAccessibleName(tr("Pace"))
        self.rate_box.setToolTip(tr("How many messages a second"))
        self.flight_box = QSpinBox()
        self.flight_box.setRange(1, MAX_IN_FLIGHT)
        self.flight_box.setValue(512)
        self.flight_box.setSuffix(tr(" in flight"))
        self.flight_box.setAccessibleName(tr("Concurrency"))
        self.flight_box.setToolTip(
            tr("How many messages may wait for their acknowledgement at the same time")
        )
        self.file_button = _ghost(
            tr("Send from"), tr("Publish messages from a file or from a folder of files")
        )
        self.file_menu = QMenu(self.file_button)
        self.file_action = self.file_menu.addAction(tr("A file: NDJSON, CSV or a dump"))
        self.folder_action = self.file_menu.addAction(tr("A folder: each file is a payload"))
        self.file_button.setMenu(self.file_menu)
        self.file_button.setProperty("menu", "true")
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(theme.SPACE_2)
        for widget in (self.template_check, self.preview_button):
            line.addWidget(widget)
        line.addStretch()
        for box in (self.count_box, self.rate_box, self.flight_box, self.file_button):
            line.addWidget(box)
        pad_numbers(self)
        self.count_box.valueChanged.connect(lambda _: self._update())
        self._update()

    def _update(self) -> None:
        many = self.count_box.value() > 1
        self.rate_box.setVisible(many)
        self.flight_box.setVisible(many)


def _ghost(title: str, tooltip: str) -> QPushButton:
    button = QPushButton(title)
    button.setProperty("kind", "ghost")
    button.setAutoDefault(False)
    button.setToolTip(tooltip)
    return button
