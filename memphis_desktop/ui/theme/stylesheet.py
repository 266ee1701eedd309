# ruff: noqa: E501  (the lines are CSS)
"""One stylesheet for the whole program, made from the tokens.

Widgets choose among the variants with dynamic properties: ``kind`` on buttons (primary, danger, ghost, link,
segment), ``role`` on labels (title, section, caption, muted, vital, mono) and ``panel`` on frames.
"""

from __future__ import annotations

import re

from memphis_desktop.ui.theme import fonts
from memphis_desktop.ui.theme.glyphs import glyph
from memphis_desktop.ui.theme.tokens import (
    RADIUS_CARD,
    RADIUS_CONTROL,
    SIZE_BODY,
    SIZE_CAPTION,
    SIZE_SECTION,
    SIZE_TITLE,
    SIZE_VITAL,
    Density,
    Theme,
    mix,
)

_FONT_SIZE = re.compile(r"font-size: (\d+)px")


def stylesheet(theme: Theme, density: Density, monospace: str) -> str:
    """The application's stylesheet for a theme and a density, its text as large as `fonts` says."""
    sheet = "\n".join(
        (
            _base(theme),
            _labels(theme, monospace),
            _buttons(theme, density),
            _fields(theme, density, monospace),
            _choices(theme),
            _views(theme, density),
            _containers(theme),
            _messages(theme),
            _shell(theme),
            _scroll_bars(theme),
        )
    )
    return _FONT_SIZE.sub(lambda size: f"font-size: {fonts.scaled(int(size[1]))}px", sheet)


def _base(t: Theme) -> str:
    return f"""
QWidget {{ color: {t.text}; font-size: {SIZE_BODY}px; }}
QMainWindow, QDialog, QStackedWidget#content {{ background: {t.window}; }}
QToolTip {{ background: {t.raised}; color: {t.text}; border: {t.line_width}px solid {t.line_strong};
    padding: 4px 8px; font-size: {SIZE_CAPTION}px; }}
QSplitter::handle {{ background: transparent; }}
QSplitter::handle:hover {{ background: {t.line_strong}; border-radius: 2px; }}
"""


def _labels(t: Theme, monospace: str) -> str:
    return f"""
QLabel {{ background: transparent; }}
QLabel[role="title"] {{ font-size: {SIZE_TITLE}px; font-weight: 600; }}
QLabel[role="section"] {{ font-size: {SIZE_SECTION}px; font-weight: 600; }}
QLabel[role="strong"] {{ font-weight: 600; }}
QLabel[role="caption"] {{ font-size: {SIZE_CAPTION}px; color: {t.muted}; }}
QLabel[role="age"] {{ font-size: {SIZE_CAPTION}px; color: {t.warning}; background: {t.raised};
    border: {t.line_width}px solid {t.warning}; border-radius: 4px; padding: 1px 6px; }}
QLabel[role="muted"] {{ color: {t.muted}; }}
QLabel[role="vital"] {{ font-size: {SIZE_VITAL}px; font-weight: 600; }}
QLabel[role="mono"] {{ font-family: "{monospace}"; font-size: {SIZE_CAPTION}px; }}
QLabel[role="good"] {{ color: {t.good}; }}
QLabel[role="warning"] {{ color: {t.warning}; }}
QLabel[role="bad"] {{ color: {t.bad}; }}
QLabel[role="information"] {{ color: {t.information}; }}
QLabel:disabled {{ color: {t.faint}; }}
"""


