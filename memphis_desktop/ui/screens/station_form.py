"""A form over a configuration, beside its live JSON, the difference and the command that does the same."""

from __future__ import annotations

import asyncio
import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QKeySequence, QShortcut, QStandardItemModel
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QScrollArea,
    QSizePolicy,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.session import Session
from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.beside import Beside
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.dialogs import Dialog, add_form_row, form_layout
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screens.field_values import (
    Field,
    FieldError,
    ServerAge,
    bringing_version,
    from_text,
    get_value,
    sections,
    set_value,
    to_text,
    value_text,
)


class Change(Protocol):
    """What a form's verb does: a JetStream action, or a request to the Memphis service."""

    @property
    def body(self) -> Mapping[str, Any] | None:
        """What is asked."""

    @property
    def before(self) -> Mapping[str, Any] | None:
        """What it replaces."""

    async def run(self, session: Session) -> dict[str, Any]:
        """Do it; raises `ClusterError`."""

    def equivalent(self, session: Session) -> str:
        """The same as a command, fit to copy."""


_NEWEST = ServerAge()
_LEAST_HEIGHT = 150  # of the fields, where a window is low
_MULTILINE = {"subjects": 3, "pairs": 2, "json": 2}


class _Editor:
    """One field's widget: how it is read and written."""

    def __init__(self, field: Field, value: Any, changed: Callable[[], None], age: ServerAge) -> None:
        self.field = field
        self.original = value
        self.note = PlainLabel(
            "", "information", elide=Qt.TextElideMode.ElideRight
        )  # what the value was, once it is another
        self.note.hide()
        self.widget: QWidget
        if field.kind == "switch":
            box = QCheckBox()
            box.setChecked(bool(value))
            box.toggled.connect(lambda _: changed())
            self.widget = box
        elif field.kind == "choice":
            combo = QComboBox()
            levels = dict(field.choice_levels)
            for choice, label in field.choices:
                needed = levels.get(choice, 0)
                if age.knows(needed):
                    combo.addItem(label, choice)
                    continue
                version = bringing_version(needed)
                combo.addItem(tr("{choice} (from {version} on)", choice=label, version=version), choice)
                if isinstance(model := combo.model(), QStandardItemModel):
                    model.item(combo.count() - 1).setEnabled(False)
            # Long labels are cut rather than making the whole form wider than its place.
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            combo.setMinimumContentsLength(12)
            combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            index = combo.findData(value if value is not None else field.choices[0][0])
            combo.setCurrentIndex(max(0, index))
            combo.currentIndexChanged.connect(lambda _: changed())
            self.widget = combo
        elif field.kind in _MULTILINE:
            area = QPlainTextEdit(to_text(field, value))
            area.setProperty("role", "mono")
            area.setTabChangesFocus(True)
            area.setFixedHeight(_MULTILINE[field.kind] * 18 + 16)
            area.textChanged.connect(changed)
            self.widget = area
        else:
            line = QLineEdit(to_text(field, value))
            if field.unlimited is not None:
                line.setPlaceholderText(tr("unlimited"))
            elif field.kind == "duration":
                line.setPlaceholderText(tr("none"))
            line.textChanged.connect(lambda _: changed())
            self.widget = line

    def value(self) -> Any:
        """What is entered. Raises `FieldError`."""
        widget = self.widget
        if isinstance(widget, QCheckBox):
            return widget.isChecked()
        if isinstance(widget, QComboBox):
            return widget.currentData()
        text = widget.toPlainText() if isinstance(widget, QPlainTextEdit) else ""
        return from_text(self.field, widget.text() if isinstance(widget, QLineEdit) else text)

    def mark(self, problem: str) -> None:
        """Show that what is entered cannot be used."""
        wrong = bool(problem)
        if bool(self.widget.property("invalid")) != wrong:
            self.widget.setProperty("invalid", wrong)
            self.widget.style().unpolish(self.widget)
            self.widget.style().polish(self.widget)
        self.widget.setToolTip(problem)

    def show_change(self, value: Any) -> bool:
        """Say what the value was when it is another now; whether that takes more or less room than before."""
        changed = not _same(self.field, value, self.original)
        if changed:
            was = tr("Was: {value}", value=value_text(self.field, self.original))
            self.note.setText(f"{was}. {tr('May remove messages.')}" if self.field.danger else was)
            self.note.setRole("warning" if self.field.danger else "information")
        if self.note.isHidden() != changed:
            return False
        self.note.setVisible(changed)
        return True


