"""Chips in a row; those for which there is no room wait in a menu at its end."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QMenu, QPushButton, QSizePolicy, QWidget

from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import theme
from memphis_desktop.ui.format import integer


class ChipRow(QWidget):
    """For any buttons, whether they switch or do something.

    Places them itself, for a layout would rather make the page wider than leave one out.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._chips: list[QPushButton] = []
        self._away: set[QPushButton] = set()  # taken off by the page
        self._waiting: list[QPushButton] = []  # for which there is no room
        most = integer(99)  # as wide as it may become
        self._more = QPushButton(tr_count("{count} more", "{count} more", 99, count=most), self)
        self._more.setProperty("kind", "chip")
        self._more.setAccessibleName(tr("What does not fit"))
        self._more.setMenu(QMenu(self._more))
        self._more.menu().aboutToShow.connect(self._fill_menu)
        self._more.hide()
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)

    def add(self, chip: QPushButton) -> None:
        """One more at the end."""
        chip.setParent(self)
        self._chips.append(chip)
        chip.toggled.connect(lambda _: self._tell())
        self._changed()

    def set_away(self, chip: QPushButton, away: bool) -> None:
        """Take a chip off the row, or bring it back."""
        if away != (chip in self._away):
            (self._away.add if away else self._away.discard)(chip)
            self._changed()

    def menu(self) -> QMenu:
        """The menu of those that wait, as it would open now."""
        self._fill_menu()
        return self._more.menu()

    def sizeHint(self) -> QSize:
        """All chips beside each other."""
        wanted = self._wanted()
        width = sum(chip.sizeHint().width() for chip in wanted) + theme.SPACE_2 * max(0, len(wanted) - 1)
        return QSize(width, self._height())

    def minimumSizeHint(self) -> QSize:
        """Only the menu."""
        wanted = self._wanted()
        least = self._more.sizeHint().width() if wanted else 0
        return QSize(min(least, self.sizeHint().width()), self._height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another number of them fits."""
        super().resizeEvent(event)
        self._arrange()

    def showEvent(self, event: QShowEvent) -> None:
        """Chips that are hidden tell nobody when a style makes them wider: the room may be another now."""
        super().showEvent(event)
        self._changed()

    def changeEvent(self, event: QEvent) -> None:
        """Their words may be wider in another style."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.StyleChange, QEvent.Type.FontChange):
            self._changed()

    def event(self, event: QEvent) -> bool:
        """A chip may say something else now, and need more room."""
        if event.type() == QEvent.Type.LayoutRequest:
            self._changed()
        return super().event(event)

    def _wanted(self) -> list[QPushButton]:
        return [chip for chip in self._chips if chip not in self._away]

    def _height(self) -> int:
        return max((chip.sizeHint().height() for chip in self._chips), default=0)

    def _changed(self) -> None:
        self.updateGeometry()
        self._arrange()

    def _arrange(self) -> None:
        wanted = self._wanted()
        room = self.width()
        if room < self.sizeHint().width():
            room -= self._more.sizeHint().width() + theme.SPACE_2
        shown, place = [], 0
        for chip in wanted:
            width = chip.sizeHint().width()
            if place + width > room:
                break
            shown.append((chip, place, width))
            place += width + theme.SPACE_2
        self._waiting = wanted[len(shown) :]
        for chip in self._chips:
            if chip in self._waiting or chip in self._away:
                chip.hide()
        for chip, left, width in shown:
            self._put(chip, left, width)
        self._more.setVisible(bool(self._waiting))
        if self._waiting:
            self._put(self._more, place, self._more.sizeHint().width())
        self._tell()

    def _put(self, chip: QPushButton, left: int, width: int) -> None:
        height = chip.sizeHint().height()
        chip.setGeometry(left, (self.height() - height) // 2, width, height)
        chip.show()

    def _tell(self) -> None:
        """The menu says how many of those in it are on."""
        count = sum(chip.isChecked() for chip in self._waiting)
        waiting = len(self._waiting)
        text = tr_count("{count} more", "{count} more", waiting, count=integer(waiting))
        if count:
            text = tr("{waiting} · {count} on", waiting=text, count=integer(count))
        if text != self._more.text():
            self._more.setText(text)
            self._more.setProperty("on", "yes" if count else "no")
            self._more.style().unpolish(self._more)
            self._more.style().polish(self._more)
            if self._waiting:
                width = self._more.sizeHint().width()
                self._more.resize(min(width, self.width() - self._more.x()), self._more.height())

    def _fill_menu(self) -> None:
        menu = self._more.menu()
        menu.clear()
        for chip in self._waiting:
            inner = chip.menu()
            if inner is not None:
                inner.setTitle(chip.text())
                menu.addMenu(inner)
                continue
            action = menu.addAction(chip.text())
            action.setToolTip(chip.toolTip())
            action.setIcon(chip.icon())
            if not chip.isCheckable():
                action.setEnabled(chip.isEnabled())
                action.triggered.connect(chip.click)
                continue
            action.setCheckable(True)
            action.setChecked(chip.isChecked())
            action.setEnabled(chip.isEnabled())
            action.toggled.connect(chip.setChecked)