def _buttons(t: Theme, d: Density) -> str:
    height = d.control - 2 * t.line_width
    danger_fill = t.bad
    danger_text = t.window if t.dark else "#FFFFFF"
    focus = f"border: {t.focus_width}px solid {t.accent};"
    return f"""
QPushButton {{ background: {t.raised}; border: {t.line_width}px solid {t.line_strong}; border-radius: {RADIUS_CONTROL}px;
    padding: 0 12px; min-height: {height}px; max-height: {height}px; font-weight: 500; }}
QPushButton:hover {{ background: {t.hover}; border-color: {t.faint}; }}
QPushButton:pressed {{ background: {t.line}; }}
QPushButton:focus {{ {focus} padding: 0 {12 - t.focus_width + t.line_width}px; min-height: {d.control - 2 * t.focus_width}px;
    max-height: {d.control - 2 * t.focus_width}px; }}
QPushButton:disabled {{ color: {t.faint}; border-color: {t.line}; background: transparent; }}
QPushButton:checked {{ background: {t.accent_soft}; border-color: {t.accent}; }}
QPushButton::menu-indicator {{ image: url("{glyph("caret-down", t.muted)}"); subcontrol-position: right center;
    subcontrol-origin: padding; right: 8px; width: 14px; height: 14px; }}
QPushButton[menu="true"] {{ padding-right: 28px; }}
QPushButton[kind="primary"] {{ background: {t.accent}; color: {t.on_accent}; border-color: {t.accent}; font-weight: 600; }}
QPushButton[kind="primary"]:hover {{ background: {t.accent_hover}; border-color: {t.accent_hover}; }}
QPushButton[kind="primary"]:focus {{ border: {t.focus_width}px solid {t.text}; }}
QPushButton[kind="primary"]:disabled {{ background: {t.line}; border-color: {t.line}; color: {t.faint}; }}
QPushButton[kind="danger"] {{ background: {danger_fill}; color: {danger_text}; border-color: {danger_fill}; font-weight: 600; }}
QPushButton[kind="danger"]:hover {{ background: {mix(danger_fill, t.text, 0.88)}; }}
QPushButton[kind="danger"]:focus {{ border: {t.focus_width}px solid {t.text}; }}
QPushButton[kind="danger"]:disabled {{ background: {t.line}; border-color: {t.line}; color: {t.faint}; }}
QPushButton[kind="ghost"] {{ background: transparent; border-color: transparent; color: {t.muted}; padding: 0 8px; }}
QPushButton[kind="ghost"][menu="true"] {{ padding-right: 28px; }}
QPushButton[kind="ghost"]:hover {{ background: {t.hover}; color: {t.text}; }}
QPushButton[kind="ghost"]:focus {{ border-color: {t.accent}; }}
QPushButton[kind="ghost"]:checked {{ background: {t.accent_soft}; color: {t.text}; }}
QPushButton[kind="link"] {{ background: transparent; border-color: transparent; color: {t.accent}; padding: 0 4px;
    margin-left: -{4 + t.line_width}px; font-weight: 500; }}
QPushButton[kind="crumb"] {{ background: transparent; border: {t.line_width}px solid transparent; color: {t.muted}; padding: 0 2px;
    margin-left: -{2 + t.line_width}px; min-height: 20px; max-height: 20px; font-size: {SIZE_CAPTION}px; font-weight: 500; }}
QPushButton[kind="crumb"]:hover {{ color: {t.accent}; text-decoration: underline; }}
QPushButton[kind="crumb"]:focus {{ border-color: {t.accent}; }}
QPushButton[kind="link"]:hover {{ color: {t.accent_hover}; text-decoration: underline; }}
QPushButton[kind="link"]:focus {{ border-color: {t.accent}; }}
QPushButton[kind="segment"] {{ background: transparent; border: {t.line_width}px solid transparent; color: {t.muted};
    padding: 0 10px; min-height: {height - 6}px; max-height: {height - 6}px; font-size: {SIZE_CAPTION}px; border-radius: 4px; }}
QPushButton[kind="segment"]:hover {{ color: {t.text}; }}
QPushButton[kind="segment"]:checked {{ background: {t.selection}; color: {t.text}; }}
QFrame[panel="surface"]:focus {{ border-color: {t.accent}; }}
QPushButton[kind="segment"]:focus {{ border-color: {t.accent}; }}
QPushButton[kind="chip"] {{ border-radius: {(height - 4) // 2}px; padding: 0 10px; min-height: {height - 4}px;
    max-height: {height - 4}px; font-size: {SIZE_CAPTION}px; color: {t.muted}; border-color: {t.line}; }}
QPushButton[kind="chip"]:hover {{ color: {t.text}; }}
QPushButton[kind="chip"]:checked {{ color: {t.text}; border-color: {t.accent}; background: {t.accent_soft}; }}
QPushButton[kind="chip"][on="yes"] {{ color: {t.text}; border-color: {t.accent}; background: {t.accent_soft}; }}
QPushButton[kind="chip"]::menu-indicator {{ image: none; width: 0; }}
QPushButton[kind="chip"]:focus {{ border-color: {t.accent}; }}
QToolButton {{ background: transparent; border: {t.line_width}px solid transparent; border-radius: {RADIUS_CONTROL}px; padding: 3px;
    color: {t.muted}; }}
QToolButton:hover {{ background: {t.hover}; color: {t.text}; }}
QToolButton:pressed {{ background: {t.line}; }}
QToolButton:checked {{ background: {t.accent_soft}; color: {t.text}; }}
QToolButton:focus {{ border-color: {t.accent}; }}
QToolButton:disabled {{ color: {t.faint}; }}
QToolButton::menu-indicator {{ image: none; }}
"""


