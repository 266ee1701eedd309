"""What is asked before dead letters are captured or dropped, and stations taken for dead-letter stations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtWidgets import QCheckBox, QPlainTextEdit, QWidget

from memphis_desktop.cluster.actions import Action
from memphis_desktop.cluster.dead_letters.capture import KEPT_BYTES, KEPT_DAYS, capture_status
from memphis_desktop.cluster.dead_letters.dropping import drop_action
from memphis_desktop.cluster.dead_letters.letters import DeadLetter, LetterKind, Presence
from memphis_desktop.cluster.session import Session
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.dialogs import ConfirmDialog, Disclosure, FormDialog
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.memphis.letters import drop_changes


def capture_dialog(parent: QWidget, session: Session, action: Action) -> ConfirmDialog:
    """Say exactly what capturing makes."""
    config = action.body or {}
    kinds = []
    subjects = config.get("subjects", [])
    if any("MAX_DELIVERIES" in subject for subject in subjects):
        kinds.append("messages that reached a consumer's delivery limit")
    if any("MSG_TERMINATED" in subject for subject in subjects):
        kinds.append("messages that a consumer terminated")
    replicas = int(config.get("num_replicas") or 1)
    text = (
        f"One stream is made, {config.get('name')}, on this server ({replicas} "
        f"{'copy' if replicas == 1 else 'copies'}). It keeps the server's own advisories about "
        f"{' and '.join(kinds)}: a few hundred bytes each, for {KEPT_DAYS} days and up to "
        f"{figures.bytes_size(KEPT_BYTES)}, the oldest going first. What is sent again from here, and what "
        "people note, is kept in it too. Nothing else changes: no consumer, no message of yours. Deleting "
        "the stream ends it."
    )
    dialog = ConfirmDialog(
        parent,
        "Capture dead letters?",
        text,
        "Start capturing",
        command=action.equivalent(session),
        danger=False,
    )
    dialog.setMinimumWidth(560)
    return dialog


class PatternsDialog(FormDialog):
    """Which stations hold dead letters, by name."""

    def __init__(self, parent: QWidget, patterns: Sequence[str], matching: Callable[[list[str]], list[str]]):
        super().__init__(
            parent,
            "Dead-letter stations",
            "Use these",
            introduction="Stations that applications put their failed messages into. Each message there is "
            "shown as a dead letter; headers such as Original-Subject and Reason are understood.",
        )
        self._matching = matching
        self.field = QPlainTextEdit("\n".join(patterns))
        self.field.setProperty("role", "mono")
        self.field.setTabChangesFocus(True)
        self.field.setMinimumHeight(120)
        self.add_row("Names", self.field, "One pattern a line, as for files: *-dlq, dead-*. Case is ignored.")
        self._found = PlainLabel("", "caption", wrap=True)
        self.add_row("Found", self._found)
        self.field.textChanged.connect(self._show_found)
        self._show_found()

    def patterns(self) -> list[str]:
        """The patterns as typed."""
        return [line.strip() for line in self.field.toPlainText().splitlines() if line.strip()]

    def _show_found(self) -> None:
        found = self._matching(self.patterns())
        self._found.setText(
            ", ".join(found[:12]) + (" …" if len(found) > 12 else "") if found else "None here"
        )


class DropDialog(ConfirmDialog):
    """Names what is lost: the records, and on request the messages."""

    def __init__(
        self, parent: QWidget, session: Session, letters: Sequence[DeadLetter], typed_name: str | None
    ) -> None:
        self._letters = list(letters)
        self._session = session
        self._status = capture_status(session.snapshot)
        count = figures.count_noun(len(letters), "dead letter")
        super().__init__(parent, f"Drop {count}?", _loss(letters), f"Drop {count}", typed_name)
        self.setMinimumWidth(520)
        there = [
            one
            for one in letters
            if one.kind is not LetterKind.STATION
            and not one.external
            and one.original.presence is not Presence.GONE
        ]
        streams = ", ".join(sorted({one.stream for one in there})[:3])
        self.messages = QCheckBox(
            f"Delete the {figures.count_noun(len(there), 'message')} from {streams} as well, for good"
        )
        self.messages.setVisible(bool(there))
        self.body.insertWidget(1, self.messages)
        self._code = CodeBlock(lines=8)
        self.body.addWidget(Disclosure("Command", self._code))
        self.messages.toggled.connect(self._show_command)
        self._show_command()

    def _show_command(self) -> None:
        if all(letter.external for letter in self._letters):
            changes = drop_changes(self._letters)
            self._code.set_text("\n".join(change.command for change in changes))
            return
        action = drop_action(self._letters, self._status, messages=self.messages.isChecked())
        self._code.set_text(action.command or "Nothing is kept on the server: they leave this list only.")


def _loss(letters: Sequence[DeadLetter]) -> str:
    if any(one.external for one in letters):
        names = ", ".join(sorted({one.home for one in letters if one.external})[:3])
        return (
            f"{figures.count_noun(len(letters), 'dead letter')} of {names} will be gone with the payloads "
            "that Memphis keeps of them. Messages that are still in their stations stay there."
        )
    stations = sorted({one.stream for one in letters if one.kind is LetterKind.STATION})
    inside = sum(one.kind is LetterKind.STATION for one in letters)
    records = sum(len(one.records) for one in letters)
    heard = sum(one.kind is not LetterKind.STATION and not one.records for one in letters)
    parts = []
    if records:
        parts.append(f"{figures.count_noun(records, 'record')} of a failure leaves the capture stream.")
    if heard:
        parts.append(f"{figures.integer(heard)} that nothing keeps leave this list.")
    if inside:
        names = ", ".join(stations[:3])
        parts.append(f"{figures.count_noun(inside, 'message')} will be deleted from {names} for good.")
    else:
        parts.append("The messages themselves stay in their stations.")
    return " ".join(parts)
