"""Dialogs: asking before something is lost, and forms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtGui import QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QTextEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.language import tr
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components import tab_order
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.theme.icons import beside_text, icon

_FORM_HEIGHT = 520
_BESIDE_FORM = 180  # title, buttons, an error, of a dialog's height


def fit_screen(window: QWidget) -> None:
    """Make a window no larger than the screen, which at a large scale is small."""
    room = window.screen().availableGeometry().size()
    if window.size().boundedTo(room) != window.size():
        window.setMinimumSize(window.minimumSize().boundedTo(room))
        window.resize(window.size().boundedTo(room))


class FittingDialog(QDialog):
    """A dialog of any content that is no larger than the screen."""

    def showEvent(self, event: QShowEvent) -> None:
        """Give way to a small screen."""
        super().showEvent(event)
        fit_screen(self)


class Dialog(QDialog):
    """A title, a body, and at the right below: Cancel and one verb."""

    def __init__(
        self, parent: QWidget | None, title: str, verb: str, *, danger: bool = False, width: int = 480
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setMinimumWidth(width)
        self.heading = PlainLabel(title, "section", wrap=True)
        self.body = QVBoxLayout()
        self.body.setSpacing(theme.SPACE_3)
        self.error = Banner("bad")
        self.error.hide()
        self.cancel_button = QPushButton(tr("Cancel"))
        self.cancel_button.clicked.connect(self.reject)
        self.verb_button = QPushButton(verb.replace("&", "&&"))
        self.verb_button.setProperty("kind", "danger" if danger else "primary")
        self.verb_button.setDefault(not danger)
        self.cancel_button.setDefault(danger)
        self.verb_button.clicked.connect(self.accept)
        keymap.tooltip(self.verb_button, "", "dialogs.do")
        self.buttons = QHBoxLayout()
        self.buttons.setSpacing(theme.SPACE_2)
        self.buttons.addStretch()
        self.buttons.addWidget(self.cancel_button)
        self.buttons.addWidget(self.verb_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_5, theme.SPACE_5, theme.SPACE_5, theme.SPACE_4)
        layout.setSpacing(theme.SPACE_4)
        layout.addWidget(self.heading)
        layout.addLayout(self.body, 1)
        layout.addWidget(self.error)
        layout.addLayout(self.buttons)
        self._bind("dialogs.do", self._do)
        self._bind("dialogs.command", self._show_command)

    def _bind(self, name: str, slot: Callable[[], None]) -> None:
        if keys := keymap.keys_of(name):
            QShortcut(QKeySequence(keys), self).activated.connect(slot)

    def _do(self) -> None:
        """From any field, those too that take Enter for themselves."""
        if self.verb_button.isVisible():
            self.verb_button.click()

    def _show_command(self) -> None:
        for disclosure in self.findChildren(Disclosure):
            shows_code = isinstance(disclosure.content, CodeBlock) or disclosure.findChild(CodeBlock)
            if disclosure.isVisible() and shows_code:
                disclosure.set_open(not disclosure.is_open)
                return

    def show_error(self, text: str) -> None:
        """Say inside the dialog what went wrong, and grow by it; empty takes it away."""
        before = self.error.isVisible()
        self.error.set_content("bad", text)
        self.error.setVisible(bool(text))
        if self.isVisible() and text and not before:
            self.resize(self.width(), self.height() + self.error.sizeHint().height() + theme.SPACE_4)

    def showEvent(self, event: QShowEvent) -> None:
        """As tall as its text needs; the keyboard begins in the first field and comes to the buttons last."""
        super().showEvent(event)
        if not self.testAttribute(Qt.WidgetAttribute.WA_Resized):
            self._fit_text()
        make_room(self)
        fit_screen(self)
        if not event.spontaneous():
            self._order_focus()

    def event(self, event: QEvent) -> bool:
        """Grow with what is written into it meanwhile: a preview, the reason of a refusal."""
        done = super().event(event)
        if event.type() == QEvent.Type.LayoutRequest and self.isVisible():
            make_room(self)
            fit_screen(self)
        return done

    def _fit_text(self) -> None:
        """Qt guesses the height of wrapped text before it knows the width, and guesses high."""
        layout = self.layout()
        if layout is not None and layout.hasHeightForWidth():
            layout.activate()
            self.resize(self.width(), layout.heightForWidth(self.width()))

    def _order_focus(self) -> None:
        tab_order.put_last(self, self.cancel_button, self.verb_button)
        if self.focusWidget() in (None, self.cancel_button, self.verb_button):
            first = tab_order.first_within(self, lambda one: _takes_keys(one, self))
            default = self.cancel_button if self.cancel_button.isDefault() else self.verb_button
            (first or default).setFocus()

    async def ask(self) -> bool:
        """Open without blocking the loop; True when the verb was chosen."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def done(result: int) -> None:
            if not answer.done():
                answer.set_result(result == QDialog.DialogCode.Accepted)

        self.finished.connect(done)
        self.open()
        try:
            return await answer
        finally:
            self.finished.disconnect(done)
            self.close()
            self.deleteLater()