def _fields(t: Theme, d: Density, monospace: str) -> str:
    height = d.control - 2 * t.line_width
    return f"""
QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox, QDateTimeEdit, QPlainTextEdit, QTextEdit {{
    background: {t.sunken}; border: {t.line_width}px solid {t.line_strong}; border-radius: {RADIUS_CONTROL}px;
    selection-background-color: {t.accent}; selection-color: {t.on_accent}; }}
QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox, QDateTimeEdit {{ min-height: {height}px; max-height: {height}px; padding: 0 8px; }}
QPlainTextEdit[panel="code"] {{ background: transparent; border: {t.line_width}px solid transparent; }}
QPlainTextEdit[panel="code"]:focus {{ border-color: {t.accent}; }}
QLineEdit, QPlainTextEdit, QTextEdit {{ placeholder-text-color: {t.muted}; }}
QPlainTextEdit, QTextEdit {{ padding: 6px 8px; }}
QPlainTextEdit[role="mono"], QTextEdit[role="mono"], QLineEdit[role="mono"] {{ font-family: "{monospace}"; font-size: {SIZE_CAPTION}px; }}
QLineEdit:hover, QSpinBox:hover, QDoubleSpinBox:hover, QComboBox:hover, QDateTimeEdit:hover {{ border-color: {t.faint}; }}
QLineEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus, QComboBox:focus, QDateTimeEdit:focus, QPlainTextEdit:focus, QTextEdit:focus {{
    border-color: {t.accent}; }}
QLineEdit[invalid="true"], QPlainTextEdit[invalid="true"], QSpinBox[invalid="true"] {{ border-color: {t.bad}; }}
QLineEdit:disabled, QSpinBox:disabled, QDoubleSpinBox:disabled, QComboBox:disabled, QPlainTextEdit:disabled {{
    color: {t.faint}; background: transparent; border-color: {t.line}; }}
QLineEdit[readOnly="true"] {{ background: transparent; }}
QComboBox::drop-down {{ border: none; width: 24px; }}
QComboBox::down-arrow {{ image: url("{glyph("caret-down", t.muted)}"); width: 16px; height: 16px; }}
QComboBox QAbstractItemView {{ background: {t.raised}; border: {t.line_width}px solid {t.line_strong}; outline: none; padding: 4px;
    selection-background-color: {t.selection}; selection-color: {t.text}; }}
QComboBox QAbstractItemView::item {{ min-height: 26px; padding: 0 6px; border-radius: 4px; }}
QSpinBox::up-button, QDoubleSpinBox::up-button, QDateTimeEdit::up-button {{ border: none; width: 20px; subcontrol-position: top right;
    subcontrol-origin: border; }}
QSpinBox::down-button, QDoubleSpinBox::down-button, QDateTimeEdit::down-button {{ border: none; width: 20px;
    subcontrol-position: bottom right; subcontrol-origin: border; }}
QSpinBox::up-arrow, QDoubleSpinBox::up-arrow, QDateTimeEdit::up-arrow {{ image: url("{glyph("caret-up", t.muted)}"); width: 12px; height: 12px; }}
QSpinBox::down-arrow, QDoubleSpinBox::down-arrow, QDateTimeEdit::down-arrow {{ image: url("{glyph("caret-down", t.muted)}");
    width: 12px; height: 12px; }}
"""


