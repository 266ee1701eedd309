"""Interface and monospace fonts: the system's own, with figures of equal width."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtGui import QFont, QFontDatabase, QFontInfo

from memphis_desktop.ui.theme.tokens import SIZE_BODY, SIZE_CAPTION

REGULAR = QFont.Weight.Normal
MEDIUM = QFont.Weight.Medium
SEMIBOLD = QFont.Weight.DemiBold

# Where the system only names a generic family, the first of these that is installed is used.
_INTERFACE_CHOICES = ("Inter", "Cantarell", "Ubuntu", "Noto Sans", "Open Sans", "Roboto", "DejaVu Sans")
_MONOSPACE_CHOICES = (
    "JetBrains Mono",
    "Cascadia Mono",
    "SF Mono",
    "Menlo",
    "Consolas",
    "Ubuntu Mono",
    "Noto Sans Mono",
    "DejaVu Sans Mono",
)
_GENERIC = {
    "",
    "sans serif",
    "sans",
    "sans-serif",
    "monospace",
    "mono",
    "dejavu sans",
    "dejavu sans mono",
    "courier",
}


@lru_cache(maxsize=64)
def _interface(size: int, weight: QFont.Weight) -> QFont:
    font = QFont(_family(QFontDatabase.SystemFont.GeneralFont, _INTERFACE_CHOICES))
    return _dressed(font, size, weight)


@lru_cache(maxsize=64)
def _monospace(size: int, weight: QFont.Weight) -> QFont:
    font = QFont(_family(QFontDatabase.SystemFont.FixedFont, _MONOSPACE_CHOICES))
    font.setStyleHint(QFont.StyleHint.Monospace)
    font.setFixedPitch(True)
    return _dressed(font, size, weight)


_percent = 100


def set_percent(percent: int) -> None:
    """Have all text so large, in per cent of what the design says."""
    global _percent
    _percent = percent


def scaled(size: int) -> int:
    """A size of text in pixels as the user wants it."""
    return round(size * _percent / 100)


def interface(size: int = SIZE_BODY, weight: QFont.Weight = REGULAR) -> QFont:
    """The interface font at ``size`` pixels, more or less as the user wants text."""
    return QFont(_interface(scaled(size), weight))


def monospace(size: int = SIZE_CAPTION, weight: QFont.Weight = REGULAR) -> QFont:
    """The monospace font at ``size`` pixels, as `interface`, for payloads, sequences, subjects."""
    return QFont(_monospace(scaled(size), weight))


def monospace_family() -> str:
    """The family name for stylesheets."""
    return _monospace(SIZE_CAPTION, REGULAR).family()


def _family(kind: QFontDatabase.SystemFont, choices: tuple[str, ...]) -> str:
    system = QFontDatabase.systemFont(kind)
    resolved = QFontInfo(system).family()
    if system.family().lower() not in _GENERIC and resolved.lower() not in _GENERIC:
        return system.family()
    installed = set(QFontDatabase.families())
    return next((family for family in choices if family in installed), resolved)


def _dressed(font: QFont, size: int, weight: QFont.Weight) -> QFont:
    font.setPixelSize(size)
    font.setWeight(weight)
    font.setFeature(QFont.Tag("tnum"), 1)  # columns of figures line up
    font.setHintingPreference(QFont.HintingPreference.PreferVerticalHinting)
    return font
