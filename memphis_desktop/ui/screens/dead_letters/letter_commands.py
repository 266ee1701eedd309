"""What can be done on the page of dead letters, for the palette, the keys and the context menu."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from memphis_desktop.language import tr
from memphis_desktop.ui import keymap
from memphis_desktop.ui.screen import Command, Route
from memphis_desktop.ui.screens.station_parts import consumer_route

if TYPE_CHECKING:
    from memphis_desktop.ui.screens.dead_letters.view import DeadLettersView


def row_commands(view: DeadLettersView) -> list[Command]:
    """What can be done with the selection."""
    letters = view.selected()
    nothing = "" if letters else tr("Select a dead letter first.")
    reason = nothing or view.doing.refusal
    one = letters[0] if len(letters) == 1 else None

    def command(
        title: str, keys: str, callback: Callable[[], object], name: str, why: str, danger: bool = False
    ) -> Command:
        return Command(title, keys, callback, name, not why, why, danger)

    made = [
        command(tr("Resend"), keymap.key("dead_letters.resend"), view.resend, "arrow-bend-up-right", reason),
        command(
            tr("Edit and resend"),
            keymap.key("dead_letters.edit"),
            view.edit_and_resend,
            "pencil-simple",
            reason,
        ),
        command(tr("Journey"), keymap.key("dead_letters.journey"), view.show_journey, "path", nothing),
        command(
            tr("Write a note"),
            keymap.key("dead_letters.note"),
            view.write_note,
            "note-pencil",
            nothing or view.doing.why_no_notes(letters),
        ),
    ]
    if one is not None and one.sequence:
        sequence = str(one.sequence)
        made.append(
            Command(
                tr("Show in the station"),
                keymap.key("dead_letters.show"),
                lambda: view.context.navigate(_message_route(one.stream, sequence)),
                "list-bullets",
            )
        )
        if one.consumer and (one.stream, one.consumer) in view.context.session.snapshot.consumers:
            made.append(
                Command(
                    tr("Open the consumer"),
                    "",
                    lambda: view.context.navigate(consumer_route(one.stream, one.consumer)),
                    "users-three",
                    name="open_consumer",
                )
            )
    made += [
        command(tr("Export"), keymap.key("dead_letters.export"), view.export, "export", nothing),
        command(tr("Drop"), keymap.key("dead_letters.drop"), view.drop, "trash", reason, True),
    ]
    return made


def commands(view: DeadLettersView) -> list[Command]:
    """For the palette, the keys and the sheet."""
    return [
        Command(
            tr("Select all that match"),
            keymap.key("dead_letters.select"),
            view.select_all,
            "check-square",
        ),
        *row_commands(view),
        Command(
            tr("Show or hide the message"), keymap.key("dead_letters.pane"), view.toggle_detail, "columns"
        ),
        Command(
            tr("Show the resends that wait"),
            keymap.key("dead_letters.waiting"),
            view.doing.show_waiting,
            "clock",
        ),
        Command(
            tr("Choose the dead-letter stations"),
            "",
            view.doing.edit_patterns,
            "funnel",
            name="choose_stations",
        ),
        Command(tr("Read again"), keymap.key("dead_letters.read"), view.book.refresh, "arrow-clockwise"),
    ]


def _message_route(stream: str, sequence: str) -> Route:
    return Route("messages", {"stream": stream, "sequence": sequence})