def _choices(t: Theme) -> str:
    tick = glyph("tick", t.on_accent)
    return f"""
QCheckBox, QRadioButton {{ spacing: 8px; background: transparent; border: {t.line_width}px solid transparent; border-radius: 4px; padding: 2px; }}
QCheckBox[bare="true"] {{ spacing: 0; padding: 0; }}
QCheckBox[role="bad"] {{ color: {t.bad}; }}
QCheckBox:focus, QRadioButton:focus {{ border-color: {t.accent}; }}
QCheckBox:disabled, QRadioButton:disabled {{ color: {t.faint}; }}
QCheckBox::indicator, QRadioButton::indicator, QAbstractItemView::indicator {{ width: 14px; height: 14px; border: {t.line_width}px solid {t.faint}; background: {t.sunken}; }}
QCheckBox::indicator, QAbstractItemView::indicator {{ border-radius: 4px; }}
QRadioButton::indicator {{ border-radius: {7 + t.line_width}px; }}
QCheckBox::indicator:hover, QAbstractItemView::indicator:hover, QRadioButton::indicator:hover {{ border-color: {t.accent}; }}
QCheckBox::indicator:checked, QAbstractItemView::indicator:checked {{ background: {t.accent}; border-color: {t.accent}; image: url("{tick}"); }}
QCheckBox::indicator:indeterminate {{ background: {t.accent}; border-color: {t.accent}; image: url("{glyph("dash", t.on_accent)}"); }}
QRadioButton::indicator:checked {{ background: {t.accent}; border-color: {t.accent}; image: url("{glyph("dot", t.on_accent)}"); }}
QCheckBox::indicator:disabled, QRadioButton::indicator:disabled {{ border-color: {t.line}; background: transparent; }}
QAbstractItemView::indicator {{ width: 14px; height: 14px; border: {t.line_width}px solid {t.faint}; border-radius: 4px;
    background: {t.sunken}; }}
QAbstractItemView::indicator:checked {{ background: {t.accent}; border-color: {t.accent}; image: url("{tick}"); }}
QSlider::groove:horizontal {{ height: 4px; border-radius: 2px; background: {t.line}; }}
QSlider::sub-page:horizontal {{ background: {t.accent}; border-radius: 2px; }}
QSlider::handle:horizontal {{ width: 14px; height: 14px; margin: -5px 0; border-radius: 7px; background: {t.accent};
    border: 2px solid {t.surface}; }}
QSlider::handle:horizontal:focus {{ border-color: {t.text}; }}
QProgressBar {{ border: none; background: {t.line}; border-radius: 3px; min-height: 6px; max-height: 6px; text-align: right; }}
QProgressBar::chunk {{ background: {t.accent}; border-radius: 3px; }}
"""


