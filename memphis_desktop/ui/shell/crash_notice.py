"""Tells that the program ended by a fault the last time, and shows the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QHBoxLayout, QPushButton, QVBoxLayout

from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.shell.log_memory import without_logins

if TYPE_CHECKING:
    from memphis_desktop.ui.window import MainWindow

_SHOWN = 64 * 1024


def tell(window: MainWindow, report: Path) -> None:
    """Say it once, with the way to the report."""
    window.notify(
        tr(
            "The program ended by a fault the last time."
            " What it was doing then is in a report on this machine."
        ),
        "warning",
        (tr("Show report"), lambda: CrashReport(window, report).open()),
    )


class CrashReport(QDialog):
    """The report's text, to read and to copy. Nothing is sent."""

    def __init__(self, window: MainWindow, report: Path) -> None:
        super().__init__(window)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Report of a fault"))
        self.resize(760, 520)
        self.text = CodeBlock(lines=0)
        try:
            content = report.read_text(encoding="utf-8", errors="replace")[:_SHOWN]
        except OSError as error:
            content = tr("{path} cannot be read: {reason}", path=report, reason=error.strerror)
        self.text.set_text(without_logins(content))
        where = PlainLabel(tr("It is kept at {path}, and is sent nowhere.", path=report), "muted", wrap=True)
        close = QPushButton(tr("Close"))
        close.clicked.connect(self.close)
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_5, theme.SPACE_5, theme.SPACE_5, theme.SPACE_4)
        layout.setSpacing(theme.SPACE_3)
        layout.addWidget(PlainLabel(tr("What the program was doing when it ended"), "section"))
        layout.addWidget(where)
        layout.addWidget(self.text, 1)
        layout.addLayout(buttons)
