"""The filter line of the browser, and the line that tells how a search goes."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QToolButton,
    QWidget,
)

from memphis_desktop.inspect.filter import FilterError, parse_filter
from memphis_desktop.inspect.search import SearchProgress, SearchState
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.dialogs import FormDialog
from memphis_desktop.ui.components.filter_bar import FilterField
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.wrap_layout import WrapLayout, together
from memphis_desktop.ui.screens.messages.saved_filters import SavedFilters
from memphis_desktop.ui.theme.icons import icon

DEFAULT_MATCHES = 10_000
MAX_MATCHES = 50_000
HELP = (
    'Words: timeout refund -test "two words"\n'
    "Tokens: subject:orders.eu.>  header.type:refund  size>10k  text:abc  re:/ord-\\d+/\n"
    'Expression: json.total > 1000 && headers.type == "refund"\n'
    '    json.items[*].sku == "A"   subject =~ "orders.*.paid"   age < 15m   exists(json.error)'
)


def show_problem(field: FilterField, text: str) -> None:
    """Mark the field of a filter, and say in its tooltip why; without a text all is well."""
    if bool(field.property("invalid")) != bool(text):
        field.setProperty("invalid", bool(text))
        field.style().unpolish(field)
        field.style().polish(field)
    field.setToolTip(text or HELP)


class SearchBar(QWidget):
    """Filter, range, order, and the button that searches the whole of it."""

    search_requested = Signal()
    left = Signal()
    histogram_toggled = Signal(bool)
    range_edited = Signal()  # by hand
    told = Signal(str, str)  # a sentence for the user, and its kind

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.field = FilterField(tr("Find: words, header.type:refund, json.total > 1000  ( F )"))
        self.field.setToolTip(HELP)
        self.field.setAccessibleName(tr("Find in messages"))
        self.field.returnPressed.connect(self.search_requested)
        self.field.left.connect(self.left)
        self.field.textChanged.connect(lambda _: self.show_problem(""))
        self.from_field = _range_field("first", "From: first, #123, 10:32, -1h")
        self.to_field = _range_field("last", "To: last, #456, 10:45, now")
        for field in (self.from_field, self.to_field):
            field.returnPressed.connect(self.search_requested)
            field.textEdited.connect(lambda _: self.range_edited.emit())
        self.order_box = QComboBox()
        self.order_box.addItem(tr("Newest first"), True)
        self.order_box.addItem(tr("Oldest first"), False)
        self.order_box.setAccessibleName(tr("Order of the search"))
        self.saved = SavedFilters(self)
        self.saved_button = QToolButton()
        self.saved_button.setIcon(icon("star", "muted"))
        self.saved_button.setIconSize(QSize(16, 16))
        self.saved_button.setToolTip(tr("Saved filters"))
        self.saved_button.setAccessibleName(tr("Saved filters"))
        self.saved_button.clicked.connect(lambda: self.saved.show_menu(self.saved_button))
        self.histogram_button = QToolButton()
        self.histogram_button.setCheckable(True)
        self.histogram_button.setIcon(icon("chart-bar", "muted", token_on="accent"))
        self.histogram_button.setIconSize(QSize(16, 16))
        self.histogram_button.setToolTip(tr("Messages over time  ( H )"))
        self.histogram_button.setAccessibleName(tr("Histogram"))
        self.histogram_button.toggled.connect(self.histogram_toggled)
        self.max_matches = DEFAULT_MATCHES
        self.max_scanned: int | None = None
        self.limits_button = QToolButton()
        self.limits_button.setIcon(icon("sliders-horizontal", "muted"))
        self.limits_button.setIconSize(QSize(16, 16))
        self.limits_button.clicked.connect(lambda: self._ask_limits())
        self._show_limits()
        self.search_button = QPushButton(tr("Search"))
        self.search_button.setProperty("kind", "primary")
        self.search_button.setToolTip(tr("Search the whole range  ( Enter )"))
        self.search_button.clicked.connect(self.search_requested)
        layout = WrapLayout(self, theme.SPACE_2)
        layout.setContentsMargins(theme.SPACE_3, 0, theme.SPACE_3, theme.SPACE_2)
        self.field.setMinimumWidth(220)
        layout.add(self.field, 1)
        layout.add(self.saved_button)
        layout.add(together(PlainLabel(tr("from"), "caption"), self.from_field))
        layout.add(together(PlainLabel(tr("to"), "caption"), self.to_field))
        for widget in (self.order_box, self.limits_button, self.histogram_button, self.search_button):
            layout.add(widget)

    def text(self) -> str:
        """The filter as typed."""
        return self.field.text().strip()

    def problem(self) -> str:
        """Why the filter cannot be used, or nothing."""
        try:
            parse_filter(self.text())
        except FilterError as error:
            return str(error)
        return ""

    def show_problem(self, text: str) -> None:
        """Mark the field, and say why in its tooltip."""
        show_problem(self.field, text)

    def set_range(self, first: str, last: str) -> None:
        """Write the range."""
        self.from_field.setText(first)
        self.to_field.setText(last)

    def limits(self) -> tuple[int, int | None]:
        """After how many matches, and after how many messages read, a search stops."""
        return self.max_matches, self.max_scanned

    def _ask_limits(self) -> FormDialog:
        """Ask when a search stops by itself: two different things, so two fields."""
        dialog = FormDialog(self.window(), tr("When a search stops"), tr("Set"), width=420)
        matches, scanned = QSpinBox(), QSpinBox()
        matches.setRange(1, MAX_MATCHES)
        matches.setValue(self.max_matches)
        scanned.setRange(0, 2_000_000_000)
        scanned.setSpecialValueText(tr("never"))
        scanned.setValue(self.max_scanned or 0)
        for box in (matches, scanned):
            box.setGroupSeparatorShown(True)
            box.setSingleStep(1000)
        dialog.add_row(tr("After matches"), matches, tr("So many are listed at most."))
        dialog.add_row(tr("After messages read"), scanned, tr("The rest stays unread; the result says so."))

        def take() -> None:
            self.max_matches, self.max_scanned = matches.value(), scanned.value() or None
            self._show_limits()

        dialog.accepted.connect(take)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()
        return dialog

    def _show_limits(self) -> None:
        matches = figures.integer(self.max_matches)
        if self.max_scanned:
            read = figures.integer(self.max_scanned)
            text = tr("Stops after {matches} matches or {read} messages read", matches=matches, read=read)
        else:
            text = tr("Stops after {matches} matches", matches=matches)
        self.limits_button.setToolTip(text)
        self.limits_button.setAccessibleName(text)


def _range_field(text: str, tooltip: str) -> QLineEdit:
    field = QLineEdit(text)
    field.setToolTip(tooltip)
    field.setAccessibleName(tooltip.split(":")[0])
    field.setProperty("role", "mono")
    field.setFixedWidth(104)
    return field


class SearchStatus(QFrame):
    """Progress of a search with its controls."""

    pause_toggled = Signal()
    stopped = Signal()
    closed = Signal()
    actions_requested = Signal()  # what can be done with all matches

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setFixedWidth(140)
        self.bar.setAccessibleName(tr("Search progress"))
        self.label = PlainLabel("", "caption", elide=Qt.TextElideMode.ElideRight)
        self.pause_button = QPushButton(tr("Pause"))
        self.stop_button = QPushButton(tr("Stop"))
        self.close_button = QPushButton(tr("Close search"))
        self.actions_button = QPushButton(tr("All matches"))
        self.actions_button.setToolTip(tr("Export, replay or delete all that matches, listed or not  ( A )"))
        self.actions_button.setIcon(icon("caret-down", "muted"))
        self.actions_button.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
        self.actions_button.clicked.connect(self.actions_requested)
        self.pause_button.clicked.connect(self.pause_toggled)
        self.stop_button.clicked.connect(self.stopped)
        self.close_button.clicked.connect(self.closed)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_3, theme.SPACE_1, theme.SPACE_3, theme.SPACE_1)
        layout.setSpacing(theme.SPACE_2)
        layout.addWidget(self.bar)
        layout.addWidget(self.label, 1)
        for button in (self.actions_button, self.pause_button, self.stop_button, self.close_button):
            button.setProperty("kind", "ghost")
            layout.addWidget(button)
        self.hide()

    def show_progress(self, progress: SearchProgress) -> None:
        """Say how it goes, or how it went."""
        self.bar.setValue(round(progress.share * 1000))
        ended = progress.state.ended
        self.actions_button.setVisible(progress.matched > 0)
        self.pause_button.setVisible(not ended)
        self.stop_button.setVisible(not ended)
        self.pause_button.setText(tr("Resume") if progress.state is SearchState.PAUSED else tr("Pause"))
        self.label.setText(_sentence(progress))
        self.label.setRole("bad" if progress.state is SearchState.FAILED else "caption")
        if progress.error_samples:
            lines = [f"#{figures.integer(sequence)}: {text}" for sequence, text in progress.error_samples]
            self.label.setToolTip("\n".join([tr("The filter failed on some messages:"), *lines]))
        self.show()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape closes the search."""
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        else:
            super().keyPressEvent(event)


