"""The dialog of a change to the cluster: what it does, the choices it has, its command."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QComboBox, QLineEdit, QWidget

from memphis_desktop.cluster.actions import Action
from memphis_desktop.language import tr
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.dialogs import (
    ConfirmDialog,
    Disclosure,
    add_form_row,
    form_layout,
    make_room,
)
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext


class ActionDialog(ConfirmDialog):
    """A change with a choice or two: the sentences and the command follow what is chosen."""

    def __init__(
        self,
        parent: QWidget,
        context: ScreenContext,
        title: str,
        verb: str,
        fields: Sequence[tuple[str, QWidget, str]],
        make: Callable[[], Action | str],
        describe: Callable[[], str],
        typed: str | None,
        *,
        danger: bool = True,
    ) -> None:
        """`make` gives the action, or a sentence why there is none yet."""
        super().__init__(parent, title, "", verb, typed, danger=danger)
        self._context = context
        self._make = make
        self._describe = describe
        self._typed = typed
        self._touched = False
        self.sentence = PlainLabel("", wrap=True)
        self._command = CodeBlock(lines=8)
        form = form_layout()
        for name, field, help_text in fields:
            add_form_row(form, name, field, help_text)
            if isinstance(field, QComboBox):
                field.currentIndexChanged.connect(self.refresh)
            elif isinstance(field, QLineEdit):
                field.textChanged.connect(self.refresh)
        self.body.insertWidget(0, self.sentence)
        if fields:
            self.body.insertLayout(1, form)
        self.body.addWidget(Disclosure(tr("Command"), self._command))
        if self.field is not None:
            self.field.textChanged.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Say what would be done now."""
        made = self._make()
        self.sentence.setText(self._describe())
        possible = isinstance(made, Action)
        if isinstance(made, Action):
            self._command.set_text(made.equivalent(self._context.session))
            self.show_error("")
        else:
            self._command.set_text("")
            self.show_error(made if self._touched else "")  # nothing was chosen yet
        if self.isVisible():
            QTimer.singleShot(0, self, lambda: make_room(self))
        self.verb_button.setEnabled(possible and (self.field is None or self.field.text() == self._typed))
        self._touched = True

    def action(self) -> Action:
        """What was chosen."""
        made = self._make()
        assert isinstance(made, Action)  # the verb answers only then
        return made
