"""What is asked before dead letters are captured or dropped, and stations taken for dead-letter stations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtWidgets import QCheckBox, QPlainTextEdit, QWidget

from memphis_desktop.cluster.actions import Action
from memphis_desktop.cluster.dead_letters.capture import KEPT_BYTES, KEPT_DAYS, capture_status
from memphis_desktop.cluster.dead_letters.dropping import drop_action
from memphis_desktop.cluster.dead_letters.letters import DeadLetter, LetterKind, Presence
from memphis_desktop.cluster.session import Session
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.dialogs import ConfirmDialog, Disclosure, FormDialog
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.memphis.letters import drop_changes


def capture_dialog(parent: QWidget, session: Session, action: Action) -> ConfirmDialog:
    """Say exactly what capturing makes."""
    config = action.body or {}
    subjects = config.get("subjects", [])
    limit = any("MAX_DELIVERIES" in subject for subject in subjects)
    terminated = any("MSG_TERMINATED" in subject for subject in subjects)
    if limit and terminated:
        kinds = tr(
            "messages that reached a consumer's delivery limit and messages that a consumer terminated"
        )
    elif limit:
        kinds = tr("messages that reached a consumer's delivery limit")
    else:
        kinds = tr("messages that a consumer terminated")
    replicas = int(config.get("num_replicas") or 1)
    text = tr(
        "One stream is made, {stream}, on this server ({copies}). It keeps the server's own advisories "
        "about {kinds}: a few hundred bytes each, for {days} days and up to {size}, the oldest going first. "
        "What is sent again from here, and what people note, is kept in it too. Nothing else changes: "
        "no consumer, no message of yours. Deleting the stream ends it.",
        stream=config.get("name"),
        copies=tr_count("{count} copy", "{count} copies", replicas),
        kinds=kinds,
        days=KEPT_DAYS,
        size=figures.bytes_size(KEPT_BYTES),
    )
    dialog = ConfirmDialog(
        parent,
        tr("Capture dead letters?"),
        text,
        tr("Start capturing"),
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
            tr("Dead-letter stations"),
            tr("Use these"),
            introduction=tr(
                "Stations that applications put their failed messages into. Each message there is "
                "shown as a dead letter; headers such as Original-Subject and Reason are understood."
            ),
        )
        self._matching = matching
        self.field = QPlainTextEdit("\n".join(patterns))
        self.field.setProperty("role", "mono")
        self.field.setTabChangesFocus(True)
        self.field.setMinimumHeight(120)
        self.add_row(
            tr("Names"), self.field, tr("One pattern a line, as for files: *-dlq, dead-*. Case is ignored.")
        )
        self._found = PlainLabel("", "caption", wrap=True)
        self.add_row(tr("Found"), self._found)
        self.field.textChanged.connect(self._show_found)
        self._show_found()

    def patterns(self) -> list[str]:
        """The patterns as typed."""
        return [line.strip() for line in self.field.toPlainText().splitlines() if line.strip()]

    def _show_found(self) -> None:
        found = self._matching(self.patterns())
        self._found.setText(
            ", ".join(found[:12]) + (" …" if len(found) > 12 else "") if found else tr("None here")
        )


class DropDialog(ConfirmDialog):
    """Names what is lost: the records, and on request the messages."""

    def __init__(
        self, parent: QWidget, session: Session, letters: Sequence[DeadLetter], typed_name: str | None
    ) -> None:
        self._letters = list(letters)
        self._session = session
        self._status = capture_status(session.snapshot)
        number, count = len(letters), figures.integer(len(letters))
        super().__init__(
            parent,
            tr_count("Drop {count} dead letter?", "Drop {count} dead letters?", number, count=count),
            _loss(letters),
            tr_count("Drop {count} dead letter", "Drop {count} dead letters", number, count=count),
            typed_name,
        )
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
            tr_count(
                "Delete the {count} message from {streams} as well, for good",
                "Delete the {count} messages from {streams} as well, for good",
                len(there),
                count=figures.integer(len(there)),
                streams=streams,
            )
        )
        self.messages.setVisible(bool(there))
        self.body.insertWidget(1, self.messages)
        self._code = CodeBlock(lines=8)
        self.body.addWidget(Disclosure(tr("Command"), self._code))
        self.messages.toggled.connect(self._show_command)
        self._show_command()

    def _show_command(self) -> None:
        if all(letter.external for letter in self._letters):
            changes = drop_changes(self._letters)
            self._code.set_text("\n".join(change.command for change in changes))
            return
        action = drop_action(self._letters, self._status, messages=self.messages.isChecked())
        self._code.set_text(action.command or tr("Nothing is kept on the server: they leave this list only."))


def _loss(letters: Sequence[DeadLetter]) -> str:
    if any(one.external for one in letters):
        names = ", ".join(sorted({one.home for one in letters if one.external})[:3])
        return tr_count(
            "{count} dead letter of {names} will be gone with the payloads that Memphis keeps of them. "
            "Messages that are still in their stations stay there.",
            "{count} dead letters of {names} will be gone with the payloads that Memphis keeps of them. "
            "Messages that are still in their stations stay there.",
            len(letters),
            count=figures.integer(len(letters)),
            names=names,
        )
    stations = sorted({one.stream for one in letters if one.kind is LetterKind.STATION})
    inside = sum(one.kind is LetterKind.STATION for one in letters)
    records = sum(len(one.records) for one in letters)
    heard = sum(one.kind is not LetterKind.STATION and not one.records for one in letters)
    parts = []
    if records:
        parts.append(
            tr_count(
                "{count} record of a failure leaves the capture stream.",
                "{count} records of a failure leave the capture stream.",
                records,
                count=figures.integer(records),
            )
        )
    if heard:
        parts.append(
            tr_count(
                "{count} that nothing keeps leaves this list.",
                "{count} that nothing keeps leave this list.",
                heard,
                count=figures.integer(heard),
            )
        )
    if inside:
        names = ", ".join(stations[:3])
        parts.append(
            tr_count(
                "{count} message will be deleted from {names} for good.",
                "{count} messages will be deleted from {names} for good.",
                inside,
                count=figures.integer(inside),
                names=names,
            )
        )
    else:
        parts.append(tr("The messages themselves stay in their stations."))
    return " ".join(parts)