def _takes_keys(widget: QWidget, dialog: QWidget) -> bool:
    """Whether a widget is a field to begin in: something is typed or chosen in it."""
    kinds = (QLineEdit, QPlainTextEdit, QTextEdit, QComboBox, QAbstractSpinBox)
    editable = isinstance(widget, kinds) and not getattr(widget, "isReadOnly", lambda: False)()
    return editable and widget.isEnabled() and widget.isVisibleTo(dialog)


class ConfirmDialog(Dialog):
    """Names what will be lost. With ``typed_name`` the verb answers only once that was typed."""

    def __init__(
        self,
        parent: QWidget | None,
        title: str,
        text: str,
        verb: str,
        typed_name: str | None = None,
        *,
        command: str = "",
        danger: bool = True,
    ) -> None:
        super().__init__(parent, title, verb, danger=danger, width=460)
        if text:
            self.body.addWidget(PlainLabel(text, wrap=True))
        self.field: QLineEdit | None = None
        if typed_name is not None:
            typing = QVBoxLayout()
            typing.setSpacing(theme.SPACE_1)
            typing.addWidget(
                PlainLabel(tr("Type {typed_name} to go on.", typed_name=typed_name), "caption", wrap=True)
            )
            self.field = QLineEdit()
            self.field.setAccessibleName(tr("Type {typed_name} to go on", typed_name=typed_name))
            self.field.setProperty("role", "mono")
            self.field.textChanged.connect(lambda typed: self.verb_button.setEnabled(typed == typed_name))
            typing.addWidget(self.field)
            self.body.addLayout(typing)
            self.verb_button.setEnabled(False)
            self.field.setFocus()
        if command:
            self.body.addWidget(Disclosure(tr("Command"), CodeBlock(command, lines=8)))


