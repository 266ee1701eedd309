"""Which theme and density the program wears now, and telling everyone when that changes."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QStyleFactory, QWidget

from memphis_desktop.ui.theme import fonts
from memphis_desktop.ui.theme.dressing import Dresser
from memphis_desktop.ui.theme.stylesheet import stylesheet
from memphis_desktop.ui.theme.tokens import (
    CONTRAST_DARK,
    CONTRAST_LIGHT,
    DARK,
    DENSITIES,
    LIGHT,
    SIZE_BODY,
    Density,
    Theme,
)
from memphis_desktop.ui.theme.variants import ACCENTS, STANDARD_ACCENT, varied

MODES = ("system", "dark", "light", "contrast")
PERCENTS = (90, 100, 110, 125, 150)


class ThemeManager(QObject):
    """Holds the choice and dresses the application in it."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.mode = "system"
        self.accent = STANDARD_ACCENT
        self.told_apart = False
        self.percent = 100
        self.density: Density = DENSITIES["normal"]
        self.current: Theme = DARK
        self.dresser = Dresser()
        self._installed = False
        self._sizes: tuple[object, ...] = ()

    def install(self, application: QApplication) -> None:
        """Dress ``application`` and follow the system from now on."""
        if not self._installed:
            self._installed = True
            application.setStyle(QStyleFactory.create("Fusion"))
            QGuiApplication.styleHints().colorSchemeChanged.connect(self._system_changed)
        application.setFont(fonts.interface(SIZE_BODY))
        self._apply()

    def set_mode(self, mode: str) -> None:
        """Choose ``system``, ``dark``, ``light`` or ``contrast`` (which is dark or light as the system is).

        Raises:
            ValueError: the mode is unknown.
        """
        if mode not in MODES:
            raise ValueError(f"unknown theme mode {mode!r}")
        if mode != self.mode:
            self.mode = mode
            self._apply()

    def set_density(self, name: str) -> None:
        """Choose ``compact``, ``normal`` or ``roomy``.

        Raises:
            KeyError: the density is unknown.
        """
        density = DENSITIES[name].for_text(self.percent)
        if density != self.density:
            self.density = density
            self._apply()

    def set_percent(self, percent: int) -> None:
        """Choose how large text is, in per cent; rows and fields grow with it.

        Raises:
            ValueError: nobody could read it, or there would be no room.
        """
        if percent not in PERCENTS:
            raise ValueError(f"text of {percent} % is not offered")
        if percent != self.percent:
            self.percent = percent
            fonts.set_percent(percent)
            self.density = DENSITIES[self.density.name].for_text(percent)
            application = QApplication.instance()
            if isinstance(application, QApplication) and self._installed:
                application.setFont(fonts.interface(SIZE_BODY))
            self._apply()

    def set_accent(self, name: str) -> None:
        """Choose one of `ACCENTS`.

        Raises:
            KeyError: there is no such accent.
        """
        if name not in ACCENTS:
            raise KeyError(name)
        if name != self.accent:
            self.accent = name
            self._apply()

    def set_told_apart(self, on: bool) -> None:
        """Choose colours that colour-blind eyes tell apart."""
        if on != self.told_apart:
            self.told_apart = on
            self._apply()

    def _system_changed(self) -> None:
        if self.mode in ("system", "contrast"):
            self._apply()

    def _resolved(self) -> Theme:
        if self.mode == "dark":
            return DARK
        if self.mode == "light":
            return LIGHT
        # A system that does not say (no desktop, a bare window manager) gets the dark theme.
        light = QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Light
        if self.mode == "contrast":
            return CONTRAST_LIGHT if light else CONTRAST_DARK
        return LIGHT if light else DARK

    def follow(self, owner: QWidget, slot: Callable[[], object]) -> None:
        """Call a method of a widget, or of what belongs to it, after each change.

        Beside `changed` this is for what is there many times: what is in view comes first, what is hidden
        later. Neither ``owner`` nor ``slot`` is kept alive.
        """
        self.dresser.follow(owner, slot)

    def finish(self) -> None:
        """Dress now what is left from a change: pictures wait for it."""
        self.dresser.finish()

    def _apply(self) -> None:
        self.current = varied(self._resolved(), self.accent, self.told_apart)
        application = QApplication.instance()
        if not isinstance(application, QApplication) or not self._installed:
            self.changed.emit()
            return
        lines = (self.current.line_width, self.current.focus_width)
        sizes = (self.density, self.percent, *lines)
        self.dresser.begin(
            application,
            stylesheet(self.current, self.density, fonts.monospace_family()),
            palette(self.current),
            self.changed.emit,
            sizes=sizes != self._sizes,
        )
        self._sizes = sizes


def palette(theme: Theme) -> QPalette:
    """The Qt palette of a theme, for what is drawn by the style and not by the stylesheet."""
    role = QPalette.ColorRole
    result = QPalette()
    pairs = {
        role.Window: theme.window,
        role.WindowText: theme.text,
        role.Base: theme.surface,
        role.AlternateBase: theme.surface,
        role.Text: theme.text,
        role.Button: theme.raised,
        role.ButtonText: theme.text,
        role.BrightText: theme.bad,
        role.ToolTipBase: theme.raised,
        role.ToolTipText: theme.text,
        role.Highlight: theme.selection,
        role.HighlightedText: theme.text,
        role.Link: theme.accent,
        role.LinkVisited: theme.accent,
        role.PlaceholderText: theme.muted,
        role.Light: theme.line,
        role.Midlight: theme.line,
        role.Mid: theme.line,
        role.Dark: theme.line,
        role.Shadow: theme.shadow,
        role.Accent: theme.accent,
    }
    for which, colour in pairs.items():
        result.setColor(which, QColor(colour))
    for which in (role.WindowText, role.Text, role.ButtonText):
        result.setColor(QPalette.ColorGroup.Disabled, which, QColor(theme.faint))
    return result


_manager: ThemeManager | None = None


def manager() -> ThemeManager:
    """The one theme manager of the program."""
    global _manager
    if _manager is None:
        _manager = ThemeManager()
    return _manager
