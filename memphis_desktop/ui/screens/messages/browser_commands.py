"""What can be done in the message browser: for the palette, the keys and the sheet of shortcuts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memphis_desktop.language import tr
from memphis_desktop.ui import keymap
from memphis_desktop.ui.screen import Command

if TYPE_CHECKING:
    from memphis_desktop.ui.screens.messages.browser import MessageBrowser


def browser_commands(browser: MessageBrowser) -> list[Command]:
    """The commands of a browser as they are now."""
    return [
        Command(
            tr("Jump to a place in the station"),
            keymap.key("messages.jump"),
            browser.focus_jump,
            "crosshair",
        ),
        Command(tr("Filter by subject"), keymap.key("window.filter"), browser.focus_filter, "funnel"),
        Command(
            tr("Find in messages"), keymap.key("messages.find"), browser.focus_search, "magnifying-glass"
        ),
        Command(
            tr("Search the whole range"),
            keymap.key("messages.search"),
            browser.searching.start,
            "magnifying-glass",
        ),
        Command(
            tr("Messages over time"),
            keymap.key("messages.histogram"),
            browser.search_bar.histogram_button.toggle,
            "chart-bar",
        ),
        Command(
            tr("Follow new messages"), keymap.key("messages.follow"), browser.live_button.toggle, "broadcast"
        ),
        Command(
            tr("Pause following"),
            keymap.key("messages.pause"),
            browser.pause_button.toggle,
            "pause",
            browser.live_button.isChecked(),
        ),
        Command(
            tr("Do something with all matches"),
            keymap.key("messages.matches"),
            browser.message_actions.matches_menu,
            "check-square",
            browser.searching.has_matches,
        ),
        Command(
            tr("Show or hide the message pane"),
            keymap.key("messages.pane"),
            browser.toggle_detail,
            "columns",
        ),
        Command(tr("Hex"), keymap.key("messages.hex"), lambda: browser.show_tab(tr("Hex"))),
        Command(
            tr("Copy payload"), keymap.key("messages.copy"), browser.message_actions.copy_payload, "copy"
        ),
        Command(
            tr("Copy message as"), keymap.key("messages.copy_as"), browser.message_actions.copy_menu, "copy"
        ),
        Command(
            tr("Edit and publish"),
            keymap.key("messages.edit"),
            browser.message_actions.edit_and_publish,
            "pencil-simple",
        ),
        Command(
            tr("Replay messages"), keymap.key("messages.replay"), browser.message_actions.replay, "repeat"
        ),
        Command(
            tr("Message before on the subject"),
            keymap.key("messages.before"),
            lambda: browser.places.go_related(-1),
            "arrow-up",
        ),
        Command(
            tr("Message after on the subject"),
            keymap.key("messages.after"),
            lambda: browser.places.go_related(1),
            "arrow-down",
        ),
        Command(tr("Mark to compare"), keymap.key("messages.mark"), browser.message_actions.mark, "push-pin"),
        Command(
            tr("Compare messages"),
            keymap.key("messages.compare"),
            browser.message_actions.compare,
            "git-diff",
        ),
        Command(
            tr("Why has a consumer not got it"),
            keymap.key("messages.explain"),
            browser.message_actions.explain,
            "users-three",
        ),
        Command(tr("Put aside"), keymap.key("messages.put_aside"), browser.message_actions.keep, "push-pin"),
        Command(
            tr("Messages put aside"),
            keymap.key("messages.show_aside"),
            browser.message_actions.show_collection,
            "tray",
        ),
        Command(
            tr("Export messages"), keymap.key("messages.export"), browser.message_actions.export, "export"
        ),
        Command(
            tr("Copy a link to this view"),
            keymap.key("messages.link"),
            browser.message_actions.copy_link,
            "link",
        ),
        Command(
            tr("Add a column from JSON or a header"), "", browser.columns.add, "columns", name="add_column"
        ),
        Command(
            tr("Publish to the station"),
            "",
            browser.message_actions.publish,
            "paper-plane-tilt",
            name="publish",
        ),
    ]