def _sentence(progress: SearchProgress) -> str:
    if progress.state is SearchState.FAILED:
        return tr("The search failed: {reason}", reason=progress.reason)
    if progress.state is SearchState.STARTING:
        return tr("Starting the search")
    size = figures.bytes_size(progress.scanned_bytes)
    if progress.state.ended:
        took = figures.duration(progress.seconds)
        speed = tr("{size} in {took}, {rate}", size=size, took=took, rate=figures.rate(progress.rate))
        return "  ·  ".join([progress.sentence(), speed, *_errors(progress)])
    parts = [
        tr(
            "{scanned} read ({share})",
            scanned=figures.integer(progress.scanned),
            share=figures.percent(progress.share),
        ),
        size,
        figures.rate(progress.rate),
        tr_count(
            "{count} match", "{count} matches", progress.matched, count=figures.integer(progress.matched)
        ),
    ]
    if progress.remaining_seconds is not None:
        parts.append(tr("{time} left", time=figures.duration(progress.remaining_seconds)))
    if progress.state is SearchState.PAUSED:
        parts.insert(0, tr("paused"))
    return "  ·  ".join([*parts, *_errors(progress)])


def _errors(progress: SearchProgress) -> list[str]:
    if not progress.errors:
        return []
    text = tr_count(
        "{count} message the filter failed on",
        "{count} messages the filter failed on",
        progress.errors,
        count=figures.integer(progress.errors),
    )
    return [text]
