"""Replaying another station's messages into one: which station they come from, and under which subjects."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QComboBox, QWidget

from memphis_desktop.cluster.model import StreamSnapshot, is_machinery
from memphis_desktop.language import tr
from memphis_desktop.ui.components.dialogs import FormDialog
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.replay import open_replay


def subject_into(subjects: Sequence[str]) -> str:
    """Return the subject of a replay that a station with these takes, in the words of replays.

    What stands for one part becomes a part of the original's subject, what stands for the rest all of it.
    """
    tokens: list[str] = []
    for token in subjects[0].split(".") if subjects else ():
        if token == ">":
            token = "{subject}"
        elif token == "*":
            token = f"{{{1 + sum(one.startswith('{') for one in tokens)}}}"
        tokens.append(token)
    return ".".join(tokens)


async def replay_into(context: ScreenContext, parent: QWidget, target: StreamSnapshot) -> None:
    """Ask which station's messages are wanted, and open a replay of them into the other."""
    streams = context.session.snapshot.streams
    names = sorted(name for name in streams if name != target.name and not is_machinery(name))
    choice = QComboBox()
    choice.addItems(names)
    title = tr("Replay what into {name}?", name=target.name)
    dialog = FormDialog(parent, title, tr("Choose station"), width=440)
    dialog.add_row(tr("Messages of"), choice)
    if await dialog.ask():
        replay = open_replay(context, parent.window(), choice.currentText())
        replay.target_field.setText(subject_into(target.config.get("subjects") or ()))