def _views(t: Theme, d: Density) -> str:
    return f"""
QTableView, QTreeView, QListView {{ background: {t.surface}; border: none; outline: none; gridline-color: transparent;
    selection-background-color: {t.selection}; selection-color: {t.text}; font-size: {SIZE_CAPTION}px; }}
QAbstractItemView[framed="true"] {{ border: {t.line_width}px solid {t.line}; border-radius: {RADIUS_CONTROL}px; }}
QAbstractItemView[framed="true"]:focus {{ border-color: {t.accent}; }}
QTreeView::item, QListView::item {{ min-height: {d.row - 4}px; padding: 0 4px; }}
QListView::item {{ border-radius: 4px; }}
QTreeView::item:hover, QListView::item:hover {{ background: {t.hover}; }}
QTreeView::item:selected, QListView::item:selected {{ background: {t.selection}; color: {t.text}; }}
QTreeView::branch {{ background: transparent; }}
QTreeView::branch:has-children:closed {{ image: url("{glyph("caret-right", t.muted)}"); }}
QTreeView::branch:has-children:open {{ image: url("{glyph("caret-down", t.muted)}"); }}
QHeaderView {{ background: {t.surface}; border: none; }}
QHeaderView::section {{ background: {t.surface}; color: {t.muted}; border: none; border-bottom: {t.line_width}px solid {t.line};
    padding: 0 8px; min-height: {d.row}px; font-size: {SIZE_CAPTION}px; font-weight: 500; }}
QHeaderView::section:hover {{ color: {t.text}; background: {t.hover}; }}
QHeaderView::up-arrow {{ image: url("{glyph("caret-up", t.text)}"); width: 12px; height: 12px; subcontrol-position: center right;
    right: 4px; }}
QHeaderView::down-arrow {{ image: url("{glyph("caret-down", t.text)}"); width: 12px; height: 12px; subcontrol-position: center right;
    right: 4px; }}
QTableCornerButton::section {{ background: {t.surface}; border: none; }}
QMenu {{ background: {t.raised}; border: {t.line_width}px solid {t.line_strong}; border-radius: {RADIUS_CONTROL}px; padding: 4px; }}
QMenu::item {{ padding: 6px 24px 6px 12px; border-radius: 4px; min-height: 18px; }}
QMenu::item:selected {{ background: {t.selection}; }}
QMenu::item:disabled {{ color: {t.faint}; }}
QMenu::icon {{ padding-left: 8px; }}
QMenu::separator {{ height: 1px; background: {t.line}; margin: 4px 8px; }}
QMenu::indicator {{ width: 14px; height: 14px; margin-left: 8px; }}
QMenu::indicator:checked {{ image: url("{glyph("tick", t.accent)}"); }}
"""


def _containers(t: Theme) -> str:
    return f"""
QFrame[panel="surface"] {{ background: {t.surface}; border: {t.line_width}px solid {t.line}; border-radius: {RADIUS_CARD}px; }}
QFrame[panel="raised"] {{ background: {t.raised}; border: {t.line_width}px solid {t.line}; border-radius: {RADIUS_CARD}px; }}
QFrame[panel="sunken"] {{ background: {t.sunken}; border: {t.line_width}px solid {t.line}; border-radius: {RADIUS_CONTROL}px; }}
QFrame[panel="line"] {{ background: {t.line}; border: none; max-height: {t.line_width}px; min-height: {t.line_width}px; }}
QFrame[panel="column"] {{ background: {t.line}; border: none; max-width: {t.line_width}px; min-width: {t.line_width}px; }}
QFrame[panel="segments"] {{ background: {t.sunken}; border: {t.line_width}px solid {t.line}; border-radius: {RADIUS_CONTROL}px; }}
QScrollArea {{ background: transparent; border: none; }}
QScrollArea > QWidget > QWidget#scrolled {{ background: transparent; }}
QTabWidget::pane {{ border: none; border-top: {t.line_width}px solid {t.line}; }}
QTabWidget[kind="spaced"]::pane {{ border: none; padding-top: 12px; }}
QTabBar {{ background: transparent; qproperty-drawBase: 0; }}
QTabBar::tab {{ background: transparent; color: {t.muted}; padding: 8px 12px; border: none;
    border-bottom: 2px solid transparent; font-weight: 500; }}
QTabWidget[kind="narrow"] QTabBar::tab {{ padding: 8px 9px; }}
QTabBar::tab:hover {{ color: {t.text}; }}
QTabBar::tab:selected {{ color: {t.text}; border-bottom: 2px solid {t.accent}; }}
QTabBar::tab:selected:focus {{ background: {t.accent_soft}; color: {t.accent}; }}
QTabBar::tab:disabled {{ color: {t.faint}; }}
QGroupBox {{ border: none; font-weight: 600; margin-top: 20px; }}
QGroupBox::title {{ subcontrol-origin: margin; left: 0; }}
"""