def _since(field: Field) -> str:
    """Which servers know a field."""
    version = bringing_version(field.level, field.since)
    if not version:
        return tr("Needs a newer server.")
    return tr("Needs a server from version {version} on.", version=version)


def _same(field: Field, value: Any, before: Any) -> bool:
    """Whether a value means what was there before; nothing and what stands for nothing are the same."""
    if value == before or (before is None and value in ("", [], {}, None, False, 0)):
        return True
    return before is None and field.unlimited is not None and bool(value == field.unlimited)


class ConfigurationForm(QScrollArea):
    """Fields in sections.

    Args:
        fields: What can be entered.
        config: The values at first.
        editing: Whether it exists already; fixed fields cannot be changed then.
        age: What the server knows; newer fields say which version brings them.
    """

    changed = Signal()

    def __init__(
        self,
        fields: Sequence[Field],
        config: Mapping[str, Any],
        *,
        editing: bool = False,
        age: ServerAge = _NEWEST,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._before = dict(config)
        self._marks_changes = editing
        self._editors: list[_Editor] = []
        self._problems: dict[str, str] = {}
        holder = QWidget()
        holder.setObjectName("scrolled")
        column = QVBoxLayout(holder)
        column.setContentsMargins(0, 0, theme.SPACE_3, 0)
        column.setSpacing(theme.SPACE_3)
        form = self._form = form_layout()  # one for all sections, so that the labels end at one edge
        self._rows: dict[str, int] = {}
        for section in sections(fields):
            heading = PlainLabel(section, "strong")
            heading.setContentsMargins(0, theme.SPACE_3 if form.rowCount() else 0, 0, 0)
            form.addRow(heading)
            for field in (field for field in fields if field.section == section):
                self._add(form, field, editing=editing, age=age)
        column.addLayout(form)
        column.addStretch()
        self.setWidget(holder)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def minimumSizeHint(self) -> QSize:
        """Wide enough that no field is cut: labels are longer in other languages."""
        holder = self.widget()
        width = holder.minimumSizeHint().width() if holder is not None else 0
        return QSize(width + self.verticalScrollBar().sizeHint().width(), _LEAST_HEIGHT)

    def _add(self, form: Any, field: Field, *, editing: bool, age: ServerAge) -> None:
        editor = _Editor(field, get_value(self._before, field.key), self._edited, age)
        editor.widget.setObjectName(field.key)
        help_text = field.help
        if not age.knows(field.level, field.since):
            editor.widget.setEnabled(False)
            help_text = _since(field)
        elif field.shown_only:
            editor.widget.setEnabled(False)
        elif editing and field.fixed:
            editor.widget.setEnabled(False)
            help_text = tr("Cannot be changed after creation.")
        self._rows[field.key] = form.rowCount()
        add_form_row(form, field.label, editor.widget, help_text, editor.note if editing else None)
        self._editors.append(editor)

    def field(self, key: str) -> QWidget:
        """The widget of a field."""
        return next(editor.widget for editor in self._editors if editor.field.key == key)

    def show_field(self, key: str, shown: bool) -> None:
        """Show a field that matters now, or hide one that does not: then its value is as it was before."""
        self._form.setRowVisible(self._rows[key], shown)
        self.field(key).setEnabled(shown)

    def _edited(self) -> None:
        self.changed.emit()

    def _lay_out_anew(self) -> None:
        """Qt's form layout keeps heights for widths that hold no more when something in a row appears."""
        holder = self.widget()
        layout = holder.layout() if holder is not None else None
        if layout is not None:
            layout.invalidate()
            layout.activate()

    def config(self) -> dict[str, Any]:
        """The configuration as entered: what it was, with what was changed.

        Fields that cannot be used keep their former value; `problem` tells of them.
        """
        result = dict(self._before)
        self._problems.clear()
        for editor in self._editors:
            if not editor.widget.isEnabled():
                continue
            key = editor.field.key
            try:
                value = editor.value()
            except FieldError as error:
                self._problems[editor.field.label] = str(error)
                editor.mark(str(error))
                continue
            editor.mark("")
            if self._marks_changes and editor.show_change(value):
                QTimer.singleShot(0, self, self._lay_out_anew)
            if not _same(editor.field, value, get_value(self._before, key)):
                set_value(result, key, value)
        return {key: value for key, value in result.items() if value is not None}

    def problem(self) -> str:
        """The first thing that is wrong, as a sentence; empty when all can be used."""
        self.config()
        for label, text in self._problems.items():
            return f"{label}: {text}"
        return ""


class ConfigurationDialog(Dialog):
    """The form at the left; JSON, difference and command at the right; the verb runs the action.

    Args:
        parent: The window.
        title: The dialog's title.
        verb: Its button.
        fields: What can be entered.
        config: The values at first.
        session: Where the action runs.
        make_action: From the configuration to the action; raises `FieldError` when it cannot be.
        editing: Whether the object exists.
        warn: A sentence about what a configuration would destroy; empty for nothing.
    """

    def __init__(
        self,
        parent: QWidget | None,
        title: str,
        verb: str,
        fields: Sequence[Field],
        config: Mapping[str, Any],
        session: Session,
        make_action: Callable[[dict[str, Any]], Change],
        *,
        editing: bool = False,
        warn: Callable[[dict[str, Any]], str] | None = None,
    ) -> None:
        super().__init__(parent, title, verb, width=880)
        self._session = session
        self._make_action = make_action
        self._editing = editing
        self._before = dict(config)
        self._warn = warn
        self._running = False
        self.answer: dict[str, Any] | None = None
        age = ServerAge.of(session.snapshot)
        self.form = ConfigurationForm(fields, config, editing=editing, age=age)
        self.form.changed.connect(self._refresh)
        self.json_view = CodeBlock(lines=0)
        self.difference_view = CodeBlock(lines=0)
        self.command_view = CodeBlock(lines=0, wrap=True)
        tabs = QTabWidget()
        if editing:
            tabs.addTab(self.difference_view, tr("Difference"))
        tabs.addTab(self.json_view, tr("JSON"))
        tabs.addTab(self.command_view, tr("Command"))
        tabs.setMinimumWidth(240)
        self.body.addWidget(Beside((self.form, 3), (tabs, 2), spacing=theme.SPACE_5), 1)
        self.warning = PlainLabel("", "warning", wrap=True)
        self.warning.hide()
        self.body.addWidget(self.warning)
        self.resize(960, 640)
        QShortcut(QKeySequence.StandardKey.Save, self, self.accept)
        self._refresh()

    def _refresh(self) -> None:
        config = self.form.config()
        self.json_view.set_text(json.dumps(config, indent=2, ensure_ascii=False))
        self.difference_view.set_text(difference(self._before, config) or tr("Nothing is changed."))
        try:
            self.command_view.set_text(self._make_action(config).equivalent(self._session))
        except (FieldError, KeyError, ValueError):
            self.command_view.set_text("")
        text = self._warn(config) if self._warn is not None else ""
        self.warning.setText(text)
        self.warning.setVisible(bool(text))
        if self._editing:
            self.verb_button.setEnabled(config != self._before)

    def accept(self) -> None:
        """Run the action; close when it is done, say what is wrong otherwise."""
        if self._running:
            return
        problem = self.form.problem()
        if problem:
            self.show_error(problem)
            return
        try:
            action = self._make_action(self.form.config())
        except FieldError as error:
            self.show_error(str(error))
            return
        self._running = True
        self.verb_button.setEnabled(False)
        self._task = asyncio.ensure_future(self._run(action))

    async def _run(self, action: Change) -> None:
        try:
            self.answer = await action.run(self._session)
        except ClusterError as error:
            self.show_error(str(error))
        else:
            self.show_error("")
            super().accept()
        finally:
            self._running = False
            self.verb_button.setEnabled(True)


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return what differs between two configurations, line by line; empty when nothing does."""
    left, right = (
        json.dumps(config, indent=2, ensure_ascii=False, sort_keys=True).splitlines()
        for config in (before, after)
    )
    lines = list(difflib.unified_diff(left, right, lineterm="", n=1))
    return "\n".join(line for line in lines[2:] if not line.startswith("@@"))