class Disclosure(QWidget):
    """A line that opens to show more."""

    def __init__(
        self, title: str, content: QWidget, parent: QWidget | None = None, *, open_: bool = False
    ) -> None:
        super().__init__(parent)
        self.content = content
        self._button = QToolButton()
        self._button.setText(title)
        self._button.setCheckable(True)
        self._button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        beside_text(self._button, icon("caret-right", "muted", name_on="caret-down"), 14)
        self._button.setChecked(open_)
        self._button.toggled.connect(self._toggle)
        content.setVisible(open_)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_1)
        layout.addWidget(self._button, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(content)

    def _toggle(self, open_: bool) -> None:
        self.content.setVisible(open_)
        # The window grows with what is opened instead of squeezing everything else.
        QTimer.singleShot(0, self, lambda: make_room(self.window()))

    @property
    def is_open(self) -> bool:
        """Whether it shows what is in it."""
        return self._button.isChecked()

    def set_open(self, open_: bool) -> None:
        """Open or close."""
        self._button.setChecked(open_)


def make_room(window: QWidget) -> None:
    """Let a window grow until nothing in it overlaps: wrapped text may need more than Qt asks for."""
    layout = window.layout()
    if layout is None:
        return
    layout.activate()
    least = window.minimumSizeHint()
    width = max(window.width(), least.width())
    if layout.hasHeightForWidth():
        least.setHeight(layout.minimumHeightForWidth(width))
    window.resize(window.size().expandedTo(least))


class FormDialog(Dialog):
    """Labelled fields, labels aligned right at one edge, in a scrolling body."""

    def __init__(
        self, parent: QWidget | None, title: str, verb: str, *, width: int = 560, introduction: str = ""
    ) -> None:
        super().__init__(parent, title, verb, width=width)
        if introduction:
            self.body.addWidget(PlainLabel(introduction, "muted", wrap=True))
        self._validators: list[Callable[[], str]] = []
        holder = QWidget()
        holder.setObjectName("scrolled")
        self.form = form_layout()
        holder.setLayout(self.form)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(holder)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.body.addWidget(area, 1)
        self._area = area

    def add_row(self, label: str, field: QWidget, help_text: str = "") -> None:
        """A field with its name at the left and a muted line of help below."""
        add_form_row(self.form, label, field, help_text)

    def add_validator(self, check: Callable[[], str]) -> None:
        """``check`` gives one sentence when something is wrong, else an empty text."""
        self._validators.append(check)

    def accept(self) -> None:
        """Refuse while something is wrong, and say what."""
        for check in self._validators:
            problem = check()
            if problem:
                self.show_error(problem)
                return
        self.show_error("")
        super().accept()

    def showEvent(self, event: QShowEvent) -> None:
        """As tall as the fields, up to what a small screen holds."""
        self._make_room_for_fields()
        super().showEvent(event)

    def fit(self) -> None:
        """Rows were shown or hidden: be as tall as the fields again."""
        if self.isVisible():
            self.form.activate()
            self._make_room_for_fields()

    def _make_room_for_fields(self) -> None:
        most = min(_FORM_HEIGHT, self.screen().availableGeometry().height() - _BESIDE_FORM)
        width = max(self.width(), self.minimumWidth()) - 2 * theme.SPACE_5
        form = self.form
        needed = form.heightForWidth(width) if form.hasHeightForWidth() else form.sizeHint().height()
        height = min(needed + theme.SPACE_2, most)
        self._area.setMinimumHeight(height)
        self.adjustSize()
        layout = self.layout()
        if layout is not None and layout.hasHeightForWidth():
            self.resize(self.width(), layout.minimumHeightForWidth(self.width()))
        self._area.setMinimumHeight(min(120, height))  # the user may make it smaller again


def form_layout() -> QFormLayout:
    """A form layout in our manner."""
    form = QFormLayout()
    form.setContentsMargins(0, 0, theme.SPACE_2, 0)
    form.setHorizontalSpacing(theme.SPACE_4)
    form.setVerticalSpacing(theme.SPACE_3)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
    form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
    return form


def add_form_row(
    form: QFormLayout, label: str, field: QWidget, help_text: str = "", below: QWidget | None = None
) -> None:
    """A labelled field, its help and what else stands below it, and its accessible name."""
    pad_numbers(field)
    if isinstance(field, QAbstractButton):
        field.setMinimumHeight(theme.manager().density.control)  # on one line with its name
    name = QLabel(label)
    name.setProperty("role", "muted")
    name.setFixedHeight(theme.manager().density.control)
    name.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    name.setBuddy(field)
    if not field.accessibleName():
        field.setAccessibleName(label.replace("&", ""))
    if help_text:
        field.setAccessibleDescription(help_text)
    if help_text or below is not None:
        cell = QWidget()
        column = QVBoxLayout(cell)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.SPACE_1)
        policy = QSizePolicy.Policy
        growing = (policy.Expanding, policy.MinimumExpanding, policy.Ignored)
        if field.layout() is not None or field.sizePolicy().horizontalPolicy() in growing:
            column.addWidget(field)
        else:
            column.addWidget(field, 0, Qt.AlignmentFlag.AlignLeft)  # as wide as it wants to be
        if below is not None:
            column.addWidget(below)
        if help_text:
            column.addWidget(PlainLabel(help_text, "caption", wrap=True))
        cell.setSizePolicy(policy.Expanding, policy.Preferred)  # the help has all of the width
        form.addRow(name, cell)
    else:
        form.addRow(name, field)


def pad_numbers(field: QWidget) -> None:
    """Set the figures of number fields off from their border, which a stylesheet cannot."""
    fields = [field] if isinstance(field, QAbstractSpinBox) else field.findChildren(QAbstractSpinBox)
    for number in fields:
        number.lineEdit().setTextMargins(theme.SPACE_2, 0, 0, 0)


async def confirm(
    parent: QWidget | None,
    title: str,
    text: str,
    verb: str,
    typed_name: str | None = None,
    *,
    command: str = "",
) -> bool:
    """Ask before something is lost; True to go on."""
    return await ConfirmDialog(parent, title, text, verb, typed_name, command=command).ask()