def _messages(t: Theme) -> str:
    """Banners and toasts, by what kind of message they show."""
    parts = []
    for kind in ("information", "good", "warning", "bad"):
        edge, ground = t.colour(kind), t.colour(f"{kind}_soft")
        parts.append(f"""
QFrame[banner="{kind}"] {{ background: {ground}; border: {t.line_width}px solid {mix(edge, ground, 0.4)};
    border-radius: {RADIUS_CONTROL}px; }}
QFrame[toast="{kind}"] {{ background: {t.raised}; border: {t.line_width}px solid {t.line_strong};
    border-left: 3px solid {edge}; border-radius: {RADIUS_CONTROL}px; }}
""")
    return "\n".join(parts)


def _shell(t: Theme) -> str:
    return f"""
QFrame#rail {{ background: {t.window}; border: none; border-right: {t.line_width}px solid {t.line}; }}
QFrame#topBar {{ background: {t.window}; border: none; border-bottom: {t.line_width}px solid {t.line}; }}
QFrame#sideHeader {{ background: {t.surface}; border: none; }}
QSplitter#sides::handle {{ background: {t.line}; margin: 0 2px; border-radius: 0; }}
QSplitter#sides::handle:hover {{ background: {t.accent}; }}
QFrame#firstSteps {{ background: {t.surface}; border: none; border-bottom: {t.line_width}px solid {t.line}; }}
QFrame#statusBar {{ background: {t.window}; border: none; border-top: {t.line_width}px solid {t.line}; }}
QFrame#statusBar QPushButton {{ min-height: 20px; max-height: 20px; font-size: {SIZE_CAPTION}px; font-weight: 400; }}
QTabBar#tabs::tab {{ background: transparent; color: {t.muted}; border: {t.line_width}px solid transparent;
    border-top-left-radius: {RADIUS_CONTROL}px; border-top-right-radius: {RADIUS_CONTROL}px; border-bottom: none; padding: 0 8px 0 10px; }}
QTabBar#tabs::tab:hover {{ background: {t.hover}; color: {t.text}; }}
QTabBar#tabs::tab:selected {{ background: {t.surface}; color: {t.text}; border-color: {t.line}; }}
QTabBar#tabs::tab:selected:focus {{ border-color: {t.accent}; background: {t.surface}; color: {t.text}; }}
QPushButton#searchButton {{ background: {t.sunken}; color: {t.muted}; border-color: {t.line}; font-weight: 400; text-align: left;
    min-width: 240px; padding: 0 10px; min-height: 28px; max-height: 28px; }}
QPushButton#searchButton[short="true"] {{ min-width: 16px; }}
QPushButton#searchButton:hover {{ border-color: {t.line_strong}; color: {t.text}; }}
QPushButton#searchButton:focus {{ border-color: {t.accent}; border-width: {t.line_width}px; padding: 0 10px; min-height: 28px; max-height: 28px; }}
QFrame#palette {{ background: {t.raised}; border: {t.line_width}px solid {t.line_strong}; border-radius: 10px; }}
QFrame#palette QListView {{ background: transparent; }}
QLineEdit#paletteField {{ background: transparent; border: none; border-bottom: {t.line_width}px solid {t.line}; border-radius: 0;
    font-size: {SIZE_SECTION}px; min-height: 40px; max-height: 40px; padding: 0 10px; }}
QLabel[keycap="true"] {{ background: {t.sunken}; border: {t.line_width}px solid {t.line_strong}; border-radius: 4px; padding: 1px 6px; }}
"""


def _scroll_bars(t: Theme) -> str:
    handle = mix(t.faint, t.surface, 0.55)
    return f"""
QScrollBar:vertical {{ background: transparent; width: 10px; margin: 0; }}
QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 0; }}
QScrollBar::handle:vertical {{ background: {handle}; border-radius: 3px; min-height: 32px; margin: 2px; }}
QScrollBar::handle:horizontal {{ background: {handle}; border-radius: 3px; min-width: 32px; margin: 2px; }}
QScrollBar::handle:hover {{ background: {t.muted}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QAbstractScrollArea::corner {{ background: transparent; }}
"""
